#include "load/fortio.h"

#include <jansson.h>
#include <math.h>

#include "base/clock.h"
#include "harness.h"

struct fixture {
    struct hbk_load_plan plan;
    struct hbk_load_result result;
    json_t *json;
};

static void begin(struct fixture *fixture, const char *url)
{
    hbk_load_plan_init(&fixture->plan);
    assert_int_equal(hbk_load_target_parse(hbk_slice_text(url), &fixture->plan.target, NULL),
                     HBK_OK);
    assert_int_equal(hbk_load_result_init(&fixture->result), HBK_OK);
    fixture->json = NULL;
}

/* Writes the result and reads it back, as a reader of Fortio's files would. */
static void write_and_read(struct fixture *fixture)
{
    char *text = hbk_fortio_text(&fixture->plan, &fixture->result);
    assert_non_null(text);
    fixture->json = json_loads(text, 0, NULL);
    assert_non_null(fixture->json);
    free(text);
}

static void end(struct fixture *fixture)
{
    json_decref(fixture->json);
    hbk_load_result_fini(&fixture->result);
}

static double number_at(const json_t *object, const char *key)
{
    const json_t *value = json_object_get(object, key);
    assert_true(json_is_number(value));
    return json_number_value(value);
}

static json_int_t integer_at(const json_t *object, const char *key)
{
    const json_t *value = json_object_get(object, key);
    assert_true(json_is_integer(value));
    return json_integer_value(value);
}

static const char *text_at(const json_t *object, const char *key)
{
    const json_t *value = json_object_get(object, key);
    assert_true(json_is_string(value));
    return json_string_value(value);
}

static void assert_near(double found, double expected)
{
    assert_true(fabs(found - expected) <= fabs(expected) * 1e-12);
}

static void record(struct fixture *fixture, uint64_t ns)
{
    hbk_histogram_record(&fixture->result.response, ns);
    fixture->result.statuses[200]++;
}

static void the_head_has_fortios_names_and_types(void **state)
{
    (void)state;
    struct fixture fixture;
    begin(&fixture, "http://cart:8080/x");
    fixture.plan.rate_per_s = 3200;
    fixture.plan.connections = 1600;
    fixture.plan.duration_ns = 300 * HBK_NS_PER_S;
    fixture.result.start_realtime_ns = INT64_C(1730764800) * 1000000000 + 7;
    fixture.result.elapsed_ns = 2 * HBK_NS_PER_S;
    record(&fixture, 200 * HBK_NS_PER_MS);
    record(&fixture, 201 * HBK_NS_PER_MS);
    write_and_read(&fixture);
    const json_t *json = fixture.json;
    assert_string_equal(text_at(json, "RunType"), "HTTP");
    assert_string_equal(text_at(json, "URL"), "http://cart:8080/x");
    assert_string_equal(text_at(json, "StartTime"), "2024-11-05T00:00:00.000000007Z");
    assert_string_equal(text_at(json, "RequestedQPS"), "3200");
    assert_string_equal(text_at(json, "RequestedDuration"), "5m0s");
    assert_near(number_at(json, "ActualQPS"), 1);
    assert_int_equal(integer_at(json, "ActualDuration"), 2 * HBK_NS_PER_S);
    assert_int_equal(integer_at(json, "NumThreads"), 1600);
    assert_int_equal(integer_at(json, "HTTPReqTimeOut"), 3 * HBK_NS_PER_S);
    assert_int_equal(integer_at(json_object_get(json, "RetCodes"), "200"), 2);
    assert_true(json_is_true(json_object_get(json, "Uniform")));
    end(&fixture);
}

static void a_rate_keeps_nine_digits_and_full_speed_is_max(void **state)
{
    (void)state;
    static const struct {
        double rate_per_s;
        const char *text;
    } cases[] = {{0, "max"}, {0.5, "0.5"}, {1234.5678, "1234.5678"}, {1e6 / 3, "333333.333"}};
    for (size_t i = 0; i < HBK_COUNT(cases); i++) {
        struct fixture fixture;
        begin(&fixture, "http://a/");
        fixture.plan.rate_per_s = cases[i].rate_per_s;
        write_and_read(&fixture);
        assert_string_equal(text_at(fixture.json, "RequestedQPS"), cases[i].text);
        end(&fixture);
    }
}

