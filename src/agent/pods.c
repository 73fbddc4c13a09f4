#include "agent/pods.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/arena.h"
#include "base/log.h"
#include "model/workload.h"
#include "os/fd.h"
#include "os/redirect.h"

enum { WHERE_BYTES_MAX = 4200 };

struct hbk_pod_entry {
    struct hbk_link link;
    const struct hbk_pod *pod;            /* owned reference */
    const struct hbk_spiffe_id *identity; /* owned reference */
    struct hbk_netns_identity netns;      /* while it is up */
    unsigned worker;
    bool is_up;
    bool is_listed; /* during an update: the new mesh has it */
    bool has_complained;
};

static void on_timer(struct hbk_timer *timer);

void hbk_pods_init(struct hbk_pods *pods, struct hbk_proxy *proxy, struct hbk_loop *loop,
                   const char *node)
{
    *pods = (struct hbk_pods){
        .proxy = proxy, .loop = loop, .node = node, .look_ns = HBK_PODS_FIRST_LOOK_NS};
    hbk_list_init(&pods->list);
    hbk_timer_init(&pods->timer, on_timer);
}

static const char *where_of(const struct hbk_pod *pod, char where[static WHERE_BYTES_MAX])
{
    switch (pod->netns_kind) {
    case HBK_NETNS_PATH:
        (void)snprintf(where, WHERE_BYTES_MAX, "%.*s", HBK_SLICE_ARGS(pod->path));
        break;
    case HBK_NETNS_PID:
        (void)snprintf(where, WHERE_BYTES_MAX, "pid:%u", pod->pid);
        break;
    case HBK_NETNS_HOST:
        (void)snprintf(where, WHERE_BYTES_MAX, "host");
        break;
    }
    return where;
}

/* Redirection ------------------------------------------------------------------------------- */

static struct hbk_redirect_ports ports_of(const uint16_t *ports, uint32_t count)
{
    return (struct hbk_redirect_ports){.ports = ports, .count = count};
}

/* The spec borrows from the pod, but for cgroup paths, which want to be terminated. */
static hbk_status make_spec(struct hbk_arena *arena, const struct hbk_pod *pod,
                            struct hbk_redirect_spec *out_spec)
{
    const char **cgroups = hbk_arena_array(arena, pod->capture_cgroup_count, sizeof *cgroups);
    for (uint32_t i = 0; cgroups != NULL && i < pod->capture_cgroup_count; i++) {
        cgroups[i] = hbk_arena_string(arena, pod->capture_cgroups[i].text);
        cgroups = cgroups[i] == NULL ? NULL : cgroups;
    }
    if (cgroups == NULL) {
        return HBK_NO_MEMORY;
    }
    *out_spec = (struct hbk_redirect_spec){
        .kind = pod->netns_kind == HBK_NETNS_HOST ? HBK_REDIRECT_HOST : HBK_REDIRECT_POD,
        .excluded_inbound = ports_of(pod->exclude_inbound_ports, pod->exclude_inbound_port_count),
        .excluded_outbound =
            ports_of(pod->exclude_outbound_ports, pod->exclude_outbound_port_count),
        .excluded_cidrs = pod->exclude_outbound_cidrs,
        .excluded_cidr_count = pod->exclude_outbound_cidr_count,
        .captured_uids = pod->capture_uids,
        .captured_uid_count = pod->capture_uid_count,
        .captured_cgroups = cgroups,
        .captured_cgroup_count = pod->capture_cgroup_count,
        .captured_outbound =
            ports_of(pod->capture_outbound_ports, pod->capture_outbound_port_count),
        .captured_inbound = ports_of(pod->capture_inbound_ports, pod->capture_inbound_port_count),
    };
    return HBK_OK;
}

static hbk_status apply_redirect(const struct hbk_pod *pod, int netns_fd, struct hbk_error *error)
{
    struct hbk_arena arena;
    hbk_arena_init(&arena);
    struct hbk_redirect_spec spec;
    hbk_status status = make_spec(&arena, pod, &spec);
    status = status == HBK_OK ? hbk_redirect_apply(netns_fd, &spec, error)
                              : hbk_error_set(error, status, "out of memory");
    hbk_arena_fini(&arena);
    return status;
}

/* Entries ----------------------------------------------------------------------------------- */

static void complain(struct hbk_pod_entry *entry, const struct hbk_error *error)
{
    if (!entry->has_complained) {
        entry->has_complained = true;
        hbk_log(HBK_LOG_WARN, "agent", "workload %.*s cannot be served yet: %s",
                HBK_SLICE_ARGS(hbk_pod_uid(entry->pod)), error->text);
    }
}

