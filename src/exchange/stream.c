/*
 * The life of an exchange:
 *
 *     request -> route -+-> direct response, redirect, refusal ------------------> ended
 *                       +-> ask for an upstream -> bound -> body -> response -+--> ended
 *                                  ^                                          |
 *                                  +---- pause <---- failed, bad status <-----+
 *
 * Until an upstream is bound, the request's body gathers in `held`, and further reading stops by
 * back-pressure: nothing in `held` counts as passed on before it is. With a retry policy the body
 * also stays there afterwards, as long as it is small.
 */
#include "exchange/stream.h"

#include <stdio.h>

#include "base/assert.h"
#include "base/clock.h"
#include "exchange/downstream.h"
#include "exchange/upstream.h"

#define RETRY_BASE_NS (25 * HBK_NS_PER_MS)
#define RETRY_MAX_FACTOR 10
/* Of a base: doubled 16 times it still fits. */
#define RETRY_LONGEST_NS (24 * 3600 * HBK_NS_PER_S)

static void on_route_timeout(struct hbk_timer *timer);
static void on_idle(struct hbk_timer *timer);
static void on_retry(struct hbk_timer *timer);

static hbk_gw_counter *stats_of(const struct hbk_gw_stream *stream)
{
    return stream->shard->http_stats[stream->handler->index];
}

struct hbk_gw_stream *hbk_gw_stream_new(struct hbk_gw_connection *connection,
                                        const struct hbk_gw_downstream_ops *down)
{
    struct hbk_gw_shard *shard = connection->shard;
    struct hbk_gw_stream *stream = hbk_pool_take(&shard->streams);
    if (stream == NULL) {
        return NULL;
    }
    stream->shard = shard;
    stream->handler = connection->handler;
    stream->connection = connection;
    stream->down = down;
    stream->start_ns = shard->net.loop->now_ns;
    stream->start_real_ns = hbk_clock_realtime_ns();
    stream->active_ns = stream->start_ns;
    hbk_arena_init(&stream->arena);
    hbk_link_init(&stream->link);
    hbk_link_init(&stream->up_link);
    hbk_buffer_init(&stream->out, stream->handler->buffer_bytes_max + HBK_PIPE_OUT_EXTRA_BYTES);
    hbk_buffer_init(&stream->up_out, stream->handler->buffer_bytes_max + HBK_PIPE_OUT_EXTRA_BYTES);
    hbk_buffer_init(&stream->held, stream->handler->buffer_bytes_max + HBK_PIPE_OUT_EXTRA_BYTES);
    hbk_timer_init(&stream->timer, on_route_timeout);
    hbk_timer_init(&stream->idle, on_idle);
    hbk_timer_init(&stream->retry, on_retry);
    hbk_gw_duration_begin(stream);
    hbk_list_append(&connection->streams, &stream->link);
    connection->stream_count++;
    connection->request_count++;
    hbk_gw_count(&stats_of(stream)[HBK_GW_H_RQ_TOTAL], 1);
    hbk_gw_count(&stats_of(stream)[HBK_GW_H_RQ_ACTIVE], 1);
    hbk_gw_connection_changed(connection);
    return stream;
}

/* ---- the end ---- */

static void count_status(hbk_gw_counter *first, uint32_t status)
{
    if (status >= 100 && status < 600) {
        hbk_gw_count(&first[status / 100 - 1], 1);
    }
}

static void log_stream(const struct hbk_gw_stream *stream)
{
    struct hbk_gw_info info;
    if (stream->handler->logs.count > 0) {
        hbk_gw_stream_info(stream, &info);
        info.log_type = "DownstreamEnd";
        hbk_gw_log_write(stream->shard, &stream->handler->logs, &info);
    }
}

