/*
 * Per message: one wait (shared by all that is ready), one read, one write. A write that the kernel
 * does not take whole is kept, and the other side is not read until it has gone: that happens to
 * bulk data only.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "bench/bare.h"
#include "os/limits.h"
#include "os/socket.h"

enum { EVENTS = 256, READ_BYTES = 64 << 10, FDS_MAX = 4 * HBK_BARE_CONNECTIONS_MAX };

/* One side of a connection: what is still to be sent to it. */
struct side {
    int peer;         /* descriptor of the other side */
    uint8_t *pending; /* owned; NULL: nothing */
    size_t pending_bytes;
    bool is_ending; /* close both when all is sent */
};

struct relay {
    const struct hbk_bare_relay *plan;
    int poll;
    struct side sides[FDS_MAX]; /* by descriptor */
    uint8_t bytes[READ_BYTES];
};

static void watch(const struct relay *relay, int fd, int operation, uint32_t events)
{
    struct epoll_event event = {.events = events, .data.fd = fd};
    (void)epoll_ctl(relay->poll, operation, fd, &event);
}

static void end_side(struct relay *relay, int fd)
{
    free(relay->sides[fd].pending);
    relay->sides[fd] = (struct side){.peer = -1};
    (void)close(fd);
}

static void end_both(struct relay *relay, int fd)
{
    int peer = relay->sides[fd].peer;
    end_side(relay, fd);
    if (peer >= 0) {
        end_side(relay, peer);
    }
}

/* Waits for the connection: between these namespaces the kernel accepts at once. */
static int connect_on(const struct relay *relay, int accepted)
{
    struct hbk_address to;
    struct hbk_connect_options options = {.mark = relay->plan->mark};
    int fd = -1;
    if (hbk_socket_original_destination(accepted, &to) != HBK_OK ||
        hbk_socket_connect(&to, &options, &fd) != HBK_OK) {
        return -1;
    }
    return fd;
}

static void accept_all(struct relay *relay)
{
    struct hbk_address peer;
    for (int down; hbk_socket_accept(relay->plan->listener, &down, &peer) == HBK_OK;) {
        int up = connect_on(relay, down);
        if (up < 0 || up >= FDS_MAX || down >= FDS_MAX) {
            (void)close(down);
            continue;
        }
        relay->sides[down] = (struct side){.peer = up};
        relay->sides[up] = (struct side){.peer = down};
        hbk_socket_tune(down);
        hbk_socket_tune(up);
        watch(relay, up, EPOLL_CTL_ADD, EPOLLIN);
        watch(relay, down, EPOLL_CTL_ADD, EPOLLIN);
    }
}

/* Keeps what was not taken and stops reading where it came from. */
static bool keep(struct relay *relay, int to, const uint8_t *bytes, size_t size)
{
    struct side *side = &relay->sides[to];
    uint8_t *kept = malloc(size);
    if (kept == NULL) {
        return false;
    }
    memcpy(kept, bytes, size);
    free(side->pending);
    side->pending = kept;
    side->pending_bytes = size;
    watch(relay, to, EPOLL_CTL_MOD, EPOLLOUT);
    watch(relay, side->peer, EPOLL_CTL_MOD, 0);
    return true;
}

static bool pass(struct relay *relay, int to, const uint8_t *bytes, size_t size)
{
    ssize_t sent = send(to, bytes, size, MSG_NOSIGNAL);
    if (sent < 0 && errno != EAGAIN && errno != ENOTCONN) {
        return false;
    }
    size_t done = sent < 0 ? 0 : (size_t)sent;
    return done == size || keep(relay, to, bytes + done, size - done);
}

static void flush(struct relay *relay, int fd)
{
    struct side *side = &relay->sides[fd];
    ssize_t sent = send(fd, side->pending, side->pending_bytes, MSG_NOSIGNAL);
    if (sent < 0 && errno != EAGAIN) {
        end_both(relay, fd);
        return;
    }
    size_t done = sent < 0 ? 0 : (size_t)sent;
    side->pending_bytes -= done;
    memmove(side->pending, side->pending + done, side->pending_bytes);
    if (side->pending_bytes > 0) {
        return;
    }
    free(side->pending);
    side->pending = NULL;
    if (side->is_ending) {
        end_both(relay, fd);
        return;
    }
    watch(relay, fd, EPOLL_CTL_MOD, EPOLLIN);
    watch(relay, side->peer, EPOLL_CTL_MOD, EPOLLIN);
}

static void carry(struct relay *relay, int fd)
{
    int peer = relay->sides[fd].peer;
    ssize_t got = recv(fd, relay->bytes, sizeof relay->bytes, 0);
    if (got < 0 && (errno == EAGAIN || errno == EINTR)) {
        return;
    }
    if (got > 0) {
        if (!pass(relay, peer, relay->bytes, (size_t)got)) {
            end_both(relay, fd);
        }
        return;
    }
    if (relay->sides[peer].pending != NULL) {
        relay->sides[peer].is_ending = true;
        watch(relay, fd, EPOLL_CTL_MOD, 0);
        return;
    }
    end_both(relay, fd);
}

static void handle(struct relay *relay, const struct epoll_event *event)
{
    int fd = event->data.fd;
    if (fd == relay->plan->listener) {
        accept_all(relay);
    } else if (relay->sides[fd].peer < 0) {
        return; /* ended in this turn, with its other side */
    } else if ((event->events & EPOLLOUT) != 0 && relay->sides[fd].pending != NULL) {
        flush(relay, fd);
    } else if ((event->events & (EPOLLHUP | EPOLLERR)) != 0 && (event->events & EPOLLIN) == 0) {
        end_both(relay, fd);
    } else {
        carry(relay, fd);
    }
}

int hbk_bare_relay_run(void *argument)
{
    struct relay *relay = calloc(1, sizeof *relay);
    uint64_t files_max = 0;
    if (relay == NULL || hbk_limits_raise_open_files(&files_max) != HBK_OK) {
        return EXIT_FAILURE;
    }
    for (int fd = 0; fd < FDS_MAX; fd++) {
        relay->sides[fd].peer = -1;
    }
    relay->plan = argument;
    relay->poll = epoll_create1(EPOLL_CLOEXEC);
    watch(relay, relay->plan->listener, EPOLL_CTL_ADD, EPOLLIN);
    for (;;) {
        struct epoll_event events[EVENTS];
        int ready = epoll_wait(relay->poll, events, EVENTS, -1);
        for (int i = 0; i < ready; i++) {
            handle(relay, &events[i]);
        }
    }
}
