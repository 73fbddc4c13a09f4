/*
 * The RSA kernels: eight private or public operations with keys of one size and exponent 65537.
 * Only for processors where hbk_cpu_path() is HBK_PATH_VECTOR. One batch object serves one thread.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

enum {
    HBK_VECTOR_RSA_LANES = 8,
    HBK_VECTOR_RSA_DIGITS_MAX = 80, /* a modulus of 4096 bits in digits of 52 */
    HBK_VECTOR_RSA_PRIME_DIGITS_MAX = HBK_VECTOR_RSA_DIGITS_MAX / 2,
    HBK_VECTOR_RSA_PRIME_WORDS_MAX = 32, /* a prime of 2048 bits in words of 64 */
    HBK_VECTOR_RSA_WINDOW_BITS_MAX = 5,
    HBK_VECTOR_RSA_TABLE_ENTRIES = 1 << HBK_VECTOR_RSA_WINDOW_BITS_MAX,
    HBK_VECTOR_RSA_COLUMNS_MAX = 2 * HBK_VECTOR_RSA_DIGITS_MAX,
};

/*
 * A key in lane form: numbers in digits of 52 bits, least significant first. With d digits a number
 * has R = 2^(52 d).
 */
struct hbk_vector_rsa_modulus {
    uint64_t digits[HBK_VECTOR_RSA_DIGITS_MAX];
    uint64_t r_squared[HBK_VECTOR_RSA_DIGITS_MAX]; /* R^2 modulo the modulus */
    uint64_t inverse;                              /* -1 / modulus modulo 2^52 */
};

struct hbk_vector_rsa_prime {
    uint64_t digits[HBK_VECTOR_RSA_PRIME_DIGITS_MAX];
    uint64_t one[HBK_VECTOR_RSA_PRIME_DIGITS_MAX];         /* R modulo the prime */
    uint64_t r_cubed[HBK_VECTOR_RSA_PRIME_DIGITS_MAX];     /* R^3 modulo the prime */
    uint64_t exponent[HBK_VECTOR_RSA_PRIME_WORDS_MAX + 1]; /* 64-bit words, a zero at the end */
    uint64_t inverse;                                      /* -1 / prime modulo 2^52 */
};

struct hbk_vector_rsa_key {
    unsigned bits;    /* of the modulus: 2048, 3072 or 4096 */
    unsigned digits;  /* of the modulus: 40, 60 or 80; a prime has half as many */
    bool has_private; /* the rest is zero otherwise */
    struct hbk_vector_rsa_modulus n;
    struct hbk_vector_rsa_prime p, q;                    /* each exactly half of `bits` long */
    uint64_t q_inverse[HBK_VECTOR_RSA_PRIME_DIGITS_MAX]; /* R / q modulo p */
};

/* One digit of eight numbers. */
typedef uint64_t hbk_vector_word[HBK_VECTOR_RSA_LANES] __attribute__((aligned(64)));

/*
 * A batch under way. About 130 KiB: on the heap, aligned to 64 bytes. The fields are the kernel's
 * own, except `fault`.
 */
struct hbk_vector_rsa_batch {
    hbk_vector_word input[HBK_VECTOR_RSA_DIGITS_MAX];
    hbk_vector_word output[HBK_VECTOR_RSA_DIGITS_MAX];
    hbk_vector_word modulus[HBK_VECTOR_RSA_DIGITS_MAX]; /* n */
    hbk_vector_word r_squared[HBK_VECTOR_RSA_DIGITS_MAX];
    hbk_vector_word inverse; /* of the modulus in use */

    hbk_vector_word prime[2][HBK_VECTOR_RSA_PRIME_DIGITS_MAX]; /* q, then p */
    hbk_vector_word exponent[HBK_VECTOR_RSA_PRIME_WORDS_MAX + 1];
    hbk_vector_word residue[2][HBK_VECTOR_RSA_PRIME_DIGITS_MAX]; /* of the result modulo q and p */
    hbk_vector_word power[HBK_VECTOR_RSA_DIGITS_MAX];
    hbk_vector_word factor[HBK_VECTOR_RSA_DIGITS_MAX];
    hbk_vector_word table[HBK_VECTOR_RSA_TABLE_ENTRIES][HBK_VECTOR_RSA_PRIME_DIGITS_MAX];
    hbk_vector_word columns[HBK_VECTOR_RSA_COLUMNS_MAX];

    const struct hbk_vector_rsa_key *keys[HBK_VECTOR_RSA_LANES]; /* NULL is an empty lane */
    unsigned digits;                                             /* of n */
    unsigned prime_digits;                                       /* of p and q */
    unsigned window_bits;                                        /* of the exponents */
    unsigned half;         /* 0: works on q, 1: on p, 2: both are done */
    unsigned windows_left; /* of this half's exponent */

    /* For tests: after the powers, one bit of the result modulo p is flipped in these lanes. */
    uint8_t fault;
};

/*
 * Starts input^d for each lane. `keys` and what they point to stay until the batch is done; inputs
 * are big endian, as long as the modulus and less than it.
 */
void hbk_vector_rsa_begin(struct hbk_vector_rsa_batch *batch,
                          const struct hbk_vector_rsa_key *const keys[HBK_VECTOR_RSA_LANES],
                          const uint8_t *const inputs[HBK_VECTOR_RSA_LANES]);

/* Goes on for at most `windows` windows of an exponent; true when only the end is left. */
bool hbk_vector_rsa_step(struct hbk_vector_rsa_batch *batch, unsigned windows);

/*
 * Joins the halves, raises the results to 65537 and compares them with the inputs. Writes the
 * output of the lanes that agree, whose bits are set in the answer, and wipes the batch. The other
 * outputs must not be used and are not written.
 */
uint8_t hbk_vector_rsa_finish(struct hbk_vector_rsa_batch *batch,
                              uint8_t *const outputs[HBK_VECTOR_RSA_LANES]);

/* input^65537; shapes as above, in one go. */
void hbk_vector_rsa_public(struct hbk_vector_rsa_batch *batch,
                           const struct hbk_vector_rsa_key *const keys[HBK_VECTOR_RSA_LANES],
                           const uint8_t *const inputs[HBK_VECTOR_RSA_LANES],
                           uint8_t *const outputs[HBK_VECTOR_RSA_LANES]);
