#include "crypto/p256_nonce.h"

#include <pthread.h>

#include "base/secret.h"
#include "crypto/ec_order.h"
#include "crypto/hmac.h"

/* bits2octets of RFC 6979, 2.3.4: the digest as a residue of n; 2^256 is less than 2 n. */
static void digest_to_residue(const uint8_t digest[HBK_P256_BYTES], uint8_t out[HBK_P256_BYTES])
{
    const uint8_t keep = (uint8_t)-hbk_ec_order_subtract(&hbk_p256_order, digest, out);

    for (size_t i = 0; i < HBK_P256_BYTES; i++) {
        out[i] = (uint8_t)((digest[i] & keep) | (out[i] & ~keep));
    }
}

/* The all-zero key with which every generation starts (3.2.c). */
static struct hbk_hmac initial_key;
static pthread_once_t initial_key_once = PTHREAD_ONCE_INIT;

static void make_initial_key(void)
{
    static const uint8_t zeros[HBK_SHA256_BYTES];
    hbk_hmac_init(&initial_key, HBK_HASH_SHA256, hbk_slice_of(zeros, sizeof(zeros)));
}

/* The generator of RFC 6979, 3.2: its key, in the form that HMAC wants, and its value. */
struct generator {
    struct hbk_hmac key;
    uint8_t value[HBK_SHA256_BYTES];
};

/* K = HMAC_K(V || separator || seed), then V = HMAC_K(V). */
static void generator_mix(struct generator *generator, uint8_t separator,
                          const struct hbk_slice seed[3], size_t seed_count)
{
    const struct hbk_slice value = hbk_slice_of(generator->value, sizeof(generator->value));
    struct hbk_slice parts[5] = {value, hbk_slice_of(&separator, 1)};
    uint8_t key[HBK_SHA256_BYTES];

    for (size_t i = 0; i < seed_count; i++) {
        parts[2 + i] = seed[i];
    }
    hbk_hmac_code(&generator->key, parts, 2 + seed_count, key);
    hbk_hmac_init(&generator->key, HBK_HASH_SHA256, hbk_slice_of(key, sizeof(key)));
    hbk_hmac_code(&generator->key, &value, 1, generator->value);
    hbk_secret_wipe(key, sizeof(key));
}

void hbk_p256_nonce(const uint8_t private_key[HBK_P256_BYTES], const uint8_t digest[HBK_P256_BYTES],
                    struct hbk_slice entropy, uint8_t out_nonce[HBK_P256_BYTES])
{
    uint8_t residue[HBK_P256_BYTES];
    struct generator generator;
    const struct hbk_slice value = hbk_slice_of(generator.value, sizeof(generator.value));

    digest_to_residue(digest, residue);
    const struct hbk_slice seed[3] = {
        hbk_slice_of(private_key, HBK_P256_BYTES),
        hbk_slice_of(residue, sizeof(residue)),
        entropy,
    };
    size_t seed_count = entropy.size > 0 ? 3 : 2;

    pthread_once(&initial_key_once, make_initial_key);
    generator.key = initial_key;
    memset(generator.value, 1, sizeof(generator.value));
    generator_mix(&generator, 0, seed, seed_count);
    generator_mix(&generator, 1, seed, seed_count);
    for (;;) {
        hbk_hmac_code(&generator.key, &value, 1, generator.value);
        /* A number out of range comes once in 2^32 and tells nothing about the one taken. */
        if (hbk_ec_order_admits(&hbk_p256_order, generator.value)) {
            break;
        }
        generator_mix(&generator, 0, NULL, 0);
    }
    memcpy(out_nonce, generator.value, HBK_P256_BYTES);
    hbk_secret_wipe(&generator, sizeof(generator));
}
