/*
 * The echo server over HTTP/1.1. Almost all answers are the same bytes, so a connection does not
 * queue answers but counts them: `owed` copies of `answer`, the first of them sent up to `offset`.
 * However many requests are pipelined, and however large the body, nothing is copied or piles up.
 * A request with another answer (HEAD, /whoami) waits until the counted ones are sent.
 */
#include <stdarg.h>
#include <stdio.h>

#include "base/assert.h"
#include "base/clock.h"
#include "load/echo_server.h"
#include "os/socket.h"

/* Answers in one system call. */
enum { ANSWERS_PER_SEND_MAX = 64 };

/* Of a special answer beside the request's head that it may repeat. */
enum { SPECIAL_BYTES_MAX = 512 + HBK_ECHO_HEADERS_BYTES_MAX };

enum {
    TAIL_BYTES = 64 * 1024,
    STATUS_NO_CONTENT = 204,
    STATUS_SAME = 304,
    STATUS_BAD = 400,
    STATUS_TOO_SLOW = 408,
    STATUS_TOO_LARGE = 413,
};

static const char continue_text[] = "HTTP/1.1 100 Continue\r\n\r\n";

/* Counts `size` sent bytes against the answers that are owed. */
static void count_sent(struct hbk_echo_connection *connection, size_t size)
{
    size_t sent = connection->offset + size;
    connection->owed -= sent / connection->answer.size;
    connection->offset = sent % connection->answer.size;
}

static enum hbk_io send_some(struct hbk_echo_connection *connection, size_t *out_size)
{
    struct iovec parts[ANSWERS_PER_SEND_MAX];
    struct hbk_slice first = hbk_slice_part(connection->answer, connection->offset, SIZE_MAX);
    if (connection->owed == 1 || connection->server->options->tls != NULL) {
        return hbk_echo_send(connection, first, out_size);
    }
    size_t count = 0;
    for (; count < connection->owed && count < ANSWERS_PER_SEND_MAX; count++) {
        struct hbk_slice part = count == 0 ? first : connection->answer;
        parts[count].iov_base = (void *)(uintptr_t)part.bytes;
        parts[count].iov_len = part.size;
    }
    return hbk_socket_send_parts(connection->source.fd, parts, count, out_size);
}

/* The bytes behind an answer whose size was wished for: any number of them, held once. */
static bool send_tail(struct hbk_echo_connection *connection)
{
    static const uint8_t pattern[TAIL_BYTES] = {[0 ... TAIL_BYTES - 1] = 'x'};
    while (connection->tail_left > 0) {
        if (!hbk_echo_may_send(connection)) {
            return false;
        }
        size_t size =
            connection->tail_left < TAIL_BYTES ? (size_t)connection->tail_left : TAIL_BYTES;
        switch (hbk_echo_send(connection, hbk_slice_of(pattern, size), &size)) {
        case HBK_IO_DONE:
            connection->tail_left -= size;
            break;
        case HBK_IO_AGAIN:
            return false;
        case HBK_IO_END:
        case HBK_IO_FAILED:
            hbk_echo_close(connection);
            return false;
        }
    }
    return true;
}

/* False when the socket takes no more now, the turn is used up or the connection died. */
static bool send_owed(struct hbk_echo_connection *connection)
{
    while (connection->owed > 0) {
        size_t size;
        if (!hbk_echo_may_send(connection)) {
            return false;
        }
        switch (send_some(connection, &size)) {
        case HBK_IO_DONE:
            count_sent(connection, size);
            break;
        case HBK_IO_AGAIN:
            return false;
        case HBK_IO_END:
        case HBK_IO_FAILED:
            hbk_echo_close(connection);
            return false;
        }
    }
    if (!send_tail(connection)) {
        return false;
    }
    if (!connection->is_in_body) {
        hbk_buffer_fini(&connection->special);
        hbk_echo_let_body_go(connection);
        connection->has_wish = false;
    }
    return true;
}

