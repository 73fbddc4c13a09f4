/* The plain SHA functions of libcrypto: deprecated there, and the only ones without a fetch. */
#define OPENSSL_SUPPRESS_DEPRECATED

#include "crypto/hash.h"

#include "base/assert.h"
#include "base/secret.h"

size_t hbk_hash_bytes(enum hbk_hash hash)
{
    switch (hash) {
    case HBK_HASH_SHA256:
        return HBK_SHA256_BYTES;
    case HBK_HASH_SHA384:
        return HBK_SHA384_BYTES;
    case HBK_HASH_SHA512:
        return HBK_SHA512_BYTES;
    }
    HBK_UNREACHABLE();
}

size_t hbk_hash_block_bytes(enum hbk_hash hash)
{
    return hash == HBK_HASH_SHA256 ? SHA256_CBLOCK : SHA512_CBLOCK;
}

void hbk_hash_init(struct hbk_hash_state *state, enum hbk_hash hash)
{
    state->hash = hash;
    switch (hash) {
    case HBK_HASH_SHA256:
        SHA256_Init(&state->context.sha256);
        return;
    case HBK_HASH_SHA384:
        SHA384_Init(&state->context.sha512);
        return;
    case HBK_HASH_SHA512:
        SHA512_Init(&state->context.sha512);
        return;
    }
    HBK_UNREACHABLE();
}

void hbk_hash_update(struct hbk_hash_state *state, struct hbk_slice bytes)
{
    if (state->hash == HBK_HASH_SHA256) {
        SHA256_Update(&state->context.sha256, bytes.bytes, bytes.size);
    } else {
        SHA512_Update(&state->context.sha512, bytes.bytes, bytes.size);
    }
}

/* Ends the state: it holds the digest and nothing to go on with. */
static void finish(struct hbk_hash_state *state, uint8_t *out_digest)
{
    if (state->hash == HBK_HASH_SHA256) {
        SHA256_Final(out_digest, &state->context.sha256);
    } else {
        SHA512_Final(out_digest, &state->context.sha512);
    }
}

void hbk_hash_digest(const struct hbk_hash_state *state, uint8_t *out_digest)
{
    struct hbk_hash_state copy = *state;

    finish(&copy, out_digest);
    hbk_secret_wipe(&copy, sizeof(copy));
}

void hbk_hash_once(enum hbk_hash hash, struct hbk_slice bytes, uint8_t *out_digest)
{
    struct hbk_hash_state state;

    hbk_hash_init(&state, hash);
    hbk_hash_update(&state, bytes);
    finish(&state, out_digest);
    hbk_secret_wipe(&state, sizeof(state));
}
