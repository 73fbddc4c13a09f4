/*
 * Two kinds of damage come from copying a listing out of a document whose pages broke it.
 *
 *           http_filters:                    - name: backend
 *     - name: router                           domains: ["*"]
 *       typed_config: {}                     routes:
 *
 * On the left a list has lost the indentation of the key that it belongs to; on the right a key has
 * lost the two columns behind the dash of its item. Each line is judged by the lines above it as
 * they stand after their own repair.
 */
#include "config/envoy_lines.h"

#include <stdlib.h>

struct line {
    struct hbk_slice text; /* without the indentation and the line's end */
    uint32_t indent;       /* as printed */
    uint32_t column;       /* after the repair */
    bool is_blank;
    bool is_item; /* begins with "- " */
};

static size_t count_lines(struct hbk_slice text)
{
    size_t count = 1;
    for (size_t i = 0; i < text.size; i++) {
        count += text.bytes[i] == '\n';
    }
    return count;
}

static void split(struct hbk_slice text, struct line *lines, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        size_t size = text.size;
        (void)hbk_slice_find(text, '\n', &size);
        struct hbk_slice line = hbk_slice_part(text, 0, size);
        text = hbk_slice_part(text, size + 1, text.size);
        while (line.size > 0 &&
               (line.bytes[line.size - 1] == '\r' || line.bytes[line.size - 1] == ' ')) {
            line.size--;
        }
        uint32_t indent = 0;
        while (indent < line.size && line.bytes[indent] == ' ') {
            indent++;
        }
        struct hbk_slice rest = hbk_slice_part(line, indent, line.size);
        lines[i] = (struct line){
            .text = rest,
            .indent = indent,
            .column = indent,
            .is_blank = rest.size == 0 || rest.bytes[0] == '#' ||
                        hbk_slice_starts_with(rest, HBK_SLICE("```")),
            .is_item = hbk_slice_starts_with(rest, HBK_SLICE("- ")) ||
                       hbk_slice_equal(rest, HBK_SLICE("-")),
        };
    }
}

static bool is_key(const struct line *line)
{
    size_t colon = 0;
    if (!hbk_slice_find(line->text, ':', &colon)) {
        return false;
    }
    return colon + 1 == line->text.size || line->text.bytes[colon + 1] == ' ';
}

static bool is_empty_key(const struct line *line)
{
    return line->text.size > 0 && line->text.bytes[line->text.size - 1] == ':';
}

/* The nearest line above that is not blank; NULL at the top. */
static const struct line *above(const struct line *lines, size_t index)
{
    while (index > 0) {
        if (!lines[--index].is_blank) {
            return &lines[index];
        }
    }
    return NULL;
}

/* Whether a list is open in this column. A key there has its value already, in deeper lines. */
static bool is_item_expected(const struct line *lines, size_t index, uint32_t column)
{
    for (size_t i = index; i > 0; i--) {
        const struct line *line = &lines[i - 1];
        if (!line->is_blank && line->column <= column) {
            return line->column < column || line->is_item;
        }
    }
    return false;
}

/* Whether the column is that of a dash whose list is nobody's value in the same column. */
static bool is_dash_column(const struct line *lines, size_t index, uint32_t column)
{
    bool has_item = false;
    for (size_t i = index; i > 0; i--) {
        const struct line *line = &lines[i - 1];
        if (line->is_blank || line->column > column) {
            continue;
        }
        if (line->column < column || !line->is_item) {
            return has_item && line->column < column;
        }
        has_item = true;
    }
    return has_item;
}

/* Moves the line and what is nested in it; `is_list`: also the items that follow it. */
static void shift(struct line *lines, size_t count, size_t index, uint32_t by, bool is_list)
{
    uint32_t column = lines[index].column;
    lines[index].column += by;
    for (size_t i = index + 1; i < count; i++) {
        bool goes_on = lines[i].is_blank || lines[i].column > column ||
                       (lines[i].column == column && is_list && lines[i].is_item);
        if (!goes_on) {
            return;
        }
        lines[i].column += lines[i].is_blank ? 0 : by;
    }
}

static void mend(const char *file, struct line *lines, size_t count, struct hbk_report *repairs)
{
    for (size_t i = 0; i < count; i++) {
        struct line *line = &lines[i];
        const struct line *before = above(lines, i);
        if (line->is_blank || before == NULL) {
            continue;
        }
        uint32_t column = line->column;
        if (line->is_item && is_empty_key(before) && before->column > column &&
            !is_item_expected(lines, i, column)) {
            hbk_report_add(repairs, file, (uint32_t)i + 1, line->indent + 1,
                           "a list in column %u; it belongs to \"%.*s\" above, in column %u",
                           line->indent + 1, HBK_SLICE_ARGS(before->text), before->column + 1);
            shift(lines, count, i, before->column - column, true);
        } else if (!line->is_item && is_key(line) && is_dash_column(lines, i, column)) {
            hbk_report_add(
                repairs, file, (uint32_t)i + 1, line->indent + 1,
                "\"%.*s\" in the column of a dash; it belongs to the list item, in column "
                "%u",
                (int)(line->text.size > 60 ? 60 : line->text.size), (const char *)line->text.bytes,
                column + 3);
            shift(lines, count, i, 2, false);
        }
    }
}

hbk_status hbk_envoy_fix_lines(const char *file, struct hbk_slice text, struct hbk_buffer *out,
                               struct hbk_report *repairs)
{
    size_t count = count_lines(text);
    struct line *lines = calloc(count, sizeof *lines);
    if (lines == NULL) {
        return HBK_NO_MEMORY;
    }
    split(text, lines, count);
    mend(file, lines, count, repairs);
    hbk_status status = HBK_OK;
    for (size_t i = 0; status == HBK_OK && i < count; i++) {
        status = lines[i].is_blank ? hbk_buffer_append(out, HBK_SLICE("\n"))
                                   : hbk_buffer_print(out, "%*s%.*s\n", (int)lines[i].column, "",
                                                      HBK_SLICE_ARGS(lines[i].text));
    }
    free(lines);
    return status;
}
