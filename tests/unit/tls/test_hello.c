/*
 * Hellos that are well formed and lie: what a server may not choose (RFC 8446, 4.1.3, 4.1.4), and
 * what a client may not change in its second hello (4.1.2). Each case is a good hello but for one
 * thing.
 */
#include "rig.h"

enum { HELLO_BYTES_MAX = 1024 };

/* ---- to clients ---- */

/* What a server answers, beside what is good; 0: as it should be. */
struct server_case {
    const char *name;
    bool is_retry;
    uint16_t suite, group;
    bool has_other_session_id, has_psk, has_cookie, has_no_group;
    int alert; /* HBK_ALERT_NONE: it is taken */
};

/* The context offers two suites and the groups X25519, with a share, and P-256. */
static const struct server_case server_cases[] = {
    {.name = "a good hello", .alert = HBK_ALERT_NONE},
    {.name = "the other suite", .suite = HBK_SUITE_AES_256_GCM_SHA384, .alert = HBK_ALERT_NONE},
    {.name = "a suite that was not offered",
     .suite = HBK_SUITE_CHACHA20_POLY1305_SHA256,
     .alert = HBK_ALERT_ILLEGAL_PARAMETER},
    {.name = "a suite of TLS 1.2", .suite = 0xc02b, .alert = HBK_ALERT_ILLEGAL_PARAMETER},
    {.name = "a group without a share of ours",
     .group = HBK_GROUP_P256,
     .alert = HBK_ALERT_ILLEGAL_PARAMETER},
    {.name = "a group that was not offered",
     .group = HBK_GROUP_P384,
     .alert = HBK_ALERT_ILLEGAL_PARAMETER},
    {.name = "no share", .has_no_group = true, .alert = HBK_ALERT_MISSING_EXTENSION},
    {.name = "another session id",
     .has_other_session_id = true,
     .alert = HBK_ALERT_ILLEGAL_PARAMETER},
    {.name = "a session that was not offered",
     .has_psk = true,
     .alert = HBK_ALERT_UNSUPPORTED_EXTENSION},

    {.name = "a good retry", .is_retry = true, .group = HBK_GROUP_P256, .alert = HBK_ALERT_NONE},
    {.name = "a retry for a cookie alone",
     .is_retry = true,
     .has_no_group = true,
     .has_cookie = true,
     .alert = HBK_ALERT_NONE},
    {.name = "a retry for both",
     .is_retry = true,
     .group = HBK_GROUP_P256,
     .has_cookie = true,
     .alert = HBK_ALERT_NONE},
    {.name = "a retry for the share that is there",
     .is_retry = true,
     .group = HBK_GROUP_X25519,
     .alert = HBK_ALERT_ILLEGAL_PARAMETER},
    {.name = "a retry for a group that was not offered",
     .is_retry = true,
     .group = HBK_GROUP_P384,
     .alert = HBK_ALERT_ILLEGAL_PARAMETER},
    {.name = "a retry that changes nothing",
     .is_retry = true,
     .has_no_group = true,
     .alert = HBK_ALERT_ILLEGAL_PARAMETER},
    {.name = "a retry in a suite that was not offered",
     .is_retry = true,
     .group = HBK_GROUP_P256,
     .suite = HBK_SUITE_CHACHA20_POLY1305_SHA256,
     .alert = HBK_ALERT_ILLEGAL_PARAMETER},
    {.name = "a retry with another session id",
     .is_retry = true,
     .group = HBK_GROUP_P256,
     .has_other_session_id = true,
     .alert = HBK_ALERT_ILLEGAL_PARAMETER},
};

static struct hbk_tls_context *client_context;
static const uint8_t random_bytes[HBK_MESSAGE_RANDOM_BYTES] = {7, 7, 7};

/* A client that has said hello. */
static struct rig *client_rig(void)
{
    struct rig *rig = rig_new(MUTUAL, HBK_TLS_CLIENT);
    native_end_free(rig->victim);
    rig->victim = native_end_new(&rig->victims_worker, client_context, HBK_TLS_CLIENT, "cart.test");
    reach(rig, HBK_NATIVE_CLIENT_SERVER_HELLO);
    return rig;
}

