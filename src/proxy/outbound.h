/*
 * Outbound: an application's connection, captured at 15001, is routed and carried through a tunnel
 * to the destination's proxy, or in plain text where that is allowed.
 *
 *     accept -> original destination -> route -> HBONE: wait for a tunnel -> CONNECT -> 200 ->
 * relay
 *                                             -> PLAIN: connect -> passthrough
 *                                             -> REFUSED: reset, one log line
 */
#pragma once

#include "net/relay.h"
#include "proxy/connection.h"

struct hbk_outbound {
    struct hbk_connection base;
    struct hbk_relay relay;
    struct hbk_waiter waiter;
    struct hbk_timer timer; /* from the accept to the answer of the CONNECT */
    uint64_t asked_ns;
    bool is_retry;      /* the second and last attempt */
    bool is_tunnel_old; /* the tunnel stood before this connection came */
};

/* For the listener on 15001: owns `fd`. */
void hbk_outbound_accept(struct hbk_listener *listener, int fd, const struct hbk_address *peer);

/* Starts a client tunnel; for the shard's upstream. `context` is the shard. */
hbk_status hbk_outbound_dial(void *context, const struct hbk_upstream_key *key, int *out_fd,
                             struct hbk_tls_session **out_tls, struct hbk_failure *out_failure);

/* Counts a client tunnel that opened, and drains one that began with a credential of before; the
 * same. */
void hbk_outbound_opened(void *context, const struct hbk_upstream_key *key,
                         struct hbk_tunnel *tunnel);
