#include "load/target.h"

#include "harness.h"

static void a_url_is_taken_apart(void **state)
{
    (void)state;
    static const struct {
        const char *url;
        enum hbk_load_scheme scheme;
        const char *host;
        unsigned port;
        const char *authority;
        const char *path;
    } cases[] = {
        {"http://cart/", HBK_LOAD_HTTP, "cart", 80, "cart", "/"},
        {"http://cart", HBK_LOAD_HTTP, "cart", 80, "cart", "/"},
        {"cart:8080/a/b?c=d", HBK_LOAD_HTTP, "cart", 8080, "cart:8080", "/a/b?c=d"},
        {"HTTP://10.0.0.1:80/#top", HBK_LOAD_HTTP, "10.0.0.1", 80, "10.0.0.1:80", "/"},
        {"http://[fd00::1]:8080/x", HBK_LOAD_HTTP, "fd00::1", 8080, "[fd00::1]:8080", "/x"},
        {"http://[::1]", HBK_LOAD_HTTP, "::1", 80, "[::1]", "/"},
        {"http://a/b?u=http://c:1/", HBK_LOAD_HTTP, "a", 80, "a", "/b?u=http://c:1/"},
        {"tcp://10.0.0.1:9000", HBK_LOAD_TCP, "10.0.0.1", 9000, "10.0.0.1:9000", "/"},
        {"tcp://[::1]:1", HBK_LOAD_TCP, "::1", 1, "[::1]:1", "/"},
        {"https://a/b", HBK_LOAD_HTTP, "a", 443, "a", "/b"},
        {"tls://a:7", HBK_LOAD_TCP, "a", 7, "a:7", "/"},
    };
    for (size_t i = 0; i < HBK_COUNT(cases); i++) {
        struct hbk_load_target target;
        assert_int_equal(hbk_load_target_parse(hbk_slice_text(cases[i].url), &target, NULL),
                         HBK_OK);
        assert_int_equal(target.scheme, cases[i].scheme);
        assert_slice_equal(target.host, hbk_slice_text(cases[i].host));
        assert_int_equal(target.port, cases[i].port);
        assert_slice_equal(target.authority, hbk_slice_text(cases[i].authority));
        assert_slice_equal(target.path, hbk_slice_text(cases[i].path));
    }
}

static void what_is_not_a_url_of_ours_is_refused_with_a_reason(void **state)
{
    (void)state;
    static const struct {
        const char *url;
        hbk_status status;
    } cases[] = {
        {"", HBK_INVALID},
        {"http://", HBK_INVALID},
        {"http:///path", HBK_INVALID},
        {"http://:80/", HBK_INVALID},
        {"http://a:/", HBK_INVALID},
        {"http://a:0/", HBK_INVALID},
        {"http://a:65536/", HBK_INVALID},
        {"http://a:80x/", HBK_INVALID},
        {"http://a:1:2/", HBK_INVALID},
        {"http://[::1/", HBK_INVALID},
        {"http://[]:80/", HBK_INVALID},
        {"http://[::1]80/", HBK_INVALID},
        {"http://a/b c", HBK_INVALID},
        {"http://a/\r\nx: y", HBK_INVALID},
        {"http://a/\x7f", HBK_INVALID},
        {"http://a/\xc3\xa4", HBK_INVALID},
        {"http://a?b", HBK_INVALID},
        {"tcp://a", HBK_INVALID},
        {"tcp://a:1/path", HBK_INVALID},
        {"http://user@a/", HBK_UNSUPPORTED},
        {"ftp://a/", HBK_UNSUPPORTED},
        {"tls://a", HBK_INVALID},
    };
    for (size_t i = 0; i < HBK_COUNT(cases); i++) {
        struct hbk_load_target target;
        struct hbk_error error = {0};
        assert_int_equal(hbk_load_target_parse(hbk_slice_text(cases[i].url), &target, &error),
                         cases[i].status);
        assert_int_equal(error.status, cases[i].status);
        assert_true(error.text[0] != '\0');
    }
}

static void the_limits_of_a_url_are_kept(void **state)
{
    (void)state;
    char url[HBK_LOAD_URL_BYTES_MAX + 1];
    struct hbk_load_target target;
    memset(url, 'a', sizeof url);
    memcpy(url, "http://h/", 9);
    assert_int_equal(hbk_load_target_parse(hbk_slice_of(url, sizeof url - 1), &target, NULL),
                     HBK_OK);
    assert_int_equal(hbk_load_target_parse(hbk_slice_of(url, sizeof url), &target, NULL),
                     HBK_LIMIT);
    memcpy(url, "http://aa", 9);
    assert_int_equal(
        hbk_load_target_parse(hbk_slice_of(url, 7 + HBK_LOAD_HOST_BYTES_MAX), &target, NULL),
        HBK_OK);
    assert_int_equal(
        hbk_load_target_parse(hbk_slice_of(url, 8 + HBK_LOAD_HOST_BYTES_MAX), &target, NULL),
        HBK_INVALID);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_url_is_taken_apart),
        cmocka_unit_test(what_is_not_a_url_of_ours_is_refused_with_a_reason),
        cmocka_unit_test(the_limits_of_a_url_are_kept),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
