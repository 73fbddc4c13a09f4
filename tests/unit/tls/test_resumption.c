/* Sessions that go on where others ended: what is resumed, and what is not, with each engine. */
#include "tls/ticket.h"

#include <openssl/core_names.h>
#include <openssl/rand.h>

#include "stage.h"
#include "stranger.h"
#include "tls/alert.h"
#include "tls/certificate.h"
#include "tls/engine.h"

static struct forged shop; /* the server's certificate: DNS:shop.test, DNS:other.test */
static struct forged shop_again;

static int set_up_shop(void **state)
{
    assert_int_equal(set_up(state), 0);
    const struct forge wish = {.signer = &root, .names = "DNS:shop.test,DNS:other.test"};
    shop = forge(wish);
    shop_again = forge(wish);
    return 0;
}

static int tear_down_shop(void **state)
{
    forged_free(&shop);
    forged_free(&shop_again);
    return tear_down(state);
}

static struct hbk_tls_ticket_keys *keys_of(const char *first, const char *second)
{
    uint8_t bytes[2][HBK_TLS_TICKET_KEY_BYTES] = {{0}};
    const struct hbk_slice keys[] = {hbk_slice_of(bytes[0], sizeof bytes[0]),
                                     hbk_slice_of(bytes[1], sizeof bytes[1])};
    struct hbk_tls_ticket_keys *made = NULL;
    memcpy(bytes[0], first, strlen(first));
    memcpy(bytes[1], second, strlen(second));
    assert_int_equal(hbk_tls_ticket_keys_new(keys, second[0] == '\0' ? 1 : 2, &made), HBK_OK);
    return made;
}

/* How a server stands; zeros are the usual. */
struct stand {
    const struct forged *certificate; /* default: shop */
    const struct hbk_trust *trust;    /* default: the mesh */
    enum hbk_tls_client_certificate wish;
    const char *keys[2]; /* default: "a" */
    bool allows_tls12;
};

static struct hbk_tls_context *server_of(struct stand stand)
{
    struct hbk_tls_certificate_options own =
        certificate_of(stand.certificate == NULL ? &shop : stand.certificate);
    const char *first = stand.keys[0] == NULL ? "a" : stand.keys[0];
    struct hbk_tls_ticket_keys *keys = keys_of(first, stand.keys[1] == NULL ? "" : stand.keys[1]);
    struct hbk_tls_context *context = context_of((struct hbk_tls_context_options){
        .certificates = &own,
        .certificate_count = 1,
        .trust = stand.trust == NULL ? mesh_trust : stand.trust,
        .client_certificate = stand.wish,
        .ticket_keys = keys,
        .allows_tls12 = stand.allows_tls12,
    });
    hbk_tls_ticket_keys_unref(keys);
    return context;
}

static struct hbk_tls_context *client_of(const struct forged *certificate)
{
    struct hbk_tls_certificate_options own =
        certificate_of(certificate == NULL ? &client : certificate);
    return context_of((struct hbk_tls_context_options){
        .certificates = &own,
        .certificate_count = certificate != NULL,
        .trust = name_trust,
        .resumes = true,
    });
}

/* A visit to a server, with a ticket of an earlier one or without. */
struct visit {
    struct hbk_tls_context *client, *server;
    const char *host; /* default: shop.test */
    struct hbk_tls_ticket *ticket;
    int64_t now_ns; /* default: FORGE_NOW_NS */
};

struct outcome {
    bool was_resumed;
    bool knows_client;
    struct hbk_tls_ticket *ticket; /* the newest that came; the caller's */
};

/* What arrives behind the handshake: tickets. */
static void open_tickets(struct pair *pair)
{
    struct hbk_slice plain;
    size_t consumed = 0;
    size_t at = 0;
    while (hbk_tls_open(pair->client,
                        hbk_span_of(pair->to_client.bytes + at, pair->to_client.size - at),
                        &consumed, &plain) == HBK_TLS_DONE) {
        assert_int_equal(plain.size, 0);
        at += consumed;
    }
    assert_int_equal(at, pair->to_client.size);
    pair->to_client.size = 0;
}

