#include "ca/source.h"

#include <stdio.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "ca/store.h"
#include "failing_heap.h"
#include "harness.h"
#include "identity/verdict.h"
#include "os/file.h"

#define NOW_NS (INT64_C(1795435200) * 1000000000)
#define DAY_NS (INT64_C(86400) * 1000000000)
#define LIFE_NS (20 * HBK_NS_PER_S)

/* Where a test stands: a CA, a folder, both clocks, and what was reported. */
struct scene {
    char directory[HBK_PATH_BYTES_MAX];
    char ca[HBK_PATH_BYTES_MAX + 8];
    char folder[HBK_PATH_BYTES_MAX + 8];
    struct hbk_authority *authority;
    const struct hbk_spiffe_id *cart;
    struct hbk_ca_source *source;
    uint64_t monotonic_ns;
    int64_t realtime_ns;
    unsigned reports;
};

static void on_credential(void *context, const struct hbk_spiffe_id *id,
                          struct hbk_tls_credential *credential)
{
    struct scene *scene = context;
    assert_ptr_equal(hbk_tls_credential_id(credential), id);
    scene->reports++;
}

static struct hbk_ca_settings settings_of(struct scene *scene)
{
    return (struct hbk_ca_settings){
        .life_ns = LIFE_NS,
        .key_type = HBK_KEY_ECDSA_P256,
        .on_credential = on_credential,
        .context = scene,
    };
}

static void scene_init(struct scene *scene)
{
    *scene = (struct scene){.monotonic_ns = 5000 * HBK_NS_PER_S, .realtime_ns = NOW_NS};
    hbk_log_set_level(HBK_LOG_OFF);
    assert_int_equal(hbk_directory_make_private("hbk-test-ca", scene->directory), HBK_OK);
    (void)snprintf(scene->ca, sizeof scene->ca, "%s/ca", scene->directory);
    (void)snprintf(scene->folder, sizeof scene->folder, "%s/ids", scene->directory);
    assert_int_equal(hbk_ca_store_init(scene->ca, HBK_SLICE("td.test"), NOW_NS - 10 * DAY_NS, NULL),
                     HBK_OK);
    assert_int_equal(hbk_ca_store_open(scene->ca, &scene->authority, NULL), HBK_OK);
    assert_int_equal(hbk_spiffe_intern(HBK_SLICE("spiffe://td.test/ns/shop/sa/cart"), &scene->cart),
                     HBK_OK);
}

static void scene_fini(struct scene *scene)
{
    hbk_ca_close(scene->source);
    hbk_authority_free(scene->authority);
    hbk_spiffe_unref(scene->cart);
    assert_int_equal(hbk_directory_remove(scene->directory), HBK_OK);
    assert_int_equal(hbk_spiffe_count(), 0);
}

static void open_store(struct scene *scene)
{
    const struct hbk_ca_settings settings = settings_of(scene);
    assert_int_equal(hbk_ca_open_store(scene->ca, &settings, &scene->source, NULL), HBK_OK);
}

static void want_cart(struct scene *scene)
{
    assert_int_equal(
        hbk_ca_want(scene->source, scene->cart, scene->monotonic_ns, scene->realtime_ns), HBK_OK);
}

/* Lets time pass in small steps, each time when the source asked to be called. */
static void pass(struct scene *scene, uint64_t duration_ns)
{
    uint64_t end_ns = scene->monotonic_ns + duration_ns;
    while (scene->monotonic_ns < end_ns) {
        uint64_t due_ns = hbk_ca_next_due_ns(scene->source);
        due_ns = due_ns > scene->monotonic_ns ? due_ns : scene->monotonic_ns + 1;
        due_ns = due_ns < end_ns ? due_ns : end_ns;
        scene->realtime_ns += (int64_t)(due_ns - scene->monotonic_ns);
        scene->monotonic_ns = due_ns;
        hbk_ca_run_due(scene->source, scene->monotonic_ns, scene->realtime_ns);
    }
}

