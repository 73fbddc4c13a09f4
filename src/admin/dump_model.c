/*
 * The mesh as JSON, with the keys of the mesh file. Values that are the default are left out, but
 * for those that istioctl prints in its tables: they are always there.
 */
#include <stdio.h>

#include "admin/dump.h"
#include "base/hash.h"

static void put_known(struct hbk_json *json, const char *key, struct hbk_slice text)
{
    if (text.size > 0) {
        hbk_json_string(json, key, text);
    }
}

static const char *health_text(enum hbk_health health)
{
    return health == HBK_HEALTHY ? "Healthy" : "Unhealthy";
}

static void put_ip(struct hbk_json *json, const char *key, const struct hbk_ip *ip)
{
    char text[HBK_ADDRESS_TEXT_BYTES_MAX];
    hbk_json_text(json, key, hbk_ip_text(ip, text));
}

/* "network/address". */
static void put_network_address(struct hbk_json *json, const char *key, struct hbk_slice network,
                                const char *address)
{
    char text[HBK_NETWORK_NAME_BYTES_MAX + 1 + HBK_ADDRESS_TEXT_BYTES_MAX];
    (void)snprintf(text, sizeof text, "%.*s/%s", HBK_SLICE_ARGS(network), address);
    hbk_json_text(json, key, text);
}

static void put_gateway_members(struct hbk_json *json, const struct hbk_gateway *gateway)
{
    if (gateway->service_key.size > 0) {
        hbk_json_string(json, "destination", gateway->service_key);
    } else {
        char text[HBK_ADDRESS_TEXT_BYTES_MAX];
        put_network_address(json, "destination", gateway->network, hbk_ip_text(&gateway->ip, text));
    }
    hbk_json_number(json, "hboneMtlsPort", gateway->hbone_port);
}

static void put_gateway(struct hbk_json *json, const char *key, const struct hbk_gateway *gateway)
{
    if (gateway != NULL) {
        hbk_json_begin_object(json, key);
        put_gateway_members(json, gateway);
        hbk_json_end_object(json);
    }
}

static void put_ports(struct hbk_json *json, const char *key, const struct hbk_port_pair *ports,
                      uint32_t count)
{
    hbk_json_begin_object(json, key);
    for (uint32_t i = 0; i < count; i++) {
        char text[8];
        (void)snprintf(text, sizeof text, "%u", ports[i].service_port);
        hbk_json_number(json, text, ports[i].target_port);
    }
    hbk_json_end_object(json);
}

static void put_texts(struct hbk_json *json, const char *key, const struct hbk_text *texts,
                      uint32_t count)
{
    if (count == 0) {
        return;
    }
    hbk_json_begin_array(json, key);
    for (uint32_t i = 0; i < count; i++) {
        hbk_json_string(json, NULL, texts[i].text);
    }
    hbk_json_end_array(json);
}

/* ---- workloads ----------------------------------------------------------------------------- */

static void put_locality(struct hbk_json *json, const struct hbk_locality *locality)
{
    if (locality->region.size > 0) {
        hbk_json_begin_object(json, "locality");
        hbk_json_string(json, "region", locality->region);
        put_known(json, "zone", locality->zone);
        put_known(json, "subzone", locality->subzone);
        hbk_json_end_object(json);
    }
}

static void put_application_tunnel(struct hbk_json *json, const struct hbk_workload *workload)
{
    if (workload->application_tunnel == HBK_APPLICATION_TUNNEL_PROXY) {
        hbk_json_begin_object(json, "applicationTunnel");
        hbk_json_text(json, "protocol", "PROXY");
        if (workload->application_tunnel_port != 0) {
            hbk_json_number(json, "port", workload->application_tunnel_port);
        }
        hbk_json_end_object(json);
    }
}

