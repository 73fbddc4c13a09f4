/* What each operator of a text comes to, for one exchange or connection. */
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/assert.h"
#include "base/clock.h"
#include "http/format_parts.h"

static struct hbk_gw_value no_value(void)
{
    return (struct hbk_gw_value){.text = {NULL, 0}};
}

static struct hbk_gw_value number_value(uint64_t number)
{
    return (struct hbk_gw_value){.number = number, .is_number = true};
}

static struct hbk_gw_value text_value(const char *text)
{
    return text == NULL ? no_value() : (struct hbk_gw_value){.text = hbk_slice_text(text)};
}

/* One word, so that lines can be taken apart at blanks. */
static struct hbk_gw_value failure_value(const char *text, char room[static HBK_GW_VALUE_BYTES_MAX])
{
    size_t size = 0;
    for (; text != NULL && text[size] != '\0' && size < HBK_GW_VALUE_BYTES_MAX; size++) {
        room[size] = text[size] == ' ' ? '_' : text[size];
    }
    return (struct hbk_gw_value){.text = hbk_slice_of(text == NULL ? NULL : room, size)};
}

static struct hbk_gw_value slice_value(struct hbk_slice text)
{
    return text.size == 0 ? no_value() : (struct hbk_gw_value){.text = text};
}

static struct hbk_gw_value duration_value(uint64_t duration_ns)
{
    return duration_ns == UINT64_MAX ? no_value() : number_value(duration_ns / HBK_NS_PER_MS);
}

static struct hbk_gw_value address_value(const struct hbk_address *address, bool has_port,
                                         char room[static HBK_ADDRESS_TEXT_BYTES_MAX])
{
    if (address->ip.size == 0) {
        return no_value();
    }
    return text_value(has_port ? hbk_address_text(address, room) : hbk_ip_text(&address->ip, room));
}

static struct hbk_gw_value port_value(const struct hbk_address *address)
{
    return address->ip.size == 0 ? no_value() : number_value(address->port);
}

static struct hbk_slice find_in(const struct hbk_gw_head *head, struct hbk_slice name,
                                struct hbk_slice original_path)
{
    if (head == NULL || name.size == 0) {
        return hbk_slice_of(NULL, 0);
    }
    if (name.bytes[0] == ':') {
        return hbk_slice_equal(name, HBK_SLICE(":method"))      ? head->method
               : hbk_slice_equal(name, HBK_SLICE(":path"))      ? head->path
               : hbk_slice_equal(name, HBK_SLICE(":authority")) ? head->authority
               : hbk_slice_equal(name, HBK_SLICE(":scheme"))    ? head->scheme
                                                                : hbk_slice_of(NULL, 0);
    }
    if (hbk_slice_equal(name, HBK_SLICE("x-envoy-original-path"))) {
        return original_path;
    }
    return hbk_gw_head_find(head, name);
}

static struct hbk_gw_value field_value(const struct hbk_gw_head *head,
                                       const struct hbk_gw_part *part,
                                       struct hbk_slice original_path)
{
    struct hbk_slice text = find_in(head, part->name, original_path);
    if (text.bytes == NULL) {
        text = find_in(head, part->other_name, original_path);
    }
    if (part->bytes_max > 0) {
        text = hbk_slice_part(text, 0, part->bytes_max);
    }
    return text.bytes == NULL ? no_value() : (struct hbk_gw_value){.text = text};
}

/* strftime() with %f, %1f to %9f for fractions of a second, and %s. */
static struct hbk_gw_value time_value(const struct hbk_gw_part *part, int64_t start_ns,
                                      char room[static HBK_GW_TIME_BYTES_MAX])
{
    char format[HBK_GW_TIME_BYTES_MAX];
    size_t used = 0;
    time_t seconds = (time_t)(start_ns / (int64_t)HBK_NS_PER_S);
    unsigned fraction = (unsigned)(start_ns % (int64_t)HBK_NS_PER_S);
    struct hbk_slice text = part->text.size > 0 ? part->text : HBK_SLICE("%Y-%m-%dT%H:%M:%S.%3fZ");
    for (size_t i = 0; i < text.size && used + 12 < sizeof format; i++) {
        uint8_t next = i + 1 < text.size ? text.bytes[i + 1] : 0;
        uint8_t after = i + 2 < text.size ? text.bytes[i + 2] : 0;
        bool is_digits = text.bytes[i] == '%' && next >= '1' && next <= '9' && after == 'f';
        if (is_digits || (text.bytes[i] == '%' && next == 'f')) {
            char digits[16];
            int count = is_digits ? next - '0' : 9;
            (void)snprintf(digits, sizeof digits, "%09u", fraction);
            memcpy(format + used, digits, (size_t)count);
            used += (size_t)count;
            i += is_digits ? 2 : 1;
        } else {
            format[used++] = (char)text.bytes[i];
        }
    }
    format[used] = '\0';
    struct tm parts;
    (void)gmtime_r(&seconds, &parts);
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
    size_t size = strftime(room, HBK_GW_TIME_BYTES_MAX, format, &parts);
#pragma GCC diagnostic pop
    return (struct hbk_gw_value){.text = hbk_slice_of(room, size)};
}

