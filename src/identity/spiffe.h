/*
 * SPIFFE ids (SPIFFE-ID, sections 2 and 3): spiffe://TRUST-DOMAIN/PATH. Ids are interned: one
 * object per id in the process, counted, so that they are compared by pointer and live as long as
 * anybody holds them. The table is under a lock, so ids are made when something is loaded and at a
 * handshake, not per message.
 */
#pragma once

#include "base/slice.h"
#include "base/status.h"

enum {
    HBK_SPIFFE_ID_BYTES_MAX = 2048,          /* of the whole URI; SPIFFE-ID, section 2.3 */
    HBK_SPIFFE_TRUST_DOMAIN_BYTES_MAX = 255, /* SPIFFE-ID, section 2.1 */
};

/* For messages: what hbk_spiffe_parse() takes. */
#define HBK_SPIFFE_SYNTAX                                                                       \
    "spiffe://TRUST-DOMAIN/PATH, the domain of a-z 0-9 . - _, the path of segments of A-Z a-z " \
    "0-9 . - _"

/* The parts borrow from the text. */
struct hbk_spiffe_parts {
    struct hbk_slice trust_domain;
    struct hbk_slice path;            /* "/ns/shop/sa/cart"; empty for a trust domain's own id */
    struct hbk_slice namespace_;      /* "shop" when the path is /ns/NAMESPACE/sa/ACCOUNT ... */
    struct hbk_slice service_account; /* ... "cart"; else both are empty */
};

/*
 * An id. Immutable and shared; everything that it shows is borrowed while a reference is held. The
 * text is terminated.
 */
struct hbk_spiffe_id {
    struct hbk_slice text;           /* "spiffe://mesh.example/ns/shop/sa/cart" */
    struct hbk_slice without_scheme; /* "mesh.example/ns/shop/sa/cart": what policies compare */
    struct hbk_spiffe_parts parts;
};

/*
 * Splits an id. Scheme and trust domain are lower case only, so no two texts name one id. An id
 * without a path is valid: it names the trust domain. False, nothing written, for anything else.
 * Any thread.
 */
HBK_MUST_USE bool hbk_spiffe_parse(struct hbk_slice text, struct hbk_spiffe_parts *out_parts);

/* Whether `text` is the name of a trust domain. Any thread. */
HBK_MUST_USE bool hbk_spiffe_is_trust_domain(struct hbk_slice text);

/*
 * The one object for `text`; the caller owns a reference.
 * Fails: HBK_INVALID, HBK_NO_MEMORY.
 * Thread: any; takes the table's lock.
 */
HBK_MUST_USE hbk_status hbk_spiffe_intern(struct hbk_slice text,
                                          const struct hbk_spiffe_id **out_id);

/* The same from the three parts of a Kubernetes identity. */
HBK_MUST_USE hbk_status hbk_spiffe_intern_account(struct hbk_slice trust_domain,
                                                  struct hbk_slice namespace_,
                                                  struct hbk_slice service_account,
                                                  const struct hbk_spiffe_id **out_id);

/* One more reference; returns `id`. Any thread. */
const struct hbk_spiffe_id *hbk_spiffe_ref(const struct hbk_spiffe_id *id);

/* Gives a reference back; NULL is allowed. The last one frees the id. Any thread. */
void hbk_spiffe_unref(const struct hbk_spiffe_id *id);

/* Interned ids are equal when they are the same object. */
static inline bool hbk_spiffe_equal(const struct hbk_spiffe_id *a, const struct hbk_spiffe_id *b)
{
    return a == b;
}

/* Ids alive now: for metrics and tests of leaks. Any thread. */
size_t hbk_spiffe_count(void);
