/*
 * Invariants
 * 1. relay->tunnel is set exactly while relay->stream is open in that tunnel's session; then
 *    in_tunnel is linked, and blocked may be.
 * 2. Bytes in the backlog were received on the stream and not yet told to hbk_h2_consumed(), so the
 *    peer's window bounds the backlog.
 * 3. A socket is read only while the relay is started, the tunnel is not congested and the stream
 *    has credit; whoever stops for one of these is told when it is over: by the blocked list, or by
 *    a CREDIT event.
 * 4. After HBK_RELAY_CLOSED the relay touches nothing but its burial.
 */
#include "net/relay.h"

#include <errno.h>
#include <string.h>

#include "base/assert.h"
#include "net/tunnel.h"
#include "os/fd.h"
#include "os/socket.h"

/* A frame smaller than this is not worth a block's last bytes. */
enum { ROOM_BYTES_MIN = 512 };

static void on_ready(struct hbk_source *source);
static void on_burial(struct hbk_task *task);

static bool has(const struct hbk_relay *relay, unsigned flags)
{
    return (relay->flags & flags) == flags;
}

static void set(struct hbk_relay *relay, unsigned flags)
{
    relay->flags = (uint16_t)(relay->flags | flags);
}

static void unset(struct hbk_relay *relay, unsigned flags)
{
    relay->flags = (uint16_t)(relay->flags & ~flags);
}

void hbk_relay_init_bare(struct hbk_relay *relay, struct hbk_net *net,
                         const struct hbk_relay_events *events)
{
    *relay = (struct hbk_relay){.source = {.fd = -1}, .net = net, .events = events};
    hbk_link_init(&relay->in_tunnel);
    hbk_link_init(&relay->blocked);
    hbk_task_init(&relay->task, on_burial);
    hbk_buffer_init(&relay->backlog, 2 * HBK_H2_STREAM_WINDOW_BYTES_MAX);
}

static hbk_status take_socket(struct hbk_relay *relay, int fd, bool is_connecting)
{
    hbk_status status = hbk_loop_add(relay->net->loop, &relay->source, fd, on_ready);
    if (status != HBK_OK) {
        hbk_fd_close(&fd);
        relay->source.fd = -1;
        return status;
    }
    relay->source.is_single = true;
    relay->source.pace.answers = is_connecting;
    hbk_socket_tune(fd);
    set(relay, is_connecting ? HBK_RELAY_CONNECTING : 0);
    return HBK_OK;
}

hbk_status hbk_relay_init(struct hbk_relay *relay, struct hbk_net *net, int fd, bool is_connecting,
                          const struct hbk_relay_events *events)
{
    hbk_relay_init_bare(relay, net, events);
    return take_socket(relay, fd, is_connecting);
}

hbk_status hbk_relay_connect(struct hbk_relay *relay, int fd)
{
    return take_socket(relay, fd, true);
}

/* The end of a relay ------------------------------------------------------------------------ */

static void forget_tunnel(struct hbk_relay *relay)
{
    relay->net->counters.streams_closed[relay->tunnel->is_server]++;
    relay->tunnel = NULL;
    hbk_link_remove(&relay->in_tunnel);
    hbk_link_remove(&relay->blocked);
}

static void leave_tunnel(struct hbk_relay *relay)
{
    struct hbk_tunnel *tunnel = relay->tunnel;
    if (tunnel == NULL) {
        return;
    }
    forget_tunnel(relay);
    hbk_tunnel_stream_ended(tunnel);
}

static void on_burial(struct hbk_task *task)
{
    struct hbk_relay *relay = HBK_CONTAINER(task, struct hbk_relay, task);
    hbk_fd_close(&relay->source.fd);
    hbk_buffer_fini(&relay->backlog);
    relay->events->on_closed(relay);
}

static void close_relay(struct hbk_relay *relay)
{
    if (has(relay, HBK_RELAY_CLOSED)) {
        return;
    }
    set(relay, HBK_RELAY_CLOSED);
    if (relay->net->delivery.relay == relay) {
        relay->net->delivery.relay = NULL;
    }
    leave_tunnel(relay);
    hbk_loop_remove(relay->net->loop, &relay->source);
    hbk_loop_post(relay->net->loop, HBK_PHASE_END, &relay->task);
}

static void close_with_reset(struct hbk_relay *relay)
{
    if (relay->source.fd >= 0) {
        hbk_socket_reset_on_close(relay->source.fd);
    }
    close_relay(relay);
}

