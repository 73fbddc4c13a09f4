#include "crypto/p256.h"

#include <openssl/bn.h>
#include <openssl/ec.h>
#include <openssl/obj_mac.h>
#include <openssl/rand.h>

#include "crypto/p256_nonce.h"
#include "paths.h"

enum { ROUNDS = 10 };

static const char *const order_hex =
    "ffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551";
static const char *const prime_hex =
    "ffffffff00000001000000000000000000000000ffffffffffffffffffffffff";

/* n + offset as bytes. */
static void order_plus(uint8_t out[32], int offset)
{
    BIGNUM *number = NULL;
    BN_hex2bn(&number, order_hex);
    assert_true(offset < 0 ? BN_sub_word(number, (BN_ULONG)-offset)
                           : BN_add_word(number, (BN_ULONG)offset));
    BN_bn2binpad(number, out, 32);
    BN_free(number);
}

/* scalar (point, or G when NULL) by libcrypto. */
static void multiply(uint8_t out[65], const uint8_t scalar[32], const uint8_t *point)
{
    EC_GROUP *group = EC_GROUP_new_by_curve_name(NID_X9_62_prime256v1);
    EC_POINT *result = EC_POINT_new(group);
    BIGNUM *number = BN_bin2bn(scalar, 32, NULL);

    if (point == NULL) {
        assert_int_equal(EC_POINT_mul(group, result, number, NULL, NULL, NULL), 1);
    } else {
        EC_POINT *base = EC_POINT_new(group);
        assert_int_equal(EC_POINT_oct2point(group, base, point, 65, NULL), 1);
        assert_int_equal(EC_POINT_mul(group, result, NULL, base, number, NULL), 1);
        EC_POINT_free(base);
    }
    assert_int_equal(
        EC_POINT_point2oct(group, result, POINT_CONVERSION_UNCOMPRESSED, out, 65, NULL), 65);
    BN_free(number);
    EC_POINT_free(result);
    EC_GROUP_free(group);
}

static void random_keygen(struct hbk_p256_keygen *keys)
{
    struct hbk_p256_keygen *lanes[HBK_LANES];
    for (int i = 0; i < HBK_LANES; i++) {
        lanes[i] = &keys[i];
    }
    hbk_p256_keygen_lanes(HBK_PATH_TWIN, lanes);
}

static void generated_keys_are_pairs_in_every_lane_and_fill(void **state)
{
    (void)state;
    for (int path = 0; path < path_count(); path++) {
        for (unsigned mask = 1; mask < 256; mask += 7) {
            struct hbk_p256_keygen keys[HBK_LANES] = {0};
            struct hbk_p256_keygen *lanes[HBK_LANES];
            uint8_t expected[65];

            for (int i = 0; i < HBK_LANES; i++) {
                lanes[i] = (mask >> i & 1) == 1 ? &keys[i] : NULL;
            }
            hbk_p256_keygen_lanes((enum hbk_path)path, lanes);
            HBK_LANE_EACH (i, lanes) {
                assert_int_equal(keys[i].status, HBK_LANE_OK);
                multiply(expected, keys[i].private_key, NULL);
                assert_memory_equal(keys[i].public_key, expected, 65);
            }
        }
    }
}

/* Scalars at which windows carry, points coincide, or the range ends. */
static void edge_scalar(uint8_t out[32], int which)
{
    memset(out, 0, 32);
    switch (which % 12) {
    case 0:
        out[31] = 1;
        break;
    case 1:
        out[31] = 2;
        break;
    case 2:
        order_plus(out, -1);
        break;
    case 3:
        order_plus(out, -2);
        break;
    case 4:
        order_plus(out, -(1 + which % 40));
        break;
    case 5:
        out[0] = 0x80;
        break;
    case 6:
        memset(out + 4, 0xff, 28);
        break;
    case 7:
        out[31] = (uint8_t)(which | 16);
        break;
    case 8:
        memset(out, 0x55, 32);
        break;
    case 9:
        memset(out, 0xaa, 32);
        break;
    case 10:
        out[which % 32] = 1;
        break;
    default:
        RAND_bytes(out, 32);
        out[0] &= 0x7f;
        break;
    }
}

