/* The limits of a cluster: circuit breakers. */
#include "cluster/cluster.h"

#include "harness.h"

static void limits_are_envoys_where_nothing_is_said(void **state)
{
    (void)state;
    const struct hbk_gw_cluster config = {.name = HBK_SLICE("plain")};
    struct hbk_gw_plan_cluster cluster = {.limits = {.pending = 7}, .server_name = HBK_SLICE("x")};
    hbk_gw_plan_cluster_init(&cluster, &config);
    assert_ptr_equal(cluster.config, &config);
    assert_int_equal(cluster.thresholds.max_connections, 1024);
    assert_int_equal(cluster.thresholds.max_pending_requests, 1024);
    assert_int_equal(cluster.thresholds.max_requests, 1024);
    assert_int_equal(cluster.thresholds.max_retries, 3);
    assert_int_equal(cluster.high_thresholds.max_retries, 3);
    assert_int_equal(cluster.host_connections_max, UINT32_MAX);
    assert_int_equal(cluster.limits.pending, 0);
    assert_null(cluster.tls);
    assert_int_equal(cluster.server_name.size, 0);
}

static void each_priority_has_limits_of_its_own(void **state)
{
    (void)state;
    const struct hbk_gw_thresholds both[] = {
        {.priority = 1, .max_connections = 20},
        {.priority = 0, .max_connections = 10, .max_retries = 1},
    };
    const struct hbk_gw_thresholds hosts[] = {
        {.priority = 1, .max_connections = 9},
        {.priority = 0, .max_connections = 4},
    };
    const struct hbk_gw_circuit_breakers breakers = {
        .thresholds = both,
        .thresholds_count = HBK_COUNT(both),
        .per_host_thresholds = hosts,
        .per_host_thresholds_count = HBK_COUNT(hosts),
    };
    const struct hbk_gw_cluster config = {.circuit_breakers = &breakers};
    struct hbk_gw_plan_cluster cluster;
    hbk_gw_plan_cluster_init(&cluster, &config);
    assert_int_equal(cluster.thresholds.max_connections, 10);
    assert_int_equal(cluster.thresholds.max_retries, 1);
    assert_int_equal(cluster.high_thresholds.max_connections, 20);
    assert_int_equal(cluster.host_connections_max, 4);
}

static void a_cluster_is_found_by_its_whole_name(void **state)
{
    (void)state;
    const struct hbk_gw_cluster configs[] = {{.name = HBK_SLICE("one")},
                                             {.name = HBK_SLICE("oneness")}};
    struct hbk_gw_plan_cluster clusters[HBK_COUNT(configs)];
    const struct hbk_gw_cluster_list list = {clusters, HBK_COUNT(clusters)};
    for (size_t i = 0; i < HBK_COUNT(configs); i++) {
        hbk_gw_plan_cluster_init(&clusters[i], &configs[i]);
    }
    assert_ptr_equal(hbk_gw_cluster_find(&list, HBK_SLICE("one")), &clusters[0]);
    assert_ptr_equal(hbk_gw_cluster_find(&list, HBK_SLICE("oneness")), &clusters[1]);
    assert_null(hbk_gw_cluster_find(&list, HBK_SLICE("ones")));
    assert_null(hbk_gw_cluster_find(&list, HBK_SLICE("One")));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(limits_are_envoys_where_nothing_is_said),
        cmocka_unit_test(each_priority_has_limits_of_its_own),
        cmocka_unit_test(a_cluster_is_found_by_its_whole_name),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
