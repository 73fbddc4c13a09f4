/* HTTP/2 towards upstreams: many exchanges on one connection. */
#include "exchange/upstream.h"
#include "net/pipe_http2.h"

static struct hbk_gw_stream *stream_of(struct hbk_h2_stream *h2)
{
    return HBK_CONTAINER(h2, struct hbk_gw_stream, up_h2);
}

bool hbk_gw_http2_client_has_room(const struct hbk_gw_upstream *upstream)
{
    return hbk_h2_can_open(&upstream->session);
}

/* ---- requests ---- */

static void pump_stream(struct hbk_gw_stream *stream)
{
    struct hbk_gw_upstream *upstream = stream->upstream;
    const struct hbk_gw_cluster *config = upstream->host->pool->cluster->config;
    size_t moved = hbk_pipe_http2_pump(&upstream->session, &stream->up_h2, &stream->up_out,
                                       &stream->up_out_is_last, &upstream->pipe,
                                       config->per_connection_buffer_limit_bytes);
    if (moved > 0) {
        hbk_gw_stream_request_sent(stream, moved);
    }
}

void hbk_gw_http2_client_send(struct hbk_gw_upstream *upstream, struct hbk_gw_stream *stream)
{
    const struct hbk_gw_head *head = &stream->sent;
    bool is_last = stream->request_ended && hbk_buffer_is_empty(&stream->held);
    struct hbk_h2_request request = {
        .method = head->method,
        .scheme = head->scheme,
        .authority = head->authority,
        .path = head->path,
    };
    stream->up_h2 = (struct hbk_h2_stream){0};
    hbk_status status = hbk_h2_open(&upstream->session, &stream->up_h2, &request, head->fields,
                                    head->count, is_last);
    if (status != HBK_OK) {
        hbk_gw_upstream_unbind(stream);
        hbk_gw_stream_failed(stream, HBK_GW_FAILED_REFUSED, "the request could not be sent");
        return;
    }
    stream->up_request_ended = is_last;
    hbk_gw_stream_bound(stream);
}

static void send_data(struct hbk_gw_stream *stream, struct hbk_slice data, bool is_last)
{
    if (hbk_buffer_append(&stream->up_out, data) != HBK_OK) {
        hbk_gw_stream_failed(stream, HBK_GW_FAILED_RESET, "the upstream does not read");
        return;
    }
    stream->up_out_is_last = is_last;
    pump_stream(stream);
}

static void send_trailers(struct hbk_gw_stream *stream, const struct hbk_gw_head *trailers)
{
    struct hbk_gw_upstream *upstream = stream->upstream;
    if (!hbk_buffer_is_empty(&stream->up_out)) {
        /* The body still waits for a window; trailers are left out rather than kept. */
        stream->up_out_is_last = true;
        pump_stream(stream);
        return;
    }
    (void)!hbk_h2_trail(&upstream->session, &stream->up_h2, trailers->fields, trailers->count);
}

static void on_consumed(struct hbk_gw_stream *stream, size_t size)
{
    hbk_h2_consumed(&stream->upstream->session, &stream->up_h2, size);
}

static void leave(struct hbk_gw_stream *stream)
{
    struct hbk_gw_upstream *upstream = stream->upstream;
    hbk_gw_upstream_unbind(stream);
    if (hbk_h2_is_draining(&upstream->session)) {
        upstream->is_leaving = true;
    }
    hbk_gw_upstream_released(upstream);
}

static void cancel(struct hbk_gw_stream *stream)
{
    struct hbk_gw_upstream *upstream = stream->upstream;
    if (!hbk_h2_is_closed(&stream->up_h2)) {
        hbk_gw_count(&upstream->host->pool->stats[HBK_GW_C_RQ_TX_RESET], 1);
        hbk_h2_reset(&upstream->session, &stream->up_h2, HBK_H2_CANCEL);
    }
    leave(stream);
}

const struct hbk_gw_upstream_ops hbk_gw_http2_client_ops = {
    .data = send_data,
    .trailers = send_trailers,
    .consumed = on_consumed,
    .cancel = cancel,
};

