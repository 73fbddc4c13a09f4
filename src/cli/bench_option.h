/* What the subcommands of `hauberk bench` that measure paths have in common: options, and the
 * private world that they run in. Each complains to standard error. */
#pragma once

#include <regex.h>
#include <stdbool.h>
#include <stdint.h>

/* A number from 1 to `max`. */
bool hbk_bench_read_count(const char *name, const char *text, uint64_t max, uint64_t *out_count);

/* "0,1", of cores where this process may run. */
bool hbk_bench_read_cores(const char *text, unsigned *out_first, unsigned *out_second);

/* Whether this process may run there. */
bool hbk_bench_has_core(unsigned core);

/* Owned by the caller when it succeeds: regfree(). */
bool hbk_bench_read_pattern(const char *text, regex_t *out_pattern);

/* Runs it in a private world; the exit status is its own, or HBK_EXIT_FAILED. */
int hbk_bench_isolate(int (*run)(void *argument), void *argument);
