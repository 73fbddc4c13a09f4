/*
 * Which hosts the clusters have: as the directory finds them, and as checks leave them. A new set
 * goes to every worker between two turns, and the old one is freed when all have it.
 */
#include "gateway/control.h"

#include <stdlib.h>

#include "base/log.h"
#include "exchange/upstream.h"

/* ---- sets ---- */

struct update {
    struct hbk_round round;
    struct hbk_gw_control *control;
    uint32_t cluster;
    struct hbk_gw_members *fresh, *old;
};

static void update_worker(struct hbk_round *round, struct hbk_worker *worker)
{
    struct update *update = HBK_CONTAINER(round, struct update, round);
    struct hbk_gw_pool *pool = &update->control->shards[worker->index].pools[update->cluster];
    if (hbk_gw_pool_set_hosts(pool, update->fresh) != HBK_OK) {
        hbk_log(HBK_LOG_ERROR, "gateway", "out of memory for hosts of a cluster");
    }
}

static void update_done(struct hbk_round *round)
{
    struct update *update = HBK_CONTAINER(round, struct update, round);
    hbk_gw_members_free(update->old);
    free(update);
}

/* Takes the members. */
static void set_members(struct hbk_gw_control *control, uint32_t cluster,
                        struct hbk_gw_members *members)
{
    struct update *update = calloc(1, sizeof *update);
    if (update == NULL) {
        hbk_gw_members_free(members);
        return;
    }
    update->control = control;
    update->cluster = cluster;
    update->fresh = members;
    update->old = control->members[cluster];
    control->members[cluster] = members;
    if (control->health != NULL &&
        hbk_gw_health_set_members(control->health, cluster, members) != HBK_OK) {
        hbk_log(HBK_LOG_ERROR, "gateway", "out of memory for checks of a cluster's hosts");
    }
    update->round.on_worker = update_worker;
    update->round.on_done = update_done;
    hbk_round_start(&control->team, &update->round);
}

void hbk_gw_on_members(struct hbk_gw_directory *directory, uint32_t cluster,
                       struct hbk_gw_members *members, void *context)
{
    struct hbk_gw_control *control = context;
    struct hbk_gw_members *next = NULL;
    (void)directory;
    if (control->is_closing) {
        hbk_gw_members_free(members);
        return;
    }
    hbk_status status = hbk_gw_members_succeed(control->plan->clusters.items[cluster].config,
                                               control->members[cluster], members,
                                               control->options->workers, &next);
    hbk_gw_members_free(members);
    if (status == HBK_OK && hbk_gw_members_equal(control->members[cluster], next)) {
        hbk_gw_members_free(next);
    } else if (status == HBK_OK) {
        set_members(control, cluster, next);
    }
}

/* ---- checks ---- */

struct failure {
    struct hbk_round round;
    struct hbk_gw_control *control;
    uint32_t cluster;
    struct hbk_address address;
};

static void fail_on_worker(struct hbk_round *round, struct hbk_worker *worker)
{
    struct failure *failure = HBK_CONTAINER(round, struct failure, round);
    hbk_gw_pool_host_failed(&failure->control->shards[worker->index].pools[failure->cluster],
                            &failure->address);
}

static void failure_done(struct hbk_round *round)
{
    free(HBK_CONTAINER(round, struct failure, round));
}

static bool is_gone(const struct hbk_gw_members *members, uint32_t index)
{
    const struct hbk_gw_vitals *vitals = members->vitals[index];
    uint32_t flags =
        vitals == NULL ? 0 : atomic_load_explicit(&vitals->flags, memory_order_relaxed);
    return (flags & HBK_GW_PENDING_REMOVAL) != 0 && (flags & HBK_GW_FAILED_ACTIVE_HC) != 0;
}

static void prune(struct hbk_gw_control *control, uint32_t cluster)
{
    const struct hbk_gw_members *old = control->members[cluster];
    uint32_t gone = 0;
    for (uint32_t i = 0; i < old->count; i++) {
        gone += is_gone(old, i) ? 1 : 0;
    }
    struct hbk_gw_members *next = gone == 0 ? NULL : hbk_gw_members_new(old->count);
    if (next == NULL) {
        return;
    }
    for (uint32_t i = 0; i < old->count; i++) {
        if (!is_gone(old, i)) {
            hbk_gw_members_add(next, old->endpoints[i], &old->addresses[i],
                               hbk_gw_vitals_ref(old->vitals[i]));
            next->figures[next->count - 1] = hbk_gw_figures_ref(old->figures[i]);
        }
    }
    set_members(control, cluster, next);
}

