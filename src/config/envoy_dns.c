/* How names are looked up: envoy.extensions.network.dns_resolver.cares.v3 and what names it. */
#include "config/envoy.h"

#define T struct hbk_gw_refresh_rate
static const struct hbk_proto_field rate_fields[] = {
    F_TIME(base_interval, .is_required = true, .min = 1000000),
    F_TIME(max_interval, .min = 1000000),
};
static hbk_status check_rate(struct hbk_proto_reader *reader, const struct hbk_node *node,
                             void *message)
{
    T *rate = message;
    if (rate->max_interval == 0) {
        rate->max_interval =
            rate->base_interval > UINT64_MAX / 10 ? rate->base_interval : rate->base_interval * 10;
    } else if (rate->max_interval < rate->base_interval) {
        hbk_proto_error(reader, node, "max_interval is less than base_interval");
    }
    return HBK_OK;
}
const struct hbk_proto_message hbk_envoy_refresh_rate = {
    MESSAGE("envoy.config.cluster.v3.Cluster.RefreshRate", rate_fields), .check = check_rate};
#undef T

#define T struct hbk_gw_dns_options
static const struct hbk_proto_field option_fields[] = {
    F_BOOL(use_tcp_for_dns_lookups),
    F_BOOL(no_default_search_domain),
};
static const struct hbk_proto_message dns_options = {
    MESSAGE("envoy.config.core.v3.DnsResolverOptions", option_fields)};
#undef T

#define T struct hbk_gw_cares_config
static hbk_status check_cares(struct hbk_proto_reader *reader, const struct hbk_node *node,
                              void *message)
{
    const T *config = message;
    if (config->resolvers_count > HBK_GW_DNS_SERVERS_MAX) {
        hbk_proto_error(reader, node, "there are %u resolvers; allowed: %d",
                        config->resolvers_count, HBK_GW_DNS_SERVERS_MAX);
    }
    for (uint32_t i = 0; i < config->resolvers_count; i++) {
        if (!config->resolvers[i].socket_address->is_ip) {
            hbk_proto_error(reader, node, "the resolver \"%s\" is a name; allowed: IP addresses",
                            (const char *)config->resolvers[i].socket_address->address.bytes);
        }
    }
    return HBK_OK;
}
static const struct hbk_proto_field cares_fields[] = {
    F_MSGS(resolvers, hbk_envoy_address),
    F_LATER("use_resolvers_as_fallback"),
    F_LATER("filter_unroutable_families"),
    F_MSG(dns_resolver_options, dns_options),
    F_LATER("udp_max_queries"),
    F_U32(query_timeout_seconds, .is_wrapper = true, .min = 1, .max = 3600),
    F_U32(query_tries, .is_wrapper = true, .min = 1, .max = 100),
    F_BOOL(rotate_nameservers),
    F_LATER("edns0_max_payload_size"),
    F_LATER("max_udp_channel_duration"),
    F_LATER("reinit_channel_on_timeout"),
};
static void prepare_cares(void *message)
{
    T *config = message;
    config->query_timeout_seconds = HBK_GW_DNS_TIMEOUT_S;
    config->query_tries = HBK_GW_DNS_TRIES;
}
static const struct hbk_proto_message cares = {
    MESSAGE("envoy.extensions.network.dns_resolver.cares.v3.CaresDnsResolverConfig", cares_fields),
    .any_kind = HBK_GW_CARES_RESOLVER,
    .extension_names = (const char *const[]){"envoy.network.dns_resolver.cares", NULL},
    .prepare = prepare_cares, .check = check_cares};
#undef T

static const struct hbk_proto_any_types resolver_types = {
    .title = "DNS resolver",
    .known = (const struct hbk_proto_message *const[]){&cares, NULL},
    .refused = (const char *const[]){
        "envoy.extensions.network.dns_resolver.getaddrinfo.v3.GetAddrInfoDnsResolverConfig",
        "envoy.extensions.network.dns_resolver.apple.v3.AppleDnsResolverConfig", NULL}};

#define T struct hbk_gw_typed_extension
static const struct hbk_proto_field resolver_fields[] = {
    F_TEXT(name, .is_required = true, .min = 1),
    F_ANY(typed_config, resolver_types, .is_required = true),
};
const struct hbk_proto_message hbk_envoy_dns_resolver = {
    MESSAGE("envoy.config.core.v3.TypedExtensionConfig", resolver_fields)};
#undef T
