/* Which of several workloads or services an address stands for (ambient.md 1.3, rules 2 and 9). */
#include "model/mesh.h"

#include <stdio.h>

#include "mesh_text.h"

struct vip_case {
    const char *services; /* lines of a list */
    const char *client_namespace;
    const char *address;
    const char *key; /* NULL: none */
};

#define SERVICE(namespace, host, more) \
    "- {name: s, namespace: " namespace ", hostname: " host ", ports: {80: 80}, " more "}\n"

static const struct vip_case vips[] = {
    {SERVICE("a", "x", "vips: [/10.96.0.1]"), "z", "10.96.0.1", "a/x"},
    {SERVICE("a", "x", "vips: [/10.96.0.1]"), "z", "10.96.0.2", NULL},
    {SERVICE("a", "x", "vips: [other/10.96.0.1]"), "z", "10.96.0.1", NULL},
    {SERVICE("a", "x", "vips: ['/fd00::1', /10.96.0.1]"), "z", "fd00::1", "a/x"},
    /* Same namespace, then canonical, then the first by key. */
    {SERVICE("b", "x", "vips: [/10.96.0.1]") SERVICE("a", "x", "vips: [/10.96.0.1]"), "z",
     "10.96.0.1", "a/x"},
    {SERVICE("a", "x", "vips: [/10.96.0.1]") SERVICE("b", "x", "vips: [/10.96.0.1]"), "b",
     "10.96.0.1", "b/x"},
    {SERVICE("a", "x", "vips: [/10.96.0.1]")
         SERVICE("b", "x", "vips: [/10.96.0.1], canonical: true"),
     "z", "10.96.0.1", "b/x"},
    {SERVICE("a", "x", "vips: [/10.96.0.1]")
         SERVICE("b", "x", "vips: [/10.96.0.1], canonical: true"),
     "a", "10.96.0.1", "a/x"},
    /* Visibility. */
    {SERVICE("a", "x", "vips: [/10.96.0.1], visibility: Namespace"), "a", "10.96.0.1", "a/x"},
    {SERVICE("a", "x", "vips: [/10.96.0.1], visibility: Namespace"), "z", "10.96.0.1", NULL},
    {SERVICE("a", "x", "vips: [/10.96.0.1], visibility: Namespace, canonical: true")
         SERVICE("b", "x", "vips: [/10.96.0.1]"),
     "z", "10.96.0.1", "b/x"},
    /* Blocks: same namespace, then the longest prefix, then canonical. */
    {SERVICE("a", "x", "cidrVips: [/10.96.0.0/16]"), "z", "10.96.200.1", "a/x"},
    {SERVICE("a", "x", "cidrVips: [/10.96.0.0/16]"), "z", "10.97.0.1", NULL},
    {SERVICE("a", "x", "cidrVips: [/10.96.77.0/16]"), "z", "10.96.0.1", "a/x"},
    {SERVICE("a", "x", "cidrVips: [/0.0.0.0/0]"), "z", "192.0.2.1", "a/x"},
    {SERVICE("a", "x", "cidrVips: [/0.0.0.0/0]"), "z", "fd00::1", NULL},
    {SERVICE("a", "x", "cidrVips: ['/fd00::/8']"), "z", "fd12::1", "a/x"},
    {SERVICE("a", "x", "cidrVips: [/10.96.0.0/16]") SERVICE("b", "x", "cidrVips: [/10.96.1.0/24]"),
     "z", "10.96.1.1", "b/x"},
    {SERVICE("a", "x", "cidrVips: [/10.96.0.0/16]") SERVICE("b", "x", "cidrVips: [/10.96.1.0/24]"),
     "a", "10.96.1.1", "a/x"},
    {SERVICE("a", "x", "cidrVips: [/10.96.0.0/16]")
         SERVICE("b", "x", "cidrVips: [/10.96.0.0/16], canonical: true"),
     "z", "10.96.1.1", "b/x"},
    {SERVICE("a", "x", "cidrVips: [/10.96.0.0/16], canonical: true")
         SERVICE("b", "x", "cidrVips: [/10.96.1.0/24]"),
     "z", "10.96.1.1", "b/x"},
    {SERVICE("a", "x", "cidrVips: [/10.96.0.0/24], visibility: Namespace")
         SERVICE("b", "x", "cidrVips: [/10.96.0.0/16]"),
     "z", "10.96.0.1", "b/x"},
    /* A single address goes before any block. */
    {SERVICE("a", "x", "vips: [/10.96.0.1]") SERVICE("b", "x", "cidrVips: [/10.96.0.0/16]"), "b",
     "10.96.0.1", "a/x"},
    {SERVICE("a", "x", "vips: [/10.96.0.1], visibility: Namespace")
         SERVICE("b", "x", "cidrVips: [/10.96.0.1/32]"),
     "z", "10.96.0.1", "b/x"},
};

