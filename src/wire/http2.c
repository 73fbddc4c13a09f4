/*
 * The HTTP/2 session: its life, and what the caller does with streams. Invariants:
 *
 *  1. A stream is in the table exactly while HBK_H2_FLAG_OPEN is set; whoever clears that goes
 *     through h2_detach(), which clears every other pointer to it.
 *  2. Once has_failed is set nothing more is written and nothing more is read.
 *  3. What a peer can make us remember is bounded: streams by streams_max, header fields by one
 *     block, a frame in parts by one frame. What it can make us do for nothing is bounded by noise.
 */
#include "wire/http2.h"

#include <nghttp2/nghttp2.h>
#include <stdio.h>
#include <stdlib.h>

#include "wire/http2_session.h"

static const char *const code_texts[] = {
    [HBK_H2_NO_ERROR] = "NO_ERROR",
    [HBK_H2_PROTOCOL_ERROR] = "PROTOCOL_ERROR",
    [HBK_H2_INTERNAL_ERROR] = "INTERNAL_ERROR",
    [HBK_H2_FLOW_CONTROL_ERROR] = "FLOW_CONTROL_ERROR",
    [HBK_H2_SETTINGS_TIMEOUT] = "SETTINGS_TIMEOUT",
    [HBK_H2_STREAM_CLOSED] = "STREAM_CLOSED",
    [HBK_H2_FRAME_SIZE_ERROR] = "FRAME_SIZE_ERROR",
    [HBK_H2_REFUSED_STREAM] = "REFUSED_STREAM",
    [HBK_H2_CANCEL] = "CANCEL",
    [HBK_H2_COMPRESSION_ERROR] = "COMPRESSION_ERROR",
    [HBK_H2_CONNECT_ERROR] = "CONNECT_ERROR",
    [HBK_H2_ENHANCE_YOUR_CALM] = "ENHANCE_YOUR_CALM",
    [HBK_H2_INADEQUATE_SECURITY] = "INADEQUATE_SECURITY",
    [HBK_H2_HTTP_1_1_REQUIRED] = "HTTP_1_1_REQUIRED",
};

const char *hbk_h2_code_text(uint32_t code)
{
    return code < HBK_COUNT(code_texts) ? code_texts[code] : "unknown";
}

/* Both directions of HPACK; what was made is freed by fini. */
static hbk_status init_hpack(struct hbk_h2_session *session)
{
    if (nghttp2_hd_deflate_new(&session->deflater, HBK_H2_TABLE_BYTES) != 0) {
        session->deflater = NULL;
        return HBK_NO_MEMORY;
    }
    if (nghttp2_hd_inflate_new(&session->inflater) != 0) {
        session->inflater = NULL;
        return HBK_NO_MEMORY;
    }
    return HBK_OK;
}

hbk_status hbk_h2_init(struct hbk_h2_session *session, enum hbk_h2_role role,
                       const struct hbk_h2_config *config, const struct hbk_h2_sink *sink)
{
    bool is_server = role == HBK_H2_SERVER;
    *session = (struct hbk_h2_session){
        .phase = is_server ? H2_PHASE_PREFACE : H2_PHASE_HEAD,
        .is_server = is_server,
        .send_credit = H2_WINDOW_DEFAULT,
        .peer_stream_window = H2_WINDOW_DEFAULT,
        .peer_frame_bytes_max = HBK_H2_FRAME_BYTES_MAX,
        .peer_streams_max = H2_PEER_STREAMS_DEFAULT,
        .config = config == NULL ? HBK_H2_CONFIG_DEFAULT : *config,
        .next_stream_id = 1,
        .refuse_above_id = UINT32_MAX,
        .goaway_stream_id = UINT32_MAX,
        .sink = *sink,
    };
    HBK_ASSERT(session->config.stream_window_bytes >= H2_WINDOW_DEFAULT &&
               session->config.connection_window_bytes >= H2_WINDOW_DEFAULT &&
               session->config.stream_window_bytes <= session->config.stream_window_bytes_max &&
               session->config.stream_window_bytes_max <= H2_WINDOW_MAX &&
               session->config.connection_window_bytes <= H2_WINDOW_MAX);
    session->receive_credit = session->config.connection_window_bytes;
    h2_table_init(&session->table);
    hbk_status status = init_hpack(session);
    if (status == HBK_OK) {
        h2_write_start(session);
        status = session->has_failed ? HBK_CLOSED : HBK_OK;
    }
    if (status != HBK_OK) {
        hbk_h2_fini(session);
    }
    return status;
}

