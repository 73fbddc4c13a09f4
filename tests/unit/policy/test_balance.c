/* How endpoints are chosen: by weight, by nearness, and never one that cannot serve. */
#include "model/balance.h"

#include <math.h>
#include <stdio.h>

#include "mesh_text.h"

enum { ROUNDS = 200000, ENDPOINTS_MAX = 12 };

struct balance_case {
    const char *balancer;                 /* the loadBalancer of the service */
    const char *client;                   /* more keys of the client */
    const char *endpoints[ENDPOINTS_MAX]; /* more keys of endpoint 0, 1, ... */
    double shares[ENDPOINTS_MAX];         /* expected, of 1 */
};

#define EU_A "locality: {region: eu, zone: a}"
#define EU_B "locality: {region: eu, zone: b}"
#define US_A "locality: {region: us, zone: a}"
#define GATE "networkGateway: {destination: o/192.0.2.1, hboneMtlsPort: 15008}"
#define FAILOVER "{mode: Failover, routingPreferences: [Region, Zone]}"
#define STRICT "{mode: Strict, routingPreferences: [Region, Zone]}"
#define NETWORK_FIRST "{mode: Failover, routingPreferences: [Network, Region, Zone]}"

static const struct balance_case cases[] = {
    {"{}", EU_A, {"capacity: 1"}, {1}},
    {"{}", EU_A, {"capacity: 1", "capacity: 1", "capacity: 1"}, {1 / 3., 1 / 3., 1 / 3.}},
    {"{}", EU_A, {"capacity: 1", "capacity: 3"}, {.25, .75}},
    {"{}", EU_A, {"capacity: 10", "capacity: 1", "capacity: 4", "capacity: 5"}, {.5, .05, .2, .25}},
    {"{}", EU_A, {"capacity: 4294967295", "capacity: 4294967295"}, {.5, .5}},
    {"{}", EU_A, {"capacity: 0", "capacity: 2"}, {0, 1}},
    {"{}", EU_A, {"status: Unhealthy", "capacity: 1"}, {0, 1}},
    {"{healthPolicy: AllowAll}", EU_A, {"status: Unhealthy", "capacity: 1"}, {.5, .5}},
    /* Preferences without a mode that uses them. */
    {"{routingPreferences: [Region]}", EU_A, {EU_A, US_A}, {.5, .5}},
    /* FAILOVER: the best rank that there is. */
    {FAILOVER, EU_A, {EU_A, EU_B, US_A}, {1, 0, 0}},
    {FAILOVER, EU_A, {EU_B, US_A, EU_B ", capacity: 3"}, {.25, 0, .75}},
    {FAILOVER, EU_A, {US_A, US_A}, {.5, .5}},
    {FAILOVER, EU_A, {EU_A ", status: Unhealthy", EU_B, US_A}, {0, 1, 0}},
    {FAILOVER, EU_A, {EU_A ", capacity: 2", EU_A, EU_B}, {2 / 3., 1 / 3., 0}},
    /* A zone of the same name in another region is no match: scopes stop at the first mismatch. */
    {FAILOVER, "locality: {region: as, zone: a}", {US_A, EU_B}, {.5, .5}},
    /* STRICT: all scopes or nothing. */
    {STRICT, EU_A, {EU_A, EU_B, EU_A}, {.5, 0, .5}},
    {STRICT, EU_A, {EU_B, US_A}, {0, 0}},
    {"{mode: Strict, routingPreferences: [Node]}", "node: n1", {"node: n1", "node: n2"}, {1, 0}},
    {"{mode: Failover, routingPreferences: [Cluster, Subzone]}",
     "clusterId: c, locality: {subzone: s}",
     {"clusterId: c", "clusterId: d, locality: {subzone: s}"},
     {1, 0}},
    /* NETWORK first: the own network whatever the rest, and elsewhere the rest decides. */
    {NETWORK_FIRST, EU_A, {US_A, "network: o, " GATE ", " EU_A}, {1, 0}},
    {NETWORK_FIRST, EU_A, {US_A, EU_B, EU_A, "network: o, " GATE ", " EU_A}, {0, 0, 1, 0}},
    {NETWORK_FIRST,
     EU_A,
     {"network: o, " GATE ", " US_A, "network: p, " GATE ", " EU_B, "network: q, " GATE ", " EU_B},
     {0, .5, .5}},
    /* Second, it is a scope like others. */
    {"{mode: Failover, routingPreferences: [Region, Network]}",
     EU_A,
     {US_A, "network: o, " GATE ", " EU_B},
     {0, 1}},
    /* Endpoints that cannot serve this port do not count, nor does their rank. */
    {FAILOVER, EU_A, {"services: {n/s: {81: 9}}, " EU_A, EU_B}, {0, 1}},
    {"{}", EU_A, {"services: {n/s: {81: 9}}", "capacity: 1", "capacity: 3"}, {0, .25, .75}},
    /* Without an address there must be a name, or a gateway to its network. */
    {"{}", EU_A, {"workloadIps: []", "capacity: 1"}, {0, 1}},
    {"{}", EU_A, {"workloadIps: [], hostname: h", "capacity: 1"}, {.5, .5}},
    {"{}", EU_A, {"workloadIps: [], " GATE, "capacity: 1"}, {0, 1}},
    {"{}", EU_A, {"workloadIps: [], network: o, " GATE, "capacity: 1"}, {.5, .5}},
};

