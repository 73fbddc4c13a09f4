/*
 * The bytes of one exchange, without I/O: what a call sends, and when its answer is whole. An
 * answer is read as it arrives, in any pieces; only a head that arrives in pieces is kept.
 */
#pragma once

#include "base/buffer.h"
#include "load/plan.h"
#include "wire/http1.h"

/* Of an answer whose head arrives in pieces: the head, and what came behind it in the last piece.
 */
enum { HBK_LOAD_HELD_BYTES_MAX = HBK_HTTP1_HEAD_BYTES_MAX + 256 * 1024 };

/* A call's own bytes: a path and at most HBK_LOAD_HEADERS_MAX headers. */
enum { HBK_LOAD_REQUEST_BYTES_MAX = 1 << 20 };

/* A TCP message: 8 digits of connection, 16 of message, so that no two are the same. */
enum { HBK_LOAD_MESSAGE_BYTES = 24 };

enum hbk_answer_step {
    HBK_ANSWER_MORE,      /* needs more bytes */
    HBK_ANSWER_WHOLE,     /* complete, and the connection can be used again */
    HBK_ANSWER_LAST,      /* complete, and the connection must be closed */
    HBK_ANSWER_MALFORMED, /* breaks its protocol, or there are bytes behind its end */
};

/* Appends the bytes of an HTTP call. Fails: HBK_LIMIT, HBK_NO_MEMORY. */
HBK_MUST_USE hbk_status hbk_load_request_build(const struct hbk_load_plan *plan,
                                               struct hbk_buffer *out);

/* Writes the text of a TCP message. */
void hbk_load_message_build(uint32_t connection, uint64_t number,
                            uint8_t out[static HBK_LOAD_MESSAGE_BYTES]);

struct hbk_answer {
    struct hbk_buffer held;    /* holds memory only while a head is incomplete */
    struct hbk_slice expected; /* TCP: the echo that is still to come; borrowed */
    struct hbk_http1_reader reader;
    struct hbk_http1_body body;
    uint64_t body_bytes; /* content so far */
    uint32_t head_bytes; /* once the head is complete, as the status */
    uint16_t status;     /* 100 to 999 */
    bool is_in_body;
    bool is_keep_alive;
};

/* Before the first use; the answer holds no memory. */
void hbk_answer_init(struct hbk_answer *answer);

/* Ready for the answer to a new call over HTTP, or for the echo of a message. Frees what is held.
 */
void hbk_answer_reset(struct hbk_answer *answer);
void hbk_answer_expect(struct hbk_answer *answer, struct hbk_slice message);

/* Takes the bytes that arrived. After anything but HBK_ANSWER_MORE the answer must be reset. */
HBK_MUST_USE enum hbk_answer_step hbk_answer_read(struct hbk_answer *answer,
                                                  struct hbk_slice bytes);

/* Whether the end of the connection completes the answer, as it does for a body without a length.
 */
HBK_MUST_USE bool hbk_answer_is_ended_by_close(const struct hbk_answer *answer);
