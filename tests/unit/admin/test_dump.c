#include "admin/dump.h"

#include <stdio.h>

#include "config/mesh_file.h"
#include "harness.h"

static struct hbk_buffer out;

static int set_up(void **state)
{
    (void)state;
    hbk_buffer_init(&out, 1 << 20);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    hbk_buffer_fini(&out);
    return 0;
}

static struct hbk_mesh *parse_mesh(const char *text)
{
    struct hbk_report report;
    struct hbk_mesh *mesh = NULL;
    hbk_status status =
        hbk_mesh_file_parse("mesh.yaml", hbk_slice_text(text), NULL, &mesh, &report);
    if (status != HBK_OK) {
        fail_msg("%s", report.lines[0]);
    }
    return mesh;
}

typedef void dump_fn(struct hbk_json *json, const struct hbk_mesh *mesh);

static void assert_part(dump_fn *dump, const char *mesh_text, const char *expected)
{
    struct hbk_mesh *mesh = parse_mesh(mesh_text);
    struct hbk_json json = hbk_json_to(&out, false);
    hbk_json_begin_object(&json, NULL);
    dump(&json, mesh);
    hbk_json_end_object(&json);
    assert_int_equal(json.status, HBK_OK);
    struct hbk_slice found = hbk_buffer_slice(&out);
    char text[8192];
    (void)snprintf(text, sizeof text, "%.*s", HBK_SLICE_ARGS(found));
    assert_string_equal(text, expected);
    hbk_mesh_unref(mesh);
}

static const char full_workload[] = "workloads:\n"
                                    "- uid: c0//Pod/shop/cart-1\n"
                                    "  name: cart-1\n"
                                    "  namespace: shop\n"
                                    "  serviceAccount: cart\n"
                                    "  trustDomain: cluster.local\n"
                                    "  workloadIps: [10.9.0.11, 'fd00::11']\n"
                                    "  protocol: HBONE\n"
                                    "  network: n\n"
                                    "  node: n1\n"
                                    "  capacity: 2\n"
                                    "  status: Unhealthy\n"
                                    "  canonicalName: cart\n"
                                    "  canonicalRevision: v1\n"
                                    "  clusterId: c0\n"
                                    "  locality: {region: eu, zone: z1}\n"
                                    "  authorizationPolicies: [shop/only-front]\n"
                                    "  waypoint: {destination: n/10.9.0.99, hboneMtlsPort: 15008}\n"
                                    "  services:\n"
                                    "    shop/cart.shop.svc.cluster.local: {80: 9000}\n";

static void a_workload_shows_what_is_known_of_it(void **state)
{
    (void)state;
    assert_part(
        hbk_dump_workloads, full_workload,
        "{\"workloads\":{\"c0//Pod/shop/cart-1\":{\"workloadIps\":[\"10.9.0.11\",\"fd00::11\"],"
        "\"waypoint\":{\"destination\":\"n/10.9.0.99\",\"hboneMtlsPort\":15008},"
        "\"protocol\":\"HBONE\",\"networkMode\":\"Standard\",\"uid\":\"c0//Pod/shop/cart-1\","
        "\"name\":\"cart-1\",\"namespace\":\"shop\",\"trustDomain\":\"cluster.local\","
        "\"serviceAccount\":\"cart\",\"network\":\"n\",\"workloadType\":\"deployment\","
        "\"canonicalName\":\"cart\",\"canonicalRevision\":\"v1\",\"node\":\"n1\","
        "\"authorizationPolicies\":[\"shop/only-front\"],\"status\":\"Unhealthy\","
        "\"clusterId\":\"c0\",\"locality\":{\"region\":\"eu\",\"zone\":\"z1\"},"
        "\"services\":[\"shop/cart.shop.svc.cluster.local\"],\"capacity\":2}}}");
}

