#include "os/process.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <unistd.h>

#include "base/clock.h"
#include "harness.h"
#include "os/fd.h"

static int run_and_wait(const struct hbk_process_spec *spec)
{
    struct hbk_process process = hbk_process_none();
    int exit_status = -1;
    assert_int_equal(hbk_process_start(spec, &process, NULL), HBK_OK);
    assert_int_equal(hbk_process_wait(&process, UINT64_MAX, &exit_status), HBK_OK);
    assert_int_equal(process.pid, 0);
    assert_int_equal(process.fd, -1);
    return exit_status;
}

static void the_exit_status_or_the_signal_is_told(void **state)
{
    (void)state;
    static const struct {
        const char *arguments[4];
        int expected;
    } cases[] = {
        {{"/bin/true"}, 0},
        {{"/bin/false"}, 1},
        {{"/bin/sh", "-c", "exit 42"}, 42},
        {{"/bin/sh", "-c", "kill -KILL $$"}, 128 + SIGKILL},
    };
    for (size_t i = 0; i < HBK_COUNT(cases); i++) {
        struct hbk_process_spec spec = hbk_process_spec_of(cases[i].arguments);
        assert_int_equal(run_and_wait(&spec), cases[i].expected);
    }
}

static void a_program_that_cannot_start_is_an_error_with_its_step(void **state)
{
    (void)state;
    static const char *const missing[] = {"/no/such/program", NULL};
    struct hbk_process_spec spec = hbk_process_spec_of(missing);
    struct hbk_process process = hbk_process_none();
    struct hbk_error error = {0};
    assert_int_equal(hbk_process_start(&spec, &process, &error), HBK_NOT_FOUND);
    assert_non_null(strstr(error.text, "/no/such/program"));
    assert_int_equal(process.pid, 0);

    HBK_CLEANUP(hbk_fd_close) int no_namespace = open("/dev/null", O_RDONLY | O_CLOEXEC);
    static const char *const good[] = {"/bin/true", NULL};
    spec = hbk_process_spec_of(good);
    spec.netns_fd = no_namespace;
    error = (struct hbk_error){0};
    assert_int_not_equal(hbk_process_start(&spec, &process, &error), HBK_OK);
    assert_non_null(strstr(error.text, "network namespace"));
}

static int core_now(void *argument)
{
    (void)argument;
    return sched_getcpu();
}

static void a_function_runs_in_a_copy_on_the_core_it_was_given(void **state)
{
    (void)state;
    cpu_set_t allowed;
    assert_int_equal(sched_getaffinity(0, sizeof allowed, &allowed), 0);
    for (int cpu = 0; cpu < 4; cpu++) {
        struct hbk_process_spec spec = hbk_process_spec_call(core_now, NULL);
        spec.cpu = cpu;
        if (CPU_ISSET((size_t)cpu, &allowed)) {
            assert_int_equal(run_and_wait(&spec), cpu);
        }
    }
}

static void output_goes_where_it_was_sent(void **state)
{
    (void)state;
    static const char *const arguments[] = {"/bin/sh", "-c", "echo out; echo err >&2", NULL};
    struct hbk_process_spec spec = hbk_process_spec_of(arguments);
    int pipe_fds[2];
    char found[32] = {0};
    assert_int_equal(pipe2(pipe_fds, O_CLOEXEC), 0);
    spec.output_fd = pipe_fds[1];
    spec.error_fd = pipe_fds[1];
    assert_int_equal(run_and_wait(&spec), 0);
    assert_int_equal(read(pipe_fds[0], found, sizeof found), 8);
    assert_string_equal(found, "out\nerr\n");
    hbk_fd_close(&pipe_fds[0]);
    hbk_fd_close(&pipe_fds[1]);
}

static int wait_for_ever(void *argument)
{
    (void)argument;
    (void)signal(SIGTERM, SIG_IGN);
    ssize_t put = write(*(int *)argument, "x", 1);
    while (put == 1) {
        (void)pause();
    }
    return 0;
}

static void a_process_that_will_not_end_is_killed(void **state)
{
    (void)state;
    int pipe_fds[2];
    char byte;
    assert_int_equal(pipe2(pipe_fds, O_CLOEXEC), 0);
    struct hbk_process_spec spec = hbk_process_spec_call(wait_for_ever, &pipe_fds[1]);
    struct hbk_process process = hbk_process_none();
    int exit_status;
    assert_int_equal(hbk_process_start(&spec, &process, NULL), HBK_OK);
    assert_int_equal(read(pipe_fds[0], &byte, 1), 1); /* it ignores SIGTERM from here on */
    assert_true(hbk_process_is_running(&process));
    assert_int_equal(hbk_process_wait(&process, 0, &exit_status), HBK_TIMEOUT);
    hbk_process_stop(&process, HBK_NS_PER_MS);
    assert_int_equal(process.pid, 0);
    assert_int_equal(hbk_process_wait(&process, 0, &exit_status), HBK_NOT_FOUND);
    hbk_fd_close(&pipe_fds[0]);
    hbk_fd_close(&pipe_fds[1]);
}

static void our_own_use_of_cpu_and_memory_is_counted(void **state)
{
    (void)state;
    struct hbk_process_usage before;
    struct hbk_process_usage after;
    assert_int_equal(hbk_process_usage(getpid(), &before), HBK_OK);
    enum { SIZE = 8 << 20, SHARED_PAGES = 2 * 4096 }; /* at both ends with other variables */
    static volatile char bytes[SIZE];
    /* The kernel brings the count of a running thread up to date only now and then. */
    do {
        for (size_t i = 0; i < SIZE; i += 64) {
            bytes[i] = (char)i;
        }
        assert_int_equal(hbk_process_usage(getpid(), &after), HBK_OK);
    } while (after.cpu_ns == before.cpu_ns);
    assert_int_equal(bytes[64], 64);
    assert_true(after.private_dirty_bytes >= before.private_dirty_bytes + SIZE - SHARED_PAGES);
    assert_true(after.resident_bytes >= after.private_dirty_bytes);
    assert_int_equal(hbk_process_usage(0x3fffff, &after), HBK_NOT_FOUND);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_exit_status_or_the_signal_is_told),
        cmocka_unit_test(a_program_that_cannot_start_is_an_error_with_its_step),
        cmocka_unit_test(a_function_runs_in_a_copy_on_the_core_it_was_given),
        cmocka_unit_test(output_goes_where_it_was_sent),
        cmocka_unit_test(a_process_that_will_not_end_is_killed),
        cmocka_unit_test(our_own_use_of_cpu_and_memory_is_counted),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
