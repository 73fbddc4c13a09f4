/*
 * Windows (RFC 9113, 5.2 and 6.9).
 *
 * Receiving. The connection's window is given back as bytes arrive, so streams that nobody reads
 * cannot exhaust it: what bounds memory is the streams' windows. A stream's window is the sum of
 * three parts,
 *
 *     receive_window = receive_credit (the peer's) + held (by our caller) + returnable
 *
 * and is given back in steps of half of it. A stream that uses up half a window in less than
 * GROW_BELOW_MS gets twice the window, as far as the session's budget for growth goes; one that
 * takes longer than SHRINK_ABOVE_MS has its window halved, by giving back less.
 *
 * Sending. A stream keeps its credit relative to the peer's initial window, so a change of that
 * setting costs nothing per stream. Only when the change could overflow one are all looked at.
 */
#include "wire/http2_session.h"

enum {
    GROW_BELOW_MS = 100,
    SHRINK_ABOVE_MS = 4000,
    /* A DATA frame of ours may cause WINDOW_UPDATE for its stream and for the connection. */
    NOISE_PAID_PER_FRAME = 2 * H2_NOISE_SMALL,
};

static uint32_t now_ms(const struct hbk_h2_session *session)
{
    return (uint32_t)(session->now_ns / 1000000);
}

void h2_flow_open(struct hbk_h2_session *session, struct hbk_h2_stream *stream)
{
    stream->send_credit = 0;
    stream->receive_window = session->config.stream_window_bytes;
    stream->receive_credit = (int32_t)stream->receive_window;
    stream->returnable = 0;
    stream->returned_at_ms = now_ms(session);
}

void h2_flow_close(struct hbk_h2_session *session, struct hbk_h2_stream *stream)
{
    session->growth_bytes -= stream->receive_window - session->config.stream_window_bytes;
    stream->receive_window = session->config.stream_window_bytes;
    if ((stream->flags & HBK_H2_FLAG_REMOTE_ENDED) == 0) {
        /* We end it first: what the peer still sends on old credit is no fault of its. */
        session->stray_bytes_max += (uint64_t)stream->receive_credit;
        h2_expect_late(session, stream->id);
    }
}

static void return_connection_credit(struct hbk_h2_session *session)
{
    int64_t used = session->config.connection_window_bytes - session->receive_credit;
    if (used > session->config.connection_window_bytes / 2) {
        session->receive_credit += used;
        h2_write_window_update(session, 0, (uint32_t)used);
    }
}

enum h2_step h2_receive(struct hbk_h2_session *session, struct hbk_h2_stream *stream, size_t size,
                        struct hbk_h2_event *out_event)
{
    if ((int64_t)size > session->receive_credit) {
        return h2_fail(session, HBK_H2_FLOW_CONTROL_ERROR,
                       "DATA beyond the connection's window (RFC 9113, 6.9.1)");
    }
    session->receive_credit -= (int64_t)size;
    return_connection_credit(session);

    if (stream == NULL) {
        uint32_t id = session->frame_stream_id;
        if (size > session->stray_bytes_max || !h2_is_late(session, id)) {
            return h2_fail(session, HBK_H2_STREAM_CLOSED,
                           "DATA on a closed stream (RFC 9113, 5.1)");
        }
        session->stray_bytes_max -= size;
        if ((session->frame_flags & H2_FLAG_END_STREAM) != 0) {
            h2_forget_late(session, id);
        }
        return H2_STEP_ON;
    }
    if ((int64_t)size > stream->receive_credit) {
        return h2_fail_stream(session, stream->id, stream, HBK_H2_FLOW_CONTROL_ERROR, out_event);
    }
    stream->receive_credit -= (int32_t)size;
    return H2_STEP_ON;
}

/* The window that a stream deserves which used up half of its own in `elapsed_ms`. */
static uint32_t fitting_window(const struct hbk_h2_session *session,
                               const struct hbk_h2_stream *stream, uint32_t elapsed_ms)
{
    uint32_t window = stream->receive_window;
    if (elapsed_ms < GROW_BELOW_MS && window <= session->config.stream_window_bytes_max / 2 &&
        window <= HBK_H2_WINDOW_GROWTH_BYTES_MAX - session->growth_bytes) {
        return window * 2;
    }
    if (elapsed_ms > SHRINK_ABOVE_MS && window / 2 >= session->config.stream_window_bytes) {
        return window / 2;
    }
    return window;
}

static void return_stream_credit(struct hbk_h2_session *session, struct hbk_h2_stream *stream)
{
    uint32_t elapsed_ms = now_ms(session) - stream->returned_at_ms;
    uint32_t window = fitting_window(session, stream, elapsed_ms);

    /* At least half of the old window is returnable, so halving it leaves no negative sum. */
    uint32_t size = stream->returnable + window - stream->receive_window;
    session->growth_bytes += window - stream->receive_window;
    stream->receive_window = window;
    stream->returnable = 0;
    stream->returned_at_ms = now_ms(session);
    if (size > 0) {
        stream->receive_credit += (int32_t)size;
        h2_write_window_update(session, stream->id, size);
    }
}

