#include "device/provider_set.h"

#include "device/double.h"

static const uint64_t delay_ns = 5 * 1000 * 1000;

static struct hbk_provider_set *new_set(const struct qat_double_settings *settings)
{
    struct hbk_provider_set *set = NULL;
    double_set(NULL);
    double_set(settings);
    assert_int_equal(hbk_provider_set_new(&options, &set), HBK_OK);
    return set;
}

static void each_name_has_its_provider(void **state)
{
    (void)state;
    static const char *const names[] = {"batcher", "software", "cryptomb", "qat"};
    struct hbk_provider_set *set = new_set(&good);
    for (size_t i = 0; i < HBK_COUNT(names); i++) {
        struct hbk_key_provider *provider = NULL;
        assert_int_equal(hbk_provider_set_get(set, names[i], delay_ns, &provider, NULL), HBK_OK);
        assert_string_equal(hbk_key_provider_kind_text(hbk_key_provider_options(provider)->kind),
                            names[i]);
        hbk_key_provider_unref(provider);
    }
    hbk_provider_set_free(set);
}

static void what_is_wrong_is_told(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        uint64_t delay_ns;
        hbk_status status;
        const char *text;
    } cases[] = {
        {"kae", 5000000, HBK_UNSUPPORTED, "there is no provider \"kae\""},
        {"", 5000000, HBK_UNSUPPORTED, "there is no provider \"\""},
        {"cryptomb", 0, HBK_INVALID, "poll_delay is required by the provider cryptomb"},
        {"cryptomb", 900000, HBK_INVALID, "poll_delay is 900 us"},
        {"qat", 0, HBK_INVALID, "poll_delay is required by the provider qat"},
        {"qat", 10001000000, HBK_INVALID,
         "poll_delay is 10001 ms; the provider qat allows at most"},
    };
    struct hbk_provider_set *set = new_set(&good);
    for (size_t i = 0; i < HBK_COUNT(cases); i++) {
        struct hbk_key_provider *provider = NULL;
        struct hbk_error error = {0};
        assert_int_equal(
            hbk_provider_set_get(set, cases[i].name, cases[i].delay_ns, &provider, &error),
            cases[i].status);
        assert_non_null(strstr(error.text, cases[i].text));
        assert_null(provider);
    }
    assert_null(hbk_provider_set_qat(set));
    hbk_provider_set_free(set);
}

static void qat_starts_once_when_it_is_first_asked_for(void **state)
{
    (void)state;
    struct hbk_provider_set *set = new_set(&good);
    struct hbk_key_provider *first = NULL, *second = NULL;
    assert_null(hbk_provider_set_qat(set));
    assert_int_equal(hbk_provider_set_get(set, "qat", delay_ns, &first, NULL), HBK_OK);
    assert_int_equal(hbk_provider_set_get(set, "qat", delay_ns / 2, &second, NULL), HBK_OK);
    assert_int_equal(double_counts().started, 1);
    assert_ptr_equal(hbk_key_provider_options(first)->device,
                     hbk_key_provider_options(second)->device);
    assert_int_equal(hbk_qat_state(hbk_provider_set_qat(set)).poll_delay_ns, delay_ns / 2);
    hbk_key_provider_unref(first);
    hbk_key_provider_unref(second);
    hbk_provider_set_free(set);
    assert_int_equal(double_counts().stopped, 1);
}

static void a_device_that_does_not_start_is_not_available_and_not_tried_again(void **state)
{
    (void)state;
    const struct qat_double_settings bad = {.instances = 2}; /* compression alone */
    struct hbk_provider_set *set = new_set(&bad);
    for (int i = 0; i < 2; i++) {
        struct hbk_key_provider *provider = NULL;
        struct hbk_error error = {0};
        assert_int_equal(hbk_provider_set_get(set, "qat", delay_ns, &provider, &error),
                         HBK_UNSUPPORTED);
        assert_non_null(strstr(error.text, "serves RSA"));
        assert_int_equal(double_counts().started, 1);
    }
    hbk_provider_set_free(set);
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
        cmocka_unit_test(each_name_has_its_provider),
        cmocka_unit_test(what_is_wrong_is_told),
        cmocka_unit_test(qat_starts_once_when_it_is_first_asked_for),
        cmocka_unit_test(a_device_that_does_not_start_is_not_available_and_not_tried_again),
    };
    return cmocka_run_group_tests(tests, open_it, NULL);
}
