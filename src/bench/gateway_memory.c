/*
 * Rows of memory: an idle connection, ten thousand certificates, a revocation list in fifty
 * contexts. Each program is started anew for each of them, so that nothing freed earlier hides
 * what is needed. HAProxy and nginx have other ways to many certificates and lists; the last two
 * rows are Envoy's and ours, from the same file.
 */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/buffer.h"
#include "base/clock.h"
#include "bench/gateway.h"
#include "bench/gauge.h"
#include "os/file.h"

enum {
    IDLE = 2000,
    IDLE_QUICK = 200,
    MANY = 10000,
    MANY_QUICK = 100,
    ENTRIES = 97000, /* 4.6 MB of PEM */
    ENTRIES_QUICK = 2000,
    ROUNDS_OF_MEMORY = 1, /* allocation is deterministic enough; what varies is below a percent */
    MIB = 1 << 20,
};

static const uint64_t settle_ns = 300 * HBK_NS_PER_MS;

static uint64_t private_bytes(const struct hbk_gateway_bench *bench,
                              enum hbk_gateway_proxy_name name)
{
    return hbk_gauge_group(bench->proxies[name].program.process.pid, true).private_bytes;
}

static void nothing_measured(double *values)
{
    for (unsigned i = 0; i < HBK_GATEWAY_MEASURES; i++) {
        values[i] = NAN;
    }
}

/* ---- an idle connection ---- */

static hbk_status measure_idle(struct hbk_gateway_bench *bench, enum hbk_gateway_proxy_name name,
                               double *values, struct hbk_error *error)
{
    unsigned connections = bench->options.is_quick ? IDLE_QUICK : IDLE;
    struct hbk_program holder = hbk_program_none(), first = hbk_program_none();
    unsigned port = hbk_gateway_port(name, HBK_GATEWAY_PORT_RSA);
    HBK_TRY(hbk_gateway_start(bench, name, error));
    /* What the first connections allocate for good is not theirs. */
    HBK_TRY(hbk_gateway_load_hold(bench, port, 16, &first, error));
    hbk_program_stop(&first);
    hbk_program_pause(settle_ns);
    uint64_t before = private_bytes(bench, name);
    HBK_TRY(hbk_gateway_load_hold(bench, port, connections, &holder, error));
    hbk_program_pause(settle_ns);
    uint64_t held = private_bytes(bench, name);
    hbk_program_stop(&holder);
    values[HBK_GATEWAY_BYTES] = ((double)held - (double)before) / connections;
    values[HBK_GATEWAY_MIB] = (double)before / MIB;
    return HBK_OK;
}

/* ---- many certificates ---- */

static const char filters[] =
    "      filters:\n"
    "      - name: envoy.filters.network.http_connection_manager\n"
    "        typed_config:\n"
    "          \"@type\": \"type.googleapis.com/envoy.extensions.filters.network."
    "http_connection_manager.v3.HttpConnectionManager\"\n"
    "          stat_prefix: many\n"
    "          http_filters:\n"
    "          - name: envoy.filters.http.router\n"
    "            typed_config: {\"@type\": "
    "type.googleapis.com/envoy.extensions.filters.http.router.v3.Router}\n"
    "          route_config:\n"
    "            virtual_hosts:\n"
    "            - {name: any, domains: [\"*\"], routes: [{match: {prefix: /}, direct_response: "
    "{status: 200, body: {inline_string: hello}}}]}\n";

static const char tls_head[] =
    "transport_socket:\n"
    "        name: envoy.transport_sockets.tls\n"
    "        typed_config:\n"
    "          \"@type\": "
    "\"type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.DownstreamTlsContext\"\n";

static hbk_status make_many(const struct hbk_gateway_bench *bench, unsigned count,
                            struct hbk_error *error)
{
    char path[HBK_MATERIAL_PATH_BYTES_MAX], host[64];
    (void)snprintf(path, sizeof path, "%s/many", bench->directory);
    HBK_TRY(hbk_directory_make(path, 0700));
    for (unsigned i = 0; i < count; i++) {
        (void)snprintf(path, sizeof path, "%s/many/%u.pem", bench->directory, i);
        (void)snprintf(host, sizeof host, "host-%u.bench.test", i);
        HBK_TRY(hbk_material_write_leaf(bench->material, path, host, false, error));
    }
    return HBK_OK;
}

