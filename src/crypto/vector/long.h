/*
 * Long numbers on eight lanes: digits of 52 bits (see five.h for the idea), as many as the modulus
 * needs, in memory. A product is made row by row: ten digits of one factor stay in registers while
 * the digits of the other pass by.
 *
 *       a0   a1   a2   ...            each ai meets the ten b; lo and hi of a product go to the
 *     +----+----+----+                columns i + j and i + j + 1
 *     | b0 | b0 | b0 |
 *     | b1 | b1 | b1 | ...            ten columns are in registers: when ai has passed, column i is
 *     | .. | .. | .. |                complete and leaves for memory, and column i + 10 takes its
 *     | b9 | b9 | b9 |                register
 *     +----+----+----+
 *
 * So twenty multiply-adds cost one digit loaded, one column loaded and one stored. The same loop
 * serves Montgomery's reduction, where the ten digits are the factors of the modulus.
 *
 * A column sums the low and the high halves of at most d digit products of the factors and d of the
 * reduction, for numbers of d <= 80 digits: 4 * 80 * 2^52 < 2^61. Only at the end are the carries
 * passed on, because a factor must have tight digits (vpmadd52 drops what lies above 52 bits).
 */
#pragma once

#include <stdbool.h>

#include "crypto/vector/five.h"

enum { ROW_DIGITS = 10 };

#define NOINLINE static __attribute__((noinline))

/*
 * Digit k of the current ten of a. x0 .. x9 are the columns from k on; x0 leaves, and starts again
 * as the column ten further on.
 */
#define ROW_STEP(is_fresh, k, x0, x1, x2, x3, x4, x5, x6, x7, x8, x9)     \
    do {                                                                  \
        const __m512i digit = a[k];                                       \
        x0 = lo(x0, digit, b0);                                           \
        x1 = lo(x1, digit, b1);                                           \
        x2 = lo(x2, digit, b2);                                           \
        x3 = lo(x3, digit, b3);                                           \
        x4 = lo(x4, digit, b4);                                           \
        x5 = lo(x5, digit, b5);                                           \
        x6 = lo(x6, digit, b6);                                           \
        x7 = lo(x7, digit, b7);                                           \
        x8 = lo(x8, digit, b8);                                           \
        x9 = lo(x9, digit, b9);                                           \
        columns[k] = x0;                                                  \
        x0 = is_fresh ? _mm512_setzero_si512() : columns[ROW_DIGITS + k]; \
        x1 = hi(x1, digit, b0);                                           \
        x2 = hi(x2, digit, b1);                                           \
        x3 = hi(x3, digit, b2);                                           \
        x4 = hi(x4, digit, b3);                                           \
        x5 = hi(x5, digit, b4);                                           \
        x6 = hi(x6, digit, b5);                                           \
        x7 = hi(x7, digit, b6);                                           \
        x8 = hi(x8, digit, b7);                                           \
        x9 = hi(x9, digit, b8);                                           \
        x0 = hi(x0, digit, b9);                                           \
    } while (0)

/* The ten columns in registers, and the ten digits that stay. */
#define ROW_TEN(x) x##0, x##1, x##2, x##3, x##4, x##5, x##6, x##7, x##8, x##9

#define ROW_LOAD(x, from) \
    do {                  \
        x##0 = (from)[0]; \
        x##1 = (from)[1]; \
        x##2 = (from)[2]; \
        x##3 = (from)[3]; \
        x##4 = (from)[4]; \
        x##5 = (from)[5]; \
        x##6 = (from)[6]; \
        x##7 = (from)[7]; \
        x##8 = (from)[8]; \
        x##9 = (from)[9]; \
    } while (0)

#define ROW_STORE(to, x) \
    do {                 \
        (to)[0] = x##0;  \
        (to)[1] = x##1;  \
        (to)[2] = x##2;  \
        (to)[3] = x##3;  \
        (to)[4] = x##4;  \
        (to)[5] = x##5;  \
        (to)[6] = x##6;  \
        (to)[7] = x##7;  \
        (to)[8] = x##8;  \
        (to)[9] = x##9;  \
    } while (0)

