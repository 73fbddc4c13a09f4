/*
 * Long numbers on eight lanes: digits of 52 bits (see five.h for the idea), as many as the modulus
 * needs, in memory, in blocks of ten. All work is done by three kernels over blocks whose sums live
 * in registers: twenty columns of sums, one digit of either factor, and a loop that is written out.
 *
 *              a block of 10 digits of a
 *            +---------------------------+
 *          b |  lo and hi of 100 digit   |    a digit product lo + 2^52 hi goes to the
 *            |  products                 |    columns i + j and i + j + 1
 *            +---------------------------+
 *              columns 0 ..           19
 *
 * A column sums the low and the high halves of at most d digit products of the factors and d of the
 * reduction, for numbers of d <= 80 digits: 4 * 80 * 2^52 < 2^61. Only at the end are the carries
 * passed on, because a factor must have tight digits (vpmadd52 drops what lies above 52 bits).
 */
#pragma once

#include "crypto/vector/five.h"

enum { BLOCK_DIGITS = 10 };

#define NOINLINE static __attribute__((noinline))

#define BLOCK_PAIR(j, i)                          \
    c[(j) + (i)] = lo(c[(j) + (i)], a[i], digit); \
    c[(j) + (i) + 1] = hi(c[(j) + (i) + 1], a[i], digit)

/* Digit j of b with all digits of a. */
#define BLOCK_ROW(j)                \
    do {                            \
        const __m512i digit = b[j]; \
        BLOCK_PAIR(j, 0);           \
        BLOCK_PAIR(j, 1);           \
        BLOCK_PAIR(j, 2);           \
        BLOCK_PAIR(j, 3);           \
        BLOCK_PAIR(j, 4);           \
        BLOCK_PAIR(j, 5);           \
        BLOCK_PAIR(j, 6);           \
        BLOCK_PAIR(j, 7);           \
        BLOCK_PAIR(j, 8);           \
        BLOCK_PAIR(j, 9);           \
    } while (0)

/* Written out, or the compiler would copy the columns through memory. */
#define BLOCK_COPY(to, from)   \
    do {                       \
        (to)[0] = (from)[0];   \
        (to)[1] = (from)[1];   \
        (to)[2] = (from)[2];   \
        (to)[3] = (from)[3];   \
        (to)[4] = (from)[4];   \
        (to)[5] = (from)[5];   \
        (to)[6] = (from)[6];   \
        (to)[7] = (from)[7];   \
        (to)[8] = (from)[8];   \
        (to)[9] = (from)[9];   \
        (to)[10] = (from)[10]; \
        (to)[11] = (from)[11]; \
        (to)[12] = (from)[12]; \
        (to)[13] = (from)[13]; \
        (to)[14] = (from)[14]; \
        (to)[15] = (from)[15]; \
        (to)[16] = (from)[16]; \
        (to)[17] = (from)[17]; \
        (to)[18] = (from)[18]; \
        (to)[19] = (from)[19]; \
    } while (0)

/* columns += a b. */
NOINLINE void block_multiply(__m512i *restrict columns, const __m512i *a, const __m512i *b)
{
    __m512i c[2 * BLOCK_DIGITS];

    BLOCK_COPY(c, columns);
    BLOCK_ROW(0);
    BLOCK_ROW(1);
    BLOCK_ROW(2);
    BLOCK_ROW(3);
    BLOCK_ROW(4);
    BLOCK_ROW(5);
    BLOCK_ROW(6);
    BLOCK_ROW(7);
    BLOCK_ROW(8);
    BLOCK_ROW(9);
    BLOCK_COPY(columns, c);
}

