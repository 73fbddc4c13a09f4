/* hauberk bench path: the path of a request, beside bare relays and HAProxy. */
#include <getopt.h>
#include <regex.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "bench/path.h"
#include "cli/bench_option.h"
#include "cli/command.h"

static const char usage[] =
    "usage: hauberk bench path [--json] [--seconds N] [--rounds N] [--only REGEX]\n"
    "                          [--cores AGENTS,LOAD] [--haproxy PATH] [--engine NAME]\n"
    "\n"
    "Measures the path of a request in pods of its own (no root needed): no mesh, two bare "
    "relays,\n"
    "two agents with mutual TLS, two HAProxy with mutual TLS, in turn, round after round; medians\n"
    "count. Let nothing else run meanwhile. The defaults take about eight minutes.\n"
    "\n"
    "  --seconds N    length of each measured window (2)\n"
    "  --rounds N     rounds, of which the median is told (5)\n"
    "  --only REGEX   only what matches SYSTEM/MODE/NUMBER, such as \"one-core/32$\", \"bulk\" or\n"
    "                 \"hauberk/memory\"; modes: one-core, open-loop, bulk, connect, memory\n"
    "  --cores A,L    cores of the agents and of the load (0,1)\n"
    "  --haproxy PATH HAProxy's program (/usr/sbin/haproxy)\n"
    "  --engine NAME  the agents' TLS engine: native or openssl (their default)\n"
    "  --json         an array with one object per case\n"
    "\n"
    "Ratios to the bare relays are of the CPU that a system adds to a request; goals stand beside\n"
    "them. Exit status 1 when a figure of hauberk could not be measured or a request failed.\n";

enum {
    OPTION_JSON = 256,
    OPTION_SECONDS,
    OPTION_ROUNDS,
    OPTION_ONLY,
    OPTION_CORES,
    OPTION_HAPROXY,
    OPTION_ENGINE,
};

enum { SECONDS_MAX = 120 };

static const struct option options[] = {
    {"json", no_argument, NULL, OPTION_JSON},
    {"seconds", required_argument, NULL, OPTION_SECONDS},
    {"rounds", required_argument, NULL, OPTION_ROUNDS},
    {"only", required_argument, NULL, OPTION_ONLY},
    {"cores", required_argument, NULL, OPTION_CORES},
    {"haproxy", required_argument, NULL, OPTION_HAPROXY},
    {"engine", required_argument, NULL, OPTION_ENGINE},
    {"help", no_argument, NULL, HBK_BENCH_OPTION_HELP},
    {NULL, 0, NULL, 0},
};

static bool read_engine(const char *text, struct hbk_path_options *path)
{
    if (strcmp(text, "native") == 0 || strcmp(text, "openssl") == 0) {
        path->engine = text;
        return true;
    }
    fprintf(stderr, "hauberk bench: --engine \"%s\": native or openssl is allowed\n", text);
    return false;
}

static regex_t pattern; /* of --only */

static bool read_option(int code, const char *text, void *context)
{
    struct hbk_path_options *path = context;
    uint64_t count = 0;
    switch (code) {
    case OPTION_JSON:
        path->is_json = true;
        return true;
    case OPTION_SECONDS:
        if (!hbk_bench_read_count("seconds", text, SECONDS_MAX, &count)) {
            return false;
        }
        path->measure_ns = count * HBK_NS_PER_S;
        return true;
    case OPTION_ROUNDS:
        if (!hbk_bench_read_count("rounds", text, HBK_PATH_ROUNDS_MAX, &count)) {
            return false;
        }
        path->rounds = (unsigned)count;
        return true;
    case OPTION_ONLY:
        path->only = &pattern;
        return hbk_bench_read_pattern(text, &pattern);
    case OPTION_CORES:
        return hbk_bench_read_cores(text, &path->agent_core, &path->load_core);
    case OPTION_HAPROXY:
        path->haproxy = text;
        return true;
    case OPTION_ENGINE:
        return read_engine(text, path);
    default:
        return false;
    }
}

static int run_path(void *argument)
{
    return hbk_path_run(argument) ? HBK_EXIT_OK : HBK_EXIT_FAILED;
}

int hbk_command_bench_path(int argc, char **argv)
{
    struct hbk_path_options path = {
        .measure_ns = 2 * HBK_NS_PER_S,
        .rounds = 5,
        .haproxy = "/usr/sbin/haproxy",
        .load_core = sysconf(_SC_NPROCESSORS_ONLN) > 1 ? 1 : 0,
    };
    const struct hbk_bench_command command = {
        .usage = usage, .options = options, .read_option = read_option, .context = &path};
    int exit_status = HBK_EXIT_USAGE;
    if (!hbk_bench_read_options(&command, argc, argv, &exit_status)) {
        return exit_status;
    }
    exit_status = hbk_bench_isolate(run_path, &path);
    if (path.only != NULL) {
        regfree(&pattern);
    }
    return exit_status;
}
