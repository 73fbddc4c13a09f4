/* Our sessions against plain libssl, set up as a stranger would, well or badly. */
#include "tls/session.h"

#include <openssl/err.h>
#include <openssl/ssl.h>

#include "pair.h"
#include "tls/alert.h"

static struct pair_mesh mesh;
static struct forged stranger; /* libssl's certificate: spiffe://td.test/ns/shop/sa/stranger */

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

/* How libssl is set up; zeroes are a good peer. */
struct habits {
    bool is_server;
    bool has_no_certificate;
    int version;           /* the only one; default TLS 1.3 */
    const char *protocols; /* as RFC 7301 writes them; "" offers none; default "\2h2" */
    int group;             /* the only one, a NID; default: many */
    const char *suites;
    unsigned long options; /* SSL_OP_ of libssl to set */
    size_t tickets;
    const struct forged *certificate; /* default: stranger */
};

struct interop {
    struct pair_worker *worker; /* the session's */
    struct hbk_tls_session *session;
    SSL_CTX *context;
    SSL *ssl;
    BIO *to_ssl, *from_ssl; /* borrowed from ssl */
    enum hbk_tls_answer answer;
    int ssl_result;
    struct pair_queue wire; /* from libssl to the session */
};

static int accept_anybody(int is_good, X509_STORE_CTX *context)
{
    (void)is_good;
    (void)context;
    return 1;
}

static int choose_first(SSL *ssl, const unsigned char **out, unsigned char *out_size,
                        const unsigned char *offer, unsigned int offer_size, void *argument)
{
    const char *protocols = argument;
    (void)ssl;
    unsigned char *chosen = NULL;
    if (SSL_select_next_proto(&chosen, out_size, (const unsigned char *)protocols,
                              (unsigned)strlen(protocols), offer,
                              offer_size) != OPENSSL_NPN_NEGOTIATED) {
        return SSL_TLSEXT_ERR_NOACK;
    }
    *out = chosen;
    return SSL_TLSEXT_ERR_OK;
}

static SSL_CTX *make_context(const struct habits *habits)
{
    SSL_CTX *context = SSL_CTX_new(TLS_method());
    int version = habits->version == 0 ? TLS1_3_VERSION : habits->version;
    const char *protocols = habits->protocols == NULL ? "\2h2" : habits->protocols;
    const struct forged *own = habits->certificate == NULL ? &stranger : habits->certificate;
    assert_non_null(context);
    SSL_CTX_set_min_proto_version(context, version);
    SSL_CTX_set_max_proto_version(context, version);
    SSL_CTX_set_options(context, habits->options);
    SSL_CTX_set_verify(context, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, accept_anybody);
    SSL_CTX_set_num_tickets(context, habits->tickets);
    if (protocols[0] != '\0') {
        SSL_CTX_set_alpn_protos(context, (const unsigned char *)protocols,
                                (unsigned)strlen(protocols));
        SSL_CTX_set_alpn_select_cb(context, choose_first, (void *)(uintptr_t)protocols);
    }
    if (habits->group != 0) {
        int group = habits->group;
        assert_int_equal(SSL_CTX_set1_groups(context, &group, 1), 1);
    }
    if (habits->suites != NULL) {
        assert_int_equal(SSL_CTX_set_ciphersuites(context, habits->suites), 1);
    }
    if (!habits->has_no_certificate) {
        assert_int_equal(SSL_CTX_use_certificate(context, own->certificate), 1);
        assert_int_equal(SSL_CTX_use_PrivateKey(context, own->key), 1);
    }
    return context;
}

static struct interop *interop_new(const struct habits *habits)
{
    struct interop *interop = calloc(1, sizeof *interop);
    struct hbk_tls_options options = {
        .role = habits->is_server ? HBK_TLS_CLIENT : HBK_TLS_SERVER,
        .worker = mesh.worker.tls,
        .expectation = hbk_tls_credential_neighbours(mesh.cart),
    };
    assert_non_null(interop);
    interop->context = make_context(habits);
    interop->ssl = SSL_new(interop->context);
    interop->to_ssl = BIO_new(BIO_s_mem());
    interop->from_ssl = BIO_new(BIO_s_mem());
    SSL_set_bio(interop->ssl, interop->to_ssl, interop->from_ssl);
    if (habits->is_server) {
        SSL_set_accept_state(interop->ssl);
    } else {
        SSL_set_connect_state(interop->ssl);
    }
    interop->worker = &mesh.worker;
    assert_int_equal(hbk_tls_session_new(hbk_tls_credential_context(mesh.cart), &options,
                                         FORGE_NOW_NS, &interop->session),
                     HBK_OK);
    return interop;
}

