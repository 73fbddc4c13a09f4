/*
 * Records that are the same in a new file are kept. So a key that the model forgot to compare would
 * be a change that never arrives: every key is changed here once.
 */
#include "config/mesh_file.h"

#include <stdio.h>

#include "harness.h"

#include "failing_heap.h"

static struct hbk_report report;

struct change_case {
    enum hbk_mesh_part part;
    const char *key;   /* of the record */
    const char *frame; /* of the file; %s stands for what changes */
    const char *before;
    const char *after;
};

#define WORKLOAD "workloads: [{name: n, namespace: s, uid: u, workloadIps: [10.0.0.1], %s}]"
#define SERVICE "services: [{name: n, namespace: s, hostname: h, ports: {80: 80}, %s}]"
#define POLICY "policies: [{name: p, namespace: s, scope: Namespace, action: Deny, %s}]"
#define MATCH "policies: [{name: p, namespace: s, scope: Global, action: Deny, rules: [[[{%s}]]]}]"
#define SETTINGS "peerAuthentications: [{name: p, namespace: s, mode: STRICT, %s}]"
#define POD \
    "{workloads: [{name: n, namespace: s, uid: u, workloadIps: []}], pods: {u: {netns: %s}}}"

#define W HBK_MESH_WORKLOADS, "u", WORKLOAD
#define S HBK_MESH_SERVICES, "s/h", SERVICE
#define M HBK_MESH_POLICIES, "s/p", MATCH
#define A HBK_MESH_PEER_AUTHENTICATIONS, "s/p", SETTINGS
#define P HBK_MESH_PODS, "u", POD

