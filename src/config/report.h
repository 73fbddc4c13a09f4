/*
 * What is wrong with a file: all of it, up to a limit, so that its author mends it in one go. Each
 * line names file, line and column, what was found, and what is allowed.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "base/slice.h"

enum { HBK_REPORT_ERRORS_MAX = 32 };

struct hbk_report {
    size_t count;   /* lines kept below */
    size_t dropped; /* errors found beyond the limit */
    char lines[HBK_REPORT_ERRORS_MAX][HBK_ERROR_TEXT_BYTES_MAX];
};

void hbk_report_init(struct hbk_report *report);

/* Adds "file:line:column: sentence"; lines and columns count from 1; line 0 leaves both out. */
HBK_PRINTF(5, 6)
void hbk_report_add(struct hbk_report *report, const char *file, uint32_t line, uint32_t column,
                    const char *format, ...);

/* The word of the list that is nearest to `found` by edit distance; NULL when none is near. The
 * list ends with NULL. */
const char *hbk_nearest_word(struct hbk_slice found, const char *const *words);
