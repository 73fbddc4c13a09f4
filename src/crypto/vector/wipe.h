#pragma once

/*
 * Overwrites the vector and mask registers and the part of the stack below the caller, where the
 * kernel that it called has left tables and spilled values: HBK_VECTOR_WIPE_BYTES of it. No
 * elliptic-curve kernel uses more (tools/check_jumps.py adds up its frames); the RSA kernels wipe
 * their own, larger, buffers.
 */
enum { HBK_VECTOR_WIPE_BYTES = 32 * 1024 };

void hbk_vector_wipe(void);

/*
 * Marks a value that was computed from secrets as public from here on, with the reason beside the
 * call. It tells the constant-time check (tests/constant_time.c), which runs the kernels under
 * clang's memory sanitizer with all secrets marked undefined; otherwise it does nothing.
 */
#if defined(__has_feature)
#if __has_feature(memory_sanitizer)
#include <sanitizer/msan_interface.h>
#define HBK_DECLASSIFY(variable) __msan_unpoison(&(variable), sizeof(variable))
#endif
#endif
#ifndef HBK_DECLASSIFY
#define HBK_DECLASSIFY(variable) ((void)0)
#endif