static void pump_all(struct hbk_gw_upstream *upstream)
{
    HBK_LIST_EACH (link, &upstream->streams) {
        struct hbk_gw_stream *stream = HBK_CONTAINER(link, struct hbk_gw_stream, up_link);
        if (!hbk_buffer_is_empty(&stream->up_out) || stream->up_out_is_last) {
            pump_stream(stream);
        }
    }
}

static void on_pump(struct hbk_task *task)
{
    struct hbk_gw_upstream *upstream = HBK_CONTAINER(task, struct hbk_gw_upstream, pump);
    if (!upstream->pipe.is_closed) {
        pump_all(upstream);
    }
}

/* ---- responses ---- */

static hbk_status fill_response(struct hbk_gw_stream *stream, const struct hbk_h2_event *event)
{
    struct hbk_arena *arena = &stream->arena;
    stream->response = (struct hbk_gw_head){.status = event->code};
    for (uint32_t i = 0; i < event->fields->count; i++) {
        HBK_TRY(hbk_gw_head_add(&stream->response, arena,
                                hbk_gw_copy(arena, event->fields->list[i].name),
                                hbk_gw_copy(arena, event->fields->list[i].value)));
    }
    return HBK_OK;
}

/* A stream that both sides have ended is let go before the client hears of the end. */
static void leave_if_closed(struct hbk_gw_stream *stream)
{
    if (hbk_h2_is_closed(&stream->up_h2)) {
        leave(stream);
    }
}

static void break_promise(struct hbk_gw_stream *stream)
{
    hbk_gw_count(&stream->pool->stats[HBK_GW_C_CX_PROTOCOL_ERROR], 1);
    hbk_h2_reset(&stream->upstream->session, &stream->up_h2, HBK_H2_PROTOCOL_ERROR);
    leave(stream);
    hbk_gw_stream_failed(stream, HBK_GW_FAILED_PROTOCOL, "the body is not as long as it should be");
}

/* False: the body is not as long as the response says; the exchange has failed. */
static bool keeps_promise(struct hbk_gw_stream *stream, size_t size, bool is_last)
{
    bool is_kept = hbk_gw_promise_keep(&stream->response_promise, size, is_last);
    if (!is_kept) {
        break_promise(stream);
    }
    return is_kept;
}

/* Some responses have no body, whatever they say about its length (RFC 9110, 6.4.1). */
static bool read_promise(struct hbk_gw_stream *stream)
{
    struct hbk_gw_promise *promise = &stream->response_promise;
    uint32_t status = stream->response.status;
    bool is_valid = hbk_gw_promise_read(promise, &stream->response) &&
                    (status != 204 || promise->left_bytes == 0);
    if (stream->is_head_method || status == 204 || status == 304) {
        *promise = (struct hbk_gw_promise){.is_made = true};
    }
    return is_valid;
}

static void take_response(struct hbk_gw_stream *stream, const struct hbk_h2_event *event)
{
    if (fill_response(stream, event) != HBK_OK) {
        hbk_gw_stream_failed(stream, HBK_GW_FAILED_PROTOCOL, "the response's head is too large");
        return;
    }
    if (!read_promise(stream)) {
        break_promise(stream);
        return;
    }
    if (!keeps_promise(stream, 0, event->is_last)) {
        return;
    }
    if (event->is_last) {
        leave_if_closed(stream);
    }
    hbk_gw_stream_response(stream, event->is_last);
}

static void take_data(struct hbk_gw_stream *stream, const struct hbk_h2_event *event)
{
    if (!keeps_promise(stream, event->data.size, event->is_last)) {
        return;
    }
    if (event->is_last) {
        leave_if_closed(stream);
    }
    hbk_gw_stream_response_data(stream, event->data, event->is_last);
}

