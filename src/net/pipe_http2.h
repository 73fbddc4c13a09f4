/* An HTTP/2 session writes into a pipe's buffer. */
#pragma once

#include "net/pipe.h"
#include "wire/http2.h"

/* A sink for that pipe, which must outlive the session. */
struct hbk_h2_sink hbk_pipe_http2_sink(struct hbk_pipe *pipe);

/* The largest window of a stream whose bytes wait in a buffer made for `buffer_bytes` when the
 * other side does not take them; `allowed` by the configuration. */
uint32_t hbk_pipe_http2_window_max(size_t buffer_bytes, uint32_t allowed);

/*
 * Moves what waits in `out` into frames as far as windows and the pipe's limit allow. Returns the
 * bytes moved. `*is_last` becomes false once the end was framed too.
 */
size_t hbk_pipe_http2_pump(struct hbk_h2_session *session, struct hbk_h2_stream *stream,
                           struct hbk_buffer *out, bool *is_last, struct hbk_pipe *pipe,
                           size_t pipe_bytes_max);
