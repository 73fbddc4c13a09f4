/* Frames in that are not DATA, each whole: RFC 9113, section 6, one function per type. */
#include "wire/http2_session.h"

#include <nghttp2/nghttp2.h>
#include <stdlib.h>

/* Removes padding (RFC 9113, 6.2); false when it is longer than the payload. */
static bool strip_padding(uint8_t flags, struct hbk_slice *payload)
{
    if ((flags & H2_FLAG_PADDED) == 0) {
        return true;
    }
    if (payload->size < 1 || payload->bytes[0] > payload->size - 1) {
        return false;
    }
    *payload = hbk_slice_of(payload->bytes + 1, payload->size - 1 - payload->bytes[0]);
    return true;
}

/* The client's next block is the answer to its request until the final status, then trailers. */
static enum h2_block_kind kind_on_stream(const struct hbk_h2_session *session,
                                         const struct hbk_h2_stream *stream)
{
    bool is_response = !session->is_server && (stream->flags & HBK_H2_FLAG_ANSWERED) == 0;
    return is_response ? H2_BLOCK_RESPONSE : H2_BLOCK_TRAILERS;
}

/* The id of a client's next stream when it leaves none out. */
static uint32_t next_peer_id(const struct hbk_h2_session *session)
{
    return session->last_peer_stream_id == 0 ? 1 : session->last_peer_stream_id + 2;
}

/* HEADERS on a stream that is closed, or was left out and so cannot be opened any more. */
static enum h2_step pass_over(struct hbk_h2_session *session, const struct hbk_h2_block *block)
{
    uint32_t id = block->stream_id;
    if (session->gap_last_id != 0 && id >= session->gap_first_id && id <= session->gap_last_id) {
        return h2_fail(session, HBK_H2_PROTOCOL_ERROR,
                       "a new stream has a lower id than the last one (RFC 9113, 5.1.1)");
    }
    if (!h2_is_late(session, id)) {
        return h2_fail(session, HBK_H2_STREAM_CLOSED, "HEADERS on a closed stream (RFC 9113, 5.1)");
    }
    if (block->is_last) {
        h2_forget_late(session, id);
    }
    return h2_add_noise(session, H2_NOISE_BLOCK);
}

/* Decides what a HEADERS frame begins; FAILED when it may not be there at all. */
static enum h2_step classify(struct hbk_h2_session *session, struct hbk_h2_block *block)
{
    uint32_t id = block->stream_id;
    if (id == 0) {
        return h2_fail(session, HBK_H2_PROTOCOL_ERROR, "HEADERS on stream 0 (RFC 9113, 6.2)");
    }
    block->stream = h2_table_find(&session->table, id);
    if (block->stream != NULL) {
        block->kind = kind_on_stream(session, block->stream);
        return H2_STEP_ON;
    }
    block->kind = H2_BLOCK_DROPPED;
    if (!h2_is_idle(session, id)) {
        return pass_over(session, block);
    }
    if (!session->is_server) {
        return h2_fail(session, HBK_H2_PROTOCOL_ERROR, "HEADERS on an idle stream");
    }
    if (id % 2 == 0) {
        return h2_fail(session, HBK_H2_PROTOCOL_ERROR,
                       "a client's stream has an even id (RFC 9113, 5.1.1)");
    }
    if (id > next_peer_id(session)) {
        session->gap_first_id = next_peer_id(session);
        session->gap_last_id = id - 2;
    }
    session->last_peer_stream_id = id;
    if (id > session->refuse_above_id) {
        session->stray_bytes_max += session->config.stream_window_bytes;
        h2_expect_late(session, id);
        return h2_add_noise(session, H2_NOISE_BLOCK);
    }
    block->kind = H2_BLOCK_REQUEST;
    return H2_STEP_ON;
}

