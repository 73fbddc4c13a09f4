#include "load/due_heap.h"

#include <stdlib.h>

#include "base/assert.h"

hbk_status hbk_due_heap_init(struct hbk_due_heap *heap, unsigned capacity)
{
    *heap = (struct hbk_due_heap){.capacity = capacity};
    heap->list = calloc(capacity > 0 ? capacity : 1, sizeof *heap->list);
    return heap->list == NULL ? HBK_NO_MEMORY : HBK_OK;
}

void hbk_due_heap_fini(struct hbk_due_heap *heap)
{
    free(heap->list);
    *heap = (struct hbk_due_heap){0};
}

hbk_status hbk_due_heap_reserve(struct hbk_due_heap *heap, unsigned capacity)
{
    if (capacity <= heap->capacity) {
        return HBK_OK;
    }
    capacity = capacity < 2 * heap->capacity ? 2 * heap->capacity : capacity;
    struct hbk_due **list = realloc(heap->list, capacity * sizeof *list);
    if (list == NULL) {
        return HBK_NO_MEMORY;
    }
    heap->list = list;
    heap->capacity = capacity;
    return HBK_OK;
}

static void put(struct hbk_due_heap *heap, unsigned at, struct hbk_due *due)
{
    heap->list[at] = due;
    due->place = at + 1;
}

/* Lets `due` rise or sink from the free place `at` to its own. */
static void settle(struct hbk_due_heap *heap, unsigned at, struct hbk_due *due)
{
    while (at > 0 && due->due_ns < heap->list[(at - 1) / 2]->due_ns) {
        put(heap, at, heap->list[(at - 1) / 2]);
        at = (at - 1) / 2;
    }
    for (unsigned child; (child = 2 * at + 1) < heap->count; at = child) {
        if (child + 1 < heap->count && heap->list[child + 1]->due_ns < heap->list[child]->due_ns) {
            child++;
        }
        if (due->due_ns <= heap->list[child]->due_ns) {
            break;
        }
        put(heap, at, heap->list[child]);
    }
    put(heap, at, due);
}

void hbk_due_heap_add(struct hbk_due_heap *heap, struct hbk_due *due, uint64_t due_ns)
{
    HBK_ASSERT(heap->count < heap->capacity && due->place == 0);
    due->due_ns = due_ns;
    settle(heap, heap->count++, due);
}

void hbk_due_heap_remove(struct hbk_due_heap *heap, struct hbk_due *due)
{
    if (due->place == 0) {
        return;
    }
    unsigned at = due->place - 1;
    HBK_ASSERT(at < heap->count && heap->list[at] == due);
    struct hbk_due *last = heap->list[--heap->count];
    due->place = 0;
    if (last != due) {
        settle(heap, at, last);
    }
}

struct hbk_due *hbk_due_heap_take(struct hbk_due_heap *heap)
{
    HBK_ASSERT(heap->count > 0);
    struct hbk_due *first = heap->list[0];
    hbk_due_heap_remove(heap, first);
    return first;
}
