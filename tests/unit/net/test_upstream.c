#include "net/upstream.h"

#include "scene.h"

static void a_burst_of_callers_shares_one_tunnel(void **state)
{
    (void)state;
    for (unsigned i = 0; i < FLOWS_MAX; i++) {
        (void)begin(i);
    }
    for (unsigned i = 0; i < FLOWS_MAX; i++) {
        turn_until(&scene.bench, scene.flows[i].answers == 1);
        /* The others waited until the peer said how many streams it takes. */
        assert_int_equal(scene.flows[i].is_fresh, i == 0);
    }
    assert_int_equal(scene.dials, 1);
    assert_int_equal(scene.opened, 1);
}

static void beyond_the_streams_of_one_tunnel_there_is_a_second(void **state)
{
    (void)state;
    scene.bench.net.config.streams_max = 10;
    for (unsigned i = 0; i < 25; i++) {
        (void)begin(i);
    }
    for (unsigned i = 0; i < 25; i++) {
        turn_until(&scene.bench, scene.flows[i].answers == 1);
    }
    assert_int_equal(scene.dials, 3);
    for (unsigned i = 25; i < 30; i++) {
        (void)join(i);
        assert_false(scene.flows[i].is_fresh);
    }
    assert_int_equal(scene.dials, 3);
}

static void a_caller_takes_the_place_of_a_stream_that_ended(void **state)
{
    (void)state;
    scene.bench.net.config.streams_max = 1;
    struct flow *first = join(0);
    scene.peer_fd = -1; /* the second connection will not open */
    struct flow *second = begin(1);
    turns(&scene.bench, 5);
    assert_false(second->was_given);
    close_fd(&first->app);
    close_fd(&scene.served[0].app);
    turn_until(&scene.bench, second->answers == 1);
    assert_false(second->is_fresh);
}

static void a_dial_that_fails_at_once_fails_its_callers(void **state)
{
    (void)state;
    scene.dial_fails = true;
    struct flow *flow = begin(0);
    turn_until(&scene.bench, flow->closed == 1);
    assert_string_equal(flow->why, "no route");
    assert_int_equal(scene.upstream.groups.count, 0);
}

/* Their credential was replaced while hands were shaken. */
static void callers_do_not_get_a_tunnel_that_is_drained_as_it_opens(void **state)
{
    (void)state;
    scene.stale = 2;
    struct flow *first = begin(0);
    struct flow *second = begin(1);
    turn_until(&scene.bench, first->answers == 1 && second->answers == 1);
    assert_int_equal(scene.opened, 3);
    assert_int_equal(scene.dials, 3);
    assert_true(first->is_fresh);
    assert_int_equal(scene.bench.net.counters.handshakes_ok[scene_engine][0], 3);
}

/* A dial fails its callers also when a tunnel that only drains is still there. */
static void callers_do_not_wait_for_a_tunnel_that_takes_nothing_more(void **state)
{
    (void)state;
    struct flow *old = join(0);
    hbk_tunnel_drain(tunnel_of(old));
    scene.dial_fails = true;
    struct flow *new = begin(1);
    turn_until(&scene.bench, new->closed == 1);
    assert_string_equal(new->why, "no route");
    assert_int_equal(old->closed, 0);
}

static void a_request_lost_with_its_old_tunnel_is_tried_on_a_fresh_one(void **state)
{
    (void)state;
    (void)join(0);
    scene.serving = SERVE_CLOSE;
    struct flow *flow = begin(1);
    flow->retries = true;
    turn_until(&scene.bench, flow->refusals == 1);
    scene.serving = SERVE;
    turn_until(&scene.bench, flow->answers == 1);
    assert_true(flow->is_fresh);
    assert_int_equal(flow->status, 200);
    assert_int_equal(scene.dials, 2);
}

/* A connection that nobody takes. */
static int refused_connection(void)
{
    struct sockaddr_in name;
    close(loopback_listen(1, &name));
    return loopback_connect(&name);
}

static uint64_t closed_clients(void)
{
    return scene.bench.net.counters.tunnels_closed[0];
}

static void a_dial_that_fails_is_not_repeated_while_a_tunnel_stands(void **state)
{
    (void)state;
    scene.bench.net.config.streams_max = 1;
    struct flow *first = join(0);
    scene.dial_fd = refused_connection();
    struct flow *second = begin(1);
    turn_until(&scene.bench, closed_clients() == 1);
    turns(&scene.bench, 5);
    assert_int_equal(scene.dials, 2);
    assert_false(second->was_given);
    assert_int_equal(second->closed, 0);
    close_fd(&first->app);
    close_fd(&scene.served[0].app);
    turn_until(&scene.bench, second->answers == 1);
    assert_false(second->is_fresh);
}

