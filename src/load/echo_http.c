/*
 * The echo server over HTTP/1.1. Almost all answers are the same bytes, so a connection does not
 * queue answers but counts them: `owed` copies of `answer`, the first of them sent up to `offset`.
 * However many requests are pipelined, and however large the body, nothing is copied or piles up.
 * A request with another answer (HEAD, /whoami) waits until the counted ones are sent.
 */
#include "base/assert.h"
#include "base/clock.h"
#include "load/echo_server.h"
#include "os/socket.h"

/* Answers in one system call. */
enum { ANSWERS_PER_SEND_MAX = 64 };

/* TEMPORARY until wire/http1.h lands. */
struct request {
    struct hbk_slice head, method, target;
    uint64_t body_bytes;
    bool is_last;
};
enum parse { PARSE_MORE, PARSE_DONE, PARSE_BAD };

static enum parse parse_request(struct hbk_slice bytes, struct request *out)
{
    const uint8_t *end = memmem(bytes.bytes, bytes.size, "\r\n\r\n", 4);
    struct request request = {0};
    size_t space, line_end;
    if (end == NULL) {
        return bytes.size > 65536 ? PARSE_BAD : PARSE_MORE;
    }
    request.head = hbk_slice_of(bytes.bytes, (size_t)(end + 4 - bytes.bytes));
    struct hbk_slice rest = request.head;
    if (!hbk_slice_find(rest, ' ', &space)) {
        return PARSE_BAD;
    }
    request.method = hbk_slice_part(rest, 0, space);
    rest = hbk_slice_part(rest, space + 1, rest.size);
    if (!hbk_slice_find(rest, ' ', &space)) {
        return PARSE_BAD;
    }
    request.target = hbk_slice_part(rest, 0, space);
    while (hbk_slice_find(rest, '\n', &line_end)) {
        struct hbk_slice line = hbk_slice_part(rest, 0, line_end);
        rest = hbk_slice_part(rest, line_end + 1, rest.size);
        if (hbk_slice_equal_nocase(hbk_slice_part(line, 0, 17), HBK_SLICE("connection: close"))) {
            request.is_last = true;
        }
        if (line.size > 17 &&
            hbk_slice_equal_nocase(hbk_slice_part(line, 0, 16), HBK_SLICE("content-length: "))) {
            if (!hbk_slice_to_u64(hbk_slice_part(line, 16, line.size - 17), UINT64_MAX / 2,
                                  &request.body_bytes)) {
                return PARSE_BAD;
            }
        }
    }
    *out = request;
    return PARSE_DONE;
}

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
    if (connection->owed == 1) {
        return hbk_socket_send(connection->source.fd, first, out_size);
    }
    size_t count = 0;
    for (; count < connection->owed && count < ANSWERS_PER_SEND_MAX; count++) {
        struct hbk_slice part = count == 0 ? first : connection->answer;
        parts[count].iov_base = (void *)(uintptr_t)part.bytes;
        parts[count].iov_len = part.size;
    }
    return hbk_socket_send_parts(connection->source.fd, parts, count, out_size);
}