static void say_hello(struct hbk_tls_session *from, struct hbk_tls_session *to)
{
    struct hbk_slice plain = HBK_SLICE("hello");
    uint8_t wire[256];
    size_t sealed = 0;
    size_t written = 0;
    size_t consumed = 0;
    assert_int_equal(
        hbk_tls_seal(from, &plain, 1, hbk_span_of(wire, sizeof wire), &sealed, &written),
        HBK_TLS_DONE);
    assert_int_equal(hbk_tls_open(to, hbk_span_of(wire, written), &consumed, &plain), HBK_TLS_DONE);
    assert_slice_equal(plain, HBK_SLICE("hello"));
}

static struct outcome call(struct visit visit)
{
    const struct hbk_tls_options options = {
        .server_name = hbk_slice_text(visit.host == NULL ? "shop.test" : visit.host),
        .ticket = visit.ticket,
    };
    struct pair *pair = pair_of(&worker, visit.client, options, visit.server,
                                visit.now_ns == 0 ? FORGE_NOW_NS : visit.now_ns);
    pair_handshake(pair, 20000);
    both_are_done(pair);
    open_tickets(pair);
    say_hello(pair->server, pair->client); /* both ends count records alike */
    say_hello(pair->client, pair->server);
    struct hbk_tls_agreement ours = hbk_tls_agreement(pair->server);
    assert_int_equal(hbk_tls_agreement(pair->client).was_resumed, ours.was_resumed);
    assert_slice_equal(hbk_tls_peer(pair->client)->names.dns_names,
                       HBK_SLICE("shop.test\0other.test\0"));
    const struct hbk_certificate_names *own =
        hbk_tls_certificate_names(hbk_tls_own_certificate(pair->server));
    assert_slice_equal(own->dns_names, HBK_SLICE("shop.test\0other.test\0"));
    const struct outcome outcome = {
        .was_resumed = ours.was_resumed,
        .knows_client = hbk_tls_peer(pair->server) != NULL,
        .ticket = hbk_tls_take_ticket(pair->client),
    };
    pair_free(pair);
    return outcome;
}

/* Visits, and comes back with the ticket; releases both tickets. */
static struct outcome call_twice(struct visit first, struct visit second)
{
    struct outcome outcome = call(first);
    assert_false(outcome.was_resumed);
    assert_non_null(outcome.ticket);
    second.ticket = outcome.ticket;
    outcome = call(second);
    hbk_tls_ticket_unref(second.ticket);
    hbk_tls_ticket_unref(outcome.ticket);
    return outcome;
}

static void a_second_visit_resumes_and_a_third(void **state)
{
    (void)state;
    struct visit visit = {client_of(&client), server_of((struct stand){0})};
    uint64_t before = hbk_tls_worker_counters(worker.tls)->handshakes_resumed[pair_engine];
    for (unsigned i = 0; i < 3; i++) {
        struct outcome outcome = call(visit);
        assert_int_equal(outcome.was_resumed, i > 0);
        assert_true(outcome.knows_client);
        assert_non_null(outcome.ticket);
        hbk_tls_ticket_unref(visit.ticket);
        visit.ticket = outcome.ticket;
    }
    assert_int_equal(hbk_tls_worker_counters(worker.tls)->handshakes_resumed[pair_engine] - before,
                     4);
    hbk_tls_ticket_unref(visit.ticket);
    hbk_tls_context_unref(visit.client);
    hbk_tls_context_unref(visit.server);
}

static void whoever_was_nobody_stays_nobody(void **state)
{
    (void)state;
    static const enum hbk_tls_client_certificate wishes[] = {HBK_TLS_CLIENT_CERTIFICATE_ASKED,
                                                             HBK_TLS_CLIENT_CERTIFICATE_NONE};
    for (size_t i = 0; i < HBK_COUNT(wishes); i++) {
        struct visit visit = {client_of(NULL), server_of((struct stand){.wish = wishes[i]})};
        struct outcome outcome = call_twice(visit, visit);
        assert_true(outcome.was_resumed);
        assert_false(outcome.knows_client);
        hbk_tls_context_unref(visit.client);
        hbk_tls_context_unref(visit.server);
    }
}

