/* What sessions of two contexts agree on: certificates, trust, protocols, suites and groups. */
#include "tls/session.h"

#include "stage.h"
#include "tls/alert.h"
#include "tls/certificate.h"
#include "tls/engine.h"

/* A server with the certificate of one host; the client has none and trusts by name. */
static void a_client_without_a_certificate_reaches_a_server_by_name(void **state)
{
    (void)state;
    struct forged shop = forge((struct forge){.signer = &root, .names = "DNS:shop.test"});
    struct hbk_tls_certificate_options certificate = certificate_of(&shop);
    struct ends ends = {
        .client = browser_of(name_trust),
        .server = context_of((struct hbk_tls_context_options){
            .certificates = &certificate,
            .certificate_count = 1,
            .client_certificate = HBK_TLS_CLIENT_CERTIFICATE_NONE,
        }),
        .server_name = "shop.test",
    };
    struct pair *pair = shake_hands(&ends);
    both_are_done(pair);
    assert_null(hbk_tls_peer(pair->server));
    assert_null(hbk_tls_peer(pair->client)->id);
    assert_non_null(hbk_tls_own_certificate(pair->server));
    assert_null(hbk_tls_own_certificate(pair->client));
    assert_slice_equal(hbk_tls_peer(pair->client)->names.dns_names, HBK_SLICE("shop.test\0"));
    assert_slice_equal(hbk_tls_agreement(pair->server).server_name, HBK_SLICE("shop.test"));
    assert_int_equal(hbk_tls_agreement(pair->server).peer_scheme, 0);
    assert_int_equal(hbk_tls_agreement(pair->client).protocol.size, 0);
    pair_free(pair);

    ends.server_name = "other.test";
    pair = shake_hands(&ends);
    assert_int_equal(pair->client_answer, HBK_TLS_FAILED);
    assert_int_equal(hbk_tls_failure(pair->client).status, HBK_UNTRUSTED);
    assert_int_equal(hbk_tls_failure(pair->client).alert, HBK_ALERT_BAD_CERTIFICATE);
    assert_non_null(strstr(hbk_tls_failure(pair->client).text, "other.test"));
    assert_int_equal(pair->server_answer, HBK_TLS_FAILED);
    pair_free(pair);

    hbk_tls_context_unref(ends.client);
    hbk_tls_context_unref(ends.server);
    forged_free(&shop);
}

static void a_server_presents_the_certificate_of_the_name(void **state)
{
    (void)state;
    static const char *const names[] = {"DNS:first.test", "DNS:a.shop.test",
                                        "DNS:*.shop.test,DNS:shop.test", "DNS:B.shop.test"};
    enum { COUNT = HBK_COUNT(names) };
    static const struct {
        const char *asked; /* NULL: nothing */
        size_t presented;
    } cases[] = {
        {NULL, 0},          {"first.test", 0},    {"nobody.test", 0}, {"a.shop.test", 1},
        {"A.SHOP.test", 1}, {"b.shop.test", 3},   {"c.shop.test", 2}, {"shop.test", 2},
        {"10.0.0.1", 0},    {"c.d.shop.test", 0},
    };
    struct forged forged[COUNT];
    struct hbk_tls_certificate_options certificates[COUNT];
    for (size_t i = 0; i < COUNT; i++) {
        forged[i] = forge((struct forge){.signer = &root, .names = names[i]});
        certificates[i] = certificate_of(&forged[i]);
    }
    struct ends ends = {
        .client = browser_of(anybody),
        .server = context_of((struct hbk_tls_context_options){
            .certificates = certificates,
            .certificate_count = COUNT,
            .client_certificate = HBK_TLS_CLIENT_CERTIFICATE_NONE,
        }),
    };
    for (size_t i = 0; i < HBK_COUNT(cases); i++) {
        ends.server_name = cases[i].asked;
        struct pair *pair = shake_hands(&ends);
        both_are_done(pair);
        uint8_t hash[HBK_SHA256_BYTES];
        X509_digest(forged[cases[i].presented].certificate, EVP_sha256(), hash, NULL);
        if (memcmp(hash, hbk_tls_peer(pair->client)->leaf_sha256, sizeof hash) != 0) {
            fail_msg("%s gets another certificate", cases[i].asked);
        }
        pair_free(pair);
    }
    hbk_tls_context_unref(ends.client);
    hbk_tls_context_unref(ends.server);
    for (size_t i = 0; i < COUNT; i++) {
        forged_free(&forged[i]);
    }
}

