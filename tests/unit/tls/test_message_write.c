#include "tls/message.h"

#include "harness.h"
#include "message_cases.h"

static void hellos_of_the_server_are_written_as_in_rfc8448(void **state)
{
    (void)state;
    uint8_t random[HBK_MESSAGE_RANDOM_BYTES];
    uint8_t key[32];
    uint8_t cookie[HBK_MESSAGE_COOKIE_BYTES_MAX];
    uint8_t bytes[1024];
    read_hex("a6af06a4121860dc5e6e60249cd34c95930c8ac5cb1434dac155772ed3e26928", random);
    read_hex("c9828876112095fe66762bdbf7c672e156d6cc253b833df1dd69b1b04e751f0f", key);
    struct hbk_writer writer = hbk_writer_of(hbk_span_of(bytes, sizeof bytes));
    hbk_server_hello_write(&writer, &(struct hbk_server_hello_content){
                                        .random = random,
                                        .suite = HBK_SUITE_AES_128_GCM_SHA256,
                                        .group = HBK_GROUP_X25519,
                                        .share_key = hbk_slice_of(key, sizeof key),
                                    });
    struct hbk_slice written = hbk_writer_written(&writer);
    assert_hex(hbk_slice_part(written, 0, 4), "02000056");
    assert_hex(hbk_slice_part(written, 4, written.size), rfc8448_server_hello);

    writer = hbk_writer_of(hbk_span_of(bytes, sizeof bytes));
    hbk_server_hello_write(&writer,
                           &(struct hbk_server_hello_content){
                               .suite = HBK_SUITE_AES_128_GCM_SHA256,
                               .group = HBK_GROUP_P256,
                               .cookie = hbk_slice_of(cookie, read_hex(RFC8448_COOKIE, cookie)),
                           });
    written = hbk_writer_written(&writer);
    assert_hex(hbk_slice_part(written, 0, 4), "020000ac");
    assert_hex(hbk_slice_part(written, 4, written.size), rfc8448_retry);
}

/* ---- what is written is read ---- */

static const uint8_t random_bytes[HBK_MESSAGE_RANDOM_BYTES] = {1, 2, 3};
static const uint16_t two_numbers[] = {0x1301, 0x0403};

/* Every field, with and without what may be left out. */
static struct hbk_client_hello_content client_content(bool is_full)
{
    static const struct hbk_key_share shares[] = {
        {.group = 0x001d, .key = {.bytes = (const uint8_t *)"key", .size = 3}},
        {.group = 0x0017, .key = {.bytes = (const uint8_t *)"other", .size = 5}},
    };
    struct hbk_client_hello_content content = {
        .random = random_bytes,
        .suites = two_numbers,
        .suite_count = 1,
        .groups = two_numbers,
        .group_count = 1,
    };
    if (is_full) {
        content.session_id = HBK_SLICE("0123456789abcdef0123456789abcdef");
        content.suite_count = 2;
        content.schemes = two_numbers;
        content.scheme_count = 2;
        content.certificate_schemes = two_numbers;
        content.certificate_scheme_count = 2;
        content.shares = shares;
        content.share_count = 2;
        content.server_name = HBK_SLICE("a.example");
        content.protocols = HBK_SLICE("\x02h2");
        content.cookie = HBK_SLICE("cookie");
        content.record_size_limit = 4096;
        content.offers_tls12 = true;
        content.asks_staple = true;
        content.offers_psk_dhe = true;
        content.psk_identity = HBK_SLICE("ticket");
        content.psk_obfuscated_age = 0x01020304;
        content.binder_bytes = 32;
    }
    return content;
}

static struct hbk_slice body_of(const struct hbk_writer *writer, enum hbk_message_type type)
{
    struct hbk_slice written = hbk_writer_written(writer);
    assert_true(written.size >= HBK_MESSAGE_HEADER_BYTES);
    assert_int_equal(written.bytes[0], type);
    assert_int_equal(written.bytes[1] << 16 | written.bytes[2] << 8 | written.bytes[3],
                     written.size - HBK_MESSAGE_HEADER_BYTES);
    return hbk_slice_part(written, HBK_MESSAGE_HEADER_BYTES, written.size);
}

