/*
 * Bare peers: the cheapest client, server and relay that we can write, one thread each, so that
 * what is measured is the path between them. They parse nothing: requests and replies have fixed
 * sizes and are counted in bytes.
 *
 * Each runs as a child process in a place of the topology and answers in memory that it shares with
 * us (os/process.h, hbk_process_spec_call()).
 */
#pragma once

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/address.h"

enum {
    HBK_BARE_WATCHED_MAX = 4,
    HBK_BARE_CONNECTIONS_MAX = 16384,
    HBK_BARE_CONNECTING_MAX = 64, /* connections that are opened at the same time */
};

/* Kept-alive HTTP/1.1, two bytes of body. */
#define HBK_BARE_REQUEST "GET / HTTP/1.1\r\nHost: cart\r\n\r\n"
#define HBK_BARE_REPLY "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"

struct hbk_bare_server {
    int listener;                      /* made before in the right namespace; inherited */
    bool is_sink;                      /* swallows instead of answering */
    _Atomic uint64_t *swallowed_bytes; /* of a sink; shared */
};
int hbk_bare_server_run(void *server);

/*
 * Two of these stand where two agents would: behind the same redirection, each takes what comes to
 * its listener and carries it to where it was going, one read and one write per message, plain.
 */
struct hbk_bare_relay {
    int listener;
    uint32_t mark; /* on connections it makes, so that they are not redirected again */
};
int hbk_bare_relay_run(void *relay);

enum hbk_bare_mode {
    HBK_BARE_CLOSED,  /* each connection asks again as soon as it has its answer */
    HBK_BARE_OPEN,    /* requests leave by the clock, spread over the connections */
    HBK_BARE_CONNECT, /* closed, but each request has a connection of its own */
    HBK_BARE_HOLD,    /* one request per connection, then all stay open and idle */
    HBK_BARE_BULK,    /* one connection sends as much as it can */
};

struct hbk_bare_plan {
    enum hbk_bare_mode mode;
    struct hbk_address to;
    unsigned connections;
    unsigned rate_rps;                   /* of HBK_BARE_OPEN */
    uint64_t warm_ns;                    /* before the measured window */
    uint64_t measure_ns;                 /* the window */
    pid_t watched[HBK_BARE_WATCHED_MAX]; /* whose CPU in the window is read; 0: none */
    _Atomic uint64_t *swallowed_bytes;   /* by the sink of HBK_BARE_BULK */
};

/* In shared memory; complete when the client has ended, but for HBK_BARE_HOLD when is_holding. */
struct hbk_bare_result {
    uint64_t window_ns;
    uint64_t requests; /* answered in the window */
    uint64_t bytes;    /* of HBK_BARE_BULK */
    uint64_t errors;   /* connections that failed or ended early, in the whole run */
    uint64_t cpu_ns[HBK_BARE_WATCHED_MAX];
    uint64_t client_cpu_ns;
    double p50_us, p99_us;
    _Atomic bool is_holding;
};

struct hbk_bare_client {
    struct hbk_bare_plan plan;
    struct hbk_bare_result *result; /* shared */
};

/* Exit status 0 when the window was measured, even with errors; 1 when nothing could be. */
int hbk_bare_client_run(void *client);

/* Sends one bare request over a fresh connection from a namespace; true when the whole reply came
 * within a second. Thread: control, it blocks. */
bool hbk_bare_is_answered(int netns_fd, const struct hbk_address *to);