void hbk_gw_stream_end(struct hbk_gw_stream *stream)
{
    struct hbk_gw_shard *shard = stream->shard;
    if (stream->is_ended) {
        return;
    }
    stream->is_ended = true;
    hbk_gw_upstream_drop(stream);
    hbk_loop_timer_cancel(shard->net.loop, &stream->timer);
    hbk_loop_timer_cancel(shard->net.loop, &stream->idle);
    hbk_loop_timer_cancel(shard->net.loop, &stream->retry);
    hbk_gw_duration_end(stream);
    hbk_gw_counter *stats = stats_of(stream);
    hbk_gw_uncount(&stats[HBK_GW_H_RQ_ACTIVE]);
    hbk_gw_histogram_record(&shard->times[stream->handler->index][HBK_GW_TIME_RQ_MS],
                            (shard->net.loop->now_ns - stream->start_ns) / HBK_NS_PER_MS);
    if (stream->response_started) {
        count_status(&stats[HBK_GW_H_RQ_1XX], stream->response.status);
        hbk_gw_count(&stats[HBK_GW_H_RQ_COMPLETED], 1);
    }
    log_stream(stream);
    struct hbk_gw_connection *connection = stream->connection;
    stream->down->ended(stream);
    hbk_link_remove(&stream->link);
    hbk_list_append(&shard->dead, &stream->link);
    shard->dead_count++;
    hbk_loop_post(shard->net.loop, HBK_PHASE_END, &shard->bury);
    if (connection != NULL) {
        connection->stream_count--;
        stream->connection = NULL;
        hbk_gw_connection_changed(connection);
    }
}

void hbk_gw_stream_gone(struct hbk_gw_stream *stream, uint32_t flag, const char *details)
{
    if (stream->is_ended) {
        return;
    }
    stream->flags |= stream->response_ended ? 0 : flag;
    stream->details = stream->response_ended ? stream->details : details;
    hbk_gw_count(&stats_of(stream)[HBK_GW_H_RQ_RX_RESET], 1);
    hbk_gw_stream_end(stream);
}

/* Breaks the response off: too late for another status. */
static void break_off(struct hbk_gw_stream *stream)
{
    hbk_gw_count(&stats_of(stream)[HBK_GW_H_RQ_TX_RESET], 1);
    stream->down->reset(stream, HBK_H2_INTERNAL_ERROR);
    hbk_gw_stream_end(stream);
}

static void send_head(struct hbk_gw_stream *stream, bool is_last)
{
    stream->response_started = true;
    stream->response_ended = is_last;
    if (stream->response_ns == 0) {
        stream->response_ns = stream->shard->net.loop->now_ns;
    }
    stream->down->head(stream, &stream->response, is_last);
}

void hbk_gw_stream_reply(struct hbk_gw_stream *stream, uint32_t status, struct hbk_slice body,
                         uint32_t flag, const char *details)
{
    struct hbk_arena *arena = &stream->arena;
    if (stream->is_ended) {
        return;
    }
    stream->flags |= flag;
    stream->details = details;
    if (stream->response_started) {
        break_off(stream);
        return;
    }
    hbk_gw_upstream_drop(stream);
    stream->is_local = true;
    stream->response.status = status;
    bool has_body = body.size > 0 && status != 204 && status != 304;
    hbk_status added = HBK_OK;
    if (status != 204 && status != 304) {
        added = hbk_gw_head_set(&stream->response, arena, HBK_SLICE("content-length"),
                                hbk_gw_print(arena, "%zu", body.size));
    }
    if (added == HBK_OK && has_body) {
        added = hbk_gw_head_set(&stream->response, arena, HBK_SLICE("content-type"),
                                HBK_SLICE("text/plain"));
    }
    if (added == HBK_OK) {
        added = hbk_gw_forward_response(stream);
    }
    if (added != HBK_OK) {
        break_off(stream);
        return;
    }
    has_body = has_body && !stream->is_head_method;
    send_head(stream, !has_body);
    if (has_body && !stream->is_ended) {
        stream->response_ended = true;
        stream->sent_bytes += body.size;
        stream->down->data(stream, body, true);
    }
}

/* ---- time ---- */

static void count_late_host(const struct hbk_gw_stream *stream)
{
    if (stream->endpoint != NULL) {
        hbk_gw_count(&stream->endpoint->stats[HBK_GW_E_RQ_TIMEOUT], 1);
        hbk_gw_count(&stream->endpoint->stats[HBK_GW_E_RQ_ERROR], 1);
    }
}

