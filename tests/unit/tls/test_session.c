#include "tls/session.h"

#include "pair.h"

static struct pair_mesh mesh;

static int set_up(void **state)
{
    (void)state;
    pair_mesh_init(&mesh);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    pair_mesh_fini(&mesh);
    assert_int_equal(hbk_spiffe_count(), 0);
    return 0;
}

/* Seals `plain` into a queue, in as many calls as it takes. */
static void seal(struct hbk_tls_session *session, struct hbk_slice plain, struct pair_queue *out,
                 size_t room_max)
{
    while (plain.size > 0) {
        size_t sealed = 0;
        size_t written = 0;
        enum hbk_tls_answer answer = hbk_tls_seal(
            session, &plain, 1, hbk_span_of(out->bytes + out->size, room_max), &sealed, &written);
        assert_true(answer == HBK_TLS_DONE || answer == HBK_TLS_WANT_ROOM);
        assert_true(sealed > 0);
        assert_true(written <= room_max);
        out->size += written;
        plain = hbk_slice_part(plain, sealed, plain.size);
    }
}

/* Opens all that is in the queue; returns the last answer. */
static enum hbk_tls_answer open_all(struct hbk_tls_session *session, struct pair_queue *in,
                                    uint8_t *plain, size_t *plain_size)
{
    size_t at = 0;
    for (;;) {
        size_t consumed = 0;
        struct hbk_slice piece;
        enum hbk_tls_answer answer =
            hbk_tls_open(session, hbk_span_of(in->bytes + at, in->size - at), &consumed, &piece);
        assert_true(piece.size == 0 || (piece.bytes >= in->bytes + at &&
                                        piece.bytes + piece.size <= in->bytes + at + consumed));
        at += consumed;
        if (piece.size > 0) {
            memcpy(plain + *plain_size, piece.bytes, piece.size);
            *plain_size += piece.size;
        }
        if (answer != HBK_TLS_DONE) {
            memmove(in->bytes, in->bytes + at, in->size - at);
            in->size -= at;
            return answer;
        }
    }
}

static void both_sides_learn_who_the_other_is(void **state)
{
    (void)state;
    struct pair *pair = pair_joined(&mesh);
    const struct hbk_peer *peer = hbk_tls_peer(pair->server);
    assert_slice_equal(peer->id->text, HBK_SLICE("spiffe://td.test/ns/shop/sa/web"));
    assert_int_equal(peer->not_after_ns, FORGE_NOW_NS + FORGE_HOUR_NS);
    assert_string_equal(peer->serial_text, "4d");
    peer = hbk_tls_peer(pair->client);
    assert_slice_equal(peer->id->text, HBK_SLICE("spiffe://td.test/ns/shop/sa/cart"));
    assert_ptr_equal(hbk_tls_session_context(pair->client), hbk_tls_credential_context(mesh.web));
    struct hbk_tls_agreement agreement = hbk_tls_agreement(pair->client);
    assert_string_equal(agreement.cipher_text, "TLS_AES_128_GCM_SHA256");
    assert_string_equal(agreement.group_text, "X25519");
    assert_string_equal(hbk_tls_version_text(agreement.version), "TLSv1.3");
    assert_int_equal(agreement.engine, pair_engine);
    assert_int_equal(agreement.peer_scheme, HBK_SIGN_ECDSA_P256_SHA256);
    assert_slice_equal(agreement.protocol, HBK_SLICE("h2"));
    assert_int_equal(agreement.server_name.size, 0);
    assert_false(agreement.was_resumed);
    pair_free(pair);
}

static void handshakes_survive_any_split_of_the_bytes(void **state)
{
    (void)state;
    static const size_t pieces[] = {1, 2, 7, 100, 1000, 5000, 20000};
    for (size_t i = 0; i < HBK_COUNT(pieces); i++) {
        struct pair *pair = pair_new(&mesh, mesh.web, NULL, mesh.cart, FORGE_NOW_NS);
        pair_handshake(pair, pieces[i]);
        assert_int_equal(pair->client_answer, HBK_TLS_DONE);
        assert_int_equal(pair->server_answer, HBK_TLS_DONE);
        pair_free(pair);
    }
}

