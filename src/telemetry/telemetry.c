/*
 * Moving counts between threads. A copy holds two plain buffers: `texts`, the keys of parties and
 * destinations as party.c lays them out, each once, behind its size; and `series`, records of one
 * size that name their texts by offset.
 *
 * A take has two passes: the first only reads and may fail, the second only zeroes.
 */
#include "telemetry/telemetry.h"

#include <stdlib.h>
#include <string.h>

#include "base/assert.h"

struct series_record {
    uint64_t received_bytes, sent_bytes, opened, closed, failed;
    uint32_t source_at, destination_at, service_at; /* in the copy's texts */
    uint8_t reporter, is_mutual_tls, flag;
};

enum {
    PARTY_FIELDS = sizeof(struct hbk_party_text) / sizeof(struct hbk_slice),
    DESTINATION_FIELDS = sizeof(struct hbk_destination_text) / sizeof(struct hbk_slice),
};

hbk_status hbk_telemetry_init(struct hbk_telemetry *telemetry)
{
    *telemetry = (struct hbk_telemetry){0};
    return hbk_traffic_init(&telemetry->traffic, HBK_TRAFFIC_SERIES_MAX);
}

void hbk_telemetry_fini(struct hbk_telemetry *telemetry)
{
    hbk_traffic_fini(&telemetry->traffic);
}

void hbk_timing_add(struct hbk_telemetry *telemetry, enum hbk_timing timing, uint64_t duration_ns)
{
    HBK_ASSERT(timing < HBK_TIMING_COUNT);
    size_t bucket = 0;
    while (bucket < HBK_DURATION_BOUNDS && duration_ns > hbk_duration_bounds_ns[bucket]) {
        bucket++;
    }
    telemetry->timings[timing].buckets[bucket]++;
    telemetry->timings[timing].sum_ns += duration_ns;
}

static bool has_counts(const struct hbk_traffic_series *series)
{
    return (series->received_bytes | series->sent_bytes | series->opened | series->closed |
            series->failed) != 0;
}

/* The offset of these texts in the copy, to which they are added when it does not have them yet. */
static hbk_status copy_texts(struct hbk_telemetry_copy *copy, uint32_t number,
                             struct hbk_texts *texts, uint32_t *out_at)
{
    if (texts->copied_in != number) {
        uint32_t at = (uint32_t)hbk_buffer_size(&copy->texts);
        HBK_TRY(hbk_buffer_append(&copy->texts,
                                  hbk_slice_of(&texts->key_bytes, sizeof texts->key_bytes)));
        HBK_TRY(hbk_buffer_append(&copy->texts, hbk_slice_of(texts->key, texts->key_bytes)));
        texts->copied_in = number;
        texts->copy_offset = at;
    }
    *out_at = texts->copy_offset;
    return HBK_OK;
}

static hbk_status copy_series(struct hbk_telemetry_copy *copy, uint32_t number,
                              const struct hbk_traffic_series *series)
{
    struct series_record record;
    memset(&record, 0, sizeof record); /* padding too: the record travels as bytes */
    record.received_bytes = series->received_bytes;
    record.sent_bytes = series->sent_bytes;
    record.opened = series->opened;
    record.closed = series->closed;
    record.failed = series->failed;
    record.reporter = (uint8_t)series->key.reporter;
    record.is_mutual_tls = series->key.is_mutual_tls ? 1 : 0;
    record.flag = (uint8_t)series->flag;
    HBK_TRY(copy_texts(copy, number, &series->key.source->texts, &record.source_at));
    HBK_TRY(copy_texts(copy, number, &series->key.destination->texts, &record.destination_at));
    HBK_TRY(copy_texts(copy, number, &series->key.service->texts, &record.service_at));
    return hbk_buffer_append(&copy->series, hbk_slice_of(&record, sizeof record));
}

static hbk_status copy_traffic(struct hbk_telemetry_copy *copy, uint32_t number,
                               const struct hbk_traffic *traffic)
{
    HBK_LIST_EACH (link, &traffic->list) {
        struct hbk_traffic_series *series = HBK_CONTAINER(link, struct hbk_traffic_series, link);
        if (has_counts(series) || series->connections > 0) {
            HBK_TRY(copy_series(copy, number, series));
        }
    }
    return HBK_OK;
}

static void reset_traffic(struct hbk_traffic *traffic)
{
    HBK_LIST_EACH (link, &traffic->list) {
        struct hbk_traffic_series *series = HBK_CONTAINER(link, struct hbk_traffic_series, link);
        bool is_used = has_counts(series) || series->connections > 0;
        series->received_bytes = series->sent_bytes = 0;
        series->opened = series->closed = series->failed = 0;
        series->idle_copies = is_used ? 0 : series->idle_copies + 1;
        if (series->idle_copies >= HBK_TRAFFIC_IDLE_COPIES &&
            !hbk_traffic_is_other(traffic, series)) {
            hbk_traffic_forget(traffic, series);
        }
    }
}

/* The room's own counts live elsewhere until they are asked for. */
static void collect_folded(struct hbk_telemetry *telemetry)
{
    telemetry->counters[HBK_COUNTER_TRAFFIC_FOLDED] += telemetry->traffic.folded;
    telemetry->counters[HBK_COUNTER_PARTIES_FOLDED] += telemetry->traffic.parties.folded;
    telemetry->traffic.folded = 0;
    telemetry->traffic.parties.folded = 0;
}