void hbk_relay_abort(struct hbk_relay *relay, uint32_t code)
{
    if (has(relay, HBK_RELAY_CLOSED)) {
        return;
    }
    if (relay->tunnel != NULL) {
        relay->net->counters.streams_reset_by_us++;
        hbk_h2_reset(&relay->tunnel->h2, &relay->stream, code);
    }
    close_with_reset(relay);
}

/* Both directions are over. */
static void close_if_done(struct hbk_relay *relay)
{
    if (has(relay, HBK_RELAY_SOCKET_ENDED | HBK_RELAY_SOCKET_SHUT)) {
        close_relay(relay);
    }
}

/* Socket to stream -------------------------------------------------------------------------- */

static void socket_failed(struct hbk_relay *relay)
{
    int error = errno;
    hbk_failure_set(&relay->failure, HBK_FAILURE_RESET, hbk_status_from_errno(error),
                    (uint32_t)error, "io error: %s", strerror(error));
    hbk_relay_abort(relay, HBK_H2_CONNECT_ERROR);
}

static void end_stream(struct hbk_relay *relay)
{
    struct hbk_tunnel *tunnel = relay->tunnel;
    struct hbk_span room = hbk_tunnel_room(tunnel, HBK_H2_FRAME_HEADER_BYTES);
    if (room.bytes == NULL) {
        hbk_failure_set(&relay->failure, HBK_FAILURE_LIMIT, HBK_LIMIT, 0,
                        "the tunnel has no room for the end of a stream");
        hbk_relay_abort(relay, HBK_H2_INTERNAL_ERROR);
        return;
    }
    set(relay, HBK_RELAY_SOCKET_ENDED);
    hbk_h2_frame_data(&tunnel->h2, &relay->stream, room.bytes, 0, true);
    hbk_tunnel_commit(tunnel, HBK_H2_FRAME_HEADER_BYTES);
    if (hbk_h2_is_closed(&relay->stream)) {
        leave_tunnel(relay);
    }
    close_if_done(relay);
}

/* Receives once into a frame; false when there is no more for now. */
static bool read_frame(struct hbk_relay *relay, size_t credit, size_t *budget)
{
    struct hbk_tunnel *tunnel = relay->tunnel;
    struct hbk_span room = hbk_tunnel_room(tunnel, HBK_H2_FRAME_HEADER_BYTES + ROOM_BYTES_MIN);
    if (room.bytes == NULL) {
        hbk_failure_set(&relay->failure, HBK_FAILURE_LIMIT, HBK_NO_MEMORY, 0,
                        "no memory for what the application sends");
        hbk_relay_abort(relay, HBK_H2_INTERNAL_ERROR);
        return false;
    }
    struct hbk_span payload =
        hbk_span_of(room.bytes + HBK_H2_FRAME_HEADER_BYTES, room.size - HBK_H2_FRAME_HEADER_BYTES);
    payload.size = payload.size < credit ? payload.size : credit;
    size_t size = 0;
    switch (hbk_socket_receive(relay->source.fd, payload, &size)) {
    case HBK_IO_DONE:
        hbk_h2_frame_data(&tunnel->h2, &relay->stream, room.bytes, size, false);
        hbk_tunnel_commit(tunnel, HBK_H2_FRAME_HEADER_BYTES + size);
        relay->sent_bytes += size;
        *budget -= size < *budget ? size : *budget;
        /* A short read has emptied the socket; what comes later makes a new edge, unless the end is
         * there already. */
        if (size < payload.size && (relay->source.ready & (HBK_ENDED | HBK_HUNG_UP)) == 0) {
            relay->source.ready &= ~(uint32_t)HBK_READABLE;
        }
        return true;
    case HBK_IO_AGAIN:
        relay->source.ready &= ~(uint32_t)HBK_READABLE;
        return false;
    case HBK_IO_END:
        relay->source.ready &= ~(uint32_t)HBK_READABLE;
        end_stream(relay);
        return false;
    case HBK_IO_FAILED:
        socket_failed(relay);
        return false;
    }
    HBK_UNREACHABLE();
}

static bool may_read(const struct hbk_relay *relay)
{
    return relay->tunnel != NULL && has(relay, HBK_RELAY_STARTED) &&
           !has(relay, HBK_RELAY_SOCKET_ENDED) && (relay->source.ready & HBK_READABLE) != 0;
}

/* Lets others of the tunnel go first; the tunnel resumes the relay when it is its turn. */
static void queue_up(struct hbk_relay *relay)
{
    if (!hbk_link_is_linked(&relay->blocked)) {
        hbk_list_append(&relay->tunnel->blocked, &relay->blocked);
    }
    hbk_tunnel_resume_later(relay->tunnel);
}

