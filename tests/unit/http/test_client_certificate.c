#include "http/client_certificate.h"

#include <stdio.h>

#include "harness.h"

static struct hbk_peer peer;

static int set_up(void **state)
{
    (void)state;
    peer = (struct hbk_peer){.names = {.subject = HBK_SLICE("CN=a\\,b,O=\\\"c\\\""),
                                       .dns_names = HBK_SLICE("a.test\0b.test\0"),
                                       .uris = HBK_SLICE("spiffe://a/b\0https://a/?q=1\0")},
                             .certificate_count = 2,
                             .certificates = {HBK_SLICE("\xff\xff\xbf"), HBK_SLICE("ab")}};
    memset(peer.leaf_sha256, 0x5a, sizeof peer.leaf_sha256);
    return 0;
}

#define HASH "Hash=5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a"
#define BEGIN "-----BEGIN%20CERTIFICATE-----%0A"
#define END "%0A-----END%20CERTIFICATE-----%0A"

static void check(const struct hbk_certificate_names *own,
                  const struct hbk_gw_client_cert_details_set *set, const char *expected)
{
    struct hbk_buffer out;
    hbk_buffer_init(&out, HBK_GW_CERTIFICATE_ELEMENT_BYTES_MAX);
    assert_int_equal(hbk_gw_client_certificate_write(&peer, own, set, &out), HBK_OK);
    assert_slice_equal(hbk_buffer_slice(&out), hbk_slice_text(expected));
    hbk_buffer_fini(&out);
}

static void test_an_element_has_what_was_asked_for_in_envoys_order(void **state)
{
    static const struct hbk_certificate_names nobody,
        us = {.uris = {(const uint8_t *)"u:1\0u:2", 8}};
    const struct hbk_gw_client_cert_details_set all = {true, true, true, true, true};
    (void)state;
    check(&nobody, NULL, HASH);
    check(&us, NULL, "By=u:1;By=u:2;" HASH);
    check(&nobody, &(struct hbk_gw_client_cert_details_set){.cert = true},
          HASH ";Cert=\"" BEGIN "%2F%2F%2B%2F" END "\"");
    check(&us, &all,
          "By=u:1;By=u:2;" HASH ";Cert=\"" BEGIN "%2F%2F%2B%2F" END "\";Chain=\"" BEGIN
          "%2F%2F%2B%2F" END BEGIN "YWI%3D" END
          "\";Subject=\"CN=a\\,b,O=\\\"c\\\"\";URI=spiffe://a/b;URI=https://a/?q=1;DNS=a.test;"
          "DNS=b.test");
}

static void test_a_key_without_a_value_stays_for_subject_and_uri_alone(void **state)
{
    static const struct hbk_certificate_names nobody;
    (void)state;
    peer.names = (struct hbk_certificate_names){.bytes = NULL};
    check(&nobody,
          &(struct hbk_gw_client_cert_details_set){.subject = true, .dns = true, .uri = true},
          HASH ";Subject=\"\";URI=");
}

/* A client's name must not read as another key or another hop. */
static void test_a_name_that_would_end_its_value_is_quoted(void **state)
{
    static const struct hbk_certificate_names nobody;
    (void)state;
    peer.names.uris = HBK_SLICE("u:a;By=x\0u:b,Hash=0\0u:c\"d\0");
    check(&nobody, &(struct hbk_gw_client_cert_details_set){.uri = true},
          HASH ";URI=\"u:a;By=x\";URI=\"u:b,Hash=0\";URI=\"u:c\\\"d\"");
}

static void test_a_line_of_pem_has_64_letters(void **state)
{
    static const struct hbk_certificate_names nobody;
    static uint8_t zeros[49];
    char expected[512];
    (void)state;
    peer.certificates[0] = hbk_slice_of(zeros, sizeof zeros);
    (void)snprintf(expected, sizeof expected, "%s;Cert=\"%s%064d%%0AAA%%3D%%3D%s\"", HASH, BEGIN, 0,
                   END);
    for (char *at = strstr(expected, "%0A0"); at != NULL && at[3] == '0'; at++) {
        at[3] = 'A';
    }
    check(&nobody, &(struct hbk_gw_client_cert_details_set){.cert = true}, expected);
}

static void test_what_is_longer_than_the_buffer_is_refused(void **state)
{
    static const struct hbk_certificate_names nobody;
    const struct hbk_gw_client_cert_details_set all = {true, true, true, true, true};
    (void)state;
    struct hbk_buffer whole;
    hbk_buffer_init(&whole, HBK_GW_CERTIFICATE_ELEMENT_BYTES_MAX);
    assert_int_equal(hbk_gw_client_certificate_write(&peer, &nobody, &all, &whole), HBK_OK);
    for (size_t size = 1; size < hbk_buffer_size(&whole); size++) {
        struct hbk_buffer out;
        hbk_buffer_init(&out, size);
        assert_int_equal(hbk_gw_client_certificate_write(&peer, &nobody, &all, &out), HBK_LIMIT);
        hbk_buffer_fini(&out);
    }
    hbk_buffer_fini(&whole);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_an_element_has_what_was_asked_for_in_envoys_order, set_up),
        cmocka_unit_test_setup(test_a_key_without_a_value_stays_for_subject_and_uri_alone, set_up),
        cmocka_unit_test_setup(test_a_name_that_would_end_its_value_is_quoted, set_up),
        cmocka_unit_test_setup(test_a_line_of_pem_has_64_letters, set_up),
        cmocka_unit_test_setup(test_what_is_longer_than_the_buffer_is_refused, set_up),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
