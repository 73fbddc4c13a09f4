/* envoy.config.core.v3, envoy.type.v3, envoy.type.matcher.v3. */
#include <errno.h>
#include <stdlib.h>

#include "config/envoy.h"
#include "os/file.h"

const struct hbk_proto_message hbk_envoy_empty = {
    .name = "google.protobuf.Empty", .size = 1, .fields = NULL, .field_count = 0};

/* ---- data sources ---- */

#define T struct hbk_gw_watched_directory
static const struct hbk_proto_field watched_directory_fields[] = {
    F_TEXT(path, .is_required = true, .min = 1),
};
const struct hbk_proto_message hbk_envoy_watched_directory = {
    MESSAGE("envoy.config.core.v3.WatchedDirectory", watched_directory_fields)};
#undef T

#define T struct hbk_gw_data_source
static const struct hbk_proto_field data_source_fields[] = {
    F_ONE_TEXT(filename, specifier, HBK_GW_DATA_FILENAME, 1, .min = 1),
    HBK_PROTO_ONE(T, inline_bytes, HBK_PROTO_BYTES, specifier, HBK_GW_DATA_INLINE_BYTES, 1,
                  .is_secret = true),
    F_ONE_TEXT(inline_string, specifier, HBK_GW_DATA_INLINE_STRING, 1, .is_secret = true),
    F_ONE_TEXT(environment_variable, specifier, HBK_GW_DATA_ENVIRONMENT, 1, .min = 1),
    F_MSG(watched_directory, hbk_envoy_watched_directory,
          .note = "the directories of the files themselves are watched"),
};
const struct hbk_proto_message hbk_envoy_data_source = {
    MESSAGE("envoy.config.core.v3.DataSource", data_source_fields),
    .oneofs = {{"filename, inline_bytes, inline_string or environment_variable", true}}};
#undef T

static hbk_status read_file(struct hbk_proto_reader *reader, const struct hbk_node *node,
                            struct hbk_slice path, size_t bytes_max, struct hbk_slice *out_bytes)
{
    struct hbk_slice bytes;
    const struct hbk_envoy_context *context = reader->context;
    if (context->is_offline) {
        return HBK_OK;
    }
    hbk_status status = hbk_file_read(reader->arena, (const char *)path.bytes, bytes_max, &bytes);
    if (status == HBK_NO_MEMORY) {
        return status;
    }
    if (status != HBK_OK) {
        hbk_proto_error(reader, node, "cannot read %.*s: %s (at most %zu bytes are taken)",
                        (int)(path.size > 200 ? 200 : path.size), (const char *)path.bytes,
                        hbk_status_text(status), bytes_max);
        return HBK_OK;
    }
    *out_bytes = bytes;
    return HBK_OK;
}

hbk_status hbk_envoy_read_data(struct hbk_proto_reader *reader, const struct hbk_node *node,
                               const struct hbk_gw_data_source *source, size_t bytes_max,
                               struct hbk_slice *out_bytes)
{
    switch ((enum hbk_gw_data_specifier)source->specifier) {
    case HBK_GW_DATA_NONE:
        return HBK_OK;
    case HBK_GW_DATA_FILENAME:
        return read_file(reader, node, source->filename, bytes_max, out_bytes);
    case HBK_GW_DATA_INLINE_BYTES:
        *out_bytes = source->inline_bytes;
        break;
    case HBK_GW_DATA_INLINE_STRING:
        *out_bytes = source->inline_string;
        break;
    case HBK_GW_DATA_ENVIRONMENT: {
        const char *value = getenv((const char *)source->environment_variable.bytes);
        if (value == NULL) {
            hbk_proto_error(reader, node, "the environment has no \"%s\"",
                            (const char *)source->environment_variable.bytes);
            return HBK_OK;
        }
        *out_bytes = hbk_slice_text(value);
        break;
    }
    }
    if (out_bytes->size > bytes_max) {
        hbk_proto_error(reader, node, "%zu bytes; allowed: at most %zu", out_bytes->size,
                        bytes_max);
    }
    return HBK_OK;
}

/* ---- addresses ---- */

static const struct hbk_proto_enum protocol_enum = {
    "SocketAddress.Protocol", (const struct hbk_proto_word[]){{"TCP", 0}, {"UDP", 1, true}, {0}}};

