/* Certificates as a context holds them, and as libssl takes them. */
#include "stage.h"
#include "tls/certificate.h"
#include "tls/engine.h"

static const struct hbk_tls_certificate *made_of(struct hbk_tls_certificate_options options)
{
    const struct hbk_tls_certificate *certificate = NULL;
    struct hbk_error error = {0};
    if (hbk_tls_certificate_new(&options, &certificate, &error) != HBK_OK) {
        fail_msg("no certificate: %s", error.text);
    }
    return certificate;
}

static void a_form_says_what_the_certificate_says(void **state)
{
    (void)state;
    X509 *chain[] = {leaf.certificate, root.certificate};
    struct hbk_tls_certificate_options options = certificate_of(&leaf);
    options.chain = chain;
    options.chain_count = 2;
    const struct hbk_tls_certificate *certificate = made_of(options);
    struct hbk_openssl_form form;
    assert_true(hbk_openssl_form_init(&form, certificate));
    assert_int_equal(X509_cmp(form.leaf, leaf.certificate), 0);
    assert_int_equal(sk_X509_num(form.signers), 1);
    assert_int_equal(X509_cmp(sk_X509_value(form.signers, 0), root.certificate), 0);
    assert_int_equal(EVP_PKEY_eq(form.key, leaf.key), 1);
    hbk_openssl_form_fini(&form);
    hbk_openssl_form_fini(&form); /* again does nothing */
    hbk_tls_certificate_unref(certificate);
}

static void a_worker_keeps_the_forms_that_were_used_last(void **state)
{
    (void)state;
    enum { COUNT = HBK_OPENSSL_FORMS_MAX + 1 };
    static struct hbk_openssl_shelf shelf;
    const struct hbk_tls_certificate *certificates[COUNT];
    for (size_t i = 0; i < COUNT; i++) {
        certificates[i] = made_of(certificate_of(&leaf)); /* alike, and each for itself */
    }
    for (size_t i = 0; i < HBK_OPENSSL_FORMS_MAX; i++) {
        assert_non_null(hbk_openssl_shelf_get(&shelf, certificates[i]));
    }
    const X509 *first = hbk_openssl_shelf_get(&shelf, certificates[0])->leaf;
    assert_int_equal(shelf.made, HBK_OPENSSL_FORMS_MAX);
    assert_non_null(hbk_openssl_shelf_get(&shelf, certificates[COUNT - 1])); /* number 1 goes */
    assert_int_equal(shelf.count, HBK_OPENSSL_FORMS_MAX);
    assert_int_equal(shelf.made, COUNT);
    assert_ptr_equal(hbk_openssl_shelf_get(&shelf, certificates[0])->leaf, first);
    assert_int_equal(shelf.made, COUNT);
    assert_non_null(hbk_openssl_shelf_get(&shelf, certificates[1]));
    assert_int_equal(shelf.made, COUNT + 1);
    hbk_openssl_shelf_fini(&shelf);
    for (size_t i = 0; i < COUNT; i++) {
        hbk_tls_certificate_unref(certificates[i]);
    }
}

/* After a rotation, whichever comes first: the worker is tidied, or libssl shakes hands again. */
static void forms_of_certificates_that_nobody_serves_any_more_go(void **state)
{
    (void)state;
    static struct hbk_openssl_shelf shelves[2];
    const struct hbk_tls_certificate *old = made_of(certificate_of(&leaf));
    const struct hbk_tls_certificate *new = made_of(certificate_of(&client));
    for (size_t i = 0; i < HBK_COUNT(shelves); i++) {
        assert_non_null(hbk_openssl_shelf_get(&shelves[i], old));
        assert_non_null(hbk_openssl_shelf_get(&shelves[i], new));
        assert_int_equal(shelves[i].count, 2);
    }
    hbk_openssl_shelf_tidy(&shelves[0]);
    assert_int_equal(shelves[0].count, 2); /* somebody serves both */
    hbk_tls_certificate_unref(old);
    hbk_openssl_shelf_tidy(&shelves[0]);
    assert_non_null(hbk_openssl_shelf_get(&shelves[1], new));
    for (size_t i = 0; i < HBK_COUNT(shelves); i++) {
        assert_int_equal(shelves[i].count, 1);
        assert_ptr_equal(shelves[i].places[0].certificate, new);
    }
    hbk_tls_certificate_unref(new);
    for (size_t i = 0; i < HBK_COUNT(shelves); i++) {
        hbk_openssl_shelf_tidy(&shelves[i]);
        assert_int_equal(shelves[i].count, 0);
    }
}

