#include "crypto/p384.h"

#include <openssl/core_names.h>
#include <openssl/ec.h>
#include <openssl/evp.h>
#include <openssl/param_build.h>
#include <openssl/rand.h>

#include "crypto/ec_order.h"
#include "crypto/ecdsa_der.h"
#include "paths.h"

/* libcrypto's key from a point, by another way than the room's. */
static EVP_PKEY *new_public_key(const uint8_t point[HBK_P384_POINT_BYTES])
{
    char group[] = "P-384";
    uint8_t bytes[HBK_P384_POINT_BYTES];
    EVP_PKEY *key = NULL;

    memcpy(bytes, point, sizeof(bytes));
    OSSL_PARAM parameters[] = {
        OSSL_PARAM_construct_utf8_string(OSSL_PKEY_PARAM_GROUP_NAME, group, 0),
        OSSL_PARAM_construct_octet_string(OSSL_PKEY_PARAM_PUB_KEY, bytes, sizeof(bytes)),
        OSSL_PARAM_construct_end(),
    };
    EVP_PKEY_CTX *context = EVP_PKEY_CTX_new_from_name(NULL, "EC", NULL);
    assert_int_equal(EVP_PKEY_fromdata_init(context), 1);
    assert_int_equal(EVP_PKEY_fromdata(context, &key, EVP_PKEY_PUBLIC_KEY, parameters), 1);
    EVP_PKEY_CTX_free(context);
    return key;
}

/* order + offset */
static void order_plus(uint8_t out[HBK_P384_BYTES], int offset)
{
    memcpy(out, hbk_p384_order.number, HBK_P384_BYTES);
    out[HBK_P384_BYTES - 1] = (uint8_t)(out[HBK_P384_BYTES - 1] + offset);
}

static void both_sides_agree_on_the_same_secret(void **state)
{
    (void)state;
    for (int round = 0; round < 10; round++) {
        struct hbk_p384_keygen pairs[2];
        struct hbk_p384_agree agrees[2];
        for (int i = 0; i < 2; i++) {
            hbk_p384_keygen(&pairs[i]);
            assert_int_equal(pairs[i].status, HBK_LANE_OK);
            assert_true(hbk_ec_order_admits(&hbk_p384_order, pairs[i].private_key));
        }
        for (int i = 0; i < 2; i++) {
            agrees[i] = (struct hbk_p384_agree){.private_key = pairs[i].private_key,
                                                .peer_key = pairs[1 - i].public_key};
            hbk_p384_agree(&agrees[i]);
            assert_int_equal(agrees[i].status, HBK_LANE_OK);
        }
        assert_memory_equal(agrees[0].secret, agrees[1].secret, HBK_P384_BYTES);
    }
}

static void a_public_key_times_one_is_itself(void **state)
{
    (void)state;
    static const uint8_t one[HBK_P384_BYTES] = {[HBK_P384_BYTES - 1] = 1};
    uint8_t minus_one[HBK_P384_BYTES];
    struct hbk_p384_keygen pair;

    order_plus(minus_one, -1);
    hbk_p384_keygen(&pair);
    const uint8_t *const scalars[2] = {one, minus_one}; /* n-1 gives the negative: the same x */
    for (int i = 0; i < 2; i++) {
        struct hbk_p384_agree agree = {.private_key = scalars[i], .peer_key = pair.public_key};
        hbk_p384_agree(&agree);
        assert_int_equal(agree.status, HBK_LANE_OK);
        assert_memory_equal(agree.secret, pair.public_key + 1, HBK_P384_BYTES);
    }
}

static void hostile_points_and_scalars_out_of_range_are_refused(void **state)
{
    (void)state;
    uint8_t scalars[3][HBK_P384_BYTES] = {{0}};
    uint8_t points[4][HBK_P384_POINT_BYTES];
    struct hbk_p384_keygen pair;

    hbk_p384_keygen(&pair);
    order_plus(scalars[1], 0);
    order_plus(scalars[2], 1);
    for (int i = 0; i < 3; i++) {
        struct hbk_p384_agree agree = {.private_key = scalars[i], .peer_key = pair.public_key};
        struct hbk_p384_sign sign = {.private_key = scalars[i]};
        hbk_p384_agree(&agree);
        assert_int_equal(agree.status, HBK_LANE_REFUSED);
        hbk_p384_sign(&sign);
        assert_int_equal(sign.status, HBK_LANE_REFUSED);
    }
    for (int i = 0; i < 4; i++) {
        memcpy(points[i], pair.public_key, HBK_P384_POINT_BYTES);
    }
    points[0][HBK_P384_POINT_BYTES - 1] ^= 1; /* off the curve */
    points[1][0] = 2;                         /* the form that says "compressed" */
    points[2][0] = 0;                         /* and "infinity" */
    memset(points[3] + 1, 0xff, HBK_P384_BYTES);
    for (int i = 0; i < 4; i++) {
        struct hbk_p384_agree agree = {.private_key = pair.private_key, .peer_key = points[i]};
        struct hbk_p384_verify verify = {.public_key = points[i]};
        memset(agree.secret, 0x42, sizeof(agree.secret));
        hbk_p384_agree(&agree);
        assert_int_equal(agree.status, HBK_LANE_REFUSED);
        assert_int_equal(agree.secret[0], 0x42);
        memset(verify.signature, 1, sizeof(verify.signature));
        hbk_p384_verify(&verify);
        assert_int_equal(verify.status, HBK_LANE_REFUSED);
    }
}

