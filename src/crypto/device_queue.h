/* A worker's operations that are at devices; a part of the key worker. Its thread only. */
#pragma once

#include "crypto/key_device.h"
#include "crypto/rsa.h"

struct hbk_device_queue {
    struct hbk_key_mailbox *mailbox; /* NULL until hbk_device_queue_open */
    struct hbk_rsa_batch *batch;     /* for the checks */
    struct hbk_list away;            /* operations at devices, in the order of their deadlines */
    struct hbk_list arrived;         /* with a result in `output` that is not checked yet */
    struct hbk_list ended;           /* that wait for their completion or their second attempt */
};

void hbk_device_queue_init(struct hbk_device_queue *queue);

/* Makes what operations at devices need; `wake` is called on any thread when an answer has come.
 * Fails: HBK_NO_MEMORY. */
HBK_MUST_USE hbk_status hbk_device_queue_open(struct hbk_device_queue *queue,
                                              void (*wake)(void *argument), void *argument);

/* `wake` is not called any more once this returns. */
void hbk_device_queue_fini(struct hbk_device_queue *queue);

/* Brings a prepared RSA operation to the device of its key; false, and counted, when it is not
 * taken. */
HBK_MUST_USE bool hbk_device_queue_submit(struct hbk_device_queue *queue,
                                          struct hbk_key_operation *operation, uint64_t now_ns);

/* For an operation in any of the lists. */
void hbk_device_queue_cancel(struct hbk_key_operation *operation);

uint64_t hbk_device_queue_due_ns(const struct hbk_device_queue *queue);

/*
 * Takes answers, gives up on late ones, and checks one batch of results. What is then in `ended`
 * has HBK_OK as its status when the result is right and HBK_IO when it is to be computed again.
 */
void hbk_device_queue_run(struct hbk_device_queue *queue, uint64_t now_ns);
