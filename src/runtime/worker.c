#include "runtime/worker.h"

#include <sched.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/assert.h"

static void *run_worker(void *argument)
{
    struct hbk_worker *worker = argument;
    char name[16];
    (void)snprintf(name, sizeof name, "worker-%u", worker->index);
    (void)pthread_setname_np(pthread_self(), name);
    hbk_loop_run(&worker->loop);
    hbk_mailbox_close(&worker->mailbox);
    return NULL;
}

static hbk_status start_thread(struct hbk_worker *worker)
{
    pthread_attr_t attributes;
    HBK_ASSERT(pthread_attr_init(&attributes) == 0);
    HBK_ASSERT(pthread_attr_setstacksize(&attributes, HBK_WORKER_STACK_BYTES) == 0);
    int error = pthread_create(&worker->thread, &attributes, run_worker, worker);
    pthread_attr_destroy(&attributes);
    return error == 0 ? HBK_OK : HBK_LIMIT;
}

static hbk_status start_worker(struct hbk_worker *worker, unsigned index)
{
    worker->index = index;
    HBK_TRY(hbk_loop_init(&worker->loop));
    hbk_status status = hbk_mailbox_init(&worker->mailbox, &worker->loop);
    if (status == HBK_OK) {
        status = start_thread(worker);
        if (status == HBK_OK) {
            return HBK_OK;
        }
        hbk_mailbox_close(&worker->mailbox);
        hbk_mailbox_fini(&worker->mailbox);
    }
    hbk_loop_fini(&worker->loop);
    return status;
}

hbk_status hbk_team_start(struct hbk_team *team, unsigned count, struct hbk_loop *control_loop,
                          struct hbk_mailbox *control_mailbox)
{
    HBK_ASSERT(count > 0 && count <= HBK_WORKERS_MAX);
    *team = (struct hbk_team){
        .control_loop = control_loop,
        .control_mailbox = control_mailbox,
        .workers = calloc(count, sizeof(struct hbk_worker)),
    };
    if (team->workers == NULL) {
        return HBK_NO_MEMORY;
    }
    while (team->count < count) {
        hbk_status status = start_worker(&team->workers[team->count], team->count);
        if (status != HBK_OK) {
            hbk_team_stop(team);
            return status;
        }
        team->count++;
    }
    return HBK_OK;
}

struct stop_message {
    struct hbk_message message;
    struct hbk_loop *loop;
};

static void on_stop(struct hbk_message *message)
{
    struct stop_message *stop = HBK_CONTAINER(message, struct stop_message, message);
    hbk_loop_stop(stop->loop);
}

hbk_status hbk_worker_send(struct hbk_worker *worker, struct hbk_message *message)
{
    hbk_status status = HBK_LIMIT;
    while ((status = hbk_mailbox_send(&worker->mailbox, message)) == HBK_LIMIT) {
        sched_yield();
    }
    return status;
}

void hbk_team_stop(struct hbk_team *team)
{
    for (unsigned i = 0; i < team->count; i++) {
        struct hbk_worker *worker = &team->workers[i];
        struct stop_message stop = {.message = {.run = on_stop}, .loop = &worker->loop};
        HBK_ASSERT(hbk_worker_send(worker, &stop.message) == HBK_OK);
        HBK_ASSERT(pthread_join(worker->thread, NULL) == 0);
        hbk_mailbox_fini(&worker->mailbox);
        hbk_loop_fini(&worker->loop);
    }
    free(team->workers);
    *team = (struct hbk_team){0};
}

static void on_round_done(struct hbk_message *message)
{
    struct hbk_round *round = HBK_CONTAINER(message, struct hbk_round, done);
    round->on_done(round);
}

static void leave_round(struct hbk_round *round)
{
    if (atomic_fetch_sub_explicit(&round->left, 1, memory_order_acq_rel) == 1) {
        hbk_status status = hbk_mailbox_send(round->team->control_mailbox, &round->done);
        /* Only control starts rounds, a few at a time, and it closes its mailbox after the team. */
        HBK_ASSERT(status == HBK_OK);
    }
}

static void on_round_part(struct hbk_message *message)
{
    struct hbk_round_part *part = HBK_CONTAINER(message, struct hbk_round_part, message);
    part->round->on_worker(part->round, part->worker);
    leave_round(part->round);
}

void hbk_round_start(struct hbk_team *team, struct hbk_round *round)
{
    round->team = team;
    round->done.run = on_round_done;
    atomic_init(&round->left, team->count + 1);
    for (unsigned i = 0; i < team->count; i++) {
        round->parts[i] = (struct hbk_round_part){
            .message = {.run = on_round_part},
            .round = round,
            .worker = &team->workers[i],
        };
        if (hbk_worker_send(&team->workers[i], &round->parts[i].message) != HBK_OK) {
            leave_round(round);
        }
    }
    leave_round(round); /* our own part: keeps the round from ending while it is started */
}
