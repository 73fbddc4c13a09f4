#include "telemetry/telemetry.h"

#include "harness.h"

/* Two workers and the totals, as in a program. */
static struct hbk_telemetry workers[2];
static struct hbk_telemetry totals;

static int set_up(void **state)
{
    (void)state;
    return hbk_telemetry_init(&workers[0]) == HBK_OK && hbk_telemetry_init(&workers[1]) == HBK_OK &&
                   hbk_telemetry_init(&totals) == HBK_OK
               ? 0
               : -1;
}

static int tear_down(void **state)
{
    (void)state;
    hbk_telemetry_fini(&workers[0]);
    hbk_telemetry_fini(&workers[1]);
    hbk_telemetry_fini(&totals);
    return 0;
}

static struct hbk_traffic_series *open_on(struct hbk_telemetry *telemetry, const char *workload)
{
    struct hbk_party_text text = {.workload = hbk_slice_text(workload)};
    struct hbk_destination_text service_text = {
        .name = HBK_SLICE("cart"), .namespace = HBK_SLICE("shop"), .host = HBK_SLICE("cart.shop")};
    struct hbk_party *party = hbk_party_get(&telemetry->traffic.parties, &text);
    struct hbk_destination *service =
        hbk_destination_get(&telemetry->traffic.parties, &service_text);
    struct hbk_traffic_key key = {.reporter = HBK_REPORTER_SOURCE,
                                  .is_mutual_tls = true,
                                  .source = party,
                                  .service = service};
    struct hbk_traffic_series *series = hbk_traffic_open(&telemetry->traffic, &key);
    hbk_party_unref(&telemetry->traffic.parties, party);
    hbk_destination_unref(&telemetry->traffic.parties, service);
    return series;
}

static void collect(uint64_t now_ns)
{
    for (size_t i = 0; i < HBK_COUNT(workers); i++) {
        struct hbk_telemetry_copy copy;
        assert_int_equal(hbk_telemetry_take(&workers[i], &copy), HBK_OK);
        hbk_telemetry_add(&totals, &copy, now_ns);
        hbk_telemetry_copy_fini(&copy);
    }
}

/* The only series of the totals that is not one of "other". */
static struct hbk_traffic_series *only_series(void)
{
    assert_int_equal(totals.traffic.series.count, 1);
    return HBK_CONTAINER(totals.traffic.list.head.previous, struct hbk_traffic_series, link);
}

static void counts_of_all_workers_are_added_once(void **state)
{
    (void)state;
    hbk_counter_add(&workers[0], HBK_COUNTER_LOOP_TURNS, 3);
    hbk_counter_add(&workers[1], HBK_COUNTER_LOOP_TURNS, 4);
    hbk_timing_add(&workers[0], HBK_TIMING_CONNECT, 100000);
    hbk_timing_add(&workers[1], HBK_TIMING_CONNECT, 100001);
    hbk_timing_add(&workers[1], HBK_TIMING_CONNECT, UINT64_C(6000000000));
    collect(1);
    collect(2);
    assert_int_equal(totals.counters[HBK_COUNTER_LOOP_TURNS], 7);
    const struct hbk_timing_counts *timing = &totals.timings[HBK_TIMING_CONNECT];
    assert_int_equal(timing->buckets[hbk_duration_bucket(100000)], 1);
    assert_int_equal(timing->buckets[hbk_duration_bucket(100000) + 1], 1);
    assert_int_equal(timing->buckets[HBK_DURATION_BOUNDS], 1);
    assert_int_equal(timing->sum_ns, UINT64_C(6000200001));
}

static void a_gauge_that_moves_between_threads_sums_up(void **state)
{
    (void)state;
    hbk_counter_add(&workers[0], HBK_COUNTER_TUNNELS_OPEN_CLIENT, 2);
    collect(1);
    hbk_counter_subtract(&workers[1], HBK_COUNTER_TUNNELS_OPEN_CLIENT, 1);
    collect(2);
    assert_int_equal(totals.counters[HBK_COUNTER_TUNNELS_OPEN_CLIENT], 1);
}

static void the_same_labels_on_two_workers_are_one_series(void **state)
{
    (void)state;
    struct hbk_traffic_series *first = open_on(&workers[0], "front");
    struct hbk_traffic_series *second = open_on(&workers[1], "front");
    first->sent_bytes += 10;
    second->sent_bytes += 5;
    second->received_bytes += 7;
    collect(1);
    assert_int_equal(only_series()->opened, 2);
    assert_int_equal(only_series()->sent_bytes, 15);
    assert_slice_equal(only_series()->key.source->text.workload, HBK_SLICE("front"));
    assert_slice_equal(only_series()->key.service->text.host, HBK_SLICE("cart.shop"));
    assert_true(only_series()->key.is_mutual_tls);

    first->sent_bytes += 1;
    hbk_traffic_close(&workers[0].traffic, first, HBK_RESPONSE_OK);
    hbk_traffic_close(&workers[1].traffic, second, HBK_RESPONSE_OK);
    collect(2);
    assert_int_equal(only_series()->closed, 2);
    assert_int_equal(only_series()->sent_bytes, 16);
    assert_int_equal(only_series()->received_bytes, 7);
}

