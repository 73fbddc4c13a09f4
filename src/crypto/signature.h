/*
 * Signatures that have no kernel, as they stand in a protocol: ECDSA on P-384 over the SHA-384 of a
 * message, in DER, and Ed25519. Verified at once, by libcrypto; who can wait posts the operations
 * of p384.h and ed25519.h to the batcher. Any thread.
 */
#pragma once

#include "base/slice.h"
#include "crypto/lane.h"

enum hbk_signature_scheme {
    HBK_SIGNATURE_ECDSA_P384_SHA384, /* a point of 97 bytes; the signature in DER */
    HBK_SIGNATURE_ED25519,           /* RFC 8032: a key of 32 bytes, a signature of 64 */
};

/* Everything borrowed, and from a stranger. */
struct hbk_signature_verify {
    enum hbk_signature_scheme scheme;
    struct hbk_slice public_key;
    struct hbk_slice message;
    struct hbk_slice signature;
    enum hbk_lane_status status; /* out */
};

void hbk_signature_verify(struct hbk_signature_verify *operation);
