#include "plot/axis.h"

#include <math.h>

#include "harness.h"

static void marks_are_round_numbers_that_cover_the_values(void **state)
{
    (void)state;
    static const struct {
        double low, high;
        bool is_log;
        double first, last;
    } cases[] = {
        {0.2, 9.7, false, 0, 10}, {3, 3, false, 0, 3},          {-4, 9, false, -5, 10},
        {0, 0, false, 0, 1},      {1000, 3200, false, 0, 4000}, {0.3, 42, true, 0.1, 100},
        {10, 10, true, 10, 100},
    };
    for (size_t i = 0; i < HBK_COUNT(cases); i++) {
        struct hbk_axis axis;
        hbk_axis_init(&axis, cases[i].low, cases[i].high, cases[i].is_log);
        assert_true(axis.mark_count >= 2);
        assert_true(fabs(axis.marks[0].at - cases[i].first) < 1e-9);
        assert_true(axis.marks[axis.mark_count - 1].at >= cases[i].high);
        assert_true(fabs(axis.marks[axis.mark_count - 1].at - cases[i].last) < 1e-9);
    }
}

static void a_value_lies_between_the_ends_of_its_axis(void **state)
{
    (void)state;
    struct hbk_axis axis;
    hbk_axis_init(&axis, 0, 10, false);
    assert_true(hbk_axis_place(&axis, 0) == 0);
    assert_true(hbk_axis_place(&axis, 5) == 0.5);
    assert_true(hbk_axis_place(&axis, 11) == 1);
    hbk_axis_init(&axis, 1, 100, true);
    assert_true(fabs(hbk_axis_place(&axis, 10) - 0.5) < 1e-9);
    assert_true(hbk_axis_place(&axis, 0) == 0);
}

static void labels_are_short(void **state)
{
    (void)state;
    static const struct {
        double value;
        const char *label;
    } cases[] = {{0, "0"},       {0.2, "0.2"},     {950, "950"},
                 {3200, "3200"}, {12800, "12.8k"}, {2000000, "2M"}};
    for (size_t i = 0; i < HBK_COUNT(cases); i++) {
        char label[HBK_AXIS_LABEL_BYTES_MAX];
        hbk_axis_label(cases[i].value, label);
        assert_string_equal(label, cases[i].label);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(marks_are_round_numbers_that_cover_the_values),
        cmocka_unit_test(a_value_lies_between_the_ends_of_its_axis),
        cmocka_unit_test(labels_are_short),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
