/*
 * Every call becomes messages in memory of its own: a message to one worker, or a round over all of
 * them. Mailboxes keep the order, so a pod is there before it is renewed and gone after it is
 * removed.
 */
#include "proxy/proxy.h"

#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "base/log.h"
#include "identity/spiffe.h"
#include "os/fd.h"
#include "os/netns.h"
#include "os/socket.h"
#include "proxy/connection.h"

static struct hbk_shard *shard_of(const struct hbk_worker *worker)
{
    return worker->data;
}

hbk_status hbk_proxy_init(struct hbk_proxy *proxy, struct hbk_team *team,
                          const struct hbk_net_config *config)
{
    *proxy = (struct hbk_proxy){.team = team, .config = *config};
    proxy->shards = calloc(team->count, sizeof *proxy->shards);
    proxy->pods_of = calloc(team->count, sizeof *proxy->pods_of);
    if (proxy->shards == NULL || proxy->pods_of == NULL) {
        free(proxy->shards);
        free(proxy->pods_of);
        return HBK_NO_MEMORY;
    }
    for (unsigned i = 0; i < team->count; i++) {
        hbk_status status = hbk_shard_init(&proxy->shards[i], &team->workers[i], config);
        if (status != HBK_OK) {
            while (i-- > 0) {
                hbk_shard_fini(&proxy->shards[i]);
            }
            free(proxy->shards);
            free(proxy->pods_of);
            return status;
        }
        team->workers[i].data = &proxy->shards[i];
    }
    return HBK_OK;
}

/* Messages to one worker -------------------------------------------------------------------- */

struct pod_message {
    struct hbk_message message;
    struct hbk_shard *shard;
    bool is_removal;
    int fds[3];
    int netns_fd;
    const struct hbk_spiffe_id *identity;
    struct hbk_tls_credential *credential;
    size_t uid_bytes;
    char uid[];
};

static struct hbk_pod_proxy *find_pod(struct hbk_shard *shard, struct hbk_slice uid)
{
    HBK_LIST_EACH (link, &shard->pods) {
        struct hbk_pod_proxy *pod = HBK_CONTAINER(link, struct hbk_pod_proxy, link);
        if (!pod->is_closed && hbk_slice_equal(pod->uid, uid)) {
            return pod;
        }
    }
    return NULL;
}

static void on_pod_message(struct hbk_message *message)
{
    struct pod_message *order = HBK_CONTAINER(message, struct pod_message, message);
    struct hbk_slice uid = hbk_slice_of(order->uid, order->uid_bytes);
    if (order->is_removal) {
        struct hbk_pod_proxy *pod = find_pod(order->shard, uid);
        if (pod != NULL) {
            hbk_pod_close(pod, true);
        }
    } else {
        hbk_status status = hbk_pod_open(order->shard, uid, order->netns_fd, order->identity,
                                         order->credential, order->fds);
        if (status != HBK_OK) {
            hbk_log(HBK_LOG_ERROR, "proxy", "workload %.*s is not served: %s", HBK_SLICE_ARGS(uid),
                    hbk_status_text(status));
        }
    }
    free(order);
}

static struct pod_message *new_order(struct hbk_proxy *proxy, unsigned worker, struct hbk_slice uid)
{
    struct pod_message *order = calloc(1, sizeof *order + uid.size);
    if (order != NULL) {
        order->message.run = on_pod_message;
        order->shard = &proxy->shards[worker];
        order->uid_bytes = uid.size;
        memcpy(order->uid, uid.bytes, uid.size);
    }
    return order;
}

static hbk_status open_ports(const struct hbk_proxy_pod *pod, uint32_t mark, int out_fds[3],
                             struct hbk_error *error)
{
    static const uint16_t ports[3] = {HBK_PORT_OUTBOUND, HBK_PORT_INBOUND_PLAIN,
                                      HBK_PORT_INBOUND_HBONE};
    struct hbk_listen_options options = {.is_transparent = true, .mark = mark};
    HBK_CLEANUP(hbk_netns_leave) struct hbk_netns_visit visit = hbk_netns_visit_none();
    if (pod->netns_fd >= 0) {
        hbk_status status = hbk_netns_enter(pod->netns_fd, &visit);
        if (status != HBK_OK) {
            return hbk_error_set(error, status, "cannot enter the network namespace: %s",
                                 hbk_status_text(status));
        }
    }
    for (int i = 0; i < 3; i++) {
        struct hbk_address any = {.ip = {.size = 16}, .port = ports[i]};
        options.is_local = ports[i] == HBK_PORT_OUTBOUND;
        hbk_status status = hbk_socket_listen(&any, &options, &out_fds[i]);
        if (status != HBK_OK) {
            return hbk_error_set(error, status, "cannot listen on port %u: %s", ports[i],
                                 status == HBK_IN_USE ? "another process does"
                                                      : hbk_status_text(status));
        }
    }
    return HBK_OK;
}

