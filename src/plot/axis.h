/* An axis of a figure: which numbers are marked, and where a number lies. */
#pragma once

#include <stdbool.h>

enum { HBK_AXIS_MARKS_MAX = 16, HBK_AXIS_LABEL_BYTES_MAX = 24 };

struct hbk_axis_mark {
    double at;
    char label[HBK_AXIS_LABEL_BYTES_MAX];
};

struct hbk_axis {
    double low, high; /* low < high; above 0 when logarithmic */
    bool is_log;
    struct hbk_axis_mark marks[HBK_AXIS_MARKS_MAX];
    unsigned mark_count;
};

/* An axis that shows `low` to `high`, widened to round numbers; from 0 unless it is logarithmic or
 * values are negative. */
void hbk_axis_init(struct hbk_axis *axis, double low, double high, bool is_log);

/* Where `value` lies, 0 to 1; outside values are cut to the ends. */
double hbk_axis_place(const struct hbk_axis *axis, double value);

/* A number as a label: "0.2", "3.2k", "12M". */
void hbk_axis_label(double value, char out_label[static HBK_AXIS_LABEL_BYTES_MAX]);
