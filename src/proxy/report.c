/*
 * What workers count and what is live, brought to control by rounds. (proxy/proxy.h)
 */
#include "proxy/proxy.h"

#include <stdlib.h>
#include <string.h>

static struct hbk_shard *shard_of(const struct hbk_worker *worker)
{
    return worker->data;
}

/* Counts ------------------------------------------------------------------------------------ */

struct collection {
    struct hbk_round round;
    struct hbk_team *team;
    struct hbk_telemetry *totals;
    void (*on_done)(void *context);
    void *context;
    bool is_taken[HBK_WORKERS_MAX];
    struct hbk_telemetry_copy copies[HBK_WORKERS_MAX];
};

/* The reasons of net in their order, as telemetry names them. */
static const enum hbk_counter tunnel_ends[HBK_TUNNEL_END_COUNT] = {
    [HBK_TUNNEL_END_PEER] = HBK_COUNTER_TUNNELS_CLOSED_PEER,
    [HBK_TUNNEL_END_IDLE] = HBK_COUNTER_TUNNELS_CLOSED_IDLE,
    [HBK_TUNNEL_END_ERROR] = HBK_COUNTER_TUNNELS_CLOSED_ERROR,
    [HBK_TUNNEL_END_PROTOCOL] = HBK_COUNTER_TUNNELS_CLOSED_PROTOCOL,
    [HBK_TUNNEL_END_TIMEOUT] = HBK_COUNTER_TUNNELS_CLOSED_TIMEOUT,
    [HBK_TUNNEL_END_DRAIN] = HBK_COUNTER_TUNNELS_CLOSED_DRAIN,
    [HBK_TUNNEL_END_EXPIRED] = HBK_COUNTER_TUNNELS_CLOSED_EXPIRED,
    [HBK_TUNNEL_END_REVOKED] = HBK_COUNTER_TUNNELS_CLOSED_REVOKED,
    [HBK_TUNNEL_END_ROOT_WITHDRAWN] = HBK_COUNTER_TUNNELS_CLOSED_ROOT_WITHDRAWN,
};

static const enum hbk_counter handshake_ends[HBK_TLS_ENGINE_COUNT][HBK_HANDSHAKE_END_COUNT] = {
    [HBK_TLS_ENGINE_NATIVE] =
        {
            [HBK_HANDSHAKE_NO_CERTIFICATE] = HBK_COUNTER_HANDSHAKES_FAILED_NATIVE_NO_CERTIFICATE,
            [HBK_HANDSHAKE_UNTRUSTED] = HBK_COUNTER_HANDSHAKES_FAILED_NATIVE_UNTRUSTED,
            [HBK_HANDSHAKE_EXPIRED] = HBK_COUNTER_HANDSHAKES_FAILED_NATIVE_EXPIRED,
            [HBK_HANDSHAKE_REVOKED] = HBK_COUNTER_HANDSHAKES_FAILED_NATIVE_REVOKED,
            [HBK_HANDSHAKE_IDENTITY] = HBK_COUNTER_HANDSHAKES_FAILED_NATIVE_IDENTITY,
            [HBK_HANDSHAKE_PROTOCOL] = HBK_COUNTER_HANDSHAKES_FAILED_NATIVE_PROTOCOL,
            [HBK_HANDSHAKE_TIMEOUT] = HBK_COUNTER_HANDSHAKES_FAILED_NATIVE_TIMEOUT,
            [HBK_HANDSHAKE_CLOSED] = HBK_COUNTER_HANDSHAKES_FAILED_NATIVE_CLOSED,
            [HBK_HANDSHAKE_INTERNAL] = HBK_COUNTER_HANDSHAKES_FAILED_NATIVE_INTERNAL,
        },
    [HBK_TLS_ENGINE_OPENSSL] =
        {
            [HBK_HANDSHAKE_NO_CERTIFICATE] = HBK_COUNTER_HANDSHAKES_FAILED_OPENSSL_NO_CERTIFICATE,
            [HBK_HANDSHAKE_UNTRUSTED] = HBK_COUNTER_HANDSHAKES_FAILED_OPENSSL_UNTRUSTED,
            [HBK_HANDSHAKE_EXPIRED] = HBK_COUNTER_HANDSHAKES_FAILED_OPENSSL_EXPIRED,
            [HBK_HANDSHAKE_REVOKED] = HBK_COUNTER_HANDSHAKES_FAILED_OPENSSL_REVOKED,
            [HBK_HANDSHAKE_IDENTITY] = HBK_COUNTER_HANDSHAKES_FAILED_OPENSSL_IDENTITY,
            [HBK_HANDSHAKE_PROTOCOL] = HBK_COUNTER_HANDSHAKES_FAILED_OPENSSL_PROTOCOL,
            [HBK_HANDSHAKE_TIMEOUT] = HBK_COUNTER_HANDSHAKES_FAILED_OPENSSL_TIMEOUT,
            [HBK_HANDSHAKE_CLOSED] = HBK_COUNTER_HANDSHAKES_FAILED_OPENSSL_CLOSED,
            [HBK_HANDSHAKE_INTERNAL] = HBK_COUNTER_HANDSHAKES_FAILED_OPENSSL_INTERNAL,
        },
};

