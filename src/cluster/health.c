/*
 * A session's round: the interval ends -> ask -> a result, or the time is up -> the next interval.
 * Whether the time is up is judged at the end of the turn in which it ends, behind what sockets had
 * to say: the control thread also reads files, and an answer that came meanwhile counts.
 */
#include "cluster/health.h"

#include <stdlib.h>

#include "base/clock.h"
#include "base/log.h"
#include "os/random.h"

const char *const hbk_gw_health_stat_names[HBK_GW_HEALTH_STATS] = {
    [HBK_GW_HEALTH_ATTEMPT] = "health_check.attempt",
    [HBK_GW_HEALTH_SUCCESS] = "health_check.success",
    [HBK_GW_HEALTH_FAILURE] = "health_check.failure",
    [HBK_GW_HEALTH_NETWORK_FAILURE] = "health_check.network_failure",
    [HBK_GW_HEALTH_PASSIVE_FAILURE] = "health_check.passive_failure",
    [HBK_GW_HEALTH_VERIFY_CLUSTER] = "health_check.verify_cluster",
    [HBK_GW_HEALTH_HEALTHY] = "health_check.healthy",
    [HBK_GW_HEALTH_DEGRADED] = "health_check.degraded",
};

struct session {
    struct hbk_link link; /* of its cluster */
    struct checked_cluster *cluster;
    struct hbk_address address;   /* the host's; the probe's may differ */
    struct hbk_gw_vitals *vitals; /* a reference */
    struct hbk_gw_health_state state;
    struct hbk_timer interval, timeout;
    struct hbk_task late;
    struct hbk_gw_health_probe probe;
    bool is_awaited; /* its first check, before the gateway listens */
};

struct checked_cluster {
    struct hbk_gw_health *health;
    uint32_t index;
    const struct hbk_gw_plan_cluster *plan;
    const struct hbk_gw_health_check *config; /* NULL: not checked */
    struct hbk_tls_context *tls;              /* a reference; NULL: plain text */
    struct hbk_list sessions;
    uint64_t stats[HBK_GW_HEALTH_STATS];
};

struct hbk_gw_health {
    struct hbk_loop *loop; /* borrowed */
    struct hbk_net net;
    struct hbk_gw_health_events events;
    struct checked_cluster *clusters; /* owned, as many as there are */
    uint32_t cluster_count;
    uint32_t awaited_count;
    bool is_awaiting, is_stopping;
};

static struct session *session_of(struct hbk_link *link)
{
    return HBK_CONTAINER(link, struct session, link);
}

/* ---- results ---- */

static void publish(struct session *session)
{
    uint32_t flags = (session->state.is_failed ? HBK_GW_FAILED_ACTIVE_HC : 0) |
                     (session->state.has_timed_out ? HBK_GW_ACTIVE_HC_TIMEOUT : 0);
    uint32_t others = atomic_load_explicit(&session->vitals->flags, memory_order_relaxed) &
                      ~(uint32_t)(HBK_GW_FAILED_ACTIVE_HC | HBK_GW_ACTIVE_HC_TIMEOUT);
    atomic_store_explicit(&session->vitals->flags, others | flags, memory_order_relaxed);
}

static void log_result(const struct session *session, bool has_changed, bool is_first,
                       const char *text)
{
    char address[HBK_ADDRESS_TEXT_BYTES_MAX];
    const struct hbk_gw_health_check *config = session->cluster->config;
    const char *name = (const char *)session->cluster->plan->config->name.bytes;
    (void)hbk_address_text(&session->address, address);
    if (has_changed) {
        hbk_log(session->state.is_failed ? HBK_LOG_WARN : HBK_LOG_INFO, "health",
                "cluster \"%s\": %s is %s%s%s", name, address,
                session->state.is_failed ? "unhealthy" : "healthy", text[0] == '\0' ? "" : ": ",
                text);
    } else if (!session->state.has_passed &&
               (config->always_log_health_check_failures || is_first)) {
        hbk_log(HBK_LOG_WARN, "health", "cluster \"%s\": a check of %s failed: %s", name, address,
                text);
    } else if (session->state.has_passed && config->always_log_health_check_success) {
        hbk_log(HBK_LOG_INFO, "health", "cluster \"%s\": a check of %s passed", name, address);
    }
}

static void count(struct checked_cluster *cluster, enum hbk_gw_check_result result)
{
    bool has_passed = result == HBK_GW_CHECK_PASSED;
    cluster->stats[has_passed ? HBK_GW_HEALTH_SUCCESS : HBK_GW_HEALTH_FAILURE]++;
    cluster->stats[HBK_GW_HEALTH_NETWORK_FAILURE] +=
        result == HBK_GW_CHECK_NETWORK || result == HBK_GW_CHECK_TIMEOUT ? 1 : 0;
}

static void no_longer_awaited(struct session *session)
{
    struct hbk_gw_health *health = session->cluster->health;
    if (session->is_awaited) {
        session->is_awaited = false;
        if (--health->awaited_count == 0 && !health->is_stopping) {
            health->events.on_settled(health->events.context);
        }
    }
}

