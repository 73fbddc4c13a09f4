/*
 * A connection is on exactly one of five lists, and the list is its state. Calls under way are on a
 * list of their own. Requests, connection attempts and rests have one constant time limit each, so
 * that the lists are in the order of their deadlines by themselves: only heads have to be looked
 * at, and no timer is set per request.
 *
 *     CLOSED --> CONNECTING --> IDLE <--> FULL
 *       ^  ^         |           |          |       (failed, closed by the server)
 *       |  RESTING <-'           |          |
 *       '------------------------'----------'
 *
 * In open loop there is no queue of waiting calls either. A call that is due and finds no idle
 * connection simply stays the schedule's next one; whoever becomes idle takes it, and its response
 * time counts from when it was due. It waits at most the time-out, which bounds the backlog.
 *
 * Where connections are opened late (Fortio's schedule, a limit of requests per connection) a
 * closed connection is IDLE, too: the call that it is given opens it.
 *
 * Sockets are opened at the end of a turn only: an event for the old descriptor can still stand in
 * the batch that the loop is working off, and must not be taken for one of the new.
 */
#include "load/client.h"

#include <stdlib.h>

#include "base/assert.h"
#include "base/clock.h"
#include "load/client_private.h"
#include "os/thread.h"

/* ---- the end of the run ---- */

static void begin_recording(struct hbk_load_client *client)
{
    struct hbk_load_result *result = &client->result;
    hbk_load_result_begin(result);
    if (client->plan->watch != NULL) {
        hbk_histogram_clear(&client->interval);
    }
    struct hbk_usage usage = hbk_thread_usage();
    result->start_realtime_ns = hbk_clock_realtime_ns();
    result->cpu_user_ns = usage.user_ns;
    result->cpu_system_ns = usage.system_ns;
    result->cpu_wait_ns = usage.wait_ns;
    client->is_recording = true;
}

static void end_run(struct hbk_load_client *client, uint64_t now_ns)
{
    struct hbk_load_result *result = &client->result;
    if (!client->is_recording) {
        begin_recording(client);
    }
    struct hbk_usage usage = hbk_thread_usage();
    client->phase = HBK_LOAD_OVER;
    client->alarm.due_ns = UINT64_MAX;
    result->elapsed_ns = now_ns > client->record_ns ? now_ns - client->record_ns : 0;
    if (is_open_loop(client) && !is_fortio(client) && client->end_ns != UINT64_MAX &&
        now_ns < client->end_ns && !result->was_interrupted) {
        /* The last call's share of the time lies behind it: 10 calls in 1 s are 10/s. */
        result->elapsed_ns = client->end_ns - client->record_ns;
    }
    result->cpu_user_ns = usage.user_ns - result->cpu_user_ns;
    result->cpu_system_ns = usage.system_ns - result->cpu_system_ns;
    result->cpu_wait_ns = usage.wait_ns - result->cpu_wait_ns;
    hbk_load_result_note_share(result);
    client->on_done(client);
}

void hbk_load_end_if_over(struct hbk_load_client *client, uint64_t now_ns)
{
    if (client->phase == HBK_LOAD_RUNNING && client->busy_count == 0 &&
        !has_calls_left(client, now_ns)) {
        end_run(client, now_ns);
    }
}

/* ---- sending ---- */

static void on_open_for_call(struct hbk_task *task)
{
    struct hbk_load_connection *connection = HBK_CONTAINER(task, struct hbk_load_connection, open);
    if (connection->busy > 0 && connection->source.fd < 0) {
        hbk_load_connect(connection, hbk_clock_monotonic_ns());
        hbk_load_on_turn(connection->client);
    }
}