#define ROW_ZERO(x)                    \
    do {                               \
        x##0 = _mm512_setzero_si512(); \
        x##1 = _mm512_setzero_si512(); \
        x##2 = _mm512_setzero_si512(); \
        x##3 = _mm512_setzero_si512(); \
        x##4 = _mm512_setzero_si512(); \
        x##5 = _mm512_setzero_si512(); \
        x##6 = _mm512_setzero_si512(); \
        x##7 = _mm512_setzero_si512(); \
        x##8 = _mm512_setzero_si512(); \
        x##9 = _mm512_setzero_si512(); \
    } while (0)

/* Nothing is done between two steps, unless a pass says otherwise. */
#define ROW_IDLE(k) ((void)0)

/* Ten steps of the drawing, from wherever c0 .. c9 stand; moves `columns` and `a` along. */
#define ROW_BLOCK(is_fresh, BETWEEN)                                   \
    do {                                                               \
        ROW_STEP(is_fresh, 0, c0, c1, c2, c3, c4, c5, c6, c7, c8, c9); \
        BETWEEN(0);                                                    \
        ROW_STEP(is_fresh, 1, c1, c2, c3, c4, c5, c6, c7, c8, c9, c0); \
        BETWEEN(1);                                                    \
        ROW_STEP(is_fresh, 2, c2, c3, c4, c5, c6, c7, c8, c9, c0, c1); \
        BETWEEN(2);                                                    \
        ROW_STEP(is_fresh, 3, c3, c4, c5, c6, c7, c8, c9, c0, c1, c2); \
        BETWEEN(3);                                                    \
        ROW_STEP(is_fresh, 4, c4, c5, c6, c7, c8, c9, c0, c1, c2, c3); \
        BETWEEN(4);                                                    \
        ROW_STEP(is_fresh, 5, c5, c6, c7, c8, c9, c0, c1, c2, c3, c4); \
        BETWEEN(5);                                                    \
        ROW_STEP(is_fresh, 6, c6, c7, c8, c9, c0, c1, c2, c3, c4, c5); \
        BETWEEN(6);                                                    \
        ROW_STEP(is_fresh, 7, c7, c8, c9, c0, c1, c2, c3, c4, c5, c6); \
        BETWEEN(7);                                                    \
        ROW_STEP(is_fresh, 8, c8, c9, c0, c1, c2, c3, c4, c5, c6, c7); \
        BETWEEN(8);                                                    \
        ROW_STEP(is_fresh, 9, c9, c0, c1, c2, c3, c4, c5, c6, c7, c8); \
        BETWEEN(9);                                                    \
        columns += ROW_DIGITS;                                         \
        a += ROW_DIGITS;                                               \
    } while (0)

#define ROW_PASS(digits, is_fresh)                               \
    do {                                                         \
        for (unsigned i_ = 0; i_ < (digits); i_ += ROW_DIGITS) { \
            ROW_BLOCK(is_fresh, ROW_IDLE);                       \
        }                                                        \
    } while (0)

/*
 * columns += a b, for `digits` digits of a and ten of b; digits + 10 columns. A fresh row takes the
 * columns for zero, whatever is there.
 */
ALWAYS_INLINE void row_multiply(__m512i *restrict columns, const __m512i *a, unsigned digits,
                                const __m512i *b, bool is_fresh)
{
    __m512i ROW_TEN(b), ROW_TEN(c);

    ROW_LOAD(b, b);
    if (is_fresh) {
        ROW_ZERO(c);
    } else {
        ROW_LOAD(c, columns);
        ROW_PASS(digits - ROW_DIGITS, false);
        digits = ROW_DIGITS;
    }
    ROW_PASS(digits, true);
    ROW_STORE(columns, c);
}

NOINLINE void row_multiply_fresh(__m512i *columns, const __m512i *a, unsigned digits,
                                 const __m512i *b)
{
    row_multiply(columns, a, digits, b, true);
}

