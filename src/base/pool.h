/*
 * A pool of objects of one size, on one thread. Objects come from slabs; a freed object waits on a
 * free list for the next user. A pool has a limit: when it is reached, taking answers NULL, which
 * the caller turns into a refusal that is counted. Under AddressSanitizer freed objects are
 * poisoned.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "base/compiler.h"

struct hbk_pool_slab;

struct hbk_pool {
    const char *name;            /* borrowed for the pool's life: for counters and assertions */
    size_t object_bytes;         /* rounded up to alignment */
    size_t objects_max;          /* limit */
    size_t objects_used;         /* taken now */
    size_t objects_made;         /* in slabs */
    uint64_t refused;            /* takes that met the limit or an empty heap */
    void *free_objects;          /* singly linked through their first word */
    struct hbk_pool_slab *slabs; /* owned */
};

/* Starts without an allocation. */
void hbk_pool_init(struct hbk_pool *pool, const char *name, size_t object_bytes,
                   size_t objects_max);

/* Frees all slabs. Every object must have been given back. */
void hbk_pool_fini(struct hbk_pool *pool);

/* A zeroed object, owned by the caller until hbk_pool_give(); NULL at the limit. */
HBK_MUST_USE void *hbk_pool_take(struct hbk_pool *pool);

/* Gives an object back; NULL is allowed. */
void hbk_pool_give(struct hbk_pool *pool, void *object);
