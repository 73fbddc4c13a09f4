/*
 * The proxy as control sees it: pods are added and removed, snapshots published, certificates
 * renewed, counts collected, all of it drained at the end. Each call becomes messages to the
 * workers. Control thread, all of it; results come back on the control loop.
 */
#pragma once

#include "base/error.h"
#include "model/mesh.h"
#include "net/net.h"
#include "proxy/connection.h"
#include "proxy/shard.h"
#include "runtime/worker.h"
#include "telemetry/telemetry.h"

/* Connections that one listing shows of one worker; more are left out. */
enum { HBK_PROXY_LIST_MAX = 1 << 16 };

struct hbk_proxy_drain;

struct hbk_proxy {
    struct hbk_team *team;    /* borrowed */
    struct hbk_shard *shards; /* owned, one per worker */
    struct hbk_mesh *mesh;    /* owned reference: the snapshot that workers have or will get */
    struct hbk_net_config config;
    size_t *pods_of;               /* owned: pods per worker, to place the next one */
    struct hbk_proxy_drain *drain; /* owned; NULL: none is under way */
};

/* Fails: HBK_NO_MEMORY. The team runs already and has seen no messages. */
HBK_MUST_USE hbk_status hbk_proxy_init(struct hbk_proxy *proxy, struct hbk_team *team,
                                       const struct hbk_net_config *config);

/* Cuts everything that is left, lets workers bury it, and frees. The team still runs before and is
 * stopped by this. */
void hbk_proxy_fini(struct hbk_proxy *proxy);

/* Where a pod's connections are taken from. */
struct hbk_proxy_pod {
    struct hbk_slice uid;                  /* of its workload; borrowed for the call */
    int netns_fd;                          /* owned from the call on; -1: the agent's namespace */
    const struct hbk_spiffe_id *identity;  /* borrowed for the call */
    struct hbk_tls_credential *credential; /* borrowed for the call; NULL: later */
};

/*
 * Opens the pod's three ports and gives them to the worker with the fewest pods.
 *
 * Fails: HBK_IN_USE (a port; the error says which), HBK_DENIED, HBK_LIMIT, HBK_NO_MEMORY;
 * netns_fd is closed then, too.
 */
HBK_MUST_USE hbk_status hbk_proxy_add_pod(struct hbk_proxy *proxy, const struct hbk_proxy_pod *pod,
                                          unsigned *out_worker, struct hbk_error *error);

/* Stops serving a pod at once: its namespace is normally gone. */
void hbk_proxy_remove_pod(struct hbk_proxy *proxy, struct hbk_slice uid, unsigned worker);

/* Makes `mesh` the snapshot of all workers; the one before is let go when all have left it. */
void hbk_proxy_publish(struct hbk_proxy *proxy, struct hbk_mesh *mesh);

/* New connections of this identity's pods use the credential. */
void hbk_proxy_renew(struct hbk_proxy *proxy, const struct hbk_spiffe_id *identity,
                     struct hbk_tls_credential *credential);

/*
 * Stops accepting and drains tunnels; calls back when nothing is left or `deadline_ns` from now
 * have passed. Once.
 */
void hbk_proxy_drain(struct hbk_proxy *proxy, uint64_t deadline_ns, void (*on_done)(void *context),
                     void *context);

/* Adds what the workers counted to `totals`, then calls back. */
void hbk_proxy_collect(struct hbk_proxy *proxy, struct hbk_telemetry *totals,
                       void (*on_done)(void *context), void *context);

/* A live connection, for people. Texts are terminated. */
struct hbk_connection_view {
    const char *pod; /* uid of its workload; borrowed from the list */
    enum hbk_connection_kind kind;
    struct hbk_address source, destination, target;
    const char *tls_engine; /* as in struct hbk_connection */
};

struct hbk_connection_list {
    struct hbk_connection_view *items; /* pod by pod */
    size_t count;
    const char **pods; /* uids of all pods, also those without connections */
    size_t pod_count;
};

/* Lists what is live and calls back with the list, borrowed during the call. */
void hbk_proxy_list(struct hbk_proxy *proxy,
                    void (*on_done)(void *context, const struct hbk_connection_list *list),
                    void *context);
