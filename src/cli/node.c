/* hauberk node: the agent of one host. */
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "agent/agent.h"
#include "base/duration.h"
#include "base/log.h"
#include "cli/batch_option.h"
#include "cli/command.h"
#include "config/mesh_file.h"
#include "os/fd.h"
#include "runtime/worker.h"

static const char usage[] =
    "usage: hauberk node --mesh FILE --node NAME (--ca DIR | --identities DIR) [OPTIONS]\n"
    "       hauberk node --mesh FILE --check\n"
    "       hauberk node --mesh FILE --node NAME --cleanup\n"
    "\n"
    "Serves the pods that the mesh file places on this node: takes their connections, encrypts "
    "and\n"
    "authenticates them, and applies policy. The file is watched; a bad one changes nothing.\n"
    "\n"
    "  --mesh FILE         workloads, services, policies, pods (docs/examples/mesh.yaml)\n"
    "  --node NAME         this host's name in the mesh file\n"
    "  --ca DIR            issue certificates with the CA that `hauberk ca init DIR` made\n"
    "  --identities DIR    use leaf, key and bundle files made elsewhere\n"
    "  --cert-ttl D        life of certificates from --ca (24h)\n"
    "  --workers N         threads that carry traffic (cores, at most 4)\n"
    "  --drain-time D      how long SIGTERM lets connections end (5s)\n"
    "  --connect-timeout D, --handshake-timeout D, --request-timeout D   (10s each)\n"
    "  --idle-timeout D    a tunnel without streams (5m)\n"
    "  --gather D|off      how long at most a worker rests between messages of many slow\n"
    "                      connections, to serve several with one wake-up, up to 2ms "
    "(400us)\n" HBK_BATCH_OPTION_USAGE
    "  --log text|json     form of log lines on standard output (text)\n"
    "  --log-level LEVEL   error, warn, info, debug or trace (info)\n"
    "  --check             only read the mesh file and say what is wrong with it\n"
    "  --cleanup           take the redirection away from this node's pods, which frees them\n"
    "\n"
    "The redirection stays when the agent ends: pods without their agent have no network rather\n"
    "than no encryption. Exit status: 0, 1 when it could not start, 2 for a wrong command line.\n";

enum option_code {
    OPTION_MESH = 256,
    OPTION_NODE,
    OPTION_CA,
    OPTION_IDENTITIES,
    OPTION_CERT_TTL,
    OPTION_WORKERS,
    OPTION_DRAIN,
    OPTION_CONNECT,
    OPTION_HANDSHAKE,
    OPTION_REQUEST,
    OPTION_IDLE,
    OPTION_GATHER,
    OPTION_LOG,
    OPTION_LOG_LEVEL,
    OPTION_CHECK,
    OPTION_CLEANUP,
    OPTION_HELP,
};

static const struct option options[] = {
    {"mesh", required_argument, NULL, OPTION_MESH},
    {"node", required_argument, NULL, OPTION_NODE},
    {"ca", required_argument, NULL, OPTION_CA},
    {"identities", required_argument, NULL, OPTION_IDENTITIES},
    {"cert-ttl", required_argument, NULL, OPTION_CERT_TTL},
    {"workers", required_argument, NULL, OPTION_WORKERS},
    {"drain-time", required_argument, NULL, OPTION_DRAIN},
    {"connect-timeout", required_argument, NULL, OPTION_CONNECT},
    {"handshake-timeout", required_argument, NULL, OPTION_HANDSHAKE},
    {"request-timeout", required_argument, NULL, OPTION_REQUEST},
    {"idle-timeout", required_argument, NULL, OPTION_IDLE},
    {"gather", required_argument, NULL, OPTION_GATHER},
    {"log", required_argument, NULL, OPTION_LOG},
    {"log-level", required_argument, NULL, OPTION_LOG_LEVEL},
    {"check", no_argument, NULL, OPTION_CHECK},
    {"cleanup", no_argument, NULL, OPTION_CLEANUP},
    HBK_BATCH_OPTION_ROWS,
    {"help", no_argument, NULL, OPTION_HELP},
    {NULL, 0, NULL, 0},
};

struct settings {
    struct hbk_batch_choice batch;
    struct hbk_agent_options agent;
    bool is_json;
    bool is_check;
    bool is_cleanup;
    bool is_help;
};

