/* Where a workload lives on a host: its network namespace, and what of its traffic is taken. */
#pragma once

#include "model/workload.h"

enum hbk_netns_kind {
    HBK_NETNS_PATH, /* a file such as /run/netns/front */
    HBK_NETNS_PID,  /* the namespace of a process */
    HBK_NETNS_HOST, /* the agent's own; what is captured is chosen by user, cgroup or port */
};

struct hbk_pod_port {
    uint16_t port;
};

struct hbk_pod_user {
    uint32_t uid;
};

struct hbk_pod_cidr {
    struct hbk_cidr cidr;
};

struct hbk_pod {
    struct hbk_record record;                         /* key: the uid of its workload */
    struct hbk_slice path;                            /* of HBK_NETNS_PATH */
    const struct hbk_pod_user *capture_users;         /* host only: outbound of these users */
    const struct hbk_text *capture_cgroups;           /* host only: outbound of these cgroups */
    const struct hbk_pod_port *capture_ports;         /* host only: inbound to these ports */
    const struct hbk_pod_port *exclude_inbound_ports; /* left alone by redirection */
    const struct hbk_pod_port *exclude_outbound_ports;
    const struct hbk_pod_cidr *exclude_outbound_cidrs;
    uint32_t capture_user_count;
    uint32_t capture_cgroup_count;
    uint32_t capture_port_count;
    uint32_t exclude_inbound_port_count;
    uint32_t exclude_outbound_port_count;
    uint32_t exclude_outbound_cidr_count;
    uint32_t pid; /* of HBK_NETNS_PID */
    enum hbk_netns_kind netns_kind;
};

extern const struct hbk_record_kind hbk_pod_kind;

static inline struct hbk_slice hbk_pod_uid(const struct hbk_pod *pod)
{
    return pod->record.key;
}
