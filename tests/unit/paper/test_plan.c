#include "paper/paper.h"

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

/* What the help and docs/bench.md say: nearly three days. */
static void a_full_series_of_all_systems_is_planned_for_nearly_three_days(void **state)
{
    (void)state;
    static const uint64_t day_ms = 24 * 3600 * 1000;
    paper = (struct hbk_paper){
        .options = {.items = HBK_ALL_ITEMS, .is_full = true, .pause_ms = HBK_PAPER_FULL_PAUSE_MS}};
    find_all();
    print_message("%.2f days\n", (double)planned_ms() / (double)day_ms);
    assert_in_range(planned_ms(), 5 * day_ms / 2, 3 * day_ms);
    hbk_arena_fini(&paper.arena);
}

/* Whether a system of that name, which is usable, is in a cell that an item needs. */
static bool is_planned(const char *name, unsigned item, unsigned pods)
{
    for (unsigned i = 0; i < paper.cell_count; i++) {
        const struct hbk_paper_cell *cell = &paper.cells[i];
        for (unsigned k = 0; k < paper.system_count; k++) {
            if ((cell->items & item) != 0 && cell->cell.pods == pods &&
                (cell->systems >> k & 1) != 0 && paper.systems[k].is_usable &&
                strcmp(paper.systems[k].name, name) == 0) {
                return true;
            }
        }
    }
    return false;
}

static void figure_7_has_the_five_variants_of_the_paper_and_those_without_statistics(void **state)
{
    (void)state;
    static const char *const variants[] = {
        "sidecar-l7",        "sidecar-l7-plain", "sidecar-l7-quiet", "sidecar-tcp-plain",
        "sidecar-tcp-quiet", "sidecar-l7-log",   "node-plain",       "baseline"};
    paper = (struct hbk_paper){.options = {.items = HBK_ALL_ITEMS}};
    find_all();
    for (size_t i = 0; i < HBK_COUNT(variants); i++) {
        assert_true(is_planned(variants[i], HBK_FIGURE_7, 0));
    }
    assert_false(is_planned("sidecar-tcp-quiet", HBK_TABLE_1 | HBK_TABLE_2, 0));
    hbk_arena_fini(&paper.arena);
}

/* Whether a cell of Figure 8 has our agents with mutual TLS and without. */
static bool has_both_lines(enum hbk_placement placement, unsigned connections)
{
    unsigned both = 0;
    for (unsigned i = 0; i < paper.cell_count; i++) {
        const struct hbk_paper_cell *cell = &paper.cells[i];
        for (unsigned k = 0; k < paper.system_count; k++) {
            bool is_in = (cell->items & HBK_FIGURE_8) != 0 && cell->cell.placement == placement &&
                         cell->cell.connections == connections && (cell->systems >> k & 1) != 0;
            both += is_in && (strcmp(paper.systems[k].name, "node") == 0 ||
                              strcmp(paper.systems[k].name, "node-plain") == 0);
        }
    }
    return both == 2;
}

static void figure_8_has_the_agents_with_mutual_tls_and_with_it_switched_off(void **state)
{
    (void)state;
    static const struct hbk_paper_options cases[] = {
        {.items = HBK_ALL_ITEMS}, /* quick: between nodes */
        {.items = HBK_FIGURE_8},
        {.items = HBK_ALL_ITEMS, .is_full = true},
    };
    for (size_t i = 0; i < HBK_COUNT(cases); i++) {
        paper = (struct hbk_paper){.options = cases[i]};
        find_all();
        for (unsigned count = 1000; count <= 3200; count += 2200) {
            assert_true(has_both_lines(HBK_INTER, count));
            assert_true(has_both_lines(HBK_INTRA, count) == (i > 0));
        }
        assert_true(cases[i].is_full == has_both_lines(HBK_INTER, 1200));
        for (unsigned k = 0; k < paper.system_count; k++) {
            bool is_plain = strcmp(paper.systems[k].name, "node-plain") == 0;
            assert_false(is_plain && paper.systems[k].encrypts);
        }
        assert_false(is_planned("node-plain", HBK_ALL_ITEMS, 10));
        hbk_arena_fini(&paper.arena);
    }
}

static void more_pods_are_ten_and_fifty_beside_the_one_of_table_2(void **state)
{
    (void)state;
    static const unsigned counts[] = {0, 10, 50};
    paper = (struct hbk_paper){.options = {.items = HBK_MORE_PODS}};
    find_all();
    assert_int_equal(paper.cell_count, HBK_COUNT(counts));
    for (size_t i = 0; i < HBK_COUNT(counts); i++) {
        assert_true(is_planned("node", HBK_MORE_PODS, counts[i]));
        assert_false(is_planned("baseline", HBK_MORE_PODS, counts[i]));
    }
    hbk_arena_fini(&paper.arena);
    paper = (struct hbk_paper){.options = {.items = HBK_ALL_ITEMS}};
    find_all();
    for (unsigned i = 0; i < paper.cell_count; i++) {
        bool is_shared = (paper.cells[i].items & HBK_MORE_PODS) != 0 &&
                         (paper.cells[i].items & HBK_TABLE_2) != 0;
        assert_true(!is_shared || paper.cells[i].cell.pods == 0);
    }
    assert_true(is_planned("node", HBK_MORE_PODS, 0));
    hbk_arena_fini(&paper.arena);
}

