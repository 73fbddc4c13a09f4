#include "wire/proxy_protocol.h"

#include "base/cursor.h"

enum { V2_VERSION = 2, V2_LOCAL = 0, V2_PROXY = 1, V2_TCP4 = 0x11, V2_TCP6 = 0x21 };

static const uint8_t v2_signature[12] = {0x0d, 0x0a, 0x0d, 0x0a, 0x00, 0x0d,
                                         0x0a, 0x51, 0x55, 0x49, 0x54, 0x0a};

static bool begins_as(struct hbk_slice input, struct hbk_slice beginning)
{
    size_t size = input.size < beginning.size ? input.size : beginning.size;
    return size == 0 || memcmp(input.bytes, beginning.bytes, size) == 0;
}

/* ---- version 1: a line of text ---- */

static struct hbk_slice take_word(struct hbk_slice *line)
{
    size_t end = line->size;
    (void)hbk_slice_find(*line, ' ', &end);
    struct hbk_slice word = hbk_slice_part(*line, 0, end);
    *line = hbk_slice_part(*line, end + 1, line->size);
    return word;
}

static bool read_port(struct hbk_slice text, uint16_t *out_port)
{
    uint64_t port = 0;
    bool has_zero = text.size > 1 && text.bytes[0] == '0';
    if (has_zero || !hbk_slice_to_u64(text, 65535, &port)) {
        return false;
    }
    *out_port = (uint16_t)port;
    return true;
}

static bool read_line(struct hbk_slice line, struct hbk_proxy_header *header)
{
    (void)take_word(&line); /* PROXY */
    struct hbk_slice family = take_word(&line);
    if (hbk_slice_equal(family, HBK_SLICE("UNKNOWN"))) {
        return true;
    }
    size_t size = hbk_slice_equal(family, HBK_SLICE("TCP4"))   ? 4
                  : hbk_slice_equal(family, HBK_SLICE("TCP6")) ? 16
                                                               : 0;
    bool is_good = size > 0 && hbk_ip_parse(take_word(&line), &header->source.ip) &&
                   hbk_ip_parse(take_word(&line), &header->destination.ip) &&
                   read_port(take_word(&line), &header->source.port) &&
                   read_port(take_word(&line), &header->destination.port) && line.size == 0;
    /* An IPv6 address may be a mapped one, which is IPv4 to us. */
    header->is_known =
        is_good &&
        (size == 16 || (header->source.ip.size == 4 && header->destination.ip.size == 4));
    return header->is_known;
}

static enum hbk_proxy_answer read_v1(struct hbk_slice input, struct hbk_proxy_header *out_header)
{
    struct hbk_proxy_header header = {0};
    size_t limit = input.size < HBK_PROXY_V1_BYTES_MAX ? input.size : HBK_PROXY_V1_BYTES_MAX;
    const uint8_t *end = memmem(input.bytes, limit, "\r\n", 2);
    if (end == NULL) {
        return input.size >= HBK_PROXY_V1_BYTES_MAX ? HBK_PROXY_INVALID : HBK_PROXY_NEED_MORE;
    }
    size_t size = (size_t)(end - input.bytes);
    if (!read_line(hbk_slice_part(input, 0, size), &header)) {
        return HBK_PROXY_INVALID;
    }
    header.size_bytes = size + 2;
    *out_header = header;
    return HBK_PROXY_DONE;
}

/* ---- version 2: binary ---- */

static bool take_addresses(struct hbk_cursor *body, size_t size, struct hbk_proxy_header *header)
{
    bool is_good = hbk_ip_from_bytes(hbk_cursor_take(body, size), &header->source.ip) &&
                   hbk_ip_from_bytes(hbk_cursor_take(body, size), &header->destination.ip);
    header->source.port = (uint16_t)hbk_cursor_number(body, 2);
    header->destination.port = (uint16_t)hbk_cursor_number(body, 2);
    header->is_known = is_good && !body->has_failed;
    return header->is_known;
}

static enum hbk_proxy_answer read_v2(struct hbk_slice input, struct hbk_proxy_header *out_header)
{
    struct hbk_proxy_header header = {0};
    if (input.size < HBK_PROXY_V2_HEAD_BYTES) {
        return HBK_PROXY_NEED_MORE;
    }
    uint8_t version = input.bytes[12] >> 4, command = input.bytes[12] & 15;
    uint8_t family = input.bytes[13];
    size_t size = (size_t)input.bytes[14] << 8 | input.bytes[15];
    header.size_bytes = HBK_PROXY_V2_HEAD_BYTES + size;
    if (version != V2_VERSION || command > V2_PROXY || header.size_bytes > HBK_PROXY_BYTES_MAX) {
        return HBK_PROXY_INVALID;
    }
    if (input.size < header.size_bytes) {
        return HBK_PROXY_NEED_MORE;
    }
    struct hbk_cursor body = hbk_cursor_of(hbk_slice_part(input, HBK_PROXY_V2_HEAD_BYTES, size));
    if (command == V2_PROXY && (family == V2_TCP4 || family == V2_TCP6) &&
        !take_addresses(&body, family == V2_TCP4 ? 4 : 16, &header)) {
        return HBK_PROXY_INVALID;
    }
    *out_header = header;
    return HBK_PROXY_DONE;
}

enum hbk_proxy_answer hbk_proxy_header_read(struct hbk_slice input,
                                            struct hbk_proxy_header *out_header)
{
    struct hbk_slice signature = hbk_slice_of(v2_signature, sizeof v2_signature);
    struct hbk_slice word = HBK_SLICE("PROXY ");
    if (!begins_as(input, signature) && !begins_as(input, word)) {
        return HBK_PROXY_ABSENT;
    }
    if (begins_as(input, signature)) {
        return input.size < signature.size ? HBK_PROXY_NEED_MORE : read_v2(input, out_header);
    }
    return input.size < word.size ? HBK_PROXY_NEED_MORE : read_v1(input, out_header);
}
