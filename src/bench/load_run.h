/* Runs of `hauberk load` from a place of the topology, and their figures. */
#pragma once

#include <jansson.h>

#include "bench/program.h"

struct hbk_bench_load_plan {
    const char *name; /* of its log */
    enum hbk_place from;
    int cpu; /* -1: any */
    struct hbk_address to;
    const char *path;
    const char *header; /* "Name: text"; NULL: none */
    unsigned connections;
    unsigned rate_rps;
    uint64_t duration_ns;
    bool is_telling; /* its log says HBK_BENCH_LOAD_STARTED when connections are warm; and it waits
                      * as long as the paper's for them, and for answers */
};

#define HBK_BENCH_LOAD_STARTED "started over"

enum { HBK_BENCH_LOAD_FAILURES_BYTES_MAX = 200 };

struct hbk_bench_load_figures {
    double offered_rps, achieved_rps;
    uint64_t requests; /* answered */
    uint64_t failed;
    double p50_us, p99_us;                            /* from the intended time of sending */
    double lateness_us;                               /* P99 of how late it sent */
    double client_us;                                 /* CPU of the load generator per request */
    char failures[HBK_BENCH_LOAD_FAILURES_BYTES_MAX]; /* as hbk_bench_load_failures() says */
};

/* "59 requests failed: timeout 57, connect 2; and in warm-up: connect 9", from what a result has
 * under "hauberk"; empty without any. */
const char *hbk_bench_load_failures(const json_t *ours,
                                    char out_text[static HBK_BENCH_LOAD_FAILURES_BYTES_MAX]);

/* Starts a run. Fails as hbk_program_start(). */
HBK_MUST_USE hbk_status hbk_bench_load_start(const struct hbk_topology *topology,
                                             const struct hbk_bench_load_plan *plan,
                                             struct hbk_program *out_program,
                                             struct hbk_error *error);

/* Waits for its end and reads its figures; failed requests are figures, not failures.
 * Fails: HBK_TIMEOUT, HBK_INVALID (it printed no figures; the error quotes its log). */
HBK_MUST_USE hbk_status hbk_bench_load_finish(struct hbk_program *program,
                                              struct hbk_bench_load_figures *out_figures,
                                              struct hbk_error *error);

/* Both. */
HBK_MUST_USE hbk_status hbk_bench_load_run(const struct hbk_topology *topology,
                                           const struct hbk_bench_load_plan *plan,
                                           struct hbk_bench_load_figures *out_figures,
                                           struct hbk_error *error);
