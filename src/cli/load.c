/* hauberk load: requests at a steady rate, and how long their answers took. */
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/duration.h"
#include "cli/command.h"
#include "load/fortio.h"
#include "load/report.h"
#include "load/run.h"
#include "os/fd.h"
#include "os/limits.h"
#include "os/signal.h"

static const char usage[] =
    "usage: hauberk load [OPTIONS] URL\n"
    "\n"
    "Sends requests to http://HOST[:PORT][/PATH] (HTTP/1.1, keep-alive) or 24-byte messages to "
    "the\n"
    "TCP echo at tcp://HOST:PORT, and prints how long the answers took. Requests leave by the "
    "clock\n"
    "whether or not earlier ones are answered, and their time counts from when they should have\n"
    "left, so that a stall of the server is seen by all whom it would have met.\n"
    "\n"
    "  -c N            connections (4); opened and tried once before the timed part\n"
    "  -qps N          requests per second over all connections (8); 0: each connection sends as\n"
    "                  soon as it has its answer (closed loop), at full speed\n"
    "  -t DURATION     length of the run (5s); 0: until interrupted\n"
    "  -n N            exactly N requests instead, without a trial\n"
    "  -H 'NAME: TEXT' header of every request; may be repeated\n"
    "  -timeout D      for connecting, for an answer, for the wait for a free connection (3s)\n"
    "  -p LIST         percentiles (50,75,90,99,99.9)\n"
    "  --threads N     threads (1)\n"
    "  --core N        pins thread i to core N+i\n"
    "  --json          the result as JSON in Fortio's schema, with more under \"hauberk\"\n"
    "\n"
    "Exit status: 0 when every request succeeded, 1 when one failed, 2 for a wrong command line.\n"
    "An interrupted run (Ctrl-C) prints what it has.\n";

enum option_code { OPTION_JSON = 256, OPTION_HELP };

static const struct option options[] = {
    {"c", required_argument, NULL, 'c'},      {"qps", required_argument, NULL, 'q'},
    {"t", required_argument, NULL, 't'},      {"n", required_argument, NULL, 'n'},
    {"H", required_argument, NULL, 'H'},      {"timeout", required_argument, NULL, 'T'},
    {"p", required_argument, NULL, 'p'},      {"threads", required_argument, NULL, 'j'},
    {"core", required_argument, NULL, 'C'},   {"json", no_argument, NULL, OPTION_JSON},
    {"help", no_argument, NULL, OPTION_HELP}, {NULL, 0, NULL, 0},
};

static hbk_status read_count(const char *name, struct hbk_slice text, uint64_t max,
                             uint64_t *out_count, struct hbk_error *error)
{
    if (!hbk_slice_to_u64(text, max, out_count)) {
        return hbk_error_set(error, HBK_INVALID,
                             "-%s \"%.*s\": a whole number from 0 to %llu is allowed", name,
                             HBK_SLICE_ARGS(text), (unsigned long long)max);
    }
    return HBK_OK;
}

static hbk_status read_duration(const char *name, struct hbk_slice text, uint64_t *out_ns,
                                struct hbk_error *error)
{
    if (!hbk_duration_parse(text, out_ns)) {
        return hbk_error_set(error, HBK_INVALID, "-%s \"%.*s\": %s is allowed", name,
                             HBK_SLICE_ARGS(text), HBK_DURATION_SYNTAX);
    }
    return HBK_OK;
}

static hbk_status read_option(int code, struct hbk_slice text, struct hbk_load_plan *plan,
                              struct hbk_error *error)
{
    uint64_t count = 0;
    hbk_status status = HBK_OK;
    switch (code) {
    case 'c':
        status = read_count("c", text, HBK_LOAD_CONNECTIONS_MAX, &count, error);
        plan->connections = (unsigned)count;
        break;
    case 'q':
        if (hbk_load_number_parse(text, HBK_LOAD_RATE_MAX, &plan->rate_per_s) != HBK_OK) {
            status =
                hbk_error_set(error, HBK_INVALID, "-qps \"%.*s\": a number from 0 to %d is allowed",
                              HBK_SLICE_ARGS(text), HBK_LOAD_RATE_MAX);
        }
        break;
    case 't':
        status = read_duration("t", text, &plan->duration_ns, error);
        break;
    case 'n':
        status = read_count("n", text, HBK_LOAD_CALLS_MAX, &plan->calls, error);
        break;
    case 'H':
        status = hbk_load_plan_add_header(plan, text, error);
        break;
    case 'T':
        status = read_duration("timeout", text, &plan->timeout_ns, error);
        break;
    case 'p':
        status = hbk_load_plan_set_percentiles(plan, text, error);
        break;
    case 'j':
        status = read_count("threads", text, HBK_LOAD_THREADS_MAX, &count, error);
        plan->threads = (unsigned)count;
        break;
    case 'C':
        status = read_count("core", text, HBK_LOAD_CORE_MAX, &count, error);
        plan->first_core = (int)count;
        break;
    default:
        status = HBK_INVALID; /* getopt has said why */
    }
    return status;
}

