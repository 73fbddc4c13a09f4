/*
 * Interned texts. The fields of a party are laid out behind each other with their sizes in front;
 * that is the key: one hash and one comparison, whatever the number of fields. The slices of the
 * party point into its own key.
 *
 *     struct hbk_party | 9 sizes of two bytes | bytes of field 0 | bytes of field 1 | ...
 *
 * Metrics speak of workloads and not of pods, so every party knows its twin without a pod; series
 * are kept per twin.
 */
#include "telemetry/party.h"

#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "base/hash.h"

enum {
    PARTY_FIELDS = sizeof(struct hbk_party_text) / sizeof(struct hbk_slice),
    DESTINATION_FIELDS = sizeof(struct hbk_destination_text) / sizeof(struct hbk_slice),
    KEY_BYTES_MAX = PARTY_FIELDS * (sizeof(uint16_t) + HBK_PARTY_TEXT_BYTES_MAX),
};

struct key {
    size_t size;
    uint8_t bytes[KEY_BYTES_MAX];
};

static void key_make(struct key *key, const struct hbk_slice *fields, size_t count)
{
    key->size = count * sizeof(uint16_t);
    for (size_t i = 0; i < count; i++) {
        struct hbk_slice field = hbk_slice_part(fields[i], 0, HBK_PARTY_TEXT_BYTES_MAX);
        uint16_t size = (uint16_t)field.size;
        memcpy(key->bytes + i * sizeof size, &size, sizeof size);
        if (field.size > 0) {
            memcpy(key->bytes + key->size, field.bytes, field.size);
        }
        key->size += field.size;
    }
}

static bool key_matches(const void *object, const void *wanted)
{
    const struct hbk_texts *texts = object;
    const struct key *key = wanted;
    return texts->key_bytes == key->size && memcmp(texts->key, key->bytes, key->size) == 0;
}

/* A new object of `head_bytes`, which begins with its texts; `fields` lie `fields_at` in it. */
static struct hbk_texts *texts_new(struct hbk_map *map, uint64_t hash, const struct key *key,
                                   size_t count, size_t head_bytes, size_t fields_at)
{
    struct hbk_texts *texts = calloc(1, head_bytes + key->size);
    if (texts == NULL) {
        return NULL;
    }
    texts->hash = hash;
    texts->references = 1;
    texts->field_count = (uint32_t)count;
    texts->key_bytes = (uint32_t)key->size;
    texts->key = (uint8_t *)texts + head_bytes;
    memcpy(texts->key, key->bytes, key->size);

    struct hbk_slice *fields = (struct hbk_slice *)(void *)((uint8_t *)texts + fields_at);
    size_t at = count * sizeof(uint16_t);
    for (size_t i = 0; i < count; i++) {
        uint16_t size;
        memcpy(&size, texts->key + i * sizeof size, sizeof size);
        fields[i] = hbk_slice_of(texts->key + at, size);
        at += size;
    }
    if (hbk_map_add(map, hash, texts) != HBK_OK) {
        free(texts);
        return NULL;
    }
    return texts;
}

/* NULL at the limit or out of memory. */
static struct hbk_texts *texts_get(struct hbk_map *map, const struct hbk_slice *fields,
                                   size_t count, size_t head_bytes, size_t fields_at)
{
    struct key key;
    key_make(&key, fields, count);
    uint64_t hash = hbk_hash(hbk_slice_of(key.bytes, key.size));
    struct hbk_texts *texts = hbk_map_find(map, hash, key_matches, &key);
    if (texts != NULL) {
        texts->references++;
        return texts;
    }
    if (map->count >= HBK_PARTIES_MAX) {
        return NULL;
    }
    return texts_new(map, hash, &key, count, head_bytes, fields_at);
}

