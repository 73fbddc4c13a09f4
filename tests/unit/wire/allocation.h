/* Counts, and on demand fails, what the code under test takes from the heap. The linker sends its
 * calls here (--wrap); shared libraries keep their own. One thread. */
#pragma once

#include <stddef.h>

/* Calls so far that asked for memory. */
size_t allocation_count(void);

/* The n-th call from now fails (n is 1 or more), and only that one; 0: none. */
void allocation_fail(size_t n);
