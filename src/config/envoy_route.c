/* envoy.config.route.v3. */
#include <stdio.h>

#include "config/envoy.h"

enum { HEADERS_MAX = 1000, DIRECT_BODY_BYTES_MAX = 1 << 20, STATUS_MIN = 200, STATUS_MAX = 599 };

/* The header changes of four messages have the same four fields. */
#define HEADER_CHANGES                                                                             \
    {.name = "request_headers_to_add",                                                             \
     .kind = HBK_PROTO_MESSAGE,                                                                    \
     .is_list = true,                                                                              \
     .type = &hbk_envoy_header_value_option,                                                       \
     .offset = offsetof(T, headers.request_headers_to_add),                                        \
     .count_offset = offsetof(T, headers.request_headers_to_add_count)},                           \
        {.name = "request_headers_to_remove",                                                      \
         .kind = HBK_PROTO_STRING,                                                                 \
         .is_list = true,                                                                          \
         .min = 1,                                                                                 \
         .offset = offsetof(T, headers.request_headers_to_remove),                                 \
         .count_offset = offsetof(T, headers.request_headers_to_remove_count)},                    \
        {.name = "response_headers_to_add",                                                        \
         .kind = HBK_PROTO_MESSAGE,                                                                \
         .is_list = true,                                                                          \
         .type = &hbk_envoy_header_value_option,                                                   \
         .offset = offsetof(T, headers.response_headers_to_add),                                   \
         .count_offset = offsetof(T, headers.response_headers_to_add_count)},                      \
    {                                                                                              \
        .name = "response_headers_to_remove", .kind = HBK_PROTO_STRING, .is_list = true, .min = 1, \
        .offset = offsetof(T, headers.response_headers_to_remove),                                 \
        .count_offset = offsetof(T, headers.response_headers_to_remove_count)                      \
    }

/* ---- matching ---- */

#define T struct hbk_gw_query_matcher
static const struct hbk_proto_field query_fields[] = {
    F_TEXT(name, .is_required = true, .min = 1, .max = 1024),
    F_ONE_MSG(string_match, hbk_envoy_string_matcher, specifier, 1, 1),
    F_ONE_BOOL(present_match, specifier, 2, 1),
};
static const struct hbk_proto_message query_matcher = {
    MESSAGE("envoy.config.route.v3.QueryParameterMatcher", query_fields)};
#undef T

#define T struct hbk_gw_route_match
static hbk_status check_match(struct hbk_proto_reader *reader, const struct hbk_node *node,
                              void *message)
{
    const T *match = message;
    if (match->path_specifier == HBK_GW_PATH_SEPARATED_PREFIX &&
        (match->path_separated_prefix.bytes[0] != '/' ||
         match->path_separated_prefix.bytes[match->path_separated_prefix.size - 1] == '/')) {
        hbk_proto_error(reader, node,
                        "path_separated_prefix \"%s\"; allowed: a path that begins "
                        "with a slash and does not end with one",
                        (const char *)match->path_separated_prefix.bytes);
    }
    return HBK_OK;
}

static const struct hbk_proto_field match_fields[] = {
    F_ONE_TEXT(prefix, path_specifier, HBK_GW_PATH_PREFIX, 1),
    F_ONE_TEXT(path, path_specifier, HBK_GW_PATH_EXACT, 1),
    {.name = "safe_regex", .kind = HBK_PROTO_REFUSED, .is_guard = true},
    {.name = "connect_matcher", .kind = HBK_PROTO_REFUSED, .is_guard = true},
    F_ONE_TEXT(path_separated_prefix, path_specifier, HBK_GW_PATH_SEPARATED_PREFIX, 1, .min = 2),
    {.name = "path_match_policy", .kind = HBK_PROTO_REFUSED, .is_guard = true},
    F_BOOL(case_sensitive, .is_wrapper = true),
    F_MSG(runtime_fraction, hbk_envoy_runtime_fraction),
    F_MSGS(headers, hbk_envoy_header_matcher),
    F_MSGS(query_parameters, query_matcher),
    F_GUARD("cookies"),
    F_GUARD("grpc"),
    F_GUARD("tls_context"),
    F_GUARD("dynamic_metadata"),
    F_GUARD("filter_state"),
};
static void prepare_match(void *message)
{
    ((T *)message)->case_sensitive = true;
}
static const struct hbk_proto_message route_match = {
    MESSAGE("envoy.config.route.v3.RouteMatch", match_fields),
    .oneofs = {{"prefix, path or path_separated_prefix", true}}, .prepare = prepare_match,
    .check = check_match};
