/*
 * A connection is on exactly one of five lists, and the list is its state. Requests, connection
 * attempts and rests have one constant time limit each, so that the lists are in the order of their
 * deadlines by themselves: only heads have to be looked at, and no timer is set per request.
 *
 *     CLOSED --> CONNECTING --> IDLE <--> BUSY
 *       ^  ^         |           |          |       (failed, closed by the server)
 *       |  RESTING <-'           |          |
 *       '------------------------'----------'
 *
 * In open loop there is no queue of waiting calls either. A call that is due and finds no idle
 * connection simply stays the schedule's next one; whoever becomes idle takes it, and its response
 * time counts from when it was due. It waits at most the time-out, which bounds the backlog.
 *
 * Connections are reopened at the end of a turn only: an event for the old descriptor can still
 * stand in the batch that the loop is working off, and must not be taken for one of the new.
 */
#include "load/client.h"

#include <errno.h>
#include <stdlib.h>

#include "base/assert.h"
#include "base/clock.h"
#include "load/answer.h"
#include "os/fd.h"
#include "os/socket.h"
#include "os/thread.h"

/* How long a connection rests after it could not be opened. */
static const uint64_t rest_ns = 250 * HBK_NS_PER_MS;

struct hbk_load_connection {
    struct hbk_source source;
    struct hbk_link link; /* on the list of its state */
    struct hbk_load_client *client;
    uint64_t intended_ns;
    uint64_t sent_ns; /* or when connecting began */
    uint64_t deadline_ns;
    struct hbk_slice unsent; /* of the call's bytes */
    struct hbk_answer answer;
    uint8_t state;
    bool is_settled; /* has ended its warm-up, well or badly */
    bool is_warming; /* the call under way is not recorded */
    bool is_proven;  /* has brought an answer since it was opened */
    uint8_t message[HBK_LOAD_MESSAGE_BYTES];
};

static void wake_at(struct hbk_load_client *client, uint64_t due_ns)
{
    if (due_ns < client->alarm.due_ns) {
        client->alarm.due_ns = due_ns;
    }
}

static bool is_open_loop(const struct hbk_load_client *client)
{
    return client->plan->rate_per_s > 0;
}

static struct hbk_load_connection *connection_of(struct hbk_link *link)
{
    return HBK_CONTAINER(link, struct hbk_load_connection, link);
}

static struct hbk_load_connection *first_of(struct hbk_load_client *client,
                                            enum hbk_load_state state)
{
    struct hbk_list *list = &client->lists[state];
    return hbk_list_is_empty(list) ? NULL : connection_of(list->head.next);
}

static void move_to(struct hbk_load_connection *connection, enum hbk_load_state state)
{
    struct hbk_load_client *client = connection->client;
    hbk_link_remove(&connection->link);
    client->counts[connection->state]--;
    connection->state = (uint8_t)state;
    client->counts[state]++;
    hbk_list_append(&client->lists[state], &connection->link);
}

static void set_deadline(struct hbk_load_connection *connection, uint64_t deadline_ns)
{
    connection->deadline_ns = deadline_ns;
    wake_at(connection->client, deadline_ns);
}

/* When the next scheduled call is due by the clock; HBK_SCHEDULE_OVER when there is none. */
static uint64_t next_due_ns(const struct hbk_load_client *client)
{
    uint64_t due_ns = hbk_schedule_due_ns(&client->schedule);
    return due_ns == HBK_SCHEDULE_OVER ? due_ns : client->start_ns + due_ns;
}

static void settle(struct hbk_load_connection *connection)
{
    struct hbk_load_client *client = connection->client;
    if (connection->is_settled) {
        return;
    }
    connection->is_settled = true;
    client->unsettled--;
    if (client->unsettled == 0 && client->phase == HBK_LOAD_WARMING) {
        client->phase = HBK_LOAD_WARM;
        client->on_warm(client);
    }
}

/* ---- the end of calls ---- */

static bool has_calls_left(const struct hbk_load_client *client, uint64_t now_ns)
{
    if (is_open_loop(client)) {
        return hbk_schedule_due_ns(&client->schedule) != HBK_SCHEDULE_OVER;
    }
    return client->calls_left > 0 && now_ns < client->end_ns;
}

