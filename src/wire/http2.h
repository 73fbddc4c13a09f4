/*
 * An HTTP/2 connection (RFC 9113) without I/O, for either side. Bytes that arrived go in through
 * hbk_h2_read() and come out as events; what must be sent goes into a sink of the caller's. The
 * payload of DATA is never copied: arriving payload is lent as a part of the input, and leaving
 * payload lies in the caller's buffer behind a frame header that hbk_h2_frame_data() writes.
 *
 *     peer's bytes --> hbk_h2_read() --> REQUEST, RESPONSE, DATA, RESET, CREDIT, ... --> caller
 *     peer         <-- sink <-- control frames (session) and DATA (caller), in one order
 *
 * A stream lives in storage of the caller's. It belongs to the session from hbk_h2_accept() or
 * hbk_h2_open() until hbk_h2_is_closed() says true: both sides ended, or either reset it. From then
 * on the session holds no pointer to it. One thread at a time; steady state allocates nothing
 * except while a block of header fields is read or written.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/assert.h"
#include "base/slice.h"
#include "base/status.h"

enum {
    HBK_H2_FRAME_HEADER_BYTES = 9,
    HBK_H2_FRAME_BYTES_MAX = 16384, /* payload of one frame that we accept (RFC 9113, 4.2) */
    HBK_H2_SMALL_FRAME_BYTES = 16,  /* payloads that are gathered without an allocation */
    HBK_H2_RESERVE_BYTES_MAX = HBK_H2_FRAME_HEADER_BYTES + HBK_H2_FRAME_BYTES_MAX,

    HBK_H2_STREAMS_MAX = 2048,                         /* a client may have open, by default */
    HBK_H2_STREAM_WINDOW_BYTES = 64 * 1024,            /* a stream may send unread, at first */
    HBK_H2_STREAM_WINDOW_BYTES_MAX = 1024 * 1024,      /* the same after growth by use */
    HBK_H2_WINDOW_GROWTH_BYTES_MAX = 16 * 1024 * 1024, /* all growth of one session's streams */
    HBK_H2_CONNECTION_WINDOW_BYTES = 16 * 1024 * 1024,

    HBK_H2_FIELDS_MAX = 100,             /* header fields in one block */
    HBK_H2_FIELD_LIST_BYTES_MAX = 16384, /* names, values and 32 each (RFC 9113, 6.5.2) */
    HBK_H2_BLOCK_BYTES_MAX = 32768,      /* one block as sent, over all its frames */
    HBK_H2_CONTINUATIONS_MAX = 16,       /* frames that continue one block */
    HBK_H2_TABLE_BYTES = 4096,           /* HPACK's dynamic table, each direction */

    /* Frames that achieve nothing, weighted; useful ones and time pay them off. */
    HBK_H2_NOISE_MAX = 10000,
    HBK_H2_NOISE_PER_MS = 1,
    /* Requests that the client resets before they were answered (CVE-2023-44487). */
    HBK_H2_EARLY_RESETS_MAX = 4096,
    HBK_H2_EARLY_RESETS_PER_S = 200,
    /* Streams that we closed first and on which the peer's frames may still come: remembered. */
    HBK_H2_LATE_STREAMS_MAX = 16,
};

/* RFC 9113, section 7. A peer may send other numbers too. */
enum hbk_h2_code {
    HBK_H2_NO_ERROR = 0x0,
    HBK_H2_PROTOCOL_ERROR = 0x1,
    HBK_H2_INTERNAL_ERROR = 0x2,
    HBK_H2_FLOW_CONTROL_ERROR = 0x3,
    HBK_H2_SETTINGS_TIMEOUT = 0x4,
    HBK_H2_STREAM_CLOSED = 0x5,
    HBK_H2_FRAME_SIZE_ERROR = 0x6,
    HBK_H2_REFUSED_STREAM = 0x7,
    HBK_H2_CANCEL = 0x8,
    HBK_H2_COMPRESSION_ERROR = 0x9,
    HBK_H2_CONNECT_ERROR = 0xa,
    HBK_H2_ENHANCE_YOUR_CALM = 0xb,
    HBK_H2_INADEQUATE_SECURITY = 0xc,
    HBK_H2_HTTP_1_1_REQUIRED = 0xd,
};

