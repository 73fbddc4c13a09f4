#include "cli/bench_option.h"

#include <sched.h>
#include <stdio.h>

#include "base/slice.h"
#include "cli/command.h"
#include "os/isolation.h"

enum { CORES_MAX = 1023 };

bool hbk_bench_read_options(const struct hbk_bench_command *command, int argc, char **argv,
                            int *out_exit_status)
{
    *out_exit_status = HBK_EXIT_USAGE;
    for (int code; (code = getopt_long_only(argc, argv, "", command->options, NULL)) != -1;) {
        if (code == HBK_BENCH_OPTION_HELP) {
            fputs(command->usage, stdout);
            *out_exit_status = HBK_EXIT_OK;
            return false;
        }
        if (!command->read_option(code, optarg, command->context)) {
            fputs(command->usage, stderr);
            return false;
        }
    }
    if (optind < argc) {
        fputs(command->usage, stderr);
        return false;
    }
    return true;
}

bool hbk_bench_read_count(const char *name, const char *text, uint64_t max, uint64_t *out_count)
{
    if (!hbk_slice_to_u64(hbk_slice_text(text), max, out_count) || *out_count == 0) {
        fprintf(stderr, "hauberk bench: --%s \"%s\": a number from 1 to %llu is allowed\n", name,
                text, (unsigned long long)max);
        return false;
    }
    return true;
}

bool hbk_bench_read_cores(const char *text, unsigned *out_first, unsigned *out_second)
{
    struct hbk_slice whole = hbk_slice_text(text);
    size_t comma = 0;
    uint64_t first = 0;
    uint64_t second = 0;
    if (!hbk_slice_find(whole, ',', &comma) ||
        !hbk_slice_to_u64(hbk_slice_part(whole, 0, comma), CORES_MAX, &first) ||
        !hbk_slice_to_u64(hbk_slice_part(whole, comma + 1, whole.size), CORES_MAX, &second)) {
        fprintf(stderr, "hauberk bench: --cores \"%s\": two numbers such as 0,1 are allowed\n",
                text);
        return false;
    }
    *out_first = (unsigned)first;
    *out_second = (unsigned)second;
    return hbk_bench_has_core(*out_first) && hbk_bench_has_core(*out_second);
}

bool hbk_bench_has_core(unsigned core)
{
    cpu_set_t ours;
    if (sched_getaffinity(0, sizeof ours, &ours) == 0 && CPU_ISSET(core, &ours)) {
        return true;
    }
    fprintf(stderr, "hauberk bench: --cores: there is no core %u for this process\n", core);
    return false;
}

bool hbk_bench_read_pattern(const char *text, regex_t *out_pattern)
{
    int failed = regcomp(out_pattern, text, REG_EXTENDED | REG_NOSUB);
    if (failed != 0) {
        char why[128];
        (void)regerror(failed, out_pattern, why, sizeof why);
        fprintf(stderr, "hauberk bench: --only \"%s\": %s\n", text, why);
        return false;
    }
    return true;
}

int hbk_bench_isolate(int (*run)(void *argument), void *argument)
{
    struct hbk_error error = {0};
    int exit_status = HBK_EXIT_FAILED;
    if (hbk_isolation_run(run, argument, &exit_status, &error) != HBK_OK) {
        fprintf(stderr, "hauberk bench: %s\n", error.text);
        return HBK_EXIT_FAILED;
    }
    return exit_status;
}
