#include "gateway/format.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "base/assert.h"
#include "base/clock.h"

enum { PARTS_MAX = 256, VALUE_BYTES_MAX = 4096, TIME_BYTES_MAX = 128 };

const char hbk_gw_default_format[] =
    "[%START_TIME%] \"%REQ(:METHOD)% %REQ(X-ENVOY-ORIGINAL-PATH?:PATH)% %PROTOCOL%\" "
    "%RESPONSE_CODE% %RESPONSE_FLAGS% %BYTES_RECEIVED% %BYTES_SENT% %DURATION% "
    "%RESP(X-ENVOY-UPSTREAM-SERVICE-TIME)% \"%REQ(X-FORWARDED-FOR)%\" \"%REQ(USER-AGENT)%\" "
    "\"%REQ(X-REQUEST-ID)%\" \"%REQ(:AUTHORITY)%\" \"%UPSTREAM_HOST%\"\n";

enum operator{
    OP_LITERAL,
    OP_START_TIME,
    OP_REQ,
    OP_RESP,
    OP_TRAILER,
    OP_PROTOCOL,
    OP_UPSTREAM_PROTOCOL,
    OP_RESPONSE_CODE,
    OP_RESPONSE_CODE_DETAILS,
    OP_CONNECTION_TERMINATION_DETAILS,
    OP_RESPONSE_FLAGS,
    OP_BYTES_RECEIVED,
    OP_BYTES_SENT,
    OP_DURATION,
    OP_REQUEST_DURATION,
    OP_RESPONSE_DURATION,
    OP_RESPONSE_TX_DURATION,
    OP_UPSTREAM_HOST,
    OP_UPSTREAM_CLUSTER,
    OP_UPSTREAM_LOCAL_ADDRESS,
    OP_UPSTREAM_FAILURE,
    OP_UPSTREAM_ATTEMPTS,
    OP_DOWNSTREAM_REMOTE,
    OP_DOWNSTREAM_REMOTE_IP,
    OP_DOWNSTREAM_REMOTE_PORT,
    OP_DOWNSTREAM_DIRECT,
    OP_DOWNSTREAM_DIRECT_IP,
    OP_DOWNSTREAM_LOCAL,
    OP_DOWNSTREAM_LOCAL_IP,
    OP_DOWNSTREAM_LOCAL_PORT,
    OP_REQUESTED_SERVER_NAME,
    OP_ROUTE_NAME,
    OP_FILTER_CHAIN_NAME,
    OP_CONNECTION_ID,
    OP_HOSTNAME,
    OP_GRPC_STATUS_NUMBER,
    OP_DOWNSTREAM_WIRE_RECEIVED,
    OP_DOWNSTREAM_WIRE_SENT,
    OP_TLS_VERSION,
    OP_TLS_CIPHER,
    OP_PEER_URI_SAN,
    OP_PEER_DNS_SAN,
    OP_PEER_SUBJECT,
    OP_PEER_SERIAL,
    OP_PEER_FINGERPRINT_256,
    OP_EMPTY, /* known, and never answered here */
};

