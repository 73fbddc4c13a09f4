/* How the shim ends when it must. */
#pragma once

#include <stdbool.h>

#include "base/compiler.h"

/* Says a sentence on standard error and ends the program. */
HBK_PRINTF(2, 3) HBK_NORETURN void shim_exit(int status, const char *format, ...);

/* The same with SHIM_EXIT_CHECK, unless what was expected is so. */
HBK_PRINTF(2, 3) void shim_expect(bool is_met, const char *format, ...);
