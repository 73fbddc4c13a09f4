/*
 * Heads. One pass over the bytes: a table decides what may be in a name, eight bytes at a time are
 * looked through in a value. A head that is not there in full costs one more look for its end each
 * time bytes arrive, from where the last look stopped, and is parsed once.
 */
#include "wire/http1.h"

#include "base/assert.h"

/* RFC 9110, 5.6.2. */
static const bool is_token_byte[256] = {
    ['!'] = true,         ['#'] = true,         ['$'] = true,         ['%'] = true, ['&'] = true,
    ['\''] = true,        ['*'] = true,         ['+'] = true,         ['-'] = true, ['.'] = true,
    ['^'] = true,         ['_'] = true,         ['`'] = true,         ['|'] = true, ['~'] = true,
    ['0' ... '9'] = true, ['a' ... 'z'] = true, ['A' ... 'Z'] = true,
};

/* A position in the head. Every read looks at `end` first. */
struct scan {
    const uint8_t *at;
    const uint8_t *end;
};

/* What the fields say about the message as a whole. */
struct meaning {
    bool has_length, is_chunked, has_coding, has_host;
    bool says_close, says_keep_alive, says_upgrade, expects_continue;
    uint64_t length;
    struct hbk_slice host;
};

static enum hbk_http1_answer fault(struct hbk_http1_reader *reader, uint16_t status,
                                   const char *text)
{
    reader->fault_status = status;
    reader->fault_text = text;
    return HBK_HTTP1_INVALID;
}

static inline bool take(struct scan *scan, uint8_t byte)
{
    if (scan->at == scan->end || *scan->at != byte) {
        return false;
    }
    scan->at++;
    return true;
}

static inline bool take_line_end(struct scan *scan)
{
    return take(scan, '\r') && take(scan, '\n');
}

static inline struct hbk_slice take_token(struct scan *scan)
{
    const uint8_t *start = scan->at;
    while (scan->at < scan->end && is_token_byte[*scan->at]) {
        scan->at++;
    }
    return hbk_slice_of(start, (size_t)(scan->at - start));
}

/* Bytes below ' ' and 0x7f in a word of eight get their high bit set; others may not. */
static inline uint64_t controls_in(uint64_t word)
{
    const uint64_t ones = UINT64_C(0x0101010101010101);
    const uint64_t highs = UINT64_C(0x8080808080808080);
    uint64_t deletes = word ^ ones * 0x7f;
    return ((word - ones * ' ') & ~word & highs) | ((deletes - ones) & ~deletes & highs);
}

/* Text up to the next control character but the tabulator. */
static inline struct hbk_slice take_text(struct scan *scan)
{
    const uint8_t *at = scan->at;
    for (;;) {
        uint64_t word;
        while ((size_t)(scan->end - at) >= sizeof(word)) {
            memcpy(&word, at, sizeof(word));
            if (controls_in(word) != 0) {
                break;
            }
            at += sizeof(word);
        }
        while (at < scan->end && *at >= ' ' && *at != 0x7f) {
            at++;
        }
        if (at == scan->end || *at != '\t') {
            break;
        }
        at++;
    }
    struct hbk_slice text = hbk_slice_of(scan->at, (size_t)(at - scan->at));
    scan->at = at;
    return text;
}

static inline bool is_blank(uint8_t byte)
{
    return byte == ' ' || byte == '\t';
}

static struct hbk_slice trim(struct hbk_slice text)
{
    while (text.size > 0 && is_blank(text.bytes[0])) {
        text = hbk_slice_of(text.bytes + 1, text.size - 1);
    }
    while (text.size > 0 && is_blank(text.bytes[text.size - 1])) {
        text.size--;
    }
    return text;
}

/* "HTTP/1.1"; the caller answers 505 for the major versions that we do not speak. */
static bool take_version(struct scan *scan, uint8_t *out_major, uint8_t *out_minor)
{
    enum { VERSION_BYTES = 8 };
    const uint8_t *at = scan->at;
    if (scan->end - at < VERSION_BYTES || memcmp(at, "HTTP/", 5) != 0 || at[6] != '.' ||
        at[5] < '0' || at[5] > '9' || at[7] < '0' || at[7] > '9') {
        return false;
    }
    *out_major = (uint8_t)(at[5] - '0');
    *out_minor = at[7] == '0' ? 0 : 1;
    scan->at += VERSION_BYTES;
    return true;
}