/* Operators without arguments; those with them are below. */
static const struct {
    const char *name;
    enum operator op;
} plain_operators[] = {
    {"PROTOCOL", OP_PROTOCOL},
    {"UPSTREAM_PROTOCOL", OP_UPSTREAM_PROTOCOL},
    {"RESPONSE_CODE", OP_RESPONSE_CODE},
    {"RESPONSE_CODE_DETAILS", OP_RESPONSE_CODE_DETAILS},
    {"CONNECTION_TERMINATION_DETAILS", OP_CONNECTION_TERMINATION_DETAILS},
    {"RESPONSE_FLAGS", OP_RESPONSE_FLAGS},
    {"BYTES_RECEIVED", OP_BYTES_RECEIVED},
    {"BYTES_SENT", OP_BYTES_SENT},
    {"DOWNSTREAM_WIRE_BYTES_RECEIVED", OP_DOWNSTREAM_WIRE_RECEIVED},
    {"DOWNSTREAM_WIRE_BYTES_SENT", OP_DOWNSTREAM_WIRE_SENT},
    {"DURATION", OP_DURATION},
    {"REQUEST_DURATION", OP_REQUEST_DURATION},
    {"RESPONSE_DURATION", OP_RESPONSE_DURATION},
    {"RESPONSE_TX_DURATION", OP_RESPONSE_TX_DURATION},
    {"UPSTREAM_HOST", OP_UPSTREAM_HOST},
    {"UPSTREAM_REMOTE_ADDRESS", OP_UPSTREAM_HOST},
    {"UPSTREAM_CLUSTER", OP_UPSTREAM_CLUSTER},
    {"UPSTREAM_CLUSTER_RAW", OP_UPSTREAM_CLUSTER},
    {"UPSTREAM_LOCAL_ADDRESS", OP_UPSTREAM_LOCAL_ADDRESS},
    {"UPSTREAM_TRANSPORT_FAILURE_REASON", OP_UPSTREAM_FAILURE},
    {"UPSTREAM_REQUEST_ATTEMPT_COUNT", OP_UPSTREAM_ATTEMPTS},
    {"DOWNSTREAM_REMOTE_ADDRESS", OP_DOWNSTREAM_REMOTE},
    {"DOWNSTREAM_REMOTE_ADDRESS_WITHOUT_PORT", OP_DOWNSTREAM_REMOTE_IP},
    {"DOWNSTREAM_REMOTE_PORT", OP_DOWNSTREAM_REMOTE_PORT},
    {"DOWNSTREAM_DIRECT_REMOTE_ADDRESS", OP_DOWNSTREAM_DIRECT},
    {"DOWNSTREAM_DIRECT_REMOTE_ADDRESS_WITHOUT_PORT", OP_DOWNSTREAM_DIRECT_IP},
    {"DOWNSTREAM_LOCAL_ADDRESS", OP_DOWNSTREAM_LOCAL},
    {"DOWNSTREAM_LOCAL_ADDRESS_WITHOUT_PORT", OP_DOWNSTREAM_LOCAL_IP},
    {"DOWNSTREAM_LOCAL_PORT", OP_DOWNSTREAM_LOCAL_PORT},
    {"REQUESTED_SERVER_NAME", OP_REQUESTED_SERVER_NAME},
    {"ROUTE_NAME", OP_ROUTE_NAME},
    {"FILTER_CHAIN_NAME", OP_FILTER_CHAIN_NAME},
    {"CONNECTION_ID", OP_CONNECTION_ID},
    {"HOSTNAME", OP_HOSTNAME},
    {"GRPC_STATUS_NUMBER", OP_GRPC_STATUS_NUMBER},
    {"DOWNSTREAM_TLS_VERSION", OP_TLS_VERSION},
    {"DOWNSTREAM_TLS_CIPHER", OP_TLS_CIPHER},
    {"DOWNSTREAM_TLS_SESSION_ID", OP_EMPTY},
    {"DOWNSTREAM_PEER_URI_SAN", OP_PEER_URI_SAN},
    {"DOWNSTREAM_PEER_DNS_SAN", OP_PEER_DNS_SAN},
    {"DOWNSTREAM_PEER_SUBJECT", OP_PEER_SUBJECT},
    {"DOWNSTREAM_PEER_ISSUER", OP_EMPTY},
    {"DOWNSTREAM_PEER_SERIAL", OP_PEER_SERIAL},
    {"DOWNSTREAM_PEER_FINGERPRINT_256", OP_PEER_FINGERPRINT_256},
    {"DOWNSTREAM_LOCAL_URI_SAN", OP_EMPTY},
    {"DOWNSTREAM_LOCAL_SUBJECT", OP_EMPTY},
    {"DOWNSTREAM_TRANSPORT_FAILURE_REASON", OP_EMPTY},
};

struct part {
    enum operator op;
    struct hbk_slice text;             /* of a literal; of a time's format */
    struct hbk_slice name, other_name; /* of a field, and the one instead */
    size_t bytes_max;                  /* of a field's value; 0: any */
};

struct hbk_gw_format {
    size_t count;
    struct part parts[];
};

/* ---- parsing ---- */

