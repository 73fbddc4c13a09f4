#include "load/schedule.h"

#include "base/clock.h"
#include "harness.h"

static void the_number_of_calls_is_rate_times_duration(void **state)
{
    (void)state;
    static const struct {
        double rate_per_s;
        uint64_t duration_ns;
        uint64_t calls;
    } cases[] = {
        {3200, 300 * HBK_NS_PER_S, 960000}, /* the paper's run */
        {0.1, 30 * HBK_NS_PER_S, 3},        /* although 0.1 has no exact binary form */
        {8, 5 * HBK_NS_PER_S, 40},          {0.5, 3 * HBK_NS_PER_S, 1},
        {0.001, HBK_NS_PER_S, 1}, /* a run without a call would measure nothing */
    };
    for (size_t i = 0; i < HBK_COUNT(cases); i++) {
        assert_int_equal(hbk_schedule_calls(cases[i].rate_per_s, cases[i].duration_ns),
                         cases[i].calls);
    }
}

static void calls_are_evenly_spaced_without_adding_up_errors(void **state)
{
    (void)state;
    struct hbk_schedule schedule;
    const struct hbk_schedule_plan plan = {.rate_per_s = 3, .calls = 3000001};
    hbk_schedule_init(&schedule, &plan, 0, 1);
    uint64_t number = 0;
    for (; hbk_schedule_due_ns(&schedule) != HBK_SCHEDULE_OVER; number++) {
        /* Call n of 3 a second is due at n / 3 s: within a nanosecond, a million seconds on. */
        uint64_t exact_ns = number * HBK_NS_PER_S / 3;
        uint64_t due_ns = hbk_schedule_due_ns(&schedule);
        assert_true(due_ns >= exact_ns && due_ns <= exact_ns + 1);
        hbk_schedule_advance(&schedule);
    }
    assert_int_equal(number, 3000001);
}

static void lanes_deal_the_calls_out_without_gap_or_double(void **state)
{
    (void)state;
    enum { LANES = 7, CALLS = 1000 };
    static unsigned seen[CALLS];
    memset(seen, 0, sizeof seen);
    uint64_t left = 0;
    for (unsigned lane = 0; lane < LANES; lane++) {
        struct hbk_schedule schedule;
        const struct hbk_schedule_plan plan = {.rate_per_s = 1000, .calls = CALLS};
        hbk_schedule_init(&schedule, &plan, lane, LANES);
        left += hbk_schedule_planned(&plan, lane, LANES);
        for (uint64_t due_ns; (due_ns = hbk_schedule_due_ns(&schedule)) != HBK_SCHEDULE_OVER;) {
            assert_int_equal(due_ns % HBK_NS_PER_MS, 0);
            assert_true(due_ns / HBK_NS_PER_MS < CALLS);
            assert_int_equal(due_ns / HBK_NS_PER_MS % LANES, lane);
            seen[due_ns / HBK_NS_PER_MS]++;
            hbk_schedule_advance(&schedule);
        }
    }
    assert_int_equal(left, CALLS);
    for (unsigned i = 0; i < CALLS; i++) {
        assert_int_equal(seen[i], 1);
    }
}

static void a_lane_beyond_the_last_call_is_over_at_once(void **state)
{
    (void)state;
    struct hbk_schedule schedule;
    const struct hbk_schedule_plan plan = {.rate_per_s = 10, .calls = 2};
    hbk_schedule_init(&schedule, &plan, 2, 3);
    assert_true(hbk_schedule_due_ns(&schedule) == HBK_SCHEDULE_OVER);
    assert_int_equal(hbk_schedule_planned(&plan, 2, 3), 0);
}

static void a_schedule_without_end_never_overflows(void **state)
{
    (void)state;
    struct hbk_schedule schedule;
    const struct hbk_schedule_plan plan = {.rate_per_s = 1e-6};
    hbk_schedule_init(&schedule, &plan, 63, 64);
    schedule.next = UINT64_MAX - 65;
    hbk_schedule_advance(&schedule);
    assert_int_equal(schedule.next, UINT64_MAX - 1);
    assert_true(hbk_schedule_due_ns(&schedule) == HBK_SCHEDULE_DUE_NS_MAX);
    hbk_schedule_advance(&schedule);
    assert_true(hbk_schedule_due_ns(&schedule) == HBK_SCHEDULE_OVER);
}

