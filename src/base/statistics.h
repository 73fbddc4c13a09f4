/*
 * What can be said about a few repeated runs: medians, bootstrap intervals over runs (never over
 * requests, which are not independent), a straight line with its fit. Deterministic: the resampling
 * has a fixed seed. Pure.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

enum {
    HBK_STATISTICS_VALUES_MAX = 256,
    HBK_STATISTICS_RESAMPLES = 10000,
};

/* The median; NAN without values. Reorders `values`. */
double hbk_median(double *values, size_t count);

struct hbk_estimate {
    double median;
    double low, high; /* of the 95 % percentile bootstrap; NAN with fewer than two values */
    size_t count;
};

/* At most HBK_STATISTICS_VALUES_MAX values; those that are NAN are left out. */
struct hbk_estimate hbk_estimate_of(const double *values, size_t count);

/* The ratio of two medians, over / under; its interval from resampling both independently. */
struct hbk_estimate hbk_ratio_of(const double *over, size_t over_count, const double *under,
                                 size_t under_count);

struct hbk_line {
    double slope, intercept;
    double r_squared;
    double slope_low, slope_high; /* 95 % interval; NAN with fewer than three points */
    size_t count;
};

/* Least squares; NAN throughout with fewer than two different x. */
struct hbk_line hbk_line_of(const double *x, const double *y, size_t count);
