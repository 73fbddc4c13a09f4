/*
 * ClientHello, ServerHello and HelloRetryRequest, read. They are the messages that an older TLS
 * has, too, so that a reader must not judge what may be meant for it: a hello without the extension
 * supported_versions is split and left to the caller.
 *
 * Where the RFC leaves the alert open, it is the one that a BoringSSL peer gives.
 */
#include <string.h>

#include "base/cursor.h"
#include "tls/extension.h"

/* RFC 8446, 4.1.3: SHA-256 of "HelloRetryRequest". */
const uint8_t hbk_message_retry_random[HBK_MESSAGE_RANDOM_BYTES] = {
    0xcf, 0x21, 0xad, 0x74, 0xe5, 0x9a, 0x61, 0x11, 0xbe, 0x1d, 0x8c, 0x02, 0x1e, 0x65, 0xb8, 0x91,
    0xc2, 0xa2, 0x11, 0x16, 0x7a, 0xbb, 0x8c, 0x5e, 0x07, 0x9e, 0x09, 0xe2, 0xc8, 0xa8, 0x33, 0x9c,
};

/* RFC 6066, 3. Names of other types are passed over; a host_name is checked for what it can never
 * contain, not for being a name that DNS would take. */
static bool read_server_name(struct hbk_slice body, struct hbk_slice *out_name)
{
    enum { TYPE_HOST_NAME = 0, HOST_NAME_BYTES_MAX = 255 };
    struct hbk_slice list;
    if (!hbk_extension_vector(body, 2, &list)) {
        return false;
    }
    struct hbk_slice found = {0};
    struct hbk_cursor cursor = hbk_cursor_of(list);
    while (cursor.left.size > 0) {
        uint64_t type = hbk_cursor_number(&cursor, 1);
        struct hbk_slice name = hbk_cursor_prefixed(&cursor, 2);
        if (cursor.has_failed || name.size == 0) {
            return false;
        }
        if (type != TYPE_HOST_NAME) {
            continue;
        }
        size_t zero;
        if (found.size > 0 || name.size > HOST_NAME_BYTES_MAX || hbk_slice_find(name, 0, &zero)) {
            return false;
        }
        found = name;
    }
    *out_name = found;
    return true;
}

/* RFC 8446, 4.2.9. */
static bool read_psk_modes(struct hbk_slice body, bool *out_has_dhe)
{
    enum { MODE_PSK_DHE_KE = 1 };
    struct hbk_slice modes;
    size_t at;
    if (!hbk_extension_vector(body, 1, &modes)) {
        return false;
    }
    *out_has_dhe = hbk_slice_find(modes, MODE_PSK_DHE_KE, &at);
    return true;
}

/* A KeyShareEntry (RFC 8446, 4.2.8); the cursor has failed if it is none. */
static struct hbk_key_share take_share(struct hbk_cursor *cursor)
{
    uint16_t group = (uint16_t)hbk_cursor_number(cursor, 2);
    struct hbk_key_share share = {.group = group, .key = hbk_cursor_prefixed(cursor, 2)};
    if (share.key.size == 0) {
        cursor->has_failed = true;
    }
    return share;
}

/* An empty list is allowed: it asks for a HelloRetryRequest. */
static struct hbk_complaint read_client_shares(struct hbk_slice body,
                                               struct hbk_client_hello *hello)
{
    struct hbk_cursor outer = hbk_cursor_of(body);
    struct hbk_cursor cursor = hbk_cursor_of(hbk_cursor_prefixed(&outer, 2));
    if (!hbk_cursor_is_done(&outer)) {
        return hbk_extension_judge(HBK_HAS_SHARES, false);
    }
    while (cursor.left.size > 0) {
        struct hbk_key_share share = take_share(&cursor);
        if (cursor.has_failed) {
            return hbk_extension_judge(HBK_HAS_SHARES, false);
        }
        for (size_t i = 0; i < hello->share_count; i++) {
            if (hello->shares[i].group == share.group) {
                return hbk_complain(HBK_ALERT_ILLEGAL_PARAMETER, "two key shares for one group");
            }
        }
        if (hello->share_count == HBK_MESSAGE_SHARES_MAX) {
            return hbk_complain(HBK_ALERT_ILLEGAL_PARAMETER,
                                "more key shares than we read: over 16");
        }
        hello->shares[hello->share_count++] = share;
    }
    return HBK_NO_COMPLAINT;
}

