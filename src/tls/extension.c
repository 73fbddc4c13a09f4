#include "tls/extension.h"

#include "base/assert.h"
#include "base/cursor.h"

/* What people read of an extension. */
struct row {
    uint16_t type;
    const char *malformed;
    const char *twice;
    const char *misplaced;
    const char *unasked;
};

#define ROW(kind, name)                                                      \
    [__builtin_ctz(HBK_HAS_##kind)] = {                                      \
        .type = HBK_EXTENSION_##kind,                                        \
        .malformed = "the extension " name " is malformed",                  \
        .twice = "the extension " name " stands there twice",                \
        .misplaced = "the extension " name " may not stand in this message", \
        .unasked = "the extension " name " was not asked for",               \
    }

/* In the order of HBK_HAS_... */
static const struct row rows[HBK_EXTENSION_KINDS] = {
    ROW(SERVER_NAME, "server_name"),
    ROW(STATUS_REQUEST, "status_request"),
    ROW(GROUPS, "supported_groups"),
    ROW(SCHEMES, "signature_algorithms"),
    ROW(CERTIFICATE_SCHEMES, "signature_algorithms_cert"),
    ROW(PROTOCOLS, "application_layer_protocol_negotiation"),
    ROW(RECORD_SIZE_LIMIT, "record_size_limit"),
    ROW(PSK, "pre_shared_key"),
    ROW(EARLY_DATA, "early_data"),
    ROW(VERSIONS, "supported_versions"),
    ROW(COOKIE, "cookie"),
    ROW(PSK_MODES, "psk_key_exchange_modes"),
    ROW(AUTHORITIES, "certificate_authorities"),
    ROW(SHARES, "key_share"),
};

/* HBK_EXTENSION_KINDS: unknown. */
static size_t row_of(uint16_t type)
{
    size_t at = 0;
    while (at < HBK_EXTENSION_KINDS && rows[at].type != type) {
        at++;
    }
    return at;
}

static size_t row_of_kind(uint32_t kind)
{
    HBK_ASSERT(__builtin_popcount(kind) == 1 && kind < 1U << HBK_EXTENSION_KINDS);
    return (size_t)__builtin_ctz(kind);
}

static bool stands_among(uint16_t type, const uint16_t *types, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (types[i] == type) {
            return true;
        }
    }
    return false;
}

struct hbk_complaint hbk_extensions_split(struct hbk_slice list, int alert_if_twice,
                                          struct hbk_extensions *out_extensions)
{
    struct hbk_extensions extensions = {.last_type = -1};
    uint16_t unknown[HBK_MESSAGE_EXTENSIONS_MAX];
    size_t unknown_count = 0;
    struct hbk_cursor cursor = hbk_cursor_of(list);
    for (size_t count = 0; cursor.left.size > 0; count++) {
        uint16_t type = (uint16_t)hbk_cursor_number(&cursor, 2);
        struct hbk_slice body = hbk_cursor_prefixed(&cursor, 2);
        if (cursor.has_failed) {
            return hbk_complain(HBK_ALERT_DECODE_ERROR, "the list of extensions is cut short");
        }
        if (count == HBK_MESSAGE_EXTENSIONS_MAX) {
            return hbk_complain(HBK_ALERT_ILLEGAL_PARAMETER,
                                "more extensions than we read: over 128");
        }
        extensions.last_type = type;
        size_t row = row_of(type);
        if (row < HBK_EXTENSION_KINDS) {
            if ((extensions.has & 1U << row) != 0) {
                return hbk_complain(alert_if_twice, rows[row].twice);
            }
            extensions.has |= 1U << row;
            extensions.bodies[row] = body;
            continue;
        }
        if (stands_among(type, unknown, unknown_count)) {
            return hbk_complain(alert_if_twice,
                                "an extension that we do not know stands there twice");
        }
        unknown[unknown_count++] = type;
    }
    extensions.has_unknown = unknown_count > 0;
    *out_extensions = extensions;
    return HBK_NO_COMPLAINT;
}

struct hbk_slice hbk_extension_body(const struct hbk_extensions *extensions, uint32_t kind)
{
    HBK_ASSERT((extensions->has & kind) != 0);
    return extensions->bodies[row_of_kind(kind)];
}