/* A flat table: what has changed between two visits, and whether the second resumes. */
static void a_ticket_is_bound_to_what_it_was_given_for(void **state)
{
    (void)state;
    struct forged next_root = forge((struct forge)FORGE_ROOT("next root"));
    struct hbk_bundle_set *next = forge_bundle_set("td.test", next_root.certificate);
    struct hbk_bundle_set *same = forge_bundle_set("td.test", root.certificate);
    const struct hbk_trust *other_roots =
        trust_new((struct hbk_trust_options){.rule = HBK_TRUST_SPIFFE, .bundles = next});
    const struct hbk_trust *same_roots =
        trust_new((struct hbk_trust_options){.rule = HBK_TRUST_SPIFFE, .bundles = same});
    const struct {
        const char *name;
        struct stand first, second;
        const char *host;
        int64_t later_ns;
        bool is_resumed;
    } cases[] = {
        {.name = "nothing", .is_resumed = true},
        {.name = "an hour has passed, less a second",
         .later_ns = FORGE_HOUR_NS - 2000000000,
         .is_resumed = true},
        {.name = "another host", .host = "other.test"},
        {.name = "another certificate of the same host", .second = {.certificate = &shop_again}},
        {.name = "the same roots, loaded again",
         .second = {.trust = same_roots},
         .is_resumed = true},
        {.name = "the client's root was withdrawn",
         .second = {.trust = other_roots, .wish = HBK_TLS_CLIENT_CERTIFICATE_NONE}},
        {.name = "other keys", .second = {.keys = {"b"}}},
        {.name = "new keys, and the old one still opens",
         .second = {.keys = {"b", "a"}},
         .is_resumed = true},
        {.name = "the server does not want to know clients any more",
         .second = {.wish = HBK_TLS_CLIENT_CERTIFICATE_NONE}},
    };
    struct hbk_tls_context *visitor = client_of(&client);
    for (size_t i = 0; i < HBK_COUNT(cases); i++) {
        struct visit first = {visitor, server_of(cases[i].first)};
        struct visit second = {.client = visitor,
                               .server = server_of(cases[i].second),
                               .host = cases[i].host,
                               .now_ns = FORGE_NOW_NS + cases[i].later_ns};
        struct outcome outcome = call_twice(first, second);
        if (outcome.was_resumed != cases[i].is_resumed) {
            fail_msg("%s: %s", cases[i].name, outcome.was_resumed ? "resumed" : "not resumed");
        }
        hbk_tls_context_unref(first.server);
        hbk_tls_context_unref(second.server);
    }
    hbk_tls_context_unref(visitor);
    hbk_trust_unref(other_roots);
    hbk_trust_unref(same_roots);
    hbk_bundle_set_unref(next);
    hbk_bundle_set_unref(same);
    forged_free(&next_root);
}

/* The clock of a server that says who was there: past the end of what vouched for the client. */
static void a_resumed_session_never_outlives_its_certificates(void **state)
{
    (void)state;
    struct forged brief = forge((struct forge){
        .signer = &root,
        .names = "critical,URI:spiffe://td.test/ns/shop/sa/web",
        .end_ns = FORGE_NOW_NS + FORGE_HOUR_NS / 2,
    });
    struct hbk_tls_context *visitor = client_of(&brief);
    struct visit first = {visitor,
                          server_of((struct stand){.wish = HBK_TLS_CLIENT_CERTIFICATE_ASKED})};
    struct outcome outcome = call(first);
    const struct hbk_tls_options options = {.server_name = HBK_SLICE("shop.test"),
                                            .ticket = outcome.ticket};
    struct pair *pair = pair_of(&worker, visitor, options, first.server,
                                FORGE_NOW_NS + FORGE_HOUR_NS / 2 + 1000000000);
    pair_handshake(pair, 20000);
    /* Not resumed, and the client has nothing good to show in a full handshake either. */
    assert_int_equal(pair->server_answer, HBK_TLS_FAILED);
    assert_int_equal(hbk_tls_failure(pair->server).alert, HBK_ALERT_CERTIFICATE_EXPIRED);
    pair_free(pair);
    hbk_tls_ticket_unref(outcome.ticket);
    hbk_tls_context_unref(visitor);
    hbk_tls_context_unref(first.server);
    forged_free(&brief);
}

