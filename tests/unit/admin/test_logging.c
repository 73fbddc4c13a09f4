#include "admin/logging.h"

#include "harness.h"

static int set_up(void **state)
{
    (void)state;
    hbk_log_clear_targets();
    hbk_log_set_level(HBK_LOG_WARN);
    return 0;
}

static void assert_levels(const char *expected)
{
    struct hbk_buffer text;
    hbk_buffer_init(&text, 1024);
    assert_int_equal(hbk_logging_text(&text), HBK_OK);
    assert_slice_equal(hbk_buffer_slice(&text), hbk_slice_text(expected));
    hbk_buffer_fini(&text);
}

static void queries_change_levels_in_turn(void **state)
{
    (void)state;
    static const struct {
        const char *query;
        const char *levels; /* NULL: refused and unchanged */
    } steps[] = {
        {"", "warn"},
        {"level=debug", "debug"},
        {"level=tls%3Dtrace", "debug,tls=trace"},
        {"level=info,access=off", "info,tls=trace,access=off"},
        {"level=loud", NULL},
        {"level=", NULL},
        {"level=error,x=loud", NULL},
        {"level=error,X!=info", NULL},
        {"level=error&level=warn", NULL},
        {"level=error&colour=red", NULL},
        {"level=error&Colour=info", NULL},
        {"paths=tls", NULL},
        {"paths=tls:debug,x:loud", NULL},
        {"paths=tls:debug&paths=x:debug", NULL},
        {"level=error,%00", NULL},
        {"level=error,tls", NULL},
        {"reset&level=debug", "debug"},
        {"level=tls=warn&reset", "info,tls=warn"},
        {"reset", "info"},
        {"level=warning", "warn"}, /* Envoy's forms */
        {"tls=debug", "warn,tls=debug"},
        {"paths=tls:critical,access:trace", "warn,tls=error,access=trace"},
        {"paths=tls%3Aoff&level=info", "info,tls=off,access=trace"},
        {"reset", "info"},
    };
    const char *now = "warn";
    for (size_t i = 0; i < HBK_COUNT(steps); i++) {
        struct hbk_error error = {.status = HBK_OK};
        hbk_status status =
            hbk_logging_change(hbk_slice_text(steps[i].query), HBK_LOG_INFO, &error);
        assert_int_equal(status == HBK_OK, steps[i].levels != NULL);
        assert_int_equal(error.status, status);
        now = steps[i].levels != NULL ? steps[i].levels : now;
        assert_levels(now);
    }
}

static void a_refusal_says_what_is_allowed(void **state)
{
    (void)state;
    struct hbk_error error = {.status = HBK_OK};
    assert_int_equal(hbk_logging_change(HBK_SLICE("level=loud"), HBK_LOG_INFO, &error),
                     HBK_INVALID);
    assert_string_equal(error.text, "Invalid level provided: 'loud' is not one of error, warn, "
                                    "info, debug, trace, off");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(queries_change_levels_in_turn, set_up),
        cmocka_unit_test_setup(a_refusal_says_what_is_allowed, set_up),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
