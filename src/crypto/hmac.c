/* The plain SHA functions of libcrypto: deprecated there, and the only ones without a fetch. */
#define OPENSSL_SUPPRESS_DEPRECATED

#include "crypto/hmac.h"

#include <openssl/sha.h>

#include "base/secret.h"

static void compress_padded(uint32_t out_state[8], const uint8_t key[HBK_SHA256_BLOCK_BYTES],
                            uint8_t pad)
{
    uint8_t block[HBK_SHA256_BLOCK_BYTES];
    SHA256_CTX context;

    for (size_t i = 0; i < sizeof(block); i++) {
        block[i] = key[i] ^ pad;
    }
    SHA256_Init(&context);
    SHA256_Transform(&context, block);
    memcpy(out_state, context.h, sizeof(context.h));
    hbk_secret_wipe(block, sizeof(block));
    hbk_secret_wipe(&context, sizeof(context));
}

void hbk_hmac_sha256_init(struct hbk_hmac_sha256 *hmac, struct hbk_slice key)
{
    uint8_t block[HBK_SHA256_BLOCK_BYTES] = {0};

    if (key.size > sizeof(block)) {
        SHA256(key.bytes, key.size, block);
    } else if (key.size > 0) {
        memcpy(block, key.bytes, key.size);
    }
    compress_padded(hmac->inner, block, 0x36);
    compress_padded(hmac->outer, block, 0x5c);
    hbk_secret_wipe(block, sizeof(block));
}

/* A context that has consumed one block and arrived at `state`. */
static void context_after_block(SHA256_CTX *context, const uint32_t state[8])
{
    SHA256_Init(context);
    memcpy(context->h, state, sizeof(context->h));
    context->Nl = 8 * HBK_SHA256_BLOCK_BYTES;
}

void hbk_hmac_sha256(const struct hbk_hmac_sha256 *hmac, const struct hbk_slice *parts,
                     size_t part_count, uint8_t out_code[HBK_SHA256_BYTES])
{
    uint8_t digest[HBK_SHA256_BYTES];
    SHA256_CTX context;

    context_after_block(&context, hmac->inner);
    for (size_t i = 0; i < part_count; i++) {
        SHA256_Update(&context, parts[i].bytes, parts[i].size);
    }
    SHA256_Final(digest, &context);

    context_after_block(&context, hmac->outer);
    SHA256_Update(&context, digest, sizeof(digest));
    SHA256_Final(out_code, &context);
    hbk_secret_wipe(digest, sizeof(digest));
    hbk_secret_wipe(&context, sizeof(context));
}

void hbk_hkdf_sha256_extract(struct hbk_slice salt, struct hbk_slice secret,
                             uint8_t out_key[HBK_SHA256_BYTES])
{
    struct hbk_hmac_sha256 hmac;

    /* An absent salt is a key of zeros, which is what an empty key is padded to. */
    hbk_hmac_sha256_init(&hmac, salt);
    hbk_hmac_sha256(&hmac, &secret, 1, out_key);
    hbk_secret_wipe(&hmac, sizeof(hmac));
}

bool hbk_hkdf_sha256_expand(struct hbk_slice key, struct hbk_slice info, struct hbk_span out_bytes)
{
    struct hbk_hmac_sha256 hmac;
    uint8_t block[HBK_SHA256_BYTES];
    uint8_t counter = 1;

    if (out_bytes.size > 255 * HBK_SHA256_BYTES) {
        return false;
    }
    hbk_hmac_sha256_init(&hmac, key);
    for (size_t done = 0; done < out_bytes.size; done += sizeof(block), counter++) {
        const struct hbk_slice parts[3] = {
            hbk_slice_of(block, done == 0 ? 0 : sizeof(block)),
            info,
            hbk_slice_of(&counter, 1),
        };
        size_t left = out_bytes.size - done;
        hbk_hmac_sha256(&hmac, parts, 3, block);
        memcpy(out_bytes.bytes + done, block, left < sizeof(block) ? left : sizeof(block));
    }
    hbk_secret_wipe(block, sizeof(block));
    hbk_secret_wipe(&hmac, sizeof(hmac));
    return true;
}