static struct hbk_gw_value host_name(char room[static HBK_GW_TIME_BYTES_MAX])
{
    return gethostname(room, HBK_GW_TIME_BYTES_MAX) == 0 ? text_value(room) : no_value();
}

/* ---- TLS ---- */

/* Hexadecimal, as Envoy writes it: small letters, two for each byte. */
static struct hbk_gw_value serial_value(const char *text, char room[static HBK_GW_VALUE_BYTES_MAX])
{
    size_t size = 0;
    for (; text[size] != '\0' && size + 1 < HBK_GW_VALUE_BYTES_MAX; size++) {
        room[size] = text[size] >= 'A' && text[size] <= 'F' ? (char)(text[size] + 32) : text[size];
    }
    return slice_value(hbk_slice_of(room, size));
}

static struct hbk_gw_value digest_value(const uint8_t *bytes, size_t size,
                                        char room[static HBK_GW_VALUE_BYTES_MAX])
{
    for (size_t i = 0; i < size; i++) {
        (void)snprintf(room + 2 * i, 3, "%02x", bytes[i]);
    }
    return text_value(room);
}

static struct hbk_gw_value peer_value(const struct hbk_gw_part *part, const struct hbk_peer *peer,
                                      char room[static HBK_GW_VALUE_BYTES_MAX])
{
    struct hbk_span span = hbk_span_of(room, HBK_GW_VALUE_BYTES_MAX);
    switch (part->op) {
    case HBK_GW_OP_PEER_URI_SAN:
        return slice_value(hbk_gw_tls_names(peer->names.uris, span));
    case HBK_GW_OP_PEER_DNS_SAN:
        return slice_value(hbk_gw_tls_names(peer->names.dns_names, span));
    case HBK_GW_OP_PEER_SUBJECT:
        return slice_value(peer->names.subject);
    case HBK_GW_OP_PEER_ISSUER:
        return slice_value(peer->names.issuer);
    case HBK_GW_OP_PEER_SERIAL:
        return serial_value(peer->serial_text, room);
    case HBK_GW_OP_PEER_FINGERPRINT_1:
        return digest_value(peer->leaf_sha1, sizeof peer->leaf_sha1, room);
    case HBK_GW_OP_PEER_FINGERPRINT_256:
        return digest_value(peer->leaf_sha256, sizeof peer->leaf_sha256, room);
    case HBK_GW_OP_PEER_START:
        return time_value(part, peer->leaf_not_before_ns, room);
    case HBK_GW_OP_PEER_END:
        return time_value(part, peer->leaf_not_after_ns, room);
    default:
        return no_value();
    }
}

static struct hbk_gw_value tls_value(const struct hbk_gw_part *part,
                                     const struct hbk_gw_tls_facts *tls,
                                     char room[static HBK_GW_VALUE_BYTES_MAX])
{
    struct hbk_span span = hbk_span_of(room, HBK_GW_VALUE_BYTES_MAX);
    if (tls == NULL) {
        return no_value();
    }
    switch (part->op) {
    case HBK_GW_OP_TLS_VERSION:
        return text_value(tls->version);
    case HBK_GW_OP_TLS_CIPHER:
        return text_value(tls->cipher);
    case HBK_GW_OP_OWN_URI_SAN:
        return slice_value(hbk_gw_tls_names(tls->own.uris, span));
    case HBK_GW_OP_OWN_DNS_SAN:
        return slice_value(hbk_gw_tls_names(tls->own.dns_names, span));
    case HBK_GW_OP_OWN_SUBJECT:
        return slice_value(tls->own.subject);
    default:
        return tls->peer == NULL ? no_value() : peer_value(part, tls->peer, room);
    }
}

