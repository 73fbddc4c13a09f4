/* envoy.config.accesslog.v3 and envoy.extensions.access_loggers. */
#include "config/envoy.h"

enum { FORMAT_BYTES_MAX = 64 << 10 };

#define T struct hbk_gw_log_format_source
static const struct hbk_proto_field member_fields[] = {
    {.name = "key", .kind = HBK_PROTO_STRING, .offset = offsetof(struct hbk_gw_log_member, key)},
    {.name = "value",
     .kind = HBK_PROTO_STRING,
     .offset = offsetof(struct hbk_gw_log_member, value)},
};
static const struct hbk_proto_message format_member = {.size = sizeof(struct hbk_gw_log_member),
                                                       .fields = member_fields,
                                                       .field_count = HBK_COUNT(member_fields)};

static hbk_status check_format(struct hbk_proto_reader *reader, const struct hbk_node *node,
                               void *message)
{
    T *format = message;
    if (format->text_format_source == NULL) {
        return HBK_OK;
    }
    return hbk_envoy_read_data(reader, node, format->text_format_source, FORMAT_BYTES_MAX,
                               &format->text_format);
}

static const struct hbk_proto_field format_fields[] = {
    F_ONE_TEXT(text_format, specifier, HBK_GW_FORMAT_TEXT, 1, .min = 1,
               .note = "the older form of text_format_source"),
    HBK_PROTO_LIST(T, json_format, HBK_PROTO_MESSAGE, .type = &format_member, .is_map = true,
                   .set_offset = offsetof(T, specifier), .set_value = HBK_GW_FORMAT_JSON,
                   .oneof = 1, .note = "one level of texts"),
    F_ONE_MSG(text_format_source, hbk_envoy_data_source, specifier, HBK_GW_FORMAT_TEXT, 1),
    F_BOOL(omit_empty_values),
    F_TEXT(content_type, .note = "only for local replies, which are not supported yet"),
    F_LATER("formatters"),
    F_LATER("json_format_options"),
};
static const struct hbk_proto_message format_message = {
    MESSAGE("envoy.config.core.v3.SubstitutionFormatString", format_fields),
    .oneofs = {{"text_format_source or json_format", true}}, .check = check_format};
#undef T

#define T struct hbk_gw_log_sink
static const struct hbk_proto_field file_fields[] = {
    F_TEXT(path, .is_required = true, .min = 1),
    F_TEXT(format, .oneof = 1, .note = "the older form of log_format"),
    F_LATER("json_format"),
    F_LATER("typed_json_format"),
    F_MSG(log_format, format_message, .oneof = 1),
};
static const struct hbk_proto_field stream_fields[] = {
    F_MSG(log_format, format_message),
};
static const struct hbk_proto_message file_log = {
    MESSAGE("envoy.extensions.access_loggers.file.v3.FileAccessLog", file_fields),
    .any_kind = HBK_GW_FILE_LOG,
    .extension_names =
        (const char *const[]){"envoy.access_loggers.file", "envoy.file_access_log", NULL}};
static const struct hbk_proto_message stdout_log = {
    MESSAGE("envoy.extensions.access_loggers.stream.v3.StdoutAccessLog", stream_fields),
    .any_kind = HBK_GW_STDOUT_LOG,
    .extension_names = (const char *const[]){"envoy.access_loggers.stdout", NULL}};
static const struct hbk_proto_message stderr_log = {
    MESSAGE("envoy.extensions.access_loggers.stream.v3.StderrAccessLog", stream_fields),
    .any_kind = HBK_GW_STDERR_LOG,
    .extension_names = (const char *const[]){"envoy.access_loggers.stderr", NULL}};
#undef T

static const struct hbk_proto_any_types log_types = {
    .title = "access log",
    .known = (const struct hbk_proto_message *const[]){&file_log, &stdout_log, &stderr_log, NULL},
    .refused = (const char *const[]){
        "envoy.extensions.access_loggers.grpc.v3.HttpGrpcAccessLogConfig",
        "envoy.extensions.access_loggers.grpc.v3.TcpGrpcAccessLogConfig",
        "envoy.extensions.access_loggers.open_telemetry.v3.OpenTelemetryAccessLogConfig",
        "envoy.extensions.access_loggers.fluentd.v3.FluentdAccessLogConfig",
        "envoy.extensions.access_loggers.wasm.v3.WasmAccessLog", NULL}};

