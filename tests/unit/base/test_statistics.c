#include "base/statistics.h"

#include <math.h>

#include "harness.h"

static void the_median_of_an_even_number_lies_in_the_middle(void **state)
{
    (void)state;
    double odd[] = {3, 1, 2}, even[] = {4, 1, 3, 2};
    assert_true(hbk_median(odd, 3) == 2);
    assert_true(hbk_median(even, 4) == 2.5);
    assert_true(isnan(hbk_median(even, 0)));
}

static void an_interval_holds_the_median_and_stays_within_the_values(void **state)
{
    (void)state;
    static const double values[] = {5, 1, 4, NAN, 2, 3};
    struct hbk_estimate estimate = hbk_estimate_of(values, 6);
    assert_int_equal(estimate.count, 5);
    assert_true(estimate.median == 3);
    assert_true(estimate.low >= 1 && estimate.low <= 3);
    assert_true(estimate.high >= 3 && estimate.high <= 5);
    struct hbk_estimate again = hbk_estimate_of(values, 6);
    assert_true(again.low == estimate.low && again.high == estimate.high);
}

static void one_value_has_no_interval_and_none_has_no_median(void **state)
{
    (void)state;
    static const double value = 7;
    struct hbk_estimate one = hbk_estimate_of(&value, 1), none = hbk_estimate_of(NULL, 0);
    assert_true(one.median == 7 && isnan(one.low) && isnan(one.high));
    assert_true(none.count == 0 && isnan(none.median));
}

static void the_interval_covers_the_truth_about_as_often_as_it_says(void **state)
{
    (void)state;
    enum { SERIES = 60, RUNS = 15 };
    unsigned covered = 0;
    uint64_t random = 1;
    for (unsigned i = 0; i < SERIES; i++) {
        double values[RUNS];
        for (unsigned k = 0; k < RUNS; k++) {
            random = random * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
            values[k] = (double)(random >> 11) * 0x1p-53;
        }
        struct hbk_estimate estimate = hbk_estimate_of(values, RUNS);
        covered += estimate.low <= 0.5 && estimate.high >= 0.5 ? 1 : 0;
    }
    assert_in_range(covered, SERIES * 85 / 100, SERIES);
}

static void a_ratio_of_equal_series_has_1_in_its_interval(void **state)
{
    (void)state;
    static const double a[] = {1.0, 1.1, 0.9, 1.05}, b[] = {2.0, 2.2, 1.8, 2.1};
    struct hbk_estimate same = hbk_ratio_of(a, 4, a, 4), twice = hbk_ratio_of(b, 4, a, 4);
    assert_true(same.median == 1 && same.low <= 1 && same.high >= 1);
    assert_true(fabs(twice.median - 2) < 1e-9 && twice.low > 1.5 && twice.high < 2.5);
}

static void a_straight_line_is_found_with_its_fit(void **state)
{
    (void)state;
    static const double x[] = {1000, 1600, 2400, 3200}, y[] = {12, 18, 26, 34};
    static const double noisy[] = {12, 18.5, 25.6, 34.2}, flat[] = {3, 3, 3, 3};
    struct hbk_line line = hbk_line_of(x, y, 4);
    assert_true(fabs(line.slope - 0.01) < 1e-12 && fabs(line.intercept - 2) < 1e-9);
    assert_true(fabs(line.r_squared - 1) < 1e-12);
    line = hbk_line_of(x, noisy, 4);
    assert_true(line.r_squared > 0.99 && line.r_squared < 1);
    assert_true(line.slope_low < 0.01 && line.slope_high > 0.01);
    assert_true(isnan(hbk_line_of(flat, y, 4).slope));
    assert_true(isnan(hbk_line_of(x, y, 1).slope));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_median_of_an_even_number_lies_in_the_middle),
        cmocka_unit_test(an_interval_holds_the_median_and_stays_within_the_values),
        cmocka_unit_test(one_value_has_no_interval_and_none_has_no_median),
        cmocka_unit_test(the_interval_covers_the_truth_about_as_often_as_it_says),
        cmocka_unit_test(a_ratio_of_equal_series_has_1_in_its_interval),
        cmocka_unit_test(a_straight_line_is_found_with_its_fit),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
