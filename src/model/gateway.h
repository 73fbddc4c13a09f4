/*
 * The gateway's configuration: listeners, clusters, the admin port, and the whole of it
 * (envoy.config.bootstrap.v3, envoy.config.listener.v3, envoy.config.cluster.v3).
 */
#pragma once

#include <stdatomic.h>

#include "base/arena.h"
#include "model/gateway_core.h"
#include "model/gateway_http.h"
#include "model/gateway_tls.h"

/* ---- listeners ---- */

struct hbk_gw_transport_socket {
    struct hbk_slice name;
    struct hbk_gw_any typed_config;
};

struct hbk_gw_tcp_weight {
    struct hbk_slice name;
    uint32_t weight;
};

struct hbk_gw_tcp_weights {
    const struct hbk_gw_tcp_weight *clusters;
    uint32_t clusters_count;
    uint64_t total;
};

struct hbk_gw_tcp_proxy {
    struct hbk_slice stat_prefix, cluster;
    const struct hbk_gw_tcp_weights *weighted_clusters;
    const struct hbk_gw_access_log *access_log;
    uint32_t access_log_count;
    uint8_t cluster_specifier; /* 1: cluster, 2: weighted_clusters */
    uint64_t idle_timeout;     /* 1 h; 0: none */
    uint64_t max_downstream_connection_duration;
    uint32_t max_connect_attempts; /* 1 */
};

/* What every connection of a chain ends in, and filters before it. */
struct hbk_gw_filter {
    struct hbk_slice name;
    struct hbk_gw_any typed_config;
};

enum hbk_gw_source_type { HBK_GW_SOURCE_ANY, HBK_GW_SOURCE_LOCAL, HBK_GW_SOURCE_EXTERNAL };

struct hbk_gw_filter_chain_match {
    uint32_t destination_port; /* 0: any */
    const struct hbk_gw_cidr_range *prefix_ranges, *direct_source_prefix_ranges;
    const struct hbk_gw_cidr_range *source_prefix_ranges;
    const struct hbk_slice *server_names, *application_protocols;
    const uint32_t *source_ports;
    uint32_t prefix_ranges_count, direct_source_prefix_ranges_count, source_prefix_ranges_count;
    uint32_t server_names_count, application_protocols_count, source_ports_count;
    int source_type;
    struct hbk_slice transport_protocol; /* empty: any; "raw_buffer", "tls" */
};

struct hbk_gw_filter_chain {
    struct hbk_slice name;
    const struct hbk_gw_filter_chain_match *filter_chain_match;
    const struct hbk_gw_filter *filters; /* the last one is terminal */
    uint32_t filters_count;
    const struct hbk_gw_transport_socket *transport_socket;
    uint64_t transport_socket_connect_timeout; /* 0: none */
};

struct hbk_gw_tls_inspector {
    uint32_t initial_read_buffer_size, max_client_hello_size;
};

struct hbk_gw_proxy_protocol {
    bool allow_requests_without_proxy_protocol;
};

struct hbk_gw_listener_filter {
    struct hbk_slice name;
    struct hbk_gw_any typed_config;
};

struct hbk_gw_additional_address {
    const struct hbk_gw_address *address;
};

struct hbk_gw_balance_config {
    const void *exact_balance;
};

struct hbk_gw_listener {
    struct hbk_slice name; /* given, or made of the address */
    struct hbk_slice stat_prefix;
    const struct hbk_gw_address *address;
    const struct hbk_gw_additional_address *additional_addresses;
    const struct hbk_gw_filter_chain *filter_chains, *default_filter_chain;
    const struct hbk_gw_listener_filter *listener_filters;
    const struct hbk_gw_access_log *access_log;
    const struct hbk_gw_balance_config *connection_balance_config;
    uint32_t additional_addresses_count, filter_chains_count, listener_filters_count;
    uint32_t access_log_count;
    uint32_t per_connection_buffer_limit_bytes; /* 1 MiB */
    uint32_t tcp_backlog_size;                  /* has_tcp_backlog_size */
    uint32_t max_connections_to_accept_per_socket_event;
    uint64_t listener_filters_timeout; /* 15 s; 0: none */
    uint8_t has_tcp_backlog_size;
    bool continue_on_listener_filters_timeout, bind_to_port, enable_reuse_port, use_original_dst;
    bool ignore_global_conn_limit;
    int traffic_direction; /* 0: unspecified, 1: inbound, 2: outbound */
    int drain_type;        /* 0: default, 1: modify only */
};

