/*
 * Thousands of signatures a second over many rounds would take hours to compute. What the batcher
 * is really given are key pairs of P-256, whose batches take fifty times less; what it decides does
 * not depend on what a batch computes, once its break-even is that of RSA-2048.
 */
#include "speed/arrival.h"

#include <math.h>
#include <openssl/evp.h>
#include <openssl/rsa.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/histogram.h"
#include "crypto/batcher.h"
#include "crypto/cpu.h"

enum {
    JOBS = HBK_BATCHER_QUEUED_MAX + HBK_LANES,
    RSA_BITS = 2048,
    CALIBRATION_BATCHES = 101,
    QUEUE = HBK_QUEUE_P256_KEYGEN,
};

/* Not counted: until adaptive knows the rate of arrivals. */
static const uint64_t warm_up_ns = 100 * HBK_NS_PER_MS;

/* A signature on its way; free ones are in a list. */
struct arrival {
    struct hbk_job job;
    struct hbk_link free_link;
    struct simulation *simulation;
    uint64_t arrived_ns;
};

/* One policy at one load: what each round found. */
struct figures {
    double cpu[HBK_ARRIVAL_ROUNDS];
    double p50_us[HBK_ARRIVAL_ROUNDS];
    double p99_us[HBK_ARRIVAL_ROUNDS];
};

struct simulation {
    struct hbk_batcher *batcher;
    struct arrival *arrivals;
    struct hbk_list free;
    struct hbk_histogram latency;
    struct arrival *done[HBK_LANES]; /* in this flush: they get their time after it */
    unsigned done_count;
    uint64_t now_ns;
    uint64_t next_ns; /* the next arrival */
    uint64_t busy_ns;
    uint64_t batch_ns;  /* the cost of a batch, full or not */
    uint64_t single_ns; /* and of one signature by libcrypto */
    unsigned refused;
    uint64_t random;
};

enum policy_index { NONE, FIXED_1_MS, FIXED_10_MS, NOW, ADAPTIVE, POLICIES };

static const struct policy {
    const char *name;
    bool is_twin;
    enum hbk_batch_policy policy;
    uint64_t delay_ns;
} policies[POLICIES] = {
    [NONE] = {"none", true, HBK_BATCH_NOW, 0},
    [FIXED_1_MS] = {"fixed-1ms", false, HBK_BATCH_FIXED, HBK_NS_PER_MS},
    [FIXED_10_MS] = {"fixed-10ms", false, HBK_BATCH_FIXED, 10 * HBK_NS_PER_MS},
    [NOW] = {"now", false, HBK_BATCH_NOW, 0},
    [ADAPTIVE] = {"adaptive", false, HBK_BATCH_ADAPTIVE, HBK_BATCHER_DELAY_NS},
};

static const double loads[] = {0.05, 0.25, 0.50, 0.75, 0.95};

_Static_assert(POLICIES *HBK_COUNT(loads) == HBK_ARRIVAL_ROWS, "as arrival.h says");
_Static_assert(4 * HBK_COUNT(loads) == HBK_ARRIVAL_COMPARISONS, "as arrival.h says");

static void on_complete(struct hbk_job *job)
{
    struct arrival *arrival = HBK_CONTAINER(job, struct arrival, job);
    struct simulation *simulation = arrival->simulation;
    simulation->done[simulation->done_count++] = arrival;
}

/* Poisson arrivals: exponential gaps. */
static uint64_t next_gap_ns(struct simulation *simulation, double rate)
{
    simulation->random ^= simulation->random << 13;
    simulation->random ^= simulation->random >> 7;
    simulation->random ^= simulation->random << 17;
    double uniform = ((double)(simulation->random >> 11) + 0.5) / (double)(UINT64_C(1) << 53);
    return (uint64_t)(-log(uniform) / rate * 1e9);
}

static void arrive(struct simulation *simulation, uint64_t time_ns)
{
    struct hbk_link *link = hbk_list_pop(&simulation->free);
    if (link == NULL) {
        simulation->refused++;
        return;
    }
    struct arrival *arrival = HBK_CONTAINER(link, struct arrival, free_link);
    arrival->arrived_ns = time_ns;
    arrival->simulation = simulation;
    arrival->job = (struct hbk_job){.kind = HBK_JOB_P256_KEYGEN, .complete = on_complete};
    if (hbk_batcher_submit(simulation->batcher, &arrival->job, simulation->now_ns) != HBK_OK) {
        simulation->refused++;
        hbk_list_append(&simulation->free, link);
    }
}

/* One flush, which moves the clock by the cost of what it ran. */
static void work(struct simulation *simulation)
{
    const struct hbk_batcher_counters *counters = hbk_batcher_counters(simulation->batcher);
    const uint64_t vector_before = counters->vector_jobs;
    const uint64_t twin_before = counters->twin_jobs;

    (void)hbk_batcher_flush(simulation->batcher, simulation->now_ns);
    const uint64_t taken_ns = (counters->vector_jobs > vector_before ? simulation->batch_ns : 0) +
                              (counters->twin_jobs - twin_before) * simulation->single_ns;
    simulation->now_ns += taken_ns;
    simulation->busy_ns += taken_ns;
    for (unsigned i = 0; i < simulation->done_count; i++) {
        struct arrival *arrival = simulation->done[i];
        hbk_histogram_record(&simulation->latency, simulation->now_ns - arrival->arrived_ns);
        hbk_list_append(&simulation->free, &arrival->free_link);
    }
    simulation->done_count = 0;
}

