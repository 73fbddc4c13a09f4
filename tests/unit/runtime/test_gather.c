#include "runtime/gather.h"

#include "base/clock.h"
#include "harness.h"
#include "runtime/timer.h"

enum { CONNECTIONS = 8192 };

static const uint64_t limit_ns = 400000;
static const uint64_t begin_ns = UINT64_C(7000000000000);

static struct hbk_gather gather;
static struct hbk_pace paces[CONNECTIONS];
static uint64_t now_ns;

static void begin(uint64_t limit)
{
    memset(paces, 0, sizeof paces);
    now_ns = begin_ns;
    hbk_gather_init(&gather, limit, now_ns);
}

static void event(unsigned connection)
{
    hbk_gather_heard(&gather, &paces[connection], now_ns);
    hbk_gather_end_turn(&gather, now_ns);
}

/* Requests at an even pace, from each connection in its turn: one turn each. */
static void even(unsigned connections, unsigned rate, uint64_t length_ns)
{
    uint64_t end_ns = now_ns + length_ns;
    for (unsigned i = 0; now_ns < end_ns; i++) {
        now_ns += HBK_NS_PER_S / rate;
        event(i % connections);
    }
}

static uint64_t rest(void)
{
    return hbk_gather_rest_ns(&gather, now_ns, UINT64_MAX);
}

static uint64_t random_state = 11;
static uint64_t next_random(void)
{
    random_state = random_state * UINT64_C(6364136223846793005) + 1442695040888963407U;
    return random_state >> 16;
}

static void many_slow_conversations_make_it_rest(void **state)
{
    (void)state;
    static const struct {
        unsigned connections, rate;
    } cases[] = {{1600, 3200}, {6400, 12800}, {1600, 30000}, {200, 3200}};
    for (size_t i = 0; i < HBK_COUNT(cases); i++) {
        begin(limit_ns);
        assert_int_equal(rest(), 0);
        even(cases[i].connections, cases[i].rate, HBK_NS_PER_S);
        assert_int_equal(rest(), limit_ns);
    }
}

/* A request a millisecond, each of another connection, through one side: the client's, which asks,
 * or the server's, which answers in so many pieces. */
static void exchanges(bool answers, uint64_t answer_ns, unsigned pieces)
{
    enum { EXCHANGES = 1600, PIECE_NS = 300000 };
    uint64_t start_ns = now_ns;
    uint64_t answer_ms = answer_ns / HBK_NS_PER_MS;
    for (unsigned i = 0; i < EXCHANGES; i++) {
        paces[i].answers = answers;
    }
    for (unsigned ms = 0; ms < EXCHANGES; ms++) {
        now_ns = start_ns + ms * HBK_NS_PER_MS;
        (answers ? hbk_gather_told : hbk_gather_heard)(&gather, &paces[ms], now_ns);
        for (unsigned piece = 0; ms >= answer_ms && piece < pieces; piece++) {
            (answers ? hbk_gather_heard : hbk_gather_told)(&gather, &paces[ms - answer_ms],
                                                           now_ns + piece * PIECE_NS);
        }
        for (unsigned other = 0; other < 3; other++) { /* so that there is enough to gather */
            hbk_gather_heard(&gather, &paces[EXCHANGES + 3 * ms % 4800 + other], now_ns);
        }
        hbk_gather_end_turn(&gather, now_ns + HBK_NS_PER_MS - 1);
    }
}

static void whether_answers_come_at_once_decides(void **state)
{
    (void)state;
    static const struct {
        uint64_t answer_ns;
        unsigned pieces;
        bool rests;
    } cases[] = {
        {0, 1, false},
        {2 * HBK_NS_PER_MS, 1, false},
        {5 * HBK_NS_PER_MS, 2, false},
        {20 * HBK_NS_PER_MS, 1, true},
        {200 * HBK_NS_PER_MS, 1, true},
        {200 * HBK_NS_PER_MS, 2, true}, /* a head and a body */
    };
    for (size_t i = 0; i < HBK_COUNT(cases); i++) {
        for (unsigned answers = 0; answers < 2; answers++) {
            begin(limit_ns);
            exchanges(answers, cases[i].answer_ns, cases[i].pieces);
            assert_int_equal(rest() > 0, cases[i].rests);
        }
    }
}

