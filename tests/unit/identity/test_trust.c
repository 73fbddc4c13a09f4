/* The rules of trust.h beside that of a mesh, and which question a cached answer belongs to. */
#include "identity/trust.h"

#include "forge.h"

static struct forged root;
static struct hbk_bundle *roots;

static struct hbk_bundle *roots_of(X509 *certificate)
{
    char *pem = forged_pem((X509 *[]){certificate, NULL});
    struct hbk_bundle *bundle = NULL;
    assert_int_equal(
        hbk_bundle_new_roots(hbk_slice_text(pem), hbk_slice_of(NULL, 0), &bundle, NULL), HBK_OK);
    free(pem);
    return bundle;
}

static int set_up(void **state)
{
    (void)state;
    root = forge((struct forge)FORGE_ROOT("web root"));
    roots = roots_of(root.certificate);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    hbk_bundle_unref(roots);
    forged_free(&root);
    return 0;
}

/* One leaf as it is presented. */
struct presented {
    struct hbk_slice der;
    struct hbk_chain chain;
};

static struct presented present(const struct forged *leaf)
{
    unsigned char *bytes = NULL;
    int size = i2d_X509(leaf->certificate, &bytes);
    assert_true(size > 0);
    return (struct presented){.der = hbk_slice_of(bytes, (size_t)size)};
}

static struct hbk_chain chain_of(const struct presented *presented)
{
    return (struct hbk_chain){.certificates = &presented->der, .count = 1};
}

static void presented_free(struct presented *presented)
{
    OPENSSL_free((void *)(uintptr_t)presented->der.bytes);
}

static const struct hbk_trust *trust_new(struct hbk_trust_options options)
{
    const struct hbk_trust *trust = NULL;
    assert_int_equal(hbk_trust_new(&options, &trust), HBK_OK);
    return trust;
}

/* A flat table: names that the certificate has, host that is asked for. */
static void a_server_must_carry_the_host_that_was_asked_for(void **state)
{
    (void)state;
    static const struct {
        const char *names;
        const char *common_name;
        const char *host;
        bool is_good;
    } cases[] = {
        {"DNS:shop.test", NULL, "shop.test", true},
        {"DNS:shop.test", NULL, "SHOP.Test", true},
        {"DNS:SHOP.test", NULL, "shop.test", true},
        {"DNS:shop.test", NULL, "www.shop.test", false},
        {"DNS:www.shop.test", NULL, "shop.test", false},
        {"DNS:a.test,DNS:b.test", NULL, "b.test", true},
        {"DNS:*.shop.test", NULL, "www.shop.test", true},
        {"DNS:*.shop.test", NULL, "shop.test", false},
        {"DNS:*.shop.test", NULL, "a.b.shop.test", false},
        {"DNS:w*.shop.test", NULL, "www.shop.test", false},
        {"DNS:www.*.test", NULL, "www.shop.test", false},
        {"DNS:*.test", NULL, "shop.test", false}, /* too wide: libcrypto wants two labels behind */
        {"DNS:shop.test", NULL, ".test", false},  /* would be any subdomain */
        {"DNS:shop.test", NULL, "", false},
        {"-", "shop.test", "shop.test", false}, /* RFC 9525, 2: not the common name */
        {"DNS:a.test", "shop.test", "shop.test", false},
        {"IP:10.0.0.1", NULL, "10.0.0.1", true},
        {"IP:10.0.0.1", NULL, "10.0.0.2", false},
        {"DNS:10.0.0.1", NULL, "10.0.0.1", false},
        {"IP:fd00::1", NULL, "fd00:0::1", true},
        {"URI:https://shop.test", NULL, "shop.test", false},
    };
    const struct hbk_trust *trust =
        trust_new((struct hbk_trust_options){.rule = HBK_TRUST_NAME, .roots = roots});
    for (size_t i = 0; i < HBK_COUNT(cases); i++) {
        struct forged leaf = forge((struct forge){
            .signer = &root, .names = cases[i].names, .common_name = cases[i].common_name});
        struct presented presented = present(&leaf);
        const struct hbk_chain chain = chain_of(&presented);
        const struct hbk_question question = {.trust = trust,
                                              .role = HBK_PEER_SERVER,
                                              .now_ns = FORGE_NOW_NS,
                                              .host = hbk_slice_text(cases[i].host)};
        const struct hbk_peer *peer = NULL;
        struct hbk_verdict_failure failure = {0};
        hbk_status status = hbk_verdict_judge(&chain, &question, &peer, &failure);
        if (status != (cases[i].is_good ? HBK_OK : HBK_UNTRUSTED)) {
            fail_msg("case %zu, %s for %s: %s", i, cases[i].names, cases[i].host,
                     failure.error.text);
        }
        assert_int_equal(failure.reason,
                         cases[i].is_good ? HBK_VERDICT_NONE : HBK_VERDICT_UNEXPECTED);
        if (cases[i].is_good) {
            assert_null(peer->id);
            assert_int_equal(peer->bundle_generation, roots->generation);
        }
        hbk_peer_unref(peer);
        presented_free(&presented);
        forged_free(&leaf);
    }
    hbk_trust_unref(trust);
}

