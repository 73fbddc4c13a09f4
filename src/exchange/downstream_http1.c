/*
 * HTTP/1 towards clients: one exchange at a time. Requests that a client sends ahead wait in `in`,
 * unparsed, until the exchange before is over.
 *
 *     head -> body -> (waiting for the response's end) -> head ...
 */
#include <stdio.h>

#include "base/assert.h"
#include "base/log.h"
#include "exchange/downstream.h"

static const char *reason_of(uint32_t status)
{
    static const struct {
        uint32_t status;
        const char *text;
    } reasons[] = {
        {200, "OK"},
        {201, "Created"},
        {202, "Accepted"},
        {203, "Non-Authoritative Information"},
        {204, "No Content"},
        {205, "Reset Content"},
        {206, "Partial Content"},
        {207, "Multi-Status"},
        {208, "Already Reported"},
        {226, "IM Used"},
        {300, "Multiple Choices"},
        {301, "Moved Permanently"},
        {302, "Found"},
        {303, "See Other"},
        {304, "Not Modified"},
        {305, "Use Proxy"},
        {307, "Temporary Redirect"},
        {308, "Permanent Redirect"},
        {400, "Bad Request"},
        {401, "Unauthorized"},
        {402, "Payment Required"},
        {403, "Forbidden"},
        {404, "Not Found"},
        {405, "Method Not Allowed"},
        {406, "Not Acceptable"},
        {407, "Proxy Authentication Required"},
        {408, "Request Timeout"},
        {409, "Conflict"},
        {410, "Gone"},
        {411, "Length Required"},
        {412, "Precondition Failed"},
        {413, "Payload Too Large"},
        {414, "URI Too Long"},
        {415, "Unsupported Media Type"},
        {416, "Range Not Satisfiable"},
        {417, "Expectation Failed"},
        {421, "Misdirected Request"},
        {422, "Unprocessable Entity"},
        {423, "Locked"},
        {424, "Failed Dependency"},
        {426, "Upgrade Required"},
        {428, "Precondition Required"},
        {429, "Too Many Requests"},
        {431, "Request Header Fields Too Large"},
        {500, "Internal Server Error"},
        {501, "Not Implemented"},
        {502, "Bad Gateway"},
        {503, "Service Unavailable"},
        {504, "Gateway Timeout"},
        {505, "HTTP Version Not Supported"},
        {507, "Insufficient Storage"},
        {508, "Loop Detected"},
        {510, "Not Extended"},
        {511, "Network Authentication Required"},
    };
    for (size_t i = 0; i < HBK_COUNT(reasons); i++) {
        if (reasons[i].status == status) {
            return reasons[i].text;
        }
    }
    return "Unknown";
}

/* ---- responses ---- */

static struct hbk_gw_http1_server *server_of(const struct hbk_gw_stream *stream)
{
    return &stream->connection->http1;
}

/* Whatever does not fit the buffer ends the connection: its limit is far above any head. */
static void check_sent(struct hbk_gw_connection *connection, hbk_status status)
{
    if (status != HBK_OK) {
        hbk_pipe_reset(&connection->pipe);
    } else {
        hbk_pipe_send(&connection->pipe);
    }
}

static hbk_status write_field(struct hbk_buffer *out, const struct hbk_h2_field *field)
{
    struct hbk_span room;
    size_t size = field->name.size + field->value.size + 4;
    HBK_TRY(hbk_buffer_reserve(out, size, &room));
    uint8_t *at = room.bytes;
    memcpy(at, field->name.bytes, field->name.size);
    at += field->name.size;
    *at++ = ':';
    *at++ = ' ';
    if (field->value.size > 0) {
        memcpy(at, field->value.bytes, field->value.size);
    }
    at += field->value.size;
    *at++ = '\r';
    *at = '\n';
    hbk_buffer_commit(out, size);
    return HBK_OK;
}

