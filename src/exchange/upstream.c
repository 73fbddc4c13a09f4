/*
 * Which connection an exchange gets. A host keeps its connections in two lists: those that can take
 * an exchange now and those that cannot, and the exchanges that wait in a third. An exchange takes
 * the connection that was used last; without one it waits and, where fewer connections are being
 * made than exchanges wait, another is opened.
 *
 * Exchanges that wait are served by a task of their host and never from within what let a
 * connection go: that is mostly a codec in the midst of its input, or a walk over the exchanges of
 * a client, and a new exchange in their hands would get bytes of the old one, or end another.
 *
 * Limits are those of the cluster over all workers (circuit breakers): connections, exchanges that
 * wait, exchanges in all.
 */
#include "exchange/upstream.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "os/socket.h"

static void on_timer(struct hbk_timer *timer);

/* ---- a stream and its connection ---- */

static void give_back_limits(struct hbk_gw_stream *stream)
{
    struct hbk_gw_limits *limits = &stream->pool->cluster->limits;
    if (stream->is_counted) {
        stream->is_counted = false;
        atomic_fetch_sub_explicit(&limits->requests, 1, memory_order_relaxed);
    }
    if (stream->is_retry_counted) {
        stream->is_retry_counted = false;
        atomic_fetch_sub_explicit(&limits->retries, 1, memory_order_relaxed);
    }
}

static void stop_waiting(struct hbk_gw_stream *stream)
{
    if (stream->is_waiting) {
        stream->is_waiting = false;
        stream->endpoint->waiting_count--;
        hbk_gw_uncount(&stream->endpoint->stats[HBK_GW_E_RQ_PENDING_ACTIVE]);
        hbk_link_remove(&stream->up_link);
        hbk_gw_uncount(&stream->pool->stats[HBK_GW_C_RQ_PENDING_ACTIVE]);
        atomic_fetch_sub_explicit(&stream->pool->cluster->limits.pending, 1, memory_order_relaxed);
    }
}

static void leave_host(struct hbk_gw_stream *stream)
{
    if (stream->endpoint != NULL) {
        struct hbk_gw_host *host = stream->endpoint;
        stream->endpoint = NULL;
        host->active--;
        hbk_gw_host_unref(host);
    }
}

void hbk_gw_upstream_unbind(struct hbk_gw_stream *stream)
{
    struct hbk_gw_upstream *upstream = stream->upstream;
    hbk_link_remove(&stream->up_link);
    stream->upstream = NULL;
    upstream->stream_count--;
    hbk_gw_uncount(&stream->pool->stats[HBK_GW_C_RQ_ACTIVE]);
    hbk_gw_uncount(&upstream->host->stats[HBK_GW_E_RQ_ACTIVE]);
}

void hbk_gw_upstream_drop(struct hbk_gw_stream *stream)
{
    if (stream->pool == NULL) {
        return;
    }
    stop_waiting(stream);
    if (stream->upstream != NULL) {
        stream->up->cancel(stream);
    }
    leave_host(stream);
    give_back_limits(stream);
    hbk_loop_timer_cancel(stream->shard->net.loop, &stream->retry);
    hbk_loop_timer_cancel(stream->shard->net.loop, &stream->up_lifetime);
    hbk_buffer_fini(&stream->up_out);
    stream->up_out_is_last = false;
}

/* ---- lists of a host ---- */

static bool has_room(const struct hbk_gw_upstream *upstream)
{
    const struct hbk_gw_cluster *config = upstream->host->pool->cluster->config;
    if (!upstream->is_ready || upstream->is_leaving || upstream->pipe.is_closed ||
        (config->max_requests_per_connection > 0 &&
         upstream->request_count >= config->max_requests_per_connection)) {
        return false;
    }
    return upstream->is_http2 ? hbk_gw_http2_client_has_room(upstream)
                              : upstream->stream_count == 0;
}

static void place(struct hbk_gw_upstream *upstream)
{
    hbk_link_remove(&upstream->link);
    if (has_room(upstream)) {
        hbk_list_prepend(&upstream->host->ready, &upstream->link);
    } else {
        hbk_list_append(&upstream->host->busy, &upstream->link);
    }
}

