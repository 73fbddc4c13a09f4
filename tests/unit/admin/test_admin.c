#include "admin/admin.h"

#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "harness.h"

static struct hbk_loop loop;
static struct hbk_telemetry totals;
static struct hbk_readiness readiness;
static struct hbk_admin admin;
static unsigned collects;
static unsigned quits;

static void collect(void *context)
{
    (void)context;
    collects++;
}

static void more(struct hbk_exposition *exposition, void *context)
{
    (void)context;
    hbk_exposition_family(exposition, "owner", HBK_METRIC_GAUGE, "The owner's");
    hbk_exposition_sample(exposition, "owner", HBK_METRIC_GAUGE);
    hbk_exposition_value(exposition, 5);
}

static void dump(struct hbk_admin_exchange *exchange, void *context)
{
    (void)context;
    hbk_admin_reply(exchange, 200, "application/json", HBK_SLICE("{}"));
}

static void quit(void *context)
{
    (void)context;
    quits++;
}

static int set_up(void **state)
{
    (void)state;
    static const struct hbk_admin_hooks hooks = {
        .collect = collect, .more = more, .dump = dump, .quit = quit};
    collects = quits = 0;
    hbk_log_clear_targets();
    hbk_log_set_level(HBK_LOG_INFO);
    hbk_readiness_init(&readiness);
    if (hbk_loop_init(&loop) != HBK_OK || hbk_telemetry_init(&totals) != HBK_OK) {
        return -1;
    }
    hbk_admin_init(&admin, &loop, &totals, &readiness, &hooks);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    hbk_admin_fini(&admin);
    hbk_telemetry_fini(&totals);
    hbk_loop_fini(&loop);
    hbk_log_clear_targets();
    hbk_log_set_level(HBK_LOG_INFO);
    return 0;
}

static void turn(void)
{
    for (unsigned i = 0; i < 100; i++) {
        hbk_loop_turn(&loop, 0);
    }
}

static int ask(struct hbk_admin_server *server, const char *line, const char *fields)
{
    int ends[2];
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, ends), 0);
    hbk_admin_server_accept(server, ends[0]);
    char text[512];
    int size = snprintf(text, sizeof text, "%s HTTP/1.1\r\nHost: x\r\n%s\r\n", line, fields);
    assert_int_equal(send(ends[1], text, (size_t)size, MSG_NOSIGNAL), size);
    turn();
    return ends[1];
}

/* What has arrived; closes the client's end. */
static const char *hear(int client)
{
    static char text[1 << 17];
    size_t used = 0;
    for (ssize_t size; (size = recv(client, text + used, sizeof text - 1 - used, 0)) > 0;) {
        used += (size_t)size;
        turn();
    }
    text[used] = '\0';
    close(client);
    turn();
    return text;
}

static const char *body_of(const char *reply)
{
    const char *end = strstr(reply, "\r\n\r\n");
    assert_non_null(end);
    return end + 4;
}

static void each_port_has_its_routes(void **state)
{
    (void)state;
    struct hbk_admin_server *const servers[] = {&admin.admin_server, &admin.metrics_server,
                                                &admin.readiness_server};
    static const struct {
        const char *line;
        const char *status[3];
    } cases[] = {
        {"GET /", {"200", "404", "404"}},
        {"GET /config_dump", {"200", "404", "404"}},
        {"POST /logging", {"200", "404", "404"}},
        {"GET /logging", {"405", "404", "404"}},
        {"GET /quitquitquit", {"405", "404", "404"}},
        {"GET /healthz/ready", {"200", "404", "200"}},
        {"POST /metrics", {"405", "405", "404"}},
        {"GET /debug/pprof/profile", {"404", "404", "404"}},
    };
    for (size_t i = 0; i < HBK_COUNT(cases); i++) {
        for (size_t j = 0; j < HBK_COUNT(servers); j++) {
            const char *reply = hear(ask(servers[j], cases[i].line, ""));
            assert_memory_equal(reply + 9, cases[i].status[j], 3);
        }
    }
}

static void the_index_links_what_can_be_read(void **state)
{
    (void)state;
    const char *reply = hear(ask(&admin.admin_server, "GET /", ""));
    assert_non_null(strstr(reply, "Content-Type: text/html; charset=utf-8\r\n"));
    assert_non_null(strstr(reply, "\r\nContent-Security-Policy: default-src 'none'; "));
    assert_non_null(strstr(reply, "<a href=\"/config_dump\">/config_dump</a>"));
    assert_null(strstr(reply, "<a href=\"/quitquitquit\">"));
    assert_non_null(strstr(reply, "<td>/quitquitquit</td>"));
}

static void scrapes_wait_for_the_workers_together(void **state)
{
    (void)state;
    hbk_counter_add(&totals, HBK_COUNTER_LOOP_TURNS, 7);
    int first = ask(&admin.metrics_server, "GET /metrics", "");
    int second = ask(&admin.admin_server, "GET /stats", "");
    int third = ask(&admin.metrics_server, "GET /stats/prometheus",
                    "Accept: application/openmetrics-text\r\n");
    int leaver = ask(&admin.metrics_server, "GET /metrics", "");
    close(leaver);
    turn();
    assert_int_equal(collects, 1);
    hbk_counter_add(&totals, HBK_COUNTER_LOOP_TURNS, 1);
    hbk_admin_collected(&admin);
    turn();

    const char *reply = hear(first);
    assert_non_null(strstr(reply, "Content-Type: text/plain; version=0.0.4; charset=utf-8\r\n"));
    assert_non_null(strstr(reply, "# TYPE hauberk_loop_turns_total counter\n"
                                  "hauberk_loop_turns_total 8\n"));
    assert_non_null(strstr(reply, "\nowner 5\n"));
    assert_non_null(strstr(reply, "\nprocess_open_fds "));
    reply = hear(second);
    assert_non_null(strstr(reply, "hauberk_loop_turns_total 8\n"));
    assert_null(strstr(reply, "# TYPE"));
    reply = hear(third);
    assert_non_null(strstr(reply, "Content-Type: application/openmetrics-text; version=1.0.0"));
    assert_string_equal(reply + strlen(reply) - 7, "\n# EOF\n");

    close(ask(&admin.metrics_server, "GET /metrics", ""));
    assert_int_equal(collects, 2);
}

