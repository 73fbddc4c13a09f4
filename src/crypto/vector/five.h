/*
 * Eight numbers of 256 bits side by side, each as five digits of 52 bits (radix 2^52). The digits
 * of equal rank share a 512-bit register, one lane each:
 *
 *            lane 7   ...   lane 1   lane 0
 *     d0   |  2^0   |     |  2^0   |  2^0   |      value = d0 + d1 2^52 + d2 2^104
 *     d1   |  2^52  |     |  2^52  |  2^52  |                 + d3 2^156 + d4 2^208
 *     ...
 *     d4   |  2^208 |     |  2^208 |  2^208 |
 *
 * The instruction that makes this worth while is vpmadd52: it multiplies the low 52 bits of eight
 * pairs of words and adds the low (or the high) 52 bits of the 104-bit products to 64-bit words.
 * Twelve bits of head-room in every word let us add up whole columns of products before any carry.
 *
 * Two forms of a number:
 *
 *   tight   every digit is in [0, 2^52). Only a tight number may be multiplied: vpmadd52 ignores
 *           all bits from 52 on, silently.
 *   loose   digits are signed 64-bit words. Sums, differences and small multiples of loose numbers
 *           are loose. The user of this file keeps |digit| < 2^62.
 *
 * five_carry makes a loose number tight if its value lies in [0, 2^260). Nothing in this file
 * branches on, or addresses by, the contents of a lane.
 */
#pragma once

#include <immintrin.h>
#include <stdint.h>

#define ALWAYS_INLINE static inline __attribute__((always_inline))

#define DIGIT_BITS 52
#define DIGIT_MASK ((INT64_C(1) << DIGIT_BITS) - 1)

struct five {
    __m512i d0, d1, d2, d3, d4;
};

/* The columns of a product: the coefficient of 2^(52 i) is ci. */
struct ten {
    __m512i c0, c1, c2, c3, c4, c5, c6, c7, c8, c9;
};

ALWAYS_INLINE __m512i word(int64_t value)
{
    return _mm512_set1_epi64(value);
}

ALWAYS_INLINE __m512i lo(__m512i sum, __m512i a, __m512i b)
{
    return _mm512_madd52lo_epu64(sum, a, b);
}

ALWAYS_INLINE __m512i hi(__m512i sum, __m512i a, __m512i b)
{
    return _mm512_madd52hi_epu64(sum, a, b);
}

ALWAYS_INLINE __m512i plus(__m512i a, __m512i b)
{
    return _mm512_add_epi64(a, b);
}

ALWAYS_INLINE __m512i minus(__m512i a, __m512i b)
{
    return _mm512_sub_epi64(a, b);
}

ALWAYS_INLINE struct five five_zero(void)
{
    const __m512i zero = _mm512_setzero_si512();
    return (struct five){zero, zero, zero, zero, zero};
}

/* The columns of a itself, for a reduction without a product. */
ALWAYS_INLINE struct ten five_as_columns(struct five a)
{
    const __m512i zero = _mm512_setzero_si512();
    return (struct ten){a.d0, a.d1, a.d2, a.d3, a.d4, zero, zero, zero, zero, zero};
}

/* The same number in all lanes. */
ALWAYS_INLINE struct five five_of(const uint64_t digits[5])
{
    return (struct five){word((int64_t)digits[0]), word((int64_t)digits[1]),
                         word((int64_t)digits[2]), word((int64_t)digits[3]),
                         word((int64_t)digits[4])};
}

ALWAYS_INLINE struct five five_add(struct five a, struct five b)
{
    return (struct five){plus(a.d0, b.d0), plus(a.d1, b.d1), plus(a.d2, b.d2), plus(a.d3, b.d3),
                         plus(a.d4, b.d4)};
}

ALWAYS_INLINE struct five five_subtract(struct five a, struct five b)
{
    return (struct five){minus(a.d0, b.d0), minus(a.d1, b.d1), minus(a.d2, b.d2), minus(a.d3, b.d3),
                         minus(a.d4, b.d4)};
}

