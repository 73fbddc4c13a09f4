/*
 * The latency curve has the percentiles on an axis of 1 / (1 - p), as is usual with HDR histograms:
 * each nine has the same width, so that the tail is not squeezed into the last pixel.
 */
#include "load/html.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "load/report.h"
#include "plot/figure.h"

enum { CURVE_POINTS = 120, HISTOGRAM_BARS = 160 };

static const char page_start[] =
    "<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\n"
    "<meta name=\"viewport\" content=\"width=device-width\">\n<title>hauberk load</title>\n"
    "<style>body{font:15px/1.45 sans-serif;max-width:70em;margin:2em auto;padding:0 1em}"
    "pre{background:#f4f4f4;padding:1em;overflow-x:auto;font-size:13px}"
    "svg{max-width:100%;height:auto;margin:.5em 0}</style></head><body>\n";

static double milliseconds(double ns)
{
    return ns / (double)HBK_NS_PER_MS;
}

/* Percentiles from 0 to as many nines as there are calls for. */
static unsigned fill_curve(const struct hbk_histogram *histogram, double *x, double *y)
{
    if (histogram->total == 0) {
        return 0;
    }
    double nines = log10((double)histogram->total);
    for (unsigned i = 0; i < CURVE_POINTS; i++) {
        double share = pow(10, -nines * i / (CURVE_POINTS - 1));
        x[i] = 1 / share;
        y[i] = milliseconds((double)hbk_histogram_percentile(histogram, 100 * (1 - share)));
    }
    return CURVE_POINTS;
}

static hbk_status put_curve(const struct hbk_load_plan *plan, const struct hbk_load_result *result,
                            struct hbk_buffer *out)
{
    static const struct hbk_axis_mark marks[] = {
        {1, "0 %"},         {10, "90 %"},         {100, "99 %"},         {1000, "99.9 %"},
        {10000, "99.99 %"}, {100000, "99.999 %"}, {1000000, "99.9999 %"}};
    double x[2][CURVE_POINTS], y[2][CURVE_POINTS];
    unsigned nines = (unsigned)ceil(log10(fmax(10, (double)result->response.total)));
    const struct hbk_figure figure = {
        .title = "Latency by percentile",
        .x_name = "percentile",
        .y_name = "ms",
        .is_x_log = true,
        .is_y_log = true,
        .marks = marks,
        .mark_count = nines + 1 < HBK_COUNT(marks) ? nines + 1 : (unsigned)HBK_COUNT(marks),
    };
    const struct hbk_figure_series series[] = {
        {"response: from when it was due", HBK_FIGURE_LINE, x[0], y[0], NULL, NULL,
         fill_curve(&result->response, x[0], y[0])},
        {"service: from when it was sent", HBK_FIGURE_LINE, x[1], y[1], NULL, NULL,
         fill_curve(&result->service, x[1], y[1])},
    };
    return hbk_figure_lines(&figure, series, hbk_load_plan_is_open(plan) ? 2 : 1, out);
}

static hbk_status put_times(const struct hbk_load_course *course, const double *at,
                            const double *p50, const double *p99, const double *max,
                            struct hbk_buffer *out)
{
    const struct hbk_figure figure = {
        .title = "Response time in the course of the run",
        .x_name = "seconds",
        .y_name = "ms",
        .is_y_log = true,
    };
    const struct hbk_figure_series series[] = {
        {"P50", HBK_FIGURE_LINE, at, p50, NULL, NULL, course->count},
        {"P99", HBK_FIGURE_LINE, at, p99, NULL, NULL, course->count},
        {"max", HBK_FIGURE_LINE, at, max, NULL, NULL, course->count},
    };
    return hbk_figure_lines(&figure, series, HBK_COUNT(series), out);
}

static hbk_status put_rates(const struct hbk_load_course *course, const double *at,
                            const double *rate, const double *failed, struct hbk_buffer *out)
{
    const struct hbk_figure figure = {
        .title = "Rate in the course of the run",
        .x_name = "seconds",
        .y_name = "requests per second",
    };
    const struct hbk_figure_series series[] = {
        {"ended", HBK_FIGURE_LINE, at, rate, NULL, NULL, course->count},
        {"failed", HBK_FIGURE_LINE, at, failed, NULL, NULL, course->count},
    };
    return hbk_figure_lines(&figure, series, HBK_COUNT(series), out);
}

