/*
 * An adapter between the seam of the crypto room and libqat.
 *
 *     workers                           instances                        the collecting thread
 *     submit: takes turns over them --> slots (pinned memory)  -->  answers come in its polls
 *     flush:  checks, releases      <------ mailbox of the worker <-----------'
 *
 * - An instance has as many slots as operations it may have in flight, fewer than its ring has
 *   places, so that the library never finds a full ring and never waits for us. Slots are pinned
 *   once; a key's numbers too. Nothing is allocated per operation.
 * - Answers are collected by one thread for all instances: it sleeps on their descriptors where the
 *   library has them (26.02 and newer), otherwise it polls every poll_delay while something is in
 *   flight. It is one thread because an instance that several workers use must be polled by one,
 * and because a worker that ends or is stuck must not hold up the answers of others. (Rejected: a
 *   thread per instance and certificate, as Envoy has; polling from the workers.)
 * - Workers meet at an instance: its free slots are under a mutex, held for a few instructions.
 * - An instance that restarts, fails or owes an answer for too long gets nothing until it is back.
 *   What it had is given up by the workers and computed elsewhere (crypto/device_queue.c); its
 * slots stay taken until it answers, since the device may still write there.
 */
#include "device/qat.h"

#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "base/log.h"
#include "base/secret.h"
#include "crypto/key_provider.h"
#include "device/qat_library.h"
#include "device/qat_start.h"
#include "os/fd.h"
#include "os/poll.h"

enum {
    RSA_BYTES_MAX = 512,
    SLOT_BYTES = 2 * RSA_BYTES_MAX, /* input and output */
    ALIGNMENT = 64,                 /* what the device reads without a copy */
    KEY_PARTS = 5,
    HANDLES_MAX = 256, /* instances of all services that are looked at */
};

static const char section[] = "SSL"; /* any name but the empty one, when there are no PFs */

/* A key in pinned memory; shared by its owner and the operations in flight. */
struct qat_key {
    struct hbk_qat *qat;
    _Atomic uint32_t references; /* release on giving back, acquire before the free */
    uint8_t *memory;             /* pinned: five numbers */
    uint32_t size_bytes;         /* of the modulus */
    struct hbk_qat_rsa_private_key parts;
};

struct instance;

struct slot {
    struct hbk_key_answer answer;
    struct instance *instance;
    struct hbk_link free_link; /* in the instance's list while it is free */
    struct qat_key *key;       /* a reference; NULL: free */
    struct hbk_key_mailbox *mailbox;
    uint8_t *input, *output; /* pinned */
    struct hbk_qat_rsa_decrypt decrypt;
    struct hbk_qat_buffer result;
};

struct instance {
    struct hbk_qat *qat;
    void *handle;
    int node;
    int32_t service;
    int descriptor; /* the library's; -1: it must be polled */
    bool is_started;
    _Atomic bool is_up;       /* relaxed: a hint; the library refuses by itself */
    _Atomic uint32_t silence; /* answers that were given up and have not come; relaxed, a hint */
    pthread_mutex_t lock;
    struct hbk_list free_slots; /* under lock */
    uint8_t *memory;            /* pinned, of the slots */
    struct slot slots[HBK_QAT_IN_FLIGHT_MAX];
};

struct hbk_qat {
    struct hbk_key_device device;
    struct hbk_qat_library library;
    _Atomic uint64_t poll_delay_ns; /* relaxed */
    uint64_t events_ns;             /* between two polls while nothing is away */
    bool is_started;
    struct instance *instances;
    unsigned count;
    bool must_poll;           /* an instance has no descriptor */
    _Atomic unsigned turn;    /* relaxed: round robin */
    _Atomic unsigned away;    /* operations that the device has; see submit and collect */
    _Atomic bool is_stopping; /* release in close, acquire in the thread */
    int poll, wake;
    bool has_thread;
    pthread_t thread;
};

static struct hbk_qat *qat_of(struct hbk_key_device *device)
{
    return HBK_CONTAINER(device, struct hbk_qat, device);
}

