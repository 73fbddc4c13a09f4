#include "http/format.h"

#include <stdlib.h>

#include "harness.h"

static struct hbk_arena arena;

static int set_up(void **state)
{
    (void)state;
    hbk_arena_init(&arena);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    hbk_arena_fini(&arena);
    return 0;
}

static struct hbk_h2_field fields[] = {
    {.name = {(const uint8_t *)"user-agent", 10}, .value = {(const uint8_t *)"curl/8", 6}},
    {.name = {(const uint8_t *)"x-long", 6}, .value = {(const uint8_t *)"abcdefghij", 10}},
};

static struct hbk_gw_info make_info(const struct hbk_gw_head *request)
{
    return (struct hbk_gw_info){
        .start_ns = INT64_C(1700000000123456789),
        .duration_ns = UINT64_C(12345678),
        .request_ns = UINT64_MAX,
        .response_ns = 5000000,
        .request = request,
        .protocol = "HTTP/1.1",
        .status = 503,
        .flags = HBK_GW_FLAG_UF | HBK_GW_FLAG_URX,
        .details = "via_upstream",
        .upstream_failure = "TLS_error:|no such key",
        .received_bytes = 7,
        .sent_bytes = 8,
        .downstream_remote = {.ip = {.size = 4, .bytes = {10, 0, 0, 1}}, .port = 1234},
        .route = hbk_slice_text("main"),
        .attempts = 2,
    };
}

static void test_operators_print_what_they_stand_for(void **state)
{
    static const struct {
        const char *format, *text;
    } cases[] = {
        {"", ""},
        {"plain", "plain"},
        {"100%%", "100%"},
        {"%REQ(:METHOD)% %REQ(:PATH)%", "GET /a?b"},
        {"%REQ(User-Agent)%", "curl/8"},
        {"%REQ(X-LONG):3%", "abc"},
        {"%REQ(X-ABSENT?USER-AGENT)%", "curl/8"},
        {"%REQ(X-ABSENT)%", "-"},
        {"%RESPONSE_CODE% %RESPONSE_FLAGS%", "503 UF,URX"},
        {"%DURATION% %RESPONSE_DURATION% %REQUEST_DURATION%", "12 5 -"},
        {"%RESPONSE_TX_DURATION%", "7"},
        {"%BYTES_RECEIVED%/%BYTES_SENT%", "7/8"},
        {"%DOWNSTREAM_REMOTE_ADDRESS%", "10.0.0.1:1234"},
        {"%DOWNSTREAM_REMOTE_ADDRESS_WITHOUT_PORT%", "10.0.0.1"},
        {"%UPSTREAM_HOST%", "-"},
        {"%ROUTE_NAME% %UPSTREAM_REQUEST_ATTEMPT_COUNT%", "main 2"},
        {"%START_TIME%", "2023-11-14T22:13:20.123Z"},
        {"%START_TIME(%s.%6f)%", "1700000000.123456"},
        {"%START_TIME(%Y/%m/%d %f)%", "2023/11/14 123456789"},
        {"%DOWNSTREAM_TLS_VERSION%", "-"},
        {"%RESPONSE_FLAGS_LONG%", "UpstreamConnectionFailure,UpstreamRetryLimitExceeded"},
        {"%DOWNSTREAM_REMOTE_PORT% %DOWNSTREAM_LOCAL_PORT%", "1234 -"},
        {"%UPSTREAM_REMOTE_ADDRESS_WITHOUT_PORT% %UPSTREAM_LOCAL_PORT%", "- -"},
        {"%DOWNSTREAM_PEER_CERT% %UPSTREAM_PEER_CERT% %TRACE_ID%", "- - -"},
        {"%DOWNSTREAM_LOCAL_SUBJECT% %DOWNSTREAM_TLS_SESSION_ID%", "- -"},
        {"%GRPC_STATUS% %GRPC_STATUS_NUMBER%", "- -"}, /* no request of gRPC */
        {"%UPSTREAM_TRANSPORT_FAILURE_REASON%", "TLS_error:|no_such_key"},
        {"%ACCESS_LOG_TYPE% %STREAM_ID%", "NotSet -"},
        {"%ENVIRONMENT(HAUBERK_NOWHERE)%", "-"},
        {"%ENVIRONMENT(HAUBERK_HERE)% %ENVIRONMENT(HAUBERK_HERE):3%", "a%b c a%b"},
    };
    const struct hbk_gw_head request = {
        .method = HBK_SLICE("GET"), .path = HBK_SLICE("/a?b"), .count = 2, .fields = fields};
    struct hbk_gw_info info = make_info(&request);
    (void)state;
    assert_int_equal(setenv("HAUBERK_HERE", "a%b c", 1), 0);
    for (size_t i = 0; i < HBK_COUNT(cases); i++) {
        const struct hbk_gw_format *format = NULL;
        struct hbk_error error = {.status = HBK_OK};
        struct hbk_buffer out;
        hbk_buffer_init(&out, 4096);
        assert_int_equal(
            hbk_gw_format_parse(hbk_slice_text(cases[i].format), &arena, &format, &error), HBK_OK);
        assert_int_equal(hbk_gw_format_write(format, &info, HBK_SLICE("-"), &out), HBK_OK);
        assert_slice_equal(hbk_buffer_slice(&out), hbk_slice_text(cases[i].text));
        hbk_buffer_fini(&out);
    }
}

