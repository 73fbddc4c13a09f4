/*
 * The program's log: one line per event on one descriptor, as text or as JSON, with levels that can
 * be changed while it runs. Lines are written whole with one write(); a line that does not fit the
 * pipe is dropped and counted, so that a slow reader never stops the data path.
 *
 * Text: RFC 3339 time in UTC with microseconds, TAB, level, TAB, target, TAB, message.
 * JSON: {"level", "time", "scope", "message"} on one line. (ambient.md 5.2)
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/compiler.h"
#include "base/slice.h"
#include "base/status.h"

enum hbk_log_level {
    HBK_LOG_ERROR,
    HBK_LOG_WARN,
    HBK_LOG_INFO,
    HBK_LOG_DEBUG,
    HBK_LOG_TRACE,
    HBK_LOG_OFF, /* as a threshold only: nothing is written */
};

enum { HBK_LOG_LINE_BYTES_MAX = 4096 };

/* Where lines go and in which form; before threads start. Defaults: standard output, text, info. */
void hbk_log_to(int fd, bool is_json);
bool hbk_log_is_json(void);

/* Another form for lines of text, checked by log_pattern.h and borrowed for good; NULL: the usual
 * one. Before threads start. */
void hbk_log_set_pattern(const char *pattern);

/* The threshold: lines of this level and more severe ones are written. Any thread. */
void hbk_log_set_level(enum hbk_log_level level);
enum hbk_log_level hbk_log_level_now(void);

enum {
    HBK_LOG_TARGETS_MAX = 32, /* targets that ever had a threshold of their own */
    HBK_LOG_TARGET_BYTES_MAX = 32,
};

/* A threshold for one target, over the general one. One thread alone; it acts on all.
 * Fails: HBK_LIMIT (too many targets, or too long a name). */
HBK_MUST_USE hbk_status hbk_log_set_target_level(struct hbk_slice target, enum hbk_log_level level);

/* Takes all thresholds of targets away. One thread alone. */
void hbk_log_clear_targets(void);

/* The targets that have a threshold of their own: the n-th from 0; false behind the last. */
bool hbk_log_target_level(size_t n, const char **out_target, enum hbk_log_level *out_level);

/* "error" ... "trace", "off"; false, nothing written, for another word. */
HBK_MUST_USE bool hbk_log_level_from_text(struct hbk_slice text, enum hbk_log_level *out_level);
const char *hbk_log_level_text(enum hbk_log_level level);

/* Whether a line of this level could be written: ask before work that only a line needs. */
bool hbk_log_is_on(enum hbk_log_level level);

/* Writes one line. `target` is the room, such as "proxy". Text over the limit is cut. Any thread.
 */
HBK_PRINTF(3, 4)
void hbk_log(enum hbk_log_level level, const char *target, const char *format, ...);

/*
 * Writes a line whose end is made already: in text form everything behind "target TAB", in JSON
 * form the members behind "scope", without braces. For the access log.
 */
void hbk_log_prepared(enum hbk_log_level level, const char *target, struct hbk_slice rest);

/* Lines dropped because the descriptor did not take them. */
uint64_t hbk_log_dropped(void);

/* Writes `text` as the inside of a JSON string (RFC 8259, section 7) to `out`; returns the bytes
 * written, at most out.size; text that does not fit is cut between characters. Bytes that are not
 * UTF-8 become U+FFFD. */
size_t hbk_log_escape_json(struct hbk_slice text, struct hbk_span out);