#undef T

/* ---- clusters by weight ---- */

#define T struct hbk_gw_cluster_weight
static const struct hbk_proto_field weight_fields[] = {
    F_TEXT(name, .is_required = true, .min = 1),
    F_LATER("cluster_header"),
    F_U32(weight, .is_wrapper = true),
    F_LATER("metadata_match"),
    HEADER_CHANGES,
    F_GUARD("typed_per_filter_config"),
    F_TEXT(host_rewrite_literal, .is_head_text = true),
};
static const struct hbk_proto_message cluster_weight = {
    MESSAGE("envoy.config.route.v3.WeightedCluster.ClusterWeight", weight_fields)};
#undef T

#define T struct hbk_gw_weighted_clusters
static hbk_status check_weights(struct hbk_proto_reader *reader, const struct hbk_node *node,
                                void *message)
{
    T *weighted = message;
    for (uint32_t i = 0; i < weighted->clusters_count; i++) {
        weighted->total += weighted->clusters[i].weight;
    }
    if (weighted->total == 0 || weighted->total > UINT32_MAX) {
        hbk_proto_error(reader, node, "the weights add up to %llu; allowed: 1 to 4294967295",
                        (unsigned long long)weighted->total);
    }
    return HBK_OK;
}

static const struct hbk_proto_field weighted_fields[] = {
    F_MSGS(clusters, cluster_weight, .is_required = true),
    F_NOTHING("total_weight", "the sum of the weights counts"),
    F_NOTHING("runtime_key_prefix", "there is no runtime"),
    F_LATER("header_name"),
    F_LATER("use_hash_policy"),
};
static const struct hbk_proto_message weighted_clusters = {
    MESSAGE("envoy.config.route.v3.WeightedCluster", weighted_fields), .check = check_weights};
#undef T

/* ---- retries ---- */

#define T struct hbk_gw_retry_back_off
static const struct hbk_proto_field back_off_fields[] = {
    F_TIME(base_interval, .is_required = true, .min = 1000000),
    F_TIME(max_interval),
};
static const struct hbk_proto_message retry_back_off = {
    MESSAGE("envoy.config.route.v3.RetryPolicy.RetryBackOff", back_off_fields)};
#undef T

static bool add_condition(struct hbk_slice word, unsigned *on)
{
    static const struct {
        const char *text;
        unsigned bit;
    } conditions[] = {
        {"5xx", HBK_GW_RETRY_5XX},
        {"gateway-error", HBK_GW_RETRY_GATEWAY_ERROR},
        {"connect-failure", HBK_GW_RETRY_CONNECT_FAILURE},
        {"refused-stream", HBK_GW_RETRY_REFUSED_STREAM},
        {"reset", HBK_GW_RETRY_RESET},
        {"retriable-4xx", HBK_GW_RETRY_4XX},
        {"retriable-status-codes", HBK_GW_RETRY_STATUS_CODES},
    };
    for (size_t i = 0; i < HBK_COUNT(conditions); i++) {
        if (hbk_slice_equal(word, hbk_slice_text(conditions[i].text))) {
            *on |= conditions[i].bit;
            return true;
        }
    }
    return false;
}

#define T struct hbk_gw_retry_policy
static hbk_status check_retry(struct hbk_proto_reader *reader, const struct hbk_node *node,
                              void *message)
{
    T *policy = message;
    struct hbk_slice left = policy->retry_on;
    while (left.size > 0) {
        size_t size = left.size;
        (void)hbk_slice_find(left, ',', &size);
        struct hbk_slice word = hbk_slice_part(left, 0, size);
        left = hbk_slice_part(left, size + 1, left.size);
        while (word.size > 0 && word.bytes[0] == ' ') {
            word = hbk_slice_part(word, 1, word.size);
        }
        while (word.size > 0 && word.bytes[word.size - 1] == ' ') {
            word.size--;
        }
        if (word.size > 0 && !add_condition(word, &policy->on)) {
            hbk_proto_error(reader, node,
                            "retry_on has \"%.*s\"; allowed: 5xx, gateway-error, connect-failure, "
                            "refused-stream, reset, retriable-4xx, retriable-status-codes",
                            (int)(word.size > 60 ? 60 : word.size), (const char *)word.bytes);
        }
    }
    return HBK_OK;
}