/* RFC 9110, 7.6.1: a list of options of which three concern us. */
static void read_connection(struct meaning *meaning, struct hbk_slice list)
{
    while (list.size > 0) {
        size_t size = list.size;
        size_t next = list.size;
        if (hbk_slice_find(list, ',', &size)) {
            next = size + 1;
        }
        struct hbk_slice option = trim(hbk_slice_part(list, 0, size));
        meaning->says_close |= hbk_slice_equal_nocase(option, HBK_SLICE("close"));
        meaning->says_keep_alive |= hbk_slice_equal_nocase(option, HBK_SLICE("keep-alive"));
        meaning->says_upgrade |= hbk_slice_equal_nocase(option, HBK_SLICE("upgrade"));
        list = hbk_slice_part(list, next, list.size);
    }
}

/* NULL, or what is wrong with a field that decides where the message ends. */
static const char *read_framing(struct meaning *meaning, const struct hbk_http1_field *field)
{
    if (field->name.size == sizeof("content-length") - 1) {
        if (meaning->has_length) {
            return "more than one Content-Length";
        }
        meaning->has_length = true;
        return hbk_slice_to_u64(field->value, INT64_MAX, &meaning->length)
                   ? NULL
                   : "Content-Length is not a number";
    }
    if (meaning->has_coding) {
        return "more than one Transfer-Encoding";
    }
    meaning->has_coding = true;
    meaning->is_chunked = hbk_slice_equal_nocase(field->value, HBK_SLICE("chunked"));
    return NULL;
}

static inline bool is_named(const struct hbk_http1_field *field, struct hbk_slice name)
{
    return hbk_slice_equal_nocase(field->name, name);
}

/* NULL, or what is wrong with the field. The length of a name tells most of them apart. */
static const char *read_meaning(struct meaning *meaning, const struct hbk_http1_field *field)
{
    switch (field->name.size) {
    case sizeof("host") - 1:
        if (!is_named(field, HBK_SLICE("host"))) {
            return NULL;
        }
        if (meaning->has_host) {
            return "more than one Host";
        }
        meaning->has_host = true;
        meaning->host = field->value;
        return NULL;
    case sizeof("expect") - 1:
        if (is_named(field, HBK_SLICE("expect"))) {
            meaning->expects_continue |=
                hbk_slice_equal_nocase(field->value, HBK_SLICE("100-continue"));
        }
        return NULL;
    case sizeof("connection") - 1:
        if (is_named(field, HBK_SLICE("connection"))) {
            read_connection(meaning, field->value);
        }
        return NULL;
    case sizeof("content-length") - 1:
        return is_named(field, HBK_SLICE("content-length")) ? read_framing(meaning, field) : NULL;
    case sizeof("transfer-encoding") - 1:
        return is_named(field, HBK_SLICE("transfer-encoding")) ? read_framing(meaning, field)
                                                               : NULL;
    default:
        return NULL;
    }
}

/* RFC 9112, 5: field lines and the empty line behind them. READY, or a fault. */
static enum hbk_http1_answer take_fields(struct hbk_http1_reader *reader, struct scan *scan,
                                         struct hbk_http1_field *fields, size_t *out_count,
                                         struct meaning *meaning)
{
    size_t count = 0;
    while (!take(scan, '\r')) {
        if (count == HBK_HTTP1_FIELDS_MAX) {
            return fault(reader, 431, "more than 100 header fields");
        }
        struct hbk_http1_field *field = &fields[count++];
        field->name = take_token(scan);
        if (field->name.size == 0 || !take(scan, ':')) {
            return fault(reader, 400, "a header field has no proper name");
        }
        field->value = trim(take_text(scan));
        if (!take_line_end(scan)) {
            return fault(reader, 400, "a header field has a control character");
        }
        const char *wrong = read_meaning(meaning, field);
        if (wrong != NULL) {
            return fault(reader, 400, wrong);
        }
    }
    *out_count = count;
    return take(scan, '\n') ? HBK_HTTP1_READY : fault(reader, 400, "a line ends without CR and LF");
}

/* Whether a line among the bytes from `start` ends without CR. Its sender may be done: such a head
 * never has the end that we wait for. */
