/*
 * Blocks of header fields in: HPACK (RFC 7541) decoded piece by piece as frames arrive, each field
 * held against the rules of RFC 9113, 8.2 and 8.3. A block that breaks a rule, or that is too large
 * to keep, is still decoded to its end, since HPACK's table is shared by all streams; it then fails
 * its stream alone.
 */
#include "wire/http2_session.h"

#include <nghttp2/nghttp2.h>

enum {
    PSEUDO_METHOD = 1 << 0,
    PSEUDO_SCHEME = 1 << 1,
    PSEUDO_AUTHORITY = 1 << 2,
    PSEUDO_PATH = 1 << 3,
    PSEUDO_STATUS = 1 << 4,
};

/* The end of a field name's and the inside of a method's grammar: RFC 9110, 5.6.2, token. */
static bool is_token_byte(uint8_t byte)
{
    static const bool is_token[256] = {
        ['!'] = true,         ['#'] = true,         ['$'] = true, ['%'] = true,
        ['&'] = true,         ['\''] = true,        ['*'] = true, ['+'] = true,
        ['-'] = true,         ['.'] = true,         ['^'] = true, ['_'] = true,
        ['`'] = true,         ['|'] = true,         ['~'] = true, ['0' ... '9'] = true,
        ['a' ... 'z'] = true, ['A' ... 'Z'] = true,
    };
    return is_token[byte];
}

static bool is_token(struct hbk_slice text)
{
    for (size_t i = 0; i < text.size; i++) {
        if (!is_token_byte(text.bytes[i])) {
            return false;
        }
    }
    return text.size > 0;
}

/* RFC 9113, 8.2.1: names are tokens without upper case. */
static bool is_field_name(struct hbk_slice name)
{
    for (size_t i = 0; i < name.size; i++) {
        uint8_t byte = name.bytes[i];
        if (!is_token_byte(byte) || (byte >= 'A' && byte <= 'Z')) {
            return false;
        }
    }
    return name.size > 0;
}

/* RFC 9110, 5.5: no control characters but the tabulator, no blanks at either end. */
static bool is_field_value(struct hbk_slice value)
{
    for (size_t i = 0; i < value.size; i++) {
        uint8_t byte = value.bytes[i];
        if ((byte < ' ' && byte != '\t') || byte == 0x7f) {
            return false;
        }
    }
    return value.size == 0 ||
           (value.bytes[0] != ' ' && value.bytes[0] != '\t' && value.bytes[value.size - 1] != ' ' &&
            value.bytes[value.size - 1] != '\t');
}

/* A URI has visible ASCII only (RFC 3986, 2). In HTTP/1 behind us a blank would end the target of a
 * request line, and what follows would be the version, or more. */
static bool is_uri_text(struct hbk_slice text)
{
    for (size_t i = 0; i < text.size; i++) {
        if (text.bytes[i] <= ' ' || text.bytes[i] >= 0x7f) {
            return false;
        }
    }
    return text.size > 0;
}

/* RFC 9113, 8.2.2: fields that speak of a connection mean nothing here. */
static bool is_of_connection(struct hbk_slice name, struct hbk_slice value)
{
    static const char *const names[] = {"connection", "proxy-connection", "keep-alive",
                                        "transfer-encoding", "upgrade"};
    for (size_t i = 0; i < HBK_COUNT(names); i++) {
        if (hbk_slice_equal(name, hbk_slice_text(names[i]))) {
            return true;
        }
    }
    return hbk_slice_equal(name, HBK_SLICE("te")) && !hbk_slice_equal(value, HBK_SLICE("trailers"));
}

/* Copies into the block, whose list limit bounds the text as well. */
static struct hbk_slice keep(struct hbk_h2_block *block, struct hbk_slice slice)
{
    uint8_t *copy = block->text + block->text_bytes;
    if (slice.size > 0) {
        memcpy(copy, slice.bytes, slice.size);
    }
    block->text_bytes += slice.size;
    return hbk_slice_of(copy, slice.size);
}

static bool parse_status(struct hbk_slice value, uint32_t *out_status)
{
    uint64_t status = 0;
    if (value.size != 3 || !hbk_slice_to_u64(value, 999, &status) || status < 100) {
        return false;
    }
    *out_status = (uint32_t)status;
    return true;
}

/* False: not a pseudo field of this kind of block, or one that came before. */
static bool take_pseudo(struct hbk_h2_block *block, struct hbk_slice name, struct hbk_slice value)
{
    static const struct {
        struct hbk_slice name;
        uint8_t bit;
    } known[] = {
        {{(const uint8_t *)":method", 7}, PSEUDO_METHOD},
        {{(const uint8_t *)":scheme", 7}, PSEUDO_SCHEME},
        {{(const uint8_t *)":authority", 10}, PSEUDO_AUTHORITY},
        {{(const uint8_t *)":path", 5}, PSEUDO_PATH},
        {{(const uint8_t *)":status", 7}, PSEUDO_STATUS},
    };
    uint8_t bit = 0;
    for (size_t i = 0; i < HBK_COUNT(known) && bit == 0; i++) {
        bit = hbk_slice_equal(name, known[i].name) ? known[i].bit : 0;
    }
    uint8_t allowed = 0;
    if (block->kind == H2_BLOCK_REQUEST) {
        allowed = PSEUDO_METHOD | PSEUDO_SCHEME | PSEUDO_AUTHORITY | PSEUDO_PATH;
    } else if (block->kind == H2_BLOCK_RESPONSE) {
        allowed = PSEUDO_STATUS;
    }
    if (bit == 0 || (allowed & bit) == 0 || (block->pseudo & bit) != 0 || block->has_regular) {
        return false;
    }
    block->pseudo |= bit;

    struct hbk_h2_fields *fields = &block->fields;
    switch (bit) {
    case PSEUDO_METHOD:
        fields->method = keep(block, value);
        return is_token(value);
    case PSEUDO_SCHEME:
        fields->scheme = keep(block, value);
        return is_uri_text(value);
    case PSEUDO_AUTHORITY:
        fields->authority = keep(block, value);
        return is_uri_text(value);
    case PSEUDO_PATH:
        fields->path = keep(block, value);
        return is_uri_text(value) &&
               (value.bytes[0] == '/' || hbk_slice_equal(value, HBK_SLICE("*")));
    default:
        return parse_status(value, &fields->status);
    }
}

