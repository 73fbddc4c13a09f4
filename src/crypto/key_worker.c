/*
 * Operations with private keys, on their way through a worker.
 *
 *     submit: hash and pad --+-- the provider has no waiting time --> the worker's batcher
 *                            +-- cryptomb --> a batcher that waits poll_delay
 *                            +-- software --> a batcher that knows libcrypto alone
 *                            +-- a device --> its slots; full, down, failed, wrong or late: as if
 *                                it had no waiting time, or to libcrypto if that queue is full
 *
 * Batchers of providers are made when their first operation comes, and are shared by all keys of
 * the same kind and waiting time: ten certificates fill the same batches that one would. One that
 * is idle makes room when another is needed; if none is idle, the operation goes to the worker's
 * own batcher, which computes the same.
 *
 * A flush runs at most one batch, so the places take turns.
 */
#include "crypto/key_worker.h"

#include <openssl/err.h>
#include <openssl/rand.h>
#include <stdlib.h>

#include "base/assert.h"
#include "crypto/device_queue.h"
#include "crypto/ecdsa_der.h"
#include "crypto/key_provider_parts.h"
#include "crypto/private_key_parts.h"
#include "crypto/rsa_padding.h"

enum operation_state {
    OPERATION_IDLE, /* zero: as the submitter made it */
    OPERATION_IN_BATCHER,
    OPERATION_AT_DEVICE,
};

/* A batcher with a provider's policy. */
struct place {
    struct hbk_batcher *batcher; /* owned; NULL: free */
    enum hbk_key_provider_kind kind;
    uint64_t poll_delay_ns;
};

struct hbk_key_worker {
    struct hbk_batcher *batcher; /* the worker's own, borrowed */
    struct place places[HBK_KEY_WORKER_BATCHERS_MAX];
    struct hbk_batcher_counters counters; /* of all that ever had a place */
    struct hbk_device_queue devices;
    unsigned turn;                     /* who runs next: see flush */
    const struct hbk_batcher *running; /* whose flush is under way; it must not be freed */
};

hbk_status hbk_key_worker_new(struct hbk_batcher *batcher, struct hbk_key_worker **out_worker)
{
    struct hbk_key_worker *worker = calloc(1, sizeof(*worker));

    if (worker == NULL) {
        return HBK_NO_MEMORY;
    }
    worker->batcher = batcher;
    hbk_device_queue_init(&worker->devices);
    *out_worker = worker;
    return HBK_OK;
}

void hbk_key_worker_free(struct hbk_key_worker *worker)
{
    if (worker == NULL) {
        return;
    }
    hbk_device_queue_fini(&worker->devices);
    for (int i = 0; i < HBK_KEY_WORKER_BATCHERS_MAX; i++) {
        hbk_batcher_free(worker->places[i].batcher);
    }
    free(worker);
}

hbk_status hbk_key_worker_set_wake(struct hbk_key_worker *worker, void (*wake)(void *argument),
                                   void *argument)
{
    HBK_ASSERT(worker->devices.mailbox == NULL);
    return hbk_device_queue_open(&worker->devices, wake, argument);
}

const struct hbk_batcher_counters *hbk_key_worker_counters(const struct hbk_key_worker *worker)
{
    return &worker->counters;
}

struct hbk_batcher *hbk_key_worker_batcher(const struct hbk_key_worker *worker)
{
    return worker->batcher;
}

/* ---- what is computed: hashes and paddings ---- */

static enum hbk_hash hash_of(enum hbk_sign_scheme scheme)
{
    switch (scheme) {
    case HBK_SIGN_RSA_PKCS1_SHA256:
    case HBK_SIGN_RSA_PSS_RSAE_SHA256:
    case HBK_SIGN_ECDSA_P256_SHA256:
        return HBK_HASH_SHA256;
    case HBK_SIGN_RSA_PKCS1_SHA384:
    case HBK_SIGN_RSA_PSS_RSAE_SHA384:
    case HBK_SIGN_ECDSA_P384_SHA384:
        return HBK_HASH_SHA384;
    case HBK_SIGN_RSA_PKCS1_SHA512:
    case HBK_SIGN_RSA_PSS_RSAE_SHA512:
    case HBK_SIGN_ED25519: /* hashes for itself */
        return HBK_HASH_SHA512;
    }
    HBK_UNREACHABLE();
}

