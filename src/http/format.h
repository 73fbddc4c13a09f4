/*
 * Texts with operators such as %REQ(:METHOD)% (Envoy's substitution format), for access logs and
 * for header values: parsed once, written for each exchange or connection.
 */
#pragma once

#include "base/address.h"
#include "base/buffer.h"
#include "base/error.h"
#include "base/json.h"
#include "http/message.h"
#include "http/tls_facts.h"
#include "model/gateway_core.h"

/* Why an exchange ended as it did; each has a short name in logs (%RESPONSE_FLAGS%). */
enum hbk_gw_flag {
    HBK_GW_FLAG_UH = 1 << 0,     /* no healthy upstream */
    HBK_GW_FLAG_UF = 1 << 1,     /* no connection to the upstream */
    HBK_GW_FLAG_UO = 1 << 2,     /* a limit of the cluster */
    HBK_GW_FLAG_NR = 1 << 3,     /* no route, or no filter chain */
    HBK_GW_FLAG_URX = 1 << 4,    /* the retry limit */
    HBK_GW_FLAG_NC = 1 << 5,     /* no such cluster */
    HBK_GW_FLAG_UT = 1 << 6,     /* the upstream's time is up */
    HBK_GW_FLAG_UR = 1 << 7,     /* the upstream reset the stream */
    HBK_GW_FLAG_UC = 1 << 8,     /* the upstream closed the connection */
    HBK_GW_FLAG_DC = 1 << 9,     /* the client left */
    HBK_GW_FLAG_SI = 1 << 10,    /* the stream was idle */
    HBK_GW_FLAG_DPE = 1 << 11,   /* the client broke the protocol */
    HBK_GW_FLAG_UPE = 1 << 12,   /* the upstream did */
    HBK_GW_FLAG_DT = 1 << 13,    /* the connection's time is up */
    HBK_GW_FLAG_LR = 1 << 14,    /* we reset the stream */
    HBK_GW_FLAG_UMSDR = 1 << 15, /* the upstream's part took longer than its cluster allows */
};

/* What operators ask about. Members that are zero or NULL print as "-". */
struct hbk_gw_info {
    int64_t start_ns; /* realtime */
    uint64_t duration_ns, request_ns,
        response_ns; /* to the last and first bytes; UINT64_MAX: none */
    const struct hbk_gw_head *request, *response, *trailers;
    struct hbk_slice original_path;
    const char *protocol, *upstream_protocol; /* "HTTP/1.1" */
    uint32_t status;                          /* 0: none was sent */
    uint32_t flags;                           /* enum hbk_gw_flag */
    const char *details, *termination, *upstream_failure, *downstream_failure;
    const char *log_type; /* "DownstreamEnd"; NULL: no log of an exchange or connection */
    uint64_t received_bytes, sent_bytes;
    uint64_t received_wire_bytes, sent_wire_bytes;
    struct hbk_address downstream_remote, downstream_direct_remote, downstream_local;
    struct hbk_address upstream_host, upstream_local;
    struct hbk_slice cluster, route, filter_chain;
    const struct hbk_gw_tls_facts *tls, *upstream_tls; /* borrowed */
    uint64_t connection_id;
    uint32_t attempts;
};

struct hbk_gw_format;

/* Parses; borrows the text. Fails: HBK_INVALID with the reason, HBK_NO_MEMORY. */
HBK_MUST_USE hbk_status hbk_gw_format_parse(struct hbk_slice text, struct hbk_arena *arena,
                                            const struct hbk_gw_format **out_format,
                                            struct hbk_error *error);

/* Writes the text; `empty` stands for what is not there. Fails: HBK_LIMIT, HBK_NO_MEMORY. */
HBK_MUST_USE hbk_status hbk_gw_format_write(const struct hbk_gw_format *format,
                                            const struct hbk_gw_info *info, struct hbk_slice empty,
                                            struct hbk_buffer *out);

/* The same as a JSON value: a number where the whole text is one operator that gives a number, null
 * where it gives nothing. */
HBK_MUST_USE hbk_status hbk_gw_format_write_json(const struct hbk_gw_format *format,
                                                 const struct hbk_gw_info *info,
                                                 struct hbk_slice key, struct hbk_json *json);

/* What must be found out for a text that is not found out for nobody. */
enum {
    HBK_GW_ASKS_OWN_NAMES = 1 << 0,    /* the names of our own certificates */
    HBK_GW_ASKS_UPSTREAM_TLS = 1 << 1, /* what was agreed on with the upstream */
};
unsigned hbk_gw_format_asks(const struct hbk_gw_format *format);

/* "UH,URX", or "-". */
HBK_MUST_USE hbk_status hbk_gw_flags_write(uint32_t flags, struct hbk_buffer *out);

/* The flag of a name; 0 for an unknown one. */
uint32_t hbk_gw_flag_from_text(struct hbk_slice name);

/* Envoy's default format. */
extern const char hbk_gw_default_format[];