/* Judges one leaf; the peer is the caller's. */
static hbk_status judge(const struct forged *leaf, const struct hbk_trust *trust,
                        enum hbk_peer_role role, const char *host, const struct hbk_peer **peer,
                        struct hbk_verdict_failure *failure)
{
    struct presented presented = present(leaf);
    const struct hbk_chain chain = chain_of(&presented);
    const struct hbk_question question = {
        .trust = trust, .role = role, .now_ns = FORGE_NOW_NS, .host = hbk_slice_text(host)};
    *peer = NULL;
    *failure = (struct hbk_verdict_failure){0};
    hbk_status status = hbk_verdict_judge(&chain, &question, peer, failure);
    presented_free(&presented);
    return status;
}

static void paths_by_name_are_judged_like_any_path(void **state)
{
    (void)state;
    struct forged other = forge((struct forge)FORGE_ROOT("other root"));
    const struct {
        struct forge leaf;
        enum hbk_peer_role role;
        enum hbk_verdict_reason reason;
    } cases[] = {
        {{.signer = &root}, HBK_PEER_SERVER, HBK_VERDICT_NONE},
        {{.signer = &other}, HBK_PEER_SERVER, HBK_VERDICT_UNKNOWN_CA},
        {{.signer = NULL, .common_name = "me"}, HBK_PEER_SERVER, HBK_VERDICT_UNKNOWN_CA},
        {{.signer = &root, .end_ns = FORGE_NOW_NS - 1}, HBK_PEER_SERVER, HBK_VERDICT_EXPIRED},
        {{.signer = &root, .purposes = "clientAuth"}, HBK_PEER_SERVER, HBK_VERDICT_BAD_USAGE},
        {{.signer = &root, .purposes = "-"}, HBK_PEER_SERVER, HBK_VERDICT_NONE},
        {{.signer = &root, .usage = "-"}, HBK_PEER_SERVER, HBK_VERDICT_NONE},
        {{.signer = &root, .usage = "keyAgreement"}, HBK_PEER_SERVER, HBK_VERDICT_BAD_USAGE},
        {{.signer = &root, .unknown = "critical"}, HBK_PEER_SERVER, HBK_VERDICT_BAD_PATH},
        {{.signer = &root, .unknown = ""}, HBK_PEER_SERVER, HBK_VERDICT_NONE},
        {{.signer = &root, .digest = "SHA1"}, HBK_PEER_SERVER, HBK_VERDICT_BAD_PATH},
        /* A client needs no name. */
        {{.signer = &root, .names = "-"}, HBK_PEER_CLIENT, HBK_VERDICT_NONE},
        {{.signer = &root, .purposes = "serverAuth"}, HBK_PEER_CLIENT, HBK_VERDICT_BAD_USAGE},
    };
    const struct hbk_trust *trust =
        trust_new((struct hbk_trust_options){.rule = HBK_TRUST_NAME, .roots = roots});
    for (size_t i = 0; i < HBK_COUNT(cases); i++) {
        struct forge wish = cases[i].leaf;
        wish.names = wish.names == NULL ? "DNS:shop.test" : wish.names;
        struct forged leaf = forge(wish);
        const struct hbk_peer *peer;
        struct hbk_verdict_failure failure;
        hbk_status status = judge(&leaf, trust, cases[i].role, "shop.test", &peer, &failure);
        if (failure.reason != cases[i].reason || (status == HBK_OK) != (peer != NULL)) {
            fail_msg("case %zu: %s: %s", i, hbk_verdict_reason_text(failure.reason),
                     failure.error.text);
        }
        hbk_peer_unref(peer);
        forged_free(&leaf);
    }
    hbk_trust_unref(trust);
    forged_free(&other);
}

