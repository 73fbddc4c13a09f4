/* envoy.extensions.filters.network.http_connection_manager.v3, envoy.extensions.upstreams.http.v3.
 */
#include "config/envoy.h"

#define T struct hbk_gw_router
static const struct hbk_proto_field router_fields[] = {
    F_BOOL(dynamic_stats, .is_wrapper = true, .note = "all that there is is counted in any case"),
    F_NOTHING("start_child_span", "there is no tracing"),
    F_LATER("upstream_log"),
    F_LATER("upstream_log_options"),
    F_BOOL(suppress_envoy_headers),
    F_LATER("strict_check_headers"),
    F_BOOL(respect_expected_rq_timeout),
    F_LATER("suppress_grpc_request_failure_code_stats"),
    F_GUARD("upstream_http_filters"),
    F_LATER("reject_connect_request_early"),
};
static const struct hbk_proto_message router = {
    MESSAGE("envoy.extensions.filters.http.router.v3.Router", router_fields),
    .any_kind = HBK_GW_ROUTER,
    .extension_names = (const char *const[]){"envoy.filters.http.router", "envoy.router", NULL}};
#undef T

#define HTTP_FILTER(name) "envoy.extensions.filters.http." name
static const struct hbk_proto_any_types http_filter_types = {
    .title = "HTTP filter",
    .known = (const struct hbk_proto_message *const[]){&router, NULL},
    .refused = (const char *const[]){HTTP_FILTER("rbac.v3.RBAC"),
                                     HTTP_FILTER("lua.v3.Lua"),
                                     HTTP_FILTER("wasm.v3.Wasm"),
                                     HTTP_FILTER("ext_authz.v3.ExtAuthz"),
                                     HTTP_FILTER("jwt_authn.v3.JwtAuthentication"),
                                     HTTP_FILTER("local_ratelimit.v3.LocalRateLimit"),
                                     HTTP_FILTER("ratelimit.v3.RateLimit"),
                                     HTTP_FILTER("cors.v3.Cors"),
                                     HTTP_FILTER("fault.v3.HTTPFault"),
                                     HTTP_FILTER("compressor.v3.Compressor"),
                                     HTTP_FILTER("decompressor.v3.Decompressor"),
                                     HTTP_FILTER("buffer.v3.Buffer"),
                                     HTTP_FILTER("health_check.v3.HealthCheck"),
                                     HTTP_FILTER("grpc_web.v3.GrpcWeb"),
                                     HTTP_FILTER("grpc_stats.v3.FilterConfig"),
                                     HTTP_FILTER("header_to_metadata.v3.Config"),
                                     HTTP_FILTER("ext_proc.v3.ExternalProcessor"),
                                     HTTP_FILTER("csrf.v3.CsrfPolicy"),
                                     HTTP_FILTER("oauth2.v3.OAuth2"),
                                     HTTP_FILTER("header_mutation.v3.HeaderMutation"),
                                     HTTP_FILTER("on_demand.v3.OnDemand"),
                                     HTTP_FILTER("set_metadata.v3.Config"),
                                     HTTP_FILTER("stateful_session.v3.StatefulSession"),
                                     HTTP_FILTER("admission_control.v3.AdmissionControl"),
                                     HTTP_FILTER("bandwidth_limit.v3.BandwidthLimit"),
                                     HTTP_FILTER("dynamic_forward_proxy.v3.FilterConfig"),
                                     HTTP_FILTER("adaptive_concurrency.v3.AdaptiveConcurrency"),
                                     HTTP_FILTER("original_src.v3.OriginalSrc"),
                                     HTTP_FILTER("tap.v3.Tap"),
                                     HTTP_FILTER("gzip.v3.Gzip"),
                                     HTTP_FILTER("alpn.v3.FilterConfig"),
                                     NULL}};

static hbk_status check_http_filter(struct hbk_proto_reader *reader, const struct hbk_node *node,
                                    void *message)
{
    struct hbk_gw_http_filter *filter = message;
    static const struct hbk_gw_router router_defaults;
    if (filter->typed_config.kind == HBK_GW_NOTHING) {
        if (hbk_proto_find_extension(&http_filter_types, filter->name) == NULL) {
            hbk_proto_error(reader, node,
                            "\"typed_config\" is missing, which HTTP filter \"%s\" needs",
                            (const char *)filter->name.bytes);
            return HBK_OK;
        }
        filter->typed_config = (struct hbk_gw_any){HBK_GW_ROUTER, &router_defaults};
    }
    if (filter->disabled) {
        hbk_proto_error(reader, node, "the router may not be disabled");
    }
    return HBK_OK;
}

#define T struct hbk_gw_http_filter
static const struct hbk_proto_field http_filter_fields[] = {
    F_TEXT(name, .is_required = true, .min = 1),
    F_ANY(typed_config, http_filter_types),
    F_LATER("config_discovery"),
    F_BOOL(is_optional),
    F_BOOL(disabled),
};
static const struct hbk_proto_message http_filter = {
    MESSAGE("envoy.extensions.filters.network.http_connection_manager.v3.HttpFilter",
            http_filter_fields),
    .check = check_http_filter};
