#include "crypto/rsa.h"

#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/ec.h>
#include <openssl/evp.h>
#include <openssl/param_build.h>
#include <openssl/rand.h>
#include <openssl/rsa.h>

#include "paths.h"

enum { SIZES = 3, KEYS_PER_SIZE = 2 };

static const unsigned sizes[SIZES] = {2048, 3072, 4096};
static EVP_PKEY *pkeys[SIZES][KEYS_PER_SIZE];
static struct hbk_rsa_key *keys[SIZES][KEYS_PER_SIZE];
static struct hbk_rsa_batch *batch;

static int make_keys(void **state)
{
    (void)state;
    for (int size = 0; size < SIZES; size++) {
        for (int i = 0; i < KEYS_PER_SIZE; i++) {
            pkeys[size][i] = EVP_RSA_gen(sizes[size]);
            if (hbk_rsa_key_new(pkeys[size][i], &keys[size][i]) != HBK_OK) {
                return 1;
            }
        }
    }
    batch = hbk_rsa_batch_new();
    return batch == NULL;
}

static int free_keys(void **state)
{
    (void)state;
    for (int size = 0; size < SIZES; size++) {
        for (int i = 0; i < KEYS_PER_SIZE; i++) {
            hbk_rsa_key_free(keys[size][i]);
            EVP_PKEY_free(pkeys[size][i]);
        }
    }
    hbk_rsa_batch_free(batch);
    return 0;
}

/* Eight operations over the two keys of a size, with their memory. */
struct eight {
    uint8_t input[HBK_LANES][HBK_RSA_BYTES_MAX];
    uint8_t output[HBK_LANES][HBK_RSA_BYTES_MAX];
    struct hbk_rsa_operation operation[HBK_LANES];
    struct hbk_rsa_operation *lanes[HBK_LANES];
};

static void eight_init(struct eight *eight, int size)
{
    RAND_bytes(eight->input[0], sizeof(eight->input));
    for (int i = 0; i < HBK_LANES; i++) {
        eight->input[i][0] &= 0x7f; /* below any modulus of full length */
        eight->operation[i] = (struct hbk_rsa_operation){
            .key = keys[size][i % KEYS_PER_SIZE],
            .input = eight->input[i],
            .output = eight->output[i],
        };
        eight->lanes[i] = &eight->operation[i];
    }
}

/* The public operation by libcrypto brings the input back. */
static void assert_right(struct eight *eight, int lane)
{
    struct hbk_rsa_operation *operation = &eight->operation[lane];
    const size_t bytes = hbk_rsa_key_bytes(operation->key);
    uint8_t back[HBK_RSA_BYTES_MAX];
    struct hbk_rsa_operation reverse = {
        .key = operation->key, .input = operation->output, .output = back};
    struct hbk_rsa_operation *lanes[HBK_LANES] = {&reverse};

    assert_int_equal(operation->status, HBK_LANE_OK);
    hbk_rsa_public_lanes(HBK_PATH_TWIN, batch, lanes);
    assert_int_equal(reverse.status, HBK_LANE_OK);
    assert_memory_equal(back, operation->input, bytes);
}

static void private_results_are_right_in_every_fill(void **state)
{
    (void)state;
    static struct eight eight;
    for (int path = 0; path < path_count(); path++) {
        for (int fill = 1; fill <= HBK_LANES; fill++) {
            eight_init(&eight, 0);
            for (int i = 0; i < HBK_LANES; i++) {
                /* The filled lanes start at a different place each time. */
                eight.lanes[i] = (i + fill) % HBK_LANES < fill ? &eight.operation[i] : NULL;
            }
            hbk_rsa_private_lanes((enum hbk_path)path, batch, eight.lanes);
            HBK_LANE_EACH (i, eight.lanes) {
                assert_right(&eight, i);
                assert_false(eight.operation[i].was_redone);
            }
        }
    }
}

