#include "policy/route.h"

#include <stdio.h>

#include "mesh_text.h"

static const char town[] =
    "workloads:\n"
    "- {uid: front, name: front, namespace: shop, serviceAccount: front, workloadIps: [10.0.0.1, "
    "'fd00::1'], protocol: HBONE}\n"
    "- {uid: cart, name: cart, namespace: shop, serviceAccount: cart, workloadIps: [10.0.0.2, "
    "'fd00::2'], protocol: HBONE, services: {shop/cart.shop: {80: 9000}}}\n"
    "- {uid: plain, name: plain, namespace: shop, workloadIps: [10.0.0.3], services: "
    "{shop/plain.shop: {80: 9000}}}\n"
    "- {uid: sick, name: sick, namespace: shop, workloadIps: [10.0.0.4], protocol: HBONE, status: "
    "Unhealthy, services: {shop/sick.shop: {80: 9000}, shop/any.shop: {80: 9000}}}\n"
    "- {uid: behind, name: behind, namespace: shop, workloadIps: [10.0.0.5], protocol: HBONE, "
    "waypoint: {destination: /10.0.0.9, hboneMtlsPort: 15008}}\n"
    "- {uid: waypoint, name: waypoint, namespace: shop, serviceAccount: waypoint, workloadIps: "
    "[10.0.0.9], protocol: HBONE}\n"
    "- {uid: behind-host, name: behind-host, namespace: shop, workloadIps: [10.0.0.15], protocol: "
    "HBONE, waypoint: {destination: shop/wp.shop, hboneMtlsPort: 15008}}\n"
    "- {uid: wp, name: wp, namespace: shop, workloadIps: [10.0.0.19], protocol: HBONE, services: "
    "{shop/wp.shop: {}}}\n"
    "- {uid: far, name: far, namespace: shop, network: other, workloadIps: [10.0.0.6], protocol: "
    "HBONE, networkGateway: {destination: other/192.0.2.1, hboneMtlsPort: 15008}, services: "
    "{shop/far.shop: {80: 9000}}}\n"
    "- {uid: off, name: off, namespace: off, workloadIps: [10.0.0.7], protocol: HBONE, services: "
    "{off/off.off: {80: 9000}}}\n"
    "- {uid: strict, name: strict, namespace: strict, workloadIps: [10.0.0.8], protocol: HBONE}\n"
    "- {uid: named, name: named, namespace: shop, workloadIps: [], hostname: db.example, protocol: "
    "HBONE, services: {shop/named.shop: {80: 9000}}}\n"
    "- {uid: tunnel, name: tunnel, namespace: shop, workloadIps: [10.0.0.10], protocol: HBONE, "
    "applicationTunnel: {protocol: PROXY, port: 15088}, services: {shop/tunnel.shop: {}}}\n"
    "- {uid: six, name: six, namespace: shop, workloadIps: ['fd00::6', 10.0.0.66], protocol: "
    "HBONE, services: {shop/six.shop: {80: 9000}, shop/four.shop: {80: 9000}}}\n"
    "- {uid: host, name: host, namespace: shop, workloadIps: [10.0.0.11], protocol: HBONE, "
    "networkMode: HostNetwork, services: {shop/host.shop: {80: 9000}}}\n"
    "services:\n"
    "- {name: cart, namespace: shop, hostname: cart.shop, vips: [/10.96.0.1, '/fd96::1'], ports: "
    "{80: 9000, 81: 9001, 82: 0}, subjectAltNames: ['spiffe://td/ns/a/sa/b']}\n"
    "- {name: plain, namespace: shop, hostname: plain.shop, vips: [/10.96.0.2], ports: {80: "
    "9000}}\n"
    "- {name: sick, namespace: shop, hostname: sick.shop, vips: [/10.96.0.3], ports: {80: 9000}}\n"
    "- {name: any, namespace: shop, hostname: any.shop, vips: [/10.96.0.4], ports: {80: 9000}, "
    "loadBalancer: {healthPolicy: AllowAll}}\n"
    "- {name: wayed, namespace: shop, hostname: wayed.shop, vips: [/10.96.0.5], ports: {80: "
    "9000}, waypoint: {destination: /10.0.0.9, hboneMtlsPort: 15008}}\n"
    "- {name: weighted, namespace: shop, hostname: weighted.shop, vips: [/10.96.0.55], ports: {80: "
    "9000}, weightedWaypoints: [{destination: /10.0.0.9, weight: 1}]}\n"
    "- {name: far, namespace: shop, hostname: far.shop, vips: [/10.96.0.6], ports: {80: 9000}}\n"
    "- {name: off, namespace: off, hostname: off.off, vips: [/10.96.0.7], ports: {80: 9000}}\n"
    "- {name: pass, namespace: shop, hostname: pass.shop, vips: [/10.96.0.8], ports: {80: 9000}, "
    "loadBalancer: {mode: Passthrough}}\n"
    "- {name: named, namespace: shop, hostname: named.shop, vips: [/10.96.0.9], ports: {80: "
    "9000}}\n"
    "- {name: tunnel, namespace: shop, hostname: tunnel.shop, vips: [/10.96.0.10], ports: {}}\n"
    "- {name: six, namespace: shop, hostname: six.shop, vips: [/10.96.0.11], ports: {80: 9000}, "
    "ipFamilies: IPv6}\n"
    "- {name: four, namespace: shop, hostname: four.shop, vips: ['/fd96::12'], ports: {80: 9000}, "
    "ipFamilies: IPv4}\n"
    "- {name: host, namespace: shop, hostname: host.shop, vips: [/10.96.0.13], ports: {80: 9000}}\n"
    "- {name: block, namespace: shop, hostname: block.shop, cidrVips: [/10.97.0.0/16], ports: {80: "
    "9000}, endpoints: {cart: {port: {80: 9009}}}}\n"
    "- {name: both, namespace: shop, hostname: both.shop, vips: [/10.0.0.3], ports: {80: 9000}, "
    "endpoints: {cart: {port: {80: 9000}}}}\n"
    "peerAuthentications:\n"
    "- {name: default, namespace: off, mode: DISABLE}\n"
    "- {name: default, namespace: strict, mode: STRICT}\n";

