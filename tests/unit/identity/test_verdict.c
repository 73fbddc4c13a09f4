#include "identity/verdict.h"

#include "forge.h"

static struct forged root;
static struct hbk_bundle_set *bundles;

static int set_up(void **state)
{
    (void)state;
    root = forge((struct forge)FORGE_ROOT("root"));
    bundles = forge_bundle_set("td.test", root.certificate);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    hbk_bundle_set_unref(bundles);
    forged_free(&root);
    assert_int_equal(hbk_spiffe_count(), 0);
    return 0;
}

/* A chain as a peer presents it; freed by chain_free. */
struct chain {
    struct hbk_slice certificates[16];
    struct hbk_chain chain;
};

static void chain_add(struct chain *chain, X509 *certificate)
{
    unsigned char *bytes = NULL;
    int size = i2d_X509(certificate, &bytes);
    assert_true(size > 0);
    chain->certificates[chain->chain.count++] = hbk_slice_of(bytes, (size_t)size);
    chain->chain.certificates = chain->certificates;
}

static void chain_free(struct chain *chain)
{
    for (size_t i = 0; i < chain->chain.count; i++) {
        OPENSSL_free((void *)(uintptr_t)chain->certificates[i].bytes);
    }
    *chain = (struct chain){0};
}

static hbk_status judge_in(struct hbk_bundle_set *set, const struct chain *chain,
                           enum hbk_peer_role role, int64_t now_ns, const struct hbk_peer **peer,
                           struct hbk_verdict_failure *failure)
{
    *peer = NULL;
    *failure = (struct hbk_verdict_failure){0};
    return hbk_verdict_judge(&chain->chain, forge_question(set, role, now_ns), peer, failure);
}

static void a_good_leaf_tells_who_the_peer_is(void **state)
{
    (void)state;
    struct forged leaf = forge((struct forge){.signer = &root, .serial = 0x0102abcd});
    struct chain chain = {0};
    const struct hbk_peer *peer;
    struct hbk_verdict_failure failure;
    chain_add(&chain, leaf.certificate);
    assert_int_equal(judge_in(bundles, &chain, HBK_PEER_CLIENT, FORGE_NOW_NS, &peer, &failure),
                     HBK_OK);
    assert_slice_equal(peer->id->text, HBK_SLICE("spiffe://td.test/ns/shop/sa/cart"));
    assert_int_equal(peer->not_before_ns, FORGE_NOW_NS - FORGE_HOUR_NS);
    assert_int_equal(peer->not_after_ns, FORGE_NOW_NS + FORGE_HOUR_NS);
    assert_int_equal(peer->bundle_generation, bundles->bundles[0]->generation);
    assert_string_equal(peer->serial_text, "0102abcd");
    assert_int_equal(peer->certificate_count, 1);
    assert_slice_equal(peer->certificates[0], chain.certificates[0]);
    uint8_t hash[HBK_SHA256_BYTES];
    assert_int_equal(X509_digest(leaf.certificate, EVP_sha256(), hash, NULL), 1);
    assert_memory_equal(peer->leaf_sha256, hash, sizeof hash);
    hbk_peer_unref(peer);
    chain_free(&chain);
    forged_free(&leaf);
}

