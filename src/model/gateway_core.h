/*
 * The gateway's configuration as data: an Envoy bootstrap after reading, with all defaults filled
 * in. One arena holds all of it; it is immutable once it is built, and each struct is named and
 * shaped as the protobuf message that it comes from, so that Envoy's documentation explains the
 * members. What is not said otherwise borrows from that arena. Durations are nanoseconds.
 *
 * This header: what all others use (envoy.config.core.v3, envoy.type.v3).
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/address.h"
#include "base/slice.h"

/* An extension: a message of one of these kinds. */
enum hbk_gw_extension {
    HBK_GW_NOTHING,
    /* Transport sockets. */
    HBK_GW_DOWNSTREAM_TLS,
    HBK_GW_UPSTREAM_TLS,
    HBK_GW_RAW_BUFFER,
    /* Listener filters. */
    HBK_GW_TLS_INSPECTOR,
    HBK_GW_HTTP_INSPECTOR,
    HBK_GW_PROXY_PROTOCOL,
    HBK_GW_ORIGINAL_DST_FILTER,
    /* Network filters. */
    HBK_GW_HTTP_CONNECTION_MANAGER,
    HBK_GW_TCP_PROXY,
    /* HTTP filters. */
    HBK_GW_ROUTER,
    /* Access logs. */
    HBK_GW_FILE_LOG,
    HBK_GW_STDOUT_LOG,
    HBK_GW_STDERR_LOG,
    /* Private key providers. */
    HBK_GW_CRYPTOMB,
    HBK_GW_QAT,
    /* Certificate validators. */
    HBK_GW_SPIFFE_VALIDATOR,
    /* Upstream protocol options. */
    HBK_GW_HTTP_PROTOCOL_OPTIONS,
    /* DNS resolvers. */
    HBK_GW_CARES_RESOLVER,
    /* Connection balancing. */
    HBK_GW_EXACT_BALANCE,
    /* Resources. */
    HBK_GW_SECRET_RESOURCE,
};

struct hbk_gw_any {
    int kind; /* enum hbk_gw_extension */
    const void *message;
};

enum hbk_gw_data_specifier {
    HBK_GW_DATA_NONE,
    HBK_GW_DATA_FILENAME,
    HBK_GW_DATA_INLINE_BYTES,
    HBK_GW_DATA_INLINE_STRING,
    HBK_GW_DATA_ENVIRONMENT,
};

struct hbk_gw_watched_directory {
    struct hbk_slice path;
};

struct hbk_gw_data_source {
    struct hbk_slice filename, inline_bytes, inline_string, environment_variable;
    uint8_t specifier; /* enum hbk_gw_data_specifier */
    const struct hbk_gw_watched_directory *watched_directory;
};

enum hbk_gw_port_specifier { HBK_GW_PORT_NONE, HBK_GW_PORT_VALUE };

struct hbk_gw_socket_address {
    struct hbk_slice address; /* an IP address, or a name where names are resolved */
    uint32_t port_value;
    int protocol; /* 0: TCP */
    bool ipv4_compat;
    uint8_t port_specifier;
    bool is_ip;
    struct hbk_address ip; /* with the port; is_ip */
};

struct hbk_gw_address {
    const struct hbk_gw_socket_address *socket_address;
};

struct hbk_gw_header_value {
    struct hbk_slice key, value;
};

enum hbk_gw_append_action {
    HBK_GW_APPEND_IF_EXISTS_OR_ADD,
    HBK_GW_ADD_IF_ABSENT,
    HBK_GW_OVERWRITE_IF_EXISTS_OR_ADD,
    HBK_GW_OVERWRITE_IF_EXISTS,
};

struct hbk_gw_header_value_option {
    const struct hbk_gw_header_value *header;
    int append_action; /* enum hbk_gw_append_action */
    bool append;       /* the older form; has_append: it was given */
    uint8_t has_append;
    bool keep_empty_value;
};

enum hbk_gw_string_match {
    HBK_GW_STRING_NONE,
    HBK_GW_STRING_EXACT,
    HBK_GW_STRING_PREFIX,
    HBK_GW_STRING_SUFFIX,
    HBK_GW_STRING_CONTAINS,
};

struct hbk_gw_string_matcher {
    struct hbk_slice exact, prefix, suffix, contains;
    uint8_t match_pattern; /* enum hbk_gw_string_match */
    bool ignore_case;
};

struct hbk_gw_cidr_range {
    struct hbk_slice address_prefix;
    uint32_t prefix_len;
    struct hbk_cidr cidr; /* of both */
};

