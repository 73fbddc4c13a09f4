/* envoy.config.bootstrap.v3, and the rules between listeners, routes, clusters and secrets. */
#include "base/hash.h"
#include "base/map.h"
#include "config/bootstrap.h"
#include "config/envoy.h"
#include "config/envoy_root.h"
#include "os/file.h"

/* ---- the admin port, statistics ---- */

#define T struct hbk_gw_admin
static const struct hbk_proto_field admin_fields[] = {
    F_MSGS(access_log, hbk_envoy_access_log),
    F_TEXT(access_log_path, .note = "the older form of access_log"),
    F_TEXT(profile_path, .note = "there is no profiler"),
    F_MSG(address, hbk_envoy_address),
    F_LATER("socket_options"),
    F_BOOL(ignore_global_conn_limit, .note = "there is no global limit"),
    F_MSGS(allow_paths, hbk_envoy_string_matcher),
};
static const struct hbk_proto_message admin = {
    MESSAGE("envoy.config.bootstrap.v3.Admin", admin_fields)};
#undef T

#define T struct hbk_gw_bucket_settings
static const struct hbk_proto_field bucket_fields[] = {
    F_MSG(match, hbk_envoy_string_matcher, .is_required = true),
    HBK_PROTO_LIST(T, buckets, HBK_PROTO_DOUBLE, .is_required = true),
    F_LATER("bins"),
};
static hbk_status check_buckets(struct hbk_proto_reader *reader, const struct hbk_node *node,
                                void *message)
{
    const T *settings = message;
    for (uint32_t i = 0; i < settings->buckets_count; i++) {
        if (settings->buckets[i] <= (i == 0 ? 0 : settings->buckets[i - 1])) {
            hbk_proto_error(reader, node,
                            "buckets[%u] is not above the one before; allowed: rising "
                            "numbers above 0",
                            i);
            return HBK_OK;
        }
    }
    return HBK_OK;
}
static const struct hbk_proto_message bucket_settings = {
    MESSAGE("envoy.config.metrics.v3.HistogramBucketSettings", bucket_fields),
    .check = check_buckets};
#undef T

#define T struct hbk_gw_stats_patterns
static const struct hbk_proto_field pattern_fields[] = {
    F_MSGS(patterns, hbk_envoy_string_matcher, .is_required = true),
};
static const struct hbk_proto_message stats_patterns = {
    MESSAGE("envoy.type.matcher.v3.ListStringMatcher", pattern_fields)};
#undef T

#define T struct hbk_gw_stats_matcher
static const struct hbk_proto_field stats_matcher_fields[] = {
    F_ONE_BOOL(reject_all, stats_matcher, 1, 1),
    F_ONE_MSG(exclusion_list, stats_patterns, stats_matcher, 2, 1),
    F_ONE_MSG(inclusion_list, stats_patterns, stats_matcher, 3, 1),
};
static const struct hbk_proto_message stats_matcher = {
    MESSAGE("envoy.config.metrics.v3.StatsMatcher", stats_matcher_fields)};
#undef T

#define T struct hbk_gw_stats_config
static const struct hbk_proto_field stats_fields[] = {
    F_LATER("stats_tags"),
    F_NOTHING("use_all_default_tags", "Envoy's default tags are always extracted"),
    F_MSG(stats_matcher, stats_matcher),
    F_MSGS(histogram_bucket_settings, bucket_settings),
};
static const struct hbk_proto_message stats_config = {
    MESSAGE("envoy.config.metrics.v3.StatsConfig", stats_fields)};
#undef T

#define T struct hbk_gw_static_resources
static const struct hbk_proto_field static_fields[] = {
    F_MSGS(listeners, hbk_envoy_listener),
    F_MSGS(clusters, hbk_envoy_cluster),
    F_MSGS(secrets, hbk_envoy_secret),
};
static const struct hbk_proto_message static_resources = {
    MESSAGE("envoy.config.bootstrap.v3.Bootstrap.StaticResources", static_fields)};
#undef T

/* ---- rules between the parts ---- */

