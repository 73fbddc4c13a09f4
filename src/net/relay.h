/*
 * A relay joins an application's socket with a stream of a tunnel, in both directions, with half
 * close, reset and back-pressure passed through.
 *
 *     socket --recv--> frame in the tunnel's block        (waits while the tunnel is congested or
 *                                                          the stream has no credit)
 *     socket <--send-- DATA event, or the backlog          (the peer's credit bounds the backlog)
 *
 * It lies in an object of the owner's, which also decides what happens around it: whom to connect
 * to, what to log. One worker's thread.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/buffer.h"
#include "base/list.h"
#include "net/failure.h"
#include "net/net.h"
#include "wire/http2.h"

struct hbk_relay;
struct hbk_tunnel;

struct hbk_relay_events {
    /* The socket's connection stands, or failed with this errno. Only after hbk_relay_connect(). */
    void (*on_connected)(struct hbk_relay *relay, int error);
    /* Client: the CONNECT was answered. */
    void (*on_answer)(struct hbk_relay *relay, uint32_t status);
    /* Client: the stream ended before its answer; the relay is without a stream again and
     * relay->failure says why. The owner tries elsewhere or closes. */
    void (*on_refused)(struct hbk_relay *relay);
    /* The last call, at the end of a turn: log and free. */
    void (*on_closed)(struct hbk_relay *relay);
};

struct hbk_relay {
    struct hbk_source source;
    struct hbk_h2_stream stream;
    struct hbk_net *net;       /* borrowed */
    struct hbk_tunnel *tunnel; /* borrowed; NULL without a stream */
    const struct hbk_relay_events *events;
    struct hbk_link in_tunnel; /* on tunnel->relays */
    struct hbk_link blocked;   /* on tunnel->blocked */
    struct hbk_buffer backlog; /* towards the socket */
    struct hbk_task task;      /* the burial */
    uint64_t sent_bytes;       /* from the socket into the stream */
    uint64_t received_bytes;   /* from the stream into the socket */
    struct hbk_failure failure;
    uint16_t flags; /* HBK_RELAY_... */
};

enum {
    HBK_RELAY_CONNECTING = 1 << 0,   /* the socket is */
    HBK_RELAY_ASKED = 1 << 1,        /* client: CONNECT sent, answer not yet here */
    HBK_RELAY_STARTED = 1 << 2,      /* data flows */
    HBK_RELAY_SOCKET_ENDED = 1 << 3, /* the application ended its direction; END_STREAM sent */
    HBK_RELAY_STREAM_ENDED = 1 << 4, /* the peer sent END_STREAM */
    HBK_RELAY_SOCKET_SHUT = 1 << 5,  /* ... and the socket got its FIN */
    HBK_RELAY_CLOSED = 1 << 6,
};

/* Takes `fd`, which the relay owns from here on. Fails as hbk_loop_add(); then fd is closed and
 * on_closed is not called. `relay` is zeroed or fresh memory. */
HBK_MUST_USE hbk_status hbk_relay_init(struct hbk_relay *relay, struct hbk_net *net, int fd,
                                       bool is_connecting, const struct hbk_relay_events *events);

/* A relay without a socket yet: the stream first (inbound). */
void hbk_relay_init_bare(struct hbk_relay *relay, struct hbk_net *net,
                         const struct hbk_relay_events *events);

/* Gives a bare relay its connecting socket. Fails as hbk_loop_add(); then fd is closed. */
HBK_MUST_USE hbk_status hbk_relay_connect(struct hbk_relay *relay, int fd);

/* Client: sends CONNECT on a new stream of `tunnel`. Fails as hbk_h2_open_connect(). */
HBK_MUST_USE hbk_status hbk_relay_ask(struct hbk_relay *relay, struct hbk_tunnel *tunnel,
                                      struct hbk_slice authority, const struct hbk_h2_field *fields,
                                      size_t count);

/* Server: takes the request of `event`. Fails as hbk_h2_accept(). */
HBK_MUST_USE hbk_status hbk_relay_accept(struct hbk_relay *relay, struct hbk_tunnel *tunnel,
                                         const struct hbk_h2_event *event);

/* Server: answers; a status other than 200 ends the stream, and the relay closes in peace. */
void hbk_relay_answer(struct hbk_relay *relay, uint32_t status, const struct hbk_h2_field *fields,
                      size_t count);

/* Lets data flow, both ways. */
void hbk_relay_start(struct hbk_relay *relay);

/* Goes on after a wait for room or credit. For the tunnel. */
void hbk_relay_resume(struct hbk_relay *relay);

/* Breaks off: the stream is reset with `code`, the socket too. on_closed follows. Idempotent. */
void hbk_relay_abort(struct hbk_relay *relay, uint32_t code);

/* What arrives for the stream; for the tunnel. */
void hbk_relay_on_event(struct hbk_relay *relay, const struct hbk_h2_event *event);

/* Sends what waits to be delivered; for the tunnel, before its input scratch is used again. */
void hbk_relay_deliver_waiting(struct hbk_net *net);

/* The tunnel is gone; for the tunnel. */
void hbk_relay_on_tunnel_closed(struct hbk_relay *relay);