/* How the body's end will be known: RFC 9112, 6.3. */
static hbk_status write_framing(struct hbk_gw_stream *stream, const struct hbk_gw_head *head,
                                bool is_last, struct hbk_buffer *out)
{
    struct hbk_gw_http1_server *server = server_of(stream);
    bool has_length = hbk_gw_head_has(head, HBK_SLICE("content-length"));
    bool is_bodiless = head->status == 204 || head->status == 304 || head->status / 100 == 1;
    server->is_chunked = false;
    server->ends_with_connection = false;
    if (!has_length && !is_bodiless) {
        if (is_last && !stream->is_head_method) {
            HBK_TRY(hbk_buffer_append(out, HBK_SLICE("content-length: 0\r\n")));
        } else if (stream->minor_version == 0) {
            server->is_keep_alive = false;
            server->ends_with_connection = true;
        } else {
            server->is_chunked = !stream->is_head_method;
            HBK_TRY(hbk_buffer_append(out, HBK_SLICE("transfer-encoding: chunked\r\n")));
        }
    }
    /* A request that has not ended yet would be read as the next one. */
    if (!server->has_request_ended || stream->connection->is_draining) {
        server->is_keep_alive = false;
    }
    if (!server->is_keep_alive) {
        HBK_TRY(hbk_buffer_append(out, HBK_SLICE("connection: close\r\n")));
    } else if (stream->minor_version == 0) {
        HBK_TRY(hbk_buffer_append(out, HBK_SLICE("connection: keep-alive\r\n")));
    }
    return hbk_buffer_append(out, HBK_SLICE("\r\n"));
}

static hbk_status write_head(struct hbk_gw_stream *stream, const struct hbk_gw_head *head,
                             bool is_last)
{
    struct hbk_buffer *out = &stream->connection->pipe.out;
    HBK_TRY(hbk_buffer_print(out, "HTTP/1.1 %u %s\r\n", head->status, reason_of(head->status)));
    for (uint32_t i = 0; i < head->count; i++) {
        HBK_TRY(write_field(out, &head->fields[i]));
    }
    return write_framing(stream, head, is_last, out);
}

static void finish(struct hbk_gw_stream *stream)
{
    if (!stream->is_ended) {
        hbk_gw_stream_sent(stream, 0, true);
    }
}

static void send_head(struct hbk_gw_stream *stream, const struct hbk_gw_head *head, bool is_last)
{
    struct hbk_gw_connection *connection = stream->connection;
    check_sent(connection, write_head(stream, head, is_last));
    if (is_last) {
        finish(stream);
    }
}

static void send_interim(struct hbk_gw_stream *stream)
{
    if (stream->minor_version > 0) {
        check_sent(stream->connection,
                   hbk_buffer_append(&stream->connection->pipe.out,
                                     HBK_SLICE("HTTP/1.1 100 Continue\r\n\r\n")));
    }
}

static void send_data(struct hbk_gw_stream *stream, struct hbk_slice data, bool is_last)
{
    struct hbk_gw_connection *connection = stream->connection;
    if (connection == NULL) {
        return;
    }
    if (stream->is_head_method) {
        data = HBK_SLICE("");
    }
    connection->http1.unsent_bytes += data.size;
    check_sent(connection, connection->http1.is_chunked
                               ? hbk_http1_write_chunk(&connection->pipe.out, data, is_last)
                               : hbk_buffer_append(&connection->pipe.out, data));
    if (is_last) {
        finish(stream);
    }
}

static void send_trailers(struct hbk_gw_stream *stream, const struct hbk_gw_head *trailers)
{
    (void)trailers; /* not passed on to HTTP/1 clients, as Envoy does by default */
    send_data(stream, HBK_SLICE(""), true);
}

/* Where an orderly end would say that the body is whole, there is none. */
static void break_off(struct hbk_gw_stream *stream, uint32_t code)
{
    (void)code;
    if (stream->connection == NULL) {
        return;
    }
    if (server_of(stream)->ends_with_connection) {
        hbk_pipe_reset(&stream->connection->pipe);
    } else {
        hbk_pipe_close(&stream->connection->pipe);
    }
}

static void on_consumed(struct hbk_gw_stream *stream, size_t size)
{
    struct hbk_gw_http1_server *server = server_of(stream);
    struct hbk_gw_connection *connection = stream->connection;
    server->unread_bytes -= size < server->unread_bytes ? size : server->unread_bytes;
    /* Behind the body, what is held is the next request: it is read before anything else is. */
    if (server->unread_bytes <= hbk_gw_stream_bytes_max(stream) / 2 &&
        (server->is_in_body || hbk_buffer_is_empty(&connection->in))) {
        hbk_pipe_resume(&connection->pipe);
    }
}