static void test_what_is_no_operator_is_refused_with_its_text(void **state)
{
    static const struct {
        const char *format;
        hbk_status status;
        const char *text;
    } cases[] = {
        {"%", HBK_INVALID, "an operator without its closing \"%\""},
        {"%REQ(a%", HBK_INVALID, "\"%REQ(a%\" has no closing bracket"},
        {"%REQ(a)b%", HBK_INVALID, "\"%REQ(a)b%\" has no proper length"},
        {"%NONSENSE%", HBK_UNSUPPORTED, "the operator \"%NONSENSE%\" is not supported"},
        {"%REQ()%", HBK_UNSUPPORTED, "the operator \"%REQ()%\" is not supported"},
        {"%PROTOCOL(x)%", HBK_UNSUPPORTED, "the operator \"%PROTOCOL(x)%\" is not supported"},
        {"%ENVIRONMENT()%", HBK_UNSUPPORTED, "the operator \"%ENVIRONMENT()%\" is not supported"},
        {"%GRPC_STATUS(X)%", HBK_UNSUPPORTED, "the operator \"%GRPC_STATUS(X)%\" is not supported"},
        {"%UPSTREAM_HOST_WITHOUT_PORT%", HBK_UNSUPPORTED,
         "the operator \"%UPSTREAM_HOST_WITHOUT_PORT%\" is not supported"},
        {"%UPSTREAM_LOCAL_SUBJECT%", HBK_UNSUPPORTED,
         "the operator \"%UPSTREAM_LOCAL_SUBJECT%\" is not supported"},
        {"%UPSTREAM_PEER_CERT(x)%", HBK_UNSUPPORTED,
         "the operator \"%UPSTREAM_PEER_CERT(x)%\" is not supported"},
        {"%UPSTREAM_METADATA(a:b)%", HBK_UNSUPPORTED,
         "the operator \"%UPSTREAM_METADATA(a:b)%\" is not supported"},
    };
    (void)state;
    for (size_t i = 0; i < HBK_COUNT(cases); i++) {
        const struct hbk_gw_format *format = NULL;
        struct hbk_error error = {.status = HBK_OK};
        assert_int_equal(
            hbk_gw_format_parse(hbk_slice_text(cases[i].format), &arena, &format, &error),
            cases[i].status);
        assert_string_equal(error.text, cases[i].text);
    }
}