/* Redirection first: until somebody listens, the workload has no network. */
static hbk_status bring_up(struct hbk_pods *pods, struct hbk_pod_entry *entry,
                           struct hbk_error *error)
{
    char where[WHERE_BYTES_MAX];
    HBK_CLEANUP(hbk_fd_close) int netns_fd = -1;
    HBK_TRY(hbk_netns_open(where_of(entry->pod, where), &netns_fd, error));
    HBK_TRY(hbk_netns_identity(netns_fd, &entry->netns));
    HBK_TRY(apply_redirect(entry->pod, netns_fd, error));
    struct hbk_proxy_pod pod = {
        .uid = hbk_pod_uid(entry->pod),
        .netns_fd = entry->pod->netns_kind == HBK_NETNS_HOST ? -1 : hbk_fd_take(&netns_fd),
        .identity = entry->identity,
        .credential = pods->credential_of(pods->context, entry->identity),
    };
    return hbk_proxy_add_pod(pods->proxy, &pod, &entry->worker, error);
}

static void start(struct hbk_pods *pods, struct hbk_pod_entry *entry)
{
    struct hbk_error error = {.status = HBK_OK};
    hbk_status status = bring_up(pods, entry, &error);
    if (status != HBK_OK) {
        (void)hbk_error_set(&error, status, "%s", hbk_status_text(status));
        complain(entry, &error);
        return;
    }
    entry->is_up = true;
    entry->has_complained = false;
    pods->started++;
    hbk_log(HBK_LOG_INFO, "agent", "workload %.*s is served as %.*s by worker %u",
            HBK_SLICE_ARGS(hbk_pod_uid(entry->pod)), HBK_SLICE_ARGS(entry->identity->text),
            entry->worker);
}

static void stop(struct hbk_pods *pods, struct hbk_pod_entry *entry)
{
    if (entry->is_up) {
        hbk_proxy_remove_pod(pods->proxy, hbk_pod_uid(entry->pod), entry->worker);
        entry->is_up = false;
        pods->stopped++;
        hbk_log(HBK_LOG_INFO, "agent", "workload %.*s is not served any more",
                HBK_SLICE_ARGS(hbk_pod_uid(entry->pod)));
    }
}

static void drop(struct hbk_pods *pods, struct hbk_pod_entry *entry)
{
    stop(pods, entry);
    hbk_link_remove(&entry->link);
    hbk_record_unref((struct hbk_record *)(uintptr_t)&entry->pod->record);
    hbk_spiffe_unref(entry->identity);
    free(entry);
}

void hbk_pods_fini(struct hbk_pods *pods)
{
    hbk_loop_timer_cancel(pods->loop, &pods->timer);
    HBK_LIST_EACH (link, &pods->list) {
        struct hbk_pod_entry *entry = HBK_CONTAINER(link, struct hbk_pod_entry, link);
        entry->is_up = false; /* the proxy ends with us */
        drop(pods, entry);
    }
    hbk_mesh_unref(pods->mesh);
}

/* Updates ----------------------------------------------------------------------------------- */

bool hbk_pods_is_here(const struct hbk_mesh *mesh, const struct hbk_pod *pod, const char *node,
                      const struct hbk_workload **out_workload)
{
    const struct hbk_workload *workload = hbk_mesh_workload(mesh, hbk_pod_uid(pod));
    if (workload == NULL || !hbk_slice_equal(workload->node, hbk_slice_text(node))) {
        return false;
    }
    *out_workload = workload;
    return true;
}

static struct hbk_pod_entry *find(struct hbk_pods *pods, struct hbk_slice uid)
{
    HBK_LIST_EACH (link, &pods->list) {
        struct hbk_pod_entry *entry = HBK_CONTAINER(link, struct hbk_pod_entry, link);
        if (hbk_slice_equal(hbk_pod_uid(entry->pod), uid)) {
            return entry;
        }
    }
    return NULL;
}

static void list_pod(struct hbk_pods *pods, const struct hbk_pod *pod,
                     const struct hbk_workload *workload)
{
    struct hbk_pod_entry *entry = find(pods, hbk_pod_uid(pod));
    /* Records with unchanged content are the same object in both meshes. */
    if (entry != NULL && (entry->pod != pod || entry->identity != workload->identity)) {
        drop(pods, entry);
        entry = NULL;
    }
    if (entry == NULL) {
        entry = calloc(1, sizeof *entry);
        if (entry == NULL) {
            hbk_log(HBK_LOG_ERROR, "agent", "no memory for another pod");
            return;
        }
        entry->pod = (const struct hbk_pod *)(void *)hbk_record_ref(&pod->record);
        entry->identity = hbk_spiffe_ref(workload->identity);
        hbk_list_append(&pods->list, &entry->link);
    }
    entry->is_listed = true;
}