/* One rule broken or kept at its border per line: a flat table. Rules: see verdict.h. */
static void leaves_are_judged_by_each_rule(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        struct forge leaf;
        enum hbk_peer_role role;
        enum hbk_verdict_reason reason; /* NONE: good */
        const char *text;               /* part of the sentence */
    } cases[] = {
        /* 1: names */
        {"other kinds of names beside",
         {.names = "critical,DNS:a.test,URI:spiffe://td.test/x,IP:10.0.0.1"},
         HBK_PEER_SERVER,
         HBK_VERDICT_NONE,
         ""},
        {"names not critical beside a subject",
         {.names = "URI:spiffe://td.test/x", .common_name = "x"},
         HBK_PEER_SERVER,
         HBK_VERDICT_NONE,
         ""},
        {"names not critical without a subject",
         {.names = "URI:spiffe://td.test/x"},
         HBK_PEER_SERVER,
         HBK_VERDICT_MALFORMED,
         "not critical"},
        {"no names",
         {.names = "-", .common_name = "x"},
         HBK_PEER_SERVER,
         HBK_VERDICT_MALFORMED,
         "no names"},
        {"only a DNS name",
         {.names = "critical,DNS:a.test"},
         HBK_PEER_SERVER,
         HBK_VERDICT_MALFORMED,
         "0 URI names"},
        {"two ids",
         {.names = "critical,URI:spiffe://td.test/a,URI:spiffe://td.test/b"},
         HBK_PEER_SERVER,
         HBK_VERDICT_MALFORMED,
         "2 URI names"},
        {"the same id twice",
         {.names = "critical,URI:spiffe://td.test/a,URI:spiffe://td.test/a"},
         HBK_PEER_SERVER,
         HBK_VERDICT_MALFORMED,
         "2 URI names"},
        {"an id and another URI",
         {.names = "critical,URI:spiffe://td.test/a,URI:https://td.test/a"},
         HBK_PEER_SERVER,
         HBK_VERDICT_MALFORMED,
         "2 URI names"},
        {"another scheme",
         {.names = "critical,URI:https://td.test/a"},
         HBK_PEER_SERVER,
         HBK_VERDICT_MALFORMED,
         "not a SPIFFE id"},
        {"a broken id",
         {.names = "critical,URI:spiffe://td.test/a/"},
         HBK_PEER_SERVER,
         HBK_VERDICT_MALFORMED,
         "not a SPIFFE id"},
        {"an id without a path",
         {.names = "critical,URI:spiffe://td.test"},
         HBK_PEER_SERVER,
         HBK_VERDICT_MALFORMED,
         "trust domain td.test"},
        /* 2: usages */
        {"a CA",
         {.constraints = "critical,CA:TRUE"},
         HBK_PEER_SERVER,
         HBK_VERDICT_MALFORMED,
         "is a CA"},
        {"no basic constraints", {.constraints = "-"}, HBK_PEER_SERVER, HBK_VERDICT_NONE, ""},
        {"no key usage", {.usage = "-"}, HBK_PEER_SERVER, HBK_VERDICT_MALFORMED, "no key usage"},
        {"key usage without digitalSignature",
         {.usage = "critical,keyAgreement"},
         HBK_PEER_SERVER,
         HBK_VERDICT_MALFORMED,
         "lacks digitalSignature"},
        {"key usage with keyEncipherment",
         {.usage = "critical,digitalSignature,keyEncipherment"},
         HBK_PEER_SERVER,
         HBK_VERDICT_NONE,
         ""},
        {"key usage with keyCertSign",
         {.usage = "critical,digitalSignature,keyCertSign"},
         HBK_PEER_SERVER,
         HBK_VERDICT_MALFORMED,
         "sign certificates"},
        {"key usage with cRLSign",
         {.usage = "critical,digitalSignature,cRLSign"},
         HBK_PEER_SERVER,
         HBK_VERDICT_MALFORMED,
         "sign certificates"},
        {"no extended usage, as server", {.purposes = "-"}, HBK_PEER_SERVER, HBK_VERDICT_NONE, ""},
        {"no extended usage, as client", {.purposes = "-"}, HBK_PEER_CLIENT, HBK_VERDICT_NONE, ""},
        {"serverAuth as server", {.purposes = "serverAuth"}, HBK_PEER_SERVER, HBK_VERDICT_NONE, ""},
        {"serverAuth as client",
         {.purposes = "serverAuth"},
         HBK_PEER_CLIENT,
         HBK_VERDICT_BAD_USAGE,
         "purpose"},
        {"clientAuth as client", {.purposes = "clientAuth"}, HBK_PEER_CLIENT, HBK_VERDICT_NONE, ""},
        {"clientAuth as server",
         {.purposes = "clientAuth"},
         HBK_PEER_SERVER,
         HBK_VERDICT_BAD_USAGE,
         "purpose"},
        {"codeSigning as server",
         {.purposes = "codeSigning"},
         HBK_PEER_SERVER,
         HBK_VERDICT_BAD_USAGE,
         "purpose"},
        /* 3: the path */
        {"an unknown critical extension",
         {.unknown = "critical"},
         HBK_PEER_SERVER,
         HBK_VERDICT_BAD_PATH,
         "critical"},
        {"an unknown extension", {.unknown = ""}, HBK_PEER_SERVER, HBK_VERDICT_NONE, ""},
        {"signed with SHA-1", {.digest = "SHA1"}, HBK_PEER_SERVER, HBK_VERDICT_BAD_PATH, "weak"},
        {"ends now",
         {.end_ns = FORGE_NOW_NS},
         HBK_PEER_SERVER,
         HBK_VERDICT_EXPIRED,
         "expired 2026-11-23 12:00:00 UTC"},
        {"ends in a second",
         {.end_ns = FORGE_NOW_NS + 1000000000},
         HBK_PEER_SERVER,
         HBK_VERDICT_NONE,
         ""},
        {"ended a second ago",
         {.end_ns = FORGE_NOW_NS - 1000000000},
         HBK_PEER_SERVER,
         HBK_VERDICT_EXPIRED,
         "expired 2026-11-23 11:59:59 UTC"},
        {"starts now", {.start_ns = FORGE_NOW_NS}, HBK_PEER_SERVER, HBK_VERDICT_NONE, ""},
        {"starts in a second",
         {.start_ns = FORGE_NOW_NS + 1000000000},
         HBK_PEER_SERVER,
         HBK_VERDICT_EXPIRED,
         "not valid before 2026-11-23 12:00:01 UTC"},
        {"of a domain without a bundle",
         {.names = "critical,URI:spiffe://other.test/x"},
         HBK_PEER_SERVER,
         HBK_VERDICT_UNKNOWN_CA,
         "no bundle for the trust domain other.test"},
    };
    for (size_t i = 0; i < HBK_COUNT(cases); i++) {
        struct forge wish = cases[i].leaf;
        wish.signer = &root;
        struct forged leaf = forge(wish);
        struct chain chain = {0};
        const struct hbk_peer *peer;
        struct hbk_verdict_failure failure;
        chain_add(&chain, leaf.certificate);
        hbk_status status = judge_in(bundles, &chain, cases[i].role, FORGE_NOW_NS, &peer, &failure);
        bool is_good = cases[i].reason == HBK_VERDICT_NONE;
        if (status != (is_good ? HBK_OK : HBK_UNTRUSTED) || failure.reason != cases[i].reason ||
            strstr(failure.error.text, cases[i].text) == NULL) {
            fail_msg("%s: %s: %s", cases[i].name, hbk_verdict_reason_text(failure.reason),
                     failure.error.text);
        }
        hbk_peer_unref(peer);
        chain_free(&chain);
        forged_free(&leaf);
    }
}

