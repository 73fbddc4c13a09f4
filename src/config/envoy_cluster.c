/* envoy.config.cluster.v3, envoy.config.endpoint.v3. */
#include "config/envoy.h"

/* ---- endpoints ---- */

#define T struct hbk_gw_endpoint_health_check
static const struct hbk_proto_field endpoint_health_fields[] = {
    F_U32(port_value, .max = 65535),
    F_TEXT(hostname, .is_head_text = true),
    F_MSG(address, hbk_envoy_address),
    F_BOOL(disable_active_health_check),
};
static hbk_status check_endpoint_health(struct hbk_proto_reader *reader,
                                        const struct hbk_node *node, void *message)
{
    const T *config = message;
    if (config->address != NULL && !config->address->socket_address->is_ip) {
        hbk_proto_error(reader, node,
                        "the address of a health check is \"%s\"; allowed: an IP "
                        "address",
                        (const char *)config->address->socket_address->address.bytes);
    }
    return HBK_OK;
}
static const struct hbk_proto_message endpoint_health = {
    MESSAGE("envoy.config.endpoint.v3.Endpoint.HealthCheckConfig", endpoint_health_fields),
    .check = check_endpoint_health};
#undef T

#define T struct hbk_gw_endpoint
static const struct hbk_proto_field endpoint_fields[] = {
    F_MSG(address, hbk_envoy_address, .is_required = true),
    F_MSG(health_check_config, endpoint_health),
    F_TEXT(hostname, .is_head_text = true),
    F_LATER("additional_addresses"),
};
static const struct hbk_proto_message endpoint = {
    MESSAGE("envoy.config.endpoint.v3.Endpoint", endpoint_fields)};
#undef T

static const struct hbk_proto_enum health_status_enum = {
    "HealthStatus", (const struct hbk_proto_word[]){{"UNKNOWN", 0},
                                                    {"HEALTHY", 1},
                                                    {"UNHEALTHY", 2},
                                                    {"DRAINING", 3},
                                                    {"TIMEOUT", 4},
                                                    {"DEGRADED", 5},
                                                    {0}}};

#define T struct hbk_gw_lb_endpoint
static const struct hbk_proto_field lb_endpoint_fields[] = {
    F_MSG(endpoint, endpoint, .is_required = true),
    F_LATER("endpoint_name"),
    F_ENUM(health_status, health_status_enum),
    F_NOTHING("metadata", "nothing here reads it"),
    F_U32(load_balancing_weight, .is_wrapper = true, .min = 1, .max = 65535),
};
static void prepare_lb_endpoint(void *message)
{
    ((T *)message)->load_balancing_weight = 1;
}
static const struct hbk_proto_message lb_endpoint = {
    MESSAGE("envoy.config.endpoint.v3.LbEndpoint", lb_endpoint_fields),
    .prepare = prepare_lb_endpoint};
#undef T

#define T struct hbk_gw_locality_endpoints
static const struct hbk_proto_field locality_fields[] = {
    F_MSG(locality, hbk_envoy_locality,
          .note = "shown in /clusters; endpoints of all localities are one set"),
    F_MSGS(lb_endpoints, lb_endpoint),
    F_LATER("load_balancer_endpoints"),
    F_LATER("leds_cluster_locality_config"),
    F_NOTHING("load_balancing_weight", "endpoints of all localities are one set"),
    F_U32(priority, .max = 0, .note = "0 only: failover between priorities is not supported yet"),
    F_LATER("proximity"),
};
static hbk_status check_locality(struct hbk_proto_reader *reader, const struct hbk_node *node,
                                 void *message)
{
    if (((T *)message)->priority > 0) {
        hbk_proto_error(reader, node,
                        "priority is %u; allowed: 0, since failover between priorities "
                        "is not supported yet",
                        ((T *)message)->priority);
    }
    return HBK_OK;
}
static const struct hbk_proto_message locality_endpoints = {
    MESSAGE("envoy.config.endpoint.v3.LocalityLbEndpoints", locality_fields),
    .check = check_locality};