NOINLINE void row_multiply_more(__m512i *columns, const __m512i *a, unsigned digits,
                                const __m512i *b)
{
    row_multiply(columns, a, digits, b, false);
}

/* The products of ten digits with each other, each pair once: into columns 1 to 18 of c and d. */
#define ROW_TRIANGLE()       \
    do {                     \
        c1 = lo(c1, b0, b1); \
        c2 = lo(c2, b0, b2); \
        c3 = lo(c3, b0, b3); \
        c4 = lo(c4, b0, b4); \
        c5 = lo(c5, b0, b5); \
        c6 = lo(c6, b0, b6); \
        c7 = lo(c7, b0, b7); \
        c8 = lo(c8, b0, b8); \
        c9 = lo(c9, b0, b9); \
        c2 = hi(c2, b0, b1); \
        c3 = hi(c3, b0, b2); \
        c4 = hi(c4, b0, b3); \
        c5 = hi(c5, b0, b4); \
        c6 = hi(c6, b0, b5); \
        c7 = hi(c7, b0, b6); \
        c8 = hi(c8, b0, b7); \
        c9 = hi(c9, b0, b8); \
        d0 = hi(d0, b0, b9); \
        c3 = lo(c3, b1, b2); \
        c4 = lo(c4, b1, b3); \
        c5 = lo(c5, b1, b4); \
        c6 = lo(c6, b1, b5); \
        c7 = lo(c7, b1, b6); \
        c8 = lo(c8, b1, b7); \
        c9 = lo(c9, b1, b8); \
        d0 = lo(d0, b1, b9); \
        c4 = hi(c4, b1, b2); \
        c5 = hi(c5, b1, b3); \
        c6 = hi(c6, b1, b4); \
        c7 = hi(c7, b1, b5); \
        c8 = hi(c8, b1, b6); \
        c9 = hi(c9, b1, b7); \
        d0 = hi(d0, b1, b8); \
        d1 = hi(d1, b1, b9); \
        c5 = lo(c5, b2, b3); \
        c6 = lo(c6, b2, b4); \
        c7 = lo(c7, b2, b5); \
        c8 = lo(c8, b2, b6); \
        c9 = lo(c9, b2, b7); \
        d0 = lo(d0, b2, b8); \
        d1 = lo(d1, b2, b9); \
        c6 = hi(c6, b2, b3); \
        c7 = hi(c7, b2, b4); \
        c8 = hi(c8, b2, b5); \
        c9 = hi(c9, b2, b6); \
        d0 = hi(d0, b2, b7); \
        d1 = hi(d1, b2, b8); \
        d2 = hi(d2, b2, b9); \
        c7 = lo(c7, b3, b4); \
        c8 = lo(c8, b3, b5); \
        c9 = lo(c9, b3, b6); \
        d0 = lo(d0, b3, b7); \
        d1 = lo(d1, b3, b8); \
        d2 = lo(d2, b3, b9); \
        c8 = hi(c8, b3, b4); \
        c9 = hi(c9, b3, b5); \
        d0 = hi(d0, b3, b6); \
        d1 = hi(d1, b3, b7); \
        d2 = hi(d2, b3, b8); \
        d3 = hi(d3, b3, b9); \
        c9 = lo(c9, b4, b5); \
        d0 = lo(d0, b4, b6); \
        d1 = lo(d1, b4, b7); \
        d2 = lo(d2, b4, b8); \
        d3 = lo(d3, b4, b9); \
        d0 = hi(d0, b4, b5); \
        d1 = hi(d1, b4, b6); \
        d2 = hi(d2, b4, b7); \
        d3 = hi(d3, b4, b8); \
        d4 = hi(d4, b4, b9); \
        d1 = lo(d1, b5, b6); \
        d2 = lo(d2, b5, b7); \
        d3 = lo(d3, b5, b8); \
        d4 = lo(d4, b5, b9); \
        d2 = hi(d2, b5, b6); \
        d3 = hi(d3, b5, b7); \
        d4 = hi(d4, b5, b8); \
        d5 = hi(d5, b5, b9); \
        d3 = lo(d3, b6, b7); \
        d4 = lo(d4, b6, b8); \
        d5 = lo(d5, b6, b9); \
        d4 = hi(d4, b6, b7); \
        d5 = hi(d5, b6, b8); \
        d6 = hi(d6, b6, b9); \
        d5 = lo(d5, b7, b8); \
        d6 = lo(d6, b7, b9); \
        d6 = hi(d6, b7, b8); \
        d7 = hi(d7, b7, b9); \
        d7 = lo(d7, b8, b9); \
        d8 = hi(d8, b8, b9); \
    } while (0)

