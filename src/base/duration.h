/* Lengths of time as people write them: "24h", "1h30m", "250ms". Any thread. */
#pragma once

#include <stdint.h>

#include "base/slice.h"

/* "106751d23h47m16s854ms775us807ns" and its end. */
enum { HBK_DURATION_TEXT_BYTES_MAX = 48 };

/* For messages: what hbk_duration_parse() takes. */
#define HBK_DURATION_SYNTAX "a number with ns, us, ms, s, m, h or d, such as 20s or 1h30m"

/*
 * Whole numbers with their units, largest unit first, each unit at most once; "0" needs no unit.
 * False, and nothing written, for anything else or above INT64_MAX nanoseconds (292 years).
 */
HBK_MUST_USE bool hbk_duration_parse(struct hbk_slice text, uint64_t *out_ns);

/* Upper bounds of the buckets in which durations are counted where many counts are kept. */
enum { HBK_DURATION_BOUNDS = 17 };

extern const uint64_t hbk_duration_bounds_ns[HBK_DURATION_BOUNDS];

/* The first bucket whose bound is not passed; HBK_DURATION_BOUNDS when all are. */
unsigned hbk_duration_bucket(uint64_t duration_ns);

/* Writes the shortest such text with its terminating zero and returns `text`. */
const char *hbk_duration_text(uint64_t duration_ns, char text[static HBK_DURATION_TEXT_BYTES_MAX]);
