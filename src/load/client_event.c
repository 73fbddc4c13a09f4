/*
 * What comes of calls and connections: answers, failures, ends. A call ends exactly once, and
 * whoever ends it records it; then its connection is idle again, or disposed of.
 */
#include "base/assert.h"
#include "base/clock.h"
#include "load/client_private.h"

/* How long a connection rests after it could not be opened. */
static const uint64_t rest_ns = 250 * HBK_NS_PER_MS;

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

static void record(struct hbk_load_client *client, uint64_t intended_ns, uint64_t sent_ns,
                   unsigned path, bool has_failed, uint64_t now_ns)
{
    hbk_load_result_record(&client->result, path,
                           &(struct hbk_load_times){
                               .response_ns = now_ns - intended_ns,
                               .service_ns = now_ns - sent_ns,
                               .has_failed = has_failed,
                           });
    if (client->plan->watch != NULL) {
        hbk_histogram_record(&client->interval, now_ns - intended_ns);
        client->interval_failed += has_failed ? 1 : 0;
    }
}

static void abort_if_asked(struct hbk_load_client *client, int status)
{
    if (client->plan->abort_status != 0 && client->plan->abort_status == status &&
        !client->was_aborted && client->phase == HBK_LOAD_RUNNING) {
        client->was_aborted = true;
        client->on_abort(client);
    }
}

void hbk_load_record_unsent(struct hbk_load_client *client, enum hbk_load_failure failure,
                            uint64_t intended_ns, uint64_t now_ns)
{
    unsigned path = hbk_load_requests_choose(client->requests, 1);
    client->result.failures[failure]++;
    record(client, intended_ns, now_ns, path, true, now_ns);
    abort_if_asked(client, -1);
}

/* Fortio's clock of a connection whose call has ended: when is the next one? */
static void wind_clock(struct hbk_load_connection *connection, uint64_t now_ns)
{
    struct hbk_load_client *client = connection->client;
    uint64_t since_ns = now_ns > client->start_ns ? now_ns - client->start_ns : 0;
    uint64_t next_ns = hbk_fortio_clock_next_ns(&connection->clock, since_ns);
    if (next_ns == UINT64_MAX) {
        client->clocks_left--;
        return;
    }
    hbk_due_heap_add(&client->due, &connection->due, client->start_ns + next_ns);
    wake_at(client, client->start_ns + next_ns);
}

static void release(struct hbk_load_call *call)
{
    struct hbk_load_connection *connection = call->connection;
    hbk_link_remove(&call->link);
    hbk_list_append(&connection->free, &call->link);
    call->request = NULL;
    connection->busy--;
    connection->client->busy_count--;
}

/* The call has ended; what is told of it was recorded. */
static void end_call(struct hbk_load_call *call, uint64_t now_ns)
{
    struct hbk_load_connection *connection = call->connection;
    bool was_warming_up = !connection->is_settled;
    call->is_warming = false;
    connection->idle_ns = now_ns;
    release(call);
    if (is_fortio(connection->client) && !was_warming_up &&
        connection->client->phase == HBK_LOAD_RUNNING) {
        wind_clock(connection, now_ns);
    }
}

static void fail_call(struct hbk_load_call *call, enum hbk_load_failure failure, uint64_t now_ns)
{
    struct hbk_load_client *client = call->connection->client;
    client->result.failures[failure]++;
    if (!call->is_warming) {
        if (is_open_loop(client)) {
            hbk_histogram_record(&client->result.service, now_ns - call->sent_ns);
        }
        record(client, call->intended_ns, call->sent_ns, call->path, true, now_ns);
        abort_if_asked(client, -1);
    }
    end_call(call, now_ns);
}

