#include "proxy/inbound.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "identity/spiffe.h"
#include "os/fd.h"
#include "os/socket.h"
#include "policy/authorize.h"
#include "proxy/header.h"
#include "tls/session.h"

enum { WHY_BYTES_MAX = 320 };

/* What a request comes to: where to connect, or a status and why not. */
struct decision {
    uint32_t status; /* 200: go on */
    enum hbk_counter counter;
    struct hbk_address target;
    const struct hbk_service *service;
    char why[WHY_BYTES_MAX];
};

static void on_connected(struct hbk_relay *relay, int error);
static void on_closed(struct hbk_relay *relay);

static const struct hbk_relay_events relay_events = {
    .on_connected = on_connected,
    .on_closed = on_closed,
};

/* Decisions --------------------------------------------------------------------------------- */

HBK_PRINTF(4, 5)
static void decide(struct decision *decision, uint32_t status, enum hbk_counter counter,
                   const char *format, ...)
{
    va_list values;
    va_start(values, format);
    (void)vsnprintf(decision->why, sizeof decision->why, format, values);
    va_end(values);
    decision->status = status;
    decision->counter = counter;
}

/* "host:port" names a service that this workload must serve; the service maps the port. */
static bool resolve_host(struct decision *decision, const struct hbk_shard *shard,
                         const struct hbk_workload *workload, struct hbk_slice host, uint16_t port,
                         uint16_t *out_port)
{
    const struct hbk_service *service =
        hbk_mesh_service_by_host(shard->mesh, host, workload->namespace);
    uint16_t target = 0;
    for (uint32_t i = 0; service != NULL && target == 0 && i < workload->service_count; i++) {
        const struct hbk_membership *membership = &workload->services[i];
        if (hbk_slice_equal(membership->service_key, service->record.key)) {
            target = hbk_port_pairs_find(membership->ports, membership->port_count, port);
            target = target != 0 ? target
                                 : hbk_port_pairs_find(service->ports, service->port_count, port);
        }
    }
    if (target == 0) {
        decide(decision, 503, HBK_COUNTER_REFUSED_UNKNOWN_DESTINATION,
               "unknown destination %.*s:%u", HBK_SLICE_ARGS(hbk_slice_part(host, 0, 128)), port);
        return false;
    }
    decision->service = service;
    *out_port = target;
    return true;
}

static bool resolve(struct decision *decision, const struct hbk_tunnel *tunnel,
                    const struct hbk_workload *workload,
                    const struct hbk_hbone_authority *authority)
{
    const struct hbk_pod_proxy *pod = tunnel->owner;
    decision->target = (struct hbk_address){.ip = tunnel->local.ip, .port = authority->port};
    if (!authority->is_address) {
        return resolve_host(decision, pod->shard, workload, authority->host, authority->port,
                            &decision->target.port);
    }
    if (!hbk_ip_equal(&authority->address.ip, &tunnel->local.ip)) {
        char ours[HBK_ADDRESS_TEXT_BYTES_MAX];
        char theirs[HBK_ADDRESS_TEXT_BYTES_MAX];
        decide(decision, 400, HBK_COUNTER_REFUSED_WRONG_DESTINATION, "ip mismatch: %s != %s",
               hbk_ip_text(&tunnel->local.ip, ours), hbk_ip_text(&authority->address.ip, theirs));
        return false;
    }
    return true;
}

/* The first service of the workload that maps some port to the target: for labels only. */
static const struct hbk_service *service_of(const struct hbk_shard *shard,
                                            const struct hbk_workload *workload, uint16_t port)
{
    for (uint32_t i = 0; i < workload->service_count; i++) {
        const struct hbk_membership *membership = &workload->services[i];
        for (uint32_t j = 0; j < membership->port_count; j++) {
            if (membership->ports[j].target_port == port) {
                return hbk_mesh_service(shard->mesh, membership->service_key);
            }
        }
    }
    return NULL;
}

static void log_dry_runs(const struct hbk_authorization *verdict, const struct hbk_tunnel *tunnel)
{
    for (uint32_t i = 0; i < verdict->dry_run_count && i < HBK_AUTHORIZATION_DRY_RUNS_MAX; i++) {
        char peer[HBK_ADDRESS_TEXT_BYTES_MAX];
        const struct hbk_policy *policy = verdict->dry_runs[i];
        hbk_log(HBK_LOG_INFO, "proxy", "dry run: %.*s would %s a connection from %s",
                HBK_SLICE_ARGS(policy->record.key),
                policy->action == HBK_POLICY_DENY ? "deny" : "allow",
                hbk_address_text(&tunnel->peer, peer));
    }
}

