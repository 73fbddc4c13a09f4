/*
 * Plain text: connections to destinations outside the mesh, and connections from outside to a
 * workload whose mode permits them (captured at 15006).
 */
#pragma once

#include "net/passthrough.h"
#include "policy/route.h"
#include "proxy/connection.h"

struct hbk_plain {
    struct hbk_connection base;
    struct hbk_passthrough passthrough;
};

/* Owns `fd`. */
void hbk_plain_start_outbound(struct hbk_pod_proxy *pod, int fd, const struct hbk_address *peer,
                              const struct hbk_address *destination, const struct hbk_route *route);

/* For the listener on 15006: owns `fd`. */
void hbk_plain_accept(struct hbk_listener *listener, int fd, const struct hbk_address *peer);