/* An answer made for one request. False when it could not be made: the connection is closed. */
static HBK_PRINTF(2, 3) bool make_special(struct hbk_echo_connection *connection,
                                          const char *format, ...)
{
    char text[HBK_HTTP1_HEAD_BYTES_MAX + SPECIAL_BYTES_MAX];
    va_list values;
    va_start(values, format);
    int size = vsnprintf(text, sizeof text, format, values);
    va_end(values);
    HBK_ASSERT(size > 0 && (size_t)size < sizeof text);
    hbk_buffer_clear(&connection->special);
    if (hbk_buffer_append(&connection->special, hbk_slice_of(text, (size_t)size)) != HBK_OK) {
        hbk_echo_close(connection);
        return false;
    }
    connection->next = hbk_buffer_slice(&connection->special);
    return true;
}

static bool make_whoami(struct hbk_echo_connection *connection, struct hbk_slice head)
{
    char text[HBK_ADDRESS_TEXT_BYTES_MAX];
    struct hbk_address peer = {0};
    if (hbk_socket_peer_address(connection->source.fd, &peer) != HBK_OK) {
        hbk_echo_close(connection);
        return false;
    }
    const char *name = hbk_address_text(&peer, text);
    return make_special(connection,
                        "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n"
                        "Content-Length: %zu\r\n\r\ncaller %s\r\n%.*s",
                        strlen("caller \r\n") + strlen(name) + head.size, name,
                        HBK_SLICE_ARGS(head));
}

/* ---- answers by wish ---- */

/* Whether a request's answer depends on more than its path. */
static bool is_wished(const struct hbk_echo_connection *connection,
                      const struct hbk_http1_request *request)
{
    const struct hbk_echo_server *server = connection->server;
    size_t mark;
    bool sends_back = request->body.kind != HBK_HTTP1_NO_BODY && server->options->size_bytes == 0;
    return server->has_defaults || sends_back || hbk_slice_find(request->target, '?', &mark);
}

/* Reads what is wished for; the answer is made when the request's body is complete. */
static bool begin_wish(struct hbk_echo_connection *connection,
                       const struct hbk_http1_request *request)
{
    struct hbk_echo_server *server = connection->server;
    struct hbk_error error = {0};
    struct hbk_slice type = {0};
    hbk_buffer_clear(&connection->headers);
    hbk_buffer_clear(&connection->copy);
    hbk_status status = hbk_buffer_append(&connection->headers, server->defaults.headers);
    if (status == HBK_OK) {
        status = hbk_echo_wish_read(request->target, &server->defaults, &server->random,
                                    &connection->wish, &connection->headers, &error);
    }
    connection->is_head = hbk_slice_equal(request->method, HBK_SLICE("HEAD"));
    connection->refusal = NULL;
    connection->has_wish = status == HBK_OK;
    if (hbk_http1_find_field(request->fields, request->field_count, HBK_SLICE("content-type"),
                             &type) &&
        type.size < sizeof connection->type) {
        (void)snprintf(connection->type, sizeof connection->type, "%.*s", HBK_SLICE_ARGS(type));
    } else {
        (void)snprintf(connection->type, sizeof connection->type, "text/plain");
    }
    return status == HBK_OK ||
           make_special(connection,
                        "HTTP/1.1 400 Bad Request\r\nContent-Type: text/plain\r\n"
                        "Content-Length: %zu\r\n\r\n%s",
                        strlen(error.text), error.text);
}

static const char *reason_of(unsigned status)
{
    return status < 300 ? "OK" : status < 400 ? "Elsewhere" : status < 500 ? "Refused" : "Failed";
}

