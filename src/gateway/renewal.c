/*
 * Secrets that change. The directories of all files that secrets came from are watched; after a
 * change and some quiet every context made of such secrets is built anew, and each worker gets it
 * between two turns. Connections keep the context that they began with.
 *
 * A pair that is half written does not fit together, and a context refuses it: then the old one
 * stays, and the files are looked at again a little later.
 */
#include "base/clock.h"
#include "base/log.h"
#include "exchange/upstream.h"
#include "gateway/control.h"
#include "tls/ticket.h"

#include <stdlib.h>

#define QUIET_NS (100 * HBK_NS_PER_MS)
#define AGAIN_NS HBK_NS_PER_S

/* A context on its way to the workers: of a handler, or of a cluster. */
struct renewal {
    struct hbk_round round;
    struct hbk_gw_control *control;
    bool is_cluster;
    uint32_t index;
    struct hbk_tls_context *context; /* a reference */
};

/* Lets go of the old one: with its last holder its keys go. */
static void put(struct hbk_tls_context **place, struct hbk_tls_context *context)
{
    hbk_tls_context_unref(*place);
    *place = hbk_tls_context_ref(context);
}

static void swap(struct hbk_round *round, struct hbk_worker *worker)
{
    struct renewal *renewal = HBK_CONTAINER(round, struct renewal, round);
    struct hbk_gw_shard *shard = &renewal->control->shards[worker->index];
    put(renewal->is_cluster ? &shard->pools[renewal->index].tls : &shard->contexts[renewal->index],
        renewal->context);
}

static void swapped(struct hbk_round *round)
{
    struct renewal *renewal = HBK_CONTAINER(round, struct renewal, round);
    hbk_tls_context_unref(renewal->context);
    free(renewal);
}

/* Takes the reference. */
static void send(struct hbk_gw_control *control, bool is_cluster, uint32_t index,
                 struct hbk_tls_context *context)
{
    struct renewal *renewal = calloc(1, sizeof *renewal);
    if (renewal == NULL) {
        hbk_tls_context_unref(context);
        return;
    }
    control->renewals++;
    put(is_cluster ? &control->plan->clusters.items[index].tls
                   : &control->plan->handlers[index].tls,
        context);
    if (is_cluster && control->health != NULL) {
        hbk_gw_health_set_tls(control->health, index, context);
    }
    renewal->control = control;
    renewal->is_cluster = is_cluster;
    renewal->index = index;
    renewal->context = context;
    renewal->round.on_worker = swap;
    renewal->round.on_done = swapped;
    hbk_round_start(&control->team, &renewal->round);
}

static bool keep_old(struct hbk_gw_control *control, const char *what, struct hbk_slice name,
                     const struct hbk_error *error)
{
    control->renewals_failed++;
    hbk_log(HBK_LOG_WARN, "gateway", "%s \"%.*s\" keeps its old secrets: %s", what,
            HBK_SLICE_ARGS(name), error->text);
    return false;
}

static bool renew_handler(struct hbk_gw_control *control, uint32_t index)
{
    const struct hbk_gw_handler *handler = &control->plan->handlers[index];
    if (handler->tls == NULL) {
        return true;
    }
    const struct hbk_gw_downstream_tls *config =
        handler->chain->transport_socket->typed_config.message;
    struct hbk_error error = {.status = HBK_OK};
    struct hbk_tls_context *context = NULL;
    if (!hbk_gw_downstream_uses_files(config)) {
        return true;
    }
    if (hbk_gw_downstream_context(&control->plan->vault, config, &context, &error) != HBK_OK) {
        return keep_old(control, "stat_prefix", handler->stat_prefix, &error);
    }
    send(control, false, index, context);
    return true;
}

static bool renew_cluster(struct hbk_gw_control *control, uint32_t index)
{
    const struct hbk_gw_plan_cluster *cluster = &control->plan->clusters.items[index];
    if (cluster->tls == NULL) {
        return true;
    }
    const struct hbk_gw_upstream_tls *config =
        cluster->config->transport_socket->typed_config.message;
    struct hbk_error error = {.status = HBK_OK};
    struct hbk_tls_context *context = NULL;
    if (!hbk_gw_uses_files(config->common_tls_context)) {
        return true;
    }
    bool is_http2 = cluster->config->upstream_protocol == HBK_GW_UPSTREAM_HTTP2;
    if (hbk_gw_upstream_context(&control->plan->vault, config, is_http2 ? "h2" : NULL, &context,
                                &error) != HBK_OK) {
        return keep_old(control, "cluster", cluster->config->name, &error);
    }
    send(control, true, index, context);
    return true;
}