#undef T

#define T struct hbk_gw_load_assignment
static const struct hbk_proto_field assignment_fields[] = {
    F_TEXT(cluster_name, .is_required = true, .min = 1),
    F_MSGS(endpoints, locality_endpoints),
    F_LATER("named_endpoints"),
    F_LATER("policy"),
};
static const struct hbk_proto_message load_assignment = {
    MESSAGE("envoy.config.endpoint.v3.ClusterLoadAssignment", assignment_fields)};
#undef T

/* ---- limits ---- */

static const struct hbk_proto_enum priority_enum = {
    "RoutingPriority", (const struct hbk_proto_word[]){{"DEFAULT", 0}, {"HIGH", 1}, {0}}};

#define T struct hbk_gw_thresholds
static const struct hbk_proto_field thresholds_fields[] = {
    F_ENUM(priority, priority_enum),
    F_U32(max_connections, .is_wrapper = true),
    F_U32(max_pending_requests, .is_wrapper = true),
    F_U32(max_requests, .is_wrapper = true),
    F_U32(max_retries, .is_wrapper = true),
    F_LATER("retry_budget"),
    F_LATER("track_remaining"),
    F_LATER("max_connection_pools"),
};
static void prepare_thresholds(void *message)
{
    T *thresholds = message;
    thresholds->max_connections = 1024;
    thresholds->max_pending_requests = 1024;
    thresholds->max_requests = 1024;
    thresholds->max_retries = 3;
}
static const struct hbk_proto_message thresholds_message = {
    MESSAGE("envoy.config.cluster.v3.CircuitBreakers.Thresholds", thresholds_fields),
    .prepare = prepare_thresholds};
#undef T

#define T struct hbk_gw_circuit_breakers
static const struct hbk_proto_field breakers_fields[] = {
    F_MSGS(thresholds, thresholds_message),
    F_MSGS(per_host_thresholds, thresholds_message, .note = "max_connections alone"),
};
static hbk_status check_breakers(struct hbk_proto_reader *reader, const struct hbk_node *node,
                                 void *message)
{
    const T *breakers = message;
    struct hbk_gw_thresholds usual;
    prepare_thresholds(&usual);
    for (uint32_t i = 0; i < breakers->per_host_thresholds_count; i++) {
        const struct hbk_gw_thresholds *given = &breakers->per_host_thresholds[i];
        if (given->max_pending_requests != usual.max_pending_requests ||
            given->max_requests != usual.max_requests || given->max_retries != usual.max_retries) {
            hbk_proto_error(reader, node,
                            "per_host_thresholds limits more than connections; "
                            "allowed: priority and max_connections");
        }
    }
    return HBK_OK;
}
static const struct hbk_proto_message circuit_breakers = {
    MESSAGE("envoy.config.cluster.v3.CircuitBreakers", breakers_fields), .check = check_breakers};
#undef T

#define T struct hbk_gw_bind_config
static const struct hbk_proto_field bind_fields[] = {
    F_MSG(source_address, hbk_envoy_socket_address),
    F_LATER("freebind"),
    F_LATER("socket_options"),
    F_LATER("extra_source_addresses"),
    F_LATER("additional_source_addresses"),
    F_LATER("local_address_selector"),
};
static const struct hbk_proto_message bind_config = {
    MESSAGE("envoy.config.core.v3.BindConfig", bind_fields)};
#undef T

#define T struct hbk_gw_least_request_config
static const struct hbk_proto_field least_request_fields[] = {
    F_U32(choice_count, .is_wrapper = true, .min = 2, .max = 65535),
    F_LATER("active_request_bias"),
    F_LATER("slow_start_config"),
};
static void prepare_least_request(void *message)
{
    ((T *)message)->choice_count = 2;
}
static const struct hbk_proto_message least_request = {
    MESSAGE("envoy.config.cluster.v3.Cluster.LeastRequestLbConfig", least_request_fields),
    .prepare = prepare_least_request};
