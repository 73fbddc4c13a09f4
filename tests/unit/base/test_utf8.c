#include "base/utf8.h"

#include "base/log.h"
#include "harness.h"

static void the_size_of_a_character_follows_rfc_3629(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        size_t size;
    } cases[] = {
        {"", 0},
        {"a", 1},
        {"\x7F", 1},
        {"\x80", 0},             /* a tail without a head */
        {"\xC2\x80", 2},         /* U+0080 */
        {"\xC0\x80", 0},         /* overlong */
        {"\xC1\xBF", 0},         /* overlong */
        {"\xDF\xBF", 2},         /* U+07FF */
        {"\xE0\xA0\x80", 3},     /* U+0800 */
        {"\xE0\x9F\xBF", 0},     /* overlong */
        {"\xED\x9F\xBF", 3},     /* U+D7FF */
        {"\xED\xA0\x80", 0},     /* a surrogate */
        {"\xEE\x80\x80", 3},     /* U+E000 */
        {"\xEF\xBF", 0},         /* cut */
        {"\xEF\xBF\x41", 0},     /* a letter for a tail */
        {"\xF0\x90\x80\x80", 4}, /* U+10000 */
        {"\xF0\x8F\xBF\xBF", 0}, /* overlong */
        {"\xF4\x8F\xBF\xBF", 4}, /* U+10FFFF */
        {"\xF4\x90\x80\x80", 0}, /* above it */
        {"\xF5\x80\x80\x80", 0},
        {"\xFF", 0},
    };
    for (size_t i = 0; i < HBK_COUNT(cases); i++) {
        assert_int_equal(hbk_utf8_size(hbk_slice_text(cases[i].text)), cases[i].size);
    }
}

static void json_text_is_escaped_and_cut_between_characters(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        size_t room;
        const char *expected;
    } cases[] = {
        {"plain", 64, "plain"},
        {"a\"b\\c", 64, "a\\\"b\\\\c"},
        {"\n\x01\x7F", 64, "\\u000a\\u0001\\u007f"},
        {"\xC3\xA4", 64, "\xC3\xA4"},
        {"\xC3", 64, "\xEF\xBF\xBD"},
        {"x\xFFy", 64, "x\xEF\xBF\xBDy"},
        {"a\"", 2, "a"},
        {"a\xC3\xA4", 2, "a"},
        {"a\n", 6, "a"},
        {"abc", 0, ""},
    };
    for (size_t i = 0; i < HBK_COUNT(cases); i++) {
        uint8_t bytes[64];
        size_t size =
            hbk_log_escape_json(hbk_slice_text(cases[i].text), hbk_span_of(bytes, cases[i].room));
        assert_slice_equal(hbk_slice_of(bytes, size), hbk_slice_text(cases[i].expected));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_size_of_a_character_follows_rfc_3629),
        cmocka_unit_test(json_text_is_escaped_and_cut_between_characters),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