/* More than libssl's shelf has places, each made before and let go of but for its context. */
static void a_server_of_many_certificates_presents_each_again_and_again(void **state)
{
    (void)state;
    enum { COUNT = HBK_OPENSSL_FORMS_MAX + 40, ROUNDS = 2 };
    const struct hbk_tls_certificate *made[COUNT];
    static uint8_t hashes[COUNT][HBK_SHA256_BYTES];
    char name[64];
    for (size_t i = 0; i < COUNT; i++) {
        (void)snprintf(name, sizeof name, "DNS:host-%zu.test", i);
        struct forged forged = forge((struct forge){.signer = &root, .names = name});
        struct hbk_tls_certificate_options options = certificate_of(&forged);
        struct hbk_error error = {.status = HBK_OK};
        assert_int_equal(hbk_tls_certificate_new(&options, &made[i], &error), HBK_OK);
        X509_digest(forged.certificate, EVP_sha256(), hashes[i], NULL);
        forged_free(&forged);
    }
    struct ends ends = {
        .client = browser_of(anybody),
        .server = context_of((struct hbk_tls_context_options){
            .made = made,
            .made_count = COUNT,
            .client_certificate = HBK_TLS_CLIENT_CERTIFICATE_NONE,
        }),
        .server_name = name,
    };
    for (size_t i = 0; i < COUNT; i++) {
        hbk_tls_certificate_unref(made[i]);
    }
    for (size_t i = 0; i < ROUNDS * COUNT; i++) {
        (void)snprintf(name, sizeof name, "host-%zu.test", i % COUNT);
        struct pair *pair = shake_hands(&ends);
        both_are_done(pair);
        assert_memory_equal(hbk_tls_peer(pair->client)->leaf_sha256, hashes[i % COUNT],
                            HBK_SHA256_BYTES);
        pair_free(pair);
    }
    hbk_tls_context_unref(ends.client);
    hbk_tls_context_unref(ends.server);
}

/* One name, three keys: what the client can verify decides, then the server's order. */
static void a_server_presents_a_key_that_the_client_can_verify(void **state)
{
    /* RFC 8446 4.4.2.2: a server presents a key that the client can verify */
    (void)state;
    enum { RSA, P256, ED25519, P384, COUNT };
    EVP_PKEY *keys[COUNT] = {EVP_RSA_gen(2048), EVP_EC_gen("P-256"),
                             EVP_PKEY_Q_keygen(NULL, NULL, "ED25519"), EVP_EC_gen("P-384")};
    static const struct {
        uint16_t schemes[2];
        size_t count;
        int presented; /* -1: none suits */
    } cases[] = {
        {{HBK_SIGN_ECDSA_P256_SHA256}, 1, P256},
        {{HBK_SIGN_ED25519}, 1, ED25519},
        {{HBK_SIGN_ECDSA_P384_SHA384}, 1, P384},
        {{HBK_SIGN_RSA_PSS_RSAE_SHA512}, 1, RSA},
        {{HBK_SIGN_ED25519, HBK_SIGN_ECDSA_P256_SHA256}, 2, P256},
        {{HBK_SIGN_ED25519, HBK_SIGN_RSA_PSS_RSAE_SHA256}, 2, RSA},
        {{HBK_SIGN_RSA_PSS_RSAE_SHA384}, 1, -1},
    };
    static const uint16_t rsa_schemes[] = {HBK_SIGN_RSA_PSS_RSAE_SHA512,
                                           HBK_SIGN_RSA_PSS_RSAE_SHA256};
    struct forged forged[COUNT];
    struct hbk_tls_certificate_options certificates[COUNT];
    for (size_t i = 0; i < COUNT; i++) {
        forged[i] = forge((struct forge){.signer = &root, .names = "DNS:x.test", .key = keys[i]});
        EVP_PKEY_free(keys[i]);
        certificates[i] = certificate_of(&forged[i]);
    }
    certificates[RSA].schemes = rsa_schemes;
    certificates[RSA].scheme_count = HBK_COUNT(rsa_schemes);
    struct hbk_tls_context *server = context_of((struct hbk_tls_context_options){
        .certificates = certificates,
        .certificate_count = COUNT,
        .client_certificate = HBK_TLS_CLIENT_CERTIFICATE_NONE,
    });
    for (size_t i = 0; i < HBK_COUNT(cases); i++) {
        const struct ends ends = {
            .client = context_of((struct hbk_tls_context_options){
                .trust = anybody,
                .client_certificate = HBK_TLS_CLIENT_CERTIFICATE_NONE,
                .verify_schemes = cases[i].schemes,
                .verify_scheme_count = cases[i].count,
            }),
            .server = server,
            .server_name = "x.test",
        };
        struct pair *pair = shake_hands(&ends);
        if (cases[i].presented < 0) {
            assert_int_equal(pair->server_answer, HBK_TLS_FAILED);
            assert_int_equal(hbk_tls_failure(pair->server).alert, HBK_ALERT_HANDSHAKE_FAILURE);
        } else {
            both_are_done(pair);
            uint8_t hash[HBK_SHA256_BYTES];
            X509_digest(forged[cases[i].presented].certificate, EVP_sha256(), hash, NULL);
            assert_memory_equal(hash, hbk_tls_peer(pair->client)->leaf_sha256, sizeof hash);
        }
        if (cases[i].presented == RSA) { /* the order is the certificate's */
            assert_int_equal(hbk_tls_agreement(pair->client).peer_scheme,
                             cases[i].count == 1 ? HBK_SIGN_RSA_PSS_RSAE_SHA512
                                                 : HBK_SIGN_RSA_PSS_RSAE_SHA256);
        }
        pair_free(pair);
        hbk_tls_context_unref(ends.client);
    }
    hbk_tls_context_unref(server);
    for (size_t i = 0; i < COUNT; i++) {
        forged_free(&forged[i]);
    }
}