/* Two tunnels stand; the stream of the second is lost with it, and wants a fresh one. */
static struct flow *lose_a_stream_beside_a_full_tunnel(int dial_fd)
{
    scene.bench.net.config.streams_max = 1;
    (void)join(0);
    struct flow *second = join(1);
    close_fd(&second->app);
    close_fd(&scene.served[1].app);
    turn_until(&scene.bench, second->closed == 1);
    assert_int_equal(scene.dials, 2);
    scene.serving = SERVE_CLOSE;
    scene.dial_fd = dial_fd;
    struct flow *flow = begin(2);
    flow->retries = true;
    assert_true(flow->was_given);
    flow->was_given = false;
    turn_until(&scene.bench, flow->refusals == 1);
    assert_int_equal(scene.dials, 3);
    return flow;
}

static void a_dial_that_fails_fails_who_wants_a_fresh_tunnel_though_another_stands(void **state)
{
    (void)state;
    struct flow *flow = lose_a_stream_beside_a_full_tunnel(refused_connection());
    turn_until(&scene.bench, flow->closed == 1);
    assert_string_equal(flow->why, "connection failed: Connection refused");
    assert_int_equal(scene.dials, 3);
    assert_int_equal(scene.flows[0].closed, 0);
}

static void who_wants_a_fresh_tunnel_is_not_given_the_room_of_an_old_one(void **state)
{
    (void)state;
    struct sockaddr_in name;
    int listener = loopback_listen(1, &name); /* takes connections, and says nothing */
    struct flow *flow = lose_a_stream_beside_a_full_tunnel(loopback_connect(&name));
    scene.serving = SERVE;
    close_fd(&scene.flows[0].app);
    close_fd(&scene.served[0].app);
    turn_until(&scene.bench, scene.flows[0].closed == 1);
    turns(&scene.bench, 5);
    assert_false(flow->was_given);
    assert_int_equal(scene.upstream.waiters, 1);
    /* Others take it. */
    assert_false(join(3)->is_fresh);
    assert_int_equal(scene.dials, 3);
    assert_int_equal(flow->closed, 0);
    close(listener);
}

static void cancelling_leaves_nothing_behind(void **state)
{
    (void)state;
    scene.peer_fd = -1;
    for (unsigned i = 0; i < 8; i++) {
        (void)begin(i);
    }
    assert_int_equal(scene.upstream.waiters, 8);
    for (unsigned i = 0; i < 8; i++) {
        hbk_relay_abort(&scene.flows[i].relay, HBK_H2_CANCEL);
    }
    turns(&scene.bench, 3);
    assert_int_equal(scene.upstream.waiters, 0);
    for (unsigned i = 0; i < 8; i++) {
        assert_int_equal(scene.flows[i].closed, 1);
        assert_false(scene.flows[i].was_given);
    }
}

static void other_keys_have_other_tunnels(void **state)
{
    (void)state;
    int pods[2];
    for (unsigned i = 0; i < 4; i++) {
        scene.key.pod = &pods[i % 2];
        scene.key.destination.port = (uint16_t)(15008 + i / 2);
        (void)join(i);
    }
    assert_int_equal(scene.dials, 4);
    assert_int_equal(scene.upstream.groups.count, 4);
}

/* Closing a tunnel under a request makes its caller acquire, here from a new group each time. */
static unsigned visits;

static void visit_and_close(void *context, const struct hbk_upstream_key *key,
                            struct hbk_tunnel *tunnel)
{
    (void)context;
    (void)key;
    visits += tunnel->has_opened ? 1 : 0;
    scene.key.destination.port++;
    hbk_tunnel_close(tunnel);
}

static void a_walk_sees_every_tunnel_though_new_groups_come(void **state)
{
    (void)state;
    enum { COUNT = 24 };
    scene.serving = SERVE_SILENCE;
    for (unsigned i = 0; i < COUNT; i++) {
        scene.key.destination.port = (uint16_t)(1 + i);
        struct flow *flow = begin(i);
        flow->retries = true;
        turn_until(&scene.bench, scene.served[i].was_accepted);
    }
    scene.key.destination.port = 1000;
    scene.peer_fd = -1;
    visits = 0;
    hbk_upstream_each(&scene.upstream, visit_and_close, NULL);
    assert_int_equal(visits, COUNT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        scene_test(a_burst_of_callers_shares_one_tunnel),
        scene_test(beyond_the_streams_of_one_tunnel_there_is_a_second),
        scene_test(a_caller_takes_the_place_of_a_stream_that_ended),
        scene_test(a_dial_that_fails_at_once_fails_its_callers),
        scene_test(callers_do_not_get_a_tunnel_that_is_drained_as_it_opens),
        scene_test(callers_do_not_wait_for_a_tunnel_that_takes_nothing_more),
        scene_test(a_request_lost_with_its_old_tunnel_is_tried_on_a_fresh_one),
        scene_test(a_dial_that_fails_is_not_repeated_while_a_tunnel_stands),
        scene_test(a_dial_that_fails_fails_who_wants_a_fresh_tunnel_though_another_stands),
        scene_test(who_wants_a_fresh_tunnel_is_not_given_the_room_of_an_old_one),
        scene_test(cancelling_leaves_nothing_behind),
        scene_test(other_keys_have_other_tunnels),
        scene_test(a_walk_sees_every_tunnel_though_new_groups_come),
    };
    return run_with_each_engine(tests);
}
