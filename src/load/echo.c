#include "load/echo.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/assert.h"
#include "base/clock.h"
#include "load/echo_server.h"
#include "load/schedule.h"
#include "os/fd.h"
#include "os/socket.h"
#include "os/thread.h"
#include "runtime/worker.h"

enum { HEAD_BYTES_MAX = 256 };

/* ---- one thread ---- */

static void bury(struct hbk_task *task)
{
    struct hbk_echo_connection *connection = HBK_CONTAINER(task, struct hbk_echo_connection, task);
    hbk_secure_end(&connection->secure);
    hbk_buffer_fini(&connection->sealed);
    hbk_buffer_fini(&connection->held);
    hbk_buffer_fini(&connection->special);
    hbk_buffer_fini(&connection->headers);
    hbk_buffer_fini(&connection->copy);
    hbk_fd_close(&connection->source.fd);
    hbk_pool_give(&connection->server->connections, connection);
}

void hbk_echo_close(struct hbk_echo_connection *connection)
{
    if (connection->is_dead) {
        return;
    }
    connection->is_dead = true;
    hbk_loop_remove(connection->server->loop, &connection->source);
    hbk_link_remove(&connection->link);
    hbk_due_heap_remove(&connection->server->waiting, &connection->due);
    hbk_echo_let_body_go(connection);
    hbk_echo_let_held_go(connection);
    hbk_link_remove(&connection->unfinished);
    hbk_task_cancel(&connection->task);
    hbk_task_cancel(&connection->progress);
    connection->task.run = bury;
    hbk_loop_post(connection->server->loop, HBK_PHASE_END, &connection->task);
}

/* ---- TLS ---- */

static bool is_secure(const struct hbk_echo_connection *connection)
{
    return connection->server->options->tls != NULL;
}

bool hbk_echo_is_flushed(const struct hbk_echo_connection *connection)
{
    return hbk_buffer_is_empty(&connection->sealed);
}

/* Sends what is sealed; false when the socket takes no more now or the connection died. */
static bool flush(struct hbk_echo_connection *connection)
{
    while (!hbk_buffer_is_empty(&connection->sealed)) {
        size_t size;
        enum hbk_io io =
            hbk_socket_send(connection->source.fd, hbk_buffer_slice(&connection->sealed), &size);
        if (io == HBK_IO_AGAIN) {
            return false;
        }
        if (io != HBK_IO_DONE) {
            hbk_echo_close(connection);
            return false;
        }
        hbk_buffer_consume(&connection->sealed, size);
    }
    return true;
}

enum hbk_io hbk_echo_send(struct hbk_echo_connection *connection, struct hbk_slice bytes,
                          size_t *out_size)
{
    if (!is_secure(connection)) {
        return hbk_socket_send(connection->source.fd, bytes, out_size);
    }
    if (!flush(connection)) {
        return connection->is_dead ? HBK_IO_FAILED : HBK_IO_AGAIN;
    }
    struct hbk_slice part = hbk_slice_part(bytes, 0, HBK_SECURE_PLAIN_BYTES_MAX);
    if (hbk_secure_seal(&connection->secure, part, &connection->sealed) != HBK_OK) {
        return HBK_IO_FAILED;
    }
    *out_size = part.size;
    (void)flush(connection);
    return connection->is_dead ? HBK_IO_FAILED : HBK_IO_DONE;
}

/* Reads what the socket has into TLS; false when there is nothing now. */
static bool feed(struct hbk_echo_connection *connection)
{
    struct hbk_source *source = &connection->source;
    struct hbk_span room = connection->server->room;
    size_t size;
    if ((source->ready & HBK_READABLE) == 0 || connection->has_ended) {
        return false;
    }
    switch (hbk_socket_receive(source->fd, room, &size)) {
    case HBK_IO_DONE:
        if (hbk_secure_put(&connection->secure, hbk_slice_of(room.bytes, size)) == HBK_OK) {
            return true;
        }
        break;
    case HBK_IO_AGAIN:
        source->ready &= ~(uint32_t)HBK_READABLE;
        return false;
    case HBK_IO_END:
        connection->has_ended = true;
        return false;
    case HBK_IO_FAILED:
        break;
    }
    hbk_echo_close(connection);
    return false;
}

