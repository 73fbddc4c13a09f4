/* The plain SHA functions of libcrypto: deprecated there, and the only ones without a fetch. */
#define OPENSSL_SUPPRESS_DEPRECATED

#include "crypto/hmac.h"

#include "base/secret.h"
#include "crypto/hash_parts.h"

/* The state after one block, which is the key under a pad; the hash's own beginning before it. */
static void compress_padded(enum hbk_hash hash, const uint8_t key[HBK_HASH_BLOCK_BYTES_MAX],
                            uint8_t pad, void *out_words)
{
    struct hbk_hash_end end;

    /* The longest block, whatever the hash: a number that the compiler knows. */
    for (size_t i = 0; i < sizeof(end.block); i++) {
        end.block[i] = key[i] ^ pad;
    }
    hbk_hash_init(&end.state, hash);
    if (hash == HBK_HASH_SHA256) {
        SHA256_Transform(&end.state.context.sha256, end.block);
        memcpy(out_words, end.state.context.sha256.h, sizeof(end.state.context.sha256.h));
    } else {
        SHA512_Transform(&end.state.context.sha512, end.block);
        memcpy(out_words, end.state.context.sha512.h, sizeof(end.state.context.sha512.h));
    }
    hbk_secret_wipe(&end, sizeof(end));
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

enum side { INNER, OUTER };

/* The words of a state that has consumed the padded key, and nothing else of the context. */
static void load_words(const struct hbk_hmac *hmac, enum side side, struct hbk_hash_state *state)
{
    state->hash = hmac->hash;
    if (hmac->hash == HBK_HASH_SHA256) {
        memcpy(state->context.sha256.h,
               side == INNER ? hmac->keyed.sha256.inner : hmac->keyed.sha256.outer,
               sizeof(state->context.sha256.h));
    } else {
        memcpy(state->context.sha512.h,
               side == INNER ? hmac->keyed.sha512.inner : hmac->keyed.sha512.outer,
               sizeof(state->context.sha512.h));
    }
}

/* A message of any size, after the padded key. */
static void hash_long(const struct hbk_hmac *hmac, const struct hbk_slice *parts, size_t part_count,
                      uint8_t *out_digest)
{
    struct hbk_hash_state state;

    hbk_hash_init(&state, hmac->hash);
    load_words(hmac, INNER, &state);
    if (hmac->hash == HBK_HASH_SHA256) {
        state.context.sha256.Nl = 8 * SHA256_CBLOCK;
    } else {
        state.context.sha512.Nl = 8 * SHA512_CBLOCK;
    }
    for (size_t i = 0; i < part_count; i++) {
        hbk_hash_update(&state, parts[i]);
    }
    hbk_hash_digest(&state, out_digest);
    hbk_secret_wipe(&state, sizeof(state));
}

void hbk_hmac_code(const struct hbk_hmac *hmac, const struct hbk_slice *parts, size_t part_count,
                   uint8_t *out_code)
{
    const size_t block_bytes = hbk_hash_block_bytes(hmac->hash);
    const size_t tail_bytes_max = hbk_hash_tail_bytes_max(hmac->hash);
    struct hbk_hash_end end;
    size_t used = 0;
    size_t i = 0;

    /* Nearly all messages of a key schedule fit into one block. */
    for (; i < part_count && parts[i].size <= tail_bytes_max - used; i++) {
        if (parts[i].size > 0) {
            memcpy(end.block + used, parts[i].bytes, parts[i].size);
            used += parts[i].size;
        }
    }
    if (i == part_count) {
        load_words(hmac, INNER, &end.state);
        hbk_hash_end(&end, used, block_bytes + used, end.block);
    } else {
        hash_long(hmac, parts, part_count, end.block);
    }
    load_words(hmac, OUTER, &end.state);
    used = hbk_hash_bytes(hmac->hash);
    hbk_hash_end(&end, used, block_bytes + used, out_code);
    hbk_secret_wipe(&end, sizeof(end));
}