static void put_names(struct hbk_json *json, const struct hbk_workload *workload)
{
    hbk_json_string(json, "uid", hbk_workload_uid(workload));
    hbk_json_string(json, "name", workload->name);
    hbk_json_string(json, "namespace", workload->namespace);
    put_known(json, "trustDomain", workload->trust_domain);
    put_known(json, "serviceAccount", workload->service_account);
    put_known(json, "network", workload->network);
    put_known(json, "workloadName", workload->workload_name);
    hbk_json_text(json, "workloadType", hbk_workload_type_text(workload->type));
    put_known(json, "canonicalName", workload->canonical_name);
    put_known(json, "canonicalRevision", workload->canonical_revision);
    put_known(json, "hostname", workload->hostname);
    put_known(json, "node", workload->node);
}

static void put_workload(struct hbk_json *json, const struct hbk_workload *workload)
{
    hbk_json_key(json, hbk_workload_uid(workload));
    hbk_json_begin_object(json, NULL);
    hbk_json_begin_array(json, "workloadIps");
    for (uint32_t i = 0; i < workload->ip_count; i++) {
        put_ip(json, NULL, &workload->ips[i]);
    }
    hbk_json_end_array(json);
    put_gateway(json, "waypoint", workload->waypoint);
    put_gateway(json, "networkGateway", workload->network_gateway);
    hbk_json_text(json, "protocol", workload->protocol == HBK_WORKLOAD_HBONE ? "HBONE" : "TCP");
    hbk_json_text(json, "networkMode",
                  workload->network_mode == HBK_NETWORK_HOST ? "HostNetwork" : "Standard");
    put_names(json, workload);
    if (workload->has_native_tunnel) {
        hbk_json_bool(json, "nativeTunnel", true);
    }
    put_application_tunnel(json, workload);
    put_texts(json, "authorizationPolicies", workload->authorization_policies,
              workload->authorization_policy_count);
    hbk_json_text(json, "status", health_text(workload->health));
    hbk_json_string(json, "clusterId", workload->cluster_id);
    put_locality(json, &workload->locality);
    hbk_json_begin_array(json, "services");
    for (uint32_t i = 0; i < workload->service_count; i++) {
        hbk_json_string(json, NULL, workload->services[i].service_key);
    }
    hbk_json_end_array(json);
    hbk_json_number(json, "capacity", workload->capacity);
    hbk_json_end_object(json);
}

void hbk_dump_workloads(struct hbk_json *json, const struct hbk_mesh *mesh)
{
    hbk_json_begin_object(json, "workloads");
    struct hbk_trie_walk walk = hbk_mesh_walk(mesh, HBK_MESH_WORKLOADS);
    for (const struct hbk_record *record; (record = hbk_trie_next(&walk)) != NULL;) {
        put_workload(json, (const struct hbk_workload *)record);
    }
    hbk_json_end_object(json);
}

/* ---- services ------------------------------------------------------------------------------ */

static void put_endpoint(struct hbk_json *json, struct hbk_slice uid,
                         const struct hbk_port_pair *ports, uint32_t port_count,
                         enum hbk_health health)
{
    hbk_json_key(json, uid);
    hbk_json_begin_object(json, NULL);
    hbk_json_string(json, "workloadUid", uid);
    put_ports(json, "port", ports, port_count);
    hbk_json_text(json, "status", health_text(health));
    hbk_json_end_object(json);
}

/* The endpoints that workloads say they are: the members of a group of HBK_MESH_MEMBERS. Both the
 * workload and its membership must be healthy. */
static void put_members(struct hbk_json *json, const struct hbk_group *group)
{
    struct hbk_slice service_key = group->record.key;
    for (uint32_t i = 0; i < group->count; i++) {
        const struct hbk_workload *workload = (const struct hbk_workload *)group->members[i];
        for (uint32_t j = 0; j < workload->service_count; j++) {
            const struct hbk_membership *member = &workload->services[j];
            if (hbk_slice_equal(member->service_key, service_key)) {
                enum hbk_health health =
                    workload->health == HBK_HEALTHY ? member->health : HBK_UNHEALTHY;
                put_endpoint(json, hbk_workload_uid(workload), member->ports, member->port_count,
                             health);
            }
        }
    }
}

