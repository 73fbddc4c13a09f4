/*
 * What one end of TLS connections is made of, whichever program it stands in: the certificates that
 * it presents, whom it trusts, what it offers, and the engine that shakes hands. Built and checked
 * once on the control thread; immutable and shared from then on: a change makes a new context, and
 * sessions hold the one that they began with.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"
#include "base/slice.h"
#include "identity/verdict.h"
#include "tls/parameter.h"

/* OpenSSL's names, for the few files that speak with it. */
struct x509_st;
struct evp_pkey_st;

struct hbk_key_provider; /* crypto/private_key.h */
struct hbk_private_key;
struct hbk_tls_certificate;
struct hbk_tls_ticket_keys;

/* Which TLS speaks; sessions look the same with each. */
enum hbk_tls_engine_kind {
    HBK_TLS_ENGINE_OPENSSL, /* libssl: TLS 1.2 and 1.3 */
    HBK_TLS_ENGINE_NATIVE,  /* ours, batched: TLS 1.3 alone */
    HBK_TLS_ENGINE_COUNT,
};

/* "openssl", "native": for logs, metrics and configurations. */
const char *hbk_tls_engine_text(enum hbk_tls_engine_kind engine);

enum {
    HBK_TLS_CERTIFICATES_MAX = 16384,       /* of one context */
    HBK_TLS_DEFAULT_CERTIFICATES_MAX = 64,  /* looked through for a peer that names no known host */
    HBK_TLS_PROTOCOLS_BYTES_MAX = 256,      /* a context's list of application protocols */
    HBK_TLS_STAPLE_BYTES_MAX = 16 << 10,    /* one OCSP response */
    HBK_TLS_AUTHORITIES_BYTES_MAX = 8 << 10 /* names of authorities in a CertificateRequest */
};

/* A certificate to present: chain, key and, for servers, a staple. Everything is borrowed until
 * hbk_tls_context_new() returns (references are taken). */
struct hbk_tls_certificate_options {
    struct x509_st *const *chain; /* leaf first */
    size_t chain_count;           /* 1 to HBK_CHAIN_CERTIFICATES_MAX */
    struct evp_pkey_st *private_key;
    struct hbk_key_provider *provider; /* who computes with the key; NULL: the worker's batcher */
    struct hbk_private_key *key;       /* in the place of both; NULL: made of them */

    /* A certificate whose chain may end alike, and then shares memory; NULL: none. */
    const struct hbk_tls_certificate *beside;
    struct hbk_slice staple; /* OCSP response, DER (RFC 6066, 8); empty: none */
    int64_t staple_until_ns; /* realtime: it is sent before; 0: always */
    bool needs_staple; /* not used for clients that ask for a response once there is none to send */

    /* Signature schemes in order of preference; zero of them: all that the key can make. */
    const uint16_t *schemes;
    size_t scheme_count;
    bool must_match_issuer; /* used only if the peer named one of the chain's issuers */
};

/* Whether a server wants to know the client. A client always judges its server. */
enum hbk_tls_client_certificate {
    HBK_TLS_CLIENT_CERTIFICATE_REQUIRED, /* mutual */
    HBK_TLS_CLIENT_CERTIFICATE_ASKED,    /* judged if there is one */
    HBK_TLS_CLIENT_CERTIFICATE_NONE,     /* not asked for */
};

/* What a peer said about whom it wants to meet, and how; all borrowed for the call. */
struct hbk_tls_wish {
    struct hbk_slice server_name; /* empty: none */
    struct hbk_slice schemes;     /* numbers of two bytes, as on the wire without their length */
    struct hbk_slice authorities; /* as RFC 8446, 4.2.4 without the outer length; empty: any */
    bool wants_staple;
    int64_t now_ns; /* realtime */

    /* A peer of TLS 1.2: RSA may sign with its older padding, an ECDSA scheme is for every curve,
     * and a suite says which kind of key it is for (RFC 5246, 7.4.1.4.1 and A.5). */
    bool is_tls12;
    bool takes_rsa, takes_ecdsa; /* its suites do */
};

/* When a program may refuse a handshake for reasons of its own. */
enum hbk_tls_moment {
    HBK_TLS_MOMENT_HELLO,       /* a server has read a ClientHello, and answered nothing */
    HBK_TLS_MOMENT_CERTIFICATE, /* one of ours is about to be chosen, if a fitting one is there */
};

/* All zero, with certificates and trust set, is what a mesh speaks: mutual TLS 1.3. */
struct hbk_tls_context_options {
    enum hbk_tls_engine_kind engine;

