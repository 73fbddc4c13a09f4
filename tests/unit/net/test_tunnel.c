#include "net/tunnel.h"

#include "scene.h"
#include "waiting.h"

static const struct hbk_net_config *config(void)
{
    return &scene.bench.net.config;
}

static uint64_t ends(enum hbk_tunnel_end end)
{
    return scene.bench.net.counters.tunnel_ends[end];
}

static uint64_t handshakes(enum hbk_handshake_end end)
{
    return scene.bench.net.counters.handshake_ends[scene_engine][end];
}

static void a_connection_that_never_stands_times_out(void **state)
{
    (void)state;
    struct sockaddr_in name;
    int listener = loopback_listen(0, &name);
    int queued = loopback_connect(&name); /* fills the listener's queue, SYNs are dropped now */
    scene.dial_fd = loopback_connect(&name);
    struct flow *flow = begin(0);
    pass(&scene.bench, config()->connect_timeout_ns - 10 * HBK_NS_PER_MS);
    assert_int_equal(flow->closed, 0);
    pass(&scene.bench, 20 * HBK_NS_PER_MS);
    turn_until(&scene.bench, flow->closed == 1);
    assert_int_equal(flow->kind, HBK_FAILURE_CONNECT);
    assert_int_equal(ends(HBK_TUNNEL_END_TIMEOUT), 1);
    close(listener);
    close(queued);
}

static void a_refused_connection_fails_its_waiters(void **state)
{
    (void)state;
    struct sockaddr_in name;
    close(loopback_listen(1, &name));
    scene.dial_fd = loopback_connect(&name);
    struct flow *flow = begin(0);
    turn_until(&scene.bench, flow->closed == 1);
    assert_int_equal(flow->kind, HBK_FAILURE_CONNECT);
    assert_string_equal(flow->why, "connection failed: Connection refused");
}

static void a_server_that_says_nothing_times_out_in_the_handshake(void **state)
{
    (void)state;
    scene.peer_fd = -1;
    struct flow *flow = begin(0);
    turns(&scene.bench, 5);
    pass(&scene.bench, config()->handshake_timeout_ns + 20 * HBK_NS_PER_MS);
    turn_until(&scene.bench, flow->closed == 1);
    assert_int_equal(flow->kind, HBK_FAILURE_TLS);
    assert_int_equal(handshakes(HBK_HANDSHAKE_TIMEOUT), 1);
}

static void a_client_that_says_nothing_times_out_in_the_handshake(void **state)
{
    (void)state;
    int fds[2];
    loopback_pair(fds, false);
    serve(fds[1]);
    pass(&scene.bench, config()->handshake_timeout_ns + 20 * HBK_NS_PER_MS);
    turn_until(&scene.bench, scene.servers_closed == 1);
    assert_int_equal(handshakes(HBK_HANDSHAKE_TIMEOUT), 1);
    close(fds[0]);
}

static void bytes_that_are_not_tls_fail_the_handshake(void **state)
{
    (void)state;
    static const char *const garbage[] = {"GET / HTTP/1.1\r\n\r\n", "\x16\x03\x01\xff\xff", "\x80"};
    for (size_t i = 0; i < HBK_COUNT(garbage); i++) {
        int fds[2];
        loopback_pair(fds, false);
        serve(fds[1]);
        assert_true(send(fds[0], garbage[i], strlen(garbage[i]), 0) > 0);
        turns(&scene.bench, 5);
        close(fds[0]);
        turn_until(&scene.bench, scene.servers_closed == i + 1);
    }
    assert_int_equal(scene.bench.net.counters.tunnels_closed[1], HBK_COUNT(garbage));
    assert_int_equal(handshakes(HBK_HANDSHAKE_PROTOCOL) + handshakes(HBK_HANDSHAKE_CLOSED),
                     HBK_COUNT(garbage));
}

