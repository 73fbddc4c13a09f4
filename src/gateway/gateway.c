/*
 * The order of a start: configuration, names, workers, sockets, admin port. Nothing is accepted
 * before all of it is good. At the end the reverse: sockets first, connections as they end.
 */
#include "gateway/gateway.h"

#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/log.h"
#include "exchange/upstream.h"
#include "gateway/control.h"
#include "os/fd.h"
#include "os/file.h"
#include "os/limits.h"
#include "os/signal.h"

#define DRAIN_CHECK_NS (50 * HBK_NS_PER_MS)

unsigned hbk_gateway_workers_default(void)
{
    cpu_set_t set;
    CPU_ZERO(&set);
    if (sched_getaffinity(0, sizeof set, &set) != 0) {
        return 1;
    }
    int count = CPU_COUNT(&set);
    return count < 1 ? 1 : count > HBK_WORKERS_MAX ? HBK_WORKERS_MAX : (unsigned)count;
}

enum hbk_gw_state hbk_gw_control_state(const struct hbk_gw_control *control)
{
    return control->is_draining || control->is_unhealthy ? HBK_GW_STATE_DRAINING
           : control->is_live                            ? HBK_GW_STATE_LIVE
                                                         : HBK_GW_STATE_INITIALIZING;
}

/* ---- workers ---- */

static void open_worker(struct hbk_round *round, struct hbk_worker *worker)
{
    struct hbk_gw_control *control = HBK_CONTAINER(round, struct hbk_gw_control, open);
    struct hbk_gw_shard *shard = &control->shards[worker->index];
    struct hbk_error *error = &control->errors[worker->index];
    hbk_status status = hbk_gw_shard_init(shard, control->plan, worker);
    if (status == HBK_OK) {
        status = hbk_gw_entrance_init(&control->entrances[worker->index], shard);
    }
    for (uint32_t i = 0; status == HBK_OK && i < control->plan->clusters.count; i++) {
        status = hbk_gw_pool_set_hosts(&shard->pools[i], control->members[i]);
    }
    control->statuses[worker->index] =
        status == HBK_OK ? HBK_OK : hbk_error_set(error, status, "%s", hbk_status_text(status));
}

static void listen_worker(struct hbk_round *round, struct hbk_worker *worker)
{
    struct hbk_gw_control *control = HBK_CONTAINER(round, struct hbk_gw_control, listen);
    struct hbk_error *error = &control->errors[worker->index];
    hbk_status status = hbk_gw_entrance_listen(&control->entrances[worker->index], error);
    control->statuses[worker->index] =
        status == HBK_OK ? HBK_OK : hbk_error_set(error, status, "%s", hbk_status_text(status));
}

static void close_worker(struct hbk_round *round, struct hbk_worker *worker)
{
    struct hbk_gw_control *control = HBK_CONTAINER(round, struct hbk_gw_control, close);
    hbk_gw_entrance_close(&control->entrances[worker->index]);
    hbk_gw_shard_close(&control->shards[worker->index]);
}

static void on_closed(struct hbk_round *round)
{
    hbk_loop_stop(&HBK_CONTAINER(round, struct hbk_gw_control, close)->loop);
}

void hbk_gw_control_stop(struct hbk_gw_control *control)
{
    if (control->is_closing) {
        return;
    }
    control->is_closing = true;
    control->is_draining = true;
    hbk_loop_timer_cancel(&control->loop, &control->drain_check);
    control->close.on_worker = close_worker;
    control->close.on_done = on_closed;
    hbk_round_start(&control->team, &control->close);
}

/* ---- draining ---- */

static void drain_worker(struct hbk_round *round, struct hbk_worker *worker)
{
    struct hbk_gw_control *control = HBK_CONTAINER(round, struct hbk_gw_control, drain);
    hbk_gw_entrance_shut(&control->entrances[worker->index]);
    hbk_gw_shard_drain(&control->shards[worker->index]);
}

static void drain_begun(struct hbk_round *round)
{
    (void)round;
}

static void on_drain_check(struct hbk_timer *timer)
{
    struct hbk_gw_control *control = HBK_CONTAINER(timer, struct hbk_gw_control, drain_check);
    uint64_t live = 0;
    for (unsigned i = 0; i < control->team.count; i++) {
        live += hbk_gw_read(&control->shards[i].live);
    }
    if (control->exits_when_drained &&
        (live == 0 || control->loop.now_ns >= control->drain_end_ns)) {
        hbk_log(HBK_LOG_INFO, "gateway", "drained, %llu connections left",
                (unsigned long long)live);
        hbk_gw_control_stop(control);
        return;
    }
    hbk_loop_timer(&control->loop, timer, DRAIN_CHECK_NS);
}

