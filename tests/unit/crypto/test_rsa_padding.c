#include "crypto/rsa_padding.h"

#include <openssl/evp.h>
#include <openssl/rand.h>
#include <openssl/rsa.h>

#include "crypto/rsa.h"
#include "paths.h"

enum { MODULUS_BITS = 2050 };

static const EVP_MD *digest_function(enum hbk_hash hash)
{
    return hash == HBK_HASH_SHA256   ? EVP_sha256()
           : hash == HBK_HASH_SHA384 ? EVP_sha384()
                                     : EVP_sha512();
}

/* One key for all tests. */
static EVP_PKEY *pkey;
static struct hbk_rsa_key *key;
static struct hbk_rsa_batch *batch;

static int make_key(void **state)
{
    (void)state;
    /* An odd size: the encoded message of PSS then fills whole bytes and the block is one longer.
     */
    pkey = EVP_RSA_gen(MODULUS_BITS);
    batch = hbk_rsa_batch_new();
    return batch == NULL || hbk_rsa_key_new(pkey, &key) != HBK_OK;
}

static int free_key(void **state)
{
    (void)state;
    hbk_rsa_key_free(key);
    EVP_PKEY_free(pkey);
    hbk_rsa_batch_free(batch);
    return 0;
}

static void run(bool is_private, const uint8_t *input, uint8_t *output)
{
    struct hbk_rsa_operation operation = {.key = key, .input = input, .output = output};
    struct hbk_rsa_operation *lanes[HBK_LANES] = {&operation};
    if (is_private) {
        hbk_rsa_private_lanes(HBK_PATH_TWIN, batch, lanes);
    } else {
        hbk_rsa_public_lanes(HBK_PATH_TWIN, batch, lanes);
    }
    assert_int_equal(operation.status, HBK_LANE_OK);
}

static EVP_PKEY_CTX *libcrypto_context(enum hbk_hash hash, bool is_pss, bool is_sign)
{
    EVP_PKEY_CTX *context = EVP_PKEY_CTX_new(pkey, NULL);
    assert_int_equal(is_sign ? EVP_PKEY_sign_init(context) : EVP_PKEY_verify_init(context), 1);
    EVP_PKEY_CTX_set_rsa_padding(context, is_pss ? RSA_PKCS1_PSS_PADDING : RSA_PKCS1_PADDING);
    EVP_PKEY_CTX_set_signature_md(context, digest_function(hash));
    if (is_pss) {
        EVP_PKEY_CTX_set_rsa_pss_saltlen(context, RSA_PSS_SALTLEN_DIGEST);
    }
    return context;
}

static void libcrypto_accepts_what_we_pad(void **state)
{
    (void)state;
    for (int round = 0; round < 6; round++) {
        enum hbk_hash hash = (enum hbk_hash)(round % 3);
        bool is_pss = round >= 3;
        uint8_t digest[64], salt[64], block[HBK_RSA_BYTES_MAX], signature[HBK_RSA_BYTES_MAX];
        RAND_bytes(digest, 64);
        RAND_bytes(salt, 64);
        assert_true(is_pss ? hbk_rsa_pad_pss(hash, digest, salt, MODULUS_BITS, block)
                           : hbk_rsa_pad_pkcs1(hash, digest, MODULUS_BITS, block));
        run(true, block, signature);
        EVP_PKEY_CTX *context = libcrypto_context(hash, is_pss, false);
        assert_int_equal(EVP_PKEY_verify(context, signature, hbk_rsa_key_bytes(key), digest,
                                         hbk_hash_bytes(hash)),
                         1);
        EVP_PKEY_CTX_free(context);
    }
}

static void we_accept_what_libcrypto_pads_and_nothing_near_it(void **state)
{
    (void)state;
    for (int round = 0; round < 6; round++) {
        enum hbk_hash hash = (enum hbk_hash)(round % 3);
        bool is_pss = round >= 3;
        uint8_t digest[64], block[HBK_RSA_BYTES_MAX], signature[HBK_RSA_BYTES_MAX];
        size_t size = sizeof(signature);
        RAND_bytes(digest, 64);
        EVP_PKEY_CTX *context = libcrypto_context(hash, is_pss, true);
        assert_int_equal(EVP_PKEY_sign(context, signature, &size, digest, hbk_hash_bytes(hash)), 1);
        EVP_PKEY_CTX_free(context);
        run(false, signature, block);
        bool (*check)(enum hbk_hash, const uint8_t *, unsigned, const uint8_t *) =
            is_pss ? hbk_rsa_check_pss : hbk_rsa_check_pkcs1;
        assert_true(check(hash, digest, MODULUS_BITS, block));
        for (size_t i = 0; i < size; i++) {
            block[i] ^= (uint8_t)(1 << i % 8);
            assert_false(check(hash, digest, MODULUS_BITS, block));
            block[i] ^= (uint8_t)(1 << i % 8);
        }
        digest[0] ^= 1;
        assert_false(check(hash, digest, MODULUS_BITS, block));
    }
}

/* With a modulus of 8 k + 1 bits the message of PSS fills whole bytes and the block is one longer.
 */
static void a_block_one_byte_longer_than_the_message_starts_with_zero(void **state)
{
    (void)state;
    uint8_t digest[64] = {1}, salt[64] = {2}, block[HBK_RSA_BYTES_MAX];
    memset(block, 0xee, sizeof(block));
    assert_true(hbk_rsa_pad_pss(HBK_HASH_SHA256, digest, salt, 2049, block));
    assert_int_equal(block[0], 0);
    assert_int_equal(block[256], 0xbc);
    assert_true(hbk_rsa_check_pss(HBK_HASH_SHA256, digest, 2049, block));
    block[0] = 1;
    assert_false(hbk_rsa_check_pss(HBK_HASH_SHA256, digest, 2049, block));
}

static void a_modulus_too_short_for_the_padding_is_refused(void **state)
{
    (void)state;
    uint8_t digest[64] = {0}, salt[64] = {0}, block[HBK_RSA_BYTES_MAX];
    assert_false(hbk_rsa_pad_pss(HBK_HASH_SHA512, digest, salt, 1024, block));
    assert_true(hbk_rsa_pad_pss(HBK_HASH_SHA512, digest, salt, 1042, block));
    assert_false(hbk_rsa_pad_pkcs1(HBK_HASH_SHA512, digest, 744 - 8, block));
    assert_true(hbk_rsa_pad_pkcs1(HBK_HASH_SHA512, digest, 752, block));
    assert_false(hbk_rsa_check_pss(HBK_HASH_SHA256, digest, 4104, block));
    assert_false(hbk_rsa_check_pkcs1(HBK_HASH_SHA256, digest, 4104, block));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(libcrypto_accepts_what_we_pad),
        cmocka_unit_test(we_accept_what_libcrypto_pads_and_nothing_near_it),
        cmocka_unit_test(a_block_one_byte_longer_than_the_message_starts_with_zero),
        cmocka_unit_test(a_modulus_too_short_for_the_padding_is_refused),
    };
    return cmocka_run_group_tests(tests, make_key, free_key);
}
