/* What tickets consist of, for the engines. Worker's thread, except the keys. */
#pragma once

#include <stdatomic.h>

#include "base/buffer.h"
#include "tls/engine.h"
#include "tls/message.h"
#include "tls/ticket.h"

struct hbk_tls_ticket {
    enum hbk_cipher_suite suite;
    uint8_t psk[HBK_TLS_RECORD_SECRET_BYTES_MAX]; /* as long as the suite's hash */
    uint32_t age_add;
    int64_t received_ns, expires_ns; /* realtime */
    const struct hbk_peer *peer;     /* held: the server as it was judged */
    struct hbk_slice identity;       /* behind this struct */
    struct ssl_session_st *libssl;   /* held: one of the engine openssl; NULL: the native one's */
    struct hbk_slice staple;         /* the server's, with its certificates; behind that */
    _Atomic uint32_t references;     /* release on giving back, acquire before the free */
    uint8_t bytes[];
};

/* ---- a client's ---- */

/*
 * Makes a ticket of what a server sent, with what it presented before. `*out_ticket` is NULL when
 * it is of no use (lifetime 0). Fails: HBK_NO_MEMORY.
 */
HBK_MUST_USE hbk_status hbk_tls_ticket_new(enum hbk_cipher_suite suite,
                                           const uint8_t *resumption_secret,
                                           const struct hbk_peer *peer, struct hbk_slice staple,
                                           const struct hbk_new_session_ticket *message,
                                           int64_t now_ns, struct hbk_tls_ticket **out_ticket);

/* The same of a session of libssl, whose reference it takes. Fails: HBK_NO_MEMORY. */
HBK_MUST_USE hbk_status hbk_tls_ticket_new_libssl(struct ssl_session_st *session,
                                                  const struct hbk_peer *peer,
                                                  struct hbk_slice staple, int64_t now_ns,
                                                  struct hbk_tls_ticket **out_ticket);

/* Whether it may be offered now: alive, of a suite that is offered, and its server would be judged
 * good for this session. */
bool hbk_tls_ticket_is_usable(const struct hbk_tls_ticket *ticket,
                              const struct hbk_tls_setup *setup);

/* The obfuscated age (RFC 8446, 4.2.11.1). */
uint32_t hbk_tls_ticket_age(const struct hbk_tls_ticket *ticket, int64_t now_ns);

/* ---- a server's ---- */

/* What was in a ticket of ours. Secret; ended by _fini. */
struct hbk_tls_ticket_content {
    uint8_t psk[HBK_TLS_RECORD_SECRET_BYTES_MAX];
    int64_t begun_ns;            /* realtime: of the full handshake that it goes back to */
    const struct hbk_peer *peer; /* a reference; NULL: the client had no certificate */
};

void hbk_tls_ticket_content_fini(struct hbk_tls_ticket_content *content);

/*
 * Opens a ticket that a client offers to a server that would present `certificate`. False: it is
 * not to be resumed (not ours, expired, for another hash, server name or certificate, or its client
 * would be refused now); then nothing is written.
 */
HBK_MUST_USE bool hbk_tls_ticket_open(const struct hbk_tls_setup *setup,
                                      const struct hbk_tls_certificate *certificate,
                                      struct hbk_slice identity, enum hbk_cipher_suite suite,
                                      struct hbk_slice server_name,
                                      struct hbk_tls_ticket_content *out_content);

/*
 * Appends a NewSessionTicket for the handshake that ended with `result`; `number` parts the tickets
 * of one handshake, `begun_ns` is when the chain of resumptions began. Fails: HBK_NO_MEMORY,
 * HBK_LIMIT, HBK_IO.
 */
HBK_MUST_USE hbk_status hbk_tls_ticket_issue(const struct hbk_tls_setup *setup,
                                             const struct hbk_tls_certificate *certificate,
                                             const struct hbk_tls_result *result, int64_t begun_ns,
                                             unsigned number, struct hbk_buffer *messages);

/* ---- a server's, sealed by libssl ---- */

/*
 * Appends what binds a ticket to the client's certificates, our own one, the server name and the
 * times. Fails: HBK_LIMIT (it would not live; the buffer's limit), HBK_NO_MEMORY.
 */
HBK_MUST_USE hbk_status hbk_tls_ticket_write_binding(const struct hbk_tls_setup *setup,
                                                     const struct hbk_tls_certificate *certificate,
                                                     const struct hbk_peer *peer,
                                                     struct hbk_slice server_name, int64_t begun_ns,
                                                     struct hbk_buffer *out);

/* As hbk_tls_ticket_open(), for what that wrote; the content has no PSK. */
HBK_MUST_USE bool hbk_tls_ticket_check_binding(const struct hbk_tls_setup *setup,
                                               const struct hbk_tls_certificate *certificate,
                                               struct hbk_slice binding,
                                               struct hbk_slice server_name,
                                               struct hbk_tls_ticket_content *out_content);

/* Keys in libssl's shape, derived from one of ours. Secret. */
struct hbk_tls_derived_ticket_key {
    uint8_t name[16];
    uint8_t cipher_key[32]; /* AES-256-CBC */
    uint8_t mac_key[32];    /* HMAC-SHA256 */
    bool is_newest;         /* the one that seals */
};

/* Of the key of a name (16 bytes), or with NULL of the newest one; false: there is none of that
 * name. The caller wipes it. */
bool hbk_tls_ticket_derive(const struct hbk_tls_ticket_keys *keys, const uint8_t *name,
                           struct hbk_tls_derived_ticket_key *out_key);
