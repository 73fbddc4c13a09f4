#include "load/due_heap.h"

#include "harness.h"
#include "load/schedule.h"

enum { COUNT = 500 };

static uint64_t random_state = 3;

static unsigned random_below(unsigned limit)
{
    return (unsigned)((1 - hbk_schedule_random(&random_state)) * limit);
}

static void the_earliest_comes_out_first_whatever_went_in(void **state)
{
    (void)state;
    static struct hbk_due dues[COUNT];
    struct hbk_due_heap heap;
    assert_int_equal(hbk_due_heap_init(&heap, COUNT), HBK_OK);
    assert_true(hbk_due_heap_first_ns(&heap) == UINT64_MAX);
    for (unsigned i = 0; i < COUNT; i++) {
        hbk_due_heap_add(&heap, &dues[i], random_below(100));
        assert_true(hbk_due_is_waiting(&dues[i]));
    }
    uint64_t before_ns = 0;
    for (unsigned i = 0; i < COUNT; i++) {
        uint64_t first_ns = hbk_due_heap_first_ns(&heap);
        struct hbk_due *due = hbk_due_heap_take(&heap);
        assert_int_equal(due->due_ns, first_ns);
        assert_false(hbk_due_is_waiting(due));
        assert_true(due->due_ns >= before_ns);
        before_ns = due->due_ns;
        if (i % 3 == 0 && i < COUNT / 2) { /* goes in again, later */
            hbk_due_heap_add(&heap, due, due->due_ns + 10);
            (void)hbk_due_heap_take(&heap);
        }
    }
    assert_int_equal(heap.count, 0);
    hbk_due_heap_fini(&heap);
}

static uint64_t least_of(const struct hbk_due *dues)
{
    uint64_t least_ns = UINT64_MAX;
    for (unsigned i = 0; i < COUNT; i++) {
        if (hbk_due_is_waiting(&dues[i]) && dues[i].due_ns < least_ns) {
            least_ns = dues[i].due_ns;
        }
    }
    return least_ns;
}

static void whoever_is_taken_out_early_leaves_the_others_in_order(void **state)
{
    (void)state;
    static struct hbk_due dues[COUNT];
    struct hbk_due_heap heap;
    assert_int_equal(hbk_due_heap_init(&heap, 1), HBK_OK);
    for (unsigned step = 0; step < 20 * COUNT; step++) {
        struct hbk_due *due = &dues[random_below(COUNT)];
        unsigned count = heap.count;
        if (hbk_due_is_waiting(due)) {
            hbk_due_heap_remove(&heap, due);
            assert_int_equal(heap.count, count - 1);
            hbk_due_heap_remove(&heap, due); /* once more changes nothing */
            assert_int_equal(heap.count, count - 1);
        } else {
            assert_int_equal(hbk_due_heap_reserve(&heap, count + 1), HBK_OK);
            hbk_due_heap_add(&heap, due, random_below(1000));
        }
        assert_int_equal(hbk_due_heap_first_ns(&heap), least_of(dues));
    }
    hbk_due_heap_fini(&heap);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_earliest_comes_out_first_whatever_went_in),
        cmocka_unit_test(whoever_is_taken_out_early_leaves_the_others_in_order),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
