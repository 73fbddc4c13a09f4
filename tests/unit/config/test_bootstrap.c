#include "config/bootstrap.h"

#include <stdio.h>

#include "harness.h"

#include "base/buffer.h"
#include "config/envoy_lines.h"
#include "config/proto.h"
#include "failing_heap.h"
#include "os/file.h"

static struct hbk_report report, warnings;

#define MANAGER                                                                        \
    "{\"@type\": type.googleapis.com/envoy.extensions.filters.network."                \
    "http_connection_manager.v3.HttpConnectionManager, stat_prefix: s, http_filters: " \
    "[{name: envoy.filters.http.router}], route_config: "
#define LISTENER(chain)                                                             \
    "static_resources: {listeners: [{address: {socket_address: {address: 0.0.0.0, " \
    "port_value: 80}}, filter_chains: [" chain "]}]}"
#define HTTP(routes) "{filters: [{name: http, typed_config: " MANAGER routes "}}]}"
#define HOST(rest) HTTP("{virtual_hosts: [{name: h, domains: ['*'], " rest "}]}")
#define CHAIN "static_resources.listeners[0].filter_chains[0]"
#define ROUTES CHAIN ".filters[0].typed_config.route_config.virtual_hosts[0].routes[0]"
#define CLUSTER(rest) "static_resources: {clusters: [{name: c, " rest "}]}"
#define CLUSTER_PATH "static_resources.clusters[0]"

struct mistake_case {
    const char *text;
    const char *lines[4]; /* all that is reported */
};

