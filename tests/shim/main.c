/*
 * tls-shim: an outside conformance runner drives the native TLS engine through this program, in
 * both parts. It connects to the runner, shakes hands as its flags say, checks what they expect,
 * echoes what it reads with every bit inverted, and closes; again for each resumption.
 *
 *     tls-shim -port N -shim-id N [flag...]
 *
 * Exit status and flags: docs/tls-shim.md. A connection that succeeds leaves standard error
 * empty but for the last line, behind which only a sanitizer may speak.
 */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/compiler.h"
#include "check.h"
#include "connection.h"
#include "credential.h"
#include "error.h"
#include "exit.h"
#include "observer.h"
#include "tls/alert.h"

enum { READ_BYTES = 512, ECHO_BYTES_MAX = 1 << 15 };

struct shim {
    struct shim_flags flags;
    struct shim_worker *worker;
    struct hbk_tls_ticket_keys *keys;
    struct hbk_tls_ticket *ticket; /* a client's newest */
    bool is_written_early;         /* hello went out around the first read */
};

/* ---- the end of a connection that failed ---- */

/* The runner must see our alert before the socket goes, and our words before we do. */
static int fail(struct shim *shim, struct shim_connection *connection)
{
    const struct shim_settings *settings = connection->settings;
    struct hbk_tls_failure failure = {.alert = HBK_ALERT_NONE};
    bool was_cut = connection->has_end && !hbk_tls_has_output(connection->session);
    if (!was_cut) {
        failure = hbk_tls_failure(connection->session);
    }
    (void)shim;
    if (!was_cut && shim_is_older_version(settings, &failure)) {
        shim_connection_close(connection);
        return SHIM_EXIT_UNIMPLEMENTED;
    }
    if (was_cut) {
        (void)fputs("the stream ended within the handshake\n", stderr);
    } else {
        shim_report_failure(&failure);
    }
    shim_connection_close(connection);
    return SHIM_EXIT_FAILED;
}

static int fail_check(struct shim_connection *connection, const char *text)
{
    (void)fprintf(stderr, "%s\n", text);
    shim_connection_close(connection);
    return SHIM_EXIT_CHECK;
}

/* ---- data ---- */

static enum shim_outcome write_secrets(struct shim_connection *connection)
{
    struct hbk_slice read_secret;
    struct hbk_slice write_secret;
    uint8_t out[2 + 2 * SHIM_SECRET_BYTES_MAX];
    if (!shim_traffic_secrets(connection, &read_secret, &write_secret)) {
        shim_exit(SHIM_EXIT_CHECK, "no traffic secrets");
    }
    out[0] = (uint8_t)read_secret.size;
    out[1] = (uint8_t)(read_secret.size >> 8);
    memcpy(out + 2, read_secret.bytes, read_secret.size);
    memcpy(out + 2 + read_secret.size, write_secret.bytes, write_secret.size);
    return shim_write(connection, hbk_slice_of(out, 2 + 2 * read_secret.size));
}

static enum shim_outcome write_exported(struct shim_connection *connection)
{
    const struct shim_settings *settings = connection->settings;
    uint8_t out[4096];
    size_t size = (size_t)settings->export_bytes;
    const char *label = settings->export_label == NULL ? "" : settings->export_label;
    const char *context = settings->has_export_context && settings->export_context != NULL
                              ? settings->export_context
                              : "";
    if (size > sizeof out ||
        hbk_tls_export(connection->session, hbk_slice_text(label), hbk_slice_text(context),
                       hbk_span_of(out, size)) != HBK_OK) {
        shim_exit(SHIM_EXIT_CHECK, "keying material cannot be exported");
    }
    return shim_write(connection, hbk_slice_of(out, size));
}

/* Sends back what came, inverted, in pieces as small as the test reads. */
static enum shim_outcome echo(struct shim_connection *connection, struct hbk_slice plain)
{
    const struct shim_settings *settings = connection->settings;
    size_t piece_bytes = settings->read_bytes > 0 ? (size_t)settings->read_bytes : READ_BYTES;
    piece_bytes = piece_bytes < ECHO_BYTES_MAX ? piece_bytes : ECHO_BYTES_MAX;
    static uint8_t inverted[ECHO_BYTES_MAX];
    enum shim_outcome outcome = SHIM_GOOD;
    while (plain.size > 0 && outcome == SHIM_GOOD) {
        struct hbk_slice piece = hbk_slice_part(plain, 0, piece_bytes);
        for (size_t i = 0; i < piece.size; i++) {
            inverted[i] = piece.bytes[i] ^ 0xff;
        }
        if (settings->updates_keys) {
            hbk_tls_update_keys(connection->session, false);
        }
        outcome = shim_write(connection, hbk_slice_of(inverted, piece.size));
        plain = hbk_slice_part(plain, piece.size, plain.size);
    }
    return outcome;
}

static enum shim_outcome echo_all(struct shim_connection *connection)
{
    enum shim_outcome outcome;
    struct hbk_slice plain;
    while ((outcome = shim_read(connection, &plain)) == SHIM_GOOD) {
        outcome = echo(connection, plain);
        if (outcome != SHIM_GOOD) {
            break;
        }
    }
    return outcome;
}

