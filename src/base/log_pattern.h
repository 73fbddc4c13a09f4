/*
 * The form of a log line by a pattern, in the words of spdlog, which Envoy's --log-format takes.
 * Times are UTC. Lines know no place in a source file, so the letters for it write nothing.
 */
#pragma once

#include <stdint.h>

#include "base/error.h"
#include "base/slice.h"

struct hbk_log_facts {
    int64_t now_ns; /* realtime */
    struct hbk_slice level, target, message;
};

/* Fails: HBK_INVALID with the letter that is none and those that are. */
HBK_MUST_USE hbk_status hbk_log_pattern_check(struct hbk_slice pattern, struct hbk_error *error);

/* Writes a line without its end by a pattern that was checked; returns the bytes written, at most
 * out.size. What does not fit is cut. Any thread. */
size_t hbk_log_pattern_write(struct hbk_slice pattern, const struct hbk_log_facts *facts,
                             struct hbk_span out);
