/*
 * The PROXY protocol, versions 1 and 2, as a balancer in front of us sends it: who the client
 * really is. (haproxy.org, proxy-protocol.txt) No I/O; any thread.
 */
#pragma once

#include "base/address.h"
#include "base/slice.h"

enum {
    HBK_PROXY_V1_BYTES_MAX = 107, /* its line with CR and LF */
    HBK_PROXY_V2_HEAD_BYTES = 16,
    HBK_PROXY_BYTES_MAX = HBK_PROXY_V2_HEAD_BYTES + 4096, /* with all its extensions */
};

enum hbk_proxy_answer {
    HBK_PROXY_NEED_MORE,
    HBK_PROXY_DONE,    /* a header: `size_bytes` are its own, the rest is the client's */
    HBK_PROXY_ABSENT,  /* the bytes are no such header */
    HBK_PROXY_INVALID, /* they began as one and are broken */
};

struct hbk_proxy_header {
    size_t size_bytes;
    bool is_known; /* the addresses are said; else the connection's own count */
    struct hbk_address source, destination;
};

/* Reads the header at the front of what has come so far; written with DONE alone. */
HBK_MUST_USE enum hbk_proxy_answer hbk_proxy_header_read(struct hbk_slice input,
                                                         struct hbk_proxy_header *out_header);
