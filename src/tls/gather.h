/* Bytes that lie in a list of slices, taken from the front in pieces of any size. */
#pragma once

#include <stdbool.h>

#include "base/slice.h"

struct hbk_gather {
    const struct hbk_slice *slices;
    size_t count;
    size_t offset; /* into the first */
};

/* Whether there are bytes left; then the first slice has some. */
static inline bool hbk_gather_has_bytes(struct hbk_gather *gather)
{
    while (gather->count > 0 && gather->offset == gather->slices[0].size) {
        gather->slices++;
        gather->count--;
        gather->offset = 0;
    }
    return gather->count > 0;
}

/* Copies up to `size` bytes and returns how many there were. */
static inline size_t hbk_gather_copy(struct hbk_gather *gather, uint8_t *to, size_t size)
{
    size_t taken = 0;
    while (taken < size && hbk_gather_has_bytes(gather)) {
        struct hbk_slice piece = hbk_slice_part(gather->slices[0], gather->offset, size - taken);
        memcpy(to + taken, piece.bytes, piece.size);
        taken += piece.size;
        gather->offset += piece.size;
    }
    return taken;
}

/* The same in one piece, where it lies if it lies together, else copied to `room`. */
static inline struct hbk_slice hbk_gather_take(struct hbk_gather *gather, uint8_t *room,
                                               size_t size)
{
    if (hbk_gather_has_bytes(gather) && gather->slices[0].size - gather->offset >= size) {
        struct hbk_slice piece = hbk_slice_part(gather->slices[0], gather->offset, size);
        gather->offset += size;
        return piece;
    }
    return hbk_slice_of(room, hbk_gather_copy(gather, room, size));
}
