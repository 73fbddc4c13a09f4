/*
 * Fortio's schema has a few traps, kept here in one place: durations are seconds as floating point,
 * except ActualDuration, HTTPReqTimeOut and ReqTimeout, which are integer nanoseconds; RequestedQPS
 * is a string; counts are integers; the first bucket starts at the least value and the last ends at
 * the greatest, since readers draw an axis from them; a bucket's Percent is cumulative.
 *
 * Values are formed with jansson's pack functions, which answer NULL when memory is short and take
 * NULL for a failed part, so that one check at the end is enough.
 */
#include "load/fortio.h"

#include <ctype.h>
#include <jansson.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "base/clock.h"
#include "load/format.h"

/* Enough digits for a nanosecond in a run of a day, few enough that 0.2 stays 0.2. */
enum { REAL_DIGITS = 14, RATE_DIGITS = 9, KEY_BYTES_MAX = 16, TIME_BYTES_MAX = 64 };

static double seconds(double ns)
{
    return ns / (double)HBK_NS_PER_S;
}

static json_t *text_of(struct hbk_slice slice)
{
    return slice.size == 0 ? json_string("") : json_stringn((const char *)slice.bytes, slice.size);
}

/* One bucket: (low, high] of values that were recorded `count` times, `seen` up to its end. */
static json_t *bucket(double start, double end, uint64_t count, uint64_t seen, uint64_t total)
{
    return json_pack("{s:f, s:f, s:f, s:I}", "Start", start, "End", end, "Percent",
                     100.0 * (double)seen / (double)total, "Count", (json_int_t)count);
}

static unsigned occupied_buckets(const struct hbk_histogram *histogram, unsigned step)
{
    unsigned occupied = 0, last_group = UINT32_MAX;
    for (unsigned i = 0; i < HBK_HISTOGRAM_COUNT; i++) {
        if (histogram->counts[i] > 0 && i / step != last_group) {
            last_group = i / step;
            occupied++;
        }
    }
    return occupied;
}

/* ---- Fortio's own histogram ---- */

static json_t *fortio_object(const struct hbk_load_plan *plan,
                             const struct hbk_fortio_histogram *histogram)
{
    struct hbk_fortio_bucket buckets[HBK_FORTIO_BUCKETS];
    unsigned count = hbk_fortio_histogram_export(histogram, buckets);
    json_t *data = count == 0 ? json_null() : json_array();
    for (unsigned i = 0; i < count; i++) {
        json_array_append_new(data, json_pack("{s:f, s:f, s:f, s:I}", "Start", buckets[i].start,
                                              "End", buckets[i].end, "Percent", buckets[i].percent,
                                              "Count", (json_int_t)buckets[i].count));
    }
    json_t *object =
        json_pack("{s:I, s:f, s:f, s:f, s:f, s:f, s:o}", "Count", (json_int_t)histogram->count,
                  "Min", histogram->min, "Max", histogram->max, "Sum", histogram->sum, "Avg",
                  hbk_fortio_histogram_mean(histogram), "StdDev",
                  hbk_fortio_histogram_deviation(histogram), "Data", data);
    json_t *percentiles = json_array();
    for (unsigned i = 0; count > 0 && i < plan->percentile_count; i++) {
        double value = hbk_fortio_histogram_percentile(histogram, plan->percentiles[i]);
        json_array_append_new(percentiles, json_pack("{s:f, s:f}", "Percentile",
                                                     plan->percentiles[i], "Value", value));
    }
    if (count > 0) {
        json_object_set(object, "Percentiles", percentiles);
    }
    json_decref(percentiles);
    return object;
}

/* ---- ours, in its shape ---- */

/* Joins `step` neighbours (a power of two, so that a group never crosses a change of width). */
static json_t *buckets(const struct hbk_histogram *histogram)
{
    if (histogram->total == 0) {
        return json_null();
    }
    unsigned step = 1;
    while (occupied_buckets(histogram, step) > HBK_FORTIO_BUCKETS_MAX) {
        step *= 2;
    }
    json_t *data = json_array();
    uint64_t seen = 0;
    for (unsigned group = 0; group < HBK_HISTOGRAM_COUNT; group += step) {
        uint64_t low = 0, high = 0, count = 0, sum = 0;
        for (unsigned i = group; i < group + step; i++) {
            uint64_t bucket_low;
            hbk_histogram_bucket(histogram, i, &bucket_low, &high, &count);
            low = i == group ? bucket_low : low;
            sum += count;
        }
        if (sum == 0) {
            continue;
        }
        bool is_first = seen == 0;
        seen += sum;
        bool is_last = seen == histogram->total;
        json_array_append_new(data,
                              bucket(seconds((double)(is_first ? histogram->min : low)),
                                     seconds(is_last ? (double)histogram->max : (double)high + 1),
                                     sum, seen, histogram->total));
    }
    return data;
}

