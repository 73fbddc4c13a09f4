#include "bench/path.h"

#include "harness.h"

static void the_median_is_the_middle_or_between_the_two_middles(void **state)
{
    (void)state;
    static const struct {
        double values[5];
        unsigned count;
        double expected;
    } cases[] = {
        {{0}, 0, 0},
        {{7}, 1, 7},
        {{9, 1}, 2, 5},
        {{3, 100, 1}, 3, 3},
        {{4, 1, 3, 2}, 4, 2.5},
        {{5, 5, 1, 5, 9}, 5, 5},
    };
    for (size_t i = 0; i < HBK_COUNT(cases); i++) {
        double values[5];
        memcpy(values, cases[i].values, sizeof values);
        assert_true(hbk_path_median(values, cases[i].count) == cases[i].expected);
    }
}

static void a_twin_is_the_same_case_of_another_system_that_was_measured(void **state)
{
    (void)state;
    static struct hbk_path path;
    path.case_count = 4;
    path.cases[0] = (struct hbk_path_case){
        .system = HBK_PATH_HAUBERK, .mode = HBK_PATH_ONE_CORE, .connections = 32, .round_count = 1};
    path.cases[1] = path.cases[0];
    path.cases[1].system = HBK_PATH_RELAYS;
    path.cases[1].connections = 1;
    path.cases[2] = path.cases[0];
    path.cases[2].system = HBK_PATH_RELAYS;
    path.cases[3] = path.cases[0];
    path.cases[3].system = HBK_PATH_DIRECT;
    path.cases[3].round_count = 0;
    assert_ptr_equal(hbk_path_twin(&path, &path.cases[0], HBK_PATH_RELAYS), &path.cases[2]);
    assert_null(hbk_path_twin(&path, &path.cases[0], HBK_PATH_DIRECT));
    assert_null(hbk_path_twin(&path, &path.cases[0], HBK_PATH_HAPROXY));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_median_is_the_middle_or_between_the_two_middles),
        cmocka_unit_test(a_twin_is_the_same_case_of_another_system_that_was_measured),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
