/* A loop with clocks that stand still, and TCP connections over loopback for it. */
#pragma once

#include "harness.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include "clock.h"
#include "net/net.h"
#include "os/socket.h"

/* Turns without progress after which a test has failed; each waits a moment for the kernel. */
enum { TURNS_MAX = 5000 };

struct bench {
    struct hbk_loop loop;
    struct hbk_net net;
};

HBK_UNUSED static void bench_init(struct bench *bench)
{
    clock_start();
    assert_int_equal(hbk_loop_init(&bench->loop), HBK_OK);
    assert_int_equal(hbk_net_init(&bench->net, &bench->loop, &HBK_NET_CONFIG_DEFAULT), HBK_OK);
}

HBK_UNUSED static void bench_fini(struct bench *bench)
{
    hbk_net_fini(&bench->net);
    hbk_loop_fini(&bench->loop);
}

HBK_UNUSED static void turns(struct bench *bench, unsigned count)
{
    for (unsigned i = 0; i < count; i++) {
        hbk_loop_turn(&bench->loop, 0);
    }
}

/* Turns the loop until `condition` holds. */
#define turn_until(bench, condition)                      \
    do {                                                  \
        unsigned turns_left_ = TURNS_MAX;                 \
        while (!(condition) && turns_left_ > 0) {         \
            hbk_loop_turn(&(bench)->loop, HBK_NS_PER_MS); \
            turns_left_--;                                \
        }                                                 \
        if (!(condition)) {                               \
            fail_msg("never came true: %s", #condition);  \
        }                                                 \
    } while (0)

/* Lets the time pass in steps, so that timers fire as they would. */
HBK_UNUSED static void pass(struct bench *bench, uint64_t duration_ns)
{
    for (int i = 0; i < 100; i++) {
        clock_pass(duration_ns / 100);
        turns(bench, 4);
    }
}

HBK_UNUSED static int loopback_listen(int backlog, struct sockaddr_in *out_name)
{
    int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    struct sockaddr_in name = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof name;
    assert_true(listener >= 0);
    assert_int_equal(bind(listener, (struct sockaddr *)&name, size), 0);
    assert_int_equal(listen(listener, backlog), 0);
    assert_int_equal(getsockname(listener, (struct sockaddr *)&name, &size), 0);
    *out_name = name;
    return listener;
}

/* Starts a connection without waiting for it. */
HBK_UNUSED static int loopback_connect(const struct sockaddr_in *name)
{
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    assert_true(fd >= 0);
    assert_true(connect(fd, (const struct sockaddr *)name, sizeof *name) == 0 ||
                errno == EINPROGRESS);
    return fd;
}

/* Two ends of a connection, neither of which blocks; small kernel buffers where wanted. */
HBK_UNUSED static void loopback_pair(int fds[2], bool is_small)
{
    struct sockaddr_in name;
    int listener = loopback_listen(1, &name);
    int small = 4096;
    if (is_small) {
        setsockopt(listener, SOL_SOCKET, SO_RCVBUF, &small, sizeof small);
        setsockopt(listener, SOL_SOCKET, SO_SNDBUF, &small, sizeof small);
    }
    fds[0] = loopback_connect(&name);
    fds[1] = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
    assert_true(fds[1] >= 0);
    if (is_small) {
        setsockopt(fds[0], SOL_SOCKET, SO_RCVBUF, &small, sizeof small);
        setsockopt(fds[0], SOL_SOCKET, SO_SNDBUF, &small, sizeof small);
    }
    close(listener);
}

/* The byte at a place of the pattern that tests send. */
HBK_UNUSED static uint8_t pattern_at(uint64_t place)
{
    return (uint8_t)(place * 31 + (place >> 11));
}

/* Sends as much of the pattern as the socket takes, at most up to `end`. */
HBK_UNUSED static void pattern_send(int fd, uint64_t *place, uint64_t end)
{
    uint8_t bytes[4096];
    while (*place < end) {
        size_t size = end - *place < sizeof bytes ? (size_t)(end - *place) : sizeof bytes;
        for (size_t i = 0; i < size; i++) {
            bytes[i] = pattern_at(*place + i);
        }
        ssize_t sent = send(fd, bytes, size, MSG_NOSIGNAL);
        if (sent <= 0) {
            return; /* full, or dead, which receiving tells */
        }
        *place += (uint64_t)sent;
    }
}

enum pattern_end { PATTERN_GOES_ON, PATTERN_ENDED, PATTERN_RESET };

/* Receives what is there and checks it. */
HBK_UNUSED static enum pattern_end pattern_receive(int fd, uint64_t *place)
{
    uint8_t bytes[4096];
    for (;;) {
        ssize_t size = recv(fd, bytes, sizeof bytes, 0);
        if (size <= 0) {
            return size == 0 ? PATTERN_ENDED : errno == EAGAIN ? PATTERN_GOES_ON : PATTERN_RESET;
        }
        for (ssize_t i = 0; i < size; i++) {
            if (bytes[i] != pattern_at(*place + (uint64_t)i)) {
                fail_msg("byte %llu is wrong", (unsigned long long)(*place + (uint64_t)i));
            }
        }
        *place += (uint64_t)size;
    }
}