static void put_endpoints(struct hbk_json *json, const struct hbk_mesh *mesh,
                          const struct hbk_service *service)
{
    struct hbk_slice key = service->record.key;
    const struct hbk_record *group =
        hbk_trie_find(&mesh->parts[HBK_MESH_MEMBERS], hbk_hash(key), key);
    hbk_json_begin_object(json, "endpoints");
    for (uint32_t i = 0; i < service->listed_endpoint_count; i++) {
        const struct hbk_listed_endpoint *listed = &service->listed_endpoints[i];
        put_endpoint(json, listed->workload_uid, listed->ports, listed->port_count, listed->health);
    }
    if (group != NULL) {
        put_members(json, (const struct hbk_group *)group);
    }
    hbk_json_end_object(json);
}

static void put_vips(struct hbk_json *json, const char *key, const struct hbk_service *service,
                     bool is_block)
{
    hbk_json_begin_array(json, key);
    for (uint32_t i = 0; i < service->vip_count; i++) {
        const struct hbk_vip *vip = &service->vips[i];
        if (vip->is_block == is_block) {
            char text[HBK_ADDRESS_TEXT_BYTES_MAX];
            put_network_address(json, NULL, vip->network,
                                is_block ? hbk_cidr_text(&vip->cidr, text)
                                         : hbk_ip_text(&vip->cidr.ip, text));
        }
    }
    hbk_json_end_array(json);
}

static void put_balancing(struct hbk_json *json, const struct hbk_service *service)
{
    static const char *const scopes[] = {
        [HBK_SCOPE_REGION] = "Region",   [HBK_SCOPE_ZONE] = "Zone",
        [HBK_SCOPE_SUBZONE] = "Subzone", [HBK_SCOPE_NODE] = "Node",
        [HBK_SCOPE_CLUSTER] = "Cluster", [HBK_SCOPE_NETWORK] = "Network",
    };
    static const char *const modes[] = {
        [HBK_BALANCE_STANDARD] = "Standard",
        [HBK_BALANCE_STRICT] = "Strict",
        [HBK_BALANCE_FAILOVER] = "Failover",
        [HBK_BALANCE_PASSTHROUGH] = "Passthrough",
    };
    bool is_default = service->balance_mode == HBK_BALANCE_STANDARD &&
                      service->health_policy == HBK_HEALTH_ONLY_HEALTHY &&
                      service->routing_preference_count == 0;
    if (is_default) {
        return;
    }
    hbk_json_begin_object(json, "loadBalancer");
    hbk_json_begin_array(json, "routingPreferences");
    for (uint32_t i = 0; i < service->routing_preference_count; i++) {
        hbk_json_text(json, NULL, scopes[service->routing_preferences[i].scope]);
    }
    hbk_json_end_array(json);
    hbk_json_text(json, "mode", modes[service->balance_mode]);
    hbk_json_text(json, "healthPolicy",
                  service->health_policy == HBK_HEALTH_ALLOW_ALL ? "AllowAll" : "OnlyHealthy");
    hbk_json_end_object(json);
}

static void put_weighted_waypoints(struct hbk_json *json, const struct hbk_service *service)
{
    if (service->weighted_waypoint_count == 0) {
        return;
    }
    hbk_json_begin_array(json, "weightedWaypoints");
    for (uint32_t i = 0; i < service->weighted_waypoint_count; i++) {
        hbk_json_begin_object(json, NULL);
        put_gateway_members(json, &service->weighted_waypoints[i].destination);
        hbk_json_number(json, "weight", service->weighted_waypoints[i].weight);
        hbk_json_end_object(json);
    }
    hbk_json_end_array(json);
}

static void put_families(struct hbk_json *json, enum hbk_ip_families families)
{
    switch (families) {
    case HBK_IP_FAMILIES_AUTOMATIC:
        return;
    case HBK_IP_FAMILIES_IPV4:
        hbk_json_text(json, "ipFamilies", "IPv4");
        return;
    case HBK_IP_FAMILIES_IPV6:
        hbk_json_text(json, "ipFamilies", "IPv6");
        return;
    case HBK_IP_FAMILIES_DUAL:
        hbk_json_text(json, "ipFamilies", "Dual");
        return;
    }
}

