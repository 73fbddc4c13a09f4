#include "bench/arrival.h"

#include <math.h>
#include <openssl/evp.h>
#include <openssl/rsa.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/histogram.h"
#include "crypto/batcher.h"
#include "crypto/cpu.h"

enum { JOBS = HBK_BATCHER_QUEUED_MAX + HBK_LANES, RSA_BITS = 2048, CALIBRATION_BATCHES = 101 };

/* A signature on its way; free ones are in a list. */
struct arrival {
    struct hbk_job job;
    struct hbk_link free_link;
    struct simulation *simulation;
    uint64_t arrived_ns;
    uint8_t output[RSA_BITS / 8];
};

struct simulation {
    struct hbk_batcher *batcher;
    struct hbk_rsa_key *key;
    struct arrival *arrivals;
    struct hbk_list free;
    struct hbk_histogram latency;
    struct arrival *done[HBK_LANES]; /* in this flush: they get their time after it */
    unsigned done_count;
    uint64_t now_ns;
    uint64_t busy_ns;
    uint64_t batch_ns;  /* the cost of a batch, full or not */
    uint64_t single_ns; /* and of one signature by libcrypto */
    unsigned refused;
    uint64_t random;
    uint8_t input[RSA_BITS / 8];
};

struct policy {
    const char *name;
    bool is_twin;
    enum hbk_batch_policy policy;
    uint64_t delay_ns;
};

static const struct policy policies[] = {
    {"none", true, HBK_BATCH_NOW, 0},
    {"fixed-1ms", false, HBK_BATCH_FIXED, HBK_NS_PER_MS},
    {"fixed-10ms", false, HBK_BATCH_FIXED, 10 * HBK_NS_PER_MS},
    {"now", false, HBK_BATCH_NOW, 0},
    {"adaptive", false, HBK_BATCH_ADAPTIVE, HBK_BATCHER_DELAY_NS},
};

static const double loads[] = {0.05, 0.25, 0.50, 0.75, 0.95};

_Static_assert(HBK_COUNT(policies) * HBK_COUNT(loads) == HBK_ARRIVAL_ROWS, "as arrival.h says");

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
    arrival->job = (struct hbk_job){.kind = HBK_JOB_RSA_PRIVATE, .complete = on_complete};
    arrival->job.operation.rsa = (struct hbk_rsa_operation){
        .key = simulation->key, .input = simulation->input, .output = arrival->output};
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

static void simulate(struct simulation *simulation, double rate, double seconds)
{
    const uint64_t end_ns = (uint64_t)(seconds * 1e9);
    uint64_t next_ns = next_gap_ns(simulation, rate);

    simulation->now_ns = 0;
    simulation->busy_ns = 0;
    while (simulation->now_ns < end_ns) {
        for (; next_ns <= simulation->now_ns; next_ns += next_gap_ns(simulation, rate)) {
            arrive(simulation, next_ns);
        }
        const uint64_t due_ns = hbk_batcher_due_ns(simulation->batcher);
        if (due_ns <= simulation->now_ns) {
            work(simulation);
        } else {
            simulation->now_ns = due_ns < next_ns ? due_ns : next_ns;
        }
    }
}

static double mean_lanes(const struct hbk_batcher *batcher)
{
    const hbk_batcher_count *batches =
        hbk_batcher_counters(batcher)->batches[HBK_QUEUE_RSA_PRIVATE_2048];
    uint64_t count = 0, jobs = 0;

    for (unsigned i = 0; i < HBK_LANES; i++) {
        count += batches[i];
        jobs += batches[i] * (i + 1);
    }
    return count == 0 ? 0 : (double)jobs / (double)count;
}

static hbk_status run_policy(struct simulation *simulation, const struct policy *policy,
                             double load, double capacity, double seconds,
                             struct hbk_arrival_row *out_row)
{
    struct hbk_batcher_options options;

