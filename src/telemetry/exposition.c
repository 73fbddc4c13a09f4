#include "telemetry/exposition.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/log.h"
#include "base/utf8.h"

static const struct hbk_slice unknown = {(const uint8_t *)"unknown", sizeof "unknown" - 1};

const char *hbk_exposition_content_type(enum hbk_exposition_format format)
{
    switch (format) {
    case HBK_EXPOSITION_OPENMETRICS:
        return "application/openmetrics-text; version=1.0.0; charset=utf-8";
    case HBK_EXPOSITION_PROMETHEUS:
        return "text/plain; version=0.0.4; charset=utf-8";
    case HBK_EXPOSITION_PLAIN:
        break;
    }
    return "text/plain; charset=utf-8";
}

/* A name in the list is enough: whoever can read OpenMetrics may get it, whatever it prefers. */
enum hbk_exposition_format hbk_exposition_format_accepted(struct hbk_slice accept)
{
    static const char wanted[] = "application/openmetrics-text";
    for (size_t i = 0; i + sizeof wanted - 1 <= accept.size; i++) {
        struct hbk_slice part = hbk_slice_part(accept, i, sizeof wanted - 1);
        if (hbk_slice_equal_nocase(part, HBK_SLICE("application/openmetrics-text"))) {
            return HBK_EXPOSITION_OPENMETRICS;
        }
    }
    return HBK_EXPOSITION_PROMETHEUS;
}

static void put(struct hbk_exposition *exposition, struct hbk_slice text)
{
    if (exposition->status == HBK_OK) {
        exposition->status = hbk_buffer_append(exposition->out, text);
    }
}

static void put_text(struct hbk_exposition *exposition, const char *text)
{
    put(exposition, hbk_slice_text(text));
}

/* The value of a label: backslash, quote and line feed are escaped, the rest is UTF-8 as it is. */
static void put_escaped(struct hbk_exposition *exposition, struct hbk_slice text)
{
    size_t plain = 0; /* bytes in front that go out as they are */
    while (plain < text.size) {
        uint8_t byte = text.bytes[plain];
        size_t size = hbk_utf8_size(hbk_slice_part(text, plain, text.size));
        if (size > 0 && byte != '\\' && byte != '"' && byte != '\n') {
            plain += size;
            continue;
        }
        put(exposition, hbk_slice_part(text, 0, plain));
        put_text(exposition, size == 0      ? HBK_UTF8_REPLACEMENT
                             : byte == '\n' ? "\\n"
                             : byte == '"'  ? "\\\""
                                            : "\\\\");
        text = hbk_slice_part(text, plain + 1, text.size);
        plain = 0;
    }
    put(exposition, text);
}

static const char *type_text(enum hbk_metric_type type)
{
    switch (type) {
    case HBK_METRIC_COUNTER:
        return "counter";
    case HBK_METRIC_GAUGE:
        return "gauge";
    case HBK_METRIC_HISTOGRAM:
        break;
    }
    return "histogram";
}

/* In Prometheus' own format a counter's family has "_total" in its name, in OpenMetrics only its
 * samples have. */
static void put_comment(struct hbk_exposition *exposition, const char *word, const char *name,
                        enum hbk_metric_type type, const char *rest)
{
    put_text(exposition, word);
    put_text(exposition, name);
    if (type == HBK_METRIC_COUNTER && exposition->format == HBK_EXPOSITION_PROMETHEUS) {
        put_text(exposition, "_total");
    }
    put_text(exposition, " ");
    put_text(exposition, rest);
    put_text(exposition, "\n");
}

void hbk_exposition_family(struct hbk_exposition *exposition, const char *name,
                           enum hbk_metric_type type, const char *help)
{
    if (exposition->format != HBK_EXPOSITION_PLAIN) {
        put_comment(exposition, "# HELP ", name, type, help);
        put_comment(exposition, "# TYPE ", name, type, type_text(type));
    }
}

static void begin_sample(struct hbk_exposition *exposition, const char *name, const char *suffix)
{
    put_text(exposition, name);
    put_text(exposition, suffix);
    exposition->has_label = false;
}