static void end_run(struct hbk_load_client *client, uint64_t now_ns)
{
    struct hbk_load_result *result = &client->result;
    struct hbk_usage usage = hbk_thread_usage();
    client->phase = HBK_LOAD_OVER;
    client->alarm.due_ns = UINT64_MAX;
    result->elapsed_ns = now_ns > client->start_ns ? now_ns - client->start_ns : 0;
    if (is_open_loop(client) && client->end_ns != UINT64_MAX && now_ns < client->end_ns &&
        !result->was_interrupted) {
        /* The last call's share of the time lies behind it: 10 calls in 1 s are 10/s. */
        result->elapsed_ns = client->end_ns - client->start_ns;
    }
    result->cpu_user_ns = usage.user_ns - result->cpu_user_ns;
    result->cpu_system_ns = usage.system_ns - result->cpu_system_ns;
    result->cpu_wait_ns = usage.wait_ns - result->cpu_wait_ns;
    client->on_done(client);
}

static void end_run_if_over(struct hbk_load_client *client, uint64_t now_ns)
{
    if (client->phase == HBK_LOAD_RUNNING && client->counts[HBK_LOAD_BUSY] == 0 &&
        !has_calls_left(client, now_ns)) {
        end_run(client, now_ns);
    }
}

static void record_failure(struct hbk_load_client *client, enum hbk_load_failure failure,
                           uint64_t intended_ns, uint64_t now_ns)
{
    client->result.failures[failure]++;
    hbk_histogram_record(&client->result.response, now_ns - intended_ns);
    hbk_histogram_record(&client->result.failed, now_ns - intended_ns);
}

static void record_answer(struct hbk_load_connection *connection, uint64_t now_ns)
{
    struct hbk_load_result *result = &connection->client->result;
    const struct hbk_answer *answer = &connection->answer;
    enum hbk_load_failure failure;
    result->statuses[answer->status]++;
    hbk_load_tally_add(&result->body_bytes, answer->body_bytes);
    hbk_load_tally_add(&result->head_bytes, answer->head_bytes);
    if (is_open_loop(connection->client)) {
        hbk_histogram_record(&result->service, now_ns - connection->sent_ns);
    }
    if (hbk_load_status_failure(answer->status, &failure)) {
        record_failure(connection->client, failure, connection->intended_ns, now_ns);
    } else {
        hbk_histogram_record(&result->response, now_ns - connection->intended_ns);
    }
}

static void close_connection(struct hbk_load_connection *connection)
{
    struct hbk_load_client *client = connection->client;
    hbk_loop_remove(client->loop, &connection->source);
    hbk_fd_close(&connection->source.fd);
    hbk_answer_reset(&connection->answer);
    move_to(connection, HBK_LOAD_CLOSED);
    hbk_loop_post(client->loop, HBK_PHASE_END, &client->open_task);
}

static void make_idle(struct hbk_load_connection *connection, uint64_t now_ns)
{
    struct hbk_load_client *client = connection->client;
    if (client->counts[HBK_LOAD_IDLE] == 0) {
        client->starved_until_ns = now_ns;
    }
    move_to(connection, HBK_LOAD_IDLE);
    if (client->phase == HBK_LOAD_RUNNING && is_open_loop(client)) {
        wake_at(client, next_due_ns(client));
    }
    settle(connection);
}

static void fail_call(struct hbk_load_connection *connection, enum hbk_load_failure failure,
                      uint64_t now_ns)
{
    struct hbk_load_client *client = connection->client;
    if (connection->is_warming) {
        client->result.failures[failure]++;
    } else {
        hbk_histogram_record(&client->result.service, now_ns - connection->sent_ns);
        record_failure(client, failure, connection->intended_ns, now_ns);
    }
    close_connection(connection);
    settle(connection);
}

/* The connection could not be opened, or was closed before it was of any use. It rests, so that a
 * server that hangs up at once is not dialled as fast as we can. In closed loop, where no schedule
 * waits, it is a call that failed. */
static void fail_opening(struct hbk_load_connection *connection, enum hbk_load_failure failure,
                         uint64_t now_ns)
{
    struct hbk_load_client *client = connection->client;
    bool is_call = client->phase == HBK_LOAD_RUNNING && !is_open_loop(client) &&
                   has_calls_left(client, now_ns);
    if (is_call) {
        client->calls_left--;
        record_failure(client, failure, connection->sent_ns, now_ns);
    } else {
        client->result.failures[failure]++;
    }
    hbk_loop_remove(client->loop, &connection->source);
    hbk_fd_close(&connection->source.fd);
    move_to(connection, HBK_LOAD_RESTING);
    set_deadline(connection, now_ns + rest_ns);
    settle(connection);
}