struct names {
    struct hbk_proto_reader *reader;
    const struct hbk_node *node;
    const struct hbk_gw_static_resources *resources;
    struct hbk_map clusters;
};

static bool is_cluster(const void *object, const void *key)
{
    const struct hbk_gw_cluster *cluster = object;
    return hbk_slice_equal(cluster->name, *(const struct hbk_slice *)key);
}

static void check_cluster_name(struct names *names, struct hbk_slice name, const char *what,
                               struct hbk_slice owner)
{
    if (hbk_map_find(&names->clusters, hbk_hash(name), is_cluster, &name) == NULL) {
        hbk_proto_error(names->reader, names->node,
                        "%s \"%s\" uses the cluster \"%s\", which is not "
                        "there",
                        what, (const char *)owner.bytes, (const char *)name.bytes);
    }
}

static void check_route(struct names *names, const struct hbk_gw_route *route,
                        struct hbk_slice host)
{
    const struct hbk_gw_route_action *action = route->route;
    if (action == NULL) {
        return;
    }
    if (action->cluster_specifier == HBK_GW_CLUSTER_NAME) {
        check_cluster_name(names, action->cluster, "virtual host", host);
    }
    for (uint32_t i = 0;
         action->weighted_clusters != NULL && i < action->weighted_clusters->clusters_count; i++) {
        check_cluster_name(names, action->weighted_clusters->clusters[i].name, "virtual host",
                           host);
    }
}

static void check_manager(struct names *names, const struct hbk_gw_http_connection_manager *manager)
{
    const struct hbk_gw_route_configuration *routes = manager->route_config;
    for (uint32_t i = 0; i < routes->virtual_hosts_count; i++) {
        const struct hbk_gw_virtual_host *host = &routes->virtual_hosts[i];
        for (uint32_t k = 0; k < host->routes_count; k++) {
            const struct hbk_gw_direct_response *direct = host->routes[k].direct_response;
            if (routes->validate_clusters) {
                check_route(names, &host->routes[k], host->name);
            }
            if (direct != NULL &&
                direct->content.size > routes->max_direct_response_body_size_bytes) {
                hbk_proto_error(names->reader, names->node,
                                "a direct response of virtual host \"%s\" "
                                "has %zu bytes; allowed: %u",
                                (const char *)host->name.bytes, direct->content.size,
                                routes->max_direct_response_body_size_bytes);
            }
        }
    }
}

static void check_proxy(struct names *names, const struct hbk_gw_tcp_proxy *proxy)
{
    if (proxy->weighted_clusters == NULL) {
        check_cluster_name(names, proxy->cluster, "tcp_proxy", proxy->stat_prefix);
        return;
    }
    for (uint32_t i = 0; i < proxy->weighted_clusters->clusters_count; i++) {
        check_cluster_name(names, proxy->weighted_clusters->clusters[i].name, "tcp_proxy",
                           proxy->stat_prefix);
    }
}

static void check_sds(struct names *names, const struct hbk_gw_sds_config *sds, uint8_t type)
{
    if (sds == NULL || sds->sds_config != NULL) {
        return;
    }
    const struct hbk_gw_secret *secret = hbk_gw_find_secret(names->resources, sds->name);
    if (secret == NULL || secret->type != type) {
        hbk_proto_error(
            names->reader, names->node, "the secret \"%s\" %s", (const char *)sds->name.bytes,
            secret == NULL ? "is not there: it is no static secret and has no sds_config"
                           : "is of another kind than its use");
    }
}

static void check_tls(struct names *names, const struct hbk_gw_common_tls *common)
{
    for (uint32_t i = 0; common != NULL && i < common->tls_certificate_sds_secret_configs_count;
         i++) {
        check_sds(names, &common->tls_certificate_sds_secret_configs[i], HBK_GW_SECRET_CERTIFICATE);
    }
    if (common != NULL) {
        check_sds(names, common->validation_context_sds_secret_config, HBK_GW_SECRET_VALIDATION);
    }
}