static struct hbk_party *party_get(struct hbk_party_table *table, const struct hbk_party_text *text)
{
    struct hbk_texts *texts =
        texts_get(&table->parties, (const struct hbk_slice *)text, PARTY_FIELDS,
                  sizeof(struct hbk_party), offsetof(struct hbk_party, text));
    if (texts == NULL) {
        return NULL;
    }
    struct hbk_party *party = HBK_CONTAINER(texts, struct hbk_party, texts);
    if (party->labels != NULL) {
        return party;
    }
    if (text->pod.size == 0) {
        party->labels = party;
        return party;
    }
    struct hbk_party_text labels = *text;
    labels.pod = hbk_slice_of(NULL, 0);
    party->labels = party_get(table, &labels);
    if (party->labels == NULL) {
        party->labels = hbk_party_ref(table->other);
    }
    return party;
}

static struct hbk_destination *destination_get(struct hbk_party_table *table,
                                               const struct hbk_destination_text *text)
{
    struct hbk_texts *texts =
        texts_get(&table->destinations, (const struct hbk_slice *)text, DESTINATION_FIELDS,
                  sizeof(struct hbk_destination), offsetof(struct hbk_destination, text));
    return texts == NULL ? NULL : HBK_CONTAINER(texts, struct hbk_destination, texts);
}

struct hbk_party *hbk_party_get(struct hbk_party_table *table, const struct hbk_party_text *text)
{
    struct hbk_party *party = text == NULL ? hbk_party_ref(table->nobody) : party_get(table, text);
    if (party == NULL) {
        table->folded++;
        return hbk_party_ref(table->other);
    }
    return party;
}

struct hbk_destination *hbk_destination_get(struct hbk_party_table *table,
                                            const struct hbk_destination_text *text)
{
    struct hbk_destination *destination =
        text == NULL ? hbk_destination_ref(table->none) : destination_get(table, text);
    if (destination == NULL) {
        table->folded++;
        return hbk_destination_ref(table->other_destination);
    }
    return destination;
}

void hbk_party_unref(struct hbk_party_table *table, struct hbk_party *party)
{
    if (party == NULL || --party->texts.references > 0) {
        return;
    }
    bool was_there = hbk_map_remove(&table->parties, party->texts.hash, party);
    HBK_ASSERT(was_there);
    if (party->labels != party) {
        hbk_party_unref(table, party->labels);
    }
    free(party);
}

void hbk_destination_unref(struct hbk_party_table *table, struct hbk_destination *destination)
{
    if (destination == NULL || --destination->texts.references > 0) {
        return;
    }
    bool was_there = hbk_map_remove(&table->destinations, destination->texts.hash, destination);
    HBK_ASSERT(was_there);
    free(destination);
}

static void release_fixed(struct hbk_party_table *table)
{
    hbk_party_unref(table, table->other);
    hbk_party_unref(table, table->nobody);
    hbk_destination_unref(table, table->other_destination);
    hbk_destination_unref(table, table->none);
}

hbk_status hbk_party_table_init(struct hbk_party_table *table)
{
    *table = (struct hbk_party_table){0};
    hbk_map_init(&table->parties);
    hbk_map_init(&table->destinations);

    struct hbk_party_text party = {0};
    table->nobody = party_get(table, &party);
    struct hbk_slice *fields = (struct hbk_slice *)&party;
    for (size_t i = 1; i < PARTY_FIELDS; i++) { /* without a pod, so that it is its own twin */
        fields[i] = HBK_SLICE("other");
    }
    table->other = party_get(table, &party);

    struct hbk_destination_text destination = {0};
    table->none = destination_get(table, &destination);
    destination.name = destination.namespace = destination.host = HBK_SLICE("other");
    table->other_destination = destination_get(table, &destination);

    if (table->nobody == NULL || table->other == NULL || table->none == NULL ||
        table->other_destination == NULL) {
        release_fixed(table);
        hbk_map_fini(&table->parties);
        hbk_map_fini(&table->destinations);
        return HBK_NO_MEMORY;
    }
    return HBK_OK;
}

void hbk_party_table_fini(struct hbk_party_table *table)
{
    release_fixed(table);
    HBK_ASSERT(table->parties.count == 0 && table->destinations.count == 0);
    hbk_map_fini(&table->parties);
    hbk_map_fini(&table->destinations);
}
