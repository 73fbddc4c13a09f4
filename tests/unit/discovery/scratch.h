/* A directory of its own for a test, and what is done to files in it. */
#pragma once

#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "os/file.h"

#include "harness.h"

struct scratch {
    char directory[HBK_PATH_BYTES_MAX];
    char path[HBK_PATH_BYTES_MAX + 32]; /* of the last scratch_path() */
};

static inline void scratch_make(struct scratch *scratch)
{
    assert_int_equal(hbk_directory_make_private("hauberk-watch", scratch->directory), HBK_OK);
}

static inline void scratch_remove(struct scratch *scratch)
{
    assert_int_equal(hbk_directory_remove(scratch->directory), HBK_OK);
}

static inline const char *scratch_path(struct scratch *scratch, const char *name)
{
    (void)snprintf(scratch->path, sizeof scratch->path, "%s/%s", scratch->directory, name);
    return scratch->path;
}

/* By a new file that is renamed over the old one. */
static inline void scratch_replace(struct scratch *scratch, const char *name, const char *text)
{
    assert_int_equal(hbk_file_write(scratch_path(scratch, name), hbk_slice_text(text), 0600),
                     HBK_OK);
}

/* Into the same file, after cutting it. */
static inline void scratch_overwrite(struct scratch *scratch, const char *name, const char *text)
{
    int fd = open(scratch_path(scratch, name), O_WRONLY | O_TRUNC | O_CREAT | O_CLOEXEC, 0600);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, text, strlen(text)), strlen(text));
    assert_int_equal(close(fd), 0);
}

/* A symbolic link that replaces whatever has its name in one step, as Kubernetes does it. */
static inline void scratch_link(struct scratch *scratch, const char *name, const char *target)
{
    char fresh[HBK_PATH_BYTES_MAX + 32];
    (void)snprintf(fresh, sizeof fresh, "%s/fresh-link", scratch->directory);
    assert_int_equal(symlink(target, fresh), 0);
    assert_int_equal(rename(fresh, scratch_path(scratch, name)), 0);
}
