/*
 * The reading half of message.h. Every reader walks its message with cursors that cannot leave it,
 * and asks once at the end whether one failed. An extension is read by a function that is named in
 * the message's own table: what is not in the table is passed over where a stranger may say
 * anything (hellos of clients, requests, tickets), and refused where only answers may stand (RFC
 * 8446, 4.2).
 */
#include "base/cursor.h"
#include "tls/extension.h"
#include "tls/message.h"

const uint8_t hbk_retry_random[32] = {
    0xcf, 0x21, 0xad, 0x74, 0xe5, 0x9a, 0x61, 0x11, 0xbe, 0x1d, 0x8c, 0x02, 0x1e, 0x65, 0xb8, 0x91,
    0xc2, 0xa2, 0x11, 0x16, 0x7a, 0xbb, 0x8c, 0x5e, 0x07, 0x9e, 0x09, 0xe2, 0xc8, 0xa8, 0x33, 0x9c,
};

static struct hbk_complaint complain(int alert, const char *text)
{
    return (struct hbk_complaint){.alert = alert, .text = text};
}

static struct hbk_complaint malformed(const char *text)
{
    return complain(HBK_ALERT_DECODE_ERROR, text);
}

#define TRY_READ(expression)                                    \
    do {                                                        \
        struct hbk_complaint complaint_ = (expression);         \
        if (HBK_UNLIKELY(complaint_.alert != HBK_ALERT_NONE)) { \
            return complaint_;                                  \
        }                                                       \
    } while (0)

/* A piece behind its length of `length_bytes`. */
static struct hbk_slice take_piece(struct hbk_cursor *cursor, size_t length_bytes)
{
    return hbk_cursor_take(cursor, (size_t)hbk_cursor_number(cursor, length_bytes));
}

static bool is_done(const struct hbk_cursor *cursor)
{
    return !cursor->has_failed && cursor->left.size == 0;
}

/* The whole body is one piece behind its length, which may not be empty. */
static bool take_whole(struct hbk_slice body, size_t length_bytes, struct hbk_slice *out_piece)
{
    struct hbk_cursor cursor = hbk_cursor_of(body);
    *out_piece = take_piece(&cursor, length_bytes);
    return is_done(&cursor) && out_piece->size > 0;
}

/* The same, a list of whole numbers of two bytes. */
static bool take_numbers(struct hbk_slice body, size_t length_bytes, struct hbk_slice *out_list)
{
    return take_whole(body, length_bytes, out_list) && out_list->size % 2 == 0;
}

static bool take_number(struct hbk_slice body, uint16_t *out_number)
{
    struct hbk_cursor cursor = hbk_cursor_of(body);
    *out_number = (uint16_t)hbk_cursor_number(&cursor, 2);
    return is_done(&cursor);
}

/* ---- extensions in general ---- */

/* How one extension of a message is read. `out` is the message's struct. */
struct extension_rule {
    enum hbk_extension type;
    uint32_t has; /* HBK_HAS_...; 0: only judged */
    struct hbk_complaint (*read)(struct hbk_slice body, void *out);
};

enum stranger { IS_PASSED_OVER, IS_REFUSED };

/* What a walk over extensions is to keep to, and what it saw. */
struct extension_walk {
    const struct extension_rule *rules;
    size_t rule_count;
    enum stranger stranger;
    uint32_t offered; /* of IS_REFUSED: an extension that is not among these is unsolicited */
    void *out;
    uint32_t *has;
    uint16_t last_type; /* of the list; valid when count > 0 */
    size_t count;
};

static const struct extension_rule *find_rule(const struct extension_walk *walk, uint16_t type)
{
    for (size_t i = 0; i < walk->rule_count; i++) {
        if ((uint16_t)walk->rules[i].type == type) {
            return &walk->rules[i];
        }
    }
    return NULL;
}

static bool was_seen(const uint16_t *types, size_t count, uint16_t type)
{
    for (size_t i = 0; i < count; i++) {
        if (types[i] == type) {
            return true;
        }
    }
    return false;
}

