#include "config/mesh_file.h"

#include <stdio.h>

#include "harness.h"

#include "failing_heap.h"
#include "model/memory.h"
#include "os/file.h"

static struct hbk_report report;

struct mistake_case {
    const char *text;
    const char *lines[4]; /* all that is reported */
};

#define WORKLOAD_KEYS                                                                         \
    "uid, name, namespace, workloadIps, protocol, networkMode, trustDomain, serviceAccount, " \
    "network, workloadName, workloadType, canonicalName, canonicalRevision, hostname, node, " \
    "nativeTunnel, applicationTunnel, authorizationPolicies, status, clusterId, locality, "   \
    "capacity, waypoint, networkGateway, services"
#define TOP_KEYS                                                                    \
    "workloads, services, policies, peerAuthentications, pods, outboundPlainText, " \
    "tlsEngine"
#define GOOD "{uid: u, name: n, namespace: s, workloadIps: [10.0.0.1]"
#define POLICY "{name: p, namespace: s, scope: Namespace, action: Deny"
#define SYNTAX \
    "!Exact text, !Prefix text, !Suffix text or !Presence [], or the same as {Exact: text}"

static const struct mistake_case mistakes[] = {
    /* The file. */
    {"", {"f:1:1: the mesh file is empty; allowed: a mapping, such as {}"}},
    {"# nothing\n", {"f:1:1: the mesh file is empty; allowed: a mapping, such as {}"}},
    {"[]", {"f:1:1: the mesh file is a list; allowed: a mapping with " TOP_KEYS}},
    {"workloads: [", {"f:2:1: this is not YAML: flow sequence without a closing bracket"}},
    {"\xff\xfew", {"f:1:1: no UTF-8: the byte 0xff; allowed: YAML in UTF-8"}},
    {"a: b\n c\xc3", {"f:2:3: no UTF-8: the byte 0xc3; allowed: YAML in UTF-8"}},
    {":\n% \xff\xff r\n", {"f:2:3: no UTF-8: the byte 0xff; allowed: YAML in UTF-8"}},
    {"a: \x01", {"f:1:4: a control character: 0x01; allowed: YAML in UTF-8"}},
    {"{}\n---\n{}\n", {"f:2:1: a second document; allowed: one"}},
    {"workloads: &all []\nservices: *all\n",
     {"f:2:11: an alias (*name); allowed: the value itself, written out"}},
    {"pods: {a: [[[[[[[[[[[[[[[[[[[[[[[[[[[]]]]]]]]]]]]]]]]]]]]]]]]]]]}",
     {"f:1:11: pod is a list; allowed: a mapping with netns, captureUids, captureCgroups, "
      "captureOutboundPorts, captureInboundPorts, excludeInboundPorts, excludeOutboundPorts, "
      "excludeOutboundCidrs",
      "f:1:33: nested too deeply; allowed: 24 levels"}},
    /* Keys. */
    {"workload: []\n",
     {"f:1:1: unknown key \"workload\" in the mesh file; nearest: workloads; "
      "allowed: " TOP_KEYS}},
    {"workloads:\n- " GOOD ", protcol: TCP}\n",
     {"f:2:60: unknown key \"protcol\" in workload; nearest: protocol; allowed: " WORKLOAD_KEYS}},
    {"workloads:\n- " GOOD ", node: a, node: b}\n",
     {"f:2:69: key \"node\" appears twice in workload; allowed: once"}},
    {"workloads: []\nworkloads: []\n",
     {"f:2:1: key \"workloads\" appears twice in the mesh file; allowed: once"}},
    {"workloads:\n- {uid: u, name: n}\n",
     {"f:2:3: workload without \"namespace\", which it needs",
      "f:2:3: workload without \"workloadIps\", which it needs"}},
    {"workloads:\n- " GOOD ", [a]: b}\n",
     {"f:2:60: unknown key a list in workload; allowed: " WORKLOAD_KEYS}},
    /* Values. */
    {"workloads: {}\n", {"f:1:12: workloads is a mapping; allowed: a list"}},
    {"workloads:\n- 7\n", {"f:2:3: workload is \"7\"; allowed: a mapping with " WORKLOAD_KEYS}},
    {"workloads:\n- " GOOD ", capacity: many}\n",
     {"f:2:70: capacity is \"many\"; allowed: a number from 0 to 4294967295"}},
    {"workloads:\n- " GOOD ", capacity: 4294967296}\n",
     {"f:2:70: capacity is \"4294967296\"; allowed: a number from 0 to 4294967295"}},
    {"workloads:\n- " GOOD ", capacity: -1}\n",
     {"f:2:70: capacity is \"-1\"; allowed: a number from 0 to 4294967295"}},
    {"workloads:\n- " GOOD ", protocol: hbone}\n",
     {"f:2:70: protocol is \"hbone\"; allowed: TCP, HBONE"}},
    {"workloads:\n- " GOOD ", nativeTunnel: yes}\n",
     {"f:2:74: nativeTunnel is \"yes\"; allowed: true or false"}},
    {"workloads:\n- " GOOD ", node: }\n", {"f:2:60: node is nothing; allowed: a text"}},
    {"workloads:\n- {uid: '', name: a b, namespace: s/t, workloadIps: [10.0.0.300, a, [b]]}\n",
     {"f:2:9: uid is \"\"; allowed: a text that is not empty",
      "f:2:19: name is \"a b\"; allowed: a name without blanks and slashes",
      "f:2:35: namespace is \"s/t\"; allowed: a name without blanks and slashes",
      "f:2:54: workloadIps is \"10.0.0.300\"; allowed: an IP address such as 10.0.0.1 or fd00::1"}},
    {"workloads:\n- " GOOD ", services: {cart: {80: 80}}}\n",
     {"f:2:71: service is \"cart\"; allowed: namespace/name"}},
    {"workloads:\n- " GOOD ", services: {a/b: {0: 80, 80: 70000}}}\n",
     {"f:2:77: service port is \"0\"; allowed: a port from 1 to 65535",
      "f:2:88: target port is \"70000\"; allowed: a port from 0 to 65535"}},
    {"workloads:\n- " GOOD ", waypoint: {destination: nowhere}}\n",
     {"f:2:84: destination is \"nowhere\"; allowed: network/address or namespace/hostname"}},
    {"workloads:\n- " GOOD ", waypoint: {}}\n",
     {"f:2:70: gateway without \"destination\", which it needs"}},
    {"workloads:\n- " GOOD ", trustDomain: 'A b'}\n",
     {"f:2:3: workload \"u\" has trustDomain, namespace and serviceAccount that make no SPIFFE id; "
      "allowed: " HBK_SPIFFE_SYNTAX}},
    {"services:\n- {name: s, namespace: n, hostname: h, ports: {}, vips: [10.0.0.1], cidrVips: "
     "[/10.0.0.0/33]}\n",
     {"f:2:58: vips is \"10.0.0.1\"; allowed: network/address, such as /10.96.4.2",
      "f:2:80: cidrVips is \"/10.0.0.0/33\"; allowed: network/address/bits, such as "
      "/10.96.0.0/16"}},
    {"services:\n- {name: s, namespace: n, hostname: h, ports: {}, subjectAltNames: [cart]}\n",
     {"f:2:69: subjectAltNames is \"cart\"; allowed: " HBK_SPIFFE_SYNTAX}},
    {"services:\n- {name: s, namespace: n, hostname: h, ports: {}, loadBalancer: "
     "{routingPreferences: [Zone, Zone, Zone, Zone, Zone, Zone, Zone]}}\n",
     {"f:2:3: service with 7 routingPreferences; allowed: 6"}},
    {"services:\n- {name: s, namespace: n, hostname: h, ports: {}, loadBalancer: "
     "{routingPreferences: [Planet], mode: Random}}\n",
     {"f:2:87: routingPreferences is \"Planet\"; allowed: Region, Zone, Subzone, Node, Cluster, "
      "Network",
      "f:2:102: mode is \"Random\"; allowed: Standard, Strict, Failover, Passthrough"}},
    /* Policies. */
    {"policies:\n- " POLICY ", rules: [[[{principals: [a]}]]]}\n",
     {"f:2:83: text match has \"a\"; allowed: " SYNTAX}},
    {"policies:\n- " POLICY ", rules: [[[{principals: [!Regex a]}]]]}\n",
     {"f:2:90: text match has \"a\" tagged !Regex; allowed: " SYNTAX}},
    {"policies:\n- " POLICY ", rules: [[[{principals: [{Exact: a, Prefix: b}]}]]]}\n",
     {"f:2:83: text match has a mapping with 2 keys; allowed: one of Exact, Prefix, Suffix, "
      "Presence"}},
    {"policies:\n- " POLICY ", rules: [[[{principals: [{Regex: a}]}]]]}\n",
     {"f:2:84: text match has \"Regex\"; allowed: " SYNTAX}},
    {"policies:\n- " POLICY ", rules: [[{destinationPorts: [80]}]]}\n",
     {"f:2:68: clause is a mapping; allowed: a list"}},
    {"policies:\n- " POLICY ", rules: [[[{sourceIps: [10.0.0.0/40], destinationPorts: [0]}]]]}\n",
     {"f:2:82: address block is \"10.0.0.0/40\"; allowed: an address block such as 10.0.0.0/8 or "
      "fd00::/8",
      "f:2:115: port is \"0\"; allowed: a port from 1 to 65535"}},
    /* References and doubles. */
    {"workloads:\n- " GOOD "}\n- " GOOD "}\n",
     {"f:3:3: workload \"u\" appears twice; allowed: once"}},
    {"policies:\n- " POLICY "}\n- " POLICY "}\n",
     {"f:3:3: policy \"s/p\" appears twice; allowed: once"}},
    {"pods: {a: /x, a: /y}\nworkloads:\n- {uid: a, name: n, namespace: s, workloadIps: []}\n",
     {"f:1:15: pod \"a\" appears twice; allowed: once"}},
    {"pods: {nobody: /x}\n",
     {"f:1:8: pod \"nobody\" belongs to no workload; allowed: the uid of a workload of this "
      "file"}},
    {"outboundPlainText: {'': allow, istio-system: deny}\n",
     {"f:1:32: outboundPlainText of \"istio-system\" appears twice; allowed: once"}},
    {"outboundPlainText: {a: maybe}\n",
     {"f:1:24: outboundPlainText is \"maybe\"; allowed: allow, deny"}},
    /* Engines. */
    {"tlsEngine: libssl\n", {"f:1:12: tlsEngine is \"libssl\"; allowed: native, openssl"}},
    {"tlsEngine:\n", {"f:1:1: tlsEngine is nothing; allowed: native, openssl"}},
    {"tlsEngine: [native]\n", {"f:1:12: tlsEngine is a list; allowed: native, openssl"}},
    {"tlsEngine: Native\n", {"f:1:12: tlsEngine is \"Native\"; allowed: native, openssl"}},
    /* Pods and modes. */
    {"pods: {a: relative}\n",
     {"f:1:11: netns is \"relative\"; allowed: an absolute path, pid:NUMBER, or host"}},
    {"pods: {a: 'pid:0'}\n",
     {"f:1:11: netns is \"pid:0\"; allowed: an absolute path, pid:NUMBER, or host"}},
    {"pods: {a: host}\nworkloads:\n- {uid: a, name: n, namespace: s, workloadIps: []}\n",
     {"f:1:8: pod in netns host that captures nothing; it needs one of captureUids, "
      "captureCgroups, captureOutboundPorts, captureInboundPorts"}},
    {"pods: {a: {netns: /x, captureUids: [0]}}\nworkloads:\n- {uid: a, name: n, namespace: s, "
     "workloadIps: []}\n",
     {"f:1:8: pod with a namespace of its own and a capture list; in such a namespace everything "
      "is captured: allowed are the exclude lists"}},
    {"peerAuthentications:\n- {name: p, namespace: '', selector: {uids: [u]}, mode: STRICT}\n",
     {"f:2:3: peerAuthentication with a selector and an empty namespace; allowed: the namespace of "
      "the workloads that it selects"}},
    {"peerAuthentications:\n- {name: p, namespace: n, mode: strict}\n",
     {"f:2:33: mode is \"strict\"; allowed: PERMISSIVE, STRICT, DISABLE, UNSET"}},
};

