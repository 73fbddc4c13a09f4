#include "model/workload.h"

#include "base/assert.h"

static const struct hbk_shape_field port_pair_fields[] = {
    HBK_SHAPE_VALUE(struct hbk_port_pair, service_port),
    HBK_SHAPE_VALUE(struct hbk_port_pair, target_port),
};
const struct hbk_shape hbk_port_pair_shape = HBK_SHAPE_OF(struct hbk_port_pair, port_pair_fields);

static const struct hbk_shape_field text_fields[] = {
    HBK_SHAPE_TEXT(struct hbk_text, text),
};
const struct hbk_shape hbk_text_shape = HBK_SHAPE_OF(struct hbk_text, text_fields);

static const struct hbk_shape_field gateway_fields[] = {
    HBK_SHAPE_TEXT(struct hbk_gateway, service_key),
    HBK_SHAPE_TEXT(struct hbk_gateway, network),
    HBK_SHAPE_VALUE(struct hbk_gateway, ip),
    HBK_SHAPE_VALUE(struct hbk_gateway, hbone_port),
};
const struct hbk_shape hbk_gateway_shape = HBK_SHAPE_OF(struct hbk_gateway, gateway_fields);

/* Not through one value of the struct's size: the type could gain a gap one day. */
static const struct hbk_shape_field ip_fields[] = {
    HBK_SHAPE_VALUE(struct hbk_ip, size),
    HBK_SHAPE_VALUE(struct hbk_ip, bytes),
};
static const struct hbk_shape ip_shape = HBK_SHAPE_OF(struct hbk_ip, ip_fields);

static const struct hbk_shape_field membership_fields[] = {
    HBK_SHAPE_TEXT(struct hbk_membership, service_key),
    HBK_SHAPE_ARRAY(struct hbk_membership, ports, port_count, &hbk_port_pair_shape),
    HBK_SHAPE_VALUE(struct hbk_membership, health),
};
static const struct hbk_shape membership_shape =
    HBK_SHAPE_OF(struct hbk_membership, membership_fields);

static const struct hbk_shape_field workload_fields[] = {
    HBK_SHAPE_TEXT(struct hbk_workload, record.key),
    HBK_SHAPE_TEXT(struct hbk_workload, name),
    HBK_SHAPE_TEXT(struct hbk_workload, namespace),
    HBK_SHAPE_TEXT(struct hbk_workload, service_account),
    HBK_SHAPE_TEXT(struct hbk_workload, trust_domain),
    HBK_SHAPE_TEXT(struct hbk_workload, network),
    HBK_SHAPE_TEXT(struct hbk_workload, node),
    HBK_SHAPE_TEXT(struct hbk_workload, cluster_id),
    HBK_SHAPE_TEXT(struct hbk_workload, workload_name),
    HBK_SHAPE_TEXT(struct hbk_workload, canonical_name),
    HBK_SHAPE_TEXT(struct hbk_workload, canonical_revision),
    HBK_SHAPE_TEXT(struct hbk_workload, hostname),
    HBK_SHAPE_TEXT(struct hbk_workload, locality.region),
    HBK_SHAPE_TEXT(struct hbk_workload, locality.zone),
    HBK_SHAPE_TEXT(struct hbk_workload, locality.subzone),
    HBK_SHAPE_ARRAY(struct hbk_workload, ips, ip_count, &ip_shape),
    HBK_SHAPE_ARRAY(struct hbk_workload, services, service_count, &membership_shape),
    HBK_SHAPE_ARRAY(struct hbk_workload, authorization_policies, authorization_policy_count,
                    &hbk_text_shape),
    HBK_SHAPE_OPTIONAL(struct hbk_workload, waypoint, &hbk_gateway_shape),
    HBK_SHAPE_OPTIONAL(struct hbk_workload, network_gateway, &hbk_gateway_shape),
    HBK_SHAPE_VALUE(struct hbk_workload, capacity),
    HBK_SHAPE_VALUE(struct hbk_workload, protocol),
    HBK_SHAPE_VALUE(struct hbk_workload, type),
    HBK_SHAPE_VALUE(struct hbk_workload, network_mode),
    HBK_SHAPE_VALUE(struct hbk_workload, health),
    HBK_SHAPE_VALUE(struct hbk_workload, application_tunnel),
    HBK_SHAPE_VALUE(struct hbk_workload, application_tunnel_port),
    HBK_SHAPE_VALUE(struct hbk_workload, has_native_tunnel),
};

static hbk_status derive_identity(struct hbk_record *record)
{
    struct hbk_workload *workload = (struct hbk_workload *)record;
    workload->identity = NULL;
    return hbk_spiffe_intern_account(workload->trust_domain, workload->namespace,
                                     workload->service_account, &workload->identity);
}

static void release_identity(struct hbk_record *record)
{
    hbk_spiffe_unref(((struct hbk_workload *)record)->identity);
}

const struct hbk_record_kind hbk_workload_kind = {
    .name = "workload",
    .shape = HBK_SHAPE_OF(struct hbk_workload, workload_fields),
    .derive = derive_identity,
    .fini = release_identity,
};

uint16_t hbk_port_pairs_find(const struct hbk_port_pair *pairs, uint32_t count,
                             uint16_t service_port)
{
    for (uint32_t i = 0; i < count; i++) {
        if (pairs[i].service_port == service_port) {
            return pairs[i].target_port;
        }
    }
    return 0;
}

const char *hbk_workload_type_text(enum hbk_workload_type type)
{
    switch (type) {
    case HBK_WORKLOAD_DEPLOYMENT:
        return "deployment";
    case HBK_WORKLOAD_CRONJOB:
        return "cronjob";
    case HBK_WORKLOAD_POD:
        return "pod";
    case HBK_WORKLOAD_JOB:
        return "job";
    }
    HBK_UNREACHABLE();
}
