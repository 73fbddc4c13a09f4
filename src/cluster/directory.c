#include "cluster/directory.h"

#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "os/random.h"

const char *const hbk_gw_update_stat_names[HBK_GW_UPDATE_STATS] = {
    [HBK_GW_UPDATE_ATTEMPT] = "update_attempt",       [HBK_GW_UPDATE_SUCCESS] = "update_success",
    [HBK_GW_UPDATE_FAILURE] = "update_failure",       [HBK_GW_UPDATE_EMPTY] = "update_empty",
    [HBK_GW_UPDATE_NO_REBUILD] = "update_no_rebuild",
};

/* An endpoint of a cluster, and what is known of it. */
struct target {
    struct hbk_gw_lookup lookup;
    struct hbk_timer timer;
    struct hbk_gw_named_cluster *cluster;
    const struct hbk_gw_lb_endpoint *endpoint;
    struct hbk_ip ips[HBK_GW_NAME_ADDRESSES_MAX];
    uint32_t count;
    uint64_t backoff_ns; /* 0: the last look-up was good */
    bool is_awaited, has_failed;
};

struct hbk_gw_named_cluster {
    struct hbk_gw_directory *directory;
    uint32_t index;
    const struct hbk_gw_cluster *config;
    struct hbk_gw_resolver *own_resolver; /* owned; NULL: the directory's */
    struct target *targets;               /* owned; none in clusters without names */
    uint32_t target_count;
    uint64_t stats[HBK_GW_UPDATE_STATS];
};

static uint32_t room_of(const struct hbk_gw_cluster *config)
{
    uint64_t room = (uint64_t)config->endpoint_count * HBK_GW_NAME_ADDRESSES_MAX;
    return room > HBK_GW_HOSTS_MAX ? HBK_GW_HOSTS_MAX : (uint32_t)room;
}

static const struct hbk_gw_socket_address *address_of(const struct hbk_gw_lb_endpoint *endpoint)
{
    return endpoint->endpoint->address->socket_address;
}

struct hbk_gw_members *hbk_gw_members_of_file(const struct hbk_gw_plan_cluster *cluster)
{
    const struct hbk_gw_load_assignment *assignment = cluster->config->load_assignment;
    uint32_t room = room_of(cluster->config);
    struct hbk_gw_members *members = hbk_gw_members_new(room);
    for (uint32_t i = 0; members != NULL && assignment != NULL && i < assignment->endpoints_count;
         i++) {
        const struct hbk_gw_locality_endpoints *locality = &assignment->endpoints[i];
        for (uint32_t k = 0; k < locality->lb_endpoints_count && members->count < room; k++) {
            const struct hbk_gw_socket_address *address = address_of(&locality->lb_endpoints[k]);
            if (address->is_ip) {
                hbk_gw_members_add(members, &locality->lb_endpoints[k], &address->ip, NULL);
            }
        }
    }
    return members;
}

/* ---- answers ---- */

/* All that is known of the cluster's endpoints goes to the owner. */
static void tell(struct hbk_gw_named_cluster *cluster)
{
    struct hbk_gw_directory *directory = cluster->directory;
    uint32_t room = room_of(cluster->config);
    struct hbk_gw_members *members = hbk_gw_members_new(room);
    if (members == NULL) {
        hbk_log(HBK_LOG_ERROR, "gateway", "out of memory for hosts of a cluster");
        return;
    }
    for (uint32_t i = 0; i < cluster->target_count; i++) {
        const struct target *target = &cluster->targets[i];
        for (uint32_t k = 0; k < target->count && members->count < room; k++) {
            const struct hbk_address address = {
                .ip = target->ips[k], .port = (uint16_t)address_of(target->endpoint)->port_value};
            hbk_gw_members_add(members, target->endpoint, &address, NULL);
        }
    }
    directory->on_change(directory, cluster->index, members, directory->context);
}