static void check_chain(struct names *names, const struct hbk_gw_filter_chain *chain)
{
    for (uint32_t i = 0; chain != NULL && i < chain->filters_count; i++) {
        const struct hbk_gw_any *config = &chain->filters[i].typed_config;
        if (config->kind == HBK_GW_HTTP_CONNECTION_MANAGER) {
            check_manager(names, config->message);
        } else if (config->kind == HBK_GW_TCP_PROXY) {
            check_proxy(names, config->message);
        }
    }
    if (chain != NULL && chain->transport_socket != NULL &&
        chain->transport_socket->typed_config.kind == HBK_GW_DOWNSTREAM_TLS) {
        const struct hbk_gw_downstream_tls *tls = chain->transport_socket->typed_config.message;
        check_tls(names, tls->common_tls_context);
    }
}

static bool is_same_text_list(const struct hbk_slice *a, uint32_t a_count,
                              const struct hbk_slice *b, uint32_t b_count)
{
    for (uint32_t i = 0; a_count == b_count && i < a_count; i++) {
        if (!hbk_slice_equal(a[i], b[i])) {
            return false;
        }
    }
    return a_count == b_count;
}

static bool is_same_ranges(const struct hbk_gw_cidr_range *a, uint32_t a_count,
                           const struct hbk_gw_cidr_range *b, uint32_t b_count)
{
    for (uint32_t i = 0; a_count == b_count && i < a_count; i++) {
        if (a[i].cidr.prefix_bits != b[i].cidr.prefix_bits ||
            !hbk_ip_equal(&a[i].cidr.ip, &b[i].cidr.ip)) {
            return false;
        }
    }
    return a_count == b_count;
}

static bool is_same_match(const struct hbk_gw_filter_chain_match *a,
                          const struct hbk_gw_filter_chain_match *b)
{
    static const struct hbk_gw_filter_chain_match any;
    a = a == NULL ? &any : a;
    b = b == NULL ? &any : b;
    bool is_same = a->destination_port == b->destination_port && a->source_type == b->source_type &&
                   a->source_ports_count == b->source_ports_count &&
                   hbk_slice_equal(a->transport_protocol, b->transport_protocol);
    for (uint32_t i = 0; is_same && i < a->source_ports_count; i++) {
        is_same = a->source_ports[i] == b->source_ports[i];
    }
    return is_same &&
           is_same_text_list(a->server_names, a->server_names_count, b->server_names,
                             b->server_names_count) &&
           is_same_text_list(a->application_protocols, a->application_protocols_count,
                             b->application_protocols, b->application_protocols_count) &&
           is_same_ranges(a->prefix_ranges, a->prefix_ranges_count, b->prefix_ranges,
                          b->prefix_ranges_count) &&
           is_same_ranges(a->direct_source_prefix_ranges, a->direct_source_prefix_ranges_count,
                          b->direct_source_prefix_ranges, b->direct_source_prefix_ranges_count) &&
           is_same_ranges(a->source_prefix_ranges, a->source_prefix_ranges_count,
                          b->source_prefix_ranges, b->source_prefix_ranges_count);
}

static void check_listener(struct names *names, uint32_t index)
{
    const struct hbk_gw_listener *listener = &names->resources->listeners[index];
    for (uint32_t i = 0; i < index; i++) {
        if (hbk_slice_equal(names->resources->listeners[i].name, listener->name)) {
            hbk_proto_error(names->reader, names->node,
                            "two listeners are named \"%s\"; allowed: one",
                            (const char *)listener->name.bytes);
        }
    }
    for (uint32_t i = 0; i < listener->filter_chains_count; i++) {
        check_chain(names, &listener->filter_chains[i]);
        for (uint32_t k = 0; k < i; k++) {
            if (is_same_match(listener->filter_chains[i].filter_chain_match,
                              listener->filter_chains[k].filter_chain_match)) {
                hbk_proto_error(names->reader, names->node,
                                "listener \"%s\": filter_chains[%u] and [%u] "
                                "match the same; the second would never "
                                "be chosen",
                                (const char *)listener->name.bytes, k, i);
            }
        }
    }
    check_chain(names, listener->default_filter_chain);
}

