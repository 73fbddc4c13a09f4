/*
 * An edit works on a mesh of its own that shares every node with the old one and parts from it as
 * records change. Records are put at once. Groups wait for the commit, which goes up the house:
 *
 *   1. members: which workloads say that they serve which service;
 *   2. services: new ones and those whose members changed get a table of endpoints;
 *   3. all other groups, which may lead to services.
 */
#include "model/edit.h"

#include "base/hash.h"
#include "model/endpoint.h"
#include "model/memory.h"

hbk_status hbk_edit_begin(struct hbk_edit *edit, const struct hbk_mesh *old)
{
    struct hbk_mesh *mesh = hbk_model_take(sizeof *mesh);
    if (mesh == NULL) {
        return HBK_NO_MEMORY;
    }
    mesh->holders = 1;
    mesh->generation = old == NULL ? 1 : old->generation + 1;
    mesh->tls_engine = old == NULL ? HBK_MESH_TLS_DEFAULT : old->tls_engine;
    for (int part = 0; old != NULL && part < HBK_MESH_PARTS; part++) {
        hbk_trie_copy(&mesh->parts[part], &old->parts[part]);
    }
    if (old != NULL) {
        memcpy(mesh->blocks, old->blocks, sizeof mesh->blocks);
    }
    *edit = (struct hbk_edit){.mesh = mesh};
    for (int part = 0; part < HBK_MESH_LISTED_PARTS; part++) {
        hbk_map_init(&edit->touched[part]);
    }
    hbk_change_list_init(&edit->members);
    hbk_change_list_init(&edit->groups);
    hbk_change_list_init(&edit->stale);
    return HBK_OK;
}

static void forget_touched(struct hbk_map *touched)
{
    size_t cursor = 0;
    struct hbk_record *record;
    while ((record = hbk_map_next(touched, &cursor)) != NULL) {
        hbk_record_unref(record);
    }
    hbk_map_fini(touched);
}

/* Gives up everything but the mesh. */
static void finish(struct hbk_edit *edit)
{
    for (int part = 0; part < HBK_MESH_LISTED_PARTS; part++) {
        forget_touched(&edit->touched[part]);
    }
    hbk_change_list_fini(&edit->members);
    hbk_change_list_fini(&edit->groups);
    hbk_change_list_fini(&edit->stale);
    edit->mesh = NULL;
}

void hbk_edit_drop(struct hbk_edit *edit)
{
    struct hbk_mesh *mesh = edit->mesh;
    finish(edit);
    hbk_mesh_unref(mesh);
}

static bool has_key(const void *object, const void *key)
{
    return hbk_slice_equal(((const struct hbk_record *)object)->key,
                           *(const struct hbk_slice *)key);
}

static bool is_touched(const struct hbk_edit *edit, enum hbk_mesh_part part, uint64_t hash,
                       struct hbk_slice key)
{
    return hbk_map_find(&edit->touched[part], hash, has_key, &key) != NULL;
}

static hbk_status touch(struct hbk_edit *edit, enum hbk_mesh_part part, struct hbk_record *record)
{
    HBK_TRY(hbk_map_add(&edit->touched[part], record->hash, record));
    (void)hbk_record_ref(record);
    return HBK_OK;
}

/* Services that list a workload themselves need a new table when it changes. */
static hbk_status mark_listing_services(struct hbk_edit *edit, const struct hbk_record *workload)
{
    const struct hbk_group *listing = (const struct hbk_group *)hbk_trie_find(
        &edit->mesh->parts[HBK_MESH_SERVICES_BY_LISTED], workload->hash, workload->key);
    for (uint32_t i = 0; listing != NULL && i < listing->count; i++) {
        HBK_TRY(hbk_change_list_add(&edit->stale, HBK_MESH_SERVICES, listing->members[i]->key,
                                    listing->members[i], true));
    }
    return HBK_OK;
}

static hbk_status note_workload(struct hbk_edit *edit, struct hbk_workload *workload, bool is_add)
{
    HBK_TRY(mark_listing_services(edit, &workload->record));
    HBK_TRY(hbk_change_list_add_memberships(&edit->members, workload, is_add));
    return hbk_change_list_add_addresses(&edit->groups, workload, is_add);
}

