/*
 * Does the time of a kernel depend on its secrets? Measured after the manner of dudect (Reparaz,
 * Balasch, Verbauwhede 2017): the secret is, at random, either a fixed special one or a random one;
 * Welch's t over the two classes of times says whether their means differ. Everything else is the
 * same for both classes: the inputs are made beforehand and copied to the same place.
 *
 * If the time depends on nothing, t is a random number of about one, whatever else the machine
 * does, because the noise falls on both classes alike. T_MAX is far above that, so this fails for a
 * leak only, and for one that is plain to see; smaller ones are for a person to find in the numbers
 * that are printed. The control, a multiplication by double-and-add, must be above T_MAX.
 *
 * What is not measured: verification and RSA's public operation, which have no secrets.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <x86intrin.h>

#include "base/clock.h"
#include "base/secret.h"
#include "crypto/cpu.h"
#include "crypto/hmac.h"
#include "crypto/p256_nonce.h"
#include "crypto/vector/p256.h"
#include "crypto/vector/rsa.h"
#include "crypto/vector/x25519.h"

enum {
    T_MAX = 40,
    INPUTS = 64, /* of each class, used in turn */
    SECRET_BYTES_MAX = 2 * sizeof(struct hbk_vector_rsa_prime) + 8 * 320,
    MEASUREMENTS_MAX = 20000,
    MEASUREMENTS_MIN = 200,
    CASE_NS = 1500000000,
    CROP_PERCENT = 90, /* the slowest tenth is interrupts and their like */
    ALL_LANES = -1,
};

static uint64_t random_state = UINT64_C(88172645463325252);

static uint64_t random_word(void)
{
    random_state ^= random_state << 13;
    random_state ^= random_state >> 7;
    random_state ^= random_state << 17;
    return random_state;
}

static void fill_random(void *bytes, size_t size)
{
    uint8_t *to = bytes;
    for (size_t i = 0; i < size; i++) {
        to[i] = (uint8_t)(random_word() >> 24);
    }
}

typedef uint8_t rows[8][32];

/* ---- what is measured ---- */

struct subject {
    const char *name;
    size_t secret_bytes;
    /* Makes a secret; `is_fixed` is the class. */
    void (*make)(uint8_t *secret, bool is_fixed, int lane);
    void (*run)(void *secret);
    int lane; /* the only one whose class changes, or ALL_LANES */
};

static rows public_x, public_y, digest, out, out_too;
static volatile uint64_t sink;

/* Eight scalars; the fixed one is 1 in either order of bytes. */
static void make_scalars(uint8_t *secret, bool is_fixed, int lane)
{
    fill_random(secret, sizeof(rows));
    for (int i = 0; i < 8; i++) {
        secret[32 * i] &= 0x7f;
        if (is_fixed && (lane == ALL_LANES || lane == i)) {
            memset(secret + 32 * i, 0, 32);
            secret[32 * i] = 1;
            secret[32 * i + 31] = 1;
        }
    }
}

static void make_two_scalars(uint8_t *secret, bool is_fixed, int lane)
{
    make_scalars(secret, is_fixed, lane);
    make_scalars(secret + sizeof(rows), is_fixed, lane);
}

static void run_p256_base(void *secret)
{
    sink = hbk_vector_p256_base(secret, out, out_too);
}

static void run_p256_agree(void *secret)
{
    sink = hbk_vector_p256_agree(secret, public_x, public_y, out);
}

static void run_p256_sign(void *secret)
{
    sink = hbk_vector_p256_sign(secret, *((rows *)secret + 1), digest, out, out_too);
}

static void run_x25519_base(void *secret)
{
    hbk_vector_x25519_base(secret, out);
}

static void run_x25519_agree(void *secret)
{
    sink = hbk_vector_x25519_agree(secret, public_x, out);
}

/* The private part of an RSA key, all else of which stays. */
struct rsa_secret {
    struct hbk_vector_rsa_prime p, q;
};

static unsigned rsa_bits;
static struct hbk_vector_rsa_key rsa_key;
static struct hbk_vector_rsa_batch *rsa_batch;

static void fill_digits(uint64_t *digits, unsigned count, bool is_fixed)
{
    for (unsigned i = 0; i < count; i++) {
        digits[i] = is_fixed ? 0 : random_word() >> 12;
    }
    digits[0] |= 1;
    digits[count - 1] = (digits[count - 1] | UINT64_C(1) << 30) & ((UINT64_C(1) << 31) - 1);
}

