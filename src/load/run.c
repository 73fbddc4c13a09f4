/*
 * The control thread's side. Each thread has a client of its own and nothing that changes is
 * shared; the steps of a run are rounds to the threads and messages back:
 *
 *     control:  open --------> all warm? --> start ----> all done? --> close --> merge
 *     threads:        warm up --^                 calls --^
 *
 * The stop descriptor sends the round "stop", which makes every client done.
 */
#include "load/run.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/assert.h"
#include "base/clock.h"
#include "load/client.h"
#include "os/resolve.h"
#include "os/thread.h"
#include "runtime/worker.h"

/* Time for the threads to hear of the start. */
static const uint64_t start_delay_ns = 5 * HBK_NS_PER_MS;

/* Of a kind of failure and the words of its first time. */
enum { REASON_BYTES_MAX = HBK_LOAD_REASON_BYTES_MAX + 64 };

struct run;

/* One thread's part. Written by its thread; control reads it after the thread's message. */
struct part {
    struct run *run;
    struct hbk_load_client client;
    struct hbk_load_requests requests;
    struct hbk_load_result result; /* taken from the client when it is closed */
    struct hbk_histogram interval; /* of the last tick, with what failed in it */
    uint64_t interval_failed;
    struct hbk_task bury;
    struct hbk_message warm, done, abort;
    uint64_t connections_opened; /* at the end of warm-up, with what failed until then */
    uint64_t failures[HBK_LOAD_FAILURE_COUNT];
    char reasons[HBK_LOAD_FAILURE_COUNT][HBK_LOAD_REASON_BYTES_MAX];
    hbk_status status; /* of opening the client */
};

struct run {
    const struct hbk_load_plan *plan;
    struct hbk_address address;
    struct hbk_fortio_plan fortio;
    struct hbk_fortio_shape shape;
    struct hbk_loop loop;
    struct hbk_mailbox mailbox;
    struct hbk_team team;
    struct hbk_source stop_source;
    struct hbk_round open, start, stop, close, tick;
    struct hbk_timer timer;        /* of the next tick */
    struct hbk_histogram interval; /* of all threads */
    uint64_t interval_ns;          /* when the interval began */
    bool is_ticking;
    struct part *parts; /* owned, one per thread */
    unsigned warm_count, done_count;
    bool is_stopped;
    uint64_t start_ns;
    hbk_status status;
    struct hbk_error *error;
};

static void ignore_round(struct hbk_round *round)
{
    (void)round;
}

/* ---- on the threads ---- */

static void tell_control(struct part *part, struct hbk_message *message)
{
    hbk_status status = hbk_mailbox_send(&part->run->mailbox, message);
    HBK_ASSERT(status == HBK_OK); /* three messages per thread at most, and control outlives them */
}

static void on_client_warm(struct hbk_load_client *client)
{
    struct part *part = client->owner;
    part->connections_opened = client->result.connections_opened;
    memcpy(part->failures, client->result.failures, sizeof part->failures);
    memcpy(part->reasons, client->result.reasons, sizeof part->reasons);
    tell_control(part, &part->warm);
}

static void on_client_done(struct hbk_load_client *client)
{
    struct part *part = client->owner;
    tell_control(part, &part->done);
}

static void on_client_abort(struct hbk_load_client *client)
{
    struct part *part = client->owner;
    tell_control(part, &part->abort);
}

static void open_part(struct hbk_round *round, struct hbk_worker *worker)
{
    struct run *run = HBK_CONTAINER(round, struct run, open);
    struct part *part = &run->parts[worker->index];
    const struct hbk_load_plan *plan = run->plan;
    hbk_thread_sleep_precisely();
    part->status =
        plan->first_core < 0 ? HBK_OK : hbk_thread_pin(plan->first_core + (int)worker->index);
    part->client = (struct hbk_load_client){
        .plan = plan,
        .address = &run->address,
        .requests = &part->requests,
        .fortio = &run->fortio,
        .shape = &run->shape,
        .loop = &worker->loop,
        .lane = worker->index,
        .on_warm = on_client_warm,
        .on_done = on_client_done,
        .on_abort = on_client_abort,
        .owner = part,
    };
    if (part->status == HBK_OK) {
        part->status = hbk_load_client_open(&part->client);
    }
    if (part->status != HBK_OK) {
        part->client.phase = HBK_LOAD_OVER;
        tell_control(part, &part->warm);
        tell_control(part, &part->done);
    }
}

