/*
 * Writes numbers and bytes in network order into a span, with the lengths that stand before what
 * they measure. The counterpart of base/cursor.h; any thread.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/slice.h"

/* Never writes beyond the span; the first that does not fit marks it failed, so that a writer of a
 * whole message checks once. Zeroed with a room it is empty. */
struct hbk_writer {
    struct hbk_span room; /* borrowed from the caller while it is written to */
    size_t used;
    bool has_failed;
};

static inline struct hbk_writer hbk_writer_of(struct hbk_span room)
{
    return (struct hbk_writer){.room = room};
}

/* What was written; borrowed from the room. Empty if something did not fit. */
static inline struct hbk_slice hbk_writer_written(const struct hbk_writer *writer)
{
    return hbk_slice_of(writer->room.bytes, writer->has_failed ? 0 : writer->used);
}

void hbk_writer_put(struct hbk_writer *writer, struct hbk_slice bytes);

/* The number in 1 to 8 bytes, most significant first. One that needs more does not fit. */
void hbk_writer_number(struct hbk_writer *writer, uint64_t number, size_t bytes);

/* Leaves room for a length of `length_bytes` (1 to 3); the mark is for hbk_writer_close(), which
 * writes how much stands behind it there, and fails if that needs more bytes. They nest. */
size_t hbk_writer_open(struct hbk_writer *writer, size_t length_bytes);
void hbk_writer_close(struct hbk_writer *writer, size_t mark, size_t length_bytes);

/* Bytes behind their length. */
void hbk_writer_prefixed(struct hbk_writer *writer, struct hbk_slice bytes, size_t length_bytes);
