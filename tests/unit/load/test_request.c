#include "load/request.h"

#include "harness.h"

static void a_request_has_what_http_1_1_asks_for_and_the_plans_headers(void **state)
{
    (void)state;
    static const struct {
        const char *url;
        const char *header; /* NULL: none */
        const char *bytes;
    } cases[] = {
        {"http://cart:8080/a?b", NULL,
         "GET /a?b HTTP/1.1\r\nHost: cart:8080\r\nUser-Agent: hauberk/" HBK_VERSION "\r\n\r\n"},
        {"http://[::1]", "x-marker: 1",
         "GET / HTTP/1.1\r\nHost: [::1]\r\nUser-Agent: hauberk/" HBK_VERSION
         "\r\nx-marker: 1\r\n\r\n"},
        {"http://a/", "HOST: b",
         "GET / HTTP/1.1\r\nUser-Agent: hauberk/" HBK_VERSION "\r\nHOST: b\r\n\r\n"},
        {"http://a/", "user-agent: me", "GET / HTTP/1.1\r\nHost: a\r\nuser-agent: me\r\n\r\n"},
    };
    for (size_t i = 0; i < HBK_COUNT(cases); i++) {
        struct hbk_load_plan plan;
        struct hbk_buffer out;
        hbk_load_plan_init(&plan);
        hbk_buffer_init(&out, HBK_LOAD_REQUEST_BYTES_MAX);
        assert_int_equal(hbk_load_target_parse(hbk_slice_text(cases[i].url), &plan.target, NULL),
                         HBK_OK);
        if (cases[i].header != NULL) {
            assert_int_equal(hbk_load_plan_add_header(&plan, hbk_slice_text(cases[i].header), NULL),
                             HBK_OK);
        }
        assert_int_equal(hbk_load_request_build(&plan, plan.target.path, &out), HBK_OK);
        assert_slice_equal(hbk_buffer_slice(&out), hbk_slice_text(cases[i].bytes));
        hbk_buffer_fini(&out);
    }
}

static struct hbk_load_plan plan_of(const char *url)
{
    struct hbk_load_plan plan;
    hbk_load_plan_init(&plan);
    assert_int_equal(hbk_load_plan_add_url(&plan, hbk_slice_text(url), NULL), HBK_OK);
    return plan;
}

static void a_body_makes_a_post_with_its_length(void **state)
{
    (void)state;
    struct hbk_load_plan plan = plan_of("http://a/");
    struct hbk_buffer out;
    hbk_buffer_init(&out, HBK_LOAD_REQUEST_BYTES_MAX);
    plan.body = HBK_SLICE("hello");
    plan.content_type = HBK_SLICE("text/plain");
    plan.user = HBK_SLICE("Aladdin:open sesame"); /* RFC 7617, section 2 */
    assert_int_equal(hbk_load_plan_add_header(&plan, HBK_SLICE("user-agent:"), NULL), HBK_OK);
    assert_int_equal(hbk_load_request_build(&plan, plan.target.path, &out), HBK_OK);
    assert_slice_equal(hbk_buffer_slice(&out),
                       HBK_SLICE("POST / HTTP/1.1\r\nHost: a\r\n"
                                 "Authorization: Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==\r\n"
                                 "Content-Type: text/plain\r\nContent-Length: 5\r\n\r\nhello"));
    hbk_buffer_fini(&out);
}

static void urls_are_chosen_by_their_weights(void **state)
{
    (void)state;
    struct hbk_load_plan plan = plan_of("3@http://a/x");
    static struct hbk_load_requests requests;
    assert_int_equal(hbk_load_plan_add_url(&plan, HBK_SLICE("http://a/y"), NULL), HBK_OK);
    assert_int_equal(hbk_load_requests_init(&requests, &plan, NULL), HBK_OK);
    assert_int_equal(requests.count, 2);
    assert_int_equal(hbk_load_requests_choose(&requests, 0.01), 0);
    assert_int_equal(hbk_load_requests_choose(&requests, 0.74), 0);
    assert_int_equal(hbk_load_requests_choose(&requests, 0.76), 1);
    assert_int_equal(hbk_load_requests_choose(&requests, 1), 1);
    hbk_load_requests_fini(&requests);
}

