/*
 * Between fork and exec only calls that are safe in a signal handler are made, since the parent may
 * have threads. What fails there is reported through a pipe that a successful exec closes: the
 * parent learns the step and errno, never a bare exit status.
 */
#include "os/process.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/assert.h"
#include "base/clock.h"
#include "os/fd.h"
#include "os/file.h"
#include "os/signal.h"

enum {
    SIGNAL_EXIT_BASE = 128,
    EXIT_NOT_STARTED = 127,
    SMAPS_BYTES_MAX = 64 << 10,
};

/* What the child tells its parent when it cannot start; written whole, it is below PIPE_BUF. */
struct start_failure {
    int error_number;
    char step[32];
};

static bool fail_step(struct start_failure *failure, const char *step)
{
    failure->error_number = errno;
    (void)strncpy(failure->step, step, sizeof failure->step - 1);
    return false;
}

static bool place_stream(int fd, int target)
{
    return fd < 0 || fd == target || dup2(fd, target) == target;
}

static bool place_streams(const struct hbk_process_spec *spec)
{
    int input = spec->input_fd >= 0 ? spec->input_fd : open("/dev/null", O_RDONLY);
    return place_stream(input, STDIN_FILENO) && place_stream(spec->output_fd, STDOUT_FILENO) &&
           place_stream(spec->error_fd, STDERR_FILENO);
}

/* Everything between fork and the program, in the child. */
static bool prepare_child(const struct hbk_process_spec *spec, struct start_failure *failure)
{
    hbk_signal_reset();
    if (spec->has_own_group && setpgid(0, 0) < 0) {
        return fail_step(failure, "leave the process group");
    }
    if (spec->death_signal != 0 && prctl(PR_SET_PDEATHSIG, spec->death_signal) < 0) {
        return fail_step(failure, "set the death signal");
    }
    if (spec->netns_fd >= 0 && setns(spec->netns_fd, CLONE_NEWNET) < 0) {
        return fail_step(failure, "enter the network namespace");
    }
    if (spec->cpu >= 0 && hbk_process_pin(spec->cpu) != HBK_OK) {
        return fail_step(failure, "pin to a core");
    }
    return place_streams(spec) || fail_step(failure, "place the standard streams");
}

HBK_NORETURN static void be_child(const struct hbk_process_spec *spec, int failure_pipe)
{
    struct start_failure failure = {0};
    if (prepare_child(spec, &failure)) {
        if (spec->arguments == NULL) {
            hbk_fd_close(&failure_pipe);
            int exit_status = spec->run(spec->argument);
            (void)fflush(NULL);
            _exit(exit_status);
        }
        /* execv() takes pointers to what it never changes; the cast is through memory. */
        char **arguments = NULL;
        memcpy(&arguments, &spec->arguments, sizeof arguments);
        (void)execv(arguments[0], arguments);
        (void)fail_step(&failure, "run the program");
    }
    ssize_t put = write(failure_pipe, &failure, sizeof failure);
    _exit(put > 0 ? EXIT_NOT_STARTED : EXIT_FAILURE);
}

static hbk_status hear_failure(pid_t pid, int failure_pipe, const struct hbk_process_spec *spec,
                               struct hbk_error *error)
{
    struct start_failure failure;
    ssize_t got = 0;
    do {
        got = read(failure_pipe, &failure, sizeof failure);
    } while (got < 0 && errno == EINTR);
    if (got != sizeof failure) {
        return HBK_OK;
    }
    (void)waitpid(pid, NULL, 0);
    return hbk_error_set(error, hbk_status_from_errno(failure.error_number),
                         "cannot start %s: cannot %s: %s",
                         spec->arguments == NULL ? "a process" : spec->arguments[0], failure.step,
                         strerror(failure.error_number));
}

