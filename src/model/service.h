/*
 * A service: a name with virtual addresses, and the workloads behind it. The definition comes from
 * the mesh file; the table of endpoints is derived when a mesh is built, from the workloads that
 * say they serve it.
 */
#pragma once

#include "model/balance.h"
#include "model/workload.h"

enum {
    HBK_SERVICE_IDENTITIES_MAX = 15,
    HBK_SERVICE_PREFERENCES_MAX = 6, /* each scope once */
};

enum hbk_scope {
    HBK_SCOPE_REGION,
    HBK_SCOPE_ZONE,
    HBK_SCOPE_SUBZONE,
    HBK_SCOPE_NODE,
    HBK_SCOPE_CLUSTER,
    HBK_SCOPE_NETWORK,
};

enum hbk_balance_mode {
    HBK_BALANCE_STANDARD,
    HBK_BALANCE_STRICT,
    HBK_BALANCE_FAILOVER,
    HBK_BALANCE_PASSTHROUGH,
};

enum hbk_health_policy {
    HBK_HEALTH_ONLY_HEALTHY,
    HBK_HEALTH_ALLOW_ALL,
};

enum hbk_ip_families {
    HBK_IP_FAMILIES_AUTOMATIC,
    HBK_IP_FAMILIES_IPV4,
    HBK_IP_FAMILIES_IPV6,
    HBK_IP_FAMILIES_DUAL,
};

enum hbk_visibility {
    HBK_VISIBILITY_PUBLIC,
    HBK_VISIBILITY_NAMESPACE,
};

/* A virtual address, or a block of them. */
struct hbk_vip {
    struct hbk_slice network;
    struct hbk_cidr cidr;
    bool is_block; /* given as a CIDR: found only when no single address matches */
};

struct hbk_weighted_waypoint {
    struct hbk_gateway destination;
    uint32_t weight;
};

struct hbk_routing_preference {
    enum hbk_scope scope;
};

/* An endpoint that the service itself lists, beside those that name it. */
struct hbk_listed_endpoint {
    struct hbk_slice workload_uid;
    const struct hbk_port_pair *ports;
    uint32_t port_count;
    enum hbk_health health;
};

struct hbk_service {
    struct hbk_record record; /* key: "namespace/hostname" */
    struct hbk_slice name;
    struct hbk_slice namespace;
    struct hbk_slice hostname;
    const struct hbk_vip *vips;
    const struct hbk_port_pair *ports;
    const struct hbk_text *subject_alt_names; /* SPIFFE ids, also accepted from its endpoints */
    const struct hbk_listed_endpoint *listed_endpoints;
    const struct hbk_gateway *waypoint; /* NULL: none */
    const struct hbk_weighted_waypoint *weighted_waypoints;
    const struct hbk_routing_preference *routing_preferences; /* most important first */
    uint32_t vip_count;
    uint32_t port_count;
    uint32_t subject_alt_name_count;
    uint32_t listed_endpoint_count;
    uint32_t weighted_waypoint_count;
    uint32_t routing_preference_count;
    enum hbk_balance_mode balance_mode;
    enum hbk_health_policy health_policy;
    enum hbk_ip_families ip_families;
    enum hbk_visibility visibility;
    bool is_canonical;

    struct hbk_balance *balance;                                        /* derived, owned */
    const struct hbk_spiffe_id *identities[HBK_SERVICE_IDENTITIES_MAX]; /* derived, shared */
    uint32_t identity_count;
};

extern const struct hbk_record_kind hbk_service_kind;

/* True when a client in `namespace` may see the service. */
static inline bool hbk_service_is_visible(const struct hbk_service *service,
                                          struct hbk_slice namespace)
{
    return service->visibility == HBK_VISIBILITY_PUBLIC ||
           hbk_slice_equal(service->namespace, namespace);
}
