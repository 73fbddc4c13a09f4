#include "base/log_pattern.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"

/* Times of the day and days. */
static const char of_time[] = "aAbBcYmdHIMSprRTXz";
/* Others: milliseconds, microseconds, nanoseconds, seconds since 1970; thread, process; level,
 * its letter; target; message, for JSON; source file, line, function; colours. */
static const char of_lines[] = "efFEtPlLnvj_gs@#!^$%";

/* Envoy's own: the message without its line ends, and for JSON. */
enum { MESSAGE = 'v', MESSAGE_ESCAPED = '_', MESSAGE_JSON = 'j' };

hbk_status hbk_log_pattern_check(struct hbk_slice pattern, struct hbk_error *error)
{
    for (size_t i = 0; i < pattern.size; i++) {
        if (pattern.bytes[i] != '%') {
            continue;
        }
        i++;
        char letter = i < pattern.size ? (char)pattern.bytes[i] : '\0';
        if (letter == '\0') {
            return hbk_error_set(error, HBK_INVALID, "it ends in a single %%; allowed: %%%%");
        }
        if (strchr(of_time, letter) == NULL && strchr(of_lines, letter) == NULL) {
            return hbk_error_set(error, HBK_INVALID,
                                 "%%%c is no part of a log line; allowed behind %%: %s%s", letter,
                                 of_time, of_lines);
        }
    }
    return HBK_OK;
}

static struct hbk_slice printed(char *text, int size)
{
    return hbk_slice_of(text, size < 0 ? 0 : (size_t)size);
}

/* spdlog's names, of which one is not ours. */
static struct hbk_slice level_name(struct hbk_slice level)
{
    return hbk_slice_equal(level, HBK_SLICE("warn")) ? HBK_SLICE("warning") : level;
}

enum { PIECE_BYTES_MAX = 64 };

/* In the C locale, as the program's. */
static size_t time_text(char letter, const struct tm *utc, char text[static PIECE_BYTES_MAX])
{
    switch (letter) {
    case 'a':
        return strftime(text, PIECE_BYTES_MAX, "%a", utc);
    case 'A':
        return strftime(text, PIECE_BYTES_MAX, "%A", utc);
    case 'b':
        return strftime(text, PIECE_BYTES_MAX, "%b", utc);
    case 'B':
        return strftime(text, PIECE_BYTES_MAX, "%B", utc);
    case 'c':
        return strftime(text, PIECE_BYTES_MAX, "%a %b %e %H:%M:%S %Y", utc);
    case 'Y':
        return strftime(text, PIECE_BYTES_MAX, "%Y", utc);
    case 'm':
        return strftime(text, PIECE_BYTES_MAX, "%m", utc);
    case 'd':
        return strftime(text, PIECE_BYTES_MAX, "%d", utc);
    case 'H':
        return strftime(text, PIECE_BYTES_MAX, "%H", utc);
    case 'I':
        return strftime(text, PIECE_BYTES_MAX, "%I", utc);
    case 'M':
        return strftime(text, PIECE_BYTES_MAX, "%M", utc);
    case 'S':
        return strftime(text, PIECE_BYTES_MAX, "%S", utc);
    case 'p':
        return strftime(text, PIECE_BYTES_MAX, "%p", utc);
    case 'r':
        return strftime(text, PIECE_BYTES_MAX, "%I:%M:%S %p", utc);
    case 'R':
        return strftime(text, PIECE_BYTES_MAX, "%H:%M", utc);
    case 'T':
    case 'X':
        return strftime(text, PIECE_BYTES_MAX, "%H:%M:%S", utc);
    default: /* z */
        return strftime(text, PIECE_BYTES_MAX, "+00:00", utc);
    }
}

static struct hbk_slice time_piece(char letter, int64_t now_ns, char text[static PIECE_BYTES_MAX])
{
    time_t seconds = (time_t)(now_ns / (int64_t)HBK_NS_PER_S);
    struct tm utc;
    (void)gmtime_r(&seconds, &utc);
    return hbk_slice_of(text, time_text(letter, &utc, text));
}

/* Everything but the message. */
static struct hbk_slice piece(char letter, const struct hbk_log_facts *facts,
                              char text[static PIECE_BYTES_MAX])
{
    const int64_t second_ns = (int64_t)HBK_NS_PER_S;
    long long part = facts->now_ns % second_ns;
    if (strchr(of_time, letter) != NULL) {
        return time_piece(letter, facts->now_ns, text);
    }
    switch (letter) {
    case 'e':
        return printed(text, snprintf(text, PIECE_BYTES_MAX, "%03lld", part / 1000000));
    case 'f':
        return printed(text, snprintf(text, PIECE_BYTES_MAX, "%06lld", part / 1000));
    case 'F':
        return printed(text, snprintf(text, PIECE_BYTES_MAX, "%09lld", part));
    case 'E':
        return printed(
            text, snprintf(text, PIECE_BYTES_MAX, "%lld", (long long)(facts->now_ns / second_ns)));
    case 't':
        return printed(text, snprintf(text, PIECE_BYTES_MAX, "%d", (int)gettid()));
    case 'P':
        return printed(text, snprintf(text, PIECE_BYTES_MAX, "%d", (int)getpid()));
    case 'l':
        return level_name(facts->level);
    case 'L':
        text[0] = (char)toupper(facts->level.bytes[0]);
        return hbk_slice_of(text, 1);
    case 'n':
        return facts->target;
    case '%':
        return HBK_SLICE("%");
    default:
        return hbk_slice_of("", 0);
    }
}

static size_t put(struct hbk_slice bytes, struct hbk_span out, size_t used)
{
    size_t size = bytes.size < out.size - used ? bytes.size : out.size - used;
    if (size > 0) {
        memcpy(out.bytes + used, bytes.bytes, size);
    }
    return used + size;
}

size_t hbk_log_pattern_write(struct hbk_slice pattern, const struct hbk_log_facts *facts,
                             struct hbk_span out)
{
    char text[PIECE_BYTES_MAX];
    size_t used = 0;
    for (size_t i = 0; i < pattern.size; i++) {
        if (pattern.bytes[i] != '%' || i + 1 == pattern.size) {
            used = put(hbk_slice_part(pattern, i, 1), out, used);
            continue;
        }
        char letter = (char)pattern.bytes[++i];
        if (letter == MESSAGE_JSON) {
            used +=
                hbk_log_escape_json(facts->message, hbk_span_of(out.bytes + used, out.size - used));
        } else if (letter == MESSAGE || letter == MESSAGE_ESCAPED) {
            used = put(facts->message, out, used);
        } else {
            used = put(piece(letter, facts, text), out, used);
        }
    }
    return used;
}
