/*
 * Which addresses the names of STRICT_DNS clusters have. Each endpoint is looked up by itself,
 * again after dns_refresh_rate (or the answer's TTL), and after a failure, which leaves what was
 * found before, as dns_failure_refresh_rate says. A cluster's hosts are those of its endpoints
 * together. Control thread.
 */
#pragma once

#include "cluster/cluster.h"
#include "cluster/member.h"
#include "cluster/resolver.h"

/* Under Envoy's names, cluster.NAME.update_*. */
enum hbk_gw_update_stat {
    HBK_GW_UPDATE_ATTEMPT,
    HBK_GW_UPDATE_SUCCESS,
    HBK_GW_UPDATE_FAILURE,
    HBK_GW_UPDATE_EMPTY,
    HBK_GW_UPDATE_NO_REBUILD,
    HBK_GW_UPDATE_STATS,
};

extern const char *const hbk_gw_update_stat_names[HBK_GW_UPDATE_STATS];

struct hbk_gw_named_cluster;

struct hbk_gw_directory {
    const struct hbk_gw_cluster_list *list;      /* borrowed, as the next two */
    const struct hbk_gw_cares_config *resolving; /* where a cluster says nothing; NULL: as usual */
    struct hbk_loop *loop;
    void (*on_change)(struct hbk_gw_directory *directory, uint32_t cluster,
                      struct hbk_gw_members *members, void *context); /* takes the members */
    /* Once, when every name has been looked up for the first time, perhaps from within start. */
    void (*on_settled)(void *context);
    void *context;
    /* Private. */
    struct hbk_gw_named_cluster *clusters; /* owned, as many as the list has */
    struct hbk_gw_resolver *resolver;      /* owned: with the system's servers; NULL until used */
    uint32_t awaited_count;
};

/* What the configuration says by itself: the endpoints of a cluster that are IP addresses. NULL
 * when out of memory. */
HBK_MUST_USE struct hbk_gw_members *
hbk_gw_members_of_file(const struct hbk_gw_plan_cluster *cluster);

/* Starts looking up. Fails: HBK_NO_MEMORY, HBK_IO (c-ares says no). */
HBK_MUST_USE hbk_status hbk_gw_directory_start(struct hbk_gw_directory *directory);
void hbk_gw_directory_stop(struct hbk_gw_directory *directory);

uint64_t hbk_gw_directory_stat(const struct hbk_gw_directory *directory, uint32_t cluster,
                               enum hbk_gw_update_stat stat);