/* Whoever cannot resume says hello as a stranger, who must show what is required. */
static void a_ticket_without_a_certificate_opens_no_door_that_requires_one(void **state)
{
    (void)state;
    struct hbk_tls_context *visitor = client_of(NULL);
    struct visit first = {visitor,
                          server_of((struct stand){.wish = HBK_TLS_CLIENT_CERTIFICATE_ASKED})};
    struct hbk_tls_context *strict = server_of((struct stand){0});
    struct outcome outcome = call(first);
    const struct hbk_tls_options options = {.server_name = HBK_SLICE("shop.test"),
                                            .ticket = outcome.ticket};
    struct pair *pair = pair_of(&worker, visitor, options, strict, FORGE_NOW_NS);
    pair_handshake(pair, 20000);
    assert_int_equal(pair->server_answer, HBK_TLS_FAILED);
    assert_int_equal(hbk_tls_failure(pair->server).alert, HBK_ALERT_CERTIFICATE_REQUIRED);
    pair_free(pair);
    hbk_tls_ticket_unref(outcome.ticket);
    hbk_tls_context_unref(visitor);
    hbk_tls_context_unref(first.server);
    hbk_tls_context_unref(strict);
}

/* The client, too, asks whether it would trust the server now. */
static void a_client_does_not_resume_with_a_server_that_it_would_refuse(void **state)
{
    (void)state;
    struct visit visit = {client_of(&client), server_of((struct stand){0})};
    struct outcome outcome = call(visit);
    const struct hbk_tls_options options = {.server_name = HBK_SLICE("nobody.test"),
                                            .ticket = outcome.ticket};
    struct pair *pair = pair_of(&worker, visit.client, options, visit.server, FORGE_NOW_NS);
    pair_handshake(pair, 20000);
    assert_int_equal(pair->client_answer, HBK_TLS_FAILED);
    assert_int_equal(hbk_tls_failure(pair->client).status, HBK_UNTRUSTED);
    pair_free(pair);
    hbk_tls_ticket_unref(outcome.ticket);
    hbk_tls_context_unref(visit.client);
    hbk_tls_context_unref(visit.server);
}

static void without_keys_there_are_no_tickets(void **state)
{
    (void)state;
    struct hbk_tls_certificate_options own = certificate_of(&shop);
    struct visit visit = {client_of(&client), context_of((struct hbk_tls_context_options){
                                                  .certificates = &own,
                                                  .certificate_count = 1,
                                                  .trust = mesh_trust,
                                              })};
    struct outcome outcome = call(visit);
    assert_null(outcome.ticket);
    hbk_tls_context_unref(visit.client);
    hbk_tls_context_unref(visit.server);
}

/* Behind a leaf, certificates that nobody needs, so that all are of `bytes` in DER. */
static void fill_chain(X509 *first, size_t bytes, X509 *out_chain[HBK_CHAIN_CERTIFICATES_MAX])
{
    enum { PART_BYTES = 9000 };
    size_t left = bytes - (size_t)i2d_X509(first, NULL);
    EVP_PKEY *key = EVP_RSA_gen(2048); /* signs in one size */
    out_chain[0] = first;
    for (size_t i = 1; i < HBK_CHAIN_CERTIFICATES_MAX; i++) {
        size_t wanted = i + 1 == HBK_CHAIN_CERTIFICATES_MAX ? left : PART_BYTES;
        size_t name_bytes = wanted - 1000;
        for (size_t size = 0; size != wanted; name_bytes += wanted - size) {
            char *name = calloc(1, name_bytes + sizeof "DNS:");
            memcpy(name, "DNS:", 4);
            memset(name + 4, 'a', name_bytes);
            X509_free(size == 0 ? NULL : out_chain[i]);
            struct forged forged = forge((struct forge){.names = name, .key = key});
            out_chain[i] = forged.certificate;
            EVP_PKEY_free(forged.key);
            size = (size_t)i2d_X509(out_chain[i], NULL);
            free(name);
        }
        left -= wanted;
    }
    assert_int_equal(left, 0);
    EVP_PKEY_free(key);
}

