/*
 * A connection is always in one of five steps, each with its own deadline; there is one timer.
 *
 *      idle --first byte--> head --whole request--> reply --handler answered--> write
 *        ^                                                                        |
 *        +---------------------------- all sent, persistent ---------------------+
 *                                                 all sent, not persistent ---> end
 *
 * Invariants:
 * 1. There is at most one exchange per connection; bytes of later requests wait in `in`, whose
 *    limit stops a client that goes on sending.
 * 2. Everything is driven by advance(), which is called from on_ready and from a task of the write
 *    phase, never from a handler: a handler's reply only fills the output and posts that task.
 * 3. A closed connection lies in `dead` until the end of the turn, since its source may still be
 *    in the loop's list of events.
 * 4. After a reply that ends the connection we end our direction and read what still comes: closing
 *    with unread bytes would reset the connection and could take the reply with it.
 */
#include "admin/server.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "admin/request.h"
#include "base/assert.h"
#include "base/clock.h"
#include "base/log.h"
#include "os/fd.h"

enum {
    RECEIVE_BYTES = 4096,
    RECEIVES_MAX = 16, /* per turn and connection: fairness towards the rest of control */
    TEXT_BYTES_MAX = 1024,
    REPLY_HEAD_BYTES_MAX = 512,
};

/* How long no connection is accepted after descriptors have run out. */
#define ACCEPT_PAUSE_NS (100 * HBK_NS_PER_MS)

enum step {
    STEP_IDLE,
    STEP_HEAD,
    STEP_REPLY,
    STEP_WRITE,
    STEP_END,
};

struct hbk_admin_connection {
    struct hbk_source source;
    struct hbk_admin_server *server;
    struct hbk_link link; /* in connections, then in dead */
    struct hbk_timer timer;
    struct hbk_task task;
    struct hbk_http1_reader reader; /* of the request that `in` begins with */
    struct hbk_buffer in;
    struct hbk_buffer head; /* of the reply */
    struct hbk_buffer body;
    struct hbk_admin_exchange *exchange; /* NULL: nobody is answering */
    enum step step;
    int fd;
    bool is_head;
    bool is_persistent;
    bool has_ended; /* the client sends no more */
};

static struct hbk_admin_connection *connection_of(struct hbk_link *link)
{
    return HBK_CONTAINER(link, struct hbk_admin_connection, link);
}

static bool is_open(const struct hbk_admin_connection *connection)
{
    return connection->fd >= 0;
}

static void enter(struct hbk_admin_connection *connection, enum step step)
{
    static const uint64_t timeouts_ns[] = {
        [STEP_IDLE] = HBK_ADMIN_IDLE_TIMEOUT_NS,   [STEP_HEAD] = HBK_ADMIN_HEAD_TIMEOUT_NS,
        [STEP_REPLY] = HBK_ADMIN_REPLY_TIMEOUT_NS, [STEP_WRITE] = HBK_ADMIN_REPLY_TIMEOUT_NS,
        [STEP_END] = HBK_ADMIN_END_TIMEOUT_NS,
    };
    if (connection->step != step) {
        connection->step = step;
        hbk_loop_timer(connection->server->loop, &connection->timer, timeouts_ns[step]);
    }
}

static void close_connection(struct hbk_admin_connection *connection)
{
    struct hbk_admin_server *server = connection->server;
    if (!is_open(connection)) {
        return;
    }
    if (connection->exchange != NULL) {
        connection->exchange->connection = NULL;
        connection->exchange = NULL;
    }
    hbk_loop_remove(server->loop, &connection->source);
    hbk_loop_timer_cancel(server->loop, &connection->timer);
    hbk_task_cancel(&connection->task);
    hbk_fd_close(&connection->fd);
    hbk_link_remove(&connection->link);
    hbk_list_append(&server->dead, &connection->link);
    server->connection_count--;
    hbk_loop_post(server->loop, HBK_PHASE_END, &server->bury);
}

static void bury(struct hbk_task *task)
{
    struct hbk_admin_server *server = HBK_CONTAINER(task, struct hbk_admin_server, bury);
    for (struct hbk_link *link; (link = hbk_list_pop(&server->dead)) != NULL;) {
        struct hbk_admin_connection *connection = connection_of(link);
        hbk_buffer_fini(&connection->in);
        hbk_buffer_fini(&connection->head);
        hbk_buffer_fini(&connection->body);
        free(connection);
    }
}

