#include "model/mesh.h"

#include "base/assert.h"
#include "base/hash.h"
#include "model/memory.h"

struct hbk_mesh *hbk_mesh_ref(struct hbk_mesh *mesh)
{
    HBK_ASSERT(mesh->holders > 0 && mesh->holders < UINT32_MAX);
    mesh->holders++;
    return mesh;
}

void hbk_mesh_unref(struct hbk_mesh *mesh)
{
    if (mesh == NULL || --mesh->holders > 0) {
        return;
    }
    for (int part = 0; part < HBK_MESH_PARTS; part++) {
        hbk_trie_fini(&mesh->parts[part]);
    }
    hbk_model_give(mesh);
}

static const struct hbk_record *find(const struct hbk_mesh *mesh, enum hbk_mesh_part part,
                                     struct hbk_slice key)
{
    const struct hbk_trie *trie = &mesh->parts[part];
    return trie->count == 0 ? NULL : hbk_trie_find(trie, hbk_hash(key), key);
}

const struct hbk_workload *hbk_mesh_workload(const struct hbk_mesh *mesh, struct hbk_slice uid)
{
    return (const struct hbk_workload *)find(mesh, HBK_MESH_WORKLOADS, uid);
}

const struct hbk_service *hbk_mesh_service(const struct hbk_mesh *mesh, struct hbk_slice key)
{
    return (const struct hbk_service *)find(mesh, HBK_MESH_SERVICES, key);
}

const struct hbk_policy *hbk_mesh_policy(const struct hbk_mesh *mesh, struct hbk_slice key)
{
    return (const struct hbk_policy *)find(mesh, HBK_MESH_POLICIES, key);
}

const struct hbk_pod *hbk_mesh_pod(const struct hbk_mesh *mesh, struct hbk_slice uid)
{
    return (const struct hbk_pod *)find(mesh, HBK_MESH_PODS, uid);
}

const struct hbk_group *hbk_mesh_policies_of(const struct hbk_mesh *mesh,
                                             struct hbk_slice namespace)
{
    return (const struct hbk_group *)find(mesh, HBK_MESH_POLICIES_OF, namespace);
}

const struct hbk_workload *hbk_mesh_workload_by_ip(const struct hbk_mesh *mesh,
                                                   struct hbk_slice network,
                                                   const struct hbk_ip *ip)
{
    struct hbk_ip_key key;
    if (!hbk_ip_key_of(network, ip, HBK_IP_KEY_SINGLE, &key)) {
        return NULL;
    }
    const struct hbk_group *group =
        (const struct hbk_group *)find(mesh, HBK_MESH_WORKLOADS_BY_IP, hbk_ip_key_slice(&key));
    return group == NULL ? NULL : (const struct hbk_workload *)group->members[0];
}

/* How well a service suits a client; 0 when the client cannot see it. */
static int service_rank(const struct hbk_service *service, struct hbk_slice client_namespace)
{
    if (hbk_slice_equal(service->namespace, client_namespace)) {
        return 3;
    }
    if (service->visibility == HBK_VISIBILITY_NAMESPACE) {
        return 0;
    }
    return service->is_canonical ? 2 : 1;
}

/* The best service of a group; the first among equals. NULL when the client sees none. */
static const struct hbk_service *best_of(const struct hbk_group *group,
                                         struct hbk_slice client_namespace, int *out_rank)
{
    const struct hbk_service *best = NULL;
    int best_rank = 0;
    for (uint32_t i = 0; group != NULL && i < group->count; i++) {
        const struct hbk_service *service = (const struct hbk_service *)group->members[i];
        int rank = service_rank(service, client_namespace);
        if (rank > best_rank) {
            best = service;
            best_rank = rank;
        }
    }
    *out_rank = best_rank;
    return best;
}

static const struct hbk_service *best_at(const struct hbk_mesh *mesh, struct hbk_slice network,
                                         const struct hbk_ip *ip, uint8_t prefix_bits,
                                         struct hbk_slice client_namespace, int *out_rank)
{
    struct hbk_ip_key key;
    *out_rank = 0;
    if (!hbk_ip_key_of(network, ip, prefix_bits, &key)) {
        return NULL;
    }
    const struct hbk_group *group =
        (const struct hbk_group *)find(mesh, HBK_MESH_SERVICES_BY_VIP, hbk_ip_key_slice(&key));
    return best_of(group, client_namespace, out_rank);
}

