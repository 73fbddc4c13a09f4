/* Bytes that must not be learnt from time or from memory left behind. Any thread. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "base/slice.h"

/* Overwrites with zeros; the compiler may not remove it. */
void hbk_secret_wipe(void *bytes, size_t size);

/* Compares in a time that depends on the sizes alone; sizes are public. */
bool hbk_secret_equal(struct hbk_slice a, struct hbk_slice b);
