#include "runtime/loop.h"

#include "base/assert.h"
#include "base/clock.h"
#include "os/fd.h"

hbk_status hbk_loop_init(struct hbk_loop *loop)
{
    *loop = (struct hbk_loop){.poll = -1, .wake = -1, .wake_ns = UINT64_MAX};
    loop->now_ns = hbk_clock_monotonic_ns();
    hbk_timers_init(&loop->timers, loop->now_ns);
    hbk_gather_init(&loop->gather, 0, loop->now_ns);
    for (unsigned phase = 0; phase < HBK_PHASE_COUNT; phase++) {
        hbk_list_init(&loop->tasks[phase]);
    }
    HBK_TRY(hbk_poll_open(&loop->poll));
    hbk_status status = hbk_wake_open(&loop->wake);
    if (status == HBK_OK) {
        status = hbk_poll_add(loop->poll, loop->wake, &loop->wake_source);
    }
    if (status != HBK_OK) {
        hbk_loop_fini(loop);
    }
    return status;
}

void hbk_loop_fini(struct hbk_loop *loop)
{
    hbk_timers_fini(&loop->timers);
    for (unsigned phase = 0; phase < HBK_PHASE_COUNT; phase++) {
        while (hbk_list_pop(&loop->tasks[phase]) != NULL) {
        }
    }
    hbk_fd_close(&loop->wake);
    hbk_fd_close(&loop->poll);
}

hbk_status hbk_loop_add(struct hbk_loop *loop, struct hbk_source *source, int fd,
                        void (*on_ready)(struct hbk_source *source))
{
    /* Ready before it is watched: a loop that runs already may see it at once. */
    *source = (struct hbk_source){.fd = fd, .on_ready = on_ready};
    hbk_status status = hbk_poll_add(loop->poll, fd, source);
    if (status != HBK_OK) {
        source->on_ready = NULL;
    }
    return status;
}

hbk_status hbk_loop_add_listener(struct hbk_loop *loop, struct hbk_source *source, int fd,
                                 void (*on_ready)(struct hbk_source *source))
{
    HBK_TRY(hbk_poll_add_listener(loop->poll, fd, source));
    *source = (struct hbk_source){.fd = fd, .on_ready = on_ready};
    return HBK_OK;
}

void hbk_loop_set_gather(struct hbk_loop *loop, uint64_t limit_ns)
{
    if (limit_ns != loop->gather.limit_ns) {
        hbk_gather_init(&loop->gather, limit_ns, loop->now_ns);
    }
}

void hbk_loop_told(struct hbk_loop *loop, struct hbk_source *source)
{
    hbk_gather_told(&loop->gather, &source->pace, loop->now_ns);
}

void hbk_loop_remove(struct hbk_loop *loop, struct hbk_source *source)
{
    if (source->on_ready != NULL) {
        source->on_ready = NULL;
        hbk_poll_remove(loop->poll, source->fd);
    }
}

/* Runs the tasks that are posted now, not those that they post. */
static void run_phase(struct hbk_loop *loop, enum hbk_phase phase)
{
    struct hbk_list *posted = &loop->tasks[phase];
    if (hbk_list_is_empty(posted)) {
        return;
    }
    struct hbk_list now;
    hbk_list_init(&now);
    hbk_list_move(&now, posted);
    for (struct hbk_link *link; (link = hbk_list_pop(&now)) != NULL;) {
        struct hbk_task *task = HBK_CONTAINER(link, struct hbk_task, link);
        task->run(task);
    }
}

static bool has_tasks(const struct hbk_loop *loop)
{
    for (unsigned phase = 0; phase < HBK_PHASE_COUNT; phase++) {
        if (!hbk_list_is_empty(&loop->tasks[phase])) {
            return true;
        }
    }
    return false;
}

/* Sets the alarm clock for the next timer, if that is not what it is set to. Timers that were
 * cancelled leave it early, which costs one turn. */
static void set_wake(struct hbk_loop *loop)
{
    uint64_t next_ns = hbk_timers_next_ns(&loop->timers);
    bool has_rung = loop->wake_ns <= loop->now_ns;
    if (next_ns < loop->wake_ns || (has_rung && next_ns != UINT64_MAX)) {
        loop->wake_ns = next_ns;
        hbk_wake_at(loop->wake, next_ns);
    } else if (has_rung) {
        loop->wake_ns = UINT64_MAX;
    }
}

