/* Connections of TLS 1.2 from both ends, against plain libssl; on both engines, since the native
 * one hands its servers' hellos over. */
#include "tls/session.h"

#include "stage.h"
#include "stranger.h"
#include "tls/alert.h"

enum { KEY_P256, KEY_P384, KEY_RSA, KEY_ED25519, KEYS };

static struct forged keyed[KEYS]; /* certificates for x.test, one for each kind of key */

static int set_up_keys(void **state)
{
    EVP_PKEY *keys[KEYS] = {
        [KEY_P256] = EVP_EC_gen("P-256"),
        [KEY_P384] = EVP_EC_gen("P-384"),
        [KEY_RSA] = EVP_RSA_gen(2048),
        [KEY_ED25519] = EVP_PKEY_Q_keygen(NULL, NULL, "ED25519"),
    };
    assert_int_equal(set_up(state), 0);
    for (size_t i = 0; i < KEYS; i++) {
        keyed[i] = forge((struct forge){.signer = &root, .names = "DNS:x.test", .key = keys[i]});
        EVP_PKEY_free(keys[i]);
    }
    stranger = forge((struct forge){.signer = &root, .names = "DNS:x.test"});
    return 0;
}

static int tear_down_keys(void **state)
{
    for (size_t i = 0; i < KEYS; i++) {
        forged_free(&keyed[i]);
    }
    forged_free(&stranger);
    return tear_down(state);
}

/* A server with these certificates that knows no clients, or a client that trusts by name. */
static struct hbk_tls_context *server_of(const struct hbk_tls_certificate_options *certificates,
                                         size_t count)
{
    return context_of((struct hbk_tls_context_options){
        .certificates = certificates,
        .certificate_count = count,
        .client_certificate = HBK_TLS_CLIENT_CERTIFICATE_NONE,
        .protocols = HBK_SLICE("\2h2\x08http/1.1"),
        .allows_tls12 = true,
    });
}

static struct hbk_tls_context *client_of(void)
{
    return context_of((struct hbk_tls_context_options){
        .trust = name_trust,
        .client_certificate = HBK_TLS_CLIENT_CERTIFICATE_NONE,
        .protocols = HBK_SLICE("\2h2\x08http/1.1"),
        .allows_tls12 = true,
    });
}

static struct hbk_tls_options to_x(void)
{
    return (struct hbk_tls_options){.server_name = HBK_SLICE("x.test")};
}

static void both_have_shaken(struct interop *interop)
{
    interop_shake(interop);
    if (interop->answer != HBK_TLS_DONE || interop->ssl_result != 1) {
        fail_msg("we %s: %s; libssl %d: %s", hbk_tls_answer_text(interop->answer),
                 interop->answer == HBK_TLS_FAILED ? hbk_tls_failure(interop->session).text : "",
                 interop->ssl_result, ERR_reason_error_string(ERR_peek_error()));
    }
}

static void data_passes_in_any_sizes(struct interop *interop)
{
    static uint8_t bytes[16384];
    static const size_t sizes[] = {1, 64, 1000, 16383, 16384};
    for (size_t i = 0; i < HBK_COUNT(sizes); i++) {
        memset(bytes, (int)i + 1, sizeof bytes);
        send_to_ssl(interop, hbk_slice_of(bytes, sizes[i]));
        expect_from_ssl(interop, hbk_slice_of(bytes, sizes[i]));
    }
}

