/* Small files and directories: certificates, keys, configuration, what the kernel shows. */
#pragma once

#include <stddef.h>
#include <sys/types.h>

#include "base/arena.h"
#include "base/slice.h"
#include "base/status.h"

enum {
    /* A full trust bundle is under 64 KiB, a mesh file of 50,000 workloads about 30 MiB. */
    HBK_FILE_BYTES_MAX = 256 << 20,
    HBK_PATH_BYTES_MAX = 4096,
};

/*
 * Reads the whole file at `path`, which may hold at most `bytes_max` bytes.
 *
 * Memory:  `*out_bytes` borrows from `arena`; a zero that is not counted lies behind it.
 * Fails:   HBK_NOT_FOUND, HBK_DENIED, HBK_DIRECTORY, HBK_NO_DIRECTORY (before the last slash),
 *          HBK_LIMIT (too large), HBK_NO_MEMORY, HBK_IO.
 * Thread:  control only, since it blocks on the disk.
 */
HBK_MUST_USE hbk_status hbk_file_read(struct hbk_arena *arena, const char *path, size_t bytes_max,
                                      struct hbk_slice *out_bytes);

/*
 * Replaces the file at `path` as a whole: readers see the old or the new content, also after a
 * crash. The new file has exactly the permissions `mode`; nobody else may read a private one at any
 * moment. On failure the old file stays and no temporary file is left.
 *
 * Fails:   HBK_NOT_FOUND (directory), HBK_DENIED, HBK_LIMIT (disk full), HBK_INVALID (path too
 *          long), HBK_IO. Thread: control only.
 */
HBK_MUST_USE hbk_status hbk_file_write(const char *path, struct hbk_slice bytes, mode_t mode);

/* Writes into a file that exists, in one write(): for /proc and /sys. Fails as hbk_file_write(). */
HBK_MUST_USE hbk_status hbk_file_set(const char *path, struct hbk_slice bytes);

/* Makes the directory with all that are missing above it; one that exists is fine and keeps its
 * mode. Fails: HBK_DENIED, HBK_INVALID (path too long), HBK_NO_DIRECTORY, HBK_IO. */
HBK_MUST_USE hbk_status hbk_directory_make(const char *path, mode_t mode);

/* Makes a directory of mode 0700 with a fresh name below /run, $TMPDIR or /tmp and writes its path.
 * Fails: HBK_DENIED, HBK_LIMIT, HBK_IO. */
HBK_MUST_USE hbk_status hbk_directory_make_private(const char *name_start,
                                                   char out_path[static HBK_PATH_BYTES_MAX]);

/* Calls `on_name` with each entry but "." and "..", in no order; the name is borrowed for the call.
 * Fails: HBK_NOT_FOUND, HBK_DENIED, HBK_LIMIT (descriptors), HBK_IO. */
HBK_MUST_USE hbk_status hbk_directory_each(const char *path,
                                           void (*on_name)(struct hbk_slice name, void *context),
                                           void *context);

/* Removes the directory and all in it, without following links or leaving its file system.
 * Fails: HBK_NOT_FOUND, HBK_DENIED, HBK_IO. */
HBK_MUST_USE hbk_status hbk_directory_remove(const char *path);
