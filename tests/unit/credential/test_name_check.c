/* What a validation context asks of a leaf: names and fingerprints. */
#include "credential/name_check.h"

#include "forge.h"

enum { HEX_TEXT_BYTES = 2 * 32 + 31 + 1, BASE64_TEXT_BYTES = 44 + 1 };

static const char names[] = "DNS:cart.shop.test,DNS:*.wild.test,URI:spiffe://td.test/ns/shop/sa/"
                            "cart,IP:10.1.2.3,email:ops@shop.test";

static hbk_status judge(const struct hbk_gw_validation_context *context,
                        const struct forged *forged)
{
    struct hbk_trust_options options = {0};
    struct hbk_error error = {0};
    assert_int_equal(hbk_gw_name_check_new(context, &options, &error), HBK_OK);
    assert_non_null(options.check);
    hbk_status status = options.check(options.owner, forged->certificate, HBK_PEER_CLIENT, &error);
    assert_int_equal(error.text[0] == '\0', status == HBK_OK); /* a refusal says why */
    options.free_owner(options.owner);
    return status;
}

static void a_context_that_asks_nothing_needs_no_check(void **state)
{
    (void)state;
    const struct hbk_gw_validation_context context = {0};
    struct hbk_trust_options options = {0};
    struct hbk_error error = {0};
    assert_int_equal(hbk_gw_name_check_new(&context, &options, &error), HBK_OK);
    assert_null(options.check);
}

static void one_of_the_names_must_be_one_of_those_that_are_listed(void **state)
{
    (void)state;
    static const struct {
        int type, pattern;
        const char *text;
        bool is_found;
    } cases[] = {
        {HBK_GW_SAN_DNS, HBK_GW_STRING_EXACT, "cart.shop.test", true},
        {HBK_GW_SAN_DNS, HBK_GW_STRING_EXACT, "CART.shop.test", true}, /* RFC 4343 */
        {HBK_GW_SAN_DNS, HBK_GW_STRING_EXACT, "shop.test", false},
        {HBK_GW_SAN_DNS, HBK_GW_STRING_SUFFIX, ".shop.test", true},
        {HBK_GW_SAN_URI, HBK_GW_STRING_EXACT, "cart.shop.test", false},
        /* RFC 6125, 6.4.3: a wildcard is one label, the left-most. */
        {HBK_GW_SAN_DNS, HBK_GW_STRING_EXACT, "a.wild.test", true},
        {HBK_GW_SAN_DNS, HBK_GW_STRING_EXACT, "a.b.wild.test", false},
        {HBK_GW_SAN_DNS, HBK_GW_STRING_EXACT, "wild.test", false},
        {HBK_GW_SAN_DNS, HBK_GW_STRING_EXACT, ".wild.test", false},
        {HBK_GW_SAN_URI, HBK_GW_STRING_EXACT, "spiffe://td.test/ns/shop/sa/cart", true},
        {HBK_GW_SAN_URI, HBK_GW_STRING_EXACT, "spiffe://td.test/ns/shop/sa/CART", false},
        {HBK_GW_SAN_URI, HBK_GW_STRING_PREFIX, "spiffe://td.test/ns/shop/", true},
        {HBK_GW_SAN_IP, HBK_GW_STRING_EXACT, "10.1.2.3", true},
        {HBK_GW_SAN_IP, HBK_GW_STRING_EXACT, "10.1.2.4", false},
        {HBK_GW_SAN_EMAIL, HBK_GW_STRING_EXACT, "ops@shop.test", true},
        {HBK_GW_SAN_UNSPECIFIED, HBK_GW_STRING_EXACT, "10.1.2.3", true},
        {HBK_GW_SAN_UNSPECIFIED, HBK_GW_STRING_EXACT, "nobody", false},
    };
    struct forged leaf = forge((struct forge){.names = names});
    struct forged nameless = forge((struct forge){.names = "-"});
    for (size_t i = 0; i < HBK_COUNT(cases); i++) {
        struct hbk_gw_string_matcher matcher = {.match_pattern = (uint8_t)cases[i].pattern};
        struct hbk_slice text = hbk_slice_text(cases[i].text);
        matcher.exact = matcher.prefix = matcher.suffix = matcher.contains = text;
        const struct hbk_gw_san_matcher wanted = {.san_type = cases[i].type, .matcher = &matcher};
        const struct hbk_gw_validation_context context = {.match_typed_subject_alt_names = &wanted,
                                                          .match_typed_subject_alt_names_count = 1};
        assert_int_equal(judge(&context, &leaf), cases[i].is_found ? HBK_OK : HBK_UNTRUSTED);
        assert_int_equal(judge(&context, &nameless), HBK_UNTRUSTED);
    }
    forged_free(&leaf);
    forged_free(&nameless);
}

