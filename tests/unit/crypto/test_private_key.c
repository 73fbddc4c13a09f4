#include "crypto/private_key.h"

#include "keys.h"

static void every_key_says_what_it_is_and_what_it_signs(void **state)
{
    (void)state;
    for (size_t i = 0; i < KEY_COUNT; i++) {
        enum hbk_sign_scheme schemes[HBK_KEY_SCHEMES_MAX];
        struct hbk_private_key *key = new_private_key((enum key_name)i, NULL);
        const size_t count = hbk_private_key_schemes(key, schemes);

        assert_int_equal(hbk_private_key_kind(key), key_cases[i].kind);
        assert_int_equal(hbk_private_key_bits(key), key_cases[i].bits);
        assert_int_equal(count, key_cases[i].scheme_count);
        assert_true(hbk_private_key_output_bytes(key) <= HBK_KEY_OUTPUT_BYTES_MAX);
        for (unsigned scheme = 0; scheme < 0x10000; scheme++) {
            bool is_listed = false;
            for (size_t k = 0; k < count; k++) {
                is_listed = is_listed || schemes[k] == scheme;
            }
            assert_int_equal(hbk_private_key_can_sign(key, scheme), is_listed);
            if (is_listed) {
                assert_string_not_equal(hbk_sign_scheme_text(scheme), "unknown");
            }
        }
        hbk_private_key_unref(key);
    }
}

static void rsa_of_1024_bits_has_no_room_for_pss_with_sha512(void **state)
{
    (void)state;
    struct hbk_private_key *key = new_private_key(KEY_RSA_1024, NULL);
    assert_true(hbk_private_key_can_sign(key, HBK_SIGN_RSA_PSS_RSAE_SHA384));
    assert_false(hbk_private_key_can_sign(key, HBK_SIGN_RSA_PSS_RSAE_SHA512));
    assert_true(hbk_private_key_can_sign(key, HBK_SIGN_RSA_PKCS1_SHA512));
    hbk_private_key_unref(key);
}

static void other_kinds_sizes_and_curves_are_refused_with_what_is_allowed(void **state)
{
    (void)state;
    const struct {
        EVP_PKEY *pkey;
        const char *text;
    } cases[] = {
        {EVP_RSA_gen(768), "an RSA key of 768 bits; 1024 to 4096 are allowed"},
        {EVP_EC_gen("P-521"), "a private key on secp521r1; EC keys are on P-256 or P-384"},
        {EVP_EC_gen("secp256k1"), "a private key on secp256k1; EC keys are on P-256 or P-384"},
        {EVP_PKEY_Q_keygen(NULL, NULL, "X25519"),
         "a private key of type X25519; RSA, EC and ED25519 are allowed"},
        {EVP_PKEY_Q_keygen(NULL, NULL, "ED448"),
         "a private key of type ED448; RSA, EC and ED25519 are allowed"},
    };
    for (size_t i = 0; i < HBK_COUNT(cases); i++) {
        struct hbk_private_key *key = NULL;
        struct hbk_error error = {0};
        assert_non_null(cases[i].pkey);
        assert_int_equal(hbk_private_key_new(cases[i].pkey, NULL, &key, &error), HBK_UNSUPPORTED);
        assert_string_equal(error.text, cases[i].text);
        assert_null(key);
        EVP_PKEY_free(cases[i].pkey);
    }
}

static void a_key_without_its_private_part_is_refused(void **state)
{
    (void)state;
    for (size_t i = 0; i < KEY_COUNT; i++) {
        struct hbk_private_key *key = NULL;
        struct hbk_error error = {0};
        EVP_PKEY *public_key = public_half(key_pkeys[i]);
        assert_int_equal(hbk_private_key_new(public_key, NULL, &key, &error), HBK_INVALID);
        assert_non_null(strstr(error.text, "has no private part"));
        EVP_PKEY_free(public_key);
    }
}

static void a_key_lives_as_long_as_its_last_reference(void **state)
{
    (void)state;
    const struct hbk_key_provider_options options = {.kind = HBK_KEY_PROVIDER_SOFTWARE};
    struct hbk_key_provider *provider = NULL;
    assert_int_equal(hbk_key_provider_new(&options, &provider, NULL), HBK_OK);
    struct hbk_private_key *key = new_private_key(KEY_P256, provider);
    hbk_key_provider_unref(provider);

    assert_ptr_equal(hbk_private_key_ref(key), key);
    hbk_private_key_unref(key);
    assert_ptr_equal(hbk_private_key_provider(key), provider);
    assert_int_equal(EVP_PKEY_eq(hbk_private_key_pkey(key), key_pkeys[KEY_P256]), 1);
    hbk_private_key_unref(key);
    hbk_private_key_unref(NULL);
    hbk_key_provider_unref(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_key_says_what_it_is_and_what_it_signs),
        cmocka_unit_test(rsa_of_1024_bits_has_no_room_for_pss_with_sha512),
        cmocka_unit_test(other_kinds_sizes_and_curves_are_refused_with_what_is_allowed),
        cmocka_unit_test(a_key_without_its_private_part_is_refused),
        cmocka_unit_test(a_key_lives_as_long_as_its_last_reference),
    };
    return cmocka_run_group_tests(tests, make_key_pkeys, free_key_pkeys);
}
