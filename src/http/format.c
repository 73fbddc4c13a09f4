#include "http/format.h"

#include <inttypes.h>
#include <stdlib.h>

#include "http/client_certificate.h"
#include "http/format_parts.h"

enum { PARTS_MAX = 256 };

const char hbk_gw_default_format[] =
    "[%START_TIME%] \"%REQ(:METHOD)% %REQ(X-ENVOY-ORIGINAL-PATH?:PATH)% %PROTOCOL%\" "
    "%RESPONSE_CODE% %RESPONSE_FLAGS% %BYTES_RECEIVED% %BYTES_SENT% %DURATION% "
    "%RESP(X-ENVOY-UPSTREAM-SERVICE-TIME)% \"%REQ(X-FORWARDED-FOR)%\" \"%REQ(USER-AGENT)%\" "
    "\"%REQ(X-REQUEST-ID)%\" \"%REQ(:AUTHORITY)%\" \"%UPSTREAM_HOST%\"\n";

/* Operators without arguments; those with them are below. */
static const struct {
    const char *name;
    enum hbk_gw_operator op;
} plain_operators[] = {
    {"PROTOCOL", HBK_GW_OP_PROTOCOL},
    {"RESPONSE_CODE", HBK_GW_OP_RESPONSE_CODE},
    {"RESPONSE_CODE_DETAILS", HBK_GW_OP_RESPONSE_CODE_DETAILS},
    {"CONNECTION_TERMINATION_DETAILS", HBK_GW_OP_TERMINATION},
    {"RESPONSE_FLAGS", HBK_GW_OP_RESPONSE_FLAGS},
    {"RESPONSE_FLAGS_LONG", HBK_GW_OP_RESPONSE_FLAGS_LONG},
    {"BYTES_RECEIVED", HBK_GW_OP_BYTES_RECEIVED},
    {"BYTES_SENT", HBK_GW_OP_BYTES_SENT},
    {"DOWNSTREAM_WIRE_BYTES_RECEIVED", HBK_GW_OP_WIRE_RECEIVED},
    {"DOWNSTREAM_WIRE_BYTES_SENT", HBK_GW_OP_WIRE_SENT},
    {"DURATION", HBK_GW_OP_DURATION},
    {"REQUEST_DURATION", HBK_GW_OP_REQUEST_DURATION},
    {"RESPONSE_DURATION", HBK_GW_OP_RESPONSE_DURATION},
    {"RESPONSE_TX_DURATION", HBK_GW_OP_RESPONSE_TX_DURATION},
    {"ROUTE_NAME", HBK_GW_OP_ROUTE_NAME},
    {"FILTER_CHAIN_NAME", HBK_GW_OP_FILTER_CHAIN_NAME},
    {"CONNECTION_ID", HBK_GW_OP_CONNECTION_ID},
    {"STREAM_ID", HBK_GW_OP_STREAM_ID},
    {"HOSTNAME", HBK_GW_OP_HOSTNAME},
    {"ACCESS_LOG_TYPE", HBK_GW_OP_LOG_TYPE},
    {"REQUESTED_SERVER_NAME", HBK_GW_OP_SERVER_NAME},
    {"UPSTREAM_PROTOCOL", HBK_GW_OP_UPSTREAM_PROTOCOL},
    {"UPSTREAM_CLUSTER", HBK_GW_OP_CLUSTER},
    {"UPSTREAM_CLUSTER_RAW", HBK_GW_OP_CLUSTER},
    {"UPSTREAM_TRANSPORT_FAILURE_REASON", HBK_GW_OP_UPSTREAM_FAILURE},
    {"UPSTREAM_REQUEST_ATTEMPT_COUNT", HBK_GW_OP_ATTEMPTS},
    {"DOWNSTREAM_TRANSPORT_FAILURE_REASON", HBK_GW_OP_DOWNSTREAM_FAILURE},
    {"TRACE_ID", HBK_GW_OP_NOTHING},                  /* there is no tracing */
    {"DOWNSTREAM_TLS_SESSION_ID", HBK_GW_OP_NOTHING}, /* TLS 1.3 has none */
};