static void every_size_is_right_on_random_and_edge_inputs(void **state)
{
    (void)state;
    static struct eight eight;
    for (int path = 0; path < path_count(); path++) {
        for (int size = 0; size < SIZES; size++) {
            eight_init(&eight, size);
            size_t bytes = sizes[size] / 8;
            BIGNUM *n = NULL, *p = NULL;
            memset(eight.input[0], 0, bytes);
            memset(eight.input[1], 0, bytes);
            eight.input[1][bytes - 1] = 1;
            EVP_PKEY_get_bn_param(pkeys[size][0], "n", &n);
            BN_sub_word(n, 1);
            BN_bn2binpad(n, eight.input[2], (int)bytes); /* n - 1 */
            EVP_PKEY_get_bn_param(pkeys[size][1], "rsa-factor1", &p);
            BN_bn2binpad(p, eight.input[3], (int)bytes); /* zero modulo p */
            memset(eight.input[4], 0xff, bytes);
            eight.input[4][0] = 0x7f;
            memset(eight.input[5], 0, bytes / 2);
            hbk_rsa_private_lanes((enum hbk_path)path, batch, eight.lanes);
            for (int i = 0; i < HBK_LANES; i++) {
                assert_right(&eight, i);
                assert_false(eight.operation[i].was_redone);
            }
            BN_free(n);
            BN_clear_free(p);
        }
    }
}

static void public_results_equal_libcrypto(void **state)
{
    (void)state;
    static struct eight vector, twin;
    for (int size = 0; size < SIZES; size++) {
        eight_init(&vector, size);
        memset(vector.input[1], 0, sizes[size] / 8);
        twin = vector;
        for (int i = 0; i < HBK_LANES; i++) {
            twin.operation[i].input = twin.input[i];
            twin.operation[i].output = twin.output[i];
            twin.lanes[i] = &twin.operation[i];
        }
        hbk_rsa_public_lanes((enum hbk_path)(path_count() - 1), batch, vector.lanes);
        hbk_rsa_public_lanes(HBK_PATH_TWIN, batch, twin.lanes);
        for (int i = 0; i < HBK_LANES; i++) {
            assert_int_equal(vector.operation[i].status, HBK_LANE_OK);
            assert_memory_equal(vector.output[i], twin.output[i], sizes[size] / 8);
        }
    }
}

static void an_input_not_below_the_modulus_is_refused_alone(void **state)
{
    (void)state;
    static struct eight eight;
    for (int path = 0; path < path_count(); path++) {
        for (int place = 0; place < HBK_LANES; place++) {
            BIGNUM *n = NULL;
            eight_init(&eight, 0);
            EVP_PKEY_get_bn_param(pkeys[0][place % KEYS_PER_SIZE], "n", &n);
            BN_bn2binpad(n, eight.input[place], 256);
            BN_free(n);
            hbk_rsa_private_lanes((enum hbk_path)path, batch, eight.lanes);
            for (int i = 0; i < HBK_LANES; i++) {
                if (i == place) {
                    assert_int_equal(eight.operation[i].status, HBK_LANE_REFUSED);
                } else {
                    assert_right(&eight, i);
                }
            }
            hbk_rsa_public_lanes((enum hbk_path)path, batch, eight.lanes);
            assert_int_equal(eight.operation[place].status, HBK_LANE_REFUSED);
        }
    }
}

static void a_faulty_lane_is_withheld_and_computed_again(void **state)
{
    (void)state;
    static struct eight eight;
    if (path_count() == 1) {
        skip();
    }
    for (int place = 0; place < HBK_LANES; place++) {
        eight_init(&eight, 0);
        hbk_rsa_batch_inject_fault(batch, (uint8_t)(1 << place));
        hbk_rsa_private_lanes(HBK_PATH_VECTOR, batch, eight.lanes);
        for (int i = 0; i < HBK_LANES; i++) {
            assert_right(&eight, i);
            assert_int_equal(eight.operation[i].was_redone, i == place);
        }
    }
    /* The fault was for one batch. */
    hbk_rsa_private_lanes(HBK_PATH_VECTOR, batch, eight.lanes);
    assert_false(eight.operation[7].was_redone);
}

