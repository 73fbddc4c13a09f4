/* The table of a service. */
#include "config/mesh_decoder.h"

/* In the file, blocks of virtual addresses have a list of their own. */
struct service_draft {
    struct hbk_service service;
    const struct hbk_vip *blocks;
    uint32_t block_count;
};

#define AT(member) .offset = offsetof(struct hbk_service, member)
#define LIST_AT(member, count_member) \
    AT(member), .count_offset = offsetof(struct hbk_service, count_member)

static const struct hbk_word scope_words[] = {
    {"Region", HBK_SCOPE_REGION},
    {"Zone", HBK_SCOPE_ZONE},
    {"Subzone", HBK_SCOPE_SUBZONE},
    {"Node", HBK_SCOPE_NODE},
    {"Cluster", HBK_SCOPE_CLUSTER},
    {"Network", HBK_SCOPE_NETWORK},
    {NULL, 0},
};

static const struct hbk_word balance_mode_words[] = {
    {"Standard", HBK_BALANCE_STANDARD},
    {"Strict", HBK_BALANCE_STRICT},
    {"Failover", HBK_BALANCE_FAILOVER},
    {"Passthrough", HBK_BALANCE_PASSTHROUGH},
    {NULL, 0},
};

static const struct hbk_word health_policy_words[] = {
    {"OnlyHealthy", HBK_HEALTH_ONLY_HEALTHY},
    {"AllowAll", HBK_HEALTH_ALLOW_ALL},
    {NULL, 0},
};

static const struct hbk_word ip_family_words[] = {
    {"IPv4", HBK_IP_FAMILIES_IPV4},
    {"IPv6", HBK_IP_FAMILIES_IPV6},
    {"Dual", HBK_IP_FAMILIES_DUAL},
    {NULL, 0},
};

static const struct hbk_word visibility_words[] = {
    {"Public", HBK_VISIBILITY_PUBLIC},
    {"Namespace", HBK_VISIBILITY_NAMESPACE},
    {NULL, 0},
};

static const struct hbk_list_of vip_list = {
    .size = sizeof(struct hbk_vip),
    .element = {.key = "vips", .decode = hbk_decode_vip},
};

static const struct hbk_list_of block_list = {
    .size = sizeof(struct hbk_vip),
    .element = {.key = "cidrVips", .decode = hbk_decode_block_vip},
};

static const struct hbk_list_of identity_list = {
    .size = sizeof(struct hbk_text),
    .element = {.key = "subjectAltNames", .decode = hbk_decode_spiffe_id},
};

static const struct hbk_list_of preference_list = {
    .size = sizeof(struct hbk_routing_preference),
    .element = {.key = "routingPreferences", .decode = hbk_decode_word, .detail = scope_words},
};

static const struct hbk_field weighted_waypoint_fields[] = {
    {.key = "destination",
     .decode = hbk_decode_destination,
     .offset = offsetof(struct hbk_weighted_waypoint, destination),
     .is_required = true},
    {.key = "hboneMtlsPort",
     .decode = hbk_decode_port_or_0,
     .offset = offsetof(struct hbk_weighted_waypoint, destination.hbone_port)},
    {.key = "weight",
     .decode = hbk_decode_u32,
     .offset = offsetof(struct hbk_weighted_waypoint, weight)},
};
static const struct hbk_table weighted_waypoint_table =
    HBK_TABLE_OF("weightedWaypoint", weighted_waypoint_fields);

static const struct hbk_list_of weighted_waypoint_list = {
    .size = sizeof(struct hbk_weighted_waypoint),
    .element = {.key = "weightedWaypoints",
                .decode = hbk_decode_object,
                .detail = &weighted_waypoint_table},
};

/* The key of the map says the same as workloadUid, which wins when it is there. */
static const struct hbk_field endpoint_fields[] = {
    {.key = "workloadUid",
     .decode = hbk_decode_text,
     .offset = offsetof(struct hbk_listed_endpoint, workload_uid)},
    {.key = "port",
     .decode = hbk_decode_map,
     .offset = offsetof(struct hbk_listed_endpoint, ports),
     .count_offset = offsetof(struct hbk_listed_endpoint, port_count),
     .detail = &hbk_port_pairs},
    {.key = "status",
     .decode = hbk_decode_word,
     .offset = offsetof(struct hbk_listed_endpoint, health),
     .detail = hbk_health_words},
};
static const struct hbk_table endpoint_table = HBK_TABLE_OF("endpoint", endpoint_fields);

