#include "runtime/worker.h"

#include "harness.h"

enum { WORKERS = 3, ROUNDS = 200 };

static struct hbk_loop control;
static struct hbk_mailbox control_mailbox;
static struct hbk_team team;
static unsigned calls[WORKERS];
static unsigned rounds_done;

static void on_worker(struct hbk_round *round, struct hbk_worker *worker)
{
    (void)round;
    calls[worker->index]++;
}

static void on_done(struct hbk_round *round)
{
    rounds_done++;
    for (unsigned i = 0; i < WORKERS; i++) {
        assert_int_equal(calls[i], rounds_done);
    }
    if (rounds_done < ROUNDS) {
        hbk_round_start(&team, round);
    } else {
        hbk_loop_stop(&control);
    }
}

static void a_round_runs_once_on_every_worker_before_control(void **state)
{
    (void)state;
    assert_int_equal(hbk_loop_init(&control), HBK_OK);
    assert_int_equal(hbk_mailbox_init(&control_mailbox, &control), HBK_OK);
    assert_int_equal(hbk_team_start(&team, WORKERS, &control, &control_mailbox), HBK_OK);
    static struct hbk_round round = {.on_worker = on_worker, .on_done = on_done};
    hbk_round_start(&team, &round);
    hbk_loop_run(&control);
    assert_int_equal(rounds_done, ROUNDS);
    hbk_team_stop(&team);
    hbk_mailbox_close(&control_mailbox);
    hbk_mailbox_fini(&control_mailbox);
    hbk_loop_fini(&control);
}

static uint64_t rests[WORKERS];

static void on_resting_worker(struct hbk_round *round, struct hbk_worker *worker)
{
    on_worker(round, worker);
    hbk_loop_set_gather(&worker->loop, HBK_GATHER_NS_MAX);
    worker->loop.gather.is_on = true; /* as after a window with many slow connections */
    worker->loop.gather.window_ns = worker->loop.now_ns;
    rests[worker->index] = worker->loop.stats.rests;
}

static void rounds_and_the_end_reach_workers_that_rest(void **state)
{
    (void)state;
    rounds_done = 0;
    memset(calls, 0, sizeof calls);
    assert_int_equal(hbk_loop_init(&control), HBK_OK);
    assert_int_equal(hbk_mailbox_init(&control_mailbox, &control), HBK_OK);
    assert_int_equal(hbk_team_start(&team, WORKERS, &control, &control_mailbox), HBK_OK);
    static struct hbk_round round = {.on_worker = on_resting_worker, .on_done = on_done};
    hbk_round_start(&team, &round);
    hbk_loop_run(&control);
    assert_int_equal(rounds_done, ROUNDS);
    for (unsigned i = 0; i < WORKERS; i++) {
        assert_true(rests[i] > 0);
    }
    hbk_team_stop(&team);
    hbk_mailbox_close(&control_mailbox);
    hbk_mailbox_fini(&control_mailbox);
    hbk_loop_fini(&control);
}

static unsigned delivered;
static void on_message(struct hbk_message *message)
{
    (void)message;
    delivered++;
}

static void a_full_mailbox_refuses_and_a_closed_one_too(void **state)
{
    (void)state;
    static struct hbk_message messages[HBK_MAILBOX_MESSAGES_MAX + 1];
    struct hbk_mailbox mailbox;
    assert_int_equal(hbk_loop_init(&control), HBK_OK);
    assert_int_equal(hbk_mailbox_init(&mailbox, &control), HBK_OK);
    for (size_t i = 0; i < HBK_MAILBOX_MESSAGES_MAX; i++) {
        messages[i].run = on_message;
        assert_int_equal(hbk_mailbox_send(&mailbox, &messages[i]), HBK_OK);
    }
    struct hbk_message *extra = &messages[HBK_MAILBOX_MESSAGES_MAX];
    assert_int_equal(hbk_mailbox_send(&mailbox, extra), HBK_LIMIT);
    hbk_loop_turn(&control, UINT64_MAX);
    assert_int_equal(delivered, HBK_MAILBOX_MESSAGES_MAX);
    hbk_mailbox_close(&mailbox);
    assert_int_equal(hbk_mailbox_send(&mailbox, extra), HBK_CLOSED);
    hbk_mailbox_fini(&mailbox);
    hbk_loop_fini(&control);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_round_runs_once_on_every_worker_before_control),
        cmocka_unit_test(rounds_and_the_end_reach_workers_that_rest),
        cmocka_unit_test(a_full_mailbox_refuses_and_a_closed_one_too),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
