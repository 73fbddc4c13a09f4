#include "load/echo_wish.h"

#include <inttypes.h>
#include <stdio.h>

#include "load/plan.h"
#include "load/quantity.h"
#include "load/schedule.h"

enum { STATUS_MIN = 200, STATUS_MAX = 599, STATUS_OK = 200, QUOTED_BYTES_MAX = 64 };

static const char *const allowed[] = {
    [HBK_ECHO_DELAY] = "a time such as 200ms, at most 1h, or times with percents: 10ms:50,1s:5",
    [HBK_ECHO_STATUS] = "a status from 200 to 599, or statuses with percents such as 503:10,429:5",
    [HBK_ECHO_CLOSE] = "true, false or a percent",
};

/* A short, printable copy for messages. */
static const char *quoted(struct hbk_slice text, char out_text[static QUOTED_BYTES_MAX])
{
    size_t size = 0;
    for (size_t i = 0; i < text.size && size + 1 < QUOTED_BYTES_MAX; i++) {
        bool is_plain = text.bytes[i] > ' ' && text.bytes[i] < 0x7f;
        out_text[size++] = is_plain ? (char)text.bytes[i] : '?';
    }
    out_text[size] = '\0';
    return out_text;
}

static hbk_status refuse(struct hbk_slice text, enum hbk_echo_kind kind, struct hbk_error *error)
{
    char copy[QUOTED_BYTES_MAX];
    return hbk_error_set(error, HBK_INVALID, "\"%s\": %s is allowed", quoted(text, copy),
                         allowed[kind]);
}

static bool read_value(struct hbk_slice text, enum hbk_echo_kind kind, uint64_t *out_value)
{
    switch (kind) {
    case HBK_ECHO_DELAY:
        return hbk_load_duration_parse(text, out_value) && *out_value <= HBK_ECHO_DELAY_NS_MAX;
    case HBK_ECHO_STATUS:
        return hbk_slice_to_u64(text, STATUS_MAX, out_value) && *out_value >= STATUS_MIN;
    case HBK_ECHO_CLOSE:
        break;
    }
    *out_value = 1;
    return hbk_slice_equal(text, HBK_SLICE("true"));
}

/* "VALUE:PERCENT", or "VALUE" alone for all requests. A close is its percent. */
static bool read_part(struct hbk_slice part, enum hbk_echo_kind kind, bool is_only,
                      uint64_t *out_value, double *out_percent)
{
    size_t colon;
    if (kind == HBK_ECHO_CLOSE && hbk_load_number_parse(part, 100, out_percent) == HBK_OK) {
        *out_value = 1;
        return true;
    }
    if (hbk_slice_find(part, ':', &colon)) {
        return read_value(hbk_slice_part(part, 0, colon), kind, out_value) &&
               hbk_load_number_parse(hbk_slice_part(part, colon + 1, part.size), 100,
                                     out_percent) == HBK_OK;
    }
    *out_percent = 100;
    return is_only && read_value(part, kind, out_value);
}

hbk_status hbk_echo_mix_parse(struct hbk_slice text, enum hbk_echo_kind kind,
                              struct hbk_echo_mix *out_mix, struct hbk_error *error)
{
    struct hbk_echo_mix mix = {0};
    struct hbk_slice rest = text;
    double sum = 0;
    if (kind == HBK_ECHO_CLOSE && hbk_slice_equal(text, HBK_SLICE("false"))) {
        *out_mix = mix;
        return HBK_OK;
    }
    for (bool is_last = false; !is_last; mix.count++) {
        size_t comma = rest.size;
        double percent = 0;
        is_last = !hbk_slice_find(rest, ',', &comma);
        struct hbk_slice part = hbk_slice_part(rest, 0, comma);
        rest = hbk_slice_part(rest, comma + 1, rest.size);
        if (mix.count == HBK_ECHO_MIX_MAX ||
            !read_part(part, kind, is_last && mix.count == 0, &mix.values[mix.count], &percent)) {
            return refuse(text, kind, error);
        }
        sum += percent;
        mix.up_to[mix.count] = sum / 100;
    }
    if (sum > 100 + 1e-9) {
        return refuse(text, kind, error);
    }
    *out_mix = mix;
    return HBK_OK;
}

bool hbk_echo_mix_draw(const struct hbk_echo_mix *mix, double random, uint64_t *out_value)
{
    for (unsigned i = 0; i < mix->count; i++) {
        if (random <= mix->up_to[i]) {
            *out_value = mix->values[i];
            return true;
        }
    }
    return false;
}

hbk_status hbk_echo_header_add(struct hbk_slice text, struct hbk_buffer *headers,
                               struct hbk_error *error)
{
    struct hbk_load_plan plan = {0}; /* whose rules for headers are ours */
    if (hbk_load_plan_add_header(&plan, text, NULL) != HBK_OK) {
        char copy[QUOTED_BYTES_MAX];
        return hbk_error_set(error, HBK_INVALID,
                             "header \"%s\": \"Name: value\" without control characters, and none "
                             "that frames the body, is allowed",
                             quoted(text, copy));
    }
    hbk_status status = hbk_buffer_print(headers, "%.*s\r\n", HBK_SLICE_ARGS(text));
    return status == HBK_OK
               ? HBK_OK
               : hbk_error_set(error, status, "headers of more than %d bytes are not sent",
                               HBK_ECHO_HEADERS_BYTES_MAX);
}

