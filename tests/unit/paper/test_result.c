#include "paper/result.h"

#include <math.h>

#include "series.h"

static void what_is_added_is_paired_with_the_baseline_of_the_same_block(void **state)
{
    (void)state;
    /* The machine slows down from block to block, the difference stays. */
    for (unsigned block = 0; block < 3; block++) {
        add("baseline", block, 200 + 50 * block);
        add("node", block, 205 + 50 * block);
    }
    add("node", 7, 1000); /* without a baseline beside it */
    struct hbk_estimate added =
        hbk_paper_estimate(&paper, &the_cell, "node", HBK_QUANTITY_FORTIO_P99, HBK_ADDED);
    assert_int_equal(added.count, 3);
    assert_true(added.median == 5 && added.low == 5 && added.high == 5);
    struct hbk_estimate absolute =
        hbk_paper_estimate(&paper, &the_cell, "node", HBK_QUANTITY_FORTIO_P99, HBK_ABSOLUTE);
    assert_int_equal(absolute.count, 4);
}

static void a_side_is_application_and_agent_with_their_share_of_the_kernel(void **state)
{
    (void)state;
    struct hbk_sample *plain = add("baseline", 0, 200);
    struct hbk_sample *meshed = add("node", 0, 205);
    add_agent(meshed, 0.01, 3);
    assert_true(fabs(hbk_quantity_of(meshed, HBK_QUANTITY_CLIENT_CPU) - 0.06) < 1e-9);
    assert_true(hbk_quantity_of(meshed, HBK_QUANTITY_SERVER_MIB) == 13);
    assert_true(hbk_quantity_of(plain, HBK_QUANTITY_CLIENT_SET) == 18);
    assert_true(hbk_quantity_of(meshed, HBK_QUANTITY_CLIENT_SET) == 29);
}

static void a_feature_costs_what_its_switch_changes_in_the_blocks_that_have_both(void **state)
{
    (void)state;
    for (unsigned block = 0; block < 3; block++) {
        add_agent(add("node", block, 205 + block), 0.02, 3);
        add_agent(add("node-plain", block, 202 + block), 0.005, 2.5);
    }
    add_agent(add("node", 3, 900), 0.5, 30); /* beside nothing */
    struct hbk_estimate p99 =
        hbk_paper_difference(&paper, &the_cell, "node", "node-plain", HBK_QUANTITY_FORTIO_P99);
    assert_true(p99.count == 3 && p99.median == 3);
    struct hbk_estimate mib =
        hbk_paper_difference(&paper, &the_cell, "node", "node-plain", HBK_QUANTITY_CLIENT_MIB);
    assert_true(mib.median == 0.5);
    assert_int_equal(
        hbk_paper_difference(&paper, &the_cell, "node", "baseline", HBK_QUANTITY_RATE).count, 0);
}

static void a_sample_survives_its_line(void **state)
{
    (void)state;
    struct hbk_sample *sample = add("node", 4, 209.5), read;
    struct hbk_buffer line;
    hbk_buffer_init(&line, HBK_SAMPLE_LINE_BYTES_MAX);
    static const char why[] = "because \"of\" it";
    memcpy(sample->why, why, sizeof why);
    assert_int_equal(hbk_sample_write(sample, &line), HBK_OK);
    assert_int_equal(hbk_sample_read(hbk_buffer_slice(&line), &read), HBK_OK);
    assert_string_equal(read.system, "node");
    assert_string_equal(read.why, sample->why);
    assert_true(read.block == 4 && read.is_good && hbk_cell_equal(&read.cell, &the_cell));
    assert_true(read.values[HBK_P99_MS] == 209.5 && isnan(read.values[HBK_SERVER_AGENT_CPU]));
    struct hbk_slice whole = hbk_buffer_slice(&line);
    for (size_t size = 0; size + 1 < whole.size; size++) { /* all but the line's end */
        assert_int_equal(hbk_sample_read(hbk_slice_part(whole, 0, size), &read), HBK_INVALID);
    }
    hbk_buffer_fini(&line);
}

static void a_plan_runs_a_cell_once_for_all_that_need_it(void **state)
{
    (void)state;
    paper.options = (struct hbk_paper_options){.items = HBK_ALL_ITEMS, .is_full = true};
    hbk_paper_plan(&paper);
    assert_in_range(paper.cell_count, 20, HBK_PAPER_CELLS_MAX);
    for (unsigned i = 0; i < paper.cell_count; i++) {
        assert_true(paper.cells[i].cell.duration_ms == 300000);
        for (unsigned k = 0; k < i; k++) {
            assert_false(hbk_cell_equal(&paper.cells[i].cell, &paper.cells[k].cell));
        }
    }
    paper.options = (struct hbk_paper_options){.items = HBK_TABLE_1};
    hbk_paper_plan(&paper);
    assert_int_equal(paper.cell_count, 2); /* bursts and uniform */
    paper.options = (struct hbk_paper_options){.items = HBK_FIGURE_4};
    hbk_paper_plan(&paper);
    assert_int_equal(paper.cell_count, 3); /* who asks for the figure gets its three loads */
    paper.options = (struct hbk_paper_options){.items = HBK_FIGURE_8};
    hbk_paper_plan(&paper);
    assert_int_equal(paper.cell_count, 8);       /* between nodes and inside one */
    assert_int_equal(paper.cells[0].systems, 2); /* the node agent alone */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(what_is_added_is_paired_with_the_baseline_of_the_same_block, begin),
        cmocka_unit_test_setup(a_side_is_application_and_agent_with_their_share_of_the_kernel,
                               begin),
        cmocka_unit_test_setup(a_feature_costs_what_its_switch_changes_in_the_blocks_that_have_both,
                               begin),
        cmocka_unit_test_setup(a_sample_survives_its_line, begin),
        cmocka_unit_test_setup(a_plan_runs_a_cell_once_for_all_that_need_it, begin),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
