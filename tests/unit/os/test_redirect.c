#include "os/redirect.h"

#include "harness.h"

static const uint16_t ports_80_90[] = {80, 90};
static const struct hbk_redirect_ports two_ports = {ports_80_90, 2};

static char *rendered(const struct hbk_redirect_spec *spec)
{
    struct hbk_buffer text;
    hbk_buffer_init(&text, HBK_REDIRECT_TEXT_BYTES_MAX);
    assert_int_equal(hbk_redirect_render(spec, &text, NULL), HBK_OK);
    char *string = hbk_slice_to_string(hbk_buffer_slice(&text));
    assert_non_null(string);
    hbk_buffer_fini(&text);
    return string;
}

static size_t count_of(const char *text, const char *part)
{
    size_t count = 0;
    for (const char *at = text; (at = strstr(at, part)) != NULL; at++) {
        count++;
    }
    return count;
}

static void a_table_is_replaced_in_one_transaction(void **state)
{
    (void)state;
    struct hbk_redirect_spec spec = {.kind = HBK_REDIRECT_POD};
    char *text = rendered(&spec);
    const char *expected =
        "table inet hauberk { }\ndelete table inet hauberk\ntable inet hauberk {";
    assert_int_equal(strncmp(text, expected, strlen(expected)), 0);
    free(text);
}

static void every_chain_and_rule_says_why(void **state)
{
    (void)state;
    static const uint32_t uids[] = {1000};
    static const char *const cgroups[] = {"system.slice/cart.service"};
    struct hbk_cidr cidr;
    assert_true(hbk_cidr_parse(HBK_SLICE("fd00::/8"), &cidr));
    struct hbk_redirect_spec spec = {
        .kind = HBK_REDIRECT_HOST,
        .excluded_inbound = two_ports,
        .excluded_outbound = two_ports,
        .excluded_cidrs = &cidr,
        .excluded_cidr_count = 1,
        .captured_uids = uids,
        .captured_uid_count = 1,
        .captured_cgroups = cgroups,
        .captured_cgroup_count = 1,
        .captured_outbound = two_ports,
        .captured_inbound = two_ports,
    };
    char *text = rendered(&spec);
    for (char *line = strtok(text, "\n"); line != NULL; line = strtok(NULL, "\n")) {
        bool is_rule = strncmp(line, "        ", 8) == 0 && strstr(line, "type ") != line + 8;
        assert_true(!is_rule || strstr(line, "comment \"") != NULL);
    }
    free(text);
}

static void of_a_pod_everything_is_captured_and_of_a_host_only_what_is_listed(void **state)
{
    (void)state;
    struct hbk_redirect_spec spec = {.kind = HBK_REDIRECT_POD};
    char *text = rendered(&spec);
    assert_int_equal(count_of(text, "meta l4proto tcp redirect to :15006"), 1);
    assert_int_equal(count_of(text, "meta l4proto tcp redirect to :15001"), 1);
    free(text);

    spec.kind = HBK_REDIRECT_HOST;
    text = rendered(&spec);
    assert_int_equal(count_of(text, "redirect to"), 0);
    assert_int_equal(count_of(text, "drop"), 0);
    assert_int_equal(count_of(text, "reject"), 0);
    free(text);

    spec.captured_inbound = two_ports;
    spec.captured_outbound = two_ports;
    text = rendered(&spec);
    assert_int_equal(count_of(text, "tcp dport { 80, 90 } redirect to :15001"), 1);
    assert_int_equal(count_of(text, "fib daddr type local tcp dport { 80, 90 } redirect to :15006"),
                     1);
    free(text);
}

/* What the agent sends on the same connection would be routed twice, packet by packet. */
static void only_replies_take_over_the_mark_of_their_connection(void **state)
{
    (void)state;
    static const enum hbk_redirect_kind kinds[] = {HBK_REDIRECT_POD, HBK_REDIRECT_HOST};
    for (size_t i = 0; i < HBK_COUNT(kinds); i++) {
        struct hbk_redirect_spec spec = {.kind = kinds[i]};
        char *text = rendered(&spec);
        assert_int_equal(
            count_of(text, "\n        ct direction reply ct mark & 0xfff == 0x111 meta mark set"),
            1);
        assert_int_equal(count_of(text, "ct mark set"), 1);
        free(text);
    }
}

