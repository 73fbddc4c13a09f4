/* The plain SHA functions of libcrypto: deprecated there, and the only ones without a fetch. */
#define OPENSSL_SUPPRESS_DEPRECATED

#include "crypto/hash_parts.h"

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

void hbk_hash_update_part(struct hbk_hash_state *state, struct hbk_slice part)
{
    hbk_hash_update(state, hbk_slice_of(&part.size, sizeof part.size));
    hbk_hash_update(state, part);
}

static void compress(struct hbk_hash_end *end)
{
    if (end->state.hash == HBK_HASH_SHA256) {
        SHA256_Transform(&end->state.context.sha256, end->block);
    } else {
        SHA512_Transform(&end->state.context.sha512, end->block);
    }
}

/* The words, most significant byte first: as many as the digest has. */
static void write_digest(const struct hbk_hash_state *state, uint8_t *out_digest)
{
    if (state->hash == HBK_HASH_SHA256) {
        for (size_t i = 0; i < HBK_SHA256_BYTES / 4; i++) {
            const uint32_t word = __builtin_bswap32(state->context.sha256.h[i]);
            memcpy(out_digest + 4 * i, &word, sizeof(word));
        }
        return;
    }
    for (size_t i = 0; i < hbk_hash_bytes(state->hash) / 8; i++) {
        const uint64_t word = __builtin_bswap64(state->context.sha512.h[i]);
        memcpy(out_digest + 8 * i, &word, sizeof(word));
    }
}

void hbk_hash_end(struct hbk_hash_end *end, size_t used, uint64_t total_bytes, uint8_t *out_digest)
{
    const size_t block_bytes = hbk_hash_block_bytes(end->state.hash);
    const uint64_t total_bits = __builtin_bswap64(8 * total_bytes);
    const bool is_one_block = used <= hbk_hash_tail_bytes_max(end->state.hash);

    end->block[used++] = 0x80;
    memset(end->block + used, 0, block_bytes - used);
    if (!is_one_block) {
        compress(end);
        memset(end->block, 0, block_bytes);
    }
    memcpy(end->block + block_bytes - sizeof(total_bits), &total_bits, sizeof(total_bits));
    compress(end);
    write_digest(&end->state, out_digest);
}

void hbk_hash_digest(const struct hbk_hash_state *state, uint8_t *out_digest)
{
    struct hbk_hash_end end;
    size_t used;
    uint64_t total_bits;

    end.state.hash = state->hash;
    if (state->hash == HBK_HASH_SHA256) {
        const SHA256_CTX *context = &state->context.sha256;
        used = context->num;
        total_bits = (uint64_t)context->Nh << 32 | context->Nl;
        memcpy(end.state.context.sha256.h, context->h, sizeof(context->h));
        memcpy(end.block, context->data, used);
    } else {
        const SHA512_CTX *context = &state->context.sha512;
        used = context->num;
        total_bits = context->Nl;
        memcpy(end.state.context.sha512.h, context->h, sizeof(context->h));
        memcpy(end.block, context->u.p, used);
    }
    hbk_hash_end(&end, used, total_bits / 8, out_digest);
    hbk_secret_wipe(&end, sizeof(end));
}

void hbk_hash_once(enum hbk_hash hash, struct hbk_slice bytes, uint8_t *out_digest)
{
    struct hbk_hash_state state;

    hbk_hash_init(&state, hash);
    hbk_hash_update(&state, bytes);
    hbk_hash_digest(&state, out_digest);
    hbk_secret_wipe(&state, sizeof(state));
}