static void large_batches_come_in_several_steps(void **state)
{
    (void)state;
    static struct eight eight;
    static const int steps_min[SIZES] = {1, 3, 7};
    for (int size = 0; size < SIZES; size++) {
        int steps = 1;
        eight_init(&eight, size);
        hbk_rsa_batch_begin(batch, (enum hbk_path)(path_count() - 1), eight.lanes);
        while (!hbk_rsa_batch_step(batch)) {
            steps++;
        }
        assert_true(steps >= steps_min[size]);
        assert_right(&eight, 3);
    }
}

static void keys_that_the_kernels_cannot_take_are_served_by_libcrypto(void **state)
{
    (void)state;
    static struct eight eight;
    EVP_PKEY *small = EVP_RSA_gen(1024);
    EVP_PKEY *odd = NULL;
    EVP_PKEY_CTX *context = EVP_PKEY_CTX_new_from_name(NULL, "RSA", NULL);
    BIGNUM *three = BN_new();
    BN_set_word(three, 3);
    EVP_PKEY_keygen_init(context);
    EVP_PKEY_CTX_set_rsa_keygen_bits(context, 2048);
    EVP_PKEY_CTX_set1_rsa_keygen_pubexp(context, three);
    assert_int_equal(EVP_PKEY_keygen(context, &odd), 1);

    EVP_PKEY *cases[2] = {small, odd};
    for (int i = 0; i < 2; i++) {
        struct hbk_rsa_key *key;
        assert_int_equal(hbk_rsa_key_new(cases[i], &key), HBK_OK);
        assert_false(hbk_rsa_key_is_vector(key));
        eight_init(&eight, 0);
        /* A key for libcrypto among keys for the kernels, where the size agrees. */
        for (int lane = 0; lane < HBK_LANES; lane++) {
            if (i == 0 || lane == 2) {
                eight.operation[lane].key = key;
            }
        }
        hbk_rsa_private_lanes((enum hbk_path)(path_count() - 1), batch, eight.lanes);
        for (int lane = 0; lane < HBK_LANES; lane++) {
            assert_right(&eight, lane);
        }
        hbk_rsa_key_free(key);
    }
    EVP_PKEY_free(small);
    EVP_PKEY_free(odd);
    EVP_PKEY_CTX_free(context);
    BN_free(three);
}

/* ---- keys that libcrypto would not make ---- */

/* The numbers of a key, of which a test changes some before it makes the key of them. */
struct parts {
    BIGNUM *n, *e, *d, *p, *q, *dp, *dq, *inverse;
};

static struct parts parts_of(EVP_PKEY *pkey)
{
    struct parts parts = {0};
    EVP_PKEY_get_bn_param(pkey, OSSL_PKEY_PARAM_RSA_N, &parts.n);
    EVP_PKEY_get_bn_param(pkey, OSSL_PKEY_PARAM_RSA_E, &parts.e);
    EVP_PKEY_get_bn_param(pkey, OSSL_PKEY_PARAM_RSA_D, &parts.d);
    EVP_PKEY_get_bn_param(pkey, OSSL_PKEY_PARAM_RSA_FACTOR1, &parts.p);
    EVP_PKEY_get_bn_param(pkey, OSSL_PKEY_PARAM_RSA_FACTOR2, &parts.q);
    EVP_PKEY_get_bn_param(pkey, OSSL_PKEY_PARAM_RSA_EXPONENT1, &parts.dp);
    EVP_PKEY_get_bn_param(pkey, OSSL_PKEY_PARAM_RSA_EXPONENT2, &parts.dq);
    EVP_PKEY_get_bn_param(pkey, OSSL_PKEY_PARAM_RSA_COEFFICIENT1, &parts.inverse);
    return parts;
}

