/*
 * What all proxied connections have in common: who and where both ends are, what is counted, and
 * the log line at the end. Lies at the beginning of the object of each kind.
 */
#pragma once

#include "base/address.h"
#include "base/list.h"
#include "model/mesh.h"
#include "model/service.h"
#include "model/workload.h"
#include "net/failure.h"
#include "net/tunnel.h"
#include "proxy/shard.h"
#include "telemetry/access_log.h"

enum hbk_connection_kind {
    HBK_CONNECTION_OUTBOUND, /* application to tunnel */
    HBK_CONNECTION_INBOUND,  /* tunnel to application */
    HBK_CONNECTION_PLAIN_OUTBOUND,
    HBK_CONNECTION_PLAIN_INBOUND,
};

struct hbk_connection {
    struct hbk_link in_pod;
    struct hbk_pod_proxy *pod; /* borrowed: a pod outlives its connections */
    enum hbk_connection_kind kind;
    struct hbk_address source;      /* the application that connects */
    struct hbk_address destination; /* what it asked for; inbound: the socket's own address */
    struct hbk_address target;      /* where it went: the endpoint; inbound: the application */
    struct hbk_party *source_party, *destination_party; /* owned references; NULL: unknown */
    struct hbk_destination *service;                    /* owned reference; NULL: none */
    struct hbk_traffic_series *series;                  /* NULL until it is routed */
    const struct hbk_spiffe_id *peer; /* owned reference: whom the tunnel proved; NULL: nobody */
    const char *tls_engine;           /* of its tunnel; a constant; NULL: no tunnel (yet) */
    uint64_t opened_ns;
    uint64_t counted_sent, counted_received; /* bytes that the series knows already */
};

static inline bool hbk_connection_is_inbound(const struct hbk_connection *connection)
{
    return connection->kind == HBK_CONNECTION_INBOUND ||
           connection->kind == HBK_CONNECTION_PLAIN_INBOUND;
}

static inline bool hbk_connection_is_mutual(const struct hbk_connection *connection)
{
    return connection->kind == HBK_CONNECTION_OUTBOUND ||
           connection->kind == HBK_CONNECTION_INBOUND;
}

/* Joins the pod's connections. */
void hbk_connection_init(struct hbk_connection *connection, struct hbk_pod_proxy *pod,
                         enum hbk_connection_kind kind);

/* Tells telemetry that the connection is routed: counts it as opened. Parties and the service are
 * borrowed from the snapshot during the call; NULL where unknown. */
void hbk_connection_routed(struct hbk_connection *connection, const struct hbk_workload *source,
                           const struct hbk_workload *destination,
                           const struct hbk_service *service);

/* Brings the counts of a live connection up to date. The bytes are totals since its beginning, from
 * client to server (`received`) and back (`sent`). */
void hbk_connection_count(struct hbk_connection *connection, uint64_t received, uint64_t sent);

/* Counts and logs the end, and lets go of everything. */
void hbk_connection_ended(struct hbk_connection *connection, const struct hbk_failure *failure,
                          uint64_t received, uint64_t sent);

/* One line for a connection that was refused before it was routed. */
void hbk_connection_log_refusal(const struct hbk_pod_proxy *pod, bool is_inbound,
                                const struct hbk_address *source,
                                const struct hbk_address *destination, const char *why);

/* The same for a tunnel that somebody tried to open. */
void hbk_connection_log_tunnel(const struct hbk_tunnel *tunnel);

/* Kinds ------------------------------------------------------------------------------------- */

/* Acts on a new snapshot: what it forbids is cut. */
void hbk_connection_recheck(struct hbk_connection *connection);

/* Cuts the connection for `kind` and `why`. */
void hbk_connection_cut(struct hbk_connection *connection, enum hbk_failure_kind kind,
                        const char *why);

/* The bytes passed so far, as for hbk_connection_count(). */
void hbk_connection_bytes(struct hbk_connection *connection, uint64_t *out_received,
                          uint64_t *out_sent);