static hbk_status check_socket_address(struct hbk_proto_reader *reader, const struct hbk_node *node,
                                       void *message)
{
    struct hbk_gw_socket_address *address = message;
    (void)reader;
    (void)node;
    address->is_ip = hbk_ip_parse(address->address, &address->ip.ip);
    address->ip.port = (uint16_t)address->port_value;
    return HBK_OK;
}

#define T struct hbk_gw_socket_address
static const struct hbk_proto_field socket_address_fields[] = {
    F_ENUM(protocol, protocol_enum),
    F_TEXT(address, .is_required = true, .min = 1, .max = 255),
    F_ONE_U32(port_value, port_specifier, HBK_GW_PORT_VALUE, 1, .min = 0, .max = 65535),
    F_LATER("named_port"),
    F_LATER("resolver_name"),
    F_BOOL(ipv4_compat, .note = "of listeners; the admin port's [::] takes IPv4 in any case"),
    F_LATER("network_namespace_filepath"),
};
const struct hbk_proto_message hbk_envoy_socket_address = {
    MESSAGE("envoy.config.core.v3.SocketAddress", socket_address_fields),
    .oneofs = {{"port_value", true}}, .check = check_socket_address};
#undef T

#define T struct hbk_gw_address
static const struct hbk_proto_field address_fields[] = {
    F_MSG(socket_address, hbk_envoy_socket_address, .oneof = 1),
    {.name = "pipe", .kind = HBK_PROTO_REFUSED, .oneof = 1},
    {.name = "envoy_internal_address", .kind = HBK_PROTO_REFUSED, .oneof = 1},
};
const struct hbk_proto_message hbk_envoy_address = {
    MESSAGE("envoy.config.core.v3.Address", address_fields), .oneofs = {{"socket_address", true}}};
#undef T

static hbk_status check_cidr(struct hbk_proto_reader *reader, const struct hbk_node *node,
                             void *message)
{
    struct hbk_gw_cidr_range *range = message;
    struct hbk_ip ip;
    if (!hbk_ip_parse(range->address_prefix, &ip)) {
        hbk_proto_error(reader, node, "\"%.*s\" is no IP address",
                        (int)(range->address_prefix.size & 63),
                        (const char *)range->address_prefix.bytes);
        return HBK_OK;
    }
    if (range->prefix_len > ip.size * 8U) {
        hbk_proto_error(reader, node, "a prefix_len of %u; allowed: at most %u", range->prefix_len,
                        ip.size * 8U);
        return HBK_OK;
    }
    range->cidr = (struct hbk_cidr){.ip = ip, .prefix_bits = (uint8_t)range->prefix_len};
    hbk_cidr_mask(&range->cidr);
    return HBK_OK;
}

#define T struct hbk_gw_cidr_range
static const struct hbk_proto_field cidr_fields[] = {
    F_TEXT(address_prefix, .is_required = true, .min = 1),
    F_U32(prefix_len, .is_wrapper = true, .min = 0, .max = 128),
};
const struct hbk_proto_message hbk_envoy_cidr_range = {
    MESSAGE("envoy.config.core.v3.CidrRange", cidr_fields), .check = check_cidr};
#undef T

/* ---- headers and texts ---- */

#define T struct hbk_gw_header_value
static const struct hbk_proto_field header_value_fields[] = {
    F_TEXT(key, .is_required = true, .min = 1, .max = 16384),
    F_TEXT(value, .max = 16384),
    F_LATER("raw_value"),
};
static const struct hbk_proto_message header_value = {
    MESSAGE("envoy.config.core.v3.HeaderValue", header_value_fields)};
#undef T

static const struct hbk_proto_enum append_action_enum = {
    "HeaderAppendAction", (const struct hbk_proto_word[]){{"APPEND_IF_EXISTS_OR_ADD", 0},
                                                          {"ADD_IF_ABSENT", 1},
                                                          {"OVERWRITE_IF_EXISTS_OR_ADD", 2},
                                                          {"OVERWRITE_IF_EXISTS", 3},
                                                          {0}}};

