#include "load/report.h"

#include <inttypes.h>

#include "base/clock.h"
#include "load/format.h"

static double share(uint64_t part, uint64_t whole)
{
    return whole == 0 ? 0 : 100.0 * (double)part / (double)whole;
}

static void print_head(const struct hbk_load_plan *plan, const struct hbk_load_result *result,
                       FILE *stream)
{
    char elapsed[HBK_LOAD_DURATION_BYTES_MAX];
    uint64_t calls = hbk_load_result_calls(result), failed = hbk_load_result_failed(result);
    static const char *const arrivals[] = {"open loop", "open loop (Poisson)", "Fortio's schedule"};
    bool is_closed = plan->rate_per_s <= 0 && plan->arrival != HBK_LOAD_FORTIO;
    fprintf(stream, "%.*s  %s, %u connections, %u thread%s, %s%s\n\n",
            HBK_SLICE_ARGS(plan->target.url), is_closed ? "closed loop" : arrivals[plan->arrival],
            plan->connections, plan->threads, plan->threads == 1 ? "" : "s",
            hbk_load_latency_text((double)result->elapsed_ns, elapsed),
            result->was_interrupted ? ", interrupted" : "");
    fprintf(stream, "  requests    %" PRIu64, calls);
    if (result->planned > 0) {
        fprintf(stream, " of %" PRIu64 " planned", result->planned);
    }
    fprintf(stream, ", %" PRIu64 " failed (%.3g %%)\n", failed, share(failed, calls));
    fprintf(stream, "  rate        %.6g/s", hbk_load_result_rate(result));
    if (plan->rate_per_s > 0) {
        fprintf(stream, ", %.6g/s asked for", plan->rate_per_s);
    }
    fputs("\n\n", stream);
}

static void print_row(const char *name, const struct hbk_load_plan *plan,
                      const struct hbk_histogram *histogram, FILE *stream)
{
    char text[HBK_LOAD_DURATION_BYTES_MAX];
    fprintf(stream, "  %-10s", name);
    for (unsigned i = 0; i < plan->percentile_count; i++) {
        double value = (double)hbk_histogram_percentile(histogram, plan->percentiles[i]);
        fprintf(stream, " %9s", hbk_load_latency_text(value, text));
    }
    fprintf(stream, " %9s", hbk_load_latency_text((double)histogram->max, text));
    fprintf(stream, " %9s\n", hbk_load_latency_text(hbk_histogram_mean(histogram), text));
}

static void print_latencies(const struct hbk_load_plan *plan, const struct hbk_load_result *result,
                            FILE *stream)
{
    bool is_open = plan->rate_per_s > 0;
    fprintf(stream, "  %-10s", "");
    for (unsigned i = 0; i < plan->percentile_count; i++) {
        char name[32];
        snprintf(name, sizeof name, "P%.6g", plan->percentiles[i]);
        fprintf(stream, " %9s", name);
    }
    fprintf(stream, " %9s %9s\n", "max", "mean");
    print_row("response", plan, &result->response, stream);
    if (is_open) {
        print_row("service", plan, &result->service, stream);
        print_row("lateness", plan, &result->lateness, stream);
    }
    print_row("connect", plan, &result->connect, stream);
    if (is_open) {
        fputs("  response counts from the intended send time, service from the actual one;\n"
              "  lateness is this program's own\n",
              stream);
    }
    fputc('\n', stream);
}

/* A reason is that of the first failure of its kind, in warm-up or later; of a kind that came in
 * both, the line says so. */
static void print_failures(const char *title,
                           const uint64_t failures[static HBK_LOAD_FAILURE_COUNT],
                           const struct hbk_load_result *result, FILE *stream)
{
    for (unsigned i = 0; i < HBK_LOAD_FAILURE_COUNT; i++) {
        if (failures[i] > 0) {
            const char *reason = result->reasons[i];
            bool has_reason = reason[0] != '\0';
            bool is_of_both = result->failures[i] > 0 && result->warm_up_failures[i] > 0;
            const char *of = is_of_both ? " (the first, warm-up included: " : " (the first: ";
            fprintf(stream, "  %-11s %s: %" PRIu64 "%s%s%s\n", title,
                    hbk_load_failure_text((enum hbk_load_failure)i), failures[i],
                    has_reason ? of : "", reason, has_reason ? ")" : "");
            title = "";
        }
    }
}

static void print_statuses(const struct hbk_load_plan *plan, const struct hbk_load_result *result,
                           FILE *stream)
{
    uint64_t calls = hbk_load_result_calls(result);
    if (plan->target.scheme != HBK_LOAD_HTTP) {
        return;
    }
    for (unsigned status = 0; status <= HBK_LOAD_STATUS_MAX; status++) {
        uint64_t count = result->statuses[status];
        if (count > 0) {
            fprintf(stream, "  status %u  %" PRIu64 " (%.4g %%)\n", status, count,
                    share(count, calls));
        }
    }
}

static void print_cpu(const struct hbk_load_result *result, FILE *stream)
{
    double busy_ns = (double)result->cpu_user_ns + (double)result->cpu_system_ns;
    uint64_t calls = hbk_load_result_calls(result);
    fprintf(stream, "  CPU         %.3f s user, %.3f s system",
            (double)result->cpu_user_ns / (double)HBK_NS_PER_S,
            (double)result->cpu_system_ns / (double)HBK_NS_PER_S);
    if (calls > 0 && busy_ns > 0) {
        fprintf(stream, ": %.3g us per request, %.6g requests per CPU second",
                busy_ns / (double)calls / (double)HBK_NS_PER_US,
                (double)calls * (double)HBK_NS_PER_S / busy_ns);
    }
    fprintf(stream, "; waited %.3f s for a CPU\n",
            (double)result->cpu_wait_ns / (double)HBK_NS_PER_S);
}

