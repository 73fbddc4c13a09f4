/*
 * The part of regular expressions that names are looked for with: letters, '.', the repeats '*',
 * '+' and '?' behind one of them, a mark with a backslash before it, '^' and '$' at the ends, and
 * '|' between whole alternatives. Groups, classes and counts are refused. The time it takes grows
 * with the sizes of pattern and text multiplied, whatever they are.
 */
#pragma once

#include "base/error.h"
#include "base/slice.h"

enum { HBK_GW_PATTERN_BYTES_MAX = 512 };

/* Fails: HBK_INVALID, HBK_UNSUPPORTED, HBK_LIMIT; `error` says what is wrong. */
HBK_MUST_USE hbk_status hbk_gw_pattern_check(struct hbk_slice pattern, struct hbk_error *error);

/* `is_whole`: the pattern is all of the text; else a part of it. `pattern` has passed the check. */
bool hbk_gw_pattern_matches(struct hbk_slice pattern, bool is_whole, struct hbk_slice text);
