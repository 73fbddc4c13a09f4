/* Putting each system between its pods. All stand at the same time: one that is not measured is
 * idle and costs nothing, and so rounds can go from one to the next without a pause. */
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "bench/bare_place.h"
#include "bench/path.h"
#include "os/fd.h"
#include "os/netns.h"
#include "os/redirect.h"
#include "os/socket.h"

static const uint64_t answer_timeout_ns = 10 * HBK_NS_PER_S;

enum { TEXT_BYTES_MAX = 8 << 10 };

static int netns_of(const struct hbk_path *path, enum hbk_place place)
{
    return path->scene.topology.places[place].netns_fd;
}

static hbk_status start_relay(struct hbk_path *path, enum hbk_place place, uint16_t port,
                              struct hbk_process *out_process, struct hbk_error *error)
{
    HBK_CLEANUP(hbk_netns_leave) struct hbk_netns_visit visit = hbk_netns_visit_none();
    HBK_CLEANUP(hbk_fd_close) int listener = -1;
    struct hbk_address address = {.ip = {.size = 16}, .port = port};
    struct hbk_listen_options options = {.mark = HBK_REDIRECT_MARK_AGENT};
    HBK_TRY(hbk_netns_enter(netns_of(path, place), &visit));
    HBK_TRY(hbk_socket_listen(&address, &options, &listener));
    struct hbk_bare_relay relay = {.listener = listener, .mark = HBK_REDIRECT_MARK_AGENT};
    struct hbk_process_spec spec = hbk_process_spec_call(hbk_bare_relay_run, &relay);
    spec.netns_fd = netns_of(path, place); /* where it connects from */
    spec.cpu = (int)path->options.agent_core;
    spec.death_signal = SIGKILL;
    return hbk_process_start(&spec, out_process, error);
}

static hbk_status start_relays(struct hbk_path *path, struct hbk_path_system *system,
                               struct hbk_error *error)
{
    struct hbk_redirect_spec redirect = {.kind = HBK_REDIRECT_POD};
    HBK_TRY(hbk_redirect_apply(netns_of(path, system->client), &redirect, error));
    HBK_TRY(hbk_redirect_apply(netns_of(path, system->server), &redirect, error));
    HBK_TRY(start_relay(path, system->client, HBK_REDIRECT_PORT_OUTBOUND, &path->relays[0], error));
    HBK_TRY(start_relay(path, system->server, HBK_REDIRECT_PORT_INBOUND, &path->relays[1], error));
    for (size_t i = 0; i < 2; i++) {
        system->agents[i] = path->relays[i].pid;
    }
    return HBK_OK;
}

static hbk_status start_hauberk(struct hbk_path *path, struct hbk_path_system *system,
                                struct hbk_error *error)
{
    struct hbk_scene_agents agents = {.workers = 1, .cpu = (int)path->options.agent_core};
    HBK_TRY(hbk_scene_start_agents(&path->scene, &agents, error));
    for (size_t i = 0; i < 2; i++) {
        system->agents[i] = path->scene.agents[i].process.pid;
    }
    return HBK_OK;
}

/* HAProxy's: one file with leaf, chain and key, and the authority's. */
static hbk_status make_identity(struct hbk_path *path, const char *name, struct hbk_error *error)
{
    char id[96];
    char folder[HBK_PROGRAM_PATH_BYTES_MAX];
    (void)snprintf(id, sizeof id, "spiffe://cluster.local/ns/shop/sa/%s", name);
    (void)snprintf(folder, sizeof folder, "%s/%s", path->scene.topology.directory, name);
    const char *const arguments[] = {
        "ca", "issue", "--ca", path->scene.ca_path, "--spiffe-id", id, "--out", folder, NULL};
    return hbk_scene_run(&path->scene, "ca-issue", arguments, error);
}

