/*
 * A blocking socket and the engine. Under -async the transport hands over one byte at a time in
 * each direction, and a job that is under way is asked about twice before it may complete: a
 * session that is stepped without progress must answer "waiting" again and leave everything alone.
 */
#include "connection.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/assert.h"
#include "base/clock.h"
#include "crypto/batcher.h"
#include "crypto/key_worker.h"
#include "exit.h"
#include "tls/worker.h"

enum { OUTPUT_BYTES = 40 << 10, PENDING_STEPS = 2, SECRETS = 2 };

struct shim_worker {
    struct hbk_batcher *batcher;
    struct hbk_key_worker *keys;
    struct hbk_tls_worker *tls;
    size_t secret_bytes;
    uint8_t secrets[SECRETS][SHIM_SECRET_BYTES_MAX]; /* the client's, the server's */
};

static int64_t clock_ns;

int64_t shim_clock_ns(void)
{
    if (clock_ns == 0) {
        clock_ns = hbk_clock_realtime_ns();
    }
    return clock_ns;
}

void shim_clock_advance(int seconds)
{
    clock_ns = shim_clock_ns() + (int64_t)seconds * (int64_t)HBK_NS_PER_S;
}

/* ---- the worker ---- */

/* The traffic secrets are had as a person who debugs has them: from the key log. */
static void note_secret(void *owner, const char *line)
{
    static const char *const labels[SECRETS] = {"CLIENT_TRAFFIC_SECRET_0 ",
                                                "SERVER_TRAFFIC_SECRET_0 "};
    struct shim_worker *worker = owner;
    for (size_t i = 0; i < SECRETS; i++) {
        if (strncmp(line, labels[i], strlen(labels[i])) != 0) {
            continue;
        }
        const char *digits = strrchr(line, ' ') + 1;
        worker->secret_bytes = strlen(digits) / 2;
        HBK_ASSERT(worker->secret_bytes <= SHIM_SECRET_BYTES_MAX);
        for (size_t j = 0; j < worker->secret_bytes; j++) {
            unsigned byte = 0;
            HBK_ASSERT(sscanf(digits + 2 * j, "%2x", &byte) == 1);
            worker->secrets[i][j] = (uint8_t)byte;
        }
    }
}

struct shim_worker *shim_worker_new(void)
{
    struct shim_worker *worker = calloc(1, sizeof *worker);
    struct hbk_batcher_options options;
    hbk_batcher_options_init(&options);
    if (worker == NULL || hbk_batcher_new(&options, &worker->batcher) != HBK_OK ||
        hbk_key_worker_new(worker->batcher, &worker->keys) != HBK_OK) {
        shim_exit(SHIM_EXIT_CHECK, "the batcher cannot be made");
    }
    const struct hbk_tls_worker_options tls = {
        .keys = worker->keys,
        .key_log = note_secret,
        .key_log_owner = worker,
    };
    if (hbk_tls_worker_new(&tls, &worker->tls) != HBK_OK) {
        shim_exit(SHIM_EXIT_CHECK, "the worker cannot be made");
    }
    return worker;
}

void shim_worker_free(struct shim_worker *worker)
{
    hbk_tls_worker_free(worker->tls);
    hbk_key_worker_free(worker->keys);
    hbk_batcher_free(worker->batcher);
    free(worker);
}

struct hbk_tls_worker *shim_worker_tls(struct shim_worker *worker)
{
    return worker->tls;
}

bool shim_traffic_secrets(const struct shim_connection *connection, struct hbk_slice *out_read,
                          struct hbk_slice *out_write)
{
    const struct shim_worker *worker = connection->worker;
    size_t ours = connection->flags->is_server ? 1 : 0;
    *out_write = hbk_slice_of(worker->secrets[ours], worker->secret_bytes);
    *out_read = hbk_slice_of(worker->secrets[1 - ours], worker->secret_bytes);
    return worker->secret_bytes > 0;
}

/* ---- the socket ---- */

