#include "paper/result.h"

#include <math.h>

#include "harness.h"

static struct hbk_paper paper; /* too large for a stack */

static const struct hbk_cell the_cell = {.placement = HBK_INTER,
                                         .arrivals = HBK_BURST,
                                         .rate_rps = 3200,
                                         .connections = 1600,
                                         .delay_ms = 200,
                                         .duration_ms = 4000};

static struct hbk_sample *add(const char *system, unsigned block, double p99_ms)
{
    struct hbk_sample *sample = &paper.samples[paper.sample_count++];
    *sample = (struct hbk_sample){.cell = the_cell, .block = block, .is_good = true};
    (void)strncpy(sample->system, system, sizeof sample->system - 1);
    for (unsigned i = 0; i < HBK_MEASURES; i++) {
        sample->values[i] = NAN;
    }
    sample->values[HBK_FORTIO_P99_MS] = sample->values[HBK_P99_MS] = p99_ms;
    sample->values[HBK_CLIENT_CPU] = sample->values[HBK_SERVER_CPU] = 0.05;
    sample->values[HBK_CLIENT_MIB] = sample->values[HBK_SERVER_MIB] = 10;
    sample->values[HBK_CLIENT_SOCKETS] = sample->values[HBK_SERVER_SOCKETS] = 1600;
    sample->values[HBK_KERNEL_MIB] = 16;
    return sample;
}

static void add_agent(struct hbk_sample *sample, double cpu, double mib)
{
    sample->values[HBK_CLIENT_AGENT_CPU] = sample->values[HBK_SERVER_AGENT_CPU] = cpu;
    sample->values[HBK_CLIENT_AGENT_MIB] = sample->values[HBK_SERVER_AGENT_MIB] = mib;
    sample->values[HBK_CLIENT_AGENT_SOCKETS] = sample->values[HBK_SERVER_AGENT_SOCKETS] = 1600;
    sample->values[HBK_KERNEL_MIB] = 32;
}

static int begin(void **state)
{
    static struct hbk_sample samples[64];
    (void)state;
    paper = (struct hbk_paper){.samples = samples, .system_count = 3, .cell_count = 1};
    paper.systems[0] = (struct hbk_paper_system){.name = "baseline", .is_usable = true};
    paper.systems[1] = (struct hbk_paper_system){
        .name = "node", .kind = HBK_NODE, .encrypts = true, .is_usable = true};
    paper.systems[2] = (struct hbk_paper_system){
        .name = "other", .kind = HBK_PAIR, .encrypts = true, .is_usable = true};
    paper.cells[0] =
        (struct hbk_paper_cell){.cell = the_cell, .items = HBK_TABLE_2, .blocks = 3, .systems = 7};
    return 0;
}

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

static const struct hbk_target *find(const struct hbk_target *targets, unsigned count,
                                     const char *part)
{
    for (unsigned i = 0; i < count; i++) {
        if (strstr(targets[i].text, part) != NULL) {
            return &targets[i];
        }
    }
    fail_msg("no target about %s", part);
    return NULL;
}

static void a_target_is_met_or_missed_by_the_figures_alone(void **state)
{
    (void)state;
    static struct hbk_target targets[HBK_TARGETS_MAX];
    static const struct {
        double p99_ms, cpu, mib;
        enum hbk_verdict_of_target p99, cpu_verdict, mib_verdict;
    } cases[] = {
        {209, 0.010, 7, HBK_TARGET_MET, HBK_TARGET_MET, HBK_TARGET_MET},
        {260, 0.010, 7, HBK_TARGET_MISSED, HBK_TARGET_MET, HBK_TARGET_MET},
        {209, 0.200, 9, HBK_TARGET_MET, HBK_TARGET_MISSED, HBK_TARGET_MISSED},
    };
    for (size_t i = 0; i < HBK_COUNT(cases); i++) {
        assert_int_equal(begin(state), 0);
        for (unsigned block = 0; block < 3; block++) {
            add("baseline", block, 200);
            add_agent(add("node", block, cases[i].p99_ms), cases[i].cpu, cases[i].mib);
            add_agent(add("other", block, 240), 0.1, 20);
        }
        unsigned count = hbk_paper_targets(&paper, targets);
        assert_int_equal(find(targets, count, "P99 in Fortio's")->verdict, cases[i].p99);
        assert_int_equal(find(targets, count, "CPU of the client's side: at most")->verdict,
                         cases[i].cpu_verdict);
        assert_int_equal(find(targets, count, "private memory, server's")->verdict,
                         cases[i].mib_verdict);
        const struct hbk_target *best = find(targets, count, "P99: lower than every other");
        assert_int_equal(best->verdict, cases[i].p99_ms < 240 ? HBK_TARGET_MET : HBK_TARGET_MISSED);
        assert_non_null(strstr(best->found, "other"));
    }
}

