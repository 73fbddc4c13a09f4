#include "load/threshold.h"

#include <inttypes.h>
#include <stdio.h>

#include "base/clock.h"
#include "load/format.h"
#include "load/quantity.h"

/* `part`: of the text, what is wrong; `wanted`: what would be right there. */
static hbk_status refuse(struct hbk_slice text, struct hbk_slice part, const char *wanted,
                         struct hbk_error *error)
{
    return hbk_error_set(error, HBK_INVALID,
                         "threshold \"%.*s\": \"%.*s\" is not %s; %s is allowed",
                         HBK_SLICE_ARGS(text), HBK_SLICE_ARGS(part), wanted, HBK_THRESHOLD_SYNTAX);
}

static bool take_prefix(struct hbk_slice *text, struct hbk_slice prefix)
{
    if (!hbk_slice_starts_with(*text, prefix)) {
        return false;
    }
    *text = hbk_slice_part(*text, prefix.size, text->size);
    return true;
}

static void take_times(struct hbk_slice *name, struct hbk_threshold *threshold)
{
    if (take_prefix(name, HBK_SLICE("service."))) {
        threshold->times = HBK_THRESHOLD_SERVICE;
    } else if (take_prefix(name, HBK_SLICE("lateness."))) {
        threshold->times = HBK_THRESHOLD_LATENESS;
    } else if (take_prefix(name, HBK_SLICE("connect."))) {
        threshold->times = HBK_THRESHOLD_CONNECT;
    } else {
        (void)take_prefix(name, HBK_SLICE("response."));
    }
}

static bool read_name(struct hbk_slice name, struct hbk_threshold *threshold)
{
    static const struct {
        const char *name;
        enum hbk_threshold_kind kind;
    } kinds[] = {
        {"min", HBK_THRESHOLD_MIN}, {"mean", HBK_THRESHOLD_MEAN},     {"avg", HBK_THRESHOLD_MEAN},
        {"max", HBK_THRESHOLD_MAX}, {"errors", HBK_THRESHOLD_ERRORS}, {"rate", HBK_THRESHOLD_RATE},
    };
    size_t size = name.size;
    take_times(&name, threshold);
    for (size_t i = 0; i < HBK_COUNT(kinds); i++) {
        if (hbk_slice_equal(name, hbk_slice_text(kinds[i].name))) {
            threshold->kind = kinds[i].kind;
            /* Errors and the rate have no times in front. */
            return kinds[i].kind < HBK_THRESHOLD_ERRORS || size == name.size;
        }
    }
    threshold->kind = HBK_THRESHOLD_PERCENTILE;
    return take_prefix(&name, HBK_SLICE("p")) &&
           hbk_load_number_parse(name, 100, &threshold->percentile) == HBK_OK &&
           threshold->percentile > 0;
}

static bool read_limit(struct hbk_slice text, struct hbk_threshold *threshold)
{
    uint64_t limit_ns;
    if (threshold->kind < HBK_THRESHOLD_ERRORS) {
        if (!hbk_load_duration_parse(text, &limit_ns)) {
            return false;
        }
        threshold->limit = (double)limit_ns;
        return true;
    }
    threshold->is_share = hbk_slice_ends_with(text, HBK_SLICE("%"));
    text = hbk_slice_part(text, 0, text.size - (threshold->is_share ? 1 : 0));
    if (hbk_load_number_parse(text, 1e15, &threshold->limit) != HBK_OK) {
        return false;
    }
    threshold->limit /= threshold->is_share ? 100 : 1;
    return true;
}

static struct hbk_slice without_blanks(struct hbk_slice text)
{
    while (text.size > 0 && text.bytes[0] == ' ') {
        text = hbk_slice_part(text, 1, text.size);
    }
    while (text.size > 0 && text.bytes[text.size - 1] == ' ') {
        text.size--;
    }
    return text;
}