/* ---- keys ---- */

static void unref_key(struct qat_key *key)
{
    if (atomic_fetch_sub_explicit(&key->references, 1, memory_order_acq_rel) != 1) {
        return;
    }
    if (key->memory != NULL) {
        void *memory = key->memory;
        hbk_secret_wipe(memory, (size_t)KEY_PARTS * RSA_BYTES_MAX / 2);
        key->qat->library.release(&memory);
    }
    free(key);
}

static void key_free(struct hbk_key_device *device, void *key)
{
    (void)device;
    unref_key(key);
}

/* Writes a number of the key, as long as half the modulus; false when it has none or a longer one.
 */
static bool write_part(EVP_PKEY *pkey, const char *name, uint8_t *to, uint32_t size,
                       struct hbk_qat_buffer *out_buffer)
{
    BIGNUM *number = NULL;
    const bool is_done = EVP_PKEY_get_bn_param(pkey, name, &number) == 1 &&
                         BN_bn2binpad(number, to, (int)size) == (int)size;

    BN_clear_free(number);
    *out_buffer = (struct hbk_qat_buffer){.size = size, .bytes = to};
    return is_done;
}

/* Whether both primes are as long as the library wants them: half the modulus, its top bit set. */
static bool write_parts(struct qat_key *key, EVP_PKEY *pkey)
{
    static const char *const names[KEY_PARTS] = {
        OSSL_PKEY_PARAM_RSA_FACTOR1,      OSSL_PKEY_PARAM_RSA_FACTOR2,
        OSSL_PKEY_PARAM_RSA_EXPONENT1,    OSSL_PKEY_PARAM_RSA_EXPONENT2,
        OSSL_PKEY_PARAM_RSA_COEFFICIENT1,
    };
    struct hbk_qat_buffer *const buffers[KEY_PARTS] = {
        &key->parts.prime_p,    &key->parts.prime_q,   &key->parts.exponent_p,
        &key->parts.exponent_q, &key->parts.inverse_q,
    };
    const uint32_t half = key->size_bytes / 2;

    for (int i = 0; i < KEY_PARTS; i++) {
        if (!write_part(pkey, names[i], key->memory + (size_t)i * half, half, buffers[i])) {
            return false;
        }
    }
    key->parts.version = HBK_QAT_KEY_TWO_PRIMES;
    key->parts.representation = HBK_QAT_KEY_REPRESENTATION_CRT;
    return key->parts.prime_p.bytes[0] >= 0x80 && key->parts.prime_q.bytes[0] >= 0x80;
}

static hbk_status key_new(struct hbk_key_device *device, EVP_PKEY *pkey, void **out_key,
                          struct hbk_error *error)
{
    struct hbk_qat *qat = qat_of(device);
    const uint32_t bits = (uint32_t)EVP_PKEY_get_bits(pkey);
    struct qat_key *key = calloc(1, sizeof(*key));

    if (key == NULL) {
        return hbk_error_set(error, HBK_NO_MEMORY, "no memory for a key of QAT");
    }
    atomic_init(&key->references, 1);
    key->qat = qat;
    key->size_bytes = bits / 8;
    key->memory = qat->library.allocate((size_t)KEY_PARTS * RSA_BYTES_MAX / 2,
                                        qat->instances[0].node, ALIGNMENT);
    hbk_status status = HBK_OK;
    if (key->memory == NULL) {
        status = hbk_error_set(error, HBK_NO_MEMORY, "QAT: no pinned memory for a key");
    } else if (bits % 16 != 0 || !write_parts(key, pkey)) {
        status = hbk_error_set(error, HBK_UNSUPPORTED,
                               "QAT: the RSA key of %u bits does not consist of two primes of half "
                               "its length",
                               bits);
    }
    if (status != HBK_OK) {
        unref_key(key);
        return status;
    }
    *out_key = key;
    return HBK_OK;
}

/* ---- slots ---- */