void hbk_load_start_call(struct hbk_load_connection *connection, bool is_warming,
                         uint64_t intended_ns, uint64_t now_ns)
{
    struct hbk_load_client *client = connection->client;
    struct hbk_load_requests *requests = client->requests;
    HBK_ASSERT(!hbk_list_is_empty(&connection->free));
    struct hbk_load_call *call =
        HBK_CONTAINER(connection->free.head.next, struct hbk_load_call, link);
    double random = requests->count > 1 ? hbk_schedule_random(&client->random) : 1;
    call->path = (uint8_t)hbk_load_requests_choose(requests, random);
    struct hbk_load_request *request = &requests->list[call->path];
    hbk_load_request_renew(request, &client->random);
    call->request = request;
    call->intended_ns = intended_ns;
    call->sent_ns = now_ns;
    call->deadline_ns = now_ns + client->plan->timeout_ns;
    call->body_bytes = call->head_bytes = call->status = 0;
    call->is_warming = is_warming;
    call->is_unsent = !hbk_load_is_open(connection);
    hbk_link_remove(&call->link);
    hbk_list_append(&client->busy, &call->link);
    client->busy_count++;
    connection->busy++;
    wake_at(client, call->deadline_ns);
    if (call->is_unsent) {
        move_to(connection, HBK_LOAD_FULL); /* until it is open */
        hbk_loop_post(client->loop, HBK_PHASE_END, &connection->open);
        return;
    }
    connection->uses_left -= connection->uses_left == UINT32_MAX ? 0 : 1;
    /* Behind the others, so that streams are spread over connections. */
    move_to(connection, HBK_LOAD_IDLE);
    hbk_load_send(connection, call);
    hbk_load_on_room(connection, now_ns);
}

/* Sends the scheduled calls that are due; drops those that waited too long for a connection. */
static void send_due(struct hbk_load_client *client, uint64_t now_ns)
{
    struct hbk_load_result *result = &client->result;
    for (uint64_t due_ns; (due_ns = next_due_ns(client)) <= now_ns;) {
        struct hbk_load_connection *connection = first_of(client, HBK_LOAD_IDLE);
        bool is_lead = hbk_schedule_is_lead(&client->schedule);
        if (now_ns - due_ns >= client->plan->timeout_ns) {
            if (is_lead) {
                result->failures[HBK_LOAD_NO_CONNECTION]++;
            } else {
                hbk_load_record_unsent(client, HBK_LOAD_NO_CONNECTION, due_ns, now_ns);
            }
        } else if (connection == NULL) {
            return;
        } else {
            if (due_ns < client->starved_until_ns) {
                result->waited++;
            } else {
                hbk_histogram_record(&result->lateness, now_ns - due_ns);
            }
            hbk_load_start_call(connection, is_lead, due_ns, now_ns);
            now_ns = hbk_clock_monotonic_ns();
        }
        hbk_schedule_advance(&client->schedule);
    }
}

/* Fortio's schedule: each connection by its own clock. */
static void send_by_clocks(struct hbk_load_client *client, uint64_t now_ns)
{
    struct hbk_load_result *result = &client->result;
    while (hbk_due_heap_first_ns(&client->due) <= now_ns) {
        struct hbk_load_connection *connection =
            HBK_CONTAINER(hbk_due_heap_take(&client->due), struct hbk_load_connection, due);
        uint64_t due_ns = connection->due.due_ns;
        if (connection->state != HBK_LOAD_IDLE) { /* it rests, or is opened anew */
            hbk_due_heap_add(&client->due, &connection->due, now_ns + HBK_NS_PER_MS);
            continue;
        }
        uint64_t since_ns = now_ns - client->start_ns;
        if (hbk_fortio_clock_is_too_late(&connection->clock, since_ns)) {
            client->clocks_left--;
            continue;
        }
        if (!is_open_loop(client)) {
            due_ns = now_ns;
        } else if (connection->idle_ns > due_ns) {
            result->waited++; /* the answer before came too late for it */
        } else {
            hbk_histogram_record(&result->lateness, now_ns - due_ns);
        }
        hbk_load_start_call(connection, false, due_ns, now_ns);
        now_ns = hbk_clock_monotonic_ns();
    }
}

