#include "crypto/ed25519.h"

#include <openssl/evp.h>
#include <openssl/rand.h>

#include "paths.h"

static EVP_PKEY *new_private_key(const uint8_t seed[HBK_ED25519_BYTES])
{
    EVP_PKEY *key = EVP_PKEY_new_raw_private_key(EVP_PKEY_ED25519, NULL, seed, HBK_ED25519_BYTES);
    assert_non_null(key);
    return key;
}

static enum hbk_lane_status verify(const uint8_t *public_key, struct hbk_slice message,
                                   const uint8_t *signature)
{
    struct hbk_ed25519_verify operation = {.public_key = public_key, .message = message};
    memcpy(operation.signature, signature, sizeof(operation.signature));
    hbk_ed25519_verify(&operation);
    return operation.status;
}

static void known_answers_of_rfc_8032_hold(void **state)
{
    (void)state;
    static const struct {
        const char *seed, *public_key, *message, *signature;
    } cases[] = {
        /* RFC 8032, 7.1, tests 1 to 3. */
        {"9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60",
         "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a", "",
         "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555fb8821590a33bacc61e39701"
         "c"
         "f9b46bd25bf5f0595bbe24655141438e7a100b"},
        {"4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb",
         "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c", "72",
         "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da085ac1e43e15996e458f3613d"
         "0"
         "f11d8c387b2eaeb4302aeeb00d291612bb0c00"},
        {"c5aa8df43f9f837bedb7442f31dcb7b166d38535076f094b85ce3a2e0b4458f7",
         "fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025", "af82",
         "6291d657deec24024827e69c3abe01a30ce548a284743a445e3680d7db5ac3ac18ff9b538d16f290ae67f7609"
         "8"
         "4dc6594a7c15e9716ed28dc027beceea1ec40a"},
    };
    for (size_t i = 0; i < HBK_COUNT(cases); i++) {
        uint8_t seed[32], public_key[32], made_key[32], message[8], signature[64];
        size_t made_bytes = sizeof(made_key);
        const size_t size = strlen(cases[i].message) / 2;

        from_hex(seed, 32, cases[i].seed);
        from_hex(public_key, 32, cases[i].public_key);
        from_hex(message, size, cases[i].message);
        from_hex(signature, 64, cases[i].signature);
        EVP_PKEY *key = new_private_key(seed);
        assert_int_equal(EVP_PKEY_get_raw_public_key(key, made_key, &made_bytes), 1);
        assert_memory_equal(made_key, public_key, 32);
        struct hbk_ed25519_sign sign = {.private_key = key, .message = hbk_slice_of(message, size)};
        hbk_ed25519_sign(&sign);
        assert_int_equal(sign.status, HBK_LANE_OK);
        assert_memory_equal(sign.signature, signature, 64);
        assert_int_equal(verify(public_key, sign.message, signature), HBK_LANE_OK);
        EVP_PKEY_free(key);
    }
}

static void one_changed_bit_anywhere_is_refused(void **state)
{
    (void)state;
    uint8_t seed[32], public_key[32], message[40];
    size_t size = sizeof(public_key);

    assert_int_equal(RAND_bytes(seed, sizeof(seed)), 1);
    assert_int_equal(RAND_bytes(message, sizeof(message)), 1);
    EVP_PKEY *key = new_private_key(seed);
    assert_int_equal(EVP_PKEY_get_raw_public_key(key, public_key, &size), 1);
    struct hbk_ed25519_sign sign = {.private_key = key,
                                    .message = hbk_slice_of(message, sizeof(message))};
    hbk_ed25519_sign(&sign);
    assert_int_equal(sign.status, HBK_LANE_OK);
    for (unsigned bit = 0; bit < 8 * sizeof(sign.signature); bit++) {
        sign.signature[bit / 8] ^= (uint8_t)(1U << bit % 8);
        assert_int_equal(verify(public_key, sign.message, sign.signature), HBK_LANE_REFUSED);
        sign.signature[bit / 8] ^= (uint8_t)(1U << bit % 8);
    }
    for (unsigned bit = 0; bit < 8 * sizeof(message); bit++) {
        message[bit / 8] ^= (uint8_t)(1U << bit % 8);
        assert_int_equal(verify(public_key, sign.message, sign.signature), HBK_LANE_REFUSED);
        message[bit / 8] ^= (uint8_t)(1U << bit % 8);
    }
    for (unsigned bit = 0; bit < 8 * sizeof(public_key); bit++) {
        public_key[bit / 8] ^= (uint8_t)(1U << bit % 8);
        assert_int_equal(verify(public_key, sign.message, sign.signature), HBK_LANE_REFUSED);
        public_key[bit / 8] ^= (uint8_t)(1U << bit % 8);
    }
    assert_int_equal(verify(public_key, sign.message, sign.signature), HBK_LANE_OK);
    EVP_PKEY_free(key);
}

static void a_key_of_another_kind_is_refused(void **state)
{
    (void)state;
    EVP_PKEY *key = EVP_PKEY_Q_keygen(NULL, NULL, "X25519");
    struct hbk_ed25519_sign sign = {.private_key = key, .message = HBK_SLICE("message")};

    hbk_ed25519_sign(&sign);
    assert_int_equal(sign.status, HBK_LANE_REFUSED);
    EVP_PKEY_free(key);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(known_answers_of_rfc_8032_hold),
        cmocka_unit_test(one_changed_bit_anywhere_is_refused),
        cmocka_unit_test(a_key_of_another_kind_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
