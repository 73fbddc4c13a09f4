/*
 * The batcher: where a worker's connections leave their asymmetric operations, so that eight of
 * them, of any connections and any keys, can run at once on the vector path. One batcher per
 * worker, used by that worker's thread only: no locks.
 *
 * A connection fills in a job, submits it and goes on; at the end of each turn of its loop the
 * worker calls hbk_batcher_flush, which runs at most one batch and calls the jobs' completions.
 */
#pragma once

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/duration.h"
#include "base/error.h"
#include "base/list.h"
#include "base/status.h"
#include "crypto/ed25519.h"
#include "crypto/lane.h"
#include "crypto/p256.h"
#include "crypto/p384.h"
#include "crypto/rsa.h"
#include "crypto/x25519.h"

enum hbk_job_kind {
    HBK_JOB_P256_KEYGEN,
    HBK_JOB_P256_AGREE,
    HBK_JOB_P256_SIGN,
    HBK_JOB_P256_VERIFY,
    HBK_JOB_X25519_KEYGEN,
    HBK_JOB_X25519_AGREE,
    HBK_JOB_RSA_PRIVATE,
    HBK_JOB_RSA_PUBLIC,
    /* These have no kernel: libcrypto computes one a flush. */
    HBK_JOB_P384_KEYGEN,
    HBK_JOB_P384_AGREE,
    HBK_JOB_P384_SIGN,
    HBK_JOB_P384_VERIFY,
    HBK_JOB_ED25519_SIGN,
    HBK_JOB_ED25519_VERIFY,
    HBK_JOB_KIND_COUNT,
};

/* There is a queue for each kind, and for RSA one for each size that the kernels know and one for
 * all others. Jobs in one queue can share a batch. */
enum hbk_batch_queue {
    HBK_QUEUE_P256_KEYGEN,
    HBK_QUEUE_P256_AGREE,
    HBK_QUEUE_P256_SIGN,
    HBK_QUEUE_P256_VERIFY,
    HBK_QUEUE_X25519_KEYGEN,
    HBK_QUEUE_X25519_AGREE,
    HBK_QUEUE_RSA_PUBLIC_2048,
    HBK_QUEUE_RSA_PUBLIC_3072,
    HBK_QUEUE_RSA_PUBLIC_4096,
    HBK_QUEUE_RSA_PUBLIC_OTHER,
    HBK_QUEUE_RSA_PRIVATE_2048,
    HBK_QUEUE_RSA_PRIVATE_3072,
    HBK_QUEUE_RSA_PRIVATE_4096,
    HBK_QUEUE_RSA_PRIVATE_OTHER,
    HBK_QUEUE_P384_KEYGEN,
    HBK_QUEUE_P384_AGREE,
    HBK_QUEUE_P384_SIGN,
    HBK_QUEUE_P384_VERIFY,
    HBK_QUEUE_ED25519_SIGN,
    HBK_QUEUE_ED25519_VERIFY,
    HBK_QUEUE_COUNT,
};

/* A short name for metrics, such as "p256-sign" and "rsa-2048-private"; never NULL. */
const char *hbk_batch_queue_name(enum hbk_batch_queue queue);

/*
 * One operation on its way. The submitter owns the memory, fills in `kind`, the operation of that
 * kind and `complete`, and leaves all of it alone until `complete` is called or the job cancelled.
 */
struct hbk_job {
    enum hbk_job_kind kind;
    /* Called once, from hbk_batcher_flush; may submit, cancel and free jobs, this one too. */
    void (*complete)(struct hbk_job *job);
    union {
        struct hbk_p256_keygen p256_keygen;
        struct hbk_p256_agree p256_agree;
        struct hbk_p256_sign p256_sign;
        struct hbk_p256_verify p256_verify;
        struct hbk_x25519_keygen x25519_keygen;
        struct hbk_x25519_agree x25519_agree;
        struct hbk_rsa_operation rsa;
        struct hbk_p384_keygen p384_keygen;
        struct hbk_p384_agree p384_agree;
        struct hbk_p384_sign p384_sign;
        struct hbk_p384_verify p384_verify;
        struct hbk_ed25519_sign ed25519_sign;
        struct hbk_ed25519_verify ed25519_verify;
    } operation;

    /* The batcher's own; zero before the job is first submitted. */
    struct hbk_link link;
    uint64_t submitted_ns;
    uint8_t state;
};

enum {
    HBK_BATCHER_QUEUED_MAX = 4096,
    HBK_BATCHER_DELAY_NS = 10 * 1000 * 1000, /* the default of the policies that wait */
};

