/*
 * Where connections come in: the sockets that one worker listens on. What is accepted is looked at,
 * where its listener wants that (inspection.h), gets a filter chain (chain.h), and goes to the
 * worker's data path.
 */
#pragma once

#include "exchange/arrival.h"
#include "exchange/shard.h"
#include "net/listener.h"

struct hbk_gw_entrance;

/* A socket that accepts for one address of a listener. */
struct hbk_gw_acceptor {
    struct hbk_listener socket;
    struct hbk_gw_entrance *entrance;
    const struct hbk_gw_plan_listener *listener;
    hbk_gw_counter *stats; /* of the listener */
    struct hbk_address address;
    bool is_open;
};

struct hbk_gw_entrance {
    struct hbk_gw_shard *shard;        /* borrowed: of the same worker */
    struct hbk_gw_acceptor *acceptors; /* owned array */
    uint32_t acceptor_count;
    struct hbk_pool inspections; /* objects */
    struct hbk_list inspection_list;
};

/* On the worker's thread. The shard stays as long. Fails: HBK_NO_MEMORY. */
HBK_MUST_USE hbk_status hbk_gw_entrance_init(struct hbk_gw_entrance *entrance,
                                             struct hbk_gw_shard *shard);

/* Listens on every address, each worker with a socket of its own. Fails as hbk_socket_listen();
 * `error` names the address. */
HBK_MUST_USE hbk_status hbk_gw_entrance_listen(struct hbk_gw_entrance *entrance,
                                               struct hbk_error *error);

/* Accepts no more. What is being looked at goes on. */
void hbk_gw_entrance_shut(struct hbk_gw_entrance *entrance);
/* Lets go of that, too; finished at the end of the turn. A zeroed one is allowed, as next. */
void hbk_gw_entrance_close(struct hbk_gw_entrance *entrance);
void hbk_gw_entrance_fini(struct hbk_gw_entrance *entrance);

/* Chooses the chain and opens the connection, which takes the socket. */
void hbk_gw_arrived(struct hbk_gw_acceptor *acceptor, const struct hbk_gw_arrival *arrival);