static hbk_status join_files(const char *folder, const char *name, struct hbk_error *error)
{
    static const char *const parts[] = {".pem", "-key.pem"};
    char file[HBK_PROGRAM_PATH_BYTES_MAX + 64];
    struct hbk_arena arena;
    HBK_CLEANUP(hbk_buffer_fini) struct hbk_buffer joined;
    hbk_buffer_init(&joined, TEXT_BYTES_MAX * 4);
    hbk_arena_init(&arena);
    hbk_status status = HBK_OK;
    for (size_t i = 0; i < HBK_COUNT(parts) && status == HBK_OK; i++) {
        struct hbk_slice part = {0};
        (void)snprintf(file, sizeof file, "%s/shop.%s%s", folder, name, parts[i]);
        status = hbk_file_read(&arena, file, TEXT_BYTES_MAX, &part);
        status = status == HBK_OK ? hbk_buffer_append(&joined, part) : status;
    }
    if (status == HBK_OK) {
        (void)snprintf(file, sizeof file, "%s/joined.pem", folder);
        status = hbk_file_write(file, hbk_buffer_slice(&joined), 0600);
    }
    hbk_arena_fini(&arena);
    return status == HBK_OK ? HBK_OK
                            : hbk_error_set(error, status, "%s: %s", file, hbk_status_text(status));
}

/* TCP mode: the cheapest that HAProxy can carry a connection with. One thread, as one agent. */
static hbk_status write_haproxy_files(struct hbk_path *path, const struct hbk_path_system *system,
                                      struct hbk_error *error)
{
    const char *directory = path->scene.topology.directory;
    char server[HBK_ADDRESS_TEXT_BYTES_MAX];
    char file[HBK_PROGRAM_PATH_BYTES_MAX];
    static const char *const names[] = {"haproxy-client", "haproxy-server"};
    static const char common[] = "global\n    nbthread 1\n    maxconn 9000\n"
                                 "defaults\n    mode tcp\n    maxconn 9000\n"
                                 "    timeout connect 10s\n    timeout client 10m\n"
                                 "    timeout server 10m\n    timeout tunnel 10m\n";
    (void)hbk_ip_text(&path->scene.topology.places[system->server].ipv4, server);
    for (size_t i = 0; i < HBK_COUNT(names); i++) {
        char folder[HBK_PROGRAM_PATH_BYTES_MAX];
        char text[TEXT_BYTES_MAX];
        int size;
        (void)snprintf(folder, sizeof folder, "%s/%s", directory, names[i]);
        HBK_TRY(make_identity(path, names[i], error));
        HBK_TRY(join_files(folder, names[i], error));
        if (i == 0) {
            size = snprintf(text, sizeof text,
                            "%slisten mesh\n    bind :%d\n"
                            "    server far %s:%d ssl crt %s/joined.pem ca-file %s/bundle.pem "
                            "verify required\n",
                            common, HBK_REDIRECT_PORT_OUTBOUND, server, HBK_SCENE_HBONE_PORT,
                            folder, folder);
        } else {
            size = snprintf(text, sizeof text,
                            "%slisten mesh\n    bind :%d ssl crt %s/joined.pem ca-file "
                            "%s/bundle.pem verify required\n    server near %s:%d\n",
                            common, HBK_SCENE_HBONE_PORT, folder, folder, server, HBK_SCENE_PORT);
        }
        (void)snprintf(file, sizeof file, "%s/%s.cfg", directory, names[i]);
        HBK_TRY(hbk_file_write(file, hbk_slice_of(text, (size_t)size), 0600));
    }
    return HBK_OK;
}

static hbk_status start_one_haproxy(struct hbk_path *path, enum hbk_place place,
                                    struct hbk_program *out_program, struct hbk_error *error)
{
    char file[HBK_PROGRAM_PATH_BYTES_MAX];
    const struct hbk_topology_place *where = &path->scene.topology.places[place];
    (void)snprintf(file, sizeof file, "%s/%s.cfg", path->scene.topology.directory, where->name);
    const char *const arguments[] = {path->options.haproxy, "-db", "-f", file, NULL};
    struct hbk_program_spec spec = {
        .name = where->name,
        .place = place,
        .cpu = (int)path->options.agent_core,
        .arguments = arguments,
        .is_foreign = true,
    };
    return hbk_program_start(&path->scene.topology, &spec, out_program, error);
}