static bool has_bare_line_feed(struct hbk_slice input, size_t start)
{
    struct hbk_slice left = hbk_slice_part(input, start, input.size);
    size_t at = 0;
    while (hbk_slice_find(left, '\n', &at)) {
        const uint8_t *byte = left.bytes + at;
        if (byte == input.bytes || byte[-1] != '\r') {
            return true;
        }
        left = hbk_slice_part(left, at + 1, left.size);
    }
    return false;
}

/*
 * Finds the end of the head behind what earlier calls have seen. NEED_MORE or INVALID (too long, or
 * lines without CR) without one; else READY and the scan covers exactly the head.
 */
static enum hbk_http1_answer find_head(struct hbk_http1_reader *reader, struct hbk_slice input,
                                       struct scan *out_scan)
{
    static const char head_end[] = "\r\n\r\n";
    enum { END_BYTES = sizeof(head_end) - 1 };
    size_t seen = reader->seen_bytes < input.size ? reader->seen_bytes : input.size;
    size_t start = seen < END_BYTES ? 0 : seen - (END_BYTES - 1);
    size_t size_max =
        reader->head_bytes_max == 0 ? HBK_HTTP1_HEAD_BYTES_MAX : reader->head_bytes_max;
    size_t limit = input.size < size_max ? input.size : size_max;
    const uint8_t *found =
        start >= limit ? NULL : memmem(input.bytes + start, limit - start, head_end, END_BYTES);
    if (found == NULL) {
        reader->seen_bytes = input.size;
        if (input.size >= size_max) {
            return fault(reader, 431, "the head is longer than allowed");
        }
        return has_bare_line_feed(input, seen) ? fault(reader, 400, "a line ends without CR and LF")
                                               : HBK_HTTP1_NEED_MORE;
    }
    *out_scan = (struct scan){.at = input.bytes, .end = found + END_BYTES};
    return HBK_HTTP1_READY;
}

/* Whether the connection outlives the message (RFC 9112, 9.3). */
static bool keeps_alive(const struct meaning *meaning, uint8_t minor_version)
{
    return !meaning->says_close && (minor_version >= 1 || meaning->says_keep_alive);
}

/* RFC 9112, 6.3, as strict as it allows. READY, or a fault. */
static enum hbk_http1_answer frame_body(struct hbk_http1_reader *reader,
                                        const struct meaning *meaning, uint8_t minor_version,
                                        enum hbk_http1_body_kind without_length,
                                        struct hbk_http1_body *out_body)
{
    *out_body = (struct hbk_http1_body){.kind = (uint8_t)without_length};
    if (meaning->has_coding) {
        if (meaning->has_length) {
            return fault(reader, 400, "both Content-Length and Transfer-Encoding");
        }
        if (minor_version == 0) {
            return fault(reader, 400, "Transfer-Encoding in HTTP/1.0");
        }
        if (!meaning->is_chunked) {
            return fault(reader, 501, "a Transfer-Encoding other than chunked");
        }
        out_body->kind = HBK_HTTP1_CHUNKED;
    } else if (meaning->has_length) {
        out_body->kind = meaning->length > 0 ? HBK_HTTP1_LENGTH : HBK_HTTP1_NO_BODY;
        out_body->left_bytes = meaning->length;
    }
    return HBK_HTTP1_READY;
}

/* RFC 9112, 3: method, target and version. */
static enum hbk_http1_answer take_request_line(struct hbk_http1_reader *reader, struct scan *scan,
                                               struct hbk_http1_request *request)
{
    request->method = take_token(scan);
    if (request->method.size == 0 || !take(scan, ' ')) {
        return fault(reader, 400, "the request line has no method");
    }
    const uint8_t *target = scan->at;
    while (scan->at<scan->end && * scan->at> ' ' && *scan->at < 0x7f) {
        scan->at++;
    }
    request->target = hbk_slice_of(target, (size_t)(scan->at - target));
    if (request->target.size > HBK_HTTP1_TARGET_BYTES_MAX) {
        return fault(reader, 414, "the request target is longer than 8192 bytes");
    }
    uint8_t major = 0;
    if (request->target.size == 0 || !take(scan, ' ') ||
        !take_version(scan, &major, &request->minor_version) || !take_line_end(scan)) {
        return fault(reader, 400, "the request line is not \"METHOD TARGET HTTP/1.1\"");
    }
    return major == 1 ? HBK_HTTP1_READY : fault(reader, 505, "not a version of HTTP/1");
}