static const struct change_case changes[] = {
    {HBK_MESH_WORKLOADS, "u", "workloads: [{uid: u, namespace: s, workloadIps: [], name: %s}]", "a",
     "b"},
    {HBK_MESH_WORKLOADS, "u", "workloads: [{uid: u, name: n, workloadIps: [], namespace: %s}]", "a",
     "b"},
    {HBK_MESH_WORKLOADS, "u", "workloads: [{uid: u, name: n, namespace: s, workloadIps: [%s]}]",
     "10.0.0.1", "10.0.0.2"},
    {W, "protocol: TCP", "protocol: HBONE"},
    {W, "networkMode: Standard", "networkMode: HostNetwork"},
    {W, "trustDomain: a", "trustDomain: b"},
    {W, "serviceAccount: a", "serviceAccount: b"},
    {W, "network: a", "network: b"},
    {W, "workloadName: a", "workloadName: b"},
    {W, "workloadType: pod", "workloadType: job"},
    {W, "canonicalName: a", "canonicalName: b"},
    {W, "canonicalRevision: a", "canonicalRevision: b"},
    {W, "hostname: a", "hostname: b"},
    {W, "node: a", "node: b"},
    {W, "nativeTunnel: false", "nativeTunnel: true"},
    {W, "applicationTunnel: {protocol: NONE}", "applicationTunnel: {protocol: PROXY}"},
    {W, "applicationTunnel: {protocol: PROXY, port: 1}",
     "applicationTunnel: {protocol: PROXY, port: 2}"},
    {W, "authorizationPolicies: [a/b]", "authorizationPolicies: [a/c]"},
    {W, "status: Healthy", "status: Unhealthy"},
    {W, "clusterId: a", "clusterId: b"},
    {W, "locality: {region: a}", "locality: {region: b}"},
    {W, "locality: {zone: a}", "locality: {zone: b}"},
    {W, "locality: {subzone: a}", "locality: {subzone: b}"},
    {W, "capacity: 1", "capacity: 2"},
    {W, "waypoint: ", "waypoint: {destination: /10.0.0.9}"},
    {W, "waypoint: {destination: /10.0.0.8}", "waypoint: {destination: /10.0.0.9}"},
    {W, "waypoint: {destination: a/10.0.0.9}", "waypoint: {destination: b/10.0.0.9}"},
    {W, "waypoint: {destination: a/b}", "waypoint: {destination: a/c}"},
    {W, "waypoint: {destination: a/b, hboneMtlsPort: 1}",
     "waypoint: {destination: a/b, hboneMtlsPort: 2}"},
    {W, "networkGateway: {destination: a/b}", "networkGateway: {destination: a/c}"},
    {W, "services: {a/b: {}}", "services: {a/c: {}}"},
    {W, "services: {a/b: {80: 80}}", "services: {a/b: {80: 81}}"},
    {W, "services: {a/b: {80: 80}}", "services: {a/b: {81: 80}}"},

    {S, "vips: [/10.0.0.1]", "vips: [/10.0.0.2]"},
    {S, "vips: [a/10.0.0.1]", "vips: [b/10.0.0.1]"},
    {S, "vips: [/10.0.0.1]", "cidrVips: [/10.0.0.1/32]"},
    {S, "cidrVips: [/10.0.0.0/16]", "cidrVips: [/10.0.0.0/17]"},
    {S, "endpoints: {a: {}}", "endpoints: {b: {}}"},
    {S, "endpoints: {a: {port: {80: 80}}}", "endpoints: {a: {port: {80: 81}}}"},
    {S, "endpoints: {a: {status: Healthy}}", "endpoints: {a: {status: Unhealthy}}"},
    {S, "subjectAltNames: ['spiffe://a/b']", "subjectAltNames: ['spiffe://a/c']"},
    {S, "waypoint: {destination: a/b}", "waypoint: {destination: a/c}"},
    {S, "weightedWaypoints: [{destination: a/b}]", "weightedWaypoints: [{destination: a/c}]"},
    {S, "weightedWaypoints: [{destination: a/b, weight: 1}]",
     "weightedWaypoints: [{destination: a/b, weight: 2}]"},
    {S, "weightedWaypoints: [{destination: a/b, hboneMtlsPort: 1}]",
     "weightedWaypoints: [{destination: a/b, hboneMtlsPort: 2}]"},
    {S, "weightedWaypoints: [{destination: /10.0.0.1}]",
     "weightedWaypoints: [{destination: /10.0.0.2}]"},
    {S, "weightedWaypoints: [{destination: a/10.0.0.1}]",
     "weightedWaypoints: [{destination: b/10.0.0.1}]"},
    {S, "loadBalancer: {mode: Strict}", "loadBalancer: {mode: Failover}"},
    {S, "loadBalancer: {healthPolicy: OnlyHealthy}", "loadBalancer: {healthPolicy: AllowAll}"},
    {S, "loadBalancer: {routingPreferences: [Zone]}",
     "loadBalancer: {routingPreferences: [Region]}"},
    {S, "ipFamilies: IPv4", "ipFamilies: IPv6"},
    {S, "canonical: false", "canonical: true"},
    {S, "visibility: Public", "visibility: Namespace"},
    {HBK_MESH_SERVICES, "s/h", "services: [{namespace: s, hostname: h, ports: {}, name: %s}]", "a",
     "b"},
    {HBK_MESH_SERVICES, "s/h", "services: [{name: n, namespace: s, hostname: h, ports: {%s}}]",
     "80: 80", "80: 81"},

    {HBK_MESH_POLICIES, "s/p", POLICY, "dryRun: false", "dryRun: true"},
    {HBK_MESH_POLICIES, "s/p", POLICY, "rules: []", "rules: [[]]"},
    {HBK_MESH_POLICIES, "s/p", POLICY, "rules: [[]]", "rules: [[[]]]"},
    {HBK_MESH_POLICIES, "s/p", "policies: [{name: p, namespace: s, action: Deny, scope: %s}]",
     "Global", "Namespace"},
    {HBK_MESH_POLICIES, "s/p", "policies: [{name: p, namespace: s, scope: Global, action: %s}]",
     "Allow", "Deny"},
    {M, "namespaces: [!Exact a]", "namespaces: [!Exact b]"},
    {M, "namespaces: [!Exact a]", "namespaces: [!Prefix a]"},
    {M, "namespaces: [!Exact a]", "notNamespaces: [!Exact a]"},
    {M, "notNamespaces: [!Exact a]", "notNamespaces: [!Exact b]"},
    {M, "principals: [!Exact a]", "principals: [!Exact b]"},
    {M, "notPrincipals: [!Exact a]", "notPrincipals: [!Exact b]"},
    {M, "serviceAccounts: [{namespace: a, serviceAccount: b}]",
     "serviceAccounts: [{namespace: c, serviceAccount: b}]"},
    {M, "serviceAccounts: [{namespace: a, serviceAccount: b}]",
     "serviceAccounts: [{namespace: a, serviceAccount: c}]"},
    {M, "notServiceAccounts: [{namespace: a, serviceAccount: b}]",
     "notServiceAccounts: [{namespace: a, serviceAccount: c}]"},
    {M, "sourceIps: [10.0.0.0/8]", "sourceIps: [11.0.0.0/8]"},
    {M, "sourceIps: [10.0.0.0/8]", "sourceIps: [10.0.0.0/9]"},
    {M, "notSourceIps: [10.0.0.0/8]", "notSourceIps: [11.0.0.0/8]"},
    {M, "destinationIps: [10.0.0.0/8]", "destinationIps: [11.0.0.0/8]"},
    {M, "notDestinationIps: [10.0.0.0/8]", "notDestinationIps: [11.0.0.0/8]"},
    {M, "destinationPorts: [80]", "destinationPorts: [81]"},
    {M, "notDestinationPorts: [80]", "notDestinationPorts: [81]"},

    {A, "selector: {uids: [a]}", "selector: {uids: [b]}"},
    {A, "selector: {workloadNames: [a]}", "selector: {workloadNames: [b]}"},
    {A, "selector: {serviceAccounts: [a]}", "selector: {serviceAccounts: [b]}"},
    {A, "portModes: {80: STRICT}", "portModes: {81: STRICT}"},
    {A, "portModes: {80: STRICT}", "portModes: {80: DISABLE}"},
    {HBK_MESH_PEER_AUTHENTICATIONS, "s/p",
     "peerAuthentications: [{name: p, namespace: s, mode: %s}]", "STRICT", "DISABLE"},
    {HBK_MESH_PLAIN_TEXTS, "s", "outboundPlainText: {s: %s}", "allow", "deny"},

    {P, "/a", "/b"},
    {P, "/a", "host, captureUids: [1]"},
    {P, "'pid:1'", "'pid:2'"},
    {P, "host, captureUids: [1]", "host, captureUids: [2]"},
    {P, "host, captureCgroups: [a]", "host, captureCgroups: [b]"},
    {P, "host, captureOutboundPorts: [1]", "host, captureOutboundPorts: [2]"},
    {P, "host, captureInboundPorts: [1]", "host, captureInboundPorts: [2]"},
    {P, "/a, excludeInboundPorts: [1]", "/a, excludeInboundPorts: [2]"},
    {P, "/a, excludeOutboundPorts: [1]", "/a, excludeOutboundPorts: [2]"},
    {P, "/a, excludeOutboundCidrs: [10.0.0.0/8]", "/a, excludeOutboundCidrs: [10.0.0.0/9]"},
};

