#include "bench/gateway_report.h"

#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <unistd.h>

#include "bench/machine.h"

/* Above this the client's core is full, and the proxy's figure is that of a slower load. */
static const double client_full = 0.97;
static const double proxy_full = 0.9;

static const struct {
    const char *name; /* in JSON */
    const char *title;
    int digits;
} measures[HBK_GATEWAY_MEASURES] = {
    [HBK_GATEWAY_PER_CPU_S] = {"per_cpu_second", "per CPU-s", 0},
    [HBK_GATEWAY_CPU_US] = {"cpu_us", "CPU us", 1},
    [HBK_GATEWAY_RATE] = {"per_second", "per s", 0},
    [HBK_GATEWAY_P50_US] = {"p50_us", "P50 us", 0},
    [HBK_GATEWAY_P99_US] = {"p99_us", "P99 us", 0},
    [HBK_GATEWAY_PROXY_CORE] = {"proxy_core_share", "proxy core", 2},
    [HBK_GATEWAY_CLIENT_CORE] = {"client_core_share", "client core", 2},
    [HBK_GATEWAY_FULL] = {"handshakes_full", "full", 0},
    [HBK_GATEWAY_RESUMED] = {"handshakes_resumed", "resumed", 0},
    [HBK_GATEWAY_BYTES] = {"bytes_per_connection", "bytes each", 0},
    [HBK_GATEWAY_READY_S] = {"ready_s", "ready s", 2},
    [HBK_GATEWAY_MIB] = {"private_mib", "private MiB", 1},
    [HBK_GATEWAY_COPIES] = {"copies", "copies", 2},
};

static const char *const titles[HBK_GATEWAY_ROWS] = {
    "full TLS 1.3 handshakes with one request, RSA-2048",
    "full TLS 1.3 handshakes with one request, ECDSA P-256, mutual, client chain known",
    "full TLS 1.2 handshakes with one request, ECDHE-RSA-2048",
    "handshake latency at 100 a second, RSA-2048",
    "handshake latency at half of HAProxy's load, RSA-2048",
    "HTTP/1.1 requests proxied to an upstream over kept-alive TLS, 32 connections",
    "memory of an idle TLS connection that has asked once",
    "10,000 certificates on one listener",
    "one revocation list of 4.6 MB in 50 contexts",
};

/* The targets, one table: bounds of figures of ours, or of their ratio to another proxy's. */
const struct hbk_gateway_target hbk_gateway_targets[] = {
    {HBK_GATEWAY_RSA, HBK_GATEWAY_PER_CPU_S, HBK_GATEWAY_HAPROXY, false, 3},
    {HBK_GATEWAY_RSA, HBK_GATEWAY_PER_CPU_S, HBK_GATEWAY_NGINX, false, 3},
    {HBK_GATEWAY_RSA, HBK_GATEWAY_PER_CPU_S, HBK_GATEWAY_ENVOY, false, 2},
    {HBK_GATEWAY_RSA, HBK_GATEWAY_PER_CPU_S, HBK_GATEWAY_CRYPTOMB, false, 1.15},
    {HBK_GATEWAY_MUTUAL, HBK_GATEWAY_PER_CPU_S, HBK_GATEWAY_HAPROXY, false, 5},
    {HBK_GATEWAY_MUTUAL, HBK_GATEWAY_PER_CPU_S, HBK_GATEWAY_NGINX, false, 5},
    {HBK_GATEWAY_MUTUAL, HBK_GATEWAY_PER_CPU_S, HBK_GATEWAY_ENVOY, false, 2},
    {HBK_GATEWAY_TLS12, HBK_GATEWAY_PER_CPU_S, HBK_GATEWAY_HAPROXY, false, 1.6},
    {HBK_GATEWAY_TLS12, HBK_GATEWAY_PER_CPU_S, HBK_GATEWAY_NGINX, false, 1.6},
    {HBK_GATEWAY_LATENCY, HBK_GATEWAY_P50_US, HBK_GATEWAY_HAPROXY, true, 1},
    {HBK_GATEWAY_LATENCY, HBK_GATEWAY_P99_US, HBK_GATEWAY_HAPROXY, true, 1},
    {HBK_GATEWAY_HALF, HBK_GATEWAY_P50_US, HBK_GATEWAY_HAPROXY, true, 1},
    {HBK_GATEWAY_HALF, HBK_GATEWAY_P99_US, HBK_GATEWAY_HAPROXY, true, 1},
    {HBK_GATEWAY_PROXIED, HBK_GATEWAY_PER_CPU_S, HBK_GATEWAY_ENVOY, false, 1.5},
    {HBK_GATEWAY_PROXIED, HBK_GATEWAY_PER_CPU_S, HBK_GATEWAY_HAPROXY, false, 1},
    {HBK_GATEWAY_IDLE, HBK_GATEWAY_BYTES, HBK_GATEWAY_OURS, true, 3 * 1024},
    {HBK_GATEWAY_MANY, HBK_GATEWAY_READY_S, HBK_GATEWAY_OURS, true, 4},
    {HBK_GATEWAY_MANY, HBK_GATEWAY_MIB, HBK_GATEWAY_OURS, true, 80},
    {HBK_GATEWAY_LISTS, HBK_GATEWAY_COPIES, HBK_GATEWAY_OURS, true, 1.5},
};
const unsigned hbk_gateway_target_count = HBK_COUNT(hbk_gateway_targets);

