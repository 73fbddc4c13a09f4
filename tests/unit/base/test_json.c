#include "base/json.h"

#include "harness.h"

static struct hbk_buffer out;

static int set_up(void **state)
{
    (void)state;
    hbk_buffer_init(&out, 1 << 16);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    hbk_buffer_fini(&out);
    return 0;
}

static void write_sample(struct hbk_json *json)
{
    hbk_json_begin_object(json, NULL);
    hbk_json_text(json, "name", "a\"b");
    hbk_json_begin_array(json, "ports");
    hbk_json_number(json, NULL, 80);
    hbk_json_number(json, NULL, UINT64_MAX);
    hbk_json_end_array(json);
    hbk_json_begin_object(json, "empty");
    hbk_json_end_object(json);
    hbk_json_key(json, HBK_SLICE("x\n"));
    hbk_json_bool(json, NULL, true);
    hbk_json_key(json, HBK_SLICE("inner"));
    hbk_json_begin_object(json, NULL);
    hbk_json_null(json, "nothing");
    hbk_json_end_object(json);
    hbk_json_end_object(json);
}

static void values_are_joined_without_blanks(void **state)
{
    (void)state;
    struct hbk_json json = hbk_json_to(&out, false);
    write_sample(&json);
    assert_int_equal(json.status, HBK_OK);
    assert_slice_equal(hbk_buffer_slice(&out),
                       HBK_SLICE("{\"name\":\"a\\\"b\",\"ports\":[80,18446744073709551615],"
                                 "\"empty\":{},\"x\\u000a\":true,\"inner\":{\"nothing\":null}}"));
}

static void values_stand_on_lines_of_their_own_when_pretty(void **state)
{
    (void)state;
    struct hbk_json json = hbk_json_to(&out, true);
    write_sample(&json);
    assert_slice_equal(hbk_buffer_slice(&out), HBK_SLICE("{\n"
                                                         "  \"name\": \"a\\\"b\",\n"
                                                         "  \"ports\": [\n"
                                                         "    80,\n"
                                                         "    18446744073709551615\n"
                                                         "  ],\n"
                                                         "  \"empty\": {},\n"
                                                         "  \"x\\u000a\": true,\n"
                                                         "  \"inner\": {\n"
                                                         "    \"nothing\": null\n"
                                                         "  }\n"
                                                         "}"));
}

static void long_texts_are_not_cut_within_a_character(void **state)
{
    (void)state;
    uint8_t text[4 + 4 * 600];
    for (size_t shift = 0; shift < 4; shift++) {
        memset(text, 'a', shift);
        for (size_t i = 0; i < 600; i++) {
            memcpy(text + shift + 4 * i, "\xF0\x9F\x98\x80", 4);
        }
        hbk_buffer_clear(&out);
        struct hbk_json json = hbk_json_to(&out, false);
        struct hbk_slice whole = hbk_slice_of(text, shift + 4 * 600);
        hbk_json_string(&json, NULL, whole);
        struct hbk_slice found = hbk_slice_part(hbk_buffer_slice(&out), 1, whole.size);
        assert_slice_equal(found, whole);
    }
}

static void a_full_buffer_stops_the_writer(void **state)
{
    (void)state;
    struct hbk_buffer small;
    hbk_buffer_init(&small, 20);
    struct hbk_json json = hbk_json_to(&small, false);
    write_sample(&json);
    assert_int_equal(json.status, HBK_LIMIT);
    hbk_buffer_fini(&small);
}

#define CASE(function) cmocka_unit_test_setup_teardown(function, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(values_are_joined_without_blanks),
        CASE(values_stand_on_lines_of_their_own_when_pretty),
        CASE(long_texts_are_not_cut_within_a_character),
        CASE(a_full_buffer_stops_the_writer),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