static void start_part(struct hbk_round *round, struct hbk_worker *worker)
{
    struct run *run = HBK_CONTAINER(round, struct run, start);
    hbk_load_client_start(&run->parts[worker->index].client, run->start_ns);
}

static void stop_part(struct hbk_round *round, struct hbk_worker *worker)
{
    struct run *run = HBK_CONTAINER(round, struct run, stop);
    hbk_load_client_stop(&run->parts[worker->index].client);
}

static void tick_part(struct hbk_round *round, struct hbk_worker *worker)
{
    struct run *run = HBK_CONTAINER(round, struct run, tick);
    struct part *part = &run->parts[worker->index];
    struct hbk_load_client *client = &part->client;
    if (part->interval.counts != NULL && client->interval.counts != NULL) {
        hbk_histogram_clear(&part->interval);
        hbk_histogram_merge(&part->interval, &client->interval);
        hbk_histogram_clear(&client->interval);
        part->interval_failed = client->interval_failed;
        client->interval_failed = 0;
    }
}

static void bury_part(struct hbk_task *task)
{
    hbk_load_client_fini(&HBK_CONTAINER(task, struct part, bury)->client);
}

static void close_part(struct hbk_round *round, struct hbk_worker *worker)
{
    struct run *run = HBK_CONTAINER(round, struct run, close);
    struct part *part = &run->parts[worker->index];
    part->result = part->client.result;
    part->client.result = (struct hbk_load_result){0};
    hbk_load_client_close(&part->client);
    /* Behind the events of this turn, some of which may be for its connections. */
    hbk_task_init(&part->bury, bury_part);
    hbk_loop_post(&worker->loop, HBK_PHASE_END, &part->bury);
}

/* ---- on the control thread ---- */

static void stop_threads(struct run *run)
{
    if (!run->is_stopped) {
        run->is_stopped = true;
        run->stop.on_worker = stop_part;
        run->stop.on_done = ignore_round;
        hbk_round_start(&run->team, &run->stop);
    }
}

static void fail_run(struct run *run, hbk_status status)
{
    run->status = status;
    stop_threads(run);
}

/* ---- intervals ---- */

static void on_ticked(struct hbk_round *round)
{
    struct run *run = HBK_CONTAINER(round, struct run, tick);
    const struct hbk_load_watch *watch = run->plan->watch;
    uint64_t record_ns = run->start_ns + run->plan->ramp_ns + run->plan->warm_up_ns;
    uint64_t now_ns = hbk_clock_monotonic_ns();
    run->is_ticking = false;
    hbk_histogram_clear(&run->interval);
    struct hbk_load_point point = {
        .since_ns = run->interval_ns - record_ns,
        .length_ns = now_ns - run->interval_ns,
    };
    for (unsigned i = 0; i < run->team.count; i++) {
        hbk_histogram_merge(&run->interval, &run->parts[i].interval);
        point.failed += run->parts[i].interval_failed;
    }
    point.calls = run->interval.total;
    point.times = &run->interval;
    point.p50_ns = hbk_histogram_percentile(&run->interval, 50);
    point.p99_ns = hbk_histogram_percentile(&run->interval, 99);
    point.max_ns = run->interval.max;
    run->interval_ns = now_ns;
    watch->on_point(watch->owner, &point);
}

static void tick(struct run *run)
{
    if (!run->is_ticking) {
        run->is_ticking = true;
        run->tick.on_worker = tick_part;
        run->tick.on_done = on_ticked;
        hbk_round_start(&run->team, &run->tick);
    }
}

static void on_tick_due(struct hbk_timer *timer)
{
    struct run *run = HBK_CONTAINER(timer, struct run, timer);
    hbk_loop_timer(&run->loop, &run->timer, run->plan->watch->interval_ns);
    tick(run);
}

/* The first interval begins with the recorded part. */
static void start_ticking(struct run *run)
{
    if (run->plan->watch == NULL) {
        return;
    }
    uint64_t lead_ns = run->plan->ramp_ns + run->plan->warm_up_ns;
    run->interval_ns = run->start_ns + lead_ns;
    hbk_loop_timer(&run->loop, &run->timer,
                   start_delay_ns + lead_ns + run->plan->watch->interval_ns);
}

