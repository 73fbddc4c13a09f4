/*
 * P-256 on eight lanes. Two ways to multiply a point by a scalar, both in the same time for all
 * scalars, both on signed windows (five_bits_window):
 *
 *   base      G is known, so d 64^i G is tabulated for d = 1..32 and i = 0..42: 43 additions and
 *             no doubling. The table is read whole, window by window; the wanted entry of each lane
 *             is picked inside registers by permutation, so no address depends on the scalar.
 *
 *   variable  1 Q .. 16 Q are computed for each lane; then 52 times: five doublings, one addition.
 *             The entry is picked by reading all sixteen under masks.
 *
 * Additions that meet equal points. In `base` the running sum of the lower windows is less than
 * 0.51 * 64^i in magnitude and the entry is a multiple of 64^i below n: they differ. In `variable`
 * the sum before window i is 32 m with m at most k / 32^(i+1) + 1, so for i > 0 it is less than
 * n - 16 and differs from d unless both are zero, which masks handle. For i = 0 it may be -d or d
 * modulo n (k = n - 2: the sum is n - 1 or so), hence the last addition is the complete one.
 */
#include "crypto/vector/schedule.h"

#include "crypto/vector/p256.h"

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>

#include "crypto/vector/p256_point.h"
#include "crypto/vector/wipe.h"

enum {
    BASE_WIDTH = 6,
    BASE_WINDOWS = 43,
    BASE_ENTRIES = 1 << (BASE_WIDTH - 1),
    VARIABLE_WIDTH = 5,
    VARIABLE_WINDOWS = 52,
    VARIABLE_ENTRIES = 1 << (VARIABLE_WIDTH - 1),
};

static const uint64_t curve_b[5] = {0xdf6229c4bddfd, 0xca8843090d89c, 0x212ed6acf005c,
                                    0x83415a220abf7, 0x0c30061dd4874};
static const uint64_t base_x[5] = {0x30d418a9143c1, 0xc4fedb60179e7, 0x62251075ba95f,
                                   0x5c669fb732b77, 0x08905f76b5375};
static const uint64_t base_y[5] = {0x5357ce95560a8, 0x43a19e45cddf2, 0x21f3258b4ab8e,
                                   0xd8552e88688dd, 0x0571ff18a5885};

/* base_table[i][j][d - 1] is digit j of x (j < 5) or y of d 64^i G, in Montgomery form. */
static _Alignas(64) uint64_t base_table[BASE_WINDOWS][10][BASE_ENTRIES];

/* The entry of each lane: element `index` (0 to 31) of a row that lies in four registers. */
ALWAYS_INLINE __m512i pick_digit(const uint64_t row[BASE_ENTRIES], __m512i index, __mmask8 is_high)
{
    const __m512i low =
        _mm512_permutex2var_epi64(_mm512_load_si512(row), index, _mm512_load_si512(row + 8));
    return _mm512_mask_mov_epi64(
        low, is_high,
        _mm512_permutex2var_epi64(_mm512_load_si512(row + 16), index, _mm512_load_si512(row + 24)));
}

/* Digit `magnitude` of window i; any entry where the magnitude is 0. */
ALWAYS_INLINE struct affine base_pick(unsigned i, __m512i magnitude, __mmask8 is_negative)
{
    const __m512i index = minus(magnitude, word(1));
    const __mmask8 is_high = _mm512_test_epi64_mask(index, word(16));
    const uint64_t(*row)[BASE_ENTRIES] = (const uint64_t(*)[BASE_ENTRIES])base_table[i];
    struct affine entry;

    entry.x = (struct five){
        pick_digit(row[0], index, is_high), pick_digit(row[1], index, is_high),
        pick_digit(row[2], index, is_high), pick_digit(row[3], index, is_high),
        pick_digit(row[4], index, is_high),
    };
    entry.y = (struct five){
        pick_digit(row[5], index, is_high), pick_digit(row[6], index, is_high),
        pick_digit(row[7], index, is_high), pick_digit(row[8], index, is_high),
        pick_digit(row[9], index, is_high),
    };
    entry.y = five_select(entry.y, is_negative, fp_negate(entry.y));
    return entry;
}