/* A result is in; the last thing that is done with the session in its call. */
static void conclude(struct session *session, enum hbk_gw_check_result result, const char *text)
{
    struct checked_cluster *cluster = session->cluster;
    struct hbk_gw_health *health = cluster->health;
    hbk_loop_timer_cancel(health->loop, &session->timeout);
    hbk_task_cancel(&session->late);
    count(cluster, result);
    bool is_first = !session->state.is_checked;
    bool has_changed = hbk_gw_health_state_take(&session->state, cluster->config, result);
    publish(session);
    log_result(session, has_changed, is_first, text);
    uint64_t interval_ns = hbk_gw_health_interval_ns(
        &session->state, cluster->config,
        health->events.has_traffic(health->events.context, cluster->index));
    hbk_loop_timer(health->loop, &session->interval,
                   hbk_gw_health_jitter_ns(cluster->config, interval_ns, hbk_random_number()));
    if (has_changed) {
        cluster->stats[HBK_GW_HEALTH_HEALTHY] += session->state.is_failed ? UINT64_MAX : 1;
        health->events.on_change(health->events.context, cluster->index, &session->address,
                                 session->state.is_failed);
    }
    no_longer_awaited(session);
}

static void on_result(struct hbk_gw_health_probe *probe, enum hbk_gw_check_result result,
                      const char *text)
{
    conclude(HBK_CONTAINER(probe, struct session, probe), result, text);
}

static void on_late(struct hbk_task *task)
{
    struct session *session = HBK_CONTAINER(task, struct session, late);
    hbk_gw_health_probe_cancel(&session->probe);
    conclude(session, HBK_GW_CHECK_TIMEOUT, "no answer in time");
}

static void on_timeout(struct hbk_timer *timer)
{
    struct session *session = HBK_CONTAINER(timer, struct session, timeout);
    hbk_loop_post(session->cluster->health->loop, HBK_PHASE_END, &session->late);
}

static void on_interval(struct hbk_timer *timer)
{
    struct session *session = HBK_CONTAINER(timer, struct session, interval);
    struct checked_cluster *cluster = session->cluster;
    cluster->stats[HBK_GW_HEALTH_ATTEMPT]++;
    hbk_loop_timer(cluster->health->loop, &session->timeout, cluster->config->timeout);
    if (hbk_gw_health_probe_ask(&session->probe) != HBK_OK) {
        conclude(session, HBK_GW_CHECK_NETWORK, "no connection can be opened");
    }
}

/* ---- sessions ---- */

static void on_gone(struct hbk_gw_health_probe *probe)
{
    struct session *session = HBK_CONTAINER(probe, struct session, probe);
    hbk_gw_vitals_unref(session->vitals);
    free(session);
}

static void end_session(struct session *session)
{
    struct checked_cluster *cluster = session->cluster;
    hbk_loop_timer_cancel(cluster->health->loop, &session->interval);
    hbk_loop_timer_cancel(cluster->health->loop, &session->timeout);
    hbk_task_cancel(&session->late);
    hbk_link_remove(&session->link);
    cluster->stats[HBK_GW_HEALTH_HEALTHY] -= session->state.is_failed ? 0 : 1;
    no_longer_awaited(session);
    hbk_gw_health_probe_close(&session->probe);
}

/* An address and a port of its own, where the endpoint has them. */
static struct hbk_address checked_address(const struct hbk_gw_health_check *config,
                                          const struct hbk_gw_endpoint_health_check *own,
                                          const struct hbk_address *address)
{
    struct hbk_address checked = *address;
    if (own != NULL && own->address != NULL) {
        checked = own->address->socket_address->ip;
    }
    if (own != NULL && own->port_value > 0) {
        checked.port = (uint16_t)own->port_value;
    } else if (config->alt_port > 0) {
        checked.port = (uint16_t)config->alt_port;
    }
    return checked;
}

static hbk_status begin_session(struct checked_cluster *cluster,
                                const struct hbk_gw_members *members, uint32_t index)
{
    struct hbk_gw_health *health = cluster->health;
    const struct hbk_gw_endpoint_health_check *own =
        members->endpoints[index]->endpoint->health_check_config;
    struct session *session = calloc(1, sizeof *session);
    if (session == NULL) {
        return HBK_NO_MEMORY;
    }
    const struct hbk_gw_health_target target = {
        .cluster = cluster->plan->config,
        .check = cluster->config,
        .endpoint = own,
        .address = checked_address(cluster->config, own, &members->addresses[index]),
        .server_name = cluster->plan->server_name,
        .security = &cluster->tls,
    };
    session->cluster = cluster;
    session->address = members->addresses[index];
    session->vitals = hbk_gw_vitals_ref(members->vitals[index]);
    hbk_gw_health_state_init(&session->state);
    hbk_timer_init(&session->interval, on_interval);
    hbk_timer_init(&session->timeout, on_timeout);
    hbk_task_init(&session->late, on_late);
    hbk_gw_health_probe_init(&session->probe, &health->net, &target);
    session->probe.on_result = on_result;
    session->probe.on_gone = on_gone;
    session->is_awaited = !health->is_awaiting;
    health->awaited_count += session->is_awaited ? 1 : 0;
    hbk_list_append(&cluster->sessions, &session->link);
    uint64_t jitter_ns = cluster->config->initial_jitter;
    hbk_loop_timer(health->loop, &session->interval,
                   jitter_ns == 0 ? 0 : hbk_random_number() % jitter_ns);
    return HBK_OK;
}

