#include "os/isolation.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/stat.h>

#include "base/clock.h"
#include "netns_harness.h"
#include "os/process.h"

/* Processes that /proc lists; threads are not among them. */
static unsigned count_processes(void)
{
    unsigned count = 0;
    DIR *folder = opendir("/proc");
    for (struct dirent *entry = NULL; folder != NULL && (entry = readdir(folder)) != NULL;) {
        count += entry->d_name[0] >= '1' && entry->d_name[0] <= '9';
    }
    if (folder != NULL) {
        (void)closedir(folder);
    }
    return count;
}

static int be_first(void *argument)
{
    (void)argument;
    bool is_first = getpid() == 1 && geteuid() == 0 && getegid() == 0;
    bool is_known_outside = hbk_isolation_outer_pid() > 1;
    bool is_private = access("/proc/1/stat", R_OK) == 0 && count_processes() == 1 &&
                      mkdir("/run/ours", 0700) == 0;
    return is_first && is_known_outside && is_private ? 42 : 1;
}

static void the_work_runs_as_the_first_process_and_its_status_is_told(void **state)
{
    (void)state;
    for (unsigned i = 0; i < 2; i++) {
        int exit_status = -1;
        struct hbk_error error = {0};
        assert_int_equal(hbk_isolation_run(be_first, NULL, &exit_status, &error), HBK_OK);
        assert_int_equal(exit_status, 42);
        assert_int_equal(hbk_isolation_outer_pid(), 0);
        assert_int_not_equal(access("/run/ours", F_OK), 0);
    }
}

/* Starts a child in the world that holds the pipe open, tells that it is there, and waits. */
static int wait_with_child(void *argument)
{
    int pipe_fd = *(int *)argument;
    if (fork() == 0) {
        (void)signal(SIGTERM, SIG_IGN);
        (void)signal(SIGINT, SIG_IGN);
    } else if (write(pipe_fd, "x", 1) != 1) {
        return 1;
    }
    for (;;) {
        (void)pause();
    }
}

static int isolate_and_wait(void *argument)
{
    int exit_status = -1;
    hbk_status status = hbk_isolation_run(wait_with_child, argument, &exit_status, NULL);
    return status == HBK_OK ? exit_status : 1;
}

static void whatever_ends_it_leaves_no_process_behind(void **state)
{
    (void)state;
    static const int signals[] = {SIGINT, SIGTERM, SIGHUP, SIGKILL};
    for (size_t i = 0; i < HBK_COUNT(signals); i++) {
        int pipe_fds[2];
        char byte;
        int exit_status = -1;
        assert_int_equal(pipe2(pipe_fds, O_CLOEXEC), 0);
        struct hbk_process_spec spec = hbk_process_spec_call(isolate_and_wait, &pipe_fds[1]);
        struct hbk_process process = hbk_process_none();
        assert_int_equal(hbk_process_start(&spec, &process, NULL), HBK_OK);
        hbk_fd_close(&pipe_fds[1]);
        assert_int_equal(read(pipe_fds[0], &byte, 1), 1);
        hbk_process_signal(&process, signals[i]);
        /* The end of the pipe: nobody holds it any more, neither the world nor what it started. */
        assert_int_equal(read(pipe_fds[0], &byte, 1), 0);
        assert_int_equal(hbk_process_wait(&process, UINT64_MAX, &exit_status), HBK_OK);
        assert_int_equal(exit_status, 128 + signals[i]);
        hbk_fd_close(&pipe_fds[0]);
    }
}

int main(void)
{
#ifdef __SANITIZE_THREAD__
    /* One thread, and signals are its matter; the sanitizer holds them back from waitpid(). */
    printf("skipped: the thread sanitizer delays signals\n");
    return NETNS_TEST_SKIPPED;
#endif
    if (!hbk_isolation_is_possible()) {
        printf("skipped: namespaces are forbidden here\n");
        return NETNS_TEST_SKIPPED;
    }
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_work_runs_as_the_first_process_and_its_status_is_told),
        cmocka_unit_test(whatever_ends_it_leaves_no_process_behind),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
