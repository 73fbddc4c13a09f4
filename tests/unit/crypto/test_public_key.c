#include "crypto/public_key.h"

#include "harness.h"

#include <openssl/ec.h>
#include <openssl/evp.h>
#include <openssl/x509.h>

#include "crypto/p256.h"
#include "crypto/rsa.h"

/* The key as a stranger's certificate carries it: without its private part. */
static EVP_PKEY *public_part(EVP_PKEY *key)
{
    unsigned char *bytes = NULL;
    int size = i2d_PUBKEY(key, &bytes);
    const unsigned char *at = bytes;
    EVP_PKEY *public = d2i_PUBKEY(NULL, &at, size);
    assert_non_null(public);
    OPENSSL_free(bytes);
    EVP_PKEY_free(key);
    return public;
}

static void keys_are_read_in_the_forms_of_this_room(void **state)
{
    (void)state;
    const struct {
        EVP_PKEY *key;
        enum hbk_public_key_kind kind;
        unsigned bits;
        size_t size;
    } cases[] = {
        {EVP_EC_gen("P-256"), HBK_PUBLIC_KEY_P256, 256, 65},
        {EVP_EC_gen("P-384"), HBK_PUBLIC_KEY_P384, 384, 97},
        {EVP_EC_gen("P-521"), HBK_PUBLIC_KEY_OTHER, 521, 0},
        {EVP_EC_gen("secp256k1"), HBK_PUBLIC_KEY_OTHER, 256, 0},
        {EVP_PKEY_Q_keygen(NULL, NULL, "ED25519"), HBK_PUBLIC_KEY_ED25519, 256, 32},
        {EVP_PKEY_Q_keygen(NULL, NULL, "ED448"), HBK_PUBLIC_KEY_OTHER, 456, 0},
        {EVP_PKEY_Q_keygen(NULL, NULL, "X25519"), HBK_PUBLIC_KEY_OTHER, 253, 0},
        {EVP_RSA_gen(2048), HBK_PUBLIC_KEY_RSA, 2048, 0},
        {EVP_RSA_gen(1024), HBK_PUBLIC_KEY_RSA, 1024, 0},
        {EVP_RSA_gen(768), HBK_PUBLIC_KEY_OTHER, 768, 0},
    };
    for (size_t i = 0; i < HBK_COUNT(cases); i++) {
        EVP_PKEY *pkey = public_part(cases[i].key);
        struct hbk_public_key key;
        assert_int_equal(hbk_public_key_init(&key, pkey), HBK_OK);
        assert_int_equal(key.kind, cases[i].kind);
        assert_int_equal(key.bits, cases[i].bits);
        assert_int_equal(key.size, cases[i].size);
        assert_int_equal(key.rsa != NULL, key.kind == HBK_PUBLIC_KEY_RSA);
        if (key.rsa != NULL) {
            assert_int_equal(hbk_rsa_key_bits(key.rsa), cases[i].bits);
            assert_false(hbk_rsa_key_is_private(key.rsa));
        }
        uint8_t raw[256];
        size_t raw_bytes = 0;
        if (key.kind == HBK_PUBLIC_KEY_P256 || key.kind == HBK_PUBLIC_KEY_P384) {
            assert_int_equal(EVP_PKEY_get_octet_string_param(pkey, "encoded-pub-key", raw,
                                                             sizeof raw, &raw_bytes),
                             1);
        } else if (key.kind == HBK_PUBLIC_KEY_ED25519) {
            raw_bytes = sizeof raw;
            assert_int_equal(EVP_PKEY_get_raw_public_key(pkey, raw, &raw_bytes), 1);
        }
        assert_slice_equal(hbk_slice_of(key.bytes, key.size), hbk_slice_of(raw, raw_bytes));
        hbk_public_key_fini(&key);
        EVP_PKEY_free(pkey);
    }
    struct hbk_public_key none;
    assert_int_equal(hbk_public_key_init(&none, NULL), HBK_OK);
    assert_int_equal(none.kind, HBK_PUBLIC_KEY_OTHER);
    hbk_public_key_fini(&none);
}

/* A certificate may carry the point compressed; the kernels want it whole. */
static void a_compressed_point_is_unfolded(void **state)
{
    (void)state;
    EVP_PKEY *pkey = EVP_EC_gen("P-256");
    struct hbk_public_key whole;
    struct hbk_public_key folded;
    assert_int_equal(hbk_public_key_init(&whole, pkey), HBK_OK);
    assert_int_equal(EVP_PKEY_set_utf8_string_param(pkey, "point-format", "compressed"), 1);
    pkey = public_part(pkey);
    assert_int_equal(hbk_public_key_init(&folded, pkey), HBK_OK);
    assert_int_equal(folded.kind, HBK_PUBLIC_KEY_P256);
    assert_memory_equal(whole.bytes, folded.bytes, whole.size);
    hbk_public_key_fini(&whole);
    hbk_public_key_fini(&folded);
    EVP_PKEY_free(pkey);
}

static void every_kind_has_a_name(void **state)
{
    (void)state;
    assert_string_equal(hbk_public_key_kind_text(HBK_PUBLIC_KEY_P256), "P-256");
    assert_string_equal(hbk_public_key_kind_text(HBK_PUBLIC_KEY_OTHER), "other");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(keys_are_read_in_the_forms_of_this_room),
        cmocka_unit_test(a_compressed_point_is_unfolded),
        cmocka_unit_test(every_kind_has_a_name),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