static const struct mistake_case mistakes[] = {
    /* The file. */
    {"", {"f:1:1: the file is empty; allowed: a mapping, such as {}"}},
    {"[]", {"f:1:1: a list; allowed: a mapping (envoy.config.bootstrap.v3.Bootstrap)"}},
    {"node: {id: a, id: b}", {"f:1:15: key \"id\" appears twice; allowed: once"}},
    {"node: {[a]: b}", {"f:1:8: a key that is a list; allowed: a text"}},
    {"node: {id: a", {"f:2:1: this is not YAML: missing comma in flow mapping"}},
    /* Fields. */
    {"nod: {}",
     {"f:1:1: unknown field \"nod\" in envoy.config.bootstrap.v3.Bootstrap; nearest: node"}},
    {"zzzzzzzz: {}", {"f:1:1: unknown field \"zzzzzzzz\" in envoy.config.bootstrap.v3.Bootstrap"}},
    {"node:\n  idd: a\nadmin:\n  adress: {}\n",
     {"f:2:3: node: unknown field \"idd\" in envoy.config.core.v3.Node; nearest: id",
      "f:4:3: admin: unknown field \"adress\" in envoy.config.bootstrap.v3.Admin; nearest: "
      "address"}},
    {"overload_manager: {}", {"f:1:1: field \"overload_manager\" is not supported yet"}},
    {"statsConfig: {}\nstats_config: {}\n",
     {"f:2:15: stats_config: given twice, in both spellings; allowed: once"}},
    /* Values. */
    {"node: a", {"f:1:7: node: \"a\"; allowed: a mapping (envoy.config.core.v3.Node)"}},
    {"node: {id: [a]}", {"f:1:12: node.id: a list; allowed: a text"}},
    {"admin: {ignore_global_conn_limit: 'true'}",
     {"f:1:35: admin.ignore_global_conn_limit: \"true\"; allowed: true or false"}},
    {"stats_flush_interval: 5",
     {"f:1:23: stats_flush_interval: \"5\"; allowed: a length of time in "
      "seconds, such as 5s or 0.25s"}},
    {"stats_flush_interval: 10ms",
     {"f:1:23: stats_flush_interval: \"10ms\"; allowed: a length of "
      "time in seconds, such as 5s or 0.25s"}},
    {"stats_flush_interval: 0.0001s",
     {"f:1:23: stats_flush_interval: \"0.0001s\"; allowed: from 0.001s to 300s"}},
    {"admin: {address: {socket_address: {address: 1.2.3.4, port_value: 70000}}}",
     {"f:1:66: admin.address.socket_address.port_value: \"70000\"; allowed: a whole number from 0 "
      "to 65535"}},
    {"admin: {address: {}}",
     {"f:1:18: admin.address: nothing for \"socket_address\", which envoy.config.core.v3.Address "
      "needs"}},
    {"admin: {address: {pipe: {path: /x}}}",
     {"f:1:19: admin.address: field \"pipe\" is not supported yet",
      "f:1:18: admin.address: nothing for \"socket_address\", which envoy.config.core.v3.Address "
      "needs"}},
    {CLUSTER("type: STATC"),
     {"f:1:47: " CLUSTER_PATH ".type: \"STATC\"; allowed: STATIC, STRICT_DNS, "
      "ORIGINAL_DST"}},
    {CLUSTER("type: EDS"),
     {"f:1:47: " CLUSTER_PATH ".type: EDS is not supported yet; allowed: STATIC, STRICT_DNS, "
      "ORIGINAL_DST"}},
    {CLUSTER("type: STATIC"),
     {"f:1:31: " CLUSTER_PATH ": \"load_assignment\" is missing, which this "
      "type needs"}},
    {CLUSTER("load_assignment: {cluster_name: c, endpoints: {lb_endpoints: {endpoint: {address: "
             "{socket_address: {address: here, port_value: 1}}}}}}"),
     {"f:1:31: " CLUSTER_PATH ": the endpoint \"here\" is a name; a cluster of type STATIC has IP "
      "addresses, STRICT_DNS names"}},
    /* Extensions. */
    {LISTENER("{filters: [{name: f, typed_config: {\"@type\": a/b.c.TcpProxi}}]}"),
     {"f:1:157: " CHAIN ".filters[0].typed_config: unknown type \"b.c.TcpProxi\"; nearest: "
      "envoy.extensions.filters.network.tcp_proxy.v3.TcpProxy"}},
    {LISTENER("{filters: [{name: f, typed_config: {\"@type\": "
              "x/envoy.extensions.filters.network.rbac.v3.RBAC}}]}"),
     {"f:1:157: " CHAIN ".filters[0].typed_config: network filter "
      "\"envoy.extensions.filters.network.rbac.v3.RBAC\" is not supported yet"}},
    {LISTENER("{filters: [{name: f, typed_config: {}}]}"),
     {"f:1:147: " CHAIN
      ".filters[0].typed_config: no \"@type\"; allowed: a mapping with \"@type\""}},
    {LISTENER("{}"),
     {"f:1:112: " CHAIN ": 0 network filters; allowed: one, an HTTP connection manager "
      "or a tcp_proxy"}},
    /* What would end a line of a head, or the head. */
    {LISTENER(HOST("routes: [{match: {prefix: /}, redirect: {host_redirect: \"a\\r\\nb\"}}]")),
     {"f:1:443: " ROUTES ".redirect.host_redirect: \"a??b\"; allowed: a text without line ends and "
      "zero bytes"}},
    {LISTENER(HOST("routes: [{match: {prefix: /}, redirect: {path_redirect: \"/\\n\"}}]")),
     {"f:1:443: " ROUTES ".redirect.path_redirect: \"/?\"; allowed: a text without line ends and "
      "zero bytes"}},
    /* Oneofs and rules between parts. */
    {LISTENER(HOST("routes: [{match: {prefix: /, path: /}, direct_response: {status: 200}}]")),
     {"f:1:422: " ROUTES ".match.path: \"path\" beside \"prefix\"; allowed: one of them"}},
    {LISTENER(HOST("routes: [{match: {prefix: /}}]")),
     {"f:1:396: " ROUTES ": nothing for \"route, redirect or direct_response\", which "
      "envoy.config.route.v3.Route needs"}},
    {LISTENER(HOST("routes: [{match: {safe_regex: {}}, direct_response: {status: 200}}]")),
     {"f:1:405: " ROUTES ".match: field \"safe_regex\" is not supported yet",
      "f:1:404: " ROUTES ".match: nothing for \"prefix, path or path_separated_prefix\", which "
      "envoy.config.route.v3.RouteMatch needs"}},
    {LISTENER(HOST("routes: [{match: {prefix: /}, route: {cluster: nowhere}}]")),
     {"f:1:1: virtual host \"h\" uses the cluster \"nowhere\", which is not there"}},
    {LISTENER(HTTP("{virtual_hosts: [{name: a, domains: [x, X]}]}")),
     {"f:1:344: " CHAIN
      ".filters[0].typed_config.route_config: the domain \"X\" of virtual host \"a\" "
      "stands twice in the route configuration; allowed: once"}},
};

static hbk_status parse(const char *text, struct hbk_gw_config **out_config)
{
    struct hbk_bootstrap_options options = {0};
    return hbk_bootstrap_parse("f", hbk_slice_text(text), &options, out_config, &report, &warnings);
}

