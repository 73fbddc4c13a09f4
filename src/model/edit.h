/*
 * An edit makes a new mesh out of an old one: records are put and removed, then the edit is
 * committed or dropped. Records with unchanged content are kept, and so is every part of the index
 * that leads only to such records. Control thread only.
 */
#pragma once

#include "base/map.h"
#include "model/change.h"
#include "model/mesh.h"

struct hbk_edit {
    struct hbk_mesh *mesh;                         /* owned until the commit: the new one */
    struct hbk_map touched[HBK_MESH_LISTED_PARTS]; /* held records that were put, kept or not */
    struct hbk_change_list members;                /* changes of HBK_MESH_MEMBERS */
    struct hbk_change_list groups;                 /* changes of the other groups */
    struct hbk_change_list stale;                  /* keys of services that need a new table */
};

/* Starts from `old`, or from nothing when it is NULL. Fails: HBK_NO_MEMORY. */
HBK_MUST_USE hbk_status hbk_edit_begin(struct hbk_edit *edit, const struct hbk_mesh *old);

/*
 * Adds the record that `spec` describes or replaces the one with the same key. Texts and arrays of
 * `spec` are copied. The spec must be zeroed before it is filled in.
 * Fails: HBK_EXISTS (the key was put already in this edit), HBK_LIMIT (a text or list is longer
 * than the model's limits), HBK_INVALID (an identity that is none), HBK_NO_MEMORY; the edit can
 * then be dropped or, except for HBK_NO_MEMORY, go on.
 */
HBK_MUST_USE hbk_status hbk_edit_put_workload(struct hbk_edit *edit,
                                              const struct hbk_workload *spec);
HBK_MUST_USE hbk_status hbk_edit_put_service(struct hbk_edit *edit, const struct hbk_service *spec);
HBK_MUST_USE hbk_status hbk_edit_put_policy(struct hbk_edit *edit, const struct hbk_policy *spec);
HBK_MUST_USE hbk_status
hbk_edit_put_peer_authentication(struct hbk_edit *edit, const struct hbk_peer_authentication *spec);
HBK_MUST_USE hbk_status hbk_edit_put_pod(struct hbk_edit *edit, const struct hbk_pod *spec);
HBK_MUST_USE hbk_status hbk_edit_put_plain_text(struct hbk_edit *edit,
                                                const struct hbk_plain_text *spec);

/* Chooses what new connections speak TLS with; the old mesh's choice stays without. */
void hbk_edit_set_tls_engine(struct hbk_edit *edit, enum hbk_mesh_tls_engine engine);

/* Removes the record with that key from a listed part; nothing happens when there is none. */
HBK_MUST_USE hbk_status hbk_edit_remove(struct hbk_edit *edit, enum hbk_mesh_part part,
                                        struct hbk_slice key);

/* Removes every record that was not put in this edit: for a source that always says everything. */
HBK_MUST_USE hbk_status hbk_edit_remove_untouched(struct hbk_edit *edit);

/*
 * Completes the new mesh and hands it out with one holder. Whatever the result, the edit is over.
 * Fails: HBK_NO_MEMORY.
 */
HBK_MUST_USE hbk_status hbk_edit_commit(struct hbk_edit *edit, struct hbk_mesh **out_mesh);

/* Gives up; the old mesh is as it was. */
void hbk_edit_drop(struct hbk_edit *edit);
