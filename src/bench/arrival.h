/*
 * What waiting buys: RSA-2048 signatures that arrive at random, through the batcher under each of
 * its policies. The arrivals and the clock are simulated, the computing is real: the clock moves by
 * the CPU time of each flush, and while there is nothing to do it jumps. So other work on the
 * machine does not disturb the figures.
 */
#pragma once

#include <stddef.h>

#include "base/error.h"

struct hbk_arrival_row {
    const char
        *policy;   /* "none" (libcrypto at once), "fixed-1ms", "fixed-10ms", "now", "adaptive" */
    double load;   /* arrivals over the most that full batches can do */
    double rate;   /* arrivals per second */
    double cpu;    /* share of the core that was busy */
    double p50_us; /* from arrival to result */
    double p99_us;
    double mean_lanes; /* jobs per batch */
    unsigned refused;  /* the queue was full: overload */
};

/* Of one run: every policy at every load. */
enum { HBK_ARRIVAL_ROWS = 25 };

/*
 * The rule that the batcher's policies keep: at no load are "now" and "adaptive" both worse than a
 * fixed policy, each in CPU and in P99 at once. Returns the row of the first fixed policy that
 * breaks it, or NULL.
 */
const struct hbk_arrival_row *hbk_arrival_find_broken(const struct hbk_arrival_row *rows,
                                                      size_t count);

typedef void hbk_arrival_report(void *context, const struct hbk_arrival_row *row);

/*
 * Runs every policy at 5, 25, 50, 75 and 95 % load, `seconds` of simulated time each.
 *
 * Fails: HBK_NO_MEMORY.
 */
HBK_MUST_USE hbk_status hbk_arrival_run(double seconds, hbk_arrival_report *report, void *context,
                                        struct hbk_error *error);