static void count_handshakes(uint64_t *counters, const struct hbk_net_counters *now,
                             const struct hbk_net_counters *old)
{
    static const enum hbk_counter succeeded[HBK_TLS_ENGINE_COUNT][2] = {
        [HBK_TLS_ENGINE_NATIVE] = {HBK_COUNTER_HANDSHAKES_CLIENT_NATIVE,
                                   HBK_COUNTER_HANDSHAKES_SERVER_NATIVE},
        [HBK_TLS_ENGINE_OPENSSL] = {HBK_COUNTER_HANDSHAKES_CLIENT_OPENSSL,
                                    HBK_COUNTER_HANDSHAKES_SERVER_OPENSSL},
    };
    for (size_t engine = 0; engine < HBK_TLS_ENGINE_COUNT; engine++) {
        for (size_t side = 0; side < 2; side++) {
            counters[succeeded[engine][side]] +=
                now->handshakes_ok[engine][side] - old->handshakes_ok[engine][side];
        }
        for (size_t i = 0; i < HBK_HANDSHAKE_END_COUNT; i++) {
            counters[handshake_ends[engine][i]] +=
                now->handshake_ends[engine][i] - old->handshake_ends[engine][i];
        }
    }
}

static void count_batches(struct hbk_shard *shard)
{
    const struct hbk_batcher_counters *now = hbk_batcher_counters(shard->net.batch.batcher);
    const struct hbk_batcher_counters *old = &shard->told_batches;
    uint64_t *counters = shard->telemetry.counters;

    counters[HBK_COUNTER_CRYPTO_VECTOR] += now->vector_jobs - old->vector_jobs;
    counters[HBK_COUNTER_CRYPTO_LIBCRYPTO] += now->twin_jobs - old->twin_jobs;
    counters[HBK_COUNTER_CRYPTO_REDONE] += now->redone_jobs - old->redone_jobs;
    counters[HBK_COUNTER_CRYPTO_CANCELLED] += now->cancelled_jobs - old->cancelled_jobs;
    counters[HBK_COUNTER_CRYPTO_REFUSED] += now->refused_jobs - old->refused_jobs;
    struct hbk_timing_counts *queued = &shard->telemetry.timings[HBK_TIMING_CRYPTO_QUEUE];
    queued->sum_ns += now->age_ns_sum - old->age_ns_sum;
    for (size_t i = 0; i <= HBK_DURATION_BOUNDS; i++) {
        queued->buckets[i] += now->ages[i] - old->ages[i];
    }
    for (size_t queue = 0; queue < HBK_QUEUE_COUNT; queue++) {
        for (size_t i = 0; i < HBK_LANES; i++) {
            counters[HBK_COUNTER_CRYPTO_BATCHES_1 + i] +=
                now->batches[queue][i] - old->batches[queue][i];
        }
    }
    shard->told_batches = *now;
}

