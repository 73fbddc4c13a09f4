/*
 * The engines meet each other: native and native, native and openssl, openssl and native, in every
 * suite, group and kind of certificate. What libssl understands, it understood with code that is
 * not ours.
 */
#include "meeting.h"
#include "tls/engine.h"
#include "tls/record.h"

/* Of all directions of this file; empty again with each that ends. */
static struct hbk_expanded_keys expanded;

static struct authority authority;
static struct pair_worker worker;

static const struct {
    const char *name;
    enum hbk_tls_engine_kind client, server;
} engines[] = {
    {"native and native", HBK_TLS_ENGINE_NATIVE, HBK_TLS_ENGINE_NATIVE},
    {"native and openssl", HBK_TLS_ENGINE_NATIVE, HBK_TLS_ENGINE_OPENSSL},
    {"openssl and native", HBK_TLS_ENGINE_OPENSSL, HBK_TLS_ENGINE_NATIVE},
};

static const uint16_t suites[] = {HBK_SUITE_AES_128_GCM_SHA256, HBK_SUITE_AES_256_GCM_SHA384,
                                  HBK_SUITE_CHACHA20_POLY1305_SHA256};
static const uint16_t groups[] = {HBK_GROUP_X25519, HBK_GROUP_P256, HBK_GROUP_P384};

static const uint16_t schemes[AUTHORITY_KINDS] = {
    HBK_SIGN_ECDSA_P256_SHA256,   HBK_SIGN_ECDSA_P384_SHA384,   HBK_SIGN_ED25519,
    HBK_SIGN_RSA_PSS_RSAE_SHA256, HBK_SIGN_RSA_PSS_RSAE_SHA256, HBK_SIGN_RSA_PSS_RSAE_SHA256};

/* How the server asks, and whether the client has an answer. */
static const struct {
    enum hbk_tls_client_certificate asks;
    bool has_certificate;
} mutualities[] = {
    {HBK_TLS_CLIENT_CERTIFICATE_REQUIRED, true},
    {HBK_TLS_CLIENT_CERTIFICATE_ASKED, true},
    {HBK_TLS_CLIENT_CERTIFICATE_ASKED, false},
    {HBK_TLS_CLIENT_CERTIFICATE_NONE, true},
};

/* Ends the pair and its contexts. */
static void part(struct pair *pair, struct hbk_tls_context *client, struct hbk_tls_context *server)
{
    pair_free(pair);
    hbk_tls_context_unref(client);
    hbk_tls_context_unref(server);
}

static void expect_agreement(const struct pair *pair, size_t engine, uint16_t suite, uint16_t group)
{
    struct hbk_tls_agreement of_client = hbk_tls_agreement(pair->client);
    struct hbk_tls_agreement of_server = hbk_tls_agreement(pair->server);
    const char *cipher = hbk_cipher_suite_text((enum hbk_cipher_suite)suite);
    assert_int_equal(of_client.engine, engines[engine].client);
    assert_int_equal(of_server.engine, engines[engine].server);
    assert_int_equal(of_client.version, HBK_TLS_1_3);
    assert_int_equal(of_server.version, HBK_TLS_1_3);
    assert_string_equal(of_client.cipher_text, cipher);
    assert_string_equal(of_server.cipher_text, cipher);
    assert_int_equal(of_client.group, group);
    assert_int_equal(of_server.group, group);
    assert_false(of_client.was_resumed);
    assert_false(of_server.was_resumed);
    assert_slice_equal(of_server.server_name, HBK_SLICE("cart.test"));
}

static void expect_names(const struct hbk_peer *peer, const char *name)
{
    assert_non_null(peer);
    assert_slice_equal(peer->names.dns_names, hbk_slice_of(name, strlen(name) + 1));
}