static void count_blocks(struct hbk_mesh *mesh, const struct hbk_service *service, bool is_add)
{
    for (uint32_t i = 0; i < service->vip_count; i++) {
        const struct hbk_vip *vip = &service->vips[i];
        if (vip->is_block) {
            mesh->blocks[vip->cidr.ip.size == 16][vip->cidr.prefix_bits] += is_add ? 1U : -1U;
        }
    }
}

static hbk_status note_service(struct hbk_edit *edit, struct hbk_service *service, bool is_add)
{
    count_blocks(edit->mesh, service, is_add);
    HBK_TRY(hbk_change_list_add(&edit->stale, HBK_MESH_SERVICES, service->record.key,
                                &service->record, true));
    return hbk_change_list_add_service(&edit->groups, service, is_add);
}

/* Notes the groups that a record joins or leaves. */
static hbk_status note(struct hbk_edit *edit, enum hbk_mesh_part part, struct hbk_record *record,
                       bool is_add)
{
    switch ((int)part) {
    case HBK_MESH_WORKLOADS:
        return note_workload(edit, (struct hbk_workload *)record, is_add);
    case HBK_MESH_SERVICES:
        return note_service(edit, (struct hbk_service *)record, is_add);
    case HBK_MESH_POLICIES:
        return hbk_change_list_add_policy(&edit->groups, (struct hbk_policy *)record, is_add);
    case HBK_MESH_PEER_AUTHENTICATIONS:
        return hbk_change_list_add_peer_authentication(
            &edit->groups, (struct hbk_peer_authentication *)record, is_add);
    default:
        return HBK_OK;
    }
}

static hbk_status swap_in(struct hbk_edit *edit, enum hbk_mesh_part part, struct hbk_record *old,
                          struct hbk_record *fresh)
{
    HBK_TRY(touch(edit, part, fresh));
    if (old != NULL) {
        HBK_TRY(note(edit, part, old, false));
    }
    HBK_TRY(note(edit, part, fresh, true));
    return hbk_trie_put(&edit->mesh->parts[part], fresh);
}

static hbk_status put(struct hbk_edit *edit, enum hbk_mesh_part part,
                      const struct hbk_record_kind *kind, const struct hbk_record *spec)
{
    uint64_t hash = hbk_hash(spec->key);
    if (is_touched(edit, part, hash, spec->key)) {
        return HBK_EXISTS;
    }
    struct hbk_record *old = hbk_trie_find(&edit->mesh->parts[part], hash, spec->key);
    if (old != NULL && hbk_shape_equal(&kind->shape, old, spec)) {
        return touch(edit, part, old);
    }
    struct hbk_record *fresh = NULL;
    HBK_TRY(hbk_record_new(kind, spec, &fresh));
    hbk_status status = swap_in(edit, part, old, fresh);
    hbk_record_unref(fresh);
    return status;
}

hbk_status hbk_edit_put_workload(struct hbk_edit *edit, const struct hbk_workload *spec)
{
    if (spec->network.size > HBK_NETWORK_NAME_BYTES_MAX) {
        return HBK_LIMIT;
    }
    return put(edit, HBK_MESH_WORKLOADS, &hbk_workload_kind, &spec->record);
}

hbk_status hbk_edit_put_service(struct hbk_edit *edit, const struct hbk_service *spec)
{
    bool is_within_limits = spec->subject_alt_name_count <= HBK_SERVICE_IDENTITIES_MAX &&
                            spec->routing_preference_count <= HBK_SERVICE_PREFERENCES_MAX;
    for (uint32_t i = 0; i < spec->vip_count; i++) {
        is_within_limits &= spec->vips[i].network.size <= HBK_NETWORK_NAME_BYTES_MAX;
    }
    return is_within_limits ? put(edit, HBK_MESH_SERVICES, &hbk_service_kind, &spec->record)
                            : HBK_LIMIT;
}

hbk_status hbk_edit_put_policy(struct hbk_edit *edit, const struct hbk_policy *spec)
{
    return put(edit, HBK_MESH_POLICIES, &hbk_policy_kind, &spec->record);
}

hbk_status hbk_edit_put_peer_authentication(struct hbk_edit *edit,
                                            const struct hbk_peer_authentication *spec)
{
    return put(edit, HBK_MESH_PEER_AUTHENTICATIONS, &hbk_peer_authentication_kind, &spec->record);
}

