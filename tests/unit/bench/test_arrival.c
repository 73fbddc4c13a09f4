#include "bench/arrival.h"

#include "harness.h"

static void the_rule_is_broken_only_by_both_and_only_in_both_figures(void **state)
{
    (void)state;
    const struct {
        const char *name;
        double cpu[3], p99[3]; /* of fixed, now, adaptive */
        bool is_broken;
    } cases[] = {
        {"both are better", {0.9, 0.8, 0.8}, {7, 6, 6}, false},
        {"both are worse", {0.9, 0.91, 0.92}, {7, 8, 7.1}, true},
        {"now has a better P99", {0.9, 0.91, 0.92}, {7, 6.9, 7.1}, false},
        {"adaptive needs less", {0.9, 0.91, 0.89}, {7, 8, 9}, false},
        {"adaptive needs the same", {0.9, 0.91, 0.9}, {7, 8, 9}, false},
        {"and they are worse in different ways", {0.9, 0.8, 0.95}, {7, 9, 6}, false},
    };
    for (size_t i = 0; i < HBK_COUNT(cases); i++) {
        struct hbk_arrival_row rows[6] = {
            {.policy = "fixed-1ms", .load = 0.25, .cpu = 1, .p99_us = 100},
            {.policy = "now", .load = 0.25, .cpu = 0.5, .p99_us = 1},
            {.policy = "adaptive", .load = 0.25, .cpu = 0.5, .p99_us = 1},
            {.policy = "fixed-1ms"},
            {.policy = "now"},
            {.policy = "adaptive"},
        };
        for (size_t k = 0; k < 3; k++) {
            rows[3 + k].load = 0.95;
            rows[3 + k].cpu = cases[i].cpu[k];
            rows[3 + k].p99_us = cases[i].p99[k];
        }
        const struct hbk_arrival_row *broken = hbk_arrival_find_broken(rows, HBK_COUNT(rows));
        if (broken != (cases[i].is_broken ? &rows[3] : NULL)) {
            fail_msg("%s", cases[i].name);
        }
    }
    const struct hbk_arrival_row alone = {.policy = "fixed-1ms", .load = 0.5};
    assert_ptr_equal(hbk_arrival_find_broken(&alone, 1), &alone);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_rule_is_broken_only_by_both_and_only_in_both_figures),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