static void agreement_equals_libcrypto_on_random_and_edge_scalars(void **state)
{
    (void)state;
    for (int path = 0; path < path_count(); path++) {
        for (int round = 0; round < 3 * ROUNDS; round++) {
            struct hbk_p256_keygen peers[HBK_LANES];
            struct hbk_p256_agree operations[HBK_LANES];
            struct hbk_p256_agree *lanes[HBK_LANES];
            uint8_t scalars[HBK_LANES][32];
            uint8_t expected[65];

            random_keygen(peers);
            for (int i = 0; i < HBK_LANES; i++) {
                edge_scalar(scalars[i], round * HBK_LANES + i);
                operations[i] = (struct hbk_p256_agree){.private_key = scalars[i],
                                                        .peer_key = peers[i].public_key};
                lanes[i] = i <= round % HBK_LANES ? &operations[i] : NULL;
            }
            hbk_p256_agree_lanes((enum hbk_path)path, lanes);
            HBK_LANE_EACH (i, lanes) {
                assert_int_equal(operations[i].status, HBK_LANE_OK);
                multiply(expected, scalars[i], peers[i].public_key);
                assert_memory_equal(operations[i].secret, expected + 1, 32);
            }
        }
    }
}

static void every_small_scalar_and_its_negative_is_multiplied_right(void **state)
{
    (void)state;
    uint8_t one[32] = {[31] = 1};
    uint8_t base[65], expected[65];
    multiply(base, one, NULL);

    for (int path = 0; path < path_count(); path++) {
        for (int first = 1; first < 70; first += 4) {
            uint8_t scalars[HBK_LANES][32] = {0};
            struct hbk_p256_agree operations[HBK_LANES];
            struct hbk_p256_agree *lanes[HBK_LANES];
            for (int i = 0; i < HBK_LANES; i++) {
                scalars[i][31] = (uint8_t)(first + i / 2);
                if (i % 2 == 1) {
                    order_plus(scalars[i], -(first + i / 2));
                }
                operations[i] =
                    (struct hbk_p256_agree){.private_key = scalars[i], .peer_key = base};
                lanes[i] = &operations[i];
            }
            hbk_p256_agree_lanes((enum hbk_path)path, lanes);
            for (int i = 0; i < HBK_LANES; i++) {
                multiply(expected, scalars[i], NULL);
                assert_int_equal(operations[i].status, HBK_LANE_OK);
                assert_memory_equal(operations[i].secret, expected + 1, 32);
            }
        }
    }
}

static void hostile_points_and_scalars_are_refused_and_leave_the_neighbours_alone(void **state)
{
    (void)state;
    struct hbk_p256_keygen keys[HBK_LANES];
    random_keygen(keys);

    uint8_t points[8][65];
    uint8_t scalars[8][32];
    for (int i = 0; i < 8; i++) {
        memcpy(points[i], keys[0].public_key, 65);
        memcpy(scalars[i], keys[1].private_key, 32);
    }
    points[0][64] ^= 1;                     /* off the curve */
    memset(points[1] + 1, 0, 64);           /* (0, 0) */
    points[2][0] = 0;                       /* the encoding of infinity */
    points[3][0] = 2;                       /* a compressed tag */
    from_hex(points[4] + 1, 32, prime_hex); /* x = p */
    memset(points[5] + 1, 0xff, 64);
    memset(scalars[6], 0, 32);
    order_plus(scalars[7], 0);

    for (int path = 0; path < path_count(); path++) {
        for (int bad = 0; bad < 8; bad++) {
            for (int place = 0; place < HBK_LANES; place++) {
                struct hbk_p256_agree operations[HBK_LANES];
                struct hbk_p256_agree *lanes[HBK_LANES];
                uint8_t expected[65];
                for (int i = 0; i < HBK_LANES; i++) {
                    operations[i] = (struct hbk_p256_agree){
                        .private_key = i == place ? scalars[bad] : keys[i].private_key,
                        .peer_key = i == place ? points[bad] : keys[(i + 1) % 8].public_key};
                    lanes[i] = &operations[i];
                }
                hbk_p256_agree_lanes((enum hbk_path)path, lanes);
                for (int i = 0; i < HBK_LANES; i++) {
                    if (i == place) {
                        assert_int_equal(operations[i].status, HBK_LANE_REFUSED);
                        continue;
                    }
                    multiply(expected, keys[i].private_key, keys[(i + 1) % 8].public_key);
                    assert_int_equal(operations[i].status, HBK_LANE_OK);
                    assert_memory_equal(operations[i].secret, expected + 1, 32);
                }
            }
        }
    }
}

