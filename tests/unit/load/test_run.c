/* Load and echo against each other, in one process over the loopback. */
#include "load/run.h"

#include <poll.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdio.h>
#include <unistd.h>

#include "base/clock.h"
#include "harness.h"
#include "load/echo.h"
#include "os/fd.h"
#include "os/poll.h"
#include "os/socket.h"

/* An echo server on a thread of its own. */
struct server {
    struct hbk_echo_options options;
    pthread_t thread;
    sem_t is_listening;
    struct hbk_address address;
    int stop;
    hbk_status status;
};

static void on_listening(const struct hbk_address *bound, void *argument)
{
    struct server *server = argument;
    server->address = *bound;
    assert_int_equal(sem_post(&server->is_listening), 0);
}

static void *run_server(void *argument)
{
    struct server *server = argument;
    server->status = hbk_echo_run(&server->options, server->stop, on_listening, server, NULL);
    return NULL;
}

static void start(struct server *server, enum hbk_echo_mode mode)
{
    server->options.mode = mode;
    server->options.threads = server->options.threads == 0 ? 1 : server->options.threads;
    server->options.first_core = -1;
    assert_true(hbk_address_parse(HBK_SLICE("127.0.0.1:0"), &server->options.listen));
    assert_int_equal(sem_init(&server->is_listening, 0, 0), 0);
    assert_int_equal(hbk_event_open(&server->stop), HBK_OK);
    assert_int_equal(pthread_create(&server->thread, NULL, run_server, server), 0);
    while (sem_wait(&server->is_listening) != 0) {
    }
}

static void stop(struct server *server)
{
    hbk_event_set(server->stop);
    assert_int_equal(pthread_join(server->thread, NULL), 0);
    assert_int_equal(server->status, HBK_OK);
    hbk_fd_close(&server->stop);
    sem_destroy(&server->is_listening);
}

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
    start(&server, HBK_ECHO_HTTP);
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
    stop(&server);
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
        start(&server, cases[i].mode);
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
        stop(&server);
    }
}

static void a_delay_is_part_of_every_response_and_blocks_nobody(void **state)
{
    (void)state;
    struct server server = {.options.delay_ns = 100 * HBK_NS_PER_MS};
    struct hbk_load_plan plan;
    struct hbk_load_result result;
    char url[128];
    start(&server, HBK_ECHO_HTTP);
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
    stop(&server);
}

static void calls_that_wait_for_a_connection_count_from_when_they_were_due(void **state)
{
    (void)state;
    struct server server = {.options.delay_ns = 50 * HBK_NS_PER_MS};
    struct hbk_load_plan plan;
    struct hbk_load_result result;
    char url[128];
    start(&server, HBK_ECHO_HTTP);
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
    stop(&server);
}

static void calls_that_find_no_connection_in_time_are_dropped_and_counted(void **state)
{
    (void)state;
    struct server server = {.options.delay_ns = HBK_NS_PER_S};
    struct hbk_load_plan plan;
    struct hbk_load_result result;
    char url[128];
    start(&server, HBK_ECHO_HTTP);
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
    stop(&server);
}

static void a_large_body_arrives_whole(void **state)
{
    (void)state;
    struct server server = {.options.size_bytes = 3000000};
    struct hbk_load_plan plan;
    struct hbk_load_result result;
    char url[128];
    start(&server, HBK_ECHO_HTTP);
    plan_for(&server.address, "http", url, &plan);
    plan.rate_per_s = 0;
    plan.calls = 20;
    run(&plan, &result);
    assert_int_equal(hbk_load_result_failures(&result), 0);
    assert_int_equal(result.body_bytes.min, 3000000);
    assert_int_equal(result.body_bytes.max, 3000000);
    hbk_load_result_fini(&result);
    stop(&server);
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
    start(&server, HBK_ECHO_TCP); /* sends our own requests back */
    plan_for(&server.address, "http", url, &plan);
    plan.rate_per_s = 0;
    plan.calls = 6;
    run(&plan, &result);
    assert_int_equal(result.failures[HBK_LOAD_MALFORMED], 6);
    assert_int_equal(hbk_load_result_failed(&result), 6);
    assert_true(result.connections_opened >= 6); /* none of them was used again */
    hbk_load_result_fini(&result);
    stop(&server);
}

static void a_server_that_hangs_up_is_an_early_close(void **state)
{
    (void)state;
    struct server server = {.options.size_bytes = 0};
    struct hbk_load_plan plan;
    struct hbk_load_result result;
    char url[128];
    start(&server, HBK_ECHO_SOURCE); /* pours out nothing, ends, swallows */
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
    stop(&server);
}