/* As `openssl x509 -fingerprint` writes it, or without colons. */
static void write_hex(const X509 *certificate, bool has_colons, char out[static HEX_TEXT_BYTES])
{
    uint8_t digest[EVP_MAX_MD_SIZE];
    unsigned size = 0;
    assert_int_equal(X509_digest(certificate, EVP_sha256(), digest, &size), 1);
    size_t used = 0;
    for (unsigned i = 0; i < size; i++) {
        used += (size_t)snprintf(out + used, HEX_TEXT_BYTES - used, "%s%02X",
                                 has_colons && i > 0 ? ":" : "", digest[i]);
    }
}

static void a_fingerprint_must_be_one_of_those_that_are_listed(void **state)
{
    (void)state;
    struct forged leaf = forge((struct forge){.names = names});
    struct forged other = forge((struct forge){.names = names});
    char texts[2][HEX_TEXT_BYTES], key_text[BASE64_TEXT_BYTES];
    uint8_t *der = NULL, digest[EVP_MAX_MD_SIZE];
    unsigned size = 0;
    write_hex(leaf.certificate, true, texts[0]);
    write_hex(leaf.certificate, false, texts[1]);
    for (size_t i = 0; i < HBK_COUNT(texts); i++) {
        const struct hbk_slice text = hbk_slice_text(texts[i]);
        const struct hbk_gw_validation_context context = {.verify_certificate_hash = &text,
                                                          .verify_certificate_hash_count = 1};
        assert_int_equal(judge(&context, &leaf), HBK_OK);
        assert_int_equal(judge(&context, &other), HBK_UNTRUSTED);
    }
    int der_bytes = i2d_X509_PUBKEY(X509_get_X509_PUBKEY(leaf.certificate), &der);
    assert_int_equal(EVP_Digest(der, (size_t)der_bytes, digest, &size, EVP_sha256(), NULL), 1);
    assert_int_equal(EVP_EncodeBlock((unsigned char *)key_text, digest, (int)size), 44);
    const struct hbk_slice text = hbk_slice_text(key_text);
    const struct hbk_gw_validation_context context = {.verify_certificate_spki = &text,
                                                      .verify_certificate_spki_count = 1};
    assert_int_equal(judge(&context, &leaf), HBK_OK);
    assert_int_equal(judge(&context, &other), HBK_UNTRUSTED);
    OPENSSL_free(der);
    forged_free(&leaf);
    forged_free(&other);
}

#define DIGITS_60 "0123456789abcdef0123456789abcdef0123456789abcdef0123456789ab"

static void a_text_that_is_no_fingerprint_is_refused(void **state)
{
    (void)state;
    static const struct {
        const char *hash, *spki;
    } cases[] = {
        {"", NULL},
        {DIGITS_60, NULL},
        {DIGITS_60 "cde", NULL},
        {DIGITS_60 "cdeg", NULL},
        {DIGITS_60 "cdef0", NULL}, /* one too many */
        {DIGITS_60 "cdefoo", NULL},
        {DIGITS_60 "cdef ", NULL},
        {NULL, ""},
        {NULL, "AAAA"},
        {NULL, "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"},   /* 31 bytes */
        {NULL, "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"}, /* 33 bytes */
        {NULL, "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=AAAA"},
    };
    for (size_t i = 0; i < HBK_COUNT(cases); i++) {
        const char *text = cases[i].hash != NULL ? cases[i].hash : cases[i].spki;
        const struct hbk_slice slice = hbk_slice_text(text);
        const struct hbk_gw_validation_context context = {
            .verify_certificate_hash = &slice,
            .verify_certificate_hash_count = cases[i].hash != NULL ? 1 : 0,
            .verify_certificate_spki = &slice,
            .verify_certificate_spki_count = cases[i].spki != NULL ? 1 : 0,
        };
        struct hbk_trust_options options = {0};
        struct hbk_error error = {0};
        if (hbk_gw_name_check_new(&context, &options, &error) != HBK_INVALID) {
            fail_msg("\"%s\" was taken", text);
        }
        assert_non_null(strstr(error.text, text));
        assert_null(options.check);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_context_that_asks_nothing_needs_no_check),
        cmocka_unit_test(one_of_the_names_must_be_one_of_those_that_are_listed),
        cmocka_unit_test(a_fingerprint_must_be_one_of_those_that_are_listed),
        cmocka_unit_test(a_text_that_is_no_fingerprint_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
