/*
 * Verdicts on a peer's certificates. libcrypto builds and checks the path (RFC 5280, section 6);
 * this file adds the rules of an X.509-SVID and the match with the identity that is expected:
 *
 *   1. Exactly one URI name in the leaf, a SPIFFE id with a path. Names of other kinds are ignored.
 *      Without a subject, the extension with the names is critical.
 *   2. The leaf is no CA, has keyUsage with digitalSignature, without keyCertSign and cRLSign;
 *      extendedKeyUsage, if there is one, allows the part that the peer plays.
 *   3. The path leads to the bundle of the leaf's own trust domain. Every intermediate is a CA with
 *      keyCertSign. Signatures and keys offer 112 bits of security or more.
 *   4. Revocation lists of the bundle are asked for the whole path; a list's own age is not judged,
 *      and a certificate without a list passes, unless the trust is stricter.
 *   5. The id is one of those expected, or of the expected trust domain.
 *
 * These are the rules of a mesh (HBK_TRUST_SPIFFE). The other rules of trust.h take their place:
 * by name, a path to the given roots for the part that the peer plays, 112 bits, rule 4, and the
 * host; for anybody, nothing of it. Both demand a leaf that can be read and may sign.
 *
 * All but rule 5 depends on the chain, the trust, the part, the host and the time alone: the result
 * is cached.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"
#include "base/list.h"
#include "base/map.h"
#include "base/slice.h"
#include "crypto/hash.h"
#include "crypto/public_key.h"
#include "identity/bundle.h"
#include "identity/names.h"
#include "identity/spiffe.h"
#include "identity/svid.h"
#include "identity/trust.h"

enum { HBK_SHA1_BYTES = 20 }; /* of a fingerprint for people; nothing is decided by it */

/* Why a verdict is bad, for alerts and counters. */
enum hbk_verdict_reason {
    HBK_VERDICT_NONE,       /* no verdict was reached: memory, a limit */
    HBK_VERDICT_MALFORMED,  /* rules 1 and 2, may not sign, or not a certificate */
    HBK_VERDICT_EXPIRED,    /* one certificate of the path is past its end, or before its start */
    HBK_VERDICT_REVOKED,    /* rule 4 */
    HBK_VERDICT_UNKNOWN_CA, /* no path to a root, or no bundle for the trust domain */
    HBK_VERDICT_BAD_PATH,   /* any other failure of rule 3 */
    HBK_VERDICT_BAD_USAGE,  /* the part that the peer plays is not among its usages */
    HBK_VERDICT_UNEXPECTED, /* rule 5, the host, or `check`: a good certificate of somebody else */
};

/* "certificate expired" ...: short, for labels of metrics. */
const char *hbk_verdict_reason_text(enum hbk_verdict_reason reason);

/* All zero before the call. */
struct hbk_verdict_failure {
    enum hbk_verdict_reason reason;
    struct hbk_error error;
};

/*
 * A peer that was judged good. Immutable and shared by all connections that presented the same
 * chain under the same trust; readable while a reference is held.
 */
struct hbk_peer {
    const struct hbk_spiffe_id *id; /* NULL: not judged as a SPIFFE workload */
    int64_t not_before_ns;          /* realtime: the latest start ... */
    int64_t not_after_ns; /* ... and the earliest end on the path, the root included; "always" where
                             nobody vouches, or time is ignored */
    uint64_t bundle_generation; /* 0: there was no bundle */
    enum hbk_peer_role role;
    struct hbk_public_key key; /* of the leaf, which may be used for digital signatures */
    uint8_t leaf_sha256[HBK_SHA256_BYTES];
    char serial_text[HBK_SERIAL_TEXT_BYTES_MAX]; /* of the leaf, hexadecimal */
    uint8_t leaf_sha1[HBK_SHA1_BYTES];
    int64_t leaf_not_before_ns, leaf_not_after_ns; /* realtime; 0: beyond what fits */
    struct hbk_certificate_names names;            /* of the leaf */
    size_t certificate_count;
    struct hbk_slice certificates[HBK_CHAIN_CERTIFICATES_MAX]; /* as presented, DER, leaf first */
};

