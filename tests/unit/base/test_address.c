#include "base/address.h"

#include "harness.h"

static void addresses_are_read_and_written_in_one_spelling(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        const char *canonical; /* NULL: refused */
    } cases[] = {
        {"10.0.0.1:80", "10.0.0.1:80"},
        {"[fd00::1]:65535", "[fd00::1]:65535"},
        {"[FD00:0:0::1]:1", "[fd00::1]:1"},
        {"[::ffff:10.0.0.1]:80", "10.0.0.1:80"},
        {"fd00::1:80", NULL},
        {"[10.0.0.1]:80", NULL},
        {"10.0.0.1", NULL},
        {"10.0.0.1:", NULL},
        {":80", NULL},
        {"10.0.0.1:65536", NULL},
        {"10.0.0.01:80", NULL},
        {"10.0.0.1 :80", NULL},
        {"cart:80", NULL},
        {"[fe80::1%eth0]:80", NULL},
    };
    for (size_t i = 0; i < HBK_COUNT(cases); i++) {
        struct hbk_address address;
        bool is_address = hbk_address_parse(hbk_slice_text(cases[i].text), &address);
        assert_int_equal(is_address, cases[i].canonical != NULL);
        if (is_address) {
            char text[HBK_ADDRESS_TEXT_BYTES_MAX];
            assert_string_equal(hbk_address_text(&address, text), cases[i].canonical);
        }
    }
}

static void a_block_contains_its_addresses_and_no_others(void **state)
{
    (void)state;
    static const struct {
        const char *block, *ip;
        bool is_inside;
    } cases[] = {
        {"10.0.0.0/8", "10.255.0.1", true}, {"10.0.0.0/8", "11.0.0.1", false},
        {"10.1.2.3/31", "10.1.2.2", true},  {"10.1.2.3/31", "10.1.2.4", false},
        {"10.1.2.3", "10.1.2.3", true},     {"10.1.2.3", "10.1.2.2", false},
        {"0.0.0.0/0", "1.2.3.4", true},     {"0.0.0.0/0", "::1", false},
        {"fd00::/7", "fc00::1", true},      {"fd00::/8", "fc00::1", false},
    };
    for (size_t i = 0; i < HBK_COUNT(cases); i++) {
        struct hbk_cidr block;
        struct hbk_ip ip;
        assert_true(hbk_cidr_parse(hbk_slice_text(cases[i].block), &block));
        assert_true(hbk_ip_parse(hbk_slice_text(cases[i].ip), &ip));
        assert_int_equal(hbk_cidr_contains(&block, &ip), cases[i].is_inside);
    }
    struct hbk_cidr block;
    assert_false(hbk_cidr_parse(HBK_SLICE("10.0.0.0/33"), &block));
    assert_false(hbk_cidr_parse(HBK_SLICE("10.0.0.0/"), &block));
    assert_false(hbk_cidr_parse(HBK_SLICE("/8"), &block));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(addresses_are_read_and_written_in_one_spelling),
        cmocka_unit_test(a_block_contains_its_addresses_and_no_others),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
