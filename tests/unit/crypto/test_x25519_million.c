/*
 * The million iterations of RFC 7748, 5.2, on the kernel, or on the twin where there is none. They
 * take 40 s and so have a program of their own, beside which the other tests go on.
 */
#include "x25519_chain.h"

static void a_million_iterations_end_where_rfc_7748_says(void **state)
{
    (void)state;
    iterate(path_count() - 1, 1000000,
            "7c3911e0ab2586fd864497297e575e6f3bc601c0883c30df5f4dd2d24f665424");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_million_iterations_end_where_rfc_7748_says),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