static hbk_status parse(const char *text, const struct hbk_mesh *old, struct hbk_mesh **out_mesh)
{
    return hbk_mesh_file_parse("f", hbk_slice_text(text), old, out_mesh, &report);
}

static void every_mistake_is_told_with_its_place_and_what_is_allowed(void **state)
{
    (void)state;
    size_t live = hbk_model_memory().live;
    for (size_t i = 0; i < HBK_COUNT(mistakes); i++) {
        struct hbk_mesh *mesh = NULL;
        assert_int_equal(parse(mistakes[i].text, NULL, &mesh), HBK_INVALID);
        assert_null(mesh);
        size_t wanted = 0;
        for (; wanted < HBK_COUNT(mistakes[i].lines) && mistakes[i].lines[wanted] != NULL;
             wanted++) {
            assert_true(wanted < report.count);
            assert_string_equal(report.lines[wanted], mistakes[i].lines[wanted]);
        }
        assert_true(report.count == wanted || wanted == HBK_COUNT(mistakes[i].lines));
    }
    assert_int_equal(hbk_model_memory().live, live);
}

static void more_mistakes_than_a_report_holds_are_counted(void **state)
{
    (void)state;
    char text[4096];
    int used = snprintf(text, sizeof text, "workloads:\n");
    for (int i = 0; i < HBK_REPORT_ERRORS_MAX + 8; i++) {
        used += snprintf(text + used, sizeof text - (size_t)used, "- 1\n");
    }
    struct hbk_mesh *mesh = NULL;
    assert_int_equal(parse(text, NULL, &mesh), HBK_INVALID);
    assert_int_equal(report.count, HBK_REPORT_ERRORS_MAX);
    assert_int_equal(report.dropped, 8);
}

