/*
 * Arithmetic modulo p = 2^255 - 19, eight lanes at a time. Since 2^260 = 32 * 19 = 608 modulo p,
 * the upper half of a product joins the lower half times 608, and the bits of a number from 2^255
 * on join its lowest digit times 19.
 *
 *   (1)  A reduced number is tight (five.h) with d4 < 2^47 + 2^6: it is below 2^255 + 2^214. Only
 *        reduced numbers and factors (3) are multiplied.
 *   (2)  A product is loose with digits in [0, 12 * 2^52), and d4 < 2^54 because its value is below
 *        2^262.
 *   (3)  A factor is a reduced number but for the bits from 52 on of d0 to d3, which vpmadd52
 *        ignores: it can be multiplied and nothing else. Leaving them there spares four
 *        instructions.
 *   (4)  A biased product is one with fx_bias, a multiple of p, added: its digits are in
 *        [12 * 2^52, 2^57) and d4 < 2^56 + 2^54. A product can be subtracted from it without a
 *        borrow. The bias costs nothing, since the sums of a product have to start somewhere.
 *   (5)  fx_reduce and fx_factor take digits in [0, 2^58) with d4 < 2^57. No digit may be negative:
 *        a borrow out of the lowest digits could make the highest one -1.
 */
#pragma once

#include "crypto/vector/five.h"

static const uint64_t fx_prime[5] = {0xfffffffffffed, 0xfffffffffffff, 0xfffffffffffff,
                                     0xfffffffffffff, 0x07fffffffffff};

/* 2^9 p, its digits shifted around so that each exceeds any digit of a product: see (2). */
static const uint64_t fx_bias[5] = {
    (UINT64_C(1) << 56) - 19 * 512, (UINT64_C(1) << 56) - 16, (UINT64_C(1) << 56) - 16,
    (UINT64_C(1) << 56) - 16,       (UINT64_C(1) << 56) - 16,
};
/* The same as five_square_onto wants it. */
static const uint64_t fx_square_bias[5] = {
    (UINT64_C(1) << 56) - 19 * 512, (UINT64_C(1) << 55) - 8, (UINT64_C(1) << 55) - 8,
    (UINT64_C(1) << 55) - 8,        (UINT64_C(1) << 55) - 8,
};

/*
 * Columns to a number, see (2). The columns from c5 on pass on what exceeds 52 bits, because only
 * 52 bits take part in a product. c9 < 2^42 + 2^5 by (1), so 608 c9 fits one digit.
 */
ALWAYS_INLINE struct five fx_fold(struct ten c)
{
    const __m512i factor = word(608);

    c.c6 = plus(c.c6, _mm512_srli_epi64(c.c5, DIGIT_BITS));
    c.c0 = lo(c.c0, c.c5, factor);
    c.c1 = hi(c.c1, c.c5, factor);
    c.c7 = plus(c.c7, _mm512_srli_epi64(c.c6, DIGIT_BITS));
    c.c1 = lo(c.c1, c.c6, factor);
    c.c2 = hi(c.c2, c.c6, factor);
    c.c8 = plus(c.c8, _mm512_srli_epi64(c.c7, DIGIT_BITS));
    c.c2 = lo(c.c2, c.c7, factor);
    c.c3 = hi(c.c3, c.c7, factor);
    c.c9 = plus(c.c9, _mm512_srli_epi64(c.c8, DIGIT_BITS));
    c.c3 = lo(c.c3, c.c8, factor);
    c.c4 = hi(c.c4, c.c8, factor);
    c.c4 = lo(c.c4, c.c9, factor);
    return (struct five){c.c0, c.c1, c.c2, c.c3, c.c4};
}

ALWAYS_INLINE struct five fx_multiply(struct five a, struct five b)
{
    return fx_fold(five_multiply(a, b));
}

ALWAYS_INLINE struct five fx_square(struct five a)
{
    return fx_fold(five_square(a));
}

/* See (4). */
ALWAYS_INLINE struct five fx_multiply_biased(struct five a, struct five b)
{
    return fx_fold(five_multiply_onto(five_of(fx_bias), a, b));
}

ALWAYS_INLINE struct five fx_square_biased(struct five a)
{
    return fx_fold(five_square_onto(five_of(fx_square_bias), a));
}