static void a_weak_key_is_refused(void **state)
{
    (void)state;
    EVP_PKEY *key = EVP_RSA_gen(1024);
    struct forged leaf = forge((struct forge){.signer = &root, .key = key});
    struct chain chain = {0};
    const struct hbk_peer *peer;
    struct hbk_verdict_failure failure;
    chain_add(&chain, leaf.certificate);
    assert_int_equal(judge_in(bundles, &chain, HBK_PEER_CLIENT, FORGE_NOW_NS, &peer, &failure),
                     HBK_UNTRUSTED);
    assert_int_equal(failure.reason, HBK_VERDICT_BAD_PATH);
    chain_free(&chain);
    forged_free(&leaf);
    EVP_PKEY_free(key);
}

/* A leaf below two intermediates, of which one can be broken: a flat table. */
static void paths_are_judged_at_every_step(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        struct forge upper, lower; /* the intermediates; signer is set below */
        bool has_lower_sent;
        bool is_swapped; /* the intermediates in the other order */
        bool is_good;
        enum hbk_verdict_reason reason;
    } cases[] = {
#define SIGNER(name)                                                                       \
    .common_name = (name), .names = "-", .usage = "critical,keyCertSign", .purposes = "-", \
    .constraints = "critical,CA:TRUE"
        {"whole", {SIGNER("upper")}, {SIGNER("lower")}, true, false, true, HBK_VERDICT_NONE},
        {"in another order",
         {SIGNER("upper")},
         {SIGNER("lower")},
         true,
         true,
         true,
         HBK_VERDICT_NONE},
        {"one missing",
         {SIGNER("upper")},
         {SIGNER("lower")},
         false,
         false,
         false,
         HBK_VERDICT_UNKNOWN_CA},
#undef SIGNER
#define SIGNER(name) .common_name = (name), .names = "-", .purposes = "-"
        {"no CA",
         {SIGNER("upper"), .constraints = "critical,CA:TRUE", .usage = "critical,keyCertSign"},
         {SIGNER("lower"), .constraints = "critical,CA:FALSE", .usage = "critical,keyCertSign"},
         true,
         false,
         false,
         HBK_VERDICT_BAD_PATH},
        {"a path length of zero above another CA",
         {SIGNER("upper"), .constraints = "critical,CA:TRUE,pathlen:0",
          .usage = "critical,keyCertSign"},
         {SIGNER("lower"), .constraints = "critical,CA:TRUE", .usage = "critical,keyCertSign"},
         true,
         false,
         false,
         HBK_VERDICT_BAD_PATH},
        {"a path length of one above another CA",
         {SIGNER("upper"), .constraints = "critical,CA:TRUE,pathlen:1",
          .usage = "critical,keyCertSign"},
         {SIGNER("lower"), .constraints = "critical,CA:TRUE", .usage = "critical,keyCertSign"},
         true,
         false,
         true,
         HBK_VERDICT_NONE},
        {"no keyCertSign",
         {SIGNER("upper"), .constraints = "critical,CA:TRUE", .usage = "critical,keyCertSign"},
         {SIGNER("lower"), .constraints = "critical,CA:TRUE", .usage = "critical,cRLSign"},
         true,
         false,
         false,
         HBK_VERDICT_BAD_PATH},
        {"no key usage",
         {SIGNER("upper"), .constraints = "critical,CA:TRUE", .usage = "critical,keyCertSign"},
         {SIGNER("lower"), .constraints = "critical,CA:TRUE", .usage = "-"},
         true,
         false,
         false,
         HBK_VERDICT_BAD_PATH},
        {"an expired one",
         {SIGNER("upper"), .constraints = "critical,CA:TRUE", .usage = "critical,keyCertSign",
          .end_ns = FORGE_NOW_NS - 1000000000},
         {SIGNER("lower"), .constraints = "critical,CA:TRUE", .usage = "critical,keyCertSign"},
         true,
         false,
         false,
         HBK_VERDICT_EXPIRED},
#undef SIGNER
    };
    for (size_t i = 0; i < HBK_COUNT(cases); i++) {
        struct forge wish = cases[i].upper;
        wish.signer = &root;
        struct forged upper = forge(wish);
        wish = cases[i].lower;
        wish.signer = &upper;
        wish.end_ns = FORGE_NOW_NS + FORGE_HOUR_NS / 4;
        struct forged lower = forge(wish);
        struct forged leaf = forge((struct forge){.signer = &lower});
        struct chain chain = {0};
        const struct hbk_peer *peer;
        struct hbk_verdict_failure failure;
        chain_add(&chain, leaf.certificate);
        chain_add(&chain, cases[i].is_swapped ? upper.certificate : lower.certificate);
        if (!cases[i].has_lower_sent) {
            chain_free(&chain);
            chain_add(&chain, leaf.certificate);
        }
        chain_add(&chain, cases[i].is_swapped ? lower.certificate : upper.certificate);
        hbk_status status =
            judge_in(bundles, &chain, HBK_PEER_CLIENT, FORGE_NOW_NS, &peer, &failure);
        if ((status == HBK_OK) != cases[i].is_good || failure.reason != cases[i].reason) {
            fail_msg("%s: %s: %s", cases[i].name, hbk_verdict_reason_text(failure.reason),
                     failure.error.text);
        }
        if (peer != NULL) { /* the earliest end on the path counts */
            assert_int_equal(peer->not_after_ns, FORGE_NOW_NS + FORGE_HOUR_NS / 4);
        }
        hbk_peer_unref(peer);
        chain_free(&chain);
        forged_free(&leaf);
        forged_free(&lower);
        forged_free(&upper);
    }
}