/* scalar G, for tight scalars below n. */
static void multiply_base(struct sum *out, struct five scalar)
{
    const struct five one = five_of(fp_one);
    struct five_bits bits;
    struct sum sum = {{one, one, one}, 0xff};

    five_bits_set(&bits, scalar);
    for (unsigned i = 0; i < BASE_WINDOWS; i++) {
        __m512i magnitude;
        const __mmask8 is_negative = five_bits_window(&bits, i, BASE_WIDTH, &magnitude);
        const __mmask8 is_zero = _mm512_testn_epi64_mask(magnitude, magnitude);
        const struct affine entry = base_pick(i, magnitude, is_negative);
        const struct point first = {entry.x, entry.y, one};
        struct point added = point_add_affine(&sum.point, entry);

        added = point_select(added, sum.is_infinite, first);
        sum.point = point_select(added, is_zero, sum.point);
        sum.is_infinite &= is_zero;
    }
    *out = sum;
}

/* 1 Q .. 16 Q at multiples[0..15], for finite Q; points of the group have odd order, so none of
 * these additions meets equal points. */
static void multiples_of(struct point multiples[VARIABLE_ENTRIES], const struct point *q)
{
    __mmask8 ignored;

    multiples[0] = *q;
    for (int i = 1; i < VARIABLE_ENTRIES; i++) {
        if (i % 2 == 1) {
            multiples[i] = multiples[i / 2];
            point_double(&multiples[i]);
        } else {
            multiples[i] = point_add_distinct(&multiples[i - 1], q, &ignored, &ignored);
        }
    }
}

static struct point multiples_pick(const struct point multiples[VARIABLE_ENTRIES],
                                   __m512i magnitude, __mmask8 is_negative)
{
    struct point entry = multiples[0];

    for (int i = 1; i < VARIABLE_ENTRIES; i++) {
        entry = point_select(entry, _mm512_cmpeq_epi64_mask(magnitude, word(i + 1)), multiples[i]);
    }
    entry.y = five_select(entry.y, is_negative, fp_negate(entry.y));
    return entry;
}

/* scalar Q, for tight scalars below n and points of the curve. */
static void multiply_variable(struct sum *out, struct five scalar, const struct point *q)
{
    struct point multiples[VARIABLE_ENTRIES];
    struct five_bits bits;
    struct sum sum = {*q, 0xff};

    multiples_of(multiples, q);
    five_bits_set(&bits, scalar);
    for (unsigned i = VARIABLE_WINDOWS; i-- > 0;) {
        __m512i magnitude;
        const __mmask8 is_negative = five_bits_window(&bits, i, VARIABLE_WIDTH, &magnitude);
        const __mmask8 is_zero = _mm512_testn_epi64_mask(magnitude, magnitude);
        const struct sum entry = {multiples_pick(multiples, magnitude, is_negative), is_zero};

        if (i < VARIABLE_WINDOWS - 1) {
            for (int j = 0; j < VARIABLE_WIDTH; j++) {
                point_double(&sum.point);
            }
        }
        if (i == 0) {
            sum_add(&sum, &entry);
            break;
        }
        __mmask8 ignored;
        struct point added = point_add_distinct(&sum.point, &entry.point, &ignored, &ignored);
        added = point_select(added, sum.is_infinite, entry.point);
        sum.point = point_select(added, is_zero, sum.point);
        sum.is_infinite &= is_zero;
    }
    *out = sum;
}

/* The lanes of tight numbers from 1 to n-1. */
static __mmask8 is_scalar(struct five a)
{
    return (__mmask8)(five_less(a, five_of(fn_order)) & ~five_equal(a, five_zero()));
}

