#include "base/log.h"

#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/utf8.h"

static const char *const level_names[] = {
    [HBK_LOG_ERROR] = "error", [HBK_LOG_WARN] = "warn",   [HBK_LOG_INFO] = "info",
    [HBK_LOG_DEBUG] = "debug", [HBK_LOG_TRACE] = "trace", [HBK_LOG_OFF] = "off",
};

static int log_fd = STDOUT_FILENO;
static bool log_is_json;

/* Relaxed: a level change may reach another thread a few lines late. */
static _Atomic int log_threshold = HBK_LOG_INFO;

/* Relaxed: a statistic. */
static _Atomic uint64_t dropped_lines;

void hbk_log_to(int fd, bool is_json)
{
    log_fd = fd;
    log_is_json = is_json;
}

bool hbk_log_is_json(void)
{
    return log_is_json;
}

void hbk_log_set_level(enum hbk_log_level level)
{
    atomic_store_explicit(&log_threshold, level, memory_order_relaxed);
}

enum hbk_log_level hbk_log_level_now(void)
{
    return (enum hbk_log_level)atomic_load_explicit(&log_threshold, memory_order_relaxed);
}

bool hbk_log_level_from_text(struct hbk_slice text, enum hbk_log_level *out_level)
{
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

bool hbk_log_is_on(enum hbk_log_level level)
{
    enum hbk_log_level threshold = hbk_log_level_now();
    return threshold != HBK_LOG_OFF && level <= threshold;
}

uint64_t hbk_log_dropped(void)
{
    return atomic_load_explicit(&dropped_lines, memory_order_relaxed);
}

size_t hbk_log_escape_json(struct hbk_slice text, struct hbk_span out)
{
    size_t used = 0;
    while (text.size > 0) {
        char piece[7];
        uint8_t byte = text.bytes[0];
        size_t taken = hbk_utf8_size(text);
        size_t size = taken;
        if (taken == 0) {
            taken = 1;
            size = sizeof HBK_UTF8_REPLACEMENT - 1;
            memcpy(piece, HBK_UTF8_REPLACEMENT, size);
        } else if (byte == '"' || byte == '\\') {
            size = (size_t)snprintf(piece, sizeof piece, "\\%c", byte);
        } else if (byte < 0x20 || byte == 0x7F) {
            size = (size_t)snprintf(piece, sizeof piece, "\\u%04x", byte);
        } else {
            memcpy(piece, text.bytes, taken);
        }
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

static void put_start(struct line *line, enum hbk_log_level level, const char *target)
{
    int64_t now_ns = hbk_clock_realtime_ns();
    time_t seconds = (time_t)(now_ns / (int64_t)HBK_NS_PER_S);
    struct tm utc;
    (void)gmtime_r(&seconds, &utc);
    char when[40];
    size_t size = strftime(when, sizeof when, "%Y-%m-%dT%H:%M:%S", &utc);
    (void)snprintf(when + size, sizeof when - size, ".%06dZ",
                   (int)(now_ns % (int64_t)HBK_NS_PER_S / 1000));
    char start[160];
    const char *name = level_names[level];
    int written = log_is_json ? snprintf(start, sizeof start,
                                         "{\"level\":\"%s\",\"time\":\"%s\",\"scope\":\"%s\",",
                                         name, when, target)
                              : snprintf(start, sizeof start, "%s\t%s\t%s\t", when, name, target);
    if (written > 0) {
        put(line, hbk_slice_text(start));
    }
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
    if (!hbk_log_is_on(level)) {
        return;
    }
    struct line line = {.size = 0};
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
    if (!hbk_log_is_on(level)) {
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