static const struct hbk_svid *svid_of(struct scene *scene)
{
    struct hbk_tls_credential *credential = hbk_ca_find(scene->source, scene->cart);
    return credential == NULL ? NULL : hbk_tls_credential_svid(credential);
}

/* Issues for cart, valid from the scene's now, and writes the files into the folder. */
static void write_identity(struct scene *scene, uint64_t life_ns)
{
    struct hbk_issued issued;
    hbk_issued_init(&issued);
    assert_int_equal(hbk_authority_issue(scene->authority, scene->cart, HBK_KEY_ECDSA_P256, life_ns,
                                         scene->realtime_ns, &issued, NULL),
                     HBK_OK);
    assert_int_equal(hbk_ca_store_write(scene->folder, scene->cart, &issued,
                                        hbk_authority_root_pem(scene->authority), NULL),
                     HBK_OK);
    hbk_issued_fini(&issued);
}

static void write_file(const char *directory, const char *name, struct hbk_slice bytes)
{
    char path[2 * HBK_PATH_BYTES_MAX];
    (void)snprintf(path, sizeof path, "%s/%s", directory, name);
    assert_int_equal(hbk_file_write(path, bytes, 0600), HBK_OK);
}

static void copy_file(const char *from_directory, const char *from, const char *to_directory,
                      const char *to)
{
    struct hbk_ca_bytes bytes;
    assert_int_equal(hbk_ca_bytes_read(&bytes, from_directory, from, 1 << 20, false, NULL), HBK_OK);
    write_file(to_directory, to, bytes.bytes);
    hbk_ca_bytes_fini(&bytes);
}

static void remove_file(const char *directory, const char *name)
{
    char path[2 * HBK_PATH_BYTES_MAX];
    (void)snprintf(path, sizeof path, "%s/%s", directory, name);
    assert_int_equal(unlink(path), 0);
}

static void open_folder(struct scene *scene)
{
    const struct hbk_ca_settings settings = settings_of(scene);
    struct hbk_error error = {0};
    if (hbk_ca_open_folder(scene->folder, &settings, &scene->source, &error) != HBK_OK) {
        fail_msg("%s", error.text);
    }
}

/* ---- the built-in CA ---- */

static void a_wanted_identity_has_its_credential_at_once(void **state)
{
    (void)state;
    struct scene scene;
    scene_init(&scene);
    open_store(&scene);
    assert_null(hbk_ca_find(scene.source, scene.cart));
    want_cart(&scene);
    want_cart(&scene);
    assert_int_equal(scene.reports, 1);
    assert_int_equal(svid_of(&scene)->not_after_ns, NOW_NS + (int64_t)LIFE_NS);

    struct hbk_ca_view view;
    const void *cursor = NULL;
    assert_true(hbk_ca_next(scene.source, &cursor, &view));
    assert_ptr_equal(view.id, scene.cart);
    assert_string_equal(view.error, "");
    assert_false(hbk_ca_next(scene.source, &cursor, &view));

    hbk_ca_mark(scene.source);
    hbk_ca_sweep(scene.source);
    assert_null(hbk_ca_find(scene.source, scene.cart));
    scene_fini(&scene);
}

static void certificates_are_renewed_about_half_of_their_life(void **state)
{
    (void)state;
    struct scene scene;
    scene_init(&scene);
    open_store(&scene);
    want_cart(&scene);
    pass(&scene, LIFE_NS * 4 / 10);
    assert_int_equal(scene.reports, 1);
    pass(&scene, LIFE_NS * 2 / 10);
    assert_int_equal(scene.reports, 2);

    /* Over a long time there is always a good one, and none too often. */
    for (unsigned i = 0; i < 300; i++) {
        pass(&scene, HBK_NS_PER_S);
        const struct hbk_svid *svid = svid_of(&scene);
        assert_true(svid->not_after_ns - scene.realtime_ns >= (int64_t)LIFE_NS * 4 / 10);
        assert_true(svid->not_before_ns <= scene.realtime_ns);
    }
    assert_in_range(scene.reports, 27, 37);
    assert_int_equal(hbk_ca_counts(scene.source).failed, 0);
    assert_int_equal(hbk_ca_counts(scene.source).issued, scene.reports);
    scene_fini(&scene);
}