static struct slot *take_slot(struct instance *instance)
{
    pthread_mutex_lock(&instance->lock);
    struct hbk_link *link = hbk_list_pop(&instance->free_slots);
    pthread_mutex_unlock(&instance->lock);
    return link == NULL ? NULL : HBK_CONTAINER(link, struct slot, free_link);
}

static void return_slot(struct slot *slot)
{
    struct instance *instance = slot->instance;

    hbk_key_mailbox_unref(slot->mailbox);
    unref_key(slot->key);
    slot->mailbox = NULL;
    slot->key = NULL;
    hbk_secret_wipe(slot->output, RSA_BYTES_MAX);
    pthread_mutex_lock(&instance->lock);
    hbk_list_append(&instance->free_slots, &slot->free_link);
    pthread_mutex_unlock(&instance->lock);
}

static struct slot *slot_of(struct hbk_key_answer *answer)
{
    return HBK_CONTAINER(answer, struct slot, answer);
}

/* An answer that has come makes up for having been given up. */
static void release(struct hbk_key_device *device, struct hbk_key_answer *answer)
{
    struct slot *slot = slot_of(answer);
    (void)device;

    if (answer->is_given_up) {
        atomic_fetch_sub_explicit(&slot->instance->silence, 1, memory_order_relaxed);
    }
    return_slot(slot);
}

static void give_up(struct hbk_key_device *device, struct hbk_key_answer *answer)
{
    (void)device;
    atomic_fetch_add_explicit(&slot_of(answer)->instance->silence, 1, memory_order_relaxed);
}

/* ---- operations ---- */

/* The library's answer, on the collecting thread. */
static void on_answer(void *tag, int32_t status, void *operation, struct hbk_qat_buffer *output)
{
    struct slot *slot = tag;
    struct hbk_qat *qat = slot->instance->qat;
    (void)operation;

    slot->answer.output = slot->output;
    slot->answer.is_good = status == HBK_QAT_SUCCESS && output == &slot->result;
    atomic_fetch_sub_explicit(&qat->away, 1, memory_order_relaxed);
    hbk_key_mailbox_post(slot->mailbox, &slot->answer);
}

static void set_up(struct instance *instance, bool is_up)
{
    if (atomic_exchange_explicit(&instance->is_up, is_up, memory_order_relaxed) != is_up) {
        hbk_log(HBK_LOG_WARN, "device", "QAT instance %u is %s",
                (unsigned)(instance - instance->qat->instances),
                is_up ? "up again" : "down: private keys are served without it");
    }
}

/* Fills a slot and gives it to the library; the status is the library's. */
static int32_t start_slot(struct slot *slot, struct qat_key *key, struct hbk_slice input,
                          struct hbk_key_operation *operation, struct hbk_key_mailbox *mailbox)
{
    struct hbk_qat *qat = slot->instance->qat;

    atomic_fetch_add_explicit(&key->references, 1, memory_order_relaxed);
    slot->key = key;
    slot->mailbox = hbk_key_mailbox_ref(mailbox);
    slot->answer.operation = operation;
    slot->answer.is_given_up = false;
    slot->answer.is_good = false;
    memcpy(slot->input, input.bytes, input.size);
    slot->decrypt.key = &key->parts;
    slot->decrypt.input = (struct hbk_qat_buffer){(uint32_t)input.size, slot->input};
    slot->result = (struct hbk_qat_buffer){(uint32_t)input.size, slot->output};

    /* Counted before the device can answer. Whoever makes it one wakes the thread, which otherwise
     * sleeps without a limit; the thread reads the count after it has cleared the wake-up. */
    const bool was_idle = atomic_fetch_add_explicit(&qat->away, 1, memory_order_seq_cst) == 0;
    const int32_t status = qat->library.rsa_decrypt(slot->instance->handle, on_answer, slot,
                                                    &slot->decrypt, &slot->result);
    if (status != HBK_QAT_SUCCESS) {
        /* Others may have come meanwhile and left the waking to this one, which went nowhere. */
        const bool has_others = atomic_fetch_sub_explicit(&qat->away, 1, memory_order_seq_cst) > 1;
        return_slot(slot);
        if (has_others && qat->must_poll) {
            hbk_event_set(qat->wake);
        }
    } else if (was_idle && qat->must_poll) {
        hbk_event_set(qat->wake);
    }
    return status;
}

