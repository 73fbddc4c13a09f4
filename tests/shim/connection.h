/* One TCP connection to the runner and the TLS session over it. */
#pragma once

#include "flags.h"
#include "tls/session.h"

struct shim_worker; /* the engine's worker with its batcher */

enum { SHIM_SECRET_BYTES_MAX = 48, SHIM_INPUT_BYTES = 1 << 16 };

struct shim_worker *shim_worker_new(void);
void shim_worker_free(struct shim_worker *worker);

struct shim_connection {
    const struct shim_flags *flags;
    const struct shim_settings *settings;
    struct shim_worker *worker;
    struct hbk_tls_session *session;
    int fd;
    bool has_end;            /* the runner ended its direction */
    bool was_closed_cleanly; /* by close_notify */
    bool is_handshake_done;
    size_t start, end; /* of what arrived and was not consumed */
    uint8_t input[SHIM_INPUT_BYTES];
};

/* What a call came to. */
enum shim_outcome {
    SHIM_GOOD,
    SHIM_ENDED,  /* close_notify, or the end of the stream */
    SHIM_REFUSED /* the session failed, or the stream ended within the handshake */
};

/* Connects, and sends the id. Ends the program when that fails. */
void shim_connection_open(struct shim_connection *connection, const struct shim_flags *flags,
                          int number, struct shim_worker *worker);

/* Ends our direction, waits for the runner's end, and closes: unread bytes would become a reset,
 * and the runner would never see what we sent. */
void shim_connection_close(struct shim_connection *connection);

enum shim_outcome shim_handshake(struct shim_connection *connection);

/* Application data, lent until the next call; never empty when SHIM_GOOD. */
enum shim_outcome shim_read(struct shim_connection *connection, struct hbk_slice *out_plain);
enum shim_outcome shim_write(struct shim_connection *connection, struct hbk_slice plain);

/* Lets one byte of the record out, reads, and sends the rest behind that. */
enum shim_outcome shim_write_around_read(struct shim_connection *connection, struct hbk_slice plain,
                                         struct hbk_slice *out_plain);

/* close_notify, and whatever else is to be sent. */
void shim_shutdown(struct shim_connection *connection);
void shim_flush(struct shim_connection *connection);

/* The application traffic secrets as they were first; false: unknown. */
bool shim_traffic_secrets(const struct shim_connection *connection, struct hbk_slice *out_read,
                          struct hbk_slice *out_write);

/* For a test's clock, which stands still: realtime at the start, moved by hand. */
int64_t shim_clock_ns(void);
void shim_clock_advance(int seconds);

struct hbk_tls_worker *shim_worker_tls(struct shim_worker *worker);
