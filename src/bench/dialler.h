/*
 * A client that opens tunnels to an agent, one after another: TCP, a full mutual handshake of TLS
 * 1.3, the agent's first bytes as proof that it is through with its side, and an end in peace. One
 * thread with a loop and batches as an agent's worker has, so that it keeps up with one.
 *
 * It runs as a child process and answers in memory that it shares with us, as bare peers do.
 */
#pragma once

#include <stdint.h>
#include <sys/types.h>

#include "base/address.h"
#include "tls/credential.h"

enum {
    HBK_DIALLER_IN_FLIGHT_MAX = 512,
    HBK_DIALLER_WATCHED_MAX = 2,
};

struct hbk_dialler_plan {
    struct hbk_address to;
    struct hbk_tls_credential *credential; /* borrowed: whom we are and whom we trust */
    unsigned in_flight;                    /* handshakes at the same time, at most */
    unsigned rate;                         /* begun each second by the clock; 0: as many as go */
    uint32_t mark;                         /* on its sockets, so that they are not redirected */
    uint64_t warm_ns;                      /* before the measured window */
    uint64_t measure_ns;
    pid_t watched[HBK_DIALLER_WATCHED_MAX]; /* whose CPU in the window is read; 0: none */
};

/* In shared memory; complete when the process has ended. */
struct hbk_dialler_result {
    uint64_t window_ns;
    uint64_t handshakes;       /* that ended in the window */
    uint64_t handshakes_begun; /* in the whole run, those that failed included */
    uint64_t errors;           /* in the whole run */
    uint64_t cpu_ns[HBK_DIALLER_WATCHED_MAX];
    uint64_t client_cpu_ns;
    double p50_us, p99_us; /* from the connection's beginning to the agent's first bytes */
    char failure[160];     /* the first; empty: none */
};

struct hbk_dialler {
    struct hbk_dialler_plan plan;
    struct hbk_dialler_result *result; /* shared */
};

/* Exit status 0 when the window was measured, even with errors. */
int hbk_dialler_run(void *dialler);