/* What is written before anything is read. */
static enum shim_outcome begin_data(struct shim_connection *connection)
{
    const struct shim_settings *settings = connection->settings;
    enum shim_outcome outcome = SHIM_GOOD;
    if (settings->export_bytes > 0) {
        outcome = write_exported(connection);
    }
    if (outcome == SHIM_GOOD && settings->exports_secrets) {
        outcome = write_secrets(connection);
    }
    if (outcome == SHIM_GOOD && settings->reads_with_unfinished_write) {
        struct hbk_slice plain;
        outcome = shim_write_around_read(connection, HBK_SLICE("hello"), &plain);
        return outcome == SHIM_GOOD ? echo(connection, plain) : outcome;
    }
    if (outcome == SHIM_GOOD && settings->writes_first) {
        outcome = shim_write(connection, HBK_SLICE("hello"));
    }
    return outcome;
}

/* ---- closing ---- */

/* We say close_notify first, and wait for the runner's. */
static enum shim_outcome shut_down(struct shim_connection *connection)
{
    enum shim_outcome outcome;
    struct hbk_slice plain;
    shim_shutdown(connection);
    while ((outcome = shim_read(connection, &plain)) == SHIM_GOOD) {
    }
    return outcome;
}

static void take_ticket(struct shim *shim, struct shim_connection *connection)
{
    struct hbk_tls_ticket *newest = hbk_tls_take_ticket(connection->session);
    if (newest != NULL) {
        hbk_tls_ticket_unref(shim->ticket);
        shim->ticket = newest;
    }
}

static int finish(struct shim *shim, struct shim_connection *connection)
{
    const struct shim_settings *settings = connection->settings;
    if (settings->checks_close && !connection->was_closed_cleanly) {
        (void)fputs("Unexpected SSL_shutdown result: -1 != 1\n", stderr);
        shim_connection_close(connection);
        return SHIM_EXIT_FAILED;
    }
    if (settings->checks_close) {
        shim_shutdown(connection);
    }
    if (!shim->flags.is_server && !settings->shuts_down && !settings->expect_no_session) {
        hbk_tls_ticket_unref(shim->ticket);
        shim->ticket = NULL;
        take_ticket(shim, connection);
        if (shim->ticket == NULL) {
            return fail_check(connection, "no ticket arrived");
        }
    }
    shim_connection_close(connection);
    return SHIM_EXIT_OK;
}

static int talk(struct shim *shim, struct shim_connection *connection)
{
    enum shim_outcome outcome = begin_data(connection);
    if (outcome == SHIM_GOOD) {
        outcome = !connection->settings->shuts_down    ? echo_all(connection)
                  : connection->settings->checks_close ? shut_down(connection)
                                                       : SHIM_GOOD; /* just closes */
    }
    bool was_cut = outcome == SHIM_ENDED && !connection->is_handshake_done;
    return outcome == SHIM_REFUSED || was_cut ? fail(shim, connection) : finish(shim, connection);
}

/* ---- one connection ---- */

static struct hbk_tls_session *begin_session(const struct shim *shim,
                                             struct shim_connection *connection, int number)
{
    const struct shim_settings *settings = connection->settings;
    struct hbk_tls_context *context = shim_context_new(&shim->flags, settings, shim->keys);
    const struct hbk_tls_options options = {
        .role = shim->flags.is_server ? HBK_TLS_SERVER : HBK_TLS_CLIENT,
        .worker = shim_worker_tls(shim->worker),
        .server_name = settings->host_name == NULL || shim->flags.is_server
                           ? hbk_slice_of(NULL, 0)
                           : hbk_slice_text(settings->host_name),
        .ticket = number > 0 ? shim->ticket : NULL,
    };
    struct hbk_tls_session *session = NULL;
    hbk_status status = hbk_tls_session_new(context, &options, shim_clock_ns(), &session);
    shim_observed.context = context; /* the session holds it */
    hbk_tls_context_unref(context);
    if (status != HBK_OK) {
        shim_exit(SHIM_EXIT_CHECK, "no session: %s", hbk_status_text(status));
    }
    return session;
}

static int serve(struct shim *shim, int number)
{
    static struct shim_connection connection;
    shim_observe(&shim->flags, number);
    shim_connection_open(&connection, &shim->flags, number, shim->worker);
    connection.session = begin_session(shim, &connection, number);
    if (!connection.settings->is_implicit) {
        if (shim_handshake(&connection) != SHIM_GOOD) {
            return fail(shim, &connection);
        }
        shim_check(&connection, number);
    }
    if (connection.settings->sends_alert) {
        hbk_tls_abort(connection.session, 30); /* decompression_failure */
        shim_flush(&connection);
        shim_connection_close(&connection);
        return SHIM_EXIT_OK;
    }
    int status = talk(shim, &connection);
    shim_clock_advance(shim_settings_of(&shim->flags, number)->resumption_delay_s);
    return status;
}

static int run(struct shim *shim)
{
    shim->worker = shim_worker_new();
    if (hbk_tls_ticket_keys_new(NULL, 0, &shim->keys) != HBK_OK) {
        return SHIM_EXIT_CHECK;
    }
    int status = SHIM_EXIT_OK;
    for (int i = 0; i <= shim->flags.resume_count && status == SHIM_EXIT_OK; i++) {
        status = serve(shim, i);
    }
    hbk_tls_ticket_unref(shim->ticket);
    hbk_tls_ticket_keys_unref(shim->keys);
    shim_worker_free(shim->worker);
    return status;
}

int main(int count, char **arguments)
{
    static struct shim shim;
    (void)count;
    shim_flags_read(&shim.flags, arguments);
    if (shim.flags.asks_handshaker) {
        (void)puts("No");
        return SHIM_EXIT_OK;
    }
    if (shim.flags.waits_for_debugger) {
        (void)raise(SIGSTOP);
    }
    int status = run(&shim);
    shim_observe(&shim.flags, 0); /* frees what was seen */
    (void)fputs("--- DONE ---\n", stderr);
    return status;
}
