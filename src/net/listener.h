/*
 * A listener: accepts what waits, a bounded number a turn. When descriptors run out it rests for a
 * moment instead of spinning, and says so once, until it goes again.
 */
#pragma once

#include "base/address.h"
#include "net/net.h"

enum {
    HBK_LISTENER_TURN_ACCEPTS = 64,
    HBK_LISTENER_REST_MS = 100,
};

struct hbk_listener {
    struct hbk_source source;
    struct hbk_net *net; /* borrowed */
    struct hbk_timer rest;
    bool is_resting;
    bool has_complained; /* since the last connection that was accepted */
    /* Owns `fd` from here on. `peer` is borrowed during the call. */
    void (*on_accept)(struct hbk_listener *listener, int fd, const struct hbk_address *peer);
    void *owner;
};

/*
 * Takes the listening socket `fd`; closes it if that fails: HBK_LIMIT, HBK_NO_MEMORY.
 * hbk_listener_close() stops accepting; the memory must stay until the end of the turn.
 */
HBK_MUST_USE hbk_status hbk_listener_open(struct hbk_listener *listener, struct hbk_net *net,
                                          int fd,
                                          void (*on_accept)(struct hbk_listener *listener, int fd,
                                                            const struct hbk_address *peer),
                                          void *owner);
void hbk_listener_close(struct hbk_listener *listener);
