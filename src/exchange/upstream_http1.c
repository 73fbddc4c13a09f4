/*
 * HTTP/1 towards upstreams: one exchange at a time. The response is over when its body is; the
 * connection is used again only when the request was over by then, too.
 */
#include <stdio.h>

#include "base/assert.h"
#include "exchange/upstream.h"

static struct hbk_gw_stream *stream_of(const struct hbk_gw_upstream *upstream)
{
    struct hbk_link *first = upstream->streams.head.next;
    return first == &upstream->streams.head ? NULL
                                            : HBK_CONTAINER(first, struct hbk_gw_stream, up_link);
}

/* ---- requests ---- */

static hbk_status write_field(struct hbk_buffer *out, struct hbk_slice name, struct hbk_slice value)
{
    struct hbk_span room;
    size_t size = name.size + value.size + 4;
    HBK_TRY(hbk_buffer_reserve(out, size, &room));
    memcpy(room.bytes, name.bytes, name.size);
    memcpy(room.bytes + name.size, ": ", 2);
    if (value.size > 0) {
        memcpy(room.bytes + name.size + 2, value.bytes, value.size);
    }
    memcpy(room.bytes + size - 2, "\r\n", 2);
    hbk_buffer_commit(out, size);
    return HBK_OK;
}

/* Methods whose requests say that their body is empty (RFC 9110, 8.6); the others have none. */
static bool has_body_by_nature(struct hbk_slice method)
{
    static const char *const without[] = {"GET", "HEAD", "DELETE", "TRACE", "CONNECT"};
    for (size_t i = 0; i < HBK_COUNT(without); i++) {
        if (hbk_slice_equal(method, hbk_slice_text(without[i]))) {
            return false;
        }
    }
    return true;
}

static hbk_status write_head(struct hbk_gw_upstream *upstream, struct hbk_gw_stream *stream)
{
    struct hbk_buffer *out = &upstream->pipe.out;
    const struct hbk_gw_head *head = &stream->sent;
    HBK_TRY(hbk_buffer_append(out, head->method));
    HBK_TRY(hbk_buffer_append(out, HBK_SLICE(" ")));
    HBK_TRY(hbk_buffer_append(out, head->path));
    HBK_TRY(hbk_buffer_append(out, HBK_SLICE(" HTTP/1.1\r\n")));
    HBK_TRY(write_field(out, HBK_SLICE("host"), head->authority));
    for (uint32_t i = 0; i < head->count; i++) {
        HBK_TRY(write_field(out, head->fields[i].name, head->fields[i].value));
    }
    upstream->is_request_chunked = !hbk_gw_head_has(head, HBK_SLICE("content-length")) &&
                                   !(stream->request_ended && hbk_buffer_is_empty(&stream->held) &&
                                     stream->received_bytes == 0);
    if (!upstream->is_request_chunked && !hbk_gw_head_has(head, HBK_SLICE("content-length")) &&
        has_body_by_nature(head->method)) {
        HBK_TRY(hbk_buffer_append(out, HBK_SLICE("content-length: 0\r\n")));
    }
    if (upstream->is_request_chunked) {
        HBK_TRY(hbk_buffer_append(out, HBK_SLICE("transfer-encoding: chunked\r\n")));
    }
    return hbk_buffer_append(out, HBK_SLICE("\r\n"));
}

void hbk_gw_http1_client_send(struct hbk_gw_upstream *upstream, struct hbk_gw_stream *stream)
{
    upstream->reader = (struct hbk_http1_reader){0};
    upstream->is_in_body = false;
    upstream->unsent_bytes = 0;
    upstream->unread_bytes = 0;
    if (write_head(upstream, stream) != HBK_OK) {
        hbk_gw_upstream_fail(upstream, HBK_GW_FAILED_CLOSED, "the request's head is too large");
        return;
    }
    hbk_pipe_send(&upstream->pipe);
    hbk_gw_stream_bound(stream);
}

static void send_data(struct hbk_gw_stream *stream, struct hbk_slice data, bool is_last)
{
    struct hbk_gw_upstream *upstream = stream->upstream;
    upstream->unsent_bytes += data.size;
    hbk_status status = upstream->is_request_chunked
                            ? hbk_http1_write_chunk(&upstream->pipe.out, data, is_last)
                            : hbk_buffer_append(&upstream->pipe.out, data);
    if (status != HBK_OK) {
        hbk_gw_upstream_fail(upstream, HBK_GW_FAILED_CLOSED, "the upstream does not read");
        return;
    }
    hbk_pipe_send(&upstream->pipe);
}

static void send_trailers(struct hbk_gw_stream *stream, const struct hbk_gw_head *trailers)
{
    (void)trailers; /* not passed on to HTTP/1, as Envoy does by default */
    send_data(stream, HBK_SLICE(""), true);
}

