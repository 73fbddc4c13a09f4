/*
 * Keys out of any bytes: what libcrypto reads as a private or a public key is taken or refused, and
 * what is taken can be used. An RSA result that leaves must be the input when it is raised to the
 * public exponent, unless libcrypto alone computed it.
 */
#include "fuzz_target.h"

#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/x509.h>
#include <stdlib.h>
#include <string.h>

#include "crypto/cpu.h"
#include "crypto/private_key.h"
#include "crypto/rsa.h"

/* Larger numbers cost milliseconds a key, and nothing else happens with them. */
enum { BITS_MAX = 2048 };

static struct hbk_rsa_batch *batch;

static void require(bool condition)
{
    if (!condition) {
        abort();
    }
}

static void use_rsa(const struct hbk_rsa_key *key)
{
    static uint8_t input[HBK_RSA_BYTES_MAX], output[HBK_RSA_BYTES_MAX], back[HBK_RSA_BYTES_MAX];
    struct hbk_rsa_operation operation = {.key = key, .input = input, .output = output};
    struct hbk_rsa_operation *lanes[HBK_LANES] = {[3] = &operation};
    const size_t size = hbk_rsa_key_bytes(key);

    input[0] = 0;
    memset(input + 1, 0x35, size - 1);
    hbk_rsa_private_lanes(hbk_cpu_path(), batch, lanes);
    if (!hbk_rsa_key_is_private(key)) {
        require(operation.status == HBK_LANE_REFUSED);
        return;
    }
    if (operation.status != HBK_LANE_OK || operation.was_redone || !hbk_rsa_key_is_vector(key) ||
        hbk_cpu_path() != HBK_PATH_VECTOR) {
        return;
    }
    struct hbk_rsa_operation undo = {.key = key, .input = output, .output = back};
    lanes[3] = &undo;
    hbk_rsa_public_lanes(HBK_PATH_TWIN, batch, lanes);
    require(undo.status == HBK_LANE_OK && memcmp(back, input, size) == 0);
}

static void take(EVP_PKEY *pkey)
{
    struct hbk_private_key *private_key = NULL;
    struct hbk_rsa_key *key = NULL;
    struct hbk_error error = {0};

    if (pkey == NULL) {
        return;
    }
    if (EVP_PKEY_get_bits(pkey) <= BITS_MAX) {
        if (hbk_rsa_key_new(pkey, &key) == HBK_OK) {
            use_rsa(key);
            hbk_rsa_key_free(key);
        }
        if (hbk_private_key_new(pkey, NULL, &private_key, &error) == HBK_OK) {
            enum hbk_sign_scheme schemes[HBK_KEY_SCHEMES_MAX];
            require(hbk_private_key_schemes(private_key, schemes) > 0);
            hbk_private_key_unref(private_key);
        } else {
            require(error.text[0] != '\0');
        }
    }
    EVP_PKEY_free(pkey);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const unsigned char *at = data;

    if (size > (1 << 16)) {
        return 0;
    }
    if (batch == NULL) {
        batch = hbk_rsa_batch_new();
        require(batch != NULL);
    }
    take(d2i_AutoPrivateKey(NULL, &at, (long)size));
    at = data;
    take(d2i_PUBKEY(NULL, &at, (long)size));
    ERR_clear_error();
    return 0;
}
