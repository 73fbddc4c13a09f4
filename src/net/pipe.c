#include "net/pipe.h"

#include <errno.h>

#include "base/assert.h"
#include "net/pipe_tls.h"
#include "os/fd.h"
#include "os/socket.h"

static void on_burial(struct hbk_task *task)
{
    struct hbk_pipe *pipe = HBK_CONTAINER(task, struct hbk_pipe, task);
    hbk_fd_close(&pipe->source.fd);
    hbk_buffer_fini(&pipe->out);
    hbk_pipe_tls_fini(pipe);
    pipe->events->on_closed(pipe);
}

void hbk_pipe_close(struct hbk_pipe *pipe)
{
    if (pipe->is_closed) {
        return;
    }
    pipe->is_closed = true;
    hbk_loop_remove(pipe->net->loop, &pipe->source);
    hbk_task_cancel(&pipe->write);
    hbk_task_cancel(&pipe->task);
    pipe->task.run = on_burial;
    hbk_loop_post(pipe->net->loop, HBK_PHASE_END, &pipe->task);
}

void hbk_pipe_reset(struct hbk_pipe *pipe)
{
    if (!pipe->is_closed) {
        hbk_socket_reset_on_close(pipe->source.fd);
        hbk_pipe_close(pipe);
    }
}

void hbk_pipe_fail(struct hbk_pipe *pipe, int error)
{
    if (!pipe->is_closed) {
        hbk_pipe_close(pipe);
        pipe->events->on_failed(pipe, error);
    }
}

/* ---- reading ---- */

/* What one receive came to. */
static void received(struct hbk_pipe *pipe, struct hbk_span room, size_t size)
{
    pipe->received_bytes += size;
    if (size < room.size && (pipe->source.ready & (HBK_ENDED | HBK_HUNG_UP)) == 0) {
        pipe->source.ready &= ~(uint32_t)HBK_READABLE;
    }
    if (pipe->has_tls) {
        hbk_pipe_tls_received(pipe, size);
    } else {
        pipe->plain_received_bytes += size;
        pipe->events->on_bytes(pipe, hbk_slice_of(room.bytes, size));
    }
}

/* One receive; false when there is nothing more for now. */
static bool read_once(struct hbk_pipe *pipe)
{
    struct hbk_span room = pipe->has_tls ? hbk_pipe_tls_room(pipe)
                                         : hbk_span_of(pipe->net->input.bytes, HBK_PIPE_READ_BYTES);
    size_t size = 0;
    switch (hbk_socket_receive(pipe->source.fd, room, &size)) {
    case HBK_IO_DONE:
        received(pipe, room, size);
        return true;
    case HBK_IO_AGAIN:
        pipe->source.ready &= ~(uint32_t)HBK_READABLE;
        return false;
    case HBK_IO_END:
        pipe->source.ready &= ~(uint32_t)HBK_READABLE;
        if (pipe->is_shaking) {
            hbk_pipe_fail(pipe, ECONNRESET);
            return false;
        }
        pipe->has_ended = true;
        pipe->events->on_end(pipe);
        return false;
    case HBK_IO_FAILED:
        hbk_pipe_fail(pipe, errno);
        return false;
    }
    HBK_UNREACHABLE();
}

/* Reads what nobody wants any more, up to the peer's end. */
static void throw_away(struct hbk_pipe *pipe)
{
    uint64_t limit = pipe->received_bytes + HBK_PIPE_TURN_BYTES;
    struct hbk_span room = hbk_span_of(pipe->net->input.bytes, HBK_PIPE_READ_BYTES);
    enum hbk_io io = HBK_IO_DONE;
    while (io == HBK_IO_DONE && !pipe->has_ended && (pipe->source.ready & HBK_READABLE) != 0) {
        size_t size = 0;
        if (pipe->received_bytes >= limit) {
            hbk_loop_post(pipe->net->loop, HBK_PHASE_READ, &pipe->task);
            return;
        }
        io = hbk_socket_receive(pipe->source.fd, room, &size);
        pipe->received_bytes += size;
    }
    if (io == HBK_IO_FAILED) {
        hbk_pipe_fail(pipe, errno);
        return;
    }
    if (io != HBK_IO_DONE) {
        pipe->source.ready &= ~(uint32_t)HBK_READABLE;
    }
    if (io == HBK_IO_END) {
        pipe->has_ended = true;
        hbk_pipe_send(pipe); /* which closes, once all is sent */
    }
}