static void an_interrupted_run_gives_what_it_has(void **state)
{
    (void)state;
    struct server server = {.options.delay_ns = 3600 * HBK_NS_PER_S};
    struct hbk_load_plan plan;
    struct hbk_load_result result;
    struct hbk_error error = {0};
    char url[128];
    start(&server, HBK_ECHO_HTTP);
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
    stop(&server);
}

/* ---- the echo server alone, spoken to byte by byte ---- */

static int dial(const struct server *server)
{
    const struct hbk_connect_options options = {0};
    int fd = -1;
    assert_int_equal(hbk_socket_connect(&server->address, &options, &fd), HBK_OK);
    struct pollfd wait = {.fd = fd, .events = POLLOUT};
    assert_int_equal(poll(&wait, 1, -1), 1);
    assert_int_equal(hbk_socket_error(fd), 0);
    return fd;
}

static void put(int fd, const char *text)
{
    struct hbk_slice left = hbk_slice_text(text);
    while (left.size > 0) {
        size_t size = 0;
        struct pollfd wait = {.fd = fd, .events = POLLOUT};
        assert_int_equal(poll(&wait, 1, -1), 1);
        assert_int_equal(hbk_socket_send(fd, left, &size), HBK_IO_DONE);
        left = hbk_slice_part(left, size, left.size);
    }
}

/* Reads up to `size_max` bytes, or to the end; returns how many. */
static size_t get(int fd, char *text, size_t size_max)
{
    size_t total = 0;
    while (total < size_max) {
        size_t size = 0;
        struct pollfd wait = {.fd = fd, .events = POLLIN};
        assert_int_equal(poll(&wait, 1, -1), 1);
        enum hbk_io io = hbk_socket_receive(fd, hbk_span_of(text + total, size_max - total), &size);
        if (io != HBK_IO_DONE) {
            assert_int_equal(io, HBK_IO_END);
            break;
        }
        total += size;
    }
    return total;
}

#define ANSWER "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 2\r\n\r\nok"
#define HEAD_ANSWER "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 2\r\n\r\n"

static void echo_answers_what_http_1_1_asks(void **state)
{
    (void)state;
    static const struct {
        const char *request;
        const char *answer;
    } cases[] = {
        {"GET / HTTP/1.1\r\nHost: a\r\n\r\n", ANSWER},
        {"\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n", ANSWER},
        {"GET /1 HTTP/1.1\r\nHost: a\r\n\r\nGET /2 HTTP/1.1\r\nHost: a\r\n\r\n", ANSWER ANSWER},
        {"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabcGET / HTTP/1.1\r\nHost: a\r\n"
         "\r\n",
         ANSWER ANSWER},
        {"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n",
         ANSWER},
        {"HEAD / HTTP/1.1\r\nHost: a\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n", HEAD_ANSWER ANSWER},
        {"GET / HTTP/1.1\r\nHost: a\r\n\r\nHEAD / HTTP/1.1\r\nHost: a\r\n\r\n", ANSWER HEAD_ANSWER},
        {"POST / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 1\r\n\r\nx",
         "HTTP/1.1 100 Continue\r\n\r\n" ANSWER},
        {"GET / HTTP/1.1\r\nHost: a\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"
         "GET / HTTP/1.1\r\nHost: a\r\n\r\n",
         ANSWER ANSWER},
        {"GET / HTTP/1.0\r\n\r\n", ANSWER},
        {"GET / HTTP/1.1\r\nHost: a\r\n\r\nnonsense\r\n\r\n",
         ANSWER "HTTP/1.1 400 Refused\r\nContent-Type: text/plain\r\nConnection: close\r\n"},
        {"GET / HTTP/1.1\r\n\r\n", "HTTP/1.1 400 Refused\r\n"},
    };
    struct server server = {.stop = -1};
    start(&server, HBK_ECHO_HTTP);
    for (size_t i = 0; i < HBK_COUNT(cases); i++) {
        char text[1024];
        int fd = dial(&server);
        put(fd, cases[i].request);
        hbk_socket_end(fd);
        size_t size = get(fd, text, sizeof text);
        struct hbk_slice found = hbk_slice_of(text, size);
        assert_true(hbk_slice_starts_with(found, hbk_slice_text(cases[i].answer)));
        if (strstr(cases[i].answer, "Refused") == NULL) {
            assert_int_equal(size, strlen(cases[i].answer));
        }
        hbk_fd_close(&fd);
    }
    stop(&server);
}

static void echo_understands_requests_that_come_byte_by_byte(void **state)
{
    (void)state;
    static const char request[] = "POST /x HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nhi"
                                  "GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";
    struct server server = {.stop = -1};
    char text[1024];
    start(&server, HBK_ECHO_HTTP);
    int fd = dial(&server);
    for (size_t i = 0; i < sizeof request - 1; i++) {
        const char byte[2] = {request[i], '\0'};
        put(fd, byte);
    }
    size_t size = get(fd, text, sizeof text);
    assert_slice_equal(hbk_slice_of(text, size), HBK_SLICE(ANSWER ANSWER));
    hbk_fd_close(&fd);
    stop(&server);
}