/* ---- sending ---- */

static void send_unsent(struct hbk_load_connection *connection, uint64_t now_ns)
{
    while (connection->unsent.size > 0) {
        size_t size;
        enum hbk_io io = hbk_socket_send(connection->source.fd, connection->unsent, &size);
        if (io == HBK_IO_AGAIN) {
            connection->source.ready &= ~(uint32_t)HBK_WRITABLE;
            return;
        }
        if (io != HBK_IO_DONE) {
            fail_call(connection, errno == ECONNRESET ? HBK_LOAD_RESET : HBK_LOAD_SEND, now_ns);
            return;
        }
        connection->unsent = hbk_slice_part(connection->unsent, size, connection->unsent.size);
        connection->client->result.sent_bytes += size;
    }
}

static void send_call(struct hbk_load_connection *connection, uint64_t intended_ns, uint64_t now_ns)
{
    struct hbk_load_client *client = connection->client;
    connection->intended_ns = intended_ns;
    connection->sent_ns = now_ns;
    connection->unsent = client->request;
    if (client->plan->target.scheme == HBK_LOAD_TCP) {
        uint32_t number = (uint32_t)(connection - client->connections);
        hbk_load_message_build(number, client->message_number++, connection->message);
        connection->unsent = hbk_slice_of(connection->message, HBK_LOAD_MESSAGE_BYTES);
        hbk_answer_expect(&connection->answer, connection->unsent);
    }
    move_to(connection, HBK_LOAD_BUSY);
    set_deadline(connection, now_ns + client->plan->timeout_ns);
    send_unsent(connection, now_ns);
}

/* Sends the scheduled calls that are due; drops those that waited too long for a connection. */
static void send_due(struct hbk_load_client *client, uint64_t now_ns)
{
    struct hbk_load_result *result = &client->result;
    for (uint64_t due_ns; (due_ns = next_due_ns(client)) <= now_ns;) {
        struct hbk_load_connection *connection = first_of(client, HBK_LOAD_IDLE);
        if (now_ns - due_ns >= client->plan->timeout_ns) {
            record_failure(client, HBK_LOAD_NO_CONNECTION, due_ns, now_ns);
        } else if (connection == NULL) {
            return;
        } else {
            if (due_ns < client->starved_until_ns) {
                result->waited++;
            } else {
                hbk_histogram_record(&result->lateness, now_ns - due_ns);
            }
            send_call(connection, due_ns, now_ns);
            now_ns = hbk_clock_monotonic_ns();
        }
        hbk_schedule_advance(&client->schedule);
    }
}

static void send_at_will(struct hbk_load_client *client, uint64_t now_ns)
{
    while (client->counts[HBK_LOAD_IDLE] > 0 && has_calls_left(client, now_ns)) {
        client->calls_left--;
        send_call(first_of(client, HBK_LOAD_IDLE), now_ns, now_ns);
    }
}

static void pump(struct hbk_load_client *client, uint64_t now_ns)
{
    if (client->phase != HBK_LOAD_RUNNING) {
        return;
    }
    if (is_open_loop(client)) {
        send_due(client, now_ns);
    } else if (now_ns >= client->start_ns) {
        send_at_will(client, now_ns);
    }
    end_run_if_over(client, now_ns);
}

/* ---- receiving ---- */

static void finish_call(struct hbk_load_connection *connection, bool is_last, uint64_t now_ns)
{
    enum hbk_load_failure failure;
    if (!connection->is_warming) {
        record_answer(connection, now_ns);
    } else if (hbk_load_status_failure(connection->answer.status, &failure)) {
        connection->client->result.failures[failure]++;
    }
    connection->is_warming = false;
    connection->is_proven = true;
    hbk_answer_reset(&connection->answer);
    if (is_last || (connection->source.ready & (HBK_ENDED | HBK_HUNG_UP)) != 0) {
        close_connection(connection);
        settle(connection);
    } else {
        make_idle(connection, now_ns);
    }
}