static void meet_once(size_t engine, uint16_t suite, uint16_t group, enum authority_kind kind,
                      size_t mutuality)
{
    bool presents = mutualities[mutuality].has_certificate &&
                    mutualities[mutuality].asks != HBK_TLS_CLIENT_CERTIFICATE_NONE;
    struct hbk_tls_context_options options = {.suites = &suite,
                                              .suite_count = 1,
                                              .groups = &group,
                                              .group_count = 1,
                                              .engine = engines[engine].client};
    struct hbk_tls_context *client = authority_context(
        &authority, options,
        mutualities[mutuality].has_certificate ? authority_client(&authority, kind) : NULL);
    options.engine = engines[engine].server;
    options.client_certificate = mutualities[mutuality].asks;
    struct hbk_tls_context *server =
        authority_context(&authority, options, authority_server(&authority, kind));
    struct pair *pair = meeting_of(&worker, client, server, NULL, FORGE_NOW_NS);
    meeting_run(&worker, pair, meeting_at_once);
    meeting_expect_done(pair);
    expect_agreement(pair, engine, suite, group);
    expect_names(hbk_tls_peer(pair->client), "cart.test");
    assert_int_equal(hbk_tls_agreement(pair->client).peer_scheme, schemes[kind]);
    if (presents) {
        expect_names(hbk_tls_peer(pair->server), "web.test");
        assert_int_equal(hbk_tls_agreement(pair->server).peer_scheme, schemes[kind]);
    } else {
        assert_null(hbk_tls_peer(pair->server));
        assert_int_equal(hbk_tls_agreement(pair->server).peer_scheme, 0);
    }
    meeting_expect_same_keys(pair);
    part(pair, client, server);
}

static void engines_meet_in_every_suite_group_and_kind_of_certificate(void **state)
{
    (void)state;
    for (size_t i = 0; i < HBK_COUNT(engines); i++) {
        for (size_t j = 0; j < HBK_COUNT(suites); j++) {
            for (size_t k = 0; k < HBK_COUNT(groups); k++) {
                for (unsigned kind = 0; kind < AUTHORITY_KINDS; kind++) {
                    for (size_t m = 0; m < HBK_COUNT(mutualities); m++) {
                        meet_once(i, suites[j], groups[k], kind, m);
                    }
                }
            }
        }
    }
}

static void a_share_of_another_group_costs_a_retry(void **state)
{
    (void)state;
    for (size_t i = 0; i < HBK_COUNT(engines); i++) {
        for (size_t j = 0; j < HBK_COUNT(groups); j++) {
            for (size_t k = 0; k < HBK_COUNT(groups); k++) {
                if (j == k) {
                    continue;
                }
                const uint16_t offered[] = {groups[j], groups[k]};
                uint64_t retries = hbk_tls_worker_counters(worker.tls)->retries_asked;
                struct hbk_tls_context_options options = {
                    .engine = engines[i].client, .groups = offered, .group_count = 2};
                struct hbk_tls_context *client = authority_context(
                    &authority, options, authority_client(&authority, AUTHORITY_P256));
                options = (struct hbk_tls_context_options){
                    .engine = engines[i].server, .groups = &groups[k], .group_count = 1};
                struct hbk_tls_context *server = authority_context(
                    &authority, options, authority_server(&authority, AUTHORITY_P256));
                struct pair *pair = meeting_of(&worker, client, server, NULL, FORGE_NOW_NS);
                meeting_run(&worker, pair, meeting_at_once);
                meeting_expect_done(pair);
                expect_agreement(pair, i, suites[0], groups[k]);
                meeting_expect_same_keys(pair);
                if (engines[i].server == HBK_TLS_ENGINE_NATIVE) {
                    assert_int_equal(hbk_tls_worker_counters(worker.tls)->retries_asked,
                                     retries + 1);
                }
                part(pair, client, server);
            }
        }
    }
}

/* Several shares in one hello save the retry. */
static void a_client_may_send_several_shares(void **state)
{
    (void)state;
    for (size_t i = 0; i < HBK_COUNT(engines); i++) {
        uint64_t retries = hbk_tls_worker_counters(worker.tls)->retries_asked;
        struct hbk_tls_context_options options = {.engine = engines[i].client, .share_count = 2};
        struct hbk_tls_context *client =
            authority_context(&authority, options, authority_client(&authority, AUTHORITY_P256));
        options = (struct hbk_tls_context_options){
            .engine = engines[i].server, .groups = &groups[1], .group_count = 1};
        struct hbk_tls_context *server =
            authority_context(&authority, options, authority_server(&authority, AUTHORITY_P256));
        struct pair *pair = meeting_of(&worker, client, server, NULL, FORGE_NOW_NS);
        meeting_run(&worker, pair, meeting_at_once);
        meeting_expect_done(pair);
        expect_agreement(pair, i, suites[0], HBK_GROUP_P256);
        if (engines[i].client == HBK_TLS_ENGINE_NATIVE) {
            assert_int_equal(hbk_tls_worker_counters(worker.tls)->retries_asked, retries);
        }
        part(pair, client, server);
    }
}

