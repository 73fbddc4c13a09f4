/* What the gateway must reach, and what is printed of a run. */
#pragma once

#include "bench/gateway.h"

enum hbk_gateway_verdict { HBK_GATEWAY_MET, HBK_GATEWAY_MISSED, HBK_GATEWAY_UNMEASURED };

/* One line of the list of targets: a figure of ours, alone or over another proxy's. */
struct hbk_gateway_target {
    enum hbk_gateway_row row;
    enum hbk_gateway_measure measure;
    enum hbk_gateway_proxy_name beside; /* HBK_GATEWAY_OURS: the figure itself counts */
    bool is_at_most;
    double bound;
};

extern const struct hbk_gateway_target hbk_gateway_targets[];
extern const unsigned hbk_gateway_target_count;

/* Judges by medians; *out_found is the figure or the ratio, NAN when it was not measured. Pure. */
enum hbk_gateway_verdict hbk_gateway_judge(const struct hbk_gateway_bench *bench,
                                           const struct hbk_gateway_target *target,
                                           double *out_found);

/* To standard output: tables, or JSON. */
void hbk_gateway_report(const struct hbk_gateway_bench *bench);