static void test_every_mistake_is_told_with_place_path_and_what_is_allowed(void **state)
{
    (void)state;
    for (size_t i = 0; i < HBK_COUNT(mistakes); i++) {
        struct hbk_gw_config *config = NULL;
        size_t expected = 0;
        assert_int_equal(parse(mistakes[i].text, &config), HBK_INVALID);
        while (expected < HBK_COUNT(mistakes[i].lines) && mistakes[i].lines[expected] != NULL) {
            expected++;
        }
        for (size_t k = 0; k < report.count && k < expected; k++) {
            assert_string_equal(report.lines[k], mistakes[i].lines[k]);
        }
        assert_int_equal(report.count, expected);
        assert_null(config);
    }
}

static const char good[] =
    "node: {id: gw, cluster: edge, metadata: {any: [thing]}}\n"
    "staticResources:\n"
    "  clusters:\n"
    "    name: c\n" /* one value for a list */
    "    type: 1\n" /* an enum by number */
    "    connectTimeout: 0.25s\n"
    "    lb_policy: least-request\n"
    "    circuit_breakers: {thresholds: {max_requests: 7}}\n"
    "    health_checks: {timeout: 1s, interval: 2s, unhealthy_interval: 3s, unhealthy_threshold: "
    "2,\n"
    "      healthy_threshold: 3, tcp_health_check: {send: {text: 50494eFf}, receive: {binary: "
    "UE8=}}}\n"
    "    load_assignment:\n"
    "      cluster_name: c\n"
    "      endpoints:\n"
    "      - lb_endpoints:\n"
    "        - endpoint: {address: {socket_address: {address: here, port_value: '8080'}}}\n"
    "    typed_extension_protocol_options:\n"
    "      envoy.extensions.upstreams.http.v3.HttpProtocolOptions:\n"
    "        \"@type\": "
    "type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions\n"
    "        explicit_http_config: {http2_protocol_options: {max_concurrent_streams: 1e2}}\n"
    "  listeners:\n"
    "  - address: {socket_address: {address: '::', port_value: 80}}\n"
    "    filter_chains:\n"
    "      filters:\n"
    "        name: envoy.http_connection_manager\n"
    "        typed_config:\n"
    "          \"@type\": type.googleapis.com/xds.type.v3.TypedStruct\n"
    "          type_url: type.googleapis.com/envoy.extensions.filters.network."
    "http_connection_manager.v3.HttpConnectionManager\n"
    "          value:\n"
    "            stat_prefix: s\n"
    "            codec_type: auto\n"
    "            stream_idle_timeout: null\n"
    "            http_filters: {name: envoy.router, typed_config: {}}\n"
    "            route_config:\n"
    "              virtual_hosts:\n"
    "                name: h\n"
    "                domains: '*'\n"
    "                response_headers_to_add: {header: {key: x, value: y}, append: false}\n"
    "                routes:\n"
    "                - match: {prefix: /}\n"
    "                  route: {cluster: c, retry_policy: {retry_on: '5xx, connect-failure'}}\n";

