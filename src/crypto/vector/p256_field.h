/*
 * Arithmetic modulo the prime of P-256 and modulo the order of its group, eight lanes at a time.
 *
 *     p = 2^256 - 2^224 + 2^192 + 2^96 - 1
 *     n = 0xffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551
 *
 * Numbers are in Montgomery form with R = 2^260: x stands for x R^-1. A product of a < A p and
 * b < B p comes out of Montgomery's reduction as (a b + m p) / R with m < R, and p < R / 16, hence
 *
 *   (1)  the product is below (A B / 16 + 1) p, and not negative.
 *
 * p is kind to radix 2^52: its lowest digit is 2^52 - 1, so -1/p is 1 modulo 2^52 and the factor m
 * of each reduction step is the lowest digit itself. With 2^96 = 2^(52+44), 2^192 = 2^(156+36) and
 * 2^256 - 2^224 = 2^208 (2^48 - 2^16), m (p + 1) is three products by constants.
 *
 * Sums and differences stay loose (five.h) as long as they can. Before the next product they become
 * tight in one of two ways:
 *
 *   (2)  five_carry, when the value is known to be in [0, 16 p);
 *   (3)  fp_reduce, for any value in (-1000 p, 1000 p) with |digits| < 2^61: the same residue comes
 *        out in (p - e, 2 p + e) with e = 2^-20 p. A multiple of p comes out as p or as 2 p.
 */
#pragma once

#include "crypto/vector/five.h"

static const uint64_t fp_prime[5] = {0xfffffffffffff, 0x00fffffffffff, 0x0000000000000,
                                     0x0001000000000, 0x0ffffffff0000};
static const uint64_t fp_r_squared[5] = {0x0000000000300, 0xffffffff00000, 0xffffefffffffb,
                                         0xfdfffffffffff, 0x0000004ffffff};
/* R modulo p, which stands for 1. */
static const uint64_t fp_one[5] = {0x0000000000010, 0xf000000000000, 0xfffffffffffff,
                                   0xffeffffffffff, 0x00000000fffff};

static const uint64_t fn_order[5] = {0x9cac2fc632551, 0xada7179e84f3b, 0xfffffffbce6fa,
                                     0x0000fffffffff, 0x0ffffffff0000};

/* -1/n modulo 2^52. */
#define FN_INVERSE INT64_C(0x1c8aaee00bc4f)

/* Adds the multiple of p that makes column `low` a multiple of 2^52, and carries it. */
#define FP_STEP(c, low, c1, c2, c3, c4, c5)                            \
    do {                                                               \
        (c).c1 = plus((c).c1, _mm512_srli_epi64((c).low, DIGIT_BITS)); \
        (c).c1 = lo((c).c1, (c).low, word(INT64_C(1) << 44));          \
        (c).c3 = lo((c).c3, (c).low, word(INT64_C(1) << 36));          \
        (c).c2 = hi((c).c2, (c).low, word(INT64_C(1) << 44));          \
        (c).c4 = hi((c).c4, (c).low, word(INT64_C(1) << 36));          \
        (c).c5 = hi((c).c5, (c).low, word(INT64_C(0x0ffffffff0000)));  \
        (c).c4 = lo((c).c4, (c).low, word(INT64_C(0x0ffffffff0000)));  \
    } while (0)

/* Columns to (columns + m p) / R, loose but not negative. */
ALWAYS_INLINE struct five fp_montgomery(struct ten c)
{
    FP_STEP(c, c0, c1, c2, c3, c4, c5);
    FP_STEP(c, c1, c2, c3, c4, c5, c6);
    FP_STEP(c, c2, c3, c4, c5, c6, c7);
    FP_STEP(c, c3, c4, c5, c6, c7, c8);
    FP_STEP(c, c4, c5, c6, c7, c8, c9);
    return (struct five){c.c5, c.c6, c.c7, c.c8, c.c9};
}

/* Products of tight numbers; loose, with the bound (1). */
ALWAYS_INLINE struct five fp_multiply(struct five a, struct five b)
{
    return fp_montgomery(five_multiply(a, b));
}

ALWAYS_INLINE struct five fp_square(struct five a)
{
    return fp_montgomery(five_square(a));
}

/* See (3). Subtracts q p, where q 2^256 is one less than what the highest digit holds of it. */
ALWAYS_INLINE struct five fp_reduce(struct five a)
{
    const __m512i q = minus(_mm512_srai_epi64(a.d4, 48), word(1));

    a.d4 = minus(a.d4, _mm512_slli_epi64(q, 48));
    a.d4 = plus(a.d4, _mm512_slli_epi64(q, 16));
    a.d3 = minus(a.d3, _mm512_slli_epi64(q, 36));
    a.d1 = minus(a.d1, _mm512_slli_epi64(q, 44));
    a.d0 = plus(a.d0, q);
    return five_carry(a);
}

/* The lanes whose number is a multiple of p; only for numbers that fp_reduce made. */
ALWAYS_INLINE __mmask8 fp_is_zero(struct five reduced)
{
    const struct five p = five_of(fp_prime);
    const struct five twice = five_carry(five_add(p, p));
    return (__mmask8)(five_equal(reduced, p) | five_equal(reduced, twice));
}

ALWAYS_INLINE struct five fp_to_montgomery(struct five a)
{
    return five_carry(fp_multiply(a, five_of(fp_r_squared)));
}

/* The least residue that a tight number stands for: a R^-1 mod p. */
ALWAYS_INLINE struct five fp_from_montgomery(struct five a)
{
    const struct ten c = five_as_columns(a);
    return five_subtract_once(five_carry(fp_montgomery(c)), five_of(fp_prime));
}