static bool is_usable(const struct instance *instance)
{
    return atomic_load_explicit(&instance->is_up, memory_order_relaxed) &&
           atomic_load_explicit(&instance->silence, memory_order_relaxed) == 0;
}

/* One instance: TAKEN, or why not. */
static enum hbk_key_device_result submit_to(struct instance *instance, struct qat_key *key,
                                            struct hbk_slice input,
                                            struct hbk_key_operation *operation,
                                            struct hbk_key_mailbox *mailbox,
                                            struct hbk_key_answer **out_answer)
{
    struct slot *slot = is_usable(instance) ? take_slot(instance) : NULL;

    if (slot == NULL) {
        return is_usable(instance) ? HBK_KEY_DEVICE_FULL : HBK_KEY_DEVICE_DOWN;
    }
    *out_answer = &slot->answer;
    switch (start_slot(slot, key, input, operation, mailbox)) {
    case HBK_QAT_SUCCESS:
        return HBK_KEY_DEVICE_TAKEN;
    case HBK_QAT_RETRY:
    case HBK_QAT_RESOURCE:
        return HBK_KEY_DEVICE_FULL;
    case HBK_QAT_RESTARTING: /* the library tells when it is over: see on_event */
        return HBK_KEY_DEVICE_DOWN;
    case HBK_QAT_FATAL:
        set_up(instance, false);
        return HBK_KEY_DEVICE_DOWN;
    default:
        return HBK_KEY_DEVICE_FAILED;
    }
}

static enum hbk_key_device_result submit(struct hbk_key_device *device, void *key,
                                         struct hbk_slice input,
                                         struct hbk_key_operation *operation,
                                         struct hbk_key_mailbox *mailbox,
                                         struct hbk_key_answer **out_answer)
{
    struct hbk_qat *qat = qat_of(device);
    const unsigned first = atomic_fetch_add_explicit(&qat->turn, 1, memory_order_relaxed);
    enum hbk_key_device_result worst = HBK_KEY_DEVICE_DOWN;
    struct hbk_key_answer *answer = NULL;

    for (unsigned i = 0; i < qat->count; i++) {
        struct instance *instance = &qat->instances[(first + i) % qat->count];
        const enum hbk_key_device_result result =
            submit_to(instance, key, input, operation, mailbox, &answer);
        if (result == HBK_KEY_DEVICE_TAKEN) {
            *out_answer = answer;
            return result;
        }
        if (result == HBK_KEY_DEVICE_FAILED) {
            return result; /* another one would say the same */
        }
        worst = result == HBK_KEY_DEVICE_FULL ? result : worst;
    }
    return worst;
}

/* ---- the collecting thread ---- */

static void on_event(void *handle, void *tag, int32_t event)
{
    struct instance *instance = tag;
    (void)handle;
    set_up(instance, event == HBK_QAT_EVENT_RESTARTED);
}

static void collect(struct hbk_qat *qat)
{
    for (unsigned i = 0; i < qat->count; i++) {
        struct instance *instance = &qat->instances[i];
        if (qat->library.poll_instance(instance->handle, 0) == HBK_QAT_FATAL) {
            set_up(instance, false);
        }
    }
    if (qat->library.poll_events != NULL) {
        (void)qat->library.poll_events();
    }
}

static void *run_thread(void *argument)
{
    static struct hbk_poll_event events[HBK_POLL_EVENTS_MAX]; /* one thread per process */
    struct hbk_qat *qat = argument;

    while (!atomic_load_explicit(&qat->is_stopping, memory_order_acquire)) {
        const bool is_busy = atomic_load_explicit(&qat->away, memory_order_seq_cst) > 0;
        const uint64_t delay_ns = atomic_load_explicit(&qat->poll_delay_ns, memory_order_relaxed);
        (void)hbk_poll_wait(qat->poll, is_busy && qat->must_poll ? delay_ns : qat->events_ns,
                            events);
        hbk_event_clear(qat->wake);
        collect(qat);
    }
    return NULL;
}

