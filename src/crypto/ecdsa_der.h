/*
 * ECDSA signatures in the DER form of X9.62, SEQUENCE { INTEGER r, INTEGER s }, and as r and s
 * behind one another, each of `number_bytes` (32 for P-256, 48 for P-384), most significant first.
 * Any thread.
 */
#pragma once

#include <stdint.h>

#include "base/slice.h"

enum {
    HBK_ECDSA_NUMBER_BYTES_MAX = 48,
    /* The length of everything fits into one byte of DER. */
    HBK_ECDSA_DER_BYTES_MAX = 2 + 2 * (3 + HBK_ECDSA_NUMBER_BYTES_MAX),
};

/* Returns the size, at most 2 + 2 * (3 + number_bytes). */
size_t hbk_ecdsa_to_der(const uint8_t *signature, size_t number_bytes, uint8_t *out_der);

/*
 * False, and nothing written, for any encoding but the one that DER allows, and for negative
 * numbers and numbers of more than `number_bytes`.
 */
HBK_MUST_USE bool hbk_ecdsa_from_der(struct hbk_slice der, size_t number_bytes,
                                     uint8_t *out_signature);