static void put_service(struct hbk_json *json, const struct hbk_mesh *mesh,
                        const struct hbk_service *service)
{
    hbk_json_key(json, service->record.key);
    hbk_json_begin_object(json, NULL);
    hbk_json_string(json, "name", service->name);
    hbk_json_string(json, "namespace", service->namespace);
    hbk_json_string(json, "hostname", service->hostname);
    put_vips(json, "vips", service, false);
    put_vips(json, "cidrVips", service, true);
    put_ports(json, "ports", service->ports, service->port_count);
    put_endpoints(json, mesh, service);
    put_texts(json, "subjectAltNames", service->subject_alt_names, service->subject_alt_name_count);
    put_gateway(json, "waypoint", service->waypoint);
    put_weighted_waypoints(json, service);
    put_balancing(json, service);
    put_families(json, service->ip_families);
    if (service->is_canonical) {
        hbk_json_bool(json, "canonical", true);
    }
    hbk_json_text(json, "visibility",
                  service->visibility == HBK_VISIBILITY_NAMESPACE ? "Namespace" : "Public");
    hbk_json_end_object(json);
}

/* Under "namespace/hostname": a host name alone may occur in two namespaces. */
void hbk_dump_services(struct hbk_json *json, const struct hbk_mesh *mesh)
{
    hbk_json_begin_object(json, "services");
    struct hbk_trie_walk walk = hbk_mesh_walk(mesh, HBK_MESH_SERVICES);
    for (const struct hbk_record *record; (record = hbk_trie_next(&walk)) != NULL;) {
        put_service(json, mesh, (const struct hbk_service *)record);
    }
    hbk_json_end_object(json);
}

void hbk_dump_staged_services(struct hbk_json *json, const struct hbk_mesh *mesh)
{
    hbk_json_begin_object(json, "stagedServices");
    struct hbk_trie_walk walk = hbk_trie_begin(&mesh->parts[HBK_MESH_MEMBERS]);
    for (const struct hbk_record *record; (record = hbk_trie_next(&walk)) != NULL;) {
        if (hbk_mesh_service(mesh, record->key) == NULL) {
            hbk_json_key(json, record->key);
            hbk_json_begin_object(json, NULL);
            put_members(json, (const struct hbk_group *)record);
            hbk_json_end_object(json);
        }
    }
    hbk_json_end_object(json);
}

/* ---- policies ------------------------------------------------------------------------------ */

static void put_text_matches(struct hbk_json *json, const char *key,
                             const struct hbk_text_match *matches, uint32_t count)
{
    static const char *const kinds[] = {
        [HBK_TEXT_EXACT] = "Exact",
        [HBK_TEXT_PREFIX] = "Prefix",
        [HBK_TEXT_SUFFIX] = "Suffix",
        [HBK_TEXT_PRESENCE] = "Presence",
    };
    if (count == 0) {
        return;
    }
    hbk_json_begin_array(json, key);
    for (uint32_t i = 0; i < count; i++) {
        hbk_json_begin_object(json, NULL);
        if (matches[i].kind == HBK_TEXT_PRESENCE) {
            hbk_json_begin_array(json, kinds[HBK_TEXT_PRESENCE]);
            hbk_json_end_array(json);
        } else {
            hbk_json_string(json, kinds[matches[i].kind], matches[i].text);
        }
        hbk_json_end_object(json);
    }
    hbk_json_end_array(json);
}

static void put_account_matches(struct hbk_json *json, const char *key,
                                const struct hbk_account_match *matches, uint32_t count)
{
    if (count == 0) {
        return;
    }
    hbk_json_begin_array(json, key);
    for (uint32_t i = 0; i < count; i++) {
        hbk_json_begin_object(json, NULL);
        hbk_json_string(json, "namespace", matches[i].namespace);
        hbk_json_string(json, "serviceAccount", matches[i].service_account);
        hbk_json_end_object(json);
    }
    hbk_json_end_array(json);
}