static void the_length_of_a_run_is_told_in_fortios_words(void **state)
{
    (void)state;
    static const struct {
        uint64_t duration_ns, calls;
        bool was_interrupted;
        const char *text;
    } cases[] = {
        {5 * HBK_NS_PER_S, 0, false, "5s"},
        {0, 0, false, "until stop"},
        {5 * HBK_NS_PER_S, 100, false, "exactly 100 calls"},
        {5 * HBK_NS_PER_S, 0, true, "5s, interrupted after 1.5s"},
        {0, 0, true, "until stop, interrupted after 1.5s"},
        {0, 100, true, "exactly 100 calls, interrupted after 1.5s"},
    };
    for (size_t i = 0; i < HBK_COUNT(cases); i++) {
        struct fixture fixture;
        begin(&fixture, "http://a/");
        fixture.plan.duration_ns = cases[i].duration_ns;
        fixture.plan.calls = cases[i].calls;
        fixture.result.elapsed_ns = 1500 * HBK_NS_PER_MS;
        fixture.result.was_interrupted = cases[i].was_interrupted;
        write_and_read(&fixture);
        assert_string_equal(text_at(fixture.json, "RequestedDuration"), cases[i].text);
        end(&fixture);
    }
}

static void buckets_reach_from_the_least_to_the_greatest_value_without_gap_in_count(void **state)
{
    (void)state;
    struct fixture fixture;
    begin(&fixture, "http://a/");
    for (uint64_t ms = 1; ms <= 1000; ms++) {
        record(&fixture, ms * HBK_NS_PER_MS + 1);
    }
    write_and_read(&fixture);
    const json_t *histogram = json_object_get(fixture.json, "DurationHistogram");
    const json_t *data = json_object_get(histogram, "Data");
    size_t count = json_array_size(data);
    assert_true(count > 100 && count <= HBK_FORTIO_BUCKETS_MAX);
    assert_int_equal(integer_at(histogram, "Count"), 1000);
    assert_near(number_at(histogram, "Min"), 0.001000001);
    assert_near(number_at(histogram, "Max"), 1.000000001);
    assert_near(number_at(json_array_get(data, 0), "Start"), 0.001000001);
    assert_near(number_at(json_array_get(data, count - 1), "End"), 1.000000001);
    assert_near(number_at(json_array_get(data, count - 1), "Percent"), 100);
    json_int_t seen = 0;
    for (size_t i = 0; i < count; i++) {
        const json_t *bucket = json_array_get(data, i);
        seen += integer_at(bucket, "Count");
        assert_true(integer_at(bucket, "Count") > 0);
        assert_true(number_at(bucket, "Start") < number_at(bucket, "End"));
        assert_near(number_at(bucket, "Percent"), (double)seen / 10);
        if (i > 0) {
            assert_true(number_at(bucket, "Start") >=
                        number_at(json_array_get(data, i - 1), "End"));
        }
    }
    assert_int_equal(seen, 1000);
    end(&fixture);
}

static void a_wide_histogram_is_joined_to_fewer_buckets(void **state)
{
    (void)state;
    struct fixture fixture;
    begin(&fixture, "http://a/");
    uint64_t values = 0;
    for (uint64_t ns = 1000; ns < 100 * HBK_NS_PER_S; ns += ns / 1500 + 1) {
        record(&fixture, ns);
        values++;
    }
    assert_true(values > 4 * HBK_FORTIO_BUCKETS_MAX);
    write_and_read(&fixture);
    const json_t *data =
        json_object_get(json_object_get(fixture.json, "DurationHistogram"), "Data");
    assert_true(json_array_size(data) <= HBK_FORTIO_BUCKETS_MAX);
    assert_true(json_array_size(data) > HBK_FORTIO_BUCKETS_MAX / 3);
    uint64_t seen = 0;
    for (size_t i = 0; i < json_array_size(data); i++) {
        seen += (uint64_t)integer_at(json_array_get(data, i), "Count");
    }
    assert_int_equal(seen, values);
    end(&fixture);
}

static void percentiles_are_those_of_the_full_histogram(void **state)
{
    (void)state;
    struct fixture fixture;
    begin(&fixture, "http://a/");
    for (uint64_t us = 1; us <= 1000; us++) {
        record(&fixture, us * HBK_NS_PER_US);
    }
    write_and_read(&fixture);
    const json_t *percentiles =
        json_object_get(json_object_get(fixture.json, "DurationHistogram"), "Percentiles");
    static const double expected[][2] = {
        {50, 500e-6}, {75, 750e-6}, {90, 900e-6}, {99, 990e-6}, {99.9, 999e-6}};
    assert_int_equal(json_array_size(percentiles), HBK_COUNT(expected));
    for (size_t i = 0; i < HBK_COUNT(expected); i++) {
        const json_t *entry = json_array_get(percentiles, i);
        assert_near(number_at(entry, "Percentile"), expected[i][0]);
        double value = number_at(entry, "Value");
        assert_true(value >= expected[i][1] && value <= expected[i][1] * 1.001);
    }
    end(&fixture);
}

static void a_run_without_calls_is_valid_too(void **state)
{
    (void)state;
    struct fixture fixture;
    begin(&fixture, "http://a/");
    write_and_read(&fixture);
    const json_t *histogram = json_object_get(fixture.json, "DurationHistogram");
    assert_int_equal(integer_at(histogram, "Count"), 0);
    assert_true(json_is_null(json_object_get(histogram, "Data")));
    assert_null(json_object_get(histogram, "Percentiles"));
    end(&fixture);
}

