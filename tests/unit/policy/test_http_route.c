#include "policy/http_route.h"

#include "harness.h"

static struct hbk_gw_virtual_host host_named(const char *name, const struct hbk_slice *domains,
                                             uint32_t count)
{
    return (struct hbk_gw_virtual_host){
        .name = hbk_slice_text(name), .domains = domains, .domains_count = count};
}

static void test_the_most_specific_domain_wins(void **state)
{
    static const struct {
        const char *authority, *host; /* NULL: none */
    } cases[] = {
        {"a.test", "exact"},    {"A.TEST", "exact"},      {"a.test:80", "prefix"},
        {"x.a.test", "suffix"}, {"x.y.a.test", "longer"}, {".y.a.test", "suffix"},
        {"y.a.test", "suffix"}, {"a.other", "prefix"},    {"", "any"},
    };
    struct hbk_slice exact[] = {HBK_SLICE("a.Test")};
    struct hbk_slice suffix[] = {HBK_SLICE("*.a.test")};
    struct hbk_slice longer[] = {HBK_SLICE("*.y.a.test")};
    struct hbk_slice prefix[] = {HBK_SLICE("a.*")};
    struct hbk_slice any[] = {HBK_SLICE("*")};
    struct hbk_gw_virtual_host hosts[] = {
        host_named("any", any, 1),       host_named("prefix", prefix, 1),
        host_named("suffix", suffix, 1), host_named("longer", longer, 1),
        host_named("exact", exact, 1),
    };
    struct hbk_gw_route_configuration configuration = {.virtual_hosts = hosts,
                                                       .virtual_hosts_count = HBK_COUNT(hosts)};
    struct hbk_http_route_table *table = hbk_http_route_table_new(&configuration);
    (void)state;
    assert_non_null(table);
    for (size_t i = 0; i < HBK_COUNT(cases); i++) {
        const struct hbk_gw_virtual_host *found =
            hbk_http_route_host(table, hbk_slice_text(cases[i].authority));
        assert_non_null(found);
        assert_slice_equal(found->name, hbk_slice_text(cases[i].host));
    }
    hbk_http_route_table_free(table);
}

static void test_ports_can_be_left_out_of_the_choice(void **state)
{
    struct hbk_slice exact[] = {HBK_SLICE("a.test")};
    struct hbk_gw_virtual_host hosts[] = {host_named("exact", exact, 1)};
    struct hbk_gw_route_configuration configuration = {
        .virtual_hosts = hosts, .virtual_hosts_count = 1, .ignore_port_in_host_matching = true};
    struct hbk_http_route_table *table = hbk_http_route_table_new(&configuration);
    (void)state;
    assert_non_null(hbk_http_route_host(table, HBK_SLICE("a.test:8080")));
    assert_null(hbk_http_route_host(table, HBK_SLICE("b.test:8080")));
    hbk_http_route_table_free(table);
}

static void test_weights_divide_what_is_random(void **state)
{
    static const struct hbk_gw_cluster_weight entries[] = {
        {.name = {(const uint8_t *)"a", 1}, .weight = 1},
        {.name = {(const uint8_t *)"b", 1}, .weight = 0},
        {.name = {(const uint8_t *)"c", 1}, .weight = 3},
    };
    struct hbk_gw_weighted_clusters clusters = {
        .clusters = entries, .clusters_count = 3, .total = 4};
    unsigned counts[3] = {0};
    (void)state;
    for (uint64_t random = 0; random < 400; random++) {
        counts[hbk_http_route_weighted(&clusters, random) - entries]++;
    }
    assert_int_equal(counts[0], 100);
    assert_int_equal(counts[1], 0);
    assert_int_equal(counts[2], 300);
}

static void test_a_rewrite_replaces_what_was_matched_and_keeps_the_query(void **state)
{
    struct hbk_gw_route_match match = {.prefix = HBK_SLICE("/api/"),
                                       .path_specifier = HBK_GW_PATH_PREFIX};
    struct hbk_gw_route route = {.match = &match};
    uint8_t bytes[16];
    struct hbk_span room = hbk_span_of(bytes, sizeof bytes);
    (void)state;
    size_t size = hbk_http_route_rewrite(&route, HBK_SLICE("/api/x?q=1"), HBK_SLICE("/v2/"), room);
    assert_slice_equal(hbk_slice_of(bytes, size), HBK_SLICE("/v2/x?q=1"));
    assert_int_equal(
        hbk_http_route_rewrite(&route, HBK_SLICE("/api/123456789012345"), HBK_SLICE("/v2/"), room),
        0);
    assert_int_equal(hbk_http_route_rewrite(&route, HBK_SLICE("/api/x"), HBK_SLICE(""), room), 0);
}

static void test_a_missing_header_satisfies_only_its_absence(void **state)
{
    static const struct {
        struct hbk_gw_header_matcher matcher;
        bool with_field, without_field;
    } cases[] = {
        {{.specifier = HBK_GW_HEADER_PRESENT_IMPLIED, .present_match = true}, true, false},
        {{.specifier = HBK_GW_HEADER_PRESENT, .present_match = true}, true, false},
        {{.specifier = HBK_GW_HEADER_PRESENT, .present_match = false}, false, true},
        {{.specifier = HBK_GW_HEADER_PRESENT, .present_match = true, .invert_match = true},
         false,
         true},
        {{.specifier = HBK_GW_HEADER_EXACT, .exact_match = {(const uint8_t *)"7", 1}}, true, false},
        {{.specifier = HBK_GW_HEADER_EXACT,
          .exact_match = {(const uint8_t *)"7", 1},
          .invert_match = true},
         false,
         true},
        {{.specifier = HBK_GW_HEADER_EXACT, .treat_missing_header_as_empty = true}, false, true},
        {{.specifier = HBK_GW_HEADER_SUFFIX, .suffix_match = {(const uint8_t *)"7", 1}},
         true,
         false},
        {{.specifier = HBK_GW_HEADER_CONTAINS, .contains_match = {(const uint8_t *)"8", 1}},
         false,
         false},
    };
    const struct hbk_h2_field field = {.name = HBK_SLICE("x"), .value = HBK_SLICE("7")};
    (void)state;
    for (size_t i = 0; i < HBK_COUNT(cases); i++) {
        struct hbk_gw_header_matcher matcher = cases[i].matcher;
        matcher.name = HBK_SLICE("X");
        assert_int_equal(hbk_http_route_match_header(&matcher, &field, 1), cases[i].with_field);
        assert_int_equal(hbk_http_route_match_header(&matcher, &field, 0), cases[i].without_field);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_most_specific_domain_wins),
        cmocka_unit_test(test_ports_can_be_left_out_of_the_choice),
        cmocka_unit_test(test_weights_divide_what_is_random),
        cmocka_unit_test(test_a_rewrite_replaces_what_was_matched_and_keeps_the_query),
        cmocka_unit_test(test_a_missing_header_satisfies_only_its_absence),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
