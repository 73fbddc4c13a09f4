/* hauberk gateway: routes HTTP and TCP by an Envoy bootstrap. */
#include <errno.h>
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/log_pattern.h"
#include "cli/batch_option.h"
#include "cli/command.h"
#include "gateway/gateway.h"
#include "os/fd.h"
#include "runtime/worker.h"

static const char usage[] =
    "usage: hauberk gateway -c FILE [OPTIONS]\n"
    "\n"
    "Serves an Envoy bootstrap (docs/envoy-compatibility.md). The options are Envoy's.\n"
    "\n"
    "  -c, --config-path FILE            the bootstrap, YAML or JSON\n"
    "      --config-yaml TEXT            laid over the file: mappings merge, lists are joined\n"
    "      --mode serve|validate         validate: only read the configuration\n"
    "      --allow-unknown-static-fields unknown fields are warnings\n"
    "      --concurrency N               workers (one per processor)\n"
    "      --cpuset-threads              the same, of this process' own set of processors\n"
    "  -l, --log-level LEVEL             trace, debug, info, warning, error, critical or off\n"
    "      --component-log-level LIST    target:level,...\n"
    "      --log-path FILE               the log goes there instead of standard error\n"
    "      --log-format FORMAT           of lines, as spdlog's patterns: [%Y-%m-%d %T.%e][%l] %v\n"
    "      --file-flush-interval-msec N  of access logs (10000)\n"
    "      --drain-time-s N              the longest time that connections have to end (600)\n"
    "      --drain-strategy gradual|immediate\n"
    "      --admin-address-path FILE     gets the address of the admin port\n"
    "      --service-node ID, --service-cluster NAME\n"
    "      --local-address-ip-version v4|v6, --disable-hot-restart, --base-id N,\n"
    "      --restart-epoch 0, --parent-shutdown-time-s N   taken, without effect\n"
    "      --version\n"
    "\n"
    "Not of Envoy:\n"
    "\n" HBK_BATCH_OPTION_USAGE "\n"
    "SIGTERM stops accepting, lets connections end, and ends the program; a second one ends it at\n"
    "once. Exit status: 0, 1 when it could not start, 2 for a wrong command line.\n";

enum option_code {
    OPTION_YAML = 256,
    OPTION_MODE,
    OPTION_UNKNOWN,
    OPTION_CONCURRENCY,
    OPTION_CPUSET,
    OPTION_COMPONENTS,
    OPTION_LOG_PATH,
    OPTION_LOG_FORMAT,
    OPTION_FLUSH,
    OPTION_DRAIN,
    OPTION_STRATEGY,
    OPTION_ADMIN_PATH,
    OPTION_NODE,
    OPTION_CLUSTER,
    OPTION_IP_VERSION,
    OPTION_IGNORED_VALUE,
    OPTION_IGNORED,
    OPTION_EPOCH,
    OPTION_VERSION,
    OPTION_HELP,
};

static const struct option options[] = {
    {"config-path", required_argument, NULL, 'c'},
    {"config-yaml", required_argument, NULL, OPTION_YAML},
    {"mode", required_argument, NULL, OPTION_MODE},
    {"allow-unknown-static-fields", no_argument, NULL, OPTION_UNKNOWN},
    {"concurrency", required_argument, NULL, OPTION_CONCURRENCY},
    {"cpuset-threads", no_argument, NULL, OPTION_CPUSET},
    {"log-level", required_argument, NULL, 'l'},
    {"component-log-level", required_argument, NULL, OPTION_COMPONENTS},
    {"log-path", required_argument, NULL, OPTION_LOG_PATH},
    {"log-format", required_argument, NULL, OPTION_LOG_FORMAT},
    {"file-flush-interval-msec", required_argument, NULL, OPTION_FLUSH},
    {"drain-time-s", required_argument, NULL, OPTION_DRAIN},
    {"drain-strategy", required_argument, NULL, OPTION_STRATEGY},
    {"admin-address-path", required_argument, NULL, OPTION_ADMIN_PATH},
    {"service-node", required_argument, NULL, OPTION_NODE},
    {"service-cluster", required_argument, NULL, OPTION_CLUSTER},
    {"local-address-ip-version", required_argument, NULL, OPTION_IP_VERSION},
    {"base-id", required_argument, NULL, OPTION_IGNORED_VALUE},
    {"parent-shutdown-time-s", required_argument, NULL, OPTION_IGNORED_VALUE},
    {"restart-epoch", required_argument, NULL, OPTION_EPOCH},
    {"disable-hot-restart", no_argument, NULL, OPTION_IGNORED},
    {"version", no_argument, NULL, OPTION_VERSION},
    HBK_BATCH_OPTION_ROWS,
    {"help", no_argument, NULL, OPTION_HELP},
    {NULL, 0, NULL, 0},
};