struct request {
    struct hbk_load_plan plan;
    bool is_json;
    bool is_help;
};

static hbk_status read_arguments(int argc, char **argv, struct request *request,
                                 struct hbk_error *error)
{
    hbk_load_plan_init(&request->plan);
    for (int code; (code = getopt_long_only(argc, argv, "", options, NULL)) != -1;) {
        if (code == OPTION_JSON) {
            request->is_json = true;
        } else if (code == OPTION_HELP) {
            request->is_help = true;
            return HBK_OK;
        } else {
            struct hbk_slice text = hbk_slice_text(optarg == NULL ? "" : optarg);
            HBK_TRY(read_option(code, text, &request->plan, error));
        }
    }
    if (optind != argc - 1) {
        return hbk_error_set(error, HBK_INVALID, "one URL is needed, %d were given", argc - optind);
    }
    hbk_status status =
        hbk_load_target_parse(hbk_slice_text(argv[optind]), &request->plan.target, error);
    if (status != HBK_OK) {
        hbk_error_prefix(error, "URL \"%s\"", argv[optind]);
        return status;
    }
    return hbk_load_plan_check(&request->plan, error);
}

static int print_result(const struct request *request, const struct hbk_load_result *result)
{
    if (request->is_json) {
        char *text = hbk_fortio_text(&request->plan, result);
        if (text == NULL) {
            fputs("hauberk load: out of memory\n", stderr);
            return HBK_EXIT_FAILED;
        }
        puts(text);
        free(text);
    } else {
        hbk_load_report(&request->plan, result, stdout);
    }
    if (fflush(stdout) != 0 || ferror(stdout) != 0) {
        fputs("hauberk load: the result could not be written\n", stderr);
        return HBK_EXIT_FAILED;
    }
    return hbk_load_result_failures(result) == 0 ? HBK_EXIT_OK : HBK_EXIT_FAILED;
}

static int run(const struct request *request)
{
    static const int signals[] = {SIGINT, SIGTERM};
    struct hbk_error error = {0};
    struct hbk_load_result result;
    HBK_CLEANUP(hbk_fd_close) int signal_fd = -1;
    uint64_t files_max;
    if (hbk_limits_raise_open_files(&files_max) != HBK_OK) {
        fputs("hauberk load: the limit of open files could not be raised\n", stderr);
    }
    hbk_status status = hbk_signal_open(signals, HBK_COUNT(signals), &signal_fd);
    if (status == HBK_OK) {
        status = hbk_load_run(&request->plan, signal_fd, &result, &error);
    }
    if (status != HBK_OK) {
        fprintf(stderr, "hauberk load: %s\n",
                error.status == HBK_OK ? hbk_status_text(status) : error.text);
        return HBK_EXIT_FAILED;
    }
    int exit_status = print_result(request, &result);
    hbk_load_result_fini(&result);
    return exit_status;
}

int hbk_command_load(int argc, char **argv)
{
    struct request request = {0};
    struct hbk_error error = {0};
    if (read_arguments(argc, argv, &request, &error) != HBK_OK) {
        if (error.status != HBK_OK) {
            fprintf(stderr, "hauberk load: %s\n", error.text);
        }
        fputs("try: hauberk load --help\n", stderr);
        return HBK_EXIT_USAGE;
    }
    if (request.is_help) {
        fputs(usage, stdout);
        return HBK_EXIT_OK;
    }
    return run(&request);
}
