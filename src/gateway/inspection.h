/*
 * Between accepting a connection and choosing its filter chain: who the client is (PROXY protocol),
 * where it was going (original destination), and what its ClientHello asks for. Bytes of TLS are
 * only looked at, and left in the socket for the session.
 */
#pragma once

#include "gateway/shard.h"

enum {
    HBK_GW_HELLO_BYTES_MAX = 16 << 10, /* of a ClientHello, unless max_client_hello_size is less */
    HBK_GW_HELLO_HEADERS_BYTES_MAX = 1024, /* of the records that it comes in */
    HBK_GW_PEEK_BYTES_MAX = HBK_GW_HELLO_BYTES_MAX + HBK_GW_HELLO_HEADERS_BYTES_MAX,
};

/* What is known of a connection when its chain is chosen. Slices are borrowed for the call. */
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

/* Whether the listener's connections must be looked at before a chain is chosen. */
bool hbk_gw_needs_inspection(const struct hbk_gw_listener *listener);

/* Takes the socket; hbk_gw_arrived() follows, or the connection is closed. */
void hbk_gw_inspect(struct hbk_gw_acceptor *acceptor, int fd, const struct hbk_address *peer,
                    const struct hbk_address *local);
void hbk_gw_inspect_close_all(struct hbk_gw_shard *shard);
size_t hbk_gw_inspection_object_bytes(void); /* for the pool of them */

/* shard.c: chooses the chain and opens the connection, which takes the socket. */
void hbk_gw_arrived(struct hbk_gw_acceptor *acceptor, const struct hbk_gw_arrival *arrival);

/* chain.c: the chain by Envoy's order, or the default one; NULL: none. Pure. */
const struct hbk_gw_handler *hbk_gw_choose_handler(const struct hbk_gw_plan_listener *listener,
                                                   const struct hbk_gw_arrival *arrival);
