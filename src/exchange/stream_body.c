/*
 * The request's body on its way.
 *
 * Until an upstream is bound, the request's body gathers in `held`, and further reading stops by
 * back-pressure: nothing in `held` counts as passed on before it is. With a retry policy the body
 * also stays there afterwards, as long as it is small.
 */
#include "exchange/stream_parts.h"

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
void hbk_gw_stream_trim_held(struct hbk_gw_stream *stream)
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
    hbk_gw_stream_touch(stream);
    stream->received_bytes += data.size;
    if (is_last) {
        hbk_gw_stream_end_request(stream);
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
        hbk_gw_stream_trim_held(stream);
    }
}

hbk_status hbk_gw_stream_copy_fields(struct hbk_gw_stream *stream, struct hbk_gw_head *head,
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
    hbk_gw_stream_touch(stream);
    if (stream->is_local || stream->pool == NULL || stream->upstream == NULL ||
        hbk_gw_stream_copy_fields(stream, &trailers, fields) != HBK_OK) {
        /* Without an upstream to take them the body ends, and trailers are left out. */
        hbk_gw_stream_request_data(stream, HBK_SLICE(""), true);
        return;
    }
    hbk_gw_head_remove(&trailers, HBK_SLICE("x-forwarded-client-cert")); /* nobody's to say here */
    stream->up_has_trailers = true;
    hbk_gw_stream_end_request(stream);
    send_held(stream);
    stream->up_request_ended = true;
    stream->held_is_complete = false; /* no attempt could repeat them */
    stream->up->trailers(stream, &trailers);
}

void hbk_gw_stream_request_sent(struct hbk_gw_stream *stream, size_t size)
{
    hbk_gw_stream_touch(stream);
    stream->passed_bytes += size;
    if (stream->connection != NULL && stream->passed_bytes > stream->given_back_bytes) {
        size = (size_t)(stream->passed_bytes - stream->given_back_bytes);
        stream->given_back_bytes = stream->passed_bytes;
        stream->down->consumed(stream, size);
    }
}

void hbk_gw_stream_bound(struct hbk_gw_stream *stream)
{
    hbk_gw_stream_touch(stream);
    send_held(stream);
    if (!stream->is_ended) {
        hbk_gw_stream_trim_held(stream);
    }
}
