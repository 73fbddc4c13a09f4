#include "base/log.h"

#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log_pattern.h"
#include "base/utf8.h"

static const char *const level_names[] = {
    [HBK_LOG_ERROR] = "error", [HBK_LOG_WARN] = "warn",   [HBK_LOG_INFO] = "info",
    [HBK_LOG_DEBUG] = "debug", [HBK_LOG_TRACE] = "trace", [HBK_LOG_OFF] = "off",
};

static int log_fd = STDOUT_FILENO;
static bool log_is_json;
static const char *log_pattern; /* of text; NULL: ours */

/* Relaxed: a level change may reach another thread a few lines late. */
static _Atomic int log_threshold = HBK_LOG_INFO;

/*
 * Targets with thresholds of their own. A name is written once, before `targets_count` is raised
 * (release, read with acquire), and never moves; taking a threshold away leaves the name without.
 */
enum { LEVEL_NONE = -1 };
static struct {
    char name[HBK_LOG_TARGET_BYTES_MAX];
    _Atomic int level;
} targets[HBK_LOG_TARGETS_MAX];
static _Atomic size_t targets_count;

/* The highest threshold of all, so that most lines are refused by one comparison. */
static _Atomic int highest_threshold = HBK_LOG_INFO;

static int verbosity(int level)
{
    return level == HBK_LOG_OFF ? LEVEL_NONE : level;
}

static void update_highest(void)
{
    int highest = verbosity(atomic_load_explicit(&log_threshold, memory_order_relaxed));
    size_t count = atomic_load_explicit(&targets_count, memory_order_relaxed);
    for (size_t i = 0; i < count; i++) {
        int level = verbosity(atomic_load_explicit(&targets[i].level, memory_order_relaxed));
        highest = level > highest ? level : highest;
    }
    atomic_store_explicit(&highest_threshold, highest, memory_order_relaxed);
}

/* Relaxed: a statistic. */
static _Atomic uint64_t dropped_lines;

void hbk_log_to(int fd, bool is_json)
{
    log_fd = fd;
    log_is_json = is_json;
}

void hbk_log_set_pattern(const char *pattern)
{
    log_pattern = pattern;
}

bool hbk_log_is_json(void)
{
    return log_is_json;
}

void hbk_log_set_level(enum hbk_log_level level)
{
    atomic_store_explicit(&log_threshold, level, memory_order_relaxed);
    update_highest();
}

enum hbk_log_level hbk_log_level_now(void)
{
    return (enum hbk_log_level)atomic_load_explicit(&log_threshold, memory_order_relaxed);
}

bool hbk_log_level_from_text(struct hbk_slice text, enum hbk_log_level *out_level)
{
    static const struct {
        const char *name;
        enum hbk_log_level level;
    } others[] = {{"warning", HBK_LOG_WARN}, {"critical", HBK_LOG_ERROR}};
    for (size_t i = 0; i < HBK_COUNT(others); i++) {
        if (hbk_slice_equal_nocase(text, hbk_slice_text(others[i].name))) {
            *out_level = others[i].level;
            return true;
        }
    }
    for (size_t i = 0; i < HBK_COUNT(level_names); i++) {
        if (hbk_slice_equal_nocase(text, hbk_slice_text(level_names[i]))) {
            *out_level = (enum hbk_log_level)i;
            return true;
        }
    }
    return false;
}

const char *hbk_log_level_text(enum hbk_log_level level)
{
    return level_names[level];
}

hbk_status hbk_log_set_target_level(struct hbk_slice target, enum hbk_log_level level)
{
    size_t count = atomic_load_explicit(&targets_count, memory_order_relaxed);
    size_t i = 0;
    while (i < count && !hbk_slice_equal(hbk_slice_text(targets[i].name), target)) {
        i++;
    }
    if (i == HBK_LOG_TARGETS_MAX || target.size >= sizeof targets[i].name) {
        return HBK_LIMIT;
    }
    atomic_store_explicit(&targets[i].level, level, memory_order_relaxed);
    if (i == count) {
        memcpy(targets[i].name, target.bytes, target.size);
        atomic_store_explicit(&targets_count, count + 1, memory_order_release);
    }
    update_highest();
    return HBK_OK;
}