static const char *const verdicts[] = {"met", "missed", "not measured"};

enum hbk_gateway_verdict hbk_gateway_judge(const struct hbk_gateway_bench *bench,
                                           const struct hbk_gateway_target *target,
                                           double *out_found)
{
    const struct hbk_gateway_cell *row = bench->cells[target->row];
    double found = row[HBK_GATEWAY_OURS].medians[target->measure];
    if (target->beside != HBK_GATEWAY_OURS) {
        found /= row[target->beside].medians[target->measure];
    }
    *out_found = found;
    if (isnan(found)) {
        return HBK_GATEWAY_UNMEASURED;
    }
    bool is_met = target->is_at_most ? found <= target->bound : found >= target->bound;
    return is_met ? HBK_GATEWAY_MET : HBK_GATEWAY_MISSED;
}

/* Quick runs have smaller cases: what depends on their size is not judged by them. */
static bool is_sized(const struct hbk_gateway_target *target)
{
    return target->row == HBK_GATEWAY_MANY || target->row == HBK_GATEWAY_LISTS;
}

static enum hbk_gateway_verdict judge(const struct hbk_gateway_bench *bench,
                                      const struct hbk_gateway_target *target, double *out_found)
{
    enum hbk_gateway_verdict verdict = hbk_gateway_judge(bench, target, out_found);
    return bench->options.is_quick && is_sized(target) ? HBK_GATEWAY_UNMEASURED : verdict;
}

/* ---- text ---- */

static bool has(const struct hbk_gateway_bench *bench, enum hbk_gateway_row row, unsigned measure)
{
    for (enum hbk_gateway_proxy_name name = 0; name < HBK_GATEWAY_PROXIES; name++) {
        if (!isnan(bench->cells[row][name].medians[measure])) {
            return true;
        }
    }
    return false;
}

static void print_cell(const struct hbk_gateway_bench *bench, enum hbk_gateway_row row,
                       enum hbk_gateway_proxy_name name)
{
    const struct hbk_gateway_cell *cell = &bench->cells[row][name];
    if (cell->round_count == 0) {
        if (cell->failure[0] != '\0') {
            printf("  %-15s %s\n", bench->proxies[name].name, cell->failure);
        }
        return;
    }
    printf("  %-15s", bench->proxies[name].name);
    for (unsigned i = 0; i < HBK_GATEWAY_MEASURES; i++) {
        if (has(bench, row, i)) {
            printf(" %11.*f", measures[i].digits, cell->medians[i]);
        }
    }
    if (cell->medians[HBK_GATEWAY_CLIENT_CORE] > client_full &&
        cell->medians[HBK_GATEWAY_PROXY_CORE] < proxy_full) {
        printf("  (the client's core was the bottleneck)");
    }
    printf("%s%s\n", cell->failure[0] == '\0' ? "" : "  a round failed: ", cell->failure);
}

static void print_row(const struct hbk_gateway_bench *bench, enum hbk_gateway_row row)
{
    printf("\n%s\n  %-15s", titles[row], hbk_gateway_row_names[row]);
    for (unsigned i = 0; i < HBK_GATEWAY_MEASURES; i++) {
        if (has(bench, row, i)) {
            printf(" %11s", measures[i].title);
        }
    }
    printf("\n");
    for (enum hbk_gateway_proxy_name name = 0; name < HBK_GATEWAY_PROXIES; name++) {
        print_cell(bench, row, name);
    }
}

static void print_targets(const struct hbk_gateway_bench *bench)
{
    printf("\ntargets\n");
    for (unsigned i = 0; i < hbk_gateway_target_count; i++) {
        const struct hbk_gateway_target *target = &hbk_gateway_targets[i];
        double found = NAN;
        enum hbk_gateway_verdict verdict = judge(bench, target, &found);
        if (!hbk_gateway_is_wanted(bench, target->row)) {
            continue;
        }
        printf("  %-10s %-12s %s %-8g %s%-15s found %-8.3g %s\n",
               hbk_gateway_row_names[target->row], measures[target->measure].title,
               target->is_at_most ? "<=" : ">=", target->bound,
               target->beside == HBK_GATEWAY_OURS ? "  " : "x ",
               target->beside == HBK_GATEWAY_OURS ? "" : bench->proxies[target->beside].name, found,
               verdicts[verdict]);
    }
}