static void send_at_will(struct hbk_load_client *client, uint64_t now_ns)
{
    bool is_lead = now_ns < client->record_ns;
    while (client->counts[HBK_LOAD_IDLE] > 0 && has_calls_left(client, now_ns)) {
        client->calls_left -= is_lead ? 0 : 1;
        hbk_load_start_call(first_of(client, HBK_LOAD_IDLE), is_lead, now_ns, now_ns);
    }
}

static void pump(struct hbk_load_client *client, uint64_t now_ns)
{
    if (client->phase != HBK_LOAD_RUNNING) {
        return;
    }
    if (!client->is_recording && now_ns >= client->record_ns) {
        begin_recording(client);
    }
    if (is_fortio(client)) {
        send_by_clocks(client, now_ns);
    } else if (is_open_loop(client)) {
        send_due(client, now_ns);
    } else if (now_ns >= client->start_ns) {
        send_at_will(client, now_ns);
    }
    hbk_load_end_if_over(client, now_ns);
}

void hbk_load_on_turn(struct hbk_load_client *client)
{
    pump(client, hbk_clock_monotonic_ns());
}

/* ---- opening ahead ---- */

static void on_open_task(struct hbk_task *task)
{
    struct hbk_load_client *client = HBK_CONTAINER(task, struct hbk_load_client, open_task);
    unsigned max = HBK_LOAD_CONNECTING_MAX;
    if (client->plan->opens_one_by_one && client->phase == HBK_LOAD_WARMING) {
        max = client->busy_count > 0 ? 0 : 1;
    }
    while (client->phase != HBK_LOAD_OVER && client->counts[HBK_LOAD_CLOSED] > 0 &&
           client->counts[HBK_LOAD_CONNECTING] < max) {
        struct hbk_load_connection *connection = first_of(client, HBK_LOAD_CLOSED);
        uint64_t now_ns = hbk_clock_monotonic_ns();
        move_to(connection, HBK_LOAD_CONNECTING);
        set_deadline(connection, now_ns + client->plan->timeout_ns);
        hbk_load_connect(connection, now_ns);
    }
    hbk_load_end_if_over(client, hbk_clock_monotonic_ns());
}

/* ---- time ---- */

static void expire_heads(struct hbk_load_client *client, uint64_t now_ns)
{
    struct hbk_load_connection *connection;
    while (!hbk_list_is_empty(&client->busy)) {
        struct hbk_load_call *call =
            HBK_CONTAINER(client->busy.head.next, struct hbk_load_call, link);
        if (call->deadline_ns > now_ns) {
            break;
        }
        hbk_load_time_out(call, now_ns);
    }
    while ((connection = first_of(client, HBK_LOAD_CONNECTING)) != NULL &&
           connection->deadline_ns <= now_ns) {
        hbk_load_fail_opening(connection, HBK_LOAD_CONNECT_TIMEOUT, now_ns);
    }
    while ((connection = first_of(client, HBK_LOAD_RESTING)) != NULL &&
           connection->deadline_ns <= now_ns) {
        if (opens_late(client)) {
            hbk_load_make_idle(connection, now_ns);
        } else {
            move_to(connection, HBK_LOAD_CLOSED);
            hbk_loop_post(client->loop, HBK_PHASE_END, &client->open_task);
        }
    }
}