enum { NOBODYS = 0, ROOTS = 1, MIDDLES = 2, BOTH = 3 };

#define LATER_NS (FORGE_NOW_NS + FORGE_HOUR_NS)
#define PAST_NS (FORGE_NOW_NS - FORGE_HOUR_NS)

/* A leaf under a signer under the root; lists of either; and what the trust makes of them. */
static const struct strictness {
    struct hbk_trust_options options;
    int lists;           /* who signed one */
    int64_t list_end_ns; /* of each list */
    long revoked;        /* by each list: 77 is the leaf, 5 its signer */
    int64_t leaf_end_ns;
    enum hbk_verdict_reason reason;
} strictnesses[] = {
    {{.lists = HBK_TRUST_LISTS_TOLERANT}, ROOTS, LATER_NS, 1, LATER_NS, HBK_VERDICT_NONE},
    {{.lists = HBK_TRUST_LISTS_TOLERANT}, BOTH, PAST_NS, 1, LATER_NS, HBK_VERDICT_NONE},
    {{.lists = HBK_TRUST_LISTS_TOLERANT}, ROOTS, LATER_NS, 5, LATER_NS, HBK_VERDICT_REVOKED},
    {{.lists = HBK_TRUST_LISTS_STRICT}, NOBODYS, LATER_NS, 1, LATER_NS, HBK_VERDICT_NONE},
    {{.lists = HBK_TRUST_LISTS_STRICT}, BOTH, LATER_NS, 1, LATER_NS, HBK_VERDICT_NONE},
    {{.lists = HBK_TRUST_LISTS_STRICT}, BOTH, PAST_NS, 1, LATER_NS, HBK_VERDICT_BAD_PATH},
    {{.lists = HBK_TRUST_LISTS_STRICT}, ROOTS, LATER_NS, 1, LATER_NS, HBK_VERDICT_BAD_PATH},
    {{.lists = HBK_TRUST_LISTS_STRICT}, MIDDLES, LATER_NS, 1, LATER_NS, HBK_VERDICT_BAD_PATH},
    {{.lists = HBK_TRUST_LISTS_STRICT}, BOTH, LATER_NS, 5, LATER_NS, HBK_VERDICT_REVOKED},
    {{.lists = HBK_TRUST_LISTS_STRICT}, BOTH, LATER_NS, 77, LATER_NS, HBK_VERDICT_REVOKED},
    {{.lists = HBK_TRUST_LISTS_LEAF}, MIDDLES, LATER_NS, 1, LATER_NS, HBK_VERDICT_NONE},
    {{.lists = HBK_TRUST_LISTS_LEAF}, MIDDLES, LATER_NS, 77, LATER_NS, HBK_VERDICT_REVOKED},
    {{.lists = HBK_TRUST_LISTS_LEAF}, BOTH, LATER_NS, 5, LATER_NS, HBK_VERDICT_NONE},
    {{.lists = HBK_TRUST_LISTS_LEAF}, ROOTS, LATER_NS, 1, LATER_NS, HBK_VERDICT_BAD_PATH},
    {{.ignores_time = true}, NOBODYS, LATER_NS, 1, PAST_NS, HBK_VERDICT_NONE},
    {{.ignores_time = false}, NOBODYS, LATER_NS, 1, PAST_NS, HBK_VERDICT_EXPIRED},
    {{.ignores_time = true, .lists = HBK_TRUST_LISTS_STRICT},
     BOTH,
     PAST_NS,
     77,
     PAST_NS,
     HBK_VERDICT_REVOKED},
    {{.limits_depth = true, .depth_max = 0}, NOBODYS, LATER_NS, 1, LATER_NS, HBK_VERDICT_BAD_PATH},
    {{.limits_depth = true, .depth_max = 1}, NOBODYS, LATER_NS, 1, LATER_NS, HBK_VERDICT_NONE},
    {{.limits_depth = true, .depth_max = 100}, NOBODYS, LATER_NS, 1, LATER_NS, HBK_VERDICT_NONE},
};