static void a_clock_set_by_a_day_gives_a_fresh_certificate(void **state)
{
    (void)state;
    static const int64_t steps_ns[] = {DAY_NS, -DAY_NS};
    for (size_t i = 0; i < HBK_COUNT(steps_ns); i++) {
        struct scene scene;
        scene_init(&scene);
        open_store(&scene);
        want_cart(&scene);
        scene.realtime_ns += steps_ns[i];
        pass(&scene, HBK_NS_PER_S);
        assert_int_equal(scene.reports, 2);
        const struct hbk_svid *svid = svid_of(&scene);
        assert_true(svid->not_before_ns <= scene.realtime_ns);
        assert_true(svid->not_after_ns > scene.realtime_ns);
        pass(&scene, HBK_NS_PER_S * 5);
        assert_int_equal(scene.reports, 2);
        scene_fini(&scene);
    }
}

/* The clock goes beyond the root's own life: nothing can be issued. */
static void a_failing_source_is_asked_with_growing_pauses(void **state)
{
    (void)state;
    struct scene scene;
    scene_init(&scene);
    open_store(&scene);
    want_cart(&scene);
    const struct hbk_svid *before = svid_of(&scene);
    scene.realtime_ns -= 100 * DAY_NS;
    pass(&scene, 1000 * HBK_NS_PER_S);
    assert_int_equal(scene.reports, 1);
    assert_ptr_equal(svid_of(&scene), before);
    assert_in_range(hbk_ca_counts(scene.source).failed, 8, 18);
    struct hbk_ca_view view;
    const void *cursor = NULL;
    assert_true(hbk_ca_next(scene.source, &cursor, &view));
    assert_non_null(strstr(view.error, "valid from"));

    scene.realtime_ns += 100 * DAY_NS;
    pass(&scene, 200 * HBK_NS_PER_S);
    assert_true(scene.reports > 1);
    assert_true(svid_of(&scene)->not_after_ns > scene.realtime_ns);
    scene_fini(&scene);
}

static void other_bundles_reach_every_credential(void **state)
{
    (void)state;
    struct scene scene;
    char second[sizeof scene.ca + 8];
    scene_init(&scene);
    open_store(&scene);
    want_cart(&scene);
    const struct hbk_svid *svid = svid_of(&scene);
    (void)snprintf(second, sizeof second, "%s-2", scene.ca);
    assert_int_equal(hbk_ca_store_init(second, HBK_SLICE("td.test"), NOW_NS, NULL), HBK_OK);
    copy_file(second, HBK_CA_ROOT_FILE, scene.ca, HBK_CA_BUNDLE_FILE);
    pass(&scene, 2 * HBK_NS_PER_S);
    assert_int_equal(scene.reports, 2);
    struct hbk_bundle_set *bundles =
        hbk_tls_credential_bundles(hbk_ca_find(scene.source, scene.cart));
    assert_int_equal(bundles->bundles[0]->root_count, 2);
    assert_ptr_equal(svid_of(&scene), svid); /* the certificate itself stays */

    /* Broken, it changes nothing. */
    write_file(scene.ca, HBK_CA_BUNDLE_FILE, HBK_SLICE("-----BEGIN CERTIFICATE-----\nx"));
    pass(&scene, 2 * HBK_NS_PER_S);
    assert_int_equal(scene.reports, 2);
    scene_fini(&scene);
}