    hbk_batcher_options_init(&options);
    options.path = policy->is_twin ? HBK_PATH_TWIN : options.path;
    options.policy = policy->policy;
    options.delay_ns = policy->delay_ns;
    HBK_TRY(hbk_batcher_new(&options, &simulation->batcher));
    hbk_list_init(&simulation->free);
    for (int i = 0; i < JOBS; i++) {
        hbk_link_init(&simulation->arrivals[i].free_link);
        hbk_list_append(&simulation->free, &simulation->arrivals[i].free_link);
    }
    hbk_histogram_clear(&simulation->latency);
    simulation->refused = 0;
    simulation->random = UINT64_C(88172645463325252);
    simulate(simulation, load * capacity, seconds);
    *out_row = (struct hbk_arrival_row){
        .policy = policy->name,
        .load = load,
        .rate = load * capacity,
        .cpu = (double)simulation->busy_ns / (double)simulation->now_ns,
        .p50_us = (double)hbk_histogram_percentile(&simulation->latency, 50) / 1e3,
        .p99_us = (double)hbk_histogram_percentile(&simulation->latency, 99) / 1e3,
        .mean_lanes = mean_lanes(simulation->batcher),
        .refused = simulation->refused,
    };
    hbk_batcher_free(simulation->batcher);
    return HBK_OK;
}

/* The median time of a batch with `count` lanes. */
static uint64_t batch_ns(struct simulation *simulation, struct hbk_rsa_batch *batch,
                         enum hbk_path path, int count)
{
    struct hbk_rsa_operation operations[HBK_LANES];
    struct hbk_rsa_operation *lanes[HBK_LANES] = {NULL};

    for (int i = 0; i < count; i++) {
        operations[i] = (struct hbk_rsa_operation){.key = simulation->key,
                                                   .input = simulation->input,
                                                   .output = simulation->arrivals[i].output};
        lanes[i] = &operations[i];
    }
    hbk_histogram_clear(&simulation->latency);
    for (int i = 0; i < CALIBRATION_BATCHES; i++) {
        const uint64_t start_ns = hbk_clock_thread_cpu_ns();
        hbk_rsa_private_lanes(path, batch, lanes);
        hbk_histogram_record(&simulation->latency, hbk_clock_thread_cpu_ns() - start_ns);
    }
    return hbk_histogram_percentile(&simulation->latency, 50);
}

static bool is_worse(const struct hbk_arrival_row *rows, size_t count, const char *policy,
                     const struct hbk_arrival_row *than)
{
    for (size_t i = 0; i < count; i++) {
        if (strcmp(rows[i].policy, policy) == 0 && rows[i].load == than->load) {
            return rows[i].cpu > than->cpu && rows[i].p99_us > than->p99_us;
        }
    }
    return true; /* who was not measured keeps no rule */
}

const struct hbk_arrival_row *hbk_arrival_find_broken(const struct hbk_arrival_row *rows,
                                                      size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (strncmp(rows[i].policy, "fixed", 5) == 0 && is_worse(rows, count, "now", &rows[i]) &&
            is_worse(rows, count, "adaptive", &rows[i])) {
            return &rows[i];
        }
    }
    return NULL;
}

static hbk_status run_all(struct simulation *simulation, struct hbk_rsa_batch *batch,
                          double seconds, hbk_arrival_report *report, void *context)
{
    simulation->batch_ns = batch_ns(simulation, batch, hbk_cpu_path(), HBK_LANES);
    simulation->single_ns = batch_ns(simulation, batch, HBK_PATH_TWIN, 1);
    const double capacity = 1e9 * HBK_LANES / (double)simulation->batch_ns;

    for (size_t i = 0; i < HBK_COUNT(policies); i++) {
        for (size_t j = 0; j < HBK_COUNT(loads); j++) {
            struct hbk_arrival_row row;
            HBK_TRY(run_policy(simulation, &policies[i], loads[j], capacity, seconds, &row));
            report(context, &row);
        }
    }
    return HBK_OK;
}

hbk_status hbk_arrival_run(double seconds, hbk_arrival_report *report, void *context,
                           struct hbk_error *error)
{
    struct simulation simulation = {.arrivals = calloc(JOBS, sizeof(struct arrival))};
    struct hbk_rsa_batch *batch = hbk_rsa_batch_new();
    EVP_PKEY *pkey = EVP_RSA_gen(RSA_BITS);
    hbk_status status = HBK_NO_MEMORY;

    memset(simulation.input, 0x35, sizeof(simulation.input));
    if (simulation.arrivals != NULL && batch != NULL && pkey != NULL &&
        hbk_rsa_key_new(pkey, &simulation.key) == HBK_OK &&
        hbk_histogram_init(&simulation.latency) == HBK_OK) {
        status = run_all(&simulation, batch, seconds, report, context);
        hbk_histogram_fini(&simulation.latency);
    }
    hbk_rsa_key_free(simulation.key);
    EVP_PKEY_free(pkey);
    hbk_rsa_batch_free(batch);
    free(simulation.arrivals);
    return status == HBK_OK ? HBK_OK : hbk_error_set(error, status, "policies: no memory");
}