/* Plain bytes of a connection over TLS. */
static bool receive_secure(struct hbk_echo_connection *connection, struct hbk_slice *out_bytes)
{
    unsigned reads = 0;
    while (!connection->is_dead) {
        enum hbk_secure_answer answer =
            hbk_secure_next(&connection->secure, &connection->sealed, out_bytes);
        (void)flush(connection);
        if (connection->is_dead) {
            return false;
        }
        switch (answer) {
        case HBK_SECURE_PLAIN:
            return true;
        case HBK_SECURE_READY:
            break;
        case HBK_SECURE_MORE:
            if (reads++ == HBK_ECHO_ROUNDS_MAX) { /* records without content */
                hbk_echo_again(connection);
                return false;
            }
            if (!feed(connection)) {
                return false;
            }
            break;
        case HBK_SECURE_CLOSED:
            connection->has_ended = true;
            return false;
        case HBK_SECURE_FAILED:
            hbk_echo_close(connection);
            return false;
        }
    }
    return false;
}

static void serve(struct hbk_echo_connection *connection)
{
    connection->sends_left = HBK_ECHO_SENDS_MAX;
    if (is_secure(connection) && !flush(connection)) {
        return;
    }
    if (connection->server->options->mode == HBK_ECHO_HTTP) {
        hbk_echo_http_serve(connection);
    } else {
        hbk_echo_tcp_serve(connection);
    }
}

static void on_ready(struct hbk_source *source)
{
    serve(HBK_CONTAINER(source, struct hbk_echo_connection, source));
}

static void on_again(struct hbk_task *task)
{
    serve(HBK_CONTAINER(task, struct hbk_echo_connection, task));
}

void hbk_echo_again(struct hbk_echo_connection *connection)
{
    hbk_loop_post(connection->server->loop, HBK_PHASE_READ, &connection->task);
}

bool hbk_echo_may_send(struct hbk_echo_connection *connection)
{
    if (connection->sends_left == 0) {
        hbk_echo_again(connection);
        return false;
    }
    connection->sends_left--;
    return true;
}

bool hbk_echo_receive(struct hbk_echo_connection *connection, struct hbk_slice *out_bytes)
{
    if (is_secure(connection)) {
        return receive_secure(connection, out_bytes);
    }
    struct hbk_source *source = &connection->source;
    struct hbk_span room = connection->server->room;
    size_t size;
    if ((source->ready & HBK_READABLE) == 0 || connection->has_ended) {
        return false;
    }
    switch (hbk_socket_receive(source->fd, room, &size)) {
    case HBK_IO_DONE:
        /* A short read has emptied the socket, unless the end lies behind it. */
        if (size < room.size && (source->ready & HBK_ENDED) == 0) {
            source->ready &= ~(uint32_t)HBK_READABLE;
        }
        *out_bytes = hbk_slice_of(room.bytes, size);
        return true;
    case HBK_IO_AGAIN:
        source->ready &= ~(uint32_t)HBK_READABLE;
        return false;
    case HBK_IO_END:
        connection->has_ended = true;
        return false;
    case HBK_IO_FAILED:
        break;
    }
    hbk_echo_close(connection);
    return false;
}

static void on_progress_task(struct hbk_task *task)
{
    serve(HBK_CONTAINER(task, struct hbk_echo_connection, progress));
}

/* From within the batch: goes on in the next phase. */
static void on_progress(void *owner)
{
    struct hbk_echo_connection *connection = owner;
    if (!connection->is_dead) {
        hbk_loop_post(connection->server->loop, HBK_PHASE_FLIGHT, &connection->progress);
    }
}

static void add_connection(struct hbk_echo_server *server, int fd)
{
    struct hbk_echo_connection *connection = hbk_pool_take(&server->connections);
    if (connection == NULL ||
        hbk_loop_add(server->loop, &connection->source, fd, on_ready) != HBK_OK) {
        hbk_pool_give(&server->connections, connection);
        hbk_fd_close(&fd);
        server->counts.connections++;
        return;
    }
    connection->server = server;
    hbk_buffer_init(&connection->held, HBK_ECHO_HELD_BYTES_MAX);
    hbk_buffer_init(&connection->special, HBK_ECHO_SPECIAL_BYTES_MAX);
    hbk_buffer_init(&connection->headers, HBK_ECHO_HEADERS_BYTES_MAX);
    hbk_buffer_init(&connection->copy, HBK_ECHO_COPY_BYTES_MAX);
    hbk_link_init(&connection->link);
    hbk_link_init(&connection->unfinished);
    hbk_task_init(&connection->task, on_again);
    hbk_task_init(&connection->progress, on_progress_task);
    hbk_buffer_init(&connection->sealed, HBK_ECHO_SEALED_BYTES_MAX);
    hbk_list_append(&server->all, &connection->link);
    if (server->options->mode == HBK_ECHO_SOURCE) {
        connection->owed = server->options->size_bytes;
        if (connection->owed == 0) {
            hbk_socket_end(fd);
        }
    }
    hbk_socket_tune(fd);
    if (is_secure(connection) &&
        hbk_secure_begin(&connection->secure, server->options->tls, &server->batch,
                         hbk_slice_of(NULL, 0), NULL, on_progress, connection) != HBK_OK) {
        hbk_echo_close(connection);
    }
}

