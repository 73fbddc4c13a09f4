/*
 * Three processes take part. The caller moves into the new namespaces (a process may change its own
 * user namespace, which lets it map itself to root there) and then forks. The child is process 1 of
 * the new process namespace: it mounts /proc and /run and runs the work. The caller only waits and
 * passes signals on. If the caller dies, the child is killed; if the child dies, the kernel kills
 * every process below it and drops the mounts and the networks. So no path out of here leaves
 * anything behind.
 *
 * Root does without the user namespace: there user namespaces may be forbidden, and root's own
 * rights (raising buffer limits, for example) stay whole.
 */
#include "os/isolation.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "os/fd.h"
#include "os/file.h"
#include "os/netns.h"

enum {
    NAMESPACES = CLONE_NEWNET | CLONE_NEWNS | CLONE_NEWPID,
    EXIT_NOT_SET_UP = 125, /* of the child: its world could not be set up, the pipe says why */
    SIGNAL_EXIT_BASE = 128,
};

static const char advice[] =
    "user namespaces are forbidden or lack rights here (see sysctl user.max_user_namespaces, "
    "kernel.unprivileged_userns_clone, kernel.apparmor_restrict_unprivileged_userns); "
    "run the same command as root instead, with sudo";

static hbk_status map_one(const char *file, unsigned outside_id)
{
    char text[64];
    (void)snprintf(text, sizeof text, "0 %u 1", outside_id);
    return hbk_file_set(file, hbk_slice_text(text));
}

/* Makes the caller root of the user namespace it has just entered. */
static hbk_status become_root(unsigned uid, unsigned gid)
{
    HBK_TRY(hbk_file_set("/proc/self/setgroups", HBK_SLICE("deny")));
    HBK_TRY(map_one("/proc/self/uid_map", uid));
    return map_one("/proc/self/gid_map", gid);
}

static hbk_status enter_namespaces(struct hbk_error *error)
{
    unsigned uid = geteuid();
    unsigned gid = getegid();
    if (uid == 0 && unshare(NAMESPACES) == 0) {
        return HBK_OK;
    }
    if (unshare(CLONE_NEWUSER | NAMESPACES) < 0) {
        int error_number = errno;
        return hbk_error_set(error, hbk_status_from_errno(error_number),
                             "cannot make new namespaces: %s: %s", strerror(error_number), advice);
    }
    hbk_status status = become_root(uid, gid);
    if (status != HBK_OK) {
        return hbk_error_set(error, status, "cannot become root of a user namespace: %s: %s",
                             hbk_status_text(status), advice);
    }
    return HBK_OK;
}

static hbk_status mount_one(const char *type, const char *where, unsigned long flags,
                            const char *options, struct hbk_error *error)
{
    if (mount(type, where, type, flags, options) < 0) {
        int error_number = errno;
        return hbk_error_set(error, hbk_status_from_errno(error_number), "cannot mount %s: %s: %s",
                             where, strerror(error_number), advice);
    }
    return HBK_OK;
}

static hbk_status furnish(struct hbk_error *error)
{
    if (mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0) {
        return hbk_error_set(error, hbk_status_from_errno(errno), "cannot make mounts private: %s",
                             advice);
    }
    HBK_TRY(mount_one("proc", "/proc", MS_NOSUID | MS_NODEV | MS_NOEXEC, NULL, error));
    return mount_one("tmpfs", "/run", MS_NOSUID | MS_NODEV, "mode=0755", error);
}

/* Process 1 has no default actions for signals of its own world, so it needs handlers. */
static void end_world(int number)
{
    _exit(SIGNAL_EXIT_BASE + number);
}

static const int ending_signals[] = {SIGINT, SIGTERM, SIGHUP};

HBK_NORETURN static void live_as_first_process(int (*run)(void *argument), void *argument,
                                               int error_pipe)
{
    (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
    for (size_t i = 0; i < HBK_COUNT(ending_signals); i++) {
        (void)signal(ending_signals[i], end_world);
    }
    struct hbk_error error = {0};
    if (furnish(&error) != HBK_OK) {
        ssize_t put = write(error_pipe, &error, sizeof error);
        _exit(put == sizeof error ? EXIT_NOT_SET_UP : EXIT_FAILURE);
    }
    hbk_fd_close(&error_pipe);
    int exit_status = run(argument);
    (void)fflush(NULL);
    _exit(exit_status);
}

static volatile sig_atomic_t first_process;

static void pass_on(int number)
{
    (void)kill(first_process, number);
}

static int wait_for(pid_t child)
{
    first_process = child;
    struct sigaction action = {.sa_handler = pass_on, .sa_flags = SA_RESTART};
    struct sigaction before[HBK_COUNT(ending_signals)];
    for (size_t i = 0; i < HBK_COUNT(ending_signals); i++) {
        (void)sigaction(ending_signals[i], &action, &before[i]);
    }
    int status = 0;
    while (waitpid(child, &status, 0) < 0 && errno == EINTR) {
    }
    for (size_t i = 0; i < HBK_COUNT(ending_signals); i++) {
        (void)sigaction(ending_signals[i], &before[i], NULL);
    }
    return WIFEXITED(status) ? WEXITSTATUS(status) : SIGNAL_EXIT_BASE + WTERMSIG(status);
}

hbk_status hbk_isolation_run(int (*run)(void *argument), void *argument, int *out_exit_status,
                             struct hbk_error *error)
{
    HBK_TRY(enter_namespaces(error));
    int pipe_fds[2];
    if (pipe2(pipe_fds, O_CLOEXEC) < 0) {
        return hbk_error_set(error, hbk_status_from_errno(errno), "cannot make a pipe");
    }
    (void)fflush(NULL);
    pid_t child = fork();
    if (child < 0) {
        return hbk_error_set(error, hbk_status_from_errno(errno),
                             "cannot start the first process of new namespaces");
    }
    if (child == 0) {
        hbk_fd_close(&pipe_fds[0]);
        live_as_first_process(run, argument, pipe_fds[1]);
    }
    hbk_fd_close(&pipe_fds[1]);
    int exit_status = wait_for(child);

    struct hbk_error told = {0};
    ssize_t got = read(pipe_fds[0], &told, sizeof told);
    hbk_fd_close(&pipe_fds[0]);
    if (got == sizeof told) {
        return hbk_error_set(error, told.status, "%s", told.text);
    }
    *out_exit_status = exit_status;
    return HBK_OK;
}

static int do_nothing(void *argument)
{
    (void)argument;
    return 0;
}

bool hbk_isolation_is_possible(void)
{
    /* In a child, since the caller itself would move. */
    pid_t child = fork();
    if (child == 0) {
        int exit_status = EXIT_FAILURE;
        hbk_status status = hbk_isolation_run(do_nothing, NULL, &exit_status, NULL);
        _exit(status == HBK_OK ? exit_status : EXIT_FAILURE);
    }
    int status = 0;
    return child > 0 && waitpid(child, &status, 0) == child && WIFEXITED(status) &&
           WEXITSTATUS(status) == 0;
}