struct route_case {
    const char *source; /* NULL: not known */
    const char *destination;
    enum hbk_route_kind kind;
    const char *authority; /* of HBONE and plain */
    enum hbk_route_refusal refusal;
    const char *text;
};

#define HBONE_TO(authority_text) HBK_ROUTE_HBONE, authority_text, HBK_REFUSAL_NONE, ""
#define PLAIN_TO(authority_text) HBK_ROUTE_PLAIN, authority_text, HBK_REFUSAL_NONE, ""
#define REFUSED(why, sentence) HBK_ROUTE_REFUSED, NULL, HBK_REFUSAL_##why, sentence

static const struct route_case cases[] = {
    /* 1. The agent itself. */
    {"front", "127.0.0.1:15008",
     REFUSED(RECURSION, "attempted recursive call to ourselves: 127.0.0.1:15008")},
    {"front", "127.0.0.1:15001",
     REFUSED(RECURSION, "attempted recursive call to ourselves: 127.0.0.1:15001")},
    {"front", "127.0.0.1:15006",
     REFUSED(RECURSION, "attempted recursive call to ourselves: 127.0.0.1:15006")},
    {"front", "[::1]:15080",
     REFUSED(RECURSION, "attempted recursive call to ourselves: [::1]:15080")},
    {"front", "127.0.0.1:8080", PLAIN_TO("127.0.0.1:8080")},
    /* 2. The source. */
    {NULL, "10.96.0.1:80",
     REFUSED(UNKNOWN_SOURCE, "failed to fetch information about local workload: the caller of "
                             "10.96.0.1:80 is not in the mesh")},
    /* 3. Waypoints of services. */
    {"front", "10.96.0.5:80",
     REFUSED(WAYPOINT, "unknown waypoint: service shop/wayed.shop wants one, and waypoints are not "
                       "supported")},
    {"front", "10.96.0.55:80",
     REFUSED(WAYPOINT, "unknown waypoint: service shop/weighted.shop wants one, and waypoints are "
                       "not supported")},
    /* 4. Choice of an endpoint and of its port. */
    {"front", "10.96.0.1:80", HBONE_TO("10.0.0.2:9000")},
    {"front", "[fd96::1]:80", HBONE_TO("[fd00::2]:9000")},
    {"front", "10.96.0.1:81", HBONE_TO("10.0.0.2:9001")},
    {"front", "10.96.0.1:82", REFUSED(NO_HEALTHY_UPSTREAM, "no healthy upstream: 10.96.0.1:82")},
    {"front", "10.96.0.1:443", REFUSED(NO_HEALTHY_UPSTREAM, "no healthy upstream: 10.96.0.1:443")},
    {"front", "10.96.0.2:80", PLAIN_TO("10.0.0.3:9000")},
    {"front", "10.96.0.3:80", REFUSED(NO_HEALTHY_UPSTREAM, "no healthy upstream: 10.96.0.3:80")},
    {"front", "10.96.0.4:80", HBONE_TO("10.0.0.4:9000")},
    {"front", "10.96.0.8:80", PLAIN_TO("10.96.0.8:80")},
    {"front", "10.96.0.9:80",
     REFUSED(NO_ADDRESS, "no healthy upstream: workload named has no usable address, and host "
                         "names of workloads are not resolved")},
    {"front", "10.96.0.10:4711", HBONE_TO("10.0.0.10:4711")},
    {"front", "10.96.0.11:80", HBONE_TO("[fd00::6]:9000")},
    {"front", "[fd96::12]:80", HBONE_TO("10.0.0.66:9000")},
    {"front", "10.96.0.13:80", HBONE_TO("10.0.0.11:9000")},
    {"front", "10.97.3.4:80", HBONE_TO("10.0.0.2:9009")},
    /* A service goes before a workload with the same address. */
    {"front", "10.0.0.3:80", HBONE_TO("10.0.0.2:9000")},
    /* 5. Workloads that are addressed directly. */
    {"front", "10.0.0.2:5432", HBONE_TO("10.0.0.2:5432")},
    {"front", "[fd00::2]:5432", HBONE_TO("[fd00::2]:5432")},
    {"front", "10.0.0.4:80", HBONE_TO("10.0.0.4:80")},
    {"front", "10.0.0.5:80",
     REFUSED(WAYPOINT, "unknown waypoint: workload behind wants one, and waypoints are not "
                       "supported")},
    {"waypoint", "10.0.0.5:80", HBONE_TO("10.0.0.5:80")},
    {"wp", "10.0.0.15:80", HBONE_TO("10.0.0.15:80")},
    {"waypoint", "10.0.0.15:80",
     REFUSED(WAYPOINT, "unknown waypoint: workload behind-host wants one, and waypoints are not "
                       "supported")},
    {"front", "10.0.0.11:80", PLAIN_TO("10.0.0.11:80")}, /* host networking: not found by address */
    {"front", "192.0.2.9:443", PLAIN_TO("192.0.2.9:443")},
    /* 6. Other networks. */
    {"front", "10.96.0.6:80",
     REFUSED(NETWORK, "unknown network gateway: workload far is on network \"other\", and gateways "
                      "to other networks are not supported")},
    {"front", "10.0.0.6:80", PLAIN_TO("10.0.0.6:80")}, /* the same address on our own network */
    /* Modes. */
    {"front", "10.96.0.7:80", PLAIN_TO("10.0.0.7:9000")},
    {"front", "10.0.0.7:80", PLAIN_TO("10.0.0.7:80")},
    {"strict", "192.0.2.9:443",
     REFUSED(PLAIN_TEXT, "plain text to 192.0.2.9:443 is denied: namespace strict may send mutual "
                         "TLS only")},
    {"strict", "10.96.0.2:80",
     REFUSED(PLAIN_TEXT, "plain text to 10.0.0.3:9000 is denied: namespace strict may send mutual "
                         "TLS only")},
    {"strict", "10.96.0.7:80",
     REFUSED(PLAIN_TEXT, "plain text to 10.0.0.7:9000 is denied: namespace strict may send mutual "
                         "TLS only")},
    {"strict", "10.96.0.8:80",
     REFUSED(PLAIN_TEXT, "plain text to 10.96.0.8:80 is denied: namespace strict may send mutual "
                         "TLS only")},
    {"strict", "10.96.0.1:80", HBONE_TO("10.0.0.2:9000")},
};