/* Addresses: alone, or with _WITHOUT_PORT behind; and their ports. */
static const struct {
    const char *name, *port_name;
    size_t place;
} addresses[] = {
    {"UPSTREAM_HOST", NULL, offsetof(struct hbk_gw_info, upstream_host)},
    {"UPSTREAM_REMOTE_ADDRESS", "UPSTREAM_REMOTE_PORT",
     offsetof(struct hbk_gw_info, upstream_host)},
    {"UPSTREAM_LOCAL_ADDRESS", "UPSTREAM_LOCAL_PORT", offsetof(struct hbk_gw_info, upstream_local)},
    {"DOWNSTREAM_REMOTE_ADDRESS", "DOWNSTREAM_REMOTE_PORT",
     offsetof(struct hbk_gw_info, downstream_remote)},
    {"DOWNSTREAM_DIRECT_REMOTE_ADDRESS", "DOWNSTREAM_DIRECT_REMOTE_PORT",
     offsetof(struct hbk_gw_info, downstream_direct_remote)},
    {"DOWNSTREAM_LOCAL_ADDRESS", "DOWNSTREAM_LOCAL_PORT",
     offsetof(struct hbk_gw_info, downstream_local)},
};

/* Behind DOWNSTREAM_ and UPSTREAM_. */
static const struct {
    const char *name;
    enum hbk_gw_operator op;
    bool is_of_downstream; /* alone */
} tls_operators[] = {
    {"TLS_VERSION", HBK_GW_OP_TLS_VERSION, false},
    {"TLS_CIPHER", HBK_GW_OP_TLS_CIPHER, false},
    {"PEER_URI_SAN", HBK_GW_OP_PEER_URI_SAN, false},
    {"PEER_DNS_SAN", HBK_GW_OP_PEER_DNS_SAN, false},
    {"PEER_SUBJECT", HBK_GW_OP_PEER_SUBJECT, false},
    {"PEER_ISSUER", HBK_GW_OP_PEER_ISSUER, false},
    {"PEER_SERIAL", HBK_GW_OP_PEER_SERIAL, true},
    {"PEER_FINGERPRINT_1", HBK_GW_OP_PEER_FINGERPRINT_1, true},
    {"PEER_FINGERPRINT_256", HBK_GW_OP_PEER_FINGERPRINT_256, true},
    {"PEER_CERT", HBK_GW_OP_PEER_CERT, false},
    {"PEER_CERT_V_START", HBK_GW_OP_PEER_START, false},
    {"PEER_CERT_V_END", HBK_GW_OP_PEER_END, false},
    {"LOCAL_URI_SAN", HBK_GW_OP_OWN_URI_SAN, true},
    {"LOCAL_DNS_SAN", HBK_GW_OP_OWN_DNS_SAN, true},
    {"LOCAL_SUBJECT", HBK_GW_OP_OWN_SUBJECT, true},
};

/* ---- parsing ---- */

/* "NAME?OTHER" */
static hbk_status read_names(struct hbk_slice text, struct hbk_arena *arena,
                             struct hbk_gw_part *part)
{
    size_t mark = text.size;
    (void)hbk_slice_find(text, '?', &mark);
    part->name = hbk_gw_copy_lower(arena, hbk_slice_part(text, 0, mark));
    part->other_name = hbk_gw_copy_lower(arena, hbk_slice_part(text, mark + 1, text.size));
    return part->name.bytes == NULL || part->other_name.bytes == NULL ? HBK_NO_MEMORY : HBK_OK;
}

static hbk_status refuse(struct hbk_slice text, struct hbk_error *error)
{
    return hbk_error_set(error, HBK_UNSUPPORTED, "the operator \"%%%.*s%%\" is not supported",
                         (int)(text.size > 80 ? 80 : text.size), (const char *)text.bytes);
}

/* The environment is that of the start. */
static hbk_status read_environment(struct hbk_slice name, struct hbk_arena *arena,
                                   struct hbk_gw_part *part)
{
    const char *copy = hbk_arena_string(arena, name);
    const char *value = copy == NULL ? NULL : getenv(copy);
    *part = (struct hbk_gw_part){.op = HBK_GW_OP_NOTHING, .bytes_max = part->bytes_max};
    if (value != NULL && value[0] != '\0') {
        part->op = HBK_GW_OP_LITERAL;
        part->text = hbk_gw_copy(arena, hbk_slice_text(value));
        if (part->bytes_max > 0) {
            part->text = hbk_slice_part(part->text, 0, part->bytes_max);
        }
    }
    return copy == NULL || (value != NULL && value[0] != '\0' && part->text.bytes == NULL)
               ? HBK_NO_MEMORY
               : HBK_OK;
}

