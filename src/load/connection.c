/*
 * HTTP/1 and TCP have one call under way; its bytes are prepared and go to the socket straight from
 * where they lie, and only what the socket does not take at once is copied to `out`. HTTP/2 gathers
 * the frames of all its streams in `out` and sends them once, at the end of the turn.
 */
#include "load/connection.h"

#include <errno.h>

#include "base/assert.h"
#include "base/clock.h"
#include "os/fd.h"
#include "os/socket.h"

bool hbk_load_can_send(const struct hbk_load_connection *connection)
{
    if (connection->is_draining || connection->uses_left == 0 ||
        hbk_list_is_empty(&connection->free)) {
        return false;
    }
    return connection->h2 == NULL || hbk_h2_can_open(connection->h2);
}

static struct hbk_load_call *only_call(struct hbk_load_connection *connection)
{
    return &connection->calls[0];
}

static enum hbk_load_failure send_failure(void)
{
    return errno == ECONNRESET ? HBK_LOAD_RESET : HBK_LOAD_SEND;
}

static bool is_secure(const struct hbk_load_connection *connection)
{
    return connection->client->plan->tls != NULL;
}

struct hbk_buffer *hbk_load_frames(struct hbk_load_connection *connection)
{
    return is_secure(connection) ? &connection->plain : &connection->out;
}

/* What the peer did, for the first failure of this kind. */
static void explain(struct hbk_load_connection *connection, enum hbk_load_failure failure,
                    const char *text)
{
    hbk_load_result_explain(&connection->client->result, failure, text);
}

/* The socket failed: in the life of the connection, or while it was being opened. */
static void lose(struct hbk_load_connection *connection, enum hbk_load_failure failure,
                 uint64_t now_ns)
{
    if (connection->is_connecting) {
        hbk_load_on_open_failed(connection, failure, now_ns);
    } else {
        hbk_load_on_lost(connection, failure, now_ns);
    }
}

/* ---- sending ---- */

/* Sends from `out`; false when the connection was lost. */
static bool flush(struct hbk_load_connection *connection)
{
    if (!hbk_buffer_is_empty(&connection->plain)) {
        hbk_status status = hbk_secure_seal(&connection->secure,
                                            hbk_buffer_slice(&connection->plain), &connection->out);
        hbk_buffer_clear(&connection->plain);
        if (status != HBK_OK) {
            hbk_load_on_lost(connection, HBK_LOAD_SEND, hbk_clock_monotonic_ns());
            return false;
        }
    }
    while (!hbk_buffer_is_empty(&connection->out)) {
        size_t size;
        enum hbk_io io =
            hbk_socket_send(connection->source.fd, hbk_buffer_slice(&connection->out), &size);
        if (io == HBK_IO_AGAIN) {
            connection->source.ready &= ~(uint32_t)HBK_WRITABLE;
            return true;
        }
        if (io != HBK_IO_DONE) {
            lose(connection, send_failure(), hbk_clock_monotonic_ns());
            return false;
        }
        connection->client->result.sent_bytes += size;
        hbk_buffer_consume(&connection->out, size);
    }
    return true;
}

static void on_write(struct hbk_task *task)
{
    struct hbk_load_connection *connection = HBK_CONTAINER(task, struct hbk_load_connection, write);
    struct hbk_load_client *client = connection->client;
    if (hbk_load_is_open(connection) && !flush(connection)) {
        hbk_load_on_turn(client);
    }
}

void hbk_load_write_later(struct hbk_load_connection *connection)
{
    hbk_loop_post(connection->client->loop, HBK_PHASE_WRITE, &connection->write);
}

/* Sends bytes that stay only until we return. */
static void send_bytes(struct hbk_load_connection *connection, struct hbk_slice bytes)
{
    if (is_secure(connection)) {
        if (hbk_secure_seal(&connection->secure, bytes, &connection->out) != HBK_OK) {
            hbk_load_on_lost(connection, HBK_LOAD_SEND, hbk_clock_monotonic_ns());
            return;
        }
        (void)flush(connection);
        return;
    }
    while (bytes.size > 0) {
        size_t size;
        enum hbk_io io = hbk_socket_send(connection->source.fd, bytes, &size);
        if (io == HBK_IO_DONE) {
            connection->client->result.sent_bytes += size;
            bytes = hbk_slice_part(bytes, size, bytes.size);
            continue;
        }
        if (io == HBK_IO_AGAIN && hbk_buffer_append(&connection->out, bytes) == HBK_OK) {
            connection->source.ready &= ~(uint32_t)HBK_WRITABLE;
            return;
        }
        hbk_load_on_lost(connection, send_failure(), hbk_clock_monotonic_ns());
        return;
    }
}