static unsigned emptiest_worker(const struct hbk_proxy *proxy)
{
    unsigned best = 0;
    for (unsigned i = 1; i < proxy->team->count; i++) {
        best = proxy->pods_of[i] < proxy->pods_of[best] ? i : best;
    }
    return best;
}

static void close_ports(int fds[3])
{
    for (int i = 0; i < 3; i++) {
        hbk_fd_close(&fds[i]);
    }
}

hbk_status hbk_proxy_add_pod(struct hbk_proxy *proxy, const struct hbk_proxy_pod *pod,
                             unsigned *out_worker, struct hbk_error *error)
{
    HBK_CLEANUP(hbk_fd_close) int netns_fd = pod->netns_fd;
    int fds[3] = {-1, -1, -1};
    hbk_status status = open_ports(pod, proxy->config.mark, fds, error);
    unsigned worker = emptiest_worker(proxy);
    struct pod_message *order = status == HBK_OK ? new_order(proxy, worker, pod->uid) : NULL;
    if (order == NULL) {
        close_ports(fds);
        return status == HBK_OK ? hbk_error_set(error, HBK_NO_MEMORY, "out of memory") : status;
    }
    memcpy(order->fds, fds, sizeof fds);
    order->netns_fd = netns_fd;
    order->identity = hbk_spiffe_ref(pod->identity);
    order->credential = pod->credential == NULL ? NULL : hbk_tls_credential_ref(pod->credential);
    status = hbk_worker_send(&proxy->team->workers[worker], &order->message);
    if (status != HBK_OK) {
        close_ports(fds);
        hbk_spiffe_unref(order->identity);
        hbk_tls_credential_unref(order->credential);
        free(order);
        return hbk_error_set(error, status, "worker %u takes no messages", worker);
    }
    (void)hbk_fd_take(&netns_fd);
    proxy->pods_of[worker]++;
    *out_worker = worker;
    return HBK_OK;
}

void hbk_proxy_remove_pod(struct hbk_proxy *proxy, struct hbk_slice uid, unsigned worker)
{
    struct pod_message *order = new_order(proxy, worker, uid);
    if (order == NULL) {
        hbk_log(HBK_LOG_ERROR, "proxy", "no memory to stop serving workload %.*s",
                HBK_SLICE_ARGS(uid));
        return;
    }
    order->is_removal = true;
    if (hbk_worker_send(&proxy->team->workers[worker], &order->message) != HBK_OK) {
        free(order);
        return;
    }
    proxy->pods_of[worker]--;
}

/* Rounds over all workers ------------------------------------------------------------------- */

struct publication {
    struct hbk_round round;
    struct hbk_mesh *next;     /* borrowed: the proxy holds it */
    struct hbk_mesh *previous; /* owned reference: let go when nobody uses it */
};

static void publish_on_worker(struct hbk_round *round, struct hbk_worker *worker)
{
    struct publication *publication = HBK_CONTAINER(round, struct publication, round);
    hbk_shard_publish(shard_of(worker), publication->next);
}

static void published(struct hbk_round *round)
{
    struct publication *publication = HBK_CONTAINER(round, struct publication, round);
    hbk_mesh_unref(publication->previous);
    free(publication);
}

void hbk_proxy_publish(struct hbk_proxy *proxy, struct hbk_mesh *mesh)
{
    struct publication *publication = calloc(1, sizeof *publication);
    if (publication == NULL) {
        hbk_log(HBK_LOG_ERROR, "proxy", "no memory to publish a new snapshot; the old one stays");
        return;
    }
    publication->round.on_worker = publish_on_worker;
    publication->round.on_done = published;
    publication->previous = proxy->mesh;
    publication->next = hbk_mesh_ref(mesh);
    proxy->mesh = publication->next;
    hbk_round_start(proxy->team, &publication->round);
}

struct renewal {
    struct hbk_round round;
    const struct hbk_spiffe_id *identity;
    struct hbk_tls_credential *credential;
};

static void renew_on_worker(struct hbk_round *round, struct hbk_worker *worker)
{
    struct renewal *renewal = HBK_CONTAINER(round, struct renewal, round);
    hbk_shard_renew(shard_of(worker), renewal->identity, renewal->credential);
}

static void renewed(struct hbk_round *round)
{
    struct renewal *renewal = HBK_CONTAINER(round, struct renewal, round);
    hbk_spiffe_unref(renewal->identity);
    hbk_tls_credential_unref(renewal->credential);
    free(renewal);
}

