#include "paper/target.h"

#include <stdio.h>

#include "paper/result.h"
#include "series.h"

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
        assert_non_null(strstr(best->found, "beside other, the closest"));
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
            if (i == 0) { /* one of the three differs, as it does where there are two */
                pair->values[HBK_SERVER_AGENT_SOCKETS]++;
            } else {
                pair->values[HBK_SERVER_AGENT_CPU] += 1e-6;
            }
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
    assert_non_null(strstr(best->found, "beside other, the closest"));
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
        struct hbk_sample *broken = add("node", 0, 250); /* before its block was repeated */
        broken->cell = *cell;
        broken->is_good = false;
        count = hbk_paper_targets(&paper, targets);
        assert_int_equal(find(targets, count, "12,800")->verdict, HBK_TARGET_MISSED);
    }
}

/* Figures of an agent that would meet everything, if it did what is asked of it. */
static void add_cheap_blocks(unsigned blocks)
{
    for (unsigned block = 0; block < blocks; block++) {
        add("baseline", block, 200);
        add_agent(add("node", block, 201), 0.001, 1);
        add_agent(add("other", block, 240), 0.1, 20);
    }
}

static void expect_all(enum hbk_verdict_of_target verdict, const char *found)
{
    static struct hbk_target targets[HBK_TARGETS_MAX];
    unsigned count = hbk_paper_targets(&paper, targets), judged = 0;
    for (unsigned i = 0; i < count; i++) {
        if (strstr(targets[i].text, "12,800") == NULL) {
            assert_int_equal(targets[i].verdict, verdict);
            if (strstr(targets[i].found, found) == NULL) {
                fail_msg("\"%s\": %s", targets[i].text, targets[i].found);
            }
            judged++;
        }
    }
    assert_int_equal(judged, 12);
}

static void an_agent_that_refuses_calls_or_leaves_them_undone_is_cheap_and_misses(void **state)
{
    static const struct {
        enum hbk_arrivals arrivals;
        double calls, failed; /* of each of two runs, 12,800 planned */
        enum hbk_verdict_of_target verdict;
        const char *found;
    } cases[] = {
        {HBK_BURST, 12800, 12, HBK_TARGET_MET, "2 blocks"},
        {HBK_BURST, 12800, 13, HBK_TARGET_MISSED, "; but 26 of 25600 calls failed"},
        {HBK_BURST, 12700, 0, HBK_TARGET_MET, "2 blocks"},
        {HBK_BURST, 12600, 0, HBK_TARGET_MISSED, "; but 25200 of 25600 calls made"},
        {HBK_UNIFORM, 12800, 12, HBK_TARGET_MET, "2 blocks"},
        {HBK_UNIFORM, 12800, 6400, HBK_TARGET_MISSED, "calls failed"},
        {HBK_UNIFORM, 12600, 0, HBK_TARGET_MISSED, "calls made"},
        {HBK_BURST, NAN, 0, HBK_TARGET_MISSED, "; but"},
        {HBK_BURST, 12800, NAN, HBK_TARGET_MISSED, "; but"},
    };
    for (size_t i = 0; i < HBK_COUNT(cases); i++) {
        assert_int_equal(begin(state), 0);
        add_cheap_blocks(2);
        paper.cells[0].cell.arrivals = cases[i].arrivals;
        for (unsigned k = 0; k < paper.sample_count; k++) {
            struct hbk_sample *sample = &paper.samples[k];
            sample->cell.arrivals = cases[i].arrivals;
            if (strcmp(sample->system, "node") == 0) {
                sample->values[HBK_CALLS] = cases[i].calls;
                sample->values[HBK_FAILED] = cases[i].failed;
            }
        }
        expect_all(cases[i].verdict, cases[i].found);
    }
}

static void
one_run_that_broke_is_held_against_all_its_good_ones_also_when_it_was_repeated(void **state)
{
    (void)state;
    add_cheap_blocks(10);
    expect_all(HBK_TARGET_MET, "10 blocks");
    struct hbk_sample *broken = add("node", 9, 0); /* whose block has a good run, too */
    broken->is_good = false;
    expect_all(HBK_TARGET_MISSED, "; but 1 of 11 runs failed");
    broken->is_good = true;
    broken->block = 10; /* of another system it is no matter of ours */
    memcpy(broken->system, "baseline", sizeof "baseline");
    broken->is_good = false;
    expect_all(HBK_TARGET_MET, "10 blocks");
}

