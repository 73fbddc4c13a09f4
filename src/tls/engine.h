/*
 * What an engine is: it performs handshakes. It ends with two traffic secrets and a verified peer;
 * everything behind is the channel's, whichever engine it was. Also the inside of a credential.
 */
#pragma once

#include <stdatomic.h>

#include "tls/channel.h"
#include "tls/session.h"

struct hbk_tls_engine;

struct hbk_tls_credential {
    const struct hbk_tls_engine *engine;
    void *context; /* the engine's, built once */
    struct hbk_svid *svid;
    struct hbk_bundle_set *bundles;
    uint64_t generation;
    _Atomic uint32_t references; /* release on giving back, acquire before the free */
};

/* What a handshake is begun with; borrowed as long as the handshake lives. */
struct hbk_tls_setup {
    struct hbk_tls_credential *credential;
    enum hbk_tls_role role;
    struct hbk_expectation expectation;
    struct hbk_verdict_cache *verdicts; /* may be NULL */
    int64_t now_ns;
};

/* What a handshake that is done leaves. Secret. */
struct hbk_tls_result {
    enum hbk_cipher_suite suite;
    uint8_t client_secret[HBK_TLS_RECORD_SECRET_BYTES_MAX];
    uint8_t server_secret[HBK_TLS_RECORD_SECRET_BYTES_MAX];
    size_t secret_bytes;
    const struct hbk_peer *peer; /* a reference, owned by who takes the result */
    bool has_protocol;           /* both sides agreed on "h2" */
};

struct hbk_tls_engine {
    const char *name;

    /* The context of a credential whose other members are set. Fails: HBK_NO_MEMORY, HBK_IO,
     * HBK_INVALID with the reason. Control thread. */
    hbk_status (*context_new)(const struct hbk_tls_credential *credential, void **out_context,
                              struct hbk_error *error);
    void (*context_free)(void *context); /* any thread */

    /* A handshake on one thread. Fails: HBK_NO_MEMORY, HBK_IO. */
    hbk_status (*handshake_new)(const struct hbk_tls_setup *setup, void **out_handshake);
    void (*handshake_free)(void *handshake); /* wipes; cancels a job */

    /* As hbk_tls_handshake(). */
    enum hbk_tls_answer (*step)(void *handshake, struct hbk_slice input, size_t *out_consumed,
                                struct hbk_span output, size_t *out_written);

    /* After HBK_TLS_DONE, once; and after HBK_TLS_FAILED, its text borrowed from the handshake. */
    void (*take_result)(void *handshake, struct hbk_tls_result *out_result);
    struct hbk_tls_failure (*failure)(const void *handshake);

    /* As hbk_tls_job(). */
    uint64_t (*job)(const void *handshake);
};

extern const struct hbk_tls_engine hbk_tls_openssl;
