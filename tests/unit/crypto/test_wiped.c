/*
 * What the kernels, the twins and the records' ciphers leave behind: nothing that a key took part
 * in, in registers, on the stack below the caller, or in a batch. What is looked for is kept masked
 * and off the stack, so that the search does not find itself.
 */
#include <openssl/evp.h>
#include <openssl/rand.h>
#include <openssl/rsa.h>

#include "base/secret.h"
#include "crypto/aead.h"
#include "crypto/p256.h"
#include "crypto/rsa.h"
#include "crypto/vector/rsa.h"
#include "crypto/vector/wipe.h"
#include "crypto/x25519.h"
#include "paths.h"

enum { MASK = 0xa5, STACK_BYTES = 96 << 10, BLOCK_BYTES = 16 };

static uint8_t masked[64];

static void hide(const uint8_t *secret, size_t size)
{
    for (size_t i = 0; i < size; i++) {
        masked[i] = secret[i] ^ MASK;
    }
}

/* Whether the hidden bytes, from front or from back, stand in the stack below the caller. Reads
 * what earlier calls have left there, which is not this function's to read by the book. */
__attribute__((noinline, no_sanitize("address"))) static bool is_below(size_t size)
{
    const volatile uint8_t *end = __builtin_frame_address(0);
    for (const volatile uint8_t *at = end - STACK_BYTES; at < end - size; at++) {
        size_t forth = 0, back = 0;
        while (forth < size && (at[forth] ^ MASK) == masked[forth]) {
            forth++;
        }
        while (back < size && (at[back] ^ MASK) == masked[size - 1 - back]) {
            back++;
        }
        if (forth == size || back == size) {
            return true;
        }
    }
    return false;
}

/* The control of the others: a function that wipes nothing is found out. It leaves the block far
 * enough down that the search's own frame does not lie on it. */
__attribute__((noinline)) static void leave_behind(void)
{
    uint8_t room[64 * BLOCK_BYTES];
    for (size_t i = 0; i < BLOCK_BYTES; i++) {
        room[32 * BLOCK_BYTES + i] = masked[i] ^ MASK;
    }
    __asm__ volatile("" ::"r"(room) : "memory"); /* as if somebody read it */
}

__attribute__((noinline)) static void clean_stack(void)
{
    uint8_t stack[STACK_BYTES];
    hbk_secret_wipe(stack, sizeof(stack));
}

static void what_is_left_on_the_stack_is_found(void **state)
{
    (void)state;
    static uint8_t secret[BLOCK_BYTES];
    RAND_bytes(secret, sizeof(secret));
    hide(secret, sizeof(secret));
    clean_stack();
    assert_false(is_below(sizeof(secret)));
    leave_behind();
    assert_true(is_below(sizeof(secret)));
    clean_stack();
}

#if HBK_HAS_VECTOR && defined(__x86_64__)

static _Alignas(64) uint8_t vectors[32][64];
static uint64_t masks[8];

/* clang-format off */
#define EACH_VECTOR(DO)                                                                         \
    DO(0) DO(1) DO(2) DO(3) DO(4) DO(5) DO(6) DO(7) DO(8) DO(9) DO(10) DO(11) DO(12) DO(13)     \
    DO(14) DO(15) DO(16) DO(17) DO(18) DO(19) DO(20) DO(21) DO(22) DO(23) DO(24) DO(25) DO(26)  \
    DO(27) DO(28) DO(29) DO(30) DO(31)
#define EACH_MASK(DO) DO(0) DO(1) DO(2) DO(3) DO(4) DO(5) DO(6) DO(7)
/* clang-format on */

__attribute__((target("avx512f,avx512bw"))) static void registers_get(void)
{
#define GET(n) __asm__ volatile("vmovdqu64 %%zmm" #n ", %0" : "=m"(vectors[n]));
    EACH_VECTOR(GET)
#undef GET
#define GET(n) __asm__ volatile("kmovq %%k" #n ", %0" : "=m"(masks[n]));
    EACH_MASK(GET)
#undef GET
}

__attribute__((target("avx512f,avx512bw"))) static void registers_fill(void)
{
    static const uint8_t pattern[64] = {[0 ... 63] = 0x5a};
#define SET(n) __asm__ volatile("vmovdqu64 %0, %%zmm" #n ::"m"(pattern) : "xmm" #n);
    EACH_VECTOR(SET)
#undef SET
#define SET(n) __asm__ volatile("kmovq %0, %%k" #n ::"m"(pattern) : "k" #n);
    EACH_MASK(SET)
#undef SET
}

