/*
 * A connected socket of the gateway, either side: bytes that arrive go up in slices, bytes that are
 * to be sent gather in one buffer and leave once a turn. This is the seam of the transport: a TLS
 * session may lie between the socket and the owner, who sees plain text either way.
 *
 *     socket --> receive -----[ open ]-------------> on_bytes(slice)   owner
 *     socket <-- flush, in the write phase <--[ seal ]-- out <-------- owner
 *
 * Invariants:
 * 1. Nothing of the owner is called after hbk_pipe_close(); on_closed is the last call, at the
 *    end of the turn, and may free the memory.
 * 2. A paused pipe reads nothing; what the kernel holds is the back-pressure.
 *
 * One worker's thread.
 */
#pragma once

#include "base/address.h"
#include "base/buffer.h"
#include "base/list.h"
#include "net/net.h"
#include "tls/session.h"

enum {
    HBK_PIPE_READ_BYTES = 64 * 1024,  /* of one receive */
    HBK_PIPE_TURN_BYTES = 256 * 1024, /* of one turn, before others have theirs */
    /* What may wait for a slow socket: a body's limit, and control frames or heads above it. */
    HBK_PIPE_OUT_EXTRA_BYTES = 256 * 1024,
    HBK_PIPE_SEALED_BYTES_MAX = 2 * HBK_NET_OUTPUT_BYTES,
};

struct hbk_pipe;

struct hbk_pipe_events {
    /* TCP stands (of hbk_pipe_connect()), and TLS, where there is any (of either side). */
    void (*on_connected)(struct hbk_pipe *pipe);
    void (*on_bytes)(struct hbk_pipe *pipe, struct hbk_slice bytes);
    void (*on_end)(struct hbk_pipe *pipe);     /* the peer sends no more; all bytes came before */
    void (*on_flushed)(struct hbk_pipe *pipe); /* some of `out` was sent */
    /* The socket failed (errno in `error`), or the connection could not be made. The pipe is
     * closed already; on_closed follows. */
    void (*on_failed)(struct hbk_pipe *pipe, int error);
    void (*on_closed)(struct hbk_pipe *pipe);
};

/* TLS on a pipe; borrowed for the call. */
struct hbk_pipe_security {
    struct hbk_tls_context *context;
    bool is_server;
    struct hbk_slice server_name; /* a client's */
};

enum { HBK_PIPE_FAILURE_BYTES_MAX = 256 };

struct hbk_pipe {
    struct hbk_source source;
    struct hbk_net *net; /* borrowed */
    const struct hbk_pipe_events *events;
    struct hbk_buffer out; /* may be appended to; then hbk_pipe_send() */
    struct hbk_task task;  /* reads again, or buries */
    struct hbk_task write;
    uint64_t received_bytes, sent_bytes;
    bool is_connecting, is_paused, has_ended, is_shut, is_closed;
    bool closes_when_sent; /* and ends our direction first */
    bool lingers;          /* and then waits for the peer's end */
    bool shuts_when_sent;

    /* TLS; see pipe_tls.h. The byte counts above are the socket's. */
    struct hbk_tls_session *tls; /* owned */
    struct hbk_buffer sealed;    /* waits for the socket */
    struct hbk_buffer partial;   /* of a record that is not whole yet, or read while paused */
    struct hbk_task flight;
    uint64_t plain_received_bytes, plain_sent_bytes;
    bool has_tls, is_shaking, is_waiting, is_untrusted;
    const char *failure_text; /* of TLS, within on_failed only; NULL: none */
};

/* Takes an accepted socket; out_bytes_max bounds `out`; `security` may be NULL. Fails: HBK_LIMIT,
 * HBK_NO_MEMORY, HBK_IO; the socket is closed then and no callback comes. */
HBK_MUST_USE hbk_status hbk_pipe_open(struct hbk_pipe *pipe, struct hbk_net *net, int fd,
                                      size_t out_bytes_max,
                                      const struct hbk_pipe_security *security,
                                      const struct hbk_pipe_events *events);

/* Connects. `source` and `security` may be NULL. Fails as hbk_socket_connect(), and as above. */
HBK_MUST_USE hbk_status hbk_pipe_connect(struct hbk_pipe *pipe, struct hbk_net *net,
                                         const struct hbk_address *to,
                                         const struct hbk_address *source, size_t out_bytes_max,
                                         const struct hbk_pipe_security *security,
                                         const struct hbk_pipe_events *events);

/* What `out` holds leaves in this turn's write phase. */
void hbk_pipe_send(struct hbk_pipe *pipe);

void hbk_pipe_pause(struct hbk_pipe *pipe);
void hbk_pipe_resume(struct hbk_pipe *pipe);

/* Ends our direction once `out` is sent; the peer may go on. */
void hbk_pipe_end(struct hbk_pipe *pipe);

/* Sends what is left, then closes. Reading stops. Also when the socket stays full: the owner has a
 * timer for that. */
void hbk_pipe_close_when_sent(struct hbk_pipe *pipe);

/*
 * The same, but closes only when the peer has ended its direction, too; what it sends until then is
 * thrown away. Closing with unread bytes would reset the connection, and a peer that is still
 * sending would lose the answer that was sent last. The owner has a timer for peers without an end.
 */
void hbk_pipe_close_gently(struct hbk_pipe *pipe);

/* Closes now. Idempotent. */
void hbk_pipe_close(struct hbk_pipe *pipe);
void hbk_pipe_reset(struct hbk_pipe *pipe); /* the same with a reset on the wire */
