/*
 * One thread, one epoll. A run has three parts: all connections are opened and answer once (so that
 * tunnels stand), then the load runs for the time of warming up, then for the window that counts.
 *
 * Open loop: the request with number n is due at start + n / rate, on a clock that ticks every
 * 100 us, and belongs to connection n mod connections. A connection that still waits for an answer
 * sends its next request late, and its latency counts from when it was due: what a stall would do
 * to others is seen.
 */
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/histogram.h"
#include "bench/bare.h"
#include "os/fd.h"
#include "os/limits.h"
#include "os/netns.h"
#include "os/process.h"
#include "os/socket.h"

enum {
    EVENTS = 512,
    READ_BYTES = 4096,
    BULK_BYTES = 256 << 10,
    ANSWER_TIMEOUT_MS = 1000,
    REQUEST_BYTES = sizeof HBK_BARE_REQUEST - 1,
    REPLY_BYTES = sizeof HBK_BARE_REPLY - 1,
};

static const uint64_t opening_timeout_ns = 20 * HBK_NS_PER_S;
static const uint64_t tick_ns = 100 * HBK_NS_PER_US;

enum state { CONNECTION_NONE, CONNECTION_OPENING, CONNECTION_IDLE, CONNECTION_ASKING };

struct connection {
    int fd;
    enum state state;
    uint32_t got_bytes; /* of the reply */
    uint64_t due_ns;    /* of the request that is on its way */
    uint64_t sent;      /* requests of the schedule, sent or on their way */
    uint64_t due;       /* requests of the schedule that are due */
};

struct client {
    const struct hbk_bare_plan *plan;
    struct hbk_bare_result *result;
    int poll;
    struct connection *connections; /* owned */
    unsigned opened, opening, answered_once;
    bool is_loading; /* the load runs: all are open */
    uint64_t start_ns, window_start_ns, window_end_ns;
    uint64_t next_request; /* of the schedule */
    struct hbk_histogram latencies;
    uint64_t cpu_before_ns[HBK_BARE_WATCHED_MAX];
    uint64_t client_before_ns;
    bool is_in_window;
};

static void read_cpu(const struct client *client, uint64_t cpu_ns[static HBK_BARE_WATCHED_MAX])
{
    for (size_t i = 0; i < HBK_BARE_WATCHED_MAX; i++) {
        cpu_ns[i] = 0;
        if (client->plan->watched[i] != 0) {
            (void)!hbk_process_cpu(client->plan->watched[i], &cpu_ns[i]);
        }
    }
}

static void open_one(struct client *client, struct connection *connection)
{
    struct hbk_connect_options options = {0};
    connection->state = CONNECTION_NONE;
    if (hbk_socket_connect(&client->plan->to, &options, &connection->fd) != HBK_OK) {
        client->result->errors++;
        return;
    }
    hbk_socket_tune(connection->fd);
    struct epoll_event event = {.events = EPOLLIN | EPOLLOUT, .data.ptr = connection};
    (void)epoll_ctl(client->poll, EPOLL_CTL_ADD, connection->fd, &event);
    connection->state = CONNECTION_OPENING;
    client->opening++;
}

static void open_more(struct client *client)
{
    while (client->opened < client->plan->connections &&
           client->opening < HBK_BARE_CONNECTING_MAX) {
        open_one(client, &client->connections[client->opened++]);
    }
}

static void end(struct client *client, struct connection *connection)
{
    client->opening -= connection->state == CONNECTION_OPENING;
    (void)close(connection->fd);
    connection->state = CONNECTION_NONE;
}

static void fail(struct client *client, struct connection *connection)
{
    client->result->errors++;
    end(client, connection);
}

static void ask(struct client *client, struct connection *connection, uint64_t due_ns)
{
    connection->due_ns = due_ns;
    connection->got_bytes = 0;
    connection->state = CONNECTION_ASKING;
    if (send(connection->fd, HBK_BARE_REQUEST, REQUEST_BYTES, MSG_NOSIGNAL) != REQUEST_BYTES) {
        fail(client, connection);
    }
}

/* On the next tick of the clock: waking for each of 30,000 requests a second would cost the client
 * more than sending them. */
static uint64_t due_time(const struct client *client, uint64_t request)
{
    uint64_t after_ns = (uint64_t)((double)request * 1e9 / (double)client->plan->rate_rps);
    return client->start_ns + (after_ns + tick_ns - 1) / tick_ns * tick_ns;
}

/* Sends the next request of a connection's schedule if one is due. */
static void ask_if_due(struct client *client, struct connection *connection)
{
    if (connection->state == CONNECTION_IDLE && connection->sent < connection->due) {
        uint64_t place = (uint64_t)(connection - client->connections);
        uint64_t request = place + connection->sent++ * client->plan->connections;
        ask(client, connection, due_time(client, request));
    }
}

static void ask_all_due(struct client *client, uint64_t now_ns)
{
    while (due_time(client, client->next_request) <= now_ns) {
        struct connection *connection =
            &client->connections[client->next_request++ % client->plan->connections];
        connection->due++;
        ask_if_due(client, connection);
    }
}