/* The alert cannot be sent any more: what the peer did is the reason all the same. */
static void a_failure_is_told_though_its_alert_cannot_be_sent(void **state)
{
    (void)state;
    static const char hello_of_nothing[] = "\x16\x03\x01\x00\x05\x01\x00\x00\x01";
    static const char unsealed[5 + 32] = "\x17\x03\x03\x00\x20";
    int fds[2];
    loopback_pair(fds, false);
    serve(fds[1]);
    assert_int_equal(shutdown(fds[1], SHUT_WR), 0);
    assert_int_equal(send(fds[0], hello_of_nothing, sizeof hello_of_nothing, 0),
                     sizeof hello_of_nothing);
    turn_until(&scene.bench, scene.servers_closed == 1);
    assert_int_equal(handshakes(HBK_HANDSHAKE_PROTOCOL), 1);
    assert_int_equal(ends(HBK_TUNNEL_END_PROTOCOL), 1);
    close(fds[0]);

    struct flow *flow = join(0);
    assert_int_equal(shutdown(first_server()->source.fd, SHUT_WR), 0);
    assert_int_equal(send(tunnel_of(flow)->source.fd, unsealed, sizeof unsealed, 0),
                     sizeof unsealed);
    turn_until(&scene.bench, scene.servers_closed == 2);
    assert_int_equal(ends(HBK_TUNNEL_END_PROTOCOL), 2);
}

/* The server's part of the handshake cut after every number of bytes, by an end or by a reset. */
static void a_peer_may_go_at_every_byte_of_the_handshake(void **state)
{
    (void)state;
    for (size_t cut = 0; cut < 2000; cut += 97) {
        int middle[2], server[2];
        uint8_t bytes[16384];
        size_t passed = 0;
        scene.peer_fd = -1;
        struct flow *flow = begin(0);
        middle[0] = scene.peer_fd;
        scene.peer_fd = -2;
        loopback_pair(server, false);
        middle[1] = server[0];
        serve(server[1]);
        for (int i = 0; i < 200 && passed < cut; i++) {
            turns(&scene.bench, 2);
            ssize_t size = recv(middle[0], bytes, sizeof bytes, 0);
            if (size > 0) {
                assert_int_equal(send(middle[1], bytes, (size_t)size, MSG_NOSIGNAL), size);
            }
            size = recv(middle[1], bytes, cut - passed, 0);
            if (size > 0) {
                assert_int_equal(send(middle[0], bytes, (size_t)size, MSG_NOSIGNAL), size);
                passed += (size_t)size;
            }
        }
        for (int i = 0; i < 2; i++) {
            if (cut % 2 == 0) {
                hbk_socket_reset_on_close(middle[i]);
            }
            close(middle[i]);
        }
        turn_until(&scene.bench, flow->closed == 1 && hbk_list_is_empty(&scene.servers));
        assert_true(flow->kind != HBK_FAILURE_NONE);
        close_fd(&flow->app);
    }
}

static void an_idle_tunnel_is_closed_in_peace(void **state)
{
    (void)state;
    struct flow *flow = join(0);
    close_fd(&flow->app);
    close_fd(&scene.served[0].app);
    turn_until(&scene.bench, flow->closed == 1);
    pass(&scene.bench, config()->idle_timeout_ns - HBK_NS_PER_S);
    assert_int_equal(scene.bench.net.tunnels.objects_used, 2);
    pass(&scene.bench, 2 * HBK_NS_PER_S);
    turn_until(&scene.bench, scene.bench.net.tunnels.objects_used == 0);
    assert_true(ends(HBK_TUNNEL_END_IDLE) >= 1);
    assert_int_equal(ends(HBK_TUNNEL_END_IDLE) + ends(HBK_TUNNEL_END_PEER), 2);
}

static void an_idle_time_below_the_ping_interval_holds(void **state)
{
    (void)state;
    scene.bench.net.config.idle_timeout_ns = HBK_NS_PER_S;
    struct flow *flow = join(0);
    close_fd(&flow->app);
    close_fd(&scene.served[0].app);
    turn_until(&scene.bench, flow->closed == 1);
    pass(&scene.bench, 3 * HBK_NS_PER_S);
    turn_until(&scene.bench, scene.bench.net.tunnels.objects_used == 0);
}

