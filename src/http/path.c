/*
 * Envoy's forms, which are those of browsers (the URL standard): a backslash is a slash, letters,
 * digits and -._~ are never escaped, what a URL cannot hold is, and segments of one or two dots are
 * resolved (RFC 3986, 5.2.4 and 6.2.2). An escaped slash stays one here: whether it separates is
 * for the configuration to say.
 */
#include "http/path.h"

#include <string.h>

enum { ESCAPE_BYTES = 3 };

static int digit_of(uint8_t byte)
{
    uint8_t lower = byte | 0x20;
    return byte >= '0' && byte <= '9'     ? byte - '0'
           : lower >= 'a' && lower <= 'f' ? lower - 'a' + 10
                                          : -1;
}

/* The byte that is escaped at this place; -1: none. */
static int escaped_at(struct hbk_slice path, size_t at)
{
    if (path.size - at < ESCAPE_BYTES || path.bytes[at] != '%') {
        return -1;
    }
    int high = digit_of(path.bytes[at + 1]);
    int low = digit_of(path.bytes[at + 2]);
    return high < 0 || low < 0 ? -1 : high << 4 | low;
}

static bool is_slash(uint8_t byte)
{
    return byte == '/' || byte == '\\';
}

/* RFC 3986, 2.3. */
static bool is_unreserved(int byte)
{
    int lower = byte | 0x20;
    return (byte >= '0' && byte <= '9') || (lower >= 'a' && lower <= 'z') || byte == '-' ||
           byte == '.' || byte == '_' || byte == '~';
}

static bool must_be_escaped(uint8_t byte)
{
    return byte <= ' ' || byte >= 0x7f || strchr("\"#<>?^`{|}", byte) != NULL;
}

/* The size of a dot at this place, written plainly or escaped; 0: there is none. */
static size_t dot_at(struct hbk_slice path, size_t at)
{
    return at < path.size && path.bytes[at] == '.' ? 1
           : escaped_at(path, at) == '.'           ? ESCAPE_BYTES
                                                   : 0;
}

static bool ends_segment(struct hbk_slice path, size_t at)
{
    return at >= path.size || is_slash(path.bytes[at]);
}

/* The size of a segment of `dots` dots at this place, with the slash behind it; 0: it is none. */
static size_t dots_at(struct hbk_slice path, size_t at, unsigned dots)
{
    size_t end = at;
    for (unsigned i = 0; i < dots; i++) {
        size_t size = dot_at(path, end);
        if (size == 0) {
            return 0;
        }
        end += size;
    }
    return !ends_segment(path, end) ? 0 : (end < path.size ? end + 1 : end) - at;
}

/* Takes the last segment away, but for the first slash. `used` ends behind a slash. */
static size_t back_up(const uint8_t *bytes, size_t used)
{
    for (used--; used > 0 && bytes[used - 1] != '/'; used--) {
    }
    return used == 0 ? 1 : used;
}

/* Writes one byte or escape; returns how many bytes of the path it was. 0: a zero byte. */
static size_t put_one(struct hbk_slice path, size_t at, uint8_t *bytes, size_t *used)
{
    static const char digits[] = "0123456789ABCDEF";
    uint8_t byte = path.bytes[at];
    int escaped = escaped_at(path, at);
    if (escaped == 0) {
        return 0;
    }
    if (escaped > 0 && is_unreserved(escaped)) {
        bytes[(*used)++] = (uint8_t)escaped;
        return ESCAPE_BYTES;
    }
    if (escaped > 0) { /* as it was written */
        memcpy(bytes + *used, path.bytes + at, ESCAPE_BYTES);
        *used += ESCAPE_BYTES;
        return ESCAPE_BYTES;
    }
    if (must_be_escaped(byte)) {
        bytes[(*used)++] = '%';
        bytes[(*used)++] = (uint8_t)digits[byte >> 4];
        bytes[(*used)++] = (uint8_t)digits[byte & 15];
        return 1;
    }
    bytes[(*used)++] = is_slash(byte) ? '/' : byte;
    return 1;
}