/* What the rooms below count on their own, told to telemetry as differences. */
static void count_net(struct hbk_shard *shard)
{
    const struct hbk_net_counters now = shard->net.counters;
    const struct hbk_net_counters old = shard->told;
    const struct hbk_loop_stats loop_now = shard->net.loop->stats;
    const struct hbk_loop_stats loop_old = shard->told_loop;
    uint64_t *counters = shard->telemetry.counters;
    const struct {
        enum hbk_counter counter;
        uint64_t now, old;
    } rows[] = {
        {HBK_COUNTER_TUNNELS_OPENED_CLIENT, now.tunnels_opened[0], old.tunnels_opened[0]},
        {HBK_COUNTER_TUNNELS_OPENED_SERVER, now.tunnels_opened[1], old.tunnels_opened[1]},
        {HBK_COUNTER_TUNNELS_OPEN_CLIENT, now.tunnels_opened[0] - now.tunnels_closed[0],
         old.tunnels_opened[0] - old.tunnels_closed[0]},
        {HBK_COUNTER_TUNNELS_OPEN_SERVER, now.tunnels_opened[1] - now.tunnels_closed[1],
         old.tunnels_opened[1] - old.tunnels_closed[1]},
        {HBK_COUNTER_STREAMS_OPENED_CLIENT, now.streams_opened[0], old.streams_opened[0]},
        {HBK_COUNTER_STREAMS_OPENED_SERVER, now.streams_opened[1], old.streams_opened[1]},
        {HBK_COUNTER_STREAMS_OPEN_CLIENT, now.streams_opened[0] - now.streams_closed[0],
         old.streams_opened[0] - old.streams_closed[0]},
        {HBK_COUNTER_STREAMS_OPEN_SERVER, now.streams_opened[1] - now.streams_closed[1],
         old.streams_opened[1] - old.streams_closed[1]},
        {HBK_COUNTER_STREAMS_RESET_PEER, now.streams_reset_by_peer, old.streams_reset_by_peer},
        {HBK_COUNTER_STREAMS_RESET_LOCAL, now.streams_reset_by_us, old.streams_reset_by_us},
        {HBK_COUNTER_REFUSED_DESCRIPTORS, now.accept_failures, old.accept_failures},
        {HBK_COUNTER_POOL_EXHAUSTED_TUNNEL, now.refused_tunnels, old.refused_tunnels},
        {HBK_COUNTER_LOOP_TURNS, loop_now.turns, loop_old.turns},
        {HBK_COUNTER_LOOP_BUSY_NS, loop_now.busy_ns, loop_old.busy_ns},
        {HBK_COUNTER_LOOP_RESTS, loop_now.rests, loop_old.rests},
    };
    for (size_t i = 0; i < HBK_COUNT(rows); i++) {
        counters[rows[i].counter] += rows[i].now - rows[i].old;
    }
    for (size_t i = 0; i < HBK_TUNNEL_END_COUNT; i++) {
        counters[tunnel_ends[i]] += now.tunnel_ends[i] - old.tunnel_ends[i];
    }
    count_handshakes(counters, &now, &old);
    count_batches(shard);
    shard->told = now;
    shard->told_loop = loop_now;
}

static void count_live(struct hbk_shard *shard)
{
    HBK_LIST_EACH (pod_link, &shard->pods) {
        struct hbk_pod_proxy *pod = HBK_CONTAINER(pod_link, struct hbk_pod_proxy, link);
        HBK_LIST_EACH (link, &pod->connections) {
            struct hbk_connection *connection = HBK_CONTAINER(link, struct hbk_connection, in_pod);
            uint64_t received, sent;
            hbk_connection_bytes(connection, &received, &sent);
            hbk_connection_count(connection, received, sent);
        }
    }
}

static void collect_on_worker(struct hbk_round *round, struct hbk_worker *worker)
{
    struct collection *collection = HBK_CONTAINER(round, struct collection, round);
    struct hbk_shard *shard = shard_of(worker);
    count_net(shard);
    count_live(shard);
    collection->is_taken[worker->index] =
        hbk_telemetry_take(&shard->telemetry, &collection->copies[worker->index]) == HBK_OK;
}

static void collected(struct hbk_round *round)
{
    struct collection *collection = HBK_CONTAINER(round, struct collection, round);
    for (unsigned i = 0; i < collection->team->count; i++) {
        if (collection->is_taken[i]) {
            hbk_telemetry_add(collection->totals, &collection->copies[i],
                              collection->team->control_loop->now_ns);
            hbk_telemetry_copy_fini(&collection->copies[i]);
        }
    }
    collection->on_done(collection->context);
    free(collection);
}

void hbk_proxy_collect(struct hbk_proxy *proxy, struct hbk_telemetry *totals,
                       void (*on_done)(void *context), void *context)
{
    struct collection *collection = calloc(1, sizeof *collection);
    if (collection == NULL) {
        on_done(context); /* what was collected before is shown */
        return;
    }
    collection->round.on_worker = collect_on_worker;
    collection->round.on_done = collected;
    collection->team = proxy->team;
    collection->totals = totals;
    collection->on_done = on_done;
    collection->context = context;
    hbk_round_start(proxy->team, &collection->round);
}

/* Lists ------------------------------------------------------------------------------------- */

