/*
 * What an engine is to this room: a table of functions over its own context and session. Outside of
 * the room nobody knows which engine speaks.
 */
#pragma once

#include "tls/credential.h"
#include "tls/session.h"

enum { HBK_TLS_FAILURE_TEXT_BYTES_MAX = 256 };

/* See tls/session.h for what each function does; here are only the differences. */
struct hbk_tls_engine {
    /* Made once per credential; shared by its sessions, which may be on several threads. */
    hbk_status (*context_new)(const struct hbk_svid *svid, void **out_context,
                              struct hbk_error *error);
    void (*context_free)(void *context);

    /* `session` has its common members set; the engine sets its own state. */
    hbk_status (*session_init)(struct hbk_tls_session *session, void *context);
    void (*session_fini)(struct hbk_tls_session *session);

    enum hbk_tls_answer (*handshake)(struct hbk_tls_session *session, struct hbk_slice input,
                                     size_t *out_consumed, struct hbk_span output,
                                     size_t *out_written);
    enum hbk_tls_answer (*open)(struct hbk_tls_session *session, struct hbk_span input,
                                size_t *out_consumed, struct hbk_slice *out_plain);
    enum hbk_tls_answer (*seal)(struct hbk_tls_session *session, const struct hbk_slice *plain,
                                size_t count, struct hbk_span output, size_t *out_sealed,
                                size_t *out_written);
    bool (*has_output)(const struct hbk_tls_session *session);
    enum hbk_tls_answer (*flush)(struct hbk_tls_session *session, struct hbk_span output,
                                 size_t *out_written);
    enum hbk_tls_answer (*shutdown)(struct hbk_tls_session *session, struct hbk_span output,
                                    size_t *out_written);
    void (*update_keys)(struct hbk_tls_session *session);
    const char *(*cipher_text)(const struct hbk_tls_session *session);
};

extern const struct hbk_tls_engine hbk_tls_engine_openssl;

/* The common part of a session; an engine's state hangs on it. */
struct hbk_tls_session {
    const struct hbk_tls_engine *engine;
    void *state;                           /* the engine's, owned */
    struct hbk_tls_credential *credential; /* owned reference */
    enum hbk_tls_role role;
    struct hbk_expectation expectation; /* its ids are an owned array of owned references */
    struct hbk_verdict_cache *verdicts; /* borrowed until the handshake ends */
    int64_t now_ns;                     /* realtime at the beginning */
    const struct hbk_peer *peer;        /* owned reference; NULL before it is verified */
    bool is_established;
    bool has_failed;
    hbk_status failure_status;
    enum hbk_verdict_reason refusal; /* of the peer's certificates, when that is the failure */
    int alert;                       /* -1: none */
    bool alert_is_received;
    char *failure_text; /* owned; NULL until it fails, or out of memory */
};

const struct hbk_tls_engine *hbk_tls_credential_engine(const struct hbk_tls_credential *credential);
void *hbk_tls_credential_context(const struct hbk_tls_credential *credential);

/* Keeps the first failure of a session and answers HBK_TLS_FAILED. */
HBK_PRINTF(3, 4)
enum hbk_tls_answer hbk_tls_fail(struct hbk_tls_session *session, hbk_status status,
                                 const char *format, ...);

/* Judges the chain that the peer presented, by verdict and expectation; keeps the peer, or the
 * failure, in the session. */
HBK_MUST_USE hbk_status hbk_tls_judge(struct hbk_tls_session *session,
                                      const struct hbk_chain *chain);
