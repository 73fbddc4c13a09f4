/* The operations of p256.h on eight lanes, by the kernels in vector/. Any thread. */
#pragma once

#include "crypto/p256.h"

void hbk_p256_vector_keygen(struct hbk_p256_keygen *const lanes[HBK_LANES]);
void hbk_p256_vector_agree(struct hbk_p256_agree *const lanes[HBK_LANES]);
void hbk_p256_vector_sign(struct hbk_p256_sign *const lanes[HBK_LANES]);
void hbk_p256_vector_verify(struct hbk_p256_verify *const lanes[HBK_LANES]);