static int dial(const struct shim_flags *flags)
{
    const struct sockaddr_in6 six = {
        .sin6_family = AF_INET6,
        .sin6_port = htons((uint16_t)flags->port),
        .sin6_addr = IN6ADDR_LOOPBACK_INIT,
    };
    const struct sockaddr_in four = {
        .sin_family = AF_INET,
        .sin_port = htons((uint16_t)flags->port),
        .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
    };
    int one = 1;
    int fd = socket(flags->is_ipv6 ? AF_INET6 : AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    int failed = fd < 0 ? fd
                 : flags->is_ipv6
                     ? connect(fd, (const struct sockaddr *)(const void *)&six, sizeof six)
                     : connect(fd, (const struct sockaddr *)(const void *)&four, sizeof four);
    if (failed < 0 || setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one) < 0) {
        shim_exit(SHIM_EXIT_CHECK, "port %d: %s", flags->port, strerror(errno));
    }
    return fd;
}

/* Sends everything; a runner that has gone away is found out by reading. */
static void send_all(struct shim_connection *connection, struct hbk_slice bytes)
{
    while (bytes.size > 0) {
        size_t size = connection->settings->is_async ? 1 : bytes.size;
        ssize_t sent = send(connection->fd, bytes.bytes, size, MSG_NOSIGNAL);
        if (sent < 0 && errno == EINTR) {
            continue;
        }
        if (sent < 0) {
            return;
        }
        bytes = hbk_slice_part(bytes, (size_t)sent, bytes.size);
    }
}

/* Waits for more; false: there is none. */
static bool receive(struct shim_connection *connection)
{
    memmove(connection->input, connection->input + connection->start,
            connection->end - connection->start);
    connection->end -= connection->start;
    connection->start = 0;
    size_t room = sizeof connection->input - connection->end;
    HBK_ASSERT(room > 0);
    ssize_t size = 0;
    do {
        size = recv(connection->fd, connection->input + connection->end,
                    connection->settings->is_async ? 1 : room, 0);
    } while (size < 0 && errno == EINTR);
    connection->has_end = size <= 0;
    connection->end += connection->has_end ? 0 : (size_t)size;
    return !connection->has_end;
}

void shim_connection_open(struct shim_connection *connection, const struct shim_flags *flags,
                          int number, struct shim_worker *worker)
{
    *connection = (struct shim_connection){
        .flags = flags,
        .settings = shim_settings_of(flags, number),
        .worker = worker,
        .fd = dial(flags),
    };
    worker->secret_bytes = 0;
    uint8_t id[8];
    for (size_t i = 0; i < sizeof id; i++) {
        id[i] = (uint8_t)(flags->shim_id >> (8 * i));
    }
    send_all(connection, hbk_slice_of(id, sizeof id));
}

void shim_connection_close(struct shim_connection *connection)
{
    uint8_t sink[4096];
    hbk_tls_session_free(connection->session);
    connection->session = NULL;
    (void)shutdown(connection->fd, SHUT_WR);
    while (recv(connection->fd, sink, sizeof sink, 0) > 0) {
    }
    (void)close(connection->fd);
    connection->fd = -1;
}

/* ---- the session ---- */

static struct hbk_span input_of(struct shim_connection *connection)
{
    return hbk_span_of(connection->input + connection->start, connection->end - connection->start);
}

/* Lets jobs go on, one batch a turn. */
static void work(struct shim_connection *connection, unsigned *in_out_steps)
{
    if (connection->settings->is_async && ++*in_out_steps <= PENDING_STEPS) {
        return;
    }
    *in_out_steps = 0;
    if (hbk_key_worker_due_ns(connection->worker->keys) == UINT64_MAX) {
        shim_exit(SHIM_EXIT_CHECK, "the session waits, and nothing is under way");
    }
    (void)hbk_key_worker_flush(connection->worker->keys, hbk_clock_monotonic_ns());
}

enum shim_outcome shim_handshake(struct shim_connection *connection)
{
    static uint8_t output[OUTPUT_BYTES];
    const struct hbk_span room =
        hbk_span_of(output, connection->settings->is_async ? 1 : sizeof output);
    unsigned steps = 0;
    for (;;) {
        size_t consumed = 0;
        size_t written = 0;
        enum hbk_tls_answer answer =
            hbk_tls_handshake(connection->session, input_of(connection), &consumed, room, &written);
        connection->start += consumed;
        send_all(connection, hbk_slice_of(output, written));
        switch (answer) {
        case HBK_TLS_DONE:
            connection->is_handshake_done = true;
            return SHIM_GOOD;
        case HBK_TLS_WANT_INPUT:
            if (!receive(connection)) {
                return SHIM_REFUSED;
            }
            break;
        case HBK_TLS_WANT_ROOM:
            break;
        case HBK_TLS_WAITING:
            work(connection, &steps);
            break;
        case HBK_TLS_CLOSED:
        case HBK_TLS_FAILED:
            shim_flush(connection);
            return SHIM_REFUSED;
        }
    }
}