/* a 2^bits. */
ALWAYS_INLINE struct five five_scale(struct five a, unsigned bits)
{
    return (struct five){_mm512_slli_epi64(a.d0, bits), _mm512_slli_epi64(a.d1, bits),
                         _mm512_slli_epi64(a.d2, bits), _mm512_slli_epi64(a.d3, bits),
                         _mm512_slli_epi64(a.d4, bits)};
}

/* `b` in the lanes of `mask`, `a` in the others. */
ALWAYS_INLINE struct five five_select(struct five a, __mmask8 mask, struct five b)
{
    return (struct five){
        _mm512_mask_mov_epi64(a.d0, mask, b.d0), _mm512_mask_mov_epi64(a.d1, mask, b.d1),
        _mm512_mask_mov_epi64(a.d2, mask, b.d2), _mm512_mask_mov_epi64(a.d3, mask, b.d3),
        _mm512_mask_mov_epi64(a.d4, mask, b.d4)};
}

/* The lanes in which all digits agree. */
ALWAYS_INLINE __mmask8 five_equal(struct five a, struct five b)
{
    __m512i difference = _mm512_xor_si512(a.d0, b.d0);
    difference = _mm512_or_si512(difference, _mm512_xor_si512(a.d1, b.d1));
    difference = _mm512_or_si512(difference, _mm512_xor_si512(a.d2, b.d2));
    difference = _mm512_or_si512(difference, _mm512_xor_si512(a.d3, b.d3));
    difference = _mm512_or_si512(difference, _mm512_xor_si512(a.d4, b.d4));
    return _mm512_testn_epi64_mask(difference, difference);
}

/* Moves what a digit holds above 52 bits to the next; d4 keeps the rest, with its sign. */
ALWAYS_INLINE struct five five_carry(struct five a)
{
    const __m512i mask = word(DIGIT_MASK);

    a.d1 = plus(a.d1, _mm512_srai_epi64(a.d0, DIGIT_BITS));
    a.d0 = _mm512_and_si512(a.d0, mask);
    a.d2 = plus(a.d2, _mm512_srai_epi64(a.d1, DIGIT_BITS));
    a.d1 = _mm512_and_si512(a.d1, mask);
    a.d3 = plus(a.d3, _mm512_srai_epi64(a.d2, DIGIT_BITS));
    a.d2 = _mm512_and_si512(a.d2, mask);
    a.d4 = plus(a.d4, _mm512_srai_epi64(a.d3, DIGIT_BITS));
    a.d3 = _mm512_and_si512(a.d3, mask);
    return a;
}

/*
 * The tight number a - b if it is not negative, else a: one step of the way to the least residue.
 * Both are tight.
 */
ALWAYS_INLINE struct five five_subtract_once(struct five a, struct five b)
{
    struct five difference = five_carry(five_subtract(a, b));
    __mmask8 is_negative = _mm512_movepi64_mask(difference.d4);
    return five_select(difference, is_negative, a);
}

/* The lanes in which the tight number a is less than the tight number b. */
ALWAYS_INLINE __mmask8 five_less(struct five a, struct five b)
{
    return _mm512_movepi64_mask(five_carry(five_subtract(a, b)).d4);
}

/*
 * The columns of start + a b, for tight a and b. A column gets at most five low and five high
 * halves, so ci < 10 * 2^52 beside what it starts from. The order of the lines keeps additions to
 * one column apart, because each waits four cycles for the one before.
 */
