/*
 * The life of an exchange:
 *
 *     request -> route -+-> direct response, redirect, refusal ------------------> ended
 *                       +-> ask for an upstream -> bound -> body -> response -+--> ended
 *                                  ^                                          |
 *                                  +---- pause <---- failed, bad status <-----+
 *
 * stream_route.c leads it, stream_body.c holds the request's body, stream_attempt.c says whether a
 * failure is the end, by retry_rule.c, and stream_time.c when waiting is. Here it begins, answers
 * and ends.
 */
#include "exchange/stream.h"

#include "base/clock.h"
#include "exchange/downstream.h"
#include "exchange/stream_parts.h"
#include "exchange/upstream.h"

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
    hbk_timer_init(&stream->timer, hbk_gw_stream_on_route_timeout);
    hbk_timer_init(&stream->idle, hbk_gw_stream_on_idle);
    hbk_timer_init(&stream->retry, hbk_gw_stream_on_retry);
    hbk_gw_duration_begin(stream);
    hbk_list_append(&connection->streams, &stream->link);
    connection->stream_count++;
    connection->request_count++;
    hbk_gw_count(&hbk_gw_stream_stats(stream)[HBK_GW_H_RQ_TOTAL], 1);
    hbk_gw_count(&hbk_gw_stream_stats(stream)[HBK_GW_H_RQ_ACTIVE], 1);
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
    hbk_gw_counter *stats = hbk_gw_stream_stats(stream);
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
    hbk_gw_count(&hbk_gw_stream_stats(stream)[HBK_GW_H_RQ_RX_RESET], 1);
    hbk_gw_stream_end(stream);
}

/* Breaks the response off: too late for another status. */
void hbk_gw_stream_break_off(struct hbk_gw_stream *stream)
{
    hbk_gw_count(&hbk_gw_stream_stats(stream)[HBK_GW_H_RQ_TX_RESET], 1);
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
        hbk_gw_stream_break_off(stream);
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
        hbk_gw_stream_break_off(stream);
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

/* ---- the response ---- */

void hbk_gw_stream_response(struct hbk_gw_stream *stream, bool is_last)
{
    struct hbk_gw_pool *pool = stream->pool;
    hbk_gw_stream_touch(stream);
    stream->upstream_failure = NULL;
    count_status(&pool->stats[HBK_GW_C_RQ_1XX], stream->response.status);
    hbk_gw_count(&pool->stats[HBK_GW_C_RQ_COMPLETED], 1);
    if (stream->endpoint != NULL) {
        bool is_error = stream->response.status / 100 == 5;
        hbk_gw_count(&stream->endpoint->stats[is_error ? HBK_GW_E_RQ_ERROR : HBK_GW_E_RQ_SUCCESS],
                     1);
    }
    if (hbk_gw_stream_retries_status(stream)) {
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
        hbk_gw_stream_trim_held(stream);
    }
}

void hbk_gw_stream_response_data(struct hbk_gw_stream *stream, struct hbk_slice data, bool is_last)
{
    hbk_gw_stream_touch(stream);
    stream->sent_bytes += data.size;
    stream->response_ended = is_last;
    stream->down->data(stream, data, is_last);
}

void hbk_gw_stream_response_trailers(struct hbk_gw_stream *stream,
                                     const struct hbk_h2_fields *fields)
{
    hbk_gw_stream_touch(stream);
    stream->response_ended = true;
    if (hbk_gw_stream_copy_fields(stream, &stream->trailers, fields) != HBK_OK) {
        hbk_gw_stream_break_off(stream);
        return;
    }
    stream->down->trailers(stream, &stream->trailers);
}

void hbk_gw_stream_sent(struct hbk_gw_stream *stream, size_t size, bool is_all)
{
    hbk_gw_stream_touch(stream);
    if (size > 0 && stream->upstream != NULL) {
        stream->up->consumed(stream, size);
    }
    if (is_all && stream->response_ended) {
        hbk_gw_stream_end(stream);
    }
}