/* RFC 8446, 4.2.11. Both lists have at least one entry. A binder that is too short for any hash is
 * the caller's to refuse, like every other wrong binder. */
static struct hbk_complaint read_psks(struct hbk_slice body, struct hbk_client_hello *hello)
{
    struct hbk_cursor outer = hbk_cursor_of(body);
    struct hbk_slice identities = hbk_cursor_prefixed(&outer, 2);
    struct hbk_slice binders = hbk_cursor_prefixed(&outer, 2);
    if (!hbk_cursor_is_done(&outer) || identities.size == 0 || binders.size == 0) {
        return hbk_extension_judge(HBK_HAS_PSK, false);
    }

    struct hbk_cursor cursor = hbk_cursor_of(identities);
    size_t identity_count = 0;
    for (; cursor.left.size > 0; identity_count++) {
        struct hbk_slice identity = hbk_cursor_prefixed(&cursor, 2);
        uint32_t age = (uint32_t)hbk_cursor_number(&cursor, 4);
        if (cursor.has_failed || identity.size == 0) {
            return hbk_extension_judge(HBK_HAS_PSK, false);
        }
        if (identity_count < HBK_MESSAGE_IDENTITIES_MAX) {
            hello->identities[identity_count].identity = identity;
            hello->identities[identity_count].obfuscated_age = age;
        }
    }

    cursor = hbk_cursor_of(binders);
    size_t binder_count = 0;
    for (; cursor.left.size > 0; binder_count++) {
        struct hbk_slice binder = hbk_cursor_prefixed(&cursor, 1);
        if (cursor.has_failed || binder.size == 0) {
            return hbk_extension_judge(HBK_HAS_PSK, false);
        }
        if (binder_count < HBK_MESSAGE_IDENTITIES_MAX) {
            hello->identities[binder_count].binder = binder;
        }
    }

    if (identity_count != binder_count) {
        return hbk_complain(HBK_ALERT_ILLEGAL_PARAMETER,
                            "pre_shared_key has not as many binders as identities");
    }
    hello->identity_count = identity_count;
    hello->binders_bytes = 2 + binders.size;
    return HBK_NO_COMPLAINT;
}

/* Flat: one case for each kind. */
static struct hbk_complaint read_client_extension(uint32_t kind, struct hbk_slice body,
                                                  struct hbk_client_hello *hello)
{
    switch (kind) {
    case HBK_HAS_SERVER_NAME:
        return hbk_extension_judge(kind, read_server_name(body, &hello->server_name));
    case HBK_HAS_STATUS_REQUEST:
        return hbk_extension_judge(kind, hbk_extension_status_request(body, &hello->wants_ocsp));
    case HBK_HAS_GROUPS:
        return hbk_extension_judge(kind, hbk_extension_numbers(body, 2, &hello->groups));
    case HBK_HAS_SCHEMES:
        return hbk_extension_judge(kind, hbk_extension_numbers(body, 2, &hello->schemes));
    case HBK_HAS_CERTIFICATE_SCHEMES:
        return hbk_extension_judge(kind,
                                   hbk_extension_numbers(body, 2, &hello->certificate_schemes));
    case HBK_HAS_PROTOCOLS:
        return hbk_extension_judge(kind, hbk_extension_parts(body, 1, &hello->protocols));
    case HBK_HAS_RECORD_SIZE_LIMIT:
        return hbk_extension_record_size_limit(body, &hello->record_size_limit);
    case HBK_HAS_EARLY_DATA:
        return hbk_extension_judge(kind, body.size == 0);
    case HBK_HAS_VERSIONS:
        return hbk_extension_judge(kind, hbk_extension_numbers(body, 1, &hello->versions));
    case HBK_HAS_COOKIE:
        return hbk_extension_judge(kind, hbk_extension_vector(body, 2, &hello->cookie));
    case HBK_HAS_PSK_MODES:
        return hbk_extension_judge(kind, read_psk_modes(body, &hello->has_psk_dhe));
    case HBK_HAS_AUTHORITIES:
        return hbk_extension_judge(kind, hbk_extension_parts(body, 2, &hello->authorities));
    case HBK_HAS_SHARES:
        return read_client_shares(body, hello);
    case HBK_HAS_PSK:
        return read_psks(body, hello);
    default:
        return HBK_NO_COMPLAINT;
    }
}

