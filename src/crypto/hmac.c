/* The plain SHA functions of libcrypto: deprecated there, and the only ones without a fetch. */
#define OPENSSL_SUPPRESS_DEPRECATED

#include "crypto/hmac.h"

#include "base/secret.h"

/* The state after one block, which is the key under a pad; the hash's own beginning before it. */
static void compress_padded(enum hbk_hash hash, const uint8_t *key, uint8_t pad, void *out_words)
{
    const size_t block_bytes = hbk_hash_block_bytes(hash);
    uint8_t block[HBK_HASH_BLOCK_BYTES_MAX];
    struct hbk_hash_state state;

    for (size_t i = 0; i < block_bytes; i++) {
        block[i] = key[i] ^ pad;
    }
    hbk_hash_init(&state, hash);
    if (hash == HBK_HASH_SHA256) {
        SHA256_Transform(&state.context.sha256, block);
        memcpy(out_words, state.context.sha256.h, sizeof(state.context.sha256.h));
    } else {
        SHA512_Transform(&state.context.sha512, block);
        memcpy(out_words, state.context.sha512.h, sizeof(state.context.sha512.h));
    }
    hbk_secret_wipe(block, block_bytes);
    hbk_secret_wipe(&state, sizeof(state));
}

void hbk_hmac_init(struct hbk_hmac *hmac, enum hbk_hash hash, struct hbk_slice key)
{
    uint8_t block[HBK_HASH_BLOCK_BYTES_MAX] = {0};

    if (key.size > hbk_hash_block_bytes(hash)) {
        hbk_hash_once(hash, key, block);
    } else if (key.size > 0) {
        memcpy(block, key.bytes, key.size);
    }
    hmac->hash = hash;
    if (hash == HBK_HASH_SHA256) {
        compress_padded(hash, block, 0x36, hmac->keyed.sha256.inner);
        compress_padded(hash, block, 0x5c, hmac->keyed.sha256.outer);
    } else {
        compress_padded(hash, block, 0x36, hmac->keyed.sha512.inner);
        compress_padded(hash, block, 0x5c, hmac->keyed.sha512.outer);
    }
    hbk_secret_wipe(block, sizeof(block));
}

/* A context that has consumed one block and arrived at `words`. */
static void sha256_after_block(SHA256_CTX *context, const uint32_t words[8])
{
    memcpy(context->h, words, sizeof(context->h));
    context->Nl = 8 * SHA256_CBLOCK;
}

static void code_sha256(const struct hbk_hmac *hmac, const struct hbk_slice *parts,
                        size_t part_count, uint8_t *out_code)
{
    uint8_t digest[HBK_SHA256_BYTES];
    SHA256_CTX inner, outer;

    SHA256_Init(&inner);
    outer = inner;
    sha256_after_block(&inner, hmac->keyed.sha256.inner);
    for (size_t i = 0; i < part_count; i++) {
        SHA256_Update(&inner, parts[i].bytes, parts[i].size);
    }
    SHA256_Final(digest, &inner);

    sha256_after_block(&outer, hmac->keyed.sha256.outer);
    SHA256_Update(&outer, digest, sizeof(digest));
    SHA256_Final(out_code, &outer);
    hbk_secret_wipe(digest, sizeof(digest));
    hbk_secret_wipe(&inner, sizeof(inner));
    hbk_secret_wipe(&outer, sizeof(outer));
}

static void sha512_after_block(SHA512_CTX *context, const uint64_t words[8])
{
    memcpy(context->h, words, sizeof(context->h));
    context->Nl = 8 * SHA512_CBLOCK;
}

/* SHA-384 is SHA-512 from another beginning, cut at its end. */
static void code_sha512(const struct hbk_hmac *hmac, const struct hbk_slice *parts,
                        size_t part_count, uint8_t *out_code)
{
    uint8_t digest[HBK_SHA512_BYTES];
    SHA512_CTX inner, outer;

    if (hmac->hash == HBK_HASH_SHA384) {
        SHA384_Init(&inner);
    } else {
        SHA512_Init(&inner);
    }
    outer = inner;
    sha512_after_block(&inner, hmac->keyed.sha512.inner);
    for (size_t i = 0; i < part_count; i++) {
        SHA512_Update(&inner, parts[i].bytes, parts[i].size);
    }
    SHA512_Final(digest, &inner);

    sha512_after_block(&outer, hmac->keyed.sha512.outer);
    SHA512_Update(&outer, digest, hbk_hash_bytes(hmac->hash));
    SHA512_Final(out_code, &outer);
    hbk_secret_wipe(digest, sizeof(digest));
    hbk_secret_wipe(&inner, sizeof(inner));
    hbk_secret_wipe(&outer, sizeof(outer));
}

void hbk_hmac_code(const struct hbk_hmac *hmac, const struct hbk_slice *parts, size_t part_count,
                   uint8_t *out_code)
{
    if (hmac->hash == HBK_HASH_SHA256) {
        code_sha256(hmac, parts, part_count, out_code);
    } else {
        code_sha512(hmac, parts, part_count, out_code);
    }
}
