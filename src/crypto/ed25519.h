/*
 * Ed25519 (RFC 8032), which has no kernel: libcrypto computes, one operation at a time. Messages,
 * keys and signatures are borrowed until the call, or the job, has ended. Any thread.
 */
#pragma once

#include <openssl/types.h>
#include <stdint.h>

#include "base/slice.h"
#include "crypto/lane.h"

enum {
    HBK_ED25519_BYTES = 32,
    HBK_ED25519_SIGNATURE_BYTES = 64,
};

/* The key in libcrypto's form, since making that out of bytes costs as much as a signature. */
struct hbk_ed25519_sign {
    EVP_PKEY *private_key; /* refused when it is none of Ed25519 */
    struct hbk_slice message;
    uint8_t signature[HBK_ED25519_SIGNATURE_BYTES]; /* out, when the status is HBK_LANE_OK */
    enum hbk_lane_status status;                    /* out */
};

/* The status says whether the signature is right; everything here may come from a stranger. */
struct hbk_ed25519_verify {
    const uint8_t *public_key; /* HBK_ED25519_BYTES */
    struct hbk_slice message;
    uint8_t signature[HBK_ED25519_SIGNATURE_BYTES];
    enum hbk_lane_status status; /* out */
};

void hbk_ed25519_sign(struct hbk_ed25519_sign *operation);
void hbk_ed25519_verify(struct hbk_ed25519_verify *operation);