struct hbk_complaint hbk_client_hello_read(struct hbk_slice body,
                                           struct hbk_client_hello *out_hello)
{
    struct hbk_client_hello hello = {0};
    struct hbk_cursor cursor = hbk_cursor_of(body);
    hello.legacy_version = (uint16_t)hbk_cursor_number(&cursor, 2);
    hello.random = hbk_cursor_take(&cursor, HBK_MESSAGE_RANDOM_BYTES);
    hello.session_id = hbk_cursor_prefixed(&cursor, 1);
    hello.suites = hbk_cursor_prefixed(&cursor, 2);
    hello.compression = hbk_cursor_prefixed(&cursor, 1);
    if (cursor.has_failed || hello.session_id.size > HBK_MESSAGE_SESSION_ID_BYTES_MAX ||
        hello.suites.size == 0 || hello.suites.size % 2 != 0 || hello.compression.size == 0) {
        return hbk_complain(HBK_ALERT_DECODE_ERROR, "the ClientHello is malformed");
    }
    if (cursor.left.size == 0) {
        *out_hello = hello; /* before RFC 3546 there were no extensions */
        return HBK_NO_COMPLAINT;
    }
    struct hbk_slice list = hbk_cursor_prefixed(&cursor, 2);
    if (!hbk_cursor_is_done(&cursor)) {
        return hbk_complain(HBK_ALERT_DECODE_ERROR,
                            "the ClientHello does not end with its extensions");
    }

    struct hbk_extensions extensions;
    struct hbk_complaint complaint =
        hbk_extensions_split(list, HBK_ALERT_DECODE_ERROR, &extensions);
    if (complaint.alert != HBK_ALERT_NONE) {
        return complaint;
    }
    hello.has = extensions.has;
    if ((hello.has & HBK_HAS_PSK) != 0 && extensions.last_type != HBK_EXTENSION_PSK) {
        return hbk_complain(HBK_ALERT_ILLEGAL_PARAMETER,
                            "pre_shared_key is not the last extension");
    }
    for (uint32_t left = hello.has; left != 0; left &= left - 1) {
        uint32_t kind = left & -left;
        complaint = read_client_extension(kind, hbk_extension_body(&extensions, kind), &hello);
        if (complaint.alert != HBK_ALERT_NONE) {
            return complaint;
        }
    }
    *out_hello = hello;
    return HBK_NO_COMPLAINT;
}

/* ---- ServerHello and HelloRetryRequest ---- */

static bool read_server_share(struct hbk_slice body, struct hbk_server_hello *hello)
{
    struct hbk_cursor cursor = hbk_cursor_of(body);
    if (hello->is_retry) {
        hello->share_group = (uint16_t)hbk_cursor_number(&cursor, 2);
        return hbk_cursor_is_done(&cursor);
    }
    struct hbk_key_share share = take_share(&cursor);
    hello->share_group = share.group;
    hello->share_key = share.key;
    return hbk_cursor_is_done(&cursor);
}

static struct hbk_complaint read_retry_cookie(struct hbk_slice body, struct hbk_slice *out_cookie)
{
    bool is_good = hbk_extension_vector(body, 2, out_cookie);
    if (is_good && out_cookie->size > HBK_MESSAGE_COOKIE_BYTES_MAX) {
        return hbk_complain(HBK_ALERT_ILLEGAL_PARAMETER,
                            "a cookie longer than we send back: over 1024 bytes");
    }
    return hbk_extension_judge(HBK_HAS_COOKIE, is_good);
}

