#include "crypto/x25519.h"

#include <openssl/evp.h>
#include <openssl/rand.h>

#include "paths.h"
#include "x25519_chain.h"

enum { ROUNDS = 30 };

/* By libcrypto; false for the all-zero secret. */
static bool derive(uint8_t out[32], const uint8_t private_key[32], const uint8_t peer_key[32])
{
    EVP_PKEY *key = EVP_PKEY_new_raw_private_key(EVP_PKEY_X25519, NULL, private_key, 32);
    EVP_PKEY *peer = EVP_PKEY_new_raw_public_key(EVP_PKEY_X25519, NULL, peer_key, 32);
    EVP_PKEY_CTX *context = EVP_PKEY_CTX_new(key, NULL);
    size_t size = 32;

    bool is_done = EVP_PKEY_derive_init(context) == 1 &&
                   EVP_PKEY_derive_set_peer(context, peer) == 1 &&
                   EVP_PKEY_derive(context, out, &size) == 1;
    EVP_PKEY_CTX_free(context);
    EVP_PKEY_free(peer);
    EVP_PKEY_free(key);
    return is_done;
}

static void the_vectors_of_rfc_7748_hold_in_every_lane(void **state)
{
    (void)state;
    static const struct {
        const char *scalar, *u, *result;
    } cases[] = {
        /* 5.2 */
        {"a546e36bf0527c9d3b16154b82465edd62144c0ac1fc5a18506a2244ba449ac4",
         "e6db6867583030db3594c1a424b15f7c726624ec26b3353b10a903a6d0ab1c4c",
         "c3da55379de9c6908e94ea4df28d084f32eccf03491c71f754b4075577a28552"},
        {"4b66e9d4d1b4673c5ad22691957d6af5c11b6421e0ea01d42ca4169e7918ba0d",
         "e5210f12786811d3f4b7959d0538ae2c31dbe7106fc03c3efc4cd549c715a493",
         "95cbde9476e8907d7aade45cb4b873f88b595a68799fa152e6f8f7647aac7957"},
        /* 6.1 */
        {"77076d0a7318a57d3c16c17251b26645df4c2f87ebc0992ab177fba51db92c2a",
         "de9edb7d7b7dc1b4d35b61c2ece435373f8343c85b78674dadfc7e146f882b4f",
         "4a5d9d5ba4ce2de1728e3bf480350f25e07e21c947d19e3376f09b3c1e161742"},
    };
    for (int path = 0; path < path_count(); path++) {
        for (size_t i = 0; i < HBK_COUNT(cases); i++) {
            for (int lane = 0; lane < HBK_LANES; lane++) {
                uint8_t scalar[32], u[32], expected[32], result[32];
                from_hex(scalar, 32, cases[i].scalar);
                from_hex(u, 32, cases[i].u);
                from_hex(expected, 32, cases[i].result);
                agree_one(path, lane, result, scalar, u);
                assert_memory_equal(result, expected, 32);
            }
        }
    }
}

static void a_thousand_iterations_end_where_rfc_7748_says(void **state)
{
    (void)state;
    for (int path = 0; path < path_count(); path++) {
        iterate(path, 1, "422c8e7a6227d7bca1350b3e2bb7279f7897b87bb6854b783c60e80311ae3079");
        iterate(path, 1000, "684cf59ba83309552800ef566f2f4d3c1c3887c49360e3875f2eb94d99532c51");
    }
}

static void generated_keys_are_pairs_in_every_fill(void **state)
{
    (void)state;
    static const uint8_t nine[32] = {9};
    for (int path = 0; path < path_count(); path++) {
        for (unsigned mask = 1; mask < 256; mask++) {
            struct hbk_x25519_keygen keys[HBK_LANES] = {0};
            struct hbk_x25519_keygen *lanes[HBK_LANES];
            uint8_t expected[32];
            for (int i = 0; i < HBK_LANES; i++) {
                lanes[i] = (mask >> i & 1) == 1 ? &keys[i] : NULL;
            }
            hbk_x25519_keygen_lanes((enum hbk_path)path, lanes);
            HBK_LANE_EACH (i, lanes) {
                assert_int_equal(keys[i].status, HBK_LANE_OK);
                assert_true(derive(expected, keys[i].private_key, nine));
                assert_memory_equal(keys[i].public_key, expected, 32);
            }
        }
    }
}

