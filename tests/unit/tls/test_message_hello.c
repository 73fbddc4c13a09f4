#include "tls/message.h"

#include "harness.h"
#include "message_cases.h"

static void the_client_hello_of_rfc8448_reads_as_the_rfc_says(void **state)
{
    (void)state;
    uint8_t bytes[1024];
    struct hbk_client_hello hello;
    struct hbk_slice body = hbk_slice_of(bytes, read_hex(rfc8448_client_hello, bytes));
    assert_int_equal(body.size, 192);
    assert_int_equal(hbk_client_hello_read(body, &hello).alert, HBK_ALERT_NONE);
    assert_int_equal(hello.legacy_version, 0x0303);
    assert_hex(hello.random, "cb34ecb1e78163ba1c38c6dacb196a6dffa21a8d9912ec18a2ef6283024dece7");
    assert_int_equal(hello.session_id.size, 0);
    assert_hex(hello.suites, "130113031302");
    assert_hex(hello.compression, "00");
    assert_int_equal(hello.has, HBK_HAS_SERVER_NAME | HBK_HAS_GROUPS | HBK_HAS_SHARES |
                                    HBK_HAS_VERSIONS | HBK_HAS_SCHEMES | HBK_HAS_PSK_MODES |
                                    HBK_HAS_RECORD_SIZE_LIMIT);
    assert_slice_equal(hello.server_name, HBK_SLICE("server"));
    assert_hex(hello.groups, "001d00170018001901000101010201030104");
    assert_int_equal(hello.share_count, 1);
    assert_int_equal(hello.shares[0].group, HBK_GROUP_X25519);
    assert_hex(hello.shares[0].key,
               "99381de560e4bd43d23d8e435a7dbafeb3c06e51c13cae4d5413691e529aaf2c");
    assert_hex(hello.versions, "0304");
    assert_hex(hello.schemes, "040305030603020308040805080604010501060102010402050206020202");
    assert_true(hello.has_psk_dhe);
    assert_int_equal(hello.record_size_limit, 0x4001);
    assert_false(hello.wants_ocsp);
    assert_int_equal(hello.identity_count, 0);
    assert_int_equal(hello.binders_bytes, 0);
}

static void the_resuming_hello_of_rfc8448_has_its_identity_and_binder(void **state)
{
    (void)state;
    uint8_t bytes[1024];
    struct hbk_client_hello hello;
    struct hbk_slice body = hbk_slice_of(bytes, read_hex(rfc8448_resuming_hello, bytes));
    assert_int_equal(body.size, 508);
    assert_int_equal(hbk_client_hello_read(body, &hello).alert, HBK_ALERT_NONE);
    assert_int_equal(hello.has, HBK_HAS_SERVER_NAME | HBK_HAS_GROUPS | HBK_HAS_SHARES |
                                    HBK_HAS_VERSIONS | HBK_HAS_SCHEMES | HBK_HAS_PSK_MODES |
                                    HBK_HAS_RECORD_SIZE_LIMIT | HBK_HAS_EARLY_DATA | HBK_HAS_PSK);
    assert_int_equal(hello.identity_count, 1);
    assert_hex(hello.identities[0].identity, RFC8448_TICKET);
    assert_int_equal(hello.identities[0].obfuscated_age, 0xfad6aacb);
    assert_hex(hello.identities[0].binder, RFC8448_BINDER);
    /* The RFC hashes the first 477 bytes of the message, header included. */
    assert_int_equal(HBK_MESSAGE_HEADER_BYTES + body.size - hello.binders_bytes, 477);
}

static void the_server_hello_of_rfc8448_reads_as_the_rfc_says(void **state)
{
    (void)state;
    uint8_t bytes[1024];
    struct hbk_server_hello hello;
    size_t size = read_hex(rfc8448_server_hello, bytes);
    assert_int_equal(hbk_server_hello_read(hbk_slice_of(bytes, size), &hello).alert,
                     HBK_ALERT_NONE);
    assert_false(hello.is_retry);
    assert_int_equal(hello.legacy_version, 0x0303);
    assert_hex(hello.random, "a6af06a4121860dc5e6e60249cd34c95930c8ac5cb1434dac155772ed3e26928");
    assert_int_equal(hello.suite, HBK_SUITE_AES_128_GCM_SHA256);
    assert_int_equal(hello.compression, 0);
    assert_int_equal(hello.has, HBK_HAS_SHARES | HBK_HAS_VERSIONS);
    assert_int_equal(hello.version, HBK_TLS_1_3);
    assert_int_equal(hello.share_group, HBK_GROUP_X25519);
    assert_hex(hello.share_key, "c9828876112095fe66762bdbf7c672e156d6cc253b833df1dd69b1b04e751f0f");
}

