#include "admin/readiness.h"

#include "harness.h"

static void assert_text(const struct hbk_readiness *readiness, const char *expected)
{
    struct hbk_buffer text;
    hbk_buffer_init(&text, 256);
    assert_int_equal(hbk_readiness_text(readiness, &text), HBK_OK);
    assert_slice_equal(hbk_buffer_slice(&text), hbk_slice_text(expected));
    hbk_buffer_fini(&text);
}

static void ready_is_who_has_done_all_tasks_and_does_not_drain(void **state)
{
    (void)state;
    struct hbk_readiness readiness;
    hbk_readiness_init(&readiness);
    size_t model = hbk_readiness_add(&readiness, "model");
    size_t proxy = hbk_readiness_add(&readiness, "proxy");
    assert_false(hbk_readiness_is_ready(&readiness));
    assert_text(&readiness, "waiting for: model, proxy");
    hbk_readiness_set(&readiness, model, true);
    assert_text(&readiness, "waiting for: proxy");
    hbk_readiness_set(&readiness, proxy, true);
    assert_true(hbk_readiness_is_ready(&readiness));
    assert_text(&readiness, "ready");
    hbk_readiness_set(&readiness, model, false);
    assert_false(hbk_readiness_is_ready(&readiness));
    hbk_readiness_set(&readiness, model, true);
    readiness.is_draining = true;
    assert_false(hbk_readiness_is_ready(&readiness));
    assert_text(&readiness, "draining");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ready_is_who_has_done_all_tasks_and_does_not_drain),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