static struct hbk_mesh *mesh_of(const struct change_case *row, const char *value,
                                const struct hbk_mesh *old)
{
    char text[512];
    size_t before = (size_t)(strstr(row->frame, "%s") - row->frame);
    (void)snprintf(text, sizeof text, "%.*s%s%s", (int)before, row->frame, value,
                   row->frame + before + 2);
    struct hbk_mesh *mesh = NULL;
    hbk_status status = hbk_mesh_file_parse("f", hbk_slice_text(text), old, &mesh, &report);
    for (size_t i = 0; i < report.count; i++) {
        print_error("%s\n%s\n", text, report.lines[i]);
    }
    assert_int_equal(status, HBK_OK);
    return mesh;
}

static const struct hbk_record *record_of(const struct change_case *row,
                                          const struct hbk_mesh *mesh)
{
    struct hbk_trie_walk walk = hbk_mesh_walk(mesh, row->part);
    const struct hbk_record *record = hbk_trie_next(&walk);
    assert_non_null(record);
    assert_slice_equal(record->key, hbk_slice_text(row->key));
    return record;
}

static void a_change_of_any_key_arrives_and_no_change_makes_no_new_record(void **state)
{
    (void)state;
    for (size_t i = 0; i < HBK_COUNT(changes); i++) {
        struct hbk_mesh *old = mesh_of(&changes[i], changes[i].before, NULL);
        struct hbk_mesh *same = mesh_of(&changes[i], changes[i].before, old);
        struct hbk_mesh *changed = mesh_of(&changes[i], changes[i].after, old);
        print_message("%s -> %s\n", changes[i].before, changes[i].after);
        assert_ptr_equal(record_of(&changes[i], same), record_of(&changes[i], old));
        assert_ptr_not_equal(record_of(&changes[i], changed), record_of(&changes[i], old));
        hbk_mesh_unref(old);
        hbk_mesh_unref(same);
        hbk_mesh_unref(changed);
    }
}

int main(void)
{
    heap_fail_at(0);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_change_of_any_key_arrives_and_no_change_makes_no_new_record),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
