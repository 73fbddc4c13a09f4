#include "crypto/vector/wipe.h"

#include <immintrin.h>
#include <stdint.h>

#include "base/secret.h"

__attribute__((noinline)) void hbk_vector_wipe(void)
{
    uint8_t stack[HBK_VECTOR_WIPE_BYTES];

    hbk_secret_wipe(stack, sizeof(stack));
    _mm256_zeroall();
}
