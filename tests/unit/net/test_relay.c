#include "net/relay.h"

#include "scene.h"

/* Sends `size` bytes from one application to the other and checks that they arrive. */
static void transfer(int from, int to, uint64_t size)
{
    uint64_t sent = 0, received = 0;
    turn_until(&scene.bench,
               (pattern_send(from, &sent, size), pattern_receive(to, &received), received == size));
}

static void reset(int *fd)
{
    hbk_socket_reset_on_close(*fd);
    close_fd(fd);
}

static void bytes_pass_both_ways_through_one_tunnel(void **state)
{
    (void)state;
    for (unsigned i = 0; i < 8; i++) {
        (void)join(i);
    }
    assert_int_equal(scene.dials, 1);
    for (unsigned i = 0; i < 8; i++) {
        transfer(scene.flows[i].app, scene.served[i].app, 1 + i * 100000);
        transfer(scene.served[i].app, scene.flows[i].app, 1 + i * 100000);
        assert_int_equal(scene.flows[i].relay.sent_bytes, 1 + i * 100000);
        assert_int_equal(scene.served[i].relay.received_bytes, 1 + i * 100000);
    }
}

static void single_bytes_pass_as_they_come(void **state)
{
    (void)state;
    struct flow *flow = join(0);
    uint64_t sent = 0, received = 0;
    for (uint64_t i = 1; i <= 200; i++) {
        pattern_send(flow->app, &sent, i);
        turn_until(&scene.bench, (pattern_receive(scene.served[0].app, &received), received == i));
    }
}

static void each_side_can_end_first_while_the_other_goes_on(void **state)
{
    (void)state;
    for (unsigned i = 0; i < 2; i++) {
        struct flow *flow = join(i);
        struct served *served = &scene.served[i];
        int first = i == 0 ? flow->app : served->app;
        int second = i == 0 ? served->app : flow->app;
        uint64_t sent = 0, received = 0;
        pattern_send(first, &sent, 1000);
        shutdown(first, SHUT_WR);
        turn_until(&scene.bench, pattern_receive(second, &received) == PATTERN_ENDED);
        assert_int_equal(received, 1000);
        transfer(second, first, 300000);
        assert_int_equal(flow->closed + served->closed, 0);
        shutdown(second, SHUT_WR);
        turn_until(&scene.bench, flow->closed == 1 && served->closed == 1);
        assert_int_equal(pattern_receive(first, &received), PATTERN_ENDED);
        assert_int_equal(flow->kind, HBK_FAILURE_NONE);
        assert_int_equal(served->kind, HBK_FAILURE_NONE);
    }
    assert_int_equal(scene.bench.net.counters.streams_reset_by_us, 0);
}

static void resets_pass_both_ways(void **state)
{
    (void)state;
    for (unsigned i = 0; i < 2; i++) {
        struct flow *flow = join(i);
        struct served *served = &scene.served[i];
        uint64_t place = 0;
        transfer(flow->app, served->app, 100);
        reset(i == 0 ? &flow->app : &served->app);
        turn_until(&scene.bench, flow->closed == 1 && served->closed == 1);
        assert_int_equal(pattern_receive(i == 0 ? served->app : flow->app, &place), PATTERN_RESET);
        assert_int_equal(flow->kind, HBK_FAILURE_RESET);
        assert_int_equal(served->kind, HBK_FAILURE_RESET);
    }
    assert_int_equal(scene.bench.net.counters.streams_reset_by_us, 2);
    assert_int_equal(scene.bench.net.counters.streams_reset_by_peer, 2);
}

static void a_reset_behind_an_end_is_a_reset(void **state)
{
    (void)state;
    struct flow *flow = join(0);
    uint64_t place = 0;
    shutdown(flow->app, SHUT_WR);
    turn_until(&scene.bench, pattern_receive(scene.served[0].app, &place) == PATTERN_ENDED);
    reset(&flow->app);
    turn_until(&scene.bench, scene.served[0].closed == 1);
    assert_int_equal(flow->kind, HBK_FAILURE_RESET);
}

/* Sends until nothing moves any more. */
static uint64_t fill(int fd)
{
    uint64_t sent = 0;
    unsigned still = 0;
    while (still < 50) {
        uint64_t before = sent;
        pattern_send(fd, &sent, UINT64_MAX);
        turns(&scene.bench, 2);
        still = sent == before ? still + 1 : 0;
    }
    return sent;
}

static void a_stream_that_nobody_reads_is_bounded_and_stops_no_other(void **state)
{
    (void)state;
    scene.is_small = true;
    struct flow *stuck = join(0);
    struct flow *other = join(1);
    uint64_t sent = fill(stuck->app);
    assert_true(hbk_buffer_size(&scene.served[0].relay.backlog) <= HBK_H2_STREAM_WINDOW_BYTES_MAX);
    assert_true(sent < 2 * HBK_H2_STREAM_WINDOW_BYTES_MAX);
    transfer(other->app, scene.served[1].app, 1 << 20);
    transfer(scene.served[1].app, other->app, 1 << 20);
    uint64_t received = 0;
    turn_until(&scene.bench, (pattern_receive(scene.served[0].app, &received), received == sent));
}

static void a_reset_is_noticed_while_the_stream_has_no_credit(void **state)
{
    (void)state;
    scene.is_small = true;
    struct flow *flow = join(0);
    (void)fill(flow->app);
    reset(&flow->app);
    turn_until(&scene.bench, flow->closed == 1 && scene.served[0].closed == 1);
    assert_int_equal(scene.served[0].kind, HBK_FAILURE_RESET);
}

