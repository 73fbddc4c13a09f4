/* envoy.config.listener.v3, listener filters, envoy.extensions.filters.network.tcp_proxy.v3. */
#include <stdio.h>

#include "config/envoy.h"

/* ---- tcp_proxy ---- */

#define T struct hbk_gw_tcp_weight
static const struct hbk_proto_field tcp_weight_fields[] = {
    F_TEXT(name, .is_required = true, .min = 1),
    F_U32(weight, .is_required = true, .min = 1, .max = 4294967295),
    F_LATER("metadata_match"),
};
static const struct hbk_proto_message tcp_weight = {
    MESSAGE("envoy.extensions.filters.network.tcp_proxy.v3.TcpProxy.WeightedCluster.ClusterWeight",
            tcp_weight_fields)};
#undef T

#define T struct hbk_gw_tcp_weights
static hbk_status check_tcp_weights(struct hbk_proto_reader *reader, const struct hbk_node *node,
                                    void *message)
{
    T *weights = message;
    for (uint32_t i = 0; i < weights->clusters_count; i++) {
        weights->total += weights->clusters[i].weight;
    }
    if (weights->total == 0 || weights->total > UINT32_MAX) {
        hbk_proto_error(reader, node, "the weights add up to %llu; allowed: 1 to 4294967295",
                        (unsigned long long)weights->total);
    }
    return HBK_OK;
}
static const struct hbk_proto_field tcp_weights_fields[] = {
    F_MSGS(clusters, tcp_weight, .is_required = true),
};
static const struct hbk_proto_message tcp_weights = {
    MESSAGE("envoy.extensions.filters.network.tcp_proxy.v3.TcpProxy.WeightedCluster",
            tcp_weights_fields),
    .check = check_tcp_weights};
#undef T

#define T struct hbk_gw_tcp_proxy
static const struct hbk_proto_field tcp_proxy_fields[] = {
    F_TEXT(stat_prefix, .is_required = true, .min = 1),
    F_ONE_TEXT(cluster, cluster_specifier, 1, 1, .min = 1),
    F_ONE_MSG(weighted_clusters, tcp_weights, cluster_specifier, 2, 1),
    F_LATER("on_demand"),
    F_LATER("metadata_match"),
    F_TIME(idle_timeout),
    F_MSGS(access_log, hbk_envoy_access_log),
    F_U32(max_connect_attempts, .is_wrapper = true, .min = 1, .max = 100),
    F_LATER("backoff_options"),
    F_LATER("hash_policy"),
    F_LATER("tunneling_config"),
    F_TIME(max_downstream_connection_duration, .min = 1000000),
    F_LATER("max_downstream_connection_duration_jitter_percentage"),
    F_LATER("access_log_flush_interval"),
    F_LATER("flush_access_log_on_connected"),
    F_LATER("access_log_options"),
    F_LATER("proxy_protocol_tlvs"),
    F_LATER("upstream_connect_mode"),
    F_LATER("max_early_data_bytes"),
};
static void prepare_tcp_proxy(void *message)
{
    T *proxy = message;
    proxy->idle_timeout = UINT64_C(3600000000000);
    proxy->max_connect_attempts = 1;
}
static const struct hbk_proto_message tcp_proxy = {
    MESSAGE("envoy.extensions.filters.network.tcp_proxy.v3.TcpProxy", tcp_proxy_fields),
    .oneofs = {{"cluster or weighted_clusters", true}}, .any_kind = HBK_GW_TCP_PROXY,
    .extension_names =
        (const char *const[]){"envoy.filters.network.tcp_proxy", "envoy.tcp_proxy", NULL},
    .prepare = prepare_tcp_proxy};
#undef T

