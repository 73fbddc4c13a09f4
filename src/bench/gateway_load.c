/* The client: `hauberk load` with the native engine, and what it and the kernel say of a run. */
#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "bench/gateway.h"
#include "bench/gauge.h"

enum {
    ARGUMENTS = 24,
    HOLD_S = 10, /* between two requests of one connection */
};

static const uint64_t finish_timeout_ns = 120 * HBK_NS_PER_S;
static const uint64_t hold_timeout_ns = 60 * HBK_NS_PER_S;

struct texts {
    char connections[16], rate[24], duration[24], url[64], json[200], client[200], ca[200];
    const char *arguments[ARGUMENTS];
};

static void fill_arguments(const struct hbk_gateway_bench *bench,
                           const struct hbk_gateway_load *load, struct texts *texts)
{
    unsigned count = 0;
    bool is_tls12 = load->row == HBK_GATEWAY_TLS12;
    (void)snprintf(texts->connections, sizeof texts->connections, "%u", load->connections);
    (void)snprintf(texts->rate, sizeof texts->rate, "%.3f", load->rate);
    (void)snprintf(texts->duration, sizeof texts->duration, "%ums", load->duration_ms);
    (void)snprintf(texts->url, sizeof texts->url, "https://127.0.0.1:%u/", load->port);
    (void)snprintf(texts->json, sizeof texts->json, "--json=%s/load.json", bench->directory);
    (void)snprintf(texts->client, sizeof texts->client, "%s/client.pem", bench->directory);
    (void)snprintf(texts->ca, sizeof texts->ca, "%s/ca.pem", bench->directory);
    const char *const common[] = {
        "load",     "-quiet",    "-c",         texts->connections,
        "-qps",     texts->rate, "-t",         texts->duration,
        "-timeout", "10s",       "--engine",   is_tls12 ? "openssl" : "native",
        "-cacert",  texts->ca,   "--any-name", texts->json,
        texts->url,
    };
    for (unsigned i = 0; i < HBK_COUNT(common); i++) {
        texts->arguments[count++] = common[i];
    }
    if (load->row != HBK_GATEWAY_PROXIED) {
        texts->arguments[count++] = "--no-keepalive";
    }
    if (load->row == HBK_GATEWAY_MUTUAL) {
        texts->arguments[count++] = "-cert";
        texts->arguments[count++] = texts->client;
    }
    if (is_tls12) {
        texts->arguments[count++] = "--tls";
        texts->arguments[count++] = "1.2";
    }
    texts->arguments[count] = NULL;
}

static double number_at(const json_t *object, const char *key)
{
    const json_t *value = json_object_get(object, key);
    return json_is_number(value) ? json_number_value(value) : NAN;
}

/* The figures of a run that went as it should: all requests answered, all handshakes full. */
static hbk_status read_figures(const struct hbk_gateway_load *load, const json_t *ours,
                               double cpu_ns, double wall_ns, double *out_values,
                               struct hbk_error *error)
{
    double calls = number_at(ours, "calls"), failed = number_at(ours, "failed");
    double full = number_at(ours, "handshakes_full");
    double resumed = number_at(ours, "handshakes_resumed");
    bool is_proxied = load->row == HBK_GATEWAY_PROXIED;
    const json_t *times = json_object_get(ours, is_proxied ? "response_us" : "connect_us");
    if (!(calls > 0) || failed > 0) {
        return hbk_error_set(error, HBK_INVALID, "%.0f of %.0f requests failed", failed, calls);
    }
    if (resumed > 0 || (!is_proxied && full < calls)) {
        return hbk_error_set(error, HBK_INVALID,
                             "handshakes were not full: %.0f full, %.0f resumed, %.0f requests",
                             full, resumed, calls);
    }
    out_values[HBK_GATEWAY_PER_CPU_S] = cpu_ns > 0 ? calls * 1e9 / cpu_ns : NAN;
    out_values[HBK_GATEWAY_CPU_US] = cpu_ns / 1e3 / calls;
    out_values[HBK_GATEWAY_RATE] = number_at(ours, "achieved_rps");
    out_values[HBK_GATEWAY_P50_US] = number_at(times, "p50");
    out_values[HBK_GATEWAY_P99_US] = number_at(times, "p99");
    out_values[HBK_GATEWAY_PROXY_CORE] = cpu_ns / wall_ns;
    out_values[HBK_GATEWAY_CLIENT_CORE] = number_at(ours, "busy_share");
    out_values[HBK_GATEWAY_FULL] = full;
    out_values[HBK_GATEWAY_RESUMED] = resumed;
    return HBK_OK;
}