static void signatures_verify_here_and_in_libcrypto(void **state)
{
    (void)state;
    for (int round = 0; round < 10; round++) {
        struct hbk_p384_keygen pair;
        uint8_t der[HBK_P384_DER_BYTES_MAX];

        hbk_p384_keygen(&pair);
        struct hbk_p384_sign sign = {.private_key = pair.private_key};
        assert_int_equal(RAND_bytes(sign.digest, sizeof(sign.digest)), 1);
        hbk_p384_sign(&sign);
        assert_int_equal(sign.status, HBK_LANE_OK);

        EVP_PKEY *key = new_public_key(pair.public_key);
        EVP_PKEY_CTX *context = EVP_PKEY_CTX_new(key, NULL);
        size_t size = hbk_ecdsa_to_der(sign.signature, HBK_P384_BYTES, der);
        assert_true(size <= sizeof(der));
        assert_int_equal(EVP_PKEY_verify_init(context), 1);
        assert_int_equal(EVP_PKEY_verify(context, der, size, sign.digest, sizeof(sign.digest)), 1);
        EVP_PKEY_CTX_free(context);
        EVP_PKEY_free(key);

        struct hbk_p384_verify verify = {.public_key = pair.public_key};
        memcpy(verify.digest, sign.digest, sizeof(verify.digest));
        memcpy(verify.signature, sign.signature, sizeof(verify.signature));
        hbk_p384_verify(&verify);
        assert_int_equal(verify.status, HBK_LANE_OK);
        verify.digest[round] ^= 1;
        hbk_p384_verify(&verify);
        assert_int_equal(verify.status, HBK_LANE_REFUSED);
        verify.digest[round] ^= 1;
        verify.signature[7 * round] ^= 1;
        hbk_p384_verify(&verify);
        assert_int_equal(verify.status, HBK_LANE_REFUSED);
    }
}

/* r and s from 1 to n-1 (FIPS 186-4, 6.4.2). */
static void signatures_with_numbers_out_of_range_are_refused(void **state)
{
    (void)state;
    struct hbk_p384_keygen pair;
    struct hbk_p384_verify verify = {.public_key = pair.public_key};

    hbk_p384_keygen(&pair);
    for (int which = 0; which < 2; which++) {
        for (int offset = -1; offset < 2; offset++) {
            memset(verify.signature, 1, sizeof(verify.signature));
            uint8_t *number = verify.signature + which * HBK_P384_BYTES;
            if (offset < 0) {
                memset(number, 0, HBK_P384_BYTES);
            } else {
                order_plus(number, offset);
            }
            hbk_p384_verify(&verify);
            assert_int_equal(verify.status, HBK_LANE_REFUSED);
        }
    }
}

/* RFC 6979, A.2.6: the public key of its private key, and its signature of "sample" by SHA-384. */
static void the_example_of_rfc_6979_verifies(void **state)
{
    (void)state;
    static const char x[] = "EC3A4E415B4E19A4568618029F427FA5DA9A8BC4AE92E02E06AAE5286B300C64"
                            "DEF8F0EA9055866064A254515480BC13";
    static const char y[] = "8015D9B72D7D57244EA8EF9AC0C621896708A59367F9DFB9F54CA84B3F1C9DB1"
                            "288B231C3AE0D4FE7344FD2533264720";
    static const char r[] = "94EDBB92A5ECB8AAD4736E56C691916B3F88140666CE9FA73D64C4EA95AD133C"
                            "81A648152E44ACF96E36DD1E80FABE46";
    static const char s[] = "99EF4AEB15F178CEA1FE40DB2603138F130E740A19624526203B6351D0A3A94F"
                            "A329C145786E679E7B82C71A38628AC8";
    uint8_t point[HBK_P384_POINT_BYTES] = {4};
    struct hbk_p384_verify verify = {.public_key = point};
    unsigned size;

    from_hex(point + 1, HBK_P384_BYTES, x);
    from_hex(point + 1 + HBK_P384_BYTES, HBK_P384_BYTES, y);
    from_hex(verify.signature, HBK_P384_BYTES, r);
    from_hex(verify.signature + HBK_P384_BYTES, HBK_P384_BYTES, s);
    assert_int_equal(EVP_Digest("sample", 6, verify.digest, &size, EVP_sha384(), NULL), 1);
    hbk_p384_verify(&verify);
    assert_int_equal(verify.status, HBK_LANE_OK);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(both_sides_agree_on_the_same_secret),
        cmocka_unit_test(a_public_key_times_one_is_itself),
        cmocka_unit_test(hostile_points_and_scalars_out_of_range_are_refused),
        cmocka_unit_test(signatures_verify_here_and_in_libcrypto),
        cmocka_unit_test(signatures_with_numbers_out_of_range_are_refused),
        cmocka_unit_test(the_example_of_rfc_6979_verifies),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