static const struct hbk_proto_field retry_fields[] = {
    F_TEXT(retry_on),
    F_U32(num_retries, .is_wrapper = true, .max = 100),
    F_TIME(per_try_timeout),
    F_LATER("per_try_idle_timeout"),
    F_LATER("retry_priority"),
    F_LATER("retry_host_predicate"),
    F_LATER("retry_options_predicates"),
    F_LATER("host_selection_retry_max_attempts"),
    F_U32S(retriable_status_codes),
    F_MSG(retry_back_off, retry_back_off),
    F_LATER("rate_limited_retry_back_off"),
    F_LATER("retriable_headers"),
    F_LATER("retriable_request_headers"),
};
static void prepare_retry(void *message)
{
    ((T *)message)->num_retries = 1;
}
static const struct hbk_proto_message retry_policy = {
    MESSAGE("envoy.config.route.v3.RetryPolicy", retry_fields), .prepare = prepare_retry,
    .check = check_retry};
#undef T

/* ---- actions ---- */

static const struct hbk_proto_enum not_found_enum = {
    "RouteAction.ClusterNotFoundResponseCode",
    (const struct hbk_proto_word[]){
        {"SERVICE_UNAVAILABLE", 0}, {"NOT_FOUND", 1}, {"INTERNAL_SERVER_ERROR", 2}, {0}}};

#define T struct hbk_gw_max_stream_duration
static const struct hbk_proto_field duration_fields[] = {
    F_TIME(max_stream_duration, .set_offset = offsetof(T, has_max_stream_duration), .set_value = 1),
    F_LATER("grpc_timeout_header_max"),
    F_LATER("grpc_timeout_header_offset"),
};
static const struct hbk_proto_message max_stream_duration_message = {
    MESSAGE("envoy.config.route.v3.RouteAction.MaxStreamDuration", duration_fields)};
#undef T

#define T struct hbk_gw_route_action
static const struct hbk_proto_field route_action_fields[] = {
    F_ONE_TEXT(cluster, cluster_specifier, HBK_GW_CLUSTER_NAME, 1, .min = 1),
    F_ONE_TEXT(cluster_header, cluster_specifier, HBK_GW_CLUSTER_HEADER, 1, .min = 1),
    F_ONE_MSG(weighted_clusters, weighted_clusters, cluster_specifier, HBK_GW_CLUSTER_WEIGHTED, 1),
    {.name = "cluster_specifier_plugin", .kind = HBK_PROTO_REFUSED, .is_guard = true, .oneof = 1},
    {.name = "inline_cluster_specifier_plugin", .kind = HBK_PROTO_REFUSED, .is_guard = true},
    F_ENUM(cluster_not_found_response_code, not_found_enum),
    F_LATER("metadata_match"),
    F_TEXT(prefix_rewrite, .is_head_text = true),
    F_GUARD("regex_rewrite"),
    F_GUARD("path_rewrite_policy"),
    F_ONE_TEXT(host_rewrite_literal, host_rewrite, HBK_GW_HOST_LITERAL, 2, .is_head_text = true),
    F_ONE_BOOL(auto_host_rewrite, host_rewrite, HBK_GW_HOST_AUTO, 2, .is_wrapper = true),
    F_ONE_TEXT(host_rewrite_header, host_rewrite, HBK_GW_HOST_HEADER, 2),
    {.name = "host_rewrite_path_regex", .kind = HBK_PROTO_REFUSED, .is_guard = true},
    F_BOOL(append_x_forwarded_host),
    F_TIME(timeout),
    F_TIME(idle_timeout, .set_offset = offsetof(T, has_idle_timeout), .set_value = 1),
    F_LATER("early_data_policy"),
    F_MSG(retry_policy, retry_policy),
    F_LATER("retry_policy_typed_config"),
    F_LATER("request_mirror_policies"),
    F_LATER("priority"),
    F_GUARD("rate_limits"),
    F_LATER("include_vh_rate_limits"),
    F_LATER("hash_policy"),
    F_GUARD("cors"),
    F_LATER("max_grpc_timeout"),
    F_LATER("grpc_timeout_offset"),
    F_LATER("upgrade_configs"),
    F_LATER("internal_redirect_policy"),
    F_LATER("internal_redirect_action"),
    F_LATER("max_internal_redirects"),
    F_LATER("hedge_policy"),
    F_MSG(max_stream_duration, max_stream_duration_message),
    F_LATER("flush_timeout"),
};
static void prepare_route_action(void *message)
{
    ((T *)message)->timeout = UINT64_C(15000000000);
}
static const struct hbk_proto_message route_action = {
    MESSAGE("envoy.config.route.v3.RouteAction", route_action_fields),
    .oneofs = {{"cluster, cluster_header or weighted_clusters", true}, {"host_rewrite", false}},
    .prepare = prepare_route_action};