/* Longest prefix first; only a service of the client's own namespace beats a longer one. */
static const struct hbk_service *best_block(const struct hbk_mesh *mesh, struct hbk_slice network,
                                            const struct hbk_ip *ip,
                                            struct hbk_slice client_namespace)
{
    const uint32_t *blocks = mesh->blocks[ip->size == 16];
    const struct hbk_service *best = NULL;
    struct hbk_cidr cidr = {.ip = *ip};
    for (int bits = ip->size * 8; bits >= 0; bits--) {
        if (blocks[bits] == 0) {
            continue;
        }
        cidr.ip = *ip;
        cidr.prefix_bits = (uint8_t)bits;
        hbk_cidr_mask(&cidr);
        int rank = 0;
        const struct hbk_service *found =
            best_at(mesh, network, &cidr.ip, cidr.prefix_bits, client_namespace, &rank);
        if (rank == 3) {
            return found;
        }
        best = best == NULL ? found : best;
    }
    return best;
}

const struct hbk_service *hbk_mesh_service_by_vip(const struct hbk_mesh *mesh,
                                                  struct hbk_slice network, const struct hbk_ip *ip,
                                                  struct hbk_slice client_namespace)
{
    int rank = 0;
    const struct hbk_service *service =
        best_at(mesh, network, ip, HBK_IP_KEY_SINGLE, client_namespace, &rank);
    return service != NULL ? service : best_block(mesh, network, ip, client_namespace);
}

const struct hbk_service *hbk_mesh_service_by_host(const struct hbk_mesh *mesh,
                                                   struct hbk_slice hostname,
                                                   struct hbk_slice client_namespace)
{
    int rank = 0;
    const struct hbk_group *group =
        (const struct hbk_group *)find(mesh, HBK_MESH_SERVICES_BY_HOST, hostname);
    return best_of(group, client_namespace, &rank);
}

static enum hbk_peer_mode mode_of(const struct hbk_peer_authentication *settings, uint16_t port)
{
    for (uint32_t i = 0; i < settings->port_mode_count; i++) {
        if (settings->port_modes[i].port == port &&
            settings->port_modes[i].mode != HBK_PEER_UNSET) {
            return settings->port_modes[i].mode;
        }
    }
    return settings->mode;
}

/*
 * What the settings of one namespace say. With a workload: those that select it; without: those
 * that hold for all. Port 0 is nobody's, so it asks for the general mode.
 */
static enum hbk_peer_mode mode_in(const struct hbk_group *group,
                                  const struct hbk_workload *workload, uint16_t port)
{
    for (uint32_t i = 0; group != NULL && i < group->count; i++) {
        const struct hbk_peer_authentication *settings =
            (const struct hbk_peer_authentication *)group->members[i];
        bool has_selector = hbk_peer_authentication_has_selector(settings);
        bool is_meant =
            workload == NULL
                ? !has_selector
                : has_selector && hbk_workload_selector_matches(&settings->selector, workload);
        enum hbk_peer_mode mode = is_meant ? mode_of(settings, port) : HBK_PEER_UNSET;
        if (mode != HBK_PEER_UNSET) {
            return mode;
        }
    }
    return HBK_PEER_UNSET;
}

static enum hbk_peer_mode first_mode(const struct hbk_mesh *mesh, struct hbk_slice namespace,
                                     const struct hbk_workload *workload, uint16_t port)
{
    if (mesh->parts[HBK_MESH_PEER_AUTHENTICATIONS].count == 0) {
        return HBK_PEER_PERMISSIVE;
    }
    const struct hbk_group *own =
        (const struct hbk_group *)find(mesh, HBK_MESH_PEER_AUTHENTICATIONS_OF, namespace);
    enum hbk_peer_mode mode = workload == NULL ? HBK_PEER_UNSET : mode_in(own, workload, port);
    if (mode == HBK_PEER_UNSET) {
        mode = mode_in(own, NULL, port);
    }
    if (mode == HBK_PEER_UNSET) {
        const struct hbk_group *all =
            (const struct hbk_group *)find(mesh, HBK_MESH_PEER_AUTHENTICATIONS_OF, HBK_SLICE(""));
        mode = mode_in(all, NULL, port);
    }
    return mode == HBK_PEER_UNSET ? HBK_PEER_PERMISSIVE : mode;
}

enum hbk_peer_mode hbk_mesh_peer_mode(const struct hbk_mesh *mesh,
                                      const struct hbk_workload *workload, uint16_t port)
{
    return first_mode(mesh, workload->namespace, workload, port);
}

bool hbk_mesh_allows_outbound_plain_text(const struct hbk_mesh *mesh, struct hbk_slice namespace)
{
    const struct hbk_plain_text *said =
        (const struct hbk_plain_text *)find(mesh, HBK_MESH_PLAIN_TEXTS, namespace);
    if (said == NULL) {
        said = (const struct hbk_plain_text *)find(mesh, HBK_MESH_PLAIN_TEXTS, HBK_SLICE(""));
    }
    return said != NULL ? said->is_allowed
                        : first_mode(mesh, namespace, NULL, 0) != HBK_PEER_STRICT;
}
