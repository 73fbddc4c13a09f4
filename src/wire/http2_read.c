/*
 * Frames in. A frame header is read in place when it is whole, and gathered in nine bytes when it
 * is not. DATA is lent to the caller as it comes, however it is split; any other frame is handled
 * whole: in place when all of it is there, else from a copy that lives until it is complete.
 *
 *     PREFACE -> HEAD -+-> PAYLOAD ---------------------------------------> HEAD
 *                      +-> [DATA_PAD ->] DATA -> [SKIP, the padding ->] --> HEAD
 *                      +-> SKIP (unknown types, DATA on streams that are gone) -> HEAD
 */
#include "wire/http2_session.h"

#include <stdlib.h>

static const uint8_t client_preface[] = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
enum { PREFACE_BYTES = sizeof(client_preface) - 1 };

static inline void skip(struct hbk_slice *input, size_t size)
{
    input->bytes += size;
    input->size -= size;
}

static enum h2_step read_preface(struct hbk_h2_session *session, struct hbk_slice *input)
{
    size_t size = PREFACE_BYTES - session->head_bytes;
    size = size < input->size ? size : input->size;
    if (size > 0 && memcmp(input->bytes, client_preface + session->head_bytes, size) != 0) {
        return h2_fail(session, HBK_H2_PROTOCOL_ERROR,
                       "the client's preface is not HTTP/2's (RFC 9113, 3.4)");
    }
    skip(input, size);
    session->head_bytes = (uint8_t)(session->head_bytes + size);
    if (session->head_bytes < PREFACE_BYTES) {
        return H2_STEP_EMPTY;
    }
    session->head_bytes = 0;
    session->phase = H2_PHASE_HEAD;
    return H2_STEP_ON;
}

static struct hbk_h2_stream *find_stream(struct hbk_h2_session *session, uint32_t id)
{
    struct hbk_h2_stream *last = session->last_stream;
    if (HBK_LIKELY(last != NULL && last->id == id)) {
        return last;
    }
    struct hbk_h2_stream *stream = h2_table_find(&session->table, id);
    session->last_stream = stream;
    return stream;
}

/* The rules for DATA on this stream other than windows. NO_ERROR: none is broken. */
static enum hbk_h2_code judge_data(const struct hbk_h2_session *session,
                                   const struct hbk_h2_stream *stream)
{
    if ((stream->flags & HBK_H2_FLAG_REMOTE_ENDED) != 0) {
        return HBK_H2_STREAM_CLOSED;
    }
    if (!session->is_server && (stream->flags & HBK_H2_FLAG_ANSWERED) == 0) {
        return HBK_H2_PROTOCOL_ERROR;
    }
    return HBK_H2_NO_ERROR;
}

static enum h2_step begin_data(struct hbk_h2_session *session, struct hbk_h2_event *out_event)
{
    uint32_t id = session->frame_stream_id;
    if (id == 0 || session->frame_bytes < ((session->frame_flags & H2_FLAG_PADDED) != 0)) {
        return id == 0 ? h2_fail(session, HBK_H2_PROTOCOL_ERROR, "DATA on stream 0 (RFC 9113, 6.1)")
                       : h2_fail(session, HBK_H2_FRAME_SIZE_ERROR,
                                 "padded DATA has no length of padding (RFC 9113, 6.1)");
    }
    struct hbk_h2_stream *stream = find_stream(session, id);
    session->data_stream = stream;
    session->padding_bytes = 0;
    session->phase = stream == NULL                                 ? H2_PHASE_SKIP
                     : (session->frame_flags & H2_FLAG_PADDED) != 0 ? H2_PHASE_DATA_PAD
                                                                    : H2_PHASE_DATA;
    if (HBK_UNLIKELY(stream == NULL && h2_is_idle(session, id))) {
        return h2_fail(session, HBK_H2_PROTOCOL_ERROR, "DATA on an idle stream (RFC 9113, 5.1)");
    }
    bool is_end = stream != NULL && (session->frame_flags & H2_FLAG_END_STREAM) != 0;
    if (HBK_LIKELY(session->frame_bytes > 0)) {
        h2_pay_noise(session, H2_NOISE_SMALL);
    } else if (!is_end && h2_add_noise(session, H2_NOISE_SMALL) == H2_STEP_FAILED) {
        return H2_STEP_FAILED;
    }

    enum h2_step step = h2_receive(session, stream, session->frame_bytes, out_event);
    if (step != H2_STEP_ON || stream == NULL) {
        return step;
    }
    enum hbk_h2_code code = judge_data(session, stream);
    return code == HBK_H2_NO_ERROR ? H2_STEP_ON
                                   : h2_fail_stream(session, id, stream, code, out_event);
}