/* The most frequent way in which connections could not be opened, and what the first time was
 * wrong. */
static const char *reason(const struct run *run, char out_text[static REASON_BYTES_MAX])
{
    uint64_t sums[HBK_LOAD_FAILURE_COUNT] = {0};
    unsigned worst = 0;
    const char *words = "";
    for (unsigned i = 0; i < HBK_LOAD_FAILURE_COUNT; i++) {
        for (unsigned k = 0; k < run->team.count; k++) {
            sums[i] += run->parts[k].failures[i];
        }
        worst = sums[i] > sums[worst] ? i : worst;
    }
    for (unsigned k = 0; k < run->team.count && words[0] == '\0'; k++) {
        words = run->parts[k].reasons[worst];
    }
    (void)snprintf(out_text, REASON_BYTES_MAX, "%s%s%s",
                   hbk_load_failure_text((enum hbk_load_failure)worst),
                   words[0] == '\0' ? "" : ": ", words);
    return out_text;
}

static void start_threads(struct run *run)
{
    char address[HBK_ADDRESS_TEXT_BYTES_MAX], text[REASON_BYTES_MAX];
    uint64_t opened = 0, failed = 0;
    bool has_trial = run->plan->calls == 0 || !hbk_load_plan_opens_late(run->plan);
    for (unsigned i = 0; i < run->team.count; i++) {
        if (run->parts[i].status != HBK_OK) {
            fail_run(run, hbk_error_set(run->error, run->parts[i].status,
                                        "thread %u could not be set up: %s", i,
                                        hbk_status_text(run->parts[i].status)));
            return;
        }
        opened += run->parts[i].connections_opened;
        for (unsigned k = 0; k < HBK_LOAD_FAILURE_COUNT; k++) {
            failed += run->parts[i].failures[k];
        }
    }
    if (failed > 0 && run->plan->needs_warm_up) {
        fail_run(run, hbk_error_set(run->error, HBK_NO_ROUTE,
                                    "%llu failures in warm-up (%s); -allow-initial-errors goes on "
                                    "nevertheless",
                                    (unsigned long long)failed, reason(run, text)));
        return;
    }
    if (opened == 0 && has_trial) {
        fail_run(run, hbk_error_set(run->error, HBK_NO_ROUTE,
                                    "not one connection to %s could be opened: %s",
                                    hbk_address_text(&run->address, address), reason(run, text)));
        return;
    }
    run->start_ns = hbk_clock_monotonic_ns() + start_delay_ns;
    run->start.on_worker = start_part;
    run->start.on_done = ignore_round;
    hbk_round_start(&run->team, &run->start);
    if (run->plan->watch != NULL && run->plan->watch->on_start != NULL) {
        run->plan->watch->on_start(run->plan->watch->owner, opened);
    }
    start_ticking(run);
}

static void on_warm(struct hbk_message *message)
{
    struct run *run = HBK_CONTAINER(message, struct part, warm)->run;
    if (++run->warm_count == run->team.count && !run->is_stopped) {
        start_threads(run);
    }
}

static void on_closed(struct hbk_round *round)
{
    hbk_loop_stop(&HBK_CONTAINER(round, struct run, close)->loop);
}

static void on_done(struct hbk_message *message)
{
    struct run *run = HBK_CONTAINER(message, struct part, done)->run;
    if (++run->done_count == run->team.count) {
        hbk_loop_timer_cancel(&run->loop, &run->timer);
        if (run->plan->watch != NULL && run->start_ns > 0) {
            tick(run); /* what is left of the last interval */
        }
        run->close.on_worker = close_part;
        run->close.on_done = on_closed;
        hbk_round_start(&run->team, &run->close);
    }
}

static void on_abort(struct hbk_message *message)
{
    stop_threads(HBK_CONTAINER(message, struct part, abort)->run);
}

static void on_stop(struct hbk_source *source)
{
    struct run *run = HBK_CONTAINER(source, struct run, stop_source);
    hbk_loop_remove(&run->loop, source);
    stop_threads(run);
}

static hbk_status start_team(struct run *run, int stop_fd)
{
    if (stop_fd >= 0) {
        HBK_TRY(hbk_loop_add_listener(&run->loop, &run->stop_source, stop_fd, on_stop));
    }
    HBK_TRY(hbk_team_start(&run->team, run->plan->threads, &run->loop, &run->mailbox));
    run->open.on_worker = open_part;
    run->open.on_done = ignore_round;
    hbk_round_start(&run->team, &run->open);
    return HBK_OK;
}