/* "PROTOCOL_ERROR"; "unknown" for a number without a name. */
const char *hbk_h2_code_text(uint32_t code);

enum hbk_h2_role {
    HBK_H2_CLIENT,
    HBK_H2_SERVER,
};

/*
 * Where the session writes. `reserve` lends contiguous room of at least `size` bytes, at most
 * HBK_H2_RESERVE_BYTES_MAX, until `commit`, which adds the first `size` bytes of it to what is
 * sent; an empty span says that the tunnel is dead or full, and the session then fails quietly.
 */
struct hbk_h2_sink {
    void *owner;
    struct hbk_span (*reserve)(void *owner, size_t size);
    void (*commit)(void *owner, size_t size);
};

/* What we announce; HBK_H2_CONFIG_DEFAULT is good for both roles. */
struct hbk_h2_config {
    uint32_t streams_max;             /* servers only */
    uint32_t stream_window_bytes;     /* at least 65,535, the window before any SETTINGS */
    uint32_t stream_window_bytes_max; /* at least stream_window_bytes */
    uint32_t connection_window_bytes; /* at least 65,535 */
};

#define HBK_H2_CONFIG_DEFAULT                                      \
    ((struct hbk_h2_config){                                       \
        .streams_max = HBK_H2_STREAMS_MAX,                         \
        .stream_window_bytes = HBK_H2_STREAM_WINDOW_BYTES,         \
        .stream_window_bytes_max = HBK_H2_STREAM_WINDOW_BYTES_MAX, \
        .connection_window_bytes = HBK_H2_CONNECTION_WINDOW_BYTES, \
    })

enum {
    HBK_H2_FLAG_OPEN = 1 << 0,         /* known to a session */
    HBK_H2_FLAG_CLOSED = 1 << 1,       /* was known to one */
    HBK_H2_FLAG_LOCAL_ENDED = 1 << 2,  /* we sent END_STREAM */
    HBK_H2_FLAG_REMOTE_ENDED = 1 << 3, /* the peer did */
    HBK_H2_FLAG_ANSWERED = 1 << 4,     /* the final response has passed */
    HBK_H2_FLAG_CONNECT = 1 << 5,      /* a tunnel: DATA only (RFC 9113, 8.5) */
};

/* A stream, inside an object of the caller's; zeroed before use, private to the session after. */
struct hbk_h2_stream {
    uint32_t id;
    int32_t send_credit;     /* granted beyond the peer's initial window, less what was sent */
    int32_t receive_credit;  /* that the peer still has */
    uint32_t receive_window; /* that we give this stream: credit + held by us + returnable */
    uint32_t returnable;     /* consumed, and not yet given back to the peer */
    uint32_t returned_at_ms; /* low bits of the session's clock, when credit was last given back */
    uint8_t flags;           /* HBK_H2_FLAG_... */
};

/* Streams of one session by id. */
struct hbk_h2_table {
    struct hbk_h2_stream *
        *slots;          /* owned array of 1 << bits borrowed streams; NULL when bits is 0 */
    uint64_t multiplier; /* secret, odd */
    uint32_t count;
    uint8_t bits;
};

struct hbk_h2_field {
    struct hbk_slice name; /* lower case */
    struct hbk_slice value;
    bool is_volatile; /* when sent: differs each time, so it is kept out of HPACK's table */
};

/* A block of header fields that was received and follows the rules. */
struct hbk_h2_fields {
    struct hbk_slice method, scheme, authority, path; /* requests; empty when absent */
    uint32_t status;                                  /* responses */
    uint32_t count;
    struct hbk_h2_field list[HBK_H2_FIELDS_MAX]; /* regular fields, in order */
};

/* The value of the first field of that (lower case) name; false, nothing written, without one. */
HBK_MUST_USE bool hbk_h2_find_field(const struct hbk_h2_fields *fields, struct hbk_slice name,
                                    struct hbk_slice *out_value);

