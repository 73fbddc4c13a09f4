#include "gateway/chain.h"

#include "harness.h"

enum { CHAINS_MAX = 6 };

/* A listener whose chains have these matches; the answer is the index of the chosen one. */
static int choose(const struct hbk_gw_filter_chain_match *matches, uint32_t count,
                  const struct hbk_gw_arrival *arrival)
{
    struct hbk_gw_filter_chain chains[CHAINS_MAX] = {0};
    struct hbk_gw_handler handlers[CHAINS_MAX] = {0};
    for (uint32_t i = 0; i < count; i++) {
        chains[i].filter_chain_match = &matches[i];
        handlers[i].index = i;
    }
    const struct hbk_gw_listener config = {.filter_chains = chains, .filter_chains_count = count};
    const struct hbk_gw_plan_listener listener = {.config = &config, .handlers = handlers};
    const struct hbk_gw_handler *chosen = hbk_gw_choose_handler(&listener, arrival);
    return chosen == NULL ? -1 : (int)chosen->index;
}

static struct hbk_gw_arrival tls_arrival(const char *server_name)
{
    return (struct hbk_gw_arrival){
        .peer = {.ip = {.size = 4, .bytes = {10, 0, 0, 1}}, .port = 5000},
        .direct = {.ip = {.size = 4, .bytes = {10, 0, 0, 1}}, .port = 5000},
        .local = {.ip = {.size = 4, .bytes = {10, 0, 0, 9}}, .port = 443},
        .is_tls = true,
        .server_name = hbk_slice_text(server_name),
        .protocols = HBK_SLICE("\x02h2\x08http/1.1"),
    };
}

static void test_the_most_specific_server_name_wins(void **state)
{
    static const struct {
        const char *name;
        int chain;
    } cases[] = {
        {"a.test", 2}, {"A.TEST", 2}, {"x.a.test", 1}, {"x.y.a.test", 1}, {"b.test", 0}, {"", 0},
    };
    const struct hbk_slice exact[] = {HBK_SLICE("a.test")};
    const struct hbk_slice wildcard[] = {HBK_SLICE("*.a.test")};
    const struct hbk_gw_filter_chain_match matches[] = {
        {0},
        {.server_names = wildcard, .server_names_count = 1},
        {.server_names = exact, .server_names_count = 1},
    };
    (void)state;
    for (size_t i = 0; i < HBK_COUNT(cases); i++) {
        struct hbk_gw_arrival arrival = tls_arrival(cases[i].name);
        assert_int_equal(choose(matches, HBK_COUNT(matches), &arrival), cases[i].chain);
    }
}

static void test_earlier_steps_count_more_than_later_ones(void **state)
{
    const struct hbk_slice name[] = {HBK_SLICE("a.test")};
    const struct hbk_slice protocols[] = {HBK_SLICE("h2")};
    const struct hbk_gw_filter_chain_match matches[] = {
        {.transport_protocol = HBK_SLICE("tls"),
         .application_protocols = protocols,
         .application_protocols_count = 1},
        {.server_names = name, .server_names_count = 1},
        {.destination_port = 443},
    };
    struct hbk_gw_arrival arrival = tls_arrival("a.test");
    (void)state;
    assert_int_equal(choose(matches, 3, &arrival), 2);
    assert_int_equal(choose(matches, 2, &arrival), 1);
    assert_int_equal(choose(matches, 1, &arrival), 0);
    arrival.protocols = HBK_SLICE("\x08http/1.1");
    assert_int_equal(choose(matches, 1, &arrival), -1);
}

static void test_plain_text_finds_only_chains_that_take_it(void **state)
{
    const struct hbk_gw_filter_chain_match matches[] = {
        {.transport_protocol = HBK_SLICE("tls")},
        {.transport_protocol = HBK_SLICE("raw_buffer")},
    };
    struct hbk_gw_arrival arrival = tls_arrival("");
    (void)state;
    assert_int_equal(choose(matches, 2, &arrival), 0);
    arrival.is_tls = false;
    assert_int_equal(choose(matches, 2, &arrival), 1);
    assert_int_equal(choose(matches, 1, &arrival), -1);
}

static void test_the_longest_prefix_of_addresses_wins(void **state)
{
    struct hbk_gw_cidr_range wide = {0}, narrow = {0}, other = {0};
    (void)state;
    assert_true(hbk_cidr_parse(HBK_SLICE("10.0.0.0/8"), &wide.cidr));
    assert_true(hbk_cidr_parse(HBK_SLICE("10.0.0.0/24"), &narrow.cidr));
    assert_true(hbk_cidr_parse(HBK_SLICE("192.168.0.0/16"), &other.cidr));
    const struct hbk_gw_filter_chain_match matches[] = {
        {.source_prefix_ranges = &wide, .source_prefix_ranges_count = 1},
        {.source_prefix_ranges = &narrow, .source_prefix_ranges_count = 1},
        {.source_prefix_ranges = &other, .source_prefix_ranges_count = 1},
    };
    struct hbk_gw_arrival arrival = tls_arrival("");
    assert_int_equal(choose(matches, 3, &arrival), 1);
    assert_int_equal(choose(&matches[2], 1, &arrival), -1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_most_specific_server_name_wins),
        cmocka_unit_test(test_earlier_steps_count_more_than_later_ones),
        cmocka_unit_test(test_plain_text_finds_only_chains_that_take_it),
        cmocka_unit_test(test_the_longest_prefix_of_addresses_wins),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
