/*
 * HTTP/2 towards clients. A response's bytes wait in its stream for the client's windows; whenever
 * a window opens or the pipe has room again, a pump goes round the streams that wait.
 */
#include "exchange/downstream.h"
#include "net/pipe_http2.h"

static struct hbk_gw_stream *stream_of(struct hbk_h2_stream *h2)
{
    return HBK_CONTAINER(h2, struct hbk_gw_stream, h2);
}

static struct hbk_h2_session *session_of(const struct hbk_gw_stream *stream)
{
    return &stream->connection->http2.session;
}

/* ---- responses ---- */

/* Moves what waits; a response that is complete ends its exchange. */
static void pump_stream(struct hbk_gw_stream *stream)
{
    struct hbk_gw_connection *connection = stream->connection;
    bool had_end = stream->out_is_last;
    size_t moved =
        hbk_pipe_http2_pump(session_of(stream), &stream->h2, &stream->out, &stream->out_is_last,
                            &connection->pipe, connection->handler->buffer_bytes_max);
    bool is_all = had_end && !stream->out_is_last;
    if (moved > 0 || is_all) {
        hbk_gw_stream_sent(stream, moved, is_all);
    }
}

static void send_head(struct hbk_gw_stream *stream, const struct hbk_gw_head *head, bool is_last)
{
    hbk_status status = hbk_h2_respond(session_of(stream), &stream->h2, head->status, head->fields,
                                       head->count, is_last);
    if (status != HBK_OK) {
        hbk_h2_reset(session_of(stream), &stream->h2, HBK_H2_INTERNAL_ERROR);
        stream->flags |= HBK_GW_FLAG_LR;
        hbk_gw_stream_end(stream);
        return;
    }
    if (is_last) {
        hbk_gw_stream_sent(stream, 0, true);
    }
}

static void send_interim(struct hbk_gw_stream *stream)
{
    (void)stream; /* HTTP/2 clients do not wait for it: windows do that */
}

static void send_data(struct hbk_gw_stream *stream, struct hbk_slice data, bool is_last)
{
    if (stream->connection == NULL) {
        return;
    }
    if (hbk_buffer_append(&stream->out, stream->is_head_method ? HBK_SLICE("") : data) != HBK_OK) {
        hbk_h2_reset(session_of(stream), &stream->h2, HBK_H2_INTERNAL_ERROR);
        hbk_gw_stream_end(stream);
        return;
    }
    stream->out_is_last = is_last;
    pump_stream(stream);
}

static void send_trailers(struct hbk_gw_stream *stream, const struct hbk_gw_head *trailers)
{
    if (stream->connection == NULL) {
        return;
    }
    /* They follow the body, which may still wait for a window: then they wait with it. Of empty
     * ones only the end is left. */
    if (!hbk_buffer_is_empty(&stream->out)) {
        stream->trailers = *trailers;
        stream->out_is_last = trailers->count == 0;
        return;
    }
    (void)!hbk_h2_trail(session_of(stream), &stream->h2, trailers->fields, trailers->count);
    hbk_gw_stream_sent(stream, 0, true);
}

static void break_off(struct hbk_gw_stream *stream, uint32_t code)
{
    if (stream->connection != NULL) {
        hbk_h2_reset(session_of(stream), &stream->h2, code);
    }
}

static void on_consumed(struct hbk_gw_stream *stream, size_t size)
{
    hbk_h2_consumed(session_of(stream), &stream->h2, size);
}

static void on_ended(struct hbk_gw_stream *stream)
{
    if (stream->connection != NULL && !hbk_h2_is_closed(&stream->h2) && stream->h2.id != 0) {
        /* Answered before the request's end: the client need not send the rest. */
        hbk_h2_reset(session_of(stream), &stream->h2,
                     stream->response_ended ? HBK_H2_NO_ERROR : HBK_H2_INTERNAL_ERROR);
    }
}

static const struct hbk_gw_downstream_ops ops = {
    .head = send_head,
    .interim = send_interim,
    .data = send_data,
    .trailers = send_trailers,
    .reset = break_off,
    .consumed = on_consumed,
    .ended = on_ended,
    .protocol = "HTTP/2",
};

/* A stream with trailers behind a body: they go when the body has gone. */
static void pump_one(struct hbk_gw_stream *stream)
{
    if (stream->is_ended || stream->connection == NULL) {
        return;
    }
    bool had_bytes = !hbk_buffer_is_empty(&stream->out);
    if (had_bytes || stream->out_is_last) {
        pump_stream(stream);
    }
    if (!stream->is_ended && had_bytes && hbk_buffer_is_empty(&stream->out) &&
        stream->trailers.count > 0 && stream->response_ended) {
        struct hbk_gw_head trailers = stream->trailers;
        send_trailers(stream, &trailers);
    }
}

/* A stream that is pumped may end itself, and nothing ends another: what an upstream is freed for
 * by that comes from a task. */
static void pump_all(struct hbk_gw_connection *connection)
{
    HBK_LIST_EACH (link, &connection->streams) {
        pump_one(HBK_CONTAINER(link, struct hbk_gw_stream, link));
    }
}

