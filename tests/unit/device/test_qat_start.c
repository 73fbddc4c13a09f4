#include "device/qat_start.h"

#include <stdio.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "device/double.h"

static void poll_delay_is_required(void **state)
{
    (void)state;
    static const uint64_t delays_ns[] = {0, 999999};
    for (size_t i = 0; i < HBK_COUNT(delays_ns); i++) {
        struct hbk_qat_options bad = options;
        struct hbk_qat *qat = NULL;
        struct hbk_error error = {0};
        bad.poll_delay_ns = delays_ns[i];
        assert_int_equal(hbk_qat_open(&bad, &qat, &error), HBK_INVALID);
        assert_string_equal(error.text,
                            "poll_delay is required by the provider qat, and at least 1 ms");
    }
}

static void without_the_library_qat_is_not_there(void **state)
{
    (void)state;
    struct hbk_qat *qat = NULL;
    struct hbk_error error = {0};
    struct hbk_qat_options missing = options;
    missing.crypto_library = "libqat-that-nobody-has.so";
    assert_int_equal(hbk_qat_open(&missing, &qat, &error), HBK_NOT_FOUND);
    assert_non_null(strstr(error.text, "libqat-that-nobody-has.so cannot be loaded"));
    assert_non_null(strstr(error.text, "install Intel's qatlib"));

    error = (struct hbk_error){0};
    missing.crypto_library = "libcrypto.so.3"; /* a library, but not that one */
    assert_int_equal(hbk_qat_open(&missing, &qat, &error), HBK_UNSUPPORTED);
    assert_non_null(strstr(error.text, "has no function icp_sal_userStart"));
    assert_null(qat);
}

static void each_reason_for_not_starting_has_its_remedy(void **state)
{
    (void)state;
    enum { ENOUGH = HBK_QAT_LOCKED_BYTES_MIN };
    static const struct {
        struct hbk_qat_facts facts;
        hbk_status status;
        const char *cause, *remedy;
    } cases[] = {
        {{.files = 0, .start_status = -1, .lockable_bytes = ENOUGH},
         HBK_NOT_FOUND,
         "no device file in /dev/vfio",
         "give the container a QAT resource"},
        {{.files = 2, .denied_file = "17", .start_status = -1, .lockable_bytes = ENOUGH},
         HBK_DENIED,
         "no permission to read and write /dev/vfio/17",
         "AppArmor"},
        {{.files = 2, .usable_files = 1, .start_status = -1, .lockable_bytes = 64 << 10},
         HBK_LIMIT,
         "64 KiB of memory may be locked, and a virtual function needs at least 16384",
         "ulimit -l"},
        {{.files = 1, .usable_files = 1, .has_started = true, .instances = 2},
         HBK_UNSUPPORTED,
         "none of its 2 cryptography instances serves RSA",
         "qat.intel.com/cy"},
        {{.files = 1, .usable_files = 1, .has_started = true},
         HBK_UNSUPPORTED,
         "none of its 0 cryptography instances serves RSA",
         "compression (dc)"},
        {{.files = 1, .usable_files = 1, .start_status = -3, .lockable_bytes = ENOUGH},
         HBK_IO,
         "icp_sal_userStart failed (RESOURCE)",
         "see dmesg"},
        {{.files = 1, .usable_files = 1, .start_status = -1, .can_lock_all = true},
         HBK_IO,
         "icp_sal_userStart failed (FAIL)",
         "IOMMU"},
        {{.has_started = true, .instances = 2, .rsa_instances = 1}, HBK_OK, "", ""},
    };
    for (size_t i = 0; i < HBK_COUNT(cases); i++) {
        struct hbk_qat_facts facts = cases[i].facts;
        struct hbk_error error = {0};
        facts.folder = "/dev/vfio";
        assert_int_equal(hbk_qat_explain(&facts, &error), cases[i].status);
        assert_non_null(strstr(error.text, cases[i].cause));
        assert_non_null(strstr(error.text, cases[i].remedy));
    }
}

static void the_facts_are_read_from_the_system(void **state)
{
    (void)state;
    char folder[] = "/tmp/hauberk-vfio-XXXXXX";
    char path[128];
    struct hbk_qat_facts facts;
    struct rlimit limit;
    assert_non_null(mkdtemp(folder));
    hbk_qat_gather_facts(folder, &facts);
    assert_int_equal(facts.files, 0);

    static const char *const files[] = {"vfio", "12", "x1"};
    for (size_t i = 0; i < HBK_COUNT(files); i++) {
        (void)snprintf(path, sizeof(path), "%s/%s", folder, files[i]);
        FILE *file = fopen(path, "w");
        assert_non_null(file);
        fclose(file);
    }
    hbk_qat_gather_facts(folder, &facts);
    assert_int_equal(facts.files, 1); /* vfio is there without any device, x1 is something else */
    assert_int_equal(facts.usable_files, 1);
    assert_int_equal(getrlimit(RLIMIT_MEMLOCK, &limit), 0);
    assert_true(facts.lockable_bytes ==
                (limit.rlim_cur == RLIM_INFINITY ? UINT64_MAX : limit.rlim_cur));

    (void)snprintf(path, sizeof(path), "%s/12", folder);
    assert_int_equal(chmod(path, 0), 0);
    hbk_qat_gather_facts(folder, &facts);
    if (geteuid() != 0) { /* root may open it even so */
        assert_int_equal(facts.usable_files, 0);
        assert_string_equal(facts.denied_file, "12");
    }
    for (size_t i = 0; i < HBK_COUNT(files); i++) {
        (void)snprintf(path, sizeof(path), "%s/%s", folder, files[i]);
        unlink(path);
    }
    rmdir(folder);
    hbk_qat_gather_facts("/no/such/folder", &facts);
    assert_int_equal(facts.files, 0);
}

static void a_start_that_fails_leaves_nothing_behind(void **state)
{
    (void)state;
    const struct {
        struct qat_double_settings settings;
        hbk_status status;
    } cases[] = {
        {{.start_status = -1, .instances = 2, .rsa_instances = 3}, HBK_NOT_FOUND},
        {{.instances = 0}, HBK_UNSUPPORTED},
        {{.instances = 2, .rsa_instances = 0}, HBK_UNSUPPORTED},
    };
    for (size_t i = 0; i < HBK_COUNT(cases); i++) {
        struct hbk_qat_options elsewhere = options;
        struct hbk_qat *qat = NULL;
        struct hbk_error error = {0};
        elsewhere.folder = "/no/such/folder";
        double_set(NULL);
        double_set(&cases[i].settings);
        assert_int_equal(hbk_qat_open(&elsewhere, &qat, &error), cases[i].status);
        assert_true(error.text[0] != '\0');
        assert_null(qat);
        assert_int_equal(double_counts().pinned_blocks, 0);
        assert_int_equal(double_counts().started, double_counts().stopped);
        assert_int_equal(double_counts().bad_calls, 0);
    }
}

static int open_it(void **state)
{
    (void)state;
    open_double();
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(poll_delay_is_required),
        cmocka_unit_test(without_the_library_qat_is_not_there),
        cmocka_unit_test(each_reason_for_not_starting_has_its_remedy),
        cmocka_unit_test(the_facts_are_read_from_the_system),
        cmocka_unit_test(a_start_that_fails_leaves_nothing_behind),
    };
    return cmocka_run_group_tests(tests, open_it, NULL);
}
