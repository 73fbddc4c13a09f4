#include "config/report.h"

#include "harness.h"

#include "failing_heap.h"

struct nearest_case {
    const char *found;
    const char *nearest; /* NULL: none */
};

static void the_nearest_word_is_a_likely_misspelling(void **state)
{
    (void)state;
    static const char *const words[] = {"name", "namespace", "protocol", "workloadIps", NULL};
    static const struct nearest_case cases[] = {
        {"name", "name"},
        {"nmae", "name"},
        {"nam", "name"},
        {"names", "name"},
        {"namespcae", "namespace"},
        {"NAMESPACE", "namespace"},
        {"protcol", "protocol"},
        {"workloadIPs", "workloadIps"},
        {"workload_ips", "workloadIps"},
        {"replicas", NULL},
        {"", NULL},
        {"zzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzz", NULL},
    };
    for (size_t i = 0; i < HBK_COUNT(cases); i++) {
        const char *nearest = hbk_nearest_word(hbk_slice_text(cases[i].found), words);
        print_message("%s\n", cases[i].found);
        if (cases[i].nearest == NULL) {
            assert_null(nearest);
        } else {
            assert_non_null(nearest);
            assert_string_equal(nearest, cases[i].nearest);
        }
    }
}

static void a_report_keeps_the_first_lines_and_counts_the_others(void **state)
{
    (void)state;
    static struct hbk_report report;
    hbk_report_init(&report);
    for (uint32_t i = 1; i <= HBK_REPORT_ERRORS_MAX + 5; i++) {
        hbk_report_add(&report, "f", i, 1, "mistake %u", i);
    }
    assert_int_equal(report.count, HBK_REPORT_ERRORS_MAX);
    assert_int_equal(report.dropped, 5);
    assert_string_equal(report.lines[0], "f:1:1: mistake 1");
}

int main(void)
{
    heap_fail_at(0);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_nearest_word_is_a_likely_misspelling),
        cmocka_unit_test(a_report_keeps_the_first_lines_and_counts_the_others),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
