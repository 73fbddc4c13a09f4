/*
 * The kernels of P-256 and X25519 against libcrypto: any scalars, points and signatures give the
 * same status, and the same bytes where that is HBK_LANE_OK. The input is cut into 32-byte numbers;
 * lane i starts at number i, so neighbours differ.
 */
#include "fuzz_target.h"

#include <openssl/ec.h>
#include <openssl/obj_mac.h>
#include <stdlib.h>
#include <string.h>

#include "crypto/cpu.h"
#include "crypto/ec_order.h"
#include "crypto/p256.h"
#include "crypto/x25519.h"

#if HBK_HAS_VECTOR
#include "crypto/vector/p256.h"
#include "crypto/vector/x25519.h"
#endif

enum { NUMBER_BYTES = 32, NUMBERS = 16 };

static uint8_t numbers[NUMBERS][NUMBER_BYTES];
static uint8_t points[NUMBERS][HBK_P256_POINT_BYTES];

static void require(bool condition)
{
    if (!condition) {
        abort();
    }
}

/* By libcrypto. */
static bool public_key_of(const uint8_t scalar[NUMBER_BYTES], uint8_t out[HBK_P256_POINT_BYTES])
{
    EC_GROUP *group = EC_GROUP_new_by_curve_name(NID_X9_62_prime256v1);
    EC_POINT *point = EC_POINT_new(group);
    BIGNUM *number = BN_bin2bn(scalar, NUMBER_BYTES, NULL);
    bool is_done = EC_POINT_mul(group, point, number, NULL, NULL, NULL) == 1 &&
                   EC_POINT_point2oct(group, point, POINT_CONVERSION_UNCOMPRESSED, out,
                                      HBK_P256_POINT_BYTES, NULL) == HBK_P256_POINT_BYTES;
    BN_free(number);
    EC_POINT_free(point);
    EC_GROUP_free(group);
    return is_done;
}

/* Every other point is one of the curve, or nothing would get past the check. */
static void make_points(void)
{
    static struct hbk_p256_keygen valid;
    struct hbk_p256_keygen *lane[HBK_LANES] = {&valid};

    if (valid.public_key[0] == 0) {
        hbk_p256_keygen_lanes(HBK_PATH_TWIN, lane);
    }
    for (int i = 0; i < NUMBERS; i++) {
        points[i][0] = 4;
        memcpy(points[i] + 1, numbers[i], NUMBER_BYTES);
        memcpy(points[i] + 33, numbers[(i + 1) % NUMBERS], NUMBER_BYTES);
        if (i % 2 == 0) {
            memcpy(points[i], valid.public_key, HBK_P256_POINT_BYTES);
        }
    }
}

static void compare_agree(void)
{
    struct hbk_p256_agree both[2][HBK_LANES];
    for (int path = 0; path < 2; path++) {
        struct hbk_p256_agree *lanes[HBK_LANES];
        for (int i = 0; i < HBK_LANES; i++) {
            both[path][i] =
                (struct hbk_p256_agree){.private_key = numbers[i], .peer_key = points[i]};
            lanes[i] = &both[path][i];
        }
        hbk_p256_agree_lanes((enum hbk_path)path, lanes);
    }
    for (int i = 0; i < HBK_LANES; i++) {
        require(both[0][i].status == both[1][i].status);
        require(memcmp(both[0][i].secret, both[1][i].secret, NUMBER_BYTES) == 0);
    }
}

static void compare_verify(void)
{
    struct hbk_p256_verify both[2][HBK_LANES];
    for (int path = 0; path < 2; path++) {
        struct hbk_p256_verify *lanes[HBK_LANES];
        for (int i = 0; i < HBK_LANES; i++) {
            both[path][i] = (struct hbk_p256_verify){.public_key = points[i]};
            memcpy(both[path][i].digest, numbers[i], NUMBER_BYTES);
            memcpy(both[path][i].signature, numbers[i + 1], 2 * NUMBER_BYTES);
            lanes[i] = &both[path][i];
        }
        hbk_p256_verify_lanes((enum hbk_path)path, lanes);
    }
    for (int i = 0; i < HBK_LANES; i++) {
        require(both[0][i].status == both[1][i].status);
    }
}