static void a_late_worker_does_not_hold_a_scrape_for_ever(void **state)
{
    (void)state;
    hbk_log_set_level(HBK_LOG_OFF);
    int first = ask(&admin.metrics_server, "GET /metrics", "");
    hbk_timers_run(&loop.timers, loop.now_ns + HBK_ADMIN_COLLECT_NS + HBK_NS_PER_S / 2);
    turn();
    assert_non_null(strstr(hear(first), "HTTP/1.1 200 OK"));

    /* The round goes on: no second one is started before it has ended. */
    int second = ask(&admin.metrics_server, "GET /metrics", "");
    assert_int_equal(collects, 1);
    hbk_admin_collected(&admin);
    turn();
    assert_non_null(strstr(hear(second), "HTTP/1.1 200 OK"));
}

static void workers_are_asked_now_and_then_even_if_nobody_scrapes(void **state)
{
    (void)state;
    hbk_timers_run(&loop.timers, loop.now_ns + HBK_TELEMETRY_COPY_NS - HBK_NS_PER_S);
    assert_int_equal(collects, 0);
    hbk_timers_run(&loop.timers, loop.now_ns + HBK_TELEMETRY_COPY_NS + HBK_NS_PER_S);
    assert_int_equal(collects, 1);
    int client = ask(&admin.metrics_server, "GET /metrics", "");
    assert_int_equal(collects, 1); /* the round that is under way serves this one, too */
    hbk_admin_collected(&admin);
    turn();
    assert_non_null(strstr(hear(client), "HTTP/1.1 200 OK"));
    hbk_timers_run(&loop.timers, loop.now_ns + 2 * HBK_TELEMETRY_COPY_NS + 2 * HBK_NS_PER_S);
    assert_int_equal(collects, 2);
}

static void readiness_tells_what_is_missing(void **state)
{
    (void)state;
    size_t task = hbk_readiness_add(&readiness, "proxy");
    const char *reply = hear(ask(&admin.readiness_server, "GET /healthz/ready", ""));
    assert_memory_equal(reply, "HTTP/1.1 503 Service Unavailable\r\n", 34);
    assert_string_equal(body_of(reply), "waiting for: proxy\n");
    hbk_readiness_set(&readiness, task, true);
    reply = hear(ask(&admin.readiness_server, "GET /healthz/ready", ""));
    assert_memory_equal(reply, "HTTP/1.1 200 OK\r\n", 17);
    assert_string_equal(body_of(reply), "ready\n");
}

static void logging_shows_and_changes_levels(void **state)
{
    (void)state;
    static const struct {
        const char *line;
        const char *status;
        const char *body;
    } cases[] = {
        {"POST /logging", "200", "current log level is info\n"},
        {"POST /logging?level=debug,access=warn", "200",
         "current log level is debug,access=warn\n"},
        {"POST /logging?level=loud", "400",
         "Invalid level provided: 'loud' is not one of error, warn, info, debug, trace, off\n"},
        {"POST /logging?reset", "200", "current log level is info\n"},
    };
    for (size_t i = 0; i < HBK_COUNT(cases); i++) {
        const char *reply = hear(ask(&admin.admin_server, cases[i].line, ""));
        assert_memory_equal(reply + 9, cases[i].status, 3);
        assert_string_equal(body_of(reply), cases[i].body);
    }
}

static void quitting_is_answered_and_then_told_to_the_owner(void **state)
{
    (void)state;
    const char *reply = hear(ask(&admin.admin_server, "POST /quitquitquit", ""));
    assert_string_equal(body_of(reply), "shutdown now\n");
    assert_int_equal(quits, 1);
}

static void a_port_that_is_taken_is_named(void **state)
{
    (void)state;
    struct hbk_address address;
    assert_true(hbk_address_parse(HBK_SLICE("127.0.0.1:0"), &address));
    const struct hbk_listen_options options = {.mark = 0};
    int taken;
    assert_int_equal(hbk_socket_listen(&address, &options, &taken), HBK_OK);
    assert_int_equal(hbk_socket_local_address(taken, &address), HBK_OK);

    struct hbk_admin_ports ports = {.admin = address.port};
    struct hbk_error error = {.status = HBK_OK};
    assert_int_equal(hbk_admin_listen(&admin, &ports, &error), HBK_IN_USE);
    char expected[128];
    (void)snprintf(expected, sizeof expected, "cannot listen on 127.0.0.1:%u: ", address.port);
    assert_memory_equal(error.text, expected, strlen(expected));
    close(taken);
    assert_int_equal(hbk_admin_listen(&admin, &ports, &error), HBK_OK);
}

#define CASE(function) cmocka_unit_test_setup_teardown(function, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(each_port_has_its_routes),
        CASE(the_index_links_what_can_be_read),
        CASE(scrapes_wait_for_the_workers_together),
        CASE(a_late_worker_does_not_hold_a_scrape_for_ever),
        CASE(workers_are_asked_now_and_then_even_if_nobody_scrapes),
        CASE(readiness_tells_what_is_missing),
        CASE(logging_shows_and_changes_levels),
        CASE(quitting_is_answered_and_then_told_to_the_owner),
        CASE(a_port_that_is_taken_is_named),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
