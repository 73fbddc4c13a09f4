#include "crypto/public_key.h"

#include <openssl/core_names.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <string.h>

#include "base/assert.h"
#include "crypto/rsa.h"

enum { ED25519_BYTES = 32, POINT_IS_UNCOMPRESSED = 4 };

const char *hbk_public_key_kind_text(enum hbk_public_key_kind kind)
{
    switch (kind) {
    case HBK_PUBLIC_KEY_OTHER:
        return "other";
    case HBK_PUBLIC_KEY_RSA:
        return "RSA";
    case HBK_PUBLIC_KEY_P256:
        return "P-256";
    case HBK_PUBLIC_KEY_P384:
        return "P-384";
    case HBK_PUBLIC_KEY_ED25519:
        return "Ed25519";
    }
    HBK_UNREACHABLE();
}

/* The point in full, whatever form the certificate wrote it in. */
static void read_point(struct hbk_public_key *key, EVP_PKEY *pkey)
{
    static const struct {
        const char *group;
        enum hbk_public_key_kind kind;
        size_t size;
    } curves[] = {
        {"prime256v1", HBK_PUBLIC_KEY_P256, 65},
        {"secp384r1", HBK_PUBLIC_KEY_P384, 97},
    };
    char group[32];
    BIGNUM *x = NULL;
    BIGNUM *y = NULL;
    if (EVP_PKEY_get_utf8_string_param(pkey, OSSL_PKEY_PARAM_GROUP_NAME, group, sizeof group,
                                       NULL) != 1 ||
        EVP_PKEY_get_bn_param(pkey, OSSL_PKEY_PARAM_EC_PUB_X, &x) != 1 ||
        EVP_PKEY_get_bn_param(pkey, OSSL_PKEY_PARAM_EC_PUB_Y, &y) != 1) {
        BN_free(x);
        BN_free(y);
        return;
    }
    for (size_t i = 0; i < HBK_COUNT(curves); i++) {
        int half = (int)(curves[i].size - 1) / 2;
        if (strcmp(group, curves[i].group) == 0 && BN_bn2binpad(x, key->bytes + 1, half) == half &&
            BN_bn2binpad(y, key->bytes + 1 + half, half) == half) {
            key->bytes[0] = POINT_IS_UNCOMPRESSED;
            key->size = curves[i].size;
            key->kind = curves[i].kind;
        }
    }
    BN_free(x);
    BN_free(y);
}

static hbk_status read_rsa(struct hbk_public_key *key, EVP_PKEY *pkey)
{
    hbk_status status = hbk_rsa_key_new(pkey, &key->rsa);
    if (status == HBK_OK) {
        key->kind = HBK_PUBLIC_KEY_RSA;
    }
    return status == HBK_UNSUPPORTED ? HBK_OK : status;
}

hbk_status hbk_public_key_init(struct hbk_public_key *key, EVP_PKEY *pkey)
{
    *key = (struct hbk_public_key){.kind = HBK_PUBLIC_KEY_OTHER};
    if (pkey == NULL) {
        return HBK_OK;
    }
    hbk_status status = HBK_OK;
    int bits = EVP_PKEY_get_bits(pkey);
    key->bits = bits > 0 ? (unsigned)bits : 0;
    if (EVP_PKEY_is_a(pkey, "EC")) {
        read_point(key, pkey);
    } else if (EVP_PKEY_is_a(pkey, "RSA")) {
        status = read_rsa(key, pkey);
    } else if (EVP_PKEY_is_a(pkey, "ED25519")) {
        size_t size = sizeof key->bytes;
        if (EVP_PKEY_get_raw_public_key(pkey, key->bytes, &size) == 1 && size == ED25519_BYTES) {
            key->size = size;
            key->kind = HBK_PUBLIC_KEY_ED25519;
        }
    }
    ERR_clear_error();
    return status;
}

void hbk_public_key_fini(struct hbk_public_key *key)
{
    hbk_rsa_key_free(key->rsa);
    *key = (struct hbk_public_key){.kind = HBK_PUBLIC_KEY_OTHER};
}
