#include "base/log.h"
#include "base/log_pattern.h"

#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#include "harness.h"

static int pipes[2];

static int set_up(void **state)
{
    (void)state;
    hbk_log_set_level(HBK_LOG_INFO);
    hbk_log_clear_targets();
    if (pipe2(pipes, O_NONBLOCK) != 0) {
        return -1;
    }
    hbk_log_to(pipes[1], false);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    hbk_log_to(STDOUT_FILENO, false);
    hbk_log_set_level(HBK_LOG_INFO);
    hbk_log_clear_targets();
    close(pipes[0]);
    close(pipes[1]);
    return 0;
}

/* Whether a line of this level and target arrives. */
static bool is_written(enum hbk_log_level level, const char *target)
{
    char text[512];
    hbk_log(level, target, "hello");
    return read(pipes[0], text, sizeof text) > 0;
}

static void a_line_is_time_level_target_and_message(void **state)
{
    (void)state;
    char text[512];
    hbk_log(HBK_LOG_WARN, "proxy", "two\nlines %d", 7);
    ssize_t size = read(pipes[0], text, sizeof text);
    assert_true(size > 27);
    assert_slice_equal(hbk_slice_of(text + 27, (size_t)size - 27),
                       HBK_SLICE("\twarn\tproxy\ttwo lines 7\n"));
    assert_int_equal(text[10], 'T');
    assert_int_equal(text[26], 'Z');
}

static void a_pattern_gives_lines_another_form(void **state)
{
    (void)state;
    static const struct {
        const char *pattern, *line;
    } cases[] = {
        {"%v", "two lines \"7\""},
        {"[%l][%L][%n] %_%%", "[warning][W][proxy] two lines \"7\"%"},
        {"{\"m\":\"%j\"}", "{\"m\":\"two lines \\\"7\\\"\"}"},
        {"%g%#%!%^%$|", "|"},
        {"", ""},
    };
    char text[512];
    for (size_t i = 0; i < HBK_COUNT(cases); i++) {
        struct hbk_error error = {.status = HBK_OK};
        assert_int_equal(hbk_log_pattern_check(hbk_slice_text(cases[i].pattern), &error), HBK_OK);
        hbk_log_set_pattern(cases[i].pattern);
        hbk_log(HBK_LOG_WARN, "proxy", "two\nlines \"%d\"", 7);
        ssize_t size = read(pipes[0], text, sizeof text);
        assert_true(size > 0);
        assert_slice_equal(hbk_slice_of(text, (size_t)size - 1), hbk_slice_text(cases[i].line));
        assert_int_equal(text[size - 1], '\n');
    }
    hbk_log_set_pattern(NULL);
}

static void a_pattern_knows_the_time(void **state)
{
    (void)state;
    const struct hbk_log_facts facts = {
        .now_ns = INT64_C(1795912345678901234),
        .level = HBK_SLICE("info"),
        .target = HBK_SLICE("tls"),
        .message = HBK_SLICE("hello"),
    };
    char text[128], process[64];
    size_t size = hbk_log_pattern_write(HBK_SLICE("%Y-%m-%d %T.%e %f %F %E %v"), &facts,
                                        hbk_span_of(text, 128));
    assert_slice_equal(hbk_slice_of(text, size),
                       HBK_SLICE("2026-11-29 00:32:25.678 678901 678901234 1795912345 hello"));
    size = hbk_log_pattern_write(HBK_SLICE("%a %A %b %B|%c|%I %p %r %R %X %z"), &facts,
                                 hbk_span_of(text, 128));
    assert_slice_equal(hbk_slice_of(text, size),
                       HBK_SLICE("Sun Sunday Nov November|Sun Nov 29 00:32:25 2026|"
                                 "12 AM 12:32:25 AM 00:32 00:32:25 +00:00"));
    size = hbk_log_pattern_write(HBK_SLICE("%P %t"), &facts, hbk_span_of(text, 128));
    int wanted = snprintf(process, sizeof process, "%d %d", (int)getpid(), (int)getpid());
    assert_slice_equal(hbk_slice_of(text, size), hbk_slice_of(process, (size_t)wanted));
}

/* However little room there is, no byte is written behind it. */
static void a_pattern_is_cut_to_its_room(void **state)
{
    (void)state;
    const struct hbk_log_facts facts = {
        .level = HBK_SLICE("info"), .target = HBK_SLICE("tls"), .message = HBK_SLICE("a\"b")};
    const struct hbk_slice pattern = HBK_SLICE("%Y %v %j %n");
    char whole[64], text[64];
    size_t all = hbk_log_pattern_write(pattern, &facts, hbk_span_of(whole, sizeof whole));
    for (size_t room = 0; room <= all; room++) {
        memset(text, '#', sizeof text);
        size_t size = hbk_log_pattern_write(pattern, &facts, hbk_span_of(text, room));
        assert_true(size <= room);
        assert_int_equal(text[room], '#');
    }
    assert_slice_equal(hbk_slice_of(whole, all), HBK_SLICE("1970 a\"b a\\\"b tls"));
}