    /* In order of preference. A server chooses by server name (exact, then wildcard, then the
     * first), then by what the client's signature algorithms allow. A client may have none. */
    const struct hbk_tls_certificate_options *certificates;
    size_t certificate_count;

    /* The same, after those above, where they were made one by one (certificate.h): options with
     * thousands of certificates would take more memory than what is kept of them. */
    const struct hbk_tls_certificate *const *made;
    size_t made_count;

    const struct hbk_trust *trust; /* a reference is taken; NULL only for HBK_TLS_CLIENT_..._NONE */
    enum hbk_tls_client_certificate client_certificate;
    bool sends_authorities; /* a server names the roots of `trust` to its clients (RFC 8446, 4.2.4)
                             */

    /* Application protocols as RFC 7301, 3.1 writes them, without the outer length, in order of
     * preference; empty: none are negotiated. `requires_protocol`: a peer that agrees on none is
     * refused with no_application_protocol; else the connection goes on without. */
    struct hbk_slice protocols;
    bool requires_protocol;

    /* In order of preference; zero of them: the default. A client sends a key share for the first
     * `share_count` groups (zero: one; at most two). */
    const uint16_t *suites;
    size_t suite_count;
    const uint16_t *groups;
    size_t group_count;
    size_t share_count;
    const uint16_t *tls12_suites; /* zero of them: those with the ciphers of `suites` */
    const uint8_t *tls12_ranks; /* as many: of suites with one rank, which stand beside each other,
                                   the client's order decides; NULL: ours alone does */
    size_t tls12_suite_count;
    const uint16_t *verify_schemes; /* what a peer may sign with */
    size_t verify_scheme_count;

    /* TLS 1.2 for peers that do not speak 1.3; the engine is then openssl for those connections,
     * which hbk_tls_engine() of the session tells. */
    bool allows_tls12;
    bool only_tls12; /* and nothing newer; with `allows_tls12` and the engine openssl */

    bool prefers_client_suites; /* a server's: the client's order counts instead of ours */

    bool asks_staple; /* a client asks its server for one (status_request) */

    /* Resumption: a server with keys gives tickets (a reference is taken); a client that resumes
     * keeps those that it gets. Off for a mesh. */
    struct hbk_tls_ticket_keys *ticket_keys;
    unsigned ticket_count;      /* per handshake; 0: HBK_TLS_TICKETS_DEFAULT */
    uint32_t ticket_lifetime_s; /* 0: HBK_TLS_TICKET_LIFETIME_S; ..._MAX is kept in any case */
    bool resumes;

    /* What we accept in one record, the type's byte included (RFC 8449, 4: 64 to 16,385); 0:
     * nothing is said of it. libssl 3.0 does not speak it. */
    uint16_t record_size_limit;

    /* The native engine's alone. Plain bytes in one record of ours, 64 to 16,384, since a reader
     * waits for whole records; 0: as many as the peer takes. */
    uint16_t sent_record_bytes_max;

    /* Bytes of a Certificate message that a peer may send; 0: HBK_TLS_MESSAGE_BYTES_MAX, which is
     * also the most. */
    uint32_t certificate_bytes_max;

    /*
     * The native engine's alone: a word of the program's own, such as a rate for each server name;
     * NULL: none. Returns -1 to go on, or the alert (RFC 8446, 6.2) that refuses the peer. On the
     * worker's thread, twice after a HelloRetryRequest; it must not wait.
     */
    int (*veto)(void *owner, enum hbk_tls_moment moment, const struct hbk_tls_wish *wish);
    void *veto_owner; /* borrowed as long as the context lives */
};

struct hbk_tls_context;

/*
 * Builds and checks a context.
 *
 * Fails:   HBK_INVALID with the reason (a key that is not the certificate's, a list that cannot be,
 *          a key that no scheme of ours can sign with), HBK_UNSUPPORTED with the reason,
 *          HBK_NO_MEMORY, HBK_IO.
 * Thread:  control.
 */
HBK_MUST_USE hbk_status hbk_tls_context_new(const struct hbk_tls_context_options *options,
                                            struct hbk_tls_context **out_context,
                                            struct hbk_error *error);

/* References; any thread. The last one frees and wipes. NULL is allowed for _unref. */
struct hbk_tls_context *hbk_tls_context_ref(struct hbk_tls_context *context);
void hbk_tls_context_unref(struct hbk_tls_context *context);

enum hbk_tls_engine_kind hbk_tls_context_engine(const struct hbk_tls_context *context);
