#include "config/bootstrap_dump.h"

#include "harness.h"

#include "config/bootstrap.h"
#include "config/proto_text.h"
#include "failing_heap.h"

enum { OUT_BYTES_MAX = 1 << 20 };

static struct hbk_report report, warnings;

#define TLS "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3"

static struct hbk_gw_config *parse(const char *text)
{
    const struct hbk_bootstrap_options options = {.is_offline = true};
    struct hbk_gw_config *config = NULL;
    assert_int_equal(
        hbk_bootstrap_parse("f", hbk_slice_text(text), &options, &config, &report, &warnings),
        HBK_OK);
    return config;
}

static hbk_status write(const struct hbk_gw_config *config, const char *paths,
                        struct hbk_buffer *out)
{
    struct hbk_field_mask mask = {0};
    struct hbk_json json = hbk_json_to(out, false);
    if (paths != NULL) {
        assert_int_equal(hbk_field_mask_parse(hbk_slice_text(paths), &mask), HBK_OK);
    }
    hbk_bootstrap_dump(&json, NULL, HBK_BOOTSTRAP_PART_BOOTSTRAP, config->bootstrap, &mask);
    return json.status;
}

static void assert_dump(const char *text, const char *paths, const char *expected)
{
    struct hbk_buffer out;
    struct hbk_gw_config *config = parse(text);
    hbk_buffer_init(&out, OUT_BYTES_MAX);
    assert_int_equal(write(config, paths, &out), HBK_OK);
    assert_slice_equal(hbk_buffer_slice(&out), hbk_slice_text(expected));
    hbk_buffer_fini(&out);
    hbk_gw_config_unref(config);
}

static void test_values_have_the_forms_of_protobufs_json(void **state)
{
    static const struct {
        const char *text, *expected;
    } cases[] = {
        {"node: {id: \"a\\\"b\"}", "{\"node\":{\"id\":\"a\\\"b\"},\"static_resources\":{}}"},
        /* What is the same as without it is not there. */
        {"stats_flush_interval: 5s", "{\"static_resources\":{}}"},
        {"statsFlushInterval: 1s", "{\"static_resources\":{},\"stats_flush_interval\":\"1s\"}"},
        {"stats_flush_interval: 0.25s",
         "{\"static_resources\":{},\"stats_flush_interval\":\"0.250s\"}"},
        {"stats_flush_interval: 1.00025s",
         "{\"static_resources\":{},\"stats_flush_interval\":\"1.000250s\"}"},
        {"stats_flush_interval: 1.000000001s",
         "{\"static_resources\":{},\"stats_flush_interval\":\"1.000000001s\"}"},
        /* One of several is there when it was given, whatever it says. */
        {"stats_config: {stats_matcher: {reject_all: false}}",
         "{\"static_resources\":{},\"stats_config\":{\"stats_matcher\":{\"reject_all\":false}}}"},
        /* A value for a list; numbers with a fraction. */
        {"stats_config: {histogram_bucket_settings: {match: {prefix: a}, buckets: [0.5, 2]}}",
         "{\"static_resources\":{},\"stats_config\":{\"histogram_bucket_settings\":[{\"match\":"
         "{\"prefix\":\"a\"},\"buckets\":[0.5,2]}]}}"},
    };
    (void)state;
    heap_fail_at(0);
    for (size_t i = 0; i < HBK_COUNT(cases); i++) {
        assert_dump(cases[i].text, NULL, cases[i].expected);
    }
}

static const char cluster[] =
    "static_resources: {clusters: [{name: c, type: 0, lb_policy: least-request, "
    "connect_timeout: 1s, load_assignment: {cluster_name: c}, transport_socket: {name: t, "
    "typed_config: {\"@type\": " TLS
    ".UpstreamTlsContext, sni: s, common_tls_context: {tls_certificates: [{certificate_chain: "
    "{inline_bytes: aGVsbG8=}, private_key: {inline_bytes: a2V5}, password: {inline_string: "
    "hidden}}]}}}}]}";