static json_t *histogram_object(const struct hbk_histogram *histogram)
{
    return json_pack("{s:I, s:f, s:f, s:f, s:f, s:f, s:o}", "Count", (json_int_t)histogram->total,
                     "Min", seconds((double)histogram->min), "Max", seconds((double)histogram->max),
                     "Sum", seconds(histogram->sum), "Avg", seconds(hbk_histogram_mean(histogram)),
                     "StdDev", seconds(hbk_histogram_deviation(histogram)), "Data",
                     buckets(histogram));
}

static json_t *histogram_with_percentiles(const struct hbk_load_plan *plan,
                                          const struct hbk_histogram *histogram)
{
    json_t *object = histogram_object(histogram);
    if (histogram->total == 0) {
        return object;
    }
    json_t *percentiles = json_array();
    for (unsigned i = 0; i < plan->percentile_count; i++) {
        double value = (double)hbk_histogram_percentile(histogram, plan->percentiles[i]);
        json_array_append_new(
            percentiles,
            json_pack("{s:f, s:f}", "Percentile", plan->percentiles[i], "Value", seconds(value)));
    }
    json_object_set_new(object, "Percentiles", percentiles);
    return object;
}

/* Under Fortio's schedule its histogram, of service times; else ours. */
static json_t *times_object(const struct hbk_load_plan *plan,
                            const struct hbk_fortio_histogram *fortio,
                            const struct hbk_histogram *ours)
{
    return plan->arrival == HBK_LOAD_FORTIO ? fortio_object(plan, fortio)
                                            : histogram_with_percentiles(plan, ours);
}

static json_t *labels_of(const struct hbk_load_plan *plan)
{
    return text_of(plan->labels.size > 0 ? plan->labels : plan->target.url);
}

static json_t *tally_object(const struct hbk_load_tally *tally)
{
    json_t *data = json_null();
    if (tally->count > 0) {
        data = json_array();
        json_array_append_new(data, bucket((double)tally->min, (double)tally->max, tally->count,
                                           tally->count, tally->count));
    }
    return json_pack("{s:I, s:I, s:I, s:f, s:f, s:f, s:o}", "Count", (json_int_t)tally->count,
                     "Min", (json_int_t)tally->min, "Max", (json_int_t)tally->max, "Sum",
                     tally->sum, "Avg", hbk_load_tally_mean(tally), "StdDev",
                     hbk_load_tally_deviation(tally), "Data", data);
}

static json_t *return_codes(const struct hbk_load_plan *plan, const struct hbk_load_result *result)
{
    json_t *codes = json_object();
    uint64_t answered = 0;
    for (unsigned status = 0; status <= HBK_LOAD_STATUS_MAX; status++) {
        if (result->statuses[status] > 0) {
            char key[KEY_BYTES_MAX];
            snprintf(key, sizeof key, "%u", status);
            bool is_tcp = plan->target.scheme == HBK_LOAD_TCP;
            json_object_set_new(codes, is_tcp ? "OK" : key,
                                json_integer((json_int_t)result->statuses[status]));
            answered += result->statuses[status];
        }
    }
    uint64_t calls = hbk_load_result_calls(result);
    if (calls > answered) {
        json_object_set_new(codes, "-1", json_integer((json_int_t)(calls - answered)));
    }
    return codes;
}

static json_t *start_time(const struct hbk_load_result *result)
{
    char text[TIME_BYTES_MAX];
    time_t whole = (time_t)(result->start_realtime_ns / (int64_t)HBK_NS_PER_S);
    struct tm utc;
    gmtime_r(&whole, &utc);
    size_t size = strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%S", &utc);
    snprintf(text + size, sizeof text - size, ".%09dZ",
             (int)(result->start_realtime_ns % (int64_t)HBK_NS_PER_S));
    return json_string(text);
}