/* The exchange is over: the next request may come, or the connection ends. */
static void on_ended(struct hbk_gw_stream *stream)
{
    struct hbk_gw_connection *connection = stream->connection;
    if (connection == NULL) {
        return;
    }
    struct hbk_gw_http1_server *server = &connection->http1;
    const struct hbk_gw_http_options *options =
        connection->handler->http->common_http_protocol_options;
    uint32_t requests_max = options == NULL ? 0 : options->max_requests_per_connection;
    server->stream = NULL;
    server->unsent_bytes = 0;
    server->unread_bytes = 0;
    if (!server->is_keep_alive || !server->has_request_ended || !stream->response_ended ||
        (requests_max > 0 && connection->request_count >= requests_max)) {
        server->closes_after = true;
        hbk_gw_connection_close(connection);
        return;
    }
    /* Requests that came ahead are read before more bytes are. */
    if (hbk_buffer_is_empty(&connection->in)) {
        hbk_pipe_resume(&connection->pipe);
    } else {
        hbk_loop_post(connection->shard->net.loop, HBK_PHASE_READ, &connection->more);
    }
}

static const struct hbk_gw_downstream_ops ops_11 = {
    .head = send_head,
    .interim = send_interim,
    .data = send_data,
    .trailers = send_trailers,
    .reset = break_off,
    .consumed = on_consumed,
    .ended = on_ended,
    .protocol = "HTTP/1.1",
};
static const struct hbk_gw_downstream_ops ops_10 = {
    .head = send_head,
    .interim = send_interim,
    .data = send_data,
    .trailers = send_trailers,
    .reset = break_off,
    .consumed = on_consumed,
    .ended = on_ended,
    .protocol = "HTTP/1.0",
};

/* ---- requests ---- */

/* A connection whose bytes make no sense: an answer without an exchange, and the end. The reason is
 * for the log; a stranger learns only the status, as with Envoy. */
static void refuse(struct hbk_gw_connection *connection, uint32_t status, const char *why)
{
    const char *text = status == 408 ? "request header timeout" : reason_of(status);
    hbk_gw_count(&connection->stats[status == 431   ? HBK_GW_H_RQ_TOO_LARGE
                                    : status == 408 ? HBK_GW_H_RQ_HEADER_TIMEOUT
                                                    : HBK_GW_H_CX_PROTOCOL_ERROR],
                 1);
    hbk_gw_count(&connection->stats[HBK_GW_H_RQ_4XX], 1);
    connection->http1.closes_after = true;
    if (hbk_log_is_on(HBK_LOG_DEBUG)) {
        hbk_log(HBK_LOG_DEBUG, "http", "connection %llu: %u: %s",
                (unsigned long long)connection->id, status, why);
    }
    struct hbk_slice date = hbk_gw_date(connection->shard);
    struct hbk_slice name = connection->handler->server_name;
    check_sent(connection,
               hbk_buffer_print(&connection->pipe.out,
                                "HTTP/1.1 %u %s\r\ncontent-length: %zu\r\n"
                                "content-type: text/plain\r\ndate: %.*s\r\nserver: %.*s\r\n"
                                "connection: close\r\n\r\n%s",
                                status, reason_of(status), strlen(text), HBK_SLICE_ARGS(date),
                                HBK_SLICE_ARGS(name), text));
    hbk_gw_connection_close(connection);
}

/* "http://user@host/path" becomes authority and path (RFC 9112, 3.2.2); the user is nobody's here,
 * as with Envoy. False: the target is not absolute. */
