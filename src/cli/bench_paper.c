/* hauberk bench paper: the paper's tables and figures on this machine. */
#include <getopt.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/duration.h"
#include "cli/bench_option.h"
#include "cli/command.h"
#include "os/isolation.h"
#include "os/limits.h"
#include "paper/paper.h"

static const char usage[] =
    "usage: hauberk bench paper [--quick | --full] [OPTIONS] -o DIR\n"
    "\n"
    "Repeats \"Performance Comparison of Service Mesh Frameworks: the mTLS Test Case\" (arXiv\n"
    "2411.02267) in namespaces of its own and writes results.json, results.csv and report.html.\n"
    "Let nothing else run meanwhile. An interrupted series (Ctrl-C) goes on with --resume.\n"
    "\n"
    "  --quick         under ten minutes: Tables I and II, Figures 6 to 8, three blocks (default)\n"
    "  --full          the whole matrix with runs of 300 s, three blocks: nearly three days with\n"
    "                  all systems; the plan is printed first\n"
    "  --only LIST     of table1, table2, fig2 to fig12, pods\n"
    "  --systems LIST  of baseline, baseline-mtls, node, sidecar-tcp, sidecar-l7, haproxy, nginx,\n"
    "                  envoy, wireguard, ztunnel, fortio, and files NAME.yaml (docs/bench.md);\n"
    "                  all that are there; with a switch turned, for Figures 7 and 8 and the "
    "table\n"
    "                  of features: node-plain, node-no-gather, sidecar-l7-log, -l7-plain,\n"
    "                  -l7-quiet, -tcp-plain, -tcp-quiet\n"
    "  --binary NAME=PATH  the program of a system; of ours: another build\n"
    "  --blocks N      blocks: every system once in each cell, in random order; a claim needs\n"
    "                  10, whatever the mode\n"
    "  --duration D    length of each run\n"
    "  --pause D       between two runs (0; with --full 10s)\n"
    "  --cores A,L     cores of the agents and of client and server (0,1)\n"
    "  --seed N        of the order\n"
    "  --resume        goes on with what is in DIR\n"
    "  -o DIR          where results go\n";

enum {
    OPTION_QUICK = 256,
    OPTION_FULL,
    OPTION_ONLY,
    OPTION_SYSTEMS,
    OPTION_BINARY,
    OPTION_BLOCKS,
    OPTION_DURATION,
    OPTION_PAUSE,
    OPTION_CORES,
    OPTION_SEED,
    OPTION_RESUME,
    OPTION_HELP,
};

enum { DURATION_MS_MIN = 500, DURATION_MS_MAX = 3600000, CORES_MAX = 1023 };

static const struct option options[] = {
    {"quick", no_argument, NULL, OPTION_QUICK},
    {"full", no_argument, NULL, OPTION_FULL},
    {"only", required_argument, NULL, OPTION_ONLY},
    {"systems", required_argument, NULL, OPTION_SYSTEMS},
    {"binary", required_argument, NULL, OPTION_BINARY},
    {"blocks", required_argument, NULL, OPTION_BLOCKS},
    {"duration", required_argument, NULL, OPTION_DURATION},
    {"pause", required_argument, NULL, OPTION_PAUSE},
    {"cores", required_argument, NULL, OPTION_CORES},
    {"seed", required_argument, NULL, OPTION_SEED},
    {"resume", no_argument, NULL, OPTION_RESUME},
    {"help", no_argument, NULL, OPTION_HELP},
    {NULL, 0, NULL, 0},
};

static bool complain(const char *option, const char *text, const char *allowed)
{
    fprintf(stderr, "hauberk bench paper: %s \"%s\": %s is allowed\n", option, text, allowed);
    return false;
}

static bool read_items(const char *text, unsigned *out_items)
{
    static const char allowed[] = "a list of table1, table2, fig2 to fig12, pods";
    unsigned items = 0;
    for (const char *rest = text; *rest != '\0';) {
        size_t size = strcspn(rest, ",");
        unsigned found = 0;
        for (unsigned i = 0; i < HBK_PAPER_ITEMS; i++) {
            const char *name = hbk_paper_item_names[i];
            bool is_it = strlen(name) == size && strncmp(name, rest, size) == 0;
            found |= is_it ? 1u << i : 0;
        }
        if (found == 0) {
            return complain("--only", text, allowed);
        }
        items |= found;
        rest += size + (rest[size] == ',' ? 1 : 0);
    }
    *out_items = items;
    return items != 0 || complain("--only", text, allowed);
}

static bool read_number(const char *option, const char *text, uint64_t min, uint64_t max,
                        const char *allowed, uint64_t *out_number)
{
    return (hbk_slice_to_u64(hbk_slice_text(text), max, out_number) && *out_number >= min) ||
           complain(option, text, allowed);
}

