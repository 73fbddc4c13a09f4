#include "plot/figure.h"

#include <math.h>

#include "harness.h"

static unsigned count_of(struct hbk_slice text, const char *part)
{
    unsigned count = 0;
    size_t size = strlen(part);
    for (size_t i = 0; i + size <= text.size; i++) {
        count += memcmp(text.bytes + i, part, size) == 0 ? 1 : 0;
    }
    return count;
}

static void lines_show_every_series_and_escape_their_names(void **state)
{
    (void)state;
    static const double x[] = {1, 10, 100}, y[] = {1, 2, 3}, low[] = {0.5, 1, 2},
                        high[] = {2, 3, 4};
    const struct hbk_figure figure = {.title = "a < b & c", .x_name = "x", .y_name = "y"};
    const struct hbk_figure_series series[] = {
        {"one", HBK_FIGURE_LINE_AND_POINTS, x, y, low, high, 3},
        {"two \"quoted\"", HBK_FIGURE_LINE, x, y, NULL, NULL, 3},
        {"none", HBK_FIGURE_LINE, x, y, NULL, NULL, 0},
    };
    struct hbk_buffer out;
    hbk_buffer_init(&out, 1 << 20);
    assert_int_equal(hbk_figure_lines(&figure, series, HBK_COUNT(series), &out), HBK_OK);
    struct hbk_slice text = hbk_buffer_slice(&out);
    assert_int_equal(count_of(text, "<svg"), 1);
    assert_int_equal(count_of(text, "</svg>"), 1);
    assert_int_equal(count_of(text, "a &lt; b &amp; c"), 2);
    assert_int_equal(count_of(text, "two &quot;quoted&quot;"), 1);
    assert_int_equal(count_of(text, "<circle"), 4); /* three points and the legend's */
    assert_int_equal(count_of(text, "nan"), 0);
    assert_int_equal(count_of(text, "inf"), 0);
    hbk_buffer_fini(&out);
}

static void a_bar_without_a_value_is_left_out(void **state)
{
    (void)state;
    static const double y[] = {1, NAN, 3};
    static const char *const groups[] = {"a", "b", "c"};
    const struct hbk_figure figure = {.title = "bars", .x_name = "x", .y_name = "y"};
    const struct hbk_figure_series series[] = {{.name = "one", .y = y, .count = 3}};
    struct hbk_buffer out;
    hbk_buffer_init(&out, 1 << 20);
    assert_int_equal(hbk_figure_bars(&figure, groups, 3, series, 1, &out), HBK_OK);
    struct hbk_slice text = hbk_buffer_slice(&out);
    assert_int_equal(count_of(text, "url(#hatch0)"), 3); /* two bars and the legend's */
    assert_int_equal(count_of(text, "nan"), 0);
    hbk_buffer_fini(&out);
}

static void a_page_without_room_is_a_failure(void **state)
{
    (void)state;
    static const double x[] = {1, 2}, y[] = {1, 2};
    const struct hbk_figure figure = {.title = "t", .x_name = "x", .y_name = "y"};
    const struct hbk_figure_series series = {"s", HBK_FIGURE_LINE, x, y, NULL, NULL, 2};
    struct hbk_buffer out;
    hbk_buffer_init(&out, 500);
    assert_int_equal(hbk_figure_lines(&figure, &series, 1, &out), HBK_LIMIT);
    hbk_buffer_fini(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lines_show_every_series_and_escape_their_names),
        cmocka_unit_test(a_bar_without_a_value_is_left_out),
        cmocka_unit_test(a_page_without_room_is_a_failure),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