/* ---- starting and stopping ---- */

static hbk_status init_slots(struct instance *instance, struct hbk_error *error)
{
    struct hbk_qat *qat = instance->qat;

    instance->memory = qat->library.allocate((size_t)HBK_QAT_IN_FLIGHT_MAX * SLOT_BYTES,
                                             instance->node, ALIGNMENT);
    if (instance->memory == NULL) {
        return hbk_error_set(error, HBK_NO_MEMORY, "QAT: no pinned memory for an instance");
    }
    for (int i = 0; i < HBK_QAT_IN_FLIGHT_MAX; i++) {
        struct slot *slot = &instance->slots[i];
        slot->answer.device = &qat->device;
        slot->instance = instance;
        slot->input = instance->memory + (size_t)i * SLOT_BYTES;
        slot->output = slot->input + RSA_BYTES_MAX;
        hbk_link_init(&slot->free_link);
        hbk_list_append(&instance->free_slots, &slot->free_link);
    }
    return HBK_OK;
}

/* By event where the library can; every failure here means polling. */
static void get_descriptor(struct instance *instance)
{
    const struct hbk_qat_library *library = &instance->qat->library;
    int descriptor = -1;

    if (library->set_response_mode == NULL || library->get_descriptor == NULL ||
        library->set_response_mode(instance->handle, instance->service,
                                   HBK_QAT_RESPONSE_BY_EVENT) != HBK_QAT_SUCCESS ||
        library->get_descriptor(instance->handle, &descriptor) != HBK_QAT_SUCCESS ||
        descriptor < 0 || hbk_poll_add(instance->qat->poll, descriptor, instance) != HBK_OK) {
        instance->qat->must_poll = true;
        return;
    }
    instance->descriptor = descriptor;
}

static hbk_status start_instance(struct instance *instance, struct hbk_error *error)
{
    const struct hbk_qat_library *library = &instance->qat->library;
    int32_t status = library->set_translation(instance->handle, library->translate);

    if (status == HBK_QAT_SUCCESS) {
        status = library->start_instance(instance->handle);
    }
    if (status != HBK_QAT_SUCCESS) {
        return hbk_error_set(error, HBK_IO, "QAT: an instance does not start (%s): see dmesg",
                             hbk_qat_status_text(status));
    }
    instance->is_started = true;
    if (library->set_event_callback != NULL) {
        (void)library->set_event_callback(instance->handle, on_event, instance);
    }
    get_descriptor(instance);
    atomic_store_explicit(&instance->is_up, true, memory_order_relaxed);
    return init_slots(instance, error);
}

static bool serves_rsa(const struct hbk_qat_library *library, void *handle)
{
    uint8_t capabilities[HBK_QAT_CAPABILITIES_BYTES] = {0};
    int32_t has_rsa = 0;

    if (library->get_capabilities(handle, capabilities) != HBK_QAT_SUCCESS) {
        return false;
    }
    memcpy(&has_rsa, capabilities + HBK_QAT_CAPABILITIES_RSA_OFFSET, sizeof(has_rsa));
    return has_rsa != 0;
}

static void init_instance(struct hbk_qat *qat, struct instance *instance, void *handle)
{
    uint8_t info[HBK_QAT_INFO_BYTES] = {0};

    instance->qat = qat;
    instance->handle = handle;
    instance->descriptor = -1;
    hbk_list_init(&instance->free_slots);
    pthread_mutex_init(&instance->lock, NULL);
    if (qat->library.get_info(handle, info) == HBK_QAT_SUCCESS) {
        memcpy(&instance->service, info, sizeof(instance->service));
        memcpy(&instance->node, info + HBK_QAT_INFO_NODE_OFFSET, sizeof(instance->node));
    }
}

/* Fills in the instances that serve RSA, and the facts about them. */
static hbk_status find_instances(struct hbk_qat *qat, struct hbk_qat_facts *facts,
                                 struct hbk_error *error)
{
    void *handles[HANDLES_MAX] = {NULL};
    uint16_t count = 0;