#undef T

#define T struct hbk_gw_original_dst_config
static const struct hbk_proto_field original_dst_fields[] = {
    F_BOOL(use_http_header),
    F_TEXT(http_header_name),
    F_U32(upstream_port_override, .is_wrapper = true, .max = 65535),
    F_LATER("metadata_key"),
};
static hbk_status check_original_dst(struct hbk_proto_reader *reader, const struct hbk_node *node,
                                     void *message)
{
    T *config = message;
    if (config->http_header_name.size == 0) {
        config->http_header_name = HBK_SLICE("x-envoy-original-dst-host");
    } else if (!config->use_http_header) {
        hbk_proto_error(reader, node, "http_header_name without use_http_header is not read");
    }
    return HBK_OK;
}
static const struct hbk_proto_message original_dst = {
    MESSAGE("envoy.config.cluster.v3.Cluster.OriginalDstLbConfig", original_dst_fields),
    .check = check_original_dst};
#undef T

#define T struct hbk_gw_transport_socket
static const struct hbk_proto_field socket_fields[] = {
    F_TEXT(name, .is_required = true, .min = 1),
    F_ANY(typed_config, hbk_envoy_upstream_sockets),
};
static const struct hbk_proto_message upstream_socket = {
    MESSAGE("envoy.config.core.v3.TransportSocket", socket_fields)};
#undef T

static const struct hbk_proto_any_types option_types = {
    .title = "protocol options",
    .known = (const struct hbk_proto_message *const[]){&hbk_envoy_http_protocol_options, NULL}};

#define T struct hbk_gw_protocol_options_entry
static const struct hbk_proto_field entry_fields[] = {
    F_TEXT(key),
    F_ANY(value, option_types),
};
static const struct hbk_proto_message options_entry = {
    .size = sizeof(T), .fields = entry_fields, .field_count = HBK_COUNT(entry_fields)};
#undef T

/* ---- clusters ---- */

static const struct hbk_proto_enum type_enum = {
    "Cluster.DiscoveryType", (const struct hbk_proto_word[]){{"STATIC", 0},
                                                             {"STRICT_DNS", 1},
                                                             {"LOGICAL_DNS", 2, true},
                                                             {"EDS", 3, true},
                                                             {"ORIGINAL_DST", 4},
                                                             {0}}};
static const struct hbk_proto_enum lb_enum = {
    "Cluster.LbPolicy", (const struct hbk_proto_word[]){{"ROUND_ROBIN", 0},
                                                        {"LEAST_REQUEST", 1},
                                                        {"RING_HASH", 2, true},
                                                        {"RANDOM", 3},
                                                        {"MAGLEV", 5, true},
                                                        {"CLUSTER_PROVIDED", 6},
                                                        {"LOAD_BALANCING_POLICY_CONFIG", 7, true},
                                                        {0}}};
static const struct hbk_proto_enum family_enum = {
    "Cluster.DnsLookupFamily",
    (const struct hbk_proto_word[]){
        {"AUTO", 0}, {"V4_ONLY", 1}, {"V6_ONLY", 2}, {"V4_PREFERRED", 3}, {"ALL", 4}, {0}}};

#define T struct hbk_gw_cluster
static void check_endpoints(struct hbk_proto_reader *reader, const struct hbk_node *node,
                            T *cluster)
{
    const struct hbk_gw_load_assignment *assignment = cluster->load_assignment;
    if ((assignment == NULL) != (cluster->type == HBK_GW_ORIGINAL_DST)) {
        hbk_proto_error(reader, node,
                        assignment == NULL
                            ? "\"load_assignment\" is missing, which this type needs"
                            : "a cluster of type ORIGINAL_DST has no \"load_assignment\"");
        return;
    }
    for (uint32_t i = 0; assignment != NULL && i < assignment->endpoints_count; i++) {
        const struct hbk_gw_locality_endpoints *locality = &assignment->endpoints[i];
        cluster->endpoint_count += locality->lb_endpoints_count;
        for (uint32_t k = 0; k < locality->lb_endpoints_count; k++) {
            const struct hbk_gw_socket_address *address =
                locality->lb_endpoints[k].endpoint->address->socket_address;
            if (!address->is_ip && cluster->type == HBK_GW_STATIC) {
                hbk_proto_error(reader, node,
                                "the endpoint \"%s\" is a name; a cluster of type STATIC "
                                "has IP addresses, STRICT_DNS names",
                                (const char *)address->address.bytes);
            }
        }
    }
}

