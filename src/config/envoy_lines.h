/* Repairs of a configuration's lines, before it is YAML at all. Private to this room. */
#pragma once

#include "base/buffer.h"
#include "config/report.h"

/*
 * Moves lines that stand in a column where YAML does not take them: a list below an empty key that
 * is indented more than the list, and a key in the column of the dash of its own list item. Fences
 * of code blocks ("```") become empty lines. Lines keep their numbers.
 * Fails: HBK_LIMIT, HBK_NO_MEMORY.
 */
HBK_MUST_USE hbk_status hbk_envoy_fix_lines(const char *file, struct hbk_slice text,
                                            struct hbk_buffer *out, struct hbk_report *repairs);
