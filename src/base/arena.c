#include "base/arena.h"

#include <stdalign.h>
#include <stdint.h>
#include <stdlib.h>

#include "base/secret.h"

enum { BLOCK_BYTES_MIN = 4096, ALIGNMENT = alignof(max_align_t) };

struct hbk_arena_block {
    struct hbk_arena_block *next;
    size_t size_bytes; /* of `bytes` */
    alignas(max_align_t) uint8_t bytes[];
};

void hbk_arena_init(struct hbk_arena *arena)
{
    arena->blocks = NULL;
    arena->used_bytes = 0;
}

void hbk_arena_fini(struct hbk_arena *arena)
{
    while (arena->blocks != NULL) {
        struct hbk_arena_block *block = arena->blocks;
        arena->blocks = block->next;
        free(block);
    }
    arena->used_bytes = 0;
}

void hbk_arena_wipe(struct hbk_arena *arena)
{
    for (struct hbk_arena_block *block = arena->blocks; block != NULL; block = block->next) {
        hbk_secret_wipe(block->bytes, block->size_bytes);
    }
}

static bool add_block(struct hbk_arena *arena, size_t size)
{
    size_t block_bytes = size > BLOCK_BYTES_MIN ? size : BLOCK_BYTES_MIN;
    size_t total = 0;
    if (__builtin_add_overflow(block_bytes, sizeof(struct hbk_arena_block), &total)) {
        return false;
    }
    struct hbk_arena_block *block = malloc(total);
    if (block == NULL) {
        return false;
    }
    block->size_bytes = block_bytes;
    block->next = arena->blocks;
    arena->blocks = block;
    arena->used_bytes = 0;
    return true;
}

void *hbk_arena_take(struct hbk_arena *arena, size_t size)
{
    size_t rounded = 0;
    if (__builtin_add_overflow(size, (size_t)ALIGNMENT - 1, &rounded)) {
        return NULL;
    }
    rounded -= rounded % ALIGNMENT;
    bool fits = arena->blocks != NULL && arena->blocks->size_bytes - arena->used_bytes >= rounded;
    if (!fits && !add_block(arena, rounded)) {
        return NULL;
    }
    uint8_t *bytes = arena->blocks->bytes + arena->used_bytes;
    arena->used_bytes += rounded;
    memset(bytes, 0, rounded);
    return bytes;
}

void *hbk_arena_array(struct hbk_arena *arena, size_t count, size_t size)
{
    size_t total = 0;
    return __builtin_mul_overflow(count, size, &total) ? NULL : hbk_arena_take(arena, total);
}

struct hbk_span hbk_arena_bytes(struct hbk_arena *arena, size_t size)
{
    return hbk_span_of(hbk_arena_take(arena, size), size);
}

char *hbk_arena_string(struct hbk_arena *arena, struct hbk_slice slice)
{
    size_t total = 0;
    if (__builtin_add_overflow(slice.size, 1, &total)) {
        return NULL;
    }
    char *copy = hbk_arena_take(arena, total);
    if (copy != NULL && slice.size > 0) {
        memcpy(copy, slice.bytes, slice.size);
    }
    return copy;
}
