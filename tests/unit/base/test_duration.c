#include "base/duration.h"

#include "base/clock.h"
#include "harness.h"

static void durations_are_read_as_people_write_them(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        uint64_t ns;
    } cases[] = {
        {"0", 0},
        {"0s", 0},
        {"20s", 20 * HBK_NS_PER_S},
        {"24h", 86400 * HBK_NS_PER_S},
        {"1h30m", 5400 * HBK_NS_PER_S},
        {"250ms", 250 * HBK_NS_PER_MS},
        {"1m1ms", 60 * HBK_NS_PER_S + HBK_NS_PER_MS},
        {"2d3ns", 2 * 86400 * HBK_NS_PER_S + 3},
        {"9223372036854775807ns", INT64_MAX},
    };
    for (size_t i = 0; i < HBK_COUNT(cases); i++) {
        uint64_t ns = 1;
        assert_true(hbk_duration_parse(hbk_slice_text(cases[i].text), &ns));
        assert_int_equal(ns, cases[i].ns);
    }
}

static void other_texts_are_not_durations(void **state)
{
    (void)state;
    static const char *const cases[] = {
        "",
        "1",
        "s",
        "-1s",
        "1 s",
        "1.5h",
        "1S",
        "1s1s",
        "1m1h",
        "1fort",
        "1h30m ",
        "1h30",
        "300000d",
        "9223372036854775808ns",
        "9223372036854775807ns1ns",
        "106751d24h",
        "99999999999999999999s",
    };
    for (size_t i = 0; i < HBK_COUNT(cases); i++) {
        uint64_t ns = 77;
        assert_false(hbk_duration_parse(hbk_slice_text(cases[i]), &ns));
        assert_int_equal(ns, 77);
    }
}

static void a_written_duration_reads_back_as_itself(void **state)
{
    (void)state;
    static const uint64_t cases[] = {0, 1, 999, 90 * 60 * HBK_NS_PER_S, INT64_MAX};
    for (size_t i = 0; i < HBK_COUNT(cases); i++) {
        char text[HBK_DURATION_TEXT_BYTES_MAX];
        uint64_t ns = 1;
        assert_true(hbk_duration_parse(hbk_slice_text(hbk_duration_text(cases[i], text)), &ns));
        assert_int_equal(ns, cases[i]);
    }
    char text[HBK_DURATION_TEXT_BYTES_MAX];
    assert_string_equal(hbk_duration_text(90 * 60 * HBK_NS_PER_S, text), "1h30m");
}

static void a_bucket_takes_durations_up_to_its_bound(void **state)
{
    (void)state;
    assert_int_equal(hbk_duration_bucket(0), 0);
    for (unsigned i = 0; i < HBK_DURATION_BOUNDS; i++) {
        assert_true(i == 0 || hbk_duration_bounds_ns[i - 1] < hbk_duration_bounds_ns[i]);
        assert_int_equal(hbk_duration_bucket(hbk_duration_bounds_ns[i]), i);
        assert_int_equal(hbk_duration_bucket(hbk_duration_bounds_ns[i] + 1), i + 1);
    }
    assert_int_equal(hbk_duration_bucket(UINT64_MAX), HBK_DURATION_BOUNDS);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(durations_are_read_as_people_write_them),
        cmocka_unit_test(other_texts_are_not_durations),
        cmocka_unit_test(a_written_duration_reads_back_as_itself),
        cmocka_unit_test(a_bucket_takes_durations_up_to_its_bound),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