/* Each kind of key in each suite that it goes with. */
static void a_server_speaks_to_clients_that_know_no_better(void **state)
{
    (void)state;
    static const struct {
        int key;
        const char *ciphers;
        const char *text;
        const char *schemes;
    } cases[] = {
        {KEY_P256, "ECDHE-ECDSA-AES128-GCM-SHA256", "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256",
         NULL},
        {KEY_P256, "ECDHE-ECDSA-AES256-GCM-SHA384", "TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384",
         NULL},
        {KEY_P256, "ECDHE-ECDSA-CHACHA20-POLY1305", "TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256",
         NULL},
        {KEY_RSA, "ECDHE-RSA-AES128-GCM-SHA256", "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256", NULL},
        {KEY_RSA, "ECDHE-RSA-CHACHA20-POLY1305", "TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256",
         NULL},
        {KEY_RSA, "ECDHE-RSA-AES128-GCM-SHA256", "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256",
         "rsa_pkcs1_sha256"},
        {KEY_P384, "ECDHE-ECDSA-AES128-GCM-SHA256", "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256",
         "ECDSA+SHA256"},
        {KEY_ED25519, "ECDHE-ECDSA-AES128-GCM-SHA256", "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256",
         NULL},
    };
    for (size_t i = 0; i < HBK_COUNT(cases); i++) {
        struct hbk_tls_certificate_options own = certificate_of(&keyed[cases[i].key]);
        struct hbk_tls_context *ours = server_of(&own, 1);
        const struct habits habits = {.version = TLS1_2_VERSION,
                                      .ciphers = cases[i].ciphers,
                                      .schemes = cases[i].schemes,
                                      .protocols = "\2h2"};
        uint64_t handed_over = hbk_tls_worker_counters(worker.tls)->handed_over;
        struct interop *interop =
            interop_of(&habits, NULL, &worker, ours, (struct hbk_tls_options){0});
        SSL_ctrl(interop->ssl, SSL_CTRL_SET_TLSEXT_HOSTNAME, TLSEXT_NAMETYPE_host_name,
                 (char[]){"x.test"});
        both_have_shaken(interop);
        struct hbk_tls_agreement agreement = hbk_tls_agreement(interop->session);
        assert_int_equal(agreement.version, HBK_TLS_1_2);
        assert_int_equal(agreement.engine, HBK_TLS_ENGINE_OPENSSL);
        assert_string_equal(agreement.cipher_text, cases[i].text);
        assert_slice_equal(agreement.protocol, HBK_SLICE("h2"));
        assert_slice_equal(agreement.server_name, HBK_SLICE("x.test"));
        assert_int_equal(agreement.group, HBK_GROUP_X25519);
        assert_int_equal(hbk_tls_worker_counters(worker.tls)->handed_over - handed_over,
                         pair_engine == HBK_TLS_ENGINE_NATIVE);
        assert_null(hbk_tls_peer(interop->session));
        data_passes_in_any_sizes(interop);
        interop_free(interop);
        hbk_tls_context_unref(ours);
    }
}

static void a_client_speaks_to_servers_that_know_no_better(void **state)
{
    (void)state;
    struct hbk_tls_context *ours = client_of();
    for (int key = 0; key < KEYS; key++) {
        const struct habits habits = {.is_server = true,
                                      .version = TLS1_2_VERSION,
                                      .certificate = &keyed[key],
                                      .protocols = "\2h2",
                                      .has_no_demands = true};
        struct interop *interop = interop_of(&habits, NULL, &worker, ours, to_x());
        both_have_shaken(interop);
        assert_int_equal(hbk_tls_agreement(interop->session).version, HBK_TLS_1_2);
        assert_slice_equal(hbk_tls_agreement(interop->session).protocol, HBK_SLICE("h2"));
        assert_slice_equal(hbk_tls_peer(interop->session)->names.dns_names, HBK_SLICE("x.test\0"));
        assert_int_not_equal(hbk_tls_agreement(interop->session).peer_scheme, 0);
        data_passes_in_any_sizes(interop);
        interop_free(interop);
    }
    hbk_tls_context_unref(ours);
}

