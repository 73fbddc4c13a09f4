/*
 * Which addresses the clusters have. STATIC ones are written down; the names of STRICT_DNS ones are
 * looked up by a thread of its own, since the system's resolver blocks, and again after
 * dns_refresh_rate. What it finds goes to the control thread, which tells the workers.
 */
#pragma once

#include <pthread.h>

#include "gateway/member.h"
#include "runtime/mailbox.h"

enum { HBK_GW_NAME_ADDRESSES_MAX = 64 };

struct hbk_gw_directory {
    struct hbk_gw_plan *plan;    /* borrowed */
    struct hbk_mailbox *mailbox; /* the control thread's, borrowed */
    void (*on_change)(struct hbk_gw_directory *directory, uint32_t cluster,
                      struct hbk_gw_members *members, void *context); /* takes the members */
    void *context;
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t stop;
    bool is_stopping; /* under lock */
    bool has_thread;
};

/*
 * Finds the members of one cluster now, which may wait for the network. A name that cannot be
 * found gives no members and a line in the log. NULL when out of memory.
 */
HBK_MUST_USE struct hbk_gw_members *
hbk_gw_members_look_up(const struct hbk_gw_plan_cluster *cluster);

/* Starts looking up, if any cluster has names. Fails: HBK_LIMIT (threads), HBK_NO_MEMORY. Control
 * thread, as the next. */
HBK_MUST_USE hbk_status hbk_gw_directory_start(struct hbk_gw_directory *directory);
void hbk_gw_directory_stop(struct hbk_gw_directory *directory);