#define NETWORK_FILTER(name) "envoy.extensions.filters.network." name
static const struct hbk_proto_any_types filter_types = {
    .title = "network filter",
    .known = (const struct hbk_proto_message *const[]){&hbk_envoy_http_connection_manager,
                                                       &tcp_proxy, NULL},
    .refused = (const char *const[]){
        NETWORK_FILTER("rbac.v3.RBAC"), NETWORK_FILTER("sni_cluster.v3.SniCluster"),
        NETWORK_FILTER("connection_limit.v3.ConnectionLimit"),
        NETWORK_FILTER("local_ratelimit.v3.LocalRateLimit"),
        NETWORK_FILTER("ratelimit.v3.RateLimit"), NETWORK_FILTER("ext_authz.v3.ExtAuthz"),
        NETWORK_FILTER("redis_proxy.v3.RedisProxy"), NETWORK_FILTER("mongo_proxy.v3.MongoProxy"),
        NETWORK_FILTER("thrift_proxy.v3.ThriftProxy"), NETWORK_FILTER("dubbo_proxy.v3.DubboProxy"),
        NETWORK_FILTER("echo.v3.Echo"), NETWORK_FILTER("direct_response.v3.Config"),
        NETWORK_FILTER("wasm.v3.Wasm"), NETWORK_FILTER("set_filter_state.v3.Config"),
        NETWORK_FILTER("sni_dynamic_forward_proxy.v3.FilterConfig"),
        NETWORK_FILTER("zookeeper_proxy.v3.ZooKeeperProxy"), NULL}};

#define T struct hbk_gw_filter
static const struct hbk_proto_field filter_fields[] = {
    F_TEXT(name, .is_required = true, .min = 1),
    F_ANY(typed_config, filter_types, .is_required = true),
    F_GUARD("config_discovery"),
};
static const struct hbk_proto_message filter = {
    MESSAGE("envoy.config.listener.v3.Filter", filter_fields)};
#undef T

/* ---- filter chains ---- */

#define T struct hbk_gw_transport_socket
static const struct hbk_proto_field socket_fields[] = {
    F_TEXT(name, .is_required = true, .min = 1),
    F_ANY(typed_config, hbk_envoy_downstream_sockets),
};
const struct hbk_proto_message hbk_envoy_downstream_socket = {
    MESSAGE("envoy.config.core.v3.TransportSocket", socket_fields)};
#undef T

static const struct hbk_proto_enum source_type_enum = {
    "FilterChainMatch.ConnectionSourceType",
    (const struct hbk_proto_word[]){{"ANY", 0}, {"SAME_IP_OR_LOOPBACK", 1}, {"EXTERNAL", 2}, {0}}};

#define T struct hbk_gw_filter_chain_match
static hbk_status check_chain_match(struct hbk_proto_reader *reader, const struct hbk_node *node,
                                    void *message)
{
    const T *match = message;
    for (uint32_t i = 0; i < match->server_names_count; i++) {
        struct hbk_slice name = match->server_names[i];
        for (size_t k = 0; k < name.size; k++) {
            if (name.bytes[k] == '*' && (k > 0 || name.size < 3 || name.bytes[1] != '.')) {
                hbk_proto_error(reader, node,
                                "server_names[%u] is \"%s\"; allowed: a name, or "
                                "\"*.\" before one",
                                i, (const char *)name.bytes);
                break;
            }
        }
    }
    struct hbk_slice transport = match->transport_protocol;
    if (transport.size > 0 && !hbk_slice_equal(transport, HBK_SLICE("tls")) &&
        !hbk_slice_equal(transport, HBK_SLICE("raw_buffer"))) {
        hbk_proto_error(reader, node, "transport_protocol is \"%s\"; allowed: tls, raw_buffer",
                        (const char *)transport.bytes);
    }
    return HBK_OK;
}
static const struct hbk_proto_field chain_match_fields[] = {
    F_U32(destination_port, .is_wrapper = true, .min = 1, .max = 65535),
    F_MSGS(prefix_ranges, hbk_envoy_cidr_range),
    F_GUARD("address_suffix"),
    F_GUARD("suffix_len"),
    F_MSGS(direct_source_prefix_ranges, hbk_envoy_cidr_range),
    F_ENUM(source_type, source_type_enum),
    F_MSGS(source_prefix_ranges, hbk_envoy_cidr_range),
    F_U32S(source_ports, .min = 1, .max = 65535),
    F_TEXTS(server_names, .min = 1, .max = 255),
    F_TEXT(transport_protocol),
    F_TEXTS(application_protocols, .min = 1, .max = 255),
};
static const struct hbk_proto_message chain_match = {
    MESSAGE("envoy.config.listener.v3.FilterChainMatch", chain_match_fields),
    .check = check_chain_match};
