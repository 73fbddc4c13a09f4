/*
 * A worker that serves thousands of slow conversations is woken for each message alone: at 3,200
 * requests a second spread evenly, every one finds it asleep. Waking costs more than the work, and
 * each message has its own record and its own write on the tunnel. A rest of a fraction of a
 * millisecond in such a stream gathers several of them.
 *
 *     look -> nothing -> rest (nothing wakes it) -> wait for events -> turn -> look -> ...
 *
 * A rest is never taken while there is something to do: a loop under load finds events whenever it
 * looks, and gathers without resting. It must not be taken either where somebody waits for each
 * message, however often those come: one connection that asks again as soon as it was answered
 * makes ten thousand turns a second, and a rest in each passage would make it ten times slower. So
 * two things are counted over a window:
 *
 * - events of connections that carry one conversation each (tunnels carry many, and say nothing).
 *   There must be so many that a rest is expected to gather some;
 * - how often somebody was quick: an answer came less than QUICK_TICKS after its question, which
 *   each agent sees on its own side (what is told to a server and heard from it, what is heard from
 *   a client and told to it), or a connection was heard on and on without being answered, a stream.
 *   A request passes four agents' sides, there and back, so that rests lengthen its way by at most
 *   four limits, and by two on average: little beside the time that a slow answer takes anyway,
 *   and several times that of one that is at hand. Where more than a few are quick, nobody rests.
 *   How soon the next question comes says nothing: it waits for no one. Nor does an answer in two
 *   pieces, head and body.
 *
 * Invariants
 * 1. A window without enough events switches it off. Silence ends in a turn that judges it before
 *    the loop could rest: whoever is alone is never made to wait.
 * 2. The rest is bounded by limit_ns and by the next timer, whatever peers send.
 *
 * Rejected: a number of turns a second alone (cannot tell one quick connection from a thousand slow
 * ones); trying a rest and keeping it when it gathered something (each try costs a quick connection
 * its P99); waiting on the tunnel's side only (as many wake-ups for the same latency, and more with
 * many peers); rests aligned to the clock (two agents on one machine would seem to need one passage
 * less, two hosts do not).
 */
#include "runtime/gather.h"

#include "base/assert.h"
#include "runtime/timer.h"

enum {
    WINDOW_TICKS = 32, /* of about a millisecond each */
    /* An answer in less than this is quick. */
    QUICK_TICKS = 8,
    /* Events that a rest must be expected to gather to be taken at all, in eighths; and to be given
     * up again, so that a rate between the two changes nothing. */
    BEGIN_EIGHTHS = 6,
    END_EIGHTHS = 3,
    /* Of so many events one may be quick, and no more than so many in a window. */
    BEGIN_PER_QUICK = 16,
    END_PER_QUICK = 8,
    BEGIN_QUICK_MAX = 8,
    END_QUICK_MAX = 16,
};

static uint64_t tick_of(uint64_t ns)
{
    return ns >> HBK_TIMER_TICK_BITS;
}

void hbk_gather_init(struct hbk_gather *gather, uint64_t limit_ns, uint64_t now_ns)
{
    HBK_ASSERT(limit_ns <= HBK_GATHER_NS_MAX);
    *gather = (struct hbk_gather){.limit_ns = limit_ns, .window_ns = now_ns};
}

/* Whether the connection was heard or told something a moment ago; it is again now. */
static bool is_soon(struct hbk_pace *pace, uint64_t now_ns)
{
    /* The counter goes round after weeks; a connection that slept exactly so long seems quick once.
     */
    uint32_t tick = (uint32_t)tick_of(now_ns);
    bool is_soon = pace->last_tick != 0 && tick - pace->last_tick < QUICK_TICKS;
    pace->last_tick = tick;
    return is_soon;
}

void hbk_gather_heard(struct hbk_gather *gather, struct hbk_pace *pace, uint64_t now_ns)
{
    bool goes_on = is_soon(pace, now_ns);
    bool is_quick = goes_on && (pace->was_told ? pace->answers : pace->has_gone_on);
    pace->has_gone_on = goes_on && !pace->was_told;
    pace->was_told = false;
    gather->events += gather->events < UINT32_MAX;
    gather->quick += is_quick && gather->quick < UINT32_MAX;
}

void hbk_gather_told(struct hbk_gather *gather, struct hbk_pace *pace, uint64_t now_ns)
{
    bool is_quick = is_soon(pace, now_ns) && !pace->was_told && !pace->answers;
    pace->was_told = true;
    gather->quick += is_quick && gather->quick < UINT32_MAX;
}

static bool judge(const struct hbk_gather *gather, uint64_t elapsed_ns)
{
    unsigned eighths = gather->is_on ? END_EIGHTHS : BEGIN_EIGHTHS;
    uint32_t per_quick = gather->is_on ? END_PER_QUICK : BEGIN_PER_QUICK;
    uint32_t quick_max = gather->is_on ? END_QUICK_MAX : BEGIN_QUICK_MAX;
    /* Neither product overflows: 2^32 * 2^21 * 8, and an elapsed time of centuries is none. */
    bool is_worth_it = gather->events * gather->limit_ns * 8 >= elapsed_ns * eighths;
    return gather->limit_ns > 0 && is_worth_it && gather->quick <= quick_max &&
           gather->quick <= gather->events / per_quick;
}

void hbk_gather_end_turn(struct hbk_gather *gather, uint64_t now_ns)
{
    uint64_t elapsed_ns = now_ns - gather->window_ns;
    if (tick_of(elapsed_ns) >= WINDOW_TICKS) {
        gather->is_on = judge(gather, elapsed_ns);
        gather->window_ns = now_ns;
        gather->events = 0;
        gather->quick = 0;
    }
}

uint64_t hbk_gather_rest_ns(const struct hbk_gather *gather, uint64_t now_ns, uint64_t due_ns)
{
    if (!gather->is_on || due_ns <= now_ns) {
        return 0;
    }
    uint64_t left_ns = due_ns - now_ns;
    return left_ns < gather->limit_ns ? left_ns : gather->limit_ns;
}
