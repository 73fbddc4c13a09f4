/*
 * Shows that no branch and no address in the kernels depends on a secret: clang's memory sanitizer
 * reports branches on, and addresses made of, undefined memory, and follows undefinedness through
 * arithmetic; so every secret is marked undefined and the kernels run. (The idea is ctgrind's,
 * Langley 2010; valgrind does not know AVX-512.)
 *
 * The first case is a control that does branch on a secret, in a child that must be killed for it.
 * The RSA "primes" are random odd numbers: the time of a kernel does not depend on primality
 * either. Built and run by tools/check_constant_time.sh.
 */
#include <sanitizer/msan_interface.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "crypto/vector/p256.h"
#include "crypto/vector/rsa.h"
#include "crypto/vector/x25519.h"

enum { LANES = 8 };

static uint64_t random_state = UINT64_C(88172645463325252);

static uint64_t random_word(void)
{
    random_state ^= random_state << 13;
    random_state ^= random_state >> 7;
    random_state ^= random_state << 17;
    return random_state;
}

static void fill_rows(uint8_t rows[LANES][32])
{
    for (int lane = 0; lane < LANES; lane++) {
        for (int i = 0; i < 32; i++) {
            rows[lane][i] = (uint8_t)(random_word() >> 24);
        }
        rows[lane][0] &= 0x7f;
    }
}

static void fill_secret(uint8_t rows[LANES][32])
{
    fill_rows(rows);
    __msan_poison(rows, LANES * 32);
}

static uint8_t secret[LANES][32], secret_too[LANES][32], open[LANES][32], open_too[LANES][32];
static uint8_t out[LANES][32], out_too[LANES][32];

static void branch_on_secret(void)
{
    fill_secret(secret);
    if (secret[3][7] == 1) {
        puts("one");
    }
}

static void p256_base(void)
{
    fill_secret(secret);
    hbk_vector_p256_base(secret, out, out_too);
}

static void p256_agree(void)
{
    fill_secret(secret);
    fill_rows(open);
    fill_rows(open_too);
    hbk_vector_p256_agree(secret, open, open_too, out);
}

static void p256_sign(void)
{
    fill_secret(secret);
    fill_secret(secret_too);
    fill_rows(open);
    hbk_vector_p256_sign(secret, secret_too, open, out, out_too);
}

static void x25519_base(void)
{
    fill_secret(secret);
    hbk_vector_x25519_base(secret, out);
}

static void x25519_agree(void)
{
    fill_secret(secret);
    fill_rows(open);
    hbk_vector_x25519_agree(secret, open, out);
}

static void fill_digits(uint64_t *digits, unsigned count)
{
    for (unsigned i = 0; i < count; i++) {
        digits[i] = random_word() >> 12;
    }
    digits[0] |= 1;
    digits[count - 1] >>= 20;
}

static void fill_prime(struct hbk_vector_rsa_prime *prime, unsigned digits)
{
    fill_digits(prime->digits, digits);
    fill_digits(prime->one, digits);
    fill_digits(prime->r_cubed, digits);
    for (int i = 0; i < HBK_VECTOR_RSA_PRIME_WORDS_MAX; i++) {
        prime->exponent[i] = random_word();
    }
    prime->inverse = random_word() >> 12;
    __msan_poison(prime, sizeof(*prime));
}

static void rsa_private(unsigned bits)
{
    static struct hbk_vector_rsa_key key;
    static struct hbk_vector_rsa_batch batch __attribute__((aligned(64)));
    static uint8_t input[512], output[LANES][512];
    const struct hbk_vector_rsa_key *keys[LANES];
    const uint8_t *inputs[LANES];
    uint8_t *outputs[LANES];

    key.bits = bits;
    key.digits = bits / 1024 * 20;
    key.has_private = true;
    fill_digits(key.n.digits, key.digits);
    fill_digits(key.n.r_squared, key.digits);
    fill_prime(&key.p, key.digits / 2);
    fill_prime(&key.q, key.digits / 2);
    fill_digits(key.q_inverse, key.digits / 2);
    __msan_poison(key.q_inverse, sizeof(key.q_inverse));
    memset(input, 0x35, sizeof(input));
    for (int lane = 0; lane < LANES; lane++) {
        keys[lane] = lane == 5 ? NULL : &key;
        inputs[lane] = input;
        outputs[lane] = output[lane];
    }
    hbk_vector_rsa_begin(&batch, keys, inputs);
    while (!hbk_vector_rsa_step(&batch, 100)) {
    }
    hbk_vector_rsa_finish(&batch, outputs);
}

static void rsa_2048(void)
{
    rsa_private(2048);
}

static void rsa_3072(void)
{
    rsa_private(3072);
}

static void rsa_4096(void)
{
    rsa_private(4096);
}

static const struct {
    const char *name;
    void (*run)(void);
    bool is_control;
} cases[] = {
    {"a branch on a secret (control)", branch_on_secret, true},
    {"P-256 scalar times base point", p256_base, false},
    {"P-256 scalar times point", p256_agree, false},
    {"ECDSA P-256 signature", p256_sign, false},
    {"X25519 scalar times base point", x25519_base, false},
    {"X25519 scalar times point", x25519_agree, false},
    {"RSA-2048 private operation", rsa_2048, false},
    {"RSA-3072 private operation", rsa_3072, false},
    {"RSA-4096 private operation", rsa_4096, false},
};

/* Whether the case ran to its end. The sanitizer's report of the control goes nowhere. */
static bool survives(size_t index)
{
    int status = 1;

    fflush(stdout);
    pid_t child = fork();
    if (child == 0) {
        if (cases[index].is_control) {
            (void)!freopen("/dev/null", "w", stderr);
        }
        cases[index].run();
        _exit(0);
    }
    return child > 0 && waitpid(child, &status, 0) == child && status == 0;
}

int main(void)
{
    unsigned failed = 0;

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        bool is_right = survives(i) != cases[i].is_control;
        printf("%s: %s\n", is_right ? "ok" : "FAILED", cases[i].name);
        failed += is_right ? 0 : 1;
    }
    return failed == 0 ? 0 : 1;
}