static enum h2_step give_request(struct hbk_h2_session *session, const struct hbk_h2_block *block,
                                 struct hbk_h2_event *out_event)
{
    session->pending_id = block->stream_id;
    session->pending_is_last = block->is_last;
    session->pending_is_connect = hbk_slice_equal(block->fields.method, HBK_SLICE("CONNECT"));
    if (session->table.count >= session->config.streams_max) {
        /* Not yet an error: the client may not have seen our limit (RFC 9113, 5.1.2). */
        hbk_h2_refuse_with_code(session, &(struct hbk_h2_event){.stream_id = block->stream_id},
                                HBK_H2_REFUSED_STREAM);
        return h2_add_noise(session, H2_NOISE_BLOCK);
    }
    *out_event = (struct hbk_h2_event){
        .kind = HBK_H2_REQUEST,
        .stream_id = block->stream_id,
        .is_last = block->is_last,
        .fields = &block->fields,
    };
    return H2_STEP_EVENT;
}

static enum h2_step give_response(struct hbk_h2_session *session, const struct hbk_h2_block *block,
                                  struct hbk_h2_event *out_event)
{
    struct hbk_h2_stream *stream = block->stream;
    bool is_response = block->kind == H2_BLOCK_RESPONSE;
    if (is_response && block->fields.status / 100 == 1) {
        return h2_add_noise(session, H2_NOISE_SMALL);
    }
    *out_event = (struct hbk_h2_event){
        .kind = is_response ? HBK_H2_RESPONSE : HBK_H2_TRAILERS,
        .stream = stream,
        .stream_id = block->stream_id,
        .is_last = block->is_last,
        .code = block->fields.status,
        .fields = &block->fields,
    };
    if (is_response) {
        stream->flags |= HBK_H2_FLAG_ANSWERED;
    }
    if (is_response && block->fields.status / 100 != 2) {
        /* No tunnel came of it, so an ordinary body may follow. */
        stream->flags &= (uint8_t)~HBK_H2_FLAG_CONNECT;
    }
    if (block->is_last) {
        h2_end_side(session, stream, HBK_H2_FLAG_REMOTE_ENDED);
    }
    return H2_STEP_EVENT;
}

/* What rule of its stream the whole block breaks; NO_ERROR when none. */
static enum hbk_h2_code judge_block(const struct hbk_h2_block *block)
{
    if (block->stream != NULL && (block->stream->flags & HBK_H2_FLAG_REMOTE_ENDED) != 0) {
        return HBK_H2_STREAM_CLOSED;
    }
    bool is_in_tunnel =
        block->kind == H2_BLOCK_TRAILERS && (block->stream->flags & HBK_H2_FLAG_CONNECT) != 0;
    if (block->is_malformed || is_in_tunnel) {
        return HBK_H2_PROTOCOL_ERROR;
    }
    return block->is_too_large ? HBK_H2_ENHANCE_YOUR_CALM : HBK_H2_NO_ERROR;
}

static enum h2_step finish_block(struct hbk_h2_session *session, struct hbk_h2_event *out_event)
{
    struct hbk_h2_block *block = session->block;
    block->is_whole = true;
    if (block->kind == H2_BLOCK_DROPPED) {
        return H2_STEP_ON;
    }
    enum hbk_h2_code code = judge_block(block);
    if (code != HBK_H2_NO_ERROR) {
        if (h2_add_noise(session, H2_NOISE_BLOCK) == H2_STEP_FAILED) {
            return H2_STEP_FAILED;
        }
        return h2_fail_stream(session, block->stream_id, block->stream, code, out_event);
    }
    return block->kind == H2_BLOCK_REQUEST ? give_request(session, block, out_event)
                                           : give_response(session, block, out_event);
}

static enum h2_step add_fragment(struct hbk_h2_session *session, struct hbk_slice fragment,
                                 struct hbk_h2_event *out_event)
{
    bool is_final = (session->frame_flags & H2_FLAG_END_HEADERS) != 0;
    enum h2_step step = h2_block_add(session, fragment, is_final);
    return step != H2_STEP_ON || !is_final ? step : finish_block(session, out_event);
}

/* Priorities mean nothing any more (RFC 9113, 5.3.2), but a stream that depends on itself was an
 * error of that stream when they did (RFC 7540, 5.3.1), and still shows a broken peer. */