/* X509-SVID, 4 and 4.2 (3): a root of one domain says nothing about another. */
static void a_root_speaks_for_its_own_domain_only(void **state)
{
    (void)state;
    struct forged foreign = forge((struct forge)FORGE_ROOT("foreign"));
    struct hbk_bundle *pair[] = {hbk_bundle_ref(bundles->bundles[0]),
                                 forge_bundle("other.test", foreign.certificate)};
    struct hbk_bundle_set *both = NULL;
    assert_int_equal(hbk_bundle_set_new(pair, 2, &both), HBK_OK);
    const struct {
        const struct forged *signer;
        const char *names;
        bool is_good;
    } cases[] = {
        {&root, "critical,URI:spiffe://td.test/x", true},
        {&foreign, "critical,URI:spiffe://other.test/x", true},
        {&foreign, "critical,URI:spiffe://td.test/x", false},
        {&root, "critical,URI:spiffe://other.test/x", false},
    };
    for (size_t i = 0; i < HBK_COUNT(cases); i++) {
        struct forged leaf =
            forge((struct forge){.signer = cases[i].signer, .names = cases[i].names});
        struct chain chain = {0};
        const struct hbk_peer *peer;
        struct hbk_verdict_failure failure;
        chain_add(&chain, leaf.certificate);
        chain_add(&chain, cases[i].signer->certificate); /* a sent root is no reason to trust it */
        assert_int_equal(judge_in(both, &chain, HBK_PEER_CLIENT, FORGE_NOW_NS, &peer, &failure),
                         cases[i].is_good ? HBK_OK : HBK_UNTRUSTED);
        hbk_peer_unref(peer);
        chain_free(&chain);
        forged_free(&leaf);
    }
    hbk_bundle_set_unref(both);
    hbk_bundle_unref(pair[0]);
    hbk_bundle_unref(pair[1]);
    forged_free(&foreign);
}

