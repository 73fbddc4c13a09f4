#include "policy/route.h"

#include <stdarg.h>
#include <stdio.h>

#include "base/assert.h"

struct request {
    const struct hbk_mesh *mesh;
    const struct hbk_workload *source;
    struct hbk_address destination;
    uint64_t random;
};

bool hbk_route_is_own_port(uint16_t port)
{
    return port == HBK_PORT_OUTBOUND || port == HBK_PORT_INBOUND_PLAIN ||
           port == HBK_PORT_INBOUND_HBONE || port == HBK_PORT_SOCKS;
}

HBK_PRINTF(3, 4)
static void refuse(struct hbk_route *route, enum hbk_route_refusal refusal, const char *format, ...)
{
    route->kind = HBK_ROUTE_REFUSED;
    route->refusal = refusal;
    va_list values;
    va_start(values, format);
    (void)vsnprintf(route->text, sizeof route->text, format, values);
    va_end(values);
}

/* Plain text to `address`, if the source's namespace may send it. */
static void go_plain(const struct request *request, const struct hbk_address *address,
                     struct hbk_route *route)
{
    if (!hbk_mesh_allows_outbound_plain_text(request->mesh, request->source->namespace)) {
        char text[HBK_ADDRESS_TEXT_BYTES_MAX];
        refuse(route, HBK_REFUSAL_PLAIN_TEXT,
               "plain text to %s is denied: namespace %.*s may send mutual TLS only",
               hbk_address_text(address, text), HBK_SLICE_ARGS(request->source->namespace));
        return;
    }
    route->kind = HBK_ROUTE_PLAIN;
    route->dial = *address;
    route->authority = *address;
}

static void accept_identities(struct hbk_route *route)
{
    uint32_t count = 0;
    if (route->service != NULL) {
        for (; count < route->service->identity_count; count++) {
            route->identities[count] = route->service->identities[count];
        }
    }
    route->identities[count++] = route->workload->identity;
    route->identity_count = count;
}

/*
 * The last step: the endpoint and its address are known. A workload that takes no part in mutual
 * TLS is not dialled over HBONE even when it could speak it.
 */
static void go_to_workload(const struct request *request, const struct hbk_address *address,
                           struct hbk_route *route)
{
    bool speaks_hbone =
        route->workload->protocol == HBK_WORKLOAD_HBONE &&
        hbk_mesh_peer_mode(request->mesh, route->workload, address->port) != HBK_PEER_DISABLE;
    if (!speaks_hbone) {
        go_plain(request, address, route);
        return;
    }
    route->kind = HBK_ROUTE_HBONE;
    route->dial = (struct hbk_address){.ip = address->ip, .port = HBK_HBONE_PORT};
    route->authority = *address;
    accept_identities(route);
}

static bool is_on_other_network(const struct request *request, const struct hbk_workload *workload)
{
    return !hbk_slice_equal(request->source->network, workload->network);
}

static void refuse_other_network(const struct hbk_workload *workload, struct hbk_route *route)
{
    refuse(route, HBK_REFUSAL_NETWORK,
           "unknown network gateway: workload %.*s is on network \"%.*s\", and gateways to other "
           "networks are not supported",
           HBK_SLICE_ARGS(hbk_workload_uid(workload)), HBK_SLICE_ARGS(workload->network));
}

/* --- addressed to a service --- */

static bool family_is_wanted(enum hbk_ip_families families, const struct hbk_ip *ip)
{
    return !(families == HBK_IP_FAMILIES_IPV4 && ip->size != 4) &&
           !(families == HBK_IP_FAMILIES_IPV6 && ip->size != 16);
}

/*
 * Which of its addresses a chosen workload is dialled at: the one that was asked for, else one of
 * the family that was asked for, else the first, as far as the service's families allow. NULL when
 * there is none. (ambient.md 1.3, rule 8)
 */
static const struct hbk_ip *choose_ip(const struct hbk_service *service,
                                      const struct hbk_workload *workload,
                                      const struct hbk_ip *asked)
{
    const struct hbk_ip *first = NULL;
    const struct hbk_ip *same_family = NULL;
    for (uint32_t i = 0; i < workload->ip_count; i++) {
        const struct hbk_ip *ip = &workload->ips[i];
        if (hbk_ip_equal(ip, asked)) {
            return ip;
        }
        if (!family_is_wanted(service->ip_families, ip)) {
            continue;
        }
        first = first == NULL ? ip : first;
        same_family = same_family == NULL && ip->size == asked->size ? ip : same_family;
    }
    return same_family != NULL ? same_family : first;
}

static void go_to_endpoint(const struct request *request, const struct hbk_endpoint *endpoint,
                           uint16_t target_port, struct hbk_route *route)
{
    const struct hbk_workload *workload = endpoint->workload;
    route->workload = workload;
    if (is_on_other_network(request, workload)) {
        refuse_other_network(workload, route);
        return;
    }
    const struct hbk_ip *ip = choose_ip(route->service, workload, &request->destination.ip);
    if (ip == NULL) {
        refuse(route, HBK_REFUSAL_NO_ADDRESS,
               "no healthy upstream: workload %.*s has no usable address, and host names of "
               "workloads are not resolved",
               HBK_SLICE_ARGS(hbk_workload_uid(workload)));
        return;
    }
    struct hbk_address address = {.ip = *ip, .port = target_port};
    go_to_workload(request, &address, route);
}

