/* The echo server, spoken to byte by byte. */
#include "load/echo.h"

#include <poll.h>
#include <stdio.h>

#include "base/clock.h"
#include "harness.h"
#include "os/socket.h"
#include "server.h"

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

/* Sends all of the text; false when that fails. Asserts nothing: other threads use it, too. */
static bool try_put(int fd, const char *text)
{
    struct hbk_slice left = hbk_slice_text(text);
    while (left.size > 0) {
        size_t size = 0;
        struct pollfd wait = {.fd = fd, .events = POLLOUT};
        if (poll(&wait, 1, -1) != 1 || hbk_socket_send(fd, left, &size) != HBK_IO_DONE) {
            return false;
        }
        left = hbk_slice_part(left, size, left.size);
    }
    return true;
}

static void put(int fd, const char *text)
{
    assert_true(try_put(fd, text));
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

struct sending {
    int fd;
    unsigned count, sizes;
    unsigned sent; /* requests, for the thread that waits for the end of this one */
};

static void *send_requests(void *argument)
{
    struct sending *sending = argument;
    char request[64];
    do {
        snprintf(request, sizeof request, "GET /?size=%u HTTP/1.1\r\nHost: a\r\n\r\n",
                 sending->sent % sending->sizes);
    } while (try_put(sending->fd, request) && ++sending->sent < sending->count);
    hbk_socket_end(sending->fd);
    return NULL;
}

#define ANSWER "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 2\r\n\r\nok"
#define HEAD_ANSWER "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 2\r\n\r\n"

/* A request's own body, sent back. */
#define BACK(size, body) \
    "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: " size "\r\n\r\n" body

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
         BACK("3", "abc") ANSWER},
        {"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n",
         BACK("3", "abc")},
        {"GET /?status=404&size=3 HTTP/1.1\r\nHost: a\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n",
         "HTTP/1.1 404 Refused\r\nContent-Type: text/plain\r\nContent-Length: 3\r\n\r\nxxx" ANSWER},
        {"HEAD / HTTP/1.1\r\nHost: a\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n", HEAD_ANSWER ANSWER},
        {"GET / HTTP/1.1\r\nHost: a\r\n\r\nHEAD / HTTP/1.1\r\nHost: a\r\n\r\n", ANSWER HEAD_ANSWER},
        {"POST / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 1\r\n\r\nx",
         "HTTP/1.1 100 Continue\r\n\r\n" BACK("1", "x")},
        {"GET / HTTP/1.1\r\nHost: a\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"
         "GET / HTTP/1.1\r\nHost: a\r\n\r\n",
         ANSWER ANSWER},
        {"GET / HTTP/1.0\r\n\r\n", ANSWER},
        {"GET / HTTP/1.1\r\nHost: a\r\n\r\nnonsense\r\n\r\n",
         ANSWER "HTTP/1.1 400 Refused\r\nContent-Type: text/plain\r\nConnection: close\r\n"},
        {"GET / HTTP/1.1\r\n\r\n", "HTTP/1.1 400 Refused\r\n"},
    };
    struct server server = {.stop = -1};
    server_start(&server, HBK_ECHO_HTTP);
    for (size_t i = 0; i < HBK_COUNT(cases); i++) {
        char text[1024];
        int fd = dial(&server);
        put(fd, cases[i].request);
        hbk_socket_end(fd);
        size_t size = get(fd, text, sizeof text);
        struct hbk_slice found = hbk_slice_of(text, size);
        assert_true(hbk_slice_starts_with(found, hbk_slice_text(cases[i].answer)));
        if (strstr(cases[i].answer, "400 Refused") == NULL) {
            assert_int_equal(size, strlen(cases[i].answer));
        }
        hbk_fd_close(&fd);
    }
    server_stop(&server);
}

static void echo_understands_requests_that_come_byte_by_byte(void **state)
{
    (void)state;
    static const char request[] = "POST /x HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nhi"
                                  "GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";
    struct server server = {.stop = -1};
    char text[1024];
    server_start(&server, HBK_ECHO_HTTP);
    int fd = dial(&server);
    for (size_t i = 0; i < sizeof request - 1; i++) {
        const char byte[2] = {request[i], '\0'};
        put(fd, byte);
    }
    size_t size = get(fd, text, sizeof text);
    assert_slice_equal(hbk_slice_of(text, size), HBK_SLICE(BACK("2", "hi") ANSWER));
    hbk_fd_close(&fd);
    server_stop(&server);
}

