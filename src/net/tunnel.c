/*
 * Invariants
 * 1. Plain text leaves in the order in which it was gathered: blocks first to last, and no block is
 *    sealed while `sealed` holds bytes.
 * 2. tls is set until the tunnel is closed; h2 lives exactly while the state is HBK_TUNNEL_OPEN.
 * 3. After HBK_TUNNEL_CLOSED no relay is left on the list, and nothing but the burial runs.
 */
#include "net/tunnel.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>

#include "base/assert.h"
#include "net/relay.h"
#include "net/tunnel_time.h"
#include "os/fd.h"
#include "os/socket.h"

static void on_ready(struct hbk_source *source);
static void on_write_task(struct hbk_task *task);
static void on_read_task(struct hbk_task *task);
static void flush(struct hbk_tunnel *tunnel);

/* Its end ----------------------------------------------------------------------------------- */

static void give_blocks(struct hbk_tunnel *tunnel)
{
    while (tunnel->first_block != NULL) {
        struct hbk_block *block = tunnel->first_block;
        tunnel->first_block = block->next;
        hbk_block_give(&tunnel->net->blocks, block);
    }
    tunnel->last_block = NULL;
    tunnel->blocks = 0;
}

static void on_burial(struct hbk_task *task)
{
    struct hbk_tunnel *tunnel = HBK_CONTAINER(task, struct hbk_tunnel, read_task);
    struct hbk_net *net = tunnel->net;
    tunnel->events->on_closed(tunnel);
    hbk_tls_session_free(tunnel->tls);
    hbk_failure_clear(&tunnel->failure);
    hbk_pool_give(&net->tunnels, tunnel);
}

static void tell_relays(struct hbk_tunnel *tunnel)
{
    while (!hbk_list_is_empty(&tunnel->relays)) {
        struct hbk_link *link = tunnel->relays.head.next;
        hbk_relay_on_tunnel_closed(HBK_CONTAINER(link, struct hbk_relay, in_tunnel));
    }
}

/* What the peer should still hear, as far as the socket takes it now: GOAWAY, close_notify. */
static void say_goodbye(struct hbk_tunnel *tunnel)
{
    flush(tunnel);
    size_t size = 0;
    if (hbk_buffer_is_empty(&tunnel->sealed) &&
        hbk_tls_shutdown(tunnel->tls, tunnel->net->output, &size) == HBK_TLS_DONE && size > 0) {
        size_t sent = 0;
        (void)hbk_socket_send(tunnel->source.fd, hbk_slice_of(tunnel->net->output.bytes, size),
                              &sent);
    }
}

static void stop_events(struct hbk_tunnel *tunnel)
{
    struct hbk_loop *loop = tunnel->net->loop;
    hbk_loop_remove(loop, &tunnel->source);
    hbk_loop_timer_cancel(loop, &tunnel->timer);
    hbk_task_cancel(&tunnel->write_task);
    hbk_task_cancel(&tunnel->read_task);
    hbk_task_cancel(&tunnel->flight_task);
}

void hbk_tunnel_mark(struct hbk_tunnel *tunnel, enum hbk_tunnel_end end)
{
    if (!tunnel->has_end) {
        tunnel->has_end = true;
        tunnel->end = end;
    }
}

enum hbk_tls_engine_kind hbk_tunnel_engine(const struct hbk_tunnel *tunnel)
{
    return hbk_tls_agreement(tunnel->tls).engine;
}

static void count_end(struct hbk_tunnel *tunnel)
{
    struct hbk_net_counters *counters = &tunnel->net->counters;
    const struct hbk_failure *failure = &tunnel->failure;
    hbk_tunnel_mark(tunnel, failure->kind == HBK_FAILURE_NONE ? HBK_TUNNEL_END_DRAIN
                                                              : hbk_tunnel_end_of(failure));
    counters->tunnel_ends[tunnel->end]++;
    counters->tunnels_closed[tunnel->is_server]++;
    if (tunnel->state == HBK_TUNNEL_HANDSHAKING) {
        counters->handshake_ends[hbk_tunnel_engine(tunnel)][hbk_handshake_end_of(failure)]++;
    }
}