static void nothing_in_common_is_told_by_the_right_alert(void **state)
{
    (void)state;
    static const uint16_t p384_alone[] = {HBK_SIGN_ECDSA_P384_SHA384};
    const struct {
        struct hbk_tls_context_options client, server;
        int alert; /* of the server */
    } cases[] = {
        {{.suites = &suites[0], .suite_count = 1},
         {.suites = &suites[1], .suite_count = 1},
         HBK_ALERT_HANDSHAKE_FAILURE},
        {{.groups = &groups[0], .group_count = 1},
         {.groups = &groups[1], .group_count = 1},
         HBK_ALERT_HANDSHAKE_FAILURE},
        {{.verify_schemes = p384_alone, .verify_scheme_count = 1},
         {0},
         HBK_ALERT_HANDSHAKE_FAILURE},
        {{.protocols = HBK_SLICE("\x02h2")},
         {.protocols = HBK_SLICE("\x05hbone"), .requires_protocol = true},
         HBK_ALERT_NO_APPLICATION_PROTOCOL},
        {{0},
         {.protocols = HBK_SLICE("\x05hbone"), .requires_protocol = true},
         HBK_ALERT_NO_APPLICATION_PROTOCOL},
    };
    for (size_t i = 0; i < HBK_COUNT(engines); i++) {
        for (size_t j = 0; j < HBK_COUNT(cases); j++) {
            /* libssl itself goes on without a protocol, and the session refuses afterwards. */
            struct hbk_tls_context_options options = cases[j].client;
            options.engine = engines[i].client;
            struct hbk_tls_context *client = authority_context(
                &authority, options, authority_client(&authority, AUTHORITY_P256));
            options = cases[j].server;
            options.engine = engines[i].server;
            struct hbk_tls_context *server = authority_context(
                &authority, options, authority_server(&authority, AUTHORITY_P256));
            struct pair *pair = meeting_of(&worker, client, server, NULL, FORGE_NOW_NS);
            meeting_run(&worker, pair, meeting_at_once);
            meeting_expect_failed(pair, false, cases[j].alert);
            part(pair, client, server);
        }
    }
}

/* ---- who the peer is ---- */

static void a_peer_that_is_not_trusted_is_told_why(void **state)
{
    (void)state;
    struct authority other;
    authority_init(&other, "other root");
    struct forged expired = forge((struct forge){.signer = &authority.root,
                                                 .names = "critical,DNS:cart.test",
                                                 .start_ns = FORGE_NOW_NS - 2 * FORGE_HOUR_NS,
                                                 .end_ns = FORGE_NOW_NS - FORGE_HOUR_NS});
    struct forged misnamed = authority_leaf(&authority, AUTHORITY_P256, "critical,DNS:other.test");
    struct forged misused = forge((struct forge){.signer = &authority.root,
                                                 .names = "critical,DNS:cart.test",
                                                 .purposes = "emailProtection"});
    const struct {
        struct authority *authority;
        const struct forged *leaf;
        int alert, alert_as_client; /* of who judges the leaf of a server, of a client */
    } cases[] = {
        {&other, authority_server(&other, AUTHORITY_P256), HBK_ALERT_UNKNOWN_CA,
         HBK_ALERT_UNKNOWN_CA},
        {&authority, &expired, HBK_ALERT_CERTIFICATE_EXPIRED, HBK_ALERT_CERTIFICATE_EXPIRED},
        {&authority, &misnamed, HBK_ALERT_BAD_CERTIFICATE, HBK_ALERT_NONE},
        {&authority, &misused, HBK_ALERT_UNSUPPORTED_CERTIFICATE,
         HBK_ALERT_UNSUPPORTED_CERTIFICATE},
    };
    for (size_t i = 0; i < HBK_COUNT(engines); i++) {
        for (size_t j = 0; j < HBK_COUNT(cases); j++) {
            struct hbk_tls_context_options options = {.engine = engines[i].client};
            struct hbk_tls_context *client = authority_context(
                &authority, options, authority_client(&authority, AUTHORITY_P256));
            struct hbk_tls_context *bad_client =
                authority_context(cases[j].authority,
                                  (struct hbk_tls_context_options){.engine = engines[i].client,
                                                                   .trust = authority.trust},
                                  cases[j].leaf);
            options.engine = engines[i].server;
            struct hbk_tls_context *server = authority_context(
                &authority, options, authority_server(&authority, AUTHORITY_P256));
            struct hbk_tls_context *bad_server =
                authority_context(cases[j].authority,
                                  (struct hbk_tls_context_options){.engine = engines[i].server,
                                                                   .trust = authority.trust},
                                  cases[j].leaf);
            struct pair *pair = meeting_of(&worker, client, bad_server, NULL, FORGE_NOW_NS);
            meeting_run(&worker, pair, meeting_at_once);
            meeting_expect_failed(pair, true, cases[j].alert);
            assert_null(hbk_tls_peer(pair->client));
            pair_free(pair);

            pair = meeting_of(&worker, bad_client, server, NULL, FORGE_NOW_NS);
            meeting_run(&worker, pair, meeting_at_once);
            if (cases[j].alert_as_client == HBK_ALERT_NONE) {
                meeting_expect_done(pair);
            } else {
                meeting_expect_failed(pair, false, cases[j].alert_as_client);
                assert_null(hbk_tls_peer(pair->server));
            }
            part(pair, client, server);
            hbk_tls_context_unref(bad_client);
            hbk_tls_context_unref(bad_server);
        }
    }
    forged_free(&expired);
    forged_free(&misnamed);
    forged_free(&misused);
    authority_fini(&other);
}

