#include "config/yaml.h"

#include <stdio.h>
#include <stdlib.h>

#include <libfyaml.h>

#include "base/utf8.h"

struct hbk_yaml {
    struct fy_parser *parser;
    struct fy_diag *diag;
    struct fy_event *event; /* the last one, which its texts live in; NULL: none */
    struct hbk_report *report;
    const char *file;
    uint32_t depth;
    uint32_t documents;
    uint32_t line; /* of the last event */
    uint32_t column;
    bool has_failed;
};

/* Syntax errors are collected and told by us; nothing may reach standard error. */
static struct fy_diag *new_quiet_diag(void)
{
    struct fy_diag_cfg config;
    fy_diag_cfg_default(&config);
    config.fp = NULL;
    config.output_fn = NULL;
    config.colorize = false;
    struct fy_diag *diag = fy_diag_create(&config);
    if (diag != NULL) {
        fy_diag_set_collect_errors(diag, true);
    }
    return diag;
}

/*
 * The whole text is looked through before libfyaml sees it: 0.7 reads for ever in a directive with
 * bytes that are no UTF-8, and would take a byte order mark of UTF-16 for another text than ours.
 * Control characters are no part of YAML (1.2.2, 5.1).
 */
static hbk_status check_text(const char *file, struct hbk_slice text, struct hbk_report *report)
{
    uint32_t line = 1, column = 1;
    while (text.size > 0) {
        uint8_t byte = text.bytes[0];
        size_t size = hbk_utf8_size(text);
        bool is_control =
            (byte < ' ' && byte != '\t' && byte != '\n' && byte != '\r') || byte == 0x7f;
        if (size == 0 || is_control) {
            hbk_report_add(report, file, line, column, "%s 0x%02x; allowed: YAML in UTF-8",
                           size == 0 ? "no UTF-8: the byte" : "a control character:", byte);
            return HBK_INVALID;
        }
        column = byte == '\n' ? 1 : column + 1;
        line += byte == '\n' ? 1 : 0;
        text = hbk_slice_part(text, size, text.size);
    }
    return HBK_OK;
}

hbk_status hbk_yaml_open(const char *file, struct hbk_slice text, struct hbk_report *report,
                         struct hbk_yaml **out_yaml)
{
    HBK_TRY(check_text(file, text, report));
    struct hbk_yaml *yaml = calloc(1, sizeof *yaml);
    if (yaml == NULL) {
        return HBK_NO_MEMORY;
    }
    yaml->file = file;
    yaml->line = 1;
    yaml->column = 1;
    yaml->report = report;
    yaml->diag = new_quiet_diag();
    struct fy_parse_cfg config = {.flags = FYPCF_QUIET, .diag = yaml->diag};
    yaml->parser = yaml->diag == NULL ? NULL : fy_parser_create(&config);
    /* libfyaml takes a size of 0 for "measure it yourself". */
    const char *bytes = text.size > 0 ? (const char *)text.bytes : "\n";
    size_t size = text.size > 0 ? text.size : 1;
    if (yaml->parser == NULL || fy_parser_set_string(yaml->parser, bytes, size) != 0) {
        hbk_yaml_close(yaml);
        return HBK_NO_MEMORY;
    }
    *out_yaml = yaml;
    return HBK_OK;
}

void hbk_yaml_close(struct hbk_yaml *yaml)
{
    if (yaml == NULL) {
        return;
    }
    if (yaml->event != NULL) {
        fy_parser_event_free(yaml->parser, yaml->event);
    }
    if (yaml->parser != NULL) {
        fy_parser_destroy(yaml->parser);
    }
    if (yaml->diag != NULL) {
        fy_diag_destroy(yaml->diag);
    }
    free(yaml);
}

static hbk_status fail(struct hbk_yaml *yaml, const struct hbk_yaml_event *event, const char *what)
{
    yaml->has_failed = true;
    hbk_report_add(yaml->report, yaml->file, event->line, event->column, "%s", what);
    return HBK_INVALID;
}

/* Without an event the parser has either met an error or its own end. */
static hbk_status report_syntax(struct hbk_yaml *yaml)
{
    yaml->has_failed = true;
    void *walk = NULL;
    const struct fy_diag_error *error = fy_diag_errors_iterate(yaml->diag, &walk);
    if (error == NULL) {
        hbk_report_add(yaml->report, yaml->file, 0, 0, "this is not YAML");
        return HBK_INVALID;
    }
    uint32_t line = error->line < 0 ? 0 : (uint32_t)error->line;
    uint32_t column = error->column < 0 ? 0 : (uint32_t)error->column;
    hbk_report_add(yaml->report, yaml->file, line, column, "this is not YAML: %s", error->msg);
    return HBK_INVALID;
}

static struct hbk_slice tag_of(struct fy_event *event)
{
    struct fy_token *token = fy_event_get_tag_token(event);
    size_t size = 0;
    const char *suffix = token == NULL ? NULL : fy_tag_token_suffix(token, &size);
    return suffix == NULL ? hbk_slice_of(NULL, 0) : hbk_slice_of(suffix, size);
}

