#include "bench/material.h"

#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "harness.h"

static char folder[] = "/tmp/hauberk-material-XXXXXX";
static char paths[3][128]; /* ca, leaf, list */

static int make_folder(void **state)
{
    static const char *const names[] = {"ca", "leaf", "list"};
    (void)state;
    for (unsigned i = 0; i < 3; i++) {
        (void)snprintf(paths[i], sizeof paths[i], "%s/%s.pem", i == 0 ? mkdtemp(folder) : folder,
                       names[i]);
    }
    return 0;
}

static int remove_folder(void **state)
{
    (void)state;
    for (unsigned i = 0; i < 3; i++) {
        (void)unlink(paths[i]);
    }
    return rmdir(folder);
}

static X509 *read_certificate(const char *path)
{
    FILE *file = fopen(path, "re");
    assert_non_null(file);
    X509 *certificate = PEM_read_X509(file, NULL, NULL, NULL);
    assert_int_equal(fclose(file), 0);
    assert_non_null(certificate);
    return certificate;
}

static int verify(X509 *root, X509 *leaf, X509_CRL *list)
{
    X509_STORE *store = X509_STORE_new();
    X509_STORE_CTX *context = X509_STORE_CTX_new();
    assert_int_equal(X509_STORE_add_cert(store, root), 1);
    if (list != NULL) {
        assert_int_equal(X509_STORE_add_crl(store, list), 1);
        (void)X509_STORE_set_flags(store, X509_V_FLAG_CRL_CHECK);
    }
    assert_int_equal(X509_STORE_CTX_init(context, store, leaf, NULL), 1);
    int answer = X509_verify_cert(context);
    X509_STORE_CTX_free(context);
    X509_STORE_free(store);
    return answer;
}

static void a_leaf_is_believed_by_its_authority_and_named_by_its_host(void **state)
{
    (void)state;
    struct hbk_error error = {0};
    struct hbk_material *material = NULL;
    assert_int_equal(hbk_material_new(folder, &material, &error), HBK_OK);
    for (int is_rsa = 0; is_rsa < 2; is_rsa++) {
        assert_int_equal(
            hbk_material_write_leaf(material, paths[1], "a.bench.test", is_rsa == 1, &error),
            HBK_OK);
        X509 *root = read_certificate(paths[0]), *leaf = read_certificate(paths[1]);
        assert_int_equal(verify(root, leaf, NULL), 1);
        assert_int_equal(X509_check_host(leaf, "a.bench.test", 0, 0, NULL), 1);
        assert_int_equal(X509_check_host(leaf, "b.bench.test", 0, 0, NULL), 0);
        assert_int_equal(EVP_PKEY_get_base_id(X509_get0_pubkey(leaf)),
                         is_rsa == 1 ? EVP_PKEY_RSA : EVP_PKEY_EC);
        X509_free(root);
        X509_free(leaf);
    }
    hbk_material_free(material);
}

static void a_list_has_its_entries_and_revokes_nobody_here(void **state)
{
    (void)state;
    struct hbk_error error = {0};
    struct hbk_material *material = NULL;
    assert_int_equal(hbk_material_new(folder, &material, &error), HBK_OK);
    assert_int_equal(hbk_material_write_leaf(material, paths[1], "a", false, &error), HBK_OK);
    assert_int_equal(hbk_material_write_list(material, paths[2], 1000, &error), HBK_OK);
    FILE *file = fopen(paths[2], "re");
    X509_CRL *list = PEM_read_X509_CRL(file, NULL, NULL, NULL);
    assert_int_equal(fclose(file), 0);
    assert_non_null(list);
    assert_int_equal(sk_X509_REVOKED_num(X509_CRL_get_REVOKED(list)), 1000);
    X509 *root = read_certificate(paths[0]), *leaf = read_certificate(paths[1]);
    assert_int_equal(verify(root, leaf, list), 1);
    X509_free(root);
    X509_free(leaf);
    X509_CRL_free(list);
    hbk_material_free(material);
}

static void a_folder_that_is_not_there_is_a_failure(void **state)
{
    (void)state;
    struct hbk_error error = {0};
    struct hbk_material *material = NULL;
    assert_int_equal(hbk_material_new("/no/such/folder", &material, &error), HBK_IO);
    assert_null(material);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_leaf_is_believed_by_its_authority_and_named_by_its_host),
        cmocka_unit_test(a_list_has_its_entries_and_revokes_nobody_here),
        cmocka_unit_test(a_folder_that_is_not_there_is_a_failure),
    };
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
