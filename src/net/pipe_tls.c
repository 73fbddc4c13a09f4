/*
 * TLS between a pipe's socket and its owner. The handshake's messages and sealed records gather in
 * `sealed` and leave with the rest of the turn; what arrives is opened where it lies, in the
 * worker's scratch, and a record that is not whole yet waits in `partial`.
 *
 * A handshake whose asymmetric operation runs stops here (`is_waiting`) until the batch has
 * computed; what it then has to say leaves in the flight phase of the same turn.
 */
#include "net/pipe_tls.h"

#include <errno.h>
#include <stdio.h>

#include "base/assert.h"
#include "base/clock.h"
#include "os/socket.h"

static void on_flight(struct hbk_task *task);

/* From within the batch: the step itself comes in the phase behind it. */
static void on_progress(void *owner)
{
    struct hbk_pipe *pipe = owner;
    if (!pipe->is_closed && pipe->is_shaking) {
        hbk_loop_post(pipe->net->loop, HBK_PHASE_FLIGHT, &pipe->flight);
    }
}

hbk_status hbk_pipe_tls_start(struct hbk_pipe *pipe, const struct hbk_pipe_security *security)
{
    const struct hbk_tls_options options = {
        .role = security->is_server ? HBK_TLS_SERVER : HBK_TLS_CLIENT,
        .worker = pipe->net->batch.tls,
        .server_name = security->server_name,
        .on_progress = on_progress,
        .owner = pipe,
    };
    hbk_buffer_init(&pipe->sealed, HBK_PIPE_SEALED_BYTES_MAX);
    hbk_buffer_init(&pipe->partial, HBK_NET_INPUT_BYTES + HBK_RECORD_BYTES_MAX);
    hbk_task_init(&pipe->flight, on_flight);
    pipe->is_shaking = true;
    return hbk_tls_session_new(security->context, &options, hbk_clock_realtime_ns(), &pipe->tls);
}

void hbk_pipe_tls_fini(struct hbk_pipe *pipe)
{
    if (pipe->has_tls) {
        hbk_task_cancel(&pipe->flight);
        hbk_tls_session_free(pipe->tls);
        hbk_buffer_fini(&pipe->sealed);
        hbk_buffer_fini(&pipe->partial);
    }
}

/* ---- sending ---- */

enum hbk_io hbk_pipe_tls_send_sealed(struct hbk_pipe *pipe)
{
    while (!hbk_buffer_is_empty(&pipe->sealed)) {
        size_t size = 0;
        enum hbk_io io = hbk_socket_send(pipe->source.fd, hbk_buffer_slice(&pipe->sealed), &size);
        if (io != HBK_IO_DONE) {
            return io;
        }
        pipe->sent_bytes += size;
        hbk_buffer_consume(&pipe->sealed, size);
    }
    return HBK_IO_DONE;
}

/* Sends bytes of the output scratch; what the socket does not take waits in `sealed`. */
static enum hbk_io send_output(struct hbk_pipe *pipe, size_t size)
{
    struct hbk_slice output = hbk_slice_of(pipe->net->output.bytes, size);
    size_t sent = 0;
    if (hbk_buffer_is_empty(&pipe->sealed)) {
        enum hbk_io io = hbk_socket_send(pipe->source.fd, output, &sent);
        if (io == HBK_IO_FAILED) {
            return io;
        }
    }
    pipe->sent_bytes += sent;
    if (hbk_buffer_append(&pipe->sealed, hbk_slice_part(output, sent, output.size)) != HBK_OK) {
        errno = ENOBUFS;
        return HBK_IO_FAILED;
    }
    return sent < size ? HBK_IO_AGAIN : HBK_IO_DONE;
}

enum hbk_io hbk_pipe_tls_seal(struct hbk_pipe *pipe, size_t *out_size)
{
    struct hbk_slice plain = hbk_buffer_slice(&pipe->out);
    size_t sealed = 0, written = 0;
    enum hbk_tls_answer answer =
        hbk_tls_seal(pipe->tls, &plain, 1, pipe->net->output, &sealed, &written);
    if (answer == HBK_TLS_FAILED) {
        errno = EPIPE;
        return HBK_IO_FAILED;
    }
    hbk_buffer_consume(&pipe->out, sealed);
    pipe->plain_sent_bytes += sealed;
    *out_size = sealed;
    return send_output(pipe, written);
}

enum hbk_io hbk_pipe_tls_flush(struct hbk_pipe *pipe)
{
    size_t written = 0;
    if (pipe->is_shaking || !hbk_tls_has_output(pipe->tls) ||
        hbk_tls_flush(pipe->tls, pipe->net->output, &written) != HBK_TLS_DONE) {
        return HBK_IO_DONE;
    }
    return send_output(pipe, written);
}

enum hbk_io hbk_pipe_tls_shutdown(struct hbk_pipe *pipe)
{
    size_t written = 0;
    if (pipe->is_shaking ||
        hbk_tls_shutdown(pipe->tls, pipe->net->output, &written) != HBK_TLS_DONE) {
        return HBK_IO_DONE;
    }
    return send_output(pipe, written);
}

/* ---- receiving ---- */

