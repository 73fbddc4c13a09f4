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
    HBK_LOAD_HEADERS_MAX = 64,
    HBK_LOAD_PERCENTILES_MAX = 32,
    HBK_LOAD_RATE_MAX = 100000000, /* requests per second: one each 10 ns */
    HBK_LOAD_CORE_MAX = 1023,
};

#define HBK_LOAD_CALLS_MAX (UINT64_C(1) << 53) /* counted exactly by a double */

struct hbk_load_plan {
    struct hbk_load_target target;
    struct hbk_slice headers[HBK_LOAD_HEADERS_MAX]; /* "Name: value"; borrowed */
    unsigned header_count;
    unsigned connections;
    unsigned threads;
    double rate_per_s;    /* 0: closed loop, every connection sends as soon as it has an answer */
    uint64_t duration_ns; /* of the schedule; 0: until interrupted */
    uint64_t calls;       /* exact number of calls, replaces the duration; 0: none given */
    uint64_t timeout_ns;  /* for connecting, for an answer, and for the wait for a connection */
    int first_core;       /* thread i runs on core first_core + i; negative: anywhere */
    double percentiles[HBK_LOAD_PERCENTILES_MAX]; /* each above 0 and below 100 */
    unsigned percentile_count;
};

/* Fortio's defaults where it has one: 8 requests a second over 4 connections for 5 s. */
void hbk_load_plan_init(struct hbk_load_plan *plan);

/* "50,75,99.9": percentiles above 0 and below 100. Fails: HBK_INVALID, HBK_LIMIT. */
HBK_MUST_USE hbk_status hbk_load_plan_set_percentiles(struct hbk_load_plan *plan,
                                                      struct hbk_slice text,
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
