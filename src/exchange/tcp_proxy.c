/*
 * tcp_proxy: joins a client's connection with one to a host of a cluster, byte by byte, with half
 * close and back-pressure. Nothing is read from the client before the upstream's connection stands.
 */
#include "exchange/tcp_proxy.h"

#include <errno.h>
#include <unistd.h>

#include "base/clock.h"
#include "exchange/downstream.h"
#include "os/socket.h"

struct relay {
    struct hbk_pipe client, server;
    struct hbk_link link;
    struct hbk_gw_shard *shard;
    const struct hbk_gw_handler *handler;
    hbk_gw_counter *listener_stats, *stats;
    struct hbk_gw_pool *pool;
    struct hbk_gw_host *host;
    struct hbk_timer connect, idle, life, shaking;
    struct hbk_address peer, direct, local, server_local;
    const struct hbk_gw_plan_listener *listener;
    struct hbk_gw_tls_facts tls,
        upstream_tls; /* the client's; the upstream's where it is asked for */
    uint64_t id, start_ns, active_ns;
    int64_t start_real_ns;
    uint32_t attempts, flags;
    const char *failure, *termination;
    uint8_t open_pipes;
    bool is_connected, is_over, is_counted, is_restored;
};

/* Between two of the last bytes that a side takes. */
#define PARTING_NS_MAX (60 * HBK_NS_PER_S)

static void connect_next(struct relay *relay);

/* ---- the end ---- */

static void log_relay(const struct relay *relay)
{
    struct hbk_gw_info info = {
        .start_ns = relay->start_real_ns,
        .duration_ns = relay->shard->net.loop->now_ns - relay->start_ns,
        .request_ns = UINT64_MAX,
        .response_ns = UINT64_MAX,
        .flags = relay->flags,
        .upstream_failure = relay->failure,
        .termination = relay->termination,
        .received_bytes = relay->client.plain_received_bytes,
        .sent_bytes = relay->client.plain_sent_bytes,
        .received_wire_bytes = relay->client.received_bytes,
        .sent_wire_bytes = relay->client.sent_bytes,
        .downstream_remote = relay->peer,
        .downstream_direct_remote = relay->direct,
        .downstream_local = relay->local,
        .tls = &relay->tls,
        .upstream_tls = &relay->upstream_tls,
        .downstream_failure = relay->tls.failure,
        .log_type = "TcpConnectionEnd",
        .upstream_local = relay->server_local,
        .cluster = relay->pool == NULL ? hbk_slice_of(NULL, 0) : relay->pool->cluster->config->name,
        .filter_chain = relay->handler->chain->name,
        .connection_id = relay->id,
        .attempts = relay->attempts,
    };
    if (relay->host != NULL) {
        info.upstream_host = relay->host->address;
    }
    hbk_gw_log_write(relay->shard, &relay->handler->logs, &info);
    info.log_type = NULL;
    hbk_gw_log_write(relay->shard, &relay->listener->logs, &info);
}

/* A connection is an exchange too, as in Envoy's pools: it waits until it stands. */
static void count_exchange(struct relay *relay, bool is_begun)
{
    hbk_gw_counter *cluster = relay->pool->stats;
    hbk_gw_counter *host = relay->host->stats;
    if (!is_begun) {
        hbk_gw_count(&cluster[HBK_GW_C_RQ_PENDING_TOTAL], 1);
        hbk_gw_count(&cluster[HBK_GW_C_RQ_PENDING_ACTIVE], 1);
        hbk_gw_count(&host[HBK_GW_E_RQ_PENDING_ACTIVE], 1);
        return;
    }
    hbk_gw_uncount(&cluster[HBK_GW_C_RQ_PENDING_ACTIVE]);
    hbk_gw_uncount(&host[HBK_GW_E_RQ_PENDING_ACTIVE]);
    hbk_gw_count(&cluster[HBK_GW_C_RQ_TOTAL], 1);
    hbk_gw_count(&cluster[HBK_GW_C_RQ_ACTIVE], 1);
    hbk_gw_count(&host[HBK_GW_E_RQ_TOTAL], 1);
    hbk_gw_count(&host[HBK_GW_E_RQ_ACTIVE], 1);
}

