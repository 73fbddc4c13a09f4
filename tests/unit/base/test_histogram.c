#include "base/histogram.h"

#include "harness.h"

static void a_percentile_is_never_more_than_a_thousandth_too_high(void **state)
{
    (void)state;
    struct hbk_histogram histogram;
    assert_int_equal(hbk_histogram_init(&histogram), HBK_OK);
    for (uint64_t value = 1; value < UINT64_C(1) << 40; value = value * 3 + 1) {
        hbk_histogram_clear(&histogram);
        hbk_histogram_record(&histogram, value);
        hbk_histogram_record(&histogram, UINT64_C(1) << 40);
        uint64_t found = hbk_histogram_percentile(&histogram, 50);
        assert_true(found >= value);
        assert_true(found - value <= value / 1000);
    }
    hbk_histogram_fini(&histogram);
}

static void percentiles_follow_the_nearest_rank(void **state)
{
    (void)state;
    struct hbk_histogram histogram;
    assert_int_equal(hbk_histogram_init(&histogram), HBK_OK);
    assert_int_equal(hbk_histogram_percentile(&histogram, 99), 0);
    for (uint64_t value = 1; value <= 1000; value++) {
        hbk_histogram_record(&histogram, value);
    }
    assert_int_equal(hbk_histogram_percentile(&histogram, 0), 1);
    assert_int_equal(hbk_histogram_percentile(&histogram, 50), 500);
    assert_int_equal(hbk_histogram_percentile(&histogram, 99.9), 999);
    assert_int_equal(hbk_histogram_percentile(&histogram, 100), 1000);
    assert_int_equal(hbk_histogram_mean(&histogram) * 10, 5005);
    hbk_histogram_fini(&histogram);
}

static void the_largest_values_stay_in_the_last_bucket(void **state)
{
    (void)state;
    struct hbk_histogram a, b;
    assert_int_equal(hbk_histogram_init(&a), HBK_OK);
    assert_int_equal(hbk_histogram_init(&b), HBK_OK);
    hbk_histogram_record(&a, UINT64_MAX);
    hbk_histogram_record(&b, 5);
    hbk_histogram_merge(&b, &a);
    assert_int_equal(b.total, 2);
    assert_int_equal(b.counts[HBK_HISTOGRAM_COUNT - 1], 1);
    assert_true(b.max == UINT64_MAX);
    assert_int_equal(b.min, 5);
    hbk_histogram_fini(&a);
    hbk_histogram_fini(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_percentile_is_never_more_than_a_thousandth_too_high),
        cmocka_unit_test(percentiles_follow_the_nearest_rank),
        cmocka_unit_test(the_largest_values_stay_in_the_last_bucket),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
