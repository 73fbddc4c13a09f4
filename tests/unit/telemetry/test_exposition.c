#include "telemetry/exposition.h"

#include <stdio.h>

#include "harness.h"

static struct hbk_telemetry totals;
static struct hbk_buffer out;

static int set_up(void **state)
{
    (void)state;
    hbk_buffer_init(&out, 1 << 20);
    return hbk_telemetry_init(&totals) == HBK_OK ? 0 : -1;
}

static int tear_down(void **state)
{
    (void)state;
    hbk_buffer_fini(&out);
    hbk_telemetry_fini(&totals);
    return 0;
}

static bool has_text(const char *wanted)
{
    struct hbk_slice text = hbk_buffer_slice(&out);
    return memmem(text.bytes, text.size, wanted, strlen(wanted)) != NULL;
}

static void render(enum hbk_exposition_format format)
{
    hbk_buffer_clear(&out);
    assert_int_equal(hbk_telemetry_render(&totals, &out, format, NULL, NULL), HBK_OK);
}

static struct hbk_traffic_series *open_full(enum hbk_reporter reporter)
{
    struct hbk_party_table *parties = &totals.traffic.parties;
    struct hbk_party_text front = {
        .pod = HBK_SLICE("front-1"),
        .workload = HBK_SLICE("front"),
        .canonical_service = HBK_SLICE("front-app"),
        .canonical_revision = HBK_SLICE("v1"),
        .namespace = HBK_SLICE("shop"),
        .principal = HBK_SLICE("spiffe://cluster.local/ns/shop/sa/front"),
        .cluster = HBK_SLICE("Kubernetes"),
        .region = HBK_SLICE("eu"),
    };
    struct hbk_party_text cart = {.workload = HBK_SLICE("cart"), .zone = HBK_SLICE("unseen")};
    struct hbk_destination_text host = {.name = HBK_SLICE("cart"),
                                        .namespace = HBK_SLICE("shop"),
                                        .host = HBK_SLICE("cart.shop.svc.cluster.local")};
    struct hbk_traffic_key key = {.reporter = reporter,
                                  .is_mutual_tls = true,
                                  .source = hbk_party_get(parties, &front),
                                  .destination = hbk_party_get(parties, &cart),
                                  .service = hbk_destination_get(parties, &host)};
    struct hbk_traffic_series *series = hbk_traffic_open(&totals.traffic, &key);
    hbk_party_unref(parties, key.source);
    hbk_party_unref(parties, key.destination);
    hbk_destination_unref(parties, key.service);
    return series;
}

#define FRONT_TO_CART(flag)                                                                        \
    "{reporter=\"source\",source_workload=\"front\",source_canonical_service=\"front-app\","       \
    "source_canonical_revision=\"v1\",source_workload_namespace=\"shop\","                         \
    "source_principal=\"spiffe://cluster.local/ns/shop/sa/front\",source_app=\"front-app\","       \
    "source_version=\"v1\",source_cluster=\"Kubernetes\","                                         \
    "destination_service=\"cart.shop.svc.cluster.local\",destination_service_namespace=\"shop\","  \
    "destination_service_name=\"cart\",destination_workload=\"cart\","                             \
    "destination_canonical_service=\"unknown\",destination_canonical_revision=\"unknown\","        \
    "destination_workload_namespace=\"unknown\",destination_principal=\"unknown\","                \
    "destination_app=\"unknown\",destination_version=\"unknown\",destination_cluster=\"unknown\"," \
    "request_protocol=\"tcp\",response_flags=\"" flag "\","                                        \
    "connection_security_policy=\"mutual_tls\",source_region=\"eu\",source_zone=\"unknown\"}"

