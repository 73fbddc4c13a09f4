/*
 * What all objects of the model have in common: a key, its hash, and a count of holders. Records
 * never change once a mesh that holds them is published.
 *
 * Thread: any thread reads a record as long as a mesh that holds it is alive. Only the control
 * thread refers and releases, so the count is a plain number.
 */
#pragma once

#include <stdint.h>

#include "base/slice.h"
#include "base/status.h"
#include "model/shape.h"

struct hbk_record;

struct hbk_record_kind {
    const char *name; /* for messages: "workload" */
    struct hbk_shape shape;

    /* Completes a fresh copy with what follows from its content. Fails: as it says; may be NULL. */
    hbk_status (*derive)(struct hbk_record *record);

    /* Releases what the record holds outside its own allocation; may be NULL. */
    void (*fini)(struct hbk_record *record);
};

/* The first member of every object. */
struct hbk_record {
    const struct hbk_record_kind *kind;
    uint64_t hash;        /* of the key, under the process key */
    struct hbk_slice key; /* a uid, namespace/name, ... ; unique among its kind */
    uint32_t holders;
};

/*
 * A record of its own with the content of `spec`, whose header needs no more than the key. Owned by
 * the caller as one reference. Fails: HBK_NO_MEMORY, and what the kind's derive() says.
 */
HBK_MUST_USE hbk_status hbk_record_new(const struct hbk_record_kind *kind,
                                       const struct hbk_record *spec,
                                       struct hbk_record **out_record);

/* Adds a holder and returns the record. */
struct hbk_record *hbk_record_ref(const struct hbk_record *record);

/* Takes a holder away and frees the record with the last one; NULL is allowed. */
void hbk_record_unref(struct hbk_record *record);

static inline bool hbk_record_has_key(const struct hbk_record *record, uint64_t hash,
                                      struct hbk_slice key)
{
    return record->hash == hash && hbk_slice_equal(record->key, key);
}
