/*
 * The gateway's configuration file: an Envoy bootstrap in YAML or JSON, read by the tables of
 * envoy_*.c into an immutable model. docs/envoy-compatibility.md says field by field what is taken.
 */
#pragma once

#include "config/report.h"
#include "model/gateway.h"

struct hbk_buffer;

/* A configuration with ten thousand certificates written into it. */
enum { HBK_BOOTSTRAP_BYTES_MAX = 64 << 20 };

struct hbk_bootstrap_options {
    const char *path;    /* NULL: none */
    const char *yaml;    /* --config-yaml, laid over the file; NULL: none */
    bool allows_unknown; /* unknown fields are warnings */
    /* Files that the configuration names (bodies, formats) are not read and count as empty. */
    bool is_offline;
};

/*
 * Reads, checks and builds. Both reports are started anew.
 *
 * Memory:  the configuration has one holder, the caller.
 * Fails:   HBK_INVALID and each of the file system's failures, all told in `report`;
 *          HBK_NO_MEMORY.
 * Thread:  control only.
 */
HBK_MUST_USE hbk_status hbk_bootstrap_load(const struct hbk_bootstrap_options *options,
                                           struct hbk_gw_config **out_config,
                                           struct hbk_report *report, struct hbk_report *warnings);

/* The same from memory; `name` stands for the file in the reports. */
HBK_MUST_USE hbk_status hbk_bootstrap_parse(const char *name, struct hbk_slice text,
                                            const struct hbk_bootstrap_options *options,
                                            struct hbk_gw_config **out_config,
                                            struct hbk_report *report, struct hbk_report *warnings);

/*
 * Mends a file whose parts stand in the wrong place, as listings do that were copied out of a
 * document, and writes its canonical form: block style, snake_case, lists as lists, full type
 * names. `repairs` tells each repair with its line, what was found and where it belongs. What
 * cannot be mended is in `report`.
 * Fails: HBK_INVALID (not YAML, even with the lines moved), HBK_LIMIT, HBK_NO_MEMORY.
 */
HBK_MUST_USE hbk_status hbk_bootstrap_fix(const char *name, struct hbk_slice text,
                                          struct hbk_buffer *out, struct hbk_report *repairs,
                                          struct hbk_report *report);

/* Writes the table of all messages and fields as Markdown. Fails: HBK_LIMIT, HBK_NO_MEMORY. */
HBK_MUST_USE hbk_status hbk_bootstrap_print_fields(struct hbk_buffer *out);
