#include "load/result.h"

#include <math.h>
#include <string.h>

#include "base/assert.h"
#include "base/clock.h"
#include "base/compiler.h"

enum { STATUS_TEAPOT = 418 };

static const struct {
    const char *text;
    const char *key;
} failure_names[] = {
    [HBK_LOAD_CONNECT_REFUSED] = {"connect refused", "connect_refused"},
    [HBK_LOAD_CONNECT_TIMEOUT] = {"connect timed out", "connect_timeout"},
    [HBK_LOAD_CONNECT_OTHER] = {"connect failed", "connect_failed"},
    [HBK_LOAD_HANDSHAKE] = {"TLS handshake failed", "tls_handshake"},
    [HBK_LOAD_SEND] = {"send failed", "send"},
    [HBK_LOAD_RESET] = {"reset", "reset"},
    [HBK_LOAD_EARLY_CLOSE] = {"closed early", "early_close"},
    [HBK_LOAD_TIMEOUT] = {"timed out", "timeout"},
    [HBK_LOAD_MALFORMED] = {"malformed answer", "malformed"},
    [HBK_LOAD_STATUS_OTHER] = {"status 1xx or 3xx", "status_other"},
    [HBK_LOAD_STATUS_4XX] = {"status 4xx", "status_4xx"},
    [HBK_LOAD_STATUS_5XX] = {"status 5xx", "status_5xx"},
    [HBK_LOAD_NO_CONNECTION] = {"no free connection", "no_connection"},
    [HBK_LOAD_ABORTED] = {"aborted at the end", "aborted"},
};

_Static_assert(HBK_COUNT(failure_names) == HBK_LOAD_FAILURE_COUNT, "every failure has its names");

const char *hbk_load_failure_text(enum hbk_load_failure failure)
{
    HBK_ASSERT(failure < HBK_LOAD_FAILURE_COUNT);
    return failure_names[failure].text;
}

const char *hbk_load_failure_key(enum hbk_load_failure failure)
{
    HBK_ASSERT(failure < HBK_LOAD_FAILURE_COUNT);
    return failure_names[failure].key;
}

hbk_status hbk_load_result_init(struct hbk_load_result *result)
{
    memset(result, 0, sizeof *result);
    hbk_load_result_set_unit(result, 0.001, 0);
    struct hbk_histogram *histograms[] = {&result->response, &result->failed, &result->service,
                                          &result->lateness, &result->connect};
    for (size_t i = 0; i < HBK_COUNT(histograms); i++) {
        hbk_status status = hbk_histogram_init(histograms[i]);
        if (status != HBK_OK) {
            hbk_load_result_fini(result);
            return status;
        }
    }
    return HBK_OK;
}

void hbk_load_result_set_unit(struct hbk_load_result *result, double unit_s, double offset_s)
{
    hbk_fortio_histogram_init(&result->fortio, unit_s, offset_s);
    hbk_fortio_histogram_init(&result->fortio_failed, unit_s, offset_s);
    hbk_fortio_histogram_init(&result->fortio_connect, unit_s, 0);
}

void hbk_load_result_record(struct hbk_load_result *result, unsigned path,
                            const struct hbk_load_times *times)
{
    struct hbk_load_share *share = &result->paths[path];
    hbk_histogram_record(&result->response, times->response_ns);
    share->calls++;
    share->failed += times->has_failed ? 1 : 0;
    share->sum_ns += (double)times->response_ns;
    share->max_ns = times->response_ns > share->max_ns ? times->response_ns : share->max_ns;
    if (times->has_failed) {
        hbk_histogram_record(&result->failed, times->response_ns);
    }
    double service_s = (double)times->service_ns / (double)HBK_NS_PER_S;
    hbk_fortio_histogram_record(&result->fortio, service_s);
    if (times->has_failed) {
        hbk_fortio_histogram_record(&result->fortio_failed, service_s);
    }
}

