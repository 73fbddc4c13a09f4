/*
 * A cluster made ready for work: what the configuration says of it, its limits (circuit breakers),
 * and what is in use of them in all workers together.
 */
#pragma once

#include <stdatomic.h>

#include "base/slice.h"
#include "model/gateway.h"
#include "tls/context.h"

/* Relaxed: limits are not exact to the unit. */
struct hbk_gw_limits {
    _Atomic uint32_t connections, pending, requests, retries;
};

struct hbk_gw_plan_cluster {
    const struct hbk_gw_cluster *config;
    struct hbk_gw_thresholds thresholds;      /* of default priority */
    struct hbk_gw_thresholds high_thresholds; /* shown alone: no route has that priority */
    uint32_t host_connections_max;            /* of one host, over all workers */
    struct hbk_gw_limits limits;
    struct hbk_tls_context *tls; /* a reference, control's; NULL: plain text */
    struct hbk_slice server_name;
};

/* All clusters of a configuration, in its order. Borrowed from the plan. */
struct hbk_gw_cluster_list {
    struct hbk_gw_plan_cluster *items;
    uint32_t count;
};

/* Nothing in use, limits as the configuration or Envoy's defaults have them, plain text. */
void hbk_gw_plan_cluster_init(struct hbk_gw_plan_cluster *cluster,
                              const struct hbk_gw_cluster *config);

/* By name; NULL without one. */
struct hbk_gw_plan_cluster *hbk_gw_cluster_find(const struct hbk_gw_cluster_list *clusters,
                                                struct hbk_slice name);