static void a_client_without_a_certificate_is_refused_where_one_is_required(void **state)
{
    (void)state;
    for (size_t i = 0; i < HBK_COUNT(engines); i++) {
        struct hbk_tls_context_options options = {.engine = engines[i].client};
        struct hbk_tls_context *client = authority_context(&authority, options, NULL);
        options.engine = engines[i].server;
        struct hbk_tls_context *server =
            authority_context(&authority, options, authority_server(&authority, AUTHORITY_P256));
        struct pair *pair = meeting_of(&worker, client, server, NULL, FORGE_NOW_NS);
        meeting_run(&worker, pair, meeting_at_once);
        meeting_expect_failed(pair, false, HBK_ALERT_CERTIFICATE_REQUIRED);
        part(pair, client, server);
    }
}

/* The certificate is another's: whoever presents it does not have its key. */
static void a_stolen_certificate_is_of_no_use(void **state)
{
    (void)state;
    for (unsigned kind = 0; kind < AUTHORITY_KINDS; kind++) {
        for (unsigned is_client = 0; is_client < 2; is_client++) {
            struct hbk_tls_context_options options = {.engine = HBK_TLS_ENGINE_NATIVE};
            struct hbk_tls_context *client =
                authority_context(&authority, options, authority_client(&authority, kind));
            struct hbk_tls_context *server =
                authority_context(&authority, options, authority_server(&authority, kind));
            struct forged other = authority_leaf(
                &authority, kind, is_client ? "critical,DNS:web.test" : "critical,DNS:cart.test");
            struct hbk_tls_context *thief = authority_context(&authority, options, &other);
            /* The key of one, the certificates of the other. */
            struct hbk_tls_context *robbed = is_client ? client : server;
            struct hbk_tls_certificate *of_robbed =
                (struct hbk_tls_certificate *)(uintptr_t)robbed->certificates[0];
            struct hbk_tls_certificate *of_thief =
                (struct hbk_tls_certificate *)(uintptr_t)thief->certificates[0];
            struct hbk_private_key *key = of_robbed->key;
            of_robbed->key = of_thief->key;
            of_thief->key = key;
            struct pair *pair = meeting_of(&worker, client, server, NULL, FORGE_NOW_NS);
            meeting_run(&worker, pair, meeting_at_once);
            meeting_expect_failed(pair, !is_client, HBK_ALERT_DECRYPT_ERROR);
            part(pair, client, server);
            hbk_tls_context_unref(thief);
            forged_free(&other);
        }
    }
}

/* ---- any split of the bytes ---- */

