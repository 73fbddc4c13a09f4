/*
 * The expanded keys of one worker's records: 1.1 KiB each with AES-GCM, made from 16 or 32 bytes in
 * a quarter of a microsecond. So no connection keeps its own. A bounded number of places is shared
 * by all directions of all connections; who has not sealed or opened for a while loses its place
 * to who does (the clock algorithm), and makes the key anew when it speaks again. An idle
 * connection holds nothing, whatever went on before.
 *
 * Secret: a place is wiped when its key is taken out. One thread.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/status.h"
#include "crypto/aead.h"

enum {
    HBK_EXPANDED_KEYS_MAX = 256,
    HBK_EXPANDED_KEY_NONE = UINT16_MAX, /* a number that no place has */
};

struct hbk_expanded_key {
    struct hbk_aead_key aead;
    const void *user; /* whose key it is; NULL: nobody's */
    struct hbk_expanded_key *next_free;
    uint16_t number;
};

/* Valid when zeroed; places are made as they are needed. */
struct hbk_expanded_keys {
    struct hbk_expanded_key *places[HBK_EXPANDED_KEYS_MAX]; /* owned */
    bool is_recent[HBK_EXPANDED_KEYS_MAX];                  /* used since the hand came by */
    struct hbk_expanded_key *free;
    uint32_t count;
    uint32_t hand;
};

void hbk_expanded_keys_fini(struct hbk_expanded_keys *keys); /* wipes */

/*
 * Expands the user's key into a place, the user's until another one takes it. NULL when memory is
 * short. The user remembers the place's number, at first HBK_EXPANDED_KEY_NONE.
 */
HBK_MUST_USE struct hbk_expanded_key *hbk_expanded_keys_take(struct hbk_expanded_keys *keys,
                                                             const void *user, enum hbk_aead aead,
                                                             const uint8_t *secret_key);

/* The place that the user took, if it still is the user's, and counts it as used; or NULL. */
static inline struct hbk_expanded_key *hbk_expanded_keys_find(struct hbk_expanded_keys *keys,
                                                              uint16_t number, const void *user)
{
    if (number >= HBK_EXPANDED_KEYS_MAX || keys->places[number]->user != user) {
        return NULL;
    }
    keys->is_recent[number] = true;
    return keys->places[number];
}

/* Wipes the place if it still is the user's. */
void hbk_expanded_keys_drop(struct hbk_expanded_keys *keys, uint16_t number, const void *user);
