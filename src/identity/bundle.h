/*
 * Trust bundles: the roots of one trust domain, with its revocation lists when there are any. A
 * certificate is judged by the bundle of its own trust domain and by no other, so roots of several
 * domains are never mixed. (SPIFFE Trust Domain and Bundle, section 4) A bundle without a trust
 * domain holds the roots by which servers of the web are judged.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"
#include "base/slice.h"

enum {
    HBK_BUNDLE_ROOTS_MAX = 64,           /* of a trust domain */
    HBK_BUNDLE_BYTES_MAX = 256 << 10,    /* of the roots of a trust domain as PEM */
    HBK_ROOTS_MAX = 1024,                /* without a trust domain; systems have about 150 */
    HBK_ROOTS_BYTES_MAX = 4 << 20,       /* of those as PEM */
    HBK_BUNDLE_CRLS_MAX = 64,            /* revocation lists */
    HBK_BUNDLE_CRL_BYTES_MAX = 16 << 20, /* of the revocation lists, PEM or DER */
    HBK_BUNDLE_SET_MAX = 256,            /* trust domains in one set */
};

struct x509_store_st;
struct x509_st;

/* Immutable and shared; readable while a reference is held. */
struct hbk_bundle {
    struct hbk_slice trust_domain; /* empty: none */
    uint64_t generation;           /* unique in the process: another content has another number */
    bool has_crl;
    size_t root_count;
    struct x509_st **roots;
    struct x509_store_st *store; /* for verdict.c */
};

/*
 * Reads roots (PEM, at least one; each a CA) and revocation lists (`crl` may be empty; several as
 * PEM, or one as DER).
 *
 * Fails:   HBK_INVALID with the reason, HBK_LIMIT, HBK_NO_MEMORY. Thread: any.
 */
HBK_MUST_USE hbk_status hbk_bundle_new(struct hbk_slice trust_domain, struct hbk_slice roots_pem,
                                       struct hbk_slice crl, struct hbk_bundle **out_bundle,
                                       struct hbk_error *error);

/*
 * The same without a trust domain: up to HBK_ROOTS_MAX roots, and any certificate may be one, a
 * server's own, too. Fails and threads as above.
 */
HBK_MUST_USE hbk_status hbk_bundle_new_roots(struct hbk_slice roots_pem, struct hbk_slice crl,
                                             struct hbk_bundle **out_bundle,
                                             struct hbk_error *error);

/* References; any thread. */
struct hbk_bundle *hbk_bundle_ref(struct hbk_bundle *bundle);
void hbk_bundle_unref(struct hbk_bundle *bundle); /* NULL is allowed */

/* Whether anybody but the caller holds it. It may end to be so at any time, and begins to be only
 * by the caller's doing. */
bool hbk_bundle_is_shared(const struct hbk_bundle *bundle);

/* One bundle per trust domain. Immutable and shared. */
struct hbk_bundle_set {
    size_t count;
    struct hbk_bundle *bundles[]; /* each held; no two of one trust domain */
};

/*
 * Holds a reference to each of the bundles. Fails: HBK_LIMIT, HBK_EXISTS (two of one trust domain),
 * HBK_NO_MEMORY. Thread: any.
 */
HBK_MUST_USE hbk_status hbk_bundle_set_new(struct hbk_bundle *const *bundles, size_t count,
                                           struct hbk_bundle_set **out_set);
struct hbk_bundle_set *hbk_bundle_set_ref(struct hbk_bundle_set *set);
void hbk_bundle_set_unref(struct hbk_bundle_set *set); /* NULL is allowed */

/* The bundle of exactly this trust domain, borrowed from the set; NULL when there is none. */
struct hbk_bundle *hbk_bundle_set_find(const struct hbk_bundle_set *set,
                                       struct hbk_slice trust_domain);
