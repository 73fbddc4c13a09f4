/*
 * One connection of tls-peer: the handshake, then lines that a server echoes and a client sends and
 * awaits. What was agreed on and how it ended is written as one line of JSON each.
 */
#include "peer.h"

#include <errno.h>
#include <jansson.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "crypto/key_worker.h"
#include "tls/alert.h"

enum { BUFFER_BYTES = 4 * HBK_TLS_RECORD_BYTES_MAX, OUTPUT_BYTES = 256 << 10 };

struct connection {
    struct peer *peer;
    struct hbk_tls_session *session;
    int socket;
    bool has_ended; /* the peer's side of TCP, or time ran out */
    size_t received;
    uint8_t input[BUFFER_BYTES];
    uint8_t output[OUTPUT_BYTES];
    size_t matched; /* of a client's expectation */
    size_t plain_bytes;
};

/* ---- what is written ---- */

static void write_line(json_t *line)
{
    char *text = json_dumps(line, JSON_COMPACT);
    if (text != NULL) {
        puts(text);
        (void)fflush(stdout);
    }
    free(text);
    json_decref(line);
}

static json_t *text_of(struct hbk_slice text)
{
    return text.size == 0 ? json_string("") : json_stringn((const char *)text.bytes, text.size);
}

static void write_agreement(const struct connection *connection)
{
    struct hbk_tls_agreement agreed = hbk_tls_agreement(connection->session);
    const struct hbk_peer *peer = hbk_tls_peer(connection->session);
    json_t *line = json_object();
    json_object_set_new(line, "event", json_string("handshake"));
    json_object_set_new(line, "version", json_string(hbk_tls_version_text(agreed.version)));
    json_object_set_new(line, "engine", json_string(hbk_tls_engine_text(agreed.engine)));
    json_object_set_new(line, "suite", json_string(agreed.cipher_text));
    json_object_set_new(line, "group",
                        agreed.group_text == NULL ? json_null() : json_string(agreed.group_text));
    json_object_set_new(line, "protocol", text_of(agreed.protocol));
    json_object_set_new(line, "server_name", text_of(agreed.server_name));
    json_object_set_new(line, "resumed", json_boolean(agreed.was_resumed));
    json_object_set_new(
        line, "scheme",
        json_string(agreed.peer_scheme == 0 ? "" : hbk_sign_scheme_text(agreed.peer_scheme)));
    json_object_set_new(line, "peer", peer == NULL ? json_null() : text_of(peer->names.subject));
    json_object_set_new(line, "staple_bytes",
                        json_integer((json_int_t)hbk_tls_staple(connection->session).size));
    write_line(line);
}

static void write_end(const struct connection *connection, const char *how)
{
    json_t *line = json_object();
    json_object_set_new(line, "event", json_string(how));
    json_object_set_new(line, "plain_bytes", json_integer((json_int_t)connection->plain_bytes));
    if (strcmp(how, "failed") == 0) {
        struct hbk_tls_failure failure = hbk_tls_failure(connection->session);
        json_object_set_new(line, "alert", json_string(hbk_tls_alert_text(failure.alert)));
        json_object_set_new(line, "received", json_boolean(failure.alert_is_received));
        json_object_set_new(line, "text", json_string(failure.text));
    }
    write_line(line);
}

/* ---- the socket ---- */

static bool send_all(struct connection *connection, size_t size)
{
    size_t sent = 0;
    while (sent < size) {
        ssize_t count =
            send(connection->socket, connection->output + sent, size - sent, MSG_NOSIGNAL);
        if (count < 0 && errno != EINTR) {
            return false;
        }
        sent += count < 0 ? 0 : (size_t)count;
    }
    return true;
}

/* Waits for more bytes; false: none will come. */
static bool receive(struct connection *connection)
{
    struct pollfd waiting = {.fd = connection->socket, .events = POLLIN};
    if (connection->received == sizeof connection->input || poll(&waiting, 1, PEER_WAIT_MS) != 1) {
        connection->has_ended = true;
        return false;
    }
    ssize_t count = recv(connection->socket, connection->input + connection->received,
                         sizeof connection->input - connection->received, 0);
    if (count <= 0) {
        connection->has_ended = true;
        return false;
    }
    connection->received += (size_t)count;
    return true;
}

static void consume(struct connection *connection, size_t size)
{
    memmove(connection->input, connection->input + size, connection->received - size);
    connection->received -= size;
}

static void run_jobs(struct hbk_key_worker *keys)
{
    for (uint64_t due_ns = hbk_key_worker_due_ns(keys); due_ns != UINT64_MAX;
         due_ns = hbk_key_worker_due_ns(keys)) {
        (void)hbk_key_worker_flush(keys, due_ns + 1);
    }
}

/* ---- the conversation ---- */

static enum hbk_tls_answer shake_hands(struct connection *connection)
{
    for (;;) {
        size_t consumed = 0;
        size_t written = 0;
        enum hbk_tls_answer answer = hbk_tls_handshake(
            connection->session, hbk_span_of(connection->input, connection->received), &consumed,
            hbk_span_of(connection->output, sizeof connection->output), &written);
        consume(connection, consumed);
        if (!send_all(connection, written)) {
            connection->has_ended = true;
        }
        if (answer == HBK_TLS_WAITING) {
            run_jobs(connection->peer->keys);
        } else if (answer == HBK_TLS_DONE || answer == HBK_TLS_FAILED) {
            return answer;
        } else if (answer == HBK_TLS_WANT_INPUT && !receive(connection)) {
            return answer;
        }
    }
}

