/*
 * What the files of the HTTP/2 session share. Not for other rooms.
 *
 *     http2.c        the session's life, streams opened, answered, reset, drained
 *     http2_read.c   frames in: phases, DATA, dispatch
 *     http2_frame.c  control frames in, one function per type
 *     http2_write.c  control frames out
 *     http2_field.c  blocks of header fields: HPACK, and the rules for them
 *     http2_flow.c   windows
 *     http2_table.c  streams by id
 */
#pragma once

#include "wire/http2.h"

enum {
    H2_DATA = 0x0,
    H2_HEADERS = 0x1,
    H2_PRIORITY = 0x2,
    H2_RST_STREAM = 0x3,
    H2_SETTINGS = 0x4,
    H2_PUSH_PROMISE = 0x5,
    H2_PING = 0x6,
    H2_GOAWAY = 0x7,
    H2_WINDOW_UPDATE = 0x8,
    H2_CONTINUATION = 0x9,
};

enum {
    H2_FLAG_ACK = 0x1,
    H2_FLAG_END_STREAM = 0x1,
    H2_FLAG_END_HEADERS = 0x4,
    H2_FLAG_PADDED = 0x8,
    H2_FLAG_PRIORITY = 0x20,
};

enum {
    H2_SETTING_HEADER_TABLE_SIZE = 0x1,
    H2_SETTING_ENABLE_PUSH = 0x2,
    H2_SETTING_MAX_CONCURRENT_STREAMS = 0x3,
    H2_SETTING_INITIAL_WINDOW_SIZE = 0x4,
    H2_SETTING_MAX_FRAME_SIZE = 0x5,
    H2_SETTING_MAX_HEADER_LIST_SIZE = 0x6,
    H2_SETTING_BYTES = 6,
};

enum {
    H2_WINDOW_MAX = 0x7fffffff,
    H2_WINDOW_DEFAULT = 65535, /* before any SETTINGS (RFC 9113, 6.5.2) */
    H2_STREAM_ID_MAX = 0x7fffffff,
    H2_PEER_STREAMS_DEFAULT = 100, /* that we open before the peer says how many */
    H2_NOISE_MIN = -(1 << 20),     /* what useful frames can save up */
};

/* What frames that achieve nothing weigh. */
enum {
    H2_NOISE_SMALL = 1,  /* empty DATA, PRIORITY, unknown types, WINDOW_UPDATE */
    H2_NOISE_ANSWER = 5, /* SETTINGS and PING, which make us write */
    H2_NOISE_BLOCK = 10, /* header fields that lead to nothing */
};

enum h2_phase {
    H2_PHASE_PREFACE,  /* server: the client's 24 bytes */
    H2_PHASE_HEAD,     /* the header of a frame */
    H2_PHASE_PAYLOAD,  /* a frame that is handled whole */
    H2_PHASE_DATA_PAD, /* the length of padding, in front of DATA */
    H2_PHASE_DATA,     /* payload of DATA, lent to the caller */
    H2_PHASE_SKIP,     /* bytes that mean nothing: padding, unknown types, dropped DATA */
};

/* Our PING behind the first of two GOAWAYs: "drain", in a number that nobody else will choose. */
#define H2_DRAIN_OPAQUE UINT64_C(0x647261696e8d51c3)

/* What one step of reading came to. */
enum h2_step {
    H2_STEP_ON,    /* go on */
    H2_STEP_EMPTY, /* the input is used up */
    H2_STEP_EVENT,
    H2_STEP_FAILED,
};

enum h2_block_kind {
    H2_BLOCK_REQUEST,
    H2_BLOCK_RESPONSE,
    H2_BLOCK_TRAILERS,
    H2_BLOCK_DROPPED, /* decoded only for the sake of HPACK's table */
};

/* A block of header fields, from its HEADERS frame until the read after its event. */
struct hbk_h2_block {
    enum h2_block_kind kind;
    uint32_t stream_id;
    struct hbk_h2_stream *stream; /* RESPONSE and TRAILERS; NULL once it was closed */
    bool is_last;
    bool is_whole;     /* END_HEADERS was seen; only lent now */
    bool is_malformed; /* RFC 9113, 8.1.1: an error of the stream */
    bool is_too_large;
    bool has_regular; /* a regular field came: no pseudo field may follow */
    uint8_t pseudo;   /* bits of those that came */
    uint32_t continuations;
    size_t block_bytes; /* as sent */
    size_t list_bytes;
    size_t text_bytes; /* used of `text` */
    struct hbk_h2_fields fields;
    uint8_t text[HBK_H2_FIELD_LIST_BYTES_MAX];
};

static inline uint32_t h2_load_u32(const uint8_t *bytes)
{
    return (uint32_t)bytes[0] << 24 | (uint32_t)bytes[1] << 16 | (uint32_t)bytes[2] << 8 | bytes[3];
}

static inline uint32_t h2_load_u24(const uint8_t *bytes)
{
    return (uint32_t)bytes[0] << 16 | (uint32_t)bytes[1] << 8 | bytes[2];
}

static inline void h2_store_u32(uint8_t *bytes, uint32_t number)
{
    bytes[0] = (uint8_t)(number >> 24);
    bytes[1] = (uint8_t)(number >> 16);
    bytes[2] = (uint8_t)(number >> 8);
    bytes[3] = (uint8_t)number;
}