static hbk_status check_header_option(struct hbk_proto_reader *reader, const struct hbk_node *node,
                                      void *message)
{
    struct hbk_gw_header_value_option *option = message;
    struct hbk_slice key = option->header->key;
    for (size_t i = 0; i < key.size; i++) {
        uint8_t byte = key.bytes[i];
        if (byte <= ' ' || byte >= 0x7f || (byte == ':' && i > 0)) {
            hbk_proto_error(reader, node, "a header name with a byte that names may not have");
            return HBK_OK;
        }
    }
    if (key.bytes[0] == ':' || hbk_slice_equal_nocase(key, HBK_SLICE("host"))) {
        hbk_proto_error(reader, node,
                        "\"%s\" may not be changed here; a route's host_rewrite_literal "
                        "or prefix_rewrite does that",
                        (const char *)key.bytes);
    }
    for (size_t i = 0; i < option->header->value.size; i++) {
        uint8_t byte = option->header->value.bytes[i];
        if (byte == '\r' || byte == '\n' || byte == 0) {
            hbk_proto_error(reader, node, "a header value with a line end or a zero");
            return HBK_OK;
        }
    }
    if (option->has_append != 0) {
        option->append_action =
            option->append ? HBK_GW_APPEND_IF_EXISTS_OR_ADD : HBK_GW_OVERWRITE_IF_EXISTS_OR_ADD;
    }
    return HBK_OK;
}

#define T struct hbk_gw_header_value_option
static const struct hbk_proto_field header_option_fields[] = {
    F_MSG(header, header_value, .is_required = true),
    F_BOOL(append, .is_wrapper = true, .set_offset = offsetof(T, has_append), .set_value = 1,
           .note = "the older form of append_action"),
    F_ENUM(append_action, append_action_enum),
    F_BOOL(keep_empty_value),
};
const struct hbk_proto_message hbk_envoy_header_value_option = {
    MESSAGE("envoy.config.core.v3.HeaderValueOption", header_option_fields),
    .check = check_header_option};
#undef T

#define T struct hbk_gw_string_matcher
static const struct hbk_proto_field string_matcher_fields[] = {
    F_ONE_TEXT(exact, match_pattern, HBK_GW_STRING_EXACT, 1),
    F_ONE_TEXT(prefix, match_pattern, HBK_GW_STRING_PREFIX, 1, .min = 1),
    F_ONE_TEXT(suffix, match_pattern, HBK_GW_STRING_SUFFIX, 1, .min = 1),
    F_ONE_TEXT(contains, match_pattern, HBK_GW_STRING_CONTAINS, 1, .min = 1),
    {.name = "safe_regex", .kind = HBK_PROTO_REFUSED, .is_guard = true},
    {.name = "custom", .kind = HBK_PROTO_REFUSED, .is_guard = true},
    F_BOOL(ignore_case),
};
const struct hbk_proto_message hbk_envoy_string_matcher = {
    MESSAGE("envoy.type.matcher.v3.StringMatcher", string_matcher_fields),
    .oneofs = {{"exact, prefix, suffix or contains", true}}};
#undef T

#define T struct hbk_gw_int64_range
static const struct hbk_proto_field int64_range_fields[] = {F_I64(start), F_I64(end)};
const struct hbk_proto_message hbk_envoy_int64_range = {
    MESSAGE("envoy.type.v3.Int64Range", int64_range_fields)};
#undef T

static hbk_status check_header_matcher(struct hbk_proto_reader *reader, const struct hbk_node *node,
                                       void *message)
{
    struct hbk_gw_header_matcher *matcher = message;
    (void)reader;
    (void)node;
    if (matcher->specifier == HBK_GW_HEADER_PRESENT_IMPLIED) {
        matcher->present_match = true;
    }
    return HBK_OK;
}

#define T struct hbk_gw_header_matcher
static const struct hbk_proto_field header_matcher_fields[] = {
    F_TEXT(name, .is_required = true, .min = 1),
    F_ONE_TEXT(exact_match, specifier, HBK_GW_HEADER_EXACT, 1),
    {.name = "safe_regex_match", .kind = HBK_PROTO_REFUSED, .is_guard = true},
    F_ONE_MSG(range_match, hbk_envoy_int64_range, specifier, HBK_GW_HEADER_RANGE, 1),
    F_ONE_BOOL(present_match, specifier, HBK_GW_HEADER_PRESENT, 1),
    F_ONE_TEXT(prefix_match, specifier, HBK_GW_HEADER_PREFIX, 1, .min = 1),
    F_ONE_TEXT(suffix_match, specifier, HBK_GW_HEADER_SUFFIX, 1, .min = 1),
    F_ONE_TEXT(contains_match, specifier, HBK_GW_HEADER_CONTAINS, 1, .min = 1),
    F_ONE_MSG(string_match, hbk_envoy_string_matcher, specifier, HBK_GW_HEADER_STRING, 1),
    F_BOOL(invert_match),
    F_BOOL(treat_missing_header_as_empty),
};
const struct hbk_proto_message hbk_envoy_header_matcher = {
    MESSAGE("envoy.config.route.v3.HeaderMatcher", header_matcher_fields),
    .check = check_header_matcher};
