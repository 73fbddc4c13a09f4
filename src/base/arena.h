/*
 * An arena: many small allocations, freed together. For loading, parsing and building, where the
 * parts share one life. One thread at a time.
 */
#pragma once

#include <stddef.h>

#include "base/slice.h"

struct hbk_arena_block;

struct hbk_arena {
    struct hbk_arena_block *blocks; /* owned, newest first */
    size_t used_bytes;              /* of the newest block */
};

/* Starts empty, without an allocation. */
void hbk_arena_init(struct hbk_arena *arena);

/* Frees everything that was taken from the arena; it is empty and usable afterwards. */
void hbk_arena_fini(struct hbk_arena *arena);

/* Wipes all that was taken, for arenas that held secrets; the memory stays taken. */
void hbk_arena_wipe(struct hbk_arena *arena);

/* Zeroed memory for any type, borrowed from the arena; NULL when out of memory. size may be 0. */
HBK_MUST_USE void *hbk_arena_take(struct hbk_arena *arena, size_t size);

/* The same for an array; NULL also when count * size overflows. */
HBK_MUST_USE void *hbk_arena_array(struct hbk_arena *arena, size_t count, size_t size);

/* The same as bytes; `bytes` is NULL when out of memory. */
HBK_MUST_USE struct hbk_span hbk_arena_bytes(struct hbk_arena *arena, size_t size);

/* A copy of `slice` with a terminating zero behind it; NULL when out of memory. */
HBK_MUST_USE char *hbk_arena_string(struct hbk_arena *arena, struct hbk_slice slice);