static void take_reset(struct hbk_gw_stream *stream, const struct hbk_h2_event *event)
{
    hbk_gw_counter *stats = stream->pool->stats;
    hbk_gw_count(&stats[event->is_ours ? HBK_GW_C_CX_PROTOCOL_ERROR : HBK_GW_C_RQ_RX_RESET], 1);
    enum hbk_gw_upstream_failure failure = event->is_ours ? HBK_GW_FAILED_PROTOCOL
                                           : event->code == HBK_H2_REFUSED_STREAM
                                               ? HBK_GW_FAILED_REFUSED
                                               : HBK_GW_FAILED_RESET;
    leave(stream);
    if (!stream->response_ended) {
        hbk_gw_stream_failed(stream, failure, NULL);
    }
}

/* Streams that the peer has not looked at may go elsewhere. */
static void take_goaway(struct hbk_gw_upstream *upstream, uint32_t last_stream_id)
{
    upstream->is_leaving = true;
    HBK_LIST_EACH (link, &upstream->streams) {
        struct hbk_gw_stream *stream = HBK_CONTAINER(link, struct hbk_gw_stream, up_link);
        if (stream->up_h2.id > last_stream_id) {
            hbk_h2_reset(&upstream->session, &stream->up_h2, HBK_H2_REFUSED_STREAM);
            hbk_gw_upstream_unbind(stream);
            hbk_gw_stream_failed(stream, HBK_GW_FAILED_REFUSED, NULL);
        }
    }
    hbk_gw_upstream_released(upstream);
}

static void take_event(struct hbk_gw_upstream *upstream, const struct hbk_h2_event *event)
{
    switch (event->kind) {
    case HBK_H2_RESPONSE:
        take_response(stream_of(event->stream), event);
        break;
    case HBK_H2_DATA:
        take_data(stream_of(event->stream), event);
        break;
    case HBK_H2_TRAILERS: {
        struct hbk_gw_stream *stream = stream_of(event->stream);
        if (!keeps_promise(stream, 0, true)) {
            break;
        }
        leave_if_closed(stream);
        hbk_gw_stream_response_trailers(stream, event->fields);
        break;
    }
    case HBK_H2_RESET:
        take_reset(stream_of(event->stream), event);
        break;
    case HBK_H2_GOAWAY:
        take_goaway(upstream, event->last_stream_id);
        break;
    case HBK_H2_CREDIT:
    case HBK_H2_SETTINGS:
        hbk_loop_post(upstream->shard->net.loop, HBK_PHASE_READ, &upstream->pump);
        if (event->kind == HBK_H2_SETTINGS) {
            hbk_gw_upstream_released(upstream);
        }
        break;
    case HBK_H2_REQUEST:
    case HBK_H2_PING_ACK:
        break;
    }
}

void hbk_gw_http2_client_read(struct hbk_gw_upstream *upstream, struct hbk_slice bytes)
{
    hbk_h2_set_time(&upstream->session, upstream->shard->net.loop->now_ns);
    while (!upstream->pipe.is_closed) {
        struct hbk_h2_event event = {0};
        enum hbk_h2_answer answer = hbk_h2_read(&upstream->session, &bytes, &event);
        if (answer == HBK_H2_NEED_MORE) {
            return;
        }
        if (answer == HBK_H2_FAILED) {
            hbk_gw_count(&upstream->host->pool->stats[HBK_GW_C_CX_PROTOCOL_ERROR], 1);
            hbk_gw_upstream_fail(upstream, HBK_GW_FAILED_PROTOCOL, upstream->session.failure_text);
            return;
        }
        take_event(upstream, &event);
    }
}

void hbk_gw_http2_client_flushed(struct hbk_gw_upstream *upstream)
{
    pump_all(upstream);
}

hbk_status hbk_gw_http2_client_start(struct hbk_gw_upstream *upstream)
{
    struct hbk_h2_config config = HBK_H2_CONFIG_DEFAULT;
    struct hbk_h2_sink sink = hbk_pipe_http2_sink(&upstream->pipe);
    config.stream_window_bytes_max =
        hbk_pipe_http2_window_max(upstream->shard->plan->buffer_bytes_min, UINT32_MAX);
    hbk_task_init(&upstream->pump, on_pump);
    HBK_TRY(hbk_h2_init(&upstream->session, HBK_H2_CLIENT, &config, &sink));
    upstream->has_session = true;
    return HBK_OK;
}
