/* The bare peers carry what they measure: client, two relays behind the redirection, server. */
#include "bench/bare.h"

#include <signal.h>
#include <sys/mman.h>

#include "../os/netns_harness.h"
#include "base/clock.h"
#include "bench/topology.h"
#include "os/process.h"
#include "os/redirect.h"

enum { SERVER_PORT = 9000 };

static struct hbk_topology topology;
static struct shared {
    struct hbk_bare_result result;
    _Atomic uint64_t swallowed_bytes;
} * shared;
static struct hbk_process relays[2];

static int at(enum hbk_place place)
{
    return topology.places[place].netns_fd;
}

static struct hbk_process start_server(enum hbk_place place, bool is_sink)
{
    HBK_CLEANUP(hbk_fd_close) int listener = listen_in(at(place), "[::]:9000", 0);
    struct hbk_bare_server server = {
        .listener = listener,
        .is_sink = is_sink,
        .swallowed_bytes = &shared->swallowed_bytes,
    };
    struct hbk_process_spec spec = hbk_process_spec_call(hbk_bare_server_run, &server);
    struct hbk_process process = hbk_process_none();
    spec.death_signal = SIGKILL;
    assert_int_equal(hbk_process_start(&spec, &process, NULL), HBK_OK);
    return process;
}

static void run_client(enum hbk_bare_mode mode, unsigned connections, unsigned rate_rps)
{
    struct hbk_process server = start_server(HBK_PLACE_CART, mode == HBK_BARE_BULK);
    struct hbk_bare_client client = {
        .plan = {.mode = mode,
                 .to = hbk_topology_address(&topology, HBK_PLACE_CART, SERVER_PORT),
                 .connections = connections,
                 .rate_rps = rate_rps,
                 .warm_ns = 20 * HBK_NS_PER_MS,
                 .measure_ns = 200 * HBK_NS_PER_MS,
                 .watched = {relays[0].pid, relays[1].pid, server.pid},
                 .swallowed_bytes = &shared->swallowed_bytes},
        .result = &shared->result,
    };
    struct hbk_process_spec spec = hbk_process_spec_call(hbk_bare_client_run, &client);
    struct hbk_process process = hbk_process_none();
    int exit_status = -1;
    memset(shared, 0, sizeof *shared);
    spec.netns_fd = at(HBK_PLACE_FRONT);
    assert_int_equal(hbk_process_start(&spec, &process, NULL), HBK_OK);
    assert_int_equal(hbk_process_wait(&process, 30 * HBK_NS_PER_S, &exit_status), HBK_OK);
    assert_int_equal(exit_status, 0);
    assert_int_equal(shared->result.errors, 0);
    hbk_process_stop(&server, 0);
}

static void requests_are_answered_in_every_mode(void **state)
{
    (void)state;
    static const struct {
        enum hbk_bare_mode mode;
        unsigned connections, rate_rps;
    } cases[] = {
        {HBK_BARE_CLOSED, 1, 0},
        {HBK_BARE_CLOSED, 100, 0},
        {HBK_BARE_OPEN, 200, 500},
        {HBK_BARE_CONNECT, 4, 0},
    };
    for (size_t i = 0; i < HBK_COUNT(cases); i++) {
        run_client(cases[i].mode, cases[i].connections, cases[i].rate_rps);
        assert_true(shared->result.requests > 0);
        assert_true(shared->result.cpu_ns[2] > 0);
        assert_true(shared->result.client_cpu_ns > 0);
        assert_true(shared->result.p50_us > 0);
        assert_true(shared->result.p99_us >= shared->result.p50_us);
        assert_true(relays[0].pid == 0 || shared->result.cpu_ns[0] > 0);
        assert_true(relays[1].pid == 0 || shared->result.cpu_ns[1] > 0);
    }
}

static void a_bulk_stream_arrives(void **state)
{
    (void)state;
    run_client(HBK_BARE_BULK, 1, 0);
    assert_true(shared->result.bytes > 1 << 20);
}

static struct hbk_process start_relay(enum hbk_place place, const char *where)
{
    HBK_CLEANUP(hbk_fd_close)
    int listener = listen_in(at(place), where, HBK_REDIRECT_MARK_AGENT);
    struct hbk_bare_relay relay = {.listener = listener, .mark = HBK_REDIRECT_MARK_AGENT};
    struct hbk_process_spec spec = hbk_process_spec_call(hbk_bare_relay_run, &relay);
    struct hbk_process process = hbk_process_none();
    spec.netns_fd = at(place);
    spec.death_signal = SIGKILL;
    assert_int_equal(hbk_process_start(&spec, &process, NULL), HBK_OK);
    return process;
}

static void redirect(enum hbk_place place)
{
    HBK_CLEANUP(hbk_netns_leave) struct hbk_netns_visit visit = hbk_netns_visit_none();
    struct hbk_redirect_spec spec = {.kind = HBK_REDIRECT_POD};
    assert_int_equal(hbk_netns_enter(at(place), &visit), HBK_OK);
    assert_int_equal(hbk_redirect_apply_here(&spec, NULL), HBK_OK);
}

static int start_relays(void **state)
{
    (void)state;
    redirect(HBK_PLACE_FRONT);
    redirect(HBK_PLACE_CART);
    relays[0] = start_relay(HBK_PLACE_FRONT, "[::]:15001");
    relays[1] = start_relay(HBK_PLACE_CART, "[::]:15006");
    return 0;
}

static int build(void **state)
{
    (void)state;
    struct hbk_error error = {0};
    if (hbk_topology_build(&topology, HBK_PLACES_OF_MESH, &error) != HBK_OK) {
        fail_msg("%s", error.text);
    }
    shared = mmap(NULL, sizeof *shared, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    return shared == MAP_FAILED ? -1 : 0;
}

static int run(void *argument)
{
    (void)argument;
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(requests_are_answered_in_every_mode),
        cmocka_unit_test(a_bulk_stream_arrives),
        /* From here on the relays stand between. */
        cmocka_unit_test_setup(requests_are_answered_in_every_mode, start_relays),
        cmocka_unit_test(a_bulk_stream_arrives),
    };
    return cmocka_run_group_tests(tests, build, NULL);
}

int main(void)
{
    return run_isolated(run);
}
