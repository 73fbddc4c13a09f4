#include "bench/gateway_report.h"

#include <math.h>

#include "harness.h"

static struct hbk_gateway_bench bench; /* too large for a stack */

static void set(enum hbk_gateway_row row, enum hbk_gateway_proxy_name name,
                enum hbk_gateway_measure measure, double value)
{
    bench.cells[row][name].medians[measure] = value;
}

static void a_figure_is_judged_by_its_ratio_to_the_other_proxys(void **state)
{
    (void)state;
    static const struct hbk_gateway_target target = {HBK_GATEWAY_RSA, HBK_GATEWAY_PER_CPU_S,
                                                     HBK_GATEWAY_HAPROXY, false, 3};
    double found = 0;
    set(HBK_GATEWAY_RSA, HBK_GATEWAY_OURS, HBK_GATEWAY_PER_CPU_S, 6000);
    set(HBK_GATEWAY_RSA, HBK_GATEWAY_HAPROXY, HBK_GATEWAY_PER_CPU_S, 2000);
    assert_int_equal(hbk_gateway_judge(&bench, &target, &found), HBK_GATEWAY_MET);
    assert_true(found == 3);
    set(HBK_GATEWAY_RSA, HBK_GATEWAY_OURS, HBK_GATEWAY_PER_CPU_S, 5999);
    assert_int_equal(hbk_gateway_judge(&bench, &target, &found), HBK_GATEWAY_MISSED);
}

static void a_latency_must_not_be_above(void **state)
{
    (void)state;
    static const struct hbk_gateway_target target = {HBK_GATEWAY_HALF, HBK_GATEWAY_P99_US,
                                                     HBK_GATEWAY_HAPROXY, true, 1};
    double found = 0;
    set(HBK_GATEWAY_HALF, HBK_GATEWAY_OURS, HBK_GATEWAY_P99_US, 900);
    set(HBK_GATEWAY_HALF, HBK_GATEWAY_HAPROXY, HBK_GATEWAY_P99_US, 900);
    assert_int_equal(hbk_gateway_judge(&bench, &target, &found), HBK_GATEWAY_MET);
    set(HBK_GATEWAY_HALF, HBK_GATEWAY_OURS, HBK_GATEWAY_P99_US, 901);
    assert_int_equal(hbk_gateway_judge(&bench, &target, &found), HBK_GATEWAY_MISSED);
}

static void a_figure_of_ours_alone_is_judged_by_itself(void **state)
{
    (void)state;
    static const struct hbk_gateway_target target = {HBK_GATEWAY_IDLE, HBK_GATEWAY_BYTES,
                                                     HBK_GATEWAY_OURS, true, 3072};
    double found = 0;
    set(HBK_GATEWAY_IDLE, HBK_GATEWAY_OURS, HBK_GATEWAY_BYTES, 3072);
    assert_int_equal(hbk_gateway_judge(&bench, &target, &found), HBK_GATEWAY_MET);
    assert_true(found == 3072);
    set(HBK_GATEWAY_IDLE, HBK_GATEWAY_OURS, HBK_GATEWAY_BYTES, 3073);
    assert_int_equal(hbk_gateway_judge(&bench, &target, &found), HBK_GATEWAY_MISSED);
}

static void what_was_not_measured_on_either_side_is_never_met(void **state)
{
    (void)state;
    for (unsigned i = 0; i < hbk_gateway_target_count; i++) {
        const struct hbk_gateway_target *target = &hbk_gateway_targets[i];
        double found = 0;
        set(target->row, HBK_GATEWAY_OURS, target->measure, 1);
        set(target->row, target->beside, target->measure, NAN);
        assert_int_equal(hbk_gateway_judge(&bench, target, &found), HBK_GATEWAY_UNMEASURED);
        set(target->row, target->beside, target->measure, 1);
        set(target->row, HBK_GATEWAY_OURS, target->measure, NAN);
        assert_int_equal(hbk_gateway_judge(&bench, target, &found), HBK_GATEWAY_UNMEASURED);
        assert_true(isnan(found));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_figure_is_judged_by_its_ratio_to_the_other_proxys),
        cmocka_unit_test(a_latency_must_not_be_above),
        cmocka_unit_test(a_figure_of_ours_alone_is_judged_by_itself),
        cmocka_unit_test(what_was_not_measured_on_either_side_is_never_met),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