static void pump(struct hbk_relay *relay)
{
    size_t budget = HBK_RELAY_TURN_BYTES;
    while (may_read(relay)) {
        struct hbk_tunnel *tunnel = relay->tunnel;
        size_t credit = hbk_h2_send_credit(&tunnel->h2, &relay->stream);
        if (credit == 0 && tunnel->h2.send_credit > 0) {
            return; /* the stream's own window: a CREDIT event will name it */
        }
        if (credit == 0 || budget == 0 || hbk_tunnel_is_congested(tunnel)) {
            queue_up(relay);
            return;
        }
        if (!read_frame(relay, credit, &budget)) {
            return;
        }
    }
}

void hbk_relay_resume(struct hbk_relay *relay)
{
    hbk_link_remove(&relay->blocked);
    pump(relay);
}

/* Reads the socket unless others of the tunnel wait already. */
static void pump_in_order(struct hbk_relay *relay)
{
    if (may_read(relay) && !hbk_list_is_empty(&relay->tunnel->blocked)) {
        queue_up(relay);
    } else {
        pump(relay);
    }
}

/* Stream to socket -------------------------------------------------------------------------- */

static void credit_peer(struct hbk_relay *relay, size_t size)
{
    relay->received_bytes += size;
    if (relay->tunnel != NULL) {
        hbk_h2_consumed(&relay->tunnel->h2, &relay->stream, size);
    }
}

static void shut_if_drained(struct hbk_relay *relay)
{
    if (has(relay, HBK_RELAY_STREAM_ENDED) && !has(relay, HBK_RELAY_SOCKET_SHUT) &&
        hbk_buffer_is_empty(&relay->backlog)) {
        set(relay, HBK_RELAY_SOCKET_SHUT);
        hbk_socket_end(relay->source.fd);
        close_if_done(relay);
    }
}

static void flush_backlog(struct hbk_relay *relay)
{
    while (!hbk_buffer_is_empty(&relay->backlog) && !has(relay, HBK_RELAY_CLOSED)) {
        size_t size = 0;
        switch (hbk_socket_send(relay->source.fd, hbk_buffer_slice(&relay->backlog), &size)) {
        case HBK_IO_DONE:
            hbk_buffer_consume(&relay->backlog, size);
            credit_peer(relay, size);
            break;
        case HBK_IO_AGAIN:
        case HBK_IO_END:
            relay->source.ready &= ~(uint32_t)HBK_WRITABLE;
            return;
        case HBK_IO_FAILED:
            socket_failed(relay);
            return;
        }
    }
}

static bool can_send(const struct hbk_relay *relay)
{
    return has(relay, HBK_RELAY_STARTED) && hbk_buffer_is_empty(&relay->backlog);
}

static bool keep(struct hbk_relay *relay, struct hbk_slice data)
{
    if (hbk_buffer_append(&relay->backlog, data) != HBK_OK) {
        hbk_failure_set(&relay->failure, HBK_FAILURE_LIMIT, HBK_LIMIT, 0,
                        "no memory for what the application does not read");
        hbk_relay_abort(relay, HBK_H2_INTERNAL_ERROR);
        return false;
    }
    return true;
}

/* Sends what the socket takes and keeps the rest, which the stream's window bounds. */
static void deliver_parts(struct hbk_relay *relay, const struct iovec *parts, size_t count)
{
    size_t size = 0;
    enum hbk_io io = HBK_IO_AGAIN;
    if (can_send(relay)) {
        io = count == 1 ? hbk_socket_send(relay->source.fd,
                                          hbk_slice_of(parts[0].iov_base, parts[0].iov_len), &size)
                        : hbk_socket_send_parts(relay->source.fd, parts, count, &size);
    }
    if (io == HBK_IO_FAILED) {
        socket_failed(relay);
        return;
    }
    if (size > 0) {
        hbk_loop_told(relay->net->loop, &relay->source);
        credit_peer(relay, size);
    }
    for (size_t i = 0; i < count; i++) {
        size_t sent = size < parts[i].iov_len ? size : parts[i].iov_len;
        struct hbk_slice part = hbk_slice_of(parts[i].iov_base, parts[i].iov_len);
        size -= sent;
        if (sent < part.size && !keep(relay, hbk_slice_part(part, sent, part.size))) {
            return;
        }
    }
}

void hbk_relay_deliver_waiting(struct hbk_net *net)
{
    struct hbk_delivery *delivery = &net->delivery;
    struct hbk_relay *relay = delivery->relay;
    if (relay != NULL) {
        delivery->relay = NULL;
        deliver_parts(relay, delivery->parts, delivery->count);
    }
}

