/*
 * A peer's signature checked with its public key, asynchronously, over the worker's batcher: what
 * crypto/key_worker.h is for private keys. Everything that is checked may come from a stranger.
 * Worker's thread.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "crypto/batcher.h"
#include "crypto/hash.h"
#include "crypto/public_key.h"

/* Far above what TLS signs (RFC 8446, 4.4.3). */
enum { HBK_VERIFICATION_MESSAGE_BYTES_MAX = HBK_RSA_BYTES_MAX };

/* In memory of its submitter, zero before the first use; left alone until the end. */
struct hbk_verification {
    void (*complete)(struct hbk_verification *verification); /* once, from hbk_batcher_flush() */
    enum hbk_lane_status status;                             /* the result */

    /* Its own. */
    struct hbk_job job;
    const struct hbk_public_key *key;
    uint16_t scheme;
    uint8_t digest[HBK_HASH_BYTES_MAX];
    uint8_t *bytes; /* owned until the end. RSA: the signature, then the block that it opens to;
                       Ed25519: the message */
};

/* Whether that key can have made a signature of that scheme (numbers of RFC 8446, 4.2.3; PKCS#1
 * v1.5 is none of TLS 1.3's). */
bool hbk_verification_fits(const struct hbk_public_key *key, uint16_t scheme);

/*
 * Begins to check that `signature` is the key's over `message`, by a scheme that fits. The key is
 * borrowed until the end, message and signature are not. `*out_is_waiting` false: the result is
 * here at once, in `status`, and `complete` is not called: a signature that cannot be one.
 *
 * Fails: HBK_LIMIT (the queue is full), HBK_NO_MEMORY; then nothing was submitted.
 */
HBK_MUST_USE hbk_status hbk_verification_begin(struct hbk_verification *verification,
                                               struct hbk_batcher *batcher,
                                               const struct hbk_public_key *key, uint16_t scheme,
                                               struct hbk_slice message, struct hbk_slice signature,
                                               uint64_t now_ns, bool *out_is_waiting);

/* Takes it out, wherever it is; it does not complete. One that was not begun is left alone. */
void hbk_verification_cancel(struct hbk_verification *verification, struct hbk_batcher *batcher);