static void traffic_has_the_labels_of_the_reference_in_their_order(void **state)
{
    (void)state;
    struct hbk_traffic_series *series = open_full(HBK_REPORTER_SOURCE);
    series->sent_bytes = 12;
    hbk_traffic_close(&totals.traffic, series, HBK_RESPONSE_DENY);
    render(HBK_EXPOSITION_PROMETHEUS);
    static const char expected[] =
        "# HELP istio_tcp_connections_opened_total Connections opened\n"
        "# TYPE istio_tcp_connections_opened_total counter\n"
        "istio_tcp_connections_opened_total" FRONT_TO_CART(
            "-") " 1\n"
                 "# HELP istio_tcp_connections_closed_total Connections closed\n"
                 "# TYPE istio_tcp_connections_closed_total counter\n"
                 "istio_tcp_connections_closed_total" FRONT_TO_CART(
                     "DENY") " 1\n"
                             "# HELP istio_tcp_received_bytes_total Bytes from clients to servers\n"
                             "# TYPE istio_tcp_received_bytes_total counter\n"
                             "istio_tcp_received_bytes_total" FRONT_TO_CART(
                                 "-") " 0\n"
                                      "# HELP istio_tcp_sent_bytes_total Bytes from servers to "
                                      "clients\n"
                                      "# TYPE istio_tcp_sent_bytes_total counter\n"
                                      "istio_tcp_sent_bytes_total" FRONT_TO_CART(
                                          "-") " 12\n"
                                               "# HELP istio_tcp_connections_failed_total "
                                               "Connections that failed\n"
                                               "# TYPE istio_tcp_connections_failed_total counter\n"
                                               "istio_tcp_connections_failed_total" FRONT_TO_CART(
                                                   "DENY") " 1\n"
                                                           "# HELP istio_build This program\n"
                                                           "# TYPE istio_build gauge\n"
                                                           "istio_build{component=\"hauberk\",tag="
                                                           "\"" HBK_VERSION "\"} 1\n";
    struct hbk_slice start = hbk_slice_part(hbk_buffer_slice(&out), 0, sizeof expected - 1);
    assert_slice_equal(start, HBK_SLICE(expected));
}

static void openmetrics_names_families_without_total_and_ends_with_eof(void **state)
{
    (void)state;
    hbk_counter_add(&totals, HBK_COUNTER_LOOP_TURNS, 9);
    render(HBK_EXPOSITION_OPENMETRICS);
    assert_true(has_text("# TYPE hauberk_loop_turns counter\nhauberk_loop_turns_total 9\n"));
    assert_false(has_text("# TYPE hauberk_loop_turns_total"));
    assert_true(hbk_slice_ends_with(hbk_buffer_slice(&out), HBK_SLICE("\n# EOF\n")));
}

static void a_family_without_a_sample_is_left_out(void **state)
{
    (void)state;
    render(HBK_EXPOSITION_PROMETHEUS);
    assert_false(has_text("istio_tcp_connections"));
    assert_false(has_text("duration_seconds"));
    assert_true(has_text("hauberk_tunnels_open{side=\"client\"} 0\n"));
    assert_false(has_text("# EOF"));
}

static void durations_are_cumulative_buckets_in_seconds(void **state)
{
    (void)state;
    hbk_timing_add(&totals, HBK_TIMING_HANDSHAKE_SERVER, 300000);
    hbk_timing_add(&totals, HBK_TIMING_HANDSHAKE_SERVER, 2000000);
    hbk_timing_add(&totals, HBK_TIMING_HANDSHAKE_SERVER, UINT64_C(7000000000));
    hbk_counter_add(&totals, HBK_COUNTER_LOOP_BUSY_NS, 1500);
    render(HBK_EXPOSITION_PROMETHEUS);
    assert_true(has_text("# TYPE hauberk_tls_handshake_duration_seconds histogram\n"));
    static const struct {
        const char *le;
        const char *count;
    } buckets[] = {{"0.0001", "0"}, {"0.00025", "0"}, {"0.0005", "1"}, {"0.001", "1"},
                   {"0.0025", "2"}, {"1.0", "2"},     {"5.0", "2"},    {"+Inf", "3"}};
    for (size_t i = 0; i < HBK_COUNT(buckets); i++) {
        char line[160];
        (void)snprintf(line, sizeof line,
                       "hauberk_tls_handshake_duration_seconds_bucket{side=\"server\",le=\"%s\"} "
                       "%s\n",
                       buckets[i].le, buckets[i].count);
        assert_true(has_text(line));
    }
    assert_true(has_text("duration_seconds_sum{side=\"server\"} 7.0023\n"));
    assert_true(has_text("duration_seconds_count{side=\"server\"} 3\n"));
    assert_true(has_text("hauberk_loop_busy_seconds_total 0.0000015\n"));
}