/* A certificate over the same key, from a root of the same name but another key. */
static void a_root_of_the_same_name_is_another_root(void **state)
{
    (void)state;
    struct forged twin = forge((struct forge)FORGE_ROOT("root"));
    struct forged leaf = forge((struct forge){.signer = &twin});
    struct chain chain = {0};
    const struct hbk_peer *peer;
    struct hbk_verdict_failure failure;
    chain_add(&chain, leaf.certificate);
    assert_int_equal(judge_in(bundles, &chain, HBK_PEER_CLIENT, FORGE_NOW_NS, &peer, &failure),
                     HBK_UNTRUSTED);
    chain_free(&chain);
    forged_free(&leaf);
    forged_free(&twin);
}

static void a_leaf_that_signed_itself_is_not_trusted(void **state)
{
    (void)state;
    struct forged leaf = forge((struct forge){.common_name = "me"});
    struct chain chain = {0};
    const struct hbk_peer *peer;
    struct hbk_verdict_failure failure;
    chain_add(&chain, leaf.certificate);
    assert_int_equal(judge_in(bundles, &chain, HBK_PEER_CLIENT, FORGE_NOW_NS, &peer, &failure),
                     HBK_UNTRUSTED);
    assert_int_equal(failure.reason, HBK_VERDICT_UNKNOWN_CA);
    chain_free(&chain);
    forged_free(&leaf);
}

static void what_is_no_certificate_is_refused(void **state)
{
    (void)state;
    struct forged leaf = forge((struct forge){.signer = &root});
    struct chain good = {0};
    const struct hbk_peer *peer;
    struct hbk_verdict_failure failure;
    chain_add(&good, leaf.certificate);
    uint8_t longer[4096];
    size_t size = good.certificates[0].size;
    memcpy(longer, good.certificates[0].bytes, size);
    longer[size] = 0;
    const struct hbk_slice cases[] = {
        hbk_slice_of(longer, 0),
        hbk_slice_of(longer, size - 1),
        hbk_slice_of(longer, size + 1), /* bytes behind the certificate */
        HBK_SLICE("-----BEGIN CERTIFICATE-----"),
    };
    for (size_t i = 0; i < HBK_COUNT(cases); i++) {
        struct chain chain = {.certificates = {cases[i]}};
        chain.chain = (struct hbk_chain){.certificates = chain.certificates, .count = 1};
        assert_int_equal(judge_in(bundles, &chain, HBK_PEER_CLIENT, FORGE_NOW_NS, &peer, &failure),
                         HBK_UNTRUSTED);
        assert_int_equal(failure.reason, HBK_VERDICT_MALFORMED);
    }
    struct chain none = {0};
    assert_int_equal(judge_in(bundles, &none, HBK_PEER_CLIENT, FORGE_NOW_NS, &peer, &failure),
                     HBK_UNTRUSTED);
    struct chain many = {0};
    for (size_t i = 0; i <= HBK_CHAIN_CERTIFICATES_MAX; i++) {
        chain_add(&many, leaf.certificate);
    }
    assert_int_equal(judge_in(bundles, &many, HBK_PEER_CLIENT, FORGE_NOW_NS, &peer, &failure),
                     HBK_LIMIT);
    chain_free(&many);
    chain_free(&good);
    forged_free(&leaf);
}

/* ---- revocation ---- */

static struct hbk_bundle_set *bundles_with_crl(const char *crl)
{
    char *pem = forged_pem((X509 *[]){root.certificate, NULL});
    struct hbk_bundle *bundle = NULL;
    struct hbk_bundle_set *set = NULL;
    struct hbk_error error = {0};
    if (hbk_bundle_new(HBK_SLICE("td.test"), hbk_slice_text(pem), hbk_slice_text(crl), &bundle,
                       &error) != HBK_OK) {
        fail_msg("no bundle: %s", error.text);
    }
    assert_int_equal(hbk_bundle_set_new(&bundle, 1, &set), HBK_OK);
    hbk_bundle_unref(bundle);
    free(pem);
    return set;
}