/* As the bench sees them: inside a node one agent is on both sides, with one look for both. */
static void inside_a_node_all_of_a_mesh_is_compared_with_all_of_another(void **state)
{
    (void)state;
    static struct hbk_target targets[HBK_TARGETS_MAX];
    static const struct {
        double pair_cpu; /* of each half */
        enum hbk_verdict_of_target verdict;
    } cases[] = {{0.06, HBK_TARGET_MET}, {0.04, HBK_TARGET_MISSED}};
    for (size_t i = 0; i < HBK_COUNT(cases); i++) {
        assert_int_equal(begin(state), 0);
        paper.cells[0].cell.placement = HBK_INTRA;
        paper.cells[0].items = HBK_TABLE_1;
        for (unsigned block = 0; block < 3; block++) {
            struct hbk_sample *agent = add("node", block, 205), *pair = add("other", block, 205);
            add_agent(agent, 0.1, 6);
            add_agent(pair, cases[i].pair_cpu, 4);
            pair->values[HBK_SERVER_AGENT_SOCKETS]++;
            agent->cell.placement = pair->cell.placement = HBK_INTRA;
            assert_true(fabs(hbk_quantity_of(agent, HBK_QUANTITY_MESH_CPU) - 0.1) < 1e-9);
            assert_true(hbk_quantity_of(pair, HBK_QUANTITY_MESH_MIB) == 8);
        }
        unsigned count = hbk_paper_targets(&paper, targets);
        assert_int_equal(find(targets, count, "CPU of all the mesh's processes: lower")->verdict,
                         cases[i].verdict);
        assert_int_equal(find(targets, count, "memory of all the mesh's processes: lower")->verdict,
                         HBK_TARGET_MET);
        for (unsigned k = 0; k < count; k++) { /* sides are not comparable there */
            assert_true(strstr(targets[k].text, "lower than every") == NULL ||
                        strstr(targets[k].text, " side") == NULL);
        }
    }
}

static void what_does_not_encrypt_is_no_competitor(void **state)
{
    (void)state;
    static struct hbk_target targets[HBK_TARGETS_MAX];
    paper.systems[paper.system_count++] = (struct hbk_paper_system){
        .name = "node-plain", .kind = HBK_NODE, .is_plain = true, .is_usable = true};
    add_agent(add("node", 0, 205), 0.02, 3);
    add_agent(add("node-plain", 0, 201), 0.01, 2);
    add_agent(add("other", 0, 210), 0.03, 4);
    unsigned count = hbk_paper_targets(&paper, targets);
    const struct hbk_target *best = find(targets, count, "P99: lower than every other");
    assert_int_equal(best->verdict, HBK_TARGET_MET);
    assert_non_null(strstr(best->found, "(other)"));
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

static void
the_largest_load_is_held_without_an_error_in_each_run_or_the_target_is_missed(void **state)
{
    (void)state;
    static struct hbk_target targets[HBK_TARGETS_MAX];
    enum { RUNS = 3 };
    static const struct {
        double calls[RUNS], failed[RUNS];
        bool is_good[RUNS];
        enum hbk_verdict_of_target verdict;
    } cases[] = {
        {{25600, 25600, 25600}, {0, 0, 0}, {true, true, true}, HBK_TARGET_MET},
        {{25600, 25600, 25600}, {0, 0, 1}, {true, true, true}, HBK_TARGET_MISSED}, /* a median: 0 */
        {{25600, 25600, 19000}, {0, 0, 0}, {true, true, true}, HBK_TARGET_MISSED},
        {{25600, 25600, 25600}, {0, 0, 0}, {true, true, false}, HBK_TARGET_MISSED},
        {{25600, 25600, 25600}, {0, 0, 0}, {false, false, false}, HBK_TARGET_MISSED},
    };
    for (size_t i = 0; i < HBK_COUNT(cases); i++) {
        assert_int_equal(begin(state), 0);
        struct hbk_cell *cell = &paper.cells[0].cell;
        unsigned count = hbk_paper_targets(&paper, targets);
        assert_int_equal(find(targets, count, "12,800")->verdict, HBK_TARGET_UNKNOWN);
        cell->rate_rps = 12800;
        cell->connections = 6400;
        cell->duration_ms = 2000;
        paper.cells[0].items = HBK_FIGURE_4;
        count = hbk_paper_targets(&paper, targets);
        assert_int_equal(find(targets, count, "12,800")->verdict, HBK_TARGET_UNKNOWN);
        for (unsigned block = 0; block < RUNS; block++) {
            struct hbk_sample *sample = add("node", block, 250);
            sample->cell = *cell;
            sample->is_good = cases[i].is_good[block];
            sample->values[HBK_CALLS] = cases[i].calls[block];
            sample->values[HBK_FAILED] = cases[i].failed[block];
        }
        count = hbk_paper_targets(&paper, targets);
        assert_int_equal(find(targets, count, "12,800")->verdict, cases[i].verdict);
    }
}

static void what_was_not_measured_is_neither_met_nor_missed(void **state)
{
    (void)state;
    static struct hbk_target targets[HBK_TARGETS_MAX];
    add("baseline", 0, 200);
    add("node", 0, 200)->is_good = false;
    unsigned count = hbk_paper_targets(&paper, targets);
    assert_true(count > 0);
    for (unsigned i = 0; i < count; i++) {
        assert_int_equal(targets[i].verdict, HBK_TARGET_UNKNOWN);
    }
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
        cmocka_unit_test_setup(a_target_is_met_or_missed_by_the_figures_alone, begin),
        cmocka_unit_test_setup(inside_a_node_all_of_a_mesh_is_compared_with_all_of_another, begin),
        cmocka_unit_test_setup(what_does_not_encrypt_is_no_competitor, begin),
        cmocka_unit_test_setup(a_feature_costs_what_its_switch_changes_in_the_blocks_that_have_both,
                               begin),
        cmocka_unit_test_setup(
            the_largest_load_is_held_without_an_error_in_each_run_or_the_target_is_missed, begin),
        cmocka_unit_test_setup(what_was_not_measured_is_neither_met_nor_missed, begin),
        cmocka_unit_test_setup(a_sample_survives_its_line, begin),
        cmocka_unit_test_setup(a_plan_runs_a_cell_once_for_all_that_need_it, begin),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
