#include "bench/program.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/clock.h"
#include "os/fd.h"

static const uint64_t look_again_ns = 10 * HBK_NS_PER_MS;
static const uint64_t grace_ns = 3 * HBK_NS_PER_S;

enum { LOG_END_BYTES = 300 };

void hbk_program_pause(uint64_t duration_ns)
{
    struct timespec time = {.tv_sec = (time_t)(duration_ns / HBK_NS_PER_S),
                            .tv_nsec = (long)(duration_ns % HBK_NS_PER_S)};
    (void)nanosleep(&time, NULL);
}

hbk_status hbk_program_start(const struct hbk_topology *topology,
                             const struct hbk_program_spec *spec, struct hbk_program *out_program,
                             struct hbk_error *error)
{
    const char *arguments[HBK_PROGRAM_ARGUMENTS_MAX + 2] = {"/proc/self/exe"};
    size_t count = spec->is_foreign ? 0 : 1;
    for (size_t i = 0; spec->arguments[i] != NULL; i++) {
        if (i == HBK_PROGRAM_ARGUMENTS_MAX) {
            return hbk_error_set(error, HBK_LIMIT, "%s: more than %d arguments", spec->name,
                                 HBK_PROGRAM_ARGUMENTS_MAX);
        }
        arguments[count++] = spec->arguments[i];
    }
    struct hbk_program program = hbk_program_none();
    (void)snprintf(program.log_path, sizeof program.log_path, "%s/%s.log", topology->directory,
                   spec->name);
    HBK_CLEANUP(hbk_fd_close)
    int log = open(program.log_path, O_WRONLY | O_CREAT | O_TRUNC | O_APPEND | O_CLOEXEC, 0600);
    if (log < 0) {
        return hbk_error_set(error, hbk_status_from_errno(errno), "cannot make %s: %s",
                             program.log_path, strerror(errno));
    }
    struct hbk_process_spec process = hbk_process_spec_of(arguments);
    process.netns_fd = topology->places[spec->place].netns_fd;
    process.cpu = spec->cpu;
    process.output_fd = log;
    process.error_fd = log;
    process.death_signal = SIGKILL;
    process.has_own_group = true;
    HBK_TRY(hbk_process_start(&process, &program.process, error));
    *out_program = program;
    return HBK_OK;
}

static struct hbk_slice read_log(const struct hbk_program *program, struct hbk_arena *arena)
{
    struct hbk_slice log = {0};
    hbk_status status = hbk_file_read(arena, program->log_path, HBK_PROGRAM_LOG_BYTES_MAX, &log);
    return status == HBK_OK ? log : HBK_SLICE("");
}

hbk_status hbk_program_fail(const struct hbk_program *program, hbk_status status, const char *what,
                            struct hbk_error *error)
{
    struct hbk_arena arena;
    hbk_arena_init(&arena);
    struct hbk_slice log = read_log(program, &arena);
    size_t start = log.size > LOG_END_BYTES ? log.size - LOG_END_BYTES : 0;
    struct hbk_slice end = hbk_slice_part(log, start, log.size);
    (void)hbk_error_set(error, status, "%s (%s): ...%.*s", what, program->log_path,
                        HBK_SLICE_ARGS(end));
    hbk_arena_fini(&arena);
    return status;
}

hbk_status hbk_program_finish(struct hbk_program *program, uint64_t timeout_ns,
                              struct hbk_error *error)
{
    int exit_status = 0;
    hbk_status status = hbk_process_wait(&program->process, timeout_ns, &exit_status);
    if (status != HBK_OK) {
        return hbk_program_fail(program, status, "a program did not end in time", error);
    }
    if (exit_status != 0) {
        return hbk_program_fail(program, HBK_INVALID, "a program failed", error);
    }
    return HBK_OK;
}

void hbk_program_stop(struct hbk_program *program)
{
    hbk_process_stop(&program->process, grace_ns);
}

hbk_status hbk_program_wait_for(const struct hbk_program *program, const char *text,
                                uint64_t timeout_ns, struct hbk_error *error)
{
    uint64_t end_ns = hbk_clock_monotonic_ns() + timeout_ns;
    for (;;) {
        /* Asked before the log is read: then a program that has ended has written it all. */
        bool is_running = hbk_process_is_running(&program->process);
        struct hbk_arena arena;
        hbk_arena_init(&arena);
        struct hbk_slice log = read_log(program, &arena);
        bool is_there = memmem(log.bytes, log.size, text, strlen(text)) != NULL;
        hbk_arena_fini(&arena);
        if (is_there) {
            return HBK_OK;
        }
        if (!is_running) {
            return hbk_program_fail(program, HBK_CLOSED, "a program ended early", error);
        }
        if (hbk_clock_monotonic_ns() >= end_ns) {
            return hbk_program_fail(program, HBK_TIMEOUT, "a program did not get ready", error);
        }
        hbk_program_pause(look_again_ns);
    }
}

static const char *find_line(const struct hbk_program *program, struct hbk_arena *arena,
                             const char *const *texts)
{
    struct hbk_slice rest = read_log(program, arena);
    while (rest.size > 0) {
        size_t end = rest.size;
        (void)hbk_slice_find(rest, '\n', &end);
        struct hbk_slice line = hbk_slice_part(rest, 0, end);
        rest = hbk_slice_part(rest, end + 1, rest.size);
        bool has_all = true;
        for (size_t i = 0; texts[i] != NULL; i++) {
            has_all = has_all && memmem(line.bytes, line.size, texts[i], strlen(texts[i])) != NULL;
        }
        if (has_all) {
            return hbk_arena_string(arena, line);
        }
    }
    return NULL;
}

const char *hbk_program_find_line(const struct hbk_program *program, struct hbk_arena *arena,
                                  const char *const *texts, uint64_t timeout_ns)
{
    uint64_t end_ns = hbk_clock_monotonic_ns() + timeout_ns;
    const char *line = find_line(program, arena, texts);
    while (line == NULL && hbk_clock_monotonic_ns() < end_ns) {
        hbk_program_pause(look_again_ns);
        line = find_line(program, arena, texts);
    }
    return line;
}