static void on_listener_ready(struct hbk_source *source)
{
    struct hbk_echo_server *server = HBK_CONTAINER(source, struct hbk_echo_server, listener);
    for (unsigned i = 0; i < HBK_ECHO_ACCEPTS_MAX; i++) {
        struct hbk_address peer;
        int fd;
        if (hbk_socket_accept(source->fd, &fd, &peer) != HBK_OK) {
            return;
        }
        add_connection(server, fd);
    }
}

static void on_alarm(struct hbk_alarm *alarm)
{
    struct hbk_echo_server *server = HBK_CONTAINER(alarm, struct hbk_echo_server, alarm);
    uint64_t now_ns = server->loop->now_ns;
    while (hbk_due_heap_first_ns(&server->waiting) <= now_ns) {
        struct hbk_due *due = hbk_due_heap_take(&server->waiting);
        serve(HBK_CONTAINER(due, struct hbk_echo_connection, due));
    }
    alarm->due_ns = hbk_due_heap_first_ns(&server->waiting);
    while (!hbk_list_is_empty(&server->unfinished)) {
        struct hbk_echo_connection *oldest =
            HBK_CONTAINER(server->unfinished.head.next, struct hbk_echo_connection, unfinished);
        if (oldest->head_due_ns > now_ns) {
            hbk_echo_wake_at(server, oldest->head_due_ns);
            break;
        }
        hbk_link_remove(&oldest->unfinished);
        hbk_echo_http_expire(oldest);
        if (!oldest->is_dead) {
            serve(oldest);
        }
    }
}

static hbk_status open_server(struct hbk_echo_server *server, struct hbk_loop *loop, int listener)
{
    server->loop = loop;
    hbk_list_init(&server->all);
    hbk_list_init(&server->unfinished);
    server->head_ns = server->options->head_ns > 0 ? server->options->head_ns : HBK_ECHO_HEAD_NS;
    server->defaults = server->options->defaults;
    server->has_defaults = server->defaults.delay.count > 0 || server->defaults.status.count > 0 ||
                           server->defaults.close.count > 0 || server->defaults.headers.size > 0;
    (void)snprintf(server->too_many, sizeof server->too_many,
                   "the requests held here are more than %llu bytes together; ask again",
                   (unsigned long long)server->options->bodies_bytes_max);
    if (server->options->delay_ns > 0) {
        server->defaults.delay =
            (struct hbk_echo_mix){.count = 1, .values = {server->options->delay_ns}, .up_to = {1}};
    }
    server->random = hbk_schedule_random_state(1, (uint64_t)(uintptr_t)server);
    server->room = hbk_span_of(malloc(HBK_ECHO_ROOM_BYTES), HBK_ECHO_ROOM_BYTES);
    if (server->room.bytes == NULL) {
        return HBK_NO_MEMORY;
    }
    server->alarm = (struct hbk_alarm){.due_ns = UINT64_MAX, .on_due = on_alarm};
    if (server->options->tls != NULL) {
        HBK_TRY(hbk_batch_init(&server->batch, loop, NULL));
    }
    loop->alarm = &server->alarm;
    return hbk_loop_add_listener(loop, &server->listener, listener, on_listener_ready);
}

static void on_batch_task(struct hbk_task *task)
{
    hbk_batch_fini(&HBK_CONTAINER(task, struct hbk_echo_server, batch_task)->batch);
}

/* Between two turns, so that no event of a connection is under way. */
static void close_server(struct hbk_echo_server *server)
{
    hbk_loop_remove(server->loop, &server->listener);
    HBK_LIST_EACH (link, &server->all) {
        struct hbk_echo_connection *connection =
            HBK_CONTAINER(link, struct hbk_echo_connection, link);
        hbk_echo_close(connection);
    }
    if (server->options->tls != NULL) { /* behind the burials */
        hbk_task_init(&server->batch_task, on_batch_task);
        hbk_loop_post(server->loop, HBK_PHASE_END, &server->batch_task);
    }
}