static void a_quiet_stream_lives_as_long_as_the_peer_answers_pings(void **state)
{
    (void)state;
    struct flow *flow = join(0);
    pass(&scene.bench, 600 * HBK_NS_PER_S);
    assert_int_equal(flow->closed, 0);
}

/* The peer's machine is gone: nothing comes any more, not even an end. */
static void a_peer_that_answers_no_ping_is_given_up(void **state)
{
    (void)state;
    struct flow *flow = join(0);
    struct hbk_tunnel *server = first_server();
    hbk_loop_remove(&scene.bench.loop, &server->source);
    hbk_loop_timer_cancel(&scene.bench.loop, &server->timer);
    pass(&scene.bench, config()->ping_interval_ns + config()->ping_timeout_ns);
    assert_int_equal(flow->closed, 0);
    pass(&scene.bench, 2 * config()->ping_interval_ns);
    turn_until(&scene.bench, flow->closed == 1);
    assert_string_equal(flow->why, "connection lost: the peer did not answer a ping");
    assert_int_equal(ends(HBK_TUNNEL_END_TIMEOUT), 1);
}

static void
a_certificate_that_runs_out_drains_the_tunnel_and_closes_it_after_the_grace(void **state)
{
    (void)state;
    struct flow *flow = join(0);
    struct hbk_tunnel *old = tunnel_of(flow);
    pass(&scene.bench, 3600 * HBK_NS_PER_S + config()->ping_interval_ns);
    assert_true(old->is_draining);
    assert_false(hbk_tunnel_can_open(old));
    assert_int_equal(flow->closed, 0);
    pass(&scene.bench, config()->expired_grace_ns + 2 * config()->ping_interval_ns);
    turn_until(&scene.bench, flow->closed == 1);
    assert_int_equal(flow->kind, HBK_FAILURE_REVOKED);
    assert_true(ends(HBK_TUNNEL_END_EXPIRED) >= 1);
}

static void a_clock_that_steps_back_closes_nothing(void **state)
{
    (void)state;
    struct flow *flow = join(0);
    clock_step(-24 * INT64_C(3600) * 1000000000);
    pass(&scene.bench, 120 * HBK_NS_PER_S);
    assert_int_equal(flow->closed, 0);
    assert_true(hbk_tunnel_can_open(tunnel_of(flow)));
}

static void an_expired_certificate_fails_the_handshake_and_is_counted(void **state)
{
    (void)state;
    clock_step(INT64_C(5400) * 1000000000); /* the server's is over, the client's is not */
    struct flow *flow = begin(0);
    turn_until(&scene.bench, flow->closed == 1);
    assert_int_equal(flow->kind, HBK_FAILURE_IDENTITY);
    assert_int_equal(handshakes(HBK_HANDSHAKE_EXPIRED), 1);
}

static void a_server_that_drains_lets_streams_end_and_takes_no_new_ones(void **state)
{
    (void)state;
    struct flow *old = join(0);
    struct hbk_tunnel *first = tunnel_of(old);
    hbk_tunnel_drain(first_server());
    turn_until(&scene.bench, first->is_draining);
    struct flow *new = join(1);
    assert_ptr_not_equal(tunnel_of(new), first);
    assert_int_equal(scene.dials, 2);
    uint64_t sent = 0, received = 0;
    pattern_send(old->app, &sent, 1000);
    turn_until(&scene.bench, (pattern_receive(scene.served[0].app, &received), received == 1000));
    shutdown(old->app, SHUT_WR);
    shutdown(scene.served[0].app, SHUT_WR);
    turn_until(&scene.bench, scene.servers_closed == 1 && old->closed == 1);
    assert_int_equal(old->kind, HBK_FAILURE_NONE);
    assert_int_equal(new->closed, 0);
}