static void echo_keeps_no_more_than_it_must_for_a_reader_that_is_slow(void **state)
{
    (void)state;
    enum { REQUESTS = 40, BODY = 1000000 };
    struct server server = {.options.size_bytes = BODY};
    static char text[1 << 16];
    server_start(&server, HBK_ECHO_HTTP);
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
    server_stop(&server);
}

static void a_head_that_is_not_complete_in_time_is_refused_and_others_are_not(void **state)
{
    (void)state;
    struct hbk_echo_counts counts = {0};
    struct server server = {.options = {.head_ns = HBK_NS_PER_MS, .counts = &counts}};
    static const char *const beginnings[] = {"G", "GET / HTTP/1.1\r\nHost: a\r\nX: y"};
    char text[1024];
    server_start(&server, HBK_ECHO_HTTP);
    int idle = dial(&server);
    for (size_t i = 0; i < HBK_COUNT(beginnings); i++) {
        int fd = dial(&server);
        put(fd, beginnings[i]);
        size_t size = get(fd, text, sizeof text); /* to the end */
        assert_true(hbk_slice_starts_with(hbk_slice_of(text, size), HBK_SLICE("HTTP/1.1 408 ")));
        hbk_fd_close(&fd);
    }
    /* A body has all the time it wants, and so has a connection without a request. */
    put(idle, "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\nConnection: close\r\n\r\nh");
    int other = dial(&server);
    put(other, "x");
    assert_true(get(other, text, sizeof text) > 0); /* a head's time has passed */
    put(idle, "i");
    size_t size = get(idle, text, sizeof text);
    assert_slice_equal(hbk_slice_of(text, size), HBK_SLICE(BACK("2", "hi")));
    hbk_fd_close(&other);
    hbk_fd_close(&idle);
    server_stop(&server);
    assert_int_equal(counts.heads, HBK_COUNT(beginnings) + 1);
}

static void a_broken_chunk_is_told(void **state)
{
    (void)state;
    struct hbk_echo_counts counts = {0};
    struct server server = {.options.counts = &counts};
    char text[1024];
    server_start(&server, HBK_ECHO_HTTP);
    int fd = dial(&server);
    put(fd, "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\nzz\r\n");
    size_t size = get(fd, text, sizeof text);
    assert_true(hbk_slice_starts_with(hbk_slice_of(text, size), HBK_SLICE("HTTP/1.1 400 ")));
    hbk_fd_close(&fd);
    server_stop(&server);
    assert_int_equal(counts.malformed, 1);
}

static void ten_thousand_requests_at_once_are_answered_each_by_its_wish(void **state)
{
    (void)state;
    enum { REQUESTS = 10000, SIZES = 10 };
    struct server server = {.stop = -1};
    static char text[1 << 16];
    struct sending sending = {.count = REQUESTS, .sizes = SIZES};
    pthread_t sender;
    server_start(&server, HBK_ECHO_HTTP);
    sending.fd = dial(&server);
    assert_int_equal(pthread_create(&sender, NULL, send_requests, &sending), 0);
    size_t total = 0, expected = 0;
    for (size_t size; (size = get(sending.fd, text, sizeof text)) > 0;) {
        total += size;
    }
    assert_int_equal(pthread_join(sender, NULL), 0);
    assert_int_equal(sending.sent, REQUESTS);
    for (size_t i = 0; i < REQUESTS; i++) {
        expected +=
            strlen("HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 0\r\n\r\n") +
            i % SIZES;
    }
    assert_int_equal(total, expected);
    hbk_fd_close(&sending.fd);
    server_stop(&server);
}

