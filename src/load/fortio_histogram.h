/*
 * Fortio's histogram, bucket for bucket and percentile for percentile (fortio.org/fortio/stats,
 * 1.75): few buckets that grow wider, and inside a bucket a straight line. So a percentile can be
 * far from the measured values: it is kept to be compared with Fortio, not to be believed.
 * Latencies of record are in base/histogram.h. One thread writes.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

enum {
    HBK_FORTIO_BOUNDS = 56,                     /* upper bounds of buckets, in units */
    HBK_FORTIO_BUCKETS = HBK_FORTIO_BOUNDS + 1, /* and one for what is larger */
};

struct hbk_fortio_histogram {
    double unit;   /* Fortio's -r: seconds of one unit, above 0 */
    double offset; /* Fortio's -offset: subtracted before a value is put into a bucket */
    uint64_t count;
    double min, max, sum, sum_of_squares;
    uint64_t buckets[HBK_FORTIO_BUCKETS];
};

void hbk_fortio_histogram_init(struct hbk_fortio_histogram *histogram, double unit, double offset);
void hbk_fortio_histogram_clear(struct hbk_fortio_histogram *histogram);
void hbk_fortio_histogram_record(struct hbk_fortio_histogram *histogram, double value);

/* Adds `from`, which has the same unit and offset. */
void hbk_fortio_histogram_merge(struct hbk_fortio_histogram *to,
                                const struct hbk_fortio_histogram *from);

/* One bucket as Fortio exports it: (start, end], the share of values up to its end, its count. The
 * first starts at the least value, the last ends at the greatest. */
struct hbk_fortio_bucket {
    double start, end;
    double percent; /* cumulative */
    uint64_t count;
};

/* Writes the occupied buckets in order and returns their number. */
unsigned hbk_fortio_histogram_export(const struct hbk_fortio_histogram *histogram,
                                     struct hbk_fortio_bucket out_buckets[HBK_FORTIO_BUCKETS]);

/* Fortio's value for a percentile; 0 when nothing was recorded. */
double hbk_fortio_histogram_percentile(const struct hbk_fortio_histogram *histogram,
                                       double percentile);
double hbk_fortio_histogram_mean(const struct hbk_fortio_histogram *histogram);
double hbk_fortio_histogram_deviation(const struct hbk_fortio_histogram *histogram);
