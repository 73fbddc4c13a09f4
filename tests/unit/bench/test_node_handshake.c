#include "bench/node_handshake.h"

#include "harness.h"

static void each_figure_is_the_median_of_its_own_rounds(void **state)
{
    (void)state;
    static struct hbk_node_handshake bench;
    static const double rates[] = {100, 300, 200};
    bench = (struct hbk_node_handshake){.ratio = 0};
    for (size_t i = 0; i < HBK_COUNT(rates); i++) {
        struct hbk_node_handshake_row *native = &bench.rows[HBK_NODE_HANDSHAKE_NATIVE];
        struct hbk_node_handshake_row *openssl = &bench.rows[HBK_NODE_HANDSHAKE_OPENSSL];
        native->rounds[native->round_count++] =
            (struct hbk_node_handshake_figures){.per_second = rates[i],
                                                .per_core_second = 8 * rates[i],
                                                .request_p99_us = 1 / rates[i]};
        openssl->rounds[openssl->round_count++] =
            (struct hbk_node_handshake_figures){.per_core_second = 2 * rates[i]};
    }
    hbk_node_handshake_sum_up(&bench);
    const struct hbk_node_handshake_figures *median = &bench.rows[HBK_NODE_HANDSHAKE_NATIVE].median;
    assert_true(median->per_second == 200);
    assert_true(median->per_core_second == 1600);
    assert_true(median->request_p99_us == 1.0 / 200);
    assert_true(median->cpu_us == 0);
    assert_true(bench.ratio == 4);
}

static void without_rounds_there_is_no_ratio(void **state)
{
    (void)state;
    static struct hbk_node_handshake bench;
    hbk_node_handshake_sum_up(&bench);
    assert_true(bench.ratio == 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_figure_is_the_median_of_its_own_rounds),
        cmocka_unit_test(without_rounds_there_is_no_ratio),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
