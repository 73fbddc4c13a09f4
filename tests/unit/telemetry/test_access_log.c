#include "telemetry/access_log.h"

#include <unistd.h>

#include "harness.h"

static struct hbk_party_table table;
static struct hbk_party *front;
static struct hbk_party *cart;
static struct hbk_destination *service;

static int set_up(void **state)
{
    (void)state;
    if (hbk_party_table_init(&table) != HBK_OK) {
        return -1;
    }
    struct hbk_party_text front_text = {
        .pod = HBK_SLICE("front-1"),
        .workload = HBK_SLICE("front"),
        .canonical_service = HBK_SLICE("front-app"),
        .namespace = HBK_SLICE("shop"),
        .principal = HBK_SLICE("spiffe://cluster.local/ns/shop/sa/front"),
        .cluster = HBK_SLICE("Kubernetes"),
    };
    struct hbk_party_text cart_text = {
        .canonical_service = HBK_SLICE("cart-app"),
        .namespace = HBK_SLICE("shop"),
        .principal = HBK_SLICE("spiffe://cluster.local/ns/shop/sa/cart"),
    };
    struct hbk_destination_text host = {.host = HBK_SLICE("cart.shop.svc.cluster.local")};
    front = hbk_party_get(&table, &front_text);
    cart = hbk_party_get(&table, &cart_text);
    service = hbk_destination_get(&table, &host);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    hbk_party_unref(&table, front);
    hbk_party_unref(&table, cart);
    hbk_destination_unref(&table, service);
    hbk_party_table_fini(&table);
    return 0;
}

static struct hbk_address address(const char *text)
{
    struct hbk_address parsed;
    assert_true(hbk_address_parse(hbk_slice_text(text), &parsed));
    return parsed;
}

static struct hbk_access_record full_record(void)
{
    return (struct hbk_access_record){
        .event = HBK_ACCESS_COMPLETE,
        .reporter = HBK_REPORTER_SOURCE,
        .is_mutual_tls = true,
        .source = address("10.0.0.1:4711"),
        .destination = address("10.0.1.2:15008"),
        .hbone_target = HBK_SLICE("10.0.1.2:80"),
        .source_party = front,
        .destination_party = cart,
        .service = service,
        .tls_engine = HBK_SLICE("native"),
        .sent_bytes = 120,
        .received_bytes = 3400,
        .duration_ns = 12999999,
    };
}

static void assert_line(const struct hbk_access_record *record, bool is_json, const char *expected)
{
    char line[HBK_ACCESS_LINE_BYTES_MAX];
    size_t size = hbk_access_line(record, is_json, line);
    assert_slice_equal(hbk_slice_of(line, size), hbk_slice_text(expected));
}

static void a_complete_connection_shows_every_field_in_order(void **state)
{
    (void)state;
    struct hbk_access_record record = full_record();
    assert_line(&record, false,
                "connection complete\tsrc.addr=10.0.0.1:4711 src.workload=\"front-1\" "
                "src.namespace=\"shop\" src.identity=\"spiffe://cluster.local/ns/shop/sa/front\" "
                "src.cluster=\"Kubernetes\" dst.addr=10.0.1.2:15008 dst.hbone_addr=10.0.1.2:80 "
                "dst.service=\"cart.shop.svc.cluster.local\" dst.workload=\"cart-app\" "
                "dst.namespace=\"shop\" dst.identity=\"spiffe://cluster.local/ns/shop/sa/cart\" "
                "direction=\"outbound\" tls.engine=\"native\" bytes_sent=120 bytes_recv=3400 "
                "duration=\"12ms\"");
    assert_line(
        &record, true,
        "\"message\":\"connection complete\",\"src.addr\":\"10.0.0.1:4711\","
        "\"src.workload\":\"front-1\",\"src.namespace\":\"shop\","
        "\"src.identity\":\"spiffe://cluster.local/ns/shop/sa/front\","
        "\"src.cluster\":\"Kubernetes\",\"dst.addr\":\"10.0.1.2:15008\","
        "\"dst.hbone_addr\":\"10.0.1.2:80\",\"dst.service\":\"cart.shop.svc.cluster.local\","
        "\"dst.workload\":\"cart-app\",\"dst.namespace\":\"shop\","
        "\"dst.identity\":\"spiffe://cluster.local/ns/shop/sa/cart\",\"direction\":\"outbound\","
        "\"tls.engine\":\"native\",\"bytes_sent\":120,\"bytes_recv\":3400,\"duration\":\"12ms\"");
    assert_int_equal(hbk_access_level(&record), HBK_LOG_INFO);
}