static void a_full_client_hello_that_was_written_is_read(void **state)
{
    (void)state;
    uint8_t bytes[1024];
    struct hbk_writer writer = hbk_writer_of(hbk_span_of(bytes, sizeof bytes));
    struct hbk_client_hello_content content = client_content(true);
    hbk_client_hello_write(&writer, &content);
    struct hbk_slice body = body_of(&writer, HBK_MESSAGE_CLIENT_HELLO);
    struct hbk_client_hello hello;
    assert_int_equal(hbk_client_hello_read(body, &hello).alert, HBK_ALERT_NONE);
    assert_int_equal(hello.legacy_version, 0x0303);
    assert_slice_equal(hello.random, hbk_slice_of(random_bytes, sizeof random_bytes));
    assert_slice_equal(hello.session_id, content.session_id);
    assert_hex(hello.suites, "13010403");
    assert_hex(hello.compression, "00");
    assert_int_equal(hello.has, OFFERED_ALL & ~(HBK_HAS_EARLY_DATA | HBK_HAS_AUTHORITIES));
    assert_hex(hello.certificate_schemes, "13010403");
    assert_slice_equal(hello.server_name, content.server_name);
    assert_hex(hello.groups, "1301");
    assert_hex(hello.schemes, "13010403");
    assert_slice_equal(hello.protocols, content.protocols);
    assert_hex(hello.versions, "03040303");
    assert_slice_equal(hello.cookie, content.cookie);
    assert_int_equal(hello.record_size_limit, 4096);
    assert_true(hello.has_psk_dhe);
    assert_true(hello.wants_ocsp);
    assert_int_equal(hello.share_count, 2);
    for (size_t i = 0; i < 2; i++) {
        assert_int_equal(hello.shares[i].group, content.shares[i].group);
        assert_slice_equal(hello.shares[i].key, content.shares[i].key);
    }
    assert_int_equal(hello.identity_count, 1);
    assert_slice_equal(hello.identities[0].identity, content.psk_identity);
    assert_int_equal(hello.identities[0].obfuscated_age, 0x01020304);
    assert_hex(hello.identities[0].binder,
               "0000000000000000000000000000000000000000000000000000000000000000");
    assert_int_equal(hello.binders_bytes, 35);
    assert_ptr_equal(hello.identities[0].binder.bytes + 32, body.bytes + body.size);
}

static void a_small_client_hello_that_was_written_is_read(void **state)
{
    (void)state;
    uint8_t bytes[1024];
    struct hbk_writer writer = hbk_writer_of(hbk_span_of(bytes, sizeof bytes));
    struct hbk_client_hello_content content = client_content(false);
    hbk_client_hello_write(&writer, &content);
    struct hbk_client_hello hello;
    assert_int_equal(
        hbk_client_hello_read(body_of(&writer, HBK_MESSAGE_CLIENT_HELLO), &hello).alert,
        HBK_ALERT_NONE);
    /* A key_share without a share: RFC 8446, 9.2, wants it beside supported_groups. */
    assert_int_equal(hello.has, HBK_HAS_GROUPS | HBK_HAS_SHARES | HBK_HAS_VERSIONS);
    assert_int_equal(hello.share_count, 0);
    assert_hex(hello.suites, "1301");
    assert_hex(hello.versions, "0304");
    assert_int_equal(hello.session_id.size, 0);
}

static void a_message_that_does_not_fit_marks_the_writer_and_writes_nothing_beyond(void **state)
{
    (void)state;
    uint8_t bytes[1024];
    struct hbk_client_hello_content content = client_content(true);
    struct hbk_writer writer = hbk_writer_of(hbk_span_of(bytes, sizeof bytes));
    hbk_client_hello_write(&writer, &content);
    size_t size = hbk_writer_written(&writer).size;
    for (size_t room = 0; room <= size; room++) {
        memset(bytes, 0x5a, sizeof bytes);
        writer = hbk_writer_of(hbk_span_of(bytes, room));
        hbk_client_hello_write(&writer, &content);
        assert_int_equal(writer.has_failed, room < size);
        assert_int_equal(hbk_writer_written(&writer).size, room < size ? 0 : size);
        for (size_t i = room; i < sizeof bytes; i++) {
            assert_int_equal(bytes[i], 0x5a);
        }
    }
}

