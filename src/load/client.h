/*
 * One thread's share of a load run: its connections, its lane of the schedule, its result. Lives on
 * a loop and never blocks. The life of a client:
 *
 *     open() -> warm-up: connects, one unrecorded request each -> on_warm
 *            -> start() -> calls -> on_done
 *     stop() ends any of it early, also with on_done.
 */
#pragma once

#include "base/address.h"
#include "load/plan.h"
#include "load/result.h"
#include "load/schedule.h"
#include "runtime/loop.h"

enum {
    HBK_LOAD_CONNECTING_MAX = 128,       /* of one client at a time: a listener's queue is finite */
    HBK_LOAD_RECEIVE_BYTES = 128 * 1024, /* lent to whichever connection reads */
};

/* The states of a connection; each has a list, and those with a deadline keep its order. */
enum hbk_load_state {
    HBK_LOAD_CLOSED,     /* waits for its turn to connect */
    HBK_LOAD_CONNECTING, /* until its deadline */
    HBK_LOAD_RESTING,    /* connecting failed; waits for its deadline to try again */
    HBK_LOAD_IDLE,       /* open, without a request */
    HBK_LOAD_BUSY,       /* a request is under way, until its deadline */
    HBK_LOAD_STATE_COUNT,
};

enum hbk_load_phase {
    HBK_LOAD_WARMING,
    HBK_LOAD_WARM, /* waits for start() */
    HBK_LOAD_RUNNING,
    HBK_LOAD_OVER,
};

struct hbk_load_connection;

struct hbk_load_client {
    /* Given before open(), borrowed until fini(). */
    const struct hbk_load_plan *plan;
    const struct hbk_address *address;
    struct hbk_slice request; /* the bytes of a call over HTTP */
    struct hbk_loop *loop;
    unsigned lane; /* of plan->threads */
    void (*on_warm)(struct hbk_load_client *client);
    void (*on_done)(struct hbk_load_client *client);
    void *owner; /* for the callbacks */

    /* What it found out: complete after on_done. */
    struct hbk_load_result result;

    /* The client's own. */
    enum hbk_load_phase phase;
    struct hbk_load_connection *connections; /* owned */
    unsigned connection_count;
    unsigned unsettled; /* connections that have not ended their warm-up */
    struct hbk_list lists[HBK_LOAD_STATE_COUNT];
    unsigned counts[HBK_LOAD_STATE_COUNT];
    struct hbk_schedule schedule; /* open loop */
    uint64_t calls_left;          /* closed loop */
    uint64_t start_ns, end_ns;    /* of the run; end_ns in closed loop, UINT64_MAX: never */
    uint64_t starved_until_ns;    /* until then no connection was idle */
    uint64_t message_number;      /* of the next TCP message */
    struct hbk_alarm alarm;
    struct hbk_task open_task;
    struct hbk_span room; /* owned: where connections receive */
};

/* Takes memory and begins to connect. Fails: HBK_NO_MEMORY; then only fini() is allowed. */
HBK_MUST_USE hbk_status hbk_load_client_open(struct hbk_load_client *client);

/* The timed part begins at `start_ns` of the monotonic clock, which should lie a little ahead. */
void hbk_load_client_start(struct hbk_load_client *client, uint64_t start_ns);

/* Ends the run now; calls under way count as aborted. Idempotent. */
void hbk_load_client_stop(struct hbk_load_client *client);

/* Closes and frees everything, the result included. The loop must not turn any more. */
void hbk_load_client_fini(struct hbk_load_client *client);