/* columns += the products of each digit with those above it: half of what a square has. */
NOINLINE void block_triangle(__m512i *restrict columns, const __m512i *a)
{
    __m512i c[2 * BLOCK_DIGITS];
    __m512i digit;

    BLOCK_COPY(c, columns);
    digit = a[0];
    BLOCK_PAIR(0, 1);
    BLOCK_PAIR(0, 2);
    BLOCK_PAIR(0, 3);
    BLOCK_PAIR(0, 4);
    BLOCK_PAIR(0, 5);
    BLOCK_PAIR(0, 6);
    BLOCK_PAIR(0, 7);
    BLOCK_PAIR(0, 8);
    BLOCK_PAIR(0, 9);
    digit = a[1];
    BLOCK_PAIR(1, 2);
    BLOCK_PAIR(1, 3);
    BLOCK_PAIR(1, 4);
    BLOCK_PAIR(1, 5);
    BLOCK_PAIR(1, 6);
    BLOCK_PAIR(1, 7);
    BLOCK_PAIR(1, 8);
    BLOCK_PAIR(1, 9);
    digit = a[2];
    BLOCK_PAIR(2, 3);
    BLOCK_PAIR(2, 4);
    BLOCK_PAIR(2, 5);
    BLOCK_PAIR(2, 6);
    BLOCK_PAIR(2, 7);
    BLOCK_PAIR(2, 8);
    BLOCK_PAIR(2, 9);
    digit = a[3];
    BLOCK_PAIR(3, 4);
    BLOCK_PAIR(3, 5);
    BLOCK_PAIR(3, 6);
    BLOCK_PAIR(3, 7);
    BLOCK_PAIR(3, 8);
    BLOCK_PAIR(3, 9);
    digit = a[4];
    BLOCK_PAIR(4, 5);
    BLOCK_PAIR(4, 6);
    BLOCK_PAIR(4, 7);
    BLOCK_PAIR(4, 8);
    BLOCK_PAIR(4, 9);
    digit = a[5];
    BLOCK_PAIR(5, 6);
    BLOCK_PAIR(5, 7);
    BLOCK_PAIR(5, 8);
    BLOCK_PAIR(5, 9);
    digit = a[6];
    BLOCK_PAIR(6, 7);
    BLOCK_PAIR(6, 8);
    BLOCK_PAIR(6, 9);
    digit = a[7];
    BLOCK_PAIR(7, 8);
    BLOCK_PAIR(7, 9);
    digit = a[8];
    BLOCK_PAIR(8, 9);
    BLOCK_COPY(columns, c);
}

/* Montgomery's step: the multiple of the modulus that clears the low 52 bits of column j. */
#define BLOCK_REDUCE_ROW(j)                                                 \
    do {                                                                    \
        const __m512i digit = lo(_mm512_setzero_si512(), c[j], inverse);    \
        m[j] = digit;                                                       \
        c[j] = lo(c[j], a[0], digit);                                       \
        c[(j) + 1] = hi(c[(j) + 1], a[0], digit);                           \
        c[(j) + 1] = plus(c[(j) + 1], _mm512_srli_epi64(c[j], DIGIT_BITS)); \
        BLOCK_PAIR(j, 1);                                                   \
        BLOCK_PAIR(j, 2);                                                   \
        BLOCK_PAIR(j, 3);                                                   \
        BLOCK_PAIR(j, 4);                                                   \
        BLOCK_PAIR(j, 5);                                                   \
        BLOCK_PAIR(j, 6);                                                   \
        BLOCK_PAIR(j, 7);                                                   \
        BLOCK_PAIR(j, 8);                                                   \
        BLOCK_PAIR(j, 9);                                                   \
    } while (0)

/*
 * Finds the ten factors m for the first ten columns, adds their products with the lowest block `a`
 * of the modulus, and passes the carry of the ten cleared columns to the eleventh.
 */
NOINLINE void block_reduce(__m512i *restrict columns, __m512i *restrict m, const __m512i *a,
                           __m512i inverse)
{
    __m512i c[2 * BLOCK_DIGITS];

    BLOCK_COPY(c, columns);
    BLOCK_REDUCE_ROW(0);
    BLOCK_REDUCE_ROW(1);
    BLOCK_REDUCE_ROW(2);
    BLOCK_REDUCE_ROW(3);
    BLOCK_REDUCE_ROW(4);
    BLOCK_REDUCE_ROW(5);
    BLOCK_REDUCE_ROW(6);
    BLOCK_REDUCE_ROW(7);
    BLOCK_REDUCE_ROW(8);
    BLOCK_REDUCE_ROW(9);
    BLOCK_COPY(columns, c);
}