/* The body of the answer: as many bytes as wished for, what the request brought, or "ok". */
static bool make_wished(struct hbk_echo_connection *connection)
{
    const struct hbk_echo_wish *wish = &connection->wish;
    bool is_refused = connection->refusal != NULL;
    unsigned status = is_refused ? STATUS_TOO_LARGE : wish->status;
    bool has_copy = !is_refused && !hbk_buffer_is_empty(&connection->copy);
    struct hbk_slice body = is_refused ? hbk_slice_text(connection->refusal)
                            : has_copy ? hbk_buffer_slice(&connection->copy)
                                       : HBK_SLICE("ok");
    bool has_size = wish->has_size && !is_refused;
    bool has_no_body = connection->is_head || status == STATUS_NO_CONTENT || status == STATUS_SAME;
    uint64_t size = has_size ? wish->size_bytes
                    : connection->server->options->size_bytes > 0 && !is_refused
                        ? connection->server->options->size_bytes
                        : body.size;
    bool is_pattern = size != body.size || has_size;
    connection->closes_next |= wish->closes;
    if (!make_special(connection, "HTTP/1.1 %u %s\r\nContent-Type: %s\r\n%s%.*s", status,
                      reason_of(status), has_copy ? connection->type : "text/plain",
                      wish->closes ? "Connection: close\r\n" : "",
                      HBK_SLICE_ARGS(hbk_buffer_slice(&connection->headers)))) {
        return false;
    }
    struct hbk_buffer *out = &connection->special;
    hbk_status made =
        status == STATUS_NO_CONTENT
            ? hbk_buffer_append(out, HBK_SLICE("\r\n"))
            : hbk_buffer_print(out, "Content-Length: %llu\r\n\r\n", (unsigned long long)size);
    if (made == HBK_OK && !has_no_body && !is_pattern) {
        made = hbk_buffer_append(out, body);
    }
    if (made != HBK_OK) {
        hbk_echo_close(connection);
        return false;
    }
    connection->tail_left = has_no_body || !is_pattern ? 0 : size;
    connection->next = hbk_buffer_slice(out);
    hbk_buffer_fini(&connection->copy);
    return true;
}

void hbk_echo_let_body_go(struct hbk_echo_connection *connection)
{
    connection->server->bodies_bytes -= connection->body_bytes;
    connection->body_bytes = 0;
}

void hbk_echo_let_held_go(struct hbk_echo_connection *connection)
{
    connection->server->bodies_bytes -= connection->held_bytes;
    connection->held_bytes = 0;
}

/* Counts what waits to be read against the thread's limit; false when it is above it. */
static bool count_held(struct hbk_echo_connection *connection)
{
    struct hbk_echo_server *server = connection->server;
    size_t size = hbk_buffer_size(&connection->held);
    hbk_echo_let_held_go(connection);
    if (size > server->options->bodies_bytes_max - server->bodies_bytes) {
        server->counts.held++;
        return false;
    }
    server->bodies_bytes += size;
    connection->held_bytes = size;
    return true;
}

/* Keeps a part of the request's body to send it back, within this connection's limit and the
 * thread's; what goes beyond refuses all of it, in words. */
static void keep_copy(struct hbk_echo_connection *connection, struct hbk_slice data)
{
    struct hbk_echo_server *server = connection->server;
    if (!connection->has_wish || connection->wish.has_size || connection->refusal != NULL) {
        return;
    }
    if (data.size > server->options->bodies_bytes_max - server->bodies_bytes) {
        connection->refusal = server->too_many;
    } else if (hbk_buffer_append(&connection->copy, data) != HBK_OK) {
        connection->refusal = "more than 16 MiB is not sent back";
    } else {
        server->bodies_bytes += data.size;
        connection->body_bytes += data.size;
        return;
    }
    server->counts.bodies++;
    hbk_buffer_fini(&connection->copy);
    hbk_echo_let_body_go(connection);
}

static void owe(struct hbk_echo_connection *connection, struct hbk_slice answer)
{
    connection->answer = answer;
    connection->owed++;
}

/* What breaks HTTP, or takes too long, is told why; nothing behind it can be believed. */
static void refuse(struct hbk_echo_connection *connection, unsigned status, const char *text)
{
    connection->is_last = true;
    connection->is_in_body = connection->has_wish = false;
    hbk_buffer_fini(&connection->copy);
    hbk_echo_let_body_go(connection);
    if (make_special(connection,
                     "HTTP/1.1 %u Refused\r\nContent-Type: text/plain\r\nConnection: close\r\n"
                     "Content-Length: %zu\r\n\r\n%s",
                     status, strlen(text), text)) {
        owe(connection, connection->next);
    }
}

