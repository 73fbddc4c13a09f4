/* A connection that has come in, on its way from the listener to the handler of its chain. */
#pragma once

#include "base/address.h"
#include "base/slice.h"
#include "exchange/plan.h"

/* What is known of it when its chain is chosen. Slices are borrowed for the call. */
struct hbk_gw_arrival {
    const struct hbk_gw_plan_listener *listener;
    int fd;
    struct hbk_address peer;   /* who the client is said to be */
    struct hbk_address direct; /* whom the socket is connected with */
    struct hbk_address local;
    bool is_restored; /* local is where the client meant to go, and not our socket's */
    bool is_tls;
    struct hbk_slice server_name; /* empty: none */
    struct hbk_slice protocols;   /* as RFC 7301 writes them; empty: none */
};
