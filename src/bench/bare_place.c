#include "bench/bare_place.h"

#include <signal.h>

#include "bench/scene.h"
#include "os/fd.h"
#include "os/netns.h"
#include "os/socket.h"

hbk_status hbk_bare_start_server(const struct hbk_topology *topology, enum hbk_place place, int cpu,
                                 _Atomic uint64_t *swallowed_bytes, struct hbk_process *out_process,
                                 struct hbk_error *error)
{
    HBK_CLEANUP(hbk_netns_leave) struct hbk_netns_visit visit = hbk_netns_visit_none();
    HBK_CLEANUP(hbk_fd_close) int listener = -1;
    struct hbk_address address = {.ip = {.size = 16}, .port = HBK_SCENE_PORT};
    struct hbk_listen_options options = {0};
    HBK_TRY(hbk_netns_enter(topology->places[place].netns_fd, &visit));
    hbk_status status = hbk_socket_listen(&address, &options, &listener);
    if (status != HBK_OK) {
        return hbk_error_set(error, status, "cannot listen on port %d: %s", HBK_SCENE_PORT,
                             hbk_status_text(status));
    }
    struct hbk_bare_server server = {
        .listener = listener,
        .is_sink = swallowed_bytes != NULL,
        .swallowed_bytes = swallowed_bytes,
    };
    struct hbk_process_spec spec = hbk_process_spec_call(hbk_bare_server_run, &server);
    spec.cpu = cpu;
    spec.death_signal = SIGKILL;
    return hbk_process_start(&spec, out_process, error);
}

hbk_status hbk_bare_start_client(const struct hbk_topology *topology, enum hbk_place place, int cpu,
                                 int (*run)(void *argument), void *argument,
                                 struct hbk_process *out_process, struct hbk_error *error)
{
    struct hbk_process_spec spec = hbk_process_spec_call(run, argument);
    spec.netns_fd = topology->places[place].netns_fd;
    spec.cpu = cpu;
    spec.death_signal = SIGKILL;
    return hbk_process_start(&spec, out_process, error);
}

void hbk_bare_ease_short_connections(const struct hbk_topology *topology, enum hbk_place place)
{
    static const char *const settings[][2] = {
        {"net/ipv4/tcp_tw_reuse", "1"},
        {"net/ipv4/ip_local_port_range", "1024 65535"},
        {"net/netfilter/nf_conntrack_tcp_timeout_time_wait", "1"},
        {"net/netfilter/nf_conntrack_tcp_timeout_close", "1"},
    };
    HBK_CLEANUP(hbk_netns_leave) struct hbk_netns_visit visit = hbk_netns_visit_none();
    if (hbk_netns_enter(topology->places[place].netns_fd, &visit) != HBK_OK) {
        return;
    }
    for (size_t i = 0; i < HBK_COUNT(settings); i++) {
        (void)!hbk_netns_set(settings[i][0], settings[i][1], NULL);
    }
}
