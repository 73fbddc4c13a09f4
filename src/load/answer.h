/*
 * The bytes of one exchange, without I/O: what a call sends, and when its answer is whole. An
 * answer is read as it arrives, in any pieces; only a head that arrives in pieces is kept.
 */
#pragma once

#include "base/buffer.h"
#include "load/plan.h"

/* A head beyond this is malformed; the largest that common servers and proxies allow. */
enum { HBK_LOAD_HEAD_BYTES_MAX = 64 * 1024 };

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
    struct hbk_buffer head; /* holds memory only while a head is incomplete */
    uint64_t body_left;     /* bytes of the body still to come, while `is_in_body` */
    uint64_t body_bytes;    /* of the body, once the head is complete */
    uint32_t head_bytes;    /* the same of the head */
    uint16_t status;        /* the same: 100 to 999 */
    bool is_in_body;
    bool is_last;
};

/* Ready for the answer to a new call. hbk_answer_init() once, _reset() between calls. */
void hbk_answer_init(struct hbk_answer *answer);
void hbk_answer_reset(struct hbk_answer *answer);
void hbk_answer_fini(struct hbk_answer *answer);

/* Takes the bytes that arrived. After anything but HBK_ANSWER_MORE only _reset() is allowed. */
enum hbk_answer_step hbk_answer_read(struct hbk_answer *answer, struct hbk_slice bytes);
