#include "proxy/outbound.h"

#include <string.h>

#include "identity/spiffe.h"
#include "os/fd.h"
#include "os/socket.h"
#include "policy/route.h"
#include "proxy/header.h"
#include "proxy/plain.h"
#include "tls/session.h"

static void on_answer(struct hbk_relay *relay, uint32_t status);
static void on_refused(struct hbk_relay *relay);
static void on_closed(struct hbk_relay *relay);
static void on_tunnel(struct hbk_waiter *waiter, struct hbk_tunnel *tunnel, bool is_fresh);
static void on_no_tunnel(struct hbk_waiter *waiter, const struct hbk_failure *failure);

static const struct hbk_relay_events relay_events = {
    .on_answer = on_answer,
    .on_refused = on_refused,
    .on_closed = on_closed,
};

static const struct hbk_waiter_events waiter_events = {
    .on_tunnel = on_tunnel,
    .on_failed = on_no_tunnel,
};

static struct hbk_shard *shard_of(const struct hbk_outbound *outbound)
{
    return outbound->base.pod->shard;
}

static void on_timer(struct hbk_timer *timer)
{
    struct hbk_outbound *outbound = HBK_CONTAINER(timer, struct hbk_outbound, timer);
    hbk_counter_add(&shard_of(outbound)->telemetry, HBK_COUNTER_CONNECT_REPLY_TIMEOUT, 1);
    hbk_failure_set(&outbound->relay.failure, HBK_FAILURE_TIMEOUT, HBK_TIMEOUT, 0,
                    "connection timed out: the destination's proxy did not answer");
    hbk_relay_abort(&outbound->relay, HBK_H2_CANCEL);
}

/* Routing ----------------------------------------------------------------------------------- */

static void make_key(const struct hbk_outbound *outbound, const struct hbk_route *route,
                     struct hbk_upstream_key *out_key)
{
    const struct hbk_pod_proxy *pod = outbound->base.pod;
    struct hbk_upstream_key key = {
        .pod = pod,
        .source = outbound->base.source.ip,
        .identity = pod->identity,
        .destination = route->dial,
    };
    for (unsigned i = 0; i < route->identity_count && i < HBK_UPSTREAM_ACCEPTED_MAX; i++) {
        key.accepted[key.accepted_count++] = route->identities[i];
    }
    *out_key = key;
}

static void route_onwards(struct hbk_outbound *outbound)
{
    struct hbk_shard *shard = shard_of(outbound);
    const struct hbk_workload *source = hbk_pod_workload(outbound->base.pod);
    struct hbk_route route;
    hbk_route_outbound(shard->mesh, source, &outbound->base.destination, hbk_shard_random(shard),
                       &route);
    if (route.kind != HBK_ROUTE_HBONE) {
        hbk_failure_set(&outbound->relay.failure, HBK_FAILURE_ROUTE, HBK_NOT_FOUND, 0,
                        "connection failed: the destination left the mesh");
        hbk_relay_abort(&outbound->relay, HBK_H2_CANCEL);
        return;
    }
    outbound->base.target = route.authority;
    struct hbk_upstream_key key;
    make_key(outbound, &route, &key);
    hbk_upstream_acquire(&shard->upstream, &key, outbound->is_retry, &outbound->waiter);
}

static void start_hbone(struct hbk_pod_proxy *pod, int fd, const struct hbk_address *peer,
                        const struct hbk_address *destination, const struct hbk_route *route)
{
    struct hbk_shard *shard = pod->shard;
    struct hbk_outbound *outbound = hbk_pool_take(&shard->outbound);
    if (outbound == NULL) {
        hbk_counter_add(&shard->telemetry, HBK_COUNTER_POOL_EXHAUSTED_CONNECTION, 1);
        hbk_connection_log_refusal(pod, false, peer, destination, "too many connections");
        hbk_fd_close(&fd);
        return;
    }
    if (hbk_relay_init(&outbound->relay, &shard->net, fd, false, &relay_events) != HBK_OK) {
        hbk_counter_add(&shard->telemetry, HBK_COUNTER_REFUSED_LIMIT, 1);
        hbk_connection_log_refusal(pod, false, peer, destination, "no memory for the connection");
        hbk_pool_give(&shard->outbound, outbound);
        return;
    }
    hbk_connection_init(&outbound->base, pod, HBK_CONNECTION_OUTBOUND);
    outbound->base.source = *peer;
    outbound->base.destination = *destination;
    outbound->base.target = route->authority;
    hbk_waiter_init(&outbound->waiter, &waiter_events);
    hbk_timer_init(&outbound->timer, on_timer);
    hbk_connection_routed(&outbound->base, hbk_pod_workload(pod), route->workload, route->service);
    const struct hbk_net_config *config = &shard->net.config;
    hbk_loop_timer(shard->net.loop, &outbound->timer,
                   config->connect_timeout_ns + config->handshake_timeout_ns +
                       config->request_timeout_ns);
    struct hbk_upstream_key key;
    make_key(outbound, route, &key);
    hbk_upstream_acquire(&shard->upstream, &key, false, &outbound->waiter);
}