static void on_route_timeout(struct hbk_timer *timer)
{
    struct hbk_gw_stream *stream = HBK_CONTAINER(timer, struct hbk_gw_stream, timer);
    if (!stream->request_ended) {
        hbk_gw_count(&stats_of(stream)[HBK_GW_H_RQ_TIMEOUT], 1);
        hbk_gw_stream_reply(stream, 408, HBK_SLICE("request timeout"), 0,
                            "request_overall_timeout");
        return;
    }
    if (stream->pool != NULL) {
        hbk_gw_count(&stream->pool->stats[HBK_GW_C_RQ_TIMEOUT], 1);
        count_late_host(stream);
    }
    hbk_gw_stream_reply(stream, 504, HBK_SLICE("upstream request timeout"), HBK_GW_FLAG_UT,
                        "response_timeout");
}

static void on_idle(struct hbk_timer *timer)
{
    struct hbk_gw_stream *stream = HBK_CONTAINER(timer, struct hbk_gw_stream, idle);
    struct hbk_loop *loop = stream->shard->net.loop;
    uint64_t quiet_ns = loop->now_ns - stream->active_ns;
    if (quiet_ns < stream->idle_ns) {
        hbk_loop_timer(loop, timer, stream->idle_ns - quiet_ns);
        return;
    }
    hbk_gw_count(&stats_of(stream)[HBK_GW_H_RQ_IDLE_TIMEOUT], 1);
    hbk_gw_stream_reply(stream, hbk_gw_late_status(stream), HBK_SLICE("stream timeout"),
                        HBK_GW_FLAG_SI, "stream_idle_timeout");
    if (!stream
             ->is_ended) { /* the client does not take our answer, either: once more, and no more */
        hbk_loop_timer(loop, timer, stream->idle_ns);
    }
}

static void touch(struct hbk_gw_stream *stream)
{
    stream->active_ns = stream->shard->net.loop->now_ns;
}

static void start_idle(struct hbk_gw_stream *stream, uint64_t idle_ns)
{
    stream->idle_ns = idle_ns;
    if (idle_ns == 0) {
        hbk_loop_timer_cancel(stream->shard->net.loop, &stream->idle);
    } else {
        hbk_loop_timer(stream->shard->net.loop, &stream->idle, idle_ns);
    }
}

/* The route's time counts from the request's end. */
static void end_request(struct hbk_gw_stream *stream)
{
    struct hbk_loop *loop = stream->shard->net.loop;
    stream->request_ended = true;
    stream->request_ns = loop->now_ns;
    hbk_loop_timer_cancel(loop, &stream->timer);
    if (stream->route != NULL && stream->route->route != NULL &&
        stream->route->route->timeout > 0 && !stream->response_started) {
        hbk_loop_timer(loop, &stream->timer, stream->route->route->timeout);
    }
}

/* ---- routes ---- */

static uint32_t redirect_status(int code)
{
    static const uint32_t statuses[] = {301, 302, 303, 307, 308};
    return statuses[(unsigned)code % HBK_COUNT(statuses)];
}

static void redirect(struct hbk_gw_stream *stream)
{
    struct hbk_slice location = hbk_slice_of(NULL, 0);
    hbk_gw_count(&stats_of(stream)[HBK_GW_H_RQ_REDIRECT], 1);
    if (hbk_gw_forward_location(stream, &location) != HBK_OK ||
        hbk_gw_head_add(&stream->response, &stream->arena, HBK_SLICE("location"), location) !=
            HBK_OK) {
        hbk_gw_stream_reply(stream, 500, HBK_SLICE(""), 0, "out_of_memory");
        return;
    }
    uint32_t status = stream->route == NULL || stream->route->redirect == NULL
                          ? 301
                          : redirect_status(stream->route->redirect->response_code);
    hbk_gw_stream_reply(stream, status, HBK_SLICE(""), 0, "direct_response");
}

static struct hbk_slice cluster_name(struct hbk_gw_stream *stream,
                                     const struct hbk_gw_route_action *action)
{
    switch ((enum hbk_gw_cluster_specifier)action->cluster_specifier) {
    case HBK_GW_CLUSTER_WEIGHTED:
        stream->weight =
            hbk_http_route_weighted(action->weighted_clusters, hbk_gw_random(stream->shard));
        return stream->weight->name;
    case HBK_GW_CLUSTER_HEADER: {
        struct hbk_slice name = hbk_slice_of(NULL, 0);
        for (uint32_t i = 0; i < stream->request.count && name.bytes == NULL; i++) {
            if (hbk_slice_equal_nocase(stream->request.fields[i].name, action->cluster_header)) {
                name = stream->request.fields[i].value;
            }
        }
        return name;
    }
    case HBK_GW_CLUSTER_NONE:
    case HBK_GW_CLUSTER_NAME:
        break;
    }
    return action->cluster;
}

