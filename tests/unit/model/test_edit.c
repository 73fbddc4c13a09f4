#include "model/edit.h"

#include <stdio.h>

#include "harness.h"

#include "model/memory.h"

enum { WORKLOADS = 50000, PER_SERVICE = 10 };

struct texts {
    char uid[48];
    char name[48];
    char service[64];
};

/* Puts workload `number`, whose capacity is the one thing that changes. */
static void put_workload(struct hbk_edit *edit, uint32_t number, uint32_t capacity)
{
    struct texts texts;
    (void)snprintf(texts.uid, sizeof texts.uid, "c0//Pod/shop/w-%u", number);
    (void)snprintf(texts.name, sizeof texts.name, "w-%u", number);
    (void)snprintf(texts.service, sizeof texts.service, "shop/s%u.shop.svc.cluster.local",
                   number / PER_SERVICE);
    struct hbk_ip ip = {
        .size = 4, .bytes = {10, (uint8_t)(number >> 16), (uint8_t)(number >> 8), (uint8_t)number}};
    struct hbk_port_pair ports = {.service_port = 80, .target_port = 9000};
    struct hbk_membership membership = {
        .service_key = hbk_slice_text(texts.service), .ports = &ports, .port_count = 1};
    struct hbk_workload workload = {
        .record.key = hbk_slice_text(texts.uid),
        .name = hbk_slice_text(texts.name),
        .namespace = HBK_SLICE("shop"),
        .service_account = HBK_SLICE("cart"),
        .trust_domain = HBK_SLICE("cluster.local"),
        .node = HBK_SLICE("node-17"),
        .cluster_id = HBK_SLICE("Kubernetes"),
        .protocol = HBK_WORKLOAD_HBONE,
        .ips = &ip,
        .ip_count = 1,
        .services = &membership,
        .service_count = 1,
        .capacity = capacity,
    };
    assert_int_equal(hbk_edit_put_workload(edit, &workload), HBK_OK);
}

static void put_service(struct hbk_edit *edit, uint32_t number)
{
    char host[64];
    char key[96];
    (void)snprintf(host, sizeof host, "s%u.shop.svc.cluster.local", number);
    (void)snprintf(key, sizeof key, "shop/%s", host);
    struct hbk_vip vip = {
        .cidr = {.ip = {.size = 4, .bytes = {10, 96, (uint8_t)(number >> 8), (uint8_t)number}},
                 .prefix_bits = 32}};
    struct hbk_port_pair ports = {.service_port = 80, .target_port = 9000};
    struct hbk_service service = {
        .record.key = hbk_slice_text(key),
        .name = HBK_SLICE("s"),
        .namespace = HBK_SLICE("shop"),
        .hostname = hbk_slice_text(host),
        .vips = &vip,
        .vip_count = 1,
        .ports = &ports,
        .port_count = 1,
    };
    assert_int_equal(hbk_edit_put_service(edit, &service), HBK_OK);
}

static struct hbk_edit begin(const struct hbk_mesh *old)
{
    struct hbk_edit edit;
    assert_int_equal(hbk_edit_begin(&edit, old), HBK_OK);
    return edit;
}

static struct hbk_mesh *commit(struct hbk_edit *edit)
{
    struct hbk_mesh *mesh = NULL;
    assert_int_equal(hbk_edit_commit(edit, &mesh), HBK_OK);
    return mesh;
}

static struct hbk_mesh *big_mesh(const struct hbk_mesh *old, uint32_t odd_one)
{
    struct hbk_edit edit = begin(old);
    for (uint32_t i = 0; i < WORKLOADS; i++) {
        put_workload(&edit, i, i == odd_one ? 7 : 1);
    }
    for (uint32_t i = 0; i < WORKLOADS / PER_SERVICE; i++) {
        put_service(&edit, i);
    }
    assert_int_equal(hbk_edit_remove_untouched(&edit), HBK_OK);
    return commit(&edit);
}

/* Nodes of all parts of `fresh` that are not in `old` as well. */
static size_t fresh_nodes(const struct hbk_mesh *old, const struct hbk_mesh *fresh, size_t *total)
{
    size_t count = 0;
    *total = 0;
    for (int part = 0; part < HBK_MESH_PARTS; part++) {
        struct hbk_trie_sharing sharing = hbk_trie_sharing(&old->parts[part], &fresh->parts[part]);
        count += sharing.total - sharing.shared;
        *total += sharing.total;
    }
    return count;
}