const struct hbk_peer *hbk_peer_ref(const struct hbk_peer *peer);
void hbk_peer_unref(const struct hbk_peer *peer); /* NULL is allowed */

/* Whom we expect among those that are trusted; all zero: any of them. All that it points to is
 * borrowed from the caller. */
struct hbk_expectation {
    const struct hbk_spiffe_id *const *ids; /* one of these ... */
    size_t id_count;
    struct hbk_slice trust_domain; /* ... or, when there are none, anybody in this trust domain */
};

/* What the peer presented: DER, leaf first. `parsed` may be NULL; else it is the same, parsed,
 * which saves parsing again when the cache does not know it. */
struct hbk_chain {
    const struct hbk_slice *certificates;
    struct x509_st *const *parsed;
    size_t count;
};

/* What is asked about a chain; everything is borrowed for the call. */
struct hbk_question {
    const struct hbk_trust *trust;
    enum hbk_peer_role role;
    int64_t now_ns;        /* realtime */
    struct hbk_slice host; /* a server's, by name: whom we wanted, a DNS name or an address */
};

/*
 * Judges a chain by all rules but the fifth. The caller owns a reference to the peer.
 * Fails:   HBK_UNTRUSTED with the reason, HBK_LIMIT, HBK_NO_MEMORY. Thread: any.
 */
HBK_MUST_USE hbk_status hbk_verdict_judge(const struct hbk_chain *chain,
                                          const struct hbk_question *question,
                                          const struct hbk_peer **out_peer,
                                          struct hbk_verdict_failure *failure);

/* Rule 5. Fails: HBK_UNTRUSTED with the reason. Thread: any. */
HBK_MUST_USE hbk_status hbk_verdict_match(const struct hbk_peer *peer,
                                          const struct hbk_expectation *expectation,
                                          struct hbk_verdict_failure *failure);

/*
 * Judges a known peer of a mesh once more, for live connections when time has passed or bundles
 * have changed. Cheap while the bundle is the same; else as hbk_verdict_judge(). Fails as that.
 */
HBK_MUST_USE hbk_status hbk_verdict_again(const struct hbk_peer *peer,
                                          const struct hbk_bundle_set *bundles, int64_t now_ns,
                                          struct hbk_verdict_failure *failure);

/*
 * Good verdicts of one worker, the least recently used dropped first. An entry is used only while
 * the time lies within the path's validity and the bundle is the same.
 */
struct hbk_verdict_cache {
    struct hbk_map entries;
    struct hbk_list by_use; /* most recently used first */
    size_t entries_max;
    uint64_t hits, misses;
};

enum {
    HBK_VERDICT_CACHE_ENTRIES = 1024, /* a usual size; an entry takes one to two KiB */

    /* Of a chain that is kept, in DER; a longer one is judged each time. So a worker's cache of the
     * usual size never holds more than 14 MiB, names included. */
    HBK_VERDICT_CACHE_CHAIN_BYTES_MAX = 8 << 10,
};

void hbk_verdict_cache_init(struct hbk_verdict_cache *cache, size_t entries_max);
void hbk_verdict_cache_fini(struct hbk_verdict_cache *cache);

/* As hbk_verdict_judge(), asking the cache first. A good verdict that it did not know is not kept
 * yet: see hbk_verdict_cache_keep(). */
HBK_MUST_USE hbk_status hbk_verdict_cache_judge(struct hbk_verdict_cache *cache,
                                                const struct hbk_chain *chain,
                                                const struct hbk_question *question,
                                                const struct hbk_peer **out_peer,
                                                struct hbk_verdict_failure *failure);

/* Keeps the verdict on a peer that hbk_verdict_cache_judge() judged and that has proved to have its
 * key since. Until then a chain is nobody's: whoever knows some could fill the cache with them. A
 * full heap only keeps a verdict out. Of several sessions that were judged at once the first one's
 * verdict is kept: `*peer`, the caller's reference, becomes that one. */
void hbk_verdict_cache_keep(struct hbk_verdict_cache *cache, const struct hbk_peer **peer);
