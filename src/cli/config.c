/* hauberk config: mends configuration files, lists what they may hold. */
#include <stdio.h>
#include <string.h>

#include "base/buffer.h"
#include "cli/command.h"
#include "config/bootstrap.h"
#include "os/file.h"

enum { OUT_BYTES_MAX = 64 << 20 };

static const char usage[] =
    "usage: hauberk config fix FILE\n"
    "       hauberk config fields\n"
    "\n"
    "fix reads an Envoy bootstrap whose parts stand in the wrong place, tells on standard error\n"
    "what it found in which line and where that belongs, and prints the canonical form. FILE may\n"
    "be - for standard input. fields prints every field that `hauberk gateway` knows.\n"
    "\n"
    "Exit status: 0, 1 when something is left that could not be mended, 2 for a wrong command\n"
    "line.\n";

static void print_report(const struct hbk_report *report, const char *mark)
{
    for (size_t i = 0; i < report->count; i++) {
        fprintf(stderr, "%s%s\n", mark, report->lines[i]);
    }
    if (report->dropped > 0) {
        fprintf(stderr, "... and %zu more\n", report->dropped);
    }
}

static int fix(const char *path)
{
    static struct hbk_report repairs, report;
    struct hbk_arena arena;
    struct hbk_buffer out;
    struct hbk_slice text;
    hbk_arena_init(&arena);
    hbk_buffer_init(&out, OUT_BYTES_MAX);
    const char *file = strcmp(path, "-") == 0 ? "/dev/stdin" : path;
    hbk_status status = hbk_file_read(&arena, file, HBK_BOOTSTRAP_BYTES_MAX, &text);
    if (status != HBK_OK) {
        fprintf(stderr, "hauberk config: %s cannot be read: %s\n", path, hbk_status_text(status));
        hbk_arena_fini(&arena);
        return HBK_EXIT_FAILED;
    }
    status = hbk_bootstrap_fix(path, text, &out, &repairs, &report);
    print_report(&repairs, "mended: ");
    print_report(&report, "left: ");
    if (status == HBK_OK) {
        struct hbk_slice printed = hbk_buffer_slice(&out);
        (void)fwrite(printed.bytes, 1, printed.size, stdout);
    } else if (report.count == 0) {
        fprintf(stderr, "hauberk config: %s\n", hbk_status_text(status));
    }
    hbk_buffer_fini(&out);
    hbk_arena_fini(&arena);
    return status == HBK_OK && report.count == 0 ? HBK_EXIT_OK : HBK_EXIT_FAILED;
}

static int print_fields(void)
{
    struct hbk_buffer out;
    hbk_buffer_init(&out, OUT_BYTES_MAX);
    hbk_status status = hbk_bootstrap_print_fields(&out);
    struct hbk_slice printed = hbk_buffer_slice(&out);
    (void)fwrite(printed.bytes, 1, printed.size, stdout);
    hbk_buffer_fini(&out);
    return status == HBK_OK ? HBK_EXIT_OK : HBK_EXIT_FAILED;
}

int hbk_command_config(int argc, char **argv)
{
    const char *verb = argc > 1 ? argv[1] : "";
    if (strcmp(verb, "--help") == 0 || strcmp(verb, "-h") == 0) {
        fputs(usage, stdout);
        return HBK_EXIT_OK;
    }
    if (strcmp(verb, "fix") == 0 && argc == 3) {
        return fix(argv[2]);
    }
    if (strcmp(verb, "fields") == 0 && argc == 2) {
        return print_fields();
    }
    fputs(usage, stderr);
    return HBK_EXIT_USAGE;
}
