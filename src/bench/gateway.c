#include "bench/gateway.h"

#include <math.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/statistics.h"
#include "bench/gateway_report.h"
#include "os/file.h"
#include "os/netlink.h"
#include "os/netns.h"

enum {
    IN_FLIGHT = 128, /* handshakes: what is asked for is at least 64 at any time */
    KEPT = 32,       /* connections of the proxied row */
    LOW_RATE = 100,
    LATENCY_MS = 10000, /* a thousand handshakes at the low rate, for a P99 */
    LATENCY_QUICK_MS = 1000,
};

static const uint64_t upstream_timeout_ns = 10 * HBK_NS_PER_S;

const char *const hbk_gateway_row_names[HBK_GATEWAY_ROWS] = {
    "rsa", "mutual", "tls12", "latency", "half-load", "proxied", "idle", "many", "lists",
};

bool hbk_gateway_is_wanted(const struct hbk_gateway_bench *bench, enum hbk_gateway_row row)
{
    const regex_t *only = bench->options.only;
    return only == NULL || regexec(only, hbk_gateway_row_names[row], 0, NULL, 0) == 0;
}

void hbk_gateway_keep(struct hbk_gateway_cell *cell, const double *values)
{
    if (cell->round_count < HBK_GATEWAY_ROUNDS_MAX) {
        for (unsigned i = 0; i < HBK_GATEWAY_MEASURES; i++) {
            cell->rounds[i][cell->round_count] = values[i];
        }
        cell->round_count++;
    }
}

void hbk_gateway_fail(struct hbk_gateway_cell *cell, hbk_status status,
                      const struct hbk_error *error)
{
    (void)snprintf(cell->failure, sizeof cell->failure, "%.*s", HBK_GATEWAY_REASON_BYTES_MAX - 1,
                   error->status == HBK_OK ? hbk_status_text(status) : error->text);
    for (char *at = cell->failure; *at != '\0'; at++) {
        *at = *at < ' ' && *at >= 0 ? ' ' : *at; /* quoted logs have lines */
    }
}

/* ---- the world ---- */

/* One loopback for all; every dial of a short connection finds a port. */
static hbk_status prepare_network(struct hbk_error *error)
{
    static const char *const settings[][2] = {
        {"net/ipv4/ip_local_port_range", "24576 65535"},
        {"net/core/somaxconn", "65535"},
        {"net/ipv4/tcp_max_syn_backlog", "65535"},
        {"net/ipv4/tcp_tw_reuse", "1"},
    };
    HBK_CLEANUP(hbk_netlink_close) struct hbk_netlink *netlink = NULL;
    HBK_TRY(hbk_netlink_open(&netlink, error));
    HBK_TRY(hbk_netlink_raise(netlink, "lo", error));
    for (size_t i = 0; i < HBK_COUNT(settings); i++) {
        (void)!hbk_netns_set(settings[i][0], settings[i][1], NULL); /* figures show if it matters */
    }
    return HBK_OK;
}

static hbk_status make_material(struct hbk_gateway_bench *bench, struct hbk_error *error)
{
    static const struct {
        const char *name, *host;
        bool is_rsa;
    } leaves[] = {
        {"rsa", "localhost", true}, {"ecdsa", "localhost", false}, {"client", "client", false}};
    char path[HBK_MATERIAL_PATH_BYTES_MAX];
    HBK_TRY(hbk_material_new(bench->directory, &bench->material, error));
    for (size_t i = 0; i < HBK_COUNT(leaves); i++) {
        (void)snprintf(path, sizeof path, "%s/%s.pem", bench->directory, leaves[i].name);
        HBK_TRY(hbk_material_write_leaf(bench->material, path, leaves[i].host, leaves[i].is_rsa,
                                        error));
    }
    return HBK_OK;
}

static hbk_status start_upstream(struct hbk_gateway_bench *bench, struct hbk_error *error)
{
    static const char *const arguments[] = {"echo",   "--listen", "127.0.0.1:19000",
                                            "--size", "30",       NULL};
    const struct hbk_program_spec spec = {
        .name = "upstream", .cpu = (int)bench->options.load_core, .arguments = arguments};
    HBK_TRY(hbk_program_start(&bench->topology, &spec, &bench->upstream, error));
    return hbk_program_wait_for(&bench->upstream, "listening on", upstream_timeout_ns, error);
}

