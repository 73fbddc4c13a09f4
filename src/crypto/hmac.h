/*
 * SHA-256, HMAC (RFC 2104) and HKDF (RFC 5869) without the cost of libcrypto's general interface:
 * the compression function is libcrypto's, the bookkeeping is ours. A keyed state is two
 * compressions ahead, so that several messages under one key pay for the key once. Any thread.
 */
#pragma once

#include <stdint.h>

#include "base/slice.h"

enum {
    HBK_SHA256_BYTES = 32,
    HBK_SHA256_BLOCK_BYTES = 64,
    HBK_SHA384_BYTES = 48,
};

/* The states after the inner and after the outer padded key; secret, the owner wipes it. */
struct hbk_hmac_sha256 {
    uint32_t inner[8];
    uint32_t outer[8];
};

/* A key longer than a block is hashed first (RFC 2104, 2). */
void hbk_hmac_sha256_init(struct hbk_hmac_sha256 *hmac, struct hbk_slice key);

/* The code of the parts in their order. The state can be used again. */
void hbk_hmac_sha256(const struct hbk_hmac_sha256 *hmac, const struct hbk_slice *parts,
                     size_t part_count, uint8_t out_code[HBK_SHA256_BYTES]);

/* HKDF with SHA-256 (RFC 5869): a pseudorandom key out of secret material, and keys out of that. */
void hbk_hkdf_sha256_extract(struct hbk_slice salt, struct hbk_slice secret,
                             uint8_t out_key[HBK_SHA256_BYTES]);

/* False, and nothing written, for more than 255 * 32 bytes. */
HBK_MUST_USE bool hbk_hkdf_sha256_expand(struct hbk_slice key, struct hbk_slice info,
                                         struct hbk_span out_bytes);