static void data_passes_both_ways_in_any_sizes(void **state)
{
    (void)state;
    static const size_t sizes[] = {1, 64, 1000, 4096, 16384, 16385, 100000};
    static const size_t rooms[] = {23, 300, 20000, 120000};
    static uint8_t sent[100000];
    static uint8_t got[100000];
    struct pair *pair = pair_joined(&mesh);
    for (size_t i = 0; i < sizeof sent; i++) {
        sent[i] = (uint8_t)rand();
    }
    for (size_t i = 0; i < HBK_COUNT(sizes); i++) {
        for (size_t j = 0; j < HBK_COUNT(rooms); j++) {
            if (sizes[i] * 23 > sizeof pair->to_server.bytes && rooms[j] == 23) {
                continue;
            }
            size_t size = 0;
            seal(pair->client, hbk_slice_of(sent, sizes[i]), &pair->to_server, rooms[j]);
            assert_int_equal(open_all(pair->server, &pair->to_server, got, &size),
                             HBK_TLS_WANT_INPUT);
            assert_slice_equal(hbk_slice_of(got, size), hbk_slice_of(sent, sizes[i]));
            size = 0;
            seal(pair->server, hbk_slice_of(sent, sizes[i]), &pair->to_client, rooms[j]);
            assert_int_equal(open_all(pair->client, &pair->to_client, got, &size),
                             HBK_TLS_WANT_INPUT);
            assert_slice_equal(hbk_slice_of(got, size), hbk_slice_of(sent, sizes[i]));
        }
    }
    pair_free(pair);
}

static const struct hbk_spiffe_id *intern(const char *text)
{
    const struct hbk_spiffe_id *id = NULL;
    assert_int_equal(hbk_spiffe_intern(hbk_slice_text(text), &id), HBK_OK);
    return id;
}

/* ambient.md 3b: the client takes only the identities that it was given. */
static void a_client_refuses_another_than_the_expected_server(void **state)
{
    (void)state;
    const struct hbk_spiffe_id *cart = intern("spiffe://td.test/ns/shop/sa/cart");
    const struct hbk_spiffe_id *other = intern("spiffe://td.test/ns/shop/sa/other");
    const struct {
        const struct hbk_spiffe_id *ids[2];
        size_t count;
        const char *trust_domain;
        bool is_good;
    } cases[] = {
        {{cart, NULL}, 1, "", true},
        {{other, cart}, 2, "", true},
        {{other, NULL}, 1, "", false},
        {{other, NULL}, 1, "td.test", false}, /* ids go before the trust domain */
        {{NULL, NULL}, 0, "td.test", true},
        {{NULL, NULL}, 0, "other.test", false},
        {{NULL, NULL}, 0, "", true}, /* anybody who is trusted */
    };
    for (size_t i = 0; i < HBK_COUNT(cases); i++) {
        const struct hbk_expectation expected = {
            .ids = cases[i].ids,
            .id_count = cases[i].count,
            .trust_domain = hbk_slice_text(cases[i].trust_domain),
        };
        struct pair *pair = pair_new(&mesh, mesh.web, &expected, mesh.cart, FORGE_NOW_NS);
        pair_handshake(pair, 20000);
        assert_int_equal(pair->client_answer, cases[i].is_good ? HBK_TLS_DONE : HBK_TLS_FAILED);
        if (!cases[i].is_good) {
            struct hbk_tls_failure failure = hbk_tls_failure(pair->client);
            assert_int_equal(failure.status, HBK_UNTRUSTED);
            assert_non_null(strstr(failure.text, "spiffe://td.test/ns/shop/sa/cart"));
            /* The server hears of it in the handshake, where it still waits for a certificate. */
            assert_int_equal(pair->server_answer, HBK_TLS_FAILED);
            failure = hbk_tls_failure(pair->server);
            assert_int_equal(failure.status, HBK_CLOSED);
            assert_true(failure.alert_is_received);
            assert_int_equal(failure.alert, 42);
            assert_string_equal(failure.text, "the peer sent the alert bad_certificate");
        }
        pair_free(pair);
    }
    hbk_spiffe_unref(cart);
    hbk_spiffe_unref(other);
}

/* TLS 1.3 lets the client believe that all is well before the server has judged it. */
static void a_client_that_is_refused_hears_it_when_it_reads(void **state)
{
    (void)state;
    struct forged root = forge((struct forge)FORGE_ROOT("foreign root"));
    struct forged leaf = forge((struct forge){
        .signer = &root, .names = "critical,URI:spiffe://other.test/ns/shop/sa/web"});
    struct hbk_bundle *both[] = {forge_bundle("other.test", root.certificate),
                                 hbk_bundle_ref(mesh.bundles->bundles[0])};
    struct hbk_bundle_set *bundles = NULL;
    assert_int_equal(hbk_bundle_set_new(both, 2, &bundles), HBK_OK);
    struct hbk_tls_credential *foreign = pair_credential(&leaf, bundles);
    const struct hbk_expectation expected = {.trust_domain = HBK_SLICE("td.test")};

    struct pair *pair = pair_new(&mesh, foreign, &expected, mesh.cart, FORGE_NOW_NS);
    pair_handshake(pair, 20000);
    assert_int_equal(pair->client_answer, HBK_TLS_DONE);
    assert_int_equal(pair->server_answer, HBK_TLS_FAILED);
    assert_non_null(strstr(hbk_tls_failure(pair->server).text, "other.test"));
    uint8_t plain[16];
    size_t size = 0;
    assert_int_equal(open_all(pair->client, &pair->to_client, plain, &size), HBK_TLS_FAILED);
    assert_int_equal(hbk_tls_failure(pair->client).alert, 48); /* unknown_ca */
    assert_true(hbk_tls_failure(pair->client).alert_is_received);
    pair_free(pair);

    hbk_tls_credential_unref(foreign);
    hbk_bundle_set_unref(bundles);
    hbk_bundle_unref(both[0]);
    hbk_bundle_unref(both[1]);
    forged_free(&leaf);
    forged_free(&root);
}

