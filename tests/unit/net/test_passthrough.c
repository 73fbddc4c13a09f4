#include "net/passthrough.h"

#include "loopback.h"

/* Two applications with a passthrough between them. */
struct scene {
    struct bench bench;
    struct hbk_passthrough passthrough;
    int left, right; /* the applications' ends */
    unsigned connected, closed;
    int error;
    enum hbk_failure_kind kind;
};

static struct scene scene;

static void on_connected(struct hbk_passthrough *passthrough, int error)
{
    (void)passthrough;
    scene.connected++;
    scene.error = error;
}

static void on_closed(struct hbk_passthrough *passthrough)
{
    scene.closed++;
    scene.kind = passthrough->failure.kind;
    hbk_failure_clear(&passthrough->failure);
}

static const struct hbk_passthrough_events events = {
    .on_connected = on_connected,
    .on_closed = on_closed,
};

static int set_up(void **state)
{
    (void)state;
    int left[2], right[2];
    scene = (struct scene){.error = -1};
    bench_init(&scene.bench);
    loopback_pair(left, true);
    loopback_pair(right, true);
    scene.left = left[0];
    scene.right = right[0];
    assert_int_equal(
        hbk_passthrough_start(&scene.passthrough, &scene.bench.net, left[1], right[1], &events),
        HBK_OK);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    hbk_passthrough_abort(&scene.passthrough);
    turn_until(&scene.bench, scene.closed > 0);
    assert_int_equal(scene.closed, 1);
    if (scene.left >= 0) {
        close(scene.left);
    }
    if (scene.right >= 0) {
        close(scene.right);
    }
    bench_fini(&scene.bench);
    return 0;
}

static void bytes_and_ends_pass_both_ways(void **state)
{
    (void)state;
    uint64_t sent[2] = {0}, received[2] = {0};
    int fds[2] = {scene.left, scene.right};
    for (int i = 0; i < 2; i++) {
        pattern_send(fds[i], &sent[i], 100);
        turn_until(&scene.bench,
                   (pattern_receive(fds[1 - i], &received[i]), received[i] == sent[i]));
    }
    assert_int_equal(scene.connected, 1);
    assert_int_equal(scene.error, 0);
    shutdown(scene.left, SHUT_WR);
    turn_until(&scene.bench, pattern_receive(scene.right, &received[0]) == PATTERN_ENDED);
    pattern_send(scene.right, &sent[1], 200);
    turn_until(&scene.bench, (pattern_receive(scene.left, &received[1]), received[1] == 200));
    assert_int_equal(scene.closed, 0);
    shutdown(scene.right, SHUT_WR);
    turn_until(&scene.bench, scene.closed == 1);
    assert_int_equal(pattern_receive(scene.left, &received[1]), PATTERN_ENDED);
    assert_int_equal(scene.kind, HBK_FAILURE_NONE);
    assert_int_equal(scene.passthrough.sides[0].received_bytes, 100);
    assert_int_equal(scene.passthrough.sides[1].received_bytes, 200);
}

/* Fills everything between sender and receiver; then the receiver reads. */
static void a_receiver_that_stopped_gets_everything_when_it_goes_on(int from, int to)
{
    enum { SIZE = 3 << 20 };
    uint64_t sent = 0, received = 0;
    for (uint64_t before = 1; sent != before;) {
        before = sent;
        pattern_send(from, &sent, SIZE);
        turns(&scene.bench, 20);
    }
    assert_in_range(sent, 1, SIZE - 1);
    for (int i = 0; i < 2; i++) {
        assert_true(scene.passthrough.sides[i].backlog.capacity <=
                    2 * HBK_PASSTHROUGH_BACKLOG_BYTES_MAX);
    }
    turn_until(&scene.bench, (pattern_receive(to, &received), received == sent));
    turn_until(&scene.bench,
               (pattern_send(from, &sent, SIZE), pattern_receive(to, &received), received == SIZE));
    assert_int_equal(scene.closed, 0);
}

static void a_server_that_stopped_reading_gets_everything(void **state)
{
    (void)state;
    a_receiver_that_stopped_gets_everything_when_it_goes_on(scene.left, scene.right);
}