static bool is_pss(enum hbk_sign_scheme scheme)
{
    return scheme == HBK_SIGN_RSA_PSS_RSAE_SHA256 || scheme == HBK_SIGN_RSA_PSS_RSAE_SHA384 ||
           scheme == HBK_SIGN_RSA_PSS_RSAE_SHA512;
}

static hbk_status hash_input(const struct hbk_key_operation *operation, enum hbk_hash hash,
                             uint8_t out_digest[HBK_HASH_BYTES_MAX])
{
    const struct hbk_slice input = operation->input;

    if (operation->action == HBK_KEY_SIGN_DIGEST) {
        if (input.size != hbk_hash_bytes(hash)) {
            return HBK_INVALID;
        }
        memcpy(out_digest, input.bytes, input.size);
        return HBK_OK;
    }
    hbk_hash_once(hash, input, out_digest);
    return HBK_OK;
}

/* What is in it is public: padded digests, ciphertexts, messages. */
static hbk_status make_block(struct hbk_key_operation *operation, size_t size)
{
    operation->block = malloc(size > 0 ? size : 1);
    operation->block_bytes = size;
    return operation->block == NULL ? HBK_NO_MEMORY : HBK_OK;
}

static void free_block(struct hbk_key_operation *operation)
{
    free(operation->block);
    operation->block = NULL;
}

static hbk_status pad(struct hbk_key_operation *operation, enum hbk_hash hash,
                      const uint8_t *digest)
{
    const unsigned bits = operation->key->bits;
    uint8_t salt[HBK_HASH_BYTES_MAX];
    bool is_done;

    if (is_pss(operation->scheme)) {
        if (RAND_bytes(salt, (int)hbk_hash_bytes(hash)) != 1) {
            ERR_clear_error();
            return HBK_IO;
        }
        is_done = hbk_rsa_pad_pss(hash, digest, salt, bits, operation->block);
    } else {
        is_done = hbk_rsa_pad_pkcs1(hash, digest, bits, operation->block);
    }
    return is_done ? HBK_OK : HBK_UNSUPPORTED;
}

static void set_rsa_job(struct hbk_key_operation *operation)
{
    operation->job.kind = HBK_JOB_RSA_PRIVATE;
    operation->job.operation.rsa = (struct hbk_rsa_operation){
        .key = operation->key->rsa,
        .input = operation->block,
        .output = operation->output.bytes,
    };
}

static hbk_status prepare_sign(struct hbk_key_operation *operation)
{
    const enum hbk_hash hash = hash_of(operation->scheme);
    uint8_t digest[HBK_HASH_BYTES_MAX];

    HBK_TRY(hash_input(operation, hash, digest));
    switch (operation->key->kind) {
    case HBK_KEY_RSA:
        HBK_TRY(make_block(operation, hbk_rsa_key_bytes(operation->key->rsa)));
        HBK_TRY(pad(operation, hash, digest));
        set_rsa_job(operation);
        return HBK_OK;
    case HBK_KEY_EC_P256:
        operation->job.kind = HBK_JOB_P256_SIGN;
        operation->job.operation.p256_sign =
            (struct hbk_p256_sign){.private_key = operation->key->scalar};
        memcpy(operation->job.operation.p256_sign.digest, digest, HBK_P256_BYTES);
        return HBK_OK;
    case HBK_KEY_EC_P384:
        operation->job.kind = HBK_JOB_P384_SIGN;
        operation->job.operation.p384_sign =
            (struct hbk_p384_sign){.private_key = operation->key->scalar};
        memcpy(operation->job.operation.p384_sign.digest, digest, HBK_P384_BYTES);
        return HBK_OK;
    case HBK_KEY_ED25519:
        break;
    }
    HBK_UNREACHABLE();
}

