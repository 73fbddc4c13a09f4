/* Two series against each other, for use as a gate: ratios of what both measured, with intervals.
 */
#pragma once

#include <stdbool.h>

#include "base/error.h"

struct hbk_compare_options {
    const char *before, *after; /* directories of `bench paper` */
    double tolerance;           /* 0.1: a tenth worse is still good */
    bool is_json;
};

enum hbk_compare_answer {
    HBK_COMPARE_GOOD,  /* nothing is surely worse */
    HBK_COMPARE_WORSE, /* an interval lies wholly above 1 + tolerance */
};

/* Prints a line per cell, system and quantity that both have. Fails: HBK_NOT_FOUND (nothing in
 * common), and as hbk_samples_read(). */
HBK_MUST_USE hbk_status hbk_compare_run(const struct hbk_compare_options *options,
                                        enum hbk_compare_answer *out_answer,
                                        struct hbk_error *error);