void hbk_exposition_sample(struct hbk_exposition *exposition, const char *name,
                           enum hbk_metric_type type)
{
    begin_sample(exposition, name, type == HBK_METRIC_COUNTER ? "_total" : "");
}

static void next_label(struct hbk_exposition *exposition)
{
    put_text(exposition, exposition->has_label ? "," : "{");
    exposition->has_label = true;
}

void hbk_exposition_label(struct hbk_exposition *exposition, const char *name,
                          struct hbk_slice value)
{
    next_label(exposition);
    put_text(exposition, name);
    put_text(exposition, "=\"");
    put_escaped(exposition, value);
    put_text(exposition, "\"");
}

/* Labels of a table's row, which are text already. */
static void put_labels(struct hbk_exposition *exposition, const char *labels)
{
    if (labels != NULL) {
        next_label(exposition);
        put_text(exposition, labels);
    }
}

static void put_value(struct hbk_exposition *exposition, const char *value)
{
    put_text(exposition, exposition->has_label ? "} " : " ");
    put_text(exposition, value);
    put_text(exposition, "\n");
}

void hbk_exposition_value(struct hbk_exposition *exposition, uint64_t value)
{
    char text[24];
    (void)snprintf(text, sizeof text, "%" PRIu64, value);
    put_value(exposition, text);
}

void hbk_exposition_value_double(struct hbk_exposition *exposition, double value)
{
    char text[32];
    (void)snprintf(text, sizeof text, "%.15g", value);
    put_value(exposition, text);
}

enum { SECONDS_TEXT_BYTES = 32 };

/* Nanoseconds as seconds, exactly: no digits but those that count. */
static const char *seconds_text(uint64_t ns, char text[static SECONDS_TEXT_BYTES])
{
    int size = snprintf(text, SECONDS_TEXT_BYTES, "%" PRIu64 ".%09" PRIu64, ns / HBK_NS_PER_S,
                        ns % HBK_NS_PER_S);
    while (text[size - 1] == '0' && text[size - 2] != '.') {
        text[--size] = '\0';
    }
    return text;
}

static void put_number(struct hbk_exposition *exposition, const struct hbk_metric_family *family,
                       uint64_t number)
{
    if (family->is_nanoseconds) {
        char text[SECONDS_TEXT_BYTES];
        put_value(exposition, seconds_text(number, text));
    } else if (family->type == HBK_METRIC_GAUGE) {
        /* A gauge that one thread raised and another lowered is sound only as a sum, and that may
         * be seen below zero between two copies. */
        hbk_exposition_value(exposition, (int64_t)number < 0 ? 0 : number);
    } else {
        hbk_exposition_value(exposition, number);
    }
}

static void put_counters(struct hbk_exposition *exposition, const uint64_t *counters)
{
    const struct hbk_metric_family *family = NULL;
    for (size_t i = 0; i < HBK_COUNTER_COUNT; i++) {
        if (exposition->format == HBK_EXPOSITION_PLAIN && counters[i] == 0) {
            continue;
        }
        const struct hbk_metric_row *row = hbk_counter_row((enum hbk_counter)i);
        if (row->family != family) {
            family = row->family;
            hbk_exposition_family(exposition, family->name, family->type, family->help);
        }
        hbk_exposition_sample(exposition, family->name, family->type);
        put_labels(exposition, row->labels);
        put_number(exposition, family, counters[i]);
    }
}

static void put_bucket(struct hbk_exposition *exposition, const struct hbk_metric_row *row,
                       const char *bound, uint64_t count)
{
    begin_sample(exposition, row->family->name, "_bucket");
    put_labels(exposition, row->labels);
    hbk_exposition_label(exposition, "le", hbk_slice_text(bound));
    hbk_exposition_value(exposition, count);
}

