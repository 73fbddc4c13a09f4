/*
 * The gateway's configuration: the HTTP connection manager and its routes
 * (envoy.extensions.filters.network.http_connection_manager.v3, envoy.config.route.v3).
 */
#pragma once

#include "model/gateway_core.h"

enum hbk_gw_path_match {
    HBK_GW_PATH_NONE,
    HBK_GW_PATH_PREFIX,
    HBK_GW_PATH_EXACT,
    HBK_GW_PATH_SEPARATED_PREFIX,
};

struct hbk_gw_query_matcher {
    struct hbk_slice name;
    const struct hbk_gw_string_matcher *string_match;
    bool present_match;
    uint8_t specifier; /* 0: present, 1: string_match, 2: present_match */
};

struct hbk_gw_route_match {
    struct hbk_slice prefix, path, path_separated_prefix;
    uint8_t path_specifier; /* enum hbk_gw_path_match */
    bool case_sensitive;    /* true */
    const struct hbk_gw_runtime_fraction *runtime_fraction;
    const struct hbk_gw_header_matcher *headers;
    const struct hbk_gw_query_matcher *query_parameters;
    uint32_t headers_count, query_parameters_count;
};

/* What a route, a virtual host, a route configuration or a weighted cluster does to headers. */
struct hbk_gw_header_changes {
    const struct hbk_gw_header_value_option *request_headers_to_add;
    const struct hbk_gw_header_value_option *response_headers_to_add;
    const struct hbk_slice *request_headers_to_remove;
    const struct hbk_slice *response_headers_to_remove;
    uint32_t request_headers_to_add_count, response_headers_to_add_count;
    uint32_t request_headers_to_remove_count, response_headers_to_remove_count;
};

struct hbk_gw_cluster_weight {
    struct hbk_slice name;
    uint32_t weight;
    struct hbk_slice host_rewrite_literal;
    struct hbk_gw_header_changes headers;
};

struct hbk_gw_weighted_clusters {
    const struct hbk_gw_cluster_weight *clusters;
    uint32_t clusters_count;
    uint64_t total; /* of all weights; positive */
};

enum hbk_gw_retry_on {
    HBK_GW_RETRY_5XX = 1 << 0,
    HBK_GW_RETRY_GATEWAY_ERROR = 1 << 1,
    HBK_GW_RETRY_CONNECT_FAILURE = 1 << 2,
    HBK_GW_RETRY_REFUSED_STREAM = 1 << 3,
    HBK_GW_RETRY_RESET = 1 << 4,
    HBK_GW_RETRY_4XX = 1 << 5,
    HBK_GW_RETRY_STATUS_CODES = 1 << 6,
};

struct hbk_gw_retry_back_off {
    uint64_t base_interval, max_interval;
};

struct hbk_gw_retry_policy {
    struct hbk_slice retry_on;
    unsigned on;          /* enum hbk_gw_retry_on, from retry_on */
    uint32_t num_retries; /* 1 */
    uint64_t per_try_timeout;
    const struct hbk_gw_retry_back_off *retry_back_off;
    const uint32_t *retriable_status_codes;
    uint32_t retriable_status_codes_count;
};

enum hbk_gw_cluster_specifier {
    HBK_GW_CLUSTER_NONE,
    HBK_GW_CLUSTER_NAME,
    HBK_GW_CLUSTER_WEIGHTED,
    HBK_GW_CLUSTER_HEADER,
};

enum hbk_gw_host_rewrite {
    HBK_GW_HOST_KEEP,
    HBK_GW_HOST_LITERAL,
    HBK_GW_HOST_AUTO, /* auto_host_rewrite */
    HBK_GW_HOST_HEADER,
};

struct hbk_gw_max_stream_duration {
    uint64_t max_stream_duration; /* 0: none; has_max_stream_duration */
    uint8_t has_max_stream_duration;
};

