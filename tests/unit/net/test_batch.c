#include "net/batch.h"

#include "forge.h"
#include "loopback.h"
#include "tls/certificate.h"
#include "tls/engine.h"

/* A job that makes a key pair and notes when. */
struct work {
    struct hbk_job job;
    struct hbk_task after; /* what the job's owner does next */
    unsigned completed;
};

static struct bench bench;
static char story[64];

static void tell(const char *word)
{
    strncat(story, word, sizeof story - strlen(story) - 1);
}

static void on_flight(struct hbk_task *task)
{
    (void)task;
    tell("flight ");
}

static void on_complete(struct hbk_job *job)
{
    struct work *work = HBK_CONTAINER(job, struct work, job);
    work->completed++;
    tell("batch ");
    hbk_loop_post(&bench.loop, HBK_PHASE_FLIGHT, &work->after);
}

static void submit(struct hbk_batch *batch, struct work *work)
{
    *work = (struct work){
        .job = {.kind = HBK_JOB_X25519_KEYGEN, .complete = on_complete},
    };
    hbk_task_init(&work->after, on_flight);
    assert_int_equal(hbk_batcher_submit(batch->batcher, &work->job, bench.loop.now_ns), HBK_OK);
    hbk_batch_wake(batch);
}

static int set_up(void **state)
{
    (void)state;
    story[0] = '\0';
    bench_init(&bench);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    bench_fini(&bench);
    return 0;
}

static void the_net_takes_the_batchers_options_from_its_config(void **state)
{
    (void)state;
    struct hbk_batcher_options options;
    struct hbk_net_config config = HBK_NET_CONFIG_DEFAULT;
    struct hbk_net net;
    struct work work;
    hbk_batcher_options_init(&options);
    options.policy = HBK_BATCH_FIXED;
    options.delay_ns = 3 * HBK_NS_PER_MS;
    config.batcher = &options;
    assert_int_equal(hbk_net_init(&net, &bench.loop, &config), HBK_OK);
    submit(&net.batch, &work);
    assert_int_equal(hbk_batcher_due_ns(net.batch.batcher), bench.loop.now_ns + 3 * HBK_NS_PER_MS);
    hbk_batcher_cancel(net.batch.batcher, &work.job);
    hbk_net_fini(&net);
}

struct two_tasks {
    struct hbk_task write, submit;
    struct work work;
};

static void on_write(struct hbk_task *task)
{
    (void)task;
    tell("data ");
}

static void on_submit(struct hbk_task *task)
{
    struct two_tasks *two = HBK_CONTAINER(task, struct two_tasks, submit);
    submit(&bench.net.batch, &two->work);
    hbk_loop_post(&bench.loop, HBK_PHASE_WRITE, &two->write);
}

/* The order of a turn (runtime/loop.h): nobody's data waits for somebody's signature. */
static void a_batch_runs_behind_the_turns_data_and_before_its_flights(void **state)
{
    (void)state;
    struct two_tasks two;
    hbk_task_init(&two.write, on_write);
    hbk_task_init(&two.submit, on_submit);
    hbk_loop_post(&bench.loop, HBK_PHASE_READ, &two.submit);
    hbk_loop_turn(&bench.loop, 0);
    assert_string_equal(story, "data batch flight ");
}

/* One batch a turn; the others follow in turns that do not sleep. */
static void what_is_more_than_a_batch_waits_for_the_next_turn(void **state)
{
    (void)state;
    enum { JOBS = 20 };
    struct work works[JOBS];
    unsigned completed = 0;
    for (size_t i = 0; i < JOBS; i++) {
        submit(&bench.net.batch, &works[i]);
    }
    for (unsigned turn = 0; turn < JOBS && completed < JOBS; turn++) {
        hbk_loop_turn(&bench.loop, HBK_NS_PER_S); /* would sleep a second with nothing due */
        unsigned before = completed;
        completed = 0;
        for (size_t i = 0; i < JOBS; i++) {
            completed += works[i].completed;
        }
        assert_in_range(completed - before, 1, HBK_LANES);
    }
    assert_int_equal(completed, JOBS);
    assert_int_equal(hbk_batcher_due_ns(bench.net.batch.batcher), UINT64_MAX);
}

/* A policy that waits is woken by the loop's timers. */
static void a_policy_that_waits_is_given_its_time(void **state)
{
    (void)state;
    struct hbk_batcher_options options;
    struct hbk_batch batch;
    struct work work;
    hbk_batcher_options_init(&options);
    options.policy = HBK_BATCH_FIXED;
    options.delay_ns = 5 * HBK_NS_PER_MS;
    assert_int_equal(
        hbk_batch_init(&batch, &bench.loop, &(struct hbk_batch_options){.batcher = &options}),
        HBK_OK);
    submit(&batch, &work);
    hbk_loop_turn(&bench.loop, 0);
    clock_pass(3 * HBK_NS_PER_MS);
    hbk_loop_turn(&bench.loop, 0);
    assert_int_equal(work.completed, 0);
    clock_pass(4 * HBK_NS_PER_MS);
    hbk_loop_turn(&bench.loop, 0);
    assert_int_equal(work.completed, 1);
    hbk_batch_fini(&batch);
    hbk_batch_fini(&batch); /* idempotent */
}

/* What a handshake of TLS 1.2 leaves with its worker; nobody shakes hands any more. */
static void keys_that_were_rotated_out_go_within_a_second(void **state)
{
    (void)state;
    struct hbk_batch *batch = &bench.net.batch;
    const struct hbk_openssl_shelf *shelf = &batch->tls->shelf;
    struct forged leaf = forge((struct forge){.names = "DNS:a.test"});
    const struct hbk_tls_certificate_options options = {
        .chain = &leaf.certificate, .chain_count = 1, .private_key = leaf.key};
    const struct hbk_tls_certificate *certificate = NULL;
    struct hbk_error error = {0};
    struct work work;
    assert_int_equal(hbk_tls_certificate_new(&options, &certificate, &error), HBK_OK);
    assert_non_null(hbk_openssl_shelf_get(&batch->tls->shelf, certificate));
    submit(batch, &work);
    turns(&bench, 1);
    pass(&bench, 3 * HBK_BATCH_TIDY_NS);
    assert_int_equal(shelf->count, 1); /* it is still served */
    hbk_tls_certificate_unref(certificate);
    pass(&bench, HBK_BATCH_TIDY_NS);
    assert_int_equal(shelf->count, 0);
    assert_false(hbk_timer_is_set(&batch->tidy)); /* an idle worker sleeps */
    forged_free(&leaf);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(the_net_takes_the_batchers_options_from_its_config, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(a_batch_runs_behind_the_turns_data_and_before_its_flights,
                                        set_up, tear_down),
        cmocka_unit_test_setup_teardown(what_is_more_than_a_batch_waits_for_the_next_turn, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(a_policy_that_waits_is_given_its_time, set_up, tear_down),
        cmocka_unit_test_setup_teardown(keys_that_were_rotated_out_go_within_a_second, set_up,
                                        tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
