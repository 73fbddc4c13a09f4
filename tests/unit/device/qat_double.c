#include "qat_double.h"

#include <openssl/bn.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#define EXPORT __attribute__((visibility("default")))

enum {
    SUCCESS = 0,
    FAIL = -1,
    RETRY = -2,
    INVALID_PARAM = -4,
    UNSUPPORTED = -6,
    INFO_BYTES = 932,
    CAPABILITIES_BYTES = 76,
    PINNED_MAX = 1024,
};

struct flat_buffer {
    uint32_t length;
    uint8_t *data;
};

struct private_key {
    int32_t version;
    int32_t representation;
    struct flat_buffer n, d;
    struct flat_buffer p, q, dp, dq, qinv;
};

struct decrypt_data {
    struct private_key *key;
    struct flat_buffer input;
};

typedef void decrypt_callback(void *tag, int32_t status, void *data, struct flat_buffer *output);
typedef void notification_callback(void *handle, void *tag, int32_t event);

struct request {
    decrypt_callback *callback;
    void *tag;
    const struct decrypt_data *data;
    struct flat_buffer *output;
};

struct instance {
    struct request ring[QAT_DOUBLE_RING];
    unsigned count;
    int descriptor;
    bool is_started;
    notification_callback *notify;
    void *notify_tag;
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t has_changed = PTHREAD_COND_INITIALIZER;
static struct instance instances[QAT_DOUBLE_INSTANCES_MAX];
static struct qat_double_settings settings;
static struct qat_double_counts counts;
static struct {
    uint8_t *start;
    size_t size;
} pinned[PINNED_MAX];

/* The library's functions, whose prototypes are those of its headers. */
int32_t icp_sal_userStart(const char *section);
int32_t icp_sal_userStop(void);
int32_t cpaCyGetNumInstances(uint16_t *count);
int32_t cpaCyGetInstances(uint16_t count, void **handles);
int32_t cpaCyInstanceGetInfo2(void *handle, void *info);
int32_t cpaCyQueryCapabilities(void *handle, void *capabilities);
int32_t cpaCySetAddressTranslation(void *handle, uint64_t (*translate)(void *address));
int32_t cpaCyStartInstance(void *handle);
int32_t cpaCyStopInstance(void *handle);
int32_t cpaCyRsaDecrypt(void *handle, decrypt_callback *callback, void *tag,
                        const struct decrypt_data *data, struct flat_buffer *output);
int32_t icp_sal_CyPollInstance(void *handle, uint32_t quota);
int32_t cpaCyInstanceSetNotificationCb(void *handle, notification_callback *callback, void *tag);
int32_t icp_sal_poll_device_events(void);
int32_t cpaInstanceSetResponseMode(void *handle, int32_t service, int32_t mode);
int32_t icp_sal_CyGetFileDescriptor(void *handle, int *descriptor);
int32_t icp_sal_CyPutFileDescriptor(void *handle);
void *qaeMemAllocNUMA(size_t size, int node, size_t alignment);
void qaeMemFreeNUMA(void **address);
uint64_t qaeVirtToPhysNUMA(void *address);
void qat_double_set(const struct qat_double_settings *settings);
void qat_double_get(struct qat_double_counts *out_counts);
void qat_double_wait(unsigned answered);
void qat_double_refused(unsigned refused);
void qat_double_event(unsigned instance, int32_t event);

static int32_t bad_call(void)
{
    counts.bad_calls++;
    return INVALID_PARAM;
}

static struct instance *instance_of(void *handle)
{
    for (int i = 0; i < QAT_DOUBLE_INSTANCES_MAX; i++) {
        if (handle == &instances[i]) {
            return &instances[i];
        }
    }
    counts.bad_calls++;
    return NULL;
}

/* ---- starting ---- */

EXPORT int32_t icp_sal_userStart(const char *section)
{
    pthread_mutex_lock(&lock);
    int32_t status = settings.start_status;
    if (section == NULL || section[0] == '\0') {
        status = bad_call();
    }
    counts.started += status == SUCCESS;
    pthread_mutex_unlock(&lock);
    return status;
}

EXPORT int32_t icp_sal_userStop(void)
{
    pthread_mutex_lock(&lock);
    counts.stopped++;
    for (int i = 0; i < QAT_DOUBLE_INSTANCES_MAX; i++) {
        counts.waiting -= instances[i].count;
        instances[i].count = 0;
        if (instances[i].is_started) {
            counts.bad_calls++; /* left running */
        }
    }
    if (getenv("QAT_DOUBLE_INSTANCES") != NULL) {
        fprintf(stderr, "QAT double: %u answered, %u bad calls\n", counts.answered,
                counts.bad_calls);
    }
    pthread_mutex_unlock(&lock);
    return SUCCESS;
}

EXPORT int32_t cpaCyGetNumInstances(uint16_t *count)
{
    *count = settings.instances;
    return SUCCESS;
}

EXPORT int32_t cpaCyGetInstances(uint16_t count, void **handles)
{
    if (count > settings.instances) {
        return bad_call();
    }
    for (int i = 0; i < count; i++) {
        handles[i] = &instances[i];
    }
    return SUCCESS;
}

EXPORT int32_t cpaCyInstanceGetInfo2(void *handle, void *info)
{
    const uint32_t node = 0;
    const int32_t up = 1;
    if (instance_of(handle) == NULL) {
        return INVALID_PARAM;
    }
    memset(info, 0, INFO_BYTES);
    memcpy((uint8_t *)info + 912, &node, sizeof(node));
    memcpy((uint8_t *)info + 916, &up, sizeof(up));
    return SUCCESS;
}

EXPORT int32_t cpaCyQueryCapabilities(void *handle, void *capabilities)
{
    const struct instance *instance = instance_of(handle);
    if (instance == NULL) {
        return INVALID_PARAM;
    }
    const int32_t has_rsa = settings.rsa_instances >> (instance - instances) & 1;
    memset(capabilities, 0, CAPABILITIES_BYTES);
    memcpy((uint8_t *)capabilities + 16, &has_rsa, sizeof(has_rsa));
    return SUCCESS;
}

EXPORT int32_t cpaCySetAddressTranslation(void *handle, uint64_t (*translate)(void *address))
{
    return instance_of(handle) == NULL || translate != qaeVirtToPhysNUMA ? bad_call() : SUCCESS;
}

EXPORT int32_t cpaCyStartInstance(void *handle)
{
    struct instance *instance = instance_of(handle);
    if (instance == NULL || instance->is_started) {
        return bad_call();
    }
    instance->is_started = true;
    instance->descriptor = -1;
    instance->notify = NULL;
    counts.instances_started++;
    return SUCCESS;
}

EXPORT int32_t cpaCyStopInstance(void *handle)
{
    struct instance *instance = instance_of(handle);
    if (instance == NULL || !instance->is_started) {
        return bad_call();
    }
    instance->is_started = false;
    counts.instances_stopped++;
    return SUCCESS;
}

EXPORT int32_t cpaInstanceSetResponseMode(void *handle, int32_t service, int32_t mode)
{
    struct instance *instance = instance_of(handle);
    if (instance == NULL || service != 0 || mode != 2) {
        return bad_call();
    }
    return settings.has_descriptors ? SUCCESS : UNSUPPORTED;
}

EXPORT int32_t icp_sal_CyGetFileDescriptor(void *handle, int *descriptor)
{
    struct instance *instance = instance_of(handle);
    if (instance == NULL || !settings.has_descriptors) {
        return UNSUPPORTED;
    }
    instance->descriptor = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    *descriptor = instance->descriptor;
    return instance->descriptor < 0 ? FAIL : SUCCESS;
}

EXPORT int32_t icp_sal_CyPutFileDescriptor(void *handle)
{
    struct instance *instance = instance_of(handle);
    if (instance == NULL || instance->descriptor < 0) {
        return bad_call();
    }
    close(instance->descriptor);
    instance->descriptor = -1;
    return SUCCESS;
}

/* ---- restarts ---- */

EXPORT int32_t cpaCyInstanceSetNotificationCb(void *handle, notification_callback *callback,
                                              void *tag)
{
    struct instance *instance = instance_of(handle);
    if (instance == NULL) {
        return INVALID_PARAM;
    }
    instance->notify = callback;
    instance->notify_tag = tag;
    return SUCCESS;
}

EXPORT int32_t icp_sal_poll_device_events(void)
{
    return SUCCESS;
}

EXPORT void qat_double_event(unsigned index, int32_t event)
{
    struct instance *instance = &instances[index];
    if (instance->notify != NULL) {
        instance->notify(instance, instance->notify_tag, event);
    }
}

/* ---- pinned memory ---- */

EXPORT void *qaeMemAllocNUMA(size_t size, int node, size_t alignment)
{
    uint8_t *start = NULL;
    if (node != 0 || posix_memalign((void **)&start, alignment, size) != 0) {
        return NULL;
    }
    pthread_mutex_lock(&lock);
    for (int i = 0; i < PINNED_MAX; i++) {
        if (pinned[i].start == NULL) {
            pinned[i].start = start;
            pinned[i].size = size;
            counts.pinned_blocks++;
            pthread_mutex_unlock(&lock);
            return start;
        }
    }
    pthread_mutex_unlock(&lock);
    free(start);
    return NULL;
}

EXPORT void qaeMemFreeNUMA(void **address)
{
    pthread_mutex_lock(&lock);
    for (int i = 0; i < PINNED_MAX; i++) {
        if (*address != NULL && pinned[i].start == *address) {
            memset(pinned[i].start, 0, pinned[i].size);
            free(pinned[i].start);
            pinned[i].start = NULL;
            *address = NULL;
            counts.pinned_blocks--;
            pthread_mutex_unlock(&lock);
            return;
        }
    }
    counts.bad_calls++;
    pthread_mutex_unlock(&lock);
}

static bool is_pinned(const struct flat_buffer *buffer)
{
    for (int i = 0; i < PINNED_MAX; i++) {
        if (pinned[i].start != NULL && buffer->data >= pinned[i].start &&
            buffer->data + buffer->length <= pinned[i].start + pinned[i].size) {
            return true;
        }
    }
    return false;
}

EXPORT uint64_t qaeVirtToPhysNUMA(void *address)
{
    return (uint64_t)(uintptr_t)address;
}

/* ---- RSA ---- */

static bool is_good_key(const struct private_key *key, uint32_t modulus_bytes)
{
    const struct flat_buffer *parts = &key->p;
    if (key->version != 1 || key->representation != 2) {
        return false;
    }
    for (int i = 0; i < 5; i++) {
        if (parts[i].length != modulus_bytes / 2 || !is_pinned(&parts[i])) {
            return false;
        }
    }
    return true;
}

static void ring_descriptor(const struct instance *instance)
{
    const uint64_t one = 1;
    if (instance->descriptor >= 0 && write(instance->descriptor, &one, sizeof(one)) < 0) {
        abort();
    }
}

EXPORT int32_t cpaCyRsaDecrypt(void *handle, decrypt_callback *callback, void *tag,
                               const struct decrypt_data *data, struct flat_buffer *output)
{
    int32_t status = SUCCESS;
    pthread_mutex_lock(&lock);
    struct instance *instance = instance_of(handle);
    if (instance == NULL || !instance->is_started || callback == NULL ||
        !is_good_key(data->key, data->input.length) || !is_pinned(&data->input) ||
        !is_pinned(output) || output->length != data->input.length) {
        status = bad_call();
    } else if (settings.submit_status != SUCCESS) {
        status = settings.submit_status;
        counts.refused++;
        pthread_cond_broadcast(&has_changed);
        while (settings.is_gated) {
            pthread_cond_wait(&has_changed, &lock);
        }
    } else if (instance->count == QAT_DOUBLE_RING) {
        counts.full++;
        status = RETRY;
    } else {
        instance->ring[instance->count++] = (struct request){callback, tag, data, output};
        counts.submitted[instance - instances]++;
        counts.waiting++;
        if (!settings.is_held) {
            ring_descriptor(instance);
        }
    }
    pthread_mutex_unlock(&lock);
    return status;
}

static BIGNUM *number_of(const struct flat_buffer *buffer)
{
    return BN_bin2bn(buffer->data, (int)buffer->length, NULL);
}

/* input^d modulo pq, by Chinese remainders (RFC 8017, 5.1.2). */
static void compute(const struct decrypt_data *data, struct flat_buffer *output)
{
    BN_CTX *context = BN_CTX_new();
    BIGNUM *input = number_of(&data->input), *p = number_of(&data->key->p);
    BIGNUM *q = number_of(&data->key->q), *dp = number_of(&data->key->dp);
    BIGNUM *dq = number_of(&data->key->dq), *qinv = number_of(&data->key->qinv);
    BIGNUM *m1 = BN_new(), *m2 = BN_new();

    BN_nnmod(m1, input, p, context);
    BN_mod_exp(m1, m1, dp, p, context);
    BN_nnmod(m2, input, q, context);
    BN_mod_exp(m2, m2, dq, q, context);
    BN_mod_sub(m1, m1, m2, p, context);
    BN_mod_mul(m1, m1, qinv, p, context);
    BN_mul(m1, m1, q, context);
    BN_add(m1, m1, m2);
    if (BN_bn2binpad(m1, output->data, (int)output->length) < 0) {
        abort();
    }
    BIGNUM *all[] = {input, p, q, dp, dq, qinv, m1, m2};
    for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++) {
        BN_free(all[i]);
    }
    BN_CTX_free(context);
}