static void authorize(struct decision *decision, const struct hbk_tunnel *tunnel,
                      const struct hbk_workload *workload)
{
    const struct hbk_pod_proxy *pod = tunnel->owner;
    const struct hbk_mesh *mesh = pod->shard->mesh;
    if (hbk_mesh_peer_mode(mesh, workload, decision->target.port) == HBK_PEER_DISABLE) {
        decide(decision, 401, HBK_COUNTER_REFUSED_POLICY,
               "connection closed due to policy rejection: the mode is DISABLE");
        return;
    }
    struct hbk_authorize_input input = {
        .source = tunnel->peer,
        .destination = decision->target,
        .source_identity = hbk_tls_peer(tunnel->tls)->id,
    };
    struct hbk_authorization verdict;
    hbk_authorize(mesh, workload, &input, &verdict);
    log_dry_runs(&verdict, tunnel);
    if (!verdict.is_allowed) {
        char text[HBK_AUTHORIZATION_TEXT_BYTES_MAX];
        decide(decision, 401, HBK_COUNTER_REFUSED_POLICY, "%s",
               hbk_authorization_text(&verdict, text));
    }
}

/* In the order of ambient.md 3b. */
static void decide_request(struct decision *decision, const struct hbk_tunnel *tunnel,
                           const struct hbk_h2_event *event)
{
    const struct hbk_pod_proxy *pod = tunnel->owner;
    const struct hbk_workload *workload = hbk_pod_workload(pod);
    struct hbk_hbone_arrival arrival;
    const char *reason = NULL;
    *decision = (struct decision){.status = 200};
    if (hbk_hbone_read_request(event->fields, &arrival, &reason) != HBK_HBONE_CONNECTED) {
        decide(decision, 400, HBK_COUNTER_REFUSED_BAD_REQUEST, "%s", reason);
        return;
    }
    if (workload == NULL) {
        decide(decision, 503, HBK_COUNTER_REFUSED_UNKNOWN_DESTINATION,
               "unknown destination workload");
        return;
    }
    if (!resolve(decision, tunnel, workload, &arrival.authority)) {
        return;
    }
    if (hbk_route_is_own_port(decision->target.port)) {
        decide(decision, 503, HBK_COUNTER_REFUSED_RECURSIVE,
               "attempted recursive call to ourselves");
        return;
    }
    authorize(decision, tunnel, workload);
    if (decision->service == NULL) {
        decision->service = service_of(pod->shard, workload, decision->target.port);
    }
}

/* Streams ----------------------------------------------------------------------------------- */

static void on_timer(struct hbk_timer *timer)
{
    struct hbk_inbound *inbound = HBK_CONTAINER(timer, struct hbk_inbound, timer);
    hbk_counter_add(&inbound->base.pod->shard->telemetry, HBK_COUNTER_CONNECT_TIMEOUT, 1);
    hbk_failure_set(&inbound->relay.failure, HBK_FAILURE_CONNECT, HBK_TIMEOUT, ETIMEDOUT,
                    "connection failed: the application did not answer in time");
    hbk_relay_answer(&inbound->relay, 503, NULL, 0);
}

/* Connects to the application under the caller's address. */
static hbk_status dial(struct hbk_inbound *inbound)
{
    struct hbk_pod_proxy *pod = inbound->base.pod;
    struct hbk_address source = {.ip = inbound->base.source.ip};
    bool is_self = hbk_ip_equal(&source.ip, &inbound->base.target.ip) ||
                   source.ip.size != inbound->base.target.ip.size;
    int fd = -1;
    HBK_TRY(hbk_pod_connect(pod, &inbound->base.target, is_self ? NULL : &source, true, &fd));
    return hbk_relay_connect(&inbound->relay, fd);
}

static void refuse_inbound(struct hbk_inbound *inbound, enum hbk_failure_kind kind,
                           hbk_status status, enum hbk_counter counter, uint32_t answer,
                           const char *why)
{
    hbk_counter_add(&inbound->base.pod->shard->telemetry, counter, 1);
    hbk_failure_set(&inbound->relay.failure, kind, status, answer, "%s", why);
    hbk_relay_answer(&inbound->relay, answer, NULL, 0);
}

