/*
 * Notices of changes in a directory, from inotify. A notice says that an entry with a certain name
 * was made, written, replaced or removed; what is there now, the caller looks up itself.
 */
#pragma once

#include <stdbool.h>

#include "base/slice.h"
#include "base/status.h"

struct hbk_watch {
    int fd;                    /* readable while there are notices; -1: closed */
    bool is_directory_missing; /* the directory went away; nothing more will be noticed */
};

/*
 * Starts watching the directory; close it with hbk_watch_close().
 * Fails: HBK_NOT_FOUND, HBK_DENIED, HBK_LIMIT (of watches or descriptors), HBK_NO_MEMORY, HBK_IO.
 */
HBK_MUST_USE hbk_status hbk_watch_open(struct hbk_watch *watch, const char *directory);
void hbk_watch_close(struct hbk_watch *watch);

/*
 * Reads all notices that wait, without blocking, and calls `on_name` for each with the name of the
 * entry; an empty name stands for anything, since notices can be lost. Returns whether there were
 * any.
 */
bool hbk_watch_read(struct hbk_watch *watch, void (*on_name)(struct hbk_slice name, void *context),
                    void *context);

/* What a path leads to now, so that two looks tell whether it is the same file unchanged. */
struct hbk_file_mark {
    bool exists;
    uint64_t device;
    uint64_t inode;
    uint64_t size_bytes;
    int64_t modified_ns;
    int64_t changed_ns;
};

/* Looks at the file behind `path`, through symbolic links. */
struct hbk_file_mark hbk_file_mark_of(const char *path);
bool hbk_file_mark_equal(const struct hbk_file_mark *a, const struct hbk_file_mark *b);
