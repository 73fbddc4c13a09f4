/* The live line. */
#include "load/course.h"

#include <stdlib.h>

#include "base/clock.h"
#include "harness.h"

/* Twelve intervals of 100 ms, the last of which has another rate and other times. */
static char *told(bool is_terminal)
{
    struct hbk_load_course course;
    struct hbk_histogram times;
    char *text = NULL;
    size_t size = 0;
    FILE *stream = open_memstream(&text, &size);
    assert_non_null(stream);
    assert_int_equal(hbk_histogram_init(&times), HBK_OK);
    assert_int_equal(hbk_load_course_init(&course, stream, is_terminal), HBK_OK);
    hbk_load_course_begin(&course, 3);
    for (unsigned i = 0; i < 12; i++) {
        hbk_histogram_clear(&times);
        for (unsigned k = 0; k < (i == 9 ? 1 : 11); k++) {
            hbk_histogram_record(&times, i == 9 ? HBK_NS_PER_S : HBK_NS_PER_MS);
        }
        hbk_load_course_add(&course, &(struct hbk_load_point){
                                         .since_ns = i * 100 * HBK_NS_PER_MS,
                                         .length_ns = 100 * HBK_NS_PER_MS,
                                         .calls = times.total,
                                         .times = &times,
                                     });
    }
    assert_int_equal(course.count, 12);
    hbk_load_course_end(&course);
    hbk_load_course_fini(&course);
    hbk_histogram_fini(&times);
    assert_int_equal(fclose(stream), 0);
    return text;
}

static void a_line_tells_of_the_whole_second_behind_it(void **state)
{
    (void)state;
    char *text = told(false);
    assert_string_equal(text, "started over 3 connections\n"
                              "    1.0 s      100.0/s  P50   1.00 ms  P99   1.00 ms  100 done, "
                              "0 failed\n");
    free(text);
}

static void on_a_terminal_the_line_is_written_over_and_wiped_at_the_end(void **state)
{
    (void)state;
    char *text = told(true);
    assert_string_equal(text, "\r    1.0 s      100.0/s  P50   1.00 ms  P99   1.00 ms  100 done, "
                              "0 failed\033[K\r\033[K");
    free(text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_line_tells_of_the_whole_second_behind_it),
        cmocka_unit_test(on_a_terminal_the_line_is_written_over_and_wiped_at_the_end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