/* Bulk senders have new bytes in every turn; the quiet one has sent its only byte long ago. */
static void a_quiet_stream_has_its_turn_among_bulk_senders(void **state)
{
    (void)state;
    enum { BULK = 12, QUIET = BULK };
    uint64_t sent[BULK + 1] = {0}, received[BULK + 1] = {0};
    for (unsigned i = 0; i <= BULK; i++) {
        (void)join(i);
    }
    for (unsigned i = 0; i < BULK; i++) {
        pattern_send(scene.flows[i].app, &sent[i], UINT64_MAX);
    }
    turns(&scene.bench, 3);
    pattern_send(scene.flows[QUIET].app, &sent[QUIET], 1);
    for (unsigned turn = 0; turn < 60 && received[QUIET] == 0; turn++) {
        for (unsigned i = 0; i < BULK; i++) {
            pattern_send(scene.flows[i].app, &sent[i], UINT64_MAX);
        }
        turns(&scene.bench, 1);
        for (unsigned i = 0; i <= BULK; i++) {
            (void)pattern_receive(scene.served[i].app, &received[i]);
        }
    }
    assert_int_equal(received[QUIET], 1);
    for (unsigned i = 0; i < BULK; i++) {
        assert_true(received[i] > 0);
    }
}

static void an_answer_other_than_200_ends_the_stream_and_says_which(void **state)
{
    (void)state;
    scene.serving = SERVE_REFUSE;
    struct flow *flow = begin(0);
    turn_until(&scene.bench, flow->closed == 1 && scene.served[0].closed == 1);
    assert_int_equal(flow->status, 503);
    assert_int_equal(flow->refusals, 0);
}

static void a_stream_that_is_reset_before_its_answer_is_refused(void **state)
{
    (void)state;
    scene.serving = SERVE_RESET;
    struct flow *flow = begin(0);
    turn_until(&scene.bench, flow->closed == 1);
    assert_int_equal(flow->answers, 0);
    assert_int_equal(flow->refusals, 1);
    assert_string_equal(flow->why, "stream reset by the peer: REFUSED_STREAM");
}

static void an_application_that_gives_up_before_the_answer_takes_its_stream_along(void **state)
{
    (void)state;
    scene.serving = SERVE_SILENCE;
    struct flow *flow = begin(0);
    turn_until(&scene.bench, scene.served[0].was_accepted);
    reset(&flow->app);
    turn_until(&scene.bench, flow->closed == 1 && scene.served[0].closed == 1);
    assert_int_equal(scene.served[0].kind, HBK_FAILURE_RESET);
}

static void an_application_that_gives_up_while_it_waits_for_a_tunnel_waits_no_longer(void **state)
{
    (void)state;
    scene.peer_fd = -1; /* a server that says nothing */
    struct flow *flow = begin(0);
    turns(&scene.bench, 5);
    assert_int_equal(scene.upstream.waiters, 1);
    reset(&flow->app);
    turn_until(&scene.bench, flow->closed == 1);
    assert_int_equal(scene.upstream.waiters, 0);
}

/* What was sent before the answer arrives, and the end behind it. */
static void early_bytes_and_an_early_end_wait_for_the_answer(void **state)
{
    (void)state;
    struct flow *flow = begin(0);
    uint64_t sent = 0, received = 0;
    pattern_send(flow->app, &sent, 5000);
    shutdown(flow->app, SHUT_WR);
    turn_until(&scene.bench, scene.served[0].app >= 0 &&
                                 pattern_receive(scene.served[0].app, &received) == PATTERN_ENDED);
    assert_int_equal(received, 5000);
}

static void a_tunnel_that_dies_resets_its_streams(void **state)
{
    (void)state;
    struct flow *flow = join(0);
    uint64_t place = 0;
    hbk_tunnel_close(first_server());
    turn_until(&scene.bench, flow->closed == 1 && scene.served[0].closed == 1);
    assert_int_equal(pattern_receive(flow->app, &place), PATTERN_RESET);
    assert_int_equal(pattern_receive(scene.served[0].app, &place), PATTERN_RESET);
    assert_int_equal(flow->kind, HBK_FAILURE_RESET);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        scene_test(bytes_pass_both_ways_through_one_tunnel),
        scene_test(single_bytes_pass_as_they_come),
        scene_test(each_side_can_end_first_while_the_other_goes_on),
        scene_test(resets_pass_both_ways),
        scene_test(a_reset_behind_an_end_is_a_reset),
        scene_test(a_stream_that_nobody_reads_is_bounded_and_stops_no_other),
        scene_test(a_reset_is_noticed_while_the_stream_has_no_credit),
        scene_test(a_quiet_stream_has_its_turn_among_bulk_senders),
        scene_test(an_answer_other_than_200_ends_the_stream_and_says_which),
        scene_test(a_stream_that_is_reset_before_its_answer_is_refused),
        scene_test(an_application_that_gives_up_before_the_answer_takes_its_stream_along),
        scene_test(an_application_that_gives_up_while_it_waits_for_a_tunnel_waits_no_longer),
        scene_test(early_bytes_and_an_early_end_wait_for_the_answer),
        scene_test(a_tunnel_that_dies_resets_its_streams),
    };
    return run_with_each_engine(tests);
}