static void read_some(struct hbk_pipe *pipe)
{
    uint64_t limit = pipe->received_bytes + HBK_PIPE_TURN_BYTES;
    if (pipe->lingers && !pipe->is_closed) {
        throw_away(pipe);
        return;
    }
    if (pipe->has_tls && !pipe->is_closed && !pipe->is_paused && !pipe->is_connecting) {
        while (hbk_pipe_tls_go_on(pipe)) {
        }
    }
    while (!pipe->is_closed && !pipe->is_paused && !pipe->has_ended && !pipe->closes_when_sent &&
           !pipe->is_connecting && !pipe->is_waiting && (pipe->source.ready & HBK_READABLE) != 0) {
        if (pipe->received_bytes >= limit) {
            hbk_loop_post(pipe->net->loop, HBK_PHASE_READ, &pipe->task);
            return;
        }
        if (!read_once(pipe)) {
            return;
        }
    }
}

static void on_task(struct hbk_task *task)
{
    read_some(HBK_CONTAINER(task, struct hbk_pipe, task));
}

void hbk_pipe_pause(struct hbk_pipe *pipe)
{
    pipe->is_paused = true;
}

void hbk_pipe_resume(struct hbk_pipe *pipe)
{
    if (pipe->is_paused && !pipe->is_closed) {
        pipe->is_paused = false;
        hbk_loop_post(pipe->net->loop, HBK_PHASE_READ, &pipe->task);
    }
}

/* ---- writing ---- */

static bool is_all_sent(const struct hbk_pipe *pipe)
{
    return hbk_buffer_is_empty(&pipe->out) &&
           (!pipe->has_tls || hbk_buffer_is_empty(&pipe->sealed));
}

/* Once all is sent: the end that was asked for. TLS says it first. */
static void finish_writing(struct hbk_pipe *pipe)
{
    if (!is_all_sent(pipe) || pipe->is_connecting) {
        return;
    }
    if (pipe->shuts_when_sent && !pipe->is_shut) {
        if (pipe->has_tls && hbk_pipe_tls_shutdown(pipe) == HBK_IO_FAILED) {
            hbk_pipe_fail(pipe, errno);
            return;
        }
        if (!is_all_sent(pipe)) {
            return;
        }
        pipe->is_shut = true;
        hbk_socket_end(pipe->source.fd);
    }
    if (pipe->closes_when_sent && (!pipe->lingers || pipe->has_ended)) {
        hbk_pipe_close(pipe);
    }
}

static enum hbk_io send_plain(struct hbk_pipe *pipe, size_t *out_size)
{
    enum hbk_io io = hbk_socket_send(pipe->source.fd, hbk_buffer_slice(&pipe->out), out_size);
    if (io == HBK_IO_DONE) {
        pipe->sent_bytes += *out_size;
        pipe->plain_sent_bytes += *out_size;
        hbk_buffer_consume(&pipe->out, *out_size);
    }
    return io;
}

/* What TLS has to say of its own goes first: alerts, key updates, sealed bytes left over. */
static enum hbk_io send_first(struct hbk_pipe *pipe)
{
    enum hbk_io io = hbk_pipe_tls_send_sealed(pipe);
    return io == HBK_IO_DONE ? hbk_pipe_tls_flush(pipe) : io;
}

static void flush(struct hbk_pipe *pipe)
{
    bool has_sent = false;
    enum hbk_io io = HBK_IO_DONE;
    if (pipe->has_tls && !pipe->is_connecting) {
        io = send_first(pipe);
    }
    while (io == HBK_IO_DONE && !pipe->is_connecting && !pipe->is_shaking &&
           !hbk_buffer_is_empty(&pipe->out)) {
        size_t size = 0;
        io = pipe->has_tls ? hbk_pipe_tls_seal(pipe, &size) : send_plain(pipe, &size);
        has_sent |= size > 0;
    }
    if (io == HBK_IO_FAILED) {
        hbk_pipe_fail(pipe, errno);
        return;
    }
    if (has_sent) {
        pipe->events->on_flushed(pipe);
    }
    if (!pipe->is_closed) {
        finish_writing(pipe);
    }
}

