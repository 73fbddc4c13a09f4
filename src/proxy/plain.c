#include "proxy/plain.h"

#include "os/fd.h"
#include "os/socket.h"
#include "policy/authorize.h"

static void on_connected(struct hbk_passthrough *passthrough, int error)
{
    (void)passthrough;
    (void)error; /* the passthrough has kept the failure and closes */
}

static void on_closed(struct hbk_passthrough *passthrough)
{
    struct hbk_plain *plain = HBK_CONTAINER(passthrough, struct hbk_plain, passthrough);
    struct hbk_shard *shard = plain->base.pod->shard;
    hbk_connection_ended(&plain->base, &passthrough->failure, passthrough->sides[0].received_bytes,
                         passthrough->sides[1].received_bytes);
    hbk_failure_clear(&passthrough->failure);
    hbk_pool_give(&shard->passthroughs, plain);
}

static const struct hbk_passthrough_events events = {
    .on_connected = on_connected,
    .on_closed = on_closed,
};

static void refuse(struct hbk_pod_proxy *pod, bool is_inbound, int fd,
                   const struct hbk_address *peer, const struct hbk_address *destination,
                   enum hbk_counter counter, const char *why)
{
    hbk_counter_add(&pod->shard->telemetry, counter, 1);
    hbk_connection_log_refusal(pod, is_inbound, peer, destination, why);
    hbk_socket_reset_on_close(fd);
    hbk_fd_close(&fd);
}

/* Connects onwards and joins the two sockets; NULL, and both closed, when that is not possible. */
static struct hbk_plain *start(struct hbk_pod_proxy *pod, bool is_inbound, int fd,
                               const struct hbk_address *peer, const struct hbk_address *target,
                               const struct hbk_address *source)
{
    struct hbk_shard *shard = pod->shard;
    int onward = -1;
    hbk_status status = hbk_pod_connect(pod, target, source, is_inbound, &onward);
    if (status != HBK_OK) {
        refuse(pod, is_inbound, fd, peer, target, HBK_COUNTER_CONNECT_REFUSED,
               hbk_status_text(status));
        return NULL;
    }
    struct hbk_plain *plain = hbk_pool_take(&shard->passthroughs);
    if (plain == NULL) {
        hbk_fd_close(&onward);
        refuse(pod, is_inbound, fd, peer, target, HBK_COUNTER_POOL_EXHAUSTED_CONNECTION,
               "too many connections");
        return NULL;
    }
    if (hbk_passthrough_start(&plain->passthrough, &shard->net, fd, onward, &events) != HBK_OK) {
        hbk_counter_add(&shard->telemetry, HBK_COUNTER_REFUSED_LIMIT, 1);
        hbk_connection_log_refusal(pod, is_inbound, peer, target, "no memory for the connection");
        hbk_pool_give(&shard->passthroughs, plain);
        return NULL;
    }
    hbk_connection_init(&plain->base, pod,
                        is_inbound ? HBK_CONNECTION_PLAIN_INBOUND : HBK_CONNECTION_PLAIN_OUTBOUND);
    plain->base.source = *peer;
    plain->base.target = *target;
    return plain;
}

void hbk_plain_start_outbound(struct hbk_pod_proxy *pod, int fd, const struct hbk_address *peer,
                              const struct hbk_address *destination, const struct hbk_route *route)
{
    struct hbk_plain *plain = start(pod, false, fd, peer, &route->authority, NULL);
    if (plain != NULL) {
        plain->base.destination = *destination;
        hbk_connection_routed(&plain->base, hbk_pod_workload(pod), route->workload, route->service);
    }
}

static bool is_permitted(struct hbk_pod_proxy *pod, int fd, const struct hbk_address *peer,
                         const struct hbk_address *destination)
{
    struct hbk_shard *shard = pod->shard;
    const struct hbk_workload *workload = hbk_pod_workload(pod);
    if (workload == NULL || hbk_route_is_own_port(destination->port)) {
        refuse(pod, true, fd, peer, destination,
               workload == NULL ? HBK_COUNTER_REFUSED_UNKNOWN_DESTINATION
                                : HBK_COUNTER_REFUSED_RECURSIVE,
               workload == NULL ? "unknown destination workload"
                                : "attempted recursive call to ourselves");
        return false;
    }
    if (!hbk_inbound_plain_allowed(shard->mesh, workload, destination->port)) {
        refuse(
            pod, true, fd, peer, destination, HBK_COUNTER_REFUSED_STRICT,
            "connection closed due to policy rejection: plain text is refused, the mode is STRICT");
        return false;
    }
    struct hbk_authorize_input input = {.source = *peer, .destination = *destination};
    struct hbk_authorization verdict;
    hbk_authorize(shard->mesh, workload, &input, &verdict);
    if (!verdict.is_allowed) {
        char text[HBK_AUTHORIZATION_TEXT_BYTES_MAX];
        refuse(pod, true, fd, peer, destination, HBK_COUNTER_REFUSED_POLICY,
               hbk_authorization_text(&verdict, text));
        return false;
    }
    return true;
}

void hbk_plain_accept(struct hbk_listener *listener, int fd, const struct hbk_address *peer)
{
    struct hbk_pod_proxy *pod = listener->owner;
    struct hbk_shard *shard = pod->shard;
    struct hbk_address destination;
    hbk_counter_add(&shard->telemetry, HBK_COUNTER_ACCEPTED_INBOUND_PLAIN, 1);
    if (hbk_socket_original_destination(fd, &destination) != HBK_OK &&
        hbk_socket_local_address(fd, &destination) != HBK_OK) {
        hbk_fd_close(&fd);
        return;
    }
    if (!is_permitted(pod, fd, peer, &destination)) {
        return;
    }
    /* The application sees its caller's address, unless that is its own. */
    struct hbk_address source = {.ip = peer->ip};
    bool is_self = hbk_ip_equal(&peer->ip, &destination.ip);
    struct hbk_plain *plain = start(pod, true, fd, peer, &destination, is_self ? NULL : &source);
    if (plain != NULL) {
        plain->base.destination = destination;
        const struct hbk_workload *caller =
            hbk_mesh_workload_by_ip(shard->mesh, hbk_pod_workload(pod)->network, &peer->ip);
        hbk_connection_routed(&plain->base, caller, hbk_pod_workload(pod), NULL);
    }
}