/* "NAME?OTHER" */
static hbk_status read_names(struct hbk_slice text, struct hbk_arena *arena, struct part *part)
{
    size_t mark = text.size;
    (void)hbk_slice_find(text, '?', &mark);
    part->name = hbk_gw_copy_lower(arena, hbk_slice_part(text, 0, mark));
    part->other_name = hbk_gw_copy_lower(arena, hbk_slice_part(text, mark + 1, text.size));
    return part->name.bytes == NULL || part->other_name.bytes == NULL ? HBK_NO_MEMORY : HBK_OK;
}

/* An operator's text without the percent signs: NAME, NAME(argument), NAME(argument):123. */
static hbk_status read_operator(struct hbk_slice text, struct hbk_arena *arena, struct part *part,
                                struct hbk_error *error)
{
    size_t open = text.size, close = 0;
    bool has_argument = hbk_slice_find(text, '(', &open);
    struct hbk_slice name = hbk_slice_part(text, 0, open);
    struct hbk_slice argument = hbk_slice_of("", 0);
    if (has_argument) {
        for (close = text.size; close > open && text.bytes[close - 1] != ')'; close--) {
        }
        if (close <= open) {
            return hbk_error_set(error, HBK_INVALID, "\"%%%.*s%%\" has no closing bracket",
                                 HBK_SLICE_ARGS(text));
        }
        argument = hbk_slice_part(text, open + 1, close - open - 2);
        struct hbk_slice rest = hbk_slice_part(text, close, text.size);
        uint64_t bytes_max = 0;
        if (rest.size > 0 &&
            (rest.bytes[0] != ':' || !hbk_slice_to_u64(hbk_slice_part(rest, 1, rest.size),
                                                       VALUE_BYTES_MAX * 16, &bytes_max))) {
            return hbk_error_set(error, HBK_INVALID, "\"%%%.*s%%\" has no proper length",
                                 HBK_SLICE_ARGS(text));
        }
        part->bytes_max = (size_t)bytes_max;
    }
    if (hbk_slice_equal(name, HBK_SLICE("START_TIME"))) {
        part->op = OP_START_TIME;
        part->text = argument;
        return HBK_OK;
    }
    part->op = hbk_slice_equal(name, HBK_SLICE("REQ"))       ? OP_REQ
               : hbk_slice_equal(name, HBK_SLICE("RESP"))    ? OP_RESP
               : hbk_slice_equal(name, HBK_SLICE("TRAILER")) ? OP_TRAILER
                                                             : OP_LITERAL;
    if (part->op != OP_LITERAL && argument.size > 0) {
        return read_names(argument, arena, part);
    }
    for (size_t i = 0; i < HBK_COUNT(plain_operators) && !has_argument; i++) {
        if (hbk_slice_equal(name, hbk_slice_text(plain_operators[i].name))) {
            part->op = plain_operators[i].op;
            return HBK_OK;
        }
    }
    return hbk_error_set(error, HBK_UNSUPPORTED, "the operator \"%%%.*s%%\" is not supported",
                         (int)(text.size > 80 ? 80 : text.size), (const char *)text.bytes);
}

static hbk_status read_part(struct hbk_slice *text, struct hbk_arena *arena, struct part *part,
                            struct hbk_error *error)
{
    size_t mark = text->size;
    (void)hbk_slice_find(*text, '%', &mark);
    if (mark > 0) {
        *part = (struct part){.op = OP_LITERAL, .text = hbk_slice_part(*text, 0, mark)};
        *text = hbk_slice_part(*text, mark, text->size);
        return HBK_OK;
    }
    struct hbk_slice rest = hbk_slice_part(*text, 1, text->size);
    if (rest.size > 0 && rest.bytes[0] == '%') {
        *part = (struct part){.op = OP_LITERAL, .text = hbk_slice_part(rest, 0, 1)};
        *text = hbk_slice_part(rest, 1, rest.size);
        return HBK_OK;
    }
    /* A time's format holds percent signs of its own, inside the brackets. */
    size_t open = rest.size, end = rest.size;
    bool is_time = hbk_slice_starts_with(rest, HBK_SLICE("START_TIME("));
    if (is_time && hbk_slice_find(rest, ')', &open)) {
        end = open + 1;
    } else if (!hbk_slice_find(rest, '%', &end)) {
        return hbk_error_set(error, HBK_INVALID, "an operator without its closing \"%%\"");
    }
    *part = (struct part){0};
    HBK_TRY(read_operator(hbk_slice_part(rest, 0, end), arena, part, error));
    *text = hbk_slice_part(rest, end + 1, rest.size);
    return HBK_OK;
}

