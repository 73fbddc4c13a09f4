/* What every unit test includes: cmocka with the headers that it wants before itself. */
#pragma once

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/slice.h"

/* Fails unless both slices hold the same bytes. */
#define assert_slice_equal(found, expected)                                     \
    do {                                                                        \
        struct hbk_slice found_ = (found);                                      \
        struct hbk_slice expected_ = (expected);                                \
        assert_int_equal(found_.size, expected_.size);                          \
        if (expected_.size > 0) {                                               \
            assert_memory_equal(found_.bytes, expected_.bytes, expected_.size); \
        }                                                                       \
    } while (0)