static struct hbk_complaint read_extension(struct extension_walk *walk, uint16_t type,
                                           struct hbk_slice body)
{
    const struct extension_rule *rule = find_rule(walk, type);
    if (rule == NULL) {
        return walk->stranger == IS_PASSED_OVER ? HBK_NO_COMPLAINT
                                                : complain(HBK_ALERT_UNSUPPORTED_EXTENSION,
                                                           "an extension that was not asked for");
    }
    if (walk->stranger == IS_REFUSED && rule->has != 0 && (walk->offered & rule->has) == 0) {
        return complain(HBK_ALERT_UNSUPPORTED_EXTENSION, "an extension that was not asked for");
    }
    *walk->has |= rule->has;
    return rule->read(body, walk->out);
}

/* Reads the list in `extensions`, without its length. */
static struct hbk_complaint read_extensions(struct extension_walk *walk,
                                            struct hbk_slice extensions)
{
    struct hbk_cursor cursor = hbk_cursor_of(extensions);
    uint16_t types[HBK_MESSAGE_EXTENSIONS_MAX];
    while (cursor.left.size > 0) {
        uint16_t type = (uint16_t)hbk_cursor_number(&cursor, 2);
        struct hbk_slice body = take_piece(&cursor, 2);
        if (cursor.has_failed) {
            return malformed("an extension that does not fit its message");
        }
        if (walk->count == HBK_COUNT(types)) {
            return malformed("too many extensions in one message");
        }
        if (was_seen(types, walk->count, type)) {
            return complain(HBK_ALERT_ILLEGAL_PARAMETER, "an extension that comes twice");
        }
        types[walk->count++] = type;
        walk->last_type = type;
        TRY_READ(read_extension(walk, type, body));
    }
    return HBK_NO_COMPLAINT;
}

/* The extension is there, and empty. */
static struct hbk_complaint read_empty(struct hbk_slice body, void *out)
{
    (void)out;
    return body.size == 0 ? HBK_NO_COMPLAINT : malformed("an extension that should be empty");
}

/* ---- ClientHello ---- */

/* RFC 6066, 3: names of several types may stand in the list, none twice; only host names exist. */
static struct hbk_complaint read_server_name(struct hbk_slice body, void *out)
{
    struct hbk_client_hello *hello = out;
    struct hbk_slice list;
    if (!take_whole(body, 2, &list)) {
        return malformed("a malformed server_name");
    }
    struct hbk_cursor cursor = hbk_cursor_of(list);
    uint64_t type = hbk_cursor_number(&cursor, 1);
    struct hbk_slice name = take_piece(&cursor, 2);
    if (!is_done(&cursor) || type != 0 || name.size == 0 || name.size > 255 ||
        memchr(name.bytes, 0, name.size) != NULL) {
        return malformed("a malformed server_name");
    }
    hello->server_name = name;
    return HBK_NO_COMPLAINT;
}

static struct hbk_complaint read_status_request(struct hbk_slice body, void *out)
{
    struct hbk_client_hello *hello = out;
    struct hbk_cursor cursor = hbk_cursor_of(body);
    uint64_t type = hbk_cursor_number(&cursor, 1);
    if (cursor.has_failed) {
        return malformed("a malformed status_request");
    }
    if (type != HBK_STATUS_TYPE_OCSP) {
        return HBK_NO_COMPLAINT; /* another type: nothing that we answer */
    }
    (void)take_piece(&cursor, 2); /* responders */
    (void)take_piece(&cursor, 2); /* extensions */
    hello->wants_ocsp = true;
    return is_done(&cursor) ? HBK_NO_COMPLAINT : malformed("a malformed status_request");
}

static struct hbk_complaint read_groups(struct hbk_slice body, void *out)
{
    struct hbk_client_hello *hello = out;
    return take_numbers(body, 2, &hello->groups) ? HBK_NO_COMPLAINT
                                                 : malformed("a malformed list of groups");
}

static struct hbk_complaint read_schemes(struct hbk_slice body, void *out)
{
    struct hbk_client_hello *hello = out;
    return take_numbers(body, 2, &hello->schemes)
               ? HBK_NO_COMPLAINT
               : malformed("a malformed list of signature algorithms");
}

