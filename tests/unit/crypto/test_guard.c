/*
 * Every buffer that a kernel is given lies between two pages that nobody may touch, once directly
 * behind the first and once directly before the second: a byte read or written outside ends the
 * program. (Sanitizers do not see all that vector instructions with masks touch.) The results must
 * be those that the same kernel gives in ordinary memory.
 */
#include <openssl/evp.h>
#include <openssl/rand.h>
#include <openssl/rsa.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "crypto/aead.h"
#include "crypto/hkdf.h"
#include "crypto/rsa_key.h"
#include "crypto/vector/p256.h"
#include "crypto/vector/rsa.h"
#include "crypto/vector/x25519.h"
#include "paths.h"

enum { PAGE_BYTES = 4096, BUFFERS_MAX = 64, ROWS_BYTES = 8 * 32 };

enum side { AT_BEGINNING, AT_END, SIDE_COUNT };

/* All that were handed out since the last release. */
static struct {
    void *mapping;
    size_t bytes;
} buffers[BUFFERS_MAX];
static unsigned buffer_count;

/* `size` bytes between two guards, touching one of them. Sizes are multiples of what they are
 * aligned to. */
static void *guarded(size_t size, enum side side)
{
    const size_t inner = (size + PAGE_BYTES - 1) / PAGE_BYTES * PAGE_BYTES;
    uint8_t *mapping =
        mmap(NULL, inner + 2 * PAGE_BYTES, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    assert_true(mapping != MAP_FAILED);
    assert_true(buffer_count < BUFFERS_MAX);
    assert_int_equal(mprotect(mapping + PAGE_BYTES, inner, PROT_READ | PROT_WRITE), 0);
    buffers[buffer_count].mapping = mapping;
    buffers[buffer_count++].bytes = inner + 2 * PAGE_BYTES;
    return mapping + PAGE_BYTES + (side == AT_BEGINNING ? 0 : inner - size);
}

static void *guarded_copy(const void *bytes, size_t size, enum side side)
{
    void *copy = guarded(size, side);
    memcpy(copy, bytes, size);
    return copy;
}

static void release(void)
{
    while (buffer_count > 0) {
        buffer_count--;
        munmap(buffers[buffer_count].mapping, buffers[buffer_count].bytes);
    }
}

/* Rows of eight numbers below 2^255. */
typedef uint8_t rows[8][32];

static void fill(rows numbers, unsigned high_byte)
{
    assert_int_equal(RAND_bytes(numbers[0], ROWS_BYTES), 1);
    for (int lane = 0; lane < 8; lane++) {
        numbers[lane][high_byte] &= 0x7f;
    }
}

#define COPY(numbers) (guarded_copy((numbers), ROWS_BYTES, (enum side)side))
#define EMPTY() (guarded(ROWS_BYTES, (enum side)side))

static void p256_touches_nothing_beside_its_rows(void **state)
{
    (void)state;
    rows scalar, nonce, digest, x, y, secret, r, s;

    if (path_count() == 1) {
        skip();
    }
    fill(scalar, 0);
    fill(nonce, 0);
    fill(digest, 0);
    const uint8_t based = hbk_vector_p256_base(scalar, x, y);
    const uint8_t agreed = hbk_vector_p256_agree(nonce, x, y, secret);
    const uint8_t signed_ = hbk_vector_p256_sign(scalar, nonce, digest, r, s);
    const uint8_t verified = hbk_vector_p256_verify(x, y, digest, r, s);
    assert_int_equal(verified, 0xff);
    for (int side = 0; side < SIDE_COUNT; side++) {
        rows *out[2] = {EMPTY(), EMPTY()};
        assert_int_equal(hbk_vector_p256_base(COPY(scalar), *out[0], *out[1]), based);
        assert_memory_equal(out[0], x, ROWS_BYTES);
        assert_memory_equal(out[1], y, ROWS_BYTES);
        assert_int_equal(hbk_vector_p256_agree(COPY(nonce), COPY(x), COPY(y), *out[0]), agreed);
        assert_memory_equal(out[0], secret, ROWS_BYTES);
        assert_int_equal(
            hbk_vector_p256_sign(COPY(scalar), COPY(nonce), COPY(digest), *out[0], *out[1]),
            signed_);
        assert_memory_equal(out[0], r, ROWS_BYTES);
        assert_memory_equal(out[1], s, ROWS_BYTES);
        assert_int_equal(hbk_vector_p256_verify(COPY(x), COPY(y), COPY(digest), COPY(r), COPY(s)),
                         verified);
        release();
    }
}

static void x25519_touches_nothing_beside_its_rows(void **state)
{
    (void)state;
    rows scalar, peer, public, secret;

    if (path_count() == 1) {
        skip();
    }
    fill(scalar, 31);
    fill(peer, 31);
    hbk_vector_x25519_base(scalar, public);
    const uint8_t agreed = hbk_vector_x25519_agree(scalar, peer, secret);
    for (int side = 0; side < SIDE_COUNT; side++) {
        rows *out = EMPTY();
        hbk_vector_x25519_base(COPY(scalar), *out);
        assert_memory_equal(out, public, ROWS_BYTES);
        assert_int_equal(hbk_vector_x25519_agree(COPY(scalar), COPY(peer), *out), agreed);
        assert_memory_equal(out, secret, ROWS_BYTES);
        release();
    }
}

/* Inputs and outputs have no alignment; the batch has, and its size is a multiple of that. */
static void run_rsa(const struct hbk_vector_rsa_key *plain_key, unsigned bits, enum side side)
{
    const size_t bytes = bits / 8;
    struct hbk_vector_rsa_batch *batch = guarded(sizeof(*batch), side);
    struct hbk_vector_rsa_key *key = guarded_copy(plain_key, sizeof(*key), side);
    const struct hbk_vector_rsa_key *keys[8] = {NULL};
    const uint8_t *inputs[8] = {NULL};
    uint8_t *outputs[8] = {NULL}, *back[8] = {NULL};

    for (int lane = 0; lane < 8; lane++) {
        if (lane == 3) {
            continue; /* an empty lane has no buffers at all */
        }
        uint8_t *input = guarded(bytes, side);
        assert_int_equal(RAND_bytes(input, (int)bytes), 1);
        input[0] = 0;
        keys[lane] = key;
        inputs[lane] = input;
        outputs[lane] = guarded(bytes, side);
        back[lane] = guarded(bytes, side);
    }
    hbk_vector_rsa_begin(batch, keys, inputs);
    while (!hbk_vector_rsa_step(batch, 100)) {
    }
    assert_int_equal(hbk_vector_rsa_finish(batch, outputs), 0xff & ~(1 << 3));
    hbk_vector_rsa_public(batch, keys, (const uint8_t *const *)outputs, back);
    for (int lane = 0; lane < 8; lane++) {
        if (lane != 3) {
            assert_memory_equal(back[lane], inputs[lane], bytes);
        }
    }
    release();
}

static void rsa_touches_nothing_beside_its_numbers(void **state)
{
    (void)state;
    if (path_count() == 1) {
        skip();
    }
    for (unsigned bits = 2048; bits <= 4096; bits += 1024) {
        EVP_PKEY *pkey = EVP_RSA_gen(bits);
        struct hbk_rsa_key *key = NULL;
        assert_int_equal(hbk_rsa_key_new(pkey, &key), HBK_OK);
        assert_true(hbk_rsa_key_is_vector(key));
        for (int side = 0; side < SIDE_COUNT; side++) {
            run_rsa(&key->lanes, bits, (enum side)side);
        }
        hbk_rsa_key_free(key);
        EVP_PKEY_free(pkey);
    }
}

static void run_record(enum hbk_aead aead, enum hbk_aead_backend backend, size_t size,
                       enum side side)
{
    static const uint8_t secret_key[HBK_AEAD_KEY_BYTES_MAX] = {7};
    struct hbk_aead_key *key = guarded(sizeof(*key), side);
    uint8_t *bytes = guarded(size, side);
    uint8_t *tag = guarded(HBK_AEAD_TAG_BYTES, side);
    const uint8_t *header = guarded_copy("\x17\x03\x03\x01\x02", 5, side);
    struct hbk_aead_record *record = guarded(sizeof(*record), side);

    memset(bytes, 0x42, size);
    *record = (struct hbk_aead_record){
        .header = hbk_slice_of(header, 5), .bytes = hbk_span_of(bytes, size), .tag = tag};
    assert_int_equal(hbk_aead_key_init(key, aead, backend,
                                       guarded_copy(secret_key, hbk_aead_key_bytes(aead), side)),
                     HBK_OK);
    assert_true(hbk_aead_seal(key, record, 1));
    assert_int_equal(hbk_aead_open(key, record, 1), 1);
    for (size_t i = 0; i < size; i++) {
        assert_int_equal(bytes[i], 0x42);
    }
    assert_true(hbk_aead_seal(key, record, 1));
    tag[3] ^= 1;
    assert_int_equal(hbk_aead_open(key, record, 1), 0);
    hbk_aead_key_fini(key);
    release();
}

/* All sizes up to where the widest loops begin, and around a record's largest. */
static void records_touch_nothing_beside_their_bytes(void **state)
{
    (void)state;
    for (int aead = 0; aead <= HBK_AEAD_CHACHA20_POLY1305; aead++) {
        for (int backend = 0; backend <= HBK_AEAD_IPSEC_MB_NARROW; backend++) {
            if (!hbk_aead_is_available((enum hbk_aead)aead, (enum hbk_aead_backend)backend)) {
                continue;
            }
            for (size_t size = 0; size <= 16400; size += size < 300 ? 1 : 805) {
                run_record((enum hbk_aead)aead, (enum hbk_aead_backend)backend, size,
                           size % 2 == 0 ? AT_END : AT_BEGINNING);
                run_record((enum hbk_aead)aead, (enum hbk_aead_backend)backend, size,
                           size % 2 == 0 ? AT_BEGINNING : AT_END);
            }
        }
    }
}

static void hashes_touch_nothing_beside_their_bytes(void **state)
{
    (void)state;
    for (int hash = 0; hash < HBK_HASH_COUNT; hash++) {
        for (size_t size = 0; size < 300; size++) {
            for (int side = 0; side < SIDE_COUNT; side++) {
                const size_t hash_bytes = hbk_hash_bytes((enum hbk_hash)hash);
                const uint8_t *bytes = guarded(size, (enum side)side);
                uint8_t *out = guarded(hash_bytes, (enum side)side);
                struct hbk_hmac *hmac = guarded(sizeof(*hmac), (enum side)side);
                const struct hbk_slice message = hbk_slice_of(bytes, size);

                hbk_hash_once((enum hbk_hash)hash, message, out);
                hbk_hmac_init(hmac, (enum hbk_hash)hash, message);
                hbk_hmac_code(hmac, &message, 1, out);
                assert_true(hbk_hkdf_expand((enum hbk_hash)hash, message, message,
                                            hbk_span_of(out, hash_bytes)));
                release();
            }
        }
    }
}

/* The control: the guards are there. */
static void a_byte_outside_ends_the_program(void **state)
{
    (void)state;
    for (int side = 0; side < SIDE_COUNT; side++) {
        uint8_t *volatile bytes = guarded(100, (enum side)side);
        bytes[0] = 1;
        bytes[99] = 1;
        pid_t child = fork();
        if (child == 0) {
            signal(SIGSEGV, SIG_DFL);
            bytes[side == AT_BEGINNING ? -1 : 100] = 1;
            _exit(0);
        }
        int status = 0;
        assert_int_equal(waitpid(child, &status, 0), child);
        assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGSEGV);
        release();
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_byte_outside_ends_the_program),
        cmocka_unit_test(p256_touches_nothing_beside_its_rows),
        cmocka_unit_test(x25519_touches_nothing_beside_its_rows),
        cmocka_unit_test(rsa_touches_nothing_beside_its_numbers),
        cmocka_unit_test(records_touch_nothing_beside_their_bytes),
        cmocka_unit_test(hashes_touch_nothing_beside_their_bytes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