static void handshakes_survive_any_split_and_any_room(void **state)
{
    (void)state;
    static const struct meeting_pace paces[] = {
        {1, 1, false},  {1, 0, false},   {0, 1, false},    {2, 3, false},
        {7, 100, true}, {100, 50, true}, {1000, 33, true}, {20000, 20000, true},
    };
    for (size_t i = 0; i < HBK_COUNT(engines); i++) {
        for (size_t j = 0; j < HBK_COUNT(paces); j++) {
            static const uint16_t offered[] = {HBK_GROUP_X25519, HBK_GROUP_P256};
            struct hbk_tls_context_options options = {
                .engine = engines[i].client, .groups = offered, .group_count = 2};
            struct hbk_tls_context *client = authority_context(
                &authority, options, authority_client(&authority, AUTHORITY_RSA2048));
            options = (struct hbk_tls_context_options){.engine = engines[i].server,
                                                       .groups = &groups[1],
                                                       .group_count = j % 2,
                                                       .suites = &suites[j % 3],
                                                       .suite_count = 1};
            struct hbk_tls_context *server = authority_context(
                &authority, options, authority_server(&authority, AUTHORITY_RSA2048));
            struct pair *pair = meeting_of(&worker, client, server, NULL, FORGE_NOW_NS);
            /* Pieces may be of less than a record, which is presented again with more behind it:
             * so what a step may see grows until something happens. */
            while (pair->client_answer != HBK_TLS_DONE || pair->server_answer != HBK_TLS_DONE) {
                static size_t seen;
                struct meeting_pace pace = paces[j];
                size_t before = pair->to_client.size + pair->to_server.size;
                if (pace.input_max > 0) {
                    pace.input_max += seen;
                }
                meeting_run(&worker, pair, pace);
                seen = pair->to_client.size + pair->to_server.size == before ? seen + 1 : 0;
                assert_true(pair->client_answer != HBK_TLS_FAILED &&
                            pair->server_answer != HBK_TLS_FAILED && seen < 40000);
            }
            meeting_expect_same_keys(pair);
            part(pair, client, server);
        }
    }
}

/* ---- application protocols ---- */

static void the_servers_first_protocol_that_the_client_speaks_is_chosen(void **state)
{
    (void)state;
    static const struct {
        const char *client, *server, *chosen;
    } cases[] = {
        {"\2h2", "\2h2", "h2"},
        {"\x08http/1.1\2h2", "\2h2\x08http/1.1", "h2"},
        {"\2h2\x08http/1.1", "\x08http/1.1", "http/1.1"},
        {"\2h2", "\x08http/1.1", ""},
        {"", "\2h2", ""},
        {"\2h2", "", ""},
    };
    for (size_t i = 0; i < HBK_COUNT(engines); i++) {
        for (size_t j = 0; j < HBK_COUNT(cases); j++) {
            struct hbk_tls_context_options options = {.engine = engines[i].client,
                                                      .protocols = hbk_slice_text(cases[j].client)};
            struct hbk_tls_context *client = authority_context(
                &authority, options, authority_client(&authority, AUTHORITY_P256));
            options = (struct hbk_tls_context_options){
                .engine = engines[i].server, .protocols = hbk_slice_text(cases[j].server)};
            struct hbk_tls_context *server = authority_context(
                &authority, options, authority_server(&authority, AUTHORITY_P256));
            struct pair *pair = meeting_of(&worker, client, server, NULL, FORGE_NOW_NS);
            meeting_run(&worker, pair, meeting_at_once);
            meeting_expect_done(pair);
            struct hbk_slice chosen = hbk_slice_text(cases[j].chosen);
            assert_slice_equal(hbk_tls_agreement(pair->client).protocol, chosen);
            assert_slice_equal(hbk_tls_agreement(pair->server).protocol, chosen);
            part(pair, client, server);
        }
    }
}

/* ---- record size limits (RFC 8449) ---- */

/* The longest record in what was sent, header not counted. */
static size_t longest_record(const struct pair_queue *queue)
{
    size_t longest = 0;
    for (size_t at = 0; at < queue->size;) {
        size_t size = hbk_tls_record_size(hbk_slice_of(queue->bytes + at, queue->size - at));
        assert_true(size > 0 && at + size <= queue->size);
        longest = size > longest ? size : longest;
        at += size;
    }
    return longest - HBK_TLS_RECORD_HEADER_BYTES;
}

