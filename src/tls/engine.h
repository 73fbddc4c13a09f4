/*
 * What an engine is: it performs handshakes. Most end with two traffic secrets and a verified peer,
 * and everything behind is the channel's, whichever engine it was; a TLS 1.2 connection stays with
 * its engine to the end. Also the inside of a context.
 */
#pragma once

#include <stdatomic.h>

#include "tls/channel.h"
#include "tls/context.h"
#include "tls/openssl_fibre.h"
#include "tls/openssl_form.h"
#include "tls/server_name.h"
#include "tls/session.h"
#include "tls/share.h"
#include "tls/worker.h"

struct hbk_tls_engine;
struct hbk_certificate_names;
struct hbk_private_key;

/* One certificate of a chain, in DER. Thousands of chains end in the same few signers. */
struct hbk_tls_link {
    _Atomic uint32_t references; /* release on giving back, acquire before the free */
    uint8_t bytes[];
};

/* A certificate, ready for both engines; libssl reads its own form of it (openssl_form.h). */
struct hbk_tls_certificate {
    struct hbk_private_key *key;           /* held */
    uint8_t leaf_sha256[HBK_SHA256_BYTES]; /* of the leaf's DER */
    int64_t not_after_ns;                  /* realtime; the leaf's end */
    struct hbk_slice host_names;           /* owned; as hbk_server_names_read() writes them */
    struct hbk_slice staple;               /* owned */
    int64_t staple_until_ns;               /* realtime */
    struct hbk_slice *issuers;             /* owned, DER; NULL unless must_match_issuer */
    /* Owned: what the leaf says, for people; NULL until somebody asks. Acquire, release. */
    struct hbk_certificate_names *_Atomic names;
    uint16_t schemes[HBK_TLS_LIST_MAX]; /* what it signs with, in order of preference */
    size_t scheme_count;
    bool must_match_issuer, needs_staple;
    _Atomic uint32_t references; /* release on giving back, acquire before the free */
    _Atomic uint32_t shelved;    /* of them, by shelves (openssl_form.h); relaxed: a hint */
    uint32_t chain_count;
    struct hbk_slice chain[]; /* leaf first; the bytes of links, each held */
};

struct hbk_tls_list {
    uint16_t items[HBK_TLS_LIST_MAX];
    size_t count;
};

static inline bool hbk_tls_list_has(const struct hbk_tls_list *list, uint16_t number)
{
    size_t i = 0;
    while (i < list->count && list->items[i] != number) {
        i++;
    }
    return i < list->count;
}

struct hbk_tls_context {
    enum hbk_tls_engine_kind engine;
    void *engine_context[HBK_TLS_ENGINE_COUNT]; /* each engine's own, built once; NULL: not used */
    const struct hbk_tls_certificate **certificates; /* owned array of references */
    size_t certificate_count;
    struct hbk_server_names names; /* numbers of `certificates` */
    const struct hbk_trust *trust; /* held; may be NULL */
    enum hbk_tls_client_certificate client_certificate;
    struct hbk_slice authorities; /* owned: the extension's list as RFC 8446, 4.2.4 writes it */
    struct hbk_slice protocols;   /* owned */
    bool requires_protocol;
    char *protocol_failure; /* owned: what is said of a peer that agrees on none */
    struct hbk_tls_list suites, groups, verify_schemes;
    struct hbk_tls_list tls12_suites; /* never empty */
    struct hbk_tls_list shares;       /* groups of which a client sends a key share */
    bool allows_tls12;
    bool only_tls12;
    uint8_t tls12_ranks[HBK_TLS_LIST_MAX]; /* if has_tls12_ranks */
    bool has_tls12_ranks;
    bool prefers_client_suites;
    bool asks_staple;
    struct hbk_tls_ticket_keys *ticket_keys; /* held; may be NULL */
    unsigned ticket_count;
    uint32_t ticket_lifetime_s; /* never 0 */
    bool resumes;
    uint16_t record_size_limit;
    uint16_t sent_record_bytes_max; /* never 0 */
    uint32_t certificate_bytes_max; /* never 0 */
    int (*veto)(void *owner, enum hbk_tls_moment moment, const struct hbk_tls_wish *wish);
    void *veto_owner;
    _Atomic uint32_t references; /* release on giving back, acquire before the free */
};

/* The inside of a worker. */
struct hbk_tls_worker {
    struct hbk_tls_worker_options options;
    struct hbk_tls_worker_counters counters;
    struct hbk_openssl_fibres fibres;
    struct hbk_openssl_shelf shelf; /* of certificates in libssl's form */
    struct hbk_pool handshakes;     /* struct hbk_native */
    struct hbk_tls_share_stock shares;
    struct hbk_expanded_keys expanded; /* of all sessions with records of our own */
    size_t in_flight;                  /* sessions that have not ended their handshake */
    size_t random_left;                /* at the end of `random` */
    uint8_t random[HBK_TLS_RANDOM_BYTES];
};

/* What a handshake is begun with; borrowed as long as the handshake lives. */
struct hbk_tls_setup {
    struct hbk_tls_context *context;
    enum hbk_tls_role role;
    struct hbk_expectation expectation;
    struct hbk_slice server_name; /* a client's: host name to ask for and to find; empty: none */
    struct hbk_tls_worker *worker;
    struct hbk_tls_ticket *ticket; /* a client's, to resume with; may be NULL */
    int64_t now_ns;                /* realtime */