void hbk_load_send(struct hbk_load_connection *connection, struct hbk_load_call *call)
{
    const struct hbk_load_plan *plan = connection->client->plan;
    if (connection->h2 != NULL) {
        hbk_load_h2_send(connection, call);
        return;
    }
    if (plan->target.scheme == HBK_LOAD_TCP) {
        hbk_load_message_build(connection->index, connection->message_number++,
                               connection->message);
        struct hbk_slice message = hbk_slice_of(connection->message, HBK_LOAD_MESSAGE_BYTES);
        hbk_answer_expect(&connection->answer, message);
        send_bytes(connection, message);
        return;
    }
    send_bytes(connection, hbk_buffer_slice(&call->request->bytes));
    if (plan->ends_sending && connection->uses_left == 0 && hbk_buffer_is_empty(&connection->out) &&
        hbk_load_is_open(connection)) {
        hbk_socket_end(connection->source.fd);
    }
}

bool hbk_load_cancel(struct hbk_load_call *call)
{
    struct hbk_load_connection *connection = call->connection;
    if (connection->h2 == NULL || call->is_unsent) {
        return false;
    }
    hbk_h2_reset(connection->h2, &call->stream, HBK_H2_CANCEL);
    hbk_load_write_later(connection);
    return true;
}

/* ---- receiving ---- */

static void finish_call(struct hbk_load_connection *connection, bool is_last, uint64_t now_ns)
{
    struct hbk_load_call *call = only_call(connection);
    const struct hbk_answer *answer = &connection->answer;
    call->status = answer->status;
    call->body_bytes = answer->body_bytes;
    call->head_bytes = answer->head_bytes;
    hbk_answer_reset(&connection->answer);
    is_last |= (connection->source.ready & (HBK_ENDED | HBK_HUNG_UP)) != 0;
    hbk_load_on_answer(call, is_last, now_ns);
}

/* Plain bytes of the protocol. */
static void take_plain(struct hbk_load_connection *connection, struct hbk_slice bytes)
{
    uint64_t now_ns = hbk_clock_monotonic_ns();
    if (connection->h2 != NULL) {
        hbk_load_h2_take(connection, bytes, now_ns);
        return;
    }
    if (connection->busy == 0) {
        /* Nobody asked. What a call of ours would read next could not be trusted. */
        explain(connection, HBK_LOAD_MALFORMED, "bytes that nobody asked for");
        hbk_load_on_lost(connection, HBK_LOAD_MALFORMED, now_ns);
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
        explain(connection, HBK_LOAD_MALFORMED, connection->answer.fault);
        hbk_load_on_lost(connection, HBK_LOAD_MALFORMED, now_ns);
        break;
    }
}

static void finish_opening(struct hbk_load_connection *connection);

/* Takes the ticket over. */
static void store_ticket(struct hbk_load_client *client, struct hbk_tls_ticket *ticket)
{
    if (client->ticket_count == client->connection_count) {
        hbk_tls_ticket_unref(client->tickets[--client->ticket_count]); /* the newer one is better */
    }
    client->tickets[client->ticket_count++] = ticket;
}

/* The newest ticket, which is the caller's then; NULL: none is left. */
static struct hbk_tls_ticket *draw_ticket(struct hbk_load_client *client)
{
    return client->ticket_count == 0 ? NULL : client->tickets[--client->ticket_count];
}

static void drop_ticket(struct hbk_load_connection *connection)
{
    hbk_tls_ticket_unref(connection->ticket);
    connection->ticket = NULL;
}

/* TLS 1.2 gives tickets in the handshake, TLS 1.3 behind it, with or before the first answer.
 * False: none has come. */
static bool keep_ticket(struct hbk_load_connection *connection)
{
    struct hbk_load_client *client = connection->client;
    struct hbk_tls_ticket *ticket =
        client->plan->resumes ? hbk_tls_take_ticket(connection->secure.session) : NULL;
    if (ticket != NULL) {
        store_ticket(client, ticket);
    }
    return ticket != NULL;
}

/* The handshake is done: what it was, and what becomes of the ticket that it began with. One of TLS
 * 1.2 that was good, and in whose place the server gave no other, serves again. */