static hbk_status write_many(const struct hbk_gateway_bench *bench, unsigned count,
                             struct hbk_buffer *chains)
{
    HBK_TRY(hbk_buffer_print(chains, "    - %s          common_tls_context:\n", tls_head));
    HBK_TRY(hbk_buffer_print(chains, "            tls_certificates:\n"));
    for (unsigned i = 0; i < count; i++) {
        HBK_TRY(
            hbk_buffer_print(chains,
                             "            - {certificate_chain: {filename: \"%s/many/%u.pem\"}, "
                             "private_key: {filename: \"%s/many/%u.pem\"}}\n",
                             bench->directory, i, bench->directory, i));
    }
    return hbk_buffer_print(chains, "%s%c", filters, '\0');
}

/* The last name gets its own certificate; the client checks the name. */
static hbk_status ask_last(struct hbk_gateway_bench *bench, enum hbk_gateway_proxy_name name,
                           unsigned count, struct hbk_error *error)
{
    char host[64], url[64], ca[200];
    struct hbk_program program = hbk_program_none();
    (void)snprintf(host, sizeof host, "host-%u.bench.test", count - 1);
    (void)snprintf(url, sizeof url, "https://127.0.0.1:%u/",
                   hbk_gateway_port(name, HBK_GATEWAY_PORT_MANY));
    (void)snprintf(ca, sizeof ca, "%s/ca.pem", bench->directory);
    const char *const arguments[] = {
        "load",     "-quiet", "-c",      "1", "-n",    "2",  "-qps", "0", "--no-keepalive",
        "--engine", "native", "-cacert", ca,  "--sni", host, url,    NULL};
    const struct hbk_program_spec spec = {
        .name = "ask", .cpu = (int)bench->options.load_core, .arguments = arguments};
    HBK_TRY(hbk_program_start(&bench->topology, &spec, &program, error));
    return hbk_program_finish(&program, 30 * HBK_NS_PER_S, error);
}

static hbk_status measure_many(struct hbk_gateway_bench *bench, enum hbk_gateway_proxy_name name,
                               double *values, struct hbk_error *error)
{
    unsigned count = bench->options.is_quick ? MANY_QUICK : MANY;
    HBK_CLEANUP(hbk_buffer_fini) struct hbk_buffer chains;
    hbk_buffer_init(&chains, HBK_GATEWAY_TEXT_BYTES_MAX);
    HBK_TRY(write_many(bench, count, &chains));
    HBK_TRY(hbk_gateway_start_many(bench, name, (const char *)hbk_buffer_slice(&chains).bytes,
                                   &values[HBK_GATEWAY_READY_S], error));
    HBK_TRY(ask_last(bench, name, count, error));
    values[HBK_GATEWAY_MIB] = (double)private_bytes(bench, name) / MIB;
    return HBK_OK;
}

/* ---- a revocation list ---- */

static hbk_status write_lists(const struct hbk_gateway_bench *bench, unsigned contexts,
                              bool has_list, struct hbk_buffer *chains)
{
    for (unsigned i = 0; i < contexts; i++) {
        HBK_TRY(hbk_buffer_print(
            chains,
            "    - filter_chain_match: {server_names: [\"host-%u.bench.test\"]}\n      %s"
            "          require_client_certificate: true\n"
            "          common_tls_context:\n"
            "            tls_certificates: [{certificate_chain: {filename: \"%s/ecdsa.pem\"}, "
            "private_key: {filename: \"%s/ecdsa.pem\"}}]\n"
            "            validation_context: {trusted_ca: {filename: \"%s/ca.pem\"}",
            i, tls_head, bench->directory, bench->directory, bench->directory));
        if (has_list) {
            HBK_TRY(
                hbk_buffer_print(chains, ", crl: {filename: \"%s/list.pem\"}", bench->directory));
        }
        HBK_TRY(hbk_buffer_print(chains, "}\n%s", filters));
    }
    return hbk_buffer_print(chains, "%c", '\0');
}

