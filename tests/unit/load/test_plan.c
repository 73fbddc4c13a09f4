#include "load/plan.h"

#include "harness.h"

static void numbers_are_plain_decimal_and_within_their_limit(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        double number; /* negative: refused */
    } cases[] = {
        {"0", 0},     {"8", 8},      {"0.5", 0.5}, {"1e3", 1000}, {"1000.5", -1}, {"", -1},
        {"-1", -1},   {"nan", -1},   {"inf", -1},  {"0x10", -1},  {" 8", -1},     {"8 ", -1},
        {"1e99", -1}, {"1e999", -1}, {"..", -1},   {"e", -1},
    };
    for (size_t i = 0; i < HBK_COUNT(cases); i++) {
        double number = -1;
        hbk_status status = hbk_load_number_parse(hbk_slice_text(cases[i].text), 1000, &number);
        assert_int_equal(status, cases[i].number < 0 ? HBK_INVALID : HBK_OK);
        assert_true(number == cases[i].number);
    }
}

static void percentiles_are_a_list_between_0_and_100(void **state)
{
    (void)state;
    struct hbk_load_plan plan;
    hbk_load_plan_init(&plan);
    assert_int_equal(hbk_load_plan_set_percentiles(&plan, HBK_SLICE("1,99.99"), NULL), HBK_OK);
    assert_int_equal(plan.percentile_count, 2);
    assert_true(plan.percentiles[0] == 1 && plan.percentiles[1] == 99.99);
    static const char *const refused[] = {"", ",", "50,", ",50", "0", "100", "50;60", "x"};
    for (size_t i = 0; i < HBK_COUNT(refused); i++) {
        assert_int_equal(hbk_load_plan_set_percentiles(&plan, hbk_slice_text(refused[i]), NULL),
                         HBK_INVALID);
        assert_int_equal(plan.percentile_count, 2);
    }
    assert_int_equal(
        hbk_load_plan_set_percentiles(
            &plan, HBK_SLICE("1,2,3,4,5,6,7,8,9,1,2,3,4,5,6,7,8,9,1,2,3,4,5,6,7,8,9,1,2,3,4,5,6"),
            NULL),
        HBK_LIMIT);
}

static void a_header_cannot_smuggle_another_request(void **state)
{
    (void)state;
    struct hbk_load_plan plan;
    hbk_load_plan_init(&plan);
    static const char *const allowed[] = {"a: b", "Host: elsewhere", "x-empty:", "t: a\tb"};
    for (size_t i = 0; i < HBK_COUNT(allowed); i++) {
        assert_int_equal(hbk_load_plan_add_header(&plan, hbk_slice_text(allowed[i]), NULL), HBK_OK);
    }
    static const char *const refused[] = {
        "",
        "a",
        "a b: c",
        ": b",
        "a: b\r\nc: d",
        "a\n: b",
        "a: \x01",
        "a: \x7f",
        "Content-Length: 4",
        "transfer-encoding: chunked",
    };
    for (size_t i = 0; i < HBK_COUNT(refused); i++) {
        struct hbk_error error = {0};
        assert_int_equal(hbk_load_plan_add_header(&plan, hbk_slice_text(refused[i]), &error),
                         HBK_INVALID);
        assert_true(error.text[0] != '\0');
    }
    assert_int_equal(plan.header_count, HBK_COUNT(allowed));
    while (plan.header_count < HBK_LOAD_HEADERS_MAX) {
        assert_int_equal(hbk_load_plan_add_header(&plan, HBK_SLICE("a: b"), NULL), HBK_OK);
    }
    assert_int_equal(hbk_load_plan_add_header(&plan, HBK_SLICE("a: b"), NULL), HBK_LIMIT);
}

static void a_plan_that_cannot_run_is_refused(void **state)
{
    (void)state;
    struct hbk_load_plan plan;
    hbk_load_plan_init(&plan);
    assert_int_equal(hbk_load_plan_check(&plan, NULL), HBK_OK);

    struct hbk_load_plan none = plan, many = plan, idle = plan, never = plan, headers = plan;
    none.connections = 0;
    many.connections = HBK_LOAD_CONNECTIONS_MAX + 1;
    idle.threads = plan.connections + 1;
    never.timeout_ns = 0;
    headers.target.scheme = HBK_LOAD_TCP;
    headers.header_count = 1;
    const struct hbk_load_plan *const refused[] = {&none, &many, &idle, &never, &headers};
    for (size_t i = 0; i < HBK_COUNT(refused); i++) {
        struct hbk_error error = {0};
        assert_int_equal(hbk_load_plan_check(refused[i], &error), HBK_INVALID);
        assert_true(error.text[0] != '\0');
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(numbers_are_plain_decimal_and_within_their_limit),
        cmocka_unit_test(percentiles_are_a_list_between_0_and_100),
        cmocka_unit_test(a_header_cannot_smuggle_another_request),
        cmocka_unit_test(a_plan_that_cannot_run_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
