/*
 * Hashes, HMAC and HKDF against libcrypto's one-shot functions. The first byte chooses the hash,
 * the second how the input is cut into the pieces of a transcript and into key and message.
 */
#include "fuzz_target.h"

#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <stdlib.h>
#include <string.h>

#include "crypto/hkdf.h"

static void require(bool condition)
{
    if (!condition) {
        abort();
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const EVP_MD *(*const functions[HBK_HASH_COUNT])(void) = {EVP_sha256, EVP_sha384,
                                                                     EVP_sha512};
    uint8_t digest[HBK_HASH_BYTES_MAX], expected[EVP_MAX_MD_SIZE];

    if (size < 2) {
        return 0;
    }
    const enum hbk_hash hash = (enum hbk_hash)(data[0] % HBK_HASH_COUNT);
    const size_t hash_bytes = hbk_hash_bytes(hash), piece = 1 + data[1];
    data += 2;
    size -= 2;

    struct hbk_hash_state state;
    hbk_hash_init(&state, hash);
    for (size_t done = 0; done < size; done += piece) {
        hbk_hash_update(&state,
                        hbk_slice_of(data + done, size - done < piece ? size - done : piece));
        hbk_hash_digest(&state, digest); /* in between: disturbs nothing */
    }
    hbk_hash_digest(&state, digest);
    require(EVP_Digest(data, size, expected, NULL, functions[hash](), NULL) == 1);
    require(memcmp(digest, expected, hash_bytes) == 0);

    const size_t key_bytes = piece < size ? piece : size;
    const struct hbk_slice key = hbk_slice_of(data, key_bytes);
    const struct hbk_slice parts[2] = {
        hbk_slice_of(data + key_bytes, (size - key_bytes) / 2),
        hbk_slice_of(data + key_bytes + (size - key_bytes) / 2,
                     size - key_bytes - (size - key_bytes) / 2),
    };
    struct hbk_hmac hmac;
    hbk_hmac_init(&hmac, hash, key);
    hbk_hmac_code(&hmac, parts, 2, digest);
    require(HMAC(functions[hash](), key_bytes == 0 ? expected : data, (int)key_bytes,
                 data + key_bytes, size - key_bytes, expected, NULL) != NULL);
    require(memcmp(digest, expected, hash_bytes) == 0);

    /* The first block of an expansion is the code of the info and a one. */
    uint8_t block[HBK_HASH_BYTES_MAX], one = 1;
    const struct hbk_slice info_and_one[2] = {parts[0], hbk_slice_of(&one, 1)};
    hbk_hmac_code(&hmac, info_and_one, 2, digest);
    require(hbk_hkdf_expand(hash, key, parts[0], hbk_span_of(block, hash_bytes)));
    require(memcmp(digest, block, hash_bytes) == 0);
    return 0;
}