void hbk_tunnel_close(struct hbk_tunnel *tunnel)
{
    if (tunnel->is_closing) {
        return;
    }
    tunnel->is_closing = true;
    struct hbk_net *net = tunnel->net;
    bool has_h2 = tunnel->state == HBK_TUNNEL_OPEN;
    count_end(tunnel);
    if (has_h2) {
        say_goodbye(tunnel);
    }
    tunnel->state = HBK_TUNNEL_CLOSED;
    if (has_h2) {
        hbk_h2_fini(&tunnel->h2); /* lets go of the streams before relays take them elsewhere */
    }
    tell_relays(tunnel);
    stop_events(tunnel);
    give_blocks(tunnel);
    hbk_buffer_fini(&tunnel->sealed);
    hbk_buffer_fini(&tunnel->partial);
    hbk_fd_close(&tunnel->source.fd);
    tunnel->read_task.run = on_burial;
    hbk_loop_post(net->loop, HBK_PHASE_END, &tunnel->read_task);
}

void hbk_tunnel_fail(struct hbk_tunnel *tunnel, enum hbk_failure_kind kind, hbk_status status,
                     uint32_t code, const char *format, ...)
{
    char text[HBK_FAILURE_TEXT_BYTES_MAX];
    va_list values;
    va_start(values, format);
    (void)vsnprintf(text, sizeof text, format, values);
    va_end(values);
    hbk_failure_set(&tunnel->failure, kind, status, code, "%s", text);
    hbk_tunnel_close(tunnel);
}

/* Output ------------------------------------------------------------------------------------ */

static void flush_later(struct hbk_tunnel *tunnel)
{
    enum hbk_phase phase = tunnel->state == HBK_TUNNEL_OPEN ? HBK_PHASE_WRITE : HBK_PHASE_FLIGHT;
    hbk_loop_post(tunnel->net->loop, phase, &tunnel->write_task);
}

struct hbk_span hbk_tunnel_room(struct hbk_tunnel *tunnel, size_t size_min)
{
    HBK_ASSERT(size_min <= HBK_BLOCK_BYTES);
    struct hbk_block *last = tunnel->last_block;
    if (last == NULL || sizeof last->bytes - last->used_bytes < size_min) {
        struct hbk_block *block =
            tunnel->blocks < HBK_TUNNEL_BLOCKS_MAX ? hbk_block_take(&tunnel->net->blocks) : NULL;
        if (block == NULL) {
            return hbk_span_of(NULL, 0);
        }
        if (last == NULL) {
            tunnel->first_block = block;
        } else {
            last->next = block;
        }
        tunnel->last_block = block;
        tunnel->blocks++;
        last = block;
    }
    return hbk_span_of(last->bytes + last->used_bytes, sizeof last->bytes - last->used_bytes);
}

void hbk_tunnel_commit(struct hbk_tunnel *tunnel, size_t size)
{
    tunnel->last_block->used_bytes += size;
    flush_later(tunnel);
}

static struct hbk_span sink_reserve(void *owner, size_t size)
{
    return hbk_tunnel_room(owner, size);
}

static void sink_commit(void *owner, size_t size)
{
    hbk_tunnel_commit(owner, size);
}

bool hbk_tunnel_is_congested(const struct hbk_tunnel *tunnel)
{
    return tunnel->blocks > HBK_TUNNEL_DATA_BLOCKS_MAX || !hbk_buffer_is_empty(&tunnel->sealed);
}

static void socket_failed(struct hbk_tunnel *tunnel, const char *what)
{
    int error = errno;
    enum hbk_failure_kind kind =
        tunnel->state == HBK_TUNNEL_OPEN ? HBK_FAILURE_RESET : HBK_FAILURE_CONNECT;
    hbk_tunnel_fail(tunnel, kind, hbk_status_from_errno(error), (uint32_t)error, "%s: %s", what,
                    strerror(error));
}