static bool read_ms(const char *option, const char *text, unsigned min, unsigned *out_ms)
{
    uint64_t ns = 0;
    if (!hbk_duration_parse(hbk_slice_text(text), &ns) || ns / HBK_NS_PER_MS < min ||
        ns / HBK_NS_PER_MS > DURATION_MS_MAX) {
        return complain(option, text, min > 0 ? "500ms to 1h" : "0 to 1h");
    }
    *out_ms = (unsigned)(ns / HBK_NS_PER_MS);
    return true;
}

static bool read_cores(const char *text, struct hbk_paper_options *paper)
{
    unsigned agents = 0, load = 0;
    char rest = 0;
    if (sscanf(text, "%4u,%4u%c", &agents, &load, &rest) != 2 || agents > CORES_MAX ||
        load > CORES_MAX) {
        return complain("--cores", text, "two numbers such as 0,1");
    }
    paper->agent_core = agents;
    paper->load_core = load;
    return hbk_bench_has_core(agents) && hbk_bench_has_core(load);
}

/* Flat: one case per option. */
static bool read_option(int code, const char *text, struct hbk_paper_options *paper)
{
    uint64_t number = 0;
    switch (code) {
    case OPTION_QUICK:
    case OPTION_FULL:
        if (paper->is_quick || paper->is_full) {
            fputs("hauberk bench paper: --quick or --full is allowed, once\n", stderr);
            return false;
        }
        paper->is_full = code == OPTION_FULL;
        paper->is_quick = code == OPTION_QUICK;
        return true;
    case OPTION_ONLY:
        return read_items(text, &paper->items);
    case OPTION_SYSTEMS:
        paper->systems = text;
        return true;
    case OPTION_BINARY:
        if (strchr(text, '=') == NULL || paper->binary_count == HBK_PAPER_BINARIES_MAX) {
            return complain("--binary", text, "NAME=PATH, at most eight times,");
        }
        paper->binaries[paper->binary_count++] = text;
        return true;
    case OPTION_BLOCKS:
        if (!read_number("--blocks", text, 1, HBK_PAPER_BLOCKS_MAX, "1 to 100", &number)) {
            return false;
        }
        paper->blocks = (unsigned)number;
        return true;
    case OPTION_DURATION:
        return read_ms("--duration", text, DURATION_MS_MIN, &paper->duration_ms);
    case OPTION_PAUSE:
        return read_ms("--pause", text, 0, &paper->pause_ms);
    case OPTION_CORES:
        return read_cores(text, paper);
    case OPTION_SEED:
        return read_number("--seed", text, 0, INT64_MAX, "a whole number", &paper->seed);
    case OPTION_RESUME:
        paper->is_resumed = true;
        return true;
    case 'o':
        paper->directory = text;
        return true;
    default:
        return false; /* getopt has said why */
    }
}

static void keep_command(int argc, char **argv, char *out_text, size_t bytes_max)
{
    size_t size = 0;
    for (int i = 0; i < argc && size + 1 < bytes_max; i++) {
        size += (size_t)snprintf(out_text + size, bytes_max - size, i > 0 ? " %s" : "%s", argv[i]);
    }
}

static int run_paper(void *argument)
{
    return hbk_paper_run(argument) ? HBK_EXIT_OK : HBK_EXIT_FAILED;
}

int hbk_command_bench_paper(int argc, char **argv)
{
    static char command[1024];
    struct hbk_error error = {0};
    int exit_status = HBK_EXIT_FAILED;
    uint64_t files_max;
    struct hbk_paper_options paper = {
        .items = HBK_ALL_ITEMS,
        .load_core = sysconf(_SC_NPROCESSORS_ONLN) > 1 ? 1 : 0,
        .pause_ms = UINT32_MAX,
        .seed = 1,
        .command = command,
    };
    keep_command(argc, argv, command, sizeof command);
    for (int code; (code = getopt_long(argc, argv, "o:", options, NULL)) != -1;) {
        if (code == OPTION_HELP) {
            fputs(usage, stdout);
            return HBK_EXIT_OK;
        }
        if (!read_option(code, optarg, &paper)) {
            fputs("try: hauberk bench paper --help\n", stderr);
            return HBK_EXIT_USAGE;
        }
    }
    if (optind < argc || paper.directory == NULL) {
        fputs(usage, stderr);
        return HBK_EXIT_USAGE;
    }
    paper.pause_ms = paper.pause_ms != UINT32_MAX ? paper.pause_ms
                     : paper.is_full              ? HBK_PAPER_FULL_PAUSE_MS
                                                  : 0;
    (void)!hbk_limits_raise_open_files(&files_max);
    if (hbk_isolation_run(run_paper, &paper, &exit_status, &error) != HBK_OK) {
        fprintf(stderr, "hauberk bench: %s\n", error.text);
        return HBK_EXIT_FAILED;
    }
    return exit_status;
}