/* Writes the case's hello as an answer to the victim's. Returns its size. */
static size_t write_server_hello(const struct rig *rig, const struct server_case *wish,
                                 uint8_t *out)
{
    static const uint8_t other_id[HBK_MESSAGE_SESSION_ID_BYTES_MAX] = {1};
    const struct hbk_native *handshake = rig->victim->handshake;
    uint16_t group = wish->group != 0 ? wish->group : HBK_GROUP_X25519;
    uint8_t share[HBK_GROUP_SHARE_BYTES_MAX] = {9}; /* of X25519: the base point */
    struct hbk_writer writer = hbk_writer_of(hbk_span_of(out, HELLO_BYTES_MAX));
    const struct hbk_server_hello_content content = {
        .random = wish->is_retry ? NULL : random_bytes,
        .session_id = wish->has_other_session_id
                          ? hbk_slice_of(other_id, sizeof other_id)
                          : hbk_slice_of(handshake->session_id, handshake->session_id_bytes),
        .suite = wish->suite != 0 ? wish->suite : HBK_SUITE_AES_128_GCM_SHA256,
        .group = wish->has_no_group ? 0 : group,
        .share_key =
            wish->is_retry
                ? hbk_slice_of(NULL, 0)
                : hbk_slice_of(share, hbk_tls_group_share_bytes((enum hbk_tls_group)group)),
        .cookie = wish->has_cookie ? HBK_SLICE("crumbs") : hbk_slice_of(NULL, 0),
        .has_psk = wish->has_psk,
    };
    hbk_server_hello_write(&writer, &content);
    assert_false(writer.has_failed);
    return writer.used;
}

static void deliver_server_hello(struct rig *rig, const struct server_case *wish)
{
    uint8_t hello[HELLO_BYTES_MAX];
    size_t size = write_server_hello(rig, wish, hello);
    deliver_record(rig, HBK_TLS_RECORD_HANDSHAKE, hbk_slice_of(hello, size));
}

static void a_client_takes_of_a_server_only_what_it_offered(void **context)
{
    /* RFC 8446 4.1.3: a suite that was not offered MUST be refused with illegal_parameter */
    (void)context;
    for (size_t i = 0; i < HBK_COUNT(server_cases); i++) {
        struct rig *rig = client_rig();
        deliver_server_hello(rig, &server_cases[i]);
        if (server_cases[i].alert != HBK_ALERT_NONE) {
            expect_alert(rig, server_cases[i].alert);
        } else {
            assert_int_equal(rig->victim->answer,
                             server_cases[i].is_retry ? HBK_TLS_WANT_INPUT : HBK_TLS_WAITING);
        }
        rig_free(rig);
    }
}

/* After a retry: no other suite, no second retry, no share of another group (4.1.4). */
static void a_client_holds_a_server_to_its_retry(void **context)
{
    (void)context;
    static const struct server_case retry = {.is_retry = true, .group = HBK_GROUP_P256};
    static const struct server_case cookie_alone = {
        .is_retry = true, .has_no_group = true, .has_cookie = true};
    const struct {
        struct server_case first, second;
    } cases[] = {
        {retry,
         {.group = HBK_GROUP_P256,
          .suite = HBK_SUITE_AES_256_GCM_SHA384,
          .alert = HBK_ALERT_ILLEGAL_PARAMETER}},
        {retry, {.group = HBK_GROUP_X25519, .alert = HBK_ALERT_ILLEGAL_PARAMETER}},
        {retry,
         {.is_retry = true, .group = HBK_GROUP_X25519, .alert = HBK_ALERT_UNEXPECTED_MESSAGE}},
        {retry,
         {.is_retry = true,
          .has_no_group = true,
          .has_cookie = true,
          .alert = HBK_ALERT_UNEXPECTED_MESSAGE}},
        {cookie_alone, {.alert = HBK_ALERT_NONE}},
        {cookie_alone,
         {.is_retry = true, .group = HBK_GROUP_P256, .alert = HBK_ALERT_UNEXPECTED_MESSAGE}},
    };
    for (size_t i = 0; i < HBK_COUNT(cases); i++) {
        struct rig *rig = client_rig();
        deliver_server_hello(rig, &cases[i].first);
        assert_int_equal(rig->victim->answer, HBK_TLS_WANT_INPUT);
        deliver_server_hello(rig, &cases[i].second);
        if (cases[i].second.alert == HBK_ALERT_NONE) {
            assert_int_equal(rig->victim->answer, HBK_TLS_WAITING);
        } else {
            expect_alert(rig, cases[i].second.alert);
        }
        rig_free(rig);
    }
}

