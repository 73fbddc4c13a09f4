#include "wire/http1.h"

#include <stdio.h>

#include "harness.h"

static void a_small_request_is_parsed_in_place(void **state)
{
    (void)state;
    struct hbk_slice input = HBK_SLICE("GET /a?b HTTP/1.1\r\n"
                                       "Host: cart:80\r\n"
                                       "X-Empty:\r\n"
                                       "Accept: \t */*\t \r\n\r\nnext");
    struct hbk_http1_reader reader = {0};
    struct hbk_http1_request request;
    assert_int_equal(hbk_http1_read_request(&reader, input, &request), HBK_HTTP1_READY);
    assert_slice_equal(request.method, HBK_SLICE("GET"));
    assert_slice_equal(request.target, HBK_SLICE("/a?b"));
    assert_slice_equal(request.host, HBK_SLICE("cart:80"));
    assert_int_equal(request.minor_version, 1);
    assert_true(request.is_keep_alive);
    assert_false(request.expects_continue);
    assert_int_equal(request.body.kind, HBK_HTTP1_NO_BODY);
    assert_int_equal(request.head_bytes, input.size - 4);
    assert_int_equal(request.field_count, 3);
    struct hbk_slice value;
    assert_true(hbk_http1_find_field(request.fields, 3, HBK_SLICE("ACCEPT"), &value));
    assert_slice_equal(value, HBK_SLICE("*/*"));
    assert_true(hbk_http1_find_field(request.fields, 3, HBK_SLICE("x-empty"), &value));
    assert_int_equal(value.size, 0);
    assert_false(hbk_http1_find_field(request.fields, 3, HBK_SLICE("x-none"), &value));
    assert_ptr_equal(request.target.bytes, input.bytes + 4);
}

static void a_head_in_parts_is_ready_at_its_last_byte_and_not_before(void **state)
{
    (void)state;
    struct hbk_slice whole = HBK_SLICE("\r\nPOST / HTTP/1.1\r\nHost: a\r\nContent-Length: 7\r\n"
                                       "Expect: 100-continue\r\n\r\n");
    struct hbk_http1_reader reader = {0};
    struct hbk_http1_request request;
    for (size_t size = 0; size < whole.size; size++) {
        assert_int_equal(hbk_http1_read_request(&reader, hbk_slice_of(whole.bytes, size), &request),
                         HBK_HTTP1_NEED_MORE);
    }
    assert_int_equal(hbk_http1_read_request(&reader, whole, &request), HBK_HTTP1_READY);
    assert_int_equal(request.head_bytes, whole.size);
    assert_int_equal(request.body.kind, HBK_HTTP1_LENGTH);
    assert_int_equal(request.body.left_bytes, 7);
    assert_true(request.expects_continue);
}

/* Whoever sends it is done, and waits for an answer: RFC 9112, 2.2. */
static void a_line_without_cr_is_refused_as_soon_as_it_is_there(void **state)
{
    static const char *const beginnings[] = {"GET / HTTP/1.1\n", "\n",
                                             "GET / HTTP/1.1\r\nHost: a\n"};
    (void)state;
    for (size_t i = 0; i < HBK_COUNT(beginnings); i++) {
        struct hbk_slice text = hbk_slice_text(beginnings[i]);
        struct hbk_http1_reader reader = {0};
        struct hbk_http1_request request;
        for (size_t size = 0; size < text.size; size++) {
            assert_int_equal(
                hbk_http1_read_request(&reader, hbk_slice_of(text.bytes, size), &request),
                HBK_HTTP1_NEED_MORE);
        }
        assert_int_equal(hbk_http1_read_request(&reader, text, &request), HBK_HTTP1_INVALID);
        assert_int_equal(reader.fault_status, 400);
    }
}

