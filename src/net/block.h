/*
 * Blocks hold what a tunnel will seal at the end of the turn: at most one record's plain text each.
 * They belong to a turn, not to a connection; a worker keeps a few warm and gives the rest back to
 * the heap. One thread.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "base/compiler.h"

enum {
    HBK_BLOCK_BYTES = 16384, /* plain text of one TLS record (RFC 8446, 5.1) */
    HBK_BLOCKS_KEPT_MAX = 64,
};

struct hbk_block {
    struct hbk_block *next;
    size_t used_bytes;
    size_t sealed_bytes; /* of those, in front, that have left already */
    uint8_t bytes[HBK_BLOCK_BYTES];
};

struct hbk_block_pool {
    struct hbk_block *kept;
    size_t kept_count;
    size_t used_count;
};

/* An empty block; NULL when out of memory. */
HBK_MUST_USE struct hbk_block *hbk_block_take(struct hbk_block_pool *pool);
void hbk_block_give(struct hbk_block_pool *pool, struct hbk_block *block);
void hbk_block_pool_fini(struct hbk_block_pool *pool);
