/*
 * The command line of a load run: Fortio's flags with Fortio's meaning, and ours. Go's way of
 * writing is taken: one dash or two, "-flag value" or "-flag=value", "-flag=false".
 */
#pragma once

#include "base/arena.h"
#include "load/plan.h"
#include "load/secure.h"
#include "load/threshold.h"

struct hbk_load_command {
    struct hbk_load_plan plan;
    struct hbk_threshold thresholds[HBK_THRESHOLDS_MAX];
    unsigned threshold_count;
    struct hbk_secure_options tls;
    const char *json_path; /* NULL: none; "-": standard output */
    const char *html_path; /* NULL: none */
    const char *data_dir;  /* where -a keeps the JSON */
    bool keeps_json;       /* -a */
    bool is_quiet;         /* no line while it runs */
    bool is_help;
};

/* For `hauberk load --help`. */
extern const char hbk_load_usage[];

/*
 * Reads the arguments (getopt may reorder them) and checks the plan. Slices borrow from `argv` and
 * `arena`, which must outlive the run. Reads the files that flags name.
 *
 * Fails: HBK_INVALID, HBK_UNSUPPORTED, HBK_LIMIT, HBK_NOT_FOUND (file), HBK_NO_MEMORY; `error` says
 * what is allowed, except that getopt has said so itself when its status is HBK_OK. Thread: one
 * that may block, once at a time (getopt).
 */
HBK_MUST_USE hbk_status hbk_load_command_read(int argc, char **argv, struct hbk_arena *arena,
                                              struct hbk_load_command *out_command,
                                              struct hbk_error *error);
