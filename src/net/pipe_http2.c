#include "net/pipe_http2.h"

static struct hbk_span reserve(void *owner, size_t size)
{
    struct hbk_pipe *pipe = owner;
    struct hbk_span room = {NULL, 0};
    if (pipe->is_closed || hbk_buffer_reserve(&pipe->out, size, &room) != HBK_OK) {
        return hbk_span_of(NULL, 0);
    }
    return room;
}

static void commit(void *owner, size_t size)
{
    struct hbk_pipe *pipe = owner;
    hbk_buffer_commit(&pipe->out, size);
    hbk_pipe_send(pipe);
}

struct hbk_h2_sink hbk_pipe_http2_sink(struct hbk_pipe *pipe)
{
    return (struct hbk_h2_sink){.owner = pipe, .reserve = reserve, .commit = commit};
}

uint32_t hbk_pipe_http2_window_max(size_t buffer_bytes, uint32_t allowed)
{
    size_t most = buffer_bytes + HBK_PIPE_OUT_EXTRA_BYTES;
    most = most < HBK_H2_STREAM_WINDOW_BYTES_MAX ? most : HBK_H2_STREAM_WINDOW_BYTES_MAX;
    return allowed < most ? allowed : (uint32_t)most;
}

static bool frame(struct hbk_h2_session *session, struct hbk_h2_stream *stream,
                  struct hbk_slice data, bool is_last, struct hbk_pipe *pipe)
{
    struct hbk_span room;
    if (hbk_buffer_reserve(&pipe->out, HBK_H2_FRAME_HEADER_BYTES + data.size, &room) != HBK_OK) {
        return false;
    }
    hbk_h2_frame_data(session, stream, room.bytes, data.size, is_last);
    if (data.size > 0) {
        memcpy(room.bytes + HBK_H2_FRAME_HEADER_BYTES, data.bytes, data.size);
    }
    hbk_buffer_commit(&pipe->out, HBK_H2_FRAME_HEADER_BYTES + data.size);
    hbk_pipe_send(pipe);
    return true;
}

size_t hbk_pipe_http2_pump(struct hbk_h2_session *session, struct hbk_h2_stream *stream,
                           struct hbk_buffer *out, bool *is_last, struct hbk_pipe *pipe,
                           size_t pipe_bytes_max)
{
    size_t moved = 0;
    while (!hbk_h2_is_closed(stream) && !session->has_failed) {
        size_t left = hbk_buffer_size(out);
        size_t credit = hbk_h2_send_credit(session, stream);
        size_t size = left < credit ? left : credit;
        if (hbk_buffer_size(&pipe->out) >= pipe_bytes_max) {
            break;
        }
        bool ends = *is_last && size == left && (stream->flags & HBK_H2_FLAG_LOCAL_ENDED) == 0;
        if (size == 0 && !(ends && left == 0)) {
            break;
        }
        if (!frame(session, stream, hbk_slice_part(hbk_buffer_slice(out), 0, size), ends, pipe)) {
            break;
        }
        hbk_buffer_consume(out, size);
        moved += size;
        if (ends) {
            *is_last = false;
            break;
        }
    }
    return moved;
}
