/*
 * What a call sends, prepared before the run: for HTTP/1 the bytes, for HTTP/2 the parts of the
 * request. Whatever differs per call is written into the prepared bytes in place. No I/O.
 */
#pragma once

#include "base/buffer.h"
#include "load/plan.h"
#include "wire/http2.h"

enum {
    /* One call: a path, at most HBK_LOAD_HEADERS_MAX headers, a body. */
    HBK_LOAD_REQUEST_BYTES_MAX = (1 << 20) + HBK_LOAD_BODY_BYTES_MAX,
    HBK_LOAD_UUID_BYTES = 36,
    HBK_LOAD_UUIDS_MAX = 16, /* "{uuid}" in one request */
    HBK_LOAD_FIELDS_MAX = HBK_LOAD_HEADERS_MAX + 4,

    /* A TCP message: 8 digits of connection, 16 of message, so that no two are the same. */
    HBK_LOAD_MESSAGE_BYTES = 24,
};

struct hbk_load_request {
    double weight_up_to; /* of this one and all before, of 1 */
    struct hbk_slice url;

    /* HTTP/1: the whole request. */
    struct hbk_buffer bytes;
    size_t uuids[HBK_LOAD_UUIDS_MAX]; /* where "{uuid}" stood in `bytes` */
    unsigned uuid_count;

    /* HTTP/2. Borrowed from the plan and from `text`. */
    struct hbk_h2_request h2;
    struct hbk_h2_field fields[HBK_LOAD_FIELDS_MAX];
    unsigned field_count;
    struct hbk_slice body;
    struct hbk_buffer text; /* lower-case names, and what was composed */
};

/* The calls of a plan, one per URL. */
struct hbk_load_requests {
    struct hbk_load_request list[HBK_LOAD_PATHS_MAX];
    unsigned count;
};

/* Prepares all; borrows from the plan. Fails: HBK_LIMIT, HBK_NO_MEMORY, HBK_UNSUPPORTED; `error`
 * says what. Ends with _fini() either way. */
HBK_MUST_USE hbk_status hbk_load_requests_init(struct hbk_load_requests *requests,
                                               const struct hbk_load_plan *plan,
                                               struct hbk_error *error);
void hbk_load_requests_fini(struct hbk_load_requests *requests);

/* Appends the bytes of one call over HTTP/1. Fails: HBK_LIMIT, HBK_NO_MEMORY. */
HBK_MUST_USE hbk_status hbk_load_request_build(const struct hbk_load_plan *plan,
                                               struct hbk_slice path, struct hbk_buffer *out);

/* Chooses one by weight; `random` in (0, 1]. */
unsigned hbk_load_requests_choose(const struct hbk_load_requests *requests, double random);

/* Writes a fresh UUID (RFC 9562, version 4) wherever "{uuid}" stood. */
void hbk_load_request_renew(struct hbk_load_request *request, uint64_t *random);

/* Writes the text of a TCP message. */
void hbk_load_message_build(uint32_t connection, uint64_t number,
                            uint8_t out[static HBK_LOAD_MESSAGE_BYTES]);