static void a_worker_forgets_an_idle_series_and_the_totals_do_not_go_down(void **state)
{
    (void)state;
    hbk_traffic_close(&workers[0].traffic, open_on(&workers[0], "front"), HBK_RESPONSE_OK);
    for (size_t i = 0; i < HBK_TRAFFIC_IDLE_COPIES; i++) {
        collect(1 + i);
        assert_int_equal(workers[0].traffic.series.count, 1);
    }
    collect(100);
    assert_int_equal(workers[0].traffic.series.count, 0);
    assert_int_equal(only_series()->opened, 1);

    hbk_traffic_close(&workers[0].traffic, open_on(&workers[0], "front"), HBK_RESPONSE_OK);
    collect(101);
    assert_int_equal(only_series()->opened, 2);
}

static void an_open_connection_keeps_its_series_everywhere(void **state)
{
    (void)state;
    struct hbk_traffic_series *series = open_on(&workers[0], "front");
    for (size_t i = 0; i < 2 * HBK_TRAFFIC_IDLE_COPIES; i++) {
        collect(i * HBK_TRAFFIC_IDLE_NS);
    }
    assert_int_equal(only_series()->opened, 1);
    hbk_traffic_close(&workers[0].traffic, series, HBK_RESPONSE_OK);
    collect(100 * HBK_TRAFFIC_IDLE_NS);
    assert_int_equal(only_series()->closed, 1);
}

static void the_totals_forget_a_series_that_nobody_used_for_long(void **state)
{
    (void)state;
    hbk_traffic_close(&workers[0].traffic, open_on(&workers[0], "front"), HBK_RESPONSE_OK);
    collect(5);
    collect(4 + HBK_TRAFFIC_IDLE_NS);
    assert_int_equal(totals.traffic.series.count, 1);
    collect(5 + HBK_TRAFFIC_IDLE_NS);
    assert_int_equal(totals.traffic.series.count, 0);
    assert_int_equal(totals.counters[HBK_COUNTER_TRAFFIC_EVICTED], 1);
}

static void folded_connections_are_counted_once_on_the_way(void **state)
{
    (void)state;
    workers[0].traffic.series_max = 0;
    hbk_traffic_close(&workers[0].traffic, open_on(&workers[0], "front"), HBK_RESPONSE_DENY);
    collect(1);
    assert_int_equal(totals.counters[HBK_COUNTER_TRAFFIC_FOLDED], 1);
    assert_int_equal(totals.traffic.series.count, 0);
    assert_int_equal(totals.traffic.other[HBK_REPORTER_SOURCE][1][HBK_RESPONSE_OK].opened, 1);
    assert_int_equal(totals.traffic.other[HBK_REPORTER_SOURCE][1][HBK_RESPONSE_DENY].failed, 1);

    totals.traffic.series_max = 0;
    hbk_traffic_close(&workers[1].traffic, open_on(&workers[1], "front"), HBK_RESPONSE_OK);
    collect(2);
    assert_int_equal(totals.counters[HBK_COUNTER_TRAFFIC_FOLDED], 2);
    assert_int_equal(totals.traffic.other[HBK_REPORTER_SOURCE][1][HBK_RESPONSE_OK].opened, 2);
}

static void every_row_of_the_tables_is_filled_and_families_stay_together(void **state)
{
    (void)state;
    for (size_t i = 0; i < HBK_COUNTER_COUNT; i++) {
        const struct hbk_metric_row *row = hbk_counter_row((enum hbk_counter)i);
        assert_non_null(row->family);
        for (size_t j = 0; j < i; j++) {
            const struct hbk_metric_row *before = hbk_counter_row((enum hbk_counter)j);
            if (before->family != row->family) {
                assert_string_not_equal(before->family->name, row->family->name);
                continue;
            }
            assert_ptr_equal(hbk_counter_row((enum hbk_counter)(i - 1))->family, row->family);
            assert_string_not_equal(before->labels, row->labels);
        }
    }
    for (size_t i = 0; i < HBK_TIMING_COUNT; i++) {
        assert_int_equal(hbk_timing_row((enum hbk_timing)i)->family->type, HBK_METRIC_HISTOGRAM);
    }
}

#define CASE(function) cmocka_unit_test_setup_teardown(function, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(counts_of_all_workers_are_added_once),
        CASE(a_gauge_that_moves_between_threads_sums_up),
        CASE(the_same_labels_on_two_workers_are_one_series),
        CASE(a_worker_forgets_an_idle_series_and_the_totals_do_not_go_down),
        CASE(an_open_connection_keeps_its_series_everywhere),
        CASE(the_totals_forget_a_series_that_nobody_used_for_long),
        CASE(folded_connections_are_counted_once_on_the_way),
        CASE(every_row_of_the_tables_is_filled_and_families_stay_together),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