hbk_status hbk_telemetry_take(struct hbk_telemetry *telemetry, struct hbk_telemetry_copy *out_copy)
{
    struct hbk_telemetry_copy copy;
    hbk_buffer_init(&copy.texts, HBK_TELEMETRY_BYTES_MAX);
    hbk_buffer_init(&copy.series, HBK_TELEMETRY_BYTES_MAX);
    hbk_status status = copy_traffic(&copy, ++telemetry->copies, &telemetry->traffic);
    if (status != HBK_OK) {
        hbk_telemetry_copy_fini(&copy);
        return status;
    }
    collect_folded(telemetry);
    memcpy(copy.counters, telemetry->counters, sizeof copy.counters);
    memcpy(copy.timings, telemetry->timings, sizeof copy.timings);
    memset(telemetry->counters, 0, sizeof telemetry->counters);
    memset(telemetry->timings, 0, sizeof telemetry->timings);
    reset_traffic(&telemetry->traffic);
    *out_copy = copy;
    return HBK_OK;
}

void hbk_telemetry_copy_fini(struct hbk_telemetry_copy *copy)
{
    hbk_buffer_fini(&copy->texts);
    hbk_buffer_fini(&copy->series);
}

/* The fields of the texts at `at`: what copy_texts() wrote. */
static void read_texts(const struct hbk_telemetry_copy *copy, uint32_t at,
                       struct hbk_slice *out_fields, size_t count)
{
    struct hbk_slice texts = hbk_buffer_slice(&copy->texts);
    size_t sizes_at = at + sizeof(uint32_t);
    size_t bytes_at = sizes_at + count * sizeof(uint16_t);
    for (size_t i = 0; i < count; i++) {
        uint16_t size;
        memcpy(&size, texts.bytes + sizes_at + i * sizeof size, sizeof size);
        out_fields[i] = hbk_slice_of(texts.bytes + bytes_at, size);
        bytes_at += size;
    }
    HBK_ASSERT(bytes_at <= texts.size);
}

static void add_series(struct hbk_traffic *totals, const struct hbk_telemetry_copy *copy,
                       const struct series_record *record, uint64_t now_ns)
{
    struct hbk_party_text source, destination;
    struct hbk_destination_text service;
    read_texts(copy, record->source_at, (struct hbk_slice *)&source, PARTY_FIELDS);
    read_texts(copy, record->destination_at, (struct hbk_slice *)&destination, PARTY_FIELDS);
    read_texts(copy, record->service_at, (struct hbk_slice *)&service, DESTINATION_FIELDS);

    struct hbk_traffic_key key = {
        .reporter = (enum hbk_reporter)record->reporter,
        .is_mutual_tls = record->is_mutual_tls == 1,
        .source = hbk_party_get(&totals->parties, &source),
        .destination = hbk_party_get(&totals->parties, &destination),
        .service = hbk_destination_get(&totals->parties, &service),
    };
    struct hbk_traffic_series *series =
        hbk_traffic_find(totals, &key, (enum hbk_response_flag)record->flag);
    bool was_folded_before = key.source == totals->parties.other;
    if (hbk_traffic_is_other(totals, series) && !was_folded_before) {
        totals->folded += record->opened;
    }
    series->received_bytes += record->received_bytes;
    series->sent_bytes += record->sent_bytes;
    series->opened += record->opened;
    series->closed += record->closed;
    series->failed += record->failed;
    series->used_ns = now_ns;
    hbk_party_unref(&totals->parties, key.source);
    hbk_party_unref(&totals->parties, key.destination);
    hbk_destination_unref(&totals->parties, key.service);
}

static void evict(struct hbk_telemetry *totals, uint64_t now_ns)
{
    HBK_LIST_EACH (link, &totals->traffic.list) {
        struct hbk_traffic_series *series = HBK_CONTAINER(link, struct hbk_traffic_series, link);
        if (now_ns - series->used_ns >= HBK_TRAFFIC_IDLE_NS &&
            !hbk_traffic_is_other(&totals->traffic, series)) {
            hbk_traffic_forget(&totals->traffic, series);
            totals->counters[HBK_COUNTER_TRAFFIC_EVICTED]++;
        }
    }
}

void hbk_telemetry_add(struct hbk_telemetry *totals, const struct hbk_telemetry_copy *copy,
                       uint64_t now_ns)
{
    for (size_t i = 0; i < HBK_COUNTER_COUNT; i++) {
        totals->counters[i] += copy->counters[i];
    }
    for (size_t i = 0; i < HBK_TIMING_COUNT; i++) {
        for (size_t j = 0; j <= HBK_DURATION_BOUNDS; j++) {
            totals->timings[i].buckets[j] += copy->timings[i].buckets[j];
        }
        totals->timings[i].sum_ns += copy->timings[i].sum_ns;
    }
    struct hbk_slice left = hbk_buffer_slice(&copy->series);
    while (left.size > 0) {
        struct series_record record;
        memcpy(&record, left.bytes, sizeof record);
        add_series(&totals->traffic, copy, &record, now_ns);
        left = hbk_slice_part(left, sizeof record, left.size);
    }
    collect_folded(totals);
    evict(totals, now_ns);
}