    if (qat->library.count_instances(&count) != HBK_QAT_SUCCESS) {
        count = 0;
    }
    count = count < HANDLES_MAX ? count : HANDLES_MAX;
    if (count > 0 && qat->library.get_instances(count, handles) != HBK_QAT_SUCCESS) {
        count = 0;
    }
    qat->instances = calloc(HBK_QAT_INSTANCES_MAX, sizeof(*qat->instances));
    if (qat->instances == NULL) {
        return hbk_error_set(error, HBK_NO_MEMORY, "no memory for QAT's instances");
    }
    facts->instances = count;
    for (unsigned i = 0; i < count && qat->count < HBK_QAT_INSTANCES_MAX; i++) {
        if (serves_rsa(&qat->library, handles[i])) {
            init_instance(qat, &qat->instances[qat->count++], handles[i]);
        }
    }
    facts->rsa_instances = qat->count;
    return HBK_OK;
}

static hbk_status start_library(struct hbk_qat *qat, const struct hbk_qat_options *options,
                                struct hbk_error *error)
{
    struct hbk_qat_facts facts;

    HBK_TRY(hbk_qat_library_open(options->crypto_library, options->memory_library, &qat->library,
                                 error));
    hbk_qat_gather_facts(options->folder == NULL ? "/dev/vfio" : options->folder, &facts);
    facts.start_status = qat->library.start(section);
    facts.has_started = facts.start_status == HBK_QAT_SUCCESS;
    qat->is_started = facts.has_started;
    if (facts.has_started) {
        HBK_TRY(find_instances(qat, &facts, error));
    }
    return hbk_qat_explain(&facts, error);
}

/* Where answers wait for a poll, workers allow for two of them: one that is missed by a hair, and
 * the one that finds the answer. */
static void set_delay(struct hbk_qat *qat, uint64_t poll_delay_ns)
{
    atomic_store_explicit(&qat->poll_delay_ns, poll_delay_ns, memory_order_relaxed);
    atomic_store_explicit(&qat->device.delay_ns, qat->must_poll ? 2 * poll_delay_ns : 0,
                          memory_order_relaxed);
}

static hbk_status start(struct hbk_qat *qat, const struct hbk_qat_options *options,
                        struct hbk_error *error)
{
    if (hbk_poll_open(&qat->poll) != HBK_OK || hbk_event_open(&qat->wake) != HBK_OK ||
        hbk_poll_add(qat->poll, qat->wake, NULL) != HBK_OK) {
        return hbk_error_set(error, HBK_LIMIT, "QAT: no file descriptors");
    }
    HBK_TRY(start_library(qat, options, error));
    for (unsigned i = 0; i < qat->count; i++) {
        HBK_TRY(start_instance(&qat->instances[i], error));
    }
    set_delay(qat, options->poll_delay_ns);
    if (pthread_create(&qat->thread, NULL, run_thread, qat) != 0) {
        return hbk_error_set(error, HBK_LIMIT, "QAT: no thread");
    }
    qat->has_thread = true;
    return HBK_OK;
}

/* Signals are for threads that wait for them: none may end the program because it was delivered to
 * the collecting thread, or to one of the library's own. */
static hbk_status start_without_signals(struct hbk_qat *qat, const struct hbk_qat_options *options,
                                        struct hbk_error *error)
{
    sigset_t all, before;

    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    const hbk_status status = start(qat, options, error);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return status;
}

hbk_status hbk_qat_check_delay(uint64_t poll_delay_ns, struct hbk_error *error)
{
    if (poll_delay_ns < HBK_POLL_DELAY_NS_MIN) {
        return hbk_error_set(error, HBK_INVALID,
                             "poll_delay is required by the provider qat, and at least 1 ms");
    }
    if (poll_delay_ns > HBK_QAT_POLL_DELAY_NS_MAX) {
        return hbk_error_set(error, HBK_INVALID,
                             "poll_delay is %llu ms; the provider qat allows at most %llu ms, "
                             "since handshakes wait for it",
                             (unsigned long long)(poll_delay_ns / 1000000),
                             (unsigned long long)(HBK_QAT_POLL_DELAY_NS_MAX / 1000000));
    }
    return HBK_OK;
}

