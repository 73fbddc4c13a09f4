/*
 * Putting one system between client and server, and taking it away. Only the system that is
 * measured runs, so that its memory is its own and nothing else wakes up meanwhile.
 */
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "bench/request.h"
#include "os/fd.h"
#include "os/netns.h"
#include "os/redirect.h"
#include "os/socket.h"
#include "paper/paper.h"

enum {
    PEM_BYTES_MAX = 64 << 10,
    PLACEHOLDERS = 16,
    CONNECT_MS = 200,
    NAT_TEXT_BYTES_MAX = 1024,
    IDENTITY_AGE_S_MAX = 3600
};

static const uint64_t services_timeout_ns = 20 * HBK_NS_PER_S;

enum hbk_place hbk_paper_server(enum hbk_placement placement)
{
    return placement == HBK_INTER ? HBK_PLACE_CART : HBK_PLACE_NEIGHBOUR;
}

const char *hbk_paper_address(enum hbk_placement placement)
{
    return placement == HBK_INTER ? HBK_SCENE_VIP : HBK_SCENE_VIP_NEIGHBOUR;
}

static int netns_of(const struct hbk_paper *paper, enum hbk_place place)
{
    return paper->scene.topology.places[place].netns_fd;
}

/* ---- the service address ---- */

static int run_nftables(void *argument)
{
    struct hbk_error error = {0};
    if (hbk_redirect_run_here(argument, &error) != HBK_OK) {
        fprintf(stderr, "hauberk bench: %s\n", error.text);
        return 1;
    }
    return 0;
}

/*
 * As kube-proxy translates it, in the client's namespace, behind the redirection of a mesh: what a
 * mesh captures is translated by the mesh, what it lets pass is translated here.
 */
hbk_status hbk_paper_open_services(struct hbk_paper *paper, struct hbk_error *error)
{
    char text[NAT_TEXT_BYTES_MAX], near[HBK_ADDRESS_TEXT_BYTES_MAX],
        far[HBK_ADDRESS_TEXT_BYTES_MAX];
    const struct hbk_topology *topology = &paper->scene.topology;
    int exit_status = 0;
    (void)snprintf(text, sizeof text,
                   "table ip hauberk-services {\n"
                   "  chain output {\n"
                   "    type nat hook output priority -90; policy accept;\n"
                   "    ip daddr %s tcp dport %d dnat to %s:%d\n"
                   "    ip daddr %s tcp dport %d dnat to %s:%d\n"
                   "  }\n}\n",
                   HBK_SCENE_VIP, HBK_SCENE_VIP_PORT,
                   hbk_ip_text(&topology->places[HBK_PLACE_CART].ipv4, far), HBK_SCENE_PORT,
                   HBK_SCENE_VIP_NEIGHBOUR, HBK_SCENE_VIP_PORT,
                   hbk_ip_text(&topology->places[HBK_PLACE_NEIGHBOUR].ipv4, near), HBK_SCENE_PORT);
    struct hbk_process_spec spec = hbk_process_spec_call(run_nftables, text);
    struct hbk_process process = hbk_process_none();
    spec.netns_fd = netns_of(paper, HBK_PLACE_FRONT);
    spec.death_signal = SIGKILL;
    HBK_TRY(hbk_process_start(&spec, &process, error));
    hbk_status status = hbk_process_wait(&process, services_timeout_ns, &exit_status);
    if (status != HBK_OK || exit_status != 0) {
        hbk_process_stop(&process, 0);
        return hbk_error_set(error, HBK_IO, "the service addresses could not be set up");
    }
    return HBK_OK;
}

/* ---- pairs ---- */

void hbk_paper_directory(const struct hbk_paper *paper, const struct hbk_paper_system *system,
                         enum hbk_placement placement,
                         char out_path[static HBK_PROGRAM_PATH_BYTES_MAX])
{
    (void)snprintf(out_path, HBK_PROGRAM_PATH_BYTES_MAX, "%s/%s-%s",
                   paper->scene.topology.directory, system->name, hbk_placement_text(placement));
}

/* Whether a run before has made it, not too long ago: certificates end after a day. */
static bool is_fresh(const char *path)
{
    struct stat found;
    return stat(path, &found) == 0 && time(NULL) - found.st_mtime < IDENTITY_AGE_S_MAX;
}

