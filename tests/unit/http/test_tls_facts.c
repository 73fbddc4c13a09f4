#include "http/tls_facts.h"

#include "harness.h"

static void test_names_are_joined_by_commas_as_many_as_there_is_room_for(void **state)
{
    static const struct {
        struct hbk_slice names;
        size_t room_bytes;
        struct hbk_slice expected;
    } cases[] = {
        {{(const uint8_t *)"", 0}, 8, {(const uint8_t *)"", 0}},
        {{(const uint8_t *)"a\0", 2}, 0, {(const uint8_t *)"a", 1}}, /* needs no room */
        {{(const uint8_t *)"a\0b\0", 4}, 8, {(const uint8_t *)"a,b", 3}},
        {{(const uint8_t *)"a\0b\0", 4}, 3, {(const uint8_t *)"a,b", 3}},
        {{(const uint8_t *)"a\0b\0", 4}, 2, {(const uint8_t *)"a", 1}},
        {{(const uint8_t *)"aaa\0b\0", 6}, 2, {(const uint8_t *)"", 0}},
        {{(const uint8_t *)"ab\0cd\0ef\0", 9}, 64, {(const uint8_t *)"ab,cd,ef", 8}},
    };
    (void)state;
    for (size_t i = 0; i < HBK_COUNT(cases); i++) {
        uint8_t room[64];
        struct hbk_slice joined =
            hbk_gw_tls_names(cases[i].names, hbk_span_of(room, cases[i].room_bytes));
        assert_slice_equal(joined, cases[i].expected);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_names_are_joined_by_commas_as_many_as_there_is_room_for),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