/* Converts to Montgomery form; returns the lanes with x, y < p and y^2 = x^3 - 3 x + b. */
static __mmask8 load_point(struct point *out, const uint8_t x_rows[8][32],
                           const uint8_t y_rows[8][32])
{
    const struct five p = five_of(fp_prime);
    struct five x = five_from_big_endian(x_rows);
    struct five y = five_from_big_endian(y_rows);
    const __mmask8 is_in_range = (__mmask8)(five_less(x, p) & five_less(y, p));

    x = fp_to_montgomery(x);
    y = fp_to_montgomery(y);
    const struct five square = five_carry(fp_square(x));
    const struct five cube = fp_multiply(square, x);
    const struct five triple = five_add(five_scale(x, 1), x);
    const struct five right = five_add(five_subtract(cube, triple), five_of(curve_b));
    const struct five difference = fp_reduce(five_subtract(fp_square(y), right));

    *out = (struct point){x, y, five_of(fp_one)};
    return (__mmask8)(is_in_range & fp_is_zero(difference));
}

/*
 * The table, window by window. `step` is 64^i G in all lanes. Lane l of `row` first holds
 * (l + 1) 64^i G and then goes on in steps of 8 64^i G. The entries of the last window that would
 * pass n are never picked.
 */
static void build_base_table(void)
{
    struct point step = {five_of(base_x), five_of(base_y), five_of(fp_one)};

    for (int i = 0; i < BASE_WINDOWS; i++) {
        struct point multiples[VARIABLE_ENTRIES];
        multiples_of(multiples, &step);

        struct sum row = {multiples[0], 0};
        const struct sum eight = {multiples[7], 0};
        for (int lane = 1; lane < 8; lane++) {
            row.point = point_select(row.point, (__mmask8)(1U << lane), multiples[lane]);
        }
        for (int first = 0; first < BASE_ENTRIES; first += 8) {
            const struct affine entry = point_to_affine(&row.point);
            const struct five coordinate[2] = {entry.x, entry.y};
            for (int j = 0; j < 2; j++) {
                _mm512_store_si512(&base_table[i][5 * j + 0][first], coordinate[j].d0);
                _mm512_store_si512(&base_table[i][5 * j + 1][first], coordinate[j].d1);
                _mm512_store_si512(&base_table[i][5 * j + 2][first], coordinate[j].d2);
                _mm512_store_si512(&base_table[i][5 * j + 3][first], coordinate[j].d3);
                _mm512_store_si512(&base_table[i][5 * j + 4][first], coordinate[j].d4);
            }
            sum_add(&row, &eight);
        }
        step = multiples[15];
        point_double(&step);
        point_double(&step);
    }
}

static pthread_once_t base_table_once = PTHREAD_ONCE_INIT;

void hbk_vector_p256_start(void)
{
    pthread_once(&base_table_once, build_base_table);
}

/*
 * The operations. Each public function calls a worker that is not inlined and then wipes what the
 * worker left below it on the stack and in the registers.
 */
#define NOINLINE static __attribute__((noinline))

NOINLINE __mmask8 base(const uint8_t scalar[8][32], uint8_t out_x[8][32], uint8_t out_y[8][32])
{
    struct sum product;
    const struct five k = five_from_big_endian(scalar);

    multiply_base(&product, k);
    const struct affine point = point_to_affine(&product.point);
    five_to_big_endian(out_x, fp_from_montgomery(point.x));
    five_to_big_endian(out_y, fp_from_montgomery(point.y));
    return is_scalar(k);
}

uint8_t hbk_vector_p256_base(const uint8_t scalar[8][32], uint8_t out_x[8][32],
                             uint8_t out_y[8][32])
{
    hbk_vector_p256_start();
    const __mmask8 done = base(scalar, out_x, out_y);
    hbk_vector_wipe();
    return done;
}

NOINLINE __mmask8 agree(const uint8_t scalar[8][32], const uint8_t x[8][32], const uint8_t y[8][32],
                        uint8_t out_secret[8][32])
{
    struct sum product;
    struct point peer;
    const struct five k = five_from_big_endian(scalar);
    const __mmask8 is_valid = (__mmask8)(is_scalar(k) & load_point(&peer, x, y));

    multiply_variable(&product, k, &peer);
    const struct affine point = point_to_affine(&product.point);
    five_to_big_endian(out_secret, fp_from_montgomery(point.x));
    return is_valid;
}

uint8_t hbk_vector_p256_agree(const uint8_t scalar[8][32], const uint8_t x[8][32],
                              const uint8_t y[8][32], uint8_t out_secret[8][32])
{
    const __mmask8 done = agree(scalar, x, y, out_secret);
    hbk_vector_wipe();
    return done;
}