static hbk_status add_clusters(struct names *names)
{
    for (uint32_t i = 0; i < names->resources->clusters_count; i++) {
        const struct hbk_gw_cluster *cluster = &names->resources->clusters[i];
        uint64_t hash = hbk_hash(cluster->name);
        if (hbk_map_find(&names->clusters, hash, is_cluster, &cluster->name) != NULL) {
            hbk_proto_error(names->reader, names->node,
                            "two clusters are named \"%s\"; allowed: one",
                            (const char *)cluster->name.bytes);
            continue;
        }
        HBK_TRY(hbk_map_add(&names->clusters, hash, (void *)(uintptr_t)cluster));
        if (cluster->transport_socket != NULL &&
            cluster->transport_socket->typed_config.kind == HBK_GW_UPSTREAM_TLS) {
            const struct hbk_gw_upstream_tls *tls = cluster->transport_socket->typed_config.message;
            check_tls(names, tls->common_tls_context);
        }
    }
    return HBK_OK;
}

#define T struct hbk_gw_bootstrap
static hbk_status check_bootstrap(struct hbk_proto_reader *reader, const struct hbk_node *node,
                                  void *message)
{
    static const struct hbk_gw_static_resources nothing;
    T *bootstrap = message;
    if (bootstrap->static_resources == NULL) {
        bootstrap->static_resources = &nothing;
    }
    struct names names = {reader, node, bootstrap->static_resources, {0}};
    hbk_map_init(&names.clusters);
    hbk_status status = add_clusters(&names);
    for (uint32_t i = 0; status == HBK_OK && i < names.resources->listeners_count; i++) {
        check_listener(&names, i);
    }
    hbk_map_fini(&names.clusters);
    return status;
}

static const struct hbk_proto_field bootstrap_fields[] = {
    F_MSG(node, hbk_envoy_node),
    F_LATER("node_context_params"),
    F_MSG(static_resources, static_resources),
    F_LATER("dynamic_resources"),
    F_LATER("cluster_manager"),
    F_LATER("hds_config"),
    F_NOTHING("flags_path", "Envoy does not read it either"),
    F_LATER("stats_sinks"),
    F_LATER("deferred_stat_options"),
    F_MSG(stats_config, stats_config),
    F_TIME(stats_flush_interval, .min = 1000000, .max = INT64_C(300000000000),
           .note = "nothing is flushed"),
    F_LATER("stats_flush_on_admin"),
    F_LATER("watchdog"),
    F_LATER("watchdogs"),
    F_LATER("tracing"),
    F_LATER("layered_runtime"),
    F_MSG(admin, admin),
    F_LATER("overload_manager"),
    F_LATER("enable_dispatcher_stats"),
    F_LATER("header_prefix"),
    F_LATER("stats_server_version_override"),
    F_LATER("use_tcp_for_dns_lookups"),
    F_LATER("dns_resolution_config"),
    F_MSG(typed_dns_resolver_config, hbk_envoy_dns_resolver),
    F_GUARD("bootstrap_extensions"),
    F_LATER("fatal_actions"),
    F_LATER("config_sources"),
    F_LATER("default_config_source"),
    F_LATER("default_socket_interface"),
    F_LATER("certificate_provider_instances"),
    F_LATER("inline_headers"),
    F_LATER("perf_tracing_file_path"),
    F_LATER("default_regex_engine"),
    F_LATER("xds_delegate_extension"),
    F_LATER("xds_config_tracker_extension"),
    F_LATER("listener_manager"),
    F_LATER("application_log_config"),
    F_LATER("grpc_async_client_manager_config"),
    F_LATER("memory_allocator_manager"),
};
static void prepare_bootstrap(void *message)
{
    ((T *)message)->stats_flush_interval = UINT64_C(5000000000);
}
const struct hbk_proto_message hbk_envoy_bootstrap = {
    MESSAGE("envoy.config.bootstrap.v3.Bootstrap", bootstrap_fields), .prepare = prepare_bootstrap,
    .check = check_bootstrap};
#undef T

/* ---- reading ---- */