static void put_timing(struct hbk_exposition *exposition, const struct hbk_metric_row *row,
                       const struct hbk_timing_counts *counts)
{
    char text[SECONDS_TEXT_BYTES];
    uint64_t count = 0;
    for (size_t i = 0; i < HBK_DURATION_BOUNDS; i++) {
        count += counts->buckets[i];
        put_bucket(exposition, row, seconds_text(hbk_duration_bounds_ns[i], text), count);
    }
    count += counts->buckets[HBK_DURATION_BOUNDS];
    put_bucket(exposition, row, "+Inf", count);

    begin_sample(exposition, row->family->name, "_sum");
    put_labels(exposition, row->labels);
    put_value(exposition, seconds_text(counts->sum_ns, text));
    begin_sample(exposition, row->family->name, "_count");
    put_labels(exposition, row->labels);
    hbk_exposition_value(exposition, count);
}

static bool has_timing(const struct hbk_timing_counts *counts)
{
    uint64_t all = 0;
    for (size_t i = 0; i <= HBK_DURATION_BOUNDS; i++) {
        all |= counts->buckets[i];
    }
    return all != 0;
}

static void put_timings(struct hbk_exposition *exposition, const struct hbk_timing_counts *timings)
{
    const struct hbk_metric_family *family = NULL;
    for (size_t i = 0; i < HBK_TIMING_COUNT; i++) {
        const struct hbk_metric_row *row = hbk_timing_row((enum hbk_timing)i);
        if (!has_timing(&timings[i])) {
            continue;
        }
        if (row->family != family) {
            family = row->family;
            hbk_exposition_family(exposition, family->name, family->type, family->help);
        }
        put_timing(exposition, row, &timings[i]);
    }
}

/* ---- traffic ------------------------------------------------------------------------------- */

static void put_known(struct hbk_exposition *exposition, const char *name, struct hbk_slice value)
{
    hbk_exposition_label(exposition, name, value.size == 0 ? unknown : value);
}

static void put_locality(struct hbk_exposition *exposition, const struct hbk_party_text *party,
                         const char *region, const char *zone)
{
    if (party->region.size > 0) {
        hbk_exposition_label(exposition, region, party->region);
        put_known(exposition, zone, party->zone);
    }
}

/* The label set TRAFFIC of ambient.md 5.1, in its order. */
static void put_traffic_labels(struct hbk_exposition *exposition,
                               const struct hbk_traffic_series *series)
{
    const struct hbk_party_text *source = &series->key.source->text;
    const struct hbk_party_text *destination = &series->key.destination->text;
    const struct hbk_destination_text *service = &series->key.service->text;

    put_known(exposition, "reporter", hbk_slice_text(hbk_reporter_text(series->key.reporter)));
    put_known(exposition, "source_workload", source->workload);
    put_known(exposition, "source_canonical_service", source->canonical_service);
    put_known(exposition, "source_canonical_revision", source->canonical_revision);
    put_known(exposition, "source_workload_namespace", source->namespace);
    put_known(exposition, "source_principal", source->principal);
    put_known(exposition, "source_app", source->canonical_service);
    put_known(exposition, "source_version", source->canonical_revision);
    put_known(exposition, "source_cluster", source->cluster);
    put_known(exposition, "destination_service", service->host);
    put_known(exposition, "destination_service_namespace", service->namespace);
    put_known(exposition, "destination_service_name", service->name);
    put_known(exposition, "destination_workload", destination->workload);
    put_known(exposition, "destination_canonical_service", destination->canonical_service);
    put_known(exposition, "destination_canonical_revision", destination->canonical_revision);
    put_known(exposition, "destination_workload_namespace", destination->namespace);
    put_known(exposition, "destination_principal", destination->principal);
    put_known(exposition, "destination_app", destination->canonical_service);
    put_known(exposition, "destination_version", destination->canonical_revision);
    put_known(exposition, "destination_cluster", destination->cluster);
    put_known(exposition, "request_protocol", HBK_SLICE("tcp"));
    put_known(exposition, "response_flags", hbk_slice_text(hbk_response_flag_text(series->flag)));
    put_known(exposition, "connection_security_policy",
              series->key.is_mutual_tls ? HBK_SLICE("mutual_tls") : unknown);
    put_locality(exposition, source, "source_region", "source_zone");
    put_locality(exposition, destination, "destination_region", "destination_zone");
}

