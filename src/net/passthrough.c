#include "net/passthrough.h"

#include <errno.h>
#include <string.h>

#include "base/assert.h"
#include "os/fd.h"
#include "os/socket.h"

static void on_first_ready(struct hbk_source *source);
static void on_second_ready(struct hbk_source *source);

static void on_burial(struct hbk_task *task)
{
    struct hbk_passthrough *passthrough = HBK_CONTAINER(task, struct hbk_passthrough, task);
    for (int i = 0; i < 2; i++) {
        hbk_fd_close(&passthrough->sides[i].source.fd);
        hbk_buffer_fini(&passthrough->sides[i].backlog);
    }
    passthrough->events->on_closed(passthrough);
}

static void close_both(struct hbk_passthrough *passthrough)
{
    if (passthrough->is_closed) {
        return;
    }
    passthrough->is_closed = true;
    struct hbk_loop *loop = passthrough->net->loop;
    for (int i = 0; i < 2; i++) {
        hbk_loop_remove(loop, &passthrough->sides[i].source);
    }
    hbk_loop_timer_cancel(loop, &passthrough->timer);
    hbk_task_cancel(&passthrough->task);
    passthrough->task.run = on_burial;
    hbk_loop_post(loop, HBK_PHASE_END, &passthrough->task);
}

void hbk_passthrough_abort(struct hbk_passthrough *passthrough)
{
    if (!passthrough->is_closed) {
        hbk_socket_reset_on_close(passthrough->sides[0].source.fd);
        hbk_socket_reset_on_close(passthrough->sides[1].source.fd);
        close_both(passthrough);
    }
}

static void socket_failed(struct hbk_passthrough *passthrough)
{
    int error = errno;
    hbk_failure_set(&passthrough->failure, HBK_FAILURE_RESET, hbk_status_from_errno(error),
                    (uint32_t)error, "io error: %s", strerror(error));
    hbk_passthrough_abort(passthrough);
}

/* Ends `to` once all that came from `from` is sent; closes when both directions are over. */
static void pass_end(struct hbk_passthrough *passthrough, struct hbk_passthrough_side *from,
                     struct hbk_passthrough_side *to)
{
    if (from->has_ended && hbk_buffer_is_empty(&to->backlog) && !to->is_shut) {
        to->is_shut = true;
        hbk_socket_end(to->source.fd);
    }
    if (from->is_shut && to->is_shut) {
        close_both(passthrough);
    }
}

/* Sends at once what the socket takes and keeps the rest; false when the connection is dead. */
static bool pass_bytes(struct hbk_passthrough *passthrough, struct hbk_passthrough_side *to,
                       struct hbk_slice bytes)
{
    size_t size = 0;
    if (hbk_socket_send(to->source.fd, bytes, &size) == HBK_IO_FAILED) {
        socket_failed(passthrough);
        return false;
    }
    hbk_loop_told(passthrough->net->loop, &to->source);
    if (hbk_buffer_append(&to->backlog, hbk_slice_part(bytes, size, bytes.size)) != HBK_OK) {
        hbk_failure_set(&passthrough->failure, HBK_FAILURE_LIMIT, HBK_NO_MEMORY, 0,
                        "no memory for what the other side does not read");
        hbk_passthrough_abort(passthrough);
        return false;
    }
    return true;
}

/* Receives once; false when there is nothing more for now. */
static bool read_once(struct hbk_passthrough *passthrough, struct hbk_passthrough_side *from,
                      struct hbk_passthrough_side *to)
{
    struct hbk_span room =
        hbk_span_of(passthrough->net->input.bytes, HBK_PASSTHROUGH_BACKLOG_BYTES_MAX);
    size_t size = 0;
    switch (hbk_socket_receive(from->source.fd, room, &size)) {
    case HBK_IO_DONE:
        from->received_bytes += size;
        if (size < room.size && (from->source.ready & (HBK_ENDED | HBK_HUNG_UP)) == 0) {
            from->source.ready &= ~(uint32_t)HBK_READABLE;
        }
        return pass_bytes(passthrough, to, hbk_slice_of(room.bytes, size));
    case HBK_IO_AGAIN:
        from->source.ready &= ~(uint32_t)HBK_READABLE;
        return false;
    case HBK_IO_END:
        from->source.ready &= ~(uint32_t)HBK_READABLE;
        from->has_ended = true;
        pass_end(passthrough, from, to);
        return false;
    case HBK_IO_FAILED:
        socket_failed(passthrough);
        return false;
    }
    HBK_UNREACHABLE();
}

static void pump(struct hbk_passthrough *passthrough, struct hbk_passthrough_side *from,
                 struct hbk_passthrough_side *to)
{
    uint64_t limit = from->received_bytes + HBK_RELAY_TURN_BYTES;
    while (!passthrough->is_closed && !from->has_ended && hbk_buffer_is_empty(&to->backlog) &&
           (from->source.ready & HBK_READABLE) != 0) {
        if (from->received_bytes >= limit) {
            hbk_loop_post(passthrough->net->loop, HBK_PHASE_READ, &passthrough->task);
            return;
        }
        if (!read_once(passthrough, from, to)) {
            return;
        }
    }
}