static void lead_to_cluster(struct hbk_gw_stream *stream)
{
    static const uint32_t missing_status[] = {503, 404, 500};
    const struct hbk_gw_route_action *action = stream->route->route;
    struct hbk_gw_plan *plan = stream->shard->plan;
    struct hbk_gw_plan_cluster *cluster =
        hbk_gw_cluster_find(&plan->clusters, cluster_name(stream, action));
    if (cluster == NULL) {
        hbk_gw_count(&stats_of(stream)[HBK_GW_H_RQ_NO_CLUSTER], 1);
        hbk_gw_stream_reply(stream,
                            missing_status[(unsigned)action->cluster_not_found_response_code % 3],
                            HBK_SLICE(""), HBK_GW_FLAG_NC, "cluster_not_found");
        return;
    }
    stream->pool = &stream->shard->pools[cluster - plan->clusters.items];
    const struct hbk_gw_retry_policy *policy = hbk_gw_retry_policy_of(stream);
    stream->retries_left = policy == NULL ? 0 : policy->num_retries;
    stream->held_is_complete = true;
    hbk_gw_duration_routed(stream);
    if (action->has_idle_timeout != 0) {
        start_idle(stream, action->idle_timeout);
    }
    if (hbk_gw_forward_request(stream) != HBK_OK) {
        hbk_gw_stream_reply(stream, 500, HBK_SLICE(""), 0, "request_headers_too_large");
        return;
    }
    hbk_gw_upstream_ask(stream);
}

/* RFC 9110, 10.1.1: Envoy answers for the upstream, and so do we. */
static void continue_request(struct hbk_gw_stream *stream)
{
    if (stream->expects_continue && !stream->has_continued && !stream->request_ended &&
        !stream->response_started) {
        stream->has_continued = true;
        stream->down->interim(stream);
    }
}

static bool needs_tls(const struct hbk_gw_stream *stream)
{
    return stream->host->require_tls != HBK_GW_TLS_NOT_REQUIRED &&
           !hbk_slice_equal(hbk_gw_head_find(&stream->request, HBK_SLICE("x-forwarded-proto")),
                            HBK_SLICE("https"));
}

static void find_route(struct hbk_gw_stream *stream)
{
    struct hbk_http_route_request request = {
        .method = stream->request.method,
        .scheme = stream->request.scheme,
        .authority = stream->request.authority,
        .path = stream->request.path,
        .fields = stream->request.fields,
        .field_count = stream->request.count,
        .random = hbk_gw_random(stream->shard),
    };
    stream->host = hbk_http_route_host(stream->handler->routes, request.authority);
    if (stream->host != NULL && needs_tls(stream)) {
        redirect(stream);
        return;
    }
    stream->route = stream->host == NULL ? NULL : hbk_http_route_find(stream->host, &request);
    if (stream->route == NULL) {
        hbk_gw_count(&stats_of(stream)[HBK_GW_H_RQ_NO_ROUTE], 1);
        hbk_gw_stream_reply(stream, 404, HBK_SLICE(""), HBK_GW_FLAG_NR, "route_not_found");
        return;
    }
    const struct hbk_gw_direct_response *direct = stream->route->direct_response;
    switch ((enum hbk_gw_action_kind)stream->route->action) {
    case HBK_GW_ACTION_DIRECT_RESPONSE:
        hbk_gw_count(&stats_of(stream)[HBK_GW_H_RQ_DIRECT_RESPONSE], 1);
        hbk_gw_stream_reply(stream, direct->status, direct->content, 0, "direct_response");
        return;
    case HBK_GW_ACTION_REDIRECT:
        redirect(stream);
        return;
    case HBK_GW_ACTION_NONE:
    case HBK_GW_ACTION_ROUTE:
        break;
    }
    lead_to_cluster(stream);
}

