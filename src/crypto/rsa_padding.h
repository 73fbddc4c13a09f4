/*
 * The paddings of RSA signatures (RFC 8017): EMSA-PKCS1-v1_5 (9.2) and EMSA-PSS (9.1) with MGF1
 * over the same hash and a salt as long as the hash, as TLS wants it (RFC 8446, 4.2.3). Blocks are
 * as long as the modulus. Any thread.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "crypto/hash.h"

/*
 * Write a padded block for a modulus of `modulus_bits`; `digest` and `salt` have the size of the
 * hash. False, and nothing written, when the modulus is too short.
 */
HBK_MUST_USE bool hbk_rsa_pad_pkcs1(enum hbk_hash hash, const uint8_t *digest,
                                    unsigned modulus_bits, uint8_t *out_block);
HBK_MUST_USE bool hbk_rsa_pad_pss(enum hbk_hash hash, const uint8_t *digest, const uint8_t *salt,
                                  unsigned modulus_bits, uint8_t *out_block);

/* Whether a block, as the public operation gave it, is a right padding of the digest. */
bool hbk_rsa_check_pkcs1(enum hbk_hash hash, const uint8_t *digest, unsigned modulus_bits,
                         const uint8_t *block);
bool hbk_rsa_check_pss(enum hbk_hash hash, const uint8_t *digest, unsigned modulus_bits,
                       const uint8_t *block);
