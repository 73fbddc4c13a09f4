/*
 * A turn of the batcher.
 *
 *     submit --> queue of its operation and size --(due)--> a batch of up to eight
 *                                                              |            |
 *                                             break-even reached            too few lanes
 *                                                              |            |
 *                                                        vector kernel    libcrypto: only the first
 *                                                              |            |
 *                                                              +--> completions
 *
 * Below the break-even only one job is taken at a time: while libcrypto computes it, others arrive,
 * and the next turn may find enough of them for a kernel. Taking all of them would cost a busy
 * worker the batch that was about to form.
 *
 * Which queue runs: among those that are due, the one whose first job waits longest. Private RSA
 * batches run in steps (hbk_rsa_batch_step); while one is under way every second flush is a step
 * and the other goes to whatever else is due, so that a signature of 4096 bits holds up nobody for
 * more than a millisecond.
 *
 * A job is in one of three places: in its queue, in the RSA batch under way, or in `completing`
 * between the end of its batch and its completion. Completions may do anything to other jobs, so
 * each place can lose a job at any time.
 */
#include "crypto/batcher.h"

#include <stdlib.h>

#include "base/assert.h"
#include "crypto/cpu.h"

enum { GAP_WEIGHT = 8, SOON_PARTS = 3, NEAR_PARTS = 4 };

enum job_state {
    JOB_IDLE, /* zero: as the submitter made it */
    JOB_QUEUED,
    JOB_IN_RSA_BATCH,
    JOB_COMPLETING,
};

struct queue {
    struct hbk_list jobs;
    unsigned count;
    uint64_t last_arrival_ns;
    uint64_t mean_gap_ns; /* between arrivals: a moving average */
    unsigned noted;       /* arrivals, up to GAP_WEIGHT */
};

struct hbk_batcher {
    struct hbk_batcher_options options;
    struct queue queues[HBK_QUEUE_COUNT];
    unsigned queued;
    struct hbk_batcher_counters own_counters;
    struct hbk_batcher_counters *counters; /* those, or the ones of the options */

    struct hbk_rsa_batch *rsa_private; /* the long batches */
    struct hbk_rsa_batch *rsa_public;
    struct hbk_job *rsa_jobs[HBK_LANES]; /* under way in rsa_private */
    bool is_rsa_running;
    bool is_rsa_next; /* the next flush is for the batch under way */

    struct hbk_job *completing[HBK_LANES];
};

static const char *const queue_names[HBK_QUEUE_COUNT] = {
    [HBK_QUEUE_P256_KEYGEN] = "p256-keygen",
    [HBK_QUEUE_P256_AGREE] = "p256-agree",
    [HBK_QUEUE_P256_SIGN] = "p256-sign",
    [HBK_QUEUE_P256_VERIFY] = "p256-verify",
    [HBK_QUEUE_X25519_KEYGEN] = "x25519-keygen",
    [HBK_QUEUE_X25519_AGREE] = "x25519-agree",
    [HBK_QUEUE_RSA_PUBLIC_2048] = "rsa-2048-public",
    [HBK_QUEUE_RSA_PUBLIC_3072] = "rsa-3072-public",
    [HBK_QUEUE_RSA_PUBLIC_4096] = "rsa-4096-public",
    [HBK_QUEUE_RSA_PUBLIC_OTHER] = "rsa-other-public",
    [HBK_QUEUE_RSA_PRIVATE_2048] = "rsa-2048-private",
    [HBK_QUEUE_RSA_PRIVATE_3072] = "rsa-3072-private",
    [HBK_QUEUE_RSA_PRIVATE_4096] = "rsa-4096-private",
    [HBK_QUEUE_RSA_PRIVATE_OTHER] = "rsa-other-private",
    [HBK_QUEUE_P384_KEYGEN] = "p384-keygen",
    [HBK_QUEUE_P384_AGREE] = "p384-agree",
    [HBK_QUEUE_P384_SIGN] = "p384-sign",
    [HBK_QUEUE_P384_VERIFY] = "p384-verify",
    [HBK_QUEUE_ED25519_SIGN] = "ed25519-sign",
    [HBK_QUEUE_ED25519_VERIFY] = "ed25519-verify",
};