static void test_a_bootstrap_in_every_accepted_spelling_becomes_the_model(void **state)
{
    (void)state;
    struct hbk_gw_config *config = NULL;
    hbk_status status = parse(good, &config);
    if (report.count > 0) {
        fail_msg("%s", report.lines[0]);
    }
    assert_int_equal(status, HBK_OK);
    const struct hbk_gw_static_resources *all = config->bootstrap->static_resources;
    const struct hbk_gw_cluster *cluster = hbk_gw_find_cluster(all, HBK_SLICE("c"));
    assert_non_null(cluster);
    assert_int_equal(cluster->type, HBK_GW_STRICT_DNS);
    assert_int_equal(cluster->lb_policy, HBK_GW_LEAST_REQUEST);
    assert_int_equal(cluster->connect_timeout, 250000000);
    assert_int_equal(cluster->upstream_protocol, HBK_GW_UPSTREAM_HTTP2);
    assert_int_equal(cluster->circuit_breakers->thresholds[0].max_requests, 7);
    assert_int_equal(cluster->circuit_breakers->thresholds[0].max_connections, 1024);
    assert_int_equal(
        cluster->http->explicit_http_config->http2_protocol_options->max_concurrent_streams, 100);
    assert_int_equal(cluster->endpoint_count, 1);
    const struct hbk_gw_health_check *check = cluster->health_checks;
    assert_true(check->reuse_connection);
    assert_int_equal(check->healthy_edge_interval, UINT64_C(2000000000));
    assert_int_equal(check->unhealthy_edge_interval, UINT64_C(3000000000));
    assert_int_equal(check->no_traffic_healthy_interval, UINT64_C(60000000000));
    assert_slice_equal(check->tcp_health_check->send->bytes, HBK_SLICE("PIN\xff"));
    assert_slice_equal(check->tcp_health_check->receive[0].bytes, HBK_SLICE("PO"));

    const struct hbk_gw_listener *listener = &all->listeners[0];
    assert_slice_equal(listener->name, HBK_SLICE("[::]:80"));
    assert_int_equal(listener->filter_chains_count, 1);
    const struct hbk_gw_any *any = &listener->filter_chains[0].filters[0].typed_config;
    assert_int_equal(any->kind, HBK_GW_HTTP_CONNECTION_MANAGER);
    const struct hbk_gw_http_connection_manager *manager = any->message;
    assert_int_equal(manager->stream_idle_timeout, UINT64_C(300000000000));
    const struct hbk_gw_virtual_host *host = &manager->route_config->virtual_hosts[0];
    assert_slice_equal(host->domains[0], HBK_SLICE("*"));
    assert_int_equal(host->headers.response_headers_to_add[0].append_action,
                     HBK_GW_OVERWRITE_IF_EXISTS_OR_ADD);
    const struct hbk_gw_route_action *action = host->routes[0].route;
    assert_int_equal(action->timeout, UINT64_C(15000000000));
    assert_int_equal(action->retry_policy->on, HBK_GW_RETRY_5XX | HBK_GW_RETRY_CONNECT_FAILURE);
    assert_int_equal(action->retry_policy->num_retries, 1);
    hbk_gw_config_unref(config);
}

static void test_the_nth_allocation_fails_and_nothing_is_left(void **state)
{
    (void)state;
    hbk_status status = HBK_NO_MEMORY;
    for (uint64_t n = 1; status != HBK_OK; n++) {
        struct hbk_gw_config *config = NULL;
        assert_true(n < 10000);
        heap_allocations = 0;
        heap_fails_at = n;
        status = parse(good, &config);
        heap_fails_at = 0;
        assert_true(status == HBK_OK || status == HBK_NO_MEMORY || status == HBK_INVALID);
        hbk_gw_config_unref(config);
    }
}

static void test_unknown_fields_can_be_left_out_but_guards_cannot(void **state)
{
    (void)state;
    struct hbk_gw_config *config = NULL;
    struct hbk_bootstrap_options options = {.allows_unknown = true};
    assert_int_equal(hbk_bootstrap_parse("f", HBK_SLICE("nod: 1\nwatchdogs: {}\n"), &options,
                                         &config, &report, &warnings),
                     HBK_OK);
    assert_int_equal(warnings.count, 2);
    assert_string_equal(warnings.lines[1],
                        "f:2:1: field \"watchdogs\" is not supported yet (left out)");
    hbk_gw_config_unref(config);
    config = NULL;
    assert_int_equal(hbk_bootstrap_parse("f", HBK_SLICE("bootstrap_extensions: []\n"), &options,
                                         &config, &report, &warnings),
                     HBK_INVALID);
    assert_null(config);
}

static void test_a_second_document_is_laid_over_the_first(void **state)
{
    (void)state;
    struct hbk_gw_config *config = NULL;
    struct hbk_bootstrap_options options = {
        .yaml = "node: {id: over}\nstatic_resources: {clusters: [{name: d, type: ORIGINAL_DST, "
                "lb_policy: CLUSTER_PROVIDED}]}"};
    const char *base =
        "node: {id: base, cluster: k}\nstatic_resources: {clusters: [{name: c, type: "
        "ORIGINAL_DST, lb_policy: CLUSTER_PROVIDED}]}";
    assert_int_equal(
        hbk_bootstrap_parse("f", hbk_slice_text(base), &options, &config, &report, &warnings),
        HBK_OK);
    assert_slice_equal(config->bootstrap->node->id, HBK_SLICE("over"));
    assert_slice_equal(config->bootstrap->node->cluster, HBK_SLICE("k"));
    assert_int_equal(config->bootstrap->static_resources->clusters_count, 2);
    hbk_gw_config_unref(config);
}