static bool split_target(struct hbk_slice target, struct hbk_slice *out_authority,
                         struct hbk_slice *out_path)
{
    const struct hbk_slice schemes[] = {HBK_SLICE("http://"), HBK_SLICE("https://")};
    struct hbk_slice rest = hbk_slice_of(NULL, 0);
    for (size_t i = 0; i < HBK_COUNT(schemes); i++) {
        if (hbk_slice_equal_nocase(hbk_slice_part(target, 0, schemes[i].size), schemes[i])) {
            rest = hbk_slice_part(target, schemes[i].size, target.size);
        }
    }
    if (rest.bytes == NULL) {
        return false;
    }
    size_t end = rest.size, mark = rest.size, user = 0;
    (void)hbk_slice_find(rest, '/', &end);
    (void)hbk_slice_find(rest, '?', &mark);
    end = mark < end ? mark : end;
    struct hbk_slice authority = hbk_slice_part(rest, 0, end);
    while (hbk_slice_find(authority, '@', &user)) {
        authority = hbk_slice_part(authority, user + 1, authority.size);
    }
    *out_authority = authority;
    *out_path = end == rest.size ? HBK_SLICE("/") : hbk_slice_part(rest, end, rest.size);
    return true;
}

/* Names with underscores are refused or left out where the configuration says so. */
static hbk_status add_field(struct hbk_gw_stream *stream, const struct hbk_http1_field *field,
                            int underscores)
{
    size_t at = 0;
    struct hbk_arena *arena = &stream->arena;
    if (hbk_slice_equal_nocase(field->name, HBK_SLICE("host"))) {
        return HBK_OK;
    }
    if (underscores != 0 && hbk_slice_find(field->name, '_', &at)) {
        return underscores == 2 ? HBK_OK : HBK_INVALID;
    }
    return hbk_gw_head_add(&stream->request, arena, hbk_gw_copy_lower(arena, field->name),
                           hbk_gw_copy(arena, field->value));
}

static hbk_status fill_request(struct hbk_gw_stream *stream,
                               const struct hbk_http1_request *request)
{
    const struct hbk_gw_http_connection_manager *http = stream->handler->http;
    const struct hbk_gw_http_options *options = http->common_http_protocol_options;
    struct hbk_arena *arena = &stream->arena;
    struct hbk_gw_head *head = &stream->request;
    head->method = hbk_gw_copy(arena, request->method);
    struct hbk_slice host = request->host;
    if (host.size == 0 && request->minor_version == 0 && http->http_protocol_options != NULL) {
        host = http->http_protocol_options->default_host_for_http_10;
    }
    head->authority = hbk_gw_copy(arena, host);
    struct hbk_slice target = hbk_gw_copy(arena, request->target);
    if (head->method.bytes == NULL || head->authority.bytes == NULL || target.bytes == NULL) {
        return HBK_NO_MEMORY;
    }
    if (!split_target(target, &head->authority, &head->path)) {
        head->path = target;
    }
    for (size_t i = 0; i < request->field_count; i++) {
        HBK_TRY(add_field(stream, &request->fields[i],
                          options == NULL ? 0 : options->headers_with_underscores_action));
    }
    return HBK_OK;
}

/* A target or a host that is none is refused before there is an exchange. */
enum { BAD_TARGET = 1, BAD_HOST };

/* 0, BAD_TARGET or BAD_HOST. */
static uint32_t judge_target(const struct hbk_http1_request *request)
{
    struct hbk_slice authority = request->host, path;
    if (split_target(request->target, &authority, &path)) {
        return authority.size > 0 && hbk_gw_is_authority(authority) &&
                       hbk_gw_is_authority(request->host)
                   ? 0
                   : BAD_HOST;
    }
    if (!hbk_gw_is_authority(authority)) {
        return BAD_HOST;
    }
    return request->target.bytes[0] == '/' || hbk_slice_equal(request->target, HBK_SLICE("*"))
               ? 0
               : BAD_TARGET;
}

/* Upgrade means something only where Connection names it, and since HTTP/1.1 (RFC 9110, 7.8). */
static bool asks_for_upgrade(const struct hbk_http1_request *request)
{
    struct hbk_slice value;
    return request->minor_version > 0 && request->names_upgrade &&
           hbk_http1_find_field(request->fields, request->field_count, HBK_SLICE("upgrade"),
                                &value) &&
           !hbk_slice_equal_nocase(value, HBK_SLICE("h2c"));
}

