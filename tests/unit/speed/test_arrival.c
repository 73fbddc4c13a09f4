#include "speed/arrival.h"

#include "harness.h"

static struct hbk_estimate estimate(double low, double high)
{
    return (struct hbk_estimate){
        .median = (low + high) / 2, .low = low, .high = high, .count = HBK_ARRIVAL_ROUNDS};
}

static void a_policy_is_worse_only_where_no_interval_reaches_down_to_equality(void **state)
{
    (void)state;
    const struct {
        const char *name;
        double cpu[2], p99[2];
        bool is_worse;
    } cases[] = {
        {"more of both", {0.001, 0.002}, {1, 3}, true},
        {"perhaps the same CPU", {-0.001, 0.002}, {1, 3}, false},
        {"just the same CPU", {0, 0}, {1, 3}, false},
        {"perhaps the same P99", {0.001, 0.002}, {0, 3}, false},
        {"less CPU", {-0.002, -0.001}, {1, 3}, false},
        {"a shorter P99", {0.001, 0.002}, {-3, -1}, false},
        {"less of both", {-0.002, -0.001}, {-3, -1}, false},
    };
    for (size_t i = 0; i < HBK_COUNT(cases); i++) {
        const struct hbk_arrival_comparison comparison = {
            .policy = "now",
            .than = "fixed-1ms",
            .load = 0.5,
            .cpu = estimate(cases[i].cpu[0], cases[i].cpu[1]),
            .p99_us = estimate(cases[i].p99[0], cases[i].p99[1]),
        };
        if (hbk_arrival_is_worse(&comparison) != cases[i].is_worse) {
            fail_msg("%s", cases[i].name);
        }
    }
}

static struct hbk_arrival_comparison compared(const char *policy, const char *than, double load,
                                              bool is_worse)
{
    const struct hbk_estimate difference = is_worse ? estimate(1, 2) : estimate(-2, -1);
    return (struct hbk_arrival_comparison){
        .policy = policy, .than = than, .load = load, .cpu = difference, .p99_us = difference};
}

static void the_rule_is_broken_only_where_both_policies_are_worse_than_the_same_one(void **state)
{
    (void)state;
    static const char *const fixed[] = {"fixed-1ms", "fixed-10ms"};
    static const double loads[] = {0.25, 0.95};
    /* Bit 0: now is worse, bit 1: adaptive is. */
    for (unsigned last = 0; last < 4; last++) {
        for (unsigned others = 0; others < 3; others++) {
            struct hbk_arrival_comparison list[8];
            size_t count = 0;
            for (size_t i = 0; i < HBK_COUNT(loads); i++) {
                for (size_t k = 0; k < HBK_COUNT(fixed); k++) {
                    const unsigned worse = i == 1 && k == 1 ? last : others;
                    list[count++] = compared("now", fixed[k], loads[i], worse & 1);
                    list[count++] = compared("adaptive", fixed[k], loads[i], worse & 2);
                }
            }
            const struct hbk_arrival_comparison *broken = hbk_arrival_find_broken(list, count);
            assert_ptr_equal(broken, last == 3 ? &list[6] : NULL);
        }
    }
}

static void who_was_not_compared_keeps_no_rule(void **state)
{
    (void)state;
    const struct hbk_arrival_comparison alone = compared("now", "fixed-1ms", 0.5, true);
    assert_ptr_equal(hbk_arrival_find_broken(&alone, 1), &alone);
    const struct hbk_arrival_comparison good = compared("now", "fixed-1ms", 0.5, false);
    assert_null(hbk_arrival_find_broken(&good, 1));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_policy_is_worse_only_where_no_interval_reaches_down_to_equality),
        cmocka_unit_test(the_rule_is_broken_only_where_both_policies_are_worse_than_the_same_one),
        cmocka_unit_test(who_was_not_compared_keeps_no_rule),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
