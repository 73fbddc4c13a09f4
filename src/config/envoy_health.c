/* Health checks: envoy.config.core.v3.HealthCheck. */
#include "config/envoy.h"

/* ---- payloads ---- */

static int hex_digit(uint8_t byte)
{
    uint8_t low = byte | 0x20;
    return byte >= '0' && byte <= '9' ? byte - '0' : low >= 'a' && low <= 'f' ? low - 'a' + 10 : -1;
}

/* False when the text is not made of pairs of hexadecimal digits. */
static bool read_hex(struct hbk_slice text, struct hbk_span out)
{
    for (size_t i = 0; i < out.size; i++) {
        int high = hex_digit(text.bytes[2 * i]);
        int low = hex_digit(text.bytes[2 * i + 1]);
        if (high < 0 || low < 0) {
            return false;
        }
        out.bytes[i] = (uint8_t)(high << 4 | low);
    }
    return text.size % 2 == 0;
}

static void check_payload_size(struct hbk_proto_reader *reader, const struct hbk_node *node,
                               size_t size)
{
    if (size == 0 || size > HBK_GW_HEALTH_PATTERN_BYTES_MAX) {
        hbk_proto_error(reader, node, "the payload has %zu bytes; allowed: 1 to %d", size,
                        HBK_GW_HEALTH_PATTERN_BYTES_MAX);
    }
}

#define T struct hbk_gw_health_payload
static hbk_status check_payload(struct hbk_proto_reader *reader, const struct hbk_node *node,
                                void *message)
{
    T *payload = message;
    payload->bytes = payload->binary;
    if (payload->payload != 1) {
        check_payload_size(reader, node, payload->bytes.size);
        return HBK_OK;
    }
    struct hbk_span room = hbk_arena_bytes(reader->arena, payload->text.size / 2 + 1);
    if (room.bytes == NULL) {
        return HBK_NO_MEMORY;
    }
    room.size = payload->text.size / 2;
    if (!read_hex(payload->text, room)) {
        hbk_proto_error(reader, node, "\"%s\" is not hexadecimal; allowed: pairs of digits",
                        (const char *)payload->text.bytes);
    }
    payload->bytes = hbk_slice_of(room.bytes, room.size);
    check_payload_size(reader, node, room.size);
    return HBK_OK;
}

static const struct hbk_proto_field payload_fields[] = {
    F_ONE_TEXT(text, payload, 1, 1, .min = 1, .note = "hexadecimal"),
    HBK_PROTO_ONE(T, binary, HBK_PROTO_BYTES, payload, 2, 1, .note = "base64"),
};
static const struct hbk_proto_message health_payload = {
    MESSAGE("envoy.config.core.v3.HealthCheck.Payload", payload_fields),
    .oneofs = {{"text or binary", true}}, .check = check_payload};
#undef T

/* ---- HTTP and TCP ---- */

static const struct hbk_proto_enum method_enum = {
    "RequestMethod",
    (const struct hbk_proto_word[]){{"METHOD_UNSPECIFIED", HBK_GW_HEALTH_UNSPECIFIED},
                                    {"GET", HBK_GW_HEALTH_GET},
                                    {"HEAD", HBK_GW_HEALTH_HEAD},
                                    {"POST", HBK_GW_HEALTH_POST},
                                    {"PUT", HBK_GW_HEALTH_PUT},
                                    {"DELETE", HBK_GW_HEALTH_DELETE},
                                    {"CONNECT", HBK_GW_HEALTH_CONNECT, true},
                                    {"OPTIONS", HBK_GW_HEALTH_OPTIONS},
                                    {"TRACE", HBK_GW_HEALTH_TRACE},
                                    {"PATCH", HBK_GW_HEALTH_PATCH},
                                    {0}}};
static const struct hbk_proto_enum codec_enum = {
    "CodecClientType",
    (const struct hbk_proto_word[]){
        {"HTTP1", HBK_GW_HEALTH_HTTP1}, {"HTTP2", HBK_GW_HEALTH_HTTP2}, {"HTTP3", 2, true}, {0}}};

static void check_statuses(struct hbk_proto_reader *reader, const struct hbk_node *node,
                           const char *name, const struct hbk_gw_int64_range *ranges,
                           uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        if (ranges[i].start < 100 || ranges[i].end > 600 || ranges[i].start >= ranges[i].end) {
            hbk_proto_error(reader, node,
                            "%s[%u] is %lld to %lld; allowed: start below end, from 100 to 600",
                            name, i, (long long)ranges[i].start, (long long)ranges[i].end);
        }
    }
}

/* A request line or a field that ends too early would be a second one. */
static bool is_one_line(struct hbk_slice text)
{
    for (size_t i = 0; i < text.size; i++) {
        if (text.bytes[i] < 0x20 || text.bytes[i] == 0x7f) {
            return false;
        }
    }
    return true;
}

