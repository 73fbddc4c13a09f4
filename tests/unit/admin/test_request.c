#include "admin/request.h"

#include "harness.h"

#define HOST "Host: x\r\n"

/* Parses with a reader that has seen nothing. */
static enum hbk_admin_parse parse(struct hbk_slice input, struct hbk_admin_parsed *out_parsed)
{
    struct hbk_http1_reader reader = {.seen_bytes = 0};
    return hbk_admin_parse(&reader, input, out_parsed);
}

static void whole_requests_are_understood(void **state)
{
    (void)state;
    static const struct {
        const char *input;
        enum hbk_admin_method method;
        bool is_head, is_persistent;
        const char *path, *query, *accept;
        size_t left; /* bytes behind it */
    } cases[] = {
        {"GET / HTTP/1.1\r\n" HOST "\r\n", HBK_ADMIN_GET, false, true, "/", "", "", 0},
        {"HEAD /a?b=c?d HTTP/1.1\r\n" HOST "\r\n", HBK_ADMIN_GET, true, true, "/a", "b=c?d", "", 0},
        {"POST /a? HTTP/1.1\r\n" HOST "Content-Length: 3\r\n\r\nabcGET", HBK_ADMIN_POST, false,
         true, "/a", "", "", 3},
        {"GET / HTTP/1.1\r\nhost: x\r\nCONNECTION: foo, Close\r\n\r\n", HBK_ADMIN_GET, false, false,
         "/", "", "", 0},
        {"GET / HTTP/1.0\r\n\r\n", HBK_ADMIN_GET, false, false, "/", "", "", 0},
        {"GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n", HBK_ADMIN_GET, false, true, "/", "",
         "", 0},
        {"GET / HTTP/1.1\r\n" HOST "Accept: \t a/b, c \r\n\r\n", HBK_ADMIN_GET, false, true, "/",
         "", "a/b, c", 0},
        {"PUT / HTTP/1.1\r\n" HOST "\r\n", HBK_ADMIN_OTHER, false, true, "/", "", "", 0},
        {"get / HTTP/1.1\r\n" HOST "\r\n", HBK_ADMIN_OTHER, false, true, "/", "", "", 0},
    };
    for (size_t i = 0; i < HBK_COUNT(cases); i++) {
        struct hbk_slice input = hbk_slice_text(cases[i].input);
        struct hbk_admin_parsed parsed;
        assert_int_equal(parse(input, &parsed), HBK_ADMIN_PARSE_DONE);
        assert_int_equal(parsed.request.method, cases[i].method);
        assert_int_equal(parsed.is_head, cases[i].is_head);
        assert_int_equal(parsed.is_persistent, cases[i].is_persistent);
        assert_slice_equal(parsed.request.path, hbk_slice_text(cases[i].path));
        assert_slice_equal(parsed.request.query, hbk_slice_text(cases[i].query));
        assert_slice_equal(parsed.request.accept, hbk_slice_text(cases[i].accept));
        assert_int_equal(parsed.size_bytes, input.size - cases[i].left);
        /* And any beginning of it is not one yet. */
        for (size_t size = 0; size < parsed.size_bytes; size++) {
            struct hbk_admin_parsed ignored;
            assert_int_equal(parse(hbk_slice_part(input, 0, size), &ignored), HBK_ADMIN_PARSE_MORE);
        }
    }
}

