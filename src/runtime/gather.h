/*
 * When a loop that has nothing to do rests for a moment, so that one wake-up serves several
 * connections, as network cards moderate their interrupts. Pure decisions over what turns found;
 * the loop does the resting (runtime/loop.h), gather.c says when it pays.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

/* Longest rest that may be asked for, and the usual one. */
#define HBK_GATHER_NS_MAX UINT64_C(2000000)
#define HBK_GATHER_NS_DEFAULT UINT64_C(400000)

/* What is remembered of a connection that carries one conversation; zeroed at first. */
struct hbk_pace {
    uint32_t last_tick; /* when it last was heard or told something; 0: never */
    bool answers;       /* of the two ends it is the one that is asked; set by the owner */
    bool was_told;      /* that was told */
    bool has_gone_on;   /* heard again at once, without having been told anything */
};

struct hbk_gather {
    uint64_t limit_ns;  /* length of a rest; 0: never rests */
    uint64_t window_ns; /* when the window began that is being counted */
    uint32_t events;    /* in it: of connections that carry one conversation each */
    uint32_t quick;     /* those of a connection that had its last one a moment before */
    bool is_on;
};

/* `limit_ns` is at most HBK_GATHER_NS_MAX; 0 switches it off for good. */
void hbk_gather_init(struct hbk_gather *gather, uint64_t limit_ns, uint64_t now_ns);

/* A connection has something; it is sent something. On the loop's thread, at the loop's time. */
void hbk_gather_heard(struct hbk_gather *gather, struct hbk_pace *pace, uint64_t now_ns);
void hbk_gather_told(struct hbk_gather *gather, struct hbk_pace *pace, uint64_t now_ns);

/* A turn ends: judges the window when it is over. */
void hbk_gather_end_turn(struct hbk_gather *gather, uint64_t now_ns);

/* How long a loop that found nothing rests, when something is due at `due_ns` in any case
 * (UINT64_MAX: nothing is). At most limit_ns, never beyond `due_ns`; 0: it does not. */
uint64_t hbk_gather_rest_ns(const struct hbk_gather *gather, uint64_t now_ns, uint64_t due_ns);