static void leave_host(struct relay *relay)
{
    if (relay->is_counted) {
        const bool is_begun = relay->is_connected;
        relay->is_counted = false;
        hbk_gw_uncount(
            &relay->pool->stats[is_begun ? HBK_GW_C_RQ_ACTIVE : HBK_GW_C_RQ_PENDING_ACTIVE]);
        hbk_gw_uncount(
            &relay->host->stats[is_begun ? HBK_GW_E_RQ_ACTIVE : HBK_GW_E_RQ_PENDING_ACTIVE]);
        hbk_gw_uncount(&relay->host->stats[HBK_GW_E_CX_ACTIVE]);
        atomic_fetch_sub_explicit(&relay->pool->cluster->limits.connections, 1,
                                  memory_order_relaxed);
        hbk_gw_uncount(&relay->pool->stats[HBK_GW_C_CX_ACTIVE]);
        hbk_gw_count(&relay->pool->stats[HBK_GW_C_CX_DESTROY], 1);
        relay->host->active--;
    }
}

static struct hbk_gw_histogram *times_of(const struct relay *relay)
{
    return relay->shard->times[relay->handler->index];
}

/* The last pipe is gone. */
static void bury(struct relay *relay)
{
    struct hbk_gw_shard *shard = relay->shard;
    log_relay(relay);
    hbk_gw_tls_facts_fini(&relay->tls);
    hbk_gw_tls_facts_fini(&relay->upstream_tls);
    hbk_loop_timer_cancel(shard->net.loop, &relay->idle);
    if (relay->client.is_shaking) {
        hbk_gw_uncount(&relay->listener_stats[HBK_GW_L_SSL_SHAKING]);
    }
    hbk_gw_histogram_record(&times_of(relay)[HBK_GW_TIME_CX_LENGTH_MS],
                            (shard->net.loop->now_ns - relay->start_ns) / HBK_NS_PER_MS);
    hbk_gw_count(&relay->stats[HBK_GW_T_CX_RX_BYTES], relay->client.plain_received_bytes);
    hbk_gw_count(&relay->stats[HBK_GW_T_CX_TX_BYTES], relay->client.plain_sent_bytes);
    hbk_gw_count(&relay->listener_stats[HBK_GW_L_CX_DESTROY], 1);
    hbk_gw_uncount(&relay->listener_stats[HBK_GW_L_CX_ACTIVE]);
    hbk_gw_uncount(&shard->live);
    if (relay->host != NULL) {
        hbk_gw_host_unref(relay->host);
    }
    hbk_link_remove(&relay->link);
    hbk_pool_give(&shard->relays, relay);
}

/* Who does not take the last bytes is waited for no longer than one who is idle. */
static void be_patient(struct relay *relay)
{
    uint64_t idle_ns = relay->handler->idle_ns;
    hbk_loop_timer(relay->shard->net.loop, &relay->idle,
                   idle_ns > 0 && idle_ns < PARTING_NS_MAX ? idle_ns : PARTING_NS_MAX);
}

static void end(struct relay *relay, bool is_reset)
{
    struct hbk_loop *loop = relay->shard->net.loop;
    if (relay->is_over) {
        return;
    }
    relay->is_over = true;
    leave_host(relay);
    hbk_loop_timer_cancel(loop, &relay->connect);
    hbk_loop_timer_cancel(loop, &relay->idle);
    hbk_loop_timer_cancel(loop, &relay->life);
    hbk_loop_timer_cancel(loop, &relay->shaking);
    if (is_reset) {
        hbk_pipe_reset(&relay->client);
        hbk_pipe_reset(&relay->server);
    } else {
        be_patient(relay);
        hbk_pipe_close_when_sent(&relay->client);
        if (relay->open_pipes > 1) {
            hbk_pipe_close_when_sent(&relay->server);
        }
    }
}