/* A path that is no path here, or one that its client should write in another way. */
static void answer_path(struct hbk_gw_stream *stream)
{
    static const char details[] = "path_normalization_failed";
    if (stream->path_verdict == HBK_GW_PATH_IS_REFUSED) {
        hbk_gw_stream_reply(stream, 400, HBK_SLICE(""), 0, details);
        return;
    }
    hbk_gw_count(&stats_of(stream)[HBK_GW_H_RQ_PATH_REDIRECT], 1);
    hbk_status status = hbk_gw_head_add(&stream->response, &stream->arena, HBK_SLICE("location"),
                                        stream->request.path);
    hbk_gw_stream_reply(stream, status == HBK_OK ? 307 : 500, HBK_SLICE(""), 0, details);
}

void hbk_gw_stream_request(struct hbk_gw_stream *stream, bool is_last)
{
    const struct hbk_gw_http_connection_manager *http = stream->handler->http;
    stream->is_head_method = hbk_slice_equal(stream->request.method, HBK_SLICE("HEAD"));
    start_idle(stream, http->stream_idle_timeout);
    if (is_last) {
        end_request(stream);
    } else if (http->request_timeout > 0) {
        hbk_loop_timer(stream->shard->net.loop, &stream->timer, http->request_timeout);
    }
    hbk_status arrived = hbk_gw_forward_arrived(stream);
    if (arrived == HBK_INVALID) {
        hbk_gw_stream_reply(stream, 400, HBK_SLICE("Bad Request"), HBK_GW_FLAG_DPE,
                            "http1.connection_header_rejected");
        return;
    }
    if (arrived != HBK_OK) {
        hbk_gw_stream_reply(stream, 431, HBK_SLICE(""), 0, "request_headers_too_large");
        return;
    }
    if (stream->request.path.size == 0 || stream->request.path.bytes[0] != '/') {
        hbk_gw_count(&stats_of(stream)[HBK_GW_H_RQ_NON_RELATIVE_PATH], 1);
        hbk_gw_stream_reply(stream, 404, HBK_SLICE(""), 0, "absolute_path_rejected");
        return;
    }
    if (stream->path_verdict != HBK_GW_PATH_GOES_ON) {
        answer_path(stream);
        return;
    }
    find_route(stream);
    if (!stream->is_ended) {
        /* The time of a route is known only now. */
        if (stream->request_ended) {
            end_request(stream);
        }
        continue_request(stream);
    }
}

/* ---- the request's body ---- */

/* Passes on what is held behind what the upstream has. */
static void send_held(struct hbk_gw_stream *stream)
{
    struct hbk_slice left =
        hbk_slice_part(hbk_buffer_slice(&stream->held), stream->held_sent, SIZE_MAX);
    bool is_last = stream->request_ended && !stream->up_has_trailers;
    if (stream->upstream == NULL || stream->up_request_ended || (left.size == 0 && !is_last)) {
        return;
    }
    stream->held_sent += left.size;
    stream->up_request_ended = is_last;
    stream->up->data(stream, left, is_last);
}

/* Bytes that no attempt will need again are let go. */
static void trim_held(struct hbk_gw_stream *stream)
{
    bool may_retry = stream->retries_left > 0 && !stream->response_started &&
                     hbk_buffer_size(&stream->held) <= HBK_GW_HELD_BYTES_MAX;
    if (stream->upstream == NULL || (may_retry && stream->held_is_complete)) {
        return;
    }
    stream->held_is_complete = stream->held_is_complete && stream->held_sent == 0;
    hbk_buffer_consume(&stream->held, stream->held_sent);
    stream->held_sent = 0;
}

void hbk_gw_stream_request_data(struct hbk_gw_stream *stream, struct hbk_slice data, bool is_last)
{
    touch(stream);
    stream->received_bytes += data.size;
    if (is_last) {
        end_request(stream);
    }
    if (stream->is_local || stream->pool == NULL || stream->response_ended) {
        stream->down->consumed(stream, data.size); /* nobody wants it */
        return;
    }
    if (hbk_buffer_append(&stream->held, data) != HBK_OK) {
        hbk_gw_stream_reply(stream, 413, HBK_SLICE("Payload Too Large"), 0,
                            "request_payload_too_large");
        return;
    }
    send_held(stream);
    if (!stream->is_ended) {
        trim_held(stream);
    }
}