const char *hbk_batch_queue_name(enum hbk_batch_queue queue)
{
    return queue_names[queue];
}

void hbk_batcher_options_init(struct hbk_batcher_options *options)
{
    /* Time of a batch over the time of libcrypto for one, rounded up; never without a kernel. */
    static const uint8_t break_even[HBK_QUEUE_COUNT] = {
        [HBK_QUEUE_P256_KEYGEN] = 2,
        [HBK_QUEUE_P256_AGREE] = 2,
        [HBK_QUEUE_P256_SIGN] = 2,
        [HBK_QUEUE_P256_VERIFY] = 2,
        [HBK_QUEUE_X25519_KEYGEN] = 1,
        [HBK_QUEUE_X25519_AGREE] = 1,
        [HBK_QUEUE_RSA_PUBLIC_2048] = 2,
        [HBK_QUEUE_RSA_PUBLIC_3072] = 2,
        [HBK_QUEUE_RSA_PUBLIC_4096] = 2,
        [HBK_QUEUE_RSA_PUBLIC_OTHER] = HBK_LANES + 1,
        [HBK_QUEUE_RSA_PRIVATE_2048] = 5,
        [HBK_QUEUE_RSA_PRIVATE_3072] = 3,
        [HBK_QUEUE_RSA_PRIVATE_4096] = 3,
        [HBK_QUEUE_RSA_PRIVATE_OTHER] = HBK_LANES + 1,
        [HBK_QUEUE_P384_KEYGEN] = HBK_LANES + 1,
        [HBK_QUEUE_P384_AGREE] = HBK_LANES + 1,
        [HBK_QUEUE_P384_SIGN] = HBK_LANES + 1,
        [HBK_QUEUE_P384_VERIFY] = HBK_LANES + 1,
        [HBK_QUEUE_ED25519_SIGN] = HBK_LANES + 1,
        [HBK_QUEUE_ED25519_VERIFY] = HBK_LANES + 1,
    };

    *options = (struct hbk_batcher_options){
        .path = hbk_cpu_path(),
        .policy = HBK_BATCH_NOW,
        .delay_ns = HBK_BATCHER_DELAY_NS,
        .queued_max = HBK_BATCHER_QUEUED_MAX,
    };
    memcpy(options->break_even, break_even, sizeof(break_even));
}

static void count_up(hbk_batcher_count *counter, uint64_t by)
{
    atomic_store_explicit(counter, atomic_load_explicit(counter, memory_order_relaxed) + by,
                          memory_order_relaxed);
}

/* The longest gap that is noted; eight of them are still a number. */
static uint64_t gap_max(uint64_t delay_ns)
{
    const uint64_t limit_ns = UINT64_MAX / HBK_LANES;
    return delay_ns < limit_ns ? delay_ns : limit_ns;
}

hbk_status hbk_batcher_new(const struct hbk_batcher_options *options,
                           struct hbk_batcher **out_batcher)
{
    struct hbk_batcher *batcher = calloc(1, sizeof(*batcher));

    if (batcher == NULL) {
        return HBK_NO_MEMORY;
    }
    batcher->options = *options;
    batcher->counters = options->counters != NULL ? options->counters : &batcher->own_counters;
    batcher->rsa_private = hbk_rsa_batch_new();
    batcher->rsa_public = hbk_rsa_batch_new();
    for (int i = 0; i < HBK_QUEUE_COUNT; i++) {
        hbk_list_init(&batcher->queues[i].jobs);
        batcher->queues[i].mean_gap_ns = gap_max(options->delay_ns); /* as after a quiet night */
    }
    if (batcher->rsa_private == NULL || batcher->rsa_public == NULL) {
        hbk_batcher_free(batcher);
        return HBK_NO_MEMORY;
    }
    *out_batcher = batcher;
    return HBK_OK;
}

