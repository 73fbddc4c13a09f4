#include "load/format.h"

#include "base/clock.h"
#include "harness.h"

static void durations_are_written_as_go_writes_them(void **state)
{
    (void)state;
    static const struct {
        uint64_t ns;
        const char *text;
    } cases[] = {
        {0, "0s"},
        {1, "1ns"},
        {999, "999ns"},
        {1000, "1\u00b5s"},
        {1500, "1.5\u00b5s"},
        {1001000, "1.001ms"},
        {200 * HBK_NS_PER_MS, "200ms"},
        {5 * HBK_NS_PER_S, "5s"},
        {2500 * HBK_NS_PER_MS, "2.5s"},
        {60 * HBK_NS_PER_S, "1m0s"},
        {300 * HBK_NS_PER_S, "5m0s"},
        {3723500 * HBK_NS_PER_MS, "1h2m3.5s"},
        {3600 * HBK_NS_PER_S, "1h0m0s"},
        {3600 * HBK_NS_PER_S + 1, "1h0m0.000000001s"},
        {UINT64_MAX, "5124095h34m33.709551615s"},
    };
    for (size_t i = 0; i < HBK_COUNT(cases); i++) {
        char text[HBK_LOAD_DURATION_BYTES_MAX];
        assert_string_equal(hbk_load_duration_text(cases[i].ns, text), cases[i].text);
    }
}

static void latencies_have_three_digits_and_a_unit(void **state)
{
    (void)state;
    static const struct {
        double ns;
        const char *text;
    } cases[] = {
        {0, "0.00 us"},       {81300, "81.3 us"},   {999400, "999 us"},   {999600, "1.00 ms"},
        {1267000, "1.27 ms"}, {9996000, "10.0 ms"}, {99960000, "100 ms"}, {2.014e9, "2.01 s"},
        {999.6e6, "1.00 s"},  {1234.6e9, "1235 s"},
    };
    for (size_t i = 0; i < HBK_COUNT(cases); i++) {
        char text[HBK_LOAD_DURATION_BYTES_MAX];
        assert_string_equal(hbk_load_latency_text(cases[i].ns, text), cases[i].text);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(durations_are_written_as_go_writes_them),
        cmocka_unit_test(latencies_have_three_digits_and_a_unit),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
