#include "bench/scene.h"

#include <stdio.h>

#include "config/mesh_file.h"
#include "harness.h"
#include "policy/authorize.h"

static struct hbk_mesh *load_mesh(const struct hbk_scene_mesh *scene_mesh)
{
    static struct hbk_topology topology;
    struct hbk_buffer text;
    struct hbk_mesh *mesh = NULL;
    struct hbk_report report;
    hbk_topology_plan(&topology, HBK_PLACES_OF_MESH);
    hbk_buffer_init(&text, HBK_SCENE_MESH_BYTES_MAX);
    assert_int_equal(hbk_scene_render_mesh(&topology, scene_mesh, &text), HBK_OK);
    hbk_status status =
        hbk_mesh_file_parse("mesh.yaml", hbk_buffer_slice(&text), NULL, &mesh, &report);
    hbk_buffer_fini(&text);
    if (status != HBK_OK) {
        fail_msg("%s", report.lines[0]);
    }
    return mesh;
}

static struct hbk_mesh *load_scene(const char *engine, unsigned pairs)
{
    const struct hbk_scene_mesh scene_mesh = {.engine = engine, .pairs = pairs};
    return load_mesh(&scene_mesh);
}

/* Whether cart takes a connection of that account, and the sentence of the log if not. */
static bool is_allowed(const struct hbk_mesh *mesh, const char *account,
                       char text[static HBK_AUTHORIZATION_TEXT_BYTES_MAX])
{
    const struct hbk_workload *cart = hbk_mesh_workload(mesh, HBK_SLICE("demo//Pod/shop/cart"));
    const struct hbk_spiffe_id *id = NULL;
    struct hbk_authorization verdict;
    assert_non_null(cart);
    assert_int_equal(hbk_spiffe_intern_account(HBK_SLICE("cluster.local"), HBK_SLICE("shop"),
                                               hbk_slice_text(account), &id),
                     HBK_OK);
    struct hbk_authorize_input input = {.source_identity = id};
    input.destination.port = HBK_SCENE_PORT;
    hbk_authorize(mesh, cart, &input, &verdict);
    (void)hbk_authorization_text(&verdict, text);
    hbk_spiffe_unref(id);
    return verdict.is_allowed;
}

static void the_intruder_is_refused_by_the_policy_that_the_log_will_name(void **state)
{
    (void)state;
    static const struct {
        const char *account;
        bool expected;
    } cases[] = {{"front", true}, {"neighbour", true}, {"intruder", false}, {"cart", false}};
    struct hbk_mesh *mesh = load_scene(NULL, 0);
    for (size_t i = 0; i < HBK_COUNT(cases); i++) {
        char text[HBK_AUTHORIZATION_TEXT_BYTES_MAX];
        assert_true(is_allowed(mesh, cases[i].account, text) == cases[i].expected);
        assert_true(cases[i].expected || strstr(text, HBK_SCENE_POLICY) != NULL);
    }
    hbk_mesh_unref(mesh);
}

static void cart_takes_no_plain_text(void **state)
{
    (void)state;
    struct hbk_mesh *mesh = load_scene(NULL, 0);
    const struct hbk_workload *cart = hbk_mesh_workload(mesh, HBK_SLICE("demo//Pod/shop/cart"));
    assert_non_null(cart);
    assert_false(hbk_inbound_plain_allowed(mesh, cart, HBK_SCENE_PORT));
    hbk_mesh_unref(mesh);
}

static void with_mutual_tls_switched_off_plain_text_is_sent_and_taken_from_everybody(void **state)
{
    (void)state;
    static const struct hbk_scene_mesh plain = {.is_plain = true};
    struct hbk_mesh *mesh = load_mesh(&plain);
    const struct hbk_workload *cart = hbk_mesh_workload(mesh, HBK_SLICE("demo//Pod/shop/cart"));
    assert_non_null(cart);
    assert_int_equal(hbk_mesh_peer_mode(mesh, cart, HBK_SCENE_PORT), HBK_PEER_DISABLE);
    assert_true(hbk_inbound_plain_allowed(mesh, cart, HBK_SCENE_PORT));
    assert_true(hbk_mesh_allows_outbound_plain_text(mesh, HBK_SLICE("shop")));
    struct hbk_authorize_input nobody = {.destination = {.port = HBK_SCENE_PORT}};
    struct hbk_authorization verdict;
    hbk_authorize(mesh, cart, &nobody, &verdict);
    assert_true(verdict.is_allowed);
    hbk_mesh_unref(mesh);
}

static void the_agent_understands_the_mesh_file_of_the_scene(void **state)
{
    (void)state;
    static const struct {
        const char *engine;
        enum hbk_mesh_tls_engine expected;
    } cases[] = {{NULL, HBK_MESH_TLS_DEFAULT},
                 {"native", HBK_MESH_TLS_NATIVE},
                 {"openssl", HBK_MESH_TLS_OPENSSL}};
    for (size_t i = 0; i < HBK_COUNT(cases); i++) {
        struct hbk_mesh *mesh = load_scene(cases[i].engine, 0);
        assert_int_equal(mesh->tls_engine, cases[i].expected);
        hbk_mesh_unref(mesh);
    }
}

static void each_pair_of_pods_is_a_service_with_an_account_that_is_let_in(void **state)
{
    (void)state;
    static const struct {
        const char *account;
        bool expected;
    } cases[] = {{"client-0", true}, {"client-49", true}, {"server-0", false}, {"intruder", false}};
    struct hbk_mesh *mesh = load_scene(NULL, HBK_PAIRS_MAX);
    for (size_t i = 0; i < HBK_COUNT(cases); i++) {
        char text[HBK_AUTHORIZATION_TEXT_BYTES_MAX];
        assert_true(is_allowed(mesh, cases[i].account, text) == cases[i].expected);
    }
    assert_non_null(hbk_mesh_workload(mesh, HBK_SLICE("demo//Pod/shop/client-49")));
    assert_non_null(hbk_mesh_workload(mesh, HBK_SLICE("demo//Pod/shop/server-49")));
    hbk_mesh_unref(mesh);
    mesh = load_scene(NULL, 0);
    assert_null(hbk_mesh_workload(mesh, HBK_SLICE("demo//Pod/shop/client-0")));
    hbk_mesh_unref(mesh);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_agent_understands_the_mesh_file_of_the_scene),
        cmocka_unit_test(the_intruder_is_refused_by_the_policy_that_the_log_will_name),
        cmocka_unit_test(cart_takes_no_plain_text),
        cmocka_unit_test(with_mutual_tls_switched_off_plain_text_is_sent_and_taken_from_everybody),
        cmocka_unit_test(each_pair_of_pods_is_a_service_with_an_account_that_is_let_in),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
