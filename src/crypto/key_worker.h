/*
 * Where a worker uses private keys. An operation is submitted and completes in a later flush,
 * whoever computes it, so that a device, a remote signer and the batcher look alike. One key worker
 * per worker, used by that worker's thread only: no locks.
 *
 * An operation lies in memory of its submitter, mostly inside a handshake:
 *
 *     fill in --> hbk_key_submit --> (a turn or many) --> complete, from hbk_key_worker_flush
 *                               \--> hbk_key_cancel: never completed
 */
#pragma once

#include "base/list.h"
#include "crypto/batcher.h"
#include "crypto/private_key.h"

enum hbk_key_action {
    HBK_KEY_SIGN,        /* input: the message; it is hashed and padded here */
    HBK_KEY_SIGN_DIGEST, /* input: the hash of the message, by the scheme's function */
    HBK_KEY_DECRYPT,     /* RSA: input^d modulo n. Both are as long as the modulus; the padding is
                            the caller's to remove, in constant time (RFC 5246, 7.4.7.1) */
};

/* Ed25519 needs its message twice and so keeps a copy; a longer one is refused. */
enum { HBK_KEY_ED25519_MESSAGE_BYTES_MAX = 512 };

struct hbk_key_operation {
    /* Filled in by the submitter, and left alone until the end. */
    struct hbk_private_key *key; /* borrowed until the end */
    enum hbk_key_action action;
    enum hbk_sign_scheme scheme; /* of the two that sign */
    struct hbk_slice input;      /* read by hbk_key_submit alone */
    struct hbk_span output;      /* at least hbk_private_key_output_bytes(key), until the end */
    /* Called once, from hbk_key_worker_flush; may submit, cancel and free operations, this one too.
     */
    void (*complete)(struct hbk_key_operation *operation);

    /* The result: HBK_OK; HBK_INVALID: an input to decrypt that is not below the modulus; HBK_IO:
     * nobody could compute it. Then nothing of use is in `output`. */
    hbk_status status;
    size_t output_bytes; /* signatures of ECDSA are in DER, and so vary */

    /* The key worker's own; zero before the operation is first submitted. */
    uint8_t state;
    bool has_arrived;              /* `answer` has come, and is to be given back */
    struct hbk_batcher *batcher;   /* that has the job */
    struct hbk_key_answer *answer; /* to come from a device, or come; NULL: there is none */
    uint64_t deadline_ns;          /* of that */
    struct hbk_job job;
    struct hbk_link link;
    size_t block_bytes;
    uint8_t *block; /* owned until the end: RSA: what is raised; Ed25519: the message; else NULL */
};

struct hbk_key_worker;

/* Providers with waiting times of their own that a worker serves at once; a further one shares the
 * worker's batcher. */
enum { HBK_KEY_WORKER_BATCHERS_MAX = 16 };

/* `batcher` is borrowed until hbk_key_worker_free. Fails: HBK_NO_MEMORY. */
HBK_MUST_USE hbk_status hbk_key_worker_new(struct hbk_batcher *batcher,
                                           struct hbk_key_worker **out_worker);

/*
 * Lets the worker use devices: `wake` is called on any thread when an answer has arrived, and makes
 * the worker call hbk_key_worker_flush soon. Without it the operations of a device's keys go to the
 * batcher. Fails: HBK_NO_MEMORY.
 */
HBK_MUST_USE hbk_status hbk_key_worker_set_wake(struct hbk_key_worker *worker,
                                                void (*wake)(void *argument), void *argument);

/* Operations that are still under way are forgotten: cancel or complete them before. `wake` is not
 * called once this returns. */
void hbk_key_worker_free(struct hbk_key_worker *worker);

/*
 * Takes an operation on; it never completes inside the call. On failure it is not queued and will
 * not complete.
 *
 * Fails: HBK_UNSUPPORTED (the key does not do that), HBK_INVALID (an input of the wrong size),
 * HBK_LIMIT (the queue is full, or a message too long for Ed25519), HBK_IO (no entropy),
 * HBK_NO_MEMORY.
 */
HBK_MUST_USE hbk_status hbk_key_submit(struct hbk_key_worker *worker,
                                       struct hbk_key_operation *operation, uint64_t now_ns);

/*
 * Takes an operation out, wherever it is: it does not complete, its memory, its key and its output
 * are the submitter's again. One that is not submitted is left alone.
 */
void hbk_key_cancel(struct hbk_key_worker *worker, struct hbk_key_operation *operation);

/*
 * In place of hbk_batcher_flush: runs at most one batch that is due, of the worker's batcher or of
 * a provider's, and completes what came of it. True when more is due already.
 */
bool hbk_key_worker_flush(struct hbk_key_worker *worker, uint64_t now_ns);

/* In place of hbk_batcher_due_ns: a time, 0 for at once, UINT64_MAX for never. */
uint64_t hbk_key_worker_due_ns(const struct hbk_key_worker *worker);

/* What the batchers of providers have counted, all together; the worker's own batcher counts for
 * itself. Any thread, as long as the worker lives. */
const struct hbk_batcher_counters *hbk_key_worker_counters(const struct hbk_key_worker *worker);

/* The batcher that it was made with, for the other operations of a handshake. */
struct hbk_batcher *hbk_key_worker_batcher(const struct hbk_key_worker *worker);
