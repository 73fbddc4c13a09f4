/*
 * Between accepting a connection and choosing its filter chain: who the client is (PROXY protocol),
 * where it was going (original destination), and what its ClientHello asks for. Bytes of TLS are
 * only looked at, and left in the socket for the session.
 */
#pragma once

#include "gateway/entrance.h"

enum {
    HBK_GW_HELLO_BYTES_MAX = 16 << 10, /* of a ClientHello, unless max_client_hello_size is less */
    HBK_GW_HELLO_HEADERS_BYTES_MAX = 1024, /* of the records that it comes in */
    HBK_GW_PEEK_BYTES_MAX = HBK_GW_HELLO_BYTES_MAX + HBK_GW_HELLO_HEADERS_BYTES_MAX,
};

/* Whether the listener's connections must be looked at before a chain is chosen. */
bool hbk_gw_needs_inspection(const struct hbk_gw_listener *listener);

/* Takes the socket; hbk_gw_arrived() follows, or the connection is closed. */
void hbk_gw_inspect(struct hbk_gw_acceptor *acceptor, int fd, const struct hbk_address *peer,
                    const struct hbk_address *local);
void hbk_gw_inspect_close_all(struct hbk_gw_entrance *entrance);
size_t hbk_gw_inspection_object_bytes(void); /* for the pool of them */