static void answer_call(struct hbk_load_call *call, uint64_t now_ns)
{
    struct hbk_load_client *client = call->connection->client;
    struct hbk_load_result *result = &client->result;
    enum hbk_load_failure failure = HBK_LOAD_STATUS_OTHER;
    bool has_failed = hbk_load_status_failure(call->status, &failure);
    result->failures[failure] += has_failed ? 1 : 0;
    if (!call->is_warming) {
        result->statuses[call->status]++;
        hbk_load_tally_add(&result->body_bytes, call->body_bytes);
        hbk_load_tally_add(&result->head_bytes, call->head_bytes);
        if (is_open_loop(client)) {
            hbk_histogram_record(&result->service, now_ns - call->sent_ns);
        }
        record(client, call->intended_ns, call->sent_ns, call->path, has_failed, now_ns);
        abort_if_asked(client, call->status);
    }
    end_call(call, now_ns);
}

/* ---- connections between their calls ---- */

void hbk_load_make_idle(struct hbk_load_connection *connection, uint64_t now_ns)
{
    struct hbk_load_client *client = connection->client;
    if (connection->state != HBK_LOAD_IDLE) {
        if (client->counts[HBK_LOAD_IDLE] == 0) {
            client->starved_until_ns = now_ns;
        }
        move_to(connection, HBK_LOAD_IDLE);
    }
    if (client->phase == HBK_LOAD_RUNNING && is_open_loop(client) && !is_fortio(client)) {
        wake_at(client, next_due_ns(client));
    }
    settle(connection);
}

/* The socket is gone: opened again at once, after a rest, or with the next call. */
static void dispose(struct hbk_load_connection *connection, bool rests, uint64_t now_ns)
{
    struct hbk_load_client *client = connection->client;
    hbk_load_close(connection);
    connection->uses_left = UINT32_MAX;
    if (rests && (!opens_late(client) || !is_open_loop(client))) {
        move_to(connection, HBK_LOAD_RESTING);
        set_deadline(connection, now_ns + rest_ns);
        settle(connection);
    } else if (opens_late(client)) {
        hbk_load_make_idle(connection, now_ns);
    } else {
        move_to(connection, HBK_LOAD_CLOSED);
        hbk_loop_post(client->loop, HBK_PHASE_END, &client->open_task);
        settle(connection);
    }
}

static void fail_calls(struct hbk_load_connection *connection, enum hbk_load_failure failure,
                       uint64_t now_ns)
{
    for (unsigned i = 0; i < connection->client->plan->streams; i++) {
        if (connection->calls[i].request != NULL) {
            fail_call(&connection->calls[i], failure, now_ns);
        }
    }
}

/* The connection could not be opened, or was closed before it was of any use. It rests, so that a
 * server that hangs up at once is not dialled as fast as we can. In closed loop, where no schedule
 * waits, it is a call that failed. */
void hbk_load_fail_opening(struct hbk_load_connection *connection, enum hbk_load_failure failure,
                           uint64_t now_ns)
{
    struct hbk_load_client *client = connection->client;
    if (connection->busy > 0) {
        fail_calls(connection, failure, now_ns);
    } else if (client->phase == HBK_LOAD_RUNNING && !is_open_loop(client) && !is_fortio(client) &&
               has_calls_left(client, now_ns)) {
        client->calls_left--;
        hbk_load_record_unsent(client, failure, connection->began_ns, now_ns);
    } else {
        client->result.failures[failure]++;
    }
    dispose(connection, true, now_ns);
}

/* ---- what connections tell ---- */

static uint32_t draw_uses(struct hbk_load_client *client)
{
    const struct hbk_load_plan *plan = client->plan;
    if (plan->reuse_max == 0) {
        return UINT32_MAX;
    }
    double span = (double)(plan->reuse_max - plan->reuse_min + 1);
    return plan->reuse_min + (uint32_t)((1 - hbk_schedule_random(&client->random)) * span);
}

/* The call for which the connection was opened. */
static void send_waiting(struct hbk_load_connection *connection, uint64_t now_ns)
{
    for (unsigned i = 0; i < connection->client->plan->streams; i++) {
        struct hbk_load_call *call = &connection->calls[i];
        if (call->request != NULL && call->is_unsent) {
            call->is_unsent = false;
            connection->uses_left -= connection->uses_left == UINT32_MAX ? 0 : 1;
            hbk_load_send(connection, call);
            break;
        }
    }
    hbk_load_on_room(connection, now_ns);
}