void hbk_batcher_free(struct hbk_batcher *batcher)
{
    if (batcher != NULL) {
        hbk_rsa_batch_free(batcher->rsa_private);
        hbk_rsa_batch_free(batcher->rsa_public);
        free(batcher);
    }
}

const struct hbk_batcher_counters *hbk_batcher_counters(const struct hbk_batcher *batcher)
{
    return batcher->counters;
}

static enum hbk_batch_queue rsa_queue(enum hbk_batch_queue first, const struct hbk_rsa_key *key)
{
    switch (hbk_rsa_key_bits(key)) {
    case 2048:
        return first;
    case 3072:
        return first + 1;
    case 4096:
        return first + 2;
    default:
        return first + 3;
    }
}

static enum hbk_batch_queue queue_of(const struct hbk_job *job)
{
    static const enum hbk_batch_queue queues[HBK_JOB_KIND_COUNT] = {
        [HBK_JOB_P256_KEYGEN] = HBK_QUEUE_P256_KEYGEN,
        [HBK_JOB_P256_AGREE] = HBK_QUEUE_P256_AGREE,
        [HBK_JOB_P256_SIGN] = HBK_QUEUE_P256_SIGN,
        [HBK_JOB_P256_VERIFY] = HBK_QUEUE_P256_VERIFY,
        [HBK_JOB_X25519_KEYGEN] = HBK_QUEUE_X25519_KEYGEN,
        [HBK_JOB_X25519_AGREE] = HBK_QUEUE_X25519_AGREE,
        [HBK_JOB_P384_KEYGEN] = HBK_QUEUE_P384_KEYGEN,
        [HBK_JOB_P384_AGREE] = HBK_QUEUE_P384_AGREE,
        [HBK_JOB_P384_SIGN] = HBK_QUEUE_P384_SIGN,
        [HBK_JOB_P384_VERIFY] = HBK_QUEUE_P384_VERIFY,
        [HBK_JOB_ED25519_SIGN] = HBK_QUEUE_ED25519_SIGN,
        [HBK_JOB_ED25519_VERIFY] = HBK_QUEUE_ED25519_VERIFY,
    };

    switch (job->kind) {
    case HBK_JOB_RSA_PRIVATE:
        return rsa_queue(HBK_QUEUE_RSA_PRIVATE_2048, job->operation.rsa.key);
    case HBK_JOB_RSA_PUBLIC:
        return rsa_queue(HBK_QUEUE_RSA_PUBLIC_2048, job->operation.rsa.key);
    default:
        HBK_ASSERT(job->kind < HBK_JOB_KIND_COUNT);
        return queues[job->kind];
    }
}

static bool is_rsa_private(enum hbk_batch_queue queue)
{
    return queue >= HBK_QUEUE_RSA_PRIVATE_2048 && queue <= HBK_QUEUE_RSA_PRIVATE_OTHER;
}

/* Without a kernel nothing is gained by a batch; keys of any size meet in RSA's other queues. */
static unsigned lanes_max(enum hbk_batch_queue queue)
{
    bool has_kernel = queue < HBK_QUEUE_P384_KEYGEN && queue != HBK_QUEUE_RSA_PUBLIC_OTHER &&
                      queue != HBK_QUEUE_RSA_PRIVATE_OTHER;
    return has_kernel ? HBK_LANES : 1;
}

hbk_status hbk_batcher_options_set_break_even(struct hbk_batcher_options *options,
                                              struct hbk_slice queue, unsigned lanes,
                                              struct hbk_error *error)
{
    int index = 0;

