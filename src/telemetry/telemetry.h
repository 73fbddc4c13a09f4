/*
 * What one thread counts, and how the counts of all threads come together.
 *
 * Each worker owns a struct hbk_telemetry and adds to it with plain additions. Control owns one
 * more, the totals. When somebody asks, each worker moves what it counted since the last time into
 * a copy, on its own thread; the copy travels by message to control, which adds it to the totals
 * and shows those.
 *
 *     worker                      control
 *     hbk_telemetry_take(&copy) -> hbk_telemetry_add(&totals, &copy) -> hbk_telemetry_render()
 *
 * Invariants:
 * 1. A copy moves counts: each must be added exactly once, also when nobody waits for it any more.
 *    A take that fails has moved nothing.
 * 2. What is shown never goes down, except gauges, and except a series of traffic that nobody used
 *    for HBK_TRAFFIC_IDLE_NS: it vanishes as a whole and starts again from zero, which Prometheus
 *    takes for the restart of a counter. Workers forget idle series much earlier; since their
 *    counts were moved before, nobody sees that.
 * 3. Copies should be taken at least every HBK_TELEMETRY_COPY_NS, asked for or not, so that workers
 *    can forget.
 */
#pragma once

#include "base/buffer.h"
#include "base/clock.h"
#include "telemetry/counter.h"
#include "telemetry/traffic.h"

#define HBK_TELEMETRY_COPY_NS (60 * HBK_NS_PER_S)

/* A full table of series with long texts; a copy or a text above it is refused whole. */
enum { HBK_TELEMETRY_BYTES_MAX = 64 << 20 };

struct hbk_telemetry {
    uint64_t counters[HBK_COUNTER_COUNT];
    struct hbk_timing_counts timings[HBK_TIMING_COUNT];
    struct hbk_traffic traffic;
    uint32_t copies; /* taken so far */
};

/* Counts on their way from a worker to control. Owned by whoever holds the message. */
struct hbk_telemetry_copy {
    uint64_t counters[HBK_COUNTER_COUNT];
    struct hbk_timing_counts timings[HBK_TIMING_COUNT];
    struct hbk_buffer texts;  /* of parties and destinations, each once */
    struct hbk_buffer series; /* records that point into `texts` */
};

/* Fails: HBK_NO_MEMORY. About 20 KB. Any thread, which then owns it. */
HBK_MUST_USE hbk_status hbk_telemetry_init(struct hbk_telemetry *telemetry);

/* Every connection must have been closed and every party given back. */
void hbk_telemetry_fini(struct hbk_telemetry *telemetry);

static inline void hbk_counter_add(struct hbk_telemetry *telemetry, enum hbk_counter counter,
                                   uint64_t amount)
{
    telemetry->counters[counter] += amount;
}

/* For gauges of things that are open now. Wraps below zero on one thread are sound: sums are shown.
 */
static inline void hbk_counter_subtract(struct hbk_telemetry *telemetry, enum hbk_counter counter,
                                        uint64_t amount)
{
    telemetry->counters[counter] -= amount;
}

/* For gauges that control alone knows; on the totals only. */
static inline void hbk_counter_set(struct hbk_telemetry *totals, enum hbk_counter counter,
                                   uint64_t value)
{
    totals->counters[counter] = value;
}

void hbk_timing_add(struct hbk_telemetry *telemetry, enum hbk_timing timing, uint64_t duration_ns);

/*
 * Moves what was counted since the last take into a copy, which the caller owns and ends with
 * hbk_telemetry_copy_fini(). Thread: the owner of `telemetry`.
 * Fails: HBK_NO_MEMORY, HBK_LIMIT; then nothing was moved or written.
 */
HBK_MUST_USE hbk_status hbk_telemetry_take(struct hbk_telemetry *telemetry,
                                           struct hbk_telemetry_copy *out_copy);

/* Adds a copy to the totals and forgets series that were idle for too long. Control. */
void hbk_telemetry_add(struct hbk_telemetry *totals, const struct hbk_telemetry_copy *copy,
                       uint64_t now_ns);

void hbk_telemetry_copy_fini(struct hbk_telemetry_copy *copy);
