/* What a context may be made of, and what a worker's sessions share. */
#include "tls/context.h"

#include "stage.h"
#include "tls/engine.h"

/* A flat table behind what makes its certificates bad. */
static void a_context_that_cannot_be_is_refused_with_the_reason(void **state)
{
    (void)state;
    static const uint16_t strange[] = {0x1399};
    static const uint16_t doubled[] = {0xc02f, 0xc02f};
    static const uint16_t twice[] = {HBK_GROUP_P256, HBK_GROUP_P256};
    static const uint16_t rsa_scheme[] = {HBK_SIGN_RSA_PSS_RSAE_SHA256};
    static const uint16_t old_scheme[] = {HBK_SIGN_RSA_PKCS1_SHA256};
    static const uint16_t many[HBK_TLS_LIST_MAX + 1];
    static const uint8_t staple[HBK_TLS_STAPLE_BYTES_MAX + 1];
    static char protocols[300];
    EVP_PKEY *keys[] = {EVP_EC_gen("P-521"), EVP_RSA_gen(1024)};
    struct forged p521 = forge((struct forge){.signer = &root, .key = keys[0]});
    struct forged small = forge((struct forge){.signer = &root, .key = keys[1]});
    struct forged no_signature = forge((struct forge){.signer = &root, .usage = "keyAgreement"});
    struct hbk_tls_certificate_options good = certificate_of(&leaf);
    struct hbk_tls_certificate_options bad[10];
    for (size_t i = 0; i < HBK_COUNT(bad); i++) {
        bad[i] = good;
    }
    memset(protocols, 1, sizeof protocols);
    bad[0].private_key = client.key;
    bad[1].private_key = NULL;
    bad[2].chain_count = 0;
    bad[3].chain_count = HBK_CHAIN_CERTIFICATES_MAX + 1;
    bad[4].staple = hbk_slice_of(staple, sizeof staple);
    bad[5].schemes = rsa_scheme;
    bad[5].scheme_count = 1;
    bad[6] = certificate_of(&p521);
    bad[7] = certificate_of(&small);
    bad[8] = certificate_of(&no_signature);
    bad[9].schemes = many;
    bad[9].scheme_count = HBK_COUNT(many);
    struct hbk_tls_certificate_options second_is_bad[] = {good, bad[0]};
    const struct {
        struct hbk_tls_context_options options;
        hbk_status status;
        const char *text;
    } cases[] = {
        {{.certificates = &bad[0], .certificate_count = 1}, HBK_INVALID, "another certificate"},
        {{.certificates = second_is_bad, .certificate_count = 2}, HBK_INVALID, "certificate 2"},
        {{.certificates = &bad[1], .certificate_count = 1}, HBK_INVALID, "no private key"},
        {{.certificates = &bad[2], .certificate_count = 1}, HBK_INVALID, "1 to 8"},
        {{.certificates = &bad[3], .certificate_count = 1}, HBK_INVALID, "1 to 8"},
        {{.certificates = &bad[4], .certificate_count = 1}, HBK_INVALID, "OCSP"},
        {{.certificates = &bad[5], .certificate_count = 1},
         HBK_INVALID,
         "cannot sign with the scheme rsa_pss_rsae_sha256"},
        {{.certificates = &bad[6], .certificate_count = 1}, HBK_UNSUPPORTED, "secp521r1"},
        {{.certificates = &bad[7], .certificate_count = 1}, HBK_UNSUPPORTED, "1024"},
        {{.certificates = &bad[8], .certificate_count = 1}, HBK_INVALID, "digitalSignature"},
        {{.certificates = &bad[9], .certificate_count = 1}, HBK_INVALID, "at most 16"},
        {{.certificates = &good, .certificate_count = HBK_TLS_CERTIFICATES_MAX + 1},
         HBK_INVALID,
         "16384"},
        {{.suites = strange, .suite_count = 1}, HBK_UNSUPPORTED, "0x1399"},
        {{.tls12_suites = strange, .tls12_suite_count = 1}, HBK_UNSUPPORTED, "0x1399"},
        {{.tls12_suites = doubled, .tls12_suite_count = 2}, HBK_INVALID, "0xc02f stands"},
        {{.groups = strange, .group_count = 1}, HBK_UNSUPPORTED, "X25519"},
        {{.groups = twice, .group_count = 2}, HBK_INVALID, "twice"},
        {{.verify_schemes = old_scheme, .verify_scheme_count = 1}, HBK_UNSUPPORTED, "0x0401"},
        {{.suites = many, .suite_count = HBK_COUNT(many)}, HBK_INVALID, "at most 16"},
        {{.share_count = 4}, HBK_INVALID, "4 of 3 groups"},
        {{.share_count = 3}, HBK_INVALID, "at most 2"},
        {{.protocols = HBK_SLICE("\3h2")}, HBK_INVALID, "malformed"},
        {{.protocols = HBK_SLICE("\2h2\0")}, HBK_INVALID, "malformed"},
        {{.protocols = hbk_slice_of(protocols, sizeof protocols)}, HBK_INVALID, "at most 256"},
        {{.requires_protocol = true}, HBK_INVALID, "none is listed"},
        {{.record_size_limit = 63}, HBK_INVALID, "64 to 16385"},
        {{.record_size_limit = 16386}, HBK_INVALID, "64 to 16385"},
        {{.sent_record_bytes_max = 63}, HBK_INVALID, "64 to 16384"},
        {{.sent_record_bytes_max = 16385}, HBK_INVALID, "64 to 16384"},
        {{.certificate_bytes_max = (128 << 10) + 1}, HBK_INVALID, "at most 131072"},
    };
    for (size_t i = 0; i < HBK_COUNT(cases); i++) {
        struct hbk_tls_context_options options = cases[i].options;
        struct hbk_tls_context *context = NULL;
        struct hbk_error error = {0};
        options.trust = anybody;
        hbk_status status = hbk_tls_context_new(&options, &context, &error);
        if (status != cases[i].status || strstr(error.text, cases[i].text) == NULL) {
            fail_msg("case %zu: %s: %s", i, hbk_status_text(status), error.text);
        }
        assert_null(context);
        assert_int_equal(error.status, status);
    }
    forged_free(&p521);
    forged_free(&small);
    forged_free(&no_signature);
    EVP_PKEY_free(keys[0]);
    EVP_PKEY_free(keys[1]);
}