static hbk_status prepare_ed25519(struct hbk_key_operation *operation)
{
    if (operation->action == HBK_KEY_SIGN_DIGEST) {
        return HBK_UNSUPPORTED;
    }
    if (operation->input.size > HBK_KEY_ED25519_MESSAGE_BYTES_MAX) {
        return HBK_LIMIT;
    }
    HBK_TRY(make_block(operation, operation->input.size));
    if (operation->input.size > 0) {
        memcpy(operation->block, operation->input.bytes, operation->input.size);
    }
    operation->job.kind = HBK_JOB_ED25519_SIGN;
    operation->job.operation.ed25519_sign = (struct hbk_ed25519_sign){
        .private_key = operation->key->pkey,
        .message = hbk_slice_of(operation->block, operation->block_bytes),
    };
    return HBK_OK;
}

static hbk_status prepare(struct hbk_key_operation *operation)
{
    const struct hbk_private_key *key = operation->key;

    if (operation->action == HBK_KEY_DECRYPT) {
        if (key->kind != HBK_KEY_RSA) {
            return HBK_UNSUPPORTED;
        }
        if (operation->input.size != hbk_rsa_key_bytes(key->rsa)) {
            return HBK_INVALID;
        }
        HBK_TRY(make_block(operation, operation->input.size));
        memcpy(operation->block, operation->input.bytes, operation->input.size);
        set_rsa_job(operation);
        return HBK_OK;
    }
    if (!hbk_private_key_can_sign(key, operation->scheme)) {
        return HBK_UNSUPPORTED;
    }
    return key->kind == HBK_KEY_ED25519 ? prepare_ed25519(operation) : prepare_sign(operation);
}

/* ---- what came of it ---- */

static hbk_status status_of(enum hbk_lane_status status)
{
    switch (status) {
    case HBK_LANE_OK:
        return HBK_OK;
    case HBK_LANE_REFUSED:
        return HBK_INVALID;
    case HBK_LANE_FAILED:
        return HBK_IO;
    }
    HBK_UNREACHABLE();
}

static void finish(struct hbk_key_operation *operation, hbk_status status, size_t output_bytes)
{
    free_block(operation);
    operation->state = OPERATION_IDLE;
    operation->status = status;
    operation->output_bytes = status == HBK_OK ? output_bytes : 0;
    operation->complete(operation);
}

static void finish_ecdsa(struct hbk_key_operation *operation, enum hbk_lane_status status,
                         const uint8_t *signature, size_t number_bytes)
{
    size_t size = 0;
    if (status == HBK_LANE_OK) {
        size = hbk_ecdsa_to_der(signature, number_bytes, operation->output.bytes);
    }
    finish(operation, status_of(status), size);
}

static void on_job(struct hbk_job *job)
{
    struct hbk_key_operation *operation = HBK_CONTAINER(job, struct hbk_key_operation, job);
    const struct hbk_p256_sign *p256 = &job->operation.p256_sign;
    const struct hbk_p384_sign *p384 = &job->operation.p384_sign;
    const struct hbk_ed25519_sign *ed25519 = &job->operation.ed25519_sign;

    switch (operation->key->kind) {
    case HBK_KEY_RSA:
        finish(operation, status_of(job->operation.rsa.status), operation->block_bytes);
        return;
    case HBK_KEY_EC_P256:
        finish_ecdsa(operation, p256->status, p256->signature, HBK_P256_BYTES);
        return;
    case HBK_KEY_EC_P384:
        finish_ecdsa(operation, p384->status, p384->signature, HBK_P384_BYTES);
        return;
    case HBK_KEY_ED25519:
        memcpy(operation->output.bytes, ed25519->signature, sizeof(ed25519->signature));
        finish(operation, status_of(ed25519->status), sizeof(ed25519->signature));
        return;
    }
    HBK_UNREACHABLE();
}

/* ---- where it is computed ---- */

/* Batches of a provider's batcher hold its operations alone; each provider in it counts it once. */
static void on_batch(enum hbk_batch_queue queue, struct hbk_job *const jobs[HBK_LANES],
                     unsigned count)
{
    const bool is_ecdsa = queue == HBK_QUEUE_P256_SIGN;
    struct hbk_key_provider *providers[HBK_LANES];
    unsigned provider_count = 0;

    for (unsigned i = 0; i < count; i++) {
        providers[provider_count] =
            HBK_CONTAINER(jobs[i], struct hbk_key_operation, job)->key->provider;
        unsigned k = 0;
        while (providers[k] != providers[provider_count]) {
            k++;
        }
        if (k < provider_count) {
            continue;
        }
        atomic_fetch_add_explicit(is_ecdsa ? &providers[k]->ecdsa_queue_sizes[count - 1]
                                           : &providers[k]->rsa_queue_sizes[count - 1],
                                  1, memory_order_relaxed);
        provider_count++;
    }
}