    while (index < HBK_QUEUE_COUNT && !hbk_slice_equal(queue, hbk_slice_text(queue_names[index]))) {
        index++;
    }
    if (index == HBK_QUEUE_COUNT) {
        return hbk_error_set(error, HBK_NOT_FOUND,
                             "no queue is called \"%.*s\"; `hauberk speed primitives` prints the "
                             "names",
                             HBK_SLICE_ARGS(queue));
    }
    if (lanes_max((enum hbk_batch_queue)index) == 1) {
        return hbk_error_set(error, HBK_INVALID, "the queue %s has no kernel and no break-even",
                             queue_names[index]);
    }
    if (lanes < 1 || lanes > HBK_LANES + 1) {
        return hbk_error_set(error, HBK_INVALID,
                             "a break-even of %u lanes for %s; from 1 to %d are allowed, and %d "
                             "for never",
                             lanes, queue_names[index], HBK_LANES, HBK_LANES + 1);
    }
    options->break_even[index] = (uint8_t)lanes;
    return HBK_OK;
}

static struct hbk_job *job_of(struct hbk_link *link)
{
    return HBK_CONTAINER(link, struct hbk_job, link);
}

static const struct hbk_job *first_job(const struct queue *queue)
{
    return HBK_CONTAINER(queue->jobs.head.next, const struct hbk_job, link);
}

/*
 * The weight of a new gap in the mean is 1/8, a burst of eight tells; the first gaps have more, so
 * that a busy start is not taken for a quiet one. Gaps are cut to the bound, since all that are
 * longer mean "do not wait", so that a quiet night is soon forgotten.
 */
static void note_arrival(struct queue *queue, uint64_t now_ns, uint64_t delay_ns)
{
    const uint64_t gap_max_ns = gap_max(delay_ns);
    uint64_t gap_ns = now_ns - queue->last_arrival_ns;
    gap_ns = gap_ns < gap_max_ns ? gap_ns : gap_max_ns;

    const unsigned weight = queue->noted < GAP_WEIGHT ? queue->noted : GAP_WEIGHT;
    if (weight > 0) {
        queue->mean_gap_ns = queue->mean_gap_ns - queue->mean_gap_ns / weight + gap_ns / weight;
    }
    queue->noted += queue->noted < GAP_WEIGHT;
    queue->last_arrival_ns = now_ns;
}

hbk_status hbk_batcher_submit(struct hbk_batcher *batcher, struct hbk_job *job, uint64_t now_ns)
{
    HBK_ASSERT(job->state == JOB_IDLE && job->complete != NULL);

    if (batcher->queued >= batcher->options.queued_max) {
        count_up(&batcher->counters->refused_jobs, 1);
        return HBK_LIMIT;
    }
    struct queue *queue = &batcher->queues[queue_of(job)];
    job->state = JOB_QUEUED;
    job->submitted_ns = now_ns;
    hbk_link_init(&job->link);
    hbk_list_append(&queue->jobs, &job->link);
    note_arrival(queue, now_ns, batcher->options.delay_ns);
    queue->count++;
    batcher->queued++;
    return HBK_OK;
}

static void forget(struct hbk_job *places[HBK_LANES], const struct hbk_job *job)
{
    for (int i = 0; i < HBK_LANES; i++) {
        if (places[i] == job) {
            places[i] = NULL;
        }
    }
}

void hbk_batcher_cancel(struct hbk_batcher *batcher, struct hbk_job *job)
{
    switch ((enum job_state)job->state) {
    case JOB_IDLE:
        return;
    case JOB_QUEUED:
        hbk_link_remove(&job->link);
        batcher->queues[queue_of(job)].count--;
        batcher->queued--;
        break;
    case JOB_IN_RSA_BATCH:
        hbk_rsa_batch_cancel(batcher->rsa_private, &job->operation.rsa);
        forget(batcher->rsa_jobs, job);
        break;
    case JOB_COMPLETING:
        forget(batcher->completing, job);
        break;
    }
    job->state = JOB_IDLE;
    count_up(&batcher->counters->cancelled_jobs, 1);
}

