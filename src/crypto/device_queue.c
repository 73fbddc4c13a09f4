/*
 * Operations at devices, seen from the worker.
 *
 *     away --(answer, good)--> arrived --(raised to e, equal to the input)--> ended: right
 *       |                         \------(different)-----------------------> ended: again
 *       \--(answer, failed; or no answer in time)---------------------------> ended: again
 *
 * A device is not trusted with the last word: one wrong half of a computation by Chinese remainders
 * gives the modulus' factors away, so nothing leaves before it was raised to the public exponent
 * and compared. Eight results are checked in one batch.
 *
 * The answer stays the device's until then, so the submitter's output never holds an unchecked
 * result.
 *
 * An operation can be cancelled in each list. Its answer then comes to nobody; the slot in the
 * device stays taken until the device answers.
 */
#include "crypto/device_queue.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "base/secret.h"
#include "crypto/cpu.h"
#include "crypto/key_provider_parts.h"
#include "crypto/key_worker.h"
#include "crypto/private_key_parts.h"

/* ---- the mailbox ---- */

struct hbk_key_mailbox {
    _Atomic uint32_t references; /* release on giving back, acquire before the free */
    _Atomic bool has_answers;    /* set with release under the lock, read with acquire: a hint */
    pthread_mutex_t lock;
    struct hbk_list answers; /* under lock */
    bool is_closed;          /* under lock */
    void (*wake)(void *argument);
    void *argument;
};

struct hbk_key_mailbox *hbk_key_mailbox_ref(struct hbk_key_mailbox *mailbox)
{
    atomic_fetch_add_explicit(&mailbox->references, 1, memory_order_relaxed);
    return mailbox;
}

void hbk_key_mailbox_unref(struct hbk_key_mailbox *mailbox)
{
    if (atomic_fetch_sub_explicit(&mailbox->references, 1, memory_order_acq_rel) == 1) {
        pthread_mutex_destroy(&mailbox->lock);
        free(mailbox);
    }
}

void hbk_key_mailbox_post(struct hbk_key_mailbox *mailbox, struct hbk_key_answer *answer)
{
    pthread_mutex_lock(&mailbox->lock);
    const bool is_closed = mailbox->is_closed;
    if (!is_closed) {
        const bool was_empty = hbk_list_is_empty(&mailbox->answers);
        hbk_link_init(&answer->link);
        hbk_list_append(&mailbox->answers, &answer->link);
        atomic_store_explicit(&mailbox->has_answers, true, memory_order_release);
        if (was_empty) {
            mailbox->wake(mailbox->argument);
        }
    }
    pthread_mutex_unlock(&mailbox->lock);
    if (is_closed) {
        answer->device->release(answer->device, answer);
    }
}

static void take_answers(struct hbk_key_mailbox *mailbox, bool is_closing, struct hbk_list *out)
{
    hbk_list_init(out);
    pthread_mutex_lock(&mailbox->lock);
    hbk_list_move(out, &mailbox->answers);
    atomic_store_explicit(&mailbox->has_answers, false, memory_order_release);
    mailbox->is_closed = is_closing;
    pthread_mutex_unlock(&mailbox->lock);
}

/* ---- the queue ---- */

void hbk_device_queue_init(struct hbk_device_queue *queue)
{
    *queue = (struct hbk_device_queue){0};
    hbk_list_init(&queue->away);
    hbk_list_init(&queue->arrived);
    hbk_list_init(&queue->ended);
}

hbk_status hbk_device_queue_open(struct hbk_device_queue *queue, void (*wake)(void *argument),
                                 void *argument)
{
    struct hbk_key_mailbox *mailbox = calloc(1, sizeof(*mailbox));
    queue->batch = hbk_rsa_batch_new();

    if (mailbox == NULL || queue->batch == NULL || pthread_mutex_init(&mailbox->lock, NULL) != 0) {
        free(mailbox);
        hbk_rsa_batch_free(queue->batch);
        queue->batch = NULL;
        return HBK_NO_MEMORY;
    }
    atomic_init(&mailbox->references, 1);
    hbk_list_init(&mailbox->answers);
    mailbox->wake = wake;
    mailbox->argument = argument;
    queue->mailbox = mailbox;
    return HBK_OK;
}

