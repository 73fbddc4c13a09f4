/*
 * Where a connection of a workload goes: into a tunnel to an endpoint, out in plain text, or
 * nowhere. Pure decisions over a mesh: no I/O, no allocation. Any thread.
 */
#pragma once

#include "model/mesh.h"

enum {
    HBK_ROUTE_IDENTITIES_MAX = HBK_SERVICE_IDENTITIES_MAX + 1,
    HBK_ROUTE_TEXT_BYTES_MAX = 192,
};

/* Ports of the agent itself: never a destination on the way through it. */
enum {
    HBK_PORT_OUTBOUND = 15001,
    HBK_PORT_INBOUND_PLAIN = 15006,
    HBK_PORT_INBOUND_HBONE = HBK_HBONE_PORT,
    HBK_PORT_SOCKS = 15080,
};

enum hbk_route_kind {
    HBK_ROUTE_HBONE,
    HBK_ROUTE_PLAIN,
    HBK_ROUTE_REFUSED,
};

enum hbk_route_refusal {
    HBK_REFUSAL_NONE,
    HBK_REFUSAL_UNKNOWN_SOURCE, /* the caller is no workload of the mesh */
    HBK_REFUSAL_RECURSION,      /* the destination is the agent itself */
    HBK_REFUSAL_NO_HEALTHY_UPSTREAM,
    HBK_REFUSAL_WAYPOINT,   /* the destination wants a waypoint, which is not spoken */
    HBK_REFUSAL_NETWORK,    /* the destination is on another network */
    HBK_REFUSAL_NO_ADDRESS, /* the endpoint has a host name only */
    HBK_REFUSAL_PLAIN_TEXT, /* plain text is the only way, and it is denied */
};

struct hbk_route {
    enum hbk_route_kind kind;
    struct hbk_address dial;      /* HBONE: podIP:15008; plain: the destination itself */
    struct hbk_address authority; /* podIP:targetPort, of both kinds */

    /* What was found on the way, also when the route is refused; borrowed from the mesh. */
    const struct hbk_workload *workload; /* NULL: the destination is none of the mesh */
    const struct hbk_service *service;   /* NULL: addressed directly */

    /* HBONE: whom the other end may be; borrowed from the mesh. */
    const struct hbk_spiffe_id *identities[HBK_ROUTE_IDENTITIES_MAX];
    uint32_t identity_count;

    /* Refused: why, and one sentence for the access log. */
    enum hbk_route_refusal refusal;
    char text[HBK_ROUTE_TEXT_BYTES_MAX];
};

/*
 * Decides on a connection of `source` (NULL: not known) to `destination`. `random` is 64 even bits
 * that choose among endpoints. (ambient.md 3b, outbound decision)
 */
void hbk_route_outbound(const struct hbk_mesh *mesh, const struct hbk_workload *source,
                        const struct hbk_address *destination, uint64_t random,
                        struct hbk_route *out_route);

/* True for ports that no connection may be sent to on this host or in this pod. */
bool hbk_route_is_own_port(uint16_t port);

/* A word for metrics: "no_healthy_upstream". */
const char *hbk_route_refusal_text(enum hbk_route_refusal refusal);
