/*
 * A workload: one pod or process that speaks on the network, as the mesh file or the control plane
 * describes it. Names and meanings are those of Istio's workload resource.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/address.h"
#include "identity/spiffe.h"
#include "model/record.h"

enum {
    HBK_NETWORK_NAME_BYTES_MAX = 255, /* of a network's name, part of every address key */
    HBK_HBONE_PORT = 15008,           /* where every workload of the mesh is dialled */
};

enum hbk_workload_protocol {
    HBK_WORKLOAD_TCP,
    HBK_WORKLOAD_HBONE,
};

enum hbk_workload_type {
    HBK_WORKLOAD_DEPLOYMENT,
    HBK_WORKLOAD_CRONJOB,
    HBK_WORKLOAD_POD,
    HBK_WORKLOAD_JOB,
};

enum hbk_network_mode {
    HBK_NETWORK_STANDARD,
    HBK_NETWORK_HOST, /* shares its host's addresses, so it is not found by address */
};

enum hbk_health {
    HBK_HEALTHY,
    HBK_UNHEALTHY,
};

enum hbk_application_tunnel {
    HBK_APPLICATION_TUNNEL_NONE,
    HBK_APPLICATION_TUNNEL_PROXY, /* the application takes a PROXY protocol header */
};

struct hbk_locality {
    struct hbk_slice region;
    struct hbk_slice zone;
    struct hbk_slice subzone;
};

/* A waypoint or a network's gateway: named by address or by service. */
struct hbk_gateway {
    struct hbk_slice service_key; /* "namespace/hostname"; empty: by address */
    struct hbk_slice network;
    struct hbk_ip ip;
    uint16_t hbone_port;
};

struct hbk_port_pair {
    uint16_t service_port;
    uint16_t target_port; /* 0: named, so not known here */
};

/* That a workload serves a service, and on which ports. */
struct hbk_membership {
    struct hbk_slice service_key; /* "namespace/hostname" */
    const struct hbk_port_pair *ports;
    uint32_t port_count;
    enum hbk_health health;
};

struct hbk_text {
    struct hbk_slice text;
};

struct hbk_workload {
    struct hbk_record record; /* key: the uid, such as c0//Pod/shop/cart-1 */
    struct hbk_slice name;
    struct hbk_slice namespace;
    struct hbk_slice service_account;
    struct hbk_slice trust_domain;
    struct hbk_slice network;
    struct hbk_slice node;
    struct hbk_slice cluster_id;
    struct hbk_slice workload_name;
    struct hbk_slice canonical_name;
    struct hbk_slice canonical_revision;
    struct hbk_slice hostname;
    struct hbk_locality locality;
    const struct hbk_ip *ips;
    const struct hbk_membership *services;
    const struct hbk_text *authorization_policies; /* "namespace/name" each */
    const struct hbk_gateway *waypoint;            /* NULL: none */
    const struct hbk_gateway *network_gateway;     /* NULL: none */
    uint32_t ip_count;
    uint32_t service_count;
    uint32_t authorization_policy_count;
    uint32_t capacity; /* weight among the endpoints of a service; 0 takes no traffic */
    enum hbk_workload_protocol protocol;
    enum hbk_workload_type type;
    enum hbk_network_mode network_mode;
    enum hbk_health health;
    enum hbk_application_tunnel application_tunnel;
    uint16_t application_tunnel_port; /* 0: none */
    bool has_native_tunnel;           /* speaks HBONE itself */

    const struct hbk_spiffe_id *identity; /* derived, shared: interned for the process */
};

extern const struct hbk_record_kind hbk_workload_kind;

extern const struct hbk_shape hbk_port_pair_shape;
extern const struct hbk_shape hbk_text_shape;
extern const struct hbk_shape hbk_gateway_shape;

static inline struct hbk_slice hbk_workload_uid(const struct hbk_workload *workload)
{
    return workload->record.key;
}

/* The target port that a list of pairs gives to a service port; 0 when it gives none. */
uint16_t hbk_port_pairs_find(const struct hbk_port_pair *pairs, uint32_t count,
                             uint16_t service_port);

/* "deployment", "cronjob", "pod", "job": as in the baggage header. */
const char *hbk_workload_type_text(enum hbk_workload_type type);