static struct hbk_complaint read_certificate_schemes(struct hbk_slice body, void *out)
{
    struct hbk_client_hello *hello = out;
    return take_numbers(body, 2, &hello->certificate_schemes)
               ? HBK_NO_COMPLAINT
               : malformed("a malformed list of signature algorithms");
}

static bool are_protocols(struct hbk_slice list)
{
    struct hbk_cursor cursor = hbk_cursor_of(list);
    while (cursor.left.size > 0) {
        if (take_piece(&cursor, 1).size == 0) {
            return false;
        }
    }
    return !cursor.has_failed;
}

static struct hbk_complaint read_protocols(struct hbk_slice body, void *out)
{
    struct hbk_client_hello *hello = out;
    return take_whole(body, 2, &hello->protocols) && are_protocols(hello->protocols)
               ? HBK_NO_COMPLAINT
               : malformed("a malformed list of application protocols");
}

static struct hbk_complaint read_limit(struct hbk_slice body, void *out)
{
    struct hbk_client_hello *hello = out;
    return take_number(body, &hello->record_size_limit)
               ? HBK_NO_COMPLAINT
               : malformed("a malformed record_size_limit");
}

static struct hbk_complaint read_versions(struct hbk_slice body, void *out)
{
    struct hbk_client_hello *hello = out;
    return take_numbers(body, 1, &hello->versions) ? HBK_NO_COMPLAINT
                                                   : malformed("a malformed list of versions");
}

static struct hbk_complaint read_hello_cookie(struct hbk_slice body, void *out)
{
    struct hbk_client_hello *hello = out;
    return take_whole(body, 2, &hello->cookie) ? HBK_NO_COMPLAINT : malformed("a malformed cookie");
}

static struct hbk_complaint read_psk_modes(struct hbk_slice body, void *out)
{
    struct hbk_client_hello *hello = out;
    struct hbk_slice modes;
    if (!take_whole(body, 1, &modes)) {
        return malformed("a malformed list of PSK modes");
    }
    hello->has_psk_dhe = memchr(modes.bytes, HBK_PSK_MODE_DHE, modes.size) != NULL;
    return HBK_NO_COMPLAINT;
}

/* Distinguished names, each behind its length (RFC 8446, 4.2.4). */
static bool are_authorities(struct hbk_slice list)
{
    struct hbk_cursor cursor = hbk_cursor_of(list);
    while (cursor.left.size > 0) {
        if (take_piece(&cursor, 2).size == 0) {
            return false;
        }
    }
    return !cursor.has_failed;
}

static struct hbk_complaint read_hello_authorities(struct hbk_slice body, void *out)
{
    struct hbk_client_hello *hello = out;
    return take_whole(body, 2, &hello->authorities) && are_authorities(hello->authorities)
               ? HBK_NO_COMPLAINT
               : malformed("a malformed list of authorities");
}

/* 4.2.8: a list that may be empty, for a client that wants to be asked. */
static struct hbk_complaint read_shares(struct hbk_slice body, void *out)
{
    struct hbk_client_hello *hello = out;
    struct hbk_cursor whole = hbk_cursor_of(body);
    struct hbk_cursor cursor = hbk_cursor_of(take_piece(&whole, 2));
    if (!is_done(&whole)) {
        return malformed("a malformed list of key shares");
    }
    while (cursor.left.size > 0) {
        uint16_t group = (uint16_t)hbk_cursor_number(&cursor, 2);
        struct hbk_slice key = take_piece(&cursor, 2);
        if (cursor.has_failed || key.size == 0) {
            return malformed("a malformed list of key shares");
        }
        for (size_t i = 0; i < hello->share_count; i++) {
            if (hello->shares[i].group == group) {
                return complain(HBK_ALERT_ILLEGAL_PARAMETER, "two key shares of one group");
            }
        }
        if (hello->share_count == HBK_MESSAGE_SHARES_MAX) {
            return complain(HBK_ALERT_ILLEGAL_PARAMETER, "too many key shares");
        }
        hello->shares[hello->share_count++] = (struct hbk_key_share){.group = group, .key = key};
    }
    return HBK_NO_COMPLAINT;
}

