/*
 * The event loop of one thread. A turn takes everything that is ready, lets the protocol code put
 * its output together, and only then writes, so that many messages share one record and one system
 * call. The order of a turn:
 *
 *     wait -> due timers -> sources (read, decrypt, decode) -> HBK_PHASE_READ (more of the same)
 *          -> HBK_PHASE_WRITE (seal and send established data)
 *          -> HBK_PHASE_CRYPTO (at most one batch)
 *          -> HBK_PHASE_FLIGHT (handshake flights)
 *          -> HBK_PHASE_END (bury what died in this turn)
 *
 * All functions belong to the loop's thread unless they say otherwise.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/list.h"
#include "base/status.h"
#include "os/poll.h"
#include "runtime/gather.h"
#include "runtime/timer.h"

struct hbk_loop;

/*
 * A descriptor that the loop watches, edge triggered. `ready` gathers what has been signalled; the
 * owner clears bits when the kernel answers "not now". The memory must stay until the end of the
 * turn in which the source was removed: free it from a HBK_PHASE_END task.
 */
struct hbk_source {
    int fd;         /* borrowed; the owner closes it after hbk_loop_remove() */
    uint32_t ready; /* HBK_READABLE ... of os/poll.h */
    void (*on_ready)(struct hbk_source *source); /* NULL: not watched */
    bool is_single; /* carries one conversation, whose pace tells whether rests would hurt */
    struct hbk_pace pace;
};

enum hbk_phase {
    HBK_PHASE_READ,
    HBK_PHASE_WRITE,
    HBK_PHASE_CRYPTO,
    HBK_PHASE_FLIGHT,
    HBK_PHASE_END,
    HBK_PHASE_COUNT,
};

/* Something to do once in a phase. A task that is posted while its own phase runs waits for the
 * next turn, which then does not sleep. */
struct hbk_task {
    struct hbk_link link;
    void (*run)(struct hbk_task *task);
};

/* One precise wake-up per loop, beside the timers with their millisecond ticks: for load pacing. */
struct hbk_alarm {
    uint64_t due_ns; /* UINT64_MAX: off */
    void (*on_due)(struct hbk_alarm *alarm);
};

struct hbk_loop_stats {
    uint64_t turns;
    uint64_t events;
    uint64_t busy_ns;         /* the sum of all turns */
    uint64_t longest_turn_ns; /* from the end of the wait to the next wait */
    uint64_t rests;           /* turns before which it rested, to gather events */
};

struct hbk_loop {
    int poll;
    bool is_stopping;
    uint64_t now_ns; /* monotonic, read once a turn */
    struct hbk_timers timers;
    int wake;                      /* owned: the alarm clock for the timers */
    uint64_t wake_ns;              /* what it is set to; UINT64_MAX: nothing */
    struct hbk_source wake_source; /* it only ends the wait */
    struct hbk_list tasks[HBK_PHASE_COUNT];
    struct hbk_alarm *alarm; /* borrowed; NULL: none */
    struct hbk_gather gather;
    struct hbk_loop_stats stats;
};

/* Fails: HBK_LIMIT (descriptors), HBK_NO_MEMORY, HBK_IO. */
HBK_MUST_USE hbk_status hbk_loop_init(struct hbk_loop *loop);
/* Only after hbk_loop_init(). Timers and tasks that wait are let go: their owners may outlive the
 * loop, and cancel them then. */
void hbk_loop_fini(struct hbk_loop *loop);

/* Watches `fd` for everything (a connection), or, as a listener, for HBK_READABLE level triggered.
 * Fails: HBK_LIMIT, HBK_NO_MEMORY; then nothing is watched. */
HBK_MUST_USE hbk_status hbk_loop_add(struct hbk_loop *loop, struct hbk_source *source, int fd,
                                     void (*on_ready)(struct hbk_source *source));
HBK_MUST_USE hbk_status hbk_loop_add_listener(struct hbk_loop *loop, struct hbk_source *source,
                                              int fd, void (*on_ready)(struct hbk_source *source));

/*
 * Lets the loop rest for up to `limit_ns` before it looks for events, while many slow connections
 * make that worth while (runtime/gather.h); 0: never, which is how a loop begins. Nothing ends a
 * rest early: events, messages and hbk_loop_stop() by a message come up to `limit_ns` later, timers
 * do not. Only sources that are marked is_single after hbk_loop_add() count, and their owners call
 * hbk_loop_told() for what they send there.
 */
void hbk_loop_set_gather(struct hbk_loop *loop, uint64_t limit_ns);
void hbk_loop_told(struct hbk_loop *loop, struct hbk_source *source);

/* Stops watching; on_ready is not called again. Idempotent. The descriptor stays open. */
void hbk_loop_remove(struct hbk_loop *loop, struct hbk_source *source);

static inline void hbk_task_init(struct hbk_task *task, void (*run)(struct hbk_task *task))
{
    hbk_link_init(&task->link);
    task->run = run;
}

/* Runs `task` in that phase; a task that is posted already stays where it is. */
static inline void hbk_loop_post(struct hbk_loop *loop, enum hbk_phase phase, struct hbk_task *task)
{
    if (!hbk_link_is_linked(&task->link)) {
        hbk_list_append(&loop->tasks[phase], &task->link);
    }
}

static inline void hbk_task_cancel(struct hbk_task *task)
{
    hbk_link_remove(&task->link);
}

/* Sets a timer relative to now; see runtime/timer.h. */
static inline void hbk_loop_timer(struct hbk_loop *loop, struct hbk_timer *timer, uint64_t delay_ns)
{
    hbk_timer_set(&loop->timers, timer, loop->now_ns + delay_ns);
}

static inline void hbk_loop_timer_cancel(struct hbk_loop *loop, struct hbk_timer *timer)
{
    hbk_timer_cancel(&loop->timers, timer);
}

/* Runs turns until hbk_loop_stop(). */
void hbk_loop_run(struct hbk_loop *loop);

/* Runs one turn that waits at most `wait_ns`: for tests and for programs with a loop of their own.
 */
void hbk_loop_turn(struct hbk_loop *loop, uint64_t wait_ns);

/* Ends hbk_loop_run() after this turn. From the loop's own thread; others send a message. */
void hbk_loop_stop(struct hbk_loop *loop);