/* ---- gRPC ---- */

static const struct {
    const char *camel, *snake;
} grpc_names[] = {
    {"OK", "OK"},
    {"Canceled", "CANCELLED"},
    {"Unknown", "UNKNOWN"},
    {"InvalidArgument", "INVALID_ARGUMENT"},
    {"DeadlineExceeded", "DEADLINE_EXCEEDED"},
    {"NotFound", "NOT_FOUND"},
    {"AlreadyExists", "ALREADY_EXISTS"},
    {"PermissionDenied", "PERMISSION_DENIED"},
    {"ResourceExhausted", "RESOURCE_EXHAUSTED"},
    {"FailedPrecondition", "FAILED_PRECONDITION"},
    {"Aborted", "ABORTED"},
    {"OutOfRange", "OUT_OF_RANGE"},
    {"Unimplemented", "UNIMPLEMENTED"},
    {"Internal", "INTERNAL"},
    {"Unavailable", "UNAVAILABLE"},
    {"DataLoss", "DATA_LOSS"},
    {"Unauthenticated", "UNAUTHENTICATED"},
};

static bool is_grpc(const struct hbk_gw_head *request)
{
    const struct hbk_slice type = HBK_SLICE("application/grpc");
    struct hbk_slice found = request == NULL ? hbk_slice_of(NULL, 0)
                                             : hbk_gw_head_find(request, HBK_SLICE("content-type"));
    return hbk_slice_starts_with(found, type) &&
           (found.size == type.size || found.bytes[type.size] == '+');
}

static bool read_grpc(const struct hbk_gw_head *head, uint64_t *out_number)
{
    struct hbk_slice text =
        head == NULL ? hbk_slice_of(NULL, 0) : hbk_gw_head_find(head, HBK_SLICE("grpc-status"));
    return text.size > 0 && hbk_slice_to_u64(text, UINT32_MAX, out_number);
}

/* What a status of HTTP means to a gRPC client that found none of its own (gRPC over HTTP/2). */
static uint64_t grpc_of_status(uint32_t status)
{
    enum { UNKNOWN = 2, PERMISSION_DENIED = 7, UNIMPLEMENTED = 12, INTERNAL = 13 };
    enum { UNAVAILABLE = 14, UNAUTHENTICATED = 16 };
    switch (status) {
    case 400:
        return INTERNAL;
    case 401:
        return UNAUTHENTICATED;
    case 403:
        return PERMISSION_DENIED;
    case 404:
        return UNIMPLEMENTED;
    case 429:
    case 502:
    case 503:
    case 504:
        return UNAVAILABLE;
    default:
        return UNKNOWN;
    }
}

static struct hbk_gw_value grpc_value(const struct hbk_gw_part *part,
                                      const struct hbk_gw_info *info)
{
    uint64_t number = 0;
    if (!is_grpc(info->request)) {
        return no_value();
    }
    if (!read_grpc(info->trailers, &number) && !read_grpc(info->response, &number)) {
        if (info->status == 0) {
            return no_value();
        }
        number = grpc_of_status(info->status);
    }
    if (part->style == HBK_GW_GRPC_NUMBER || number >= HBK_COUNT(grpc_names)) {
        return number_value(number);
    }
    return text_value(part->style == HBK_GW_GRPC_CAMEL ? grpc_names[number].camel
                                                       : grpc_names[number].snake);
}

/* ---- all of them ---- */

static const void *at_place(const struct hbk_gw_info *info, size_t place)
{
    return (const uint8_t *)info + place;
}

static struct hbk_gw_value id_value(const struct hbk_gw_info *info)
{
    return info->request == NULL
               ? no_value()
               : slice_value(hbk_gw_head_find(info->request, HBK_SLICE("x-request-id")));
}