static void set_up(struct hbk_inbound *inbound, struct hbk_tunnel *tunnel,
                   const struct decision *decision)
{
    struct hbk_pod_proxy *pod = tunnel->owner;
    struct hbk_shard *shard = pod->shard;
    const struct hbk_workload *workload = hbk_pod_workload(pod);
    struct hbk_connection *base = &inbound->base;
    hbk_connection_init(base, pod, HBK_CONNECTION_INBOUND);
    hbk_timer_init(&inbound->timer, on_timer);
    base->source = tunnel->peer;
    base->destination = tunnel->local;
    base->target = decision->target;
    base->tls_engine = hbk_tls_engine_text(hbk_tunnel_engine(tunnel));
    base->peer = hbk_spiffe_ref(hbk_tls_peer(tunnel->tls)->id);
    struct hbk_slice network = workload == NULL ? HBK_SLICE("") : workload->network;
    hbk_connection_routed(base, hbk_mesh_workload_by_ip(shard->mesh, network, &tunnel->peer.ip),
                          workload, decision->service);
}

static void accept_request(struct hbk_tunnel *tunnel, const struct hbk_h2_event *event,
                           const struct decision *decision)
{
    struct hbk_pod_proxy *pod = tunnel->owner;
    struct hbk_shard *shard = pod->shard;
    struct hbk_inbound *inbound = hbk_pool_take(&shard->inbound);
    if (inbound == NULL) {
        hbk_counter_add(&shard->telemetry, HBK_COUNTER_POOL_EXHAUSTED_STREAM, 1);
        hbk_h2_refuse_with_code(&tunnel->h2, event, HBK_H2_REFUSED_STREAM);
        return;
    }
    hbk_relay_init_bare(&inbound->relay, &shard->net, &relay_events);
    if (hbk_relay_accept(&inbound->relay, tunnel, event) != HBK_OK) {
        hbk_counter_add(&shard->telemetry, HBK_COUNTER_REFUSED_LIMIT, 1);
        hbk_pool_give(&shard->inbound, inbound);
        return;
    }
    set_up(inbound, tunnel, decision);
    if (decision->status != 200) {
        refuse_inbound(inbound, decision->status == 401 ? HBK_FAILURE_POLICY : HBK_FAILURE_ROUTE,
                       HBK_DENIED, decision->counter, decision->status, decision->why);
        return;
    }
    hbk_status status = dial(inbound);
    if (status != HBK_OK) {
        refuse_inbound(inbound, HBK_FAILURE_CONNECT, status, HBK_COUNTER_CONNECT_REFUSED, 503,
                       hbk_status_text(status));
        return;
    }
    hbk_loop_timer(shard->net.loop, &inbound->timer, shard->net.config.connect_timeout_ns);
}

static void on_connected(struct hbk_relay *relay, int error)
{
    struct hbk_inbound *inbound = HBK_CONTAINER(relay, struct hbk_inbound, relay);
    struct hbk_shard *shard = inbound->base.pod->shard;
    hbk_loop_timer_cancel(shard->net.loop, &inbound->timer);
    if (error != 0) {
        char why[WHY_BYTES_MAX];
        (void)snprintf(why, sizeof why, "connection failed: %s", strerror(error));
        refuse_inbound(inbound, HBK_FAILURE_CONNECT, hbk_status_from_errno(error),
                       HBK_COUNTER_CONNECT_REFUSED, 503, why);
        return;
    }
    hbk_timing_add(&shard->telemetry, HBK_TIMING_CONNECT,
                   shard->net.loop->now_ns - inbound->base.opened_ns);
    struct hbk_answer_header header;
    hbk_answer_header_build(&header, hbk_pod_workload(inbound->base.pod));
    hbk_relay_answer(relay, 200, header.fields, header.count);
    hbk_relay_start(relay);
}

static void on_closed(struct hbk_relay *relay)
{
    struct hbk_inbound *inbound = HBK_CONTAINER(relay, struct hbk_inbound, relay);
    struct hbk_shard *shard = inbound->base.pod->shard;
    hbk_loop_timer_cancel(shard->net.loop, &inbound->timer);
    hbk_connection_ended(&inbound->base, &relay->failure, relay->received_bytes, relay->sent_bytes);
    hbk_failure_clear(&relay->failure);
    hbk_pool_give(&shard->inbound, inbound);
}

