#include "model/change.h"

#include <stdlib.h>

#include "base/assert.h"
#include "base/hash.h"

enum { CAPACITY_MIN = 64 };

void hbk_change_list_init(struct hbk_change_list *list)
{
    *list = (struct hbk_change_list){0};
    hbk_arena_init(&list->arena);
}

void hbk_change_list_fini(struct hbk_change_list *list)
{
    for (size_t i = 0; i < list->count; i++) {
        hbk_record_unref(list->changes[i].record);
    }
    free(list->changes);
    hbk_arena_fini(&list->arena);
    hbk_change_list_init(list);
}

static hbk_status make_room(struct hbk_change_list *list)
{
    if (list->count < list->capacity) {
        return HBK_OK;
    }
    size_t capacity = list->capacity == 0 ? CAPACITY_MIN : list->capacity * 2;
    struct hbk_change *changes = reallocarray(list->changes, capacity, sizeof *changes);
    if (changes == NULL) {
        return HBK_NO_MEMORY;
    }
    list->changes = changes;
    list->capacity = capacity;
    return HBK_OK;
}

hbk_status hbk_change_list_add(struct hbk_change_list *list, enum hbk_mesh_part part,
                               struct hbk_slice key, struct hbk_record *record, bool is_add)
{
    HBK_TRY(make_room(list));
    list->changes[list->count++] = (struct hbk_change){
        .part = part,
        .is_add = is_add,
        .hash = hbk_hash(key),
        .key = key,
        .record = record == NULL ? NULL : hbk_record_ref(record),
    };
    return HBK_OK;
}

hbk_status hbk_change_list_add_copy(struct hbk_change_list *list, enum hbk_mesh_part part,
                                    struct hbk_slice key, struct hbk_record *record, bool is_add)
{
    struct hbk_span copy = hbk_arena_bytes(&list->arena, key.size);
    if (copy.bytes == NULL) {
        return HBK_NO_MEMORY;
    }
    if (key.size > 0) {
        memcpy(copy.bytes, key.bytes, key.size);
    }
    return hbk_change_list_add(list, part, hbk_slice_of(copy.bytes, key.size), record, is_add);
}

static hbk_status add_ip(struct hbk_change_list *list, enum hbk_mesh_part part,
                         struct hbk_slice network, const struct hbk_ip *ip, uint8_t prefix_bits,
                         struct hbk_record *record, bool is_add)
{
    struct hbk_ip_key key;
    if (!hbk_ip_key_of(network, ip, prefix_bits, &key)) {
        return HBK_LIMIT;
    }
    return hbk_change_list_add_copy(list, part, hbk_ip_key_slice(&key), record, is_add);
}

hbk_status hbk_change_list_add_addresses(struct hbk_change_list *list,
                                         struct hbk_workload *workload, bool is_add)
{
    bool is_found_by_ip = workload->network_mode == HBK_NETWORK_STANDARD;
    for (uint32_t i = 0; is_found_by_ip && i < workload->ip_count; i++) {
        HBK_TRY(add_ip(list, HBK_MESH_WORKLOADS_BY_IP, workload->network, &workload->ips[i],
                       HBK_IP_KEY_SINGLE, &workload->record, is_add));
    }
    return HBK_OK;
}

hbk_status hbk_change_list_add_memberships(struct hbk_change_list *list,
                                           struct hbk_workload *workload, bool is_add)
{
    for (uint32_t i = 0; i < workload->service_count; i++) {
        HBK_TRY(hbk_change_list_add(list, HBK_MESH_MEMBERS, workload->services[i].service_key,
                                    &workload->record, is_add));
    }
    return HBK_OK;
}

hbk_status hbk_change_list_add_service(struct hbk_change_list *list, struct hbk_service *service,
                                       bool is_add)
{
    for (uint32_t i = 0; i < service->vip_count; i++) {
        const struct hbk_vip *vip = &service->vips[i];
        uint8_t prefix_bits = vip->is_block ? vip->cidr.prefix_bits : HBK_IP_KEY_SINGLE;
        HBK_TRY(add_ip(list, HBK_MESH_SERVICES_BY_VIP, vip->network, &vip->cidr.ip, prefix_bits,
                       &service->record, is_add));
    }
    for (uint32_t i = 0; i < service->listed_endpoint_count; i++) {
        HBK_TRY(hbk_change_list_add(list, HBK_MESH_SERVICES_BY_LISTED,
                                    service->listed_endpoints[i].workload_uid, &service->record,
                                    is_add));
    }
    return hbk_change_list_add(list, HBK_MESH_SERVICES_BY_HOST, service->hostname, &service->record,
                               is_add);
}

hbk_status hbk_change_list_add_policy(struct hbk_change_list *list, struct hbk_policy *policy,
                                      bool is_add)
{
    switch (policy->scope) {
    case HBK_POLICY_GLOBAL:
        return hbk_change_list_add(list, HBK_MESH_POLICIES_OF, HBK_SLICE(""), &policy->record,
                                   is_add);
    case HBK_POLICY_NAMESPACE:
        return hbk_change_list_add(list, HBK_MESH_POLICIES_OF, policy->namespace, &policy->record,
                                   is_add);
    case HBK_POLICY_SELECTOR:
        return HBK_OK;
    }
    HBK_UNREACHABLE();
}

