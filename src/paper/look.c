#include "paper/look.h"

#include <math.h>

#include "base/assert.h"
#include "base/clock.h"

enum { MIB = 1 << 20 };

void hbk_look_add(struct hbk_look_groups *groups, enum hbk_party party, pid_t pid)
{
    if (pid > 0) {
        HBK_ASSERT(groups->count < HBK_LOOK_GROUPS_MAX);
        groups->pids[groups->count] = pid;
        groups->parties[groups->count++] = party;
    }
}

void hbk_look_add_agents(struct hbk_look_groups *groups, const struct hbk_paper_agents *agents)
{
    for (unsigned i = 0; i < agents->program_count; i++) {
        hbk_look_add(groups, HBK_PARTY_CLIENT_AGENT + agents->sides[i],
                     agents->programs[i].process.pid);
    }
    for (unsigned side = 0; side < HBK_SIDES; side++) {
        hbk_look_add(groups, HBK_PARTY_CLIENT_AGENT + side, agents->nodes[side]);
    }
}

static void sum_up(const struct hbk_look_groups *groups, const struct hbk_group_usage *found,
                   struct hbk_look *look)
{
    for (unsigned i = 0; i < groups->count; i++) {
        struct hbk_group_usage *sum = &look->parties[groups->parties[i]];
        sum->cpu_ns += found[i].cpu_ns;
        sum->private_bytes += found[i].private_bytes;
        sum->sockets += found[i].sockets;
        sum->processes += found[i].processes;
        look->has_ended[groups->parties[i]] |= found[i].processes == 0;
    }
}

void hbk_look_take(const struct hbk_look_groups *groups, bool with_memory,
                   struct hbk_look *out_look)
{
    struct hbk_group_usage found[HBK_LOOK_GROUPS_MAX], wider[HBK_LOOK_GROUPS_MAX];
    *out_look = (struct hbk_look){0};
    hbk_gauge_groups(groups->pids, groups->count, false, found);
    out_look->machine = hbk_gauge_machine();
    out_look->at_ns = hbk_clock_monotonic_ns();
    if (with_memory) {
        hbk_gauge_groups(groups->pids, groups->count, true, wider);
        for (unsigned i = 0; i < groups->count; i++) {
            wider[i].cpu_ns = found[i].cpu_ns;
        }
    }
    sum_up(groups, with_memory ? wider : found, out_look);
}

static double cores(uint64_t from_ns, uint64_t to_ns, double window_ns)
{
    return to_ns > from_ns ? (double)(to_ns - from_ns) / window_ns : 0;
}

/* Whether one process group stands on both sides, as an agent does inside its node. */
static bool is_on_both_sides(const struct hbk_look_groups *groups)
{
    pid_t first[HBK_PARTIES] = {0};
    for (unsigned i = 0; i < groups->count; i++) {
        first[groups->parties[i]] = groups->pids[i];
    }
    return first[HBK_PARTY_CLIENT_AGENT] == first[HBK_PARTY_SERVER_AGENT];
}

void hbk_look_keep(const struct hbk_look_groups *groups, const struct hbk_look *first,
                   const struct hbk_look *second, uint64_t kernel_bytes_before,
                   struct hbk_sample *sample)
{
    static const enum hbk_measure cpu[HBK_PARTIES] = {HBK_CLIENT_CPU, HBK_SERVER_CPU,
                                                      HBK_CLIENT_AGENT_CPU, HBK_SERVER_AGENT_CPU};
    static const enum hbk_measure memory[HBK_PARTIES] = {
        HBK_CLIENT_MIB, HBK_SERVER_MIB, HBK_CLIENT_AGENT_MIB, HBK_SERVER_AGENT_MIB};
    static const enum hbk_measure sockets[HBK_PARTIES] = {
        HBK_CLIENT_SOCKETS, HBK_SERVER_SOCKETS, HBK_CLIENT_AGENT_SOCKETS, HBK_SERVER_AGENT_SOCKETS};
    double *values = sample->values;
    double window_ns = (double)(second->at_ns - first->at_ns), charged = 0;
    bool is_shared = is_on_both_sides(groups);
    for (unsigned i = 0; i < HBK_PARTIES; i++) {
        if (second->parties[i].processes == 0) {
            continue; /* no agent */
        }
        values[cpu[i]] = cores(first->parties[i].cpu_ns, second->parties[i].cpu_ns, window_ns);
        values[memory[i]] = (double)second->parties[i].private_bytes / MIB;
        values[sockets[i]] = second->parties[i].sockets;
        charged += i == HBK_PARTY_SERVER_AGENT && is_shared ? 0 : values[cpu[i]];
    }
    double busy = cores(first->machine.busy_ns, second->machine.busy_ns, window_ns);
    values[HBK_SOFTIRQ_CPU] =
        cores(first->machine.softirq_ns, second->machine.softirq_ns, window_ns);
    values[HBK_UNCHARGED_CPU] = fmax(0, busy - charged);
    values[HBK_KERNEL_MIB] =
        ((double)second->machine.kernel_bytes - (double)kernel_bytes_before) / MIB;
    values[HBK_WINDOW_S] = window_ns / (double)HBK_NS_PER_S;
}
