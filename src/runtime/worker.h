/*
 * Workers: threads with a loop and a mailbox each, that share nothing that changes. The control
 * thread, which is the program's first, has the same loop and mailbox and starts the others.
 */
#pragma once

#include <pthread.h>
#include <stdatomic.h>

#include "runtime/loop.h"
#include "runtime/mailbox.h"

enum { HBK_WORKERS_MAX = 64, HBK_WORKER_STACK_BYTES = 256 * 1024 };

struct hbk_worker {
    unsigned index;
    pthread_t thread;
    struct hbk_loop loop;
    struct hbk_mailbox mailbox;
    void *data; /* the owner's, for messages; set before the start, used on the thread */
};

/* All workers of the program and the control thread's side of them. */
struct hbk_team {
    struct hbk_loop *control_loop;       /* borrowed */
    struct hbk_mailbox *control_mailbox; /* borrowed */
    unsigned count;
    struct hbk_worker *workers; /* owned array */
};

/*
 * Makes `count` workers whose threads wait for messages.
 *
 * Fails: HBK_NO_MEMORY, HBK_LIMIT (threads, descriptors); nothing runs then. Control thread.
 */
HBK_MUST_USE hbk_status hbk_team_start(struct hbk_team *team, unsigned count,
                                       struct hbk_loop *control_loop,
                                       struct hbk_mailbox *control_mailbox);

/* Stops the loops, joins the threads and frees. Control thread. */
void hbk_team_stop(struct hbk_team *team);

/*
 * Sends from control to a worker. A full mailbox belongs to a worker that will empty it, for which
 * control waits: no order is lost, and no worker left behind with what others have given up.
 * Fails: HBK_CLOSED; the message is the sender's then. Control thread.
 */
HBK_MUST_USE hbk_status hbk_worker_send(struct hbk_worker *worker, struct hbk_message *message);

/*
 * A round: a function that runs once on every worker between two turns, then once on the control
 * thread. Since no worker keeps a snapshot across turns, the end of a round also proves that
 * nobody uses what was replaced in it.
 *
 * Memory: the round and what it points to stay until on_done, after which nobody touches it.
 */
struct hbk_round;
struct hbk_round_part {
    struct hbk_message message;
    struct hbk_round *round;
    struct hbk_worker *worker;
};

struct hbk_round {
    void (*on_worker)(struct hbk_round *round,
                      struct hbk_worker *worker); /* each worker's thread */
    void (*on_done)(struct hbk_round *round);     /* control thread; may free the round */
    struct hbk_team *team;
    /* Acquire-release: the last worker's decrement makes all workers' writes visible to control. */
    atomic_uint left;
    struct hbk_message done;
    struct hbk_round_part parts[HBK_WORKERS_MAX];
};

/* Starts the round; on_worker and on_done are set by the caller. Never runs anything before it
 * returns, except when a mailbox is closed: that worker is passed over. Control thread. */
void hbk_round_start(struct hbk_team *team, struct hbk_round *round);