static enum hbk_tls_engine_kind engine_of(struct scene *scene)
{
    struct hbk_tls_credential *credential = hbk_ca_find(scene->source, scene->cart);
    return hbk_tls_context_engine(hbk_tls_credential_context(credential));
}

static void another_engine_reaches_every_credential_and_those_to_come(void **state)
{
    (void)state;
    struct scene scene;
    scene_init(&scene);
    open_store(&scene);
    assert_int_equal(hbk_ca_engine(scene.source), HBK_TLS_ENGINE_OPENSSL);
    want_cart(&scene);
    const struct hbk_svid *svid = svid_of(&scene);
    uint64_t generation = hbk_tls_credential_generation(hbk_ca_find(scene.source, scene.cart));
    hbk_ca_use_engine(scene.source, HBK_TLS_ENGINE_NATIVE, scene.monotonic_ns, scene.realtime_ns);
    assert_int_equal(scene.reports, 2);
    assert_int_equal(engine_of(&scene), HBK_TLS_ENGINE_NATIVE);
    assert_ptr_equal(svid_of(&scene), svid); /* the certificate itself stays */
    assert_true(hbk_tls_credential_generation(hbk_ca_find(scene.source, scene.cart)) > generation);

    hbk_ca_use_engine(scene.source, HBK_TLS_ENGINE_NATIVE, scene.monotonic_ns, scene.realtime_ns);
    assert_int_equal(scene.reports, 2); /* nothing new */
    pass(&scene, LIFE_NS);
    assert_true(scene.reports > 2);
    assert_int_equal(engine_of(&scene), HBK_TLS_ENGINE_NATIVE);
    assert_int_equal(hbk_ca_counts(scene.source).failed, 0);

    hbk_ca_use_engine(scene.source, HBK_TLS_ENGINE_OPENSSL, scene.monotonic_ns, scene.realtime_ns);
    assert_int_equal(engine_of(&scene), HBK_TLS_ENGINE_OPENSSL);
    scene_fini(&scene);
}

/* Whatever allocation fails: the credential of before stays, and the next try has another. */
static void an_engine_that_is_not_to_be_had_is_tried_again(void **state)
{
    (void)state;
    bool has_failed = true;
    for (uint64_t n = 1; has_failed; n++) {
        struct scene scene;
        scene_init(&scene);
        write_identity(&scene, LIFE_NS); /* files that stay the same all the time */
        open_folder(&scene);
        want_cart(&scene);
        heap_fail_at(n);
        hbk_ca_use_engine(scene.source, HBK_TLS_ENGINE_NATIVE, scene.monotonic_ns,
                          scene.realtime_ns);
        has_failed = heap_allocations >= n;
        heap_fail_at(0);
        assert_int_equal(engine_of(&scene),
                         has_failed ? HBK_TLS_ENGINE_OPENSSL : HBK_TLS_ENGINE_NATIVE);
        pass(&scene, 2 * HBK_CA_RETRY_NS_MIN);
        assert_int_equal(engine_of(&scene), HBK_TLS_ENGINE_NATIVE);
        assert_int_equal(scene.reports, 2);
        scene_fini(&scene);
    }
}

/* The order of a root's change: trust the new one first, then issue from it. */
static void another_root_makes_all_certificates_anew(void **state)
{
    (void)state;
    struct scene scene;
    char second[sizeof scene.ca + 8];
    scene_init(&scene);
    open_store(&scene);
    want_cart(&scene);
    (void)snprintf(second, sizeof second, "%s-2", scene.ca);
    assert_int_equal(hbk_ca_store_init(second, HBK_SLICE("td.test"), NOW_NS, NULL), HBK_OK);
    copy_file(scene.ca, HBK_CA_ROOT_FILE, scene.ca, HBK_CA_BUNDLE_FILE);
    copy_file(second, HBK_CA_ROOT_KEY_FILE, scene.ca, HBK_CA_ROOT_KEY_FILE);
    unsigned before = scene.reports;
    pass(&scene, 2 * HBK_NS_PER_S); /* half of the pair: not used */
    assert_int_equal(scene.reports, before);
    copy_file(second, HBK_CA_ROOT_FILE, scene.ca, HBK_CA_ROOT_FILE);
    pass(&scene, 2 * HBK_NS_PER_S);
    assert_true(scene.reports > before);
    assert_int_equal(hbk_ca_counts(scene.source).issued, 2);
    scene_fini(&scene);
}

