/*
 * When requests are meant to be sent. One global schedule, call i at i / rate after the start, is
 * dealt out to lanes like cards: lane k of n has the calls k, k + n, k + 2n, ... A lane is one
 * clock. Open loop gives a lane to every thread, which sends on any idle connection; a schedule in
 * Fortio's manner gives every connection a lane of its own. No I/O, no time of its own.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

/* Of hbk_schedule_due_ns() when the lane has no further call. */
#define HBK_SCHEDULE_OVER UINT64_MAX

/* Beyond any run (146 years), so that sums with clock readings cannot overflow. */
#define HBK_SCHEDULE_DUE_NS_MAX (UINT64_C(1) << 62)

struct hbk_schedule {
    double period_ns; /* of the whole schedule */
    uint64_t next;    /* global number of this lane's next call */
    uint64_t step;    /* number of lanes */
    uint64_t end;     /* calls with this number and above do not exist */
    uint64_t due_ns;  /* of `next`, since the start */
};

/* Calls that fall into the duration: floor(rate * duration), as Fortio plans them, at least one. */
uint64_t hbk_schedule_calls(double rate_per_s, uint64_t duration_ns);

/* Lane `lane` of `lanes`; `rate_per_s` above 0 is that of all lanes, `calls` is for all lanes. */
void hbk_schedule_init(struct hbk_schedule *schedule, double rate_per_s, uint64_t calls,
                       unsigned lane, unsigned lanes);

/* When the lane's next call is due, in ns since the start of the run; HBK_SCHEDULE_OVER if none. */
static inline uint64_t hbk_schedule_due_ns(const struct hbk_schedule *schedule)
{
    return schedule->due_ns;
}

/* Goes on to the call behind it. Only while the schedule is not over. */
void hbk_schedule_advance(struct hbk_schedule *schedule);

/* Calls that the lane has not given out yet. */
uint64_t hbk_schedule_left(const struct hbk_schedule *schedule);