/* Takes the oldest request, unless answers are held. */
static bool take_request(struct instance *instance, struct request *out_request,
                         int32_t *out_status, bool *out_wrong)
{
    pthread_mutex_lock(&lock);
    const bool is_there = instance->count > 0 && !settings.is_held;
    if (is_there) {
        *out_request = instance->ring[0];
        *out_status = settings.answer_status;
        *out_wrong = settings.is_wrong;
        instance->count--;
        memmove(instance->ring, instance->ring + 1, instance->count * sizeof(instance->ring[0]));
        counts.waiting--;
        counts.answered++;
        pthread_cond_broadcast(&has_changed);
    }
    pthread_mutex_unlock(&lock);
    return is_there;
}

EXPORT int32_t icp_sal_CyPollInstance(void *handle, uint32_t quota)
{
    struct instance *instance = instance_of(handle);
    struct request request;
    int32_t status = SUCCESS;
    bool is_wrong = false;
    unsigned answered = 0;

    if (instance == NULL) {
        return INVALID_PARAM;
    }
    while ((quota == 0 || answered < quota) &&
           take_request(instance, &request, &status, &is_wrong)) {
        if (status == SUCCESS) {
            compute(request.data, request.output);
            request.output->data[request.output->length / 2] ^= is_wrong;
        }
        request.callback(request.tag, status, (void *)(uintptr_t)request.data, request.output);
        answered++;
    }
    pthread_mutex_lock(&lock);
    counts.polls++;
    pthread_mutex_unlock(&lock);
    return answered > 0 ? SUCCESS : RETRY;
}