static void chains_of_one_authority_share_its_certificate(void **state)
{
    (void)state;
    X509 *chains[2][2] = {{leaf.certificate, root.certificate},
                          {client.certificate, root.certificate}};
    struct hbk_tls_certificate_options options = certificate_of(&leaf);
    options.chain = chains[0];
    options.chain_count = 2;
    const struct hbk_tls_certificate *first = made_of(options);
    options = certificate_of(&client);
    options.chain = chains[1];
    options.chain_count = 2;
    options.beside = first;
    const struct hbk_tls_certificate *second = made_of(options);
    size_t count = 0;
    const struct hbk_slice *of_first = hbk_tls_certificate_chain(first, &count);
    const struct hbk_slice *of_second = hbk_tls_certificate_chain(second, &count);
    assert_int_equal(count, 2);
    assert_ptr_equal(of_first[1].bytes, of_second[1].bytes);
    assert_ptr_not_equal(of_first[0].bytes, of_second[0].bytes);
    hbk_tls_certificate_unref(first); /* what is shared lives as long as one of them */
    const unsigned char *at = of_second[1].bytes;
    X509 *signer = d2i_X509(NULL, &at, (long)of_second[1].size);
    assert_int_equal(X509_cmp(signer, root.certificate), 0);
    X509_free(signer);
    hbk_tls_certificate_unref(second);
}

static void names_are_read_once_and_say_what_the_leaf_says(void **state)
{
    (void)state;
    const struct hbk_tls_certificate *certificate = made_of(certificate_of(&leaf));
    const struct hbk_certificate_names *names = hbk_tls_certificate_names(certificate);
    assert_non_null(names);
    assert_slice_equal(names->uris, HBK_SLICE("spiffe://td.test/ns/shop/sa/cart\0"));
    assert_ptr_equal(hbk_tls_certificate_names(certificate), names);
    hbk_tls_certificate_unref(certificate);
}

/* Beside those of which only the options are given; numbers go on. */
static void certificates_that_were_made_before_are_chosen_by_their_names(void **state)
{
    (void)state;
    struct forged named[2] = {forge((struct forge){.signer = &root, .names = "DNS:a.test"}),
                              forge((struct forge){.signer = &root, .names = "DNS:b.test"})};
    struct hbk_tls_certificate_options own = certificate_of(&named[0]);
    const struct hbk_tls_certificate *made = made_of(certificate_of(&named[1]));
    struct ends ends = {
        .client = browser_of(anybody),
        .server = context_of((struct hbk_tls_context_options){
            .certificates = &own,
            .certificate_count = 1,
            .made = &made,
            .made_count = 1,
            .client_certificate = HBK_TLS_CLIENT_CERTIFICATE_NONE,
        }),
    };
    hbk_tls_certificate_unref(made);
    for (size_t i = 0; i < HBK_COUNT(named); i++) {
        ends.server_name = i == 0 ? "a.test" : "B.test";
        struct pair *pair = shake_hands(&ends);
        both_are_done(pair);
        uint8_t hash[HBK_SHA256_BYTES];
        X509_digest(named[i].certificate, EVP_sha256(), hash, NULL);
        assert_memory_equal(hash, hbk_tls_peer(pair->client)->leaf_sha256, sizeof hash);
        pair_free(pair);
    }
    hbk_tls_context_unref(ends.client);
    hbk_tls_context_unref(ends.server);
    forged_free(&named[0]);
    forged_free(&named[1]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_form_says_what_the_certificate_says),
        cmocka_unit_test(a_worker_keeps_the_forms_that_were_used_last),
        cmocka_unit_test(forms_of_certificates_that_nobody_serves_any_more_go),
        cmocka_unit_test(chains_of_one_authority_share_its_certificate),
        cmocka_unit_test(names_are_read_once_and_say_what_the_leaf_says),
        cmocka_unit_test(certificates_that_were_made_before_are_chosen_by_their_names),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