hbk_status hbk_process_start(const struct hbk_process_spec *spec, struct hbk_process *out_process,
                             struct hbk_error *error)
{
    HBK_ASSERT((spec->arguments == NULL) != (spec->run == NULL));
    HBK_CLEANUP(hbk_fd_close) int hear = -1;
    HBK_CLEANUP(hbk_fd_close) int tell = -1;
    int pipe_fds[2];
    if (pipe2(pipe_fds, O_CLOEXEC) < 0) {
        return hbk_error_set(error, hbk_status_from_errno(errno), "cannot make a pipe: %s",
                             strerror(errno));
    }
    hear = pipe_fds[0];
    tell = pipe_fds[1];
    if (spec->arguments == NULL) {
        (void)fflush(NULL); /* or the copy would print what we have not yet */
    }
    pid_t pid = fork();
    if (pid < 0) {
        return hbk_error_set(error, hbk_status_from_errno(errno), "cannot fork: %s",
                             strerror(errno));
    }
    if (pid == 0) {
        be_child(spec, tell);
    }
    hbk_fd_close(&tell);
    HBK_TRY(hear_failure(pid, hear, spec, error));
    int fd = (int)syscall(SYS_pidfd_open, pid, 0); /* close-on-exec by itself */
    if (fd < 0) {
        int error_number = errno;
        (void)kill(pid, SIGKILL);
        (void)waitpid(pid, NULL, 0);
        return hbk_error_set(error, hbk_status_from_errno(error_number),
                             "cannot hold the process: %s", strerror(error_number));
    }
    *out_process = (struct hbk_process){.pid = pid, .fd = fd};
    return HBK_OK;
}

/* True when the process has ended, at the latest after `timeout_ns`. */
static bool wait_for_end(const struct hbk_process *process, uint64_t timeout_ns)
{
    uint64_t start_ns = hbk_clock_monotonic_ns();
    for (;;) {
        uint64_t spent_ns = hbk_clock_monotonic_ns() - start_ns;
        uint64_t left_ns = spent_ns >= timeout_ns ? 0 : timeout_ns - spent_ns;
        struct timespec left = {.tv_sec = (time_t)(left_ns / HBK_NS_PER_S),
                                .tv_nsec = (long)(left_ns % HBK_NS_PER_S)};
        struct pollfd end = {.fd = process->fd, .events = POLLIN};
        int ready = ppoll(&end, 1, timeout_ns == UINT64_MAX ? NULL : &left, NULL);
        if (ready > 0) {
            return true;
        }
        if (ready == 0 || errno != EINTR) {
            return false;
        }
    }
}

static uint64_t timeval_ns(const struct timeval *time)
{
    return (uint64_t)time->tv_sec * HBK_NS_PER_S + (uint64_t)time->tv_usec * HBK_NS_PER_US;
}

hbk_status hbk_process_wait(struct hbk_process *process, uint64_t timeout_ns, int *out_exit_status)
{
    if (process->pid == 0) {
        return HBK_NOT_FOUND;
    }
    if (!wait_for_end(process, timeout_ns)) {
        return HBK_TIMEOUT;
    }
    int status = 0;
    struct rusage used = {0};
    while (wait4(process->pid, &status, 0, &used) < 0 && errno == EINTR) {
    }
    hbk_fd_close(&process->fd);
    process->pid = 0;
    process->cpu_ns = timeval_ns(&used.ru_utime) + timeval_ns(&used.ru_stime);
    *out_exit_status =
        WIFEXITED(status) ? WEXITSTATUS(status) : SIGNAL_EXIT_BASE + WTERMSIG(status);
    return HBK_OK;
}

void hbk_process_signal(const struct hbk_process *process, int number)
{
    if (process->pid != 0) {
        (void)syscall(SYS_pidfd_send_signal, process->fd, number, NULL, 0);
    }
}

void hbk_process_stop(struct hbk_process *process, uint64_t grace_ns)
{
    int exit_status;
    hbk_process_signal(process, SIGTERM);
    if (hbk_process_wait(process, grace_ns, &exit_status) == HBK_TIMEOUT) {
        hbk_process_signal(process, SIGKILL);
        (void)!hbk_process_wait(process, UINT64_MAX, &exit_status);
    }
}

bool hbk_process_is_running(const struct hbk_process *process)
{
    return process->pid != 0 && !wait_for_end(process, 0);
}

hbk_status hbk_process_pin(int cpu)
{
    cpu_set_t set;
    CPU_ZERO(&set);
    CPU_SET((size_t)cpu, &set);
    return sched_setaffinity(0, sizeof set, &set) == 0 ? HBK_OK : hbk_status_from_errno(errno);
}