static void a_ramp_rises_evenly_and_its_calls_are_not_counted(void **state)
{
    (void)state;
    struct hbk_schedule schedule;
    const struct hbk_schedule_plan plan = {
        .rate_per_s = 1000,
        .ramp_ns = 2 * HBK_NS_PER_S,
        .warm_up_ns = HBK_NS_PER_S / 2,
        .duration_ns = HBK_NS_PER_S,
    };
    unsigned halves[2] = {0}, lead = 0, recorded = 0;
    uint64_t before_ns = 0;
    hbk_schedule_init(&schedule, &plan, 0, 1);
    for (uint64_t due_ns; (due_ns = hbk_schedule_due_ns(&schedule)) != HBK_SCHEDULE_OVER;) {
        assert_true(due_ns >= before_ns);
        before_ns = due_ns;
        if (due_ns < 2 * HBK_NS_PER_S) {
            halves[due_ns / HBK_NS_PER_S]++;
        }
        lead += hbk_schedule_is_lead(&schedule) ? 1 : 0;
        recorded += hbk_schedule_is_lead(&schedule) ? 0 : 1;
        hbk_schedule_advance(&schedule);
    }
    /* r t^2 / 2D: a quarter of the ramp's 1000 calls in its first half. */
    assert_int_equal(halves[0], 250);
    assert_int_equal(halves[1], 750);
    assert_int_equal(lead, 1500);
    assert_int_equal(recorded, 1000);
    assert_int_equal(hbk_schedule_planned(&plan, 0, 1), 1000);
    assert_true(before_ns < 35 * HBK_NS_PER_S / 10);
}

static void poisson_gaps_are_exponential_over_all_lanes_together(void **state)
{
    (void)state;
    enum { LANES = 4, SECONDS = 100, RATE = 1000 };
    uint64_t calls = 0, long_gaps = 0;
    for (unsigned lane = 0; lane < LANES; lane++) {
        struct hbk_schedule schedule;
        const struct hbk_schedule_plan plan = {
            .rate_per_s = RATE,
            .duration_ns = SECONDS * HBK_NS_PER_S,
            .is_poisson = true,
            .seed = 7,
        };
        uint64_t before_ns = 0;
        hbk_schedule_init(&schedule, &plan, lane, LANES);
        assert_int_equal(hbk_schedule_planned(&plan, lane, LANES), 0);
        for (uint64_t due_ns; (due_ns = hbk_schedule_due_ns(&schedule)) != HBK_SCHEDULE_OVER;) {
            calls++;
            /* The mean gap of a lane is 4 ms. */
            long_gaps += due_ns - before_ns > 4 * HBK_NS_PER_MS ? 1 : 0;
            before_ns = due_ns;
            hbk_schedule_advance(&schedule);
        }
    }
    /* 100,000 expected, deviation 316; a gap is above its mean with probability 1/e. */
    assert_in_range(calls, 98500, 101500);
    double share = (double)long_gaps / (double)calls;
    assert_true(share > 0.36 && share < 0.376);
}

static void poisson_with_a_number_of_calls_sends_exactly_these(void **state)
{
    (void)state;
    uint64_t calls = 0;
    const struct hbk_schedule_plan plan = {.rate_per_s = 50, .calls = 101, .is_poisson = true};
    for (unsigned lane = 0; lane < 3; lane++) {
        struct hbk_schedule schedule;
        hbk_schedule_init(&schedule, &plan, lane, 3);
        while (hbk_schedule_due_ns(&schedule) != HBK_SCHEDULE_OVER) {
            calls++;
            hbk_schedule_advance(&schedule);
        }
    }
    assert_int_equal(calls, 101);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_number_of_calls_is_rate_times_duration),
        cmocka_unit_test(calls_are_evenly_spaced_without_adding_up_errors),
        cmocka_unit_test(lanes_deal_the_calls_out_without_gap_or_double),
        cmocka_unit_test(a_lane_beyond_the_last_call_is_over_at_once),
        cmocka_unit_test(a_schedule_without_end_never_overflows),
        cmocka_unit_test(a_ramp_rises_evenly_and_its_calls_are_not_counted),
        cmocka_unit_test(poisson_gaps_are_exponential_over_all_lanes_together),
        cmocka_unit_test(poisson_with_a_number_of_calls_sends_exactly_these),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