static void who_asks_for_certificates_must_know_whom_to_trust(void **state)
{
    (void)state;
    static const enum hbk_tls_client_certificate wishes[] = {HBK_TLS_CLIENT_CERTIFICATE_REQUIRED,
                                                             HBK_TLS_CLIENT_CERTIFICATE_ASKED};
    struct hbk_tls_context *context = NULL;
    for (size_t i = 0; i < HBK_COUNT(wishes); i++) {
        const struct hbk_tls_context_options options = {.client_certificate = wishes[i]};
        assert_int_equal(hbk_tls_context_new(&options, &context, NULL), HBK_INVALID);
    }
    context = context_of(
        (struct hbk_tls_context_options){.client_certificate = HBK_TLS_CLIENT_CERTIFICATE_NONE});
    /* It can neither serve nor be a client. */
    struct hbk_tls_session *session = NULL;
    struct hbk_tls_options options = {.role = HBK_TLS_SERVER, .worker = worker.tls};
    assert_int_equal(hbk_tls_session_new(context, &options, FORGE_NOW_NS, &session), HBK_INVALID);
    options.role = HBK_TLS_CLIENT;
    assert_int_equal(hbk_tls_session_new(context, &options, FORGE_NOW_NS, &session), HBK_INVALID);
    assert_null(session);
    hbk_tls_context_unref(context);
}

static void names_of_hosts_are_looked_at_before_anything_is_sent(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        hbk_status status;
    } cases[] = {
        {"", HBK_OK},
        {"shop.test", HBK_OK},
        {"shop.test.", HBK_OK},
        {"a_b.test", HBK_OK},
        {"localhost", HBK_OK},
        {"10.0.0.1", HBK_OK},
        {"fd00::1", HBK_OK},
        {".", HBK_INVALID},
        {"shop..test", HBK_INVALID},
        {".test", HBK_INVALID},
        {"a b", HBK_INVALID},
        {"a\nb", HBK_INVALID},
        {"[::1]", HBK_INVALID},
        {"sh\xc3\xb6p.test", HBK_INVALID},
    };
    struct hbk_tls_context *context = context_of((struct hbk_tls_context_options){
        .trust = anybody, .client_certificate = HBK_TLS_CLIENT_CERTIFICATE_NONE});
    for (size_t i = 0; i < HBK_COUNT(cases); i++) {
        struct hbk_tls_session *session = NULL;
        const struct hbk_tls_options options = {.role = HBK_TLS_CLIENT,
                                                .worker = worker.tls,
                                                .server_name = hbk_slice_text(cases[i].name)};
        if (hbk_tls_session_new(context, &options, FORGE_NOW_NS, &session) != cases[i].status) {
            fail_msg("%s", cases[i].name);
        }
        hbk_tls_session_free(session);
    }
    char label[64 + 6] = "";
    memset(label, 'a', 64);
    memcpy(label + 64, ".test", 6);
    assert_false(hbk_server_name_is_valid(hbk_slice_text(label)));
    assert_true(hbk_server_name_is_valid(hbk_slice_text(label + 1)));
    hbk_tls_context_unref(context);
}

