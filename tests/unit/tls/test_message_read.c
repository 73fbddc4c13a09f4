#include "tls/message.h"

#include "harness.h"
#include "message_cases.h"

static void the_encrypted_messages_of_rfc8448_read_as_the_rfc_says(void **state)
{
    (void)state;
    uint8_t bytes[1024];
    struct hbk_encrypted_extensions extensions;
    size_t size = read_hex(rfc8448_encrypted_extensions, bytes);
    assert_int_equal(
        hbk_encrypted_extensions_read(hbk_slice_of(bytes, size), OFFERED_ALL, &extensions).alert,
        HBK_ALERT_NONE);
    assert_int_equal(extensions.has,
                     HBK_HAS_GROUPS | HBK_HAS_RECORD_SIZE_LIMIT | HBK_HAS_SERVER_NAME);
    assert_int_equal(extensions.record_size_limit, 0x4001);
    assert_int_equal(extensions.protocol.size, 0);

    struct hbk_new_session_ticket ticket;
    size = read_hex(rfc8448_ticket, bytes);
    assert_int_equal(hbk_new_session_ticket_read(hbk_slice_of(bytes, size), &ticket).alert,
                     HBK_ALERT_NONE);
    assert_int_equal(ticket.lifetime_s, 30);
    assert_int_equal(ticket.age_add, 0xfad6aac5);
    assert_hex(ticket.nonce, "0000");
    assert_hex(ticket.ticket, RFC8448_TICKET);
}

/* ---- bad bytes: whole messages ---- */

/* Messages without a mistake; cut at `optional_at`, before its extensions, a hello is one of an
 * older TLS. */
static const struct whole {
    enum kind kind;
    const char *body;
    size_t optional_at;
} wholes[] = {
    {CLIENT_HELLO, rfc8448_client_hello, 45},
    {CLIENT_HELLO, rfc8448_resuming_hello, 45},
    {CLIENT_HELLO, "0303" RANDOM "20" RANDOM "0002 1301 01 00 0007 002b0003020304", 73},
    {SERVER_HELLO, rfc8448_server_hello, 38},
    {RETRY, rfc8448_retry, 38},
    {ENCRYPTED_EXTENSIONS, rfc8448_encrypted_extensions, 0},
    {ENCRYPTED_EXTENSIONS, "0000", 0},
    {CERTIFICATE_REQUEST, "00 0008 000d000400020403", 0},
    {CERTIFICATE_REQUEST, "02aabb 000c 000d000400020403 00050000", 0},
    {CERTIFICATE, "00 000000", 0},
    {CERTIFICATE, "01aa 000009 000004aabbccdd 0000", 0},
    {CERTIFICATE, "00 000016 000001aa 000a 00050006 01000002aabb 000001bb 0000", 0},
    {CERTIFICATE_VERIFY, "0403 0004 30020000", 0},
    {CERTIFICATE_VERIFY, "0403 0000", 0},
    {NEW_SESSION_TICKET, rfc8448_ticket, 0},
    {NEW_SESSION_TICKET, "00000e10 01020304 00 0001 aa 0000", 0},
};

static void a_message_that_is_cut_anywhere_or_goes_on_is_a_decode_error(void **state)
{
    (void)state;
    static uint8_t bytes[BYTES_MAX];
    for (size_t i = 0; i < HBK_COUNT(wholes); i++) {
        size_t size = read_hex(wholes[i].body, bytes);
        assert_int_equal(alert_of(wholes[i].kind, hbk_slice_of(bytes, size)), HBK_ALERT_NONE);
        size_t accepted = 0;
        for (size_t cut = 0; cut < size; cut++) {
            int alert = alert_of(wholes[i].kind, hbk_slice_of(bytes, cut));
            if (wholes[i].optional_at > 0 && cut == wholes[i].optional_at) {
                accepted++;
                assert_int_equal(alert, HBK_ALERT_NONE);
            } else {
                assert_int_equal(alert, HBK_ALERT_DECODE_ERROR);
            }
        }
        assert_int_equal(accepted, wholes[i].optional_at > 0 ? 1 : 0);
        bytes[size] = 0;
        assert_int_equal(alert_of(wholes[i].kind, hbk_slice_of(bytes, size + 1)),
                         HBK_ALERT_DECODE_ERROR);
    }
}

