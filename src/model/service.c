#include "model/service.h"

static const struct hbk_shape_field vip_fields[] = {
    HBK_SHAPE_TEXT(struct hbk_vip, network),
    HBK_SHAPE_VALUE(struct hbk_vip, cidr.ip.size),
    HBK_SHAPE_VALUE(struct hbk_vip, cidr.ip.bytes),
    HBK_SHAPE_VALUE(struct hbk_vip, cidr.prefix_bits),
    HBK_SHAPE_VALUE(struct hbk_vip, is_block),
};
static const struct hbk_shape vip_shape = HBK_SHAPE_OF(struct hbk_vip, vip_fields);

static const struct hbk_shape_field listed_endpoint_fields[] = {
    HBK_SHAPE_TEXT(struct hbk_listed_endpoint, workload_uid),
    HBK_SHAPE_ARRAY(struct hbk_listed_endpoint, ports, port_count, &hbk_port_pair_shape),
    HBK_SHAPE_VALUE(struct hbk_listed_endpoint, health),
};
static const struct hbk_shape listed_endpoint_shape =
    HBK_SHAPE_OF(struct hbk_listed_endpoint, listed_endpoint_fields);

static const struct hbk_shape_field weighted_waypoint_fields[] = {
    HBK_SHAPE_TEXT(struct hbk_weighted_waypoint, destination.service_key),
    HBK_SHAPE_TEXT(struct hbk_weighted_waypoint, destination.network),
    HBK_SHAPE_VALUE(struct hbk_weighted_waypoint, destination.ip),
    HBK_SHAPE_VALUE(struct hbk_weighted_waypoint, destination.hbone_port),
    HBK_SHAPE_VALUE(struct hbk_weighted_waypoint, weight),
};
static const struct hbk_shape weighted_waypoint_shape =
    HBK_SHAPE_OF(struct hbk_weighted_waypoint, weighted_waypoint_fields);

static const struct hbk_shape_field preference_fields[] = {
    HBK_SHAPE_VALUE(struct hbk_routing_preference, scope),
};
static const struct hbk_shape preference_shape =
    HBK_SHAPE_OF(struct hbk_routing_preference, preference_fields);

static const struct hbk_shape_field service_fields[] = {
    HBK_SHAPE_TEXT(struct hbk_service, record.key),
    HBK_SHAPE_TEXT(struct hbk_service, name),
    HBK_SHAPE_TEXT(struct hbk_service, namespace),
    HBK_SHAPE_TEXT(struct hbk_service, hostname),
    HBK_SHAPE_ARRAY(struct hbk_service, vips, vip_count, &vip_shape),
    HBK_SHAPE_ARRAY(struct hbk_service, ports, port_count, &hbk_port_pair_shape),
    HBK_SHAPE_ARRAY(struct hbk_service, subject_alt_names, subject_alt_name_count, &hbk_text_shape),
    HBK_SHAPE_ARRAY(struct hbk_service, listed_endpoints, listed_endpoint_count,
                    &listed_endpoint_shape),
    HBK_SHAPE_OPTIONAL(struct hbk_service, waypoint, &hbk_gateway_shape),
    HBK_SHAPE_ARRAY(struct hbk_service, weighted_waypoints, weighted_waypoint_count,
                    &weighted_waypoint_shape),
    HBK_SHAPE_ARRAY(struct hbk_service, routing_preferences, routing_preference_count,
                    &preference_shape),
    HBK_SHAPE_VALUE(struct hbk_service, balance_mode),
    HBK_SHAPE_VALUE(struct hbk_service, health_policy),
    HBK_SHAPE_VALUE(struct hbk_service, ip_families),
    HBK_SHAPE_VALUE(struct hbk_service, visibility),
    HBK_SHAPE_VALUE(struct hbk_service, is_canonical),
};

/* A copy of a published service starts with its pointers, so all that is derived is made anew. */
static hbk_status derive_identities(struct hbk_record *record)
{
    struct hbk_service *service = (struct hbk_service *)record;
    service->balance = NULL;
    service->identity_count = 0;
    if (service->subject_alt_name_count > HBK_SERVICE_IDENTITIES_MAX) {
        return HBK_LIMIT;
    }
    for (uint32_t i = 0; i < service->subject_alt_name_count; i++) {
        HBK_TRY(hbk_spiffe_intern(service->subject_alt_names[i].text, &service->identities[i]));
        service->identity_count++;
    }
    return HBK_OK;
}

static void release_derived(struct hbk_record *record)
{
    struct hbk_service *service = (struct hbk_service *)record;
    hbk_balance_free(service->balance);
    for (uint32_t i = 0; i < service->identity_count; i++) {
        hbk_spiffe_unref(service->identities[i]);
    }
}

const struct hbk_record_kind hbk_service_kind = {
    .name = "service",
    .shape = HBK_SHAPE_OF(struct hbk_service, service_fields),
    .derive = derive_identities,
    .fini = release_derived,
};
