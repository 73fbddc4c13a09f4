/*
 * Messages into a loop from any thread: a bounded list under a short mutex and an eventfd that
 * wakes the receiver. Messages lie in memory of the sender's choosing and run on the receiver's
 * thread, between two turns' sources, in the order in which they were sent.
 */
#pragma once

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>

#include "base/list.h"
#include "base/status.h"
#include "runtime/loop.h"

/* More waiting messages than this say that the receiver is stuck. */
enum { HBK_MAILBOX_MESSAGES_MAX = 4096 };

struct hbk_message {
    struct hbk_link link;
    void (*run)(struct hbk_message *message); /* on the receiver's thread; owns the message then */
};

struct hbk_mailbox {
    pthread_mutex_t lock;
    struct hbk_list waiting; /* under lock */
    size_t count;            /* under lock */
    bool is_closed;          /* under lock */
    int event;
    struct hbk_source source;
    struct hbk_loop *loop; /* borrowed: must outlive the mailbox */
};

/* Fails: HBK_LIMIT (descriptors), HBK_NO_MEMORY. On the receiver's thread, or before it starts. */
HBK_MUST_USE hbk_status hbk_mailbox_init(struct hbk_mailbox *mailbox, struct hbk_loop *loop);

/* Runs what still waits, then refuses all further messages. On the receiver's thread. */
void hbk_mailbox_close(struct hbk_mailbox *mailbox);

/* Frees what the system gave; after hbk_mailbox_close(), when no sender is left. */
void hbk_mailbox_fini(struct hbk_mailbox *mailbox);

/*
 * Sends. The message belongs to the receiver until it runs.
 *
 * Fails: HBK_LIMIT (HBK_MAILBOX_MESSAGES_MAX wait), HBK_CLOSED; the message is the sender's then.
 * Thread: any.
 */
HBK_MUST_USE hbk_status hbk_mailbox_send(struct hbk_mailbox *mailbox, struct hbk_message *message);