#define T struct hbk_gw_http_health_check
static void check_request(struct hbk_proto_reader *reader, const struct hbk_node *node,
                          const T *http)
{
    size_t at = 0;
    if (!is_one_line(http->host) || !is_one_line(http->path) ||
        hbk_slice_find(http->path, ' ', &at) || hbk_slice_find(http->host, ' ', &at)) {
        hbk_proto_error(reader, node, "host or path holds blanks or control characters");
    }
    for (uint32_t i = 0; i < http->request_headers_to_add_count; i++) {
        const struct hbk_gw_header_value *header = http->request_headers_to_add[i].header;
        if (!is_one_line(header->value) || hbk_slice_find(header->value, '%', &at)) {
            hbk_proto_error(reader, node,
                            "the value of \"%s\" is \"%s\"; allowed: a text without operators "
                            "(%%) and without control characters",
                            (const char *)header->key.bytes, (const char *)header->value.bytes);
        }
        if (header->key.size > 0 && header->key.bytes[0] == ':') {
            hbk_proto_error(reader, node, "\"%s\" is a pseudo field; use host and path",
                            (const char *)header->key.bytes);
        }
    }
}

static hbk_status check_http(struct hbk_proto_reader *reader, const struct hbk_node *node,
                             void *message)
{
    const T *http = message;
    check_statuses(reader, node, "expected_statuses", http->expected_statuses,
                   http->expected_statuses_count);
    check_statuses(reader, node, "retriable_statuses", http->retriable_statuses,
                   http->retriable_statuses_count);
    check_request(reader, node, http);
    return HBK_OK;
}

static const struct hbk_proto_field http_fields[] = {
    F_TEXT(host, .is_head_text = true),
    F_TEXT(path, .is_required = true, .min = 1, .is_head_text = true),
    F_LATER("send"),
    F_LATER("receive"),
    F_LATER("response_buffer_size"),
    F_MSGS(request_headers_to_add, hbk_envoy_header_value_option, .note = "without operators"),
    F_TEXTS(request_headers_to_remove),
    F_MSGS(expected_statuses, hbk_envoy_int64_range),
    F_MSGS(retriable_statuses, hbk_envoy_int64_range),
    F_ENUM(codec_client_type, codec_enum),
    F_LATER("service_name_matcher"),
    F_ENUM(method, method_enum),
};
static const struct hbk_proto_message http_health = {
    MESSAGE("envoy.config.core.v3.HealthCheck.HttpHealthCheck", http_fields), .check = check_http};
#undef T

#define T struct hbk_gw_tcp_health_check
static const struct hbk_proto_field tcp_fields[] = {
    F_MSG(send, health_payload),
    F_MSGS(receive, health_payload),
    F_LATER("proxy_protocol_config"),
};
static const struct hbk_proto_message tcp_health = {
    MESSAGE("envoy.config.core.v3.HealthCheck.TcpHealthCheck", tcp_fields)};
#undef T

/* ---- the whole ---- */

#define T struct hbk_gw_health_check
static const struct hbk_proto_field health_fields[] = {
    F_TIME(timeout, .is_required = true, .min = 1000000),
    F_TIME(interval, .is_required = true, .min = 1000000),
    F_TIME(initial_jitter),
    F_TIME(interval_jitter),
    F_U32(interval_jitter_percent),
    F_U32(unhealthy_threshold, .is_required = true, .is_wrapper = true, .min = 1, .max = 65535),
    F_U32(healthy_threshold, .is_required = true, .is_wrapper = true, .min = 1, .max = 65535),
    F_U32(alt_port, .is_wrapper = true, .max = 65535),
    F_BOOL(reuse_connection, .is_wrapper = true),
    F_ONE_MSG(http_health_check, http_health, health_checker, 1, 1),
    F_ONE_MSG(tcp_health_check, tcp_health, health_checker, 2, 1),
    {.name = "grpc_health_check", .kind = HBK_PROTO_REFUSED, .oneof = 1},
    {.name = "custom_health_check", .kind = HBK_PROTO_REFUSED, .oneof = 1},
    F_TIME(no_traffic_interval, .min = 1000000),
    F_TIME(no_traffic_healthy_interval, .min = 1000000),
    F_TIME(unhealthy_interval, .min = 1000000),
    F_TIME(unhealthy_edge_interval, .min = 1000000),
    F_TIME(healthy_edge_interval, .min = 1000000),
    F_LATER("event_log_path"),
    F_LATER("event_logger"),
    F_LATER("event_service"),
    F_BOOL(always_log_health_check_failures, .note = "into the log of the program"),
    F_BOOL(always_log_health_check_success, .note = "into the log of the program"),
    F_LATER("tls_options"),
    F_LATER("transport_socket_match_criteria"),
};

static void prepare_health(void *message)
{
    T *check = message;
    check->reuse_connection = true;
    check->no_traffic_interval = UINT64_C(60000000000);
}

static uint64_t given_or(uint64_t given, uint64_t otherwise)
{
    return given > 0 ? given : otherwise;
}

static hbk_status check_health(struct hbk_proto_reader *reader, const struct hbk_node *node,
                               void *message)
{
    T *check = message;
    (void)reader;
    (void)node;
    check->no_traffic_healthy_interval =
        given_or(check->no_traffic_healthy_interval, check->no_traffic_interval);
    check->unhealthy_interval = given_or(check->unhealthy_interval, check->interval);
    check->unhealthy_edge_interval =
        given_or(check->unhealthy_edge_interval, check->unhealthy_interval);
    check->healthy_edge_interval = given_or(check->healthy_edge_interval, check->interval);
    return HBK_OK;
}

const struct hbk_proto_message hbk_envoy_health_check = {
    MESSAGE("envoy.config.core.v3.HealthCheck", health_fields),
    .oneofs = {{"http_health_check or tcp_health_check", true}}, .prepare = prepare_health,
    .check = check_health};
#undef T
