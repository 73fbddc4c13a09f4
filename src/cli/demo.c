/* hauberk demo: two services, mutual TLS, one command. */
#include <getopt.h>
#include <stdio.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/duration.h"
#include "bench/demo.h"
#include "cli/command.h"
#include "os/isolation.h"

static const char usage[] =
    "usage: hauberk demo [--keep] [--json] [--duration D] [--rate N] [--connections N]\n"
    "\n"
    "Builds two hosts with pods on them from namespaces of its own (no root needed), runs an "
    "agent\n"
    "on each, and shows seven things, each of them checked: that services reach each other with\n"
    "the mesh and at what price, who calls, what a wire shows, what is refused, and that\n"
    "certificates rotate under load. Takes about 45 s. Exit status 1 if anything is false.\n"
    "\n"
    "  --keep            leave it running afterwards and print how to look around\n"
    "  --json            print one JSON object with all figures and checks\n"
    "  --duration D      length of each timed load (5s)\n"
    "  --rate N          its requests per second (1000)\n"
    "  --connections N   its connections (16)\n";

enum {
    OPTION_KEEP = 256,
    OPTION_JSON,
    OPTION_DURATION,
    OPTION_RATE,
    OPTION_CONNECTIONS,
    OPTION_HELP
};

enum { RATE_MAX = 100000, CONNECTIONS_MAX = 4096 };

static const struct option options[] = {
    {"keep", no_argument, NULL, OPTION_KEEP},
    {"json", no_argument, NULL, OPTION_JSON},
    {"duration", required_argument, NULL, OPTION_DURATION},
    {"rate", required_argument, NULL, OPTION_RATE},
    {"connections", required_argument, NULL, OPTION_CONNECTIONS},
    {"help", no_argument, NULL, OPTION_HELP},
    {NULL, 0, NULL, 0},
};

static bool read_count(const char *name, const char *text, unsigned max, unsigned *out_count)
{
    uint64_t count = 0;
    if (!hbk_slice_to_u64(hbk_slice_text(text), max, &count) || count == 0) {
        fprintf(stderr, "hauberk demo: --%s \"%s\": a number from 1 to %u is allowed\n", name, text,
                max);
        return false;
    }
    *out_count = (unsigned)count;
    return true;
}

static bool read_option(int code, const char *text, struct hbk_demo_options *demo)
{
    switch (code) {
    case OPTION_KEEP:
        demo->is_kept = true;
        return true;
    case OPTION_JSON:
        demo->is_json = true;
        return true;
    case OPTION_RATE:
        return read_count("rate", text, RATE_MAX, &demo->rate_rps);
    case OPTION_CONNECTIONS:
        return read_count("connections", text, CONNECTIONS_MAX, &demo->connections);
    case OPTION_DURATION:
        if (hbk_duration_parse(hbk_slice_text(text), &demo->duration_ns) &&
            demo->duration_ns >= HBK_NS_PER_S) {
            return true;
        }
        fprintf(stderr, "hauberk demo: --duration \"%s\": %s, from 1s on, is allowed\n", text,
                HBK_DURATION_SYNTAX);
        return false;
    default:
        return false;
    }
}

static int run_demo(void *argument)
{
    return hbk_demo_run(argument) ? HBK_EXIT_OK : HBK_EXIT_FAILED;
}

int hbk_command_demo(int argc, char **argv)
{
    struct hbk_demo_options demo = {
        .duration_ns = 5 * HBK_NS_PER_S,
        .rate_rps = 1000,
        .connections = 16,
        .has_user_namespace = geteuid() != 0,
    };
    for (int code; (code = getopt_long_only(argc, argv, "", options, NULL)) != -1;) {
        if (code == OPTION_HELP) {
            fputs(usage, stdout);
            return HBK_EXIT_OK;
        }
        if (!read_option(code, optarg, &demo)) {
            fputs(usage, stderr);
            return HBK_EXIT_USAGE;
        }
    }
    if (optind < argc) {
        fputs(usage, stderr);
        return HBK_EXIT_USAGE;
    }
    struct hbk_error error = {0};
    int exit_status = HBK_EXIT_FAILED;
    if (hbk_isolation_run(run_demo, &demo, &exit_status, &error) != HBK_OK) {
        fprintf(stderr, "hauberk demo: %s\n", error.text);
        return HBK_EXIT_FAILED;
    }
    return exit_status;
}
