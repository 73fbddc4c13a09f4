/*
 * The X25519 kernels (RFC 7748): rows are 32 bytes, least significant first, one per lane; an
 * unused lane holds any bytes. Scalars are clamped inside. Only for processors where hbk_cpu_path()
 * is HBK_PATH_VECTOR. Any thread.
 */
#pragma once

#include <stdint.h>

/* Builds the table of multiples of the base point (98 KiB); later calls do nothing. */
void hbk_vector_x25519_start(void);

/* The public keys of eight scalars. */
void hbk_vector_x25519_base(const uint8_t scalar[8][32], uint8_t out_public[8][32]);

/* The shared secrets; a bit of the result is set where the secret is not all zero. */
uint8_t hbk_vector_x25519_agree(const uint8_t scalar[8][32], const uint8_t peer[8][32],
                                uint8_t out_secret[8][32]);