static void set_alarm(struct hbk_load_client *client)
{
    static const enum hbk_load_state timed[] = {HBK_LOAD_CONNECTING, HBK_LOAD_RESTING};
    client->alarm.due_ns = UINT64_MAX;
    for (size_t i = 0; i < HBK_COUNT(timed); i++) {
        const struct hbk_load_connection *first = first_of(client, timed[i]);
        wake_at(client, first == NULL ? UINT64_MAX : first->deadline_ns);
    }
    if (!hbk_list_is_empty(&client->busy)) {
        wake_at(client,
                HBK_CONTAINER(client->busy.head.next, struct hbk_load_call, link)->deadline_ns);
    }
    if (client->phase != HBK_LOAD_RUNNING) {
        return;
    }
    if (!client->is_recording) {
        wake_at(client, client->record_ns);
    }
    if (is_fortio(client)) {
        wake_at(client, hbk_due_heap_first_ns(&client->due));
    } else if (!is_open_loop(client)) {
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

/* Nothing to try ahead: connections are opened by their first calls. */
static void on_warm_task(struct hbk_task *task)
{
    struct hbk_load_client *client = HBK_CONTAINER(task, struct hbk_load_client, warm_task);
    for (unsigned i = 0; i < client->connection_count; i++) {
        hbk_load_make_idle(&client->connections[i], hbk_clock_monotonic_ns());
    }
    if (client->connection_count == 0 && client->phase == HBK_LOAD_WARMING) {
        client->phase = HBK_LOAD_WARM;
        client->on_warm(client);
    }
}

static void init_connection(struct hbk_load_client *client, unsigned number)
{
    const struct hbk_load_plan *plan = client->plan;
    struct hbk_load_connection *connection = &client->connections[number];
    connection->client = client;
    connection->index = number * plan->threads + client->lane;
    connection->calls = &client->calls[(size_t)number * plan->streams];
    hbk_load_connection_init(connection);
    hbk_task_init(&connection->open, on_open_for_call);
    hbk_link_init(&connection->link);
    hbk_list_append(&client->lists[HBK_LOAD_CLOSED], &connection->link);
}

static hbk_status take_memory(struct hbk_load_client *client, unsigned count)
{
    size_t calls = (size_t)count * client->plan->streams;
    HBK_TRY(hbk_load_result_init(&client->result));
    hbk_load_result_set_unit(&client->result, client->plan->unit_s, client->plan->offset_s);
    if (client->plan->watch != NULL) {
        HBK_TRY(hbk_histogram_init(&client->interval));
    }
    HBK_TRY(hbk_due_heap_init(&client->due, count));
    if (client->plan->tls != NULL) {
        HBK_TRY(hbk_batch_init(&client->batch, client->loop, NULL));
    }
    client->room = hbk_span_of(malloc(HBK_LOAD_RECEIVE_BYTES), HBK_LOAD_RECEIVE_BYTES);
    client->connections = calloc(count > 0 ? count : 1, sizeof *client->connections);
    client->calls = calloc(calls > 0 ? calls : 1, sizeof *client->calls);
    client->tickets = calloc(count > 0 ? count : 1, sizeof(struct hbk_tls_ticket *));
    return client->room.bytes == NULL || client->connections == NULL || client->calls == NULL ||
                   client->tickets == NULL
               ? HBK_NO_MEMORY
               : HBK_OK;
}

hbk_status hbk_load_client_open(struct hbk_load_client *client)
{
    const struct hbk_load_plan *plan = client->plan;
    unsigned all = is_fortio(client) ? client->shape->connections : plan->connections;
    unsigned count = all / plan->threads + (client->lane < all % plan->threads ? 1 : 0);
    for (unsigned state = 0; state < HBK_LOAD_STATE_COUNT; state++) {
        hbk_list_init(&client->lists[state]);
    }
    hbk_list_init(&client->busy);
    hbk_task_init(&client->open_task, on_open_task);
    hbk_task_init(&client->warm_task, on_warm_task);
    HBK_TRY(take_memory(client, count));
    client->random = hbk_schedule_random_state(plan->seed, UINT64_C(1) << 32 | client->lane);
    client->connection_count = client->unsettled = client->counts[HBK_LOAD_CLOSED] = count;
    for (unsigned i = 0; i < count; i++) {
        init_connection(client, i);
    }
    client->phase = HBK_LOAD_WARMING;
    client->alarm = (struct hbk_alarm){.due_ns = UINT64_MAX, .on_due = on_alarm};
    client->loop->alarm = &client->alarm;
    bool has_trial = !(opens_late(client) && plan->calls > 0) && count > 0;
    hbk_loop_post(client->loop, HBK_PHASE_END, has_trial ? &client->open_task : &client->warm_task);
    return HBK_OK;
}

static void start_clocks(struct hbk_load_client *client)
{
    client->clocks_left = client->connection_count;
    client->result.planned = 0;
    for (unsigned i = 0; i < client->connection_count; i++) {
        struct hbk_load_connection *connection = &client->connections[i];
        hbk_fortio_clock_init(&connection->clock, client->fortio, client->shape, connection->index);
        client->result.planned += connection->clock.calls;
        connection->idle_ns = client->start_ns;
        hbk_due_heap_add(&client->due, &connection->due,
                         client->start_ns + hbk_fortio_clock_first_ns(&connection->clock));
    }
}

static void start_schedule(struct hbk_load_client *client)
{
    const struct hbk_load_plan *plan = client->plan;
    bool is_open = is_open_loop(client);
    const struct hbk_schedule_plan schedule = {
        .rate_per_s = is_open ? plan->rate_per_s : 1, /* closed: only deals out the calls */
        .ramp_ns = is_open ? plan->ramp_ns : 0,
        .warm_up_ns = is_open ? plan->warm_up_ns : 0,
        .duration_ns = is_open ? plan->duration_ns : 0,
        .calls = plan->calls,
        .is_poisson = plan->arrival == HBK_LOAD_POISSON,
        .seed = plan->seed,
    };
    hbk_schedule_init(&client->schedule, &schedule, client->lane, plan->threads);
    client->result.planned = hbk_schedule_planned(&schedule, client->lane, plan->threads);
    client->calls_left =
        client->result.planned == 0 && plan->calls == 0 ? UINT64_MAX : client->result.planned;
}

void hbk_load_client_start(struct hbk_load_client *client, uint64_t start_ns)
{
    const struct hbk_load_plan *plan = client->plan;
    if (client->phase != HBK_LOAD_WARM) {
        return; /* stopped meanwhile */
    }
    client->start_ns = start_ns;
    client->record_ns = start_ns + plan->ramp_ns + plan->warm_up_ns;
    client->end_ns = plan->calls > 0 || plan->duration_ns == 0
                         ? UINT64_MAX
                         : client->record_ns + plan->duration_ns;
    if (is_fortio(client)) {
        start_clocks(client);
    } else {
        start_schedule(client);
    }
    if (client->record_ns == start_ns) {
        begin_recording(client);
    }
    client->phase = HBK_LOAD_RUNNING;
    set_alarm(client);
    wake_at(client, start_ns); /* which may have passed already */
}

void hbk_load_client_stop(struct hbk_load_client *client)
{
    if (client->phase == HBK_LOAD_OVER) {
        return;
    }
    client->result.was_interrupted = true;
    if (client->phase == HBK_LOAD_RUNNING) {
        uint64_t aborted = client->busy_count;
        end_run(client, hbk_clock_monotonic_ns());
        client->result.failures[HBK_LOAD_ABORTED] = aborted;
        return;
    }
    hbk_load_result_begin(&client->result); /* what failed until now was warm-up */
    client->result.start_realtime_ns = hbk_clock_realtime_ns();
    client->phase = HBK_LOAD_OVER;
    client->alarm.due_ns = UINT64_MAX;
    client->on_done(client);
}

void hbk_load_client_close(struct hbk_load_client *client)
{
    for (unsigned i = 0; client->connections != NULL && i < client->connection_count; i++) {
        hbk_load_close(&client->connections[i]);
        hbk_task_cancel(&client->connections[i].open);
    }
    if (client->loop->alarm == &client->alarm) {
        client->loop->alarm = NULL;
    }
    hbk_task_cancel(&client->open_task);
    hbk_task_cancel(&client->warm_task);
}

void hbk_load_client_fini(struct hbk_load_client *client)
{
    hbk_load_client_close(client);
    for (unsigned i = 0; i < client->ticket_count; i++) {
        hbk_tls_ticket_unref(client->tickets[i]);
    }
    free(client->tickets);
    if (client->batch.loop != NULL) {
        hbk_batch_fini(&client->batch);
    }
    hbk_due_heap_fini(&client->due);
    free(client->connections);
    free(client->calls);
    free(client->room.bytes);
    hbk_histogram_fini(&client->interval);
    hbk_load_result_fini(&client->result);
    *client = (struct hbk_load_client){0};
}