static void deliver(struct hbk_relay *relay, struct hbk_slice data)
{
    struct hbk_delivery *delivery = &relay->net->delivery;
    if (delivery->relay != relay || delivery->count == HBK_DELIVERY_PARTS_MAX) {
        hbk_relay_deliver_waiting(relay->net);
        if (has(relay, HBK_RELAY_CLOSED)) {
            return;
        }
        delivery->relay = relay;
        delivery->count = 0;
    }
    if (data.size > 0) {
        delivery->parts[delivery->count++] =
            (struct iovec){.iov_base = (void *)(uintptr_t)data.bytes, .iov_len = data.size};
    }
    if (delivery->count == 0) {
        delivery->relay = NULL;
    }
}

/* An event that is not data comes behind the data before it. */
static void deliver_before(struct hbk_relay *relay)
{
    if (relay->net->delivery.relay == relay) {
        hbk_relay_deliver_waiting(relay->net);
    }
}

/* The session has closed the stream: both sides ended in peace, or it was reset. */
static void deliver_last(struct hbk_relay *relay)
{
    set(relay, HBK_RELAY_STREAM_ENDED);
    if (hbk_h2_is_closed(&relay->stream)) {
        leave_tunnel(relay);
    }
    if (has(relay, HBK_RELAY_STARTED)) {
        shut_if_drained(relay);
    }
}

/* Beginnings -------------------------------------------------------------------------------- */

static void join(struct hbk_relay *relay, struct hbk_tunnel *tunnel)
{
    relay->tunnel = tunnel;
    hbk_list_append(&tunnel->relays, &relay->in_tunnel);
    relay->net->counters.streams_opened[tunnel->is_server]++;
}

hbk_status hbk_relay_ask(struct hbk_relay *relay, struct hbk_tunnel *tunnel,
                         struct hbk_slice authority, const struct hbk_h2_field *fields,
                         size_t count)
{
    HBK_ASSERT(relay->tunnel == NULL && !has(relay, HBK_RELAY_STARTED));
    relay->stream = (struct hbk_h2_stream){0};
    HBK_TRY(hbk_h2_open_connect(&tunnel->h2, &relay->stream, authority, fields, count));
    join(relay, tunnel);
    set(relay, HBK_RELAY_ASKED);
    return HBK_OK;
}

hbk_status hbk_relay_accept(struct hbk_relay *relay, struct hbk_tunnel *tunnel,
                            const struct hbk_h2_event *event)
{
    HBK_ASSERT(relay->tunnel == NULL);
    relay->stream = (struct hbk_h2_stream){0};
    HBK_TRY(hbk_h2_accept(&tunnel->h2, event, &relay->stream));
    join(relay, tunnel);
    set(relay, event->is_last ? HBK_RELAY_STREAM_ENDED : 0);
    return HBK_OK;
}

void hbk_relay_answer(struct hbk_relay *relay, uint32_t status, const struct hbk_h2_field *fields,
                      size_t count)
{
    if (has(relay, HBK_RELAY_CLOSED) || relay->tunnel == NULL) {
        return;
    }
    bool is_refusal = status != 200;
    if (hbk_h2_respond(&relay->tunnel->h2, &relay->stream, status, fields, count, is_refusal) !=
        HBK_OK) {
        hbk_relay_abort(relay, HBK_H2_INTERNAL_ERROR);
    } else if (is_refusal) {
        hbk_h2_reset(&relay->tunnel->h2, &relay->stream, HBK_H2_NO_ERROR);
        close_with_reset(relay);
    }
}

void hbk_relay_start(struct hbk_relay *relay)
{
    set(relay, HBK_RELAY_STARTED);
    flush_backlog(relay);
    if (!has(relay, HBK_RELAY_CLOSED)) {
        shut_if_drained(relay);
        pump(relay);
    }
}

/* Events ------------------------------------------------------------------------------------ */

static void connected(struct hbk_relay *relay)
{
    int error = hbk_socket_error(relay->source.fd);
    if (error == 0 && (relay->source.ready & HBK_WRITABLE) == 0) {
        return;
    }
    unset(relay, HBK_RELAY_CONNECTING);
    relay->events->on_connected(relay, error);
}

/* Before data flows nobody reads the socket; that its owner has gone still counts. */
static bool is_abandoned(const struct hbk_relay *relay)
{
    return !has(relay, HBK_RELAY_STARTED) && (relay->source.ready & HBK_HUNG_UP) != 0;
}

/* A reset is noticed also while nobody reads: for want of credit, or behind the application's end.
 * We have not ended our direction then, so that a hang-up is no end in peace. */
