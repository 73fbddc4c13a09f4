/* The clocks of the code under test, which the linker sends here (--wrap): they stand still until a
 * test moves them. One thread. */
#pragma once

#include <stdint.h>

void clock_start(void);

/* Both clocks go on. */
void clock_pass(uint64_t duration_ns);

/* Only the realtime clock is set, forward or back. */
void clock_step(int64_t step_ns);
