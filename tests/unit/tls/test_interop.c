/* Our sessions against plain libssl, set up as a stranger would, well or badly. */
#include "tls/session.h"

#include "stranger.h"
#include "tls/alert.h"

static struct pair_mesh mesh; /* the stranger is spiffe://td.test/ns/shop/sa/stranger */

static int set_up(void **state)
{
    (void)state;
    pair_mesh_init(&mesh);
    stranger = forge((struct forge){.signer = &mesh.root,
                                    .names = "critical,URI:spiffe://td.test/ns/shop/sa/stranger"});
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    forged_free(&stranger);
    pair_mesh_fini(&mesh);
    return 0;
}

static struct interop *interop_new(const struct habits *habits)
{
    const struct hbk_tls_options options = {.expectation =
                                                hbk_tls_credential_neighbours(mesh.cart)};
    return interop_of(habits, NULL, &mesh.worker, hbk_tls_credential_context(mesh.cart), options);
}

static struct interop *interop_joined(const struct habits *habits)
{
    struct interop *interop = interop_new(habits);
    interop_shake(interop);
    assert_int_equal(interop->answer, HBK_TLS_DONE);
    assert_int_equal(interop->ssl_result, 1);
    return interop;
}

static void libssl_and_we_understand_each_other(void **state)
{
    (void)state;
    static const struct habits cases[] = {
        {.is_server = false},
        {.is_server = true},
        {.is_server = false, .suites = "TLS_AES_256_GCM_SHA384"},
        {.is_server = true, .suites = "TLS_AES_256_GCM_SHA384"},
        {.is_server = false, .group = NID_X9_62_prime256v1},
        {.is_server = true, .group = NID_X9_62_prime256v1}, /* by a HelloRetryRequest */
        {.is_server = true, .group = NID_secp384r1},
        {.is_server = true, .tickets = 2},
        {.is_server = false, .protocols = "\x08http/1.1\2h2"},
    };
    for (size_t i = 0; i < HBK_COUNT(cases); i++) {
        struct interop *interop = interop_joined(&cases[i]);
        assert_slice_equal(hbk_tls_peer(interop->session)->id->text,
                           HBK_SLICE("spiffe://td.test/ns/shop/sa/stranger"));
        send_to_ssl(interop, HBK_SLICE("hello"));
        expect_from_ssl(interop, HBK_SLICE("good day"));
        static uint8_t large[16384];
        memset(large, (int)i, sizeof large);
        send_to_ssl(interop, hbk_slice_of(large, sizeof large));
        expect_from_ssl(interop, hbk_slice_of(large, sizeof large));
        interop_free(interop);
    }
}

static void keys_are_updated_by_either_side(void **state)
{
    (void)state;
    for (int is_server = 0; is_server < 2; is_server++) {
        struct interop *interop = interop_joined(&(struct habits){.is_server = is_server != 0});
        for (unsigned round = 0; round < 3; round++) {
            assert_int_equal(SSL_key_update(interop->ssl, SSL_KEY_UPDATE_REQUESTED), 1);
            expect_from_ssl(interop, HBK_SLICE("libssl asks"));
            assert_true(hbk_tls_has_output(interop->session));
            send_to_ssl(interop, HBK_SLICE("we answer"));
            assert_false(hbk_tls_has_output(interop->session));
            hbk_tls_update_keys(interop->session, true);
            send_to_ssl(interop, HBK_SLICE("we ask"));
            expect_from_ssl(interop, HBK_SLICE("libssl answers"));
        }
        interop_free(interop);
    }
}

static void either_side_may_end(void **state)
{
    (void)state;
    struct interop *interop = interop_joined(&(struct habits){.is_server = false});
    struct hbk_slice plain;
    uint8_t out[HBK_TLS_CONTROL_BYTES_MAX];
    size_t written = 0;
    char byte;
    assert_int_equal(SSL_shutdown(interop->ssl), 0);
    assert_int_equal(receive(interop, &plain), HBK_TLS_CLOSED);
    assert_int_equal(hbk_tls_shutdown(interop->session, hbk_span_of(out, sizeof out), &written),
                     HBK_TLS_DONE);
    BIO_write(interop->to_ssl, out, (int)written);
    assert_int_equal(SSL_read(interop->ssl, &byte, 1), 0);
    assert_int_equal(SSL_get_error(interop->ssl, 0), SSL_ERROR_ZERO_RETURN);
    interop_free(interop);
}