/* Takes the parts. */
static EVP_PKEY *key_of(struct parts parts)
{
    EVP_PKEY *pkey = NULL;
    EVP_PKEY_CTX *context = EVP_PKEY_CTX_new_from_name(NULL, "RSA", NULL);
    OSSL_PARAM_BLD *builder = OSSL_PARAM_BLD_new();
    OSSL_PARAM_BLD_push_BN(builder, OSSL_PKEY_PARAM_RSA_N, parts.n);
    OSSL_PARAM_BLD_push_BN(builder, OSSL_PKEY_PARAM_RSA_E, parts.e);
    OSSL_PARAM_BLD_push_BN(builder, OSSL_PKEY_PARAM_RSA_D, parts.d);
    OSSL_PARAM_BLD_push_BN(builder, OSSL_PKEY_PARAM_RSA_FACTOR1, parts.p);
    OSSL_PARAM_BLD_push_BN(builder, OSSL_PKEY_PARAM_RSA_FACTOR2, parts.q);
    OSSL_PARAM_BLD_push_BN(builder, OSSL_PKEY_PARAM_RSA_EXPONENT1, parts.dp);
    OSSL_PARAM_BLD_push_BN(builder, OSSL_PKEY_PARAM_RSA_EXPONENT2, parts.dq);
    OSSL_PARAM_BLD_push_BN(builder, OSSL_PKEY_PARAM_RSA_COEFFICIENT1, parts.inverse);
    OSSL_PARAM *params = OSSL_PARAM_BLD_to_param(builder);
    assert_int_equal(EVP_PKEY_fromdata_init(context), 1);
    assert_int_equal(EVP_PKEY_fromdata(context, &pkey, EVP_PKEY_KEYPAIR, params), 1);
    OSSL_PARAM_free(params);
    OSSL_PARAM_BLD_free(builder);
    EVP_PKEY_CTX_free(context);
    BIGNUM *all[] = {parts.n, parts.e,  parts.d,  parts.p,
                     parts.q, parts.dp, parts.dq, parts.inverse};
    for (size_t i = 0; i < HBK_COUNT(all); i++) {
        BN_clear_free(all[i]);
    }
    return pkey;
}

/* Takes the primes; they are odd, differ, and are prime to 65537 less one. */
static struct parts parts_of_primes(BIGNUM *p, BIGNUM *q)
{
    BN_CTX *context = BN_CTX_new();
    BIGNUM *p1 = BN_dup(p), *q1 = BN_dup(q), *phi = BN_new();
    struct parts parts = {
        .n = BN_new(), .e = BN_new(), .p = p, .q = q, .dp = BN_new(), .dq = BN_new()};
    BN_set_word(parts.e, 65537);
    BN_sub_word(p1, 1);
    BN_sub_word(q1, 1);
    BN_mul(parts.n, p, q, context);
    BN_mul(phi, p1, q1, context);
    parts.d = BN_mod_inverse(NULL, parts.e, phi, context);
    assert_non_null(parts.d);
    BN_mod(parts.dp, parts.d, p1, context);
    BN_mod(parts.dq, parts.d, q1, context);
    parts.inverse = BN_mod_inverse(NULL, q, p, context);
    BN_free(p1);
    BN_free(q1);
    BN_free(phi);
    BN_CTX_free(context);
    return parts;
}

/* Takes the key. All eight lanes compute with it, on each path. */
static void assert_key_is_right(EVP_PKEY *pkey, bool is_vector, bool is_redone)
{
    static struct eight eight;
    struct hbk_rsa_key *key = NULL;
    assert_int_equal(hbk_rsa_key_new(pkey, &key), HBK_OK);
    assert_int_equal(hbk_rsa_key_is_vector(key), is_vector && HBK_HAS_VECTOR);
    for (int path = 0; path < path_count(); path++) {
        eight_init(&eight, 0);
        for (int lane = 0; lane < HBK_LANES; lane++) {
            eight.operation[lane].key = key;
        }
        hbk_rsa_private_lanes((enum hbk_path)path, batch, eight.lanes);
        for (int lane = 0; lane < HBK_LANES; lane++) {
            assert_right(&eight, lane);
            assert_int_equal(eight.operation[lane].was_redone,
                             is_redone && HBK_PATH_IS_VECTOR((enum hbk_path)path));
        }
    }
    hbk_rsa_key_free(key);
    EVP_PKEY_free(pkey);
}

