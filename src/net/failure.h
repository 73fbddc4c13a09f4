/*
 * Why a connection ended other than in peace. The first failure is kept with the connection, later
 * ones are consequences; the access log and the metrics print it (ambient.md 5.1, 5.2).
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/compiler.h"
#include "base/status.h"

enum hbk_failure_kind {
    HBK_FAILURE_NONE,
    HBK_FAILURE_ROUTE,    /* no endpoint, or one that this version cannot reach */
    HBK_FAILURE_CONNECT,  /* TCP: refused, unreachable, timed out */
    HBK_FAILURE_TLS,      /* the handshake or a record */
    HBK_FAILURE_IDENTITY, /* the peer is not who it should be, or we have no certificate */
    HBK_FAILURE_HTTP2,    /* the tunnel's protocol */
    HBK_FAILURE_REQUEST,  /* a CONNECT answered with another status than 200; code is the status */
    HBK_FAILURE_POLICY,   /* refused by an authorization policy or by the mode */
    HBK_FAILURE_RESET,    /* the application or the peer broke the connection off */
    HBK_FAILURE_TIMEOUT,  /* a deadline of ours */
    HBK_FAILURE_DRAIN,    /* we are shutting down */
    HBK_FAILURE_REVOKED,  /* the peer's certificate is revoked, expired or without its root now */
    HBK_FAILURE_LIMIT,    /* a pool, a descriptor or another limit of ours ran out */
};

enum { HBK_FAILURE_TEXT_BYTES_MAX = 256 };

struct hbk_failure {
    enum hbk_failure_kind kind;
    hbk_status status;
    uint32_t code; /* errno, TLS alert, HTTP/2 code or HTTP status, as the kind says; 0: none */
    char *text;    /* owned; NULL while kind is HBK_FAILURE_NONE, or when memory ran out */
};

/* Keeps the first failure; text over the limit is cut. */
HBK_PRINTF(5, 6)
void hbk_failure_set(struct hbk_failure *failure, enum hbk_failure_kind kind, hbk_status status,
                     uint32_t code, const char *format, ...);

/* Copies `from` unless there is a failure already. */
void hbk_failure_copy(struct hbk_failure *failure, const struct hbk_failure *from);

/* Frees the text and starts anew. */
void hbk_failure_clear(struct hbk_failure *failure);

/* One sentence for people; never NULL. Borrowed until the failure changes. */
const char *hbk_failure_text(const struct hbk_failure *failure);