/* ---- replies ------------------------------------------------------------------------------- */

static const char *reason_text(unsigned status)
{
    static const struct {
        unsigned status;
        const char *text;
    } reasons[] = {
        {200, "OK"},
        {400, "Bad Request"},
        {403, "Forbidden"},
        {404, "Not Found"},
        {405, "Method Not Allowed"},
        {411, "Length Required"},
        {413, "Content Too Large"},
        {414, "URI Too Long"},
        {431, "Request Header Fields Too Large"},
        {500, "Internal Server Error"},
        {501, "Not Implemented"},
        {503, "Service Unavailable"},
        {505, "HTTP Version Not Supported"},
    };
    for (size_t i = 0; i < HBK_COUNT(reasons); i++) {
        if (reasons[i].status == status) {
            return reasons[i].text;
        }
    }
    return "Unknown";
}

static const char *allow_text(unsigned methods)
{
    switch (methods) {
    case HBK_ADMIN_GET:
        return "Allow: GET, HEAD\r\n";
    case HBK_ADMIN_POST:
        return "Allow: POST\r\n";
    case HBK_ADMIN_GET | HBK_ADMIN_POST:
        return "Allow: GET, HEAD, POST\r\n";
    default:
        return "";
    }
}

/* A page may use what the server itself has, and be nobody's frame; other replies are no pages. */
static const char *policy_text(const char *type)
{
    return strncmp(type, "text/html", strlen("text/html")) == 0
               ? "Content-Security-Policy: default-src 'none'; script-src 'self'; style-src "
                 "'self'; connect-src 'self'; base-uri 'none'; form-action 'none'; "
                 "frame-ancestors 'none'\r\nReferrer-Policy: no-referrer\r\n"
               : "";
}

/* Fills the output with the reply; it goes out in the write phase. */
static void start_reply(struct hbk_admin_connection *connection, unsigned status, const char *type,
                        unsigned allowed_methods)
{
    hbk_status made = hbk_buffer_print(
        &connection->head,
        "HTTP/1.1 %u %s\r\nContent-Type: %s\r\nContent-Length: %zu\r\n%s%s"
        "Cache-Control: no-store\r\nX-Content-Type-Options: nosniff\r\nConnection: %s\r\n\r\n",
        status, reason_text(status), type, hbk_buffer_size(&connection->body),
        allow_text(allowed_methods), policy_text(type),
        connection->is_persistent ? "keep-alive" : "close");
    if (made != HBK_OK) {
        close_connection(connection);
        return;
    }
    if (connection->is_head) {
        hbk_buffer_fini(&connection->body);
    }
    enter(connection, STEP_WRITE);
    hbk_loop_post(connection->server->loop, HBK_PHASE_WRITE, &connection->task);
}

/* A reply of the server itself, which has no exchange. */
static void reply_plainly(struct hbk_admin_connection *connection, unsigned status,
                          struct hbk_slice text, unsigned allowed_methods)
{
    if (hbk_buffer_append(&connection->body, text) != HBK_OK ||
        hbk_buffer_append(&connection->body, HBK_SLICE("\n")) != HBK_OK) {
        close_connection(connection);
        return;
    }
    start_reply(connection, status, "text/plain; charset=utf-8", allowed_methods);
}

/* The connection that waits for this answer, if it is still there; ends the exchange. */
static struct hbk_admin_connection *end_exchange(struct hbk_admin_exchange *exchange)
{
    struct hbk_admin_connection *connection = exchange->connection;
    HBK_ASSERT(connection == NULL || connection->exchange == exchange);
    if (connection != NULL) {
        connection->exchange = NULL;
    }
    hbk_link_remove(&exchange->link);
    free(exchange);
    return connection;
}

void hbk_admin_reply_take(struct hbk_admin_exchange *exchange, unsigned status, const char *type,
                          struct hbk_buffer *body)
{
    struct hbk_admin_connection *connection = end_exchange(exchange);
    if (connection == NULL) {
        hbk_buffer_fini(body);
        return;
    }
    size_t size_max = body->size_max;
    connection->body = *body;
    hbk_buffer_init(body, size_max);
    start_reply(connection, status, type, 0);
}

void hbk_admin_reply(struct hbk_admin_exchange *exchange, unsigned status, const char *type,
                     struct hbk_slice body)
{
    struct hbk_admin_connection *connection = end_exchange(exchange);
    if (connection == NULL) {
        return;
    }
    if (hbk_buffer_append(&connection->body, body) != HBK_OK) {
        close_connection(connection);
        return;
    }
    start_reply(connection, status, type, 0);
}

