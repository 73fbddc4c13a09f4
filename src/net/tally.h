/*
 * What the connections of one worker count for themselves: monotonic, so that gauges are
 * differences of two counts. Whoever shows them reads them as a whole.
 */
#pragma once

#include <stdint.h>

#include "net/failure.h"
#include "tls/context.h"

/* Why a tunnel was closed. */
enum hbk_tunnel_end {
    HBK_TUNNEL_END_PEER,     /* the peer closed in peace */
    HBK_TUNNEL_END_IDLE,     /* no streams for the idle time */
    HBK_TUNNEL_END_ERROR,    /* TCP failed, or a limit of ours */
    HBK_TUNNEL_END_PROTOCOL, /* TLS or HTTP/2, broken or refused */
    HBK_TUNNEL_END_TIMEOUT,
    HBK_TUNNEL_END_DRAIN, /* we had no use for it any more */
    HBK_TUNNEL_END_EXPIRED,
    HBK_TUNNEL_END_REVOKED,
    HBK_TUNNEL_END_ROOT_WITHDRAWN,
    HBK_TUNNEL_END_COUNT,
};

/* Why a handshake failed. */
enum hbk_handshake_end {
    HBK_HANDSHAKE_NO_CERTIFICATE,
    HBK_HANDSHAKE_UNTRUSTED, /* malformed, or without a path to a root */
    HBK_HANDSHAKE_EXPIRED,
    HBK_HANDSHAKE_REVOKED,
    HBK_HANDSHAKE_IDENTITY, /* a good certificate of somebody else */
    HBK_HANDSHAKE_PROTOCOL,
    HBK_HANDSHAKE_TIMEOUT,
    HBK_HANDSHAKE_CLOSED, /* by the peer, with an alert or without */
    HBK_HANDSHAKE_INTERNAL,
    HBK_HANDSHAKE_END_COUNT,
};

/* Pairs are indexed by is_server. */
struct hbk_net_counters {
    uint64_t tunnels_opened[2];
    uint64_t tunnels_closed[2];
    uint64_t tunnel_ends[HBK_TUNNEL_END_COUNT];
    uint64_t handshakes_ok[HBK_TLS_ENGINE_COUNT][2];
    uint64_t handshake_ends[HBK_TLS_ENGINE_COUNT][HBK_HANDSHAKE_END_COUNT];
    uint64_t streams_opened[2];
    uint64_t streams_closed[2];
    uint64_t streams_reset_by_peer;
    uint64_t streams_reset_by_us;
    uint64_t streams_retried;
    uint64_t refused_tunnels; /* for want of memory or of a place in the pool */
    uint64_t accept_failures; /* descriptors ran out */
    uint64_t reads, writes, records_opened, records_sealed;
};

/* The end that a failure of an open or connecting tunnel comes to. */
enum hbk_tunnel_end hbk_tunnel_end_of(const struct hbk_failure *failure);

/* The same for a failure during the handshake. */
enum hbk_handshake_end hbk_handshake_end_of(const struct hbk_failure *failure);
