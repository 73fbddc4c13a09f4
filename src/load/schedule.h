/*
 * When requests are meant to be sent. One global schedule is dealt out to lanes; a lane is one
 * clock, and open loop gives one to every thread, which sends on any idle connection.
 *
 *  uniform  call i at i / rate after the start; lane k of n has the calls k, k + n, k + 2n, ...
 *  Poisson  independent exponential gaps in every lane, which together are one Poisson process
 *
 * The rate may rise from 0 over a ramp, and a lead (ramp and warm-up) comes before what is
 * recorded. The clocks of Fortio, one per connection, are in load/fortio_clock.h. No I/O, no time
 * of its own.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

/* Of hbk_schedule_due_ns() when the lane has no further call. */
#define HBK_SCHEDULE_OVER UINT64_MAX

/* Beyond any run (146 years), so that sums with clock readings cannot overflow. */
#define HBK_SCHEDULE_DUE_NS_MAX (UINT64_C(1) << 62)

struct hbk_schedule_plan {
    double rate_per_s;    /* of all lanes, above 0; after the ramp */
    uint64_t ramp_ns;     /* over which the rate rises evenly from 0 */
    uint64_t warm_up_ns;  /* at the full rate, before the recorded part */
    uint64_t duration_ns; /* of the recorded part; 0: without end */
    uint64_t calls;       /* of the recorded part over all lanes; 0: as many as the duration has */
    bool is_poisson;
    uint64_t seed; /* of Poisson's gaps */
};

struct hbk_schedule {
    double period_ns;  /* of the whole schedule, after the ramp */
    double ramp_ns;    /* and how many calls fall into it */
    double ramp_calls; /* */
    double position;   /* how many calls of the whole schedule are due before this one */
    uint64_t next;     /* uniform: global number of this lane's next call */
    uint64_t step;     /* number of lanes */
    uint64_t end;      /* uniform: calls with this number and above do not exist */
    uint64_t left;     /* Poisson: calls behind the lead; UINT64_MAX: by time */
    uint64_t lead_ns;  /* calls due before are not recorded */
    uint64_t end_ns;   /* Poisson: calls due here and later do not exist */
    uint64_t due_ns;   /* since the start */
    uint64_t random;   /* Poisson: the state of its numbers */
    bool is_poisson;
};

/* Calls that fall into the duration: floor(rate * duration), as Fortio plans them, at least one. */
uint64_t hbk_schedule_calls(double rate_per_s, uint64_t duration_ns);

/* Lane `lane` of `lanes`. */
void hbk_schedule_init(struct hbk_schedule *schedule, const struct hbk_schedule_plan *plan,
                       unsigned lane, unsigned lanes);

/* When the lane's next call is due, in ns since the start of the run; HBK_SCHEDULE_OVER if none. */
static inline uint64_t hbk_schedule_due_ns(const struct hbk_schedule *schedule)
{
    return schedule->due_ns;
}

/* Whether that call comes before the recorded part. */
static inline bool hbk_schedule_is_lead(const struct hbk_schedule *schedule)
{
    return schedule->due_ns < schedule->lead_ns;
}

/* Goes on to the call behind it. Only while the schedule is not over. */
void hbk_schedule_advance(struct hbk_schedule *schedule);

/* Recorded calls of this lane when all are sent: exact for uniform ones and for a number of calls;
 * 0 when it cannot be known. */
uint64_t hbk_schedule_planned(const struct hbk_schedule_plan *plan, unsigned lane, unsigned lanes);

/* Even numbers in (0, 1]; `state` is not 0. For gaps and for choices of a run. */
double hbk_schedule_random(uint64_t *state);

/* A state from a seed and a number that tells users of one seed apart. */
uint64_t hbk_schedule_random_state(uint64_t seed, uint64_t user);
