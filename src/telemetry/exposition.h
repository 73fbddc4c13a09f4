/*
 * The text that Prometheus reads: its own format 0.0.4, or OpenMetrics 1.0 when the scraper asks.
 * (prometheus.io/docs/instrumenting/exposition_formats; OpenMetrics specification.)
 *
 * Families without a sample are left out. Label values are escaped, and bytes that are not UTF-8
 * become U+FFFD.
 */
#pragma once

#include "base/buffer.h"
#include "base/error.h"
#include "telemetry/telemetry.h"

enum hbk_exposition_format {
    HBK_EXPOSITION_PROMETHEUS,
    HBK_EXPOSITION_OPENMETRICS,
    HBK_EXPOSITION_PLAIN, /* for people: a line per number that is not zero, without comments */
};

/* The Content-Type of a reply. */
const char *hbk_exposition_content_type(enum hbk_exposition_format format);

/* What a scraper's Accept header asks for: OpenMetrics if it is named, Prometheus' own if not. */
enum hbk_exposition_format hbk_exposition_format_accepted(struct hbk_slice accept);

/* A text that grows. The first failure stays in `status`, later writes do nothing. */
struct hbk_exposition {
    struct hbk_buffer *out; /* borrowed */
    enum hbk_exposition_format format;
    bool has_label; /* of the sample that is being written */
    hbk_status status;
};

/* Begins a family; `name` comes without "_total". */
void hbk_exposition_family(struct hbk_exposition *exposition, const char *name,
                           enum hbk_metric_type type, const char *help);

/*
 * One sample: its name with the suffix ("_total" is added for counters), labels, the value.
 *     hbk_exposition_sample(e, "hauberk_x", HBK_METRIC_GAUGE);
 *     hbk_exposition_label(e, "identity", text);
 *     hbk_exposition_value(e, 3);
 */
void hbk_exposition_sample(struct hbk_exposition *exposition, const char *name,
                           enum hbk_metric_type type);
void hbk_exposition_label(struct hbk_exposition *exposition, const char *name,
                          struct hbk_slice value);
void hbk_exposition_value(struct hbk_exposition *exposition, uint64_t value);
void hbk_exposition_value_double(struct hbk_exposition *exposition, double value);

/* Adds families that only their owner knows, such as the expiry of certificates. */
typedef void hbk_exposition_more_fn(struct hbk_exposition *exposition, void *context);

/*
 * Writes all totals, then what `more` adds (NULL: nothing), then the end. Control.
 * Fails: HBK_LIMIT, HBK_NO_MEMORY; `out` then holds a part.
 */
HBK_MUST_USE hbk_status hbk_telemetry_render(const struct hbk_telemetry *totals,
                                             struct hbk_buffer *out,
                                             enum hbk_exposition_format format,
                                             hbk_exposition_more_fn *more, void *context);