static hbk_status read_duration(const char *name, const char *text, uint64_t *out_ns,
                                struct hbk_error *error)
{
    if (!hbk_duration_parse(hbk_slice_text(text), out_ns) || *out_ns == 0) {
        return hbk_error_set(error, HBK_INVALID,
                             "--%s \"%s\": a length of time such as 10s or 1h30m is allowed", name,
                             text);
    }
    return HBK_OK;
}

static hbk_status read_gather(const char *text, uint64_t *out_ns, struct hbk_error *error)
{
    uint64_t ns = 0;
    bool is_off = strcmp(text, "off") == 0;
    bool is_length = !is_off && hbk_duration_parse(hbk_slice_text(text), &ns) && ns > 0;
    if (!is_off && (!is_length || ns > HBK_GATHER_NS_MAX)) {
        return hbk_error_set(
            error, HBK_INVALID,
            "--gather \"%s\": off or a length of time up to 2ms is allowed, such as 500us", text);
    }
    *out_ns = ns;
    return HBK_OK;
}

static hbk_status read_workers(const char *text, unsigned *out_workers, struct hbk_error *error)
{
    uint64_t workers = 0;
    if (!hbk_slice_to_u64(hbk_slice_text(text), HBK_WORKERS_MAX, &workers) || workers == 0) {
        return hbk_error_set(error, HBK_INVALID,
                             "--workers \"%s\": a whole number from 1 to %d is allowed", text,
                             HBK_WORKERS_MAX);
    }
    *out_workers = (unsigned)workers;
    return HBK_OK;
}

static hbk_status read_log(const char *text, bool *out_is_json, struct hbk_error *error)
{
    struct hbk_slice word = hbk_slice_text(text);
    if (!hbk_slice_equal(word, HBK_SLICE("text")) && !hbk_slice_equal(word, HBK_SLICE("json"))) {
        return hbk_error_set(error, HBK_INVALID, "--log \"%s\": text or json is allowed", text);
    }
    *out_is_json = hbk_slice_equal(word, HBK_SLICE("json"));
    return HBK_OK;
}

static hbk_status read_log_level(const char *text, struct hbk_error *error)
{
    enum hbk_log_level level;
    if (!hbk_log_level_from_text(hbk_slice_text(text), &level)) {
        return hbk_error_set(
            error, HBK_INVALID,
            "--log-level \"%s\": error, warn, info, debug, trace or off is allowed", text);
    }
    hbk_log_set_level(level);
    return HBK_OK;
}

/* flat: one case per option */
static hbk_status read_option(struct settings *settings, int code, const char *value,
                              struct hbk_error *error)
{
    struct hbk_agent_options *agent = &settings->agent;
    switch (code) {
    case OPTION_MESH:
        agent->mesh_path = value;
        return HBK_OK;
    case OPTION_NODE:
        agent->node = value;
        return HBK_OK;
    case OPTION_CA:
        agent->ca_path = value;
        return HBK_OK;
    case OPTION_IDENTITIES:
        agent->identities_path = value;
        return HBK_OK;
    case OPTION_CERT_TTL:
        return read_duration("cert-ttl", value, &agent->certificate_life_ns, error);
    case OPTION_WORKERS:
        return read_workers(value, &agent->workers, error);
    case OPTION_DRAIN:
        return read_duration("drain-time", value, &agent->drain_ns, error);
    case OPTION_CONNECT:
        return read_duration("connect-timeout", value, &agent->net.connect_timeout_ns, error);
    case OPTION_HANDSHAKE:
        return read_duration("handshake-timeout", value, &agent->net.handshake_timeout_ns, error);
    case OPTION_REQUEST:
        return read_duration("request-timeout", value, &agent->net.request_timeout_ns, error);
    case OPTION_IDLE:
        return read_duration("idle-timeout", value, &agent->net.idle_timeout_ns, error);
    case OPTION_GATHER:
        return read_gather(value, &agent->net.gather_ns, error);
    case OPTION_LOG:
        return read_log(value, &settings->is_json, error);
    case OPTION_LOG_LEVEL:
        return read_log_level(value, error);
    case OPTION_CHECK:
        settings->is_check = true;
        return HBK_OK;
    case OPTION_CLEANUP:
        settings->is_cleanup = true;
        return HBK_OK;
    case OPTION_HELP:
        settings->is_help = true;
        return HBK_OK;
    default:
        return hbk_error_set(error, HBK_INVALID, "see hauberk node --help");
    }
}