/* ambient.md 3b: an old list still counts; without a list of its issuer a certificate passes. */
static void revoked_certificates_are_refused(void **state)
{
    (void)state;
    struct forged other = forge((struct forge)FORGE_ROOT("other"));
    const struct {
        const struct forged *signer;
        long serial;
        int64_t end_ns;
        bool is_good;
    } cases[] = {
        {&root, 77, FORGE_NOW_NS + FORGE_HOUR_NS, false},
        {&root, 78, FORGE_NOW_NS + FORGE_HOUR_NS, true},
        {&root, 77, FORGE_NOW_NS - FORGE_HOUR_NS, false},
        {&root, 78, FORGE_NOW_NS - FORGE_HOUR_NS, true},
        {&other, 77, FORGE_NOW_NS + FORGE_HOUR_NS, true},
    };
    for (size_t i = 0; i < HBK_COUNT(cases); i++) {
        struct forged leaf = forge((struct forge){.signer = &root, .serial = 77});
        char *crl = forge_crl(cases[i].signer, cases[i].serial, FORGE_NOW_NS - 2 * FORGE_HOUR_NS,
                              cases[i].end_ns);
        struct hbk_bundle_set *set = bundles_with_crl(crl);
        struct chain chain = {0};
        const struct hbk_peer *peer;
        struct hbk_verdict_failure failure;
        chain_add(&chain, leaf.certificate);
        assert_int_equal(judge_in(set, &chain, HBK_PEER_CLIENT, FORGE_NOW_NS, &peer, &failure),
                         cases[i].is_good ? HBK_OK : HBK_UNTRUSTED);
        assert_int_equal(failure.reason, cases[i].is_good ? HBK_VERDICT_NONE : HBK_VERDICT_REVOKED);
        hbk_peer_unref(peer);
        chain_free(&chain);
        hbk_bundle_set_unref(set);
        free(crl);
        forged_free(&leaf);
    }
    forged_free(&other);
}

/* ---- peers that are connected already ---- */

static void a_live_peer_is_judged_again(void **state)
{
    (void)state;
    struct forged leaf = forge((struct forge){.signer = &root});
    struct forged next_root = forge((struct forge)FORGE_ROOT("next"));
    struct chain chain = {0};
    const struct hbk_peer *peer;
    struct hbk_verdict_failure failure;
    chain_add(&chain, leaf.certificate);
    assert_int_equal(judge_in(bundles, &chain, HBK_PEER_CLIENT, FORGE_NOW_NS, &peer, &failure),
                     HBK_OK);
    assert_int_equal(hbk_verdict_again(peer, bundles, FORGE_NOW_NS, &failure), HBK_OK);

    failure = (struct hbk_verdict_failure){0};
    assert_int_equal(hbk_verdict_again(peer, bundles, FORGE_NOW_NS + FORGE_DAY_NS, &failure),
                     HBK_UNTRUSTED);
    assert_int_equal(failure.reason, HBK_VERDICT_EXPIRED);
    failure = (struct hbk_verdict_failure){0};
    assert_int_equal(hbk_verdict_again(peer, bundles, FORGE_NOW_NS - FORGE_DAY_NS, &failure),
                     HBK_UNTRUSTED);
    assert_int_equal(failure.reason, HBK_VERDICT_EXPIRED);

    /* The same roots loaded once more: another generation, the same verdict. */
    struct hbk_bundle_set *again = forge_bundle_set("td.test", root.certificate);
    assert_int_equal(hbk_verdict_again(peer, again, FORGE_NOW_NS, &failure), HBK_OK);
    hbk_bundle_set_unref(again);

    struct hbk_bundle_set *withdrawn = forge_bundle_set("td.test", next_root.certificate);
    failure = (struct hbk_verdict_failure){0};
    assert_int_equal(hbk_verdict_again(peer, withdrawn, FORGE_NOW_NS, &failure), HBK_UNTRUSTED);
    assert_int_equal(failure.reason, HBK_VERDICT_UNKNOWN_CA);
    hbk_bundle_set_unref(withdrawn);

    char *crl = forge_crl(&root, 77, FORGE_NOW_NS - FORGE_HOUR_NS, FORGE_NOW_NS + FORGE_HOUR_NS);
    struct hbk_bundle_set *revoked = bundles_with_crl(crl);
    failure = (struct hbk_verdict_failure){0};
    assert_int_equal(hbk_verdict_again(peer, revoked, FORGE_NOW_NS, &failure), HBK_UNTRUSTED);
    assert_int_equal(failure.reason, HBK_VERDICT_REVOKED);
    hbk_bundle_set_unref(revoked);
    free(crl);

    hbk_peer_unref(peer);
    chain_free(&chain);
    forged_free(&next_root);
    forged_free(&leaf);
}

