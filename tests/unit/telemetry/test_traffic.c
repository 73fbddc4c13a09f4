#include "telemetry/traffic.h"

#include <stdio.h>

#include "harness.h"

static struct hbk_traffic traffic;

static int set_up(void **state)
{
    (void)state;
    return hbk_traffic_init(&traffic, 8) == HBK_OK ? 0 : -1;
}

static int tear_down(void **state)
{
    (void)state;
    hbk_traffic_fini(&traffic);
    return 0;
}

/* Opens from a workload of this name, holding no reference but the series' own. */
static struct hbk_traffic_series *open_from(const char *workload, const char *pod)
{
    struct hbk_party_text text = {.workload = hbk_slice_text(workload), .pod = hbk_slice_text(pod)};
    struct hbk_party *party = hbk_party_get(&traffic.parties, &text);
    struct hbk_traffic_key key = {.reporter = HBK_REPORTER_SOURCE, .source = party};
    struct hbk_traffic_series *series = hbk_traffic_open(&traffic, &key);
    hbk_party_unref(&traffic.parties, party);
    return series;
}

static void connections_with_the_same_labels_share_a_series(void **state)
{
    (void)state;
    struct hbk_traffic_series *first = open_from("cart", "cart-1");
    struct hbk_traffic_series *second = open_from("cart", "cart-2");
    assert_ptr_equal(first, second);
    assert_int_equal(first->opened, 2);
    assert_int_equal(first->connections, 2);
    hbk_traffic_close(&traffic, first, HBK_RESPONSE_OK);
    hbk_traffic_close(&traffic, second, HBK_RESPONSE_OK);
    assert_int_equal(first->closed, 2);
    assert_int_equal(first->failed, 0);
    assert_int_equal(first->connections, 0);
}

static void each_part_of_the_key_makes_another_series(void **state)
{
    (void)state;
    struct hbk_party_text text = {.workload = HBK_SLICE("cart")};
    struct hbk_destination_text service_text = {.host = HBK_SLICE("cart.shop")};
    struct hbk_party *party = hbk_party_get(&traffic.parties, &text);
    struct hbk_destination *service = hbk_destination_get(&traffic.parties, &service_text);
    const struct hbk_traffic_key keys[] = {
        {.reporter = HBK_REPORTER_SOURCE},
        {.reporter = HBK_REPORTER_DESTINATION},
        {.reporter = HBK_REPORTER_SOURCE, .is_mutual_tls = true},
        {.reporter = HBK_REPORTER_SOURCE, .source = party},
        {.reporter = HBK_REPORTER_SOURCE, .destination = party},
        {.reporter = HBK_REPORTER_SOURCE, .service = service},
    };
    struct hbk_traffic_series *series[HBK_COUNT(keys)];
    for (size_t i = 0; i < HBK_COUNT(keys); i++) {
        series[i] = hbk_traffic_open(&traffic, &keys[i]);
        for (size_t j = 0; j < i; j++) {
            assert_ptr_not_equal(series[i], series[j]);
        }
    }
    assert_int_equal(traffic.series.count, HBK_COUNT(keys));
    for (size_t i = 0; i < HBK_COUNT(keys); i++) {
        hbk_traffic_close(&traffic, series[i], HBK_RESPONSE_OK);
    }
    hbk_party_unref(&traffic.parties, party);
    hbk_destination_unref(&traffic.parties, service);
}

static void a_failed_connection_is_opened_without_and_closed_under_its_flag(void **state)
{
    (void)state;
    struct hbk_traffic_series *series = open_from("cart", "");
    hbk_traffic_close(&traffic, series, HBK_RESPONSE_DENY);
    assert_int_equal(series->opened, 1);
    assert_int_equal(series->closed, 0);

    struct hbk_traffic_series *denied = hbk_traffic_find(&traffic, &series->key, HBK_RESPONSE_DENY);
    assert_ptr_not_equal(denied, series);
    assert_int_equal(denied->opened, 0);
    assert_int_equal(denied->closed, 1);
    assert_int_equal(denied->failed, 1);
}

static void beyond_the_limit_connections_share_one_series_called_other(void **state)
{
    (void)state;
    for (size_t i = 0; i < traffic.series_max; i++) {
        char name[24];
        (void)snprintf(name, sizeof name, "w-%zu", i);
        hbk_traffic_close(&traffic, open_from(name, ""), HBK_RESPONSE_OK);
    }
    assert_int_equal(traffic.folded, 0);
    struct hbk_traffic_series *first = open_from("late", "");
    struct hbk_traffic_series *second = open_from("later", "");
    assert_ptr_equal(first, second);
    assert_slice_equal(first->key.source->text.workload, HBK_SLICE("other"));
    assert_int_equal(traffic.folded, 2);
    assert_int_equal(traffic.series.count, traffic.series_max);

    /* Failing under "other" stays under "other", even when a place became free meanwhile. */
    hbk_traffic_forget(&traffic,
                       HBK_CONTAINER(traffic.list.head.previous, struct hbk_traffic_series, link));
    hbk_traffic_close(&traffic, first, HBK_RESPONSE_CONNECT);
    assert_int_equal(traffic.other[HBK_REPORTER_SOURCE][0][HBK_RESPONSE_CONNECT].failed, 1);
    hbk_traffic_close(&traffic, second, HBK_RESPONSE_OK);

    /* A known series is still found. */
    struct hbk_traffic_series *known = open_from("w-0", "");
    assert_int_equal(known->opened, 2);
    hbk_traffic_close(&traffic, known, HBK_RESPONSE_OK);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(connections_with_the_same_labels_share_a_series, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(each_part_of_the_key_makes_another_series, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(
            a_failed_connection_is_opened_without_and_closed_under_its_flag, set_up, tear_down),
        cmocka_unit_test_setup_teardown(beyond_the_limit_connections_share_one_series_called_other,
                                        set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