static void each_path_verifies_what_the_other_signs(void **state)
{
    (void)state;
    for (int round = 0; round < ROUNDS; round++) {
        struct hbk_p256_keygen keys[HBK_LANES];
        random_keygen(keys);
        for (int signer = 0; signer < path_count(); signer++) {
            for (int verifier = 0; verifier < path_count(); verifier++) {
                struct hbk_p256_sign signs[HBK_LANES];
                struct hbk_p256_sign *sign_lanes[HBK_LANES];
                struct hbk_p256_verify verifies[HBK_LANES];
                struct hbk_p256_verify *verify_lanes[HBK_LANES];
                int place = round % HBK_LANES;

                for (int i = 0; i < HBK_LANES; i++) {
                    signs[i] = (struct hbk_p256_sign){.private_key = keys[i].private_key};
                    RAND_bytes(signs[i].digest, 32);
                    if (round == 0) {
                        memset(signs[i].digest, i % 2 == 0 ? 0xff : 0, 32);
                    }
                    sign_lanes[i] = &signs[i];
                }
                hbk_p256_sign_lanes((enum hbk_path)signer, sign_lanes);
                for (int i = 0; i < HBK_LANES; i++) {
                    assert_int_equal(signs[i].status, HBK_LANE_OK);
                    verifies[i] = (struct hbk_p256_verify){.public_key = keys[i].public_key};
                    memcpy(verifies[i].digest, signs[i].digest, 32);
                    memcpy(verifies[i].signature, signs[i].signature, 64);
                    verify_lanes[i] = &verifies[i];
                }
                verifies[place].signature[(signer * 40 + round * 7) % 64] ^= 4;
                hbk_p256_verify_lanes((enum hbk_path)verifier, verify_lanes);
                for (int i = 0; i < HBK_LANES; i++) {
                    assert_int_equal(verifies[i].status,
                                     i == place ? HBK_LANE_REFUSED : HBK_LANE_OK);
                }
            }
        }
    }
}

/*
 * A signature for which u1 G and u2 Q are the same point: digest = r d, s = 2 r d / k. With the
 * digest negated the two are opposite and their sum is infinity, which no signature may give.
 */
static void equal_and_opposite_points_in_the_last_addition_are_met_right(void **state)
{
    (void)state;
    for (int path = 0; path < path_count(); path++) {
        for (int round = 0; round < ROUNDS; round++) {
            struct hbk_p256_keygen keys[HBK_LANES], nonces[HBK_LANES];
            struct hbk_p256_verify operations[HBK_LANES];
            struct hbk_p256_verify *lanes[HBK_LANES];
            BN_CTX *context = BN_CTX_new();
            BIGNUM *n = NULL;
            BN_hex2bn(&n, order_hex);
            random_keygen(keys);
            random_keygen(nonces);
            for (int i = 0; i < HBK_LANES; i++) {
                BIGNUM *d = BN_bin2bn(keys[i].private_key, 32, NULL);
                BIGNUM *k = BN_bin2bn(nonces[i].private_key, 32, NULL);
                BIGNUM *r = BN_bin2bn(nonces[i].public_key + 1, 32, NULL);
                BIGNUM *z = BN_new(), *s = BN_new();
                BN_nnmod(r, r, n, context);
                BN_mod_mul(z, r, d, n, context);
                BN_mod_inverse(s, k, n, context);
                BN_mod_mul(s, s, z, n, context);
                BN_mod_lshift1(s, s, n, context);
                if (i % 2 == 1) {
                    BN_sub(z, n, z);
                }
                operations[i] = (struct hbk_p256_verify){.public_key = keys[i].public_key};
                BN_bn2binpad(z, operations[i].digest, 32);
                BN_bn2binpad(r, operations[i].signature, 32);
                BN_bn2binpad(s, operations[i].signature + 32, 32);
                lanes[i] = &operations[i];
                BN_free(d);
                BN_free(k);
                BN_free(r);
                BN_free(z);
                BN_free(s);
            }
            hbk_p256_verify_lanes((enum hbk_path)path, lanes);
            for (int i = 0; i < HBK_LANES; i++) {
                assert_int_equal(operations[i].status, i % 2 == 1 ? HBK_LANE_REFUSED : HBK_LANE_OK);
            }
            BN_free(n);
            BN_CTX_free(context);
        }
    }
}