static void try_strictness(const struct strictness *one, const struct forged *middle,
                           struct hbk_slice root_pem)
{
    struct forged leaf =
        forge((struct forge){.signer = middle, .end_ns = one->leaf_end_ns, .names = "DNS:a"});
    struct presented presented[] = {present(&leaf), present(middle)};
    const struct hbk_chain chain = {
        .certificates = (struct hbk_slice[]){presented[0].der, presented[1].der}, .count = 2};
    const struct forged *signers[] = {&root, middle};
    char lists[8192] = "";
    size_t used = 0;
    for (size_t k = 0; k < HBK_COUNT(signers); k++) {
        char *list =
            forge_crl(signers[k], one->revoked, FORGE_NOW_NS - 2 * FORGE_HOUR_NS, one->list_end_ns);
        if ((one->lists & (1 << k)) != 0) {
            used += (size_t)snprintf(lists + used, sizeof lists - used, "%s", list);
        }
        free(list);
    }
    struct hbk_bundle *bundle = NULL;
    assert_int_equal(hbk_bundle_new_roots(root_pem, hbk_slice_text(lists), &bundle, NULL), HBK_OK);
    struct hbk_trust_options options = one->options;
    options.rule = HBK_TRUST_NAME;
    options.roots = bundle;
    const struct hbk_trust *trust = trust_new(options);
    const struct hbk_question question = {
        .trust = trust, .role = HBK_PEER_CLIENT, .now_ns = FORGE_NOW_NS};
    const struct hbk_peer *peer = NULL;
    struct hbk_verdict_failure failure = {0};
    hbk_status status = hbk_verdict_judge(&chain, &question, &peer, &failure);
    if (failure.reason != one->reason) {
        fail_msg("case %zu: %s: %s", (size_t)(one - strictnesses),
                 hbk_verdict_reason_text(failure.reason), failure.error.text);
    }
    assert_int_equal(status, one->reason == HBK_VERDICT_NONE ? HBK_OK : HBK_UNTRUSTED);
    if (peer != NULL && options.ignores_time) {
        assert_true(peer->not_after_ns == INT64_MAX);
    }
    hbk_peer_unref(peer);
    hbk_trust_unref(trust);
    hbk_bundle_unref(bundle);
    presented_free(&presented[0]);
    presented_free(&presented[1]);
    forged_free(&leaf);
}

static void lists_time_and_depth_count_as_the_trust_says(void **state)
{
    (void)state;
    struct forged middle = forge((struct forge){.signer = &root,
                                                .common_name = "middle",
                                                .names = "-",
                                                .constraints = "critical,CA:TRUE",
                                                .usage = "critical,keyCertSign,cRLSign",
                                                .purposes = "-",
                                                .serial = 5});
    char *root_pem = forged_pem((X509 *[]){root.certificate, NULL});
    for (size_t i = 0; i < HBK_COUNT(strictnesses); i++) {
        try_strictness(&strictnesses[i], &middle, hbk_slice_text(root_pem));
    }
    free(root_pem);
    forged_free(&middle);
}

/* What curl's --cacert does, too: whoever hands over a server's own certificate trusts it. */
static void a_certificate_given_as_root_is_trusted_though_it_is_no_ca(void **state)
{
    (void)state;
    struct forged leaf = forge((struct forge){.names = "DNS:shop.test", .common_name = "me"});
    struct hbk_bundle *own = roots_of(leaf.certificate);
    const struct hbk_trust *trust =
        trust_new((struct hbk_trust_options){.rule = HBK_TRUST_NAME, .roots = own});
    const struct hbk_peer *peer;
    struct hbk_verdict_failure failure;
    assert_int_equal(judge(&leaf, trust, HBK_PEER_SERVER, "shop.test", &peer, &failure), HBK_OK);
    hbk_peer_unref(peer);
    assert_int_equal(judge(&leaf, trust, HBK_PEER_SERVER, "b.test", &peer, &failure),
                     HBK_UNTRUSTED);
    hbk_trust_unref(trust);
    hbk_bundle_unref(own);
    forged_free(&leaf);
}