static void on_pump(struct hbk_task *task)
{
    struct hbk_gw_connection *connection =
        HBK_CONTAINER(task, struct hbk_gw_connection, http2.pump);
    if (!connection->pipe.is_closed) {
        pump_all(connection);
    }
}

/* ---- requests ---- */

static hbk_status fill_request(struct hbk_gw_stream *stream, const struct hbk_h2_fields *fields)
{
    const struct hbk_gw_http_options *options = stream->handler->http->common_http_protocol_options;
    int underscores = options == NULL ? 0 : options->headers_with_underscores_action;
    struct hbk_arena *arena = &stream->arena;
    struct hbk_gw_head *head = &stream->request;
    head->method = hbk_gw_copy(arena, fields->method);
    head->authority = hbk_gw_copy(arena, fields->authority);
    head->path = hbk_gw_copy(arena, fields->path);
    if (head->method.bytes == NULL || head->authority.bytes == NULL || head->path.bytes == NULL) {
        return HBK_NO_MEMORY;
    }
    for (uint32_t i = 0; i < fields->count; i++) {
        size_t at = 0;
        const struct hbk_h2_field *field = &fields->list[i];
        if (underscores != 0 && hbk_slice_find(field->name, '_', &at)) {
            if (underscores == 1) {
                return HBK_INVALID;
            }
            continue;
        }
        if (hbk_slice_equal(field->name, HBK_SLICE("host"))) {
            head->authority =
                head->authority.size == 0 ? hbk_gw_copy(arena, field->value) : head->authority;
            continue;
        }
        HBK_TRY(hbk_gw_head_add(head, arena, hbk_gw_copy(arena, field->name),
                                hbk_gw_copy(arena, field->value)));
    }
    /* Crumbs become one field again (RFC 9113, 8.2.3). */
    return hbk_gw_head_join(head, arena, HBK_SLICE("cookie"), HBK_SLICE("; "));
}

static void take_request(struct hbk_gw_connection *connection, const struct hbk_h2_event *event)
{
    struct hbk_h2_session *session = &connection->http2.session;
    if (hbk_slice_equal(event->fields->method, HBK_SLICE("CONNECT"))) {
        hbk_h2_refuse(session, event, 404);
        return;
    }
    struct hbk_gw_stream *stream = hbk_gw_stream_new(connection, &ops);
    if (stream == NULL) {
        hbk_gw_count(&connection->stats[HBK_GW_H_RQ_OVERLOAD_CLOSE], 1);
        hbk_h2_refuse_with_code(session, event, HBK_H2_REFUSED_STREAM);
        return;
    }
    hbk_gw_count(&connection->stats[HBK_GW_H_RQ_HTTP2_TOTAL], 1);
    hbk_status filled = fill_request(stream, event->fields);
    if (filled == HBK_OK && !(hbk_gw_promise_read(&stream->request_promise, &stream->request) &&
                              hbk_gw_promise_keep(&stream->request_promise, 0, event->is_last))) {
        filled = HBK_INVALID;
    }
    if (hbk_h2_accept(session, event, &stream->h2) != HBK_OK) {
        hbk_gw_stream_end(stream);
        return;
    }
    if (filled != HBK_OK || stream->request.authority.size == 0 ||
        !hbk_gw_is_authority(stream->request.authority)) {
        stream->request_ended = event->is_last;
        hbk_gw_stream_reply(stream, filled == HBK_LIMIT ? 431 : 400, HBK_SLICE(""), HBK_GW_FLAG_DPE,
                            "http2.invalid.header.field");
        return;
    }
    hbk_gw_stream_request(stream, event->is_last);
}

static void take_reset(struct hbk_gw_stream *stream, bool is_ours)
{
    if (is_ours) {
        hbk_gw_count(&stream->connection->stats[HBK_GW_H_CX_PROTOCOL_ERROR], 1);
    }
    hbk_gw_stream_gone(stream, is_ours ? HBK_GW_FLAG_DPE : HBK_GW_FLAG_DC,
                       is_ours ? "http2.protocol_error" : "http2.remote_reset");
}

/* False: the body is not as long as the request says; the stream is over. */
static bool keeps_promise(struct hbk_gw_stream *stream, size_t size, bool is_last)
{
    if (hbk_gw_promise_keep(&stream->request_promise, size, is_last)) {
        return true;
    }
    hbk_h2_reset(session_of(stream), &stream->h2, HBK_H2_PROTOCOL_ERROR);
    take_reset(stream, true);
    return false;
}

static void take_data(struct hbk_gw_stream *stream, const struct hbk_h2_event *event)
{
    if (keeps_promise(stream, event->data.size, event->is_last)) {
        hbk_gw_stream_request_data(stream, event->data, event->is_last);
    }
}

static void take_trailers(struct hbk_gw_stream *stream, const struct hbk_h2_event *event)
{
    if (keeps_promise(stream, 0, true)) {
        hbk_gw_stream_request_trailers(stream, event->fields);
    }
}