static void whoever_knows_better_gets_better(void **state)
{
    (void)state;
    struct hbk_tls_certificate_options own = certificate_of(&keyed[KEY_P256]);
    struct hbk_tls_context *contexts[] = {server_of(&own, 1), client_of()};
    for (int is_server = 0; is_server < 2; is_server++) {
        const struct habits habits = {
            .is_server = is_server != 0, .protocols = "\2h2", .has_no_demands = true};
        struct interop *interop = interop_of(&habits, NULL, &worker, contexts[is_server], to_x());
        both_have_shaken(interop);
        struct hbk_tls_agreement agreement = hbk_tls_agreement(interop->session);
        assert_int_equal(agreement.version, HBK_TLS_1_3);
        /* A client cannot know before its first message, so it begins with libssl. */
        assert_int_equal(agreement.engine, is_server != 0 ? HBK_TLS_ENGINE_OPENSSL : pair_engine);
        data_passes_in_any_sizes(interop);
        interop_free(interop);
    }
    hbk_tls_context_unref(contexts[0]);
    hbk_tls_context_unref(contexts[1]);
}

/* RFC 5246, 7.4.2; RFC 8422, 5.3: the suite and the algorithms choose. */
static void a_server_presents_what_an_old_client_can_verify(void **state)
{
    (void)state;
    static const struct {
        const char *ciphers;
        const char *schemes;
        int key;
    } cases[] = {
        {"ECDHE-ECDSA-AES128-GCM-SHA256", NULL, KEY_P256},
        {"ECDHE-RSA-AES128-GCM-SHA256", NULL, KEY_RSA},
        {"ECDHE-RSA-AES128-GCM-SHA256", "rsa_pkcs1_sha512:ECDSA+SHA256", KEY_RSA},
    };
    struct hbk_tls_certificate_options own[] = {certificate_of(&keyed[KEY_P256]),
                                                certificate_of(&keyed[KEY_RSA])};
    struct hbk_tls_context *ours = server_of(own, 2);
    for (size_t i = 0; i < HBK_COUNT(cases); i++) {
        const struct habits habits = {.version = TLS1_2_VERSION,
                                      .ciphers = cases[i].ciphers,
                                      .schemes = cases[i].schemes,
                                      .protocols = "\2h2"};
        struct interop *interop =
            interop_of(&habits, NULL, &worker, ours, (struct hbk_tls_options){0});
        SSL_ctrl(interop->ssl, SSL_CTRL_SET_TLSEXT_HOSTNAME, TLSEXT_NAMETYPE_host_name,
                 (char[]){"x.test"});
        both_have_shaken(interop);
        X509 *got = SSL_get0_peer_certificate(interop->ssl);
        assert_int_equal(X509_cmp(got, keyed[cases[i].key].certificate), 0);
        interop_free(interop);
    }
    hbk_tls_context_unref(ours);
}

static void weak_peers_are_refused(void **state)
{
    (void)state;
    static const struct {
        const char *ciphers;
        int version;
        int alert;
    } cases[] = {
        {"AES128-GCM-SHA256", TLS1_2_VERSION, HBK_ALERT_HANDSHAKE_FAILURE}, /* no ECDHE */
        {"DHE-RSA-AES128-GCM-SHA256", TLS1_2_VERSION, HBK_ALERT_HANDSHAKE_FAILURE},
        {"ECDHE-RSA-AES128-SHA256", TLS1_2_VERSION, HBK_ALERT_HANDSHAKE_FAILURE}, /* CBC */
        {"ECDHE-RSA-AES128-SHA:@SECLEVEL=0", TLS1_1_VERSION, HBK_ALERT_PROTOCOL_VERSION},
    };
    struct hbk_tls_certificate_options own = certificate_of(&keyed[KEY_RSA]);
    struct hbk_tls_context *ours = server_of(&own, 1);
    for (size_t i = 0; i < HBK_COUNT(cases); i++) {
        const struct habits habits = {
            .version = cases[i].version, .ciphers = cases[i].ciphers, .protocols = "\2h2"};
        struct interop *interop =
            interop_of(&habits, NULL, &worker, ours, (struct hbk_tls_options){0});
        interop_shake(interop);
        assert_int_equal(interop->answer, HBK_TLS_FAILED);
        assert_int_equal(hbk_tls_failure(interop->session).alert, cases[i].alert);
        interop_free(interop);
    }
    hbk_tls_context_unref(ours);
}