static void a_clock_that_is_a_day_off_refuses_everybody(void **state)
{
    (void)state;
    static const int64_t steps_ns[] = {-FORGE_DAY_NS, FORGE_DAY_NS};
    for (size_t i = 0; i < HBK_COUNT(steps_ns); i++) {
        struct pair *pair = pair_new(&mesh, mesh.web, NULL, mesh.cart, FORGE_NOW_NS + steps_ns[i]);
        pair_handshake(pair, 20000);
        assert_int_equal(pair->client_answer, HBK_TLS_FAILED);
        assert_int_equal(hbk_tls_failure(pair->client).alert, 45);
        pair_free(pair);
    }
}

static void sessions_may_be_freed_at_any_point(void **state)
{
    (void)state;
    for (size_t steps = 0; steps < 8; steps++) {
        struct pair *pair = pair_new(&mesh, mesh.web, NULL, mesh.cart, FORGE_NOW_NS);
        pair->client_answer = HBK_TLS_WANT_INPUT;
        pair->server_answer = HBK_TLS_WANT_INPUT;
        for (size_t i = 0; i < steps; i++) {
            pair_step(pair->client, &pair->to_client, &pair->to_server, 700, 700,
                      &pair->client_answer);
            pair_step(pair->server, &pair->to_server, &pair->to_client, 700, 700,
                      &pair->server_answer);
        }
        assert_false(hbk_tls_has_output(pair->client));
        pair_free(pair);
    }
    hbk_tls_session_free(NULL);
}

/* A session keeps what it began with. */
static void a_credential_may_go_before_its_session(void **state)
{
    (void)state;
    struct forged leaf = forge((struct forge){.signer = &mesh.root});
    struct hbk_tls_credential *credential = pair_credential(&leaf, mesh.bundles);
    struct pair *pair = pair_new(&mesh, credential, NULL, mesh.cart, FORGE_NOW_NS);
    hbk_tls_credential_unref(credential);
    forged_free(&leaf);
    pair_handshake(pair, 20000);
    assert_int_equal(pair->client_answer, HBK_TLS_DONE);
    assert_int_equal(hbk_tls_context_engine(hbk_tls_session_context(pair->client)), pair_engine);
    pair_free(pair);
}

static void a_credential_needs_the_bundle_of_its_own_domain(void **state)
{
    (void)state;
    struct forged leaf = forge((struct forge){.signer = &mesh.root});
    struct hbk_svid *svid = forge_svid(&leaf);
    struct hbk_bundle_set *bundles = forge_bundle_set("other.test", mesh.root.certificate);
    struct hbk_tls_credential *credential = NULL;
    struct hbk_error error = {0};
    assert_int_equal(hbk_tls_credential_new(svid, bundles, 1, pair_engine, &credential, &error),
                     HBK_INVALID);
    assert_non_null(strstr(error.text, "td.test"));
    assert_null(credential);
    hbk_bundle_set_unref(bundles);
    hbk_svid_unref(svid);
    forged_free(&leaf);
}

/* ---- memory ---- */

/* The PEM texts of an identity and its root, made while the heap is whole. */
struct texts {
    char *chain, *key, *root;
};