static void free_chain(X509 *chain[HBK_CHAIN_CERTIFICATES_MAX])
{
    for (size_t i = 1; i < HBK_CHAIN_CERTIFICATES_MAX; i++) {
        X509_free(chain[i]);
    }
}

/* A ticket carries its client's chain; one that is too long for a ticket is none of a failure. */
static void a_client_with_the_longest_chain_shakes_hands_in_full(void **state)
{
    (void)state;
    X509 *chain[HBK_CHAIN_CERTIFICATES_MAX] = {NULL};
    fill_chain(client.certificate, HBK_CHAIN_BYTES_MAX, chain);
    for (size_t count = 1; count <= HBK_CHAIN_CERTIFICATES_MAX; count++) {
        const struct hbk_tls_certificate_options own = {
            .chain = chain, .chain_count = count, .private_key = client.key};
        struct visit visit = {
            .client = context_of((struct hbk_tls_context_options){.certificates = &own,
                                                                  .certificate_count = 1,
                                                                  .trust = name_trust,
                                                                  .resumes = true}),
            .server = server_of((struct stand){0}),
        };
        struct outcome outcome = call(visit);
        assert_true(outcome.knows_client);
        /* libssl gives one that is good for nothing. */
        assert_true(count == 1 || pair_engine == HBK_TLS_ENGINE_OPENSSL || outcome.ticket == NULL);
        visit.ticket = outcome.ticket;
        outcome = call(visit);
        assert_true(outcome.knows_client);
        assert_int_equal(outcome.was_resumed, count == 1);
        hbk_tls_ticket_unref(visit.ticket);
        hbk_tls_ticket_unref(outcome.ticket);
        hbk_tls_context_unref(visit.client);
        hbk_tls_context_unref(visit.server);
    }
    free_chain(chain);
}

static void a_chain_above_the_limit_is_a_bad_certificate(void **state)
{
    (void)state;
    X509 *chain[HBK_CHAIN_CERTIFICATES_MAX] = {NULL};
    fill_chain(client.certificate, HBK_CHAIN_BYTES_MAX + 1, chain);
    const struct hbk_tls_certificate_options own = {
        .chain = chain, .chain_count = HBK_CHAIN_CERTIFICATES_MAX, .private_key = client.key};
    struct hbk_tls_context *visitor = context_of((struct hbk_tls_context_options){
        .certificates = &own, .certificate_count = 1, .trust = name_trust});
    struct hbk_tls_context *server = server_of((struct stand){0});
    const struct hbk_tls_options options = {.server_name = HBK_SLICE("shop.test")};
    struct pair *pair = pair_of(&worker, visitor, options, server, FORGE_NOW_NS);
    pair_handshake(pair, 20000);
    assert_int_equal(pair->server_answer, HBK_TLS_FAILED);
    assert_int_equal(hbk_tls_failure(pair->server).alert, HBK_ALERT_BAD_CERTIFICATE);
    assert_int_equal(hbk_tls_failure(pair->server).status, HBK_LIMIT);
    pair_free(pair);
    hbk_tls_context_unref(visitor);
    hbk_tls_context_unref(server);
    free_chain(chain);
}

/* ---- strangers ---- */

static SSL_SESSION *newest; /* of the stranger as a client */

static int on_session(SSL *ssl, SSL_SESSION *session)
{
    (void)ssl;
    SSL_SESSION_free(newest);
    newest = session;
    return 1;
}

