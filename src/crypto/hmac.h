/*
 * HMAC (RFC 2104) over any hash of hash.h. A keyed state is two compressions ahead, so that several
 * messages under one key pay for the key once. Any thread.
 */
#pragma once

#include "crypto/hash.h"

/* A key, in the form of the states after the padded key's two blocks; secret, the owner wipes it.
 */
struct hbk_hmac {
    enum hbk_hash hash;
    union {
        struct {
            uint32_t inner[8], outer[8];
        } sha256;
        struct {
            uint64_t inner[8], outer[8];
        } sha512; /* of SHA-384 too */
    } keyed;
};

/* A key longer than a block is hashed first (RFC 2104, 2). */
void hbk_hmac_init(struct hbk_hmac *hmac, enum hbk_hash hash, struct hbk_slice key);

/*
 * The code of the parts in their order, hbk_hash_bytes of it. The state can be used again. A part
 * may be where the code goes.
 */
void hbk_hmac_code(const struct hbk_hmac *hmac, const struct hbk_slice *parts, size_t part_count,
                   uint8_t *out_code);
