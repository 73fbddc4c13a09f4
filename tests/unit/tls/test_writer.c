#include "tls/writer.h"

#include "failing_heap.h"
#include "harness.h"

static void numbers_are_written_most_significant_byte_first(void **state)
{
    (void)state;
    uint8_t bytes[18];
    struct hbk_writer writer = hbk_writer_of(hbk_span_of(bytes, sizeof bytes));
    hbk_writer_number(&writer, 0x12, 1);
    hbk_writer_number(&writer, 0x3456, 2);
    hbk_writer_number(&writer, 0x789abc, 3);
    hbk_writer_number(&writer, 7, 4);
    hbk_writer_number(&writer, UINT64_MAX - 1, 8);
    assert_slice_equal(hbk_writer_written(&writer), HBK_SLICE("\x12\x34\x56\x78\x9a\xbc\0\0\0\7"
                                                              "\xff\xff\xff\xff\xff\xff\xff\xfe"));
    hbk_writer_number(&writer, 0, 1);
    assert_true(writer.has_failed);
}

static void a_number_that_needs_more_bytes_does_not_fit(void **state)
{
    (void)state;
    for (size_t bytes = 1; bytes < 8; bytes++) {
        uint8_t room[8];
        uint64_t largest = (UINT64_C(1) << (8 * bytes)) - 1;
        struct hbk_writer writer = hbk_writer_of(hbk_span_of(room, sizeof room));
        hbk_writer_number(&writer, largest, bytes);
        assert_int_equal(hbk_writer_written(&writer).size, bytes);
        writer = hbk_writer_of(hbk_span_of(room, sizeof room));
        hbk_writer_number(&writer, largest + 1, bytes);
        assert_true(writer.has_failed);
    }
}

static void lengths_nest(void **state)
{
    (void)state;
    uint8_t bytes[16];
    struct hbk_writer writer = hbk_writer_of(hbk_span_of(bytes, sizeof bytes));
    size_t outer = hbk_writer_open(&writer, 3);
    size_t inner = hbk_writer_open(&writer, 2);
    hbk_writer_put(&writer, HBK_SLICE("ab"));
    hbk_writer_close(&writer, inner, 2);
    hbk_writer_prefixed(&writer, HBK_SLICE("c"), 1);
    hbk_writer_close(&writer, outer, 3);
    assert_slice_equal(hbk_writer_written(&writer), HBK_SLICE("\0\0\6\0\2ab\1c"));
}

static void a_part_that_is_too_long_for_its_length_does_not_fit(void **state)
{
    (void)state;
    static uint8_t bytes[1 << 17];
    static const uint8_t part[1 << 16];
    for (size_t length_bytes = 1; length_bytes <= 2; length_bytes++) {
        size_t largest = (1U << (8 * length_bytes)) - 1;
        for (size_t size = largest; size <= largest + 1; size++) {
            struct hbk_writer writer = hbk_writer_of(hbk_span_of(bytes, sizeof bytes));
            size_t mark = hbk_writer_open(&writer, length_bytes);
            hbk_writer_put(&writer, hbk_slice_of(part, size));
            hbk_writer_close(&writer, mark, length_bytes);
            assert_int_equal(writer.has_failed, size > largest);
            writer = hbk_writer_of(hbk_span_of(bytes, sizeof bytes));
            hbk_writer_prefixed(&writer, hbk_slice_of(part, size), length_bytes);
            assert_int_equal(writer.has_failed, size > largest);
        }
    }
}

static void a_failed_writer_stays_failed(void **state)
{
    (void)state;
    uint8_t bytes[4] = {0};
    struct hbk_writer writer = hbk_writer_of(hbk_span_of(bytes, sizeof bytes));
    size_t mark = hbk_writer_open(&writer, 1);
    hbk_writer_put(&writer, HBK_SLICE("four"));
    assert_true(writer.has_failed);
    hbk_writer_put(&writer, HBK_SLICE("a"));
    hbk_writer_number(&writer, 1, 1);
    hbk_writer_close(&writer, mark, 1);
    assert_true(writer.has_failed);
    assert_int_equal(hbk_writer_written(&writer).size, 0);
    assert_memory_equal(bytes, "\0\0\0\0", 4);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(numbers_are_written_most_significant_byte_first),
        cmocka_unit_test(a_number_that_needs_more_bytes_does_not_fit),
        cmocka_unit_test(lengths_nest),
        cmocka_unit_test(a_part_that_is_too_long_for_its_length_does_not_fit),
        cmocka_unit_test(a_failed_writer_stays_failed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