static void interop_free(struct interop *interop)
{
    hbk_tls_session_free(interop->session);
    SSL_free(interop->ssl);
    SSL_CTX_free(interop->context);
    ERR_clear_error();
    free(interop);
}

/* What libssl has written goes on the wire. */
static void carry(struct interop *interop)
{
    int size = BIO_read(interop->from_ssl, interop->wire.bytes + interop->wire.size,
                        (int)(sizeof interop->wire.bytes - interop->wire.size));
    interop->wire.size += size > 0 ? (size_t)size : 0;
}

static void step_session(struct interop *interop)
{
    uint8_t out[20000];
    size_t consumed = 0;
    size_t written = 0;
    if (interop->answer == HBK_TLS_FAILED || interop->answer == HBK_TLS_DONE) {
        return;
    }
    interop->answer =
        hbk_tls_handshake(interop->session, hbk_span_of(interop->wire.bytes, interop->wire.size),
                          &consumed, hbk_span_of(out, sizeof out), &written);
    memmove(interop->wire.bytes, interop->wire.bytes + consumed, interop->wire.size - consumed);
    interop->wire.size -= consumed;
    BIO_write(interop->to_ssl, out, (int)written);
    if (interop->answer == HBK_TLS_WAITING) {
        pair_worker_flush(interop->worker);
        step_session(interop);
    }
}

static void shake_hands(struct interop *interop)
{
    interop->answer = HBK_TLS_WANT_INPUT;
    for (unsigned i = 0; i < 6; i++) {
        step_session(interop);
        interop->ssl_result = SSL_do_handshake(interop->ssl);
        carry(interop);
    }
}

static struct interop *interop_joined(const struct habits *habits)
{
    struct interop *interop = interop_new(habits);
    shake_hands(interop);
    assert_int_equal(interop->answer, HBK_TLS_DONE);
    assert_int_equal(interop->ssl_result, 1);
    return interop;
}

static void send_to_ssl(struct interop *interop, struct hbk_slice plain)
{
    uint8_t out[20000];
    size_t sealed = 0;
    size_t written = 0;
    assert_int_equal(
        hbk_tls_seal(interop->session, &plain, 1, hbk_span_of(out, sizeof out), &sealed, &written),
        HBK_TLS_DONE);
    BIO_write(interop->to_ssl, out, (int)written);
    char got[20000];
    assert_int_equal(SSL_read(interop->ssl, got, sizeof got), plain.size);
    assert_memory_equal(got, plain.bytes, plain.size);
    carry(interop);
}

/* Opens what is on the wire until there is data. */
static enum hbk_tls_answer receive(struct interop *interop, struct hbk_slice *plain)
{
    carry(interop);
    size_t at = 0;
    enum hbk_tls_answer answer = HBK_TLS_DONE;
    do {
        size_t consumed = 0;
        answer = hbk_tls_open(interop->session,
                              hbk_span_of(interop->wire.bytes + at, interop->wire.size - at),
                              &consumed, plain);
        at += consumed;
    } while (answer == HBK_TLS_DONE && plain->size == 0);
    interop->wire.size = 0;
    return answer;
}

static void expect_from_ssl(struct interop *interop, struct hbk_slice plain)
{
    struct hbk_slice got;
    assert_int_equal(SSL_write(interop->ssl, plain.bytes, (int)plain.size), plain.size);
    assert_int_equal(receive(interop, &got), HBK_TLS_DONE);
    assert_slice_equal(got, plain);
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
            hbk_tls_update_keys(interop->session);
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
        shake_hands(interop);
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
        shake_hands(interop);
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
        shake_hands(interop);
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
        cmocka_unit_test(the_verdict_cache_serves_later_handshakes),
    };
    int failed = cmocka_run_group_tests_name("openssl", tests, set_up, tear_down);
    pair_engine = HBK_TLS_ENGINE_NATIVE;
    return failed + cmocka_run_group_tests_name("native", tests, set_up, tear_down);
}