static void closed(struct relay *relay)
{
    relay->open_pipes--;
    if (!relay->is_over && relay->open_pipes > 0 && relay->is_connected) {
        end(relay, false);
    }
    if (relay->open_pipes == 0) {
        bury(relay);
    }
}

/* ---- time ---- */

static void on_idle(struct hbk_timer *timer)
{
    struct relay *relay = HBK_CONTAINER(timer, struct relay, idle);
    struct hbk_loop *loop = relay->shard->net.loop;
    if (relay->is_over) {
        hbk_gw_count(&relay->stats[HBK_GW_T_IDLE_TIMEOUT], 1);
        hbk_pipe_reset(&relay->client);
        hbk_pipe_reset(&relay->server);
        return;
    }
    uint64_t quiet_ns = loop->now_ns - relay->active_ns;
    if (quiet_ns < relay->handler->idle_ns) {
        hbk_loop_timer(loop, timer, relay->handler->idle_ns - quiet_ns);
        return;
    }
    hbk_gw_count(&relay->stats[HBK_GW_T_IDLE_TIMEOUT], 1);
    relay->termination = "idle_timeout";
    end(relay, true);
}

static void on_life_over(struct hbk_timer *timer)
{
    struct relay *relay = HBK_CONTAINER(timer, struct relay, life);
    relay->flags |= HBK_GW_FLAG_DT;
    relay->termination = "max_downstream_connection_duration";
    end(relay, false);
}

/* Its time counts from the beginning: that of the upstream's connection is a part of it. */
static void on_shaking_timeout(struct hbk_timer *timer)
{
    struct relay *relay = HBK_CONTAINER(timer, struct relay, shaking);
    relay->termination = hbk_gw_handshake_late(relay->listener_stats, &relay->tls);
    end(relay, true);
}

static void on_connect_timeout(struct hbk_timer *timer)
{
    struct relay *relay = HBK_CONTAINER(timer, struct relay, connect);
    hbk_gw_count(&relay->pool->stats[HBK_GW_C_CX_CONNECT_TIMEOUT], 1);
    hbk_gw_count(&relay->host->stats[HBK_GW_E_CX_CONNECT_FAIL], 1);
    relay->failure = "connection timeout";
    hbk_pipe_close(&relay->server);
}

/* ---- bytes ---- */

static void pass(struct relay *relay, struct hbk_pipe *from, struct hbk_pipe *to,
                 struct hbk_slice bytes)
{
    relay->active_ns = relay->shard->net.loop->now_ns;
    if (hbk_buffer_append(&to->out, bytes) != HBK_OK) {
        end(relay, true);
        return;
    }
    hbk_pipe_send(to);
    if (hbk_buffer_size(&to->out) > relay->handler->buffer_bytes_max / 2) {
        hbk_pipe_pause(from);
    }
}

/* Each side's end goes on as a half close; both ended: over. */
static void pass_end(struct relay *relay, struct hbk_pipe *from, struct hbk_pipe *to)
{
    if (from->has_ended && to->has_ended) {
        end(relay, false);
    } else {
        hbk_pipe_end(to);
    }
}

static void flushed(struct relay *relay, struct hbk_pipe *to, struct hbk_pipe *from)
{
    if (relay->is_over) {
        be_patient(relay);
        return;
    }
    if (relay->is_connected && hbk_buffer_is_empty(&to->out)) {
        hbk_pipe_resume(from);
    }
}

static struct relay *of_client(struct hbk_pipe *pipe)
{
    return HBK_CONTAINER(pipe, struct relay, client);
}

static struct relay *of_server(struct hbk_pipe *pipe)
{
    return HBK_CONTAINER(pipe, struct relay, server);
}

static void on_client_bytes(struct hbk_pipe *pipe, struct hbk_slice bytes)
{
    pass(of_client(pipe), pipe, &of_client(pipe)->server, bytes);
}

static void on_client_end(struct hbk_pipe *pipe)
{
    pass_end(of_client(pipe), pipe, &of_client(pipe)->server);
}