/* Peers' keys at which reductions are tight, some of them not reduced, some of small order. */
static void edge_key(uint8_t out[32], int which)
{
    RAND_bytes(out, 32);
    switch (which % 8) {
    case 0: /* p - 20 .. p + 20 */
        memset(out, 0xff, 32);
        out[0] = (uint8_t)(0xed - 20 + which / 8 % 41);
        out[31] = 0x7f;
        break;
    case 1:
        memset(out, 0, 32);
        out[0] = (uint8_t)(which / 8);
        break;
    case 2:
        memset(out, 0xff, 32);
        break;
    case 3:
        memset(out, 0, 32);
        out[which / 8 % 32] = (uint8_t)(1 << which % 7);
        break;
    case 4:
        from_hex(out, 32, "e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800");
        break;
    case 5:
        from_hex(out, 32, "5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f1157");
        break;
    default:
        break;
    }
}

static void agreement_equals_libcrypto_on_random_and_edge_keys(void **state)
{
    (void)state;
    for (int path = 0; path < path_count(); path++) {
        for (int round = 0; round < ROUNDS; round++) {
            uint8_t scalars[HBK_LANES][32], peers[HBK_LANES][32], expected[32];
            struct hbk_x25519_agree operations[HBK_LANES];
            struct hbk_x25519_agree *lanes[HBK_LANES];

            for (int i = 0; i < HBK_LANES; i++) {
                RAND_bytes(scalars[i], 32);
                if (i == 7) {
                    memset(scalars[i], round % 2 == 0 ? 0xff : 0, 32);
                }
                edge_key(peers[i], round * HBK_LANES + i + round);
                operations[i] =
                    (struct hbk_x25519_agree){.private_key = scalars[i], .peer_key = peers[i]};
                lanes[i] = i <= round % HBK_LANES ? &operations[i] : NULL;
            }
            hbk_x25519_agree_lanes((enum hbk_path)path, lanes);
            HBK_LANE_EACH (i, lanes) {
                if (derive(expected, scalars[i], peers[i])) {
                    assert_int_equal(operations[i].status, HBK_LANE_OK);
                    assert_memory_equal(operations[i].secret, expected, 32);
                } else {
                    assert_int_equal(operations[i].status, HBK_LANE_REFUSED);
                }
            }
        }
    }
}

static void keys_of_small_order_are_refused_and_leave_the_neighbours_alone(void **state)
{
    (void)state;
    static const char *const small[] = {
        "0000000000000000000000000000000000000000000000000000000000000000",
        "0100000000000000000000000000000000000000000000000000000000000000",
        "e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800",
        "5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f1157",
        "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
        "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
        "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    };
    for (int path = 0; path < path_count(); path++) {
        for (size_t bad = 0; bad < HBK_COUNT(small); bad++) {
            for (int place = 0; place < HBK_LANES; place++) {
                uint8_t scalars[HBK_LANES][32], peers[HBK_LANES][32], expected[32];
                struct hbk_x25519_agree operations[HBK_LANES];
                struct hbk_x25519_agree *lanes[HBK_LANES];
                RAND_bytes(scalars[0], sizeof(scalars));
                RAND_bytes(peers[0], sizeof(peers));
                from_hex(peers[place], 32, small[bad]);
                for (int i = 0; i < HBK_LANES; i++) {
                    operations[i] =
                        (struct hbk_x25519_agree){.private_key = scalars[i], .peer_key = peers[i]};
                    lanes[i] = &operations[i];
                }
                hbk_x25519_agree_lanes((enum hbk_path)path, lanes);
                for (int i = 0; i < HBK_LANES; i++) {
                    if (i == place) {
                        assert_int_equal(operations[i].status, HBK_LANE_REFUSED);
                        continue;
                    }
                    assert_true(derive(expected, scalars[i], peers[i]));
                    assert_int_equal(operations[i].status, HBK_LANE_OK);
                    assert_memory_equal(operations[i].secret, expected, 32);
                }
            }
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_vectors_of_rfc_7748_hold_in_every_lane),
        cmocka_unit_test(a_thousand_iterations_end_where_rfc_7748_says),
        cmocka_unit_test(generated_keys_are_pairs_in_every_fill),
        cmocka_unit_test(agreement_equals_libcrypto_on_random_and_edge_keys),
        cmocka_unit_test(keys_of_small_order_are_refused_and_leave_the_neighbours_alone),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