void hbk_pipe_flush_now(struct hbk_pipe *pipe)
{
    hbk_task_cancel(&pipe->write);
    flush(pipe);
}

static void on_write(struct hbk_task *task)
{
    flush(HBK_CONTAINER(task, struct hbk_pipe, write));
}

void hbk_pipe_send(struct hbk_pipe *pipe)
{
    if (!pipe->is_closed) {
        hbk_loop_post(pipe->net->loop, HBK_PHASE_WRITE, &pipe->write);
    }
}

void hbk_pipe_end(struct hbk_pipe *pipe)
{
    pipe->shuts_when_sent = true;
    hbk_pipe_send(pipe);
}

void hbk_pipe_close_when_sent(struct hbk_pipe *pipe)
{
    pipe->shuts_when_sent = true;
    pipe->closes_when_sent = true;
    hbk_pipe_send(pipe);
}

void hbk_pipe_close_gently(struct hbk_pipe *pipe)
{
    pipe->lingers = !pipe->is_connecting && !pipe->is_shaking;
    hbk_pipe_close_when_sent(pipe);
    if (pipe->lingers && !pipe->is_closed) {
        hbk_loop_post(pipe->net->loop, HBK_PHASE_READ, &pipe->task);
    }
}

/* ---- beginning ---- */

static void finish_connecting(struct hbk_pipe *pipe)
{
    if ((pipe->source.ready & (HBK_WRITABLE | HBK_HUNG_UP)) == 0) {
        return;
    }
    int error = hbk_socket_error(pipe->source.fd);
    if (error != 0) {
        hbk_pipe_fail(pipe, error);
        return;
    }
    pipe->is_connecting = false;
    hbk_socket_tune(pipe->source.fd);
    if (pipe->has_tls) {
        hbk_pipe_tls_begin(pipe);
    } else {
        pipe->events->on_connected(pipe);
    }
}

static void on_ready(struct hbk_source *source)
{
    struct hbk_pipe *pipe = HBK_CONTAINER(source, struct hbk_pipe, source);
    if (pipe->is_connecting) {
        finish_connecting(pipe);
    }
    if (!pipe->is_closed && !pipe->is_connecting && (source->ready & HBK_WRITABLE) != 0 &&
        (!is_all_sent(pipe) || pipe->shuts_when_sent)) {
        hbk_pipe_send(pipe);
    }
    read_some(pipe);
}

static hbk_status start(struct hbk_pipe *pipe, struct hbk_net *net, int fd, size_t out_bytes_max,
                        const struct hbk_pipe_security *security,
                        const struct hbk_pipe_events *events)
{
    pipe->net = net;
    pipe->events = events;
    hbk_buffer_init(&pipe->out, out_bytes_max + HBK_PIPE_OUT_EXTRA_BYTES);
    hbk_task_init(&pipe->task, on_task);
    hbk_task_init(&pipe->write, on_write);
    hbk_status status = HBK_OK;
    if (security != NULL) {
        pipe->has_tls = true;
        status = hbk_pipe_tls_start(pipe, security);
    }
    if (status == HBK_OK) {
        status = hbk_loop_add(net->loop, &pipe->source, fd, on_ready);
    }
    if (status != HBK_OK) {
        hbk_pipe_tls_fini(pipe);
        hbk_fd_close(&fd);
    }
    return status;
}

hbk_status hbk_pipe_open(struct hbk_pipe *pipe, struct hbk_net *net, int fd, size_t out_bytes_max,
                         const struct hbk_pipe_security *security,
                         const struct hbk_pipe_events *events)
{
    *pipe = (struct hbk_pipe){0};
    hbk_socket_tune(fd);
    return start(pipe, net, fd, out_bytes_max, security, events);
}

hbk_status hbk_pipe_connect(struct hbk_pipe *pipe, struct hbk_net *net,
                            const struct hbk_address *to, const struct hbk_address *source,
                            size_t out_bytes_max, const struct hbk_pipe_security *security,
                            const struct hbk_pipe_events *events)
{
    int fd = -1;
    struct hbk_connect_options options = {.source = source};
    *pipe = (struct hbk_pipe){.is_connecting = true};
    HBK_TRY(hbk_socket_connect(to, &options, &fd));
    return start(pipe, net, fd, out_bytes_max, security, events);
}
