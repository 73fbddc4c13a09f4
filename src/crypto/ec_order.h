/*
 * The orders of the base points of NIST's curves (FIPS 186-4, D.1.2), and what is asked of numbers
 * beside them. Numbers have the order's size, most significant byte first. Times do not depend on
 * numbers. Any thread.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { HBK_EC_BYTES_MAX = 48 };

struct hbk_ec_order {
    size_t bytes;
    uint8_t number[HBK_EC_BYTES_MAX];
};

extern const struct hbk_ec_order hbk_p256_order, hbk_p384_order;

/* Writes number - order modulo 2^(8 bytes); returns 1 if the number is below the order, else 0. */
unsigned hbk_ec_order_subtract(const struct hbk_ec_order *order, const uint8_t *number,
                               uint8_t *out_difference);

/* Whether the number is from 1 to order - 1, and so can be a private key or a nonce. */
bool hbk_ec_order_admits(const struct hbk_ec_order *order, const uint8_t *number);
