/*
 * The seam to devices that compute with private keys somewhere else and answer on a thread of their
 * own (src/device has them). This room does no I/O: how a device is reached, and how a worker is
 * woken, are functions that others give.
 *
 *     worker thread                                   the device's thread
 *     submit --> slot of the device ---------------->  ... computes ...
 *                                                      hbk_key_mailbox_post(answer), wake()
 *     flush: takes the answers, checks them <---------
 */
#pragma once

#include <openssl/types.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"
#include "base/list.h"
#include "base/slice.h"

struct hbk_key_operation;
struct hbk_key_mailbox;
struct hbk_key_device;

/* How long a device may take, beside its own delay, before the operation is computed elsewhere. */
enum { HBK_KEY_DEVICE_PATIENCE_NS = 100 * 1000 * 1000 };

/* An operation at a device. It lies in memory of the device, which outlives the operation. */
struct hbk_key_answer {
    struct hbk_link link; /* the mailbox's */
    struct hbk_key_device *device;

    /* Used on the worker's thread alone; NULL: nobody wants the answer any more. Until it is
     * checked, `output` is read. */
    struct hbk_key_operation *operation;
    bool is_given_up; /* too late already */

    /* Written by the device before it posts. */
    bool is_good;
    const uint8_t *output; /* as long as the modulus; until release */
};

enum hbk_key_device_result {
    HBK_KEY_DEVICE_TAKEN,
    HBK_KEY_DEVICE_FULL,   /* every instance has as much as it may have */
    HBK_KEY_DEVICE_DOWN,   /* no instance is up */
    HBK_KEY_DEVICE_FAILED, /* it refused the operation */
};

/* Functions of a device, which embeds this. */
struct hbk_key_device {
    /* Brings a key into the device's form. Fails: HBK_UNSUPPORTED, HBK_NO_MEMORY; with the reason.
     * Control thread. key_free: any thread. */
    hbk_status (*key_new)(struct hbk_key_device *device, EVP_PKEY *pkey, void **out_key,
                          struct hbk_error *error);
    void (*key_free)(struct hbk_key_device *device, void *key);

    /* Begins input^d modulo n; the input, as long as the modulus, is copied. On TAKEN the answer,
     * with its operation set, will be posted to the mailbox once. A worker's thread. */
    enum hbk_key_device_result (*submit)(struct hbk_key_device *device, void *key,
                                         struct hbk_slice input,
                                         struct hbk_key_operation *operation,
                                         struct hbk_key_mailbox *mailbox,
                                         struct hbk_key_answer **out_answer);

    /* The answer's operation is abandoned as too late: an instance that is silent should get no
     * more until it answers. The worker's thread. */
    void (*give_up)(struct hbk_key_device *device, struct hbk_key_answer *answer);

    /* The answer was used, or nobody takes it: its memory is the device's again. Any thread. */
    void (*release)(struct hbk_key_device *device, struct hbk_key_answer *answer);

    /* How long answers lie at the device until they are collected; added to the patience. Relaxed:
     * whoever reads an old value waits as long as was right before. */
    _Atomic uint64_t delay_ns;
};

/*
 * The mailbox of a worker: answers under a short mutex. As many as there are slots in the devices
 * can wait, so it has no limit of its own. Counted, since a device may still hold an operation when
 * its worker ends.
 */
struct hbk_key_mailbox *hbk_key_mailbox_ref(struct hbk_key_mailbox *mailbox);
void hbk_key_mailbox_unref(struct hbk_key_mailbox *mailbox);

/* Hands an answer over, or releases it if the worker has ended. Any thread. */
void hbk_key_mailbox_post(struct hbk_key_mailbox *mailbox, struct hbk_key_answer *answer);