static void nobody_sends_longer_records_than_the_other_takes(void **state)
{
    (void)state;
    enum { TAG_BYTES = 16, SAID_BYTES = 40000 };
    static const uint16_t limits[] = {64, 65, 512, 1000, 16384, 16385, 0};
    static uint8_t said[SAID_BYTES];
    for (size_t i = 0; i < HBK_COUNT(limits); i++) {
        for (size_t j = 0; j < HBK_COUNT(limits); j++) {
            struct hbk_tls_context_options options = {.engine = HBK_TLS_ENGINE_NATIVE,
                                                      .record_size_limit = limits[i]};
            struct hbk_tls_context *client = authority_context(
                &authority, options, authority_client(&authority, AUTHORITY_RSA2048));
            options.record_size_limit = limits[j];
            struct hbk_tls_context *server = authority_context(
                &authority, options, authority_server(&authority, AUTHORITY_RSA2048));
            struct pair *pair = meeting_of(&worker, client, server, NULL, FORGE_NOW_NS);
            bool is_agreed = limits[i] != 0 && limits[j] != 0;
            size_t to_client_max = limits[i] != 0 ? limits[i] : 16385u;
            size_t to_server_max = is_agreed ? limits[j] : 16385u;
            while (pair->client_answer != HBK_TLS_DONE || pair->server_answer != HBK_TLS_DONE) {
                (void)pair_step(pair->client, &pair->to_client, &pair->to_server, 40000, 40000,
                                &pair->client_answer);
                bool is_hello = pair->server_answer == HBK_TLS_WANT_INPUT &&
                                pair->to_client.size == 0 && pair->to_server.size > 0 &&
                                pair->to_server.bytes[0] == HBK_TLS_RECORD_HANDSHAKE;
                assert_true(is_hello || pair->to_server.size == 0 ||
                            longest_record(&pair->to_server) <= to_server_max + TAG_BYTES);
                (void)pair_step(pair->server, &pair->to_server, &pair->to_client, 40000, 40000,
                                &pair->server_answer);
                if (pair->to_client.size > 0 &&
                    pair->to_client.bytes[0] == HBK_TLS_RECORD_APPLICATION_DATA) {
                    assert_true(longest_record(&pair->to_client) <= to_client_max + TAG_BYTES);
                }
                while (hbk_key_worker_flush(worker.keys, hbk_clock_monotonic_ns())) {
                }
                assert_true(pair->client_answer != HBK_TLS_FAILED &&
                            pair->server_answer != HBK_TLS_FAILED);
            }
            meeting_seal(pair->client, hbk_slice_of(said, sizeof said), &pair->to_server);
            meeting_seal(pair->server, hbk_slice_of(said, sizeof said), &pair->to_client);
            assert_int_equal(longest_record(&pair->to_server), to_server_max + TAG_BYTES);
            assert_int_equal(longest_record(&pair->to_client), to_client_max + TAG_BYTES);
            part(pair, client, server);
        }
    }
}

static uint8_t traffic_secrets[2][HBK_SHA256_BYTES]; /* of clients, of servers */

static void keep_secret(void *owner, const char *line)
{
    static const char *const labels[] = {"CLIENT_TRAFFIC_SECRET_0 ", "SERVER_TRAFFIC_SECRET_0 "};
    (void)owner;
    for (size_t i = 0; i < HBK_COUNT(labels); i++) {
        if (strncmp(line, labels[i], strlen(labels[i])) == 0) {
            const char *digits = strrchr(line, ' ') + 1;
            for (size_t j = 0; j < sizeof traffic_secrets[i]; j++) {
                assert_int_equal(sscanf(digits + 2 * j, "%2hhx", &traffic_secrets[i][j]), 1);
            }
        }
    }
}

/* One who has the peer's key, and none of its manners. */
static void a_record_above_the_limit_ends_the_connection(void **state)
{
    (void)state;
    enum { LIMIT = 100 };
    static const uint16_t aes128[] = {HBK_SUITE_AES_128_GCM_SHA256};
    const struct hbk_tls_context_options options = {.engine = HBK_TLS_ENGINE_NATIVE,
                                                    .suites = aes128,
                                                    .suite_count = HBK_COUNT(aes128),
                                                    .record_size_limit = LIMIT};
    worker.tls->options.key_log = keep_secret;
    for (unsigned i = 0; i < 4; i++) {
        struct hbk_tls_context *client =
            authority_context(&authority, options, authority_client(&authority, AUTHORITY_P256));
        struct hbk_tls_context *server =
            authority_context(&authority, options, authority_server(&authority, AUTHORITY_P256));
        struct pair *pair = meeting_of(&worker, client, server, NULL, FORGE_NOW_NS);
        meeting_run(&worker, pair, meeting_at_once);
        meeting_expect_done(pair);
        struct hbk_tls_session *victim = i % 2 == 0 ? pair->client : pair->server;
        size_t plain_bytes = LIMIT - 1 + i / 2;
        uint8_t record[LIMIT + HBK_TLS_RECORD_EXTRA_BYTES] = {0};
        struct hbk_tls_record_direction direction;
        size_t consumed = 0;
        struct hbk_slice plain;
        hbk_tls_record_direction_init(
            &direction, &expanded, aes128[0],
            hbk_slice_of(traffic_secrets[victim == pair->client], HBK_SHA256_BYTES));
        assert_true(
            hbk_tls_record_seal(&direction, HBK_TLS_RECORD_APPLICATION_DATA, record, plain_bytes));
        enum hbk_tls_answer answer =
            hbk_tls_open(victim, hbk_span_of(record, plain_bytes + HBK_TLS_RECORD_EXTRA_BYTES),
                         &consumed, &plain);
        if (plain_bytes < LIMIT) {
            assert_int_equal(answer, HBK_TLS_DONE);
            assert_int_equal(plain.size, plain_bytes);
        } else {
            assert_int_equal(answer, HBK_TLS_FAILED);
            assert_int_equal(hbk_tls_failure(victim).alert, HBK_ALERT_RECORD_OVERFLOW);
        }
        hbk_tls_record_direction_fini(&direction);
        part(pair, client, server);
    }
    worker.tls->options.key_log = NULL;
}

