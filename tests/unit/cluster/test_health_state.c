#include "cluster/health_state.h"

#include "harness.h"

#define S UINT64_C(1000000000)

static const struct hbk_gw_health_check config = {
    .timeout = S,
    .interval = 2 * S,
    .no_traffic_interval = 60 * S,
    .no_traffic_healthy_interval = 50 * S,
    .unhealthy_interval = 3 * S,
    .unhealthy_edge_interval = 4 * S,
    .healthy_edge_interval = 5 * S,
    .unhealthy_threshold = 2,
    .healthy_threshold = 3,
};

/* 'p' passed, 'r' refused, 'y' retriable, 'n' network, 't' time-out. */
static enum hbk_gw_check_result result_of(char letter)
{
    static const char letters[] = "prynt";
    const char *found = strchr(letters, letter);
    assert_non_null(found);
    return (enum hbk_gw_check_result)(found - letters);
}

/* Behind each result: '+' the host is healthy, '-' it is not, upper case where that changed. */
static void test_results_change_a_host_as_the_thresholds_say(void **state)
{
    static const struct {
        const char *results, *healthy, *changed;
    } cases[] = {
        {"p", "+", "*"},       /* the first one is believed at once */
        {"n", "-", "."},       /* it was unhealthy before */
        {"npp", "---", "..."}, /* and then the threshold counts */
        {"nppp", "---+", "...*"},
        {"nppnppp", "------+", "......*"},
        {"pn", "++", "*."},
        {"pnn", "++-", "*.*"},
        {"ptt", "++-", "*.*"},
        {"pnpn", "++++", "*..."},
        {"pr", "+-", "**"}, /* an answer that says no is believed at once */
        {"py", "++", "*."}, /* unless it is one of those that are counted */
        {"pyy", "++-", "*.*"},
        {"pynr", "++--", "*.*."},
        {"pnyppp", "++---+", "*.*..*"},
    };
    (void)state;
    for (size_t i = 0; i < HBK_COUNT(cases); i++) {
        struct hbk_gw_health_state health;
        hbk_gw_health_state_init(&health);
        assert_true(health.is_failed);
        for (size_t k = 0; cases[i].results[k] != '\0'; k++) {
            bool changed =
                hbk_gw_health_state_take(&health, &config, result_of(cases[i].results[k]));
            assert_int_equal(changed, cases[i].changed[k] == '*');
            assert_int_equal(health.is_failed, cases[i].healthy[k] == '-');
        }
    }
}

static void test_a_failed_host_says_whether_its_last_failure_was_silence(void **state)
{
    struct hbk_gw_health_state health;
    (void)state;
    hbk_gw_health_state_init(&health);
    (void)hbk_gw_health_state_take(&health, &config, HBK_GW_CHECK_TIMEOUT);
    assert_true(health.has_timed_out);
    (void)hbk_gw_health_state_take(&health, &config, HBK_GW_CHECK_NETWORK);
    assert_false(health.has_timed_out);
    (void)hbk_gw_health_state_take(&health, &config, HBK_GW_CHECK_TIMEOUT);
    for (int i = 0; i < 3; i++) {
        (void)hbk_gw_health_state_take(&health, &config, HBK_GW_CHECK_PASSED);
    }
    assert_false(health.is_failed);
    assert_false(health.has_timed_out);
    (void)hbk_gw_health_state_take(&health, &config, HBK_GW_CHECK_TIMEOUT);
    assert_false(health.has_timed_out); /* still healthy */
}

static void test_intervals_are_those_of_the_last_result_and_of_an_edge(void **state)
{
    static const struct {
        const char *results;
        bool has_traffic;
        uint64_t seconds;
    } cases[] = {
        {"p", true, 2},   {"pn", true, 4},    {"pnn", true, 3}, {"pnnn", true, 3},
        {"np", true, 5},  {"nppp", true, 2},  {"n", true, 3},   {"pr", true, 3},
        {"p", false, 50}, {"pnn", false, 60}, {"n", false, 60}, {"np", false, 50},
    };
    (void)state;
    for (size_t i = 0; i < HBK_COUNT(cases); i++) {
        struct hbk_gw_health_state health;
        hbk_gw_health_state_init(&health);
        for (const char *letter = cases[i].results; *letter != '\0'; letter++) {
            (void)hbk_gw_health_state_take(&health, &config, result_of(*letter));
        }
        assert_int_equal(hbk_gw_health_interval_ns(&health, &config, cases[i].has_traffic),
                         cases[i].seconds * S);
    }
}

static void test_jitter_adds_less_than_it_allows_and_never_overflows(void **state)
{
    static const struct hbk_gw_health_check jittery = {.interval_jitter = S,
                                                       .interval_jitter_percent = 50};
    static const struct hbk_gw_health_check wild = {.interval_jitter = UINT64_MAX,
                                                    .interval_jitter_percent = UINT32_MAX};
    (void)state;
    assert_int_equal(hbk_gw_health_jitter_ns(&config, 2 * S, UINT64_MAX), 2 * S);
    for (uint64_t random = 1; random != 0; random <<= 1) {
        uint64_t with = hbk_gw_health_jitter_ns(&jittery, 2 * S, random | 12345);
        assert_true(with >= 2 * S && with < 4 * S);
        assert_true(hbk_gw_health_jitter_ns(&wild, 2 * S, random) >= 2 * S);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_results_change_a_host_as_the_thresholds_say),
        cmocka_unit_test(test_a_failed_host_says_whether_its_last_failure_was_silence),
        cmocka_unit_test(test_intervals_are_those_of_the_last_result_and_of_an_edge),
        cmocka_unit_test(test_jitter_adds_less_than_it_allows_and_never_overflows),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
