#include "wire/hbone.h"

#include "harness.h"

static void an_authority_is_an_address_or_a_name_with_a_port(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        bool is_valid, is_address;
        uint16_t port;
        const char *host;
    } cases[] = {
        {"10.0.0.1:80", true, true, 80, ""},
        {"[fd00::1]:65535", true, true, 65535, ""},
        {"cart.shop.svc.cluster.local:8080", true, false, 8080, "cart.shop.svc.cluster.local"},
        {"cart:1", true, false, 1, "cart"},
        {"cart2:1", true, false, 1, "cart2"},
        {"a_b.c-d.:9", true, false, 9, "a_b.c-d."},
        {"10.0.0.1", false},
        {"10.0.0.1:0", false},
        {"10.0.0.1:65536", false},
        {"10.0.0.256:80", false},
        {"10.0.0:80", false},
        {"1:80", false},
        {"cart:0", false},
        {"cart:", false},
        {"cart", false},
        {":80", false},
        {"", false},
        {"fd00::1:80", false},
        {"[fd00::1%eth0]:80", false},
        {"[cart]:80", false},
        {"user@cart:80", false},
        {"cart/x:80", false},
        {"cart:80:80", false},
        {"cart:80/", false},
        {"cart:+80", false},
        {"c art:80", false},
        {".cart:80", false},
        {"cart..shop:80", false},
    };
    for (size_t i = 0; i < HBK_COUNT(cases); i++) {
        struct hbk_hbone_authority authority;
        bool is_valid = hbk_hbone_parse_authority(hbk_slice_text(cases[i].text), &authority);
        if (is_valid != cases[i].is_valid) {
            fail_msg("%s", cases[i].text);
        }
        if (is_valid) {
            assert_int_equal(authority.is_address, cases[i].is_address);
            assert_int_equal(authority.port, cases[i].port);
            assert_slice_equal(authority.host, hbk_slice_text(cases[i].host));
        }
    }
    char name[HBK_HBONE_HOST_BYTES_MAX + 4];
    struct hbk_hbone_authority authority;
    memset(name, 'a', sizeof(name));
    memcpy(name + HBK_HBONE_HOST_BYTES_MAX, ":80", 3);
    assert_true(
        hbk_hbone_parse_authority(hbk_slice_of(name, HBK_HBONE_HOST_BYTES_MAX + 3), &authority));
    memcpy(name + HBK_HBONE_HOST_BYTES_MAX, "a:80", 4);
    assert_false(hbk_hbone_parse_authority(hbk_slice_of(name, sizeof(name)), &authority));
}

static void baggage_comes_back_as_it_was_written(void **state)
{
    (void)state;
    struct hbk_hbone_baggage baggage = {
        .cluster = HBK_SLICE("Kubernetes"),
        .namespace = HBK_SLICE("shop"),
        .workload_kind = HBK_SLICE("deployment"),
        .workload_name = HBK_SLICE("cart"),
        .service_name = HBK_SLICE("cart"),
        .service_version = HBK_SLICE("v1"),
        .region = HBK_SLICE("eu"),
        .zone = HBK_SLICE("eu-1"),
    };
    static const char expected[] =
        "k8s.cluster.name=Kubernetes,k8s.namespace.name=shop,k8s.deployment.name=cart,"
        "service.name=cart,service.version=v1,cloud.region=eu,cloud.availability_zone=eu-1";
    uint8_t text[HBK_HBONE_BAGGAGE_BYTES_MAX];
    size_t size = 0;
    assert_int_equal(hbk_hbone_write_baggage(&baggage, hbk_span_of(text, sizeof(text)), &size),
                     HBK_OK);
    assert_slice_equal(hbk_slice_of(text, size), hbk_slice_text(expected));

    struct hbk_hbone_baggage back;
    assert_true(hbk_hbone_parse_baggage(hbk_slice_of(text, size), &back));
    assert_slice_equal(back.cluster, baggage.cluster);
    assert_slice_equal(back.namespace, baggage.namespace);
    assert_slice_equal(back.workload_kind, baggage.workload_kind);
    assert_slice_equal(back.workload_name, baggage.workload_name);
    assert_slice_equal(back.service_name, baggage.service_name);
    assert_slice_equal(back.service_version, baggage.service_version);
    assert_slice_equal(back.region, baggage.region);
    assert_slice_equal(back.zone, baggage.zone);

    /* Every room that is too small is refused, none is overrun. */
    for (size_t room = 0; room < size; room++) {
        size_t unused = 0;
        assert_int_equal(hbk_hbone_write_baggage(&baggage, hbk_span_of(text, room), &unused),
                         HBK_LIMIT);
    }
}