struct settings {
    struct hbk_batch_choice batch;
    struct hbk_gateway_options gateway;
    const char *mode, *log_path;
    bool is_help, is_version;
};

static hbk_status read_number(const char *name, const char *text, uint64_t most,
                              uint64_t *out_number, struct hbk_error *error)
{
    if (!hbk_slice_to_u64(hbk_slice_text(text), most, out_number)) {
        return hbk_error_set(error, HBK_INVALID,
                             "--%s \"%s\": a whole number from 0 to %llu is allowed", name, text,
                             (unsigned long long)most);
    }
    return HBK_OK;
}

static hbk_status read_level(struct hbk_slice text, enum hbk_log_level *out_level,
                             struct hbk_error *error)
{
    if (hbk_log_level_from_text(text, out_level)) {
        return HBK_OK;
    }
    return hbk_error_set(error, HBK_INVALID,
                         "log level \"%.*s\": trace, debug, info, warning, error, critical or off "
                         "is allowed",
                         HBK_SLICE_ARGS(text));
}

/* "upstream:debug,http:info" */
static hbk_status read_components(struct hbk_slice list, struct hbk_error *error)
{
    while (list.size > 0) {
        size_t end = list.size, colon = 0;
        (void)hbk_slice_find(list, ',', &end);
        struct hbk_slice pair = hbk_slice_part(list, 0, end);
        list = hbk_slice_part(list, end + 1, list.size);
        enum hbk_log_level level;
        if (!hbk_slice_find(pair, ':', &colon)) {
            return hbk_error_set(error, HBK_INVALID,
                                 "--component-log-level \"%.*s\": name:level is allowed",
                                 HBK_SLICE_ARGS(pair));
        }
        HBK_TRY(read_level(hbk_slice_part(pair, colon + 1, pair.size), &level, error));
        if (hbk_log_set_target_level(hbk_slice_part(pair, 0, colon), level) != HBK_OK) {
            return hbk_error_set(error, HBK_LIMIT, "--component-log-level: too many components");
        }
    }
    return HBK_OK;
}

static hbk_status read_concurrency(const char *text, unsigned *out_workers, struct hbk_error *error)
{
    uint64_t workers = 0;
    HBK_TRY(read_number("concurrency", text, HBK_WORKERS_MAX, &workers, error));
    *out_workers = workers == 0 ? 1 : (unsigned)workers;
    return HBK_OK;
}

static hbk_status read_times(struct hbk_gateway_options *gateway, int code, const char *value,
                             struct hbk_error *error)
{
    uint64_t number = 0;
    if (code == OPTION_FLUSH) {
        HBK_TRY(read_number("file-flush-interval-msec", value, 3600000, &number, error));
        gateway->log_flush_ns = number == 0 ? 1 : number * HBK_NS_PER_MS;
        return HBK_OK;
    }
    if (code == OPTION_DRAIN) {
        HBK_TRY(read_number("drain-time-s", value, 86400, &number, error));
        gateway->drain_ns = number * HBK_NS_PER_S;
        return HBK_OK;
    }
    bool is_immediate = strcmp(value, "immediate") == 0;
    if (!is_immediate && strcmp(value, "gradual") != 0) {
        return hbk_error_set(error, HBK_INVALID,
                             "--drain-strategy \"%s\": gradual or immediate is allowed", value);
    }
    gateway->drains_immediately = is_immediate;
    return HBK_OK;
}

