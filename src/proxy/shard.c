#include "proxy/shard.h"

#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "base/log.h"
#include "identity/spiffe.h"
#include "os/fd.h"
#include "os/netns.h"
#include "os/socket.h"
#include "proxy/inbound.h"
#include "proxy/outbound.h"
#include "proxy/plain.h"
#include "tls/session.h"

hbk_status hbk_shard_init(struct hbk_shard *shard, struct hbk_worker *worker,
                          const struct hbk_net_config *config)
{
    *shard = (struct hbk_shard){.worker = worker, .random = hbk_clock_monotonic_ns()};
    hbk_list_init(&shard->pods);
    hbk_pool_init(&shard->outbound, "outbound connection", sizeof(struct hbk_outbound),
                  HBK_SHARD_CONNECTIONS_MAX);
    hbk_pool_init(&shard->inbound, "inbound connection", sizeof(struct hbk_inbound),
                  HBK_SHARD_CONNECTIONS_MAX);
    hbk_pool_init(&shard->passthroughs, "plain connection", sizeof(struct hbk_plain),
                  HBK_SHARD_CONNECTIONS_MAX);
    HBK_TRY(hbk_telemetry_init(&shard->telemetry));
    hbk_status status = hbk_net_init(&shard->net, &worker->loop, config);
    if (status != HBK_OK) {
        hbk_telemetry_fini(&shard->telemetry);
        return status;
    }
    struct hbk_upstream_config upstream = {
        .dial = hbk_outbound_dial, .on_open = hbk_outbound_opened, .context = shard};
    hbk_upstream_init(&shard->upstream, &shard->net, &upstream);
    return HBK_OK;
}

void hbk_shard_fini(struct hbk_shard *shard)
{
    HBK_ASSERT(hbk_list_is_empty(&shard->pods));
    hbk_upstream_fini(&shard->upstream);
    hbk_net_fini(&shard->net);
    hbk_telemetry_fini(&shard->telemetry);
    hbk_pool_fini(&shard->outbound);
    hbk_pool_fini(&shard->inbound);
    hbk_pool_fini(&shard->passthroughs);
}

uint64_t hbk_shard_random(struct hbk_shard *shard)
{
    /* splitmix64 (Steele, Lea, Flood 2014) */
    uint64_t z = shard->random += UINT64_C(0x9e3779b97f4a7c15);
    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return z ^ (z >> 31);
}

const struct hbk_workload *hbk_pod_workload(const struct hbk_pod_proxy *pod)
{
    const struct hbk_mesh *mesh = pod->shard->mesh;
    return mesh == NULL ? NULL : hbk_mesh_workload(mesh, pod->uid);
}

hbk_status hbk_pod_connect(struct hbk_pod_proxy *pod, const struct hbk_address *to,
                           const struct hbk_address *source, bool is_to_workload, int *out_fd)
{
    const struct hbk_net_config *config = &pod->shard->net.config;
    bool is_inherited = is_to_workload && pod->netns_fd >= 0;
    struct hbk_connect_options options = {
        .source = source,
        .is_spoofed = is_to_workload && source != NULL,
        .is_local = is_to_workload,
        .mark = is_inherited ? config->workload_mark : config->mark,
    };
    HBK_CLEANUP(hbk_netns_leave) struct hbk_netns_visit visit = hbk_netns_visit_none();
    if (pod->netns_fd >= 0) {
        HBK_TRY(hbk_netns_enter(pod->netns_fd, &visit));
    }
    return hbk_socket_connect(to, &options, out_fd);
}

/* Pods -------------------------------------------------------------------------------------- */

static void on_burial(struct hbk_task *task);

static hbk_status open_listeners(struct hbk_pod_proxy *pod, const int fds[3])
{
    struct hbk_net *net = &pod->shard->net;
    static void (*const on_accept[3])(struct hbk_listener *, int, const struct hbk_address *) = {
        hbk_outbound_accept, hbk_plain_accept, hbk_inbound_accept};
    struct hbk_listener *listeners[3] = {&pod->outbound, &pod->plain, &pod->hbone};
    hbk_status status = HBK_OK;
    for (int i = 0; i < 3; i++) {
        hbk_status opened = hbk_listener_open(listeners[i], net, fds[i], on_accept[i], pod);
        status = status == HBK_OK ? opened : status;
    }
    return status;
}

