/*
 * Our copy of Fortio's histogram as a program, to be compared with `hbk-fortio histogram`: values
 * one a line on standard input, unit and offset as arguments; buckets and percentiles as JSON.
 */
#include <stdio.h>
#include <stdlib.h>

#include "load/fortio_histogram.h"

static const double percentiles[] = {50, 75, 90, 99, 99.9};

int main(int argc, char **argv)
{
    struct hbk_fortio_histogram histogram;
    struct hbk_fortio_bucket buckets[HBK_FORTIO_BUCKETS];
    double value;
    if (argc != 3 || !(strtod(argv[1], NULL) > 0)) {
        fputs("usage: fortio_histogram UNIT OFFSET\n", stderr);
        return 2;
    }
    hbk_fortio_histogram_init(&histogram, strtod(argv[1], NULL), strtod(argv[2], NULL));
    while (scanf("%lf", &value) == 1) {
        hbk_fortio_histogram_record(&histogram, value);
    }
    unsigned count = hbk_fortio_histogram_export(&histogram, buckets);
    printf("{\"Count\": %llu, \"Min\": %.17g, \"Max\": %.17g, \"Sum\": %.17g, \"Avg\": %.17g, "
           "\"StdDev\": %.17g, \"Data\": [",
           (unsigned long long)histogram.count, histogram.min, histogram.max, histogram.sum,
           hbk_fortio_histogram_mean(&histogram), hbk_fortio_histogram_deviation(&histogram));
    for (unsigned i = 0; i < count; i++) {
        printf("%s{\"Start\": %.17g, \"End\": %.17g, \"Percent\": %.17g, \"Count\": %llu}",
               i == 0 ? "" : ", ", buckets[i].start, buckets[i].end, buckets[i].percent,
               (unsigned long long)buckets[i].count);
    }
    printf("], \"Percentiles\": [");
    for (unsigned i = 0; i < sizeof percentiles / sizeof percentiles[0]; i++) {
        printf("%s{\"Percentile\": %.17g, \"Value\": %.17g}", i == 0 ? "" : ", ", percentiles[i],
               hbk_fortio_histogram_percentile(&histogram, percentiles[i]));
    }
    printf("]}\n");
    return 0;
}
