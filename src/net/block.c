#include "net/block.h"

#include <stdlib.h>

#include "base/assert.h"

struct hbk_block *hbk_block_take(struct hbk_block_pool *pool)
{
    struct hbk_block *block = pool->kept;
    if (block != NULL) {
        pool->kept = block->next;
        pool->kept_count--;
    } else {
        block = malloc(sizeof *block);
        if (block == NULL) {
            return NULL;
        }
    }
    block->next = NULL;
    block->used_bytes = 0;
    block->sealed_bytes = 0;
    pool->used_count++;
    return block;
}

void hbk_block_give(struct hbk_block_pool *pool, struct hbk_block *block)
{
    HBK_ASSERT(pool->used_count > 0);
    pool->used_count--;
    if (pool->kept_count >= HBK_BLOCKS_KEPT_MAX) {
        free(block);
        return;
    }
    block->next = pool->kept;
    pool->kept = block;
    pool->kept_count++;
}

void hbk_block_pool_fini(struct hbk_block_pool *pool)
{
    HBK_ASSERT(pool->used_count == 0);
    while (pool->kept != NULL) {
        struct hbk_block *block = pool->kept;
        pool->kept = block->next;
        free(block);
    }
    pool->kept_count = 0;
}
