/*
 * This program's own subcommands as child processes in a place of the topology: echo, load, node.
 * Each writes to a log file of its own.
 */
#pragma once

#include "base/arena.h"
#include "bench/topology.h"
#include "os/process.h"

enum {
    HBK_PROGRAM_ARGUMENTS_MAX = 24,
    HBK_PROGRAM_LOG_BYTES_MAX = 64 << 20,
    HBK_PROGRAM_PATH_BYTES_MAX = 256,
};

struct hbk_program {
    struct hbk_process process;
    char log_path[HBK_PROGRAM_PATH_BYTES_MAX]; /* standard output and error */
};

static inline struct hbk_program hbk_program_none(void)
{
    return (struct hbk_program){.process = hbk_process_none()};
}

struct hbk_program_spec {
    const char *name;             /* of the log file, in the working directory of the topology */
    enum hbk_place place;         /* whose namespace */
    int cpu;                      /* core to pin it to; -1: any */
    const char *const *arguments; /* behind "hauberk", or from the path on; ended by NULL */
    bool is_foreign;              /* arguments[0] is another program's path */
};

/* Starts it; it ends with us at the latest. Fails as hbk_process_start(). */
HBK_MUST_USE hbk_status hbk_program_start(const struct hbk_topology *topology,
                                          const struct hbk_program_spec *spec,
                                          struct hbk_program *out_program, struct hbk_error *error);

/* Waits for its end; HBK_INVALID with the end of its log when it did not exit with 0. */
HBK_MUST_USE hbk_status hbk_program_finish(struct hbk_program *program, uint64_t timeout_ns,
                                           struct hbk_error *error);
void hbk_program_stop(struct hbk_program *program);

/* Waits until the log holds `text`. Fails: HBK_TIMEOUT, HBK_CLOSED (it ended before); the error
 * quotes the end of the log. */
HBK_MUST_USE hbk_status hbk_program_wait_for(const struct hbk_program *program, const char *text,
                                             uint64_t timeout_ns, struct hbk_error *error);

/* A line of the log that holds all of these texts (ended by NULL), as text in `arena`, waited for
 * at most `timeout_ns`; NULL when there is none. */
const char *hbk_program_find_line(const struct hbk_program *program, struct hbk_arena *arena,
                                  const char *const *texts, uint64_t timeout_ns);

/* A failure with the end of the program's log. Returns `status`. */
hbk_status hbk_program_fail(const struct hbk_program *program, hbk_status status, const char *what,
                            struct hbk_error *error);

/* Sleeps: between two looks at something that tells nobody when it changes. */
void hbk_program_pause(uint64_t duration_ns);