ALWAYS_INLINE struct ten five_multiply_onto(struct five start, struct five a, struct five b)
{
    const __m512i zero = _mm512_setzero_si512();
    struct ten c;

    c.c0 = lo(start.d0, a.d0, b.d0);
    c.c1 = lo(start.d1, a.d1, b.d0);
    c.c2 = lo(start.d2, a.d2, b.d0);
    c.c3 = lo(start.d3, a.d3, b.d0);
    c.c4 = lo(start.d4, a.d4, b.d0);
    c.c5 = hi(zero, a.d4, b.d0);
    c.c1 = hi(c.c1, a.d0, b.d0);
    c.c2 = hi(c.c2, a.d1, b.d0);
    c.c3 = hi(c.c3, a.d2, b.d0);
    c.c4 = hi(c.c4, a.d3, b.d0);

    c.c1 = lo(c.c1, a.d0, b.d1);
    c.c2 = lo(c.c2, a.d1, b.d1);
    c.c3 = lo(c.c3, a.d2, b.d1);
    c.c4 = lo(c.c4, a.d3, b.d1);
    c.c5 = lo(c.c5, a.d4, b.d1);
    c.c6 = hi(zero, a.d4, b.d1);
    c.c2 = hi(c.c2, a.d0, b.d1);
    c.c3 = hi(c.c3, a.d1, b.d1);
    c.c4 = hi(c.c4, a.d2, b.d1);
    c.c5 = hi(c.c5, a.d3, b.d1);

    c.c2 = lo(c.c2, a.d0, b.d2);
    c.c3 = lo(c.c3, a.d1, b.d2);
    c.c4 = lo(c.c4, a.d2, b.d2);
    c.c5 = lo(c.c5, a.d3, b.d2);
    c.c6 = lo(c.c6, a.d4, b.d2);
    c.c7 = hi(zero, a.d4, b.d2);
    c.c3 = hi(c.c3, a.d0, b.d2);
    c.c4 = hi(c.c4, a.d1, b.d2);
    c.c5 = hi(c.c5, a.d2, b.d2);
    c.c6 = hi(c.c6, a.d3, b.d2);

    c.c3 = lo(c.c3, a.d0, b.d3);
    c.c4 = lo(c.c4, a.d1, b.d3);
    c.c5 = lo(c.c5, a.d2, b.d3);
    c.c6 = lo(c.c6, a.d3, b.d3);
    c.c7 = lo(c.c7, a.d4, b.d3);
    c.c8 = hi(zero, a.d4, b.d3);
    c.c4 = hi(c.c4, a.d0, b.d3);
    c.c5 = hi(c.c5, a.d1, b.d3);
    c.c6 = hi(c.c6, a.d2, b.d3);
    c.c7 = hi(c.c7, a.d3, b.d3);

    c.c4 = lo(c.c4, a.d0, b.d4);
    c.c5 = lo(c.c5, a.d1, b.d4);
    c.c6 = lo(c.c6, a.d2, b.d4);
    c.c7 = lo(c.c7, a.d3, b.d4);
    c.c8 = lo(c.c8, a.d4, b.d4);
    c.c9 = hi(zero, a.d4, b.d4);
    c.c5 = hi(c.c5, a.d0, b.d4);
    c.c6 = hi(c.c6, a.d1, b.d4);
    c.c7 = hi(c.c7, a.d2, b.d4);
    c.c8 = hi(c.c8, a.d3, b.d4);
    return c;
}

ALWAYS_INLINE struct ten five_multiply(struct five a, struct five b)
{
    return five_multiply_onto(five_zero(), a, b);
}

/*
 * The columns of start + a^2, for tight a: the ten mixed products are added up once and doubled as
 * columns (doubling a digit would push its top bit out of the 52 that count), then the five squares
 * join. Of `start` the digits from the second on are given as half of what they are, since they are
 * doubled too.
 */
