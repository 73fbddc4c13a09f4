/*
 * A value above 0 is divided by the unit, and its bucket is the first whose bound is not below it:
 * intervals are open on the left and closed on the right. Fortio decides this on whole units, with
 * values up to 1e-12 above a whole one counted as that one; so do we, since a value of exactly one
 * unit must land where it lands there.
 */
#include "load/fortio_histogram.h"

#include <math.h>
#include <string.h>

#include "base/assert.h"
#include "base/compiler.h"

static const int32_t bounds[] = {
    0,   1,    2,    3,    4,    5,    6,    7,     8,     9,     10,    11,    12,    14,
    16,  18,   20,   25,   30,   35,   40,   45,    50,    60,    70,    80,    90,    100,
    120, 140,  160,  180,  200,  250,  300,  350,   400,   450,   500,   600,   700,   800,
    900, 1000, 2000, 3000, 4000, 5000, 7500, 10000, 20000, 30000, 40000, 50000, 75000, 100000,
};

_Static_assert(HBK_COUNT(bounds) == HBK_FORTIO_BOUNDS, "every bound has its bucket");

/* How far above a whole unit a value may lie and still count as that unit. */
static const double whole_unit_slack = 1e-12;

void hbk_fortio_histogram_init(struct hbk_fortio_histogram *histogram, double unit, double offset)
{
    HBK_ASSERT(unit > 0);
    *histogram = (struct hbk_fortio_histogram){.unit = unit, .offset = offset};
}

void hbk_fortio_histogram_clear(struct hbk_fortio_histogram *histogram)
{
    hbk_fortio_histogram_init(histogram, histogram->unit, histogram->offset);
}

static unsigned bucket_of(double units)
{
    unsigned low = 0, high = HBK_FORTIO_BOUNDS - 1;
    if (!(units > bounds[0])) {
        return 0;
    }
    if (units > bounds[HBK_FORTIO_BOUNDS - 1]) {
        return HBK_FORTIO_BUCKETS - 1;
    }
    int32_t whole = (int32_t)units;
    whole -= units - (double)whole < whole_unit_slack ? 1 : 0;
    /* The first bound above `whole`. */
    while (low < high) {
        unsigned middle = (low + high) / 2;
        if (bounds[middle] > whole) {
            high = middle;
        } else {
            low = middle + 1;
        }
    }
    return low;
}

void hbk_fortio_histogram_record(struct hbk_fortio_histogram *histogram, double value)
{
    histogram->buckets[bucket_of((value - histogram->offset) / histogram->unit)]++;
    histogram->min = histogram->count == 0 || value < histogram->min ? value : histogram->min;
    histogram->max = histogram->count == 0 || value > histogram->max ? value : histogram->max;
    histogram->count++;
    histogram->sum += value;
    histogram->sum_of_squares += value * value;
}

void hbk_fortio_histogram_merge(struct hbk_fortio_histogram *to,
                                const struct hbk_fortio_histogram *from)
{
    HBK_ASSERT(to->unit == from->unit && to->offset == from->offset);
    if (from->count == 0) {
        return;
    }
    to->min = to->count == 0 || from->min < to->min ? from->min : to->min;
    to->max = to->count == 0 || from->max > to->max ? from->max : to->max;
    to->count += from->count;
    to->sum += from->sum;
    to->sum_of_squares += from->sum_of_squares;
    for (unsigned i = 0; i < HBK_FORTIO_BUCKETS; i++) {
        to->buckets[i] += from->buckets[i];
    }
}

unsigned hbk_fortio_histogram_export(const struct hbk_fortio_histogram *histogram,
                                     struct hbk_fortio_bucket out_buckets[HBK_FORTIO_BUCKETS])
{
    unsigned count = 0;
    uint64_t seen = 0;
    for (unsigned i = 0; i < HBK_FORTIO_BUCKETS; i++) {
        if (histogram->buckets[i] == 0) {
            continue;
        }
        seen += histogram->buckets[i];
        unsigned below = i == 0 ? 0 : i - 1;
        unsigned bound = i < HBK_FORTIO_BOUNDS ? i : HBK_FORTIO_BOUNDS - 1;
        out_buckets[count] = (struct hbk_fortio_bucket){
            .start = histogram->unit * bounds[below] + histogram->offset,
            .end = histogram->unit * bounds[bound] + histogram->offset,
            .percent = 100.0 * (double)seen / (double)histogram->count,
            .count = histogram->buckets[i],
        };
        count++;
    }
    if (count > 0) {
        out_buckets[0].start = histogram->min;
        out_buckets[count - 1].end = histogram->max;
    }
    return count;
}

double hbk_fortio_histogram_percentile(const struct hbk_fortio_histogram *histogram,
                                       double percentile)
{
    struct hbk_fortio_bucket buckets[HBK_FORTIO_BUCKETS];
    unsigned count = hbk_fortio_histogram_export(histogram, buckets);
    if (count == 0) {
        return 0;
    }
    /* The least value alone stands for one value's share. */
    double before = 100.0 / (double)histogram->count;
    if (percentile >= 100) {
        return histogram->max;
    }
    if (percentile <= before) {
        return histogram->min;
    }
    for (unsigned i = 0; i < count; i++) {
        const struct hbk_fortio_bucket *bucket = &buckets[i];
        if (percentile <= bucket->percent) {
            double part = (percentile - before) / (bucket->percent - before);
            return bucket->start + part * (bucket->end - bucket->start);
        }
        before = bucket->percent;
    }
    return histogram->max;
}

double hbk_fortio_histogram_mean(const struct hbk_fortio_histogram *histogram)
{
    return histogram->count == 0 ? 0 : histogram->sum / (double)histogram->count;
}

double hbk_fortio_histogram_deviation(const struct hbk_fortio_histogram *histogram)
{
    if (histogram->count == 0) {
        return 0;
    }
    double count = (double)histogram->count;
    double variance = (histogram->sum_of_squares - histogram->sum * histogram->sum / count) / count;
    return variance > 0 ? sqrt(variance) : 0;
}