/* A context that does not allow TLS 1.2 does not speak it. */
static void tls12_is_spoken_only_where_it_is_allowed(void **state)
{
    (void)state;
    struct hbk_tls_certificate_options own = certificate_of(&keyed[KEY_P256]);
    struct hbk_tls_context *ours = context_of((struct hbk_tls_context_options){
        .certificates = &own,
        .certificate_count = 1,
        .client_certificate = HBK_TLS_CLIENT_CERTIFICATE_NONE,
    });
    const struct habits habits = {.version = TLS1_2_VERSION};
    struct interop *interop = interop_of(&habits, NULL, &worker, ours, (struct hbk_tls_options){0});
    interop_shake(interop);
    assert_int_equal(interop->answer, HBK_TLS_FAILED);
    assert_int_equal(hbk_tls_failure(interop->session).alert, HBK_ALERT_PROTOCOL_VERSION);
    interop_free(interop);
    hbk_tls_context_unref(ours);
}

static void clients_are_known_by_their_certificates(void **state)
{
    (void)state;
    struct hbk_tls_certificate_options own = certificate_of(&leaf);
    for (int has_certificate = 0; has_certificate < 2; has_certificate++) {
        struct hbk_tls_context *ours = context_of((struct hbk_tls_context_options){
            .certificates = &own,
            .certificate_count = 1,
            .trust = mesh_trust,
            .client_certificate = HBK_TLS_CLIENT_CERTIFICATE_REQUIRED,
            .allows_tls12 = true,
        });
        const struct habits habits = {.version = TLS1_2_VERSION,
                                      .certificate = &client,
                                      .has_no_certificate = has_certificate == 0};
        struct interop *interop =
            interop_of(&habits, NULL, &worker, ours, (struct hbk_tls_options){0});
        if (has_certificate != 0) {
            both_have_shaken(interop);
            assert_slice_equal(hbk_tls_peer(interop->session)->id->text,
                               HBK_SLICE("spiffe://td.test/ns/shop/sa/web"));
        } else {
            interop_shake(interop);
            assert_int_equal(interop->answer, HBK_TLS_FAILED);
            assert_int_equal(hbk_tls_failure(interop->session).status, HBK_UNTRUSTED);
        }
        interop_free(interop);
        hbk_tls_context_unref(ours);
    }
}

/* RFC 5705: an absent context is another than an empty one. */
static void both_ends_export_the_same_keys(void **state)
{
    (void)state;
    struct hbk_tls_certificate_options own = certificate_of(&keyed[KEY_P256]);
    struct hbk_tls_context *ours = server_of(&own, 1);
    const struct habits habits = {.version = TLS1_2_VERSION, .protocols = "\2h2"};
    const struct habits old = {.version = TLS1_2_VERSION,
                               .protocols = "\2h2",
                               .options = SSL_OP_NO_EXTENDED_MASTER_SECRET};
    const struct hbk_slice contexts[] = {hbk_slice_of(NULL, 0), hbk_slice_of("", 0),
                                         HBK_SLICE("context")};
    struct interop *interop = interop_of(&habits, NULL, &worker, ours, (struct hbk_tls_options){0});
    both_have_shaken(interop);
    for (size_t i = 0; i < HBK_COUNT(contexts); i++) {
        uint8_t mine[64];
        uint8_t theirs[64];
        assert_int_equal(hbk_tls_export(interop->session, HBK_SLICE("label"), contexts[i],
                                        hbk_span_of(mine, sizeof mine)),
                         HBK_OK);
        assert_int_equal(SSL_export_keying_material(interop->ssl, theirs, sizeof theirs, "label", 5,
                                                    contexts[i].bytes, contexts[i].size,
                                                    contexts[i].bytes != NULL),
                         1);
        assert_memory_equal(mine, theirs, sizeof mine);
    }
    interop_free(interop);

    /* RFC 7627, 6: not without an extended master secret. */
    interop = interop_of(&old, NULL, &worker, ours, (struct hbk_tls_options){0});
    both_have_shaken(interop);
    uint8_t mine[8];
    assert_int_equal(hbk_tls_export(interop->session, HBK_SLICE("label"), contexts[0],
                                    hbk_span_of(mine, sizeof mine)),
                     HBK_UNSUPPORTED);
    interop_free(interop);
    hbk_tls_context_unref(ours);
}