static void take_bytes(struct hbk_load_connection *connection, struct hbk_slice bytes)
{
    uint64_t now_ns = hbk_clock_monotonic_ns();
    connection->client->result.received_bytes += bytes.size;
    if (connection->state == HBK_LOAD_IDLE) {
        /* Nobody asked. What a call of ours would read next could not be trusted. */
        connection->client->result.failures[HBK_LOAD_MALFORMED]++;
        close_connection(connection);
        return;
    }
    switch (hbk_answer_read(&connection->answer, bytes)) {
    case HBK_ANSWER_MORE:
        break;
    case HBK_ANSWER_WHOLE:
        finish_call(connection, false, now_ns);
        break;
    case HBK_ANSWER_LAST:
        finish_call(connection, true, now_ns);
        break;
    case HBK_ANSWER_MALFORMED:
        fail_call(connection, HBK_LOAD_MALFORMED, now_ns);
        break;
    }
}

static void take_end(struct hbk_load_connection *connection, bool is_reset)
{
    if (connection->state == HBK_LOAD_IDLE) {
        if (connection->is_proven) {
            close_connection(connection); /* the server was free to */
        } else {
            fail_opening(connection, is_reset ? HBK_LOAD_RESET : HBK_LOAD_EARLY_CLOSE,
                         hbk_clock_monotonic_ns());
        }
        return;
    }
    if (!is_reset && hbk_answer_is_ended_by_close(&connection->answer)) {
        finish_call(connection, true, hbk_clock_monotonic_ns());
        return;
    }
    fail_call(connection, is_reset ? HBK_LOAD_RESET : HBK_LOAD_EARLY_CLOSE,
              hbk_clock_monotonic_ns());
}

/* Reads what there is. A read that does not fill the room has emptied the socket; asking again is
 * only needed where the end is known to lie behind. */
static void receive(struct hbk_load_connection *connection)
{
    struct hbk_source *source = &connection->source;
    while ((source->ready & HBK_READABLE) != 0 && source->on_ready != NULL) {
        size_t size;
        switch (hbk_socket_receive(source->fd, connection->client->room, &size)) {
        case HBK_IO_DONE:
            if (size < connection->client->room.size && (source->ready & HBK_ENDED) == 0) {
                source->ready &= ~(uint32_t)HBK_READABLE;
            }
            take_bytes(connection, hbk_slice_of(connection->client->room.bytes, size));
            break;
        case HBK_IO_AGAIN:
            source->ready &= ~(uint32_t)HBK_READABLE;
            break;
        case HBK_IO_END:
            take_end(connection, false);
            return;
        case HBK_IO_FAILED:
            take_end(connection, true);
            return;
        }
    }
}

/* ---- connecting ---- */

static enum hbk_load_failure connect_failure(int error_number)
{
    return error_number == ECONNREFUSED ? HBK_LOAD_CONNECT_REFUSED
           : error_number == ETIMEDOUT  ? HBK_LOAD_CONNECT_TIMEOUT
                                        : HBK_LOAD_CONNECT_OTHER;
}

static void finish_connect(struct hbk_load_connection *connection)
{
    struct hbk_load_client *client = connection->client;
    uint64_t now_ns = hbk_clock_monotonic_ns();
    int error_number = hbk_socket_error(connection->source.fd);
    hbk_loop_post(client->loop, HBK_PHASE_END, &client->open_task);
    if (error_number != 0) {
        fail_opening(connection, connect_failure(error_number), now_ns);
        return;
    }
    hbk_histogram_record(&client->result.connect, now_ns - connection->sent_ns);
    client->result.connections_opened++;
    /* Whoever counts calls exactly (-n) wants no others on the wire. */
    if (connection->is_settled || client->plan->calls > 0) {
        make_idle(connection, now_ns);
    } else {
        connection->is_warming = true;
        send_call(connection, now_ns, now_ns);
    }
}

static void on_connection_ready(struct hbk_source *source)
{
    struct hbk_load_connection *connection =
        HBK_CONTAINER(source, struct hbk_load_connection, source);
    struct hbk_load_client *client = connection->client;
    if (connection->state == HBK_LOAD_CONNECTING && (source->ready & HBK_WRITABLE) != 0) {
        finish_connect(connection);
    } else if (connection->unsent.size > 0 && (source->ready & HBK_WRITABLE) != 0) {
        send_unsent(connection, hbk_clock_monotonic_ns());
    }
    if (connection->state == HBK_LOAD_BUSY || connection->state == HBK_LOAD_IDLE) {
        receive(connection);
    }
    pump(client, hbk_clock_monotonic_ns());
}

