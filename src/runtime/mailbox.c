#include "runtime/mailbox.h"

#include "base/assert.h"
#include "os/fd.h"

/* Takes all at once, so that the lock is short and a message may send another. */
static void run_waiting(struct hbk_mailbox *mailbox)
{
    struct hbk_list taken;
    hbk_list_init(&taken);
    pthread_mutex_lock(&mailbox->lock);
    hbk_list_move(&taken, &mailbox->waiting);
    mailbox->count = 0;
    pthread_mutex_unlock(&mailbox->lock);
    for (struct hbk_link *link; (link = hbk_list_pop(&taken)) != NULL;) {
        struct hbk_message *message = HBK_CONTAINER(link, struct hbk_message, link);
        message->run(message);
    }
}

static void on_event(struct hbk_source *source)
{
    struct hbk_mailbox *mailbox = HBK_CONTAINER(source, struct hbk_mailbox, source);
    source->ready = 0;
    hbk_event_clear(mailbox->event);
    run_waiting(mailbox);
}

hbk_status hbk_mailbox_init(struct hbk_mailbox *mailbox, struct hbk_loop *loop)
{
    *mailbox = (struct hbk_mailbox){.event = -1, .loop = loop};
    hbk_list_init(&mailbox->waiting);
    int event = -1;
    HBK_TRY(hbk_event_open(&event));
    hbk_status status = hbk_loop_add(loop, &mailbox->source, event, on_event);
    if (status != HBK_OK) {
        hbk_fd_close(&event);
        return status;
    }
    mailbox->event = event;
    HBK_ASSERT(pthread_mutex_init(&mailbox->lock, NULL) == 0);
    return HBK_OK;
}

void hbk_mailbox_close(struct hbk_mailbox *mailbox)
{
    pthread_mutex_lock(&mailbox->lock);
    mailbox->is_closed = true;
    pthread_mutex_unlock(&mailbox->lock);
    run_waiting(mailbox);
    hbk_loop_remove(mailbox->loop, &mailbox->source);
}

void hbk_mailbox_fini(struct hbk_mailbox *mailbox)
{
    hbk_fd_close(&mailbox->event);
    pthread_mutex_destroy(&mailbox->lock);
}

hbk_status hbk_mailbox_send(struct hbk_mailbox *mailbox, struct hbk_message *message)
{
    pthread_mutex_lock(&mailbox->lock);
    hbk_status status = mailbox->is_closed                           ? HBK_CLOSED
                        : mailbox->count >= HBK_MAILBOX_MESSAGES_MAX ? HBK_LIMIT
                                                                     : HBK_OK;
    bool is_first = false;
    if (status == HBK_OK) {
        is_first = mailbox->count++ == 0;
        hbk_list_append(&mailbox->waiting, &message->link);
    }
    pthread_mutex_unlock(&mailbox->lock);
    if (is_first) {
        hbk_event_set(mailbox->event);
    }
    return status;
}
