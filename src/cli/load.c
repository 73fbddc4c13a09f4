/* hauberk load: requests at a steady rate, and how long their answers took. */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/command.h"
#include "load/course.h"
#include "load/flag.h"
#include "load/fortio.h"
#include "load/html.h"
#include "load/report.h"
#include "load/run.h"
#include "os/fd.h"
#include "os/file.h"
#include "os/limits.h"
#include "os/signal.h"

static bool complain(const char *what, const char *path, hbk_status status)
{
    fprintf(stderr, "hauberk load: %s %s could not be written: %s\n", what, path,
            hbk_status_text(status));
    return false;
}

static bool write_text(const char *what, const char *path, const char *text)
{
    struct hbk_slice bytes = hbk_slice_text(text);
    hbk_status status = hbk_file_write(path, bytes, 0644);
    return status == HBK_OK || complain(what, path, status);
}

static bool write_json(const struct hbk_load_command *command, const struct hbk_load_result *result)
{
    bool is_good = true;
    if (command->json_path == NULL && !command->keeps_json) {
        return true;
    }
    char *text = hbk_fortio_text(&command->plan, result);
    if (text == NULL) {
        fputs("hauberk load: out of memory\n", stderr);
        return false;
    }
    if (command->json_path != NULL && strcmp(command->json_path, "-") == 0) {
        puts(text);
    } else if (command->json_path != NULL) {
        is_good = write_text("JSON", command->json_path, text);
    }
    if (command->keeps_json) {
        char id[HBK_FORTIO_ID_BYTES_MAX], path[HBK_PATH_BYTES_MAX];
        hbk_fortio_id(&command->plan, result, id);
        (void)snprintf(path, sizeof path, "%s/%s.json", command->data_dir, id);
        is_good = write_text("JSON", path, text) && is_good;
    }
    free(text);
    return is_good;
}

static bool write_html(const struct hbk_load_command *command, const struct hbk_load_result *result,
                       const struct hbk_load_course *course)
{
    HBK_CLEANUP(hbk_buffer_fini) struct hbk_buffer page;
    hbk_buffer_init(&page, HBK_LOAD_HTML_BYTES_MAX);
    if (command->html_path == NULL) {
        return true;
    }
    hbk_status status = hbk_load_html(&command->plan, result, course, &page);
    if (status == HBK_OK) {
        status = hbk_file_write(command->html_path, hbk_buffer_slice(&page), 0644);
    }
    return status == HBK_OK || complain("page", command->html_path, status);
}

/* Prints each threshold with what was found. */
static bool judge(const struct hbk_load_command *command, const struct hbk_load_result *result,
                  bool *out_judges_errors)
{
    bool are_met = true;
    *out_judges_errors = false;
    for (unsigned i = 0; i < command->threshold_count; i++) {
        const struct hbk_threshold *threshold = &command->thresholds[i];
        char found[HBK_THRESHOLD_FOUND_BYTES_MAX];
        bool is_met = hbk_threshold_is_met(threshold, &command->plan, result, found);
        fprintf(stderr, "threshold   %.*s: %s, found %s\n", HBK_SLICE_ARGS(threshold->text),
                is_met ? "met" : "MISSED", found);
        are_met = are_met && is_met;
        *out_judges_errors |= threshold->kind == HBK_THRESHOLD_ERRORS;
    }
    return are_met;
}

static int finish(const struct hbk_load_command *command, const struct hbk_load_result *result,
                  const struct hbk_load_course *course)
{
    bool is_json_here = command->json_path != NULL && strcmp(command->json_path, "-") == 0;
    bool judges_errors;
    if (!is_json_here) {
        hbk_load_report(&command->plan, result, stdout);
    }
    bool is_written = write_json(command, result);
    is_written = write_html(command, result, course) && is_written;
    if (fflush(stdout) != 0 || ferror(stdout) != 0) {
        fputs("hauberk load: the result could not be written\n", stderr);
        is_written = false;
    }
    bool are_met = judge(command, result, &judges_errors);
    if (hbk_load_result_calls(result) == 0 && !result->was_interrupted) {
        fputs("hauberk load: not one request was made in the timed part\n", stderr);
        return HBK_EXIT_FAILED;
    }
    if (!is_written) {
        return HBK_EXIT_FAILED;
    }
    if (!are_met) {
        return HBK_EXIT_THRESHOLD;
    }
    bool is_clean = judges_errors || hbk_load_result_failures(result) == 0;
    return is_clean ? HBK_EXIT_OK : HBK_EXIT_FAILED;
}

static int run(struct hbk_load_command *command)
{
    static const int signals[] = {SIGINT, SIGTERM};
    struct hbk_error error = {0};
    struct hbk_load_result result;
    struct hbk_load_course course = {0};
    int exit_status = HBK_EXIT_FAILED;
    HBK_CLEANUP(hbk_fd_close) int signal_fd = -1;
    uint64_t files_max;
    if (hbk_limits_raise_open_files(&files_max) != HBK_OK) {
        fputs("hauberk load: the limit of open files could not be raised\n", stderr);
    }
    hbk_status status = hbk_signal_open(signals, HBK_COUNT(signals), &signal_fd);
    if (status == HBK_OK && command->plan.target.is_tls) {
        status = hbk_secure_context_new(&command->tls, &command->plan.tls, &error);
    }
    if (status == HBK_OK) {
        status = hbk_load_course_init(&course, command->is_quiet ? NULL : stderr,
                                      isatty(STDERR_FILENO) == 1);
    }
    if (status == HBK_OK) {
        const struct hbk_load_watch watch = {
            .interval_ns = hbk_load_course_interval_ns(&command->plan),
            .on_start = hbk_load_course_begin,
            .on_point = hbk_load_course_add,
            .owner = &course,
        };
        bool is_watched = !command->is_quiet || command->html_path != NULL;
        command->plan.watch = is_watched ? &watch : NULL;
        status = hbk_load_run(&command->plan, signal_fd, &result, &error);
        hbk_load_course_end(&course);
    }
    if (status == HBK_OK) {
        exit_status = finish(command, &result, &course);
        hbk_load_result_fini(&result);
    } else {
        fprintf(stderr, "hauberk load: %s\n",
                error.status == HBK_OK ? hbk_status_text(status) : error.text);
    }
    hbk_tls_context_unref(command->plan.tls);
    hbk_load_course_fini(&course);
    return exit_status;
}

int hbk_command_load(int argc, char **argv)
{
    static struct hbk_load_command command;
    struct hbk_error error = {0};
    struct hbk_arena arena;
    int exit_status = HBK_EXIT_OK;
    hbk_arena_init(&arena);
    if (hbk_load_command_read(argc, argv, &arena, &command, &error) != HBK_OK) {
        if (error.status != HBK_OK) {
            fprintf(stderr, "hauberk load: %s\n", error.text);
        }
        fputs("try: hauberk load --help\n", stderr);
        exit_status = HBK_EXIT_USAGE;
    } else if (command.is_help) {
        fputs(hbk_load_usage, stdout);
    } else {
        exit_status = run(&command);
    }
    hbk_arena_fini(&arena);
    return exit_status;
}
