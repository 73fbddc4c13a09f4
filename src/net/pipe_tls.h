/* The TLS side of a pipe: what pipe.c calls where a session lies between. Private to pipes. */
#pragma once

#include "net/pipe.h"
#include "os/socket.h"

/* Begins; `pipe->tls` is there afterwards. Fails as hbk_tls_session_new(). */
HBK_MUST_USE hbk_status hbk_pipe_tls_start(struct hbk_pipe *pipe,
                                           const struct hbk_pipe_security *security);
void hbk_pipe_tls_fini(struct hbk_pipe *pipe);

/* A client's first message, once TCP stands. */
void hbk_pipe_tls_begin(struct hbk_pipe *pipe);

/* Where the next bytes of the socket go, and that they have come. */
struct hbk_span hbk_pipe_tls_room(const struct hbk_pipe *pipe);
void hbk_pipe_tls_received(struct hbk_pipe *pipe, size_t size);

/* Opens what was left over when the pipe was paused. True when some of it was used. */
bool hbk_pipe_tls_go_on(struct hbk_pipe *pipe);

/* Each sends as much as the socket takes: DONE means all of it. */
enum hbk_io hbk_pipe_tls_send_sealed(struct hbk_pipe *pipe);
enum hbk_io hbk_pipe_tls_seal(struct hbk_pipe *pipe, size_t *out_size); /* of `out`; plain bytes */
enum hbk_io hbk_pipe_tls_flush(struct hbk_pipe *pipe);
enum hbk_io hbk_pipe_tls_shutdown(struct hbk_pipe *pipe); /* close_notify */

/* pipe.c */
void hbk_pipe_fail(struct hbk_pipe *pipe, int error);
void hbk_pipe_flush_now(struct hbk_pipe *pipe);