/* Nonces are random, so a signature cannot be compared: the other path must accept it. */
static void check_sign(void)
{
    struct hbk_p256_sign signs[HBK_LANES];
    struct hbk_p256_verify verifies[HBK_LANES];
    struct hbk_p256_sign *lanes[HBK_LANES];
    struct hbk_p256_verify *verify_lanes[HBK_LANES];
    static uint8_t keys[HBK_LANES][HBK_P256_POINT_BYTES];
    for (int i = 0; i < HBK_LANES; i++) {
        signs[i] = (struct hbk_p256_sign){.private_key = numbers[i]};
        memcpy(signs[i].digest, numbers[i + HBK_LANES], NUMBER_BYTES);
        lanes[i] = &signs[i];
    }
    hbk_p256_sign_lanes(HBK_PATH_VECTOR, lanes);
    for (int i = 0; i < HBK_LANES; i++) {
        require((signs[i].status == HBK_LANE_OK) ==
                hbk_ec_order_admits(&hbk_p256_order, numbers[i]));
        verify_lanes[i] = NULL;
        if (signs[i].status == HBK_LANE_OK && public_key_of(numbers[i], keys[i])) {
            verifies[i] = (struct hbk_p256_verify){.public_key = keys[i]};
            memcpy(verifies[i].digest, signs[i].digest, NUMBER_BYTES);
            memcpy(verifies[i].signature, signs[i].signature, sizeof(signs[i].signature));
            verify_lanes[i] = &verifies[i];
        }
    }
    hbk_p256_verify_lanes(HBK_PATH_TWIN, verify_lanes);
    HBK_LANE_EACH (i, verify_lanes) {
        require(verifies[i].status == HBK_LANE_OK);
    }
}

static void compare_x25519(void)
{
    struct hbk_x25519_agree both[2][HBK_LANES];
    for (int path = 0; path < 2; path++) {
        struct hbk_x25519_agree *lanes[HBK_LANES];
        for (int i = 0; i < HBK_LANES; i++) {
            both[path][i] = (struct hbk_x25519_agree){.private_key = numbers[i],
                                                      .peer_key = numbers[i + HBK_LANES]};
            lanes[i] = &both[path][i];
        }
        hbk_x25519_agree_lanes((enum hbk_path)path, lanes);
    }
    for (int i = 0; i < HBK_LANES; i++) {
        require(both[0][i].status == both[1][i].status);
        require(memcmp(both[0][i].secret, both[1][i].secret, NUMBER_BYTES) == 0);
    }
}

#if HBK_HAS_VECTOR
/* Key generation draws its scalars itself, so the kernels below it are called here. */
static void compare_base(void)
{
    static uint8_t x[HBK_LANES][NUMBER_BYTES], y[HBK_LANES][NUMBER_BYTES];
    static const uint8_t nine[NUMBER_BYTES] = {9};
    struct hbk_x25519_agree agrees[HBK_LANES];
    struct hbk_x25519_agree *lanes[HBK_LANES];
    hbk_vector_p256_start();
    hbk_vector_x25519_start();
    uint8_t done = hbk_vector_p256_base(numbers, x, y);
    for (int i = 0; i < HBK_LANES; i++) {
        uint8_t point[HBK_P256_POINT_BYTES];
        bool is_scalar = hbk_ec_order_admits(&hbk_p256_order, numbers[i]);
        require(((done >> i & 1) != 0) == is_scalar);
        require(!is_scalar ||
                (public_key_of(numbers[i], point) && memcmp(point + 1, x[i], NUMBER_BYTES) == 0 &&
                 memcmp(point + 1 + NUMBER_BYTES, y[i], NUMBER_BYTES) == 0));
        agrees[i] = (struct hbk_x25519_agree){.private_key = numbers[i], .peer_key = nine};
        lanes[i] = &agrees[i];
    }
    hbk_vector_x25519_base(numbers, x);
    hbk_x25519_agree_lanes(HBK_PATH_TWIN, lanes);
    for (int i = 0; i < HBK_LANES; i++) {
        require(agrees[i].status == HBK_LANE_OK);
        require(memcmp(agrees[i].secret, x[i], NUMBER_BYTES) == 0);
    }
}
#endif

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (!HBK_PATH_IS_VECTOR(hbk_cpu_path())) {
        return 0;
    }
    memset(numbers, 0, sizeof(numbers));
    memcpy(numbers, data, size < sizeof(numbers) ? size : sizeof(numbers));
    make_points();
    compare_agree();
    compare_verify();
    check_sign();
    compare_x25519();
#if HBK_HAS_VECTOR
    compare_base();
#endif
    return 0;
}