enum hbk_h2_event_kind {
    /* Server: stream_id, fields, is_last. Answer with hbk_h2_accept(), hbk_h2_refuse() or
     * hbk_h2_refuse_with_code() before the next read, which otherwise refuses it. */
    HBK_H2_REQUEST,
    /* Client: stream, code (the status), fields, is_last. Interim responses are passed over. */
    HBK_H2_RESPONSE,
    /* stream, data (never empty unless is_last), is_last. */
    HBK_H2_DATA,
    /* stream, fields; is_last is true. Never on a CONNECT stream. */
    HBK_H2_TRAILERS,
    /* stream, code, is_ours: the stream is closed, by the peer or (is_ours) because the peer broke
     * a rule on it. */
    HBK_H2_RESET,
    /* stream, or NULL for the whole connection: a window that was empty has opened. */
    HBK_H2_CREDIT,
    /* code, data (a text), last_stream_id: the peer has not handled streams above that, and takes
     * no new ones. Such streams may be tried elsewhere; end them here with hbk_h2_reset(). */
    HBK_H2_GOAWAY,
    /* The peer's settings changed: how many streams may be open, and perhaps every window. */
    HBK_H2_SETTINGS,
    /* opaque: the peer answered hbk_h2_ping(). */
    HBK_H2_PING_ACK,
};

/* What is borrowed here lasts until the next hbk_h2_read(); `data` of DATA as long as the input. */
struct hbk_h2_event {
    enum hbk_h2_event_kind kind;
    uint32_t stream_id;
    struct hbk_h2_stream *stream;
    struct hbk_slice data;
    bool is_last; /* the peer ended its side with this */
    bool is_ours;
    uint32_t code;
    uint32_t last_stream_id;
    uint64_t opaque;
    const struct hbk_h2_fields *fields;
};

enum hbk_h2_answer {
    HBK_H2_NEED_MORE, /* the input is consumed */
    HBK_H2_EVENT,     /* one event; the input may hold more */
    HBK_H2_FAILED, /* the session is dead, GOAWAY is written; see failure_code and failure_text */
};

struct hbk_h2_block;
struct nghttp2_hd_deflater;
struct nghttp2_hd_inflater;

/* The caller's storage; members are the session's own, but may be read where a function below does
 * not say it better. */
struct hbk_h2_session {
    /* Reading: where in the peer's bytes we are. */
    uint8_t phase;      /* enum in http2_session.h */
    uint8_t head_bytes; /* of `head`, when a frame header (or the preface) came in parts */
    uint8_t head[HBK_H2_FRAME_HEADER_BYTES];
    uint8_t frame_type;
    uint8_t frame_flags;
    uint8_t padding_bytes; /* behind the DATA that is being passed */
    bool is_settled;       /* the peer's first SETTINGS has come */
    bool is_server;
    bool has_failed;
    uint32_t frame_bytes; /* payload still to come */
    uint32_t frame_stream_id;
    struct hbk_h2_stream *data_stream; /* of the DATA that is being passed; NULL: dropped */
    struct hbk_h2_stream *last_stream; /* found last; NULL when unknown */

    /* Flow control. */
    int64_t send_credit;        /* of the connection */
    int64_t receive_credit;     /* of the connection, that the peer still has */
    int64_t peer_stream_window; /* the peer's initial window */
    int64_t send_credit_max;    /* upper bound of all streams' send_credit */
    uint32_t peer_frame_bytes_max;
    uint32_t growth_bytes;                      /* of stream windows beyond the initial one */
    uint64_t stray_bytes_max;                   /* DATA that may still come on streams we reset */
    uint32_t late_ids[HBK_H2_LATE_STREAMS_MAX]; /* such streams, a ring; 0: none */
    uint32_t late_forgotten_id;                 /* up to this one, the ring does not know */
    uint32_t gap_first_id, gap_last_id;         /* server: ids that were left out last; 0: none */
    uint8_t late_next;
    int32_t noise; /* see HBK_H2_NOISE_MAX */
    uint32_t early_resets;
    uint32_t requests_refused; /* server: broke a rule, and the caller never saw them */
    uint64_t noise_at_ms, early_resets_at_ms; /* when time last paid off */
    uint64_t now_ns;

