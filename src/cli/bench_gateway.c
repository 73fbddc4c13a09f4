/* hauberk bench gateway: the gateway beside HAProxy, nginx and Envoy. */
#include <getopt.h>
#include <regex.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "bench/gateway.h"
#include "cli/bench_option.h"
#include "cli/command.h"

static const char usage[] =
    "usage: hauberk bench gateway [--json] [--seconds N] [--rounds N] [--only REGEX]\n"
    "                             [--cores PROXY,LOAD] [--haproxy PATH] [--nginx PATH]\n"
    "                             [--envoy PATH] [--quick]\n"
    "\n"
    "Measures the gateway beside HAProxy, nginx and Envoy, each on one core with the same\n"
    "certificate, loaded by `hauberk load` on another, in turn, round after round, in a network\n"
    "of its own (no root needed). CPU is the kernel's accounting of the proxy's processes; "
    "medians\n"
    "count. Let nothing else run meanwhile. The defaults take about ten minutes.\n"
    "\n"
    "  --seconds N    length of each loaded window (3); of the rows of latency it is 10\n"
    "  --rounds N     rounds, of which the median is told (5)\n"
    "  --only REGEX   rows: rsa, mutual, tls12, latency, half-load, proxied, idle, many, lists\n"
    "  --cores P,L    cores of the proxy and of the load (0,1)\n"
    "  --haproxy, --nginx, --envoy PATH   programs that are not in their usual places\n"
    "  --quick        one round, short and small: shows that it works, and no figures for claims\n"
    "  --json         one object: machine, proxies, figures, targets\n"
    "\n"
    "Targets stand below the figures, met or missed. Exit status 1 when a figure of hauberk could\n"
    "not be measured.\n";

enum {
    OPTION_JSON = 256,
    OPTION_SECONDS,
    OPTION_ROUNDS,
    OPTION_ONLY,
    OPTION_CORES,
    OPTION_HAPROXY,
    OPTION_NGINX,
    OPTION_ENVOY,
    OPTION_QUICK,
};

enum { SECONDS_MAX = 120, WINDOW_MS = 3000, QUICK_WINDOW_MS = 500, ROUNDS = 5 };

static const struct option options[] = {
    {"json", no_argument, NULL, OPTION_JSON},
    {"seconds", required_argument, NULL, OPTION_SECONDS},
    {"rounds", required_argument, NULL, OPTION_ROUNDS},
    {"only", required_argument, NULL, OPTION_ONLY},
    {"cores", required_argument, NULL, OPTION_CORES},
    {"haproxy", required_argument, NULL, OPTION_HAPROXY},
    {"nginx", required_argument, NULL, OPTION_NGINX},
    {"envoy", required_argument, NULL, OPTION_ENVOY},
    {"quick", no_argument, NULL, OPTION_QUICK},
    {"help", no_argument, NULL, HBK_BENCH_OPTION_HELP},
    {NULL, 0, NULL, 0},
};

static regex_t pattern; /* of --only */

static bool read_option(int code, const char *text, void *context)
{
    struct hbk_gateway_options *gateway = context;
    uint64_t count = 0;
    switch (code) {
    case OPTION_JSON:
        gateway->is_json = true;
        return true;
    case OPTION_SECONDS:
        if (!hbk_bench_read_count("seconds", text, SECONDS_MAX, &count)) {
            return false;
        }
        gateway->window_ms = (unsigned)count * 1000;
        return true;
    case OPTION_ROUNDS:
        if (!hbk_bench_read_count("rounds", text, HBK_GATEWAY_ROUNDS_MAX, &count)) {
            return false;
        }
        gateway->rounds = (unsigned)count;
        return true;
    case OPTION_ONLY:
        gateway->only = &pattern;
        return hbk_bench_read_pattern(text, &pattern);
    case OPTION_CORES:
        return hbk_bench_read_cores(text, &gateway->proxy_core, &gateway->load_core);
    case OPTION_HAPROXY:
        gateway->binaries[HBK_GATEWAY_HAPROXY] = text;
        return true;
    case OPTION_NGINX:
        gateway->binaries[HBK_GATEWAY_NGINX] = text;
        return true;
    case OPTION_ENVOY:
        gateway->binaries[HBK_GATEWAY_ENVOY] = text;
        return true;
    case OPTION_QUICK:
        gateway->is_quick = true;
        gateway->window_ms = QUICK_WINDOW_MS;
        gateway->rounds = 1;
        return true;
    default:
        return false; /* getopt has said why */
    }
}

static int run_gateway(void *argument)
{
    return hbk_gateway_bench_run(argument) ? HBK_EXIT_OK : HBK_EXIT_FAILED;
}

int hbk_command_bench_gateway(int argc, char **argv)
{
    struct hbk_gateway_options gateway = {
        .window_ms = WINDOW_MS,
        .rounds = ROUNDS,
        .load_core = sysconf(_SC_NPROCESSORS_ONLN) > 1 ? 1 : 0,
    };
    const struct hbk_bench_command command = {
        .usage = usage, .options = options, .read_option = read_option, .context = &gateway};
    int exit_status = HBK_EXIT_USAGE;
    if (!hbk_bench_read_options(&command, argc, argv, &exit_status)) {
        return exit_status;
    }
    exit_status = hbk_bench_isolate(run_gateway, &gateway);
    if (gateway.only != NULL) {
        regfree(&pattern);
    }
    return exit_status;
}
