#include "discovery/mesh_source.h"

#include "base/log.h"

static void log_report(const struct hbk_report *report)
{
    for (size_t i = 0; i < report->count; i++) {
        hbk_log(HBK_LOG_ERROR, "discovery", "%s", report->lines[i]);
    }
    if (report->dropped > 0) {
        hbk_log(HBK_LOG_ERROR, "discovery", "%zu further mistakes are not shown", report->dropped);
    }
}

static void load(struct hbk_mesh_source *source)
{
    struct hbk_mesh *mesh = NULL;
    hbk_status status =
        hbk_mesh_file_load(source->watch.path, source->mesh, &mesh, &source->report);
    if (status != HBK_OK) {
        source->failed_loads++;
        log_report(&source->report);
        hbk_log(HBK_LOG_ERROR, "discovery", "%s was not taken (%s); the mesh stays as it was",
                source->watch.path, hbk_status_text(status));
        return;
    }
    struct hbk_mesh *old = source->mesh;
    source->mesh = mesh;
    source->loads++;
    hbk_log(HBK_LOG_INFO, "discovery", "%s: mesh %llu with %zu workloads, %zu services",
            source->watch.path, (unsigned long long)mesh->generation,
            hbk_mesh_count(mesh, HBK_MESH_WORKLOADS), hbk_mesh_count(mesh, HBK_MESH_SERVICES));
    source->on_mesh(mesh, source->context);
    hbk_mesh_unref(old);
}

/* Sets the timer for the watch's next moment. */
static void wait_for_due(struct hbk_mesh_source *source)
{
    if (source->watch.due_ns == UINT64_MAX) {
        hbk_timer_cancel(&source->loop->timers, &source->timer);
    } else {
        hbk_timer_set(&source->loop->timers, &source->timer, source->watch.due_ns);
    }
}

static void take_notices(struct hbk_source *ready)
{
    struct hbk_mesh_source *source = HBK_CONTAINER(ready, struct hbk_mesh_source, source);
    hbk_file_watch_notice(&source->watch, source->loop->now_ns);
    wait_for_due(source);
}

/* The watch may have moved to another directory and so to another descriptor. */
static void follow_descriptor(struct hbk_mesh_source *source, int old_fd)
{
    if (source->watch.watch.fd == old_fd) {
        return;
    }
    source->source.on_ready = NULL;
    if (hbk_loop_add_listener(source->loop, &source->source, source->watch.watch.fd,
                              take_notices) != HBK_OK) {
        hbk_log(HBK_LOG_ERROR, "discovery", "%s is not watched any more: no descriptor to spare",
                source->watch.path);
    }
}

static void settle(struct hbk_timer *timer)
{
    struct hbk_mesh_source *source = HBK_CONTAINER(timer, struct hbk_mesh_source, timer);
    int old_fd = source->watch.watch.fd;
    bool has_changed = hbk_file_watch_settled(&source->watch, source->loop->now_ns);
    follow_descriptor(source, old_fd);
    wait_for_due(source);
    if (has_changed) {
        load(source);
    }
}

/* The watch starts before the first reading, so that no change falls between the two. */
static hbk_status open_parts(struct hbk_mesh_source *source, const char *path)
{
    hbk_report_init(&source->report);
    hbk_status status = hbk_file_watch_open(&source->watch, path);
    if (status != HBK_OK) {
        hbk_report_add(&source->report, path, 0, 0, "cannot be watched: %s",
                       hbk_status_text(status));
        return status;
    }
    HBK_TRY(hbk_mesh_file_load(path, NULL, &source->mesh, &source->report));
    source->loads = 1;
    return hbk_loop_add_listener(source->loop, &source->source, source->watch.watch.fd,
                                 take_notices);
}

hbk_status hbk_mesh_source_open(struct hbk_mesh_source *source, struct hbk_loop *loop,
                                const char *path,
                                void (*on_mesh)(struct hbk_mesh *mesh, void *context),
                                void *context)
{
    source->loop = loop;
    source->mesh = NULL;
    source->source = (struct hbk_source){.fd = -1};
    source->on_mesh = on_mesh;
    source->context = context;
    source->loads = 0;
    source->failed_loads = 0;
    hbk_timer_init(&source->timer, settle);
    hbk_status status = open_parts(source, path);
    if (status != HBK_OK) {
        hbk_mesh_source_close(source);
    }
    return status;
}

void hbk_mesh_source_close(struct hbk_mesh_source *source)
{
    hbk_timer_cancel(&source->loop->timers, &source->timer);
    hbk_loop_remove(source->loop, &source->source);
    hbk_file_watch_close(&source->watch);
    hbk_mesh_unref(source->mesh);
    source->mesh = NULL;
}
