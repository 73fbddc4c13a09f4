/*
 * Bytes and their number, passed by value. A slice is read, a span is written; both borrow, and the
 * declaration that hands one out says until when. Text in slices is not terminated.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "base/compiler.h"

struct hbk_slice {
    const uint8_t *bytes;
    size_t size;
};

struct hbk_span {
    uint8_t *bytes;
    size_t size;
};

static inline struct hbk_slice hbk_slice_of(const void *bytes, size_t size)
{
    return (struct hbk_slice){.bytes = bytes, .size = size};
}

static inline struct hbk_span hbk_span_of(void *bytes, size_t size)
{
    return (struct hbk_span){.bytes = bytes, .size = size};
}

/* The text up to, and without, its terminating zero. */
static inline struct hbk_slice hbk_slice_text(const char *text)
{
    return hbk_slice_of(text, strlen(text));
}

/* A string literal, measured by the compiler. */
#define HBK_SLICE(literal) hbk_slice_of((literal), sizeof(literal) - 1)

/* For printf's "%.*s". */
#define HBK_SLICE_ARGS(slice) (int)(slice).size, (const char *)(slice).bytes

/* Not in constant time: see hbk_secret_equal for secrets. */
static inline bool hbk_slice_equal(struct hbk_slice a, struct hbk_slice b)
{
    return a.size == b.size && (a.size == 0 || memcmp(a.bytes, b.bytes, a.size) == 0);
}

/* Shorter first among equal beginnings, as memcmp orders. */
static inline int hbk_slice_compare(struct hbk_slice a, struct hbk_slice b)
{
    size_t shared = a.size < b.size ? a.size : b.size;
    int order = shared == 0 ? 0 : memcmp(a.bytes, b.bytes, shared);
    return order != 0 ? order : (a.size > b.size) - (a.size < b.size);
}

bool hbk_slice_starts_with(struct hbk_slice whole, struct hbk_slice beginning);
bool hbk_slice_ends_with(struct hbk_slice whole, struct hbk_slice end);

/* ASCII letters compare without case. */
bool hbk_slice_equal_nocase(struct hbk_slice a, struct hbk_slice b);

/* Finds `byte`; false, and nothing written, if it does not occur. */
bool hbk_slice_find(struct hbk_slice whole, uint8_t byte, size_t *out_index);

/* The part from `start` on, of at most `size` bytes; both are cut to what there is. */
struct hbk_slice hbk_slice_part(struct hbk_slice whole, size_t start, size_t size);

/* Reads a decimal number without sign, of at most `max`; false for anything else. */
HBK_MUST_USE bool hbk_slice_to_u64(struct hbk_slice text, uint64_t max, uint64_t *out_number);

/* Copies to an allocated, terminated string, owned by the caller (free); NULL when out of memory.
 */
HBK_MUST_USE char *hbk_slice_to_string(struct hbk_slice slice);
