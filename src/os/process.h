/*
 * Child processes: started in a network namespace, pinned to a core, waited for with a deadline,
 * and what a process uses. A process is held by a descriptor, so its number cannot be taken for
 * another one's.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/error.h"
#include "base/status.h"

struct hbk_process {
    pid_t pid;       /* 0: none */
    int fd;          /* owned pidfd; -1: none */
    uint64_t cpu_ns; /* all that it used, children included; written when it has ended */
};

static inline struct hbk_process hbk_process_none(void)
{
    return (struct hbk_process){.pid = 0, .fd = -1};
}

/* What to start. Make it with hbk_process_spec_of() or _call() and change what differs. */
struct hbk_process_spec {
    const char *const *arguments; /* ended by NULL; [0] is the program's path, never searched for */
    int (*run)(void *argument); /* or, while arguments is NULL, a function to run in a copy of us */
    void *argument;
    int netns_fd;       /* network namespace to start in; -1: ours */
    int cpu;            /* core to pin it to; -1: as we are */
    int input_fd;       /* standard input; -1: /dev/null */
    int output_fd;      /* standard output; -1: ours */
    int error_fd;       /* standard error; -1: ours */
    int death_signal;   /* sent to it when the starting thread ends; 0: none */
    bool has_own_group; /* leaves our process group, so that Ctrl-C does not reach it */
};

static inline struct hbk_process_spec hbk_process_spec_of(const char *const *arguments)
{
    return (struct hbk_process_spec){
        .arguments = arguments,
        .netns_fd = -1,
        .cpu = -1,
        .input_fd = -1,
        .output_fd = -1,
        .error_fd = -1,
    };
}

static inline struct hbk_process_spec hbk_process_spec_call(int (*run)(void *argument),
                                                            void *argument)
{
    struct hbk_process_spec spec = hbk_process_spec_of(NULL);
    spec.run = run;
    spec.argument = argument;
    return spec;
}

/*
 * Starts the process; with a program, waits until it is loaded. Descriptors of ours reach it only
 * if they are not close-on-exec. Signals are unblocked and at their defaults in it.
 *
 * Fails: HBK_NOT_FOUND or HBK_DENIED (program, namespace), HBK_LIMIT, HBK_NO_MEMORY; the error
 * names the step. Owned: end with hbk_process_wait() or hbk_process_stop().
 */
HBK_MUST_USE hbk_status hbk_process_start(const struct hbk_process_spec *spec,
                                          struct hbk_process *out_process, struct hbk_error *error);

/*
 * Waits for the end, at most `timeout_ns` (UINT64_MAX: for ever); then the process is released.
 * *out_exit_status is its exit status, or 128 + the signal that ended it.
 * Fails: HBK_TIMEOUT (still running and still owned), HBK_NOT_FOUND (was none).
 */
HBK_MUST_USE hbk_status hbk_process_wait(struct hbk_process *process, uint64_t timeout_ns,
                                         int *out_exit_status);

/* Sends a signal; nothing happens when the process has ended. */
void hbk_process_signal(const struct hbk_process *process, int number);

/* Sends SIGTERM, waits at most `grace_ns`, then SIGKILL; releases the process. */
void hbk_process_stop(struct hbk_process *process, uint64_t grace_ns);

bool hbk_process_is_running(const struct hbk_process *process);

/* Pins the calling thread, and threads and processes that it starts later, to one core. */
HBK_MUST_USE hbk_status hbk_process_pin(int cpu);

/* Lets all threads of a process run on `count` cores from `first` on.
 * Fails: HBK_NOT_FOUND (ended), HBK_DENIED, HBK_INVALID (no such core). */
HBK_MUST_USE hbk_status hbk_process_allow(pid_t pid, unsigned first, unsigned count);

struct hbk_process_usage {
    uint64_t cpu_ns;              /* of all living threads, user and kernel, to the nanosecond */
    uint64_t private_dirty_bytes; /* memory that only this process holds and has changed */
    uint64_t resident_bytes;
};

/* What a process has used so far. Fails: HBK_NOT_FOUND (ended), HBK_DENIED (another user's),
 * HBK_IO.
 */
HBK_MUST_USE hbk_status hbk_process_usage(pid_t pid, struct hbk_process_usage *out_usage);
HBK_MUST_USE hbk_status hbk_process_cpu(pid_t pid, uint64_t *out_cpu_ns);
