/*
 * The speed of the cryptographic primitives on one core: libcrypto one at a time, the vector
 * kernels with 1, 2, 4 and 8 lanes, and the protection of records. Times are CPU time of the
 * calling thread; each figure is the median of HBK_PRIMITIVE_SLICES slices.
 */
#pragma once

#include <regex.h>
#include <stddef.h>

#include "base/error.h"

enum { HBK_PRIMITIVE_SLICES = 5 };

struct hbk_primitive_options {
    double seconds;      /* for each figure, all slices together */
    const regex_t *only; /* operations whose name matches; NULL for all; borrowed */
    const char
        *crypto_mb_path; /* of Intel's library, measured beside ours; NULL without; borrowed */
};

/* One figure. The texts are constants. */
struct hbk_primitive_row {
    const char *operation;
    /* "libcrypto"; "vector": the kernels, libipsec-mb for records, the crypto room's own functions
     * for key schedules; "vector-no-vaes" for records without VAES; "crypto_mb": Intel's. */
    const char *path;
    unsigned lanes;        /* filled in the batch; 0 in a row about records */
    size_t bytes;          /* of a record; 0 in a row about operations */
    double ops_per_second; /* of operations */
    double ns_per_record;  /* of records */
    double ratio;          /* how many times faster than libcrypto's row of this run */

    /* In the row of eight lanes, else NULL and 0: the batcher's queue; libcrypto as the batcher
     * calls it below the break-even, keys parsed anew; and from how many lanes on a batch takes
     * less time than that, HBK_LANES + 1 for never. */
    const char *queue;
    double twin_ops_per_second;
    unsigned break_even_lanes;
};

typedef void hbk_primitive_report(void *context, const struct hbk_primitive_row *row);

/*
 * Measures and reports row by row. Rows of the vector kernels are left out where the processor has
 * none, and those of libipsec-mb where it is not built in.
 *
 * Fails: HBK_NO_MEMORY when libcrypto cannot make the keys, HBK_NOT_FOUND when Intel's library
 * cannot be loaded, HBK_IO when its results are not right.
 */
HBK_MUST_USE hbk_status hbk_primitive_run(const struct hbk_primitive_options *options,
                                          hbk_primitive_report *report, void *context,
                                          struct hbk_error *error);