static void count_answer(struct client *client, const struct connection *connection,
                         uint64_t now_ns)
{
    if (client->is_in_window) {
        client->result->requests++;
        hbk_histogram_record(&client->latencies, now_ns - connection->due_ns);
    }
}

/* What a connection does after its answer, while the load runs. */
static void go_on(struct client *client, struct connection *connection, uint64_t now_ns)
{
    switch (client->plan->mode) {
    case HBK_BARE_CLOSED:
        ask(client, connection, now_ns);
        break;
    case HBK_BARE_OPEN:
        ask_if_due(client, connection);
        break;
    case HBK_BARE_CONNECT:
        end(client, connection);
        open_one(client, connection);
        connection->due_ns = now_ns;
        break;
    case HBK_BARE_HOLD:
    case HBK_BARE_BULK:
        break;
    }
}

static void take_answer(struct client *client, struct connection *connection)
{
    uint64_t now_ns = hbk_clock_monotonic_ns();
    connection->state = CONNECTION_IDLE;
    if (!client->is_loading) {
        client->answered_once++;
        client->opening--;
        open_more(client);
        return;
    }
    count_answer(client, connection, now_ns);
    go_on(client, connection, now_ns);
}

static void handle_open(struct client *client, struct connection *connection)
{
    if (hbk_socket_error(connection->fd) != 0) {
        fail(client, connection);
        return;
    }
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = connection};
    (void)epoll_ctl(client->poll, EPOLL_CTL_MOD, connection->fd, &event);
    if (client->is_loading) {
        client->opening--;
        ask(client, connection, connection->due_ns);
    } else {
        ask(client, connection, hbk_clock_monotonic_ns());
        /* It counts as opening until it has answered, so that few are on their way at a time. */
    }
}

static void handle(struct client *client, struct connection *connection)
{
    if (connection->state == CONNECTION_NONE) {
        return;
    }
    if (connection->state == CONNECTION_OPENING) {
        handle_open(client, connection);
        return;
    }
    uint8_t bytes[READ_BYTES];
    ssize_t got = recv(connection->fd, bytes, sizeof bytes, 0);
    if (got < 0 && (errno == EAGAIN || errno == EINTR)) {
        return;
    }
    if (got <= 0 || connection->state != CONNECTION_ASKING) {
        fail(client, connection);
        return;
    }
    connection->got_bytes += (uint32_t)got;
    if (connection->got_bytes >= REPLY_BYTES) {
        take_answer(client, connection);
    }
}

/* Waits at most until `until_ns` and handles what is ready. */
static void turn(struct client *client, uint64_t until_ns)
{
    struct epoll_event events[EVENTS];
    uint64_t now_ns = hbk_clock_monotonic_ns();
    uint64_t left_ns = until_ns > now_ns ? until_ns - now_ns : 0;
    struct timespec left = {.tv_sec = (time_t)(left_ns / HBK_NS_PER_S),
                            .tv_nsec = (long)(left_ns % HBK_NS_PER_S)};
    int ready = epoll_pwait2(client->poll, events, EVENTS, &left, NULL);
    for (int i = 0; i < ready; i++) {
        handle(client, events[i].data.ptr);
    }
}

static bool open_all(struct client *client)
{
    uint64_t end_ns = hbk_clock_monotonic_ns() + opening_timeout_ns;
    open_more(client);
    while (client->answered_once < client->plan->connections) {
        turn(client, end_ns);
        if (hbk_clock_monotonic_ns() >= end_ns || client->result->errors > 0) {
            return false;
        }
    }
    return true;
}

static void enter_window(struct client *client, uint64_t now_ns)
{
    client->is_in_window = true;
    read_cpu(client, client->cpu_before_ns);
    client->client_before_ns = hbk_clock_thread_cpu_ns();
    client->window_start_ns = now_ns;
    client->window_end_ns = now_ns + client->plan->measure_ns;
}

static void leave_window(struct client *client)
{
    uint64_t after_ns[HBK_BARE_WATCHED_MAX];
    client->is_in_window = false;
    client->result->window_ns = hbk_clock_monotonic_ns() - client->window_start_ns;
    client->result->client_cpu_ns = hbk_clock_thread_cpu_ns() - client->client_before_ns;
    read_cpu(client, after_ns);
    for (size_t i = 0; i < HBK_BARE_WATCHED_MAX; i++) {
        client->result->cpu_ns[i] = after_ns[i] - client->cpu_before_ns[i];
    }
    client->result->p50_us = (double)hbk_histogram_percentile(&client->latencies, 50) / 1e3;
    client->result->p99_us = (double)hbk_histogram_percentile(&client->latencies, 99) / 1e3;
}

static void start_load(struct client *client)
{
    client->is_loading = true;
    client->start_ns = hbk_clock_monotonic_ns();
    for (unsigned i = 0; i < client->plan->connections; i++) {
        if (client->plan->mode != HBK_BARE_OPEN) {
            go_on(client, &client->connections[i], client->start_ns);
        }
    }
}

