#include <errno.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "bench/bare.h"
#include "os/limits.h"
#include "os/socket.h"

enum {
    EVENTS = 256,
    READ_BYTES = 256 << 10, /* for the sink; requests are short */
    REQUEST_BYTES = sizeof HBK_BARE_REQUEST - 1,
    REPLY_BYTES = sizeof HBK_BARE_REPLY - 1,
};

struct server {
    const struct hbk_bare_server *plan;
    int poll;
    uint8_t partial[2 * HBK_BARE_CONNECTIONS_MAX]; /* by descriptor: bytes of a request so far */
    uint8_t bytes[READ_BYTES];
};

static void watch(const struct server *server, int fd)
{
    struct epoll_event event = {.events = EPOLLIN, .data.fd = fd};
    (void)epoll_ctl(server->poll, EPOLL_CTL_ADD, fd, &event);
}

static void accept_all(struct server *server)
{
    struct hbk_address peer;
    for (int fd; hbk_socket_accept(server->plan->listener, &fd, &peer) == HBK_OK;) {
        if ((size_t)fd >= HBK_COUNT(server->partial)) {
            (void)close(fd);
            continue;
        }
        hbk_socket_tune(fd);
        server->partial[fd] = 0;
        watch(server, fd);
    }
}

static bool answer(struct server *server, int fd, size_t got)
{
    size_t whole = server->partial[fd] + got;
    server->partial[fd] = (uint8_t)(whole % REQUEST_BYTES);
    for (size_t i = 0; i < whole / REQUEST_BYTES; i++) {
        if (send(fd, HBK_BARE_REPLY, REPLY_BYTES, MSG_NOSIGNAL) != REPLY_BYTES) {
            return false;
        }
    }
    return true;
}

static void serve(struct server *server, int fd)
{
    ssize_t got = recv(fd, server->bytes, sizeof server->bytes, 0);
    if (got < 0 && (errno == EAGAIN || errno == EINTR)) {
        return;
    }
    if (got > 0 && server->plan->is_sink) {
        /* Relaxed: a count that another process reads now and then. */
        (void)atomic_fetch_add_explicit(server->plan->swallowed_bytes, (uint64_t)got,
                                        memory_order_relaxed);
    } else if (got <= 0 || !answer(server, fd, (size_t)got)) {
        (void)close(fd);
    }
}

int hbk_bare_server_run(void *argument)
{
    struct server *server = calloc(1, sizeof *server);
    uint64_t files_max = 0;
    if (server == NULL || hbk_limits_raise_open_files(&files_max) != HBK_OK) {
        return EXIT_FAILURE;
    }
    server->plan = argument;
    server->poll = epoll_create1(EPOLL_CLOEXEC);
    watch(server, server->plan->listener);
    for (;;) {
        struct epoll_event events[EVENTS];
        int ready = epoll_wait(server->poll, events, EVENTS, -1);
        for (int i = 0; i < ready; i++) {
            if (events[i].data.fd == server->plan->listener) {
                accept_all(server);
            } else {
                serve(server, events[i].data.fd);
            }
        }
    }
}
