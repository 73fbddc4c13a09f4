#include "discovery/file_watch.h"

#include <stdio.h>

#include "base/clock.h"

/* "/etc/mesh.yaml" lies in "/etc", "/mesh.yaml" in "/", "mesh.yaml" in ".". */
static void find_directory(struct hbk_file_watch *watch)
{
    const char *slash = strrchr(watch->path, '/');
    size_t size = slash == NULL ? 0 : (size_t)(slash - watch->path);
    if (slash == NULL) {
        (void)snprintf(watch->directory, sizeof watch->directory, ".");
    } else {
        (void)snprintf(watch->directory, sizeof watch->directory, "%.*s", size == 0 ? 1 : (int)size,
                       watch->path);
    }
}

hbk_status hbk_file_watch_open(struct hbk_file_watch *watch, const char *path)
{
    *watch = (struct hbk_file_watch){.watch.fd = -1, .due_ns = UINT64_MAX};
    int written = snprintf(watch->path, sizeof watch->path, "%s", path);
    if (written < 0 || (size_t)written >= sizeof watch->path) {
        return HBK_INVALID;
    }
    find_directory(watch);
    HBK_TRY(hbk_watch_open(&watch->watch, watch->directory));
    watch->mark = hbk_file_mark_of(path);
    return HBK_OK;
}

void hbk_file_watch_close(struct hbk_file_watch *watch)
{
    hbk_watch_close(&watch->watch);
    watch->due_ns = UINT64_MAX;
}

/* Any entry may be a link on the way to the file, so its name is not looked at. */
static void ignore_name(struct hbk_slice name, void *context)
{
    (void)name;
    (void)context;
}

static uint64_t sooner(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

void hbk_file_watch_notice(struct hbk_file_watch *watch, uint64_t now_ns)
{
    if (!hbk_watch_read(&watch->watch, ignore_name, NULL)) {
        return;
    }
    struct hbk_file_mark mark = hbk_file_mark_of(watch->path);
    if (hbk_file_mark_equal(&mark, &watch->mark) && !watch->watch.is_directory_missing) {
        return; /* somebody else's file, or a read of ours */
    }
    watch->first_ns = watch->first_ns == 0 ? now_ns : watch->first_ns;
    watch->due_ns = sooner(now_ns + HBK_FILE_WATCH_QUIET_MS * HBK_NS_PER_MS,
                           watch->first_ns + HBK_FILE_WATCH_LONGEST_MS * HBK_NS_PER_MS);
}

/* Moves the watch to the directory that lies at the path now; tries again later without one. */
static void renew_directory(struct hbk_file_watch *watch, uint64_t now_ns)
{
    struct hbk_watch fresh;
    if (hbk_watch_open(&fresh, watch->directory) != HBK_OK) {
        watch->due_ns = now_ns + HBK_FILE_WATCH_RETRY_MS * HBK_NS_PER_MS;
        return;
    }
    hbk_watch_close(&watch->watch);
    watch->watch = fresh;
}

bool hbk_file_watch_settled(struct hbk_file_watch *watch, uint64_t now_ns)
{
    if (now_ns < watch->due_ns) {
        return false;
    }
    watch->first_ns = 0;
    watch->due_ns = UINT64_MAX;
    if (watch->watch.is_directory_missing) {
        renew_directory(watch, now_ns);
    }
    struct hbk_file_mark mark = hbk_file_mark_of(watch->path);
    if (!mark.exists || hbk_file_mark_equal(&mark, &watch->mark)) {
        return false;
    }
    watch->mark = mark;
    return true;
}