/* ---- clusters ---- */

enum hbk_gw_discovery_type { HBK_GW_STATIC = 0, HBK_GW_STRICT_DNS = 1, HBK_GW_ORIGINAL_DST = 4 };
enum hbk_gw_lb_policy {
    HBK_GW_ROUND_ROBIN = 0,
    HBK_GW_LEAST_REQUEST = 1,
    HBK_GW_RANDOM = 3,
    HBK_GW_CLUSTER_PROVIDED = 6,
};

struct hbk_gw_endpoint_health_check {
    uint32_t port_value;                  /* 0: the endpoint's */
    struct hbk_slice hostname;            /* empty: the check's */
    const struct hbk_gw_address *address; /* an IP address; NULL: the endpoint's */
    bool disable_active_health_check;
};

struct hbk_gw_endpoint {
    const struct hbk_gw_address *address;
    const struct hbk_gw_endpoint_health_check *health_check_config;
    struct hbk_slice hostname;
};

struct hbk_gw_lb_endpoint {
    const struct hbk_gw_endpoint *endpoint;
    uint32_t load_balancing_weight; /* 1 */
    int health_status;              /* 0 unknown, 1 healthy, 2 unhealthy, 3 draining, 4, 5 */
};

struct hbk_gw_locality {
    struct hbk_slice region, zone, sub_zone;
};

struct hbk_gw_locality_endpoints {
    const struct hbk_gw_locality *locality;
    const struct hbk_gw_lb_endpoint *lb_endpoints;
    uint32_t lb_endpoints_count;
    uint32_t load_balancing_weight;
    uint32_t priority;
};

struct hbk_gw_load_assignment {
    struct hbk_slice cluster_name;
    const struct hbk_gw_locality_endpoints *endpoints;
    uint32_t endpoints_count;
};

enum { HBK_GW_HEALTH_PATTERN_BYTES_MAX = 16 * 1024 }; /* of one payload, 1 at least */

struct hbk_gw_health_payload {
    struct hbk_slice text; /* hexadecimal */
    struct hbk_slice binary;
    uint8_t payload;        /* 1: text, 2: binary */
    struct hbk_slice bytes; /* of either */
};

/* envoy.config.core.v3.RequestMethod */
enum hbk_gw_health_method {
    HBK_GW_HEALTH_UNSPECIFIED, /* GET */
    HBK_GW_HEALTH_GET,
    HBK_GW_HEALTH_HEAD,
    HBK_GW_HEALTH_POST,
    HBK_GW_HEALTH_PUT,
    HBK_GW_HEALTH_DELETE,
    HBK_GW_HEALTH_CONNECT, /* refused */
    HBK_GW_HEALTH_OPTIONS,
    HBK_GW_HEALTH_TRACE,
    HBK_GW_HEALTH_PATCH,
    HBK_GW_HEALTH_METHODS,
};

enum hbk_gw_health_codec { HBK_GW_HEALTH_HTTP1, HBK_GW_HEALTH_HTTP2 };

struct hbk_gw_http_health_check {
    struct hbk_slice host, path;
    const struct hbk_gw_int64_range *expected_statuses;  /* none: 200 */
    const struct hbk_gw_int64_range *retriable_statuses; /* bad, but the threshold counts */
    const struct hbk_gw_header_value_option *request_headers_to_add;
    const struct hbk_slice *request_headers_to_remove;
    uint32_t expected_statuses_count, retriable_statuses_count;
    uint32_t request_headers_to_add_count, request_headers_to_remove_count;
    int method;            /* enum hbk_gw_health_method */
    int codec_client_type; /* enum hbk_gw_health_codec */
};

struct hbk_gw_tcp_health_check {
    const struct hbk_gw_health_payload *send;
    const struct hbk_gw_health_payload *receive;
    uint32_t receive_count;
};

