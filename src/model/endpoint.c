#include "model/endpoint.h"

#include <stdlib.h>

struct gathering {
    const struct hbk_service *service;
    struct hbk_endpoint *endpoints;
    uint32_t count;
};

static const struct hbk_membership *membership_in(const struct hbk_workload *workload,
                                                  struct hbk_slice service_key)
{
    for (uint32_t i = 0; i < workload->service_count; i++) {
        if (hbk_slice_equal(workload->services[i].service_key, service_key)) {
            return &workload->services[i];
        }
    }
    return NULL;
}

static void gather(struct gathering *gathering, const struct hbk_workload *workload,
                   enum hbk_health health, const struct hbk_port_pair *ports, uint32_t port_count)
{
    bool is_healthy = health == HBK_HEALTHY && workload->health == HBK_HEALTHY;
    bool is_wanted = is_healthy || gathering->service->health_policy == HBK_HEALTH_ALLOW_ALL;
    if (is_wanted && workload->capacity > 0) {
        gathering->endpoints[gathering->count++] =
            (struct hbk_endpoint){.workload = workload, .ports = ports, .port_count = port_count};
    }
}

static void gather_members(struct gathering *gathering, const struct hbk_group *members)
{
    for (uint32_t i = 0; members != NULL && i < members->count; i++) {
        const struct hbk_workload *workload = (const struct hbk_workload *)members->members[i];
        const struct hbk_membership *membership =
            membership_in(workload, gathering->service->record.key);
        gather(gathering, workload, membership->health, membership->ports, membership->port_count);
    }
}

/* What a workload says about itself counts; a listed one that is not known yet waits. */
static void gather_listed(struct gathering *gathering, const struct hbk_mesh *mesh)
{
    const struct hbk_service *service = gathering->service;
    for (uint32_t i = 0; i < service->listed_endpoint_count; i++) {
        const struct hbk_listed_endpoint *listed = &service->listed_endpoints[i];
        const struct hbk_workload *workload = hbk_mesh_workload(mesh, listed->workload_uid);
        if (workload != NULL && membership_in(workload, service->record.key) == NULL) {
            gather(gathering, workload, listed->health, listed->ports, listed->port_count);
        }
    }
}

hbk_status hbk_endpoints_attach(const struct hbk_mesh *mesh, struct hbk_service *service)
{
    const struct hbk_group *members = (const struct hbk_group *)hbk_trie_find(
        &mesh->parts[HBK_MESH_MEMBERS], service->record.hash, service->record.key);
    size_t count_max = service->listed_endpoint_count + (members == NULL ? 0 : members->count);
    struct gathering gathering = {
        .service = service,
        .endpoints = malloc((count_max + 1) * sizeof *gathering.endpoints),
    };
    if (gathering.endpoints == NULL) {
        return HBK_NO_MEMORY;
    }
    gather_members(&gathering, members);
    gather_listed(&gathering, mesh);
    hbk_status status =
        hbk_balance_new(service, gathering.endpoints, gathering.count, &service->balance);
    free(gathering.endpoints);
    return status;
}

/* A copy of a published service, without its table. */
static hbk_status copy_service(const struct hbk_service *service, struct hbk_service **out_copy)
{
    struct hbk_record *copy = NULL;
    HBK_TRY(hbk_record_new(&hbk_service_kind, &service->record, &copy));
    *out_copy = (struct hbk_service *)copy;
    return HBK_OK;
}

static hbk_status replace(struct hbk_mesh *mesh, struct hbk_service *old, struct hbk_service *fresh,
                          struct hbk_change_list *groups)
{
    HBK_TRY(hbk_endpoints_attach(mesh, fresh));
    HBK_TRY(hbk_change_list_add_service(groups, old, false));
    HBK_TRY(hbk_change_list_add_service(groups, fresh, true));
    return hbk_trie_put(&mesh->parts[HBK_MESH_SERVICES], &fresh->record);
}

hbk_status hbk_endpoints_renew(struct hbk_mesh *mesh, uint64_t hash, struct hbk_slice key,
                               struct hbk_change_list *groups)
{
    struct hbk_service *service =
        (struct hbk_service *)hbk_trie_find(&mesh->parts[HBK_MESH_SERVICES], hash, key);
    if (service == NULL) {
        return HBK_OK;
    }
    if (service->balance == NULL) {
        return hbk_endpoints_attach(mesh, service);
    }
    struct hbk_service *fresh = NULL;
    HBK_TRY(copy_service(service, &fresh));
    hbk_status status = replace(mesh, service, fresh, groups);
    hbk_record_unref(&fresh->record);
    return status;
}
