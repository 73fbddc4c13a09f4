/*
 * A passthrough joins two sockets in plain text, both ways, with half close, reset and
 * back-pressure: for destinations outside the mesh and for plain text that the mode permits. It
 * lies in an object of the owner's. One worker's thread.
 */
#pragma once

#include "base/buffer.h"
#include "net/failure.h"
#include "net/net.h"

enum {
    /* What one direction holds while the receiving socket is full. */
    HBK_PASSTHROUGH_BACKLOG_BYTES_MAX = 64 * 1024,
};

struct hbk_passthrough;

struct hbk_passthrough_events {
    /* The second socket's connection stands, or failed with this errno (then close). */
    void (*on_connected)(struct hbk_passthrough *passthrough, int error);
    /* The last call, at the end of a turn: log and free. */
    void (*on_closed)(struct hbk_passthrough *passthrough);
};

/* One socket, and what waits to be sent on it. */
struct hbk_passthrough_side {
    struct hbk_source source;
    struct hbk_buffer backlog;
    uint64_t received_bytes; /* from this socket */
    bool has_ended;          /* the other side of this socket ended its direction */
    bool is_shut;            /* we ended ours */
};

struct hbk_passthrough {
    struct hbk_net *net; /* borrowed */
    const struct hbk_passthrough_events *events;
    struct hbk_passthrough_side sides[2]; /* the accepted one, and the one we opened */
    struct hbk_task task;
    struct hbk_timer timer; /* the connect timeout */
    struct hbk_failure failure;
    bool is_connecting;
    bool is_closed;
};

/*
 * Takes an accepted socket and one that is connecting; both are owned from here on. Fails as
 * hbk_loop_add(); then both are closed and on_closed is not called.
 */
HBK_MUST_USE hbk_status hbk_passthrough_start(struct hbk_passthrough *passthrough,
                                              struct hbk_net *net, int accepted_fd,
                                              int connecting_fd,
                                              const struct hbk_passthrough_events *events);

/* Resets both sockets; on_closed follows. Idempotent. */
void hbk_passthrough_abort(struct hbk_passthrough *passthrough);