static void a_bad_file_leaves_the_old_mesh_and_a_good_one_shares_with_it(void **state)
{
    (void)state;
    static const char good[] = "workloads:\n- " GOOD "}\n- {uid: v, name: n, namespace: s, "
                               "workloadIps: [10.0.0.2]}\n";
    struct hbk_mesh *old = NULL;
    assert_int_equal(parse(good, NULL, &old), HBK_OK);
    struct hbk_mesh *fresh = NULL;
    assert_int_equal(parse("workloads: [{uid: u}]", old, &fresh), HBK_INVALID);
    assert_int_equal(hbk_mesh_count(old, HBK_MESH_WORKLOADS), 2);

    assert_int_equal(parse("workloads:\n- " GOOD "}\n", old, &fresh), HBK_OK);
    assert_int_equal(fresh->generation, 2);
    assert_ptr_equal(hbk_mesh_workload(fresh, HBK_SLICE("u")),
                     hbk_mesh_workload(old, HBK_SLICE("u")));
    assert_null(hbk_mesh_workload(fresh, HBK_SLICE("v")));
    assert_non_null(hbk_mesh_workload(old, HBK_SLICE("v")));
    hbk_mesh_unref(old);
    hbk_mesh_unref(fresh);
}

static void what_is_left_out_has_istios_defaults(void **state)
{
    (void)state;
    struct hbk_mesh *mesh = NULL;
    assert_int_equal(parse("workloads:\n- " GOOD "}\n", NULL, &mesh), HBK_OK);
    const struct hbk_workload *workload = hbk_mesh_workload(mesh, HBK_SLICE("u"));
    assert_slice_equal(workload->identity->text,
                       HBK_SLICE("spiffe://cluster.local/ns/s/sa/default"));
    assert_slice_equal(workload->cluster_id, HBK_SLICE("Kubernetes"));
    assert_int_equal(workload->capacity, 1);
    assert_int_equal(workload->protocol, HBK_WORKLOAD_TCP);
    assert_int_equal(workload->health, HBK_HEALTHY);
    hbk_mesh_unref(mesh);
}

