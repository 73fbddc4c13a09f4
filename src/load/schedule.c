#include "load/schedule.h"

#include <math.h>

#include "base/assert.h"
#include "base/clock.h"

uint64_t hbk_schedule_calls(double rate_per_s, uint64_t duration_ns)
{
    /* 0.1 * 30 s must be 3 although neither factor is exact. */
    double calls = floor(rate_per_s * (double)duration_ns / (double)HBK_NS_PER_S * (1 + 1e-12));
    return calls < 1 ? 1 : (uint64_t)fmin(calls, 0x1p62);
}

/* From the number and not from the previous time, so that rounding does not add up. */
static void set_due(struct hbk_schedule *schedule)
{
    if (schedule->next >= schedule->end) {
        schedule->due_ns = HBK_SCHEDULE_OVER;
        return;
    }
    double due_ns = round((double)schedule->next * schedule->period_ns);
    schedule->due_ns = (uint64_t)fmin(due_ns, (double)HBK_SCHEDULE_DUE_NS_MAX);
}

void hbk_schedule_init(struct hbk_schedule *schedule, double rate_per_s, uint64_t calls,
                       unsigned lane, unsigned lanes)
{
    HBK_ASSERT(rate_per_s > 0 && lanes > 0 && lane < lanes);
    *schedule = (struct hbk_schedule){
        .period_ns = (double)HBK_NS_PER_S / rate_per_s,
        .next = lane,
        .step = lanes,
        .end = calls,
    };
    set_due(schedule);
}

void hbk_schedule_advance(struct hbk_schedule *schedule)
{
    HBK_ASSERT(schedule->due_ns != HBK_SCHEDULE_OVER);
    /* A lane that would step over the largest number is at its end. */
    schedule->next = schedule->end - schedule->next > schedule->step
                         ? schedule->next + schedule->step
                         : schedule->end;
    set_due(schedule);
}

uint64_t hbk_schedule_left(const struct hbk_schedule *schedule)
{
    uint64_t numbers = schedule->end > schedule->next ? schedule->end - schedule->next : 0;
    return numbers / schedule->step + (numbers % schedule->step != 0);
}