/* What TLS 1.3 says about the extensions, once it is known that TLS 1.3 is spoken. */
static struct hbk_complaint judge_server_extensions(const struct hbk_extensions *extensions,
                                                    struct hbk_server_hello *hello)
{
    uint32_t allowed =
        HBK_HAS_VERSIONS | HBK_HAS_SHARES | (hello->is_retry ? HBK_HAS_COOKIE : HBK_HAS_PSK);
    struct hbk_complaint complaint =
        hbk_extensions_allow(extensions, allowed, HBK_ALERT_UNSUPPORTED_EXTENSION);
    if (complaint.alert == HBK_ALERT_NONE) {
        complaint = hbk_extensions_answer(extensions, allowed);
    }
    if (complaint.alert == HBK_ALERT_NONE && (hello->has & HBK_HAS_SHARES) != 0) {
        struct hbk_slice body = hbk_extension_body(extensions, HBK_HAS_SHARES);
        complaint = hbk_extension_judge(HBK_HAS_SHARES, read_server_share(body, hello));
    }
    if (complaint.alert == HBK_ALERT_NONE && (hello->has & HBK_HAS_COOKIE) != 0) {
        complaint =
            read_retry_cookie(hbk_extension_body(extensions, HBK_HAS_COOKIE), &hello->cookie);
    }
    if (complaint.alert == HBK_ALERT_NONE && (hello->has & HBK_HAS_PSK) != 0) {
        struct hbk_slice body = hbk_extension_body(extensions, HBK_HAS_PSK);
        complaint = hbk_extension_judge(HBK_HAS_PSK, hbk_extension_number(body, &hello->psk_index));
    }
    return complaint;
}

struct hbk_complaint hbk_server_hello_read(struct hbk_slice body,
                                           struct hbk_server_hello *out_hello)
{
    struct hbk_server_hello hello = {0};
    struct hbk_cursor cursor = hbk_cursor_of(body);
    hello.legacy_version = (uint16_t)hbk_cursor_number(&cursor, 2);
    hello.random = hbk_cursor_take(&cursor, HBK_MESSAGE_RANDOM_BYTES);
    hello.session_id = hbk_cursor_prefixed(&cursor, 1);
    hello.suite = (uint16_t)hbk_cursor_number(&cursor, 2);
    hello.compression = (uint8_t)hbk_cursor_number(&cursor, 1);
    if (cursor.has_failed || hello.session_id.size > HBK_MESSAGE_SESSION_ID_BYTES_MAX) {
        return hbk_complain(HBK_ALERT_DECODE_ERROR, "the ServerHello is malformed");
    }
    hello.is_retry = hbk_slice_equal(
        hello.random, hbk_slice_of(hbk_message_retry_random, sizeof hbk_message_retry_random));
    if (cursor.left.size == 0) {
        *out_hello = hello;
        return HBK_NO_COMPLAINT;
    }
    struct hbk_slice list = hbk_cursor_prefixed(&cursor, 2);
    if (!hbk_cursor_is_done(&cursor)) {
        return hbk_complain(HBK_ALERT_DECODE_ERROR,
                            "the ServerHello does not end with its extensions");
    }

    struct hbk_extensions extensions;
    struct hbk_complaint complaint =
        hbk_extensions_split(list, HBK_ALERT_ILLEGAL_PARAMETER, &extensions);
    if (complaint.alert != HBK_ALERT_NONE) {
        return complaint;
    }
    hello.has = extensions.has;
    if ((hello.has & HBK_HAS_VERSIONS) != 0) {
        bool is_good =
            hbk_extension_number(hbk_extension_body(&extensions, HBK_HAS_VERSIONS), &hello.version);
        complaint = hbk_extension_judge(HBK_HAS_VERSIONS, is_good);
    }
    if (complaint.alert == HBK_ALERT_NONE && hello.version == HBK_TLS_1_3) {
        complaint = judge_server_extensions(&extensions, &hello);
    }
    if (complaint.alert == HBK_ALERT_NONE) {
        *out_hello = hello;
    }
    return complaint;
}