static void lengths_that_a_message_may_not_have_are_decode_errors(void **state)
{
    (void)state;
    static const struct {
        enum kind kind;
        const char *body;
    } cases[] = {
        {CLIENT_HELLO, "0303" RANDOM "21" RANDOM "00 0002 1301 01 00 0007 002b0003020304"},
        {CLIENT_HELLO, "0303" RANDOM "00 0000 01 00 0007 002b0003020304"},        /* no suite */
        {CLIENT_HELLO, "0303" RANDOM "00 0003 130113 01 00 0007 002b0003020304"}, /* half a suite */
        {CLIENT_HELLO, "0303" RANDOM "00 0002 1301 00 0007 002b0003020304"}, /* no compression */
        {SERVER_HELLO, "0303" RANDOM "21" RANDOM "00 1301 00 0006 002b00020304"},
        {CERTIFICATE, "00 000005 000000 0000"},                 /* empty certificate */
        {NEW_SESSION_TICKET, "00000e10 01020304 00 0000 0000"}, /* empty ticket */
    };
    static uint8_t bytes[BYTES_MAX];
    for (size_t i = 0; i < HBK_COUNT(cases); i++) {
        size_t size = read_hex(cases[i].body, bytes);
        assert_int_equal(alert_of(cases[i].kind, hbk_slice_of(bytes, size)),
                         HBK_ALERT_DECODE_ERROR);
    }
}

/* ---- EncryptedExtensions, CertificateRequest, Certificate ---- */

static void an_answer_to_what_was_not_offered_is_unsupported(void **state)
{
    (void)state;
    static const struct {
        uint32_t bit;
        const char *list;
    } cases[] = {
        {HBK_HAS_SERVER_NAME, "0000 0000"},
        {HBK_HAS_GROUPS, "000a 0004 0002 001d"},
        {HBK_HAS_PROTOCOLS, "0010 0005 0003 026832"},
        {HBK_HAS_RECORD_SIZE_LIMIT, "001c 0002 4001"},
        {HBK_HAS_EARLY_DATA, "002a 0000"},
    };
    static uint8_t bytes[BYTES_MAX];
    for (size_t i = 0; i < HBK_COUNT(cases); i++) {
        struct hbk_encrypted_extensions extensions;
        struct hbk_slice body = message_around(ENCRYPTED_EXTENSIONS, cases[i].list, bytes);
        assert_int_equal(
            hbk_encrypted_extensions_read(body, OFFERED_ALL & ~cases[i].bit, &extensions).alert,
            HBK_ALERT_UNSUPPORTED_EXTENSION);
        assert_int_equal(hbk_encrypted_extensions_read(body, cases[i].bit, &extensions).alert,
                         HBK_ALERT_NONE);
        assert_int_equal(extensions.has, cases[i].bit);
    }
}

static void a_certificate_request_must_say_its_signature_algorithms(void **state)
{
    (void)state;
    /* RFC 8446, 4.3.2 and 9.2. */
    uint8_t bytes[64];
    size_t size = read_hex("00 0008 0032 0004 0002 0403", bytes);
    assert_int_equal(alert_of(CERTIFICATE_REQUEST, hbk_slice_of(bytes, size)),
                     HBK_ALERT_MISSING_EXTENSION);
    size = read_hex("00 0000", bytes);
    assert_int_equal(alert_of(CERTIFICATE_REQUEST, hbk_slice_of(bytes, size)),
                     HBK_ALERT_MISSING_EXTENSION);
}