/* Both versions: libssl as the client of our server. */
static void strangers_resume_with_us(void **state)
{
    (void)state;
    static const int versions[] = {TLS1_2_VERSION, TLS1_3_VERSION};
    for (size_t i = 0; i < HBK_COUNT(versions); i++) {
        struct hbk_tls_context *server = server_of((struct stand){.allows_tls12 = true});
        const struct habits habits = {.version = versions[i], .certificate = &client};
        SSL_CTX *context = make_context(&habits);
        SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL);
        SSL_CTX_sess_set_new_cb(context, on_session);
        for (unsigned visit = 0; visit < 3; visit++) {
            struct interop *interop =
                interop_of(&habits, context, &worker, server, (struct hbk_tls_options){0});
            SSL_ctrl(interop->ssl, SSL_CTRL_SET_TLSEXT_HOSTNAME, TLSEXT_NAMETYPE_host_name,
                     (char[]){"shop.test"});
            if (visit > 0) {
                assert_non_null(newest);
                assert_true(SSL_SESSION_get_ticket_lifetime_hint(newest) > 0);
                assert_int_equal(SSL_set_session(interop->ssl, newest), 1);
            }
            interop_shake(interop);
            assert_int_equal(interop->answer, HBK_TLS_DONE);
            assert_int_equal(interop->ssl_result, 1);
            assert_int_equal(SSL_session_reused(interop->ssl), visit > 0);
            assert_int_equal(hbk_tls_agreement(interop->session).was_resumed, visit > 0);
            assert_slice_equal(hbk_tls_peer(interop->session)->id->text,
                               HBK_SLICE("spiffe://td.test/ns/shop/sa/web"));
            send_to_ssl(interop, HBK_SLICE("hello")); /* reads the tickets, too */
            expect_from_ssl(interop, HBK_SLICE("good day"));
            interop_free(interop);
        }
        SSL_SESSION_free(newest);
        newest = NULL;
        SSL_CTX_free(context);
        hbk_tls_context_unref(server);
    }
}

static void we_resume_with_strangers(void **state)
{
    (void)state;
    static const int versions[] = {TLS1_2_VERSION, TLS1_3_VERSION};
    for (size_t i = 0; i < HBK_COUNT(versions); i++) {
        struct hbk_tls_context *ours = context_of((struct hbk_tls_context_options){
            .trust = name_trust,
            .client_certificate = HBK_TLS_CLIENT_CERTIFICATE_NONE,
            .resumes = true,
            .allows_tls12 = versions[i] == TLS1_2_VERSION,
        });
        const struct habits habits = {.is_server = true,
                                      .version = versions[i],
                                      .certificate = &shop,
                                      .tickets = 2,
                                      .has_no_demands = true};
        SSL_CTX *context = make_context(&habits);
        struct hbk_tls_ticket *ticket = NULL;
        for (unsigned visit = 0; visit < 3; visit++) {
            const struct hbk_tls_options options = {.server_name = HBK_SLICE("shop.test"),
                                                    .ticket = ticket};
            struct interop *interop = interop_of(&habits, context, &worker, ours, options);
            interop_shake(interop);
            assert_int_equal(interop->answer, HBK_TLS_DONE);
            assert_int_equal(hbk_tls_agreement(interop->session).was_resumed, visit > 0);
            assert_slice_equal(hbk_tls_peer(interop->session)->names.dns_names,
                               HBK_SLICE("shop.test\0other.test\0"));
            expect_from_ssl(interop, HBK_SLICE("good day"));
            send_to_ssl(interop, HBK_SLICE("hello"));
            struct hbk_tls_ticket *next = hbk_tls_take_ticket(interop->session);
            if (next != NULL) {
                hbk_tls_ticket_unref(ticket);
                ticket = next;
            }
            assert_non_null(ticket);
            interop_free(interop);
        }
        hbk_tls_ticket_unref(ticket);
        SSL_CTX_free(context);
        hbk_tls_context_unref(ours);
    }
}

