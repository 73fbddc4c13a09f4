#include "load/target.h"

enum { HTTP_PORT = 80, HTTPS_PORT = 443, PORT_MAX = 65535 };

/* Splits "scheme://rest"; a text without "://" before its first slash has no scheme. */
static hbk_status take_scheme(struct hbk_slice *rest, struct hbk_load_target *target,
                              struct hbk_error *error)
{
    struct hbk_slice scheme;
    size_t colon;
    target->scheme = HBK_LOAD_HTTP;
    if (!hbk_slice_find(*rest, ':', &colon) ||
        !hbk_slice_starts_with(hbk_slice_part(*rest, colon, 3), HBK_SLICE("://"))) {
        return HBK_OK;
    }
    scheme = hbk_slice_part(*rest, 0, colon);
    *rest = hbk_slice_part(*rest, colon + 3, rest->size);
    bool is_https = hbk_slice_equal_nocase(scheme, HBK_SLICE("https"));
    bool is_tls = hbk_slice_equal_nocase(scheme, HBK_SLICE("tls"));
    target->is_tls = is_https || is_tls;
    if (is_https || hbk_slice_equal_nocase(scheme, HBK_SLICE("http"))) {
        return HBK_OK;
    }
    if (is_tls || hbk_slice_equal_nocase(scheme, HBK_SLICE("tcp"))) {
        target->scheme = HBK_LOAD_TCP;
        return HBK_OK;
    }
    return hbk_error_set(error, HBK_UNSUPPORTED,
                         "scheme \"%.*s\": only http, https, tcp and tls are spoken",
                         HBK_SLICE_ARGS(scheme));
}

/* Splits the authority into host and, behind it, ":port" or nothing. */
static hbk_status take_host(struct hbk_slice authority, struct hbk_load_target *target,
                            struct hbk_slice *out_port, struct hbk_error *error)
{
    size_t end = authority.size;
    if (hbk_slice_find(authority, '@', &end)) {
        return hbk_error_set(error, HBK_UNSUPPORTED, "a user name in the URL is not supported");
    }
    if (hbk_slice_starts_with(authority, HBK_SLICE("["))) {
        if (!hbk_slice_find(authority, ']', &end)) {
            return hbk_error_set(error, HBK_INVALID, "\"[\" without \"]\" in \"%.*s\"",
                                 HBK_SLICE_ARGS(authority));
        }
        target->host = hbk_slice_part(authority, 1, end - 1);
        *out_port = hbk_slice_part(authority, end + 1, authority.size);
    } else {
        end = authority.size;
        (void)hbk_slice_find(authority, ':', &end);
        target->host = hbk_slice_part(authority, 0, end);
        *out_port = hbk_slice_part(authority, end, authority.size);
    }
    if (target->host.size == 0 || target->host.size > HBK_LOAD_HOST_BYTES_MAX) {
        return hbk_error_set(error, HBK_INVALID, "a host of 1 to %d characters is needed",
                             HBK_LOAD_HOST_BYTES_MAX);
    }
    return HBK_OK;
}

static hbk_status take_port(struct hbk_slice text, struct hbk_load_target *target,
                            struct hbk_error *error)
{
    uint64_t port = target->is_tls ? HTTPS_PORT : HTTP_PORT;
    if (text.size == 0 && target->scheme == HBK_LOAD_TCP) {
        return hbk_error_set(error, HBK_INVALID, "tcp:// and tls:// need a port");
    }
    if (text.size > 0) {
        if (text.bytes[0] != ':' ||
            !hbk_slice_to_u64(hbk_slice_part(text, 1, text.size), PORT_MAX, &port) || port == 0) {
            return hbk_error_set(error, HBK_INVALID,
                                 "\"%.*s\" behind the host: a port from 1 to 65535 is allowed",
                                 HBK_SLICE_ARGS(text));
        }
    }
    target->port = (uint16_t)port;
    return HBK_OK;
}

static hbk_status check_characters(struct hbk_slice url, struct hbk_error *error)
{
    if (url.size > HBK_LOAD_URL_BYTES_MAX) {
        return hbk_error_set(error, HBK_LIMIT, "longer than %d bytes", HBK_LOAD_URL_BYTES_MAX);
    }
    for (size_t i = 0; i < url.size; i++) {
        if (url.bytes[i] <= ' ' || url.bytes[i] >= 0x7f) {
            return hbk_error_set(error, HBK_INVALID,
                                 "byte 0x%02x at position %zu must be percent-encoded",
                                 url.bytes[i], i);
        }
    }
    return HBK_OK;
}

/* Where the authority ends: at the first of "/?#" or at the end. */
static size_t authority_size(struct hbk_slice rest)
{
    for (size_t i = 0; i < rest.size; i++) {
        if (rest.bytes[i] == '/' || rest.bytes[i] == '?' || rest.bytes[i] == '#') {
            return i;
        }
    }
    return rest.size;
}

hbk_status hbk_load_target_parse(struct hbk_slice url, struct hbk_load_target *out_target,
                                 struct hbk_error *error)
{
    struct hbk_load_target target = {.url = url, .path = HBK_SLICE("/")};
    struct hbk_slice rest = url, port;

    HBK_TRY(check_characters(url, error));
    HBK_TRY(take_scheme(&rest, &target, error));
    size_t end = authority_size(rest);
    target.authority = hbk_slice_part(rest, 0, end);
    rest = hbk_slice_part(rest, end, rest.size);
    HBK_TRY(take_host(target.authority, &target, &port, error));
    HBK_TRY(take_port(port, &target, error));

    size_t fragment = rest.size;
    (void)hbk_slice_find(rest, '#', &fragment);
    rest = hbk_slice_part(rest, 0, fragment);
    if (rest.size > 0 && (rest.bytes[0] != '/' || target.scheme == HBK_LOAD_TCP)) {
        return hbk_error_set(
            error, HBK_INVALID, "\"%.*s\" behind the port: %s", HBK_SLICE_ARGS(rest),
            target.scheme == HBK_LOAD_TCP ? "tcp:// has no path" : "a path begins with \"/\"");
    }
    if (rest.size > 0) {
        target.path = rest;
    }
    *out_target = target;
    return HBK_OK;
}