static bool take_identities(struct hbk_cursor *list, struct hbk_client_hello *hello)
{
    while (list->left.size > 0) {
        struct hbk_psk_identity identity = {.identity = take_piece(list, 2)};
        identity.obfuscated_age = (uint32_t)hbk_cursor_number(list, 4);
        if (list->has_failed || identity.identity.size == 0) {
            return false;
        }
        if (hello->identity_count < HBK_MESSAGE_IDENTITIES_MAX) {
            hello->identities[hello->identity_count] = identity;
        }
        hello->identity_count++;
    }
    return hello->identity_count > 0;
}

/* How many there are; 0: malformed. */
static size_t take_binders(struct hbk_cursor *list, struct hbk_client_hello *hello)
{
    enum { BINDER_BYTES_MIN = 32 }; /* 4.2.11 */
    size_t count = 0;
    while (list->left.size > 0) {
        struct hbk_slice binder = take_piece(list, 1);
        if (list->has_failed || binder.size < BINDER_BYTES_MIN) {
            return 0;
        }
        if (count < HBK_MESSAGE_IDENTITIES_MAX) {
            hello->identities[count].binder = binder;
        }
        count++;
    }
    return count;
}

static struct hbk_complaint read_psk(struct hbk_slice body, void *out)
{
    struct hbk_client_hello *hello = out;
    struct hbk_cursor whole = hbk_cursor_of(body);
    struct hbk_cursor identities = hbk_cursor_of(take_piece(&whole, 2));
    hello->binders_bytes = whole.left.size;
    struct hbk_cursor binders = hbk_cursor_of(take_piece(&whole, 2));
    if (!is_done(&whole) || !take_identities(&identities, hello)) {
        return malformed("a malformed list of sessions to resume");
    }
    size_t count = take_binders(&binders, hello);
    if (count == 0) {
        return malformed("a malformed list of binders");
    }
    return count == hello->identity_count
               ? HBK_NO_COMPLAINT
               : complain(HBK_ALERT_ILLEGAL_PARAMETER, "not as many binders as sessions to resume");
}

static const struct extension_rule client_rules[] = {
    {HBK_EXTENSION_SERVER_NAME, HBK_HAS_SERVER_NAME, read_server_name},
    {HBK_EXTENSION_STATUS_REQUEST, HBK_HAS_STATUS_REQUEST, read_status_request},
    {HBK_EXTENSION_SUPPORTED_GROUPS, HBK_HAS_GROUPS, read_groups},
    {HBK_EXTENSION_SIGNATURE_ALGORITHMS, HBK_HAS_SCHEMES, read_schemes},
    {HBK_EXTENSION_SIGNATURE_ALGORITHMS_CERT, HBK_HAS_CERTIFICATE_SCHEMES,
     read_certificate_schemes},
    {HBK_EXTENSION_ALPN, HBK_HAS_PROTOCOLS, read_protocols},
    {HBK_EXTENSION_RECORD_SIZE_LIMIT, HBK_HAS_RECORD_SIZE_LIMIT, read_limit},
    {HBK_EXTENSION_EARLY_DATA, HBK_HAS_EARLY_DATA, read_empty},
    {HBK_EXTENSION_SUPPORTED_VERSIONS, HBK_HAS_VERSIONS, read_versions},
    {HBK_EXTENSION_COOKIE, HBK_HAS_COOKIE, read_hello_cookie},
    {HBK_EXTENSION_PSK_MODES, HBK_HAS_PSK_MODES, read_psk_modes},
    {HBK_EXTENSION_AUTHORITIES, HBK_HAS_AUTHORITIES, read_hello_authorities},
    {HBK_EXTENSION_KEY_SHARE, HBK_HAS_SHARES, read_shares},
    {HBK_EXTENSION_PRE_SHARED_KEY, HBK_HAS_PSK, read_psk},
};

