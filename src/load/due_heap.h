/*
 * Owners in the order of their times: a binary heap. Each owner has its entry inside itself, and
 * the entry knows its place, so that one whose wait is over early is taken out in logarithmic time.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/status.h"

/* An owner's entry. All zero: in no heap. */
struct hbk_due {
    uint64_t due_ns;
    unsigned place; /* in the heap, from 1; 0: in none */
};

struct hbk_due_heap {
    struct hbk_due **list; /* owned; the entries are borrowed until they are out */
    unsigned count, capacity;
};

/* Fails: HBK_NO_MEMORY. */
HBK_MUST_USE hbk_status hbk_due_heap_init(struct hbk_due_heap *heap, unsigned capacity);
void hbk_due_heap_fini(struct hbk_due_heap *heap);

/* Room for so many at once. Fails: HBK_NO_MEMORY; what is in it stays. */
HBK_MUST_USE hbk_status hbk_due_heap_reserve(struct hbk_due_heap *heap, unsigned capacity);

static inline bool hbk_due_is_waiting(const struct hbk_due *due)
{
    return due->place != 0;
}

/* Adds an entry that is in no heap; there is room by the caller's count. */
void hbk_due_heap_add(struct hbk_due_heap *heap, struct hbk_due *due, uint64_t due_ns);

/* Takes an entry of this heap out; one that is in none stays so. */
void hbk_due_heap_remove(struct hbk_due_heap *heap, struct hbk_due *due);

/* The earliest time; UINT64_MAX when empty. */
static inline uint64_t hbk_due_heap_first_ns(const struct hbk_due_heap *heap)
{
    return heap->count == 0 ? UINT64_MAX : heap->list[0]->due_ns;
}

/* Takes the earliest out; the heap is not empty. */
struct hbk_due *hbk_due_heap_take(struct hbk_due_heap *heap);