static struct hbk_key_answer *pop_answer(struct hbk_list *answers)
{
    struct hbk_link *link = hbk_list_pop(answers);
    return link == NULL ? NULL : HBK_CONTAINER(link, struct hbk_key_answer, link);
}

static struct hbk_key_operation *operation_of(struct hbk_link *link)
{
    return HBK_CONTAINER(link, struct hbk_key_operation, link);
}

void hbk_device_queue_fini(struct hbk_device_queue *queue)
{
    struct hbk_list answers;
    struct hbk_key_answer *answer;

    if (queue->mailbox == NULL) {
        return;
    }
    take_answers(queue->mailbox, true, &answers);
    while ((answer = pop_answer(&answers)) != NULL) {
        answer->device->release(answer->device, answer);
    }
    hbk_key_mailbox_unref(queue->mailbox);
    queue->mailbox = NULL;
    hbk_rsa_batch_free(queue->batch);
    queue->batch = NULL;
}

static enum hbk_key_count count_of(enum hbk_key_device_result result)
{
    switch (result) {
    case HBK_KEY_DEVICE_TAKEN:
        return HBK_KEY_COUNT_DEVICE;
    case HBK_KEY_DEVICE_FULL:
        return HBK_KEY_COUNT_OVERFLOW;
    case HBK_KEY_DEVICE_DOWN:
        return HBK_KEY_COUNT_DOWN;
    case HBK_KEY_DEVICE_FAILED:
        break;
    }
    return HBK_KEY_COUNT_FAILED;
}

bool hbk_device_queue_submit(struct hbk_device_queue *queue, struct hbk_key_operation *operation,
                             uint64_t now_ns)
{
    struct hbk_private_key *key = operation->key;
    struct hbk_key_device *device = key->provider->options.device;
    enum hbk_key_device_result result = HBK_KEY_DEVICE_DOWN;

    if (queue->mailbox != NULL) {
        result = device->submit(device, key->device_key,
                                hbk_slice_of(operation->block, operation->block_bytes), operation,
                                queue->mailbox, &operation->answer);
    }
    hbk_key_provider_count(key->provider, count_of(result));
    if (result != HBK_KEY_DEVICE_TAKEN) {
        return false;
    }
    /* The list is by arrival: after a delay was shortened, a deadline may stand behind a later one,
     * which then counts. */
    operation->has_arrived = false;
    operation->deadline_ns = now_ns + HBK_KEY_DEVICE_PATIENCE_NS +
                             atomic_load_explicit(&device->delay_ns, memory_order_relaxed);
    hbk_link_init(&operation->link);
    hbk_list_append(&queue->away, &operation->link);
    return true;
}

/* Leaves its list. The answer, if it has come, is the device's again; if it is still to come, it
 * will come to nobody. */
static void detach(struct hbk_key_operation *operation)
{
    struct hbk_key_answer *answer = operation->answer;

    if (answer != NULL) {
        answer->operation = NULL;
        operation->answer = NULL;
        if (operation->has_arrived) {
            answer->device->release(answer->device, answer);
        }
    }
    hbk_link_remove(&operation->link);
}

void hbk_device_queue_cancel(struct hbk_key_operation *operation)
{
    detach(operation);
}

uint64_t hbk_device_queue_due_ns(const struct hbk_device_queue *queue)
{
    if (queue->mailbox == NULL) {
        return UINT64_MAX;
    }
    if (!hbk_list_is_empty(&queue->arrived) || !hbk_list_is_empty(&queue->ended) ||
        atomic_load_explicit(&queue->mailbox->has_answers, memory_order_acquire)) {
        return 0;
    }
    if (hbk_list_is_empty(&queue->away)) {
        return UINT64_MAX;
    }
    return HBK_CONTAINER(queue->away.head.next, const struct hbk_key_operation, link)->deadline_ns;
}