static void broken_requests_are_refused(void **state)
{
    (void)state;
    static const struct {
        const char *input;
        unsigned status;
    } cases[] = {
        {"GET\r\n\r\n", 400},
        {"GET /\r\n\r\n", 400},
        {"GET / \r\n\r\n", 400},
        {"GET  / HTTP/1.1\r\n" HOST "\r\n", 400},
        {" GET / HTTP/1.1\r\n" HOST "\r\n", 400},
        {"GET http://x/ HTTP/1.1\r\n" HOST "\r\n", 400},
        {"GET /\x80 HTTP/1.1\r\n" HOST "\r\n", 400},
        {"G(T / HTTP/1.1\r\n" HOST "\r\n", 400},
        {"GET / HTTP/1.1 \r\n" HOST "\r\n", 400},
        {"GET / HTTP/2.0\r\n" HOST "\r\n", 505},
        {"GET / http/1.1\r\n" HOST "\r\n", 400},
        {"GET / HTTP/1.1\r\n\r\n", 400}, /* no Host */
        {"GET / HTTP/1.1\r\n" HOST HOST "\r\n", 400},
        {"GET / HTTP/1.1\n" HOST "\r\n", 400},     /* LF alone */
        {"GET / HTTP/1.1\r\r\n" HOST "\r\n", 400}, /* CR inside */
        {"GET / HTTP/1.1\r\n" HOST "A b: c\r\n\r\n", 400},
        {"GET / HTTP/1.1\r\n" HOST "A : c\r\n\r\n", 400},
        {"GET / HTTP/1.1\r\n" HOST " folded\r\n\r\n", 400},
        {"GET / HTTP/1.1\r\n" HOST "no colon\r\n\r\n", 400},
        {"GET / HTTP/1.1\r\n" HOST ": empty\r\n\r\n", 400},
        {"POST / HTTP/1.1\r\n" HOST "Content-Length: +1\r\n\r\n", 400},
        {"POST / HTTP/1.1\r\n" HOST "Content-Length: 1, 1\r\n\r\n", 400},
        {"POST / HTTP/1.1\r\n" HOST "Content-Length: 1\r\nContent-Length: 1\r\n\r\n", 400},
        {"POST / HTTP/1.1\r\n" HOST "Content-Length: 18446744073709551616\r\n\r\n", 400},
        {"POST / HTTP/1.1\r\n" HOST "Content-Length: 4097\r\n\r\n", 413},
        {"POST / HTTP/1.1\r\n" HOST "Content-Length: 9223372036854775807\r\n\r\n", 413},
        {"POST / HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\n\r\n", 411},
        {"POST / HTTP/1.1\r\n" HOST "Transfer-Encoding: gzip\r\n\r\n", 501},
        {"OPTIONS * HTTP/1.1\r\n" HOST "\r\n", 400},
        {"CONNECT x:1 HTTP/1.1\r\n" HOST "\r\n", 400},
        {"POST / HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\n", 400},
    };
    for (size_t i = 0; i < HBK_COUNT(cases); i++) {
        struct hbk_admin_parsed parsed = {.status = 0};
        assert_int_equal(parse(hbk_slice_text(cases[i].input), &parsed), HBK_ADMIN_PARSE_REFUSED);
        assert_int_equal(parsed.status, cases[i].status);
    }
}

static void a_zero_byte_is_refused(void **state)
{
    (void)state;
    static const char input[] = "GET / HTTP/1.1\r\nHost: a\0b\r\n\r\n";
    struct hbk_admin_parsed parsed;
    assert_int_equal(parse(hbk_slice_of(input, sizeof input - 1), &parsed),
                     HBK_ADMIN_PARSE_REFUSED);
}

static void a_head_may_have_eight_kilobytes(void **state)
{
    (void)state;
    static char input[HBK_ADMIN_HEAD_BYTES_MAX + 1];
    static const char start[] = "GET / HTTP/1.1\r\nHost: ";
    memset(input, 'a', sizeof input);
    memcpy(input, start, sizeof start - 1);
    struct hbk_admin_parsed parsed;
    assert_int_equal(parse(hbk_slice_of(input, HBK_ADMIN_HEAD_BYTES_MAX - 1), &parsed),
                     HBK_ADMIN_PARSE_MORE);
    assert_int_equal(parse(hbk_slice_of(input, HBK_ADMIN_HEAD_BYTES_MAX), &parsed),
                     HBK_ADMIN_PARSE_REFUSED);
    assert_int_equal(parsed.status, 431);
    memcpy(input + HBK_ADMIN_HEAD_BYTES_MAX - 4, "\r\n\r\n", 4);
    assert_int_equal(parse(hbk_slice_of(input, sizeof input), &parsed), HBK_ADMIN_PARSE_DONE);
    assert_int_equal(parsed.size_bytes, HBK_ADMIN_HEAD_BYTES_MAX);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(whole_requests_are_understood),
        cmocka_unit_test(broken_requests_are_refused),
        cmocka_unit_test(a_zero_byte_is_refused),
        cmocka_unit_test(a_head_may_have_eight_kilobytes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
