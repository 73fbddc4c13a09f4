/*
 * The scalar code of ours that handles secrets, under valgrind: memcheck reports branches on, and
 * addresses made of, undefined memory, so every secret is marked undefined (the idea is ctgrind's,
 * Langley 2010). The vector kernels are looked at by tests/constant_time.c and
 * tools/check_jumps.py, since valgrind does not know AVX-512.
 *
 * What libcrypto itself does with secrets is its own affair and left out, by the suppressions
 * beside this file; so are the few places where we tell something that is public, each by its name.
 * Run by tools/check_scalar_secrets.sh: without an argument everything, with "control" a branch on
 * a secret that must be reported.
 */
#include <stdio.h>
#include <string.h>
#include <valgrind/memcheck.h>

#include "base/secret.h"
#include "crypto/ec_order.h"
#include "crypto/hkdf.h"
#include "crypto/p256.h"
#include "crypto/p256_nonce.h"
#include "crypto/p384.h"
#include "crypto/rsa_padding.h"
#include "crypto/x25519.h"

enum { LONG_BYTES = 300 };

static uint8_t secret[LONG_BYTES], out[512];
static volatile bool answer;

static struct hbk_slice secret_of(size_t size)
{
    for (size_t i = 0; i < sizeof(secret); i++) {
        secret[i] = (uint8_t)(i * 7 + 1);
    }
    VALGRIND_MAKE_MEM_UNDEFINED(secret, sizeof(secret));
    return hbk_slice_of(secret, size);
}

static void branch_on_secret(void)
{
    if (secret_of(32).bytes[3] == 5) {
        puts("five");
    }
}

static void hashes(void)
{
    for (int hash = 0; hash < HBK_HASH_COUNT; hash++) {
        for (size_t size = 0; size <= LONG_BYTES; size += 13) {
            struct hbk_hash_state state;
            const struct hbk_slice bytes = secret_of(size);
            hbk_hash_init(&state, (enum hbk_hash)hash);
            hbk_hash_update(&state, bytes);
            hbk_hash_digest(&state, out);
            hbk_hash_update(&state, bytes);
            hbk_hash_digest(&state, out);
        }
    }
}

static void keyed_hashes(void)
{
    for (int hash = 0; hash < HBK_HASH_COUNT; hash++) {
        for (size_t size = 0; size <= LONG_BYTES; size += 13) {
            struct hbk_hmac hmac;
            const struct hbk_slice parts[2] = {secret_of(size), HBK_SLICE("label")};
            hbk_hmac_init(&hmac, (enum hbk_hash)hash, parts[0]);
            hbk_hmac_code(&hmac, parts, 2, out);
            hbk_hkdf_extract((enum hbk_hash)hash, parts[0], parts[0], out);
            answer = hbk_hkdf_expand_keyed(&hmac, parts[0], hbk_span_of(out, 200));
        }
    }
}

static void nonces(void)
{
    const uint8_t *bytes = secret_of(80).bytes;
    hbk_p256_nonce(bytes, bytes + 32, hbk_slice_of(bytes + 64, 16), out);
}

static void ranges(void)
{
    answer = hbk_ec_order_admits(&hbk_p256_order, secret_of(32).bytes);
    answer = hbk_ec_order_admits(&hbk_p384_order, secret_of(48).bytes);
    (void)hbk_ec_order_subtract(&hbk_p384_order, secret, out);
}

static void comparisons(void)
{
    static const uint8_t zeros[LONG_BYTES];
    for (size_t size = 0; size <= LONG_BYTES; size += 33) {
        answer = hbk_secret_equal(secret_of(size), hbk_slice_of(zeros, size));
    }
}

static void paddings(void)
{
    for (int hash = 0; hash < HBK_HASH_COUNT; hash++) {
        const uint8_t *bytes = secret_of(128).bytes;
        answer = hbk_rsa_pad_pkcs1((enum hbk_hash)hash, bytes, 2048, out);
        answer = hbk_rsa_pad_pss((enum hbk_hash)hash, bytes, bytes + 64, 2048, out);
    }
}

static void twins(void)
{
    static uint8_t point[HBK_P384_POINT_BYTES];
    struct hbk_p256_keygen pair;
    struct hbk_p384_keygen long_pair;
    struct hbk_p256_keygen *pair_lane[HBK_LANES] = {&pair};
    hbk_p256_keygen_lanes(HBK_PATH_TWIN, pair_lane);
    hbk_p384_keygen(&long_pair);
    memcpy(point, long_pair.public_key, sizeof(point));

    struct hbk_p256_sign sign = {.private_key = secret_of(32).bytes};
    struct hbk_p256_sign *sign_lane[HBK_LANES] = {&sign};
    hbk_p256_sign_lanes(HBK_PATH_TWIN, sign_lane);
    struct hbk_p256_agree agree = {.private_key = secret, .peer_key = pair.public_key};
    struct hbk_p256_agree *agree_lane[HBK_LANES] = {&agree};
    hbk_p256_agree_lanes(HBK_PATH_TWIN, agree_lane);
    struct hbk_p384_sign long_sign = {.private_key = secret};
    hbk_p384_sign(&long_sign);
    struct hbk_p384_agree long_agree = {.private_key = secret, .peer_key = point};
    hbk_p384_agree(&long_agree);

    static const uint8_t nine[HBK_X25519_BYTES] = {9};
    struct hbk_x25519_agree x_agree = {.private_key = secret, .peer_key = nine};
    struct hbk_x25519_agree *x_lane[HBK_LANES] = {&x_agree};
    hbk_x25519_agree_lanes(HBK_PATH_TWIN, x_lane);
}

static const struct {
    const char *name;
    void (*run)(void);
} cases[] = {
    {"hashes of secrets", hashes},         {"HMAC and HKDF", keyed_hashes},
    {"nonces of ECDSA", nonces},           {"scalars in range", ranges},
    {"comparisons", comparisons},          {"paddings of RSA", paddings},
    {"the twins around libcrypto", twins},
};

int main(int argc, char **argv)
{
    if (argc > 1 && strcmp(argv[1], "control") == 0) {
        branch_on_secret();
        return 0;
    }
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        const unsigned before = VALGRIND_COUNT_ERRORS;
        cases[i].run();
        printf("%s: %s\n", VALGRIND_COUNT_ERRORS == before ? "ok" : "FAILED", cases[i].name);
        fflush(stdout);
    }
    return 0;
}