static void set_idle_timer(struct hbk_gw_upstream *upstream)
{
    static const uint64_t idle_default_ns = UINT64_C(3600000000000);
    const struct hbk_gw_http_options *options =
        hbk_gw_cluster_http_options(upstream->host->pool->cluster->config);
    uint64_t idle_ns =
        options != NULL && options->has_idle_timeout ? options->idle_timeout : idle_default_ns;
    if (upstream->stream_count > 0 || idle_ns == 0) {
        hbk_loop_timer_cancel(upstream->shard->net.loop, &upstream->timer);
    } else {
        hbk_loop_timer(upstream->shard->net.loop, &upstream->timer, idle_ns);
    }
}

/* Gives the connection an exchange; the codec writes its head. */
static void bind(struct hbk_gw_upstream *upstream, struct hbk_gw_stream *stream)
{
    stop_waiting(stream);
    hbk_link_remove(&stream->up_link);
    hbk_list_append(&upstream->streams, &stream->up_link);
    stream->upstream = upstream;
    stream->up = upstream->is_http2 ? &hbk_gw_http2_client_ops : &hbk_gw_http1_client_ops;
    stream->upstream_protocol = upstream->is_http2 ? "HTTP/2" : "HTTP/1.1";
    stream->upstream_address = upstream->host->address;
    if (hbk_socket_local_address(upstream->pipe.source.fd, &stream->upstream_local) != HBK_OK) {
        stream->upstream_local = (struct hbk_address){0};
    }
    if (upstream->pipe.has_tls && (stream->shard->plan->asks & HBK_GW_ASKS_UPSTREAM_TLS) != 0) {
        hbk_gw_tls_facts_fini(&stream->upstream_tls); /* of an attempt before */
        hbk_gw_tls_facts_init(&stream->upstream_tls, upstream->pipe.tls, 0);
    }
    upstream->stream_count++;
    upstream->request_count++;
    hbk_gw_count(&stream->pool->stats[HBK_GW_C_RQ_ACTIVE], 1);
    hbk_gw_count(&upstream->host->stats[HBK_GW_E_RQ_ACTIVE], 1);
    hbk_gw_count(&upstream->host->stats[HBK_GW_E_RQ_TOTAL], 1);
    place(upstream);
    set_idle_timer(upstream);
    hbk_gw_duration_bound(stream);
    if (!upstream->is_http2) {
        hbk_gw_http1_client_send(upstream, stream);
        return;
    }
    hbk_gw_http2_client_send(upstream, stream);
    if (!upstream->pipe.is_closed) { /* with this exchange it may be full */
        place(upstream);
        set_idle_timer(upstream);
    }
}

void hbk_gw_host_serve(struct hbk_gw_host *host)
{
    if (!hbk_list_is_empty(&host->waiting) && !hbk_link_is_linked(&host->serve.link)) {
        hbk_gw_host_ref(host);
        hbk_loop_post(host->pool->shard->net.loop, HBK_PHASE_READ, &host->serve);
    }
}

void hbk_gw_upstream_released(struct hbk_gw_upstream *upstream)
{
    const struct hbk_gw_cluster *config = upstream->host->pool->cluster->config;
    bool is_used_up = config->max_requests_per_connection > 0 &&
                      upstream->request_count >= config->max_requests_per_connection;
    if (upstream->pipe.is_closed) {
        return;
    }
    upstream->is_leaving |= upstream->host->has_left;
    if (is_used_up && !upstream->is_leaving) {
        hbk_gw_count(&upstream->host->pool->stats[HBK_GW_C_CX_MAX_REQUESTS], 1);
        upstream->is_leaving = true;
    }
    if (upstream->is_leaving && upstream->stream_count == 0) {
        hbk_gw_upstream_close(upstream);
        return;
    }
    place(upstream);
    set_idle_timer(upstream);
    hbk_gw_host_serve(upstream->host);
}

void hbk_gw_upstream_retire(struct hbk_gw_upstream *upstream)
{
    upstream->is_leaving = true;
    hbk_gw_upstream_released(upstream);
}

/* ---- a connection's life ---- */

/* It leaves its list at once, so that nobody takes it before the end of the turn. */
void hbk_gw_upstream_close(struct hbk_gw_upstream *upstream)
{
    hbk_link_remove(&upstream->link);
    hbk_pipe_close(&upstream->pipe);
}

