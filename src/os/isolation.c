/*
 * Three processes take part. The caller forks a keeper, which moves into the new namespaces (a
 * process may change its own user namespace, which lets it map itself to root there) and forks
 * again: its child is process 1 of the new process namespace, mounts /proc and /run, and runs the
 * work. Caller and keeper only wait and pass signals on. Whoever of them dies takes the process
 * below along, and with process 1 the kernel ends every process of its world and drops the mounts
 * and the networks. So no path out of here leaves anything behind.
 *
 * Root does without the user namespace: there user namespaces may be forbidden, and root's own
 * rights (raising buffer limits, for example) stay whole.
 */
#include "os/isolation.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
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

static pid_t outer_pid; /* in the first process and its copies */

pid_t hbk_isolation_outer_pid(void)
{
    return outer_pid;
}

struct work {
    int (*run)(void *argument);
    void *argument;
    sigset_t mask;  /* of signals, as it was before ours were held back */
    int error_pipe; /* takes one struct hbk_error when the world could not be set up */
};

/* Says why there is no world. The record is below PIPE_BUF, so it is written whole. */
HBK_NORETURN static void give_up(const struct work *work, const struct hbk_error *error)
{
    ssize_t put = write(work->error_pipe, error, sizeof *error);
    _exit(put == sizeof *error ? EXIT_NOT_SET_UP : EXIT_FAILURE);
}

HBK_NORETURN static void live_as_first_process(struct work *work, int pid_pipe)
{
    struct hbk_error error = {0};
    (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
    for (size_t i = 0; i < HBK_COUNT(ending_signals); i++) {
        (void)signal(ending_signals[i], end_world);
    }
    (void)pthread_sigmask(SIG_SETMASK, &work->mask, NULL);
    if (read(pid_pipe, &outer_pid, sizeof outer_pid) != sizeof outer_pid) {
        _exit(EXIT_FAILURE); /* the keeper is gone */
    }
    hbk_fd_close(&pid_pipe);
    if (furnish(&error) != HBK_OK) {
        give_up(work, &error);
    }
    hbk_fd_close(&work->error_pipe);
    int exit_status = work->run(work->argument);
    (void)fflush(NULL);
    _exit(exit_status);
}

static volatile sig_atomic_t waited_for;

static void pass_on(int number)
{
    int before = errno; /* of whatever was interrupted */
    (void)kill(waited_for, number);
    errno = before;
}

/* Holds back the signals that end us until there is somebody who will take them. */
static void hold_signals(sigset_t *out_before)
{
    sigset_t held;
    sigemptyset(&held);
    for (size_t i = 0; i < HBK_COUNT(ending_signals); i++) {
        sigaddset(&held, ending_signals[i]);
    }
    (void)pthread_sigmask(SIG_BLOCK, &held, out_before);
}

/* Waits for the end of a child; signals that would end us go to it meanwhile, held ones, too. */
static int wait_for(pid_t child, const sigset_t *mask)
{
    waited_for = child;
    struct sigaction action = {.sa_handler = pass_on, .sa_flags = SA_RESTART};
    struct sigaction before[HBK_COUNT(ending_signals)];
    for (size_t i = 0; i < HBK_COUNT(ending_signals); i++) {
        (void)sigaction(ending_signals[i], &action, &before[i]);
    }
    (void)pthread_sigmask(SIG_SETMASK, mask, NULL);
    int status = 0;
    while (waitpid(child, &status, 0) < 0 && errno == EINTR) {
    }
    for (size_t i = 0; i < HBK_COUNT(ending_signals); i++) {
        (void)sigaction(ending_signals[i], &before[i], NULL);
    }
    return WIFEXITED(status) ? WEXITSTATUS(status) : SIGNAL_EXIT_BASE + WTERMSIG(status);
}

HBK_NORETURN static void live_as_keeper(struct work *work)
{
    struct hbk_error error = {0};
    int pid_pipe[2];
    (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (enter_namespaces(&error) != HBK_OK) {
        give_up(work, &error);
    }
    pid_t child = pipe2(pid_pipe, O_CLOEXEC) < 0 ? -1 : fork();
    if (child < 0) {
        (void)hbk_error_set(&error, hbk_status_from_errno(errno),
                            "cannot start the first process of new namespaces: %s",
                            strerror(errno));
        give_up(work, &error);
    }
    if (child == 0) {
        hbk_fd_close(&pid_pipe[1]);
        live_as_first_process(work, pid_pipe[0]);
    }
    hbk_fd_close(&pid_pipe[0]);
    hbk_fd_close(&work->error_pipe);
    if (write(pid_pipe[1], &child, sizeof child) != sizeof child) {
        (void)kill(child, SIGKILL);
    }
    hbk_fd_close(&pid_pipe[1]);
    _exit(wait_for(child, &work->mask));
}

hbk_status hbk_isolation_run(int (*run)(void *argument), void *argument, int *out_exit_status,
                             struct hbk_error *error)
{
    int pipe_fds[2];
    if (pipe2(pipe_fds, O_CLOEXEC) < 0) {
        return hbk_error_set(error, hbk_status_from_errno(errno), "cannot make a pipe: %s",
                             strerror(errno));
    }
    HBK_CLEANUP(hbk_fd_close) int hear = pipe_fds[0];
    struct work work = {.run = run, .argument = argument, .error_pipe = pipe_fds[1]};
    (void)fflush(NULL); /* or the copies would print what we have not yet */
    hold_signals(&work.mask);
    pid_t keeper = fork();
    if (keeper == 0) {
        hbk_fd_close(&hear);
        live_as_keeper(&work);
    }
    hbk_fd_close(&work.error_pipe);
    if (keeper < 0) {
        (void)pthread_sigmask(SIG_SETMASK, &work.mask, NULL);
        return hbk_error_set(error, hbk_status_from_errno(errno), "cannot fork: %s",
                             strerror(errno));
    }
    int exit_status = wait_for(keeper, &work.mask);
    struct hbk_error told = {0};
    if (read(hear, &told, sizeof told) == sizeof told) {
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
    int exit_status = EXIT_FAILURE;
    return hbk_isolation_run(do_nothing, NULL, &exit_status, NULL) == HBK_OK && exit_status == 0;
}
