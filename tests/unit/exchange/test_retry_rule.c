/* What is asked of an upstream once more. */
#include "exchange/stream.h"

#include "harness.h"

/* A stream whose route, or whose virtual host, has the policy. */
struct led {
    struct hbk_gw_route_action action;
    struct hbk_gw_route route;
    struct hbk_gw_virtual_host host;
    struct hbk_gw_stream stream;
};

static struct hbk_gw_stream *lead(struct led *led, const struct hbk_gw_retry_policy *of_route,
                                  const struct hbk_gw_retry_policy *of_host)
{
    memset(led, 0, sizeof *led);
    led->action.retry_policy = of_route;
    led->route.route = &led->action;
    led->host.retry_policy = of_host;
    led->stream.route = &led->route;
    led->stream.host = &led->host;
    return &led->stream;
}

static void the_routes_policy_goes_before_its_hosts(void **state)
{
    (void)state;
    const struct hbk_gw_retry_policy first = {.on = HBK_GW_RETRY_5XX};
    const struct hbk_gw_retry_policy second = {.on = HBK_GW_RETRY_4XX};
    struct led led;
    assert_ptr_equal(hbk_gw_retry_policy_of(lead(&led, &first, &second)), &first);
    assert_ptr_equal(hbk_gw_retry_policy_of(lead(&led, NULL, &second)), &second);
    assert_null(hbk_gw_retry_policy_of(lead(&led, NULL, NULL)));
}

static void statuses_are_tried_again_as_the_policy_says(void **state)
{
    (void)state;
    static const struct {
        unsigned on;
        uint32_t status;
        bool is_retried;
    } cases[] = {
        {0, 503, false},
        {HBK_GW_RETRY_5XX, 500, true},
        {HBK_GW_RETRY_5XX, 599, true},
        {HBK_GW_RETRY_5XX, 499, false},
        {HBK_GW_RETRY_GATEWAY_ERROR, 501, false},
        {HBK_GW_RETRY_GATEWAY_ERROR, 502, true},
        {HBK_GW_RETRY_GATEWAY_ERROR, 504, true},
        {HBK_GW_RETRY_GATEWAY_ERROR, 505, false},
        {HBK_GW_RETRY_4XX, 409, true},
        {HBK_GW_RETRY_4XX, 404, false},
        {HBK_GW_RETRY_STATUS_CODES, 429, true},
        {HBK_GW_RETRY_STATUS_CODES, 418, true},
        {HBK_GW_RETRY_STATUS_CODES, 503, false},
        {HBK_GW_RETRY_RESET, 503, false},
    };
    static uint32_t codes[] = {429, 418};
    for (size_t i = 0; i < HBK_COUNT(cases); i++) {
        const struct hbk_gw_retry_policy policy = {
            .on = cases[i].on,
            .retriable_status_codes = codes,
            .retriable_status_codes_count = HBK_COUNT(codes),
        };
        struct led led;
        assert_int_equal(hbk_gw_is_retriable_status(lead(&led, &policy, NULL), cases[i].status),
                         cases[i].is_retried);
    }
    struct led led;
    assert_false(hbk_gw_is_retriable_status(lead(&led, NULL, NULL), 503));
}

static void failures_are_tried_again_as_the_policy_says(void **state)
{
    (void)state;
    enum { FAILURES = HBK_GW_FAILED_DURATION + 1 };
    static const struct {
        unsigned on, failures; /* bits of the failures that are tried again */
    } cases[] = {
        {0, 0},
        {HBK_GW_RETRY_4XX, 0},
        {HBK_GW_RETRY_5XX, ~(1u << HBK_GW_FAILED_OVERFLOW)},
        {HBK_GW_RETRY_RESET, ~(1u << HBK_GW_FAILED_OVERFLOW)},
        {HBK_GW_RETRY_CONNECT_FAILURE, 1u << HBK_GW_FAILED_CONNECT | 1u << HBK_GW_FAILED_TIMEOUT},
        {HBK_GW_RETRY_REFUSED_STREAM, 1u << HBK_GW_FAILED_REFUSED},
    };
    for (size_t i = 0; i < HBK_COUNT(cases); i++) {
        const struct hbk_gw_retry_policy policy = {.on = cases[i].on};
        struct led led;
        for (unsigned failure = 0; failure < FAILURES; failure++) {
            assert_int_equal(hbk_gw_is_retriable_failure(lead(&led, NULL, &policy), failure),
                             (cases[i].failures >> failure & 1) != 0);
        }
        assert_false(hbk_gw_is_retriable_failure(lead(&led, NULL, NULL), HBK_GW_FAILED_CONNECT));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_routes_policy_goes_before_its_hosts),
        cmocka_unit_test(statuses_are_tried_again_as_the_policy_says),
        cmocka_unit_test(failures_are_tried_again_as_the_policy_says),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