static void what_broke_in_each_run_is_missed_and_what_never_ran_is_unknown(void **state)
{
    add("baseline", 0, 200);
    add_agent(add("other", 0, 240), 0.1, 20);
    expect_all(HBK_TARGET_UNKNOWN, "not measured");
    add("node", 0, 200)->is_good = false;
    add("node", 1, 200)->is_good = false;
    expect_all(HBK_TARGET_MISSED, "all 2 runs failed");
    assert_int_equal(begin(state), 0);
    add("node", 0, 201);
    add("baseline", 0, 200)->is_good = false;
    expect_all(HBK_TARGET_UNKNOWN, "nothing to compare with");
    add("node", 1, 201)->is_good = false;
    expect_all(HBK_TARGET_MISSED, "; but 1 of 2 runs failed");
}

/* The second mesh is better in each block, though worse by medians over all that each has. */
static void others_are_compared_within_blocks_and_who_is_left_out_is_named(void **state)
{
    (void)state;
    static struct hbk_target targets[HBK_TARGETS_MAX];
    static const struct {
        const char *name;
        bool is_usable, is_variant;
    } more[] = {
        {"second", true, false}, {"broken", true, false}, {"missing", false, false},
        {"variant", true, true}, {"idle", true, false},
    };
    for (size_t i = 0; i < HBK_COUNT(more); i++) {
        struct hbk_paper_system *system = &paper.systems[paper.system_count++];
        *system = (struct hbk_paper_system){.kind = HBK_PAIR,
                                            .encrypts = true,
                                            .is_usable = more[i].is_usable,
                                            .is_variant = more[i].is_variant};
        (void)snprintf(system->name, sizeof system->name, "%s", more[i].name);
    }
    for (unsigned block = 0; block < 3; block++) {
        add("node", block, 205 + 50 * block);
        add("other", block, 215 + 50 * block);
        add("broken", block, 0)->is_good = false;
    }
    add("second", 2, 304); /* beside our 305; our median is 255 */
    unsigned count = hbk_paper_targets(&paper, targets);
    const struct hbk_target *best = find(targets, count, "P99: lower than every other");
    assert_int_equal(best->verdict, HBK_TARGET_MISSED);
    assert_string_equal(best->found,
                        "+1 ms, 1 block, beside second, the closest; left out: broken (all its "
                        "runs failed), missing (not available here), idle (not measured)");
    paper.sample_count--;
    count = hbk_paper_targets(&paper, targets);
    best = find(targets, count, "P99: lower than every other");
    assert_int_equal(best->verdict, HBK_TARGET_MET);
    assert_non_null(strstr(best->found, "-10 ms [-10, -10], 3 blocks, beside other, the closest;"));
    add("other", 2, 0)->is_good = false; /* is compared all the same */
    count = hbk_paper_targets(&paper, targets);
    best = find(targets, count, "P99: lower than every other");
    assert_int_equal(best->verdict, HBK_TARGET_MET);
    assert_non_null(strstr(best->found, "the closest (of its own, 1 of 4 runs failed); left"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(a_target_is_met_or_missed_by_the_figures_alone, begin),
        cmocka_unit_test_setup(inside_a_node_all_of_a_mesh_is_compared_with_all_of_another, begin),
        cmocka_unit_test_setup(what_does_not_encrypt_is_no_competitor, begin),
        cmocka_unit_test_setup(
            the_largest_load_is_held_without_an_error_in_each_run_or_the_target_is_missed, begin),
        cmocka_unit_test_setup(
            an_agent_that_refuses_calls_or_leaves_them_undone_is_cheap_and_misses, begin),
        cmocka_unit_test_setup(
            one_run_that_broke_is_held_against_all_its_good_ones_also_when_it_was_repeated, begin),
        cmocka_unit_test_setup(what_broke_in_each_run_is_missed_and_what_never_ran_is_unknown,
                               begin),
        cmocka_unit_test_setup(others_are_compared_within_blocks_and_who_is_left_out_is_named,
                               begin),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
