/*
 * X25519 (RFC 7748) for the handshakes of a mesh, eight operations at a time. Keys and secrets are
 * 32 bytes, least significant first. In lane arrays NULL is an empty lane; an operation borrows the
 * keys that it points to until the call returns; outputs are written only in lanes that end with
 * HBK_LANE_OK. The time depends on no key. Any thread.
 */
#pragma once

#include <stdint.h>

#include "crypto/lane.h"

enum { HBK_X25519_BYTES = 32 };

struct hbk_x25519_keygen {
    uint8_t private_key[HBK_X25519_BYTES]; /* out */
    uint8_t public_key[HBK_X25519_BYTES];  /* out */
    enum hbk_lane_status status;           /* out */
};

/* Refused: a peer's key of small order, which would give the all-zero secret (RFC 8446, 7.4.2). */
struct hbk_x25519_agree {
    const uint8_t *private_key;       /* HBK_X25519_BYTES */
    const uint8_t *peer_key;          /* HBK_X25519_BYTES, from a stranger */
    uint8_t secret[HBK_X25519_BYTES]; /* out; the caller wipes it */
    enum hbk_lane_status status;      /* out */
};

void hbk_x25519_keygen_lanes(enum hbk_path path, struct hbk_x25519_keygen *const lanes[HBK_LANES]);
void hbk_x25519_agree_lanes(enum hbk_path path, struct hbk_x25519_agree *const lanes[HBK_LANES]);
