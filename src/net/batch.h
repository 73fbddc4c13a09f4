/*
 * The asymmetric operations of one loop: a batcher, the state that its TLS sessions share, and when
 * the batches run. A session that waits is told to this object; in HBK_PHASE_CRYPTO of the turn,
 * after established data was sent, one batch runs, and what it completed goes on in
 * HBK_PHASE_FLIGHT of the same turn. Any owner of a loop can have one.
 */
#pragma once

#include "base/clock.h"
#include "crypto/key_worker.h"
#include "identity/verdict.h"
#include "runtime/loop.h"
#include "tls/worker.h"

/* A key that was rotated out stays no longer than that behind its last context and session. */
#define HBK_BATCH_TIDY_NS HBK_NS_PER_S

struct hbk_batch {
    struct hbk_loop *loop;       /* borrowed */
    struct hbk_batcher *batcher; /* owned */
    struct hbk_key_worker *keys; /* owned: private keys, over the batcher or their providers */
    struct hbk_tls_worker *tls;  /* owned */
    struct hbk_verdict_cache verdicts; /* owned */
    struct hbk_task task;              /* a batch in this turn, or the next */
    struct hbk_timer timer;            /* ... or when the batcher's policy has waited enough */
    struct hbk_timer tidy;             /* of what handshakes of libssl leave with the worker */
    int event;                         /* owned: a device has answered, on a thread of its own */
    struct hbk_source source;          /* of that */
};

struct hbk_batch_options {
    const struct hbk_batcher_options *batcher; /* copied; NULL: hbk_batcher_options_init() */
    size_t verdicts_max;                       /* 0: HBK_VERDICT_CACHE_ENTRIES */
    size_t handshakes_max;                     /* as in tls/worker.h */
    void (*key_log)(void *owner, const char *line);
    void *key_log_owner;
};

/* `options` may be NULL. Fails: HBK_NO_MEMORY, HBK_LIMIT (descriptors), HBK_IO (entropy); then
 * nothing is held. */
HBK_MUST_USE hbk_status hbk_batch_init(struct hbk_batch *batch, struct hbk_loop *loop,
                                       const struct hbk_batch_options *options);

/* Lets devices that keys may name wake the loop. On the loop's thread, once. Fails: HBK_LIMIT,
 * HBK_NO_MEMORY, HBK_IO; what was opened goes with hbk_batch_fini(). */
HBK_MUST_USE hbk_status hbk_batch_serve_devices(struct hbk_batch *batch);

/* After the last session. Idempotent. */
void hbk_batch_fini(struct hbk_batch *batch);

/* Something was submitted: call it when a session has answered HBK_TLS_WAITING. */
void hbk_batch_wake(struct hbk_batch *batch);