static void go_to_service(const struct request *request, struct hbk_route *route)
{
    const struct hbk_service *service = route->service;
    if (service->waypoint != NULL || service->weighted_waypoint_count > 0) {
        refuse(route, HBK_REFUSAL_WAYPOINT,
               "unknown waypoint: service %.*s wants one, and waypoints are not supported",
               HBK_SLICE_ARGS(service->record.key));
        return;
    }
    if (service->balance_mode == HBK_BALANCE_PASSTHROUGH) {
        go_plain(request, &request->destination, route);
        return;
    }
    const struct hbk_endpoint *endpoint = NULL;
    uint16_t target_port = 0;
    if (hbk_balance_choose(service, request->source, request->destination.port, request->random,
                           &endpoint, &target_port) == HBK_BALANCE_FOUND) {
        go_to_endpoint(request, endpoint, target_port, route);
        return;
    }
    char text[HBK_ADDRESS_TEXT_BYTES_MAX];
    refuse(route, HBK_REFUSAL_NO_HEALTHY_UPSTREAM, "no healthy upstream: %s",
           hbk_address_text(&request->destination, text));
}

/* --- addressed to a workload --- */

/* Whether the source is the waypoint itself: then it talks to the workload behind it directly. */
static bool is_waypoint(const struct request *request, const struct hbk_gateway *gateway)
{
    const struct hbk_workload *source = request->source;
    if (gateway->service_key.size > 0) {
        bool is_member = false;
        for (uint32_t i = 0; i < source->service_count && !is_member; i++) {
            is_member = hbk_slice_equal(source->services[i].service_key, gateway->service_key);
        }
        return is_member;
    }
    const struct hbk_workload *waypoint =
        hbk_mesh_workload_by_ip(request->mesh, gateway->network, &gateway->ip);
    return waypoint == source;
}

static void go_to_pod(const struct request *request, struct hbk_route *route)
{
    const struct hbk_workload *workload = route->workload;
    if (is_on_other_network(request, workload)) {
        refuse_other_network(workload, route);
        return;
    }
    if (workload->waypoint != NULL && !is_waypoint(request, workload->waypoint)) {
        refuse(route, HBK_REFUSAL_WAYPOINT,
               "unknown waypoint: workload %.*s wants one, and waypoints are not supported",
               HBK_SLICE_ARGS(hbk_workload_uid(workload)));
        return;
    }
    go_to_workload(request, &request->destination, route);
}

static void decide(const struct request *request, struct hbk_route *route)
{
    const struct hbk_workload *source = request->source;
    const struct hbk_ip *ip = &request->destination.ip;
    route->service = hbk_mesh_service_by_vip(request->mesh, source->network, ip, source->namespace);
    if (route->service != NULL) {
        go_to_service(request, route);
        return;
    }
    route->workload = hbk_mesh_workload_by_ip(request->mesh, source->network, ip);
    if (route->workload != NULL) {
        go_to_pod(request, route);
        return;
    }
    go_plain(request, &request->destination, route);
}

void hbk_route_outbound(const struct hbk_mesh *mesh, const struct hbk_workload *source,
                        const struct hbk_address *destination, uint64_t random,
                        struct hbk_route *out_route)
{
    struct request request = {
        .mesh = mesh, .source = source, .destination = *destination, .random = random};
    out_route->workload = NULL;
    out_route->service = NULL;
    out_route->identity_count = 0;
    out_route->refusal = HBK_REFUSAL_NONE;
    out_route->dial = (struct hbk_address){0};
    out_route->authority = (struct hbk_address){0};
    out_route->text[0] = '\0';
    char text[HBK_ADDRESS_TEXT_BYTES_MAX];
    if (hbk_ip_is_loopback(&destination->ip) && hbk_route_is_own_port(destination->port)) {
        refuse(out_route, HBK_REFUSAL_RECURSION, "attempted recursive call to ourselves: %s",
               hbk_address_text(destination, text));
        return;
    }
    if (source == NULL) {
        refuse(out_route, HBK_REFUSAL_UNKNOWN_SOURCE,
               "failed to fetch information about local workload: the caller of %s is not in the "
               "mesh",
               hbk_address_text(destination, text));
        return;
    }
    decide(&request, out_route);
}

const char *hbk_route_refusal_text(enum hbk_route_refusal refusal)
{
    switch (refusal) {
    case HBK_REFUSAL_NONE:
        return "none";
    case HBK_REFUSAL_UNKNOWN_SOURCE:
        return "unknown_source";
    case HBK_REFUSAL_RECURSION:
        return "recursion";
    case HBK_REFUSAL_NO_HEALTHY_UPSTREAM:
        return "no_healthy_upstream";
    case HBK_REFUSAL_WAYPOINT:
        return "waypoint";
    case HBK_REFUSAL_NETWORK:
        return "network";
    case HBK_REFUSAL_NO_ADDRESS:
        return "no_address";
    case HBK_REFUSAL_PLAIN_TEXT:
        return "plain_text_denied";
    }
    HBK_UNREACHABLE();
}