#undef T

/* ---- fractions ---- */

static const struct hbk_proto_enum denominator_enum = {
    "FractionalPercent.DenominatorType",
    (const struct hbk_proto_word[]){{"HUNDRED", 0}, {"TEN_THOUSAND", 1}, {"MILLION", 2}, {0}}};

#define T struct hbk_gw_fractional_percent
static const struct hbk_proto_field percent_fields[] = {
    F_U32(numerator),
    F_ENUM(denominator, denominator_enum),
};
static const struct hbk_proto_message fractional_percent = {
    MESSAGE("envoy.type.v3.FractionalPercent", percent_fields)};
#undef T

#define T struct hbk_gw_runtime_fraction
static const struct hbk_proto_field runtime_fraction_fields[] = {
    F_MSG(default_value, fractional_percent, .is_required = true),
    F_TEXT(runtime_key, .note = "there is no runtime: the default value holds"),
};
const struct hbk_proto_message hbk_envoy_runtime_fraction = {
    MESSAGE("envoy.config.core.v3.RuntimeFractionalPercent", runtime_fraction_fields)};
#undef T

#define T struct hbk_gw_runtime_u32
static const struct hbk_proto_field runtime_u32_fields[] = {
    F_U32(default_value),
    F_TEXT(runtime_key, .note = "there is no runtime: the default value holds"),
};
const struct hbk_proto_message hbk_envoy_runtime_u32 = {
    MESSAGE("envoy.config.core.v3.RuntimeUInt32", runtime_u32_fields)};
#undef T

/* ---- where configuration comes from ---- */

#define T struct hbk_gw_path_source
static const struct hbk_proto_field path_source_fields[] = {
    F_TEXT(path, .is_required = true, .min = 1),
    F_MSG(watched_directory, hbk_envoy_watched_directory,
          .note = "the directories of the files themselves are watched"),
};
static const struct hbk_proto_message path_source = {
    MESSAGE("envoy.config.core.v3.PathConfigSource", path_source_fields)};
#undef T

static const struct hbk_proto_enum api_version_enum = {
    "ApiVersion", (const struct hbk_proto_word[]){{"AUTO", 0}, {"V2", 1, true}, {"V3", 2}, {0}}};

static hbk_status check_config_source(struct hbk_proto_reader *reader, const struct hbk_node *node,
                                      void *message)
{
    const struct hbk_gw_config_source *source = message;
    if (source->path_config_source == NULL && source->path.size == 0) {
        hbk_proto_error(reader, node,
                        "nothing for \"path_config_source\"; secrets come from files "
                        "only, SDS over gRPC is not supported yet");
    }
    return HBK_OK;
}

#define T struct hbk_gw_config_source
static const struct hbk_proto_field config_source_fields[] = {
    F_MSG(path_config_source, path_source, .oneof = 1),
    F_TEXT(path, .oneof = 1, .min = 1, .note = "the older form of path_config_source"),
    F_LATER("api_config_source"),
    F_LATER("ads"),
    F_LATER("self"),
    F_TIME(initial_fetch_timeout, .note = "a secret that is missing at the start is an error"),
    F_ENUM(resource_api_version, api_version_enum),
    F_LATER("authorities"),
};
static void prepare_config_source(void *message)
{
    ((T *)message)->initial_fetch_timeout = UINT64_C(15000000000);
}
const struct hbk_proto_message hbk_envoy_config_source = {
    MESSAGE("envoy.config.core.v3.ConfigSource", config_source_fields),
    .prepare = prepare_config_source, .check = check_config_source};
#undef T

#define T struct hbk_gw_locality
static const struct hbk_proto_field locality_fields[] = {F_TEXT(region), F_TEXT(zone),
                                                         F_TEXT(sub_zone)};
const struct hbk_proto_message hbk_envoy_locality = {
    MESSAGE("envoy.config.core.v3.Locality", locality_fields)};
#undef T

