#include "load/fortio_clock.h"

#include <math.h>

#include "base/clock.h"
#include "harness.h"

static void connections_are_lowered_until_each_has_two_calls(void **state)
{
    (void)state;
    static const struct {
        struct hbk_fortio_plan plan;
        unsigned connections;
        uint64_t calls_each, more;
    } cases[] = {
        /* The paper's run: 960,000 calls. */
        {{.rate_per_s = 3200, .duration_ns = 300 * HBK_NS_PER_S, .connections = 1600},
         1600,
         600,
         0},
        {{.rate_per_s = 8, .duration_ns = 5 * HBK_NS_PER_S, .connections = 4}, 4, 10, 0},
        {{.rate_per_s = 10, .duration_ns = HBK_NS_PER_S, .connections = 8}, 5, 2, 0},
        {{.rate_per_s = 1, .duration_ns = HBK_NS_PER_S, .connections = 8}, 1, 2, 0},
        {{.rate_per_s = 10, .calls = 11, .connections = 4}, 4, 2, 3},
        {{.calls = 11, .connections = 4}, 4, 2, 3},
        {{.rate_per_s = 10, .connections = 4}, 4, 0, 0},
    };
    for (size_t i = 0; i < HBK_COUNT(cases); i++) {
        struct hbk_fortio_shape shape = hbk_fortio_shape_of(&cases[i].plan);
        assert_int_equal(shape.connections, cases[i].connections);
        assert_int_equal(shape.calls_each, cases[i].calls_each);
        assert_int_equal(shape.calls_of_first_more, cases[i].more);
    }
}

static void the_papers_calls_come_in_bursts_half_a_second_apart(void **state)
{
    (void)state;
    const struct hbk_fortio_plan plan = {
        .rate_per_s = 3200, .duration_ns = 300 * HBK_NS_PER_S, .connections = 1600};
    struct hbk_fortio_shape shape = hbk_fortio_shape_of(&plan);
    uint64_t calls = 0;
    for (unsigned index = 0; index < 1600; index += 533) {
        struct hbk_fortio_clock clock;
        hbk_fortio_clock_init(&clock, &plan, &shape, index);
        uint64_t due_ns = hbk_fortio_clock_first_ns(&clock);
        assert_int_equal(due_ns, 0); /* the same instant for all */
        calls = 0;
        for (; due_ns != UINT64_MAX; calls++) {
            double expected_ns = (double)calls * (1 + 1.0 / 599) / 2 * 1e9;
            assert_true(fabs((double)due_ns - expected_ns) < 2);
            due_ns = hbk_fortio_clock_next_ns(&clock, due_ns);
        }
        assert_int_equal(calls, 600);
    }
}

static void uniform_shifts_the_clocks_evenly_over_one_period(void **state)
{
    (void)state;
    const struct hbk_fortio_plan plan = {
        .rate_per_s = 10, .duration_ns = 10 * HBK_NS_PER_S, .connections = 5, .is_uniform = true};
    struct hbk_fortio_shape shape = hbk_fortio_shape_of(&plan);
    for (unsigned index = 0; index < 5; index++) {
        struct hbk_fortio_clock clock;
        hbk_fortio_clock_init(&clock, &plan, &shape, index);
        uint64_t first_ns = hbk_fortio_clock_first_ns(&clock);
        assert_true(fabs((double)first_ns - index * 1e8) < 2);
    }
}

static void missed_calls_are_caught_up_or_skipped(void **state)
{
    (void)state;
    struct hbk_fortio_plan plan = {.rate_per_s = 10, .connections = 1, .calls = 100};
    struct hbk_fortio_shape shape = hbk_fortio_shape_of(&plan);
    struct hbk_fortio_clock clock;
    hbk_fortio_clock_init(&clock, &plan, &shape, 0);
    assert_int_equal(hbk_fortio_clock_next_ns(&clock, 350 * HBK_NS_PER_MS), 100 * HBK_NS_PER_MS);
    plan.skips_missed = true;
    hbk_fortio_clock_init(&clock, &plan, &shape, 0);
    assert_int_equal(hbk_fortio_clock_next_ns(&clock, 350 * HBK_NS_PER_MS), 400 * HBK_NS_PER_MS);
}

static void jitter_moves_a_call_by_a_tenth_of_its_sleep_at_most(void **state)
{
    (void)state;
    const struct hbk_fortio_plan plan = {
        .rate_per_s = 10, .connections = 1, .calls = 1000, .has_jitter = true};
    struct hbk_fortio_shape shape = hbk_fortio_shape_of(&plan);
    struct hbk_fortio_clock clock;
    hbk_fortio_clock_init(&clock, &plan, &shape, 0);
    uint64_t earliest = UINT64_MAX, latest = 0;
    for (uint64_t i = 1; i < 1000; i++) {
        uint64_t now_ns = (i - 1) * 100 * HBK_NS_PER_MS;
        uint64_t sleep_ns = hbk_fortio_clock_next_ns(&clock, now_ns) - now_ns;
        earliest = sleep_ns < earliest ? sleep_ns : earliest;
        latest = sleep_ns > latest ? sleep_ns : latest;
    }
    assert_in_range(earliest, 90 * HBK_NS_PER_MS, 92 * HBK_NS_PER_MS);
    assert_in_range(latest, 108 * HBK_NS_PER_MS, 110 * HBK_NS_PER_MS);
}

static void past_the_time_two_calls_and_the_last_one_are_still_made(void **state)
{
    (void)state;
    const struct hbk_fortio_plan plan = {
        .rate_per_s = 5, .duration_ns = HBK_NS_PER_S, .connections = 1};
    struct hbk_fortio_shape shape = hbk_fortio_shape_of(&plan);
    struct hbk_fortio_clock clock;
    hbk_fortio_clock_init(&clock, &plan, &shape, 0);
    uint64_t late_ns = 2 * HBK_NS_PER_S;
    for (unsigned call = 0; call < 5; call++) {
        bool is_too_late = call == 2 || call == 3;
        assert_int_equal(hbk_fortio_clock_is_too_late(&clock, late_ns), is_too_late);
        assert_false(hbk_fortio_clock_is_too_late(&clock, HBK_NS_PER_S));
        (void)hbk_fortio_clock_next_ns(&clock, late_ns);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(connections_are_lowered_until_each_has_two_calls),
        cmocka_unit_test(the_papers_calls_come_in_bursts_half_a_second_apart),
        cmocka_unit_test(uniform_shifts_the_clocks_evenly_over_one_period),
        cmocka_unit_test(missed_calls_are_caught_up_or_skipped),
        cmocka_unit_test(jitter_moves_a_call_by_a_tenth_of_its_sleep_at_most),
        cmocka_unit_test(past_the_time_two_calls_and_the_last_one_are_still_made),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