/* Sends sealed bytes; the rest becomes the backlog. False when the tunnel is dead. */
static bool send_sealed(struct hbk_tunnel *tunnel, struct hbk_slice bytes)
{
    size_t size = 0;
    tunnel->net->counters.writes++;
    if (hbk_socket_send(tunnel->source.fd, bytes, &size) == HBK_IO_FAILED) {
        socket_failed(tunnel, "connection lost");
        return false;
    }
    if (hbk_buffer_append(&tunnel->sealed, hbk_slice_part(bytes, size, bytes.size)) != HBK_OK) {
        hbk_tunnel_fail(tunnel, HBK_FAILURE_LIMIT, HBK_LIMIT, 0, "the peer does not read");
        return false;
    }
    return true;
}

static bool send_backlog(struct hbk_tunnel *tunnel)
{
    while (!hbk_buffer_is_empty(&tunnel->sealed)) {
        size_t size = 0;
        switch (hbk_socket_send(tunnel->source.fd, hbk_buffer_slice(&tunnel->sealed), &size)) {
        case HBK_IO_DONE:
            hbk_buffer_consume(&tunnel->sealed, size);
            break;
        case HBK_IO_AGAIN:
        case HBK_IO_END:
            return true;
        case HBK_IO_FAILED:
            socket_failed(tunnel, "connection lost");
            return false;
        }
    }
    return true;
}

/* Seals the first block behind what is in `output`, or the part for which there is room: a peer may
 * ask for small records. False when the tunnel has failed. */
static bool seal_block(struct hbk_tunnel *tunnel, size_t *output_bytes)
{
    struct hbk_block *block = tunnel->first_block;
    struct hbk_slice plain =
        hbk_slice_of(block->bytes + block->sealed_bytes, block->used_bytes - block->sealed_bytes);
    struct hbk_span output = tunnel->net->output;
    size_t taken = 0;
    size_t size = 0;
    enum hbk_tls_answer answer = hbk_tls_seal(
        tunnel->tls, &plain, 1,
        hbk_span_of(output.bytes + *output_bytes, output.size - *output_bytes), &taken, &size);
    if (answer != HBK_TLS_DONE && (answer != HBK_TLS_WANT_ROOM || taken == 0)) {
        hbk_failure_set(&tunnel->failure, HBK_FAILURE_TLS, HBK_IO, 0, "a record cannot be sealed");
        return false;
    }
    tunnel->net->counters.records_sealed++;
    *output_bytes += size;
    if (taken < plain.size) {
        block->sealed_bytes += taken;
        return true;
    }
    tunnel->first_block = block->next;
    tunnel->last_block = tunnel->first_block == NULL ? NULL : tunnel->last_block;
    tunnel->blocks--;
    hbk_block_give(&tunnel->net->blocks, block);
    return true;
}

/* What TLS itself has to say: key updates and alerts. False when the tunnel is dead. */
static bool flush_tls(struct hbk_tunnel *tunnel)
{
    size_t size = 0;
    if (!hbk_tls_has_output(tunnel->tls)) {
        return true;
    }
    return hbk_tls_flush(tunnel->tls, tunnel->net->output, &size) == HBK_TLS_DONE &&
           send_sealed(tunnel, hbk_slice_of(tunnel->net->output.bytes, size));
}

/* Seals all that was gathered and sends it with one call, as far as the socket takes it. */
static void flush_blocks(struct hbk_tunnel *tunnel)
{
    while (tunnel->first_block != NULL && hbk_buffer_is_empty(&tunnel->sealed)) {
        size_t size = 0;
        while (tunnel->first_block != NULL &&
               tunnel->net->output.size - size >= HBK_RECORD_BYTES_MAX) {
            if (!seal_block(tunnel, &size)) {
                hbk_tunnel_close(tunnel);
                return;
            }
        }
        if (!send_sealed(tunnel, hbk_slice_of(tunnel->net->output.bytes, size))) {
            return;
        }
    }
}

static void flush(struct hbk_tunnel *tunnel)
{
    if (tunnel->state == HBK_TUNNEL_CLOSED || !send_backlog(tunnel) ||
        tunnel->state != HBK_TUNNEL_OPEN || !hbk_buffer_is_empty(&tunnel->sealed)) {
        return;
    }
    flush_blocks(tunnel);
    if (tunnel->state == HBK_TUNNEL_OPEN && hbk_buffer_is_empty(&tunnel->sealed)) {
        (void)flush_tls(tunnel);
    }
}

