/* Load and echo against each other, in one process over the loopback. */
#include "load/run.h"

#include <stdio.h>

#include "base/clock.h"
#include "harness.h"
#include "os/socket.h"
#include "server.h"

/* A plan for a server, with its URL in `url`. */
static void plan_for(const struct hbk_address *address, const char *scheme, char url[static 128],
                     struct hbk_load_plan *plan)
{
    char text[HBK_ADDRESS_TEXT_BYTES_MAX];
    hbk_load_plan_init(plan);
    snprintf(url, 128, "%s://%s", scheme, hbk_address_text(address, text));
    assert_int_equal(hbk_load_target_parse(hbk_slice_text(url), &plan->target, NULL), HBK_OK);
    plan->timeout_ns = 30 * HBK_NS_PER_S; /* a loaded machine is not a failure */
}

static void run(const struct hbk_load_plan *plan, struct hbk_load_result *result)
{
    struct hbk_error error = {0};
    assert_int_equal(hbk_load_run(plan, -1, result, &error), HBK_OK);
}

static void open_loop_sends_every_planned_call_once(void **state)
{
    (void)state;
    struct server server = {.options.threads = 2};
    struct hbk_load_plan plan;
    struct hbk_load_result result;
    char url[128];
    server_start(&server, HBK_ECHO_HTTP);
    plan_for(&server.address, "http", url, &plan);
    plan.rate_per_s = 2000;
    plan.duration_ns = 250 * HBK_NS_PER_MS;
    plan.connections = 7;
    plan.threads = 3;
    run(&plan, &result);
    assert_int_equal(result.planned, 500);
    assert_int_equal(hbk_load_result_calls(&result), 500);
    assert_int_equal(hbk_load_result_failures(&result), 0);
    assert_int_equal(result.statuses[200], 500);
    assert_int_equal(result.service.total, 500);
    assert_int_equal(result.lateness.total + result.waited, 500);
    assert_int_equal(result.connections_opened, 7);
    assert_int_equal(result.connect.total, 7);
    assert_int_equal(result.body_bytes.count, 500);
    assert_int_equal(result.body_bytes.max, 2);
    assert_true(result.elapsed_ns >= 250 * HBK_NS_PER_MS);
    assert_true(result.cpu_user_ns + result.cpu_system_ns > 0);
    /* A response is never shorter than its service, which begins later. */
    assert_true(result.response.sum >= result.service.sum);
    hbk_load_result_fini(&result);
    server_stop(&server);
}

static void closed_loop_makes_exactly_the_calls_asked_for(void **state)
{
    (void)state;
    static const struct {
        enum hbk_echo_mode mode;
        const char *scheme;
        unsigned connections, threads;
        uint64_t calls;
    } cases[] = {
        {HBK_ECHO_HTTP, "http", 1, 1, 1},    {HBK_ECHO_HTTP, "http", 4, 1, 3},
        {HBK_ECHO_HTTP, "http", 4, 2, 1001}, {HBK_ECHO_HTTP, "http", 300, 1, 5000},
        {HBK_ECHO_TCP, "tcp", 8, 2, 2000},
    };
    for (size_t i = 0; i < HBK_COUNT(cases); i++) {
        struct server server = {.stop = -1};
        struct hbk_load_plan plan;
        struct hbk_load_result result;
        char url[128];
        server_start(&server, cases[i].mode);
        plan_for(&server.address, cases[i].scheme, url, &plan);
        plan.rate_per_s = 0;
        plan.connections = cases[i].connections;
        plan.threads = cases[i].threads;
        plan.calls = cases[i].calls;
        run(&plan, &result);
        assert_int_equal(hbk_load_result_calls(&result), cases[i].calls);
        assert_int_equal(hbk_load_result_failures(&result), 0);
        assert_int_equal(result.statuses[200], cases[i].calls);
        hbk_load_result_fini(&result);
        server_stop(&server);
    }
}

static void a_delay_is_part_of_every_response_and_blocks_nobody(void **state)
{
    (void)state;
    struct server server = {.options.delay_ns = 100 * HBK_NS_PER_MS};
    struct hbk_load_plan plan;
    struct hbk_load_result result;
    char url[128];
    server_start(&server, HBK_ECHO_HTTP);
    plan_for(&server.address, "http", url, &plan);
    plan.rate_per_s = 400;
    plan.calls = 100;
    plan.connections = 100;
    run(&plan, &result);
    assert_int_equal(hbk_load_result_failures(&result), 0);
    assert_true(result.response.min >= 100 * HBK_NS_PER_MS);
    /* One after the other they would take 10 s. */
    assert_true(result.elapsed_ns < 5 * HBK_NS_PER_S);
    hbk_load_result_fini(&result);
    server_stop(&server);
}