static json_t *requested_rate(const struct hbk_load_plan *plan)
{
    char text[KEY_BYTES_MAX * 2] = "max";
    if (plan->rate_per_s > 0) {
        snprintf(text, sizeof text, "%.*g", RATE_DIGITS, plan->rate_per_s);
    }
    return json_string(text);
}

static json_t *requested_duration(const struct hbk_load_plan *plan,
                                  const struct hbk_load_result *result)
{
    char length[HBK_LOAD_DURATION_BYTES_MAX], elapsed[HBK_LOAD_DURATION_BYTES_MAX];
    if (plan->calls > 0) {
        snprintf(length, sizeof length, "exactly %llu calls", (unsigned long long)plan->calls);
    } else if (plan->duration_ns > 0) {
        hbk_load_duration_text(plan->duration_ns, length);
    } else {
        snprintf(length, sizeof length, "until stop");
    }
    if (!result->was_interrupted) {
        return json_string(length);
    }
    return json_sprintf("%s, interrupted after %s", length,
                        hbk_load_duration_text(result->elapsed_ns, elapsed));
}

void hbk_fortio_id(const struct hbk_load_plan *plan, const struct hbk_load_result *result,
                   char out_id[static HBK_FORTIO_ID_BYTES_MAX])
{
    struct hbk_slice labels = plan->labels.size > 0 ? plan->labels : plan->target.url;
    time_t whole = (time_t)(result->start_realtime_ns / (int64_t)HBK_NS_PER_S);
    struct tm local;
    localtime_r(&whole, &local);
    size_t size = strftime(out_id, HBK_FORTIO_ID_BYTES_MAX, "%Y-%m-%d-%H%M%S", &local);
    if (plan->run_id > 0) {
        size += (size_t)snprintf(out_id + size, HBK_FORTIO_ID_BYTES_MAX - size, "_%llu",
                                 (unsigned long long)plan->run_id);
    }
    bool is_gap = true; /* a run of other characters becomes one underscore */
    for (size_t i = 0; i < labels.size && size + 2 < HBK_FORTIO_ID_BYTES_MAX; i++) {
        bool is_plain = isalnum(labels.bytes[i]) != 0;
        if (is_plain && is_gap) {
            out_id[size++] = '_';
        }
        if (is_plain) {
            out_id[size++] = (char)labels.bytes[i];
        }
        is_gap = !is_plain;
    }
    out_id[size] = '\0';
}

static json_t *common_part(const struct hbk_load_plan *plan, const struct hbk_load_result *result)
{
    bool is_tcp = plan->target.scheme == HBK_LOAD_TCP;
    bool is_uniform = plan->arrival == HBK_LOAD_FORTIO
                          ? plan->is_uniform
                          : plan->arrival == HBK_LOAD_UNIFORM && plan->rate_per_s > 0;
    char id[HBK_FORTIO_ID_BYTES_MAX];
    hbk_fortio_id(plan, result, id);
    return json_pack("{s:s, s:o, s:o, s:o, s:o, s:f, s:I, s:I, s:s, s:o, s:o, s:I, s:b, s:b, s:b, "
                     "s:I, s:s, s:s}",
                     "RunType", is_tcp ? "TCP" : "HTTP", "Labels", labels_of(plan), "StartTime",
                     start_time(result), "RequestedQPS", requested_rate(plan), "RequestedDuration",
                     requested_duration(plan, result), "ActualQPS", hbk_load_result_rate(result),
                     "ActualDuration", (json_int_t)result->elapsed_ns, "NumThreads",
                     (json_int_t)plan->connections, "Version", "hauberk " HBK_VERSION,
                     "DurationHistogram", times_object(plan, &result->fortio, &result->response),
                     "ErrorsDurationHistogram",
                     times_object(plan, &result->fortio_failed, &result->failed), "Exactly",
                     (json_int_t)plan->calls, "Jitter", (int)plan->has_jitter, "Uniform",
                     (int)is_uniform, "NoCatchUp", (int)plan->skips_missed, "RunID",
                     (json_int_t)plan->run_id, "AccessLoggerInfo", "", "ID", id);
}

/* Base64, as Go writes bytes. */
static json_t *payload_of(const struct hbk_load_plan *plan)
{
    size_t room = plan->body.size / 3 * 4 + 8;
    unsigned char *text = malloc(room);
    if (text == NULL) {
        return NULL;
    }
    int size = EVP_EncodeBlock(text, plan->body.bytes, (int)plan->body.size);
    json_t *value = plan->body.size == 0 ? json_null() : json_stringn((char *)text, (size_t)size);
    free(text);
    return value;
}

