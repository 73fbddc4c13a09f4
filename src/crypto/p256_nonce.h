/* Nonces for ECDSA on P-256. */
#pragma once

#include "base/slice.h"
#include "crypto/p256.h"

/* Fresh randomness per signature: makes a fault or a repeated message harmless. */
enum { HBK_P256_NONCE_ENTROPY_BYTES = 16 };

/*
 * The nonce of RFC 6979, section 3.2, with SHA-256; `entropy` is the additional data of section
 * 3.6. Hedged: with entropy that is predictable, even constant, the nonce is still unique to key
 * and digest and unknown without the key. Empty entropy gives exactly the nonces of section 3.2.
 */
void hbk_p256_nonce(const uint8_t private_key[HBK_P256_BYTES], const uint8_t digest[HBK_P256_BYTES],
                    struct hbk_slice entropy, uint8_t out_nonce[HBK_P256_BYTES]);