hbk_status hbk_change_list_add_peer_authentication(struct hbk_change_list *list,
                                                   struct hbk_peer_authentication *settings,
                                                   bool is_add)
{
    bool is_mesh_wide = hbk_namespace_is_mesh_wide(settings->namespace) &&
                        !hbk_peer_authentication_has_selector(settings);
    return hbk_change_list_add(list, HBK_MESH_PEER_AUTHENTICATIONS_OF,
                               is_mesh_wide ? HBK_SLICE("") : settings->namespace,
                               &settings->record, is_add);
}

static int compare_groups(const struct hbk_change *a, const struct hbk_change *b)
{
    if (a->part != b->part) {
        return a->part < b->part ? -1 : 1;
    }
    if (a->hash != b->hash) {
        return a->hash < b->hash ? -1 : 1;
    }
    return hbk_slice_compare(a->key, b->key);
}

/* Within a group by record, leaving before joining. */
static int compare_changes(const void *first, const void *second)
{
    const struct hbk_change *a = first;
    const struct hbk_change *b = second;
    int order = compare_groups(a, b);
    if (order != 0) {
        return order;
    }
    if (a->record != b->record) {
        return (uintptr_t)a->record < (uintptr_t)b->record ? -1 : 1;
    }
    return (int)a->is_add - (int)b->is_add;
}

void hbk_change_list_sort(struct hbk_change_list *list)
{
    if (list->count > 1) {
        qsort(list->changes, list->count, sizeof *list->changes, compare_changes);
    }
}

size_t hbk_change_list_run(const struct hbk_change_list *list, size_t start)
{
    size_t end = start + 1;
    while (end < list->count && compare_groups(&list->changes[start], &list->changes[end]) == 0) {
        end++;
    }
    return end;
}

/* Lower is better. */
static int workload_rank(const struct hbk_workload *workload)
{
    bool is_pod = workload->type == HBK_WORKLOAD_POD;
    bool speaks_hbone = workload->protocol == HBK_WORKLOAD_HBONE;
    return is_pod ? (speaks_hbone ? 0 : 1) : (speaks_hbone ? 2 : 3);
}

static int compare_keys(const void *first, const void *second)
{
    const struct hbk_record *a = *(struct hbk_record *const *)first;
    const struct hbk_record *b = *(struct hbk_record *const *)second;
    return hbk_slice_compare(a->key, b->key);
}

static int compare_workloads_at_ip(const void *first, const void *second)
{
    int a = workload_rank(*(struct hbk_workload *const *)first);
    int b = workload_rank(*(struct hbk_workload *const *)second);
    return a != b ? a - b : compare_keys(first, second);
}

/* Whether the run says that a record leaves; a change that joins and leaves cancels out. */
static bool leaves(const struct hbk_change *run, size_t count, const struct hbk_record *record)
{
    size_t low = 0;
    size_t high = count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if ((uintptr_t)run[middle].record < (uintptr_t)record) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low < count && run[low].record == record && !run[low].is_add;
}

/* Writes the members that remain and those that join; returns their number. */
static uint32_t merge(const struct hbk_group *old, const struct hbk_change *run, size_t run_count,
                      struct hbk_record **members)
{
    uint32_t count = 0;
    for (uint32_t i = 0; old != NULL && i < old->count; i++) {
        if (!leaves(run, run_count, old->members[i])) {
            members[count++] = old->members[i];
        }
    }
    const struct hbk_record *last = NULL;
    for (size_t i = 0; i < run_count; i++) {
        bool joins = run[i].is_add && run[i].record != last;
        if (joins && !leaves(run, run_count, run[i].record)) {
            members[count++] = run[i].record;
        }
        last = run[i].record;
    }
    return count;
}

static hbk_status apply_run(struct hbk_mesh *mesh, const struct hbk_change *run, size_t run_count)
{
    struct hbk_trie *trie = &mesh->parts[run->part];
    const struct hbk_group *old =
        (const struct hbk_group *)hbk_trie_find(trie, run->hash, run->key);
    size_t count_max = run_count + (old == NULL ? 0 : old->count);
    struct hbk_record **members = malloc(count_max * sizeof *members);
    if (members == NULL) {
        return HBK_NO_MEMORY;
    }
    uint32_t count = merge(old, run, run_count, members);
    bool is_by_ip = run->part == HBK_MESH_WORKLOADS_BY_IP;
    qsort(members, count, sizeof(struct hbk_record *),
          is_by_ip ? compare_workloads_at_ip : compare_keys);
    hbk_status status = HBK_OK;
    if (count == 0) {
        status = hbk_trie_remove(trie, run->hash, run->key);
    } else {
        struct hbk_group *group = hbk_group_new(run->hash, run->key, members, count);
        status = group == NULL ? HBK_NO_MEMORY : hbk_trie_put(trie, &group->record);
        hbk_record_unref(group == NULL ? NULL : &group->record);
    }
    free(members);
    return status;
}

hbk_status hbk_change_list_apply(struct hbk_change_list *list, struct hbk_mesh *mesh)
{
    hbk_change_list_sort(list);
    for (size_t start = 0; start < list->count;) {
        size_t end = hbk_change_list_run(list, start);
        HBK_TRY(apply_run(mesh, list->changes + start, end - start));
        start = end;
    }
    return HBK_OK;
}
