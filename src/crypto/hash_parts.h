/*
 * The end of a hash, for hash.c and hmac.c: what libcrypto's functions take for it beside the
 * compressions is a third of the time of short messages, which those of a key schedule are.
 */
#pragma once

#include "crypto/hash.h"

/* Secret when what is hashed is; the owner wipes it. */
struct hbk_hash_end {
    /* Of the context only the words are used. */
    struct hbk_hash_state state;
    /* The last bytes of the message, not yet compressed. */
    uint8_t block[HBK_HASH_BLOCK_BYTES_MAX];
};

/* How many bytes of a message leave room for the padding in their block (FIPS 180-4, 5.1). */
static inline size_t hbk_hash_tail_bytes_max(enum hbk_hash hash)
{
    return hash == HBK_HASH_SHA256 ? 64 - 9 : 128 - 17;
}

/* Pads the `used` bytes in the block, the last of `total_bytes`, compresses and writes the digest.
 */
void hbk_hash_end(struct hbk_hash_end *end, size_t used, uint64_t total_bytes, uint8_t *out_digest);
