#include "crypto/hkdf.h"

#include <openssl/core_names.h>
#include <openssl/kdf.h>
#include <openssl/params.h>
#include <openssl/rand.h>

#include "paths.h"

enum { INPUT_BYTES_MAX = 200 };

/* Appendix A, cases 1 to 3; the others are about SHA-1. */
static void known_answers_of_rfc_5869_hold(void **state)
{
    (void)state;
    static const struct {
        const char *secret, *salt, *info, *key, *bytes;
    } cases[] = {
        {"0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b", "000102030405060708090a0b0c",
         "f0f1f2f3f4f5f6f7f8f9", "077709362c2e32df0ddc3f0dc47bba6390b6c73bb50f9c3122ec844ad7c2b3e5",
         "3cb25f25faacd57a90434f64d0362f2a2d2d0a90cf1a5a4c5db02d56ecc4c5bf34007208d5b88718"
         "5865"},
        {"000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f2021222324252627"
         "28292a2b2c2d2e2f303132333435363738393a3b3c3d3e3f404142434445464748494a4b4c4d4e4f",
         "606162636465666768696a6b6c6d6e6f707172737475767778797a7b7c7d7e7f8081828384858687"
         "88898a8b8c8d8e8f909192939495969798999a9b9c9d9e9fa0a1a2a3a4a5a6a7a8a9aaabacadaeaf",
         "b0b1b2b3b4b5b6b7b8b9babbbcbdbebfc0c1c2c3c4c5c6c7c8c9cacbcccdcecfd0d1d2d3d4d5d6d7"
         "d8d9dadbdcdddedfe0e1e2e3e4e5e6e7e8e9eaebecedeeeff0f1f2f3f4f5f6f7f8f9fafbfcfdfeff",
         "06a6b88c5853361a06104c9ceb35b45cef760014904671014a193f40c15fc244",
         "b11e398dc80327a1c8e7f78c596a49344f012eda2d4efad8a050cc4c19afa97c59045a99cac78272"
         "71cb41c65e590e09da3275600c2f09b8367793a9aca3db71cc30c58179ec3e87c14c01d5c1f3434f"
         "1d87"},
        {"0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b", "", "",
         "19ef24a32c717b167f33a91d6f648bdf96596776afdb6377ac434c1c293ccb04",
         "8da4e775a563c18f715f802a063c5a31b8a11f5c5ee1879ec3454e5f3c738d2d9d201395faa4b61a"
         "96c8"},
    };
    for (size_t i = 0; i < HBK_COUNT(cases); i++) {
        uint8_t secret[INPUT_BYTES_MAX], salt[INPUT_BYTES_MAX], info[INPUT_BYTES_MAX];
        uint8_t bytes[INPUT_BYTES_MAX], expected[INPUT_BYTES_MAX], key[HBK_HASH_BYTES_MAX];
        const size_t secret_bytes = strlen(cases[i].secret) / 2;
        const size_t salt_bytes = strlen(cases[i].salt) / 2;
        const size_t info_bytes = strlen(cases[i].info) / 2;
        const size_t size = strlen(cases[i].bytes) / 2;

        from_hex(secret, secret_bytes, cases[i].secret);
        from_hex(salt, salt_bytes, cases[i].salt);
        from_hex(info, info_bytes, cases[i].info);
        hbk_hkdf_extract(HBK_HASH_SHA256, hbk_slice_of(salt, salt_bytes),
                         hbk_slice_of(secret, secret_bytes), key);
        from_hex(expected, HBK_SHA256_BYTES, cases[i].key);
        assert_memory_equal(key, expected, HBK_SHA256_BYTES);
        assert_true(hbk_hkdf_expand(HBK_HASH_SHA256, hbk_slice_of(key, HBK_SHA256_BYTES),
                                    hbk_slice_of(info, info_bytes), hbk_span_of(bytes, size)));
        from_hex(expected, size, cases[i].bytes);
        assert_memory_equal(bytes, expected, size);
    }
}

static void libcrypto_derive(enum hbk_hash hash, struct hbk_slice secret, struct hbk_slice salt,
                             struct hbk_slice info, struct hbk_span out_bytes)
{
    static const char *const names[HBK_HASH_COUNT] = {"SHA256", "SHA384", "SHA512"};
    char name[8];
    EVP_KDF *kdf = EVP_KDF_fetch(NULL, "HKDF", NULL);
    EVP_KDF_CTX *context = EVP_KDF_CTX_new(kdf);