/* The last stream ends while much of it still waits for the socket. */
static void a_tunnel_that_drains_sends_all_of_its_last_stream(void **state)
{
    (void)state;
    enum { SIZE = 60000 };
    scene.is_small = true;
    struct flow *flow = join(0);
    struct served *served = &scene.served[0];
    uint64_t sent = 0, received = 0;
    hbk_tunnel_drain(first_server());
    shutdown(flow->app, SHUT_WR);
    turn_until(&scene.bench, pattern_receive(served->app, &received) == PATTERN_ENDED);
    hbk_loop_remove(&scene.bench.loop, &served->relay.source); /* all of it comes in one turn */
    served->relay.source.on_ready = NULL;
    int fds[2];
    loopback_pair(fds, false);
    pattern_send(fds[0], &sent, SIZE);
    assert_int_equal(sent, SIZE);
    shutdown(fds[0], SHUT_WR);
    assert_int_equal(dup2(fds[1], served->relay.source.fd), served->relay.source.fd);
    close(fds[1]);
    served->relay.source.ready |= HBK_READABLE | HBK_ENDED;
    hbk_relay_resume(&served->relay);
    turn_until(&scene.bench, pattern_receive(flow->app, &received) != PATTERN_GOES_ON);
    assert_int_equal(received, SIZE);
    assert_int_equal(flow->kind, HBK_FAILURE_NONE);
    close(fds[0]);
}

static void a_client_that_drains_closes_when_its_streams_have_ended(void **state)
{
    (void)state;
    struct flow *flow = join(0);
    hbk_tunnel_drain(tunnel_of(flow));
    turns(&scene.bench, 10);
    assert_int_equal(flow->closed, 0);
    close_fd(&flow->app);
    close_fd(&scene.served[0].app);
    turn_until(&scene.bench, scene.bench.net.tunnels.objects_used == 0);
    assert_int_equal(flow->kind, HBK_FAILURE_NONE);
    assert_true(ends(HBK_TUNNEL_END_DRAIN) >= 1);
}

static void a_server_that_stops_reading_bounds_what_the_tunnel_holds(void **state)
{
    (void)state;
    enum { STREAMS = 32 };
    uint64_t sent[STREAMS] = {0};
    for (unsigned i = 0; i < STREAMS; i++) {
        (void)join(i);
    }
    struct hbk_tunnel *tunnel = tunnel_of(&scene.flows[0]);
    struct hbk_tunnel *server = first_server();
    hbk_loop_remove(&scene.bench.loop, &server->source);
    for (int turn = 0; turn < 300; turn++) {
        for (unsigned i = 0; i < STREAMS; i++) {
            pattern_send(scene.flows[i].app, &sent[i], UINT64_MAX);
        }
        turns(&scene.bench, 1);
        assert_true(tunnel->blocks <= HBK_TUNNEL_BLOCKS_MAX);
        assert_true(hbk_buffer_size(&tunnel->sealed) <= HBK_TUNNEL_SEALED_BYTES_MAX);
    }
    assert_int_equal(tunnel->state, HBK_TUNNEL_OPEN);
}

/* ---- handshakes that wait for a batch ---- */

static int set_up_waiting(void **state)
{
    waiting_wanted = 1;
    waiting_holds = false;
    waiting_jobs = 0;
    waiting_cancelled = 0;
    return set_up(state);
}

static int tear_down_waiting(void **state)
{
    waiting_wanted = 0;
    return tear_down(state);
}

#define waiting_test(function) \
    cmocka_unit_test_setup_teardown(function, set_up_waiting, tear_down_waiting)