static hbk_status weigh_lists(struct hbk_gateway_bench *bench, enum hbk_gateway_proxy_name name,
                              unsigned contexts, bool has_list, double *out_mib, double *out_s,
                              struct hbk_error *error)
{
    HBK_CLEANUP(hbk_buffer_fini) struct hbk_buffer chains;
    hbk_buffer_init(&chains, HBK_GATEWAY_TEXT_BYTES_MAX);
    HBK_TRY(write_lists(bench, contexts, has_list, &chains));
    HBK_TRY(hbk_gateway_start_many(bench, name, (const char *)hbk_buffer_slice(&chains).bytes,
                                   out_s, error));
    hbk_program_pause(settle_ns);
    *out_mib = (double)private_bytes(bench, name) / MIB;
    hbk_gateway_stop(bench, name);
    return HBK_OK;
}

static hbk_status measure_lists(struct hbk_gateway_bench *bench, enum hbk_gateway_proxy_name name,
                                double *values, struct hbk_error *error)
{
    double without_one, without, one, all, ready_s;
    HBK_TRY(weigh_lists(bench, name, 1, false, &without_one, &ready_s, error));
    HBK_TRY(weigh_lists(bench, name, HBK_GATEWAY_CONTEXTS, false, &without, &ready_s, error));
    HBK_TRY(weigh_lists(bench, name, 1, true, &one, &ready_s, error));
    HBK_TRY(weigh_lists(bench, name, HBK_GATEWAY_CONTEXTS, true, &all, &ready_s, error));
    values[HBK_GATEWAY_MIB] = all;
    values[HBK_GATEWAY_READY_S] = ready_s;
    values[HBK_GATEWAY_COPIES] = one > without_one ? (all - without) / (one - without_one) : NAN;
    return HBK_OK;
}

/* ---- all of them ---- */

static void measure_row(struct hbk_gateway_bench *bench, enum hbk_gateway_row row,
                        enum hbk_gateway_proxy_name name)
{
    struct hbk_gateway_cell *cell = &bench->cells[row][name];
    for (unsigned i = 0; i < ROUNDS_OF_MEMORY; i++) {
        struct hbk_error error = {0};
        double values[HBK_GATEWAY_MEASURES];
        nothing_measured(values);
        hbk_status status = row == HBK_GATEWAY_IDLE   ? measure_idle(bench, name, values, &error)
                            : row == HBK_GATEWAY_MANY ? measure_many(bench, name, values, &error)
                                                      : measure_lists(bench, name, values, &error);
        hbk_gateway_stop(bench, name);
        if (status == HBK_OK) {
            hbk_gateway_keep(cell, values);
        } else {
            hbk_gateway_fail(cell, status, &error);
        }
    }
}

static hbk_status prepare(struct hbk_gateway_bench *bench, enum hbk_gateway_row row,
                          struct hbk_error *error)
{
    char path[HBK_MATERIAL_PATH_BYTES_MAX];
    bool is_quick = bench->options.is_quick;
    (void)snprintf(path, sizeof path, "%s/list.pem", bench->directory);
    return row == HBK_GATEWAY_MANY ? make_many(bench, is_quick ? MANY_QUICK : MANY, error)
           : row == HBK_GATEWAY_LISTS
               ? hbk_material_write_list(bench->material, path, is_quick ? ENTRIES_QUICK : ENTRIES,
                                         error)
               : HBK_OK;
}

void hbk_gateway_measure_memory(struct hbk_gateway_bench *bench)
{
    for (enum hbk_gateway_row row = HBK_GATEWAY_LOADS; row < HBK_GATEWAY_ROWS; row++) {
        struct hbk_error error = {0};
        if (!hbk_gateway_is_wanted(bench, row)) {
            continue;
        }
        hbk_status status = prepare(bench, row, &error);
        for (enum hbk_gateway_proxy_name name = 0; name < HBK_GATEWAY_CRYPTOMB; name++) {
            bool reads_ours = name == HBK_GATEWAY_OURS || name == HBK_GATEWAY_ENVOY;
            if (status != HBK_OK) {
                hbk_gateway_fail(&bench->cells[row][name], status, &error);
            } else if (row == HBK_GATEWAY_IDLE || reads_ours) {
                measure_row(bench, row, name);
            }
        }
    }
}
