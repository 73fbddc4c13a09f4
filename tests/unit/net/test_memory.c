#include "net/net.h"

#include "scene.h"
#include "wire/allocation.h"

/*
 * A connection, some bytes each way, two ends, while the n-th allocation fails, for all n. Whatever
 * comes of it, every relay and tunnel is closed exactly once and nothing leaks: tear_down() looks.
 */
static void play(void)
{
    uint64_t sent[2] = {0}, received[2] = {0};
    struct flow *flow = begin(0);
    struct served *served = &scene.served[0];
    for (int turn = 0; turn < 60 && flow->closed == 0; turn++) {
        turns(&scene.bench, 1);
        if (served->app >= 0) {
            pattern_send(served->app, &sent[1], 100000);
            (void)pattern_receive(served->app, &received[0]);
        }
        pattern_send(flow->app, &sent[0], 100000);
        (void)pattern_receive(flow->app, &received[1]);
    }
}

static void every_allocation_may_fail(void **state)
{
    size_t count = 0;
    assert_int_equal(set_up(state), 0);
    scene.is_small = true;
    size_t before = allocation_count();
    play();
    count = allocation_count() - before;
    assert_int_equal(tear_down(state), 0);
    assert_true(count > 10);
    for (size_t n = 1; n <= count + 2; n++) {
        assert_int_equal(set_up(state), 0);
        scene.is_small = true;
        allocation_fail(n);
        play();
        allocation_fail(0);
        assert_int_equal(tear_down(state), 0);
    }
}

static void a_worker_may_fail_to_begin(void **state)
{
    (void)state;
    struct hbk_loop loop;
    clock_start();
    assert_int_equal(hbk_loop_init(&loop), HBK_OK);
    struct hbk_net net;
    size_t n = 1;
    for (hbk_status status = HBK_NO_MEMORY; status != HBK_OK; n++) {
        allocation_fail(n);
        status = hbk_net_init(&net, &loop, &HBK_NET_CONFIG_DEFAULT);
        allocation_fail(0);
        assert_true(status == HBK_OK || status == HBK_NO_MEMORY);
    }
    assert_in_range(n, 6, 20);
    hbk_net_fini(&net);
    hbk_loop_fini(&loop);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_allocation_may_fail),
        cmocka_unit_test(a_worker_may_fail_to_begin),
    };
    return run_with_each_engine(tests);
}
