/*
 * Whole TLS handshakes in memory, without sockets: many in flight between a client's and a server's
 * worker on one thread, each side's CPU time apart. What `hauberk speed tls` prints.
 */
#pragma once

#include <regex.h>
#include <stddef.h>

#include "base/error.h"

enum {
    HBK_HANDSHAKE_SLICES = 5,
    HBK_HANDSHAKE_IN_FLIGHT = 64,
    HBK_HANDSHAKE_IDLE = 128, /* sessions by which idle memory is measured */
};

struct hbk_handshake_options {
    double seconds;      /* for each figure, all slices together */
    const regex_t *only; /* handshakes whose name matches; NULL for all; borrowed */
};

/* One figure. The texts are constants. */
struct hbk_handshake_row {
    const char *handshake; /* "tls13-p256-mutual-cached", ... */
    const char *engine;    /* "native", "openssl" (libssl alone), "openssl-batched" (our engine) */
    const char *side;      /* "server", "client" */
    double handshakes_per_second;
    double ratio;      /* to the engine openssl in this run; 0: it has no such row */
    double lanes;      /* mean of the batches that this side ran; 0: none */
    double target;     /* of the ratio; 0: none */
    size_t idle_bytes; /* heap of an established session */
};

typedef void hbk_handshake_report(void *context, const struct hbk_handshake_row *row);

/*
 * Measures and reports: for each handshake the engines in turn, slice by slice, so that what
 * disturbs the machine disturbs all; figures are medians. Each handshake ends with one byte each
 * way.
 *
 * Fails: HBK_NO_MEMORY, HBK_IO (libcrypto), HBK_INVALID when a handshake fails, with its reason.
 */
HBK_MUST_USE hbk_status hbk_handshake_run(const struct hbk_handshake_options *options,
                                          hbk_handshake_report *report, void *context,
                                          struct hbk_error *error);