/* Keys that nobody else needs, and every ticket is renewed when it is used. */
static int on_renewing_key(SSL *ssl, unsigned char *name, unsigned char *iv, EVP_CIPHER_CTX *cipher,
                           EVP_MAC_CTX *mac, int is_sealing)
{
    static unsigned char key[32] = "the key of a test";
    OSSL_PARAM parameters[] = {
        OSSL_PARAM_construct_octet_string(OSSL_MAC_PARAM_KEY, key, sizeof key),
        OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, (char[]){"SHA256"}, 0),
        OSSL_PARAM_construct_end(),
    };
    (void)ssl;
    if (is_sealing) {
        memset(name, 'n', 16);
        assert_int_equal(RAND_bytes(iv, 16), 1);
    }
    assert_int_equal(EVP_CipherInit_ex(cipher, EVP_aes_256_cbc(), NULL, key, iv, is_sealing), 1);
    assert_int_equal(EVP_MAC_CTX_set_params(mac, parameters), 1);
    return is_sealing ? 1 : 2;
}

/* Of TLS 1.2, where libssl forbids the old ticket and tells of no new one. */
static void a_ticket_that_is_renewed_takes_the_place_of_the_one_before(void **state)
{
    (void)state;
    struct hbk_tls_context *ours = context_of((struct hbk_tls_context_options){
        .trust = name_trust,
        .client_certificate = HBK_TLS_CLIENT_CERTIFICATE_NONE,
        .resumes = true,
        .allows_tls12 = true,
    });
    const struct habits habits = {.is_server = true,
                                  .version = TLS1_2_VERSION,
                                  .certificate = &shop,
                                  .tickets = 2,
                                  .has_no_demands = true};
    SSL_CTX *context = make_context(&habits);
    assert_int_equal(SSL_CTX_set_tlsext_ticket_key_evp_cb(context, on_renewing_key), 1);
    struct hbk_tls_ticket *ticket = NULL;
    for (unsigned visit = 0; visit < 4; visit++) {
        const struct hbk_tls_options options = {.server_name = HBK_SLICE("shop.test"),
                                                .ticket = ticket};
        struct interop *interop = interop_of(&habits, context, &worker, ours, options);
        interop_shake(interop);
        assert_int_equal(interop->answer, HBK_TLS_DONE);
        assert_int_equal(hbk_tls_agreement(interop->session).was_resumed, visit > 0);
        assert_slice_equal(hbk_tls_peer(interop->session)->names.dns_names,
                           HBK_SLICE("shop.test\0other.test\0"));
        hbk_tls_ticket_unref(ticket);
        ticket = hbk_tls_take_ticket(interop->session);
        assert_non_null(ticket);
        assert_null(hbk_tls_take_ticket(interop->session));
        interop_free(interop);
    }
    hbk_tls_ticket_unref(ticket);
    SSL_CTX_free(context);
    hbk_tls_context_unref(ours);
}

static int run(enum hbk_tls_engine_kind engine)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_second_visit_resumes_and_a_third),
        cmocka_unit_test(whoever_was_nobody_stays_nobody),
        cmocka_unit_test(a_ticket_is_bound_to_what_it_was_given_for),
        cmocka_unit_test(a_resumed_session_never_outlives_its_certificates),
        cmocka_unit_test(a_ticket_without_a_certificate_opens_no_door_that_requires_one),
        cmocka_unit_test(a_client_does_not_resume_with_a_server_that_it_would_refuse),
        cmocka_unit_test(without_keys_there_are_no_tickets),
        cmocka_unit_test(a_client_with_the_longest_chain_shakes_hands_in_full),
        cmocka_unit_test(a_chain_above_the_limit_is_a_bad_certificate),
        cmocka_unit_test(strangers_resume_with_us),
        cmocka_unit_test(we_resume_with_strangers),
        cmocka_unit_test(a_ticket_that_is_renewed_takes_the_place_of_the_one_before),
    };
    pair_engine = engine;
    return cmocka_run_group_tests_name(hbk_tls_engine_text(engine), tests, set_up_shop,
                                       tear_down_shop);
}

int main(void)
{
    int failed = run(HBK_TLS_ENGINE_OPENSSL);
    return failed + run(HBK_TLS_ENGINE_NATIVE);
}