void hbk_tunnel_resume_later(struct hbk_tunnel *tunnel)
{
    if (tunnel->state == HBK_TUNNEL_OPEN && !hbk_list_is_empty(&tunnel->blocked) &&
        tunnel->h2.send_credit > 0 && !hbk_tunnel_is_congested(tunnel)) {
        hbk_loop_post(tunnel->net->loop, HBK_PHASE_READ, &tunnel->read_task);
    }
}

/* A drained tunnel goes when the socket has taken the last of its streams, end included. */
static void close_if_drained(struct hbk_tunnel *tunnel)
{
    if (tunnel->state == HBK_TUNNEL_OPEN && tunnel->is_draining &&
        hbk_list_is_empty(&tunnel->relays) && tunnel->first_block == NULL &&
        hbk_buffer_is_empty(&tunnel->sealed)) {
        hbk_tunnel_close(tunnel);
    }
}

static void on_write_task(struct hbk_task *task)
{
    struct hbk_tunnel *tunnel = HBK_CONTAINER(task, struct hbk_tunnel, write_task);
    flush(tunnel);
    close_if_drained(tunnel);
    hbk_tunnel_resume_later(tunnel);
}

static void resume_blocked(struct hbk_tunnel *tunnel)
{
    struct hbk_list waiting;
    hbk_list_init(&waiting);
    hbk_list_move(&waiting, &tunnel->blocked);
    while (!hbk_list_is_empty(&waiting)) {
        if (tunnel->state != HBK_TUNNEL_OPEN || hbk_tunnel_is_congested(tunnel) ||
            tunnel->h2.send_credit <= 0) {
            /* Those that were passed over keep their place before those that just came. */
            hbk_list_move(&waiting, &tunnel->blocked);
            hbk_list_move(&tunnel->blocked, &waiting);
            return;
        }
        struct hbk_link *link = waiting.head.next;
        hbk_relay_resume(HBK_CONTAINER(link, struct hbk_relay, blocked));
    }
}

/* HTTP/2 ------------------------------------------------------------------------------------ */

/*
 * Streams above the GOAWAY's were not handled: they may be tried elsewhere. A client's GOAWAY
 * speaks of streams that a server would have opened (RFC 9113, 6.8): its own go on.
 */
static void on_goaway(struct hbk_tunnel *tunnel, const struct hbk_h2_event *event)
{
    tunnel->is_draining = true;
    if (tunnel->is_server) {
        return;
    }
    HBK_LIST_EACH (link, &tunnel->relays) {
        struct hbk_relay *relay = HBK_CONTAINER(link, struct hbk_relay, in_tunnel);
        if (relay->stream.id > event->last_stream_id) {
            struct hbk_h2_event refusal = {
                .kind = HBK_H2_RESET,
                .stream = &relay->stream,
                .code = HBK_H2_REFUSED_STREAM,
            };
            hbk_h2_reset(&tunnel->h2, &relay->stream, HBK_H2_CANCEL);
            hbk_relay_on_event(relay, &refusal);
        }
    }
}

static void resume_all(struct hbk_tunnel *tunnel)
{
    HBK_LIST_EACH (link, &tunnel->relays) {
        hbk_relay_resume(HBK_CONTAINER(link, struct hbk_relay, in_tunnel));
    }
}

static void on_event(struct hbk_tunnel *tunnel, const struct hbk_h2_event *event)
{
    switch (event->kind) {
    case HBK_H2_REQUEST:
        tunnel->events->on_request(tunnel, event);
        return;
    case HBK_H2_RESPONSE:
    case HBK_H2_DATA:
    case HBK_H2_TRAILERS:
    case HBK_H2_RESET:
        hbk_relay_on_event(HBK_CONTAINER(event->stream, struct hbk_relay, stream), event);
        return;
    case HBK_H2_CREDIT:
        if (event->stream != NULL) {
            hbk_relay_on_event(HBK_CONTAINER(event->stream, struct hbk_relay, stream), event);
        } else {
            hbk_tunnel_resume_later(tunnel);
        }
        return;
    case HBK_H2_GOAWAY:
        on_goaway(tunnel, event);
        if (tunnel->events->on_room != NULL) {
            tunnel->events->on_room(tunnel);
        }
        close_if_drained(tunnel);
        return;
    case HBK_H2_SETTINGS:
        resume_all(tunnel);
        if (tunnel->events->on_room != NULL) {
            tunnel->events->on_room(tunnel);
        }
        return;
    case HBK_H2_PING_ACK:
        tunnel->is_pinging = false;
        return;
    }
    HBK_UNREACHABLE();
}