static enum shim_outcome finish_handshake(struct shim_connection *connection)
{
    return connection->is_handshake_done ? SHIM_GOOD : shim_handshake(connection);
}

void shim_flush(struct shim_connection *connection)
{
    uint8_t output[HBK_TLS_CONTROL_BYTES_MAX];
    size_t written = 0;
    while (hbk_tls_has_output(connection->session) &&
           hbk_tls_flush(connection->session, hbk_span_of(output, sizeof output), &written) ==
               HBK_TLS_DONE &&
           written > 0) {
        send_all(connection, hbk_slice_of(output, written));
    }
}

enum shim_outcome shim_read(struct shim_connection *connection, struct hbk_slice *out_plain)
{
    enum shim_outcome outcome = finish_handshake(connection);
    while (outcome == SHIM_GOOD) {
        size_t consumed = 0;
        switch (hbk_tls_open(connection->session, input_of(connection), &consumed, out_plain)) {
        case HBK_TLS_DONE:
            connection->start += consumed;
            if (out_plain->size > 0) {
                return SHIM_GOOD;
            }
            break;
        case HBK_TLS_WANT_INPUT:
            if (!receive(connection)) {
                return SHIM_ENDED;
            }
            break;
        case HBK_TLS_CLOSED:
            connection->start = connection->end;
            connection->was_closed_cleanly = true;
            return SHIM_ENDED;
        case HBK_TLS_WANT_ROOM:
        case HBK_TLS_WAITING:
            HBK_UNREACHABLE();
        case HBK_TLS_FAILED:
            connection->start += consumed;
            shim_flush(connection);
            return SHIM_REFUSED;
        }
    }
    return outcome;
}

/* Seals into memory; the caller sends it. */
static struct hbk_span seal(struct shim_connection *connection, struct hbk_slice plain)
{
    size_t size = hbk_tls_sealed_bytes_max(connection->session, plain.size);
    uint8_t *output = malloc(size);
    HBK_ASSERT(output != NULL);
    size_t sealed = 0;
    size_t written = 0;
    enum hbk_tls_answer answer =
        hbk_tls_seal(connection->session, &plain, 1, hbk_span_of(output, size), &sealed, &written);
    if (answer != HBK_TLS_DONE || sealed != plain.size) {
        shim_exit(SHIM_EXIT_CHECK, "sealing %zu bytes: %s", plain.size,
                  hbk_tls_answer_text(answer));
    }
    return hbk_span_of(output, written);
}

enum shim_outcome shim_write(struct shim_connection *connection, struct hbk_slice plain)
{
    enum shim_outcome outcome = finish_handshake(connection);
    if (outcome == SHIM_GOOD) {
        struct hbk_span record = seal(connection, plain);
        send_all(connection, hbk_slice_of(record.bytes, record.size));
        free(record.bytes);
    }
    return outcome;
}

enum shim_outcome shim_write_around_read(struct shim_connection *connection, struct hbk_slice plain,
                                         struct hbk_slice *out_plain)
{
    enum shim_outcome outcome = finish_handshake(connection);
    if (outcome != SHIM_GOOD) {
        return outcome;
    }
    struct hbk_span record = seal(connection, plain);
    send_all(connection, hbk_slice_of(record.bytes, 1));
    outcome = shim_read(connection, out_plain);
    send_all(connection, hbk_slice_of(record.bytes + 1, record.size - 1));
    free(record.bytes);
    return outcome;
}

void shim_shutdown(struct shim_connection *connection)
{
    uint8_t output[HBK_TLS_CONTROL_BYTES_MAX];
    size_t written = 0;
    shim_flush(connection);
    if (hbk_tls_shutdown(connection->session, hbk_span_of(output, sizeof output), &written) ==
        HBK_TLS_DONE) {
        send_all(connection, hbk_slice_of(output, written));
    }
}
