#include "os/random.h"

#include <sys/random.h>

uint64_t hbk_random_number(void)
{
    uint64_t number = 0;
    return getrandom(&number, sizeof number, 0) == sizeof number ? number : 0;
}