static hbk_status copy_fields(struct hbk_gw_stream *stream, struct hbk_gw_head *head,
                              const struct hbk_h2_fields *fields)
{
    for (uint32_t i = 0; i < fields->count; i++) {
        HBK_TRY(hbk_gw_head_add(head, &stream->arena,
                                hbk_gw_copy(&stream->arena, fields->list[i].name),
                                hbk_gw_copy(&stream->arena, fields->list[i].value)));
    }
    return HBK_OK;
}

void hbk_gw_stream_request_trailers(struct hbk_gw_stream *stream,
                                    const struct hbk_h2_fields *fields)
{
    struct hbk_gw_head trailers = {0};
    touch(stream);
    if (stream->is_local || stream->pool == NULL || stream->upstream == NULL ||
        copy_fields(stream, &trailers, fields) != HBK_OK) {
        /* Without an upstream to take them the body ends, and trailers are left out. */
        hbk_gw_stream_request_data(stream, HBK_SLICE(""), true);
        return;
    }
    hbk_gw_head_remove(&trailers, HBK_SLICE("x-forwarded-client-cert")); /* nobody's to say here */
    stream->up_has_trailers = true;
    end_request(stream);
    send_held(stream);
    stream->up_request_ended = true;
    stream->held_is_complete = false; /* no attempt could repeat them */
    stream->up->trailers(stream, &trailers);
}

void hbk_gw_stream_request_sent(struct hbk_gw_stream *stream, size_t size)
{
    touch(stream);
    stream->passed_bytes += size;
    if (stream->connection != NULL && stream->passed_bytes > stream->given_back_bytes) {
        size = (size_t)(stream->passed_bytes - stream->given_back_bytes);
        stream->given_back_bytes = stream->passed_bytes;
        stream->down->consumed(stream, size);
    }
}

void hbk_gw_stream_bound(struct hbk_gw_stream *stream)
{
    touch(stream);
    send_held(stream);
    if (!stream->is_ended) {
        trim_held(stream);
    }
}

/* ---- attempts ---- */

static bool can_retry(struct hbk_gw_stream *stream)
{
    struct hbk_gw_plan_cluster *cluster = stream->pool->cluster;
    if (stream->response_started) {
        return false;
    }
    if (stream->retries_left == 0) { /* then nothing of the body was kept, either */
        hbk_gw_count(&stream->pool->stats[HBK_GW_C_RQ_RETRY_LIMIT_EXCEEDED], 1);
        stream->flags |= HBK_GW_FLAG_URX;
        return false;
    }
    if (!stream->held_is_complete) {
        return false;
    }
    if (atomic_load_explicit(&cluster->limits.retries, memory_order_relaxed) >=
        cluster->thresholds.max_retries) {
        hbk_gw_count(&stream->pool->stats[HBK_GW_C_RQ_RETRY_OVERFLOW], 1);
        return false;
    }
    return true;
}

/* Lets go of the attempt and makes another after a pause of random length. */
static void retry(struct hbk_gw_stream *stream)
{
    const struct hbk_gw_retry_policy *policy = hbk_gw_retry_policy_of(stream);
    const struct hbk_gw_retry_back_off *pause = policy->retry_back_off;
    uint64_t base_ns = pause == NULL ? RETRY_BASE_NS : pause->base_interval;
    base_ns = base_ns < RETRY_LONGEST_NS ? base_ns : RETRY_LONGEST_NS;
    uint64_t max_ns = pause == NULL || pause->max_interval == 0 ? base_ns * RETRY_MAX_FACTOR
                                                                : pause->max_interval;
    uint32_t done = policy->num_retries - stream->retries_left;
    uint64_t span_ns = base_ns << (done < 16 ? done : 16);
    span_ns = span_ns < max_ns ? span_ns : max_ns;
    stream->retries_left--;
    hbk_gw_upstream_drop(stream);
    stream->response = (struct hbk_gw_head){0};
    stream->held_sent = 0;
    stream->passed_bytes = 0;
    stream->up_request_ended = false;
    stream->is_retry = true;
    stream->flags = 0;
    stream->is_retry_counted = true;
    atomic_fetch_add_explicit(&stream->pool->cluster->limits.retries, 1, memory_order_relaxed);
    hbk_gw_count(&stream->pool->stats[HBK_GW_C_RQ_RETRY], 1);
    hbk_loop_timer(stream->shard->net.loop, &stream->retry, hbk_gw_random(stream->shard) % span_ns);
}

