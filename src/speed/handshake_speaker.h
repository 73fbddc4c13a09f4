/*
 * Who speaks at one end of a measured handshake: a session of the tls room, or libssl alone, which
 * is what everything is compared with.
 */
#pragma once

#include "base/status.h"
#include "speed/handshake_end.h"
#include "tls/session.h"

/* Sessions and tickets are the speaker's own, opaque to the others. All on one thread. */
struct hbk_handshake_speaker {
    /* `ticket`: of an earlier session, borrowed until this one is freed; NULL: none. */
    hbk_status (*begin)(struct hbk_handshake_end *end, void *ticket, void **out_session);

    /* As hbk_tls_handshake(). */
    enum hbk_tls_answer (*shake)(void *session, struct hbk_span input, size_t *out_consumed,
                                 struct hbk_span output, size_t *out_written);

    /* One byte to the peer; the bytes written to `output`, which has room. */
    size_t (*say)(void *session, struct hbk_span output);

    /* Takes what the peer said: HBK_TLS_WANT_INPUT when there is no whole record any more. */
    enum hbk_tls_answer (*hear)(void *session, struct hbk_span input, size_t *out_consumed);

    /* What came of the handshake. */
    bool (*was_resumed)(const void *session);
    bool (*is_tls12)(const void *session);

    void *(*take_ticket)(void *session); /* owned; NULL: none came */
    void (*free_ticket)(void *ticket);   /* NULL is allowed */
    const char *(*failure)(void *session);
    void (*free)(void *session); /* NULL is allowed */
};

/* With the engine of the end's context. */
extern const struct hbk_handshake_speaker hbk_handshake_session;

/* With the end's SSL_CTX, and nothing of ours. */
extern const struct hbk_handshake_speaker hbk_handshake_libssl;

struct ssl_ctx_st;

/* What libssl alone needs for its part; as hbk_handshake_end_init(). */
HBK_MUST_USE hbk_status hbk_handshake_libssl_new(const struct hbk_handshake_kind *kind,
                                                 const struct hbk_svid *svid,
                                                 const struct hbk_bundle *bundle, bool is_server,
                                                 struct ssl_ctx_st **out_context);
void hbk_handshake_libssl_free(struct ssl_ctx_st *context); /* NULL is allowed */