/* Servers turn the order of their answers round: a set that is the same is no news. */
static bool is_known(const struct target *target)
{
    const struct hbk_gw_lookup *lookup = &target->lookup;
    uint32_t found = 0;
    for (uint32_t i = 0; i < lookup->count; i++) {
        for (uint32_t k = 0; k < target->count; k++) {
            found += hbk_ip_equal(&lookup->ips[i], &target->ips[k]) ? 1 : 0;
        }
    }
    return lookup->count == target->count && found == target->count;
}

static uint64_t next_after_success(struct target *target)
{
    const struct hbk_gw_cluster *config = target->cluster->config;
    uint64_t next_ns = config->dns_refresh_rate;
    target->backoff_ns = 0;
    if (config->respect_dns_ttl && target->lookup.count > 0 && target->lookup.ttl_s > 0) {
        next_ns = target->lookup.ttl_s * HBK_NS_PER_S;
    }
    return next_ns + (config->dns_jitter > 0 ? hbk_random_number() % config->dns_jitter : 0);
}

/* Full jitter under a bound that doubles, or the usual rate. */
static uint64_t next_after_failure(struct target *target)
{
    const struct hbk_gw_refresh_rate *rate = target->cluster->config->dns_failure_refresh_rate;
    if (rate == NULL) {
        return target->cluster->config->dns_refresh_rate;
    }
    uint64_t bound_ns = target->backoff_ns == 0 ? rate->base_interval : target->backoff_ns;
    target->backoff_ns = bound_ns > rate->max_interval / 2 ? rate->max_interval : bound_ns * 2;
    return hbk_random_number() % bound_ns;
}

static void take_success(struct target *target)
{
    struct hbk_gw_named_cluster *cluster = target->cluster;
    const struct hbk_gw_lookup *lookup = &target->lookup;
    cluster->stats[HBK_GW_UPDATE_SUCCESS]++;
    cluster->stats[HBK_GW_UPDATE_EMPTY] += lookup->count == 0 ? 1 : 0;
    if (is_known(target)) {
        cluster->stats[HBK_GW_UPDATE_NO_REBUILD]++;
        return;
    }
    if (lookup->count == 0) {
        hbk_log(HBK_LOG_WARN, "gateway", "cluster \"%s\": there is no address of \"%s\"",
                (const char *)cluster->config->name.bytes, lookup->name);
    }
    memcpy(target->ips, lookup->ips, sizeof target->ips);
    target->count = lookup->count;
    tell(cluster);
}

static void arrived(struct hbk_gw_directory *directory)
{
    if (--directory->awaited_count == 0) {
        directory->on_settled(directory->context);
    }
}

static void on_done(struct hbk_gw_lookup *lookup, enum hbk_gw_lookup_result result,
                    const char *text)
{
    struct target *target = HBK_CONTAINER(lookup, struct target, lookup);
    struct hbk_gw_named_cluster *cluster = target->cluster;
    bool has_failed = result == HBK_GW_LOOKUP_FAILED;
    if (has_failed) {
        cluster->stats[HBK_GW_UPDATE_FAILURE]++;
        if (!target->has_failed) {
            hbk_log(HBK_LOG_WARN, "gateway", "cluster \"%s\": \"%s\" cannot be looked up: %s",
                    (const char *)cluster->config->name.bytes, lookup->name, text);
        }
    } else {
        take_success(target);
    }
    target->has_failed = has_failed;
    hbk_loop_timer(cluster->directory->loop, &target->timer,
                   has_failed ? next_after_failure(target) : next_after_success(target));
    if (target->is_awaited) {
        target->is_awaited = false;
        arrived(cluster->directory);
    }
}

/* ---- asking ---- */

static void look_up(struct target *target)
{
    struct hbk_gw_named_cluster *cluster = target->cluster;
    cluster->stats[HBK_GW_UPDATE_ATTEMPT]++;
    hbk_gw_lookup_start(&target->lookup,
                        cluster->own_resolver != NULL ? cluster->own_resolver
                                                      : cluster->directory->resolver,
                        (const char *)address_of(target->endpoint)->address.bytes,
                        cluster->config->dns_lookup_family);
}