static void a_handshake_that_waits_goes_on_when_its_batch_has_run(void **state)
{
    (void)state;
    for (waiting_wanted = 1; waiting_wanted <= 3; waiting_wanted++) {
        unsigned number = waiting_wanted;
        uint64_t sent = 0;
        uint64_t received = 0;
        waiting_jobs = 0;
        struct flow *flow = join(number);
        assert_true(waiting_jobs >= 4 * waiting_wanted); /* each side steps twice at least */
        pattern_send(flow->app, &sent, 1000);
        turn_until(&scene.bench,
                   pattern_receive(scene.served[number].app, &received) == PATTERN_GOES_ON &&
                       received == 1000);
        hbk_tunnel_close(tunnel_of(flow));
        turns(&scene.bench, 3);
    }
    assert_int_equal(waiting_cancelled, 0);
}

/* The kernel's window holds a peer that sends on, not our memory. */
static void nothing_is_read_while_a_handshake_waits(void **state)
{
    (void)state;
    static const uint8_t bytes[65536] = {0x16, 0x03, 0x01};
    int fds[2];
    waiting_holds = true;
    loopback_pair(fds, false);
    serve(fds[1]);
    struct hbk_tunnel *server = first_server();
    for (int i = 0; i < 50; i++) {
        ssize_t sent = send(fds[0], bytes, sizeof bytes, MSG_NOSIGNAL);
        assert_true(sent > 0 || errno == EAGAIN);
        turns(&scene.bench, 1);
    }
    assert_int_equal(scene.bench.net.counters.reads, 1);
    assert_true(hbk_buffer_size(&server->partial) <= HBK_NET_INPUT_BYTES);
    pass(&scene.bench, config()->handshake_timeout_ns + 20 * HBK_NS_PER_MS);
    turn_until(&scene.bench, scene.servers_closed == 1);
    assert_int_equal(handshakes(HBK_HANDSHAKE_TIMEOUT), 1);
    close(fds[0]);
}

static void close_all(struct hbk_task *task)
{
    (void)task;
    hbk_upstream_each(&scene.upstream, close_tunnel, NULL);
}

static void a_tunnel_that_closes_while_it_waits_is_not_heard_of_again(void **state)
{
    (void)state;
    struct hbk_task task;
    hbk_task_init(&task, close_all);
    scene.peer_fd = -1;
    struct flow *flow = begin(0);
    /* In the turn that submits the job, between that and its batch. */
    hbk_loop_post(&scene.bench.loop, HBK_PHASE_WRITE, &task);
    turn_until(&scene.bench, flow->closed == 1);
    turns(&scene.bench, 5);
    assert_int_equal(waiting_jobs, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        scene_test(a_connection_that_never_stands_times_out),
        scene_test(a_refused_connection_fails_its_waiters),
        scene_test(a_server_that_says_nothing_times_out_in_the_handshake),
        scene_test(a_client_that_says_nothing_times_out_in_the_handshake),
        scene_test(bytes_that_are_not_tls_fail_the_handshake),
        scene_test(a_failure_is_told_though_its_alert_cannot_be_sent),
        scene_test(a_peer_may_go_at_every_byte_of_the_handshake),
        scene_test(an_idle_tunnel_is_closed_in_peace),
        scene_test(an_idle_time_below_the_ping_interval_holds),
        scene_test(a_quiet_stream_lives_as_long_as_the_peer_answers_pings),
        scene_test(a_peer_that_answers_no_ping_is_given_up),
        scene_test(a_certificate_that_runs_out_drains_the_tunnel_and_closes_it_after_the_grace),
        scene_test(a_clock_that_steps_back_closes_nothing),
        scene_test(an_expired_certificate_fails_the_handshake_and_is_counted),
        scene_test(a_server_that_drains_lets_streams_end_and_takes_no_new_ones),
        scene_test(a_tunnel_that_drains_sends_all_of_its_last_stream),
        scene_test(a_client_that_drains_closes_when_its_streams_have_ended),
        scene_test(a_server_that_stops_reading_bounds_what_the_tunnel_holds),
        waiting_test(a_handshake_that_waits_goes_on_when_its_batch_has_run),
        waiting_test(nothing_is_read_while_a_handshake_waits),
        waiting_test(a_tunnel_that_closes_while_it_waits_is_not_heard_of_again),
    };
    return run_with_each_engine(tests);
}