void hbk_gw_control_drain(struct hbk_gw_control *control, bool exits)
{
    if (exits && !control->exits_when_drained) {
        control->exits_when_drained = true;
        control->drain_end_ns = control->loop.now_ns + control->options->drain_ns;
    }
    if (control->is_draining) {
        return;
    }
    control->is_draining = true;
    hbk_log(HBK_LOG_INFO, "gateway", "draining");
    control->drain.on_worker = drain_worker;
    control->drain.on_done = drain_begun;
    hbk_round_start(&control->team, &control->drain);
    hbk_loop_timer(&control->loop, &control->drain_check, DRAIN_CHECK_NS);
}

/* SIGUSR1: somebody has moved the access logs away. Of the others the first drains, or has a drain
 * that is under way end the program; another one ends it at once. */
static void on_signal(struct hbk_source *source)
{
    struct hbk_gw_control *control = HBK_CONTAINER(source, struct hbk_gw_control, signals);
    int number = 0;
    while (hbk_signal_read(source->fd, &number) == HBK_OK) {
        if (number == SIGUSR1) {
            hbk_gw_plan_reopen_logs(control->plan);
            hbk_log(HBK_LOG_INFO, "gateway", "access logs are open anew");
            continue;
        }
        if (control->exits_when_drained) {
            hbk_gw_control_stop(control);
        } else {
            hbk_gw_control_drain(control, true);
        }
    }
    source->ready = 0;
}

/* ---- starting ---- */

static hbk_status write_admin_address(struct hbk_gw_control *control, struct hbk_error *error)
{
    char text[HBK_ADDRESS_TEXT_BYTES_MAX];
    const char *path = control->options->admin_address_path;
    if (path == NULL) {
        return HBK_OK;
    }
    hbk_status status =
        hbk_file_write(path, hbk_slice_text(hbk_address_text(&control->admin_address, text)), 0644);
    return status == HBK_OK ? HBK_OK
                            : hbk_error_set(error, status, "%s cannot be written: %s", path,
                                            hbk_status_text(status));
}

static hbk_status first_failure(struct hbk_gw_control *control)
{
    for (unsigned i = 0; i < control->team.count; i++) {
        if (control->statuses[i] != HBK_OK) {
            return hbk_error_set(control->error, control->statuses[i], "%s",
                                 control->errors[i].text);
        }
    }
    return HBK_OK;
}

static hbk_status finish_start(struct hbk_gw_control *control)
{
    HBK_TRY(first_failure(control));
    return hbk_gw_renewal_start(control, control->error);
}

static void on_listening(struct hbk_round *round)
{
    struct hbk_gw_control *control = HBK_CONTAINER(round, struct hbk_gw_control, listen);
    if (control->is_closing) {
        return;
    }
    control->status = finish_start(control);
    if (control->status != HBK_OK) {
        hbk_gw_control_stop(control);
        return;
    }
    control->is_live = true;
    hbk_log(HBK_LOG_INFO, "gateway", "ready: %u listeners, %u clusters, %u workers",
            control->plan->listener_count, control->plan->clusters.count, control->team.count);
}

/* All hosts are known, and checked once where they are checked. */
void hbk_gw_control_listen(struct hbk_gw_control *control)
{
    if (control->is_closing || control->is_draining) {
        return;
    }
    control->listen.on_worker = listen_worker;
    control->listen.on_done = on_listening;
    hbk_round_start(&control->team, &control->listen);
}

/* Every name has been looked up once. */
static void on_names(void *context)
{
    struct hbk_gw_control *control = context;
    control->status = control->is_closing ? HBK_OK : hbk_gw_membership_start(control);
    if (control->status != HBK_OK) {
        hbk_gw_control_stop(control);
    }
}

/* The admin port answers while hosts are still waited for. */
static hbk_status begin_start(struct hbk_gw_control *control)
{
    HBK_TRY(first_failure(control));
    HBK_TRY(hbk_gw_admin_open(control, control->error));
    HBK_TRY(write_admin_address(control, control->error));
    hbk_status status = hbk_gw_directory_start(&control->directory);
    return status == HBK_OK
               ? HBK_OK
               : hbk_error_set(control->error, status, "names: %s", hbk_status_text(status));
}

static void on_opened(struct hbk_round *round)
{
    struct hbk_gw_control *control = HBK_CONTAINER(round, struct hbk_gw_control, open);
    hbk_status status = begin_start(control); /* and perhaps more, up to hbk_gw_control_listen() */
    if (status != HBK_OK) {
        control->status = status;
        hbk_gw_control_stop(control);
    }
}

static hbk_status run_team(struct hbk_gw_control *control)
{
    HBK_TRY(hbk_team_start(&control->team, control->options->workers, &control->loop,
                           &control->mailbox));
    control->open.on_worker = open_worker;
    control->open.on_done = on_opened;
    hbk_round_start(&control->team, &control->open);
    hbk_loop_run(&control->loop);
    hbk_gw_directory_stop(&control->directory);
    hbk_gw_renewal_stop(control);
    hbk_gw_membership_stop(control);
    if (control->admin.loop != NULL) {
        hbk_admin_server_fini(&control->admin);
        hbk_loop_turn(&control->loop, 0); /* its connections go at the end of a turn */
    }
    hbk_team_stop(&control->team);
    return control->status;
}

