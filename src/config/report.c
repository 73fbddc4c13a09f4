#include "config/report.h"

#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>

enum { WORD_BYTES_MAX = 64 };

void hbk_report_init(struct hbk_report *report)
{
    report->count = 0;
    report->dropped = 0;
}

void hbk_report_add(struct hbk_report *report, const char *file, uint32_t line, uint32_t column,
                    const char *format, ...)
{
    if (report->count == HBK_REPORT_ERRORS_MAX) {
        report->dropped++;
        return;
    }
    char *text = report->lines[report->count++];
    size_t size = HBK_ERROR_TEXT_BYTES_MAX;
    int written = line > 0 ? snprintf(text, size, "%s:%u:%u: ", file, line, column)
                           : snprintf(text, size, "%s: ", file);
    if (written < 0 || (size_t)written >= size) {
        return;
    }
    va_list values;
    va_start(values, format);
    (void)vsnprintf(text + written, size - (size_t)written, format, values);
    va_end(values);
}

static size_t smallest(size_t a, size_t b, size_t c)
{
    size_t least = a < b ? a : b;
    return least < c ? least : c;
}

/* Levenshtein's distance, one row at a time. */
static size_t edit_distance(struct hbk_slice a, struct hbk_slice b)
{
    size_t row[WORD_BYTES_MAX + 1];
    for (size_t j = 0; j <= b.size; j++) {
        row[j] = j;
    }
    for (size_t i = 1; i <= a.size; i++) {
        size_t diagonal = row[0];
        row[0] = i;
        for (size_t j = 1; j <= b.size; j++) {
            size_t above = row[j];
            bool is_equal = (a.bytes[i - 1] | 0x20) == (b.bytes[j - 1] | 0x20);
            row[j] = smallest(above + 1, row[j - 1] + 1, diagonal + (is_equal ? 0 : 1));
            diagonal = above;
        }
    }
    return row[b.size];
}

const char *hbk_nearest_word(struct hbk_slice found, const char *const *words)
{
    const char *nearest = NULL;
    size_t nearest_distance = found.size / 3 + 2; /* further away is no misspelling */
    for (; found.size <= WORD_BYTES_MAX && *words != NULL; words++) {
        struct hbk_slice word = hbk_slice_text(*words);
        size_t distance = word.size > WORD_BYTES_MAX ? SIZE_MAX : edit_distance(found, word);
        if (distance < nearest_distance) {
            nearest = *words;
            nearest_distance = distance;
        }
    }
    return nearest;
}