static json_t *http_part(const struct hbk_load_plan *plan, const struct hbk_load_result *result)
{
    return json_pack(
        "{s:o, s:o, s:i, s:b, s:b, s:b, s:b, s:b, s:b, s:I, s:o, s:o, s:o, s:b, s:[i,i], s:I, s:f, "
        "s:o, s:o, s:I, s:o, s:i}",
        "RetCodes", return_codes(plan, result), "URL", text_of(plan->target.url), "NumConnections",
        1, "Compression", 0, "DisableFastClient", 0, "HTTP10", (int)plan->is_http10, "H2",
        (int)plan->is_http2, "DisableKeepAlive", plan->reuse_max == 1, "AllowHalfClose",
        (int)plan->ends_sending, "HTTPReqTimeOut", (json_int_t)plan->timeout_ns, "ContentType",
        text_of(plan->content_type), "Payload", payload_of(plan), "MethodOverride",
        text_of(plan->method), "SequentialWarmup", (int)plan->opens_one_by_one, "ConnReuseRange",
        (int)plan->reuse_min, (int)plan->reuse_max, "Offset", (json_int_t)(plan->offset_s * 1e9),
        "Resolution", plan->unit_s, "Sizes", tally_object(&result->body_bytes), "HeaderSizes",
        tally_object(&result->head_bytes), "SocketCount", (json_int_t)result->connections_opened,
        "ConnectionStats", times_object(plan, &result->fortio_connect, &result->connect), "AbortOn",
        plan->abort_status);
}

static json_t *tcp_part(const struct hbk_load_plan *plan, const struct hbk_load_result *result)
{
    return json_pack(
        "{s:o, s:o, s:I, s:I, s:I, s:I}", "RetCodes", return_codes(plan, result), "Destination",
        text_of(plan->target.url), "ReqTimeout", (json_int_t)plan->timeout_ns, "SocketCount",
        (json_int_t)result->connections_opened, "BytesSent", (json_int_t)result->sent_bytes,
        "BytesReceived", (json_int_t)result->received_bytes);
}

/* {"p50": 81.3, ..., "max": 420.0}, in microseconds. */
static json_t *percentiles_us(const struct hbk_load_plan *plan,
                              const struct hbk_histogram *histogram)
{
    json_t *object = json_object();
    for (unsigned i = 0; i < plan->percentile_count; i++) {
        char key[KEY_BYTES_MAX * 2];
        snprintf(key, sizeof key, "p%.9g", plan->percentiles[i]);
        double value = (double)hbk_histogram_percentile(histogram, plan->percentiles[i]);
        json_object_set_new(object, key, json_real(value / (double)HBK_NS_PER_US));
    }
    json_object_set_new(object, "mean",
                        json_real(hbk_histogram_mean(histogram) / (double)HBK_NS_PER_US));
    json_object_set_new(object, "max", json_real((double)histogram->max / (double)HBK_NS_PER_US));
    return object;
}

/* The same in Fortio's arithmetic, whatever the schedule was. */
static json_t *fortio_us(const struct hbk_load_plan *plan,
                         const struct hbk_fortio_histogram *histogram)
{
    json_t *object = json_object();
    for (unsigned i = 0; i < plan->percentile_count; i++) {
        char key[KEY_BYTES_MAX * 2];
        snprintf(key, sizeof key, "p%.9g", plan->percentiles[i]);
        double value = hbk_fortio_histogram_percentile(histogram, plan->percentiles[i]);
        json_object_set_new(object, key, json_real(value * 1e6));
    }
    return object;
}

static json_t *failures_object(const uint64_t failures[static HBK_LOAD_FAILURE_COUNT])
{
    json_t *object = json_object();
    for (unsigned i = 0; i < HBK_LOAD_FAILURE_COUNT; i++) {
        json_object_set_new(object, hbk_load_failure_key((enum hbk_load_failure)i),
                            json_integer((json_int_t)failures[i]));
    }
    return object;
}

static json_t *reasons_object(const struct hbk_load_result *result)
{
    json_t *object = json_object();
    for (unsigned i = 0; i < HBK_LOAD_FAILURE_COUNT; i++) {
        if (result->reasons[i][0] != '\0') {
            json_object_set_new(object, hbk_load_failure_key((enum hbk_load_failure)i),
                                json_string(result->reasons[i]));
        }
    }
    return object;
}

