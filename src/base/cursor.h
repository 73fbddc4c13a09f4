/*
 * Reads numbers and parts in network order from a slice, never beyond its end. The first read that
 * does not fit marks the cursor failed; later reads give zeros, so a parser can check once.
 */
#pragma once

#include "base/slice.h"

struct hbk_cursor {
    struct hbk_slice left;
    bool has_failed;
};

static inline struct hbk_cursor hbk_cursor_of(struct hbk_slice slice)
{
    return (struct hbk_cursor){.left = slice};
}

/* Takes `size` bytes; an empty slice once failed. Borrowed as the slice below the cursor. */
static inline struct hbk_slice hbk_cursor_take(struct hbk_cursor *cursor, size_t size)
{
    if (cursor->has_failed || size > cursor->left.size) {
        cursor->has_failed = true;
        return hbk_slice_of(NULL, 0);
    }
    struct hbk_slice taken = hbk_slice_of(cursor->left.bytes, size);
    cursor->left = hbk_slice_part(cursor->left, size, cursor->left.size);
    return taken;
}

/* A number of 1 to 8 bytes, most significant first. */
static inline uint64_t hbk_cursor_number(struct hbk_cursor *cursor, size_t size)
{
    struct hbk_slice bytes = hbk_cursor_take(cursor, size);
    uint64_t number = 0;
    for (size_t i = 0; i < bytes.size; i++) {
        number = number << 8 | bytes.bytes[i];
    }
    return number;
}

/* What follows its own length of 1 to 8 bytes; an empty slice once failed. */
static inline struct hbk_slice hbk_cursor_prefixed(struct hbk_cursor *cursor, size_t length_bytes)
{
    uint64_t size = hbk_cursor_number(cursor, length_bytes);
    return hbk_cursor_take(cursor, size);
}

/* Whether everything was read, and nothing beyond. */
static inline bool hbk_cursor_is_done(const struct hbk_cursor *cursor)
{
    return !cursor->has_failed && cursor->left.size == 0;
}
