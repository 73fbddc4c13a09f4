#include "ca/store.h"

#include <stdio.h>
#include <sys/stat.h>

#include "harness.h"
#include "identity/svid.h"
#include "os/file.h"

#define NOW_NS (INT64_C(1795435200) * 1000000000)

static char directory[HBK_PATH_BYTES_MAX];

static int make_directory(void **state)
{
    (void)state;
    return hbk_directory_make_private("hbk-test-store", directory) == HBK_OK ? 0 : -1;
}

static int remove_directory(void **state)
{
    (void)state;
    return hbk_directory_remove(directory) == HBK_OK ? 0 : -1;
}

static const char *path_to(const char *name)
{
    static char path[HBK_PATH_BYTES_MAX + 64];
    (void)snprintf(path, sizeof path, "%s/%s", directory, name);
    return path;
}

static mode_t mode_of(const char *name)
{
    struct stat about;
    assert_int_equal(stat(path_to(name), &about), 0);
    return about.st_mode & 0777;
}

static void a_root_is_made_once_with_a_secret_key(void **state)
{
    (void)state;
    struct hbk_error error = {0};
    char ca[HBK_PATH_BYTES_MAX + 64];
    (void)snprintf(ca, sizeof ca, "%s", path_to("one/two"));
    assert_int_equal(hbk_ca_store_init(ca, HBK_SLICE("td.test"), NOW_NS, &error), HBK_OK);
    assert_int_equal(mode_of("one/two/root.pem"), 0644);
    assert_int_equal(mode_of("one/two/root-key.pem"), 0600);

    struct hbk_authority *authority = NULL;
    assert_int_equal(hbk_ca_store_open(ca, &authority, &error), HBK_OK);
    assert_slice_equal(hbk_authority_trust_domain(authority), HBK_SLICE("td.test"));
    hbk_authority_free(authority);

    assert_int_equal(hbk_ca_store_init(ca, HBK_SLICE("td.test"), NOW_NS, &error), HBK_EXISTS);
    assert_non_null(strstr(error.text, "root.pem is there already"));
}

static void a_wrong_trust_domain_makes_no_directory(void **state)
{
    (void)state;
    struct hbk_error error = {0};
    struct stat about;
    assert_int_equal(hbk_ca_store_init(path_to("wrong"), HBK_SLICE("Td"), NOW_NS, &error),
                     HBK_INVALID);
    assert_int_not_equal(stat(path_to("wrong"), &about), 0);
}

static void what_is_missing_is_named(void **state)
{
    (void)state;
    struct hbk_error error = {0};
    struct hbk_authority *authority = NULL;
    assert_int_equal(hbk_ca_store_open(path_to("nowhere"), &authority, &error), HBK_NOT_FOUND);
    assert_non_null(strstr(error.text, "nowhere/root.pem"));
    assert_non_null(strstr(error.text, "hauberk ca init"));
}

static void files_are_named_after_the_identity(void **state)
{
    (void)state;
    static const struct {
        const char *id, *name;
    } cases[] = {
        {"spiffe://td.test/ns/shop/sa/cart", "shop.cart"},
        {"spiffe://td.test/web", "web"},
        {"spiffe://td.test/a/b/c", "a.b.c"},
    };
    char name[HBK_CA_FILE_NAME_BYTES_MAX];
    const struct hbk_spiffe_id *id = NULL;
    for (size_t i = 0; i < HBK_COUNT(cases); i++) {
        assert_int_equal(hbk_spiffe_intern(hbk_slice_text(cases[i].id), &id), HBK_OK);
        assert_string_equal(hbk_ca_file_name(id, name), cases[i].name);
        hbk_spiffe_unref(id);
    }
    char text[HBK_SPIFFE_ID_BYTES_MAX];
    memset(text, 'x', sizeof text);
    memcpy(text, "spiffe://td.test/ns/shop/sa/", 28);
    assert_int_equal(hbk_spiffe_intern(hbk_slice_of(text, sizeof text), &id), HBK_OK);
    assert_int_equal(strlen(hbk_ca_file_name(id, name)), HBK_CA_FILE_NAME_BYTES_MAX - 1);
    hbk_spiffe_unref(id);
}

static void an_identity_is_written_for_others_to_read(void **state)
{
    (void)state;
    struct hbk_authority *authority = NULL;
    struct hbk_issued issued;
    struct hbk_error error = {0};
    const struct hbk_spiffe_id *id = NULL;
    hbk_issued_init(&issued);
    assert_int_equal(hbk_ca_store_open(path_to("one/two"), &authority, &error), HBK_OK);
    assert_int_equal(hbk_spiffe_intern(HBK_SLICE("spiffe://td.test/ns/shop/sa/cart"), &id), HBK_OK);
    assert_int_equal(hbk_authority_issue(authority, id, HBK_KEY_ECDSA_P256, 20000000000, NOW_NS,
                                         &issued, &error),
                     HBK_OK);
    assert_int_equal(
        hbk_ca_store_write(path_to("out"), id, &issued, hbk_authority_root_pem(authority), &error),
        HBK_OK);
    assert_int_equal(mode_of("out/shop.cart-key.pem"), 0600);
    assert_int_equal(mode_of("out/shop.cart.pem"), 0644);
    assert_int_equal(mode_of("out/bundle.pem"), 0644);
    hbk_spiffe_unref(id);
    hbk_issued_fini(&issued);
    hbk_authority_free(authority);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_root_is_made_once_with_a_secret_key),
        cmocka_unit_test(a_wrong_trust_domain_makes_no_directory),
        cmocka_unit_test(what_is_missing_is_named),
        cmocka_unit_test(files_are_named_after_the_identity),
        cmocka_unit_test(an_identity_is_written_for_others_to_read),
    };
    return cmocka_run_group_tests(tests, make_directory, remove_directory);
}