static void test_a_version_of_tls_is_told_by_name_or_number_in_any_case(void **state)
{
    (void)state;
    static const char *const names[] = {"TLSv1_3", "TLSV1_3", "tlsv1-3", "4"};
    for (size_t i = 0; i < HBK_COUNT(names); i++) {
        char text[768];
        struct hbk_gw_config *config = NULL;
        struct hbk_bootstrap_options options = {0};
        (void)snprintf(text, sizeof text,
                       "static_resources: {clusters: [{name: c, type: ORIGINAL_DST, lb_policy: "
                       "CLUSTER_PROVIDED, transport_socket: {name: tls, typed_config: {\"@type\": "
                       "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3."
                       "UpstreamTlsContext, common_tls_context: {tls_params: "
                       "{tls_minimum_protocol_version: %s}}}}}]}",
                       names[i]);
        assert_int_equal(
            hbk_bootstrap_parse("f", hbk_slice_text(text), &options, &config, &report, &warnings),
            HBK_OK);
        const struct hbk_gw_cluster *cluster = &config->bootstrap->static_resources->clusters[0];
        const struct hbk_gw_upstream_tls *tls = cluster->transport_socket->typed_config.message;
        assert_int_equal(tls->common_tls_context->tls_params->tls_minimum_protocol_version,
                         HBK_GW_TLS_1_3);
        hbk_gw_config_unref(config);
    }
}

/* ---- mending ---- */

static struct hbk_slice read_text(struct hbk_arena *arena, const char *folder, const char *name)
{
    char path[HBK_PATH_BYTES_MAX];
    struct hbk_slice text;
    (void)snprintf(path, sizeof path, "%s/%s", folder, name);
    assert_int_equal(hbk_file_read(arena, path, 1 << 20, &text), HBK_OK);
    return text;
}

static void check_listing(const char *printed_name, const char *corrected_name, size_t repairs_min)
{
    struct hbk_arena arena;
    struct hbk_buffer out;
    struct hbk_report repairs;
    struct hbk_bootstrap_options options = {0};
    struct hbk_gw_config *config = NULL;
    hbk_arena_init(&arena);
    hbk_buffer_init(&out, 1 << 20);
    struct hbk_slice printed = read_text(&arena, HBK_FIXTURES, printed_name);
    struct hbk_slice corrected = read_text(&arena, HBK_FIXTURES, corrected_name);

    assert_int_equal(hbk_bootstrap_parse("printed", printed, &options, &config, &report, &warnings),
                     HBK_INVALID);
    assert_int_equal(hbk_bootstrap_fix("printed", printed, &out, &repairs, &report), HBK_OK);
    assert_int_equal(report.count, 0);
    assert_true(repairs.count >= repairs_min);
    assert_slice_equal(hbk_buffer_slice(&out), corrected);
    assert_int_equal(
        hbk_bootstrap_parse("corrected", corrected, &options, &config, &report, &warnings), HBK_OK);
    assert_int_equal(warnings.count, 0);
    hbk_gw_config_unref(config);

    /* What is canonical stays as it is. */
    hbk_buffer_clear(&out);
    assert_int_equal(hbk_bootstrap_fix("corrected", corrected, &out, &repairs, &report), HBK_OK);
    assert_int_equal(repairs.count, 0);
    assert_slice_equal(hbk_buffer_slice(&out), corrected);
    hbk_buffer_fini(&out);
    hbk_arena_fini(&arena);
}

static void test_the_papers_listings_are_refused_as_printed_and_served_as_mended(void **state)
{
    (void)state;
    check_listing("cryptomb-printed.yaml", "cryptomb-corrected.yaml", 13);
    check_listing("qat-printed.yaml", "qat-corrected.yaml", 12);
}