hbk_status hbk_threshold_parse(struct hbk_slice text, struct hbk_threshold *out_threshold,
                               struct hbk_error *error)
{
    struct hbk_threshold threshold = {.text = text};
    size_t at = 0;
    while (at < text.size && text.bytes[at] != '<' && text.bytes[at] != '>') {
        at++;
    }
    if (at == text.size) {
        return refuse(text, text, "compared with anything", error);
    }
    threshold.is_above = text.bytes[at] == '>';
    struct hbk_slice limit = hbk_slice_part(text, at + 1, text.size);
    threshold.is_equal_good = take_prefix(&limit, HBK_SLICE("="));
    struct hbk_slice name = without_blanks(hbk_slice_part(text, 0, at));
    limit = without_blanks(limit);
    if (!read_name(name, &threshold)) {
        return refuse(text, name, "something that is measured", error);
    }
    if (!read_limit(limit, &threshold)) {
        bool is_time = threshold.kind < HBK_THRESHOLD_ERRORS;
        return refuse(text, limit, is_time ? "a time with its unit" : "a number or a share in %",
                      error);
    }
    *out_threshold = threshold;
    return HBK_OK;
}

static const struct hbk_histogram *times_of(const struct hbk_threshold *threshold,
                                            const struct hbk_load_plan *plan,
                                            const struct hbk_load_result *result)
{
    switch (threshold->times) {
    case HBK_THRESHOLD_SERVICE:
        return hbk_load_plan_is_open(plan) ? &result->service : &result->response;
    case HBK_THRESHOLD_LATENESS:
        return &result->lateness;
    case HBK_THRESHOLD_CONNECT:
        return &result->connect;
    case HBK_THRESHOLD_RESPONSE:
        break;
    }
    return &result->response;
}

static double time_of(const struct hbk_threshold *threshold, const struct hbk_histogram *times)
{
    switch (threshold->kind) {
    case HBK_THRESHOLD_MIN:
        return (double)times->min;
    case HBK_THRESHOLD_MEAN:
        return hbk_histogram_mean(times);
    case HBK_THRESHOLD_MAX:
        return (double)times->max;
    case HBK_THRESHOLD_PERCENTILE:
    case HBK_THRESHOLD_ERRORS:
    case HBK_THRESHOLD_RATE:
        break;
    }
    return (double)hbk_histogram_percentile(times, threshold->percentile);
}

static double count_of(const struct hbk_threshold *threshold, const struct hbk_load_plan *plan,
                       const struct hbk_load_result *result)
{
    if (threshold->kind == HBK_THRESHOLD_RATE) {
        double rate = hbk_load_result_rate(result);
        bool is_of_asked = threshold->is_share && hbk_load_plan_is_open(plan);
        return is_of_asked ? rate / plan->rate_per_s : threshold->is_share ? 0 : rate;
    }
    uint64_t calls = hbk_load_result_calls(result);
    double failures = (double)hbk_load_result_failures(result);
    if (!threshold->is_share) {
        return failures;
    }
    return calls == 0 ? (failures > 0 ? 1 : 0) : failures / (double)calls;
}

static bool is_good(const struct hbk_threshold *threshold, double value)
{
    if (value == threshold->limit) {
        return threshold->is_equal_good;
    }
    return threshold->is_above ? value > threshold->limit : value < threshold->limit;
}

bool hbk_threshold_is_met(const struct hbk_threshold *threshold, const struct hbk_load_plan *plan,
                          const struct hbk_load_result *result,
                          char out_found[static HBK_THRESHOLD_FOUND_BYTES_MAX])
{
    char text[HBK_LOAD_DURATION_BYTES_MAX];
    if (threshold->kind >= HBK_THRESHOLD_ERRORS) {
        double count = count_of(threshold, plan, result);
        (void)snprintf(out_found, HBK_THRESHOLD_FOUND_BYTES_MAX, "%.6g%s",
                       threshold->is_share ? count * 100 : count, threshold->is_share ? " %" : "");
        return is_good(threshold, count);
    }
    const struct hbk_histogram *times = times_of(threshold, plan, result);
    if (times->total == 0) {
        (void)snprintf(out_found, HBK_THRESHOLD_FOUND_BYTES_MAX, "nothing measured");
        return false;
    }
    double value = time_of(threshold, times);
    (void)snprintf(out_found, HBK_THRESHOLD_FOUND_BYTES_MAX, "%s",
                   hbk_load_latency_text(value, text));
    return is_good(threshold, value);
}