static void a_pattern_with_a_letter_that_is_none_is_refused(void **state)
{
    (void)state;
    struct hbk_error error = {.status = HBK_OK};
    assert_int_equal(hbk_log_pattern_check(HBK_SLICE("%v %q"), &error), HBK_INVALID);
    assert_non_null(strstr(error.text, "%q is no part of a log line; allowed behind %: "));
    error = (struct hbk_error){.status = HBK_OK};
    assert_int_equal(hbk_log_pattern_check(HBK_SLICE("%v %"), &error), HBK_INVALID);
    assert_non_null(strstr(error.text, "ends in a single %"));
}

static void the_threshold_decides(void **state)
{
    (void)state;
    assert_true(is_written(HBK_LOG_ERROR, "proxy"));
    assert_true(is_written(HBK_LOG_INFO, "proxy"));
    assert_false(is_written(HBK_LOG_DEBUG, "proxy"));
    hbk_log_set_level(HBK_LOG_OFF);
    assert_false(is_written(HBK_LOG_ERROR, "proxy"));
    assert_false(hbk_log_is_on(HBK_LOG_ERROR));
}

static void a_target_may_have_a_threshold_of_its_own(void **state)
{
    (void)state;
    assert_int_equal(hbk_log_set_target_level(HBK_SLICE("tls"), HBK_LOG_DEBUG), HBK_OK);
    assert_int_equal(hbk_log_set_target_level(HBK_SLICE("access"), HBK_LOG_OFF), HBK_OK);
    assert_true(is_written(HBK_LOG_DEBUG, "tls"));
    assert_false(is_written(HBK_LOG_TRACE, "tls"));
    assert_false(is_written(HBK_LOG_DEBUG, "proxy"));
    assert_true(is_written(HBK_LOG_INFO, "proxy"));
    assert_false(is_written(HBK_LOG_ERROR, "access"));

    const char *target;
    enum hbk_log_level level;
    assert_true(hbk_log_target_level(0, &target, &level));
    assert_string_equal(target, "tls");
    assert_int_equal(level, HBK_LOG_DEBUG);
    assert_true(hbk_log_target_level(1, &target, &level));
    assert_false(hbk_log_target_level(2, &target, &level));

    hbk_log_clear_targets();
    assert_false(is_written(HBK_LOG_DEBUG, "tls"));
    assert_true(is_written(HBK_LOG_ERROR, "access"));
    assert_false(hbk_log_target_level(0, &target, &level));
}

static void targets_are_limited(void **state)
{
    (void)state;
    char name[] = "target-a";
    hbk_status status = HBK_OK;
    for (size_t i = 0; i <= HBK_LOG_TARGETS_MAX && status == HBK_OK; i++) {
        name[7] = (char)('A' + i);
        status = hbk_log_set_target_level(hbk_slice_text(name), HBK_LOG_TRACE);
    }
    assert_int_equal(status, HBK_LIMIT);
    char text[HBK_LOG_TARGET_BYTES_MAX];
    memset(text, 'x', sizeof text);
    assert_int_equal(hbk_log_set_target_level(hbk_slice_of(text, sizeof text), HBK_LOG_INFO),
                     HBK_LIMIT);
    /* A name that is known stays settable. */
    assert_int_equal(hbk_log_set_target_level(HBK_SLICE("target-A"), HBK_LOG_WARN), HBK_OK);
}

static void a_line_that_does_not_fit_is_dropped_and_counted(void **state)
{
    (void)state;
    uint64_t before = hbk_log_dropped();
    size_t written = 0;
    while (hbk_log_dropped() == before && written++ < 1 << 20) {
        hbk_log(HBK_LOG_INFO, "proxy", "filling the pipe");
    }
    assert_int_equal(hbk_log_dropped(), before + 1);
}

#define CASE(function) cmocka_unit_test_setup_teardown(function, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(a_line_is_time_level_target_and_message),
        CASE(a_pattern_gives_lines_another_form),
        CASE(a_pattern_knows_the_time),
        CASE(a_pattern_is_cut_to_its_room),
        CASE(a_pattern_with_a_letter_that_is_none_is_refused),
        CASE(the_threshold_decides),
        CASE(a_target_may_have_a_threshold_of_its_own),
        CASE(a_line_that_does_not_fit_is_dropped_and_counted),
        CASE(targets_are_limited),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
