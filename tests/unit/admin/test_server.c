#include "admin/server.h"

#include <fcntl.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "harness.h"

/* Turns that suffice for anything between two ends in one process; the loop never has to wait. */
enum { TURNS = 200 };

static struct hbk_loop loop;
static struct hbk_admin_server server;
static struct hbk_admin_exchange *waiting; /* an exchange that /later keeps */

static void handle_now(struct hbk_admin_exchange *exchange, const struct hbk_admin_request *request,
                       void *context)
{
    (void)context;
    hbk_admin_reply_print(exchange, 200, "%.*s?%.*s\n", HBK_SLICE_ARGS(request->path),
                          HBK_SLICE_ARGS(request->query));
}

static void handle_later(struct hbk_admin_exchange *exchange,
                         const struct hbk_admin_request *request, void *context)
{
    (void)request;
    (void)context;
    waiting = exchange;
}

static void handle_large(struct hbk_admin_exchange *exchange,
                         const struct hbk_admin_request *request, void *context)
{
    (void)request;
    (void)context;
    struct hbk_buffer body;
    hbk_buffer_init(&body, 8 << 20);
    struct hbk_span room;
    assert_int_equal(hbk_buffer_reserve(&body, 4 << 20, &room), HBK_OK);
    memset(room.bytes, 'x', 4 << 20);
    hbk_buffer_commit(&body, 4 << 20);
    hbk_admin_reply_take(exchange, 200, "text/plain", &body);
    assert_true(hbk_buffer_is_empty(&body));
}

static const struct hbk_admin_route routes[] = {
    {"/now", HBK_ADMIN_GET, handle_now, "GET: at once"},
    {"/later", HBK_ADMIN_GET | HBK_ADMIN_POST, handle_later, "GET: later"},
    {"/post", HBK_ADMIN_POST, handle_now, "POST: at once"},
    {"/large", HBK_ADMIN_GET, handle_large, "GET: four megabytes"},
};

static int set_up(void **state)
{
    (void)state;
    waiting = NULL;
    if (hbk_loop_init(&loop) != HBK_OK) {
        return -1;
    }
    hbk_admin_server_init(&server, &loop, routes, HBK_COUNT(routes), NULL);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    hbk_admin_server_fini(&server);
    assert_int_equal(server.connection_count, 0);
    hbk_loop_fini(&loop);
    return 0;
}

static void turn(void)
{
    for (unsigned i = 0; i < TURNS; i++) {
        hbk_loop_turn(&loop, 0);
    }
}

/* Lets time pass for timers alone. */
static void pass(uint64_t duration_ns)
{
    hbk_timers_run(&loop.timers, loop.now_ns + duration_ns);
    turn();
}

static int connect_client(void)
{
    int ends[2];
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, ends), 0);
    hbk_admin_server_accept(&server, ends[0]);
    return ends[1];
}

static void say(int fd, const char *text)
{
    assert_int_equal(send(fd, text, strlen(text), MSG_NOSIGNAL), (ssize_t)strlen(text));
    turn();
}

/* What has arrived, as a string; "END" behind it when the server has ended. */
static const char *hear(int fd)
{
    static char text[16384];
    size_t used = 0;
    for (;;) {
        ssize_t size = recv(fd, text + used, sizeof text - 8 - used, 0);
        if (size < 0) {
            text[used] = '\0';
            return text;
        }
        if (size == 0) {
            memcpy(text + used, "END", 4);
            return text;
        }
        used += (size_t)size;
        assert_true(used < sizeof text - 8);
    }
}

#define HEAD(status, size, connection)                                                          \
    "HTTP/1.1 " status "\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Length: " size   \
    "\r\nCache-Control: no-store\r\nX-Content-Type-Options: nosniff\r\nConnection: " connection \
    "\r\n\r\n"
#define HEAD_405(allow, size)                                                        \
    "HTTP/1.1 405 Method Not Allowed\r\nContent-Type: text/plain; charset=utf-8\r\n" \
    "Content-Length: " size "\r\nAllow: " allow "\r\nCache-Control: no-store\r\n"    \
    "X-Content-Type-Options: nosniff\r\nConnection: keep-alive\r\n\r\n"

