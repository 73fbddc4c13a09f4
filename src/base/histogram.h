/*
 * A histogram of latencies with a bounded relative error (the layout of HdrHistogram, Tene 2012):
 * values from 0 to 2^41-1 ns (36 minutes), three significant digits: a recorded value is reported
 * at most 0.1 % too high. Larger values are counted in the last bucket. One thread writes;
 * histograms are merged by adding them.
 */
#pragma once

#include <stdint.h>

#include "base/status.h"

enum {
    HBK_HISTOGRAM_SUB_BITS = 11, /* 2048 sub-buckets: three digits with a factor of two to spare */
    HBK_HISTOGRAM_VALUE_BITS = 41,
    HBK_HISTOGRAM_SUB_COUNT = 1 << HBK_HISTOGRAM_SUB_BITS,
    HBK_HISTOGRAM_COUNT =
        (HBK_HISTOGRAM_VALUE_BITS - HBK_HISTOGRAM_SUB_BITS + 2) * (HBK_HISTOGRAM_SUB_COUNT / 2),
};

struct hbk_histogram {
    uint64_t *counts; /* owned, HBK_HISTOGRAM_COUNT of them */
    uint64_t total;
    uint64_t min, max; /* of recorded values; 0 while total is 0 */
    double sum, sum_of_squares;
};

/* Fails: HBK_NO_MEMORY. About 260 KB. */
HBK_MUST_USE hbk_status hbk_histogram_init(struct hbk_histogram *histogram);
void hbk_histogram_fini(struct hbk_histogram *histogram);
void hbk_histogram_clear(struct hbk_histogram *histogram);

void hbk_histogram_record(struct hbk_histogram *histogram, uint64_t value);
void hbk_histogram_merge(struct hbk_histogram *to, const struct hbk_histogram *from);

/* The value at a percentile (0 to 100), nearest rank, the top of its bucket but never above max;
 * 0 when nothing was recorded. */
uint64_t hbk_histogram_percentile(const struct hbk_histogram *histogram, double percentile);

double hbk_histogram_mean(const struct hbk_histogram *histogram);
double hbk_histogram_deviation(const struct hbk_histogram *histogram); /* of the population */

/* The bucket at `index`: its least and greatest value and its count. For exports. */
void hbk_histogram_bucket(const struct hbk_histogram *histogram, unsigned index, uint64_t *out_low,
                          uint64_t *out_high, uint64_t *out_count);
