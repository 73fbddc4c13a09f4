#include "load/answer.h"

#include <stdio.h>

#include "harness.h"
#include "load/request.h"

static const struct {
    const char *bytes;
    enum hbk_answer_step step;
    unsigned status, body_bytes;
} answers[] = {
    {"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok", HBK_ANSWER_WHOLE, 200, 2},
    {"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\no", HBK_ANSWER_MORE, 200, 1},
    {"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok!", HBK_ANSWER_MALFORMED, 200, 2},
    {"HTTP/1.1 204 No Content\r\n\r\n", HBK_ANSWER_WHOLE, 204, 0},
    {"HTTP/1.1 503 No\r\nContent-Length: 0\r\nConnection: close\r\n\r\n", HBK_ANSWER_LAST, 503, 0},
    {"HTTP/1.0 200 OK\r\nContent-Length: 1\r\n\r\nx", HBK_ANSWER_LAST, 200, 1},
    {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n", HBK_ANSWER_WHOLE,
     200, 3},
    {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n", HBK_ANSWER_MORE, 200,
     3},
    {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n", HBK_ANSWER_MALFORMED, 200, 0},
    {"HTTP/1.1 200 OK\r\n\r\nto the end", HBK_ANSWER_MORE, 200, 10},
    {"HTTP/1.1 103 Early\r\nLink: x\r\n\r\nHTTP/1.1 100 Go\r\n\r\nHTTP/1.1 200 OK\r\n"
     "Content-Length: 2\r\n\r\nok",
     HBK_ANSWER_WHOLE, 200, 2},
    {"HTTP/1.1 200 OK\r\n", HBK_ANSWER_MORE, 0, 0},
    {"SSH-2.0-OpenSSH_9.2p1\r\n\r\n", HBK_ANSWER_MALFORMED, 0, 0},
    {"HTTP/2 200\r\n\r\n", HBK_ANSWER_MALFORMED, 0, 0},
};

static void check(const struct hbk_answer *answer, enum hbk_answer_step step, size_t i)
{
    assert_int_equal(step, answers[i].step);
    if (step != HBK_ANSWER_MALFORMED) {
        assert_int_equal(answer->status, answers[i].status);
        assert_int_equal(answer->body_bytes, answers[i].body_bytes);
    }
}

static void an_answer_is_understood_in_one_piece(void **state)
{
    (void)state;
    for (size_t i = 0; i < HBK_COUNT(answers); i++) {
        struct hbk_answer answer;
        hbk_answer_init(&answer);
        check(&answer, hbk_answer_read(&answer, hbk_slice_text(answers[i].bytes)), i);
        hbk_answer_reset(&answer);
    }
}

static void an_answer_is_understood_in_any_two_pieces(void **state)
{
    (void)state;
    for (size_t i = 0; i < HBK_COUNT(answers); i++) {
        struct hbk_slice bytes = hbk_slice_text(answers[i].bytes);
        for (size_t cut = 1; cut < bytes.size; cut++) {
            struct hbk_answer answer;
            hbk_answer_init(&answer);
            enum hbk_answer_step step = hbk_answer_read(&answer, hbk_slice_part(bytes, 0, cut));
            if (step == HBK_ANSWER_MORE) {
                step = hbk_answer_read(&answer, hbk_slice_part(bytes, cut, bytes.size));
                check(&answer, step, i);
            } else {
                /* Only what is wrong, or has bytes behind its end, is known before all is read. */
                assert_int_equal(answers[i].step, HBK_ANSWER_MALFORMED);
            }
            hbk_answer_reset(&answer);
        }
    }
}

static void an_answer_is_understood_byte_by_byte_and_holds_nothing_afterwards(void **state)
{
    (void)state;
    struct hbk_answer answer;
    hbk_answer_init(&answer);
    for (unsigned round = 0; round < 2; round++) {
        struct hbk_slice bytes = hbk_slice_text(answers[0].bytes);
        enum hbk_answer_step step = HBK_ANSWER_MORE;
        for (size_t at = 0; at < bytes.size; at++) {
            assert_int_equal(step, HBK_ANSWER_MORE);
            step = hbk_answer_read(&answer, hbk_slice_part(bytes, at, 1));
        }
        check(&answer, step, 0);
        hbk_answer_reset(&answer);
        assert_null(answer.held.bytes);
    }
}

static void only_a_body_without_a_length_ends_with_its_connection(void **state)
{
    (void)state;
    static const struct {
        const char *bytes;
        bool is_ended;
    } cases[] = {
        {"", false},
        {"HTTP/1.1 200 OK\r\n", false},
        {"HTTP/1.1 200 OK\r\n\r\nabc", true},
        {"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nabc", false},
        {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n", false},
    };
    for (size_t i = 0; i < HBK_COUNT(cases); i++) {
        struct hbk_answer answer;
        hbk_answer_init(&answer);
        assert_int_equal(hbk_answer_read(&answer, hbk_slice_text(cases[i].bytes)), HBK_ANSWER_MORE);
        assert_int_equal(hbk_answer_is_ended_by_close(&answer), cases[i].is_ended);
        hbk_answer_reset(&answer);
    }
}

static void a_head_without_end_is_malformed_at_the_limit(void **state)
{
    (void)state;
    struct hbk_answer answer;
    hbk_answer_init(&answer);
    assert_int_equal(hbk_answer_read(&answer, HBK_SLICE("HTTP/1.1 200 OK\r\nx: ")),
                     HBK_ANSWER_MORE);
    enum hbk_answer_step step = HBK_ANSWER_MORE;
    for (size_t i = 0; step == HBK_ANSWER_MORE; i++) {
        assert_true(i < HBK_HTTP1_HEAD_BYTES_MAX);
        step = hbk_answer_read(&answer, HBK_SLICE("yyyyyyyyyyyyyyyy"));
    }
    assert_int_equal(step, HBK_ANSWER_MALFORMED);
    assert_non_null(answer.fault);
    hbk_answer_reset(&answer);
}

static void a_head_that_is_known_means_what_it_meant_when_it_was_parsed(void **state)
{
    (void)state;
    static struct hbk_answer_known known; /* of whichever answer came before */
    for (size_t round = 0; round < 3; round++) {
        for (size_t i = 0; i < HBK_COUNT(answers); i++) {
            for (size_t again = 0; again <= round; again++) {
                struct hbk_answer answer;
                hbk_answer_init(&answer);
                answer.known = &known;
                check(&answer, hbk_answer_read(&answer, hbk_slice_text(answers[i].bytes)), i);
                hbk_answer_reset(&answer);
            }
        }
    }
    assert_true(known.size > 0);
}

static void a_known_head_promises_no_body_where_only_the_head_was_asked_for(void **state)
{
    (void)state;
    static struct hbk_answer_known known;
    static const char head[] = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n";
    for (unsigned round = 0; round < 3; round++) {
        struct hbk_answer answer;
        hbk_answer_init(&answer);
        answer.is_to_head = true;
        answer.known = &known;
        assert_int_equal(hbk_answer_read(&answer, hbk_slice_text(head)), HBK_ANSWER_WHOLE);
        assert_int_equal(answer.status, 200);
        assert_int_equal(answer.body_bytes, 0);
        assert_int_equal(known.size, sizeof head - 1); /* from the first round on */
        hbk_answer_reset(&answer);
    }
    struct hbk_answer answer;
    hbk_answer_init(&answer);
    answer.is_to_head = true;
    answer.known = &known;
    assert_int_equal(
        hbk_answer_read(&answer, HBK_SLICE("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")),
        HBK_ANSWER_MALFORMED);
    hbk_answer_reset(&answer);
}

static void a_head_that_only_begins_like_a_known_one_is_parsed(void **state)
{
    (void)state;
    static struct hbk_answer_known known;
    static const struct {
        const char *bytes;
        enum hbk_answer_step step;
        unsigned body_bytes;
    } cases[] = {
        {"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok", HBK_ANSWER_WHOLE, 2},
        {"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r", HBK_ANSWER_MORE, 0},
        {"HTTP/1.1 200 OK\r\nContent-Length: 22\r\n\r\nok", HBK_ANSWER_MORE, 2},
        {"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nX: y\r\n\r\nok", HBK_ANSWER_WHOLE, 2},
        {"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nX: y\r\n\r\nok!", HBK_ANSWER_MALFORMED, 2},
    };
    for (size_t i = 0; i < HBK_COUNT(cases); i++) {
        struct hbk_answer answer;
        hbk_answer_init(&answer);
        answer.known = &known;
        assert_int_equal(hbk_answer_read(&answer, hbk_slice_text(cases[i].bytes)), cases[i].step);
        assert_int_equal(answer.body_bytes, cases[i].body_bytes);
        hbk_answer_reset(&answer);
    }
}

static void a_head_too_large_to_be_remembered_is_parsed_each_time(void **state)
{
    (void)state;
    static struct hbk_answer_known known;
    static char bytes[2 * HBK_LOAD_KNOWN_HEAD_BYTES_MAX];
    int size =
        snprintf(bytes, sizeof bytes, "HTTP/1.1 200 OK\r\nX: %0*d\r\nContent-Length: 1\r\n\r\nx",
                 HBK_LOAD_KNOWN_HEAD_BYTES_MAX, 7);
    for (unsigned round = 0; round < 2; round++) {
        struct hbk_answer answer;
        hbk_answer_init(&answer);
        answer.known = &known;
        assert_int_equal(hbk_answer_read(&answer, hbk_slice_of(bytes, (size_t)size)),
                         HBK_ANSWER_WHOLE);
        assert_int_equal(known.size, 0);
        hbk_answer_reset(&answer);
    }
}

static void interim_heads_have_a_limit(void **state)
{
    (void)state;
    static const char final[] = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";
    for (unsigned extra = 0; extra < 2; extra++) {
        struct hbk_answer answer;
        hbk_answer_init(&answer);
        for (unsigned i = 0; i < HBK_LOAD_INTERIM_MAX + extra; i++) {
            assert_int_equal(hbk_answer_read(&answer, HBK_SLICE("HTTP/1.1 102 Wait\r\n\r\n")),
                             i < HBK_LOAD_INTERIM_MAX ? HBK_ANSWER_MORE : HBK_ANSWER_MALFORMED);
        }
        if (extra == 0) {
            assert_int_equal(hbk_answer_read(&answer, HBK_SLICE(final)), HBK_ANSWER_WHOLE);
        }
        hbk_answer_reset(&answer);
    }
}

static void an_echo_must_be_what_was_sent(void **state)
{
    (void)state;
    uint8_t message[HBK_LOAD_MESSAGE_BYTES], other[HBK_LOAD_MESSAGE_BYTES];
    struct hbk_answer answer;
    hbk_load_message_build(7, 255, message);
    hbk_load_message_build(8, 255, other);
    assert_memory_equal(message, "0000000700000000000000ff", sizeof message);
    hbk_answer_init(&answer);
    struct hbk_slice sent = hbk_slice_of(message, sizeof message);

    hbk_answer_expect(&answer, sent);
    assert_int_equal(hbk_answer_read(&answer, hbk_slice_part(sent, 0, 5)), HBK_ANSWER_MORE);
    assert_int_equal(hbk_answer_read(&answer, hbk_slice_part(sent, 5, 19)), HBK_ANSWER_WHOLE);
    assert_int_equal(answer.body_bytes, HBK_LOAD_MESSAGE_BYTES);

    hbk_answer_expect(&answer, sent);
    assert_int_equal(hbk_answer_read(&answer, hbk_slice_of(other, sizeof other)),
                     HBK_ANSWER_MALFORMED);
    hbk_answer_expect(&answer, sent);
    assert_int_equal(hbk_answer_read(&answer, HBK_SLICE("0000000700000000000000ff0")),
                     HBK_ANSWER_MALFORMED);
    hbk_answer_reset(&answer);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_answer_is_understood_in_one_piece),
        cmocka_unit_test(an_answer_is_understood_in_any_two_pieces),
        cmocka_unit_test(an_answer_is_understood_byte_by_byte_and_holds_nothing_afterwards),
        cmocka_unit_test(only_a_body_without_a_length_ends_with_its_connection),
        cmocka_unit_test(a_head_without_end_is_malformed_at_the_limit),
        cmocka_unit_test(a_head_that_is_known_means_what_it_meant_when_it_was_parsed),
        cmocka_unit_test(a_known_head_promises_no_body_where_only_the_head_was_asked_for),
        cmocka_unit_test(a_head_that_only_begins_like_a_known_one_is_parsed),
        cmocka_unit_test(a_head_too_large_to_be_remembered_is_parsed_each_time),
        cmocka_unit_test(interim_heads_have_a_limit),
        cmocka_unit_test(an_echo_must_be_what_was_sent),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
