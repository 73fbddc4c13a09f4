/*
 * The access log: one line per connection, with ztunnel's messages, fields and order (ambient.md
 * 5.2), as text or as JSON, whichever the log speaks. What a peer supplied cannot break a line:
 * quotes, control characters and whatever is not ASCII are escaped, and each value is cut at its
 * own limit, so that no field can push a later one out.
 */
#pragma once

#include "base/address.h"
#include "base/log.h"
#include "telemetry/traffic.h"

enum {
    HBK_ACCESS_LINE_BYTES_MAX = HBK_LOG_LINE_BYTES_MAX - 128, /* what a line may add to its start */
    HBK_ACCESS_VALUE_BYTES_MAX = 256,                         /* of one value, escaped */
    HBK_ACCESS_ERROR_BYTES_MAX = 512,                         /* of the error, escaped */
};

enum hbk_access_event {
    HBK_ACCESS_COMPLETE, /* info, or error when there is one */
    HBK_ACCESS_OPENED,   /* debug */
    HBK_ACCESS_FAILED,   /* warn: too early for more than addresses, direction and the error */
};

/* Everything borrows during the call; what is absent is left out of the line. */
struct hbk_access_record {
    enum hbk_access_event event;
    enum hbk_reporter reporter;     /* source: direction outbound; destination: inbound */
    bool is_mutual_tls;             /* identities are shown only then */
    struct hbk_address source;      /* absent: no ip */
    struct hbk_address destination; /* on inbound HBONE the pod's address with port 15008 */
    struct hbk_slice hbone_target;  /* the authority of CONNECT; a stranger's text */
    const struct hbk_party *source_party;
    const struct hbk_party *destination_party;
    const struct hbk_destination *service;
    struct hbk_slice tls_engine; /* that speaks on the tunnel; a constant */
    uint64_t sent_bytes;         /* source: client to server; destination: server to client */
    uint64_t received_bytes;     /* the other way */
    uint64_t duration_ns;
    struct hbk_slice error; /* empty: none */
};

/* The level at which such a record is written. */
enum hbk_log_level hbk_access_level(const struct hbk_access_record *record);

/*
 * Writes what follows the line's start and returns its size: message, TAB and fields, or the JSON
 * members behind "scope". Always whole, never more than HBK_ACCESS_LINE_BYTES_MAX. Any thread.
 */
size_t hbk_access_line(const struct hbk_access_record *record, bool is_json,
                       char line[static HBK_ACCESS_LINE_BYTES_MAX]);

/* Writes the record to the log if its level is on. Any thread. */
void hbk_access_log(const struct hbk_access_record *record);
