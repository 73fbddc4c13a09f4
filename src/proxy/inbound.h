/*
 * Inbound: a tunnel that another proxy opened to a pod of ours at 15008, and the streams in it.
 *
 *     accept -> TLS, both ends authenticated -> CONNECT authority -> checks -> connect to the
 *     application from the caller's address -> 200 -> relay
 *
 * Each check that fails has its status (ambient.md 3b): 400 for what is not addressed to this pod,
 * 401 for policy, 503 for what cannot be reached.
 */
#pragma once

#include "net/relay.h"
#include "net/tunnel.h"
#include "proxy/connection.h"

struct hbk_inbound {
    struct hbk_connection base;
    struct hbk_relay relay;
    struct hbk_timer timer; /* TCP connect to the application */
};

/* For the listener on 15008: owns `fd`. */
void hbk_inbound_accept(struct hbk_listener *listener, int fd, const struct hbk_address *peer);