/*
 * Where the event begins, counted from 1. The library's mark of a quoted text or an alias lies
 * behind its first character; and nothing (as in "key:") has no mark, so that it is said to be
 * where the event before it was.
 */
static void locate(struct hbk_yaml *yaml, struct hbk_yaml_event *out_event)
{
    const struct fy_mark *mark = fy_event_start_mark(yaml->event);
    struct fy_token *token = fy_event_get_token(yaml->event);
    if (mark != NULL) {
        bool is_quoted = yaml->event->type == FYET_SCALAR && token != NULL &&
                         (fy_token_scalar_style(token) == FYSS_SINGLE_QUOTED ||
                          fy_token_scalar_style(token) == FYSS_DOUBLE_QUOTED);
        bool is_behind = mark->column > 0 && (is_quoted || yaml->event->type == FYET_ALIAS);
        yaml->line = (uint32_t)mark->line + 1;
        yaml->column = (uint32_t)mark->column + (is_behind ? 0 : 1);
    }
    out_event->line = yaml->line;
    out_event->column = yaml->column;
}

static hbk_status read_scalar(struct hbk_yaml *yaml, struct hbk_yaml_event *event)
{
    struct fy_token *token = fy_event_get_token(yaml->event);
    event->kind = HBK_YAML_SCALAR;
    event->is_plain = token == NULL || fy_token_scalar_style(token) == FYSS_PLAIN;
    size_t size = 0;
    const char *text = token == NULL ? "" : fy_token_get_text(token, &size);
    if (text == NULL) {
        return HBK_NO_MEMORY;
    }
    if (size > HBK_YAML_SCALAR_BYTES_MAX) {
        return fail(yaml, event, "a text of more than 64 KiB; no text here needs as much");
    }
    event->text = hbk_slice_of(text, size);
    return HBK_OK;
}

static hbk_status enter(struct hbk_yaml *yaml, struct hbk_yaml_event *event,
                        enum hbk_yaml_kind kind)
{
    event->kind = kind;
    if (++yaml->depth > HBK_YAML_DEPTH_MAX) {
        return fail(yaml, event, "nested too deeply; allowed: 24 levels");
    }
    return HBK_OK;
}

/* Turns one event of the library into ours; *out_is_ours says whether it means anything to us. */
static hbk_status translate(struct hbk_yaml *yaml, struct hbk_yaml_event *event, bool *out_is_ours)
{
    *out_is_ours = true;
    switch (yaml->event->type) {
    case FYET_SCALAR:
        return read_scalar(yaml, event);
    case FYET_MAPPING_START:
        return enter(yaml, event, HBK_YAML_MAPPING);
    case FYET_SEQUENCE_START:
        return enter(yaml, event, HBK_YAML_SEQUENCE);
    case FYET_MAPPING_END:
    case FYET_SEQUENCE_END:
        yaml->depth--;
        event->kind = HBK_YAML_END;
        return HBK_OK;
    case FYET_ALIAS:
        return fail(yaml, event, "an alias (*name); allowed: the value itself, written out");
    case FYET_DOCUMENT_START:
        *out_is_ours = false;
        return ++yaml->documents > 1 ? fail(yaml, event, "a second document; allowed: one")
                                     : HBK_OK;
    case FYET_STREAM_END:
        event->kind = HBK_YAML_NOTHING;
        return HBK_OK;
    default:
        *out_is_ours = false;
        return HBK_OK;
    }
}

hbk_status hbk_yaml_next(struct hbk_yaml *yaml, struct hbk_yaml_event *out_event)
{
    bool is_ours = false;
    while (!is_ours) {
        if (yaml->has_failed) {
            return HBK_INVALID;
        }
        if (yaml->event != NULL) {
            fy_parser_event_free(yaml->parser, yaml->event);
        }
        yaml->event = fy_parser_parse(yaml->parser);
        if (yaml->event == NULL) {
            return report_syntax(yaml);
        }
        *out_event = (struct hbk_yaml_event){.tag = tag_of(yaml->event)};
        locate(yaml, out_event);
        HBK_TRY(translate(yaml, out_event, &is_ours));
    }
    return HBK_OK;
}

hbk_status hbk_yaml_skip(struct hbk_yaml *yaml, const struct hbk_yaml_event *event)
{
    bool is_open = event->kind == HBK_YAML_MAPPING || event->kind == HBK_YAML_SEQUENCE;
    for (uint32_t depth = is_open ? 1 : 0; depth > 0;) {
        struct hbk_yaml_event next;
        HBK_TRY(hbk_yaml_next(yaml, &next));
        if (next.kind == HBK_YAML_END) {
            depth--;
        } else if (next.kind != HBK_YAML_SCALAR) {
            depth++;
        }
    }
    return HBK_OK;
}

bool hbk_yaml_is_null(const struct hbk_yaml_event *event)
{
    return event->kind == HBK_YAML_SCALAR && event->is_plain &&
           (event->text.size == 0 || hbk_slice_equal(event->text, HBK_SLICE("~")) ||
            hbk_slice_equal(event->text, HBK_SLICE("null")));
}