void hbk_proxy_renew(struct hbk_proxy *proxy, const struct hbk_spiffe_id *identity,
                     struct hbk_tls_credential *credential)
{
    struct renewal *renewal = calloc(1, sizeof *renewal);
    if (renewal == NULL) {
        hbk_log(HBK_LOG_ERROR, "proxy", "no memory to renew a certificate; the old one stays");
        return;
    }
    renewal->round.on_worker = renew_on_worker;
    renewal->round.on_done = renewed;
    renewal->identity = hbk_spiffe_ref(identity);
    renewal->credential = hbk_tls_credential_ref(credential);
    hbk_round_start(proxy->team, &renewal->round);
}

/* Drain: asked again and again until nothing is left ----------------------------------------- */

enum { DRAIN_LOOK_MS = 50 };

struct hbk_proxy_drain {
    struct hbk_round round;
    struct hbk_timer timer;
    struct hbk_proxy *proxy;
    uint64_t until_ns;
    void (*on_done)(void *context);
    void *context;
    size_t live[HBK_WORKERS_MAX];
};

static void drain_on_worker(struct hbk_round *round, struct hbk_worker *worker)
{
    struct hbk_proxy_drain *drain = HBK_CONTAINER(round, struct hbk_proxy_drain, round);
    struct hbk_shard *shard = shard_of(worker);
    if (!shard->is_draining) {
        shard->is_draining = true;
        HBK_LIST_EACH (link, &shard->pods) {
            hbk_pod_close(HBK_CONTAINER(link, struct hbk_pod_proxy, link), false);
        }
    }
    drain->live[worker->index] = hbk_shard_live(shard);
}

static void drain_looked(struct hbk_round *round)
{
    struct hbk_proxy_drain *drain = HBK_CONTAINER(round, struct hbk_proxy_drain, round);
    struct hbk_loop *loop = drain->proxy->team->control_loop;
    size_t live = 0;
    for (unsigned i = 0; i < drain->proxy->team->count; i++) {
        live += drain->live[i];
    }
    if (live == 0 || loop->now_ns >= drain->until_ns) {
        hbk_log(HBK_LOG_INFO, "proxy", live == 0 ? "drained" : "drain deadline: %zu left", live);
        drain->proxy->drain = NULL;
        drain->on_done(drain->context);
        free(drain);
        return;
    }
    hbk_loop_timer(loop, &drain->timer, DRAIN_LOOK_MS * HBK_NS_PER_MS);
}

static void drain_look_again(struct hbk_timer *timer)
{
    struct hbk_proxy_drain *drain = HBK_CONTAINER(timer, struct hbk_proxy_drain, timer);
    hbk_round_start(drain->proxy->team, &drain->round);
}

void hbk_proxy_drain(struct hbk_proxy *proxy, uint64_t deadline_ns, void (*on_done)(void *context),
                     void *context)
{
    struct hbk_proxy_drain *drain = calloc(1, sizeof *drain);
    if (drain == NULL) {
        on_done(context);
        return;
    }
    drain->round.on_worker = drain_on_worker;
    drain->round.on_done = drain_looked;
    drain->proxy = proxy;
    proxy->drain = drain;
    drain->until_ns = proxy->team->control_loop->now_ns + deadline_ns;
    drain->on_done = on_done;
    drain->context = context;
    hbk_timer_init(&drain->timer, drain_look_again);
    hbk_round_start(proxy->team, &drain->round);
}

/* The end ----------------------------------------------------------------------------------- */

struct cut {
    struct hbk_round round;
    bool is_done;
};

static void cut_on_worker(struct hbk_round *round, struct hbk_worker *worker)
{
    (void)round;
    hbk_shard_close_all(shard_of(worker));
}

static void cut_done(struct hbk_round *round)
{
    HBK_CONTAINER(round, struct cut, round)->is_done = true;
}

/* Runs control turns until every worker has cut what it had; burials end the same turn. */
static void cut_all(struct hbk_proxy *proxy)
{
    struct cut cut = {.round = {.on_worker = cut_on_worker, .on_done = cut_done}};
    hbk_round_start(proxy->team, &cut.round);
    while (!cut.is_done) {
        hbk_loop_turn(proxy->team->control_loop, UINT64_MAX);
    }
}

void hbk_proxy_fini(struct hbk_proxy *proxy)
{
    cut_all(proxy);
    if (proxy->drain != NULL) { /* cut short: only its timer is left of it */
        hbk_loop_timer_cancel(proxy->team->control_loop, &proxy->drain->timer);
        free(proxy->drain);
    }
    unsigned count = proxy->team->count;
    hbk_team_stop(proxy->team);
    for (unsigned i = 0; i < count; i++) {
        hbk_shard_fini(&proxy->shards[i]);
    }
    hbk_mesh_unref(proxy->mesh);
    free(proxy->shards);
    free(proxy->pods_of);
}