static void the_best_visible_service_has_the_address(void **state)
{
    (void)state;
    for (size_t i = 0; i < HBK_COUNT(vips); i++) {
        char text[2048];
        (void)snprintf(text, sizeof text, "services:\n%s", vips[i].services);
        struct hbk_mesh *mesh = mesh_of(text);
        struct hbk_ip ip;
        assert_true(hbk_ip_parse(hbk_slice_text(vips[i].address), &ip));
        print_message("%s from %s\n", vips[i].address, vips[i].client_namespace);
        const struct hbk_service *service = hbk_mesh_service_by_vip(
            mesh, HBK_SLICE(""), &ip, hbk_slice_text(vips[i].client_namespace));
        assert_int_equal(service != NULL, vips[i].key != NULL);
        if (service != NULL) {
            assert_slice_equal(service->record.key, hbk_slice_text(vips[i].key));
        }
        hbk_mesh_unref(mesh);
    }
}

static void a_host_name_ranks_services_as_an_address_does(void **state)
{
    (void)state;
    struct hbk_mesh *mesh = mesh_of("services:\n" SERVICE("a", "x", "vips: []") SERVICE(
        "b", "x", "canonical: true") SERVICE("c", "x", "visibility: Namespace"));
    const char *wanted[][2] = {{"a", "a/x"}, {"b", "b/x"}, {"c", "c/x"}, {"z", "b/x"}};
    for (size_t i = 0; i < HBK_COUNT(wanted); i++) {
        const struct hbk_service *service =
            hbk_mesh_service_by_host(mesh, HBK_SLICE("x"), hbk_slice_text(wanted[i][0]));
        assert_non_null(service);
        assert_slice_equal(service->record.key, hbk_slice_text(wanted[i][1]));
    }
    assert_null(hbk_mesh_service_by_host(mesh, HBK_SLICE("y"), HBK_SLICE("a")));
    hbk_mesh_unref(mesh);
}

#define WORKLOAD(uid, more) \
    "- {uid: " uid ", name: w, namespace: n, workloadIps: [10.0.0.1], " more "}\n"

static void of_workloads_with_one_address_the_likeliest_is_found(void **state)
{
    (void)state;
    static const char *cases[][2] = {
        {WORKLOAD("a", "protocol: TCP") WORKLOAD("b", "protocol: HBONE"), "b"},
        {WORKLOAD("a", "protocol: HBONE") WORKLOAD("b", "workloadType: pod"), "b"},
        {WORKLOAD("a", "workloadType: pod") WORKLOAD("b", "workloadType: pod, protocol: HBONE"),
         "b"},
        {WORKLOAD("b", "protocol: TCP") WORKLOAD("a", "protocol: TCP"), "a"},
        {WORKLOAD("a", "workloadType: pod, protocol: HBONE, networkMode: HostNetwork")
             WORKLOAD("b", "protocol: TCP"),
         "b"},
        {WORKLOAD("a", "network: other") WORKLOAD("b", "protocol: TCP"), "b"},
    };
    for (size_t i = 0; i < HBK_COUNT(cases); i++) {
        char text[1024];
        (void)snprintf(text, sizeof text, "workloads:\n%s", cases[i][0]);
        struct hbk_mesh *mesh = mesh_of(text);
        struct hbk_ip ip;
        assert_true(hbk_ip_parse(HBK_SLICE("10.0.0.1"), &ip));
        const struct hbk_workload *workload = hbk_mesh_workload_by_ip(mesh, HBK_SLICE(""), &ip);
        assert_non_null(workload);
        assert_slice_equal(hbk_workload_uid(workload), hbk_slice_text(cases[i][1]));
        hbk_mesh_unref(mesh);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_best_visible_service_has_the_address),
        cmocka_unit_test(a_host_name_ranks_services_as_an_address_does),
        cmocka_unit_test(of_workloads_with_one_address_the_likeliest_is_found),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
