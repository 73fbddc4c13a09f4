/*
 * The bins are those of circllhist, which Envoy uses, for whole numbers from 0 on: [v, v + 0.1) for
 * one digit, [v, v + 1) for two, [v, v + 10) for three, ... Envoy shows sums by the bins' middles;
 * ours is the true sum.
 *
 * Envoy also shows what came in the last stats_flush_interval. Nothing is flushed here, so that the
 * interval is always empty.
 */
#include "telemetry/gateway_histogram.h"

#include <inttypes.h>
#include <stdlib.h>

#include "base/assert.h"

enum { DECADE_BINS = 90, EXACT_BINS = 100 };

static const double default_edges[] = {0.5,   1,      5,      10,      25,     50,    100,
                                       250,   500,    1000,   2500,    5000,   10000, 30000,
                                       60000, 300000, 600000, 1800000, 3600000};
const struct hbk_gw_edges hbk_gw_default_edges = {default_edges, HBK_COUNT(default_edges)};

static const double quantiles[] = {0, 0.25, 0.5, 0.75, 0.9, 0.95, 0.99, 0.995, 0.999, 1};

static unsigned bin_of(uint64_t sample)
{
    unsigned base = EXACT_BINS;
    if (sample < EXACT_BINS) {
        return (unsigned)sample;
    }
    for (sample /= 10; sample >= EXACT_BINS; sample /= 10) {
        base += DECADE_BINS;
        if (base == HBK_GW_BINS) {
            return HBK_GW_BINS - 1;
        }
    }
    return base + (unsigned)sample - 10;
}

/* Where a bin begins, and how wide it is. */
static double bin_start(unsigned bin, double *out_width)
{
    double width = bin == 0 ? 0 : bin < 10 ? 0.1 : 1;
    if (bin < EXACT_BINS) {
        *out_width = width;
        return bin;
    }
    bin -= EXACT_BINS;
    for (width = 10; bin >= DECADE_BINS; bin -= DECADE_BINS) {
        width *= 10;
    }
    *out_width = width;
    return (bin + 10) * width;
}

void hbk_gw_histogram_record(struct hbk_gw_histogram *histogram, uint64_t sample)
{
    struct hbk_gw_bins *bins = atomic_load_explicit(&histogram->bins, memory_order_relaxed);
    if (bins == NULL) {
        bins = calloc(1, sizeof *bins);
        if (bins == NULL) {
            return;
        }
        atomic_store_explicit(&histogram->bins, bins, memory_order_release);
    }
    hbk_gw_count(&bins->counts[bin_of(sample)], 1);
    hbk_gw_count(&bins->sum, sample);
}

void hbk_gw_histogram_fini(struct hbk_gw_histogram *histogram)
{
    free(atomic_load_explicit(&histogram->bins, memory_order_relaxed));
    atomic_store_explicit(&histogram->bins, NULL, memory_order_relaxed);
}

void hbk_gw_samples_add(struct hbk_gw_samples *samples, const struct hbk_gw_histogram *histogram)
{
    const struct hbk_gw_bins *bins = atomic_load_explicit(&histogram->bins, memory_order_acquire);
    if (bins == NULL) {
        return;
    }
    for (unsigned i = 0; i < HBK_GW_BINS; i++) {
        uint64_t count = hbk_gw_read(&bins->counts[i]);
        samples->counts[i] += count;
        samples->total += count;
    }
    samples->sum += hbk_gw_read(&bins->sum);
}

void hbk_gw_samples_add_value(struct hbk_gw_samples *samples, uint64_t value, uint64_t count)
{
    samples->counts[bin_of(value)] += count;
    samples->total += count;
    samples->sum += value * count;
}

void hbk_gw_samples_join(struct hbk_gw_samples *samples, const struct hbk_gw_samples *more)
{
    for (unsigned i = 0; i < HBK_GW_BINS; i++) {
        samples->counts[i] += more->counts[i];
    }
    samples->total += more->total;
    samples->sum += more->sum;
}

uint64_t hbk_gw_samples_below(const struct hbk_gw_samples *samples, double edge)
{
    uint64_t below = 0;
    double width;
    for (unsigned i = 0; i < HBK_GW_BINS && bin_start(i, &width) < edge; i++) {
        below += samples->counts[i];
    }
    return below;
}

double hbk_gw_samples_quantile(const struct hbk_gw_samples *samples, double quantile)
{
    const double rank = quantile * (double)samples->total;
    double before = 0, width, middle = 0;
    for (unsigned i = 0; i < HBK_GW_BINS && (before == 0 || before < rank); i++) {
        if (samples->counts[i] > 0) {
            double start = bin_start(i, &width);
            before += (double)samples->counts[i];
            middle = start + width / 2;
        }
    }
    return middle;
}

