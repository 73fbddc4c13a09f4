#include "http/message.h"

#include "harness.h"

static struct hbk_arena arena;

static struct hbk_gw_head head_of(const char *const (*pairs)[2], size_t count)
{
    struct hbk_gw_head head = {0};
    for (size_t i = 0; i < count; i++) {
        assert_int_equal(hbk_gw_head_add(&head, &arena, hbk_slice_text(pairs[i][0]),
                                         hbk_slice_text(pairs[i][1])),
                         HBK_OK);
    }
    return head;
}

static void test_fields_are_found_replaced_and_removed_in_any_case(void **state)
{
    static const char *const pairs[][2] = {{"a", "1"}, {"b", "2"}, {"a", "3"}};
    (void)state;
    hbk_arena_init(&arena);
    struct hbk_gw_head head = head_of(pairs, 3);
    assert_slice_equal(hbk_gw_head_find(&head, HBK_SLICE("a")), HBK_SLICE("1"));
    assert_false(hbk_gw_head_has(&head, HBK_SLICE("c")));
    assert_int_equal(hbk_gw_head_set(&head, &arena, HBK_SLICE("a"), HBK_SLICE("4")), HBK_OK);
    assert_int_equal(head.count, 2);
    assert_slice_equal(hbk_gw_head_find(&head, HBK_SLICE("a")), HBK_SLICE("4"));
    hbk_gw_head_remove(&head, HBK_SLICE("B"));
    assert_int_equal(head.count, 1);
    hbk_arena_fini(&arena);
}

static void test_no_head_holds_more_than_the_limit(void **state)
{
    struct hbk_gw_head head = {0};
    (void)state;
    hbk_arena_init(&arena);
    for (unsigned i = 0; i < HBK_GW_FIELDS_MAX; i++) {
        assert_int_equal(hbk_gw_head_add(&head, &arena, HBK_SLICE("a"), HBK_SLICE("")), HBK_OK);
    }
    assert_int_equal(hbk_gw_head_add(&head, &arena, HBK_SLICE("a"), HBK_SLICE("")), HBK_LIMIT);
    hbk_arena_fini(&arena);
}

static void test_what_belongs_to_one_connection_is_never_passed_on(void **state)
{
    static const char *const pairs[][2] = {
        {"connection", "x-mine, close"},
        {"connection", "x-other"},
        {"x-mine", "1"},
        {"x-other", "1"},
        {"keep-alive", "5"},
        {"proxy-connection", "x"},
        {"transfer-encoding", "chunked"},
        {"te", "gzip"},
        {"upgrade", "h2c"},
        {"x-kept", "1"},
        {"content-length", "3"},
    };
    (void)state;
    hbk_arena_init(&arena);
    struct hbk_gw_head head = head_of(pairs, HBK_COUNT(pairs));
    assert_true(hbk_gw_head_strip(&head));
    assert_int_equal(head.count, 2);
    assert_true(hbk_gw_head_has(&head, HBK_SLICE("x-kept")));
    assert_true(hbk_gw_head_has(&head, HBK_SLICE("content-length")));
    hbk_arena_fini(&arena);
}

static void test_connection_cannot_take_away_what_others_need(void **state)
{
    static const char *const pairs[][2] = {
        {"connection", "content-length, x-forwarded-for, te, X-Forwarded-Proto"},
        {"content-length", "3"},
        {"x-forwarded-for", "1.2.3.4"},
        {"x-forwarded-proto", "https"},
        {"te", "trailers"},
    };
    (void)state;
    hbk_arena_init(&arena);
    struct hbk_gw_head head = head_of(pairs, HBK_COUNT(pairs));
    assert_true(hbk_gw_head_strip(&head));
    assert_true(hbk_gw_head_has(&head, HBK_SLICE("te")));
    assert_true(hbk_gw_head_has(&head, HBK_SLICE("content-length")));
    assert_true(hbk_gw_head_has(&head, HBK_SLICE("x-forwarded-for")));
    assert_true(hbk_gw_head_has(&head, HBK_SLICE("x-forwarded-proto")));
    hbk_arena_fini(&arena);
}

static void test_connection_names_so_many_fields_and_no_more(void **state)
{
    static const char *const most[][2] = {{"connection", "a,b,c,d,e,f,g,h"},
                                          {"connection", "i,j,k,l,m,n,,p"},
                                          {"a", "1"},
                                          {"q", "1"}};
    static const char *const more[][2] = {{"connection", "a,b,c,d,e,f,g,h"},
                                          {"connection", "i,j,k,l,m,n,,p,q"}};
    (void)state;
    hbk_arena_init(&arena);
    struct hbk_gw_head head = head_of(most, HBK_COUNT(most));
    assert_true(hbk_gw_head_strip(&head));
    assert_int_equal(head.count, 1);
    assert_true(hbk_gw_head_has(&head, HBK_SLICE("q")));
    head = head_of(more, HBK_COUNT(more));
    assert_false(hbk_gw_head_strip(&head));
    hbk_arena_fini(&arena);
}