/* What the request line and the fields forbid; 0: nothing. */
static uint32_t judge(const struct hbk_gw_connection *connection,
                      const struct hbk_http1_request *request)
{
    const struct hbk_gw_http_connection_manager *http = connection->handler->http;
    const struct hbk_gw_http1_options *options = http->http_protocol_options;
    const struct hbk_gw_http_options *common = http->common_http_protocol_options;
    bool is_connect = hbk_slice_equal(request->method, HBK_SLICE("CONNECT"));
    if (request->minor_version == 0 && (options == NULL || !options->accept_http_10)) {
        return 426;
    }
    if (request->host.size == 0 &&
        (request->minor_version > 0 || options->default_host_for_http_10.size == 0)) {
        return 400;
    }
    if (is_connect) {
        return 404; /* no route leads it anywhere, whatever its target looks like */
    }
    if (judge_target(request) != 0) {
        return judge_target(request);
    }
    if (common != NULL && request->field_count > common->max_headers_count) {
        return 431;
    }
    return asks_for_upgrade(request) ? 403 : 0;
}

static void begin(struct hbk_gw_connection *connection, const struct hbk_http1_request *request)
{
    struct hbk_gw_http1_server *server = &connection->http1;
    uint32_t status = judge(connection, request);
    if (status == BAD_TARGET || status == BAD_HOST) {
        refuse(connection, 400,
               status == BAD_HOST ? "the host has bytes that no host has"
                                  : "the request target is no path");
        return;
    }
    struct hbk_gw_stream *stream =
        hbk_gw_stream_new(connection, request->minor_version == 0 ? &ops_10 : &ops_11);
    if (stream == NULL) {
        hbk_gw_count(&connection->stats[HBK_GW_H_RQ_OVERLOAD_CLOSE], 1);
        refuse(connection, 503, "too many requests are under way");
        return;
    }
    hbk_gw_count(&connection->stats[HBK_GW_H_RQ_HTTP1_TOTAL], 1);
    server->stream = stream;
    server->body = request->body;
    server->is_in_body = request->body.kind != HBK_HTTP1_NO_BODY;
    server->has_request_ended = !server->is_in_body;
    server->is_keep_alive = request->is_keep_alive;
    stream->minor_version = request->minor_version;
    stream->expects_continue = request->expects_continue;
    hbk_status filled = fill_request(stream, request);
    if (filled != HBK_OK) {
        status = filled == HBK_INVALID ? 400 : 431;
    }
    if (status == 0) {
        hbk_gw_stream_request(stream, !server->is_in_body);
        return;
    }
    stream->request_ended = !server->is_in_body;
    server->is_keep_alive = false;
    hbk_gw_stream_reply(stream, status,
                        status == 426 ? HBK_SLICE("Upgrade Required") : HBK_SLICE(""),
                        status == 400   ? HBK_GW_FLAG_DPE
                        : status == 404 ? HBK_GW_FLAG_NR
                                        : 0,
                        status == 426   ? "low_version"
                        : status == 403 ? "upgrade_failed"
                        : status == 404 ? "route_not_found"
                        : status == 431 ? "request_headers_too_large"
                                        : "http1.codec_error");
}

/* Reads one head. False when nothing more can be done with the input now. */
static bool read_head(struct hbk_gw_connection *connection, struct hbk_slice *input)
{
    struct hbk_gw_http1_server *server = &connection->http1;
    struct hbk_http1_request request;
    uint32_t limit = connection->handler->http->max_request_headers_kb * 1024;
    if (input->size == 0) {
        return false;
    }
    server->reader.head_bytes_max = limit;
    switch (hbk_http1_read_request(&server->reader, *input, &request)) {
    case HBK_HTTP1_NEED_MORE:
        if (!connection->is_reading && connection->handler->http->request_headers_timeout > 0) {
            connection->is_reading = true;
            hbk_loop_timer(connection->shard->net.loop, &connection->timer,
                           connection->handler->http->request_headers_timeout);
        }
        return false;
    case HBK_HTTP1_INVALID:
        refuse(connection, server->reader.fault_status, server->reader.fault_text);
        return false;
    case HBK_HTTP1_READY:
        break;
    }
    server->reader = (struct hbk_http1_reader){0};
    connection->is_reading = false;
    *input = hbk_slice_part(*input, request.head_bytes, input->size);
    begin(connection, &request);
    return true;
}