/* flat: one case per operator */
struct hbk_gw_value hbk_gw_format_value(const struct hbk_gw_part *part,
                                        const struct hbk_gw_info *info,
                                        char room[static HBK_GW_VALUE_BYTES_MAX])
{
    switch (part->op) {
    case HBK_GW_OP_LITERAL:
        return (struct hbk_gw_value){.text = part->text};
    case HBK_GW_OP_START_TIME:
        return time_value(part, info->start_ns, room);
    case HBK_GW_OP_REQ:
        return field_value(info->request, part, info->original_path);
    case HBK_GW_OP_RESP:
        return field_value(info->response, part, hbk_slice_of(NULL, 0));
    case HBK_GW_OP_TRAILER:
        return field_value(info->trailers, part, hbk_slice_of(NULL, 0));
    case HBK_GW_OP_PROTOCOL:
        return text_value(info->protocol);
    case HBK_GW_OP_RESPONSE_CODE:
        return number_value(info->status);
    case HBK_GW_OP_RESPONSE_CODE_DETAILS:
        return text_value(info->details);
    case HBK_GW_OP_TERMINATION:
        return text_value(info->termination);
    case HBK_GW_OP_RESPONSE_FLAGS:
    case HBK_GW_OP_RESPONSE_FLAGS_LONG:
    case HBK_GW_OP_PEER_CERT:
    case HBK_GW_OP_NOTHING:
        return no_value(); /* or written apart */
    case HBK_GW_OP_BYTES_RECEIVED:
        return number_value(info->received_bytes);
    case HBK_GW_OP_BYTES_SENT:
        return number_value(info->sent_bytes);
    case HBK_GW_OP_WIRE_RECEIVED:
        return number_value(info->received_wire_bytes);
    case HBK_GW_OP_WIRE_SENT:
        return number_value(info->sent_wire_bytes);
    case HBK_GW_OP_DURATION:
        return duration_value(info->duration_ns);
    case HBK_GW_OP_REQUEST_DURATION:
        return duration_value(info->request_ns);
    case HBK_GW_OP_RESPONSE_DURATION:
        return duration_value(info->response_ns);
    case HBK_GW_OP_RESPONSE_TX_DURATION:
        return info->response_ns == UINT64_MAX
                   ? no_value()
                   : duration_value(info->duration_ns - info->response_ns);
    case HBK_GW_OP_ROUTE_NAME:
        return slice_value(info->route);
    case HBK_GW_OP_FILTER_CHAIN_NAME:
        return slice_value(info->filter_chain);
    case HBK_GW_OP_CONNECTION_ID:
        return number_value(info->connection_id);
    case HBK_GW_OP_STREAM_ID:
        return id_value(info);
    case HBK_GW_OP_HOSTNAME:
        return host_name(room);
    case HBK_GW_OP_GRPC_STATUS:
        return grpc_value(part, info);
    case HBK_GW_OP_LOG_TYPE:
        return text_value(info->log_type == NULL ? "NotSet" : info->log_type);
    case HBK_GW_OP_CLUSTER:
        return slice_value(info->cluster);
    case HBK_GW_OP_ATTEMPTS:
        return number_value(info->attempts);
    case HBK_GW_OP_UPSTREAM_PROTOCOL:
        return text_value(info->upstream_protocol);
    case HBK_GW_OP_UPSTREAM_FAILURE:
        return failure_value(info->upstream_failure, room);
    case HBK_GW_OP_DOWNSTREAM_FAILURE:
        return failure_value(info->downstream_failure, room);
    case HBK_GW_OP_SERVER_NAME:
        return text_value(info->tls == NULL ? NULL : info->tls->server_name);
    case HBK_GW_OP_ADDRESS:
        return address_value(at_place(info, part->place), true, room);
    case HBK_GW_OP_ADDRESS_IP:
        return address_value(at_place(info, part->place), false, room);
    case HBK_GW_OP_ADDRESS_PORT:
        return port_value(at_place(info, part->place));
    case HBK_GW_OP_TLS_VERSION:
    case HBK_GW_OP_TLS_CIPHER:
    case HBK_GW_OP_PEER_URI_SAN:
    case HBK_GW_OP_PEER_DNS_SAN:
    case HBK_GW_OP_PEER_SUBJECT:
    case HBK_GW_OP_PEER_ISSUER:
    case HBK_GW_OP_PEER_SERIAL:
    case HBK_GW_OP_PEER_FINGERPRINT_1:
    case HBK_GW_OP_PEER_FINGERPRINT_256:
    case HBK_GW_OP_PEER_START:
    case HBK_GW_OP_PEER_END:
    case HBK_GW_OP_OWN_URI_SAN:
    case HBK_GW_OP_OWN_DNS_SAN:
    case HBK_GW_OP_OWN_SUBJECT:
        return tls_value(part, *(const struct hbk_gw_tls_facts *const *)at_place(info, part->place),
                         room);
    }
    HBK_UNREACHABLE();
}