static void take_event(struct hbk_gw_connection *connection, struct hbk_h2_event *event)
{
    switch (event->kind) {
    case HBK_H2_REQUEST:
        take_request(connection, event);
        break;
    case HBK_H2_DATA:
        take_data(stream_of(event->stream), event);
        break;
    case HBK_H2_TRAILERS:
        take_trailers(stream_of(event->stream), event);
        break;
    case HBK_H2_RESET:
        take_reset(stream_of(event->stream), event->is_ours);
        break;
    case HBK_H2_CREDIT:
        if (event->stream != NULL) {
            pump_one(stream_of(event->stream));
            break;
        }
        hbk_loop_post(connection->shard->net.loop, HBK_PHASE_READ, &connection->http2.pump);
        break;
    case HBK_H2_SETTINGS:
        hbk_loop_post(connection->shard->net.loop, HBK_PHASE_READ, &connection->http2.pump);
        break;
    case HBK_H2_GOAWAY:
        hbk_gw_connection_drain(connection);
        break;
    case HBK_H2_RESPONSE:
    case HBK_H2_PING_ACK:
        break;
    }
}

/* Requests that the session reset by itself: malformed ones, and heads that are too large. */
static void count_refusals(struct hbk_gw_connection *connection)
{
    struct hbk_gw_http2_server *server = &connection->http2;
    hbk_gw_count(&connection->stats[HBK_GW_H_CX_PROTOCOL_ERROR],
                 server->session.requests_refused - server->counted_refusals);
    server->counted_refusals = server->session.requests_refused;
}

void hbk_gw_http2_server_read(struct hbk_gw_connection *connection, struct hbk_slice bytes)
{
    struct hbk_h2_session *session = &connection->http2.session;
    hbk_h2_set_time(session, connection->shard->net.loop->now_ns);
    while (!connection->pipe.is_closed) {
        struct hbk_h2_event event = {0};
        hbk_gw_bury_some(connection->shard);
        enum hbk_h2_answer answer = hbk_h2_read(session, &bytes, &event);
        count_refusals(connection);
        if (answer == HBK_H2_NEED_MORE) {
            if (connection->is_draining) {
                hbk_gw_connection_changed(connection); /* perhaps our PING was answered */
            }
            return;
        }
        if (answer == HBK_H2_FAILED) {
            hbk_gw_count(&connection->stats[HBK_GW_H_CX_PROTOCOL_ERROR], 1);
            while (!hbk_list_is_empty(&connection->streams)) {
                hbk_gw_stream_gone(
                    HBK_CONTAINER(connection->streams.head.next, struct hbk_gw_stream, link),
                    HBK_GW_FLAG_DPE, "http2.connection_error");
            }
            hbk_gw_connection_close(connection);
            return;
        }
        take_event(connection, &event);
    }
}

void hbk_gw_http2_server_flushed(struct hbk_gw_connection *connection)
{
    if (hbk_buffer_size(&connection->pipe.out) < connection->handler->buffer_bytes_max / 2) {
        pump_all(connection);
    }
}

void hbk_gw_http2_server_drain(struct hbk_gw_connection *connection)
{
    hbk_h2_drain(&connection->http2.session);
}

bool hbk_gw_http2_server_is_asking(const struct hbk_gw_connection *connection)
{
    return connection->http2.session.is_drain_pinged && !connection->http2.session.has_failed;
}

void hbk_gw_http2_server_part(struct hbk_gw_connection *connection)
{
    struct hbk_h2_session *session = &connection->http2.session;
    if (connection->http2.is_started && !session->has_failed) {
        hbk_h2_goaway(session, HBK_H2_NO_ERROR);
    }
}

/* Every stream begins with a small window, whatever the configuration allows, and one that uses it
 * up quickly gets a larger one: a client with a thousand streams that nobody reads makes us hold
 * small windows only. */
hbk_status hbk_gw_http2_server_start(struct hbk_gw_connection *connection)
{
    const struct hbk_gw_http2_options *options = connection->handler->http->http2_protocol_options;
    struct hbk_h2_config config = HBK_H2_CONFIG_DEFAULT;
    struct hbk_h2_sink sink = hbk_pipe_http2_sink(&connection->pipe);
    config.streams_max = 1024;
    if (options != NULL) {
        config.streams_max = options->max_concurrent_streams;
        config.connection_window_bytes = options->initial_connection_window_size;
    }
    config.stream_window_bytes_max = hbk_pipe_http2_window_max(
        connection->handler->buffer_bytes_max,
        options == NULL ? UINT32_MAX : options->initial_stream_window_size);
    if (config.stream_window_bytes > config.stream_window_bytes_max) {
        config.stream_window_bytes = config.stream_window_bytes_max;
    }
    hbk_task_init(&connection->http2.pump, on_pump);
    HBK_TRY(hbk_h2_init(&connection->http2.session, HBK_H2_SERVER, &config, &sink));
    connection->http2.is_started = true;
    return HBK_OK;
}

void hbk_gw_http2_server_fini(struct hbk_gw_connection *connection)
{
    if (connection->http2.is_started) {
        hbk_task_cancel(&connection->http2.pump);
        hbk_h2_fini(&connection->http2.session);
    }
}
