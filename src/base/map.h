/*
 * A hash table from keys in foreign structs to those structs: the table stores pointers and hashes,
 * the caller owns the objects and compares keys. Open addressing with linear probing and deletion
 * by shifting back, so there are no tombstones. One thread at a time.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/status.h"

struct hbk_map_slot {
    uint64_t hash;
    void *object; /* NULL: empty */
};

struct hbk_map {
    struct hbk_map_slot *slots; /* owned; a power of two of them, or none */
    size_t capacity;
    size_t count;
};

/* True when `object` has the key that is looked for. */
typedef bool hbk_map_match_fn(const void *object, const void *key);

void hbk_map_init(struct hbk_map *map);
void hbk_map_fini(struct hbk_map *map); /* frees the table, not the objects */

/* The object with that hash and key; NULL when there is none. */
void *hbk_map_find(const struct hbk_map *map, uint64_t hash, hbk_map_match_fn *match,
                   const void *key);

/* Adds an object whose key is not in the table. Fails: HBK_NO_MEMORY. */
HBK_MUST_USE hbk_status hbk_map_add(struct hbk_map *map, uint64_t hash, void *object);

/* Removes exactly this object; false when it was not there. */
bool hbk_map_remove(struct hbk_map *map, uint64_t hash, const void *object);

/* Walks all objects: start with *cursor == 0; NULL at the end. The table must not change. */
void *hbk_map_next(const struct hbk_map *map, size_t *cursor);
