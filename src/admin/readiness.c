#include "admin/readiness.h"

#include "base/assert.h"

size_t hbk_readiness_add(struct hbk_readiness *readiness, const char *name)
{
    HBK_ASSERT(readiness->task_count < HBK_READINESS_TASKS_MAX);
    readiness->tasks[readiness->task_count].name = name;
    readiness->tasks[readiness->task_count].is_done = false;
    return readiness->task_count++;
}

void hbk_readiness_set(struct hbk_readiness *readiness, size_t task, bool is_done)
{
    HBK_ASSERT(task < readiness->task_count);
    readiness->tasks[task].is_done = is_done;
}

bool hbk_readiness_is_ready(const struct hbk_readiness *readiness)
{
    for (size_t i = 0; i < readiness->task_count; i++) {
        if (!readiness->tasks[i].is_done) {
            return false;
        }
    }
    return !readiness->is_draining;
}

hbk_status hbk_readiness_text(const struct hbk_readiness *readiness, struct hbk_buffer *out)
{
    if (readiness->is_draining) {
        return hbk_buffer_append(out, HBK_SLICE("draining"));
    }
    const char *joint = "waiting for: ";
    for (size_t i = 0; i < readiness->task_count; i++) {
        if (!readiness->tasks[i].is_done) {
            HBK_TRY(hbk_buffer_print(out, "%s%s", joint, readiness->tasks[i].name));
            joint = ", ";
        }
    }
    return hbk_readiness_is_ready(readiness) ? hbk_buffer_append(out, HBK_SLICE("ready")) : HBK_OK;
}