static inline void h2_store_head(uint8_t *bytes, size_t size, uint8_t type, uint8_t flags,
                                 uint32_t stream_id)
{
    h2_store_u32(bytes, (uint32_t)size << 8 | type);
    bytes[4] = flags;
    h2_store_u32(bytes + 5, stream_id);
}

/* http2.c */

/* Ends the session: remembers why and writes GOAWAY. `text` is static. Returns H2_STEP_FAILED. */
enum h2_step h2_fail(struct hbk_h2_session *session, enum hbk_h2_code code, const char *text);

/* An error of one stream: RST_STREAM, and an event when the caller knows the stream. */
enum h2_step h2_fail_stream(struct hbk_h2_session *session, uint32_t stream_id,
                            struct hbk_h2_stream *stream, enum hbk_h2_code code,
                            struct hbk_h2_event *out_event);

/* Forgets the stream: it is closed now. */
void h2_detach(struct hbk_h2_session *session, struct hbk_h2_stream *stream);

/* Marks one side ended; detaches when that was the second. */
void h2_end_side(struct hbk_h2_session *session, struct hbk_h2_stream *stream, uint8_t side);

/* A useful frame: pays off some that were not. */
static inline void h2_pay_noise(struct hbk_h2_session *session, int32_t weight)
{
    if (session->noise > H2_NOISE_MIN) {
        session->noise -= weight;
    }
}

/* Counts a frame that achieves nothing. H2_STEP_FAILED when there were too many, else ON. */
enum h2_step h2_add_noise(struct hbk_h2_session *session, int32_t weight);

/* Counts a request that its client reset before the answer; the same results. */
enum h2_step h2_add_early_reset(struct hbk_h2_session *session);

/*
 * A stream that we close before the peer has ended it: what the peer sent until it heard of that is
 * passed over, and nothing else that comes on a closed stream (RFC 9113, 5.1). Of more streams than
 * are remembered, the older ones are given the benefit of the doubt.
 */
void h2_expect_late(struct hbk_h2_session *session, uint32_t stream_id);
bool h2_is_late(const struct hbk_h2_session *session, uint32_t stream_id);
/* The peer has ended it now. */
void h2_forget_late(struct hbk_h2_session *session, uint32_t stream_id);

/* A stream id that no HEADERS has used yet (RFC 9113, 5.1: idle). */
bool h2_is_idle(const struct hbk_h2_session *session, uint32_t stream_id);

/* http2_read.c: forgets the payload that was gathered. */
void h2_drop_partial(struct hbk_h2_session *session);

/* http2_frame.c: handles a whole frame that is not DATA. */
enum h2_step h2_take_frame(struct hbk_h2_session *session, struct hbk_slice payload,
                           struct hbk_h2_event *out_event);

/* http2_write.c; each gives the session up quietly when the sink has no room. */
void h2_write_start(struct hbk_h2_session *session);
void h2_write_settings_ack(struct hbk_h2_session *session);
void h2_write_ping(struct hbk_h2_session *session, uint64_t opaque, bool is_ack);
void h2_write_window_update(struct hbk_h2_session *session, uint32_t stream_id, uint32_t size);
void h2_write_reset(struct hbk_h2_session *session, uint32_t stream_id, uint32_t code);
void h2_write_goaway(struct hbk_h2_session *session, uint32_t last_stream_id, uint32_t code,
                     const char *text);

/* Writes HEADERS: `first` (pseudo fields), then `fields`. Fails: HBK_LIMIT, HBK_CLOSED. */
HBK_MUST_USE hbk_status h2_write_fields(struct hbk_h2_session *session, uint32_t stream_id,
                                        const struct hbk_h2_field *first, size_t first_count,
                                        const struct hbk_h2_field *fields, size_t count,
                                        bool is_last);

/* http2_field.c */

/* Decodes a fragment of the session's block; at the last one judges the block as a whole. */
enum h2_step h2_block_add(struct hbk_h2_session *session, struct hbk_slice fragment, bool is_final);

/* http2_flow.c */

/* Takes a DATA frame's payload from the windows; `stream` NULL: of a stream no longer known. */
enum h2_step h2_receive(struct hbk_h2_session *session, struct hbk_h2_stream *stream, size_t size,
                        struct hbk_h2_event *out_event);
enum h2_step h2_take_window_update(struct hbk_h2_session *session, struct hbk_slice payload,
                                   struct hbk_h2_event *out_event);
/* The peer's SETTINGS_INITIAL_WINDOW_SIZE. False: a window would overflow. */
bool h2_set_peer_window(struct hbk_h2_session *session, uint32_t size);
void h2_flow_open(struct hbk_h2_session *session, struct hbk_h2_stream *stream);
void h2_flow_close(struct hbk_h2_session *session, struct hbk_h2_stream *stream);

/* http2_table.c */
void h2_table_init(struct hbk_h2_table *table);
void h2_table_fini(struct hbk_h2_table *table);
HBK_MUST_USE hbk_status h2_table_add(struct hbk_h2_table *table, struct hbk_h2_stream *stream);
void h2_table_remove(struct hbk_h2_table *table, const struct hbk_h2_stream *stream);
struct hbk_h2_stream *h2_table_find(const struct hbk_h2_table *table, uint32_t id);
/* Any stream; NULL when there is none. */
struct hbk_h2_stream *h2_table_any(const struct hbk_h2_table *table);
