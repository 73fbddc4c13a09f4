/* What the subcommands of `hauberk bench` that measure paths have in common: options, and the
 * private world that they run in. Each complains to standard error. */
#pragma once

#include <getopt.h>
#include <regex.h>
#include <stdbool.h>
#include <stdint.h>

enum { HBK_BENCH_OPTION_HELP = 255 }; /* of --help in everybody's list of options */

struct hbk_bench_command {
    const char *usage;
    const struct option *options;
    /* Reads one option into `context`; false: it has complained. */
    bool (*read_option)(int code, const char *text, void *context);
    void *context;
};

/* Reads the command line. False: it ends here, with `*out_exit_status`, which has been told why. */
bool hbk_bench_read_options(const struct hbk_bench_command *command, int argc, char **argv,
                            int *out_exit_status);

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