/* flat: one case per option */
static hbk_status read_option(struct settings *settings, int code, const char *value,
                              struct hbk_error *error)
{
    struct hbk_gateway_options *gateway = &settings->gateway;
    enum hbk_log_level level;
    uint64_t number = 0;
    switch (code) {
    case 'c':
        gateway->bootstrap.path = value;
        return HBK_OK;
    case 'l':
        HBK_TRY(read_level(hbk_slice_text(value), &level, error));
        hbk_log_set_level(level);
        return HBK_OK;
    case OPTION_YAML:
        gateway->bootstrap.yaml = value;
        return HBK_OK;
    case OPTION_MODE:
        settings->mode = value;
        return HBK_OK;
    case OPTION_UNKNOWN:
        gateway->bootstrap.allows_unknown = true;
        return HBK_OK;
    case OPTION_CONCURRENCY:
        return read_concurrency(value, &gateway->workers, error);
    case OPTION_CPUSET:
        gateway->workers = hbk_gateway_workers_default();
        return HBK_OK;
    case OPTION_COMPONENTS:
        return read_components(hbk_slice_text(value), error);
    case OPTION_LOG_PATH:
        settings->log_path = value;
        return HBK_OK;
    case OPTION_LOG_FORMAT:
        if (hbk_log_pattern_check(hbk_slice_text(value), error) != HBK_OK) {
            hbk_error_prefix(error, "--log-format \"%s\"", value);
            return HBK_INVALID;
        }
        hbk_log_set_pattern(value);
        return HBK_OK;
    case OPTION_FLUSH:
    case OPTION_DRAIN:
    case OPTION_STRATEGY:
        return read_times(gateway, code, value, error);
    case OPTION_ADMIN_PATH:
        gateway->admin_address_path = value;
        return HBK_OK;
    case OPTION_NODE:
        gateway->service_node = value;
        return HBK_OK;
    case OPTION_CLUSTER:
        gateway->service_cluster = value;
        return HBK_OK;
    case OPTION_EPOCH:
        HBK_TRY(read_number("restart-epoch", value, UINT32_MAX, &number, error));
        return number == 0
                   ? HBK_OK
                   : hbk_error_set(error, HBK_UNSUPPORTED,
                                   "--restart-epoch %s: hot restart is not supported yet", value);
    case OPTION_IP_VERSION: /* of an address that nothing here tells */
        return strcmp(value, "v4") == 0 || strcmp(value, "v6") == 0
                   ? HBK_OK
                   : hbk_error_set(error, HBK_INVALID,
                                   "--local-address-ip-version \"%s\": v4 and v6 are allowed",
                                   value);
    case OPTION_IGNORED_VALUE:
    case OPTION_IGNORED:
        return HBK_OK;
    case OPTION_VERSION:
        settings->is_version = true;
        return HBK_OK;
    case OPTION_HELP:
        settings->is_help = true;
        return HBK_OK;
    default:
        return hbk_error_set(error, HBK_INVALID, "see hauberk gateway --help");
    }
}

