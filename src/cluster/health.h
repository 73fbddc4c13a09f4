/*
 * Active health checks of all clusters: one session per host that is checked, which asks, waits and
 * asks again. They run on the control thread, once for all workers; what they find is in the hosts'
 * vitals, which workers read. docs/design/0004-gateway.md says why.
 */
#pragma once

#include "cluster/cluster.h"
#include "cluster/health_probe.h"
#include "cluster/member.h"
#include "net/net.h"

/* Under Envoy's names, cluster.NAME.health_check.*. */
enum hbk_gw_health_stat {
    HBK_GW_HEALTH_ATTEMPT,
    HBK_GW_HEALTH_SUCCESS,
    HBK_GW_HEALTH_FAILURE,
    HBK_GW_HEALTH_NETWORK_FAILURE,
    HBK_GW_HEALTH_PASSIVE_FAILURE, /* always 0: nothing but checks judges hosts */
    HBK_GW_HEALTH_VERIFY_CLUSTER,  /* always 0: names of services are not asked for */
    HBK_GW_HEALTH_HEALTHY,         /* a gauge, as the next */
    HBK_GW_HEALTH_DEGRADED,        /* always 0 */
    HBK_GW_HEALTH_STATS,
};

extern const char *const hbk_gw_health_stat_names[HBK_GW_HEALTH_STATS];

struct hbk_gw_health_events {
    /* A host has become healthy, or has stopped being so. */
    void (*on_change)(void *context, uint32_t cluster, const struct hbk_address *address,
                      bool is_failed);
    /* Every host that was there at the start has been checked once. */
    void (*on_settled)(void *context);
    /* Whether the cluster was ever connected to. */
    bool (*has_traffic)(void *context, uint32_t cluster);
    void *context;
};

struct hbk_gw_health;

/* True when one of the clusters has checks; without them nothing below is needed. */
bool hbk_gw_health_is_wanted(const struct hbk_gw_cluster_list *clusters);

/* `batcher` (NULL: what is usual) is for the checks' handshakes; it and the clusters must stay.
 * Fails: HBK_NO_MEMORY, HBK_LIMIT, HBK_IO (entropy, descriptors). Control thread, as all. */
HBK_MUST_USE hbk_status hbk_gw_health_new(struct hbk_loop *loop,
                                          const struct hbk_gw_cluster_list *clusters,
                                          const struct hbk_batcher_options *batcher,
                                          const struct hbk_gw_health_events *events,
                                          struct hbk_gw_health **out_health);

/* Ends sessions of hosts that have gone and begins those of new ones. Not within on_change. Fails:
 * HBK_NO_MEMORY; those that could be begun are. */
HBK_MUST_USE hbk_status hbk_gw_health_set_members(struct hbk_gw_health *health, uint32_t cluster,
                                                  const struct hbk_gw_members *members);

/* Of the hosts that are there by now: true when none waits for its first check; else on_settled
 * comes once all have had one. Hosts that come later are not waited for. */
HBK_MUST_USE bool hbk_gw_health_await(struct hbk_gw_health *health);

/* Checks from now on use that context; takes a reference. */
void hbk_gw_health_set_tls(struct hbk_gw_health *health, uint32_t cluster,
                           struct hbk_tls_context *context);

/* NULL: the admin port asks before names are known and checks begin, or after they have ended. */
uint64_t hbk_gw_health_stat(const struct hbk_gw_health *health, uint32_t cluster,
                            enum hbk_gw_health_stat stat);

/* Ends all; one turn of the loop later all is gone, and may be freed. NULL is allowed. */
void hbk_gw_health_stop(struct hbk_gw_health *health);
void hbk_gw_health_free(struct hbk_gw_health *health);
