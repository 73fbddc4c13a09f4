#include "bench/paper.h"

#include "harness.h"

enum { QUICK_MS_MAX = 9 * 60 * 1000 };

static struct hbk_paper paper; /* too large for a stack */

/* All that packages have, whether it is installed here or not. */
static void find_all(void)
{
    struct hbk_error error = {0};
    hbk_arena_init(&paper.arena);
    assert_int_equal(hbk_paper_find_systems(&paper, &error), HBK_OK);
    for (unsigned i = 0; i < paper.system_count; i++) {
        paper.systems[i].is_usable = !paper.systems[i].descriptor.is_untried;
    }
    hbk_paper_plan(&paper);
}

static uint64_t planned_ms(void)
{
    uint64_t sum_ms = 0;
    for (unsigned i = 0; i < paper.cell_count; i++) {
        for (unsigned k = 0; k < paper.system_count; k++) {
            if ((paper.cells[i].systems >> k & 1) != 0 && paper.systems[k].is_usable) {
                sum_ms += (uint64_t)paper.cells[i].blocks *
                          hbk_paper_run_ms(&paper, &paper.systems[k], &paper.cells[i].cell);
            }
        }
    }
    return sum_ms;
}

static void a_quick_series_of_all_systems_is_planned_for_less_than_nine_minutes(void **state)
{
    (void)state;
    paper = (struct hbk_paper){.options = {.items = HBK_ALL_ITEMS}};
    find_all();
    print_message("%llu s\n", (unsigned long long)planned_ms() / 1000);
    assert_true(planned_ms() < QUICK_MS_MAX);
    for (unsigned i = 0; i < paper.cell_count; i++) {
        bool is_of_tables = (paper.cells[i].items & (HBK_TABLE_1 | HBK_TABLE_2)) != 0;
        assert_true(!is_of_tables || paper.cells[i].blocks == 3);
    }
    hbk_arena_fini(&paper.arena);
}

static void a_full_series_measures_as_long_as_the_paper(void **state)
{
    (void)state;
    paper = (struct hbk_paper){.options = {.items = HBK_ALL_ITEMS, .is_full = true}};
    find_all();
    for (unsigned i = 0; i < paper.cell_count; i++) {
        assert_int_equal(paper.cells[i].cell.duration_ms, 300000);
    }
    hbk_arena_fini(&paper.arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_quick_series_of_all_systems_is_planned_for_less_than_nine_minutes),
        cmocka_unit_test(a_full_series_measures_as_long_as_the_paper),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