static json_t *cpu_object(const struct hbk_load_result *result)
{
    double busy_ns = (double)result->cpu_user_ns + (double)result->cpu_system_ns;
    uint64_t calls = hbk_load_result_calls(result);
    double per_call_us = calls == 0 ? 0 : busy_ns / (double)calls / (double)HBK_NS_PER_US;
    return json_pack("{s:f, s:f, s:f, s:f}", "user_s", seconds((double)result->cpu_user_ns),
                     "system_s", seconds((double)result->cpu_system_ns), "waited_s",
                     seconds((double)result->cpu_wait_ns), "per_request_us", per_call_us);
}

static json_t *paths_array(const struct hbk_load_plan *plan, const struct hbk_load_result *result)
{
    json_t *array = json_array();
    for (unsigned i = 0; i < plan->path_count; i++) {
        const struct hbk_load_share *share = &result->paths[i];
        double calls = share->calls > 0 ? (double)share->calls : 1;
        json_array_append_new(
            array, json_pack("{s:o, s:f, s:I, s:I, s:f, s:f}", "url", text_of(plan->paths[i].url),
                             "weight", plan->paths[i].weight, "calls", (json_int_t)share->calls,
                             "failed", (json_int_t)share->failed, "mean_us",
                             share->sum_ns / calls / (double)HBK_NS_PER_US, "max_us",
                             (double)share->max_ns / (double)HBK_NS_PER_US));
    }
    return array;
}

static json_t *our_part(const struct hbk_load_plan *plan, const struct hbk_load_result *result)
{
    static const char *const arrivals[] = {"uniform", "poisson", "fortio"};
    bool is_open = plan->rate_per_s > 0;
    /* In closed loop a call is sent when it is intended: both times are one. */
    const struct hbk_histogram *service = is_open ? &result->service : &result->response;
    return json_pack(
        "{s:s, s:s, s:f, s:f, s:i, s:i, s:I, s:I, s:I, s:I, s:o, s:o, s:o, s:o, s:o, s:o, "
        "s:o, s:o, s:b, s:f, s:f, s:s?, s:o, s:I, s:I, s:o}",
        "loop", is_open ? "open" : "closed", "arrival", arrivals[plan->arrival], "offered_rps",
        plan->rate_per_s, "achieved_rps", hbk_load_result_rate(result), "connections",
        (int)plan->connections, "threads", (int)plan->threads, "planned",
        (json_int_t)result->planned, "calls", (json_int_t)hbk_load_result_calls(result), "failed",
        (json_int_t)hbk_load_result_failed(result), "late_sends", (json_int_t)result->waited,
        "response_us", percentiles_us(plan, &result->response), "service_us",
        percentiles_us(plan, service), "lateness_us", percentiles_us(plan, &result->lateness),
        "connect_us", percentiles_us(plan, &result->connect), "cpu", cpu_object(result), "errors",
        failures_object(result->failures), "warm_up_errors",
        failures_object(result->warm_up_failures), "error_reasons", reasons_object(result),
        "interrupted", (int)result->was_interrupted, "busy_share", result->busy_share, "wait_share",
        result->wait_share, "bottleneck", hbk_load_result_bottleneck(plan, result), "urls",
        paths_array(plan, result), "handshakes_full", (json_int_t)result->handshakes_full,
        "handshakes_resumed", (json_int_t)result->handshakes_resumed, "fortio_us",
        fortio_us(plan, &result->fortio));
}

char *hbk_fortio_text(const struct hbk_load_plan *plan, const struct hbk_load_result *result)
{
    json_t *whole = common_part(plan, result);
    json_t *special =
        plan->target.scheme == HBK_LOAD_TCP ? tcp_part(plan, result) : http_part(plan, result);
    json_t *ours = our_part(plan, result);
    char *text = NULL;
    if (whole != NULL && special != NULL && ours != NULL &&
        json_object_update(whole, special) == 0 && json_object_set(whole, "hauberk", ours) == 0) {
        text = json_dumps(whole, JSON_INDENT(2) | JSON_REAL_PRECISION(REAL_DIGITS));
    }
    json_decref(ours);
    json_decref(special);
    json_decref(whole);
    return text;
}