ALWAYS_INLINE struct ten five_square_onto(struct five start, struct five a)
{
    const __m512i zero = _mm512_setzero_si512();
    struct ten c;

    c.c1 = lo(start.d1, a.d0, a.d1);
    c.c2 = lo(start.d2, a.d0, a.d2);
    c.c3 = lo(start.d3, a.d0, a.d3);
    c.c4 = lo(start.d4, a.d0, a.d4);
    c.c5 = lo(zero, a.d1, a.d4);
    c.c6 = lo(zero, a.d2, a.d4);
    c.c7 = lo(zero, a.d3, a.d4);
    c.c8 = hi(zero, a.d3, a.d4);
    c.c2 = hi(c.c2, a.d0, a.d1);
    c.c3 = hi(c.c3, a.d0, a.d2);
    c.c4 = hi(c.c4, a.d0, a.d3);
    c.c5 = hi(c.c5, a.d0, a.d4);
    c.c6 = hi(c.c6, a.d1, a.d4);
    c.c7 = hi(c.c7, a.d2, a.d4);
    c.c3 = lo(c.c3, a.d1, a.d2);
    c.c4 = lo(c.c4, a.d1, a.d3);
    c.c5 = lo(c.c5, a.d2, a.d3);
    c.c6 = hi(c.c6, a.d2, a.d3);
    c.c4 = hi(c.c4, a.d1, a.d2);
    c.c5 = hi(c.c5, a.d1, a.d3);

    c.c1 = plus(c.c1, c.c1);
    c.c2 = plus(c.c2, c.c2);
    c.c3 = plus(c.c3, c.c3);
    c.c4 = plus(c.c4, c.c4);
    c.c5 = plus(c.c5, c.c5);
    c.c6 = plus(c.c6, c.c6);
    c.c7 = plus(c.c7, c.c7);
    c.c8 = plus(c.c8, c.c8);

    c.c0 = lo(start.d0, a.d0, a.d0);
    c.c1 = hi(c.c1, a.d0, a.d0);
    c.c2 = lo(c.c2, a.d1, a.d1);
    c.c3 = hi(c.c3, a.d1, a.d1);
    c.c4 = lo(c.c4, a.d2, a.d2);
    c.c5 = hi(c.c5, a.d2, a.d2);
    c.c6 = lo(c.c6, a.d3, a.d3);
    c.c7 = hi(c.c7, a.d3, a.d3);
    c.c8 = lo(c.c8, a.d4, a.d4);
    c.c9 = hi(zero, a.d4, a.d4);
    return c;
}

ALWAYS_INLINE struct ten five_square(struct five a)
{
    return five_square_onto(five_zero(), a);
}

/* Numbers as bytes and as digits, one row per lane. */

ALWAYS_INLINE struct five five_load(const uint64_t words[4][8])
{
    const __m512i mask = word(DIGIT_MASK);
    const __m512i w0 = _mm512_load_si512(words[0]);
    const __m512i w1 = _mm512_load_si512(words[1]);
    const __m512i w2 = _mm512_load_si512(words[2]);
    const __m512i w3 = _mm512_load_si512(words[3]);
    struct five a;

    a.d0 = _mm512_and_si512(w0, mask);
    a.d1 = _mm512_and_si512(_mm512_shrdi_epi64(w0, w1, 52), mask);
    a.d2 = _mm512_and_si512(_mm512_shrdi_epi64(w1, w2, 40), mask);
    a.d3 = _mm512_and_si512(_mm512_shrdi_epi64(w2, w3, 28), mask);
    a.d4 = _mm512_srli_epi64(w3, 16);
    return a;
}

/* For a tight number below 2^256. */
ALWAYS_INLINE void five_store(uint64_t words[4][8], struct five a)
{
    __m512i w0 = _mm512_or_si512(a.d0, _mm512_slli_epi64(a.d1, 52));
    __m512i w1 = _mm512_or_si512(_mm512_srli_epi64(a.d1, 12), _mm512_slli_epi64(a.d2, 40));
    __m512i w2 = _mm512_or_si512(_mm512_srli_epi64(a.d2, 24), _mm512_slli_epi64(a.d3, 28));
    __m512i w3 = _mm512_or_si512(_mm512_srli_epi64(a.d3, 36), _mm512_slli_epi64(a.d4, 16));

    _mm512_store_si512(words[0], w0);
    _mm512_store_si512(words[1], w1);
    _mm512_store_si512(words[2], w2);
    _mm512_store_si512(words[3], w3);
}