static void on_client_flushed(struct hbk_pipe *pipe)
{
    flushed(of_client(pipe), pipe, &of_client(pipe)->server);
}

static void on_client_failed(struct hbk_pipe *pipe, int error)
{
    (void)error;
    hbk_gw_tls_facts_failed(&of_client(pipe)->tls, pipe->failure_text);
    if (pipe->is_shaking) {
        hbk_gw_handshake_failed(of_client(pipe)->listener_stats, pipe);
    }
    of_client(pipe)->flags |= of_client(pipe)->is_over ? 0 : HBK_GW_FLAG_DC;
    end(of_client(pipe), true);
}

static void on_client_closed(struct hbk_pipe *pipe)
{
    closed(of_client(pipe));
}

static void on_server_bytes(struct hbk_pipe *pipe, struct hbk_slice bytes)
{
    struct relay *relay = of_server(pipe);
    hbk_gw_count(&relay->pool->stats[HBK_GW_C_CX_RX_BYTES], bytes.size);
    pass(relay, pipe, &relay->client, bytes);
}

static void on_server_end(struct hbk_pipe *pipe)
{
    pass_end(of_server(pipe), pipe, &of_server(pipe)->client);
}

static void on_server_flushed(struct hbk_pipe *pipe)
{
    flushed(of_server(pipe), pipe, &of_server(pipe)->client);
}

static void on_server_connected(struct hbk_pipe *pipe)
{
    struct relay *relay = of_server(pipe);
    relay->is_connected = true;
    count_exchange(relay, true);
    hbk_loop_timer_cancel(relay->shard->net.loop, &relay->connect);
    if (hbk_socket_local_address(pipe->source.fd, &relay->server_local) != HBK_OK) {
        relay->server_local = (struct hbk_address){0};
    }
    if (pipe->has_tls && (relay->shard->plan->asks & HBK_GW_ASKS_UPSTREAM_TLS) != 0) {
        hbk_gw_tls_facts_init(&relay->upstream_tls, pipe->tls, 0);
    }
    hbk_pipe_resume(&relay->client);
}

static void on_server_failed(struct hbk_pipe *pipe, int error)
{
    struct relay *relay = of_server(pipe);
    (void)error;
    if (relay->is_connected) {
        relay->flags |= relay->is_over ? 0 : HBK_GW_FLAG_UC;
        end(relay, true);
        return;
    }
    hbk_gw_count(&relay->pool->stats[HBK_GW_C_CX_CONNECT_FAIL], 1);
    hbk_gw_count(&relay->host->stats[HBK_GW_E_CX_CONNECT_FAIL], 1);
    relay->failure = "delayed connect error";
}

/* A connection that was never made is tried anew, with another host, as often as is allowed. */
static void on_server_closed(struct hbk_pipe *pipe)
{
    struct relay *relay = of_server(pipe);
    if (relay->is_connected || relay->is_over) {
        closed(relay);
        return;
    }
    relay->open_pipes--;
    leave_host(relay);
    connect_next(relay);
}

/* TLS of the client stands; the upstream was asked meanwhile. */
static void on_client_connected(struct hbk_pipe *pipe)
{
    struct relay *relay = of_client(pipe);
    hbk_gw_tls_facts_init(&relay->tls, pipe->tls, relay->shard->plan->asks);
    hbk_gw_handshake_done(relay->listener_stats, pipe->tls);
    hbk_loop_timer_cancel(relay->shard->net.loop, &relay->shaking);
    hbk_gw_histogram_record(&times_of(relay)[HBK_GW_TIME_HANDSHAKE_US],
                            (relay->shard->net.loop->now_ns - relay->start_ns) / HBK_NS_PER_US);
}

static const struct hbk_pipe_events client_events = {
    .on_connected = on_client_connected,
    .on_bytes = on_client_bytes,
    .on_end = on_client_end,
    .on_flushed = on_client_flushed,
    .on_failed = on_client_failed,
    .on_closed = on_client_closed,
};
static const struct hbk_pipe_events server_events = {
    .on_connected = on_server_connected,
    .on_bytes = on_server_bytes,
    .on_end = on_server_end,
    .on_flushed = on_server_flushed,
    .on_failed = on_server_failed,
    .on_closed = on_server_closed,
};

