/*
 * The memory of the model: the heap, counted. The counts answer two questions that matter here: how
 * much a mesh costs, and how little a change of one workload touches. Control thread only.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "base/compiler.h"

struct hbk_model_memory {
    size_t live;       /* allocations held now */
    size_t live_bytes; /* as the heap rounds them */
    uint64_t taken;    /* allocations ever made */
};

/* The counts now. */
struct hbk_model_memory hbk_model_memory(void);

/* Zeroed memory, owned by the caller; NULL when out of memory. */
HBK_MUST_USE void *hbk_model_take(size_t size);

/* Gives it back; NULL is allowed. */
void hbk_model_give(void *memory);
