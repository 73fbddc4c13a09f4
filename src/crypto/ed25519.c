#include "crypto/ed25519.h"

#include <openssl/err.h>
#include <openssl/evp.h>

#include "base/secret.h"

void hbk_ed25519_sign(struct hbk_ed25519_sign *operation)
{
    uint8_t signature[HBK_ED25519_SIGNATURE_BYTES];
    size_t size = sizeof(signature);

    operation->status = HBK_LANE_REFUSED;
    if (EVP_PKEY_is_a(operation->private_key, "ED25519") != 1) {
        return;
    }
    EVP_MD_CTX *context = EVP_MD_CTX_new();
    operation->status = HBK_LANE_FAILED;
    if (context != NULL &&
        EVP_DigestSignInit(context, NULL, NULL, NULL, operation->private_key) == 1 &&
        EVP_DigestSign(context, signature, &size, operation->message.bytes,
                       operation->message.size) == 1 &&
        size == sizeof(signature)) {
        memcpy(operation->signature, signature, sizeof(signature));
        operation->status = HBK_LANE_OK;
    }
    EVP_MD_CTX_free(context);
    ERR_clear_error();
    hbk_secret_wipe_stack();
}

void hbk_ed25519_verify(struct hbk_ed25519_verify *operation)
{
    EVP_PKEY *key = EVP_PKEY_new_raw_public_key(EVP_PKEY_ED25519, NULL, operation->public_key,
                                                HBK_ED25519_BYTES);
    EVP_MD_CTX *context = EVP_MD_CTX_new();

    operation->status = HBK_LANE_FAILED;
    if (key != NULL && context != NULL &&
        EVP_DigestVerifyInit(context, NULL, NULL, NULL, key) == 1) {
        bool is_right =
            EVP_DigestVerify(context, operation->signature, sizeof(operation->signature),
                             operation->message.bytes, operation->message.size) == 1;
        operation->status = is_right ? HBK_LANE_OK : HBK_LANE_REFUSED;
    }
    EVP_MD_CTX_free(context);
    EVP_PKEY_free(key);
    ERR_clear_error();
}
