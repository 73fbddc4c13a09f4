#include "cluster/health_match.h"

#include <stdlib.h>

#include "harness.h"

static const struct hbk_gw_health_payload greeting[] = {
    {.bytes = {(const uint8_t *)"abab", 4}},
    {.bytes = {(const uint8_t *)"ac", 2}},
};
static const struct hbk_gw_tcp_health_check two = {.receive = greeting, .receive_count = 2};

static bool reads(const struct hbk_gw_tcp_health_check *config, struct hbk_slice bytes, size_t step)
{
    struct hbk_gw_health_match match;
    bool is_done = false;
    hbk_gw_health_match_init(&match, config);
    for (size_t at = 0; at < bytes.size && !is_done; at += step) {
        assert_int_equal(
            hbk_gw_health_match_read(&match, hbk_slice_part(bytes, at, step), &is_done), HBK_OK);
    }
    hbk_gw_health_match_fini(&match);
    return is_done;
}

static void test_patterns_are_found_in_order_in_whatever_pieces_they_come(void **state)
{
    static const struct {
        const char *text;
        bool is_found;
    } cases[] = {
        {"ababac", true},   {"aababac", true},   {"abaabab.ac", true}, {"abab", false},
        {"acabab", false},  {"acababac", true},  {"aba bac", false},   {"", false},
        {"ababaac.", true}, {"abbabcac", false}, {"abababac", true},
    };
    (void)state;
    for (size_t i = 0; i < HBK_COUNT(cases); i++) {
        for (size_t step = 1; step < 10; step++) {
            assert_int_equal(reads(&two, hbk_slice_text(cases[i].text), step), cases[i].is_found);
        }
    }
}

static void test_endless_bytes_take_no_more_memory_than_two_patterns(void **state)
{
    static uint8_t pattern[HBK_GW_HEALTH_PATTERN_BYTES_MAX];
    static uint8_t bytes[3 * HBK_GW_HEALTH_PATTERN_BYTES_MAX];
    const struct hbk_gw_health_payload payload = {.bytes = {pattern, sizeof pattern}};
    const struct hbk_gw_tcp_health_check config = {.receive = &payload, .receive_count = 1};
    struct hbk_gw_health_match match;
    bool is_done = false;
    (void)state;
    pattern[sizeof pattern - 1] = 1; /* so that nearly all bytes are nearly the pattern */
    hbk_gw_health_match_init(&match, &config);
    for (int i = 0; i < 100; i++) {
        assert_int_equal(hbk_gw_health_match_read(
                             &match, hbk_slice_of(bytes, sizeof bytes - (size_t)i), &is_done),
                         HBK_OK);
        assert_false(is_done);
        assert_true(hbk_buffer_size(&match.tail) < sizeof pattern);
    }
    bytes[sizeof bytes - 1] = 1;
    assert_int_equal(hbk_gw_health_match_read(&match, hbk_slice_of(bytes, sizeof bytes), &is_done),
                     HBK_OK);
    assert_true(is_done);
    hbk_gw_health_match_fini(&match);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_patterns_are_found_in_order_in_whatever_pieces_they_come),
        cmocka_unit_test(test_endless_bytes_take_no_more_memory_than_two_patterns),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