/*
 * (digest + r key) / nonce modulo n. The product of a plain number and one in Montgomery form is
 * plain, and below 1.2 n by (1), so one subtraction gives the least residue.
 */
static struct five sign_scalar(struct five key, struct five nonce, struct five digest,
                               struct five r)
{
    const struct five inverse = fn_invert(fn_to_montgomery(nonce));
    const struct five product = fn_multiply(fn_to_montgomery(key), r);
    const struct five sum = five_carry(five_add(product, digest));

    return five_subtract_once(fn_multiply(sum, inverse), five_of(fn_order));
}

NOINLINE __mmask8 sign(const uint8_t key[8][32], const uint8_t nonce[8][32],
                       const uint8_t digest[8][32], uint8_t out_r[8][32], uint8_t out_s[8][32])
{
    struct sum product;
    const struct five d = five_from_big_endian(key);
    const struct five k = five_from_big_endian(nonce);

    multiply_base(&product, k);
    const struct affine point = point_to_affine(&product.point);
    /* p < 2 n, so one subtraction makes the x a residue of n. */
    const struct five r = five_subtract_once(fp_from_montgomery(point.x), five_of(fn_order));
    const struct five s = sign_scalar(d, k, five_from_big_endian(digest), r);
    const __mmask8 is_zero = (__mmask8)(five_equal(r, five_zero()) | five_equal(s, five_zero()));

    five_to_big_endian(out_r, r);
    five_to_big_endian(out_s, s);
    return (__mmask8)(is_scalar(d) & is_scalar(k) & ~is_zero);
}

uint8_t hbk_vector_p256_sign(const uint8_t key[8][32], const uint8_t nonce[8][32],
                             const uint8_t digest[8][32], uint8_t out_r[8][32],
                             uint8_t out_s[8][32])
{
    hbk_vector_p256_start();
    const __mmask8 done = sign(key, nonce, digest, out_r, out_s);
    hbk_vector_wipe();
    return done;
}

/*
 * Whether the x of a point is r modulo n: r z^2 = x, or (r + n) z^2 = x when r + n is below p. This
 * spares the inversion of z.
 */
static __mmask8 has_x(const struct sum *sum, struct five r)
{
    const struct five p = five_of(fp_prime);
    const struct five zz = five_carry(fp_square(sum->point.z));
    const struct five wrapped = five_carry(five_add(r, five_of(fn_order)));
    const struct five x = fp_multiply(fp_to_montgomery(r), zz);
    const struct five x_wrapped = fp_multiply(fp_to_montgomery(wrapped), zz);
    const __mmask8 is_plain = fp_is_zero(fp_reduce(five_subtract(x, sum->point.x)));
    const __mmask8 is_wrapped =
        (__mmask8)(five_less(wrapped, p) &
                   fp_is_zero(fp_reduce(five_subtract(x_wrapped, sum->point.x))));

    return (__mmask8)((is_plain | is_wrapped) & ~sum->is_infinite);
}

uint8_t hbk_vector_p256_verify(const uint8_t x[8][32], const uint8_t y[8][32],
                               const uint8_t digest[8][32], const uint8_t r_rows[8][32],
                               const uint8_t s_rows[8][32])
{
    const struct five n = five_of(fn_order);
    struct sum from_base, from_key;
    struct point key;
    const struct five r = five_from_big_endian(r_rows);
    const struct five s = five_from_big_endian(s_rows);
    const __mmask8 is_valid = (__mmask8)(load_point(&key, x, y) & is_scalar(r) & is_scalar(s));

    hbk_vector_p256_start();
    /* digest / s and r / s, both plain: see sign_scalar. */
    const struct five inverse = fn_invert(fn_to_montgomery(s));
    const struct five u1 =
        five_subtract_once(fn_multiply(five_from_big_endian(digest), inverse), n);
    const struct five u2 = five_subtract_once(fn_multiply(r, inverse), n);

    multiply_base(&from_base, u1);
    multiply_variable(&from_key, u2, &key);
    sum_add(&from_base, &from_key);
    return (uint8_t)(is_valid & has_x(&from_base, r));
}