void hbk_load_result_explain(struct hbk_load_result *result, enum hbk_load_failure failure,
                             const char *text)
{
    HBK_ASSERT(failure < HBK_LOAD_FAILURE_COUNT);
    char *reason = result->reasons[failure];
    if (text == NULL || reason[0] != '\0') {
        return;
    }
    for (size_t i = 0; i + 1 < HBK_LOAD_REASON_BYTES_MAX && text[i] != '\0'; i++) {
        reason[i] = text[i] >= ' ' && text[i] < 0x7f ? text[i] : '?';
    }
}

void hbk_load_result_note_share(struct hbk_load_result *result)
{
    double elapsed = (double)result->elapsed_ns;
    if (elapsed > 0) {
        result->busy_share =
            ((double)result->cpu_user_ns + (double)result->cpu_system_ns) / elapsed;
        result->wait_share = (double)result->cpu_wait_ns / elapsed;
    }
}

/* Above these this program's own share of the latencies is not negligible. */
static const double busy_share_max = 0.8;
static const double wait_share_max = 0.05;
static const uint64_t lateness_max_ns = HBK_NS_PER_MS;

const char *hbk_load_result_bottleneck(const struct hbk_load_plan *plan,
                                       const struct hbk_load_result *result)
{
    if (hbk_load_plan_is_open(plan) && result->busy_share > busy_share_max) {
        return "a thread of this program used more than 80 % of its core";
    }
    if (result->wait_share > wait_share_max) {
        return "this program waited more than 5 % of the time for a CPU";
    }
    if (hbk_load_plan_is_open(plan) &&
        hbk_histogram_percentile(&result->lateness, 99) > lateness_max_ns) {
        return "this program was late itself: the P99 of its lateness is above 1 ms";
    }
    return NULL;
}

void hbk_load_result_fini(struct hbk_load_result *result)
{
    hbk_histogram_fini(&result->response);
    hbk_histogram_fini(&result->failed);
    hbk_histogram_fini(&result->service);
    hbk_histogram_fini(&result->lateness);
    hbk_histogram_fini(&result->connect);
}

void hbk_load_result_begin(struct hbk_load_result *result)
{
    hbk_histogram_clear(&result->response);
    hbk_histogram_clear(&result->failed);
    hbk_histogram_clear(&result->service);
    hbk_histogram_clear(&result->lateness);
    hbk_fortio_histogram_clear(&result->fortio);
    hbk_fortio_histogram_clear(&result->fortio_failed);
    memset(result->paths, 0, sizeof result->paths);
    result->body_bytes = result->head_bytes = (struct hbk_load_tally){0};
    memset(result->statuses, 0, sizeof result->statuses);
    memcpy(result->warm_up_failures, result->failures, sizeof result->failures);
    memset(result->failures, 0, sizeof result->failures);
    result->waited = result->sent_bytes = result->received_bytes = 0;
    result->handshakes_full = result->handshakes_resumed = 0;
}

void hbk_load_tally_add(struct hbk_load_tally *tally, uint64_t value)
{
    tally->min = tally->count == 0 || value < tally->min ? value : tally->min;
    tally->max = value > tally->max ? value : tally->max;
    tally->count++;
    tally->sum += (double)value;
    tally->sum_of_squares += (double)value * (double)value;
}

double hbk_load_tally_mean(const struct hbk_load_tally *tally)
{
    return tally->count == 0 ? 0 : tally->sum / (double)tally->count;
}

double hbk_load_tally_deviation(const struct hbk_load_tally *tally)
{
    if (tally->count == 0) {
        return 0;
    }
    double mean = hbk_load_tally_mean(tally);
    double variance = tally->sum_of_squares / (double)tally->count - mean * mean;
    return variance > 0 ? sqrt(variance) : 0;
}

static void merge_tally(struct hbk_load_tally *to, const struct hbk_load_tally *from)
{
    if (from->count == 0) {
        return;
    }
    to->min = to->count == 0 || from->min < to->min ? from->min : to->min;
    to->max = from->max > to->max ? from->max : to->max;
    to->count += from->count;
    to->sum += from->sum;
    to->sum_of_squares += from->sum_of_squares;
}

static void merge_share(struct hbk_load_share *to, const struct hbk_load_share *from)
{
    to->calls += from->calls;
    to->failed += from->failed;
    to->sum_ns += from->sum_ns;
    to->max_ns = from->max_ns > to->max_ns ? from->max_ns : to->max_ns;
}