/* The bits from 2^255 on join the lowest digit. */
ALWAYS_INLINE struct five fx_wrap(struct five a)
{
    const __m512i above = _mm512_srli_epi64(a.d4, 47);

    a.d4 = _mm512_and_si512(a.d4, word((INT64_C(1) << 47) - 1));
    a.d0 = lo(a.d0, above, word(19));
    return a;
}

/* See (5). */
ALWAYS_INLINE struct five fx_reduce(struct five a)
{
    return five_carry(fx_wrap(a));
}

/* See (3) and (5). */
ALWAYS_INLINE struct five fx_factor(struct five a)
{
    a = fx_wrap(a);
    a.d1 = plus(a.d1, _mm512_srai_epi64(a.d0, DIGIT_BITS));
    a.d2 = plus(a.d2, _mm512_srai_epi64(a.d1, DIGIT_BITS));
    a.d3 = plus(a.d3, _mm512_srai_epi64(a.d2, DIGIT_BITS));
    a.d4 = plus(a.d4, _mm512_srai_epi64(a.d3, DIGIT_BITS));
    return a;
}

/* a - b of reduced numbers or products, as fx_reduce and fx_factor take it. */
ALWAYS_INLINE struct five fx_difference(struct five a, struct five b)
{
    return five_subtract(five_add(a, five_of(fx_bias)), b);
}

/* a + b and a - b of reduced numbers or products; reduced. */
ALWAYS_INLINE struct five fx_add(struct five a, struct five b)
{
    return fx_reduce(five_add(a, b));
}

ALWAYS_INLINE struct five fx_subtract(struct five a, struct five b)
{
    return fx_reduce(fx_difference(a, b));
}

/* a + 121665 b (RFC 7748, 5: a24) for a factor b and a product, biased or not; a factor. */
ALWAYS_INLINE struct five fx_add_a24(struct five a, struct five b)
{
    const __m512i a24 = word(121665);
    const __m512i above = hi(_mm512_setzero_si512(), b.d4, a24);

    a.d0 = lo(a.d0, b.d0, a24);
    a.d1 = lo(a.d1, b.d1, a24);
    a.d2 = lo(a.d2, b.d2, a24);
    a.d3 = lo(a.d3, b.d3, a24);
    a.d4 = lo(a.d4, b.d4, a24);
    a.d0 = lo(a.d0, above, word(608));
    a.d1 = hi(a.d1, b.d0, a24);
    a.d2 = hi(a.d2, b.d1, a24);
    a.d3 = hi(a.d3, b.d2, a24);
    a.d4 = hi(a.d4, b.d3, a24);
    return fx_factor(a);
}

static inline struct five fx_square_times(struct five a, unsigned times)
{
    for (unsigned i = 0; i < times; i++) {
        a = fx_reduce(fx_square(a));
    }
    return a;
}

/* The reduced product of a^(2^times) and b. */
static inline struct five fx_power_step(struct five a, unsigned times, struct five b)
{
    return fx_reduce(fx_multiply(fx_square_times(a, times), b));
}

/* 1/a, and 0 for 0, as a^(2^255 - 21): 254 squarings, 11 products. xN is a^(2^N - 1). */
static struct five fx_invert(struct five a)
{
    const struct five two = fx_square_times(a, 1);
    const struct five nine = fx_power_step(two, 2, a);
    const struct five eleven = fx_reduce(fx_multiply(nine, two));
    const struct five x5 = fx_power_step(eleven, 1, nine);
    const struct five x10 = fx_power_step(x5, 5, x5);
    const struct five x20 = fx_power_step(x10, 10, x10);
    const struct five x40 = fx_power_step(x20, 20, x20);
    const struct five x50 = fx_power_step(x40, 10, x10);
    const struct five x100 = fx_power_step(x50, 50, x50);
    const struct five x200 = fx_power_step(x100, 100, x100);
    const struct five x250 = fx_power_step(x200, 50, x50);

    return fx_power_step(x250, 5, eleven);
}

/* The least residue of a reduced number, which is below 2 p by (1). */
ALWAYS_INLINE struct five fx_canonical(struct five a)
{
    return five_subtract_once(a, five_of(fx_prime));
}
