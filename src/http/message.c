#include "http/message.h"

#include <stdarg.h>
#include <stdio.h>

enum { CAPACITY_MIN = 16 };

struct hbk_slice hbk_gw_copy(struct hbk_arena *arena, struct hbk_slice text)
{
    struct hbk_span room = hbk_arena_bytes(arena, text.size + 1);
    if (room.bytes == NULL) {
        return hbk_slice_of(NULL, 0);
    }
    if (text.size > 0) {
        memcpy(room.bytes, text.bytes, text.size);
    }
    return hbk_slice_of(room.bytes, text.size);
}

struct hbk_slice hbk_gw_copy_lower(struct hbk_arena *arena, struct hbk_slice text)
{
    struct hbk_span room = hbk_arena_bytes(arena, text.size + 1);
    if (room.bytes == NULL) {
        return hbk_slice_of(NULL, 0);
    }
    for (size_t i = 0; i < text.size; i++) {
        uint8_t byte = text.bytes[i];
        room.bytes[i] = byte >= 'A' && byte <= 'Z' ? (uint8_t)(byte | 0x20) : byte;
    }
    return hbk_slice_of(room.bytes, text.size);
}

struct hbk_slice hbk_gw_print(struct hbk_arena *arena, const char *format, ...)
{
    va_list values, again;
    va_start(values, format);
    va_copy(again, values);
    int size = vsnprintf(NULL, 0, format, values);
    struct hbk_span room =
        size < 0 ? hbk_span_of(NULL, 0) : hbk_arena_bytes(arena, (size_t)size + 1);
    if (room.bytes != NULL) {
        (void)vsnprintf((char *)room.bytes, room.size, format, again);
    }
    va_end(again);
    va_end(values);
    return hbk_slice_of(room.bytes, room.bytes == NULL ? 0 : (size_t)size);
}

hbk_status hbk_gw_head_add(struct hbk_gw_head *head, struct hbk_arena *arena, struct hbk_slice name,
                           struct hbk_slice value)
{
    if (name.bytes == NULL || value.bytes == NULL) {
        return HBK_NO_MEMORY;
    }
    if (head->count == HBK_GW_FIELDS_MAX) {
        return HBK_LIMIT;
    }
    if (head->count == head->capacity) {
        uint32_t capacity = head->capacity == 0 ? CAPACITY_MIN : head->capacity * 2;
        struct hbk_h2_field *fields = hbk_arena_array(arena, capacity, sizeof *fields);
        if (fields == NULL) {
            return HBK_NO_MEMORY;
        }
        if (head->count > 0) {
            memcpy(fields, head->fields, head->count * sizeof *fields);
        }
        head->fields = fields;
        head->capacity = capacity;
    }
    head->fields[head->count++] = (struct hbk_h2_field){.name = name, .value = value};
    return HBK_OK;
}

void hbk_gw_head_remove(struct hbk_gw_head *head, struct hbk_slice name)
{
    uint32_t kept = 0;
    for (uint32_t i = 0; i < head->count; i++) {
        if (!hbk_slice_equal_nocase(head->fields[i].name, name)) {
            head->fields[kept++] = head->fields[i];
        }
    }
    head->count = kept;
}

hbk_status hbk_gw_head_set(struct hbk_gw_head *head, struct hbk_arena *arena, struct hbk_slice name,
                           struct hbk_slice value)
{
    hbk_gw_head_remove(head, name);
    return hbk_gw_head_add(head, arena, name, value);
}

hbk_status hbk_gw_head_join(struct hbk_gw_head *head, struct hbk_arena *arena,
                            struct hbk_slice name, struct hbk_slice separator)
{
    size_t size = 0, used = 0;
    uint32_t count = 0;
    for (uint32_t i = 0; i < head->count; i++) {
        if (hbk_slice_equal_nocase(head->fields[i].name, name)) {
            size += (count++ > 0 ? separator.size : 0) + head->fields[i].value.size;
        }
    }
    if (count < 2) {
        return HBK_OK;
    }
    struct hbk_span room = hbk_arena_bytes(arena, size);
    if (room.bytes == NULL) {
        return HBK_NO_MEMORY;
    }
    for (uint32_t i = 0; i < head->count; i++) {
        struct hbk_slice value = head->fields[i].value;
        if (!hbk_slice_equal_nocase(head->fields[i].name, name)) {
            continue;
        }
        if (used > 0 || count == 0) {
            memcpy(room.bytes + used, separator.bytes, separator.size);
            used += separator.size;
        }
        if (value.size > 0) {
            memcpy(room.bytes + used, value.bytes, value.size);
            used += value.size;
        }
        count = 0; /* a separator follows from now on, also behind an empty value */
    }
    return hbk_gw_head_set(head, arena, name, hbk_slice_of(room.bytes, used));
}

struct hbk_slice hbk_gw_head_find(const struct hbk_gw_head *head, struct hbk_slice name)
{
    for (uint32_t i = 0; i < head->count; i++) {
        if (hbk_slice_equal(head->fields[i].name, name)) {
            return head->fields[i].value;
        }
    }
    return hbk_slice_of(NULL, 0);
}

bool hbk_gw_head_has(const struct hbk_gw_head *head, struct hbk_slice name)
{
    return hbk_gw_head_find(head, name).bytes != NULL;
}

