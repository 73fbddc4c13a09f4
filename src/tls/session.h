/*
 * One TLS connection without I/O: bytes in, bytes out, in memory of the caller. What it speaks,
 * whom it trusts and which engine shakes hands is its context's; everything here is the same for
 * all.
 *
 *     handshake ... DONE   then   open and seal   then   shutdown
 *
 * No function blocks, keeps a span, or reads a clock. A session belongs to one thread at a time.
 * After HBK_TLS_FAILED only flush (the alert), failure, peer and free may be called; after
 * HBK_TLS_CLOSED sealing goes on, since TLS 1.3 closes each direction for itself (RFC 8446, 6.1).
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/slice.h"
#include "base/status.h"
#include "identity/verdict.h"
#include "tls/context.h"
#include "tls/worker.h"

enum {
    HBK_TLS_PLAIN_BYTES_MAX = 1 << 14, /* in one record; RFC 8446, 5.1 */

    /* A whole record as it may arrive; RFC 8446, 5.2. An input span of this size always holds at
     * least one; a smaller one may never get beyond HBK_TLS_WANT_INPUT. */
    HBK_TLS_RECORD_BYTES_MAX = 5 + (1 << 14) + 256,

    /* What a sealed record adds to its plain bytes: header, content type, tag. */
    HBK_TLS_RECORD_EXTRA_BYTES = 5 + 1 + 16,

    /* Room that hbk_tls_flush() and hbk_tls_shutdown() always find enough. */
    HBK_TLS_CONTROL_BYTES_MAX = 128,
};

enum hbk_tls_role {
    HBK_TLS_CLIENT,
    HBK_TLS_SERVER,
};

/* What a call came to. */
enum hbk_tls_answer {
    HBK_TLS_DONE,       /* as the call describes */
    HBK_TLS_WANT_INPUT, /* nothing more without more bytes from the peer */
    HBK_TLS_WANT_ROOM,  /* nothing more without more room for output */
    HBK_TLS_WAITING,    /* an asymmetric operation is under way: see `on_progress` */
    HBK_TLS_CLOSED,     /* the peer said close_notify; no byte follows from it */
    HBK_TLS_FAILED,     /* see hbk_tls_failure() */
};

const char *hbk_tls_answer_text(enum hbk_tls_answer answer);

struct hbk_tls_options {
    enum hbk_tls_role role;

    /* The worker on whose thread the session lives; borrowed for its life. Never NULL. */
    struct hbk_tls_worker *worker;

    /* Among the peers that the context trusts, those to accept: all zero accepts any of them. For a
     * context that trusts by SPIFFE: ids or a trust domain. Copied. */
    struct hbk_expectation expectation;

    /* A client's: the host that it wants, as a DNS name (sent as server_name, RFC 6066, 3) or an
     * address (not sent). A context that trusts by name finds it in the certificate. One dot at the
     * end is dropped. Copied. */
    struct hbk_slice server_name;

    /* A client's: what an earlier session left (hbk_tls_take_ticket()), used for this one handshake
     * if it still may be; a reference is taken. NULL: a full handshake. */
    struct hbk_tls_ticket *ticket;

    /* Called on the worker's thread when a session that answered HBK_TLS_WAITING may go on, from
     * within hbk_key_worker_flush(): it must not step or free the session there, but do so later in
     * the turn. NULL: the caller looks by itself. */
    void (*on_progress)(void *owner);
    void *owner;
};

struct hbk_tls_session;

/*
 * Begins a session that holds a reference to the context. `now_ns` (realtime) judges the peer's
 * certificates and tickets. Fails: HBK_NO_MEMORY, HBK_LIMIT (handshakes in flight), HBK_IO (the
 * engine), HBK_INVALID (a server name that is none; a role that the context cannot play: a server
 * without a certificate, a client without a trust).
 */
HBK_MUST_USE hbk_status hbk_tls_session_new(struct hbk_tls_context *context,
                                            const struct hbk_tls_options *options, int64_t now_ns,
                                            struct hbk_tls_session **out_session);