static bool is_own_parent(const struct hbk_h2_session *session, struct hbk_slice priority)
{
    return (h2_load_u32(priority.bytes) & H2_STREAM_ID_MAX) == session->frame_stream_id;
}

static enum h2_step take_headers(struct hbk_h2_session *session, struct hbk_slice payload,
                                 struct hbk_h2_event *out_event)
{
    bool depends_on_itself = false;
    if (!strip_padding(session->frame_flags, &payload)) {
        return h2_fail(session, HBK_H2_PROTOCOL_ERROR,
                       "padding is longer than its frame (RFC 9113, 6.2)");
    }
    if ((session->frame_flags & H2_FLAG_PRIORITY) != 0) {
        if (payload.size < 5) {
            return h2_fail(session, HBK_H2_FRAME_SIZE_ERROR,
                           "HEADERS has no room for its priority (RFC 9113, 6.2)");
        }
        depends_on_itself = is_own_parent(session, payload);
        payload = hbk_slice_part(payload, 5, payload.size);
    }
    struct hbk_h2_block *block = malloc(sizeof(*block));
    if (block == NULL) {
        return h2_fail(session, HBK_H2_INTERNAL_ERROR, "out of memory for header fields");
    }
    memset(block, 0, offsetof(struct hbk_h2_block, fields.list));
    session->block = block;
    block->stream_id = session->frame_stream_id;
    block->is_last = (session->frame_flags & H2_FLAG_END_STREAM) != 0;
    block->is_malformed = depends_on_itself;
    enum h2_step step = classify(session, block);
    return step == H2_STEP_ON ? add_fragment(session, payload, out_event) : step;
}

static enum h2_step take_continuation(struct hbk_h2_session *session, struct hbk_slice payload,
                                      struct hbk_h2_event *out_event)
{
    if (session->block == NULL) {
        return h2_fail(session, HBK_H2_PROTOCOL_ERROR,
                       "CONTINUATION without HEADERS (RFC 9113, 6.10)");
    }
    if (++session->block->continuations > HBK_H2_CONTINUATIONS_MAX) {
        return h2_fail(session, HBK_H2_ENHANCE_YOUR_CALM, "too many CONTINUATION frames");
    }
    return add_fragment(session, payload, out_event);
}

static enum h2_step take_priority(struct hbk_h2_session *session, struct hbk_slice payload,
                                  struct hbk_h2_event *out_event)
{
    uint32_t id = session->frame_stream_id;
    if (id == 0) {
        return h2_fail(session, HBK_H2_PROTOCOL_ERROR, "PRIORITY on stream 0 (RFC 9113, 6.3)");
    }
    enum hbk_h2_code code = payload.size != 5                 ? HBK_H2_FRAME_SIZE_ERROR
                            : is_own_parent(session, payload) ? HBK_H2_PROTOCOL_ERROR
                                                              : HBK_H2_NO_ERROR;
    if (code == HBK_H2_NO_ERROR) {
        return h2_add_noise(session, H2_NOISE_SMALL);
    }
    struct hbk_h2_stream *stream = h2_table_find(&session->table, id);
    if (stream == NULL) {
        return h2_fail(session, code, "PRIORITY is not 5 bytes, or of a stream on itself");
    }
    return h2_fail_stream(session, id, stream, code, out_event);
}