/* What the server asks of its clients, what they have, and what comes of it. */
static void certificates_of_clients_are_required_asked_for_or_not(void **state)
{
    (void)state;
    struct forged strange_root = forge((struct forge)FORGE_ROOT("strange root"));
    struct forged stranger = forge((struct forge){.signer = &strange_root});
    const struct {
        enum hbk_tls_client_certificate wish;
        const struct forged *has; /* NULL: nothing */
        bool is_good;
        bool is_known;
        int alert;
    } cases[] = {
        {HBK_TLS_CLIENT_CERTIFICATE_REQUIRED, &client, true, true, 0},
        {HBK_TLS_CLIENT_CERTIFICATE_REQUIRED, NULL, false, false, HBK_ALERT_CERTIFICATE_REQUIRED},
        {HBK_TLS_CLIENT_CERTIFICATE_REQUIRED, &stranger, false, false, HBK_ALERT_UNKNOWN_CA},
        {HBK_TLS_CLIENT_CERTIFICATE_ASKED, &client, true, true, 0},
        {HBK_TLS_CLIENT_CERTIFICATE_ASKED, NULL, true, false, 0},
        {HBK_TLS_CLIENT_CERTIFICATE_ASKED, &stranger, false, false, HBK_ALERT_UNKNOWN_CA},
        {HBK_TLS_CLIENT_CERTIFICATE_NONE, &client, true, false, 0},
        {HBK_TLS_CLIENT_CERTIFICATE_NONE, NULL, true, false, 0},
    };
    struct hbk_tls_certificate_options own = certificate_of(&leaf);
    for (size_t i = 0; i < HBK_COUNT(cases); i++) {
        struct hbk_tls_certificate_options theirs =
            certificate_of(cases[i].has == NULL ? &client : cases[i].has);
        const struct ends ends = {
            .client = context_of((struct hbk_tls_context_options){
                .certificates = &theirs,
                .certificate_count = cases[i].has != NULL,
                .trust = mesh_trust,
            }),
            .server = context_of((struct hbk_tls_context_options){
                .certificates = &own,
                .certificate_count = 1,
                .trust = mesh_trust,
                .client_certificate = cases[i].wish,
            }),
        };
        struct pair *pair = shake_hands(&ends);
        assert_int_equal(pair->server_answer, cases[i].is_good ? HBK_TLS_DONE : HBK_TLS_FAILED);
        if (cases[i].is_good) {
            both_are_done(pair);
            assert_int_equal(hbk_tls_peer(pair->server) != NULL, cases[i].is_known);
        } else {
            assert_int_equal(hbk_tls_failure(pair->server).alert, cases[i].alert);
            assert_int_equal(hbk_tls_failure(pair->server).status, HBK_UNTRUSTED);
        }
        pair_free(pair);
        hbk_tls_context_unref(ends.client);
        hbk_tls_context_unref(ends.server);
    }
    forged_free(&stranger);
    forged_free(&strange_root);
}