#undef T

#define T struct hbk_gw_filter_chain
static hbk_status check_chain(struct hbk_proto_reader *reader, const struct hbk_node *node,
                              void *message)
{
    const T *chain = message;
    if (chain->filters_count != 1) {
        hbk_proto_error(reader, node,
                        "%u network filters; allowed: one, an HTTP connection manager or "
                        "a tcp_proxy",
                        chain->filters_count);
    }
    return HBK_OK;
}
static const struct hbk_proto_field chain_fields[] = {
    F_MSG(filter_chain_match, chain_match),
    F_MSGS(filters, filter),
    F_LATER("use_proxy_proto"),
    F_NOTHING("metadata", "nothing here reads it"),
    F_MSG(transport_socket, hbk_envoy_downstream_socket),
    F_TIME(transport_socket_connect_timeout),
    F_TEXT(name),
};
static const struct hbk_proto_message filter_chain = {
    MESSAGE("envoy.config.listener.v3.FilterChain", chain_fields), .check = check_chain};
#undef T

/* ---- listener filters ---- */

#define T struct hbk_gw_tls_inspector
static const struct hbk_proto_field tls_inspector_fields[] = {
    F_LATER("enable_ja3_fingerprinting"),
    F_LATER("enable_ja4_fingerprinting"),
    F_U32(initial_read_buffer_size, .is_wrapper = true, .min = 256, .max = 65536,
          .note = "what has arrived is looked at where it lies"),
    F_LATER("close_connection_on_client_hello_parsing_errors"),
    F_U32(max_client_hello_size, .is_wrapper = true, .max = 16384),
};
static const struct hbk_proto_message tls_inspector = {
    MESSAGE("envoy.extensions.filters.listener.tls_inspector.v3.TlsInspector",
            tls_inspector_fields),
    .any_kind = HBK_GW_TLS_INSPECTOR,
    .extension_names = (const char *const[]){"envoy.filters.listener.tls_inspector",
                                             "envoy.listener.tls_inspector", NULL}};
#undef T

#define T struct hbk_gw_proxy_protocol
static const struct hbk_proto_field proxy_protocol_fields[] = {
    F_LATER("rules"),
    F_BOOL(allow_requests_without_proxy_protocol),
    F_LATER("pass_through_tlvs"),
    F_LATER("disallowed_versions"),
    F_LATER("stat_prefix"),
};
static const struct hbk_proto_message proxy_protocol = {
    MESSAGE("envoy.extensions.filters.listener.proxy_protocol.v3.ProxyProtocol",
            proxy_protocol_fields),
    .any_kind = HBK_GW_PROXY_PROTOCOL,
    .extension_names = (const char *const[]){"envoy.filters.listener.proxy_protocol",
                                             "envoy.listener.proxy_protocol", NULL}};
#undef T

static const struct hbk_proto_message original_dst = {
    .name = "envoy.extensions.filters.listener.original_dst.v3.OriginalDst",
    .size = 1,
    .any_kind = HBK_GW_ORIGINAL_DST_FILTER,
    .extension_names = (const char *const[]){"envoy.filters.listener.original_dst",
                                             "envoy.listener.original_dst", NULL}};