static void the_retry_of_rfc8448_reads_as_the_rfc_says(void **state)
{
    (void)state;
    uint8_t bytes[1024];
    struct hbk_server_hello hello;
    size_t size = read_hex(rfc8448_retry, bytes);
    assert_int_equal(size, 172);
    assert_int_equal(hbk_server_hello_read(hbk_slice_of(bytes, size), &hello).alert,
                     HBK_ALERT_NONE);
    assert_true(hello.is_retry);
    assert_int_equal(hello.has, HBK_HAS_SHARES | HBK_HAS_VERSIONS | HBK_HAS_COOKIE);
    assert_int_equal(hello.version, HBK_TLS_1_3);
    assert_int_equal(hello.share_group, HBK_GROUP_P256);
    assert_int_equal(hello.share_key.size, 0);
    assert_hex(hello.cookie, RFC8448_COOKIE);
}

/* ---- ClientHello ---- */

static struct hbk_client_hello client_hello_with(const char *extensions_hex, int alert)
{
    static uint8_t bytes[BYTES_MAX];
    struct hbk_client_hello hello = {0};
    assert_int_equal(
        hbk_client_hello_read(message_around(CLIENT_HELLO, extensions_hex, bytes), &hello).alert,
        alert);
    return hello;
}

static void pre_shared_key_must_be_the_last_extension(void **state)
{
    (void)state;
    /* RFC 8446, 4.2.11: else illegal_parameter. */
#define PSK "0029 002c 0007 0001 aa 00000001 0021 20" RANDOM
    client_hello_with("002b 0003 02 0304" PSK, HBK_ALERT_NONE);
    client_hello_with(PSK "002b 0003 02 0304", HBK_ALERT_ILLEGAL_PARAMETER);
    client_hello_with(PSK "1a1a 0000", HBK_ALERT_ILLEGAL_PARAMETER);
}

static void identities_above_the_limit_are_counted_only(void **state)
{
    (void)state;
    struct hbk_client_hello hello = client_hello_with(
        "0029 0079 003f 0001a000000000 0001a100000001 0001a200000002 0001a300000003 0001a400000004"
        "0001a500000005 0001a600000006 0001a700000007 0001a800000008"
        "0036 05b000000000 05b100000000 05b200000000 05b300000000 05b400000000 05b500000000"
        "05b600000000 05b700000000 05b800000000",
        HBK_ALERT_NONE);
    assert_int_equal(hello.identity_count, 9);
    assert_int_equal(hello.binders_bytes, 2 + 54);
    for (uint8_t i = 0; i < HBK_MESSAGE_IDENTITIES_MAX; i++) {
        assert_int_equal(hello.identities[i].identity.size, 1);
        assert_int_equal(hello.identities[i].identity.bytes[0], 0xa0 + i);
        assert_int_equal(hello.identities[i].obfuscated_age, i);
        assert_int_equal(hello.identities[i].binder.size, 5);
        assert_int_equal(hello.identities[i].binder.bytes[0], 0xb0 + i);
    }
}

static void more_key_shares_than_the_limit_are_refused(void **state)
{
    (void)state;
    for (int count = HBK_MESSAGE_SHARES_MAX; count <= HBK_MESSAGE_SHARES_MAX + 1; count++) {
        char hex[512];
        int used = snprintf(hex, sizeof hex, "0033%04x%04x", 5 * count + 2, 5 * count);
        for (int i = 0; i < count; i++) {
            used += snprintf(hex + used, sizeof hex - (size_t)used, "%04x000155", i);
        }
        bool fits = count == HBK_MESSAGE_SHARES_MAX;
        struct hbk_client_hello hello =
            client_hello_with(hex, fits ? HBK_ALERT_NONE : HBK_ALERT_ILLEGAL_PARAMETER);
        assert_int_equal(hello.share_count, fits ? count : 0);
    }
}

static void a_host_name_may_have_255_bytes(void **state)
{
    (void)state;
    for (int size = 255; size <= 256; size++) {
        char hex[1024];
        int used = snprintf(hex, sizeof hex, "0000%04x%04x00%04x", size + 5, size + 3, size);
        for (int i = 0; i < size; i++) {
            used += snprintf(hex + used, sizeof hex - (size_t)used, "61");
        }
        struct hbk_client_hello hello =
            client_hello_with(hex, size == 255 ? HBK_ALERT_NONE : HBK_ALERT_DECODE_ERROR);
        assert_int_equal(hello.server_name.size, size == 255 ? 255 : 0);
    }
}

