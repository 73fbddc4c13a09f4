/* What a load run is told to do. The command line fills it; the run, its result's JSON and its
 * report read it. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"
#include "load/target.h"

enum {
    HBK_LOAD_CONNECTIONS_MAX = 65536,
    HBK_LOAD_THREADS_MAX = 64,
    HBK_LOAD_STREAMS_MAX = 1024, /* of one HTTP/2 connection at a time */
    HBK_LOAD_HEADERS_MAX = 64,
    HBK_LOAD_PATHS_MAX = 32,
    HBK_LOAD_PERCENTILES_MAX = 32,
    HBK_LOAD_RATE_MAX = 100000000, /* requests per second: one each 10 ns */
    HBK_LOAD_WEIGHT_MAX = 1000000,
    HBK_LOAD_CORE_MAX = 1023,
    HBK_LOAD_LABELS_BYTES_MAX = 1024,
    HBK_LOAD_BODY_BYTES_MAX = 64 << 20,
};

#define HBK_LOAD_CALLS_MAX (UINT64_C(1) << 53) /* counted exactly by a double */

enum hbk_load_arrival {
    HBK_LOAD_UNIFORM, /* requests leave evenly spaced, on any idle connection */
    HBK_LOAD_POISSON, /* at random, as those of many independent people */
    HBK_LOAD_FORTIO,  /* as Fortio sends them: a clock per connection, all started together */
};

/* One of several URLs. All have the scheme, host and port of the plan's target. */
struct hbk_load_path {
    struct hbk_slice url, path;
    double weight; /* its share of the requests is this over the sum; above 0 */
};

struct hbk_tls_context;

struct hbk_histogram;

/* What happened in one interval of a run. */
struct hbk_load_point {
    uint64_t since_ns, length_ns;      /* its begin, from the start of the recorded part */
    uint64_t calls, failed;            /* that ended in it */
    uint64_t p50_ns, p99_ns, max_ns;   /* response times; 0 without calls */
    const struct hbk_histogram *times; /* all of them; borrowed during the call */
};

/* Somebody who wants to see the run while it lasts. */
struct hbk_load_watch {
    uint64_t interval_ns; /* at least HBK_LOAD_INTERVAL_NS_MIN */
    /* On the control thread: all is warm and the schedule begins; NULL: of no interest. */
    void (*on_start)(void *owner, uint64_t connections);
    void (*on_point)(void *owner, const struct hbk_load_point *point); /* control thread */
    void *owner;
};

#define HBK_LOAD_INTERVAL_NS_MIN UINT64_C(50000000)

struct hbk_load_plan {
    const struct hbk_load_watch *watch;             /* borrowed; NULL: nobody */
    struct hbk_load_target target;                  /* of the first URL */
    struct hbk_load_path paths[HBK_LOAD_PATHS_MAX]; /* none: only the target's */
    unsigned path_count;
    struct hbk_slice headers[HBK_LOAD_HEADERS_MAX]; /* "Name: value"; borrowed */
    unsigned header_count;
    struct hbk_slice method;       /* empty: GET, or POST with a body */
    struct hbk_slice content_type; /* empty: none told */
    struct hbk_slice user;         /* "name:password" of basic authentication; empty: none */
    struct hbk_slice body;
    struct hbk_slice labels;      /* of the result, for people; empty: the URL */
    uint64_t run_id;              /* likewise */
    struct hbk_tls_context *tls;  /* borrowed; of https:// and tls:// */
    struct hbk_slice server_name; /* instead of the host's; empty: the host's */
    bool resumes;                 /* TLS tickets are kept and used */
    struct hbk_slice resolve;     /* an address instead of the host's; empty: none */
    unsigned connections;
    unsigned streams; /* HTTP/2: requests under way on one connection */
    unsigned threads;
    enum hbk_load_arrival arrival;
    double rate_per_s;     /* 0: closed loop, every connection sends as soon as it has an answer */
    uint64_t duration_ns;  /* of the recorded part; 0: until interrupted */
    uint64_t ramp_ns;      /* the rate rises from 0, before the recorded part */
    uint64_t warm_up_ns;   /* at the full rate, before the recorded part */
    uint64_t calls;        /* exact number of calls, replaces the duration; 0: none given */
    uint64_t timeout_ns;   /* for connecting, for an answer, and for the wait for a connection */
    uint64_t seed;         /* of everything random */
    unsigned reuse_min;    /* requests of one connection, drawn evenly from min to max; */
    unsigned reuse_max;    /* 0: without limit; 1: each request has a connection of its own */
    int first_core;        /* thread i runs on core first_core + i; negative: anywhere */
    int abort_status;      /* ends the run at this status; -1: at a failure without one; 0: never */
    bool is_http2;         /* with prior knowledge, or by ALPN under TLS */
    bool is_http10;        /* */
    bool ends_sending;     /* half-closes behind a request that is the connection's last */
    bool opens_one_by_one; /* warm-up of one connection at a time */
    bool is_uniform;       /* HBK_LOAD_FORTIO: shifts the connections' clocks */
    bool has_jitter;       /* HBK_LOAD_FORTIO: a tenth of each sleep, at random */
    bool skips_missed;     /* HBK_LOAD_FORTIO: does not catch up */
    bool needs_warm_up;    /* a failure in warm-up ends the run */
    double unit_s;         /* of Fortio's histogram, and what it subtracts */
    double offset_s;       /* */
    double percentiles[HBK_LOAD_PERCENTILES_MAX]; /* each above 0 and below 100 */
    unsigned percentile_count;
};

/* Whether requests leave by the clock, whatever the answers do. */
static inline bool hbk_load_plan_is_open(const struct hbk_load_plan *plan)
{
    return plan->rate_per_s > 0;
}

/* Whether connections are opened with the request that needs them, and not ahead. */
static inline bool hbk_load_plan_opens_late(const struct hbk_load_plan *plan)
{
    return plan->arrival == HBK_LOAD_FORTIO || plan->reuse_max > 0;
}

/* Fortio's defaults where it has one: 8 requests a second over 4 connections for 5 s. */
void hbk_load_plan_init(struct hbk_load_plan *plan);

/* "50,75,99.9": percentiles above 0 and below 100. Fails: HBK_INVALID, HBK_LIMIT. */
HBK_MUST_USE hbk_status hbk_load_plan_set_percentiles(struct hbk_load_plan *plan,
                                                      struct hbk_slice text,
                                                      struct hbk_error *error);

/* Adds a URL that may begin with "WEIGHT@", borrowed; the first becomes the target. Fails as
 * hbk_load_target_parse(), HBK_INVALID (weight, another server), HBK_LIMIT. */
HBK_MUST_USE hbk_status hbk_load_plan_add_url(struct hbk_load_plan *plan, struct hbk_slice text,
                                              struct hbk_error *error);

/* Adds "Name: value", borrowed. Fails: HBK_INVALID (not a header, or one that frames a body),
 * HBK_LIMIT. */
HBK_MUST_USE hbk_status hbk_load_plan_add_header(struct hbk_load_plan *plan, struct hbk_slice line,
                                                 struct hbk_error *error);

/* A number from 0 to `max`, as "8", "0.5" or "1e5". Fails: HBK_INVALID. */
HBK_MUST_USE hbk_status hbk_load_number_parse(struct hbk_slice text, double max,
                                              double *out_number);

/* Checks what the parts cannot check alone. Fails: HBK_INVALID; `error` says what is allowed. */
HBK_MUST_USE hbk_status hbk_load_plan_check(const struct hbk_load_plan *plan,
                                            struct hbk_error *error);
