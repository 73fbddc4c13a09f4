/* hauberk bench handshakes: tunnels to an agent, with each TLS engine. */
#include <getopt.h>
#include <stdio.h>
#include <unistd.h>

#include "base/clock.h"
#include "bench/node_handshake.h"
#include "cli/bench_option.h"
#include "cli/command.h"

static const char usage[] =
    "usage: hauberk bench handshakes [--json] [--seconds N] [--rounds N] [--cores AGENTS,LOAD]\n"
    "\n"
    "Full mutual handshakes through `hauberk node`, in pods of its own (no root needed): how many\n"
    "an agent accepts for a second of a core with each TLS engine, and what 1,000 of them a "
    "second\n"
    "do to the requests of others. The engines take turns, round after round; medians count. Let\n"
    "nothing else run meanwhile. The defaults take about one and a half minutes.\n"
    "\n"
    "  --seconds N  length of each measured window (3)\n"
    "  --rounds N   rounds, of which the median is told (5)\n"
    "  --cores A,L  cores of the agents and of the load (0,1)\n"
    "  --json       an array with one object per engine and mode; an engine null has nothing "
    "beside\n"
    "\n"
    "Exit status 1 when a figure could not be measured, or a handshake or request failed.\n";

enum { OPTION_JSON = 256, OPTION_SECONDS, OPTION_ROUNDS, OPTION_CORES, OPTION_HELP };

enum { SECONDS_MAX = 60 };

static const struct option options[] = {
    {"json", no_argument, NULL, OPTION_JSON},
    {"seconds", required_argument, NULL, OPTION_SECONDS},
    {"rounds", required_argument, NULL, OPTION_ROUNDS},
    {"cores", required_argument, NULL, OPTION_CORES},
    {"help", no_argument, NULL, HBK_BENCH_OPTION_HELP},
    {NULL, 0, NULL, 0},
};

static bool read_option(int code, const char *text, void *context)
{
    struct hbk_node_handshake_options *bench = context;
    uint64_t count = 0;
    switch (code) {
    case OPTION_JSON:
        bench->is_json = true;
        return true;
    case OPTION_SECONDS:
        if (!hbk_bench_read_count("seconds", text, SECONDS_MAX, &count)) {
            return false;
        }
        bench->measure_ns = count * HBK_NS_PER_S;
        return true;
    case OPTION_ROUNDS:
        if (!hbk_bench_read_count("rounds", text, HBK_NODE_HANDSHAKE_ROUNDS_MAX, &count)) {
            return false;
        }
        bench->rounds = (unsigned)count;
        return true;
    case OPTION_CORES:
        return hbk_bench_read_cores(text, &bench->agent_core, &bench->load_core);
    default:
        return false;
    }
}

static int run(void *argument)
{
    return hbk_node_handshake_run(argument) ? HBK_EXIT_OK : HBK_EXIT_FAILED;
}

int hbk_command_bench_handshakes(int argc, char **argv)
{
    struct hbk_node_handshake_options bench = {
        .measure_ns = 3 * HBK_NS_PER_S,
        .rounds = 5,
        .load_core = sysconf(_SC_NPROCESSORS_ONLN) > 1 ? 1 : 0,
    };
    const struct hbk_bench_command command = {
        .usage = usage, .options = options, .read_option = read_option, .context = &bench};
    int exit_status = HBK_EXIT_USAGE;
    if (!hbk_bench_read_options(&command, argc, argv, &exit_status)) {
        return exit_status;
    }
    return hbk_bench_isolate(run, &bench);
}