void hbk_admin_reply_print(struct hbk_admin_exchange *exchange, unsigned status, const char *format,
                           ...)
{
    char text[TEXT_BYTES_MAX];
    va_list values;
    va_start(values, format);
    int size = vsnprintf(text, sizeof text, format, values);
    va_end(values);
    hbk_admin_reply(exchange, status, "text/plain; charset=utf-8",
                    size < 0 ? HBK_SLICE("") : hbk_slice_text(text));
}

/* ---- requests ------------------------------------------------------------------------------ */

static const struct hbk_admin_route *find_route(const struct hbk_admin_server *server,
                                                struct hbk_slice path)
{
    for (size_t i = 0; i < server->route_count; i++) {
        if (hbk_slice_equal(path, hbk_slice_text(server->routes[i].path))) {
            return &server->routes[i];
        }
    }
    return NULL;
}

static void dispatch(struct hbk_admin_connection *connection,
                     const struct hbk_admin_request *request)
{
    struct hbk_admin_server *server = connection->server;
    const struct hbk_admin_route *route = find_route(server, request->path);
    if (server->allows != NULL && !server->allows(request, server->context)) {
        reply_plainly(connection, 403, HBK_SLICE("this path is not allowed"), 0);
        return;
    }
    if (route == NULL) {
        reply_plainly(connection, 404, HBK_SLICE("Not Found"), 0);
        return;
    }
    if ((route->methods & request->method) == 0) {
        reply_plainly(connection, 405, hbk_slice_text(route->about), route->methods);
        return;
    }
    struct hbk_admin_exchange *exchange = calloc(1, sizeof *exchange);
    if (exchange == NULL) {
        reply_plainly(connection, 503, HBK_SLICE("out of memory"), 0);
        return;
    }
    hbk_link_init(&exchange->link);
    exchange->connection = connection;
    connection->exchange = exchange;
    route->handler(exchange, request, server->context);
}

static void refuse(struct hbk_admin_connection *connection, unsigned status)
{
    connection->is_head = false;
    connection->is_persistent = false;
    hbk_buffer_fini(&connection->in);
    reply_plainly(connection, status, hbk_slice_text(reason_text(status)), 0);
}

/* Takes the next request out of `in`, if it is whole. */
static void take_request(struct hbk_admin_connection *connection)
{
    struct hbk_admin_parsed parsed;
    enum hbk_admin_parse answer =
        hbk_admin_parse(&connection->reader, hbk_buffer_slice(&connection->in), &parsed);
    if (answer == HBK_ADMIN_PARSE_MORE) {
        if (!hbk_buffer_is_empty(&connection->in)) {
            enter(connection, STEP_HEAD);
        }
        return;
    }
    enter(connection, STEP_REPLY);
    if (answer == HBK_ADMIN_PARSE_REFUSED) {
        refuse(connection, parsed.status);
        return;
    }
    connection->is_head = parsed.is_head;
    connection->is_persistent = parsed.is_persistent;
    /* Whoever asked last is the last to make room. */
    hbk_link_remove(&connection->link);
    hbk_list_append(&connection->server->connections, &connection->link);
    dispatch(connection, &parsed.request);
    hbk_buffer_consume(&connection->in, parsed.size_bytes);
    connection->reader = (struct hbk_http1_reader){.seen_bytes = 0};
}

/* ---- bytes --------------------------------------------------------------------------------- */

/* Reads until the kernel has no more, the input is full, or others must have their turn. */
static void receive(struct hbk_admin_connection *connection)
{
    for (unsigned i = 0; i < RECEIVES_MAX; i++) {
        struct hbk_span room;
        size_t size_max = connection->in.size_max - hbk_buffer_size(&connection->in);
        size_t wanted = size_max < RECEIVE_BYTES ? size_max : RECEIVE_BYTES;
        if (wanted == 0 || hbk_buffer_reserve(&connection->in, wanted, &room) != HBK_OK) {
            return;
        }
        size_t size;
        room.size = wanted;
        switch (hbk_socket_receive(connection->fd, room, &size)) {
        case HBK_IO_DONE:
            hbk_buffer_commit(&connection->in, size);
            if (connection->step == STEP_END) {
                hbk_buffer_clear(&connection->in);
            }
            break;
        case HBK_IO_AGAIN:
            connection->source.ready &= ~(uint32_t)HBK_READABLE;
            return;
        case HBK_IO_END:
            connection->source.ready &= ~(uint32_t)HBK_READABLE;
            connection->has_ended = true;
            return;
        case HBK_IO_FAILED:
            close_connection(connection);
            return;
        }
    }
}

