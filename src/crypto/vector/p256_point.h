/*
 * Points of P-256, one per lane, in Jacobian coordinates: (x, y, z) stands for (x / z^2, y / z^3).
 * Coordinates are tight and in Montgomery form. The point at infinity is not told by its
 * coordinates but by a mask of lanes, which the callers carry along.
 *
 * Bounds, by (1) to (3) of p256_field.h. Let every point keep x, y < 2.01 p and z < 3 p. Then
 *
 *   (4)  a product of two coordinates, or of values of fp_reduce, is below 1.6 p;
 *   (5)  z' = 2 y z is below 2 (2.01 * 3 / 16 + 1) p < 2.8 p, and x', y' come from fp_reduce;
 *   (6)  every loose sum below is within (-20 p, 20 p), and what goes to five_carry in (0, 16 p).
 *
 * Doubling is "dbl-2001-b" for a = -3, additions are the classic formulas. They compute
 * rubbish for the cases that they do not cover (equal points, infinity), but rubbish within the
 * bounds; the lanes concerned are replaced by masks afterwards.
 */
#pragma once

#include "crypto/vector/p256_field.h"

struct point {
    struct five x, y, z;
};

struct affine {
    struct five x, y;
};

ALWAYS_INLINE struct point point_select(struct point a, __mmask8 mask, struct point b)
{
    return (struct point){five_select(a.x, mask, b.x), five_select(a.y, mask, b.y),
                          five_select(a.z, mask, b.z)};
}

/* -y for y < 2.01 p. */
ALWAYS_INLINE struct five fp_negate(struct five y)
{
    return fp_reduce(five_subtract(five_zero(), y));
}

static void point_double(struct point *a)
{
    const struct five delta = five_carry(fp_square(a->z));
    const struct five gamma = five_carry(fp_square(a->y));
    const struct five beta = fp_multiply(a->x, gamma);
    const struct five product =
        fp_multiply(fp_reduce(five_subtract(a->x, delta)), five_carry(five_add(a->x, delta)));
    const struct five alpha = five_carry(five_add(five_scale(product, 1), product));

    a->z = five_carry(five_scale(fp_multiply(a->y, a->z), 1));
    a->x = fp_reduce(five_subtract(fp_square(alpha), five_scale(beta, 3)));
    const struct five slope = fp_reduce(five_subtract(five_scale(beta, 2), a->x));
    a->y = fp_reduce(five_subtract(fp_multiply(alpha, slope), five_scale(fp_square(gamma), 3)));
}

/*
 * The second half of an addition. u1, s1 are the first point over the common denominator, h and r
 * the differences of the second to it, z the product of the denominators.
 */
ALWAYS_INLINE struct point add_from_differences(struct five u1, struct five s1, struct five h,
                                                struct five r, struct five z)
{
    const struct five hh = five_carry(fp_square(h));
    const struct five hhh = five_carry(fp_multiply(h, hh));
    const struct five v = fp_multiply(u1, hh);
    struct point sum;

    sum.x = fp_reduce(five_subtract(five_subtract(fp_square(r), hhh), five_scale(v, 1)));
    const struct five slope = fp_reduce(five_subtract(v, sum.x));
    sum.y = fp_reduce(five_subtract(fp_multiply(r, slope), fp_multiply(s1, hhh)));
    sum.z = five_carry(fp_multiply(z, h));
    return sum;
}

/*
 * a + b for two points that are neither equal nor infinite. Writes the lanes where they are equal
 * (the sum is then rubbish) and where they are opposite (the sum is then infinity).
 */
static struct point point_add_distinct(const struct point *a, const struct point *b,
                                       __mmask8 *out_equal, __mmask8 *out_opposite)
{
    const struct five a_zz = five_carry(fp_square(a->z));
    const struct five b_zz = five_carry(fp_square(b->z));
    const struct five a_zzz = five_carry(fp_multiply(a->z, a_zz));
    const struct five b_zzz = five_carry(fp_multiply(b->z, b_zz));
    const struct five u1 = five_carry(fp_multiply(a->x, b_zz));
    const struct five s1 = five_carry(fp_multiply(a->y, b_zzz));
    const struct five h = fp_reduce(five_subtract(fp_multiply(b->x, a_zz), u1));
    const struct five r = fp_reduce(five_subtract(fp_multiply(b->y, a_zzz), s1));
    const struct five z = five_carry(fp_multiply(a->z, b->z));
    const __mmask8 has_same_x = fp_is_zero(h);
    const __mmask8 has_same_y = fp_is_zero(r);

    *out_equal = (__mmask8)(has_same_x & has_same_y);
    *out_opposite = (__mmask8)(has_same_x & ~has_same_y);
    return add_from_differences(u1, s1, h, r, z);
}

/* a + b where a may be anything and b is finite and distinct from a. */
static struct point point_add_affine(const struct point *a, struct affine b)
{
    const struct five zz = five_carry(fp_square(a->z));
    const struct five zzz = five_carry(fp_multiply(a->z, zz));
    const struct five h = fp_reduce(five_subtract(fp_multiply(b.x, zz), a->x));
    const struct five r = fp_reduce(five_subtract(fp_multiply(b.y, zzz), a->y));

    return add_from_differences(a->x, a->y, h, r, a->z);
}

/* A point, and the lanes in which it is infinity whatever the coordinates say. */
struct sum {
    struct point point;
    __mmask8 is_infinite;
};

/* a += b for any two points, in the same time for all. */
static void sum_add(struct sum *a, const struct sum *b)
{
    __mmask8 is_equal;
    __mmask8 is_opposite;
    struct point twice = a->point;
    struct point added = point_add_distinct(&a->point, &b->point, &is_equal, &is_opposite);
    const __mmask8 are_finite = (__mmask8)(~a->is_infinite & ~b->is_infinite);

    point_double(&twice);
    added = point_select(added, is_equal, twice);
    added = point_select(added, b->is_infinite, a->point);
    a->point = point_select(added, a->is_infinite, b->point);
    a->is_infinite = (__mmask8)((a->is_infinite & b->is_infinite) | (is_opposite & are_finite));
}

/* The affine coordinates, as least residues in Montgomery form; (0, 0) where z is 0. */
static struct affine point_to_affine(const struct point *a)
{
    const struct five inverse = fp_invert(a->z);
    const struct five square = five_carry(fp_square(inverse));
    const struct five cube = five_carry(fp_multiply(square, inverse));
    const struct five p = five_of(fp_prime);

    return (struct affine){
        five_subtract_once(five_carry(fp_multiply(a->x, square)), p),
        five_subtract_once(five_carry(fp_multiply(a->y, cube)), p),
    };
}
