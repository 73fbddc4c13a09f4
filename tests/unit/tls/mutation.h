/* Handshake messages, changed by a seeded generator: most stay well formed outside, so that what is
 * inside is judged. The same seed makes the same change of messages of the same layout. */
#pragma once

#include "harness.h"

enum { MUTATION_BYTES_MAX = 8 << 10 };

struct mutation {
    uint64_t state;
    size_t size; /* of the message, header included */
    uint8_t bytes[MUTATION_BYTES_MAX];
    char what[64]; /* was done, for a person */
};

/* SplitMix64. */
static inline uint64_t mutation_draw(struct mutation *mutation)
{
    uint64_t z = (mutation->state += UINT64_C(0x9e3779b97f4a7c15));
    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return z ^ (z >> 31);
}

static inline size_t mutation_below(struct mutation *mutation, size_t limit)
{
    return limit == 0 ? 0 : (size_t)(mutation_draw(mutation) % limit);
}

/* What a byte is changed by: never nothing, so that random bytes are changed, too. */
static inline uint8_t mutation_mask(struct mutation *mutation)
{
    static const uint8_t masks[] = {0x01, 0x02, 0x03, 0x04, 0x10, 0x7f, 0x80, 0xff};
    return masks[mutation_below(mutation, sizeof masks)];
}

static inline size_t mutation_number(const uint8_t *at)
{
    return (size_t)at[0] << 8 | at[1];
}

static inline void mutation_put_number(uint8_t *at, size_t number)
{
    at[0] = (uint8_t)(number >> 8);
    at[1] = (uint8_t)number;
}

/* The length in the header follows the bytes. */
static inline void mutation_fix_header(struct mutation *mutation)
{
    size_t body = mutation->size - 4;
    mutation->bytes[1] = (uint8_t)(body >> 16);
    mutation->bytes[2] = (uint8_t)(body >> 8);
    mutation->bytes[3] = (uint8_t)body;
}

static inline void mutation_cut(struct mutation *mutation, size_t at, size_t size)
{
    size = size > mutation->size - at ? mutation->size - at : size;
    memmove(mutation->bytes + at, mutation->bytes + at + size, mutation->size - at - size);
    mutation->size -= size;
}

static inline void mutation_open_gap(struct mutation *mutation, size_t at, size_t size)
{
    assert_true(mutation->size + size <= sizeof mutation->bytes);
    memmove(mutation->bytes + at + size, mutation->bytes + at, mutation->size - at);
    mutation->size += size;
}

/* Where the block of extensions of a hello or of EncryptedExtensions begins, with its length; 0:
 * the message has none, or is out of order. */
static inline size_t mutation_extensions(const struct mutation *mutation)
{
    const uint8_t *bytes = mutation->bytes;
    size_t at = 4;
    if (bytes[0] == 8) {
        return at;
    }
    if (bytes[0] != 1 && bytes[0] != 2) {
        return 0;
    }
    at += 2 + 32;
    at += at < mutation->size ? 1u + bytes[at] : 0u;
    if (bytes[0] == 2) {
        at += 3;
    } else {
        at += at + 2 <= mutation->size ? 2 + mutation_number(bytes + at) : 0;
        at += at < mutation->size ? 1u + bytes[at] : 0u;
    }
    return at + 2 <= mutation->size ? at : 0;
}

/* Picks an extension; false: there is none. */
static inline bool mutation_pick(struct mutation *mutation, size_t block, size_t *out_at,
                                 size_t *out_size)
{
    size_t found[64];
    size_t count = 0;
    size_t at = block + 2;
    while (at + 4 <= mutation->size && count < HBK_COUNT(found)) {
        found[count++] = at;
        at += 4 + mutation_number(mutation->bytes + at + 2);
    }
    if (count == 0) {
        return false;
    }
    *out_at = found[mutation_below(mutation, count)];
    *out_size = 4 + mutation_number(mutation->bytes + *out_at + 2);
    return *out_at + *out_size <= mutation->size;
}

/* Drops, doubles, renames, empties, lengthens, shortens or changes one extension; lengths around it
 * fit. */