#undef T

#define T struct hbk_gw_client_cert_details_set
static const struct hbk_proto_field set_details_fields[] = {
    F_BOOL(subject, .is_wrapper = true), F_BOOL(cert), F_BOOL(chain), F_BOOL(dns), F_BOOL(uri),
};
static const struct hbk_proto_message set_details = {
    MESSAGE("envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager."
            "SetCurrentClientCertDetails",
            set_details_fields)};
#undef T

static const struct hbk_proto_enum codec_enum = {
    "HttpConnectionManager.CodecType",
    (const struct hbk_proto_word[]){
        {"AUTO", 0}, {"HTTP1", 1}, {"HTTP2", 2}, {"HTTP3", 3, true}, {0}}};
static const struct hbk_proto_enum server_header_enum = {
    "HttpConnectionManager.ServerHeaderTransformation",
    (const struct hbk_proto_word[]){
        {"OVERWRITE", 0}, {"APPEND_IF_ABSENT", 1}, {"PASS_THROUGH", 2}, {0}}};
static const struct hbk_proto_enum cert_details_enum = {
    "HttpConnectionManager.ForwardClientCertDetails",
    (const struct hbk_proto_word[]){{"SANITIZE", 0},
                                    {"FORWARD_ONLY", 1},
                                    {"APPEND_FORWARD", 2},
                                    {"SANITIZE_SET", 3},
                                    {"ALWAYS_FORWARD_ONLY", 4},
                                    {0}}};
static const struct hbk_proto_enum slashes_enum = {
    "HttpConnectionManager.PathWithEscapedSlashesAction",
    (const struct hbk_proto_word[]){{"IMPLEMENTATION_SPECIFIC_DEFAULT", 0},
                                    {"KEEP_UNCHANGED", 1},
                                    {"REJECT_REQUEST", 2},
                                    {"UNESCAPE_AND_REDIRECT", 3},
                                    {"UNESCAPE_AND_FORWARD", 4},
                                    {0}}};

#define T struct hbk_gw_http_connection_manager
static hbk_status check_manager(struct hbk_proto_reader *reader, const struct hbk_node *node,
                                void *message)
{
    const T *manager = message;
    if (manager->route_config == NULL) {
        hbk_proto_error(reader, node,
                        "nothing for \"route_config\"; other sources of routes are not "
                        "supported yet");
    }
    if (manager->http_filters_count == 0) {
        hbk_proto_error(reader, node, "no HTTP filters; the last one must be the router");
    } else if (manager->http_filters_count > 1) {
        hbk_proto_error(reader, node,
                        "the router stands %u times in \"http_filters\"; allowed: once",
                        manager->http_filters_count);
    }
    if (manager->strip_any_host_port && manager->strip_matching_host_port) {
        hbk_proto_error(reader, node,
                        "\"strip_any_host_port\" beside \"strip_matching_host_port\"; "
                        "allowed: one of them");
    }
    return HBK_OK;
}