hbk_status hbk_pod_open(struct hbk_shard *shard, struct hbk_slice uid, int netns_fd,
                        const struct hbk_spiffe_id *identity, struct hbk_tls_credential *credential,
                        const int fds[3])
{
    struct hbk_pod_proxy *pod = calloc(1, sizeof *pod);
    char *text = hbk_slice_to_string(uid);
    if (pod == NULL || text == NULL) {
        free(pod);
        free(text);
        for (int i = 0; i < 3; i++) {
            int fd = fds[i];
            hbk_fd_close(&fd);
        }
        hbk_fd_close(&netns_fd);
        hbk_spiffe_unref(identity);
        hbk_tls_credential_unref(credential);
        return HBK_NO_MEMORY;
    }
    /* Not in hbk_shard_init(), which runs on control while the worker's loop does, too. */
    hbk_loop_set_gather(shard->net.loop, shard->net.config.gather_ns);
    pod->shard = shard;
    pod->uid = hbk_slice_of(text, uid.size);
    pod->netns_fd = netns_fd;
    pod->identity = identity;
    pod->credential = credential;
    hbk_task_init(&pod->burial, on_burial);
    hbk_list_init(&pod->connections);
    hbk_list_init(&pod->tunnels);
    hbk_list_append(&shard->pods, &pod->link);
    hbk_status status = open_listeners(pod, fds);
    if (status != HBK_OK) {
        hbk_pod_close(pod, true);
    }
    return status;
}

static void close_own_tunnel(void *context, const struct hbk_upstream_key *key,
                             struct hbk_tunnel *tunnel)
{
    if (key->pod == context) {
        hbk_tunnel_close(tunnel);
    }
}

static void drain_own_tunnel(void *context, const struct hbk_upstream_key *key,
                             struct hbk_tunnel *tunnel)
{
    if (key->pod == context && tunnel->state == HBK_TUNNEL_OPEN) {
        hbk_tunnel_drain(tunnel);
    }
}

void hbk_pod_close(struct hbk_pod_proxy *pod, bool is_hard)
{
    if (!pod->is_closed) {
        pod->is_closed = true;
        hbk_listener_close(&pod->outbound);
        hbk_listener_close(&pod->plain);
        hbk_listener_close(&pod->hbone);
    }
    if (is_hard) {
        HBK_LIST_EACH (link, &pod->connections) {
            hbk_connection_cut(HBK_CONTAINER(link, struct hbk_connection, in_pod),
                               HBK_FAILURE_DRAIN, "connection closed due to connection drain");
        }
    }
    HBK_LIST_EACH (link, &pod->tunnels) {
        struct hbk_tunnel *tunnel = HBK_CONTAINER(link, struct hbk_tunnel, link);
        if (is_hard) {
            hbk_tunnel_close(tunnel);
        } else {
            hbk_tunnel_drain(tunnel);
        }
    }
    hbk_upstream_each(&pod->shard->upstream, is_hard ? close_own_tunnel : drain_own_tunnel, pod);
    hbk_pod_release(pod);
}

void hbk_pod_release(struct hbk_pod_proxy *pod)
{
    if (!pod->is_closed || !hbk_list_is_empty(&pod->connections) ||
        !hbk_list_is_empty(&pod->tunnels) || hbk_link_is_linked(&pod->burial.link)) {
        return;
    }
    hbk_loop_post(pod->shard->net.loop, HBK_PHASE_END, &pod->burial);
}

/* Idle client tunnels compare their pod by its address, so they go before another gets it. */
static void on_burial(struct hbk_task *task)
{
    struct hbk_pod_proxy *pod = HBK_CONTAINER(task, struct hbk_pod_proxy, burial);
    hbk_upstream_each(&pod->shard->upstream, close_own_tunnel, pod);
    hbk_link_remove(&pod->link);
    hbk_fd_close(&pod->netns_fd);
    hbk_spiffe_unref(pod->identity);
    hbk_tls_credential_unref(pod->credential);
    free((char *)(uintptr_t)pod->uid.bytes);
    free(pod);
}