void hbk_gw_upstream_fail(struct hbk_gw_upstream *upstream, enum hbk_gw_upstream_failure failure,
                          const char *text)
{
    upstream->is_leaving = true;
    hbk_pipe_close(&upstream->pipe);
    hbk_link_remove(&upstream->link);
    while (!hbk_list_is_empty(&upstream->streams)) {
        struct hbk_gw_stream *stream =
            HBK_CONTAINER(upstream->streams.head.next, struct hbk_gw_stream, up_link);
        if (upstream->has_session) { /* which goes later than the exchange may */
            hbk_h2_reset(&upstream->session, &stream->up_h2, HBK_H2_CANCEL);
        }
        hbk_gw_upstream_unbind(stream);
        hbk_gw_stream_failed(stream, failure, text);
    }
}

/* Fails the `count` exchanges that wait longest. One that fails may come back, but behind them. */
static void fail_waiting(struct hbk_gw_host *host, uint32_t count,
                         enum hbk_gw_upstream_failure failure, const char *text)
{
    hbk_gw_host_ref(host);
    for (; count > 0 && !hbk_list_is_empty(&host->waiting); count--) {
        struct hbk_gw_stream *stream =
            HBK_CONTAINER(host->waiting.head.next, struct hbk_gw_stream, up_link);
        stop_waiting(stream);
        hbk_gw_count(&host->pool->stats[HBK_GW_C_RQ_PENDING_FAILURE_EJECT], 1);
        hbk_gw_stream_failed(stream, failure, text);
    }
    hbk_gw_host_unref(host);
}

/* Of the exchanges that wait, those for which connections under way are enough. */
static uint32_t spared_count(const struct hbk_gw_host *host)
{
    bool is_http2 = host->pool->cluster->config->upstream_protocol == HBK_GW_UPSTREAM_HTTP2;
    return host->connecting_count < host->waiting_count && !(is_http2 && host->connecting_count > 0)
               ? host->connecting_count
               : host->waiting_count;
}

/* The connection was never made: exchanges that wait for it fail, but for those that another one
 * under way will serve. */
static void fail_connecting(struct hbk_gw_upstream *upstream, enum hbk_gw_upstream_failure failure,
                            const char *text)
{
    struct hbk_gw_host *host = upstream->host;
    hbk_gw_counter *stats = host->pool->stats;
    hbk_gw_count(&stats[failure == HBK_GW_FAILED_TIMEOUT ? HBK_GW_C_CX_CONNECT_TIMEOUT
                                                         : HBK_GW_C_CX_CONNECT_FAIL],
                 1);
    hbk_gw_count(&host->stats[HBK_GW_E_CX_CONNECT_FAIL], 1);
    upstream->is_leaving = true;
    hbk_pipe_close(&upstream->pipe);
    hbk_link_remove(&upstream->link);
    host->connecting_count--;
    upstream->is_connecting = false;
    fail_waiting(host, host->waiting_count - spared_count(host), failure, text);
}

static struct hbk_gw_upstream *upstream_of(struct hbk_pipe *pipe)
{
    return HBK_CONTAINER(pipe, struct hbk_gw_upstream, pipe);
}

static void on_connected(struct hbk_pipe *pipe)
{
    struct hbk_gw_upstream *upstream = upstream_of(pipe);
    hbk_gw_counter *stats = upstream->host->pool->stats;
    upstream->host->connecting_count--;
    upstream->is_connecting = false;
    if (pipe->has_tls) {
        hbk_gw_count(&stats[HBK_GW_C_SSL_HANDSHAKE], 1);
    }
    hbk_loop_timer_cancel(upstream->shard->net.loop, &upstream->timer);
    hbk_gw_count(&stats[upstream->is_http2 ? HBK_GW_C_CX_HTTP2_TOTAL : HBK_GW_C_CX_HTTP1_TOTAL], 1);
    if (upstream->is_http2 && hbk_gw_http2_client_start(upstream) != HBK_OK) {
        hbk_gw_upstream_fail(upstream, HBK_GW_FAILED_CONNECT, "out of memory");
        return;
    }
    upstream->is_ready = true;
    place(upstream);
    set_idle_timer(upstream);
    hbk_gw_host_serve(upstream->host);
}

