#include "config/proto_text.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "config/proto.h"

enum { NUMBER_BYTES_MAX = 64, QUOTED_BYTES_MAX = 96 };

const char *hbk_proto_quoted(struct hbk_slice word, char text[static HBK_PROTO_FOUND_BYTES_MAX])
{
    int size = word.size > QUOTED_BYTES_MAX ? QUOTED_BYTES_MAX : (int)word.size;
    (void)snprintf(text, HBK_PROTO_FOUND_BYTES_MAX, "\"%.*s%s\"", size, (const char *)word.bytes,
                   size < (int)word.size ? "..." : "");
    for (char *byte = text; *byte != '\0'; byte++) {
        *byte = (unsigned char)*byte < ' ' ? '?' : *byte;
    }
    return text;
}

const char *hbk_proto_found(const struct hbk_node *node,
                            char text[static HBK_PROTO_FOUND_BYTES_MAX])
{
    if (node->kind == HBK_NODE_SCALAR && !node->is_null) {
        return hbk_proto_quoted(node->text, text);
    }
    (void)snprintf(text, HBK_PROTO_FOUND_BYTES_MAX, "%s",
                   node->kind == HBK_NODE_MAPPING ? "a mapping"
                   : node->kind == HBK_NODE_LIST  ? "a list"
                                                  : "nothing");
    return text;
}

bool hbk_proto_double_parse(struct hbk_slice text, double *out_number)
{
    char copy[NUMBER_BYTES_MAX];
    if (text.size == 0 || text.size >= sizeof copy) {
        return false;
    }
    for (size_t i = 0; i < text.size; i++) {
        uint8_t byte = text.bytes[i];
        if (!((byte >= '0' && byte <= '9') || byte == '.' || byte == '-' || byte == '+' ||
              byte == 'e' || byte == 'E')) {
            return false;
        }
    }
    memcpy(copy, text.bytes, text.size);
    copy[text.size] = '\0';
    char *end = NULL;
    double value = strtod(copy, &end);
    if (*end != '\0' || !isfinite(value)) {
        return false;
    }
    *out_number = value;
    return true;
}

bool hbk_proto_integer_parse(struct hbk_slice text, int64_t *out_number)
{
    bool is_negative = text.size > 0 && text.bytes[0] == '-';
    uint64_t number = 0;
    if (hbk_slice_to_u64(hbk_slice_part(text, is_negative, text.size), INT64_MAX, &number)) {
        *out_number = is_negative ? -(int64_t)number : (int64_t)number;
        return true;
    }
    const double exact_max = 9007199254740992.0; /* 2^53: whole numbers below are exact */
    double value = 0;
    if (!hbk_proto_double_parse(text, &value) || value != floor(value) || fabs(value) > exact_max) {
        return false;
    }
    *out_number = (int64_t)value;
    return true;
}

static int base64_value(uint8_t byte)
{
    if (byte >= 'A' && byte <= 'Z') {
        return byte - 'A';
    }
    if (byte >= 'a' && byte <= 'z') {
        return byte - 'a' + 26;
    }
    if (byte >= '0' && byte <= '9') {
        return byte - '0' + 52;
    }
    return byte == '+' || byte == '-' ? 62 : byte == '/' || byte == '_' ? 63 : -1;
}

bool hbk_proto_base64_parse(struct hbk_slice text, struct hbk_span room,
                            struct hbk_slice *out_bytes)
{
    size_t used = 0;
    unsigned bits = 0;
    uint32_t held = 0;
    while (text.size > 0 && text.bytes[text.size - 1] == '=') {
        text.size--;
    }
    for (size_t i = 0; i < text.size; i++) {
        int value = base64_value(text.bytes[i]);
        if (value < 0) {
            return false;
        }
        held = held << 6 | (uint32_t)value;
        bits += 6;
        if (bits >= 8) {
            bits -= 8;
            room.bytes[used++] = (uint8_t)(held >> bits);
        }
    }
    room.bytes[used] = 0;
    *out_bytes = hbk_slice_of(room.bytes, used);
    return bits < 6;
}

static uint8_t to_upper(uint8_t byte)
{
    return (uint8_t)(byte >= 'a' && byte <= 'z' ? byte - 'a' + 'A' : byte);
}