/* ---- the data phase ---- */

static struct interop *joined(struct hbk_tls_context *ours)
{
    const struct habits habits = {.version = TLS1_2_VERSION, .protocols = "\2h2"};
    struct interop *interop = interop_of(&habits, NULL, &worker, ours, (struct hbk_tls_options){0});
    both_have_shaken(interop);
    return interop;
}

static struct hbk_tls_context *usual_server(void)
{
    struct hbk_tls_certificate_options own = certificate_of(&keyed[KEY_P256]);
    return server_of(&own, 1);
}

static void nothing_is_consumed_before_a_record_is_whole(void **state)
{
    (void)state;
    struct hbk_tls_context *ours = usual_server();
    struct interop *interop = joined(ours);
    struct hbk_slice plain;
    size_t consumed = 0;
    assert_int_equal(SSL_write(interop->ssl, "hello", 5), 5);
    assert_int_equal(SSL_write(interop->ssl, "again", 5), 5);
    carry(interop);
    struct pair_queue *wire = &interop->wire;
    size_t record = wire->size / 2;
    for (size_t size = 0; size < record; size++) {
        assert_int_equal(
            hbk_tls_open(interop->session, hbk_span_of(wire->bytes, size), &consumed, &plain),
            HBK_TLS_WANT_INPUT);
        assert_int_equal(consumed, 0);
    }
    assert_int_equal(
        hbk_tls_open(interop->session, hbk_span_of(wire->bytes, wire->size), &consumed, &plain),
        HBK_TLS_DONE);
    assert_int_equal(consumed, record);
    assert_slice_equal(plain, HBK_SLICE("hello"));
    assert_true(plain.bytes >= wire->bytes && plain.bytes + plain.size <= wire->bytes + consumed);
    assert_int_equal(hbk_tls_open(interop->session, hbk_span_of(wire->bytes + record, record),
                                  &consumed, &plain),
                     HBK_TLS_DONE);
    assert_slice_equal(plain, HBK_SLICE("again"));
    interop_free(interop);
    hbk_tls_context_unref(ours);
}

