#include "policy/authorize.h"

#include <stdio.h>

#include "mesh_text.h"

/* Asks about a connection from 10.1.2.3:4000 to 10.0.0.2:9000, by front of shop or by nobody. */
struct verdict_case {
    const char *match; /* of an ALLOW policy of the namespace, as a flow mapping */
    bool with_identity;
    bool without_identity;
};

static const struct verdict_case matches[] = {
    {"{namespaces: [!Exact shop]}", true, false},
    {"{namespaces: [!Exact sho]}", false, false},
    {"{namespaces: [!Exact bank, !Exact shop]}", true, false},
    {"{namespaces: [!Prefix sh]}", true, false},
    {"{namespaces: [!Suffix op]}", true, false},
    {"{namespaces: [!Suffix sh]}", false, false},
    {"{namespaces: [!Presence []]}", true, false},
    {"{namespaces: [{Exact: shop}]}", true, false},
    {"{namespaces: [{Presence: []}]}", true, false},
    {"{notNamespaces: [!Exact shop]}", false, true},
    {"{notNamespaces: [!Exact bank]}", true, true},
    {"{notNamespaces: [!Exact bank, !Prefix s]}", false, true},
    {"{notNamespaces: [!Presence []]}", false, true},
    {"{principals: [!Exact cluster.local/ns/shop/sa/front]}", true, false},
    {"{principals: [!Exact 'spiffe://cluster.local/ns/shop/sa/front']}", false, false},
    {"{principals: [!Prefix cluster.local/ns/shop/]}", true, false},
    {"{principals: [!Suffix /sa/front]}", true, false},
    {"{principals: [!Presence []]}", true, false},
    {"{principals: [!Prefix '']}", true, true}, /* without an identity the text is empty */
    {"{notPrincipals: [!Exact cluster.local/ns/shop/sa/front]}", false, true},
    {"{notPrincipals: [!Suffix /sa/back]}", true, true},
    {"{notPrincipals: [!Presence []]}", false, true},
    {"{serviceAccounts: [{namespace: shop, serviceAccount: front}]}", true, false},
    {"{serviceAccounts: [{namespace: bank, serviceAccount: front}]}", false, false},
    {"{serviceAccounts: [{namespace: shop, serviceAccount: back}]}", false, false},
    {"{notServiceAccounts: [{namespace: shop, serviceAccount: front}]}", false, true},
    {"{notServiceAccounts: [{namespace: shop, serviceAccount: back}]}", true, true},
    {"{sourceIps: [10.1.0.0/16]}", true, true},
    {"{sourceIps: [10.1.2.3]}", true, true},
    {"{sourceIps: [10.2.0.0/16, 'fd00::/8']}", false, false},
    {"{sourceIps: ['::/0']}", false, false}, /* another family */
    {"{sourceIps: [0.0.0.0/0]}", true, true},
    {"{notSourceIps: [10.1.2.0/24]}", false, false},
    {"{notSourceIps: [10.2.0.0/16]}", true, true},
    {"{destinationIps: [10.0.0.2/32]}", true, true},
    {"{destinationIps: [10.0.0.3/32]}", false, false},
    {"{notDestinationIps: [10.0.0.0/24]}", false, false},
    {"{notDestinationIps: [10.0.1.0/24]}", true, true},
    {"{destinationPorts: [9000]}", true, true},
    {"{destinationPorts: [80, 9000]}", true, true},
    {"{destinationPorts: [80]}", false, false},
    {"{notDestinationPorts: [9000]}", false, false},
    {"{notDestinationPorts: [80]}", true, true},
    /* All fields must match, the wanted and the refused. */
    {"{namespaces: [!Exact shop], destinationPorts: [9000]}", true, false},
    {"{namespaces: [!Exact shop], destinationPorts: [80]}", false, false},
    {"{namespaces: [!Exact shop], notPrincipals: [!Suffix /front]}", false, false},
    {"{sourceIps: [10.0.0.0/8], notSourceIps: [10.1.0.0/16]}", false, false},
    {"{}", false, false}, /* no field at all: never */
    {"{namespaces: [], principals: []}", false, false},
};

static const char workloads[] =
    "workloads:\n"
    "- {uid: cart, name: cart, namespace: shop, workloadIps: [10.0.0.2], protocol: HBONE, "
    "authorizationPolicies: [shop/picked, bank/foreign, shop/missing]}\n"
    "- {uid: other, name: other, namespace: shop, workloadIps: [10.0.0.3], protocol: HBONE}\n";

static struct hbk_authorize_input input_with(const struct hbk_spiffe_id *identity)
{
    return (struct hbk_authorize_input){
        .source = address_of("10.1.2.3:4000"),
        .destination = address_of("10.0.0.2:9000"),
        .source_identity = identity,
    };
}