static bool has(const char *text, const char *part)
{
    return strstr(text, part) != NULL;
}

static struct hbk_mesh *mesh_of_case(const struct balance_case *row)
{
    char text[8192];
    size_t used = (size_t)snprintf(
        text, sizeof text,
        "services:\n- {name: s, namespace: n, hostname: s, vips: [], ports: {}, loadBalancer: %s}\n"
        "workloads:\n- {uid: client, name: c, namespace: n, workloadIps: [10.9.9.9], %s}\n",
        row->balancer, row->client);
    for (int i = 0; i < ENDPOINTS_MAX && row->endpoints[i] != NULL; i++) {
        const char *more = row->endpoints[i];
        used += (size_t)snprintf(
            text + used, sizeof text - used, "- {uid: '%d', name: e, namespace: n%s%s, %s}\n", i,
            has(more, "workloadIps") ? "" : ", workloadIps: [10.0.0.1]",
            has(more, "services") ? "" : ", services: {n/s: {80: 8080}}", more);
    }
    return mesh_of(text);
}

/* Five standard deviations: one run in three million would fail, and the seed is fixed. */
static void check_share(double found, double expected)
{
    double deviation = sqrt(expected * (1 - expected) * ROUNDS);
    if (fabs(found - expected * ROUNDS) > 5 * deviation + 0.5) {
        print_error("found %.0f, expected %.0f of %d\n", found, expected * ROUNDS, ROUNDS);
        fail();
    }
}

static void endpoints_get_their_share_and_no_other_gets_any(void **state)
{
    (void)state;
    for (size_t i = 0; i < HBK_COUNT(cases); i++) {
        struct hbk_mesh *mesh = mesh_of_case(&cases[i]);
        const struct hbk_service *service = hbk_mesh_service(mesh, HBK_SLICE("n/s"));
        const struct hbk_workload *client = workload_of(mesh, "client");
        int counts[ENDPOINTS_MAX] = {0};
        uint64_t random = 99;
        print_message("case %zu: %s\n", i, cases[i].balancer);
        for (int round = 0; round < ROUNDS; round++) {
            random = random * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
            const struct hbk_endpoint *endpoint = NULL;
            uint16_t port = 0;
            uint64_t bits = random ^ (random >> 29);
            if (hbk_balance_choose(service, client, 80, bits, &endpoint, &port) ==
                HBK_BALANCE_FOUND) {
                assert_int_equal(port, 8080);
                counts[hbk_workload_uid(endpoint->workload).bytes[0] - '0']++;
            }
        }
        for (int e = 0; e < ENDPOINTS_MAX && cases[i].endpoints[e] != NULL; e++) {
            check_share(counts[e], cases[i].shares[e]);
        }
        hbk_mesh_unref(mesh);
    }
}

static void one_endpoint_in_a_thousand_that_knows_the_port_is_always_found(void **state)
{
    (void)state;
    static char text[200000];
    size_t used = (size_t)snprintf(
        text, sizeof text,
        "services:\n- {name: s, namespace: n, hostname: s, vips: [], ports: {}}\nworkloads:\n");
    for (int i = 0; i < 1000; i++) {
        used += (size_t)snprintf(text + used, sizeof text - used,
                                 "- {uid: w%d, name: w, namespace: n, workloadIps: [10.0.0.1], "
                                 "services: {n/s: {%d: 1}}}\n",
                                 i, i == 500 ? 80 : 81);
    }
    struct hbk_mesh *mesh = mesh_of(text);
    const struct hbk_service *service = hbk_mesh_service(mesh, HBK_SLICE("n/s"));
    for (uint64_t bits = 0; bits < 100; bits++) {
        const struct hbk_endpoint *endpoint = NULL;
        uint16_t port = 0;
        assert_int_equal(
            hbk_balance_choose(service, workload_of(mesh, "w0"), 80, bits, &endpoint, &port),
            HBK_BALANCE_FOUND);
        assert_slice_equal(hbk_workload_uid(endpoint->workload), HBK_SLICE("w500"));
    }
    hbk_mesh_unref(mesh);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(endpoints_get_their_share_and_no_other_gets_any),
        cmocka_unit_test(one_endpoint_in_a_thousand_that_knows_the_port_is_always_found),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
