/* Where a workload lives on a host: its network namespace, and what of its traffic is taken. */
#pragma once

#include "model/workload.h"

enum hbk_netns_kind {
    HBK_NETNS_PATH, /* a file such as /run/netns/front */
    HBK_NETNS_PID,  /* the namespace of a process */
    HBK_NETNS_HOST, /* the agent's own; what is captured is chosen by user, cgroup or port */
};

struct hbk_pod {
    struct hbk_record record; /* key: the uid of its workload */
    struct hbk_slice path;    /* of HBK_NETNS_PATH */

    /* Host only: what is captured. Of connections that leave, any of the first three will do. */
    const uint32_t *capture_uids;           /* of the process that connects */
    const struct hbk_text *capture_cgroups; /* of the same, as paths below /sys/fs/cgroup */
    const uint16_t *capture_outbound_ports;
    const uint16_t *capture_inbound_ports;

    /* What is left alone, whatever else says. */
    const uint16_t *exclude_inbound_ports;
    const uint16_t *exclude_outbound_ports;
    const struct hbk_cidr *exclude_outbound_cidrs;

    uint32_t capture_uid_count;
    uint32_t capture_cgroup_count;
    uint32_t capture_outbound_port_count;
    uint32_t capture_inbound_port_count;
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