static void an_engine_holds_for_the_file_that_names_it(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        enum hbk_mesh_tls_engine engine;
    } files[] = {
        {"tlsEngine: native\n", HBK_MESH_TLS_NATIVE},   {"{}\n", HBK_MESH_TLS_DEFAULT},
        {"tlsEngine: openssl\n", HBK_MESH_TLS_OPENSSL}, {"pods: {}\n", HBK_MESH_TLS_DEFAULT},
        {"tlsEngine: native\n", HBK_MESH_TLS_NATIVE},
    };
    struct hbk_mesh *old = NULL;
    for (size_t i = 0; i < HBK_COUNT(files); i++) {
        struct hbk_mesh *mesh = NULL;
        assert_int_equal(parse(files[i].text, old, &mesh), HBK_OK);
        assert_int_equal(mesh->tls_engine, files[i].engine);
        hbk_mesh_unref(old);
        old = mesh;
    }
    hbk_mesh_unref(old);
}

static void both_spellings_of_a_text_match_mean_the_same(void **state)
{
    (void)state;
    static const char *const spellings[] = {
        "policies:\n- " POLICY
        ", rules: [[[{principals: [!Exact a, !Prefix b, !Suffix c, !Presence "
        "[]]}]]]}\n",
        "{\"policies\": [{\"name\": \"p\", \"namespace\": \"s\", \"scope\": \"Namespace\", "
        "\"action\": \"Deny\", \"rules\": [[[{\"principals\": [{\"Exact\": \"a\"}, {\"Prefix\": "
        "\"b\"}, {\"Suffix\": \"c\"}, {\"Presence\": []}]}]]]}]}",
    };
    for (size_t i = 0; i < HBK_COUNT(spellings); i++) {
        struct hbk_mesh *mesh = NULL;
        assert_int_equal(parse(spellings[i], NULL, &mesh), HBK_OK);
        const struct hbk_policy *policy = hbk_mesh_policy(mesh, HBK_SLICE("s/p"));
        const struct hbk_text_field *principals =
            &policy->rules[0].clauses[0].matches[0].principals;
        assert_int_equal(principals->wanted_count, 4);
        static const char texts[] = "abc";
        for (uint32_t m = 0; m < 4; m++) {
            assert_int_equal(principals->wanted[m].kind, HBK_TEXT_EXACT + m);
            assert_slice_equal(principals->wanted[m].text, hbk_slice_of(texts + m, m < 3));
        }
        hbk_mesh_unref(mesh);
    }
}

