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
#include "load/answer.h"
#include "load/due_heap.h"
#include "load/fortio_clock.h"
#include "load/plan.h"
#include "load/request.h"
#include "load/result.h"
#include "load/schedule.h"
#include "net/batch.h"
#include "runtime/loop.h"
#include "tls/ticket.h"

enum {
    HBK_LOAD_CONNECTING_MAX = 128,       /* of one client at a time: a listener's queue is finite */
    HBK_LOAD_RECEIVE_BYTES = 128 * 1024, /* lent to whichever connection reads */
};

/* The states of a connection; each has a list. */
enum hbk_load_state {
    HBK_LOAD_CLOSED,     /* waits for its turn to connect */
    HBK_LOAD_CONNECTING, /* until its deadline */
    HBK_LOAD_RESTING,    /* connecting failed; waits for its deadline to try again */
    HBK_LOAD_IDLE,       /* can take a call; open, or opened by it */
    HBK_LOAD_FULL,       /* cannot take any more calls */
    HBK_LOAD_STATE_COUNT,
};

enum hbk_load_phase {
    HBK_LOAD_WARMING,
    HBK_LOAD_WARM, /* waits for start() */
    HBK_LOAD_RUNNING,
    HBK_LOAD_OVER,
};

struct hbk_load_connection;
struct hbk_load_call;

struct hbk_load_client {
    /* Given before open(), borrowed until fini(). */
    const struct hbk_load_plan *plan;
    const struct hbk_address *address;
    struct hbk_load_requests *requests; /* this thread's own */
    const struct hbk_fortio_plan *fortio;
    const struct hbk_fortio_shape *shape;
    struct hbk_loop *loop;
    unsigned lane; /* of plan->threads */
    void (*on_warm)(struct hbk_load_client *client);
    void (*on_done)(struct hbk_load_client *client);
    void (*on_abort)(struct hbk_load_client *client); /* the plan's abort_status was seen */
    void *owner;                                      /* for the callbacks */

    /* What it found out: complete after on_done. */
    struct hbk_load_result result;
    struct hbk_histogram interval; /* response times since somebody took them; no memory, and
                                      nothing recorded, without a plan->watch */
    uint64_t interval_failed;

    /* The client's own. */
    enum hbk_load_phase phase;
    struct hbk_load_connection *connections; /* owned */
    struct hbk_load_call *calls;             /* owned, plan->streams of each connection */
    unsigned connection_count;
    unsigned unsettled; /* connections that have not ended their warm-up */
    struct hbk_list lists[HBK_LOAD_STATE_COUNT];
    unsigned counts[HBK_LOAD_STATE_COUNT];
    struct hbk_list busy;         /* calls under way in the order of their deadlines */
    unsigned busy_count;          /* of them */
    struct hbk_schedule schedule; /* open loop */
    struct hbk_due_heap due;      /* Fortio's schedule: idle connections by their clocks */
    unsigned clocks_left;         /* Fortio's schedule: connections with further calls */
    uint64_t calls_left;          /* closed loop */
    uint64_t start_ns, end_ns;    /* of the run; end_ns in closed loop, UINT64_MAX: never */
    uint64_t record_ns;           /* when the recorded part begins */
    uint64_t starved_until_ns;    /* until then no connection was idle */
    uint64_t random;
    bool is_recording;
    bool was_aborted;
    struct hbk_alarm alarm;
    struct hbk_task open_task;
    struct hbk_task warm_task;
    struct hbk_batch batch; /* TLS: of this thread's handshakes; zero without TLS */
    /* TLS: tickets for coming handshakes. One of TLS 1.3 is for one handshake (RFC 8446, C.4;
     * libssl lets none be used twice), one of TLS 1.2 comes back here when it was good. Owned, as
     * they are; room for one of each connection. */
    struct hbk_tls_ticket **tickets;
    unsigned ticket_count;
    struct hbk_span room;          /* owned: where connections receive */
    struct hbk_answer_known known; /* HTTP/1: the last head of an answer */
};

/* Takes memory and begins to connect. Fails: HBK_NO_MEMORY; then only fini() is allowed. */
HBK_MUST_USE hbk_status hbk_load_client_open(struct hbk_load_client *client);

/* The timed part begins at `start_ns` of the monotonic clock, which should lie a little ahead. */
void hbk_load_client_start(struct hbk_load_client *client, uint64_t start_ns);

/* Ends the run now; calls under way count as aborted. Idempotent. */
void hbk_load_client_stop(struct hbk_load_client *client);

/* Closes all connections and is told of nothing any more. In the turn of any event. */
void hbk_load_client_close(struct hbk_load_client *client);

/* The same, and frees everything, the result included. Events of this turn may still point into
 * what is freed: from a task of HBK_PHASE_END, or when the loop does not turn any more. */
void hbk_load_client_fini(struct hbk_load_client *client);