/* ---- a folder of files made elsewhere ---- */

static void a_folder_serves_what_lies_in_it(void **state)
{
    (void)state;
    struct scene scene;
    scene_init(&scene);
    write_identity(&scene, LIFE_NS);
    open_folder(&scene);
    want_cart(&scene);
    assert_int_equal(scene.reports, 1);
    pass(&scene, 3 * HBK_NS_PER_S);
    assert_int_equal(scene.reports, 1);

    write_identity(&scene, LIFE_NS); /* renewed by whoever makes it */
    pass(&scene, 2 * HBK_NS_PER_S);
    assert_true(scene.reports >= 2);
    assert_int_equal(svid_of(&scene)->not_after_ns, NOW_NS + 23 * (int64_t)HBK_NS_PER_S);
    scene_fini(&scene);
}

static void half_written_pairs_are_not_used(void **state)
{
    (void)state;
    struct scene scene;
    scene_init(&scene);
    write_identity(&scene, LIFE_NS);
    open_folder(&scene);
    want_cart(&scene);
    const struct hbk_svid *before = svid_of(&scene);

    /* Only the key is new; then the certificate is cut; then both are whole. */
    char other[sizeof scene.folder + 8];
    (void)snprintf(other, sizeof other, "%s-2", scene.folder);
    char folder[sizeof scene.folder];
    memcpy(folder, scene.folder, sizeof folder);
    memcpy(scene.folder, other, sizeof scene.folder);
    write_identity(&scene, 2 * LIFE_NS);
    memcpy(scene.folder, folder, sizeof folder);
    copy_file(other, "shop.cart-key.pem", scene.folder, "shop.cart-key.pem");
    pass(&scene, 2 * HBK_NS_PER_S);
    assert_ptr_equal(svid_of(&scene), before);
    write_file(scene.folder, "shop.cart.pem", HBK_SLICE("-----BEGIN CERTIFICATE-----\nMIIB"));
    pass(&scene, 2 * HBK_NS_PER_S);
    assert_ptr_equal(svid_of(&scene), before);
    assert_int_equal(scene.reports, 1);
    copy_file(other, "shop.cart.pem", scene.folder, "shop.cart.pem");
    pass(&scene, 4 * HBK_NS_PER_S);
    assert_int_equal(svid_of(&scene)->not_after_ns, NOW_NS + 2 * (int64_t)LIFE_NS);
    scene_fini(&scene);
}

static void the_certificate_that_ends_last_is_used(void **state)
{
    (void)state;
    struct scene scene;
    scene_init(&scene);
    write_identity(&scene, 3 * LIFE_NS);
    copy_file(scene.folder, "shop.cart.pem", scene.folder, "any name.pem");
    copy_file(scene.folder, "shop.cart-key.pem", scene.folder, "any name-key.pem");
    write_identity(&scene, LIFE_NS);
    open_folder(&scene);
    want_cart(&scene);
    assert_int_equal(svid_of(&scene)->not_after_ns, NOW_NS + 3 * (int64_t)LIFE_NS);
    scene_fini(&scene);
}