static void what_waits_to_be_read_has_a_limit_for_all_together(void **state)
{
    (void)state;
    struct hbk_echo_counts counts = {0};
    struct server server = {.options = {.counts = &counts, .bodies_bytes_max = 150}};
    char text[1024];
    server_start(&server, HBK_ECHO_HTTP);
    int first = dial(&server), second = dial(&server);
    char head[101];
    memset(head, 'x', sizeof head - 1);
    memcpy(head, "GET / HTTP/1.1\r\nX: ", strlen("GET / HTTP/1.1\r\nX: "));
    head[sizeof head - 1] = '\0';
    /* Whoever comes second is above the limit; which of the two that is, is up to the server. */
    put(first, head);
    put(second, head);
    struct pollfd closed[] = {{.fd = first, .events = POLLIN}, {.fd = second, .events = POLLIN}};
    assert_int_equal(poll(closed, 2, -1), 1);
    int other = closed[0].revents != 0 ? second : first;
    put(other, "\r\nHost: a\r\nConnection: close\r\n\r\n");
    size_t size = get(other, text, sizeof text);
    assert_slice_equal(hbk_slice_of(text, size), HBK_SLICE(ANSWER));
    hbk_fd_close(&first);
    hbk_fd_close(&second);
    server_stop(&server);
    assert_int_equal(counts.held, 1);
}

static void whoami_shows_the_caller_and_its_request(void **state)
{
    (void)state;
    struct server server = {.stop = -1};
    char text[1024], expected[HBK_ADDRESS_TEXT_BYTES_MAX + 16];
    char name[HBK_ADDRESS_TEXT_BYTES_MAX];
    struct hbk_address local;
    server_start(&server, HBK_ECHO_HTTP);
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
    server_stop(&server);
}

static void tcp_echo_sends_everything_back_after_the_callers_end(void **state)
{
    (void)state;
    struct server server = {.stop = -1};
    char text[64];
    server_start(&server, HBK_ECHO_TCP);
    int fd = dial(&server);
    put(fd, "half");
    put(fd, "-close");
    hbk_socket_end(fd);
    size_t size = get(fd, text, sizeof text);
    assert_slice_equal(hbk_slice_of(text, size), HBK_SLICE("half-close"));
    hbk_fd_close(&fd);
    server_stop(&server);
}

static void source_pours_out_exactly_its_bytes_and_ends(void **state)
{
    (void)state;
    struct server server = {.options.size_bytes = 5000001};
    static char text[1 << 16];
    server_start(&server, HBK_ECHO_SOURCE);
    int fd = dial(&server);
    size_t total = 0;
    for (size_t size; (size = get(fd, text, sizeof text)) > 0;) {
        total += size;
    }
    assert_int_equal(total, 5000001);
    hbk_fd_close(&fd);
    server_stop(&server);
}

static void sink_swallows_and_answers_the_end_with_the_end(void **state)
{
    (void)state;
    struct server server = {.stop = -1};
    char text[64];
    server_start(&server, HBK_ECHO_SINK);
    int fd = dial(&server);
    put(fd, "away with it");
    hbk_socket_end(fd);
    assert_int_equal(get(fd, text, sizeof text), 0);
    hbk_fd_close(&fd);
    server_stop(&server);
}

static void an_address_that_is_taken_is_an_error_that_names_it(void **state)
{
    (void)state;
    struct server server = {.stop = -1};
    struct hbk_error error = {0};
    char name[HBK_ADDRESS_TEXT_BYTES_MAX];
    server_start(&server, HBK_ECHO_HTTP);
    struct hbk_echo_options second = server.options;
    second.listen = server.address;
    assert_int_equal(hbk_echo_run(&second, server.stop, on_listening, NULL, &error), HBK_IN_USE);
    assert_non_null(strstr(error.text, hbk_address_text(&server.address, name)));
    server_stop(&server);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(echo_answers_what_http_1_1_asks),
        cmocka_unit_test(echo_understands_requests_that_come_byte_by_byte),
        cmocka_unit_test(echo_keeps_no_more_than_it_must_for_a_reader_that_is_slow),
        cmocka_unit_test(a_head_that_is_not_complete_in_time_is_refused_and_others_are_not),
        cmocka_unit_test(a_broken_chunk_is_told),
        cmocka_unit_test(ten_thousand_requests_at_once_are_answered_each_by_its_wish),
        cmocka_unit_test(what_waits_to_be_read_has_a_limit_for_all_together),
        cmocka_unit_test(whoami_shows_the_caller_and_its_request),
        cmocka_unit_test(tcp_echo_sends_everything_back_after_the_callers_end),
        cmocka_unit_test(source_pours_out_exactly_its_bytes_and_ends),
        cmocka_unit_test(sink_swallows_and_answers_the_end_with_the_end),
        cmocka_unit_test(an_address_that_is_taken_is_an_error_that_names_it),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