static void calls_that_wait_for_a_connection_count_from_when_they_were_due(void **state)
{
    (void)state;
    struct server server = {.options.delay_ns = 50 * HBK_NS_PER_MS};
    struct hbk_load_plan plan;
    struct hbk_load_result result;
    char url[128];
    server_start(&server, HBK_ECHO_HTTP);
    plan_for(&server.address, "http", url, &plan);
    /* Ten calls in 10 ms on one connection that needs 50 ms for each. */
    plan.rate_per_s = 1000;
    plan.calls = 10;
    plan.connections = 1;
    run(&plan, &result);
    assert_int_equal(hbk_load_result_calls(&result), 10);
    assert_int_equal(result.waited, 9);
    assert_true(result.service.min >= 50 * HBK_NS_PER_MS);
    assert_true(result.response.max >= (10 * 50 - 9) * HBK_NS_PER_MS);
    hbk_load_result_fini(&result);
    server_stop(&server);
}

static void calls_that_find_no_connection_in_time_are_dropped_and_counted(void **state)
{
    (void)state;
    struct server server = {.options.delay_ns = HBK_NS_PER_S};
    struct hbk_load_plan plan;
    struct hbk_load_result result;
    char url[128];
    server_start(&server, HBK_ECHO_HTTP);
    plan_for(&server.address, "http", url, &plan);
    plan.rate_per_s = 1000;
    plan.calls = 10;
    plan.connections = 1;
    plan.timeout_ns = 200 * HBK_NS_PER_MS;
    run(&plan, &result);
    assert_int_equal(hbk_load_result_calls(&result), 10);
    assert_int_equal(hbk_load_result_failed(&result), 10);
    /* The first is cut off; whether the others still get a connection depends on the clock. */
    assert_true(result.failures[HBK_LOAD_TIMEOUT] >= 1);
    assert_int_equal(result.failures[HBK_LOAD_TIMEOUT] + result.failures[HBK_LOAD_NO_CONNECTION],
                     10);
    hbk_load_result_fini(&result);
    server_stop(&server);
}

static void a_large_body_arrives_whole(void **state)
{
    (void)state;
    struct server server = {.options.size_bytes = 3000000};
    struct hbk_load_plan plan;
    struct hbk_load_result result;
    char url[128];
    server_start(&server, HBK_ECHO_HTTP);
    plan_for(&server.address, "http", url, &plan);
    plan.rate_per_s = 0;
    plan.calls = 20;
    run(&plan, &result);
    assert_int_equal(hbk_load_result_failures(&result), 0);
    assert_int_equal(result.body_bytes.min, 3000000);
    assert_int_equal(result.body_bytes.max, 3000000);
    hbk_load_result_fini(&result);
    server_stop(&server);
}

static void nobody_listening_is_an_error_that_says_so(void **state)
{
    (void)state;
    const struct hbk_listen_options options = {0};
    struct hbk_load_plan plan;
    struct hbk_load_result result;
    struct hbk_address address;
    struct hbk_error error = {0};
    char url[128];
    int fd = -1;
    /* A port that was ours a moment ago is nobody's now. */
    assert_true(hbk_address_parse(HBK_SLICE("127.0.0.1:0"), &address));
    assert_int_equal(hbk_socket_listen(&address, &options, &fd), HBK_OK);
    assert_int_equal(hbk_socket_local_address(fd, &address), HBK_OK);
    hbk_fd_close(&fd);
    plan_for(&address, "http", url, &plan);
    assert_int_equal(hbk_load_run(&plan, -1, &result, &error), HBK_NO_ROUTE);
    assert_non_null(strstr(error.text, "connect refused"));
}

static void a_server_that_does_not_speak_http_is_malformed(void **state)
{
    (void)state;
    struct server server = {.stop = -1};
    struct hbk_load_plan plan;
    struct hbk_load_result result;
    char url[128];
    server_start(&server, HBK_ECHO_TCP); /* sends our own requests back */
    plan_for(&server.address, "http", url, &plan);
    plan.rate_per_s = 0;
    plan.calls = 6;
    run(&plan, &result);
    assert_int_equal(result.failures[HBK_LOAD_MALFORMED], 6);
    assert_int_equal(hbk_load_result_failed(&result), 6);
    assert_true(result.connections_opened >= 6); /* none of them was used again */
    hbk_load_result_fini(&result);
    server_stop(&server);
}