/* Tunnels ----------------------------------------------------------------------------------- */

static void on_request(struct hbk_tunnel *tunnel, const struct hbk_h2_event *event)
{
    struct decision decision;
    decide_request(&decision, tunnel, event);
    accept_request(tunnel, event, &decision);
}

static void on_tunnel_open(struct hbk_tunnel *tunnel)
{
    struct hbk_pod_proxy *pod = tunnel->owner;
    hbk_timing_add(&pod->shard->telemetry, HBK_TIMING_HANDSHAKE_SERVER, tunnel->handshake_ns);
}

static void log_tunnel_failure(const struct hbk_tunnel *tunnel)
{
    if (!tunnel->has_opened && tunnel->failure.kind != HBK_FAILURE_NONE) {
        hbk_connection_log_tunnel(tunnel);
    } else if (tunnel->failure.kind != HBK_FAILURE_NONE) {
        char peer[HBK_ADDRESS_TEXT_BYTES_MAX];
        hbk_log(HBK_LOG_INFO, "proxy", "tunnel from %s closed: %s",
                hbk_address_text(&tunnel->peer, peer), hbk_failure_text(&tunnel->failure));
    }
}

static void on_tunnel_closed(struct hbk_tunnel *tunnel)
{
    struct hbk_pod_proxy *pod = tunnel->owner;
    log_tunnel_failure(tunnel);
    hbk_link_remove(&tunnel->link);
    pod->tunnel_count--;
    hbk_pod_release(pod);
}

static const struct hbk_tunnel_events tunnel_events = {
    .on_open = on_tunnel_open,
    .on_request = on_request,
    .on_closed = on_tunnel_closed,
};

static void refuse_tunnel(struct hbk_pod_proxy *pod, int fd, const struct hbk_address *peer,
                          enum hbk_counter counter, const char *why)
{
    struct hbk_address local = {.port = HBK_PORT_INBOUND_HBONE};
    if (hbk_socket_local_address(fd, &local) != HBK_OK) {
        local = (struct hbk_address){.port = HBK_PORT_INBOUND_HBONE};
    }
    hbk_counter_add(&pod->shard->telemetry, counter, 1);
    hbk_connection_log_refusal(pod, true, peer, &local, why);
    hbk_socket_reset_on_close(fd);
    hbk_fd_close(&fd);
}

void hbk_inbound_accept(struct hbk_listener *listener, int fd, const struct hbk_address *peer)
{
    struct hbk_pod_proxy *pod = listener->owner;
    struct hbk_shard *shard = pod->shard;
    hbk_counter_add(&shard->telemetry, HBK_COUNTER_ACCEPTED_INBOUND_HBONE, 1);
    if (pod->credential == NULL) {
        refuse_tunnel(pod, fd, peer, HBK_COUNTER_REFUSED_NO_IDENTITY,
                      "identity error: no certificate for this workload yet");
        return;
    }
    if (pod->tunnel_count >= HBK_POD_SERVER_TUNNELS_MAX) {
        refuse_tunnel(pod, fd, peer, HBK_COUNTER_POOL_EXHAUSTED_TUNNEL, "too many tunnels");
        return;
    }
    struct hbk_tls_options options = {
        .role = HBK_TLS_SERVER,
        .worker = shard->net.batch.tls,
        .expectation = hbk_tls_credential_neighbours(pod->credential),
    };
    struct hbk_tls_session *tls = NULL;
    hbk_status status = hbk_tls_session_new(hbk_tls_credential_context(pod->credential), &options,
                                            hbk_clock_realtime_ns(), &tls);
    if (status != HBK_OK) {
        refuse_tunnel(pod, fd, peer, HBK_COUNTER_REFUSED_LIMIT,
                      status == HBK_LIMIT ? "too many handshakes" : "no memory for TLS");
        return;
    }
    struct hbk_tunnel *tunnel = NULL;
    if (hbk_tunnel_start(&shard->net, true, fd, tls, &tunnel_events, pod, &tunnel) == HBK_OK) {
        hbk_list_append(&pod->tunnels, &tunnel->link);
        pod->tunnel_count++;
    }
}
