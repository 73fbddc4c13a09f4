#include "base/secret.h"

void hbk_secret_wipe(void *bytes, size_t size)
{
    if (size > 0) {
        explicit_bzero(bytes, size);
    }
}

__attribute__((noinline)) void hbk_secret_wipe_stack(void)
{
    uint8_t stack[HBK_SECRET_STACK_BYTES];

    hbk_secret_wipe(stack, sizeof(stack));
}

bool hbk_secret_equal(struct hbk_slice a, struct hbk_slice b)
{
    if (a.size != b.size) {
        return false;
    }
    volatile uint8_t difference = 0;
    for (size_t i = 0; i < a.size; i++) {
        difference = (uint8_t)(difference | (a.bytes[i] ^ b.bytes[i]));
    }
    return difference == 0;
}