static void a_server_hello_with_a_psk_that_was_written_is_read(void **state)
{
    (void)state;
    uint8_t bytes[256];
    struct hbk_writer writer = hbk_writer_of(hbk_span_of(bytes, sizeof bytes));
    struct hbk_server_hello_content content = {
        .random = random_bytes,
        .session_id = HBK_SLICE("session"),
        .suite = HBK_SUITE_CHACHA20_POLY1305_SHA256,
        .group = HBK_GROUP_P384,
        .share_key = HBK_SLICE("key"),
        .has_psk = true,
        .psk_index = 3,
    };
    hbk_server_hello_write(&writer, &content);
    struct hbk_server_hello hello;
    assert_int_equal(
        hbk_server_hello_read(body_of(&writer, HBK_MESSAGE_SERVER_HELLO), &hello).alert,
        HBK_ALERT_NONE);
    assert_false(hello.is_retry);
    assert_slice_equal(hello.session_id, content.session_id);
    assert_int_equal(hello.suite, content.suite);
    assert_int_equal(hello.has, HBK_HAS_VERSIONS | HBK_HAS_SHARES | HBK_HAS_PSK);
    assert_int_equal(hello.version, HBK_TLS_1_3);
    assert_int_equal(hello.share_group, content.group);
    assert_slice_equal(hello.share_key, content.share_key);
    assert_int_equal(hello.psk_index, 3);
}

static void encrypted_extensions_that_were_written_are_read(void **state)
{
    (void)state;
    uint8_t bytes[256];
    struct hbk_encrypted_extensions extensions;
    struct hbk_writer writer = hbk_writer_of(hbk_span_of(bytes, sizeof bytes));
    struct hbk_encrypted_extensions_content content = {0};
    hbk_encrypted_extensions_write(&writer, &content);
    assert_int_equal(hbk_encrypted_extensions_read(
                         body_of(&writer, HBK_MESSAGE_ENCRYPTED_EXTENSIONS), 0, &extensions)
                         .alert,
                     HBK_ALERT_NONE);
    assert_int_equal(extensions.has, 0);

    content.protocol = HBK_SLICE("h2");
    content.record_size_limit = HBK_MESSAGE_RECORD_SIZE_LIMIT_MAX;
    content.has_server_name = true;
    writer = hbk_writer_of(hbk_span_of(bytes, sizeof bytes));
    hbk_encrypted_extensions_write(&writer, &content);
    assert_int_equal(
        hbk_encrypted_extensions_read(body_of(&writer, HBK_MESSAGE_ENCRYPTED_EXTENSIONS),
                                      OFFERED_ALL, &extensions)
            .alert,
        HBK_ALERT_NONE);
    assert_int_equal(extensions.has,
                     HBK_HAS_PROTOCOLS | HBK_HAS_RECORD_SIZE_LIMIT | HBK_HAS_SERVER_NAME);
    assert_slice_equal(extensions.protocol, HBK_SLICE("h2"));
    assert_int_equal(extensions.record_size_limit, HBK_MESSAGE_RECORD_SIZE_LIMIT_MAX);
}