/* RFC 7301, 3.2, from both ends: a flat table. */
static void protocols_are_agreed_on_by_the_servers_order(void **state)
{
    (void)state;
    static const struct {
        const char *client, *server; /* as RFC 7301 writes them */
        bool client_requires, server_requires;
        const char *agreed; /* NULL: refused */
    } cases[] = {
        {"\2h2", "\2h2", true, true, "h2"},
        {"\2h2\x08http/1.1", "\x08http/1.1\2h2", true, true, "http/1.1"},
        {"\x08http/1.1", "\2h2\x08http/1.1", false, true, "http/1.1"},
        {"\x08http/1.1", "\2h2", false, false, ""},
        {"\x08http/1.1", "\2h2", false, true, NULL},
        {"\x08http/1.1", "\2h2", true, false, NULL},
        {"", "\2h2", false, false, ""},
        {"", "\2h2", false, true, NULL},
        {"\2h2", "", false, false, ""},
        {"\2h2", "", true, false, NULL},
        {"", "", false, false, ""},
    };
    struct hbk_tls_certificate_options own = certificate_of(&leaf);
    for (size_t i = 0; i < HBK_COUNT(cases); i++) {
        const struct ends ends = {
            .client = context_of((struct hbk_tls_context_options){
                .trust = mesh_trust,
                .protocols = hbk_slice_text(cases[i].client),
                .requires_protocol = cases[i].client_requires,
            }),
            .server = context_of((struct hbk_tls_context_options){
                .certificates = &own,
                .certificate_count = 1,
                .client_certificate = HBK_TLS_CLIENT_CERTIFICATE_NONE,
                .protocols = hbk_slice_text(cases[i].server),
                .requires_protocol = cases[i].server_requires,
            }),
        };
        struct pair *pair = shake_hands(&ends);
        if (cases[i].agreed != NULL) {
            both_are_done(pair);
            struct hbk_slice agreed = hbk_slice_text(cases[i].agreed);
            assert_slice_equal(hbk_tls_agreement(pair->client).protocol, agreed);
            assert_slice_equal(hbk_tls_agreement(pair->server).protocol, agreed);
        } else {
            assert_int_equal(pair->client_answer, HBK_TLS_FAILED);
            assert_int_equal(hbk_tls_failure(pair->client).alert,
                             HBK_ALERT_NO_APPLICATION_PROTOCOL);
        }
        pair_free(pair);
        hbk_tls_context_unref(ends.client);
        hbk_tls_context_unref(ends.server);
    }
}

static void a_staple_is_sent_to_those_who_ask(void **state)
{
    (void)state;
    struct hbk_tls_certificate_options own = certificate_of(&leaf);
    struct hbk_tls_certificate_options stapled = own;
    stapled.staple = HBK_SLICE("an OCSP response");
    const struct {
        struct hbk_tls_certificate_options *certificate;
        bool asks;
        const char *got;
    } cases[] = {{&stapled, true, "an OCSP response"}, {&stapled, false, ""}, {&own, true, ""}};
    for (size_t i = 0; i < HBK_COUNT(cases); i++) {
        const struct ends ends = {
            .client = context_of((struct hbk_tls_context_options){.trust = mesh_trust,
                                                                  .asks_staple = cases[i].asks}),
            .server = context_of((struct hbk_tls_context_options){
                .certificates = cases[i].certificate,
                .certificate_count = 1,
                .client_certificate = HBK_TLS_CLIENT_CERTIFICATE_NONE,
            }),
        };
        struct pair *pair = shake_hands(&ends);
        both_are_done(pair);
        assert_slice_equal(hbk_tls_staple(pair->client), hbk_slice_text(cases[i].got));
        assert_int_equal(hbk_tls_staple(pair->server).size, 0);
        pair_free(pair);
        hbk_tls_context_unref(ends.client);
        hbk_tls_context_unref(ends.server);
    }
}