static inline bool mutation_change_extension(struct mutation *mutation)
{
    static const uint16_t types[] = {0,  1,  5,  10, 13, 16, 18, 21, 27, 28,     35,     41,
                                     42, 43, 44, 45, 47, 49, 50, 51, 57, 0x0a0a, 0xff01, 0xffff};
    size_t block = mutation_extensions(mutation);
    size_t at = 0;
    size_t size = 0;
    if (block == 0 || !mutation_pick(mutation, block, &at, &size)) {
        return false;
    }
    size_t type = mutation_number(mutation->bytes + at);
    const char *how = "";
    size_t body = size - 4;
    size_t some = body == 0 ? 0 : 1 + mutation_below(mutation, body);
    switch (mutation_below(mutation, 8)) {
    case 0:
        how = "dropped";
        mutation_cut(mutation, at, size);
        break;
    case 1: {
        how = "doubled";
        mutation_open_gap(mutation, at, size);
        memcpy(mutation->bytes + at, mutation->bytes + at + size, size);
        break;
    }
    case 2:
        how = "renamed";
        mutation_put_number(mutation->bytes + at,
                            types[mutation_below(mutation, HBK_COUNT(types))]);
        break;
    case 3:
        how = "emptied";
        mutation_cut(mutation, at + 4, body);
        mutation_put_number(mutation->bytes + at + 2, 0);
        break;
    case 4:
        how = "lengthened";
        mutation_open_gap(mutation, at + size, 1);
        mutation->bytes[at + size] = (uint8_t)mutation_draw(mutation);
        mutation_put_number(mutation->bytes + at + 2, body + 1);
        break;
    case 5:
        how = "shortened";
        mutation_cut(mutation, at + size - some, some);
        mutation_put_number(mutation->bytes + at + 2, body - some);
        break;
    case 6:
        how = "changed";
        if (some > 0) {
            mutation->bytes[at + 4 + some - 1] ^= mutation_mask(mutation);
        }
        break;
    default:
        how = "put last";
        mutation_open_gap(mutation, mutation->size, size);
        memcpy(mutation->bytes + mutation->size - size, mutation->bytes + at, size);
        mutation_cut(mutation, at, size);
        break;
    }
    mutation_put_number(mutation->bytes + block, mutation->size - block - 2);
    (void)snprintf(mutation->what, sizeof mutation->what, "extension %zu %s", type, how);
    return true;
}

static inline void mutation_change_bytes(struct mutation *mutation)
{
    /* Signatures of one key differ by a byte or two: the place must not depend on that. */
    size_t body = mutation->size - 4;
    size_t at = 4 + mutation_below(mutation, body > 8 ? body / 8 * 8 : body);
    size_t some = 1 + mutation_below(mutation, 8);
    const char *how = "";
    switch (mutation_below(mutation, 6)) {
    case 0:
        how = "bit flipped";
        mutation->bytes[at] ^= (uint8_t)(1u << mutation_below(mutation, 8));
        break;
    case 1:
        how = "byte changed";
        mutation->bytes[at] ^= mutation_mask(mutation);
        break;
    case 2:
        how = "cut";
        mutation_cut(mutation, at, some);
        break;
    case 3:
        how = "filled in";
        mutation_open_gap(mutation, at, some);
        memset(mutation->bytes + at, (int)mutation_draw(mutation), some);
        break;
    case 4:
        how = "ended";
        mutation->size = at;
        break;
    default:
        how = "bytes behind the end";
        at = mutation->size;
        mutation_open_gap(mutation, at, some);
        memset(mutation->bytes + at, 0, some);
        break;
    }
    (void)snprintf(mutation->what, sizeof mutation->what, "%s at %zu", how, at);
}

/* Changes a message once by that seed. */
static inline void mutation_make(struct mutation *mutation, struct hbk_slice message, uint64_t seed)
{
    assert_true(message.size >= 5 && message.size <= sizeof mutation->bytes / 2);
    mutation->state = seed;
    mutation->size = message.size;
    memcpy(mutation->bytes, message.bytes, message.size);
    if (mutation_below(mutation, 2) == 0 || !mutation_change_extension(mutation)) {
        mutation_change_bytes(mutation);
    }
    mutation_fix_header(mutation);
}