    struct hbk_h2_table table;
    struct hbk_h2_config config;
    uint32_t peer_streams_max;
    uint32_t next_stream_id;      /* client: of the next stream; 0: none left */
    uint32_t last_peer_stream_id; /* server: highest id that was begun */
    uint32_t refuse_above_id;     /* server: what our GOAWAY promised */
    uint32_t goaway_stream_id;    /* the peer's GOAWAY; UINT32_MAX: none came */
    uint32_t pending_id;          /* server: request not yet accepted; 0: none */
    bool pending_is_last, pending_is_connect;
    bool is_draining;     /* we said so, politely or not */
    bool is_drain_pinged; /* the PING behind a polite GOAWAY is under way */

    struct hbk_h2_sink sink;
    struct nghttp2_hd_deflater *deflater; /* owned */
    struct nghttp2_hd_inflater *inflater; /* owned */
    struct hbk_h2_block *block;           /* owned; header fields being read or lent */
    uint8_t *partial; /* payload of a frame that came in parts: `small`, or owned; else NULL */
    uint32_t partial_bytes;
    uint8_t small[HBK_H2_SMALL_FRAME_BYTES];

    uint32_t failure_code;    /* enum hbk_h2_code */
    const char *failure_text; /* static; NULL until the session fails */
};

/*
 * Makes a session, which stays where it is, and writes what it must send first. `config` NULL means
 * HBK_H2_CONFIG_DEFAULT.
 * Fails: HBK_NO_MEMORY, HBK_CLOSED (the sink gave no room); then there is nothing to finish.
 */
HBK_MUST_USE hbk_status hbk_h2_init(struct hbk_h2_session *session, enum hbk_h2_role role,
                                    const struct hbk_h2_config *config,
                                    const struct hbk_h2_sink *sink);

/* Frees what the session owns, writes nothing, and closes the streams that are left. */
void hbk_h2_fini(struct hbk_h2_session *session);

/* Tells the time, once a turn is enough. It paces limits and the growth of windows; a session that
 * is never told works, with burst limits that only useful frames pay off. */
static inline void hbk_h2_set_time(struct hbk_h2_session *session, uint64_t now_ns)
{
    session->now_ns = now_ns;
}

/*
 * Consumes from the front of `*input` until there is an event, nothing left, or a failure. The
 * session keeps no pointer into the input.
 */
HBK_MUST_USE enum hbk_h2_answer hbk_h2_read(struct hbk_h2_session *session, struct hbk_slice *input,
                                            struct hbk_h2_event *out_event);

/*
 * Server: gives the request of `event` the storage of a stream, zeroed by the caller.
 * Fails: HBK_NO_MEMORY; then the request is refused.
 */
HBK_MUST_USE hbk_status hbk_h2_accept(struct hbk_h2_session *session,
                                      const struct hbk_h2_event *event,
                                      struct hbk_h2_stream *stream);

/* Server: answers the request of `event`, that was not accepted, with a status and nothing else. */
void hbk_h2_refuse(struct hbk_h2_session *session, const struct hbk_h2_event *event,
                   uint32_t status);

/* The same with RST_STREAM, for example HBK_H2_REFUSED_STREAM. */
void hbk_h2_refuse_with_code(struct hbk_h2_session *session, const struct hbk_h2_event *event,
                             uint32_t code);

/*
 * Server: sends the final response on an accepted stream; is_last ends our side. Fails:
 * HBK_LIMIT (fields beyond one frame), HBK_CLOSED (stream or session is closed, or was answered).
 */
HBK_MUST_USE hbk_status hbk_h2_respond(struct hbk_h2_session *session, struct hbk_h2_stream *stream,
                                       uint32_t status, const struct hbk_h2_field *fields,
                                       size_t count, bool is_last);

/*
 * Sends trailers, which end our side. A server has responded before; a client's request was sent.
 * Fails: HBK_LIMIT (fields beyond one frame), HBK_CLOSED.
 */