static void of_a_pod_what_has_the_replies_mark_is_not_routed_again(void **state)
{
    (void)state;
    struct hbk_redirect_spec spec = {.kind = HBK_REDIRECT_POD};
    char *text = rendered(&spec);
    assert_int_equal(count_of(text, "type filter hook prerouting"), 0);
    assert_int_equal(count_of(text, "type route"), 1);
    const char *chain = strstr(text, "type route hook output priority mangle; policy accept;\n");
    const char *rule = strstr(text, "\n        meta mark & 0xfff == 0x111 return");
    assert_non_null(chain);
    assert_ptr_equal(rule, strchr(chain, '\n'));
    free(text);
}

static void what_the_agent_sends_has_a_zone_of_its_own_in_that_direction(void **state)
{
    (void)state;
    static const struct {
        enum hbk_redirect_kind kind;
        const char *rule;
    } cases[] = {
        {HBK_REDIRECT_POD, "\n        meta mark & 0xfff == 0x111 ct original zone set 1337 "},
        {HBK_REDIRECT_HOST, "\n        meta mark & 0xfff == 0x539 ct original zone set 1337 "},
    };
    for (size_t i = 0; i < HBK_COUNT(cases); i++) {
        struct hbk_redirect_spec spec = {.kind = cases[i].kind};
        char *text = rendered(&spec);
        assert_int_equal(count_of(text, "type filter hook output priority raw;"), 1);
        assert_int_equal(count_of(text, cases[i].rule), 1);
        free(text);
    }
}

static void exclusions_stand_before_the_redirection(void **state)
{
    (void)state;
    struct hbk_cidr cidrs[2];
    assert_true(hbk_cidr_parse(HBK_SLICE("10.0.0.0/8"), &cidrs[0]));
    assert_true(hbk_cidr_parse(HBK_SLICE("fd00::/8"), &cidrs[1]));
    struct hbk_redirect_spec spec = {
        .kind = HBK_REDIRECT_POD,
        .excluded_outbound = two_ports,
        .excluded_cidrs = cidrs,
        .excluded_cidr_count = 2,
    };
    char *text = rendered(&spec);
    const char *redirect = strstr(text, "redirect to :15001");
    static const char *const exclusions[] = {
        "tcp dport { 80, 90 } return",
        "ip daddr 10.0.0.0/8 return",
        "ip6 daddr fd00::/8 return",
    };
    for (size_t i = 0; i < HBK_COUNT(exclusions); i++) {
        const char *found = strstr(text, exclusions[i]);
        assert_non_null(found);
        assert_true(found < redirect);
    }
    free(text);
}

static void what_could_break_out_of_the_text_is_refused(void **state)
{
    (void)state;
    static const char *const paths[] = {
        "", "/", "/a", "a/", "a//b", "../a", "a\"b", "a b", "a\nb", "a$b", "\x80",
    };
    for (size_t i = 0; i < HBK_COUNT(paths); i++) {
        struct hbk_redirect_spec spec = {
            .kind = HBK_REDIRECT_HOST,
            .captured_cgroups = &paths[i],
            .captured_cgroup_count = 1,
        };
        struct hbk_buffer text;
        struct hbk_error error = {0};
        hbk_buffer_init(&text, HBK_REDIRECT_TEXT_BYTES_MAX);
        assert_int_equal(hbk_redirect_render(&spec, &text, &error), HBK_INVALID);
        assert_non_null(strstr(error.text, "control group"));
        assert_true(hbk_buffer_is_empty(&text));
        hbk_buffer_fini(&text);
    }
}