/* A number of a series, and the number that must not be zero for it to be shown. */
struct traffic_family {
    const char *name;
    const char *help;
    size_t value_at;
    size_t shown_at;
};

#define AT(member) offsetof(struct hbk_traffic_series, member)

/* Bytes are shown from the opening on, so that a rate starts at zero. */
static const struct traffic_family traffic_families[] = {
    {"istio_tcp_connections_opened", "Connections opened", AT(opened), AT(opened)},
    {"istio_tcp_connections_closed", "Connections closed", AT(closed), AT(closed)},
    {"istio_tcp_received_bytes", "Bytes from clients to servers", AT(received_bytes), AT(opened)},
    {"istio_tcp_sent_bytes", "Bytes from servers to clients", AT(sent_bytes), AT(opened)},
    {"istio_tcp_connections_failed", "Connections that failed", AT(failed), AT(failed)},
};

static uint64_t number_at(const struct hbk_traffic_series *series, size_t offset)
{
    uint64_t number;
    memcpy(&number, (const uint8_t *)series + offset, sizeof number);
    return number;
}

static void put_traffic_family(struct hbk_exposition *exposition, const struct hbk_list *list,
                               const struct traffic_family *family)
{
    bool has_sample = false;
    HBK_LIST_EACH (link, list) {
        struct hbk_traffic_series *series = HBK_CONTAINER(link, struct hbk_traffic_series, link);
        if (number_at(series, family->shown_at) == 0) {
            continue;
        }
        if (!has_sample) {
            hbk_exposition_family(exposition, family->name, HBK_METRIC_COUNTER, family->help);
            has_sample = true;
        }
        hbk_exposition_sample(exposition, family->name, HBK_METRIC_COUNTER);
        put_traffic_labels(exposition, series);
        hbk_exposition_value(exposition, number_at(series, family->value_at));
    }
}

static void put_build(struct hbk_exposition *exposition)
{
    hbk_exposition_family(exposition, "istio_build", HBK_METRIC_GAUGE, "This program");
    hbk_exposition_sample(exposition, "istio_build", HBK_METRIC_GAUGE);
    hbk_exposition_label(exposition, "component", HBK_SLICE("hauberk"));
    hbk_exposition_label(exposition, "tag", HBK_SLICE(HBK_VERSION));
    hbk_exposition_value(exposition, 1);
}

/* What is counted outside the tables. */
static void put_own(struct hbk_exposition *exposition, const struct hbk_telemetry *totals)
{
    hbk_exposition_family(exposition, "hauberk_log_lines_dropped", HBK_METRIC_COUNTER,
                          "Lines that the log's reader did not take in time");
    hbk_exposition_sample(exposition, "hauberk_log_lines_dropped", HBK_METRIC_COUNTER);
    hbk_exposition_value(exposition, hbk_log_dropped());
    hbk_exposition_family(exposition, "hauberk_telemetry_series", HBK_METRIC_GAUGE,
                          "Label sets of traffic that are held");
    hbk_exposition_sample(exposition, "hauberk_telemetry_series", HBK_METRIC_GAUGE);
    hbk_exposition_value(exposition, totals->traffic.series.count);
}

hbk_status hbk_telemetry_render(const struct hbk_telemetry *totals, struct hbk_buffer *out,
                                enum hbk_exposition_format format, hbk_exposition_more_fn *more,
                                void *context)
{
    struct hbk_exposition exposition = {.out = out, .format = format};
    for (size_t i = 0; i < HBK_COUNT(traffic_families); i++) {
        put_traffic_family(&exposition, &totals->traffic.list, &traffic_families[i]);
    }
    put_build(&exposition);
    put_counters(&exposition, totals->counters);
    put_timings(&exposition, totals->timings);
    put_own(&exposition, totals);
    if (more != NULL) {
        more(&exposition, context);
    }
    if (format == HBK_EXPOSITION_OPENMETRICS) {
        put_text(&exposition, "# EOF\n");
    }
    return exposition.status;
}