static const struct hbk_proto_field manager_fields[] = {
    F_ENUM(codec_type, codec_enum),
    F_TEXT(stat_prefix, .is_required = true, .min = 1),
    F_GUARD("rds"),
    F_MSG(route_config, hbk_envoy_route_configuration),
    F_GUARD("scoped_routes"),
    F_MSGS(http_filters, http_filter),
    F_BOOL(add_user_agent, .is_wrapper = true),
    F_NOTHING("tracing", "there is no tracing"),
    F_MSG(common_http_protocol_options, hbk_envoy_http_options),
    F_LATER("http1_safe_max_connection_duration"),
    F_MSG(http_protocol_options, hbk_envoy_http1_options),
    F_MSG(http2_protocol_options, hbk_envoy_http2_options),
    F_LATER("http3_protocol_options"),
    F_TEXT(server_name, .is_head_text = true),
    F_ENUM(server_header_transformation, server_header_enum),
    F_LATER("scheme_header_transformation"),
    F_U32(max_request_headers_kb, .is_wrapper = true, .min = 1, .max = 60),
    F_TIME(stream_idle_timeout),
    F_LATER("stream_flush_timeout"),
    F_TIME(request_timeout),
    F_TIME(request_headers_timeout),
    F_TIME(drain_timeout, .note = "a drained HTTP/2 client has a second to answer"),
    F_TIME(delayed_close_timeout),
    F_MSGS(access_log, hbk_envoy_access_log),
    F_LATER("access_log_flush_interval"),
    F_LATER("flush_access_log_on_new_request"),
    F_LATER("access_log_options"),
    F_BOOL(use_remote_address, .is_wrapper = true),
    F_U32(xff_num_trusted_hops),
    F_GUARD("original_ip_detection_extensions"),
    F_GUARD("early_header_mutation_extensions"),
    F_LATER("internal_address_config"),
    F_BOOL(skip_xff_append),
    F_TEXT(via, .is_head_text = true),
    F_BOOL(generate_request_id, .is_wrapper = true),
    F_BOOL(preserve_external_request_id),
    F_BOOL(always_set_request_id_in_response),
    F_ENUM(forward_client_cert_details, cert_details_enum),
    F_MSG(set_current_client_cert_details, set_details),
    F_LATER("proxy_100_continue"),
    F_LATER("represent_ipv4_remote_address_as_ipv4_mapped_ipv6"),
    F_LATER("upgrade_configs"),
    F_BOOL(normalize_path, .is_wrapper = true),
    F_BOOL(merge_slashes),
    F_ENUM(path_with_escaped_slashes_action, slashes_enum),
    F_LATER("request_id_extension"),
    F_LATER("local_reply_config"),
    F_BOOL(strip_matching_host_port, .oneof = 2),
    F_BOOL(strip_any_host_port, .oneof = 2),
    F_LATER("stream_error_on_invalid_http_message"),
    F_LATER("path_normalization_options"),
    F_BOOL(strip_trailing_host_dot),
    F_LATER("proxy_status_config"),
    F_LATER("typed_header_validation_config"),
    F_LATER("append_x_forwarded_port"),
    F_LATER("append_local_overload"),
    F_LATER("add_proxy_protocol_connection_state"),
};
static void prepare_manager(void *message)
{
    T *manager = message;
    manager->max_request_headers_kb = 60;
    manager->stream_idle_timeout = UINT64_C(300000000000);
    manager->drain_timeout = UINT64_C(5000000000);
    manager->delayed_close_timeout = UINT64_C(1000000000);
    manager->generate_request_id = true;
}
const struct hbk_proto_message hbk_envoy_http_connection_manager = {
    MESSAGE("envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager",
            manager_fields),
    .any_kind = HBK_GW_HTTP_CONNECTION_MANAGER,
    .extension_names = (const char *const[]){"envoy.filters.network.http_connection_manager",
                                             "envoy.http_connection_manager", NULL},
    .prepare = prepare_manager, .check = check_manager};
#undef T

/* ---- towards a cluster ---- */

#define T struct hbk_gw_protocol_choice
static const struct hbk_proto_field choice_fields[] = {
    F_ONE_MSG(http_protocol_options, hbk_envoy_http1_options, choice, 1, 1),
    F_ONE_MSG(http2_protocol_options, hbk_envoy_http2_options, choice, 2, 1),
    F_LATER("http3_protocol_options"),
};
static const struct hbk_proto_message explicit_config = {
    MESSAGE("envoy.extensions.upstreams.http.v3.HttpProtocolOptions.ExplicitHttpConfig",
            choice_fields),
    .oneofs = {{"http_protocol_options or http2_protocol_options", true}}};
static const struct hbk_proto_field both_fields[] = {
    F_MSG(http_protocol_options, hbk_envoy_http1_options),
    F_MSG(http2_protocol_options, hbk_envoy_http2_options),
    F_LATER("http3_protocol_options"),
    F_LATER("alternate_protocols_cache_options"),
};
static const struct hbk_proto_message downstream_config = {MESSAGE(
    "envoy.extensions.upstreams.http.v3.HttpProtocolOptions.UseDownstreamHttpConfig", both_fields)};
static const struct hbk_proto_message auto_config = {
    MESSAGE("envoy.extensions.upstreams.http.v3.HttpProtocolOptions.AutoHttpConfig", both_fields)};
#undef T

#define T struct hbk_gw_upstream_http_options
static const struct hbk_proto_field upstream_options_fields[] = {
    F_BOOL(auto_sni),
    F_BOOL(auto_san_validation),
    F_LATER("override_auto_sni_header"),
};
static const struct hbk_proto_message upstream_options = {
    MESSAGE("envoy.config.core.v3.UpstreamHttpProtocolOptions", upstream_options_fields)};
#undef T

#define T struct hbk_gw_http_protocol_options
static const struct hbk_proto_field protocol_options_fields[] = {
    F_MSG(common_http_protocol_options, hbk_envoy_http_options),
    F_MSG(upstream_http_protocol_options, upstream_options),
    F_ONE_MSG(explicit_http_config, explicit_config, upstream_protocol_options, 1, 1),
    F_ONE_MSG(use_downstream_protocol_config, downstream_config, upstream_protocol_options, 2, 1),
    F_ONE_MSG(auto_config, auto_config, upstream_protocol_options, 3, 1),
    F_GUARD("http_filters"),
    F_LATER("header_validation_config"),
    F_LATER("outlier_detection"),
    F_LATER("request_mirror_policies"),
    F_LATER("hash_policy"),
    F_LATER("retry_policy"),
};
const struct hbk_proto_message hbk_envoy_http_protocol_options = {
    MESSAGE("envoy.extensions.upstreams.http.v3.HttpProtocolOptions", protocol_options_fields),
    .oneofs = {{"explicit_http_config, use_downstream_protocol_config or auto_config", true}},
    .any_kind = HBK_GW_HTTP_PROTOCOL_OPTIONS};
#undef T