/* False when the socket takes no more now or the connection died. */
static bool send_owed(struct hbk_echo_connection *connection)
{
    while (connection->owed > 0) {
        size_t size;
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
    hbk_buffer_fini(&connection->special);
    return true;
}

static hbk_status build_whoami(struct hbk_echo_connection *connection, struct hbk_slice head)
{
    char text[HBK_ADDRESS_TEXT_BYTES_MAX];
    struct hbk_address peer = {0};
    if (hbk_socket_peer_address(connection->source.fd, &peer) != HBK_OK) {
        return HBK_CLOSED;
    }
    const char *name = hbk_address_text(&peer, text);
    size_t size = strlen("caller ") + strlen(name) + 2 + head.size;
    return hbk_buffer_print(&connection->special,
                            "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n"
                            "Content-Length: %zu\r\n\r\ncaller %s\r\n%.*s",
                            size, name, HBK_SLICE_ARGS(head));
}

static hbk_status refuse(struct hbk_echo_connection *connection)
{
    connection->is_last = true;
    return hbk_buffer_append(&connection->special,
                             HBK_SLICE("HTTP/1.1 400 Bad Request\r\nConnection: close\r\n"
                                       "Content-Length: 0\r\n\r\n"));
}

/* One answer of its own kind. */
static void owe_special(struct hbk_echo_connection *connection, hbk_status built)
{
    if (built != HBK_OK) {
        hbk_echo_close(connection);
        return;
    }
    connection->answer = hbk_buffer_slice(&connection->special);
    connection->owed = 1;
}

/* Counts a request. False when it must wait for the answers that are owed. */
static bool take_request(struct hbk_echo_connection *connection, const struct request *request)
{
    const struct hbk_echo_server *server = connection->server;
    bool is_whoami = hbk_slice_equal(request->target, HBK_SLICE("/whoami"));
    bool is_head = hbk_slice_equal(request->method, HBK_SLICE("HEAD"));
    struct hbk_slice answer = is_head ? server->head_answer : server->answer;
    if (connection->owed > 0 && (is_whoami || answer.bytes != connection->answer.bytes ||
                                 answer.size != connection->answer.size)) {
        return false;
    }
    connection->skip_bytes = request->body_bytes;
    connection->is_last = request->is_last;
    if (is_whoami && !is_head) {
        owe_special(connection, build_whoami(connection, request->head));
    } else {
        connection->answer = answer;
        connection->owed++;
    }
    return true;
}

static size_t skip_body(struct hbk_echo_connection *connection, size_t size)
{
    size_t skipped = connection->skip_bytes < size ? (size_t)connection->skip_bytes : size;
    connection->skip_bytes -= skipped;
    return skipped;
}

/* Counts the whole requests in front of `bytes` and returns how many bytes they have. */
static size_t take_requests(struct hbk_echo_connection *connection, struct hbk_slice bytes)
{
    size_t used = 0;
    while (!connection->is_dead && !connection->is_last) {
        struct request request;
        used += skip_body(connection, bytes.size - used);
        if (used == bytes.size) {
            break;
        }
        enum parse parsed = parse_request(hbk_slice_part(bytes, used, bytes.size), &request);
        if (parsed == PARSE_MORE || (parsed == PARSE_BAD && connection->owed > 0)) {
            break;
        }
        if (parsed == PARSE_BAD) {
            owe_special(connection, refuse(connection));
            break;
        }
        if (!take_request(connection, &request)) {
            break;
        }
        used += request.head.size;
    }
    return used;
}

static void delay(struct hbk_echo_connection *connection)
{
    struct hbk_echo_server *server = connection->server;
    connection->due_ns = hbk_clock_monotonic_ns() + server->options->delay_ns;
    hbk_list_append(&server->waiting, &connection->delayed);
    if (connection->due_ns < server->alarm.due_ns) {
        server->alarm.due_ns = connection->due_ns;
    }
}

/* Takes requests from what is held, or else from the socket; false when there is nothing. */
static bool take_more(struct hbk_echo_connection *connection)
{
    struct hbk_slice bytes;
    bool was_held = !hbk_buffer_is_empty(&connection->held);
    if (was_held) {
        hbk_buffer_consume(&connection->held,
                           take_requests(connection, hbk_buffer_slice(&connection->held)));
        if (connection->owed > 0 || connection->is_dead) {
            return !connection->is_dead;
        }
    }
    if (!hbk_echo_receive(connection, &bytes)) {
        return false;
    }
    size_t used = hbk_buffer_is_empty(&connection->held) ? take_requests(connection, bytes) : 0;
    bytes = hbk_slice_part(bytes, used, bytes.size);
    if (!connection->is_dead && bytes.size > 0 &&
        hbk_buffer_append(&connection->held, bytes) != HBK_OK) {
        hbk_echo_close(connection);
    }
    return !connection->is_dead;
}

void hbk_echo_http_serve(struct hbk_echo_connection *connection)
{
    if (hbk_link_is_linked(&connection->delayed)) {
        return;
    }
    for (unsigned round = 0; round < HBK_ECHO_ROUNDS_MAX; round++) {
        if (!send_owed(connection)) {
            return;
        }
        if (connection->is_last) {
            hbk_echo_close(connection);
            return;
        }
        if (!take_more(connection)) {
            if (connection->has_ended) {
                hbk_echo_close(connection);
            }
            return;
        }
        if (connection->owed > 0 && connection->server->options->delay_ns > 0) {
            delay(connection);
            return;
        }
    }
    hbk_echo_again(connection);
}