static void all_registers_are_wiped(void **state)
{
    (void)state;
    if (path_count() == 1) {
        skip();
    }
    registers_fill();
    registers_get();
    assert_int_equal(vectors[31][63], 0x5a);
    registers_fill();
    hbk_vector_wipe();
    registers_get();
    for (int i = 0; i < 32; i++) {
        for (int j = 0; j < 64; j++) {
            if (vectors[i][j] != 0) {
                fail_msg("zmm%d, byte %d", i, j);
            }
        }
    }
    for (int i = 0; i < 8; i++) {
        assert_int_equal(masks[i], 0);
    }
}

#endif

/* Neither the key nor the result, which the caller has elsewhere, is left below. */
static void agreements_leave_no_key_and_no_secret_on_the_stack(void **state)
{
    (void)state;
    static uint8_t key[HBK_X25519_BYTES];
    static struct hbk_x25519_keygen peer;
    static struct hbk_x25519_agree agree;
    struct hbk_x25519_keygen *peers[HBK_LANES] = {&peer};
    struct hbk_x25519_agree *lanes[HBK_LANES] = {&agree};
    hbk_x25519_keygen_lanes(HBK_PATH_TWIN, peers);
    for (int path = 0; path < path_count(); path++) {
        RAND_bytes(key, sizeof(key));
        hide(key, sizeof(key));
        agree = (struct hbk_x25519_agree){.private_key = key, .peer_key = peer.public_key};
        clean_stack();
        hbk_x25519_agree_lanes((enum hbk_path)path, lanes);
        assert_false(is_below(sizeof(key)));
        assert_int_equal(agree.status, HBK_LANE_OK);
        hide(agree.secret, sizeof(agree.secret));
        clean_stack();
        hbk_x25519_agree_lanes((enum hbk_path)path, lanes);
        assert_false(is_below(sizeof(agree.secret)));
    }
}

static void signatures_leave_no_key_on_the_stack(void **state)
{
    (void)state;
    static struct hbk_p256_keygen pair;
    static struct hbk_p256_sign sign;
    struct hbk_p256_keygen *pairs[HBK_LANES] = {&pair};
    struct hbk_p256_sign *lanes[HBK_LANES] = {&sign};
    for (int path = 0; path < path_count(); path++) {
        clean_stack();
        hbk_p256_keygen_lanes((enum hbk_path)path, pairs);
        hide(pair.private_key, sizeof(pair.private_key));
        assert_false(is_below(sizeof(pair.private_key)));
        sign = (struct hbk_p256_sign){.private_key = pair.private_key};
        clean_stack();
        hbk_p256_sign_lanes((enum hbk_path)path, lanes);
        assert_false(is_below(sizeof(pair.private_key)));
        assert_int_equal(sign.status, HBK_LANE_OK);
    }
}

/* Of libipsec-mb, which computes on the caller's stack. The key stream is what zeros become. */
static void records_leave_no_key_stream_on_the_stack(void **state)
{
    (void)state;
    static const uint8_t secret[HBK_AEAD_KEY_BYTES_MAX] = {7, 7, 7};
    static struct hbk_aead_key key;
    static uint8_t zeros[BLOCK_BYTES + 3], tag[HBK_AEAD_TAG_BYTES];
    static struct hbk_aead_record record;
    for (size_t size = 5; size <= sizeof(zeros); size += 14) {
        for (int backend = HBK_AEAD_IPSEC_MB; backend <= HBK_AEAD_IPSEC_MB_NARROW; backend++) {
            if (!hbk_aead_is_available(HBK_AEAD_AES_128_GCM, (enum hbk_aead_backend)backend)) {
                continue;
            }
            assert_int_equal(hbk_aead_key_init(&key, HBK_AEAD_AES_128_GCM,
                                               (enum hbk_aead_backend)backend, secret),
                             HBK_OK);
            record = (struct hbk_aead_record){.tag = tag};
            /* The stream of the last block: of the whole of it, from a record that is longer. */
            static uint8_t stream[2 * BLOCK_BYTES];
            memset(stream, 0, sizeof(stream));
            record.bytes = hbk_span_of(stream, sizeof(stream));
            assert_true(hbk_aead_seal(&key, &record, 1));
            hide(stream + (size / BLOCK_BYTES) * BLOCK_BYTES, BLOCK_BYTES);
            memset(zeros, 0, sizeof(zeros));
            record.bytes = hbk_span_of(zeros, size);
            clean_stack();
            assert_true(hbk_aead_seal(&key, &record, 1));
            assert_false(is_below(BLOCK_BYTES));
            hbk_aead_key_fini(&key);
            static const uint8_t wiped[sizeof(key)];
            assert_memory_equal(&key, wiped, sizeof(key));
        }
    }
}