static void a_name_or_status_request_of_another_type_counts_for_nothing(void **state)
{
    (void)state;
    struct hbk_client_hello hello =
        client_hello_with("0000 0006 0004 05 0001 61 0005 0002 02aa", HBK_ALERT_NONE);
    assert_int_equal(hello.has, HBK_HAS_SERVER_NAME | HBK_HAS_STATUS_REQUEST);
    assert_int_equal(hello.server_name.size, 0);
    assert_false(hello.wants_ocsp);
    assert_true(client_hello_with("0005 0005 01 0000 0000", HBK_ALERT_NONE).wants_ocsp);
    assert_false(client_hello_with("002d 0002 01 00", HBK_ALERT_NONE).has_psk_dhe);
}

static void the_lists_of_a_client_hello_are_lent_as_they_stand_there(void **state)
{
    (void)state;
    struct hbk_client_hello hello = client_hello_with(
        "0010 0005 0003 02 6832 002c 0004 0002 aabb 002f 0006 0004 0002 3000 0032 0004 0002 0403"
        "002b 0005 04 0304 0303 002a 0000",
        HBK_ALERT_NONE);
    assert_int_equal(hello.has, HBK_HAS_PROTOCOLS | HBK_HAS_COOKIE | HBK_HAS_AUTHORITIES |
                                    HBK_HAS_CERTIFICATE_SCHEMES | HBK_HAS_VERSIONS |
                                    HBK_HAS_EARLY_DATA);
    assert_hex(hello.protocols, "026832");
    assert_hex(hello.cookie, "aabb");
    assert_hex(hello.authorities, "00023000");
    assert_hex(hello.certificate_schemes, "0403");
    assert_hex(hello.versions, "03040303");
}

/* ---- the server's messages ---- */

static void a_server_hello_of_an_older_tls_is_not_judged(void **state)
{
    (void)state;
    static const char *const cases[] = {
        "0303" RANDOM "00 c02f 00", "0303" RANDOM "00 c02f 00 0000",
        "0303" RANDOM "00 c02f 00 000e ff01 0001 00 0010 0005 0003 026832", /* ALPN */
        "0303" RANDOM "00 c02f 00 000c 002b 0002 0303 0033 0002 aabb",      /* not 1.3 */
    };
    uint8_t bytes[256];
    for (size_t i = 0; i < HBK_COUNT(cases); i++) {
        struct hbk_server_hello hello;
        size_t size = read_hex(cases[i], bytes);
        assert_int_equal(hbk_server_hello_read(hbk_slice_of(bytes, size), &hello).alert,
                         HBK_ALERT_NONE);
        assert_int_equal(hello.suite, 0xc02f);
        assert_int_equal(hello.version, i == 3 ? HBK_TLS_1_2 : 0);
        assert_int_equal(hello.has, i == 2   ? HBK_HAS_PROTOCOLS
                                    : i == 3 ? HBK_HAS_VERSIONS | HBK_HAS_SHARES
                                             : 0);
    }
}

static void a_cookie_above_the_limit_is_refused(void **state)
{
    (void)state;
    static uint8_t body[2 + HBK_MESSAGE_COOKIE_BYTES_MAX + 1];
    for (size_t size = HBK_MESSAGE_COOKIE_BYTES_MAX; size <= HBK_MESSAGE_COOKIE_BYTES_MAX + 1;
         size++) {
        body[0] = (uint8_t)(size >> 8);
        body[1] = (uint8_t)size;
        assert_int_equal(alert_of_body(RETRY, 44, body, 2 + size),
                         size == HBK_MESSAGE_COOKIE_BYTES_MAX ? HBK_ALERT_NONE
                                                              : HBK_ALERT_ILLEGAL_PARAMETER);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_client_hello_of_rfc8448_reads_as_the_rfc_says),
        cmocka_unit_test(the_resuming_hello_of_rfc8448_has_its_identity_and_binder),
        cmocka_unit_test(the_server_hello_of_rfc8448_reads_as_the_rfc_says),
        cmocka_unit_test(the_retry_of_rfc8448_reads_as_the_rfc_says),
        cmocka_unit_test(pre_shared_key_must_be_the_last_extension),
        cmocka_unit_test(identities_above_the_limit_are_counted_only),
        cmocka_unit_test(more_key_shares_than_the_limit_are_refused),
        cmocka_unit_test(a_host_name_may_have_255_bytes),
        cmocka_unit_test(a_name_or_status_request_of_another_type_counts_for_nothing),
        cmocka_unit_test(the_lists_of_a_client_hello_are_lent_as_they_stand_there),
        cmocka_unit_test(a_server_hello_of_an_older_tls_is_not_judged),
        cmocka_unit_test(a_cookie_above_the_limit_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