void hbk_h2_consumed(struct hbk_h2_session *session, struct hbk_h2_stream *stream, size_t size)
{
    if ((stream->flags & (HBK_H2_FLAG_OPEN | HBK_H2_FLAG_REMOTE_ENDED)) != HBK_H2_FLAG_OPEN) {
        return;
    }
    size_t held = stream->receive_window - (uint32_t)stream->receive_credit - stream->returnable;
    HBK_ASSERT(size <= held);
    stream->returnable += (uint32_t)size;
    if (stream->returnable >= (stream->receive_window + 1) / 2) {
        return_stream_credit(session, stream);
    }
}

void hbk_h2_frame_data(struct hbk_h2_session *session, struct hbk_h2_stream *stream,
                       uint8_t header[static HBK_H2_FRAME_HEADER_BYTES], size_t size, bool is_last)
{
    HBK_ASSERT(size <= hbk_h2_send_credit(session, stream));
    HBK_ASSERT((stream->flags & (HBK_H2_FLAG_OPEN | HBK_H2_FLAG_LOCAL_ENDED)) == HBK_H2_FLAG_OPEN);
    stream->send_credit -= (int32_t)size;
    session->send_credit -= (int64_t)size;
    h2_pay_noise(session, NOISE_PAID_PER_FRAME);
    h2_store_head(header, size, H2_DATA, is_last ? H2_FLAG_END_STREAM : 0, stream->id);
    if (is_last) {
        h2_end_side(session, stream, HBK_H2_FLAG_LOCAL_ENDED);
    }
}

static enum h2_step add_connection_credit(struct hbk_h2_session *session, uint32_t size,
                                          struct hbk_h2_event *out_event)
{
    if (size == 0) {
        return h2_fail(session, HBK_H2_PROTOCOL_ERROR, "WINDOW_UPDATE of zero (RFC 9113, 6.9)");
    }
    bool was_blocked = session->send_credit <= 0;
    session->send_credit += size;
    if (session->send_credit > H2_WINDOW_MAX) {
        return h2_fail(session, HBK_H2_FLOW_CONTROL_ERROR,
                       "the connection's window overflows (RFC 9113, 6.9.1)");
    }
    if (!was_blocked) {
        return H2_STEP_ON;
    }
    *out_event = (struct hbk_h2_event){.kind = HBK_H2_CREDIT};
    return H2_STEP_EVENT;
}

static enum h2_step add_stream_credit(struct hbk_h2_session *session, struct hbk_h2_stream *stream,
                                      uint32_t size, struct hbk_h2_event *out_event)
{
    if (size == 0) {
        return h2_fail_stream(session, stream->id, stream, HBK_H2_PROTOCOL_ERROR, out_event);
    }
    int64_t before = session->peer_stream_window + stream->send_credit;
    if (before + size > H2_WINDOW_MAX) {
        return h2_fail_stream(session, stream->id, stream, HBK_H2_FLOW_CONTROL_ERROR, out_event);
    }
    stream->send_credit += (int32_t)size;
    if (stream->send_credit > session->send_credit_max) {
        session->send_credit_max = stream->send_credit;
    }
    bool has_opened = before <= 0 && before + size > 0;
    if (!has_opened || (stream->flags & HBK_H2_FLAG_LOCAL_ENDED) != 0) {
        return H2_STEP_ON;
    }
    *out_event =
        (struct hbk_h2_event){.kind = HBK_H2_CREDIT, .stream = stream, .stream_id = stream->id};
    return H2_STEP_EVENT;
}

enum h2_step h2_take_window_update(struct hbk_h2_session *session, struct hbk_slice payload,
                                   struct hbk_h2_event *out_event)
{
    if (payload.size != 4) {
        return h2_fail(session, HBK_H2_FRAME_SIZE_ERROR, "WINDOW_UPDATE is not 4 bytes");
    }
    if (h2_add_noise(session, H2_NOISE_SMALL) == H2_STEP_FAILED) {
        return H2_STEP_FAILED;
    }
    uint32_t size = h2_load_u32(payload.bytes) & H2_WINDOW_MAX;
    uint32_t id = session->frame_stream_id;
    if (id == 0) {
        return add_connection_credit(session, size, out_event);
    }
    struct hbk_h2_stream *stream = h2_table_find(&session->table, id);
    if (stream != NULL) {
        return add_stream_credit(session, stream, size, out_event);
    }
    if (h2_is_idle(session, id)) {
        return h2_fail(session, HBK_H2_PROTOCOL_ERROR,
                       "WINDOW_UPDATE on an idle stream (RFC 9113, 5.1)");
    }
    return H2_STEP_ON;
}

/* Whether some stream's window would overflow under that initial window; tightens the bound. */
static bool overflows(struct hbk_h2_session *session, uint32_t size)
{
    session->send_credit_max = 0;
    const struct hbk_h2_table *table = &session->table;
    for (size_t i = 0; table->slots != NULL && i < (size_t)1 << table->bits; i++) {
        const struct hbk_h2_stream *stream = table->slots[i];
        if (stream != NULL && stream->send_credit > session->send_credit_max) {
            session->send_credit_max = stream->send_credit;
        }
    }
    return size + session->send_credit_max > H2_WINDOW_MAX;
}

bool h2_set_peer_window(struct hbk_h2_session *session, uint32_t size)
{
    if (size + session->send_credit_max > H2_WINDOW_MAX && overflows(session, size)) {
        return false;
    }
    session->peer_stream_window = size;
    return true;
}