static void a_change_of_one_workload_in_fifty_thousand_touches_a_few_objects(void **state)
{
    (void)state;
    struct hbk_model_memory before = hbk_model_memory();
    struct hbk_mesh *old = big_mesh(NULL, UINT32_MAX);
    struct hbk_model_memory built = hbk_model_memory();
    print_message("%d workloads in %d services: %zu objects, %zu KiB\n", WORKLOADS,
                  WORKLOADS / PER_SERVICE, built.live - before.live,
                  (built.live_bytes - before.live_bytes) >> 10);

    struct hbk_mesh *fresh = big_mesh(old, 31337);
    struct hbk_model_memory changed = hbk_model_memory();
    size_t total = 0;
    size_t nodes = fresh_nodes(old, fresh, &total);
    print_message("the same with one changed: %zu new objects, %zu bytes; %zu of %zu nodes new\n",
                  changed.live - built.live, changed.live_bytes - built.live_bytes, nodes, total);
    assert_int_equal(fresh->generation, old->generation + 1);
    assert_in_range(changed.live - built.live, 1, 60);
    assert_in_range(nodes, 1, 30);

    struct hbk_slice uid = HBK_SLICE("c0//Pod/shop/w-31337");
    struct hbk_slice other = HBK_SLICE("c0//Pod/shop/w-31347");
    assert_int_equal(hbk_mesh_workload(old, uid)->capacity, 1);
    assert_int_equal(hbk_mesh_workload(fresh, uid)->capacity, 7);
    assert_ptr_equal(hbk_mesh_workload(old, other), hbk_mesh_workload(fresh, other));
    hbk_mesh_unref(old);
    assert_int_equal(hbk_mesh_count(fresh, HBK_MESH_WORKLOADS), WORKLOADS);
    hbk_mesh_unref(fresh);
    assert_int_equal(hbk_model_memory().live, before.live);
}

static uint32_t endpoints_of(const struct hbk_mesh *mesh, const char *key)
{
    const struct hbk_service *service = hbk_mesh_service(mesh, hbk_slice_text(key));
    return service == NULL ? UINT32_MAX : hbk_balance_endpoint_count(service->balance);
}

static void endpoints_and_services_may_come_in_any_order_and_go_again(void **state)
{
    (void)state;
    static const char key[] = "shop/s0.shop.svc.cluster.local";
    size_t live = hbk_model_memory().live;
    size_t identities = hbk_spiffe_count();
    struct hbk_edit edit = begin(NULL);
    put_workload(&edit, 1, 1); /* staged: its service is not known yet */
    struct hbk_mesh *first = commit(&edit);
    assert_int_equal(endpoints_of(first, key), UINT32_MAX);

    edit = begin(first);
    put_service(&edit, 0);
    struct hbk_mesh *second = commit(&edit);
    assert_int_equal(endpoints_of(second, key), 1);

    edit = begin(second);
    put_workload(&edit, 2, 1);
    put_workload(&edit, 3, 0); /* without weight */
    struct hbk_mesh *third = commit(&edit);
    assert_int_equal(endpoints_of(third, key), 2);
    assert_int_equal(endpoints_of(second, key), 1);

    edit = begin(third);
    assert_int_equal(hbk_edit_remove(&edit, HBK_MESH_WORKLOADS, HBK_SLICE("c0//Pod/shop/w-1")),
                     HBK_OK);
    assert_int_equal(hbk_edit_remove(&edit, HBK_MESH_WORKLOADS, HBK_SLICE("unknown")), HBK_OK);
    struct hbk_mesh *fourth = commit(&edit);
    assert_int_equal(endpoints_of(fourth, key), 1);
    struct hbk_ip ip = {.size = 4, .bytes = {10, 0, 0, 1}};
    assert_null(hbk_mesh_workload_by_ip(fourth, HBK_SLICE(""), &ip));
    assert_non_null(hbk_mesh_workload_by_ip(third, HBK_SLICE(""), &ip));

    edit = begin(fourth);
    assert_int_equal(hbk_edit_remove(&edit, HBK_MESH_SERVICES, hbk_slice_text(key)), HBK_OK);
    struct hbk_mesh *fifth = commit(&edit);
    assert_int_equal(endpoints_of(fifth, key), UINT32_MAX);

    edit = begin(fifth);
    assert_int_equal(hbk_edit_remove_untouched(&edit), HBK_OK);
    struct hbk_mesh *sixth = commit(&edit);
    for (int part = 0; part < HBK_MESH_PARTS; part++) {
        assert_int_equal(sixth->parts[part].count, 0);
    }
    struct hbk_mesh *meshes[] = {third, first, sixth, second, fifth, fourth};
    for (size_t i = 0; i < HBK_COUNT(meshes); i++) {
        hbk_mesh_unref(meshes[i]);
    }
    assert_int_equal(hbk_model_memory().live, live);
    assert_int_equal(hbk_spiffe_count(), identities);
}

