/* One HTTP request over a fresh connection, from a place of the topology, and what came of it. */
#pragma once

#include "base/address.h"
#include "base/arena.h"
#include "base/status.h"

enum { HBK_REQUEST_REPLY_BYTES_MAX = 4 << 20 };

enum hbk_request_outcome {
    HBK_REQUEST_ANSWERED,  /* with a status */
    HBK_REQUEST_REFUSED,   /* no connection */
    HBK_REQUEST_CLOSED,    /* connected, and ended or reset without an answer */
    HBK_REQUEST_TIMED_OUT, /* neither */
};

struct hbk_request {
    int netns_fd; /* where it comes from; -1: here */
    struct hbk_address to;
    const char *path;    /* from the slash on */
    const char *headers; /* whole lines with CRLF; NULL: none */
    uint64_t timeout_ns; /* for all of it */
};

struct hbk_reply {
    enum hbk_request_outcome outcome;
    unsigned status;       /* of an answer */
    struct hbk_slice text; /* all that came, in the arena, with a zero behind it */
};

/* Asks with "Connection: close" and waits for the end. Fails: HBK_NO_MEMORY, HBK_DENIED
 * (namespace), HBK_LIMIT (descriptors). Thread: control, it blocks. */
HBK_MUST_USE hbk_status hbk_request_send(const struct hbk_request *request, struct hbk_arena *arena,
                                         struct hbk_reply *out_reply);

/* "answered with 200", "refused", ...: for reports. */
const char *hbk_request_outcome_text(enum hbk_request_outcome outcome);
