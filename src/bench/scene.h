/*
 * The scene of the demonstration and the benchmarks: services in the pods of the topology, a
 * certificate authority, a mesh file, and an agent on each host.
 */
#pragma once

#include "base/buffer.h"
#include "bench/program.h"
#include "bench/request.h"
#include "bench/topology.h"

enum {
    HBK_SCENE_PORT = 9000,   /* of the services of cart and neighbour */
    HBK_SCENE_VIP_PORT = 80, /* of the service cart at its virtual address */
    HBK_SCENE_ADMIN_PORT = 15000,
    HBK_SCENE_METRICS_PORT = 15020,
    HBK_SCENE_READY_PORT = 15021,
    HBK_SCENE_HBONE_PORT = 15008,
    HBK_SCENE_MESH_BYTES_MAX = 96 << 10,
    HBK_SCENE_VIP_BYTES_MAX = 24,
};

#define HBK_SCENE_VIP "10.96.4.2"
#define HBK_SCENE_VIP_NEIGHBOUR "10.96.4.3"   /* of the service neighbour */
#define HBK_SCENE_POLICY "only-known-callers" /* in namespace shop: refuses the intruder */

/* What a mesh file is to say. */
struct hbk_scene_mesh {
    const char *engine; /* the agents' TLS engine; NULL: their default */
    unsigned pairs;     /* of more pods: each server is a service of its own, with its account */
    bool is_plain;      /* mutual TLS is switched off: mode DISABLE, and no policy, which would
                         * need to know callers */
};

/* The mesh file for the pods of a topology: cart is a service, the intruder is refused by policy,
 * plain text by mode. Fails: HBK_NO_MEMORY, HBK_LIMIT. Pure. */
HBK_MUST_USE hbk_status hbk_scene_render_mesh(const struct hbk_topology *topology,
                                              const struct hbk_scene_mesh *mesh,
                                              struct hbk_buffer *out_text);

/* The address of the service of a pair. */
const char *hbk_scene_vip_of_pair(unsigned pair, char out_text[static HBK_SCENE_VIP_BYTES_MAX]);

struct hbk_scene {
    struct hbk_topology topology;
    struct hbk_program agents[2]; /* by host: HBK_PLACE_ALPHA, HBK_PLACE_BETA */
    char mesh_path[HBK_PROGRAM_PATH_BYTES_MAX];
    char ca_path[HBK_PROGRAM_PATH_BYTES_MAX];
    bool has_authority;
    struct hbk_scene_mesh mesh; /* what the mesh file says */
};

/* Builds so many places of the topology, writes the mesh file and makes the authority. Nothing is
 * captured yet. */
HBK_MUST_USE hbk_status hbk_scene_init(struct hbk_scene *scene, unsigned places,
                                       struct hbk_error *error);
void hbk_scene_fini(struct hbk_scene *scene);

/* Writes the mesh file anew with that TLS engine, also under agents that run. */
HBK_MUST_USE hbk_status hbk_scene_set_engine(struct hbk_scene *scene, const char *engine,
                                             struct hbk_error *error);

/* Builds so many pairs where they are missing, and writes the mesh file anew with them, for agents
 * that start behind it. With 0 they stay, and the mesh does not know them. */
HBK_MUST_USE hbk_status hbk_scene_set_pairs(struct hbk_scene *scene, unsigned pairs,
                                            struct hbk_error *error);

/* Switches mutual TLS off or on again in the mesh file, for agents that start behind it. */
HBK_MUST_USE hbk_status hbk_scene_set_plain(struct hbk_scene *scene, bool is_plain,
                                            struct hbk_error *error);

/* Makes the certificate authority at ca_path unless it is there. */
HBK_MUST_USE hbk_status hbk_scene_make_authority(struct hbk_scene *scene, struct hbk_error *error);

struct hbk_scene_agents {
    const char *certificate_ttl; /* "20s"; NULL: the agent's default */
    unsigned workers;
    int cpu;            /* to pin them to; -1: any */
    const char *binary; /* another build of this program; NULL: this one */
    const char *gather; /* of --gather; NULL: the agent's default */
};

/* Starts both agents and waits until they are ready: then the pods' traffic is captured.
 * Fails: HBK_TIMEOUT, HBK_CLOSED; the error quotes the agent's log. */
HBK_MUST_USE hbk_status hbk_scene_start_agents(struct hbk_scene *scene,
                                               const struct hbk_scene_agents *options,
                                               struct hbk_error *error);

/* Stops them and takes their redirection away. */
HBK_MUST_USE hbk_status hbk_scene_stop_agents(struct hbk_scene *scene, struct hbk_error *error);

/* Runs `hauberk ARGUMENTS` on alpha to its end. */
HBK_MUST_USE hbk_status hbk_scene_run(struct hbk_scene *scene, const char *name,
                                      const char *const *arguments, struct hbk_error *error);
