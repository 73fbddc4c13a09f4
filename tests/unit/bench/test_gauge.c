#include "bench/gauge.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "harness.h"
#include "os/limits.h"
#include "os/process.h"

enum {
    SOCKETS = 5,
    STEPS = 9,
    PAIRS_MAX = 400, /* of sockets at each step */
    PAIRS_MIN = 40,
    FILES_OF_OTHERS = 64,
    TRIES = 5,
    SOCKET_BYTES_MIN =
        2500, /* a tcp_sock, its inode, file, dentry and port: 4.9 KB on Linux 6.18 */
    SOCKET_BYTES_MAX = 10000,
};

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
        usage = hbk_gauge_group(process.pid, true);
        assert_int_equal(usage.processes, 1);
    }
    assert_in_range(usage.cpu_ns, burnt_ns, burnt_ns + burnt_ns / 10);
    assert_int_equal(usage.sockets, SOCKETS);
    assert_true(usage.private_bytes > 0);
    hbk_process_stop(&process, 0);
    assert_int_equal(hbk_gauge_group(process.pid, true).processes, 0);
}

static int wait_to_be_looked_at(void *argument)
{
    (void)argument;
    (void)pause();
    return 0;
}

static void one_pass_tells_groups_apart_and_the_same_group_twice_is_the_same(void **state)
{
    (void)state;
    enum { GROUPS = 4 };
    uint64_t burnt_ns = 20 * HBK_NS_PER_MS;
    struct hbk_process burner, waiter;
    struct hbk_process_spec spec = hbk_process_spec_call(burn, &burnt_ns);
    spec.has_own_group = true;
    spec.death_signal = SIGKILL;
    assert_int_equal(hbk_process_start(&spec, &burner, NULL), HBK_OK);
    spec = hbk_process_spec_call(wait_to_be_looked_at, NULL);
    spec.has_own_group = true;
    spec.death_signal = SIGKILL;
    assert_int_equal(hbk_process_start(&spec, &waiter, NULL), HBK_OK);
    const pid_t groups[GROUPS] = {burner.pid, 0, waiter.pid, burner.pid};
    struct hbk_group_usage usages[GROUPS] = {0};
    while (usages[0].cpu_ns < burnt_ns) {
        hbk_gauge_groups(groups, GROUPS, true, usages);
    }
    assert_true(usages[0].processes == 1 && usages[2].processes == 1);
    assert_int_equal(usages[0].sockets, SOCKETS);
    assert_int_equal(usages[2].sockets, 0);
    assert_true(usages[2].cpu_ns < burnt_ns);
    assert_memory_equal(&usages[0], &usages[3], sizeof usages[0]);
    assert_true(usages[1].processes == 0 && usages[1].cpu_ns == 0);
    hbk_process_stop(&burner, 0);
    hbk_gauge_groups(groups, GROUPS, false, usages);
    assert_true(usages[0].processes == 0 && usages[2].processes == 1);
    hbk_process_stop(&waiter, 0);
}

struct holding {
    unsigned pairs; /* more at each step */
    int asked_fd, told_fd;
};

/* Connects to itself so many times more at each byte that it reads, tells it, and holds on. */
static int hold(void *argument)
{
    const struct holding *holding = argument;
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
    socklen_t size = sizeof address;
    char byte;
    int listener = socket(AF_INET, SOCK_STREAM, 0);
    if (bind(listener, (struct sockaddr *)&address, size) != 0 || listen(listener, 16) != 0 ||
        getsockname(listener, (struct sockaddr *)&address, &size) != 0) {
        return 1;
    }
    while (read(holding->asked_fd, &byte, 1) == 1) {
        for (unsigned i = 0; i < holding->pairs; i++) {
            int client = socket(AF_INET, SOCK_STREAM, 0);
            if (client < 0 || connect(client, (struct sockaddr *)&address, size) != 0 ||
                accept(listener, NULL, NULL) < 0) {
                return 1;
            }
        }
        (void)!write(holding->told_fd, &byte, 1);
    }
    return 0;
}

static int by_size(const void *a, const void *b)
{
    const int64_t *left = a, *right = b;
    return (*left > *right) - (*left < *right);
}

/* What the kernel's memory grows by for each socket of a process that only holds connections: the
 * median of some steps, since the figure is the whole machine's. */
static int64_t bytes_of_a_socket(unsigned pairs)
{
    int asked[2], told[2];
    int64_t found[STEPS];
    char byte = 'x';
    assert_int_equal(pipe2(asked, O_CLOEXEC), 0);
    assert_int_equal(pipe2(told, O_CLOEXEC), 0);
    struct holding holding = {.pairs = pairs, .asked_fd = asked[0], .told_fd = told[1]};
    struct hbk_process process;
    struct hbk_process_spec spec = hbk_process_spec_call(hold, &holding);
    spec.has_own_group = true;
    spec.death_signal = SIGKILL;
    assert_int_equal(hbk_process_start(&spec, &process, NULL), HBK_OK);
    (void)close(asked[0]);
    (void)close(told[1]);
    for (unsigned i = 0; i < STEPS; i++) {
        uint64_t before_bytes = hbk_gauge_machine().kernel_bytes;
        assert_int_equal(write(asked[1], &byte, 1), 1);
        assert_int_equal(read(told[0], &byte, 1), 1);
        found[i] = (int64_t)hbk_gauge_machine().kernel_bytes - (int64_t)before_bytes;
        found[i] /= 2 * (int64_t)pairs;
    }
    unsigned sockets = hbk_gauge_group(process.pid, true).sockets;
    hbk_process_stop(&process, 0);
    (void)close(asked[1]);
    (void)close(told[0]);
    assert_int_equal(sockets, STEPS * 2 * pairs + 1);
    qsort(found, STEPS, sizeof found[0], by_size);
    return found[STEPS / 2];
}

/* Whatever else the machine does meanwhile disturbs it, and not each time. */
static void connections_that_are_only_held_show_in_the_kernels_memory(void **state)
{
    (void)state;
    uint64_t files_max = 0;
    assert_int_equal(hbk_limits_raise_open_files(&files_max), HBK_OK);
    uint64_t pairs = (files_max - FILES_OF_OTHERS) / 2 / STEPS;
    pairs = pairs > PAIRS_MAX ? PAIRS_MAX : pairs;
    if (pairs < PAIRS_MIN) {
        print_message("at most %llu files may be open here\n", (unsigned long long)files_max);
        skip();
    }
    int64_t found = 0;
    for (unsigned i = 0; i < TRIES && (found < SOCKET_BYTES_MIN || found > SOCKET_BYTES_MAX); i++) {
        found = bytes_of_a_socket((unsigned)pairs);
        print_message("%lld bytes a socket\n", (long long)found);
    }
    assert_in_range(found, SOCKET_BYTES_MIN, SOCKET_BYTES_MAX);
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
        cmocka_unit_test(one_pass_tells_groups_apart_and_the_same_group_twice_is_the_same),
        cmocka_unit_test(connections_that_are_only_held_show_in_the_kernels_memory),
        cmocka_unit_test(the_machine_is_busy_and_its_kernel_holds_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