static void each_request_has_its_reply(void **state)
{
    (void)state;
    static const struct {
        const char *request;
        const char *reply;
    } cases[] = {
        {"GET /now?a=b HTTP/1.1\r\nHost: x\r\n\r\n",
         HEAD("200 OK", "9", "keep-alive") "/now?a=b\n"},
        {"GET /now HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n",
         HEAD("200 OK", "6", "close") "/now?\nEND"},
        {"HEAD /now HTTP/1.1\r\nHost: x\r\n\r\n", HEAD("200 OK", "6", "keep-alive")},
        {"GET /now HTTP/1.0\r\n\r\n", HEAD("200 OK", "6", "close") "/now?\nEND"},
        {"POST /post HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nabc",
         HEAD("200 OK", "7", "keep-alive") "/post?\n"},
        {"GET /none HTTP/1.1\r\nHost: x\r\n\r\n",
         HEAD("404 Not Found", "10", "keep-alive") "Not Found\n"},
        {"GET /now/ HTTP/1.1\r\nHost: x\r\n\r\n",
         HEAD("404 Not Found", "10", "keep-alive") "Not Found\n"},
        {"POST /now HTTP/1.1\r\nHost: x\r\n\r\n", HEAD_405("GET, HEAD", "13") "GET: at once\n"},
        {"GET /post HTTP/1.1\r\nHost: x\r\n\r\n", HEAD_405("POST", "14") "POST: at once\n"},
        {"DELETE /later HTTP/1.1\r\nHost: x\r\n\r\n",
         HEAD_405("GET, HEAD, POST", "11") "GET: later\n"},
        {"GET / HTTP/3.0\r\nHost: x\r\n\r\n",
         HEAD("505 HTTP Version Not Supported", "27", "close") "HTTP Version Not Supported\nEND"},
        {"\x16\x03\x01\r\n\r\n", HEAD("400 Bad Request", "12", "close") "Bad Request\nEND"},
        {"POST /post HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
         HEAD("411 Length Required", "16", "close") "Length Required\nEND"},
    };
    for (size_t i = 0; i < HBK_COUNT(cases); i++) {
        int client = connect_client();
        say(client, cases[i].request);
        assert_string_equal(hear(client), cases[i].reply);
        close(client);
        turn();
        assert_int_equal(server.connection_count, 0);
    }
}

static void a_request_may_come_byte_by_byte(void **state)
{
    (void)state;
    int client = connect_client();
    for (const char *c = "GET /now HTTP/1.1\r\nHost: x\r\n\r\n"; *c != '\0'; c++) {
        say(client, (char[2]){*c, '\0'});
    }
    assert_string_equal(hear(client), HEAD("200 OK", "6", "keep-alive") "/now?\n");
    close(client);
}

static void pipelined_requests_are_answered_in_order(void **state)
{
    (void)state;
    int client = connect_client();
    say(client, "GET /now?1 HTTP/1.1\r\nHost: x\r\n\r\n"
                "GET /later HTTP/1.1\r\nHost: x\r\n\r\n"
                "GET /now?2 HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
                "GET /now?3 HTTP/1.1\r\nHost: x\r\n\r\n");
    assert_string_equal(hear(client), HEAD("200 OK", "7", "keep-alive") "/now?1\n");
    assert_non_null(waiting);
    hbk_admin_reply_print(waiting, 200, "late\n");
    turn();
    assert_string_equal(hear(client), HEAD("200 OK", "5", "keep-alive") "late\n" HEAD(
                                          "200 OK", "7", "close") "/now?2\nEND");
    close(client);
}