static void look_again(struct hbk_pods *pods)
{
    pods->up_count = 0;
    pods->pending_count = 0;
    HBK_LIST_EACH (link, &pods->list) {
        struct hbk_pod_entry *entry = HBK_CONTAINER(link, struct hbk_pod_entry, link);
        if (!entry->is_up) {
            start(pods, entry);
        }
        pods->up_count += entry->is_up;
        pods->pending_count += !entry->is_up;
    }
    pods->on_change(pods->context);
    hbk_loop_timer(pods->loop, &pods->timer,
                   pods->pending_count > 0 ? pods->look_ns : HBK_PODS_LOOK_NS);
    pods->look_ns = pods->look_ns < HBK_PODS_LOOK_NS / 2 ? 2 * pods->look_ns : HBK_PODS_LOOK_NS;
}

void hbk_pods_update(struct hbk_pods *pods, struct hbk_mesh *mesh)
{
    HBK_LIST_EACH (link, &pods->list) {
        HBK_CONTAINER(link, struct hbk_pod_entry, link)->is_listed = false;
    }
    struct hbk_trie_walk walk = hbk_mesh_walk(mesh, HBK_MESH_PODS);
    for (const struct hbk_record *record; (record = hbk_trie_next(&walk)) != NULL;) {
        const struct hbk_pod *pod = (const struct hbk_pod *)(const void *)record;
        const struct hbk_workload *workload = NULL;
        if (hbk_pods_is_here(mesh, pod, pods->node, &workload)) {
            list_pod(pods, pod, workload);
        }
    }
    HBK_LIST_EACH (link, &pods->list) {
        struct hbk_pod_entry *entry = HBK_CONTAINER(link, struct hbk_pod_entry, link);
        if (!entry->is_listed) {
            drop(pods, entry);
        }
    }
    hbk_mesh_unref(pods->mesh);
    pods->mesh = hbk_mesh_ref(mesh);
    pods->look_ns = HBK_PODS_FIRST_LOOK_NS;
    look_again(pods);
}

/* A pod that was restarted has another namespace under the same name. */
static bool was_replaced(const struct hbk_pod_entry *entry)
{
    if (entry->pod->netns_kind == HBK_NETNS_HOST) {
        return false;
    }
    char where[WHERE_BYTES_MAX];
    HBK_CLEANUP(hbk_fd_close) int netns_fd = -1;
    struct hbk_error error = {.status = HBK_OK};
    struct hbk_netns_identity now;
    return hbk_netns_open(where_of(entry->pod, where), &netns_fd, &error) != HBK_OK ||
           hbk_netns_identity(netns_fd, &now) != HBK_OK ||
           !hbk_netns_identity_equal(&now, &entry->netns);
}

static void on_timer(struct hbk_timer *timer)
{
    struct hbk_pods *pods = HBK_CONTAINER(timer, struct hbk_pods, timer);
    HBK_LIST_EACH (link, &pods->list) {
        struct hbk_pod_entry *entry = HBK_CONTAINER(link, struct hbk_pod_entry, link);
        if (entry->is_up && was_replaced(entry)) {
            stop(pods, entry);
            pods->look_ns = HBK_PODS_FIRST_LOOK_NS;
        }
    }
    look_again(pods);
}

/* Clean-up ---------------------------------------------------------------------------------- */

static hbk_status clean_pod(const struct hbk_pod *pod, struct hbk_error *error)
{
    char where[WHERE_BYTES_MAX];
    HBK_CLEANUP(hbk_fd_close) int netns_fd = -1;
    HBK_TRY(hbk_netns_open(where_of(pod, where), &netns_fd, error));
    return hbk_redirect_remove(netns_fd, error);
}

hbk_status hbk_pods_clean_up(const struct hbk_mesh *mesh, const char *node, struct hbk_error *error)
{
    hbk_status first = HBK_OK;
    struct hbk_trie_walk walk = hbk_mesh_walk(mesh, HBK_MESH_PODS);
    for (const struct hbk_record *record; (record = hbk_trie_next(&walk)) != NULL;) {
        const struct hbk_pod *pod = (const struct hbk_pod *)(const void *)record;
        const struct hbk_workload *workload = NULL;
        if (hbk_pods_is_here(mesh, pod, node, &workload)) {
            hbk_status status = clean_pod(pod, error);
            first = first == HBK_OK ? status : first;
        }
    }
    return first;
}