static hbk_status build(const char *name, const struct hbk_node *root,
                        const struct hbk_bootstrap_options *options, struct hbk_gw_config *config,
                        struct hbk_report *report, struct hbk_report *warnings)
{
    struct hbk_envoy_context context = {.is_offline = options->is_offline};
    struct hbk_proto_reader reader = {
        .arena = &config->arena,
        .report = report,
        .warnings = warnings,
        .file = name,
        .allows_unknown = options->allows_unknown,
        .context = &context,
    };
    struct hbk_gw_bootstrap *bootstrap = hbk_arena_take(&config->arena, sizeof *bootstrap);
    if (bootstrap == NULL) {
        return HBK_NO_MEMORY;
    }
    HBK_TRY(hbk_proto_read(&reader, &hbk_envoy_bootstrap, root, bootstrap));
    config->bootstrap = bootstrap;
    return reader.errors == 0 ? HBK_OK : HBK_INVALID;
}

/* The document of the file, that of --config-yaml, or the one laid over the other. */
static hbk_status read_documents(const char *name, const struct hbk_slice *text,
                                 const struct hbk_bootstrap_options *options,
                                 struct hbk_arena *arena, struct hbk_report *report,
                                 struct hbk_node **out_root)
{
    struct hbk_node *root = NULL;
    if (text != NULL) {
        HBK_TRY(hbk_document_parse(name, *text, arena, report, &root));
    }
    if (options->yaml != NULL) {
        struct hbk_node *over = NULL;
        HBK_TRY(hbk_document_parse("--config-yaml", hbk_slice_text(options->yaml), arena, report,
                                   &over));
        if (root == NULL) {
            root = over;
        } else {
            hbk_document_merge(root, over);
        }
    }
    *out_root = root;
    return HBK_OK;
}

static hbk_status load(const char *name, const struct hbk_slice *text,
                       const struct hbk_bootstrap_options *options, struct hbk_arena *arena,
                       struct hbk_gw_config **out_config, struct hbk_report *report,
                       struct hbk_report *warnings)
{
    struct hbk_node *root = NULL;
    HBK_TRY(read_documents(name, text, options, arena, report, &root));
    struct hbk_gw_config *config = hbk_gw_config_new();
    if (config == NULL) {
        return HBK_NO_MEMORY;
    }
    hbk_status status = build(name, root, options, config, report, warnings);
    if (status != HBK_OK) {
        hbk_gw_config_unref(config);
        return status;
    }
    *out_config = config;
    return HBK_OK;
}

hbk_status hbk_bootstrap_parse(const char *name, struct hbk_slice text,
                               const struct hbk_bootstrap_options *options,
                               struct hbk_gw_config **out_config, struct hbk_report *report,
                               struct hbk_report *warnings)
{
    struct hbk_arena arena;
    hbk_report_init(report);
    hbk_report_init(warnings);
    hbk_arena_init(&arena);
    hbk_status status = load(name, &text, options, &arena, out_config, report, warnings);
    hbk_arena_wipe(&arena);
    hbk_arena_fini(&arena);
    return status;
}

hbk_status hbk_bootstrap_load(const struct hbk_bootstrap_options *options,
                              struct hbk_gw_config **out_config, struct hbk_report *report,
                              struct hbk_report *warnings)
{
    struct hbk_arena arena;
    struct hbk_slice text;
    hbk_status status = HBK_OK;
    const char *name = options->path != NULL ? options->path : "--config-yaml";
    hbk_report_init(report);
    hbk_report_init(warnings);
    hbk_arena_init(&arena);
    if (options->path != NULL) {
        status = hbk_file_read(&arena, options->path, HBK_BOOTSTRAP_BYTES_MAX, &text);
        if (status != HBK_OK) {
            hbk_report_add(report, name, 0, 0, "cannot be read: %s", hbk_status_text(status));
        }
    }
    if (status == HBK_OK) {
        status = load(name, options->path != NULL ? &text : NULL, options, &arena, out_config,
                      report, warnings);
    }
    hbk_arena_wipe(&arena);
    hbk_arena_fini(&arena);
    return status;
}