static void an_error_comes_last_and_raises_the_level(void **state)
{
    (void)state;
    struct hbk_access_record record = {
        .event = HBK_ACCESS_COMPLETE,
        .reporter = HBK_REPORTER_DESTINATION,
        .source = address("[fd00::1]:1"),
        .error = HBK_SLICE("connection closed due to policy rejection: explicitly denied by: a"),
    };
    assert_line(&record, false,
                "connection complete\tsrc.addr=[fd00::1]:1 direction=\"inbound\" bytes_sent=0 "
                "bytes_recv=0 duration=\"0ms\" error=\"connection closed due to policy rejection: "
                "explicitly denied by: a\"");
    assert_int_equal(hbk_access_level(&record), HBK_LOG_ERROR);
}

static void identities_are_shown_for_mutual_tls_only(void **state)
{
    (void)state;
    struct hbk_access_record record = full_record();
    record.is_mutual_tls = false;
    char line[HBK_ACCESS_LINE_BYTES_MAX];
    size_t size = hbk_access_line(&record, false, line);
    assert_null(memmem(line, size, "identity", 8));
}

static void an_opened_connection_has_no_bytes_yet(void **state)
{
    (void)state;
    struct hbk_access_record record = {
        .event = HBK_ACCESS_OPENED,
        .reporter = HBK_REPORTER_SOURCE,
        .source = address("10.0.0.1:4711"),
        .source_party = front,
        .destination = address("10.0.1.2:80"),
    };
    assert_line(&record, false,
                "connection opened\tsrc.addr=10.0.0.1:4711 src.workload=\"front-1\" "
                "src.namespace=\"shop\" src.cluster=\"Kubernetes\" dst.addr=10.0.1.2:80 "
                "direction=\"outbound\"");
    assert_int_equal(hbk_access_level(&record), HBK_LOG_DEBUG);
}

static void an_early_failure_has_addresses_direction_engine_and_error_only(void **state)
{
    (void)state;
    struct hbk_access_record record = full_record();
    record.event = HBK_ACCESS_FAILED;
    record.reporter = HBK_REPORTER_DESTINATION;
    record.error = HBK_SLICE("tls error: no certificate");
    assert_line(&record, false,
                "connection failed\tsrc.addr=10.0.0.1:4711 dst.addr=10.0.1.2:15008 "
                "direction=\"inbound\" tls.engine=\"native\" "
                "error=\"tls error: no certificate\"");
    assert_int_equal(hbk_access_level(&record), HBK_LOG_WARN);
}

static void a_strangers_text_cannot_break_the_line(void **state)
{
    (void)state;
    static const struct {
        const char *value;
        const char *text;
        const char *json;
    } cases[] = {
        {"cart:80", "dst.hbone_addr=cart:80 ", "\"dst.hbone_addr\":\"cart:80\","},
        {"[fd00::1]:80", "dst.hbone_addr=[fd00::1]:80 ", "\"dst.hbone_addr\":\"[fd00::1]:80\","},
        {"a b", "dst.hbone_addr=\"a b\" ", "\"dst.hbone_addr\":\"a b\","},
        {"a=\"b", "dst.hbone_addr=\"a=\\\"b\" ", "\"dst.hbone_addr\":\"a=\\\"b\","},
        {"a\\", "dst.hbone_addr=\"a\\\\\" ", "\"dst.hbone_addr\":\"a\\\\\","},
        {"a\nb\tc\r", "dst.hbone_addr=\"a\\nb\\tc\\r\" ",
         "\"dst.hbone_addr\":\"a\\u000ab\\u0009c\\u000d\","},
        {"\x1B[2J", "dst.hbone_addr=\"\\x1b[2J\" ", "\"dst.hbone_addr\":\"\\u001b[2J\","},
        {"\xFF", "dst.hbone_addr=\"\\xff\" ", "\"dst.hbone_addr\":\"\xEF\xBF\xBD\","},
    };
    for (size_t i = 0; i < HBK_COUNT(cases); i++) {
        struct hbk_access_record record = {.event = HBK_ACCESS_OPENED,
                                           .hbone_target = hbk_slice_text(cases[i].value)};
        char line[HBK_ACCESS_LINE_BYTES_MAX];
        size_t size = hbk_access_line(&record, false, line);
        assert_non_null(memmem(line, size, cases[i].text, strlen(cases[i].text)));
        size = hbk_access_line(&record, true, line);
        assert_non_null(memmem(line, size, cases[i].json, strlen(cases[i].json)));
    }
}