hbk_status hbk_gw_format_parse(struct hbk_slice text, struct hbk_arena *arena,
                               const struct hbk_gw_format **out_format, struct hbk_error *error)
{
    struct part parts[PARTS_MAX];
    size_t count = 0;
    while (text.size > 0) {
        if (count == PARTS_MAX) {
            return hbk_error_set(error, HBK_INVALID, "more than %d operators and texts", PARTS_MAX);
        }
        HBK_TRY(read_part(&text, arena, &parts[count], error));
        count++;
    }
    struct hbk_gw_format *format =
        hbk_arena_take(arena, sizeof *format + count * sizeof(struct part));
    if (format == NULL) {
        return hbk_error_set(error, HBK_NO_MEMORY, "out of memory");
    }
    format->count = count;
    if (count > 0) {
        memcpy(format->parts, parts, count * sizeof(struct part));
    }
    *out_format = format;
    return HBK_OK;
}

/* ---- flags ---- */

static const char *const flag_names[] = {"UH", "UF", "UO", "NR",  "URX", "NC", "UT", "UR",
                                         "UC", "DC", "SI", "DPE", "UPE", "DT", "LR"};

hbk_status hbk_gw_flags_write(uint32_t flags, struct hbk_buffer *out)
{
    bool is_first = true;
    for (size_t i = 0; i < HBK_COUNT(flag_names); i++) {
        if ((flags & 1U << i) != 0) {
            HBK_TRY(hbk_buffer_print(out, "%s%s", is_first ? "" : ",", flag_names[i]));
            is_first = false;
        }
    }
    return is_first ? hbk_buffer_append(out, HBK_SLICE("-")) : HBK_OK;
}

uint32_t hbk_gw_flag_from_text(struct hbk_slice name)
{
    for (size_t i = 0; i < HBK_COUNT(flag_names); i++) {
        if (hbk_slice_equal(name, hbk_slice_text(flag_names[i]))) {
            return 1U << i;
        }
    }
    return 0;
}

/* ---- writing ---- */

/* What an operator came to: a text, or a number. */
struct value {
    struct hbk_slice text; /* NULL: nothing */
    uint64_t number;
    bool is_number;
};

static struct value no_value(void)
{
    return (struct value){.text = {NULL, 0}};
}

static struct value number_value(uint64_t number)
{
    return (struct value){.number = number, .is_number = true};
}

static struct value text_value(const char *text)
{
    return text == NULL ? no_value() : (struct value){.text = hbk_slice_text(text)};
}

static struct value slice_value(struct hbk_slice text)
{
    return text.size == 0 ? no_value() : (struct value){.text = text};
}

static struct value duration_value(uint64_t duration_ns)
{
    return duration_ns == UINT64_MAX ? no_value() : number_value(duration_ns / HBK_NS_PER_MS);
}

