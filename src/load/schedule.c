/*
 * Both kinds of arrival are points on one axis, the number of calls that are due before: uniform
 * calls lie at 0, 1, 2, ..., Poisson's at the sums of exponential gaps. Time is a function of that
 * axis, and only this function knows of the ramp: under a rate that rises evenly to r over D,
 * r t^2 / 2D calls are due before t.
 */
#include "load/schedule.h"

#include <math.h>

#include "base/assert.h"
#include "base/clock.h"

/* 0.1 * 30 s must be 3 although neither factor is exact. */
static const double rounding = 1e-12;

uint64_t hbk_schedule_calls(double rate_per_s, uint64_t duration_ns)
{
    double calls = floor(rate_per_s * (double)duration_ns / (double)HBK_NS_PER_S * (1 + rounding));
    return calls < 1 ? 1 : (uint64_t)fmin(calls, 0x1p62);
}

uint64_t hbk_schedule_random_state(uint64_t seed, uint64_t user)
{
    /* splitmix64 (Steele, Lea, Flood 2014): neighbouring seeds give unrelated states. */
    uint64_t state = seed + (user + 1) * UINT64_C(0x9e3779b97f4a7c15);
    state = (state ^ (state >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    state = (state ^ (state >> 27)) * UINT64_C(0x94d049bb133111eb);
    state ^= state >> 31;
    return state == 0 ? 1 : state;
}

double hbk_schedule_random(uint64_t *state)
{
    /* xorshift64* (Vigna 2016); its upper 53 bits, moved off zero. */
    *state ^= *state >> 12;
    *state ^= *state << 25;
    *state ^= *state >> 27;
    uint64_t mixed = *state * UINT64_C(0x2545f4914f6cdd1d);
    return ((double)(mixed >> 11) + 1) * 0x1p-53;
}

/* Calls that are due before the recorded part. */
static uint64_t lead_calls(const struct hbk_schedule_plan *plan)
{
    double lead_s = ((double)plan->ramp_ns / 2 + (double)plan->warm_up_ns) / (double)HBK_NS_PER_S;
    return (uint64_t)fmin(ceil(plan->rate_per_s * lead_s * (1 - rounding)), 0x1p61);
}

static uint64_t recorded_calls(const struct hbk_schedule_plan *plan)
{
    return plan->calls > 0         ? plan->calls
           : plan->duration_ns > 0 ? hbk_schedule_calls(plan->rate_per_s, plan->duration_ns)
                                   : UINT64_MAX;
}

/* From the position and not from the previous time, so that rounding does not add up. */
static void set_due(struct hbk_schedule *schedule)
{
    double position = schedule->position;
    double due_ns =
        position < schedule->ramp_calls
            ? schedule->ramp_ns * sqrt(position / schedule->ramp_calls)
            : schedule->ramp_ns + (position - schedule->ramp_calls) * schedule->period_ns;
    schedule->due_ns = (uint64_t)fmin(round(due_ns), (double)HBK_SCHEDULE_DUE_NS_MAX);
}

static void set_uniform(struct hbk_schedule *schedule)
{
    schedule->position = (double)schedule->next;
    set_due(schedule);
    if (schedule->next >= schedule->end) {
        schedule->due_ns = HBK_SCHEDULE_OVER;
    }
}

static void set_poisson(struct hbk_schedule *schedule)
{
    double gap = -log(hbk_schedule_random(&schedule->random));
    schedule->position += gap * (double)schedule->step;
    set_due(schedule);
    if (schedule->due_ns >= schedule->end_ns || schedule->left == 0) {
        schedule->due_ns = HBK_SCHEDULE_OVER;
    }
}

static uint64_t share_of(uint64_t calls, unsigned lane, unsigned lanes)
{
    return calls == UINT64_MAX ? calls : calls / lanes + (lane < calls % lanes ? 1 : 0);
}

void hbk_schedule_init(struct hbk_schedule *schedule, const struct hbk_schedule_plan *plan,
                       unsigned lane, unsigned lanes)
{
    HBK_ASSERT(plan->rate_per_s > 0 && lanes > 0 && lane < lanes);
    uint64_t lead_ns = plan->ramp_ns + plan->warm_up_ns;
    uint64_t recorded = recorded_calls(plan);
    *schedule = (struct hbk_schedule){
        .period_ns = (double)HBK_NS_PER_S / plan->rate_per_s,
        .ramp_ns = (double)plan->ramp_ns,
        .ramp_calls = plan->rate_per_s * (double)plan->ramp_ns / (double)HBK_NS_PER_S / 2,
        .next = lane,
        .step = lanes,
        .end = recorded == UINT64_MAX ? recorded : lead_calls(plan) + recorded,
        .left = plan->calls > 0 ? share_of(plan->calls, lane, lanes) : UINT64_MAX,
        .lead_ns = lead_ns,
        .end_ns =
            plan->calls > 0 || plan->duration_ns == 0 ? UINT64_MAX : lead_ns + plan->duration_ns,
        .random = hbk_schedule_random_state(plan->seed, lane),
        .is_poisson = plan->is_poisson,
    };
    if (schedule->is_poisson) {
        set_poisson(schedule);
    } else {
        set_uniform(schedule);
    }
}

void hbk_schedule_advance(struct hbk_schedule *schedule)
{
    HBK_ASSERT(schedule->due_ns != HBK_SCHEDULE_OVER);
    if (schedule->is_poisson) {
        bool is_counted = !hbk_schedule_is_lead(schedule) && schedule->left != UINT64_MAX;
        schedule->left -= is_counted ? 1 : 0;
        set_poisson(schedule);
        return;
    }
    /* A lane that would step over the largest number is at its end. */
    schedule->next = schedule->end - schedule->next > schedule->step
                         ? schedule->next + schedule->step
                         : schedule->end;
    set_uniform(schedule);
}

uint64_t hbk_schedule_planned(const struct hbk_schedule_plan *plan, unsigned lane, unsigned lanes)
{
    uint64_t recorded = recorded_calls(plan);
    if (recorded == UINT64_MAX || (plan->is_poisson && plan->calls == 0)) {
        return 0;
    }
    if (plan->is_poisson) {
        return share_of(recorded, lane, lanes);
    }
    /* Numbers from `first` to `first + recorded` that are `lane` modulo `lanes`. */
    uint64_t first = lead_calls(plan), end = first + recorded;
    uint64_t before = first / lanes + (lane < first % lanes ? 1 : 0);
    return end / lanes + (lane < end % lanes ? 1 : 0) - before;
}
