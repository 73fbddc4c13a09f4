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

static void swap(struct hbk_due *a, struct hbk_due *b)
{
    struct hbk_due kept = *a;
    *a = *b;
    *b = kept;
}

hbk_status hbk_due_heap_reserve(struct hbk_due_heap *heap, unsigned capacity)
{
    if (capacity <= heap->capacity) {
        return HBK_OK;
    }
    capacity = capacity < 2 * heap->capacity ? 2 * heap->capacity : capacity;
    struct hbk_due *list = realloc(heap->list, capacity * sizeof *list);
    if (list == NULL) {
        return HBK_NO_MEMORY;
    }
    heap->list = list;
    heap->capacity = capacity;
    return HBK_OK;
}

void hbk_due_heap_add(struct hbk_due_heap *heap, uint64_t due_ns, void *owner)
{
    HBK_ASSERT(heap->count < heap->capacity);
    unsigned at = heap->count++;
    heap->list[at] = (struct hbk_due){.due_ns = due_ns, .owner = owner};
    while (at > 0 && heap->list[at].due_ns < heap->list[(at - 1) / 2].due_ns) {
        swap(&heap->list[at], &heap->list[(at - 1) / 2]);
        at = (at - 1) / 2;
    }
}

/* Lets the one at `at` sink to its place. */
static void sink(struct hbk_due_heap *heap, unsigned at)
{
    for (;;) {
        unsigned least = at, left = 2 * at + 1;
        for (unsigned child = left; child < left + 2 && child < heap->count; child++) {
            least = heap->list[child].due_ns < heap->list[least].due_ns ? child : least;
        }
        if (least == at) {
            return;
        }
        swap(&heap->list[at], &heap->list[least]);
        at = least;
    }
}

struct hbk_due hbk_due_heap_take(struct hbk_due_heap *heap)
{
    HBK_ASSERT(heap->count > 0);
    struct hbk_due first = heap->list[0];
    heap->list[0] = heap->list[--heap->count];
    sink(heap, 0);
    return first;
}

void hbk_due_heap_remove(struct hbk_due_heap *heap, const void *owner)
{
    unsigned kept = 0;
    for (unsigned i = 0; i < heap->count; i++) {
        if (heap->list[i].owner != owner) {
            heap->list[kept++] = heap->list[i];
        }
    }
    if (kept != heap->count) {
        heap->count = kept;
        for (unsigned i = kept / 2; i > 0; i--) {
            sink(heap, i - 1);
        }
    }
}