static void anybody_needs_no_more_than_a_certificate_that_may_sign(void **state)
{
    (void)state;
    const struct {
        struct forge leaf;
        enum hbk_verdict_reason reason;
    } cases[] = {
        {{.common_name = "me"}, HBK_VERDICT_NONE},
        {{.common_name = "me", .names = "-"}, HBK_VERDICT_NONE},
        {{.common_name = "me", .end_ns = FORGE_NOW_NS - FORGE_HOUR_NS / 2}, HBK_VERDICT_NONE},
        {{.common_name = "me", .purposes = "clientAuth"}, HBK_VERDICT_NONE},
        {{.common_name = "me", .usage = "keyCertSign"}, HBK_VERDICT_BAD_USAGE},
        {{.common_name = "me", .usage = "-"}, HBK_VERDICT_NONE},
    };
    const struct hbk_trust *trust =
        trust_new((struct hbk_trust_options){.rule = HBK_TRUST_ANYBODY});
    for (size_t i = 0; i < HBK_COUNT(cases); i++) {
        struct forged leaf = forge(cases[i].leaf);
        const struct hbk_peer *peer;
        struct hbk_verdict_failure failure;
        hbk_status status = judge(&leaf, trust, HBK_PEER_SERVER, "shop.test", &peer, &failure);
        assert_int_equal(failure.reason, cases[i].reason);
        assert_int_equal(status, cases[i].reason == HBK_VERDICT_NONE ? HBK_OK : HBK_UNTRUSTED);
        if (status == HBK_OK) {
            assert_null(peer->id);
            assert_int_equal(peer->bundle_generation, 0);
            assert_int_equal(peer->not_after_ns, INT64_MAX);
        }
        hbk_peer_unref(peer);
        forged_free(&leaf);
    }
    hbk_trust_unref(trust);
}

/* ---- the owner's question ---- */

struct owner {
    unsigned asked, freed;
    hbk_status answer;
};

static hbk_status ask(void *context, X509 *leaf, enum hbk_peer_role role, struct hbk_error *error)
{
    struct owner *owner = context;
    assert_non_null(X509_get_subject_name(leaf));
    assert_int_equal(role, HBK_PEER_SERVER);
    owner->asked++;
    return owner->answer == HBK_OK ? HBK_OK
                                   : hbk_error_set(error, owner->answer, "pins do not match");
}

static void free_owner(void *context)
{
    struct owner *owner = context;
    owner->freed++;
}

static void the_owner_has_the_last_word(void **state)
{
    (void)state;
    struct forged leaf = forge((struct forge){.signer = &root, .names = "DNS:shop.test"});
    const struct {
        hbk_status answer, status;
        bool ignores_host;
        const char *host;
        unsigned asked;
    } cases[] = {
        {HBK_OK, HBK_OK, false, "shop.test", 1},
        {HBK_UNTRUSTED, HBK_UNTRUSTED, false, "shop.test", 1},
        {HBK_INVALID, HBK_UNTRUSTED, false, "shop.test", 1},
        {HBK_NO_MEMORY, HBK_NO_MEMORY, false, "shop.test", 1},
        {HBK_OK, HBK_UNTRUSTED, false, "other.test", 0}, /* the rule comes first */
        {HBK_OK, HBK_OK, true, "other.test", 1},
    };
    for (size_t i = 0; i < HBK_COUNT(cases); i++) {
        struct owner owner = {.answer = cases[i].answer};
        const struct hbk_trust *trust =
            trust_new((struct hbk_trust_options){.rule = HBK_TRUST_NAME,
                                                 .roots = roots,
                                                 .ignores_host = cases[i].ignores_host,
                                                 .check = ask,
                                                 .owner = &owner,
                                                 .free_owner = free_owner});
        const struct hbk_peer *peer;
        struct hbk_verdict_failure failure;
        assert_int_equal(judge(&leaf, trust, HBK_PEER_SERVER, cases[i].host, &peer, &failure),
                         cases[i].status);
        assert_int_equal(owner.asked, cases[i].asked);
        if (cases[i].asked > 0 && cases[i].status == HBK_UNTRUSTED) {
            assert_string_equal(failure.error.text, "pins do not match");
            assert_int_equal(failure.reason, HBK_VERDICT_UNEXPECTED);
        }
        hbk_peer_unref(peer);
        hbk_trust_unref(hbk_trust_ref(trust));
        assert_int_equal(owner.freed, 0);
        hbk_trust_unref(trust);
        assert_int_equal(owner.freed, 1);
    }
    forged_free(&leaf);
}