/* Reads a part of the body. False when nothing more can be done with the input now. */
static bool read_body(struct hbk_gw_connection *connection, struct hbk_slice *input)
{
    struct hbk_gw_http1_server *server = &connection->http1;
    struct hbk_slice data;
    switch (hbk_http1_read_body(&server->body, input, &data)) {
    case HBK_HTTP1_BODY_NEED_MORE:
        return false;
    case HBK_HTTP1_BODY_DATA:
        if (server->stream != NULL) {
            server->unread_bytes += data.size;
            hbk_gw_stream_request_data(server->stream, data, false);
        }
        if (server->stream != NULL &&
            (server->unread_bytes > hbk_gw_stream_bytes_max(server->stream) ||
             hbk_gw_stream_is_backed_up(server->stream))) {
            hbk_pipe_pause(&connection->pipe);
        }
        return true;
    case HBK_HTTP1_BODY_END:
        server->is_in_body = false;
        server->has_request_ended = true;
        if (server->stream != NULL) {
            hbk_gw_stream_request_data(server->stream, HBK_SLICE(""), true);
        }
        return true;
    case HBK_HTTP1_BODY_INVALID:
        hbk_gw_count(&connection->stats[HBK_GW_H_CX_PROTOCOL_ERROR], 1);
        server->is_keep_alive = false;
        if (server->stream != NULL) {
            hbk_gw_stream_reply(server->stream, 400, HBK_SLICE("Bad Request"), HBK_GW_FLAG_DPE,
                                "http1.codec_error");
        }
        hbk_gw_connection_close(connection);
        return false;
    }
    HBK_UNREACHABLE();
}

static void read_input(struct hbk_gw_connection *connection, struct hbk_slice *input)
{
    struct hbk_gw_http1_server *server = &connection->http1;
    while (!connection->pipe.is_closed && !connection->is_closing && !server->closes_after) {
        hbk_gw_bury_some(connection->shard);
        if (server->is_in_body) {
            if (!read_body(connection, input)) {
                return;
            }
        } else if (server->stream != NULL) {
            /* The response is under way: what comes now is the next request. */
            if (input->size > 0) {
                hbk_pipe_pause(&connection->pipe);
            }
            return;
        } else if (!read_head(connection, input)) {
            return;
        }
    }
    *input = hbk_slice_part(*input, input->size, 0);
}

void hbk_gw_http1_server_read(struct hbk_gw_connection *connection, struct hbk_slice bytes)
{
    bool was_held = !hbk_buffer_is_empty(&connection->in);
    if (was_held) {
        if (hbk_buffer_append(&connection->in, bytes) != HBK_OK) {
            refuse(connection, 431, "more bytes ahead than are held");
            return;
        }
        bytes = hbk_buffer_slice(&connection->in);
    }
    struct hbk_slice left = bytes;
    read_input(connection, &left);
    if (was_held) {
        hbk_buffer_consume(&connection->in, bytes.size - left.size);
    } else if (left.size > 0 && hbk_buffer_append(&connection->in, left) != HBK_OK) {
        hbk_pipe_reset(&connection->pipe);
    }
}

void hbk_gw_http1_server_late(struct hbk_gw_connection *connection)
{
    refuse(connection, 408, "the head did not come in time");
}

void hbk_gw_http1_server_more(struct hbk_task *task)
{
    struct hbk_gw_connection *connection = HBK_CONTAINER(task, struct hbk_gw_connection, more);
    if (connection->pipe.is_closed) {
        return;
    }
    hbk_pipe_resume(&connection->pipe); /* the requests that are held may pause it again */
    if (!hbk_buffer_is_empty(&connection->in)) {
        hbk_gw_http1_server_read(connection, HBK_SLICE(""));
    }
}

void hbk_gw_http1_server_flushed(struct hbk_gw_connection *connection)
{
    struct hbk_gw_http1_server *server = &connection->http1;
    size_t left = hbk_buffer_size(&connection->pipe.out);
    if (server->stream == NULL || server->unsent_bytes <= left) {
        return;
    }
    size_t sent = server->unsent_bytes - left;
    server->unsent_bytes = left;
    hbk_gw_stream_sent(server->stream, sent, false);
}