/* a^(2^times). */
static inline struct five fp_square_times(struct five a, unsigned times)
{
    for (unsigned i = 0; i < times; i++) {
        a = five_carry(fp_square(a));
    }
    return a;
}

/*
 * 1/a, and 0 for 0, as a^(p-2): 255 squarings and 13 products. The exponent in words of 32 bits is
 * ffffffff 00000001 00000000 00000000 00000000 ffffffff ffffffff fffffffd; xN is a^(2^N - 1).
 */
static struct five fp_invert(struct five a)
{
    struct five x2 = five_carry(fp_multiply(fp_square_times(a, 1), a));
    struct five x3 = five_carry(fp_multiply(fp_square_times(x2, 1), a));
    struct five x6 = five_carry(fp_multiply(fp_square_times(x3, 3), x3));
    struct five x12 = five_carry(fp_multiply(fp_square_times(x6, 6), x6));
    struct five x15 = five_carry(fp_multiply(fp_square_times(x12, 3), x3));
    struct five x30 = five_carry(fp_multiply(fp_square_times(x15, 15), x15));
    struct five x32 = five_carry(fp_multiply(fp_square_times(x30, 2), x2));

    struct five power = five_carry(fp_multiply(fp_square_times(x32, 32), a));
    power = five_carry(fp_multiply(fp_square_times(power, 128), x32));
    power = five_carry(fp_multiply(fp_square_times(power, 32), x32));
    power = five_carry(fp_multiply(fp_square_times(power, 30), x30));
    return five_carry(fp_multiply(fp_square_times(power, 2), a));
}

/* One step of Montgomery's reduction modulo n, whose digits have no pattern worth using. */
#define FN_STEP(c, low, c1, c2, c3, c4, c5)                                       \
    do {                                                                          \
        const __m512i m_ = lo(_mm512_setzero_si512(), (c).low, word(FN_INVERSE)); \
        (c).low = lo((c).low, m_, n.d0);                                          \
        (c).c1 = lo((c).c1, m_, n.d1);                                            \
        (c).c2 = lo((c).c2, m_, n.d2);                                            \
        (c).c3 = lo((c).c3, m_, n.d3);                                            \
        (c).c4 = lo((c).c4, m_, n.d4);                                            \
        (c).c1 = plus((c).c1, _mm512_srli_epi64((c).low, DIGIT_BITS));            \
        (c).c1 = hi((c).c1, m_, n.d0);                                            \
        (c).c2 = hi((c).c2, m_, n.d1);                                            \
        (c).c3 = hi((c).c3, m_, n.d2);                                            \
        (c).c4 = hi((c).c4, m_, n.d3);                                            \
        (c).c5 = hi((c).c5, m_, n.d4);                                            \
    } while (0)

/* Tight; the bound is (1) with n for p. */
ALWAYS_INLINE struct five fn_montgomery(struct ten c)
{
    const struct five n = five_of(fn_order);

    FN_STEP(c, c0, c1, c2, c3, c4, c5);
    FN_STEP(c, c1, c2, c3, c4, c5, c6);
    FN_STEP(c, c2, c3, c4, c5, c6, c7);
    FN_STEP(c, c3, c4, c5, c6, c7, c8);
    FN_STEP(c, c4, c5, c6, c7, c8, c9);
    return five_carry((struct five){c.c5, c.c6, c.c7, c.c8, c.c9});
}

ALWAYS_INLINE struct five fn_multiply(struct five a, struct five b)
{
    return fn_montgomery(five_multiply(a, b));
}

ALWAYS_INLINE struct five fn_square(struct five a)
{
    return fn_montgomery(five_square(a));
}

static const uint64_t fn_r_squared[5] = {0x5cc0dea6dc3ba, 0x192a067d8a084, 0xbec59615571bb,
                                         0x1fc245b2392b6, 0x0e12d9559d956};

ALWAYS_INLINE struct five fn_to_montgomery(struct five a)
{
    return fn_multiply(a, five_of(fn_r_squared));
}

ALWAYS_INLINE struct five fn_from_montgomery(struct five a)
{
    const struct ten c = five_as_columns(a);
    return five_subtract_once(fn_montgomery(c), five_of(fn_order));
}

/*
 * 1/a, and 0 for 0, as a^(n-2), in windows of four bits of the (public) exponent.
 */
static struct five fn_invert(struct five a)
{
    static const uint8_t exponent[32] = {
        0xff, 0xff, 0xff, 0xff, 0x00, 0x00, 0x00, 0x00, 0xff, 0xff, 0xff,
        0xff, 0xff, 0xff, 0xff, 0xff, 0xbc, 0xe6, 0xfa, 0xad, 0xa7, 0x17,
        0x9e, 0x84, 0xf3, 0xb9, 0xca, 0xc2, 0xfc, 0x63, 0x25, 0x4f,
    };
    struct five powers[16]; /* powers[i] is a^i; 0 is not used */

    powers[1] = a;
    for (int i = 2; i < 16; i++) {
        powers[i] = fn_multiply(powers[i - 1], a);
    }
    struct five result = powers[15];
    for (int i = 1; i < 64; i++) {
        const unsigned byte = exponent[i / 2];
        const unsigned window = byte >> (i % 2 == 0 ? 4 : 0) & 15U;
        for (int j = 0; j < 4; j++) {
            result = fn_square(result);
        }
        if (window != 0) {
            result = fn_multiply(result, powers[window]);
        }
    }
    return result;
}
