/* What a fuzz target is: one function that takes any bytes and neither fails nor leaks. */
#pragma once

#include <stddef.h>
#include <stdint.h>

/* Returns 0. `data` is borrowed for the call and ends where its allocation ends. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