/* ---- the query ---- */

static int hex_value(uint8_t byte)
{
    return byte >= '0' && byte <= '9'   ? byte - '0'
           : byte >= 'a' && byte <= 'f' ? byte - 'a' + 10
           : byte >= 'A' && byte <= 'F' ? byte - 'A' + 10
                                        : -1;
}

/* Undoes percent-encoding and "+"; false for what is none, or too long. */
static bool decode(struct hbk_slice text, char *out_text, size_t bytes_max, size_t *out_size)
{
    size_t size = 0;
    for (size_t i = 0; i < text.size; i++) {
        uint8_t byte = text.bytes[i] == '+' ? ' ' : text.bytes[i];
        if (byte == '%') {
            int high = i + 2 < text.size ? hex_value(text.bytes[i + 1]) : -1;
            int low = high >= 0 ? hex_value(text.bytes[i + 2]) : -1;
            if (low < 0) {
                return false;
            }
            byte = (uint8_t)(high * 16 + low);
            i += 2;
        }
        if (size == bytes_max) {
            return false;
        }
        out_text[size++] = (char)byte;
    }
    *out_size = size;
    return true;
}

/* The mixes of one request: the defaults, or what its query says instead. */
struct reading {
    struct hbk_echo_mix delay, status, close;
    struct hbk_echo_wish *wish;
    struct hbk_buffer *headers;
    struct hbk_error *error;
};

static hbk_status read_argument(struct reading *reading, struct hbk_slice name,
                                struct hbk_slice value)
{
    if (hbk_slice_equal(name, HBK_SLICE("delay"))) {
        return hbk_echo_mix_parse(value, HBK_ECHO_DELAY, &reading->delay, reading->error);
    }
    if (hbk_slice_equal(name, HBK_SLICE("status"))) {
        return hbk_echo_mix_parse(value, HBK_ECHO_STATUS, &reading->status, reading->error);
    }
    if (hbk_slice_equal(name, HBK_SLICE("close"))) {
        return hbk_echo_mix_parse(value, HBK_ECHO_CLOSE, &reading->close, reading->error);
    }
    if (hbk_slice_equal(name, HBK_SLICE("size"))) {
        char copy[QUOTED_BYTES_MAX];
        reading->wish->has_size = true;
        return hbk_slice_to_u64(value, HBK_ECHO_SIZE_BYTES_MAX, &reading->wish->size_bytes)
                   ? HBK_OK
                   : hbk_error_set(reading->error, HBK_INVALID,
                                   "\"%s\": 0 to %" PRIu64 " bytes are allowed",
                                   quoted(value, copy), HBK_ECHO_SIZE_BYTES_MAX);
    }
    if (hbk_slice_equal(name, HBK_SLICE("header"))) {
        return hbk_echo_header_add(value, reading->headers, reading->error);
    }
    return HBK_OK;
}

static hbk_status read_query(struct reading *reading, struct hbk_slice query)
{
    char text[HBK_ECHO_HEADERS_BYTES_MAX];
    while (query.size > 0) {
        size_t end = query.size, equals, size = 0;
        (void)hbk_slice_find(query, '&', &end);
        struct hbk_slice part = hbk_slice_part(query, 0, end);
        query = hbk_slice_part(query, end + 1, query.size);
        equals = part.size;
        (void)hbk_slice_find(part, '=', &equals);
        struct hbk_slice value = hbk_slice_part(part, equals + 1, part.size);
        if (!decode(value, text, sizeof text, &size)) {
            return hbk_error_set(reading->error, HBK_INVALID,
                                 "the query has a \"%%\" without two hexadecimal digits, or is too "
                                 "long");
        }
        hbk_status status =
            read_argument(reading, hbk_slice_part(part, 0, equals), hbk_slice_of(text, size));
        if (status != HBK_OK) {
            char name[QUOTED_BYTES_MAX];
            hbk_error_prefix(reading->error, "%s", quoted(hbk_slice_part(part, 0, equals), name));
            return status;
        }
    }
    return HBK_OK;
}

hbk_status hbk_echo_wish_read(struct hbk_slice target, const struct hbk_echo_defaults *defaults,
                              uint64_t *random, struct hbk_echo_wish *out_wish,
                              struct hbk_buffer *headers, struct hbk_error *error)
{
    struct hbk_echo_wish wish = {.status = STATUS_OK};
    struct reading reading = {
        .delay = defaults->delay,
        .status = defaults->status,
        .close = defaults->close,
        .wish = &wish,
        .headers = headers,
        .error = error,
    };
    size_t mark;
    uint64_t status = STATUS_OK, closes = 0;
    if (hbk_slice_find(target, '?', &mark)) {
        HBK_TRY(read_query(&reading, hbk_slice_part(target, mark + 1, target.size)));
    }
    (void)hbk_echo_mix_draw(&reading.delay, hbk_schedule_random(random), &wish.delay_ns);
    (void)hbk_echo_mix_draw(&reading.status, hbk_schedule_random(random), &status);
    wish.status = (unsigned)status;
    wish.closes = hbk_echo_mix_draw(&reading.close, hbk_schedule_random(random), &closes);
    *out_wish = wish;
    return HBK_OK;
}
