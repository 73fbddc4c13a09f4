/*
 * Whom one end of TLS connections trusts, and by which rule: workloads of a mesh by their SPIFFE
 * ids, servers by their host names, or anybody. Immutable and shared; a change makes another.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"
#include "identity/bundle.h"

struct x509_st;

/* The part that the judged peer plays. */
enum hbk_peer_role {
    HBK_PEER_SERVER, /* its certificate must allow serverAuth */
    HBK_PEER_CLIENT, /* ... clientAuth */
};

enum hbk_trust_rule {
    /* Rules 1 to 4 of verdict.h, by the bundle of the leaf's own trust domain. */
    HBK_TRUST_SPIFFE,

    /* A path to one of the roots, any of which may be the leaf itself. A server's leaf must carry
     * the host that was asked for, a DNS name or an address (RFC 9525); a client's needs no name.
     */
    HBK_TRUST_NAME,

    /* The leaf can be read and be used for signatures; nobody vouches for it, nor for its time. For
     * tests, and for a `check` that knows the certificate itself. */
    HBK_TRUST_ANYBODY,
};

/* What revocation lists, where the bundle or the roots have any, mean for a path. */
enum hbk_trust_lists {
    /* Every list is looked at; its own age is not judged, and a certificate without one passes. */
    HBK_TRUST_LISTS_TOLERANT,
    HBK_TRUST_LISTS_STRICT, /* every certificate under the root needs a list that is in force */
    HBK_TRUST_LISTS_LEAF,   /* ... the leaf alone, and nobody asks after its signers */
};

struct hbk_trust_options {
    enum hbk_trust_rule rule;
    struct hbk_bundle_set *bundles; /* SPIFFE: a reference is taken */
    struct hbk_bundle *roots;       /* NAME, of hbk_bundle_new_roots(): a reference is taken */
    bool ignores_host;              /* NAME: servers may have any name; `check` looks at them */

    /* SPIFFE and NAME. */
    enum hbk_trust_lists lists;
    bool ignores_time; /* certificates count outside their validity, too, and so do lists */
    bool limits_depth; /* at most `depth_max` signers between the leaf and the root */
    uint32_t depth_max;

    /*
     * One more question about a leaf that the rule found good; NULL: none. Any status but HBK_OK
     * refuses it, with HBK_UNTRUSTED and the sentence in `error`. Any thread, several at a time;
     * asked once per chain and worker while the answer is in the cache, so it may depend on the
     * leaf and the role alone.
     */
    hbk_status (*check)(void *owner, struct x509_st *leaf, enum hbk_peer_role role,
                        struct hbk_error *error);
    void *owner;
    void (*free_owner)(void *owner); /* called with the last reference; NULL: nothing to free */
};

/* Readable while a reference is held. */
struct hbk_trust {
    struct hbk_trust_options options; /* with the references */
    uint64_t generation;              /* unique in the process */
};

/* On failure `owner` stays the caller's. Fails: HBK_NO_MEMORY. Any thread. */
HBK_MUST_USE hbk_status hbk_trust_new(const struct hbk_trust_options *options,
                                      const struct hbk_trust **out_trust);

/* References; any thread. */
const struct hbk_trust *hbk_trust_ref(const struct hbk_trust *trust);
void hbk_trust_unref(const struct hbk_trust *trust); /* NULL is allowed */