/* An endless delay is endless. */
static uint64_t later(uint64_t start_ns, uint64_t delay_ns)
{
    return delay_ns < UINT64_MAX - start_ns ? start_ns + delay_ns : UINT64_MAX;
}

/* How long it should take until the queue has `lanes` jobs, as they came of late. */
static uint64_t expected_ns(const struct queue *queue, unsigned lanes)
{
    return (lanes - queue->count) * queue->mean_gap_ns;
}

/*
 * The adaptive policy waits for a full batch if one should come soon: within a third of the bound.
 * If not, and the break-even is not reached, it waits for that; else it does not wait. What did not
 * come when it should is given up, unless a full batch is near: then only the bound ends the wait,
 * so that at high rates nothing is run that is not full, as under the fixed policy.
 */
static uint64_t adaptive_due_ns(const struct hbk_batcher *batcher, enum hbk_batch_queue index)
{
    const struct queue *queue = &batcher->queues[index];
    const unsigned break_even = batcher->options.break_even[index];
    const uint64_t bound_ns = batcher->options.delay_ns;
    const uint64_t soon_ns = bound_ns / SOON_PARTS, near_ns = soon_ns / NEAR_PARTS;
    const uint64_t full_ns = expected_ns(queue, HBK_LANES);

    if (break_even > HBK_LANES) {
        return 0;
    }
    if (full_ns <= near_ns) {
        return later(first_job(queue)->submitted_ns, bound_ns);
    }
    const bool is_worth_waiting = full_ns <= soon_ns || (queue->count < break_even &&
                                                         expected_ns(queue, break_even) <= soon_ns);
    return is_worth_waiting ? later(first_job(queue)->submitted_ns, soon_ns) : 0;
}

/* When the policy lets a queue run: 0 for at once, UINT64_MAX for an empty one. Where nothing is
 * computed side by side there is nothing to wait for. */
static uint64_t queue_due_ns(const struct hbk_batcher *batcher, enum hbk_batch_queue index)
{
    const struct queue *queue = &batcher->queues[index];

    if (queue->count == 0) {
        return UINT64_MAX;
    }
    if (queue->count >= lanes_max(index) || !HBK_PATH_IS_VECTOR(batcher->options.path)) {
        return 0;
    }
    switch (batcher->options.policy) {
    case HBK_BATCH_NOW:
        return 0;
    case HBK_BATCH_FIXED:
        return later(first_job(queue)->submitted_ns, batcher->options.delay_ns);
    case HBK_BATCH_ADAPTIVE:
        return adaptive_due_ns(batcher, index);
    }
    HBK_UNREACHABLE();
}

uint64_t hbk_batcher_due_ns(const struct hbk_batcher *batcher)
{
    uint64_t due_ns = batcher->is_rsa_running ? 0 : UINT64_MAX;

    for (int i = 0; i < HBK_QUEUE_COUNT; i++) {
        uint64_t queue_ns = queue_due_ns(batcher, (enum hbk_batch_queue)i);
        due_ns = queue_ns < due_ns ? queue_ns : due_ns;
    }
    return due_ns;
}

/* The queue that can run now and whose first job waits longest; HBK_QUEUE_COUNT if there is none.
 */
static enum hbk_batch_queue choose_queue(const struct hbk_batcher *batcher, uint64_t now_ns)
{
    enum hbk_batch_queue chosen = HBK_QUEUE_COUNT;
    uint64_t oldest_ns = UINT64_MAX;

    for (int i = 0; i < HBK_QUEUE_COUNT; i++) {
        const enum hbk_batch_queue index = (enum hbk_batch_queue)i;
        if (batcher->queues[i].count == 0 || queue_due_ns(batcher, index) > now_ns ||
            (is_rsa_private(index) && batcher->is_rsa_running)) {
            continue;
        }
        if (first_job(&batcher->queues[i])->submitted_ns < oldest_ns) {
            oldest_ns = first_job(&batcher->queues[i])->submitted_ns;
            chosen = index;
        }
    }
    return chosen;
}