static const struct hbk_spiffe_id *front_identity(void)
{
    const struct hbk_spiffe_id *identity = NULL;
    assert_int_equal(
        hbk_spiffe_intern(HBK_SLICE("spiffe://cluster.local/ns/shop/sa/front"), &identity), HBK_OK);
    return identity;
}

static struct hbk_authorization ask(const struct hbk_mesh *mesh, const char *uid, bool has_identity)
{
    const struct hbk_spiffe_id *identity = has_identity ? front_identity() : NULL;
    struct hbk_authorize_input input = input_with(identity);
    struct hbk_authorization verdict;
    hbk_authorize(mesh, workload_of(mesh, uid), &input, &verdict);
    hbk_spiffe_unref(identity);
    return verdict;
}

static void each_field_of_a_match_and_its_twin_do_what_they_say(void **state)
{
    (void)state;
    for (size_t i = 0; i < HBK_COUNT(matches); i++) {
        for (int is_deny = 0; is_deny < 2; is_deny++) {
            char text[1024];
            (void)snprintf(text, sizeof text,
                           "%spolicies:\n- {name: p, namespace: shop, scope: Namespace, action: "
                           "%s, dryRun: false, rules: [[[%s]]]}\n",
                           workloads, is_deny ? "Deny" : "Allow", matches[i].match);
            struct hbk_mesh *mesh = mesh_of(text);
            print_message("%s\n", matches[i].match);
            assert_int_equal(ask(mesh, "cart", true).is_allowed,
                             matches[i].with_identity != (is_deny != 0));
            assert_int_equal(ask(mesh, "cart", false).is_allowed,
                             matches[i].without_identity != (is_deny != 0));
            hbk_mesh_unref(mesh);
        }
    }
}

struct set_case {
    const char *policies; /* name-value lists; see set_text() */
    bool is_allowed;
    const char *text;    /* for the access log */
    const char *decider; /* NULL: none */
    uint32_t dry_runs;
    uint32_t unknown;
};

#define YES "[[[{destinationPorts: [9000]}]]]"
#define NO "[[[{destinationPorts: [80]}]]]"
#define POLICY(name, namespace, scope, action, dry, rules)                                \
    "- {name: " name ", namespace: " namespace ", scope: " scope ", action: " action ", " \
                                               "dryRun: " dry ", rules: " rules "}\n"
#define DENIED_BY(key) "connection closed due to policy rejection: explicitly denied by: " key
#define NONE_ALLOWED(names) \
    "connection closed due to policy rejection: allow policies exist, but none allowed: " names

