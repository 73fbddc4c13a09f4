#include "base/buffer.h"

#include "harness.h"

static void bytes_leave_in_the_order_in_which_they_came(void **state)
{
    (void)state;
    struct hbk_buffer buffer;
    hbk_buffer_init(&buffer, 1 << 20);
    uint8_t next_in = 0;
    uint8_t next_out = 0;
    for (size_t round = 1; round < 300; round++) {
        for (size_t i = 0; i < round; i++) {
            assert_int_equal(hbk_buffer_append(&buffer, hbk_slice_of(&next_in, 1)), HBK_OK);
            next_in++;
        }
        size_t leave = round % 7 == 0 ? hbk_buffer_size(&buffer) : round / 2;
        for (size_t i = 0; i < leave; i++) {
            assert_int_equal(hbk_buffer_slice(&buffer).bytes[0], next_out);
            next_out++;
            hbk_buffer_consume(&buffer, 1);
        }
    }
    hbk_buffer_fini(&buffer);
}

static void an_empty_buffer_holds_no_memory(void **state)
{
    (void)state;
    struct hbk_buffer buffer;
    hbk_buffer_init(&buffer, 100);
    assert_int_equal(hbk_buffer_append(&buffer, HBK_SLICE("abc")), HBK_OK);
    hbk_buffer_consume(&buffer, 3);
    assert_null(buffer.bytes);
    hbk_buffer_fini(&buffer);
}

static void the_limit_refuses_and_keeps_what_is_there(void **state)
{
    (void)state;
    struct hbk_buffer buffer;
    hbk_buffer_init(&buffer, 4);
    assert_int_equal(hbk_buffer_append(&buffer, HBK_SLICE("abc")), HBK_OK);
    assert_int_equal(hbk_buffer_append(&buffer, HBK_SLICE("de")), HBK_LIMIT);
    assert_slice_equal(hbk_buffer_slice(&buffer), HBK_SLICE("abc"));
    assert_int_equal(hbk_buffer_append(&buffer, HBK_SLICE("d")), HBK_OK);
    hbk_buffer_fini(&buffer);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(bytes_leave_in_the_order_in_which_they_came),
        cmocka_unit_test(an_empty_buffer_holds_no_memory),
        cmocka_unit_test(the_limit_refuses_and_keeps_what_is_there),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