/* ---- the worker ---- */

static void handshakes_in_flight_are_bounded_and_counted(void **state)
{
    (void)state;
    struct hbk_tls_context *context = browser_of(mesh_trust);
    const struct hbk_tls_worker_options options = {.keys = worker.keys, .handshakes_max = 2};
    struct hbk_tls_worker *small = NULL;
    assert_int_equal(hbk_tls_worker_new(&options, &small), HBK_OK);
    const struct hbk_tls_options session_options = {.role = HBK_TLS_CLIENT, .worker = small};
    struct hbk_tls_session *sessions[3] = {NULL};
    for (size_t i = 0; i < 3; i++) {
        assert_int_equal(hbk_tls_session_new(context, &session_options, FORGE_NOW_NS, &sessions[i]),
                         i < 2 ? HBK_OK : HBK_LIMIT);
    }
    assert_int_equal(hbk_tls_worker_in_flight(small), 2);
    assert_int_equal(hbk_tls_worker_counters(small)->handshakes_refused, 1);

    /* One fails, which makes room at once; its session still tells why. */
    uint8_t garbage[] = "GET / HTTP/1.1\r\n\r\n";
    uint8_t out[2000];
    size_t consumed = 0;
    size_t written = 0;
    assert_int_equal(hbk_tls_handshake(sessions[0], hbk_span_of(garbage, sizeof garbage), &consumed,
                                       hbk_span_of(out, sizeof out), &written),
                     HBK_TLS_FAILED);
    assert_int_equal(hbk_tls_worker_in_flight(small), 1);
    assert_int_equal(hbk_tls_worker_counters(small)->handshakes_failed[pair_engine], 1);
    assert_int_equal(hbk_tls_session_new(context, &session_options, FORGE_NOW_NS, &sessions[2]),
                     HBK_OK);
    for (size_t i = 0; i < 3; i++) {
        hbk_tls_session_free(sessions[i]);
    }
    assert_int_equal(hbk_tls_worker_in_flight(small), 0);
    hbk_tls_worker_free(small);
    hbk_tls_context_unref(context);
}

static void random_bytes_are_never_handed_out_twice(void **state)
{
    (void)state;
    uint8_t bytes[64][100];
    static uint8_t large[HBK_TLS_RANDOM_BYTES + 1];
    for (size_t i = 0; i < HBK_COUNT(bytes); i++) {
        assert_int_equal(hbk_tls_worker_random(worker.tls, hbk_span_of(bytes[i], 100)), HBK_OK);
        for (size_t j = 0; j < i; j++) {
            assert_memory_not_equal(bytes[i], bytes[j], 100);
        }
    }
    assert_int_equal(hbk_tls_worker_random(worker.tls, hbk_span_of(NULL, 0)), HBK_OK);
    assert_int_equal(hbk_tls_worker_random(worker.tls, hbk_span_of(large, sizeof large)), HBK_OK);
    assert_memory_not_equal(large, large + 100, 100);
    /* What was handed out is not left behind. */
    const uint8_t *stock = worker.tls->random;
    for (size_t i = 0; i + 100 <= sizeof worker.tls->random; i++) {
        assert_memory_not_equal(stock + i, bytes[63], 100);
    }
}

static void note_line(void *owner, const char *line)
{
    unsigned *lines = owner;
    *lines += strncmp(line, "EXPORTER_SECRET ", 16) == 0;
}