/* Sends what there is; true when all of it is gone. */
static bool send_reply(struct hbk_admin_connection *connection)
{
    while (!hbk_buffer_is_empty(&connection->head) || !hbk_buffer_is_empty(&connection->body)) {
        struct hbk_buffer *part =
            hbk_buffer_is_empty(&connection->head) ? &connection->body : &connection->head;
        size_t size;
        switch (hbk_socket_send(connection->fd, hbk_buffer_slice(part), &size)) {
        case HBK_IO_DONE:
            hbk_buffer_consume(part, size);
            break;
        case HBK_IO_AGAIN:
            connection->source.ready &= ~(uint32_t)HBK_WRITABLE;
            return false;
        case HBK_IO_END:
        case HBK_IO_FAILED:
            close_connection(connection);
            return false;
        }
    }
    return true;
}

/* The reply is sent: the next request, or the end. */
static void finish_reply(struct hbk_admin_connection *connection)
{
    if (connection->is_persistent) {
        enter(connection, STEP_IDLE);
        return;
    }
    hbk_socket_end(connection->fd);
    hbk_buffer_fini(&connection->in);
    enter(connection, STEP_END);
}

/* A client that sends no more has nothing left to get: it is done. */
static void close_if_over(struct hbk_admin_connection *connection)
{
    bool is_waiting = connection->step == STEP_IDLE || connection->step == STEP_HEAD;
    if (connection->has_ended && (is_waiting || connection->step == STEP_END)) {
        close_connection(connection);
    }
}

static void advance(struct hbk_admin_connection *connection)
{
    if ((connection->source.ready & HBK_READABLE) != 0 && !connection->has_ended) {
        receive(connection);
    }
    if (is_open(connection) && connection->step == STEP_WRITE && send_reply(connection)) {
        finish_reply(connection);
    }
    if (is_open(connection) && (connection->step == STEP_IDLE || connection->step == STEP_HEAD)) {
        take_request(connection);
    }
    if (is_open(connection)) {
        close_if_over(connection);
    }
    /* Bytes that were left in the kernel, for want of room or for fairness, make no new edge. */
    bool has_room = hbk_buffer_size(&connection->in) < connection->in.size_max;
    if (is_open(connection) && has_room && !connection->has_ended &&
        (connection->source.ready & HBK_READABLE) != 0) {
        hbk_loop_post(connection->server->loop, HBK_PHASE_WRITE, &connection->task);
    }
}

static void on_ready(struct hbk_source *source)
{
    struct hbk_admin_connection *connection =
        HBK_CONTAINER(source, struct hbk_admin_connection, source);
    if ((source->ready & HBK_HUNG_UP) != 0) {
        close_connection(connection);
        return;
    }
    advance(connection);
}

static void on_task(struct hbk_task *task)
{
    advance(HBK_CONTAINER(task, struct hbk_admin_connection, task));
}

static void on_timeout(struct hbk_timer *timer)
{
    close_connection(HBK_CONTAINER(timer, struct hbk_admin_connection, timer));
}

/* ---- accepting ----------------------------------------------------------------------------- */

/* Closes the connection that owes us a request for longest; false when we owe all of them. */
static bool make_room(struct hbk_admin_server *server)
{
    HBK_LIST_EACH (link, &server->connections) {
        struct hbk_admin_connection *connection = connection_of(link);
        if (connection->step != STEP_REPLY && connection->step != STEP_WRITE) {
            close_connection(connection);
            return true;
        }
    }
    return false;
}

void hbk_admin_server_accept(struct hbk_admin_server *server, int fd)
{
    bool has_room = server->connection_count < HBK_ADMIN_CONNECTIONS_MAX || make_room(server);
    struct hbk_admin_connection *connection = has_room ? calloc(1, sizeof *connection) : NULL;
    if (connection == NULL ||
        hbk_loop_add(server->loop, &connection->source, fd, on_ready) != HBK_OK) {
        server->refused++;
        free(connection);
        hbk_fd_close(&fd);
        return;
    }
    connection->fd = fd;
    connection->server = server;
    hbk_buffer_init(&connection->in, HBK_ADMIN_HEAD_BYTES_MAX + HBK_ADMIN_BODY_BYTES_MAX);
    hbk_buffer_init(&connection->head, REPLY_HEAD_BYTES_MAX);
    hbk_buffer_init(&connection->body, HBK_ADMIN_REPLY_BYTES_MAX);
    hbk_timer_init(&connection->timer, on_timeout);
    hbk_task_init(&connection->task, on_task);
    hbk_list_append(&server->connections, &connection->link);
    server->connection_count++;
    connection->step = STEP_IDLE;
    enter(connection, STEP_HEAD); /* the time of a head, also for one who sends nothing at all */
}

