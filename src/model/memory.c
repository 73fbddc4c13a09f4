#include "model/memory.h"

#include <malloc.h>
#include <stdlib.h>

static struct hbk_model_memory memory_counts;

struct hbk_model_memory hbk_model_memory(void)
{
    return memory_counts;
}

void *hbk_model_take(size_t size)
{
    void *taken = calloc(1, size);
    if (taken != NULL) {
        memory_counts.taken++;
        memory_counts.live++;
        memory_counts.live_bytes += malloc_usable_size(taken);
    }
    return taken;
}

void hbk_model_give(void *memory)
{
    if (memory != NULL) {
        memory_counts.live--;
        memory_counts.live_bytes -= malloc_usable_size(memory);
        free(memory);
    }
}