static void make_prime(struct hbk_vector_rsa_prime *prime, bool is_fixed)
{
    const unsigned digits = rsa_bits / 1024 * 10;

    memset(prime, 0, sizeof(*prime));
    fill_digits(prime->digits, digits, is_fixed);
    fill_digits(prime->one, digits, is_fixed);
    fill_digits(prime->r_cubed, digits, is_fixed);
    for (unsigned i = 0; i < rsa_bits / 128; i++) {
        prime->exponent[i] = is_fixed ? i == 0 : random_word();
    }
    prime->inverse = is_fixed ? 1 : random_word() >> 12;
}

static void make_rsa(uint8_t *secret, bool is_fixed, int lane)
{
    struct rsa_secret made;
    (void)lane; /* one key is in all lanes */
    make_prime(&made.p, is_fixed);
    make_prime(&made.q, is_fixed);
    memcpy(secret, &made, sizeof(made));
}

static void run_rsa(void *secret)
{
    static uint8_t input[512], output[8][512];
    const struct hbk_vector_rsa_key *keys[8];
    const uint8_t *inputs[8];
    uint8_t *outputs[8];
    struct rsa_secret used;

    memcpy(&used, secret, sizeof(used));
    rsa_key.p = used.p;
    rsa_key.q = used.q;
    memset(input, 0x35, sizeof(input));
    for (int lane = 0; lane < 8; lane++) {
        keys[lane] = &rsa_key;
        inputs[lane] = input;
        outputs[lane] = output[lane];
    }
    hbk_vector_rsa_begin(rsa_batch, keys, inputs);
    while (!hbk_vector_rsa_step(rsa_batch, 1000)) {
    }
    sink = hbk_vector_rsa_finish(rsa_batch, outputs);
}

static void start_rsa(unsigned bits)
{
    rsa_bits = bits;
    memset(&rsa_key, 0, sizeof(rsa_key));
    rsa_key.bits = bits;
    rsa_key.digits = bits / 1024 * 20;
    rsa_key.has_private = true;
    fill_digits(rsa_key.n.digits, rsa_key.digits, false);
    fill_digits(rsa_key.n.r_squared, rsa_key.digits, false);
    fill_digits(rsa_key.q_inverse, rsa_key.digits / 2, false);
}

/* Scalar code of ours. */
static void make_bytes(uint8_t *secret, bool is_fixed, int lane)
{
    (void)lane;
    fill_random(secret, 96);
    if (is_fixed) {
        memset(secret, 0, 96);
        secret[31] = 1;
    }
}

static void run_hmac(void *secret)
{
    const uint8_t *bytes = secret;
    struct hbk_hmac hmac;
    const struct hbk_slice part = hbk_slice_of(bytes + 48, 48);
    hbk_hmac_init(&hmac, HBK_HASH_SHA384, hbk_slice_of(bytes, 48));
    hbk_hmac_code(&hmac, &part, 1, out[0]);
}

static void run_nonce(void *secret)
{
    const uint8_t *bytes = secret;
    hbk_p256_nonce(bytes, bytes + 32, hbk_slice_of(bytes + 64, 16), out[0]);
}

static void run_equal(void *secret)
{
    const uint8_t *bytes = secret;
    static const uint8_t right[96] = {[31] = 1};
    sink = hbk_secret_equal(hbk_slice_of(bytes, 96), hbk_slice_of(right, 96));
}

/* The control: multiplies by double-and-add, and adds only where a bit is set. */
static void run_control(void *secret)
{
    const uint8_t *bytes = secret;
    uint64_t product = 1;
    for (int bit = 0; bit < 256; bit++) {
        product = product * product + 1;
        if ((bytes[bit / 8] >> bit % 8 & 1) == 1) {
            product = product * 0x9e3779b97f4a7c15 + 7;
            product ^= product >> 29;
        }
    }
    sink = product;
}

/* ---- how it is measured ---- */

struct measurement {
    uint64_t cycles;
    bool is_fixed;
};

static struct measurement measurements[MEASUREMENTS_MAX];
static uint8_t inputs[2][INPUTS][SECRET_BYTES_MAX], secret[SECRET_BYTES_MAX];

static int compare(const void *a, const void *b)
{
    const struct measurement *first = a, *second = b;
    return (first->cycles > second->cycles) - (first->cycles < second->cycles);
}

static unsigned measure(const struct subject *subject)
{
    const uint64_t start_ns = hbk_clock_monotonic_ns();
    unsigned count = 0;

    for (int class = 0; class < 2; class ++) {
        for (int i = 0; i < INPUTS; i++) {
            subject->make(inputs[class][i], class == 1, subject->lane);
        }
    }
    while (count < MEASUREMENTS_MAX &&
           (count < MEASUREMENTS_MIN || hbk_clock_monotonic_ns() - start_ns < CASE_NS)) {
        const unsigned class = (unsigned)(random_word() >> 40) & 1;
        unsigned processor;
        memcpy(secret, inputs[class][count % INPUTS], subject->secret_bytes);
        _mm_lfence();
        const uint64_t before = __rdtsc();
        _mm_lfence();
        subject->run(secret);
        const uint64_t after = __rdtscp(&processor);
        _mm_lfence();
        measurements[count++] =
            (struct measurement){.cycles = after - before, .is_fixed = class == 1};
    }
    return count;
}