static void a_service_shows_its_endpoints(void **state)
{
    (void)state;
    char text[4096];
    (void)snprintf(text, sizeof text,
                   "%sservices:\n"
                   "- name: cart\n"
                   "  namespace: shop\n"
                   "  hostname: cart.shop.svc.cluster.local\n"
                   "  vips: [n/10.96.4.2]\n"
                   "  cidrVips: [n/10.97.0.0/16]\n"
                   "  ports: {80: 9000}\n"
                   "  loadBalancer: {routingPreferences: [Zone], mode: Failover, healthPolicy: "
                   "OnlyHealthy}\n",
                   full_workload);
    assert_part(hbk_dump_services, text,
                "{\"services\":{\"shop/cart.shop.svc.cluster.local\":{\"name\":\"cart\","
                "\"namespace\":\"shop\",\"hostname\":\"cart.shop.svc.cluster.local\","
                "\"vips\":[\"n/10.96.4.2\"],\"cidrVips\":[\"n/10.97.0.0/16\"],"
                "\"ports\":{\"80\":9000},\"endpoints\":{\"c0//Pod/shop/cart-1\":{"
                "\"workloadUid\":\"c0//Pod/shop/cart-1\",\"port\":{\"80\":9000},"
                "\"status\":\"Unhealthy\"}},\"loadBalancer\":{\"routingPreferences\":[\"Zone\"],"
                "\"mode\":\"Failover\",\"healthPolicy\":\"OnlyHealthy\"},"
                "\"visibility\":\"Public\"}}}");
    hbk_buffer_clear(&out);
    assert_part(hbk_dump_staged_services, text, "{\"stagedServices\":{}}");
}

static void endpoints_of_an_unknown_service_are_staged(void **state)
{
    (void)state;
    assert_part(hbk_dump_staged_services, full_workload,
                "{\"stagedServices\":{\"shop/cart.shop.svc.cluster.local\":{"
                "\"c0//Pod/shop/cart-1\":{\"workloadUid\":\"c0//Pod/shop/cart-1\","
                "\"port\":{\"80\":9000},\"status\":\"Unhealthy\"}}}}");
}

static void a_policy_shows_its_rules(void **state)
{
    (void)state;
    assert_part(hbk_dump_policies,
                "policies:\n"
                "- name: only-front\n"
                "  namespace: shop\n"
                "  scope: WorkloadSelector\n"
                "  action: Deny\n"
                "  dryRun: true\n"
                "  rules:\n"
                "  - - - principals: [!Exact cluster.local/ns/shop/sa/front, !Presence []]\n"
                "        notNamespaces: [!Prefix a]\n"
                "        serviceAccounts: [{namespace: shop, serviceAccount: front}]\n"
                "        sourceIps: [10.0.0.0/8]\n"
                "        notDestinationIps: ['fd00::/8']\n"
                "        destinationPorts: [9000, 9001]\n",
                "{\"policies\":[{\"name\":\"only-front\",\"namespace\":\"shop\","
                "\"scope\":\"WorkloadSelector\",\"action\":\"Deny\",\"dryRun\":true,\"rules\":[[[{"
                "\"notNamespaces\":[{\"Prefix\":\"a\"}],"
                "\"principals\":[{\"Exact\":\"cluster.local/ns/shop/sa/front\"},"
                "{\"Presence\":[]}],"
                "\"serviceAccounts\":[{\"namespace\":\"shop\",\"serviceAccount\":\"front\"}],"
                "\"sourceIps\":[\"10.0.0.0/8\"],\"notDestinationIps\":[\"fd00::/8\"],"
                "\"destinationPorts\":[9000,9001]}]]]}]}");
}

static void append_connection(struct hbk_buffer *entries, const char *uid, bool is_inbound)
{
    struct hbk_connection_entry entry = {.workload_uid = hbk_slice_text(uid),
                                         .is_inbound = is_inbound,
                                         .protocol = HBK_CONNECTION_HBONE,
                                         .tls_engine = "openssl"};
    assert_true(hbk_address_parse(HBK_SLICE("10.0.0.1:1"), &entry.source));
    assert_true(hbk_address_parse(HBK_SLICE("10.0.0.2:2"), &entry.original_destination));
    assert_int_equal(hbk_connection_entry_append(entries, &entry), HBK_OK);
}