/* The columns of a b, for numbers of `digits` tight digits; 2 `digits` columns. */
static inline void long_multiply(__m512i *columns, const __m512i *a, const __m512i *b,
                                 unsigned digits)
{
    for (unsigned i = 0; i < 2 * digits; i++) {
        columns[i] = _mm512_setzero_si512();
    }
    for (unsigned j = 0; j < digits; j += BLOCK_DIGITS) {
        for (unsigned i = 0; i < digits; i += BLOCK_DIGITS) {
            block_multiply(columns + i + j, a + i, b + j);
        }
    }
}

/* The columns of a^2: the mixed products once, doubled, and the squares of the digits. */
static inline void long_square(__m512i *columns, const __m512i *a, unsigned digits)
{
    for (unsigned i = 0; i < 2 * digits; i++) {
        columns[i] = _mm512_setzero_si512();
    }
    for (unsigned j = 0; j < digits; j += BLOCK_DIGITS) {
        block_triangle(columns + 2 * j, a + j);
        for (unsigned i = j + BLOCK_DIGITS; i < digits; i += BLOCK_DIGITS) {
            block_multiply(columns + i + j, a + i, a + j);
        }
    }
    for (unsigned i = 0; i < digits; i++) {
        columns[2 * i] = lo(plus(columns[2 * i], columns[2 * i]), a[i], a[i]);
        columns[2 * i + 1] = hi(plus(columns[2 * i + 1], columns[2 * i + 1]), a[i], a[i]);
    }
}

/* Makes loose, signed digits tight; the value is in [0, 2^(52 digits)). */
static inline void long_carry(__m512i *out, const __m512i *a, unsigned digits)
{
    const __m512i mask = word(DIGIT_MASK);
    __m512i carry = _mm512_setzero_si512();

    for (unsigned i = 0; i < digits; i++) {
        const __m512i sum = plus(a[i], carry);
        out[i] = _mm512_and_si512(sum, mask);
        carry = _mm512_srai_epi64(sum, DIGIT_BITS);
    }
}

/*
 * Montgomery's reduction: out = columns / R modulo the modulus, tight, for `digits` digits and
 * R = 2^(52 digits). The moduli here have at least 16 bits less than R, so
 *
 *   (1)  for factors below 2^7 modulus the result is below (2^14 / 2^16 + 1) modulus, and factors
 *        may go unreduced from one product to the next.
 */
static inline void long_reduce(__m512i *out, __m512i *columns, const __m512i *modulus,
                               __m512i inverse, unsigned digits)
{
    __m512i m[BLOCK_DIGITS];

    for (unsigned j = 0; j < digits; j += BLOCK_DIGITS) {
        block_reduce(columns + j, m, modulus, inverse);
        for (unsigned i = BLOCK_DIGITS; i < digits; i += BLOCK_DIGITS) {
            block_multiply(columns + j + i, modulus + i, m);
        }
    }
    long_carry(out, columns + digits, digits);
}

/* out = a - b where that is not negative, else a; all tight. `out` may be `a`. */
static inline void long_subtract_once(__m512i *out, const __m512i *a, const __m512i *b,
                                      __m512i *scratch, unsigned digits)
{
    const __m512i mask = word(DIGIT_MASK);
    __m512i carry = _mm512_setzero_si512();

    for (unsigned i = 0; i < digits; i++) {
        const __m512i difference = plus(minus(a[i], b[i]), carry);
        scratch[i] = _mm512_and_si512(difference, mask);
        carry = _mm512_srai_epi64(difference, DIGIT_BITS);
    }
    const __mmask8 is_negative = _mm512_movepi64_mask(carry);
    for (unsigned i = 0; i < digits; i++) {
        out[i] = _mm512_mask_mov_epi64(scratch[i], is_negative, a[i]);
    }
}