static void every_destination_is_routed_as_the_decision_table_says(void **state)
{
    (void)state;
    struct hbk_mesh *mesh = mesh_of(town);
    for (size_t i = 0; i < HBK_COUNT(cases); i++) {
        const struct route_case *row = &cases[i];
        struct hbk_address destination = address_of(row->destination);
        const struct hbk_workload *source =
            row->source == NULL ? NULL : workload_of(mesh, row->source);
        struct hbk_route route;
        hbk_route_outbound(mesh, source, &destination, 4711, &route);
        print_message("%s to %s\n", row->source == NULL ? "-" : row->source, row->destination);
        assert_string_equal(route.text, row->text);
        assert_int_equal(route.kind, row->kind);
        assert_int_equal(route.refusal, row->refusal);
        char text[HBK_ADDRESS_TEXT_BYTES_MAX];
        if (row->authority != NULL) {
            assert_string_equal(hbk_address_text(&route.authority, text), row->authority);
            assert_true(hbk_ip_equal(&route.dial.ip, &route.authority.ip));
            assert_int_equal(route.dial.port,
                             row->kind == HBK_ROUTE_HBONE ? HBK_HBONE_PORT : route.authority.port);
        }
        assert_int_equal(route.identity_count > 0, row->kind == HBK_ROUTE_HBONE);
    }
    hbk_mesh_unref(mesh);
}

static void a_tunnel_accepts_the_service_names_and_the_workloads_own_identity(void **state)
{
    (void)state;
    struct hbk_mesh *mesh = mesh_of(town);
    struct hbk_route route;
    struct hbk_address destination = address_of("10.96.0.1:80");
    hbk_route_outbound(mesh, workload_of(mesh, "front"), &destination, 1, &route);
    assert_int_equal(route.identity_count, 2);
    assert_slice_equal(route.identities[0]->text, HBK_SLICE("spiffe://td/ns/a/sa/b"));
    assert_slice_equal(route.identities[1]->text,
                       HBK_SLICE("spiffe://cluster.local/ns/shop/sa/cart"));
    assert_ptr_equal(route.workload, workload_of(mesh, "cart"));
    assert_slice_equal(route.service->record.key, HBK_SLICE("shop/cart.shop"));

    destination = address_of("10.0.0.2:80");
    hbk_route_outbound(mesh, workload_of(mesh, "front"), &destination, 1, &route);
    assert_int_equal(route.identity_count, 1);
    assert_null(route.service);
    hbk_mesh_unref(mesh);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_destination_is_routed_as_the_decision_table_says),
        cmocka_unit_test(a_tunnel_accepts_the_service_names_and_the_workloads_own_identity),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