hbk_status hbk_qat_open(const struct hbk_qat_options *options, struct hbk_qat **out_qat,
                        struct hbk_error *error)
{
    HBK_TRY(hbk_qat_check_delay(options->poll_delay_ns, error));
    struct hbk_qat *qat = calloc(1, sizeof(*qat));
    if (qat == NULL) {
        return hbk_error_set(error, HBK_NO_MEMORY, "no memory for QAT");
    }
    qat->device = (struct hbk_key_device){
        .key_new = key_new,
        .key_free = key_free,
        .submit = submit,
        .give_up = give_up,
        .release = release,
    };
    atomic_init(&qat->poll_delay_ns, options->poll_delay_ns);
    atomic_init(&qat->device.delay_ns, 0);
    qat->events_ns = options->events_ns == 0 ? HBK_QAT_EVENTS_NS : options->events_ns;
    qat->poll = -1;
    qat->wake = -1;
    const hbk_status status = start_without_signals(qat, options, error);
    if (status != HBK_OK) {
        hbk_qat_close(qat);
        return status;
    }
    *out_qat = qat;
    return HBK_OK;
}

/* The device is quiet: what it still owed will not come. */
static void stop_instance(struct instance *instance)
{
    const struct hbk_qat_library *library = &instance->qat->library;

    if (instance->descriptor >= 0) {
        hbk_poll_remove(instance->qat->poll, instance->descriptor);
        if (library->put_descriptor != NULL) {
            (void)library->put_descriptor(instance->handle);
        }
    }
    if (instance->is_started) {
        (void)library->stop_instance(instance->handle);
    }
    for (int i = 0; i < HBK_QAT_IN_FLIGHT_MAX; i++) {
        if (instance->slots[i].key != NULL) {
            return_slot(&instance->slots[i]);
        }
    }
    if (instance->memory != NULL) {
        void *memory = instance->memory;
        library->release(&memory);
    }
    pthread_mutex_destroy(&instance->lock);
}

void hbk_qat_close(struct hbk_qat *qat)
{
    if (qat == NULL) {
        return;
    }
    if (qat->has_thread) {
        atomic_store_explicit(&qat->is_stopping, true, memory_order_release);
        hbk_event_set(qat->wake);
        pthread_join(qat->thread, NULL);
    }
    for (unsigned i = 0; i < qat->count; i++) {
        stop_instance(&qat->instances[i]);
    }
    if (qat->is_started) {
        (void)qat->library.stop();
    }
    hbk_qat_library_close(&qat->library);
    hbk_fd_close(&qat->wake);
    hbk_fd_close(&qat->poll);
    free(qat->instances);
    free(qat);
}

struct hbk_key_device *hbk_qat_device(struct hbk_qat *qat)
{
    return &qat->device;
}

void hbk_qat_poll_faster(struct hbk_qat *qat, uint64_t poll_delay_ns)
{
    HBK_ASSERT(poll_delay_ns >= HBK_POLL_DELAY_NS_MIN);
    if (poll_delay_ns < atomic_load_explicit(&qat->poll_delay_ns, memory_order_relaxed)) {
        set_delay(qat, poll_delay_ns);
    }
}

struct hbk_qat_state hbk_qat_state(const struct hbk_qat *qat)
{
    struct hbk_qat_state state = {
        .poll_delay_ns = atomic_load_explicit(&qat->poll_delay_ns, memory_order_relaxed),
        .instances = qat->count,
        .in_flight = atomic_load_explicit(&qat->away, memory_order_relaxed),
    };
    for (unsigned i = 0; i < qat->count; i++) {
        state.up += is_usable(&qat->instances[i]);
        state.with_descriptors += qat->instances[i].descriptor >= 0;
    }
    return state;
}