hbk_status hbk_gateway_load_run(struct hbk_gateway_bench *bench,
                                const struct hbk_gateway_load *load, double *out_values,
                                struct hbk_error *error)
{
    struct texts texts;
    struct hbk_program program = hbk_program_none();
    char path[200];
    int exit_status = 0;
    json_error_t why;
    pid_t group = bench->proxies[load->proxy].program.process.pid;
    fill_arguments(bench, load, &texts);
    (void)snprintf(path, sizeof path, "%s/load.json", bench->directory);
    (void)remove(path);
    const struct hbk_program_spec spec = {
        .name = "load", .cpu = (int)bench->options.load_core, .arguments = texts.arguments};
    uint64_t cpu_ns = hbk_gauge_group(group, false).cpu_ns;
    uint64_t begin_ns = hbk_clock_monotonic_ns();
    HBK_TRY(hbk_program_start(&bench->topology, &spec, &program, error));
    hbk_status status = hbk_process_wait(&program.process, finish_timeout_ns, &exit_status);
    if (status != HBK_OK) {
        status = hbk_program_fail(&program, status, "the load did not end", error);
        hbk_program_stop(&program);
        return status;
    }
    double wall_ns = (double)(hbk_clock_monotonic_ns() - begin_ns);
    double used_ns = (double)(hbk_gauge_group(group, false).cpu_ns - cpu_ns);
    json_t *root = json_load_file(path, 0, &why);
    const json_t *ours = json_object_get(root, "hauberk");
    status = json_is_object(ours)
                 ? read_figures(load, ours, used_ns, wall_ns, out_values, error)
                 : hbk_program_fail(&program, HBK_INVALID, "the load gave no figures", error);
    json_decref(root);
    return status;
}

hbk_status hbk_gateway_load_hold(struct hbk_gateway_bench *bench, unsigned port,
                                 unsigned connections, struct hbk_program *out_program,
                                 struct hbk_error *error)
{
    char count[16], rate[16], url[64], ca[200];
    (void)snprintf(count, sizeof count, "%u", connections);
    /* Fortio's way: a request on each connection in warm-up, and one more at once; then silence
     * for as long as anybody measures. */
    (void)snprintf(rate, sizeof rate, "%u", connections / HOLD_S > 0 ? connections / HOLD_S : 1);
    (void)snprintf(url, sizeof url, "https://127.0.0.1:%u/", port);
    (void)snprintf(ca, sizeof ca, "%s/ca.pem", bench->directory);
    const char *const arguments[] = {
        "load",     "--arrival", "fortio",  "-c", count,        "-qps",     rate,  "-t", "40s",
        "--engine", "native",    "-cacert", ca,   "--any-name", "-timeout", "30s", url,  NULL};
    const struct hbk_program_spec spec = {
        .name = "hold", .cpu = (int)bench->options.load_core, .arguments = arguments};
    HBK_TRY(hbk_program_start(&bench->topology, &spec, out_program, error));
    hbk_status status = hbk_program_wait_for(out_program, "/s  P50", hold_timeout_ns, error);
    if (status != HBK_OK) {
        hbk_program_stop(out_program);
    }
    return status;
}