static void signatures_with_numbers_out_of_range_are_refused(void **state)
{
    (void)state;
    struct hbk_p256_keygen keys[HBK_LANES];
    random_keygen(keys);
    for (int path = 0; path < path_count(); path++) {
        struct hbk_p256_verify operations[HBK_LANES] = {0};
        struct hbk_p256_verify *lanes[HBK_LANES];
        for (int i = 0; i < HBK_LANES; i++) {
            operations[i].public_key = keys[i].public_key;
            memset(operations[i].signature, 0x11, 64);
            lanes[i] = &operations[i];
        }
        memset(operations[0].signature, 0, 64);
        memset(operations[1].signature, 0, 32);
        memset(operations[2].signature + 32, 0, 32);
        order_plus(operations[3].signature, 0);
        order_plus(operations[4].signature + 32, 0);
        memset(operations[5].signature, 0xff, 64);
        order_plus(operations[6].signature, 1);
        order_plus(operations[7].signature + 32, 1);
        hbk_p256_verify_lanes((enum hbk_path)path, lanes);
        for (int i = 0; i < HBK_LANES; i++) {
            assert_int_equal(operations[i].status, HBK_LANE_REFUSED);
        }
    }
}

static void signing_with_a_key_out_of_range_is_refused(void **state)
{
    (void)state;
    static const uint8_t zero[32];
    uint8_t order[32];
    order_plus(order, 0);
    for (int path = 0; path < path_count(); path++) {
        struct hbk_p256_sign with_zero = {.private_key = zero}, with_order = {.private_key = order};
        struct hbk_p256_sign *lanes[HBK_LANES] = {&with_zero, NULL, &with_order};
        hbk_p256_sign_lanes((enum hbk_path)path, lanes);
        assert_int_equal(with_zero.status, HBK_LANE_REFUSED);
        assert_int_equal(with_order.status, HBK_LANE_REFUSED);
    }
}

/* RFC 6979, A.2.5, with SHA-256. */
static void nonces_without_entropy_are_those_of_rfc_6979(void **state)
{
    (void)state;
    static const struct {
        const char *digest, *nonce;
    } cases[] = {
        {"af2bdbe1aa9b6ec1e2ade1d694f41fc71a831d0268e9891562113d8a62add1bf",
         "a6e3c57dd01abe90086538398355dd4c3b17aa873382b0f24d6129493d8aad60"},
        {"9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
         "d16b6ae827f17175e040871a1c7ec3500192c4c92677336ec2537acaee0008e0"},
    };
    uint8_t key[32], digest[32], expected[32], nonce[32], hedged[32];
    from_hex(key, 32, "c9afa9d845ba75166b5c215767b1d6934e50c3db36e89b127b8a622b120f6721");

    for (size_t i = 0; i < HBK_COUNT(cases); i++) {
        from_hex(digest, 32, cases[i].digest);
        from_hex(expected, 32, cases[i].nonce);
        hbk_p256_nonce(key, digest, hbk_slice_of(NULL, 0), nonce);
        assert_memory_equal(nonce, expected, 32);
        hbk_p256_nonce(key, digest, HBK_SLICE("0123456789abcdef"), hedged);
        assert_memory_not_equal(nonce, hedged, 32);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(generated_keys_are_pairs_in_every_lane_and_fill),
        cmocka_unit_test(agreement_equals_libcrypto_on_random_and_edge_scalars),
        cmocka_unit_test(every_small_scalar_and_its_negative_is_multiplied_right),
        cmocka_unit_test(hostile_points_and_scalars_are_refused_and_leave_the_neighbours_alone),
        cmocka_unit_test(each_path_verifies_what_the_other_signs),
        cmocka_unit_test(equal_and_opposite_points_in_the_last_addition_are_met_right),
        cmocka_unit_test(signatures_with_numbers_out_of_range_are_refused),
        cmocka_unit_test(signing_with_a_key_out_of_range_is_refused),
        cmocka_unit_test(nonces_without_entropy_are_those_of_rfc_6979),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