static void end(struct hbk_device_queue *queue, struct hbk_key_operation *operation,
                enum hbk_key_count count)
{
    detach(operation);
    hbk_key_provider_count(operation->key->provider, count);
    operation->status = count == HBK_KEY_COUNT_ANSWERED ? HBK_OK : HBK_IO;
    hbk_list_append(&queue->ended, &operation->link);
}

static void take(struct hbk_device_queue *queue, struct hbk_key_answer *answer)
{
    struct hbk_key_operation *operation = answer->operation;

    if (operation == NULL) {
        answer->device->release(answer->device, answer);
        return;
    }
    operation->has_arrived = true;
    if (answer->is_good) {
        hbk_link_remove(&operation->link);
        hbk_list_append(&queue->arrived, &operation->link);
    } else {
        end(queue, operation, HBK_KEY_COUNT_FAILED);
    }
}

static void give_up_late(struct hbk_device_queue *queue, uint64_t now_ns)
{
    while (!hbk_list_is_empty(&queue->away)) {
        struct hbk_key_operation *operation = operation_of(queue->away.head.next);
        struct hbk_key_answer *answer = operation->answer;
        if (operation->deadline_ns > now_ns) {
            return;
        }
        answer->is_given_up = true;
        answer->device->give_up(answer->device, answer);
        end(queue, operation, HBK_KEY_COUNT_LATE);
    }
}

/* Raises up to eight results to the public exponent, all of keys of one size. */
static void check_batch(struct hbk_device_queue *queue)
{
    uint8_t blocks[HBK_LANES][HBK_RSA_BYTES_MAX];
    struct hbk_rsa_operation publics[HBK_LANES];
    struct hbk_rsa_operation *lanes[HBK_LANES] = {NULL};
    struct hbk_key_operation *operations[HBK_LANES];
    bool is_secret = false; /* what a decryption has brought to light */
    int count = 0;

    HBK_LIST_EACH (link, &queue->arrived) {
        struct hbk_key_operation *operation = operation_of(link);
        if (count == HBK_LANES || (count > 0 && operation->key->bits != operations[0]->key->bits)) {
            break;
        }
        operations[count] = operation;
        publics[count] = (struct hbk_rsa_operation){
            .key = operation->key->rsa,
            .input = operation->answer->output,
            .output = blocks[count],
        };
        is_secret |= operation->action == HBK_KEY_DECRYPT;
        lanes[count] = &publics[count];
        count++;
    }
    hbk_rsa_public_lanes(count > 1 ? hbk_cpu_path() : HBK_PATH_TWIN, queue->batch, lanes);
    for (int i = 0; i < count; i++) {
        const size_t size = operations[i]->block_bytes;
        const bool is_right = publics[i].status == HBK_LANE_OK &&
                              hbk_secret_equal(hbk_slice_of(blocks[i], size),
                                               hbk_slice_of(operations[i]->block, size));
        if (is_right) {
            memcpy(operations[i]->output.bytes, operations[i]->answer->output, size);
        }
        end(queue, operations[i], is_right ? HBK_KEY_COUNT_ANSWERED : HBK_KEY_COUNT_WRONG);
    }
    if (is_secret) {
        hbk_rsa_batch_wipe(queue->batch);
    }
}

void hbk_device_queue_run(struct hbk_device_queue *queue, uint64_t now_ns)
{
    struct hbk_list answers;
    struct hbk_key_answer *answer;

    if (queue->mailbox == NULL) {
        return;
    }
    take_answers(queue->mailbox, false, &answers);
    while ((answer = pop_answer(&answers)) != NULL) {
        take(queue, answer);
    }
    give_up_late(queue, now_ns);
    if (!hbk_list_is_empty(&queue->arrived)) {
        check_batch(queue);
    }
}
