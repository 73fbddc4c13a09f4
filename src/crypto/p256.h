/*
 * NIST P-256 (FIPS 186-4, D.1.2.3) for the handshakes of a mesh, eight operations at a time: key
 * generation, key agreement, and ECDSA signatures made and verified.
 *
 * Numbers are 32 bytes, most significant first. A point is 65 bytes: 4, x, y (SEC 1, 2.3.3). An
 * operation borrows the keys that it points to until the call returns. In lane arrays NULL is an
 * empty lane; outputs are written only in lanes that end with HBK_LANE_OK. The private functions
 * run in a time that does not depend on keys, nonces or digests. Any thread.
 */
#pragma once

#include <stdint.h>

#include "base/slice.h"
#include "crypto/lane.h"

enum {
    HBK_P256_BYTES = 32,
    HBK_P256_POINT_BYTES = 65,
    HBK_P256_SIGNATURE_BYTES = 64, /* r, s */
    HBK_P256_DER_BYTES_MAX = 72,   /* SEQUENCE { INTEGER r, INTEGER s } */
};

struct hbk_p256_keygen {
    uint8_t private_key[HBK_P256_BYTES];      /* out: from 1 to n-1 */
    uint8_t public_key[HBK_P256_POINT_BYTES]; /* out */
    enum hbk_lane_status status;              /* out */
};

/* ECDH (SP 800-56A, 5.7.1.2). Refused: a point that is not on the curve, a key out of range. */
struct hbk_p256_agree {
    const uint8_t *private_key;     /* HBK_P256_BYTES */
    const uint8_t *peer_key;        /* HBK_P256_POINT_BYTES, from a stranger */
    uint8_t secret[HBK_P256_BYTES]; /* out: the x of the shared point; the caller wipes it */
    enum hbk_lane_status status;    /* out */
};

/* ECDSA (FIPS 186-4, 6.4). A hash longer than 32 bytes counts with its first 32. */
struct hbk_p256_sign {
    const uint8_t *private_key; /* HBK_P256_BYTES; refused when out of range */
    uint8_t digest[HBK_P256_BYTES];
    uint8_t signature[HBK_P256_SIGNATURE_BYTES]; /* out */
    enum hbk_lane_status status;                 /* out */
};

/* The status says whether the signature is right; everything here may come from a stranger. */
struct hbk_p256_verify {
    const uint8_t *public_key; /* HBK_P256_POINT_BYTES */
    uint8_t digest[HBK_P256_BYTES];
    uint8_t signature[HBK_P256_SIGNATURE_BYTES];
    enum hbk_lane_status status; /* out */
};

void hbk_p256_keygen_lanes(enum hbk_path path, struct hbk_p256_keygen *const lanes[HBK_LANES]);
void hbk_p256_agree_lanes(enum hbk_path path, struct hbk_p256_agree *const lanes[HBK_LANES]);
void hbk_p256_sign_lanes(enum hbk_path path, struct hbk_p256_sign *const lanes[HBK_LANES]);
void hbk_p256_verify_lanes(enum hbk_path path, struct hbk_p256_verify *const lanes[HBK_LANES]);

/* Writes the DER form (X9.62) of a signature; returns its size, at most HBK_P256_DER_BYTES_MAX. */
size_t hbk_p256_signature_to_der(const uint8_t signature[HBK_P256_SIGNATURE_BYTES],
                                 uint8_t out_der[HBK_P256_DER_BYTES_MAX]);

/*
 * Reads the DER form; false, and nothing written, for any encoding but the one that DER allows, and
 * for negative numbers and numbers of more than 32 bytes.
 */
HBK_MUST_USE bool hbk_p256_signature_from_der(struct hbk_slice der,
                                              uint8_t out_signature[HBK_P256_SIGNATURE_BYTES]);
