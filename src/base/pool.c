#include "base/pool.h"

#include <stdalign.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"

#if defined(__SANITIZE_ADDRESS__)
#define HBK_POISONING 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define HBK_POISONING 1
#endif
#endif
#ifdef HBK_POISONING
#include <sanitizer/asan_interface.h>
#define POISON(bytes, size) ASAN_POISON_MEMORY_REGION(bytes, size)
#define UNPOISON(bytes, size) ASAN_UNPOISON_MEMORY_REGION(bytes, size)
#else
#define POISON(bytes, size) ((void)(bytes), (void)(size))
#define UNPOISON(bytes, size) ((void)(bytes), (void)(size))
#endif

/* Slabs start small, so that a pool with one user costs little, and grow to this. */
enum { SLAB_BYTES_MIN = 2048, SLAB_BYTES_MAX = 64 * 1024 };

struct hbk_pool_slab {
    struct hbk_pool_slab *next;
    alignas(max_align_t) uint8_t bytes[];
};

void hbk_pool_init(struct hbk_pool *pool, const char *name, size_t object_bytes, size_t objects_max)
{
    HBK_ASSERT(object_bytes > 0 && object_bytes <= SLAB_BYTES_MAX);
    size_t alignment = alignof(max_align_t);
    *pool = (struct hbk_pool){
        .name = name,
        .object_bytes = (object_bytes + alignment - 1) / alignment * alignment,
        .objects_max = objects_max,
    };
}

void hbk_pool_fini(struct hbk_pool *pool)
{
    HBK_ASSERT(pool->objects_used == 0);
    while (pool->slabs != NULL) {
        struct hbk_pool_slab *slab = pool->slabs;
        pool->slabs = slab->next;
        free(slab);
    }
    hbk_pool_init(pool, pool->name, pool->object_bytes, pool->objects_max);
}

static void push_free(struct hbk_pool *pool, void *object)
{
    memcpy(object, &pool->free_objects, sizeof pool->free_objects);
    pool->free_objects = object;
    POISON(object, pool->object_bytes);
}

static void *pop_free(struct hbk_pool *pool)
{
    void *object = pool->free_objects;
    UNPOISON(object, pool->object_bytes);
    memcpy(&pool->free_objects, object, sizeof pool->free_objects);
    return object;
}

/* Each slab doubles the pool until slabs have their full size. */
static bool grow(struct hbk_pool *pool)
{
    size_t wanted = pool->objects_made * pool->object_bytes;
    size_t slab_bytes = wanted < SLAB_BYTES_MIN   ? SLAB_BYTES_MIN
                        : wanted > SLAB_BYTES_MAX ? SLAB_BYTES_MAX
                                                  : wanted;
    size_t count = slab_bytes / pool->object_bytes;
    count = count == 0 ? 1 : count;
    struct hbk_pool_slab *slab = malloc(sizeof *slab + count * pool->object_bytes);
    if (slab == NULL) {
        return false;
    }
    slab->next = pool->slabs;
    pool->slabs = slab;
    for (size_t i = count; i-- > 0;) {
        push_free(pool, slab->bytes + i * pool->object_bytes);
    }
    pool->objects_made += count;
    return true;
}

void *hbk_pool_take(struct hbk_pool *pool)
{
    bool has_room = pool->objects_used < pool->objects_max;
    if (!has_room || (pool->free_objects == NULL && !grow(pool))) {
        pool->refused++;
        return NULL;
    }
    void *object = pop_free(pool);
    memset(object, 0, pool->object_bytes);
    pool->objects_used++;
    return object;
}

void hbk_pool_give(struct hbk_pool *pool, void *object)
{
    if (object == NULL) {
        return;
    }
    HBK_ASSERT(pool->objects_used > 0);
    pool->objects_used--;
    push_free(pool, object);
}