/* ---- the cache ---- */

static const struct hbk_peer *judge_cached(struct hbk_verdict_cache *cache,
                                           const struct chain *chain, struct hbk_bundle_set *set,
                                           enum hbk_peer_role role, int64_t now_ns)
{
    const struct hbk_peer *peer = NULL;
    struct hbk_verdict_failure failure = {0};
    (void)!hbk_verdict_cache_judge(cache, &chain->chain, forge_question(set, role, now_ns), &peer,
                                   &failure);
    return peer;
}

/* ... and the peer has proved to have its key. */
static const struct hbk_peer *judge_proven(struct hbk_verdict_cache *cache,
                                           const struct chain *chain, struct hbk_bundle_set *set,
                                           enum hbk_peer_role role, int64_t now_ns)
{
    const struct hbk_peer *peer = judge_cached(cache, chain, set, role, now_ns);
    if (peer != NULL) {
        hbk_verdict_cache_keep(cache, &peer);
    }
    return peer;
}

static void a_chain_is_not_kept_before_its_peer_has_proved_its_key(void **state)
{
    (void)state;
    struct forged leaf = forge((struct forge){.signer = &root});
    struct chain chain = {0};
    struct hbk_verdict_cache cache;
    const struct hbk_peer *peers[3];
    chain_add(&chain, leaf.certificate);
    hbk_verdict_cache_init(&cache, 8);
    for (size_t i = 0; i < HBK_COUNT(peers); i++) {
        peers[i] = judge_cached(&cache, &chain, bundles, HBK_PEER_CLIENT, FORGE_NOW_NS);
        assert_non_null(peers[i]);
    }
    assert_int_equal(cache.entries.count, 0);
    assert_int_equal(cache.misses, HBK_COUNT(peers));
    /* All prove it: the first one's verdict stays, and serves all. */
    for (size_t i = 0; i < HBK_COUNT(peers); i++) {
        hbk_verdict_cache_keep(&cache, &peers[i]);
        hbk_verdict_cache_keep(&cache, &peers[i]);
        assert_int_equal(cache.entries.count, 1);
        assert_ptr_equal(peers[i], peers[0]);
    }
    const struct hbk_peer *known =
        judge_cached(&cache, &chain, bundles, HBK_PEER_CLIENT, FORGE_NOW_NS);
    assert_ptr_equal(known, peers[2]);
    hbk_peer_unref(known);
    for (size_t i = 0; i < HBK_COUNT(peers); i++) {
        hbk_peer_unref(peers[i]);
    }
    /* A peer that no cache was asked about is no answer of one. */
    struct hbk_verdict_failure failure = {0};
    hbk_verdict_cache_fini(&cache);
    hbk_verdict_cache_init(&cache, 8);
    assert_int_equal(hbk_verdict_judge(&chain.chain,
                                       forge_question(bundles, HBK_PEER_CLIENT, FORGE_NOW_NS),
                                       &known, &failure),
                     HBK_OK);
    hbk_verdict_cache_keep(&cache, &known);
    assert_int_equal(cache.entries.count, 0);
    hbk_peer_unref(known);
    hbk_verdict_cache_fini(&cache);
    chain_free(&chain);
    forged_free(&leaf);
}

static void a_chain_that_is_long_is_judged_each_time(void **state)
{
    (void)state;
    char names[HBK_VERDICT_CACHE_CHAIN_BYTES_MAX] =
        "critical,URI:spiffe://td.test/ns/shop/sa/cart,DNS:";
    struct forged leaf = forge((struct forge){.signer = &root});
    memset(names + strlen(names), 'a', sizeof names - 1 - strlen(names));
    struct forged long_leaf = forge((struct forge){.signer = &root, .names = names});
    struct chain chains[2] = {0};
    struct hbk_verdict_cache cache;
    hbk_verdict_cache_init(&cache, 8);
    chain_add(&chains[0], leaf.certificate);
    chain_add(&chains[1], long_leaf.certificate);
    for (size_t i = 0; i < 4; i++) {
        const struct hbk_peer *peer =
            judge_proven(&cache, &chains[i % 2], bundles, HBK_PEER_CLIENT, FORGE_NOW_NS);
        assert_non_null(peer);
        assert_int_equal(cache.entries.count, 1);
        hbk_peer_unref(peer);
    }
    assert_int_equal(cache.hits, 1);
    hbk_verdict_cache_fini(&cache);
    for (size_t i = 0; i < HBK_COUNT(chains); i++) {
        chain_free(&chains[i]);
    }
    forged_free(&leaf);
    forged_free(&long_leaf);
}

