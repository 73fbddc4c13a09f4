#include "admin/query.h"

#include "harness.h"

static void pairs_are_split_at_ampersands_and_the_first_equals_sign(void **state)
{
    (void)state;
    static const struct {
        const char *query;
        size_t count;
        struct {
            const char *name, *value;
        } pairs[3];
    } cases[] = {
        {"", 0, {{NULL, NULL}}},
        {"&&", 0, {{NULL, NULL}}},
        {"reset", 1, {{"reset", ""}}},
        {"level=info", 1, {{"level", "info"}}},
        {"level=a=b,c=d&reset", 2, {{"level", "a=b,c=d"}, {"reset", ""}}},
        {"&a=1&&=2&b=&", 3, {{"a", "1"}, {"", "2"}, {"b", ""}}},
    };
    for (size_t i = 0; i < HBK_COUNT(cases); i++) {
        struct hbk_query_reader reader = hbk_query_reader_of(hbk_slice_text(cases[i].query));
        struct hbk_query_pair pair;
        for (size_t j = 0; j < cases[i].count; j++) {
            assert_true(hbk_query_next(&reader, &pair));
            assert_slice_equal(pair.name, hbk_slice_text(cases[i].pairs[j].name));
            assert_slice_equal(pair.value, hbk_slice_text(cases[i].pairs[j].value));
        }
        assert_false(hbk_query_next(&reader, &pair));
    }
}

static void values_are_decoded_or_refused(void **state)
{
    (void)state;
    static const struct {
        const char *value;
        const char *text; /* NULL: refused */
    } cases[] = {
        {"", ""},
        {"plain", "plain"},
        {"a+b", "a b"},
        {"a%3Db%2c", "a=b,"},
        {"%41%4a", "AJ"},
        {"%", NULL},
        {"%4", NULL},
        {"%4g", NULL},
        {"%G4", NULL},
        {"%00", NULL},
        {"%%41", NULL},
        {"12345678", "12345678"},
        {"123456789", NULL},
        {"%31%32%33%34%35%36%37%38", "12345678"},
    };
    for (size_t i = 0; i < HBK_COUNT(cases); i++) {
        uint8_t room[8];
        struct hbk_slice text;
        bool is_good =
            hbk_query_decode(hbk_slice_text(cases[i].value), hbk_span_of(room, sizeof room), &text);
        assert_int_equal(is_good, cases[i].text != NULL);
        if (is_good) {
            assert_slice_equal(text, hbk_slice_text(cases[i].text));
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(pairs_are_split_at_ampersands_and_the_first_equals_sign),
        cmocka_unit_test(values_are_decoded_or_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
