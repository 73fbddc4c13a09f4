/* hauberk bench compare: two series of bench paper against each other. */
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>

#include "cli/command.h"
#include "paper/compare.h"

static const char usage[] =
    "usage: hauberk bench compare [--tolerance PERCENT] [--json] BEFORE AFTER\n"
    "\n"
    "Ratios AFTER/BEFORE, with 95 % intervals, of what both directories of `bench paper` have: "
    "CPU\n"
    "and private memory of each side, P99, time per request at full speed. Above 1 is worse.\n"
    "\n"
    "Exit status 3 when an interval lies wholly above 1 + PERCENT (10), 1 when nothing could be\n"
    "compared.\n";

int hbk_command_bench_compare(int argc, char **argv)
{
    static const struct option options[] = {{"tolerance", required_argument, NULL, 't'},
                                            {"json", no_argument, NULL, 'j'},
                                            {"help", no_argument, NULL, 'h'},
                                            {NULL, 0, NULL, 0}};
    struct hbk_compare_options compare = {.tolerance = 0.1};
    enum hbk_compare_answer answer = HBK_COMPARE_GOOD;
    struct hbk_error error = {0};
    for (int code; (code = getopt_long(argc, argv, "", options, NULL)) != -1;) {
        char *end = NULL;
        switch (code) {
        case 'j':
            compare.is_json = true;
            break;
        case 't':
            compare.tolerance = strtod(optarg, &end) / 100;
            if (*end != '\0' || end == optarg || !(compare.tolerance >= 0)) {
                fprintf(stderr,
                        "hauberk bench compare: --tolerance \"%s\": a number of percent "
                        "from 0 on is allowed\n",
                        optarg);
                return HBK_EXIT_USAGE;
            }
            break;
        case 'h':
            fputs(usage, stdout);
            return HBK_EXIT_OK;
        default:
            return HBK_EXIT_USAGE; /* getopt has said why */
        }
    }
    if (optind + 2 != argc) {
        fputs(usage, stderr);
        return HBK_EXIT_USAGE;
    }
    compare.before = argv[optind];
    compare.after = argv[optind + 1];
    if (hbk_compare_run(&compare, &answer, &error) != HBK_OK) {
        fprintf(stderr, "hauberk bench compare: %s\n", error.text);
        return HBK_EXIT_FAILED;
    }
    return answer == HBK_COMPARE_GOOD ? HBK_EXIT_OK : HBK_EXIT_THRESHOLD;
}