static void pause_accepting(struct hbk_admin_server *server)
{
    for (size_t i = 0; i < HBK_ADMIN_LISTENERS_MAX; i++) {
        if (server->listeners[i].fd >= 0) {
            hbk_loop_remove(server->loop, &server->listeners[i].source);
        }
    }
    hbk_loop_timer(server->loop, &server->accept_again, ACCEPT_PAUSE_NS);
}

static void on_listener(struct hbk_source *source)
{
    struct hbk_admin_listener *listener = HBK_CONTAINER(source, struct hbk_admin_listener, source);
    for (unsigned i = 0; i < HBK_ADMIN_CONNECTIONS_MAX; i++) {
        int fd;
        struct hbk_address peer;
        hbk_status status = hbk_socket_accept(listener->fd, &fd, &peer);
        if (status == HBK_LIMIT) {
            pause_accepting(listener->server);
            return;
        }
        if (status != HBK_OK) {
            return;
        }
        hbk_admin_server_accept(listener->server, fd);
    }
}

static void on_accept_again(struct hbk_timer *timer)
{
    struct hbk_admin_server *server = HBK_CONTAINER(timer, struct hbk_admin_server, accept_again);
    for (size_t i = 0; i < HBK_ADMIN_LISTENERS_MAX; i++) {
        struct hbk_admin_listener *listener = &server->listeners[i];
        if (listener->fd >= 0 && listener->source.on_ready == NULL &&
            hbk_loop_add_listener(server->loop, &listener->source, listener->fd, on_listener) !=
                HBK_OK) {
            hbk_loop_timer(server->loop, &server->accept_again, ACCEPT_PAUSE_NS);
        }
    }
}

void hbk_admin_server_init(struct hbk_admin_server *server, struct hbk_loop *loop,
                           const struct hbk_admin_route *routes, size_t route_count, void *context)
{
    *server = (struct hbk_admin_server){
        .loop = loop,
        .routes = routes,
        .route_count = route_count,
        .context = context,
    };
    for (size_t i = 0; i < HBK_ADMIN_LISTENERS_MAX; i++) {
        server->listeners[i].server = server;
        server->listeners[i].fd = -1;
    }
    hbk_list_init(&server->connections);
    hbk_list_init(&server->dead);
    hbk_timer_init(&server->accept_again, on_accept_again);
    hbk_task_init(&server->bury, bury);
}

hbk_status hbk_admin_server_listen(struct hbk_admin_server *server,
                                   const struct hbk_address *address)
{
    struct hbk_admin_listener *listener = server->listeners;
    while (listener < server->listeners + HBK_ADMIN_LISTENERS_MAX && listener->fd >= 0) {
        listener++;
    }
    if (listener == server->listeners + HBK_ADMIN_LISTENERS_MAX) {
        return HBK_LIMIT;
    }
    const struct hbk_listen_options options = {.is_port_shared = false};
    int fd;
    HBK_TRY(hbk_socket_listen(address, &options, &fd));
    hbk_status status = hbk_loop_add_listener(server->loop, &listener->source, fd, on_listener);
    if (status != HBK_OK) {
        hbk_fd_close(&fd);
        return status;
    }
    listener->fd = fd;
    return HBK_OK;
}

void hbk_admin_server_fini(struct hbk_admin_server *server)
{
    for (size_t i = 0; i < HBK_ADMIN_LISTENERS_MAX; i++) {
        if (server->listeners[i].fd >= 0) {
            hbk_loop_remove(server->loop, &server->listeners[i].source);
            hbk_fd_close(&server->listeners[i].fd);
        }
    }
    hbk_loop_timer_cancel(server->loop, &server->accept_again);
    HBK_LIST_EACH (link, &server->connections) {
        close_connection(connection_of(link));
    }
    hbk_task_cancel(&server->bury);
    bury(&server->bury);
}