static void begin_connect(struct hbk_load_connection *connection)
{
    struct hbk_load_client *client = connection->client;
    const struct hbk_connect_options options = {0};
    uint64_t now_ns = hbk_clock_monotonic_ns();
    int fd = -1;
    connection->sent_ns = now_ns;
    connection->unsent = hbk_slice_of(NULL, 0);
    connection->is_proven = false;
    move_to(connection, HBK_LOAD_CONNECTING);
    set_deadline(connection, now_ns + client->plan->timeout_ns);
    hbk_status status = hbk_socket_connect(client->address, &options, &fd);
    if (status == HBK_OK) {
        hbk_socket_tune(fd);
        status = hbk_loop_add(client->loop, &connection->source, fd, on_connection_ready);
    }
    if (status != HBK_OK) {
        hbk_fd_close(&fd);
        connection->source.fd = -1;
        fail_opening(connection, connect_failure(errno), now_ns);
    }
}

static void on_open_task(struct hbk_task *task)
{
    struct hbk_load_client *client = HBK_CONTAINER(task, struct hbk_load_client, open_task);
    while (client->phase != HBK_LOAD_OVER && client->counts[HBK_LOAD_CLOSED] > 0 &&
           client->counts[HBK_LOAD_CONNECTING] < HBK_LOAD_CONNECTING_MAX) {
        begin_connect(first_of(client, HBK_LOAD_CLOSED));
    }
    end_run_if_over(client, hbk_clock_monotonic_ns());
}

/* ---- time ---- */

static void expire_heads(struct hbk_load_client *client, uint64_t now_ns)
{
    struct hbk_load_connection *connection;
    while ((connection = first_of(client, HBK_LOAD_BUSY)) != NULL &&
           connection->deadline_ns <= now_ns) {
        fail_call(connection, HBK_LOAD_TIMEOUT, now_ns);
    }
    while ((connection = first_of(client, HBK_LOAD_CONNECTING)) != NULL &&
           connection->deadline_ns <= now_ns) {
        fail_opening(connection, HBK_LOAD_CONNECT_TIMEOUT, now_ns);
    }
    while ((connection = first_of(client, HBK_LOAD_RESTING)) != NULL &&
           connection->deadline_ns <= now_ns) {
        move_to(connection, HBK_LOAD_CLOSED);
        hbk_loop_post(client->loop, HBK_PHASE_END, &client->open_task);
    }
}

static void set_alarm(struct hbk_load_client *client)
{
    static const enum hbk_load_state timed[] = {HBK_LOAD_BUSY, HBK_LOAD_CONNECTING,
                                                HBK_LOAD_RESTING};
    client->alarm.due_ns = UINT64_MAX;
    for (size_t i = 0; i < HBK_COUNT(timed); i++) {
        const struct hbk_load_connection *first = first_of(client, timed[i]);
        if (first != NULL) {
            wake_at(client, first->deadline_ns);
        }
    }
    if (client->phase != HBK_LOAD_RUNNING) {
        return;
    }
    if (!is_open_loop(client)) {
        bool is_early = hbk_clock_monotonic_ns() < client->start_ns;
        wake_at(client, is_early ? client->start_ns : client->end_ns);
    } else if (client->counts[HBK_LOAD_IDLE] > 0) {
        wake_at(client, next_due_ns(client));
    } else if (hbk_schedule_due_ns(&client->schedule) != HBK_SCHEDULE_OVER) {
        wake_at(client, next_due_ns(client) + client->plan->timeout_ns);
    }
}

static void on_alarm(struct hbk_alarm *alarm)
{
    struct hbk_load_client *client = HBK_CONTAINER(alarm, struct hbk_load_client, alarm);
    uint64_t now_ns = hbk_clock_monotonic_ns();
    expire_heads(client, now_ns);
    pump(client, now_ns);
    if (client->phase != HBK_LOAD_OVER) {
        set_alarm(client);
    }
}

/* ---- life ---- */

