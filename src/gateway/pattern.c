/*
 * Thompson's way: all places of the pattern at which a match may stand are kept at once, and each
 * byte of the text moves them. There is nothing to go back to.
 */
#include "gateway/pattern.h"

#include "base/assert.h"

enum repeat { ONCE, ANY_TIMES, ONCE_OR_MORE, ONCE_OR_NONE };

struct item {
    uint8_t byte;
    bool is_any; /* '.' */
    uint8_t repeat;
};

/* One alternative. */
struct branch {
    struct item items[HBK_GW_PATTERN_BYTES_MAX];
    size_t count;
    bool is_at_start, is_at_end;
};

static bool is_mark(uint8_t byte)
{
    return memchr("^$.*+?()[]{}|\\", byte, 14) != NULL;
}

static uint8_t repeat_of(uint8_t byte)
{
    return byte == '*' ? ANY_TIMES : byte == '+' ? ONCE_OR_MORE : byte == '?' ? ONCE_OR_NONE : ONCE;
}

/* Fails with a text for people. */
static const char *parse(struct hbk_slice text, struct branch *branch)
{
    *branch = (struct branch){.count = 0};
    for (size_t i = 0; i < text.size; i++) {
        uint8_t byte = text.bytes[i];
        if (byte == '^' && i == 0) {
            branch->is_at_start = true;
            continue;
        }
        if (byte == '$' && i + 1 == text.size) {
            branch->is_at_end = true;
            continue;
        }
        const bool is_escaped = byte == '\\';
        if (is_escaped) {
            if (++i == text.size || !is_mark(text.bytes[i])) {
                return "a backslash stands before none of ^ $ . * + ? ( ) [ ] { } | \\";
            }
            byte = text.bytes[i];
        } else if (repeat_of(byte) != ONCE) {
            return "there is nothing to repeat";
        } else if (is_mark(byte) && byte != '.') {
            return "groups, classes, counts and inner anchors are not supported yet";
        }
        struct item *item = &branch->items[branch->count++];
        *item = (struct item){.byte = byte, .is_any = byte == '.' && !is_escaped};
        if (i + 1 < text.size && repeat_of(text.bytes[i + 1]) != ONCE) {
            item->repeat = repeat_of(text.bytes[++i]);
        }
    }
    return NULL;
}

/* Cuts the first alternative off. False when there is none left. */
static bool next_branch(struct hbk_slice *pattern, bool *is_last, struct hbk_slice *out_text)
{
    if (*is_last) {
        return false;
    }
    size_t end = 0;
    while (end < pattern->size && pattern->bytes[end] != '|') {
        end += pattern->bytes[end] == '\\' ? 2 : 1;
    }
    *is_last = end >= pattern->size;
    end = *is_last ? pattern->size : end;
    *out_text = hbk_slice_part(*pattern, 0, end);
    *pattern = hbk_slice_part(*pattern, *is_last ? end : end + 1, pattern->size);
    return true;
}

hbk_status hbk_gw_pattern_check(struct hbk_slice pattern, struct hbk_error *error)
{
    struct branch branch;
    struct hbk_slice text;
    bool is_last = false;
    if (pattern.size > HBK_GW_PATTERN_BYTES_MAX) {
        return hbk_error_set(error, HBK_LIMIT, "a pattern of %zu bytes; allowed: %d", pattern.size,
                             HBK_GW_PATTERN_BYTES_MAX);
    }
    while (next_branch(&pattern, &is_last, &text)) {
        const char *mistake = parse(text, &branch);
        if (mistake != NULL) {
            return hbk_error_set(error, HBK_INVALID, "\"%.*s\": %s",
                                 (int)(text.size > 80 ? 80 : text.size), (const char *)text.bytes,
                                 mistake);
        }
    }
    return HBK_OK;
}

/* A place, and those that are reached from it without a byte. */
static void enter(const struct branch *branch, bool *places, size_t place)
{
    places[place] = true;
    while (place < branch->count && (branch->items[place].repeat == ANY_TIMES ||
                                     branch->items[place].repeat == ONCE_OR_NONE)) {
        places[++place] = true;
    }
}

static bool matches(const struct branch *branch, bool is_whole, struct hbk_slice text)
{
    bool places[HBK_GW_PATTERN_BYTES_MAX + 1] = {false};
    const bool is_at_start = is_whole || branch->is_at_start;
    const bool is_at_end = is_whole || branch->is_at_end;
    enter(branch, places, 0);
    for (size_t i = 0; i < text.size; i++) {
        bool next[HBK_GW_PATTERN_BYTES_MAX + 1] = {false};
        if (places[branch->count] && !is_at_end) {
            return true;
        }
        for (size_t k = 0; k < branch->count; k++) {
            const struct item *item = &branch->items[k];
            if (!places[k] || (!item->is_any && item->byte != text.bytes[i])) {
                continue;
            }
            if (item->repeat == ANY_TIMES || item->repeat == ONCE_OR_MORE) {
                enter(branch, next, k);
            }
            enter(branch, next, k + 1);
        }
        if (!is_at_start) {
            enter(branch, next, 0);
        }
        memcpy(places, next, sizeof places);
    }
    return places[branch->count];
}

bool hbk_gw_pattern_matches(struct hbk_slice pattern, bool is_whole, struct hbk_slice text)
{
    struct branch branch;
    struct hbk_slice part;
    bool is_last = false;
    HBK_ASSERT(pattern.size <= HBK_GW_PATTERN_BYTES_MAX);
    while (next_branch(&pattern, &is_last, &part)) {
        if (parse(part, &branch) == NULL && matches(&branch, is_whole, text)) {
            return true;
        }
    }
    return false;
}