/* ---- the cache ---- */

struct asked {
    const struct hbk_trust *trust;
    enum hbk_peer_role role;
    const char *host;
};

static const struct hbk_peer *ask_cache(struct hbk_verdict_cache *cache,
                                        const struct presented *presented, struct asked asked)
{
    const struct hbk_chain chain = chain_of(presented);
    const struct hbk_question question = {.trust = asked.trust,
                                          .role = asked.role,
                                          .now_ns = FORGE_NOW_NS,
                                          .host = hbk_slice_text(asked.host)};
    const struct hbk_peer *peer = NULL;
    struct hbk_verdict_failure failure = {0};
    if (hbk_verdict_cache_judge(cache, &chain, &question, &peer, &failure) == HBK_OK) {
        hbk_verdict_cache_keep(cache, &peer);
    }
    return peer;
}

static void an_answer_serves_only_the_question_that_it_was_given_to(void **state)
{
    (void)state;
    struct forged leaf =
        forge((struct forge){.signer = &root,
                             .common_name = "x",
                             .names = "DNS:a.test,DNS:b.test,URI:spiffe://td.test/ns/a/sa/b"});
    struct presented presented = present(&leaf);
    struct hbk_bundle *again = roots_of(root.certificate);
    struct hbk_bundle_set *set = forge_bundle_set("td.test", root.certificate);
    struct owner owner = {.answer = HBK_OK};
    struct hbk_trust_options options = {.rule = HBK_TRUST_NAME, .roots = roots};
    const struct hbk_trust *by_name = trust_new(options);
    const struct hbk_trust *by_same_name = trust_new(options);
    options.roots = again;
    const struct hbk_trust *by_new_roots = trust_new(options);
    options.ignores_host = true;
    const struct hbk_trust *by_path = trust_new(options);
    options = (struct hbk_trust_options){
        .rule = HBK_TRUST_NAME, .roots = roots, .check = ask, .owner = &owner};
    const struct hbk_trust *asking = trust_new(options);
    const struct hbk_trust *asking_again = trust_new(options);
    const struct hbk_trust *by_id =
        trust_new((struct hbk_trust_options){.rule = HBK_TRUST_SPIFFE, .bundles = set});
    const struct hbk_trust *anybody =
        trust_new((struct hbk_trust_options){.rule = HBK_TRUST_ANYBODY});
    const struct {
        struct asked asked;
        bool is_hit;
        bool is_good;
    } cases[] = {
        {{by_name, HBK_PEER_SERVER, "a.test"}, false, true},
        {{by_name, HBK_PEER_SERVER, "a.test"}, true, true},
        {{by_name, HBK_PEER_SERVER, "b.test"}, false, true},
        {{by_name, HBK_PEER_SERVER, "c.test"}, false, false},
        {{by_name, HBK_PEER_SERVER, ""}, false, false},
        {{by_name, HBK_PEER_CLIENT, ""}, false, true},
        {{by_name, HBK_PEER_CLIENT, "c.test"}, true, true}, /* a client has no host */
        {{by_same_name, HBK_PEER_SERVER, "a.test"}, true, true},
        {{by_new_roots, HBK_PEER_SERVER, "a.test"}, false, true},
        {{by_path, HBK_PEER_SERVER, "a.test"}, false, true},
        {{by_name, HBK_PEER_SERVER, "a.test"}, true, true},
        {{asking, HBK_PEER_SERVER, "a.test"}, false, true},
        {{asking, HBK_PEER_SERVER, "a.test"}, true, true},
        {{asking_again, HBK_PEER_SERVER, "a.test"}, false, true},
        {{anybody, HBK_PEER_SERVER, "a.test"}, false, true},
        {{by_id, HBK_PEER_SERVER, "a.test"}, false, true},
        {{by_id, HBK_PEER_SERVER, "b.test"}, true, true}, /* an id, whatever the host */
    };
    struct hbk_verdict_cache cache;
    hbk_verdict_cache_init(&cache, 64);
    for (size_t i = 0; i < HBK_COUNT(cases); i++) {
        uint64_t hits = cache.hits;
        const struct hbk_peer *peer = ask_cache(&cache, &presented, cases[i].asked);
        if ((peer != NULL) != cases[i].is_good || (cache.hits > hits) != cases[i].is_hit) {
            fail_msg("case %zu: %s, %s", i, peer == NULL ? "refused" : "good",
                     cache.hits > hits ? "from the cache" : "judged");
        }
        hbk_peer_unref(peer);
    }
    assert_int_equal(owner.asked, 2); /* once per trust, not per handshake */
    hbk_verdict_cache_fini(&cache);
    const struct hbk_trust *all[] = {by_name, by_same_name, by_new_roots, by_path,
                                     asking,  asking_again, by_id,        anybody};
    for (size_t i = 0; i < HBK_COUNT(all); i++) {
        hbk_trust_unref(all[i]);
    }
    hbk_bundle_set_unref(set);
    hbk_bundle_unref(again);
    presented_free(&presented);
    forged_free(&leaf);
}

