#include "identity/revocation.h"

#include <string.h>

#include "forge.h"

static char *make_list(const struct forged *signer, long serial)
{
    return forge_crl(signer, serial, FORGE_NOW_NS - FORGE_HOUR_NS, FORGE_NOW_NS + FORGE_HOUR_NS);
}

static void the_same_bytes_are_read_once_while_somebody_holds_them(void **state)
{
    (void)state;
    struct hbk_error error = {0};
    struct forged root = forge((struct forge)FORGE_ROOT("root"));
    char *text = make_list(&root, 77), *other = make_list(&root, 78);
    struct hbk_revocation *first, *second, *third;
    assert_int_equal(hbk_revocation_read(hbk_slice_text(text), &first, &error), HBK_OK);
    assert_int_equal(hbk_revocation_read(hbk_slice_text(text), &second, &error), HBK_OK);
    assert_int_equal(hbk_revocation_read(hbk_slice_text(other), &third, &error), HBK_OK);
    assert_ptr_equal(first, second);
    assert_ptr_not_equal(first, third);
    assert_int_equal(hbk_revocation_count(first), 1);
    hbk_revocation_unref(first);
    assert_int_equal(sk_X509_REVOKED_num(X509_CRL_get_REVOKED(hbk_revocation_list(second, 0))), 1);
    hbk_revocation_unref(second);
    hbk_revocation_unref(third);
    hbk_revocation_unref(NULL);
    free(text);
    free(other);
    forged_free(&root);
}

static void bundles_of_different_roots_share_a_list(void **state)
{
    (void)state;
    struct hbk_error error = {0};
    struct forged roots[] = {forge((struct forge)FORGE_ROOT("root")),
                             forge((struct forge)FORGE_ROOT("other"))};
    char *text = make_list(&roots[0], 77);
    struct hbk_bundle *bundles[2];
    struct hbk_revocation *revocation;
    for (unsigned i = 0; i < 2; i++) {
        X509 *const certificates[] = {roots[i].certificate, NULL};
        char *pem = forged_pem(certificates);
        assert_int_equal(
            hbk_bundle_new_roots(hbk_slice_text(pem), hbk_slice_text(text), &bundles[i], &error),
            HBK_OK);
        assert_true(bundles[i]->has_crl);
        free(pem);
    }
    assert_int_equal(hbk_revocation_read(hbk_slice_text(text), &revocation, &error), HBK_OK);
    for (unsigned i = 0; i < 2; i++) {
        STACK_OF(X509_OBJECT) *objects = X509_STORE_get0_objects(bundles[i]->store);
        bool is_shared = false;
        for (int k = 0; k < sk_X509_OBJECT_num(objects); k++) {
            X509_CRL *list = X509_OBJECT_get0_X509_CRL(sk_X509_OBJECT_value(objects, k));
            is_shared |= list == hbk_revocation_list(revocation, 0);
        }
        assert_true(is_shared);
        hbk_bundle_unref(bundles[i]);
    }
    hbk_revocation_unref(revocation);
    free(text);
    forged_free(&roots[0]);
    forged_free(&roots[1]);
}

static void text_that_is_no_list_is_refused_and_not_kept(void **state)
{
    (void)state;
    static const char *const texts[] = {"nonsense", "-----BEGIN X509 CRL-----\nAAAA\n"};
    for (size_t i = 0; i < HBK_COUNT(texts); i++) {
        struct hbk_error error = {0};
        struct hbk_revocation *revocation = NULL;
        for (unsigned k = 0; k < 2; k++) {
            assert_int_equal(hbk_revocation_read(hbk_slice_text(texts[i]), &revocation, &error),
                             HBK_INVALID);
            assert_null(revocation);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_same_bytes_are_read_once_while_somebody_holds_them),
        cmocka_unit_test(bundles_of_different_roots_share_a_list),
        cmocka_unit_test(text_that_is_no_list_is_refused_and_not_kept),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
