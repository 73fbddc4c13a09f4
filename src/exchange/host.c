/*
 * Hosts of a cluster, and which of them takes the next exchange. Round robin goes round a list;
 * with different weights it is the smooth kind: each host earns its weight at every choice, the
 * richest is taken and pays the sum of all.
 */
#include <stdlib.h>

#include "exchange/tcp_proxy.h"
#include "exchange/upstream.h"

void hbk_gw_host_ref(struct hbk_gw_host *host)
{
    host->references++;
}

void hbk_gw_host_unref(struct hbk_gw_host *host)
{
    if (--host->references == 0) {
        hbk_gw_vitals_unref(host->vitals);
        hbk_gw_figures_unref(host->figures);
        free(host);
    }
}

static struct hbk_gw_host *host_of(struct hbk_link *link)
{
    return HBK_CONTAINER(link, struct hbk_gw_host, link);
}

static bool is_usable(const struct hbk_gw_host *host)
{
    return !host->is_unhealthy &&
           (host->vitals == NULL ||
            (atomic_load_explicit(&host->vitals->flags, memory_order_relaxed) &
             HBK_GW_FAILED_ACTIVE_HC) == 0);
}

bool hbk_gw_host_is_full(const struct hbk_gw_host *host)
{
    uint32_t most = host->pool->cluster->host_connections_max;
    return most != UINT32_MAX && host->figures != NULL &&
           hbk_gw_figures_sum(host->figures, HBK_GW_E_CX_ACTIVE) >= most;
}

static bool has_one_weight(const struct hbk_gw_pool *pool)
{
    uint32_t weight = 0;
    HBK_LIST_EACH (link, &pool->hosts) {
        const struct hbk_gw_host *host = host_of(link);
        if (weight != 0 && host->weight != weight) {
            return false;
        }
        weight = host->weight;
    }
    return true;
}

static struct hbk_gw_host *pick_in_turn(struct hbk_gw_pool *pool)
{
    for (uint32_t i = 0; i < pool->host_count; i++) {
        struct hbk_link *link = pool->next;
        if (link == NULL || link == &pool->hosts.head) {
            link = pool->hosts.head.next;
        }
        pool->next = link->next;
        if (is_usable(host_of(link))) {
            return host_of(link);
        }
    }
    return NULL;
}

static struct hbk_gw_host *pick_by_weight(struct hbk_gw_pool *pool)
{
    struct hbk_gw_host *best = NULL;
    int64_t total = 0;
    HBK_LIST_EACH (link, &pool->hosts) {
        struct hbk_gw_host *host = host_of(link);
        if (is_usable(host)) {
            host->credit += host->weight;
            total += host->weight;
            best = best == NULL || host->credit > best->credit ? host : best;
        }
    }
    if (best != NULL) {
        best->credit -= total;
    }
    return best;
}

static struct hbk_gw_host *usable_at(struct hbk_gw_pool *pool, uint64_t index)
{
    uint64_t usable = 0;
    HBK_LIST_EACH (link, &pool->hosts) {
        usable += is_usable(host_of(link)) ? 1 : 0;
    }
    if (usable == 0) {
        return NULL;
    }
    index %= usable;
    HBK_LIST_EACH (link, &pool->hosts) {
        if (is_usable(host_of(link)) && index-- == 0) {
            return host_of(link);
        }
    }
    return NULL;
}

/* The least loaded of a few that are drawn (Mitzenmacher's two choices, by default). */
static struct hbk_gw_host *pick_least(struct hbk_gw_pool *pool)
{
    const struct hbk_gw_least_request_config *config =
        pool->cluster->config->least_request_lb_config;
    uint32_t choices = config == NULL ? 2 : config->choice_count;
    struct hbk_gw_host *best = NULL;
    for (uint32_t i = 0; i < choices; i++) {
        struct hbk_gw_host *host = usable_at(pool, hbk_gw_random(pool->shard));
        if (host == NULL) {
            return NULL;
        }
        best = best == NULL ||
                       (uint64_t)host->active * best->weight < (uint64_t)best->active * host->weight
                   ? host
                   : best;
    }
    return best;
}

struct hbk_gw_host *hbk_gw_host_pick(struct hbk_gw_pool *pool)
{
    if (pool->host_count == 0) {
        return NULL;
    }
    switch ((enum hbk_gw_lb_policy)pool->cluster->config->lb_policy) {
    case HBK_GW_LEAST_REQUEST:
        return pick_least(pool);
    case HBK_GW_RANDOM:
        return usable_at(pool, hbk_gw_random(pool->shard));
    case HBK_GW_ROUND_ROBIN:
    case HBK_GW_CLUSTER_PROVIDED:
        break;
    }
    return has_one_weight(pool) ? pick_in_turn(pool) : pick_by_weight(pool);
}

/* ---- the set ---- */

