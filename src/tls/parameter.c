#include "tls/parameter.h"

#include "base/assert.h"

static const struct {
    const char *name;
    enum hbk_aead aead;
    uint16_t number;
} suites[] = {
    {"TLS_AES_128_GCM_SHA256", HBK_AEAD_AES_128_GCM, HBK_SUITE_AES_128_GCM_SHA256},
    {"TLS_AES_256_GCM_SHA384", HBK_AEAD_AES_256_GCM, HBK_SUITE_AES_256_GCM_SHA384},
    {"TLS_CHACHA20_POLY1305_SHA256", HBK_AEAD_CHACHA20_POLY1305,
     HBK_SUITE_CHACHA20_POLY1305_SHA256},
};

static const struct {
    const char *name;
    size_t share_bytes;
    uint16_t number;
} groups[] = {
    {"X25519", 32, HBK_GROUP_X25519},
    {"P-256", 65, HBK_GROUP_P256},
    {"P-384", 97, HBK_GROUP_P384},
};

static const struct {
    const char *name;
    uint16_t number;
    bool is_rsa;
} old_suites[] = {
    {"ECDHE-ECDSA-AES128-GCM-SHA256", 0xc02b, false},
    {"ECDHE-ECDSA-AES256-GCM-SHA384", 0xc02c, false},
    {"ECDHE-ECDSA-CHACHA20-POLY1305", 0xcca9, false},
    {"ECDHE-RSA-AES128-GCM-SHA256", 0xc02f, true},
    {"ECDHE-RSA-AES256-GCM-SHA384", 0xc030, true},
    {"ECDHE-RSA-CHACHA20-POLY1305", 0xcca8, true},
};

const char hbk_tls12_suites_allowed[] =
    "ECDHE-ECDSA-AES128-GCM-SHA256, ECDHE-ECDSA-AES256-GCM-SHA384, ECDHE-ECDSA-CHACHA20-POLY1305, "
    "ECDHE-RSA-AES128-GCM-SHA256, ECDHE-RSA-AES256-GCM-SHA384, ECDHE-RSA-CHACHA20-POLY1305";

static const char unknown_text[] = "unknown";

const char *hbk_tls12_suite_text(uint16_t suite)
{
    for (size_t i = 0; i < HBK_COUNT(old_suites); i++) {
        if (old_suites[i].number == suite) {
            return old_suites[i].name;
        }
    }
    return NULL;
}

uint16_t hbk_tls12_suite_of(struct hbk_slice name)
{
    for (size_t i = 0; i < HBK_COUNT(old_suites); i++) {
        if (hbk_slice_equal(name, hbk_slice_text(old_suites[i].name))) {
            return old_suites[i].number;
        }
    }
    return 0;
}

bool hbk_tls12_suite_is_rsa(uint16_t suite)
{
    for (size_t i = 0; i < HBK_COUNT(old_suites); i++) {
        if (old_suites[i].number == suite) {
            return old_suites[i].is_rsa;
        }
    }
    return false;
}

bool hbk_tls12_suite_is_known(uint16_t suite)
{
    return hbk_tls12_suite_text(suite) != NULL;
}

const char *hbk_cipher_suite_text(enum hbk_cipher_suite suite)
{
    for (size_t i = 0; i < HBK_COUNT(suites); i++) {
        if (suites[i].number == suite) {
            return suites[i].name;
        }
    }
    return unknown_text;
}

bool hbk_cipher_suite_is_known(uint16_t suite)
{
    return hbk_cipher_suite_text(suite) != unknown_text;
}

enum hbk_aead hbk_cipher_suite_aead(enum hbk_cipher_suite suite)
{
    for (size_t i = 0; i < HBK_COUNT(suites); i++) {
        if (suites[i].number == suite) {
            return suites[i].aead;
        }
    }
    HBK_UNREACHABLE();
}

enum hbk_hash hbk_cipher_suite_hash(enum hbk_cipher_suite suite)
{
    return suite == HBK_SUITE_AES_256_GCM_SHA384 ? HBK_HASH_SHA384 : HBK_HASH_SHA256;
}

size_t hbk_cipher_suite_hash_bytes(enum hbk_cipher_suite suite)
{
    return hbk_hash_bytes(hbk_cipher_suite_hash(suite));
}

const char *hbk_tls_group_text(uint16_t group)
{
    for (size_t i = 0; i < HBK_COUNT(groups); i++) {
        if (groups[i].number == group) {
            return groups[i].name;
        }
    }
    return unknown_text;
}

bool hbk_tls_group_is_known(uint16_t group)
{
    return hbk_tls_group_text(group) != unknown_text;
}

size_t hbk_tls_group_share_bytes(enum hbk_tls_group group)
{
    for (size_t i = 0; i < HBK_COUNT(groups); i++) {
        if (groups[i].number == group) {
            return groups[i].share_bytes;
        }
    }
    HBK_UNREACHABLE();
}

bool hbk_signature_scheme_is_known(uint16_t scheme)
{
    switch ((enum hbk_sign_scheme)scheme) {
    case HBK_SIGN_RSA_PKCS1_SHA256:
    case HBK_SIGN_RSA_PKCS1_SHA384:
    case HBK_SIGN_RSA_PKCS1_SHA512:
    case HBK_SIGN_ECDSA_P256_SHA256:
    case HBK_SIGN_ECDSA_P384_SHA384:
    case HBK_SIGN_RSA_PSS_RSAE_SHA256:
    case HBK_SIGN_RSA_PSS_RSAE_SHA384:
    case HBK_SIGN_RSA_PSS_RSAE_SHA512:
    case HBK_SIGN_ED25519:
        return true;
    }
    return false;
}

bool hbk_signature_scheme_is_pkcs1(uint16_t scheme)
{
    return scheme == HBK_SIGN_RSA_PKCS1_SHA256 || scheme == HBK_SIGN_RSA_PKCS1_SHA384 ||
           scheme == HBK_SIGN_RSA_PKCS1_SHA512;
}

const char *hbk_tls_version_text(enum hbk_tls_version version)
{
    switch (version) {
    case HBK_TLS_1_2:
        return "TLSv1.2";
    case HBK_TLS_1_3:
        return "TLSv1.3";
    }
    return unknown_text;
}