/*
 * columns += the products of the first ten digits of a with each other and with the digits above
 * them, each pair once; `digits` + 10 columns.
 */
ALWAYS_INLINE void row_square(__m512i *restrict columns, const __m512i *a, unsigned digits,
                              bool is_fresh)
{
    __m512i ROW_TEN(b), ROW_TEN(c), ROW_TEN(d);

    ROW_LOAD(b, a);
    if (is_fresh) {
        ROW_ZERO(c);
        ROW_ZERO(d);
    } else {
        ROW_LOAD(c, columns);
        if (digits > ROW_DIGITS) {
            ROW_LOAD(d, columns + ROW_DIGITS);
        } else {
            ROW_ZERO(d);
        }
    }
    ROW_TRIANGLE();
    ROW_STORE(columns, c);
    columns += ROW_DIGITS;
    a += ROW_DIGITS;
    c0 = d0;
    c1 = d1;
    c2 = d2;
    c3 = d3;
    c4 = d4;
    c5 = d5;
    c6 = d6;
    c7 = d7;
    c8 = d8;
    c9 = d9;
    digits -= ROW_DIGITS;
    if (!is_fresh && digits > 0) {
        ROW_PASS(digits - ROW_DIGITS, false);
        digits = ROW_DIGITS;
    }
    ROW_PASS(digits, true);
    ROW_STORE(columns, c);
}

NOINLINE void row_square_fresh(__m512i *columns, const __m512i *a, unsigned digits)
{
    row_square(columns, a, digits, true);
}

NOINLINE void row_square_more(__m512i *columns, const __m512i *a, unsigned digits)
{
    row_square(columns, a, digits, false);
}

/* Montgomery's step: the multiple of the modulus that clears the low 52 bits of column x0. The
 * factor takes the place of the column. */
#define ROW_REDUCE_STEP(m, x0, x1, x2, x3, x4, x5, x6, x7, x8, x9, x10) \
    do {                                                                \
        m = lo(_mm512_setzero_si512(), x0, inverse);                    \
        x0 = lo(x0, m, a[0]);                                           \
        x1 = lo(x1, m, a[1]);                                           \
        x1 = hi(x1, m, a[0]);                                           \
        x1 = plus(x1, _mm512_srli_epi64(x0, DIGIT_BITS));               \
        x2 = lo(x2, m, a[2]);                                           \
        x3 = lo(x3, m, a[3]);                                           \
        x4 = lo(x4, m, a[4]);                                           \
        x5 = lo(x5, m, a[5]);                                           \
        x6 = lo(x6, m, a[6]);                                           \
        x7 = lo(x7, m, a[7]);                                           \
        x8 = lo(x8, m, a[8]);                                           \
        x9 = lo(x9, m, a[9]);                                           \
        x2 = hi(x2, m, a[1]);                                           \
        x3 = hi(x3, m, a[2]);                                           \
        x4 = hi(x4, m, a[3]);                                           \
        x5 = hi(x5, m, a[4]);                                           \
        x6 = hi(x6, m, a[5]);                                           \
        x7 = hi(x7, m, a[6]);                                           \
        x8 = hi(x8, m, a[7]);                                           \
        x9 = hi(x9, m, a[8]);                                           \
        x10 = hi(x10, m, a[9]);                                         \
    } while (0)

