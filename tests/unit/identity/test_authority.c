#include "identity/authority.h"

#include "forge.h"
#include "identity/description.h"

static struct hbk_issued root;

static int set_up(void **state)
{
    (void)state;
    hbk_issued_init(&root);
    return hbk_authority_make_root(HBK_SLICE("td.test"), FORGE_NOW_NS, &root, NULL) == HBK_OK ? 0
                                                                                              : -1;
}

static int tear_down(void **state)
{
    (void)state;
    hbk_issued_fini(&root);
    assert_int_equal(hbk_spiffe_count(), 0);
    return 0;
}

static struct hbk_authority *open_authority(void)
{
    struct hbk_authority *authority = NULL;
    assert_int_equal(hbk_authority_new(hbk_buffer_slice(&root.chain_pem),
                                       hbk_buffer_slice(&root.key_pem), &authority, NULL),
                     HBK_OK);
    return authority;
}

static const struct hbk_spiffe_id *intern(const char *text)
{
    const struct hbk_spiffe_id *id = NULL;
    assert_int_equal(hbk_spiffe_intern(hbk_slice_text(text), &id), HBK_OK);
    return id;
}

static void what_is_issued_passes_our_own_judge(void **state)
{
    (void)state;
    static const enum hbk_key_type types[] = {HBK_KEY_ECDSA_P256, HBK_KEY_RSA_2048};
    struct hbk_authority *authority = open_authority();
    const struct hbk_spiffe_id *id = intern("spiffe://td.test/ns/shop/sa/cart");
    struct hbk_bundle *bundle = NULL;
    struct hbk_bundle_set *set = NULL;
    assert_slice_equal(hbk_authority_trust_domain(authority), HBK_SLICE("td.test"));
    assert_int_equal(hbk_bundle_new(HBK_SLICE("td.test"), hbk_authority_root_pem(authority),
                                    hbk_slice_of(NULL, 0), &bundle, NULL),
                     HBK_OK);
    assert_int_equal(hbk_bundle_set_new(&bundle, 1, &set), HBK_OK);
    for (size_t i = 0; i < HBK_COUNT(types); i++) {
        struct hbk_issued issued;
        struct hbk_svid *svid = NULL;
        const struct hbk_peer *peer = NULL;
        struct hbk_verdict_failure failure = {0};
        hbk_issued_init(&issued);
        assert_int_equal(hbk_authority_issue(authority, id, types[i], 20 * HBK_NS_PER_S,
                                             FORGE_NOW_NS, &issued, NULL),
                         HBK_OK);
        assert_int_equal(hbk_svid_from_pem(hbk_buffer_slice(&issued.chain_pem),
                                           hbk_buffer_slice(&issued.key_pem), &svid, NULL),
                         HBK_OK);
        assert_ptr_equal(svid->id, id);
        assert_int_equal(svid->not_after_ns, FORGE_NOW_NS + 20 * (int64_t)HBK_NS_PER_S);
        assert_int_equal(svid->not_before_ns, FORGE_NOW_NS - HBK_ISSUE_BACKDATE_NS);

        unsigned char *der = NULL;
        int size = i2d_X509(svid->certificates[0], &der);
        const struct hbk_slice certificate = hbk_slice_of(der, (size_t)size);
        const struct hbk_chain chain = {.certificates = &certificate, .count = 1};
        if (hbk_verdict_judge(&chain, forge_question(set, HBK_PEER_CLIENT, FORGE_NOW_NS), &peer,
                              &failure) != HBK_OK) {
            fail_msg("%s", failure.error.text);
        }
        hbk_peer_unref(peer);
        OPENSSL_free(der);
        hbk_svid_unref(svid);
        hbk_issued_fini(&issued);
    }
    hbk_bundle_set_unref(set);
    hbk_bundle_unref(bundle);
    hbk_spiffe_unref(id);
    hbk_authority_free(authority);
}