/* What control asks for ---------------------------------------------------------------------- */

/* A peer that is not trusted any more under the new bundles is cut off at once. One whose
 * certificate has merely run out has a newer one by now: the tunnel drains. */
static bool is_cut_off(struct hbk_pod_proxy *pod, struct hbk_tunnel *tunnel)
{
    const struct hbk_peer *peer = hbk_tls_peer(tunnel->tls);
    struct hbk_verdict_failure failure = {.error = {.status = HBK_OK}};
    if (tunnel->state != HBK_TUNNEL_OPEN || peer == NULL ||
        hbk_verdict_again(peer, hbk_tls_credential_bundles(pod->credential),
                          hbk_clock_realtime_ns(), &failure) == HBK_OK) {
        return false;
    }
    if (failure.reason == HBK_VERDICT_EXPIRED) {
        hbk_tunnel_mark(tunnel, HBK_TUNNEL_END_EXPIRED);
        hbk_tunnel_drain(tunnel);
        return false;
    }
    hbk_tunnel_mark(tunnel, failure.reason == HBK_VERDICT_REVOKED ? HBK_TUNNEL_END_REVOKED
                                                                  : HBK_TUNNEL_END_ROOT_WITHDRAWN);
    hbk_tunnel_fail(tunnel, HBK_FAILURE_REVOKED, HBK_UNTRUSTED, 0, "connection closed: %s",
                    failure.error.text);
    return true;
}

/* New streams show the new certificate; open ones end where they are. */
static void review_own_tunnel(void *context, const struct hbk_upstream_key *key,
                              struct hbk_tunnel *tunnel)
{
    struct hbk_pod_proxy *pod = context;
    if (key->pod == pod && tunnel->state == HBK_TUNNEL_OPEN && !is_cut_off(pod, tunnel)) {
        hbk_tunnel_drain(tunnel);
    }
}

static void renew_pod(struct hbk_pod_proxy *pod, struct hbk_tls_credential *credential)
{
    hbk_tls_credential_unref(pod->credential);
    pod->credential = hbk_tls_credential_ref(credential);
    HBK_LIST_EACH (link, &pod->tunnels) {
        (void)is_cut_off(pod, HBK_CONTAINER(link, struct hbk_tunnel, link));
    }
    hbk_upstream_each(&pod->shard->upstream, review_own_tunnel, pod);
}

void hbk_shard_renew(struct hbk_shard *shard, const struct hbk_spiffe_id *identity,
                     struct hbk_tls_credential *credential)
{
    HBK_LIST_EACH (link, &shard->pods) {
        struct hbk_pod_proxy *pod = HBK_CONTAINER(link, struct hbk_pod_proxy, link);
        if (pod->identity == identity) {
            renew_pod(pod, credential);
        }
    }
}

void hbk_shard_publish(struct hbk_shard *shard, struct hbk_mesh *mesh)
{
    shard->mesh = mesh;
    HBK_LIST_EACH (pod_link, &shard->pods) {
        struct hbk_pod_proxy *pod = HBK_CONTAINER(pod_link, struct hbk_pod_proxy, link);
        HBK_LIST_EACH (link, &pod->connections) {
            hbk_connection_recheck(HBK_CONTAINER(link, struct hbk_connection, in_pod));
        }
    }
}

void hbk_shard_close_all(struct hbk_shard *shard)
{
    HBK_LIST_EACH (link, &shard->pods) {
        hbk_pod_close(HBK_CONTAINER(link, struct hbk_pod_proxy, link), true);
    }
}

size_t hbk_shard_live(const struct hbk_shard *shard)
{
    size_t live = 0;
    HBK_LIST_EACH (link, &shard->pods) {
        const struct hbk_pod_proxy *pod = HBK_CONTAINER(link, struct hbk_pod_proxy, link);
        live += pod->tunnel_count;
        HBK_LIST_EACH (connection, &pod->connections) {
            live++;
        }
    }
    return live;
}
