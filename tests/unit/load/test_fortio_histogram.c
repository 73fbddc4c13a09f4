/* Against values that Fortio 1.75.3 gave for the same samples; tests/e2e/test_fortio.py compares
 * more of them with the program itself. */
#include "load/fortio_histogram.h"

#include <math.h>

#include "harness.h"

static void assert_near(double found, double expected)
{
    if (fabs(found - expected) > 1e-9 * fmax(1, fabs(expected))) {
        print_error("%.17g is not %.17g\n", found, expected);
        fail();
    }
}

static void buckets_and_percentiles_are_fortios(void **state)
{
    (void)state;
    static const double values[] = {0.0, 0.001, 0.0015, 0.2003, 0.2101, 0.26, 150};
    static const struct hbk_fortio_bucket expected[] = {
        {0, 0, 100.0 / 7, 1},      {0, 0.001, 200.0 / 7, 1},  {0.001, 0.002, 300.0 / 7, 1},
        {0.2, 0.25, 500.0 / 7, 2}, {0.25, 0.3, 600.0 / 7, 1}, {100, 150, 100, 1},
    };
    struct hbk_fortio_histogram histogram;
    struct hbk_fortio_bucket buckets[HBK_FORTIO_BUCKETS];
    hbk_fortio_histogram_init(&histogram, 0.001, 0);
    for (size_t i = 0; i < HBK_COUNT(values); i++) {
        hbk_fortio_histogram_record(&histogram, values[i]);
    }
    assert_int_equal(hbk_fortio_histogram_export(&histogram, buckets), HBK_COUNT(expected));
    for (size_t i = 0; i < HBK_COUNT(expected); i++) {
        assert_near(buckets[i].start, expected[i].start);
        assert_near(buckets[i].end, expected[i].end);
        assert_near(buckets[i].percent, expected[i].percent);
        assert_int_equal(buckets[i].count, expected[i].count);
    }
    assert_near(hbk_fortio_histogram_mean(&histogram), 21.5247);
    assert_near(hbk_fortio_histogram_deviation(&histogram), 52.44992563622674);
}

/* The paper's baselines: a percentile inside the last bucket is a share of the way to the max. */
static void a_percentile_in_one_bucket_is_a_straight_line_from_min_to_max(void **state)
{
    (void)state;
    struct hbk_fortio_histogram histogram;
    hbk_fortio_histogram_init(&histogram, 0.001, 0);
    for (unsigned i = 0; i < 199999; i++) {
        hbk_fortio_histogram_record(&histogram, 0.2005);
    }
    hbk_fortio_histogram_record(&histogram, 0.24);
    assert_true(fabs(hbk_fortio_histogram_percentile(&histogram, 50) - 0.2202) < 0.0001);
    assert_true(fabs(hbk_fortio_histogram_percentile(&histogram, 90) - 0.2360) < 0.0001);
    assert_true(fabs(hbk_fortio_histogram_percentile(&histogram, 99) - 0.2396) < 0.0001);
    hbk_fortio_histogram_record(&histogram, 0.26);
    assert_true(fabs(hbk_fortio_histogram_percentile(&histogram, 99) - 0.2495) < 0.0001);
}

static void a_whole_number_of_units_belongs_to_the_bucket_that_ends_there(void **state)
{
    (void)state;
    for (unsigned units = 1; units <= 20; units++) {
        struct hbk_fortio_histogram histogram;
        struct hbk_fortio_bucket buckets[HBK_FORTIO_BUCKETS];
        hbk_fortio_histogram_init(&histogram, 1, 0);
        hbk_fortio_histogram_record(&histogram, units);
        hbk_fortio_histogram_record(&histogram, units + 1e-13);
        hbk_fortio_histogram_record(&histogram, units + 1e-6);
        assert_int_equal(hbk_fortio_histogram_export(&histogram, buckets),
                         units < 20 && units % 2 == 1 && units > 11 ? 1 : 2);
    }
}

static void merged_histograms_are_the_histogram_of_all_values(void **state)
{
    (void)state;
    struct hbk_fortio_histogram whole, parts[2];
    hbk_fortio_histogram_init(&whole, 0.0001, 0.001);
    hbk_fortio_histogram_init(&parts[0], 0.0001, 0.001);
    hbk_fortio_histogram_init(&parts[1], 0.0001, 0.001);
    for (unsigned i = 0; i < 1000; i++) {
        double value = 0.0005 + 0.000037 * i;
        hbk_fortio_histogram_record(&whole, value);
        hbk_fortio_histogram_record(&parts[i % 3 == 0], value);
    }
    hbk_fortio_histogram_merge(&parts[0], &parts[1]);
    assert_memory_equal(parts[0].buckets, whole.buckets, sizeof whole.buckets);
    assert_near(parts[0].min, whole.min);
    assert_near(parts[0].max, whole.max);
    assert_near(parts[0].sum, whole.sum);
    assert_near(hbk_fortio_histogram_percentile(&parts[0], 75),
                hbk_fortio_histogram_percentile(&whole, 75));
}

static void nothing_recorded_has_no_buckets_and_percentile_0(void **state)
{
    (void)state;
    struct hbk_fortio_histogram histogram;
    struct hbk_fortio_bucket buckets[HBK_FORTIO_BUCKETS];
    hbk_fortio_histogram_init(&histogram, 1, 0);
    assert_int_equal(hbk_fortio_histogram_export(&histogram, buckets), 0);
    assert_true(hbk_fortio_histogram_percentile(&histogram, 99) == 0);
    assert_true(hbk_fortio_histogram_mean(&histogram) == 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(buckets_and_percentiles_are_fortios),
        cmocka_unit_test(a_percentile_in_one_bucket_is_a_straight_line_from_min_to_max),
        cmocka_unit_test(a_whole_number_of_units_belongs_to_the_bucket_that_ends_there),
        cmocka_unit_test(merged_histograms_are_the_histogram_of_all_values),
        cmocka_unit_test(nothing_recorded_has_no_buckets_and_percentile_0),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