static void a_missing_identity_is_waited_for(void **state)
{
    (void)state;
    struct scene scene;
    scene_init(&scene);
    assert_int_equal(hbk_directory_make(scene.folder, 0700), HBK_OK);
    open_folder(&scene);
    want_cart(&scene);
    assert_int_equal(scene.reports, 0);
    assert_null(svid_of(&scene));
    pass(&scene, 5 * HBK_NS_PER_S);
    assert_true(hbk_ca_counts(scene.source).failed > 0);
    write_identity(&scene, LIFE_NS);
    pass(&scene, 2 * HBK_NS_PER_S);
    assert_int_equal(scene.reports, 1);
    remove_file(scene.folder, "shop.cart.pem");
    pass(&scene, 5 * HBK_NS_PER_S);
    assert_non_null(svid_of(&scene)); /* unexpired, it stays in use */
    scene_fini(&scene);
}

static void foreign_bundles_stand_beside_the_own_one(void **state)
{
    (void)state;
    struct scene scene;
    char second[sizeof scene.ca + 8];
    scene_init(&scene);
    write_identity(&scene, LIFE_NS);
    (void)snprintf(second, sizeof second, "%s-2", scene.ca);
    assert_int_equal(hbk_ca_store_init(second, HBK_SLICE("other.test"), NOW_NS, NULL), HBK_OK);
    copy_file(second, HBK_CA_ROOT_FILE, scene.folder, "other.test.bundle.pem");
    open_folder(&scene);
    want_cart(&scene);
    struct hbk_bundle_set *bundles =
        hbk_tls_credential_bundles(hbk_ca_find(scene.source, scene.cart));
    assert_int_equal(bundles->count, 2);
    assert_non_null(hbk_bundle_set_find(bundles, HBK_SLICE("other.test")));
    assert_non_null(hbk_bundle_set_find(bundles, HBK_SLICE("td.test")));
    remove_file(scene.folder, "other.test.bundle.pem");
    pass(&scene, 2 * HBK_NS_PER_S);
    bundles = hbk_tls_credential_bundles(hbk_ca_find(scene.source, scene.cart));
    assert_int_equal(bundles->count, 1);
    scene_fini(&scene);
}

static void a_folder_that_cannot_be_read_is_told(void **state)
{
    (void)state;
    struct scene scene;
    struct hbk_error error = {0};
    scene_init(&scene);
    const struct hbk_ca_settings settings = settings_of(&scene);
    assert_int_equal(hbk_ca_open_folder(scene.folder, &settings, &scene.source, &error),
                     HBK_NOT_FOUND);
    assert_non_null(strstr(error.text, scene.folder));
    write_identity(&scene, LIFE_NS);
    write_file(scene.folder, HBK_CA_BUNDLE_FILE, HBK_SLICE("junk"));
    error = (struct hbk_error){0};
    assert_int_equal(hbk_ca_open_folder(scene.folder, &settings, &scene.source, &error),
                     HBK_INVALID);
    assert_non_null(strstr(error.text, HBK_CA_BUNDLE_FILE));
    assert_null(scene.source);
    scene_fini(&scene);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_wanted_identity_has_its_credential_at_once),
        cmocka_unit_test(certificates_are_renewed_about_half_of_their_life),
        cmocka_unit_test(a_clock_set_by_a_day_gives_a_fresh_certificate),
        cmocka_unit_test(a_failing_source_is_asked_with_growing_pauses),
        cmocka_unit_test(other_bundles_reach_every_credential),
        cmocka_unit_test(another_engine_reaches_every_credential_and_those_to_come),
        cmocka_unit_test(an_engine_that_is_not_to_be_had_is_tried_again),
        cmocka_unit_test(another_root_makes_all_certificates_anew),
        cmocka_unit_test(a_folder_serves_what_lies_in_it),
        cmocka_unit_test(half_written_pairs_are_not_used),
        cmocka_unit_test(the_certificate_that_ends_last_is_used),
        cmocka_unit_test(a_missing_identity_is_waited_for),
        cmocka_unit_test(foreign_bundles_stand_beside_the_own_one),
        cmocka_unit_test(a_folder_that_cannot_be_read_is_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