static bool take_regular(struct hbk_h2_block *block, struct hbk_slice name, struct hbk_slice value)
{
    block->has_regular = true;
    if (!is_field_name(name) || is_of_connection(name, value)) {
        return false;
    }
    struct hbk_h2_field *field = &block->fields.list[block->fields.count];
    field->name = keep(block, name);
    field->value = keep(block, value);
    field->is_volatile = false;
    block->fields.count++;
    return true;
}

static void take_field(struct hbk_h2_block *block, struct hbk_slice name, struct hbk_slice value)
{
    if (block->kind == H2_BLOCK_DROPPED || block->is_malformed || block->is_too_large) {
        return;
    }
    block->list_bytes += name.size + value.size + 32;
    if (block->list_bytes > HBK_H2_FIELD_LIST_BYTES_MAX ||
        block->fields.count == HBK_H2_FIELDS_MAX) {
        block->is_too_large = true;
        return;
    }
    bool is_pseudo = name.size > 0 && name.bytes[0] == ':';
    block->is_malformed = !is_field_value(value) || !(is_pseudo ? take_pseudo(block, name, value)
                                                                : take_regular(block, name, value));
}

/* What only the whole block can show: RFC 9113, 8.3.1, 8.3.2, 8.5 and 8.1. */
static bool is_complete(const struct hbk_h2_block *block)
{
    enum { ORDINARY = PSEUDO_METHOD | PSEUDO_SCHEME | PSEUDO_PATH };
    switch (block->kind) {
    case H2_BLOCK_REQUEST:
        if (hbk_slice_equal(block->fields.method, HBK_SLICE("CONNECT"))) {
            return block->pseudo == (PSEUDO_METHOD | PSEUDO_AUTHORITY);
        }
        return (block->pseudo & ORDINARY) == ORDINARY;
    case H2_BLOCK_RESPONSE:
        if (block->fields.status / 100 == 1) {
            return !block->is_last && block->fields.status != 101;
        }
        return block->pseudo == PSEUDO_STATUS;
    case H2_BLOCK_TRAILERS:
        return block->is_last;
    case H2_BLOCK_DROPPED:
        return true;
    }
    HBK_UNREACHABLE();
}

enum h2_step h2_block_add(struct hbk_h2_session *session, struct hbk_slice fragment, bool is_final)
{
    struct hbk_h2_block *block = session->block;
    block->block_bytes += fragment.size;
    if (block->block_bytes > HBK_H2_BLOCK_BYTES_MAX) {
        return h2_fail(session, HBK_H2_ENHANCE_YOUR_CALM, "a block of header fields is too long");
    }
    for (;;) {
        nghttp2_nv nv;
        int flags = 0;
        ssize_t used = nghttp2_hd_inflate_hd2(session->inflater, &nv, &flags, fragment.bytes,
                                              fragment.size, is_final);
        if (used == NGHTTP2_ERR_NOMEM) {
            return h2_fail(session, HBK_H2_INTERNAL_ERROR, "out of memory in HPACK");
        }
        if (used < 0) {
            return h2_fail(session, HBK_H2_COMPRESSION_ERROR, "HPACK: not decodable (RFC 7541)");
        }
        fragment = hbk_slice_part(fragment, (size_t)used, fragment.size);
        if ((flags & NGHTTP2_HD_INFLATE_EMIT) != 0) {
            take_field(block, hbk_slice_of(nv.name, nv.namelen),
                       hbk_slice_of(nv.value, nv.valuelen));
        }
        if ((flags & NGHTTP2_HD_INFLATE_FINAL) != 0) {
            nghttp2_hd_inflate_end_headers(session->inflater);
            block->is_malformed =
                block->is_malformed || (!block->is_too_large && !is_complete(block));
            return H2_STEP_ON;
        }
        if ((flags & NGHTTP2_HD_INFLATE_EMIT) == 0 && fragment.size == 0) {
            return H2_STEP_ON;
        }
    }
}

bool hbk_h2_find_field(const struct hbk_h2_fields *fields, struct hbk_slice name,
                       struct hbk_slice *out_value)
{
    for (size_t i = 0; i < fields->count; i++) {
        if (hbk_slice_equal(fields->list[i].name, name)) {
            *out_value = fields->list[i].value;
            return true;
        }
    }
    return false;
}