static void place_options(struct hbk_key_worker *worker,
                          const struct hbk_key_provider_options *provider,
                          struct hbk_batcher_options *out_options)
{
    hbk_batcher_options_init(out_options);
    out_options->counters = &worker->counters;
    if (provider->kind == HBK_KEY_PROVIDER_SOFTWARE) {
        out_options->path = HBK_PATH_TWIN;
    } else {
        out_options->policy = HBK_BATCH_FIXED;
        out_options->delay_ns = provider->poll_delay_ns;
        out_options->on_batch = on_batch;
    }
}

static bool is_idle(const struct hbk_key_worker *worker, const struct place *place)
{
    return place->batcher != worker->running && hbk_batcher_due_ns(place->batcher) == UINT64_MAX;
}

/* A place that is free, or idle and then emptied; NULL when all are at work. */
static struct place *make_room(struct hbk_key_worker *worker)
{
    struct place *idle = NULL;

    for (int i = 0; i < HBK_KEY_WORKER_BATCHERS_MAX; i++) {
        struct place *place = &worker->places[i];
        if (place->batcher == NULL) {
            return place;
        }
        idle = idle == NULL && is_idle(worker, place) ? place : idle;
    }
    if (idle != NULL) {
        hbk_batcher_free(idle->batcher);
        idle->batcher = NULL;
    }
    return idle;
}

/* The batcher with these options; the worker's own where there is no room or no memory. */
static struct hbk_batcher *batcher_of(struct hbk_key_worker *worker,
                                      const struct hbk_key_provider_options *options)
{
    struct hbk_batcher_options batcher_options;

    if (options->kind == HBK_KEY_PROVIDER_BATCHER || options->kind == HBK_KEY_PROVIDER_QAT) {
        return worker->batcher;
    }
    for (int i = 0; i < HBK_KEY_WORKER_BATCHERS_MAX; i++) {
        const struct place *place = &worker->places[i];
        if (place->batcher != NULL && place->kind == options->kind &&
            place->poll_delay_ns == options->poll_delay_ns) {
            return place->batcher;
        }
    }
    struct place *place = make_room(worker);
    place_options(worker, options, &batcher_options);
    if (place == NULL || hbk_batcher_new(&batcher_options, &place->batcher) != HBK_OK) {
        return worker->batcher;
    }
    place->kind = options->kind;
    place->poll_delay_ns = options->poll_delay_ns;
    return place->batcher;
}

static hbk_status submit_to(struct hbk_batcher *batcher, struct hbk_key_operation *operation,
                            uint64_t now_ns)
{
    operation->job.complete = on_job;
    operation->batcher = batcher;
    HBK_TRY(hbk_batcher_submit(batcher, &operation->job, now_ns));
    operation->state = OPERATION_IN_BATCHER;
    return HBK_OK;
}

/* What a device does not compute goes to the batcher, and to libcrypto when that is full. */
static hbk_status fall_back(struct hbk_key_worker *worker, struct hbk_key_operation *operation,
                            uint64_t now_ns)
{
    static const struct hbk_key_provider_options software = {.kind = HBK_KEY_PROVIDER_SOFTWARE};

    if (submit_to(worker->batcher, operation, now_ns) == HBK_OK) {
        hbk_key_provider_count(operation->key->provider, HBK_KEY_COUNT_TO_BATCHER);
        return HBK_OK;
    }
    HBK_TRY(submit_to(batcher_of(worker, &software), operation, now_ns));
    hbk_key_provider_count(operation->key->provider, HBK_KEY_COUNT_TO_SOFTWARE);
    return HBK_OK;
}

static hbk_status submit(struct hbk_key_worker *worker, struct hbk_key_operation *operation,
                         uint64_t now_ns)
{
    HBK_TRY(prepare(operation));
    const struct hbk_key_provider_options *options = &operation->key->provider->options;
    if (options->device == NULL) {
        return submit_to(batcher_of(worker, options), operation, now_ns);
    }
    if (!hbk_device_queue_submit(&worker->devices, operation, now_ns)) {
        return fall_back(worker, operation, now_ns);
    }
    operation->state = OPERATION_AT_DEVICE;
    return HBK_OK;
}