hbk_status hbk_edit_put_pod(struct hbk_edit *edit, const struct hbk_pod *spec)
{
    return put(edit, HBK_MESH_PODS, &hbk_pod_kind, &spec->record);
}

hbk_status hbk_edit_put_plain_text(struct hbk_edit *edit, const struct hbk_plain_text *spec)
{
    struct hbk_plain_text whole = *spec;
    if (hbk_namespace_is_mesh_wide(spec->record.key)) {
        whole.record.key = HBK_SLICE("");
    }
    return put(edit, HBK_MESH_PLAIN_TEXTS, &hbk_plain_text_kind, &whole.record);
}

static hbk_status remove_record(struct hbk_edit *edit, enum hbk_mesh_part part,
                                struct hbk_record *record)
{
    HBK_TRY(note(edit, part, record, false));
    return hbk_trie_remove(&edit->mesh->parts[part], record->hash, record->key);
}

void hbk_edit_set_tls_engine(struct hbk_edit *edit, enum hbk_mesh_tls_engine engine)
{
    edit->mesh->tls_engine = engine;
}

hbk_status hbk_edit_remove(struct hbk_edit *edit, enum hbk_mesh_part part, struct hbk_slice key)
{
    struct hbk_record *record = hbk_trie_find(&edit->mesh->parts[part], hbk_hash(key), key);
    return record == NULL ? HBK_OK : remove_record(edit, part, record);
}

/* Walks a copy, since removing changes what is walked. */
static hbk_status remove_untouched_of(struct hbk_edit *edit, enum hbk_mesh_part part)
{
    if (edit->touched[part].count == edit->mesh->parts[part].count) {
        return HBK_OK;
    }
    struct hbk_trie copy;
    hbk_trie_copy(&copy, &edit->mesh->parts[part]);
    struct hbk_trie_walk walk = hbk_trie_begin(&copy);
    struct hbk_record *record;
    hbk_status status = HBK_OK;
    while (status == HBK_OK && (record = hbk_trie_next(&walk)) != NULL) {
        if (!is_touched(edit, part, record->hash, record->key)) {
            status = remove_record(edit, part, record);
        }
    }
    hbk_trie_fini(&copy);
    return status;
}

hbk_status hbk_edit_remove_untouched(struct hbk_edit *edit)
{
    for (int part = 0; part < HBK_MESH_LISTED_PARTS; part++) {
        HBK_TRY(remove_untouched_of(edit, (enum hbk_mesh_part)part));
    }
    return HBK_OK;
}

/* Every group of members that changed makes its service stale. */
static hbk_status mark_services_of_members(struct hbk_edit *edit)
{
    for (size_t start = 0; start < edit->members.count;
         start = hbk_change_list_run(&edit->members, start)) {
        const struct hbk_change *change = &edit->members.changes[start];
        HBK_TRY(hbk_change_list_add(&edit->stale, HBK_MESH_SERVICES, change->key, change->record,
                                    true));
    }
    return HBK_OK;
}

static hbk_status renew_services(struct hbk_edit *edit)
{
    hbk_change_list_sort(&edit->stale);
    for (size_t start = 0; start < edit->stale.count;
         start = hbk_change_list_run(&edit->stale, start)) {
        const struct hbk_change *change = &edit->stale.changes[start];
        HBK_TRY(hbk_endpoints_renew(edit->mesh, change->hash, change->key, &edit->groups));
    }
    return HBK_OK;
}

static hbk_status complete(struct hbk_edit *edit)
{
    HBK_TRY(hbk_change_list_apply(&edit->members, edit->mesh));
    HBK_TRY(mark_services_of_members(edit));
    HBK_TRY(renew_services(edit));
    return hbk_change_list_apply(&edit->groups, edit->mesh);
}

hbk_status hbk_edit_commit(struct hbk_edit *edit, struct hbk_mesh **out_mesh)
{
    hbk_status status = complete(edit);
    if (status != HBK_OK) {
        hbk_edit_drop(edit);
        return status;
    }
    *out_mesh = edit->mesh;
    finish(edit);
    return HBK_OK;
}