/* ---- one name, one certificate ---- */

static void a_server_presents_the_certificate_of_the_name_that_is_asked_for(void **state)
{
    (void)state;
    struct forged leaves[] = {
        authority_leaf(&authority, AUTHORITY_P256, "critical,DNS:first.test"),
        authority_leaf(&authority, AUTHORITY_P256, "critical,DNS:*.cart.test"),
        authority_leaf(&authority, AUTHORITY_P256, "critical,DNS:a.cart.test"),
        authority_leaf(&authority, AUTHORITY_RSA2048, "critical,DNS:a.cart.test"),
    };
    static const uint16_t rsa_alone[] = {HBK_SIGN_RSA_PSS_RSAE_SHA256};
    const struct {
        const char *asked;
        bool takes_rsa_alone;
        int presented; /* which leaf; -1: handshake_failure */
        bool is_good;
    } cases[] = {
        {"first.test", false, 0, true},    {"a.cart.test", false, 2, true},
        {"a.cart.test", true, 3, true},    {"b.cart.test", false, 1, true},
        {"b.cart.test", true, -1, false},  {"b.b.cart.test", false, 0, false},
        {"unknown.test", false, 0, false},
    };
    struct hbk_tls_certificate_options certificates[HBK_COUNT(leaves)];
    for (size_t i = 0; i < HBK_COUNT(leaves); i++) {
        certificates[i] = (struct hbk_tls_certificate_options){
            .chain = &leaves[i].certificate, .chain_count = 1, .private_key = leaves[i].key};
    }
    for (size_t i = 0; i < HBK_COUNT(engines); i++) {
        struct hbk_tls_context_options options = {.engine = engines[i].server,
                                                  .certificates = certificates,
                                                  .certificate_count = HBK_COUNT(certificates),
                                                  .client_certificate =
                                                      HBK_TLS_CLIENT_CERTIFICATE_NONE};
        struct hbk_tls_context *server = authority_context(&authority, options, NULL);
        for (size_t j = 0; j < HBK_COUNT(cases); j++) {
            options = (struct hbk_tls_context_options){.engine = engines[i].client,
                                                       .verify_schemes = rsa_alone,
                                                       .verify_scheme_count =
                                                           cases[j].takes_rsa_alone ? 1 : 0};
            struct hbk_tls_context *client = authority_context(&authority, options, NULL);
            const struct hbk_tls_options wanted = {.server_name = hbk_slice_text(cases[j].asked)};
            struct pair *pair = pair_of(&worker, client, wanted, server, FORGE_NOW_NS);
            pair->client_answer = pair->server_answer = HBK_TLS_WANT_INPUT;
            meeting_run(&worker, pair, meeting_at_once);
            if (cases[j].is_good) {
                meeting_expect_done(pair);
                unsigned char *der = NULL;
                int size = i2d_X509(leaves[cases[j].presented].certificate, &der);
                assert_slice_equal(hbk_tls_peer(pair->client)->certificates[0],
                                   hbk_slice_of(der, (size_t)size));
                OPENSSL_free(der);
                assert_slice_equal(hbk_tls_agreement(pair->server).server_name,
                                   hbk_slice_text(cases[j].asked));
            } else if (cases[j].presented < 0) {
                meeting_expect_failed(pair, false, HBK_ALERT_HANDSHAKE_FAILURE);
            } else {
                meeting_expect_failed(pair, true, HBK_ALERT_BAD_CERTIFICATE);
            }
            pair_free(pair);
            hbk_tls_context_unref(client);
        }
        hbk_tls_context_unref(server);
    }
    for (size_t i = 0; i < HBK_COUNT(leaves); i++) {
        forged_free(&leaves[i]);
    }
}

/* ---- staples ---- */