static void test_a_grpc_status_is_found_or_made_of_that_of_http(void **state)
{
    static const struct {
        const char *type, *trailer, *header;
        uint32_t status;
        const char *text;
    } cases[] = {
        {"application/grpc", "5", NULL, 200, "NotFound NOT_FOUND 5 5"},
        {"application/grpc+proto", NULL, "1", 200, "Canceled CANCELLED 1 1"},
        {"application/grpc", "0", "2", 200, "OK OK 0 0"},
        {"application/grpc", "99", NULL, 200, "99 99 99 99"},
        {"application/grpc", "x", NULL, 200, "Unknown UNKNOWN 2 2"},
        {"application/grpc", NULL, NULL, 400, "Internal INTERNAL 13 13"},
        {"application/grpc", NULL, NULL, 401, "Unauthenticated UNAUTHENTICATED 16 16"},
        {"application/grpc", NULL, NULL, 403, "PermissionDenied PERMISSION_DENIED 7 7"},
        {"application/grpc", NULL, NULL, 404, "Unimplemented UNIMPLEMENTED 12 12"},
        {"application/grpc", NULL, NULL, 503, "Unavailable UNAVAILABLE 14 14"},
        {"application/grpc", NULL, NULL, 0, "- - - -"},
        {"application/grpc-web", "5", NULL, 200, "- - - -"},
        {"text/plain", "5", NULL, 200, "- - - -"},
    };
    const struct hbk_gw_format *format = NULL;
    struct hbk_error error = {.status = HBK_OK};
    (void)state;
    assert_int_equal(hbk_gw_format_parse(HBK_SLICE("%GRPC_STATUS% %GRPC_STATUS(SNAKE_STRING)% "
                                                   "%GRPC_STATUS(NUMBER)% %GRPC_STATUS_NUMBER%"),
                                         &arena, &format, &error),
                     HBK_OK);
    for (size_t i = 0; i < HBK_COUNT(cases); i++) {
        struct hbk_gw_head request = {0}, response = {0}, trailers = {0};
        assert_int_equal(hbk_gw_head_add(&request, &arena, HBK_SLICE("content-type"),
                                         hbk_slice_text(cases[i].type)),
                         HBK_OK);
        if (cases[i].header != NULL) {
            assert_int_equal(hbk_gw_head_add(&response, &arena, HBK_SLICE("grpc-status"),
                                             hbk_slice_text(cases[i].header)),
                             HBK_OK);
        }
        if (cases[i].trailer != NULL) {
            assert_int_equal(hbk_gw_head_add(&trailers, &arena, HBK_SLICE("grpc-status"),
                                             hbk_slice_text(cases[i].trailer)),
                             HBK_OK);
        }
        const struct hbk_gw_info info = {.request = &request,
                                         .response = &response,
                                         .trailers = &trailers,
                                         .status = cases[i].status};
        struct hbk_buffer out;
        hbk_buffer_init(&out, 4096);
        assert_int_equal(hbk_gw_format_write(format, &info, HBK_SLICE("-"), &out), HBK_OK);
        assert_slice_equal(hbk_buffer_slice(&out), hbk_slice_text(cases[i].text));
        hbk_buffer_fini(&out);
    }
}

static void test_a_format_says_what_must_be_found_out_for_it(void **state)
{
    static const struct {
        const char *format;
        unsigned asks;
    } cases[] = {
        {"%PROTOCOL% %DOWNSTREAM_PEER_SUBJECT%", 0},
        {"%DOWNSTREAM_LOCAL_URI_SAN%", HBK_GW_ASKS_OWN_NAMES},
        {"x %DOWNSTREAM_LOCAL_DNS_SAN%", HBK_GW_ASKS_OWN_NAMES},
        {"%DOWNSTREAM_LOCAL_SUBJECT%", HBK_GW_ASKS_OWN_NAMES},
        {"%UPSTREAM_TLS_CIPHER%", HBK_GW_ASKS_UPSTREAM_TLS},
        {"%UPSTREAM_PEER_CERT%", HBK_GW_ASKS_UPSTREAM_TLS},
        {"%UPSTREAM_HOST% %UPSTREAM_LOCAL_ADDRESS%", 0},
    };
    (void)state;
    for (size_t i = 0; i < HBK_COUNT(cases); i++) {
        const struct hbk_gw_format *format = NULL;
        struct hbk_error error = {.status = HBK_OK};
        assert_int_equal(
            hbk_gw_format_parse(hbk_slice_text(cases[i].format), &arena, &format, &error), HBK_OK);
        assert_int_equal(hbk_gw_format_asks(format), cases[i].asks);
    }
}