static void a_server_that_hangs_up_is_an_early_close(void **state)
{
    (void)state;
    struct server server = {.options.size_bytes = 0};
    struct hbk_load_plan plan;
    struct hbk_load_result result;
    char url[128];
    server_start(&server, HBK_ECHO_SOURCE); /* pours out nothing, ends, swallows */
    plan_for(&server.address, "http", url, &plan);
    plan.rate_per_s = 0;
    plan.calls = 5;
    plan.connections = 1;
    run(&plan, &result);
    assert_int_equal(hbk_load_result_failed(&result), 5);
    assert_int_equal(result.failures[HBK_LOAD_EARLY_CLOSE] + result.failures[HBK_LOAD_RESET] +
                         result.failures[HBK_LOAD_SEND],
                     5);
    hbk_load_result_fini(&result);
    server_stop(&server);
}

static void a_body_without_end_holds_up_neither_the_others_nor_its_own_time_out(void **state)
{
    (void)state;
    struct server server = {.stop = -1};
    struct hbk_load_plan plan;
    struct hbk_load_result result;
    char url[128];
    server_start(&server, HBK_ECHO_HTTP);
    plan_for(&server.address, "http", url, &plan);
    plan.target.path = HBK_SLICE("/?size=1099511627776");
    plan.rate_per_s = 0;
    plan.calls = 4;
    plan.connections = 2;
    plan.timeout_ns = 250 * HBK_NS_PER_MS;
    run(&plan, &result);
    assert_int_equal(hbk_load_result_failed(&result), 4);
    assert_int_equal(result.statuses[200], 0);
    /* On a machine without time to spare the opening of a connection has no more of it than the
     * body, and one that is opened ahead of no call counts, too. */
    assert_true(result.failures[HBK_LOAD_TIMEOUT] > 0);
    assert_true(result.failures[HBK_LOAD_TIMEOUT] + result.failures[HBK_LOAD_CONNECT_TIMEOUT] >= 4);
    assert_int_equal(result.failures[HBK_LOAD_TIMEOUT] + result.failures[HBK_LOAD_CONNECT_TIMEOUT],
                     hbk_load_result_failures(&result));
    assert_true(result.received_bytes > 0);
    hbk_load_result_fini(&result);
    server_stop(&server);
}

static void an_interrupted_run_gives_what_it_has(void **state)
{
    (void)state;
    struct server server = {.options.delay_ns = 3600 * HBK_NS_PER_S};
    struct hbk_load_plan plan;
    struct hbk_load_result result;
    struct hbk_error error = {0};
    char url[128];
    server_start(&server, HBK_ECHO_HTTP);
    plan_for(&server.address, "http", url, &plan);
    plan.calls = 1000000;
    plan.timeout_ns = 3600 * HBK_NS_PER_S;
    int stop_fd = -1;
    assert_int_equal(hbk_event_open(&stop_fd), HBK_OK);
    hbk_event_set(stop_fd); /* before it begins: the earliest moment of all */
    assert_int_equal(hbk_load_run(&plan, stop_fd, &result, &error), HBK_OK);
    assert_true(result.was_interrupted);
    assert_int_equal(hbk_load_result_failures(&result), 0);
    hbk_load_result_fini(&result);
    hbk_fd_close(&stop_fd);
    server_stop(&server);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(open_loop_sends_every_planned_call_once),
        cmocka_unit_test(closed_loop_makes_exactly_the_calls_asked_for),
        cmocka_unit_test(a_delay_is_part_of_every_response_and_blocks_nobody),
        cmocka_unit_test(calls_that_wait_for_a_connection_count_from_when_they_were_due),
        cmocka_unit_test(calls_that_find_no_connection_in_time_are_dropped_and_counted),
        cmocka_unit_test(a_large_body_arrives_whole),
        cmocka_unit_test(nobody_listening_is_an_error_that_says_so),
        cmocka_unit_test(a_server_that_does_not_speak_http_is_malformed),
        cmocka_unit_test(a_server_that_hangs_up_is_an_early_close),
        cmocka_unit_test(a_body_without_end_holds_up_neither_the_others_nor_its_own_time_out),
        cmocka_unit_test(an_interrupted_run_gives_what_it_has),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