static hbk_status read_arguments(struct settings *settings, int argc, char **argv,
                                 struct hbk_error *error)
{
    optind = 1;
    for (int code; (code = getopt_long(argc, argv, "", options, NULL)) != -1;) {
        HBK_TRY(hbk_batch_option_is(code)
                    ? hbk_batch_choice_read(&settings->batch, code, optarg, error)
                    : read_option(settings, code, optarg, error));
    }
    if (settings->is_help) {
        return HBK_OK;
    }
    HBK_TRY(hbk_batch_choice_check(&settings->batch, error));
    if (optind < argc) {
        return hbk_error_set(error, HBK_INVALID, "\"%s\" is no option", argv[optind]);
    }
    const struct hbk_agent_options *agent = &settings->agent;
    if (agent->mesh_path == NULL) {
        return hbk_error_set(error, HBK_INVALID, "--mesh FILE is missing");
    }
    if (settings->is_check && settings->is_cleanup) {
        return hbk_error_set(error, HBK_INVALID, "--check or --cleanup is allowed, not both");
    }
    if (settings->is_check) {
        return HBK_OK;
    }
    if (agent->node == NULL) {
        return hbk_error_set(error, HBK_INVALID, "--node NAME is missing");
    }
    if (!settings->is_cleanup && (agent->ca_path == NULL) == (agent->identities_path == NULL)) {
        return hbk_error_set(error, HBK_INVALID, "one of --ca DIR and --identities DIR is needed");
    }
    return HBK_OK;
}

static int check(const char *path)
{
    struct hbk_report report;
    struct hbk_mesh *mesh = NULL;
    if (hbk_mesh_file_load(path, NULL, &mesh, &report) == HBK_OK) {
        printf("%s: good: %zu workloads, %zu services, %zu policies, %zu pods\n", path,
               hbk_mesh_count(mesh, HBK_MESH_WORKLOADS), hbk_mesh_count(mesh, HBK_MESH_SERVICES),
               hbk_mesh_count(mesh, HBK_MESH_POLICIES), hbk_mesh_count(mesh, HBK_MESH_PODS));
        hbk_mesh_unref(mesh);
        return HBK_EXIT_OK;
    }
    for (size_t i = 0; i < report.count; i++) {
        fprintf(stderr, "%s\n", report.lines[i]);
    }
    if (report.dropped > 0) {
        fprintf(stderr, "... and %zu more\n", report.dropped);
    }
    return HBK_EXIT_FAILED;
}

int hbk_command_node(int argc, char **argv)
{
    struct settings settings = {
        .agent =
            {
                .certificate_life_ns = 24 * 3600 * HBK_NS_PER_S,
                .workers = hbk_agent_workers_default(),
                .drain_ns = 5 * HBK_NS_PER_S,
                .net = HBK_NET_CONFIG_DEFAULT,
            },
    };
    settings.agent.net.gather_ns = HBK_GATHER_NS_DEFAULT;
    settings.agent.net.batcher = &settings.batch.batcher;
    hbk_batch_choice_init(&settings.batch);
    struct hbk_error error = {.status = HBK_OK};
    if (read_arguments(&settings, argc, argv, &error) != HBK_OK) {
        fprintf(stderr, "hauberk node: %s\n", error.text);
        return HBK_EXIT_USAGE;
    }
    if (settings.is_help) {
        fputs(usage, stdout);
        return HBK_EXIT_OK;
    }
    if (settings.is_check) {
        return check(settings.agent.mesh_path);
    }
    /* Whoever reads the log, slowly or no longer, must not hold up or end the agent. */
    (void)signal(SIGPIPE, SIG_IGN);
    hbk_log_to(hbk_fd_unblocked(STDOUT_FILENO), settings.is_json);
    hbk_status status = settings.is_cleanup ? hbk_agent_clean_up(&settings.agent, &error)
                                            : hbk_agent_run(&settings.agent, &error);
    if (status != HBK_OK) {
        fprintf(stderr, "hauberk node: %s\n", error.text);
        return HBK_EXIT_FAILED;
    }
    return HBK_EXIT_OK;
}
