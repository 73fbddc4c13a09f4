/*
 * What waiting buys: RSA-2048 signatures that arrive at random, through the batcher under each of
 * its policies. The arrivals and the clock are simulated: each batch and each operation by
 * libcrypto moves the clock by what one of RSA-2048 took when that was measured at the start. So
 * other work on the machine does not disturb the figures, and policies are compared in pairs, on
 * the very same arrivals, round after round.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "base/error.h"
#include "base/statistics.h"

enum {
    HBK_ARRIVAL_ROUNDS = 21,      /* each with other arrivals */
    HBK_ARRIVAL_ROWS = 25,        /* of one run: every policy at every load */
    HBK_ARRIVAL_COMPARISONS = 20, /* at every load two policies of ours with two fixed ones */
};

/* A policy at a load. */
struct hbk_arrival_row {
    const char
        *policy; /* "none" (libcrypto at once), "fixed-1ms", "fixed-10ms", "now", "adaptive" */
    double load; /* arrivals over the most that full batches can do */
    double rate; /* arrivals per second */
    struct hbk_estimate cpu; /* share of the core that was busy; medians and intervals of rounds */
    struct hbk_estimate p50_us; /* from arrival to result */
    struct hbk_estimate p99_us;
    double mean_lanes; /* jobs per batch */
    unsigned refused;  /* the queue was full: overload */
};

/* By how much a policy of ours is above a fixed one: differences round by round. */
struct hbk_arrival_comparison {
    const char *policy, *than;
    double load;
    struct hbk_estimate cpu;
    struct hbk_estimate p99_us;
};

/* Whether it is worse in both: neither interval holds zero or anything below. Pure. */
bool hbk_arrival_is_worse(const struct hbk_arrival_comparison *comparison);

/*
 * The rule that the batcher's policies keep: at no load are "now" and "adaptive" both worse than a
 * fixed policy, each in CPU and in P99 at once. Returns a comparison with the first fixed policy
 * that breaks it, or NULL. Pure.
 */
const struct hbk_arrival_comparison *
hbk_arrival_find_broken(const struct hbk_arrival_comparison *comparisons, size_t count);

struct hbk_arrival_report {
    void (*on_row)(void *context, const struct hbk_arrival_row *row);
    void (*on_comparison)(void *context, const struct hbk_arrival_comparison *comparison);
    void *context;
};

/*
 * Runs every policy at 5, 25, 50, 75 and 95 % load, `seconds` of simulated time in each round.
 *
 * Fails: HBK_NO_MEMORY.
 */
HBK_MUST_USE hbk_status hbk_arrival_run(double seconds, const struct hbk_arrival_report *report,
                                        struct hbk_error *error);
