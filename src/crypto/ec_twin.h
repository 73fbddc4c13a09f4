/*
 * Operations on NIST's curves by libcrypto, one at a time: the twins of the P-256 kernels, for
 * other processors, for remainders below the break-even and as the judge in tests; and all there is
 * of P-384. Shapes are those of p256.h, with the curve's number of bytes. Any thread.
 */
#pragma once

#include <stdint.h>

#include "crypto/ec_order.h"
#include "crypto/lane.h"

struct hbk_ec_curve {
    int nid; /* libcrypto's name */
    const struct hbk_ec_order *order;
};

extern const struct hbk_ec_curve hbk_ec_p256, hbk_ec_p384;

enum hbk_lane_status hbk_ec_twin_keygen(const struct hbk_ec_curve *curve, uint8_t *out_private_key,
                                        uint8_t *out_public_key);
enum hbk_lane_status hbk_ec_twin_agree(const struct hbk_ec_curve *curve, const uint8_t *private_key,
                                       const uint8_t *peer_key, uint8_t *out_secret);

/* Digests are as long as the order. */
enum hbk_lane_status hbk_ec_twin_sign(const struct hbk_ec_curve *curve, const uint8_t *private_key,
                                      const uint8_t *digest, uint8_t *out_signature);
enum hbk_lane_status hbk_ec_twin_verify(const struct hbk_ec_curve *curve, const uint8_t *public_key,
                                        const uint8_t *digest, const uint8_t *signature);