/* ---- the beginning ---- */

static struct hbk_gw_pool *choose_pool(struct hbk_gw_shard *shard,
                                       const struct hbk_gw_tcp_proxy *config)
{
    struct hbk_slice name = config->cluster;
    if (config->weighted_clusters != NULL) {
        uint64_t left = hbk_gw_random(shard) % config->weighted_clusters->total;
        uint32_t i = 0;
        while (left >= config->weighted_clusters->clusters[i].weight) {
            left -= config->weighted_clusters->clusters[i++].weight;
        }
        name = config->weighted_clusters->clusters[i].name;
    }
    const struct hbk_gw_plan_cluster *cluster = hbk_gw_cluster_find(&shard->plan->clusters, name);
    return cluster == NULL ? NULL : &shard->pools[cluster - shard->plan->clusters.items];
}

static void give_up(struct relay *relay, uint32_t flag)
{
    relay->flags |= flag;
    end(relay, false);
}

static void connect_next(struct relay *relay)
{
    const struct hbk_gw_tcp_proxy *config = relay->handler->tcp;
    struct hbk_gw_plan_cluster *cluster = relay->pool->cluster;
    if (relay->attempts >= config->max_connect_attempts) {
        give_up(relay, HBK_GW_FLAG_UF | (config->max_connect_attempts > 1 ? HBK_GW_FLAG_URX : 0));
        return;
    }
    struct hbk_gw_host *host =
        cluster->config->type == HBK_GW_ORIGINAL_DST
            ? hbk_gw_original_pick(relay->pool, relay->is_restored ? &relay->local : NULL)
            : hbk_gw_host_pick(relay->pool);
    if (host == NULL) {
        hbk_gw_count(&relay->pool->stats[HBK_GW_C_CX_NONE_HEALTHY], 1);
        give_up(relay, HBK_GW_FLAG_UH);
        return;
    }
    if (atomic_load_explicit(&cluster->limits.connections, memory_order_relaxed) >=
            cluster->thresholds.max_connections ||
        hbk_gw_host_is_full(host)) {
        hbk_gw_count(&relay->pool->stats[HBK_GW_C_CX_OVERFLOW], 1);
        give_up(relay, HBK_GW_FLAG_UO);
        return;
    }
    relay->attempts++;
    if (relay->host != NULL) {
        hbk_gw_host_unref(relay->host);
    }
    relay->host = host;
    hbk_gw_host_ref(host);
    const struct hbk_pipe_security security = {.context = relay->pool->tls,
                                               .server_name = cluster->server_name};
    if (hbk_pipe_connect(&relay->server, &relay->shard->net, &host->address,
                         hbk_gw_cluster_source(cluster->config), relay->handler->buffer_bytes_max,
                         security.context == NULL ? NULL : &security, &server_events) != HBK_OK) {
        hbk_gw_count(&relay->pool->stats[HBK_GW_C_CX_CONNECT_FAIL], 1);
        relay->server.is_closed = true;
        relay->failure = "immediate connect error";
        give_up(relay, HBK_GW_FLAG_UF);
        return;
    }
    relay->open_pipes++;
    relay->is_counted = true;
    host->active++;
    atomic_fetch_add_explicit(&cluster->limits.connections, 1, memory_order_relaxed);
    hbk_gw_count(&relay->pool->stats[HBK_GW_C_CX_TOTAL], 1);
    hbk_gw_count(&relay->pool->stats[HBK_GW_C_CX_ACTIVE], 1);
    hbk_gw_count(&host->stats[HBK_GW_E_CX_TOTAL], 1);
    hbk_gw_count(&host->stats[HBK_GW_E_CX_ACTIVE], 1);
    count_exchange(relay, false);
    hbk_loop_timer(relay->shard->net.loop, &relay->connect, cluster->config->connect_timeout);
}