/* ---- what is known of a peer ---- */

static void a_peer_tells_its_names(void **state)
{
    (void)state;
    struct forged leaf = forge((struct forge){
        .common_name = "the shop",
        .names = "DNS:a.test,DNS:b.test,URI:https://a.test/x,email:a@b.test,IP:10.0.0.1",
    });
    const struct hbk_trust *trust =
        trust_new((struct hbk_trust_options){.rule = HBK_TRUST_ANYBODY});
    const struct hbk_peer *peer;
    struct hbk_verdict_failure failure;
    assert_int_equal(judge(&leaf, trust, HBK_PEER_SERVER, "", &peer, &failure), HBK_OK);
    assert_slice_equal(peer->names.subject, HBK_SLICE("CN=the shop"));
    assert_slice_equal(peer->names.dns_names, HBK_SLICE("a.test\0b.test\0"));
    assert_slice_equal(peer->names.uris, HBK_SLICE("https://a.test/x\0"));
    assert_slice_equal(peer->names.issuer, HBK_SLICE("CN=the shop"));
    assert_in_range(FORGE_NOW_NS, peer->leaf_not_before_ns, peer->leaf_not_after_ns);
    uint8_t sha1[HBK_SHA1_BYTES];
    SHA1(peer->certificates[0].bytes, peer->certificates[0].size, sha1);
    assert_memory_equal(peer->leaf_sha1, sha1, sizeof sha1);
    assert_int_equal(peer->key.kind, HBK_PUBLIC_KEY_P256);
    hbk_peer_unref(peer);
    forged_free(&leaf);

    leaf = forge((struct forge){.names = "-", .constraints = "critical,CA:FALSE"});
    assert_int_equal(judge(&leaf, trust, HBK_PEER_SERVER, "", &peer, &failure), HBK_OK);
    assert_int_equal(peer->names.subject.size + peer->names.dns_names.size + peer->names.uris.size,
                     0);
    hbk_peer_unref(peer);
    forged_free(&leaf);
    hbk_trust_unref(trust);
}

/* A name with a line's end in it would forge log lines; thousands of names would fill memory. */
static void names_of_a_stranger_are_bounded_and_printable(void **state)
{
    (void)state;
    static char names[65536];
    size_t used = (size_t)snprintf(names, sizeof names, "DNS:first.test");
    for (unsigned i = 0; i < 500; i++) {
        used += (size_t)snprintf(names + used, sizeof names - used, ",DNS:name-%u.test", i);
    }
    struct forged leaf = forge((struct forge){.common_name = "a\nb\x7f", .names = names});
    const struct hbk_trust *trust =
        trust_new((struct hbk_trust_options){.rule = HBK_TRUST_ANYBODY});
    const struct hbk_peer *peer;
    struct hbk_verdict_failure failure;
    assert_int_equal(judge(&leaf, trust, HBK_PEER_SERVER, "", &peer, &failure), HBK_OK);
    assert_slice_equal(peer->names.subject, HBK_SLICE("CN=a\\0Ab\\7F"));
    assert_in_range(peer->names.dns_names.size, HBK_CERTIFICATE_NAMES_BYTES_MAX - 100,
                    HBK_CERTIFICATE_NAMES_BYTES_MAX);
    assert_true(
        hbk_slice_starts_with(peer->names.dns_names, HBK_SLICE("first.test\0name-0.test\0")));
    hbk_peer_unref(peer);
    forged_free(&leaf);

    leaf = forge((struct forge){.common_name = "x", .names = "DNS:a b.test,DNS:c.test"});
    assert_int_equal(judge(&leaf, trust, HBK_PEER_SERVER, "", &peer, &failure), HBK_OK);
    assert_slice_equal(peer->names.dns_names, HBK_SLICE("c.test\0"));
    hbk_peer_unref(peer);
    forged_free(&leaf);
    hbk_trust_unref(trust);
}

