#include "base/assert.h"

#include <stdio.h>
#include <stdlib.h>

HBK_NORETURN void hbk_assert_failed(const char *file, int line, const char *condition)
{
    fprintf(stderr, "hauberk: bug at %s:%d: %s does not hold\n", file, line, condition);
    abort();
}