/* ---- all threads ---- */

struct echo {
    const struct hbk_echo_options *options;
    struct hbk_loop loop;
    struct hbk_mailbox mailbox;
    struct hbk_team team;
    struct hbk_round open, close;
    struct hbk_source stop;
    struct hbk_echo_server *servers; /* owned, one per thread */
    hbk_status *statuses;            /* owned, of opening them */
    struct hbk_buffer answer;
    struct hbk_address bound;
    int listener;
    void (*on_listening)(const struct hbk_address *bound, void *argument);
    void *argument;
    hbk_status status;
    struct hbk_error *error;
};

static void open_thread(struct hbk_round *round, struct hbk_worker *worker)
{
    struct echo *echo = HBK_CONTAINER(round, struct echo, open);
    struct hbk_echo_server *server = &echo->servers[worker->index];
    hbk_status status = HBK_OK;
    hbk_thread_sleep_precisely();
    if (echo->options->first_core >= 0) {
        status = hbk_thread_pin(echo->options->first_core + (int)worker->index);
    }
    if (status == HBK_OK) {
        status = open_server(server, &worker->loop, echo->listener);
    }
    echo->statuses[worker->index] = status;
}

static void close_thread(struct hbk_round *round, struct hbk_worker *worker)
{
    struct echo *echo = HBK_CONTAINER(round, struct echo, close);
    struct hbk_echo_server *server = &echo->servers[worker->index];
    if (server->loop != NULL) {
        close_server(server);
    }
}

static void on_closed(struct hbk_round *round)
{
    hbk_loop_stop(&HBK_CONTAINER(round, struct echo, close)->loop);
}

static void stop_threads(struct echo *echo)
{
    hbk_loop_remove(&echo->loop, &echo->stop);
    echo->close.on_worker = close_thread;
    echo->close.on_done = on_closed;
    hbk_round_start(&echo->team, &echo->close);
}

static void on_stop(struct hbk_source *source)
{
    stop_threads(HBK_CONTAINER(source, struct echo, stop));
}

static void on_opened(struct hbk_round *round)
{
    struct echo *echo = HBK_CONTAINER(round, struct echo, open);
    for (unsigned i = 0; i < echo->team.count; i++) {
        if (echo->statuses[i] != HBK_OK) {
            echo->status =
                hbk_error_set(echo->error, echo->statuses[i], "thread %u could not be set up: %s",
                              i, hbk_status_text(echo->statuses[i]));
            stop_threads(echo);
            return;
        }
    }
    hbk_status status = hbk_loop_add_listener(&echo->loop, &echo->stop, echo->stop.fd, on_stop);
    HBK_ASSERT(status == HBK_OK || status == HBK_NO_MEMORY || status == HBK_LIMIT);
    if (status != HBK_OK) {
        echo->status = hbk_error_set(echo->error, status, "%s", hbk_status_text(status));
        stop_threads(echo);
        return;
    }
    echo->on_listening(&echo->bound, echo->argument);
}

static hbk_status run_team(struct echo *echo)
{
    hbk_status status =
        hbk_team_start(&echo->team, echo->options->threads, &echo->loop, &echo->mailbox);
    if (status != HBK_OK) {
        return hbk_error_set(echo->error, status, "threads could not be started: %s",
                             hbk_status_text(status));
    }
    echo->open.on_worker = open_thread;
    echo->open.on_done = on_opened;
    hbk_round_start(&echo->team, &echo->open);
    hbk_loop_run(&echo->loop);
    hbk_team_stop(&echo->team);
    return echo->status;
}

static hbk_status run_loop(struct echo *echo)
{
    HBK_TRY(hbk_loop_init(&echo->loop));
    hbk_status status = hbk_mailbox_init(&echo->mailbox, &echo->loop);
    if (status == HBK_OK) {
        status = run_team(echo);
        hbk_mailbox_close(&echo->mailbox);
        hbk_mailbox_fini(&echo->mailbox);
    }
    hbk_loop_fini(&echo->loop);
    return status;
}