/* ---- for the tests ---- */

EXPORT void qat_double_set(const struct qat_double_settings *new_settings)
{
    pthread_mutex_lock(&lock);
    if (new_settings == NULL) {
        memset(&settings, 0, sizeof(settings));
        memset(&counts, 0, sizeof(counts));
        pthread_mutex_unlock(&lock);
        return;
    }
    settings = *new_settings;
    pthread_cond_broadcast(&has_changed);
    for (int i = 0; i < QAT_DOUBLE_INSTANCES_MAX; i++) {
        if (instances[i].is_started && !settings.is_held) {
            ring_descriptor(&instances[i]);
        }
    }
    pthread_mutex_unlock(&lock);
}

EXPORT void qat_double_get(struct qat_double_counts *out_counts)
{
    pthread_mutex_lock(&lock);
    *out_counts = counts;
    pthread_mutex_unlock(&lock);
}

EXPORT void qat_double_wait(unsigned answered)
{
    pthread_mutex_lock(&lock);
    while (counts.answered < answered) {
        pthread_cond_wait(&has_changed, &lock);
    }
    pthread_mutex_unlock(&lock);
}

EXPORT void qat_double_refused(unsigned refused)
{
    pthread_mutex_lock(&lock);
    while (counts.refused < refused) {
        pthread_cond_wait(&has_changed, &lock);
    }
    pthread_mutex_unlock(&lock);
}

static int number_from_environment(const char *name)
{
    const char *text = getenv(name);
    return text == NULL ? 0 : atoi(text);
}

/* For a whole program under test, which has nobody to call qat_double_set. */
__attribute__((constructor)) static void set_from_environment(void)
{
    if (getenv("QAT_DOUBLE_INSTANCES") != NULL) {
        settings.instances = (uint16_t)number_from_environment("QAT_DOUBLE_INSTANCES");
        settings.rsa_instances = (uint8_t)((1U << settings.instances) - 1);
        settings.submit_status = number_from_environment("QAT_DOUBLE_SUBMIT_STATUS");
        settings.answer_status = number_from_environment("QAT_DOUBLE_ANSWER_STATUS");
        settings.is_wrong = number_from_environment("QAT_DOUBLE_IS_WRONG") != 0;
    }
}