/* Peers that we refuse, the alert that we send, and what we say about it. */
static void strangers_with_bad_habits_are_refused(void **state)
{
    (void)state;
    static const struct {
        struct habits habits;
        hbk_status status;
        int alert;
        const char *text; /* part of the failure's */
    } cases[] = {
        {{.has_no_certificate = true},
         HBK_UNTRUSTED,
         HBK_ALERT_CERTIFICATE_REQUIRED,
         "no certificate"},
        {{.version = TLS1_2_VERSION}, HBK_UNSUPPORTED, HBK_ALERT_PROTOCOL_VERSION, ""},
        {{.is_server = true, .version = TLS1_2_VERSION},
         HBK_CLOSED,
         HBK_ALERT_PROTOCOL_VERSION,
         "alert"},
        {{.protocols = ""}, HBK_UNSUPPORTED, HBK_ALERT_NO_APPLICATION_PROTOCOL, "h2"},
        {{.protocols = "\x08http/1.1"}, HBK_UNSUPPORTED, HBK_ALERT_NO_APPLICATION_PROTOCOL, "h2"},
        {{.is_server = true, .protocols = ""},
         HBK_UNSUPPORTED,
         HBK_ALERT_NO_APPLICATION_PROTOCOL,
         "h2"},
        {{.is_server = true, .protocols = "\x08http/1.1"},
         HBK_UNSUPPORTED,
         HBK_ALERT_NO_APPLICATION_PROTOCOL,
         "h2"},
        {{.suites = "TLS_CHACHA20_POLY1305_SHA256"},
         HBK_INVALID,
         HBK_ALERT_HANDSHAKE_FAILURE,
         "cipher"},
        {{.group = NID_secp521r1}, HBK_INVALID, HBK_ALERT_HANDSHAKE_FAILURE, ""},
    };
    for (size_t i = 0; i < HBK_COUNT(cases); i++) {
        struct interop *interop = interop_new(&cases[i].habits);
        interop_shake(interop);
        assert_int_equal(interop->answer, HBK_TLS_FAILED);
        struct hbk_tls_failure failure = hbk_tls_failure(interop->session);
        if (failure.status != cases[i].status || failure.alert != cases[i].alert ||
            strstr(failure.text, cases[i].text) == NULL) {
            fail_msg("case %zu: %s, alert %s: %s", i, hbk_status_text(failure.status),
                     hbk_tls_alert_text(failure.alert), failure.text);
        }
        interop_free(interop);
    }
}

static void refused_certificates_are_told_with_the_right_alert(void **state)
{
    (void)state;
    struct forged root = forge((struct forge)FORGE_ROOT("foreign root"));
    const struct {
        struct forge leaf;
        int alert;
        const char *text;
    } cases[] = {
        {{.signer = &root}, HBK_ALERT_UNKNOWN_CA, "issuer"},
        {{.signer = &mesh.root, .end_ns = FORGE_NOW_NS - FORGE_HOUR_NS / 2},
         HBK_ALERT_CERTIFICATE_EXPIRED,
         "expired 2026-11-23 11:30:00 UTC"},
        {{.signer = &mesh.root, .start_ns = FORGE_NOW_NS + FORGE_HOUR_NS / 2},
         HBK_ALERT_CERTIFICATE_EXPIRED,
         "not valid before 2026-11-23 12:30:00 UTC"},
        {{.signer = &mesh.root, .names = "critical,URI:spiffe://a/b,URI:spiffe://a/c"},
         HBK_ALERT_BAD_CERTIFICATE,
         "2 URI names"},
        {{.signer = &mesh.root, .names = "-", .common_name = "x"},
         HBK_ALERT_BAD_CERTIFICATE,
         "no names"},
        {{.signer = &mesh.root, .names = "critical,URI:spiffe://other.test/ns/a/sa/b"},
         HBK_ALERT_UNKNOWN_CA,
         "no bundle for the trust domain other.test"},
        {{.signer = &mesh.root, .purposes = "serverAuth"},
         HBK_ALERT_UNSUPPORTED_CERTIFICATE,
         "purpose"},
    };
    for (size_t i = 0; i < HBK_COUNT(cases); i++) {
        struct forged leaf = forge(cases[i].leaf);
        struct interop *interop = interop_new(&(struct habits){.certificate = &leaf});
        interop_shake(interop);
        assert_int_equal(interop->answer, HBK_TLS_FAILED);
        struct hbk_tls_failure failure = hbk_tls_failure(interop->session);
        if (failure.status != HBK_UNTRUSTED || failure.alert != cases[i].alert ||
            failure.alert_is_received || strstr(failure.text, cases[i].text) == NULL) {
            fail_msg("case %zu: alert %s: %s", i, hbk_tls_alert_text(failure.alert), failure.text);
        }
        assert_null(hbk_tls_peer(interop->session));
        /* The alert went out: libssl has read it. */
        char byte;
        assert_true(SSL_read(interop->ssl, &byte, 1) <= 0);
        assert_int_equal(ERR_GET_REASON(ERR_peek_last_error()), 1000 + cases[i].alert);
        interop_free(interop);
        forged_free(&leaf);
    }
    forged_free(&root);
}

