#include "bench/gauge.h"

#include <signal.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "harness.h"
#include "os/process.h"

enum { SOCKETS = 5 };

/* Burns a known amount of CPU with a few sockets open, then waits to be looked at. */
static int burn(void *argument)
{
    const uint64_t *burnt_ns = argument;
    for (unsigned i = 0; i < SOCKETS; i++) {
        (void)!socket(AF_INET, SOCK_STREAM, 0);
    }
    uint64_t used_ns = 0;
    while (used_ns < *burnt_ns) {
        (void)!hbk_process_cpu(getpid(), &used_ns);
    }
    (void)pause();
    return 0;
}

static void a_process_that_burnt_so_much_cpu_reads_so_much(void **state)
{
    (void)state;
    uint64_t burnt_ns = 100 * HBK_NS_PER_MS;
    struct hbk_process process;
    struct hbk_process_spec spec = hbk_process_spec_call(burn, &burnt_ns);
    struct hbk_group_usage usage = {0};
    spec.has_own_group = true;
    spec.death_signal = SIGKILL;
    assert_int_equal(hbk_process_start(&spec, &process, NULL), HBK_OK);
    /* It ends by itself at that: look until it does no more. */
    while (usage.cpu_ns < burnt_ns) {
        usage = hbk_gauge_group(process.pid, 1);
        assert_int_equal(usage.processes, 1);
    }
    assert_in_range(usage.cpu_ns, burnt_ns, burnt_ns + burnt_ns / 10);
    assert_int_equal(usage.sockets, SOCKETS);
    assert_true(usage.private_bytes > 0);
    hbk_process_stop(&process, 0);
    assert_int_equal(hbk_gauge_group(process.pid, 1).processes, 0);
}

static void the_machine_is_busy_and_its_kernel_holds_memory(void **state)
{
    (void)state;
    struct hbk_machine_usage usage = hbk_gauge_machine();
    assert_true(usage.busy_ns > 0 && usage.busy_ns >= usage.softirq_ns);
    assert_true(usage.kernel_bytes > 1 << 20);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_process_that_burnt_so_much_cpu_reads_so_much),
        cmocka_unit_test(the_machine_is_busy_and_its_kernel_holds_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