static void a_client_that_stopped_reading_gets_everything(void **state)
{
    (void)state;
    a_receiver_that_stopped_gets_everything_when_it_goes_on(scene.right, scene.left);
}

static void an_end_waits_for_the_backlog_before_it(void **state)
{
    (void)state;
    uint64_t sent = 0, received = 0;
    for (uint64_t before = 1; sent != before;) {
        before = sent;
        pattern_send(scene.left, &sent, UINT64_MAX);
        turns(&scene.bench, 20);
    }
    shutdown(scene.left, SHUT_WR);
    turns(&scene.bench, 20);
    turn_until(&scene.bench, pattern_receive(scene.right, &received) == PATTERN_ENDED);
    assert_int_equal(received, sent);
}

static void reset(int *fd)
{
    hbk_socket_reset_on_close(*fd);
    close(*fd);
    *fd = -1;
}

static void a_reset_passes_from_client_to_server(void **state)
{
    (void)state;
    uint64_t place = 0;
    turns(&scene.bench, 10);
    reset(&scene.left);
    turn_until(&scene.bench, scene.closed == 1);
    assert_int_equal(pattern_receive(scene.right, &place), PATTERN_RESET);
    assert_int_equal(scene.kind, HBK_FAILURE_RESET);
}

static void a_reset_passes_from_server_to_client(void **state)
{
    (void)state;
    uint64_t place = 0;
    turns(&scene.bench, 10);
    reset(&scene.right);
    turn_until(&scene.bench, scene.closed == 1);
    assert_int_equal(pattern_receive(scene.left, &place), PATTERN_RESET);
}

static void a_reset_behind_an_end_is_a_reset(void **state)
{
    (void)state;
    uint64_t place = 0;
    shutdown(scene.left, SHUT_WR);
    turn_until(&scene.bench, pattern_receive(scene.right, &place) == PATTERN_ENDED);
    reset(&scene.left);
    turn_until(&scene.bench, scene.closed == 1);
    assert_int_equal(scene.kind, HBK_FAILURE_RESET);
}

static void a_connection_that_never_stands_times_out(void **state)
{
    (void)state;
    struct sockaddr_in name;
    int left[2];
    int listener = loopback_listen(0, &name);
    int queued = loopback_connect(&name); /* fills the listener's queue, SYNs are dropped now */
    loopback_pair(left, false);
    struct hbk_passthrough other;
    assert_int_equal(
        hbk_passthrough_start(&other, &scene.bench.net, left[1], loopback_connect(&name), &events),
        HBK_OK);
    turns(&scene.bench, 10);
    assert_int_equal(scene.closed, 0);
    pass(&scene.bench, HBK_NET_CONFIG_DEFAULT.connect_timeout_ns + 10 * HBK_NS_PER_MS);
    turn_until(&scene.bench, scene.closed == 1);
    assert_int_equal(scene.kind, HBK_FAILURE_CONNECT);
    scene.closed = 0;
    close(listener);
    close(queued);
    close(left[0]);
}

static void a_refused_connection_says_so(void **state)
{
    (void)state;
    struct sockaddr_in name;
    int left[2];
    close(loopback_listen(1, &name));
    loopback_pair(left, false);
    struct hbk_passthrough other;
    scene.connected = 0;
    assert_int_equal(
        hbk_passthrough_start(&other, &scene.bench.net, left[1], loopback_connect(&name), &events),
        HBK_OK);
    turn_until(&scene.bench, scene.closed == 1);
    assert_int_equal(scene.kind, HBK_FAILURE_CONNECT);
    scene.closed = 0;
    close(left[0]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(bytes_and_ends_pass_both_ways, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_server_that_stopped_reading_gets_everything, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(a_client_that_stopped_reading_gets_everything, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(an_end_waits_for_the_backlog_before_it, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_reset_passes_from_client_to_server, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_reset_passes_from_server_to_client, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_reset_behind_an_end_is_a_reset, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_connection_that_never_stands_times_out, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(a_refused_connection_says_so, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
