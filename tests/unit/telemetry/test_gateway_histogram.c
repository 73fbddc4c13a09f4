#include "telemetry/gateway_histogram.h"

#include "harness.h"

static struct hbk_gw_histogram histogram;
static struct hbk_gw_samples samples;

static void record(const uint64_t *list, size_t count)
{
    samples = (struct hbk_gw_samples){0};
    for (size_t i = 0; i < count; i++) {
        hbk_gw_histogram_record(&histogram, list[i]);
    }
    hbk_gw_samples_add(&samples, &histogram);
    hbk_gw_histogram_fini(&histogram);
}

static bool holds(const struct hbk_buffer *out, struct hbk_slice text)
{
    struct hbk_slice all = hbk_buffer_slice(out);
    return memmem(all.bytes, all.size, text.bytes, text.size) != NULL;
}

static void test_a_bucket_holds_what_is_less_than_its_edge(void **state)
{
    static const uint64_t list[] = {0, 1, 4, 5, 8, 9, 249, 250, 3599999, 3600000, UINT64_MAX};
    static const struct {
        double edge;
        uint64_t below;
    } cases[] = {{0.5, 1}, {1, 1},   {5, 3},   {8, 4},      {9, 5},
                 {10, 6},  {250, 7}, {500, 8}, {3600000, 9}};
    (void)state;
    record(list, HBK_COUNT(list));
    assert_int_equal(samples.total, HBK_COUNT(list));
    for (size_t i = 0; i < HBK_COUNT(cases); i++) {
        assert_int_equal(hbk_gw_samples_below(&samples, cases[i].edge), cases[i].below);
    }
}

static void test_a_quantile_is_the_middle_of_its_bin(void **state)
{
    static const uint64_t list[] = {3, 11, 20, 20, 1234};
    (void)state;
    record(list, HBK_COUNT(list));
    assert_true(hbk_gw_samples_quantile(&samples, 0) > 3.04 &&
                hbk_gw_samples_quantile(&samples, 0) < 3.06);
    assert_true(hbk_gw_samples_quantile(&samples, 0.4) == 11.5);
    assert_true(hbk_gw_samples_quantile(&samples, 0.5) == 20.5);
    assert_true(hbk_gw_samples_quantile(&samples, 1) == 1250);
}

/* The second paper's Figure: batches by size 1 to 8, with Intel's edges 2 to 9. */
static void test_the_papers_batches_are_printed_as_its_dashboard_reads_them(void **state)
{
    static const uint64_t sizes[] = {178, 201, 188, 224, 227, 238, 294, 11531};
    static const double list[] = {2, 3, 4, 5, 6, 7, 8, 9};
    static const struct hbk_gw_edges edges = {list, HBK_COUNT(list)};
    struct hbk_buffer out;
    (void)state;
    samples = (struct hbk_gw_samples){0};
    for (size_t i = 0; i < HBK_COUNT(sizes); i++) {
        hbk_gw_samples_add_value(&samples, i + 1, sizes[i]);
    }
    hbk_buffer_init(&out, 1 << 16);
    assert_int_equal(hbk_gw_samples_print(&samples, "q", HBK_GW_BUCKETS_DISJOINT, &edges, &out),
                     HBK_OK);
    assert_slice_equal(hbk_buffer_slice(&out),
                       HBK_SLICE("q: B2(0,178) B3(0,201) B4(0,188) B5(0,224) B6(0,227) B7(0,238) "
                                 "B8(0,294) B9(0,11531)\n"));
    hbk_buffer_fini(&out);
    hbk_buffer_init(&out, 1 << 16);
    assert_int_equal(hbk_gw_samples_print(&samples, "q", HBK_GW_BUCKETS_CUMULATIVE, &edges, &out),
                     HBK_OK);
    assert_slice_equal(hbk_buffer_slice(&out),
                       HBK_SLICE("q: B2(0,178) B3(0,379) B4(0,567) B5(0,791) B6(0,1018) "
                                 "B7(0,1256) B8(0,1550) B9(0,13081)\n"));
    hbk_buffer_fini(&out);
    hbk_buffer_init(&out, 1 << 16);
    assert_int_equal(hbk_gw_samples_prometheus(&samples, "q", HBK_SLICE("a=\"b\""), &edges, &out),
                     HBK_OK);
    assert_true(holds(&out, HBK_SLICE("q_sum{a=\"b\"} 98909\n")));
    assert_true(holds(&out, HBK_SLICE("q_bucket{a=\"b\",le=\"9\"} 13081\n")));
    hbk_buffer_fini(&out);
}

static void test_a_histogram_without_samples_says_so(void **state)
{
    struct hbk_buffer out;
    (void)state;
    record(NULL, 0);
    hbk_buffer_init(&out, 1 << 16);
    assert_int_equal(
        hbk_gw_samples_print(&samples, "q", HBK_GW_BUCKETS_NONE, &hbk_gw_default_edges, &out),
        HBK_OK);
    assert_slice_equal(hbk_buffer_slice(&out), HBK_SLICE("q: No recorded values\n"));
    hbk_buffer_fini(&out);
    assert_true(hbk_gw_samples_quantile(&samples, 0.5) == 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_bucket_holds_what_is_less_than_its_edge),
        cmocka_unit_test(test_a_quantile_is_the_middle_of_its_bin),
        cmocka_unit_test(test_the_papers_batches_are_printed_as_its_dashboard_reads_them),
        cmocka_unit_test(test_a_histogram_without_samples_says_so),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