static enum h2_step take_reset(struct hbk_h2_session *session, struct hbk_slice payload,
                               struct hbk_h2_event *out_event)
{
    uint32_t id = session->frame_stream_id;
    if (payload.size != 4) {
        return h2_fail(session, HBK_H2_FRAME_SIZE_ERROR, "RST_STREAM is not 4 bytes");
    }
    struct hbk_h2_stream *stream = h2_table_find(&session->table, id);
    if (stream == NULL) {
        h2_forget_late(session, id);
        return id == 0 || h2_is_idle(session, id)
                   ? h2_fail(session, HBK_H2_PROTOCOL_ERROR,
                             "RST_STREAM on an idle stream (RFC 9113, 6.4)")
                   : h2_add_noise(session, H2_NOISE_SMALL);
    }
    if (session->is_server && (stream->flags & HBK_H2_FLAG_ANSWERED) == 0 &&
        h2_add_early_reset(session) == H2_STEP_FAILED) {
        return H2_STEP_FAILED;
    }
    *out_event = (struct hbk_h2_event){
        .kind = HBK_H2_RESET,
        .stream = stream,
        .stream_id = id,
        .code = h2_load_u32(payload.bytes),
    };
    stream->flags |= HBK_H2_FLAG_REMOTE_ENDED;
    h2_detach(session, stream);
    return H2_STEP_EVENT;
}

static enum h2_step take_setting(struct hbk_h2_session *session, uint16_t id, uint32_t value)
{
    switch (id) {
    case H2_SETTING_HEADER_TABLE_SIZE:
        /* We never use more than our own limit, which the deflater was made with. */
        if (nghttp2_hd_deflate_change_table_size(session->deflater, value) != 0) {
            return h2_fail(session, HBK_H2_INTERNAL_ERROR, "out of memory in HPACK");
        }
        return H2_STEP_ON;
    case H2_SETTING_ENABLE_PUSH:
        if (value > 1 || (!session->is_server && value != 0)) {
            return h2_fail(session, HBK_H2_PROTOCOL_ERROR,
                           "a wrong value of SETTINGS_ENABLE_PUSH (RFC 9113, 6.5.2)");
        }
        return H2_STEP_ON;
    case H2_SETTING_MAX_CONCURRENT_STREAMS:
        session->peer_streams_max = value;
        return H2_STEP_ON;
    case H2_SETTING_INITIAL_WINDOW_SIZE:
        if (value > H2_WINDOW_MAX || !h2_set_peer_window(session, value)) {
            return h2_fail(session, HBK_H2_FLOW_CONTROL_ERROR,
                           "SETTINGS_INITIAL_WINDOW_SIZE is too large (RFC 9113, 6.9.2)");
        }
        return H2_STEP_ON;
    case H2_SETTING_MAX_FRAME_SIZE:
        if (value < HBK_H2_FRAME_BYTES_MAX || value > 0xffffff) {
            return h2_fail(session, HBK_H2_PROTOCOL_ERROR,
                           "a wrong value of SETTINGS_MAX_FRAME_SIZE (RFC 9113, 6.5.2)");
        }
        session->peer_frame_bytes_max = value;
        return H2_STEP_ON;
    default:
        return H2_STEP_ON;
    }
}

static enum h2_step take_settings(struct hbk_h2_session *session, struct hbk_slice payload,
                                  struct hbk_h2_event *out_event)
{
    bool is_ack = (session->frame_flags & H2_FLAG_ACK) != 0;
    if (session->frame_stream_id != 0) {
        return h2_fail(session, HBK_H2_PROTOCOL_ERROR, "SETTINGS on a stream (RFC 9113, 6.5)");
    }
    if (payload.size % H2_SETTING_BYTES != 0 || (is_ack && payload.size != 0)) {
        return h2_fail(session, HBK_H2_FRAME_SIZE_ERROR, "SETTINGS has a wrong size");
    }
    int32_t entries = (int32_t)(payload.size / H2_SETTING_BYTES);
    if (h2_add_noise(session, H2_NOISE_ANSWER + entries) == H2_STEP_FAILED) {
        return H2_STEP_FAILED;
    }
    if (is_ack) {
        return H2_STEP_ON;
    }
    if (!session->is_settled) {
        /* No limit is announced until it is (RFC 9113, 6.5.2). */
        session->peer_streams_max = UINT32_MAX;
    }
    session->is_settled = true;
    for (size_t at = 0; at < payload.size; at += H2_SETTING_BYTES) {
        const uint8_t *entry = payload.bytes + at;
        uint16_t id = (uint16_t)(entry[0] << 8 | entry[1]);
        if (take_setting(session, id, h2_load_u32(entry + 2)) == H2_STEP_FAILED) {
            return H2_STEP_FAILED;
        }
    }
    h2_write_settings_ack(session);
    *out_event = (struct hbk_h2_event){.kind = HBK_H2_SETTINGS};
    return H2_STEP_EVENT;
}