/* Sets `on_progress` and its owner anew; before the first step of the handshake. */
void hbk_tls_session_watch(struct hbk_tls_session *session, void (*on_progress)(void *owner),
                           void *owner);

/* Wipes and frees; cancels a job under way. NULL is allowed. */
void hbk_tls_session_free(struct hbk_tls_session *session);

/*
 * Drives the handshake with what has arrived and writes what is to be sent, also along with
 * WANT_INPUT, WAITING and FAILED (then it is the alert): send `output` first, look at the answer
 * then. Both counts are always written. A client begins with an empty input. Input is decrypted
 * where it lies: its consumed part is scratch from then on.
 *
 * DONE: the handshake is complete, hbk_tls_peer() is known, the input left over is for
 * hbk_tls_open(). WANT_INPUT: input that is left over is the beginning of a record; present it
 * again with more behind it. WANT_ROOM: call again with room. WAITING: an asymmetric operation
 * runs; see `on_progress`; present the input that is left over again.
 */
HBK_MUST_USE enum hbk_tls_answer hbk_tls_handshake(struct hbk_tls_session *session,
                                                   struct hbk_span input, size_t *out_consumed,
                                                   struct hbk_span output, size_t *out_written);

/*
 * Opens whole records at the front of `input` and lends their plaintext, which lies in the consumed
 * part of `input` (decrypted in place; that part is scratch from then on) until the caller changes
 * it. Several small records become one slice.
 *
 * DONE: something was consumed; `*out_plain` may still be empty (a record without application
 * data), and more may follow: call until another answer comes. WANT_INPUT: no whole record is left;
 * nothing was consumed. CLOSED, FAILED: come after all plaintext that precedes them was lent.
 * After DONE ask hbk_tls_has_output(): the peer may have asked for an answer (RFC 8446, 4.6.3).
 */
HBK_MUST_USE enum hbk_tls_answer hbk_tls_open(struct hbk_tls_session *session,
                                              struct hbk_span input, size_t *out_consumed,
                                              struct hbk_slice *out_plain);

/*
 * Seals as many bytes of `plain` (slices in order, none inside `output`) as fit, in records as
 * large as possible, and what hbk_tls_flush() would write before them.
 *
 * DONE: all was sealed. WANT_ROOM: `*out_sealed` plain bytes were, and `output` has no room for
 * more. FAILED: the session cannot send any more, also after hbk_tls_shutdown().
 */
HBK_MUST_USE enum hbk_tls_answer hbk_tls_seal(struct hbk_tls_session *session,
                                              const struct hbk_slice *plain, size_t count,
                                              struct hbk_span output, size_t *out_sealed,
                                              size_t *out_written);

/* Room in which hbk_tls_seal() will surely seal that many plain bytes. */
size_t hbk_tls_sealed_bytes_max(const struct hbk_tls_session *session, size_t plain_bytes);

/* Plain bytes that hbk_tls_seal() will surely seal into that much room. */
size_t hbk_tls_plain_bytes_max(const struct hbk_tls_session *session, size_t room_bytes);

/* Whether something of TLS's own is to be sent: a key update, the alert of a failure. */
bool hbk_tls_has_output(const struct hbk_tls_session *session);

/* Writes that. Answers DONE, or WANT_ROOM with nothing written. */
HBK_MUST_USE enum hbk_tls_answer hbk_tls_flush(struct hbk_tls_session *session,
                                               struct hbk_span output, size_t *out_written);

/*
 * Writes close_notify, once; later calls write nothing. Nothing is sealed afterwards. Answers DONE,
 * or WANT_ROOM with nothing written.
 */
HBK_MUST_USE enum hbk_tls_answer hbk_tls_shutdown(struct hbk_tls_session *session,
                                                  struct hbk_span output, size_t *out_written);

