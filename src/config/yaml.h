/*
 * YAML as a stream of events, each with its place in the file. Over libfyaml, with three things
 * taken away because a configuration file does not need them and a hostile one does: aliases (and
 * with them expansion bombs), unbounded nesting, and second documents. Memory does not grow with
 * the file. One thread at a time.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/slice.h"
#include "base/status.h"
#include "config/report.h"

enum {
    HBK_YAML_DEPTH_MAX = 24,
    HBK_YAML_SCALAR_BYTES_MAX = 64 << 10,
};

enum hbk_yaml_kind {
    HBK_YAML_SCALAR,
    HBK_YAML_MAPPING,  /* begins; HBK_YAML_END ends it */
    HBK_YAML_SEQUENCE, /* begins; HBK_YAML_END ends it */
    HBK_YAML_END,
    HBK_YAML_NOTHING, /* the file is over */
};

struct hbk_yaml_event {
    enum hbk_yaml_kind kind;
    struct hbk_slice text; /* of a scalar; borrowed until the next event */
    struct hbk_slice tag;  /* "Exact" of "!Exact x"; empty without; borrowed as the text */
    bool is_plain;         /* a scalar without quotes: may stand for a number or for nothing */
    uint32_t line;         /* from 1 */
    uint32_t column;
};

struct hbk_yaml;

/*
 * Reads `text`, which must stay; `file` names it in the report; both are borrowed.
 * Fails: HBK_INVALID (not UTF-8; reported), HBK_NO_MEMORY.
 */
HBK_MUST_USE hbk_status hbk_yaml_open(const char *file, struct hbk_slice text,
                                      struct hbk_report *report, struct hbk_yaml **out_yaml);
void hbk_yaml_close(struct hbk_yaml *yaml); /* NULL is allowed */

/*
 * The next event. Fails: HBK_INVALID (not YAML, or YAML that is not taken here; reported), after
 * which nothing more can be read; HBK_NO_MEMORY.
 */
HBK_MUST_USE hbk_status hbk_yaml_next(struct hbk_yaml *yaml, struct hbk_yaml_event *out_event);

/* Reads to the end of the value that `event` begins. Fails as hbk_yaml_next(). */
HBK_MUST_USE hbk_status hbk_yaml_skip(struct hbk_yaml *yaml, const struct hbk_yaml_event *event);

/* True for a plain scalar that is empty, "~" or "null". */
bool hbk_yaml_is_null(const struct hbk_yaml_event *event);
