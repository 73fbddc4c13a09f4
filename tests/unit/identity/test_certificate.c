#include "identity/certificate.h"

#include <string.h>

#include "forge.h"

enum { CERTIFICATES_MAX = 4 };

static void a_certificate_that_is_known_is_shared_and_others_are_read(void **state)
{
    (void)state;
    struct hbk_error error = {0};
    struct forged root = forge((struct forge)FORGE_ROOT("root"));
    struct forged leaves[2];
    struct hbk_certificates chains[2];
    for (unsigned i = 0; i < 2; i++) {
        leaves[i] = forge((struct forge){.signer = &root, .serial = 5 + (long)i});
        X509 *const certificates[] = {leaves[i].certificate, root.certificate, NULL};
        char *pem = forged_pem(certificates);
        assert_int_equal(hbk_certificates_read_beside(hbk_slice_text(pem), CERTIFICATES_MAX,
                                                      i == 0 ? NULL : &chains[0], &chains[i],
                                                      &error),
                         HBK_OK);
        assert_int_equal(chains[i].count, 2);
        assert_int_equal(X509_cmp(chains[i].items[0], leaves[i].certificate), 0);
        assert_int_equal(X509_cmp(chains[i].items[1], root.certificate), 0);
        free(pem);
    }
    assert_ptr_equal(chains[0].items[1], chains[1].items[1]);
    assert_ptr_not_equal(chains[0].items[0], chains[1].items[0]);
    /* Each holds it. */
    hbk_certificates_fini(&chains[0]);
    assert_int_equal(X509_cmp(chains[1].items[1], root.certificate), 0);
    hbk_certificates_fini(&chains[1]);
    forged_free(&leaves[0]);
    forged_free(&leaves[1]);
    forged_free(&root);
}

static void text_that_is_broken_behind_a_good_certificate_is_refused(void **state)
{
    (void)state;
    static const char *const tails[] = {
        "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
        "-----BEGIN CERTIFICATE-----\nAAAA\n",
    };
    struct forged root = forge((struct forge)FORGE_ROOT("root"));
    X509 *const certificates[] = {root.certificate, NULL};
    char *pem = forged_pem(certificates);
    for (size_t i = 0; i < HBK_COUNT(tails); i++) {
        struct hbk_error error = {0};
        struct hbk_certificates chain = {0};
        char *text = NULL;
        assert_true(asprintf(&text, "%s%s", pem, tails[i]) > 0);
        assert_int_equal(
            hbk_certificates_read(hbk_slice_text(text), CERTIFICATES_MAX, &chain, &error),
            HBK_INVALID);
        assert_non_null(strstr(error.text, "certificate 2 is not valid PEM"));
        free(text);
    }
    free(pem);
    forged_free(&root);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_certificate_that_is_known_is_shared_and_others_are_read),
        cmocka_unit_test(text_that_is_broken_behind_a_good_certificate_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