struct hbk_gw_int64_range {
    int64_t start, end; /* start <= x < end */
};

struct hbk_gw_fractional_percent {
    uint32_t numerator;
    int denominator; /* 0: hundred, 1: ten thousand, 2: million */
};

struct hbk_gw_runtime_fraction {
    const struct hbk_gw_fractional_percent *default_value;
    struct hbk_slice runtime_key;
};

/* An HTTP header that must match (envoy.config.route.v3.HeaderMatcher). */
enum hbk_gw_header_match {
    HBK_GW_HEADER_PRESENT_IMPLIED, /* no condition: present */
    HBK_GW_HEADER_EXACT,
    HBK_GW_HEADER_PREFIX,
    HBK_GW_HEADER_SUFFIX,
    HBK_GW_HEADER_CONTAINS,
    HBK_GW_HEADER_PRESENT,
    HBK_GW_HEADER_RANGE,
    HBK_GW_HEADER_STRING,
};

struct hbk_gw_header_matcher {
    struct hbk_slice name, exact_match, prefix_match, suffix_match, contains_match;
    const struct hbk_gw_int64_range *range_match;
    const struct hbk_gw_string_matcher *string_match;
    bool present_match, invert_match, treat_missing_header_as_empty;
    uint8_t specifier; /* enum hbk_gw_header_match */
};

/* Access logs (envoy.config.accesslog.v3). */
enum hbk_gw_log_filter_kind {
    HBK_GW_LOG_FILTER_NONE,
    HBK_GW_LOG_FILTER_STATUS,
    HBK_GW_LOG_FILTER_DURATION,
    HBK_GW_LOG_FILTER_NOT_HEALTH_CHECK,
    HBK_GW_LOG_FILTER_HEADER,
    HBK_GW_LOG_FILTER_FLAG,
    HBK_GW_LOG_FILTER_AND,
    HBK_GW_LOG_FILTER_OR,
};

enum hbk_gw_comparison { HBK_GW_EQUAL, HBK_GW_AT_LEAST, HBK_GW_AT_MOST, HBK_GW_NOT_EQUAL };

struct hbk_gw_runtime_u32 {
    uint32_t default_value;
    struct hbk_slice runtime_key;
};

struct hbk_gw_comparison_filter {
    int op; /* enum hbk_gw_comparison */
    const struct hbk_gw_runtime_u32 *value;
};

struct hbk_gw_status_filter {
    const struct hbk_gw_comparison_filter *comparison;
};

struct hbk_gw_header_filter {
    const struct hbk_gw_header_matcher *header;
};

struct hbk_gw_flag_filter {
    const struct hbk_slice *flags;
    uint32_t flags_count; /* 0: any */
};

struct hbk_gw_log_filter;

struct hbk_gw_log_filters {
    const struct hbk_gw_log_filter *filters;
    uint32_t filters_count;
};

struct hbk_gw_log_filter {
    const struct hbk_gw_status_filter *status_code_filter, *duration_filter;
    const struct hbk_gw_header_filter *header_filter;
    const struct hbk_gw_flag_filter *response_flag_filter;
    const struct hbk_gw_log_filters *and_filter, *or_filter;
    const void *not_health_check_filter;
    uint8_t specifier; /* enum hbk_gw_log_filter_kind */
};

/* One pair of a JSON format. */
struct hbk_gw_log_member {
    struct hbk_slice key, value;
};

enum hbk_gw_log_format_kind {
    HBK_GW_FORMAT_DEFAULT,
    HBK_GW_FORMAT_TEXT,
    HBK_GW_FORMAT_JSON,
};

struct hbk_gw_log_format_source {
    const struct hbk_gw_log_member *json_format;
    uint32_t json_format_count;
    struct hbk_slice text_format;
    const struct hbk_gw_data_source *text_format_source;
    bool omit_empty_values;
    uint8_t specifier; /* enum hbk_gw_log_format_kind */
    struct hbk_slice content_type;
};

/* A file, standard output or standard error; the kind says which. */
struct hbk_gw_log_sink {
    struct hbk_slice path;
    struct hbk_slice format; /* the older form of a text */
    const struct hbk_gw_log_format_source *log_format;
};

struct hbk_gw_access_log {
    struct hbk_slice name;
    const struct hbk_gw_log_filter *filter;
    struct hbk_gw_any typed_config; /* FILE, STDOUT, STDERR: struct hbk_gw_log_sink */
};