void hbk_log_clear_targets(void)
{
    size_t count = atomic_load_explicit(&targets_count, memory_order_relaxed);
    for (size_t i = 0; i < count; i++) {
        atomic_store_explicit(&targets[i].level, LEVEL_NONE, memory_order_relaxed);
    }
    update_highest();
}

bool hbk_log_target_level(size_t n, const char **out_target, enum hbk_log_level *out_level)
{
    size_t count = atomic_load_explicit(&targets_count, memory_order_acquire);
    for (size_t i = 0; i < count; i++) {
        int level = atomic_load_explicit(&targets[i].level, memory_order_relaxed);
        if (level != LEVEL_NONE && n-- == 0) {
            *out_target = targets[i].name;
            *out_level = (enum hbk_log_level)level;
            return true;
        }
    }
    return false;
}

bool hbk_log_is_on(enum hbk_log_level level)
{
    return (int)level <= atomic_load_explicit(&highest_threshold, memory_order_relaxed);
}

static bool is_on_for(enum hbk_log_level level, const char *target)
{
    if (!hbk_log_is_on(level)) {
        return false;
    }
    size_t count = atomic_load_explicit(&targets_count, memory_order_acquire);
    for (size_t i = 0; i < count; i++) {
        int own = atomic_load_explicit(&targets[i].level, memory_order_relaxed);
        if (own != LEVEL_NONE && strcmp(targets[i].name, target) == 0) {
            return (int)level <= verbosity(own);
        }
    }
    return (int)level <= verbosity((int)hbk_log_level_now());
}

uint64_t hbk_log_dropped(void)
{
    return atomic_load_explicit(&dropped_lines, memory_order_relaxed);
}

/* How many bytes at the start need no escape: printable ASCII but the quote and the backslash. */
static size_t plain_bytes(struct hbk_slice text)
{
    size_t i = 0;
    while (i < text.size && text.bytes[i] >= ' ' && text.bytes[i] < 0x7F && text.bytes[i] != '"' &&
           text.bytes[i] != '\\') {
        i++;
    }
    return i;
}

/* Writes the first character of `text`, which is not plain, and returns the bytes written; how many
 * it took is in *out_taken. */
static size_t escape_character(struct hbk_slice text, char piece[static 8], size_t *out_taken)
{
    uint8_t byte = text.bytes[0];
    size_t size = hbk_utf8_size(text);
    *out_taken = size > 0 ? size : 1;
    if (size == 0) {
        memcpy(piece, HBK_UTF8_REPLACEMENT, sizeof HBK_UTF8_REPLACEMENT - 1);
        return sizeof HBK_UTF8_REPLACEMENT - 1;
    }
    if (size > 1) {
        memcpy(piece, text.bytes, size);
        return size;
    }
    return (size_t)(byte == '"' || byte == '\\' ? snprintf(piece, 8, "\\%c", byte)
                                                : snprintf(piece, 8, "\\u%04x", byte));
}

size_t hbk_log_escape_json(struct hbk_slice text, struct hbk_span out)
{
    size_t used = 0;
    while (text.size > 0) {
        size_t plain = plain_bytes(text);
        size_t size = plain < out.size - used ? plain : out.size - used;
        if (size > 0) {
            memcpy(out.bytes + used, text.bytes, size);
            used += size;
            text = hbk_slice_part(text, size, text.size);
        }
        if (size < plain || text.size == 0) {
            break;
        }
        char piece[8];
        size_t taken;
        size = escape_character(text, piece, &taken);
        if (size > out.size - used) {
            break;
        }
        memcpy(out.bytes + used, piece, size);
        used += size;
        text = hbk_slice_part(text, taken, text.size);
    }
    return used;
}

struct line {
    char bytes[HBK_LOG_LINE_BYTES_MAX];
    size_t size;
};

static void put(struct line *line, struct hbk_slice text)
{
    size_t room = sizeof line->bytes - 1 - line->size; /* one byte is kept for the line's end */
    size_t size = text.size < room ? text.size : room;
    memcpy(line->bytes + line->size, text.bytes, size);
    line->size += size;
}

enum {
    SECOND_BYTES = sizeof "2000-01-01T00:00:00" - 1,
    TIME_BYTES = SECOND_BYTES + sizeof ".000000Z" - 1,
};

/* The time as RFC 3339 in UTC. Each thread keeps the text of its last second: most lines share it
 * with the one before, and making it costs more than the rest of the line. */
