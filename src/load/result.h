/*
 * What a load run measured. Each thread fills one result of its own; the results are added up
 * afterwards, histograms as histograms (percentiles of parts must never be averaged).
 *
 * A call is one request that the schedule asked for. It ends answered or failed, exactly once. Of
 * each call three times are kept, as Tene's "coordinated omission" asks for:
 *
 *     intended -------------> sent -------------> answered
 *              |  lateness  |      |  service   |
 *              |<------------- response ------->|
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/histogram.h"
#include "base/status.h"
#include "load/fortio_histogram.h"
#include "load/plan.h"

/* Why a call failed, or, for the first four, why a connection could not be opened. */
enum hbk_load_failure {
    HBK_LOAD_CONNECT_REFUSED,
    HBK_LOAD_CONNECT_TIMEOUT,
    HBK_LOAD_CONNECT_OTHER,
    HBK_LOAD_HANDSHAKE,     /* TLS could not be agreed on, or the peer was not believed */
    HBK_LOAD_SEND,          /* the request could not be written */
    HBK_LOAD_RESET,         /* the connection was reset before the answer */
    HBK_LOAD_EARLY_CLOSE,   /* the connection was closed before the end of the answer */
    HBK_LOAD_TIMEOUT,       /* no whole answer in time */
    HBK_LOAD_MALFORMED,     /* the answer is not HTTP/1.1, or not the echo of what was sent */
    HBK_LOAD_STATUS_OTHER,  /* answered with 1xx or 3xx */
    HBK_LOAD_STATUS_4XX,    /* but 418, which Fortio takes for a success too */
    HBK_LOAD_STATUS_5XX,    /* 5xx and above */
    HBK_LOAD_NO_CONNECTION, /* dropped: no connection became free within the time-out */
    HBK_LOAD_ABORTED,       /* under way when the run was interrupted */
    HBK_LOAD_FAILURE_COUNT,
};

/* "connect refused", ... for people, and "connect_refused", ... for JSON. Any thread. */
const char *hbk_load_failure_text(enum hbk_load_failure failure);
const char *hbk_load_failure_key(enum hbk_load_failure failure);

enum { HBK_LOAD_STATUS_MAX = 999, HBK_LOAD_REASON_BYTES_MAX = 128 };

/* Sums without a histogram, for sizes. */
struct hbk_load_tally {
    uint64_t count, min, max;
    double sum, sum_of_squares;
};

/* What came of the calls of one URL. */
struct hbk_load_share {
    uint64_t calls, failed;
    uint64_t max_ns;
    double sum_ns;
};

/* Times of one call. */
struct hbk_load_times {
    uint64_t response_ns, service_ns;
    bool has_failed;
};

struct hbk_load_result {
    struct hbk_histogram response; /* ns from the intended time to the end, of all calls */
    struct hbk_histogram failed;   /* the same, of failed calls only */
    struct hbk_histogram service;  /* ns from the actual send to the end, of calls that were sent;
                                      empty in closed loop, where it is the response time */
    struct hbk_histogram lateness; /* ns that this program itself was late with a due call */
    struct hbk_histogram connect;  /* ns to open a connection, in warm-up and later */
    struct hbk_fortio_histogram fortio, fortio_failed,
        fortio_connect;                                /* service times in seconds */
    struct hbk_load_share paths[HBK_LOAD_PATHS_MAX];   /* by URL, as in the plan */
    struct hbk_load_tally body_bytes, head_bytes;      /* of answers */
    uint64_t statuses[HBK_LOAD_STATUS_MAX + 1];        /* answers by status code */
    uint64_t failures[HBK_LOAD_FAILURE_COUNT];         /* in the timed part */
    uint64_t warm_up_failures[HBK_LOAD_FAILURE_COUNT]; /* before it */
    /* In words, what was wrong the first time, warm-up included; empty where nothing is known. */
    char reasons[HBK_LOAD_FAILURE_COUNT][HBK_LOAD_REASON_BYTES_MAX];
    uint64_t planned;                    /* calls of the schedule; 0: no number */
    uint64_t waited;                     /* calls that waited for a connection */
    uint64_t connections_opened;         /* in warm-up and later */
    uint64_t sent_bytes, received_bytes; /* in the timed part */
    int64_t start_realtime_ns;           /* of the timed part */
    uint64_t elapsed_ns;                 /* from there to the last call's end */
    uint64_t cpu_user_ns, cpu_system_ns; /* of the threads, in the timed part */
    uint64_t cpu_wait_ns;                /* ready to run, without a CPU */
    double busy_share, wait_share;       /* of the busiest thread: of the time, on and for a CPU */
    uint64_t handshakes_full, handshakes_resumed; /* TLS, in the timed part */
    bool was_interrupted;
};

/* Fails: HBK_NO_MEMORY; then nothing is held. */
HBK_MUST_USE hbk_status hbk_load_result_init(struct hbk_load_result *result);
void hbk_load_result_fini(struct hbk_load_result *result);

/* Forgets the calls but keeps connections and warm-up failures: the timed part begins. */
void hbk_load_result_begin(struct hbk_load_result *result);

/* The unit and offset of Fortio's histograms, in seconds. Before anything is recorded. */
void hbk_load_result_set_unit(struct hbk_load_result *result, double unit_s, double offset_s);

/* A call that has ended, of the URL with index `path`. */
void hbk_load_result_record(struct hbk_load_result *result, unsigned path,
                            const struct hbk_load_times *times);

/* What was wrong, if it is the first of its kind. The text is copied, without what is not ASCII;
 * NULL: nothing is known. */
void hbk_load_result_explain(struct hbk_load_result *result, enum hbk_load_failure failure,
                             const char *text);

/* When one thread's result is complete: its shares of the time. */
void hbk_load_result_note_share(struct hbk_load_result *result);

/* Whether this program was too busy, too often without a CPU, or too late to be believed; the
 * reason as a sentence, NULL when all is well. */
const char *hbk_load_result_bottleneck(const struct hbk_load_plan *plan,
                                       const struct hbk_load_result *result);

/* Adds one thread's result; the start is the earliest, the time elapsed the longest. */
void hbk_load_result_merge(struct hbk_load_result *to, const struct hbk_load_result *from);

/* A value for a tally. */
void hbk_load_tally_add(struct hbk_load_tally *tally, uint64_t value);
double hbk_load_tally_mean(const struct hbk_load_tally *tally);
double hbk_load_tally_deviation(const struct hbk_load_tally *tally); /* of the population */

/* The failure that an HTTP status means; false when it means success (2xx, 418). */
HBK_MUST_USE bool hbk_load_status_failure(unsigned status, enum hbk_load_failure *out_failure);

/* Calls that ended; calls among them that failed; all failures, those of connections too. Calls
 * aborted by an interrupt are in none of them. */
uint64_t hbk_load_result_calls(const struct hbk_load_result *result);
uint64_t hbk_load_result_failed(const struct hbk_load_result *result);
uint64_t hbk_load_result_failures(const struct hbk_load_result *result);

/* Ended calls per second. */
double hbk_load_result_rate(const struct hbk_load_result *result);
