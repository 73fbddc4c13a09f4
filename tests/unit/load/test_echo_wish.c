#include "load/echo_wish.h"

#include "base/clock.h"
#include "harness.h"
#include "load/schedule.h"

static const struct hbk_echo_defaults none;

static hbk_status read(const char *target, const struct hbk_echo_defaults *defaults,
                       struct hbk_echo_wish *wish, char *out_headers, struct hbk_error *error)
{
    struct hbk_buffer headers;
    uint64_t random = 1;
    hbk_buffer_init(&headers, HBK_ECHO_HEADERS_BYTES_MAX);
    hbk_status status =
        hbk_echo_wish_read(hbk_slice_text(target), defaults, &random, wish, &headers, error);
    struct hbk_slice text = hbk_buffer_slice(&headers);
    memcpy(out_headers, text.size == 0 ? (const void *)"" : text.bytes, text.size);
    out_headers[text.size] = '\0';
    hbk_buffer_fini(&headers);
    return status;
}

static void a_query_says_what_the_answer_is_like(void **state)
{
    (void)state;
    static const struct {
        const char *target;
        uint64_t delay_ms, size;
        unsigned status;
        bool has_size, closes;
        const char *headers;
    } cases[] = {
        {"/", 0, 0, 200, false, false, ""},
        {"/x?delay=200ms", 200, 0, 200, false, false, ""},
        {"/?delay=1.5s&status=404", 1500, 0, 404, false, false, ""},
        {"/?size=0", 0, 0, 200, true, false, ""},
        {"/?size=12&close=true&other=1", 0, 12, 200, true, true, ""},
        {"/?close=false", 0, 0, 200, false, false, ""},
        {"/?status=503:100", 0, 0, 503, false, false, ""},
        {"/?header=A:b&header=C:+d%21", 0, 0, 200, false, false, "A:b\r\nC: d!\r\n"},
    };
    for (size_t i = 0; i < HBK_COUNT(cases); i++) {
        struct hbk_echo_wish wish;
        char headers[HBK_ECHO_HEADERS_BYTES_MAX + 1];
        assert_int_equal(read(cases[i].target, &none, &wish, headers, NULL), HBK_OK);
        assert_int_equal(wish.delay_ns, cases[i].delay_ms * HBK_NS_PER_MS);
        assert_int_equal(wish.size_bytes, cases[i].size);
        assert_int_equal(wish.status, cases[i].status);
        assert_true(wish.has_size == cases[i].has_size && wish.closes == cases[i].closes);
        assert_string_equal(headers, cases[i].headers);
    }
}

static void a_query_that_is_not_understood_is_refused_and_nothing_is_cut(void **state)
{
    (void)state;
    static const char *const refused[] = {
        "/?delay=",
        "/?delay=fast",
        "/?delay=61m",
        "/?delay=1s,2s",
        "/?delay=1s:60,2s:50",
        "/?delay=1s:x",
        "/?status=99",
        "/?status=600",
        "/?status=abc",
        "/?size=-1",
        "/?size=1099511627777",
        "/?close=perhaps",
        "/?close=101",
        "/?header=A",
        "/?header=A:b%0d%0aC:d",
        "/?header=Content-Length:1",
        "/?delay=%",
        "/?delay=%4",
        "/?delay=%zz",
    };
    for (size_t i = 0; i < HBK_COUNT(refused); i++) {
        struct hbk_echo_wish wish;
        struct hbk_error error = {0};
        char headers[HBK_ECHO_HEADERS_BYTES_MAX + 1];
        if (read(refused[i], &none, &wish, headers, &error) != HBK_INVALID) {
            print_error("%s was taken\n", refused[i]);
            fail();
        }
        assert_true(error.text[0] != '\0');
    }
}

static void a_mix_gives_its_shares(void **state)
{
    (void)state;
    enum { DRAWS = 100000 };
    struct hbk_echo_mix mix;
    uint64_t random = 5;
    unsigned first = 0, second = 0, nothing = 0;
    assert_int_equal(hbk_echo_mix_parse(HBK_SLICE("10ms:50,1s:5.5"), HBK_ECHO_DELAY, &mix, NULL),
                     HBK_OK);
    for (unsigned i = 0; i < DRAWS; i++) {
        uint64_t value = 0;
        if (!hbk_echo_mix_draw(&mix, hbk_schedule_random(&random), &value)) {
            nothing++;
        } else if (value == HBK_NS_PER_S) {
            second++;
        } else {
            assert_int_equal(value, 10 * HBK_NS_PER_MS);
            first++;
        }
    }
    assert_in_range(first, 49000, 51000);
    assert_in_range(second, 5100, 5900);
    assert_in_range(nothing, 43500, 45500);
}

static void a_query_takes_the_place_of_the_default_it_names(void **state)
{
    (void)state;
    struct hbk_echo_defaults defaults = {0};
    struct hbk_echo_wish wish;
    char headers[HBK_ECHO_HEADERS_BYTES_MAX + 1];
    assert_int_equal(hbk_echo_mix_parse(HBK_SLICE("200ms"), HBK_ECHO_DELAY, &defaults.delay, NULL),
                     HBK_OK);
    assert_int_equal(hbk_echo_mix_parse(HBK_SLICE("500"), HBK_ECHO_STATUS, &defaults.status, NULL),
                     HBK_OK);
    assert_int_equal(read("/?status=201", &defaults, &wish, headers, NULL), HBK_OK);
    assert_int_equal(wish.status, 201);
    assert_int_equal(wish.delay_ns, 200 * HBK_NS_PER_MS);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_query_says_what_the_answer_is_like),
        cmocka_unit_test(a_query_that_is_not_understood_is_refused_and_nothing_is_cut),
        cmocka_unit_test(a_mix_gives_its_shares),
        cmocka_unit_test(a_query_takes_the_place_of_the_default_it_names),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
