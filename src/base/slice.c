#include "base/slice.h"

#include <stdlib.h>

bool hbk_slice_starts_with(struct hbk_slice whole, struct hbk_slice beginning)
{
    return whole.size >= beginning.size &&
           hbk_slice_equal(hbk_slice_of(whole.bytes, beginning.size), beginning);
}

bool hbk_slice_ends_with(struct hbk_slice whole, struct hbk_slice end)
{
    return whole.size >= end.size &&
           hbk_slice_equal(hbk_slice_part(whole, whole.size - end.size, end.size), end);
}

static uint8_t lower(uint8_t byte)
{
    return byte >= 'A' && byte <= 'Z' ? (uint8_t)(byte + ('a' - 'A')) : byte;
}

bool hbk_slice_equal_nocase(struct hbk_slice a, struct hbk_slice b)
{
    if (a.size != b.size) {
        return false;
    }
    for (size_t i = 0; i < a.size; i++) {
        if (lower(a.bytes[i]) != lower(b.bytes[i])) {
            return false;
        }
    }
    return true;
}

bool hbk_slice_find(struct hbk_slice whole, uint8_t byte, size_t *out_index)
{
    if (whole.size == 0) {
        return false;
    }
    const uint8_t *found = memchr(whole.bytes, byte, whole.size);
    if (found == NULL) {
        return false;
    }
    *out_index = (size_t)(found - whole.bytes);
    return true;
}

struct hbk_slice hbk_slice_part(struct hbk_slice whole, size_t start, size_t size)
{
    if (start >= whole.size) {
        return hbk_slice_of(NULL, 0);
    }
    size_t left = whole.size - start;
    return hbk_slice_of(whole.bytes + start, size < left ? size : left);
}

bool hbk_slice_to_u64(struct hbk_slice text, uint64_t max, uint64_t *out_number)
{
    if (text.size == 0) {
        return false;
    }
    uint64_t number = 0;
    for (size_t i = 0; i < text.size; i++) {
        if (text.bytes[i] < '0' || text.bytes[i] > '9' ||
            __builtin_mul_overflow(number, 10, &number) ||
            __builtin_add_overflow(number, (uint64_t)(text.bytes[i] - '0'), &number)) {
            return false;
        }
    }
    if (number > max) {
        return false;
    }
    *out_number = number;
    return true;
}

char *hbk_slice_to_string(struct hbk_slice slice)
{
    char *string = malloc(slice.size + 1);
    if (string == NULL) {
        return NULL;
    }
    if (slice.size > 0) {
        memcpy(string, slice.bytes, slice.size);
    }
    string[slice.size] = '\0';
    return string;
}
