/*
 * What an answer of the echo server should be like, as Fortio's: by flags for all requests, and by
 * the query of one. Pure; the query is foreign and hostile.
 *
 *     ?delay=200ms  ?delay=10ms:50,1s:5  ?status=503:10  ?size=4096  ?close=true  ?close=20
 *     ?header=Name:value
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/buffer.h"
#include "base/error.h"

enum {
    HBK_ECHO_MIX_MAX = 16,               /* parts of one mix */
    HBK_ECHO_HEADERS_BYTES_MAX = 8 << 10 /* of one answer, beyond ours */
};

/* The largest delay and body that can be wished for; larger ones are refused, not cut. */
#define HBK_ECHO_DELAY_NS_MAX (UINT64_C(3600) * 1000000000)
#define HBK_ECHO_SIZE_BYTES_MAX (UINT64_C(1) << 40)

enum hbk_echo_kind { HBK_ECHO_DELAY, HBK_ECHO_STATUS, HBK_ECHO_CLOSE };

/* Values with the share of requests that get them; the rest gets none. */
struct hbk_echo_mix {
    unsigned count;
    uint64_t values[HBK_ECHO_MIX_MAX]; /* ns; a status; 1 */
    double up_to[HBK_ECHO_MIX_MAX];    /* cumulative shares of 1 */
};

/* "200ms", or "10ms:50,1s:5.5" with percents of at most 100 together; a close is "true", "false" or
 * a percent. Fails: HBK_INVALID; `error` says what is allowed. */
HBK_MUST_USE hbk_status hbk_echo_mix_parse(struct hbk_slice text, enum hbk_echo_kind kind,
                                           struct hbk_echo_mix *out_mix, struct hbk_error *error);

/* One value, `random` in (0, 1]; false when this request gets none. */
bool hbk_echo_mix_draw(const struct hbk_echo_mix *mix, double random, uint64_t *out_value);

/* For all requests without a query of their own. */
struct hbk_echo_defaults {
    struct hbk_echo_mix delay, status, close;
    struct hbk_slice headers; /* whole lines with CRLF; borrowed */
};

/* One answer. */
struct hbk_echo_wish {
    uint64_t delay_ns;
    uint64_t size_bytes; /* when has_size */
    unsigned status;
    bool has_size;
    bool closes;
};

/* "Name: value" as a header line, appended with CRLF. Fails: HBK_INVALID, HBK_LIMIT. */
HBK_MUST_USE hbk_status hbk_echo_header_add(struct hbk_slice text, struct hbk_buffer *headers,
                                            struct hbk_error *error);

/*
 * Reads the query of a request's target on top of the defaults; header lines are appended to
 * `headers`. Arguments that are not ours are passed over. Fails: HBK_INVALID, HBK_LIMIT; `error`
 * says what is allowed, in characters that may stand in an answer.
 */
HBK_MUST_USE hbk_status hbk_echo_wish_read(struct hbk_slice target,
                                           const struct hbk_echo_defaults *defaults,
                                           uint64_t *random, struct hbk_echo_wish *out_wish,
                                           struct hbk_buffer *headers, struct hbk_error *error);