static const struct hbk_map_of endpoint_map = {
    .size = sizeof(struct hbk_listed_endpoint),
    .key = {.key = "endpoint",
            .decode = hbk_decode_text,
            .offset = offsetof(struct hbk_listed_endpoint, workload_uid)},
    .value = {.key = "endpoint", .decode = hbk_decode_object, .detail = &endpoint_table},
};

static const struct hbk_field balancer_fields[] = {
    {.key = "routingPreferences",
     .decode = hbk_decode_list,
     LIST_AT(routing_preferences, routing_preference_count),
     .detail = &preference_list},
    {.key = "mode", .decode = hbk_decode_word, AT(balance_mode), .detail = balance_mode_words},
    {.key = "healthPolicy",
     .decode = hbk_decode_word,
     AT(health_policy),
     .detail = health_policy_words},
};
static const struct hbk_table balancer_table = HBK_TABLE_OF("loadBalancer", balancer_fields);

static const struct hbk_field service_fields[] = {
    {.key = "name", .decode = hbk_decode_name, AT(name), .is_required = true},
    {.key = "namespace", .decode = hbk_decode_name, AT(namespace), .is_required = true},
    {.key = "hostname", .decode = hbk_decode_name, AT(hostname), .is_required = true},
    {.key = "vips", .decode = hbk_decode_list, LIST_AT(vips, vip_count), .detail = &vip_list},
    {.key = "cidrVips",
     .decode = hbk_decode_list,
     .offset = offsetof(struct service_draft, blocks),
     .count_offset = offsetof(struct service_draft, block_count),
     .detail = &block_list},
    {.key = "ports",
     .decode = hbk_decode_map,
     LIST_AT(ports, port_count),
     .is_required = true,
     .detail = &hbk_port_pairs},
    {.key = "endpoints",
     .decode = hbk_decode_map,
     LIST_AT(listed_endpoints, listed_endpoint_count),
     .detail = &endpoint_map},
    {.key = "subjectAltNames",
     .decode = hbk_decode_list,
     LIST_AT(subject_alt_names, subject_alt_name_count),
     .detail = &identity_list},
    {.key = "waypoint",
     .decode = hbk_decode_optional,
     AT(waypoint),
     .detail = &hbk_gateway_optional},
    {.key = "weightedWaypoints",
     .decode = hbk_decode_list,
     LIST_AT(weighted_waypoints, weighted_waypoint_count),
     .detail = &weighted_waypoint_list},
    {.key = "loadBalancer", .decode = hbk_decode_object, .detail = &balancer_table},
    {.key = "ipFamilies", .decode = hbk_decode_word, AT(ip_families), .detail = ip_family_words},
    {.key = "canonical", .decode = hbk_decode_bool, AT(is_canonical)},
    {.key = "visibility", .decode = hbk_decode_word, AT(visibility), .detail = visibility_words},
};
static const struct hbk_table service_table = HBK_TABLE_OF("service", service_fields);

static void check_limits(struct hbk_mesh_decoder *decoder, const struct hbk_yaml_event *event,
                         const struct hbk_service *service)
{
    if (service->subject_alt_name_count > HBK_SERVICE_IDENTITIES_MAX) {
        hbk_decode_error(&decoder->base, event, "service with %u subjectAltNames; allowed: %d",
                         service->subject_alt_name_count, HBK_SERVICE_IDENTITIES_MAX);
    }
    if (service->routing_preference_count > HBK_SERVICE_PREFERENCES_MAX) {
        hbk_decode_error(&decoder->base, event, "service with %u routingPreferences; allowed: %d",
                         service->routing_preference_count, HBK_SERVICE_PREFERENCES_MAX);
    }
}

static hbk_status complete(struct hbk_mesh_decoder *decoder, const struct hbk_yaml_event *event,
                           void *spec)
{
    struct service_draft *draft = spec;
    struct hbk_service *service = &draft->service;
    uint32_t count = service->vip_count + draft->block_count;
    struct hbk_vip *vips = hbk_arena_array(decoder->base.arena, count, sizeof *vips);
    if (vips == NULL) {
        return HBK_NO_MEMORY;
    }
    for (uint32_t i = 0; i < count; i++) {
        vips[i] = i < service->vip_count ? service->vips[i] : draft->blocks[i - service->vip_count];
    }
    service->vips = vips;
    service->vip_count = count;
    check_limits(decoder, event, service);
    return hbk_decode_join_key(&decoder->base, service->namespace, service->hostname,
                               &service->record.key);
}

static hbk_status put(struct hbk_edit *edit, const void *spec)
{
    return hbk_edit_put_service(edit, &((const struct service_draft *)spec)->service);
}

const struct hbk_record_list hbk_service_list = {
    .table = &service_table,
    .size = sizeof(struct service_draft),
    .complete = complete,
    .put = put,
};