static enum h2_step begin_frame(struct hbk_h2_session *session, const uint8_t *head,
                                struct hbk_h2_event *out_event)
{
    session->frame_bytes = h2_load_u24(head);
    session->frame_type = head[3];
    session->frame_flags = head[4];
    session->frame_stream_id = h2_load_u32(head + 5) & H2_STREAM_ID_MAX;
    session->head_bytes = 0;

    if (HBK_UNLIKELY(session->frame_bytes > HBK_H2_FRAME_BYTES_MAX)) {
        return h2_fail(session, HBK_H2_FRAME_SIZE_ERROR,
                       "a frame is longer than 16384 bytes (RFC 9113, 4.2)");
    }
    if (HBK_UNLIKELY(!session->is_settled && (session->frame_type != H2_SETTINGS ||
                                              (session->frame_flags & H2_FLAG_ACK) != 0))) {
        return h2_fail(session, HBK_H2_PROTOCOL_ERROR,
                       "the first frame is not SETTINGS (RFC 9113, 3.4)");
    }
    if (HBK_UNLIKELY(session->block != NULL &&
                     (session->frame_type != H2_CONTINUATION ||
                      session->frame_stream_id != session->block->stream_id))) {
        return h2_fail(session, HBK_H2_PROTOCOL_ERROR,
                       "another frame inside a block of header fields (RFC 9113, 6.10)");
    }
    if (HBK_LIKELY(session->frame_type == H2_DATA)) {
        return begin_data(session, out_event);
    }
    if (session->frame_type > H2_CONTINUATION) {
        session->phase = H2_PHASE_SKIP;
        return h2_add_noise(session, H2_NOISE_SMALL);
    }
    session->phase = H2_PHASE_PAYLOAD;
    return H2_STEP_ON;
}

static enum h2_step read_head(struct hbk_h2_session *session, struct hbk_slice *input,
                              struct hbk_h2_event *out_event)
{
    if (HBK_LIKELY(session->head_bytes == 0 && input->size >= HBK_H2_FRAME_HEADER_BYTES)) {
        const uint8_t *head = input->bytes;
        skip(input, HBK_H2_FRAME_HEADER_BYTES);
        return begin_frame(session, head, out_event);
    }
    size_t size = (size_t)HBK_H2_FRAME_HEADER_BYTES - session->head_bytes;
    size = size < input->size ? size : input->size;
    if (size > 0) {
        memcpy(session->head + session->head_bytes, input->bytes, size);
    }
    skip(input, size);
    session->head_bytes = (uint8_t)(session->head_bytes + size);
    if (session->head_bytes < HBK_H2_FRAME_HEADER_BYTES) {
        return H2_STEP_EMPTY;
    }
    return begin_frame(session, session->head, out_event);
}

static enum h2_step read_data_pad(struct hbk_h2_session *session, struct hbk_slice *input)
{
    if (input->size == 0) {
        return H2_STEP_EMPTY;
    }
    session->padding_bytes = input->bytes[0];
    skip(input, 1);
    session->frame_bytes--;
    if (session->padding_bytes > session->frame_bytes) {
        return h2_fail(session, HBK_H2_PROTOCOL_ERROR,
                       "padding is longer than its frame (RFC 9113, 6.1)");
    }
    session->frame_bytes -= session->padding_bytes;
    session->phase = H2_PHASE_DATA;
    if (session->data_stream != NULL) {
        /* The caller never sees padding, so giving its credit back falls to us. */
        hbk_h2_consumed(session, session->data_stream, (size_t)session->padding_bytes + 1);
    }
    return session->frame_bytes > 0 ? H2_STEP_ON : h2_add_noise(session, 2 * H2_NOISE_SMALL);
}

/* Behind the last byte of DATA there may be padding to skip. */
static void end_data(struct hbk_h2_session *session)
{
    session->frame_bytes = session->padding_bytes;
    session->phase = session->padding_bytes > 0 ? H2_PHASE_SKIP : H2_PHASE_HEAD;
}

static enum h2_step read_data(struct hbk_h2_session *session, struct hbk_slice *input,
                              struct hbk_h2_event *out_event)
{
    struct hbk_h2_stream *stream = session->data_stream;
    if (stream == NULL) {
        /* Closed by the caller in the midst of the frame. */
        session->frame_bytes += session->padding_bytes;
        session->phase = H2_PHASE_SKIP;
        return H2_STEP_ON;
    }
    size_t size = session->frame_bytes < input->size ? session->frame_bytes : input->size;
    if (size == 0 && session->frame_bytes > 0) {
        return H2_STEP_EMPTY;
    }
    out_event->kind = HBK_H2_DATA;
    out_event->stream = stream;
    out_event->stream_id = stream->id;
    out_event->data = hbk_slice_of(input->bytes, size);
    out_event->is_last = false;
    skip(input, size);
    session->frame_bytes -= (uint32_t)size;
    if (session->frame_bytes == 0) {
        end_data(session);
        if ((session->frame_flags & H2_FLAG_END_STREAM) != 0) {
            out_event->is_last = true;
            h2_end_side(session, stream, HBK_H2_FLAG_REMOTE_ENDED);
        } else if (size == 0) {
            return H2_STEP_ON;
        }
    }
    return H2_STEP_EVENT;
}