enum {
    PICK_STRIDE = 40, /* digits from one entry of a table to the next */
    PICK_BITS_MAX = 5,
};

/*
 * A table of 16 or 32 numbers, of which each lane wants one. The number is fetched while another
 * one is reduced, because multiply-adds leave the load units idle. Every entry is read; a digit of
 * the one that is wanted is found by as many selections as the index has bits. A table of 32 is
 * fetched in two halves.
 */
struct row_pick {
    const __m512i *from; /* digit 0 of entry 0 */
    __m512i *to;
    __m512i bits[PICK_BITS_MAX]; /* of the index, least significant first, each filling its word */
    unsigned digits;             /* of a number */
    unsigned next, count;        /* digits fetched so far, and to be fetched, of all halves */
};

/* clang's memory sanitizer does not know the instruction, and what it stands for it knows well. */
#if defined(__has_feature)
#if __has_feature(memory_sanitizer)
#define SELECT_IN_STEPS
#endif
#endif

ALWAYS_INLINE __m512i select_by(__m512i bit, __m512i if_zero, __m512i if_one)
{
#ifdef SELECT_IN_STEPS
    return _mm512_or_si512(_mm512_and_si512(bit, if_one), _mm512_andnot_si512(bit, if_zero));
#else
    return _mm512_ternarylogic_epi64(bit, if_one, if_zero, 0xca);
#endif
}

/* Digit k of the current ten, out of the sixteen entries of the current half. */
#define ROW_PICK(k)                                                                              \
    do {                                                                                         \
        const __m512i *e_ = from + (k);                                                          \
        __m512i s0_ = select_by(bit0, e_[0], e_[PICK_STRIDE]);                                   \
        s0_ = select_by(bit1, s0_, select_by(bit0, e_[2 * PICK_STRIDE], e_[3 * PICK_STRIDE]));   \
        __m512i s1_ = select_by(bit0, e_[4 * PICK_STRIDE], e_[5 * PICK_STRIDE]);                 \
        s1_ = select_by(bit1, s1_, select_by(bit0, e_[6 * PICK_STRIDE], e_[7 * PICK_STRIDE]));   \
        s0_ = select_by(bit2, s0_, s1_);                                                         \
        s1_ = select_by(bit0, e_[8 * PICK_STRIDE], e_[9 * PICK_STRIDE]);                         \
        s1_ = select_by(bit1, s1_, select_by(bit0, e_[10 * PICK_STRIDE], e_[11 * PICK_STRIDE])); \
        __m512i s2_ = select_by(bit0, e_[12 * PICK_STRIDE], e_[13 * PICK_STRIDE]);               \
        s2_ = select_by(bit1, s2_, select_by(bit0, e_[14 * PICK_STRIDE], e_[15 * PICK_STRIDE])); \
        s1_ = select_by(bit2, s1_, s2_);                                                         \
        to[k] = select_by(is_taken, to[k], select_by(bit3, s0_, s1_));                           \
    } while (0)

/*
 * Clears ten columns: finds the ten factors, adds their products with the modulus, and passes the
 * carry on. The ten columns themselves are not written. `digits` + 10 columns. `pick`, if there is
 * one, goes on by as many digits as there are steps.
 */
