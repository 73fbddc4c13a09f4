/*
 * Histograms as Envoy has them: a sample falls into a bin of two significant decimal digits, and
 * what is shown (buckets by any edges, quantiles) is computed from the bins. A worker records, any
 * thread reads.
 */
#pragma once

#include "base/buffer.h"
#include "base/json.h"
#include "telemetry/gateway_stats.h"

enum {
    /* 0 to 99 one by one, then 90 bins for each power of ten up to 10^9; larger samples are in the
     * last. */
    HBK_GW_BINS = 100 + 7 * 90,
};

struct hbk_gw_bins {
    hbk_gw_counter counts[HBK_GW_BINS];
    hbk_gw_counter sum;
};

/* Zero before its first sample, whose memory may be missing: then it is not recorded. */
struct hbk_gw_histogram {
    struct hbk_gw_bins *_Atomic bins; /* owned; release by the worker, acquire by readers */
};

void hbk_gw_histogram_record(struct hbk_gw_histogram *histogram, uint64_t sample);
void hbk_gw_histogram_fini(struct hbk_gw_histogram *histogram);

/* What several workers have recorded, added up. One thread. */
struct hbk_gw_samples {
    uint64_t counts[HBK_GW_BINS];
    uint64_t total, sum;
};

void hbk_gw_samples_add(struct hbk_gw_samples *samples, const struct hbk_gw_histogram *histogram);
void hbk_gw_samples_add_value(struct hbk_gw_samples *samples, uint64_t value, uint64_t count);
void hbk_gw_samples_join(struct hbk_gw_samples *samples, const struct hbk_gw_samples *more);

/* Samples less than `edge`: Envoy's "le" means that, since its bin of 8 is [8, 8.1). */
uint64_t hbk_gw_samples_below(const struct hbk_gw_samples *samples, double edge);

/* The middle of the bin that the part `quantile` (0 to 1) of the samples does not pass; 0 without
 * samples. */
double hbk_gw_samples_quantile(const struct hbk_gw_samples *samples, double quantile);

/* Upper edges of the buckets that are shown. */
struct hbk_gw_edges {
    const double *list;
    uint32_t count;
};
extern const struct hbk_gw_edges hbk_gw_default_edges;

enum hbk_gw_buckets { HBK_GW_BUCKETS_NONE, HBK_GW_BUCKETS_CUMULATIVE, HBK_GW_BUCKETS_DISJOINT };

/* A line of /stats, a JSON object, and the three families of Prometheus' form, where `labels` is
 * what stands between the braces, or empty. Fail: HBK_LIMIT, HBK_NO_MEMORY. */
HBK_MUST_USE hbk_status hbk_gw_samples_print(const struct hbk_gw_samples *samples, const char *name,
                                             enum hbk_gw_buckets buckets,
                                             const struct hbk_gw_edges *edges,
                                             struct hbk_buffer *out);
void hbk_gw_samples_json(const struct hbk_gw_samples *samples, const char *name,
                         enum hbk_gw_buckets buckets, const struct hbk_gw_edges *edges,
                         struct hbk_json *json);
HBK_MUST_USE hbk_status hbk_gw_samples_prometheus(const struct hbk_gw_samples *samples,
                                                  const char *family, struct hbk_slice labels,
                                                  const struct hbk_gw_edges *edges,
                                                  struct hbk_buffer *out);

/* The quantiles that JSON names once for all of its histograms. */
void hbk_gw_quantiles_json(struct hbk_json *json);