static void failures_stand_apart_and_socket_errors_have_code_minus_1(void **state)
{
    (void)state;
    struct fixture fixture;
    begin(&fixture, "http://a/");
    record(&fixture, 1000);
    for (unsigned i = 0; i < 3; i++) {
        hbk_histogram_record(&fixture.result.response, 5000);
        hbk_histogram_record(&fixture.result.failed, 5000);
    }
    fixture.result.statuses[503] = 1;
    fixture.result.failures[HBK_LOAD_STATUS_5XX] = 1;
    fixture.result.failures[HBK_LOAD_TIMEOUT] = 2;
    fixture.result.warm_up_failures[HBK_LOAD_RESET] = 4;
    write_and_read(&fixture);
    const json_t *codes = json_object_get(fixture.json, "RetCodes");
    assert_int_equal(integer_at(codes, "200"), 1);
    assert_int_equal(integer_at(codes, "503"), 1);
    assert_int_equal(integer_at(codes, "-1"), 2);
    const json_t *errors = json_object_get(fixture.json, "ErrorsDurationHistogram");
    assert_int_equal(integer_at(errors, "Count"), 3);
    const json_t *ours = json_object_get(fixture.json, "hauberk");
    assert_int_equal(integer_at(ours, "failed"), 3);
    assert_int_equal(integer_at(json_object_get(ours, "errors"), "timeout"), 2);
    assert_int_equal(integer_at(json_object_get(ours, "errors"), "status_5xx"), 1);
    assert_int_equal(integer_at(json_object_get(ours, "warm_up_errors"), "reset"), 4);
    end(&fixture);
}

static void our_part_tells_waits_apart_from_service(void **state)
{
    (void)state;
    struct fixture fixture;
    begin(&fixture, "http://a/");
    fixture.plan.rate_per_s = 2;
    fixture.result.elapsed_ns = HBK_NS_PER_S;
    fixture.result.cpu_user_ns = 3 * HBK_NS_PER_US;
    fixture.result.cpu_system_ns = 5 * HBK_NS_PER_US;
    record(&fixture, 2000);
    record(&fixture, 2000);
    hbk_histogram_record(&fixture.result.service, 1000);
    hbk_histogram_record(&fixture.result.lateness, 500);
    fixture.result.waited = 1;
    write_and_read(&fixture);
    const json_t *ours = json_object_get(fixture.json, "hauberk");
    assert_string_equal(text_at(ours, "loop"), "open");
    assert_near(number_at(ours, "offered_rps"), 2);
    assert_near(number_at(ours, "achieved_rps"), 2);
    assert_int_equal(integer_at(ours, "late_sends"), 1);
    assert_near(number_at(json_object_get(ours, "response_us"), "p99"), 2);
    assert_near(number_at(json_object_get(ours, "service_us"), "p99.9"), 1);
    assert_near(number_at(json_object_get(ours, "lateness_us"), "max"), 0.5);
    const json_t *cpu = json_object_get(ours, "cpu");
    assert_near(number_at(cpu, "user_s"), 3e-6);
    assert_near(number_at(cpu, "system_s"), 5e-6);
    assert_near(number_at(cpu, "per_request_us"), 4);
    end(&fixture);
}

static void a_tcp_run_has_a_destination_and_ok(void **state)
{
    (void)state;
    struct fixture fixture;
    begin(&fixture, "tcp://a:9");
    record(&fixture, 1000);
    fixture.result.sent_bytes = fixture.result.received_bytes = 24;
    write_and_read(&fixture);
    assert_string_equal(text_at(fixture.json, "RunType"), "TCP");
    assert_string_equal(text_at(fixture.json, "Destination"), "tcp://a:9");
    assert_int_equal(integer_at(json_object_get(fixture.json, "RetCodes"), "OK"), 1);
    assert_int_equal(integer_at(fixture.json, "BytesSent"), 24);
    assert_null(json_object_get(fixture.json, "URL"));
    end(&fixture);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_head_has_fortios_names_and_types),
        cmocka_unit_test(a_rate_keeps_nine_digits_and_full_speed_is_max),
        cmocka_unit_test(the_length_of_a_run_is_told_in_fortios_words),
        cmocka_unit_test(buckets_reach_from_the_least_to_the_greatest_value_without_gap_in_count),
        cmocka_unit_test(a_wide_histogram_is_joined_to_fewer_buckets),
        cmocka_unit_test(percentiles_are_those_of_the_full_histogram),
        cmocka_unit_test(a_run_without_calls_is_valid_too),
        cmocka_unit_test(failures_stand_apart_and_socket_errors_have_code_minus_1),
        cmocka_unit_test(our_part_tells_waits_apart_from_service),
        cmocka_unit_test(a_tcp_run_has_a_destination_and_ok),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
