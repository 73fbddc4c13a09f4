#include "crypto/signature.h"

#include <openssl/core_names.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/param_build.h>

enum { P384_POINT_BYTES = 97 };

/* NULL when the point is not on the curve, or out of memory. */
static EVP_PKEY *p384_key(struct hbk_slice point)
{
    char group[] = "P-384";
    uint8_t bytes[P384_POINT_BYTES];
    EVP_PKEY *key = NULL;

    if (point.size != sizeof(bytes) || point.bytes[0] != 4) {
        return NULL;
    }
    memcpy(bytes, point.bytes, sizeof(bytes));
    OSSL_PARAM parameters[] = {
        OSSL_PARAM_construct_utf8_string(OSSL_PKEY_PARAM_GROUP_NAME, group, 0),
        OSSL_PARAM_construct_octet_string(OSSL_PKEY_PARAM_PUB_KEY, bytes, sizeof(bytes)),
        OSSL_PARAM_construct_end(),
    };
    EVP_PKEY_CTX *context = EVP_PKEY_CTX_new_from_name(NULL, "EC", NULL);
    if (context != NULL && EVP_PKEY_fromdata_init(context) == 1) {
        (void)EVP_PKEY_fromdata(context, &key, EVP_PKEY_PUBLIC_KEY, parameters);
    }
    EVP_PKEY_CTX_free(context);
    return key;
}

static EVP_PKEY *key_of(const struct hbk_signature_verify *operation)
{
    switch (operation->scheme) {
    case HBK_SIGNATURE_ECDSA_P384_SHA384:
        return p384_key(operation->public_key);
    case HBK_SIGNATURE_ED25519:
        return EVP_PKEY_new_raw_public_key(EVP_PKEY_ED25519, NULL, operation->public_key.bytes,
                                           operation->public_key.size);
    }
    return NULL;
}

void hbk_signature_verify(struct hbk_signature_verify *operation)
{
    EVP_PKEY *key = key_of(operation);
    EVP_MD_CTX *context = EVP_MD_CTX_new();
    const EVP_MD *digest =
        operation->scheme == HBK_SIGNATURE_ECDSA_P384_SHA384 ? EVP_sha384() : NULL;

    operation->status = context == NULL ? HBK_LANE_FAILED : HBK_LANE_REFUSED;
    if (key != NULL && context != NULL &&
        EVP_DigestVerifyInit(context, NULL, digest, NULL, key) == 1 &&
        EVP_DigestVerify(context, operation->signature.bytes, operation->signature.size,
                         operation->message.bytes, operation->message.size) == 1) {
        operation->status = HBK_LANE_OK;
    }
    EVP_MD_CTX_free(context);
    EVP_PKEY_free(key);
    ERR_clear_error();
}