static void on_bytes(struct hbk_pipe *pipe, struct hbk_slice bytes)
{
    struct hbk_gw_upstream *upstream = upstream_of(pipe);
    hbk_gw_count(&upstream->host->pool->stats[HBK_GW_C_CX_RX_BYTES], bytes.size);
    if (upstream->is_http2) {
        hbk_gw_http2_client_read(upstream, bytes);
    } else {
        hbk_gw_http1_client_read(upstream, bytes);
    }
}

static void on_end(struct hbk_pipe *pipe)
{
    struct hbk_gw_upstream *upstream = upstream_of(pipe);
    if (!upstream->is_http2) {
        hbk_gw_http1_client_end(upstream);
    }
    if (!pipe->is_closed) {
        hbk_gw_upstream_fail(upstream, HBK_GW_FAILED_CLOSED, NULL);
    }
}

static void on_flushed(struct hbk_pipe *pipe)
{
    struct hbk_gw_upstream *upstream = upstream_of(pipe);
    if (upstream->is_http2) {
        hbk_gw_http2_client_flushed(upstream);
    } else {
        hbk_gw_http1_client_flushed(upstream);
    }
}

/* Texts of failures outlive the connection, since logs print them: static ones only. */
static const char *connect_failure_text(int error)
{
    switch (error) {
    case ECONNREFUSED:
        return "delayed connect error: Connection refused";
    case EHOSTUNREACH:
        return "delayed connect error: No route to host";
    case ENETUNREACH:
        return "delayed connect error: Network is unreachable";
    case ETIMEDOUT:
        return "delayed connect error: Connection timed out";
    default:
        return "delayed connect error";
    }
}

static void on_failed(struct hbk_pipe *pipe, int error)
{
    struct hbk_gw_upstream *upstream = upstream_of(pipe);
    if (upstream->is_connecting) {
        hbk_gw_counter *stats = upstream->host->pool->stats;
        if (pipe->failure_text != NULL) {
            hbk_gw_count(&stats[pipe->is_untrusted ? HBK_GW_C_SSL_FAIL_VERIFY : HBK_GW_C_SSL_ERROR],
                         1);
        }
        fail_connecting(upstream, HBK_GW_FAILED_CONNECT,
                        pipe->failure_text != NULL ? pipe->failure_text
                                                   : connect_failure_text(error));
    } else {
        hbk_gw_upstream_fail(upstream, HBK_GW_FAILED_CLOSED, NULL);
    }
}

static void on_closed(struct hbk_pipe *pipe)
{
    struct hbk_gw_upstream *upstream = upstream_of(pipe);
    struct hbk_gw_host *host = upstream->host;
    hbk_gw_counter *stats = host->pool->stats;
    if (!hbk_list_is_empty(&upstream->streams)) {
        hbk_gw_upstream_fail(upstream, HBK_GW_FAILED_CLOSED, NULL);
    }
    if (upstream->has_session) {
        hbk_task_cancel(&upstream->pump);
        hbk_h2_fini(&upstream->session);
    }
    hbk_loop_timer_cancel(upstream->shard->net.loop, &upstream->timer);
    hbk_link_remove(&upstream->link);
    hbk_buffer_fini(&upstream->in);
    hbk_gw_count(&stats[HBK_GW_C_CX_TX_BYTES], pipe->sent_bytes);
    hbk_gw_count(&stats[HBK_GW_C_CX_DESTROY], 1);
    hbk_gw_uncount(&stats[HBK_GW_C_CX_ACTIVE]);
    hbk_gw_uncount(&host->stats[HBK_GW_E_CX_ACTIVE]);
    atomic_fetch_sub_explicit(&host->pool->cluster->limits.connections, 1, memory_order_relaxed);
    host->connecting_count -= upstream->is_connecting ? 1 : 0;
    host->connection_count--;
    hbk_pool_give(&upstream->shard->upstreams, upstream);
    hbk_gw_host_serve(host); /* there is room for another connection */
    hbk_gw_host_unref(host);
}

static const struct hbk_pipe_events events = {
    .on_connected = on_connected,
    .on_bytes = on_bytes,
    .on_end = on_end,
    .on_flushed = on_flushed,
    .on_failed = on_failed,
    .on_closed = on_closed,
};