/* The first number in a small file of /proc. */
static hbk_status read_number(const char *path, uint64_t *out_number)
{
    char text[128];
    HBK_CLEANUP(hbk_fd_close) int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t got = fd < 0 ? -1 : read(fd, text, sizeof text - 1);
    if (got < 0) {
        return hbk_status_from_errno(errno);
    }
    text[got] = '\0';
    *out_number = strtoull(text, NULL, 10);
    return HBK_OK;
}

static void close_directory(DIR **directory)
{
    if (*directory != NULL) {
        (void)closedir(*directory);
    }
}

/* Calls `visit` for each thread of a process. Fails as opendir(). */
static hbk_status for_each_thread(pid_t pid, void (*visit)(pid_t thread, void *argument),
                                  void *argument)
{
    char path[64];
    (void)snprintf(path, sizeof path, "/proc/%d/task", (int)pid);
    HBK_CLEANUP(close_directory) DIR *tasks = opendir(path);
    if (tasks == NULL) {
        return hbk_status_from_errno(errno);
    }
    for (struct dirent *entry; (entry = readdir(tasks)) != NULL;) {
        if (entry->d_name[0] != '.') {
            visit((pid_t)strtol(entry->d_name, NULL, 10), argument);
        }
    }
    return HBK_OK;
}

struct allowance {
    cpu_set_t set;
    int error_number; /* of the last failure */
};

static void allow_thread(pid_t thread, void *argument)
{
    struct allowance *allowance = argument;
    if (sched_setaffinity(thread, sizeof allowance->set, &allowance->set) < 0 && errno != ESRCH) {
        allowance->error_number = errno;
    }
}

hbk_status hbk_process_allow(pid_t pid, unsigned first, unsigned count)
{
    struct allowance allowance = {0};
    CPU_ZERO(&allowance.set);
    for (unsigned cpu = first; cpu < first + count; cpu++) {
        CPU_SET((size_t)cpu, &allowance.set);
    }
    HBK_TRY(for_each_thread(pid, allow_thread, &allowance));
    return allowance.error_number == 0 ? HBK_OK : hbk_status_from_errno(allowance.error_number);
}

struct cpu_sum {
    pid_t pid;
    uint64_t ns;
};

static void add_thread(pid_t thread, void *argument)
{
    struct cpu_sum *sum = argument;
    char file[96];
    uint64_t thread_ns = 0;
    (void)snprintf(file, sizeof file, "/proc/%d/task/%d/schedstat", (int)sum->pid, (int)thread);
    if (read_number(file, &thread_ns) == HBK_OK) {
        sum->ns += thread_ns;
    }
}

/*
 * The scheduler's own clock per thread, in /proc/PID/task/TID/schedstat, counts nanoseconds of user
 * and kernel time; the "stat" file beside it counts ticks of 10 ms. A thread that ends between
 * listing and reading is missed, which is why this is for programs with a fixed set of threads.
 */
hbk_status hbk_process_cpu(pid_t pid, uint64_t *out_cpu_ns)
{
    struct cpu_sum sum = {.pid = pid};
    HBK_TRY(for_each_thread(pid, add_thread, &sum));
    *out_cpu_ns = sum.ns;
    return HBK_OK;
}

/* The value of a line "Name:   123 kB" in smaps_rollup, in bytes; 0 when it is not there. */
static uint64_t rollup_bytes(const char *text, const char *name)
{
    const char *line = strstr(text, name);
    return line == NULL ? 0 : strtoull(line + strlen(name), NULL, 10) << 10;
}

hbk_status hbk_process_usage(pid_t pid, struct hbk_process_usage *out_usage)
{
    struct hbk_process_usage usage = {0};
    HBK_TRY(hbk_process_cpu(pid, &usage.cpu_ns));
    char path[64];
    (void)snprintf(path, sizeof path, "/proc/%d/smaps_rollup", (int)pid);
    struct hbk_arena arena;
    struct hbk_slice rollup = {0};
    hbk_arena_init(&arena);
    hbk_status status = hbk_file_read(&arena, path, SMAPS_BYTES_MAX, &rollup);
    if (status == HBK_OK) {
        usage.private_dirty_bytes = rollup_bytes((const char *)rollup.bytes, "\nPrivate_Dirty:");
        usage.resident_bytes = rollup_bytes((const char *)rollup.bytes, "\nRss:");
        *out_usage = usage;
    }
    hbk_arena_fini(&arena);
    return status;
}