static void an_upgrade_is_asked_for_where_connection_says_so(void **state)
{
    static const struct {
        const char *text;
        bool names_upgrade;
    } cases[] = {
        {"GET / HTTP/1.1\r\nHost: a\r\nUpgrade: x\r\n\r\n", false},
        {"GET / HTTP/1.1\r\nHost: a\r\nConnection: keep-alive, Upgrade\r\n\r\n", true},
        {"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\nConnection: upgrade\r\n\r\n", true},
    };
    (void)state;
    for (size_t i = 0; i < HBK_COUNT(cases); i++) {
        struct hbk_http1_reader reader = {0};
        struct hbk_http1_request request;
        assert_int_equal(hbk_http1_read_request(&reader, hbk_slice_text(cases[i].text), &request),
                         HBK_HTTP1_READY);
        assert_int_equal(request.names_upgrade, cases[i].names_upgrade);
    }
}

/* RFC 9112: 3 (request line), 5 (fields), 6.3 (length), and the smuggling rules of 11.2. */
static void heads_that_two_parsers_could_read_differently_are_refused(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        uint16_t status;
    } cases[] = {
        {"GET / HTTP/1.1\r\nHost: a\nX: b\r\n\r\n", 400},
        {"GET / HTTP/1.1\nHost: a\r\n\r\n", 400},
        {"GET  / HTTP/1.1\r\nHost: a\r\n\r\n", 400},
        {" GET / HTTP/1.1\r\nHost: a\r\n\r\n", 400},
        {"GET / HTTP/1.1 \r\nHost: a\r\n\r\n", 400},
        {"GET /\r\n\r\n", 400},
        {"GET /a b HTTP/1.1\r\nHost: a\r\n\r\n", 400},
        {"GET / http/1.1\r\nHost: a\r\n\r\n", 400},
        {"GET / HTTP/2.0\r\nHost: a\r\n\r\n", 505},
        {"PRI * HTTP/2.0\r\n\r\n", 505},
        {"G(T / HTTP/1.1\r\nHost: a\r\n\r\n", 400},
        {"GET /\x7f HTTP/1.1\r\nHost: a\r\n\r\n", 400},
        {"GET / HTTP/1.1\r\n\r\n", 400},
        {"GET / HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n", 400},
        {"GET / HTTP/1.1\r\nHost : a\r\n\r\n", 400},
        {"GET / HTTP/1.1\r\nHost: a\r\n folded\r\n\r\n", 400},
        {"GET / HTTP/1.1\r\nHost: a\r\n: b\r\n\r\n", 400},
        {"GET / HTTP/1.1\r\nHost: a\rb\r\n\r\n", 400},
        {"GET / HTTP/1.1\r\nHost: a\x01\r\n\r\n", 400},
        {"GET / HTTP/1.1\r\nHost: a\r\nX: 12345678\x7f\r\n\r\n", 400},
        {"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nContent-Length: 5\r\n\r\n", 400},
        {"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5, 5\r\n\r\n", 400},
        {"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: +5\r\n\r\n", 400},
        {"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 0x5\r\n\r\n", 400},
        {"POST / HTTP/1.1\r\nHost: a\r\nContent-Length:\r\n\r\n", 400},
        {"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 9223372036854775808\r\n\r\n", 400},
        {"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n",
         400},
        {"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n",
         400},
        {"POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n", 400},
        {"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip, chunked\r\n\r\n", 501},
        {"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: xchunked\r\n\r\n", 501},
        {"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n"
         "Transfer-Encoding: chunked\r\n\r\n",
         400},
    };
    for (size_t i = 0; i < HBK_COUNT(cases); i++) {
        struct hbk_http1_reader reader = {0};
        struct hbk_http1_request request;
        if (hbk_http1_read_request(&reader, hbk_slice_text(cases[i].text), &request) !=
                HBK_HTTP1_INVALID ||
            reader.fault_status != cases[i].status) {
            fail_msg("not refused with %u: %s (%u)", cases[i].status, cases[i].text,
                     reader.fault_status);
        }
        assert_non_null(reader.fault_text);
    }
}

