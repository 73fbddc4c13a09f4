/*
 * Changes of groups, collected while an edit runs and applied together, so that a group of fifty
 * thousand is built once and not fifty thousand times. Control thread only.
 */
#pragma once

#include <stdbool.h>

#include "base/arena.h"
#include "model/mesh.h"

struct hbk_change {
    enum hbk_mesh_part part;
    bool is_add;
    uint64_t hash;
    struct hbk_slice key;      /* lives as long as the list's arena or the record */
    struct hbk_record *record; /* held; NULL when only the key matters */
};

struct hbk_change_list {
    struct hbk_change *changes; /* owned */
    size_t count;
    size_t capacity;
    struct hbk_arena arena; /* for keys that no record has */
};

void hbk_change_list_init(struct hbk_change_list *list);
void hbk_change_list_fini(struct hbk_change_list *list);

/* Notes that `record` joins or leaves the group with that key. Fails: HBK_NO_MEMORY. */
HBK_MUST_USE hbk_status hbk_change_list_add(struct hbk_change_list *list, enum hbk_mesh_part part,
                                            struct hbk_slice key, struct hbk_record *record,
                                            bool is_add);

/* The same with a key that the list copies. */
HBK_MUST_USE hbk_status hbk_change_list_add_copy(struct hbk_change_list *list,
                                                 enum hbk_mesh_part part, struct hbk_slice key,
                                                 struct hbk_record *record, bool is_add);

/* Notes every group that the record is in. Fails: HBK_LIMIT (a name is too long), HBK_NO_MEMORY. */
HBK_MUST_USE hbk_status hbk_change_list_add_addresses(struct hbk_change_list *list,
                                                      struct hbk_workload *workload, bool is_add);
HBK_MUST_USE hbk_status hbk_change_list_add_memberships(struct hbk_change_list *list,
                                                        struct hbk_workload *workload, bool is_add);
HBK_MUST_USE hbk_status hbk_change_list_add_service(struct hbk_change_list *list,
                                                    struct hbk_service *service, bool is_add);
HBK_MUST_USE hbk_status hbk_change_list_add_policy(struct hbk_change_list *list,
                                                   struct hbk_policy *policy, bool is_add);
HBK_MUST_USE hbk_status hbk_change_list_add_peer_authentication(
    struct hbk_change_list *list, struct hbk_peer_authentication *settings, bool is_add);

/* Sorts the changes: those of one group are neighbours then. */
void hbk_change_list_sort(struct hbk_change_list *list);

/* The end of the run of changes that concern the same group as the one at `start`; sorted only. */
size_t hbk_change_list_run(const struct hbk_change_list *list, size_t start);

/* Sorts the list and applies it to the groups of the mesh. Fails: HBK_NO_MEMORY. */
HBK_MUST_USE hbk_status hbk_change_list_apply(struct hbk_change_list *list, struct hbk_mesh *mesh);
