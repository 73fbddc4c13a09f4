/*
 * Streams by id: open addressing with linear probing over pointers, deletion by shifting back. The
 * home of an id is the top bits of its product with a secret odd number, so that a client, which
 * chooses the ids, cannot make them collide. The table doubles when half full and halves when an
 * eighth is used: between the two nothing is allocated.
 */
#include "wire/http2_session.h"

#include <stdlib.h>

#include "base/hash.h"

enum {
    TABLE_BITS_MIN = 4,
    TABLE_BITS_MAX = 24,
};

static inline size_t home_of(const struct hbk_h2_table *table, uint32_t id)
{
    return (size_t)((id * table->multiplier) >> (64 - table->bits));
}

static void put(struct hbk_h2_table *table, struct hbk_h2_stream *stream)
{
    size_t mask = ((size_t)1 << table->bits) - 1;
    size_t slot = home_of(table, stream->id);
    while (table->slots[slot] != NULL) {
        slot = (slot + 1) & mask;
    }
    table->slots[slot] = stream;
}

static hbk_status resize(struct hbk_h2_table *table, uint8_t bits)
{
    struct hbk_h2_stream **slots = calloc((size_t)1 << bits, sizeof(*slots));
    if (slots == NULL) {
        return HBK_NO_MEMORY;
    }
    struct hbk_h2_table old = *table;
    table->slots = slots;
    table->bits = bits;
    for (size_t i = 0; old.slots != NULL && i < (size_t)1 << old.bits; i++) {
        if (old.slots[i] != NULL) {
            put(table, old.slots[i]);
        }
    }
    free(old.slots);
    return HBK_OK;
}

void h2_table_init(struct hbk_h2_table *table)
{
    *table = (struct hbk_h2_table){0};
    const void *address = table;
    table->multiplier = hbk_hash(hbk_slice_of(&address, sizeof(address))) | 1;
}

void h2_table_fini(struct hbk_h2_table *table)
{
    free(table->slots);
    *table = (struct hbk_h2_table){0};
}

hbk_status h2_table_add(struct hbk_h2_table *table, struct hbk_h2_stream *stream)
{
    if (table->slots == NULL) {
        HBK_TRY(resize(table, TABLE_BITS_MIN));
    } else if (table->count >= (size_t)1 << (table->bits - 1)) {
        if (table->bits == TABLE_BITS_MAX) {
            return HBK_NO_MEMORY;
        }
        HBK_TRY(resize(table, (uint8_t)(table->bits + 1)));
    }
    put(table, stream);
    table->count++;
    return HBK_OK;
}

static size_t slot_of(const struct hbk_h2_table *table, uint32_t id)
{
    size_t mask = ((size_t)1 << table->bits) - 1;
    size_t slot = home_of(table, id);
    while (table->slots[slot] != NULL && table->slots[slot]->id != id) {
        slot = (slot + 1) & mask;
    }
    return slot;
}

void h2_table_remove(struct hbk_h2_table *table, const struct hbk_h2_stream *stream)
{
    size_t mask = ((size_t)1 << table->bits) - 1;
    size_t hole = slot_of(table, stream->id);
    HBK_ASSERT(table->slots[hole] == stream);

    /* Whatever probed past the hole on its way moves into it. */
    for (size_t next = (hole + 1) & mask; table->slots[next] != NULL; next = (next + 1) & mask) {
        size_t home = home_of(table, table->slots[next]->id);
        if (((next - home) & mask) >= ((next - hole) & mask)) {
            table->slots[hole] = table->slots[next];
            hole = next;
        }
    }
    table->slots[hole] = NULL;
    table->count--;

    if (table->bits > TABLE_BITS_MIN && table->count <= (size_t)1 << (table->bits - 3)) {
        /* A table that stays large for want of memory is no failure. */
        hbk_status shrunk = resize(table, (uint8_t)(table->bits - 1));
        (void)shrunk;
    }
}

struct hbk_h2_stream *h2_table_find(const struct hbk_h2_table *table, uint32_t id)
{
    return table->slots == NULL ? NULL : table->slots[slot_of(table, id)];
}

struct hbk_h2_stream *h2_table_any(const struct hbk_h2_table *table)
{
    for (size_t i = 0; table->count > 0 && i < (size_t)1 << table->bits; i++) {
        if (table->slots[i] != NULL) {
            return table->slots[i];
        }
    }
    return NULL;
}
