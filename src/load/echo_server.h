/* What the echo server's files share: a thread's server and its connections. Not for others. */
#pragma once

#include "base/buffer.h"
#include "base/pool.h"
#include "load/echo.h"
#include "load/secure.h"
#include "os/socket.h"
#include "runtime/loop.h"
#include "wire/http1.h"

enum {
    HBK_ECHO_CONNECTIONS_MAX = 200000, /* per thread; further ones are closed at once */
    HBK_ECHO_ACCEPTS_MAX = 64,         /* per turn, so that nobody waits for a rush */
    HBK_ECHO_ROUNDS_MAX = 16,          /* reads of one connection per turn, for the same reason */
    HBK_ECHO_ROOM_BYTES = 256 * 1024,  /* lent to whichever connection reads */
    /* A head that came in pieces with what came behind it, or bytes not yet sent back. */
    HBK_ECHO_SEALED_BYTES_MAX = 1 << 20, /* TLS: one connection's, waiting for the socket */
    HBK_ECHO_HELD_BYTES_MAX = HBK_ECHO_ROOM_BYTES + HBK_HTTP1_HEAD_BYTES_MAX,
};

struct hbk_echo_server;

struct hbk_echo_connection {
    struct hbk_source source;
    struct hbk_task task;    /* goes on, or dies, later in the turn */
    struct hbk_link link;    /* of the server's list of all */
    struct hbk_link delayed; /* of the server's list of waiting answers */
    struct hbk_echo_server *server;
    struct hbk_secure secure; /* TLS; without a session: plain */
    struct hbk_buffer sealed; /* TLS: sealed, not yet sent */
    struct hbk_task progress; /* TLS: a handshake that waited goes on */
    struct hbk_buffer held;   /* HTTP: received, not yet served; TCP: received, not yet sent back */
    struct hbk_slice answer;  /* HTTP: what is sent `owed` times; borrows */
    uint64_t owed;            /* HTTP: answers still to send; HBK_ECHO_SOURCE: bytes */
    size_t offset;            /* sent of the first of them */
    uint64_t due_ns;          /* HTTP: of the answers, while `delayed` is linked */
    struct hbk_slice next;    /* HTTP: the answer to the request whose body is being read */
    struct hbk_buffer special; /* HTTP: an answer made for one request */
    struct hbk_http1_reader reader;
    struct hbk_http1_body body;
    bool is_in_body;  /* a request's body is being read */
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
    struct hbk_list waiting; /* delayed answers in the order of their time: the delay is constant */
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

/* Serves the connection again later in this turn, or in the next. */
void hbk_echo_again(struct hbk_echo_connection *connection);

/* As hbk_socket_send(), through TLS where there is any: then bytes count as sent when they are
 * sealed, and hbk_echo_is_flushed() says whether they left. */
enum hbk_io hbk_echo_send(struct hbk_echo_connection *connection, struct hbk_slice bytes,
                          size_t *out_size);
bool hbk_echo_is_flushed(const struct hbk_echo_connection *connection);

/* Reads into the thread's room. False when there is nothing to read now: no bytes, the end
 * (has_ended), or a failure (closed). */
bool hbk_echo_receive(struct hbk_echo_connection *connection, struct hbk_slice *out_bytes);
