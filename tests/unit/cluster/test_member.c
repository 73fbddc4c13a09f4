#include "cluster/member.h"

#include <stdio.h>

#include "harness.h"

static const struct hbk_gw_endpoint_health_check unchecked_config = {.disable_active_health_check =
                                                                         true};
static const struct hbk_gw_endpoint plain_endpoint,
    unchecked_endpoint = {.health_check_config = &unchecked_config};
static const struct hbk_gw_lb_endpoint plain = {.endpoint = &plain_endpoint};
static const struct hbk_gw_lb_endpoint unchecked = {.endpoint = &unchecked_endpoint};
static const struct hbk_gw_lb_endpoint draining = {.endpoint = &plain_endpoint, .health_status = 3};
static const struct hbk_gw_health_check check;
static const struct hbk_gw_cluster checked = {.health_checks = &check, .health_checks_count = 1};
static const struct hbk_gw_cluster strict = {
    .health_checks = &check, .health_checks_count = 1, .ignore_health_on_host_removal = true};
static const struct hbk_gw_cluster unwatched;

static struct hbk_address address_of(unsigned last)
{
    struct hbk_address address = {.port = 80};
    char text[32];
    (void)snprintf(text, sizeof text, "10.0.0.%u", last);
    assert_true(hbk_ip_parse(hbk_slice_text(text), &address.ip));
    return address;
}

/* The set after `old` when hosts with those last numbers were found. */
static struct hbk_gw_members *next(const struct hbk_gw_cluster *config,
                                   const struct hbk_gw_members *old,
                                   const struct hbk_gw_lb_endpoint *endpoint, const char *lasts)
{
    struct hbk_gw_members *fresh = hbk_gw_members_new(16), *out = NULL;
    assert_non_null(fresh);
    for (; *lasts != '\0'; lasts++) {
        struct hbk_address address = address_of((unsigned)(*lasts - '0'));
        hbk_gw_members_add(fresh, endpoint, &address, NULL);
    }
    assert_int_equal(hbk_gw_members_succeed(config, old, fresh, 2, &out), HBK_OK);
    hbk_gw_members_free(fresh);
    return out;
}

static const char *flags(const struct hbk_gw_members *members, unsigned last)
{
    static char text[HBK_GW_FLAGS_TEXT_BYTES_MAX];
    struct hbk_address address = address_of(last);
    uint32_t index = hbk_gw_members_find(members, &address);
    return index == members->count ? "gone" : hbk_gw_member_flags_text(members, index, text);
}

static void pass(const struct hbk_gw_members *members, uint32_t index)
{
    atomic_store(&members->vitals[index]->flags, 0);
}

static void test_hosts_are_unhealthy_until_they_were_checked(void **state)
{
    (void)state;
    struct hbk_gw_members *first = next(&checked, NULL, &plain, "12");
    assert_int_equal(first->count, 2);
    assert_string_equal(flags(first, 1), "/failed_active_hc");
    assert_int_equal(hbk_gw_members_healthy(first), 0);
    pass(first, 0);
    assert_string_equal(flags(first, 1), "healthy");
    assert_int_equal(hbk_gw_members_healthy(first), 1);
    hbk_gw_members_free(first);
}

static void test_hosts_that_nothing_checks_are_healthy_unless_the_file_says_else(void **state)
{
    (void)state;
    struct hbk_gw_members *none = next(&unwatched, NULL, &plain, "1");
    struct hbk_gw_members *own = next(&checked, NULL, &unchecked, "1");
    struct hbk_gw_members *told = next(&checked, NULL, &draining, "1");
    assert_string_equal(flags(none, 1), "healthy");
    assert_string_equal(flags(own, 1), "healthy");
    assert_string_equal(flags(told, 1), "/failed_active_hc/failed_eds_health");
    pass(told, 0);
    assert_int_equal(hbk_gw_members_healthy(told), 0);
    hbk_gw_members_free(none);
    hbk_gw_members_free(own);
    hbk_gw_members_free(told);
}

static void test_a_host_that_stays_keeps_its_health_and_a_new_one_has_none(void **state)
{
    (void)state;
    struct hbk_gw_members *first = next(&checked, NULL, &plain, "1");
    pass(first, 0);
    struct hbk_gw_members *second = next(&checked, first, &plain, "112");
    assert_int_equal(second->count, 2); /* each address once */
    assert_ptr_equal(second->vitals[0], first->vitals[0]);
    assert_string_equal(flags(second, 1), "healthy");
    assert_string_equal(flags(second, 2), "/failed_active_hc");
    hbk_gw_members_free(first);
    hbk_gw_members_free(second);
}

static void test_a_host_that_stays_goes_on_counting(void **state)
{
    (void)state;
    struct hbk_gw_members *first = next(&unwatched, NULL, &plain, "12");
    hbk_gw_count(&first->figures[0]->rows[0][HBK_GW_E_RQ_TOTAL], 2);
    hbk_gw_count(&first->figures[0]->rows[1][HBK_GW_E_RQ_TOTAL], 3);
    struct hbk_gw_members *second = next(&unwatched, first, &plain, "31");
    assert_ptr_equal(second->figures[1], first->figures[0]);
    hbk_gw_members_free(first);
    assert_int_equal(hbk_gw_figures_sum(second->figures[1], HBK_GW_E_RQ_TOTAL), 5);
    assert_int_equal(hbk_gw_figures_sum(second->figures[0], HBK_GW_E_RQ_TOTAL), 0);
    hbk_gw_members_free(second);
}

static void test_a_host_whose_name_is_gone_stays_while_it_is_healthy(void **state)
{
    (void)state;
    struct hbk_gw_members *first = next(&checked, NULL, &plain, "12");
    pass(first, 0);
    struct hbk_gw_members *second = next(&checked, first, &plain, "3");
    assert_string_equal(flags(second, 1), "/pending_dynamic_removal");
    assert_true(hbk_gw_member_is_healthy(second, 1));
    assert_string_equal(flags(second, 2), "gone");
    struct hbk_gw_members *third = next(&checked, second, &plain, "1");
    assert_string_equal(flags(third, 1), "healthy");
    struct hbk_gw_members *fourth = next(&strict, third, &plain, "3");
    assert_string_equal(flags(fourth, 1), "gone");
    hbk_gw_members_free(first);
    hbk_gw_members_free(second);
    hbk_gw_members_free(third);
    hbk_gw_members_free(fourth);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_hosts_are_unhealthy_until_they_were_checked),
        cmocka_unit_test(test_hosts_that_nothing_checks_are_healthy_unless_the_file_says_else),
        cmocka_unit_test(test_a_host_that_stays_keeps_its_health_and_a_new_one_has_none),
        cmocka_unit_test(test_a_host_that_stays_goes_on_counting),
        cmocka_unit_test(test_a_host_whose_name_is_gone_stays_while_it_is_healthy),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