static void echo_keeps_no_more_than_it_must_for_a_reader_that_is_slow(void **state)
{
    (void)state;
    enum { REQUESTS = 40, BODY = 1000000 };
    struct server server = {.options.size_bytes = BODY};
    static char text[1 << 16];
    start(&server, HBK_ECHO_HTTP);
    int fd = dial(&server);
    for (unsigned i = 0; i < REQUESTS; i++) {
        put(fd, "GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    }
    hbk_socket_end(fd);
    size_t total = 0;
    for (size_t size; (size = get(fd, text, sizeof text)) > 0;) {
        total += size;
    }
    assert_true(total > (size_t)REQUESTS * BODY && total < (size_t)REQUESTS * (BODY + 200));
    hbk_fd_close(&fd);
    stop(&server);
}

static void whoami_shows_the_caller_and_its_request(void **state)
{
    (void)state;
    struct server server = {.stop = -1};
    char text[1024], expected[HBK_ADDRESS_TEXT_BYTES_MAX + 16];
    char name[HBK_ADDRESS_TEXT_BYTES_MAX];
    struct hbk_address local;
    start(&server, HBK_ECHO_HTTP);
    int fd = dial(&server);
    put(fd, "GET /whoami HTTP/1.1\r\nHost: a\r\nx-marker: 7\r\n\r\n");
    hbk_socket_end(fd);
    size_t size = get(fd, text, sizeof text - 1);
    text[size] = '\0';
    assert_int_equal(hbk_socket_local_address(fd, &local), HBK_OK);
    snprintf(expected, sizeof expected, "\r\n\r\ncaller %s\r\n", hbk_address_text(&local, name));
    assert_non_null(strstr(text, expected));
    assert_non_null(strstr(text, "x-marker: 7\r\n"));
    hbk_fd_close(&fd);
    stop(&server);
}

static void tcp_echo_sends_everything_back_after_the_callers_end(void **state)
{
    (void)state;
    struct server server = {.stop = -1};
    char text[64];
    start(&server, HBK_ECHO_TCP);
    int fd = dial(&server);
    put(fd, "half");
    put(fd, "-close");
    hbk_socket_end(fd);
    size_t size = get(fd, text, sizeof text);
    assert_slice_equal(hbk_slice_of(text, size), HBK_SLICE("half-close"));
    hbk_fd_close(&fd);
    stop(&server);
}

static void source_pours_out_exactly_its_bytes_and_ends(void **state)
{
    (void)state;
    struct server server = {.options.size_bytes = 5000001};
    static char text[1 << 16];
    start(&server, HBK_ECHO_SOURCE);
    int fd = dial(&server);
    size_t total = 0;
    for (size_t size; (size = get(fd, text, sizeof text)) > 0;) {
        total += size;
    }
    assert_int_equal(total, 5000001);
    hbk_fd_close(&fd);
    stop(&server);
}

static void sink_swallows_and_answers_the_end_with_the_end(void **state)
{
    (void)state;
    struct server server = {.stop = -1};
    char text[64];
    start(&server, HBK_ECHO_SINK);
    int fd = dial(&server);
    put(fd, "away with it");
    hbk_socket_end(fd);
    assert_int_equal(get(fd, text, sizeof text), 0);
    hbk_fd_close(&fd);
    stop(&server);
}

static void an_address_that_is_taken_is_an_error_that_names_it(void **state)
{
    (void)state;
    struct server server = {.stop = -1};
    struct hbk_error error = {0};
    char name[HBK_ADDRESS_TEXT_BYTES_MAX];
    start(&server, HBK_ECHO_HTTP);
    struct hbk_echo_options second = server.options;
    second.listen = server.address;
    assert_int_equal(hbk_echo_run(&second, server.stop, on_listening, NULL, &error), HBK_EXISTS);
    assert_non_null(strstr(error.text, hbk_address_text(&server.address, name)));
    stop(&server);
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
        cmocka_unit_test(an_interrupted_run_gives_what_it_has),
        cmocka_unit_test(echo_answers_what_http_1_1_asks),
        cmocka_unit_test(echo_understands_requests_that_come_byte_by_byte),
        cmocka_unit_test(echo_keeps_no_more_than_it_must_for_a_reader_that_is_slow),
        cmocka_unit_test(whoami_shows_the_caller_and_its_request),
        cmocka_unit_test(tcp_echo_sends_everything_back_after_the_callers_end),
        cmocka_unit_test(source_pours_out_exactly_its_bytes_and_ends),
        cmocka_unit_test(sink_swallows_and_answers_the_end_with_the_end),
        cmocka_unit_test(an_address_that_is_taken_is_an_error_that_names_it),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
