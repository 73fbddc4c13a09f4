#include "load/fortio_clock.h"

#include <math.h>

#include "base/assert.h"
#include "base/clock.h"
#include "load/schedule.h"

struct hbk_fortio_shape hbk_fortio_shape_of(const struct hbk_fortio_plan *plan)
{
    struct hbk_fortio_shape shape = {.connections = plan->connections};
    if (plan->calls == 0 && (plan->duration_ns == 0 || plan->rate_per_s <= 0)) {
        return shape;
    }
    uint64_t calls = plan->calls;
    if (plan->rate_per_s <= 0) {
        shape.connections = calls < shape.connections ? (unsigned)calls : shape.connections;
        shape.calls_each = calls / shape.connections;
        shape.calls_of_first_more = calls % shape.connections;
        return shape;
    }
    if (calls == 0) {
        /* Truncated as Go converts, without a correction. */
        double seconds = (double)plan->duration_ns / (double)HBK_NS_PER_S;
        calls = (uint64_t)fmin(plan->rate_per_s * seconds, 0x1p62);
    }
    if (calls < 2) {
        calls = 2;
        shape.connections = 1;
    }
    if (2 * (uint64_t)shape.connections > calls) {
        shape.connections = (unsigned)(calls / 2);
    }
    shape.calls_each = calls / shape.connections;
    if (plan->calls > shape.calls_each * shape.connections) {
        shape.calls_of_first_more = plan->calls - shape.calls_each * shape.connections;
    }
    return shape;
}

void hbk_fortio_clock_init(struct hbk_fortio_clock *clock, const struct hbk_fortio_plan *plan,
                           const struct hbk_fortio_shape *shape, unsigned index)
{
    HBK_ASSERT(index < shape->connections);
    *clock = (struct hbk_fortio_clock){
        .plan = plan,
        .rate_per_s = plan->rate_per_s / shape->connections,
        .calls = shape->calls_each + (index == 0 ? shape->calls_of_first_more : 0),
        .random = hbk_schedule_random_state(index, 0),
    };
    if (plan->is_uniform && plan->rate_per_s > 0) {
        double period_ns = (double)HBK_NS_PER_S / clock->rate_per_s;
        clock->shift_ns = (uint64_t)(period_ns * index / shape->connections);
    }
}

uint64_t hbk_fortio_clock_first_ns(const struct hbk_fortio_clock *clock)
{
    return clock->shift_ns;
}

/* With a duration the last of k calls is stretched to lie at its end: k calls have k - 1 gaps. */
static uint64_t due_ns(const struct hbk_fortio_clock *clock)
{
    double number = (double)clock->call;
    if (clock->plan->duration_ns > 0 && clock->plan->calls == 0) {
        number += number / (double)(clock->calls - 1);
    }
    double due = number / clock->rate_per_s * (double)HBK_NS_PER_S;
    return clock->shift_ns + (uint64_t)fmin(due, (double)HBK_SCHEDULE_DUE_NS_MAX);
}

/* Plus or minus a tenth of the sleep. */
static uint64_t jittered(struct hbk_fortio_clock *clock, uint64_t due, uint64_t now_ns)
{
    double tenth = due > now_ns ? (double)(due - now_ns) / 10 : 0;
    double by = (2 * hbk_schedule_random(&clock->random) - 1) * tenth;
    return (uint64_t)((double)due + by);
}

uint64_t hbk_fortio_clock_next_ns(struct hbk_fortio_clock *clock, uint64_t now_ns)
{
    for (;;) {
        clock->call++;
        if (clock->calls > 0 && clock->call >= clock->calls) {
            return UINT64_MAX;
        }
        if (clock->plan->rate_per_s <= 0) {
            return now_ns;
        }
        uint64_t due = due_ns(clock);
        if (!clock->plan->skips_missed || due >= now_ns) {
            return clock->plan->has_jitter ? jittered(clock, due, now_ns) : due;
        }
    }
}

bool hbk_fortio_clock_is_too_late(const struct hbk_fortio_clock *clock, uint64_t now_ns)
{
    const struct hbk_fortio_plan *plan = clock->plan;
    if (plan->calls > 0 || plan->duration_ns == 0 || now_ns <= plan->duration_ns) {
        return false;
    }
    /* Two calls at least, and never without the last one. */
    return plan->rate_per_s <= 0 || (clock->call >= 2 && clock->call + 1 != clock->calls);
}
