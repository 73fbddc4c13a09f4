/*
 * NIST P-384 (FIPS 186-4, D.1.2.4), which has no kernel: libcrypto computes, one operation at a
 * time, behind operations of the same shape as those of p256.h. Any thread.
 */
#pragma once

#include <stdint.h>

#include "base/slice.h"
#include "crypto/lane.h"

enum {
    HBK_P384_BYTES = 48,
    HBK_P384_POINT_BYTES = 97,
    HBK_P384_SIGNATURE_BYTES = 96, /* r, s */
    HBK_P384_DER_BYTES_MAX = 104,  /* SEQUENCE { INTEGER r, INTEGER s } */
};

struct hbk_p384_keygen {
    uint8_t private_key[HBK_P384_BYTES];      /* out: from 1 to n-1 */
    uint8_t public_key[HBK_P384_POINT_BYTES]; /* out */
    enum hbk_lane_status status;              /* out */
};

/* ECDH (SP 800-56A, 5.7.1.2). Refused: a point that is not on the curve, a key out of range. */
struct hbk_p384_agree {
    const uint8_t *private_key;     /* HBK_P384_BYTES */
    const uint8_t *peer_key;        /* HBK_P384_POINT_BYTES, from a stranger */
    uint8_t secret[HBK_P384_BYTES]; /* out: the x of the shared point; the caller wipes it */
    enum hbk_lane_status status;    /* out */
};

/* ECDSA (FIPS 186-4, 6.4). A hash longer than 48 bytes counts with its first 48. */
struct hbk_p384_sign {
    const uint8_t *private_key; /* HBK_P384_BYTES; refused when out of range */
    uint8_t digest[HBK_P384_BYTES];
    uint8_t signature[HBK_P384_SIGNATURE_BYTES]; /* out */
    enum hbk_lane_status status;                 /* out */
};

/* The status says whether the signature is right; everything here may come from a stranger. */
struct hbk_p384_verify {
    const uint8_t *public_key; /* HBK_P384_POINT_BYTES */
    uint8_t digest[HBK_P384_BYTES];
    uint8_t signature[HBK_P384_SIGNATURE_BYTES];
    enum hbk_lane_status status; /* out */
};

/* Outputs are written only when the status is HBK_LANE_OK. */
void hbk_p384_keygen(struct hbk_p384_keygen *operation);
void hbk_p384_agree(struct hbk_p384_agree *operation);
void hbk_p384_sign(struct hbk_p384_sign *operation);
void hbk_p384_verify(struct hbk_p384_verify *operation);
