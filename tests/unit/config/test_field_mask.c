#include "config/field_mask.h"

#include "harness.h"

#include "failing_heap.h"

static void test_paths_are_names_with_dots_joined_by_commas(void **state)
{
    static const struct {
        const char *text;
        hbk_status status;
        uint8_t count;
    } cases[] = {
        {"a", HBK_OK, 1},
        {"a.b_c.d,e", HBK_OK, 2},
        {"", HBK_INVALID, 0},
        {"a,", HBK_INVALID, 0},
        {",a", HBK_INVALID, 0},
        {"a..b", HBK_INVALID, 0},
        {".a", HBK_INVALID, 0},
        {"a.", HBK_INVALID, 0},
        {"a,a,a,a,a,a,a,a,a,a,a,a,a,a,a,a", HBK_OK, 16},
        {"a,a,a,a,a,a,a,a,a,a,a,a,a,a,a,a,a", HBK_LIMIT, 0},
    };
    (void)state;
    heap_fail_at(0);
    for (size_t i = 0; i < HBK_COUNT(cases); i++) {
        struct hbk_field_mask mask = {0};
        assert_int_equal(hbk_field_mask_parse(hbk_slice_text(cases[i].text), &mask),
                         cases[i].status);
        assert_int_equal(mask.count, cases[i].count);
        assert_int_equal(mask.is_set, cases[i].status == HBK_OK);
    }
}

static void test_a_mask_leads_to_what_is_below_its_paths(void **state)
{
    struct hbk_field_mask mask = {0}, below, last;
    (void)state;
    assert_true(hbk_field_mask_enter(&mask, HBK_SLICE("any"), &below));
    assert_false(below.is_set);
    assert_int_equal(hbk_field_mask_parse(HBK_SLICE("a.b.c,a.d,ab,e"), &mask), HBK_OK);
    assert_true(hbk_field_mask_enter(&mask, HBK_SLICE("a"), &below));
    assert_true(below.is_set);
    assert_int_equal(below.count, 2);
    assert_true(hbk_field_mask_enter(&below, HBK_SLICE("d"), &last));
    assert_false(last.is_set);
    assert_true(hbk_field_mask_enter(&below, HBK_SLICE("b"), &last));
    assert_true(hbk_field_mask_enter(&last, HBK_SLICE("c"), &last));
    assert_false(hbk_field_mask_enter(&below, HBK_SLICE("ab"), &last));
    assert_true(hbk_field_mask_enter(&mask, HBK_SLICE("e"), &below));
    assert_false(below.is_set);
    assert_false(hbk_field_mask_enter(&mask, HBK_SLICE("b"), &below));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_paths_are_names_with_dots_joined_by_commas),
        cmocka_unit_test(test_a_mask_leads_to_what_is_below_its_paths),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
