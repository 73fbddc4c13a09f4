#include "runtime/loop.h"

#include <pthread.h>
#include <unistd.h>

#include "harness.h"

static char order[16];
static size_t order_size;

struct step {
    struct hbk_task task;
    char name;
};

static void note(char name)
{
    if (order_size < sizeof order - 1) {
        order[order_size++] = name;
        order[order_size] = '\0';
    }
}

static void on_step(struct hbk_task *task)
{
    note(HBK_CONTAINER(task, struct step, task)->name);
}

static struct hbk_loop loop;
static struct hbk_task again;

static void on_again(struct hbk_task *task)
{
    note('a');
    hbk_loop_post(&loop, HBK_PHASE_READ, task);
}

static void phases_run_in_their_order_whatever_was_posted_first(void **state)
{
    (void)state;
    assert_int_equal(hbk_loop_init(&loop), HBK_OK);
    struct step steps[HBK_PHASE_COUNT];
    order_size = 0;
    for (int phase = HBK_PHASE_COUNT - 1; phase >= 0; phase--) {
        steps[phase].name = (char)('0' + phase);
        hbk_task_init(&steps[phase].task, on_step);
        hbk_loop_post(&loop, (enum hbk_phase)phase, &steps[phase].task);
        hbk_loop_post(&loop, (enum hbk_phase)phase, &steps[phase].task);
    }
    hbk_loop_turn(&loop, UINT64_MAX);
    assert_string_equal(order, "01234");
    hbk_loop_fini(&loop);
}

static void a_task_posted_in_its_own_phase_waits_for_the_next_turn(void **state)
{
    (void)state;
    assert_int_equal(hbk_loop_init(&loop), HBK_OK);
    order_size = 0;
    hbk_task_init(&again, on_again);
    hbk_loop_post(&loop, HBK_PHASE_READ, &again);
    hbk_loop_turn(&loop, UINT64_MAX);
    assert_string_equal(order, "a");
    hbk_loop_turn(&loop, UINT64_MAX); /* does not sleep: there is work */
    assert_string_equal(order, "aa");
    hbk_loop_fini(&loop);
}

static struct hbk_source first, second;

static void remove_the_other(struct hbk_source *source)
{
    note(source == &first ? '1' : '2');
    hbk_loop_remove(&loop, source == &first ? &second : &first);
}

static void a_source_removed_in_a_turn_is_not_called_any_more(void **state)
{
    (void)state;
    assert_int_equal(hbk_loop_init(&loop), HBK_OK);
    order_size = 0;
    int pipes[2][2];
    assert_int_equal(pipe(pipes[0]), 0);
    assert_int_equal(pipe(pipes[1]), 0);
    assert_int_equal(write(pipes[0][1], "x", 1), 1);
    assert_int_equal(write(pipes[1][1], "x", 1), 1);
    assert_int_equal(hbk_loop_add(&loop, &first, pipes[0][0], remove_the_other), HBK_OK);
    assert_int_equal(hbk_loop_add(&loop, &second, pipes[1][0], remove_the_other), HBK_OK);
    hbk_loop_turn(&loop, UINT64_MAX);
    assert_int_equal(order_size, 1);
    for (int i = 0; i < 4; i++) {
        close(pipes[i / 2][i % 2]);
    }
    hbk_loop_fini(&loop);
}

static void on_timer(struct hbk_timer *timer)
{
    (void)timer;
    note('t');
    hbk_loop_stop(&loop);
}

static void a_timer_ends_the_sleep(void **state)
{
    (void)state;
    assert_int_equal(hbk_loop_init(&loop), HBK_OK);
    order_size = 0;
    struct hbk_timer timer;
    hbk_timer_init(&timer, on_timer);
    hbk_loop_timer(&loop, &timer, 3000000);
    hbk_loop_run(&loop);
    assert_string_equal(order, "t");
    hbk_loop_fini(&loop);
}

/* A loop in the state in which many slow connections put it. */
static void begin_resting_loop(void)
{
    assert_int_equal(hbk_loop_init(&loop), HBK_OK);
    hbk_loop_set_gather(&loop, HBK_GATHER_NS_MAX);
    loop.gather.is_on = true;
    order_size = 0;
}

static void note_first(struct hbk_source *source)
{
    note(source == &first ? '1' : '2');
    source->ready = 0;
}

