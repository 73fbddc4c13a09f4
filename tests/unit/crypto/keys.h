/* Private keys of every kind that we take, and libcrypto's opinion of their signatures. */
#pragma once

#include <openssl/evp.h>
#include <openssl/rsa.h>
#include <openssl/x509.h>

#include "crypto/private_key.h"
#include "paths.h"

enum key_name {
    KEY_RSA_1024,
    KEY_RSA_2048,
    KEY_RSA_3072,
    KEY_RSA_4096,
    KEY_RSA_2048_E3, /* the exponent 3: not for the kernels */
    KEY_P256,
    KEY_P384,
    KEY_ED25519,
    KEY_COUNT,
};

static const struct {
    enum hbk_key_kind kind;
    unsigned bits;
    size_t scheme_count;
} key_cases[KEY_COUNT] = {
    [KEY_RSA_1024] = {HBK_KEY_RSA, 1024, 5},    [KEY_RSA_2048] = {HBK_KEY_RSA, 2048, 6},
    [KEY_RSA_3072] = {HBK_KEY_RSA, 3072, 6},    [KEY_RSA_4096] = {HBK_KEY_RSA, 4096, 6},
    [KEY_RSA_2048_E3] = {HBK_KEY_RSA, 2048, 6}, [KEY_P256] = {HBK_KEY_EC_P256, 256, 1},
    [KEY_P384] = {HBK_KEY_EC_P384, 384, 1},     [KEY_ED25519] = {HBK_KEY_ED25519, 256, 1},
};

static EVP_PKEY *key_pkeys[KEY_COUNT];

HBK_UNUSED static EVP_PKEY *rsa_with_exponent(unsigned bits, unsigned exponent)
{
    EVP_PKEY_CTX *context = EVP_PKEY_CTX_new_from_name(NULL, "RSA", NULL);
    BIGNUM *e = BN_new();
    EVP_PKEY *pkey = NULL;
    assert_int_equal(EVP_PKEY_keygen_init(context), 1);
    assert_int_equal(EVP_PKEY_CTX_set_rsa_keygen_bits(context, (int)bits), 1);
    assert_int_equal(BN_set_word(e, exponent), 1);
    assert_int_equal(EVP_PKEY_CTX_set1_rsa_keygen_pubexp(context, e), 1);
    assert_int_equal(EVP_PKEY_keygen(context, &pkey), 1);
    BN_free(e);
    EVP_PKEY_CTX_free(context);
    return pkey;
}

HBK_UNUSED static int make_key_pkeys(void **state)
{
    (void)state;
    for (int i = KEY_RSA_1024; i <= KEY_RSA_4096; i++) {
        key_pkeys[i] = EVP_RSA_gen(key_cases[i].bits);
    }
    key_pkeys[KEY_RSA_2048_E3] = rsa_with_exponent(2048, 3);
    key_pkeys[KEY_P256] = EVP_EC_gen("P-256");
    key_pkeys[KEY_P384] = EVP_EC_gen("P-384");
    key_pkeys[KEY_ED25519] = EVP_PKEY_Q_keygen(NULL, NULL, "ED25519");
    for (int i = 0; i < KEY_COUNT; i++) {
        if (key_pkeys[i] == NULL) {
            return 1;
        }
    }
    return 0;
}

HBK_UNUSED static int free_key_pkeys(void **state)
{
    (void)state;
    for (int i = 0; i < KEY_COUNT; i++) {
        EVP_PKEY_free(key_pkeys[i]);
    }
    return 0;
}

HBK_UNUSED static struct hbk_private_key *new_private_key(enum key_name name,
                                                          struct hbk_key_provider *provider)
{
    struct hbk_private_key *key = NULL;
    struct hbk_error error = {0};
    if (hbk_private_key_new(key_pkeys[name], provider, &key, &error) != HBK_OK) {
        fail_msg("no key: %s", error.text);
    }
    return key;
}

HBK_UNUSED static EVP_PKEY *public_half(EVP_PKEY *pkey)
{
    uint8_t *der = NULL;
    const int size = i2d_PUBKEY(pkey, &der);
    const uint8_t *cursor = der;
    EVP_PKEY *public_key = d2i_PUBKEY(NULL, &cursor, size);
    assert_non_null(public_key);
    OPENSSL_free(der);
    return public_key;
}

static inline const EVP_MD *scheme_hash(enum hbk_sign_scheme scheme)
{
    switch (scheme) {
    case HBK_SIGN_RSA_PKCS1_SHA256:
    case HBK_SIGN_RSA_PSS_RSAE_SHA256:
    case HBK_SIGN_ECDSA_P256_SHA256:
        return EVP_sha256();
    case HBK_SIGN_RSA_PKCS1_SHA384:
    case HBK_SIGN_RSA_PSS_RSAE_SHA384:
    case HBK_SIGN_ECDSA_P384_SHA384:
        return EVP_sha384();
    case HBK_SIGN_RSA_PKCS1_SHA512:
    case HBK_SIGN_RSA_PSS_RSAE_SHA512:
        return EVP_sha512();
    case HBK_SIGN_ED25519:
        break;
    }
    return NULL;
}

/* Whether a signature is right, with a salt as long as the hash where it is PSS. */
HBK_UNUSED static bool is_right_signature(EVP_PKEY *pkey, enum hbk_sign_scheme scheme,
                                          struct hbk_slice message, struct hbk_slice signature)
{
    EVP_MD_CTX *context = EVP_MD_CTX_new();
    EVP_PKEY_CTX *parameters = NULL;
    bool is_right =
        EVP_DigestVerifyInit(context, &parameters, scheme_hash(scheme), NULL, pkey) == 1;
    if (scheme >= HBK_SIGN_RSA_PSS_RSAE_SHA256 && scheme <= HBK_SIGN_RSA_PSS_RSAE_SHA512) {
        is_right = is_right &&
                   EVP_PKEY_CTX_set_rsa_padding(parameters, RSA_PKCS1_PSS_PADDING) == 1 &&
                   EVP_PKEY_CTX_set_rsa_pss_saltlen(parameters, RSA_PSS_SALTLEN_DIGEST) == 1;
    }
    is_right = is_right && EVP_DigestVerify(context, signature.bytes, signature.size, message.bytes,
                                            message.size) == 1;
    EVP_MD_CTX_free(context);
    return is_right;
}
