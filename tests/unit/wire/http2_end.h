/* One end of an HTTP/2 connection for tests: a session whose sink is a growing buffer. */
#pragma once

#include "harness.h"

#include "base/buffer.h"
#include "wire/http2.h"

enum { END_OUT_BYTES_MAX = 64 << 20 };

struct end {
    struct hbk_h2_session session;
    struct hbk_buffer out; /* what the session sent and nobody took yet */
};

static inline struct hbk_span end_reserve(void *owner, size_t size)
{
    struct end *end = owner;
    struct hbk_span room = {0};
    assert_true(size <= HBK_H2_RESERVE_BYTES_MAX);
    return hbk_buffer_reserve(&end->out, size, &room) == HBK_OK ? room : hbk_span_of(NULL, 0);
}

static inline void end_commit(void *owner, size_t size)
{
    struct end *end = owner;
    hbk_buffer_commit(&end->out, size);
}

static inline void end_init(struct end *end, enum hbk_h2_role role,
                            const struct hbk_h2_config *config)
{
    hbk_buffer_init(&end->out, END_OUT_BYTES_MAX);
    struct hbk_h2_sink sink = {.owner = end, .reserve = end_reserve, .commit = end_commit};
    assert_int_equal(hbk_h2_init(&end->session, role, config, &sink), HBK_OK);
}

static inline void end_fini(struct end *end)
{
    hbk_h2_fini(&end->session);
    hbk_buffer_fini(&end->out);
}

/* Frames and sends as much of `payload` as the windows allow; returns the bytes sent. */
static inline size_t end_send(struct end *end, struct hbk_h2_stream *stream,
                              struct hbk_slice payload, bool is_last)
{
    size_t sent = 0;
    bool has_ended = false;
    while (!has_ended && (sent < payload.size || (payload.size == 0 && is_last))) {
        size_t size = hbk_h2_send_credit(&end->session, stream);
        size = size < payload.size - sent ? size : payload.size - sent;
        if (size == 0 && payload.size > 0) {
            break;
        }
        has_ended = is_last && sent + size == payload.size;
        uint8_t header[HBK_H2_FRAME_HEADER_BYTES];
        hbk_h2_frame_data(&end->session, stream, header, size, has_ended);
        assert_int_equal(hbk_buffer_append(&end->out, hbk_slice_of(header, sizeof(header))),
                         HBK_OK);
        assert_int_equal(hbk_buffer_append(&end->out, hbk_slice_of(payload.bytes + sent, size)),
                         HBK_OK);
        sent += size;
    }
    return sent;
}

/* Reads `bytes` that can hold no event. */
static inline void end_read_quietly(struct end *end, struct hbk_slice bytes)
{
    struct hbk_h2_event event;
    assert_int_equal(hbk_h2_read(&end->session, &bytes, &event), HBK_H2_NEED_MORE);
    assert_int_equal(bytes.size, 0);
}

/* Passes everything `from` has sent to `to`, dropping events, until neither has more to say. */
static inline void ends_settle(struct end *a, struct end *b)
{
    while (!hbk_buffer_is_empty(&a->out) || !hbk_buffer_is_empty(&b->out)) {
        struct end *from = hbk_buffer_is_empty(&a->out) ? b : a;
        struct end *to = from == a ? b : a;
        struct hbk_slice bytes = hbk_buffer_slice(&from->out);
        struct hbk_h2_event event;
        enum hbk_h2_answer answer;
        do {
            answer = hbk_h2_read(&to->session, &bytes, &event);
        } while (answer == HBK_H2_EVENT);
        assert_int_equal(answer, HBK_H2_NEED_MORE);
        hbk_buffer_consume(&from->out, hbk_buffer_size(&from->out));
    }
}

/* Passes bytes until an event of that kind comes out of `to`, and returns it; both ends read. The
 * input stays in from->out until the next call. */
static inline struct hbk_h2_event ends_wait(struct end *from, struct end *to,
                                            enum hbk_h2_event_kind kind)
{
    struct hbk_slice bytes = hbk_buffer_slice(&from->out);
    size_t size = bytes.size;
    struct hbk_h2_event event = {0};
    while (hbk_h2_read(&to->session, &bytes, &event) == HBK_H2_EVENT) {
        if (event.kind == kind) {
            hbk_buffer_consume(&from->out, 0);
            from->out.start += size - bytes.size;
            return event;
        }
    }
    fail_msg("event %d did not come; failure: %s", (int)kind,
             to->session.failure_text == NULL ? "none" : to->session.failure_text);
    return event;
}