/* About the workload cart of shop, which names shop/picked, bank/foreign and shop/missing. */
static const struct set_case sets[] = {
    {"", true, "", NULL, 0, 3},
    /* Deny before allow. */
    {POLICY("a", "shop", "Namespace", "Allow", "false", YES), true, "", "shop/a", 0, 3},
    {POLICY("a", "shop", "Namespace", "Allow", "false", NO), false, NONE_ALLOWED("shop/a"), NULL, 0,
     3},
    {POLICY("a", "shop", "Namespace", "Allow", "false", NO)
         POLICY("b", "shop", "Namespace", "Allow", "false", NO)
             POLICY("c", "shop", "Namespace", "Allow", "false", NO)
                 POLICY("d", "shop", "Namespace", "Allow", "false", NO)
                     POLICY("e", "shop", "Namespace", "Allow", "false", NO),
     false, NONE_ALLOWED("shop/a, shop/b, shop/c, shop/d and 1 more"), NULL, 0, 3},
    {POLICY("d", "shop", "Namespace", "Deny", "false", YES), false, DENIED_BY("shop/d"), "shop/d",
     0, 3},
    {POLICY("d", "shop", "Namespace", "Deny", "false", NO), true, "", NULL, 0, 3},
    {POLICY("a", "shop", "Namespace", "Allow", "false", YES)
         POLICY("d", "shop", "Namespace", "Deny", "false", YES),
     false, DENIED_BY("shop/d"), "shop/d", 0, 3},
    {POLICY("a", "shop", "Namespace", "Allow", "false", NO)
         POLICY("b", "shop", "Namespace", "Allow", "false", YES),
     true, "", "shop/b", 0, 3},
    /* Scopes. */
    {POLICY("d", "bank", "Namespace", "Deny", "false", YES), true, "", NULL, 0, 3},
    {POLICY("d", "istio-system", "Global", "Deny", "false", YES), false,
     DENIED_BY("istio-system/d"), "istio-system/d", 0, 3},
    {POLICY("d", "''", "Namespace", "Deny", "false", YES), false, DENIED_BY("/d"), "/d", 0, 3},
    {POLICY("d", "shop", "WorkloadSelector", "Deny", "false", YES), true, "", NULL, 0, 3},
    {POLICY("picked", "shop", "WorkloadSelector", "Deny", "false", YES), false,
     DENIED_BY("shop/picked"), "shop/picked", 0, 2},
    {POLICY("foreign", "bank", "WorkloadSelector", "Deny", "false", YES), false,
     DENIED_BY("bank/foreign"), "bank/foreign", 0, 2},
    {POLICY("foreign", "bank", "Namespace", "Allow", "false", NO), false,
     NONE_ALLOWED("bank/foreign"), NULL, 0, 2},
    {POLICY("picked", "shop", "Namespace", "Allow", "false", YES), true, "", "shop/picked", 0, 2},
    /* On trial: reported, without effect. */
    {POLICY("d", "shop", "Namespace", "Deny", "true", YES), true, "", NULL, 1, 3},
    {POLICY("d", "shop", "Namespace", "Deny", "true", NO), true, "", NULL, 0, 3},
    {POLICY("a", "shop", "Namespace", "Allow", "true", NO), true, "", NULL, 0, 3},
    {POLICY("a", "shop", "Namespace", "Allow", "true", YES), true, "", NULL, 1, 3},
    {POLICY("a", "shop", "Namespace", "Allow", "true", YES)
         POLICY("b", "shop", "Namespace", "Allow", "false", NO),
     false, NONE_ALLOWED("shop/b"), NULL, 1, 3},
    {POLICY("a", "shop", "Namespace", "Deny", "false", YES)
         POLICY("b", "shop", "Namespace", "Deny", "true", YES),
     false, DENIED_BY("shop/a"), "shop/a", 1, 3},
    /* Rules, clauses and matches. */
    {POLICY("d", "shop", "Namespace", "Deny", "false", "[]"), true, "", NULL, 0, 3},
    {POLICY("a", "shop", "Namespace", "Allow", "false", "[]"), false, NONE_ALLOWED("shop/a"), NULL,
     0, 3},
    {POLICY("d", "shop", "Namespace", "Deny", "false", "[[]]"), false, DENIED_BY("shop/d"),
     "shop/d", 0, 3},
    {POLICY("d", "shop", "Namespace", "Deny", "false", "[[[]]]"), false, DENIED_BY("shop/d"),
     "shop/d", 0, 3},
    {POLICY("d", "shop", "Namespace", "Deny", "false",
            "[[[{destinationPorts: [80]}]], [[{destinationPorts: [9000]}]]]"),
     false, DENIED_BY("shop/d"), "shop/d", 0, 3},
    {POLICY("d", "shop", "Namespace", "Deny", "false",
            "[[[{destinationPorts: [9000]}], [{destinationPorts: [80]}]]]"),
     true, "", NULL, 0, 3},
    {POLICY("d", "shop", "Namespace", "Deny", "false",
            "[[[{destinationPorts: [80]}, {destinationPorts: [9000]}]]]"),
     false, DENIED_BY("shop/d"), "shop/d", 0, 3},
    {POLICY("d", "shop", "Namespace", "Deny", "false", "[[[{}, {destinationPorts: [9000]}]]]"),
     false, DENIED_BY("shop/d"), "shop/d", 0, 3},
};

static void policies_together_decide_as_their_order_and_scopes_say(void **state)
{
    (void)state;
    for (size_t i = 0; i < HBK_COUNT(sets); i++) {
        char text[2048];
        (void)snprintf(text, sizeof text, "%spolicies:\n%s", workloads, sets[i].policies);
        struct hbk_mesh *mesh = mesh_of(text);
        print_message("%s\n", sets[i].policies);
        struct hbk_authorization verdict = ask(mesh, "cart", true);
        assert_int_equal(verdict.is_allowed, sets[i].is_allowed);
        assert_int_equal(verdict.dry_run_count, sets[i].dry_runs);
        assert_int_equal(verdict.unknown_policies, sets[i].unknown);
        char sentence[HBK_AUTHORIZATION_TEXT_BYTES_MAX];
        assert_string_equal(hbk_authorization_text(&verdict, sentence), sets[i].text);
        assert_int_equal(verdict.policy != NULL, sets[i].decider != NULL);
        if (verdict.policy != NULL) {
            assert_slice_equal(verdict.policy->record.key, hbk_slice_text(sets[i].decider));
        }
        hbk_mesh_unref(mesh);
    }
}

