/* Numbers that nobody can guess, from the kernel. */
#pragma once

#include <stdint.h>

/* For jitter and the like, a few in a second: each costs a system call. 0 when the kernel has none.
 * Any thread. */
uint64_t hbk_random_number(void);