struct hbk_complaint hbk_client_hello_read(struct hbk_slice body,
                                           struct hbk_client_hello *out_hello)
{
    struct hbk_cursor cursor = hbk_cursor_of(body);
    *out_hello = (struct hbk_client_hello){0};
    out_hello->legacy_version = (uint16_t)hbk_cursor_number(&cursor, 2);
    out_hello->random = hbk_cursor_take(&cursor, HBK_MESSAGE_RANDOM_BYTES);
    out_hello->session_id = take_piece(&cursor, 1);
    out_hello->suites = take_piece(&cursor, 2);
    out_hello->compression = take_piece(&cursor, 1);
    if (cursor.has_failed || out_hello->session_id.size > HBK_MESSAGE_SESSION_ID_BYTES_MAX ||
        out_hello->suites.size == 0 || out_hello->suites.size % 2 != 0 ||
        out_hello->compression.size == 0) {
        return malformed("a malformed ClientHello");
    }
    if (cursor.left.size == 0) {
        return HBK_NO_COMPLAINT; /* of an older TLS, without extensions */
    }
    struct hbk_slice extensions = take_piece(&cursor, 2);
    if (!is_done(&cursor)) {
        return malformed("a malformed ClientHello");
    }
    struct extension_walk walk = {
        .rules = client_rules,
        .rule_count = HBK_COUNT(client_rules),
        .stranger = IS_PASSED_OVER,
        .out = out_hello,
        .has = &out_hello->has,
    };
    TRY_READ(read_extensions(&walk, extensions));
    if ((out_hello->has & HBK_HAS_PSK) != 0 && walk.last_type != HBK_EXTENSION_PRE_SHARED_KEY) {
        return complain(HBK_ALERT_ILLEGAL_PARAMETER, "pre_shared_key is not the last extension");
    }
    return HBK_NO_COMPLAINT;
}

/* ---- ServerHello ---- */

static struct hbk_complaint read_selected_version(struct hbk_slice body, void *out)
{
    struct hbk_server_hello *hello = out;
    return take_number(body, &hello->version) ? HBK_NO_COMPLAINT : malformed("a malformed version");
}

static struct hbk_complaint read_server_share(struct hbk_slice body, void *out)
{
    struct hbk_server_hello *hello = out;
    if (hello->is_retry) {
        return take_number(body, &hello->share_group) ? HBK_NO_COMPLAINT
                                                      : malformed("a malformed group");
    }
    struct hbk_cursor cursor = hbk_cursor_of(body);
    hello->share_group = (uint16_t)hbk_cursor_number(&cursor, 2);
    hello->share_key = take_piece(&cursor, 2);
    return is_done(&cursor) && hello->share_key.size > 0 ? HBK_NO_COMPLAINT
                                                         : malformed("a malformed key share");
}

static struct hbk_complaint read_server_cookie(struct hbk_slice body, void *out)
{
    struct hbk_server_hello *hello = out;
    return take_whole(body, 2, &hello->cookie) ? HBK_NO_COMPLAINT : malformed("a malformed cookie");
}

static struct hbk_complaint read_server_psk(struct hbk_slice body, void *out)
{
    struct hbk_server_hello *hello = out;
    return take_number(body, &hello->psk_index) ? HBK_NO_COMPLAINT
                                                : malformed("a malformed pre_shared_key");
}

static const struct extension_rule server_rules[] = {
    {HBK_EXTENSION_SUPPORTED_VERSIONS, HBK_HAS_VERSIONS, read_selected_version},
    {HBK_EXTENSION_KEY_SHARE, HBK_HAS_SHARES, read_server_share},
    {HBK_EXTENSION_PRE_SHARED_KEY, HBK_HAS_PSK, read_server_psk},
};

static const struct extension_rule retry_rules[] = {
    {HBK_EXTENSION_SUPPORTED_VERSIONS, HBK_HAS_VERSIONS, read_selected_version},
    {HBK_EXTENSION_KEY_SHARE, HBK_HAS_SHARES, read_server_share},
    {HBK_EXTENSION_COOKIE, HBK_HAS_COOKIE, read_server_cookie},
};

/* Whether the hello says that it is TLS 1.3: else its extensions follow other rules. */
static bool has_versions(struct hbk_slice extensions)
{
    struct hbk_cursor cursor = hbk_cursor_of(extensions);
    while (cursor.left.size > 0 && !cursor.has_failed) {
        uint64_t type = hbk_cursor_number(&cursor, 2);
        (void)take_piece(&cursor, 2);
        if (!cursor.has_failed && type == HBK_EXTENSION_SUPPORTED_VERSIONS) {
            return true;
        }
    }
    return false;
}