static void note_handshake(struct hbk_load_connection *connection)
{
    struct hbk_load_client *client = connection->client;
    struct hbk_tls_agreement agreement = hbk_tls_agreement(connection->secure.session);
    if (agreement.was_resumed) {
        client->result.handshakes_resumed++;
    } else {
        client->result.handshakes_full++;
    }
    if (!keep_ticket(connection) && agreement.was_resumed && agreement.version == HBK_TLS_1_2 &&
        connection->ticket != NULL) {
        store_ticket(client, connection->ticket);
        connection->ticket = NULL;
    }
    drop_ticket(connection);
}

/* What TLS makes of what has come. The connection may be closed, and opened anew, in any step. */
static void advance(struct hbk_load_connection *connection)
{
    struct hbk_slice plain;
    enum hbk_load_failure failure;
    while (connection->secure.session != NULL) {
        enum hbk_secure_answer answer =
            hbk_secure_next(&connection->secure, &connection->out, &plain);
        if (!hbk_buffer_is_empty(&connection->out) && answer != HBK_SECURE_FAILED &&
            !flush(connection)) {
            return;
        }
        switch (answer) {
        case HBK_SECURE_MORE:
            return;
        case HBK_SECURE_READY:
            note_handshake(connection);
            finish_opening(connection);
            break;
        case HBK_SECURE_PLAIN:
            (void)keep_ticket(connection);
            take_plain(connection, plain);
            break;
        case HBK_SECURE_CLOSED:
            lose(connection, HBK_LOAD_EARLY_CLOSE, hbk_clock_monotonic_ns());
            return;
        case HBK_SECURE_FAILED:
            failure = connection->is_proven ? HBK_LOAD_MALFORMED : HBK_LOAD_HANDSHAKE;
            explain(connection, failure, hbk_secure_failure_text(&connection->secure));
            lose(connection, failure, hbk_clock_monotonic_ns());
            return;
        }
    }
}

static void on_progress_task(struct hbk_task *task)
{
    struct hbk_load_connection *connection =
        HBK_CONTAINER(task, struct hbk_load_connection, progress);
    advance(connection);
    hbk_load_on_turn(connection->client);
}

/* From within the batch: goes on in the next phase. */
static void on_progress(void *owner)
{
    struct hbk_load_connection *connection = owner;
    hbk_loop_post(connection->client->loop, HBK_PHASE_FLIGHT, &connection->progress);
}

static void take_bytes(struct hbk_load_connection *connection, struct hbk_slice bytes)
{
    connection->client->result.received_bytes += bytes.size;
    if (!is_secure(connection)) {
        take_plain(connection, bytes);
    } else if (hbk_secure_put(&connection->secure, bytes) != HBK_OK) {
        lose(connection, HBK_LOAD_MALFORMED, hbk_clock_monotonic_ns());
    } else {
        advance(connection);
    }
}

static void take_end(struct hbk_load_connection *connection, bool is_reset)
{
    uint64_t now_ns = hbk_clock_monotonic_ns();
    if (connection->is_connecting) {
        explain(connection, HBK_LOAD_HANDSHAKE,
                is_reset ? "the server reset the connection" : "the server closed the connection");
        hbk_load_on_open_failed(connection, HBK_LOAD_HANDSHAKE, now_ns);
        return;
    }
    if (!is_reset && connection->busy > 0 && connection->h2 == NULL &&
        hbk_answer_is_ended_by_close(&connection->answer)) {
        finish_call(connection, true, now_ns);
        return;
    }
    hbk_load_on_lost(connection, is_reset ? HBK_LOAD_RESET : HBK_LOAD_EARLY_CLOSE, now_ns);
}

/* Reads what there is. A read that does not fill the room has emptied the socket; asking again is
 * only needed where the end is known to lie behind. */