#undef T

static const struct hbk_proto_enum redirect_code_enum = {
    "RedirectAction.RedirectResponseCode",
    (const struct hbk_proto_word[]){{"MOVED_PERMANENTLY", 0},
                                    {"FOUND", 1},
                                    {"SEE_OTHER", 2},
                                    {"TEMPORARY_REDIRECT", 3},
                                    {"PERMANENT_REDIRECT", 4},
                                    {0}}};

#define T struct hbk_gw_redirect_action
static const struct hbk_proto_field redirect_fields[] = {
    F_ONE_BOOL(https_redirect, scheme_rewrite_specifier, 1, 1),
    F_ONE_TEXT(scheme_redirect, scheme_rewrite_specifier, 2, 1, .is_head_text = true),
    F_TEXT(host_redirect, .is_head_text = true),
    F_U32(port_redirect, .max = 65535),
    F_ONE_TEXT(path_redirect, path_rewrite_specifier, HBK_GW_REDIRECT_PATH, 2,
               .is_head_text = true),
    F_ONE_TEXT(prefix_rewrite, path_rewrite_specifier, HBK_GW_REDIRECT_PREFIX, 2,
               .is_head_text = true),
    {.name = "regex_rewrite", .kind = HBK_PROTO_REFUSED, .is_guard = true},
    F_ENUM(response_code, redirect_code_enum),
    F_BOOL(strip_query),
};
static const struct hbk_proto_message redirect_action = {
    MESSAGE("envoy.config.route.v3.RedirectAction", redirect_fields)};
#undef T

#define T struct hbk_gw_direct_response
static hbk_status check_direct(struct hbk_proto_reader *reader, const struct hbk_node *node,
                               void *message)
{
    T *direct = message;
    return direct->body == NULL ? HBK_OK
                                : hbk_envoy_read_data(reader, node, direct->body,
                                                      DIRECT_BODY_BYTES_MAX, &direct->content);
}

static const struct hbk_proto_field direct_fields[] = {
    F_U32(status, .is_required = true, .min = STATUS_MIN, .max = STATUS_MAX),
    F_MSG(body, hbk_envoy_data_source),
    F_LATER("body_format"),
};
static const struct hbk_proto_message direct_response = {
    MESSAGE("envoy.config.route.v3.DirectResponseAction", direct_fields), .check = check_direct};
#undef T

#define T struct hbk_gw_route
static const struct hbk_proto_field route_fields[] = {
    F_TEXT(name),
    F_MSG(match, route_match, .is_required = true),
    F_ONE_MSG(route, route_action, action, HBK_GW_ACTION_ROUTE, 1),
    F_ONE_MSG(redirect, redirect_action, action, HBK_GW_ACTION_REDIRECT, 1),
    F_ONE_MSG(direct_response, direct_response, action, HBK_GW_ACTION_DIRECT_RESPONSE, 1),
    {.name = "filter_action", .kind = HBK_PROTO_REFUSED, .is_guard = true, .oneof = 1},
    {.name = "non_forwarding_action", .kind = HBK_PROTO_REFUSED, .is_guard = true, .oneof = 1},
    F_NOTHING("metadata", "nothing here reads it"),
    F_NOTHING("decorator", "there is no tracing"),
    F_GUARD("typed_per_filter_config"),
    HEADER_CHANGES,
    F_NOTHING("tracing", "there is no tracing"),
    F_LATER("per_request_buffer_limit_bytes"),
    F_LATER("request_body_buffer_limit"),
    F_LATER("stat_prefix"),
};
static const struct hbk_proto_message route = {
    MESSAGE("envoy.config.route.v3.Route", route_fields),
    .oneofs = {{"route, redirect or direct_response", true}}};
#undef T

static const struct hbk_proto_enum require_tls_enum = {
    "VirtualHost.TlsRequirementType",
    (const struct hbk_proto_word[]){{"NONE", 0}, {"EXTERNAL_ONLY", 1}, {"ALL", 2}, {0}}};

