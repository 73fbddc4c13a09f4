#include "load/due_heap.h"

#include "harness.h"
#include "load/schedule.h"

static void the_earliest_comes_out_first_whatever_went_in(void **state)
{
    (void)state;
    enum { COUNT = 500 };
    struct hbk_due_heap heap;
    uint64_t random = 3;
    assert_int_equal(hbk_due_heap_init(&heap, COUNT), HBK_OK);
    assert_true(hbk_due_heap_first_ns(&heap) == UINT64_MAX);
    for (unsigned i = 0; i < COUNT; i++) {
        hbk_due_heap_add(&heap, (uint64_t)(hbk_schedule_random(&random) * 100), &heap);
    }
    uint64_t before_ns = 0;
    for (unsigned i = 0; i < COUNT; i++) {
        uint64_t first_ns = hbk_due_heap_first_ns(&heap);
        struct hbk_due due = hbk_due_heap_take(&heap);
        assert_int_equal(due.due_ns, first_ns);
        assert_ptr_equal(due.owner, &heap);
        assert_true(due.due_ns >= before_ns);
        before_ns = due.due_ns;
        if (i % 3 == 0 && i < COUNT / 2) { /* goes in again, later */
            hbk_due_heap_add(&heap, due.due_ns + 10, due.owner);
            before_ns = due.due_ns;
            (void)hbk_due_heap_take(&heap);
        }
    }
    assert_int_equal(heap.count, 0);
    hbk_due_heap_fini(&heap);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_earliest_comes_out_first_whatever_went_in),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