#define LISTENER_FILTER(name) "envoy.extensions.filters.listener." name
static const struct hbk_proto_any_types listener_filter_types = {
    .title = "listener filter",
    .known = (const struct hbk_proto_message *const[]){&tls_inspector, &proxy_protocol,
                                                       &original_dst, NULL},
    .refused = (const char *const[]){LISTENER_FILTER("http_inspector.v3.HttpInspector"),
                                     LISTENER_FILTER("original_src.v3.OriginalSrc"),
                                     LISTENER_FILTER("local_ratelimit.v3.LocalRateLimit"), NULL}};

static hbk_status check_listener_filter(struct hbk_proto_reader *reader,
                                        const struct hbk_node *node, void *message)
{
    struct hbk_gw_listener_filter *listener_filter = message;
    if (listener_filter->typed_config.kind == HBK_GW_NOTHING) {
        const struct hbk_proto_message *type =
            hbk_proto_find_extension(&listener_filter_types, listener_filter->name);
        if (type == NULL) {
            hbk_proto_error(reader, node, "listener filter \"%s\" is not supported yet",
                            (const char *)listener_filter->name.bytes);
            return HBK_OK;
        }
        void *empty = hbk_arena_take(reader->arena, type->size);
        if (empty == NULL) {
            return HBK_NO_MEMORY;
        }
        listener_filter->typed_config = (struct hbk_gw_any){type->any_kind, empty};
    }
    return HBK_OK;
}

#define T struct hbk_gw_listener_filter
static const struct hbk_proto_field listener_filter_fields[] = {
    F_TEXT(name, .is_required = true, .min = 1),
    F_ANY(typed_config, listener_filter_types),
    F_GUARD("config_discovery"),
    F_LATER("filter_disabled"),
};
static const struct hbk_proto_message listener_filter = {
    MESSAGE("envoy.config.listener.v3.ListenerFilter", listener_filter_fields),
    .check = check_listener_filter};
#undef T

/* ---- listeners ---- */

#define T struct hbk_gw_additional_address
static const struct hbk_proto_field additional_fields[] = {
    F_MSG(address, hbk_envoy_address, .is_required = true),
    F_LATER("socket_options"),
    F_LATER("tcp_keepalive"),
};
static const struct hbk_proto_message additional_address = {
    MESSAGE("envoy.config.listener.v3.AdditionalAddress", additional_fields)};
#undef T

#define T struct hbk_gw_balance_config
static const struct hbk_proto_field balance_fields[] = {
    F_MSG(exact_balance, hbk_envoy_empty,
          .note = "taken, but the kernel spreads connections over the workers' sockets"),
    F_LATER("extend_balance"),
};
static const struct hbk_proto_message balance_config = {
    MESSAGE("envoy.config.listener.v3.Listener.ConnectionBalanceConfig", balance_fields)};
#undef T

static const struct hbk_proto_enum direction_enum = {
    "TrafficDirection",
    (const struct hbk_proto_word[]){{"UNSPECIFIED", 0}, {"INBOUND", 1}, {"OUTBOUND", 2}, {0}}};
static const struct hbk_proto_enum drain_type_enum = {
    "Listener.DrainType", (const struct hbk_proto_word[]){{"DEFAULT", 0}, {"MODIFY_ONLY", 1}, {0}}};

#define T struct hbk_gw_listener
static void check_listener_address(struct hbk_proto_reader *reader, const struct hbk_node *node,
                                   const struct hbk_gw_address *address)
{
    if (!address->socket_address->is_ip) {
        hbk_proto_error(reader, node, "the address \"%s\" is a name; allowed: an IP address",
                        (const char *)address->socket_address->address.bytes);
    }
}

