/*
 * The mesh: everything known about workloads, services and policies at one moment, as a root over
 * immutable records. Generations share what did not change: the root holds persistent tries, and a
 * change of one workload copies the few nodes above it.
 *
 * A mesh is made by an edit (model/edit.h) and published; from then on it never changes.
 *
 * Thread: any thread looks things up as long as somebody holds the mesh; _ref and _unref on control
 * only. Whatever a lookup returns is borrowed from the mesh.
 */
#pragma once

#include "model/group.h"
#include "model/peer_authentication.h"
#include "model/pod.h"
#include "model/policy.h"
#include "model/service.h"
#include "model/trie.h"
#include "model/workload.h"

enum hbk_mesh_part {
    /* What the mesh file lists, each under its key. */
    HBK_MESH_WORKLOADS,
    HBK_MESH_SERVICES,
    HBK_MESH_POLICIES,
    HBK_MESH_PEER_AUTHENTICATIONS,
    HBK_MESH_PODS,
    HBK_MESH_PLAIN_TEXTS,
    HBK_MESH_LISTED_PARTS,

    /* Derived: groups (model/group.h) of the above. */
    HBK_MESH_WORKLOADS_BY_IP = HBK_MESH_LISTED_PARTS,
    HBK_MESH_SERVICES_BY_VIP,
    HBK_MESH_SERVICES_BY_HOST,
    HBK_MESH_SERVICES_BY_LISTED,      /* by the uid of a workload that they list themselves */
    HBK_MESH_MEMBERS,                 /* workloads by the key of a service that they serve */
    HBK_MESH_POLICIES_OF,             /* by namespace; "" holds the global ones */
    HBK_MESH_PEER_AUTHENTICATIONS_OF, /* by namespace; "" holds the mesh-wide ones */
    HBK_MESH_PARTS,
};

/* What new connections between agents speak TLS with (tls/context.h); docs/tls.md. */
enum hbk_mesh_tls_engine {
    HBK_MESH_TLS_NATIVE,
    HBK_MESH_TLS_OPENSSL,
    HBK_MESH_TLS_DEFAULT = HBK_MESH_TLS_NATIVE, /* of a source that says nothing */
};

/* Lengths of an address block's prefix, 0 to 128. */
enum { HBK_PREFIX_LENGTHS = 129 };

struct hbk_mesh {
    uint32_t holders;
    uint64_t generation; /* 1 for the first mesh, one more for each that is built on another */
    struct hbk_trie parts[HBK_MESH_PARTS];
    enum hbk_mesh_tls_engine tls_engine;
    uint32_t blocks[2][HBK_PREFIX_LENGTHS]; /* how many block VIPs: IPv4, IPv6; by prefix length */
};

struct hbk_mesh *hbk_mesh_ref(struct hbk_mesh *mesh);

/* Frees the mesh with its last holder; NULL is allowed. */
void hbk_mesh_unref(struct hbk_mesh *mesh);

/* --- by key: NULL when there is none --- */

const struct hbk_workload *hbk_mesh_workload(const struct hbk_mesh *mesh, struct hbk_slice uid);

/* `key` is "namespace/hostname". */
const struct hbk_service *hbk_mesh_service(const struct hbk_mesh *mesh, struct hbk_slice key);

/* `key` is "namespace/name". */
const struct hbk_policy *hbk_mesh_policy(const struct hbk_mesh *mesh, struct hbk_slice key);
const struct hbk_pod *hbk_mesh_pod(const struct hbk_mesh *mesh, struct hbk_slice uid);

/* --- by address and by host --- */

/*
 * The workload with that address on that network. Of several: a pod that speaks HBONE, then a pod,
 * then one that speaks HBONE, then the first by uid. Workloads with host networking are never
 * found.
 */
const struct hbk_workload *hbk_mesh_workload_by_ip(const struct hbk_mesh *mesh,
                                                   struct hbk_slice network,
                                                   const struct hbk_ip *ip);

/*
 * The service with that virtual address, for a client in `client_namespace`. Of several that the
 * client can see: the one of its namespace, then a canonical one, then the first by key. Address
 * blocks are looked at when no single address matches: those of the client's namespace first, then
 * the longest prefix, then canonical ones.
 */
const struct hbk_service *hbk_mesh_service_by_vip(const struct hbk_mesh *mesh,
                                                  struct hbk_slice network, const struct hbk_ip *ip,
                                                  struct hbk_slice client_namespace);

/* The service with that host name, ranked as by virtual address. */
const struct hbk_service *hbk_mesh_service_by_host(const struct hbk_mesh *mesh,
                                                   struct hbk_slice hostname,
                                                   struct hbk_slice client_namespace);

/* --- settings --- */

/*
 * The mode that holds for a port of a workload: of the closest settings that say something, the
 * port's own mode before the general one. Closest first: settings that select the workload, its
 * namespace, the whole mesh; PERMISSIVE when nobody says anything. Several of one width are asked
 * in the order of their names.
 */
enum hbk_peer_mode hbk_mesh_peer_mode(const struct hbk_mesh *mesh,
                                      const struct hbk_workload *workload, uint16_t port);

/*
 * Whether workloads of the namespace may send plain text: as outboundPlainText says for it, else
 * for the whole mesh, else no where the namespace is STRICT.
 */
bool hbk_mesh_allows_outbound_plain_text(const struct hbk_mesh *mesh, struct hbk_slice namespace);

/* --- groups and walks --- */

/* The policies of a namespace's scope; "" for the global ones; NULL when there are none. */
const struct hbk_group *hbk_mesh_policies_of(const struct hbk_mesh *mesh,
                                             struct hbk_slice namespace);

/* Walks one of the listed parts: cast each record of hbk_trie_next() to its struct. */
static inline struct hbk_trie_walk hbk_mesh_walk(const struct hbk_mesh *mesh,
                                                 enum hbk_mesh_part part)
{
    return hbk_trie_begin(&mesh->parts[part]);
}

static inline size_t hbk_mesh_count(const struct hbk_mesh *mesh, enum hbk_mesh_part part)
{
    return mesh->parts[part].count;
}
