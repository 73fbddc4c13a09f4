#include "bench/request.h"

#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buffer.h"
#include "base/clock.h"
#include "os/fd.h"
#include "os/netns.h"
#include "os/socket.h"

enum { REQUEST_BYTES_MAX = 2048, READ_BYTES = 16 << 10 };

static bool wait_ready(int fd, short events, uint64_t end_ns)
{
    uint64_t now_ns = hbk_clock_monotonic_ns();
    int left_ms = now_ns >= end_ns ? 0 : (int)((end_ns - now_ns) / HBK_NS_PER_MS) + 1;
    struct pollfd ready = {.fd = fd, .events = events};
    return poll(&ready, 1, left_ms) == 1;
}

static hbk_status connect_from(const struct hbk_request *request, int *out_fd)
{
    HBK_CLEANUP(hbk_netns_leave) struct hbk_netns_visit visit = hbk_netns_visit_none();
    if (request->netns_fd >= 0) {
        HBK_TRY(hbk_netns_enter(request->netns_fd, &visit));
    }
    struct hbk_connect_options options = {0};
    return hbk_socket_connect(&request->to, &options, out_fd);
}

/* True when the whole request has left; the peer may close early, which reading will show. */
static bool send_request(int fd, const struct hbk_request *request, uint64_t end_ns)
{
    char text[REQUEST_BYTES_MAX];
    char host[HBK_ADDRESS_TEXT_BYTES_MAX];
    int size =
        snprintf(text, sizeof text, "GET %s HTTP/1.1\r\nHost: %s\r\nConnection: close\r\n%s\r\n",
                 request->path, hbk_address_text(&request->to, host),
                 request->headers == NULL ? "" : request->headers);
    struct hbk_slice left = hbk_slice_of(text, (size_t)size);
    while (left.size > 0 && wait_ready(fd, POLLOUT, end_ns)) {
        size_t sent = 0;
        enum hbk_io io = hbk_socket_send(fd, left, &sent);
        if (io == HBK_IO_DONE) {
            left = hbk_slice_part(left, sent, left.size);
        } else if (io != HBK_IO_AGAIN) {
            return false;
        }
    }
    return left.size == 0;
}

/* Reads until the other side ends; false when time or room ran out first. */
static bool read_reply(int fd, struct hbk_buffer *text, uint64_t end_ns)
{
    while (wait_ready(fd, POLLIN, end_ns)) {
        struct hbk_span room;
        size_t got = 0;
        if (hbk_buffer_reserve(text, READ_BYTES, &room) != HBK_OK) {
            return false;
        }
        switch (hbk_socket_receive(fd, room, &got)) {
        case HBK_IO_DONE:
            hbk_buffer_commit(text, got);
            break;
        case HBK_IO_AGAIN:
            break;
        case HBK_IO_END:
        case HBK_IO_FAILED:
            return true;
        }
    }
    return false;
}

static unsigned status_of(const char *text)
{
    static const char start[] = "HTTP/1.1 ";
    bool is_answer = strncmp(text, start, sizeof start - 1) == 0;
    return is_answer ? (unsigned)strtoul(text + sizeof start - 1, NULL, 10) : 0;
}

static hbk_status converse(int fd, const struct hbk_request *request, uint64_t end_ns,
                           struct hbk_buffer *text, struct hbk_arena *arena,
                           struct hbk_reply *out_reply)
{
    if (!wait_ready(fd, POLLOUT, end_ns)) {
        *out_reply = (struct hbk_reply){.outcome = HBK_REQUEST_TIMED_OUT};
        return HBK_OK;
    }
    if (hbk_socket_error(fd) != 0) {
        *out_reply = (struct hbk_reply){.outcome = HBK_REQUEST_REFUSED};
        return HBK_OK;
    }
    (void)send_request(fd, request, end_ns);
    bool has_ended = read_reply(fd, text, end_ns);
    char *copy = hbk_arena_string(arena, hbk_buffer_slice(text));
    if (copy == NULL) {
        return HBK_NO_MEMORY;
    }
    struct hbk_reply reply = {
        .status = status_of(copy),
        .text = hbk_slice_of(copy, hbk_buffer_size(text)),
    };
    reply.outcome = reply.status != 0 ? HBK_REQUEST_ANSWERED
                    : has_ended       ? HBK_REQUEST_CLOSED
                                      : HBK_REQUEST_TIMED_OUT;
    *out_reply = reply;
    return HBK_OK;
}

hbk_status hbk_request_send(const struct hbk_request *request, struct hbk_arena *arena,
                            struct hbk_reply *out_reply)
{
    HBK_CLEANUP(hbk_fd_close) int fd = -1;
    uint64_t end_ns = hbk_clock_monotonic_ns() + request->timeout_ns;
    hbk_status status = connect_from(request, &fd);
    if (status == HBK_NO_ROUTE) {
        *out_reply = (struct hbk_reply){.outcome = HBK_REQUEST_REFUSED};
        return HBK_OK;
    }
    HBK_TRY(status);
    HBK_CLEANUP(hbk_buffer_fini) struct hbk_buffer text;
    hbk_buffer_init(&text, HBK_REQUEST_REPLY_BYTES_MAX);
    return converse(fd, request, end_ns, &text, arena, out_reply);
}

const char *hbk_request_outcome_text(enum hbk_request_outcome outcome)
{
    switch (outcome) {
    case HBK_REQUEST_ANSWERED:
        return "answered";
    case HBK_REQUEST_REFUSED:
        return "refused";
    case HBK_REQUEST_CLOSED:
        return "closed without an answer";
    case HBK_REQUEST_TIMED_OUT:
        return "no answer in time";
    }
    return "unknown";
}
