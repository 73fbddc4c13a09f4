#include "base/log.h"

#include <fcntl.h>
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
        CASE(the_threshold_decides),
        CASE(a_target_may_have_a_threshold_of_its_own),
        CASE(a_line_that_does_not_fit_is_dropped_and_counted),
        CASE(targets_are_limited),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