/* One worker's part: uids are copied into `texts`, and pods counted before connections. */
struct listing_part {
    struct hbk_connection_view *items;
    size_t count;
    char **pods;
    size_t pod_count;
};

struct listing {
    struct hbk_round round;
    struct hbk_team *team;
    void (*on_done)(void *context, const struct hbk_connection_list *list);
    void *context;
    struct listing_part parts[HBK_WORKERS_MAX];
};

static size_t count_pods(const struct hbk_shard *shard, size_t *out_connections)
{
    size_t pods = 0;
    *out_connections = 0;
    HBK_LIST_EACH (pod_link, &shard->pods) {
        const struct hbk_pod_proxy *pod = HBK_CONTAINER(pod_link, struct hbk_pod_proxy, link);
        pods++;
        HBK_LIST_EACH (link, &pod->connections) {
            (*out_connections)++;
        }
    }
    return pods;
}

static void list_pod(struct listing_part *part, const struct hbk_pod_proxy *pod, size_t limit)
{
    char *uid = hbk_slice_to_string(pod->uid);
    if (uid == NULL) {
        return;
    }
    part->pods[part->pod_count++] = uid;
    HBK_LIST_EACH (link, &pod->connections) {
        const struct hbk_connection *connection =
            HBK_CONTAINER(link, struct hbk_connection, in_pod);
        if (part->count < limit) {
            part->items[part->count++] = (struct hbk_connection_view){
                .pod = uid,
                .kind = connection->kind,
                .source = connection->source,
                .destination = connection->destination,
                .target = connection->target,
                .tls_engine = connection->tls_engine,
            };
        }
    }
}

static void list_on_worker(struct hbk_round *round, struct hbk_worker *worker)
{
    struct listing *listing = HBK_CONTAINER(round, struct listing, round);
    struct listing_part *part = &listing->parts[worker->index];
    const struct hbk_shard *shard = shard_of(worker);
    size_t connections = 0;
    size_t pods = count_pods(shard, &connections);
    connections = connections < HBK_PROXY_LIST_MAX ? connections : HBK_PROXY_LIST_MAX;
    part->items = calloc(connections + 1, sizeof *part->items);
    part->pods = calloc(pods + 1, sizeof *part->pods);
    if (part->items == NULL || part->pods == NULL) {
        return;
    }
    HBK_LIST_EACH (link, &shard->pods) {
        list_pod(part, HBK_CONTAINER(link, struct hbk_pod_proxy, link), connections);
    }
}

static void join_parts(const struct listing *listing, struct hbk_connection_list *list)
{
    for (unsigned i = 0; i < listing->team->count; i++) {
        const struct listing_part *part = &listing->parts[i];
        if (part->count > 0) {
            memcpy(list->items + list->count, part->items, part->count * sizeof *part->items);
        }
        list->count += part->count;
        for (size_t j = 0; j < part->pod_count; j++) {
            list->pods[list->pod_count++] = part->pods[j];
        }
    }
}

static void free_parts(struct listing *listing)
{
    for (unsigned i = 0; i < listing->team->count; i++) {
        struct listing_part *part = &listing->parts[i];
        for (size_t j = 0; j < part->pod_count; j++) {
            free(part->pods[j]);
        }
        free(part->pods);
        free(part->items);
    }
}

static void listed(struct hbk_round *round)
{
    struct listing *listing = HBK_CONTAINER(round, struct listing, round);
    size_t connections = 1;
    size_t pods = 1;
    for (unsigned i = 0; i < listing->team->count; i++) {
        connections += listing->parts[i].count;
        pods += listing->parts[i].pod_count;
    }
    struct hbk_connection_list list = {
        .items = calloc(connections, sizeof *list.items),
        .pods = calloc(pods, sizeof *list.pods),
    };
    if (list.items != NULL && list.pods != NULL) {
        join_parts(listing, &list);
    }
    listing->on_done(listing->context, &list);
    free(list.items);
    free(list.pods);
    free_parts(listing);
    free(listing);
}

void hbk_proxy_list(struct hbk_proxy *proxy,
                    void (*on_done)(void *context, const struct hbk_connection_list *list),
                    void *context)
{
    struct listing *listing = calloc(1, sizeof *listing);
    if (listing == NULL) {
        on_done(context, &(struct hbk_connection_list){.count = 0});
        return;
    }
    listing->round.on_worker = list_on_worker;
    listing->round.on_done = listed;
    listing->team = proxy->team;
    listing->on_done = on_done;
    listing->context = context;
    hbk_round_start(proxy->team, &listing->round);
}