/* ---- shown ---- */

hbk_status hbk_gw_samples_print(const struct hbk_gw_samples *samples, const char *name,
                                enum hbk_gw_buckets buckets, const struct hbk_gw_edges *edges,
                                struct hbk_buffer *out)
{
    if (samples->total == 0 && buckets == HBK_GW_BUCKETS_NONE) {
        return hbk_buffer_print(out, "%s: No recorded values\n", name);
    }
    HBK_TRY(hbk_buffer_print(out, "%s:", name));
    for (size_t i = 0; buckets == HBK_GW_BUCKETS_NONE && i < HBK_COUNT(quantiles); i++) {
        HBK_TRY(hbk_buffer_print(out, " P%g(nan,%.6g)", quantiles[i] * 100,
                                 hbk_gw_samples_quantile(samples, quantiles[i])));
    }
    uint64_t before = 0;
    for (uint32_t i = 0; buckets != HBK_GW_BUCKETS_NONE && i < edges->count; i++) {
        uint64_t below = hbk_gw_samples_below(samples, edges->list[i]);
        HBK_TRY(hbk_buffer_print(out, " B%g(0,%" PRIu64 ")", edges->list[i], below - before));
        before = buckets == HBK_GW_BUCKETS_DISJOINT ? below : 0;
    }
    return hbk_buffer_append(out, HBK_SLICE("\n"));
}

void hbk_gw_quantiles_json(struct hbk_json *json)
{
    hbk_json_begin_array(json, "supported_quantiles");
    for (size_t i = 0; i < HBK_COUNT(quantiles); i++) {
        hbk_json_real(json, NULL, quantiles[i] * 100);
    }
    hbk_json_end_array(json);
}

void hbk_gw_samples_json(const struct hbk_gw_samples *samples, const char *name,
                         enum hbk_gw_buckets buckets, const struct hbk_gw_edges *edges,
                         struct hbk_json *json)
{
    hbk_json_begin_object(json, NULL);
    hbk_json_text(json, "name", name);
    hbk_json_begin_array(json, buckets == HBK_GW_BUCKETS_NONE ? "values" : "buckets");
    for (size_t i = 0; buckets == HBK_GW_BUCKETS_NONE && i < HBK_COUNT(quantiles); i++) {
        hbk_json_begin_object(json, NULL);
        hbk_json_null(json, "interval");
        if (samples->total == 0) {
            hbk_json_null(json, "cumulative");
        } else {
            hbk_json_real(json, "cumulative", hbk_gw_samples_quantile(samples, quantiles[i]));
        }
        hbk_json_end_object(json);
    }
    uint64_t before = 0;
    for (uint32_t i = 0; buckets != HBK_GW_BUCKETS_NONE && i < edges->count; i++) {
        uint64_t below = hbk_gw_samples_below(samples, edges->list[i]);
        hbk_json_begin_object(json, NULL);
        hbk_json_real(json, "upper_bound", edges->list[i]);
        hbk_json_number(json, "interval", 0);
        hbk_json_number(json, "cumulative", below - before);
        hbk_json_end_object(json);
        before = buckets == HBK_GW_BUCKETS_DISJOINT ? below : 0;
    }
    hbk_json_end_array(json);
    hbk_json_end_object(json);
}

hbk_status hbk_gw_samples_prometheus(const struct hbk_gw_samples *samples, const char *family,
                                     struct hbk_slice labels, const struct hbk_gw_edges *edges,
                                     struct hbk_buffer *out)
{
    const char *comma = labels.size > 0 ? "," : "";
    for (uint32_t i = 0; i < edges->count; i++) {
        HBK_TRY(hbk_buffer_print(out, "%s_bucket{%.*s%sle=\"%.10g\"} %" PRIu64 "\n", family,
                                 HBK_SLICE_ARGS(labels), comma, edges->list[i],
                                 hbk_gw_samples_below(samples, edges->list[i])));
    }
    HBK_TRY(hbk_buffer_print(out, "%s_bucket{%.*s%sle=\"+Inf\"} %" PRIu64 "\n", family,
                             HBK_SLICE_ARGS(labels), comma, samples->total));
    HBK_TRY(hbk_buffer_print(out, "%s_sum{%.*s} %" PRIu64 "\n", family, HBK_SLICE_ARGS(labels),
                             samples->sum));
    return hbk_buffer_print(out, "%s_count{%.*s} %" PRIu64 "\n", family, HBK_SLICE_ARGS(labels),
                            samples->total);
}