static void test_enums_are_words_and_extensions_have_their_types(void **state)
{
    (void)state;
    assert_dump(cluster, "static_resources.clusters",
                "{\"static_resources\":{\"clusters\":[{\"name\":\"c\",\"connect_timeout\":\"1s\","
                "\"lb_policy\":\"LEAST_REQUEST\",\"load_assignment\":{\"cluster_name\":\"c\"},"
                "\"transport_socket\":{\"name\":\"t\",\"typed_config\":{\"@type\":\"" TLS
                ".UpstreamTlsContext\",\"common_tls_context\":{\"tls_certificates\":"
                "[{\"certificate_chain\":{\"inline_bytes\":\"aGVsbG8=\"},\"private_key\":"
                "{\"inline_bytes\":\"W3JlZGFjdGVkXQ==\"},\"password\":"
                "{\"inline_string\":\"[redacted]\"}}]},\"sni\":\"s\"}}}]}}");
}

static void test_keys_passwords_and_tickets_are_in_no_dump(void **state)
{
    (void)state;
    assert_dump("static_resources: {secrets: [{name: s, session_ticket_keys: {keys: [{filename: "
                "keyfile}, {inline_string: hidden}, {environment_variable: VARIABLE}]}}, "
                "{name: p, tls_certificate: {certificate_chain: {filename: chain}, "
                "private_key_provider: {provider_name: cryptomb, typed_config: {\"@type\": "
                "type.googleapis.com/envoy.extensions.private_key_providers.cryptomb.v3alpha."
                "CryptoMbPrivateKeyMethodConfig, poll_delay: 0.01s, private_key: {inline_string: "
                "hidden}}}}}]}",
                NULL,
                "{\"static_resources\":{\"secrets\":[{\"name\":\"s\",\"session_ticket_keys\":"
                "{\"keys\":[{\"filename\":\"[redacted]\"},{\"inline_string\":\"[redacted]\"},"
                "{\"environment_variable\":\"[redacted]\"}]}},{\"name\":\"p\",\"tls_certificate\":"
                "{\"certificate_chain\":{\"filename\":\"chain\"},\"private_key_provider\":"
                "{\"provider_name\":\"cryptomb\",\"typed_config\":{\"@type\":\"type.googleapis.com/"
                "envoy.extensions.private_key_providers.cryptomb.v3alpha."
                "CryptoMbPrivateKeyMethodConfig\",\"private_key\":{\"inline_string\":"
                "\"[redacted]\"},\"poll_delay\":\"0.010s\"}}}}]}}");
}

static void test_a_mask_keeps_what_its_paths_name(void **state)
{
    (void)state;
    assert_dump(cluster, "static_resources.clusters.name,node",
                "{\"static_resources\":{\"clusters\":[{\"name\":\"c\"}]}}");
    assert_dump(cluster, "static_resources.clusters.transport_socket.typed_config.sni",
                "{\"static_resources\":{\"clusters\":[{\"transport_socket\":{\"typed_config\":"
                "{\"@type\":\"" TLS ".UpstreamTlsContext\",\"sni\":\"s\"}}}]}}");
}

static void test_every_allocation_may_fail(void **state)
{
    struct hbk_gw_config *config = parse(cluster);
    hbk_status status = HBK_NO_MEMORY;
    uint64_t number = 0;
    (void)state;
    while (status != HBK_OK) {
        struct hbk_buffer out;
        hbk_buffer_init(&out, OUT_BYTES_MAX);
        heap_fail_at(++number);
        status = write(config, NULL, &out);
        heap_fail_at(0);
        assert_true(status == HBK_OK || status == HBK_NO_MEMORY);
        hbk_buffer_fini(&out);
    }
    assert_true(number > 10);
    hbk_gw_config_unref(config);
}

static void test_bytes_are_written_in_base64(void **state)
{
    static const char *const pairs[][2] = {
        {"", ""}, {"f", "Zg=="}, {"fo", "Zm8="}, {"foo", "Zm9v"}, {"foob", "Zm9vYg=="}};
    (void)state;
    for (size_t i = 0; i < HBK_COUNT(pairs); i++) { /* RFC 4648, 10 */
        uint8_t room[16];
        assert_slice_equal(
            hbk_proto_base64_print(hbk_slice_text(pairs[i][0]), hbk_span_of(room, sizeof room)),
            hbk_slice_text(pairs[i][1]));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_values_have_the_forms_of_protobufs_json),
        cmocka_unit_test(test_enums_are_words_and_extensions_have_their_types),
        cmocka_unit_test(test_keys_passwords_and_tickets_are_in_no_dump),
        cmocka_unit_test(test_a_mask_keeps_what_its_paths_name),
        cmocka_unit_test(test_every_allocation_may_fail),
        cmocka_unit_test(test_bytes_are_written_in_base64),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