/* Eight rows of 32 bytes, most significant byte first. */
static inline struct five five_from_big_endian(const uint8_t rows[8][32])
{
    _Alignas(64) uint64_t words[4][8];

    for (int lane = 0; lane < 8; lane++) {
        for (int i = 0; i < 4; i++) {
            uint64_t bytes;
            __builtin_memcpy(&bytes, rows[lane] + 24 - 8 * i, sizeof(bytes));
            words[i][lane] = __builtin_bswap64(bytes);
        }
    }
    return five_load((const uint64_t(*)[8])words);
}

static inline void five_to_big_endian(uint8_t rows[8][32], struct five a)
{
    _Alignas(64) uint64_t words[4][8];

    five_store(words, a);
    for (int lane = 0; lane < 8; lane++) {
        for (int i = 0; i < 4; i++) {
            uint64_t bytes = __builtin_bswap64(words[i][lane]);
            __builtin_memcpy(rows[lane] + 24 - 8 * i, &bytes, sizeof(bytes));
        }
    }
}

/* The same with the least significant byte first, which is this processor's own order. */
static inline struct five five_from_little_endian(const uint8_t rows[8][32])
{
    _Alignas(64) uint64_t words[4][8];

    for (int lane = 0; lane < 8; lane++) {
        for (int i = 0; i < 4; i++) {
            __builtin_memcpy(&words[i][lane], rows[lane] + 8 * i, sizeof(uint64_t));
        }
    }
    return five_load((const uint64_t(*)[8])words);
}

static inline void five_to_little_endian(uint8_t rows[8][32], struct five a)
{
    _Alignas(64) uint64_t words[4][8];

    five_store(words, a);
    for (int lane = 0; lane < 8; lane++) {
        for (int i = 0; i < 4; i++) {
            __builtin_memcpy(rows[lane] + 8 * i, &words[i][lane], sizeof(uint64_t));
        }
    }
}

/* Digits in memory, so that a loop can reach the bits of a scalar by a public position. */
struct five_bits {
    __m512i digit[7]; /* two zeros at the end */
};

ALWAYS_INLINE void five_bits_set(struct five_bits *bits, struct five a)
{
    bits->digit[0] = a.d0;
    bits->digit[1] = a.d1;
    bits->digit[2] = a.d2;
    bits->digit[3] = a.d3;
    bits->digit[4] = a.d4;
    bits->digit[5] = _mm512_setzero_si512();
    bits->digit[6] = _mm512_setzero_si512();
}

/*
 * Window `index` of a scalar in Booth's recoding: the signed digit in [-2^(width-1), 2^(width-1)],
 * where the digits times 2^(width index) add up to the scalar. Writes its absolute value; returns
 * the lanes in which it is negative.
 */
ALWAYS_INLINE __mmask8 five_bits_window(const struct five_bits *bits, unsigned index,
                                        unsigned width, __m512i *out_magnitude)
{
    __m512i raw; /* the window with one bit of its lower neighbour below */
    if (index == 0) {
        raw = _mm512_slli_epi64(bits->digit[0], 1);
    } else {
        unsigned position = index * width - 1;
        const __m512i *digit = &bits->digit[position / DIGIT_BITS];
        unsigned shift = position % DIGIT_BITS;
        raw = _mm512_or_si512(_mm512_srli_epi64(digit[0], shift),
                              _mm512_slli_epi64(digit[1], DIGIT_BITS - shift));
    }
    raw = _mm512_and_si512(raw, word((INT64_C(2) << width) - 1));

    const __m512i rounded = _mm512_srli_epi64(plus(raw, word(1)), 1);
    __mmask8 is_negative = _mm512_test_epi64_mask(raw, word(INT64_C(1) << width));
    *out_magnitude =
        _mm512_mask_sub_epi64(rounded, is_negative, word(INT64_C(1) << width), rounded);
    return is_negative;
}