static void the_stated_bounds_suffice(void **state)
{
    (void)state;
    static uint8_t bytes[40000];
    static uint8_t out[60000];
    struct hbk_tls_context *ours = usual_server();
    struct interop *interop = joined(ours);
    const struct hbk_slice pieces[] = {hbk_slice_of(bytes, 3), hbk_slice_of(bytes, 0),
                                       hbk_slice_of(bytes, 20000)};
    for (size_t size = 0; size < sizeof bytes; size += 1 + size / 5) {
        struct hbk_slice plain = hbk_slice_of(bytes, size);
        size_t room = hbk_tls_sealed_bytes_max(interop->session, size);
        size_t sealed = 0;
        size_t written = 0;
        assert_int_equal(
            hbk_tls_seal(interop->session, &plain, 1, hbk_span_of(out, room), &sealed, &written),
            HBK_TLS_DONE);
        assert_int_equal(sealed, size);
        assert_true(hbk_tls_plain_bytes_max(interop->session, room) >= size);
        plain.size = hbk_tls_plain_bytes_max(interop->session, size);
        assert_int_equal(
            hbk_tls_seal(interop->session, &plain, 1, hbk_span_of(out, size), &sealed, &written),
            HBK_TLS_DONE);
    }
    size_t sealed = 0;
    size_t written = 0;
    assert_int_equal(hbk_tls_seal(interop->session, pieces, HBK_COUNT(pieces),
                                  hbk_span_of(out, 100), &sealed, &written),
                     HBK_TLS_WANT_ROOM);
    assert_true(sealed > 0 && written <= 100);
    interop_free(interop);

    /* Slices of any size arrive in order. */
    interop = joined(ours);
    assert_int_equal(hbk_tls_seal(interop->session, pieces, HBK_COUNT(pieces),
                                  hbk_span_of(out, sizeof out), &sealed, &written),
                     HBK_TLS_DONE);
    assert_int_equal(sealed, 20003);
    BIO_write(interop->to_ssl, out, (int)written);
    size_t got = 0;
    for (int size = 1; size > 0; got += size > 0 ? (size_t)size : 0) {
        size = SSL_read(interop->ssl, out, sizeof out);
    }
    assert_int_equal(got, 20003);
    interop_free(interop);
    hbk_tls_context_unref(ours);
}

static void either_side_may_end(void **state)
{
    (void)state;
    struct hbk_tls_context *ours = usual_server();
    struct interop *interop = joined(ours);
    struct hbk_slice plain;
    uint8_t out[HBK_TLS_CONTROL_BYTES_MAX];
    size_t written = 0;
    size_t sealed = 0;
    char byte;
    assert_int_equal(SSL_shutdown(interop->ssl), 0);
    assert_int_equal(receive(interop, &plain), HBK_TLS_CLOSED);
    assert_int_equal(hbk_tls_shutdown(interop->session, hbk_span_of(out, 10), &written),
                     HBK_TLS_WANT_ROOM);
    assert_int_equal(hbk_tls_shutdown(interop->session, hbk_span_of(out, sizeof out), &written),
                     HBK_TLS_DONE);
    assert_true(written > 0);
    BIO_write(interop->to_ssl, out, (int)written);
    assert_int_equal(SSL_read(interop->ssl, &byte, 1), 0);
    assert_int_equal(SSL_get_error(interop->ssl, 0), SSL_ERROR_ZERO_RETURN);
    assert_int_equal(hbk_tls_shutdown(interop->session, hbk_span_of(out, sizeof out), &written),
                     HBK_TLS_DONE);
    assert_int_equal(written, 0);
    plain = HBK_SLICE("late");
    assert_int_equal(
        hbk_tls_seal(interop->session, &plain, 1, hbk_span_of(out, sizeof out), &sealed, &written),
        HBK_TLS_FAILED);
    interop_free(interop);
    hbk_tls_context_unref(ours);
}

