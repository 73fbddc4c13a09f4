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

enum { SIZES = 3, BITS_MIN = 2048, BITS_STEP = 1024 };

static struct hbk_rsa_key *keys[SIZES];
static const struct hbk_rsa_key *key; /* the one in use */
static struct hbk_rsa_batch *batch;
static uint8_t inputs[HBK_LANES][HBK_RSA_BYTES_MAX];

static void require(bool condition)
{
    if (!condition) {
        abort();
    }
}

/* The size goes by the length of the input; mostly the smallest, which is the fastest. */
static void choose_key(size_t size)
{
    const unsigned which = size % 16 == 7 ? 1 : size % 16 == 11 ? 2 : 0;

    if (keys[which] == NULL) {
        EVP_PKEY *pkey = EVP_RSA_gen(BITS_MIN + which * BITS_STEP);
        require(hbk_rsa_key_new(pkey, &keys[which]) == HBK_OK);
        EVP_PKEY_free(pkey);
    }
    if (batch == NULL) {
        batch = hbk_rsa_batch_new();
        require(batch != NULL);
    }
    key = keys[which];
}

static void compare_paths(bool is_private)
{
    static uint8_t outputs[2][HBK_LANES][HBK_RSA_BYTES_MAX];
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
        require(memcmp(outputs[0][i], outputs[1][i], hbk_rsa_key_bytes(key)) == 0);
    }
}

static void check_paddings(void)
{
    const unsigned bits = hbk_rsa_key_bits(key);

    for (int hash = HBK_HASH_SHA256; hash <= HBK_HASH_SHA512; hash++) {
        (void)hbk_rsa_check_pkcs1((enum hbk_hash)hash, inputs[1], bits, inputs[0]);
        (void)hbk_rsa_check_pss((enum hbk_hash)hash, inputs[1], bits, inputs[0]);
        (void)hbk_rsa_check_pss((enum hbk_hash)hash, inputs[1], bits - 7, inputs[0]);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0) {
        return 0;
    }
    choose_key(size);
    for (size_t i = 0; i < sizeof(inputs); i++) {
        inputs[i / HBK_RSA_BYTES_MAX][i % HBK_RSA_BYTES_MAX] =
            data[(i + i / HBK_RSA_BYTES_MAX) % size];
    }
    check_paddings();
    if (HBK_PATH_IS_VECTOR(hbk_cpu_path())) {
        compare_paths(true);
        compare_paths(false);
    }
    return 0;
}