/* The second hello is the first with what the retry asked for (4.1.2). */
static void a_client_repeats_itself_after_a_retry(void **context)
{
    /* RFC 8446 4.1.2: a client sends its hello again, with what was asked for */
    (void)context;
    static const struct server_case retry = {
        .is_retry = true, .group = HBK_GROUP_P256, .has_cookie = true};
    struct rig *rig = client_rig();
    struct hbk_client_hello first;
    struct hbk_client_hello second;
    uint8_t bytes[2][HELLO_BYTES_MAX];
    size_t first_bytes = rig->victim->output_bytes;
    enum { BEFORE_BODY_BYTES = HBK_TLS_RECORD_HEADER_BYTES + HBK_MESSAGE_HEADER_BYTES };
    enum { CCS_BYTES = 6 };
    memcpy(bytes[0], rig->victim->output, first_bytes);
    deliver_server_hello(rig, &retry);
    size_t second_bytes = rig->victim->output_bytes - CCS_BYTES;
    memcpy(bytes[1], rig->victim->output + CCS_BYTES, second_bytes);
    assert_int_equal(
        hbk_client_hello_read(
            hbk_slice_of(bytes[0] + BEFORE_BODY_BYTES, first_bytes - BEFORE_BODY_BYTES), &first)
            .alert,
        HBK_ALERT_NONE);
    assert_int_equal(
        hbk_client_hello_read(
            hbk_slice_of(bytes[1] + BEFORE_BODY_BYTES, second_bytes - BEFORE_BODY_BYTES), &second)
            .alert,
        HBK_ALERT_NONE);
    assert_slice_equal(second.random, first.random);
    assert_slice_equal(second.session_id, first.session_id);
    assert_slice_equal(second.suites, first.suites);
    assert_slice_equal(second.groups, first.groups);
    assert_slice_equal(second.schemes, first.schemes);
    assert_slice_equal(second.server_name, first.server_name);
    assert_slice_equal(second.versions, first.versions);
    assert_slice_equal(second.cookie, HBK_SLICE("crumbs"));
    assert_int_equal(second.share_count, 1);
    assert_int_equal(second.shares[0].group, HBK_GROUP_P256);
    rig_free(rig);
}

/* A server of TLS 1.2 is told so; one that was made to look like that is found out (4.1.3). */
static void a_client_notices_a_downgrade(void **context)
{
    /* RFC 8446 4.1.3: a client MUST look for the mark of a downgrade in the random */
    (void)context;
    static const struct {
        const char *random_end; /* 8 bytes */
        int alert;
    } cases[] = {
        {"\x01\x02\x03\x04\x05\x06\x07\x08", HBK_ALERT_PROTOCOL_VERSION},
        {"DOWNGRD\x01", HBK_ALERT_ILLEGAL_PARAMETER},
        {"DOWNGRD\x00", HBK_ALERT_ILLEGAL_PARAMETER},
    };
    for (size_t i = 0; i < HBK_COUNT(cases); i++) {
        struct rig *rig = client_rig();
        uint8_t hello[] = {HBK_MESSAGE_SERVER_HELLO, 0, 0, 38, 3, 3, [38] = 0, 0xc0, 0x2b, 0};
        memcpy(hello + 30, cases[i].random_end, 8);
        deliver_record(rig, HBK_TLS_RECORD_HANDSHAKE, hbk_slice_of(hello, sizeof hello));
        expect_alert(rig, cases[i].alert);
        rig_free(rig);
    }
}