/* RFC 9112, 9.3. */
static void the_version_and_the_connection_field_decide_what_stays_open(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        bool is_keep_alive;
    } cases[] = {
        {"GET / HTTP/1.1\r\nHost: a\r\n\r\n", true},
        {"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n", false},
        {"GET / HTTP/1.1\r\nHost: a\r\nCONNECTION: Upgrade , Close\r\n\r\n", false},
        {"GET / HTTP/1.1\r\nHost: a\r\nConnection: closed\r\n\r\n", true},
        {"GET / HTTP/1.0\r\n\r\n", false},
        {"GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n", true},
        {"GET / HTTP/1.0\r\nConnection: keep-alive, close\r\n\r\n", false},
        {"GET / HTTP/1.7\r\nHost: a\r\n\r\n", true},
    };
    for (size_t i = 0; i < HBK_COUNT(cases); i++) {
        struct hbk_http1_reader reader = {0};
        struct hbk_http1_request request;
        assert_int_equal(hbk_http1_read_request(&reader, hbk_slice_text(cases[i].text), &request),
                         HBK_HTTP1_READY);
        assert_int_equal(request.is_keep_alive, cases[i].is_keep_alive);
    }
}

/* A head of exactly `size` bytes in `text`, with one long field. */
static struct hbk_slice head_of(char *text, size_t size)
{
    static const char start[] = "GET / HTTP/1.1\r\nHost: a\r\nX: ";
    memset(text, 'x', size);
    memcpy(text, start, sizeof(start) - 1);
    memcpy(text + size - 4, "\r\n\r\n", 4);
    return hbk_slice_of(text, size);
}

static void limits_of_a_head_are_exact(void **state)
{
    (void)state;
    static char text[HBK_HTTP1_HEAD_BYTES_MAX + 2];
    struct hbk_http1_request request;
    struct hbk_http1_reader reader = {0};
    assert_int_equal(
        hbk_http1_read_request(&reader, head_of(text, HBK_HTTP1_HEAD_BYTES_MAX), &request),
        HBK_HTTP1_READY);
    reader = (struct hbk_http1_reader){0};
    assert_int_equal(
        hbk_http1_read_request(&reader, head_of(text, HBK_HTTP1_HEAD_BYTES_MAX + 1), &request),
        HBK_HTTP1_INVALID);
    assert_int_equal(reader.fault_status, 431);

    for (size_t extra = 0; extra < 2; extra++) {
        size_t target_bytes = HBK_HTTP1_TARGET_BYTES_MAX + extra;
        memset(text, '/', sizeof(text));
        memcpy(text, "GET ", 4);
        static const char rest[] = " HTTP/1.1\r\nHost: a\r\n\r\n";
        memcpy(text + 4 + target_bytes, rest, sizeof(rest) - 1);
        reader = (struct hbk_http1_reader){0};
        struct hbk_slice input = hbk_slice_of(text, 4 + target_bytes + sizeof(rest) - 1);
        assert_int_equal(hbk_http1_read_request(&reader, input, &request),
                         extra == 0 ? HBK_HTTP1_READY : HBK_HTTP1_INVALID);
    }
    assert_int_equal(reader.fault_status, 414);

    for (size_t fields = HBK_HTTP1_FIELDS_MAX; fields <= HBK_HTTP1_FIELDS_MAX + 1; fields++) {
        size_t size = (size_t)snprintf(text, sizeof(text), "GET / HTTP/1.1\r\nHost: a\r\n");
        for (size_t i = 1; i < fields; i++) {
            size += (size_t)snprintf(text + size, sizeof(text) - size, "x: y\r\n");
        }
        size += (size_t)snprintf(text + size, sizeof(text) - size, "\r\n");
        reader = (struct hbk_http1_reader){0};
        assert_int_equal(hbk_http1_read_request(&reader, hbk_slice_of(text, size), &request),
                         fields == HBK_HTTP1_FIELDS_MAX ? HBK_HTTP1_READY : HBK_HTTP1_INVALID);
    }
    assert_int_equal(reader.fault_status, 431);
}