struct hbk_gw_route_action {
    struct hbk_slice cluster, cluster_header;
    const struct hbk_gw_weighted_clusters *weighted_clusters;
    struct hbk_slice prefix_rewrite, host_rewrite_literal, host_rewrite_header;
    bool auto_host_rewrite, append_x_forwarded_host;
    uint8_t cluster_specifier; /* enum hbk_gw_cluster_specifier */
    uint8_t host_rewrite;      /* enum hbk_gw_host_rewrite */
    uint8_t has_idle_timeout;
    int cluster_not_found_response_code; /* 0: 503, 1: 404, 2: 500 */
    uint64_t timeout;                    /* 15 s; 0: none */
    uint64_t idle_timeout;
    const struct hbk_gw_retry_policy *retry_policy;
    const struct hbk_gw_max_stream_duration *max_stream_duration;
};

enum hbk_gw_redirect_path { HBK_GW_REDIRECT_KEEP, HBK_GW_REDIRECT_PATH, HBK_GW_REDIRECT_PREFIX };

struct hbk_gw_redirect_action {
    struct hbk_slice host_redirect, path_redirect, prefix_rewrite, scheme_redirect;
    uint32_t port_redirect; /* 0: none */
    int response_code;      /* 0: 301, 1: 302, 2: 303, 3: 307, 4: 308 */
    bool https_redirect, strip_query;
    uint8_t path_rewrite_specifier; /* enum hbk_gw_redirect_path */
    uint8_t scheme_rewrite_specifier;
};

struct hbk_gw_direct_response {
    uint32_t status;
    const struct hbk_gw_data_source *body;
    struct hbk_slice content; /* of body, read at start */
};

enum hbk_gw_action_kind {
    HBK_GW_ACTION_NONE,
    HBK_GW_ACTION_ROUTE,
    HBK_GW_ACTION_REDIRECT,
    HBK_GW_ACTION_DIRECT_RESPONSE,
};

struct hbk_gw_route {
    struct hbk_slice name;
    const struct hbk_gw_route_match *match;
    const struct hbk_gw_route_action *route;
    const struct hbk_gw_redirect_action *redirect;
    const struct hbk_gw_direct_response *direct_response;
    uint8_t action; /* enum hbk_gw_action_kind */
    struct hbk_gw_header_changes headers;
};

enum hbk_gw_require_tls { HBK_GW_TLS_NOT_REQUIRED, HBK_GW_TLS_EXTERNAL_ONLY, HBK_GW_TLS_ALL };

struct hbk_gw_virtual_host {
    struct hbk_slice name;
    const struct hbk_slice *domains;
    const struct hbk_gw_route *routes;
    uint32_t domains_count, routes_count;
    int require_tls;
    bool include_request_attempt_count, include_attempt_count_in_response;
    const struct hbk_gw_retry_policy *retry_policy;
    struct hbk_gw_header_changes headers;
};

struct hbk_gw_route_configuration {
    struct hbk_slice name;
    const struct hbk_gw_virtual_host *virtual_hosts;
    const struct hbk_slice *internal_only_headers;
    uint32_t virtual_hosts_count, internal_only_headers_count;
    bool validate_clusters; /* true */
    bool most_specific_header_mutations_wins, ignore_port_in_host_matching;
    uint32_t max_direct_response_body_size_bytes; /* 4096 */
    struct hbk_gw_header_changes headers;
};

struct hbk_gw_http_filter {
    struct hbk_slice name;
    struct hbk_gw_any typed_config;
    bool is_optional, disabled;
};

struct hbk_gw_router {
    bool dynamic_stats, suppress_envoy_headers, respect_expected_rq_timeout;
};

struct hbk_gw_http_options {
    uint64_t idle_timeout; /* has_idle_timeout */
    uint64_t max_connection_duration;
    uint64_t max_stream_duration;
    uint32_t max_headers_count; /* 100 */
    uint32_t max_requests_per_connection;
    int headers_with_underscores_action; /* 0: allow, 1: reject, 2: drop */
    uint8_t has_idle_timeout;
};

struct hbk_gw_http1_options {
    bool allow_absolute_url; /* true */
    bool accept_http_10, allow_chunked_length, send_fully_qualified_url;
    struct hbk_slice default_host_for_http_10;
};