static void more_dry_runs_than_are_named_are_still_counted(void **state)
{
    (void)state;
    char text[4096];
    size_t used = (size_t)snprintf(text, sizeof text, "%spolicies:\n", workloads);
    for (int i = 0; i < HBK_AUTHORIZATION_DRY_RUNS_MAX + 3; i++) {
        used += (size_t)snprintf(text + used, sizeof text - used,
                                 "- {name: t%d, namespace: shop, scope: Namespace, action: Deny, "
                                 "dryRun: true, rules: " YES "}\n",
                                 i);
    }
    struct hbk_mesh *mesh = mesh_of(text);
    struct hbk_authorization verdict = ask(mesh, "cart", true);
    assert_true(verdict.is_allowed);
    assert_int_equal(verdict.dry_run_count, HBK_AUTHORIZATION_DRY_RUNS_MAX + 3);
    assert_slice_equal(verdict.dry_runs[0]->name, HBK_SLICE("t0"));
    hbk_mesh_unref(mesh);
}

static void a_live_connection_is_looked_at_again_only_where_something_changed(void **state)
{
    (void)state;
    char text[2048];
    (void)snprintf(text, sizeof text, "%spolicies:\n%s", workloads,
                   POLICY("a", "shop", "Namespace", "Allow", "false", YES)
                       POLICY("b", "bank", "Namespace", "Allow", "false", YES));
    struct hbk_mesh *old = mesh_of(text);
    static struct hbk_report report;
    struct hbk_mesh *same = NULL;
    assert_int_equal(hbk_mesh_file_parse("t", hbk_slice_text(text), old, &same, &report), HBK_OK);
    assert_true(hbk_authorize_is_same(old, same, workload_of(same, "cart")));

    const char *changes[] = {
        POLICY("a", "shop", "Namespace", "Allow", "false", NO),
        POLICY("a", "shop", "Namespace", "Allow", "false", YES)
            POLICY("picked", "shop", "WorkloadSelector", "Deny", "false", YES),
        POLICY("a", "shop", "Namespace", "Allow", "false", YES)
            POLICY("g", "x", "Global", "Deny", "false", YES),
        "",
    };
    for (size_t i = 0; i < HBK_COUNT(changes); i++) {
        (void)snprintf(text, sizeof text, "%spolicies:\n%s", workloads, changes[i]);
        struct hbk_mesh *fresh = NULL;
        assert_int_equal(hbk_mesh_file_parse("t", hbk_slice_text(text), old, &fresh, &report),
                         HBK_OK);
        assert_false(hbk_authorize_is_same(old, fresh, workload_of(fresh, "cart")));
        hbk_mesh_unref(fresh);
    }
    hbk_mesh_unref(same);
    hbk_mesh_unref(old);
}

struct review_case {
    const char *more; /* behind the workloads */
    bool has_identity;
    enum hbk_review review;
};

static const struct review_case reviews[] = {
    {"", true, HBK_REVIEW_STAYS},
    {"", false, HBK_REVIEW_STAYS},
    {"policies:\n" POLICY("d", "shop", "Namespace", "Deny", "false", YES), true,
     HBK_REVIEW_POLICY_DENIED},
    {"peerAuthentications: [{name: m, namespace: shop, mode: STRICT}]\n", false,
     HBK_REVIEW_PLAIN_TEXT_DENIED},
    {"peerAuthentications: [{name: m, namespace: shop, mode: STRICT}]\n", true, HBK_REVIEW_STAYS},
};

static void a_live_connection_stays_or_goes_for_a_reason(void **state)
{
    (void)state;
    for (size_t i = 0; i < HBK_COUNT(reviews); i++) {
        char text[2048];
        (void)snprintf(text, sizeof text, "%s%s", workloads, reviews[i].more);
        struct hbk_mesh *mesh = mesh_of(text);
        const struct hbk_spiffe_id *identity = reviews[i].has_identity ? front_identity() : NULL;
        struct hbk_authorize_input input = input_with(identity);
        assert_int_equal(hbk_authorize_review(mesh, HBK_SLICE("cart"), &input), reviews[i].review);
        assert_int_equal(hbk_authorize_review(mesh, HBK_SLICE("gone"), &input),
                         HBK_REVIEW_WORKLOAD_GONE);
        hbk_spiffe_unref(identity);
        hbk_mesh_unref(mesh);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_field_of_a_match_and_its_twin_do_what_they_say),
        cmocka_unit_test(policies_together_decide_as_their_order_and_scopes_say),
        cmocka_unit_test(more_dry_runs_than_are_named_are_still_counted),
        cmocka_unit_test(a_live_connection_is_looked_at_again_only_where_something_changed),
        cmocka_unit_test(a_live_connection_stays_or_goes_for_a_reason),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
