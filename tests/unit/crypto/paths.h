/* What the tests of the crypto room share. */
#pragma once

#include <stdio.h>

#include "crypto/cpu.h"
#include "harness.h"

/* The twin always, the vector path where this process has it: HBK_CPU=scalar rules it out. */
static inline int path_count(void)
{
    return hbk_cpu_path() == HBK_PATH_VECTOR ? 2 : 1;
}

/* Reads exactly `size` bytes of hexadecimal text. */
static inline void from_hex(uint8_t *out, size_t size, const char *hex)
{
    for (size_t i = 0; i < size; i++) {
        unsigned byte;
        assert_int_equal(sscanf(hex + 2 * i, "%2x", &byte), 1);
        out[i] = (uint8_t)byte;
    }
}