static void on_retry(struct hbk_timer *timer)
{
    struct hbk_gw_stream *stream = HBK_CONTAINER(timer, struct hbk_gw_stream, retry);
    if (stream->upstream == NULL && !stream->is_waiting) {
        hbk_gw_upstream_ask(stream);
        return;
    }
    /* The time of one attempt is over. */
    hbk_gw_count(&stream->pool->stats[HBK_GW_C_RQ_PER_TRY_TIMEOUT], 1);
    count_late_host(stream);
    if ((hbk_gw_retry_policy_of(stream)->on & (HBK_GW_RETRY_5XX | HBK_GW_RETRY_GATEWAY_ERROR)) !=
            0 &&
        can_retry(stream)) {
        retry(stream);
        return;
    }
    hbk_gw_stream_reply(stream, 504, HBK_SLICE("upstream request timeout"), HBK_GW_FLAG_UT,
                        "upstream_per_try_timeout");
}

static const struct {
    const char *reason;
    uint32_t flag;
    const char *details;
} failures[] = {
    [HBK_GW_FAILED_CONNECT] = {"remote connection failure", HBK_GW_FLAG_UF,
                               "upstream_reset_before_response_started{remote_connection_failure}"},
    [HBK_GW_FAILED_TIMEOUT] = {"connection timeout", HBK_GW_FLAG_UF,
                               "upstream_reset_before_response_started{connection_timeout}"},
    [HBK_GW_FAILED_OVERFLOW] = {"overflow", HBK_GW_FLAG_UO,
                                "upstream_reset_before_response_started{overflow}"},
    [HBK_GW_FAILED_REFUSED] =
        {"remote refused stream reset", HBK_GW_FLAG_UR,
         "upstream_reset_before_response_started{remote_refused_stream_reset}"},
    [HBK_GW_FAILED_RESET] = {"remote reset", HBK_GW_FLAG_UR,
                             "upstream_reset_before_response_started{remote_reset}"},
    [HBK_GW_FAILED_CLOSED] = {"connection termination", HBK_GW_FLAG_UC,
                              "upstream_reset_before_response_started{connection_termination}"},
    [HBK_GW_FAILED_PROTOCOL] = {"protocol error", HBK_GW_FLAG_UPE,
                                "upstream_reset_before_response_started{protocol_error}"},
    [HBK_GW_FAILED_DURATION] = {"", HBK_GW_FLAG_UMSDR, "upstream_max_stream_duration_reached"},
};

/* "...{reason}" becomes "...{reason|transport's_reason}", without blanks, as Envoy's logs have it.
 */
static const char *details_with(struct hbk_gw_stream *stream, const char *details, const char *text)
{
    struct hbk_slice joined =
        hbk_gw_print(&stream->arena, "%.*s|%s}", (int)strlen(details) - 1, details, text);
    char *copy = joined.bytes == NULL ? NULL : hbk_arena_string(&stream->arena, joined);
    for (char *byte = copy; byte != NULL && *byte != '\0'; byte++) {
        *byte = *byte == ' ' ? '_' : *byte;
    }
    return copy == NULL ? details : copy;
}