static hbk_status run_team(struct run *run, int stop_fd)
{
    hbk_status status = start_team(run, stop_fd);
    if (status == HBK_OK) {
        hbk_loop_run(&run->loop);
        status = run->status;
    } else {
        (void)hbk_error_set(run->error, status, "threads could not be started: %s",
                            hbk_status_text(status));
    }
    hbk_team_stop(&run->team);
    hbk_loop_remove(&run->loop, &run->stop_source);
    return status;
}

static hbk_status run_loop(struct run *run, int stop_fd)
{
    hbk_status status = hbk_loop_init(&run->loop);
    if (status != HBK_OK) {
        return hbk_error_set(run->error, status, "no event loop: %s", hbk_status_text(status));
    }
    status = hbk_mailbox_init(&run->mailbox, &run->loop);
    if (status == HBK_OK) {
        status = run_team(run, stop_fd);
        hbk_mailbox_close(&run->mailbox);
        hbk_mailbox_fini(&run->mailbox);
    }
    hbk_loop_fini(&run->loop);
    return status;
}

static hbk_status prepare(struct run *run)
{
    const struct hbk_load_plan *plan = run->plan;
    HBK_TRY(hbk_load_plan_check(plan, run->error));
    struct hbk_slice host = plan->resolve.size > 0 ? plan->resolve : plan->target.host;
    HBK_TRY(hbk_resolve(host, plan->target.port, &run->address, run->error));
    run->fortio = (struct hbk_fortio_plan){
        .rate_per_s = plan->rate_per_s,
        .duration_ns = plan->duration_ns,
        .calls = plan->calls,
        .connections = plan->connections,
        .is_uniform = plan->is_uniform,
        .has_jitter = plan->has_jitter,
        .skips_missed = plan->skips_missed,
    };
    run->shape = hbk_fortio_shape_of(&run->fortio);
    hbk_timer_init(&run->timer, on_tick_due);
    run->parts = calloc(plan->threads, sizeof *run->parts);
    hbk_status status = run->parts == NULL ? HBK_NO_MEMORY : hbk_histogram_init(&run->interval);
    for (unsigned i = 0; status == HBK_OK && i < plan->threads; i++) {
        status = hbk_histogram_init(&run->parts[i].interval);
        if (status == HBK_OK) {
            status = hbk_load_requests_init(&run->parts[i].requests, plan, run->error);
        }
    }
    if (status != HBK_OK) {
        return hbk_error_set(run->error, status, "the request: %s", hbk_status_text(status));
    }
    for (unsigned i = 0; i < plan->threads; i++) {
        run->parts[i].run = run;
        run->parts[i].warm.run = on_warm;
        run->parts[i].done.run = on_done;
        run->parts[i].abort.run = on_abort;
    }
    return HBK_OK;
}

static hbk_status merge(const struct run *run, struct hbk_load_result *out_result)
{
    struct hbk_load_result sum;
    HBK_TRY(hbk_load_result_init(&sum));
    for (unsigned i = 0; i < run->plan->threads; i++) {
        hbk_load_result_merge(&sum, &run->parts[i].result);
    }
    *out_result = sum;
    return HBK_OK;
}

hbk_status hbk_load_run(const struct hbk_load_plan *plan, int stop_fd,
                        struct hbk_load_result *out_result, struct hbk_error *error)
{
    struct run *run = calloc(1, sizeof *run);
    if (run == NULL) {
        return hbk_error_set(error, HBK_NO_MEMORY, "out of memory");
    }
    run->plan = plan;
    run->error = error;
    hbk_status status = prepare(run);
    if (status == HBK_OK) {
        status = run_loop(run, stop_fd);
    }
    if (status == HBK_OK) {
        status = merge(run, out_result);
    }
    for (unsigned i = 0; run->parts != NULL && i < plan->threads; i++) {
        hbk_load_result_fini(&run->parts[i].result);
        hbk_load_requests_fini(&run->parts[i].requests);
        hbk_histogram_fini(&run->parts[i].interval);
    }
    free(run->parts);
    hbk_histogram_fini(&run->interval);
    free(run);
    return status;
}