static void read_plain(struct hbk_tunnel *tunnel, struct hbk_slice plain)
{
    while (tunnel->state == HBK_TUNNEL_OPEN) {
        struct hbk_h2_event event;
        switch (hbk_h2_read(&tunnel->h2, &plain, &event)) {
        case HBK_H2_NEED_MORE:
            return;
        case HBK_H2_EVENT:
            on_event(tunnel, &event);
            break;
        case HBK_H2_FAILED:
            hbk_tunnel_fail(tunnel, HBK_FAILURE_HTTP2, HBK_INVALID, tunnel->h2.failure_code,
                            "http2 error: %s (%s)",
                            tunnel->h2.failure_text == NULL ? "no room for control frames"
                                                            : tunnel->h2.failure_text,
                            hbk_h2_code_text(tunnel->h2.failure_code));
            return;
        }
    }
}

/* Input ------------------------------------------------------------------------------------- */

/* Keeps why, before the alert is sent: the socket of a peer that has gone may fail next, and is
 * not the reason. The caller sends, and closes. */
static void keep_tls_failure(struct hbk_tunnel *tunnel)
{
    struct hbk_tls_failure failure = hbk_tls_failure(tunnel->tls);
    bool is_identity = failure.status == HBK_UNTRUSTED;
    hbk_failure_set(&tunnel->failure, is_identity ? HBK_FAILURE_IDENTITY : HBK_FAILURE_TLS,
                    failure.status, failure.alert < 0 ? 0 : (uint32_t)failure.alert, "%s: %s",
                    is_identity ? "identity error" : "tls error", failure.text);
}

static void opened(struct hbk_tunnel *tunnel)
{
    struct hbk_net *net = tunnel->net;
    struct hbk_h2_config config = HBK_H2_CONFIG_DEFAULT;
    config.streams_max = net->config.streams_max;
    struct hbk_h2_sink sink = {.owner = tunnel, .reserve = sink_reserve, .commit = sink_commit};
    tunnel->state = HBK_TUNNEL_OPEN;
    tunnel->has_opened = true;
    hbk_status status =
        hbk_h2_init(&tunnel->h2, tunnel->is_server ? HBK_H2_SERVER : HBK_H2_CLIENT, &config, &sink);
    if (status != HBK_OK) {
        tunnel->state = HBK_TUNNEL_HANDSHAKING; /* there is no h2 to finish */
        tunnel->has_opened = false;
        hbk_tunnel_fail(tunnel, HBK_FAILURE_LIMIT, status, 0, "no memory for HTTP/2");
        return;
    }
    net->counters.handshakes_ok[hbk_tunnel_engine(tunnel)][tunnel->is_server]++;
    hbk_h2_set_time(&tunnel->h2, net->loop->now_ns);
    tunnel->handshake_ns = net->loop->now_ns - tunnel->idle_since_ns;
    tunnel->idle_since_ns = net->loop->now_ns;
    tunnel->silent_since_ns = net->loop->now_ns;
    hbk_tunnel_look_again_later(tunnel);
    tunnel->events->on_open(tunnel);
}