static void check_json(const char *text, const char *expected)
{
    const struct hbk_gw_head request = {.method = HBK_SLICE("GET"), .count = 2, .fields = fields};
    struct hbk_gw_info info = make_info(&request);
    const struct hbk_gw_format *format = NULL;
    struct hbk_error error = {.status = HBK_OK};
    struct hbk_buffer out;
    hbk_buffer_init(&out, 4096);
    struct hbk_json json = hbk_json_to(&out, false);
    assert_int_equal(hbk_gw_format_parse(hbk_slice_text(text), &arena, &format, &error), HBK_OK);
    hbk_json_begin_object(&json, NULL);
    assert_int_equal(hbk_gw_format_write_json(format, &info, HBK_SLICE("k"), &json), HBK_OK);
    hbk_json_end_object(&json);
    assert_slice_equal(hbk_buffer_slice(&out), hbk_slice_text(expected));
    hbk_buffer_fini(&out);
}

static void test_json_keeps_numbers_and_knows_nothing(void **state)
{
    (void)state;
    check_json("%RESPONSE_CODE%", "{\"k\":503}");
    check_json("%REQ(X-ABSENT)%", "{\"k\":null}");
    check_json("%REQ(:METHOD)%", "{\"k\":\"GET\"}");
    check_json("code %RESPONSE_CODE%", "{\"k\":\"code 503\"}");
    check_json("%RESPONSE_FLAGS%", "{\"k\":\"UF,URX\"}");
}

/* Whoever could make a line fail would not be seen in the log. */
static void test_a_json_text_that_is_too_long_is_cut_and_its_line_stays(void **state)
{
    enum { VALUE_BYTES = 40000 };
    static uint8_t letters[VALUE_BYTES];
    struct hbk_h2_field field = {.name = HBK_SLICE("x-long"),
                                 .value = hbk_slice_of(letters, sizeof letters)};
    const struct hbk_gw_head request = {.fields = &field, .count = 1};
    const struct hbk_gw_info info = make_info(&request);
    const struct hbk_gw_format *format = NULL;
    struct hbk_error error = {.status = HBK_OK};
    struct hbk_buffer out;
    (void)state;
    memset(letters, 'x', sizeof letters);
    assert_int_equal(
        hbk_gw_format_parse(HBK_SLICE("%REQ(X-LONG)% and %REQ(X-LONG)%"), &arena, &format, &error),
        HBK_OK);
    hbk_buffer_init(&out, 1 << 20);
    struct hbk_json json = hbk_json_to(&out, false);
    hbk_json_begin_object(&json, NULL);
    assert_int_equal(hbk_gw_format_write_json(format, &info, HBK_SLICE("k"), &json), HBK_OK);
    hbk_json_end_object(&json);
    assert_int_equal(json.status, HBK_OK);
    assert_int_equal(hbk_buffer_size(&out), sizeof "{\"k\":\" and \"}" - 1 + VALUE_BYTES);
    hbk_buffer_fini(&out);
}

static void test_flags_have_names(void **state)
{
    (void)state;
    assert_int_equal(hbk_gw_flag_from_text(HBK_SLICE("UF")), HBK_GW_FLAG_UF);
    assert_int_equal(hbk_gw_flag_from_text(HBK_SLICE("LR")), HBK_GW_FLAG_LR);
    assert_int_equal(hbk_gw_flag_from_text(HBK_SLICE("XX")), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_operators_print_what_they_stand_for, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(test_what_is_no_operator_is_refused_with_its_text, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(test_a_grpc_status_is_found_or_made_of_that_of_http, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(test_a_format_says_what_must_be_found_out_for_it, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(test_json_keeps_numbers_and_knows_nothing, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(test_a_json_text_that_is_too_long_is_cut_and_its_line_stays,
                                        set_up, tear_down),
        cmocka_unit_test(test_flags_have_names),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