struct hbk_complaint hbk_server_hello_read(struct hbk_slice body,
                                           struct hbk_server_hello *out_hello)
{
    struct hbk_cursor cursor = hbk_cursor_of(body);
    *out_hello = (struct hbk_server_hello){0};
    out_hello->legacy_version = (uint16_t)hbk_cursor_number(&cursor, 2);
    out_hello->random = hbk_cursor_take(&cursor, HBK_MESSAGE_RANDOM_BYTES);
    out_hello->session_id = take_piece(&cursor, 1);
    out_hello->suite = (uint16_t)hbk_cursor_number(&cursor, 2);
    out_hello->compression = (uint8_t)hbk_cursor_number(&cursor, 1);
    if (cursor.has_failed || out_hello->session_id.size > HBK_MESSAGE_SESSION_ID_BYTES_MAX) {
        return malformed("a malformed ServerHello");
    }
    if (cursor.left.size == 0) {
        return HBK_NO_COMPLAINT; /* of an older TLS, without extensions */
    }
    struct hbk_slice extensions = take_piece(&cursor, 2);
    if (!is_done(&cursor)) {
        return malformed("a malformed ServerHello");
    }
    if (!has_versions(extensions)) {
        return HBK_NO_COMPLAINT;
    }
    out_hello->is_retry =
        hbk_slice_equal(out_hello->random, hbk_slice_of(hbk_retry_random, sizeof hbk_retry_random));
    struct extension_walk walk = {
        .rules = out_hello->is_retry ? retry_rules : server_rules,
        .rule_count = out_hello->is_retry ? HBK_COUNT(retry_rules) : HBK_COUNT(server_rules),
        .stranger = IS_REFUSED,
        .offered = UINT32_MAX, /* what was offered is the state machine's to know */
        .out = out_hello,
        .has = &out_hello->has,
    };
    return read_extensions(&walk, extensions);
}

/* ---- EncryptedExtensions ---- */

static struct hbk_complaint read_protocol(struct hbk_slice body, void *out)
{
    struct hbk_encrypted_extensions *extensions = out;
    struct hbk_slice list;
    if (!take_whole(body, 2, &list)) {
        return malformed("a malformed application protocol");
    }
    struct hbk_cursor cursor = hbk_cursor_of(list);
    extensions->protocol = take_piece(&cursor, 1);
    return is_done(&cursor) && extensions->protocol.size > 0
               ? HBK_NO_COMPLAINT
               : malformed("a malformed application protocol");
}

static struct hbk_complaint read_server_limit(struct hbk_slice body, void *out)
{
    enum { LIMIT_MIN = 64 }; /* RFC 8449, 4 */
    struct hbk_encrypted_extensions *extensions = out;
    if (!take_number(body, &extensions->record_size_limit)) {
        return malformed("a malformed record_size_limit");
    }
    return extensions->record_size_limit >= LIMIT_MIN
               ? HBK_NO_COMPLAINT
               : complain(HBK_ALERT_ILLEGAL_PARAMETER, "a record size limit that is too low");
}

/* The server's own groups, for a client's next time; we do not remember them. */
static struct hbk_complaint read_server_groups(struct hbk_slice body, void *out)
{
    struct hbk_slice list;
    (void)out;
    return take_numbers(body, 2, &list) ? HBK_NO_COMPLAINT
                                        : malformed("a malformed list of groups");
}

/* It may only answer an offer of early data, which we never make. */
static struct hbk_complaint refuse_misplaced(struct hbk_slice body, void *out)
{
    (void)body;
    (void)out;
    return complain(HBK_ALERT_ILLEGAL_PARAMETER, "an extension that may not stand here");
}

static const struct extension_rule encrypted_rules[] = {
    {HBK_EXTENSION_SERVER_NAME, HBK_HAS_SERVER_NAME, read_empty},
    {HBK_EXTENSION_SUPPORTED_GROUPS, HBK_HAS_GROUPS, read_server_groups},
    {HBK_EXTENSION_ALPN, HBK_HAS_PROTOCOLS, read_protocol},
    {HBK_EXTENSION_RECORD_SIZE_LIMIT, HBK_HAS_RECORD_SIZE_LIMIT, read_server_limit},
    /* Known, but of another message (4.2). */
    {HBK_EXTENSION_SIGNATURE_ALGORITHMS, HBK_HAS_SCHEMES, refuse_misplaced},
    {HBK_EXTENSION_STATUS_REQUEST, HBK_HAS_STATUS_REQUEST, refuse_misplaced},
};

