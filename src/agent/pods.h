/*
 * The pods of this node: which of the mesh's are here, their namespaces, redirection and listeners.
 * A pod that cannot be served yet (its namespace is not there) is tried again; one whose namespace
 * was replaced is served anew. Control thread.
 */
#pragma once

#include "base/list.h"
#include "model/mesh.h"
#include "model/pod.h"
#include "os/netns.h"
#include "proxy/proxy.h"

/* How often pending pods are tried again, and namespaces looked at. */
#define HBK_PODS_LOOK_NS (2 * HBK_NS_PER_S)

/* After a change the first look comes sooner, the next ones at twice the distance: a pod that is
 * served anew finds its ports free as soon as the worker has closed the old ones. */
#define HBK_PODS_FIRST_LOOK_NS (50 * HBK_NS_PER_MS)

struct hbk_pods {
    struct hbk_proxy *proxy; /* borrowed */
    struct hbk_loop *loop;   /* borrowed */
    const char *node;        /* borrowed */
    struct hbk_mesh *mesh;   /* owned reference; NULL until the first update */
    struct hbk_list list;    /* struct hbk_pod_entry */
    struct hbk_timer timer;
    uint64_t look_ns; /* until the next look, while pods are pending */
    size_t up_count, pending_count;
    uint64_t started, stopped;

    /* The credential of an identity, borrowed; NULL while there is none. */
    struct hbk_tls_credential *(*credential_of)(void *context,
                                                const struct hbk_spiffe_id *identity);
    void (*on_change)(void *context); /* up_count or pending_count may have changed */
    void *context;
};

void hbk_pods_init(struct hbk_pods *pods, struct hbk_proxy *proxy, struct hbk_loop *loop,
                   const char *node);
void hbk_pods_fini(struct hbk_pods *pods);

/* Takes a new mesh: starts, restarts and stops pods as it says. */
void hbk_pods_update(struct hbk_pods *pods, struct hbk_mesh *mesh);

/* Whether the workload is served on `node`, that is, has a pod entry and says so. */
bool hbk_pods_is_here(const struct hbk_mesh *mesh, const struct hbk_pod *pod, const char *node,
                      const struct hbk_workload **out_workload);

/* Takes the redirection of every pod of the node away; goes on after failures, keeps the first. */
hbk_status hbk_pods_clean_up(const struct hbk_mesh *mesh, const char *node,
                             struct hbk_error *error);