static void receive(struct hbk_load_connection *connection)
{
    struct hbk_source *source = &connection->source;
    struct hbk_span room = connection->client->room;
    for (unsigned round = 0; (source->ready & HBK_READABLE) != 0 && source->on_ready != NULL;
         round++) {
        size_t size;
        if (round == HBK_LOAD_ROUNDS_MAX) {
            hbk_loop_post(connection->client->loop, HBK_PHASE_READ, &connection->again);
            return;
        }
        switch (hbk_socket_receive(source->fd, room, &size)) {
        case HBK_IO_DONE:
            if (size < room.size && (source->ready & HBK_ENDED) == 0) {
                source->ready &= ~(uint32_t)HBK_READABLE;
            }
            take_bytes(connection, hbk_slice_of(room.bytes, size));
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
    if (error_number != 0) {
        hbk_load_on_open_failed(connection, connect_failure(error_number), now_ns);
        return;
    }
    if (!is_secure(connection)) {
        finish_opening(connection);
        return;
    }
    const struct hbk_load_plan *plan = client->plan;
    struct hbk_slice name = plan->server_name.size > 0 ? plan->server_name : plan->target.host;
    connection->ticket = draw_ticket(client);
    hbk_status status = hbk_secure_begin(&connection->secure, plan->tls, &client->batch, name,
                                         connection->ticket, on_progress, connection);
    if (status != HBK_OK) {
        hbk_load_on_open_failed(connection, HBK_LOAD_HANDSHAKE, now_ns);
        return;
    }
    connection->is_shaking = true;
    advance(connection);
}

/* Connected, with TLS where it is asked for: the protocol begins. */
static void finish_opening(struct hbk_load_connection *connection)
{
    uint64_t now_ns = hbk_clock_monotonic_ns();
    if (connection->client->plan->is_http2 && hbk_load_h2_begin(connection) != HBK_OK) {
        hbk_load_on_open_failed(connection, HBK_LOAD_CONNECT_OTHER, now_ns);
        return;
    }
    connection->is_connecting = connection->is_shaking = false;
    hbk_load_on_open(connection, now_ns);
}

static void on_ready(struct hbk_source *source)
{
    struct hbk_load_connection *connection =
        HBK_CONTAINER(source, struct hbk_load_connection, source);
    struct hbk_load_client *client = connection->client;
    if (connection->is_connecting && !connection->is_shaking &&
        (source->ready & HBK_WRITABLE) != 0) {
        finish_connect(connection);
    } else if (!hbk_buffer_is_empty(&connection->out) && (source->ready & HBK_WRITABLE) != 0) {
        (void)flush(connection);
    }
    if (hbk_load_is_open(connection) || connection->is_shaking) {
        receive(connection);
    }
    hbk_load_on_turn(client);
}

static void on_again(struct hbk_task *task)
{
    on_ready(&HBK_CONTAINER(task, struct hbk_load_connection, again)->source);
}

void hbk_load_connection_init(struct hbk_load_connection *connection)
{
    const struct hbk_load_plan *plan = connection->client->plan;
    connection->source.fd = -1;
    connection->uses_left = UINT32_MAX;
    hbk_buffer_init(&connection->out, HBK_LOAD_OUT_BYTES_MAX);
    hbk_answer_init(&connection->answer);
    connection->answer.is_to_head = hbk_slice_equal(plan->method, HBK_SLICE("HEAD"));
    connection->answer.known = &connection->client->known;
    hbk_list_init(&connection->free);
    hbk_task_init(&connection->write, on_write);
    hbk_task_init(&connection->progress, on_progress_task);
    hbk_task_init(&connection->again, on_again);
    hbk_buffer_init(&connection->plain, HBK_LOAD_OUT_BYTES_MAX);
    for (unsigned i = 0; i < plan->streams; i++) {
        connection->calls[i].connection = connection;
        hbk_link_init(&connection->calls[i].link);
        hbk_list_append(&connection->free, &connection->calls[i].link);
    }
}

void hbk_load_connect(struct hbk_load_connection *connection, uint64_t now_ns)
{
    struct hbk_load_client *client = connection->client;
    const struct hbk_connect_options options = {0};
    int fd = -1;
    connection->began_ns = now_ns;
    connection->is_connecting = true;
    connection->is_proven = connection->is_draining = false;
    hbk_status status = hbk_socket_connect(client->address, &options, &fd);
    if (status == HBK_OK) {
        hbk_socket_tune(fd);
        if (client->plan->reuse_max == 1) {
            hbk_socket_reset_on_close(fd); /* leaves no port in TIME_WAIT behind */
        }
        status = hbk_loop_add(client->loop, &connection->source, fd, on_ready);
    }
    if (status != HBK_OK) {
        hbk_fd_close(&fd);
        connection->source.fd = -1;
        hbk_load_on_open_failed(connection, connect_failure(errno), now_ns);
    }
}

void hbk_load_close(struct hbk_load_connection *connection)
{
    hbk_load_h2_end(connection);
    hbk_task_cancel(&connection->write);
    hbk_loop_remove(connection->client->loop, &connection->source);
    hbk_fd_close(&connection->source.fd);
    connection->source.fd = -1;
    connection->source.ready = 0;
    connection->is_connecting = connection->is_shaking = connection->is_draining = false;
    hbk_task_cancel(&connection->progress);
    hbk_task_cancel(&connection->again);
    hbk_secure_end(&connection->secure);
    drop_ticket(connection);
    hbk_buffer_fini(&connection->plain);
    hbk_buffer_fini(&connection->out);
    hbk_answer_reset(&connection->answer);
}