struct hbk_complaint hbk_encrypted_extensions_read(struct hbk_slice body, uint32_t offered,
                                                   struct hbk_encrypted_extensions *out_extensions)
{
    struct hbk_cursor cursor = hbk_cursor_of(body);
    struct hbk_slice extensions = take_piece(&cursor, 2);
    *out_extensions = (struct hbk_encrypted_extensions){0};
    if (!is_done(&cursor)) {
        return malformed("malformed EncryptedExtensions");
    }
    struct extension_walk walk = {
        .rules = encrypted_rules,
        .rule_count = HBK_COUNT(encrypted_rules),
        .stranger = IS_REFUSED,
        .offered = offered,
        .out = out_extensions,
        .has = &out_extensions->has,
    };
    return read_extensions(&walk, extensions);
}

/* ---- CertificateRequest ---- */

static struct hbk_complaint read_request_schemes(struct hbk_slice body, void *out)
{
    struct hbk_certificate_request *request = out;
    return take_numbers(body, 2, &request->schemes)
               ? HBK_NO_COMPLAINT
               : malformed("a malformed list of signature algorithms");
}

static struct hbk_complaint read_request_certificate_schemes(struct hbk_slice body, void *out)
{
    struct hbk_slice list;
    (void)out;
    return take_numbers(body, 2, &list) ? HBK_NO_COMPLAINT
                                        : malformed("a malformed list of signature algorithms");
}

static struct hbk_complaint read_request_authorities(struct hbk_slice body, void *out)
{
    struct hbk_certificate_request *request = out;
    return take_whole(body, 2, &request->authorities) && are_authorities(request->authorities)
               ? HBK_NO_COMPLAINT
               : malformed("a malformed list of authorities");
}

static struct hbk_complaint read_request_status(struct hbk_slice body, void *out)
{
    struct hbk_certificate_request *request = out;
    request->wants_ocsp = body.size > 0 && body.bytes[0] == HBK_STATUS_TYPE_OCSP;
    return HBK_NO_COMPLAINT;
}

static const struct extension_rule request_rules[] = {
    {HBK_EXTENSION_SIGNATURE_ALGORITHMS, HBK_HAS_SCHEMES, read_request_schemes},
    {HBK_EXTENSION_SIGNATURE_ALGORITHMS_CERT, HBK_HAS_CERTIFICATE_SCHEMES,
     read_request_certificate_schemes},
    {HBK_EXTENSION_AUTHORITIES, HBK_HAS_AUTHORITIES, read_request_authorities},
    {HBK_EXTENSION_STATUS_REQUEST, HBK_HAS_STATUS_REQUEST, read_request_status},
};

struct hbk_complaint hbk_certificate_request_read(struct hbk_slice body,
                                                  struct hbk_certificate_request *out_request)
{
    struct hbk_cursor cursor = hbk_cursor_of(body);
    *out_request = (struct hbk_certificate_request){0};
    out_request->context = take_piece(&cursor, 1);
    struct hbk_slice extensions = take_piece(&cursor, 2);
    if (!is_done(&cursor)) {
        return malformed("a malformed CertificateRequest");
    }
    struct extension_walk walk = {
        .rules = request_rules,
        .rule_count = HBK_COUNT(request_rules),
        .stranger = IS_PASSED_OVER,
        .out = out_request,
        .has = &out_request->has,
    };
    TRY_READ(read_extensions(&walk, extensions));
    return (out_request->has & HBK_HAS_SCHEMES) != 0
               ? HBK_NO_COMPLAINT
               : complain(HBK_ALERT_MISSING_EXTENSION,
                          "a CertificateRequest without signature algorithms");
}

/* ---- Certificate, CertificateVerify ---- */