static const enum hbk_counter refusal_counters[] = {
    [HBK_REFUSAL_NONE] = HBK_COUNTER_REFUSED_LIMIT,
    [HBK_REFUSAL_UNKNOWN_SOURCE] = HBK_COUNTER_REFUSED_UNKNOWN_SOURCE,
    [HBK_REFUSAL_RECURSION] = HBK_COUNTER_REFUSED_RECURSIVE,
    [HBK_REFUSAL_NO_HEALTHY_UPSTREAM] = HBK_COUNTER_REFUSED_NO_HEALTHY_UPSTREAM,
    [HBK_REFUSAL_WAYPOINT] = HBK_COUNTER_REFUSED_UNSUPPORTED_ROUTE,
    [HBK_REFUSAL_NETWORK] = HBK_COUNTER_REFUSED_UNSUPPORTED_ROUTE,
    [HBK_REFUSAL_NO_ADDRESS] = HBK_COUNTER_REFUSED_UNSUPPORTED_ROUTE,
    [HBK_REFUSAL_PLAIN_TEXT] = HBK_COUNTER_REFUSED_PLAIN_OUTBOUND,
};

static void refuse(struct hbk_pod_proxy *pod, int fd, const struct hbk_address *peer,
                   const struct hbk_address *destination, const struct hbk_route *route)
{
    hbk_counter_add(&pod->shard->telemetry, refusal_counters[route->refusal], 1);
    hbk_connection_log_refusal(pod, false, peer, destination, route->text);
    hbk_socket_reset_on_close(fd);
    hbk_fd_close(&fd);
}

void hbk_outbound_accept(struct hbk_listener *listener, int fd, const struct hbk_address *peer)
{
    struct hbk_pod_proxy *pod = listener->owner;
    struct hbk_shard *shard = pod->shard;
    struct hbk_address destination;
    hbk_counter_add(&shard->telemetry, HBK_COUNTER_ACCEPTED_OUTBOUND, 1);
    if (hbk_socket_original_destination(fd, &destination) != HBK_OK &&
        hbk_socket_local_address(fd, &destination) != HBK_OK) {
        hbk_fd_close(&fd);
        return;
    }
    struct hbk_route route;
    hbk_route_outbound(shard->mesh, hbk_pod_workload(pod), &destination, hbk_shard_random(shard),
                       &route);
    switch (route.kind) {
    case HBK_ROUTE_HBONE:
        start_hbone(pod, fd, peer, &destination, &route);
        return;
    case HBK_ROUTE_PLAIN:
        hbk_plain_start_outbound(pod, fd, peer, &destination, &route);
        return;
    case HBK_ROUTE_REFUSED:
        refuse(pod, fd, peer, &destination, &route);
        return;
    }
}

/* Tunnels ----------------------------------------------------------------------------------- */

hbk_status hbk_outbound_dial(void *context, const struct hbk_upstream_key *key, int *out_fd,
                             struct hbk_tls_session **out_tls, struct hbk_failure *out_failure)
{
    (void)context;
    struct hbk_pod_proxy *pod = (struct hbk_pod_proxy *)(uintptr_t)key->pod;
    if (pod->credential == NULL) {
        hbk_counter_add(&pod->shard->telemetry, HBK_COUNTER_REFUSED_NO_IDENTITY, 1);
        hbk_failure_set(out_failure, HBK_FAILURE_IDENTITY, HBK_NOT_FOUND, 0,
                        "identity error: no certificate for this workload yet");
        return HBK_NOT_FOUND;
    }
    struct hbk_tls_options options = {
        .role = HBK_TLS_CLIENT,
        .worker = pod->shard->net.batch.tls,
        .expectation = hbk_tls_credential_neighbours(pod->credential),
    };
    options.expectation.ids = key->accepted;
    options.expectation.id_count = key->accepted_count;
    struct hbk_tls_session *tls = NULL;
    hbk_status status = hbk_tls_session_new(hbk_tls_credential_context(pod->credential), &options,
                                            hbk_clock_realtime_ns(), &tls);
    if (status != HBK_OK) {
        hbk_failure_set(out_failure, HBK_FAILURE_TLS, status, 0, "tls error: %s",
                        hbk_status_text(status));
        return status;
    }
    struct hbk_address source = {.ip = key->source};
    status = hbk_pod_connect(pod, &key->destination,
                             hbk_ip_is_loopback(&source.ip) ? NULL : &source, false, out_fd);
    if (status != HBK_OK) {
        hbk_tls_session_free(tls);
        hbk_failure_set(out_failure, HBK_FAILURE_CONNECT, status, 0, "connection failed: %s",
                        hbk_status_text(status));
        return status;
    }
    *out_tls = tls;
    return HBK_OK;
}