/* Leaf, chain and key in one file, as most programs take them. */
static hbk_status make_identity(struct hbk_paper *paper, const char *account, const char *folder,
                                const char *pem, struct hbk_error *error)
{
    static const char *const parts[] = {".pem", "-key.pem"};
    char id[96], file[HBK_PROGRAM_PATH_BYTES_MAX + 96];
    struct hbk_arena arena;
    HBK_CLEANUP(hbk_buffer_fini) struct hbk_buffer joined;
    (void)snprintf(id, sizeof id, "spiffe://cluster.local/ns/shop/sa/%s", account);
    const char *const arguments[] = {
        "ca", "issue", "--ca", paper->scene.ca_path, "--spiffe-id", id, "--out", folder, NULL};
    hbk_buffer_init(&joined, PEM_BYTES_MAX);
    HBK_TRY(hbk_scene_run(&paper->scene, "ca-issue", arguments, error));
    hbk_arena_init(&arena);
    hbk_status status = HBK_OK;
    for (size_t i = 0; i < HBK_COUNT(parts) && status == HBK_OK; i++) {
        struct hbk_slice part = {0};
        (void)snprintf(file, sizeof file, "%s/shop.%s%s", folder, account, parts[i]);
        status = hbk_file_read(&arena, file, PEM_BYTES_MAX, &part);
        status = status == HBK_OK ? hbk_buffer_append(&joined, part) : status;
    }
    status = status == HBK_OK ? hbk_file_write(pem, hbk_buffer_slice(&joined), 0600) : status;
    hbk_arena_fini(&arena);
    return status == HBK_OK ? HBK_OK
                            : hbk_error_set(error, status, "%s: %s", pem, hbk_status_text(status));
}

/* Paths and addresses of one run, and what the placeholders of a descriptor stand for. */
struct values {
    char directory[HBK_PROGRAM_PATH_BYTES_MAX];
    char client_pem[HBK_PROGRAM_PATH_BYTES_MAX + 32], server_pem[HBK_PROGRAM_PATH_BYTES_MAX + 32];
    char ca[HBK_PROGRAM_PATH_BYTES_MAX + 32];
    char client[HBK_ADDRESS_TEXT_BYTES_MAX], server[HBK_ADDRESS_TEXT_BYTES_MAX];
    char client_node[HBK_ADDRESS_TEXT_BYTES_MAX], server_node[HBK_ADDRESS_TEXT_BYTES_MAX];
    char ports[3][8];
    char client_tls[2048], server_tls[2048]; /* of our sidecars */
    struct hbk_placeholder list[PLACEHOLDERS];
};

/* A transport socket of our sidecars with mutual TLS 1.3, on one line. */
static void fill_tls(const struct values *values, bool is_server, char *text, size_t bytes_max)
{
    const char *pem = is_server ? values->server_pem : values->client_pem;
    (void)snprintf(
        text, bytes_max,
        "transport_socket: {name: envoy.transport_sockets.tls, typed_config: {\"@type\": "
        "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.%sstreamTlsContext, "
        "%scommon_tls_context: {tls_params: {tls_maximum_protocol_version: TLSv1_3}, "
        "tls_certificates: [{certificate_chain: {filename: \"%s\"}, private_key: {filename: "
        "\"%s\"}}], validation_context: {trusted_ca: {filename: \"%s\"}}}}}",
        is_server ? "Down" : "Up", is_server ? "require_client_certificate: true, " : "", pem, pem,
        values->ca);
}