static struct hbk_mesh *load_example(const struct hbk_mesh *old)
{
    struct hbk_mesh *mesh = NULL;
    hbk_status status = hbk_mesh_file_load(HBK_EXAMPLES "/mesh.yaml", old, &mesh, &report);
    for (size_t i = 0; i < report.count; i++) {
        print_error("%s\n", report.lines[i]);
    }
    assert_int_equal(status, HBK_OK);
    return mesh;
}

static void the_example_loads_and_says_what_it_shows(void **state)
{
    (void)state;
    struct hbk_mesh *mesh = load_example(NULL);
    assert_int_equal(hbk_mesh_count(mesh, HBK_MESH_WORKLOADS), 4);
    assert_int_equal(hbk_mesh_count(mesh, HBK_MESH_SERVICES), 2);
    assert_int_equal(hbk_mesh_count(mesh, HBK_MESH_POLICIES), 2);
    assert_int_equal(hbk_mesh_count(mesh, HBK_MESH_PEER_AUTHENTICATIONS), 3);
    assert_int_equal(hbk_mesh_count(mesh, HBK_MESH_PLAIN_TEXTS), 2);
    const struct hbk_pod *pod = hbk_mesh_pod(mesh, HBK_SLICE("c0//Pod/shop/cart-1"));
    assert_int_equal(pod->netns_kind, HBK_NETNS_PID);
    assert_int_equal(pod->pid, 4711);
    assert_int_equal(pod->exclude_inbound_ports[0], 22);
    assert_int_equal(pod->exclude_outbound_ports[0], 53);
    assert_int_equal(pod->exclude_outbound_cidrs[0].prefix_bits, 16);
    pod = hbk_mesh_pod(mesh, HBK_SLICE("c0//Pod/shop/front-1"));
    assert_slice_equal(pod->path, HBK_SLICE("/run/netns/front"));
    pod = hbk_mesh_pod(mesh, HBK_SLICE("c0//Host/shop/report"));
    assert_int_equal(pod->netns_kind, HBK_NETNS_HOST);
    assert_int_equal(pod->capture_uids[0], 998);
    assert_slice_equal(pod->capture_cgroups[0].text, HBK_SLICE("system.slice/report.service"));
    assert_int_equal(pod->capture_outbound_ports[0], 80);
    assert_int_equal(pod->capture_inbound_ports[0], 8443);
    hbk_mesh_unref(mesh);
}