    /* A waiting handshake may be stepped again. */
    void (*on_progress)(void *owner);
    void *owner;
};

/* What a handshake that is done leaves. Secret. */
struct hbk_tls_result {
    enum hbk_tls_version version;
    enum hbk_cipher_suite suite; /* of TLS 1.3 */
    const char *cipher_text;     /* of TLS 1.2; a constant */
    uint8_t client_secret[HBK_TLS_RECORD_SECRET_BYTES_MAX];
    uint8_t server_secret[HBK_TLS_RECORD_SECRET_BYTES_MAX];
    uint8_t exporter_secret[HBK_TLS_RECORD_SECRET_BYTES_MAX];
    uint8_t resumption_secret[HBK_TLS_RECORD_SECRET_BYTES_MAX]; /* if has_resumption_secret */
    size_t secret_bytes;
    const struct hbk_peer *peer; /* a reference, owned by who takes the result; NULL: anonymous */
    struct hbk_slice protocol;   /* inside the context's list; empty: none was agreed on */
    char *server_name;           /* a server's: what the client asked for; owned, freed by free() */
    struct hbk_span staple;      /* a client's: what the server stapled; owned, freed by free() */
    uint16_t group;              /* 0 for a resumption without agreement (TLS 1.2) */
    uint16_t peer_scheme;        /* of the peer's signature; 0: it made none */
    uint16_t record_size_limit;  /* the peer's (RFC 8449, the type's byte included); 0: none */
    uint16_t own_record_size_limit; /* that the peer has to keep to; 0: nothing was agreed on */
    uint64_t sent_records;          /* by the server under its application key: tickets */
    bool has_resumption_secret;
    bool was_resumed;
    bool has_foreign_protocol; /* the server chose what we did not offer: the session refuses it */
    bool keeps_engine;         /* records stay with the engine, whose handshake lives on: TLS 1.2 */
};

/* The data phase of a connection that keeps its engine, on its handshake; as the functions of
 * session.h. */
struct hbk_tls_kept_data {
    enum hbk_tls_answer (*open)(void *handshake, struct hbk_span input, size_t *out_consumed,
                                struct hbk_slice *out_plain);
    enum hbk_tls_answer (*seal)(void *handshake, const struct hbk_slice *plain, size_t count,
                                struct hbk_span output, size_t *out_sealed, size_t *out_written);
    size_t (*sealed_bytes_max)(size_t plain_bytes);
    size_t (*plain_bytes_max)(size_t room_bytes);
    bool (*has_output)(const void *handshake);
    bool (*has_failed)(const void *handshake);
    enum hbk_tls_answer (*flush)(void *handshake, struct hbk_span output, size_t *out_written);
    enum hbk_tls_answer (*shutdown)(void *handshake, struct hbk_span output, size_t *out_written);
    hbk_status (*export_keys)(void *handshake, struct hbk_slice label, struct hbk_slice context,
                              struct hbk_span out);
    struct hbk_tls_ticket *(*take_ticket)(void *handshake);
};

struct hbk_tls_engine {
    enum hbk_tls_engine_kind kind;

    /* The engine's part of a context whose other members are set. Fails: HBK_NO_MEMORY, HBK_IO,
     * HBK_INVALID with the reason. Control thread. */
    hbk_status (*context_new)(const struct hbk_tls_context *context, void **out_engine_context,
                              struct hbk_error *error);
    void (*context_free)(void *engine_context); /* any thread */

    /* A handshake on one thread. Fails: HBK_NO_MEMORY, HBK_IO, HBK_LIMIT (in flight). */
    hbk_status (*handshake_new)(const struct hbk_tls_setup *setup, void **out_handshake);
    void (*handshake_free)(void *handshake); /* wipes; cancels jobs */

    /* As hbk_tls_handshake(). */
    enum hbk_tls_answer (*step)(void *handshake, struct hbk_span input, size_t *out_consumed,
                                struct hbk_span output, size_t *out_written);

    /* After HBK_TLS_DONE, once; and after HBK_TLS_FAILED, its text borrowed from the handshake. */
    void (*take_result)(void *handshake, struct hbk_tls_result *out_result);
    /* After HBK_TLS_DONE: the certificate by which a server spoke for itself, in this handshake or
     * in the one that it goes back to; the context's. NULL: a client's. */
    const struct hbk_tls_certificate *(*own_certificate)(const void *handshake);
    struct hbk_tls_failure (*failure)(const void *handshake);

    /*
     * After a server's HBK_TLS_FAILED with protocol_version, before anything was written: gives
     * away, once, the ClientHello as records, with which another engine may begin; the caller's
     * from then on (hbk_buffer_fini()). False: there is nothing to hand over. NULL: the engine
     * never hands over.
     */
    bool (*hand_over)(void *handshake, struct hbk_buffer *out_hello);

    /* After hand_over(): no other engine could begin, for the reason `status`. The next steps send
     * internal_error. */
    void (*take_back)(void *handshake, hbk_status status);

    /* For connections that keep their engine. NULL in one whose results never say so. */
    const struct hbk_tls_kept_data *data;
};

/* NULL: not built in. */
const struct hbk_tls_engine *hbk_tls_engine_of(enum hbk_tls_engine_kind kind);

extern const struct hbk_tls_engine hbk_tls_openssl;
extern const struct hbk_tls_engine hbk_tls_native;