static void merge_counts(uint64_t *to, const uint64_t *from, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        to[i] += from[i];
    }
}

void hbk_load_result_merge(struct hbk_load_result *to, const struct hbk_load_result *from)
{
    hbk_histogram_merge(&to->response, &from->response);
    hbk_histogram_merge(&to->failed, &from->failed);
    hbk_histogram_merge(&to->service, &from->service);
    hbk_histogram_merge(&to->lateness, &from->lateness);
    hbk_histogram_merge(&to->connect, &from->connect);
    if (to->fortio.count == 0 && to->fortio_connect.count == 0) {
        hbk_load_result_set_unit(to, from->fortio.unit, from->fortio.offset);
    }
    hbk_fortio_histogram_merge(&to->fortio, &from->fortio);
    hbk_fortio_histogram_merge(&to->fortio_failed, &from->fortio_failed);
    hbk_fortio_histogram_merge(&to->fortio_connect, &from->fortio_connect);
    for (unsigned i = 0; i < HBK_LOAD_PATHS_MAX; i++) {
        merge_share(&to->paths[i], &from->paths[i]);
    }
    merge_tally(&to->body_bytes, &from->body_bytes);
    merge_tally(&to->head_bytes, &from->head_bytes);
    merge_counts(to->statuses, from->statuses, HBK_COUNT(to->statuses));
    merge_counts(to->failures, from->failures, HBK_COUNT(to->failures));
    merge_counts(to->warm_up_failures, from->warm_up_failures, HBK_COUNT(to->warm_up_failures));
    for (unsigned i = 0; i < HBK_LOAD_FAILURE_COUNT; i++) {
        hbk_load_result_explain(to, (enum hbk_load_failure)i,
                                from->reasons[i][0] == '\0' ? NULL : from->reasons[i]);
    }
    to->planned += from->planned;
    to->waited += from->waited;
    to->connections_opened += from->connections_opened;
    to->sent_bytes += from->sent_bytes;
    to->received_bytes += from->received_bytes;
    if (to->start_realtime_ns == 0 || from->start_realtime_ns < to->start_realtime_ns) {
        to->start_realtime_ns = from->start_realtime_ns;
    }
    to->elapsed_ns = from->elapsed_ns > to->elapsed_ns ? from->elapsed_ns : to->elapsed_ns;
    to->cpu_user_ns += from->cpu_user_ns;
    to->cpu_system_ns += from->cpu_system_ns;
    to->cpu_wait_ns += from->cpu_wait_ns;
    to->busy_share = fmax(to->busy_share, from->busy_share);
    to->wait_share = fmax(to->wait_share, from->wait_share);
    to->handshakes_full += from->handshakes_full;
    to->handshakes_resumed += from->handshakes_resumed;
    to->was_interrupted |= from->was_interrupted;
}

bool hbk_load_status_failure(unsigned status, enum hbk_load_failure *out_failure)
{
    if ((status >= 200 && status < 300) || status == STATUS_TEAPOT) {
        return false;
    }
    *out_failure = status < 400   ? HBK_LOAD_STATUS_OTHER
                   : status < 500 ? HBK_LOAD_STATUS_4XX
                                  : HBK_LOAD_STATUS_5XX;
    return true;
}

uint64_t hbk_load_result_calls(const struct hbk_load_result *result)
{
    return result->response.total;
}

uint64_t hbk_load_result_failed(const struct hbk_load_result *result)
{
    return result->failed.total;
}

uint64_t hbk_load_result_failures(const struct hbk_load_result *result)
{
    uint64_t sum = 0;
    for (size_t i = 0; i < HBK_LOAD_FAILURE_COUNT; i++) {
        sum += i == HBK_LOAD_ABORTED ? 0 : result->failures[i];
    }
    return sum;
}

double hbk_load_result_rate(const struct hbk_load_result *result)
{
    if (result->elapsed_ns == 0) {
        return 0;
    }
    return (double)hbk_load_result_calls(result) * (double)HBK_NS_PER_S /
           (double)result->elapsed_ns;
}