hbk_status hbk_key_submit(struct hbk_key_worker *worker, struct hbk_key_operation *operation,
                          uint64_t now_ns)
{
    HBK_ASSERT(operation->state == OPERATION_IDLE && operation->complete != NULL);
    HBK_ASSERT(operation->output.size >= hbk_private_key_output_bytes(operation->key));

    operation->block = NULL;
    operation->block_bytes = 0;
    hbk_status status = submit(worker, operation, now_ns);
    if (status != HBK_OK) {
        free_block(operation);
    }
    return status;
}

void hbk_key_cancel(struct hbk_key_worker *worker, struct hbk_key_operation *operation)
{
    (void)worker;
    switch ((enum operation_state)operation->state) {
    case OPERATION_IDLE:
        return;
    case OPERATION_IN_BATCHER:
        hbk_batcher_cancel(operation->batcher, &operation->job);
        break;
    case OPERATION_AT_DEVICE:
        hbk_device_queue_cancel(operation);
        break;
    }
    free_block(operation);
    operation->state = OPERATION_IDLE;
}

/* ---- flushing ---- */

enum {
    TURN_BATCHER,
    TURN_DEVICES,
    TURN_PLACES,
    TURN_COUNT = TURN_PLACES + HBK_KEY_WORKER_BATCHERS_MAX
};

/* A completion may cancel operations that stand behind it in the list. */
static void run_devices(struct hbk_key_worker *worker, uint64_t now_ns)
{
    struct hbk_link *link;

    hbk_device_queue_run(&worker->devices, now_ns);
    while ((link = hbk_list_pop(&worker->devices.ended)) != NULL) {
        struct hbk_key_operation *operation = HBK_CONTAINER(link, struct hbk_key_operation, link);
        if (operation->status == HBK_OK) {
            finish(operation, HBK_OK, operation->block_bytes);
            continue;
        }
        hbk_status status = fall_back(worker, operation, now_ns);
        if (status != HBK_OK) {
            finish(operation, HBK_IO, 0);
        }
    }
}

static uint64_t turn_due_ns(const struct hbk_key_worker *worker, unsigned turn)
{
    if (turn == TURN_BATCHER) {
        return hbk_batcher_due_ns(worker->batcher);
    }
    if (turn == TURN_DEVICES) {
        return hbk_device_queue_due_ns(&worker->devices);
    }
    const struct place *place = &worker->places[turn - TURN_PLACES];
    return place->batcher == NULL ? UINT64_MAX : hbk_batcher_due_ns(place->batcher);
}

static void run_turn(struct hbk_key_worker *worker, unsigned turn, uint64_t now_ns)
{
    if (turn == TURN_DEVICES) {
        run_devices(worker, now_ns);
        return;
    }
    struct hbk_batcher *batcher =
        turn == TURN_BATCHER ? worker->batcher : worker->places[turn - TURN_PLACES].batcher;
    worker->running = batcher;
    (void)hbk_batcher_flush(batcher, now_ns);
    worker->running = NULL;
}

bool hbk_key_worker_flush(struct hbk_key_worker *worker, uint64_t now_ns)
{
    for (unsigned i = 0; i < TURN_COUNT; i++) {
        const unsigned turn = (worker->turn + i) % TURN_COUNT;
        if (turn_due_ns(worker, turn) <= now_ns) {
            worker->turn = (turn + 1) % TURN_COUNT;
            run_turn(worker, turn, now_ns);
            break;
        }
    }
    return hbk_key_worker_due_ns(worker) <= now_ns;
}

uint64_t hbk_key_worker_due_ns(const struct hbk_key_worker *worker)
{
    uint64_t due_ns = UINT64_MAX;

    for (unsigned turn = 0; turn < TURN_COUNT; turn++) {
        const uint64_t turn_ns = turn_due_ns(worker, turn);
        due_ns = turn_ns < due_ns ? turn_ns : due_ns;
    }
    return due_ns;
}
