/*
 * X25519 on eight lanes.
 *
 * A peer's point is multiplied by the Montgomery ladder of RFC 7748, section 5: 251 equal steps in
 * which only a masked selection depends on the scalar, and four doublings for the bits that are the
 * same in every scalar.
 *
 * The base point is known, so its multiples come from a table. The ladder has no use for one; the
 * birationally equivalent Edwards curve -x^2 + y^2 = 1 + d x^2 y^2 (edwards25519) has: 52 signed
 * windows of five bits, one addition each and no doubling. Its addition law is complete, so no case
 * needs care. At the end u = (1 + y) / (1 - y) = (Z + Y) / (Z - Y) leads back.
 */
#include "crypto/vector/schedule.h"

#include "crypto/vector/x25519.h"

#include <pthread.h>

#include "crypto/vector/wipe.h"
#include "crypto/vector/x25519_field.h"

enum {
    BASE_WIDTH = 5,
    BASE_WINDOWS = 52,
    BASE_ENTRIES = 1 << (BASE_WIDTH - 1),
    SCALAR_TOP_BIT = 254, /* of a clamped scalar: always set */
    SCALAR_ZERO_BITS = 3, /* the lowest of it */
};

#define NOINLINE static __attribute__((noinline))

/* 2 d of the Edwards curve, and its base point. */
static const uint64_t edwards_2d[5] = {0x69b9426b2f159, 0x9a8283b156ebd, 0xef3d13000e014,
                                       0xfce7198e80f2e, 0x02406d9dc56df};
static const uint64_t base_x[5] = {0x62d608f25d51a, 0x609525a7b2c95, 0xdd6dc5c692cc7,
                                   0x53fec0a4e231f, 0x0216936d3cd6e};
static const uint64_t base_y[5] = {0x6666666666658, 0x6666666666666, 0x6666666666666,
                                   0x6666666666666, 0x0666666666666};
static const uint64_t number_one[5] = {1, 0, 0, 0, 0};

/* Extended coordinates: x = X / Z, y = Y / Z, T = X Y / Z. All reduced. */
struct extended {
    struct five x, y, z, t;
};

/* An affine point in the form that an addition wants. All reduced. */
struct prepared {
    struct five sum;        /* y + x */
    struct five difference; /* y - x */
    struct five product;    /* 2 d x y */
};

/* base_table[i][j][m - 1]: digit j of m 32^i B; sum, difference and product have 5 digits each. */
static _Alignas(64) uint64_t base_table[BASE_WINDOWS][15][BASE_ENTRIES];

/* a + b; "add-2008-hwcd-3" with Z2 = 1. */
static void extended_add(struct extended *a, const struct prepared *b)
{
    const struct five minus_part = fx_multiply(fx_subtract(a->y, a->x), b->difference);
    const struct five plus_part = fx_multiply(fx_add(a->y, a->x), b->sum);
    const struct five c = fx_multiply(a->t, b->product);
    const struct five d = five_scale(a->z, 1);
    const struct five e = fx_subtract(plus_part, minus_part);
    const struct five f = fx_subtract(d, c);
    const struct five g = fx_add(d, c);
    const struct five h = fx_add(plus_part, minus_part);

    a->x = fx_reduce(fx_multiply(e, f));
    a->y = fx_reduce(fx_multiply(g, h));
    a->t = fx_reduce(fx_multiply(e, h));
    a->z = fx_reduce(fx_multiply(f, g));
}

static struct prepared prepare(const struct extended *a)
{
    const struct five inverse = fx_invert(a->z);
    const struct five x = fx_reduce(fx_multiply(a->x, inverse));
    const struct five y = fx_reduce(fx_multiply(a->y, inverse));
    const struct five xy = fx_reduce(fx_multiply(x, y));

    return (struct prepared){
        fx_add(y, x),
        fx_subtract(y, x),
        fx_reduce(fx_multiply(xy, five_of(edwards_2d))),
    };
}

ALWAYS_INLINE void store_column(unsigned window, unsigned first_digit, unsigned first_entry,
                                struct five a)
{
    _mm512_store_si512(&base_table[window][first_digit + 0][first_entry], a.d0);
    _mm512_store_si512(&base_table[window][first_digit + 1][first_entry], a.d1);
    _mm512_store_si512(&base_table[window][first_digit + 2][first_entry], a.d2);
    _mm512_store_si512(&base_table[window][first_digit + 3][first_entry], a.d3);
    _mm512_store_si512(&base_table[window][first_digit + 4][first_entry], a.d4);
}

static void store_entries(unsigned window, unsigned first_entry, const struct prepared *entries)
{
    store_column(window, 0, first_entry, entries->sum);
    store_column(window, 5, first_entry, entries->difference);
    store_column(window, 10, first_entry, entries->product);
}

