#include "os/watch.h"

#include <errno.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <unistd.h>

#include "os/fd.h"

enum { NOTICES_BYTES = 4096 };

static const uint32_t directory_changes = IN_CREATE | IN_CLOSE_WRITE | IN_MODIFY | IN_MOVED_FROM |
                                          IN_MOVED_TO | IN_DELETE | IN_ATTRIB | IN_DELETE_SELF |
                                          IN_MOVE_SELF | IN_ONLYDIR;

hbk_status hbk_watch_open(struct hbk_watch *watch, const char *directory)
{
    int fd = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
    if (fd < 0) {
        return hbk_status_from_errno(errno);
    }
    if (inotify_add_watch(fd, directory, directory_changes) < 0) {
        hbk_status status = hbk_status_from_errno(errno);
        hbk_fd_close(&fd);
        return status;
    }
    *watch = (struct hbk_watch){.fd = fd};
    return HBK_OK;
}

void hbk_watch_close(struct hbk_watch *watch)
{
    hbk_fd_close(&watch->fd);
}

static void hand_over(struct hbk_watch *watch, const struct inotify_event *event,
                      void (*on_name)(struct hbk_slice name, void *context), void *context)
{
    if ((event->mask & (IN_DELETE_SELF | IN_MOVE_SELF | IN_IGNORED)) != 0) {
        watch->is_directory_missing = true;
    }
    size_t size = event->len == 0 ? 0 : strnlen(event->name, event->len);
    on_name(hbk_slice_of(event->name, size), context);
}

bool hbk_watch_read(struct hbk_watch *watch, void (*on_name)(struct hbk_slice name, void *context),
                    void *context)
{
    _Alignas(struct inotify_event) char notices[NOTICES_BYTES];
    bool has_any = false;
    for (;;) {
        ssize_t size = read(watch->fd, notices, sizeof notices);
        if (size < 0 && errno == EINTR) {
            continue;
        }
        if (size <= 0) {
            return has_any;
        }
        has_any = true;
        for (const char *at = notices; at < notices + size;) {
            const struct inotify_event *event = (const void *)at;
            hand_over(watch, event, on_name, context);
            at += sizeof *event + event->len;
        }
    }
}

static int64_t time_ns(struct timespec time)
{
    return (int64_t)time.tv_sec * 1000000000 + time.tv_nsec;
}

struct hbk_file_mark hbk_file_mark_of(const char *path)
{
    struct stat found;
    if (stat(path, &found) != 0) {
        return (struct hbk_file_mark){.exists = false};
    }
    return (struct hbk_file_mark){
        .exists = true,
        .device = found.st_dev,
        .inode = found.st_ino,
        .size_bytes = (uint64_t)found.st_size,
        .modified_ns = time_ns(found.st_mtim),
        .changed_ns = time_ns(found.st_ctim),
    };
}

bool hbk_file_mark_equal(const struct hbk_file_mark *a, const struct hbk_file_mark *b)
{
    return a->exists == b->exists && a->device == b->device && a->inode == b->inode &&
           a->size_bytes == b->size_bytes && a->modified_ns == b->modified_ns &&
           a->changed_ns == b->changed_ns;
}
