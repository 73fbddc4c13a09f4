#include "load/threshold.h"

#include "base/clock.h"
#include "harness.h"

/* 100 calls of 1 to 100 ms at 50/s, two of which failed. */
static void fill(struct hbk_load_plan *plan, struct hbk_load_result *result)
{
    hbk_load_plan_init(plan);
    plan->rate_per_s = 50;
    assert_int_equal(hbk_load_result_init(result), HBK_OK);
    for (unsigned i = 1; i <= 100; i++) {
        hbk_load_result_record(
            result, 0,
            &(struct hbk_load_times){.response_ns = i * HBK_NS_PER_MS, .has_failed = i > 98});
        hbk_histogram_record(&result->service, i * HBK_NS_PER_MS / 2);
    }
    result->failures[HBK_LOAD_STATUS_5XX] = 2;
    result->elapsed_ns = 2 * HBK_NS_PER_S;
}

static void a_condition_is_met_or_missed_as_it_says(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        bool is_met;
    } cases[] = {
        {"p99<100ms", true},        {"p99<99ms", false},          {"p50 <= 50.1ms", true},
        {"p99.9>99ms", true},       {"max<100ms", false},         {"max<=100ms", true},
        {"min>=1ms", true},         {"mean<51ms", true},          {"avg<50ms", false},
        {"service.p99<51ms", true}, {"response.p99<51ms", false}, {"errors<3", true},
        {"errors<2", false},        {"errors<=2%", true},         {"errors<0.1%", false},
        {"rate>=50", true},         {"rate>=100%", true},         {"rate>50", false},
        {"rate>99%", true},         {"lateness.p99<1ms", false},
    };
    struct hbk_load_plan plan;
    struct hbk_load_result result;
    fill(&plan, &result);
    for (size_t i = 0; i < HBK_COUNT(cases); i++) {
        struct hbk_threshold threshold;
        char found[HBK_THRESHOLD_FOUND_BYTES_MAX];
        assert_int_equal(hbk_threshold_parse(hbk_slice_text(cases[i].text), &threshold, NULL),
                         HBK_OK);
        if (hbk_threshold_is_met(&threshold, &plan, &result, found) != cases[i].is_met) {
            print_error("%s: found %s\n", cases[i].text, found);
            fail();
        }
        assert_true(found[0] != '\0');
    }
    hbk_load_result_fini(&result);
}

static void what_is_no_condition_is_refused_with_what_is_allowed(void **state)
{
    (void)state;
    static const char *const refused[] = {
        "",
        "p99",
        "p99<",
        "p99<20",
        "p0<1ms",
        "p101<1ms",
        "<1ms",
        "q99<1ms",
        "p99=1ms",
        "errors<1ms",
        "rate>x",
        "errors<%",
        "service.errors<1",
        "p99<20ms<",
        "p99<-20ms",
        "lateness<1ms",
        "rate><1%",
    };
    for (size_t i = 0; i < HBK_COUNT(refused); i++) {
        struct hbk_threshold threshold;
        struct hbk_error error = {0};
        hbk_status status = hbk_threshold_parse(hbk_slice_text(refused[i]), &threshold, &error);
        if (status != HBK_INVALID) {
            print_error("%s was taken\n", refused[i]);
            fail();
        }
        assert_non_null(strstr(error.text, "p99<20ms"));
    }
}

static void a_run_without_calls_meets_no_time(void **state)
{
    (void)state;
    struct hbk_load_plan plan;
    struct hbk_load_result result;
    struct hbk_threshold threshold;
    char found[HBK_THRESHOLD_FOUND_BYTES_MAX];
    hbk_load_plan_init(&plan);
    assert_int_equal(hbk_load_result_init(&result), HBK_OK);
    assert_int_equal(hbk_threshold_parse(HBK_SLICE("p99<1h"), &threshold, NULL), HBK_OK);
    assert_false(hbk_threshold_is_met(&threshold, &plan, &result, found));
    hbk_load_result_fini(&result);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_condition_is_met_or_missed_as_it_says),
        cmocka_unit_test(what_is_no_condition_is_refused_with_what_is_allowed),
        cmocka_unit_test(a_run_without_calls_meets_no_time),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