static struct extended extended_select(const struct extended *a, __mmask8 mask,
                                       const struct extended *b)
{
    return (struct extended){
        five_select(a->x, mask, b->x),
        five_select(a->y, mask, b->y),
        five_select(a->z, mask, b->z),
        five_select(a->t, mask, b->t),
    };
}

/*
 * Window by window. `step` is 32^i B in all lanes; lane l of `row` collects (l + 1) 32^i B, the
 * first eight entries; adding 8 32^i B gives the other eight.
 */
static void build_base_table(void)
{
    const struct five x = five_of(base_x);
    const struct five y = five_of(base_y);
    struct extended step = {x, y, five_of(number_one), fx_reduce(fx_multiply(x, y))};

    for (unsigned i = 0; i < BASE_WINDOWS; i++) {
        const struct prepared one = prepare(&step);
        struct extended multiple = step;
        struct extended row = step;
        for (int lane = 1; lane < 8; lane++) {
            extended_add(&multiple, &one);
            row = extended_select(&row, (__mmask8)(1U << lane), &multiple);
        }
        const struct prepared eight = prepare(&multiple);
        struct prepared entries = prepare(&row);
        store_entries(i, 0, &entries);
        extended_add(&row, &eight);
        entries = prepare(&row);
        store_entries(i, 8, &entries);

        step = multiple;
        extended_add(&step, &eight);
        const struct prepared sixteen = prepare(&step);
        extended_add(&step, &sixteen);
    }
}

static pthread_once_t base_table_once = PTHREAD_ONCE_INIT;

void hbk_vector_x25519_start(void)
{
    pthread_once(&base_table_once, build_base_table);
}

ALWAYS_INLINE struct five pick_five(const uint64_t rows[5][BASE_ENTRIES], __m512i index)
{
#define PICK(j)                                                  \
    _mm512_permutex2var_epi64(_mm512_load_si512(rows[j]), index, \
                              _mm512_load_si512(rows[j] + BASE_ENTRIES / 2))
    return (struct five){PICK(0), PICK(1), PICK(2), PICK(3), PICK(4)};
#undef PICK
}

/* The entry for a signed digit, picked inside registers: no address depends on it. */
ALWAYS_INLINE struct prepared base_pick(unsigned window, __m512i magnitude, __mmask8 is_negative)
{
    const uint64_t(*rows)[BASE_ENTRIES] = (const uint64_t(*)[BASE_ENTRIES])base_table[window];
    const __m512i index = minus(magnitude, word(1));
    const __mmask8 is_zero = _mm512_testn_epi64_mask(magnitude, magnitude);
    const struct five sum = five_select(pick_five(rows, index), is_zero, five_of(number_one));
    const struct five difference =
        five_select(pick_five(rows + 5, index), is_zero, five_of(number_one));
    const struct five product = five_select(pick_five(rows + 10, index), is_zero, five_zero());

    return (struct prepared){
        five_select(sum, is_negative, difference),
        five_select(difference, is_negative, sum),
        five_select(product, is_negative, fx_subtract(five_zero(), product)),
    };
}

/* RFC 7748, 5: clears the bits 0, 1, 2 and 255 of a scalar and sets bit 254. */
ALWAYS_INLINE struct five load_scalar(const uint8_t rows[8][32])
{
    struct five scalar = five_from_little_endian(rows);

    scalar.d0 = _mm512_and_si512(scalar.d0, word(~INT64_C(7)));
    scalar.d4 = _mm512_and_si512(scalar.d4, word((INT64_C(1) << 47) - 1));
    scalar.d4 = _mm512_or_si512(scalar.d4, word(INT64_C(1) << 46));
    return scalar;
}

NOINLINE void base(const uint8_t scalar[8][32], uint8_t out_public[8][32])
{
    const struct five one = five_of(number_one);
    struct extended point = {five_zero(), one, one, five_zero()};
    struct five_bits bits;

    five_bits_set(&bits, load_scalar(scalar));
    for (unsigned i = 0; i < BASE_WINDOWS; i++) {
        __m512i magnitude;
        const __mmask8 is_negative = five_bits_window(&bits, i, BASE_WIDTH, &magnitude);
        const struct prepared entry = base_pick(i, magnitude, is_negative);
        extended_add(&point, &entry);
    }
    const struct five inverse = fx_invert(fx_subtract(point.z, point.y));
    const struct five u = fx_reduce(fx_multiply(fx_add(point.z, point.y), inverse));
    five_to_little_endian(out_public, fx_canonical(u));
}