static enum h2_step take_ping(struct hbk_h2_session *session, struct hbk_slice payload,
                              struct hbk_h2_event *out_event)
{
    if (session->frame_stream_id != 0) {
        return h2_fail(session, HBK_H2_PROTOCOL_ERROR, "PING on a stream (RFC 9113, 6.7)");
    }
    if (payload.size != 8) {
        return h2_fail(session, HBK_H2_FRAME_SIZE_ERROR, "PING is not 8 bytes");
    }
    if (h2_add_noise(session, H2_NOISE_ANSWER) == H2_STEP_FAILED) {
        return H2_STEP_FAILED;
    }
    uint64_t opaque = (uint64_t)h2_load_u32(payload.bytes) << 32 | h2_load_u32(payload.bytes + 4);
    if ((session->frame_flags & H2_FLAG_ACK) == 0) {
        h2_write_ping(session, opaque, true);
        return H2_STEP_ON;
    }
    if (session->is_drain_pinged && opaque == H2_DRAIN_OPAQUE) {
        session->is_drain_pinged = false;
        hbk_h2_goaway(session, HBK_H2_NO_ERROR);
        return H2_STEP_ON;
    }
    *out_event = (struct hbk_h2_event){.kind = HBK_H2_PING_ACK, .opaque = opaque};
    return H2_STEP_EVENT;
}

static enum h2_step take_goaway(struct hbk_h2_session *session, struct hbk_slice payload,
                                struct hbk_h2_event *out_event)
{
    if (session->frame_stream_id != 0) {
        return h2_fail(session, HBK_H2_PROTOCOL_ERROR, "GOAWAY on a stream (RFC 9113, 6.8)");
    }
    if (payload.size < 8) {
        return h2_fail(session, HBK_H2_FRAME_SIZE_ERROR, "GOAWAY is shorter than 8 bytes");
    }
    uint32_t last_stream_id = h2_load_u32(payload.bytes) & H2_STREAM_ID_MAX;
    if (last_stream_id > session->goaway_stream_id) {
        return h2_fail(session, HBK_H2_PROTOCOL_ERROR,
                       "GOAWAY takes streams back that it gave up (RFC 9113, 6.8)");
    }
    if (h2_add_noise(session, H2_NOISE_BLOCK) == H2_STEP_FAILED) {
        return H2_STEP_FAILED;
    }
    session->goaway_stream_id = last_stream_id;
    *out_event = (struct hbk_h2_event){
        .kind = HBK_H2_GOAWAY,
        .last_stream_id = last_stream_id,
        .code = h2_load_u32(payload.bytes + 4),
        .data = hbk_slice_part(payload, 8, payload.size),
    };
    return H2_STEP_EVENT;
}

enum h2_step h2_take_frame(struct hbk_h2_session *session, struct hbk_slice payload,
                           struct hbk_h2_event *out_event)
{
    switch (session->frame_type) {
    case H2_HEADERS:
        return take_headers(session, payload, out_event);
    case H2_PRIORITY:
        return take_priority(session, payload, out_event);
    case H2_RST_STREAM:
        return take_reset(session, payload, out_event);
    case H2_SETTINGS:
        return take_settings(session, payload, out_event);
    case H2_PUSH_PROMISE:
        return h2_fail(session, HBK_H2_PROTOCOL_ERROR,
                       "PUSH_PROMISE, which is switched off (RFC 9113, 8.4)");
    case H2_PING:
        return take_ping(session, payload, out_event);
    case H2_GOAWAY:
        return take_goaway(session, payload, out_event);
    case H2_WINDOW_UPDATE:
        return h2_take_window_update(session, payload, out_event);
    case H2_CONTINUATION:
        return take_continuation(session, payload, out_event);
    default:
        HBK_UNREACHABLE();
    }
}