static bool find_plain(struct hbk_slice name, struct hbk_gw_part *part)
{
    for (size_t i = 0; i < HBK_COUNT(plain_operators); i++) {
        if (hbk_slice_equal(name, hbk_slice_text(plain_operators[i].name))) {
            part->op = plain_operators[i].op;
            return true;
        }
    }
    return false;
}

static bool find_address(struct hbk_slice name, struct hbk_gw_part *part)
{
    const struct hbk_slice bare_end = HBK_SLICE("_WITHOUT_PORT");
    bool is_bare = hbk_slice_ends_with(name, bare_end);
    struct hbk_slice stem = is_bare ? hbk_slice_part(name, 0, name.size - bare_end.size) : name;
    for (size_t i = 0; i < HBK_COUNT(addresses); i++) {
        const char *port_name = addresses[i].port_name;
        bool is_port = port_name != NULL && hbk_slice_equal(name, hbk_slice_text(port_name));
        bool is_address = hbk_slice_equal(stem, hbk_slice_text(addresses[i].name)) &&
                          (port_name != NULL || !is_bare);
        if (is_port || is_address) {
            part->op = is_port   ? HBK_GW_OP_ADDRESS_PORT
                       : is_bare ? HBK_GW_OP_ADDRESS_IP
                                 : HBK_GW_OP_ADDRESS;
            part->place = addresses[i].place;
            return true;
        }
    }
    return false;
}

static bool find_tls(struct hbk_slice name, struct hbk_gw_part *part)
{
    const struct hbk_slice down = HBK_SLICE("DOWNSTREAM_"), up = HBK_SLICE("UPSTREAM_");
    bool is_down = hbk_slice_starts_with(name, down);
    if (!is_down && !hbk_slice_starts_with(name, up)) {
        return false;
    }
    struct hbk_slice rest = hbk_slice_part(name, is_down ? down.size : up.size, name.size);
    for (size_t i = 0; i < HBK_COUNT(tls_operators); i++) {
        if (hbk_slice_equal(rest, hbk_slice_text(tls_operators[i].name)) &&
            (is_down || !tls_operators[i].is_of_downstream)) {
            part->op = tls_operators[i].op;
            part->place = is_down ? offsetof(struct hbk_gw_info, tls)
                                  : offsetof(struct hbk_gw_info, upstream_tls);
            return true;
        }
    }
    return false;
}

static bool find_grpc(struct hbk_slice name, struct hbk_slice argument, struct hbk_gw_part *part)
{
    static const char *const styles[] = {"CAMEL_STRING", "SNAKE_STRING", "NUMBER"};
    part->op = HBK_GW_OP_GRPC_STATUS;
    if (hbk_slice_equal(name, HBK_SLICE("GRPC_STATUS_NUMBER"))) {
        part->style = HBK_GW_GRPC_NUMBER;
        return argument.size == 0;
    }
    for (uint8_t i = 0; i < HBK_COUNT(styles); i++) {
        if (hbk_slice_equal(argument, hbk_slice_text(styles[i]))) {
            part->style = i;
            return hbk_slice_equal(name, HBK_SLICE("GRPC_STATUS"));
        }
    }
    return hbk_slice_equal(name, HBK_SLICE("GRPC_STATUS")) && argument.size == 0;
}

/* An operator's text without the percent signs: NAME, NAME(argument), NAME(argument):123. */
static hbk_status read_operator(struct hbk_slice text, struct hbk_arena *arena,
                                struct hbk_gw_part *part, struct hbk_error *error)
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
                                                       HBK_GW_VALUE_BYTES_MAX * 16, &bytes_max))) {
            return hbk_error_set(error, HBK_INVALID, "\"%%%.*s%%\" has no proper length",
                                 HBK_SLICE_ARGS(text));
        }
        part->bytes_max = (size_t)bytes_max;
    }
    if (find_plain(name, part) || find_address(name, part)) {
        return has_argument ? refuse(text, error) : HBK_OK;
    }
    if (hbk_slice_equal(name, HBK_SLICE("START_TIME"))) {
        part->op = HBK_GW_OP_START_TIME;
        part->text = argument;
        return HBK_OK;
    }
    if (find_tls(name, part)) {
        bool is_time = part->op == HBK_GW_OP_PEER_START || part->op == HBK_GW_OP_PEER_END;
        part->text = argument;
        return has_argument && !is_time ? refuse(text, error) : HBK_OK;
    }
    if (find_grpc(name, argument, part)) {
        return HBK_OK;
    }
    part->op = hbk_slice_equal(name, HBK_SLICE("REQ"))       ? HBK_GW_OP_REQ
               : hbk_slice_equal(name, HBK_SLICE("RESP"))    ? HBK_GW_OP_RESP
               : hbk_slice_equal(name, HBK_SLICE("TRAILER")) ? HBK_GW_OP_TRAILER
                                                             : HBK_GW_OP_LITERAL;
    if (part->op != HBK_GW_OP_LITERAL && argument.size > 0) {
        return read_names(argument, arena, part);
    }
    if (hbk_slice_equal(name, HBK_SLICE("ENVIRONMENT")) && argument.size > 0) {
        return read_environment(argument, arena, part);
    }
    return refuse(text, error);
}

