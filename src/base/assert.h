/*
 * Assertions say what only a bug of ours can break. They stay on in release builds, and nothing
 * that a peer or an operator does may reach one.
 */
#pragma once

#include "base/compiler.h"

/* Writes the place and the broken condition to standard error and aborts. Any thread. */
HBK_NORETURN void hbk_assert_failed(const char *file, int line, const char *condition);

#define HBK_ASSERT(condition)                                  \
    do {                                                       \
        if (HBK_UNLIKELY(!(condition))) {                      \
            hbk_assert_failed(__FILE__, __LINE__, #condition); \
        }                                                      \
    } while (0)

/* A branch that no value may take: the end of a complete switch. */
#define HBK_UNREACHABLE() hbk_assert_failed(__FILE__, __LINE__, "unreachable")