/* RFC 9112, 6.3. */
static void the_length_of_a_response_follows_from_status_and_fields(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        bool is_to_head;
        enum hbk_http1_answer answer;
        uint16_t status;
        enum hbk_http1_body_kind kind;
        uint64_t length;
        bool is_keep_alive;
    } cases[] = {
        {"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n", false, HBK_HTTP1_READY, 200,
         HBK_HTTP1_LENGTH, 2, true},
        {"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", false, HBK_HTTP1_READY, 200,
         HBK_HTTP1_NO_BODY, 0, true},
        {"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n", true, HBK_HTTP1_READY, 200,
         HBK_HTTP1_NO_BODY, 0, true},
        {"HTTP/1.1 200\r\nTransfer-Encoding: Chunked\r\n\r\n", false, HBK_HTTP1_READY, 200,
         HBK_HTTP1_CHUNKED, 0, true},
        {"HTTP/1.1 200 OK\r\n\r\n", false, HBK_HTTP1_READY, 200, HBK_HTTP1_UNTIL_CLOSE, 0, false},
        {"HTTP/1.0 200 OK\r\nContent-Length: 1\r\n\r\n", false, HBK_HTTP1_READY, 200,
         HBK_HTTP1_LENGTH, 1, false},
        {"HTTP/1.1 100 Continue\r\n\r\n", false, HBK_HTTP1_READY, 100, HBK_HTTP1_NO_BODY, 0, true},
        {"HTTP/1.1 204 \r\n\r\n", false, HBK_HTTP1_READY, 204, HBK_HTTP1_NO_BODY, 0, true},
        {"HTTP/1.1 304 x\r\nContent-Length: 9\r\n\r\n", false, HBK_HTTP1_READY, 304,
         HBK_HTTP1_NO_BODY, 0, true},
        {"HTTP/1.1 503 \xc3\xbc\r\nContent-Length: 1\r\nConnection: close\r\n\r\n", false,
         HBK_HTTP1_READY, 503, HBK_HTTP1_LENGTH, 1, false},
        {"HTTP/1.1 099 x\r\n\r\n", false, HBK_HTTP1_INVALID},
        {"HTTP/1.1 20 x\r\n\r\n", false, HBK_HTTP1_INVALID},
        {"HTTP/1.1 2000\r\n\r\n", false, HBK_HTTP1_INVALID},
        {"HTTP/2.0 200 x\r\n\r\n", false, HBK_HTTP1_INVALID},
        {"HTTP/1.1  200 x\r\n\r\n", false, HBK_HTTP1_INVALID},
        {"HTTP/1.1 200 x\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\n", false,
         HBK_HTTP1_INVALID},
        {"HTTP/1.1 200 x\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n", false,
         HBK_HTTP1_INVALID},
    };
    for (size_t i = 0; i < HBK_COUNT(cases); i++) {
        struct hbk_http1_reader reader = {0};
        struct hbk_http1_response response;
        struct hbk_slice input = hbk_slice_text(cases[i].text);
        assert_int_equal(hbk_http1_read_response(&reader, input, cases[i].is_to_head, &response),
                         cases[i].answer);
        if (cases[i].answer == HBK_HTTP1_READY) {
            assert_int_equal(response.status, cases[i].status);
            assert_int_equal(response.body.kind, cases[i].kind);
            assert_int_equal(response.body.left_bytes, cases[i].length);
            assert_int_equal(response.is_keep_alive, cases[i].is_keep_alive);
            assert_int_equal(response.head_bytes, input.size);
        }
    }
}

/* Reads a body that comes in steps of `step` bytes; the content goes to `content`. */
static enum hbk_http1_body_answer read_in_steps(struct hbk_http1_body body, struct hbk_slice whole,
                                                size_t step, uint8_t *content, size_t *out_size,
                                                size_t *out_left)
{
    struct hbk_slice data;
    enum hbk_http1_body_answer answer = HBK_HTTP1_BODY_NEED_MORE;
    size_t size = 0;
    for (size_t at = 0; at < whole.size; at += step) {
        struct hbk_slice input = hbk_slice_part(whole, at, step);
        while ((answer = hbk_http1_read_body(&body, &input, &data)) == HBK_HTTP1_BODY_DATA) {
            memcpy(content + size, data.bytes, data.size);
            size += data.size;
        }
        *out_size = size;
        *out_left = input.size + (whole.size > at + step ? whole.size - at - step : 0);
        if (answer != HBK_HTTP1_BODY_NEED_MORE) {
            return answer;
        }
    }
    return answer;
}

