/*
 * What the TLS sessions of one worker share: the batcher that computes for them, the cache of
 * verdicts, key pairs made ahead of need, random bytes bought in bulk, memory for handshakes, and
 * the places of expanded keys.
 * Everything belongs to the worker's thread.
 *
 * Key pairs for key shares are made eight at a time, since a full batch costs no more than a lone
 * one: a handshake finds its pair ready, and the pair is used once and wiped.
 */
#pragma once

#include <stdint.h>

#include "base/pool.h"
#include "crypto/key_worker.h"
#include "identity/verdict.h"
#include "tls/context.h"

enum {
    HBK_TLS_HANDSHAKES_MAX = 16384,        /* in flight at once on one worker, by default */
    HBK_TLS_RANDOM_BYTES = 4096,           /* bought from libcrypto at once */
    HBK_TLS_MESSAGE_BYTES_MAX = 128 << 10, /* one handshake message, above every chain we accept */
};

struct hbk_tls_worker_options {
    struct hbk_key_worker *keys;        /* borrowed for the worker's life; over its batcher */
    struct hbk_verdict_cache *verdicts; /* borrowed; NULL: every chain is judged anew */
    size_t handshakes_max;              /* 0: HBK_TLS_HANDSHAKES_MAX */

    /* Lines of the SSLKEYLOGFILE format, for people who debug; NULL: secrets stay here. Insecure.
     */
    void (*key_log)(void *owner, const char *line);
    void *key_log_owner;
};

/* Counted since the start; read them on the worker's thread. */
struct hbk_tls_worker_counters {
    uint64_t handshakes_full[HBK_TLS_ENGINE_COUNT];
    uint64_t handshakes_resumed[HBK_TLS_ENGINE_COUNT];
    uint64_t handshakes_failed[HBK_TLS_ENGINE_COUNT];
    uint64_t handshakes_refused; /* handshakes_max were in flight */
    uint64_t retries_asked;      /* HelloRetryRequests sent */
    uint64_t handed_over;        /* native hellos that openssl went on with */
};

struct hbk_tls_worker;

/* Fails: HBK_NO_MEMORY, HBK_IO (entropy). */
HBK_MUST_USE hbk_status hbk_tls_worker_new(const struct hbk_tls_worker_options *options,
                                           struct hbk_tls_worker **out_worker);

/* After the last session of the worker. Wipes. NULL is allowed. */
void hbk_tls_worker_free(struct hbk_tls_worker *worker);

const struct hbk_tls_worker_counters *hbk_tls_worker_counters(const struct hbk_tls_worker *worker);

/* Handshakes in flight now. */
size_t hbk_tls_worker_in_flight(const struct hbk_tls_worker *worker);

/*
 * Lets go of certificates that were rotated out, with their keys, once no context and no session
 * holds them. True while the worker keeps forms of certificates for libssl: then something may be
 * let go later, and whoever has a clock calls this from time to time.
 */
bool hbk_tls_worker_tidy(struct hbk_tls_worker *worker);
/* Whether it keeps any. */
bool hbk_tls_worker_has_forms(const struct hbk_tls_worker *worker);

/* Unpredictable bytes. Fails: HBK_IO. */
HBK_MUST_USE hbk_status hbk_tls_worker_random(struct hbk_tls_worker *worker, struct hbk_span out);