/* Ours sends none that is too long, unless its context is changed behind its back. */
static void a_staple_that_is_too_long_is_none(void **state)
{
    (void)state;
    static uint8_t bytes[HBK_TLS_STAPLE_BYTES_MAX + 1];
    struct hbk_tls_certificate_options own = certificate_of(&leaf);
    for (size_t size = HBK_TLS_STAPLE_BYTES_MAX; size <= sizeof bytes; size++) {
        const struct ends ends = {
            .client = context_of(
                (struct hbk_tls_context_options){.trust = mesh_trust, .asks_staple = true}),
            .server = context_of((struct hbk_tls_context_options){
                .certificates = &own,
                .certificate_count = 1,
                .client_certificate = HBK_TLS_CLIENT_CERTIFICATE_NONE,
            }),
        };
        struct hbk_tls_certificate *presented =
            (struct hbk_tls_certificate *)(uintptr_t)ends.server->certificates[0];
        presented->staple = hbk_slice_of(bytes, size);
        struct pair *pair = shake_hands(&ends);
        both_are_done(pair);
        assert_int_equal(hbk_tls_staple(pair->client).size,
                         size <= HBK_TLS_STAPLE_BYTES_MAX ? size : 0);
        presented->staple = hbk_slice_of(NULL, 0);
        pair_free(pair);
        hbk_tls_context_unref(ends.client);
        hbk_tls_context_unref(ends.server);
    }
}

/* RFC 8446, 4.2.4. */
static void a_client_presents_the_certificate_of_an_authority_that_was_named(void **state)
{
    /* RFC 8446 4.4.2.3: a client presents one of an authority that was named */
    (void)state;
    struct forged strange_root = forge((struct forge)FORGE_ROOT("strange root"));
    struct forged strange = forge((struct forge){.signer = &strange_root});
    struct hbk_tls_certificate_options own = certificate_of(&leaf);
    struct hbk_tls_certificate_options theirs[2] = {certificate_of(&strange),
                                                    certificate_of(&client)};
    theirs[0].must_match_issuer = true;
    theirs[1].must_match_issuer = true;
    for (int sends = 0; sends < 2; sends++) {
        const struct ends ends = {
            .client = context_of((struct hbk_tls_context_options){
                .certificates = theirs, .certificate_count = 2, .trust = mesh_trust}),
            .server = context_of((struct hbk_tls_context_options){
                .certificates = &own,
                .certificate_count = 1,
                .trust = mesh_trust,
                .client_certificate = HBK_TLS_CLIENT_CERTIFICATE_ASKED,
                .sends_authorities = sends != 0,
            }),
        };
        struct pair *pair = shake_hands(&ends);
        both_are_done(pair);
        assert_int_equal(hbk_tls_peer(pair->server) != NULL, sends);
        pair_free(pair);
        hbk_tls_context_unref(ends.client);
        hbk_tls_context_unref(ends.server);
    }
    forged_free(&strange);
    forged_free(&strange_root);
}