static void on_consumed(struct hbk_gw_stream *stream, size_t size)
{
    struct hbk_gw_upstream *upstream = stream->upstream;
    upstream->unread_bytes -= size < upstream->unread_bytes ? size : upstream->unread_bytes;
    if (upstream->unread_bytes <= hbk_gw_stream_bytes_max(stream) / 2) {
        hbk_pipe_resume(&upstream->pipe);
    }
}

/* An exchange that leaves before its response was complete takes the connection with it. */
static void cancel(struct hbk_gw_stream *stream)
{
    struct hbk_gw_upstream *upstream = stream->upstream;
    hbk_gw_upstream_unbind(stream);
    hbk_gw_count(&upstream->host->pool->stats[HBK_GW_C_RQ_TX_RESET], 1);
    upstream->is_leaving = true;
    hbk_gw_upstream_close(upstream);
}

const struct hbk_gw_upstream_ops hbk_gw_http1_client_ops = {
    .data = send_data,
    .trailers = send_trailers,
    .consumed = on_consumed,
    .cancel = cancel,
};

/* ---- responses ---- */

/*
 * The response is complete: the connection goes back before the client hears of the end, so that
 * ending the exchange does not cancel it. `surplus_bytes` came behind the response and answer
 * nothing: the next exchange would take them for its own, so there will be none.
 */
static void complete(struct hbk_gw_upstream *upstream, struct hbk_gw_stream *stream,
                     size_t surplus_bytes)
{
    bool is_reusable = upstream->is_keep_alive && stream->up_request_ended && surplus_bytes == 0;
    if (surplus_bytes > 0) {
        hbk_gw_count(&upstream->host->pool->stats[HBK_GW_C_CX_PROTOCOL_ERROR], 1);
    }
    hbk_gw_upstream_unbind(stream);
    hbk_pipe_resume(&upstream->pipe);
    if (!is_reusable) {
        upstream->is_leaving = true;
    }
}

static void fail_protocol(struct hbk_gw_upstream *upstream, const char *text)
{
    hbk_gw_count(&upstream->host->pool->stats[HBK_GW_C_CX_PROTOCOL_ERROR], 1);
    hbk_gw_upstream_fail(upstream, HBK_GW_FAILED_PROTOCOL, text);
}

static hbk_status fill_response(struct hbk_gw_stream *stream,
                                const struct hbk_http1_response *response)
{
    struct hbk_arena *arena = &stream->arena;
    stream->response = (struct hbk_gw_head){.status = response->status};
    for (size_t i = 0; i < response->field_count; i++) {
        HBK_TRY(hbk_gw_head_add(&stream->response, arena,
                                hbk_gw_copy_lower(arena, response->fields[i].name),
                                hbk_gw_copy(arena, response->fields[i].value)));
    }
    return HBK_OK;
}

/* 1xx and 204 have no body and may not say that they do (RFC 9112, 6.1; RFC 9110, 8.6); whoever
 * believes that they have one reads the next response as it. */
static bool promises_no_body(const struct hbk_http1_response *response)
{
    struct hbk_slice value;
    if (response->status / 100 != 1 && response->status != 204) {
        return true;
    }
    return !hbk_http1_find_field(response->fields, response->field_count,
                                 HBK_SLICE("transfer-encoding"), &value) &&
           (!hbk_http1_find_field(response->fields, response->field_count,
                                  HBK_SLICE("content-length"), &value) ||
            hbk_slice_equal(value, HBK_SLICE("0")));
}

static void deliver_head(struct hbk_gw_upstream *upstream, struct hbk_gw_stream *stream,
                         const struct hbk_http1_response *response, size_t surplus_bytes)
{
    bool is_last = response->body.kind == HBK_HTTP1_NO_BODY;
    upstream->body = response->body;
    upstream->is_in_body = !is_last;
    upstream->is_keep_alive = response->is_keep_alive;
    if (fill_response(stream, response) != HBK_OK) {
        fail_protocol(upstream, "the response's head is too large");
        return;
    }
    if (!is_last) {
        hbk_gw_stream_response(stream, false);
        return;
    }
    complete(upstream, stream, surplus_bytes);
    hbk_gw_stream_response(stream, true);
    hbk_gw_upstream_released(upstream);
}

/* Reads one head. False when nothing more can be done with the input now. */
static bool read_head(struct hbk_gw_upstream *upstream, struct hbk_gw_stream *stream,
                      struct hbk_slice *input)
{
    struct hbk_http1_response response;
    upstream->reader.head_bytes_max = HBK_HTTP1_HEAD_BYTES_MAX * 4;
    switch (hbk_http1_read_response(&upstream->reader, *input, stream->is_head_method, &response)) {
    case HBK_HTTP1_NEED_MORE:
        return false;
    case HBK_HTTP1_INVALID:
        fail_protocol(upstream, upstream->reader.fault_text);
        return false;
    case HBK_HTTP1_READY:
        break;
    }
    upstream->reader = (struct hbk_http1_reader){0};
    *input = hbk_slice_part(*input, response.head_bytes, input->size);
    if (response.status == 101 || !promises_no_body(&response)) {
        fail_protocol(upstream, response.status == 101
                                    ? "a change of protocol that nobody asked for"
                                    : "a response without a body says that it has one");
        return false;
    }
    if (response.status >= 200) {
        deliver_head(upstream, stream, &response, input->size);
    }
    return true;
}