hbk_status hbk_load_client_open(struct hbk_load_client *client)
{
    const struct hbk_load_plan *plan = client->plan;
    unsigned count = plan->connections / plan->threads;
    count += client->lane < plan->connections % plan->threads ? 1 : 0;
    HBK_TRY(hbk_load_result_init(&client->result));
    client->room = hbk_span_of(malloc(HBK_LOAD_RECEIVE_BYTES), HBK_LOAD_RECEIVE_BYTES);
    client->connections = calloc(count, sizeof *client->connections);
    if (client->room.bytes == NULL || client->connections == NULL) {
        return HBK_NO_MEMORY;
    }
    for (unsigned state = 0; state < HBK_LOAD_STATE_COUNT; state++) {
        hbk_list_init(&client->lists[state]);
    }
    for (unsigned i = 0; i < count; i++) {
        struct hbk_load_connection *connection = &client->connections[i];
        connection->client = client;
        connection->source.fd = -1;
        hbk_answer_init(&connection->answer);
        hbk_list_append(&client->lists[HBK_LOAD_CLOSED], &connection->link);
    }
    client->connection_count = client->unsettled = client->counts[HBK_LOAD_CLOSED] = count;
    client->phase = HBK_LOAD_WARMING;
    client->alarm = (struct hbk_alarm){.due_ns = UINT64_MAX, .on_due = on_alarm};
    client->loop->alarm = &client->alarm;
    hbk_task_init(&client->open_task, on_open_task);
    hbk_loop_post(client->loop, HBK_PHASE_END, &client->open_task);
    return HBK_OK;
}

void hbk_load_client_start(struct hbk_load_client *client, uint64_t start_ns)
{
    const struct hbk_load_plan *plan = client->plan;
    struct hbk_load_result *result = &client->result;
    if (client->phase != HBK_LOAD_WARM) {
        return; /* stopped meanwhile */
    }
    uint64_t calls = plan->calls > 0          ? plan->calls
                     : plan->duration_ns == 0 ? UINT64_MAX
                     : is_open_loop(client)
                         ? hbk_schedule_calls(plan->rate_per_s, plan->duration_ns)
                         : UINT64_MAX;
    /* In closed loop the schedule only deals out the calls; its times are not looked at. */
    hbk_schedule_init(&client->schedule, is_open_loop(client) ? plan->rate_per_s : 1, calls,
                      client->lane, plan->threads);
    client->calls_left = hbk_schedule_left(&client->schedule);
    client->start_ns = start_ns;
    client->end_ns =
        plan->calls > 0 || plan->duration_ns == 0 ? UINT64_MAX : start_ns + plan->duration_ns;
    hbk_load_result_begin(result);
    result->planned = calls == UINT64_MAX ? 0 : client->calls_left;
    result->start_realtime_ns = hbk_clock_realtime_ns();
    struct hbk_usage usage = hbk_thread_usage();
    result->cpu_user_ns = usage.user_ns;
    result->cpu_system_ns = usage.system_ns;
    result->cpu_wait_ns = usage.wait_ns;
    client->phase = HBK_LOAD_RUNNING;
    set_alarm(client);
    wake_at(client, start_ns); /* which may have passed already */
}

void hbk_load_client_stop(struct hbk_load_client *client)
{
    if (client->phase == HBK_LOAD_OVER) {
        return;
    }
    if (client->phase != HBK_LOAD_RUNNING) {
        hbk_load_result_begin(&client->result); /* what failed until now was warm-up */
        client->result.start_realtime_ns = hbk_clock_realtime_ns();
    }
    client->result.was_interrupted = true;
    client->result.failures[HBK_LOAD_ABORTED] = client->counts[HBK_LOAD_BUSY];
    if (client->phase == HBK_LOAD_RUNNING) {
        end_run(client, hbk_clock_monotonic_ns());
        return;
    }
    client->phase = HBK_LOAD_OVER;
    client->alarm.due_ns = UINT64_MAX;
    client->on_done(client);
}

void hbk_load_client_fini(struct hbk_load_client *client)
{
    for (unsigned i = 0; i < client->connection_count; i++) {
        struct hbk_load_connection *connection = &client->connections[i];
        hbk_loop_remove(client->loop, &connection->source);
        hbk_fd_close(&connection->source.fd);
        hbk_answer_reset(&connection->answer);
    }
    if (client->loop->alarm == &client->alarm) {
        client->loop->alarm = NULL;
    }
    hbk_task_cancel(&client->open_task);
    free(client->connections);
    free(client->room.bytes);
    hbk_load_result_fini(&client->result);
    *client = (struct hbk_load_client){0};
}
