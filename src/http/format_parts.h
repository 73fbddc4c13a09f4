/*
 * For the files that read and write texts with operators: format.c their syntax, format_value.c
 * what each operator comes to.
 */
#pragma once

#include "http/format.h"

enum { HBK_GW_VALUE_BYTES_MAX = 4096, HBK_GW_TIME_BYTES_MAX = 128 };

enum hbk_gw_operator {
    HBK_GW_OP_LITERAL,
    HBK_GW_OP_START_TIME,
    HBK_GW_OP_REQ,
    HBK_GW_OP_RESP,
    HBK_GW_OP_TRAILER,
    HBK_GW_OP_PROTOCOL,
    HBK_GW_OP_RESPONSE_CODE,
    HBK_GW_OP_RESPONSE_CODE_DETAILS,
    HBK_GW_OP_TERMINATION,
    HBK_GW_OP_RESPONSE_FLAGS,
    HBK_GW_OP_RESPONSE_FLAGS_LONG,
    HBK_GW_OP_BYTES_RECEIVED,
    HBK_GW_OP_BYTES_SENT,
    HBK_GW_OP_DURATION,
    HBK_GW_OP_REQUEST_DURATION,
    HBK_GW_OP_RESPONSE_DURATION,
    HBK_GW_OP_RESPONSE_TX_DURATION,
    HBK_GW_OP_ROUTE_NAME,
    HBK_GW_OP_FILTER_CHAIN_NAME,
    HBK_GW_OP_CONNECTION_ID,
    HBK_GW_OP_STREAM_ID,
    HBK_GW_OP_HOSTNAME,
    HBK_GW_OP_GRPC_STATUS,
    HBK_GW_OP_LOG_TYPE,
    HBK_GW_OP_CLUSTER,
    HBK_GW_OP_ATTEMPTS,
    HBK_GW_OP_UPSTREAM_PROTOCOL,
    HBK_GW_OP_UPSTREAM_FAILURE,
    HBK_GW_OP_WIRE_RECEIVED,
    HBK_GW_OP_WIRE_SENT,
    HBK_GW_OP_DOWNSTREAM_FAILURE,
    HBK_GW_OP_SERVER_NAME,
    /* Of an address. */
    HBK_GW_OP_ADDRESS,
    HBK_GW_OP_ADDRESS_IP,
    HBK_GW_OP_ADDRESS_PORT,
    /* Of either end's TLS. */
    HBK_GW_OP_TLS_VERSION,
    HBK_GW_OP_TLS_CIPHER,
    HBK_GW_OP_PEER_URI_SAN,
    HBK_GW_OP_PEER_DNS_SAN,
    HBK_GW_OP_PEER_SUBJECT,
    HBK_GW_OP_PEER_ISSUER,
    HBK_GW_OP_PEER_SERIAL,
    HBK_GW_OP_PEER_FINGERPRINT_1,
    HBK_GW_OP_PEER_FINGERPRINT_256,
    HBK_GW_OP_PEER_CERT,
    HBK_GW_OP_PEER_START,
    HBK_GW_OP_PEER_END,
    HBK_GW_OP_OWN_URI_SAN,
    HBK_GW_OP_OWN_DNS_SAN,
    HBK_GW_OP_OWN_SUBJECT,
    HBK_GW_OP_NOTHING, /* known, and never answered here */
};

struct hbk_gw_part {
    enum hbk_gw_operator op;
    size_t place;                      /* of an address or of TLS facts in struct hbk_gw_info */
    struct hbk_slice text;             /* of a literal; of a time's format */
    struct hbk_slice name, other_name; /* of a field, and the one instead */
    size_t bytes_max;                  /* of a field's value; 0: any */
    uint8_t style;                     /* of a gRPC status: enum hbk_gw_grpc_style */
};

enum hbk_gw_grpc_style { HBK_GW_GRPC_CAMEL, HBK_GW_GRPC_SNAKE, HBK_GW_GRPC_NUMBER };

struct hbk_gw_format {
    size_t count;
    struct hbk_gw_part parts[];
};

/* What an operator came to: a text, or a number. */
struct hbk_gw_value {
    struct hbk_slice text; /* NULL: nothing */
    uint64_t number;
    bool is_number;
};

/* `room` holds what has to be made; the value may borrow from it and from `info`. Flags and whole
 * certificates are written apart: they come to nothing here. */
struct hbk_gw_value hbk_gw_format_value(const struct hbk_gw_part *part,
                                        const struct hbk_gw_info *info,
                                        char room[static HBK_GW_VALUE_BYTES_MAX]);