/* Intervals that were not given are those that stand in for them. */
struct hbk_gw_health_check {
    uint64_t timeout, interval, no_traffic_interval, no_traffic_healthy_interval;
    uint64_t unhealthy_interval, unhealthy_edge_interval, healthy_edge_interval;
    uint64_t initial_jitter, interval_jitter;
    uint32_t interval_jitter_percent;
    uint32_t unhealthy_threshold, healthy_threshold;
    uint32_t alt_port; /* 0: the endpoint's */
    const struct hbk_gw_http_health_check *http_health_check;
    const struct hbk_gw_tcp_health_check *tcp_health_check;
    uint8_t health_checker; /* 1: http, 2: tcp */
    bool reuse_connection;  /* true */
    bool always_log_health_check_failures, always_log_health_check_success;
};

struct hbk_gw_thresholds {
    int priority;             /* 0: default */
    uint32_t max_connections; /* 1024, as the next two */
    uint32_t max_pending_requests, max_requests;
    uint32_t max_retries; /* 3 */
};

struct hbk_gw_circuit_breakers {
    const struct hbk_gw_thresholds *thresholds, *per_host_thresholds;
    uint32_t thresholds_count, per_host_thresholds_count;
};

struct hbk_gw_bind_config {
    const struct hbk_gw_socket_address *source_address;
};

/* How names are looked up. */
enum {
    HBK_GW_DNS_SERVERS_MAX = 16,
    HBK_GW_DNS_TIMEOUT_S = 5, /* of the first try with a server; it doubles */
    HBK_GW_DNS_TRIES = 4,
};

struct hbk_gw_refresh_rate {
    uint64_t base_interval, max_interval; /* 10 times the base */
};

struct hbk_gw_dns_options {
    bool use_tcp_for_dns_lookups, no_default_search_domain;
};

struct hbk_gw_cares_config {
    const struct hbk_gw_address *resolvers; /* none: the system's */
    const struct hbk_gw_dns_options *dns_resolver_options;
    uint32_t resolvers_count;
    uint32_t query_timeout_seconds, query_tries;
    bool rotate_nameservers;
};

enum hbk_gw_dns_family {
    HBK_GW_DNS_AUTO, /* IPv6, or else IPv4 */
    HBK_GW_DNS_V4_ONLY,
    HBK_GW_DNS_V6_ONLY,
    HBK_GW_DNS_V4_PREFERRED, /* IPv4, or else IPv6 */
    HBK_GW_DNS_ALL,
};

/* Where a host that is made on demand is found, beside the connection's original destination. */
struct hbk_gw_original_dst_config {
    struct hbk_slice http_header_name; /* x-envoy-original-dst-host */
    uint32_t upstream_port_override;   /* 0: none */
    bool use_http_header;
};

struct hbk_gw_least_request_config {
    uint32_t choice_count; /* 2 */
};

/* An entry of typed_extension_protocol_options. */
struct hbk_gw_protocol_options_entry {
    struct hbk_slice key;
    struct hbk_gw_any value;
};

struct hbk_gw_cluster {
    struct hbk_slice name, alt_stat_name;
    const struct hbk_gw_load_assignment *load_assignment;
    const struct hbk_gw_health_check *health_checks;
    const struct hbk_gw_circuit_breakers *circuit_breakers;
    const struct hbk_gw_transport_socket *transport_socket;
    const struct hbk_gw_protocol_options_entry *typed_extension_protocol_options;
    const struct hbk_gw_bind_config *upstream_bind_config;
    const struct hbk_gw_least_request_config *least_request_lb_config;
    const struct hbk_gw_original_dst_config *original_dst_lb_config;
    const struct hbk_gw_refresh_rate *dns_failure_refresh_rate;
    const struct hbk_gw_typed_extension *typed_dns_resolver_config;
    const struct hbk_gw_http1_options *http_protocol_options; /* the older form, as the next */
    const struct hbk_gw_http2_options *http2_protocol_options;
    const struct hbk_gw_http_options *common_http_protocol_options;
    uint32_t health_checks_count, typed_extension_protocol_options_count;
    int type;                  /* enum hbk_gw_discovery_type */
    int lb_policy;             /* enum hbk_gw_lb_policy */
    int dns_lookup_family;     /* enum hbk_gw_dns_family */
    uint64_t connect_timeout;  /* 5 s */
    uint64_t dns_refresh_rate; /* 5 s */
    uint64_t dns_jitter;
    uint64_t cleanup_interval;                  /* 5 s; of hosts that were made on demand */
    uint32_t per_connection_buffer_limit_bytes; /* 1 MiB */
    uint32_t max_requests_per_connection;       /* 0: no limit */
    bool respect_dns_ttl, close_connections_on_host_health_failure;
    bool ignore_health_on_host_removal;
    /* Made of the above. */
    const struct hbk_gw_http_protocol_options *http; /* NULL: defaults */
    int upstream_protocol;                           /* enum hbk_gw_upstream_protocol */
    uint32_t endpoint_count;                         /* in all localities */
};

