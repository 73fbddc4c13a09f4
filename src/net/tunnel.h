/*
 * A tunnel: TCP, TLS and HTTP/2 in one object, for either side of HBONE. Its streams are relays
 * (net/relay.h). What a turn puts into a tunnel is gathered in blocks and leaves as few records in
 * one system call at the turn's end.
 *
 *     relay, session --> blocks (plain) --> seal --> output --> socket
 *                                                      |  what it did not take
 *                                                      v
 *                                                   sealed (backlog): until it is empty, relays
 *                                                   of this tunnel do not read their sockets
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/address.h"
#include "base/buffer.h"
#include "base/list.h"
#include "net/failure.h"
#include "net/net.h"
#include "tls/session.h"
#include "wire/http2.h"

enum hbk_tunnel_state {
    HBK_TUNNEL_CONNECTING,
    HBK_TUNNEL_HANDSHAKING,
    HBK_TUNNEL_OPEN,
    HBK_TUNNEL_CLOSED,
};

struct hbk_tunnel;

struct hbk_tunnel_events {
    /* The handshake is done and the peer verified. May close the tunnel. */
    void (*on_open)(struct hbk_tunnel *tunnel);
    /* Server: a request arrived; see HBK_H2_REQUEST. NULL in clients. */
    void (*on_request)(struct hbk_tunnel *tunnel, const struct hbk_h2_event *event);
    /* Client: there may be room for streams again, or never again. NULL in servers. */
    void (*on_room)(struct hbk_tunnel *tunnel);
    /* The last call, at the end of the turn; the relays were told before. */
    void (*on_closed)(struct hbk_tunnel *tunnel);
};

struct hbk_tunnel {
    struct hbk_source source;
    struct hbk_net *net; /* borrowed */
    const struct hbk_tunnel_events *events;
    void *owner;
    struct hbk_link link; /* for the owner's list */
    enum hbk_tunnel_state state;
    bool is_server;
    bool has_opened; /* on_open was called */
    bool is_draining;
    bool is_closing;
    bool has_end; /* `end` is known, whatever failure comes of it */
    enum hbk_tunnel_end end;
    bool is_pinging;
    bool has_heard;                             /* bytes came since the last look */
    bool is_promising;                          /* the pool's own; see net/upstream.c */
    uint64_t number;                            /* the same */
    struct hbk_tls_session *tls;                /* owned */
    struct hbk_h2_session h2;                   /* made when the handshake is done */
    struct hbk_block *first_block, *last_block; /* plain text of this turn */
    unsigned blocks;
    struct hbk_buffer sealed;  /* backlog towards the socket */
    struct hbk_buffer partial; /* beginning of a record that is not complete */
    struct hbk_list relays;    /* all, through relay->in_tunnel */
    struct hbk_list blocked;   /* relays that wait for room or credit, oldest first */
    struct hbk_task write_task;
    struct hbk_task read_task;   /* more to read, or blocked relays to resume; then the burial */
    struct hbk_task flight_task; /* the handshake may go on */
    bool is_waiting;             /* for a batch; nothing is read meanwhile */
    struct hbk_timer timer;      /* connect, handshake, silence, idleness: as the state says */
    uint64_t silent_since_ns;
    uint64_t idle_since_ns; /* without streams; or the beginning of the handshake */
    uint64_t handshake_ns;  /* how long it took; 0: it is not done */
    struct hbk_failure failure;
    struct hbk_address peer; /* of the socket */
    struct hbk_address local;
};

/*
 * Starts a client on a socket that is connecting, or a server on an accepted one. The tunnel owns
 * `fd` and `tls`, whose worker is net->batch.tls, from here on, whatever is returned.
 *
 * Fails: HBK_LIMIT (the pool of tunnels is empty), HBK_NO_MEMORY. on_closed is not called then.
 */
HBK_MUST_USE hbk_status hbk_tunnel_start(struct hbk_net *net, bool is_server, int fd,
                                         struct hbk_tls_session *tls,
                                         const struct hbk_tunnel_events *events, void *owner,
                                         struct hbk_tunnel **out_tunnel);

/* Closes now: streams are reset, on_closed follows at the end of the turn. Idempotent. */
void hbk_tunnel_close(struct hbk_tunnel *tunnel);

/* The TLS engine that speaks, or is to shake hands. */
enum hbk_tls_engine_kind hbk_tunnel_engine(const struct hbk_tunnel *tunnel);

/* Says what the tunnel's end will be counted as, unless that was said before. */
void hbk_tunnel_mark(struct hbk_tunnel *tunnel, enum hbk_tunnel_end end);

/* Keeps the first failure and closes. */
HBK_PRINTF(5, 6)
void hbk_tunnel_fail(struct hbk_tunnel *tunnel, enum hbk_failure_kind kind, hbk_status status,
                     uint32_t code, const char *format, ...);

/* Says so politely, lets streams end, then closes. Idempotent. */
void hbk_tunnel_drain(struct hbk_tunnel *tunnel);

/* Client: whether a stream may be opened on this tunnel now. One may before the peer has said how
 * many it takes; more could be refused. */
bool hbk_tunnel_can_open(const struct hbk_tunnel *tunnel);

/* For relays ------------------------------------------------------------------------------- */

/* Whether data should wait: the socket is full, or the turn's share is used. */
bool hbk_tunnel_is_congested(const struct hbk_tunnel *tunnel);

/*
 * Contiguous room of at least `size_min` bytes at the end of what is gathered, lent until the next
 * call into the tunnel; hbk_tunnel_commit() adds the first bytes of it. An empty span: no memory,
 * or the peer does not take its control frames.
 */
struct hbk_span hbk_tunnel_room(struct hbk_tunnel *tunnel, size_t size_min);
void hbk_tunnel_commit(struct hbk_tunnel *tunnel, size_t size);

/* Resumes relays of the blocked list, oldest first, as soon as there is room: now, that is, in the
 * next phase of reading, or when the tunnel says so to itself. */
void hbk_tunnel_resume_later(struct hbk_tunnel *tunnel);

/* A stream of this tunnel has ended: a drain or the idle time may go on. */
void hbk_tunnel_stream_ended(struct hbk_tunnel *tunnel);