static bool is_time(struct hbk_slice text)
{
    static const char *const names[] = {
        "START_TIME(",
        "DOWNSTREAM_PEER_CERT_V_START(",
        "DOWNSTREAM_PEER_CERT_V_END(",
        "UPSTREAM_PEER_CERT_V_START(",
        "UPSTREAM_PEER_CERT_V_END(",
    };
    for (size_t i = 0; i < HBK_COUNT(names); i++) {
        if (hbk_slice_starts_with(text, hbk_slice_text(names[i]))) {
            return true;
        }
    }
    return false;
}

static hbk_status read_part(struct hbk_slice *text, struct hbk_arena *arena,
                            struct hbk_gw_part *part, struct hbk_error *error)
{
    size_t mark = text->size;
    (void)hbk_slice_find(*text, '%', &mark);
    if (mark > 0) {
        *part =
            (struct hbk_gw_part){.op = HBK_GW_OP_LITERAL, .text = hbk_slice_part(*text, 0, mark)};
        *text = hbk_slice_part(*text, mark, text->size);
        return HBK_OK;
    }
    struct hbk_slice rest = hbk_slice_part(*text, 1, text->size);
    if (rest.size > 0 && rest.bytes[0] == '%') {
        *part = (struct hbk_gw_part){.op = HBK_GW_OP_LITERAL, .text = hbk_slice_part(rest, 0, 1)};
        *text = hbk_slice_part(rest, 1, rest.size);
        return HBK_OK;
    }
    /* A time's format holds percent signs of its own, inside the brackets. */
    size_t open = rest.size, end = rest.size;
    if (is_time(rest) && hbk_slice_find(rest, ')', &open)) {
        end = open + 1;
    } else if (!hbk_slice_find(rest, '%', &end)) {
        return hbk_error_set(error, HBK_INVALID, "an operator without its closing \"%%\"");
    }
    *part = (struct hbk_gw_part){0};
    HBK_TRY(read_operator(hbk_slice_part(rest, 0, end), arena, part, error));
    *text = hbk_slice_part(rest, end + 1, rest.size);
    return HBK_OK;
}

hbk_status hbk_gw_format_parse(struct hbk_slice text, struct hbk_arena *arena,
                               const struct hbk_gw_format **out_format, struct hbk_error *error)
{
    struct hbk_gw_part parts[PARTS_MAX];
    size_t count = 0;
    while (text.size > 0) {
        if (count == PARTS_MAX) {
            return hbk_error_set(error, HBK_INVALID, "more than %d operators and texts", PARTS_MAX);
        }
        HBK_TRY(read_part(&text, arena, &parts[count], error));
        count++;
    }
    struct hbk_gw_format *format =
        hbk_arena_take(arena, sizeof *format + count * sizeof(struct hbk_gw_part));
    if (format == NULL) {
        return hbk_error_set(error, HBK_NO_MEMORY, "out of memory");
    }
    format->count = count;
    if (count > 0) {
        memcpy(format->parts, parts, count * sizeof(struct hbk_gw_part));
    }
    *out_format = format;
    return HBK_OK;
}

/* ---- flags ---- */

static const struct {
    const char *name, *long_name;
} flags_known[] = {
    {"UH", "NoHealthyUpstream"},
    {"UF", "UpstreamConnectionFailure"},
    {"UO", "UpstreamOverflow"},
    {"NR", "NoRouteFound"},
    {"URX", "UpstreamRetryLimitExceeded"},
    {"NC", "NoClusterFound"},
    {"UT", "UpstreamRequestTimeout"},
    {"UR", "UpstreamRemoteReset"},
    {"UC", "UpstreamConnectionTermination"},
    {"DC", "DownstreamConnectionTermination"},
    {"SI", "StreamIdleTimeout"},
    {"DPE", "DownstreamProtocolError"},
    {"UPE", "UpstreamProtocolError"},
    {"DT", "DurationTimeout"},
    {"LR", "LocalReset"},
    {"UMSDR", "UpstreamMaxStreamDurationReached"},
};

