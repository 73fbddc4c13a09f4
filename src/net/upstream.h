/*
 * The client tunnels of one worker, pooled by everything that decides whom we are and whom we
 * accept. A caller that finds no tunnel with room waits; connecting, handshaking and waiting never
 * block another key's callers. (The destination's proxy spoofs the tunnel's source address, so
 * that address is part of the key.)
 */
#pragma once

#include "base/address.h"
#include "base/list.h"
#include "base/map.h"
#include "net/tunnel.h"

struct hbk_spiffe_id;

enum { HBK_UPSTREAM_ACCEPTED_MAX = 16, HBK_UPSTREAM_WAITERS_MAX = 65536 };

struct hbk_upstream_key {
    const void *pod; /* compared, never followed */
    struct hbk_ip source;
    const struct hbk_spiffe_id *identity; /* interned: compared by pointer */
    const struct hbk_spiffe_id *accepted[HBK_UPSTREAM_ACCEPTED_MAX];
    unsigned accepted_count;
    struct hbk_address destination;
};

struct hbk_waiter;
struct hbk_upstream;

struct hbk_waiter_events {
    /* This tunnel has room: open a stream on it now. */
    void (*on_tunnel)(struct hbk_waiter *waiter, struct hbk_tunnel *tunnel, bool is_fresh);
    /* No tunnel could be had. The callee does not acquire again from here. */
    void (*on_failed)(struct hbk_waiter *waiter, const struct hbk_failure *failure);
};

/* Lies in the object that waits. */
struct hbk_waiter {
    struct hbk_link link;
    struct hbk_upstream_group *group; /* while it waits */
    uint64_t passes_over;             /* tunnels up to this number: they stood before it came */
    const struct hbk_waiter_events *events;
};

struct hbk_upstream_config {
    /* Starts a connection to key->destination and makes the session for it. On failure says why in
     * `out_failure`. `context` is the worker's. */
    hbk_status (*dial)(void *context, const struct hbk_upstream_key *key, int *out_fd,
                       struct hbk_tls_session **out_tls, struct hbk_failure *out_failure);
    /* A tunnel's handshake is done, and it has no stream yet. To drain it here means that another
     * is dialled for those who wait. NULL: nobody wants to know. */
    void (*on_open)(void *context, const struct hbk_upstream_key *key, struct hbk_tunnel *tunnel);
    void *context;
};

struct hbk_upstream {
    struct hbk_net *net; /* borrowed */
    struct hbk_upstream_config config;
    struct hbk_map groups;
    struct hbk_list all; /* the same groups, to be walked while new ones come */
    size_t waiters;
};

void hbk_upstream_init(struct hbk_upstream *upstream, struct hbk_net *net,
                       const struct hbk_upstream_config *config);

/* Every tunnel must be closed, and nobody wait. */
void hbk_upstream_fini(struct hbk_upstream *upstream);

/*
 * Finds a tunnel with room, or one to come: calls back once, perhaps before it returns. With
 * `is_fresh_wanted` tunnels that stand already are passed over (a retry).
 */
void hbk_upstream_acquire(struct hbk_upstream *upstream, const struct hbk_upstream_key *key,
                          bool is_fresh_wanted, struct hbk_waiter *waiter);

void hbk_waiter_init(struct hbk_waiter *waiter, const struct hbk_waiter_events *events);

/* Waits no longer. Idempotent. */
void hbk_upstream_cancel(struct hbk_upstream *upstream, struct hbk_waiter *waiter);

/* Calls `visit` for each tunnel; it may close or drain the tunnel it is given. */
void hbk_upstream_each(struct hbk_upstream *upstream,
                       void (*visit)(void *context, const struct hbk_upstream_key *key,
                                     struct hbk_tunnel *tunnel),
                       void *context);