/* Sends plaintext, and before it what TLS has to say. */
static bool seal_all(struct connection *connection, struct hbk_slice plain)
{
    do {
        size_t sealed = 0;
        size_t written = 0;
        enum hbk_tls_answer answer = hbk_tls_seal(
            connection->session, &plain, 1,
            hbk_span_of(connection->output, sizeof connection->output), &sealed, &written);
        if (!send_all(connection, written) || answer == HBK_TLS_FAILED) {
            return false;
        }
        plain = hbk_slice_part(plain, sealed, plain.size);
    } while (plain.size > 0);
    return true;
}

static void flush(struct connection *connection)
{
    while (hbk_tls_has_output(connection->session)) {
        size_t written = 0;
        enum hbk_tls_answer answer =
            hbk_tls_flush(connection->session,
                          hbk_span_of(connection->output, sizeof connection->output), &written);
        if (!send_all(connection, written) || answer != HBK_TLS_DONE) {
            return;
        }
    }
}

/* A server echoes; a client looks for what it expects, wherever it begins. */
static void take_plain(struct connection *connection, struct hbk_slice plain)
{
    connection->plain_bytes += plain.size;
    if (connection->peer->options.role == HBK_TLS_SERVER) {
        if (plain.size > 0 && !seal_all(connection, plain)) {
            connection->has_ended = true; /* or TLS has failed, which the next call tells */
        }
        return;
    }
    const char *expect = connection->peer->options.expect;
    for (size_t i = 0; i < plain.size && expect[connection->matched] != '\0'; i++) {
        bool is_next = plain.bytes[i] == (uint8_t)expect[connection->matched];
        connection->matched = is_next                                ? connection->matched + 1
                              : plain.bytes[i] == (uint8_t)expect[0] ? 1
                                                                     : 0;
    }
}

static bool is_content(const struct connection *connection)
{
    return connection->peer->options.role == HBK_TLS_CLIENT &&
           connection->peer->options.expect[connection->matched] == '\0';
}

/* Until the peer closes, or the client has what it waits for. */
static enum hbk_tls_answer converse(struct connection *connection)
{
    for (;;) {
        size_t consumed = 0;
        struct hbk_slice plain = {0};
        enum hbk_tls_answer answer =
            hbk_tls_open(connection->session, hbk_span_of(connection->input, connection->received),
                         &consumed, &plain);
        if (answer == HBK_TLS_DONE) {
            take_plain(connection, plain);
        }
        consume(connection, consumed);
        flush(connection);
        if (answer == HBK_TLS_CLOSED || answer == HBK_TLS_FAILED) {
            return answer;
        }
        if (answer == HBK_TLS_WANT_INPUT && (is_content(connection) || !receive(connection))) {
            return answer;
        }
    }
}

static void say_goodbye(struct connection *connection)
{
    size_t written = 0;
    if (hbk_tls_shutdown(connection->session,
                         hbk_span_of(connection->output, sizeof connection->output),
                         &written) == HBK_TLS_DONE) {
        (void)send_all(connection, written);
    }
}

/* Waits for the other's end of TCP, so that bytes which nobody has read do not cost it our alert.
 */
static void linger(struct connection *connection)
{
    (void)shutdown(connection->socket, SHUT_WR);
    connection->received = 0;
    while (!connection->has_ended && receive(connection)) {
        connection->received = 0;
    }
}

static bool run(struct connection *connection)
{
    const struct peer_options *options = &connection->peer->options;
    enum hbk_tls_answer answer = shake_hands(connection);
    if (answer != HBK_TLS_DONE) {
        write_end(connection, answer == HBK_TLS_FAILED ? "failed" : "cut off");
        linger(connection);
        return options->role == HBK_TLS_SERVER;
    }
    write_agreement(connection);
    if (options->updates_keys) {
        hbk_tls_update_keys(connection->session, true);
    }
    flush(connection);
    if (options->role == HBK_TLS_CLIENT && !seal_all(connection, hbk_slice_text(options->send))) {
        write_end(connection, "cut off");
        return false;
    }
    answer = converse(connection);
    if (answer == HBK_TLS_FAILED) {
        write_end(connection, "failed");
        linger(connection);
        return options->role == HBK_TLS_SERVER;
    }
    say_goodbye(connection);
    if (options->role == HBK_TLS_CLIENT) {
        hbk_tls_ticket_unref(connection->peer->ticket);
        connection->peer->ticket = hbk_tls_take_ticket(connection->session);
    }
    write_end(connection, connection->has_ended ? "cut off" : "closed");
    return options->role == HBK_TLS_SERVER || is_content(connection);
}

bool peer_connection_run(struct peer *peer, int socket)
{
    struct connection *connection = calloc(1, sizeof *connection);
    const struct hbk_tls_options options = {
        .role = peer->options.role,
        .worker = peer->worker,
        .server_name = peer->options.server_name == NULL
                           ? hbk_slice_of(NULL, 0)
                           : hbk_slice_text(peer->options.server_name),
        .ticket = peer->ticket,
    };
    if (connection == NULL || hbk_tls_session_new(peer->context, &options, hbk_clock_realtime_ns(),
                                                  &connection->session) != HBK_OK) {
        fputs("tls-peer: no session\n", stderr);
        free(connection);
        return false;
    }
    connection->peer = peer;
    connection->socket = socket;
    bool is_good = run(connection);
    hbk_tls_session_free(connection->session);
    free(connection);
    return is_good;
}