static hbk_status write_flags(uint32_t flags, bool is_long, struct hbk_buffer *out)
{
    bool is_first = true;
    for (size_t i = 0; i < HBK_COUNT(flags_known); i++) {
        if ((flags & 1U << i) != 0) {
            HBK_TRY(hbk_buffer_print(out, "%s%s", is_first ? "" : ",",
                                     is_long ? flags_known[i].long_name : flags_known[i].name));
            is_first = false;
        }
    }
    return is_first ? hbk_buffer_append(out, HBK_SLICE("-")) : HBK_OK;
}

hbk_status hbk_gw_flags_write(uint32_t flags, struct hbk_buffer *out)
{
    return write_flags(flags, false, out);
}

uint32_t hbk_gw_flag_from_text(struct hbk_slice name)
{
    for (size_t i = 0; i < HBK_COUNT(flags_known); i++) {
        if (hbk_slice_equal(name, hbk_slice_text(flags_known[i].name))) {
            return 1U << i;
        }
    }
    return 0;
}

/* ---- writing ---- */

/* What may be longer than a value, or is made of several. */
static bool is_apart(const struct hbk_gw_part *part)
{
    return part->op == HBK_GW_OP_RESPONSE_FLAGS || part->op == HBK_GW_OP_RESPONSE_FLAGS_LONG ||
           part->op == HBK_GW_OP_PEER_CERT;
}

static hbk_status write_apart(const struct hbk_gw_part *part, const struct hbk_gw_info *info,
                              struct hbk_slice empty, struct hbk_buffer *out)
{
    if (part->op != HBK_GW_OP_PEER_CERT) {
        return write_flags(info->flags, part->op == HBK_GW_OP_RESPONSE_FLAGS_LONG, out);
    }
    const struct hbk_gw_tls_facts *tls =
        part->place == offsetof(struct hbk_gw_info, tls) ? info->tls : info->upstream_tls;
    return tls == NULL || tls->peer == NULL
               ? hbk_buffer_append(out, empty)
               : hbk_gw_client_certificate_encode(tls->peer->certificates, 1, out);
}

static hbk_status write_part(const struct hbk_gw_part *part, const struct hbk_gw_info *info,
                             struct hbk_slice empty, struct hbk_buffer *out)
{
    char room[HBK_GW_VALUE_BYTES_MAX];
    if (is_apart(part)) {
        return write_apart(part, info, empty, out);
    }
    struct hbk_gw_value value = hbk_gw_format_value(part, info, room);
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
    char room[HBK_GW_VALUE_BYTES_MAX];
    hbk_json_key(json, key);
    if (format->count == 1 && format->parts[0].op != HBK_GW_OP_LITERAL &&
        !is_apart(&format->parts[0])) {
        struct hbk_gw_value value = hbk_gw_format_value(&format->parts[0], info, room);
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
    hbk_buffer_init(&text, HBK_GW_VALUE_BYTES_MAX * 16);
    hbk_status status = hbk_gw_format_write(format, info, HBK_SLICE("-"), &text);
    if (status == HBK_OK || status == HBK_LIMIT) { /* cut: nobody hides behind a long field */
        hbk_json_string(json, NULL, hbk_buffer_slice(&text));
        status = json->status;
    }
    hbk_buffer_fini(&text);
    return status;
}

unsigned hbk_gw_format_asks(const struct hbk_gw_format *format)
{
    unsigned asks = 0;
    for (size_t i = 0; i < format->count; i++) {
        const struct hbk_gw_part *part = &format->parts[i];
        asks |= part->op == HBK_GW_OP_OWN_URI_SAN || part->op == HBK_GW_OP_OWN_DNS_SAN ||
                        part->op == HBK_GW_OP_OWN_SUBJECT
                    ? HBK_GW_ASKS_OWN_NAMES
                    : 0;
        asks |= part->place == offsetof(struct hbk_gw_info, upstream_tls) ? HBK_GW_ASKS_UPSTREAM_TLS
                                                                          : 0;
    }
    return asks;
}