static void what_is_ready_is_served_without_a_rest(void **state)
{
    (void)state;
    int ends[2];
    begin_resting_loop();
    assert_int_equal(pipe(ends), 0);
    assert_int_equal(write(ends[1], "x", 1), 1);
    assert_int_equal(hbk_loop_add(&loop, &first, ends[0], note_first), HBK_OK);
    hbk_loop_turn(&loop, UINT64_MAX);
    assert_string_equal(order, "1");
    assert_int_equal(loop.stats.rests, 0);
    close(ends[0]);
    close(ends[1]);
    hbk_loop_fini(&loop);
}

static void posted_tasks_are_run_without_a_rest(void **state)
{
    (void)state;
    begin_resting_loop();
    hbk_task_init(&again, on_again);
    hbk_loop_post(&loop, HBK_PHASE_READ, &again);
    hbk_loop_turn(&loop, UINT64_MAX);
    hbk_loop_turn(&loop, UINT64_MAX);
    assert_string_equal(order, "aa");
    assert_int_equal(loop.stats.rests, 0);
    hbk_loop_fini(&loop);
}

static void *write_to_both(void *argument)
{
    const int *ends = argument;
    assert_int_equal(write(ends[1], "x", 1), 1);
    assert_int_equal(write(ends[3], "x", 1), 1);
    return NULL;
}

/* Whenever the other thread comes by: before the look, in the rest or behind it. */
static void what_comes_in_a_rest_is_not_lost(void **state)
{
    (void)state;
    int ends[4];
    begin_resting_loop();
    assert_int_equal(pipe(ends), 0);
    assert_int_equal(pipe(ends + 2), 0);
    assert_int_equal(hbk_loop_add(&loop, &first, ends[0], note_first), HBK_OK);
    assert_int_equal(hbk_loop_add(&loop, &second, ends[2], note_first), HBK_OK);
    for (unsigned round = 0; round < 200; round++) {
        pthread_t writer;
        order_size = 0;
        loop.gather.is_on = true;
        assert_int_equal(pthread_create(&writer, NULL, write_to_both, ends), 0);
        while (order_size < 2) {
            hbk_loop_turn(&loop, UINT64_MAX);
        }
        assert_int_equal(pthread_join(writer, NULL), 0);
        char bytes[1];
        assert_int_equal(read(ends[0], bytes, 1), 1);
        assert_int_equal(read(ends[2], bytes, 1), 1);
    }
    assert_true(loop.stats.rests > 0);
    for (int i = 0; i < 4; i++) {
        close(ends[i]);
    }
    hbk_loop_fini(&loop);
}

static void a_timer_is_not_late_for_a_rest(void **state)
{
    (void)state;
    begin_resting_loop();
    struct hbk_timer timer;
    hbk_timer_init(&timer, on_timer);
    hbk_loop_timer(&loop, &timer, 0); /* the next tick: less than a rest away */
    hbk_loop_run(&loop);
    assert_string_equal(order, "t");
    assert_true(loop.stats.rests <= 1);
    hbk_loop_fini(&loop);
}

/* As at a program's end, where workers go before what they served. */
static void what_waits_in_a_loop_may_outlive_it(void **state)
{
    (void)state;
    struct hbk_loop *gone = malloc(sizeof *gone);
    assert_non_null(gone);
    assert_int_equal(hbk_loop_init(gone), HBK_OK);
    struct hbk_timer timers[3];
    static const uint64_t delays_ns[] = {0, 1000000000, UINT64_C(10000000000000)};
    for (size_t i = 0; i < HBK_COUNT(timers); i++) {
        hbk_timer_init(&timers[i], on_timer);
        hbk_loop_timer(gone, &timers[i], delays_ns[i]);
    }
    struct hbk_task task;
    hbk_task_init(&task, on_step);
    hbk_loop_post(gone, HBK_PHASE_CRYPTO, &task);
    hbk_loop_fini(gone);
    free(gone);
    for (size_t i = 0; i < HBK_COUNT(timers); i++) {
        assert_false(hbk_timer_is_set(&timers[i]));
    }
    assert_false(hbk_link_is_linked(&task.link));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(phases_run_in_their_order_whatever_was_posted_first),
        cmocka_unit_test(a_task_posted_in_its_own_phase_waits_for_the_next_turn),
        cmocka_unit_test(a_source_removed_in_a_turn_is_not_called_any_more),
        cmocka_unit_test(a_timer_ends_the_sleep),
        cmocka_unit_test(what_is_ready_is_served_without_a_rest),
        cmocka_unit_test(posted_tasks_are_run_without_a_rest),
        cmocka_unit_test(what_comes_in_a_rest_is_not_lost),
        cmocka_unit_test(a_timer_is_not_late_for_a_rest),
        cmocka_unit_test(what_waits_in_a_loop_may_outlive_it),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