static bool read_body(struct hbk_gw_upstream *upstream, struct hbk_gw_stream *stream,
                      struct hbk_slice *input)
{
    struct hbk_slice data;
    switch (hbk_http1_read_body(&upstream->body, input, &data)) {
    case HBK_HTTP1_BODY_NEED_MORE:
        return false;
    case HBK_HTTP1_BODY_DATA:
        upstream->unread_bytes += data.size;
        hbk_gw_stream_response_data(stream, data, false);
        if (!upstream->pipe.is_closed && stream_of(upstream) == stream &&
            (upstream->unread_bytes > hbk_gw_stream_bytes_max(stream) ||
             hbk_gw_stream_is_backed_up(stream))) {
            hbk_pipe_pause(&upstream->pipe);
        }
        return true;
    case HBK_HTTP1_BODY_END:
        upstream->is_in_body = false;
        complete(upstream, stream, input->size);
        hbk_gw_stream_response_data(stream, HBK_SLICE(""), true);
        hbk_gw_upstream_released(upstream);
        return true;
    case HBK_HTTP1_BODY_INVALID:
        fail_protocol(upstream, "the response's chunks are none");
        return false;
    }
    HBK_UNREACHABLE();
}

static void read_input(struct hbk_gw_upstream *upstream, struct hbk_slice *input)
{
    while (!upstream->pipe.is_closed && input->size > 0) {
        struct hbk_gw_stream *stream = stream_of(upstream);
        if (stream == NULL) {
            /* Bytes that answer nothing: a response to a request that nobody made. */
            hbk_gw_count(&upstream->host->pool->stats[HBK_GW_C_CX_PROTOCOL_ERROR], 1);
            upstream->is_leaving = true;
            hbk_gw_upstream_close(upstream);
            return;
        }
        if (!(upstream->is_in_body ? read_body(upstream, stream, input)
                                   : read_head(upstream, stream, input))) {
            return;
        }
    }
}

/* A body of known length is over with its last byte, not with the byte behind it. */
static void finish_body(struct hbk_gw_upstream *upstream)
{
    struct hbk_slice nothing = HBK_SLICE("");
    struct hbk_gw_stream *stream = stream_of(upstream);
    if (!upstream->pipe.is_closed && stream != NULL && upstream->is_in_body &&
        upstream->body.kind == HBK_HTTP1_LENGTH && upstream->body.left_bytes == 0) {
        (void)read_body(upstream, stream, &nothing);
    }
}

void hbk_gw_http1_client_read(struct hbk_gw_upstream *upstream, struct hbk_slice bytes)
{
    bool was_held = !hbk_buffer_is_empty(&upstream->in);
    if (was_held) {
        if (hbk_buffer_append(&upstream->in, bytes) != HBK_OK) {
            fail_protocol(upstream, "the response's head is too long");
            return;
        }
        bytes = hbk_buffer_slice(&upstream->in);
    }
    struct hbk_slice left = bytes;
    read_input(upstream, &left);
    finish_body(upstream);
    if (upstream->pipe.is_closed) {
        return;
    }
    if (was_held) {
        hbk_buffer_consume(&upstream->in, bytes.size - left.size);
    } else if (left.size > 0 && hbk_buffer_append(&upstream->in, left) != HBK_OK) {
        fail_protocol(upstream, "the response's head is too long");
    }
}

/* The end of the connection is the end of a body without a length. */
void hbk_gw_http1_client_end(struct hbk_gw_upstream *upstream)
{
    struct hbk_gw_stream *stream = stream_of(upstream);
    if (stream != NULL && upstream->is_in_body && upstream->body.kind == HBK_HTTP1_UNTIL_CLOSE) {
        upstream->is_in_body = false;
        complete(upstream, stream, 0);
        hbk_gw_stream_response_data(stream, HBK_SLICE(""), true);
    }
}

void hbk_gw_http1_client_flushed(struct hbk_gw_upstream *upstream)
{
    size_t left = hbk_buffer_size(&upstream->pipe.out);
    struct hbk_gw_stream *stream = stream_of(upstream);
    if (stream != NULL && upstream->unsent_bytes > left) {
        size_t sent = upstream->unsent_bytes - left;
        upstream->unsent_bytes = left;
        hbk_gw_stream_request_sent(stream, sent);
    }
}
