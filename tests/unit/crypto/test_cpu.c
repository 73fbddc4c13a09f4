#include "crypto/cpu.h"

#include "harness.h"

static void a_word_that_is_no_path_is_named_with_the_allowed_ones(void **state)
{
    (void)state;
    struct hbk_error error = {0};

    setenv("HBK_CPU", "avx1024", 1);
    assert_int_equal(hbk_cpu_check(&error), HBK_INVALID);
    assert_non_null(strstr(error.text, "avx1024"));
    assert_non_null(strstr(error.text, "scalar"));
    setenv("HBK_CPU", "scalar", 1);
    assert_int_equal(hbk_cpu_check(NULL), HBK_OK);
    unsetenv("HBK_CPU");
    assert_int_equal(hbk_cpu_check(NULL), HBK_OK);
}

static void the_twin_can_be_forced(void **state)
{
    (void)state;
    setenv("HBK_CPU", "scalar", 1);
    assert_int_equal(hbk_cpu_path(), HBK_PATH_TWIN);
    /* The path is fixed for the life of the process. */
    setenv("HBK_CPU", "avx512", 1);
    assert_int_equal(hbk_cpu_path(), HBK_PATH_TWIN);
}

static void avx512_is_refused_where_the_processor_cannot(void **state)
{
    (void)state;
    setenv("HBK_CPU", "avx512", 1);
    bool can = HBK_HAS_VECTOR && hbk_cpu_detect().has_avx512_ifma;
    assert_int_equal(hbk_cpu_check(NULL), can ? HBK_OK : HBK_UNSUPPORTED);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_word_that_is_no_path_is_named_with_the_allowed_ones),
        cmocka_unit_test(the_twin_can_be_forced),
        cmocka_unit_test(avx512_is_refused_where_the_processor_cannot),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