#define T struct hbk_gw_virtual_host
static const struct hbk_proto_field virtual_host_fields[] = {
    F_TEXT(name, .is_required = true, .min = 1),
    F_TEXTS(domains, .is_required = true),
    F_MSGS(routes, route),
    F_GUARD("matcher"),
    F_ENUM(require_tls, require_tls_enum),
    F_NOTHING("virtual_clusters", "only Envoy's statistics read it"),
    F_GUARD("rate_limits"),
    HEADER_CHANGES,
    F_GUARD("cors"),
    F_GUARD("typed_per_filter_config"),
    F_BOOL(include_request_attempt_count),
    F_BOOL(include_attempt_count_in_response),
    F_MSG(retry_policy, retry_policy),
    F_LATER("retry_policy_typed_config"),
    F_LATER("hedge_policy"),
    F_LATER("include_is_timeout_retry_header"),
    F_LATER("per_request_buffer_limit_bytes"),
    F_LATER("request_body_buffer_limit"),
    F_LATER("request_mirror_policies"),
    F_NOTHING("metadata", "nothing here reads it"),
};
static const struct hbk_proto_message virtual_host = {
    MESSAGE("envoy.config.route.v3.VirtualHost", virtual_host_fields)};
#undef T

/* ---- the whole ---- */

static bool is_bad_domain(struct hbk_slice domain)
{
    if (domain.size == 0) {
        return true;
    }
    for (size_t i = 0; i < domain.size; i++) {
        bool is_edge = i == 0 || i + 1 == domain.size;
        if (domain.bytes[i] <= ' ' || (domain.bytes[i] == '*' && !is_edge)) {
            return true;
        }
    }
    return domain.size > 1 && domain.bytes[0] == '*' && domain.bytes[domain.size - 1] == '*';
}

#define T struct hbk_gw_route_configuration
/* A domain may stand once in a configuration (Envoy says so too), in any case. */
static bool is_taken(const T *configuration, uint32_t host_index, uint32_t domain_index)
{
    struct hbk_slice domain = configuration->virtual_hosts[host_index].domains[domain_index];
    for (uint32_t i = 0; i <= host_index; i++) {
        const struct hbk_gw_virtual_host *host = &configuration->virtual_hosts[i];
        uint32_t count = i == host_index ? domain_index : host->domains_count;
        for (uint32_t k = 0; k < count; k++) {
            if (hbk_slice_equal_nocase(host->domains[k], domain)) {
                return true;
            }
        }
    }
    return false;
}

static hbk_status check_configuration(struct hbk_proto_reader *reader, const struct hbk_node *node,
                                      void *message)
{
    const T *configuration = message;
    for (uint32_t i = 0; i < configuration->virtual_hosts_count; i++) {
        const struct hbk_gw_virtual_host *host = &configuration->virtual_hosts[i];
        for (uint32_t k = 0; k < host->domains_count; k++) {
            if (is_bad_domain(host->domains[k])) {
                hbk_proto_error(reader, node,
                                "virtual host \"%s\" has the domain \"%s\"; allowed: a "
                                "name, \"*\", \"*suffix\" or \"prefix*\"",
                                (const char *)host->name.bytes,
                                (const char *)host->domains[k].bytes);
            } else if (is_taken(configuration, i, k)) {
                hbk_proto_error(reader, node,
                                "the domain \"%s\" of virtual host \"%s\" stands twice "
                                "in the route configuration; allowed: once",
                                (const char *)host->domains[k].bytes,
                                (const char *)host->name.bytes);
            }
        }
    }
    return HBK_OK;
}

static const struct hbk_proto_field configuration_fields[] = {
    F_TEXT(name),
    F_MSGS(virtual_hosts, virtual_host),
    F_GUARD("vhds"),
    F_TEXTS(internal_only_headers),
    HEADER_CHANGES,
    F_BOOL(most_specific_header_mutations_wins),
    F_BOOL(validate_clusters, .is_wrapper = true),
    F_U32(max_direct_response_body_size_bytes, .is_wrapper = true, .max = DIRECT_BODY_BYTES_MAX),
    F_GUARD("cluster_specifier_plugins"),
    F_LATER("request_mirror_policies"),
    F_BOOL(ignore_port_in_host_matching),
    F_LATER("ignore_path_parameters_in_path_matching"),
    F_GUARD("typed_per_filter_config"),
    F_NOTHING("metadata", "nothing here reads it"),
};
static void prepare_configuration(void *message)
{
    T *configuration = message;
    configuration->validate_clusters = true;
    configuration->max_direct_response_body_size_bytes = 4096;
}
const struct hbk_proto_message hbk_envoy_route_configuration = {
    MESSAGE("envoy.config.route.v3.RouteConfiguration", configuration_fields),
    .prepare = prepare_configuration, .check = check_configuration};
#undef T