static void a_changed_record_ends_the_connection_with_its_alert(void **state)
{
    (void)state;
    static const struct {
        size_t at;
        uint8_t bits;
        int alert;
    } cases[] = {
        {20, 1, HBK_ALERT_BAD_RECORD_MAC},
        {0, 0x80, HBK_ALERT_BAD_RECORD_MAC}, /* the type is authenticated, too */
    };
    struct hbk_tls_context *ours = usual_server();
    for (size_t i = 0; i < HBK_COUNT(cases); i++) {
        struct interop *interop = joined(ours);
        struct hbk_slice plain;
        uint8_t out[HBK_TLS_CONTROL_BYTES_MAX];
        size_t written = 0;
        char byte;
        assert_int_equal(SSL_write(interop->ssl, "hello", 5), 5);
        carry(interop);
        interop->wire.bytes[cases[i].at] ^= cases[i].bits;
        assert_int_equal(receive(interop, &plain), HBK_TLS_FAILED);
        struct hbk_tls_failure failure = hbk_tls_failure(interop->session);
        assert_int_equal(failure.alert, cases[i].alert);
        assert_false(failure.alert_is_received);
        assert_true(hbk_tls_has_output(interop->session));
        assert_int_equal(hbk_tls_flush(interop->session, hbk_span_of(out, sizeof out), &written),
                         HBK_TLS_DONE);
        assert_false(hbk_tls_has_output(interop->session));
        BIO_write(interop->to_ssl, out, (int)written);
        assert_true(SSL_read(interop->ssl, &byte, 1) <= 0);
        assert_int_equal(ERR_GET_REASON(ERR_peek_last_error()), 1000 + cases[i].alert);
        ERR_clear_error();
        /* And it stays so. */
        size_t sealed = 0;
        plain = HBK_SLICE("late");
        assert_int_equal(hbk_tls_seal(interop->session, &plain, 1, hbk_span_of(out, sizeof out),
                                      &sealed, &written),
                         HBK_TLS_FAILED);
        assert_int_equal(receive(interop, &plain), HBK_TLS_FAILED);
        interop_free(interop);
    }
    hbk_tls_context_unref(ours);
}

/* However many pieces a record comes in that is longer than any may be. */
static void a_record_that_is_too_long_is_refused(void **state)
{
    (void)state;
    static uint8_t record[5 + 65535] = {0x17, 3, 3};
    static const size_t lengths[] = {16384 + 257, 16384 + 2048, 65535};
    struct hbk_tls_context *ours = usual_server();
    for (size_t i = 0; i < HBK_COUNT(lengths); i++) {
        struct interop *interop = joined(ours);
        enum hbk_tls_answer answer = HBK_TLS_WANT_INPUT;
        record[3] = (uint8_t)(lengths[i] >> 8);
        record[4] = (uint8_t)lengths[i];
        size_t total = 5 + lengths[i];
        for (size_t at = 0; at < total && answer != HBK_TLS_FAILED;) {
            size_t left = total - at;
            size_t consumed = 0;
            struct hbk_slice plain;
            answer =
                hbk_tls_open(interop->session, hbk_span_of(record + at, left < 9000 ? left : 9000),
                             &consumed, &plain);
            assert_int_equal(plain.size, 0);
            assert_true(consumed > 0 || answer == HBK_TLS_FAILED);
            at += consumed;
        }
        assert_int_equal(answer, HBK_TLS_FAILED);
        interop_free(interop);
    }
    hbk_tls_context_unref(ours);
}

/* RFC 5746, 4.5: we do not, and say so; the connection goes on. */
static void nobody_renegotiates(void **state)
{
    (void)state;
    struct hbk_tls_context *ours = usual_server();
    struct interop *interop = joined(ours);
    struct hbk_slice plain;
    uint8_t out[HBK_TLS_CONTROL_BYTES_MAX];
    size_t written = 0;
    assert_int_equal(SSL_renegotiate(interop->ssl), 1);
    (void)SSL_do_handshake(interop->ssl);
    enum hbk_tls_answer answer = receive(interop, &plain);
    assert_true(answer == HBK_TLS_WANT_INPUT || answer == HBK_TLS_FAILED);
    assert_true(hbk_tls_has_output(interop->session));
    assert_int_equal(hbk_tls_flush(interop->session, hbk_span_of(out, sizeof out), &written),
                     HBK_TLS_DONE);
    BIO_write(interop->to_ssl, out, (int)written);
    assert_true(SSL_do_handshake(interop->ssl) <= 0); /* libssl takes no for a failure */
    interop_free(interop);
    hbk_tls_context_unref(ours);
}

/* Whom a program refuses behind the handshake hears the end, since libssl sends no alert of ours.
 */