static void count_age(struct hbk_batcher_counters *counters, uint64_t age_ns)
{
    count_up(&counters->ages[hbk_duration_bucket(age_ns)], 1);
    count_up(&counters->age_ns_sum, age_ns);
    if (age_ns > atomic_load_explicit(&counters->age_ns_max, memory_order_relaxed)) {
        atomic_store_explicit(&counters->age_ns_max, age_ns, memory_order_relaxed);
    }
}

/* Moves at most `lanes_max` first jobs of a queue into lanes; returns how many. */
static unsigned take_jobs(struct hbk_batcher *batcher, enum hbk_batch_queue index,
                          unsigned lanes_max, uint64_t now_ns, struct hbk_job *jobs[HBK_LANES])
{
    struct queue *queue = &batcher->queues[index];
    unsigned count = 0;

    while (count < lanes_max && queue->count > 0) {
        struct hbk_job *job = job_of(hbk_list_pop(&queue->jobs));
        count_age(batcher->counters, now_ns - job->submitted_ns);
        jobs[count++] = job;
        queue->count--;
        batcher->queued--;
    }
    count_up(&batcher->counters->batches[index][count - 1], 1);
    if (batcher->options.on_batch != NULL) {
        batcher->options.on_batch(index, jobs, count);
    }
    return count;
}

/* Who computes what is in the queue. The policy of the paper never looks at the break-even. */
static enum hbk_path choose_path(const struct hbk_batcher *batcher, enum hbk_batch_queue index)
{
    const bool is_worth_while = batcher->options.policy == HBK_BATCH_FIXED ||
                                batcher->queues[index].count >= batcher->options.break_even[index];

    return HBK_PATH_IS_VECTOR(batcher->options.path) && is_worth_while && lanes_max(index) > 1
               ? HBK_PATH_VECTOR
               : HBK_PATH_TWIN;
}

static void complete_jobs(struct hbk_batcher *batcher, struct hbk_job *const jobs[HBK_LANES])
{
    for (int i = 0; i < HBK_LANES; i++) {
        batcher->completing[i] = jobs[i];
        if (jobs[i] != NULL) {
            jobs[i]->state = JOB_COMPLETING;
        }
    }
    for (int i = 0; i < HBK_LANES; i++) {
        struct hbk_job *job = batcher->completing[i];
        if (job != NULL) {
            batcher->completing[i] = NULL;
            job->state = JOB_IDLE;
            job->complete(job);
        }
    }
}

/* Collects the operations of one kind out of the jobs and runs them. */
#define RUN_LANES(field, run)                                            \
    do {                                                                 \
        __typeof__(jobs[0]->operation.field) *lanes[HBK_LANES] = {NULL}; \
        HBK_LANE_EACH (i, jobs) {                                        \
            lanes[i] = &jobs[i]->operation.field;                        \
        }                                                                \
        run;                                                             \
    } while (0)

static void run_single(struct hbk_job *job)
{
    switch (job->kind) {
    case HBK_JOB_P384_KEYGEN:
        hbk_p384_keygen(&job->operation.p384_keygen);
        return;
    case HBK_JOB_P384_AGREE:
        hbk_p384_agree(&job->operation.p384_agree);
        return;
    case HBK_JOB_P384_SIGN:
        hbk_p384_sign(&job->operation.p384_sign);
        return;
    case HBK_JOB_P384_VERIFY:
        hbk_p384_verify(&job->operation.p384_verify);
        return;
    case HBK_JOB_ED25519_SIGN:
        hbk_ed25519_sign(&job->operation.ed25519_sign);
        return;
    case HBK_JOB_ED25519_VERIFY:
        hbk_ed25519_verify(&job->operation.ed25519_verify);
        return;
    default:
        HBK_UNREACHABLE();
    }
}