ALWAYS_INLINE void row_reduce_and(__m512i *restrict columns, const __m512i *a, unsigned digits,
                                  __m512i inverse, struct row_pick *pick)
{
    __m512i ROW_TEN(b), ROW_TEN(c), ROW_TEN(d);

    ROW_LOAD(c, columns);
    ROW_LOAD(d, columns + ROW_DIGITS);
    ROW_REDUCE_STEP(b0, c0, c1, c2, c3, c4, c5, c6, c7, c8, c9, d0);
    ROW_REDUCE_STEP(b1, c1, c2, c3, c4, c5, c6, c7, c8, c9, d0, d1);
    ROW_REDUCE_STEP(b2, c2, c3, c4, c5, c6, c7, c8, c9, d0, d1, d2);
    ROW_REDUCE_STEP(b3, c3, c4, c5, c6, c7, c8, c9, d0, d1, d2, d3);
    ROW_REDUCE_STEP(b4, c4, c5, c6, c7, c8, c9, d0, d1, d2, d3, d4);
    ROW_REDUCE_STEP(b5, c5, c6, c7, c8, c9, d0, d1, d2, d3, d4, d5);
    ROW_REDUCE_STEP(b6, c6, c7, c8, c9, d0, d1, d2, d3, d4, d5, d6);
    ROW_REDUCE_STEP(b7, c7, c8, c9, d0, d1, d2, d3, d4, d5, d6, d7);
    ROW_REDUCE_STEP(b8, c8, c9, d0, d1, d2, d3, d4, d5, d6, d7, d8);
    ROW_REDUCE_STEP(b9, c9, d0, d1, d2, d3, d4, d5, d6, d7, d8, d9);
    columns += ROW_DIGITS;
    a += ROW_DIGITS;
    digits -= ROW_DIGITS;
    c0 = d0;
    c1 = d1;
    c2 = d2;
    c3 = d3;
    c4 = d4;
    c5 = d5;
    c6 = d6;
    c7 = d7;
    c8 = d8;
    c9 = d9;
    if (pick != NULL) {
        const __m512i bit0 = pick->bits[0], bit1 = pick->bits[1], bit2 = pick->bits[2];
        const __m512i bit3 = pick->bits[3];
        for (; digits > 0 && pick->next < pick->count; digits -= ROW_DIGITS) {
            const bool is_second = pick->next >= pick->digits;
            const unsigned first = is_second ? pick->next - pick->digits : pick->next;
            const __m512i *from = pick->from + first + (is_second ? 16 * PICK_STRIDE : 0);
            const __m512i is_taken = is_second ? pick->bits[4] : word(-1);
            __m512i *to = pick->to + first;
            ROW_BLOCK(false, ROW_PICK);
            pick->next += ROW_DIGITS;
        }
    }
    ROW_PASS(digits, false);
    ROW_STORE(columns, c);
}

NOINLINE void row_reduce(__m512i *columns, const __m512i *a, unsigned digits, __m512i inverse)
{
    row_reduce_and(columns, a, digits, inverse, NULL);
}

NOINLINE void row_reduce_picking(__m512i *columns, const __m512i *a, unsigned digits,
                                 __m512i inverse, struct row_pick *pick)
{
    row_reduce_and(columns, a, digits, inverse, pick);
}

/* The columns of a b, for numbers of `digits` tight digits; 2 `digits` columns. */
static inline void long_multiply(__m512i *columns, const __m512i *a, const __m512i *b,
                                 unsigned digits)
{
    row_multiply_fresh(columns, a, digits, b);
    for (unsigned j = ROW_DIGITS; j < digits; j += ROW_DIGITS) {
        row_multiply_more(columns + j, a, digits, b + j);
    }
}

/* The columns of a^2: the mixed products once, doubled, and the squares of the digits. */
static inline void long_square(__m512i *columns, const __m512i *a, unsigned digits)
{
    row_square_fresh(columns, a, digits);
    for (unsigned j = ROW_DIGITS; j < digits; j += ROW_DIGITS) {
        row_square_more(columns + 2 * j, a + j, digits - j);
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
    for (unsigned j = 0; j < digits; j += ROW_DIGITS) {
        row_reduce(columns + j, modulus, digits, inverse);
    }
    long_carry(out, columns + digits, digits);
}

/* The same, and fetches `pick` meanwhile, all of it: d digits are reduced in d (d - 10) / 10 steps,
 * and 20, 30 and 40 digits need 20, 60 and 80 of them. */
static inline void long_reduce_picking(__m512i *out, __m512i *columns, const __m512i *modulus,
                                       __m512i inverse, unsigned digits, struct row_pick *pick)
{
    for (unsigned j = 0; j < digits; j += ROW_DIGITS) {
        row_reduce_picking(columns + j, modulus, digits, inverse, pick);
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