/* TLS offers the cluster's protocol by ALPN, to checks as to exchanges. */
static void check_health(struct hbk_proto_reader *reader, const struct hbk_node *node,
                         const T *cluster)
{
    if (cluster->health_checks_count > 1) {
        hbk_proto_error(reader, node, "there are %u health_checks; allowed: one",
                        cluster->health_checks_count);
        return;
    }
    const struct hbk_gw_http_health_check *http =
        cluster->health_checks_count == 0 ? NULL : cluster->health_checks->http_health_check;
    bool has_tls = cluster->transport_socket != NULL &&
                   cluster->transport_socket->typed_config.kind == HBK_GW_UPSTREAM_TLS;
    bool is_http2 = cluster->upstream_protocol == HBK_GW_UPSTREAM_HTTP2;
    if (http != NULL && has_tls && is_http2 != (http->codec_client_type == HBK_GW_HEALTH_HTTP2)) {
        hbk_proto_error(reader, node,
                        "the cluster speaks HTTP/%s over TLS and its health check does not; "
                        "allowed: codec_client_type HTTP%s",
                        is_http2 ? "2" : "1", is_http2 ? "2" : "1");
    }
}

/* The protocol comes from the typed options, or from the older form beside them. */
static hbk_status check_cluster(struct hbk_proto_reader *reader, const struct hbk_node *node,
                                void *message)
{
    T *cluster = message;
    check_endpoints(reader, node, cluster);
    for (uint32_t i = 0; i < cluster->typed_extension_protocol_options_count; i++) {
        cluster->http = cluster->typed_extension_protocol_options[i].value.message;
    }
    if (cluster->http != NULL) {
        bool is_http2 = cluster->http->explicit_http_config != NULL &&
                        cluster->http->explicit_http_config->choice == 2;
        cluster->upstream_protocol =
            cluster->http->upstream_protocol_options == 2   ? HBK_GW_UPSTREAM_DOWNSTREAM
            : cluster->http->upstream_protocol_options == 3 ? HBK_GW_UPSTREAM_AUTO
            : is_http2                                      ? HBK_GW_UPSTREAM_HTTP2
                                                            : HBK_GW_UPSTREAM_HTTP1;
    } else if (cluster->http2_protocol_options != NULL) {
        cluster->upstream_protocol = HBK_GW_UPSTREAM_HTTP2;
    }
    check_health(reader, node, cluster);
    if (cluster->upstream_protocol == HBK_GW_UPSTREAM_AUTO) {
        hbk_proto_error(reader, node,
                        "auto_config is not supported yet; allowed: explicit_http_config, "
                        "use_downstream_protocol_config");
    }
    if ((cluster->type == HBK_GW_ORIGINAL_DST) != (cluster->lb_policy == HBK_GW_CLUSTER_PROVIDED)) {
        hbk_proto_error(reader, node,
                        "type ORIGINAL_DST and lb_policy CLUSTER_PROVIDED belong "
                        "together");
    }
    if (cluster->type == HBK_GW_ORIGINAL_DST && cluster->health_checks_count > 0) {
        hbk_proto_error(reader, node,
                        "health_checks of a cluster of type ORIGINAL_DST are not "
                        "supported yet");
    }
    if (cluster->type != HBK_GW_ORIGINAL_DST && cluster->original_dst_lb_config != NULL) {
        hbk_proto_error(reader, node, "original_dst_lb_config belongs to type ORIGINAL_DST");
    }
    return HBK_OK;
}

