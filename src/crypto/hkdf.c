#include "crypto/hkdf.h"

#include "base/secret.h"

void hbk_hkdf_extract_keyed(const struct hbk_hmac *salt, struct hbk_slice secret, uint8_t *out_key)
{
    hbk_hmac_code(salt, &secret, 1, out_key);
}

void hbk_hkdf_extract(enum hbk_hash hash, struct hbk_slice salt, struct hbk_slice secret,
                      uint8_t *out_key)
{
    struct hbk_hmac hmac;

    /* An absent salt is a key of zeros, which is what an empty key is padded to. */
    hbk_hmac_init(&hmac, hash, salt);
    hbk_hkdf_extract_keyed(&hmac, secret, out_key);
    hbk_secret_wipe(&hmac, sizeof(hmac));
}

bool hbk_hkdf_expand_keyed(const struct hbk_hmac *key, struct hbk_slice info,
                           struct hbk_span out_bytes)
{
    const size_t hash_bytes = hbk_hash_bytes(key->hash);
    uint8_t block[HBK_HASH_BYTES_MAX];
    uint8_t counter = 1;

    if (out_bytes.size > HBK_HKDF_BLOCKS_MAX * hash_bytes) {
        return false;
    }
    for (size_t done = 0; done < out_bytes.size; done += hash_bytes, counter++) {
        const struct hbk_slice parts[3] = {
            hbk_slice_of(block, done == 0 ? 0 : hash_bytes),
            info,
            hbk_slice_of(&counter, 1),
        };
        size_t left = out_bytes.size - done;
        hbk_hmac_code(key, parts, 3, block);
        memcpy(out_bytes.bytes + done, block, left < hash_bytes ? left : hash_bytes);
    }
    hbk_secret_wipe(block, sizeof(block));
    return true;
}

bool hbk_hkdf_expand(enum hbk_hash hash, struct hbk_slice key, struct hbk_slice info,
                     struct hbk_span out_bytes)
{
    struct hbk_hmac hmac;

    hbk_hmac_init(&hmac, hash, key);
    bool is_done = hbk_hkdf_expand_keyed(&hmac, info, out_bytes);
    hbk_secret_wipe(&hmac, sizeof(hmac));
    return is_done;
}