static struct hbk_slice time_text(int64_t now_ns, char text[static TIME_BYTES])
{
    static _Thread_local time_t last_seconds = -1;
    static _Thread_local char last_text[SECOND_BYTES + 1];
    time_t seconds = (time_t)(now_ns / (int64_t)HBK_NS_PER_S);
    if (seconds != last_seconds) {
        struct tm utc;
        (void)gmtime_r(&seconds, &utc);
        (void)strftime(last_text, sizeof last_text, "%Y-%m-%dT%H:%M:%S", &utc);
        last_seconds = seconds;
    }
    memcpy(text, last_text, SECOND_BYTES);
    unsigned microseconds = (unsigned)(now_ns % (int64_t)HBK_NS_PER_S / 1000);
    text[SECOND_BYTES] = '.';
    for (size_t i = 6; i > 0; i--) {
        text[SECOND_BYTES + i] = (char)('0' + microseconds % 10);
        microseconds /= 10;
    }
    text[TIME_BYTES - 1] = 'Z';
    return hbk_slice_of(text, TIME_BYTES);
}

static void put_start(struct line *line, enum hbk_log_level level, const char *target)
{
    char text[TIME_BYTES];
    struct hbk_slice now = time_text(hbk_clock_realtime_ns(), text);
    struct hbk_slice name = hbk_slice_text(level_names[level]);
    if (log_is_json) {
        put(line, HBK_SLICE("{\"level\":\""));
        put(line, name);
        put(line, HBK_SLICE("\",\"time\":\""));
        put(line, now);
        put(line, HBK_SLICE("\",\"scope\":\""));
        put(line, hbk_slice_text(target));
        put(line, HBK_SLICE("\","));
        return;
    }
    put(line, now);
    put(line, HBK_SLICE("\t"));
    put(line, name);
    put(line, HBK_SLICE("\t"));
    put(line, hbk_slice_text(target));
    put(line, HBK_SLICE("\t"));
}

static void write_line(struct line *line)
{
    line->bytes[line->size++] = '\n';
    ssize_t written = write(log_fd, line->bytes, line->size);
    if (written != (ssize_t)line->size) {
        atomic_fetch_add_explicit(&dropped_lines, 1, memory_order_relaxed);
    }
}

void hbk_log_prepared(enum hbk_log_level level, const char *target, struct hbk_slice rest)
{
    if (!is_on_for(level, target)) {
        return;
    }
    struct line line; /* its bytes are not zeroed: they are written before they are read */
    line.size = 0;
    if (log_pattern != NULL && !log_is_json) {
        const struct hbk_log_facts facts = {
            .now_ns = hbk_clock_realtime_ns(),
            .level = hbk_slice_text(level_names[level]),
            .target = hbk_slice_text(target),
            .message = rest,
        };
        line.size = hbk_log_pattern_write(hbk_slice_text(log_pattern), &facts,
                                          hbk_span_of(line.bytes, sizeof line.bytes - 1));
        write_line(&line);
        return;
    }
    put_start(&line, level, target);
    if (log_is_json) {
        size_t room = sizeof line.bytes - 2 - line.size;
        put(&line, hbk_slice_part(rest, 0, room));
        line.bytes[line.size++] = '}';
    } else {
        put(&line, rest);
    }
    write_line(&line);
}

void hbk_log(enum hbk_log_level level, const char *target, const char *format, ...)
{
    if (!is_on_for(level, target)) {
        return;
    }
    char message[HBK_LOG_LINE_BYTES_MAX];
    va_list values;
    va_start(values, format);
    int needed = vsnprintf(message, sizeof message, format, values);
    va_end(values);
    if (needed < 0) {
        return;
    }
    if (!log_is_json) {
        for (char *c = message; *c != '\0'; c++) {
            *c = *c == '\n' ? ' ' : *c;
        }
        hbk_log_prepared(level, target, hbk_slice_text(message));
        return;
    }
    static const char opening[] = "\"message\":\"";
    char rest[HBK_LOG_LINE_BYTES_MAX];
    memcpy(rest, opening, sizeof opening - 1);
    size_t size = sizeof opening - 1;
    size_t limit = sizeof rest - 256; /* the start of a line is below 160 bytes */
    size += hbk_log_escape_json(hbk_slice_text(message), hbk_span_of(rest + size, limit - size));
    rest[size++] = '"';
    hbk_log_prepared(level, target, hbk_slice_of(rest, size));
}
