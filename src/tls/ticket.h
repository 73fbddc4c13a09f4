/*
 * Session tickets of TLS 1.3 (RFC 8446, 2.2 and 4.6.1): a server seals what resuming needs under
 * keys of its own and remembers nothing; a client keeps what it was given.
 *
 * A ticket carries the secret, the suite, the time, and what vouched for the client: its chain's
 * hash and names live in the worker's cache, so the ticket holds the certificates themselves, and a
 * resumption judges them anew when the trust has changed since. It never outlives them.
 */
#pragma once

#include <stdint.h>

#include "base/slice.h"
#include "base/status.h"

enum {
    HBK_TLS_TICKET_KEY_BYTES = 48,          /* name 16, AES-256-GCM key 32 */
    HBK_TLS_TICKET_KEYS_MAX = 32,           /* the first seals, all open */
    HBK_TLS_TICKET_LIFETIME_S_MAX = 604800, /* RFC 8446, 4.6.1: seven days */
    HBK_TLS_TICKET_LIFETIME_S = 7200,       /* what we give */
    HBK_TLS_TICKET_ROTATION_S = 43200,      /* of keys of our own making; longer than a lifetime */
    HBK_TLS_TICKETS_DEFAULT = 2,            /* after a full handshake */
    HBK_TLS_TICKET_BYTES_MAX = 16 << 10,    /* one that we accept from a server */

    /* One that we give: the hello that brings it back, with all else that a client says, stays
     * below what a server of ours takes (16 KiB). It holds chains of up to 7 KiB; who presents a
     * longer one gets no ticket and shakes hands in full. */
    HBK_TLS_TICKET_GIVEN_BYTES_MAX = 8 << 10,
};

/*
 * Keys that a server seals tickets with, shared by all workers. Those from outside are immutable: a
 * rotation makes new ones, in a new context. Those of our own making are rotated in their place.
 */
struct hbk_tls_ticket_keys;

/* `keys` are HBK_TLS_TICKET_KEY_BYTES each and copied; none: one is made. Fails: HBK_LIMIT,
 * HBK_NO_MEMORY, HBK_IO (entropy). Control thread. */
HBK_MUST_USE hbk_status hbk_tls_ticket_keys_new(const struct hbk_slice *keys, size_t count,
                                                struct hbk_tls_ticket_keys **out_keys);

/*
 * A fresh key seals from now on, and the one before it still opens. Keys from outside stay. Called
 * at least HBK_TLS_TICKET_ROTATION_S apart: a worker may still read what was replaced the last
 * time. Fails, and changes nothing: HBK_NO_MEMORY, HBK_IO (entropy). Control thread.
 */
HBK_MUST_USE hbk_status hbk_tls_ticket_keys_rotate(struct hbk_tls_ticket_keys *keys);
struct hbk_tls_ticket_keys *hbk_tls_ticket_keys_ref(struct hbk_tls_ticket_keys *keys);
void hbk_tls_ticket_keys_unref(struct hbk_tls_ticket_keys *keys); /* wipes; NULL is allowed */

/* What a client keeps of a session, to resume it: once in TLS 1.3 (RFC 8446, C.4). Any thread, one
 * at a time. */
struct hbk_tls_ticket;

struct hbk_tls_ticket *hbk_tls_ticket_ref(struct hbk_tls_ticket *ticket);
void hbk_tls_ticket_unref(struct hbk_tls_ticket *ticket); /* wipes; NULL is allowed */
