#include "http/path.h"

#include "harness.h"

static void check(const struct hbk_gw_http_connection_manager *http, const char *path,
                  enum hbk_gw_path_verdict verdict, const char *expected)
{
    struct hbk_arena arena;
    hbk_arena_init(&arena);
    struct hbk_slice settled = hbk_slice_text(path);
    enum hbk_gw_path_verdict found = HBK_GW_PATH_GOES_ON;
    assert_int_equal(hbk_gw_path_settle(http, &arena, &settled, &found), HBK_OK);
    assert_int_equal(found, verdict);
    if (verdict != HBK_GW_PATH_IS_REFUSED) {
        assert_slice_equal(settled, hbk_slice_text(expected));
    }
    hbk_arena_fini(&arena);
}

static void test_paths_that_mean_the_same_look_the_same(void **state)
{
    static const struct {
        const char *path, *expected;
    } cases[] = {
        {"/", "/"},
        {"/a/b/../c", "/a/c"},
        {"/a/./b", "/a/b"},
        {"/a/b/..", "/a/"},
        {"/a/b/.", "/a/b/"},
        {"/..", "/"},
        {"/../../a", "/a"},
        {"/a//../b", "/a/b"},
        {"/a//b", "/a//b"},
        {"/x/%2e%2E/y", "/y"},
        {"/x/.%2e/y", "/y"},
        {"/x\\..\\y", "/y"},
        {"/x/..%2fy", "/x/..%2fy"},
        {"/a%2eb", "/a.b"},
        {"/%73ecret", "/secret"},
        {"/%7e%5F", "/~_"},
        {"/a%2Fb%25", "/a%2Fb%25"},
        {"/a%zz%4", "/a%zz%4"},
        {"/a|b\"<>^`{}", "/a%7Cb%22%3C%3E%5E%60%7B%7D"},
        {"/\xc3\xa4\x7f", "/%C3%A4%7F"},
        {"/.../...a/..b/.c", "/.../...a/..b/.c"},
        {"/a/..?b/../c", "/?b/../c"},
        {"/?%2e%2e/\\", "/?%2e%2e/\\"},
    };
    const struct hbk_gw_http_connection_manager http = {.normalize_path = true};
    (void)state;
    for (size_t i = 0; i < HBK_COUNT(cases); i++) {
        check(&http, cases[i].path, HBK_GW_PATH_GOES_ON, cases[i].expected);
    }
    check(&http, "/a%00b", HBK_GW_PATH_IS_REFUSED, NULL);
    check(&http, "/a?b#c", HBK_GW_PATH_IS_REFUSED, NULL);
    check(&http, "/a?%00", HBK_GW_PATH_GOES_ON, "/a?%00");
}

static void test_runs_of_slashes_become_one(void **state)
{
    const struct hbk_gw_http_connection_manager http = {.merge_slashes = true};
    (void)state;
    check(&http, "/a//b///c//", HBK_GW_PATH_GOES_ON, "/a/b/c/");
    check(&http, "/a/../b//c?d//e", HBK_GW_PATH_GOES_ON, "/a/../b/c?d//e");
    check(&http, "///", HBK_GW_PATH_GOES_ON, "//"); /* Envoy's */
    check(&http, "/", HBK_GW_PATH_GOES_ON, "/");
}

static void test_an_escaped_slash_is_what_the_configuration_says(void **state)
{
    static const struct {
        int action;
        bool normalizes;
        const char *path;
        enum hbk_gw_path_verdict verdict;
        const char *expected;
    } cases[] = {
        {HBK_GW_SLASHES_DEFAULT, false, "/a%2f..%5cb", HBK_GW_PATH_GOES_ON, "/a%2f..%5cb"},
        {HBK_GW_SLASHES_KEEP, false, "/a%2f..%5cb", HBK_GW_PATH_GOES_ON, "/a%2f..%5cb"},
        {HBK_GW_SLASHES_REJECT, false, "/a%2Fb", HBK_GW_PATH_IS_REFUSED, NULL},
        {HBK_GW_SLASHES_REJECT, false, "/a%5cb", HBK_GW_PATH_IS_REFUSED, NULL},
        {HBK_GW_SLASHES_REJECT, false, "/a%20b?%2f", HBK_GW_PATH_GOES_ON, "/a%20b?%2f"},
        {HBK_GW_SLASHES_REDIRECT, false, "/a%2F..%5Cb?%2f", HBK_GW_PATH_IS_REDIRECTED,
         "/a/..\\b?%2f"},
        {HBK_GW_SLASHES_REDIRECT, true, "/a%2F..%5Cb?%2f", HBK_GW_PATH_IS_REDIRECTED, "/b?%2f"},
        {HBK_GW_SLASHES_REDIRECT, true, "/a/../b", HBK_GW_PATH_GOES_ON, "/b"},
        {HBK_GW_SLASHES_REDIRECT, true, "/%2f%00", HBK_GW_PATH_IS_REFUSED, NULL},
        {HBK_GW_SLASHES_UNESCAPE, false, "/a%2Fb", HBK_GW_PATH_GOES_ON, "/a/b"},
        {HBK_GW_SLASHES_UNESCAPE, true, "/x%2f..%2fsecret", HBK_GW_PATH_GOES_ON, "/secret"},
        {HBK_GW_SLASHES_UNESCAPE, true, "/a%252fb", HBK_GW_PATH_GOES_ON, "/a%252fb"},
    };
    (void)state;
    for (size_t i = 0; i < HBK_COUNT(cases); i++) {
        const struct hbk_gw_http_connection_manager http = {.path_with_escaped_slashes_action =
                                                                cases[i].action,
                                                            .normalize_path = cases[i].normalizes};
        check(&http, cases[i].path, cases[i].verdict, cases[i].expected);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_paths_that_mean_the_same_look_the_same),
        cmocka_unit_test(test_runs_of_slashes_become_one),
        cmocka_unit_test(test_an_escaped_slash_is_what_the_configuration_says),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
