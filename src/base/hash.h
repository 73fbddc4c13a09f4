/*
 * SipHash-2-4 (Aumasson and Bernstein, 2012) under a key drawn once per process, for tables whose
 * keys a stranger can choose. Not for messages that need authentication.
 */
#pragma once

#include <stdint.h>

#include "base/slice.h"

struct hbk_hash_key {
    uint64_t words[2];
};

/* The function itself, under a given key: for tests against the published vectors. Any thread. */
uint64_t hbk_hash_with_key(const struct hbk_hash_key *key, struct hbk_slice slice);

/* Under the process key, drawn from the kernel at the first call. Any thread. */
uint64_t hbk_hash(struct hbk_slice slice);

/* Joins two hashes into one whose order matters. */
static inline uint64_t hbk_hash_join(uint64_t first, uint64_t second)
{
    return (first ^ (second + UINT64_C(0x9e3779b97f4a7c15) + (first << 6) + (first >> 2))) *
           UINT64_C(0xff51afd7ed558ccd);
}
