/*
 * TLS of one connection of the load generator or the echo server, between its socket and its
 * protocol: the peer's bytes go in, plain bytes come out, and the other way round. No I/O of its
 * own. One thread, its worker's.
 *
 *     socket --> hbk_secure_put --> hbk_secure_next --> plain bytes
 *     socket <-- `out` <------------ hbk_secure_seal <-- plain bytes
 */
#pragma once

#include "base/arena.h"
#include "base/buffer.h"
#include "base/error.h"
#include "net/batch.h"
#include "tls/session.h"

enum {
    HBK_SECURE_IN_BYTES_MAX = 1 << 20,     /* not yet opened, of one connection */
    HBK_SECURE_PEM_BYTES_MAX = 256 << 10,  /* one file */
    HBK_SECURE_PLAIN_BYTES_MAX = 64 << 10, /* sealed at once */
};

/* What the command line says about TLS; paths of PEM files, NULL: none. */
struct hbk_secure_options {
    bool is_server;
    bool is_insecure;      /* a client believes anybody */
    bool takes_any_name;   /* a client: whoever the roots vouch for, as in a mesh */
    bool asks_client;      /* a server: mutual, by the roots of ca_path */
    bool is_http2;         /* a client: h2 by ALPN, or nothing */
    bool resumes;          /* a client: keeps tickets and uses them */
    bool is_native;        /* our own engine instead of libssl */
    bool is_tls12;         /* a client: TLS 1.2 and nothing newer, by libssl */
    const char *ca_path;   /* a client without: the system's roots */
    const char *cert_path; /* leaf first */
    const char *key_path;
};

/* Reads the files and builds the context; the caller owns a reference.
 * Fails: HBK_NOT_FOUND, HBK_INVALID, HBK_UNSUPPORTED, ...; `error` names the file. Control thread.
 */
HBK_MUST_USE hbk_status hbk_secure_context_new(const struct hbk_secure_options *options,
                                               struct hbk_tls_context **out_context,
                                               struct hbk_error *error);

struct hbk_secure {
    struct hbk_tls_session *session; /* owned; NULL: none */
    struct hbk_batch *batch;         /* borrowed */
    struct hbk_buffer in;            /* received, not yet opened */
    size_t lent;                     /* of its front, by the last answer */
    bool is_done;                    /* the handshake is */
};

/* Begins a handshake. `on_progress(owner)` is called when a waiting one may go on: call _next()
 * then, in a later phase. `ticket` may be NULL. Fails as hbk_tls_session_new(). */
HBK_MUST_USE hbk_status hbk_secure_begin(struct hbk_secure *secure, struct hbk_tls_context *context,
                                         struct hbk_batch *batch, struct hbk_slice server_name,
                                         struct hbk_tls_ticket *ticket,
                                         void (*on_progress)(void *owner), void *owner);

/* Frees everything; idempotent. */
void hbk_secure_end(struct hbk_secure *secure);

/* Bytes that arrived. Fails: HBK_LIMIT, HBK_NO_MEMORY. */
HBK_MUST_USE hbk_status hbk_secure_put(struct hbk_secure *secure, struct hbk_slice bytes);

enum hbk_secure_answer {
    HBK_SECURE_MORE,   /* nothing without more from the peer, or until on_progress */
    HBK_SECURE_READY,  /* once: the handshake is done */
    HBK_SECURE_PLAIN,  /* *out_plain, borrowed until the next call; never empty */
    HBK_SECURE_CLOSED, /* the peer said that it sends no more */
    HBK_SECURE_FAILED, /* see hbk_tls_failure() */
};

/* What comes of what was put; call until MORE, CLOSED or FAILED. Appends what must be sent to
 * `out`, which is to be sent whatever the answer is. */
HBK_MUST_USE enum hbk_secure_answer
hbk_secure_next(struct hbk_secure *secure, struct hbk_buffer *out, struct hbk_slice *out_plain);

/* Appends `plain`, sealed, to `out`. Only when the handshake is done. Fails: HBK_LIMIT,
 * HBK_NO_MEMORY, HBK_CLOSED. */
HBK_MUST_USE hbk_status hbk_secure_seal(struct hbk_secure *secure, struct hbk_slice plain,
                                        struct hbk_buffer *out);

/* Why it failed, one sentence; for logs. */
const char *hbk_secure_failure_text(const struct hbk_secure *secure);
