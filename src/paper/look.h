/*
 * What a run uses, looked at from outside at two moments: applications and what stands beside them,
 * each a set of process groups. All come from one pass over /proc.
 */
#pragma once

#include "bench/gauge.h"
#include "paper/paper.h"

enum hbk_party {
    HBK_PARTY_CLIENT,
    HBK_PARTY_SERVER,
    HBK_PARTY_CLIENT_AGENT, /* in the order of enum hbk_side */
    HBK_PARTY_SERVER_AGENT,
    HBK_PARTIES,
};

enum { HBK_LOOK_GROUPS_MAX = 2 * HBK_PAIRS_MAX + HBK_DESCRIPTOR_PROCESSES_MAX };

/* Who belongs to whom. A group that stands on two sides is there twice. */
struct hbk_look_groups {
    pid_t pids[HBK_LOOK_GROUPS_MAX];
    enum hbk_party parties[HBK_LOOK_GROUPS_MAX];
    unsigned count;
};

/* Adds one; `pid` of nobody (0 or less) is left out. */
void hbk_look_add(struct hbk_look_groups *groups, enum hbk_party party, pid_t pid);

/* Adds what stands between the applications. */
void hbk_look_add_agents(struct hbk_look_groups *groups, const struct hbk_paper_agents *agents);

struct hbk_look {
    uint64_t at_ns;
    struct hbk_group_usage parties[HBK_PARTIES];
    bool has_ended[HBK_PARTIES]; /* a group of it has no process left */
    struct hbk_machine_usage machine;
};

/* `with_memory`: memory and sockets, too, which take their time: after CPU and the moment. */
void hbk_look_take(const struct hbk_look_groups *groups, bool with_memory,
                   struct hbk_look *out_look);

/* The values of a sample from its two looks, the second with memory. Who is on both sides is
 * charged once. */
void hbk_look_keep(const struct hbk_look_groups *groups, const struct hbk_look *first,
                   const struct hbk_look *second, uint64_t kernel_bytes_before,
                   struct hbk_sample *sample);