/* Loads an identity and shakes hands as it; true when all went well. Everything is freed. */
static bool live_through_a_handshake(const struct texts *texts)
{
    struct hbk_svid *svid = NULL;
    struct hbk_bundle *bundle = NULL;
    struct hbk_bundle_set *set = NULL;
    struct hbk_tls_credential *credential = NULL;
    struct hbk_tls_session *client = NULL;
    struct hbk_tls_session *server = NULL;
    static struct pair pair;
    struct hbk_verdict_cache cache;
    struct hbk_tls_worker *worker = NULL;
    hbk_verdict_cache_init(&cache, 4);
    const struct hbk_tls_worker_options worker_options = {.keys = mesh.worker.keys,
                                                          .verdicts = &cache};
    struct hbk_tls_options as_client = {.role = HBK_TLS_CLIENT};
    struct hbk_tls_options as_server = {.role = HBK_TLS_SERVER};
    bool is_good = hbk_tls_worker_new(&worker_options, &worker) == HBK_OK;
    as_client.worker = worker;
    as_server.worker = worker;
    is_good = is_good &&
              hbk_svid_from_pem(hbk_slice_text(texts->chain), hbk_slice_text(texts->key), &svid,
                                NULL) == HBK_OK &&
              hbk_bundle_new(HBK_SLICE("td.test"), hbk_slice_text(texts->root),
                             hbk_slice_of(NULL, 0), &bundle, NULL) == HBK_OK &&
              hbk_bundle_set_new(&bundle, 1, &set) == HBK_OK &&
              hbk_tls_credential_new(svid, set, 1, pair_engine, &credential, NULL) == HBK_OK &&
              hbk_tls_session_new(hbk_tls_credential_context(credential), &as_client, FORGE_NOW_NS,
                                  &client) == HBK_OK &&
              hbk_tls_session_new(hbk_tls_credential_context(credential), &as_server, FORGE_NOW_NS,
                                  &server) == HBK_OK;
    if (is_good) {
        memset(&pair, 0, sizeof pair);
        pair.worker = &mesh.worker;
        pair.client = client;
        pair.server = server;
        pair_handshake(&pair, 20000);
        is_good = pair.client_answer == HBK_TLS_DONE && pair.server_answer == HBK_TLS_DONE;
    }
    if (is_good) {
        struct hbk_slice plain = HBK_SLICE("hello");
        uint8_t got[16];
        size_t size = 0, sealed = 0, written = 0;
        is_good = hbk_tls_seal(client, &plain, 1,
                               hbk_span_of(pair.to_server.bytes, sizeof pair.to_server.bytes),
                               &sealed, &written) == HBK_TLS_DONE;
        pair.to_server.size = written;
        is_good = is_good && open_all(server, &pair.to_server, got, &size) == HBK_TLS_WANT_INPUT;
    }
    hbk_tls_session_free(client);
    hbk_tls_session_free(server);
    hbk_tls_credential_unref(credential);
    hbk_tls_worker_free(worker);
    hbk_verdict_cache_fini(&cache);
    hbk_bundle_set_unref(set);
    hbk_bundle_unref(bundle);
    hbk_svid_unref(svid);
    return is_good;
}

static void any_allocation_may_fail_without_a_trace(void **state)
{
    (void)state;
    struct forged leaf = forge((struct forge){.signer = &mesh.root});
    struct texts texts = {
        .chain = forged_pem((X509 *[]){leaf.certificate, NULL}),
        .key = forged_key_pem(leaf.key),
        .root = forged_pem((X509 *[]){mesh.root.certificate, NULL}),
    };
    assert_true(live_through_a_handshake(&texts));
    size_t ids = hbk_spiffe_count();
    bool is_good = false;
    uint64_t number = 1;
    uint64_t survived = 0; /* a full heap keeps a verdict out of the cache, no more */
    for (; number < 1000; number++) {
        heap_fail_at(number);
        is_good = live_through_a_handshake(&texts);
        bool has_failed = heap_allocations >= number;
        heap_fail_at(0);
        assert_int_equal(hbk_spiffe_count(), ids);
        if (!has_failed) {
            break;
        }
        survived += is_good;
    }
    assert_true(is_good);
    assert_in_range(number, 15, 160);
    assert_true(survived <= 6);
    free(texts.chain);
    free(texts.key);
    free(texts.root);
    forged_free(&leaf);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(both_sides_learn_who_the_other_is),
        cmocka_unit_test(handshakes_survive_any_split_of_the_bytes),
        cmocka_unit_test(data_passes_both_ways_in_any_sizes),
        cmocka_unit_test(a_client_refuses_another_than_the_expected_server),
        cmocka_unit_test(a_client_that_is_refused_hears_it_when_it_reads),
        cmocka_unit_test(a_clock_that_is_a_day_off_refuses_everybody),
        cmocka_unit_test(sessions_may_be_freed_at_any_point),
        cmocka_unit_test(a_credential_may_go_before_its_session),
        cmocka_unit_test(a_credential_needs_the_bundle_of_its_own_domain),
        cmocka_unit_test(any_allocation_may_fail_without_a_trace),
    };
    int failed = cmocka_run_group_tests_name("openssl", tests, set_up, tear_down);
    pair_engine = HBK_TLS_ENGINE_NATIVE;
    return failed + cmocka_run_group_tests_name("native", tests, set_up, tear_down);
}
