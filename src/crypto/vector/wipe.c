#include "crypto/vector/wipe.h"

#include <immintrin.h>
#include <stdint.h>

#include "base/secret.h"

/* The frame is as large as what it wipes: that is its purpose. */
#pragma GCC diagnostic ignored "-Wframe-larger-than="

__attribute__((noinline)) void hbk_vector_wipe(void)
{
    uint8_t stack[HBK_VECTOR_WIPE_BYTES];

    hbk_secret_wipe(stack, sizeof(stack));
    _mm256_zeroall();
}