/* A closed loop: the next question comes with the answer, and would not be slowed down. */
static void whoever_asks_at_once_after_a_slow_answer_may_be_gathered(void **state)
{
    (void)state;
    begin(limit_ns);
    for (unsigned i = 0; i < 6400; i++) { /* each of 640 is answered after 200 ms */
        now_ns += HBK_NS_PER_S / 3200;
        struct hbk_pace *pace = &paces[i % 640];
        hbk_gather_told(&gather, pace, now_ns);
        hbk_gather_heard(&gather, pace, now_ns + 100000);
        hbk_gather_end_turn(&gather, now_ns + 100000);
    }
    assert_true(rest() > 0);
}

static void a_stream_of_one_direction_is_not_slowed_down(void **state)
{
    (void)state;
    begin(limit_ns);
    for (unsigned i = 0; i < 3000; i++) {
        now_ns += HBK_NS_PER_S / 3000;
        event(0);
        assert_int_equal(rest(), 0);
    }
}

static void arrivals_at_random_are_as_good_as_even_ones(void **state)
{
    (void)state;
    begin(limit_ns);
    unsigned on = 0;
    unsigned asked = 0;
    /* Of a thousand slots of 100 us a third has a request, each of any connection. */
    for (unsigned slot = 0; slot < 100000; slot++) {
        now_ns += 100000;
        if (next_random() % 3 == 0) {
            event((unsigned)(next_random() % 1600));
        }
        on += gather.is_on;
        asked++;
    }
    assert_true(on * 10 > asked * 9);
}

static void few_quick_connections_never_wait(void **state)
{
    (void)state;
    static const struct {
        unsigned connections, rate;
    } cases[] = {{1, 300}, {1, 10000}, {1, 100000}, {8, 16000}, {32, 20000}, {256, 80000}};
    for (size_t i = 0; i < HBK_COUNT(cases); i++) {
        begin(limit_ns);
        uint64_t end_ns = now_ns + HBK_NS_PER_S;
        while (now_ns < end_ns) {
            even(cases[i].connections, cases[i].rate, HBK_NS_PER_MS);
            assert_int_equal(rest(), 0);
        }
    }
}

static void at_low_rates_nobody_waits(void **state)
{
    (void)state;
    static const unsigned rates[] = {1, 10, 300, 1000, 1800};
    for (size_t i = 0; i < HBK_COUNT(rates); i++) {
        begin(limit_ns);
        even(CONNECTIONS, rates[i], 3 * HBK_NS_PER_S);
        assert_int_equal(rest(), 0);
    }
}

static void a_quick_one_among_slow_ones_is_noticed_within_two_windows(void **state)
{
    (void)state;
    static const unsigned slow_rates[] = {3200, 12800, 30000};
    for (size_t i = 0; i < HBK_COUNT(slow_rates); i++) {
        begin(limit_ns);
        even(1600, slow_rates[i], 200 * HBK_NS_PER_MS);
        assert_true(rest() > 0);
        /* It asks again each millisecond: as fast as rests let it. */
        for (unsigned ms = 0; ms < 70; ms++) {
            even(1600, slow_rates[i], HBK_NS_PER_MS);
            event(CONNECTIONS - 1);
        }
        assert_int_equal(rest(), 0);
    }
}

static void whoever_comes_after_silence_is_alone_and_not_made_to_wait(void **state)
{
    (void)state;
    begin(limit_ns);
    even(1600, 3200, 200 * HBK_NS_PER_MS);
    assert_true(rest() > 0);
    now_ns += HBK_NS_PER_S;
    event(0);
    assert_int_equal(rest(), 0);
}

static void a_rate_between_the_two_limits_changes_nothing(void **state)
{
    (void)state;
    begin(limit_ns);
    even(1600, 1400, HBK_NS_PER_S);
    assert_int_equal(rest(), 0);
    even(1600, 3200, HBK_NS_PER_S);
    assert_true(rest() > 0);
    even(1600, 1400, HBK_NS_PER_S);
    assert_true(rest() > 0);
    even(1600, 600, HBK_NS_PER_S);
    assert_int_equal(rest(), 0);
}