static void a_listed_endpoint_follows_its_workload(void **state)
{
    (void)state;
    struct hbk_listed_endpoint listed = {.workload_uid = HBK_SLICE("c0//Pod/shop/w-77")};
    struct hbk_port_pair ports = {.service_port = 80, .target_port = 9000};
    struct hbk_service spec = {
        .record.key = HBK_SLICE("shop/lister"),
        .name = HBK_SLICE("lister"),
        .namespace = HBK_SLICE("shop"),
        .hostname = HBK_SLICE("lister"),
        .ports = &ports,
        .port_count = 1,
        .listed_endpoints = &listed,
        .listed_endpoint_count = 1,
    };
    struct hbk_edit edit = begin(NULL);
    assert_int_equal(hbk_edit_put_service(&edit, &spec), HBK_OK);
    struct hbk_mesh *without = commit(&edit);
    assert_int_equal(endpoints_of(without, "shop/lister"), 0);
    edit = begin(without);
    put_workload(&edit, 77, 1);
    struct hbk_mesh *with = commit(&edit);
    assert_int_equal(endpoints_of(with, "shop/lister"), 1);
    edit = begin(with);
    assert_int_equal(hbk_edit_remove(&edit, HBK_MESH_WORKLOADS, listed.workload_uid), HBK_OK);
    struct hbk_mesh *again = commit(&edit);
    assert_int_equal(endpoints_of(again, "shop/lister"), 0);
    hbk_mesh_unref(without);
    hbk_mesh_unref(with);
    hbk_mesh_unref(again);
}

static void what_the_model_cannot_hold_is_refused(void **state)
{
    (void)state;
    static char network[HBK_NETWORK_NAME_BYTES_MAX + 1];
    memset(network, 'n', sizeof network);
    struct hbk_workload workload = {
        .record.key = HBK_SLICE("u"),
        .namespace = HBK_SLICE("n"),
        .service_account = HBK_SLICE("s"),
        .trust_domain = HBK_SLICE("td"),
    };
    struct hbk_edit edit = begin(NULL);
    workload.network = hbk_slice_of(network, sizeof network);
    assert_int_equal(hbk_edit_put_workload(&edit, &workload), HBK_LIMIT);
    workload.network.size--;
    workload.trust_domain = HBK_SLICE("not a domain");
    assert_int_equal(hbk_edit_put_workload(&edit, &workload), HBK_INVALID);
    workload.trust_domain = HBK_SLICE("td");
    assert_int_equal(hbk_edit_put_workload(&edit, &workload), HBK_OK);
    assert_int_equal(hbk_edit_put_workload(&edit, &workload), HBK_EXISTS);

    struct hbk_service service = {.record.key = HBK_SLICE("n/h")};
    service.subject_alt_name_count = HBK_SERVICE_IDENTITIES_MAX + 1;
    assert_int_equal(hbk_edit_put_service(&edit, &service), HBK_LIMIT);
    service.subject_alt_name_count = 0;
    service.routing_preference_count = HBK_SERVICE_PREFERENCES_MAX + 1;
    assert_int_equal(hbk_edit_put_service(&edit, &service), HBK_LIMIT);
    hbk_edit_drop(&edit);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_change_of_one_workload_in_fifty_thousand_touches_a_few_objects),
        cmocka_unit_test(endpoints_and_services_may_come_in_any_order_and_go_again),
        cmocka_unit_test(a_listed_endpoint_follows_its_workload),
        cmocka_unit_test(what_the_model_cannot_hold_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