/* Welch's t of the two classes. */
static double t_of(unsigned count)
{
    double sum[2] = {0}, square_sum[2] = {0}, n[2] = {0};

    for (unsigned i = 0; i < count; i++) {
        const double cycles = (double)measurements[i].cycles;
        sum[measurements[i].is_fixed] += cycles;
        n[measurements[i].is_fixed]++;
    }
    for (unsigned i = 0; i < count; i++) {
        const int class = measurements[i].is_fixed;
        const double off = (double)measurements[i].cycles - sum[class] / n[class];
        square_sum[class] += off * off;
    }
    const double error = square_sum[0] / (n[0] - 1) / n[0] + square_sum[1] / (n[1] - 1) / n[1];
    return error > 0 ? (sum[0] / n[0] - sum[1] / n[1]) / sqrt(error) : 0;
}

static double run_subject(const struct subject *subject)
{
    subject->run(inputs[0][0]); /* builds tables, warms caches */
    const unsigned count = measure(subject);
    qsort(measurements, count, sizeof(measurements[0]), compare);
    const double t = t_of(count * CROP_PERCENT / 100);

    printf("%-40s %6u times  median %9llu cycles  t %8.2f\n", subject->name, count,
           (unsigned long long)measurements[count / 2].cycles, t);
    fflush(stdout);
    return fabs(t);
}

static const struct subject subjects[] = {
    {"P-256 scalar times base point", sizeof(rows), make_scalars, run_p256_base, ALL_LANES},
    {"P-256 scalar times base point, one lane", sizeof(rows), make_scalars, run_p256_base, 5},
    {"P-256 scalar times point", sizeof(rows), make_scalars, run_p256_agree, ALL_LANES},
    {"P-256 scalar times point, one lane", sizeof(rows), make_scalars, run_p256_agree, 5},
    {"ECDSA P-256 signature", 2 * sizeof(rows), make_two_scalars, run_p256_sign, ALL_LANES},
    {"ECDSA P-256 signature, one lane", 2 * sizeof(rows), make_two_scalars, run_p256_sign, 5},
    {"X25519 scalar times base point", sizeof(rows), make_scalars, run_x25519_base, ALL_LANES},
    {"X25519 scalar times base point, one lane", sizeof(rows), make_scalars, run_x25519_base, 5},
    {"X25519 scalar times point", sizeof(rows), make_scalars, run_x25519_agree, ALL_LANES},
    {"X25519 scalar times point, one lane", sizeof(rows), make_scalars, run_x25519_agree, 5},
    {"HMAC-SHA-384", 96, make_bytes, run_hmac, ALL_LANES},
    {"nonce of ECDSA", 96, make_bytes, run_nonce, ALL_LANES},
    {"comparison", 96, make_bytes, run_equal, ALL_LANES},
};

int main(void)
{
    static const struct subject control = {"double-and-add (control)", 96, make_bytes, run_control,
                                           ALL_LANES};
    static const struct subject rsa = {"RSA private operation", sizeof(struct rsa_secret), make_rsa,
                                       run_rsa, ALL_LANES};
    unsigned passed = 0, failed = 0;

    if (!HBK_PATH_IS_VECTOR(hbk_cpu_path())) {
        puts("skipped: this processor, or HBK_CPU, has no vector path");
        return 77;
    }
    rsa_batch = aligned_alloc(64, sizeof(*rsa_batch));
    if (rsa_batch == NULL) {
        return 1;
    }
    fill_random(public_x, sizeof(rows));
    fill_random(public_y, sizeof(rows));
    fill_random(digest, sizeof(rows));
    if (run_subject(&control) > T_MAX) {
        passed++;
    } else {
        printf("FAILED: the control is not told apart\n");
        failed++;
    }
    for (size_t i = 0; i < HBK_COUNT(subjects); i++) {
        if (run_subject(&subjects[i]) < T_MAX) {
            passed++;
        } else {
            printf("FAILED: %s: above %d\n", subjects[i].name, T_MAX);
            failed++;
        }
    }
    for (unsigned bits = 2048; bits <= 4096; bits += 1024) {
        start_rsa(bits);
        printf("%u bits:\n", bits);
        if (run_subject(&rsa) < T_MAX) {
            passed++;
        } else {
            printf("FAILED: above %d\n", T_MAX);
            failed++;
        }
    }
    free(rsa_batch);
    printf("timing: %u passed, %u failed\n", passed, failed);
    return failed == 0 ? 0 : 1;
}