static hbk_status run_loop(struct hbk_gw_control *control)
{
    static const int numbers[] = {SIGTERM, SIGINT, SIGUSR1};
    int fd = -1;
    HBK_TRY(hbk_mailbox_init(&control->mailbox, &control->loop));
    const struct hbk_gw_typed_extension *resolving =
        control->plan->config->bootstrap->typed_dns_resolver_config;
    control->directory = (struct hbk_gw_directory){
        .list = &control->plan->clusters,
        .resolving = resolving == NULL ? NULL : resolving->typed_config.message,
        .loop = &control->loop,
        .on_change = hbk_gw_on_members,
        .on_settled = on_names,
        .context = control,
    };
    hbk_timer_init(&control->drain_check, on_drain_check);
    hbk_gw_renewal_init(control);
    hbk_status status = hbk_signal_open(numbers, HBK_COUNT(numbers), &fd);
    if (status == HBK_OK) {
        status = hbk_loop_add(&control->loop, &control->signals, fd, on_signal);
    }
    if (status == HBK_OK) {
        status = run_team(control);
        hbk_loop_remove(&control->loop, &control->signals);
    }
    hbk_fd_close(&fd);
    hbk_mailbox_close(&control->mailbox);
    hbk_mailbox_fini(&control->mailbox);
    return status;
}

static hbk_status run_control(struct hbk_gw_control *control)
{
    unsigned workers = control->options->workers;
    control->shards = calloc(workers, sizeof *control->shards);
    control->entrances = calloc(workers, sizeof *control->entrances);
    control->statuses = calloc(workers, sizeof *control->statuses);
    control->errors = calloc(workers, sizeof *control->errors);
    if (control->shards == NULL || control->entrances == NULL || control->statuses == NULL ||
        control->errors == NULL) {
        return HBK_NO_MEMORY;
    }
    HBK_TRY(hbk_gw_membership_init(control));
    HBK_TRY(hbk_loop_init(&control->loop));
    control->start_ns = hbk_clock_monotonic_ns();
    control->start_time_ns = hbk_clock_realtime_ns();
    control->default_level = hbk_log_level_now();
    hbk_status status = run_loop(control);
    hbk_loop_fini(&control->loop);
    return status;
}

static void free_control(struct hbk_gw_control *control)
{
    for (unsigned i = 0; control->entrances != NULL && i < control->options->workers; i++) {
        hbk_gw_entrance_fini(&control->entrances[i]);
    }
    for (unsigned i = 0; control->shards != NULL && i < control->options->workers; i++) {
        if (control->shards[i].plan != NULL) {
            hbk_gw_shard_fini(&control->shards[i]);
        }
    }
    hbk_gw_membership_fini(control);
    free(control->entrances);
    free(control->shards);
    free(control->statuses);
    free(control->errors);
    hbk_gw_stats_fini(control);
    hbk_gw_plan_free(control->plan);
    free(control);
}

hbk_status hbk_gateway_validate(const struct hbk_bootstrap_options *options,
                                struct hbk_report *report, struct hbk_report *warnings,
                                struct hbk_error *error)
{
    static const struct hbk_gw_plan_options trial = {.is_trial = true};
    struct hbk_gw_config *config = NULL;
    struct hbk_gw_plan *plan = NULL;
    HBK_TRY(hbk_bootstrap_load(options, &config, report, warnings));
    hbk_status status = hbk_gw_plan_new(config, &trial, &plan, error);
    hbk_gw_config_unref(config);
    if (status == HBK_OK) {
        hbk_gw_plan_free(plan);
    }
    return status;
}

hbk_status hbk_gateway_run(const struct hbk_gateway_options *options, struct hbk_report *report,
                           struct hbk_report *warnings, struct hbk_error *error)
{
    struct hbk_gw_config *config = NULL;
    HBK_TRY(hbk_bootstrap_load(&options->bootstrap, &config, report, warnings));
    for (size_t i = 0; i < warnings->count; i++) {
        hbk_log(HBK_LOG_WARN, "gateway", "%s", warnings->lines[i]);
    }
    struct hbk_gw_control *control = calloc(1, sizeof *control);
    if (control == NULL) {
        hbk_gw_config_unref(config);
        return hbk_error_set(error, HBK_NO_MEMORY, "out of memory");
    }
    control->options = options;
    control->error = error;
    const struct hbk_gw_plan_options plan_options = {.log_flush_ns = options->log_flush_ns,
                                                     .batcher = options->batcher};
    hbk_status status = hbk_gw_plan_new(config, &plan_options, &control->plan, error);
    hbk_gw_config_unref(config);
    if (status == HBK_OK) {
        uint64_t files_max = 0;
        if (hbk_limits_raise_open_files(&files_max) != HBK_OK) {
            hbk_log(HBK_LOG_WARN, "gateway", "the limit of open files stays as it is");
        }
        status = run_control(control);
        if (status != HBK_OK) {
            (void)hbk_error_set(error, status, "%s", hbk_status_text(status));
        }
    }
    free_control(control);
    return status;
}