enum hbk_http1_answer hbk_http1_read_request(struct hbk_http1_reader *reader,
                                             struct hbk_slice input,
                                             struct hbk_http1_request *out_request)
{
    /* An empty line in front is left over from the request before (RFC 9112, 2.2). */
    size_t skipped = 0;
    if (input.size >= 2 && input.bytes[0] == '\r' && input.bytes[1] == '\n') {
        skipped = 2;
        input = hbk_slice_of(input.bytes + 2, input.size - 2);
    }
    struct scan scan;
    struct meaning meaning = {0};
    enum hbk_http1_answer answer = find_head(reader, input, &scan);
    if (answer == HBK_HTTP1_READY) {
        answer = take_request_line(reader, &scan, out_request);
    }
    if (answer == HBK_HTTP1_READY) {
        answer =
            take_fields(reader, &scan, out_request->fields, &out_request->field_count, &meaning);
    }
    if (answer != HBK_HTTP1_READY) {
        return answer;
    }
    if (!meaning.has_host && out_request->minor_version >= 1) {
        return fault(reader, 400, "HTTP/1.1 without Host");
    }
    out_request->host = meaning.host;
    out_request->expects_continue = meaning.expects_continue;
    out_request->names_upgrade = meaning.says_upgrade;
    out_request->is_keep_alive = keeps_alive(&meaning, out_request->minor_version);
    out_request->head_bytes = skipped + (size_t)(scan.at - input.bytes);
    return frame_body(reader, &meaning, out_request->minor_version, HBK_HTTP1_NO_BODY,
                      &out_request->body);
}

/* RFC 9112, 4: version, status and a text that nobody needs. */
static enum hbk_http1_answer take_status_line(struct hbk_http1_reader *reader, struct scan *scan,
                                              struct hbk_http1_response *response)
{
    uint8_t major = 0;
    uint64_t status = 0;
    if (!take_version(scan, &major, &response->minor_version) || major != 1 || !take(scan, ' ')) {
        return fault(reader, 502, "the status line is not \"HTTP/1.1 STATUS TEXT\"");
    }
    enum { STATUS_BYTES = 3 };
    if (scan->end - scan->at < STATUS_BYTES ||
        !hbk_slice_to_u64(hbk_slice_of(scan->at, STATUS_BYTES), 999, &status) || status < 100) {
        return fault(reader, 502, "the status is not a number of three digits");
    }
    scan->at += STATUS_BYTES;
    response->status = (uint16_t)status;
    response->reason = take(scan, ' ') ? take_text(scan) : hbk_slice_of(scan->at, 0);
    return take_line_end(scan) ? HBK_HTTP1_READY
                               : fault(reader, 502, "the status line has a control character");
}

enum hbk_http1_answer hbk_http1_read_response(struct hbk_http1_reader *reader,
                                              struct hbk_slice input, bool is_to_head,
                                              struct hbk_http1_response *out_response)
{
    struct scan scan;
    struct meaning meaning = {0};
    enum hbk_http1_answer answer = find_head(reader, input, &scan);
    if (answer == HBK_HTTP1_READY) {
        answer = take_status_line(reader, &scan, out_response);
    }
    if (answer == HBK_HTTP1_READY) {
        answer =
            take_fields(reader, &scan, out_response->fields, &out_response->field_count, &meaning);
    }
    if (answer == HBK_HTTP1_READY) {
        answer = frame_body(reader, &meaning, out_response->minor_version, HBK_HTTP1_UNTIL_CLOSE,
                            &out_response->body);
    }
    if (answer != HBK_HTTP1_READY) {
        return answer;
    }
    uint16_t status = out_response->status;
    if (is_to_head || status < 200 || status == 204 || status == 304) {
        out_response->body = (struct hbk_http1_body){.kind = HBK_HTTP1_NO_BODY};
    }
    out_response->is_keep_alive = keeps_alive(&meaning, out_response->minor_version) &&
                                  out_response->body.kind != HBK_HTTP1_UNTIL_CLOSE;
    out_response->head_bytes = (size_t)(scan.at - input.bytes);
    return HBK_HTTP1_READY;
}

bool hbk_http1_find_field(const struct hbk_http1_field *fields, size_t count, struct hbk_slice name,
                          struct hbk_slice *out_value)
{
    for (size_t i = 0; i < count; i++) {
        if (hbk_slice_equal_nocase(fields[i].name, name)) {
            *out_value = fields[i].value;
            return true;
        }
    }
    return false;
}
