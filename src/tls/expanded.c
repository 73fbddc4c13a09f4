#include "tls/expanded.h"

#include <stdlib.h>

static struct hbk_expanded_key *grow(struct hbk_expanded_keys *keys)
{
    struct hbk_expanded_key *place =
        aligned_alloc(_Alignof(struct hbk_expanded_key), sizeof *place);
    if (place != NULL) {
        place->user = NULL;
        place->number = (uint16_t)keys->count;
        keys->places[keys->count++] = place;
    }
    return place;
}

/* The next place that nobody has used since the hand came by last: at most one round, since each
 * place loses its mark as the hand passes. */
static struct hbk_expanded_key *evict(struct hbk_expanded_keys *keys)
{
    while (keys->is_recent[keys->hand]) {
        keys->is_recent[keys->hand] = false;
        keys->hand = (keys->hand + 1) % keys->count;
    }
    struct hbk_expanded_key *place = keys->places[keys->hand];
    keys->hand = (keys->hand + 1) % keys->count;
    hbk_aead_key_fini(&place->aead);
    place->user = NULL;
    return place;
}

static struct hbk_expanded_key *find(struct hbk_expanded_keys *keys)
{
    struct hbk_expanded_key *place = keys->free;
    if (place != NULL) {
        keys->free = place->next_free;
        return place;
    }
    if (keys->count < HBK_EXPANDED_KEYS_MAX && (place = grow(keys)) != NULL) {
        return place;
    }
    return keys->count > 0 ? evict(keys) : NULL;
}

static void put_back(struct hbk_expanded_keys *keys, struct hbk_expanded_key *place)
{
    place->user = NULL;
    place->next_free = keys->free;
    keys->free = place;
}

struct hbk_expanded_key *hbk_expanded_keys_take(struct hbk_expanded_keys *keys, const void *user,
                                                enum hbk_aead aead, const uint8_t *secret_key)
{
    struct hbk_expanded_key *place = find(keys);
    if (place == NULL) {
        return NULL;
    }
    if (hbk_aead_key_init(&place->aead, aead, hbk_aead_best_backend(aead), secret_key) != HBK_OK) {
        put_back(keys, place);
        return NULL;
    }
    place->user = user;
    keys->is_recent[place->number] = true;
    return place;
}

void hbk_expanded_keys_drop(struct hbk_expanded_keys *keys, uint16_t number, const void *user)
{
    struct hbk_expanded_key *place = hbk_expanded_keys_find(keys, number, user);
    if (place != NULL) {
        hbk_aead_key_fini(&place->aead);
        put_back(keys, place);
    }
}

void hbk_expanded_keys_fini(struct hbk_expanded_keys *keys)
{
    for (uint32_t i = 0; i < keys->count; i++) {
        if (keys->places[i]->user != NULL) {
            hbk_aead_key_fini(&keys->places[i]->aead);
        }
        free(keys->places[i]);
    }
    *keys = (struct hbk_expanded_keys){0};
}
