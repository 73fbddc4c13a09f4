/*
 * A small HTTP/1.1 server for operators and scrapers, on the control thread's loop. Routes are a
 * table; a handler may answer at once or, after it has asked other threads, later. Each answer goes
 * through an exchange, which outlives the client: answering somebody who left does nothing.
 *
 * The other side is hostile: connections, the size of a request, and the time for each of its steps
 * are bounded. When all connections are taken, the one that has been idle longest makes room.
 *
 * Control thread only.
 */
#pragma once

#include "base/buffer.h"
#include "os/socket.h"
#include "runtime/loop.h"

enum {
    HBK_ADMIN_CONNECTIONS_MAX = 32, /* per server */
    HBK_ADMIN_LISTENERS_MAX = 2,    /* per server: localhost has two addresses */
    HBK_ADMIN_HEAD_BYTES_MAX = 8 << 10,
    HBK_ADMIN_BODY_BYTES_MAX = 4 << 10,
    HBK_ADMIN_REPLY_BYTES_MAX = 256 << 20,
};

#define HBK_ADMIN_HEAD_TIMEOUT_NS (2 * HBK_NS_PER_S)   /* from a request's first byte to its last */
#define HBK_ADMIN_IDLE_TIMEOUT_NS (60 * HBK_NS_PER_S)  /* between requests */
#define HBK_ADMIN_REPLY_TIMEOUT_NS (30 * HBK_NS_PER_S) /* to make a reply, and to take it */
#define HBK_ADMIN_END_TIMEOUT_NS HBK_NS_PER_S          /* for the client's end after ours */

enum hbk_admin_method {
    HBK_ADMIN_GET = 1 << 0, /* and HEAD */
    HBK_ADMIN_POST = 1 << 1,
    HBK_ADMIN_OTHER = 1 << 2, /* no route takes it */
};

/* What a client asked. Borrowed during the handler. */
struct hbk_admin_request {
    enum hbk_admin_method method;
    struct hbk_slice target; /* as sent */
    struct hbk_slice path;   /* the same without the query */
    struct hbk_slice query;  /* behind the question mark */
    struct hbk_slice accept;
};

/* One request that waits for its answer. */
struct hbk_admin_exchange {
    struct hbk_admin_connection *connection; /* private; NULL when the client is gone */
    struct hbk_link link;                    /* free for the handler's own lists */
    unsigned note;                           /* free for the handler */
};

/* Whether somebody still waits: ask before work that only the reply needs. */
static inline bool hbk_admin_exchange_is_wanted(const struct hbk_admin_exchange *exchange)
{
    return exchange->connection != NULL;
}

/* Must call hbk_admin_reply() or its like exactly once, now or later. */
typedef void hbk_admin_handler_fn(struct hbk_admin_exchange *exchange,
                                  const struct hbk_admin_request *request, void *context);

struct hbk_admin_route {
    const char *path;
    unsigned methods; /* of enum hbk_admin_method */
    hbk_admin_handler_fn *handler;
    const char *about; /* one line: on the index and in replies to wrong methods */
};

struct hbk_admin_listener {
    struct hbk_source source;
    struct hbk_admin_server *server;
    int fd; /* owned; -1: not open */
};

struct hbk_admin_server {
    struct hbk_loop *loop;                /* borrowed */
    const struct hbk_admin_route *routes; /* borrowed for the server's life */
    size_t route_count;
    void *context; /* for the handlers */
    /* Whether somebody may ask for that, whatever is there; else the answer is 403. NULL: all. */
    bool (*allows)(const struct hbk_admin_request *request, void *context);
    struct hbk_admin_listener listeners[HBK_ADMIN_LISTENERS_MAX];
    struct hbk_list connections; /* owned; the one whose last request is oldest first */
    size_t connection_count;
    struct hbk_timer accept_again; /* set while descriptors have run out */
    struct hbk_list dead;          /* freed at the end of the turn */
    struct hbk_task bury;
    uint64_t refused; /* connections closed because too many were open */
};

/* Starts without listeners; `server` may not move afterwards. */
void hbk_admin_server_init(struct hbk_admin_server *server, struct hbk_loop *loop,
                           const struct hbk_admin_route *routes, size_t route_count, void *context);

/* Adds a listener. Fails: as hbk_socket_listen() and hbk_loop_add_listener(); HBK_LIMIT. */
HBK_MUST_USE hbk_status hbk_admin_server_listen(struct hbk_admin_server *server,
                                                const struct hbk_address *address);

/* Takes over a connected socket, which is closed at the limit: for tests. */
void hbk_admin_server_accept(struct hbk_admin_server *server, int fd);

/* Closes everything. Not from a handler. Exchanges that still wait may be answered afterwards. */
void hbk_admin_server_fini(struct hbk_admin_server *server);

/*
 * Answers and ends the exchange. The reply is copied (text), or taken (buffer, which is empty and
 * usable afterwards). `type` is the Content-Type, a literal.
 */
void hbk_admin_reply(struct hbk_admin_exchange *exchange, unsigned status, const char *type,
                     struct hbk_slice body);
void hbk_admin_reply_take(struct hbk_admin_exchange *exchange, unsigned status, const char *type,
                          struct hbk_buffer *body);

/* The same as "text/plain" made with printf, at most 1 KiB. */
HBK_PRINTF(3, 4)
void hbk_admin_reply_print(struct hbk_admin_exchange *exchange, unsigned status, const char *format,
                           ...);