static hbk_status build_answer(struct echo *echo)
{
    uint64_t size = echo->options->size_bytes;
    if (echo->options->mode != HBK_ECHO_HTTP) {
        return HBK_OK;
    }
    if (size > HBK_ECHO_BODY_BYTES_MAX) {
        return hbk_error_set(echo->error, HBK_LIMIT, "a body of more than 1 GiB is not held");
    }
    struct hbk_span room;
    hbk_buffer_init(&echo->answer, HBK_ECHO_BODY_BYTES_MAX + HEAD_BYTES_MAX);
    HBK_TRY(hbk_buffer_print(&echo->answer,
                             "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n"
                             "Content-Length: %llu\r\n\r\n",
                             (unsigned long long)(size == 0 ? 2 : size)));
    size_t head_bytes = hbk_buffer_size(&echo->answer);
    if (size == 0) {
        HBK_TRY(hbk_buffer_append(&echo->answer, HBK_SLICE("ok")));
    } else {
        HBK_TRY(hbk_buffer_reserve(&echo->answer, size, &room));
        memset(room.bytes, 'x', size);
        hbk_buffer_commit(&echo->answer, size);
    }
    for (unsigned i = 0; i < echo->options->threads; i++) {
        echo->servers[i].answer = hbk_buffer_slice(&echo->answer);
        echo->servers[i].head_answer =
            hbk_slice_part(hbk_buffer_slice(&echo->answer), 0, head_bytes);
    }
    return HBK_OK;
}

static hbk_status prepare(struct echo *echo)
{
    char text[HBK_ADDRESS_TEXT_BYTES_MAX];
    const struct hbk_listen_options options = {0};
    unsigned threads = echo->options->threads;
    HBK_ASSERT(threads > 0 && threads <= HBK_WORKERS_MAX);
    echo->servers = calloc(threads, sizeof *echo->servers);
    echo->statuses = calloc(threads, sizeof *echo->statuses);
    if (echo->servers == NULL || echo->statuses == NULL) {
        return hbk_error_set(echo->error, HBK_NO_MEMORY, "out of memory");
    }
    for (unsigned i = 0; i < threads; i++) {
        echo->servers[i].options = echo->options;
        hbk_pool_init(&echo->servers[i].connections, "echo connections",
                      sizeof(struct hbk_echo_connection), HBK_ECHO_CONNECTIONS_MAX);
    }
    hbk_status status = build_answer(echo);
    if (status == HBK_OK) {
        status = hbk_socket_listen(&echo->options->listen, &options, &echo->listener);
    }
    if (status == HBK_OK) {
        status = hbk_socket_local_address(echo->listener, &echo->bound);
    }
    if (status != HBK_OK) {
        return hbk_error_set(echo->error, status, "cannot listen on %s: %s",
                             hbk_address_text(&echo->options->listen, text),
                             hbk_status_text(status));
    }
    return HBK_OK;
}

static void sum_counts(const struct echo *echo)
{
    struct hbk_echo_counts sum = {0};
    for (unsigned i = 0; i < echo->options->threads; i++) {
        const struct hbk_echo_counts *counts = &echo->servers[i].counts;
        sum.connections += counts->connections;
        sum.bodies += counts->bodies;
        sum.held += counts->held;
        sum.heads += counts->heads;
        sum.malformed += counts->malformed;
    }
    if (echo->options->counts != NULL) {
        *echo->options->counts = sum;
    }
}

hbk_status hbk_echo_run(const struct hbk_echo_options *options, int stop_fd,
                        void (*on_listening)(const struct hbk_address *bound, void *argument),
                        void *argument, struct hbk_error *error)
{
    struct echo *echo = calloc(1, sizeof *echo);
    if (echo == NULL) {
        return hbk_error_set(error, HBK_NO_MEMORY, "out of memory");
    }
    *echo = (struct echo){
        .options = options,
        .stop = {.fd = stop_fd},
        .listener = -1,
        .on_listening = on_listening,
        .argument = argument,
        .error = error,
    };
    hbk_status status = prepare(echo);
    if (status == HBK_OK) {
        status = run_loop(echo);
        sum_counts(echo);
    }
    for (unsigned i = 0; echo->servers != NULL && i < options->threads; i++) {
        if (echo->servers[i].options != NULL) {
            hbk_pool_fini(&echo->servers[i].connections);
            free(echo->servers[i].room.bytes);
            hbk_due_heap_fini(&echo->servers[i].waiting);
        }
    }
    hbk_fd_close(&echo->listener);
    hbk_buffer_fini(&echo->answer);
    free(echo->servers);
    free(echo->statuses);
    free(echo);
    return status;
}