static void chunks_are_written_as_they_are_read(void **state)
{
    (void)state;
    struct hbk_buffer out;
    hbk_buffer_init(&out, 100);
    assert_int_equal(hbk_http1_write_chunk(&out, HBK_SLICE("abc"), false), HBK_OK);
    /* Nothing is no part: a chunk of no bytes would be the end. */
    assert_int_equal(hbk_http1_write_chunk(&out, HBK_SLICE(""), false), HBK_OK);
    assert_int_equal(hbk_http1_write_chunk(&out, HBK_SLICE("0123456789abcdef"), true), HBK_OK);
    assert_slice_equal(hbk_buffer_slice(&out),
                       HBK_SLICE("3\r\nabc\r\n10\r\n0123456789abcdef\r\n0\r\n\r\n"));
    hbk_buffer_clear(&out);
    assert_int_equal(hbk_http1_write_chunk(&out, HBK_SLICE(""), true), HBK_OK);
    assert_slice_equal(hbk_buffer_slice(&out), HBK_SLICE("0\r\n\r\n"));
    hbk_buffer_fini(&out);
    hbk_buffer_init(&out, 12); /* of the 13 that it takes */
    assert_int_equal(hbk_http1_write_chunk(&out, HBK_SLICE("abc"), true), HBK_LIMIT);
    hbk_buffer_fini(&out);
}

/* RFC 9112, 7.1. */
static void chunked_bodies_are_the_same_however_they_are_split(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        enum hbk_http1_body_answer answer;
        const char *content;
        size_t left;
    } cases[] = {
        {"3\r\nabc\r\n0\r\n\r\nrest", HBK_HTTP1_BODY_END, "abc", 4},
        {"3\r\nabc\r\n00a\r\n0123456789\r\n000\r\n\r\n", HBK_HTTP1_BODY_END, "abc0123456789", 0},
        {"3;a=\"b c\"\r\nabc\r\n0;x\r\nTrailer: y\r\nZ: w\r\n\r\n", HBK_HTTP1_BODY_END, "abc", 0},
        {"3\r\nabc\r\n0\r\n", HBK_HTTP1_BODY_NEED_MORE, "abc", 0},
        {"\r\n", HBK_HTTP1_BODY_INVALID, "", 1},
        {"3 \r\nabc", HBK_HTTP1_BODY_INVALID, "", 5},
        {"+3\r\nabc", HBK_HTTP1_BODY_INVALID, "", 6},
        {"0x3\r\nabc", HBK_HTTP1_BODY_INVALID, "", 6},
        {"3\nabc", HBK_HTTP1_BODY_INVALID, "", 3},
        {"3\rabc", HBK_HTTP1_BODY_INVALID, "", 2},
        {"3\r\nabcd\r\n", HBK_HTTP1_BODY_INVALID, "abc", 2},
        {"3\r\nabc\n0\r\n\r\n", HBK_HTTP1_BODY_INVALID, "abc", 5},
        {"3;a\x01\r\nabc", HBK_HTTP1_BODY_INVALID, "", 5},
        {"0\r\nX: \ny\r\n\r\n", HBK_HTTP1_BODY_INVALID, "", 5},
        {"0\r\n\rX", HBK_HTTP1_BODY_INVALID, "", 0},
        {"0000000000000000\r\n", HBK_HTTP1_BODY_INVALID, "", 2},
        {"ffffffffffffffff\r\n", HBK_HTTP1_BODY_INVALID, "", 2},
    };
    for (size_t i = 0; i < HBK_COUNT(cases); i++) {
        struct hbk_slice whole = hbk_slice_text(cases[i].text);
        for (size_t step = 1; step <= whole.size; step++) {
            uint8_t content[64];
            size_t size = 0;
            size_t left = 0;
            struct hbk_http1_body body = {.kind = HBK_HTTP1_CHUNKED};
            assert_int_equal(read_in_steps(body, whole, step, content, &size, &left),
                             cases[i].answer);
            assert_slice_equal(hbk_slice_of(content, size), hbk_slice_text(cases[i].content));
            assert_int_equal(left, cases[i].left);
        }
    }
}