/* A listener without a name is called by its address, as in Envoy's statistics. */
static hbk_status name_listener(struct hbk_proto_reader *reader, T *listener)
{
    char text[HBK_ADDRESS_TEXT_BYTES_MAX];
    if (listener->name.size > 0) {
        return HBK_OK;
    }
    struct hbk_slice address =
        hbk_slice_text(hbk_address_text(&listener->address->socket_address->ip, text));
    char *copy = hbk_arena_string(reader->arena, address);
    if (copy == NULL) {
        return HBK_NO_MEMORY;
    }
    listener->name = hbk_slice_of(copy, address.size);
    return HBK_OK;
}

static hbk_status check_listener(struct hbk_proto_reader *reader, const struct hbk_node *node,
                                 void *message)
{
    T *listener = message;
    if (listener->address == NULL) {
        hbk_proto_error(reader, node, "\"address\" is missing, which a listener needs");
        return HBK_OK;
    }
    check_listener_address(reader, node, listener->address);
    for (uint32_t i = 0; i < listener->additional_addresses_count; i++) {
        check_listener_address(reader, node, listener->additional_addresses[i].address);
    }
    if (listener->filter_chains_count == 0 && listener->default_filter_chain == NULL) {
        hbk_proto_error(reader, node, "no filter chain; a listener needs one");
    }
    return name_listener(reader, listener);
}

static const struct hbk_proto_field listener_fields[] = {
    F_TEXT(name),
    F_MSG(address, hbk_envoy_address),
    F_MSGS(additional_addresses, additional_address),
    F_TEXT(stat_prefix),
    F_MSGS(filter_chains, filter_chain),
    F_GUARD("filter_chain_matcher"),
    F_BOOL(use_original_dst, .is_wrapper = true),
    F_MSG(default_filter_chain, filter_chain, .is_list = false),
    F_U32(per_connection_buffer_limit_bytes, .is_wrapper = true, .min = 1024, .max = 1 << 30),
    F_NOTHING("metadata", "nothing here reads it"),
    F_LATER("deprecated_v1"),
    F_ENUM(drain_type, drain_type_enum, .note = "a stop drains every listener"),
    F_MSGS(listener_filters, listener_filter),
    F_TIME(listener_filters_timeout),
    F_BOOL(continue_on_listener_filters_timeout),
    F_GUARD("transparent"),
    F_LATER("freebind"),
    F_LATER("socket_options"),
    F_LATER("tcp_fast_open_queue_length"),
    F_ENUM(traffic_direction, direction_enum, .note = "nothing here reads it"),
    F_LATER("udp_listener_config"),
    F_LATER("api_listener"),
    F_MSG(connection_balance_config, balance_config),
    F_NOTHING("reuse_port", "every worker has a socket of its own"),
    F_BOOL(enable_reuse_port, .is_wrapper = true),
    F_MSGS(access_log, hbk_envoy_access_log),
    F_U32(tcp_backlog_size, .is_wrapper = true, .min = 1, .max = 65535,
          .set_offset = offsetof(T, has_tcp_backlog_size), .set_value = 1),
    F_U32(max_connections_to_accept_per_socket_event, .is_wrapper = true, .min = 1, .max = 65535),
    F_BOOL(bind_to_port, .is_wrapper = true),
    F_LATER("internal_listener"),
    F_LATER("enable_mptcp"),
    F_BOOL(ignore_global_conn_limit, .note = "there is no global limit"),
    F_LATER("bypass_overload_manager"),
    F_LATER("tcp_keepalive"),
    F_GUARD("fcds_config"),
};
static void prepare_listener(void *message)
{
    T *listener = message;
    listener->per_connection_buffer_limit_bytes = 1 << 20;
    listener->listener_filters_timeout = UINT64_C(15000000000);
    listener->bind_to_port = true;
    listener->enable_reuse_port = true;
}
const struct hbk_proto_message hbk_envoy_listener = {
    MESSAGE("envoy.config.listener.v3.Listener", listener_fields), .prepare = prepare_listener,
    .check = check_listener};
#undef T
