/* Owners in the order of their times: a binary heap. */
#pragma once

#include <stdint.h>

#include "base/status.h"

struct hbk_due {
    uint64_t due_ns;
    void *owner; /* borrowed */
};

struct hbk_due_heap {
    struct hbk_due *list; /* owned */
    unsigned count, capacity;
};

/* Fails: HBK_NO_MEMORY. */
HBK_MUST_USE hbk_status hbk_due_heap_init(struct hbk_due_heap *heap, unsigned capacity);
void hbk_due_heap_fini(struct hbk_due_heap *heap);

/* Room for so many at once. Fails: HBK_NO_MEMORY; what is in it stays. */
HBK_MUST_USE hbk_status hbk_due_heap_reserve(struct hbk_due_heap *heap, unsigned capacity);

/* Takes out what this owner has in it; looks at all. */
void hbk_due_heap_remove(struct hbk_due_heap *heap, const void *owner);

/* Adds one; there is room by the caller's count. */
void hbk_due_heap_add(struct hbk_due_heap *heap, uint64_t due_ns, void *owner);

/* The earliest time; UINT64_MAX when empty. */
static inline uint64_t hbk_due_heap_first_ns(const struct hbk_due_heap *heap)
{
    return heap->count == 0 ? UINT64_MAX : heap->list[0].due_ns;
}

/* Takes the earliest out; the heap is not empty. */
struct hbk_due hbk_due_heap_take(struct hbk_due_heap *heap);