void hbk_h2_fini(struct hbk_h2_session *session)
{
    for (struct hbk_h2_stream *stream = NULL; (stream = h2_table_any(&session->table)) != NULL;) {
        h2_detach(session, stream);
    }
    h2_table_fini(&session->table);
    if (session->deflater != NULL) {
        nghttp2_hd_deflate_del(session->deflater);
    }
    if (session->inflater != NULL) {
        nghttp2_hd_inflate_del(session->inflater);
    }
    free(session->block);
    h2_drop_partial(session);
    *session = (struct hbk_h2_session){.has_failed = true};
}

/* The last stream that we may have looked at; once told, it never grows (RFC 9113, 6.8). */
static uint32_t last_handled_id(const struct hbk_h2_session *session)
{
    return session->refuse_above_id < session->last_peer_stream_id ? session->refuse_above_id
                                                                   : session->last_peer_stream_id;
}

enum h2_step h2_fail(struct hbk_h2_session *session, enum hbk_h2_code code, const char *text)
{
    if (!session->has_failed) {
        session->failure_code = code;
        session->failure_text = text;
        h2_write_goaway(session, last_handled_id(session), code, text);
        session->has_failed = true;
    }
    return H2_STEP_FAILED;
}

enum h2_step h2_fail_stream(struct hbk_h2_session *session, uint32_t stream_id,
                            struct hbk_h2_stream *stream, enum hbk_h2_code code,
                            struct hbk_h2_event *out_event)
{
    h2_write_reset(session, stream_id, code);
    if (stream == NULL) {
        session->requests_refused++;
        session->stray_bytes_max += session->config.stream_window_bytes;
        h2_expect_late(session, stream_id);
        return H2_STEP_ON;
    }
    h2_detach(session, stream);
    *out_event = (struct hbk_h2_event){
        .kind = HBK_H2_RESET,
        .stream = stream,
        .stream_id = stream_id,
        .code = code,
        .is_ours = true,
    };
    return H2_STEP_EVENT;
}

void h2_detach(struct hbk_h2_session *session, struct hbk_h2_stream *stream)
{
    h2_table_remove(&session->table, stream);
    h2_flow_close(session, stream);
    stream->flags = (uint8_t)((stream->flags & ~HBK_H2_FLAG_OPEN) | HBK_H2_FLAG_CLOSED);
    if (session->last_stream == stream) {
        session->last_stream = NULL;
    }
    if (session->data_stream == stream) {
        session->data_stream = NULL;
    }
    if (session->block != NULL && session->block->stream == stream) {
        session->block->stream = NULL;
        session->block->kind = H2_BLOCK_DROPPED;
    }
}

void h2_end_side(struct hbk_h2_session *session, struct hbk_h2_stream *stream, uint8_t side)
{
    enum { BOTH = HBK_H2_FLAG_LOCAL_ENDED | HBK_H2_FLAG_REMOTE_ENDED };
    stream->flags |= side;
    if ((stream->flags & BOTH) == BOTH) {
        h2_detach(session, stream);
    }
}

enum h2_step h2_add_noise(struct hbk_h2_session *session, int32_t weight)
{
    /* Time pays off first what there was; paying later would allow a second burst at once. */
    uint64_t now_ms = session->now_ns / 1000000;
    uint64_t paid = (now_ms - session->noise_at_ms) * HBK_H2_NOISE_PER_MS;
    if (session->noise > 0) {
        session->noise -= paid < (uint64_t)session->noise ? (int32_t)paid : session->noise;
    }
    session->noise_at_ms = now_ms;
    session->noise += weight;
    if (session->noise <= HBK_H2_NOISE_MAX) {
        return H2_STEP_ON;
    }
    return h2_fail(session, HBK_H2_ENHANCE_YOUR_CALM, "too many frames that achieve nothing");
}

enum h2_step h2_add_early_reset(struct hbk_h2_session *session)
{
    enum { MS_PER_RESET = 1000 / HBK_H2_EARLY_RESETS_PER_S };
    uint64_t now_ms = session->now_ns / 1000000;
    uint64_t paid = (now_ms - session->early_resets_at_ms) / MS_PER_RESET;
    session->early_resets -= paid < session->early_resets ? (uint32_t)paid : session->early_resets;
    session->early_resets_at_ms += paid * MS_PER_RESET; /* a part of one is kept for the next */
    session->early_resets++;
    if (session->early_resets <= HBK_H2_EARLY_RESETS_MAX) {
        return H2_STEP_ON;
    }
    return h2_fail(session, HBK_H2_ENHANCE_YOUR_CALM,
                   "too many requests were reset before their answer");
}

void h2_expect_late(struct hbk_h2_session *session, uint32_t stream_id)
{
    uint32_t *place = &session->late_ids[session->late_next];
    if (*place > session->late_forgotten_id) {
        session->late_forgotten_id = *place;
    }
    *place = stream_id;
    session->late_next = (uint8_t)((session->late_next + 1) % HBK_H2_LATE_STREAMS_MAX);
}

