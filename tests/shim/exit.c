#include "exit.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "flags.h"

static HBK_PRINTF(1, 0) void say(const char *format, va_list values)
{
    (void)vfprintf(stderr, format, values);
    (void)fputc('\n', stderr);
}

void shim_exit(int status, const char *format, ...)
{
    va_list values;
    va_start(values, format);
    say(format, values);
    va_end(values);
    exit(status);
}

void shim_expect(bool is_met, const char *format, ...)
{
    if (is_met) {
        return;
    }
    va_list values;
    va_start(values, format);
    say(format, values);
    va_end(values);
    exit(SHIM_EXIT_CHECK);
}