/* ---- to servers ---- */

/* The good second hello of the rig's client, changed; `at` counts from the message's start. */
static void change_random(struct message *hello)
{
    hello->bytes[HBK_MESSAGE_HEADER_BYTES + 2] ^= 1;
}

static void change_session_id(struct message *hello)
{
    hello->bytes[HBK_MESSAGE_HEADER_BYTES + 2 + HBK_MESSAGE_RANDOM_BYTES + 1] ^= 1;
}

static void change_version(struct message *hello)
{
    hello->bytes[HBK_MESSAGE_HEADER_BYTES + 1] ^= 1; /* legacy_version, which is not looked at */
}

static void change_server_name(struct message *hello)
{
    static const char name[] = "cart.test";
    uint8_t *at = memmem(hello->bytes, hello->size, name, sizeof name - 1);
    assert_non_null(at);
    *at = 'd';
}

/* The last of the schemes for certificates, which decide nothing here. */
static void change_scheme(struct message *hello)
{
    static const uint8_t schemes[] = {4, 1, 5, 1, 6, 1};
    uint8_t *at = memmem(hello->bytes, hello->size, schemes, sizeof schemes);
    assert_non_null(at);
    at[4] = 3;
}

static void a_server_holds_a_client_to_its_first_hello(void **context)
{
    (void)context;
    static void (*const changes[])(struct message * hello) = {
        change_random, change_session_id, change_version, change_server_name, change_scheme};
    for (size_t i = 0; i < HBK_COUNT(changes); i++) {
        struct rig *rig = rig_new(RETRIED, HBK_TLS_SERVER);
        reach(rig, HBK_NATIVE_SERVER_SECOND_HELLO);
        struct message changed;
        struct hbk_slice hello = next_message(rig);
        changed.size = hello.size;
        memcpy(changed.bytes, hello.bytes, hello.size);
        changes[i](&changed);
        deliver_record(rig, HBK_TLS_RECORD_HANDSHAKE, hbk_slice_of(changed.bytes, changed.size));
        expect_alert(rig, HBK_ALERT_ILLEGAL_PARAMETER);
        rig_free(rig);
    }
    /* The first hello again, without the share that was asked for. */
    struct rig *rig = rig_new(RETRIED, HBK_TLS_SERVER);
    struct hbk_slice first = next_message(rig);
    deliver_record(rig, HBK_TLS_RECORD_HANDSHAKE, first);
    assert_int_equal(rig->victim->handshake->state, HBK_NATIVE_SERVER_SECOND_HELLO);
    deliver_record(rig, HBK_TLS_RECORD_HANDSHAKE, first);
    expect_alert(rig, HBK_ALERT_ILLEGAL_PARAMETER);
    rig_free(rig);
}

/* A server that would have to sign must be told by which algorithms it may (4.2.3), whatever the
 * client would have liked to resume. */
static void a_server_signs_nothing_for_a_client_that_named_no_algorithm(void **context)
{
    (void)context;
    static const uint16_t suites[] = {HBK_SUITE_AES_128_GCM_SHA256};
    static const uint16_t groups[] = {HBK_GROUP_X25519};
    static const uint16_t schemes[] = {HBK_SIGN_ECDSA_P256_SHA256};
    static const uint8_t point[32] = {9};
    const struct hbk_key_share share = {HBK_GROUP_X25519, hbk_slice_of(point, sizeof point)};
    for (size_t scheme_count = 0; scheme_count <= HBK_COUNT(schemes); scheme_count++) {
        struct rig *rig = rig_new(ONE_WAY, HBK_TLS_SERVER);
        uint8_t hello[HELLO_BYTES_MAX];
        struct hbk_writer writer = hbk_writer_of(hbk_span_of(hello, sizeof hello));
        const struct hbk_client_hello_content content = {
            .random = random_bytes,
            .suites = suites,
            .suite_count = HBK_COUNT(suites),
            .groups = groups,
            .group_count = HBK_COUNT(groups),
            .schemes = schemes,
            .scheme_count = scheme_count,
            .shares = &share,
            .share_count = 1,
            .offers_psk_dhe = true,
            .psk_identity = HBK_SLICE("a ticket of somebody else"),
            .binder_bytes = HBK_SHA256_BYTES,
        };
        hbk_client_hello_write(&writer, &content);
        assert_false(writer.has_failed);
        deliver_record(rig, HBK_TLS_RECORD_HANDSHAKE, hbk_slice_of(hello, writer.used));
        if (scheme_count == 0) {
            expect_alert(rig, HBK_ALERT_MISSING_EXTENSION);
        } else {
            assert_int_equal(rig->victim->answer, HBK_TLS_WAITING);
        }
        rig_free(rig);
    }
}

