/* What tests in namespaces share: a private world to run in, and sockets that are waited for. */
#pragma once

#include "harness.h"

#include <poll.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

#include "os/fd.h"
#include "os/isolation.h"
#include "os/netns.h"
#include "os/socket.h"

enum { NETNS_TEST_SKIPPED = 77, NETNS_TEST_WAIT_MS = 5000 };

/* Runs the tests as the first process of a private world; 77 where such worlds are forbidden. */
static inline int run_isolated(int (*run)(void *argument))
{
    if (!hbk_isolation_is_possible()) {
        printf("skipped: namespaces are forbidden here, even to %s\n",
               geteuid() == 0 ? "root" : "user namespaces");
        return NETNS_TEST_SKIPPED;
    }
    struct hbk_error error = {0};
    int exit_status = 1;
    if (hbk_isolation_run(run, NULL, &exit_status, &error) != HBK_OK) {
        printf("%s\n", error.text);
        return 1;
    }
    return exit_status;
}

static inline bool wait_ready(int fd, short events)
{
    struct pollfd ready = {.fd = fd, .events = events};
    return poll(&ready, 1, NETNS_TEST_WAIT_MS) == 1;
}

static inline struct hbk_address address_of(const char *text)
{
    struct hbk_address address;
    assert_true(hbk_address_parse(hbk_slice_text(text), &address));
    return address;
}

/* A listener in the namespace; a mark makes it one of the agent's. */
static inline int listen_in(int netns_fd, const char *where, uint32_t mark)
{
    HBK_CLEANUP(hbk_netns_leave) struct hbk_netns_visit visit = hbk_netns_visit_none();
    struct hbk_address address = address_of(where);
    struct hbk_listen_options options = {.is_transparent = mark != 0, .mark = mark};
    int fd = -1;
    assert_int_equal(hbk_netns_enter(netns_fd, &visit), HBK_OK);
    assert_int_equal(hbk_socket_listen(&address, &options, &fd), HBK_OK);
    return fd;
}

/* Connects from the namespace and waits for the outcome: 0 or an errno value in *out_error. */
static inline int connect_in(int netns_fd, const char *to, const char *spoofed_source,
                             uint32_t mark, int *out_error)
{
    HBK_CLEANUP(hbk_netns_leave) struct hbk_netns_visit visit = hbk_netns_visit_none();
    struct hbk_address address = address_of(to);
    struct hbk_address source = {0};
    struct hbk_connect_options options = {.mark = mark};
    if (spoofed_source != NULL) {
        source = address_of(spoofed_source);
        options.source = &source;
        options.is_spoofed = true;
    }
    int fd = -1;
    assert_int_equal(hbk_netns_enter(netns_fd, &visit), HBK_OK);
    assert_int_equal(hbk_socket_connect(&address, &options, &fd), HBK_OK);
    assert_true(wait_ready(fd, POLLOUT));
    *out_error = hbk_socket_error(fd);
    return fd;
}

/* Takes the connection that waits at the listener. */
static inline int accept_at(int listener, struct hbk_address *out_peer)
{
    int fd = -1;
    assert_true(wait_ready(listener, POLLIN));
    assert_int_equal(hbk_socket_accept(listener, &fd, out_peer), HBK_OK);
    return fd;
}

static inline bool has_caller(int listener)
{
    struct pollfd ready = {.fd = listener, .events = POLLIN};
    return poll(&ready, 1, 0) == 1;
}
