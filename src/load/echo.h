/*
 * The echo server: what requests are aimed at in demonstrations, tests and benchmarks. Over
 * HTTP/1.1 any path answers 200 with a fixed body, or with the request's body if there is one, and
 * as the query wishes (load/echo_wish.h); /whoami with the caller's address and head; over TCP it
 * sends back, swallows or pours out bytes. One process, a loop per thread, bounded buffers.
 */
#pragma once

#include "base/address.h"
#include "base/error.h"
#include "load/echo_wish.h"

struct hbk_tls_context;

enum hbk_echo_mode {
    HBK_ECHO_HTTP,
    HBK_ECHO_TCP,    /* sends back what it receives */
    HBK_ECHO_SINK,   /* swallows; answers the end with the end */
    HBK_ECHO_SOURCE, /* sends `size_bytes` and ends; swallows what comes */
};

/* Largest body: it is held in memory once. */
#define HBK_ECHO_BODY_BYTES_MAX (UINT64_C(1) << 30)

/* Of all requests' bodies that one thread holds at once to send them back, unless told otherwise.
 */
#define HBK_ECHO_BODIES_BYTES (UINT64_C(256) << 20)

/* A head must be complete in this time; above it: 408. */
#define HBK_ECHO_HEAD_NS (UINT64_C(30) * 1000 * 1000 * 1000)

/* What was refused, over all threads. */
struct hbk_echo_counts {
    uint64_t connections; /* closed at once: too many, or no memory */
    uint64_t bodies;      /* 413: too large, or too much held for all together */
    uint64_t held;        /* closed: too much held for all together, of what waits to be read */
    uint64_t heads;       /* 408: not complete in time */
    uint64_t malformed;   /* 4xx or 5xx: not HTTP/1.1 */
};

struct hbk_echo_options {
    enum hbk_echo_mode mode;
    struct hbk_address listen;         /* port 0: any */
    struct hbk_echo_defaults defaults; /* HTTP: mixes, and headers of every answer */
    uint64_t delay_ns;                 /* between an HTTP request and its answer */
    uint64_t size_bytes; /* HTTP: of the body, 0: "ok"; HBK_ECHO_SOURCE: sent per connection */
    uint64_t bodies_bytes_max; /* HTTP: of requests that a thread holds: of bodies, above it 413,
                                  and of what waits to be read, above it closed */
    uint64_t head_ns;          /* HTTP: a head's time; 0: HBK_ECHO_HEAD_NS */
    struct hbk_echo_counts *counts; /* borrowed; written at the end; NULL: nobody asks */
    struct hbk_tls_context *tls;    /* borrowed; NULL: plain. HBK_ECHO_HTTP and HBK_ECHO_TCP */
    unsigned threads;               /* 1 to HBK_WORKERS_MAX */
    int first_core;                 /* thread i runs on core first_core + i; negative: anywhere */
};

/*
 * Serves until `stop_fd` becomes readable, an eventfd or one of hbk_signal_open(). Calls
 * `on_listening` once, when connections are taken, with the address that was bound.
 *
 * Fails: HBK_IN_USE, HBK_NO_ADDRESS, HBK_DENIED, HBK_INVALID (core), HBK_LIMIT, HBK_NO_MEMORY,
 * HBK_IO; `error` says why. Thread: one that may block until then.
 */
HBK_MUST_USE hbk_status hbk_echo_run(const struct hbk_echo_options *options, int stop_fd,
                                     void (*on_listening)(const struct hbk_address *bound,
                                                          void *argument),
                                     void *argument, struct hbk_error *error);