void hbk_load_on_open(struct hbk_load_connection *connection, uint64_t now_ns)
{
    struct hbk_load_client *client = connection->client;
    hbk_histogram_record(&client->result.connect, now_ns - connection->began_ns);
    hbk_fortio_histogram_record(&client->result.fortio_connect,
                                (double)(now_ns - connection->began_ns) / HBK_NS_PER_S);
    client->result.connections_opened++;
    hbk_loop_post(client->loop, HBK_PHASE_END, &client->open_task);
    connection->uses_left = draw_uses(client);
    if (connection->busy > 0) { /* opened for this call */
        send_waiting(connection, now_ns);
    } else if (connection->is_settled || client->plan->calls > 0) {
        /* Whoever counts calls exactly (-n) wants no others on the wire. */
        hbk_load_make_idle(connection, now_ns);
    } else {
        move_to(connection, HBK_LOAD_IDLE);
        hbk_load_start_call(connection, true, now_ns, now_ns);
    }
}

void hbk_load_on_open_failed(struct hbk_load_connection *connection, enum hbk_load_failure failure,
                             uint64_t now_ns)
{
    hbk_loop_post(connection->client->loop, HBK_PHASE_END, &connection->client->open_task);
    hbk_load_fail_opening(connection, failure, now_ns);
}

void hbk_load_on_room(struct hbk_load_connection *connection, uint64_t now_ns)
{
    bool is_ready = connection->state == HBK_LOAD_IDLE || connection->state == HBK_LOAD_FULL;
    if (!is_ready || connection->is_connecting) {
        return;
    }
    if (hbk_load_can_send(connection)) {
        hbk_load_make_idle(connection, now_ns);
    } else if (connection->state == HBK_LOAD_IDLE) {
        move_to(connection, HBK_LOAD_FULL);
    }
}

void hbk_load_on_answer(struct hbk_load_call *call, bool is_last, uint64_t now_ns)
{
    struct hbk_load_connection *connection = call->connection;
    connection->is_proven = true;
    answer_call(call, now_ns);
    if (is_last || (connection->uses_left == 0 && connection->busy == 0)) {
        fail_calls(connection, HBK_LOAD_EARLY_CLOSE, now_ns);
        dispose(connection, false, now_ns);
    } else {
        hbk_load_on_room(connection, now_ns);
        settle(connection); /* though the server may allow no further call */
    }
}

void hbk_load_on_call_failed(struct hbk_load_call *call, enum hbk_load_failure failure,
                             uint64_t now_ns)
{
    struct hbk_load_connection *connection = call->connection;
    fail_call(call, failure, now_ns);
    settle(connection);
    hbk_load_on_room(connection, now_ns);
}

void hbk_load_on_lost(struct hbk_load_connection *connection, enum hbk_load_failure failure,
                      uint64_t now_ns)
{
    struct hbk_load_client *client = connection->client;
    if (connection->busy > 0) {
        fail_calls(connection, failure, now_ns);
        dispose(connection, false, now_ns);
    } else if (failure == HBK_LOAD_MALFORMED) {
        client->result.failures[failure]++;
        dispose(connection, !connection->is_proven, now_ns);
    } else if (connection->is_proven || opens_late(client)) {
        dispose(connection, false, now_ns); /* the server was free to */
    } else {
        hbk_load_fail_opening(connection, failure, now_ns);
    }
}

/* ---- time-outs ---- */

void hbk_load_time_out(struct hbk_load_call *call, uint64_t now_ns)
{
    struct hbk_load_connection *connection = call->connection;
    if (hbk_load_cancel(call)) {
        hbk_load_on_call_failed(call, HBK_LOAD_TIMEOUT, now_ns);
        return;
    }
    fail_calls(connection, connection->is_connecting ? HBK_LOAD_CONNECT_TIMEOUT : HBK_LOAD_TIMEOUT,
               now_ns);
    dispose(connection, false, now_ns);
}