/* Fortio's clock lowers the connections otherwise, and Figure 8 would be a flat line. */
static void
a_burst_lasts_for_two_calls_of_each_connection_however_short_runs_are_asked_for(void **state)
{
    (void)state;
    paper = (struct hbk_paper){.options = {.items = HBK_ALL_ITEMS, .duration_ms = 500}};
    find_all();
    unsigned bursts = 0;
    for (unsigned i = 0; i < paper.cell_count; i++) {
        const struct hbk_cell *cell = &paper.cells[i].cell;
        if (cell->arrivals == HBK_BURST) {
            assert_true(cell->rate_rps / 1000.0 * cell->duration_ms >= 2.0 * cell->connections);
            bursts++;
        } else {
            assert_int_equal(cell->duration_ms, 500);
        }
    }
    assert_true(bursts > 4);
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

static void a_full_series_has_each_load_in_three_arrivals_with_the_delay_and_without(void **state)
{
    (void)state;
    static const unsigned rates_rps[] = {320, 3200, 12800};
    enum { KINDS = HBK_COUNT(rates_rps) * 3 * 2 };
    paper = (struct hbk_paper){.options = {.items = HBK_FIGURE_4, .is_full = true}};
    find_all();
    unsigned found = 0;
    for (unsigned i = 0; i < paper.cell_count; i++) {
        const struct hbk_cell *cell = &paper.cells[i].cell;
        assert_int_equal(cell->placement, HBK_INTER);
        assert_true(cell->arrivals <= HBK_POISSON &&
                    (cell->delay_ms == 0 || cell->delay_ms == 200));
        assert_int_equal(cell->connections, cell->rate_rps / 2);
        found += cell->rate_rps == 320 || cell->rate_rps == 3200 || cell->rate_rps == 12800;
    }
    /* Each is there once, so that many are all. */
    assert_int_equal(paper.cell_count, KINDS);
    assert_int_equal(found, KINDS);
    hbk_arena_fini(&paper.arena);
}

/* Plans what the command of a cell asks for. */
static void plan_again(const struct hbk_paper_cell *cell, struct hbk_paper *out_again)
{
    *out_again = (struct hbk_paper){.options = paper.options};
    out_again->options.items = cell->enough;
    out_again->options.blocks = cell->blocks;
    out_again->options.systems = "those that follow";
    for (unsigned i = 0; i < paper.system_count; i++) {
        if ((cell->systems >> i & 1) != 0 || paper.systems[i].kind == HBK_BASELINE) {
            out_again->systems[out_again->system_count++] = paper.systems[i];
        }
    }
    hbk_paper_plan(out_again);
}

static void the_command_of_each_cell_plans_it_again_with_its_blocks_and_systems(void **state)
{
    (void)state;
    static struct hbk_paper again;
    static const struct hbk_paper_options cases[] = {
        {.items = HBK_ALL_ITEMS},
        {.items = HBK_ALL_ITEMS, .is_full = true},
        {.items = HBK_ALL_ITEMS, .is_full = true, .blocks = 10, .duration_ms = 60000},
        {.items = HBK_FIGURE_4 | HBK_FIGURE_8 | HBK_TABLE_1, .duration_ms = 500},
        {.items = HBK_FIGURE_6},
    };
    for (size_t i = 0; i < HBK_COUNT(cases); i++) {
        paper = (struct hbk_paper){.options = cases[i]};
        find_all();
        assert_true(paper.cell_count > 0);
        for (unsigned k = 0; k < paper.cell_count; k++) {
            const struct hbk_paper_cell *cell = &paper.cells[k], *found = NULL;
            plan_again(cell, &again);
            for (unsigned m = 0; m < again.cell_count; m++) {
                found = hbk_cell_equal(&again.cells[m].cell, &cell->cell) ? &again.cells[m] : found;
            }
            char key[HBK_SAMPLE_KEY_BYTES_MAX];
            assert_true((cell->enough & ~cell->items) == 0 && cell->enough != 0);
            if (found == NULL || found->blocks < cell->blocks ||
                __builtin_popcount(found->systems) < __builtin_popcount(cell->systems)) {
                fail_msg("%s", hbk_cell_key(&cell->cell, key));
            }
        }
        hbk_arena_fini(&paper.arena);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_quick_series_of_all_systems_is_planned_for_less_than_nine_minutes),
        cmocka_unit_test(a_full_series_of_all_systems_is_planned_for_nearly_three_days),
        cmocka_unit_test(figure_7_has_the_five_variants_of_the_paper_and_those_without_statistics),
        cmocka_unit_test(figure_8_has_the_agents_with_mutual_tls_and_with_it_switched_off),
        cmocka_unit_test(more_pods_are_ten_and_fifty_beside_the_one_of_table_2),
        cmocka_unit_test(
            a_burst_lasts_for_two_calls_of_each_connection_however_short_runs_are_asked_for),
        cmocka_unit_test(the_command_of_each_cell_plans_it_again_with_its_blocks_and_systems),
        cmocka_unit_test(a_full_series_measures_as_long_as_the_paper),
        cmocka_unit_test(a_full_series_has_each_load_in_three_arrivals_with_the_delay_and_without),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