static void a_flood_of_pipelined_requests_waits_in_the_kernel(void **state)
{
    (void)state;
    int client = connect_client();
    static const char request[] = "GET /now HTTP/1.1\r\nHost: x\r\n\r\n";
    size_t sent = 0;
    while (send(client, request, sizeof request - 1, MSG_NOSIGNAL) == sizeof request - 1) {
        sent++; /* until the socket is full */
    }
    size_t replies = 0;
    for (unsigned i = 0; i < 100000 && replies < sent; i++) {
        hbk_loop_turn(&loop, 0);
        for (const char *text = hear(client); (text = strstr(text, "HTTP/1.1 200")) != NULL;) {
            replies++;
            text++;
        }
    }
    assert_true(replies >= sent);
    close(client);
}

static void a_client_may_leave_before_its_answer(void **state)
{
    (void)state;
    int client = connect_client();
    say(client, "GET /later HTTP/1.1\r\nHost: x\r\n\r\n");
    assert_true(hbk_admin_exchange_is_wanted(waiting));
    close(client);
    turn();
    assert_int_equal(server.connection_count, 0);
    assert_false(hbk_admin_exchange_is_wanted(waiting));
    struct hbk_buffer body;
    hbk_buffer_init(&body, 100);
    assert_int_equal(hbk_buffer_append(&body, HBK_SLICE("late")), HBK_OK);
    hbk_admin_reply_take(waiting, 200, "text/plain", &body);
    assert_null(body.bytes);
}

static void the_server_may_leave_before_the_answer(void **state)
{
    (void)state;
    int client = connect_client();
    say(client, "GET /later HTTP/1.1\r\nHost: x\r\n\r\n");
    hbk_admin_server_fini(&server);
    hbk_admin_reply_print(waiting, 200, "late\n");
    assert_string_equal(hear(client), "END");
    close(client);
}

static void who_ends_after_a_request_still_gets_the_answer(void **state)
{
    (void)state;
    int client = connect_client();
    say(client, "GET /later HTTP/1.1\r\nHost: x\r\n\r\n");
    assert_int_equal(shutdown(client, SHUT_WR), 0);
    turn();
    assert_int_equal(server.connection_count, 1);
    hbk_admin_reply_print(waiting, 200, "late\n");
    turn();
    assert_string_equal(hear(client), HEAD("200 OK", "5", "keep-alive") "late\nEND");
    assert_int_equal(server.connection_count, 0);
    close(client);
}

static void a_head_that_takes_too_long_ends_the_connection(void **state)
{
    (void)state;
    int client = connect_client();
    say(client, "GET /now HT");
    pass(HBK_ADMIN_HEAD_TIMEOUT_NS / 2);
    say(client, "TP/1.1\r\n"); /* one byte more now and then does not help */
    assert_int_equal(server.connection_count, 1);
    pass(HBK_ADMIN_HEAD_TIMEOUT_NS + 10 * HBK_NS_PER_MS);
    assert_string_equal(hear(client), "END");
    assert_int_equal(server.connection_count, 0);
    close(client);
}

