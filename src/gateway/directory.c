#include "gateway/directory.h"

#include <stdlib.h>
#include <time.h>

#include "base/clock.h"
#include "base/log.h"
#include "gateway/shard.h"
#include "os/resolve.h"

struct news {
    struct hbk_message message;
    struct hbk_gw_directory *directory;
    uint32_t cluster;
    struct hbk_gw_members *members;
};

static void add_endpoint(struct hbk_gw_members *members, const struct hbk_gw_cluster *config,
                         const struct hbk_gw_lb_endpoint *endpoint)
{
    static const enum hbk_resolve_family families[] = {
        HBK_RESOLVE_ANY, HBK_RESOLVE_V4, HBK_RESOLVE_V6, HBK_RESOLVE_V4, HBK_RESOLVE_ANY};
    const struct hbk_gw_socket_address *address = endpoint->endpoint->address->socket_address;
    struct hbk_ip ips[HBK_GW_NAME_ADDRESSES_MAX];
    struct hbk_error error = {.status = HBK_OK};
    size_t count = 0;
    if (hbk_resolve_all(address->address, families[config->dns_lookup_family % 5], ips,
                        HBK_COUNT(ips), &count, &error) != HBK_OK) {
        hbk_log(HBK_LOG_WARN, "gateway", "cluster \"%s\": %s", (const char *)config->name.bytes,
                error.text);
        return;
    }
    for (size_t i = 0; i < count && members->count < HBK_GW_HOSTS_MAX; i++) {
        const struct hbk_address found = {.ip = ips[i], .port = (uint16_t)address->port_value};
        hbk_gw_members_add(members, endpoint, &found, NULL);
    }
}

struct hbk_gw_members *hbk_gw_members_look_up(const struct hbk_gw_plan_cluster *cluster)
{
    const struct hbk_gw_load_assignment *assignment = cluster->config->load_assignment;
    size_t room = (size_t)cluster->config->endpoint_count * HBK_GW_NAME_ADDRESSES_MAX;
    struct hbk_gw_members *members =
        hbk_gw_members_new(room > HBK_GW_HOSTS_MAX ? HBK_GW_HOSTS_MAX : (uint32_t)room);
    if (members == NULL) {
        return NULL;
    }
    for (uint32_t i = 0; assignment != NULL && i < assignment->endpoints_count; i++) {
        const struct hbk_gw_locality_endpoints *locality = &assignment->endpoints[i];
        for (uint32_t k = 0; k < locality->lb_endpoints_count; k++) {
            add_endpoint(members, cluster->config, &locality->lb_endpoints[k]);
        }
    }
    return members;
}

/* ---- the thread ---- */

static void deliver(struct hbk_message *message)
{
    struct news *news = HBK_CONTAINER(message, struct news, message);
    news->directory->on_change(news->directory, news->cluster, news->members,
                               news->directory->context);
    free(news);
}

static void send_news(struct hbk_gw_directory *directory, uint32_t cluster,
                      struct hbk_gw_members *members)
{
    struct news *news = calloc(1, sizeof *news);
    if (news == NULL) {
        hbk_gw_members_free(members);
        return;
    }
    hbk_link_init(&news->message.link);
    news->message.run = deliver;
    news->directory = directory;
    news->cluster = cluster;
    news->members = members;
    if (hbk_mailbox_send(directory->mailbox, &news->message) != HBK_OK) {
        hbk_gw_members_free(members);
        free(news);
    }
}

/* Waits until `due_ns`; true when the thread is to stop. */
static bool wait_until(struct hbk_gw_directory *directory, uint64_t due_ns)
{
    struct timespec due = {.tv_sec = (time_t)(due_ns / HBK_NS_PER_S),
                           .tv_nsec = (long)(due_ns % HBK_NS_PER_S)};
    int waited = 0;
    pthread_mutex_lock(&directory->lock);
    while (!directory->is_stopping && waited == 0) {
        waited = pthread_cond_timedwait(&directory->stop, &directory->lock, &due);
    }
    bool is_stopping = directory->is_stopping;
    pthread_mutex_unlock(&directory->lock);
    return is_stopping;
}

static void *run(void *argument)
{
    struct hbk_gw_directory *directory = argument;
    const struct hbk_gw_plan *plan = directory->plan;
    uint64_t *due_ns = calloc((size_t)plan->cluster_count + 1, sizeof *due_ns);
    uint64_t now_ns = hbk_clock_monotonic_ns();
    if (due_ns == NULL) {
        return NULL;
    }
    for (uint32_t i = 0; i < plan->cluster_count; i++) {
        due_ns[i] = plan->clusters[i].config->type == HBK_GW_STRICT_DNS
                        ? now_ns + plan->clusters[i].config->dns_refresh_rate
                        : UINT64_MAX;
    }
    for (;;) {
        uint32_t next = 0;
        for (uint32_t i = 1; i < plan->cluster_count; i++) {
            next = due_ns[i] < due_ns[next] ? i : next;
        }
        if (wait_until(directory, due_ns[next])) {
            break;
        }
        struct hbk_gw_members *members = hbk_gw_members_look_up(&plan->clusters[next]);
        /* A name that is not found leaves what was found before. */
        if (members != NULL && members->count > 0) {
            send_news(directory, next, members);
        } else {
            hbk_gw_members_free(members);
        }
        due_ns[next] = hbk_clock_monotonic_ns() + plan->clusters[next].config->dns_refresh_rate;
    }
    free(due_ns);
    return NULL;
}

hbk_status hbk_gw_directory_start(struct hbk_gw_directory *directory)
{
    pthread_condattr_t attributes;
    bool has_names = false;
    for (uint32_t i = 0; i < directory->plan->cluster_count; i++) {
        has_names |= directory->plan->clusters[i].config->type == HBK_GW_STRICT_DNS;
    }
    if (!has_names) {
        return HBK_OK;
    }
    if (pthread_condattr_init(&attributes) != 0) {
        return HBK_NO_MEMORY;
    }
    (void)pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    int failed = pthread_cond_init(&directory->stop, &attributes);
    (void)pthread_condattr_destroy(&attributes);
    failed |= pthread_mutex_init(&directory->lock, NULL);
    if (failed != 0 || pthread_create(&directory->thread, NULL, run, directory) != 0) {
        return HBK_LIMIT;
    }
    directory->has_thread = true;
    return HBK_OK;
}

void hbk_gw_directory_stop(struct hbk_gw_directory *directory)
{
    if (!directory->has_thread) {
        return;
    }
    pthread_mutex_lock(&directory->lock);
    directory->is_stopping = true;
    pthread_cond_signal(&directory->stop);
    pthread_mutex_unlock(&directory->lock);
    (void)pthread_join(directory->thread, NULL);
    (void)pthread_cond_destroy(&directory->stop);
    (void)pthread_mutex_destroy(&directory->lock);
    directory->has_thread = false;
}