#define T struct hbk_gw_node
static const struct hbk_proto_field node_fields[] = {
    F_TEXT(id),
    F_TEXT(cluster),
    F_NOTHING("metadata", "nothing here reads it"),
    F_NOTHING("dynamic_parameters", "only xDS reads it"),
    F_MSG(locality, hbk_envoy_locality),
    F_NOTHING("user_agent_name", "only xDS reads it"),
    F_NOTHING("user_agent_version", "only xDS reads it"),
    F_NOTHING("extensions", "only xDS reads it"),
    F_NOTHING("client_features", "only xDS reads it"),
};
const struct hbk_proto_message hbk_envoy_node = {MESSAGE("envoy.config.core.v3.Node", node_fields)};
#undef T

/* ---- protocol options ---- */

static const struct hbk_proto_enum underscores_enum = {
    "HeadersWithUnderscoresAction",
    (const struct hbk_proto_word[]){{"ALLOW", 0}, {"REJECT_REQUEST", 1}, {"DROP_HEADER", 2}, {0}}};

#define T struct hbk_gw_http_options
static const struct hbk_proto_field http_options_fields[] = {
    F_TIME(idle_timeout, .set_offset = offsetof(T, has_idle_timeout), .set_value = 1),
    F_TIME(max_connection_duration),
    F_U32(max_headers_count, .is_wrapper = true, .min = 1, .max = 100),
    F_TIME(max_stream_duration),
    F_ENUM(headers_with_underscores_action, underscores_enum),
    F_U32(max_requests_per_connection, .is_wrapper = true),
    F_LATER("max_response_headers_kb"),
};
static void prepare_http_options(void *message)
{
    ((T *)message)->max_headers_count = 100;
}
const struct hbk_proto_message hbk_envoy_http_options = {
    MESSAGE("envoy.config.core.v3.HttpProtocolOptions", http_options_fields),
    .prepare = prepare_http_options};
#undef T

#define T struct hbk_gw_http1_options
static const struct hbk_proto_field http1_fields[] = {
    F_BOOL(allow_absolute_url, .is_wrapper = true),
    F_BOOL(accept_http_10),
    F_TEXT(default_host_for_http_10, .is_head_text = true),
    F_LATER("header_key_format"),
    F_LATER("enable_trailers"),
    F_LATER("allow_chunked_length"),
    F_LATER("override_stream_error_on_invalid_http_message"),
    F_LATER("send_fully_qualified_url"),
    F_LATER("use_balsa_parser"),
    F_LATER("allow_custom_methods"),
    F_LATER("ignore_http_11_upgrade"),
};
static void prepare_http1(void *message)
{
    ((T *)message)->allow_absolute_url = true;
}
const struct hbk_proto_message hbk_envoy_http1_options = {
    MESSAGE("envoy.config.core.v3.Http1ProtocolOptions", http1_fields), .prepare = prepare_http1};
#undef T

#define T struct hbk_gw_http2_options
static const struct hbk_proto_field http2_fields[] = {
    F_NOTHING("hpack_table_size", "our table has 4096 bytes"),
    F_U32(max_concurrent_streams, .is_wrapper = true, .min = 1, .max = 2147483647),
    F_U32(initial_stream_window_size, .is_wrapper = true, .min = 65535, .max = 2147483647),
    F_U32(initial_connection_window_size, .is_wrapper = true, .min = 65535, .max = 2147483647),
    F_LATER("allow_connect"),
    F_LATER("allow_metadata"),
    F_NOTHING("max_outbound_frames", "our limits of floods hold"),
    F_NOTHING("max_outbound_control_frames", "our limits of floods hold"),
    F_NOTHING("max_consecutive_inbound_frames_with_empty_payload", "our limits of floods hold"),
    F_NOTHING("max_inbound_priority_frames_per_stream", "our limits of floods hold"),
    F_NOTHING("max_inbound_window_update_frames_per_data_frame_sent", "our limits of floods hold"),
    F_LATER("stream_error_on_invalid_http_messaging"),
    F_LATER("override_stream_error_on_invalid_http_message"),
    F_LATER("custom_settings_parameters"),
    F_LATER("connection_keepalive"),
    F_LATER("use_oghttp2_codec"),
    F_LATER("max_metadata_size"),
    F_LATER("enable_huffman_encoding"),
};
static void prepare_http2(void *message)
{
    T *options = message;
    options->max_concurrent_streams = 1024;
    options->initial_stream_window_size = 65536;
    options->initial_connection_window_size = 16 * 1024 * 1024;
}
const struct hbk_proto_message hbk_envoy_http2_options = {
    MESSAGE("envoy.config.core.v3.Http2ProtocolOptions", http2_fields), .prepare = prepare_http2};
#undef T