/* A count with one writer, the worker, and readers on any thread. Relaxed: each stands alone. */
typedef _Atomic uint64_t hbk_batcher_count;

/* Counted since the start. */
struct hbk_batcher_counters {
    hbk_batcher_count batches[HBK_QUEUE_COUNT][HBK_LANES]; /* by their number of lanes, less one */
    hbk_batcher_count vector_jobs;                         /* computed by the kernels */
    hbk_batcher_count twin_jobs;                           /* computed by libcrypto */
    hbk_batcher_count redone_jobs; /* of the vector jobs: wrong there, and computed again */
    hbk_batcher_count cancelled_jobs;
    hbk_batcher_count refused_jobs;                  /* the queue was full */
    hbk_batcher_count ages[HBK_DURATION_BOUNDS + 1]; /* time queued, by hbk_duration_bucket */
    hbk_batcher_count age_ns_sum, age_ns_max;
};

/* When a queue that has fewer than eight jobs is run. On libcrypto's path none waits. */
enum hbk_batch_policy {
    HBK_BATCH_NOW,      /* at the end of the turn: waits for nothing */
    HBK_BATCH_FIXED,    /* after delay_ns, full or not, always on the vector path: it saves CPU */
    HBK_BATCH_ADAPTIVE, /* only while the arrivals of late make it likely that a full batch, or at
                           least the break-even, is reached within a third of delay_ns; after at
                           most that, or after delay_ns where a full batch is near */
};

struct hbk_batcher_options {
    enum hbk_path path;
    enum hbk_batch_policy policy;
    uint64_t delay_ns;   /* of the policies that wait */
    unsigned queued_max; /* jobs in all queues together */
    /* From how many jobs on a queue is run on the vector path, from 1 to HBK_LANES + 1 (never);
     * with fewer, libcrypto computes the first of them, and the next flush looks again. */
    uint8_t break_even[HBK_QUEUE_COUNT];

    /* Told of each batch when it is taken out of its queue: `count` jobs. NULL: nobody is. */
    void (*on_batch)(enum hbk_batch_queue queue, struct hbk_job *const jobs[HBK_LANES],
                     unsigned count);

    /* Where it counts, with others of the same thread; borrowed. NULL: for itself. */
    struct hbk_batcher_counters *counters;
};

/* Policy now on this processor's path, with the break-evens measured on servers of 2022 to 2024. */
void hbk_batcher_options_init(struct hbk_batcher_options *options);

/*
 * Takes a break-even of another machine, as `hauberk speed primitives` measures it there: `queue`
 * is a name of hbk_batch_queue_name, `lanes` from 1 to HBK_LANES + 1 (never).
 *
 * Fails: HBK_NOT_FOUND (no such queue), HBK_INVALID (the number, or a queue without a kernel).
 */
HBK_MUST_USE hbk_status hbk_batcher_options_set_break_even(struct hbk_batcher_options *options,
                                                           struct hbk_slice queue, unsigned lanes,
                                                           struct hbk_error *error);

struct hbk_batcher;

/* Fails: HBK_NO_MEMORY. The options are copied. */
HBK_MUST_USE hbk_status hbk_batcher_new(const struct hbk_batcher_options *options,
                                        struct hbk_batcher **out_batcher);

/* Jobs that are still queued or under way are forgotten: cancel or complete them before. */
void hbk_batcher_free(struct hbk_batcher *batcher);

/* Fails: HBK_LIMIT when queued_max jobs wait; the job is then not queued and not completed. */
HBK_MUST_USE hbk_status hbk_batcher_submit(struct hbk_batcher *batcher, struct hbk_job *job,
                                           uint64_t now_ns);

/*
 * Takes a job out, wherever it is; its completion is not called, and its memory and the buffers it
 * points to are the submitter's again. A job that is not submitted is left alone.
 */
void hbk_batcher_cancel(struct hbk_batcher *batcher, struct hbk_job *job);

/*
 * Runs one batch that is due, or one step of a long one, and completes its jobs. True when more is
 * due already: the worker then polls for events without waiting and comes back.
 */
bool hbk_batcher_flush(struct hbk_batcher *batcher, uint64_t now_ns);

/* When hbk_batcher_flush has something to do: a time, 0 for at once, UINT64_MAX for never. */
uint64_t hbk_batcher_due_ns(const struct hbk_batcher *batcher);

/* Any thread, as long as the batcher lives. */
const struct hbk_batcher_counters *hbk_batcher_counters(const struct hbk_batcher *batcher);