static void a_refused_peer_hears_the_end(void **state)
{
    (void)state;
    struct hbk_tls_context *ours = usual_server();
    struct interop *interop = joined(ours);
    struct hbk_slice plain = HBK_SLICE("late");
    uint8_t out[HBK_TLS_CONTROL_BYTES_MAX];
    size_t written = 0;
    size_t sealed = 0;
    char byte;
    hbk_tls_abort(interop->session, HBK_ALERT_ACCESS_DENIED);
    assert_true(hbk_tls_has_output(interop->session));
    assert_int_equal(hbk_tls_failure(interop->session).status, HBK_DENIED);
    assert_int_equal(hbk_tls_flush(interop->session, hbk_span_of(out, sizeof out), &written),
                     HBK_TLS_DONE);
    assert_false(hbk_tls_has_output(interop->session));
    BIO_write(interop->to_ssl, out, (int)written);
    assert_int_equal(SSL_read(interop->ssl, &byte, 1), 0);
    assert_int_equal(SSL_get_error(interop->ssl, 0), SSL_ERROR_ZERO_RETURN);
    assert_int_equal(
        hbk_tls_seal(interop->session, &plain, 1, hbk_span_of(out, sizeof out), &sealed, &written),
        HBK_TLS_FAILED);
    assert_int_equal(receive(interop, &plain), HBK_TLS_FAILED);
    interop_free(interop);
    hbk_tls_context_unref(ours);
}

static void a_client_that_needs_a_protocol_refuses_a_server_without(void **state)
{
    (void)state;
    struct hbk_tls_context *ours = context_of((struct hbk_tls_context_options){
        .trust = name_trust,
        .client_certificate = HBK_TLS_CLIENT_CERTIFICATE_NONE,
        .protocols = HBK_SLICE("\2h2"),
        .requires_protocol = true,
        .allows_tls12 = true,
    });
    const struct habits habits = {
        .is_server = true, .version = TLS1_2_VERSION, .protocols = "", .has_no_demands = true};
    struct interop *interop = interop_of(&habits, NULL, &worker, ours, to_x());
    interop_shake(interop);
    assert_int_equal(interop->answer, HBK_TLS_FAILED);
    assert_int_equal(hbk_tls_failure(interop->session).alert, HBK_ALERT_NO_APPLICATION_PROTOCOL);
    assert_string_equal(hbk_tls_failure(interop->session).text,
                        "the peer does not speak the application protocol h2");
    interop_free(interop);
    hbk_tls_context_unref(ours);
}

static int run(enum hbk_tls_engine_kind engine)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_server_speaks_to_clients_that_know_no_better),
        cmocka_unit_test(a_client_speaks_to_servers_that_know_no_better),
        cmocka_unit_test(whoever_knows_better_gets_better),
        cmocka_unit_test(a_server_presents_what_an_old_client_can_verify),
        cmocka_unit_test(weak_peers_are_refused),
        cmocka_unit_test(tls12_is_spoken_only_where_it_is_allowed),
        cmocka_unit_test(clients_are_known_by_their_certificates),
        cmocka_unit_test(both_ends_export_the_same_keys),
        cmocka_unit_test(nothing_is_consumed_before_a_record_is_whole),
        cmocka_unit_test(the_stated_bounds_suffice),
        cmocka_unit_test(either_side_may_end),
        cmocka_unit_test(a_changed_record_ends_the_connection_with_its_alert),
        cmocka_unit_test(a_record_that_is_too_long_is_refused),
        cmocka_unit_test(nobody_renegotiates),
        cmocka_unit_test(a_refused_peer_hears_the_end),
        cmocka_unit_test(a_client_that_needs_a_protocol_refuses_a_server_without),
    };
    pair_engine = engine;
    return cmocka_run_group_tests_name(hbk_tls_engine_text(engine), tests, set_up_keys,
                                       tear_down_keys);
}

int main(void)
{
    int failed = run(HBK_TLS_ENGINE_OPENSSL);
    return failed + run(HBK_TLS_ENGINE_NATIVE);
}
