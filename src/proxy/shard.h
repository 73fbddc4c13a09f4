/*
 * A shard is one worker's part of the proxy: its pods, their connections and tunnels, and what it
 * counts. Everything here belongs to that worker's thread; control reaches it by messages alone
 * (proxy/proxy.h).
 */
#pragma once

#include "base/list.h"
#include "base/pool.h"
#include "crypto/batcher.h"
#include "identity/verdict.h"
#include "model/mesh.h"
#include "net/listener.h"
#include "net/net.h"
#include "net/upstream.h"
#include "policy/route.h"
#include "runtime/worker.h"
#include "telemetry/telemetry.h"
#include "tls/credential.h"

enum {
    /* Connections of one worker; descriptors run out before on most machines. */
    HBK_SHARD_CONNECTIONS_MAX = 1 << 20,
    /* Server tunnels of one pod, with or without streams. */
    HBK_POD_SERVER_TUNNELS_MAX = 4096,
};

struct hbk_shard {
    struct hbk_worker *worker; /* borrowed */
    struct hbk_net net;
    struct hbk_upstream upstream;
    struct hbk_telemetry telemetry;
    struct hbk_mesh *mesh;    /* borrowed: control keeps it until the round that replaces it ends */
    struct hbk_list pods;     /* through pod->link */
    struct hbk_pool outbound; /* struct hbk_outbound */
    struct hbk_pool inbound;  /* struct hbk_inbound */
    struct hbk_pool passthroughs; /* struct hbk_plain */
    struct hbk_net_counters told; /* what telemetry knows of net's counters */
    struct hbk_loop_stats told_loop;
    struct hbk_batcher_counters told_batches;
    uint64_t random;
    bool is_draining;
};

/* One pod that this worker serves. */
struct hbk_pod_proxy {
    struct hbk_link link;
    struct hbk_shard *shard;               /* borrowed */
    struct hbk_slice uid;                  /* owned text */
    int netns_fd;                          /* owned; -1: the agent's own namespace */
    const struct hbk_spiffe_id *identity;  /* owned reference */
    struct hbk_tls_credential *credential; /* owned reference; NULL until there is one */
    struct hbk_listener outbound, plain, hbone;
    struct hbk_list connections; /* through connection->in_pod */
    struct hbk_list tunnels;     /* server tunnels, through tunnel->link */
    size_t tunnel_count;
    struct hbk_task burial;
    bool is_closed; /* listens no more; freed with its last connection */
};

/* Fails: HBK_NO_MEMORY. On control, before any message is sent to the worker. */
HBK_MUST_USE hbk_status hbk_shard_init(struct hbk_shard *shard, struct hbk_worker *worker,
                                       const struct hbk_net_config *config);

/* After the worker's thread has ended, and hbk_shard_close_all() before that. */
void hbk_shard_fini(struct hbk_shard *shard);

/* The workload of a pod in the snapshot of this turn; NULL when it is not known (any more). */
const struct hbk_workload *hbk_pod_workload(const struct hbk_pod_proxy *pod);

/* Pseudo-random bits for balancing; not for secrets. */
uint64_t hbk_shard_random(struct hbk_shard *shard);

/*
 * Opens a TCP connection from the pod's namespace, from `source` (NULL: the kernel chooses); to the
 * pod's own workload also from an address that is somebody else's.
 * Fails: as hbk_socket_connect(), HBK_DENIED when the namespace cannot be entered.
 */
HBK_MUST_USE hbk_status hbk_pod_connect(struct hbk_pod_proxy *pod, const struct hbk_address *to,
                                        const struct hbk_address *source, bool is_to_workload,
                                        int *out_fd);

/* Takes listening sockets, in the order of the ports above; owns them and the rest of the arguments
 * from here on, whatever happens. Fails: HBK_NO_MEMORY, HBK_LIMIT; the pod is gone then. */
HBK_MUST_USE hbk_status hbk_pod_open(struct hbk_shard *shard, struct hbk_slice uid, int netns_fd,
                                     const struct hbk_spiffe_id *identity,
                                     struct hbk_tls_credential *credential, const int fds[3]);

/* Stops listening. Established connections are reset when `is_hard`, else server tunnels drain. */
void hbk_pod_close(struct hbk_pod_proxy *pod, bool is_hard);

/* Frees a closed pod that has nothing left. */
void hbk_pod_release(struct hbk_pod_proxy *pod);

/* Gives every pod of that identity the new credential. */
void hbk_shard_renew(struct hbk_shard *shard, const struct hbk_spiffe_id *identity,
                     struct hbk_tls_credential *credential);

/* Takes the new snapshot and lets it act on what is live. */
void hbk_shard_publish(struct hbk_shard *shard, struct hbk_mesh *mesh);

/* Ends what is left, with "connection closed due to connection drain". */
void hbk_shard_close_all(struct hbk_shard *shard);

/* Connections and tunnels that are alive. */
size_t hbk_shard_live(const struct hbk_shard *shard);
