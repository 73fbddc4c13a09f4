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
    hbk_schedule_init(&schedule, 3, 3000001, 0, 1);
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
        hbk_schedule_init(&schedule, 1000, CALLS, lane, LANES);
        left += hbk_schedule_left(&schedule);
        for (uint64_t due_ns; (due_ns = hbk_schedule_due_ns(&schedule)) != HBK_SCHEDULE_OVER;) {
            assert_int_equal(due_ns % HBK_NS_PER_MS, 0);
            assert_true(due_ns / HBK_NS_PER_MS < CALLS);
            assert_int_equal(due_ns / HBK_NS_PER_MS % LANES, lane);
            seen[due_ns / HBK_NS_PER_MS]++;
            hbk_schedule_advance(&schedule);
        }
        assert_int_equal(hbk_schedule_left(&schedule), 0);
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
    hbk_schedule_init(&schedule, 10, 2, 2, 3);
    assert_true(hbk_schedule_due_ns(&schedule) == HBK_SCHEDULE_OVER);
    assert_int_equal(hbk_schedule_left(&schedule), 0);
}

static void a_schedule_without_end_never_overflows(void **state)
{
    (void)state;
    struct hbk_schedule schedule;
    hbk_schedule_init(&schedule, 1e-6, UINT64_MAX, 63, 64);
    schedule.next = UINT64_MAX - 65;
    hbk_schedule_advance(&schedule);
    assert_int_equal(schedule.next, UINT64_MAX - 1);
    assert_true(hbk_schedule_due_ns(&schedule) == HBK_SCHEDULE_DUE_NS_MAX);
    hbk_schedule_advance(&schedule);
    assert_true(hbk_schedule_due_ns(&schedule) == HBK_SCHEDULE_OVER);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_number_of_calls_is_rate_times_duration),
        cmocka_unit_test(calls_are_evenly_spaced_without_adding_up_errors),
        cmocka_unit_test(lanes_deal_the_calls_out_without_gap_or_double),
        cmocka_unit_test(a_lane_beyond_the_last_call_is_over_at_once),
        cmocka_unit_test(a_schedule_without_end_never_overflows),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
