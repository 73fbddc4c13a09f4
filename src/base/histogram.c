/*
 * Values below 2^11 have a bucket each. Above, every power of two is cut into 2^10 buckets of equal
 * width: the top 11 bits of a value choose the bucket, so its width is at most 1/1024 of the value.
 *
 *     index = shift * 1024 + (value >> shift),  shift = bits(value) - 11, or 0
 */
#include "base/histogram.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { HALF = HBK_HISTOGRAM_SUB_COUNT / 2 };

hbk_status hbk_histogram_init(struct hbk_histogram *histogram)
{
    *histogram = (struct hbk_histogram){.counts = calloc(HBK_HISTOGRAM_COUNT, sizeof(uint64_t))};
    return histogram->counts == NULL ? HBK_NO_MEMORY : HBK_OK;
}

void hbk_histogram_fini(struct hbk_histogram *histogram)
{
    free(histogram->counts);
    *histogram = (struct hbk_histogram){0};
}

void hbk_histogram_clear(struct hbk_histogram *histogram)
{
    uint64_t *counts = histogram->counts;
    memset(counts, 0, HBK_HISTOGRAM_COUNT * sizeof *counts);
    *histogram = (struct hbk_histogram){.counts = counts};
}

static unsigned index_of(uint64_t value)
{
    uint64_t limit = (UINT64_C(1) << HBK_HISTOGRAM_VALUE_BITS) - 1;
    value = value > limit ? limit : value;
    unsigned bits = 64 - (unsigned)__builtin_clzll(value | 1);
    unsigned shift = bits > HBK_HISTOGRAM_SUB_BITS ? bits - HBK_HISTOGRAM_SUB_BITS : 0;
    return shift * HALF + (unsigned)(value >> shift);
}

void hbk_histogram_record(struct hbk_histogram *histogram, uint64_t value)
{
    histogram->counts[index_of(value)]++;
    if (histogram->total == 0 || value < histogram->min) {
        histogram->min = value;
    }
    if (value > histogram->max) {
        histogram->max = value;
    }
    histogram->total++;
    histogram->sum += (double)value;
    histogram->sum_of_squares += (double)value * (double)value;
}

void hbk_histogram_merge(struct hbk_histogram *to, const struct hbk_histogram *from)
{
    if (from->total == 0) {
        return;
    }
    for (unsigned i = 0; i < HBK_HISTOGRAM_COUNT; i++) {
        to->counts[i] += from->counts[i];
    }
    to->min = to->total == 0 || from->min < to->min ? from->min : to->min;
    to->max = from->max > to->max ? from->max : to->max;
    to->total += from->total;
    to->sum += from->sum;
    to->sum_of_squares += from->sum_of_squares;
}

void hbk_histogram_bucket(const struct hbk_histogram *histogram, unsigned index, uint64_t *out_low,
                          uint64_t *out_high, uint64_t *out_count)
{
    unsigned shift = index < HBK_HISTOGRAM_SUB_COUNT ? 0 : index / HALF - 1;
    *out_low = (uint64_t)(index - shift * HALF) << shift;
    *out_high = *out_low + (UINT64_C(1) << shift) - 1;
    *out_count = histogram->counts[index];
}

uint64_t hbk_histogram_percentile(const struct hbk_histogram *histogram, double percentile)
{
    if (histogram->total == 0) {
        return 0;
    }
    /* 99.9 has no exact binary form; without the correction 99.9 % of 1000 would be 1000. */
    double exact = ceil(percentile / 100.0 * (double)histogram->total * (1 - 1e-12));
    uint64_t rank = exact < 1 ? 1 : (uint64_t)exact;
    uint64_t seen = 0;
    for (unsigned i = 0; i < HBK_HISTOGRAM_COUNT; i++) {
        seen += histogram->counts[i];
        if (seen >= rank) {
            uint64_t low, high, count;
            hbk_histogram_bucket(histogram, i, &low, &high, &count);
            return high < histogram->max ? high : histogram->max;
        }
    }
    return histogram->max;
}

double hbk_histogram_mean(const struct hbk_histogram *histogram)
{
    return histogram->total == 0 ? 0 : histogram->sum / (double)histogram->total;
}

double hbk_histogram_deviation(const struct hbk_histogram *histogram)
{
    if (histogram->total == 0) {
        return 0;
    }
    double mean = hbk_histogram_mean(histogram);
    double variance = histogram->sum_of_squares / (double)histogram->total - mean * mean;
    return variance > 0 ? sqrt(variance) : 0;
}