bool h2_is_late(const struct hbk_h2_session *session, uint32_t stream_id)
{
    bool is_late = stream_id <= session->late_forgotten_id;
    for (size_t i = 0; i < HBK_H2_LATE_STREAMS_MAX && !is_late; i++) {
        is_late = session->late_ids[i] == stream_id;
    }
    return is_late;
}

void h2_forget_late(struct hbk_h2_session *session, uint32_t stream_id)
{
    for (size_t i = 0; i < HBK_H2_LATE_STREAMS_MAX; i++) {
        if (session->late_ids[i] == stream_id) {
            session->late_ids[i] = 0;
        }
    }
}

bool h2_is_idle(const struct hbk_h2_session *session, uint32_t stream_id)
{
    if (stream_id % 2 == 0) {
        return true;
    }
    return session->is_server
               ? stream_id > session->last_peer_stream_id
               : session->next_stream_id != 0 && stream_id >= session->next_stream_id;
}

static hbk_status attach(struct hbk_h2_session *session, struct hbk_h2_stream *stream, uint32_t id)
{
    *stream = (struct hbk_h2_stream){.id = id};
    HBK_TRY(h2_table_add(&session->table, stream));
    stream->flags = HBK_H2_FLAG_OPEN;
    h2_flow_open(session, stream);
    return HBK_OK;
}

hbk_status hbk_h2_accept(struct hbk_h2_session *session, const struct hbk_h2_event *event,
                         struct hbk_h2_stream *stream)
{
    HBK_ASSERT(session->pending_id != 0 && session->pending_id == event->stream_id);
    hbk_status status = attach(session, stream, session->pending_id);
    if (status != HBK_OK) {
        hbk_h2_refuse_with_code(session, event, HBK_H2_REFUSED_STREAM);
        return status;
    }
    session->pending_id = 0;
    stream->flags |= session->pending_is_last ? HBK_H2_FLAG_REMOTE_ENDED : 0;
    stream->flags |= session->pending_is_connect ? HBK_H2_FLAG_CONNECT : 0;
    return HBK_OK;
}

static hbk_status write_response(struct hbk_h2_session *session, uint32_t stream_id,
                                 uint32_t status, const struct hbk_h2_field *fields, size_t count,
                                 bool is_last)
{
    HBK_ASSERT(status >= 200 && status <= 999);
    char digits[4];
    snprintf(digits, sizeof(digits), "%03u", status % 1000);
    struct hbk_h2_field first = {.name = HBK_SLICE(":status"), .value = hbk_slice_of(digits, 3)};
    return h2_write_fields(session, stream_id, &first, 1, fields, count, is_last);
}

void hbk_h2_refuse(struct hbk_h2_session *session, const struct hbk_h2_event *event,
                   uint32_t status)
{
    HBK_ASSERT(session->pending_id != 0 && session->pending_id == event->stream_id);
    hbk_status written = write_response(session, event->stream_id, status, NULL, 0, true);
    if (written != HBK_OK) {
        session->pending_id = 0;
    } else if (session->pending_is_last) {
        session->pending_id = 0;
    } else {
        /* An answer before the request's end asks the client to stop (RFC 9113, 8.1). */
        hbk_h2_refuse_with_code(session, event, HBK_H2_NO_ERROR);
    }
}

void hbk_h2_refuse_with_code(struct hbk_h2_session *session, const struct hbk_h2_event *event,
                             uint32_t code)
{
    HBK_ASSERT(session->pending_id != 0 && session->pending_id == event->stream_id);
    session->pending_id = 0;
    h2_write_reset(session, event->stream_id, code);
    if (!session->pending_is_last) {
        session->stray_bytes_max += session->config.stream_window_bytes;
        h2_expect_late(session, event->stream_id);
    }
}

hbk_status hbk_h2_respond(struct hbk_h2_session *session, struct hbk_h2_stream *stream,
                          uint32_t status, const struct hbk_h2_field *fields, size_t count,
                          bool is_last)
{
    enum { BARRED = HBK_H2_FLAG_ANSWERED | HBK_H2_FLAG_LOCAL_ENDED };
    if (session->has_failed || (stream->flags & (HBK_H2_FLAG_OPEN | BARRED)) != HBK_H2_FLAG_OPEN) {
        return HBK_CLOSED;
    }
    HBK_TRY(write_response(session, stream->id, status, fields, count, is_last));
    stream->flags |= HBK_H2_FLAG_ANSWERED;
    if (session->early_resets > 0) {
        session->early_resets--;
    }
    if (is_last) {
        h2_end_side(session, stream, HBK_H2_FLAG_LOCAL_ENDED);
    }
    return HBK_OK;
}