static void each_step_has_a_deadline(void **state)
{
    (void)state;
    static const struct {
        const char *request;
        uint64_t before_ns, after_ns;
    } cases[] = {
        {"", HBK_ADMIN_HEAD_TIMEOUT_NS - HBK_NS_PER_S, HBK_ADMIN_HEAD_TIMEOUT_NS + HBK_NS_PER_S},
        {"GET /now HTTP/1.1\r\nHost: x\r\n\r\n", HBK_ADMIN_IDLE_TIMEOUT_NS - HBK_NS_PER_S,
         HBK_ADMIN_IDLE_TIMEOUT_NS + HBK_NS_PER_S},
        {"GET /now HTTP/1.1\r\nHost: x\r\n\r\nGET ", HBK_ADMIN_HEAD_TIMEOUT_NS - HBK_NS_PER_S,
         HBK_ADMIN_HEAD_TIMEOUT_NS + HBK_NS_PER_S},
        {"GET /later HTTP/1.1\r\nHost: x\r\n\r\n", HBK_ADMIN_REPLY_TIMEOUT_NS - HBK_NS_PER_S,
         HBK_ADMIN_REPLY_TIMEOUT_NS + HBK_NS_PER_S},
        {"GET /large HTTP/1.1\r\nHost: x\r\n\r\n", HBK_ADMIN_REPLY_TIMEOUT_NS - HBK_NS_PER_S,
         HBK_ADMIN_REPLY_TIMEOUT_NS + HBK_NS_PER_S},
        {"GET /now HTTP/1.0\r\n\r\n", 0, HBK_ADMIN_END_TIMEOUT_NS + HBK_NS_PER_S},
    };
    for (size_t i = 0; i < HBK_COUNT(cases); i++) {
        /* A loop of its own, since its time has run ahead afterwards. */
        struct hbk_loop other;
        assert_int_equal(hbk_loop_init(&other), HBK_OK);
        server.loop = &other;
        int client = connect_client();
        assert_true(send(client, cases[i].request, strlen(cases[i].request), 0) >= 0);
        for (unsigned j = 0; j < TURNS; j++) {
            hbk_loop_turn(&other, 0);
        }
        hbk_timers_run(&other.timers, other.now_ns + cases[i].before_ns);
        assert_int_equal(server.connection_count, 1);
        hbk_timers_run(&other.timers, other.now_ns + cases[i].after_ns);
        assert_int_equal(server.connection_count, 0);
        hbk_loop_turn(&other, 0);
        if (waiting != NULL) {
            hbk_admin_reply_print(waiting, 200, "nobody");
            waiting = NULL;
        }
        close(client);
        hbk_loop_fini(&other);
    }
    server.loop = &loop;
}

static void a_head_that_is_too_large_is_refused(void **state)
{
    (void)state;
    int client = connect_client();
    static char text[HBK_ADMIN_HEAD_BYTES_MAX + 100];
    memset(text, 'a', sizeof text - 1);
    memcpy(text, "GET /", 5);
    say(client, text);
    assert_string_equal(hear(client), HEAD("431 Request Header Fields Too Large", "32",
                                           "close") "Request Header Fields Too Large\nEND");
    close(client);
}

