/* The table of a workload. */
#include "config/mesh_decoder.h"

#define AT(member) .offset = offsetof(struct hbk_workload, member)
#define LIST_AT(member, count_member) \
    AT(member), .count_offset = offsetof(struct hbk_workload, count_member)

static const struct hbk_word protocol_words[] = {
    {"TCP", HBK_WORKLOAD_TCP},
    {"HBONE", HBK_WORKLOAD_HBONE},
    {NULL, 0},
};

static const struct hbk_word network_mode_words[] = {
    {"Standard", HBK_NETWORK_STANDARD},
    {"HostNetwork", HBK_NETWORK_HOST},
    {NULL, 0},
};

static const struct hbk_word type_words[] = {
    {"deployment", HBK_WORKLOAD_DEPLOYMENT},
    {"cronjob", HBK_WORKLOAD_CRONJOB},
    {"pod", HBK_WORKLOAD_POD},
    {"job", HBK_WORKLOAD_JOB},
    {"Deployment", HBK_WORKLOAD_DEPLOYMENT},
    {"CronJob", HBK_WORKLOAD_CRONJOB},
    {"Pod", HBK_WORKLOAD_POD},
    {"Job", HBK_WORKLOAD_JOB},
    {NULL, 0},
};

static const struct hbk_word tunnel_words[] = {
    {"NONE", HBK_APPLICATION_TUNNEL_NONE},
    {"PROXY", HBK_APPLICATION_TUNNEL_PROXY},
    {NULL, 0},
};

static const struct hbk_field tunnel_fields[] = {
    {.key = "protocol",
     .decode = hbk_decode_word,
     AT(application_tunnel),
     .is_required = true,
     .detail = tunnel_words},
    {.key = "port", .decode = hbk_decode_port_or_0, AT(application_tunnel_port)},
};
static const struct hbk_table tunnel_table = HBK_TABLE_OF("applicationTunnel", tunnel_fields);

static const struct hbk_field locality_fields[] = {
    {.key = "region", .decode = hbk_decode_any_text, AT(locality.region)},
    {.key = "zone", .decode = hbk_decode_any_text, AT(locality.zone)},
    {.key = "subzone", .decode = hbk_decode_any_text, AT(locality.subzone)},
};
static const struct hbk_table locality_table = HBK_TABLE_OF("locality", locality_fields);

static const struct hbk_list_of ip_list = {
    .size = sizeof(struct hbk_ip),
    .element = {.key = "workloadIps", .decode = hbk_decode_ip},
};

static const struct hbk_map_of memberships = {
    .size = sizeof(struct hbk_membership),
    .key = {.key = "service",
            .decode = hbk_decode_key,
            .offset = offsetof(struct hbk_membership, service_key)},
    .value = {.key = "ports",
              .decode = hbk_decode_map,
              .offset = offsetof(struct hbk_membership, ports),
              .count_offset = offsetof(struct hbk_membership, port_count),
              .detail = &hbk_port_pairs},
};

static const struct hbk_field workload_fields[] = {
    {.key = "uid", .decode = hbk_decode_text, AT(record.key), .is_required = true},
    {.key = "name", .decode = hbk_decode_name, AT(name), .is_required = true},
    {.key = "namespace", .decode = hbk_decode_name, AT(namespace), .is_required = true},
    {.key = "workloadIps",
     .decode = hbk_decode_list,
     LIST_AT(ips, ip_count),
     .is_required = true,
     .detail = &ip_list},
    {.key = "protocol", .decode = hbk_decode_word, AT(protocol), .detail = protocol_words},
    {.key = "networkMode",
     .decode = hbk_decode_word,
     AT(network_mode),
     .detail = network_mode_words},
    {.key = "trustDomain", .decode = hbk_decode_any_text, AT(trust_domain)},
    {.key = "serviceAccount", .decode = hbk_decode_any_text, AT(service_account)},
    {.key = "network", .decode = hbk_decode_any_text, AT(network)},
    {.key = "workloadName", .decode = hbk_decode_any_text, AT(workload_name)},
    {.key = "workloadType", .decode = hbk_decode_word, AT(type), .detail = type_words},
    {.key = "canonicalName", .decode = hbk_decode_any_text, AT(canonical_name)},
    {.key = "canonicalRevision", .decode = hbk_decode_any_text, AT(canonical_revision)},
    {.key = "hostname", .decode = hbk_decode_any_text, AT(hostname)},
    {.key = "node", .decode = hbk_decode_any_text, AT(node)},
    {.key = "nativeTunnel", .decode = hbk_decode_bool, AT(has_native_tunnel)},
    {.key = "applicationTunnel", .decode = hbk_decode_object, .detail = &tunnel_table},
    {.key = "authorizationPolicies",
     .decode = hbk_decode_list,
     LIST_AT(authorization_policies, authorization_policy_count),
     .detail = &hbk_key_list},
    {.key = "status", .decode = hbk_decode_word, AT(health), .detail = hbk_health_words},
    {.key = "clusterId", .decode = hbk_decode_any_text, AT(cluster_id)},
    {.key = "locality", .decode = hbk_decode_object, .detail = &locality_table},
    {.key = "capacity", .decode = hbk_decode_u32, AT(capacity)},
    {.key = "waypoint",
     .decode = hbk_decode_optional,
     AT(waypoint),
     .detail = &hbk_gateway_optional},
    {.key = "networkGateway",
     .decode = hbk_decode_optional,
     AT(network_gateway),
     .detail = &hbk_gateway_optional},
    {.key = "services",
     .decode = hbk_decode_map,
     LIST_AT(services, service_count),
     .detail = &memberships},
};
static const struct hbk_table workload_table = HBK_TABLE_OF("workload", workload_fields);

static void prepare(void *spec)
{
    struct hbk_workload *workload = spec;
    workload->capacity = 1;
}

/* The defaults of Istio's API: an empty trust domain or account would be no identity at all. */
static hbk_status complete(struct hbk_mesh_decoder *decoder, const struct hbk_yaml_event *event,
                           void *spec)
{
    (void)decoder;
    (void)event;
    struct hbk_workload *workload = spec;
    if (workload->trust_domain.size == 0) {
        workload->trust_domain = HBK_SLICE("cluster.local");
    }
    if (workload->service_account.size == 0) {
        workload->service_account = HBK_SLICE("default");
    }
    if (workload->cluster_id.size == 0) {
        workload->cluster_id = HBK_SLICE("Kubernetes");
    }
    return HBK_OK;
}

static hbk_status put(struct hbk_edit *edit, const void *spec)
{
    return hbk_edit_put_workload(edit, spec);
}

const struct hbk_record_list hbk_workload_list = {
    .table = &workload_table,
    .size = sizeof(struct hbk_workload),
    .prepare = prepare,
    .complete = complete,
    .put = put,
};
