/*
 * Readiness of descriptors: epoll, edge triggered. An edge says that something has changed; whoever
 * is told must go on until the kernel answers "not now", or remember that there is more.
 */
#pragma once

#include <stdint.h>

#include "base/status.h"

enum {
    HBK_READABLE = 1 << 0, /* bytes, a connection to accept, or the other side's end */
    HBK_WRITABLE = 1 << 1, /* room again after "not now", or connected */
    HBK_ENDED = 1 << 2,    /* the other side has ended its direction, behind what can be read */
    HBK_HUNG_UP = 1 << 3,  /* both directions are over, or an error is pending */
};

struct hbk_poll_event {
    void *owner;    /* as given to hbk_poll_add() */
    uint32_t ready; /* HBK_READABLE ... */
};

/* Longest batch of events that one wait returns. */
enum { HBK_POLL_EVENTS_MAX = 512 };

HBK_MUST_USE hbk_status hbk_poll_open(int *out_poll);

/* Watches for all of HBK_READABLE to HBK_HUNG_UP until the descriptor is closed or removed. */
HBK_MUST_USE hbk_status hbk_poll_add(int poll, int fd, void *owner);

/* Watches for HBK_READABLE alone, level triggered and woken in one of several threads at a time:
 * for listeners. */
HBK_MUST_USE hbk_status hbk_poll_add_listener(int poll, int fd, void *owner);
void hbk_poll_remove(int poll, int fd);

/*
 * Waits until something is ready or `timeout_ns` have passed; UINT64_MAX waits for ever. Returns
 * the number of events, 0 at the end of the time or on a signal. `events` holds
 * HBK_POLL_EVENTS_MAX.
 */
unsigned hbk_poll_wait(int poll, uint64_t timeout_ns,
                       struct hbk_poll_event events[static HBK_POLL_EVENTS_MAX]);

/* Sleeps for `duration_ns`, or less after a signal, whatever happens on descriptors. */
void hbk_poll_rest(uint64_t duration_ns);

/* An eventfd: hbk_event_set() from any thread makes it readable until hbk_event_clear(). */
HBK_MUST_USE hbk_status hbk_event_open(int *out_event);
void hbk_event_set(int event);
void hbk_event_clear(int event);

/*
 * An alarm clock that becomes readable at a time. Waiting for it costs nothing, while a time limit
 * of a wait starts and stops a kernel timer each time. To be watched with hbk_poll_add(); it need
 * not be read.
 */
HBK_MUST_USE hbk_status hbk_wake_open(int *out_wake);

/* Sets it to a monotonic time, which replaces the one before; a past one is due at once. */
void hbk_wake_at(int wake, uint64_t due_ns);
