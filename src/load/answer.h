/*
 * When the answer to a call over HTTP/1 or a TCP echo is whole, without I/O. It is read as it
 * arrives, in any pieces; only a head that arrives in pieces is kept.
 */
#pragma once

#include "base/buffer.h"
#include "wire/http1.h"

enum {
    /* Of an answer whose head arrives in pieces: the head, and what came behind it in the last. */
    HBK_LOAD_HELD_BYTES_MAX = HBK_HTTP1_HEAD_BYTES_MAX + 256 * 1024,
    HBK_LOAD_INTERIM_MAX = 100,          /* heads with 1xx before the final one; above: malformed */
    HBK_LOAD_KNOWN_HEAD_BYTES_MAX = 512, /* larger heads are parsed each time */
};

enum hbk_answer_step {
    HBK_ANSWER_MORE,      /* needs more bytes */
    HBK_ANSWER_WHOLE,     /* complete, and the connection can be used again */
    HBK_ANSWER_LAST,      /* complete, and the connection must be closed */
    HBK_ANSWER_MALFORMED, /* breaks its protocol, or there are bytes behind its end */
};

/* The last head that was parsed, and what it said. A server answers most requests with the same
 * bytes, and these need no second look: equal bytes mean the same. One for all connections of a
 * thread, zeroed at first. */
struct hbk_answer_known {
    uint16_t size; /* of the head; 0: none is known */
    uint16_t status;
    bool is_keep_alive;
    struct hbk_http1_body body;
    uint8_t head[HBK_LOAD_KNOWN_HEAD_BYTES_MAX];
};

struct hbk_answer {
    struct hbk_answer_known *known; /* borrowed, with others whose `is_to_head` is the same; NULL:
                                       every head is parsed; stays over resets */
    struct hbk_buffer held;         /* holds memory only while a head is incomplete */
    struct hbk_slice expected;      /* TCP: the echo that is still to come; borrowed */
    struct hbk_http1_reader reader;
    struct hbk_http1_body body;
    uint64_t body_bytes;   /* content so far */
    uint32_t head_bytes;   /* once the head is complete, as the status */
    uint16_t status;       /* 100 to 999 */
    uint8_t interim_count; /* heads with 1xx so far */
    bool is_in_body;
    bool is_keep_alive;
    const char *fault; /* after MALFORMED: static, what was wrong */
    bool is_to_head;   /* no body follows, whatever the head says; stays over resets */
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
