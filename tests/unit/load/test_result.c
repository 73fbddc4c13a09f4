#include "load/result.h"

#include "base/clock.h"
#include "harness.h"

static void statuses_fall_into_their_classes(void **state)
{
    (void)state;
    static const struct {
        unsigned status;
        int failure; /* negative: success */
    } cases[] = {
        {100, HBK_LOAD_STATUS_OTHER},
        {199, HBK_LOAD_STATUS_OTHER},
        {200, -1},
        {299, -1},
        {300, HBK_LOAD_STATUS_OTHER},
        {399, HBK_LOAD_STATUS_OTHER},
        {400, HBK_LOAD_STATUS_4XX},
        {418, -1},
        {499, HBK_LOAD_STATUS_4XX},
        {500, HBK_LOAD_STATUS_5XX},
        {599, HBK_LOAD_STATUS_5XX},
        {999, HBK_LOAD_STATUS_5XX},
    };
    for (size_t i = 0; i < HBK_COUNT(cases); i++) {
        enum hbk_load_failure failure = HBK_LOAD_FAILURE_COUNT;
        assert_int_equal(hbk_load_status_failure(cases[i].status, &failure), cases[i].failure >= 0);
        if (cases[i].failure >= 0) {
            assert_int_equal(failure, cases[i].failure);
        }
    }
}

static void every_failure_has_a_text_and_a_key_of_its_own(void **state)
{
    (void)state;
    for (unsigned i = 0; i < HBK_LOAD_FAILURE_COUNT; i++) {
        for (unsigned k = 0; k < i; k++) {
            assert_string_not_equal(hbk_load_failure_key((enum hbk_load_failure)i),
                                    hbk_load_failure_key((enum hbk_load_failure)k));
            assert_string_not_equal(hbk_load_failure_text((enum hbk_load_failure)i),
                                    hbk_load_failure_text((enum hbk_load_failure)k));
        }
    }
}

/* A thread's result with one answer of `response_ns` and one failure of twice that. */
static void fill(struct hbk_load_result *result, uint64_t response_ns, int64_t start_ns)
{
    assert_int_equal(hbk_load_result_init(result), HBK_OK);
    hbk_histogram_record(&result->response, response_ns);
    hbk_histogram_record(&result->response, 2 * response_ns);
    hbk_histogram_record(&result->failed, 2 * response_ns);
    hbk_load_tally_add(&result->body_bytes, response_ns);
    result->failures[HBK_LOAD_TIMEOUT] = 1;
    result->failures[HBK_LOAD_ABORTED] = 5;
    result->statuses[200] = 1;
    result->planned = 2;
    result->start_realtime_ns = start_ns;
    result->elapsed_ns = response_ns * HBK_NS_PER_MS;
    result->cpu_user_ns = 10;
    result->connections_opened = 3;
}

static void results_of_threads_add_up(void **state)
{
    (void)state;
    struct hbk_load_result sum, first, second;
    assert_int_equal(hbk_load_result_init(&sum), HBK_OK);
    fill(&first, 1000, 500);
    fill(&second, 2000, 400);
    hbk_load_result_merge(&sum, &first);
    hbk_load_result_merge(&sum, &second);
    assert_int_equal(hbk_load_result_calls(&sum), 4);
    assert_int_equal(hbk_load_result_failed(&sum), 2);
    assert_int_equal(hbk_load_result_failures(&sum), 2); /* what was aborted did not fail */
    assert_int_equal(sum.failures[HBK_LOAD_ABORTED], 10);
    assert_int_equal(sum.statuses[200], 2);
    assert_int_equal(sum.planned, 4);
    assert_int_equal(sum.start_realtime_ns, 400);
    assert_int_equal(sum.elapsed_ns, 2 * HBK_NS_PER_S);
    assert_true(hbk_load_result_rate(&sum) == 2);
    assert_int_equal(sum.cpu_user_ns, 20);
    assert_int_equal(sum.connections_opened, 6);
    assert_int_equal(sum.response.min, 1000);
    assert_int_equal(sum.response.max, 4000);
    assert_int_equal(sum.body_bytes.count, 2);
    assert_int_equal(sum.body_bytes.min, 1000);
    assert_int_equal(sum.body_bytes.max, 2000);
    assert_true(hbk_load_tally_mean(&sum.body_bytes) == 1500);
    assert_true(hbk_load_tally_deviation(&sum.body_bytes) == 500);
    hbk_load_result_fini(&first);
    hbk_load_result_fini(&second);
    hbk_load_result_fini(&sum);
}

static void warm_up_is_forgotten_but_for_its_connections_and_failures(void **state)
{
    (void)state;
    struct hbk_load_result result;
    fill(&result, 1000, 500);
    hbk_histogram_record(&result.connect, 7);
    hbk_load_result_begin(&result);
    assert_int_equal(hbk_load_result_calls(&result), 0);
    assert_int_equal(hbk_load_result_failures(&result), 0);
    assert_int_equal(result.warm_up_failures[HBK_LOAD_TIMEOUT], 1);
    assert_int_equal(result.statuses[200], 0);
    assert_int_equal(result.body_bytes.count, 0);
    assert_int_equal(result.connections_opened, 3);
    assert_int_equal(result.connect.total, 1);
    hbk_load_result_fini(&result);
}

static void a_result_without_calls_has_figures_too(void **state)
{
    (void)state;
    struct hbk_load_result result;
    assert_int_equal(hbk_load_result_init(&result), HBK_OK);
    assert_true(hbk_load_result_rate(&result) == 0);
    assert_true(hbk_load_tally_mean(&result.body_bytes) == 0);
    assert_true(hbk_load_tally_deviation(&result.body_bytes) == 0);
    hbk_load_result_fini(&result);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(statuses_fall_into_their_classes),
        cmocka_unit_test(every_failure_has_a_text_and_a_key_of_its_own),
        cmocka_unit_test(results_of_threads_add_up),
        cmocka_unit_test(warm_up_is_forgotten_but_for_its_connections_and_failures),
        cmocka_unit_test(a_result_without_calls_has_figures_too),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