/* A forger wants to know the right tag of what he sent. */
static void a_forged_record_leaves_its_right_tag_nowhere(void **state)
{
    (void)state;
    static const uint8_t secret[HBK_AEAD_KEY_BYTES_MAX] = {7, 7, 7};
    static struct hbk_aead_key key;
    static uint8_t bytes[40], tag[HBK_AEAD_TAG_BYTES];
    static struct hbk_aead_record record;
    const enum hbk_aead_backend backend = hbk_aead_best_backend(HBK_AEAD_AES_128_GCM);
    assert_int_equal(hbk_aead_key_init(&key, HBK_AEAD_AES_128_GCM, backend, secret), HBK_OK);
    record = (struct hbk_aead_record){.tag = tag, .bytes = hbk_span_of(bytes, sizeof(bytes))};
    assert_true(hbk_aead_seal(&key, &record, 1));
    hide(tag, sizeof(tag));
    tag[0] ^= 1;
    clean_stack();
    assert_int_equal(hbk_aead_open(&key, &record, 1), 0);
    assert_false(is_below(sizeof(tag)));
    hbk_aead_key_fini(&key);
}

/* The kernel's part, which comes first and is nearly all of a batch. */
enum { KERNEL_BYTES = sizeof(struct hbk_vector_rsa_batch) };

static bool is_wiped(const struct hbk_rsa_batch *batch)
{
    const uint8_t *bytes = (const uint8_t *)batch;
    size_t size = KERNEL_BYTES;
    while (size > 0 && bytes[size - 1] == 0) {
        size--;
    }
    return size == 0;
}

static bool has_none(const struct hbk_rsa_batch *batch, size_t size)
{
    const uint8_t *bytes = (const uint8_t *)batch;
    for (size_t i = 0; i + size <= KERNEL_BYTES; i++) {
        size_t j = 0;
        while (j < size && (bytes[i + j] ^ MASK) == masked[j]) {
            j++;
        }
        if (j == size) {
            return false;
        }
    }
    return true;
}

/* Exponents lie in a batch word by word; those of lane 0 are 64 bytes apart, so one word tells. */
static void hide_exponent(EVP_PKEY *pkey)
{
    static uint8_t bytes[128];
    BIGNUM *dp = NULL;
    assert_int_equal(EVP_PKEY_get_bn_param(pkey, "rsa-exponent1", &dp), 1);
    assert_int_equal(BN_bn2lebinpad(dp, bytes, sizeof(bytes)), sizeof(bytes));
    hide(bytes + 64, 8);
    hbk_secret_wipe(bytes, sizeof(bytes));
    BN_clear_free(dp);
}

/* Done, or cancelled on the way, in one lane after the other. */
static void rsa_batches_are_wiped_when_they_end(void **state)
{
    (void)state;
    EVP_PKEY *pkey = EVP_RSA_gen(2048);
    struct hbk_rsa_key *key = NULL;
    assert_int_equal(hbk_rsa_key_new(pkey, &key), HBK_OK);
    struct hbk_rsa_batch *batch = hbk_rsa_batch_new();
    hbk_rsa_batch_wipe(batch);
    assert_true(is_wiped(batch));
    static uint8_t input[HBK_RSA_BYTES_MAX] = {0, 1, 2}, output[HBK_RSA_BYTES_MAX];
    static struct hbk_rsa_operation operation;
    operation = (struct hbk_rsa_operation){.key = key, .input = input, .output = output};
    struct hbk_rsa_operation *lanes[HBK_LANES] = {&operation};
    hide_exponent(pkey);
    for (int is_cancelled = 0; is_cancelled < 2; is_cancelled++) {
        clean_stack();
        hbk_rsa_batch_begin(batch, (enum hbk_path)(path_count() - 1), lanes);
        assert_false(is_below(8));
        if (is_cancelled != 0) {
            hbk_rsa_batch_cancel(batch, &operation);
        }
        while (!hbk_rsa_batch_step(batch)) {
        }
        assert_false(is_below(8));
        assert_true(has_none(batch, 8));
    }
    /* What a public operation got may be a secret too: its owner says so. */
    hbk_rsa_public_lanes((enum hbk_path)(path_count() - 1), batch, lanes);
    assert_int_equal(is_wiped(batch), path_count() == 1);
    hbk_rsa_batch_wipe(batch);
    assert_true(is_wiped(batch));
    hbk_rsa_batch_free(batch);
    hbk_rsa_key_free(key);
    EVP_PKEY_free(pkey);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_left_on_the_stack_is_found),
#if HBK_HAS_VECTOR && defined(__x86_64__)
        cmocka_unit_test(all_registers_are_wiped),
#endif
        cmocka_unit_test(agreements_leave_no_key_and_no_secret_on_the_stack),
        cmocka_unit_test(signatures_leave_no_key_on_the_stack),
        cmocka_unit_test(records_leave_no_key_stream_on_the_stack),
        cmocka_unit_test(a_forged_record_leaves_its_right_tag_nowhere),
        cmocka_unit_test(rsa_batches_are_wiped_when_they_end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
