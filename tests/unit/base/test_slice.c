#include "base/slice.h"

#include "harness.h"

static void numbers_are_read_whole_or_not_at_all(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        uint64_t max;
        bool is_number;
        uint64_t number;
    } cases[] = {
        {"0", 10, true, 0},
        {"10", 10, true, 10},
        {"11", 10, false, 0},
        {"", 10, false, 0},
        {"-1", 10, false, 0},
        {"1 ", 10, false, 0},
        {"18446744073709551615", UINT64_MAX, true, UINT64_MAX},
        {"18446744073709551616", UINT64_MAX, false, 0},
        {"99999999999999999999", UINT64_MAX, false, 0},
    };
    for (size_t i = 0; i < HBK_COUNT(cases); i++) {
        uint64_t number = 0;
        bool is_number = hbk_slice_to_u64(hbk_slice_text(cases[i].text), cases[i].max, &number);
        assert_int_equal(is_number, cases[i].is_number);
        assert_int_equal(number, cases[i].number);
    }
}

static void parts_are_cut_to_what_there_is(void **state)
{
    (void)state;
    struct hbk_slice whole = HBK_SLICE("hauberk");
    assert_slice_equal(hbk_slice_part(whole, 3, 2), HBK_SLICE("be"));
    assert_slice_equal(hbk_slice_part(whole, 5, 100), HBK_SLICE("rk"));
    assert_slice_equal(hbk_slice_part(whole, 7, 1), HBK_SLICE(""));
    assert_slice_equal(hbk_slice_part(whole, SIZE_MAX, SIZE_MAX), HBK_SLICE(""));
}

static void beginnings_and_ends_are_found(void **state)
{
    (void)state;
    struct hbk_slice whole = HBK_SLICE("ns/shop");
    assert_true(hbk_slice_starts_with(whole, HBK_SLICE("ns/")));
    assert_true(hbk_slice_starts_with(whole, HBK_SLICE("")));
    assert_false(hbk_slice_starts_with(whole, HBK_SLICE("ns/shop/")));
    assert_true(hbk_slice_ends_with(whole, HBK_SLICE("shop")));
    assert_true(hbk_slice_ends_with(whole, HBK_SLICE("")));
    assert_false(hbk_slice_ends_with(whole, HBK_SLICE("Shop")));
    assert_true(hbk_slice_equal_nocase(HBK_SLICE("HTTP"), HBK_SLICE("http")));
    assert_false(hbk_slice_equal_nocase(HBK_SLICE("http"), HBK_SLICE("https")));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(numbers_are_read_whole_or_not_at_all),
        cmocka_unit_test(parts_are_cut_to_what_there_is),
        cmocka_unit_test(beginnings_and_ends_are_found),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