static const char whole_dump[] = "{\n"
                                 "  \"staticConfig\": {\n"
                                 "    \"file\": \"mesh.yaml\"\n"
                                 "  },\n"
                                 "  \"version\": {\n"
                                 "    \"version\": \"" HBK_VERSION "\",\n"
                                 "    \"compiler\": \"" __VERSION__ "\",\n"
                                 "    \"cryptoProvider\": \"native\"\n"
                                 "  },\n"
                                 "  \"config\": {\n"
                                 "    \"workers\": \"2\"\n"
                                 "  },\n"
                                 "  \"certificates\": [\n"
                                 "    {\n"
                                 "      \"identity\": \"spiffe://a/ns/b/sa/c\",\n"
                                 "      \"state\": \"Available\",\n"
                                 "      \"tlsEngine\": \"native\",\n"
                                 "      \"certChain\": [\n"
                                 "        {\n"
                                 "          \"pem\": \"UEVNCg==\",\n"
                                 "          \"serialNumber\": \"17\",\n"
                                 "          \"validFrom\": \"1970-01-01T00:00:00Z\",\n"
                                 "          \"expirationTime\": \"1970-01-02T00:00:00Z\"\n"
                                 "        }\n"
                                 "      ],\n"
                                 "      \"rootCerts\": []\n"
                                 "    }\n"
                                 "  ],\n"
                                 "  \"workloadState\": {\n"
                                 "    \"uid-1\": {\n"
                                 "      \"state\": \"Up\",\n"
                                 "      \"connections\": {\n"
                                 "        \"inbound\": [],\n"
                                 "        \"outbound\": [\n"
                                 "          {\n"
                                 "            \"src\": \"10.0.0.1:1\",\n"
                                 "            \"originalDst\": \"10.0.0.2:2\",\n"
                                 "            \"protocol\": \"HBONE\",\n"
                                 "            \"tlsEngine\": \"openssl\"\n"
                                 "          }\n"
                                 "        ]\n"
                                 "      },\n"
                                 "      \"info\": {\n"
                                 "        \"name\": \"cart-1\",\n"
                                 "        \"namespace\": \"shop\",\n"
                                 "        \"serviceAccount\": \"cart\"\n"
                                 "      }\n"
                                 "    }\n"
                                 "  }\n"
                                 "}\n";

static void the_whole_dump_is_one_object(void **state)
{
    (void)state;
    struct hbk_buffer entries;
    hbk_buffer_init(&entries, 4096);
    append_connection(&entries, "uid-2", true);
    append_connection(&entries, "uid-1", false);
    const struct hbk_dump_certificate leaf = {.pem = HBK_SLICE("PEM\n"),
                                              .serial_number = HBK_SLICE("17"),
                                              .valid_from_ns = 0,
                                              .expiration_ns = INT64_C(86400000000000)};
    const struct hbk_dump_identity identity = {
        .identity = HBK_SLICE("spiffe://a/ns/b/sa/c"),
        .state = HBK_SLICE("Available"),
        .tls_engine = "native",
        .chain = &leaf,
        .chain_count = 1,
    };
    const struct hbk_dump_pod pod = {.uid = HBK_SLICE("uid-1"),
                                     .is_up = true,
                                     .name = HBK_SLICE("cart-1"),
                                     .namespace = HBK_SLICE("shop"),
                                     .service_account = HBK_SLICE("cart")};
    const struct hbk_dump_setting setting = {"workers", HBK_SLICE("2")};
    const struct hbk_dump dump = {
        .static_file = HBK_SLICE("mesh.yaml"),
        .settings = &setting,
        .setting_count = 1,
        .identities = &identity,
        .identity_count = 1,
        .pods = &pod,
        .pod_count = 1,
        .connections = hbk_buffer_slice(&entries),
        .crypto_provider = HBK_SLICE("native"),
    };
    assert_int_equal(hbk_dump_write(&dump, &out), HBK_OK);
    hbk_buffer_fini(&entries);
    assert_slice_equal(hbk_buffer_slice(&out), HBK_SLICE(whole_dump));
}

static void a_dump_above_its_limit_fails(void **state)
{
    (void)state;
    struct hbk_mesh *mesh = parse_mesh(full_workload);
    struct hbk_buffer small;
    hbk_buffer_init(&small, 64);
    const struct hbk_dump dump = {.mesh = mesh};
    assert_int_equal(hbk_dump_write(&dump, &small), HBK_LIMIT);
    hbk_buffer_fini(&small);
    hbk_mesh_unref(mesh);
}

#define CASE(function) cmocka_unit_test_setup_teardown(function, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(a_workload_shows_what_is_known_of_it),
        CASE(a_service_shows_its_endpoints),
        CASE(endpoints_of_an_unknown_service_are_staged),
        CASE(a_policy_shows_its_rules),
        CASE(the_whole_dump_is_one_object),
        CASE(a_dump_above_its_limit_fails),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