static hbk_status prepare(struct hbk_gateway_bench *bench, struct hbk_error *error)
{
    hbk_topology_plan(&bench->topology, 0);
    (void)snprintf(bench->directory, sizeof bench->directory, "%s", bench->topology.directory);
    HBK_TRY(prepare_network(error));
    HBK_TRY(hbk_directory_make(bench->directory, 0700));
    HBK_TRY(make_material(bench, error));
    hbk_gateway_find_proxies(bench);
    return start_upstream(bench, error);
}

/* ---- loads ---- */

static struct hbk_gateway_load plan_of(const struct hbk_gateway_bench *bench,
                                       enum hbk_gateway_row row, enum hbk_gateway_proxy_name name)
{
    static const enum hbk_gateway_port ports[HBK_GATEWAY_LOADS] = {
        [HBK_GATEWAY_MUTUAL] = HBK_GATEWAY_PORT_MUTUAL,
        [HBK_GATEWAY_PROXIED] = HBK_GATEWAY_PORT_PROXIED,
    };
    bool is_latency = row == HBK_GATEWAY_LATENCY || row == HBK_GATEWAY_HALF;
    struct hbk_gateway_load load = {
        .row = row,
        .proxy = name,
        .port = hbk_gateway_port(name, ports[row]),
        .connections = row == HBK_GATEWAY_PROXIED ? KEPT : IN_FLIGHT,
        .duration_ms = bench->options.window_ms,
    };
    if (is_latency) {
        load.rate = row == HBK_GATEWAY_LATENCY ? LOW_RATE : bench->half_rate;
        load.duration_ms = bench->options.is_quick ? LATENCY_QUICK_MS : LATENCY_MS;
    }
    return load;
}

static void progress(const struct hbk_gateway_bench *bench, enum hbk_gateway_row row,
                     enum hbk_gateway_proxy_name name)
{
    if (isatty(STDERR_FILENO) == 1) {
        fprintf(stderr, "\r\033[K%s/%s", bench->proxies[name].name, hbk_gateway_row_names[row]);
        (void)fflush(stderr);
    }
}

static void run_load(struct hbk_gateway_bench *bench, enum hbk_gateway_row row,
                     enum hbk_gateway_proxy_name name)
{
    struct hbk_gateway_cell *cell = &bench->cells[row][name];
    struct hbk_error error = {0};
    double values[HBK_GATEWAY_MEASURES];
    for (unsigned i = 0; i < HBK_GATEWAY_MEASURES; i++) {
        values[i] = NAN;
    }
    progress(bench, row, name);
    const struct hbk_gateway_load load = plan_of(bench, row, name);
    hbk_status status = hbk_gateway_load_run(bench, &load, values, &error);
    if (status == HBK_OK) {
        hbk_gateway_keep(cell, values);
    } else {
        hbk_gateway_fail(cell, status, &error);
    }
}

/* Half of what HAProxy can do, or without it a third of that of ours: the same rate for all. */
static void set_half_rate(struct hbk_gateway_bench *bench)
{
    const struct hbk_gateway_cell *other = &bench->cells[HBK_GATEWAY_RSA][HBK_GATEWAY_HAPROXY];
    const struct hbk_gateway_cell *ours = &bench->cells[HBK_GATEWAY_RSA][HBK_GATEWAY_OURS];
    if (bench->half_rate <= 0 && other->round_count > 0) {
        bench->half_rate = floor(other->rounds[HBK_GATEWAY_PER_CPU_S][0] / 2);
    } else if (bench->half_rate <= 0 && ours->round_count > 0) {
        bench->half_rate = floor(ours->rounds[HBK_GATEWAY_PER_CPU_S][0] / 6);
    }
}

static void run_row(struct hbk_gateway_bench *bench, enum hbk_gateway_row row)
{
    for (enum hbk_gateway_proxy_name name = 0; name < HBK_GATEWAY_PROXIES; name++) {
        bool is_its_row = name != HBK_GATEWAY_CRYPTOMB || row == HBK_GATEWAY_RSA;
        if (bench->proxies[name].is_up && is_its_row) {
            run_load(bench, row, name);
        }
    }
}