/* The issuer has a limit of its own: thousands of names do not crowd it out. */
static void an_issuer_is_told_beside_many_names_unless_it_is_long_itself(void **state)
{
    (void)state;
    static char names[65536], long_name[1200];
    size_t used = (size_t)snprintf(names, sizeof names, "DNS:first.test");
    for (unsigned i = 0; i < 500; i++) {
        used += (size_t)snprintf(names + used, sizeof names - used, ",DNS:name-%u.test", i);
    }
    struct forged leaf = forge((struct forge){.signer = &root, .names = names});
    struct hbk_certificate_names told;
    assert_int_equal(hbk_certificate_names_read(leaf.certificate, &told), HBK_OK);
    assert_slice_equal(told.issuer, HBK_SLICE("CN=web root"));
    hbk_certificate_names_fini(&told);
    forged_free(&leaf);

    leaf = forge((struct forge){.signer = &root});
    X509_NAME *issuer = X509_NAME_new();
    memset(long_name, 'a', 60);
    for (unsigned i = 0; i < 20; i++) {
        assert_int_equal(X509_NAME_add_entry_by_txt(issuer, "OU", MBSTRING_ASC,
                                                    (unsigned char *)long_name, 60, -1, 0),
                         1);
    }
    assert_int_equal(X509_set_issuer_name(leaf.certificate, issuer), 1);
    assert_int_equal(hbk_certificate_names_read(leaf.certificate, &told), HBK_OK);
    assert_int_equal(told.issuer.size, 0);
    hbk_certificate_names_fini(&told);
    X509_NAME_free(issuer);
    forged_free(&leaf);
}

static void a_peer_without_an_id_is_nobody_who_was_expected(void **state)
{
    (void)state;
    struct forged leaf = forge((struct forge){.common_name = "me"});
    const struct hbk_trust *trust =
        trust_new((struct hbk_trust_options){.rule = HBK_TRUST_ANYBODY});
    const struct hbk_peer *peer;
    struct hbk_verdict_failure failure;
    assert_int_equal(judge(&leaf, trust, HBK_PEER_SERVER, "", &peer, &failure), HBK_OK);
    assert_int_equal(hbk_verdict_match(peer, &(struct hbk_expectation){0}, &failure), HBK_OK);
    const struct hbk_expectation expected = {.trust_domain = HBK_SLICE("td.test")};
    assert_int_equal(hbk_verdict_match(peer, &expected, &failure), HBK_UNTRUSTED);
    assert_int_equal(failure.reason, HBK_VERDICT_UNEXPECTED);
    hbk_peer_unref(peer);
    hbk_trust_unref(trust);
    forged_free(&leaf);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_server_must_carry_the_host_that_was_asked_for),
        cmocka_unit_test(paths_by_name_are_judged_like_any_path),
        cmocka_unit_test(lists_time_and_depth_count_as_the_trust_says),
        cmocka_unit_test(a_certificate_given_as_root_is_trusted_though_it_is_no_ca),
        cmocka_unit_test(anybody_needs_no_more_than_a_certificate_that_may_sign),
        cmocka_unit_test(the_owner_has_the_last_word),
        cmocka_unit_test(an_answer_serves_only_the_question_that_it_was_given_to),
        cmocka_unit_test(a_peer_tells_its_names),
        cmocka_unit_test(names_of_a_stranger_are_bounded_and_printable),
        cmocka_unit_test(an_issuer_is_told_beside_many_names_unless_it_is_long_itself),
        cmocka_unit_test(a_peer_without_an_id_is_nobody_who_was_expected),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
