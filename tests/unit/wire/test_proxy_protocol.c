#include "wire/proxy_protocol.h"

#include "harness.h"

#define V2 "\r\n\r\n\0\r\nQUIT\n"

struct header_case {
    struct hbk_slice input;
    enum hbk_proxy_answer answer;
    size_t size_bytes;
    const char *source, *destination; /* NULL: not said */
};

#define TEXT(literal)                                   \
    {                                                   \
        (const uint8_t *)(literal), sizeof(literal) - 1 \
    }

static const struct header_case cases[] = {
    {TEXT("PROXY TCP4 1.2.3.4 5.6.7.8 11 22\r\nGET"), HBK_PROXY_DONE, 34, "1.2.3.4:11",
     "5.6.7.8:22"},
    {TEXT("PROXY TCP6 ::1 fd00::2 1 65535\r\n"), HBK_PROXY_DONE, 32, "[::1]:1", "[fd00::2]:65535"},
    {TEXT("PROXY UNKNOWN\r\nx"), HBK_PROXY_DONE, 15, NULL, NULL},
    {TEXT("PROXY UNKNOWN what ever\r\n"), HBK_PROXY_DONE, 25, NULL, NULL},
    {TEXT("PROXY TCP4 1.2.3.4 5.6.7.8 11 22"), HBK_PROXY_NEED_MORE, 0, NULL, NULL},
    {TEXT("PRO"), HBK_PROXY_NEED_MORE, 0, NULL, NULL},
    {TEXT(""), HBK_PROXY_NEED_MORE, 0, NULL, NULL},
    {TEXT("GET / HTTP/1.1\r\n"), HBK_PROXY_ABSENT, 0, NULL, NULL},
    {TEXT("PROXYTCP4"), HBK_PROXY_ABSENT, 0, NULL, NULL},
    {TEXT("PROXY TCP4 1.2.3.4 5.6.7.8 11\r\n"), HBK_PROXY_INVALID, 0, NULL, NULL},
    {TEXT("PROXY TCP4 1.2.3.4 5.6.7.8 11 22 33\r\n"), HBK_PROXY_INVALID, 0, NULL, NULL},
    {TEXT("PROXY TCP4 ::1 ::2 1 2\r\n"), HBK_PROXY_INVALID, 0, NULL, NULL},
    {TEXT("PROXY TCP4 1.2.3.4 5.6.7.8 011 22\r\n"), HBK_PROXY_INVALID, 0, NULL, NULL},
    {TEXT("PROXY TCP4 1.2.3.4 5.6.7.8 11 70000\r\n"), HBK_PROXY_INVALID, 0, NULL, NULL},
    {TEXT("PROXY UDP4 1.2.3.4 5.6.7.8 11 22\r\n"), HBK_PROXY_INVALID, 0, NULL, NULL},
    {TEXT(V2 "\x21\x11\0\x0c\1\2\3\4\5\6\7\x8\0\x0b\0\x16"), HBK_PROXY_DONE, 28, "1.2.3.4:11",
     "5.6.7.8:22"},
    {TEXT(V2 "\x21\x11\0\x10\1\2\3\4\5\6\7\x8\0\x0b\0\x16tlvs"), HBK_PROXY_DONE, 32, "1.2.3.4:11",
     "5.6.7.8:22"},
    {TEXT(V2 "\x20\0\0\0"), HBK_PROXY_DONE, 16, NULL, NULL},
    {TEXT(V2 "\x21\x31\0\0"), HBK_PROXY_DONE, 16, NULL, NULL}, /* a Unix socket: not said */
    {TEXT(V2 "\x21\x11\0\x0c\1\2\3"), HBK_PROXY_NEED_MORE, 0, NULL, NULL},
    {TEXT(V2), HBK_PROXY_NEED_MORE, 0, NULL, NULL},
    {TEXT(V2 "\x21\x11\0\x04\1\2\3\4"), HBK_PROXY_INVALID, 0, NULL, NULL},
    {TEXT(V2 "\x11\x11\0\0"), HBK_PROXY_INVALID, 0, NULL, NULL},
    {TEXT(V2 "\x22\x11\0\0"), HBK_PROXY_INVALID, 0, NULL, NULL},
    {TEXT(V2 "\x21\x11\xff\xff"), HBK_PROXY_INVALID, 0, NULL, NULL},
};

static void check_address(const struct hbk_address *address, const char *expected)
{
    char text[HBK_ADDRESS_TEXT_BYTES_MAX];
    if (expected != NULL) {
        assert_string_equal(hbk_address_text(address, text), expected);
    }
}

static void test_both_versions_are_read_and_what_is_broken_is_refused(void **state)
{
    (void)state;
    for (size_t i = 0; i < HBK_COUNT(cases); i++) {
        struct hbk_proxy_header header = {0};
        assert_int_equal(hbk_proxy_header_read(cases[i].input, &header), cases[i].answer);
        assert_int_equal(header.size_bytes, cases[i].size_bytes);
        assert_int_equal(header.is_known, cases[i].source != NULL);
        check_address(&header.source, cases[i].source);
        check_address(&header.destination, cases[i].destination);
    }
}

static void test_a_line_without_an_end_is_not_waited_for_for_ever(void **state)
{
    char line[HBK_PROXY_V1_BYTES_MAX] = "PROXY UNKNOWN ";
    struct hbk_proxy_header header;
    (void)state;
    memset(line + 14, 'x', sizeof line - 14);
    assert_int_equal(hbk_proxy_header_read(hbk_slice_of(line, sizeof line - 1), &header),
                     HBK_PROXY_NEED_MORE);
    assert_int_equal(hbk_proxy_header_read(hbk_slice_of(line, sizeof line), &header),
                     HBK_PROXY_INVALID);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_both_versions_are_read_and_what_is_broken_is_refused),
        cmocka_unit_test(test_a_line_without_an_end_is_not_waited_for_for_ever),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