static void baggage_values_cannot_forge_other_members(void **state)
{
    (void)state;
    struct hbk_hbone_baggage baggage = {.cluster = HBK_SLICE("a,k8s.namespace.name=b;c %\"\\\x01")};
    uint8_t text[256];
    size_t size = 0;
    assert_int_equal(hbk_hbone_write_baggage(&baggage, hbk_span_of(text, sizeof(text)), &size),
                     HBK_OK);
    assert_slice_equal(hbk_slice_of(text, size),
                       HBK_SLICE("k8s.cluster.name=a%2Ck8s.namespace.name=b%3Bc%20%25%22%5C%01"));
}

static void foreign_baggage_is_read_strictly(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        bool is_valid;
        const char *namespace, *name;
    } cases[] = {
        {"", true, "", ""},
        {"k8s.namespace.name=a", true, "a", ""},
        {" k8s.namespace.name = a ; property=1 ,\tk8s.pod.name=p", true, "a", "p"},
        {"k8s.namespace.name=a,k8s.namespace.name=b", true, "a", ""},
        {"k8s.job.name=j,k8s.pod.name=p", true, "", "j"},
        {"other=x,k8s.namespace.name=a%20b", true, "a%20b", ""},
        {"k8s.namespace.name=", true, "", ""},
        {"k8s.namespace.name", false},
        {"=a", false},
        {"a=b,,c=d", false},
        {"k8s.namespace.name=a b", false},
        {"k8s.namespace.name=\"a\"", false},
        {"k8s.namespace.name=\xc3\xbc", false},
    };
    for (size_t i = 0; i < HBK_COUNT(cases); i++) {
        struct hbk_hbone_baggage baggage;
        assert_int_equal(hbk_hbone_parse_baggage(hbk_slice_text(cases[i].text), &baggage),
                         cases[i].is_valid);
        if (cases[i].is_valid) {
            assert_slice_equal(baggage.namespace, hbk_slice_text(cases[i].namespace));
            assert_slice_equal(baggage.workload_name, hbk_slice_text(cases[i].name));
        }
    }
    static char many[4 * (HBK_HBONE_BAGGAGE_MEMBERS_MAX + 1)];
    for (size_t i = 0; i < sizeof(many); i += 4) {
        memcpy(many + i, "a=b,", 4);
    }
    struct hbk_hbone_baggage baggage;
    assert_true(hbk_hbone_parse_baggage(hbk_slice_of(many, 4 * HBK_HBONE_BAGGAGE_MEMBERS_MAX - 1),
                                        &baggage));
    assert_false(hbk_hbone_parse_baggage(hbk_slice_of(many, sizeof(many) - 1), &baggage));
}

static void forwarded_carries_the_source_and_the_service(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        bool is_valid;
        const char *source, *host;
    } cases[] = {
        {"for=\"10.0.0.1:51000\"", true, "10.0.0.1:51000", ""},
        {"for=\"[fd00::1]:1\";host=cart.shop", true, "[fd00::1]:1", "cart.shop"},
        {"by=x ; For=10.0.0.1:2;HOST=\"cart\";proto=http", true, "10.0.0.1:2", "cart"},
        {"for=\"10.0.0.1:1\", for=\"10.0.0.2:2\"", true, "10.0.0.1:1", ""},
        {"for=\"10.0.0.1\"", false},
        {"for=unknown", false},
        {"for=\"10.0.0.1:1", false},
        {"for=\"10.0.0.1:1\"x", false},
        {"for=\"10.0.0.1:1\";", false},
        {"for=\"10.0.0.1:1\";host=\"a b\"", false},
        {"for=\"10.0.0.1:1\";host=\"a\\\"b\"", false},
        {"host=cart", false},
        {"", false},
    };
    for (size_t i = 0; i < HBK_COUNT(cases); i++) {
        struct hbk_address source;
        struct hbk_slice host;
        char text[HBK_ADDRESS_TEXT_BYTES_MAX];
        if (hbk_hbone_parse_forwarded(hbk_slice_text(cases[i].text), &source, &host) !=
            cases[i].is_valid) {
            fail_msg("%s", cases[i].text);
        }
        if (cases[i].is_valid) {
            assert_string_equal(hbk_address_text(&source, text), cases[i].source);
            assert_slice_equal(host, hbk_slice_text(cases[i].host));
        }
    }
}