static void fill_values(const struct hbk_paper *paper, const struct hbk_paper_system *system,
                        enum hbk_placement placement, struct values *values)
{
    const struct hbk_topology *topology = &paper->scene.topology;
    static const int ports[] = {HBK_REDIRECT_PORT_OUTBOUND, HBK_SCENE_HBONE_PORT, HBK_SCENE_PORT};
    hbk_paper_directory(paper, system, placement, values->directory);
    (void)snprintf(values->client_pem, sizeof values->client_pem, "%s/client.pem",
                   values->directory);
    (void)snprintf(values->server_pem, sizeof values->server_pem, "%s/server.pem",
                   values->directory);
    (void)snprintf(values->ca, sizeof values->ca, "%s/bundle.pem", values->directory);
    (void)hbk_ip_text(&topology->places[HBK_PLACE_FRONT].ipv4, values->client);
    (void)hbk_ip_text(&topology->places[hbk_paper_server(placement)].ipv4, values->server);
    (void)hbk_ip_text(&topology->places[HBK_PLACE_ALPHA].ipv4, values->client_node);
    (void)hbk_ip_text(&topology->places[topology->places[hbk_paper_server(placement)].host].ipv4,
                      values->server_node);
    values->client_tls[0] = values->server_tls[0] = '\0';
    if (system->encrypts) {
        fill_tls(values, false, values->client_tls, sizeof values->client_tls);
        fill_tls(values, true, values->server_tls, sizeof values->server_tls);
    }
    for (size_t i = 0; i < HBK_COUNT(ports); i++) {
        (void)snprintf(values->ports[i], sizeof values->ports[i], "%d", ports[i]);
    }
    const struct hbk_placeholder list[PLACEHOLDERS] = {
        {"DIR", values->directory},
        {"BINARY", system->binary},
        {"CLIENT", values->client},
        {"SERVER", values->server},
        {"CLIENT_NODE", values->client_node},
        {"SERVER_NODE", values->server_node},
        {"CLIENT_PORT", values->ports[0]},
        {"TUNNEL_PORT", values->ports[1]},
        {"APP_PORT", values->ports[2]},
        {"CLIENT_PEM", values->client_pem},
        {"SERVER_PEM", values->server_pem},
        {"CA", values->ca},
        {"CLIENT_TLS", values->client_tls},
        {"SERVER_TLS", values->server_tls},
        {"STATISTICS", system->is_quiet ? HBK_PAPER_NO_STATISTICS : ""},
        {"ACCESS_LOG", system->is_logging ? HBK_PAPER_ACCESS_LOG : ""},
    };
    memcpy(values->list, list, sizeof list);
}

/* client.pem, server.pem and bundle.pem in the system's directory. */
static hbk_status make_identities(struct hbk_paper *paper, const struct hbk_paper_system *system,
                                  enum hbk_placement placement, struct hbk_error *error)
{
    const char *server = paper->scene.topology.places[hbk_paper_server(placement)].name;
    static struct values values;
    fill_values(paper, system, placement, &values);
    HBK_TRY(hbk_directory_make(values.directory, 0700));
    HBK_TRY(hbk_scene_make_authority(&paper->scene, error));
    if (!is_fresh(values.client_pem)) {
        HBK_TRY(make_identity(paper, "front", values.directory, values.client_pem, error));
    }
    return is_fresh(values.server_pem)
               ? HBK_OK
               : make_identity(paper, server, values.directory, values.server_pem, error);
}

static hbk_status write_files(const struct hbk_descriptor *descriptor, const struct values *values,
                              struct hbk_error *error)
{
    char path[HBK_PROGRAM_PATH_BYTES_MAX + 80];
    for (uint32_t i = 0; i < descriptor->file_count; i++) {
        HBK_CLEANUP(hbk_buffer_fini) struct hbk_buffer text;
        hbk_buffer_init(&text, HBK_DESCRIPTOR_RENDERED_BYTES_MAX);
        (void)snprintf(path, sizeof path, "%s/%.*s", values->directory,
                       HBK_SLICE_ARGS(descriptor->files[i].name));
        hbk_status status = hbk_descriptor_render(descriptor->files[i].text, values->list,
                                                  PLACEHOLDERS, &text, error);
        if (status == HBK_OK) {
            status = hbk_file_write(path, hbk_buffer_slice(&text), 0600);
        }
        if (status != HBK_OK) {
            (void)hbk_error_set(error, status, "%s", hbk_status_text(status));
            hbk_error_prefix(error, "%.*s", HBK_SLICE_ARGS(descriptor->files[i].name));
            return status;
        }
    }
    return HBK_OK;
}

static bool is_port_open(int netns_fd, uint16_t port)
{
    HBK_CLEANUP(hbk_netns_leave) struct hbk_netns_visit visit = hbk_netns_visit_none();
    HBK_CLEANUP(hbk_fd_close) int fd = -1;
    const struct hbk_address to = {.ip = {.size = 4, .bytes = {127, 0, 0, 1}}, .port = port};
    const struct hbk_connect_options options = {.mark = HBK_REDIRECT_MARK_AGENT};
    if (hbk_netns_enter(netns_fd, &visit) != HBK_OK ||
        hbk_socket_connect(&to, &options, &fd) != HBK_OK) {
        return false;
    }
    struct pollfd ready = {.fd = fd, .events = POLLOUT};
    return poll(&ready, 1, CONNECT_MS) == 1 && hbk_socket_error(fd) == 0;
}