/* Drives the handshake; false when it wants more input or is over, one way or the other. */
static bool step_handshake(struct hbk_tunnel *tunnel, struct hbk_span *input)
{
    size_t consumed = 0;
    size_t written = 0;
    enum hbk_tls_answer answer =
        hbk_tls_handshake(tunnel->tls, *input, &consumed, tunnel->net->output, &written);
    *input = hbk_span_of(input->bytes + consumed, input->size - consumed);
    if (written > 0) {
        if (hbk_buffer_append(&tunnel->sealed, hbk_slice_of(tunnel->net->output.bytes, written)) !=
            HBK_OK) {
            hbk_tunnel_fail(tunnel, HBK_FAILURE_LIMIT, HBK_NO_MEMORY, 0, "no memory for TLS");
            return false;
        }
        flush_later(tunnel);
    }
    switch (answer) {
    case HBK_TLS_DONE:
        opened(tunnel);
        if (tunnel->state == HBK_TUNNEL_OPEN && hbk_tls_has_output(tunnel->tls)) {
            flush_later(tunnel);
        }
        return false;
    case HBK_TLS_WANT_ROOM:
        return true;
    case HBK_TLS_WANT_INPUT:
        return false;
    case HBK_TLS_WAITING:
        tunnel->is_waiting = true;
        hbk_batch_wake(&tunnel->net->batch);
        return false;
    case HBK_TLS_CLOSED:
        hbk_tunnel_fail(tunnel, HBK_FAILURE_TLS, HBK_CLOSED, 0,
                        "tls error: closed during the handshake");
        return false;
    case HBK_TLS_FAILED:
        keep_tls_failure(tunnel);
        (void)send_backlog(tunnel); /* the alert, as far as the socket takes it now */
        hbk_tunnel_close(tunnel);
        return false;
    }
    HBK_UNREACHABLE();
}

/* Opens one record; false when there is no whole record left. */
static bool open_record(struct hbk_tunnel *tunnel, struct hbk_span *input)
{
    size_t consumed = 0;
    struct hbk_slice plain = {0};
    enum hbk_tls_answer answer = hbk_tls_open(tunnel->tls, *input, &consumed, &plain);
    *input = hbk_span_of(input->bytes + consumed, input->size - consumed);
    switch (answer) {
    case HBK_TLS_DONE:
        tunnel->net->counters.records_opened++;
        if (hbk_tls_has_output(tunnel->tls)) {
            flush_later(tunnel);
        }
        read_plain(tunnel, plain);
        return true;
    case HBK_TLS_WANT_INPUT:
    case HBK_TLS_WANT_ROOM:
    case HBK_TLS_WAITING:
        return false;
    case HBK_TLS_CLOSED:
        hbk_tunnel_mark(tunnel, HBK_TUNNEL_END_PEER);
        hbk_tunnel_close(tunnel);
        return false;
    case HBK_TLS_FAILED:
        keep_tls_failure(tunnel);
        (void)flush_tls(tunnel); /* the alert, as far as the socket takes it now */
        hbk_tunnel_close(tunnel);
        return false;
    }
    HBK_UNREACHABLE();
}

static void take_input(struct hbk_tunnel *tunnel, struct hbk_span input)
{
    while (tunnel->state == HBK_TUNNEL_HANDSHAKING && step_handshake(tunnel, &input)) {
    }
    while (tunnel->state == HBK_TUNNEL_OPEN && open_record(tunnel, &input)) {
    }
    hbk_relay_deliver_waiting(tunnel->net);
    if (tunnel->state != HBK_TUNNEL_CLOSED &&
        hbk_buffer_append(&tunnel->partial, hbk_slice_of(input.bytes, input.size)) != HBK_OK) {
        hbk_tunnel_fail(tunnel, HBK_FAILURE_TLS, HBK_LIMIT, 0,
                        "tls error: a record or handshake message is too large");
    }
}

/* Receives once into the worker's scratch, behind what was left over earlier. */
static void read_once(struct hbk_tunnel *tunnel)
{
    struct hbk_span scratch = tunnel->net->input;
    size_t kept = hbk_buffer_size(&tunnel->partial);
    struct hbk_span room = hbk_span_of(scratch.bytes + kept, scratch.size - kept);
    size_t size = 0;
    switch (hbk_socket_receive(tunnel->source.fd, room, &size)) {
    case HBK_IO_DONE:
        break;
    case HBK_IO_AGAIN:
        tunnel->source.ready &= ~(uint32_t)HBK_READABLE;
        return;
    case HBK_IO_END:
        if (tunnel->state == HBK_TUNNEL_HANDSHAKING) {
            hbk_failure_set(&tunnel->failure, HBK_FAILURE_TLS, HBK_CLOSED, 0,
                            "tls error: the peer closed during the handshake");
        } else {
            hbk_tunnel_mark(tunnel, HBK_TUNNEL_END_PEER);
        }
        hbk_tunnel_close(tunnel);
        return;
    case HBK_IO_FAILED:
        socket_failed(tunnel, "connection lost");
        return;
    }
    tunnel->net->counters.reads++;
    tunnel->has_heard = true;
    if (size < room.size && (tunnel->source.ready & (HBK_ENDED | HBK_HUNG_UP)) == 0) {
        tunnel->source.ready &= ~(uint32_t)HBK_READABLE;
    }
    (void)hbk_net_take_back(tunnel->net, &tunnel->partial);
    take_input(tunnel, hbk_span_of(scratch.bytes, kept + size));
}