static hbk_status put_course(const struct hbk_load_course *course, struct hbk_buffer *out)
{
    enum { COLUMNS = 6 };
    size_t count = course->count > 0 ? course->count : 1;
    double *values = calloc(count * COLUMNS, sizeof *values);
    if (values == NULL) {
        return HBK_NO_MEMORY;
    }
    double *at = values, *rate = at + count, *failed = rate + count, *p50 = failed + count,
           *p99 = p50 + count, *max = p99 + count;
    for (unsigned i = 0; i < course->count; i++) {
        const struct hbk_load_point *point = &course->points[i];
        double seconds = fmax(1e-9, (double)point->length_ns / (double)HBK_NS_PER_S);
        at[i] = (double)(point->since_ns + point->length_ns) / (double)HBK_NS_PER_S;
        rate[i] = (double)point->calls / seconds;
        failed[i] = (double)point->failed / seconds;
        p50[i] = p99[i] = max[i] = NAN; /* nothing ended in this interval */
        if (point->calls > 0) {
            p50[i] = milliseconds((double)point->p50_ns);
            p99[i] = milliseconds((double)point->p99_ns);
            max[i] = milliseconds((double)point->max_ns);
        }
    }
    hbk_status status = put_times(course, at, p50, p99, max, out);
    if (status == HBK_OK) {
        status = put_rates(course, at, rate, failed, out);
    }
    free(values);
    return status;
}

/* Bars of equal width on a logarithmic axis from the least to the greatest value. */
static hbk_status put_histogram(const struct hbk_load_result *result, struct hbk_buffer *out)
{
    const struct hbk_histogram *histogram = &result->response;
    const struct hbk_figure figure = {
        .title = "Distribution of the response times",
        .x_name = "ms",
        .y_name = "requests",
        .is_x_log = true,
    };
    double x[HISTOGRAM_BARS], y[HISTOGRAM_BARS] = {0};
    double low = fmax(1, (double)histogram->min), high = fmax(low * 1.01, (double)histogram->max);
    for (unsigned i = 0; i < HISTOGRAM_BARS; i++) {
        x[i] = milliseconds(low * pow(high / low, (double)i / HISTOGRAM_BARS));
    }
    for (unsigned i = 0; i < HBK_HISTOGRAM_COUNT && histogram->total > 0; i++) {
        uint64_t from, to, count;
        hbk_histogram_bucket(histogram, i, &from, &to, &count);
        if (count > 0) {
            double middle = fmin(fmax(((double)from + (double)to) / 2, low), high);
            double bar = log(middle / low) / log(high / low) * HISTOGRAM_BARS;
            y[(unsigned)fmin(bar, HISTOGRAM_BARS - 1)] += (double)count;
        }
    }
    const struct hbk_figure_series series = {"requests", HBK_FIGURE_AREA, x, y, NULL,
                                             NULL,       HISTOGRAM_BARS};
    return hbk_figure_lines(&figure, &series, 1, out);
}

/* The text report, as on the terminal. */
static hbk_status put_report(const struct hbk_load_plan *plan, const struct hbk_load_result *result,
                             struct hbk_buffer *out)
{
    char *text = NULL;
    size_t size = 0;
    FILE *stream = open_memstream(&text, &size);
    if (stream == NULL) {
        return HBK_NO_MEMORY;
    }
    hbk_load_report(plan, result, stream);
    hbk_status status = fclose(stream) == 0 ? HBK_OK : HBK_NO_MEMORY;
    if (status == HBK_OK) {
        status = hbk_figure_text(hbk_slice_of(text, size), out);
    }
    free(text);
    return status;
}

hbk_status hbk_load_html(const struct hbk_load_plan *plan, const struct hbk_load_result *result,
                         const struct hbk_load_course *course, struct hbk_buffer *out)
{
    HBK_TRY(hbk_buffer_append(out, HBK_SLICE(page_start)));
    HBK_TRY(hbk_buffer_append(out, HBK_SLICE("<h1>")));
    HBK_TRY(hbk_figure_text(plan->labels.size > 0 ? plan->labels : plan->target.url, out));
    HBK_TRY(hbk_buffer_append(out, HBK_SLICE("</h1>\n<pre>")));
    HBK_TRY(put_report(plan, result, out));
    HBK_TRY(hbk_buffer_append(out, HBK_SLICE("</pre>\n")));
    HBK_TRY(put_curve(plan, result, out));
    HBK_TRY(put_course(course, out));
    HBK_TRY(put_histogram(result, out));
    if (course->was_cut) {
        HBK_TRY(hbk_buffer_append(
            out, HBK_SLICE("<p>The course shows the first two hours of the run.</p>\n")));
    }
    return hbk_buffer_append(out, HBK_SLICE("</body></html>\n"));
}