static void the_longest_values_are_cut_and_the_line_stays_whole(void **state)
{
    (void)state;
    char hostile[2048];
    memset(hostile, '"', sizeof hostile); /* doubles in both forms */
    struct hbk_slice bad = hbk_slice_of(hostile, sizeof hostile);
    struct hbk_party_text text = {bad, bad, bad, bad, bad, bad, bad, bad, bad};
    struct hbk_destination_text host = {bad, bad, bad};
    struct hbk_party *party = hbk_party_get(&table, &text);
    struct hbk_destination *destination = hbk_destination_get(&table, &host);
    struct hbk_address longest = address("[1111:2222:3333:4444:5555:6666:7777:8888]:65535");
    struct hbk_access_record record = {
        .is_mutual_tls = true,
        .source = longest,
        .destination = longest,
        .hbone_target = bad,
        .source_party = party,
        .destination_party = party,
        .service = destination,
        .sent_bytes = UINT64_MAX,
        .received_bytes = UINT64_MAX,
        .duration_ns = UINT64_MAX,
        .error = bad,
    };
    char line[HBK_ACCESS_LINE_BYTES_MAX];
    for (int is_json = 0; is_json < 2; is_json++) {
        size_t size = hbk_access_line(&record, is_json == 1, line);
        assert_true(size <= HBK_ACCESS_LINE_BYTES_MAX);
        assert_true(hbk_slice_ends_with(hbk_slice_of(line, size), HBK_SLICE("\\\"\\\"\"")));
        assert_non_null(memmem(line, size, "error", 5));
    }
    hbk_party_unref(&table, party);
    hbk_destination_unref(&table, destination);
}

static void a_record_becomes_one_line_of_the_log(void **state)
{
    (void)state;
    int pipes[2];
    assert_int_equal(pipe(pipes), 0);
    struct hbk_access_record record = {
        .event = HBK_ACCESS_FAILED,
        .source = address("10.0.0.1:4711"),
        .error = HBK_SLICE("x"),
    };
    hbk_log_to(pipes[1], true);
    hbk_access_log(&record);
    record.event = HBK_ACCESS_OPENED; /* debug is off */
    hbk_access_log(&record);
    hbk_log_to(STDOUT_FILENO, false);
    close(pipes[1]);

    char text[512];
    ssize_t size = read(pipes[0], text, sizeof text);
    close(pipes[0]);
    assert_true(size > 0);
    struct hbk_slice line = hbk_slice_of(text, (size_t)size);
    assert_true(hbk_slice_starts_with(line, HBK_SLICE("{\"level\":\"warn\",\"time\":\"")));
    assert_true(hbk_slice_ends_with(
        line, HBK_SLICE("\",\"scope\":\"access\",\"message\":\"connection failed\","
                        "\"src.addr\":\"10.0.0.1:4711\",\"direction\":\"outbound\",\"error\":\"x\""
                        "}\n")));
}

#define CASE(function) cmocka_unit_test_setup_teardown(function, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(a_complete_connection_shows_every_field_in_order),
        CASE(an_error_comes_last_and_raises_the_level),
        CASE(identities_are_shown_for_mutual_tls_only),
        CASE(an_opened_connection_has_no_bytes_yet),
        CASE(an_early_failure_has_addresses_direction_engine_and_error_only),
        CASE(a_strangers_text_cannot_break_the_line),
        CASE(the_longest_values_are_cut_and_the_line_stays_whole),
        CASE(a_record_becomes_one_line_of_the_log),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
