/*
 * The two series were taken at different times, so that blocks cannot be paired: the interval of
 * the ratio of medians comes from resampling both sides independently. Only what is steady enough
 * to be a gate is judged by one; the rate of a closed loop is turned over, so that above 1 is
 * always worse.
 */
#include "paper/compare.h"

#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "paper/result.h"
#include "paper/sample_file.h"

enum { SAMPLES_MAX = HBK_PAPER_SAMPLES_MAX };

static const struct {
    const char *name;
    enum hbk_quantity quantity;
    bool is_turned;
} compared[] = {
    {"client-cpu", HBK_QUANTITY_CLIENT_CPU, false},
    {"server-cpu", HBK_QUANTITY_SERVER_CPU, false},
    {"client-mib", HBK_QUANTITY_CLIENT_MIB, false},
    {"server-mib", HBK_QUANTITY_SERVER_MIB, false},
    {"p99", HBK_QUANTITY_P99, false},
    {"time-per-request", HBK_QUANTITY_RATE, true},
};

struct series {
    struct hbk_sample *samples; /* owned */
    unsigned count;
};

static size_t collect(const struct series *series, const struct hbk_sample *like,
                      enum hbk_quantity quantity, bool is_turned, double *out_values)
{
    size_t count = 0;
    for (unsigned i = 0; i < series->count && count < HBK_STATISTICS_VALUES_MAX; i++) {
        const struct hbk_sample *sample = &series->samples[i];
        if (sample->is_good && strcmp(sample->system, like->system) == 0 &&
            hbk_cell_equal(&sample->cell, &like->cell)) {
            double value = hbk_quantity_of(sample, quantity);
            value = is_turned ? 1 / value : value;
            if (isfinite(value)) {
                out_values[count++] = value;
            }
        }
    }
    return count;
}

static bool is_first_of_its_kind(const struct series *series, unsigned index)
{
    for (unsigned i = 0; i < index; i++) {
        if (strcmp(series->samples[i].system, series->samples[index].system) == 0 &&
            hbk_cell_equal(&series->samples[i].cell, &series->samples[index].cell)) {
            return false;
        }
    }
    return true;
}

struct comparing {
    const struct hbk_compare_options *options;
    struct series before, after;
    unsigned lines, worse;
};

static void tell(struct comparing *comparing, const struct hbk_sample *like, const char *name,
                 const struct hbk_estimate *ratio)
{
    char key[HBK_SAMPLE_KEY_BYTES_MAX];
    bool is_worse = ratio->low > 1 + comparing->options->tolerance;
    hbk_cell_key(&like->cell, key);
    if (comparing->options->is_json) {
        printf("%s{\"system\": \"%s\", \"cell\": \"%s\", \"quantity\": \"%s\", \"ratio\": %.6g, "
               "\"low\": %.6g, \"high\": %.6g, \"worse\": %s}",
               comparing->lines == 0 ? "" : ",\n ", like->system, key, name, ratio->median,
               isnan(ratio->low) ? ratio->median : ratio->low,
               isnan(ratio->high) ? ratio->median : ratio->high, is_worse ? "true" : "false");
    } else {
        printf("%-14s %-42s %-17s %6.3f  [%.3f, %.3f]%s\n", like->system, key, name, ratio->median,
               ratio->low, ratio->high, is_worse ? "  WORSE" : "");
    }
    comparing->lines++;
    comparing->worse += is_worse ? 1 : 0;
}

static void compare_one(struct comparing *comparing, const struct hbk_sample *like)
{
    double before[HBK_STATISTICS_VALUES_MAX], after[HBK_STATISTICS_VALUES_MAX];
    for (size_t i = 0; i < HBK_COUNT(compared); i++) {
        bool is_closed = like->cell.arrivals == HBK_FULL_SPEED;
        if (compared[i].is_turned != is_closed) {
            continue; /* full speed is judged by its rate, a given rate by what it costs */
        }
        size_t before_count =
            collect(&comparing->before, like, compared[i].quantity, compared[i].is_turned, before);
        size_t after_count =
            collect(&comparing->after, like, compared[i].quantity, compared[i].is_turned, after);
        if (before_count > 0 && after_count > 0) {
            struct hbk_estimate ratio = hbk_ratio_of(after, after_count, before, before_count);
            tell(comparing, like, compared[i].name, &ratio);
        }
    }
}

static hbk_status load(const char *directory, struct series *series, struct hbk_error *error)
{
    series->samples = calloc(SAMPLES_MAX, sizeof *series->samples);
    if (series->samples == NULL) {
        return hbk_error_set(error, HBK_NO_MEMORY, "out of memory");
    }
    HBK_TRY(hbk_samples_read(directory, series->samples, SAMPLES_MAX, &series->count, error));
    return series->count > 0 ? HBK_OK
                             : hbk_error_set(error, HBK_NOT_FOUND,
                                             "%s holds no samples.jsonl with runs", directory);
}

static hbk_status compare(struct comparing *comparing, struct hbk_error *error)
{
    HBK_TRY(load(comparing->options->before, &comparing->before, error));
    HBK_TRY(load(comparing->options->after, &comparing->after, error));
    fputs(comparing->options->is_json ? "[" : "", stdout);
    for (unsigned i = 0; i < comparing->before.count; i++) {
        if (is_first_of_its_kind(&comparing->before, i)) {
            compare_one(comparing, &comparing->before.samples[i]);
        }
    }
    fputs(comparing->options->is_json ? "]\n" : "", stdout);
    if (comparing->lines == 0) {
        return hbk_error_set(error, HBK_NOT_FOUND, "the two have no run in common");
    }
    return HBK_OK;
}

hbk_status hbk_compare_run(const struct hbk_compare_options *options,
                           enum hbk_compare_answer *out_answer, struct hbk_error *error)
{
    struct comparing comparing = {.options = options};
    hbk_status status = compare(&comparing, error);
    free(comparing.before.samples);
    free(comparing.after.samples);
    if (status == HBK_OK) {
        *out_answer = comparing.worse > 0 ? HBK_COMPARE_WORSE : HBK_COMPARE_GOOD;
    }
    return status;
}
