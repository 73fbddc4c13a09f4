/*
 * Conditions that a run must meet, for use in CI: "p99<20ms", "errors<0.1%", "rate>=99%". A run
 * that misses one ends with an exit status of its own.
 */
#pragma once

#include "load/plan.h"
#include "load/result.h"

enum { HBK_THRESHOLDS_MAX = 32, HBK_THRESHOLD_FOUND_BYTES_MAX = 64 };

#define HBK_THRESHOLD_SYNTAX                                                                      \
    "[response.|service.|lateness.|connect.]p99, min, mean or max with a time; errors with a "    \
    "number or share; rate with a number a second or a share of the rate asked for; compared by " \
    "<, <=, > or >=, such as p99<20ms, errors<0.1% or rate>=99%"

enum hbk_threshold_kind {
    HBK_THRESHOLD_PERCENTILE,
    HBK_THRESHOLD_MIN,
    HBK_THRESHOLD_MEAN,
    HBK_THRESHOLD_MAX,
    HBK_THRESHOLD_ERRORS,
    HBK_THRESHOLD_RATE,
};

enum hbk_threshold_times {
    HBK_THRESHOLD_RESPONSE,
    HBK_THRESHOLD_SERVICE,
    HBK_THRESHOLD_LATENESS,
    HBK_THRESHOLD_CONNECT,
};

struct hbk_threshold {
    struct hbk_slice text; /* borrowed */
    enum hbk_threshold_kind kind;
    enum hbk_threshold_times times;
    double percentile;
    double limit;  /* ns, a number, or a share of 1 */
    bool is_share; /* of calls (errors), of the rate asked for (rate) */
    bool is_above; /* > or >= */
    bool is_equal_good;
};

/* Fails: HBK_INVALID; `error` says what is allowed. */
HBK_MUST_USE hbk_status hbk_threshold_parse(struct hbk_slice text,
                                            struct hbk_threshold *out_threshold,
                                            struct hbk_error *error);

/* Whether the run met it; `out_found` is what was found, for people. A time of a run without calls
 * is never met. */
bool hbk_threshold_is_met(const struct hbk_threshold *threshold, const struct hbk_load_plan *plan,
                          const struct hbk_load_result *result,
                          char out_found[static HBK_THRESHOLD_FOUND_BYTES_MAX]);