static void on_notice(struct hbk_source *source);

/* Watches the directories that secrets came from and that are not watched yet: new secrets may name
 * files in others. Fails as hbk_watch_open(). */
static hbk_status watch_learned(struct hbk_gw_control *control, struct hbk_error *error)
{
    const struct hbk_gw_vault *vault = &control->plan->vault;
    while (control->watched_count < vault->watched_count) {
        const char *path = vault->watched[control->watched_count];
        struct hbk_gw_watched *watched = &control->watched[control->watched_count];
        watched->control = control;
        hbk_status status = hbk_watch_open(&watched->watch, path);
        if (status == HBK_OK) {
            status = hbk_loop_add(&control->loop, &watched->source, watched->watch.fd, on_notice);
            if (status != HBK_OK) {
                hbk_watch_close(&watched->watch);
            }
        }
        if (status != HBK_OK) {
            return hbk_error_set(error, status, "%s cannot be watched: %s", path,
                                 hbk_status_text(status));
        }
        control->watched_count++;
    }
    return HBK_OK;
}

static void on_renewal(struct hbk_timer *timer)
{
    struct hbk_gw_control *control = HBK_CONTAINER(timer, struct hbk_gw_control, renewal);
    bool is_good = true;
    control->is_renewal_near = false;
    for (uint32_t i = 0; i < control->plan->handler_count; i++) {
        is_good &= renew_handler(control, i);
    }
    for (uint32_t i = 0; i < control->plan->clusters.count; i++) {
        is_good &= renew_cluster(control, i);
    }
    struct hbk_error error = {.status = HBK_OK};
    if (watch_learned(control, &error) != HBK_OK) {
        hbk_log(HBK_LOG_WARN, "gateway", "%s", error.text);
        is_good = false;
    }
    if (!is_good) {
        hbk_loop_timer(&control->loop, timer, AGAIN_NS);
    }
}

static void on_name(struct hbk_slice name, void *context)
{
    (void)name;
    *(bool *)context = true;
}

/* The time counts from the first notice: a directory in which there is always something going on
 * would put a later end off for ever. */
static void on_notice(struct hbk_source *source)
{
    struct hbk_gw_watched *watched = HBK_CONTAINER(source, struct hbk_gw_watched, source);
    bool has_changed = false;
    if (hbk_watch_read(&watched->watch, on_name, &has_changed) && has_changed &&
        !watched->control->is_renewal_near) {
        watched->control->is_renewal_near = true;
        hbk_loop_timer(&watched->control->loop, &watched->control->renewal, QUIET_NS);
    }
    source->ready = 0;
}

static void on_rotation(struct hbk_timer *timer)
{
    struct hbk_gw_control *control = HBK_CONTAINER(timer, struct hbk_gw_control, rotation);
    hbk_gw_vault_rotate_tickets(&control->plan->vault);
    hbk_loop_timer(&control->loop, timer, HBK_TLS_TICKET_ROTATION_S * HBK_NS_PER_S);
}

void hbk_gw_renewal_init(struct hbk_gw_control *control)
{
    hbk_timer_init(&control->renewal, on_renewal);
    hbk_timer_init(&control->rotation, on_rotation);
}

hbk_status hbk_gw_renewal_start(struct hbk_gw_control *control, struct hbk_error *error)
{
    hbk_loop_timer(&control->loop, &control->rotation, HBK_TLS_TICKET_ROTATION_S * HBK_NS_PER_S);
    return watch_learned(control, error);
}

void hbk_gw_renewal_stop(struct hbk_gw_control *control)
{
    hbk_loop_timer_cancel(&control->loop, &control->renewal);
    hbk_loop_timer_cancel(&control->loop, &control->rotation);
    for (size_t i = 0; i < control->watched_count; i++) {
        hbk_loop_remove(&control->loop, &control->watched[i].source);
        hbk_watch_close(&control->watched[i].watch);
    }
    control->watched_count = 0;
}