static void print_paths(const struct hbk_load_plan *plan, const struct hbk_load_result *result,
                        FILE *stream)
{
    char mean[HBK_LOAD_DURATION_BYTES_MAX], max[HBK_LOAD_DURATION_BYTES_MAX];
    for (unsigned i = 0; plan->path_count > 1 && i < plan->path_count; i++) {
        const struct hbk_load_share *path = &result->paths[i];
        double calls = path->calls > 0 ? (double)path->calls : 1;
        fprintf(stream,
                "  url         %.*s: %" PRIu64 " requests (%.3g %%), %" PRIu64
                " failed, mean %s, max %s\n",
                HBK_SLICE_ARGS(plan->paths[i].url), path->calls,
                share(path->calls, hbk_load_result_calls(result)), path->failed,
                hbk_load_latency_text(path->sum_ns / calls, mean),
                hbk_load_latency_text((double)path->max_ns, max));
    }
}

/* What a reader should know before believing the figures. */
static void print_doubts(const struct hbk_load_plan *plan, const struct hbk_load_result *result,
                         FILE *stream)
{
    const char *reason = hbk_load_result_bottleneck(plan, result);
    fprintf(stream,
            "  this program  used %.3g %% of its core and waited %.2g %% of the time for one",
            100 * result->busy_share, 100 * result->wait_share);
    fprintf(stream, reason == NULL ? ": not the bottleneck\n" : ": perhaps the bottleneck\n");
    if (reason != NULL) {
        fprintf(stream, "  note        %s\n", reason);
    }
    if (plan->rate_per_s > 0 && result->waited > 0) {
        fprintf(stream,
                "  note        %" PRIu64
                " requests (%.3g %%) waited because all connections were busy\n",
                result->waited, share(result->waited, hbk_load_result_calls(result)));
    }
}

/* Fortio's own figures, line by line as Fortio prints them. */
static void print_fortio(const struct hbk_load_plan *plan, const struct hbk_load_result *result,
                         FILE *stream)
{
    const struct hbk_fortio_histogram *times = &result->fortio;
    struct hbk_fortio_bucket buckets[HBK_FORTIO_BUCKETS];
    unsigned count = hbk_fortio_histogram_export(times, buckets);
    uint64_t calls = hbk_load_result_calls(result), answered = 0;
    fprintf(stream,
            "Aggregated Function Time : count %" PRIu64
            " avg %.8g +/- %.4g min %.9g max %.9g sum %.9g\n",
            times->count, hbk_fortio_histogram_mean(times), hbk_fortio_histogram_deviation(times),
            times->min, times->max, times->sum);
    fputs("# range, mid point, percentile, count\n", stream);
    for (unsigned i = 0; i < count; i++) {
        fprintf(stream, "%s %.6g <= %.6g , %.6g , %.2f, %" PRIu64 "\n", i == 0 ? ">=" : ">",
                buckets[i].start, buckets[i].end, (buckets[i].start + buckets[i].end) / 2,
                buckets[i].percent, buckets[i].count);
    }
    for (unsigned i = 0; i < plan->percentile_count; i++) {
        fprintf(stream, "# target %.6g%% %.6g\n", plan->percentiles[i],
                hbk_fortio_histogram_percentile(times, plan->percentiles[i]));
    }
    fprintf(stream, "Sockets used: %" PRIu64 "\n", result->connections_opened);
    for (unsigned status = 0; status <= HBK_LOAD_STATUS_MAX; status++) {
        if (result->statuses[status] > 0) {
            fprintf(stream, "Code %3u : %" PRIu64 " (%.1f %%)\n", status, result->statuses[status],
                    share(result->statuses[status], calls));
            answered += result->statuses[status];
        }
    }
    if (calls > answered) {
        fprintf(stream, "Code  -1 : %" PRIu64 " (%.1f %%)\n", calls - answered,
                share(calls - answered, calls));
    }
    fprintf(stream, "All done %" PRIu64 " calls %.3f ms avg, %.1f qps\n\n", calls,
            1e3 * hbk_fortio_histogram_mean(times), hbk_load_result_rate(result));
}

void hbk_load_report(const struct hbk_load_plan *plan, const struct hbk_load_result *result,
                     FILE *stream)
{
    print_head(plan, result, stream);
    if (plan->arrival == HBK_LOAD_FORTIO) {
        print_fortio(plan, result, stream);
        fputs("  In three digits, and from when requests were due:\n", stream);
    }
    print_latencies(plan, result, stream);
    print_statuses(plan, result, stream);
    print_paths(plan, result, stream);
    print_failures("errors", result->failures, result, stream);
    print_failures("in warm-up", result->warm_up_failures, result, stream);
    fprintf(stream, "  sockets     %" PRIu64 " opened\n", result->connections_opened);
    if (result->handshakes_full + result->handshakes_resumed > 0) {
        fprintf(stream, "  handshakes  %" PRIu64 " full, %" PRIu64 " resumed\n",
                result->handshakes_full, result->handshakes_resumed);
    }
    print_cpu(result, stream);
    print_doubts(plan, result, stream);
}