static void test_lines_in_a_wrong_column_are_moved_with_what_is_nested_in_them(void **state)
{
    (void)state;
    static const struct {
        const char *before, *after;
        size_t repairs;
    } cases[] = {
        {"a:\n  b:\n- c: 1\n  d: 2\n- e\nf: 1\n", "a:\n  b:\n  - c: 1\n    d: 2\n  - e\nf: 1\n", 1},
        {"a:\n  - b: 1\n    c: 2\n  d:\n    - e: 1\nf: 2\n",
         "a:\n  - b: 1\n    c: 2\n    d:\n      - e: 1\nf: 2\n", 1},
        {"a:\n- b: 1\n- c:\n    d: 1\ne: 1\n", "a:\n- b: 1\n- c:\n    d: 1\ne: 1\n", 0},
        {"a:\n- b:\n    c:\n- d: 1\n", "a:\n- b:\n    c:\n- d: 1\n", 0},
        {"```\na: 1\n```\n", "\na: 1\n\n", 0},
        {"", "", 0},
    };
    for (size_t i = 0; i < HBK_COUNT(cases); i++) {
        struct hbk_buffer out;
        struct hbk_report repairs;
        hbk_report_init(&repairs);
        hbk_buffer_init(&out, 1 << 16);
        assert_int_equal(hbk_envoy_fix_lines("f", hbk_slice_text(cases[i].before), &out, &repairs),
                         HBK_OK);
        struct hbk_slice found = hbk_buffer_slice(&out);
        assert_true(found.size > 0 && found.bytes[found.size - 1] == '\n');
        assert_slice_equal(hbk_slice_part(found, 0, found.size - 1),
                           hbk_slice_text(cases[i].after));
        assert_int_equal(repairs.count, cases[i].repairs);
        hbk_buffer_fini(&out);
    }
}

static void test_what_cannot_be_mended_is_told(void **state)
{
    (void)state;
    struct hbk_buffer out;
    struct hbk_report repairs;
    hbk_buffer_init(&out, 1 << 16);
    assert_int_equal(
        hbk_bootstrap_fix("f", HBK_SLICE("admin: {nonsense: 1}"), &out, &repairs, &report), HBK_OK);
    assert_int_equal(report.count, 1);
    assert_int_equal(hbk_bootstrap_fix("f", HBK_SLICE("a: [\n"), &out, &repairs, &report),
                     HBK_INVALID);
    assert_int_equal(report.count, 1);
    hbk_buffer_fini(&out);
}

static void test_durations_are_protobufs_unless_lenience_is_asked_for(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        bool is_lenient, is_good;
        uint64_t value_ns;
    } cases[] = {
        {"1s", false, true, 1000000000},
        {"0.001s", false, true, 1000000},
        {"0.0009s", false, true, 900000},
        {"1.0000000019s", false, true, 1000000001},
        {"s", false, false, 0},
        {"1.s", false, false, 0},
        {"-1s", false, false, 0},
        {"1", false, false, 0},
        {"10ms", false, false, 0},
        {"10ms", true, true, 10000000},
        {"1.5m", true, true, 90000000000},
        {"99999999999999s", false, false, 0},
    };
    for (size_t i = 0; i < HBK_COUNT(cases); i++) {
        uint64_t value_ns = 0;
        bool is_good =
            hbk_proto_duration_parse(hbk_slice_text(cases[i].text), cases[i].is_lenient, &value_ns);
        assert_int_equal(is_good, cases[i].is_good);
        assert_int_equal(value_ns, cases[i].value_ns);
    }
}

static void test_the_documentation_lists_the_fields_as_the_tables_do(void **state)
{
    (void)state;
    struct hbk_arena arena;
    struct hbk_buffer out;
    hbk_arena_init(&arena);
    hbk_buffer_init(&out, 1 << 20);
    struct hbk_slice page = read_text(&arena, HBK_DOCS, "envoy-compatibility.md");
    assert_int_equal(hbk_bootstrap_print_fields(&out), HBK_OK);
    /* `hauberk config fields` prints what the page must end with. */
    assert_true(hbk_slice_ends_with(page, hbk_buffer_slice(&out)));
    hbk_buffer_fini(&out);
    hbk_arena_fini(&arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_mistake_is_told_with_place_path_and_what_is_allowed),
        cmocka_unit_test(test_a_bootstrap_in_every_accepted_spelling_becomes_the_model),
        cmocka_unit_test(test_the_nth_allocation_fails_and_nothing_is_left),
        cmocka_unit_test(test_unknown_fields_can_be_left_out_but_guards_cannot),
        cmocka_unit_test(test_a_second_document_is_laid_over_the_first),
        cmocka_unit_test(test_the_papers_listings_are_refused_as_printed_and_served_as_mended),
        cmocka_unit_test(test_lines_in_a_wrong_column_are_moved_with_what_is_nested_in_them),
        cmocka_unit_test(test_a_version_of_tls_is_told_by_name_or_number_in_any_case),
        cmocka_unit_test(test_what_cannot_be_mended_is_told),
        cmocka_unit_test(test_durations_are_protobufs_unless_lenience_is_asked_for),
        cmocka_unit_test(test_the_documentation_lists_the_fields_as_the_tables_do),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