bool hbk_gw_promise_read(struct hbk_gw_promise *promise, const struct hbk_gw_head *head)
{
    enum { DIGITS_MAX = 18 }; /* so that nothing overflows */
    *promise = (struct hbk_gw_promise){0};
    for (uint32_t i = 0; i < head->count; i++) {
        struct hbk_slice value = head->fields[i].value;
        if (!hbk_slice_equal_nocase(head->fields[i].name, HBK_SLICE("content-length"))) {
            continue;
        }
        if (promise->is_made || value.size == 0 || value.size > DIGITS_MAX) {
            return false;
        }
        promise->is_made = true;
        for (size_t at = 0; at < value.size; at++) {
            if (value.bytes[at] < '0' || value.bytes[at] > '9') {
                return false;
            }
            promise->left_bytes = promise->left_bytes * 10 + (uint64_t)(value.bytes[at] - '0');
        }
    }
    return true;
}

bool hbk_gw_promise_keep(struct hbk_gw_promise *promise, size_t size, bool is_last)
{
    if (!promise->is_made) {
        return true;
    }
    if (size > promise->left_bytes) {
        return false;
    }
    promise->left_bytes -= size;
    return !is_last || promise->left_bytes == 0;
}

struct hbk_slice hbk_gw_trim(struct hbk_slice text)
{
    while (text.size > 0 && (text.bytes[0] == ' ' || text.bytes[0] == '\t')) {
        text = hbk_slice_part(text, 1, text.size);
    }
    while (text.size > 0 &&
           (text.bytes[text.size - 1] == ' ' || text.bytes[text.size - 1] == '\t')) {
        text.size--;
    }
    return text;
}

static bool is_hop_by_hop(struct hbk_slice name)
{
    static const char *const names[] = {"connection",        "keep-alive", "proxy-connection",
                                        "transfer-encoding", "upgrade",    "te"};
    for (size_t i = 0; i < HBK_COUNT(names); i++) {
        if (hbk_slice_equal(name, hbk_slice_text(names[i]))) {
            return true;
        }
    }
    return false;
}

/* Fields that Connection names, but for those that say where a message ends or leads, and TE, which
 * is judged by its value. `options_left` counts what it may yet name; false when it names more. */
static bool strip_named(struct hbk_gw_head *head, struct hbk_slice list, uint32_t *options_left)
{
    const struct hbk_slice forwarded = HBK_SLICE("x-forwarded-");
    while (list.size > 0) {
        if ((*options_left)-- == 0) {
            return false;
        }
        size_t size = list.size;
        (void)hbk_slice_find(list, ',', &size);
        struct hbk_slice name = hbk_gw_trim(hbk_slice_part(list, 0, size));
        list = hbk_slice_part(list, size + 1, list.size);
        bool is_needed = hbk_slice_equal_nocase(name, HBK_SLICE("content-length")) ||
                         hbk_slice_equal_nocase(name, HBK_SLICE("host")) ||
                         hbk_slice_equal_nocase(name, HBK_SLICE("te")) ||
                         hbk_slice_equal_nocase(hbk_slice_part(name, 0, forwarded.size), forwarded);
        if (!is_needed) {
            hbk_gw_head_remove(head, name);
        }
    }
    return true;
}

bool hbk_gw_head_strip(struct hbk_gw_head *head)
{
    uint32_t options_left = HBK_GW_CONNECTION_OPTIONS_MAX;
    struct hbk_slice te = hbk_gw_head_find(head, HBK_SLICE("te"));
    bool has_trailers = hbk_slice_equal_nocase(te, HBK_SLICE("trailers"));
    for (;;) {
        struct hbk_slice named = hbk_gw_head_find(head, HBK_SLICE("connection"));
        if (named.bytes == NULL) {
            break;
        }
        /* The first of several goes with all of its name, so each list is looked at in turn. */
        for (uint32_t i = 0; i < head->count; i++) {
            if (hbk_slice_equal(head->fields[i].name, HBK_SLICE("connection"))) {
                head->fields[i].name = HBK_SLICE("keep-alive");
                break;
            }
        }
        if (!strip_named(head, named, &options_left)) {
            return false;
        }
    }
    uint32_t kept = 0;
    for (uint32_t i = 0; i < head->count; i++) {
        bool is_te = has_trailers && hbk_slice_equal(head->fields[i].name, HBK_SLICE("te"));
        if (is_te || !is_hop_by_hop(head->fields[i].name)) {
            head->fields[kept++] = head->fields[i];
        }
    }
    head->count = kept;
    return true;
}

bool hbk_gw_is_authority(struct hbk_slice text)
{
    static const bool is_allowed[256] = {
        ['0' ... '9'] = true, ['a' ... 'z'] = true, ['A' ... 'Z'] = true, ['-'] = true,
        ['.'] = true,         ['_'] = true,         ['~'] = true,         ['!'] = true,
        ['$'] = true,         ['&'] = true,         ['\''] = true,        ['('] = true,
        [')'] = true,         ['*'] = true,         ['+'] = true,         [','] = true,
        [';'] = true,         ['='] = true,         [':'] = true,         ['['] = true,
        [']'] = true,         ['%'] = true,
    };
    for (size_t i = 0; i < text.size; i++) {
        if (!is_allowed[text.bytes[i]]) {
            return false;
        }
    }
    return true;
}
