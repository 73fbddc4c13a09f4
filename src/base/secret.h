/* Bytes that must not be learnt from time or from memory left behind. Any thread. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "base/slice.h"

/* Overwrites with zeros; the compiler may not remove it. */
void hbk_secret_wipe(void *bytes, size_t size);

/* Overwrites HBK_SECRET_STACK_BYTES of the stack below the caller, where a library that it called
 * has left what it computed with. */
enum { HBK_SECRET_STACK_BYTES = 8 << 10 };
void hbk_secret_wipe_stack(void);

/* Compares in a time that depends on the sizes alone; sizes are public. */
bool hbk_secret_equal(struct hbk_slice a, struct hbk_slice b);