static void garbage_is_refused_without_a_crash(void **state)
{
    (void)state;
    static const struct {
        const char *bytes;
        size_t size;
    } cases[] = {
        {"GET / HTTP/1.1\r\nHost: x\r\n\r\n", 27},
        {"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 24},
        {"\x16\x03\x01\x00\x05\x01\x00\x00\x01\x00", 10},
        {"\x16\x03\x01\xff\xff\x01\x00\x00\x01\x00", 10},
        {"\x17\x03\x03\x00\x05\x01\x00\x00\x01\x00", 10},
        {"\x15\x03\x01\x00\x02\x02\x28", 7},
        {"\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00", 12},
    };
    for (size_t i = 0; i < HBK_COUNT(cases); i++) {
        struct interop *interop = interop_new(&(struct habits){.is_server = false});
        memcpy(interop->wire.bytes, cases[i].bytes, cases[i].size);
        interop->wire.size = cases[i].size;
        interop->answer = HBK_TLS_WANT_INPUT;
        step_session(interop);
        assert_int_equal(interop->answer, HBK_TLS_FAILED);
        assert_true(strlen(hbk_tls_failure(interop->session).text) > 0);
        interop_free(interop);
    }
}

/* libssl presents nothing that is not signed by what we name (signature_algorithms_cert). */
static void certificates_of_every_kind_of_authority_are_asked_for(void **state)
{
    (void)state;
    static const char *const digests[] = {"SHA256", "SHA384", "SHA512"};
    EVP_PKEY *keys[] = {EVP_RSA_gen(2048), EVP_EC_gen("P-256"), EVP_EC_gen("P-384"),
                        EVP_EC_gen("P-521")};
    const struct forged usual = stranger;
    for (size_t i = 0; i < HBK_COUNT(keys) * HBK_COUNT(digests); i++) {
        struct forge wish = FORGE_ROOT("another root");
        wish.key = keys[i / HBK_COUNT(digests)];
        struct forged another = forge(wish);
        stranger = forge((struct forge){.signer = &another,
                                        .names = "critical,URI:spiffe://td.test/a/b",
                                        .digest = digests[i % HBK_COUNT(digests)]});
        struct hbk_bundle_set *bundles = forge_bundle_set("td.test", another.certificate);
        struct hbk_tls_credential *credential = pair_credential(&stranger, bundles);
        for (int is_server = 0; is_server < 2; is_server++) {
            const struct habits habits = {.is_server = is_server != 0};
            struct interop *interop =
                interop_of(&habits, NULL, &mesh.worker, hbk_tls_credential_context(credential),
                           (struct hbk_tls_options){0});
            interop_shake(interop);
            if (interop->answer != HBK_TLS_DONE || interop->ssl_result != 1) {
                fail_msg("authority %zu: %s", i, ERR_reason_error_string(ERR_peek_error()));
            }
            interop_free(interop);
        }
        hbk_tls_credential_unref(credential);
        hbk_bundle_set_unref(bundles);
        forged_free(&stranger);
        forged_free(&another);
    }
    stranger = usual;
    for (size_t i = 0; i < HBK_COUNT(keys); i++) {
        EVP_PKEY_free(keys[i]);
    }
}

static void the_verdict_cache_serves_later_handshakes(void **state)
{
    (void)state;
    struct pair_worker worker;
    pair_worker_init(&worker, 4);
    for (unsigned i = 0; i < 3; i++) {
        struct interop *interop = interop_new(&(struct habits){.is_server = false});
        hbk_tls_session_free(interop->session);
        const struct hbk_tls_options options = {.role = HBK_TLS_SERVER, .worker = worker.tls};
        interop->worker = &worker;
        assert_int_equal(hbk_tls_session_new(hbk_tls_credential_context(mesh.cart), &options,
                                             FORGE_NOW_NS, &interop->session),
                         HBK_OK);
        interop_shake(interop);
        assert_int_equal(interop->answer, HBK_TLS_DONE);
        interop_free(interop);
    }
    assert_int_equal(worker.verdicts.misses, 1);
    assert_int_equal(worker.verdicts.hits, 2);
    assert_int_equal(hbk_tls_worker_counters(worker.tls)->handshakes_full[pair_engine], 3);
    pair_worker_fini(&worker);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(libssl_and_we_understand_each_other),
        cmocka_unit_test(keys_are_updated_by_either_side),
        cmocka_unit_test(either_side_may_end),
        cmocka_unit_test(strangers_with_bad_habits_are_refused),
        cmocka_unit_test(refused_certificates_are_told_with_the_right_alert),
        cmocka_unit_test(garbage_is_refused_without_a_crash),
        cmocka_unit_test(certificates_of_every_kind_of_authority_are_asked_for),
        cmocka_unit_test(the_verdict_cache_serves_later_handshakes),
    };
    int failed = cmocka_run_group_tests_name("openssl", tests, set_up, tear_down);
    pair_engine = HBK_TLS_ENGINE_NATIVE;
    return failed + cmocka_run_group_tests_name("native", tests, set_up, tear_down);
}