/* Fails each allocation in turn until a load goes through; returns how many there were. */
static uint64_t fail_each_allocation(struct hbk_slice text, const struct hbk_mesh *old)
{
    size_t live = hbk_model_memory().live;
    size_t identities = hbk_spiffe_count();
    for (uint64_t number = 1;; number++) {
        struct hbk_mesh *mesh = NULL;
        heap_fail_at(number);
        hbk_status status = hbk_mesh_file_parse("f", text, old, &mesh, &report);
        heap_fail_at(0);
        if (status == HBK_OK) {
            hbk_mesh_unref(mesh);
            assert_int_equal(hbk_model_memory().live, live);
            return number - 1;
        }
        assert_int_equal(status, HBK_NO_MEMORY);
        assert_null(mesh);
        assert_int_equal(hbk_model_memory().live, live);
        assert_int_equal(hbk_spiffe_count(), identities);
    }
}

static void each_allocation_may_fail_and_leaves_nothing_behind(void **state)
{
    (void)state;
    struct hbk_arena arena;
    hbk_arena_init(&arena);
    struct hbk_slice text;
    assert_int_equal(hbk_file_read(&arena, HBK_EXAMPLES "/mesh.yaml", 1 << 20, &text), HBK_OK);
    uint64_t fresh = fail_each_allocation(text, NULL);
    struct hbk_mesh *old = load_example(NULL);
    uint64_t same = fail_each_allocation(text, old);
    uint64_t empty = fail_each_allocation(HBK_SLICE("{}"), old);
    print_message("%u allocations for a new mesh, %u for the same, %u to empty it\n",
                  (unsigned)fresh, (unsigned)same, (unsigned)empty);
    assert_true(same < fresh);
    hbk_mesh_unref(old);
    hbk_arena_fini(&arena);
}

static void a_file_that_cannot_be_read_is_told_by_name(void **state)
{
    (void)state;
    struct hbk_mesh *mesh = NULL;
    assert_int_equal(hbk_mesh_file_load("/nonexistent/mesh.yaml", NULL, &mesh, &report),
                     HBK_NOT_FOUND);
    assert_string_equal(report.lines[0], "/nonexistent/mesh.yaml: cannot be read: not found");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_mistake_is_told_with_its_place_and_what_is_allowed),
        cmocka_unit_test(more_mistakes_than_a_report_holds_are_counted),
        cmocka_unit_test(a_bad_file_leaves_the_old_mesh_and_a_good_one_shares_with_it),
        cmocka_unit_test(what_is_left_out_has_istios_defaults),
        cmocka_unit_test(an_engine_holds_for_the_file_that_names_it),
        cmocka_unit_test(both_spellings_of_a_text_match_mean_the_same),
        cmocka_unit_test(the_example_loads_and_says_what_it_shows),
        cmocka_unit_test(each_allocation_may_fail_and_leaves_nothing_behind),
        cmocka_unit_test(a_file_that_cannot_be_read_is_told_by_name),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