static struct value address_value(const struct hbk_address *address, bool has_port,
                                  char room[static HBK_ADDRESS_TEXT_BYTES_MAX])
{
    if (address->ip.size == 0) {
        return no_value();
    }
    return text_value(has_port ? hbk_address_text(address, room) : hbk_ip_text(&address->ip, room));
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

static struct value field_value(const struct hbk_gw_head *head, const struct part *part,
                                struct hbk_slice original_path)
{
    struct hbk_slice text = find_in(head, part->name, original_path);
    if (text.bytes == NULL) {
        text = find_in(head, part->other_name, original_path);
    }
    if (part->bytes_max > 0) {
        text = hbk_slice_part(text, 0, part->bytes_max);
    }
    return text.bytes == NULL ? no_value() : (struct value){.text = text};
}

/* strftime() with %f, %1f to %9f for fractions of a second, and %s. */
static struct value time_value(const struct part *part, int64_t start_ns,
                               char room[static TIME_BYTES_MAX])
{
    char format[TIME_BYTES_MAX];
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
    size_t size = strftime(room, TIME_BYTES_MAX, format, &parts);
#pragma GCC diagnostic pop
    return (struct value){.text = hbk_slice_of(room, size)};
}

static struct value host_name(char room[static TIME_BYTES_MAX])
{
    return gethostname(room, TIME_BYTES_MAX) == 0 ? text_value(room) : no_value();
}

/* Hexadecimal, as Envoy writes it: small letters, two for each byte. */
static struct value serial_value(const char *text, char room[static VALUE_BYTES_MAX])
{
    size_t size = 0;
    for (; text[size] != '\0' && size + 1 < VALUE_BYTES_MAX; size++) {
        room[size] = text[size] >= 'A' && text[size] <= 'F' ? (char)(text[size] + 32) : text[size];
    }
    return slice_value(hbk_slice_of(room, size));
}

static struct value peer_value(enum operator op, const struct hbk_peer *peer,
                               char room[static VALUE_BYTES_MAX])
{
    struct hbk_span span = hbk_span_of(room, VALUE_BYTES_MAX);
    switch (op) {
    case OP_PEER_URI_SAN:
        return slice_value(hbk_gw_tls_names(peer->names.uris, span));
    case OP_PEER_DNS_SAN:
        return slice_value(hbk_gw_tls_names(peer->names.dns_names, span));
    case OP_PEER_SUBJECT:
        return slice_value(peer->names.subject);
    case OP_PEER_SERIAL:
        return serial_value(peer->serial_text, room);
    default:
        for (size_t i = 0; i < HBK_SHA256_BYTES; i++) {
            (void)snprintf(room + 2 * i, 3, "%02x", peer->leaf_sha256[i]);
        }
        return text_value(room);
    }
}

/* flat: one case per operator */
static struct value evaluate(const struct part *part, const struct hbk_gw_info *info,
                             char room[static VALUE_BYTES_MAX])
{
    switch (part->op) {
    case OP_LITERAL:
        return (struct value){.text = part->text};
    case OP_START_TIME:
        return time_value(part, info->start_ns, room);
    case OP_REQ:
        return field_value(info->request, part, info->original_path);
    case OP_RESP:
        return field_value(info->response, part, hbk_slice_of(NULL, 0));
    case OP_TRAILER:
        return field_value(info->trailers, part, hbk_slice_of(NULL, 0));
    case OP_PROTOCOL:
        return text_value(info->protocol);
    case OP_UPSTREAM_PROTOCOL:
        return text_value(info->upstream_protocol);
    case OP_RESPONSE_CODE:
        return number_value(info->status);
    case OP_RESPONSE_CODE_DETAILS:
        return text_value(info->details);
    case OP_CONNECTION_TERMINATION_DETAILS:
        return text_value(info->termination);
    case OP_RESPONSE_FLAGS:
    case OP_EMPTY:
        return no_value(); /* flags are written apart */
    case OP_BYTES_RECEIVED:
        return number_value(info->received_bytes);
    case OP_BYTES_SENT:
        return number_value(info->sent_bytes);
    case OP_DOWNSTREAM_WIRE_RECEIVED:
        return number_value(info->received_wire_bytes);
    case OP_DOWNSTREAM_WIRE_SENT:
        return number_value(info->sent_wire_bytes);
    case OP_DURATION:
        return duration_value(info->duration_ns);
    case OP_REQUEST_DURATION:
        return duration_value(info->request_ns);
    case OP_RESPONSE_DURATION:
        return duration_value(info->response_ns);
    case OP_RESPONSE_TX_DURATION:
        return info->response_ns == UINT64_MAX
                   ? no_value()
                   : duration_value(info->duration_ns - info->response_ns);
    case OP_UPSTREAM_HOST:
        return address_value(&info->upstream_host, true, room);
    case OP_UPSTREAM_CLUSTER:
        return slice_value(info->cluster);
    case OP_UPSTREAM_LOCAL_ADDRESS:
        return address_value(&info->upstream_local, true, room);
    case OP_UPSTREAM_FAILURE:
        return text_value(info->upstream_failure);
    case OP_UPSTREAM_ATTEMPTS:
        return number_value(info->attempts);
    case OP_DOWNSTREAM_REMOTE:
        return address_value(&info->downstream_remote, true, room);
    case OP_DOWNSTREAM_REMOTE_IP:
        return address_value(&info->downstream_remote, false, room);
    case OP_DOWNSTREAM_REMOTE_PORT:
        return number_value(info->downstream_remote.port);
    case OP_DOWNSTREAM_DIRECT:
        return address_value(&info->downstream_direct_remote, true, room);
    case OP_DOWNSTREAM_DIRECT_IP:
        return address_value(&info->downstream_direct_remote, false, room);
    case OP_DOWNSTREAM_LOCAL:
        return address_value(&info->downstream_local, true, room);
    case OP_DOWNSTREAM_LOCAL_IP:
        return address_value(&info->downstream_local, false, room);
    case OP_DOWNSTREAM_LOCAL_PORT:
        return number_value(info->downstream_local.port);
    case OP_REQUESTED_SERVER_NAME:
        return text_value(info->tls.server_name);
    case OP_TLS_VERSION:
        return text_value(info->tls.version);
    case OP_TLS_CIPHER:
        return text_value(info->tls.cipher);
    case OP_PEER_URI_SAN:
    case OP_PEER_DNS_SAN:
    case OP_PEER_SUBJECT:
    case OP_PEER_SERIAL:
    case OP_PEER_FINGERPRINT_256:
        return info->tls.peer == NULL ? no_value() : peer_value(part->op, info->tls.peer, room);
    case OP_ROUTE_NAME:
        return slice_value(info->route);
    case OP_FILTER_CHAIN_NAME:
        return slice_value(info->filter_chain);
    case OP_CONNECTION_ID:
        return number_value(info->connection_id);
    case OP_HOSTNAME:
        return host_name(room);
    case OP_GRPC_STATUS_NUMBER:
        return info->trailers == NULL
                   ? no_value()
                   : slice_value(hbk_gw_head_find(info->trailers, HBK_SLICE("grpc-status")));
    }
    HBK_UNREACHABLE();
}

static hbk_status write_part(const struct part *part, const struct hbk_gw_info *info,
                             struct hbk_slice empty, struct hbk_buffer *out)
{
    char room[VALUE_BYTES_MAX];
    if (part->op == OP_RESPONSE_FLAGS) {
        return hbk_gw_flags_write(info->flags, out);
    }
    struct value value = evaluate(part, info, room);
    if (value.is_number) {
        return hbk_buffer_print(out, "%" PRIu64, value.number);
    }
    return hbk_buffer_append(out, value.text.bytes == NULL ? empty : value.text);
}

hbk_status hbk_gw_format_write(const struct hbk_gw_format *format, const struct hbk_gw_info *info,
                               struct hbk_slice empty, struct hbk_buffer *out)
{
    for (size_t i = 0; i < format->count; i++) {
        HBK_TRY(write_part(&format->parts[i], info, empty, out));
    }
    return HBK_OK;
}

hbk_status hbk_gw_format_write_json(const struct hbk_gw_format *format,
                                    const struct hbk_gw_info *info, struct hbk_slice key,
                                    struct hbk_json *json)
{
    char room[VALUE_BYTES_MAX];
    hbk_json_key(json, key);
    if (format->count == 1 && format->parts[0].op != OP_LITERAL &&
        format->parts[0].op != OP_RESPONSE_FLAGS) {
        struct value value = evaluate(&format->parts[0], info, room);
        if (value.is_number) {
            hbk_json_number(json, NULL, value.number);
        } else if (value.text.bytes == NULL) {
            hbk_json_null(json, NULL);
        } else {
            hbk_json_string(json, NULL, value.text);
        }
        return json->status;
    }
    struct hbk_buffer text;
    hbk_buffer_init(&text, VALUE_BYTES_MAX * 16);
    hbk_status status = hbk_gw_format_write(format, info, HBK_SLICE("-"), &text);
    if (status == HBK_OK) {
        hbk_json_string(json, NULL, hbk_buffer_slice(&text));
        status = json->status;
    }
    hbk_buffer_fini(&text);
    return status;
}