static void requests_outside_its_rules_are_refused(void **state)
{
    (void)state;
    static const struct {
        const char *id;
        uint64_t life_ns;
        int64_t now_ns;
        const char *text;
    } cases[] = {
        {"spiffe://other.test/x", HBK_NS_PER_S, FORGE_NOW_NS, "spiffe://td.test/PATH"},
        {"spiffe://td.test", HBK_NS_PER_S, FORGE_NOW_NS, "spiffe://td.test/PATH"},
        {"spiffe://td.test/x", HBK_NS_PER_S - 1, FORGE_NOW_NS, "1s to 3650d"},
        {"spiffe://td.test/x", UINT64_MAX, FORGE_NOW_NS, "1s to 3650d"},
        {"spiffe://td.test/x", HBK_NS_PER_S, FORGE_NOW_NS - FORGE_DAY_NS, "valid from"},
        {"spiffe://td.test/x", HBK_NS_PER_S, FORGE_NOW_NS + 3651 * FORGE_DAY_NS, "valid from"},
    };
    struct hbk_authority *authority = open_authority();
    for (size_t i = 0; i < HBK_COUNT(cases); i++) {
        const struct hbk_spiffe_id *id = intern(cases[i].id);
        struct hbk_issued issued;
        struct hbk_error error = {0};
        hbk_issued_init(&issued);
        assert_int_equal(hbk_authority_issue(authority, id, HBK_KEY_ECDSA_P256, cases[i].life_ns,
                                             cases[i].now_ns, &issued, &error),
                         HBK_INVALID);
        assert_non_null(strstr(error.text, cases[i].text));
        assert_true(hbk_buffer_is_empty(&issued.key_pem));
        hbk_issued_fini(&issued);
        hbk_spiffe_unref(id);
    }
    hbk_authority_free(authority);
}

static void a_leaf_never_outlives_its_root(void **state)
{
    (void)state;
    struct hbk_authority *authority = open_authority();
    const struct hbk_spiffe_id *id = intern("spiffe://td.test/x");
    struct hbk_issued issued;
    struct hbk_svid *svid = NULL;
    hbk_issued_init(&issued);
    int64_t now_ns = FORGE_NOW_NS + HBK_ROOT_LIFE_NS - FORGE_HOUR_NS;
    assert_int_equal(hbk_authority_issue(authority, id, HBK_KEY_ECDSA_P256,
                                         24 * 3600 * HBK_NS_PER_S, now_ns, &issued, NULL),
                     HBK_OK);
    assert_int_equal(hbk_svid_from_pem(hbk_buffer_slice(&issued.chain_pem),
                                       hbk_buffer_slice(&issued.key_pem), &svid, NULL),
                     HBK_OK);
    assert_int_equal(svid->not_after_ns, FORGE_NOW_NS + HBK_ROOT_LIFE_NS);
    hbk_svid_unref(svid);
    hbk_issued_fini(&issued);
    hbk_spiffe_unref(id);
    hbk_authority_free(authority);
}

static void what_is_no_authority_is_not_opened(void **state)
{
    (void)state;
    struct forged nameless = forge((struct forge)FORGE_ROOT("nameless"));
    struct forged leaf = forge((struct forge){.common_name = "leaf"});
    char *nameless_pem = forged_pem((X509 *[]){nameless.certificate, NULL});
    char *nameless_key = forged_key_pem(nameless.key);
    char *leaf_pem = forged_pem((X509 *[]){leaf.certificate, NULL});
    char *leaf_key = forged_key_pem(leaf.key);
    struct hbk_slice good = hbk_buffer_slice(&root.chain_pem);
    const struct {
        struct hbk_slice certificate, key;
        const char *text;
    } cases[] = {
        {good, hbk_slice_text(leaf_key), "not the one of the CA"},
        {good, HBK_SLICE(""), "no private key"},
        {good, good, "no private key"},
        {HBK_SLICE(""), hbk_slice_text(leaf_key), "no certificate"},
        {HBK_SLICE("-----BEGIN CERTIFICATE-----\n!\n-----END CERTIFICATE-----\n"),
         hbk_slice_text(leaf_key), "not valid PEM"},
        {hbk_slice_text(leaf_pem), hbk_slice_text(leaf_key), "is not a CA"},
        {hbk_slice_text(nameless_pem), hbk_slice_text(nameless_key), "names no trust domain"},
    };
    for (size_t i = 0; i < HBK_COUNT(cases); i++) {
        struct hbk_authority *authority = NULL;
        struct hbk_error error = {0};
        assert_int_equal(hbk_authority_new(cases[i].certificate, cases[i].key, &authority, &error),
                         HBK_INVALID);
        if (strstr(error.text, cases[i].text) == NULL) {
            fail_msg("case %zu: %s", i, error.text);
        }
        assert_null(authority);
    }
    free(nameless_pem);
    free(nameless_key);
    free(leaf_pem);
    free(leaf_key);
    forged_free(&nameless);
    forged_free(&leaf);
}

