#include "base/statistics.h"

#include <math.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"

static int compare(const void *a, const void *b)
{
    double left = *(const double *)a, right = *(const double *)b;
    return (left > right) - (left < right);
}

double hbk_median(double *values, size_t count)
{
    if (count == 0) {
        return NAN;
    }
    qsort(values, count, sizeof *values, compare);
    return count % 2 == 1 ? values[count / 2] : (values[count / 2 - 1] + values[count / 2]) / 2;
}

static const uint64_t seed = UINT64_C(0x9e3779b97f4a7c15);

/* xorshift64* with a fixed seed: the same runs give the same interval. */
static uint64_t next_random(uint64_t *state)
{
    *state ^= *state >> 12;
    *state ^= *state << 25;
    *state ^= *state >> 27;
    return *state * UINT64_C(0x2545f4914f6cdd1d);
}

static double resampled_median(const double *values, size_t count, uint64_t *state)
{
    double drawn[HBK_STATISTICS_VALUES_MAX];
    for (size_t i = 0; i < count; i++) {
        drawn[i] = values[(next_random(state) >> 11) % count];
    }
    return hbk_median(drawn, count);
}

static double medians[HBK_STATISTICS_RESAMPLES]; /* too many for a stack; one thread */

static void set_interval(struct hbk_estimate *estimate)
{
    qsort(medians, HBK_STATISTICS_RESAMPLES, sizeof *medians, compare);
    estimate->low = medians[HBK_STATISTICS_RESAMPLES / 40];
    estimate->high = medians[HBK_STATISTICS_RESAMPLES - 1 - HBK_STATISTICS_RESAMPLES / 40];
}

struct hbk_estimate hbk_estimate_of(const double *values, size_t count)
{
    double kept[HBK_STATISTICS_VALUES_MAX];
    struct hbk_estimate estimate = {.median = NAN, .low = NAN, .high = NAN};
    HBK_ASSERT(count <= HBK_STATISTICS_VALUES_MAX);
    for (size_t i = 0; i < count; i++) {
        if (!isnan(values[i])) {
            kept[estimate.count++] = values[i];
        }
    }
    if (estimate.count >= 2) {
        uint64_t state = seed;
        for (size_t i = 0; i < HBK_STATISTICS_RESAMPLES; i++) {
            medians[i] = resampled_median(kept, estimate.count, &state);
        }
        set_interval(&estimate);
    }
    estimate.median = hbk_median(kept, estimate.count);
    return estimate;
}

struct hbk_estimate hbk_ratio_of(const double *over, size_t over_count, const double *under,
                                 size_t under_count)
{
    struct hbk_estimate estimate = {.median = NAN, .low = NAN, .high = NAN};
    struct hbk_estimate above = hbk_estimate_of(over, over_count);
    struct hbk_estimate below = hbk_estimate_of(under, under_count);
    estimate.median = above.median / below.median;
    estimate.count = over_count < under_count ? over_count : under_count;
    if (estimate.count >= 2) {
        uint64_t state = seed;
        for (size_t i = 0; i < HBK_STATISTICS_RESAMPLES; i++) {
            medians[i] = resampled_median(over, over_count, &state) /
                         resampled_median(under, under_count, &state);
        }
        set_interval(&estimate);
    }
    return estimate;
}

/* Student's t at 97.5 % for so many degrees of freedom. */
static double t_quantile(size_t freedom)
{
    static const double table[] = {NAN,   12.706, 4.303, 3.182, 2.776, 2.571, 2.447,
                                   2.365, 2.306,  2.262, 2.228, 2.201, 2.179, 2.160,
                                   2.145, 2.131,  2.120, 2.110, 2.101, 2.093, 2.086};
    size_t last = sizeof table / sizeof table[0] - 1;
    return freedom <= last ? table[freedom] : 1.96 + 2.4 / (double)freedom;
}

struct hbk_line hbk_line_of(const double *x, const double *y, size_t count)
{
    struct hbk_line line = {.slope = NAN,
                            .intercept = NAN,
                            .r_squared = NAN,
                            .slope_low = NAN,
                            .slope_high = NAN,
                            .count = count};
    double mean_x = 0, mean_y = 0, xx = 0, xy = 0, yy = 0;
    for (size_t i = 0; i < count; i++) {
        mean_x += x[i] / (double)count;
        mean_y += y[i] / (double)count;
    }
    for (size_t i = 0; i < count; i++) {
        xx += (x[i] - mean_x) * (x[i] - mean_x);
        xy += (x[i] - mean_x) * (y[i] - mean_y);
        yy += (y[i] - mean_y) * (y[i] - mean_y);
    }
    if (count < 2 || xx <= 0) {
        return line;
    }
    line.slope = xy / xx;
    line.intercept = mean_y - line.slope * mean_x;
    line.r_squared = yy > 0 ? xy * xy / (xx * yy) : 1;
    if (count >= 3) {
        double residual = fmax(0, yy - line.slope * xy) / (double)(count - 2);
        double half = t_quantile(count - 2) * sqrt(residual / xx);
        line.slope_low = line.slope - half;
        line.slope_high = line.slope + half;
    }
    return line;
}