static void without_a_limit_it_is_off_whatever_comes(void **state)
{
    (void)state;
    begin(0);
    even(1600, 30000, HBK_NS_PER_S);
    assert_int_equal(rest(), 0);
}

static void it_never_rests_beyond_what_is_due(void **state)
{
    (void)state;
    begin(limit_ns);
    even(1600, 3200, HBK_NS_PER_S);
    assert_int_equal(hbk_gather_rest_ns(&gather, now_ns, now_ns + 5), 5);
    assert_int_equal(hbk_gather_rest_ns(&gather, now_ns, now_ns), 0);
    assert_int_equal(hbk_gather_rest_ns(&gather, now_ns, now_ns - 1), 0);
    assert_int_equal(hbk_gather_rest_ns(&gather, now_ns, now_ns + limit_ns + 1), limit_ns);
}

/* Whatever peers send, in whatever rhythm: what a window held decides about the next one alone. */
static void hostile_rhythms_cannot_make_it_rest_without_cause(void **state)
{
    (void)state;
    begin(limit_ns);
    uint64_t window_ns = now_ns;
    uint32_t events = 0;
    uint32_t quick = 0;
    for (unsigned step = 0; step < 2000000; step++) {
        now_ns += next_random() % (UINT64_C(1) << (next_random() % 28));
        unsigned connection = (unsigned)(next_random() % (1 + next_random() % CONNECTIONS));
        paces[connection].answers = next_random() % 2 == 0;
        if (next_random() % 2 == 0) {
            hbk_gather_told(&gather, &paces[connection], now_ns);
        }
        hbk_gather_heard(&gather, &paces[connection], now_ns);
        events = gather.events;
        quick = gather.quick;
        hbk_gather_end_turn(&gather, now_ns);
        assert_true(rest() == 0 || rest() == limit_ns);
        if (gather.window_ns == window_ns) {
            continue;
        }
        if (gather.is_on) { /* at least three eighths of an event a rest, at most one quick of 8 */
            assert_true(events * limit_ns * 8 >= (now_ns - window_ns) * 3);
            assert_true(quick <= events / 8 && quick <= 16);
        }
        window_ns = gather.window_ns;
        assert_int_equal(gather.events, 0);
        assert_int_equal(gather.quick, 0);
    }
}

static void the_counter_of_ticks_may_go_round(void **state)
{
    (void)state;
    const uint64_t tick_ns = UINT64_C(1) << HBK_TIMER_TICK_BITS;
    struct hbk_pace pace = {.last_tick = UINT32_MAX, .answers = true, .was_told = true};
    hbk_gather_init(&gather, limit_ns, 0);
    hbk_gather_heard(&gather, &pace, (UINT64_C(1) << 32) * tick_ns + tick_ns);
    assert_int_equal(gather.quick, 1);
    hbk_gather_heard(&gather, &pace, (UINT64_C(1) << 32) * tick_ns + 100 * tick_ns);
    assert_int_equal(gather.quick, 1);
    assert_int_equal(gather.events, 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(many_slow_conversations_make_it_rest),
        cmocka_unit_test(whether_answers_come_at_once_decides),
        cmocka_unit_test(whoever_asks_at_once_after_a_slow_answer_may_be_gathered),
        cmocka_unit_test(a_stream_of_one_direction_is_not_slowed_down),
        cmocka_unit_test(arrivals_at_random_are_as_good_as_even_ones),
        cmocka_unit_test(few_quick_connections_never_wait),
        cmocka_unit_test(at_low_rates_nobody_waits),
        cmocka_unit_test(a_quick_one_among_slow_ones_is_noticed_within_two_windows),
        cmocka_unit_test(whoever_comes_after_silence_is_alone_and_not_made_to_wait),
        cmocka_unit_test(a_rate_between_the_two_limits_changes_nothing),
        cmocka_unit_test(without_a_limit_it_is_off_whatever_comes),
        cmocka_unit_test(it_never_rests_beyond_what_is_due),
        cmocka_unit_test(hostile_rhythms_cannot_make_it_rest_without_cause),
        cmocka_unit_test(the_counter_of_ticks_may_go_round),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