static void the_messages_of_authentication_that_were_written_are_read(void **state)
{
    (void)state;
    uint8_t bytes[256];
    struct hbk_writer writer = hbk_writer_of(hbk_span_of(bytes, sizeof bytes));
    hbk_certificate_request_write(&writer, &(struct hbk_certificate_request_content){
                                               .schemes = two_numbers,
                                               .scheme_count = 2,
                                               .certificate_schemes = two_numbers,
                                               .certificate_scheme_count = 1,
                                               .authorities = HBK_SLICE("\0\2dn"),
                                           });
    struct hbk_certificate_request request;
    assert_int_equal(
        hbk_certificate_request_read(body_of(&writer, HBK_MESSAGE_CERTIFICATE_REQUEST), &request)
            .alert,
        HBK_ALERT_NONE);
    assert_int_equal(request.context.size, 0);
    assert_int_equal(request.has,
                     HBK_HAS_SCHEMES | HBK_HAS_CERTIFICATE_SCHEMES | HBK_HAS_AUTHORITIES);
    assert_hex(request.schemes, "13010403");
    assert_hex(request.certificate_schemes, "1301");
    assert_slice_equal(request.authorities, HBK_SLICE("\0\2dn"));

    struct hbk_slice chain[] = {HBK_SLICE("leaf"), HBK_SLICE("issuer")};
    writer = hbk_writer_of(hbk_span_of(bytes, sizeof bytes));
    hbk_certificate_message_write(&writer, HBK_SLICE("context"), chain, HBK_COUNT(chain),
                                  HBK_SLICE("staple"));
    struct hbk_certificate_message message;
    assert_int_equal(hbk_certificate_message_read(body_of(&writer, HBK_MESSAGE_CERTIFICATE),
                                                  HBK_HAS_STATUS_REQUEST, &message)
                         .alert,
                     HBK_ALERT_NONE);
    assert_slice_equal(message.context, HBK_SLICE("context"));
    assert_int_equal(message.count, 2);
    assert_slice_equal(message.certificates[0], chain[0]);
    assert_slice_equal(message.certificates[1], chain[1]);
    assert_slice_equal(message.staple, HBK_SLICE("staple"));
    /* The staple is the leaf's alone. */
    struct hbk_slice written = hbk_writer_written(&writer);
    assert_slice_equal(hbk_slice_part(written, written.size - 8, 8), HBK_SLICE("issuer\0\0"));

    writer = hbk_writer_of(hbk_span_of(bytes, sizeof bytes));
    hbk_certificate_verify_write(&writer, HBK_SIGN_ED25519, HBK_SLICE("signature"));
    struct hbk_certificate_verify verify;
    assert_int_equal(
        hbk_certificate_verify_read(body_of(&writer, HBK_MESSAGE_CERTIFICATE_VERIFY), &verify)
            .alert,
        HBK_ALERT_NONE);
    assert_int_equal(verify.scheme, HBK_SIGN_ED25519);
    assert_slice_equal(verify.signature, HBK_SLICE("signature"));

    writer = hbk_writer_of(hbk_span_of(bytes, sizeof bytes));
    hbk_finished_write(&writer, HBK_SLICE("verify data"));
    assert_slice_equal(body_of(&writer, HBK_MESSAGE_FINISHED), HBK_SLICE("verify data"));
}

static void a_ticket_that_was_written_is_read(void **state)
{
    (void)state;
    uint8_t bytes[256];
    struct hbk_writer writer = hbk_writer_of(hbk_span_of(bytes, sizeof bytes));
    struct hbk_new_session_ticket content = {
        .lifetime_s = 604800,
        .age_add = 0xfffffffe,
        .nonce = HBK_SLICE("n"),
        .ticket = HBK_SLICE("ticket"),
    };
    hbk_new_session_ticket_write(&writer, &content);
    struct hbk_new_session_ticket ticket;
    assert_int_equal(
        hbk_new_session_ticket_read(body_of(&writer, HBK_MESSAGE_NEW_SESSION_TICKET), &ticket)
            .alert,
        HBK_ALERT_NONE);
    assert_int_equal(ticket.lifetime_s, content.lifetime_s);
    assert_int_equal(ticket.age_add, content.age_add);
    assert_slice_equal(ticket.nonce, content.nonce);
    assert_slice_equal(ticket.ticket, content.ticket);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(hellos_of_the_server_are_written_as_in_rfc8448),
        cmocka_unit_test(a_full_client_hello_that_was_written_is_read),
        cmocka_unit_test(a_small_client_hello_that_was_written_is_read),
        cmocka_unit_test(a_message_that_does_not_fit_marks_the_writer_and_writes_nothing_beyond),
        cmocka_unit_test(a_server_hello_with_a_psk_that_was_written_is_read),
        cmocka_unit_test(encrypted_extensions_that_were_written_are_read),
        cmocka_unit_test(the_messages_of_authentication_that_were_written_are_read),
        cmocka_unit_test(a_ticket_that_was_written_is_read),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
