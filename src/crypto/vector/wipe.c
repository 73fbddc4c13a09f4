#include "crypto/vector/wipe.h"

#include <immintrin.h>
#include <stdint.h>

#include "base/secret.h"

/* The frame is as large as what it wipes: that is its purpose. */
#pragma GCC diagnostic ignored "-Wframe-larger-than="

/* vzeroall knows the first sixteen vector registers alone; the others and the masks, which held
 * bits of scalars, are cleared one by one. */
static inline void wipe_registers(void)
{
    _mm256_zeroall();
#define WIPE_VECTOR(n) __asm__ volatile("vpxord %%zmm" #n ", %%zmm" #n ", %%zmm" #n ::: "xmm" #n)
    WIPE_VECTOR(16);
    WIPE_VECTOR(17);
    WIPE_VECTOR(18);
    WIPE_VECTOR(19);
    WIPE_VECTOR(20);
    WIPE_VECTOR(21);
    WIPE_VECTOR(22);
    WIPE_VECTOR(23);
    WIPE_VECTOR(24);
    WIPE_VECTOR(25);
    WIPE_VECTOR(26);
    WIPE_VECTOR(27);
    WIPE_VECTOR(28);
    WIPE_VECTOR(29);
    WIPE_VECTOR(30);
    WIPE_VECTOR(31);
#undef WIPE_VECTOR
#define WIPE_MASK(n) __asm__ volatile("kxorq %%k" #n ", %%k" #n ", %%k" #n ::: "k" #n)
    WIPE_MASK(0);
    WIPE_MASK(1);
    WIPE_MASK(2);
    WIPE_MASK(3);
    WIPE_MASK(4);
    WIPE_MASK(5);
    WIPE_MASK(6);
    WIPE_MASK(7);
#undef WIPE_MASK
}

__attribute__((noinline)) void hbk_vector_wipe(void)
{
    uint8_t stack[HBK_VECTOR_WIPE_BYTES];

    hbk_secret_wipe(stack, sizeof(stack));
    wipe_registers();
}