void hbk_outbound_opened(void *context, const struct hbk_upstream_key *key,
                         struct hbk_tunnel *tunnel)
{
    struct hbk_shard *shard = context;
    const struct hbk_pod_proxy *pod = key->pod;
    hbk_timing_add(&shard->telemetry, HBK_TIMING_HANDSHAKE_CLIENT, tunnel->handshake_ns);
    if (hbk_tls_session_context(tunnel->tls) != hbk_tls_credential_context(pod->credential)) {
        hbk_tunnel_drain(tunnel); /* the credential was replaced while hands were shaken */
    }
}

static void on_tunnel(struct hbk_waiter *waiter, struct hbk_tunnel *tunnel, bool is_fresh)
{
    struct hbk_outbound *outbound = HBK_CONTAINER(waiter, struct hbk_outbound, waiter);
    struct hbk_shard *shard = shard_of(outbound);
    outbound->base.tls_engine = hbk_tls_engine_text(hbk_tunnel_engine(tunnel));
    outbound->is_tunnel_old = !is_fresh;
    outbound->asked_ns = shard->net.loop->now_ns;
    struct hbk_request_header header;
    hbk_request_header_build(&header, &outbound->base, hbk_pod_workload(outbound->base.pod));
    hbk_status status = hbk_relay_ask(&outbound->relay, tunnel, header.authority,
                                      header.fields.list, header.fields.count);
    if (status != HBK_OK) {
        hbk_failure_set(&outbound->relay.failure, HBK_FAILURE_HTTP2, status, 0, "http2 error: %s",
                        hbk_status_text(status));
        hbk_relay_abort(&outbound->relay, HBK_H2_CANCEL);
        return;
    }
    hbk_loop_timer(shard->net.loop, &outbound->timer, shard->net.config.request_timeout_ns);
}

static void on_no_tunnel(struct hbk_waiter *waiter, const struct hbk_failure *failure)
{
    struct hbk_outbound *outbound = HBK_CONTAINER(waiter, struct hbk_outbound, waiter);
    if (failure->kind == HBK_FAILURE_CONNECT) {
        hbk_counter_add(&shard_of(outbound)->telemetry,
                        failure->status == HBK_TIMEOUT ? HBK_COUNTER_CONNECT_TIMEOUT
                                                       : HBK_COUNTER_CONNECT_REFUSED,
                        1);
    }
    hbk_failure_copy(&outbound->relay.failure, failure);
    hbk_relay_abort(&outbound->relay, HBK_H2_CANCEL);
}

static void on_answer(struct hbk_relay *relay, uint32_t status)
{
    struct hbk_outbound *outbound = HBK_CONTAINER(relay, struct hbk_outbound, relay);
    struct hbk_shard *shard = shard_of(outbound);
    hbk_loop_timer_cancel(shard->net.loop, &outbound->timer);
    hbk_timing_add(&shard->telemetry, HBK_TIMING_CONNECT_REPLY,
                   shard->net.loop->now_ns - outbound->asked_ns);
    if (status == 200) {
        hbk_relay_start(relay);
        return;
    }
    hbk_counter_add(&shard->telemetry, HBK_COUNTER_CONNECT_REJECTED, 1);
    hbk_failure_set(&relay->failure, HBK_FAILURE_REQUEST, HBK_DENIED, status, "http status: %u%s",
                    status, hbk_answer_status_text(status));
    hbk_relay_abort(relay, HBK_H2_NO_ERROR);
}

/* A tunnel that stood before may have died unnoticed: once, a fresh one is tried. The application's
 * bytes were not read yet, so nothing can be lost or doubled. */
static void on_refused(struct hbk_relay *relay)
{
    struct hbk_outbound *outbound = HBK_CONTAINER(relay, struct hbk_outbound, relay);
    if (outbound->is_retry || !outbound->is_tunnel_old) {
        hbk_relay_abort(relay, HBK_H2_CANCEL);
        return;
    }
    struct hbk_shard *shard = shard_of(outbound);
    hbk_counter_add(&shard->telemetry, HBK_COUNTER_CONNECT_RETRIED, 1);
    shard->net.counters.streams_retried++;
    hbk_failure_clear(&relay->failure);
    outbound->is_retry = true;
    route_onwards(outbound);
}

static void on_closed(struct hbk_relay *relay)
{
    struct hbk_outbound *outbound = HBK_CONTAINER(relay, struct hbk_outbound, relay);
    struct hbk_shard *shard = shard_of(outbound);
    hbk_upstream_cancel(&shard->upstream, &outbound->waiter);
    hbk_loop_timer_cancel(shard->net.loop, &outbound->timer);
    hbk_connection_ended(&outbound->base, &relay->failure, relay->sent_bytes,
                         relay->received_bytes);
    hbk_failure_clear(&relay->failure);
    hbk_pool_give(&shard->outbound, outbound);
}
