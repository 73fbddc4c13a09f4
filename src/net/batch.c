#include "net/batch.h"

#include "base/assert.h"
#include "os/fd.h"
#include "os/poll.h"

/* Looks when the batcher wants to run next. */
static void schedule(struct hbk_batch *batch)
{
    uint64_t due_ns = hbk_key_worker_due_ns(batch->keys);
    if (due_ns == UINT64_MAX) {
        hbk_loop_timer_cancel(batch->loop, &batch->timer);
    } else if (due_ns <= batch->loop->now_ns) {
        hbk_loop_post(batch->loop, HBK_PHASE_CRYPTO, &batch->task);
    } else {
        hbk_timer_set(&batch->loop->timers, &batch->timer, due_ns);
    }
}

/* At most one batch a turn: what more is due makes the next turn come without sleep. */
static void on_task(struct hbk_task *task)
{
    struct hbk_batch *batch = HBK_CONTAINER(task, struct hbk_batch, task);
    if (!hbk_timer_is_set(&batch->tidy) && hbk_tls_worker_has_forms(batch->tls)) {
        hbk_loop_timer(batch->loop, &batch->tidy, HBK_BATCH_TIDY_NS);
    }
    if (hbk_key_worker_flush(batch->keys, batch->loop->now_ns)) {
        hbk_loop_post(batch->loop, HBK_PHASE_CRYPTO, &batch->task);
    } else {
        schedule(batch);
    }
}

static void on_timer(struct hbk_timer *timer)
{
    struct hbk_batch *batch = HBK_CONTAINER(timer, struct hbk_batch, timer);
    hbk_loop_post(batch->loop, HBK_PHASE_CRYPTO, &batch->task);
}

/* A worker with nothing on its shelf is not woken again. */
static void on_tidy(struct hbk_timer *timer)
{
    struct hbk_batch *batch = HBK_CONTAINER(timer, struct hbk_batch, tidy);
    if (hbk_tls_worker_tidy(batch->tls)) {
        hbk_loop_timer(batch->loop, timer, HBK_BATCH_TIDY_NS);
    }
}

static void on_event(struct hbk_source *source)
{
    struct hbk_batch *batch = HBK_CONTAINER(source, struct hbk_batch, source);
    source->ready = 0;
    hbk_event_clear(batch->event);
    hbk_loop_post(batch->loop, HBK_PHASE_CRYPTO, &batch->task);
}

/* On the thread of a device. */
static void on_answer(void *argument)
{
    const struct hbk_batch *batch = argument;
    hbk_event_set(batch->event);
}

hbk_status hbk_batch_serve_devices(struct hbk_batch *batch)
{
    HBK_TRY(hbk_event_open(&batch->event));
    HBK_TRY(hbk_key_worker_set_wake(batch->keys, on_answer, batch));
    return hbk_loop_add(batch->loop, &batch->source, batch->event, on_event);
}

void hbk_batch_wake(struct hbk_batch *batch)
{
    schedule(batch);
}

hbk_status hbk_batch_init(struct hbk_batch *batch, struct hbk_loop *loop,
                          const struct hbk_batch_options *options)
{
    static const struct hbk_batch_options defaults;
    struct hbk_batcher_options batcher;
    options = options == NULL ? &defaults : options;
    hbk_batcher_options_init(&batcher);
    *batch = (struct hbk_batch){.loop = loop, .event = -1};
    hbk_task_init(&batch->task, on_task);
    hbk_timer_init(&batch->timer, on_timer);
    hbk_timer_init(&batch->tidy, on_tidy);
    hbk_verdict_cache_init(&batch->verdicts, options->verdicts_max == 0 ? HBK_VERDICT_CACHE_ENTRIES
                                                                        : options->verdicts_max);
    hbk_status status =
        hbk_batcher_new(options->batcher == NULL ? &batcher : options->batcher, &batch->batcher);
    if (status == HBK_OK) {
        status = hbk_key_worker_new(batch->batcher, &batch->keys);
    }
    if (status == HBK_OK) {
        const struct hbk_tls_worker_options tls = {
            .keys = batch->keys,
            .verdicts = &batch->verdicts,
            .handshakes_max = options->handshakes_max,
            .key_log = options->key_log,
            .key_log_owner = options->key_log_owner,
        };
        status = hbk_tls_worker_new(&tls, &batch->tls);
    }
    if (status != HBK_OK) {
        hbk_batch_fini(batch);
    }
    return status;
}

void hbk_batch_fini(struct hbk_batch *batch)
{
    if (batch->loop == NULL) {
        return;
    }
    hbk_loop_timer_cancel(batch->loop, &batch->timer);
    hbk_loop_timer_cancel(batch->loop, &batch->tidy);
    hbk_task_cancel(&batch->task);
    hbk_tls_worker_free(batch->tls);
    hbk_verdict_cache_fini(&batch->verdicts);
    hbk_key_worker_free(batch->keys); /* from here on no device calls on_answer */
    /* A worker's loop may be gone already: closing the descriptor is what unwatches it. */
    batch->source.on_ready = NULL;
    hbk_fd_close(&batch->event);
    if (batch->batcher != NULL) {
        hbk_batcher_free(batch->batcher);
    }
    batch->loop = NULL;
    batch->tls = NULL;
    batch->keys = NULL;
    batch->batcher = NULL;
}