static void read_ready(struct hbk_tunnel *tunnel)
{
    if (tunnel->is_waiting) {
        return; /* on_flight_task() comes back here */
    }
    if ((tunnel->source.ready & HBK_READABLE) != 0) {
        if (tunnel->state == HBK_TUNNEL_OPEN) {
            hbk_h2_set_time(&tunnel->h2, tunnel->net->loop->now_ns);
        }
        read_once(tunnel);
    }
    if (tunnel->state != HBK_TUNNEL_CLOSED && (tunnel->source.ready & HBK_READABLE) != 0 &&
        !tunnel->is_waiting) {
        hbk_loop_post(tunnel->net->loop, HBK_PHASE_READ, &tunnel->read_task);
    }
}

static void on_read_task(struct hbk_task *task)
{
    struct hbk_tunnel *tunnel = HBK_CONTAINER(task, struct hbk_tunnel, read_task);
    read_ready(tunnel);
    if (tunnel->state == HBK_TUNNEL_OPEN) {
        resume_blocked(tunnel);
    }
}

/* From within the batch: the step itself comes in the phase behind it. */
static void on_progress(void *owner)
{
    struct hbk_tunnel *tunnel = owner;
    if (tunnel->state == HBK_TUNNEL_HANDSHAKING) {
        hbk_loop_post(tunnel->net->loop, HBK_PHASE_FLIGHT, &tunnel->flight_task);
    }
}

/* The handshake goes on with the input that it had left over, and what it has to say leaves in this
 * turn. */
static void on_flight_task(struct hbk_task *task)
{
    struct hbk_tunnel *tunnel = HBK_CONTAINER(task, struct hbk_tunnel, flight_task);
    tunnel->is_waiting = false;
    take_input(tunnel, hbk_net_take_back(tunnel->net, &tunnel->partial));
    flush(tunnel);
    if (tunnel->state != HBK_TUNNEL_CLOSED && (tunnel->source.ready & HBK_READABLE) != 0 &&
        !tunnel->is_waiting) {
        hbk_loop_post(tunnel->net->loop, HBK_PHASE_READ, &tunnel->read_task);
    }
}

static void begin_handshake(struct hbk_tunnel *tunnel)
{
    struct hbk_net *net = tunnel->net;
    tunnel->state = HBK_TUNNEL_HANDSHAKING;
    hbk_status status = hbk_socket_local_address(tunnel->source.fd, &tunnel->local);
    if (status == HBK_OK) {
        status = hbk_socket_peer_address(tunnel->source.fd, &tunnel->peer);
    }
    if (status != HBK_OK) { /* the connection has gone already */
        hbk_tunnel_fail(tunnel, HBK_FAILURE_CONNECT, status, 0, "connection failed: %s",
                        hbk_status_text(status));
        return;
    }
    tunnel->idle_since_ns = net->loop->now_ns;
    hbk_loop_timer(net->loop, &tunnel->timer, net->config.handshake_timeout_ns);
    if (!tunnel->is_server) {
        take_input(tunnel, hbk_span_of(net->input.bytes, 0)); /* the ClientHello */
    }
}

static void connected(struct hbk_tunnel *tunnel)
{
    int error = hbk_socket_error(tunnel->source.fd);
    if (error != 0) {
        hbk_tunnel_fail(tunnel, HBK_FAILURE_CONNECT, hbk_status_from_errno(error), (uint32_t)error,
                        "connection failed: %s", strerror(error));
    } else if ((tunnel->source.ready & HBK_WRITABLE) != 0) {
        begin_handshake(tunnel);
    }
}

