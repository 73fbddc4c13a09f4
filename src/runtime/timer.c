/*
 * Level 0 has a slot per tick, level n a slot per 64^n ticks. A timer hangs on the lowest level
 * that reaches its time; when the level below has gone round, the next slot above is spread over
 * it.
 *
 * Invariants
 * 1. A timer on level 0 hangs in the slot of its due tick, and that tick is after now_tick and less
 *    than 64 ticks away.
 * 2. A timer on level n > 0 hangs in slot (due >> 6n) & 63, and due >> 6n is after now >> 6n.
 * 3. A bit of `occupied` is set if and only if its slot has a timer.
 */
#include "runtime/timer.h"

#include "base/assert.h"

enum { SLOT_MASK = HBK_TIMER_SLOTS - 1 };

static uint64_t tick_of(uint64_t ns)
{
    return ns >> HBK_TIMER_TICK_BITS;
}

static unsigned shift_of(unsigned level)
{
    return level * HBK_TIMER_SLOT_BITS;
}

void hbk_timers_init(struct hbk_timers *timers, uint64_t now_ns)
{
    *timers = (struct hbk_timers){.now_tick = tick_of(now_ns)};
    for (unsigned level = 0; level < HBK_TIMER_LEVELS; level++) {
        for (unsigned slot = 0; slot < HBK_TIMER_SLOTS; slot++) {
            hbk_list_init(&timers->slots[level][slot]);
        }
    }
}

void hbk_timer_init(struct hbk_timer *timer, void (*on_due)(struct hbk_timer *timer))
{
    *timer = (struct hbk_timer){.on_due = on_due};
    hbk_link_init(&timer->link);
}

static void hang(struct hbk_timers *timers, struct hbk_timer *timer)
{
    unsigned level = 0;
    uint64_t due = timer->due_tick;
    while (level < HBK_TIMER_LEVELS - 1 &&
           (due >> shift_of(level)) - (timers->now_tick >> shift_of(level)) >= HBK_TIMER_SLOTS) {
        level++;
    }
    uint64_t position = due >> shift_of(level);
    uint64_t last = (timers->now_tick >> shift_of(level)) + HBK_TIMER_SLOTS - 1;
    /* Beyond the wheel: wait in the last slot, to be hung again from there. */
    position = position > last ? last : position;
    timer->level = (uint8_t)level;
    timer->slot = (uint8_t)(position & SLOT_MASK);
    hbk_list_append(&timers->slots[level][timer->slot], &timer->link);
    timers->occupied[level] |= UINT64_C(1) << timer->slot;
}

void hbk_timer_cancel(struct hbk_timers *timers, struct hbk_timer *timer)
{
    if (!hbk_timer_is_set(timer)) {
        return;
    }
    hbk_link_remove(&timer->link);
    if (hbk_list_is_empty(&timers->slots[timer->level][timer->slot])) {
        timers->occupied[timer->level] &= ~(UINT64_C(1) << timer->slot);
    }
}

void hbk_timers_fini(struct hbk_timers *timers)
{
    for (unsigned level = 0; level < HBK_TIMER_LEVELS; level++) {
        for (uint64_t left = timers->occupied[level]; left != 0; left &= left - 1) {
            struct hbk_list *slot = &timers->slots[level][__builtin_ctzll(left)];
            while (hbk_list_pop(slot) != NULL) {
            }
        }
        timers->occupied[level] = 0;
    }
}

void hbk_timer_set(struct hbk_timers *timers, struct hbk_timer *timer, uint64_t due_ns)
{
    HBK_ASSERT(timer->on_due != NULL);
    hbk_timer_cancel(timers, timer);
    uint64_t due = tick_of(due_ns) + 1; /* the tick that begins after due_ns */
    timer->due_tick = due > timers->now_tick ? due : timers->now_tick + 1;
    hang(timers, timer);
}

static void take_slot(struct hbk_timers *timers, unsigned level, unsigned slot,
                      struct hbk_list *out_list)
{
    hbk_list_init(out_list);
    hbk_list_move(out_list, &timers->slots[level][slot]);
    timers->occupied[level] &= ~(UINT64_C(1) << slot);
}

/* Spreads the slot of `level` that begins at now_tick over the levels below. Timers due at this
 * very tick go to `due`. */
static void cascade(struct hbk_timers *timers, unsigned level, struct hbk_list *due)
{
    struct hbk_list taken;
    take_slot(timers, level, (unsigned)(timers->now_tick >> shift_of(level)) & SLOT_MASK, &taken);
    for (struct hbk_link *link; (link = hbk_list_pop(&taken)) != NULL;) {
        struct hbk_timer *timer = HBK_CONTAINER(link, struct hbk_timer, link);
        if (timer->due_tick <= timers->now_tick) {
            hbk_list_append(due, link);
        } else {
            hang(timers, timer);
        }
    }
}

static uint64_t next_tick(const struct hbk_timers *timers)
{
    uint64_t next = UINT64_MAX;
    for (unsigned level = 0; level < HBK_TIMER_LEVELS; level++) {
        if (timers->occupied[level] == 0) {
            continue;
        }
        uint64_t position = timers->now_tick >> shift_of(level);
        unsigned turn = (unsigned)(position + 1) & SLOT_MASK;
        uint64_t ahead = timers->occupied[level] >> turn;
        ahead |= turn == 0 ? 0 : timers->occupied[level] << (HBK_TIMER_SLOTS - turn);
        uint64_t distance = (uint64_t)__builtin_ctzll(ahead) + 1;
        uint64_t tick = (position + distance) << shift_of(level);
        next = tick < next ? tick : next;
    }
    return next;
}

/* Moves to `tick` and gathers what is due there. */
static void advance(struct hbk_timers *timers, uint64_t tick, struct hbk_list *due)
{
    timers->now_tick = tick;
    for (unsigned level = HBK_TIMER_LEVELS - 1; level > 0; level--) {
        uint64_t below = (UINT64_C(1) << shift_of(level)) - 1;
        if ((tick & below) == 0) {
            cascade(timers, level, due);
        }
    }
    struct hbk_list now;
    take_slot(timers, 0, (unsigned)tick & SLOT_MASK, &now);
    hbk_list_move(due, &now);
}

void hbk_timers_run(struct hbk_timers *timers, uint64_t now_ns)
{
    struct hbk_list due;
    hbk_list_init(&due);
    uint64_t now = tick_of(now_ns);
    for (uint64_t tick = next_tick(timers); tick <= now; tick = next_tick(timers)) {
        advance(timers, tick, &due);
    }
    timers->now_tick = now > timers->now_tick ? now : timers->now_tick;
    for (struct hbk_link *link; (link = hbk_list_pop(&due)) != NULL;) {
        struct hbk_timer *timer = HBK_CONTAINER(link, struct hbk_timer, link);
        timer->on_due(timer);
    }
}

uint64_t hbk_timers_next_ns(const struct hbk_timers *timers)
{
    uint64_t tick = next_tick(timers);
    return tick == UINT64_MAX ? UINT64_MAX : tick << HBK_TIMER_TICK_BITS;
}