static void on_prune(struct hbk_task *task)
{
    struct hbk_gw_control *control = HBK_CONTAINER(task, struct hbk_gw_control, prune);
    for (uint32_t i = 0; i < control->plan->clusters.count; i++) {
        prune(control, i);
    }
}

static void on_change(void *context, uint32_t cluster, const struct hbk_address *address,
                      bool is_failed)
{
    struct hbk_gw_control *control = context;
    struct failure *failure = is_failed && !control->is_closing ? calloc(1, sizeof *failure) : NULL;
    if (failure == NULL) {
        return; /* workers see the vitals anyway */
    }
    failure->control = control;
    failure->cluster = cluster;
    failure->address = *address;
    failure->round.on_worker = fail_on_worker;
    failure->round.on_done = failure_done;
    hbk_round_start(&control->team, &failure->round);
    hbk_loop_post(&control->loop, HBK_PHASE_END, &control->prune);
}

static void on_settled(void *context)
{
    hbk_gw_control_listen(context);
}

static bool has_traffic(void *context, uint32_t cluster)
{
    const struct hbk_gw_control *control = context;
    bool has = false;
    for (unsigned i = 0; i < control->team.count; i++) {
        has |= hbk_gw_read(&control->shards[i].pools[cluster].stats[HBK_GW_C_CX_TOTAL]) > 0;
    }
    return has;
}

/* ---- beginning and end ---- */

hbk_status hbk_gw_membership_init(struct hbk_gw_control *control)
{
    uint32_t count = control->plan->clusters.count;
    control->members = calloc((size_t)count + 1, sizeof *control->members);
    if (control->members == NULL) {
        return HBK_NO_MEMORY;
    }
    hbk_task_init(&control->prune, on_prune);
    for (uint32_t i = 0; i < count; i++) {
        const struct hbk_gw_plan_cluster *cluster = &control->plan->clusters.items[i];
        struct hbk_gw_members *found = hbk_gw_members_of_file(cluster);
        if (found == NULL) {
            return HBK_NO_MEMORY;
        }
        hbk_status status = hbk_gw_members_succeed(cluster->config, NULL, found,
                                                   control->options->workers, &control->members[i]);
        hbk_gw_members_free(found);
        HBK_TRY(status);
    }
    return HBK_OK;
}

hbk_status hbk_gw_membership_start(struct hbk_gw_control *control)
{
    const struct hbk_gw_health_events events = {.on_change = on_change,
                                                .on_settled = on_settled,
                                                .has_traffic = has_traffic,
                                                .context = control};
    hbk_status status = HBK_OK;
    if (!hbk_gw_health_is_wanted(&control->plan->clusters)) {
        hbk_gw_control_listen(control);
        return HBK_OK;
    }
    status = hbk_gw_health_new(&control->loop, &control->plan->clusters, control->plan->batcher,
                               &events, &control->health);
    for (uint32_t i = 0; status == HBK_OK && i < control->plan->clusters.count; i++) {
        status = hbk_gw_health_set_members(control->health, i, control->members[i]);
    }
    if (status != HBK_OK) {
        return hbk_error_set(control->error, status, "health checks: %s", hbk_status_text(status));
    }
    if (hbk_gw_health_await(control->health)) {
        hbk_gw_control_listen(control);
    } else {
        hbk_log(HBK_LOG_INFO, "gateway", "waiting for the first checks of hosts");
    }
    return HBK_OK;
}

void hbk_gw_membership_stop(struct hbk_gw_control *control)
{
    hbk_task_cancel(&control->prune);
    if (control->health != NULL) {
        hbk_gw_health_stop(control->health);
        hbk_loop_turn(&control->loop, 0); /* connections go at the end of a turn */
        hbk_gw_health_free(control->health);
        control->health = NULL;
    }
}

void hbk_gw_membership_fini(struct hbk_gw_control *control)
{
    for (uint32_t i = 0; control->members != NULL && i < control->plan->clusters.count; i++) {
        hbk_gw_members_free(control->members[i]);
    }
    free(control->members);
}