static void a_certificate_request_asks_for_a_staple_with_or_without_a_body(void **state)
{
    (void)state;
    static const struct {
        const char *list;
        bool wants_ocsp;
    } cases[] = {
        {"0032 0004 0002 0804", false},
        {"0005 0000", true},
        {"0005 0005 01 0000 0000", true},
        {"0005 0001 02", false},
    };
    static uint8_t bytes[BYTES_MAX];
    for (size_t i = 0; i < HBK_COUNT(cases); i++) {
        struct hbk_certificate_request request;
        struct hbk_slice body = message_around(CERTIFICATE_REQUEST, cases[i].list, bytes);
        assert_int_equal(hbk_certificate_request_read(body, &request).alert, HBK_ALERT_NONE);
        assert_int_equal(request.wants_ocsp, cases[i].wants_ocsp);
        assert_hex(request.schemes, "0403");
        assert_hex(request.certificate_schemes, i == 0 ? "0804" : "");
    }
}

static void a_chain_is_counted_beyond_what_is_looked_at(void **state)
{
    (void)state;
    uint8_t bytes[256];
    struct hbk_slice certificates[HBK_MESSAGE_CERTIFICATES_MAX + 2];
    for (size_t i = 0; i < HBK_COUNT(certificates); i++) {
        certificates[i] = hbk_slice_part(HBK_SLICE("0123456789"), i, 1);
    }
    struct hbk_writer writer = hbk_writer_of(hbk_span_of(bytes, sizeof bytes));
    hbk_certificate_message_write(&writer, (struct hbk_slice){0}, certificates,
                                  HBK_COUNT(certificates), (struct hbk_slice){0});
    struct hbk_slice body = hbk_slice_part(hbk_writer_written(&writer), 4, sizeof bytes);
    struct hbk_certificate_message message;
    assert_int_equal(hbk_certificate_message_read(body, 0, &message).alert, HBK_ALERT_NONE);
    assert_int_equal(message.count, HBK_COUNT(certificates));
    for (size_t i = 0; i < HBK_MESSAGE_CERTIFICATES_MAX; i++) {
        assert_slice_equal(message.certificates[i], certificates[i]);
    }
}

static void only_the_staple_of_the_leaf_counts_and_only_if_it_was_asked_for(void **state)
{
    (void)state;
    uint8_t bytes[64];
    struct hbk_certificate_message message;
    struct hbk_slice body = hbk_slice_of(
        bytes, read_hex("00 000016 000001aa 0000 000001bb 000a 00050006 01000002aabb", bytes));
    assert_int_equal(hbk_certificate_message_read(body, HBK_HAS_STATUS_REQUEST, &message).alert,
                     HBK_ALERT_NONE);
    assert_int_equal(message.count, 2);
    assert_int_equal(message.staple.size, 0);
    assert_int_equal(
        hbk_certificate_message_read(body, OFFERED_ALL & ~HBK_HAS_STATUS_REQUEST, &message).alert,
        HBK_ALERT_UNSUPPORTED_EXTENSION);

    body = hbk_slice_of(
        bytes, read_hex("00 000016 000001aa 000a 00050006 01000002aabb 000001bb 0000", bytes));
    assert_int_equal(hbk_certificate_message_read(body, HBK_HAS_STATUS_REQUEST, &message).alert,
                     HBK_ALERT_NONE);
    assert_hex(message.staple, "aabb");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_encrypted_messages_of_rfc8448_read_as_the_rfc_says),
        cmocka_unit_test(a_message_that_is_cut_anywhere_or_goes_on_is_a_decode_error),
        cmocka_unit_test(lengths_that_a_message_may_not_have_are_decode_errors),
        cmocka_unit_test(an_answer_to_what_was_not_offered_is_unsupported),
        cmocka_unit_test(a_certificate_request_must_say_its_signature_algorithms),
        cmocka_unit_test(a_certificate_request_asks_for_a_staple_with_or_without_a_body),
        cmocka_unit_test(a_chain_is_counted_beyond_what_is_looked_at),
        cmocka_unit_test(only_the_staple_of_the_leaf_counts_and_only_if_it_was_asked_for),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