static void fail(struct hbk_pipe *pipe)
{
    struct hbk_tls_failure failure = hbk_tls_failure(pipe->tls);
    char text[HBK_PIPE_FAILURE_BYTES_MAX];
    (void)snprintf(text, sizeof text, "TLS_error:|%s:TLS_error_end", failure.text);
    pipe->failure_text = text;
    pipe->is_untrusted = failure.status == HBK_UNTRUSTED;
    (void)hbk_pipe_tls_send_sealed(pipe); /* the alert, as far as the socket takes it now */
    hbk_pipe_fail(pipe, EPROTO);
    pipe->failure_text = NULL;
}

/* Drives the handshake; false when it wants more, or is over, one way or the other. */
static bool step(struct hbk_pipe *pipe, struct hbk_span *input)
{
    size_t consumed = 0, written = 0;
    enum hbk_tls_answer answer =
        hbk_tls_handshake(pipe->tls, *input, &consumed, pipe->net->output, &written);
    *input = hbk_span_of(input->bytes + consumed, input->size - consumed);
    if (written > 0) {
        if (hbk_buffer_append(&pipe->sealed, hbk_slice_of(pipe->net->output.bytes, written)) !=
            HBK_OK) {
            hbk_pipe_fail(pipe, ENOBUFS);
            return false;
        }
        hbk_pipe_send(pipe);
    }
    switch (answer) {
    case HBK_TLS_DONE:
        pipe->is_shaking = false;
        pipe->events->on_connected(pipe);
        return false;
    case HBK_TLS_WANT_ROOM:
        return true;
    case HBK_TLS_WANT_INPUT:
        return false;
    case HBK_TLS_WAITING:
        pipe->is_waiting = true;
        hbk_batch_wake(&pipe->net->batch);
        return false;
    case HBK_TLS_CLOSED:
    case HBK_TLS_FAILED:
        fail(pipe);
        return false;
    }
    HBK_UNREACHABLE();
}

/* Opens records; false when no whole one is left, or the pipe is over. */
static bool open_some(struct hbk_pipe *pipe, struct hbk_span *input)
{
    size_t consumed = 0;
    struct hbk_slice plain = {0};
    enum hbk_tls_answer answer = hbk_tls_open(pipe->tls, *input, &consumed, &plain);
    *input = hbk_span_of(input->bytes + consumed, input->size - consumed);
    switch (answer) {
    case HBK_TLS_DONE:
        if (hbk_tls_has_output(pipe->tls)) {
            hbk_pipe_send(pipe);
        }
        if (plain.size > 0) {
            pipe->plain_received_bytes += plain.size;
            pipe->events->on_bytes(pipe, plain);
        }
        return true;
    case HBK_TLS_WANT_INPUT:
    case HBK_TLS_WANT_ROOM:
    case HBK_TLS_WAITING:
        return false;
    case HBK_TLS_CLOSED:
        pipe->has_ended = true;
        pipe->events->on_end(pipe);
        return false;
    case HBK_TLS_FAILED: {
        size_t written = 0;
        if (hbk_tls_flush(pipe->tls, pipe->net->output, &written) == HBK_TLS_DONE) {
            (void)send_output(pipe, written);
        }
        fail(pipe);
        return false;
    }
    }
    HBK_UNREACHABLE();
}

static void take_input(struct hbk_pipe *pipe, struct hbk_span input)
{
    while (!pipe->is_closed && pipe->is_shaking && !pipe->is_waiting && step(pipe, &input)) {
    }
    while (!pipe->is_closed && !pipe->is_shaking && !pipe->is_paused && !pipe->has_ended &&
           !pipe->closes_when_sent && open_some(pipe, &input)) {
    }
    if (!pipe->is_closed && input.size > 0 &&
        hbk_buffer_append(&pipe->partial, hbk_slice_of(input.bytes, input.size)) != HBK_OK) {
        hbk_pipe_fail(pipe, ENOBUFS);
    }
}

void hbk_pipe_tls_begin(struct hbk_pipe *pipe)
{
    take_input(pipe, hbk_span_of(pipe->net->input.bytes, 0));
}

bool hbk_pipe_tls_go_on(struct hbk_pipe *pipe)
{
    if (pipe->is_waiting || hbk_buffer_is_empty(&pipe->partial)) {
        return false;
    }
    size_t before = hbk_buffer_size(&pipe->partial);
    take_input(pipe, hbk_net_take_back(pipe->net, &pipe->partial));
    return !pipe->is_closed && hbk_buffer_size(&pipe->partial) < before;
}

struct hbk_span hbk_pipe_tls_room(const struct hbk_pipe *pipe)
{
    size_t kept = hbk_buffer_size(&pipe->partial);
    size_t size = HBK_PIPE_READ_BYTES + HBK_RECORD_BYTES_MAX;
    HBK_ASSERT(kept <= pipe->net->input.size);
    size = size < pipe->net->input.size - kept ? size : pipe->net->input.size - kept;
    return hbk_span_of(pipe->net->input.bytes + kept, size);
}

void hbk_pipe_tls_received(struct hbk_pipe *pipe, size_t size)
{
    size_t kept = hbk_net_take_back(pipe->net, &pipe->partial).size;
    take_input(pipe, hbk_span_of(pipe->net->input.bytes, kept + size));
}

static void on_flight(struct hbk_task *task)
{
    struct hbk_pipe *pipe = HBK_CONTAINER(task, struct hbk_pipe, flight);
    pipe->is_waiting = false;
    take_input(pipe, hbk_net_take_back(pipe->net, &pipe->partial));
    if (!pipe->is_closed) {
        hbk_pipe_flush_now(pipe);
        hbk_loop_post(pipe->net->loop, HBK_PHASE_READ, &pipe->task);
    }
}
