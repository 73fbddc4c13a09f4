/*
 * Readiness: start-up tasks by name; the program is ready when all are done and it does not drain.
 * Control thread only.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "base/buffer.h"

enum { HBK_READINESS_TASKS_MAX = 16 };

struct hbk_readiness {
    struct {
        const char *name; /* borrowed: a literal */
        bool is_done;
    } tasks[HBK_READINESS_TASKS_MAX];
    size_t task_count;
    bool is_draining;
};

static inline void hbk_readiness_init(struct hbk_readiness *readiness)
{
    *readiness = (struct hbk_readiness){.task_count = 0};
}

/* Adds a task that is not done; returns its number. At most HBK_READINESS_TASKS_MAX. */
size_t hbk_readiness_add(struct hbk_readiness *readiness, const char *name);

/* Marks a task as done, or as not done any more. */
void hbk_readiness_set(struct hbk_readiness *readiness, size_t task, bool is_done);

bool hbk_readiness_is_ready(const struct hbk_readiness *readiness);

/* Appends what is missing, such as "waiting for: proxy, certificates", or "ready". */
HBK_MUST_USE hbk_status hbk_readiness_text(const struct hbk_readiness *readiness,
                                           struct hbk_buffer *out);
