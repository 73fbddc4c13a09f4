/* What the echo server's files share: a thread's server and its connections. Not for others. */
#pragma once

#include "base/buffer.h"
#include "base/pool.h"
#include "load/due_heap.h"
#include "load/echo.h"
#include "load/secure.h"
#include "os/socket.h"
#include "runtime/loop.h"
#include "wire/http1.h"

enum {
    HBK_ECHO_CONNECTIONS_MAX = 200000, /* per thread; further ones are closed at once */
    HBK_ECHO_ACCEPTS_MAX = 64,         /* per turn, so that nobody waits for a rush */
    HBK_ECHO_ROUNDS_MAX = 16,          /* reads of one connection per turn, for the same reason */
    HBK_ECHO_SENDS_MAX = 64,           /* and sends: whoever reads fast is not alone */
    HBK_ECHO_ROOM_BYTES = 256 * 1024,  /* lent to whichever connection reads */
    /* A head that came in pieces with what came behind it, or bytes not yet sent back. */
    HBK_ECHO_COPY_BYTES_MAX = 16 << 20, /* of a request's body that is sent back; above it: 413 */
    HBK_ECHO_SPECIAL_BYTES_MAX = HBK_ECHO_COPY_BYTES_MAX + (64 << 10),
    HBK_ECHO_TYPE_BYTES_MAX = 128,       /* of its content type */
    HBK_ECHO_REFUSAL_BYTES_MAX = 128,    /* of the sentence that refuses a body */
    HBK_ECHO_SEALED_BYTES_MAX = 1 << 20, /* TLS: one connection's, waiting for the socket */
    HBK_ECHO_HELD_BYTES_MAX = HBK_ECHO_ROOM_BYTES + HBK_HTTP1_HEAD_BYTES_MAX,
};

struct hbk_echo_server;

struct hbk_echo_connection {
    struct hbk_source source;
    struct hbk_task task; /* goes on, or dies, later in the turn */
    struct hbk_link link; /* of the server's list of all */
    struct hbk_echo_server *server;
    struct hbk_secure secure; /* TLS; without a session: plain */
    struct hbk_buffer sealed; /* TLS: sealed, not yet sent */
    struct hbk_task progress; /* TLS: a handshake that waited goes on */
    struct hbk_buffer held;   /* HTTP: received, not yet served; TCP: received, not yet sent back */
    struct hbk_slice answer;  /* HTTP: what is sent `owed` times; borrows */
    uint64_t owed;            /* HTTP: answers still to send; HBK_ECHO_SOURCE: bytes */
    size_t offset;            /* sent of the first of them */
    unsigned sends_left;      /* in this turn */
    struct hbk_due due;       /* HTTP: while the answers wait in the server's heap */
    struct hbk_slice next;    /* HTTP: the answer to the request whose body is being read */
    struct hbk_buffer special;          /* HTTP: an answer made for one request */
    struct hbk_echo_wish wish;          /* HTTP: of the special answer, while has_wish */
    struct hbk_buffer headers;          /* HTTP: wished for, until the answer is made */
    struct hbk_buffer copy;             /* HTTP: the request's body, to be sent back */
    uint64_t tail_left;                 /* HTTP: pattern still to send behind the special answer */
    size_t body_bytes;                  /* HTTP: of it, as counted by the server */
    size_t held_bytes;                  /* HTTP: of `held`, as counted by the server */
    struct hbk_link unfinished;         /* HTTP: on the server's list while a head is incomplete */
    uint64_t head_due_ns;               /* HTTP: when it must be complete */
    const char *refusal;                /* HTTP: why it is not sent back; static; NULL: it is */
    char type[HBK_ECHO_TYPE_BYTES_MAX]; /* HTTP: the request's content type */
    struct hbk_http1_reader reader;
    struct hbk_http1_body body;
    bool is_in_body;  /* a request's body is being read */
    bool has_wish;    /* HTTP: the answer under way, or the one being sent, is made by wish */
    bool is_head;     /* HTTP: and has no body */
    bool closes_next; /* and its answer is the last */
    bool is_last;     /* HTTP: no further request is read; closes behind the answers */
    bool has_ended;   /* the other side sent its end */
    bool is_dead;
};

/* One thread's server. */
struct hbk_echo_server {
    const struct hbk_echo_options *options; /* borrowed, as the answers */
    struct hbk_slice answer, head_answer;   /* to GET and to HEAD */
    struct hbk_loop *loop;
    struct hbk_source listener;
    struct hbk_pool connections;
    struct hbk_list all;
    struct hbk_due_heap waiting; /* connections with delayed answers */
    struct hbk_list unfinished;  /* connections with incomplete heads, the oldest first */
    uint64_t head_ns;            /* what they have */
    uint64_t bodies_bytes;       /* held to be sent back or read, at most bodies_bytes_max */
    struct hbk_echo_counts counts;
    char too_many[HBK_ECHO_REFUSAL_BYTES_MAX]; /* what is said above it */
    struct hbk_echo_defaults defaults;
    bool has_defaults; /* every answer is made by wish */
    uint64_t random;
    struct hbk_alarm alarm;
    struct hbk_batch batch;     /* TLS */
    struct hbk_task batch_task; /* TLS: ends it when the last connection is buried */
    struct hbk_span room;       /* owned */
};

/* Serves what is ready on a connection. May end it with hbk_echo_close(). */
void hbk_echo_http_serve(struct hbk_echo_connection *connection);
void hbk_echo_tcp_serve(struct hbk_echo_connection *connection);

/* Stops the connection now; its memory goes at the end of the turn. */
void hbk_echo_close(struct hbk_echo_connection *connection);

/* What it held of its request's body, and of what is to be read, no longer counts against the
 * server's limit. */
void hbk_echo_let_body_go(struct hbk_echo_connection *connection);
void hbk_echo_let_held_go(struct hbk_echo_connection *connection);

/* Its head was not complete in time. */
void hbk_echo_http_expire(struct hbk_echo_connection *connection);

/* The server's alarm rings at `due_ns`, or before. */
static inline void hbk_echo_wake_at(struct hbk_echo_server *server, uint64_t due_ns)
{
    if (due_ns < server->alarm.due_ns) {
        server->alarm.due_ns = due_ns;
    }
}

/* Serves the connection again later in this turn, or in the next. */
void hbk_echo_again(struct hbk_echo_connection *connection);

/* Whether the connection may send once more in this turn; if not, it is served again in the next.
 */
bool hbk_echo_may_send(struct hbk_echo_connection *connection);

/* As hbk_socket_send(), through TLS where there is any: then bytes count as sent when they are
 * sealed, and hbk_echo_is_flushed() says whether they left. */
enum hbk_io hbk_echo_send(struct hbk_echo_connection *connection, struct hbk_slice bytes,
                          size_t *out_size);
bool hbk_echo_is_flushed(const struct hbk_echo_connection *connection);

/* Reads into the thread's room. False when there is nothing to read now: no bytes, the end
 * (has_ended), or a failure (closed). */
bool hbk_echo_receive(struct hbk_echo_connection *connection, struct hbk_slice *out_bytes);