static struct session *find_session(struct checked_cluster *cluster,
                                    const struct hbk_address *address)
{
    HBK_LIST_EACH (link, &cluster->sessions) {
        if (hbk_address_equal(&session_of(link)->address, address)) {
            return session_of(link);
        }
    }
    return NULL;
}

hbk_status hbk_gw_health_set_members(struct hbk_gw_health *health, uint32_t index,
                                     const struct hbk_gw_members *members)
{
    struct checked_cluster *cluster = &health->clusters[index];
    hbk_status status = HBK_OK;
    HBK_LIST_EACH (link, &cluster->sessions) {
        struct session *session = session_of(link);
        uint32_t at = hbk_gw_members_find(members, &session->address);
        if (at == members->count || members->vitals[at] != session->vitals) {
            end_session(session);
        }
    }
    for (uint32_t i = 0; status == HBK_OK && i < members->count; i++) {
        if (members->vitals[i] != NULL && find_session(cluster, &members->addresses[i]) == NULL) {
            status = begin_session(cluster, members, i);
        }
    }
    return status;
}

/* ---- the whole ---- */

bool hbk_gw_health_is_wanted(const struct hbk_gw_cluster_list *clusters)
{
    bool is_wanted = false;
    for (uint32_t i = 0; i < clusters->count; i++) {
        is_wanted |= clusters->items[i].config->health_checks_count > 0;
    }
    return is_wanted;
}

static hbk_status open_net(struct hbk_gw_health *health, const struct hbk_batcher_options *batcher)
{
    struct hbk_net_config config = HBK_NET_CONFIG_DEFAULT;
    config.mark = 0;
    config.batcher = batcher;
    HBK_TRY(hbk_net_init(&health->net, health->loop, &config));
    return hbk_batch_serve_devices(&health->net.batch);
}

hbk_status hbk_gw_health_new(struct hbk_loop *loop, const struct hbk_gw_cluster_list *clusters,
                             const struct hbk_batcher_options *batcher,
                             const struct hbk_gw_health_events *events,
                             struct hbk_gw_health **out_health)
{
    struct hbk_gw_health *health = calloc(1, sizeof *health);
    if (health == NULL) {
        return HBK_NO_MEMORY;
    }
    health->loop = loop;
    health->events = *events;
    health->clusters = calloc((size_t)clusters->count + 1, sizeof *health->clusters);
    hbk_status status = health->clusters == NULL ? HBK_NO_MEMORY : open_net(health, batcher);
    if (status != HBK_OK) {
        hbk_gw_health_free(health);
        return status;
    }
    health->cluster_count = clusters->count;
    for (uint32_t i = 0; i < clusters->count; i++) {
        struct checked_cluster *cluster = &health->clusters[i];
        cluster->health = health;
        cluster->index = i;
        cluster->plan = &clusters->items[i];
        cluster->config = cluster->plan->config->health_checks;
        hbk_list_init(&cluster->sessions);
        hbk_gw_health_set_tls(health, i, clusters->items[i].tls);
    }
    *out_health = health;
    return HBK_OK;
}

bool hbk_gw_health_await(struct hbk_gw_health *health)
{
    health->is_awaiting = true;
    return health->awaited_count == 0;
}

void hbk_gw_health_set_tls(struct hbk_gw_health *health, uint32_t cluster,
                           struct hbk_tls_context *context)
{
    struct hbk_tls_context *old = health->clusters[cluster].tls;
    health->clusters[cluster].tls = context == NULL ? NULL : hbk_tls_context_ref(context);
    hbk_tls_context_unref(old);
}

uint64_t hbk_gw_health_stat(const struct hbk_gw_health *health, uint32_t cluster,
                            enum hbk_gw_health_stat stat)
{
    return health == NULL ? 0 : health->clusters[cluster].stats[stat];
}

void hbk_gw_health_stop(struct hbk_gw_health *health)
{
    if (health == NULL) {
        return;
    }
    health->is_stopping = true;
    for (uint32_t i = 0; i < health->cluster_count; i++) {
        HBK_LIST_EACH (link, &health->clusters[i].sessions) {
            end_session(session_of(link));
        }
    }
}

void hbk_gw_health_free(struct hbk_gw_health *health)
{
    if (health == NULL) {
        return;
    }
    for (uint32_t i = 0; i < health->cluster_count; i++) {
        hbk_tls_context_unref(health->clusters[i].tls);
    }
    if (health->net.loop != NULL) {
        hbk_net_fini(&health->net);
    }
    free(health->clusters);
    free(health);
}