/* "env NAME=TEXT... BINARY ARGUMENT...", rendered into `arena`. */
static hbk_status make_command(const struct hbk_paper_system *system,
                               const struct hbk_descriptor_process *process,
                               const struct values *values, struct hbk_arena *arena,
                               const char **out_arguments, struct hbk_error *error)
{
    unsigned count = 0;
    const char *program =
        process->program.size > 0 ? hbk_arena_string(arena, process->program) : system->binary;
    if (process->environment_count + process->command_count + 3 > HBK_PROGRAM_ARGUMENTS_MAX) {
        return hbk_error_set(error, HBK_LIMIT, "more than %d arguments", HBK_PROGRAM_ARGUMENTS_MAX);
    }
    if (process->environment_count > 0) {
        out_arguments[count++] = "/usr/bin/env";
    }
    for (uint32_t i = 0; i < process->environment_count + process->command_count; i++) {
        bool is_environment = i < process->environment_count;
        struct hbk_slice text = is_environment ? process->environment[i]
                                               : process->command[i - process->environment_count];
        HBK_CLEANUP(hbk_buffer_fini) struct hbk_buffer rendered;
        hbk_buffer_init(&rendered, HBK_DESCRIPTOR_RENDERED_BYTES_MAX);
        HBK_TRY(hbk_descriptor_render(text, values->list, PLACEHOLDERS, &rendered, error));
        if (i == process->environment_count) {
            out_arguments[count++] = program;
        }
        out_arguments[count++] = hbk_arena_string(arena, hbk_buffer_slice(&rendered));
    }
    if (process->command_count == 0) {
        out_arguments[count++] = program;
    }
    out_arguments[count] = NULL;
    return HBK_OK;
}

static hbk_status wait_ready(const struct hbk_paper *paper, const struct hbk_program *program,
                             enum hbk_place place, const struct hbk_descriptor_process *process,
                             const char *ready_file, struct hbk_error *error)
{
    uint16_t port = process->port;
    uint64_t within_s =
        process->ready_within_s > 0 ? process->ready_within_s : HBK_DESCRIPTOR_READY_S;
    uint64_t end_ns = hbk_clock_monotonic_ns() + within_s * HBK_NS_PER_S;
    while (port > 0 ? !is_port_open(netns_of(paper, place), port) : access(ready_file, F_OK) != 0) {
        if (!hbk_process_is_running(&program->process)) {
            return hbk_program_fail(program, HBK_CLOSED, "it ended at its start", error);
        }
        if (hbk_clock_monotonic_ns() > end_ns) {
            return hbk_program_fail(program, HBK_TIMEOUT,
                                    port > 0 ? "it never accepted connections"
                                             : "its ready_file never appeared",
                                    error);
        }
        hbk_program_pause(20 * HBK_NS_PER_MS);
    }
    return HBK_OK;
}

static hbk_status start_process(struct hbk_paper *paper, const struct hbk_paper_system *system,
                                const struct hbk_descriptor_process *process,
                                enum hbk_placement placement, const struct values *values,
                                struct hbk_paper_agents *agents, struct hbk_error *error)
{
    const char *arguments[HBK_PROGRAM_ARGUMENTS_MAX + 1];
    char name[HBK_SAMPLE_NAME_BYTES_MAX * 2 + 2];
    enum hbk_place place =
        process->side == HBK_SIDE_CLIENT ? HBK_PLACE_FRONT : hbk_paper_server(placement);
    struct hbk_arena arena;
    struct hbk_program *program = &agents->programs[agents->program_count];
    HBK_CLEANUP(hbk_buffer_fini) struct hbk_buffer ready_file;
    hbk_buffer_init(&ready_file, HBK_PROGRAM_PATH_BYTES_MAX);
    HBK_TRY(
        hbk_descriptor_render(process->ready_file, values->list, PLACEHOLDERS, &ready_file, error));
    HBK_TRY(hbk_buffer_append(&ready_file, hbk_slice_of("", 1)));
    const char *ready_path = (const char *)hbk_buffer_slice(&ready_file).bytes;
    (void)unlink(ready_path); /* a run before may have left it */
    place = process->place == 0 ? place : paper->scene.topology.places[place].host;
    if (process->port > 0 && is_port_open(netns_of(paper, place), process->port)) {
        return hbk_error_set(error, HBK_EXISTS, "port %u is in use before its start",
                             process->port);
    }
    hbk_arena_init(&arena);
    (void)snprintf(name, sizeof name, "%s-%.*s", system->name, HBK_SLICE_ARGS(process->name));
    hbk_status status = make_command(system, process, values, &arena, arguments, error);
    if (status == HBK_OK) {
        struct hbk_program_spec spec = {
            .name = name,
            .place = place,
            .cpu = (int)paper->options.agent_core,
            .arguments = arguments,
            .is_foreign = true,
        };
        status = hbk_program_start(&paper->scene.topology, &spec, program, error);
    }
    hbk_arena_fini(&arena);
    if (status != HBK_OK) {
        return status;
    }
    agents->sides[agents->program_count++] = process->side;
    return wait_ready(paper, program, place, process, ready_path, error);
}