/* Authorities sign by more than peers do, RSA's in the oldest way (4.2.3). */
static void both_sides_say_how_certificates_may_be_signed(void **context)
{
    (void)context;
    const uint16_t *schemes = hbk_native_chain_schemes;
    struct rig *rig = rig_new(MUTUAL, HBK_TLS_SERVER);
    struct hbk_slice message = next_message(rig);
    struct hbk_client_hello hello;
    assert_int_equal(hbk_client_hello_read(
                         hbk_slice_part(message, HBK_MESSAGE_HEADER_BYTES, message.size), &hello)
                         .alert,
                     HBK_ALERT_NONE);
    assert_int_equal(hello.certificate_schemes.size, 2 * HBK_NATIVE_CHAIN_SCHEMES);
    assert_true(hbk_native_list_has(hello.certificate_schemes, 0x0401));
    assert_false(hbk_native_list_has(hello.schemes, 0x0401));
    rig_free(rig);
    rig = rig_new(MUTUAL, HBK_TLS_CLIENT);
    reach(rig, HBK_NATIVE_CLIENT_REQUEST_OR_CERTIFICATE);
    message = next_message(rig);
    struct hbk_certificate_request request;
    assert_int_equal(hbk_certificate_request_read(
                         hbk_slice_part(message, HBK_MESSAGE_HEADER_BYTES, message.size), &request)
                         .alert,
                     HBK_ALERT_NONE);
    assert_int_equal(request.certificate_schemes.size, 2 * HBK_NATIVE_CHAIN_SCHEMES);
    for (size_t i = 0; i < HBK_NATIVE_CHAIN_SCHEMES; i++) {
        assert_true(hbk_native_list_has(request.certificate_schemes, schemes[i]));
    }
    assert_true(hbk_native_list_has(request.certificate_schemes, 0x0401));
    assert_false(hbk_native_list_has(request.schemes, 0x0401));
    rig_free(rig);
}

static int set_up(void **context)
{
    (void)context;
    static const uint16_t suites[] = {HBK_SUITE_AES_128_GCM_SHA256, HBK_SUITE_AES_256_GCM_SHA384};
    static const uint16_t groups[] = {HBK_GROUP_X25519, HBK_GROUP_P256};
    rig_set_up();
    struct hbk_tls_context_options options = {.engine = HBK_TLS_ENGINE_NATIVE,
                                              .suites = suites,
                                              .suite_count = HBK_COUNT(suites),
                                              .groups = groups,
                                              .group_count = HBK_COUNT(groups)};
    client_context = authority_context(&authority, options, NULL);
    return 0;
}

static int tear_down(void **context)
{
    (void)context;
    hbk_tls_context_unref(client_context);
    rig_tear_down();
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_client_takes_of_a_server_only_what_it_offered),
        cmocka_unit_test(a_client_holds_a_server_to_its_retry),
        cmocka_unit_test(a_client_repeats_itself_after_a_retry),
        cmocka_unit_test(a_client_notices_a_downgrade),
        cmocka_unit_test(a_server_holds_a_client_to_its_first_hello),
        cmocka_unit_test(a_server_signs_nothing_for_a_client_that_named_no_algorithm),
        cmocka_unit_test(both_sides_say_how_certificates_may_be_signed),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
