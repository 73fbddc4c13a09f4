/*
 * The operations of p256.h on one lane, by libcrypto. For other processors, for remainders below
 * the break-even, and as the judge in tests. Any thread.
 */
#pragma once

#include "crypto/p256.h"

void hbk_p256_twin_keygen(struct hbk_p256_keygen *operation);
void hbk_p256_twin_agree(struct hbk_p256_agree *operation);
void hbk_p256_twin_sign(struct hbk_p256_sign *operation);
void hbk_p256_twin_verify(struct hbk_p256_verify *operation);