static void on_timer(struct hbk_timer *timer)
{
    struct hbk_gw_upstream *upstream = HBK_CONTAINER(timer, struct hbk_gw_upstream, timer);
    if (upstream->is_connecting) {
        fail_connecting(upstream, HBK_GW_FAILED_TIMEOUT, NULL);
    } else {
        upstream->is_leaving = true;
        hbk_gw_upstream_close(upstream);
    }
}

/* Opens a connection. Fails as hbk_pipe_connect(); HBK_LIMIT. */
static hbk_status open_upstream(struct hbk_gw_host *host)
{
    struct hbk_gw_pool *pool = host->pool;
    const struct hbk_gw_cluster *config = pool->cluster->config;
    const struct hbk_pipe_security security = {.context = pool->tls,
                                               .server_name = pool->cluster->server_name};
    struct hbk_gw_upstream *upstream = hbk_pool_take(&pool->shard->upstreams);
    if (upstream == NULL) {
        return HBK_NO_MEMORY;
    }
    hbk_status status =
        hbk_pipe_connect(&upstream->pipe, &pool->shard->net, &host->address,
                         hbk_gw_cluster_source(config), config->per_connection_buffer_limit_bytes,
                         security.context == NULL ? NULL : &security, &events);
    if (status != HBK_OK) {
        hbk_pool_give(&pool->shard->upstreams, upstream);
        return status;
    }
    upstream->host = host;
    upstream->shard = pool->shard;
    upstream->is_connecting = true;
    upstream->is_http2 = config->upstream_protocol == HBK_GW_UPSTREAM_HTTP2;
    hbk_list_init(&upstream->streams);
    hbk_buffer_init(&upstream->in, HBK_HTTP1_HEAD_BYTES_MAX * 4 + HBK_PIPE_READ_BYTES);
    hbk_timer_init(&upstream->timer, on_timer);
    hbk_link_init(&upstream->link);
    hbk_gw_host_ref(host);
    host->connection_count++;
    host->connecting_count++;
    atomic_fetch_add_explicit(&pool->cluster->limits.connections, 1, memory_order_relaxed);
    hbk_gw_count(&pool->stats[HBK_GW_C_CX_TOTAL], 1);
    hbk_gw_count(&pool->stats[HBK_GW_C_CX_ACTIVE], 1);
    hbk_gw_count(&host->stats[HBK_GW_E_CX_TOTAL], 1);
    hbk_gw_count(&host->stats[HBK_GW_E_CX_ACTIVE], 1);
    hbk_list_append(&host->busy, &upstream->link);
    hbk_loop_timer(pool->shard->net.loop, &upstream->timer, config->connect_timeout);
    return HBK_OK;
}

/* ---- asking ---- */

/* One connection under way serves one waiting exchange, or as many as there are with HTTP/2. */
static bool needs_connection(const struct hbk_gw_host *host)
{
    bool is_http2 = host->pool->cluster->config->upstream_protocol == HBK_GW_UPSTREAM_HTTP2;
    return is_http2 ? host->connecting_count == 0 : host->connecting_count < host->waiting_count;
}

/* Whether the cluster's limits let the host have one more; its first is always allowed. */
static bool may_connect(const struct hbk_gw_host *host)
{
    struct hbk_gw_plan_cluster *cluster = host->pool->cluster;
    return host->connection_count == 0 ||
           (atomic_load_explicit(&cluster->limits.connections, memory_order_relaxed) <
                cluster->thresholds.max_connections &&
            !hbk_gw_host_is_full(host));
}

void hbk_gw_host_on_serve(struct hbk_task *task)
{
    struct hbk_gw_host *host = HBK_CONTAINER(task, struct hbk_gw_host, serve);
    while (!hbk_list_is_empty(&host->waiting) && !hbk_list_is_empty(&host->ready)) {
        bind(HBK_CONTAINER(host->ready.head.next, struct hbk_gw_upstream, link),
             HBK_CONTAINER(host->waiting.head.next, struct hbk_gw_stream, up_link));
    }
    while (!hbk_list_is_empty(&host->waiting) && needs_connection(host) && may_connect(host)) {
        if (open_upstream(host) != HBK_OK) {
            break;
        }
    }
    if (host->connection_count == 0) { /* nothing will ever come for them */
        fail_waiting(host, host->waiting_count, HBK_GW_FAILED_CONNECT, "immediate connect error");
    }
    hbk_gw_host_unref(host);
}