static void a_staple_reaches_a_client_that_asks_for_it(void **state)
{
    (void)state;
    const struct forged *leaf = authority_server(&authority, AUTHORITY_P256);
    struct hbk_slice staple = HBK_SLICE("\x30\x03\x0a\x01\x06");
    const struct hbk_tls_certificate_options certificate = {
        .chain = &leaf->certificate, .chain_count = 1, .private_key = leaf->key, .staple = staple};
    for (size_t i = 0; i < HBK_COUNT(engines); i++) {
        for (unsigned asks = 0; asks < 2; asks++) {
            struct hbk_tls_context_options options = {.engine = engines[i].server,
                                                      .certificates = &certificate,
                                                      .certificate_count = 1,
                                                      .client_certificate =
                                                          HBK_TLS_CLIENT_CERTIFICATE_NONE};
            struct hbk_tls_context *server = authority_context(&authority, options, NULL);
            options = (struct hbk_tls_context_options){.engine = engines[i].client,
                                                       .asks_staple = asks == 1};
            struct hbk_tls_context *client = authority_context(&authority, options, NULL);
            struct pair *pair = meeting_of(&worker, client, server, NULL, FORGE_NOW_NS);
            meeting_run(&worker, pair, meeting_at_once);
            meeting_expect_done(pair);
            assert_slice_equal(hbk_tls_staple(pair->client),
                               asks == 1 ? staple : hbk_slice_of(NULL, 0));
            part(pair, client, server);
        }
    }
}

/* ---- key updates ---- */

static void flush(struct hbk_tls_session *session, struct pair_queue *out)
{
    size_t written = 0;
    assert_int_equal(hbk_tls_flush(session,
                                   hbk_span_of(out->bytes + out->size, HBK_TLS_CONTROL_BYTES_MAX),
                                   &written),
                     HBK_TLS_DONE);
    out->size += written;
}

static void keys_are_updated_in_both_directions_as_often_as_one_likes(void **state)
{
    (void)state;
    for (size_t i = 0; i < HBK_COUNT(engines); i++) {
        for (size_t j = 0; j < HBK_COUNT(suites); j++) {
            struct hbk_tls_context_options options = {
                .engine = engines[i].client, .suites = &suites[j], .suite_count = 1};
            struct hbk_tls_context *client = authority_context(
                &authority, options, authority_client(&authority, AUTHORITY_P256));
            options.engine = engines[i].server;
            struct hbk_tls_context *server = authority_context(
                &authority, options, authority_server(&authority, AUTHORITY_P256));
            struct pair *pair = meeting_of(&worker, client, server, NULL, FORGE_NOW_NS);
            meeting_run(&worker, pair, meeting_at_once);
            meeting_expect_done(pair);
            for (unsigned times = 0; times < 20; times++) {
                hbk_tls_update_keys(times % 2 == 0 ? pair->client : pair->server, true);
                flush(pair->client, &pair->to_server);
                flush(pair->server, &pair->to_client);
                meeting_expect_same_keys(pair);
                flush(pair->client, &pair->to_server);
                flush(pair->server, &pair->to_client);
                meeting_expect_same_keys(pair);
            }
            part(pair, client, server);
        }
    }
}

static int set_up(void **state)
{
    (void)state;
    authority_init(&authority, "test root");
    pair_worker_init(&worker, 16);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    pair_worker_fini(&worker);
    authority_fini(&authority);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(engines_meet_in_every_suite_group_and_kind_of_certificate),
        cmocka_unit_test(a_share_of_another_group_costs_a_retry),
        cmocka_unit_test(a_client_may_send_several_shares),
        cmocka_unit_test(nothing_in_common_is_told_by_the_right_alert),
        cmocka_unit_test(a_peer_that_is_not_trusted_is_told_why),
        cmocka_unit_test(a_client_without_a_certificate_is_refused_where_one_is_required),
        cmocka_unit_test(a_stolen_certificate_is_of_no_use),
        cmocka_unit_test(handshakes_survive_any_split_and_any_room),
        cmocka_unit_test(the_servers_first_protocol_that_the_client_speaks_is_chosen),
        cmocka_unit_test(nobody_sends_longer_records_than_the_other_takes),
        cmocka_unit_test(a_record_above_the_limit_ends_the_connection),
        cmocka_unit_test(a_server_presents_the_certificate_of_the_name_that_is_asked_for),
        cmocka_unit_test(a_staple_reaches_a_client_that_asks_for_it),
        cmocka_unit_test(keys_are_updated_in_both_directions_as_often_as_one_likes),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
