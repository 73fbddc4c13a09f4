/* Where a load run sends its requests: a URL taken apart. No I/O. */
#pragma once

#include "base/error.h"
#include "base/slice.h"

enum hbk_load_scheme {
    HBK_LOAD_HTTP, /* http://host[:port][/path], https:// */
    HBK_LOAD_TCP,  /* tcp://host:port, tls://host:port : messages that a TCP echo sends back */
};

/* Limits of a URL (RFC 9110, section 4.1 recommends at least 8000) and of a host name (RFC 1035).
 */
enum { HBK_LOAD_URL_BYTES_MAX = 8000, HBK_LOAD_HOST_BYTES_MAX = 253 };

/* All slices borrow from the text that was parsed, or are literals. */
struct hbk_load_target {
    enum hbk_load_scheme scheme;
    bool is_tls; /* https://, tls:// */
    struct hbk_slice url;
    struct hbk_slice host;      /* a name or a literal without brackets */
    struct hbk_slice authority; /* host and port as written: for the Host header */
    struct hbk_slice path;      /* with its query, without its fragment; "/" when there is none */
    uint16_t port;
};

/*
 * Takes a URL apart. A text without a scheme is http.
 *
 * Memory:  `*out_target` borrows from `url`.
 * Fails:   HBK_INVALID, HBK_UNSUPPORTED (another scheme), HBK_LIMIT; `error` says what is allowed.
 */
HBK_MUST_USE hbk_status hbk_load_target_parse(struct hbk_slice url,
                                              struct hbk_load_target *out_target,
                                              struct hbk_error *error);