static void print_text(const struct hbk_gateway_bench *bench)
{
    for (enum hbk_gateway_proxy_name name = 0; name < HBK_GATEWAY_PROXIES; name++) {
        const struct hbk_gateway_proxy *proxy = &bench->proxies[name];
        printf("%-15s %s%s%s\n", proxy->name, proxy->version,
               proxy->version[0] == '\0' || proxy->reason[0] == '\0' ? "" : "; ", proxy->reason);
    }
    if (bench->options.is_quick) {
        printf("quick: short windows and small cases, for tests of this program only\n");
    }
    for (enum hbk_gateway_row row = 0; row < HBK_GATEWAY_ROWS; row++) {
        if (hbk_gateway_is_wanted(bench, row)) {
            print_row(bench, row);
        }
    }
    print_targets(bench);
}

/* ---- JSON ---- */

static json_t *number(double value)
{
    return isnan(value) ? json_null() : json_real(value);
}

static json_t *json_of_cell(const struct hbk_gateway_bench *bench, enum hbk_gateway_row row,
                            enum hbk_gateway_proxy_name name)
{
    const struct hbk_gateway_cell *cell = &bench->cells[row][name];
    const char *reason = cell->failure[0] != '\0' ? cell->failure : bench->proxies[name].reason;
    json_t *object = json_pack("{s:s, s:s, s:i, s:s?}", "row", hbk_gateway_row_names[row], "proxy",
                               bench->proxies[name].name, "rounds", (int)cell->round_count,
                               "failure", reason[0] == '\0' ? NULL : reason);
    for (unsigned i = 0; i < HBK_GATEWAY_MEASURES; i++) {
        (void)json_object_set_new(object, measures[i].name, number(cell->medians[i]));
    }
    return object;
}

static json_t *json_of_targets(const struct hbk_gateway_bench *bench)
{
    json_t *list = json_array();
    for (unsigned i = 0; i < hbk_gateway_target_count; i++) {
        const struct hbk_gateway_target *target = &hbk_gateway_targets[i];
        double found = NAN;
        if (!hbk_gateway_is_wanted(bench, target->row)) {
            continue;
        }
        enum hbk_gateway_verdict verdict = judge(bench, target, &found);
        const char *beside =
            target->beside == HBK_GATEWAY_OURS ? NULL : bench->proxies[target->beside].name;
        (void)json_array_append_new(
            list, json_pack("{s:s, s:s, s:s?, s:s, s:f, s:o, s:s}", "row",
                            hbk_gateway_row_names[target->row], "measure",
                            measures[target->measure].name, "ratio_to", beside, "must_be",
                            target->is_at_most ? "at most" : "at least", "bound", target->bound,
                            "found", number(found), "verdict", verdicts[verdict]));
    }
    return list;
}

static json_t *json_of_machine(void)
{
    struct hbk_machine machine;
    json_t *object = json_object();
    hbk_machine_look(&machine);
    for (unsigned i = 0; i < machine.count; i++) {
        (void)json_object_set_new(object, machine.facts[i].name,
                                  json_string(machine.facts[i].text));
    }
    return object;
}

static void print_json(const struct hbk_gateway_bench *bench)
{
    json_t *proxies = json_array(), *figures = json_array();
    for (enum hbk_gateway_proxy_name name = 0; name < HBK_GATEWAY_PROXIES; name++) {
        const struct hbk_gateway_proxy *proxy = &bench->proxies[name];
        (void)json_array_append_new(
            proxies, json_pack("{s:s, s:s, s:s?}", "name", proxy->name, "version", proxy->version,
                               "left_out", proxy->reason[0] == '\0' ? NULL : proxy->reason));
    }
    for (enum hbk_gateway_row row = 0; row < HBK_GATEWAY_ROWS; row++) {
        for (enum hbk_gateway_proxy_name name = 0;
             hbk_gateway_is_wanted(bench, row) && name < HBK_GATEWAY_PROXIES; name++) {
            (void)json_array_append_new(figures, json_of_cell(bench, row, name));
        }
    }
    json_t *root = json_pack("{s:b, s:o, s:o, s:o, s:o}", "quick", (int)bench->options.is_quick,
                             "machine", json_of_machine(), "proxies", proxies, "figures", figures,
                             "targets", json_of_targets(bench));
    (void)json_dumpf(root, stdout, JSON_INDENT(2) | JSON_REAL_PRECISION(9));
    printf("\n");
    json_decref(root);
}

void hbk_gateway_report(const struct hbk_gateway_bench *bench)
{
    if (isatty(STDERR_FILENO) == 1) {
        fprintf(stderr, "\r\033[K");
    }
    if (bench->options.is_json) {
        print_json(bench);
    } else {
        print_text(bench);
    }
    (void)fflush(stdout);
}