static void start_timers(struct relay *relay)
{
    struct hbk_loop *loop = relay->shard->net.loop;
    uint64_t life_ns = relay->handler->tcp->max_downstream_connection_duration;
    hbk_timer_init(&relay->connect, on_connect_timeout);
    hbk_timer_init(&relay->idle, on_idle);
    hbk_timer_init(&relay->life, on_life_over);
    hbk_timer_init(&relay->shaking, on_shaking_timeout);
    if (relay->client.is_shaking) {
        hbk_loop_timer(loop, &relay->shaking, hbk_gw_handshake_ns(relay->handler));
    }
    if (relay->handler->idle_ns > 0) {
        hbk_loop_timer(loop, &relay->idle, relay->handler->idle_ns);
    }
    if (life_ns > 0) {
        hbk_loop_timer(loop, &relay->life, life_ns);
    }
}

void hbk_gw_tcp_open(struct hbk_gw_shard *shard, const struct hbk_gw_handler *handler,
                     hbk_gw_counter *listener_stats, const struct hbk_gw_arrival *arrival)
{
    const struct hbk_pipe_security security = {.context = shard->contexts[handler->index],
                                               .is_server = true};
    struct relay *relay = hbk_pool_take(&shard->relays);
    if (relay == NULL ||
        hbk_pipe_open(&relay->client, &shard->net, arrival->fd, handler->buffer_bytes_max,
                      security.context == NULL ? NULL : &security, &client_events) != HBK_OK) {
        if (relay == NULL) {
            (void)close(arrival->fd);
        }
        hbk_gw_count(&listener_stats[HBK_GW_L_CX_OVERFLOW], 1);
        hbk_pool_give(&shard->relays, relay);
        return;
    }
    relay->shard = shard;
    relay->handler = handler;
    relay->listener = arrival->listener;
    relay->listener_stats = listener_stats;
    relay->stats = shard->tcp_stats[handler->index];
    relay->peer = arrival->peer;
    relay->direct = arrival->direct;
    relay->local = arrival->local;
    relay->is_restored = arrival->is_restored;
    relay->id = ++shard->connection_ids * HBK_WORKERS_MAX + shard->worker->index;
    relay->start_ns = relay->active_ns = shard->net.loop->now_ns;
    relay->start_real_ns = hbk_clock_realtime_ns();
    relay->open_pipes = 1;
    relay->server.is_closed = true; /* not opened yet */
    hbk_list_append(&shard->relay_list, &relay->link);
    hbk_gw_count(&relay->stats[HBK_GW_T_CX_TOTAL], 1);
    hbk_gw_count(&listener_stats[HBK_GW_L_CX_TOTAL], 1);
    hbk_gw_count(&listener_stats[HBK_GW_L_CX_ACTIVE], 1);
    hbk_gw_count(&shard->live, 1);
    if (relay->client.is_shaking) {
        hbk_gw_count(&listener_stats[HBK_GW_L_SSL_SHAKING], 1);
    }
    start_timers(relay);
    hbk_pipe_pause(&relay->client);
    relay->pool = choose_pool(shard, handler->tcp);
    if (relay->pool == NULL) {
        hbk_gw_count(&relay->stats[HBK_GW_T_CX_NO_ROUTE], 1);
        give_up(relay, HBK_GW_FLAG_NR);
        return;
    }
    connect_next(relay);
}

void hbk_gw_tcp_host_failed(struct hbk_gw_host *host)
{
    HBK_LIST_EACH (link, &host->pool->shard->relay_list) {
        struct relay *relay = HBK_CONTAINER(link, struct relay, link);
        if (relay->host == host && relay->is_connected && !relay->is_over) {
            relay->flags |= HBK_GW_FLAG_UC;
            end(relay, true);
        }
    }
}

void hbk_gw_tcp_abort_all(struct hbk_gw_shard *shard)
{
    HBK_LIST_EACH (link, &shard->relay_list) {
        end(HBK_CONTAINER(link, struct relay, link), true);
    }
}

size_t hbk_gw_tcp_object_bytes(void)
{
    return sizeof(struct relay);
}
