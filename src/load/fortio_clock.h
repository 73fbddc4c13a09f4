/*
 * Fortio's schedule (fortio.org/fortio/periodic): every connection has a clock of its own, all
 * clocks start together, and each has one call under way at most. So the n-th calls of all
 * connections are due at the same instant, a burst; -uniform shifts the clocks against each other.
 * A late answer delays the next call, which closes the loop. No I/O, no time of its own.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

struct hbk_fortio_plan {
    double rate_per_s;    /* over all connections; 0: as fast as answers come */
    uint64_t duration_ns; /* 0: without end */
    uint64_t calls;       /* exact number; 0: by the duration */
    unsigned connections; /* wished for */
    bool is_uniform, has_jitter, skips_missed;
};

/* What Fortio makes of a plan. */
struct hbk_fortio_shape {
    unsigned connections;         /* lowered until each has two calls at least */
    uint64_t calls_each;          /* 0: without number */
    uint64_t calls_of_first_more; /* what does not divide goes to the first connection */
};

struct hbk_fortio_shape hbk_fortio_shape_of(const struct hbk_fortio_plan *plan);

struct hbk_fortio_clock {
    const struct hbk_fortio_plan *plan; /* borrowed */
    double rate_per_s;                  /* of this connection */
    uint64_t shift_ns;                  /* of its start */
    uint64_t call;                      /* number of the next call */
    uint64_t calls;                     /* it has; 0: without number */
    uint64_t random;
};

/* The clock of connection `index`, below shape->connections. */
void hbk_fortio_clock_init(struct hbk_fortio_clock *clock, const struct hbk_fortio_plan *plan,
                           const struct hbk_fortio_shape *shape, unsigned index);

/* When call 0 is due, in ns since the start. */
uint64_t hbk_fortio_clock_first_ns(const struct hbk_fortio_clock *clock);

/*
 * A call has ended at `now_ns` since the start: when the next one is due, which may be before now
 * (then it is sent at once). UINT64_MAX: there is none.
 */
uint64_t hbk_fortio_clock_next_ns(struct hbk_fortio_clock *clock, uint64_t now_ns);

/* Whether the call that is due must not be sent any more, because the time is over. */
bool hbk_fortio_clock_is_too_late(const struct hbk_fortio_clock *clock, uint64_t now_ns);