static struct hbk_complaint read_staple(struct hbk_slice body, void *out)
{
    struct hbk_slice *staple = out;
    struct hbk_cursor cursor = hbk_cursor_of(body);
    uint64_t type = hbk_cursor_number(&cursor, 1);
    *staple = take_piece(&cursor, 3);
    return is_done(&cursor) && type == HBK_STATUS_TYPE_OCSP && staple->size > 0
               ? HBK_NO_COMPLAINT
               : malformed("a malformed OCSP response");
}

static const struct extension_rule certificate_rules[] = {
    {HBK_EXTENSION_STATUS_REQUEST, HBK_HAS_STATUS_REQUEST, read_staple},
};

static struct hbk_complaint read_entry(struct hbk_cursor *list, uint32_t offered,
                                       struct hbk_certificate_message *message)
{
    struct hbk_slice certificate = take_piece(list, 3);
    struct hbk_slice extensions = take_piece(list, 2);
    struct hbk_slice staple = hbk_slice_of(NULL, 0);
    uint32_t has = 0;
    if (list->has_failed || certificate.size == 0) {
        return malformed("a malformed list of certificates");
    }
    struct extension_walk walk = {
        .rules = certificate_rules,
        .rule_count = HBK_COUNT(certificate_rules),
        .stranger = IS_REFUSED,
        .offered = offered,
        .out = &staple,
        .has = &has,
    };
    TRY_READ(read_extensions(&walk, extensions));
    if (message->count == 0) {
        message->staple = staple;
    }
    if (message->count < HBK_COUNT(message->certificates)) {
        message->certificates[message->count] = certificate;
    }
    message->count++;
    return HBK_NO_COMPLAINT;
}

struct hbk_complaint hbk_certificate_message_read(struct hbk_slice body, uint32_t offered,
                                                  struct hbk_certificate_message *out_message)
{
    struct hbk_cursor cursor = hbk_cursor_of(body);
    *out_message = (struct hbk_certificate_message){0};
    out_message->context = take_piece(&cursor, 1);
    struct hbk_cursor list = hbk_cursor_of(take_piece(&cursor, 3));
    if (!is_done(&cursor)) {
        return malformed("a malformed Certificate message");
    }
    while (list.left.size > 0) {
        TRY_READ(read_entry(&list, offered, out_message));
    }
    return HBK_NO_COMPLAINT;
}

struct hbk_complaint hbk_certificate_verify_read(struct hbk_slice body,
                                                 struct hbk_certificate_verify *out_verify)
{
    struct hbk_cursor cursor = hbk_cursor_of(body);
    out_verify->scheme = (uint16_t)hbk_cursor_number(&cursor, 2);
    out_verify->signature = take_piece(&cursor, 2);
    return is_done(&cursor) ? HBK_NO_COMPLAINT : malformed("a malformed CertificateVerify");
}

/* ---- NewSessionTicket ---- */

/* How much early data would be taken; we send none. */
static struct hbk_complaint read_early_data(struct hbk_slice body, void *out)
{
    (void)out;
    return body.size == 4 ? HBK_NO_COMPLAINT : malformed("a malformed early_data");
}

static const struct extension_rule ticket_rules[] = {
    {HBK_EXTENSION_EARLY_DATA, HBK_HAS_EARLY_DATA, read_early_data},
};

struct hbk_complaint hbk_new_session_ticket_read(struct hbk_slice body,
                                                 struct hbk_new_session_ticket *out_ticket)
{
    struct hbk_cursor cursor = hbk_cursor_of(body);
    uint32_t has = 0;
    out_ticket->lifetime_s = (uint32_t)hbk_cursor_number(&cursor, 4);
    out_ticket->age_add = (uint32_t)hbk_cursor_number(&cursor, 4);
    out_ticket->nonce = take_piece(&cursor, 1);
    out_ticket->ticket = take_piece(&cursor, 2);
    struct hbk_slice extensions = take_piece(&cursor, 2);
    if (!is_done(&cursor) || out_ticket->ticket.size == 0) {
        return malformed("a malformed NewSessionTicket");
    }
    struct extension_walk walk = {
        .rules = ticket_rules,
        .rule_count = HBK_COUNT(ticket_rules),
        .stranger = IS_PASSED_OVER,
        .has = &has,
    };
    return read_extensions(&walk, extensions);
}