static void the_cache_answers_only_what_a_judge_would(void **state)
{
    (void)state;
    struct forged leaf = forge((struct forge){.signer = &root, .purposes = "serverAuth"});
    struct hbk_bundle_set *other = forge_bundle_set("td.test", root.certificate);
    struct chain chain = {0};
    struct hbk_verdict_cache cache;
    chain_add(&chain, leaf.certificate);
    hbk_verdict_cache_init(&cache, 8);

    const struct hbk_peer *first =
        judge_proven(&cache, &chain, bundles, HBK_PEER_SERVER, FORGE_NOW_NS);
    const struct hbk_peer *second =
        judge_proven(&cache, &chain, bundles, HBK_PEER_SERVER, FORGE_NOW_NS);
    assert_non_null(first);
    assert_ptr_equal(first, second);
    assert_int_equal(cache.hits, 1);

    /* Another part, another time, another bundle: asked anew. */
    assert_null(judge_proven(&cache, &chain, bundles, HBK_PEER_CLIENT, FORGE_NOW_NS));
    assert_null(
        judge_proven(&cache, &chain, bundles, HBK_PEER_SERVER, FORGE_NOW_NS + FORGE_DAY_NS));
    assert_null(
        judge_proven(&cache, &chain, bundles, HBK_PEER_SERVER, FORGE_NOW_NS - FORGE_DAY_NS));
    const struct hbk_peer *third =
        judge_proven(&cache, &chain, other, HBK_PEER_SERVER, FORGE_NOW_NS);
    assert_non_null(third);
    assert_ptr_not_equal(first, third);
    assert_int_equal(cache.hits, 1);
    hbk_peer_unref(first);
    hbk_peer_unref(second);
    hbk_peer_unref(third);
    hbk_verdict_cache_fini(&cache);
    hbk_bundle_set_unref(other);
    chain_free(&chain);
    forged_free(&leaf);
}

static void the_cache_drops_what_was_used_least_recently(void **state)
{
    (void)state;
    struct forged leaves[3];
    struct chain chains[3] = {0};
    struct hbk_verdict_cache cache;
    hbk_verdict_cache_init(&cache, 2);
    for (size_t i = 0; i < 3; i++) {
        leaves[i] = forge((struct forge){.signer = &root});
        chain_add(&chains[i], leaves[i].certificate);
    }
    static const size_t order[] = {0, 1, 0, 2, 0, 1};
    static const bool is_hit[] = {false, false, true, false, true, false};
    for (size_t i = 0; i < HBK_COUNT(order); i++) {
        uint64_t hits = cache.hits;
        hbk_peer_unref(
            judge_proven(&cache, &chains[order[i]], bundles, HBK_PEER_CLIENT, FORGE_NOW_NS));
        assert_int_equal(cache.hits - hits, is_hit[i]);
        assert_true(cache.entries.count <= 2);
    }
    hbk_verdict_cache_fini(&cache);
    for (size_t i = 0; i < 3; i++) {
        chain_free(&chains[i]);
        forged_free(&leaves[i]);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_good_leaf_tells_who_the_peer_is),
        cmocka_unit_test(leaves_are_judged_by_each_rule),
        cmocka_unit_test(a_weak_key_is_refused),
        cmocka_unit_test(paths_are_judged_at_every_step),
        cmocka_unit_test(a_root_speaks_for_its_own_domain_only),
        cmocka_unit_test(a_root_of_the_same_name_is_another_root),
        cmocka_unit_test(a_leaf_that_signed_itself_is_not_trusted),
        cmocka_unit_test(what_is_no_certificate_is_refused),
        cmocka_unit_test(revoked_certificates_are_refused),
        cmocka_unit_test(a_live_peer_is_judged_again),
        cmocka_unit_test(a_chain_is_not_kept_before_its_peer_has_proved_its_key),
        cmocka_unit_test(a_chain_that_is_long_is_judged_each_time),
        cmocka_unit_test(the_cache_answers_only_what_a_judge_would),
        cmocka_unit_test(the_cache_drops_what_was_used_least_recently),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