/* ---- the whole ---- */

struct hbk_gw_admin {
    const struct hbk_gw_address *address; /* NULL: no admin port */
    const struct hbk_gw_access_log *access_log;
    struct hbk_slice access_log_path, profile_path;
    const struct hbk_gw_string_matcher *allow_paths;
    uint32_t access_log_count, allow_paths_count;
    bool ignore_global_conn_limit;
};

struct hbk_gw_node {
    struct hbk_slice id, cluster;
    const struct hbk_gw_locality *locality;
};

struct hbk_gw_bucket_settings {
    const struct hbk_gw_string_matcher *match;
    const double *buckets;
    uint32_t buckets_count;
};

struct hbk_gw_stats_patterns {
    const struct hbk_gw_string_matcher *patterns;
    uint32_t patterns_count;
};

struct hbk_gw_stats_matcher {
    const struct hbk_gw_stats_patterns *exclusion_list, *inclusion_list;
    bool reject_all;
    uint8_t stats_matcher; /* 1: reject_all, 2: exclusion_list, 3: inclusion_list */
};

struct hbk_gw_stats_config {
    const struct hbk_gw_bucket_settings *histogram_bucket_settings;
    const struct hbk_gw_stats_matcher *stats_matcher;
    uint32_t histogram_bucket_settings_count;
};

struct hbk_gw_static_resources {
    const struct hbk_gw_listener *listeners;
    const struct hbk_gw_cluster *clusters;
    const struct hbk_gw_secret *secrets;
    uint32_t listeners_count, clusters_count, secrets_count;
};

struct hbk_gw_bootstrap {
    const struct hbk_gw_node *node;
    const struct hbk_gw_static_resources *static_resources; /* never NULL when built */
    const struct hbk_gw_admin *admin;
    const struct hbk_gw_stats_config *stats_config;
    const struct hbk_gw_typed_extension *typed_dns_resolver_config; /* for clusters without */
    uint64_t stats_flush_interval;                                  /* 5 s */
};

/* The holder: counted, immutable. */
struct hbk_gw_config {
    struct hbk_arena arena;
    const struct hbk_gw_bootstrap *bootstrap;
    _Atomic uint32_t references; /* release on giving back, acquire before the free */
};

/* An empty one with one holder; NULL when out of memory. */
HBK_MUST_USE struct hbk_gw_config *hbk_gw_config_new(void);
struct hbk_gw_config *hbk_gw_config_ref(struct hbk_gw_config *config);

/* The last one wipes: inline keys lie in the arena. NULL is allowed. Any thread. */
void hbk_gw_config_unref(struct hbk_gw_config *config);

/* The options of a cluster's connections that no version of HTTP matters to: the typed ones, or
 * else the older form; NULL: neither. */
const struct hbk_gw_http_options *hbk_gw_cluster_http_options(const struct hbk_gw_cluster *cluster);

/* Where a cluster's connections come from; NULL: the kernel chooses. */
const struct hbk_address *hbk_gw_cluster_source(const struct hbk_gw_cluster *cluster);

/* By name; NULL without one. */
const struct hbk_gw_cluster *hbk_gw_find_cluster(const struct hbk_gw_static_resources *all,
                                                 struct hbk_slice name);
const struct hbk_gw_secret *hbk_gw_find_secret(const struct hbk_gw_static_resources *all,
                                               struct hbk_slice name);