static void put_cidr_matches(struct hbk_json *json, const char *key,
                             const struct hbk_cidr_match *matches, uint32_t count)
{
    if (count == 0) {
        return;
    }
    hbk_json_begin_array(json, key);
    for (uint32_t i = 0; i < count; i++) {
        char text[HBK_ADDRESS_TEXT_BYTES_MAX];
        hbk_json_text(json, NULL, hbk_cidr_text(&matches[i].cidr, text));
    }
    hbk_json_end_array(json);
}

static void put_port_matches(struct hbk_json *json, const char *key,
                             const struct hbk_port_match *matches, uint32_t count)
{
    if (count == 0) {
        return;
    }
    hbk_json_begin_array(json, key);
    for (uint32_t i = 0; i < count; i++) {
        hbk_json_number(json, NULL, matches[i].port);
    }
    hbk_json_end_array(json);
}

/* A field and its refusing twin. */
#define PUT_FIELD(put, json, name, not_name, field)                      \
    do {                                                                 \
        put((json), (name), (field).wanted, (field).wanted_count);       \
        put((json), (not_name), (field).refused, (field).refused_count); \
    } while (0)

static void put_match(struct hbk_json *json, const struct hbk_policy_match *match)
{
    hbk_json_begin_object(json, NULL);
    PUT_FIELD(put_text_matches, json, "namespaces", "notNamespaces", match->namespaces);
    PUT_FIELD(put_text_matches, json, "principals", "notPrincipals", match->principals);
    PUT_FIELD(put_account_matches, json, "serviceAccounts", "notServiceAccounts",
              match->service_accounts);
    PUT_FIELD(put_cidr_matches, json, "sourceIps", "notSourceIps", match->source_ips);
    PUT_FIELD(put_cidr_matches, json, "destinationIps", "notDestinationIps",
              match->destination_ips);
    PUT_FIELD(put_port_matches, json, "destinationPorts", "notDestinationPorts",
              match->destination_ports);
    hbk_json_end_object(json);
}

static void put_rules(struct hbk_json *json, const struct hbk_policy *policy)
{
    hbk_json_begin_array(json, "rules");
    for (uint32_t i = 0; i < policy->rule_count; i++) {
        const struct hbk_policy_rule *rule = &policy->rules[i];
        hbk_json_begin_array(json, NULL);
        for (uint32_t j = 0; j < rule->clause_count; j++) {
            const struct hbk_policy_clause *clause = &rule->clauses[j];
            hbk_json_begin_array(json, NULL);
            for (uint32_t k = 0; k < clause->match_count; k++) {
                put_match(json, &clause->matches[k]);
            }
            hbk_json_end_array(json);
        }
        hbk_json_end_array(json);
    }
    hbk_json_end_array(json);
}

static void put_policy(struct hbk_json *json, const struct hbk_policy *policy)
{
    static const char *const scopes[] = {
        [HBK_POLICY_GLOBAL] = "Global",
        [HBK_POLICY_NAMESPACE] = "Namespace",
        [HBK_POLICY_SELECTOR] = "WorkloadSelector",
    };
    hbk_json_begin_object(json, NULL);
    hbk_json_string(json, "name", policy->name);
    hbk_json_string(json, "namespace", policy->namespace);
    hbk_json_text(json, "scope", scopes[policy->scope]);
    hbk_json_text(json, "action", policy->action == HBK_POLICY_DENY ? "Deny" : "Allow");
    hbk_json_bool(json, "dryRun", policy->is_dry_run);
    put_rules(json, policy);
    hbk_json_end_object(json);
}

void hbk_dump_policies(struct hbk_json *json, const struct hbk_mesh *mesh)
{
    hbk_json_begin_array(json, "policies");
    struct hbk_trie_walk walk = hbk_mesh_walk(mesh, HBK_MESH_POLICIES);
    for (const struct hbk_record *record; (record = hbk_trie_next(&walk)) != NULL;) {
        put_policy(json, (const struct hbk_policy *)record);
    }
    hbk_json_end_array(json);
}