void hbk_vector_x25519_base(const uint8_t scalar[8][32], uint8_t out_public[8][32])
{
    hbk_vector_x25519_start();
    base(scalar, out_public);
    hbk_vector_wipe();
}

/* The two points of the ladder, m P and (m + 1) P or the other way round, by their x-coordinates X
 * / Z. The X are biased products and the Z products: a step begins with sums and differences, which
 * are reduced anyway.
 */
struct ladder {
    struct five x2, z2, x3, z3;
};

/* Makes the first point twice the one for which X + Z = sum and X - Z = difference; factors. */
ALWAYS_INLINE void ladder_double(struct ladder *ladder, struct five sum, struct five difference)
{
    const struct five aa = fx_square_biased(sum);
    const struct five bb = fx_square(difference);
    const struct five e = fx_factor(five_subtract(aa, bb));

    ladder->x2 = fx_multiply_biased(fx_factor(aa), fx_factor(bb));
    ladder->z2 = fx_multiply(e, fx_add_a24(aa, e));
}

ALWAYS_INLINE void ladder_double_first(struct ladder *ladder)
{
    ladder_double(ladder, fx_factor(five_add(ladder->x2, ladder->z2)),
                  fx_factor(five_subtract(ladder->x2, ladder->z2)));
}

/*
 * Doubles the first point, or the second in the lanes of `second`, into the first, and adds both
 * into the second; `u` is the X / Z of their constant difference. The sum does not ask which point
 * is which, so only what is doubled is selected, and the points are never swapped.
 */
ALWAYS_INLINE void ladder_step(struct ladder *ladder, struct five u, __mmask8 second)
{
    const struct five a = fx_factor(five_add(ladder->x2, ladder->z2));
    const struct five b = fx_factor(five_subtract(ladder->x2, ladder->z2));
    const struct five c = fx_factor(five_add(ladder->x3, ladder->z3));
    const struct five d = fx_factor(five_subtract(ladder->x3, ladder->z3));
    const struct five da = fx_multiply_biased(d, a);
    const struct five cb = fx_multiply(c, b);
    const struct five difference = fx_square(fx_factor(five_subtract(da, cb)));

    ladder->x3 = fx_square_biased(fx_factor(five_add(da, cb)));
    ladder->z3 = fx_multiply(u, fx_factor(difference));
    ladder_double(ladder, five_select(a, second, c), five_select(b, second, d));
}

/*
 * A clamped scalar has bit 254 set, so the first step leads to P and 2 P whatever the others are,
 * and its three lowest bits are zero, so the last three steps double the first point and the second
 * is not needed any more.
 */
NOINLINE __mmask8 agree(const uint8_t scalar[8][32], const uint8_t peer[8][32],
                        uint8_t out_secret[8][32])
{
    struct five_bits bits;
    struct five u = five_from_little_endian(peer);
    u.d4 = _mm512_and_si512(u.d4, word((INT64_C(1) << 47) - 1)); /* RFC 7748, 5: bit 255 */

    const struct five x = five_add(u, five_of(fx_bias));
    const struct five one = five_of(number_one);
    struct ladder ladder = {.x2 = x, .z2 = one};
    ladder_double_first(&ladder);
    ladder = (struct ladder){x, one, ladder.x2, ladder.z2};

    __mmask8 was_set = 0; /* where the first point is (m + 1) P and the second m P */
    five_bits_set(&bits, load_scalar(scalar));
    for (unsigned i = SCALAR_TOP_BIT; i-- > SCALAR_ZERO_BITS;) {
        const __m512i digit = bits.digit[i / DIGIT_BITS];
        const __mmask8 bit = _mm512_test_epi64_mask(digit, word(INT64_C(1) << i % DIGIT_BITS));
        ladder_step(&ladder, u, bit ^ was_set);
        was_set = bit;
    }
    ladder.x2 = five_select(ladder.x2, was_set, ladder.x3);
    ladder.z2 = five_select(ladder.z2, was_set, ladder.z3);
    for (unsigned i = 0; i < SCALAR_ZERO_BITS; i++) {
        ladder_double_first(&ladder);
    }
    const struct five quotient = fx_multiply(fx_reduce(ladder.x2), fx_invert(fx_reduce(ladder.z2)));
    const struct five secret = fx_canonical(fx_reduce(quotient));
    five_to_little_endian(out_secret, secret);
    return (__mmask8)~five_equal(secret, five_zero());
}

uint8_t hbk_vector_x25519_agree(const uint8_t scalar[8][32], const uint8_t peer[8][32],
                                uint8_t out_secret[8][32])
{
    const __mmask8 done = agree(scalar, peer, out_secret);
    hbk_vector_wipe();
    return done;
}