static void own_certificates_are_checked_when_they_are_read(void **state)
{
    (void)state;
    struct forged leaf = forge((struct forge){.common_name = "a"});
    struct forged other = forge((struct forge){.common_name = "b"});
    struct forged ca = forge((struct forge)FORGE_ROOT("ca"));
    char *leaf_pem = forged_pem((X509 *[]){leaf.certificate, NULL});
    char *pair_pem = forged_pem((X509 *[]){leaf.certificate, other.certificate, NULL});
    char *chain_pem = forged_pem((X509 *[]){leaf.certificate, ca.certificate, NULL});
    char *ca_pem = forged_pem((X509 *[]){ca.certificate, NULL});
    char *leaf_key = forged_key_pem(leaf.key);
    char *other_key = forged_key_pem(other.key);
    struct hbk_slice half = hbk_slice_part(hbk_slice_text(leaf_pem), 0, strlen(leaf_pem) / 2);
    const struct {
        struct hbk_slice chain, key;
        const char *text; /* NULL: good */
    } cases[] = {
        {hbk_slice_text(leaf_pem), hbk_slice_text(leaf_key), NULL},
        {hbk_slice_text(chain_pem), hbk_slice_text(leaf_key), NULL},
        {hbk_slice_text(leaf_pem), hbk_slice_text(other_key), "not the one of spiffe://td.test"},
        {hbk_slice_text(pair_pem), hbk_slice_text(leaf_key), "is not a CA"},
        {hbk_slice_text(ca_pem), hbk_slice_text(leaf_key), "no names"},
        {half, hbk_slice_text(leaf_key), "not valid PEM"},
        {hbk_slice_text(leaf_pem), hbk_slice_part(hbk_slice_text(leaf_key), 0, 80),
         "no private key"},
    };
    for (size_t i = 0; i < HBK_COUNT(cases); i++) {
        struct hbk_svid *svid = NULL;
        struct hbk_error error = {0};
        hbk_status status = hbk_svid_from_pem(cases[i].chain, cases[i].key, &svid, &error);
        assert_int_equal(status, cases[i].text == NULL ? HBK_OK : HBK_INVALID);
        if (cases[i].text != NULL && strstr(error.text, cases[i].text) == NULL) {
            fail_msg("case %zu: %s", i, error.text);
        }
        hbk_svid_unref(svid);
    }
    free(leaf_pem);
    free(pair_pem);
    free(chain_pem);
    free(ca_pem);
    free(leaf_key);
    free(other_key);
    forged_free(&leaf);
    forged_free(&other);
    forged_free(&ca);
}