static void hung_up(struct hbk_relay *relay)
{
    int error = hbk_socket_error(relay->source.fd);
    if (error == 0 && has(relay, HBK_RELAY_SOCKET_ENDED) && !has(relay, HBK_RELAY_SOCKET_SHUT)) {
        error = ECONNRESET;
    }
    if (error != 0) {
        errno = error;
        socket_failed(relay);
    }
}

static void on_ready(struct hbk_source *source)
{
    struct hbk_relay *relay = HBK_CONTAINER(source, struct hbk_relay, source);
    if (has(relay, HBK_RELAY_CONNECTING)) {
        connected(relay);
        return;
    }
    if (is_abandoned(relay)) {
        hbk_failure_set(&relay->failure, HBK_FAILURE_RESET, HBK_CLOSED, 0,
                        "the application gave up before the connection stood");
        hbk_relay_abort(relay, HBK_H2_CANCEL);
        return;
    }
    if (!has(relay, HBK_RELAY_STARTED)) {
        return;
    }
    if ((source->ready & HBK_WRITABLE) != 0 && !hbk_buffer_is_empty(&relay->backlog)) {
        flush_backlog(relay);
        if (!has(relay, HBK_RELAY_CLOSED)) {
            shut_if_drained(relay);
        }
    }
    pump_in_order(relay);
    if ((source->ready & HBK_HUNG_UP) != 0 && !has(relay, HBK_RELAY_CLOSED)) {
        hung_up(relay);
    }
}

static void refused(struct hbk_relay *relay)
{
    unset(relay, HBK_RELAY_ASKED);
    hbk_buffer_fini(&relay->backlog);
    unset(relay, HBK_RELAY_STREAM_ENDED);
    relay->events->on_refused(relay);
}

static void stream_reset(struct hbk_relay *relay, const struct hbk_h2_event *event)
{
    if (event->is_ours) {
        relay->net->counters.streams_reset_by_us++;
    } else {
        relay->net->counters.streams_reset_by_peer++;
    }
    leave_tunnel(relay);
    bool is_polite = event->code == HBK_H2_NO_ERROR && has(relay, HBK_RELAY_STREAM_ENDED);
    if (!is_polite) {
        hbk_failure_set(&relay->failure, HBK_FAILURE_RESET, HBK_CLOSED, event->code,
                        "stream reset by %s: %s", event->is_ours ? "us" : "the peer",
                        hbk_h2_code_text(event->code));
    }
    if (has(relay, HBK_RELAY_ASKED)) {
        refused(relay);
    } else {
        close_with_reset(relay);
    }
}

static void answered(struct hbk_relay *relay, const struct hbk_h2_event *event)
{
    unset(relay, HBK_RELAY_ASKED);
    if (event->is_last) {
        deliver_last(relay);
    }
    relay->events->on_answer(relay, event->code);
}

void hbk_relay_on_event(struct hbk_relay *relay, const struct hbk_h2_event *event)
{
    if (has(relay, HBK_RELAY_CLOSED)) {
        return;
    }
    if (event->kind != HBK_H2_DATA) {
        deliver_before(relay);
    }
    switch (event->kind) {
    case HBK_H2_RESPONSE:
        answered(relay, event);
        return;
    case HBK_H2_DATA:
        deliver(relay, event->data);
        if (event->is_last) {
            deliver_before(relay);
        }
        if (event->is_last && !has(relay, HBK_RELAY_CLOSED)) {
            deliver_last(relay);
        }
        return;
    case HBK_H2_TRAILERS:
        deliver_last(relay);
        return;
    case HBK_H2_RESET:
        stream_reset(relay, event);
        return;
    case HBK_H2_CREDIT:
        hbk_relay_resume(relay);
        return;
    case HBK_H2_REQUEST:
    case HBK_H2_GOAWAY:
    case HBK_H2_SETTINGS:
    case HBK_H2_PING_ACK:
        break; /* events of the tunnel */
    }
    HBK_UNREACHABLE();
}

void hbk_relay_on_tunnel_closed(struct hbk_relay *relay)
{
    struct hbk_tunnel *tunnel = relay->tunnel;
    forget_tunnel(relay);
    relay->stream = (struct hbk_h2_stream){0};
    deliver_before(relay);
    if (tunnel->failure.kind != HBK_FAILURE_NONE) {
        hbk_failure_copy(&relay->failure, &tunnel->failure);
    } else {
        hbk_failure_set(&relay->failure, HBK_FAILURE_RESET, HBK_CLOSED, 0,
                        "connection closed by the peer's proxy");
    }
    if (has(relay, HBK_RELAY_ASKED)) {
        refused(relay);
    } else {
        close_with_reset(relay);
    }
}