static void suites_and_groups_are_those_of_both_sides(void **state)
{
    (void)state;
    static const struct {
        uint16_t suite, group;
    } cases[] = {
        {HBK_SUITE_AES_128_GCM_SHA256, HBK_GROUP_X25519},
        {HBK_SUITE_AES_256_GCM_SHA384, HBK_GROUP_P256},
        {HBK_SUITE_CHACHA20_POLY1305_SHA256, HBK_GROUP_P384},
    };
    struct hbk_tls_certificate_options own = certificate_of(&leaf);
    struct hbk_tls_context *server = context_of((struct hbk_tls_context_options){
        .certificates = &own,
        .certificate_count = 1,
        .client_certificate = HBK_TLS_CLIENT_CERTIFICATE_NONE,
    });
    for (size_t i = 0; i < HBK_COUNT(cases); i++) {
        const struct ends ends = {
            .client = context_of((struct hbk_tls_context_options){
                .trust = mesh_trust,
                .suites = &cases[i].suite,
                .suite_count = 1,
                .groups = &cases[i].group,
                .group_count = 1,
            }),
            .server = server,
        };
        struct pair *pair = shake_hands(&ends);
        both_are_done(pair);
        struct hbk_tls_agreement agreement = hbk_tls_agreement(pair->server);
        assert_string_equal(agreement.cipher_text, hbk_cipher_suite_text(cases[i].suite));
        assert_int_equal(agreement.group, cases[i].group);
        /* Both ends export the same keys, and others for another context. */
        uint8_t keys[3][100];
        assert_int_equal(hbk_tls_export(pair->server, HBK_SLICE("label"), HBK_SLICE("context"),
                                        hbk_span_of(keys[0], sizeof keys[0])),
                         HBK_OK);
        assert_int_equal(hbk_tls_export(pair->client, HBK_SLICE("label"), HBK_SLICE("context"),
                                        hbk_span_of(keys[1], sizeof keys[1])),
                         HBK_OK);
        assert_int_equal(hbk_tls_export(pair->client, HBK_SLICE("label"), HBK_SLICE(""),
                                        hbk_span_of(keys[2], sizeof keys[2])),
                         HBK_OK);
        assert_memory_equal(keys[0], keys[1], sizeof keys[0]);
        assert_memory_not_equal(keys[0], keys[2], sizeof keys[0]);
        pair_free(pair);
        hbk_tls_context_unref(ends.client);
    }
    hbk_tls_context_unref(server);
}

static void an_export_has_limits(void **state)
{
    (void)state;
    static uint8_t out[255 * 32 + 1];
    static const uint8_t label[250];
    static const uint8_t context[65536];
    struct hbk_tls_certificate_options own = certificate_of(&leaf);
    const struct ends ends = {
        .client = browser_of(mesh_trust),
        .server = context_of((struct hbk_tls_context_options){
            .certificates = &own,
            .certificate_count = 1,
            .client_certificate = HBK_TLS_CLIENT_CERTIFICATE_NONE,
        }),
    };
    struct pair *pair =
        pair_of(&worker, ends.client, (struct hbk_tls_options){0}, ends.server, FORGE_NOW_NS);
    struct hbk_slice none = hbk_slice_of(NULL, 0);
    assert_int_equal(hbk_tls_export(pair->client, none, none, hbk_span_of(out, 1)), HBK_INVALID);
    pair_handshake(pair, 20000);
    both_are_done(pair);
    const struct {
        size_t label, context, size;
        hbk_status status;
    } cases[] = {
        {249, 65535, 255 * 32, HBK_OK},  {0, 0, 0, HBK_OK},
        {250, 0, 1, HBK_INVALID},        {0, 65536, 1, HBK_INVALID},
        {0, 0, 255 * 32 + 1, HBK_LIMIT},
    };
    for (size_t i = 0; i < HBK_COUNT(cases); i++) {
        assert_int_equal(hbk_tls_export(pair->client, hbk_slice_of(label, cases[i].label),
                                        hbk_slice_of(context, cases[i].context),
                                        hbk_span_of(out, cases[i].size)),
                         cases[i].status);
    }
    pair_free(pair);
    hbk_tls_context_unref(ends.client);
    hbk_tls_context_unref(ends.server);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_client_without_a_certificate_reaches_a_server_by_name),
        cmocka_unit_test(a_server_presents_the_certificate_of_the_name),
        cmocka_unit_test(a_server_of_many_certificates_presents_each_again_and_again),
        cmocka_unit_test(a_server_presents_a_key_that_the_client_can_verify),
        cmocka_unit_test(certificates_of_clients_are_required_asked_for_or_not),
        cmocka_unit_test(protocols_are_agreed_on_by_the_servers_order),
        cmocka_unit_test(a_staple_is_sent_to_those_who_ask),
        cmocka_unit_test(a_staple_that_is_too_long_is_none),
        cmocka_unit_test(a_client_presents_the_certificate_of_an_authority_that_was_named),
        cmocka_unit_test(suites_and_groups_are_those_of_both_sides),
        cmocka_unit_test(an_export_has_limits),
    };
    int failed = cmocka_run_group_tests_name("openssl", tests, set_up, tear_down);
    pair_engine = HBK_TLS_ENGINE_NATIVE;
    return failed + cmocka_run_group_tests_name("native", tests, set_up, tear_down);
}
