/*
 * The P-256 kernels: full operations on eight lanes of bytes. Rows are 32 bytes, most significant
 * first, one per lane; an unused lane holds any bytes, for instance zeros. The results are masks
 * with one bit per lane. Only for processors where hbk_cpu_path() is HBK_PATH_VECTOR. Any thread.
 */
#pragma once

#include <stdint.h>

/* Builds the table of multiples of the base point (107 KiB); later calls do nothing. */
void hbk_vector_p256_start(void);

/* (x, y) = scalar G, for scalars from 1 to n-1; the bits of the result tell those lanes. */
uint8_t hbk_vector_p256_base(const uint8_t scalar[8][32], uint8_t out_x[8][32],
                             uint8_t out_y[8][32]);

/* The x of scalar (x, y). A bit is set when the scalar is from 1 to n-1 and the point is valid. */
uint8_t hbk_vector_p256_agree(const uint8_t scalar[8][32], const uint8_t x[8][32],
                              const uint8_t y[8][32], uint8_t out_secret[8][32]);

/*
 * ECDSA with the given nonces. A bit is set when key and nonce are from 1 to n-1 and neither r nor
 * s is zero.
 */
uint8_t hbk_vector_p256_sign(const uint8_t key[8][32], const uint8_t nonce[8][32],
                             const uint8_t digest[8][32], uint8_t out_r[8][32],
                             uint8_t out_s[8][32]);

/* A bit is set when the key is valid and (r, s) is its signature of the digest. */
uint8_t hbk_vector_p256_verify(const uint8_t x[8][32], const uint8_t y[8][32],
                               const uint8_t digest[8][32], const uint8_t r[8][32],
                               const uint8_t s[8][32]);