/* How long the kernel may let us sleep. */
static uint64_t sleep_ns(struct hbk_loop *loop, uint64_t wait_ns)
{
    if (has_tasks(loop)) {
        return 0;
    }
    set_wake(loop);
    if (loop->alarm == NULL || loop->alarm->due_ns == UINT64_MAX) {
        return wait_ns;
    }
    uint64_t now_ns = hbk_clock_monotonic_ns();
    uint64_t left_ns = loop->alarm->due_ns > now_ns ? loop->alarm->due_ns - now_ns : 0;
    return left_ns < wait_ns ? left_ns : wait_ns;
}

/*
 * Waits for events, with a rest before it if that is the time for one. A rest loses none: the
 * kernel puts what happens meanwhile on the poll's list, whether or not somebody waits there, and
 * it stays on it until a wait takes it, which is the next thing that is done. So the wait after the
 * rest returns at once if there was anything, and sleeps as it always did if there was not. An
 * event is late by one rest at most: the look before it found nothing.
 */
static unsigned wait_for_events(struct hbk_loop *loop, uint64_t wait_ns,
                                struct hbk_poll_event events[static HBK_POLL_EVENTS_MAX])
{
    uint64_t most_ns = sleep_ns(loop, wait_ns);
    uint64_t rest_ns = hbk_gather_rest_ns(&loop->gather, loop->now_ns, loop->wake_ns);
    rest_ns = rest_ns < most_ns ? rest_ns : most_ns;
    if (rest_ns == 0) {
        return hbk_poll_wait(loop->poll, most_ns, events);
    }
    unsigned count = hbk_poll_wait(loop->poll, 0, events);
    if (count > 0) {
        return count;
    }
    loop->stats.rests++;
    hbk_poll_rest(rest_ns);
    return hbk_poll_wait(loop->poll, most_ns == UINT64_MAX ? most_ns : most_ns - rest_ns, events);
}

static void run_alarm(struct hbk_loop *loop)
{
    struct hbk_alarm *alarm = loop->alarm;
    if (alarm != NULL && alarm->due_ns <= loop->now_ns) {
        alarm->on_due(alarm);
    }
}

static void run_sources(struct hbk_loop *loop, const struct hbk_poll_event *events, unsigned count)
{
    for (unsigned i = 0; i < count; i++) {
        struct hbk_source *source = events[i].owner;
        source->ready |= events[i].ready;
        if (source->on_ready == NULL) {
            continue;
        }
        if (source->is_single) {
            hbk_gather_heard(&loop->gather, &source->pace, loop->now_ns);
        }
        source->on_ready(source);
    }
}

static void count_turn(struct hbk_loop *loop, unsigned events)
{
    uint64_t turn_ns = hbk_clock_monotonic_ns() - loop->now_ns;
    loop->stats.turns++;
    loop->stats.events += events;
    loop->stats.busy_ns += turn_ns;
    if (turn_ns > loop->stats.longest_turn_ns) {
        loop->stats.longest_turn_ns = turn_ns;
    }
}

void hbk_loop_turn(struct hbk_loop *loop, uint64_t wait_ns)
{
    struct hbk_poll_event events[HBK_POLL_EVENTS_MAX];
    unsigned count = wait_for_events(loop, wait_ns, events);
    loop->now_ns = hbk_clock_monotonic_ns();
    hbk_timers_run(&loop->timers, loop->now_ns);
    run_alarm(loop);
    run_sources(loop, events, count);
    for (unsigned phase = 0; phase < HBK_PHASE_COUNT; phase++) {
        run_phase(loop, phase);
    }
    hbk_gather_end_turn(&loop->gather, loop->now_ns);
    count_turn(loop, count);
}

void hbk_loop_run(struct hbk_loop *loop)
{
    while (!loop->is_stopping) {
        hbk_loop_turn(loop, UINT64_MAX);
    }
}

void hbk_loop_stop(struct hbk_loop *loop)
{
    loop->is_stopping = true;
}
