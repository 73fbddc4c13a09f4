/*
 * Traffic of connections, counted per set of labels (ambient.md 5.1). A connection finds its series
 * once, when it is routed, and then adds bytes with a plain addition on a pointer.
 *
 *     series = hbk_traffic_open(traffic, &key);       opened, under the flag "-"
 *     series->received_bytes += size;                 client to server
 *     series->sent_bytes += size;                     server to client
 *     hbk_traffic_close(traffic, series, flag);       closed (and failed) under its flag
 *
 * One thread. Never fails: beyond the limit of series, or out of memory, a connection is counted
 * in a series whose party labels are "other".
 */
#pragma once

#include "base/list.h"
#include "telemetry/party.h"

enum {
    HBK_TRAFFIC_SERIES_MAX = 4096, /* label sets per thread, and per program when merged */
    HBK_TRAFFIC_IDLE_COPIES = 8,   /* a worker forgets a series unused for so many copies */
};

/* A program forgets a series that nobody used for this long; it starts again from zero. */
#define HBK_TRAFFIC_IDLE_NS (3600 * HBK_NS_PER_S)

/* Which end tells: ours as the client's proxy, or ours as the server's. */
enum hbk_reporter {
    HBK_REPORTER_SOURCE,
    HBK_REPORTER_DESTINATION,
    HBK_REPORTER_COUNT,
};

/* Why a connection failed: the label response_flags. */
enum hbk_response_flag {
    HBK_RESPONSE_OK, /* "-" */
    HBK_RESPONSE_DENY,
    HBK_RESPONSE_CONNECT,
    HBK_RESPONSE_TLS_FAILURE,
    HBK_RESPONSE_H2_HANDSHAKE_FAILURE,
    HBK_RESPONSE_NETWORK_POLICY,
    HBK_RESPONSE_IDENTITY_ERROR,
    HBK_RESPONSE_CERT_REVOKED,
    HBK_RESPONSE_COUNT,
};

/* "source", "destination"; "-", "DENY", ... */
const char *hbk_reporter_text(enum hbk_reporter reporter);
const char *hbk_response_flag_text(enum hbk_response_flag flag);

/* What distinguishes series. NULL pointers: nobody, no service. */
struct hbk_traffic_key {
    enum hbk_reporter reporter;
    bool is_mutual_tls;
    struct hbk_party *source;        /* borrowed during the call */
    struct hbk_party *destination;   /* borrowed during the call */
    struct hbk_destination *service; /* borrowed during the call */
};

struct hbk_traffic_series {
    /* Counted since the last copy. Connections write the first two. */
    uint64_t received_bytes;
    uint64_t sent_bytes;
    uint64_t opened;
    uint64_t closed;
    uint64_t failed;

    uint32_t connections; /* open ones that hold this series */
    uint32_t idle_copies; /* copies since it last had anything to tell */
    uint64_t used_ns;     /* of a merged series: when it last had */
    uint64_t hash;
    struct hbk_traffic_key key; /* its parties are counted, and without pods */
    enum hbk_response_flag flag;
    struct hbk_link link; /* in the order of making */
};

struct hbk_traffic {
    struct hbk_party_table parties;
    struct hbk_map series;
    struct hbk_list list;
    size_t series_max;
    uint64_t folded; /* connections counted under "other" since the last copy */

    /* Where connections go that get no series of their own. */
    struct hbk_traffic_series other[HBK_REPORTER_COUNT][2][HBK_RESPONSE_COUNT];
};

/* Fails: HBK_NO_MEMORY. */
HBK_MUST_USE hbk_status hbk_traffic_init(struct hbk_traffic *traffic, size_t series_max);

/* Every connection must have been closed and every party given back. */
void hbk_traffic_fini(struct hbk_traffic *traffic);

/*
 * Counts a connection as opened and returns its series under the flag "-": shared, valid until
 * hbk_traffic_close().
 */
HBK_MUST_USE struct hbk_traffic_series *hbk_traffic_open(struct hbk_traffic *traffic,
                                                         const struct hbk_traffic_key *key);

/* Counts the end of a connection under `flag`; `series` may not be used by it any more. */
void hbk_traffic_close(struct hbk_traffic *traffic, struct hbk_traffic_series *series,
                       enum hbk_response_flag flag);

/*
 * The series of a key under a flag, made if it is new; in `other` at the limit. For telemetry.c,
 * as are the next two.
 */
HBK_MUST_USE struct hbk_traffic_series *hbk_traffic_find(struct hbk_traffic *traffic,
                                                         const struct hbk_traffic_key *key,
                                                         enum hbk_response_flag flag);

/* Whether the series is one of `other`, which stay for ever. */
bool hbk_traffic_is_other(const struct hbk_traffic *traffic,
                          const struct hbk_traffic_series *series);

/* Frees a series that no connection holds and that is not one of `other`. */
void hbk_traffic_forget(struct hbk_traffic *traffic, struct hbk_traffic_series *series);