static void flush(struct hbk_passthrough *passthrough, struct hbk_passthrough_side *from,
                  struct hbk_passthrough_side *to)
{
    while (!hbk_buffer_is_empty(&to->backlog)) {
        size_t size = 0;
        switch (hbk_socket_send(to->source.fd, hbk_buffer_slice(&to->backlog), &size)) {
        case HBK_IO_DONE:
            hbk_buffer_consume(&to->backlog, size);
            break;
        case HBK_IO_AGAIN:
        case HBK_IO_END:
            return;
        case HBK_IO_FAILED:
            socket_failed(passthrough);
            return;
        }
    }
    pass_end(passthrough, from, to);
}

/* We have not ended our direction, so a hang-up behind the other side's end is a reset. */
static bool is_reset(const struct hbk_passthrough_side *side)
{
    return side->has_ended && !side->is_shut && (side->source.ready & HBK_HUNG_UP) != 0;
}

/* Both backlogs first: whoever waits for an empty one reads a socket that makes no new edge. */
static void move_all(struct hbk_passthrough *passthrough)
{
    for (int i = 0; i < 2 && !passthrough->is_closed && !passthrough->is_connecting; i++) {
        flush(passthrough, &passthrough->sides[1 - i], &passthrough->sides[i]);
    }
    for (int i = 0; i < 2 && !passthrough->is_closed && !passthrough->is_connecting; i++) {
        pump(passthrough, &passthrough->sides[i], &passthrough->sides[1 - i]);
    }
    for (int i = 0; i < 2 && !passthrough->is_closed && !passthrough->is_connecting; i++) {
        if (is_reset(&passthrough->sides[i])) {
            errno = ECONNRESET;
            socket_failed(passthrough);
        }
    }
}

static void on_task(struct hbk_task *task)
{
    move_all(HBK_CONTAINER(task, struct hbk_passthrough, task));
}

static void on_first_ready(struct hbk_source *source)
{
    struct hbk_passthrough *passthrough =
        HBK_CONTAINER(source, struct hbk_passthrough, sides[0].source);
    if (passthrough->is_connecting && (source->ready & HBK_HUNG_UP) != 0) {
        hbk_failure_set(&passthrough->failure, HBK_FAILURE_RESET, HBK_CLOSED, 0,
                        "the application gave up before the connection stood");
        hbk_passthrough_abort(passthrough);
        return;
    }
    move_all(passthrough);
}

static void connect_failed(struct hbk_passthrough *passthrough, hbk_status status, int error)
{
    hbk_failure_set(&passthrough->failure, HBK_FAILURE_CONNECT, status, (uint32_t)error,
                    "connection failed: %s", strerror(error));
    hbk_passthrough_abort(passthrough);
}

static void on_second_ready(struct hbk_source *source)
{
    struct hbk_passthrough *passthrough =
        HBK_CONTAINER(source, struct hbk_passthrough, sides[1].source);
    if (passthrough->is_connecting) {
        int error = hbk_socket_error(source->fd);
        if (error == 0 && (source->ready & HBK_WRITABLE) == 0) {
            return;
        }
        passthrough->is_connecting = false;
        hbk_loop_timer_cancel(passthrough->net->loop, &passthrough->timer);
        if (error != 0) {
            connect_failed(passthrough, hbk_status_from_errno(error), error);
        }
        passthrough->events->on_connected(passthrough, error);
    }
    move_all(passthrough);
}

static void on_connect_timeout(struct hbk_timer *timer)
{
    struct hbk_passthrough *passthrough = HBK_CONTAINER(timer, struct hbk_passthrough, timer);
    connect_failed(passthrough, HBK_TIMEOUT, ETIMEDOUT);
}

hbk_status hbk_passthrough_start(struct hbk_passthrough *passthrough, struct hbk_net *net,
                                 int accepted_fd, int connecting_fd,
                                 const struct hbk_passthrough_events *events)
{
    *passthrough = (struct hbk_passthrough){.net = net, .events = events, .is_connecting = true};
    hbk_task_init(&passthrough->task, on_task);
    hbk_timer_init(&passthrough->timer, on_connect_timeout);
    for (int i = 0; i < 2; i++) {
        hbk_buffer_init(&passthrough->sides[i].backlog, HBK_PASSTHROUGH_BACKLOG_BYTES_MAX);
    }
    hbk_status status =
        hbk_loop_add(net->loop, &passthrough->sides[0].source, accepted_fd, on_first_ready);
    if (status == HBK_OK) {
        status =
            hbk_loop_add(net->loop, &passthrough->sides[1].source, connecting_fd, on_second_ready);
        if (status != HBK_OK) {
            hbk_loop_remove(net->loop, &passthrough->sides[0].source);
        }
    }
    if (status != HBK_OK) {
        hbk_fd_close(&accepted_fd);
        hbk_fd_close(&connecting_fd);
        return status;
    }
    passthrough->sides[0].source.is_single = true;
    passthrough->sides[1].source.is_single = true;
    passthrough->sides[1].source.pace.answers = true;
    hbk_socket_tune(accepted_fd);
    hbk_socket_tune(connecting_fd);
    hbk_loop_timer(net->loop, &passthrough->timer, net->config.connect_timeout_ns);
    return HBK_OK;
}