static void retire_all(struct hbk_gw_host *host)
{
    hbk_gw_host_ref(host);
    HBK_LIST_EACH (link, &host->busy) {
        struct hbk_gw_upstream *upstream = HBK_CONTAINER(link, struct hbk_gw_upstream, link);
        /* Somebody waits for one that is being made; it leaves after its first exchange. */
        upstream->is_leaving |= !upstream->is_connecting;
    }
    while (!hbk_list_is_empty(&host->ready)) {
        struct hbk_gw_upstream *upstream =
            HBK_CONTAINER(host->ready.head.next, struct hbk_gw_upstream, link);
        hbk_link_remove(&upstream->link);
        hbk_gw_upstream_retire(upstream);
    }
    hbk_gw_host_unref(host);
}

void hbk_gw_host_remove(struct hbk_gw_host *host)
{
    struct hbk_gw_pool *pool = host->pool;
    if (pool->next == &host->link) {
        pool->next = host->link.next;
    }
    hbk_link_remove(&host->link);
    pool->host_count--;
    host->has_left = true;
    retire_all(host);
    hbk_gw_host_unref(host);
}

static struct hbk_gw_host *find_host(struct hbk_gw_pool *pool, const struct hbk_address *address)
{
    HBK_LIST_EACH (link, &pool->hosts) {
        if (hbk_address_equal(&host_of(link)->address, address)) {
            return host_of(link);
        }
    }
    return NULL;
}

struct hbk_gw_host *hbk_gw_host_new(struct hbk_gw_pool *pool, const struct hbk_address *address)
{
    struct hbk_gw_host *host = calloc(1, sizeof *host);
    if (host == NULL) {
        return NULL;
    }
    host->pool = pool;
    host->address = *address;
    host->weight = 1;
    host->references = 1;
    host->stats = pool->unlisted;
    hbk_list_init(&host->ready);
    hbk_list_init(&host->busy);
    hbk_list_init(&host->waiting);
    hbk_task_init(&host->serve, hbk_gw_host_on_serve);
    hbk_list_append(&pool->hosts, &host->link);
    pool->host_count++;
    return host;
}

static hbk_status add_host(struct hbk_gw_pool *pool, const struct hbk_gw_members *members,
                           uint32_t index)
{
    const struct hbk_gw_lb_endpoint *endpoint = members->endpoints[index];
    struct hbk_gw_host *host = hbk_gw_host_new(pool, &members->addresses[index]);
    if (host == NULL) {
        return HBK_NO_MEMORY;
    }
    host->vitals = hbk_gw_vitals_ref(members->vitals[index]);
    host->figures = hbk_gw_figures_ref(members->figures[index]);
    host->stats = host->figures->rows[pool->shard->worker->index];
    /* A name that is resolved is the host's, where nothing else is said. */
    const struct hbk_gw_socket_address *address = endpoint->endpoint->address->socket_address;
    bool has_name = endpoint->endpoint->hostname.size > 0 || address->is_ip;
    host->hostname = has_name ? endpoint->endpoint->hostname : address->address;
    host->weight = endpoint->load_balancing_weight;
    host->is_unhealthy = endpoint->health_status >= 2 && endpoint->health_status <= 4;
    return HBK_OK;
}

hbk_status hbk_gw_pool_set_hosts(struct hbk_gw_pool *pool, const struct hbk_gw_members *members)
{
    HBK_LIST_EACH (link, &pool->hosts) {
        struct hbk_gw_host *host = host_of(link);
        if (hbk_gw_members_find(members, &host->address) == members->count) {
            hbk_gw_host_remove(host);
        }
    }
    for (uint32_t i = 0; i < members->count; i++) {
        if (find_host(pool, &members->addresses[i]) == NULL &&
            pool->host_count < HBK_GW_HOSTS_MAX) {
            HBK_TRY(add_host(pool, members, i));
        }
    }
    return HBK_OK;
}

void hbk_gw_pool_host_failed(struct hbk_gw_pool *pool, const struct hbk_address *address)
{
    struct hbk_gw_host *host = find_host(pool, address);
    if (host == NULL) {
        return;
    }
    retire_all(host);
    if (pool->cluster->config->close_connections_on_host_health_failure) {
        hbk_gw_tcp_host_failed(host);
    }
}

void hbk_gw_pool_close(struct hbk_gw_pool *pool)
{
    hbk_loop_timer_cancel(pool->shard->net.loop, &pool->cleanup);
    while (!hbk_list_is_empty(&pool->hosts)) {
        struct hbk_gw_host *host = host_of(pool->hosts.head.next);
        hbk_gw_host_ref(host);
        hbk_gw_host_remove(host);
        HBK_LIST_EACH (link, &host->busy) {
            hbk_gw_upstream_close(HBK_CONTAINER(link, struct hbk_gw_upstream, link));
        }
        if (hbk_link_is_linked(&host->serve.link)) {
            hbk_task_cancel(&host->serve);
            host->references--; /* the task's; ours is still there */
        }
        hbk_gw_host_unref(host);
    }
}