/*
 * Ends a session whose handshake is done with a fatal alert of the caller's choice (RFC 8446, 6.2),
 * such as access_denied for a peer whom a policy refuses: written by the next flush, and the
 * session has failed. One that has failed already keeps its failure. libssl sends no alert of
 * ours: a connection that stays with it ends in order.
 */
void hbk_tls_abort(struct hbk_tls_session *session, int alert);

/* Changes the keys that we send with and, if `asks_peer`, asks for the same of the peer; written by
 * the next flush or seal (RFC 8446, 4.6.3). A connection that stays with libssl keeps its keys. */
void hbk_tls_update_keys(struct hbk_tls_session *session, bool asks_peer);

/* The verified peer, borrowed for the session's life; NULL before the handshake is done, and for a
 * client that presented no certificate where none was required. */
const struct hbk_peer *hbk_tls_peer(const struct hbk_tls_session *session);

/* The context that the session began with, borrowed for its life. */
struct hbk_tls_context *hbk_tls_session_context(const struct hbk_tls_session *session);

/* What was agreed on; known when the handshake is done (before: NULL, empty, 0). Borrowed for the
 * session's life. */
struct hbk_tls_agreement {
    enum hbk_tls_version version;
    enum hbk_tls_engine_kind engine; /* which one spoke */
    const char *cipher_text;         /* "TLS_AES_128_GCM_SHA256" */
    const char *group_text;          /* "X25519"; NULL: nothing was agreed on with a group */
    struct hbk_slice protocol;       /* "h2"; empty: none */
    struct hbk_slice server_name;    /* a server's: what the client asked for; empty: nothing */
    uint16_t group;
    uint16_t peer_scheme; /* of the peer's signature; 0: it made none */
    bool was_resumed;
};

struct hbk_tls_agreement hbk_tls_agreement(const struct hbk_tls_session *session);

/* The certificate by which a server spoke for itself, in this handshake or in the one that it goes
 * back to, borrowed for the session's life; NULL before the handshake is done, and for clients. */
const struct hbk_tls_certificate *hbk_tls_own_certificate(const struct hbk_tls_session *session);

/* What a server stapled to its certificate (an OCSP response in DER, as it came: nobody has judged
 * it), for contexts that ask for it. Empty: nothing. Borrowed for the session's life. */
struct hbk_slice hbk_tls_staple(const struct hbk_tls_session *session);

/*
 * Keys for other uses that both sides know (RFC 8446, 7.5; RFC 5705). An absent context (NULL) is
 * an empty one in TLS 1.3, and another than that in TLS 1.2. Fails: HBK_LIMIT (more than 255
 * hashes), HBK_INVALID (before the handshake is done, a label above 249 or a context above 65,535
 * bytes), HBK_IO.
 */
HBK_MUST_USE hbk_status hbk_tls_export(const struct hbk_tls_session *session,
                                       struct hbk_slice label, struct hbk_slice context,
                                       struct hbk_span out);

/* The newest ticket that a client was given, to begin another session with; owned by the caller
 * from then on (hbk_tls_ticket_unref()). NULL: none since the last call. Those of TLS 1.3 come
 * behind the handshake; one of TLS 1.2 is here when it is done, and where a resumed one brought
 * none, the ticket that it began with can be used again. */
struct hbk_tls_ticket *hbk_tls_take_ticket(struct hbk_tls_session *session);

/* Why a session failed. */
struct hbk_tls_failure {
    hbk_status status;      /* HBK_UNTRUSTED: who the peer is; HBK_INVALID: what it sent; ... */
    int alert;              /* number of the alert (RFC 8446, 6); -1: none */
    bool alert_is_received; /* from the peer; else it is the one that we send */
    const char *text;       /* one sentence, borrowed for the session's life */
};

/* Valid after HBK_TLS_FAILED. */
struct hbk_tls_failure hbk_tls_failure(const struct hbk_tls_session *session);

/* "bad_certificate" for 42; "unknown" for a number without a name. */
const char *hbk_tls_alert_text(int alert);