struct hbk_complaint hbk_extensions_allow(const struct hbk_extensions *extensions, uint32_t allowed,
                                          int alert)
{
    uint32_t misplaced = extensions->has & ~allowed;
    return misplaced == 0 ? HBK_NO_COMPLAINT
                          : hbk_complain(alert, rows[__builtin_ctz(misplaced)].misplaced);
}

struct hbk_complaint hbk_extensions_answer(const struct hbk_extensions *extensions, uint32_t asked)
{
    uint32_t unasked = extensions->has & ~asked;
    if (unasked != 0) {
        return hbk_complain(HBK_ALERT_UNSUPPORTED_EXTENSION, rows[__builtin_ctz(unasked)].unasked);
    }
    if (extensions->has_unknown) {
        return hbk_complain(HBK_ALERT_UNSUPPORTED_EXTENSION,
                            "an extension that we do not know was not asked for");
    }
    return HBK_NO_COMPLAINT;
}

struct hbk_complaint hbk_extension_judge(uint32_t kind, bool is_good)
{
    return is_good ? HBK_NO_COMPLAINT
                   : hbk_complain(HBK_ALERT_DECODE_ERROR, rows[row_of_kind(kind)].malformed);
}

bool hbk_extension_vector(struct hbk_slice body, size_t length_bytes, struct hbk_slice *out_list)
{
    struct hbk_cursor cursor = hbk_cursor_of(body);
    struct hbk_slice list = hbk_cursor_prefixed(&cursor, length_bytes);
    if (!hbk_cursor_is_done(&cursor) || list.size == 0) {
        return false;
    }
    *out_list = list;
    return true;
}

bool hbk_extension_numbers(struct hbk_slice body, size_t length_bytes, struct hbk_slice *out_list)
{
    struct hbk_slice list;
    if (!hbk_extension_vector(body, length_bytes, &list) || list.size % 2 != 0) {
        return false;
    }
    *out_list = list;
    return true;
}

static bool are_parts(struct hbk_slice list, size_t length_bytes)
{
    struct hbk_cursor cursor = hbk_cursor_of(list);
    while (cursor.left.size > 0) {
        struct hbk_slice part = hbk_cursor_prefixed(&cursor, length_bytes);
        if (cursor.has_failed || part.size == 0) {
            return false;
        }
    }
    return true;
}

bool hbk_extension_parts(struct hbk_slice body, size_t part_length_bytes,
                         struct hbk_slice *out_list)
{
    struct hbk_slice list;
    if (!hbk_extension_vector(body, 2, &list) || !are_parts(list, part_length_bytes)) {
        return false;
    }
    *out_list = list;
    return true;
}

bool hbk_extension_status_request(struct hbk_slice body, bool *out_wants_ocsp)
{
    enum { TYPE_OCSP = 1 };
    struct hbk_cursor cursor = hbk_cursor_of(body);
    uint64_t type = hbk_cursor_number(&cursor, 1);
    if (cursor.has_failed) {
        return false;
    }
    if (type == TYPE_OCSP) {
        struct hbk_slice responders = hbk_cursor_prefixed(&cursor, 2);
        (void)hbk_cursor_prefixed(&cursor, 2); /* request_extensions: DER, not ours to read */
        if (!hbk_cursor_is_done(&cursor) || !are_parts(responders, 2)) {
            return false;
        }
    }
    *out_wants_ocsp = type == TYPE_OCSP;
    return true;
}

bool hbk_extension_number(struct hbk_slice body, uint16_t *out_number)
{
    struct hbk_cursor cursor = hbk_cursor_of(body);
    uint64_t number = hbk_cursor_number(&cursor, sizeof *out_number);
    if (!hbk_cursor_is_done(&cursor)) {
        return false;
    }
    *out_number = (uint16_t)number;
    return true;
}

struct hbk_complaint hbk_extension_record_size_limit(struct hbk_slice body, uint16_t *out_limit)
{
    if (!hbk_extension_number(body, out_limit)) {
        return hbk_extension_judge(HBK_HAS_RECORD_SIZE_LIMIT, false);
    }
    if (*out_limit < HBK_TLS_RECORD_SIZE_LIMIT_MIN) {
        return hbk_complain(HBK_ALERT_ILLEGAL_PARAMETER, "record_size_limit is below 64 bytes");
    }
    return HBK_NO_COMPLAINT;
}
