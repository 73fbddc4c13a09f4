/*
 * Timers of one loop: a hierarchical wheel (Varghese and Lauck, 1987) of four levels with 64 slots,
 * so that setting and cancelling cost a few pointer moves however many there are. The unit is a
 * tick of 2^20 ns (1.05 ms); a timer fires at or after its time, never before, and late by at most
 * a tick plus the length of a turn.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/list.h"

enum {
    HBK_TIMER_TICK_BITS = 20, /* ns per tick, as a power of two */
    HBK_TIMER_LEVELS = 4,
    HBK_TIMER_SLOT_BITS = 6,
    HBK_TIMER_SLOTS = 1 << HBK_TIMER_SLOT_BITS,
};

/* Lies in the object that waits; must be cancelled before that object goes. */
struct hbk_timer {
    struct hbk_link link;
    uint64_t due_tick;
    void (*on_due)(struct hbk_timer *timer); /* may set the timer again or free its object */
    uint8_t level, slot;                     /* where it hangs, while linked */
};

struct hbk_timers {
    uint64_t now_tick;
    uint64_t occupied[HBK_TIMER_LEVELS]; /* a bit per slot that is not empty */
    struct hbk_list slots[HBK_TIMER_LEVELS][HBK_TIMER_SLOTS];
};

void hbk_timers_init(struct hbk_timers *timers, uint64_t now_ns);
/* What is still set is set no longer, so that its owner may go later. */
void hbk_timers_fini(struct hbk_timers *timers);

void hbk_timer_init(struct hbk_timer *timer, void (*on_due)(struct hbk_timer *timer));
static inline bool hbk_timer_is_set(const struct hbk_timer *timer)
{
    return hbk_link_is_linked(&timer->link);
}

/* Sets or moves the timer. Times that have passed are due at the next tick. */
void hbk_timer_set(struct hbk_timers *timers, struct hbk_timer *timer, uint64_t due_ns);
void hbk_timer_cancel(struct hbk_timers *timers, struct hbk_timer *timer);

/* Calls what is due at `now_ns`; timers set meanwhile wait for the next call. */
void hbk_timers_run(struct hbk_timers *timers, uint64_t now_ns);

/* When to call hbk_timers_run() next, at the latest; UINT64_MAX without timers. */
uint64_t hbk_timers_next_ns(const struct hbk_timers *timers);