/* Asks through the path until there is an answer. */
static hbk_status wait_for_answer(struct hbk_path *path, const struct hbk_path_system *system,
                                  struct hbk_error *error)
{
    uint64_t end_ns = hbk_clock_monotonic_ns() + answer_timeout_ns;
    struct hbk_process server = hbk_process_none();
    HBK_TRY(hbk_bare_start_server(&path->scene.topology, system->server, -1, NULL, &server, error));
    struct hbk_address to =
        hbk_topology_address(&path->scene.topology, system->server, HBK_SCENE_PORT);
    bool is_answered = false;
    while (!is_answered && hbk_clock_monotonic_ns() < end_ns) {
        hbk_program_pause(20 * HBK_NS_PER_MS);
        is_answered = hbk_bare_is_answered(netns_of(path, system->client), &to);
    }
    hbk_process_stop(&server, 0);
    return is_answered ? HBK_OK
                       : hbk_error_set(error, HBK_TIMEOUT, "no answer comes through the path");
}

static hbk_status start_haproxy(struct hbk_path *path, struct hbk_path_system *system,
                                struct hbk_error *error)
{
    static const uint16_t hbone[] = {HBK_SCENE_HBONE_PORT};
    struct hbk_redirect_spec redirect = {
        .kind = HBK_REDIRECT_POD,
        .excluded_outbound = {hbone, 1}, /* what HAProxy sends; it sets no mark */
    };
    if (access(path->options.haproxy, X_OK) != 0) {
        return hbk_error_set(error, HBK_NOT_FOUND,
                             "skipped: %s is not installed (Debian package haproxy)",
                             path->options.haproxy);
    }
    HBK_TRY(hbk_scene_make_authority(&path->scene, error));
    HBK_TRY(write_haproxy_files(path, system, error));
    HBK_TRY(hbk_redirect_apply(netns_of(path, system->client), &redirect, error));
    HBK_TRY(hbk_redirect_apply(netns_of(path, system->server), &redirect, error));
    HBK_TRY(start_one_haproxy(path, system->server, &path->programs[1], error));
    HBK_TRY(start_one_haproxy(path, system->client, &path->programs[0], error));
    for (size_t i = 0; i < 2; i++) {
        system->agents[i] = path->programs[i].process.pid;
    }
    return HBK_OK;
}

static hbk_status start_direct(struct hbk_path *path, struct hbk_path_system *system,
                               struct hbk_error *error)
{
    (void)path;
    (void)system;
    (void)error;
    return HBK_OK;
}

static bool has_cases(const struct hbk_path *path, enum hbk_path_system_name system)
{
    for (unsigned i = 0; i < path->case_count; i++) {
        if (path->cases[i].system == system) {
            return true;
        }
    }
    return false;
}

typedef hbk_status start_fn(struct hbk_path *path, struct hbk_path_system *system,
                            struct hbk_error *error);

hbk_status hbk_path_start_systems(struct hbk_path *path, struct hbk_error *error)
{
    static start_fn *const starts[HBK_PATH_SYSTEMS] = {start_direct, start_relays, start_hauberk,
                                                       start_haproxy};
    HBK_TRY(hbk_scene_init(&path->scene, HBK_PLACES, error));
    HBK_TRY(hbk_scene_set_engine(&path->scene, path->options.engine, error));
    for (enum hbk_path_system_name i = 0; i < HBK_PATH_SYSTEMS; i++) {
        struct hbk_path_system *system = &path->systems[i];
        struct hbk_error failure = {0};
        if (!has_cases(path, i)) {
            continue;
        }
        hbk_status status = starts[i](path, system, &failure);
        hbk_bare_ease_short_connections(&path->scene.topology, system->client);
        hbk_bare_ease_short_connections(&path->scene.topology, system->server);
        status = status == HBK_OK ? wait_for_answer(path, system, &failure) : status;
        system->is_up = status == HBK_OK;
        (void)hbk_error_set(&failure, status, "%s", hbk_status_text(status));
        (void)snprintf(system->reason, sizeof system->reason, "%.*s", HBK_PATH_REASON_BYTES_MAX - 1,
                       system->is_up ? "" : failure.text);
    }
    return HBK_OK;
}

void hbk_path_stop_systems(struct hbk_path *path)
{
    for (size_t i = 0; i < 2; i++) {
        hbk_process_stop(&path->relays[i], 0);
        hbk_program_stop(&path->programs[i]);
    }
    hbk_scene_fini(&path->scene);
}