static void on_ready(struct hbk_source *source)
{
    struct hbk_tunnel *tunnel = HBK_CONTAINER(source, struct hbk_tunnel, source);
    if (tunnel->state == HBK_TUNNEL_CONNECTING) {
        connected(tunnel);
    }
    if (tunnel->state == HBK_TUNNEL_CONNECTING || tunnel->state == HBK_TUNNEL_CLOSED) {
        return;
    }
    if ((source->ready & HBK_WRITABLE) != 0 && !hbk_buffer_is_empty(&tunnel->sealed)) {
        flush_later(tunnel);
    }
    read_ready(tunnel);
}

/* Its beginning, and the rest of the interface ---------------------------------------------- */

hbk_status hbk_tunnel_start(struct hbk_net *net, bool is_server, int fd,
                            struct hbk_tls_session *tls, const struct hbk_tunnel_events *events,
                            void *owner, struct hbk_tunnel **out_tunnel)
{
    struct hbk_tunnel *tunnel = hbk_pool_take(&net->tunnels);
    hbk_status status =
        tunnel == NULL ? HBK_LIMIT : hbk_loop_add(net->loop, &tunnel->source, fd, on_ready);
    if (status != HBK_OK) {
        net->counters.refused_tunnels++;
        hbk_pool_give(&net->tunnels, tunnel);
        hbk_tls_session_free(tls);
        hbk_fd_close(&fd);
        return status;
    }
    tunnel->net = net;
    tunnel->events = events;
    tunnel->owner = owner;
    tunnel->tls = tls;
    hbk_tls_session_watch(tls, on_progress, tunnel);
    tunnel->is_server = is_server;
    hbk_link_init(&tunnel->link);
    hbk_list_init(&tunnel->relays);
    hbk_list_init(&tunnel->blocked);
    hbk_buffer_init(&tunnel->sealed, HBK_TUNNEL_SEALED_BYTES_MAX);
    hbk_buffer_init(&tunnel->partial, HBK_NET_INPUT_BYTES);
    hbk_task_init(&tunnel->write_task, on_write_task);
    hbk_task_init(&tunnel->read_task, on_read_task);
    hbk_task_init(&tunnel->flight_task, on_flight_task);
    hbk_timer_init(&tunnel->timer, hbk_tunnel_on_timer);
    hbk_socket_tune(fd);
    net->counters.tunnels_opened[is_server]++;
    if (is_server) {
        begin_handshake(tunnel);
    } else {
        hbk_loop_timer(net->loop, &tunnel->timer, net->config.connect_timeout_ns);
    }
    *out_tunnel = tunnel;
    return HBK_OK;
}

void hbk_tunnel_drain(struct hbk_tunnel *tunnel)
{
    if (tunnel->state == HBK_TUNNEL_OPEN) {
        if (!tunnel->is_draining) {
            tunnel->is_draining = true;
            hbk_h2_drain(&tunnel->h2);
        }
        close_if_drained(tunnel);
    } else {
        hbk_tunnel_close(tunnel);
    }
}

static bool is_peer_expired(const struct hbk_tunnel *tunnel)
{
    const struct hbk_peer *peer = hbk_tls_peer(tunnel->tls);
    return peer != NULL && hbk_clock_realtime_ns() > peer->not_after_ns;
}

bool hbk_tunnel_can_open(const struct hbk_tunnel *tunnel)
{
    return tunnel->state == HBK_TUNNEL_OPEN && !tunnel->is_draining && !is_peer_expired(tunnel) &&
           hbk_h2_streams_open(&tunnel->h2) <
               (tunnel->h2.is_settled ? tunnel->net->config.streams_max : 1) &&
           hbk_h2_can_open(&tunnel->h2);
}

void hbk_tunnel_stream_ended(struct hbk_tunnel *tunnel)
{
    if (tunnel->state != HBK_TUNNEL_OPEN) {
        return;
    }
    if (tunnel->events->on_room != NULL) {
        tunnel->events->on_room(tunnel);
    }
    if (hbk_list_is_empty(&tunnel->relays)) {
        tunnel->idle_since_ns = tunnel->net->loop->now_ns;
        close_if_drained(tunnel);
    }
}
