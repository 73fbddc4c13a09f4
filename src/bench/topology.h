/*
 * Two hosts and their pods, as network namespaces joined by veth pairs: what the demonstration and
 * the benchmarks run in. Routes are plain; nothing is captured until an agent or a caller says so.
 *
 *                    alpha                          beta
 *      front ----+                                        +---- cart
 *  neighbour ----+-- pods --- wire ======== wire --- pods-+
 *   intruder ----+
 *
 * IPv4 and IPv6 everywhere. It is built in a private world (os/isolation.h), which takes it away.
 */
#pragma once

#include "base/address.h"
#include "base/error.h"
#include "base/status.h"
#include "os/file.h"

enum hbk_place {
    HBK_PLACE_ALPHA, /* hosts */
    HBK_PLACE_BETA,
    HBK_PLACE_FRONT, /* pods */
    HBK_PLACE_NEIGHBOUR,
    HBK_PLACE_INTRUDER,
    HBK_PLACE_CART,
    HBK_PLACES_OF_MESH, /* so far: the hosts, and the pods that the scene's mesh file lists */

    /* Pods of the benchmark, each beside its counterpart in the mesh. */
    HBK_PLACE_DIRECT_CLIENT = HBK_PLACES_OF_MESH,
    HBK_PLACE_DIRECT_SERVER,
    HBK_PLACE_RELAY_CLIENT,
    HBK_PLACE_RELAY_SERVER,
    HBK_PLACE_HAPROXY_CLIENT,
    HBK_PLACE_HAPROXY_SERVER,
    HBK_PLACES,
};

enum {
    HBK_TOPOLOGY_PATH_BYTES_MAX = 128,

    /* More pods, in pairs: a client on alpha, its server on beta. They are built when asked for. */
    HBK_PAIRS_MAX = 50,
    HBK_PLACES_MAX = HBK_PLACES + 2 * HBK_PAIRS_MAX,
};

/* The places of a pair. */
static inline enum hbk_place hbk_place_client(unsigned pair)
{
    return (enum hbk_place)(HBK_PLACES + 2 * pair);
}

static inline enum hbk_place hbk_place_server(unsigned pair)
{
    return (enum hbk_place)(HBK_PLACES + 2 * pair + 1);
}

struct hbk_topology_place {
    char name[16];
    enum hbk_place host; /* of a pod: where it is; of a host: itself */
    struct hbk_ip ipv4, ipv6;
    char host_link[16]; /* of a pod: the host's end of its cable; of a host: its wire */
    char path[HBK_TOPOLOGY_PATH_BYTES_MAX]; /* of the namespace, in the private mount namespace */
    int netns_fd;                           /* owned by the topology */
};

struct hbk_topology {
    unsigned count;      /* of the places that were built */
    unsigned pair_count; /* of the pairs that were built, too */
    struct hbk_topology_place places[HBK_PLACES_MAX];
    char directory[HBK_TOPOLOGY_PATH_BYTES_MAX]; /* private, for files of what runs here */
};

/* Fills in names, addresses and paths of all places, of which `count` are said to be there, and
 * builds nothing. Pure. */
void hbk_topology_plan(struct hbk_topology *topology, unsigned count);

/*
 * Builds the first `count` places, HBK_PLACES_OF_MESH or HBK_PLACES. On failure what was made stays
 * until the private world ends; the error names the step. Thread: control only.
 */
HBK_MUST_USE hbk_status hbk_topology_build(struct hbk_topology *topology, unsigned count,
                                           struct hbk_error *error);

/* Builds the pairs that are not there yet, up to `count` of them. Fails as hbk_topology_build(). */
HBK_MUST_USE hbk_status hbk_topology_add_pairs(struct hbk_topology *topology, unsigned count,
                                               struct hbk_error *error);

/* Closes the descriptors; the namespaces go with the private world. */
void hbk_topology_fini(struct hbk_topology *topology);

/* The address of a place with a port. */
struct hbk_address hbk_topology_address(const struct hbk_topology *topology, enum hbk_place place,
                                        uint16_t port);