static void run_load(struct client *client)
{
    bool is_open_loop = client->plan->mode == HBK_BARE_OPEN;
    start_load(client);
    uint64_t end_ns = client->start_ns + client->plan->warm_ns;
    for (;;) {
        uint64_t now_ns = hbk_clock_monotonic_ns();
        if (now_ns >= end_ns && client->is_in_window) {
            break;
        }
        if (now_ns >= end_ns) {
            enter_window(client, now_ns);
            end_ns = client->window_end_ns;
        }
        uint64_t until_ns = end_ns;
        if (is_open_loop) {
            ask_all_due(client, now_ns);
            uint64_t next_ns = due_time(client, client->next_request);
            until_ns = next_ns < end_ns ? next_ns : end_ns;
        }
        turn(client, until_ns);
    }
    leave_window(client);
}

static uint64_t swallowed(const struct client *client)
{
    /* Relaxed: pairs with the sink's additions; only the sum matters. */
    return atomic_load_explicit(client->plan->swallowed_bytes, memory_order_relaxed);
}

/* Sends for `duration_ns`; false when the connection failed. */
static bool send_for(struct client *client, int fd, const uint8_t *bytes, uint64_t duration_ns)
{
    uint64_t end_ns = hbk_clock_monotonic_ns() + duration_ns;
    while (hbk_clock_monotonic_ns() < end_ns) {
        struct pollfd ready = {.fd = fd, .events = POLLOUT};
        ssize_t sent = send(fd, bytes, BULK_BYTES, MSG_NOSIGNAL);
        if (sent < 0 && errno != EAGAIN) {
            client->result->errors++;
            return false;
        }
        if (sent < 0) {
            (void)poll(&ready, 1, 100);
        }
    }
    return true;
}

static bool run_bulk(struct client *client)
{
    struct hbk_connect_options options = {0};
    int fd = -1;
    uint8_t *bytes = calloc(1, BULK_BYTES);
    if (bytes == NULL || hbk_socket_connect(&client->plan->to, &options, &fd) != HBK_OK) {
        free(bytes);
        return false;
    }
    struct pollfd ready = {.fd = fd, .events = POLLOUT};
    (void)poll(&ready, 1, 3000);
    if (send_for(client, fd, bytes, client->plan->warm_ns)) {
        uint64_t before = swallowed(client);
        enter_window(client, hbk_clock_monotonic_ns());
        (void)send_for(client, fd, bytes, client->plan->measure_ns);
        client->result->bytes = swallowed(client) - before;
        leave_window(client);
    }
    (void)close(fd);
    free(bytes);
    return true;
}

static bool run(struct client *client)
{
    if (client->plan->mode == HBK_BARE_BULK) {
        return run_bulk(client);
    }
    if (!open_all(client)) {
        return false;
    }
    if (client->plan->mode == HBK_BARE_HOLD) {
        /* Release: pairs with the reader's acquire; what it reads next is settled. */
        atomic_store_explicit(&client->result->is_holding, true, memory_order_release);
        for (;;) {
            (void)pause();
        }
    }
    run_load(client);
    return true;
}

int hbk_bare_client_run(void *argument)
{
    const struct hbk_bare_client *ours = argument;
    struct client client = {.plan = &ours->plan, .result = ours->result};
    uint64_t files_max = 0;
    (void)prctl(PR_SET_TIMERSLACK, 1UL);
    client.poll = epoll_create1(EPOLL_CLOEXEC);
    client.connections = calloc(ours->plan.connections, sizeof *client.connections);
    if (client.connections == NULL || hbk_histogram_init(&client.latencies) != HBK_OK ||
        hbk_limits_raise_open_files(&files_max) != HBK_OK) {
        return EXIT_FAILURE;
    }
    bool is_measured = run(&client);
    hbk_histogram_fini(&client.latencies);
    free(client.connections);
    return is_measured ? EXIT_SUCCESS : EXIT_FAILURE;
}

static bool wait_ready(int fd, short events)
{
    struct pollfd ready = {.fd = fd, .events = events};
    return poll(&ready, 1, ANSWER_TIMEOUT_MS) == 1;
}

bool hbk_bare_is_answered(int netns_fd, const struct hbk_address *to)
{
    HBK_CLEANUP(hbk_netns_leave) struct hbk_netns_visit visit = hbk_netns_visit_none();
    HBK_CLEANUP(hbk_fd_close) int fd = -1;
    struct hbk_connect_options options = {0};
    if (hbk_netns_enter(netns_fd, &visit) != HBK_OK ||
        hbk_socket_connect(to, &options, &fd) != HBK_OK || !wait_ready(fd, POLLOUT) ||
        send(fd, HBK_BARE_REQUEST, REQUEST_BYTES, MSG_NOSIGNAL) != REQUEST_BYTES) {
        return false;
    }
    uint8_t bytes[READ_BYTES];
    size_t got_bytes = 0;
    while (got_bytes < REPLY_BYTES && wait_ready(fd, POLLIN)) {
        ssize_t got = recv(fd, bytes, sizeof bytes, 0);
        if (got <= 0) {
            break;
        }
        got_bytes += (size_t)got;
    }
    return got_bytes == REPLY_BYTES;
}
