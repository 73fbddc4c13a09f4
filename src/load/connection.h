/*
 * A connection of the load generator: its socket, its protocol (HTTP/1, HTTP/2 or a TCP echo) and
 * the calls under way on it. It knows nothing of schedules; the client (load/client.c) tells it
 * what to send and hears what came of it.
 *
 *     client --> connect, send, close          on_open, on_answer, on_lost, ... --> client
 *
 * Private to load.
 */
#pragma once

#include "base/buffer.h"
#include "load/answer.h"
#include "load/client.h"
#include "load/fortio_clock.h"
#include "load/secure.h"
#include "wire/http2.h"

/* Bytes that wait for the socket: one request, or the frames of all streams of a turn. */
enum { HBK_LOAD_OUT_BYTES_MAX = HBK_LOAD_REQUEST_BYTES_MAX + (1 << 20) };

/* Reads of one connection in a turn: whoever sends without end holds up neither the schedule nor
 * its own time-out. */
enum { HBK_LOAD_ROUNDS_MAX = 16 };

/* A call under way, or room for one. */
struct hbk_load_call {
    struct hbk_link link; /* on the client's list of busy calls, or on the connection's free ones */
    struct hbk_load_connection *connection;
    const struct hbk_load_request *request;
    uint64_t intended_ns, sent_ns, deadline_ns;
    uint64_t body_bytes;     /* of the answer, as head and status */
    uint64_t promised_bytes; /* HTTP/2: what its head said of its body; UINT64_MAX: nothing */
    uint32_t head_bytes;
    uint16_t status;
    uint8_t path;                /* index of the request */
    bool is_warming;             /* not recorded */
    bool is_unsent;              /* waits until its connection is open */
    size_t body_sent;            /* HTTP/2: of the request's body */
    struct hbk_h2_stream stream; /* HTTP/2 */
};

struct hbk_load_connection {
    struct hbk_source source;
    struct hbk_link link; /* on the client's list of its state */
    struct hbk_load_client *client;
    struct hbk_task write;       /* sends `out` at the end of the turn */
    struct hbk_task open;        /* connects for a call that waits, at the end of the turn */
    struct hbk_buffer out;       /* not yet taken by the socket */
    struct hbk_secure secure;    /* TLS, between `out` and the protocol; without a session: plain */
    struct hbk_buffer plain;     /* HTTP/2 under TLS: frames that wait to be sealed */
    struct hbk_task progress;    /* a handshake that waited goes on */
    struct hbk_task again;       /* reads on in the next turn */
    struct hbk_answer answer;    /* HTTP/1 and TCP */
    struct hbk_h2_session *h2;   /* owned while the connection is open over HTTP/2 */
    struct hbk_load_call *calls; /* as many as plan->streams; borrowed from the client */
    struct hbk_list free;        /* those of them that are not under way */
    unsigned busy;               /* those that are */
    uint64_t began_ns;           /* of connecting */
    uint64_t deadline_ns;        /* of connecting, or of the rest */
    uint64_t idle_ns;            /* since when it is idle */
    uint64_t message_number;     /* TCP */
    struct hbk_fortio_clock clock;
    struct hbk_tls_ticket *ticket; /* held: the one that the handshake under way began with */
    struct hbk_due due;            /* of that clock, while it is idle */
    uint32_t uses_left;            /* requests until it is closed; UINT32_MAX: without limit */
    uint32_t index;                /* over all threads */
    uint8_t state;
    bool is_connecting; /* until TLS, if there is any, is up, too */
    bool is_shaking;    /* connected, in the TLS handshake */
    bool is_settled;    /* has ended its warm-up, well or badly */
    bool is_proven;     /* has brought an answer since it was opened */
    bool is_draining;   /* HTTP/2: the server takes no new requests */
    uint8_t message[HBK_LOAD_MESSAGE_BYTES];
};

static inline bool hbk_load_is_open(const struct hbk_load_connection *connection)
{
    return connection->source.fd >= 0 && !connection->is_connecting;
}

/* Whether one more call can be sent on an open connection, or with its opening. */
bool hbk_load_can_send(const struct hbk_load_connection *connection);

/* ---- from the client ---- */

/* Before anything else, with client, index and calls set. */
void hbk_load_connection_init(struct hbk_load_connection *connection);

/* Begins to connect; on_open or on_open_failed follows, perhaps at once. */
void hbk_load_connect(struct hbk_load_connection *connection, uint64_t now_ns);

/* Sends a call on an open connection. It may fail at once. */
void hbk_load_send(struct hbk_load_connection *connection, struct hbk_load_call *call);

/* HTTP/2: gives a call up that is under way and keeps the connection. False where that cannot be
 * done and the connection must go. */
HBK_MUST_USE bool hbk_load_cancel(struct hbk_load_call *call);

/* Closes the socket and forgets all about it. The calls stay the client's. */
void hbk_load_close(struct hbk_load_connection *connection);

/* ---- to the client ---- */

void hbk_load_on_open(struct hbk_load_connection *connection, uint64_t now_ns);
void hbk_load_on_open_failed(struct hbk_load_connection *connection, enum hbk_load_failure failure,
                             uint64_t now_ns);

/* The answer is whole; `is_last`: the connection cannot be used again. */
void hbk_load_on_answer(struct hbk_load_call *call, bool is_last, uint64_t now_ns);

/* One call failed and the connection lives. */
void hbk_load_on_call_failed(struct hbk_load_call *call, enum hbk_load_failure failure,
                             uint64_t now_ns);

/* The connection is over, with all calls on it. */
void hbk_load_on_lost(struct hbk_load_connection *connection, enum hbk_load_failure failure,
                      uint64_t now_ns);

/* How many calls can be sent has changed. */
void hbk_load_on_room(struct hbk_load_connection *connection, uint64_t now_ns);

/* Something happened on the connection and is worked off; the client may go on. */
void hbk_load_on_turn(struct hbk_load_client *client);

/* ---- between the files of the connection ---- */

/* HTTP/2. Fails: HBK_NO_MEMORY. */
HBK_MUST_USE hbk_status hbk_load_h2_begin(struct hbk_load_connection *connection);
void hbk_load_h2_end(struct hbk_load_connection *connection);
void hbk_load_h2_send(struct hbk_load_connection *connection, struct hbk_load_call *call);
void hbk_load_h2_take(struct hbk_load_connection *connection, struct hbk_slice bytes,
                      uint64_t now_ns);

/* Where HTTP/2 puts its frames. */
struct hbk_buffer *hbk_load_frames(struct hbk_load_connection *connection);

/* Sends `out` later in this turn, together with what else comes. */
void hbk_load_write_later(struct hbk_load_connection *connection);