/* W3C Trace Context, 3.2. */
static void traceparents_are_read_as_the_standard_says(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        bool is_valid;
    } cases[] = {
        {"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00", true},
        {"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01", true},
        {"cc-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01", true},
        {"cc-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01-what", true},
        {"cc-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01.what", false},
        {"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01-what", false},
        {"ff-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01", false},
        {"00-00000000000000000000000000000000-b7ad6b7169203331-01", false},
        {"00-0af7651916cd43dd8448eb211c80319c-0000000000000000-01", false},
        {"00-0AF7651916CD43DD8448EB211C80319C-b7ad6b7169203331-01", false},
        {"00-0af7651916cd43dd8448eb211c80319-cb7ad6b7169203331-01", false},
        {"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-0", false},
        {"", false},
    };
    for (size_t i = 0; i < HBK_COUNT(cases); i++) {
        struct hbk_hbone_trace trace;
        assert_int_equal(hbk_hbone_parse_traceparent(hbk_slice_text(cases[i].text), &trace),
                         cases[i].is_valid);
    }
    struct hbk_hbone_trace trace;
    uint8_t text[HBK_HBONE_TRACEPARENT_BYTES];
    assert_true(hbk_hbone_parse_traceparent(hbk_slice_text(cases[1].text), &trace));
    assert_int_equal(trace.trace_id[0], 0x0a);
    assert_int_equal(trace.parent_id[7], 0x31);
    hbk_hbone_write_traceparent(&trace, text);
    assert_slice_equal(hbk_slice_of(text, sizeof(text)), hbk_slice_text(cases[1].text));
}

static void a_request_written_is_the_request_read(void **state)
{
    (void)state;
    struct hbk_hbone_trace trace = {.trace_id = {1}, .parent_id = {2}};
    struct hbk_hbone_request request = {
        .authority = HBK_SLICE("10.0.0.2:8080"),
        .baggage = HBK_SLICE("k8s.namespace.name=shop"),
        .service_host = HBK_SLICE("cart.shop"),
        .trace = &trace,
        .network = HBK_SLICE("north"),
    };
    assert_true(hbk_address_parse(HBK_SLICE("10.0.0.1:51000"), &request.source));
    struct hbk_hbone_fields written;
    assert_int_equal(hbk_hbone_write_request(&request, &written), HBK_OK);
    assert_int_equal(written.count, 4);

    struct hbk_h2_fields fields = {
        .method = HBK_SLICE("CONNECT"), .authority = request.authority, .count = 4};
    memcpy(fields.list, written.list, sizeof(written.list));
    struct hbk_hbone_arrival arrival;
    const char *reason = NULL;
    assert_int_equal(hbk_hbone_read_request(&fields, &arrival, &reason), HBK_HBONE_CONNECTED);
    assert_true(arrival.authority.is_address);
    assert_int_equal(arrival.authority.port, 8080);
    assert_true(hbk_address_equal(&arrival.source, &request.source));
    assert_slice_equal(arrival.service_host, request.service_host);
    assert_slice_equal(arrival.baggage.namespace, HBK_SLICE("shop"));
    assert_slice_equal(arrival.network, HBK_SLICE("north"));
    assert_true(arrival.has_trace);
    assert_memory_equal(&arrival.trace, &trace, sizeof(trace));

    request.service_host = HBK_SLICE("cart\";for=x");
    assert_int_equal(hbk_hbone_write_request(&request, &written), HBK_INVALID);
}

static void broken_labels_are_dropped_and_a_broken_target_is_refused(void **state)
{
    (void)state;
    struct hbk_h2_fields fields = {
        .method = HBK_SLICE("CONNECT"),
        .authority = HBK_SLICE("10.0.0.2:8080"),
        .count = 3,
        .list = {{.name = HBK_SLICE("baggage"), .value = HBK_SLICE("broken")},
                 {.name = HBK_SLICE("forwarded"), .value = HBK_SLICE("broken")},
                 {.name = HBK_SLICE("traceparent"), .value = HBK_SLICE("broken")}},
    };
    struct hbk_hbone_arrival arrival;
    const char *reason = NULL;
    assert_int_equal(hbk_hbone_read_request(&fields, &arrival, &reason), HBK_HBONE_CONNECTED);
    assert_int_equal(arrival.source.ip.size, 0);
    assert_int_equal(arrival.baggage.namespace.size, 0);
    assert_false(arrival.has_trace);

    fields.authority = HBK_SLICE("10.0.0.2");
    assert_int_equal(hbk_hbone_read_request(&fields, &arrival, &reason), HBK_HBONE_BAD_REQUEST);
    assert_non_null(strstr(reason, "authority"));
    fields.authority = HBK_SLICE("10.0.0.2:80");
    fields.method = HBK_SLICE("GET");
    assert_int_equal(hbk_hbone_read_request(&fields, &arrival, &reason), HBK_HBONE_BAD_REQUEST);
    assert_non_null(strstr(reason, "CONNECT"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_authority_is_an_address_or_a_name_with_a_port),
        cmocka_unit_test(baggage_comes_back_as_it_was_written),
        cmocka_unit_test(baggage_values_cannot_forge_other_members),
        cmocka_unit_test(foreign_baggage_is_read_strictly),
        cmocka_unit_test(forwarded_carries_the_source_and_the_service),
        cmocka_unit_test(traceparents_are_read_as_the_standard_says),
        cmocka_unit_test(a_request_written_is_the_request_read),
        cmocka_unit_test(broken_labels_are_dropped_and_a_broken_target_is_refused),
    };
    return cmocka_run_group_tests_name("hbone", tests, NULL, NULL);
}
