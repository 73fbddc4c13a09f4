/*
 * What metrics and log lines say about one end of a connection, kept once per thread however many
 * connections share it. A connection holds counted pointers to parties and so never keeps an old
 * snapshot of the mesh alive.
 *
 * One table belongs to one thread; parties are not shared between threads.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/map.h"
#include "base/slice.h"

enum {
    HBK_PARTY_TEXT_BYTES_MAX = 512, /* of one text; a longer one is cut */
    HBK_PARTIES_MAX = 1 << 16,      /* per table; beyond it everybody is the party "other" */
};

/* One workload. Empty: not known. Slices alone, since they are also walked as an array. */
struct hbk_party_text {
    struct hbk_slice pod;      /* its own name, for log lines only: metrics are per workload */
    struct hbk_slice workload; /* what the pod belongs to, such as a deployment */
    struct hbk_slice canonical_service;
    struct hbk_slice canonical_revision;
    struct hbk_slice namespace;
    struct hbk_slice principal; /* a SPIFFE id, when mutual TLS proved it */
    struct hbk_slice cluster;
    struct hbk_slice region; /* of its locality */
    struct hbk_slice zone;
};

/* The service that a connection was meant for. */
struct hbk_destination_text {
    struct hbk_slice name;
    struct hbk_slice namespace;
    struct hbk_slice host;
};

/* The part that both share: texts that lie once in their table. Private to the room. */
struct hbk_texts {
    uint64_t hash;
    uint32_t references;
    uint32_t field_count;
    uint32_t key_bytes;   /* size of `key` */
    uint32_t copied_in;   /* number of the copy that holds these texts already */
    uint32_t copy_offset; /* where in that copy */
    uint8_t *key;         /* sizes and bytes of all fields, behind the struct */
};

struct hbk_party {
    struct hbk_texts texts;
    struct hbk_party *labels;   /* the same without its pod, counted; itself if it has no pod */
    struct hbk_party_text text; /* lies in the party; read only */
};

struct hbk_destination {
    struct hbk_texts texts;
    struct hbk_destination_text text; /* lies in the destination; read only */
};

struct hbk_party_table {
    struct hbk_map parties;
    struct hbk_map destinations;
    struct hbk_party *other;                   /* owned: stands for all beyond the limit */
    struct hbk_destination *other_destination; /* owned */
    struct hbk_party *nobody;                  /* owned: nothing is known */
    struct hbk_destination *none;              /* owned: no service was meant */
    uint64_t folded;                           /* answers "other" given */
};

/* Fails: HBK_NO_MEMORY. */
HBK_MUST_USE hbk_status hbk_party_table_init(struct hbk_party_table *table);

/* Every party and destination must have been given back. */
void hbk_party_table_fini(struct hbk_party_table *table);

/*
 * The party with these texts, which borrow only during the call; the caller owns one reference.
 * Never fails: at HBK_PARTIES_MAX or out of memory it is the party whose texts are all "other".
 * NULL for `text` is the party of which nothing is known.
 */
HBK_MUST_USE struct hbk_party *hbk_party_get(struct hbk_party_table *table,
                                             const struct hbk_party_text *text);
HBK_MUST_USE struct hbk_destination *hbk_destination_get(struct hbk_party_table *table,
                                                         const struct hbk_destination_text *text);

/* One reference more, for another holder on the same thread. */
static inline struct hbk_party *hbk_party_ref(struct hbk_party *party)
{
    party->texts.references++;
    return party;
}

static inline struct hbk_destination *hbk_destination_ref(struct hbk_destination *destination)
{
    destination->texts.references++;
    return destination;
}

/* Gives one reference back; the last one frees. NULL is allowed. */
void hbk_party_unref(struct hbk_party_table *table, struct hbk_party *party);
void hbk_destination_unref(struct hbk_party_table *table, struct hbk_destination *destination);