static hbk_status start_pair(struct hbk_paper *paper, const struct hbk_paper_system *system,
                             enum hbk_placement placement, struct hbk_paper_agents *agents,
                             struct hbk_error *error)
{
    static const uint16_t tunnel[] = {HBK_SCENE_HBONE_PORT};
    const struct hbk_redirect_spec redirect = {.kind = HBK_REDIRECT_POD,
                                               .excluded_outbound = {tunnel, 1}};
    const struct hbk_descriptor *descriptor = &system->descriptor;
    static struct values values;
    fill_values(paper, system, placement, &values);
    HBK_TRY(make_identities(paper, system, placement, error));
    HBK_TRY(write_files(descriptor, &values, error));
    for (uint32_t i = 0; i < descriptor->process_count; i++) {
        hbk_status status = start_process(paper, system, &descriptor->processes[i], placement,
                                          &values, agents, error);
        if (status != HBK_OK) {
            hbk_error_prefix(error, "process %.*s", HBK_SLICE_ARGS(descriptor->processes[i].name));
            return status;
        }
    }
    return descriptor->routes
               ? HBK_OK
               : hbk_redirect_apply(netns_of(paper, HBK_PLACE_FRONT), &redirect, error);
}

/* ---- all kinds ---- */

static hbk_status start_node(struct hbk_paper *paper, const struct hbk_paper_system *system,
                             enum hbk_placement placement, struct hbk_paper_agents *agents,
                             struct hbk_error *error)
{
    const struct hbk_scene_agents options = {
        .workers = 1,
        .cpu = (int)paper->options.agent_core,
        .binary = system->binary,
        .gather = system->gather,
    };
    HBK_TRY(hbk_scene_set_plain(&paper->scene, system->is_plain, error));
    HBK_TRY(hbk_scene_start_agents(&paper->scene, &options, error));
    agents->nodes[HBK_SIDE_CLIENT] = paper->scene.agents[HBK_PLACE_ALPHA].process.pid;
    agents->nodes[HBK_SIDE_SERVER] =
        paper->scene.agents[placement == HBK_INTER ? HBK_PLACE_BETA : HBK_PLACE_ALPHA].process.pid;
    return HBK_OK;
}

hbk_status hbk_paper_start_system(struct hbk_paper *paper, const struct hbk_paper_system *system,
                                  enum hbk_placement placement, struct hbk_paper_agents *out_agents,
                                  struct hbk_error *error)
{
    *out_agents = (struct hbk_paper_agents){0};
    for (unsigned i = 0; i < HBK_DESCRIPTOR_PROCESSES_MAX; i++) {
        out_agents->programs[i] = hbk_program_none();
    }
    hbk_status status = HBK_OK;
    switch (system->kind) {
    case HBK_BASELINE:
    case HBK_CONTROL:
        break;
    case HBK_BASELINE_MTLS:
        status = make_identities(paper, system, placement, error);
        break;
    case HBK_NODE:
        status = start_node(paper, system, placement, out_agents, error);
        break;
    case HBK_PAIR:
        status = start_pair(paper, system, placement, out_agents, error);
        break;
    }
    (void)hbk_error_set(error, status, "%s", hbk_status_text(status));
    return status;
}

void hbk_paper_stop_system(struct hbk_paper *paper, const struct hbk_paper_system *system,
                           struct hbk_paper_agents *agents)
{
    struct hbk_error error = {0};
    for (unsigned i = 0; i < agents->program_count; i++) {
        pid_t group = agents->programs[i].process.pid;
        hbk_program_stop(&agents->programs[i]);
        if (group > 0) {
            (void)kill(-group, SIGKILL); /* what it left behind would keep its port */
        }
    }
    if (system->kind == HBK_NODE) {
        (void)!hbk_scene_stop_agents(&paper->scene, &error);
    } else if (system->kind == HBK_PAIR && !system->descriptor.routes) {
        (void)!hbk_redirect_remove(netns_of(paper, HBK_PLACE_FRONT), &error);
    }
    *agents = (struct hbk_paper_agents){0};
}