/* ---- filters ---- */

static const struct hbk_proto_enum op_enum = {
    "ComparisonFilter.Op",
    (const struct hbk_proto_word[]){{"EQ", 0}, {"GE", 1}, {"LE", 2}, {"NE", 3}, {0}}};

#define T struct hbk_gw_comparison_filter
static const struct hbk_proto_field comparison_fields[] = {
    F_ENUM(op, op_enum),
    F_MSG(value, hbk_envoy_runtime_u32, .is_required = true),
};
static const struct hbk_proto_message comparison = {
    MESSAGE("envoy.config.accesslog.v3.ComparisonFilter", comparison_fields)};
#undef T

#define T struct hbk_gw_status_filter
static const struct hbk_proto_field status_fields[] = {
    F_MSG(comparison, comparison, .is_required = true),
};
static const struct hbk_proto_message status_filter = {
    MESSAGE("envoy.config.accesslog.v3.StatusCodeFilter", status_fields)};
static const struct hbk_proto_message duration_filter = {
    MESSAGE("envoy.config.accesslog.v3.DurationFilter", status_fields)};
#undef T

#define T struct hbk_gw_header_filter
static const struct hbk_proto_field header_fields[] = {
    F_MSG(header, hbk_envoy_header_matcher, .is_required = true),
};
static const struct hbk_proto_message header_filter = {
    MESSAGE("envoy.config.accesslog.v3.HeaderFilter", header_fields)};
#undef T

#define T struct hbk_gw_flag_filter
static const struct hbk_proto_field flag_fields[] = {F_TEXTS(flags)};
static const struct hbk_proto_message flag_filter = {
    MESSAGE("envoy.config.accesslog.v3.ResponseFlagFilter", flag_fields)};
#undef T

static const struct hbk_proto_message log_filter;

#define T struct hbk_gw_log_filters
static const struct hbk_proto_field filters_fields[] = {
    F_MSGS(filters, log_filter, .is_required = true),
};
static const struct hbk_proto_message and_filter = {
    MESSAGE("envoy.config.accesslog.v3.AndFilter", filters_fields)};
static const struct hbk_proto_message or_filter = {
    MESSAGE("envoy.config.accesslog.v3.OrFilter", filters_fields)};
#undef T

#define T struct hbk_gw_log_filter
static const struct hbk_proto_field log_filter_fields[] = {
    F_ONE_MSG(status_code_filter, status_filter, specifier, HBK_GW_LOG_FILTER_STATUS, 1),
    F_ONE_MSG(duration_filter, duration_filter, specifier, HBK_GW_LOG_FILTER_DURATION, 1),
    F_ONE_MSG(not_health_check_filter, hbk_envoy_empty, specifier,
              HBK_GW_LOG_FILTER_NOT_HEALTH_CHECK, 1),
    F_LATER("traceable_filter"),
    F_LATER("runtime_filter"),
    F_ONE_MSG(and_filter, and_filter, specifier, HBK_GW_LOG_FILTER_AND, 1),
    F_ONE_MSG(or_filter, or_filter, specifier, HBK_GW_LOG_FILTER_OR, 1),
    F_ONE_MSG(header_filter, header_filter, specifier, HBK_GW_LOG_FILTER_HEADER, 1),
    F_ONE_MSG(response_flag_filter, flag_filter, specifier, HBK_GW_LOG_FILTER_FLAG, 1),
    F_LATER("grpc_status_filter"),
    F_LATER("extension_filter"),
    F_LATER("metadata_filter"),
    F_LATER("log_type_filter"),
};
static const struct hbk_proto_message log_filter = {
    MESSAGE("envoy.config.accesslog.v3.AccessLogFilter", log_filter_fields),
    .oneofs = {{"a filter", true}}};
#undef T

#define T struct hbk_gw_access_log
static const struct hbk_proto_field access_log_fields[] = {
    F_TEXT(name),
    F_MSG(filter, log_filter),
    F_ANY(typed_config, log_types, .is_required = true),
};
const struct hbk_proto_message hbk_envoy_access_log = {
    MESSAGE("envoy.config.accesslog.v3.AccessLog", access_log_fields)};
#undef T