/* Up to that time. */
static void simulate(struct simulation *simulation, double rate, uint64_t end_ns)
{
    while (simulation->now_ns < end_ns) {
        for (; simulation->next_ns <= simulation->now_ns;
             simulation->next_ns += next_gap_ns(simulation, rate)) {
            arrive(simulation, simulation->next_ns);
        }
        const uint64_t due_ns = hbk_batcher_due_ns(simulation->batcher);
        if (due_ns <= simulation->now_ns) {
            work(simulation);
        } else {
            simulation->now_ns = due_ns < simulation->next_ns ? due_ns : simulation->next_ns;
        }
    }
}

static double mean_lanes(const struct hbk_batcher_counters *counters)
{
    const hbk_batcher_count *batches = counters->batches[QUEUE];
    uint64_t count = 0, jobs = 0;

    for (unsigned i = 0; i < HBK_LANES; i++) {
        count += batches[i];
        jobs += batches[i] * (i + 1);
    }
    return count == 0 ? 0 : (double)jobs / (double)count;
}

/* Another seed for each round (splitmix64), the same for all policies and loads. */
static uint64_t seed_of(unsigned round)
{
    uint64_t seed = (round + 1) * UINT64_C(0x9e3779b97f4a7c15);
    seed = (seed ^ seed >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    seed = (seed ^ seed >> 27) * UINT64_C(0x94d049bb133111eb);
    return seed ^ seed >> 31;
}

/* One round; returns the share of the core that was busy. */
static double run_round(struct simulation *simulation, unsigned round, double rate, double seconds)
{
    hbk_list_init(&simulation->free);
    for (int i = 0; i < JOBS; i++) {
        hbk_link_init(&simulation->arrivals[i].free_link);
        hbk_list_append(&simulation->free, &simulation->arrivals[i].free_link);
    }
    simulation->random = seed_of(round);
    simulation->now_ns = 0;
    simulation->next_ns = next_gap_ns(simulation, rate);
    simulate(simulation, rate, warm_up_ns);

    const uint64_t start_ns = simulation->now_ns;
    simulation->busy_ns = 0;
    hbk_histogram_clear(&simulation->latency);
    simulate(simulation, rate, start_ns + (uint64_t)(seconds * 1e9));
    return (double)simulation->busy_ns / (double)(simulation->now_ns - start_ns);
}

static double percentile_us(const struct simulation *simulation, double percentile)
{
    return (double)hbk_histogram_percentile(&simulation->latency, percentile) / 1e3;
}

static hbk_status run_policy(struct simulation *simulation, const struct policy *policy,
                             double load, double seconds, struct figures *figures,
                             struct hbk_arrival_row *out_row)
{
    struct hbk_batcher_options options;
    struct hbk_batcher_counters counters = {0};
    const double rate = load * 1e9 * HBK_LANES / (double)simulation->batch_ns;

    hbk_batcher_options_init(&options);
    options.path = policy->is_twin ? HBK_PATH_TWIN : options.path;
    options.policy = policy->policy;
    options.delay_ns = policy->delay_ns;
    options.break_even[QUEUE] = options.break_even[HBK_QUEUE_RSA_PRIVATE_2048];
    options.counters = &counters;
    simulation->refused = 0;
    for (unsigned round = 0; round < HBK_ARRIVAL_ROUNDS; round++) {
        HBK_TRY(hbk_batcher_new(&options, &simulation->batcher));
        figures->cpu[round] = run_round(simulation, round, rate, seconds);
        hbk_batcher_free(simulation->batcher);
        figures->p50_us[round] = percentile_us(simulation, 50);
        figures->p99_us[round] = percentile_us(simulation, 99);
    }
    *out_row = (struct hbk_arrival_row){
        .policy = policy->name,
        .load = load,
        .rate = rate,
        .cpu = hbk_estimate_of(figures->cpu, HBK_ARRIVAL_ROUNDS),
        .p50_us = hbk_estimate_of(figures->p50_us, HBK_ARRIVAL_ROUNDS),
        .p99_us = hbk_estimate_of(figures->p99_us, HBK_ARRIVAL_ROUNDS),
        .mean_lanes = mean_lanes(&counters),
        .refused = simulation->refused,
    };
    return HBK_OK;
}

/* The median time of a batch with `count` lanes. */
static uint64_t batch_ns(struct hbk_histogram *times, struct hbk_rsa_batch *batch,
                         const struct hbk_rsa_key *key, enum hbk_path path, int count)
{
    uint8_t input[RSA_BITS / 8];
    uint8_t outputs[HBK_LANES][RSA_BITS / 8];
    struct hbk_rsa_operation operations[HBK_LANES];
    struct hbk_rsa_operation *lanes[HBK_LANES] = {NULL};

    memset(input, 0x35, sizeof(input));
    for (int i = 0; i < count; i++) {
        operations[i] =
            (struct hbk_rsa_operation){.key = key, .input = input, .output = outputs[i]};
        lanes[i] = &operations[i];
    }
    hbk_histogram_clear(times);
    for (int i = 0; i < CALIBRATION_BATCHES; i++) {
        const uint64_t start_ns = hbk_clock_thread_cpu_ns();
        hbk_rsa_private_lanes(path, batch, lanes);
        hbk_histogram_record(times, hbk_clock_thread_cpu_ns() - start_ns);
    }
    return hbk_histogram_percentile(times, 50);
}

/* What a batch and a single signature of RSA-2048 cost here. */
static hbk_status calibrate(struct simulation *simulation)
{
    struct hbk_rsa_batch *batch = hbk_rsa_batch_new();
    EVP_PKEY *pkey = EVP_RSA_gen(RSA_BITS);
    struct hbk_rsa_key *key = NULL;
    hbk_status status = HBK_NO_MEMORY;

    if (batch != NULL && pkey != NULL && hbk_rsa_key_new(pkey, &key) == HBK_OK) {
        simulation->batch_ns =
            batch_ns(&simulation->latency, batch, key, hbk_cpu_path(), HBK_LANES);
        simulation->single_ns = batch_ns(&simulation->latency, batch, key, HBK_PATH_TWIN, 1);
        status = HBK_OK;
    }
    hbk_rsa_key_free(key);
    EVP_PKEY_free(pkey);
    hbk_rsa_batch_free(batch);
    return status;
}

static struct hbk_estimate difference_of(const double *values, const double *than)
{
    double differences[HBK_ARRIVAL_ROUNDS];
    for (unsigned i = 0; i < HBK_ARRIVAL_ROUNDS; i++) {
        differences[i] = values[i] - than[i];
    }
    return hbk_estimate_of(differences, HBK_ARRIVAL_ROUNDS);
}

static void compare_all(const struct figures figures[POLICIES], double load,
                        const struct hbk_arrival_report *report)
{
    static const enum policy_index fixed[] = {FIXED_1_MS, FIXED_10_MS};
    static const enum policy_index ours[] = {NOW, ADAPTIVE};

    for (size_t i = 0; i < HBK_COUNT(fixed); i++) {
        for (size_t k = 0; k < HBK_COUNT(ours); k++) {
            const struct figures *mine = &figures[ours[k]];
            const struct figures *theirs = &figures[fixed[i]];
            const struct hbk_arrival_comparison comparison = {
                .policy = policies[ours[k]].name,
                .than = policies[fixed[i]].name,
                .load = load,
                .cpu = difference_of(mine->cpu, theirs->cpu),
                .p99_us = difference_of(mine->p99_us, theirs->p99_us),
            };
            report->on_comparison(report->context, &comparison);
        }
    }
}

bool hbk_arrival_is_worse(const struct hbk_arrival_comparison *comparison)
{
    return comparison->cpu.low > 0 && comparison->p99_us.low > 0;
}

/* Who was not compared keeps no rule. */
static bool is_worse(const struct hbk_arrival_comparison *comparisons, size_t count,
                     const char *policy, const struct hbk_arrival_comparison *as)
{
    for (size_t i = 0; i < count; i++) {
        if (strcmp(comparisons[i].policy, policy) == 0 && comparisons[i].load == as->load &&
            strcmp(comparisons[i].than, as->than) == 0) {
            return hbk_arrival_is_worse(&comparisons[i]);
        }
    }
    return true;
}

const struct hbk_arrival_comparison *
hbk_arrival_find_broken(const struct hbk_arrival_comparison *comparisons, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (is_worse(comparisons, count, "now", &comparisons[i]) &&
            is_worse(comparisons, count, "adaptive", &comparisons[i])) {
            return &comparisons[i];
        }
    }
    return NULL;
}

static hbk_status run_all(struct simulation *simulation, double seconds,
                          const struct hbk_arrival_report *report)
{
    struct figures figures[POLICIES];

    HBK_TRY(calibrate(simulation));
    for (size_t j = 0; j < HBK_COUNT(loads); j++) {
        for (size_t i = 0; i < POLICIES; i++) {
            struct hbk_arrival_row row;
            HBK_TRY(run_policy(simulation, &policies[i], loads[j], seconds, &figures[i], &row));
            report->on_row(report->context, &row);
        }
        compare_all(figures, loads[j], report);
    }
    return HBK_OK;
}

hbk_status hbk_arrival_run(double seconds, const struct hbk_arrival_report *report,
                           struct hbk_error *error)
{
    struct simulation simulation = {.arrivals = calloc(JOBS, sizeof(struct arrival))};
    hbk_status status = HBK_NO_MEMORY;

    if (simulation.arrivals != NULL && hbk_histogram_init(&simulation.latency) == HBK_OK) {
        status = run_all(&simulation, seconds, report);
        hbk_histogram_fini(&simulation.latency);
    }
    free(simulation.arrivals);
    return status == HBK_OK ? HBK_OK : hbk_error_set(error, status, "policies: no memory");
}
