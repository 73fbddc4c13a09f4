/*
 * Whether a file has a new content: by rename, by a swapped symbolic link beside it (Kubernetes'
 * ..data), or by writing in place. What a link into another directory leads to is looked at only
 * when something happens in the path's own directory. Changes that follow each other closely count
 * as one, so that a file is not read while it is written. No loop in here: the caller waits for the
 * descriptor and for the time. One thread.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "os/file.h"
#include "os/watch.h"

enum {
    HBK_FILE_WATCH_QUIET_MS = 50,    /* without a further change, before one counts */
    HBK_FILE_WATCH_LONGEST_MS = 500, /* after which it counts anyway */
    HBK_FILE_WATCH_RETRY_MS = 1000,  /* between looks while the directory is missing */
};

struct hbk_file_watch {
    struct hbk_watch watch; /* of the directory that holds the path's last part */
    char path[HBK_PATH_BYTES_MAX];
    char directory[HBK_PATH_BYTES_MAX];
    struct hbk_file_mark mark; /* as it was when it was last told */
    uint64_t first_ns;         /* of the changes that wait; 0: none */
    uint64_t due_ns;           /* when to call hbk_file_watch_settled(); UINT64_MAX: not at all */
};

/*
 * Starts to watch; the file as it is now counts as known, and it need not exist, but its directory
 * must. Fails: HBK_INVALID (path too long) and as hbk_watch_open().
 */
HBK_MUST_USE hbk_status hbk_file_watch_open(struct hbk_file_watch *watch, const char *path);
void hbk_file_watch_close(struct hbk_file_watch *watch);

/* Call when watch->watch.fd is readable: takes the notices and sets due_ns. */
void hbk_file_watch_notice(struct hbk_file_watch *watch, uint64_t now_ns);

/*
 * Call at due_ns: true when the file is another than at the last answer of true. A file that is
 * gone is no change; the one that comes in its place is. After a directory was replaced the watch
 * moves to the new one, so watch->watch.fd may change here.
 */
bool hbk_file_watch_settled(struct hbk_file_watch *watch, uint64_t now_ns);
