/*
 * Bodies. Of a known length they are one number counted down; chunked ones (RFC 9112, 7.1) are
 * lines of foreign text between the parts, read byte by byte since a part is usually far longer:
 *
 *     SIZE -> (EXTENSION) -> SIZE_LF -> DATA -> DATA_CR -> DATA_LF -> SIZE ...
 *                                  `-> (size 0) TRAILER <-> TRAILER_LINE ... -> END_LF -> ended
 */
#include "base/assert.h"
#include "wire/http1.h"

enum phase {
    PHASE_SIZE = 0, /* as a head leaves it */
    PHASE_EXTENSION,
    PHASE_SIZE_LF,
    PHASE_DATA,
    PHASE_DATA_CR,
    PHASE_DATA_LF,
    PHASE_TRAILER, /* at the beginning of a line */
    PHASE_TRAILER_LINE,
    PHASE_TRAILER_LF,
    PHASE_END_LF,
    PHASE_ENDED,
};

enum { SIZE_DIGITS_MAX = 15 }; /* 2^60 - 1 bytes */

static bool hex_value(uint8_t byte, uint8_t *out_value)
{
    if (byte >= '0' && byte <= '9') {
        *out_value = (uint8_t)(byte - '0');
    } else if ((byte | 0x20) >= 'a' && (byte | 0x20) <= 'f') {
        *out_value = (uint8_t)((byte | 0x20) - 'a' + 10);
    } else {
        return false;
    }
    return true;
}

static bool is_line_text(uint8_t byte)
{
    return (byte >= ' ' && byte != 0x7f) || byte == '\t';
}

/* A byte of the line that tells a chunk's size. */
static bool take_size_byte(struct hbk_http1_body *body, uint8_t byte)
{
    uint8_t value = 0;
    if (body->phase == PHASE_SIZE && hex_value(byte, &value)) {
        body->left_bytes = body->left_bytes << 4 | value;
        return ++body->line_bytes <= SIZE_DIGITS_MAX;
    }
    if (body->line_bytes == 0) {
        return false;
    }
    if (byte == '\r') {
        body->phase = PHASE_SIZE_LF;
        return true;
    }
    /* An extension begins with a semicolon; the blanks before it that 7.1.1 calls bad are bad. */
    if (body->phase == PHASE_SIZE && byte != ';') {
        return false;
    }
    body->phase = PHASE_EXTENSION;
    return is_line_text(byte) && ++body->line_bytes <= HBK_HTTP1_CHUNK_LINE_BYTES_MAX;
}

/* Trailer fields (7.1.2) are read over, as RFC 9110, 6.5.1 allows. */
static bool take_trailer_byte(struct hbk_http1_body *body, uint8_t byte)
{
    if (byte == '\r') {
        body->phase = body->phase == PHASE_TRAILER ? PHASE_END_LF : PHASE_TRAILER_LF;
        return true;
    }
    body->phase = PHASE_TRAILER_LINE;
    return is_line_text(byte) && ++body->line_bytes <= HBK_HTTP1_TRAILER_BYTES_MAX;
}

static bool take_line_feed(struct hbk_http1_body *body, uint8_t byte, enum phase next)
{
    body->phase = (uint8_t)next;
    return byte == '\n';
}

/* One byte that is not content; false when it may not be there. */
static bool take_byte(struct hbk_http1_body *body, uint8_t byte)
{
    switch ((enum phase)body->phase) {
    case PHASE_SIZE:
    case PHASE_EXTENSION:
        return take_size_byte(body, byte);
    case PHASE_SIZE_LF:
        body->line_bytes = 0;
        return take_line_feed(body, byte, body->left_bytes > 0 ? PHASE_DATA : PHASE_TRAILER);
    case PHASE_DATA_CR:
        body->phase = PHASE_DATA_LF;
        return byte == '\r';
    case PHASE_DATA_LF:
        return take_line_feed(body, byte, PHASE_SIZE);
    case PHASE_TRAILER:
    case PHASE_TRAILER_LINE:
        return take_trailer_byte(body, byte);
    case PHASE_TRAILER_LF:
        return take_line_feed(body, byte, PHASE_TRAILER);
    case PHASE_END_LF:
        return take_line_feed(body, byte, PHASE_ENDED);
    case PHASE_DATA:
    case PHASE_ENDED:
        break;
    }
    HBK_UNREACHABLE();
}

static struct hbk_slice take_front(struct hbk_slice *input, uint64_t size_max)
{
    size_t size = input->size < size_max ? input->size : (size_t)size_max;
    struct hbk_slice front = hbk_slice_of(input->bytes, size);
    *input = hbk_slice_of(input->bytes + size, input->size - size);
    return front;
}

static enum hbk_http1_body_answer read_chunked(struct hbk_http1_body *body, struct hbk_slice *input,
                                               struct hbk_slice *out_data)
{
    while (body->phase != PHASE_ENDED) {
        if (input->size == 0) {
            return HBK_HTTP1_BODY_NEED_MORE;
        }
        if (body->phase == PHASE_DATA) {
            *out_data = take_front(input, body->left_bytes);
            body->left_bytes -= out_data->size;
            body->phase = body->left_bytes > 0 ? PHASE_DATA : PHASE_DATA_CR;
            return HBK_HTTP1_BODY_DATA;
        }
        if (!take_byte(body, take_front(input, 1).bytes[0])) {
            return HBK_HTTP1_BODY_INVALID;
        }
    }
    return HBK_HTTP1_BODY_END;
}

enum hbk_http1_body_answer hbk_http1_read_body(struct hbk_http1_body *body, struct hbk_slice *input,
                                               struct hbk_slice *out_data)
{
    switch ((enum hbk_http1_body_kind)body->kind) {
    case HBK_HTTP1_NO_BODY:
        return HBK_HTTP1_BODY_END;
    case HBK_HTTP1_LENGTH:
        if (body->left_bytes == 0) {
            return HBK_HTTP1_BODY_END;
        }
        if (input->size == 0) {
            return HBK_HTTP1_BODY_NEED_MORE;
        }
        *out_data = take_front(input, body->left_bytes);
        body->left_bytes -= out_data->size;
        return HBK_HTTP1_BODY_DATA;
    case HBK_HTTP1_CHUNKED:
        return read_chunked(body, input, out_data);
    case HBK_HTTP1_UNTIL_CLOSE:
        if (input->size == 0) {
            return HBK_HTTP1_BODY_NEED_MORE;
        }
        *out_data = take_front(input, UINT64_MAX);
        return HBK_HTTP1_BODY_DATA;
    }
    HBK_UNREACHABLE();
}

hbk_status hbk_http1_write_chunk(struct hbk_buffer *out, struct hbk_slice data, bool is_last)
{
    if (data.size > 0) {
        HBK_TRY(hbk_buffer_print(out, "%zx\r\n", data.size));
        HBK_TRY(hbk_buffer_append(out, data));
        HBK_TRY(hbk_buffer_append(out, HBK_SLICE("\r\n")));
    }
    return is_last ? hbk_buffer_append(out, HBK_SLICE("0\r\n\r\n")) : HBK_OK;
}