static void run_short(struct hbk_batcher *batcher, enum hbk_path path,
                      struct hbk_job *const jobs[HBK_LANES])
{
    switch (jobs[0]->kind) {
    case HBK_JOB_P256_KEYGEN:
        RUN_LANES(p256_keygen, hbk_p256_keygen_lanes(path, lanes));
        return;
    case HBK_JOB_P256_AGREE:
        RUN_LANES(p256_agree, hbk_p256_agree_lanes(path, lanes));
        return;
    case HBK_JOB_P256_SIGN:
        RUN_LANES(p256_sign, hbk_p256_sign_lanes(path, lanes));
        return;
    case HBK_JOB_P256_VERIFY:
        RUN_LANES(p256_verify, hbk_p256_verify_lanes(path, lanes));
        return;
    case HBK_JOB_X25519_KEYGEN:
        RUN_LANES(x25519_keygen, hbk_x25519_keygen_lanes(path, lanes));
        return;
    case HBK_JOB_X25519_AGREE:
        RUN_LANES(x25519_agree, hbk_x25519_agree_lanes(path, lanes));
        return;
    case HBK_JOB_RSA_PUBLIC:
        RUN_LANES(rsa, hbk_rsa_public_lanes(path, batcher->rsa_public, lanes));
        return;
    default:
        run_single(jobs[0]);
        return;
    }
}

static void begin_rsa(struct hbk_batcher *batcher, enum hbk_path path,
                      struct hbk_job *const jobs[HBK_LANES])
{
    for (int i = 0; i < HBK_LANES; i++) {
        batcher->rsa_jobs[i] = jobs[i];
        if (jobs[i] != NULL) {
            jobs[i]->state = JOB_IN_RSA_BATCH;
        }
    }
    RUN_LANES(rsa, hbk_rsa_batch_begin(batcher->rsa_private, path, lanes));
    batcher->is_rsa_running = true;
}

static void step_rsa(struct hbk_batcher *batcher)
{
    struct hbk_job *jobs[HBK_LANES];

    batcher->is_rsa_next = false;
    if (!hbk_rsa_batch_step(batcher->rsa_private)) {
        return;
    }
    batcher->is_rsa_running = false;
    memcpy(jobs, batcher->rsa_jobs, sizeof(jobs));
    memset(batcher->rsa_jobs, 0, sizeof(batcher->rsa_jobs));
    HBK_LANE_EACH (i, jobs) {
        count_up(&batcher->counters->redone_jobs, jobs[i]->operation.rsa.was_redone);
    }
    complete_jobs(batcher, jobs);
}

/* Runs a short batch to its end, or begins a long one and does its first step. */
static void run_queue(struct hbk_batcher *batcher, enum hbk_batch_queue index, uint64_t now_ns)
{
    struct hbk_job *jobs[HBK_LANES] = {NULL};
    const enum hbk_path path = choose_path(batcher, index);

    if (path == HBK_PATH_VECTOR) {
        count_up(&batcher->counters->vector_jobs,
                 take_jobs(batcher, index, HBK_LANES, now_ns, jobs));
    } else {
        count_up(&batcher->counters->twin_jobs, take_jobs(batcher, index, 1, now_ns, jobs));
    }
    if (is_rsa_private(index)) {
        begin_rsa(batcher, path, jobs);
        step_rsa(batcher);
        return;
    }
    run_short(batcher, path, jobs);
    batcher->is_rsa_next = true;
    complete_jobs(batcher, jobs);
}

bool hbk_batcher_flush(struct hbk_batcher *batcher, uint64_t now_ns)
{
    const bool is_rsa_turn = batcher->is_rsa_running && batcher->is_rsa_next;
    const enum hbk_batch_queue index =
        is_rsa_turn ? HBK_QUEUE_COUNT : choose_queue(batcher, now_ns);

    if (index != HBK_QUEUE_COUNT) {
        run_queue(batcher, index, now_ns);
    } else if (batcher->is_rsa_running) {
        step_rsa(batcher);
    }
    return hbk_batcher_due_ns(batcher) <= now_ns;
}