static void urls_of_several_servers_are_refused(void **state)
{
    (void)state;
    static const char *const refused[] = {"http://b/", "http://a:81/", "tcp://a:80", "0@http://a/"};
    for (size_t i = 0; i < HBK_COUNT(refused); i++) {
        struct hbk_load_plan plan = plan_of("http://a/");
        struct hbk_error error = {0};
        assert_int_equal(hbk_load_plan_add_url(&plan, hbk_slice_text(refused[i]), &error),
                         HBK_INVALID);
        assert_true(error.text[0] != '\0');
    }
}

static void every_call_has_a_uuid_of_its_own_in_the_same_place(void **state)
{
    (void)state;
    struct hbk_load_plan plan = plan_of("http://a/{uuid}?{uuid}");
    static struct hbk_load_requests requests;
    uint64_t random = 1;
    char first[HBK_LOAD_UUID_BYTES + 1] = "";
    plan.body = HBK_SLICE("{uuid}!");
    assert_int_equal(hbk_load_requests_init(&requests, &plan, NULL), HBK_OK);
    struct hbk_load_request *request = &requests.list[0];
    assert_int_equal(request->uuid_count, 3);
    for (unsigned i = 0; i < 2; i++) {
        hbk_load_request_renew(request, &random);
        struct hbk_slice bytes = hbk_buffer_slice(&request->bytes);
        assert_memory_equal(bytes.bytes, "POST /", 6);
        const char *uuid = (const char *)bytes.bytes + 6;
        assert_true(uuid[8] == '-' && uuid[14] == '4' && memchr("89ab", uuid[19], 4) != NULL);
        assert_true(memcmp(first, uuid, HBK_LOAD_UUID_BYTES) != 0);
        memcpy(first, uuid, HBK_LOAD_UUID_BYTES);
        assert_true(memmem(bytes.bytes, bytes.size, "Content-Length: 37\r\n", 20) != NULL);
        assert_true(bytes.bytes[bytes.size - 1] == '!');
    }
    hbk_load_requests_fini(&requests);
}

static void http_2_gets_lower_case_names_and_no_fields_of_the_connection(void **state)
{
    (void)state;
    struct hbk_load_plan plan = plan_of("http://a/p");
    static struct hbk_load_requests requests;
    plan.is_http2 = true;
    assert_int_equal(hbk_load_plan_add_header(&plan, HBK_SLICE("X-One: 1"), NULL), HBK_OK);
    assert_int_equal(hbk_load_plan_add_header(&plan, HBK_SLICE("Connection: close"), NULL), HBK_OK);
    assert_int_equal(hbk_load_plan_add_header(&plan, HBK_SLICE("Host: other"), NULL), HBK_OK);
    assert_int_equal(hbk_load_requests_init(&requests, &plan, NULL), HBK_OK);
    const struct hbk_load_request *request = &requests.list[0];
    assert_slice_equal(request->h2.authority, HBK_SLICE("other"));
    assert_slice_equal(request->h2.path, HBK_SLICE("/p"));
    assert_int_equal(request->field_count, 2);
    assert_slice_equal(request->fields[0].name, HBK_SLICE("user-agent"));
    assert_slice_equal(request->fields[1].name, HBK_SLICE("x-one"));
    assert_slice_equal(request->fields[1].value, HBK_SLICE("1"));
    hbk_load_requests_fini(&requests);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_request_has_what_http_1_1_asks_for_and_the_plans_headers),
        cmocka_unit_test(a_body_makes_a_post_with_its_length),
        cmocka_unit_test(urls_are_chosen_by_their_weights),
        cmocka_unit_test(urls_of_several_servers_are_refused),
        cmocka_unit_test(every_call_has_a_uuid_of_its_own_in_the_same_place),
        cmocka_unit_test(http_2_gets_lower_case_names_and_no_fields_of_the_connection),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