/* The RSA row tells the rate of half load; it is measured whenever that is asked for. */
static bool is_needed(const struct hbk_gateway_bench *bench, enum hbk_gateway_row row)
{
    return hbk_gateway_is_wanted(bench, row) ||
           (row == HBK_GATEWAY_RSA && hbk_gateway_is_wanted(bench, HBK_GATEWAY_HALF));
}

static void measure_loads(struct hbk_gateway_bench *bench)
{
    bool is_any = false;
    for (enum hbk_gateway_row row = 0; row < HBK_GATEWAY_LOADS; row++) {
        is_any |= is_needed(bench, row);
    }
    for (enum hbk_gateway_proxy_name name = 0; is_any && name < HBK_GATEWAY_PROXIES; name++) {
        struct hbk_gateway_proxy *proxy = &bench->proxies[name];
        struct hbk_error error = {0};
        hbk_status status = hbk_gateway_start(bench, name, &error);
        if (status != HBK_OK && proxy->reason[0] == '\0') {
            struct hbk_gateway_cell why = {0};
            if (name == HBK_GATEWAY_CRYPTOMB) {
                hbk_error_prefix(&error, "this Envoy does not take the provider cryptomb");
            }
            hbk_gateway_fail(&why, status, &error);
            memcpy(proxy->reason, why.failure, sizeof proxy->reason);
        }
    }
    for (unsigned round = 0; is_any && round < bench->options.rounds; round++) {
        for (enum hbk_gateway_row row = 0; row < HBK_GATEWAY_LOADS; row++) {
            if (is_needed(bench, row)) {
                run_row(bench, row);
                set_half_rate(bench);
            }
        }
    }
    for (enum hbk_gateway_proxy_name name = 0; name < HBK_GATEWAY_PROXIES; name++) {
        hbk_gateway_stop(bench, name);
    }
}

static void summarize(struct hbk_gateway_bench *bench)
{
    for (enum hbk_gateway_row row = 0; row < HBK_GATEWAY_ROWS; row++) {
        for (enum hbk_gateway_proxy_name name = 0; name < HBK_GATEWAY_PROXIES; name++) {
            struct hbk_gateway_cell *cell = &bench->cells[row][name];
            for (unsigned i = 0; i < HBK_GATEWAY_MEASURES; i++) {
                cell->medians[i] = hbk_estimate_of(cell->rounds[i], cell->round_count).median;
            }
        }
    }
}

static bool any_row_is_wanted(const struct hbk_gateway_bench *bench)
{
    bool is_any = false;
    for (enum hbk_gateway_row row = 0; row < HBK_GATEWAY_ROWS; row++) {
        is_any |= hbk_gateway_is_wanted(bench, row);
    }
    return is_any;
}

bool hbk_gateway_bench_run(const struct hbk_gateway_options *options)
{
    static struct hbk_gateway_bench bench; /* once per process, and too large for a stack */
    struct hbk_error error = {0};
    bool is_whole = true;
    bench = (struct hbk_gateway_bench){.options = *options, .upstream = hbk_program_none()};
    if (!any_row_is_wanted(&bench)) {
        fputs("hauberk bench: --only matches no row (hauberk bench gateway --help)\n", stderr);
        return false;
    }
    hbk_status status = prepare(&bench, &error);
    if (status != HBK_OK) {
        fprintf(stderr, "hauberk bench: %s\n",
                error.status == HBK_OK ? hbk_status_text(status) : error.text);
        return false;
    }
    measure_loads(&bench);
    hbk_gateway_measure_memory(&bench);
    hbk_program_stop(&bench.upstream);
    summarize(&bench);
    hbk_gateway_report(&bench);
    for (enum hbk_gateway_row row = 0; row < HBK_GATEWAY_ROWS; row++) {
        const struct hbk_gateway_cell *ours = &bench.cells[row][HBK_GATEWAY_OURS];
        is_whole &= !hbk_gateway_is_wanted(&bench, row) ||
                    (ours->round_count > 0 && ours->failure[0] == '\0');
    }
    hbk_material_free(bench.material);
    return is_whole;
}