static void label_values_are_escaped(void **state)
{
    (void)state;
    static const struct {
        const char *value;
        const char *expected;
    } cases[] = {
        {"", "m{l=\"\"} 1\n"},
        {"plain", "m{l=\"plain\"} 1\n"},
        {"a\"b", "m{l=\"a\\\"b\"} 1\n"},
        {"a\\", "m{l=\"a\\\\\"} 1\n"},
        {"x\"} 1\ny", "m{l=\"x\\\"} 1\\ny\"} 1\n"},
        {"\xC3\xA4", "m{l=\"\xC3\xA4\"} 1\n"},
        {"a\xFFz", "m{l=\"a\xEF\xBF\xBDz\"} 1\n"},
        {"\xE2\x82", "m{l=\"\xEF\xBF\xBD\xEF\xBF\xBD\"} 1\n"},
    };
    for (size_t i = 0; i < HBK_COUNT(cases); i++) {
        hbk_buffer_clear(&out);
        struct hbk_exposition exposition = {.out = &out};
        hbk_exposition_sample(&exposition, "m", HBK_METRIC_GAUGE);
        hbk_exposition_label(&exposition, "l", hbk_slice_text(cases[i].value));
        hbk_exposition_value(&exposition, 1);
        assert_slice_equal(hbk_buffer_slice(&out), hbk_slice_text(cases[i].expected));
    }
}

static void add_more(struct hbk_exposition *exposition, void *context)
{
    hbk_exposition_family(exposition, "more", HBK_METRIC_GAUGE, "More");
    hbk_exposition_sample(exposition, "more", HBK_METRIC_GAUGE);
    hbk_exposition_value_double(exposition, *(double *)context);
}

static void the_owner_adds_families_in_front_of_the_end(void **state)
{
    (void)state;
    double value = 1.5;
    assert_int_equal(
        hbk_telemetry_render(&totals, &out, HBK_EXPOSITION_OPENMETRICS, add_more, &value), HBK_OK);
    assert_true(
        hbk_slice_ends_with(hbk_buffer_slice(&out),
                            HBK_SLICE("# HELP more More\n# TYPE more gauge\nmore 1.5\n# EOF\n")));
}

static void people_see_only_what_is_not_zero(void **state)
{
    (void)state;
    hbk_counter_add(&totals, HBK_COUNTER_REFUSED_POLICY, 2);
    render(HBK_EXPOSITION_PLAIN);
    assert_slice_equal(hbk_buffer_slice(&out),
                       HBK_SLICE("istio_build{component=\"hauberk\",tag=\"" HBK_VERSION "\"} 1\n"
                                 "hauberk_connections_refused_total{reason=\"policy\"} 2\n"
                                 "hauberk_log_lines_dropped_total 0\n"
                                 "hauberk_telemetry_series 0\n"));
}

static void a_text_above_its_limit_is_refused(void **state)
{
    (void)state;
    struct hbk_buffer small;
    hbk_buffer_init(&small, 100);
    assert_int_equal(hbk_telemetry_render(&totals, &small, HBK_EXPOSITION_PROMETHEUS, NULL, NULL),
                     HBK_LIMIT);
    hbk_buffer_fini(&small);
}

static void a_gauge_is_never_shown_below_zero(void **state)
{
    (void)state;
    hbk_counter_subtract(&totals, HBK_COUNTER_STREAMS_OPEN_CLIENT, 1);
    render(HBK_EXPOSITION_PROMETHEUS);
    assert_true(has_text("hauberk_streams_open{side=\"client\"} 0\n"));
}

static void openmetrics_is_given_to_those_who_ask(void **state)
{
    (void)state;
    static const struct {
        const char *accept;
        enum hbk_exposition_format format;
    } cases[] = {
        {"", HBK_EXPOSITION_PROMETHEUS},
        {"*/*", HBK_EXPOSITION_PROMETHEUS},
        {"text/plain;version=0.0.4", HBK_EXPOSITION_PROMETHEUS},
        {"application/openmetrics-tex", HBK_EXPOSITION_PROMETHEUS},
        {"application/openmetrics-text", HBK_EXPOSITION_OPENMETRICS},
        {"text/plain;q=0.5,Application/OpenMetrics-Text;version=1.0.0", HBK_EXPOSITION_OPENMETRICS},
    };
    for (size_t i = 0; i < HBK_COUNT(cases); i++) {
        assert_int_equal(hbk_exposition_format_accepted(hbk_slice_text(cases[i].accept)),
                         cases[i].format);
    }
}

#define CASE(function) cmocka_unit_test_setup_teardown(function, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(traffic_has_the_labels_of_the_reference_in_their_order),
        CASE(openmetrics_names_families_without_total_and_ends_with_eof),
        CASE(a_family_without_a_sample_is_left_out),
        CASE(durations_are_cumulative_buckets_in_seconds),
        CASE(label_values_are_escaped),
        CASE(the_owner_adds_families_in_front_of_the_end),
        CASE(people_see_only_what_is_not_zero),
        CASE(a_text_above_its_limit_is_refused),
        CASE(a_gauge_is_never_shown_below_zero),
        CASE(openmetrics_is_given_to_those_who_ask),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