void hbk_echo_http_expire(struct hbk_echo_connection *connection)
{
    connection->server->counts.heads++;
    refuse(connection, STATUS_TOO_SLOW, "the head of the request was not complete in time");
}

static bool is_same(struct hbk_slice a, struct hbk_slice b)
{
    return a.bytes == b.bytes && a.size == b.size;
}

/* Chooses the answer to a request. False when it must wait until others are sent. */
static bool choose_answer(struct hbk_echo_connection *connection,
                          const struct hbk_http1_request *request, struct hbk_slice head)
{
    const struct hbk_echo_server *server = connection->server;
    bool is_head = hbk_slice_equal(request->method, HBK_SLICE("HEAD"));
    bool is_whoami = !is_head && hbk_slice_equal(request->target, HBK_SLICE("/whoami"));
    bool is_special = !is_whoami && is_wished(connection, request);
    struct hbk_slice answer = is_head ? server->head_answer : server->answer;
    if (connection->owed > 0 && (is_whoami || is_special || request->expects_continue ||
                                 !is_same(answer, connection->answer))) {
        return false;
    }
    connection->next = answer;
    connection->has_wish = false;
    if (is_special) {
        return begin_wish(connection, request);
    }
    return !is_whoami || make_whoami(connection, head);
}

enum take { TAKE_ON, TAKE_NO_MORE };

/* A head in front of `*bytes`. */
static enum take take_head(struct hbk_echo_connection *connection, struct hbk_slice *bytes)
{
    struct hbk_http1_request request;
    switch (hbk_http1_read_request(&connection->reader, *bytes, &request)) {
    case HBK_HTTP1_NEED_MORE:
        return TAKE_NO_MORE;
    case HBK_HTTP1_INVALID:
        if (connection->owed == 0) {
            connection->server->counts.malformed++;
            refuse(connection, connection->reader.fault_status, connection->reader.fault_text);
        }
        return TAKE_NO_MORE;
    case HBK_HTTP1_READY:
        break;
    }
    hbk_link_remove(&connection->unfinished); /* the next one has its own time */
    connection->reader = (struct hbk_http1_reader){0};
    if (!choose_answer(connection, &request, hbk_slice_part(*bytes, 0, request.head_bytes))) {
        return TAKE_NO_MORE;
    }
    *bytes = hbk_slice_part(*bytes, request.head_bytes, bytes->size);
    connection->body = request.body;
    connection->is_in_body = true;
    connection->closes_next = !request.is_keep_alive;
    if (request.expects_continue && request.body.kind != HBK_HTTP1_NO_BODY) {
        owe(connection, HBK_SLICE(continue_text));
        return TAKE_NO_MORE;
    }
    return TAKE_ON;
}

/* A part of a request's body, or its end, which the answer awaits. */
static enum take take_body(struct hbk_echo_connection *connection, struct hbk_slice *bytes)
{
    struct hbk_slice data;
    switch (hbk_http1_read_body(&connection->body, bytes, &data)) {
    case HBK_HTTP1_BODY_DATA:
        keep_copy(connection, data);
        return TAKE_ON;
    case HBK_HTTP1_BODY_NEED_MORE:
        return TAKE_NO_MORE;
    case HBK_HTTP1_BODY_INVALID:
        if (connection->owed == 0) {
            connection->server->counts.malformed++;
            refuse(connection, STATUS_BAD, "a chunk, or what stands between chunks, breaks HTTP");
        } else {
            hbk_echo_close(connection);
        }
        return TAKE_NO_MORE;
    case HBK_HTTP1_BODY_END:
        break;
    }
    connection->is_in_body = false;
    if (connection->has_wish && !make_wished(connection)) {
        return TAKE_NO_MORE;
    }
    connection->is_last = connection->closes_next;
    owe(connection, connection->next);
    return connection->is_last ? TAKE_NO_MORE : TAKE_ON;
}