hbk_status hbk_h2_trail(struct hbk_h2_session *session, struct hbk_h2_stream *stream,
                        const struct hbk_h2_field *fields, size_t count)
{
    enum { STATE = HBK_H2_FLAG_OPEN | HBK_H2_FLAG_LOCAL_ENDED };
    if (session->has_failed || (stream->flags & STATE) != HBK_H2_FLAG_OPEN) {
        return HBK_CLOSED;
    }
    HBK_TRY(h2_write_fields(session, stream->id, NULL, 0, fields, count, true));
    h2_end_side(session, stream, HBK_H2_FLAG_LOCAL_ENDED);
    return HBK_OK;
}

bool hbk_h2_can_open(const struct hbk_h2_session *session)
{
    return !session->is_server && !hbk_h2_is_draining(session) &&
           session->table.count < session->peer_streams_max;
}

hbk_status hbk_h2_open(struct hbk_h2_session *session, struct hbk_h2_stream *stream,
                       const struct hbk_h2_request *request, const struct hbk_h2_field *fields,
                       size_t count, bool is_last)
{
    HBK_ASSERT(!session->is_server);
    if (!hbk_h2_can_open(session)) {
        return session->has_failed || session->is_draining ||
                       session->goaway_stream_id != UINT32_MAX
                   ? HBK_CLOSED
                   : HBK_LIMIT;
    }
    struct hbk_h2_field parts[] = {
        {.name = HBK_SLICE(":method"), .value = request->method},
        {.name = HBK_SLICE(":scheme"), .value = request->scheme},
        {.name = HBK_SLICE(":authority"), .value = request->authority},
        {.name = HBK_SLICE(":path"), .value = request->path},
    };
    struct hbk_h2_field first[HBK_COUNT(parts)];
    size_t first_count = 0;
    for (size_t i = 0; i < HBK_COUNT(parts); i++) {
        if (parts[i].value.size > 0) {
            first[first_count++] = parts[i];
        }
    }

    HBK_TRY(attach(session, stream, session->next_stream_id));
    hbk_status status =
        h2_write_fields(session, stream->id, first, first_count, fields, count, is_last);
    if (status != HBK_OK) {
        stream->flags |= HBK_H2_FLAG_REMOTE_ENDED;
        h2_detach(session, stream);
        return status;
    }
    session->next_stream_id =
        session->next_stream_id == H2_STREAM_ID_MAX ? 0 : session->next_stream_id + 2;
    if (hbk_slice_equal(request->method, HBK_SLICE("CONNECT"))) {
        stream->flags |= HBK_H2_FLAG_CONNECT;
    }
    if (is_last) {
        h2_end_side(session, stream, HBK_H2_FLAG_LOCAL_ENDED);
    }
    return HBK_OK;
}

hbk_status hbk_h2_open_connect(struct hbk_h2_session *session, struct hbk_h2_stream *stream,
                               struct hbk_slice authority, const struct hbk_h2_field *fields,
                               size_t count)
{
    struct hbk_h2_request request = {.method = HBK_SLICE("CONNECT"), .authority = authority};
    return hbk_h2_open(session, stream, &request, fields, count, false);
}

void hbk_h2_reset(struct hbk_h2_session *session, struct hbk_h2_stream *stream, uint32_t code)
{
    if ((stream->flags & HBK_H2_FLAG_OPEN) == 0) {
        return;
    }
    /* A stream that the peer's GOAWAY excludes does not exist there. */
    if (session->is_server || stream->id <= session->goaway_stream_id) {
        h2_write_reset(session, stream->id, code);
    }
    h2_detach(session, stream);
}

void hbk_h2_ping(struct hbk_h2_session *session, uint64_t opaque)
{
    h2_write_ping(session, opaque, false);
}

void hbk_h2_drain(struct hbk_h2_session *session)
{
    if (session->is_draining) {
        return;
    }
    if (!session->is_server) {
        hbk_h2_goaway(session, HBK_H2_NO_ERROR);
        return;
    }
    session->is_draining = true;
    session->is_drain_pinged = true;
    h2_write_goaway(session, H2_STREAM_ID_MAX, HBK_H2_NO_ERROR, "");
    h2_write_ping(session, H2_DRAIN_OPAQUE, false);
}

void hbk_h2_goaway(struct hbk_h2_session *session, uint32_t code)
{
    session->is_draining = true;
    session->is_drain_pinged = false; /* an answer would change nothing any more */
    session->refuse_above_id = last_handled_id(session);
    h2_write_goaway(session, session->refuse_above_id, code, "");
}

bool hbk_h2_is_draining(const struct hbk_h2_session *session)
{
    return session->has_failed || session->is_draining || session->goaway_stream_id != UINT32_MAX ||
           session->next_stream_id == 0;
}
