#include "paper/figures.h"
#include "paper/result.h"
#include "series.h"

static struct hbk_buffer page;

/* The page of the series, as text that ends with a zero. */
static const char *write_page(void)
{
    paper.options.command = "hauberk bench paper";
    hbk_buffer_init(&page, HBK_PAGE_BYTES_MAX);
    assert_int_equal(hbk_paper_report(&paper, &page), HBK_OK);
    assert_int_equal(hbk_buffer_append(&page, hbk_slice_of("", 1)), HBK_OK);
    return (const char *)hbk_buffer_slice(&page).bytes;
}

static int end(void **state)
{
    (void)state;
    hbk_buffer_fini(&page);
    return 0;
}

/* How often a part of the page, from one text to the next `until`, has another in it. */
static unsigned count_of(const char *text, const char *from, const char *until, const char *sought)
{
    unsigned count = 0;
    const char *at = strstr(text, from);
    assert_non_null(at);
    const char *last = strstr(at + 1, until);
    assert_non_null(last);
    while ((at = strstr(at, sought)) != NULL && at < last) {
        count++;
        at++;
    }
    return count;
}

static void a_command_that_repeats_a_cell_has_files_and_programs_as_they_were_given(void **state)
{
    (void)state;
    paper.options.binaries[0] = "other=/opt/a b";
    paper.options.binaries[1] = "node=/opt/hauberk";
    paper.options.binaries[2] = "absent=/opt/absent"; /* of no system of the cell */
    paper.options.binary_count = 3;
    paper.options.load_core = 1;
    paper.options.pause_ms = 500;
    static const char file[] = "of mine/it's.yaml";
    memcpy(paper.systems[2].file, file, sizeof file);
    assert_non_null(strstr(write_page(),
                           "<code>hauberk bench paper --only table2 --blocks 3 --cores 0,1 "
                           "--pause 500ms --systems baseline,node,'of mine/it'\\''s.yaml' "
                           "--binary 'other=/opt/a b' --binary node=/opt/hauberk -o DIR</code>"));
}

static void a_table_has_ratios_to_the_same_block_below_it(void **state)
{
    (void)state;
    for (unsigned block = 0; block < 3; block++) {
        add("baseline", block, 200 * (1 + block));
        add_agent(add("node", block, 210 * (1 + block)), 0.01, 5);
        for (unsigned i = 0; i < 2; i++) {
            paper.samples[paper.sample_count - 1 - i].values[HBK_ACHIEVED_RPS] = 3200;
        }
    }
    const char *text = write_page();
    const char *ratios = strstr(text, "The same as ratios to no mesh");
    assert_non_null(ratios);
    assert_int_equal(count_of(ratios, "ratios", "</table>", ">CPU</th>"), 1);
    assert_int_equal(count_of(ratios, "ratios", "</table>", "<td>1.050<small>1.050 to 1.050"), 2);
    assert_int_equal(count_of(ratios, "ratios", "</table>", "<td>1.20<small>1.20 to 1.20"), 2);
    assert_int_equal(count_of(ratios, "ratios", "</table>", "<td>1.50<small>1.50 to 1.50"), 2);
    assert_int_equal(count_of(ratios, "ratios", "</table>", "<tr>"), 3); /* two heads, and node */
}

static void figure_6_has_a_drawing_for_each_load_that_was_run_in_both_placements(void **state)
{
    (void)state;
    paper.options = (struct hbk_paper_options){.items = HBK_FIGURE_6, .is_full = true};
    hbk_paper_plan(&paper);
    assert_int_equal(paper.cell_count, 6);
    for (unsigned i = 0; i < paper.cell_count; i++) {
        struct hbk_sample *sample = add("node", 0, 205);
        sample->cell = paper.cells[i].cell;
    }
    assert_int_equal(count_of(write_page(), "id=\"figure6\"", "<h3", "<figure>"), 3);
    hbk_buffer_fini(&page);
    paper.sample_count = 0;
    assert_int_equal(count_of(write_page(), "id=\"figure6\"", "<h3", "<figure>"), 0);
    assert_int_equal(
        count_of((const char *)hbk_buffer_slice(&page).bytes, "id=\"figure6\"", "<h3", "Not meas"),
        3);
}

static void figure_7_tells_the_percent_of_the_baseline(void **state)
{
    (void)state;
    paper.options = (struct hbk_paper_options){.items = HBK_FIGURE_7};
    hbk_paper_plan(&paper);
    assert_int_equal(paper.cell_count, 1);
    static const double rates_rps[] = {40000, 60000};
    for (unsigned block = 0; block < 2; block++) {
        struct hbk_sample *plain = add("baseline", block, 1), *meshed = add("node", block, 2);
        plain->cell = meshed->cell = paper.cells[0].cell;
        plain->values[HBK_ACHIEVED_RPS] = rates_rps[block];
        meshed->values[HBK_ACHIEVED_RPS] = rates_rps[block] / 4;
    }
    const char *text = write_page();
    assert_int_equal(count_of(text, "percent of baseline", "</table>", "<td>100.0<small>"), 1);
    assert_int_equal(count_of(text, "percent of baseline", "</table>",
                              "<tr><td>node</td>\n<td>12500<small>10000 to 15000</small></td>"
                              "<td>25.0<small>25.0 to 25.0</small></td></tr>"),
                     1);
}

static void a_series_of_fewer_than_ten_blocks_says_what_a_claim_needs(void **state)
{
    (void)state;
    static const struct {
        bool is_full;
        unsigned blocks;
        bool is_marked;
    } cases[] = {
        {false, 0, true}, {false, 10, true}, {true, 0, true}, {true, 9, true}, {true, 10, false}};
    for (size_t i = 0; i < HBK_COUNT(cases); i++) {
        paper.options = (struct hbk_paper_options){
            .items = HBK_TABLE_2, .is_full = cases[i].is_full, .blocks = cases[i].blocks};
        unsigned count =
            count_of(write_page(), "arXiv", "id=\"targets\"", "needs <code>--blocks 10</code>");
        assert_int_equal(count, cases[i].is_marked);
        hbk_buffer_fini(&page);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(
            a_command_that_repeats_a_cell_has_files_and_programs_as_they_were_given, begin, end),
        cmocka_unit_test_setup_teardown(a_table_has_ratios_to_the_same_block_below_it, begin, end),
        cmocka_unit_test_setup_teardown(
            figure_6_has_a_drawing_for_each_load_that_was_run_in_both_placements, begin, end),
        cmocka_unit_test_setup_teardown(figure_7_tells_the_percent_of_the_baseline, begin, end),
        cmocka_unit_test_setup_teardown(a_series_of_fewer_than_ten_blocks_says_what_a_claim_needs,
                                        begin, end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
