/* hauberk gateway: terminates TLS and routes HTTP from an Envoy bootstrap. */
#include <getopt.h>
#include <stdio.h>
#include <string.h>

#include "cli/command.h"
#include "config/bootstrap.h"

static const char usage[] =
    "usage: hauberk gateway -c FILE --mode validate [OPTIONS]\n"
    "\n"
    "Reads an Envoy bootstrap (docs/envoy-compatibility.md) and says all that is wrong with it.\n"
    "\n"
    "  -c, --config-path FILE          the bootstrap, YAML or JSON\n"
    "      --config-yaml TEXT          laid over the file: mappings merge, lists are joined\n"
    "      --mode validate             only read the configuration\n"
    "      --allow-unknown-static-fields   unknown fields are warnings\n"
    "\n"
    "Exit status: 0, 1 when the configuration is wrong, 2 for a wrong command line.\n";

enum option_code {
    OPTION_YAML = 256,
    OPTION_MODE,
    OPTION_UNKNOWN,
    OPTION_HELP,
};

static const struct option options[] = {
    {"config-path", required_argument, NULL, 'c'},
    {"config-yaml", required_argument, NULL, OPTION_YAML},
    {"mode", required_argument, NULL, OPTION_MODE},
    {"allow-unknown-static-fields", no_argument, NULL, OPTION_UNKNOWN},
    {"help", no_argument, NULL, OPTION_HELP},
    {NULL, 0, NULL, 0},
};

static void print_report(const struct hbk_report *report, const char *mark)
{
    for (size_t i = 0; i < report->count; i++) {
        fprintf(stderr, "%s%s\n", mark, report->lines[i]);
    }
    if (report->dropped > 0) {
        fprintf(stderr, "... and %zu more\n", report->dropped);
    }
}

static int validate(const struct hbk_bootstrap_options *settings)
{
    static struct hbk_report report, warnings;
    struct hbk_gw_config *config = NULL;
    hbk_status status = hbk_bootstrap_load(settings, &config, &report, &warnings);
    print_report(&warnings, "warning: ");
    print_report(&report, "");
    if (status != HBK_OK) {
        if (report.count == 0) {
            fprintf(stderr, "hauberk gateway: %s\n", hbk_status_text(status));
        }
        return HBK_EXIT_FAILED;
    }
    printf("configuration '%s' OK\n", settings->path != NULL ? settings->path : "--config-yaml");
    hbk_gw_config_unref(config);
    return HBK_EXIT_OK;
}

int hbk_command_gateway(int argc, char **argv)
{
    struct hbk_bootstrap_options settings = {0};
    const char *mode = "serve";
    optind = 1;
    for (int code; (code = getopt_long(argc, argv, "c:", options, NULL)) != -1;) {
        switch (code) {
        case 'c':
            settings.path = optarg;
            break;
        case OPTION_YAML:
            settings.yaml = optarg;
            break;
        case OPTION_MODE:
            mode = optarg;
            break;
        case OPTION_UNKNOWN:
            settings.allows_unknown = true;
            break;
        case OPTION_HELP:
            fputs(usage, stdout);
            return HBK_EXIT_OK;
        default:
            return HBK_EXIT_USAGE;
        }
    }
    if (optind < argc || (settings.path == NULL && settings.yaml == NULL)) {
        fputs(usage, stderr);
        return HBK_EXIT_USAGE;
    }
    if (strcmp(mode, "validate") != 0) {
        fprintf(stderr, "hauberk gateway: --mode %s is not supported yet; allowed: validate\n",
                mode);
        return HBK_EXIT_USAGE;
    }
    return validate(&settings);
}
