#include "cluster/cluster.h"

void hbk_gw_plan_cluster_init(struct hbk_gw_plan_cluster *cluster,
                              const struct hbk_gw_cluster *config)
{
    const struct hbk_gw_circuit_breakers *breakers = config->circuit_breakers;
    *cluster = (struct hbk_gw_plan_cluster){
        .config = config,
        .thresholds =
            {
                .max_connections = 1024,
                .max_pending_requests = 1024,
                .max_requests = 1024,
                .max_retries = 3,
            },
        .host_connections_max = UINT32_MAX,
    };
    cluster->high_thresholds = cluster->thresholds;
    for (uint32_t i = 0; breakers != NULL && i < breakers->per_host_thresholds_count; i++) {
        const struct hbk_gw_thresholds *given = &breakers->per_host_thresholds[i];
        if (given->priority == 0) {
            cluster->host_connections_max = given->max_connections;
        }
    }
    for (uint32_t i = 0; breakers != NULL && i < breakers->thresholds_count; i++) {
        const struct hbk_gw_thresholds *given = &breakers->thresholds[i];
        *(given->priority == 0 ? &cluster->thresholds : &cluster->high_thresholds) = *given;
    }
}

struct hbk_gw_plan_cluster *hbk_gw_cluster_find(const struct hbk_gw_cluster_list *clusters,
                                                struct hbk_slice name)
{
    for (uint32_t i = 0; i < clusters->count; i++) {
        if (hbk_slice_equal(clusters->items[i].config->name, name)) {
            return &clusters->items[i];
        }
    }
    return NULL;
}