static void lists_beyond_their_limit_are_refused(void **state)
{
    (void)state;
    static uint16_t many[HBK_REDIRECT_ENTRIES_MAX + 1];
    for (size_t i = 0; i < HBK_COUNT(many); i++) {
        many[i] = (uint16_t)(65535 - i);
    }
    struct hbk_redirect_spec spec = {.excluded_inbound = {many, HBK_COUNT(many)}};
    struct hbk_buffer text;
    hbk_buffer_init(&text, HBK_REDIRECT_TEXT_BYTES_MAX);
    assert_int_equal(hbk_redirect_render(&spec, &text, NULL), HBK_LIMIT);
    hbk_buffer_fini(&text);

    /* The longest that is allowed fits the line it is printed on. */
    spec.excluded_inbound.count = HBK_REDIRECT_ENTRIES_MAX;
    spec.excluded_outbound = spec.excluded_inbound;
    free(rendered(&spec));
}

static void arguments_say_the_same_as_the_spec(void **state)
{
    (void)state;
    static const char *const cases[][8] = {
        {"--kind", "pod"},
        {"--kind", "pod", "--exclude-inbound", "22,80", "--exclude-cidr", "10.0.0.0/8,fd00::/8"},
        {"--kind", "host", "--uid", "0,1000", "--outbound", "80", "--inbound", "9000"},
        {"--kind", "host", "--cgroup", "a/b", "--cgroup", "c"},
    };
    for (size_t i = 0; i < HBK_COUNT(cases); i++) {
        struct hbk_arena arena;
        hbk_arena_init(&arena);
        size_t count = 0;
        while (count < HBK_COUNT(cases[i]) && cases[i][count] != NULL) {
            count++;
        }
        struct hbk_redirect_spec spec;
        const char **arguments = NULL;
        size_t found = 0;
        assert_int_equal(hbk_redirect_from_arguments(cases[i], count, &arena, &spec, NULL), HBK_OK);
        assert_int_equal(hbk_redirect_to_arguments(&spec, &arena, &arguments, &found), HBK_OK);
        assert_int_equal(found, count);
        for (size_t j = 0; j < count; j++) {
            assert_string_equal(arguments[j], cases[i][j]);
        }
        assert_null(arguments[count]);
        hbk_arena_fini(&arena);
    }
}

static void wrong_arguments_are_refused_by_name(void **state)
{
    (void)state;
    static const struct {
        const char *arguments[4];
        const char *named;
    } cases[] = {
        {{"--kind", "node"}, "node"},
        {{"--kind"}, "--kind"},
        {{"--outbound", "80"}, "--kind host"},
        {{"--exclude-inbound", "0"}, "--exclude-inbound"},
        {{"--exclude-inbound", "65536"}, "65536"},
        {{"--exclude-inbound", "80,,90"}, "--exclude-inbound"},
        {{"--exclude-cidr", "10.0.0.0/33"}, "10.0.0.0/33"},
        {{"--uid", "-1"}, "-1"},
        {{"--uid", "4294967295"}, "4294967295"},
        {{"--port", "80"}, "--port"},
    };
    for (size_t i = 0; i < HBK_COUNT(cases); i++) {
        struct hbk_arena arena;
        hbk_arena_init(&arena);
        struct hbk_redirect_spec spec;
        struct hbk_error error = {0};
        size_t count = cases[i].arguments[1] == NULL ? 1 : 2;
        assert_int_equal(
            hbk_redirect_from_arguments(cases[i].arguments, count, &arena, &spec, &error),
            HBK_INVALID);
        assert_non_null(strstr(error.text, cases[i].named));
        hbk_arena_fini(&arena);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_table_is_replaced_in_one_transaction),
        cmocka_unit_test(every_chain_and_rule_says_why),
        cmocka_unit_test(of_a_pod_everything_is_captured_and_of_a_host_only_what_is_listed),
        cmocka_unit_test(only_replies_take_over_the_mark_of_their_connection),
        cmocka_unit_test(of_a_pod_what_has_the_replies_mark_is_not_routed_again),
        cmocka_unit_test(what_the_agent_sends_has_a_zone_of_its_own_in_that_direction),
        cmocka_unit_test(exclusions_stand_before_the_redirection),
        cmocka_unit_test(what_could_break_out_of_the_text_is_refused),
        cmocka_unit_test(lists_beyond_their_limit_are_refused),
        cmocka_unit_test(arguments_say_the_same_as_the_spec),
        cmocka_unit_test(wrong_arguments_are_refused_by_name),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
