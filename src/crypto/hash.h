/*
 * SHA-2 (FIPS 180-4) as TLS 1.3 wants it: one interface for three hashes, on the caller's storage,
 * without allocation and without the cost of libcrypto's general interface. The compression
 * functions are libcrypto's, which use the processor's SHA instructions. Any thread.
 */
#pragma once

#include <openssl/sha.h>
#include <stdint.h>

#include "base/slice.h"

enum hbk_hash {
    HBK_HASH_SHA256,
    HBK_HASH_SHA384,
    HBK_HASH_SHA512,
};

enum {
    HBK_HASH_COUNT = 3,
    HBK_HASH_BYTES_MAX = 64,
    HBK_HASH_BLOCK_BYTES_MAX = 128,
    HBK_SHA256_BYTES = 32,
    HBK_SHA384_BYTES = 48,
    HBK_SHA512_BYTES = 64,
};

/* The size of a digest, and of the blocks that are compressed. */
size_t hbk_hash_bytes(enum hbk_hash hash);
size_t hbk_hash_block_bytes(enum hbk_hash hash);

/*
 * What has been hashed so far; 224 bytes. An assignment makes an independent copy. There is nothing
 * to free; the owner wipes it when what was hashed is secret.
 */
struct hbk_hash_state {
    enum hbk_hash hash;
    union {
        SHA256_CTX sha256;
        SHA512_CTX sha512; /* of SHA-384 too */
    } context;
};

void hbk_hash_init(struct hbk_hash_state *state, enum hbk_hash hash);
void hbk_hash_update(struct hbk_hash_state *state, struct hbk_slice bytes);

/* Adds a part of several: its size first, so that other parts of the same bytes hash to another
 * digest. The digest depends on the machine's order of bytes, and is no business of others. */
void hbk_hash_update_part(struct hbk_hash_state *state, struct hbk_slice part);

/* The digest of all bytes so far, hbk_hash_bytes of them; the state can go on afterwards. */
void hbk_hash_digest(const struct hbk_hash_state *state, uint8_t *out_digest);

/* The digest of one piece. */
void hbk_hash_once(enum hbk_hash hash, struct hbk_slice bytes, uint8_t *out_digest);