    snprintf(name, sizeof(name), "%s", names[hash]);
    const OSSL_PARAM parameters[] = {
        OSSL_PARAM_construct_utf8_string(OSSL_KDF_PARAM_DIGEST, name, 0),
        OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_KEY, (void *)(uintptr_t)secret.bytes,
                                          secret.size),
        OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_SALT, (void *)(uintptr_t)salt.bytes,
                                          salt.size),
        OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_INFO, (void *)(uintptr_t)info.bytes,
                                          info.size),
        OSSL_PARAM_construct_end(),
    };
    assert_int_equal(EVP_KDF_derive(context, out_bytes.bytes, out_bytes.size, parameters), 1);
    EVP_KDF_CTX_free(context);
    EVP_KDF_free(kdf);
}

static void any_sizes_agree_with_libcrypto(void **state)
{
    (void)state;
    uint8_t input[3][INPUT_BYTES_MAX], bytes[512], expected[512], key[HBK_HASH_BYTES_MAX];

    for (unsigned round = 0; round < 600; round++) {
        const enum hbk_hash hash = (enum hbk_hash)(round % HBK_HASH_COUNT);
        assert_int_equal(RAND_bytes(input[0], sizeof(input)), 1);
        const struct hbk_slice secret = hbk_slice_of(input[0], 1 + round % INPUT_BYTES_MAX);
        const struct hbk_slice salt = hbk_slice_of(input[1], round * 7 % INPUT_BYTES_MAX);
        const struct hbk_slice info = hbk_slice_of(input[2], round * 13 % INPUT_BYTES_MAX);
        const size_t size = 1 + round * 31 % sizeof(bytes);

        hbk_hkdf_extract(hash, salt, secret, key);
        assert_true(hbk_hkdf_expand(hash, hbk_slice_of(key, hbk_hash_bytes(hash)), info,
                                    hbk_span_of(bytes, size)));
        libcrypto_derive(hash, secret, salt, info, hbk_span_of(expected, size));
        assert_memory_equal(bytes, expected, size);
    }
}

static void a_keyed_state_serves_many_labels(void **state)
{
    (void)state;
    for (int i = 0; i < HBK_HASH_COUNT; i++) {
        const enum hbk_hash hash = (enum hbk_hash)i;
        struct hbk_hmac keyed;
        uint8_t key[HBK_HASH_BYTES_MAX], other[HBK_HASH_BYTES_MAX], bytes[2][40];

        hbk_hmac_init(&keyed, hash, HBK_SLICE("salt"));
        hbk_hkdf_extract_keyed(&keyed, HBK_SLICE("secret"), key);
        hbk_hkdf_extract(hash, HBK_SLICE("salt"), HBK_SLICE("secret"), other);
        assert_memory_equal(key, other, hbk_hash_bytes(hash));

        hbk_hmac_init(&keyed, hash, hbk_slice_of(key, hbk_hash_bytes(hash)));
        for (unsigned label = 0; label < 10; label++) {
            const struct hbk_slice info = hbk_slice_of("abcdefghij", label);
            assert_true(hbk_hkdf_expand_keyed(&keyed, info, hbk_span_of(bytes[0], 40)));
            assert_true(hbk_hkdf_expand(hash, hbk_slice_of(key, hbk_hash_bytes(hash)), info,
                                        hbk_span_of(bytes[1], 40)));
            assert_memory_equal(bytes[0], bytes[1], 40);
        }
    }
}

/* RFC 5869, 2.3: the counter is one byte. */
static void more_than_255_blocks_are_refused_and_nothing_is_written(void **state)
{
    (void)state;
    for (int i = 0; i < HBK_HASH_COUNT; i++) {
        const enum hbk_hash hash = (enum hbk_hash)i;
        static uint8_t bytes[HBK_HKDF_BLOCKS_MAX * HBK_HASH_BYTES_MAX + 1];
        const size_t size_max = HBK_HKDF_BLOCKS_MAX * hbk_hash_bytes(hash);

        memset(bytes, 0x42, sizeof(bytes));
        assert_false(hbk_hkdf_expand(hash, HBK_SLICE("key"), HBK_SLICE("info"),
                                     hbk_span_of(bytes, size_max + 1)));
        for (size_t j = 0; j <= size_max; j++) {
            assert_int_equal(bytes[j], 0x42);
        }
        assert_true(hbk_hkdf_expand(hash, HBK_SLICE("key"), HBK_SLICE("info"),
                                    hbk_span_of(bytes, size_max)));
        assert_int_equal(bytes[size_max], 0x42);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(known_answers_of_rfc_5869_hold),
        cmocka_unit_test(any_sizes_agree_with_libcrypto),
        cmocka_unit_test(a_keyed_state_serves_many_labels),
        cmocka_unit_test(more_than_255_blocks_are_refused_and_nothing_is_written),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
