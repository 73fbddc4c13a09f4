#include "base/map.h"

#include <stdlib.h>

#include "base/assert.h"

enum { CAPACITY_MIN = 8 };

void hbk_map_init(struct hbk_map *map)
{
    *map = (struct hbk_map){0};
}

void hbk_map_fini(struct hbk_map *map)
{
    free(map->slots);
    hbk_map_init(map);
}

void *hbk_map_find(const struct hbk_map *map, uint64_t hash, hbk_map_match_fn *match,
                   const void *key)
{
    if (map->count == 0) {
        return NULL;
    }
    size_t mask = map->capacity - 1;
    for (size_t i = hash & mask; map->slots[i].object != NULL; i = (i + 1) & mask) {
        if (map->slots[i].hash == hash && match(map->slots[i].object, key)) {
            return map->slots[i].object;
        }
    }
    return NULL;
}

static void place(struct hbk_map_slot *slots, size_t capacity, struct hbk_map_slot slot)
{
    size_t mask = capacity - 1;
    size_t i = slot.hash & mask;
    while (slots[i].object != NULL) {
        i = (i + 1) & mask;
    }
    slots[i] = slot;
}

static hbk_status grow(struct hbk_map *map)
{
    size_t capacity = map->capacity == 0 ? CAPACITY_MIN : map->capacity * 2;
    struct hbk_map_slot *slots = calloc(capacity, sizeof *slots);
    if (slots == NULL) {
        return HBK_NO_MEMORY;
    }
    for (size_t i = 0; i < map->capacity; i++) {
        if (map->slots[i].object != NULL) {
            place(slots, capacity, map->slots[i]);
        }
    }
    free(map->slots);
    map->slots = slots;
    map->capacity = capacity;
    return HBK_OK;
}

hbk_status hbk_map_add(struct hbk_map *map, uint64_t hash, void *object)
{
    HBK_ASSERT(object != NULL);
    if (map->count + 1 > map->capacity - map->capacity / 4) {
        HBK_TRY(grow(map));
    }
    place(map->slots, map->capacity, (struct hbk_map_slot){.hash = hash, .object = object});
    map->count++;
    return HBK_OK;
}

/* Fills the hole at `hole` with a later slot of the same run that may lie there. */
static void shift_back(struct hbk_map *map, size_t hole)
{
    size_t mask = map->capacity - 1;
    for (size_t i = (hole + 1) & mask; map->slots[i].object != NULL; i = (i + 1) & mask) {
        size_t home = map->slots[i].hash & mask;
        bool is_between = hole <= i ? (hole < home && home <= i) : (hole < home || home <= i);
        if (!is_between) {
            map->slots[hole] = map->slots[i];
            hole = i;
        }
    }
    map->slots[hole].object = NULL;
}

bool hbk_map_remove(struct hbk_map *map, uint64_t hash, const void *object)
{
    if (map->count == 0) {
        return false;
    }
    size_t mask = map->capacity - 1;
    size_t i = hash & mask;
    while (map->slots[i].object != NULL && map->slots[i].object != object) {
        i = (i + 1) & mask;
    }
    if (map->slots[i].object == NULL) {
        return false;
    }
    shift_back(map, i);
    map->count--;
    return true;
}

void *hbk_map_next(const struct hbk_map *map, size_t *cursor)
{
    while (*cursor < map->capacity) {
        void *object = map->slots[(*cursor)++].object;
        if (object != NULL) {
            return object;
        }
    }
    return NULL;
}