static void test_an_authority_has_only_what_a_url_may_have_there(void **state)
{
    static const char *const good[] = {"a.test",  "a.test:80", "[::1]:8080",    "1.2.3.4",
                                       "a%20b.c", "a,b;c=d",   "A-b_c~!$&'()*+"};
    static const char *const bad[] = {"a b",  "a/b",   "a\\b",     "a?b", "a#b",  "a\"b",
                                      "<a>",  "a\tb",  "a|b",      "{a}", "a^b",  "a`b",
                                      "\x7f", "a\x80", "\xc3\xa9", "u@a", "u:p@a"};
    (void)state;
    for (size_t i = 0; i < HBK_COUNT(good); i++) {
        assert_true(hbk_gw_is_authority(hbk_slice_text(good[i])));
    }
    for (size_t i = 0; i < HBK_COUNT(bad); i++) {
        assert_false(hbk_gw_is_authority(hbk_slice_text(bad[i])));
    }
    assert_false(hbk_gw_is_authority(hbk_slice_of("a\0b", 3)));
}

static void test_bodies_are_as_long_as_they_were_promised(void **state)
{
    static const char *const five[][2] = {{"content-length", "5"}};
    static const char *const twice[][2] = {{"content-length", "5"}, {"content-length", "5"}};
    static const char *const broken[][2] = {{"content-length", "+5"},
                                            {"content-length", "5, 5"},
                                            {"content-length", ""},
                                            {"content-length", "0x5"},
                                            {"content-length", "18446744073709551621"}};
    struct hbk_gw_promise promise;
    (void)state;
    hbk_arena_init(&arena);
    struct hbk_gw_head head = head_of(five, 0);
    assert_true(hbk_gw_promise_read(&promise, &head));
    assert_true(hbk_gw_promise_keep(&promise, 1000, true));
    head = head_of(five, 1);
    assert_true(hbk_gw_promise_read(&promise, &head));
    assert_true(hbk_gw_promise_keep(&promise, 2, false));
    assert_true(hbk_gw_promise_keep(&promise, 3, false));
    assert_false(hbk_gw_promise_keep(&promise, 1, false));
    assert_true(hbk_gw_promise_keep(&promise, 0, true));
    assert_true(hbk_gw_promise_read(&promise, &head));
    assert_false(hbk_gw_promise_keep(&promise, 4, true));
    assert_true(hbk_gw_promise_read(&promise, &head));
    assert_false(hbk_gw_promise_keep(&promise, 0, true));
    head = head_of(twice, 2);
    assert_false(hbk_gw_promise_read(&promise, &head));
    for (size_t i = 0; i < HBK_COUNT(broken); i++) {
        head = head_of(broken + i, 1);
        assert_false(hbk_gw_promise_read(&promise, &head));
    }
    hbk_arena_fini(&arena);
}

static void test_fields_of_one_name_are_joined_in_their_order(void **state)
{
    static const char *const pairs[][2] = {
        {"a", ""}, {"b", "x"}, {"a", "1"}, {"A", ""}, {"a", "2"}};
    (void)state;
    hbk_arena_init(&arena);
    struct hbk_gw_head head = head_of(pairs, 5);
    assert_int_equal(hbk_gw_head_join(&head, &arena, HBK_SLICE("a"), HBK_SLICE("; ")), HBK_OK);
    assert_int_equal(head.count, 2);
    assert_slice_equal(hbk_gw_head_find(&head, HBK_SLICE("a")), HBK_SLICE("; 1; ; 2"));
    assert_int_equal(hbk_gw_head_join(&head, &arena, HBK_SLICE("b"), HBK_SLICE("; ")), HBK_OK);
    assert_int_equal(hbk_gw_head_join(&head, &arena, HBK_SLICE("c"), HBK_SLICE("; ")), HBK_OK);
    assert_int_equal(head.count, 2);
    assert_slice_equal(head.fields[0].value, HBK_SLICE("x"));
    hbk_arena_fini(&arena);
}

static void test_printed_text_is_never_cut(void **state)
{
    char text[5000];
    (void)state;
    hbk_arena_init(&arena);
    memset(text, 'x', sizeof text);
    struct hbk_slice printed = hbk_gw_print(&arena, "<%.*s>", (int)sizeof text, text);
    assert_int_equal(printed.size, sizeof text + 2);
    assert_int_equal(printed.bytes[printed.size - 1], '>');
    hbk_arena_fini(&arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_fields_are_found_replaced_and_removed_in_any_case),
        cmocka_unit_test(test_no_head_holds_more_than_the_limit),
        cmocka_unit_test(test_what_belongs_to_one_connection_is_never_passed_on),
        cmocka_unit_test(test_connection_cannot_take_away_what_others_need),
        cmocka_unit_test(test_connection_names_so_many_fields_and_no_more),
        cmocka_unit_test(test_an_authority_has_only_what_a_url_may_have_there),
        cmocka_unit_test(test_fields_of_one_name_are_joined_in_their_order),
        cmocka_unit_test(test_printed_text_is_never_cut),
        cmocka_unit_test(test_bodies_are_as_long_as_they_were_promised),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