static void the_smaller_prime_may_come_first(void **state)
{
    (void)state;
    struct parts parts = parts_of(pkeys[0][0]);
    assert_true(BN_cmp(parts.p, parts.q) > 0);
    struct parts other = parts_of_primes(parts.q, parts.p);
    assert_int_equal(BN_cmp(other.n, parts.n), 0);
    parts.p = parts.q = NULL; /* they went over */
    BIGNUM *rest[] = {parts.n, parts.e, parts.d, parts.dp, parts.dq, parts.inverse};
    for (size_t i = 0; i < HBK_COUNT(rest); i++) {
        BN_clear_free(rest[i]);
    }
    assert_key_is_right(key_of(other), true, false);
}

/* Its two highest bits are set. */
static BIGNUM *new_prime(int bits)
{
    BIGNUM *prime = BN_new();
    do {
        assert_int_equal(BN_generate_prime_ex(prime, bits, 0, NULL, NULL, NULL), 1);
    } while (BN_mod_word(prime, 65537) == 1);
    return prime;
}

static void primes_of_unequal_length_are_served_by_libcrypto(void **state)
{
    (void)state;
    struct parts parts = parts_of_primes(new_prime(1100), new_prime(948));
    assert_int_equal(BN_num_bits(parts.n), 2048);
    assert_key_is_right(key_of(parts), false, false);
}

/* A wrong exponent is a fault that lasts. The kernels' result is withheld and made anew; libcrypto
 * compares its own, and does without the primes when they lead astray. */
static void a_key_with_a_damaged_exponent_gives_no_wrong_result(void **state)
{
    (void)state;
    struct parts parts = parts_of(pkeys[0][0]);
    BN_sub_word(parts.dp, 2);
    assert_key_is_right(key_of(parts), true, true);
}

/* A stranger's certificate may have any exponent. One as long as the modulus would make a
 * verification as dear as a signature without the theorem. */
static void an_exponent_of_more_than_64_bits_is_unsupported(void **state)
{
    (void)state;
    static const struct {
        int bits;
        hbk_status status;
    } cases[] = {{64, HBK_OK}, {65, HBK_UNSUPPORTED}, {2047, HBK_UNSUPPORTED}};
    for (size_t i = 0; i < HBK_COUNT(cases); i++) {
        struct parts parts = parts_of(pkeys[0][0]);
        struct hbk_rsa_key *key = NULL;
        EVP_PKEY *pkey;
        BN_zero(parts.e);
        BN_set_bit(parts.e, cases[i].bits - 1);
        BN_set_bit(parts.e, 0);
        pkey = key_of(parts);
        assert_int_equal(hbk_rsa_key_new(pkey, &key), cases[i].status);
        assert_true(key == NULL || !hbk_rsa_key_is_vector(key));
        hbk_rsa_key_free(key);
        EVP_PKEY_free(pkey);
    }
}

static void other_keys_are_unsupported(void **state)
{
    (void)state;
    struct hbk_rsa_key *key = NULL;
    EVP_PKEY *curve = EVP_EC_gen("P-256");
    EVP_PKEY *tiny = EVP_RSA_gen(512);
    assert_int_equal(hbk_rsa_key_new(curve, &key), HBK_UNSUPPORTED);
    assert_int_equal(hbk_rsa_key_new(tiny, &key), HBK_UNSUPPORTED);
    assert_null(key);
    EVP_PKEY_free(curve);
    EVP_PKEY_free(tiny);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(private_results_are_right_in_every_fill),
        cmocka_unit_test(every_size_is_right_on_random_and_edge_inputs),
        cmocka_unit_test(public_results_equal_libcrypto),
        cmocka_unit_test(an_input_not_below_the_modulus_is_refused_alone),
        cmocka_unit_test(a_faulty_lane_is_withheld_and_computed_again),
        cmocka_unit_test(large_batches_come_in_several_steps),
        cmocka_unit_test(keys_that_the_kernels_cannot_take_are_served_by_libcrypto),
        cmocka_unit_test(the_smaller_prime_may_come_first),
        cmocka_unit_test(primes_of_unequal_length_are_served_by_libcrypto),
        cmocka_unit_test(a_key_with_a_damaged_exponent_gives_no_wrong_result),
        cmocka_unit_test(an_exponent_of_more_than_64_bits_is_unsupported),
        cmocka_unit_test(other_keys_are_unsupported),
    };
    return cmocka_run_group_tests(tests, make_keys, free_keys);
}