static hbk_status read_arguments(struct settings *settings, int argc, char **argv,
                                 struct hbk_error *error)
{
    optind = 1;
    for (int code; (code = getopt_long(argc, argv, "c:l:", options, NULL)) != -1;) {
        HBK_TRY(hbk_batch_option_is(code)
                    ? hbk_batch_choice_read(&settings->batch, code, optarg, error)
                    : read_option(settings, code, optarg, error));
    }
    if (settings->is_help || settings->is_version) {
        return HBK_OK;
    }
    HBK_TRY(hbk_batch_choice_check(&settings->batch, error));
    if (optind < argc) {
        return hbk_error_set(error, HBK_INVALID, "\"%s\" is no option", argv[optind]);
    }
    if (settings->gateway.bootstrap.path == NULL && settings->gateway.bootstrap.yaml == NULL) {
        return hbk_error_set(error, HBK_INVALID, "-c FILE or --config-yaml TEXT is missing");
    }
    if (strcmp(settings->mode, "serve") != 0 && strcmp(settings->mode, "validate") != 0) {
        return hbk_error_set(error, HBK_INVALID, "--mode \"%s\": serve or validate is allowed",
                             settings->mode);
    }
    return HBK_OK;
}

static void print_report(const struct hbk_report *report, const char *mark)
{
    for (size_t i = 0; i < report->count; i++) {
        fprintf(stderr, "%s%s\n", mark, report->lines[i]);
    }
    if (report->dropped > 0) {
        fprintf(stderr, "... and %zu more\n", report->dropped);
    }
}

/* What no line of the report has said. */
static void print_failure(hbk_status status, const struct hbk_report *report,
                          const struct hbk_error *error)
{
    if (status != HBK_OK && report->count == 0) {
        fprintf(stderr, "hauberk gateway: %s\n",
                error->status != HBK_OK ? error->text : hbk_status_text(status));
    }
}

static int validate(const struct hbk_bootstrap_options *bootstrap)
{
    static struct hbk_report report, warnings;
    struct hbk_error error = {.status = HBK_OK};
    hbk_status status = hbk_gateway_validate(bootstrap, &report, &warnings, &error);
    print_report(&warnings, "warning: ");
    print_report(&report, "");
    if (status != HBK_OK) {
        print_failure(status, &report, &error);
        return HBK_EXIT_FAILED;
    }
    printf("configuration '%s' OK\n", bootstrap->path != NULL ? bootstrap->path : "--config-yaml");
    return HBK_EXIT_OK;
}

static int serve(const struct settings *settings)
{
    static struct hbk_report report, warnings;
    struct hbk_error error = {.status = HBK_OK};
    (void)signal(SIGPIPE, SIG_IGN);
    int fd = STDERR_FILENO;
    if (settings->log_path != NULL) {
        FILE *file = fopen(settings->log_path, "ae");
        if (file == NULL) {
            fprintf(stderr, "hauberk gateway: --log-path %s: %s\n", settings->log_path,
                    strerror(errno));
            return HBK_EXIT_FAILED;
        }
        fd = fileno(file);
    }
    hbk_log_to(hbk_fd_unblocked(fd), false);
    hbk_status status = hbk_gateway_run(&settings->gateway, &report, &warnings, &error);
    print_report(&report, "");
    print_failure(status, &report, &error);
    return status == HBK_OK ? HBK_EXIT_OK : HBK_EXIT_FAILED;
}

int hbk_command_gateway(int argc, char **argv)
{
    struct settings settings = {
        .gateway =
            {
                .workers = hbk_gateway_workers_default(),
                .drain_ns = 600 * HBK_NS_PER_S,
                .log_flush_ns = 10 * HBK_NS_PER_S,
            },
        .mode = "serve",
    };
    settings.gateway.batcher = &settings.batch.batcher;
    hbk_batch_choice_init(&settings.batch);
    struct hbk_error error = {.status = HBK_OK};
    if (read_arguments(&settings, argc, argv, &error) != HBK_OK) {
        fprintf(stderr, "hauberk gateway: %s\n", error.text);
        return HBK_EXIT_USAGE;
    }
    if (settings.is_help) {
        fputs(usage, stdout);
        return HBK_EXIT_OK;
    }
    if (settings.is_version) {
        puts("hauberk " HBK_VERSION);
        return HBK_EXIT_OK;
    }
    return strcmp(settings.mode, "validate") == 0 ? validate(&settings.gateway.bootstrap)
                                                  : serve(&settings);
}
