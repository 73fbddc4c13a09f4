/*
 * Key shares (RFC 8446, 4.2.8): ephemeral key pairs, made ahead of need, and the agreement by which
 * both sides come to one secret.
 *
 * Pairs of X25519 and P-256 are made eight at a time, since a full batch of the kernels costs less
 * than one pair of libcrypto's: most handshakes find theirs ready. A pair is given out once.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/slice.h"
#include "base/status.h"
#include "crypto/batcher.h"
#include "tls/parameter.h"

enum {
    HBK_TLS_SHARES_MAX = 2, /* in one ClientHello of ours */
    HBK_TLS_SHARE_STOCK = HBK_LANES,
};

/* Secret; the owner wipes it. */
struct hbk_tls_share {
    uint16_t group;
    uint8_t private_key[HBK_GROUP_SECRET_BYTES_MAX];
    uint8_t public_key[HBK_GROUP_SHARE_BYTES_MAX]; /* hbk_tls_group_share_bytes() of it */
};

/* Pairs of one worker that are ready; wiped with the worker that they lie in. */
struct hbk_tls_share_stock {
    size_t x25519_count, p256_count;
    struct hbk_tls_share x25519[HBK_TLS_SHARE_STOCK], p256[HBK_TLS_SHARE_STOCK];
};

/* Takes a pair of that group, making some when none is ready. Fails: HBK_IO (entropy),
 * HBK_NO_MEMORY.
 */
HBK_MUST_USE hbk_status hbk_tls_share_take(struct hbk_tls_share_stock *stock,
                                           enum hbk_tls_group group,
                                           struct hbk_tls_share *out_share);

/* An agreement under way, in memory of its submitter. */
struct hbk_tls_agreement_job {
    struct hbk_job job;
    uint16_t group;
    void (*complete)(struct hbk_tls_agreement_job *agreement);
};

/*
 * Submits the agreement of `share` with the peer's key, of hbk_tls_group_share_bytes(); both are
 * borrowed until the end. Fails: HBK_LIMIT (the queue is full).
 */
HBK_MUST_USE hbk_status hbk_tls_agreement_begin(struct hbk_tls_agreement_job *agreement,
                                                struct hbk_batcher *batcher,
                                                const struct hbk_tls_share *share,
                                                const uint8_t *peer_key, uint64_t now_ns);

/*
 * After `complete`: the secret, borrowed from the job, which the caller wipes; as long as the group
 * has it. Fails: HBK_INVALID (the peer's key is off the curve or of small order), HBK_IO.
 */
HBK_MUST_USE hbk_status hbk_tls_agreement_secret(struct hbk_tls_agreement_job *agreement,
                                                 struct hbk_slice *out_secret);
