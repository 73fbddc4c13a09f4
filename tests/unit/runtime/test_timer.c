#include "runtime/timer.h"

#include "harness.h"

enum { TIMERS = 400 };

struct probe {
    struct hbk_timer timer;
    uint64_t due_ns;
    uint64_t fired_ns;
    bool is_expected;
};

static uint64_t clock_ns;
static struct hbk_timers timers;
static struct probe probes[TIMERS];

static void on_due(struct hbk_timer *timer)
{
    struct probe *probe = HBK_CONTAINER(timer, struct probe, timer);
    assert_true(probe->is_expected);
    probe->fired_ns = clock_ns;
    probe->is_expected = false;
}

static uint64_t random_state = 7;
static uint64_t next_random(void)
{
    random_state = random_state * UINT64_C(6364136223846793005) + 1442695040888963407U;
    return random_state >> 16;
}

/* Delays from nothing to beyond the whole wheel (4.9 hours). */
static uint64_t random_delay(void)
{
    return next_random() % (UINT64_C(1) << (10 + next_random() % 36));
}

static void timers_fire_once_and_never_early(void **state)
{
    (void)state;
    clock_ns = UINT64_C(123456789012345);
    hbk_timers_init(&timers, clock_ns);
    for (size_t i = 0; i < TIMERS; i++) {
        hbk_timer_init(&probes[i].timer, on_due);
    }
    const uint64_t tick_ns = UINT64_C(1) << HBK_TIMER_TICK_BITS;
    for (int step = 0; step < 60000; step++) {
        struct probe *probe = &probes[next_random() % TIMERS];
        if (next_random() % 4 == 0) {
            hbk_timer_cancel(&timers, &probe->timer);
            probe->is_expected = false;
        } else {
            probe->due_ns = clock_ns + random_delay();
            probe->is_expected = true;
            hbk_timer_set(&timers, &probe->timer, probe->due_ns);
        }
        uint64_t next_ns = hbk_timers_next_ns(&timers);
        if (next_random() % 3 == 0 && next_ns != UINT64_MAX) {
            clock_ns = next_ns;
        } else {
            clock_ns += next_random() % (3 * tick_ns);
        }
        hbk_timers_run(&timers, clock_ns);
        for (size_t i = 0; i < TIMERS; i++) {
            if (probes[i].is_expected) {
                /* Not fired yet, so it may not be more than two ticks over. */
                assert_true(probes[i].due_ns + 2 * tick_ns > clock_ns);
            } else if (probes[i].fired_ns != 0) {
                assert_true(probes[i].fired_ns >= probes[i].due_ns);
                probes[i].fired_ns = 0;
            }
        }
    }
}

static void without_timers_there_is_no_wake_up(void **state)
{
    (void)state;
    hbk_timers_init(&timers, 5);
    assert_true(hbk_timers_next_ns(&timers) == UINT64_MAX);
    struct probe probe = {.is_expected = true};
    hbk_timer_init(&probe.timer, on_due);
    hbk_timer_set(&timers, &probe.timer, 10);
    assert_true(hbk_timers_next_ns(&timers) != UINT64_MAX);
    hbk_timer_cancel(&timers, &probe.timer);
    assert_true(hbk_timers_next_ns(&timers) == UINT64_MAX);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(timers_fire_once_and_never_early),
        cmocka_unit_test(without_timers_there_is_no_wake_up),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