static void foreign_text_between_chunks_has_limits(void **state)
{
    (void)state;
    static uint8_t text[HBK_HTTP1_TRAILER_BYTES_MAX + 16];
    struct hbk_slice data;
    for (size_t extra = 0; extra < 2; extra++) {
        memset(text, 'x', sizeof(text));
        memcpy(text, "1;", 2);
        struct hbk_http1_body body = {.kind = HBK_HTTP1_CHUNKED};
        struct hbk_slice input = hbk_slice_of(text, HBK_HTTP1_CHUNK_LINE_BYTES_MAX + extra);
        assert_int_equal(hbk_http1_read_body(&body, &input, &data),
                         extra == 0 ? HBK_HTTP1_BODY_NEED_MORE : HBK_HTTP1_BODY_INVALID);

        memcpy(text, "0\r\n", 3);
        body = (struct hbk_http1_body){.kind = HBK_HTTP1_CHUNKED};
        input = hbk_slice_of(text, 3 + HBK_HTTP1_TRAILER_BYTES_MAX + extra);
        assert_int_equal(hbk_http1_read_body(&body, &input, &data),
                         extra == 0 ? HBK_HTTP1_BODY_NEED_MORE : HBK_HTTP1_BODY_INVALID);
    }
}

static void bodies_of_other_kinds_end_where_they_should(void **state)
{
    (void)state;
    struct hbk_slice input = HBK_SLICE("abcdef");
    struct hbk_slice data;
    struct hbk_http1_body none = {.kind = HBK_HTTP1_NO_BODY};
    assert_int_equal(hbk_http1_read_body(&none, &input, &data), HBK_HTTP1_BODY_END);
    assert_int_equal(input.size, 6);

    struct hbk_http1_body length = {.kind = HBK_HTTP1_LENGTH, .left_bytes = 4};
    assert_int_equal(hbk_http1_read_body(&length, &input, &data), HBK_HTTP1_BODY_DATA);
    assert_slice_equal(data, HBK_SLICE("abcd"));
    assert_int_equal(hbk_http1_read_body(&length, &input, &data), HBK_HTTP1_BODY_END);
    assert_slice_equal(input, HBK_SLICE("ef"));

    struct hbk_http1_body open = {.kind = HBK_HTTP1_UNTIL_CLOSE};
    assert_int_equal(hbk_http1_read_body(&open, &input, &data), HBK_HTTP1_BODY_DATA);
    assert_slice_equal(data, HBK_SLICE("ef"));
    assert_int_equal(hbk_http1_read_body(&open, &input, &data), HBK_HTTP1_BODY_NEED_MORE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_small_request_is_parsed_in_place),
        cmocka_unit_test(a_head_in_parts_is_ready_at_its_last_byte_and_not_before),
        cmocka_unit_test(heads_that_two_parsers_could_read_differently_are_refused),
        cmocka_unit_test(a_line_without_cr_is_refused_as_soon_as_it_is_there),
        cmocka_unit_test(an_upgrade_is_asked_for_where_connection_says_so),
        cmocka_unit_test(the_version_and_the_connection_field_decide_what_stays_open),
        cmocka_unit_test(limits_of_a_head_are_exact),
        cmocka_unit_test(the_length_of_a_response_follows_from_status_and_fields),
        cmocka_unit_test(chunks_are_written_as_they_are_read),
        cmocka_unit_test(chunked_bodies_are_the_same_however_they_are_split),
        cmocka_unit_test(foreign_text_between_chunks_has_limits),
        cmocka_unit_test(bodies_of_other_kinds_end_where_they_should),
    };
    return cmocka_run_group_tests_name("http1", tests, NULL, NULL);
}