struct hbk_slice hbk_proto_base64_print(struct hbk_slice bytes, struct hbk_span room)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    size_t used = 0;
    for (size_t i = 0; i < bytes.size; i += 3) {
        const size_t left = bytes.size - i;
        const uint32_t group = (uint32_t)bytes.bytes[i] << 16 |
                               (left > 1 ? (uint32_t)bytes.bytes[i + 1] << 8 : 0) |
                               (left > 2 ? bytes.bytes[i + 2] : 0u);
        for (unsigned k = 0; k < 4; k++) {
            room.bytes[used++] = (uint8_t)(k <= left ? digits[group >> (18 - 6 * k) & 63] : '=');
        }
    }
    return hbk_slice_of(room.bytes, used);
}

/* Words have small letters, too: TLSv1_3. */
bool hbk_proto_word_matches(const char *word, struct hbk_slice text)
{
    size_t i = 0;
    for (; word[i] != '\0' && i < text.size; i++) {
        uint8_t byte = text.bytes[i] == '-' ? '_' : text.bytes[i];
        if (to_upper(byte) != to_upper((uint8_t)word[i])) {
            return false;
        }
    }
    return word[i] == '\0' && i == text.size;
}

static struct hbk_slice last_part(struct hbk_slice name)
{
    for (size_t i = name.size; i > 0; i--) {
        if (name.bytes[i - 1] == '.') {
            return hbk_slice_part(name, i, name.size);
        }
    }
    return name;
}

const char *hbk_proto_nearest_type(struct hbk_slice name, const char *const *types)
{
    const char *words[HBK_PROTO_FIELDS_MAX + 1] = {NULL};
    for (size_t i = 0; types[i] != NULL && i < HBK_PROTO_FIELDS_MAX; i++) {
        words[i] = (const char *)last_part(hbk_slice_text(types[i])).bytes;
    }
    const char *nearest = hbk_nearest_word(last_part(name), words);
    for (size_t i = 0; nearest != NULL && types[i] != NULL; i++) {
        if (words[i] == nearest) {
            return types[i];
        }
    }
    return NULL;
}

/* Nanoseconds of "12.345", digits behind the ninth are dropped. */
static bool parse_decimal(struct hbk_slice text, uint64_t unit_ns, uint64_t *out_ns)
{
    size_t point = text.size;
    (void)hbk_slice_find(text, '.', &point);
    uint64_t whole = 0;
    if (!hbk_slice_to_u64(hbk_slice_part(text, 0, point), INT64_MAX / unit_ns, &whole)) {
        return false;
    }
    uint64_t result = whole * unit_ns;
    uint64_t scale = unit_ns;
    struct hbk_slice digits = hbk_slice_part(text, point + 1, text.size);
    if (point < text.size && digits.size == 0) {
        return false;
    }
    for (size_t i = 0; i < digits.size; i++) {
        if (digits.bytes[i] < '0' || digits.bytes[i] > '9') {
            return false;
        }
        scale /= 10;
        result += scale * (uint64_t)(digits.bytes[i] - '0');
    }
    if (result > INT64_MAX) {
        return false;
    }
    *out_ns = result;
    return true;
}

bool hbk_proto_duration_parse(struct hbk_slice text, bool is_lenient, uint64_t *out_ns)
{
    static const struct {
        const char *unit;
        uint64_t unit_ns;
        bool is_lenient;
    } units[] = {
        {"ms", HBK_NS_PER_MS, true},
        {"us", HBK_NS_PER_US, true},
        {"ns", 1, true},
        {"s", HBK_NS_PER_S, false},
        {"m", 60 * HBK_NS_PER_S, true},
        {"h", 3600 * HBK_NS_PER_S, true},
    };
    for (size_t i = 0; i < HBK_COUNT(units); i++) {
        struct hbk_slice unit = hbk_slice_text(units[i].unit);
        if ((is_lenient || !units[i].is_lenient) && hbk_slice_ends_with(text, unit)) {
            return parse_decimal(hbk_slice_part(text, 0, text.size - unit.size), units[i].unit_ns,
                                 out_ns);
        }
    }
    return false;
}