static void secrets_are_told_to_a_key_log_that_was_asked_for(void **state)
{
    (void)state;
    struct hbk_tls_certificate_options own = certificate_of(&leaf);
    struct ends ends = {
        .client = browser_of(mesh_trust),
        .server = context_of((struct hbk_tls_context_options){
            .certificates = &own,
            .certificate_count = 1,
            .client_certificate = HBK_TLS_CLIENT_CERTIFICATE_NONE,
        }),
    };
    unsigned lines = 0;
    const struct hbk_tls_worker_options options = {
        .keys = worker.keys, .key_log = note_line, .key_log_owner = &lines};
    struct pair_worker open_worker = {.keys = worker.keys};
    assert_int_equal(hbk_tls_worker_new(&options, &open_worker.tls), HBK_OK);
    struct pair *pair =
        pair_of(&open_worker, ends.client, (struct hbk_tls_options){0}, ends.server, FORGE_NOW_NS);
    pair_handshake(pair, 20000);
    both_are_done(pair);
    assert_int_equal(lines, 2); /* one of each side */
    pair_free(pair);
    hbk_tls_worker_free(open_worker.tls);
    hbk_tls_context_unref(ends.client);
    hbk_tls_context_unref(ends.server);
}

/* ---- memory ---- */

/* A context and a handshake with it; true when all went well. Everything is freed. */
static bool live_through(struct hbk_tls_context_options options)
{
    struct hbk_tls_context *server = NULL;
    struct hbk_tls_context *browser = NULL;
    static struct pair pair;
    memset(&pair, 0, sizeof pair);
    const struct hbk_tls_context_options browser_options = {
        .engine = pair_engine, .trust = anybody, .asks_staple = true};
    options.engine = pair_engine;
    pair.worker = &worker;
    struct hbk_tls_options as_client = {
        .role = HBK_TLS_CLIENT, .worker = worker.tls, .server_name = HBK_SLICE("b.test")};
    struct hbk_tls_options as_server = {.role = HBK_TLS_SERVER, .worker = worker.tls};
    bool is_good = hbk_tls_context_new(&options, &server, NULL) == HBK_OK &&
                   hbk_tls_context_new(&browser_options, &browser, NULL) == HBK_OK &&
                   hbk_tls_session_new(browser, &as_client, FORGE_NOW_NS, &pair.client) == HBK_OK &&
                   hbk_tls_session_new(server, &as_server, FORGE_NOW_NS, &pair.server) == HBK_OK;
    if (is_good) {
        pair_handshake(&pair, 20000);
        is_good = pair.client_answer == HBK_TLS_DONE && pair.server_answer == HBK_TLS_DONE &&
                  hbk_tls_staple(pair.client).size == 6;
    }
    hbk_tls_session_free(pair.client);
    hbk_tls_session_free(pair.server);
    hbk_tls_context_unref(server);
    hbk_tls_context_unref(browser);
    return is_good;
}

static void any_allocation_may_fail_without_a_trace(void **state)
{
    (void)state;
    struct forged forged[] = {forge((struct forge){.signer = &root, .names = "DNS:a.test"}),
                              forge((struct forge){.signer = &root, .names = "DNS:b.test"})};
    struct hbk_tls_certificate_options certificates[] = {certificate_of(&forged[0]),
                                                         certificate_of(&forged[1])};
    certificates[0].must_match_issuer = true;
    certificates[1].staple = HBK_SLICE("staple");
    const struct hbk_tls_context_options options = {
        .certificates = certificates,
        .certificate_count = 2,
        .trust = mesh_trust,
        .client_certificate = HBK_TLS_CLIENT_CERTIFICATE_ASKED,
        .sends_authorities = true,
        .protocols = HBK_SLICE("\2h2"),
    };
    assert_true(live_through(options));
    bool is_good = false;
    uint64_t number = 1;
    for (; number < 1000; number++) {
        heap_fail_at(number);
        is_good = live_through(options);
        bool has_failed = heap_allocations >= number;
        heap_fail_at(0);
        assert_int_equal(hbk_tls_worker_in_flight(worker.tls), 0);
        if (!has_failed) {
            break;
        }
    }
    assert_true(is_good);
    assert_in_range(number, 30, 300);
    forged_free(&forged[0]);
    forged_free(&forged[1]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_context_that_cannot_be_is_refused_with_the_reason),
        cmocka_unit_test(who_asks_for_certificates_must_know_whom_to_trust),
        cmocka_unit_test(names_of_hosts_are_looked_at_before_anything_is_sent),
        cmocka_unit_test(handshakes_in_flight_are_bounded_and_counted),
        cmocka_unit_test(random_bytes_are_never_handed_out_twice),
        cmocka_unit_test(secrets_are_told_to_a_key_log_that_was_asked_for),
        cmocka_unit_test(any_allocation_may_fail_without_a_trace),
    };
    int failed = cmocka_run_group_tests_name("openssl", tests, set_up, tear_down);
    pair_engine = HBK_TLS_ENGINE_NATIVE;
    return failed + cmocka_run_group_tests_name("native", tests, set_up, tear_down);
}