HBK_MUST_USE hbk_status hbk_h2_trail(struct hbk_h2_session *session, struct hbk_h2_stream *stream,
                                     const struct hbk_h2_field *fields, size_t count);

/* Client: whether hbk_h2_open() may be called now. */
bool hbk_h2_can_open(const struct hbk_h2_session *session);

/* What a request begins with; empty parts are not sent. */
struct hbk_h2_request {
    struct hbk_slice method, scheme, authority, path;
};

/*
 * Client: sends a request on a new stream in `stream`, zeroed by the caller; is_last ends our side.
 * Fails: HBK_CLOSED (the session is dead or draining), HBK_LIMIT (streams open, ids used up, or
 * fields beyond one frame), HBK_NO_MEMORY; then nothing was sent.
 */
HBK_MUST_USE hbk_status hbk_h2_open(struct hbk_h2_session *session, struct hbk_h2_stream *stream,
                                    const struct hbk_h2_request *request,
                                    const struct hbk_h2_field *fields, size_t count, bool is_last);

/* The same for "CONNECT authority", which opens a tunnel (RFC 9113, 8.5). */
HBK_MUST_USE hbk_status hbk_h2_open_connect(struct hbk_h2_session *session,
                                            struct hbk_h2_stream *stream,
                                            struct hbk_slice authority,
                                            const struct hbk_h2_field *fields, size_t count);

static inline bool hbk_h2_is_closed(const struct hbk_h2_stream *stream)
{
    return (stream->flags & HBK_H2_FLAG_CLOSED) != 0;
}

/* Bytes of DATA that one frame on this stream may carry now; 0 when blocked or not to be sent. */
static inline size_t hbk_h2_send_credit(const struct hbk_h2_session *session,
                                        const struct hbk_h2_stream *stream)
{
    if ((stream->flags & (HBK_H2_FLAG_OPEN | HBK_H2_FLAG_LOCAL_ENDED)) != HBK_H2_FLAG_OPEN) {
        return 0;
    }
    int64_t credit = session->peer_stream_window + stream->send_credit;
    credit = credit < session->send_credit ? credit : session->send_credit;
    credit = credit < session->peer_frame_bytes_max ? credit : session->peer_frame_bytes_max;
    return credit > 0 ? (size_t)credit : 0;
}

/*
 * Writes the header of a DATA frame with `size` bytes, at most hbk_h2_send_credit(), and takes them
 * from the windows. The caller sends header and payload through the same queue as the sink's.
 * is_last ends our side; size may be 0 then, whatever the credit. Both sides ended: closed. The
 * stream must be open and our side not ended.
 */
void hbk_h2_frame_data(struct hbk_h2_session *session, struct hbk_h2_stream *stream,
                       uint8_t header[static HBK_H2_FRAME_HEADER_BYTES], size_t size, bool is_last);

/* Ends both sides with RST_STREAM. Nothing happens on a closed stream. */
void hbk_h2_reset(struct hbk_h2_session *session, struct hbk_h2_stream *stream, uint32_t code);

/* `size` bytes of DATA events of this stream have been passed on: the peer may send as many more.
 * Allowed, and without effect, when the stream is closed. */
void hbk_h2_consumed(struct hbk_h2_session *session, struct hbk_h2_stream *stream, size_t size);

void hbk_h2_ping(struct hbk_h2_session *session, uint64_t opaque);

/*
 * Begins a polite end: open streams go on, new ones are refused. A server first announces it, and
 * refuses only what arrives after a round trip (RFC 9113, 6.8). Done when no
 * stream is open.
 */
void hbk_h2_drain(struct hbk_h2_session *session);

/* Sends GOAWAY for what was accepted so far; streams go on until the caller ends the tunnel. */
void hbk_h2_goaway(struct hbk_h2_session *session, uint32_t code);

/* The end has begun: either side said so, ids are used up, or the session is dead. */
bool hbk_h2_is_draining(const struct hbk_h2_session *session);

static inline uint32_t hbk_h2_streams_open(const struct hbk_h2_session *session)
{
    return session->table.count;
}
