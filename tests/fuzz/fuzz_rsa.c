/*
 * RSA: the kernels against libcrypto on any input, and the checks of paddings on any block. The
 * input is repeated to the length of the modulus, starting further on in each lane.
 */
#include "fuzz_target.h"

#include <openssl/evp.h>
#include <openssl/rsa.h>
#include <stdlib.h>
#include <string.h>

#include "crypto/cpu.h"
#include "crypto/rsa.h"
#include "crypto/rsa_padding.h"

enum { MODULUS_BITS = 2048, MODULUS_BYTES = MODULUS_BITS / 8 };

static struct hbk_rsa_key *key;
static struct hbk_rsa_batch *batch;
static uint8_t inputs[HBK_LANES][MODULUS_BYTES];

static void require(bool condition)
{
    if (!condition) {
        abort();
    }
}

static void make_key(void)
{
    if (key == NULL) {
        EVP_PKEY *pkey = EVP_RSA_gen(MODULUS_BITS);
        require(hbk_rsa_key_new(pkey, &key) == HBK_OK);
        EVP_PKEY_free(pkey);
        batch = hbk_rsa_batch_new();
        require(batch != NULL);
    }
}

static void compare_paths(bool is_private)
{
    static uint8_t outputs[2][HBK_LANES][MODULUS_BYTES];
    struct hbk_rsa_operation both[2][HBK_LANES];

    memset(outputs, 0, sizeof(outputs));
    for (int path = 0; path < 2; path++) {
        struct hbk_rsa_operation *lanes[HBK_LANES];
        for (int i = 0; i < HBK_LANES; i++) {
            both[path][i] = (struct hbk_rsa_operation){
                .key = key, .input = inputs[i], .output = outputs[path][i]};
            lanes[i] = &both[path][i];
        }
        if (is_private) {
            hbk_rsa_private_lanes((enum hbk_path)path, batch, lanes);
        } else {
            hbk_rsa_public_lanes((enum hbk_path)path, batch, lanes);
        }
    }
    for (int i = 0; i < HBK_LANES; i++) {
        require(both[0][i].status == both[1][i].status);
        require(!both[1][i].was_redone);
        require(memcmp(outputs[0][i], outputs[1][i], MODULUS_BYTES) == 0);
    }
}

static void check_paddings(void)
{
    for (int hash = HBK_HASH_SHA256; hash <= HBK_HASH_SHA512; hash++) {
        (void)hbk_rsa_check_pkcs1((enum hbk_hash)hash, inputs[1], MODULUS_BITS, inputs[0]);
        (void)hbk_rsa_check_pss((enum hbk_hash)hash, inputs[1], MODULUS_BITS, inputs[0]);
        (void)hbk_rsa_check_pss((enum hbk_hash)hash, inputs[1], MODULUS_BITS - 7, inputs[0]);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0) {
        return 0;
    }
    make_key();
    for (size_t i = 0; i < sizeof(inputs); i++) {
        inputs[i / MODULUS_BYTES][i % MODULUS_BYTES] = data[(i + i / MODULUS_BYTES) % size];
    }
    check_paddings();
    if (HBK_PATH_IS_VECTOR(hbk_cpu_path())) {
        compare_paths(true);
        compare_paths(false);
    }
    return 0;
}