static void bundles_hold_authorities_of_one_domain(void **state)
{
    (void)state;
    struct forged ca = forge((struct forge)FORGE_ROOT("ca"));
    struct forged leaf = forge((struct forge){.common_name = "leaf"});
    char *both = forged_pem((X509 *[]){ca.certificate, leaf.certificate, NULL});
    char *good = forged_pem((X509 *[]){ca.certificate, NULL});
    struct hbk_slice none = hbk_slice_of(NULL, 0);
    const struct {
        const char *trust_domain;
        struct hbk_slice roots, crl;
        const char *text;
    } cases[] = {
        {"Td", hbk_slice_text(good), none, "not a trust domain"},
        {"", hbk_slice_text(good), none, "not a trust domain"},
        {"td.test", none, none, "no certificate"},
        {"td.test", hbk_slice_text(both), none, "is not a CA"},
        {"td.test", hbk_slice_text(good), HBK_SLICE("x"), "neither PEM nor DER"},
        {"td.test", hbk_slice_text(good), hbk_slice_text(good), "revocation list 1"},
    };
    for (size_t i = 0; i < HBK_COUNT(cases); i++) {
        struct hbk_bundle *bundle = NULL;
        struct hbk_error error = {0};
        assert_int_equal(hbk_bundle_new(hbk_slice_text(cases[i].trust_domain), cases[i].roots,
                                        cases[i].crl, &bundle, &error),
                         HBK_INVALID);
        if (strstr(error.text, cases[i].text) == NULL) {
            fail_msg("case %zu: %s", i, error.text);
        }
    }
    struct hbk_bundle *twins[] = {forge_bundle("td.test", ca.certificate),
                                  forge_bundle("td.test", ca.certificate)};
    struct hbk_bundle_set *set = NULL;
    assert_true(twins[0]->generation != twins[1]->generation);
    assert_int_equal(hbk_bundle_set_new(twins, 2, &set), HBK_EXISTS);
    hbk_bundle_unref(twins[0]);
    hbk_bundle_unref(twins[1]);
    free(both);
    free(good);
    forged_free(&ca);
    forged_free(&leaf);
}

static void certificates_are_told_to_people(void **state)
{
    (void)state;
    struct forged leaf = forge(
        (struct forge){.names = "URI:spiffe://td.test/ns/a/sa/b,DNS:a.test", .common_name = "x"});
    char *pem = forged_pem((X509 *[]){leaf.certificate, NULL});
    struct hbk_buffer text;
    hbk_buffer_init(&text, 1 << 16);
    assert_int_equal(hbk_buffer_append(&text, hbk_buffer_slice(&root.chain_pem)), HBK_OK);
    assert_int_equal(hbk_buffer_append(&text, hbk_slice_text(pem)), HBK_OK);
    struct hbk_buffer shown;
    hbk_buffer_init(&shown, 1 << 16);
    assert_int_equal(hbk_certificates_describe(hbk_buffer_slice(&text), FORGE_NOW_NS + FORGE_DAY_NS,
                                               &shown, NULL),
                     HBK_OK);
    assert_int_equal(hbk_buffer_append(&shown, HBK_SLICE("\0")), HBK_OK);
    const char *found = (const char *)hbk_buffer_slice(&shown).bytes;
    static const char *const parts[] = {
        "certificate 1 of 2",
        "  id         spiffe://td.test\n",
        "authority (CA)",
        "itself",
        "keyCertSign cRLSign",
        "certificate 2 of 2",
        "spiffe://td.test/ns/a/sa/b",
        "a.test",
        "to 2026-11-23 13:00:00 UTC (expired)",
        "EC, 256 bits",
        "  serial     4d\n",
        "digitalSignature",
        "serverAuth clientAuth",
    };
    for (size_t i = 0; i < HBK_COUNT(parts); i++) {
        if (strstr(found, parts[i]) == NULL) {
            fail_msg("\"%s\" is not in:\n%s", parts[i], found);
        }
    }
    assert_null(strstr(found, "PRIVATE"));
    hbk_buffer_fini(&shown);
    hbk_buffer_fini(&text);
    free(pem);
    forged_free(&leaf);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_issued_passes_our_own_judge),
        cmocka_unit_test(requests_outside_its_rules_are_refused),
        cmocka_unit_test(a_leaf_never_outlives_its_root),
        cmocka_unit_test(what_is_no_authority_is_not_opened),
        cmocka_unit_test(own_certificates_are_checked_when_they_are_read),
        cmocka_unit_test(bundles_hold_authorities_of_one_domain),
        cmocka_unit_test(certificates_are_told_to_people),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