/* `bytes` has room for three times the path. False: it has a zero byte. */
static bool normalize(struct hbk_slice path, uint8_t *bytes, size_t *out_size)
{
    size_t used = 0;
    for (size_t at = 0; at < path.size;) {
        bool begins = used > 0 && bytes[used - 1] == '/';
        size_t one = begins ? dots_at(path, at, 1) : 0;
        size_t two = begins ? dots_at(path, at, 2) : 0;
        if (one > 0 || two > 0) {
            used = two > 0 ? back_up(bytes, used) : used;
            at += one + two; /* only one of them is there */
            continue;
        }
        size_t size = put_one(path, at, bytes, &used);
        if (size == 0) {
            return false;
        }
        at += size;
    }
    *out_size = used;
    return true;
}

/* "%2f" and "%5c" in either case; false: there was none. */
static bool unescape_slashes(struct hbk_slice path, uint8_t *bytes, size_t *out_size)
{
    size_t used = 0;
    for (size_t at = 0; at < path.size;) {
        int escaped = escaped_at(path, at);
        bool is_one = escaped == '/' || escaped == '\\';
        bytes[used++] = is_one ? (uint8_t)escaped : path.bytes[at];
        at += is_one ? ESCAPE_BYTES : 1;
    }
    *out_size = used;
    return used < path.size;
}

/* Runs of slashes become one; a path of slashes alone becomes two, as with Envoy. In place. */
static size_t merge_slashes(uint8_t *bytes, size_t size)
{
    size_t used = 0;
    for (size_t at = 0; at < size; at++) {
        if (bytes[at] != '/' || used == 0 || bytes[used - 1] != '/') {
            bytes[used++] = bytes[at];
        }
    }
    if (used == 1 && size > 1) {
        bytes[used++] = '/';
    }
    return used;
}

hbk_status hbk_gw_path_settle(const struct hbk_gw_http_connection_manager *http,
                              struct hbk_arena *arena, struct hbk_slice *path,
                              enum hbk_gw_path_verdict *out_verdict)
{
    const int action = http->path_with_escaped_slashes_action;
    bool looks = action > HBK_GW_SLASHES_KEEP;
    size_t end = path->size, size = 0;
    *out_verdict = HBK_GW_PATH_GOES_ON;
    if (hbk_slice_find(*path, '#', &end)) { /* no part of a request's target (RFC 9112, 3.2) */
        *out_verdict = HBK_GW_PATH_IS_REFUSED;
        return HBK_OK;
    }
    if (!looks && !http->normalize_path && !http->merge_slashes) {
        return HBK_OK;
    }
    (void)hbk_slice_find(*path, '?', &end);
    struct hbk_slice before = hbk_slice_part(*path, 0, end);
    struct hbk_slice query = hbk_slice_part(*path, end, path->size);
    struct hbk_span plain = hbk_arena_bytes(arena, before.size);
    struct hbk_span room = hbk_arena_bytes(arena, ESCAPE_BYTES * before.size + query.size);
    if (plain.bytes == NULL || room.bytes == NULL) {
        return HBK_NO_MEMORY;
    }
    if (looks && unescape_slashes(before, plain.bytes, &size)) {
        before = hbk_slice_of(plain.bytes, size);
        *out_verdict = action == HBK_GW_SLASHES_REJECT     ? HBK_GW_PATH_IS_REFUSED
                       : action == HBK_GW_SLASHES_REDIRECT ? HBK_GW_PATH_IS_REDIRECTED
                                                           : HBK_GW_PATH_GOES_ON;
    }
    if (http->normalize_path) {
        if (!normalize(before, room.bytes, &size)) {
            *out_verdict = HBK_GW_PATH_IS_REFUSED;
            return HBK_OK;
        }
    } else {
        size = before.size;
        memcpy(room.bytes, before.bytes, size);
    }
    size = http->merge_slashes ? merge_slashes(room.bytes, size) : size;
    if (query.size > 0) {
        memcpy(room.bytes + size, query.bytes, query.size);
    }
    *path = hbk_slice_of(room.bytes, size + query.size);
    return HBK_OK;
}