static const struct hbk_proto_field cluster_fields[] = {
    F_TEXT(name, .is_required = true, .min = 1, .is_head_text = true), /* a check's Host */
    F_TEXT(alt_stat_name),
    F_ENUM(type, type_enum, .oneof = 1),
    F_LATER("cluster_type"),
    F_LATER("eds_cluster_config"),
    F_TIME(connect_timeout, .min = 1000000),
    F_U32(per_connection_buffer_limit_bytes, .is_wrapper = true, .min = 1024, .max = 1 << 30),
    F_ENUM(lb_policy, lb_enum),
    F_MSG(load_assignment, load_assignment),
    F_MSGS(health_checks, hbk_envoy_health_check, .note = "one"),
    F_U32(max_requests_per_connection, .is_wrapper = true),
    F_MSG(circuit_breakers, circuit_breakers),
    F_LATER("upstream_http_protocol_options"),
    F_MSG(common_http_protocol_options, hbk_envoy_http_options),
    F_MSG(http_protocol_options, hbk_envoy_http1_options, .note = "the older form"),
    F_MSG(http2_protocol_options, hbk_envoy_http2_options, .note = "the older form"),
    HBK_PROTO_LIST(T, typed_extension_protocol_options, HBK_PROTO_MESSAGE, .type = &options_entry,
                   .is_map = true),
    F_TIME(dns_refresh_rate, .min = 1000000),
    F_TIME(dns_jitter),
    F_MSG(dns_failure_refresh_rate, hbk_envoy_refresh_rate),
    F_BOOL(respect_dns_ttl),
    F_ENUM(dns_lookup_family, family_enum),
    F_LATER("dns_resolvers"),
    F_LATER("use_tcp_for_dns_lookups"),
    F_LATER("dns_resolution_config"),
    F_MSG(typed_dns_resolver_config, hbk_envoy_dns_resolver),
    F_LATER("wait_for_warm_on_init"),
    F_LATER("outlier_detection"),
    F_TIME(cleanup_interval, .min = 1000000),
    F_MSG(upstream_bind_config, bind_config),
    F_LATER("lb_subset_config"),
    F_LATER("ring_hash_lb_config"),
    F_LATER("maglev_lb_config"),
    F_MSG(original_dst_lb_config, original_dst),
    F_MSG(least_request_lb_config, least_request),
    F_LATER("round_robin_lb_config"),
    F_NOTHING("common_lb_config", "there is no panic threshold and no zone"),
    F_MSG(transport_socket, upstream_socket),
    F_GUARD("transport_socket_matches"),
    F_GUARD("transport_socket_matcher"),
    F_NOTHING("metadata", "nothing here reads it"),
    F_NOTHING("protocol_selection", "the typed options choose"),
    F_LATER("upstream_connection_options"),
    F_BOOL(close_connections_on_host_health_failure),
    F_BOOL(ignore_health_on_host_removal),
    F_GUARD("filters"),
    F_LATER("load_balancing_policy"),
    F_LATER("lrs_server"),
    F_LATER("lrs_report_endpoint_metrics"),
    F_NOTHING("track_timeout_budgets", "only Envoy's statistics read it"),
    F_LATER("upstream_config"),
    F_NOTHING("track_cluster_stats", "only Envoy's statistics read it"),
    F_LATER("preconnect_policy"),
    F_NOTHING("connection_pool_per_downstream_connection", "pools belong to workers"),
};
static void prepare_cluster(void *message)
{
    T *cluster = message;
    cluster->connect_timeout = UINT64_C(5000000000);
    cluster->per_connection_buffer_limit_bytes = 1 << 20;
    cluster->dns_refresh_rate = UINT64_C(5000000000);
    cluster->cleanup_interval = UINT64_C(5000000000);
}
const struct hbk_proto_message hbk_envoy_cluster = {
    MESSAGE("envoy.config.cluster.v3.Cluster", cluster_fields), .prepare = prepare_cluster,
    .check = check_cluster};
#undef T