/* Counts the whole requests in front of `bytes` and returns how many bytes are done with. */
static size_t take_requests(struct hbk_echo_connection *connection, struct hbk_slice bytes)
{
    struct hbk_slice rest = bytes;
    enum take take = TAKE_ON;
    while (take == TAKE_ON && (rest.size > 0 || connection->is_in_body)) {
        take = connection->is_in_body ? take_body(connection, &rest) : take_head(connection, &rest);
    }
    return bytes.size - rest.size;
}

static uint64_t delay_of(const struct hbk_echo_connection *connection)
{
    return connection->has_wish ? connection->wish.delay_ns : connection->server->options->delay_ns;
}

static void delay(struct hbk_echo_connection *connection)
{
    struct hbk_echo_server *server = connection->server;
    uint64_t due_ns = hbk_clock_monotonic_ns() + delay_of(connection);
    if (hbk_due_heap_reserve(&server->waiting, server->waiting.count + 1) != HBK_OK) {
        hbk_echo_close(connection);
        return;
    }
    hbk_due_heap_add(&server->waiting, &connection->due, due_ns);
    hbk_echo_wake_at(server, due_ns);
}

static bool must_delay(const struct hbk_echo_connection *connection)
{
    return connection->owed > 0 && delay_of(connection) > 0 &&
           connection->answer.bytes != (const uint8_t *)continue_text;
}

/* Takes requests from what is held, or else from the socket; false when there is nothing. */
static bool take_more(struct hbk_echo_connection *connection)
{
    struct hbk_slice bytes;
    bool was_held = !hbk_buffer_is_empty(&connection->held);
    if (was_held) {
        hbk_buffer_consume(&connection->held,
                           take_requests(connection, hbk_buffer_slice(&connection->held)));
        (void)count_held(connection); /* less than before */
        if (connection->owed > 0 || connection->is_dead) {
            return !connection->is_dead;
        }
    }
    if (!hbk_echo_receive(connection, &bytes)) {
        return false;
    }
    size_t used = hbk_buffer_is_empty(&connection->held) ? take_requests(connection, bytes) : 0;
    bytes = hbk_slice_part(bytes, used, bytes.size);
    if (!connection->is_dead && bytes.size > 0 && !connection->is_last &&
        (hbk_buffer_append(&connection->held, bytes) != HBK_OK || !count_held(connection))) {
        hbk_echo_close(connection);
    }
    return !connection->is_dead;
}

/* Whether the peer owes the rest of a head, and since when. */
static void watch_head(struct hbk_echo_connection *connection)
{
    struct hbk_echo_server *server = connection->server;
    bool is_unfinished = !connection->is_dead && !connection->is_last && !connection->is_in_body &&
                         connection->owed == 0 && connection->tail_left == 0 &&
                         connection->held_bytes > 0;
    if (!is_unfinished) {
        hbk_link_remove(&connection->unfinished);
    } else if (!hbk_link_is_linked(&connection->unfinished)) {
        connection->head_due_ns = hbk_clock_monotonic_ns() + server->head_ns;
        hbk_list_append(&server->unfinished, &connection->unfinished);
        hbk_echo_wake_at(server, connection->head_due_ns);
    }
}

static void serve(struct hbk_echo_connection *connection)
{
    if (hbk_due_is_waiting(&connection->due)) {
        /* An end may be half a close, and then the answer is still wanted; this is not. */
        if ((connection->source.ready & HBK_HUNG_UP) != 0) {
            hbk_echo_close(connection);
        }
        return;
    }
    for (unsigned round = 0; round < HBK_ECHO_ROUNDS_MAX; round++) {
        if (!send_owed(connection)) {
            return;
        }
        if (connection->is_last) {
            if (hbk_echo_is_flushed(connection)) {
                hbk_echo_close(connection);
            }
            return;
        }
        if (!take_more(connection)) {
            if (connection->has_ended) {
                hbk_echo_close(connection);
            }
            return;
        }
        if (must_delay(connection)) {
            delay(connection);
            return;
        }
    }
    hbk_echo_again(connection);
}

void hbk_echo_http_serve(struct hbk_echo_connection *connection)
{
    serve(connection);
    watch_head(connection);
}