struct hbk_gw_http2_options {
    uint32_t max_concurrent_streams; /* 1024 */
    uint32_t initial_stream_window_size, initial_connection_window_size;
    uint32_t hpack_table_size;
};

enum hbk_gw_codec { HBK_GW_CODEC_AUTO, HBK_GW_CODEC_HTTP1, HBK_GW_CODEC_HTTP2 };

enum hbk_gw_client_cert_details {
    HBK_GW_CERT_SANITIZE,
    HBK_GW_CERT_FORWARD_ONLY,
    HBK_GW_CERT_APPEND_FORWARD,
    HBK_GW_CERT_SANITIZE_SET,
    HBK_GW_CERT_ALWAYS_FORWARD_ONLY,
};

struct hbk_gw_client_cert_details_set {
    bool subject, cert, chain, dns, uri;
};

enum hbk_gw_escaped_slashes {
    HBK_GW_SLASHES_DEFAULT, /* keep */
    HBK_GW_SLASHES_KEEP,
    HBK_GW_SLASHES_REJECT,
    HBK_GW_SLASHES_REDIRECT,
    HBK_GW_SLASHES_UNESCAPE,
};

struct hbk_gw_http_connection_manager {
    struct hbk_slice stat_prefix, server_name, via;
    const struct hbk_gw_route_configuration *route_config;
    const struct hbk_gw_http_filter *http_filters;
    const struct hbk_gw_access_log *access_log;
    const struct hbk_gw_http_options *common_http_protocol_options;
    const struct hbk_gw_http1_options *http_protocol_options;
    const struct hbk_gw_http2_options *http2_protocol_options;
    const struct hbk_gw_client_cert_details_set *set_current_client_cert_details;
    uint32_t http_filters_count, access_log_count;
    int codec_type;                       /* enum hbk_gw_codec */
    int server_header_transformation;     /* 0: overwrite, 1: append if absent, 2: pass */
    int forward_client_cert_details;      /* enum hbk_gw_client_cert_details */
    int path_with_escaped_slashes_action; /* enum hbk_gw_escaped_slashes */
    uint32_t xff_num_trusted_hops;
    uint32_t max_request_headers_kb; /* 60 */
    uint64_t stream_idle_timeout;    /* 5 min; 0: none */
    uint64_t request_timeout;        /* 0: none */
    uint64_t request_headers_timeout;
    uint64_t drain_timeout;                                        /* 5 s */
    uint64_t delayed_close_timeout;                                /* 1 s */
    bool use_remote_address, skip_xff_append, generate_request_id; /* the last: true */
    bool preserve_external_request_id, always_set_request_id_in_response;
    bool normalize_path, merge_slashes, add_user_agent, strip_any_host_port;
    bool strip_matching_host_port, strip_trailing_host_dot;
    bool stream_error_on_invalid_http_message;
};

/* HTTP towards a cluster (envoy.extensions.upstreams.http.v3.HttpProtocolOptions). */
enum hbk_gw_upstream_protocol {
    HBK_GW_UPSTREAM_HTTP1,
    HBK_GW_UPSTREAM_HTTP2,
    HBK_GW_UPSTREAM_DOWNSTREAM, /* that of the downstream connection */
    HBK_GW_UPSTREAM_AUTO,       /* by ALPN */
};

struct hbk_gw_protocol_choice {
    const struct hbk_gw_http1_options *http_protocol_options;
    const struct hbk_gw_http2_options *http2_protocol_options;
    uint8_t choice; /* 1: HTTP/1, 2: HTTP/2 (explicit_http_config) */
};

struct hbk_gw_upstream_http_options {
    bool auto_sni, auto_san_validation;
};

struct hbk_gw_http_protocol_options {
    const struct hbk_gw_http_options *common_http_protocol_options;
    const struct hbk_gw_upstream_http_options *upstream_http_protocol_options;
    const struct hbk_gw_protocol_choice *explicit_http_config, *use_downstream_protocol_config;
    const struct hbk_gw_protocol_choice *auto_config;
    uint8_t upstream_protocol_options; /* 1: explicit, 2: as downstream, 3: auto */
};
