/*
 * HTTP/1.1 messages in (RFC 9112), and chunks out, without I/O and, inwards, without copies: for
 * the gateway, the load generator, the echo server and the admin server. A head is parsed where it
 * lies, in one piece; a body is passed on in the parts in which it comes. What two parsers could
 * understand differently is refused: both lengths, repeated lengths, folded lines, bare line feeds,
 * blanks before a colon. One thread at a time.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buffer.h"
#include "base/slice.h"

enum {
    HBK_HTTP1_HEAD_BYTES_MAX = 16384, /* first line and header fields, unless a reader says else */
    HBK_HTTP1_TARGET_BYTES_MAX = 8192,
    HBK_HTTP1_FIELDS_MAX = 100,
    HBK_HTTP1_CHUNK_LINE_BYTES_MAX = 256, /* a chunk's size with its extensions */
    HBK_HTTP1_TRAILER_BYTES_MAX = 4096,
};

struct hbk_http1_field {
    struct hbk_slice name;  /* as sent: compare without case */
    struct hbk_slice value; /* without blanks around it */
};

enum hbk_http1_body_kind {
    HBK_HTTP1_NO_BODY,
    HBK_HTTP1_LENGTH,
    HBK_HTTP1_CHUNKED,
    HBK_HTTP1_UNTIL_CLOSE, /* responses only */
};

/* A body that is being read: begins as a head's `body`, copied by whoever reads it. */
struct hbk_http1_body {
    uint8_t kind;        /* enum hbk_http1_body_kind */
    uint8_t phase;       /* of a chunked body; private */
    uint16_t line_bytes; /* of the line that is being read; private */
    uint64_t left_bytes; /* of the whole (LENGTH) or of this chunk */
};

struct hbk_http1_request {
    struct hbk_slice method, target;
    struct hbk_slice host; /* empty when absent, which HTTP/1.0 may do */
    uint8_t minor_version; /* of HTTP/1: 0, 1 */
    bool is_keep_alive;    /* the connection stays open behind this exchange */
    bool expects_continue; /* the client waits for 100 before it sends the body */
    bool names_upgrade;    /* Connection says "upgrade" */
    struct hbk_http1_body body;
    size_t head_bytes; /* of the input that the head took */
    size_t field_count;
    struct hbk_http1_field fields[HBK_HTTP1_FIELDS_MAX];
};

struct hbk_http1_response {
    uint16_t status; /* 100 to 999; an interim response (1xx) has no body, and another follows */
    struct hbk_slice reason;
    uint8_t minor_version;
    bool is_keep_alive;
    struct hbk_http1_body body;
    size_t head_bytes;
    size_t field_count;
    struct hbk_http1_field fields[HBK_HTTP1_FIELDS_MAX];
};

/* What is remembered between calls about a head that came in parts; zeroed before each message. */
struct hbk_http1_reader {
    size_t seen_bytes;       /* of the input that held no end of the head */
    uint32_t head_bytes_max; /* set by the caller; 0: HBK_HTTP1_HEAD_BYTES_MAX */
    uint16_t fault_status;   /* after INVALID: the status to answer a request with */
    const char *fault_text;  /* after INVALID: static, what was wrong */
};

enum hbk_http1_answer {
    HBK_HTTP1_NEED_MORE,
    HBK_HTTP1_READY,
    HBK_HTTP1_INVALID, /* see the reader's fault; the connection cannot go on */
};

/*
 * Parses the head at the front of `input`. NEED_MORE: call again with the same bytes and more
 * behind them; a line that ends without CR is INVALID as soon as it is there. READY: the head is
 * written to `*out_request`, with slices that borrow from the input.
 */
HBK_MUST_USE enum hbk_http1_answer hbk_http1_read_request(struct hbk_http1_reader *reader,
                                                          struct hbk_slice input,
                                                          struct hbk_http1_request *out_request);

/* The same for a response; `is_to_head`: the request's method was HEAD, so no body follows. */
HBK_MUST_USE enum hbk_http1_answer hbk_http1_read_response(struct hbk_http1_reader *reader,
                                                           struct hbk_slice input, bool is_to_head,
                                                           struct hbk_http1_response *out_response);

enum hbk_http1_body_answer {
    HBK_HTTP1_BODY_NEED_MORE, /* the input is consumed */
    HBK_HTTP1_BODY_DATA,      /* a part of the content, borrowed from the input */
    HBK_HTTP1_BODY_END,       /* the message is complete; the input is what follows it */
    HBK_HTTP1_BODY_INVALID,
};

/* Consumes from the front of `*input`. A body UNTIL_CLOSE has no END: the caller sees the close. */
HBK_MUST_USE enum hbk_http1_body_answer hbk_http1_read_body(struct hbk_http1_body *body,
                                                            struct hbk_slice *input,
                                                            struct hbk_slice *out_data);

/*
 * Appends a part of a chunked body (RFC 9112, 7.1), and its end when it is the last, without
 * extensions and trailers. A part may be empty. Fails: HBK_LIMIT, HBK_NO_MEMORY; some of it may
 * have been appended.
 */
HBK_MUST_USE hbk_status hbk_http1_write_chunk(struct hbk_buffer *out, struct hbk_slice data,
                                              bool is_last);

/* Of `count` fields, the value of the first with that name (any case); false without one. */
HBK_MUST_USE bool hbk_http1_find_field(const struct hbk_http1_field *fields, size_t count,
                                       struct hbk_slice name, struct hbk_slice *out_value);