static void on_timer(struct hbk_timer *timer)
{
    look_up(HBK_CONTAINER(timer, struct target, timer));
}

static void init_target(struct hbk_gw_named_cluster *cluster,
                        const struct hbk_gw_lb_endpoint *endpoint)
{
    struct target *target = &cluster->targets[cluster->target_count++];
    const struct hbk_gw_socket_address *address = address_of(endpoint);
    target->cluster = cluster;
    target->endpoint = endpoint;
    target->lookup.on_done = on_done;
    hbk_timer_init(&target->timer, on_timer);
    if (address->is_ip) {
        target->ips[0] = address->ip.ip;
        target->count = 1;
        return;
    }
    target->is_awaited = true;
    cluster->directory->awaited_count++;
}

static hbk_status init_cluster(struct hbk_gw_directory *directory, uint32_t index)
{
    struct hbk_gw_named_cluster *cluster = &directory->clusters[index];
    const struct hbk_gw_cluster *config = directory->list->items[index].config;
    const struct hbk_gw_load_assignment *assignment = config->load_assignment;
    *cluster =
        (struct hbk_gw_named_cluster){.directory = directory, .index = index, .config = config};
    if (config->type != HBK_GW_STRICT_DNS) {
        return HBK_OK;
    }
    cluster->targets = calloc((size_t)config->endpoint_count + 1, sizeof *cluster->targets);
    if (cluster->targets == NULL) {
        return HBK_NO_MEMORY;
    }
    for (uint32_t i = 0; assignment != NULL && i < assignment->endpoints_count; i++) {
        for (uint32_t k = 0; k < assignment->endpoints[i].lb_endpoints_count; k++) {
            init_target(cluster, &assignment->endpoints[i].lb_endpoints[k]);
        }
    }
    if (config->typed_dns_resolver_config != NULL) {
        return hbk_gw_resolver_new(directory->loop,
                                   config->typed_dns_resolver_config->typed_config.message,
                                   &cluster->own_resolver);
    }
    return directory->resolver != NULL
               ? HBK_OK
               : hbk_gw_resolver_new(directory->loop, directory->resolving, &directory->resolver);
}

hbk_status hbk_gw_directory_start(struct hbk_gw_directory *directory)
{
    uint32_t count = directory->list->count;
    directory->clusters = calloc((size_t)count + 1, sizeof *directory->clusters);
    if (directory->clusters == NULL) {
        return HBK_NO_MEMORY;
    }
    directory->awaited_count = 1; /* this function */
    for (uint32_t i = 0; i < count; i++) {
        HBK_TRY(init_cluster(directory, i));
    }
    for (uint32_t i = 0; i < count; i++) {
        for (uint32_t k = 0; k < directory->clusters[i].target_count; k++) {
            if (directory->clusters[i].targets[k].is_awaited) {
                look_up(&directory->clusters[i].targets[k]);
            }
        }
    }
    arrived(directory);
    return HBK_OK;
}

void hbk_gw_directory_stop(struct hbk_gw_directory *directory)
{
    for (uint32_t i = 0; directory->clusters != NULL && i < directory->list->count; i++) {
        struct hbk_gw_named_cluster *cluster = &directory->clusters[i];
        for (uint32_t k = 0; k < cluster->target_count; k++) {
            hbk_loop_timer_cancel(directory->loop, &cluster->targets[k].timer);
        }
        hbk_gw_resolver_free(cluster->own_resolver);
        cluster->own_resolver = NULL;
    }
    hbk_gw_resolver_free(directory->resolver);
    directory->resolver = NULL;
    for (uint32_t i = 0; directory->clusters != NULL && i < directory->list->count; i++) {
        free(directory->clusters[i].targets);
    }
    free(directory->clusters);
    directory->clusters = NULL;
}

uint64_t hbk_gw_directory_stat(const struct hbk_gw_directory *directory, uint32_t cluster,
                               enum hbk_gw_update_stat stat)
{
    return directory->clusters == NULL ? 0 : directory->clusters[cluster].stats[stat];
}