static void a_large_reply_goes_out_as_the_client_reads(void **state)
{
    (void)state;
    int client = connect_client();
    say(client, "GET /large HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
    size_t received = 0;
    for (;;) {
        static char text[65536];
        ssize_t size = recv(client, text, sizeof text, 0);
        if (size == 0) {
            break;
        }
        received += size > 0 ? (size_t)size : 0;
        hbk_loop_turn(&loop, 0);
    }
    assert_true(received > 4 << 20);
    close(client);
}

static void a_newcomer_takes_the_place_of_the_longest_idle(void **state)
{
    (void)state;
    int clients[HBK_ADMIN_CONNECTIONS_MAX];
    for (size_t i = 0; i < HBK_COUNT(clients); i++) {
        clients[i] = connect_client();
        say(clients[i], "GET /now HTTP/1.1\r\nHost: x\r\n\r\n");
        (void)hear(clients[i]);
    }
    say(clients[0], "GET /now HTTP/1.1\r\nHost: x\r\n\r\n"); /* so that the second is the oldest */
    (void)hear(clients[0]);
    int newcomer = connect_client();
    say(newcomer, "GET /now HTTP/1.1\r\nHost: x\r\n\r\n");
    assert_string_equal(hear(newcomer), HEAD("200 OK", "6", "keep-alive") "/now?\n");
    assert_string_equal(hear(clients[1]), "END");
    assert_string_equal(hear(clients[0]), "");
    assert_int_equal(server.connection_count, HBK_ADMIN_CONNECTIONS_MAX);
    assert_int_equal(server.refused, 0);
    close(newcomer);
    for (size_t i = 0; i < HBK_COUNT(clients); i++) {
        close(clients[i]);
    }
}

static void a_newcomer_is_refused_while_all_wait_for_answers(void **state)
{
    (void)state;
    int clients[HBK_ADMIN_CONNECTIONS_MAX];
    struct hbk_admin_exchange *exchanges[HBK_ADMIN_CONNECTIONS_MAX];
    for (size_t i = 0; i < HBK_COUNT(clients); i++) {
        clients[i] = connect_client();
        say(clients[i], "GET /later HTTP/1.1\r\nHost: x\r\n\r\n");
        exchanges[i] = waiting;
    }
    int newcomer = connect_client();
    assert_string_equal(hear(newcomer), "END");
    assert_int_equal(server.refused, 1);
    close(newcomer);
    for (size_t i = 0; i < HBK_COUNT(clients); i++) {
        hbk_admin_reply_print(exchanges[i], 200, "late\n");
        turn();
        assert_string_equal(hear(clients[i]), HEAD("200 OK", "5", "keep-alive") "late\n");
        close(clients[i]);
    }
}

static void it_listens_on_real_sockets(void **state)
{
    (void)state;
    struct hbk_address address;
    assert_true(hbk_address_parse(HBK_SLICE("127.0.0.1:0"), &address));
    assert_int_equal(hbk_admin_server_listen(&server, &address), HBK_OK);
    assert_int_equal(hbk_socket_local_address(server.listeners[0].fd, &address), HBK_OK);
    assert_int_equal(hbk_admin_server_listen(&server, &address), HBK_IN_USE);

    const struct hbk_connect_options options = {.source = NULL};
    int client;
    assert_int_equal(hbk_socket_connect(&address, &options, &client), HBK_OK);
    hbk_loop_turn(&loop, HBK_NS_PER_S); /* until the listener has seen it */
    assert_int_equal(server.connection_count, 1);
    assert_int_equal(hbk_socket_error(client), 0);
    static const char request[] = "GET /now HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
    assert_int_equal(send(client, request, sizeof request - 1, 0), sizeof request - 1);
    assert_int_equal(fcntl(client, F_SETFL, 0), 0);
    for (unsigned i = 0; i < 10 && server.listeners[0].server->connection_count > 0; i++) {
        hbk_loop_turn(&loop, 10 * HBK_NS_PER_MS);
        if (recv(client, (char[1]){0}, 1, MSG_PEEK | MSG_DONTWAIT) > 0) {
            break;
        }
    }
    assert_string_equal(hear(client), HEAD("200 OK", "6", "close") "/now?\nEND");
    close(client);
}

static bool allows_now(const struct hbk_admin_request *request, void *context)
{
    (void)context;
    return hbk_slice_equal(request->target, HBK_SLICE("/now?a=b"));
}

static void what_the_owner_does_not_allow_is_forbidden(void **state)
{
    (void)state;
    server.allows = allows_now;
    int client = connect_client();
    say(client, "GET /now?a=b HTTP/1.1\r\nHost: x\r\n\r\n");
    assert_string_equal(hear(client), HEAD("200 OK", "9", "keep-alive") "/now?a=b\n");
    for (size_t i = 0; i < 2; i++) {
        say(client, i == 0 ? "GET /now HTTP/1.1\r\nHost: x\r\n\r\n"
                           : "GET /none HTTP/1.1\r\nHost: x\r\n\r\n");
        assert_string_equal(hear(client),
                            HEAD("403 Forbidden", "25", "keep-alive") "this path is not allowed\n");
    }
    close(client);
}

#define CASE(function) cmocka_unit_test_setup_teardown(function, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(each_request_has_its_reply),
        CASE(a_request_may_come_byte_by_byte),
        CASE(pipelined_requests_are_answered_in_order),
        CASE(a_flood_of_pipelined_requests_waits_in_the_kernel),
        CASE(a_client_may_leave_before_its_answer),
        CASE(the_server_may_leave_before_the_answer),
        CASE(who_ends_after_a_request_still_gets_the_answer),
        CASE(a_head_that_takes_too_long_ends_the_connection),
        CASE(each_step_has_a_deadline),
        CASE(a_head_that_is_too_large_is_refused),
        CASE(a_large_reply_goes_out_as_the_client_reads),
        CASE(a_newcomer_takes_the_place_of_the_longest_idle),
        CASE(a_newcomer_is_refused_while_all_wait_for_answers),
        CASE(it_listens_on_real_sockets),
        CASE(what_the_owner_does_not_allow_is_forbidden),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
