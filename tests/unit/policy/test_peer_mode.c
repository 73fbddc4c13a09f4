/* Which mode holds for a port of a workload, and who may send plain text. */
#include "policy/authorize.h"

#include <stdio.h>

#include "mesh_text.h"

static const char workloads[] =
    "workloads:\n"
    "- {uid: u, name: w-1, workloadName: w, namespace: n, serviceAccount: s, workloadIps: "
    "[10.0.0.1]}\n";

struct mode_case {
    const char *settings; /* lines of peerAuthentications */
    uint16_t port;
    enum hbk_peer_mode mode;
};

#define SETTINGS(name, namespace, more) "- {name: " name ", namespace: " namespace ", " more "}\n"

static const struct mode_case modes[] = {
    {"", 80, HBK_PEER_PERMISSIVE},
    /* The whole mesh. */
    {SETTINGS("d", "''", "mode: STRICT"), 80, HBK_PEER_STRICT},
    {SETTINGS("d", "istio-system", "mode: STRICT"), 80, HBK_PEER_STRICT},
    {SETTINGS("d", "other", "mode: STRICT"), 80, HBK_PEER_PERMISSIVE},
    /* The namespace before the mesh. */
    {SETTINGS("d", "istio-system", "mode: STRICT") SETTINGS("d", "n", "mode: PERMISSIVE"), 80,
     HBK_PEER_PERMISSIVE},
    {SETTINGS("d", "istio-system", "mode: STRICT") SETTINGS("d", "n", "mode: UNSET"), 80,
     HBK_PEER_STRICT},
    {SETTINGS("d", "istio-system", "mode: STRICT") SETTINGS("d", "n", "portModes: {81: DISABLE}"),
     80, HBK_PEER_STRICT},
    /* A selector before the namespace, by each of its lists and by all together. */
    {SETTINGS("d", "n", "mode: STRICT") SETTINGS("x", "n", "selector: {uids: [u]}, mode: DISABLE"),
     80, HBK_PEER_DISABLE},
    {SETTINGS("d", "n", "mode: STRICT")
         SETTINGS("x", "n", "selector: {workloadNames: [w]}, mode: DISABLE"),
     80, HBK_PEER_DISABLE},
    {SETTINGS("x", "n", "selector: {workloadNames: [w-1]}, mode: DISABLE"), 80, HBK_PEER_DISABLE},
    {SETTINGS("x", "n", "selector: {serviceAccounts: [s, t]}, mode: DISABLE"), 80,
     HBK_PEER_DISABLE},
    {SETTINGS("x", "n", "selector: {uids: [u], serviceAccounts: [t]}, mode: DISABLE"), 80,
     HBK_PEER_PERMISSIVE},
    {SETTINGS("x", "other", "selector: {uids: [u]}, mode: DISABLE"), 80, HBK_PEER_PERMISSIVE},
    {SETTINGS("x", "istio-system", "selector: {uids: [u]}, mode: DISABLE"), 80,
     HBK_PEER_PERMISSIVE},
    {SETTINGS("d", "n", "mode: STRICT") SETTINGS("x", "n", "selector: {uids: [v]}, mode: DISABLE"),
     80, HBK_PEER_STRICT},
    /* A port before the rest of the same settings. */
    {SETTINGS("x", "n", "selector: {uids: [u]}, mode: STRICT, portModes: {80: DISABLE}"), 80,
     HBK_PEER_DISABLE},
    {SETTINGS("x", "n", "selector: {uids: [u]}, mode: STRICT, portModes: {80: DISABLE}"), 81,
     HBK_PEER_STRICT},
    {SETTINGS("x", "n", "selector: {uids: [u]}, mode: STRICT, portModes: {80: UNSET}"), 80,
     HBK_PEER_STRICT},
    {SETTINGS("d", "n", "mode: STRICT")
         SETTINGS("x", "n", "selector: {uids: [u]}, portModes: {80: PERMISSIVE}"),
     80, HBK_PEER_PERMISSIVE},
    {SETTINGS("d", "n", "mode: STRICT")
         SETTINGS("x", "n", "selector: {uids: [u]}, portModes: {80: PERMISSIVE}"),
     81, HBK_PEER_STRICT},
    {SETTINGS("d", "n", "mode: STRICT, portModes: {80: PERMISSIVE}"), 80, HBK_PEER_PERMISSIVE},
    /* Of several the first by name that says something. */
    {SETTINGS("b", "n", "mode: STRICT") SETTINGS("a", "n", "mode: DISABLE"), 80, HBK_PEER_DISABLE},
    {SETTINGS("b", "n", "mode: STRICT") SETTINGS("a", "n", "mode: UNSET"), 80, HBK_PEER_STRICT},
};

static void the_closest_settings_that_say_something_hold(void **state)
{
    (void)state;
    for (size_t i = 0; i < HBK_COUNT(modes); i++) {
        char text[1024];
        (void)snprintf(text, sizeof text, "%speerAuthentications:\n%s", workloads,
                       modes[i].settings);
        struct hbk_mesh *mesh = mesh_of(text);
        const struct hbk_workload *workload = workload_of(mesh, "u");
        print_message("%s", modes[i].settings);
        assert_string_equal(hbk_peer_mode_text(hbk_mesh_peer_mode(mesh, workload, modes[i].port)),
                            hbk_peer_mode_text(modes[i].mode));
        assert_int_equal(hbk_inbound_plain_allowed(mesh, workload, modes[i].port),
                         modes[i].mode != HBK_PEER_STRICT);
        hbk_mesh_unref(mesh);
    }
}

struct plain_case {
    const char *settings; /* top-level keys */
    bool is_allowed;      /* for the namespace n */
};

static const struct plain_case plains[] = {
    {"", true},
    {"outboundPlainText: {n: deny}\n", false},
    {"outboundPlainText: {m: deny}\n", true},
    {"outboundPlainText: {'': deny}\n", false},
    {"outboundPlainText: {istio-system: deny}\n", false},
    {"outboundPlainText: {istio-system: deny, n: allow}\n", true},
    {"peerAuthentications: [{name: d, namespace: n, mode: STRICT}]\n", false},
    {"peerAuthentications: [{name: d, namespace: istio-system, mode: STRICT}]\n", false},
    {"peerAuthentications: [{name: d, namespace: m, mode: STRICT}]\n", true},
    {"peerAuthentications: [{name: d, namespace: n, mode: DISABLE}]\n", true},
    {"peerAuthentications: [{name: d, namespace: n, selector: {uids: [u]}, mode: STRICT}]\n", true},
    {"peerAuthentications: [{name: d, namespace: n, mode: STRICT}]\n"
     "outboundPlainText: {n: allow}\n",
     true},
    {"peerAuthentications: [{name: d, namespace: n, mode: STRICT}]\n"
     "outboundPlainText: {'': allow}\n",
     true},
};

static void plain_text_may_leave_unless_it_is_denied_or_the_namespace_is_strict(void **state)
{
    (void)state;
    for (size_t i = 0; i < HBK_COUNT(plains); i++) {
        char text[1024];
        (void)snprintf(text, sizeof text, "%s%s", workloads, plains[i].settings);
        struct hbk_mesh *mesh = mesh_of(text);
        print_message("%s\n", plains[i].settings);
        assert_int_equal(hbk_mesh_allows_outbound_plain_text(mesh, HBK_SLICE("n")),
                         plains[i].is_allowed);
        hbk_mesh_unref(mesh);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_closest_settings_that_say_something_hold),
        cmocka_unit_test(plain_text_may_leave_unless_it_is_denied_or_the_namespace_is_strict),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
