/*
 * What the shim sees of the engine's inside, and where it has a word in it. The linker puts these
 * functions between the engine's files (--wrap), so that the product has no door for tests: the
 * engine is the one that is shipped, byte by byte.
 *
 * There is one connection at a time, so one observation.
 */
#pragma once

#include "flags.h"
#include "tls/certificate.h"

struct shim_observation {
    const struct shim_settings *settings;  /* of this connection; borrowed */
    const struct hbk_tls_context *context; /* the same; set by shim_observe_context() */
    bool is_server;
    bool is_resumption; /* a connection after the first */

    /* seen */
    bool was_retried;
    bool has_hello;         /* a ServerHello or ClientHello was read */
    uint16_t version_seen;  /* that the peer settles for; 0: unknown */
    bool is_version_known;  /* a server's: the client lists known versions, none of them ours */
    bool was_asked;         /* somebody chose a certificate of ours */
    bool has_empty_schemes; /* the peer named no algorithm that a credential of ours has */
    const struct hbk_tls_certificate *chosen; /* NULL: none */
    struct shim_list peer_schemes;
    struct hbk_span authorities, protocols; /* owned copies of what the peer said */
    bool is_key_foreign;                    /* the peer's key is none that we verify with */

    /* what our own verdict was; outlives a connection, as a session does */
    bool verdict_was_bad;

    /* why we refused on our own account: a constant ":NAME:", or NULL */
    const char *refusal;
    int refusal_alert;
};

extern struct shim_observation shim_observed;

/* The program's word in a handshake: the flags' hooks, and the wish for a certificate that nobody
 * of ours can fulfil, which ends the handshake instead of going on without. */
int shim_veto(void *owner, enum hbk_tls_moment moment, const struct hbk_tls_wish *wish);

/* Forgets the last connection but for the verdict. */
void shim_observe(const struct shim_flags *flags, int connection);