static void wait_at_host(struct hbk_gw_stream *stream, struct hbk_gw_host *host)
{
    struct hbk_gw_plan_cluster *cluster = stream->pool->cluster;
    hbk_gw_counter *stats = stream->pool->stats;
    if (atomic_load_explicit(&cluster->limits.pending, memory_order_relaxed) >=
        cluster->thresholds.max_pending_requests) {
        hbk_gw_count(&stats[HBK_GW_C_RQ_PENDING_OVERFLOW], 1);
        hbk_gw_stream_failed(stream, HBK_GW_FAILED_OVERFLOW, NULL);
        return;
    }
    stream->is_waiting = true;
    host->waiting_count++;
    hbk_list_append(&host->waiting, &stream->up_link);
    atomic_fetch_add_explicit(&cluster->limits.pending, 1, memory_order_relaxed);
    hbk_gw_count(&stats[HBK_GW_C_RQ_PENDING_TOTAL], 1);
    hbk_gw_count(&stats[HBK_GW_C_RQ_PENDING_ACTIVE], 1);
    hbk_gw_count(&host->stats[HBK_GW_E_RQ_PENDING_ACTIVE], 1);
    if (!hbk_list_is_empty(&host->ready)) {
        hbk_gw_host_serve(host); /* those that came before first */
        return;
    }
    if (!needs_connection(host)) {
        return;
    }
    if (!may_connect(host)) {
        hbk_gw_count(&stats[HBK_GW_C_CX_OVERFLOW], 1);
        return; /* it waits for one that is there */
    }
    if (open_upstream(host) != HBK_OK && host->connection_count == 0) {
        stop_waiting(stream);
        hbk_gw_count(&stats[HBK_GW_C_CX_CONNECT_FAIL], 1);
        hbk_gw_count(&host->stats[HBK_GW_E_CX_CONNECT_FAIL], 1);
        hbk_gw_stream_failed(stream, HBK_GW_FAILED_CONNECT, "immediate connect error");
    }
}

void hbk_gw_upstream_ask(struct hbk_gw_stream *stream)
{
    struct hbk_gw_pool *pool = stream->pool;
    struct hbk_gw_plan_cluster *cluster = pool->cluster;
    struct hbk_gw_host *host = cluster->config->type == HBK_GW_ORIGINAL_DST
                                   ? hbk_gw_original_pick_for(stream)
                                   : hbk_gw_host_pick(pool);
    stream->attempts++;
    if (host == NULL) {
        hbk_gw_count(&pool->stats[HBK_GW_C_CX_NONE_HEALTHY], 1);
        hbk_gw_stream_reply(stream, 503, HBK_SLICE("no healthy upstream"), HBK_GW_FLAG_UH,
                            "no_healthy_upstream");
        return;
    }
    if (hbk_gw_forward_to_host(stream, host->hostname) != HBK_OK) {
        hbk_gw_stream_reply(stream, 500, HBK_SLICE(""), 0, "request_headers_too_large");
        return;
    }
    hbk_gw_count(&pool->stats[HBK_GW_C_RQ_TOTAL], 1);
    if (atomic_load_explicit(&cluster->limits.requests, memory_order_relaxed) >=
        cluster->thresholds.max_requests) {
        hbk_gw_count(&pool->stats[HBK_GW_C_RQ_PENDING_OVERFLOW], 1);
        hbk_gw_stream_failed(stream, HBK_GW_FAILED_OVERFLOW, NULL);
        return;
    }
    atomic_fetch_add_explicit(&cluster->limits.requests, 1, memory_order_relaxed);
    stream->is_counted = true;
    stream->endpoint = host;
    stream->upstream_address = host->address;
    host->active++;
    hbk_gw_host_ref(host);
    const struct hbk_gw_retry_policy *policy = hbk_gw_retry_policy_of(stream);
    if (policy != NULL && policy->per_try_timeout > 0) {
        hbk_loop_timer(stream->shard->net.loop, &stream->retry, policy->per_try_timeout);
    }
    /* Whoever comes while others wait does not overtake them. */
    if (!hbk_list_is_empty(&host->ready) && hbk_list_is_empty(&host->waiting)) {
        bind(HBK_CONTAINER(host->ready.head.next, struct hbk_gw_upstream, link), stream);
        return;
    }
    wait_at_host(stream, host);
}