static enum h2_step read_skipped(struct hbk_h2_session *session, struct hbk_slice *input)
{
    size_t size = session->frame_bytes < input->size ? session->frame_bytes : input->size;
    skip(input, size);
    session->frame_bytes -= (uint32_t)size;
    if (session->frame_bytes > 0) {
        return H2_STEP_EMPTY;
    }
    session->phase = H2_PHASE_HEAD;
    return H2_STEP_ON;
}

void h2_drop_partial(struct hbk_h2_session *session)
{
    if (session->partial != session->small) {
        free(session->partial);
    }
    session->partial = NULL;
}

/* Gathers a payload that comes in parts; ON when it is complete in session->partial. */
static enum h2_step gather(struct hbk_h2_session *session, struct hbk_slice *input)
{
    if (session->partial == NULL) {
        session->partial = session->frame_bytes <= sizeof(session->small)
                               ? session->small
                               : malloc(session->frame_bytes);
        if (session->partial == NULL) {
            return h2_fail(session, HBK_H2_INTERNAL_ERROR, "out of memory for a frame");
        }
        session->partial_bytes = 0;
    }
    size_t size = session->frame_bytes - session->partial_bytes;
    size = size < input->size ? size : input->size;
    if (size > 0) {
        memcpy(session->partial + session->partial_bytes, input->bytes, size);
    }
    skip(input, size);
    session->partial_bytes += (uint32_t)size;
    return session->partial_bytes < session->frame_bytes ? H2_STEP_EMPTY : H2_STEP_ON;
}

static enum h2_step read_payload(struct hbk_h2_session *session, struct hbk_slice *input,
                                 struct hbk_h2_event *out_event)
{
    struct hbk_slice payload = hbk_slice_of(input->bytes, session->frame_bytes);
    if (session->partial == NULL && input->size >= session->frame_bytes) {
        skip(input, session->frame_bytes);
    } else {
        enum h2_step step = gather(session, input);
        if (step != H2_STEP_ON) {
            return step;
        }
        payload = hbk_slice_of(session->partial, session->partial_bytes);
    }
    session->phase = H2_PHASE_HEAD;
    return h2_take_frame(session, payload, out_event);
}

static enum h2_step read_step(struct hbk_h2_session *session, struct hbk_slice *input,
                              struct hbk_h2_event *out_event)
{
    switch ((enum h2_phase)session->phase) {
    case H2_PHASE_PREFACE:
        return read_preface(session, input);
    case H2_PHASE_HEAD:
        return read_head(session, input, out_event);
    case H2_PHASE_PAYLOAD:
        return read_payload(session, input, out_event);
    case H2_PHASE_DATA_PAD:
        return read_data_pad(session, input);
    case H2_PHASE_DATA:
        return read_data(session, input, out_event);
    case H2_PHASE_SKIP:
        return read_skipped(session, input);
    }
    HBK_UNREACHABLE();
}

/* Ends what the last event lent, and a request that nobody wanted. */
static void settle_last_event(struct hbk_h2_session *session)
{
    if (session->pending_id != 0) {
        struct hbk_h2_event unwanted = {.kind = HBK_H2_REQUEST, .stream_id = session->pending_id};
        hbk_h2_refuse_with_code(session, &unwanted, HBK_H2_REFUSED_STREAM);
    }
    if (session->block != NULL && session->block->is_whole) {
        free(session->block);
        session->block = NULL;
    }
    if (session->phase == H2_PHASE_HEAD) {
        h2_drop_partial(session);
    }
}

enum hbk_h2_answer hbk_h2_read(struct hbk_h2_session *session, struct hbk_slice *input,
                               struct hbk_h2_event *out_event)
{
    if (input->bytes == NULL) {
        *input = HBK_SLICE("");
    }
    for (;;) {
        if (HBK_UNLIKELY(session->block != NULL || session->partial != NULL ||
                         session->pending_id != 0)) {
            settle_last_event(session);
        }
        if (HBK_UNLIKELY(session->has_failed)) {
            return HBK_H2_FAILED;
        }
        switch (read_step(session, input, out_event)) {
        case H2_STEP_ON:
            break;
        case H2_STEP_EMPTY:
            return HBK_H2_NEED_MORE;
        case H2_STEP_EVENT:
            return HBK_H2_EVENT;
        case H2_STEP_FAILED:
            return HBK_H2_FAILED;
        }
    }
}
