#include "gateway/pattern.h"

#include "harness.h"

static void test_the_pattern_is_found_where_it_stands(void **state)
{
    static const struct {
        const char *pattern, *text;
        bool is_part, is_whole;
    } cases[] = {
        {"", "", true, true},
        {"", "a", true, false},
        {"a", "bab", true, false},
        {"bab", "bab", true, true},
        {"a.c", "abc", true, true},
        {"a\\.c", "abc", false, false},
        {"a\\.c", "a.c", true, true},
        {"\\\\\\|", "\\|", true, true},
        {"ab*", "a", true, true},
        {"ab*c", "abbbc", true, true},
        {"ab+c", "ac", false, false},
        {"ab+c", "abbc", true, true},
        {"ab?c", "ac", true, true},
        {"ab?c", "abbc", false, false},
        {"b?c", "abbc", true, false},
        {"^b", "ab", false, false},
        {"^a", "ab", true, false},
        {"b$", "ab", true, false},
        {"a$", "ab", false, false},
        {"^$", "a", false, false},
        {"^$", "", true, true},
        {".*", "", true, true},
        {"x*y*z*", "", true, true},
        {"^server\\..*e$", "server.live", true, true},
        {"rsa|ssl", "listener.ssl.x", true, false},
        {"rsa|ssl", "ssl", true, true},
        {"|x", "y", true, false},
        {"^x|y$", "xa", true, false},
        {"^x|y$", "ay", true, false},
        {"^x|y$", "axya", false, false},
    };
    (void)state;
    for (size_t i = 0; i < HBK_COUNT(cases); i++) {
        struct hbk_slice pattern = hbk_slice_text(cases[i].pattern);
        struct hbk_slice text = hbk_slice_text(cases[i].text);
        assert_int_equal(hbk_gw_pattern_check(pattern, NULL), HBK_OK);
        assert_int_equal(hbk_gw_pattern_matches(pattern, false, text), cases[i].is_part);
        assert_int_equal(hbk_gw_pattern_matches(pattern, true, text), cases[i].is_whole);
    }
}

static void test_what_is_not_supported_is_refused_with_the_reason(void **state)
{
    static const struct {
        const char *pattern, *text;
    } cases[] = {
        {"(a)", "\"(a)\": groups, classes, counts and inner anchors are not supported yet"},
        {"a{2}", "\"a{2}\": groups, classes, counts and inner anchors are not supported yet"},
        {"b|[a]", "\"[a]\": groups, classes, counts and inner anchors are not supported yet"},
        {"a^", "\"a^\": groups, classes, counts and inner anchors are not supported yet"},
        {"a$b", "\"a$b\": groups, classes, counts and inner anchors are not supported yet"},
        {"*a", "\"*a\": there is nothing to repeat"},
        {"a**", "\"a**\": there is nothing to repeat"},
        {"a|+", "\"+\": there is nothing to repeat"},
        {"a\\", "\"a\\\": a backslash stands before none of ^ $ . * + ? ( ) [ ] { } | \\"},
        {"\\d", "\"\\d\": a backslash stands before none of ^ $ . * + ? ( ) [ ] { } | \\"},
    };
    (void)state;
    for (size_t i = 0; i < HBK_COUNT(cases); i++) {
        struct hbk_error error = {.status = HBK_OK};
        assert_int_equal(hbk_gw_pattern_check(hbk_slice_text(cases[i].pattern), &error),
                         HBK_INVALID);
        assert_string_equal(error.text, cases[i].text);
    }
}

static void test_a_pattern_is_as_long_as_its_limit_and_no_longer(void **state)
{
    uint8_t bytes[HBK_GW_PATTERN_BYTES_MAX + 1];
    (void)state;
    memset(bytes, 'a', sizeof bytes);
    struct hbk_slice longest = hbk_slice_of(bytes, HBK_GW_PATTERN_BYTES_MAX);
    assert_int_equal(hbk_gw_pattern_check(longest, NULL), HBK_OK);
    assert_true(hbk_gw_pattern_matches(longest, true, longest));
    assert_int_equal(hbk_gw_pattern_check(hbk_slice_of(bytes, sizeof bytes), NULL), HBK_LIMIT);
}

/* What makes others go back and try again for years. */
static void test_repeats_behind_repeats_cost_no_more_than_their_sizes(void **state)
{
    uint8_t pattern[HBK_GW_PATTERN_BYTES_MAX], text[4096];
    (void)state;
    for (size_t i = 0; i < sizeof pattern; i++) {
        pattern[i] = i % 2 == 0 ? 'a' : '*';
    }
    pattern[sizeof pattern - 1] = 'b';
    memset(text, 'a', sizeof text);
    assert_false(hbk_gw_pattern_matches(hbk_slice_of(pattern, sizeof pattern), false,
                                        hbk_slice_of(text, sizeof text)));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_pattern_is_found_where_it_stands),
        cmocka_unit_test(test_what_is_not_supported_is_refused_with_the_reason),
        cmocka_unit_test(test_a_pattern_is_as_long_as_its_limit_and_no_longer),
        cmocka_unit_test(test_repeats_behind_repeats_cost_no_more_than_their_sizes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