void hbk_gw_stream_failed(struct hbk_gw_stream *stream, enum hbk_gw_upstream_failure failure,
                          const char *text)
{
    if (stream->is_ended || stream->is_local) {
        return;
    }
    if (text != NULL) { /* it may lie in a connection that goes before the exchange is logged */
        struct hbk_slice copy = hbk_gw_print(&stream->arena, "%s", text);
        text = (const char *)copy.bytes;
    }
    stream->upstream_failure = text;
    if (stream->endpoint != NULL && !stream->response_started &&
        failure != HBK_GW_FAILED_OVERFLOW && failure != HBK_GW_FAILED_DURATION) {
        hbk_gw_count(&stream->endpoint->stats[HBK_GW_E_RQ_ERROR], 1);
    }
    if (hbk_gw_is_retriable_failure(stream, failure) && can_retry(stream)) {
        retry(stream);
        return;
    }
    if (failure == HBK_GW_FAILED_DURATION) {
        hbk_gw_stream_reply(stream, hbk_gw_late_status(stream),
                            HBK_SLICE("upstream max stream duration reached"),
                            failures[failure].flag, failures[failure].details);
        return;
    }
    bool is_overflow = failure == HBK_GW_FAILED_OVERFLOW;
    const char *details = failures[failure].details;
    if (text != NULL) {
        details = details_with(stream, details, text);
    }
    struct hbk_slice body = hbk_gw_print(
        &stream->arena,
        "upstream connect error or disconnect/reset before headers. %sreset reason: %s",
        stream->is_retry ? "retried and the latest " : "", failures[failure].reason);
    if (is_overflow && !stream->response_started) {
        (void)!hbk_gw_head_set(&stream->response, &stream->arena, HBK_SLICE("x-envoy-overloaded"),
                               HBK_SLICE("true"));
    }
    hbk_gw_stream_reply(stream, failure == HBK_GW_FAILED_PROTOCOL ? 502 : 503, body,
                        failures[failure].flag, details);
}

/* ---- the response ---- */

void hbk_gw_stream_response(struct hbk_gw_stream *stream, bool is_last)
{
    struct hbk_gw_pool *pool = stream->pool;
    touch(stream);
    stream->upstream_failure = NULL;
    count_status(&pool->stats[HBK_GW_C_RQ_1XX], stream->response.status);
    hbk_gw_count(&pool->stats[HBK_GW_C_RQ_COMPLETED], 1);
    if (stream->endpoint != NULL) {
        bool is_error = stream->response.status / 100 == 5;
        hbk_gw_count(&stream->endpoint->stats[is_error ? HBK_GW_E_RQ_ERROR : HBK_GW_E_RQ_SUCCESS],
                     1);
    }
    if (hbk_gw_is_retriable_status(stream, stream->response.status) && can_retry(stream)) {
        retry(stream);
        return;
    }
    if (stream->is_retry && stream->response.status / 100 != 5) {
        hbk_gw_count(&pool->stats[HBK_GW_C_RQ_RETRY_SUCCESS], 1);
    }
    hbk_loop_timer_cancel(stream->shard->net.loop, &stream->retry);
    stream->details = "via_upstream";
    if (stream->response.status == 204) { /* where it is 0, if it is there at all */
        hbk_gw_head_remove(&stream->response, HBK_SLICE("content-length"));
    }
    if (!hbk_gw_head_strip(&stream->response)) {
        hbk_gw_stream_failed(stream, HBK_GW_FAILED_PROTOCOL, "Connection names too many fields");
        return;
    }
    if (hbk_gw_forward_response(stream) != HBK_OK) {
        hbk_gw_stream_failed(stream, HBK_GW_FAILED_PROTOCOL, "the response's head is too large");
        return;
    }
    send_head(stream, is_last);
    if (!stream->is_ended) {
        trim_held(stream);
    }
}

void hbk_gw_stream_response_data(struct hbk_gw_stream *stream, struct hbk_slice data, bool is_last)
{
    touch(stream);
    stream->sent_bytes += data.size;
    stream->response_ended = is_last;
    stream->down->data(stream, data, is_last);
}

void hbk_gw_stream_response_trailers(struct hbk_gw_stream *stream,
                                     const struct hbk_h2_fields *fields)
{
    touch(stream);
    stream->response_ended = true;
    if (copy_fields(stream, &stream->trailers, fields) != HBK_OK) {
        break_off(stream);
        return;
    }
    stream->down->trailers(stream, &stream->trailers);
}

void hbk_gw_stream_sent(struct hbk_gw_stream *stream, size_t size, bool is_all)
{
    touch(stream);
    if (size > 0 && stream->upstream != NULL) {
        stream->up->consumed(stream, size);
    }
    if (is_all && stream->response_ended) {
        hbk_gw_stream_end(stream);
    }
}
